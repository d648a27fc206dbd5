//! Why a dataset cannot be built, or nothing can be learned from it.

use std::fmt;

/// Which rows an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Rows to learn from.
    Training,
    /// Rows to calibrate with.
    Calibration,
    /// Rows to test with.
    Test,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Training => "to learn from",
            Self::Calibration => "to calibrate with",
            Self::Test => "to test with",
        })
    }
}

/// Why a dataset cannot be built, or nothing can be learned from it. The same input gives the same error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR4560, explained in docs/errors/MR4560.md
    #[error("MR4560: there are no examples")]
    NoExamples,
    /// MR4561, explained in docs/errors/MR4561.md
    #[error("MR4561: column `{column}` has {n_values} values for {n_examples} examples")]
    LengthsDiffer {
        /// The column.
        column: String,
        /// Its values.
        n_values: usize,
        /// The examples.
        n_examples: usize,
    },
    /// MR4562, explained in docs/errors/MR4562.md
    #[error(
        "MR4562: of the {n_rows} rows {part} {n_yes} have outcome yes and {n_no} no; at least {least} of each are due"
    )]
    TooFew {
        /// Which rows.
        part: Part,
        /// How many.
        n_rows: usize,
        /// With outcome yes.
        n_yes: usize,
        /// With outcome no.
        n_no: usize,
        /// How many of each are needed.
        least: usize,
    },
    /// MR4563, explained in docs/errors/MR4563.md
    #[error("MR4563: the plan tests with the marked examples, and none is marked")]
    NothingMarked,
    /// MR4564, explained in docs/errors/MR4564.md
    #[error(
        "MR4564: the plan reports by segment of `{column}`, which is no column of categories; there are: {known}"
    )]
    NoSuchSegment {
        /// What was asked for.
        column: String,
        /// What there is.
        known: String,
    },
    /// MR4565, explained in docs/errors/MR4565.md
    #[error("MR4565: `{name}` is {value}, expected: {expected}")]
    BadPlan {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// The method's own error.
    #[error(transparent)]
    Learn(#[from] learn::Error),
    /// A subject whose data may not be used (LAW 3).
    #[error(transparent)]
    Denied(#[from] policy::Denied),
    /// The registry's own error.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoExamples => "MR4560",
            Self::LengthsDiffer { .. } => "MR4561",
            Self::TooFew { .. } => "MR4562",
            Self::NothingMarked => "MR4563",
            Self::NoSuchSegment { .. } => "MR4564",
            Self::BadPlan { .. } => "MR4565",
            Self::Learn(error) => error.code(),
            Self::Denied(denied) => denied.code(),
            Self::Registry(error) => error.code(),
        }
    }
}
