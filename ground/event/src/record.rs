//! One thing that entered.

use crate::{BatchId, Instant, RecordId, SourceName, StreamName, Subject, Version};

/// One thing that entered, as it came; immutable.
///
/// `known_at` is when the house learned it, `occurred_at` when it happened. *As of t* means
/// `known_at <= t`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name for ever; a duplicate has the same.
    pub id: RecordId,
    /// The stream it belongs to.
    pub stream: StreamName,
    /// The version of the stream's contract that judged it.
    pub contract: Version,
    /// The pseudonym it arrived under; [`Subject::NONE`] where it belongs to nobody.
    pub subject: Subject,
    /// When it happened, by the sender's account.
    pub occurred_at: Instant,
    /// When the house learned it.
    pub known_at: Instant,
    /// The import that brought it.
    pub batch: Option<BatchId>,
    /// The record that this one follows from.
    pub cause: Option<RecordId>,
    /// What it came by; `None` for what the house wrote itself and for records of wire version 1.
    pub source: Option<SourceName>,
    /// The epoch of the subject's key under which [`Payload::cells`] are sealed; 0 where none are.
    pub key_epoch: u32,
    /// The content.
    pub payload: Payload,
}

/// The content of a record: what may lie open, and what is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Payload {
    /// A JSON document in UTF-8 without the sealed parts. Empty where there is none.
    pub open: Box<[u8]>,
    /// Sealed parts, each opened only under the subject's key.
    pub cells: Vec<Cell>,
}

/// One sealed part of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Where it belongs in the document: a JSON pointer (RFC 6901). Part of the associated data.
    pub column: Box<str>,
    /// The sealed JSON value, in the vault's cell format.
    pub sealed: Box<[u8]>,
}

impl Record {
    /// Roughly how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        let cells: usize = self.payload.cells.iter().map(|c| c.column.len() + c.sealed.len() + 32).sum();
        160 + self.payload.open.len() + cells
    }
}
