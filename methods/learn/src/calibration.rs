//! Scores become probabilities: what is said to happen in 30 of 100 cases happens in about 30.
//!
//! A calibrator is fitted on rows the model has not seen. Neither kind changes the order of scores (isotonic may
//! make some equal).

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::linear::{Design, minimise};
use crate::math::{logit, sigmoid};

/// How to calibrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Calibration {
    /// Not at all.
    None,
    /// A logistic curve over the log-odds: two numbers, good for hundreds of rows.
    Platt,
    /// Any rising curve: for thousands of rows.
    Isotonic,
}

/// A fitted calibration: log-odds in, probability out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Calibrator {
    /// Leaves log-odds as they are.
    Identity,
    /// `sigmoid(slope · logit + intercept)`
    Platt {
        /// 0 or more: the order is never turned round.
        slope: f64,
        /// Shifts all.
        intercept: f64,
    },
    /// Straight lines between points that rise in both coordinates.
    Isotonic {
        /// Log-odds.
        logits: Vec<f64>,
        /// Probabilities.
        probabilities: Vec<f64>,
    },
}

impl Calibrator {
    /// Fits on log-odds and outcomes of rows the model has not seen.
    ///
    /// Platt's targets are smoothed and the curve fitted by Newton's method, as in Lin, Lin & Weng 2007
    /// (doi:10.1007/s10994-007-5018-6).
    ///
    /// # Errors
    /// [`Error::OneOutcome`], [`Error::LengthsDiffer`], [`Error::BadScore`].
    pub fn fit(method: Calibration, logits: &[f64], labels: &[bool]) -> Result<Self, Error> {
        crate::metric::check(logits, labels, "finite log-odds", f64::is_finite)?;
        match method {
            Calibration::None => Ok(Calibrator::Identity),
            Calibration::Platt => platt(logits, labels),
            Calibration::Isotonic => Ok(isotonic(logits, labels)),
        }
    }

    /// The probability that belongs to log-odds.
    pub fn probability(&self, score: f64) -> f64 {
        match self {
            Calibrator::Identity => sigmoid(score),
            Calibrator::Platt { slope, intercept } => sigmoid(slope * score + intercept),
            Calibrator::Isotonic { logits, probabilities } => {
                let above = logits.partition_point(|l| *l <= score);
                let at = |i: usize| Some((*logits.get(i)?, *probabilities.get(i)?));
                match (above.checked_sub(1).and_then(at), at(above)) {
                    (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * ((score - x0) / (x1 - x0)),
                    (Some((_, y)), None) | (None, Some((_, y))) => y,
                    (None, None) => sigmoid(score),
                }
            }
        }
    }

    /// Checks what was read from outside.
    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Calibrator::Identity => true,
            Calibrator::Platt { slope, intercept } => {
                slope.is_finite() && *slope >= 0.0 && intercept.is_finite()
            }
            Calibrator::Isotonic { logits, probabilities } => {
                logits.len() == probabilities.len()
                    && logits.iter().all(|l| l.is_finite())
                    && logits.is_sorted_by(|a, b| a < b)
                    && probabilities.is_sorted()
                    && probabilities.iter().all(|p| (0.0..=1.0).contains(p))
            }
        }
    }
}

fn platt(logits: &[f64], labels: &[bool]) -> Result<Calibrator, Error> {
    let n_yes = labels.iter().filter(|l| **l).count() as f64;
    let n_no = labels.len() as f64 - n_yes;
    let (yes, no) = ((n_yes + 1.0) / (n_yes + 2.0), 1.0 / (n_no + 2.0));
    let targets: Vec<f64> = labels.iter().map(|l| if *l { yes } else { no }).collect();
    let mut design = Design::new(2);
    for score in logits {
        design.push_row([(0, 1.0), (1, *score)]);
    }
    let rows: Vec<usize> = (0..labels.len()).collect();
    // the smallest penalty keeps a constant score from having no answer
    let fitted = minimise(&design, &targets, &rows, &[1e-9, 1e-9], &[0.0, 1.0])?;
    match fitted.as_slice() {
        [intercept, slope] if *slope >= 0.0 => Ok(Calibrator::Platt { slope: *slope, intercept: *intercept }),
        // scores that point the wrong way are worth nothing; they are not turned round
        _ => Ok(Calibrator::Platt { slope: 0.0, intercept: logit((n_yes + 1.0) / (n_yes + n_no + 2.0)) }),
    }
}

fn isotonic(logits: &[f64], labels: &[bool]) -> Calibrator {
    let mut rows: Vec<(f64, f64)> =
        logits.iter().zip(labels).map(|(x, l)| (*x, f64::from(u8::from(*l)))).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    // rows with one score are one point
    let points: Vec<(f64, f64, f64)> = rows
        .chunk_by(|a, b| a.0 == b.0)
        .map(|tied| {
            let n = tied.len() as f64;
            (tied.first().map_or(0.0, |t| t.0), tied.iter().map(|t| t.1).sum::<f64>() / n, n)
        })
        .collect();
    let (values, weights): (Vec<f64>, Vec<f64>) = points.iter().map(|(_, y, n)| (*y, *n)).unzip();
    let fitted = pool_adjacent_violators(&values, &weights);
    // each block becomes one point at its centre; nobody is certain: probabilities keep off 0 and 1
    let edge = 1.0 / (rows.len() as f64 + 2.0);
    let blocks: Vec<(&(f64, f64, f64), f64)> = points.iter().zip(fitted).collect();
    let knots = blocks.chunk_by(|a, b| a.1 == b.1).map(|block| {
        let n: f64 = block.iter().map(|(p, _)| p.2).sum();
        let centre = block.iter().map(|(p, _)| p.0 * p.2).sum::<f64>() / n;
        (centre, block.first().map_or(0.0, |b| b.1).clamp(edge, 1.0 - edge))
    });
    let (logits, probabilities) = knots.unzip();
    Calibrator::Isotonic { logits, probabilities }
}

