//! What can go wrong with keys and cells. No message holds key material or plain text.

use std::path::PathBuf;

use event::Subject;

/// Why the vault could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR3001, explained in docs/errors/MR3001.md
    #[error("MR3001: this is not the master key of the vault in `{}`", dir.display())]
    WrongMaster {
        /// The vault's directory.
        dir: PathBuf,
    },
    /// MR3002, explained in docs/errors/MR3002.md
    #[error(
        "MR3002: the master key file `{}` can be read by others (mode {mode:04o}): run `chmod 600 {}`",
        path.display(), path.display()
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// MR3003, explained in docs/errors/MR3003.md
    #[error("MR3003: no master key in {place}: {why}")]
    NoMaster {
        /// The file or the environment variable that was asked, in words.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// MR3004, explained in docs/errors/MR3004.md
    #[error("MR3004: there is no vault in `{}`", dir.display())]
    NotHere {
        /// The directory.
        dir: PathBuf,
    },
    /// MR3004, explained in docs/errors/MR3004.md
    #[error("MR3004: there is already a vault in `{}`; a new one would make its data unreadable", dir.display())]
    AlreadyHere {
        /// The directory.
        dir: PathBuf,
    },
    /// MR3005, explained in docs/errors/MR3005.md
    #[error("MR3005: the vault is damaged: {what}; restore it from a backup")]
    Damaged {
        /// Which part, and what is wrong with it.
        what: String,
    },
    /// MR3006, explained in docs/errors/MR3006.md
    #[error("MR3006: the sealed value `{column}` of subject {subject} cannot be opened: {why}")]
    Refused {
        /// The subject under whose key it was to be opened.
        subject: Subject,
        /// The column it was said to be.
        column: String,
        /// What is wrong.
        why: &'static str,
    },
    /// MR3007, explained in docs/errors/MR3007.md
    #[error("MR3007: subject {subject} has no key, so nothing can be sealed for it")]
    NoKey {
        /// The subject.
        subject: Subject,
    },
    /// MR3008, explained in docs/errors/MR3008.md
    #[error("MR3008: {what}: {source}; nothing was acknowledged, it may be tried again")]
    Io {
        /// What was being done.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// MR3008, explained in docs/errors/MR3008.md
    #[error("MR3008: the vault's database failed: {0}; nothing was acknowledged")]
    Database(#[from] fjall::Error),
    /// MR3009, explained in docs/errors/MR3009.md
    #[error(
        "MR3009: the master key file `{}` lies inside `{}`, so every backup would carry the key to itself",
        path.display(), dir.display()
    )]
    MasterInside {
        /// The file.
        path: PathBuf,
        /// The directory that may not hold it.
        dir: PathBuf,
    },
    /// MR3301, explained in docs/errors/MR3301.md
    #[error(
        "MR3301: the keys in `{}` are from before an erasure (root {epoch}; the anchor is at {anchor}): what they opened is destroyed; put the newest copy of the keys in their place",
        dir.display()
    )]
    StaleRoot {
        /// The vault's directory.
        dir: PathBuf,
        /// The root that wraps what lies there.
        epoch: u32,
        /// The root that the anchor belongs to.
        anchor: u32,
    },
    /// MR3302, explained in docs/errors/MR3302.md
    #[error(
        "MR3302: the root of the vault in `{}` needs its anchor{}",
        dir.display(),
        path.as_ref().map(|path| format!(", and `{}` is missing: put your copy of it there", path.display())).unwrap_or_default()
    )]
    NoAnchor {
        /// The vault's directory.
        dir: PathBuf,
        /// Where the anchor should lie.
        path: Option<PathBuf>,
    },
    /// MR3303, explained in docs/errors/MR3303.md
    #[error("MR3303: `{}` is no anchor, or was changed", path.display())]
    BadAnchor {
        /// The file.
        path: PathBuf,
    },
    /// MR3303, explained in docs/errors/MR3303.md
    #[error("MR3303: the anchor `{}` is an old copy: it belongs to root {anchor}, the vault is at {epoch}", path.display())]
    StaleAnchor {
        /// The file.
        path: PathBuf,
        /// The root that is in use.
        epoch: u32,
        /// The root that the anchor belongs to.
        anchor: u32,
    },
    /// MR3304, explained in docs/errors/MR3304.md
    #[error("MR3304: subject {subject} is being erased at this moment; nothing was kept, send it again")]
    BeingErased {
        /// The subject.
        subject: Subject,
    },
    /// MR3305, explained in docs/errors/MR3305.md
    #[error(
        "MR3305: the renewal of keys was cut off at step {step}; it is completed when the vault is opened again"
    )]
    CutOff {
        /// Which step was to come.
        step: u32,
    },
    /// MR3306, explained in docs/errors/MR3306.md
    #[error(
        "MR3306: the anchor `{}` lies inside `{}`, so every backup would carry it along and no erasure would reach them",
        path.display(), dir.display()
    )]
    AnchorInside {
        /// The file.
        path: PathBuf,
        /// The directory that may not hold it.
        dir: PathBuf,
    },
    /// MR3307, explained in docs/errors/MR3307.md
    #[error(
        "MR3307: `{}` is the anchor of a vault, but there is none in `{}`: is a disk missing? A new vault would destroy it; if that vault is gone for good, move the anchor away",
        path.display(), dir.display()
    )]
    OtherAnchor {
        /// The anchor.
        path: PathBuf,
        /// Where a vault was to be made.
        dir: PathBuf,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WrongMaster { .. } => "MR3001",
            Self::OpenToOthers { .. } => "MR3002",
            Self::NoMaster { .. } => "MR3003",
            Self::NotHere { .. } | Self::AlreadyHere { .. } => "MR3004",
            Self::Damaged { .. } => "MR3005",
            Self::Refused { .. } => "MR3006",
            Self::NoKey { .. } => "MR3007",
            Self::Io { .. } | Self::Database(_) => "MR3008",
            Self::MasterInside { .. } => "MR3009",
            Self::StaleRoot { .. } => "MR3301",
            Self::NoAnchor { .. } => "MR3302",
            Self::BadAnchor { .. } | Self::StaleAnchor { .. } => "MR3303",
            Self::BeingErased { .. } => "MR3304",
            Self::CutOff { .. } => "MR3305",
            Self::AnchorInside { .. } => "MR3306",
            Self::OtherAnchor { .. } => "MR3307",
        }
    }

    /// True where the same may succeed in a moment.
    pub fn retry_helps(&self) -> bool {
        matches!(self, Self::BeingErased { .. } | Self::Io { .. } | Self::Database(_))
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
