//! The only loop: read the journal, fold, commit state with its position, then act.
//!
//! One worker folds each partition; one committer writes, at intervals, what changed together with the
//! position up to which it was folded, in one atomic batch. After a crash the short tail behind that position
//! is folded again. This room knows neither what is folded (a [`Shard`] is handed in) nor who asks.

mod commit;
mod dedup;
mod duplicates;
mod engine;
mod replay;
mod worker;

pub use duplicates::Duplicates;
pub use engine::{Engine, Health, Options, Receipt};
pub use replay::{Progress, replay};

use event::{Position, Record};
use store::{Emissions, Stored};

/// One partition's composed folds and their tables.
pub trait Shard: Send + Sync + 'static {
    /// Folds one record, which lies at `at` of this partition. Called in order, each record once within the dedup
    /// horizon. What is kept of `at` differs with the number of partitions and belongs in partial tables only.
    ///
    /// # Errors
    /// [`store::Error`] only where the store fails; the loop of this partition then stops and says so.
    fn fold(&mut self, at: Position, record: &Record, out: &mut Emissions) -> Result<(), store::Error>;

    /// Every table the folds change.
    fn stored(&mut self) -> Vec<&mut dyn Stored>;
}

/// What can go wrong in the loop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal refused; see its message.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The state refused; see its message.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// MR6030, explained in docs/errors/MR6030.md
    #[error(
        "partition {partition} has stopped folding: {reason}; what was accepted is in the journal, restart once the cause is mended"
    )]
    Stopped {
        /// The partition.
        partition: event::Partition,
        /// Why.
        reason: String,
    },
    /// MR6031, explained in docs/errors/MR6031.md
    #[error("the record is durable but was not folded within {waited_ms} ms; it will be: ask again")]
    Late {
        /// How long the caller waited.
        waited_ms: u64,
    },
    /// MR6032, explained in docs/errors/MR6032.md
    #[error(
        "the state was folded up to position {state} of partition {partition}, but the journal ends at {journal}: state and journal do not belong together"
    )]
    Foreign {
        /// The partition.
        partition: event::Partition,
        /// Where the state stands.
        state: event::Position,
        /// Where the journal ends.
        journal: event::Position,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Journal(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Stopped { .. } => "MR6030",
            Self::Late { .. } => "MR6031",
            Self::Foreign { .. } => "MR6032",
        }
    }
}
