//! All figures of one model on one set of rows, and two models against each other.

use serde::{Deserialize, Serialize};

use super::bootstrap::{percentile, resample, reversed};
use super::{Comparison, Estimate, auc, auc_difference, check};
use crate::Error;
use crate::math::log_loss;

/// Groups of equal size for the calibration error.
const N_BINS: usize = 10;

/// What a wrong answer costs, in any one unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Acting on a case that turns out to be a no.
    pub false_positive: f64,
    /// Not acting on a case that turns out to be a yes.
    pub false_negative: f64,
}

impl Costs {
    /// The probability from which acting is cheaper than not acting (Elkan 2001).
    ///
    /// # Errors
    /// [`Error::BadParameter`] unless both costs are above zero.
    pub fn threshold(&self) -> Result<f64, Error> {
        for (name, cost) in [("false_positive", self.false_positive), ("false_negative", self.false_negative)]
        {
            if !(cost > 0.0 && cost.is_finite()) {
                return Err(Error::BadParameter { name, value: cost.to_string(), expected: "more than 0" });
            }
        }
        Ok(self.false_positive / (self.false_positive + self.false_negative))
    }
}

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Decides the threshold for precision and recall.
    pub costs: Costs,
    /// Share of rows, best first, that lift looks at.
    pub lift_share: f64,
    /// Resamples behind the intervals.
    pub n_draws: usize,
    /// Decides the resamples.
    pub seed: u64,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            costs: Costs { false_positive: 1.0, false_negative: 1.0 },
            lift_share: 0.1,
            n_draws: 500,
            seed: 0,
        }
    }
}

/// How good probabilities are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows measured on.
    pub n_rows: usize,
    /// Of these, with outcome yes.
    pub n_positives: usize,
    /// How often a yes scores above a no. Interval by DeLong.
    pub auc: Estimate,
    /// Mean negative log-likelihood, in nats.
    pub log_loss: Estimate,
    /// Mean squared error of the probability.
    pub brier: Estimate,
    /// Mean distance between probability and share of yes over ten groups of equal size.
    pub calibration_error: Estimate,
    /// Share of rows, best first, that `lift` looks at.
    pub lift_share: f64,
    /// How many times more yes among the best than overall.
    pub lift: Estimate,
    /// The probability from which to act.
    pub threshold: f64,
    /// Share of yes among rows acted on; `None` where there are none.
    pub precision: Option<Estimate>,
    /// Share of the yes that are acted on.
    pub recall: Estimate,
    /// Mean cost of a row when acting from the threshold on.
    pub cost: Estimate,
}

/// Measures probabilities against outcomes.
///
/// # Errors
/// [`Error::OneOutcome`], [`Error::LengthsDiffer`], [`Error::BadScore`] for what is no probability,
/// [`Error::BadParameter`] for a share or cost out of range.
pub fn evaluate(probabilities: &[f64], labels: &[bool], what: &Evaluation) -> Result<Metrics, Error> {
    check(probabilities, labels, "a probability from 0 to 1", |p| (0.0..=1.0).contains(&p))?;
    let threshold = what.costs.threshold()?;
    if !(what.lift_share > 0.0 && what.lift_share <= 1.0) {
        return Err(Error::BadParameter {
            name: "lift_share",
            value: what.lift_share.to_string(),
            expected: "more than 0, at most 1",
        });
    }
    let rows = Ranked::new(probabilities, labels, threshold);
    let once = vec![1; labels.len()];
    let value = rows.figures(&once, what);
    let mut draws: Vec<Figures> = Vec::with_capacity(what.n_draws);
    resample(labels.len(), what.n_draws, what.seed, |counts| draws.push(rows.figures(counts, what)));
    let interval =
        |figure: fn(&Figures) -> f64| percentile(figure(&value), draws.iter().map(figure).collect());
    let calibration_error =
        reversed(value.calibration_error, draws.iter().map(|d| d.calibration_error).collect());
    Ok(Metrics {
        n_rows: labels.len(),
        n_positives: labels.iter().filter(|l| **l).count(),
        auc: auc(probabilities, labels)?,
        log_loss: interval(|f| f.log_loss),
        brier: interval(|f| f.brier),
        calibration_error,
        lift_share: what.lift_share,
        lift: interval(|f| f.lift),
        threshold,
        precision: (!value.precision.is_nan()).then(|| interval(|f| f.precision)),
        recall: interval(|f| f.recall),
        cost: interval(|f| f.cost),
    })
}

