//! What intake refuses, and what keeps it from working.

use std::path::PathBuf;

/// One item that does not follow the protocol. Whoever sent it is told; nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Refusal {
    /// `MR2004`, explained in docs/errors.
    pub code: &'static str,
    /// What is wrong, in the sender's words.
    pub message: String,
}

impl Refusal {
    /// A refusal; its code has a page in docs/errors.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

/// Why a whole request or file cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR2001 to MR2005: the sender's fault, and sending it again does not help.
    #[error("{0}")]
    Refused(Refusal),
    /// MR3008 and others of the vault: not the sender's fault; nothing was accepted, a retry may help.
    #[error("{0}")]
    Vault(#[from] vault::Error),
    /// MR2020, explained in docs/errors/MR2020.md
    #[error("`{}` cannot be read: {source} (MR2020)", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// MR2021, explained in docs/errors/MR2021.md
    #[error("`{}`: {what} (MR2021)", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        what: String,
    },
    /// MR2024, explained in docs/errors/MR2024.md
    #[error("`{}`: row {row}: {what} (MR2024)", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The row that could not be read; all before it could.
        row: u64,
        /// What is wrong.
        what: String,
    },
    /// MR2027, explained in docs/errors/MR2027.md
    #[error("record {id}: its stored payload is damaged: {what} (MR2027)")]
    Damaged {
        /// The record.
        id: event::RecordId,
        /// What is wrong.
        what: &'static str,
    },
}

impl Error {
    /// The code under which docs/errors explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code,
            Self::Vault(error) => error.code(),
            Self::Unreadable { .. } => codes::UNREADABLE,
            Self::UnknownFormat { .. } => codes::UNKNOWN_FORMAT,
            Self::Broken { .. } => codes::BROKEN_FILE,
            Self::Damaged { .. } => codes::DAMAGED,
        }
    }

    /// True where the sender has to change something; otherwise the same may be sent again later.
    pub fn is_senders_fault(&self) -> bool {
        !matches!(self, Self::Vault(_) | Self::Damaged { .. })
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The codes of intake; each has a page in docs/errors.
pub(crate) mod codes {
    pub(crate) const NOT_JSON: &str = "MR2001";
    pub(crate) const TOO_DEEP: &str = "MR2002";
    pub(crate) const SHAPE: &str = "MR2003";
    pub(crate) const EVENT_SIZE: &str = "MR2004";
    pub(crate) const BATCH_SIZE: &str = "MR2005";
    pub(crate) const BATCH_COUNT: &str = "MR2006";
    pub(crate) const MESSAGE_ID: &str = "MR2007";
    pub(crate) const CALL: &str = "MR2008";
    pub(crate) const INCOMPLETE: &str = "MR2009";
    pub(crate) const NO_CONTRACT: &str = "MR2010";
    pub(crate) const UNREADABLE: &str = "MR2020";
    pub(crate) const UNKNOWN_FORMAT: &str = "MR2021";
    pub(crate) const RAGGED: &str = "MR2022";
    pub(crate) const ENCODING: &str = "MR2023";
    pub(crate) const BROKEN_FILE: &str = "MR2024";
    pub(crate) const LONG_ROW: &str = "MR2025";
    pub(crate) const NOT_A_ROW: &str = "MR2026";
    pub(crate) const DAMAGED: &str = "MR2027";
    pub(crate) const UNSIGNED: &str = "MR2050";
    pub(crate) const STALE: &str = "MR2051";

    // Codes of findings about data, as in `contract`.
    pub(crate) const TIME: &str = "MR1010";
    pub(crate) const SUBJECT: &str = "MR1012";
    pub(crate) const NO_OBJECT: &str = "MR1015";
    pub(crate) const FUTURE: &str = "MR1016";
}
