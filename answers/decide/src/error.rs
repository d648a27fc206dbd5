//! What can go wrong with records of decisions as a whole.

/// A record that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// MR5020, explained in docs/errors/MR5020.md
    #[error("a record of stream `{stream}` cannot be read: {reason} (MR5020)")]
    Record {
        /// The stream.
        stream: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Record { .. } => "MR5020",
        }
    }
}
