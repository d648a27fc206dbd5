//! A fold: (tables, record) → changes. Nothing else: no clock, no file, no other partition.

use event::{Payload, Record, RecordId, StreamName, Subject, Version};

use crate::Error;

/// A pure function from tables and a record to changes of the tables. Running it twice over the same records
/// gives the same tables (LAW 2).
pub trait Fold<R: ?Sized> {
    /// The tables it changes.
    type Tables;

    /// Folds one record. What it wants to say to another partition goes to `out` as a record.
    ///
    /// # Errors
    /// [`Error`] only where the store itself fails; bad data is never an error here.
    fn fold(&self, tables: &mut Self::Tables, record: &R, out: &mut Emissions) -> Result<(), Error>;
}

/// Records that a fold emits; they are appended to the journal, in the order emitted.
#[derive(Default)]
pub struct Emissions {
    records: Vec<Record>,
    counts: Vec<(RecordId, &'static str, u32)>,
}

impl Emissions {
    /// Emits a record that follows from `cause`. Its id is made from the cause, the fold's name and a running
    /// number, so that emitting again after a crash, or under another number of partitions, makes the same
    /// record; it is known from the moment its cause was.
    pub fn emit(
        &mut self,
        cause: &Record,
        fold: &'static str,
        stream: &str,
        subject: Subject,
        payload: Vec<u8>,
    ) {
        let n = self.next(cause.id, fold);
        self.records.push(Record {
            id: RecordId::emission(cause.id, fold, n),
            stream: StreamName::new(stream),
            contract: Version::new(1, 0, 0),
            subject,
            occurred_at: cause.known_at,
            known_at: cause.known_at,
            batch: None,
            cause: Some(cause.id),
            source: None,
            key_epoch: 0,
            payload: Payload { open: payload.into(), cells: Vec::new() },
        });
    }

    fn next(&mut self, cause: RecordId, fold: &'static str) -> u32 {
        let same = |(id, name, _): &&mut (RecordId, &'static str, u32)| *id == cause && *name == fold;
        if let Some((_, _, n)) = self.counts.iter_mut().find(same) {
            *n += 1;
            return *n;
        }
        self.counts.push((cause, fold, 0));
        0
    }

    /// Takes what was emitted so far; counting goes on from zero, so take once per record.
    pub fn take(&mut self) -> Vec<Record> {
        self.counts.clear();
        std::mem::take(&mut self.records)
    }

    /// True if nothing was emitted.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}
