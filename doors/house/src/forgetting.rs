//! What the folds know of erasures: who is erased since when, and that every table keyed by them forgets (LAW 4).
//!
//! An erasure is a record like any other. In the control partition it names everybody and the identity graph forgets
//! them; in the partition of each subject it makes every table keyed by the subject forget it. What was known before
//! is hidden from then on: a record that was on its way when its subject was erased is folded into nothing. So a replay
//! comes to the same state: it folds what it can still open, and forgets it where the live house forgot it (LAW 2).

use std::collections::{BTreeSet, HashMap};

use event::{Instant, Payload, Record, RecordId, Subject};
use profile::{LINKS, Link, MEMBERSHIPS, MERGES};
use serde::{Deserialize, Serialize};
use store::{Error, Scope, Stored, Table};

use crate::rooms::Rooms;

/// The stream of erasures.
pub const ERASURES: &str = "mr.erasures";

/// The payload of a record in `mr.erasures`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Note {
    /// In the control partition: an erasure was ordered.
    Ordered {
        /// Everybody whom it erases: all members of the profiles asked for.
        subjects: Vec<Subject>,
        /// Who ordered it.
        by: String,
        /// Why: a ticket's number or the like.
        reason: String,
    },
    /// In the subject's partition: it is erased by an act.
    Forget {
        /// The record that ordered it.
        act: RecordId,
    },
    /// In the control partition: every store has done its part.
    Done {
        /// The record that ordered it.
        act: RecordId,
        /// The receipts, signed.
        receipts: String,
    },
}

impl Note {
    pub(crate) fn to_payload(&self) -> Vec<u8> {
        // Strings and pseudonyms: there is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// An erasure that was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// When.
    pub at: Instant,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Everybody whom it erased.
    pub subjects: Vec<Subject>,
    /// The signed receipts; `None` while a store has not done its part.
    pub receipts: Option<String>,
}

/// That a subject is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// What was known before is hidden.
    pub at: Instant,
    /// The act.
    pub act: RecordId,
}

/// What is known of erasures in one partition.
pub struct Tables {
    gone: Table<Subject, Gone>,
    /// The same for the identity graph, in the control partition.
    unlinked: Table<Subject, Instant>,
    acts: Table<RecordId, Ordered>,
    /// At hand: asked for every record; the message where it could not be read.
    known: Result<Known, String>,
}

#[derive(Default)]
struct Known {
    gone: HashMap<Subject, Instant>,
    unlinked: HashMap<Subject, Instant>,
    /// Rows that were removed since the start, by act. Not stored: a replay finds fewer, for it no longer opens all.
    removed: HashMap<RecordId, u64>,
}

impl Tables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        let gone: Table<Subject, Gone> = Table::open(scope, "erasures.gone");
        let unlinked: Table<Subject, Instant> = Table::open(scope, "erasures.unlinked");
        let mut known = Known::default();
        let read = gone.scan(|subject, gone| {
            known.gone.insert(*subject, gone.at);
        });
        let read = read.and_then(|()| {
            unlinked.scan(|subject, at| {
                known.unlinked.insert(*subject, *at);
            })
        });
        let known = read.map(|()| known).map_err(|error| error.to_string());
        Self { gone, unlinked, acts: Table::open(scope, "erasures.acts"), known }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.gone, &mut self.unlinked, &mut self.acts]
    }

    fn known(&self) -> Result<&Known, Error> {
        // Not known who is erased: nothing may be folded, or they would come back.
        self.known
            .as_ref()
            .map_err(|reason| Error::Corrupt { table: "erasures.gone".to_owned(), reason: reason.clone() })
    }

    /// True for a record that was known before its subject was erased.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn hides(&self, record: &Record) -> Result<bool, Error> {
        if record.subject.is_none() || record.stream.as_str() == ERASURES {
            return Ok(false);
        }
        let known = self.known()?;
        Ok(known.gone.get(&record.subject).is_some_and(|at| record.known_at < *at))
    }

    /// When a subject of this partition was erased last.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn gone(&self, subject: Subject) -> Result<Option<Gone>, Error> {
        Ok(self.gone.peek(&subject)?.map(|gone| *gone))
    }

    /// How many rows of this partition an act has removed since the house was opened.
    pub(crate) fn n_removed(&self, act: RecordId) -> u64 {
        self.known.as_ref().ok().and_then(|known| known.removed.get(&act).copied()).unwrap_or_default()
    }

    /// Visits everybody of this partition who was erased.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn scan(&self, mut visit: impl FnMut(Subject, &Gone)) -> Result<(), Error> {
        self.gone.scan(|subject, gone| visit(*subject, gone))
    }

    /// An act, in the control partition.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn act(&self, act: RecordId) -> Result<Option<Ordered>, Error> {
        Ok(self.acts.peek(&act)?.map(|ordered| (*ordered).clone()))
    }

    /// Visits every act, in the control partition.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn acts(&self, mut visit: impl FnMut(RecordId, &Ordered)) -> Result<(), Error> {
        self.acts.scan(|act, ordered| visit(*act, ordered))
    }

    /// The record as the identity graph may see it: a link that was on its way when one of its subjects was erased comes
    /// without that one, an act by hand not at all. `None`: as it is.
    pub(crate) fn without_gone(&self, record: &Record) -> Result<Option<Option<Record>>, Error> {
        let known = self.known()?;
        if known.unlinked.is_empty() {
            return Ok(None);
        }
        let is_gone = |subject: &Subject| known.unlinked.get(subject).is_some_and(|at| record.known_at < *at);
        match record.stream.as_str() {
            LINKS => {
                let Ok(mut link) = serde_json::from_slice::<Link>(&record.payload.open) else {
                    return Ok(None);
                };
                let n = link.ids.len();
                link.ids.retain(|id| !is_gone(&id.subject));
                if link.ids.len() == n {
                    return Ok(None);
                }
                let payload = Payload { open: link.to_payload().into(), cells: Vec::new() };
                Ok(Some(Some(Record { payload, ..record.clone() })))
            }
            MERGES => {
                let act = serde_json::from_slice::<profile::Act>(&record.payload.open);
                let hidden = act.is_ok_and(|act| act.ids.iter().any(|id| is_gone(&id.subject)));
                Ok(hidden.then_some(None))
            }
            MEMBERSHIPS => {
                let said = serde_json::from_slice::<profile::Membership>(&record.payload.open);
                let hidden =
                    said.is_ok_and(|said| is_gone(&said.entity.subject) || is_gone(&said.member.subject));
                Ok(hidden.then_some(None))
            }
            _ => Ok(None),
        }
    }
}

