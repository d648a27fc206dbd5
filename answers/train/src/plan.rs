//! How to learn: which rows test, how to calibrate, what mistakes cost, what the gate asks.

use event::Instant;
use learn::metric::Evaluation;
use learn::{Boosted, Calibration, Logistic, Penalty};
use registry::Gate;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Which examples test the models; the others teach. Except at random, no example teaches that lies at or after the
/// first one that tests, or whose outcome was still open then.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holdout {
    /// The latest share of examples.
    Latest(f64),
    /// Examples from this instant on.
    From(Instant),
    /// The marked examples.
    Marked,
    /// A share at random. A model so tested may have learned from the future of the rows it is tested on.
    Random(f64),
}

/// How to learn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Which examples test.
    pub holdout: Holdout,
    /// How scores become probabilities.
    pub calibration: Calibration,
    /// Share of the teaching examples (the latest; at random, any) that calibrates.
    pub calibration_share: f64,
    /// The baseline. Its seed is the dataset's.
    pub baseline: Logistic,
    /// The challenger. Its seed is the dataset's.
    pub challenger: Boosted,
    /// Costs, lift, and how intervals are made. Its seed is the dataset's.
    pub evaluation: Evaluation,
    /// What a version must show.
    pub gate: Gate,
    /// Columns of categories to report by.
    pub segments: Vec<String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            holdout: Holdout::Latest(0.3),
            calibration: Calibration::Platt,
            calibration_share: 0.2,
            baseline: Logistic::default(),
            challenger: Boosted::default(),
            evaluation: Evaluation::default(),
            gate: Gate::default(),
            segments: Vec::new(),
        }
    }
}

impl Plan {
    /// With one seed for everything random, and checked.
    pub(crate) fn seeded(&self, seed: u64) -> Result<Self, Error> {
        if !(self.calibration_share > 0.0 && self.calibration_share < 1.0) {
            return Err(Error::BadPlan {
                name: "calibration_share",
                value: self.calibration_share.to_string(),
                expected: "more than 0 and less than 1",
            });
        }
        let mut plan = self.clone();
        if let Penalty::CrossValidated { n_folds, .. } = plan.baseline.penalty {
            plan.baseline.penalty = Penalty::CrossValidated { n_folds, seed };
        }
        plan.challenger.seed = seed;
        plan.evaluation.seed = seed;
        Ok(plan)
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it does now.
    pub step: Step,
    /// Steps done.
    pub n_done: usize,
    /// Steps in all.
    pub n_steps: usize,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Decides which rows teach, calibrate and test.
    Split,
    /// Fits the baseline.
    Baseline,
    /// Fits the challenger.
    Challenger,
    /// Measures both on the test rows.
    Measure,
}

impl Step {
    pub(crate) const ALL: [Step; 4] = [Step::Split, Step::Baseline, Step::Challenger, Step::Measure];

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Split => "choosing rows",
            Self::Baseline => "fitting the baseline",
            Self::Challenger => "fitting the challenger",
            Self::Measure => "measuring both",
        }
    }
}
