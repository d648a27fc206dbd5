//! Erasing people: one act reaches every store, and each store says what it did (LAW 4).
//!
//! 1. Nothing more is sealed for the subjects, and nobody decides for them.
//! 2. The erasure is appended: it is the intent. Every table keyed by them forgets them, the identity graph too; what was
//!    on its way is folded into nothing.
//! 3. The state is committed, so that nothing that was known of them waits to be sealed anew.
//! 4. Their keys are destroyed (see `vault`): what is sealed opens no more, here and in every backup.
//! 5. Versions of models that learned from them are marked.
//! 6. The databases are rewritten without the old rows; the receipts are signed and appended.
//!
//! Cut off anywhere, the next opening completes it: the journal says who is to be gone, the vault whose keys are. Where a
//! backup from before is put back under the keys of today, the vault's list says whom the journal has yet to forget.

mod import;
mod receipts;
mod trained;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicI64;

use event::{Instant, Record, RecordId, Subject};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use process::Receipt as Folded;

use crate::Error;
use crate::forgetting::{ERASURES, Note, Ordered};
use crate::house::{House, WAIT, system_record};

pub use receipts::{Receipts, StoreReceipt};

/// Characters of a name or a reason that are kept.
const MOST_CHARS: usize = 300;
/// Subjects that one act may erase.
const MOST_SUBJECTS: usize = 100_000;
/// A state of up to so many bytes is rewritten at once, a larger one by [`House::compact`].
const COMPACT_AT_ONCE: u64 = 512 << 20;

/// Who erases, and who must not meanwhile.
#[derive(Default)]
pub(crate) struct Desk {
    /// One erasure at a time: a second one of the same subject finds nothing left.
    turn: Mutex<()>,
    /// Held by files on their way in while a chunk is sealed and appended, which an erasure waits for.
    chunks: RwLock<()>,
    /// The day on which lapsed proofs were looked for last, counted from 1970; 0: not since the house was opened.
    pub(crate) proofs_looked_at: AtomicI64,
}

impl House {
    /// Erases people: all members of the profiles of `subjects`. Returns when no store gives anything back, with each
    /// store's signed receipt. Erasing somebody again is allowed and finds nothing.
    ///
    /// * `reason`: a ticket's number or the like, no names of people
    ///
    /// # Errors
    /// [`Error::Erasure`] where nobody is named, or too many; others where a disk fails: the erasure is then completed when
    /// the house is opened again, or by asking again.
    pub fn erase(&self, subjects: &[Subject], by: &str, reason: &str) -> Result<Receipts, Error> {
        let refused = |reason: String| Err(Error::Erasure { reason });
        if by.trim().is_empty() || reason.trim().is_empty() {
            return refused("an erasure names who orders it and why".to_owned());
        }
        let _turn = self.erase_desk.turn.lock();
        let mut all = BTreeSet::new();
        for subject in subjects.iter().filter(|subject| !subject.is_none()) {
            all.extend(self.members(*subject)?.subjects);
        }
        if all.is_empty() || all.len() > MOST_SUBJECTS {
            return refused(format!("{} subjects: between 1 and {MOST_SUBJECTS} are expected", all.len()));
        }
        let short =
            |text: &str| text.chars().filter(|c| !c.is_control()).take(MOST_CHARS).collect::<String>();
        let (by, reason) = (short(by), short(reason));
        let all: Vec<Subject> = all.into_iter().collect();
        let began = std::time::Instant::now();
        self.audit_erasure(&all, &by, &reason)?;
        let (act, ordered) = {
            let _sealing = self.vault().begin_erasing(&all);
            let _chunks = self.erase_desk.chunks.write();
            let (act, at) = self.order(&all, &by, &reason)?;
            self.destroy(&all, at, act)?;
            (act, Ordered { at, by, reason, subjects: all, receipts: None })
        };
        self.forget_in_memory();
        let logical_ms = u64::try_from(began.elapsed().as_millis()).ok();
        self.finish(act, &ordered, logical_ms)
    }

    /// [`House::erase`] by identifiers.
    ///
    /// # Errors
    /// As [`House::erase`]; [`Error::BadIdentifier`].
    pub fn erase_people(
        &self,
        identifiers: &[crate::Identifier],
        by: &str,
        reason: &str,
    ) -> Result<Receipts, Error> {
        let subjects = identifiers.iter().map(|id| self.subject(id)).collect::<Result<Vec<_>, _>>()?;
        self.erase(&subjects, by, reason)
    }