/// Compares two models on the same rows: second minus first.
///
/// # Errors
/// As [`evaluate`].
pub fn compare(
    first: &[f64],
    second: &[f64],
    labels: &[bool],
    what: &Evaluation,
) -> Result<Comparison, Error> {
    for probabilities in [first, second] {
        check(probabilities, labels, "a probability from 0 to 1", |p| (0.0..=1.0).contains(&p))?;
    }
    let differences = |score: fn(f64, bool) -> f64| -> Vec<f64> {
        let pairs = first.iter().zip(second).zip(labels);
        pairs.map(|((a, b), label)| score(*b, *label) - score(*a, *label)).collect()
    };
    let (losses, squares) = (differences(log_loss), differences(squared_error));
    let n = labels.len() as f64;
    let mean = |values: &[f64], counts: &[u32]| {
        values.iter().zip(counts).map(|(v, c)| v * f64::from(*c)).sum::<f64>() / n
    };
    let (mut loss_draws, mut square_draws) = (Vec::new(), Vec::new());
    resample(labels.len(), what.n_draws, what.seed, |counts| {
        loss_draws.push(mean(&losses, counts));
        square_draws.push(mean(&squares, counts));
    });
    let once = vec![1; labels.len()];
    Ok(Comparison {
        auc: auc_difference(first, second, labels)?,
        log_loss: percentile(mean(&losses, &once), loss_draws),
        brier: percentile(mean(&squares, &once), square_draws),
    })
}

fn squared_error(p: f64, label: bool) -> f64 {
    (p - f64::from(u8::from(label))).powi(2)
}

/// One value of each figure.
struct Figures {
    log_loss: f64,
    brier: f64,
    calibration_error: f64,
    lift: f64,
    precision: f64,
    recall: f64,
    cost: f64,
}

struct Row {
    probability: f64,
    label: bool,
    log_loss: f64,
    squared_error: f64,
    acts: bool,
    bin: usize,
}

/// Rows by falling probability, with what each adds to the figures.
struct Ranked {
    rows: Vec<Row>,
}

