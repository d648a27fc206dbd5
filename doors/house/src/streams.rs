//! What came in, per stream, and what was refused with its reasons.

use std::collections::BTreeMap;

use event::{BatchId, Instant, Record, RecordId, Subject};
use serde::{Deserialize, Serialize};
use store::{Emissions, Error, Fold, Scope, Stored, Table};

/// The stream of refused records.
pub const QUARANTINE: &str = intake::QUARANTINE;

/// One finding as it is kept: without values of personal fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// `MR1004`
    pub code: String,
    /// The field it is about, or empty.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// A refused record: its content lies sealed in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The stream it was meant for.
    pub stream: String,
    /// Whose it is, or [`Subject::NONE`].
    pub subject: Subject,
    /// When it came.
    pub at: Instant,
    /// The import that brought it.
    pub batch: Option<BatchId>,
    /// Why it was refused.
    pub reasons: Vec<Reason>,
    /// True once it was replayed and accepted.
    pub mended: bool,
}

/// Records of one stream in one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Records folded.
    pub n_records: u64,
    /// Records refused and not mended since.
    pub n_refused: u64,
    /// The same by code of their first finding.
    pub reasons: BTreeMap<String, u64>,
    /// When the latest came.
    pub last_known_at: Option<Instant>,
}

impl Count {
    /// Adds the count of another partition.
    pub fn merge(&mut self, other: &Count) {
        self.n_records += other.n_records;
        self.n_refused += other.n_refused;
        for (code, n) in &other.reasons {
            *self.reasons.entry(code.clone()).or_default() += n;
        }
        self.last_known_at = self.last_known_at.max(other.last_known_at);
    }
}

/// Counts and refusals of one partition.
pub struct Tables {
    counts: Table<String, Count>,
    refused: Table<RecordId, Refused>,
    /// Refused records by whose they are: what an erasure looks for.
    of_subject: Table<(Subject, RecordId), ()>,
}

impl Tables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self {
            counts: Table::partial(scope, "streams"),
            refused: Table::open(scope, "quarantine"),
            of_subject: Table::open(scope, "quarantine.of_subject"),
        }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.counts, &mut self.refused, &mut self.of_subject]
    }

    /// Forgets a subject's refused records (LAW 4). Returns how many rows were removed.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn forget(&mut self, subject: Subject) -> Result<u64, Error> {
        let mut records = Vec::new();
        self.of_subject.scan_from(subject.as_bytes(), &mut |(_, record), ()| records.push(*record))?;
        for record in &records {
            self.refused.remove(record);
            self.of_subject.remove(&(subject, *record));
        }
        Ok(records.len() as u64)
    }

    /// Adds this partition's counts to `into`.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn add_counts(&self, into: &mut BTreeMap<String, Count>) -> Result<(), Error> {
        self.counts.scan(|stream, count| into.entry(stream.clone()).or_default().merge(count))
    }

    /// One refused record.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn refused(&self, id: RecordId) -> Result<Option<Refused>, Error> {
        Ok(self.refused.peek(&id)?.map(|refused| (*refused).clone()))
    }

    /// Visits every refused record.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn scan_refused(&self, mut visit: impl FnMut(RecordId, &Refused)) -> Result<(), Error> {
        self.refused.scan(|id, refused| visit(*id, refused))
    }
}

/// The payload of a note in `mr.quarantine` that a refused record was replayed and accepted.
pub(crate) fn mended_payload(refused: &Record) -> Vec<u8> {
    let written: Option<Written> = serde_json::from_slice(&refused.payload.open).ok();
    let note = Mended {
        mended: refused.id,
        stream: written.map(|written| written.stream),
        source: Some(watch::source_of(refused)),
        day: Some(watch::day_of(refused.occurred_at)),
    };
    serde_json::to_vec(&note).unwrap_or_default()
}

/// A note that a refused record was replayed and accepted. The first ones held nothing but its id.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mended {
    mended: RecordId,
    #[serde(default)]
    stream: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    day: Option<i32>,
}

/// The open part of a record in `mr.quarantine`, as intake writes it.
#[derive(Deserialize)]
struct Written {
    stream: String,
    #[serde(default)]
    findings: Vec<WrittenFinding>,
}

#[derive(Deserialize)]
struct WrittenFinding {
    code: String,
    #[serde(default)]
    field: Option<String>,
    message: String,
}

/// Counts every record, keeps what was refused, and marks what a replay mended.
pub struct StreamFold;

impl Fold<Record> for StreamFold {
    type Tables = Tables;

    fn fold(&self, tables: &mut Tables, record: &Record, _: &mut Emissions) -> Result<(), Error> {
        if record.stream.as_str() == QUARANTINE {
            if let Ok(note) = serde_json::from_slice::<Mended>(&record.payload.open) {
                if let Some(mut refused) =
                    tables.refused.get(&note.mended)?.filter(|one| !one.mended).cloned()
                {
                    refused.mended = true;
                    let first = refused.reasons.first().map(|reason| reason.code.clone()).unwrap_or_default();
                    tables.counts.update(&refused.stream, |count| {
                        count.n_refused = count.n_refused.saturating_sub(1);
                        if let Some(n) = count.reasons.get_mut(&first) {
                            *n = n.saturating_sub(1);
                        }
                    })?;
                    tables.refused.put(note.mended, refused);
                }
                return Ok(());
            }
            let Ok(written) = serde_json::from_slice::<Written>(&record.payload.open) else { return Ok(()) };
            let first = written.findings.first().map_or_else(String::new, |finding| finding.code.clone());
            tables.counts.update(&written.stream, |count| {
                count.n_refused += 1;
                *count.reasons.entry(first).or_default() += 1;
                count.last_known_at = count.last_known_at.max(Some(record.known_at));
            })?;
            let reasons = written.findings.into_iter().map(|finding| Reason {
                code: finding.code,
                field: finding.field.unwrap_or_default(),
                message: finding.message,
            });
            let refused = Refused {
                stream: written.stream,
                subject: record.subject,
                at: record.known_at,
                batch: record.batch,
                reasons: reasons.collect(),
                mended: false,
            };
            if !record.subject.is_none() {
                tables.of_subject.put((record.subject, record.id), ());
            }
            tables.refused.put(record.id, refused);
            return Ok(());
        }
        tables.counts.update(&record.stream.as_str().to_owned(), |count| {
            count.n_records += 1;
            count.last_known_at = count.last_known_at.max(Some(record.known_at));
        })
    }
}
