//! Duplicates of a partition that is read again from its start, beside the loop.

use event::{Partition, Position, Record};
use store::Database;

use crate::Options;
use crate::dedup::{Dedup, identity};

/// Records after which what lies behind the horizon is forgotten.
const FORGET_EVERY: u32 = 100_000;

/// Tells which records the loop folded and which it dropped as duplicates. The verdict is a function of the journal
/// alone: shown all records of a partition in order, it says what the loop said.
pub struct Duplicates {
    dedup: Dedup,
    db: Database,
    since: u32,
}

impl Duplicates {
    /// Nothing was shown yet.
    ///
    /// # Errors
    /// [`store::Error`]
    pub fn new(partition: Partition, options: &Options) -> Result<Self, store::Error> {
        let db = Database::memory();
        Ok(Self { dedup: Dedup::load(&db, partition, options.dedup_horizon)?, db, since: 0 })
    }

    /// True where the loop folded this record.
    ///
    /// # Errors
    /// [`store::Error`]
    pub fn is_new(&mut self, record: &Record, position: Position) -> Result<bool, store::Error> {
        let is_new = self.dedup.is_new(identity(record), position);
        self.since += 1;
        if self.since >= FORGET_EVERY {
            self.since = 0;
            let mut writes = Vec::new();
            self.dedup.drain(&self.db, Position(position.0 + 1), &mut writes)?;
            self.db.write(writes, false)?;
        }
        Ok(is_new)
    }
}
