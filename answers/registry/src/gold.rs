//! What a version showed on a gold set: cases with a known answer that people keep beside a use case.
//!
//! A gold set is small and chosen; it asks another question than the test rows do: does the version still know what
//! everybody knows?

use learn::metric::Estimate;
use serde::{Deserialize, Serialize};

/// A version's figures on one gold set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gold {
    /// The use case it belongs to.
    pub use_case: String,
    /// The file, as the use case names it.
    pub file: String,
    /// Rows that were scored.
    pub n_rows: u64,
    /// Rows left out because the person did not consent.
    pub n_left_out: u64,
    /// What came out.
    pub shown: Shown,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Each row says how it ended.
    Outcomes {
        /// How often a yes scores above a no.
        auc: Estimate,
        /// Of the probabilities.
        log_loss: Estimate,
        /// Of always saying the share of yes.
        base_log_loss: f64,
    },
    /// Each row says what every action is worth; the version's first choice counts.
    Choices {
        /// Mean worth of its choice minus mean worth of a random one.
        gain: Estimate,
        /// Mean worth of its choice.
        chosen: f64,
        /// Mean worth of the best.
        best: f64,
    },
    /// It could not be asked.
    Nothing {
        /// Why.
        reason: String,
    },
}

impl Gold {
    /// True where the version knows more than nothing: it is ahead of the share of yes, or of a random choice.
    pub fn passed(&self) -> bool {
        // Comparisons with NaN are false, so a figure that is none does not pass.
        match &self.shown {
            Shown::Outcomes { auc, log_loss, base_log_loss } => {
                auc.low > 0.5 && log_loss.value < *base_log_loss
            }
            Shown::Choices { gain, .. } => gain.low > 0.0,
            Shown::Nothing { .. } => false,
        }
    }

    /// The figures, in a sentence.
    pub fn message(&self) -> String {
        let (n, file) = (self.n_rows, &self.file);
        match &self.shown {
            Shown::Outcomes { auc, log_loss, base_log_loss } => format!(
                "gold set {file}, {n} rows: AUC {auc}, chance is 0.5; log loss {:.4}, the share of yes alone gives \
                 {base_log_loss:.4}",
                log_loss.value
            ),
            Shown::Choices { gain, chosen, best } => format!(
                "gold set {file}, {n} rows: its choice is worth {chosen:.4}, the best {best:.4}; gain over a random \
                 choice {gain}"
            ),
            Shown::Nothing { reason } => format!("gold set {file}: {reason}"),
        }
    }
}