    /// The receipts of an erasure.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such act, or it is not complete.
    pub fn erasure(&self, act: RecordId) -> Result<Receipts, Error> {
        let found = self.in_control(|rooms| rooms.erasures.act(act))?;
        let missing = || Error::NotFound { what: "erasure", id: act.to_string() };
        Receipts::read(&found.and_then(|ordered| ordered.receipts).ok_or_else(missing)?)
            .ok_or_else(|| Error::Internal { reason: "the receipts of an erasure cannot be read".to_owned() })
    }

    /// Every erasure, the latest first.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn erasures(&self) -> Result<Vec<(RecordId, Ordered)>, Error> {
        let mut all = Vec::new();
        self.in_control(|rooms| rooms.erasures.acts(|act, ordered| all.push((act, ordered.clone()))))?;
        all.sort_by_key(|(act, ordered): &(RecordId, Ordered)| std::cmp::Reverse((ordered.at, *act)));
        Ok(all)
    }

    /// True for a record that was known before its subject was erased: whoever reads the journal leaves it out.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn is_erased(&self, record: &Record) -> Result<bool, Error> {
        if record.subject.is_none() {
            return Ok(false);
        }
        self.in_partition(record.subject, |rooms| rooms.erasures.hides(record))
    }

    /// As [`House::is_erased`]; where it cannot be read who is, everybody counts as erased.
    pub(crate) fn hides(&self, record: &Record) -> bool {
        self.is_erased(record).unwrap_or(true)
    }

    /// When a subject was erased last.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn erased_at(&self, subject: Subject) -> Result<Option<Instant>, Error> {
        Ok(self.in_partition(subject, |rooms| rooms.erasures.gone(subject))?.map(|gone| gone.at))
    }

    /// Rewrites state and vault without what was overwritten or removed.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Vault`]
    pub fn compact(&self) -> Result<(), Error> {
        self.engine().database().compact()?;
        Ok(self.vault().compact()?)
    }

    /// Refuses records of subjects that are being erased at this moment.
    ///
    /// # Errors
    /// [`Error::Vault`]: to be sent again.
    pub(crate) fn not_being_erased<'r>(
        &self,
        records: impl IntoIterator<Item = &'r std::sync::Arc<Record>>,
    ) -> Result<(), Error> {
        match self.vault().being_erased(records.into_iter().map(|record| record.subject)) {
            Some(subject) => Err(vault::Error::BeingErased { subject }.into()),
            None => Ok(()),
        }
    }

    /// Held while a chunk of a file is sealed and appended.
    pub(crate) fn chunk_turn(&self) -> RwLockReadGuard<'_, ()> {
        self.erase_desk.chunks.read()
    }

    /// Completes what was cut off, and what a backup from before brought back: called when the house is opened.
    pub(crate) fn complete_erasures(&self) -> Result<(), Error> {
        let _turn = self.erase_desk.turn.lock();
        self.forget_again()?;
        self.destroy_again()?;
        let mut open = Vec::new();
        self.in_control(|rooms| {
            rooms.erasures.acts(|act, ordered| {
                if ordered.receipts.is_none() {
                    open.push((act, ordered.clone()));
                }
            })
        })?;
        for (act, ordered) in open {
            tracing::info!(%act, n_subjects = ordered.subjects.len(), "an erasure that was cut off is completed");
            self.finish(act, &ordered, None)?;
        }
        Ok(())
    }

    /// The vault knows of erasures that this journal does not: it is a copy from before them.
    fn forget_again(&self) -> Result<(), Error> {
        let mut destroyed: BTreeMap<RecordId, BTreeSet<Subject>> = BTreeMap::new();
        let mut failed = None;
        self.vault().erasures(|subject, erasure| match self.erased_at(subject) {
            Ok(at) if at.is_none_or(|at| at < erasure.at) => {
                destroyed.entry(erasure.act).or_default().insert(subject);
            }
            Ok(_) => {}
            Err(error) => failed = Some(error),
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        for (act, subjects) in destroyed {
            // The journal's identity graph may know of members that the erasure of then reached by other names; all of
            // them were in its list, for the list is of all members.
            let all: Vec<Subject> = subjects.into_iter().collect();
            tracing::warn!(%act, n_subjects = all.len(), "this journal is from before an erasure: it is done again");
            let reason = format!("erasure {act}, which this journal did not know of");
            self.audit_erasure(&all, "maschinenraum", &reason)?;
            let (again, at) = self.order(&all, "maschinenraum", &reason)?;
            self.destroy(&all, at, again)?;
        }
        Ok(())
    }

    /// The journal knows of erasures whose keys are there still: they were cut off.
    fn destroy_again(&self) -> Result<(), Error> {
        let mut wanted: BTreeMap<(Instant, RecordId), Vec<Subject>> = BTreeMap::new();
        self.in_each_partition(|rooms| {
            rooms.erasures.scan(|subject, gone| {
                wanted.entry((gone.at, gone.act)).or_default().push(subject);
            })
        })?;
        for ((at, act), subjects) in wanted {
            let mut left = Vec::new();
            for subject in subjects {
                if self.vault().erasure_of(subject)?.is_none_or(|done| done.at < at) {
                    left.push(subject);
                }
            }
            if !left.is_empty() {
                self.destroy(&left, at, act)?;
            }
        }
        Ok(())
    }

    /// Appends the erasure and waits until everybody has forgotten.
    fn order(&self, subjects: &[Subject], by: &str, reason: &str) -> Result<(RecordId, Instant), Error> {
        // Whoever decides for one of them is done first, and the next finds nobody.
        let _turns = self.turns(subjects);
        let flight = self.clock().arrive();
        let at = flight.known_at();
        let note =
            Note::Ordered { subjects: subjects.to_vec(), by: by.to_owned(), reason: reason.to_owned() };
        let mut key = at.micros().to_be_bytes().to_vec();
        subjects.iter().for_each(|subject| key.extend_from_slice(subject.as_bytes()));
        let act = RecordId::external(ERASURES, &key);
        let mut records = vec![system_record(ERASURES, Subject::NONE, act, None, &flight, note.to_payload())];
        for subject in subjects {
            let id = RecordId::emission(act, "erase", 0);
            let payload = Note::Forget { act }.to_payload();
            records.push(system_record(ERASURES, *subject, id, None, &flight, payload));
        }
        let receipts: Vec<Folded> = self.engine().append(records)?;
        self.engine().wait_folded(&receipts, WAIT)?;
        drop(flight);
        Ok((act, at))
    }

    fn destroy(&self, subjects: &[Subject], at: Instant, act: RecordId) -> Result<(), Error> {
        // What was drained from the tables before they forgot is written by now: nothing of it will be sealed anew.
        self.engine().settle(WAIT)?;
        self.vault().erase(subjects, at, act)?;
        Ok(())
    }

    /// What is kept at hand beside state and vault.
    pub(crate) fn forget_in_memory(&self) {
        self.intake.forget_links();
        *self.skewed.lock() = None;
    }

    fn audit_erasure(&self, subjects: &[Subject], by: &str, reason: &str) -> Result<(), Error> {
        let act = audit::Act {
            what: "subject.erase",
            by,
            purpose: None,
            subject: subjects.first().copied().filter(|_| subjects.len() == 1),
            detail: serde_json::json!({ "n_subjects": subjects.len(), "reason": reason }),
        };
        self.audit(&act)
    }

    /// Marks models, rewrites the databases, and appends the signed receipts.
    fn finish(&self, act: RecordId, ordered: &Ordered, logical_ms: Option<u64>) -> Result<Receipts, Error> {
        let mut stores = vec![self.journal_receipt(ordered), self.state_receipt(act, ordered)?];
        stores.push(self.vault_receipt(ordered)?);
        stores.push(self.mark_models(act, ordered)?);
        stores.push(self.captures_receipt()?);
        if self.engine().database().disk_bytes() <= COMPACT_AT_ONCE {
            self.compact()?;
        }
        stores.push(self.exports_receipt()?);
        stores.push(self.audit_receipt(act));
        let receipts = Receipts::new(act, ordered, logical_ms, stores);
        let signed = self.sign("receipts", &receipts.to_text()?)?;
        let note = Note::Done { act, receipts: signed.clone() };
        let id = RecordId::emission(act, "done", 0);
        self.append_system(ERASURES, Subject::NONE, id, None, note.to_payload())?;
        Ok(Receipts { signed: Some(signed), ..receipts })
    }
}
