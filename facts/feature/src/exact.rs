//! Sums that do not depend on the order of their terms.
//!
//! # Source
//! Shewchuk 1997, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates",
//! doi:10.1007/PL00009321: the sum is kept as an expansion of numbers that do not overlap, without any rounding.

/// Numbers of greater magnitude are not taken: 2^64 of them still add up without overflow.
pub(crate) const LARGEST: f64 = 1e200;

/// An exact sum of whole numbers and of floats up to [`LARGEST`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Exact {
    whole: i128,
    /// Increasing in magnitude, not overlapping.
    parts: Vec<f64>,
}

impl Exact {
    pub(crate) fn whole(&self) -> i128 {
        self.whole
    }

    pub(crate) fn parts(&self) -> &[f64] {
        &self.parts
    }

    #[inline]
    pub(crate) fn add_whole(&mut self, n: i128) {
        self.whole += n;
    }

    pub(crate) fn add(&mut self, mut x: f64) {
        let mut kept = 0;
        for read in 0..self.parts.len() {
            let Some(mut y) = self.parts.get(read).copied() else { break };
            if x.abs() < y.abs() {
                std::mem::swap(&mut x, &mut y);
            }
            let high = x + y;
            let low = y - (high - x);
            if low != 0.0 {
                if let Some(part) = self.parts.get_mut(kept) {
                    *part = low;
                }
                kept += 1;
            }
            x = high;
        }
        self.parts.truncate(kept);
        if x != 0.0 {
            self.parts.push(x);
        }
    }

    /// Multiplies the float part by a power of two.
    pub(crate) fn scale(&mut self, power_of_two: f64) {
        for part in &mut self.parts {
            *part *= power_of_two;
        }
        self.parts.retain(|part| *part != 0.0);
    }

    /// The sum, rounded once, to the nearest float, ties to even.
    pub(crate) fn total(&self) -> f64 {
        if self.parts.is_empty() {
            return self.whole as f64;
        }
        if self.whole == 0 {
            return round(&self.parts);
        }
        let mut all = self.clone();
        let mut rest = std::mem::take(&mut all.whole);
        while rest != 0 {
            let head = rest as f64;
            all.add(head);
            rest -= head as i128;
        }
        round(&all.parts)
    }
}

/// The nearest float to an expansion.
fn round(parts: &[f64]) -> f64 {
    let mut below = parts.iter().rev().copied();
    let mut high = below.next().unwrap_or_default();
    while let Some(y) = below.next() {
        let x = high;
        high = x + y;
        let low = y - (high - x);
        if low != 0.0 {
            // Half way between two floats, what lies further below decides.
            if let Some(next) = below.next()
                && ((low < 0.0 && next < 0.0) || (low > 0.0 && next > 0.0))
            {
                let twice = low * 2.0;
                let up = high + twice;
                if up - high == twice {
                    high = up;
                }
            }
            break;
        }
    }
    // No sum is a negative zero.
    high + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(terms: &[f64], expected: f64) {
        let mut sum = Exact::default();
        terms.iter().for_each(|x| sum.add(*x));
        assert_eq!(sum.total(), expected, "{terms:?}");
    }

    #[test]
    fn nothing_is_lost() {
        check(&[0.1; 10], 1.0);
        check(&[1e16, 1.0, -1e16], 1.0);
        check(&[1e100, 1.0, -1e100, 1e-100], 1.0);
        check(&[1.0, 2f64.powi(-53), 2f64.powi(-106)], 1.0 + f64::EPSILON);
        check(&[1.0, 2f64.powi(-53)], 1.0);
        check(&[5e-324, 5e-324], 1e-323);
        check(&[], 0.0);
    }

    #[test]
    fn whole_numbers_and_floats_add_up_together() {
        let mut sum = Exact::default();
        sum.add_whole(i128::from(i64::MAX) * 3);
        sum.add(0.5);
        sum.add_whole(-i128::from(i64::MAX) * 3);
        assert_eq!(sum.total(), 0.5);
    }

    proptest! {
        /// Multiples of 2^-10 below 2^40 are whole numbers in disguise.
        #[test]
        fn the_order_does_not_matter_and_the_sum_is_right(
            terms in prop::collection::vec(-(1_i64 << 50)..(1_i64 << 50), 0..40),
            at in any::<prop::sample::Index>(),
        ) {
            let expected = terms.iter().map(|n| i128::from(*n)).sum::<i128>() as f64 / 1024.0;
            let mut floats: Vec<f64> = terms.iter().map(|n| *n as f64 / 1024.0).collect();
            check(&floats, expected);
            let turn = at.index(floats.len() + 1);
            floats.rotate_left(turn);
            check(&floats, expected);
        }

        #[test]
        fn any_order_of_any_floats_gives_the_same(mut terms in prop::collection::vec(-1e150..1e150_f64, 0..20)) {
            let total = |terms: &[f64]| {
                let mut sum = Exact::default();
                terms.iter().for_each(|x| sum.add(*x));
                sum.total()
            };
            let one = total(&terms);
            terms.sort_by(f64::total_cmp);
            prop_assert_eq!(one.to_bits(), total(&terms).to_bits());
        }
    }
}