impl Ranked {
    fn new(probabilities: &[f64], labels: &[bool], threshold: f64) -> Self {
        let mut rows: Vec<Row> = probabilities
            .iter()
            .zip(labels)
            .map(|(p, label)| Row {
                probability: *p,
                label: *label,
                log_loss: log_loss(*p, *label),
                squared_error: squared_error(*p, *label),
                acts: *p >= threshold,
                bin: 0,
            })
            .collect();
        // equal probabilities by label, so that the order of the input does not show in any sum
        rows.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(b.label.cmp(&a.label)));
        let n = rows.len();
        let mut seen = 0;
        for tied in rows.chunk_by_mut(|a, b| a.probability == b.probability) {
            let bin = (seen * N_BINS / n.max(1)).min(N_BINS - 1);
            seen += tied.len();
            tied.iter_mut().for_each(|row| row.bin = bin);
        }
        Self { rows }
    }

    /// The figures where each row counts as often as `counts` says.
    fn figures(&self, counts: &[u32], what: &Evaluation) -> Figures {
        let (mut n, mut n_yes, mut losses, mut squares) = (0.0, 0.0, 0.0, 0.0);
        let (mut acted, mut acted_yes) = (0.0, 0.0);
        let mut bins = [(0.0, 0.0); N_BINS];
        for (row, count) in self.rows.iter().zip(counts) {
            let count = f64::from(*count);
            let yes = if row.label { count } else { 0.0 };
            n += count;
            n_yes += yes;
            losses += count * row.log_loss;
            squares += count * row.squared_error;
            if row.acts {
                acted += count;
                acted_yes += yes;
            }
            if let Some((expected, seen)) = bins.get_mut(row.bin) {
                *expected += count * row.probability;
                *seen += yes;
            }
        }
        let costs = what.costs;
        Figures {
            log_loss: losses / n,
            brier: squares / n,
            calibration_error: bins.iter().map(|(expected, seen)| (expected - seen).abs()).sum::<f64>() / n,
            lift: self.yes_among_best(counts, n * what.lift_share) / (n_yes * what.lift_share),
            precision: acted_yes / acted,
            recall: acted_yes / n_yes,
            cost: (costs.false_positive * (acted - acted_yes) + costs.false_negative * (n_yes - acted_yes))
                / n,
        }
    }

    /// Yes among the `n_best` best; of rows with equal probability at the edge, their share.
    fn yes_among_best(&self, counts: &[u32], n_best: f64) -> f64 {
        let (mut left, mut yes) = (n_best, 0.0);
        let mut counts = counts.iter();
        for tied in self.rows.chunk_by(|a, b| a.probability == b.probability) {
            let (mut n_here, mut yes_here) = (0.0, 0.0);
            for (row, count) in tied.iter().zip(counts.by_ref()) {
                n_here += f64::from(*count);
                yes_here += if row.label { f64::from(*count) } else { 0.0 };
            }
            if n_here >= left {
                return yes + if n_here > 0.0 { yes_here * left / n_here } else { 0.0 };
            }
            left -= n_here;
            yes += yes_here;
        }
        yes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(got: f64, due: f64) {
        assert!((got - due).abs() < 1e-12, "{got} {due}");
    }

    #[test]
    fn agrees_with_published_examples() {
        let what = Evaluation::default();
        // scikit-learn's documented examples of brier_score_loss and log_loss
        let m = evaluate(&[0.1, 0.9, 0.8, 0.3], &[false, true, true, false], &what).unwrap();
        near(m.brier.value, 0.0375);
        let m = evaluate(&[0.9, 0.1, 0.2, 0.65], &[true, false, false, true], &what).unwrap();
        assert!((m.log_loss.value - 0.21616).abs() < 1e-5, "{}", m.log_loss);
    }

    #[test]
    fn by_hand() {
        let p = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05];
        let labels = [true, false, true, true, false, false, false, true, false, false];
        let costs = Costs { false_positive: 1.0, false_negative: 3.0 };
        let what = Evaluation { costs, lift_share: 0.2, ..Evaluation::default() };
        let m = evaluate(&p, &labels, &what).unwrap();
        near(m.threshold, 0.25);
        near(m.precision.unwrap().value, 3.0 / 7.0); // acts on the first seven
        near(m.recall.value, 3.0 / 4.0);
        near(m.cost.value, (4.0 + 3.0) / 10.0);
        near(m.lift.value, (1.0 / 2.0) / (4.0 / 10.0)); // one of the best two, four of ten overall
        let expected = [0.1, 0.8, 0.3, 0.4, 0.5, 0.4, 0.3, 0.8, 0.1, 0.05];
        near(m.calibration_error.value, expected.iter().sum::<f64>() / 10.0); // ten groups of one
        assert_eq!((m.n_rows, m.n_positives), (10, 4));
    }

    #[test]
    fn ties_at_the_edge_count_by_their_share() {
        let labels = [true, true, false, false, false, false, false, false, false, false];
        let what = Evaluation { lift_share: 0.2, ..Evaluation::default() };
        near(evaluate(&[0.3; 10], &labels, &what).unwrap().lift.value, 1.0);
        let m = evaluate(&[0.3; 10], &labels, &what).unwrap();
        assert!(m.precision.is_none());
        near(m.calibration_error.value, 0.1);
    }

    #[test]
    fn refuses_what_is_no_probability() {
        let what = Evaluation::default();
        let code = |p: &[f64], what: &Evaluation| {
            evaluate(p, &[true, false], what).unwrap_err().to_string()[..6].to_owned()
        };
        assert_eq!(code(&[1.5, 0.0], &what), "MR4515");
        assert_eq!(code(&[f64::NAN, 0.0], &what), "MR4515");
        assert_eq!(code(&[0.5, 0.0], &Evaluation { lift_share: 0.0, ..what }), "MR4511");
        let free = Costs { false_positive: 0.0, false_negative: 1.0 };
        assert_eq!(code(&[0.5, 0.0], &Evaluation { costs: free, ..what }), "MR4511");
    }

    proptest! {
        #[test]
        fn figures_do_not_depend_on_row_order_and_lie_in_their_intervals(
            rows in prop::collection::vec((0_u8..=20, any::<bool>()), 12..60), shift in 1_usize..11
        ) {
            let (p, labels): (Vec<f64>, Vec<bool>) = rows.iter().map(|(p, l)| (f64::from(*p) / 20.0, *l)).unzip();
            let what = Evaluation { n_draws: 50, ..Evaluation::default() };
            if let Ok(m) = evaluate(&p, &labels, &what) {
                let (mut p2, mut l2) = (p.clone(), labels.clone());
                p2.rotate_left(shift);
                l2.rotate_left(shift);
                prop_assert_eq!(&m, &evaluate(&p2, &l2, &what).map(|mut n| { n.auc = m.auc; n }).unwrap());
                for e in [m.auc, m.log_loss, m.brier, m.calibration_error, m.lift, m.recall, m.cost] {
                    prop_assert!(e.low <= e.value && e.value <= e.high, "{e}");
                }
            }
        }
    }

    #[test]
    fn a_comparison_is_the_difference() {
        let labels: Vec<bool> = (0..200).map(|i| i % 3 == 0).collect();
        let good: Vec<f64> =
            (0..200).map(|i| if i % 3 == 0 { 0.6 } else { 0.2 } + f64::from(i % 7) / 40.0).collect();
        let bad: Vec<f64> = (0..200).map(|i| 0.3 + f64::from(i * 31 % 11) / 50.0).collect();
        let what = Evaluation::default();
        let (a, b) = (evaluate(&bad, &labels, &what).unwrap(), evaluate(&good, &labels, &what).unwrap());
        let c = compare(&bad, &good, &labels, &what).unwrap();
        near(c.auc.value, b.auc.value - a.auc.value);
        near(c.log_loss.value, b.log_loss.value - a.log_loss.value);
        near(c.brier.value, b.brier.value - a.brier.value);
        assert!(c.auc.low > 0.0 && c.log_loss.high < 0.0 && c.brier.high < 0.0, "{c:?}");
    }
}
