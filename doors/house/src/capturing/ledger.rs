//! The ledger of captures, folded from the stream `mr.captures` in the control partition.
//!
//! Rows are appended together with a note of how far they got. The running capture applies the same notes to its own copy,
//! so that both always say the same.

use std::collections::BTreeMap;

use capture::{Lsn, Op, Table as DbTable};
use event::{Instant, Record};
use serde::{Deserialize, Serialize};
use store::{Emissions, Error, Fold, Scope, Stored, Table};

/// The stream of the captures' notes.
pub const CAPTURES: &str = "mr.captures";

/// Findings of one capture that are kept, the latest ones.
const MAX_NOTICED: usize = 50;

/// How far a capture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureStage {
    /// Its slot is about to be made; nothing is here yet.
    Intended,
    /// The tables as they were are being appended.
    Copying,
    /// Changes are being appended.
    Streaming,
    /// It was ended.
    Dropped,
}

/// Changes of one table by what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpCounts {
    /// Rows that were there.
    pub snapshot: u64,
    /// New rows.
    pub insert: u64,
    /// Changed rows.
    pub update: u64,
    /// Rows that are gone.
    pub delete: u64,
    /// Times it was emptied.
    pub truncate: u64,
}

/// How changes fared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureCounts {
    /// Became records.
    pub n_accepted: u64,
    /// Kept in quarantine with their findings.
    pub n_quarantined: u64,
    /// Changes of published tables that the settings send nowhere.
    pub n_skipped: u64,
    /// All of the others, by table.
    pub tables: BTreeMap<String, OpCounts>,
}

/// Something that was noticed and is no fault of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noticed {
    /// `MR2220`
    pub code: String,
    /// The table it is about.
    pub table: String,
    /// What it is.
    pub message: String,
    /// Where in the database's log.
    pub lsn: Lsn,
}

/// The transaction of which a part is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within {
    /// Its commit.
    pub commit: Lsn,
    /// How many of its changes are here.
    pub n: u64,
}

/// How a capture stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureState {
    /// How far it is.
    pub stage: CaptureStage,
    /// The number of the database's cluster.
    pub system: String,
    /// The database.
    pub database: String,
    /// The replication slot.
    pub slot: String,
    /// The publication.
    pub publication: String,
    /// The slot's first place: rows of the snapshot are as they were there.
    pub from: Lsn,
    /// When that was.
    pub began_at: Instant,
    /// Rows of the snapshot, and how many of them are here.
    pub n_snapshot: u64,
    /// See `n_snapshot`.
    pub n_copied: u64,
    /// Everything committed before is here.
    pub reached: Lsn,
    /// A transaction behind it of which a part is here.
    pub within: Option<Within>,
    /// How the changes fared.
    pub counts: CaptureCounts,
    /// What the captured tables look like.
    pub tables: BTreeMap<String, DbTable>,
    /// What was noticed lately.
    pub noticed: Vec<Noticed>,
    /// When the last note was made.
    pub noted_at: Instant,
}

/// The payload of a record in `mr.captures`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "note")]
pub enum Note {
    /// A slot is about to be made; if it is there and nothing follows, it is an orphan.
    Intended {
        /// The capture.
        capture: String,
        /// The database's cluster.
        system: String,
        /// The database.
        database: String,
        /// The slot.
        slot: String,
        /// The publication.
        publication: String,
    },
    /// The slot is made and the snapshot lies in the spool.
    Began {
        /// The capture.
        capture: String,
        /// The slot's first place.
        from: Lsn,
        /// When that was.
        at: Instant,
        /// Rows in the spool.
        n_snapshot: u64,
        /// The tables as they were.
        tables: Vec<DbTable>,
        /// What was noticed of them.
        noticed: Vec<Noticed>,
    },
    /// Rows of the snapshot are here.
    Copied {
        /// The capture.
        capture: String,
        /// How many.
        n: u64,
        /// How they fared, since the beginning.
        counts: CaptureCounts,
    },
    /// Changes up to there are here.
    Reached {
        /// The capture.
        capture: String,
        /// Everything committed before is here.
        reached: Lsn,
        /// A transaction behind it of which a part is here.
        within: Option<Within>,
        /// How they fared, since the beginning.
        counts: CaptureCounts,
        /// Tables that look different now.
        tables: Vec<DbTable>,
        /// What was noticed.
        noticed: Vec<Noticed>,
    },
    /// The slot is removed.
    Dropped {
        /// The capture.
        capture: String,
        /// By whom.
        by: String,
    },
}

