//! Learning for yes-or-no questions: tables in, probabilities with intervals out.
//!
//! * [`Frame`]: named columns of numbers and categories; missing values are values.
//! * [`Logistic`] is the baseline, [`Boosted`] the challenger; both implement [`Fit`], which yields a separate
//!   fitted type, so that predicting before fitting cannot compile.
//! * [`Calibrator`] turns scores into probabilities; [`metric`] measures them, every figure with its interval;
//!   [`split`] says which rows train and which test.
//! * [`Model`] is what is stored and served: versioned, the same bytes for the same input.
//!
//! This room has no clock, no file and no network; seeds are arguments. It knows nothing of people, records or
//! releases. One thing it cannot promise for its dependency: `perpetual` asks the operating system how much
//! memory is free before it fits trees (see [`Boosted`]).

mod calibration;
mod error;
mod frame;
mod linear;
mod math;
pub mod metric;
mod model;
mod rng;
mod schema;
pub mod split;
mod trees;

pub use calibration::{Calibration, Calibrator, pool_adjacent_violators};
pub use error::Error;
pub use frame::{Column, Frame, Kind, LARGEST, Value};
pub use linear::{Coefficient, FittedLogistic, Logistic, Penalty};
pub use math::{logit, sigmoid};
pub use model::{Contribution, FORMAT_VERSION, Fitted, Model, Score};
pub use schema::{Field, FieldKind, Schema};
pub use trees::{Boosted, FittedBoosted, TreesSummary};

/// A method before it has seen data: its parameters.
pub trait Fit {
    /// What it becomes.
    type Fitted: Predict;

    /// Learns from `frame` (one row per case) whether the outcome is yes.
    ///
    /// * `labels`: length `frame.n_rows()`
    ///
    /// # Errors
    /// Where the data cannot teach: no rows, one outcome only, lengths that differ, parameters out of range.
    fn fit(&self, frame: &Frame, labels: &[bool]) -> Result<Self::Fitted, Error>;
}

/// A method after it has seen data.
pub trait Predict {
    /// The columns it needs.
    fn schema(&self) -> &Schema;

    /// Log-odds of one encoded row (see [`Schema::encode_row`]).
    fn logit_of(&self, row: &[f64]) -> f64;

    /// Log-odds of one encoded row, and what each column adds to it: the logit is the returned base plus the sum
    /// of `contributions`, which are in the order of the schema.
    fn explain(&self, row: &[f64], contributions: &mut Vec<f64>) -> f64;

    /// Log-odds of each row.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] or [`Error::WrongKind`] where the frame lacks what the model was taught with.
    fn logits(&self, frame: &Frame) -> Result<Vec<f64>, Error> {
        let encoded = self.schema().encode(frame)?;
        Ok(encoded.rows().map(|row| self.logit_of(&row)).collect())
    }

    /// Probability of yes for each row, as the method itself sees it (not calibrated).
    ///
    /// # Errors
    /// As [`Predict::logits`].
    fn predict(&self, frame: &Frame) -> Result<Vec<f64>, Error> {
        Ok(self.logits(frame)?.into_iter().map(sigmoid).collect())
    }
}

/// Checks what every fit needs.
fn check_labels(frame: &Frame, labels: &[bool]) -> Result<(), Error> {
    if frame.n_rows() == 0 {
        return Err(Error::Empty);
    }
    if labels.len() != frame.n_rows() {
        return Err(Error::LengthsDiffer {
            what: "labels".into(),
            n_given: labels.len(),
            n_rows: frame.n_rows(),
        });
    }
    let n_positives = labels.iter().filter(|l| **l).count();
    if n_positives == 0 || n_positives == labels.len() {
        return Err(Error::OneOutcome { outcome: n_positives > 0, n_rows: labels.len() });
    }
    Ok(())
}
