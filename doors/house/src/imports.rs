//! The ledger of imports, folded from the stream `mr.imports` in the control partition.
//!
//! Each chunk of an import is appended together with a note of how far it got, so that an import that was cut
//! off goes on after the last durable row, and one that is done is not done again.

use event::{BatchId, Instant, Record, Version};
use serde::{Deserialize, Serialize};
use store::{Emissions, Error, Fold, Scope, Stored, Table};

/// The stream of import notes.
pub const IMPORTS: &str = "mr.imports";

/// How rows fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows read.
    pub n_rows: u64,
    /// Rows that became records.
    pub n_accepted: u64,
    /// Rows kept in quarantine with their findings.
    pub n_quarantined: u64,
    /// Rows that repeat an earlier row's dedup key within the import.
    pub n_duplicates: u64,
}

/// The payload of a record in `mr.imports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "note")]
pub enum Note {
    /// An import began.
    Started {
        /// The import.
        batch: BatchId,
        /// The stream it fills.
        stream: String,
        /// The contract's version.
        contract: Version,
        /// The file's name, without its directory.
        file: String,
        /// On which legal basis the data is brought.
        basis: String,
    },
    /// Rows up to here are durable.
    Reached {
        /// The import.
        batch: BatchId,
        /// Counts so far.
        counts: Counts,
    },
    /// All rows are durable.
    Finished {
        /// The import.
        batch: BatchId,
        /// Final counts.
        counts: Counts,
    },
    /// The import was taken back.
    Undone {
        /// The import.
        batch: BatchId,
        /// Who took it back.
        by: String,
    },
}

impl Note {
    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        // Texts and numbers: there is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Cut off or under way.
    Running,
    /// Done.
    Finished,
    /// Taken back.
    Undone,
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The stream it fills.
    pub stream: String,
    /// The contract's version.
    pub contract: Version,
    /// The file's name.
    pub file: String,
    /// On which legal basis the data is brought.
    pub basis: String,
    /// When it began.
    pub started_at: Instant,
    /// When the last note came.
    pub noted_at: Instant,
    /// Counts so far.
    pub counts: Counts,
    /// Where it stands.
    pub stage: Stage,
}

/// The ledger.
pub struct Tables {
    imports: Table<BatchId, Import>,
}

impl Tables {
    /// Opens the ledger in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self { imports: Table::open(scope, "imports") }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.imports]
    }

    /// One import.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn get(&self, batch: BatchId) -> Result<Option<Import>, Error> {
        Ok(self.imports.peek(&batch)?.map(|import| (*import).clone()))
    }

    /// Every import, the latest first.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn list(&self) -> Result<Vec<(BatchId, Import)>, Error> {
        let mut all = Vec::new();
        self.imports.scan(|batch, import| all.push((*batch, import.clone())))?;
        all.sort_by_key(|(batch, import): &(BatchId, Import)| std::cmp::Reverse((import.started_at, *batch)));
        Ok(all)
    }
}

/// Folds `mr.imports`.
pub struct ImportFold;

impl Fold<Record> for ImportFold {
    type Tables = Tables;

    fn fold(&self, tables: &mut Tables, record: &Record, _: &mut Emissions) -> Result<(), Error> {
        let Ok(note) = serde_json::from_slice::<Note>(&record.payload.open) else { return Ok(()) };
        let (batch, counts, stage) = match note {
            Note::Started { batch, stream, contract, file, basis } => {
                if tables.imports.get(&batch)?.is_some_and(|known| known.stage != Stage::Undone) {
                    return Ok(());
                }
                let (counts, stage) = (Counts::default(), Stage::Running);
                let (started_at, noted_at) = (record.known_at, record.known_at);
                let import = Import { stream, contract, file, basis, started_at, noted_at, counts, stage };
                tables.imports.put(batch, import);
                return Ok(());
            }
            Note::Reached { batch, counts } => (batch, Some(counts), None),
            Note::Finished { batch, counts } => (batch, Some(counts), Some(Stage::Finished)),
            Note::Undone { batch, .. } => (batch, None, Some(Stage::Undone)),
        };
        if let Some(mut import) = tables.imports.get(&batch)?.cloned() {
            import.counts = counts.unwrap_or(import.counts);
            import.stage = stage.unwrap_or(import.stage);
            import.noted_at = record.known_at;
            tables.imports.put(batch, import);
        }
        Ok(())
    }
}
