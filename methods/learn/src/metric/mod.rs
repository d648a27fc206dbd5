//! How good scores are, and how sure one can be of it: every figure comes with a 95 % interval.

mod auc;
mod bootstrap;
mod report;

use serde::{Deserialize, Serialize};

pub use auc::{auc, auc_difference};
pub use report::{Costs, Evaluation, Metrics, compare, evaluate};

use crate::Error;

/// A figure and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.4} ({:.4} to {:.4})", self.value, self.low, self.high)
    }
}

/// Two models on the same rows: second minus first, with 95 % intervals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Higher is better for the second. Interval by DeLong's paired method.
    pub auc: Estimate,
    /// Lower is better for the second. Interval by paired bootstrap.
    pub log_loss: Estimate,
    /// Lower is better for the second. Interval by paired bootstrap.
    pub brier: Estimate,
}

pub(crate) fn check(
    scores: &[f64],
    labels: &[bool],
    expected: &'static str,
    fits: impl Fn(f64) -> bool,
) -> Result<(), Error> {
    if scores.len() != labels.len() {
        let n_rows = labels.len();
        return Err(Error::LengthsDiffer { what: "scores".into(), n_given: scores.len(), n_rows });
    }
    if labels.is_empty() {
        return Err(Error::Empty);
    }
    if let Some((row, value)) = scores.iter().enumerate().find(|(_, s)| !fits(**s)) {
        return Err(Error::BadScore { row, value: *value, expected });
    }
    let n_positives = labels.iter().filter(|l| **l).count();
    if n_positives == 0 || n_positives == labels.len() {
        return Err(Error::OneOutcome { outcome: n_positives > 0, n_rows: labels.len() });
    }
    Ok(())
}
