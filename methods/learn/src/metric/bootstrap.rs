//! Intervals by resampling rows with a seed: what the figure might have been with other rows of the same kind.
//! (Efron & Tibshirani 1993, chapter 13)

use super::Estimate;
use crate::rng::Rng;

/// Draws `n_rows` of `n_rows` rows with replacement, `n_draws` times, and hands over how often each was drawn.
pub(super) fn resample(n_rows: usize, n_draws: usize, seed: u64, mut with: impl FnMut(&[u32])) {
    let mut rng = Rng::new(seed, 4);
    let mut counts = vec![0_u32; n_rows];
    for _ in 0..n_draws {
        counts.fill(0);
        for _ in 0..n_rows {
            if let Some(count) = counts.get_mut(rng.below(n_rows as u64) as usize) {
                *count += 1;
            }
        }
        with(&counts);
    }
}

/// The middle 95 % of the draws. An interval never excludes its figure.
pub(super) fn percentile(value: f64, draws: Vec<f64>) -> Estimate {
    let (low, high) = middle(draws).unwrap_or((value, value));
    Estimate { value, low: low.min(value), high: high.max(value) }
}

/// The same, turned round the figure: for figures that resampling pushes up, like a calibration error.
pub(super) fn reversed(value: f64, draws: Vec<f64>) -> Estimate {
    let (low, high) = middle(draws).unwrap_or((value, value));
    Estimate { value, low: (2.0 * value - high).clamp(0.0, value), high: (2.0 * value - low).max(value) }
}

fn middle(mut draws: Vec<f64>) -> Option<(f64, f64)> {
    draws.retain(|d| !d.is_nan());
    draws.sort_by(f64::total_cmp);
    let last = draws.len().checked_sub(1)?;
    let at = |share: f64| draws.get((share * last as f64).round() as usize).copied();
    Some((at(0.025)?, at(0.975)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bootstrap interval of a mean is close to the textbook one, ± 1.96 standard errors.
    #[test]
    fn agrees_with_the_textbook_on_a_mean() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i * 37 % 101)).collect();
        let mean = values.iter().sum::<f64>() / 400.0;
        let spread = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 399.0 / 400.0).sqrt();
        let mut draws = Vec::new();
        resample(400, 2_000, 1, |counts| {
            draws.push(values.iter().zip(counts).map(|(v, n)| v * f64::from(*n)).sum::<f64>() / 400.0);
        });
        let got = percentile(mean, draws);
        assert!((got.low - (mean - 1.96 * spread)).abs() < 0.2 * spread, "{got} {mean} {spread}");
        assert!((got.high - (mean + 1.96 * spread)).abs() < 0.2 * spread, "{got} {mean} {spread}");
    }
}
