//! What a subject granted or refused, folded from the stream `mr.consents`.

use std::sync::Arc;

use event::{Instant, Record, RecordId, Subject};
use serde::{Deserialize, Serialize};
use store::{Emissions, Fold, Scope, Stored, Table};

/// The stream of consents, keyed by subject.
pub const CONSENTS: &str = "mr.consents";

/// What a subject said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Yes.
    Granted,
    /// No, or an objection.
    Denied,
    /// No longer.
    Withdrawn,
}

/// The payload of a record in `mr.consents`. When it was said is the record's `occurred_at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentGiven {
    /// The purpose it is about.
    pub purpose: String,
    /// What was said.
    pub status: Status,
    /// The version of the wording that was shown.
    #[serde(default)]
    pub notice_version: String,
    /// Where it was said: a form, a tool, a phone call.
    #[serde(default)]
    pub source: String,
}

impl ConsentGiven {
    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        // A struct of three strings and an enum: there is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The standing word of a subject on one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The purpose.
    pub purpose: String,
    /// What was said last.
    pub status: Status,
    /// The version of the wording that was shown.
    pub notice_version: String,
    /// Where it was said.
    pub source: String,
    /// When it was said.
    pub at: Instant,
    /// The record that says so.
    pub record: RecordId,
}

/// All that one subject said about purposes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    epoch: u64,
    /// Sorted by purpose.
    consents: Vec<Consent>,
}

impl Standing {
    /// Grows with every consent record of the subject: equal epochs, equal standing.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The standing word on `purpose`; `None` where nothing was ever said.
    pub fn on(&self, purpose: &str) -> Option<&Consent> {
        let at = self.consents.binary_search_by(|c| c.purpose.as_str().cmp(purpose)).ok()?;
        self.consents.get(at)
    }

    /// The standing words, by purpose.
    pub fn consents(&self) -> &[Consent] {
        &self.consents
    }

    /// The latest word counts, in whatever order the words arrive; of two at the same instant the one with
    /// the higher record id.
    fn hear(&mut self, said: Consent) {
        self.epoch += 1;
        match self.consents.binary_search_by(|c| c.purpose.cmp(&said.purpose)) {
            Err(at) => self.consents.insert(at, said),
            Ok(at) => {
                if let Some(standing) = self.consents.get_mut(at)
                    && (standing.at, standing.record) < (said.at, said.record)
                {
                    *standing = said;
                }
            }
        }
    }
}

/// Where the standing of subjects is looked up; the house has one that finds the right partition.
pub trait ConsentView {
    /// What `subject` said; `None` where it never said anything.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails: then everything is denied.
    fn standing(&self, subject: Subject) -> Result<Option<Arc<Standing>>, store::Error>;
}

/// The consents of one partition's subjects.
pub struct Tables {
    standing: Table<Subject, Standing>,
}

impl Tables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self { standing: Table::open(scope, "consents") }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.standing]
    }

    /// Visits every subject that ever said something, in order.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn scan(&self, mut visit: impl FnMut(Subject, &Standing)) -> Result<(), store::Error> {
        self.standing.scan(|subject, standing| visit(*subject, standing))
    }
}

impl ConsentView for Tables {
    fn standing(&self, subject: Subject) -> Result<Option<Arc<Standing>>, store::Error> {
        self.standing.peek(&subject)
    }
}

/// Folds `mr.consents`; other streams leave it untouched.
pub struct ConsentFold;

impl Fold<Record> for ConsentFold {
    type Tables = Tables;

