//! The log's entries and the tree over them as a fold of `mr.audit` in the control partition (LAW 2): an entry's index is
//! its place among these records, whatever else the partition holds and however many partitions there are.

use std::sync::Arc;

use event::Record;
use store::{Emissions, Fold, Scope, Stored, Table};

use crate::{Frontier, Hash, leaf_hash};

/// The stream of audit entries.
pub const AUDIT: &str = "mr.audit";
/// The one key of the table of the tree's edge.
const EDGE: u64 = 0;

/// The entries, and the edge of their tree.
pub struct Tables {
    entries: Table<u64, Vec<u8>>,
    edge: Table<u64, Frontier>,
}

impl Tables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self { entries: Table::open(scope, "audit.entries"), edge: Table::open(scope, "audit.edge") }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.entries, &mut self.edge]
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn size(&self) -> Result<u64, store::Error> {
        Ok(self.edge.peek(&EDGE)?.map_or(0, |edge| edge.size()))
    }

    /// The root of the tree over them.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn root(&self) -> Result<Hash, store::Error> {
        Ok(self.edge.peek(&EDGE)?.map_or_else(Hash::empty, |edge| edge.root()))
    }

    /// An entry's bytes.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn entry(&self, index: u64) -> Result<Option<Arc<Vec<u8>>>, store::Error> {
        self.entries.peek(&index)
    }
}

/// Folds `mr.audit`.
pub struct AuditFold;

impl Fold<Record> for AuditFold {
    type Tables = Tables;

    // An entry is what was written, readable or not. What no bundle can hold never came through the house.
    fn fold(&self, tables: &mut Tables, record: &Record, _: &mut Emissions) -> Result<(), store::Error> {
        let entry = &record.payload.open;
        if entry.len() > usize::from(u16::MAX) {
            return Ok(());
        }
        let index = tables.size()?;
        tables.edge.update(&EDGE, |edge| edge.push(leaf_hash(entry)))?;
        tables.entries.put(index, entry.to_vec());
        Ok(())
    }
}
