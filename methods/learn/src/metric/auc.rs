//! The area under the ROC curve: how often a yes scores higher than a no, a tie counting half.
//!
//! Intervals by DeLong, DeLong & Clarke-Pearson 1988 (doi:10.2307/2531595), from the placements of each row among
//! those of the other outcome, which one sort yields (Sun & Xu 2014, doi:10.1109/LSP.2014.2337313).

use super::{Estimate, check};
use crate::Error;

/// 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The AUC of scores (any numbers that order the rows) with its interval.
///
/// # Errors
/// [`Error::OneOutcome`], [`Error::LengthsDiffer`], [`Error::BadScore`] for NaN.
pub fn auc(scores: &[f64], labels: &[bool]) -> Result<Estimate, Error> {
    let own = placements(scores, labels)?;
    Ok(interval(own.auc, own.variance_with(&own), (0.0, 1.0)))
}

/// The AUC of the second scores minus that of the first, on the same rows.
///
/// # Errors
/// As [`auc`].
pub fn auc_difference(first: &[f64], second: &[f64], labels: &[bool]) -> Result<Estimate, Error> {
    let (a, b) = (placements(first, labels)?, placements(second, labels)?);
    let variance = a.variance_with(&a) + b.variance_with(&b) - 2.0 * a.variance_with(&b);
    Ok(interval(b.auc - a.auc, variance, (-1.0, 1.0)))
}

fn interval(value: f64, variance: f64, (least, most): (f64, f64)) -> Estimate {
    // one row of an outcome says nothing about spread (variance NaN): anything is possible
    let half = if variance.is_nan() { f64::INFINITY } else { Z * variance.max(0.0).sqrt() };
    Estimate { value, low: (value - half).max(least), high: (value + half).min(most) }
}

/// For each row the share of rows of the other outcome that it is on the right side of.
struct Placements {
    auc: f64,
    of_yes: Vec<f64>,
    of_no: Vec<f64>,
}

impl Placements {
    /// Covariance of two AUCs over the same rows; with itself the variance.
    fn variance_with(&self, other: &Self) -> f64 {
        covariance(&self.of_yes, self.auc, &other.of_yes, other.auc)
            + covariance(&self.of_no, self.auc, &other.of_no, other.auc)
    }
}

/// Covariance of two means.
fn covariance(a: &[f64], mean_a: f64, b: &[f64], mean_b: f64) -> f64 {
    let n = a.len() as f64;
    let sum: f64 = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum();
    sum / (n - 1.0) / n
}