impl Note {
    fn capture(&self) -> &str {
        match self {
            Self::Intended { capture, .. }
            | Self::Began { capture, .. }
            | Self::Copied { capture, .. }
            | Self::Reached { capture, .. }
            | Self::Dropped { capture, .. } => capture,
        }
    }

    /// As it lies in the journal.
    pub fn to_payload(&self) -> Vec<u8> {
        // Texts and numbers: JSON can say them.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl CaptureState {
    /// What follows from a note; `None` where it says nothing of a capture that is known.
    pub fn after(before: Option<&Self>, note: Note, known_at: Instant) -> Option<Self> {
        if let Note::Intended { system, database, slot, publication, .. } = note {
            return Some(Self {
                stage: CaptureStage::Intended,
                system,
                database,
                slot,
                publication,
                from: Lsn(0),
                began_at: known_at,
                n_snapshot: 0,
                n_copied: 0,
                reached: Lsn(0),
                within: None,
                counts: CaptureCounts::default(),
                tables: BTreeMap::new(),
                noticed: Vec::new(),
                noted_at: known_at,
            });
        }
        let mut state = before?.clone();
        state.noted_at = known_at;
        match note {
            Note::Intended { .. } => {}
            Note::Began { from, at, n_snapshot, tables, noticed, .. } => {
                (state.from, state.reached, state.began_at) = (from, from, at);
                state.n_snapshot = n_snapshot;
                state.stage = if n_snapshot > 0 { CaptureStage::Copying } else { CaptureStage::Streaming };
                state.look_like(tables);
                state.notice(noticed);
            }
            Note::Copied { n, counts, .. } => {
                (state.n_copied, state.counts) = (n, counts);
                if n >= state.n_snapshot {
                    state.stage = CaptureStage::Streaming;
                }
            }
            Note::Reached { reached, within, counts, tables, noticed, .. } => {
                (state.reached, state.within, state.counts) = (reached, within, counts);
                state.look_like(tables);
                state.notice(noticed);
            }
            Note::Dropped { .. } => state.stage = CaptureStage::Dropped,
        }
        Some(state)
    }

    fn look_like(&mut self, tables: Vec<DbTable>) {
        self.tables.extend(tables.into_iter().map(|table| (table.name.clone(), table)));
    }

    fn notice(&mut self, noticed: Vec<Noticed>) {
        self.noticed.extend(noticed);
        let too_many = self.noticed.len().saturating_sub(MAX_NOTICED);
        self.noticed.drain(..too_many);
    }
}

impl CaptureCounts {
    /// Counts a change.
    pub fn count(&mut self, table: &str, op: Op) {
        if !self.tables.contains_key(table) {
            self.tables.insert(table.to_owned(), OpCounts::default());
        }
        let Some(counts) = self.tables.get_mut(table) else { return };
        *match op {
            Op::Snapshot => &mut counts.snapshot,
            Op::Insert => &mut counts.insert,
            Op::Update => &mut counts.update,
            Op::Delete => &mut counts.delete,
            Op::Truncate => &mut counts.truncate,
        } += 1;
    }

    /// Everything that was taken, of all tables.
    pub fn total(&self) -> OpCounts {
        self.tables.values().fold(OpCounts::default(), |sum, counts| OpCounts {
            snapshot: sum.snapshot + counts.snapshot,
            insert: sum.insert + counts.insert,
            update: sum.update + counts.update,
            delete: sum.delete + counts.delete,
            truncate: sum.truncate + counts.truncate,
        })
    }
}

/// The ledger (control partition).
pub struct Tables {
    captures: Table<String, CaptureState>,
}

impl Tables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self { captures: Table::open(scope, "captures") }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.captures]
    }

    /// One capture.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn get(&self, name: &str) -> Result<Option<CaptureState>, Error> {
        Ok(self.captures.peek(&name.to_owned())?.map(|state| (*state).clone()))
    }

    /// Every capture by name.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn list(&self) -> Result<BTreeMap<String, CaptureState>, Error> {
        let mut all = BTreeMap::new();
        self.captures.scan(|name, state| {
            all.insert(name.clone(), state.clone());
        })?;
        Ok(all)
    }
}

/// Folds `mr.captures`.
pub struct CaptureFold;

impl Fold<Record> for CaptureFold {
    type Tables = Tables;

    fn fold(&self, tables: &mut Tables, record: &Record, _: &mut Emissions) -> Result<(), Error> {
        let Ok(note) = serde_json::from_slice::<Note>(&record.payload.open) else { return Ok(()) };
        let name = note.capture().to_owned();
        let before = tables.captures.get(&name)?.cloned();
        if let Some(after) = CaptureState::after(before.as_ref(), note, record.known_at) {
            tables.captures.put(name, after);
        }
        Ok(())
    }
}