/// The rising sequence nearest to `values` in weighted squares.
///
/// * `weights`: same length, above zero
///
/// # Source
/// Ayer et al. 1955, doi:10.1214/aoms/1177728423
pub fn pool_adjacent_violators(values: &[f64], weights: &[f64]) -> Vec<f64> {
    // blocks of (mean, weight, length)
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(values.len());
    for (value, weight) in values.iter().zip(weights) {
        let mut block = (*value, *weight, 1);
        while let Some((mean, total, length)) = blocks.last().copied()
            && mean >= block.0
        {
            blocks.pop();
            let sum = total + block.1;
            block = ((mean * total + block.0 * block.1) / sum, sum, length + block.2);
        }
        blocks.push(block);
    }
    blocks.into_iter().flat_map(|(mean, _, length)| std::iter::repeat_n(mean, length)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use proptest::prelude::*;

    fn check(values: &[f64], weights: &[f64], expected: &[f64]) {
        let got = pool_adjacent_violators(values, weights);
        assert!(
            got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12),
            "{got:?}"
        );
    }

    #[test]
    fn pools_by_hand() {
        check(&[], &[], &[]);
        check(&[1.0, 2.0, 3.0], &[1.0; 3], &[1.0, 2.0, 3.0]);
        check(&[3.0, 2.0, 1.0], &[1.0; 3], &[2.0; 3]);
        check(&[1.0, 3.0, 2.0, 4.0], &[1.0; 4], &[1.0, 2.5, 2.5, 4.0]);
        check(&[4.0, 1.0], &[1.0, 2.0], &[2.0, 2.0]);
        // the last value pulls two blocks together
        check(&[1.0, 5.0, 6.0, 0.0], &[1.0; 4], &[1.0, 11.0 / 3.0, 11.0 / 3.0, 11.0 / 3.0]);
    }

    proptest! {
        /// The nearest rising sequence: it rises, keeps each block's mean, and every block's head lies above its tail
        /// (the conditions of optimality).
        #[test]
        fn pooling_is_optimal(rows in prop::collection::vec((-5.0_f64..5.0, 0.1_f64..3.0), 1..40)) {
            let (values, weights): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            let fitted = pool_adjacent_violators(&values, &weights);
            prop_assert!(fitted.is_sorted_by(|a, b| a <= b));
            let mut residual = 0.0;
            for i in 0..values.len() {
                residual += weights[i] * (values[i] - fitted[i]);
                prop_assert!(residual >= -1e-9);
                if i + 1 == values.len() || fitted[i + 1] > fitted[i] {
                    prop_assert!(residual.abs() < 1e-9);
                    residual = 0.0;
                }
            }
        }

        #[test]
        fn no_calibration_turns_the_order_round(seed in any::<u64>(), n in 20_usize..200) {
            let (scores, labels) = made_up(seed, n, 0.7, -1.0);
            for method in [Calibration::None, Calibration::Platt, Calibration::Isotonic] {
                let calibrator = Calibrator::fit(method, &scores, &labels).unwrap();
                prop_assert!(calibrator.is_sound());
                let mut sorted = scores.clone();
                sorted.sort_by(f64::total_cmp);
                let p: Vec<f64> = sorted.iter().map(|s| calibrator.probability(*s)).collect();
                prop_assert!(p.is_sorted() && p.iter().all(|p| (0.0..=1.0).contains(p)));
            }
        }
    }

    /// Scores from −4 to 4, outcomes that follow `sigmoid(slope · score + intercept)`; both outcomes occur.
    fn made_up(seed: u64, n: usize, slope: f64, intercept: f64) -> (Vec<f64>, Vec<bool>) {
        let mut rng = Rng::new(seed, 5);
        let scores: Vec<f64> = (0..n).map(|_| rng.below(8_001) as f64 / 1_000.0 - 4.0).collect();
        let chance = |s: &f64| (rng.below(1_000_000) as f64) < 1e6 * sigmoid(slope * s + intercept);
        let mut labels: Vec<bool> = scores.iter().map(chance).collect();
        (labels[0], labels[1]) = (true, false);
        (scores, labels)
    }

    #[test]
    fn finds_the_curve_that_made_the_outcomes() {
        let (scores, labels) = made_up(1, 40_000, 0.6, -0.8);
        let platt = Calibrator::fit(Calibration::Platt, &scores, &labels).unwrap();
        let isotonic = Calibrator::fit(Calibration::Isotonic, &scores, &labels).unwrap();
        for score in [-3.0, -1.0, 0.0, 1.5, 3.0] {
            let truth = sigmoid(0.6 * score - 0.8);
            assert!((platt.probability(score) - truth).abs() < 0.01, "{score}");
            assert!((isotonic.probability(score) - truth).abs() < 0.05, "{score}");
        }
    }

    #[test]
    fn scores_that_say_nothing_give_the_average() {
        let labels: Vec<bool> = (0..100).map(|i| i % 4 == 0).collect();
        for scores in [vec![0.3; 100], (0..100).map(|i| if i % 4 == 0 { -2.0 } else { 2.0 }).collect()] {
            let platt = Calibrator::fit(Calibration::Platt, &scores, &labels).unwrap();
            let isotonic = Calibrator::fit(Calibration::Isotonic, &scores, &labels).unwrap();
            for calibrator in [platt, isotonic] {
                assert!((calibrator.probability(0.3) - 0.25).abs() < 0.02, "{calibrator:?}");
            }
        }
    }
}
