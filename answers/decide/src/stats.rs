//! Intervals for differences between two groups, 95 % each.

use serde::Serialize;

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A number with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The lower end; `None` where too little is known.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

/// Successes among trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) successes: u64,
    pub(crate) n: u64,
}

/// Sums of whole numbers, exact and so the same in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) n: u64,
    pub(crate) sum: i128,
    pub(crate) squares: i128,
}

impl Rate {
    /// Wilson's score interval.
    ///
    /// # Source
    /// Wilson 1927, doi:10.1080/01621459.1927.10502953
    pub(crate) fn estimate(self) -> Estimate {
        if self.n == 0 {
            return Estimate { value: 0.0, low: None, high: None };
        }
        let n = self.n as f64;
        let p = self.successes as f64 / n;
        let centre = p + Z * Z / (2.0 * n);
        let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        let (low, high) = ((centre - spread) / scale, (centre + spread) / scale);
        Estimate { value: p, low: Some(low.max(0.0)), high: Some(high.min(1.0)) }
    }

    /// The difference of two rates, by Newcombe's hybrid score interval.
    ///
    /// # Source
    /// Newcombe 1998, method 10, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I
    pub(crate) fn minus(self, other: Rate) -> Estimate {
        let (a, b) = (self.estimate(), other.estimate());
        let value = a.value - b.value;
        let (Some(al), Some(ah), Some(bl), Some(bh)) = (a.low, a.high, b.low, b.high) else {
            return Estimate { value, low: None, high: None };
        };
        let low = value - ((a.value - al).powi(2) + (bh - b.value).powi(2)).sqrt();
        let high = value + ((ah - a.value).powi(2) + (b.value - bl).powi(2)).sqrt();
        Estimate { value, low: Some(low), high: Some(high) }
    }
}

impl Sums {
    pub(crate) fn add(&mut self, x: i64) {
        self.n += 1;
        self.sum += i128::from(x);
        self.squares += i128::from(x) * i128::from(x);
    }

    pub(crate) fn mean(self) -> f64 {
        if self.n == 0 { 0.0 } else { self.sum as f64 / self.n as f64 }
    }

    /// The unbiased variance. From whole numbers: n Σx² − (Σx)² has no rounding to cancel.
    fn variance(self) -> Option<f64> {
        let n = i128::from(self.n);
        let spread = n.checked_mul(self.squares)?.checked_sub(self.sum.checked_mul(self.sum)?)?;
        (n > 1).then(|| spread as f64 / (n as f64 * (n - 1) as f64))
    }

    /// The difference of two means, by Welch's interval.
    ///
    /// # Source
    /// Welch 1947, doi:10.1093/biomet/34.1-2.28
    pub(crate) fn minus(self, other: Sums) -> Estimate {
        let value = self.mean() - other.mean();
        let (Some(va), Some(vb)) = (self.variance(), other.variance()) else {
            return Estimate { value, low: None, high: None };
        };
        let (na, nb) = (self.n as f64, other.n as f64);
        let (ea, eb) = (va / na, vb / nb);
        let error = ea + eb;
        if error == 0.0 {
            return Estimate { value, low: Some(value), high: Some(value) };
        }
        let freedom = error * error / (ea * ea / (na - 1.0) + eb * eb / (nb - 1.0));
        let spread = student_975(freedom) * error.sqrt();
        Estimate { value, low: Some(value - spread), high: Some(value + spread) }
    }
}

