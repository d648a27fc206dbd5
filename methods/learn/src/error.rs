//! What can be wrong with data or parameters handed to this room, in the user's words.

/// Why something could not be learned, measured or read. None of these goes away by trying again with the same
/// input.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// MR4501, explained in docs/errors/MR4501.md
    #[error("MR4501: there is nothing to learn from: no rows or no columns")]
    Empty,
    /// MR4502, explained in docs/errors/MR4502.md
    #[error("MR4502: `{what}` has {n_given} values, the table has {n_rows} rows")]
    LengthsDiffer {
        /// The column, or `labels`, `scores`, …
        what: String,
        /// Its length.
        n_given: usize,
        /// The length that is due.
        n_rows: usize,
    },
    /// MR4503, explained in docs/errors/MR4503.md
    #[error("MR4503: column `{column}` is there twice")]
    DuplicateColumn {
        /// Its name.
        column: String,
    },
    /// MR4504, explained in docs/errors/MR4504.md
    #[error(
        "MR4504: column `{column}` holds {value}: numbers must lie within ±1e100 (leave out what is unknown)"
    )]
    NotFinite {
        /// Its name.
        column: String,
        /// The value.
        value: f64,
    },
    /// MR4505, explained in docs/errors/MR4505.md
    #[error("MR4505: all {n_rows} rows have the outcome `{outcome}`: there is nothing to tell apart")]
    OneOutcome {
        /// The only outcome.
        outcome: bool,
        /// How many rows.
        n_rows: usize,
    },
    /// MR4506, explained in docs/errors/MR4506.md
    #[error(
        "MR4506: column `{column}` is not given; the model was taught with it (an unknown value is `missing`)"
    )]
    MissingColumn {
        /// Its name.
        column: String,
    },
    /// MR4507, explained in docs/errors/MR4507.md
    #[error("MR4507: column `{column}` is a {expected}, but `{given}` was given")]
    WrongKind {
        /// Its name.
        column: String,
        /// `number` or `category`.
        expected: &'static str,
        /// What came instead, shortened.
        given: String,
    },
    /// MR4508, explained in docs/errors/MR4508.md
    #[error(
        "MR4508: the fit did not settle after {n_iterations} steps; with penalty {penalty} a column probably tells \
         the outcomes apart perfectly: use a penalty above 0, or remove a column that knows the outcome"
    )]
    NotConverged {
        /// Steps tried.
        n_iterations: usize,
        /// The penalty in use.
        penalty: f64,
    },
    /// MR4509, explained in docs/errors/MR4509.md
    #[error("MR4509: some columns say the same thing, so without a penalty there is no single answer")]
    Collinear,
    /// MR4510, explained in docs/errors/MR4510.md
    #[error("MR4510: {purpose} needs at least {n_needed} rows of each outcome, `{outcome}` has {n_given}")]
    TooFew {
        /// What for.
        purpose: &'static str,
        /// How many are needed.
        n_needed: usize,
        /// Of which outcome.
        outcome: bool,
        /// How many there are.
        n_given: usize,
    },
    /// MR4511, explained in docs/errors/MR4511.md
    #[error("MR4511: `{name}` is {value}, expected: {expected}")]
    BadParameter {
        /// The parameter.
        name: &'static str,
        /// What was given.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// MR4512, explained in docs/errors/MR4512.md
    #[error("MR4512: the tree library refused the data: {reason}")]
    Trees {
        /// In its own words.
        reason: String,
    },
    /// MR4513, explained in docs/errors/MR4513.md
    #[error("MR4513: this is not a stored model: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// MR4514, explained in docs/errors/MR4514.md
    #[error("MR4514: the model is stored in format {found}; this build reads formats 1 to {newest}")]
    UnknownFormat {
        /// What the bytes say.
        found: u32,
        /// What this build can read.
        newest: u32,
    },
    /// MR4515, explained in docs/errors/MR4515.md
    #[error("MR4515: score {row} is {value}: {expected}")]
    BadScore {
        /// Its place.
        row: usize,
        /// The value.
        value: f64,
        /// What would do.
        expected: &'static str,
    },
    /// MR4516, explained in docs/errors/MR4516.md
    #[error("MR4516: the split `{split}` leaves {n_train} rows to learn from and {n_test} to test with")]
    EmptySplit {
        /// How it was split.
        split: String,
        /// Rows on the training side.
        n_train: usize,
        /// Rows on the test side.
        n_test: usize,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "MR4501",
            Self::LengthsDiffer { .. } => "MR4502",
            Self::DuplicateColumn { .. } => "MR4503",
            Self::NotFinite { .. } => "MR4504",
            Self::OneOutcome { .. } => "MR4505",
            Self::MissingColumn { .. } => "MR4506",
            Self::WrongKind { .. } => "MR4507",
            Self::NotConverged { .. } => "MR4508",
            Self::Collinear => "MR4509",
            Self::TooFew { .. } => "MR4510",
            Self::BadParameter { .. } => "MR4511",
            Self::Trees { .. } => "MR4512",
            Self::Unreadable { .. } => "MR4513",
            Self::UnknownFormat { .. } => "MR4514",
            Self::BadScore { .. } => "MR4515",
            Self::EmptySplit { .. } => "MR4516",
        }
    }
}

/// Quotes what a user gave, shortened.
pub(crate) fn quote(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_begin_with_their_code() {
        for error in [Error::Empty, Error::Collinear, Error::Trees { reason: "x".into() }] {
            assert!(error.to_string().starts_with(error.code()), "{error}");
        }
    }
}
