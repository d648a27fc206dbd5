//! What can go wrong with a file.

use std::path::PathBuf;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR4701, explained in docs/errors/MR4701.md
    #[error("`{}` cannot be written: {reason}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// MR4703, explained in docs/errors/MR4703.md
    #[error("`{}` is no export of an instance: {reason}", path.display())]
    NoExport {
        /// The file or folder.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unwritable { .. } => "MR4701",
            Self::NoExport { .. } => "MR4703",
        }
    }
}