fn placements(scores: &[f64], labels: &[bool]) -> Result<Placements, Error> {
    check(scores, labels, "a number", |s| !s.is_nan())?;
    let mut order: Vec<(f64, bool, usize)> =
        scores.iter().zip(labels).enumerate().map(|(i, (s, l))| (*s, *l, i)).collect();
    order.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
    let n_yes = labels.iter().filter(|l| **l).count();
    let n_no = labels.len() - n_yes;
    let mut by_row = vec![0.0; labels.len()];
    let (mut yes_below, mut no_below) = (0, 0);
    // counted in halves, so that the sum is exact
    let mut halves: u128 = 0;
    for tied in order.chunk_by(|a, b| a.0 == b.0) {
        let yes_here = tied.iter().filter(|t| t.1).count();
        let no_here = tied.len() - yes_here;
        for (_, label, row) in tied {
            let right = if *label {
                (2 * no_below + no_here) as f64 / (2 * n_no) as f64
            } else {
                (2 * (n_yes - yes_below) - yes_here) as f64 / (2 * n_yes) as f64
            };
            if let Some(place) = by_row.get_mut(*row) {
                *place = right;
            }
        }
        halves += (yes_here as u128) * (2 * no_below + no_here) as u128;
        yes_below += yes_here;
        no_below += no_here;
    }
    let of = |outcome: bool| -> Vec<f64> {
        by_row.iter().zip(labels).filter(|(_, l)| **l == outcome).map(|(p, _)| *p).collect()
    };
    let auc = halves as f64 / (2.0 * n_yes as f64 * n_no as f64);
    Ok(Placements { auc, of_yes: of(true), of_no: of(false) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(scores: &[f64], yes: &[usize], value: f64) {
        let labels: Vec<bool> = (0..scores.len()).map(|i| yes.contains(&i)).collect();
        let got = auc(scores, &labels).unwrap();
        assert!((got.value - value).abs() < 1e-15 && got.low <= value && value <= got.high, "{got}");
    }

    #[test]
    fn by_hand() {
        // scikit-learn's documented example
        check(&[0.1, 0.4, 0.35, 0.8], &[2, 3], 0.75);
        check(&[1.0, 2.0, 3.0, 4.0], &[2, 3], 1.0);
        check(&[4.0, 3.0, 2.0, 1.0], &[2, 3], 0.0);
        check(&[7.0; 6], &[1, 2], 0.5);
        // pairs: 2>1, 2=2 half, 3>1, 3>2, 1=1 half, 1<2 → (1 + .5 + 1 + 1 + .5 + 0) / 6
        check(&[2.0, 3.0, 1.0, 1.0, 2.0], &[0, 1, 2], 4.0 / 6.0);
        check(&[0.0, -0.0, 1.0], &[0], 0.25);
    }

    /// The definition: sums over all pairs.
    fn by_pairs(scores: &[f64], labels: &[bool]) -> (Vec<f64>, Vec<f64>, f64) {
        let of = |l: bool| -> Vec<f64> {
            scores.iter().zip(labels).filter(|(_, b)| **b == l).map(|(s, _)| *s).collect()
        };
        let (yes, no) = (of(true), of(false));
        let psi = |x: f64, y: f64| {
            if x > y {
                1.0
            } else if x == y {
                0.5
            } else {
                0.0
            }
        };
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let of_yes: Vec<f64> = yes.iter().map(|x| mean(no.iter().map(|y| psi(*x, *y)).collect())).collect();
        let of_no: Vec<f64> = no.iter().map(|y| mean(yes.iter().map(|x| psi(*x, *y)).collect())).collect();
        let auc = mean(of_yes.clone());
        (of_yes, of_no, auc)
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(rows in prop::collection::vec((0_u8..12, 0_u8..12, any::<bool>()), 8..60)) {
            let labels: Vec<bool> = rows.iter().map(|r| r.2).collect();
            let (yes, n) = (labels.iter().filter(|l| **l).count(), labels.len());
            prop_assume!(yes > 1 && n - yes > 1);
            let column = |f: fn(&(u8, u8, bool)) -> u8| rows.iter().map(|r| f64::from(f(r))).collect::<Vec<f64>>();
            let (a, b) = (column(|r| r.0), column(|r| r.1));
            let (pa, pb) = (by_pairs(&a, &labels), by_pairs(&b, &labels));
            let cov = |x: &[f64], mx: f64, y: &[f64], my: f64| {
                x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>() / (x.len() as f64 - 1.0) / x.len() as f64
            };
            let s = |p: &(Vec<f64>, Vec<f64>, f64), q: &(Vec<f64>, Vec<f64>, f64)| {
                cov(&p.0, p.2, &q.0, q.2) + cov(&p.1, p.2, &q.1, q.2)
            };
            let half = 1.959_963_984_540_054 * (s(&pa, &pa) + s(&pb, &pb) - 2.0 * s(&pa, &pb)).max(0.0).sqrt();
            let got = auc_difference(&a, &b, &labels).unwrap();
            prop_assert!((got.value - (pb.2 - pa.2)).abs() < 1e-12);
            prop_assert!((got.low - (pb.2 - pa.2 - half).max(-1.0)).abs() < 1e-9);
            prop_assert!((got.high - (pb.2 - pa.2 + half).min(1.0)).abs() < 1e-9);
        }

        #[test]
        fn only_the_order_counts(rows in prop::collection::vec((-50_i32..50, any::<bool>()), 4..80)) {
            let (scores, labels): (Vec<f64>, Vec<bool>) = rows.iter().map(|(s, l)| (f64::from(*s), *l)).unzip();
            if let Ok(before) = auc(&scores, &labels) {
                let moved: Vec<f64> = scores.iter().map(|s| (s / 20.0).exp() * 3.0 - 7.0).collect();
                prop_assert_eq!(before, auc(&moved, &labels).unwrap());
                let turned: Vec<f64> = scores.iter().map(|s| -s).collect();
                prop_assert!((auc(&turned, &labels).unwrap().value - (1.0 - before.value)).abs() < 1e-12);
                let same = auc_difference(&scores, &moved, &labels).unwrap();
                prop_assert!(same.value == 0.0 && (same.high - same.low).abs() < 1e-6 || same.high > 0.9);
            }
        }
    }

    #[test]
    fn refuses_what_has_no_answer() {
        let code = |s: &[f64], l: &[bool]| auc(s, l).unwrap_err().to_string()[..6].to_owned();
        assert_eq!(code(&[], &[]), "MR4501");
        assert_eq!(code(&[1.0], &[true, false]), "MR4502");
        assert_eq!(code(&[1.0, 2.0], &[true, true]), "MR4505");
        assert_eq!(code(&[1.0, f64::NAN], &[true, false]), "MR4515");
    }

    #[test]
    fn one_row_of_an_outcome_leaves_everything_open() {
        let got = auc(&[1.0, 2.0, 3.0], &[false, false, true]).unwrap();
        assert_eq!((got.value, got.low, got.high), (1.0, 0.0, 1.0));
    }
}