/// The 97.5 % quantile of Student's t, by halving: its distribution function is monotone.
fn student_975(freedom: f64) -> f64 {
    if freedom > 1e5 {
        // The first terms of its expansion around the normal quantile are exact to 1e-9 here.
        return Z + (Z.powi(3) + Z) / (4.0 * freedom);
    }
    let (mut low, mut high) = (0.0, 1.0);
    while student_upper(high, freedom) > 0.025 && high < 1e6 {
        high *= 2.0;
    }
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if student_upper(middle, freedom) > 0.025 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// P(T > t) for t ≥ 0.
fn student_upper(t: f64, freedom: f64) -> f64 {
    0.5 * beta_regularized(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// The regularised incomplete beta function by its continued fraction (Lentz).
///
/// # Source
/// DLMF 8.17.22, <https://dlmf.nist.gov/8.17#v>
fn beta_regularized(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    // The fraction converges fast on one side; the other side follows by symmetry.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_regularized(1.0 - x, b, a);
    }
    let log = a * x.ln() + b * (1.0 - x).ln() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b);
    let tiny = 1e-300;
    let guard = |x: f64| if x.abs() < tiny { tiny } else { x };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..500 {
        let m = f64::from(m);
        for coefficient in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / guard(1.0 + coefficient * d);
            c = guard(1.0 + coefficient / c);
            fraction *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (log.exp() * fraction / a).clamp(0.0, 1.0)
}

/// ln Γ(x) for x > 0, by Stirling's series after shifting x up.
fn ln_gamma(x: f64) -> f64 {
    let mut shift = 0.0;
    let mut x = x;
    while x < 12.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series =
        (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1_260.0 - r * (1.0 / 1_680.0 - r / 1_188.0)))) / x;
    shift + (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64, within: f64) {
        assert!((got - expected).abs() <= within, "{got} is not {expected}");
    }

    fn check(a: (u64, u64), b: (u64, u64), low: f64, high: f64) {
        let got = Rate { successes: a.0, n: a.1 }.minus(Rate { successes: b.0, n: b.1 });
        close(got.low.unwrap(), low, 5e-5);
        close(got.high.unwrap(), high, 5e-5);
    }

    /// The rows of method 10 in table II of Newcombe 1998.
    #[test]
    fn newcombes_published_intervals() {
        check((56, 70), (48, 80), 0.0524, 0.3339);
        check((9, 10), (3, 10), 0.1705, 0.8090);
        check((6, 7), (2, 7), 0.0582, 0.8062);
        check((5, 56), (0, 29), -0.0381, 0.1926);
        check((0, 10), (0, 20), -0.1611, 0.2775);
        check((0, 10), (0, 10), -0.2775, 0.2775);
        check((10, 10), (0, 20), 0.6791, 1.0000);
        check((10, 10), (0, 10), 0.6075, 1.0000);
    }

    /// Published quantiles of Student's t.
    #[test]
    fn students_quantiles() {
        for (freedom, expected) in [
            (1.0, 12.706_204_736),
            (2.0, 4.302_652_730),
            (5.0, 2.570_581_836),
            (10.0, 2.228_138_852),
            (30.0, 2.042_272_456),
            (120.0, 1.979_930_405),
            (1_000.0, 1.962_339_080),
            (1e9, Z),
        ] {
            close(student_975(freedom), expected, 1e-8);
        }
    }

    #[test]
    fn gamma_at_known_points() {
        close(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln(), 1e-13);
        close(ln_gamma(1.0), 0.0, 1e-13);
        close(ln_gamma(11.0), 3_628_800_f64.ln(), 1e-12);
    }

    /// By hand: 5.608 degrees of freedom; the quantile 2.48897 from integrating the density by Simpson's rule.
    #[test]
    fn welch_by_hand() {
        let sums = |xs: &[i64]| {
            let mut sums = Sums::default();
            xs.iter().for_each(|x| sums.add(*x));
            sums
        };
        let (a, b) = (sums(&[1, 2, 3, 4, 5, 9]), sums(&[2, 2, 3, 3]));
        close(a.variance().unwrap(), 8.0, 1e-12);
        close(b.variance().unwrap(), 1.0 / 3.0, 1e-12);
        let got = a.minus(b);
        close(got.value, 1.5, 1e-12);
        close(got.low.unwrap(), -1.462_471_687_5, 1e-9);
        close(got.high.unwrap(), 4.462_471_687_5, 1e-9);
        assert_eq!(sums(&[1]).minus(b).low, None);
    }
}