    fn fold(&self, tables: &mut Tables, record: &Record, _: &mut Emissions) -> Result<(), store::Error> {
        if record.stream.as_str() != CONSENTS || record.subject.is_none() {
            return Ok(());
        }
        let Ok(given) = serde_json::from_slice::<ConsentGiven>(&record.payload.open) else { return Ok(()) };
        let said = Consent {
            purpose: given.purpose,
            status: given.status,
            notice_version: given.notice_version,
            source: given.source,
            // A word dated into the future would outlive every later one: it was said at the latest when
            // it became known.
            at: record.occurred_at.min(record.known_at),
            record: record.id,
        };
        tables.standing.update(&record.subject, |standing| standing.hear(said))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use event::{Partition, Payload, StreamName, Version};
    use proptest::prelude::*;

    pub(crate) fn subject(n: u8) -> Subject {
        Subject::from_bytes([n; 16])
    }

    pub(crate) fn record(
        n: u64,
        subject: Subject,
        occurred: i64,
        known: i64,
        given: &ConsentGiven,
    ) -> Record {
        Record {
            id: RecordId::external(CONSENTS, &n.to_le_bytes()),
            stream: StreamName::new(CONSENTS),
            contract: Version::new(1, 0, 0),
            subject,
            occurred_at: Instant::from_micros(occurred),
            known_at: Instant::from_micros(known),
            batch: None,
            cause: None,
            source: None,
            key_epoch: 0,
            payload: Payload { open: given.to_payload().into(), cells: Vec::new() },
        }
    }

    pub(crate) fn said(purpose: &str, status: Status) -> ConsentGiven {
        ConsentGiven {
            purpose: purpose.into(),
            status,
            notice_version: "2026-01".into(),
            source: "form".into(),
        }
    }

    pub(crate) fn tables_after(records: &[Record]) -> Tables {
        let mut tables = Tables::open(&Scope::memory(Partition(0)));
        let mut out = Emissions::default();
        for record in records {
            ConsentFold.fold(&mut tables, record, &mut out).unwrap();
        }
        assert!(out.is_empty());
        tables
    }

    /// (occurred, known, status) in order of arrival, and the status that stands.
    fn check(words: &[(i64, i64, Status)], expected: Status) {
        let records: Vec<_> = words
            .iter()
            .zip(0..)
            .map(|((occurred, known, status), n)| {
                record(n, subject(1), *occurred, *known, &said("ads", *status))
            })
            .collect();
        let standing = tables_after(&records).standing(subject(1)).unwrap().unwrap();
        assert_eq!(standing.on("ads").map(|c| c.status), Some(expected), "{words:?}");
        assert_eq!(standing.epoch(), words.len() as u64);
    }

    #[test]
    fn the_latest_word_stands() {
        use Status::{Denied, Granted, Withdrawn};
        check(&[(1, 1, Granted)], Granted);
        check(&[(1, 1, Granted), (2, 2, Withdrawn)], Withdrawn);
        // The withdrawal arrives first, the older grant late.
        check(&[(2, 2, Withdrawn), (1, 3, Granted)], Withdrawn);
        check(&[(1, 1, Denied), (5, 5, Granted)], Granted);
        // Dated into the future, it counts from when it was known.
        check(&[(9_999, 1, Granted), (2, 2, Withdrawn)], Withdrawn);
    }

    #[test]
    fn what_is_no_consent_changes_nothing() {
        let mut other = record(1, subject(1), 1, 1, &said("ads", Status::Granted));
        other.stream = StreamName::new("orders");
        let nobody = record(2, Subject::NONE, 1, 1, &said("ads", Status::Granted));
        let mut broken = record(3, subject(1), 1, 1, &said("ads", Status::Granted));
        broken.payload.open = br#"{"purpose":"ads","status":"GRANTED"}"#.to_vec().into();
        let tables = tables_after(&[other, nobody, broken]);
        tables.scan(|subject, standing| panic!("{subject} {standing:?}")).unwrap();
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            words in prop::collection::vec((0_i64..5, 0_i64..5, 0_usize..3, 0_usize..2), 1..8),
            seed in any::<prop::sample::Index>(),
        ) {
            let status = [Status::Granted, Status::Denied, Status::Withdrawn];
            let mut records: Vec<_> = words.iter().zip(0..).map(|((occurred, known, s, p), n)| {
                record(n, subject(1), *occurred, *known, &said(["a", "b"][*p], status[*s]))
            }).collect();
            let one = tables_after(&records).standing(subject(1)).unwrap();
            let at = seed.index(records.len());
            records.rotate_left(at);
            records.reverse();
            prop_assert_eq!(one, tables_after(&records).standing(subject(1)).unwrap());
        }

        #[test]
        fn noise_never_panics(open in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut noise = record(1, subject(1), 1, 1, &said("ads", Status::Granted));
            noise.payload.open = open.into();
            tables_after(&[noise]);
        }
    }
}
