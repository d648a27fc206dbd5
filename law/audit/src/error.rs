//! What can be wrong with a log, its checkpoints and its proofs.

use std::path::{Path, PathBuf};

/// Why the log could not do what was asked, or does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR3201, explained in docs/errors/MR3201.md
    #[error("MR3201: {what} is not signed by `{key}`: {why}")]
    Forged {
        /// What was to be signed.
        what: String,
        /// The name of the key that was expected.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// MR3202, explained in docs/errors/MR3202.md
    #[error("MR3202: audit entry {index} was changed: {why}")]
    Changed {
        /// The entry.
        index: u64,
        /// What says so.
        why: String,
    },
    /// MR3203, explained in docs/errors/MR3203.md
    #[error("MR3203: audit entry {index} is missing: {holder} ends there, but {size} entries were signed")]
    Missing {
        /// The first that is missing.
        index: u64,
        /// Where it was looked for.
        holder: String,
        /// How many were signed.
        size: u64,
    },
    /// MR3204, explained in docs/errors/MR3204.md
    #[error(
        "MR3204: audit entries were changed, the first of them at index {from} or later and before {to}: the tree of the first {to} entries has the root {found}, but {signed} was signed"
    )]
    Root {
        /// Everything before is as it was signed.
        from: u64,
        /// The size of the first checkpoint that does not hold.
        to: u64,
        /// The root of the tree as it is.
        found: String,
        /// The root that was signed.
        signed: String,
    },
    /// MR3205, explained in docs/errors/MR3205.md
    #[error("MR3205: `{}` is damaged: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// MR3206, explained in docs/errors/MR3206.md
    #[error("MR3206: `{}` is the log of `{found}`, not of `{expected}`", dir.display())]
    AnotherLog {
        /// The log's directory.
        dir: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// MR3207, explained in docs/errors/MR3207.md
    #[error(
        "MR3207: an audit entry of {n_bytes} bytes is too large: at most {most} are taken, the act was not done"
    )]
    TooLarge {
        /// Its bytes.
        n_bytes: usize,
        /// How many are taken.
        most: usize,
    },
    /// MR3208, explained in docs/errors/MR3208.md
    #[error("MR3208: there is no {what} {asked}: the log's checkpoint has {size} entries")]
    NoSuch {
        /// Entry or tree.
        what: &'static str,
        /// What was asked for.
        asked: String,
        /// How many entries there are.
        size: u64,
    },
    /// MR3209, explained in docs/errors/MR3209.md
    #[error("MR3209: {what} does not hold: {why}")]
    Unproven {
        /// The proof.
        what: String,
        /// Why not.
        why: String,
    },
    /// MR3210, explained in docs/errors/MR3210.md
    #[error("MR3210: `{given}` is no {what}: {why}")]
    Text {
        /// What it should be.
        what: &'static str,
        /// Its beginning.
        given: String,
        /// What is wrong.
        why: String,
    },
    /// MR3211, explained in docs/errors/MR3211.md
    #[error("MR3211: `{}` cannot be {doing}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// MR3212, explained in docs/errors/MR3212.md
    #[error("MR3212: the witness {witness} did not cosign: {why}")]
    Witness {
        /// Its name or its place.
        witness: String,
        /// What it said.
        why: String,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Forged { .. } => "MR3201",
            Self::Changed { .. } => "MR3202",
            Self::Missing { .. } => "MR3203",
            Self::Root { .. } => "MR3204",
            Self::File { .. } => "MR3205",
            Self::AnotherLog { .. } => "MR3206",
            Self::TooLarge { .. } => "MR3207",
            Self::NoSuch { .. } => "MR3208",
            Self::Unproven { .. } => "MR3209",
            Self::Text { .. } => "MR3210",
            Self::Io { .. } => "MR3211",
            Self::Witness { .. } => "MR3212",
        }
    }

    pub(crate) fn text(what: &'static str, given: &str, why: impl Into<String>) -> Self {
        let given = given.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self::Text { what, given, why: why.into() }
    }

    pub(crate) fn file(path: &Path, why: impl Into<String>) -> Self {
        Self::File { path: path.to_path_buf(), why: why.into() }
    }

    pub(crate) fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, doing: "read", source }
    }

    pub(crate) fn writing(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, doing: "written", source }
    }
}
