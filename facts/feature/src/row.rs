//! From a record to a row: what a view needs of it, and nothing else.

use contract::Bound;
use event::{Instant, RecordId};

use crate::block::RowRef;
use crate::cell::Cell;
use crate::view::{Inner, View};

/// What a view needs of one record. Its values are read only by evaluation, under a grant.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Row {
    occurred: i64,
    known: i64,
    id: u64,
    mask: u64,
    cells: Vec<u8>,
}

impl Row {
    /// When it happened.
    pub fn occurred_at(&self) -> Instant {
        Instant::from_micros(self.occurred)
    }

    /// When it was known.
    pub fn known_at(&self) -> Instant {
        Instant::from_micros(self.known)
    }

    pub(crate) fn as_ref(&self) -> RowRef<'_> {
        RowRef {
            occurred: self.occurred,
            known: self.known,
            id: self.id,
            mask: self.mask,
            cells: &self.cells,
        }
    }
}

/// Says when, not what.
impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({:?}, known {:?}, {} bytes)", self.occurred_at(), self.known_at(), self.cells.len())
    }
}

impl View {
    /// The record's row in this view; `None` where no feature of the view can ever count it: another stream,
    /// nobody's record, no filter passed, no value there, or known only after it left every window.
    pub fn row_of(&self, bound: &Bound<'_>) -> Option<Row> {
        let mut row = Row::default();
        self.inner().read_row(bound, &mut row).then_some(row)
    }
}

impl Inner {
    /// As [`View::row_of`], into a row that is used again and again.
    pub(crate) fn read_row(&self, bound: &Bound<'_>, row: &mut Row) -> bool {
        let record = bound.record;
        if record.stream != self.stream || record.subject.is_none() {
            return false;
        }
        row.occurred = record.occurred_at.micros();
        row.known = record.known_at.micros();
        row.id = order(record.id);
        row.mask = 0;
        for (bit, filter) in (0_u32..).zip(&self.filters) {
            if filter.matches(bound.fields) == Some(true) {
                row.mask |= 1 << bit;
            }
        }
        row.cells.clear();
        let mut present: u64 = 0;
        for (bit, column) in (0_u32..).zip(&self.columns) {
            let cell = column.path.follow(bound.fields).and_then(|value| Cell::read(value, column.shape));
            present |= u64::from(cell.is_some()) << bit;
            Cell::write(cell.as_ref(), &mut row.cells);
        }
        self.plan.slots.iter().any(|slot| {
            slot.takes(row.mask)
                && slot.column.is_none_or(|column| present >> column & 1 == 1)
                // In the window (t − w, t] at some t >= known_at?
                && slot.window.is_none_or(|window| row.occurred > row.known.saturating_sub(window))
        })
    }
}

/// The first eight bytes of an id: they order as the id does, and no subject has two records that share them.
pub(crate) fn order(id: RecordId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