impl Rooms {
    /// Folds a record of [`ERASURES`].
    pub(crate) fn fold_erasure(&mut self, record: &Record) -> Result<(), Error> {
        let Ok(note) = serde_json::from_slice::<Note>(&record.payload.open) else { return Ok(()) };
        self.erasures.known()?;
        match note {
            Note::Forget { act } if !record.subject.is_none() => {
                let n_rows = self.forget(record.subject)?;
                self.erasures.gone.put(record.subject, Gone { at: record.known_at, act });
                if let Ok(known) = &mut self.erasures.known {
                    known.gone.insert(record.subject, record.known_at);
                    *known.removed.entry(act).or_default() += n_rows;
                }
            }
            Note::Ordered { subjects, by, reason } if record.subject.is_none() => {
                let gone: BTreeSet<Subject> = subjects.iter().copied().filter(|s| !s.is_none()).collect();
                let n_rows = self.identities.forget(&gone)?;
                if let Ok(known) = &mut self.erasures.known {
                    *known.removed.entry(record.id).or_default() += n_rows;
                }
                for subject in &gone {
                    self.erasures.unlinked.put(*subject, record.known_at);
                    if let Ok(known) = &mut self.erasures.known {
                        known.unlinked.insert(*subject, record.known_at);
                    }
                }
                let ordered = Ordered { at: record.known_at, by, reason, subjects, receipts: None };
                self.erasures.acts.put(record.id, ordered);
            }
            Note::Done { act, receipts } if record.subject.is_none() => {
                if let Some(ordered) = self.erasures.acts.get(&act)?.cloned() {
                    let receipts = Some(receipts);
                    self.erasures.acts.put(act, Ordered { receipts, ..ordered });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Every table of this partition that is keyed by a subject forgets it. Who adds such a table adds a line here.
    ///
    /// Not among them: consents, objections and restrictions (`policy`): what somebody refused must outlast them, or the
    /// next import would bring them back; they hold a pseudonym and a word, what proves it lies sealed. Quality, counts and
    /// sources: sums over what lies open, under nobody's key.
    fn forget(&mut self, subject: Subject) -> Result<u64, Error> {
        let composition = self.composition().clone();
        let mut n_rows = self.traits.forget(subject)?;
        n_rows += self.features.forget(subject, &composition.views)?;
        n_rows += self.decisions.forget(subject)?;
        n_rows += self.streams.forget(subject)?;
        n_rows += self.corrections.forget(subject, &composition.corrections)?;
        // Of a person there is none here: a proof lies under a subject of its own, and is erased as one when it lapses.
        n_rows += self.proofs.forget(subject)?;
        Ok(n_rows)
    }
}
