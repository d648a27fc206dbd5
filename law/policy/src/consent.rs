//! How subjects stand, folded from the ledger `mr.consents`, and looked up.

use std::collections::BTreeMap;
use std::sync::Arc;

use event::{Instant, Record, RecordId, Subject};
use serde::{Deserialize, Serialize};
use store::{Emissions, Fold, Scope, Stored, Table};

use crate::entry::{Act, Asked, CONSENTS, Entry};
use crate::standing::Standing;
use crate::{Action, Denied, Principal};

/// Where the standing of subjects is looked up; the house has one that finds the right partition.
pub trait ConsentView {
    /// How `subject` stands; `None` where it never said anything.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails: then everything is denied.
    fn standing(&self, subject: Subject) -> Result<Option<Arc<Standing>>, store::Error>;

    /// Whether the caller's role allows it; asked before anything else. Where there are no roles, scopes alone decide.
    ///
    /// # Errors
    /// [`Denied::ByRole`]
    fn may(&self, _: &Principal, _: Action, _: &str) -> Result<(), Denied> {
        Ok(())
    }
}

/// A question that waits for its token, or had it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Whose.
    pub subject: Option<Subject>,
    /// What was asked.
    pub asked: Option<Asked>,
    /// The record that asks.
    pub record: Option<RecordId>,
    /// When it was answered.
    pub confirmed_at: Option<Instant>,
}

/// The consents of one partition's subjects.
pub struct Tables {
    standing: Table<Subject, Standing>,
    /// By what their tokens hash to.
    requests: Table<String, Request>,
}

impl Tables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self { standing: Table::open(scope, "consents"), requests: Table::open(scope, "consent_requests") }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.standing, &mut self.requests]
    }

    /// Visits every subject that ever said something, in order.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn scan(&self, mut visit: impl FnMut(Subject, &Standing)) -> Result<(), store::Error> {
        self.standing.scan(|subject, standing| visit(*subject, standing))
    }

    /// The question whose token hashes to `hash`.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn request(&self, hash: &str) -> Result<Option<Arc<Request>>, store::Error> {
        self.requests.peek(&hash.to_owned())
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
        let Some(entry) = Entry::read(&record.payload.open) else { return Ok(()) };
        tables.standing.update(&record.subject, |standing| standing.hear(record))?;
        match entry {
            Entry::Act(Act::Asked(asked)) => tables.requests.update(&asked.token_hash.clone(), |request| {
                // A token is drawn once; of two records that claim it the first in the order of ids counts.
                if request.record.is_none_or(|known| record.id < known) {
                    (request.subject, request.record) = (Some(record.subject), Some(record.id));
                    request.asked = Some(asked);
                }
            }),
            Entry::Said(given) if !given.confirms.is_empty() => {
                tables.requests.update(&given.confirms, |request| {
                    let at = record.occurred_at.min(record.known_at);
                    request.confirmed_at = Some(request.confirmed_at.map_or(at, |known| known.min(at)));
                })
            }
            _ => Ok(()),
        }
    }
}

/// How subjects stood as of an instant: the same fold over what was known by then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AsOf {
    at: Option<Instant>,
    standing: BTreeMap<Subject, Arc<Standing>>,
}

impl AsOf {
    /// Hears nothing that became known after `at`.
    pub fn new(at: Instant) -> Self {
        Self { at: Some(at), standing: BTreeMap::new() }
    }

    /// Hears a record; whatever is none of `mr.consents` changes nothing.
    pub fn hear(&mut self, record: &Record) {
        let is_one = record.stream.as_str() == CONSENTS && !record.subject.is_none();
        if is_one
            && self.at.is_none_or(|at| record.known_at <= at)
            && Entry::read(&record.payload.open).is_some()
        {
            Arc::make_mut(self.standing.entry(record.subject).or_default()).hear(record);
        }
    }
}

impl ConsentView for AsOf {
    fn standing(&self, subject: Subject) -> Result<Option<Arc<Standing>>, store::Error> {
        Ok(self.standing.get(&subject).cloned())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::entry::{ConsentGiven, Status};
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
            notice_version: "2026-01".into(),
            source: "form".into(),
            ..ConsentGiven::new(purpose, status)
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
