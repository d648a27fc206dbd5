//! What is no schedule and no name.

/// What can be wrong with a job's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// MR4601, explained in docs/errors/MR4601.md
    #[error("`{given}` is no schedule: {reason}")]
    Schedule {
        /// What was written.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// MR4601, explained in docs/errors/MR4601.md
    #[error("`{given}` is no time zone: a name of the IANA database is expected, like Europe/Berlin")]
    Zone {
        /// What was written.
        given: String,
    },
    /// MR4604, explained in docs/errors/MR4604.md
    #[error("`{given}` cannot name a {what}: {expected}")]
    Name {
        /// What was written.
        given: String,
        /// A job, a step, a run.
        what: &'static str,
        /// What a name is made of.
        expected: &'static str,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Schedule { .. } | Self::Zone { .. } => "MR4601",
            Self::Name { .. } => "MR4604",
        }
    }
}

/// A shortened quotation of what somebody wrote.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
