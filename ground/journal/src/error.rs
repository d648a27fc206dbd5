//! What can go wrong with the log, whose fault it is, and whether trying again helps.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::Partition;

/// What can go wrong with the log. Where an append returns one, none of its records is acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// MR6001, explained in docs/errors/MR6001.md
    #[error(
        "the journal in `{}` is in use by another process: stop it, or give this one a directory of its own",
        dir.display()
    )]
    InUse {
        /// The journal's directory.
        dir: PathBuf,
    },
    /// MR6002, explained in docs/errors/MR6002.md
    #[error(
        "the journal in `{}` cannot be written: {source}; give the user this runs as the right to write there, or mount it writable",
        dir.display()
    )]
    ReadOnly {
        /// The journal's directory.
        dir: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// MR6003, explained in docs/errors/MR6003.md
    #[error(
        "`{}` was written in journal format {found} by a newer version; this one reads formats 1 to {known}: use the newer version",
        file.display()
    )]
    NewerFormat {
        /// The segment.
        file: PathBuf,
        /// Its format.
        found: u16,
        /// The newest format this build reads.
        known: u16,
    },
    /// MR6004, explained in docs/errors/MR6004.md
    #[error(
        "the journal in `{}` has {stored} partitions, but {asked} are asked for; the number is fixed at creation: set it to {stored}, or export and import into a new directory",
        dir.display()
    )]
    Partitions {
        /// The journal's directory.
        dir: PathBuf,
        /// The number it was created with.
        stored: u16,
        /// The number asked for.
        asked: u16,
    },
    /// MR6005, explained in docs/errors/MR6005.md
    #[error(
        "the journal file `{}` is damaged at byte {offset}: {reason}; nothing was changed: restore this file from a backup",
        file.display()
    )]
    Corrupt {
        /// The segment.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// MR6006, explained in docs/errors/MR6006.md
    #[error(
        "no space left for the journal in `{}`: {source}; nothing of this append was stored: free space and send it again",
        dir.display()
    )]
    Full {
        /// The journal's directory.
        dir: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// MR6007, explained in docs/errors/MR6007.md
    #[error(
        "the journal in `{}` has stopped taking records because the disk failed while {doing}: {source}; everything acknowledged before is kept: check the disk, then restart",
        dir.display()
    )]
    Failed {
        /// The journal's directory.
        dir: PathBuf,
        /// What it was doing.
        doing: &'static str,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// MR6008, explained in docs/errors/MR6008.md
    #[error(
        "{queued_bytes} bytes already wait to be written ({limit_bytes} may): nothing of this append was taken, send it again in a moment"
    )]
    Overloaded {
        /// Bytes that wait to be written.
        queued_bytes: usize,
        /// How many may.
        limit_bytes: usize,
    },
    /// MR6009, explained in docs/errors/MR6009.md
    #[error("one append of more than {limit_bytes} bytes is refused: split it into smaller ones")]
    TooLarge {
        /// The most bytes one append may have.
        limit_bytes: usize,
    },
    /// MR6010, explained in docs/errors/MR6010.md
    #[error("record {index} of the append cannot be stored: {source}")]
    Unstorable {
        /// Which record of the append, from 0.
        index: usize,
        /// Why.
        source: Arc<event::Error>,
    },
    /// MR6011, explained in docs/errors/MR6011.md
    #[error("the journal is closed")]
    Closed,
    /// MR6012, explained in docs/errors/MR6012.md
    #[error("the journal could not {doing} `{}`: {source}", file.display())]
    Io {
        /// What it tried.
        doing: &'static str,
        /// With which file.
        file: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// MR6013, explained in docs/errors/MR6013.md
    #[error("there is no partition {partition}: the journal has {n_partitions}, numbered from 0")]
    NoSuchPartition {
        /// The partition asked for.
        partition: Partition,
        /// How many there are.
        n_partitions: u16,
    },
    /// MR6014, explained in docs/errors/MR6014.md
    #[error(
        "the journal file `{}` is missing though a later one exists: restore it from a backup",
        file.display()
    )]
    Missing {
        /// The segment that should be there.
        file: PathBuf,
    },
    /// MR6015, explained in docs/errors/MR6015.md
    #[error("the journal's setting `{name}` cannot be {value}: {rule}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: u64,
        /// What is allowed.
        rule: &'static str,
    },
    /// MR6016, explained in docs/errors/MR6016.md
    #[error(
        "record {position} of partition {partition} in `{}` cannot be read: {source}",
        file.display()
    )]
    Unreadable {
        /// The segment.
        file: PathBuf,
        /// The partition.
        partition: Partition,
        /// Its position.
        position: event::Position,
        /// Why.
        source: Arc<event::Error>,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "MR6001",
            Self::ReadOnly { .. } => "MR6002",
            Self::NewerFormat { .. } => "MR6003",
            Self::Partitions { .. } => "MR6004",
            Self::Corrupt { .. } => "MR6005",
            Self::Full { .. } => "MR6006",
            Self::Failed { .. } => "MR6007",
            Self::Overloaded { .. } => "MR6008",
            Self::TooLarge { .. } => "MR6009",
            Self::Unstorable { .. } => "MR6010",
            Self::Closed => "MR6011",
            Self::Io { .. } => "MR6012",
            Self::NoSuchPartition { .. } => "MR6013",
            Self::Missing { .. } => "MR6014",
            Self::Setting { .. } => "MR6015",
            Self::Unreadable { .. } => "MR6016",
        }
    }

    /// True where the same call may succeed a moment later without anybody's doing: the queue was full, or the
    /// disk was and somebody frees space.
    pub fn retry_helps(&self) -> bool {
        matches!(self, Self::Overloaded { .. } | Self::Full { .. })
    }

    pub(crate) fn io(doing: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, file: file.to_owned(), source: Arc::new(source) }
    }

    /// What the system said while the journal was opened or a file of it was made.
    pub(crate) fn opening(dir: &Path, doing: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            let dir = dir.to_owned();
            match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    Self::ReadOnly { dir, source: Arc::new(source) }
                }
                _ if is_full(&source) => Self::Full { dir, source: Arc::new(source) },
                _ => Self::Io { doing, file: file.to_owned(), source: Arc::new(source) },
            }
        }
    }

    pub(crate) fn corrupt(file: &Path, offset: u64, reason: &'static str) -> Self {
        Self::Corrupt { file: file.to_owned(), offset, reason }
    }
}

/// True where the system refused a write for want of space, before anything was promised.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull, WriteZero};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge | WriteZero)
}
