//! The state of decisions in one partition: everything keyed so that it is the same under any number of
//! partitions (LAW 2).

use std::sync::Arc;

use event::{Instant, Position, RecordId, Subject};
use store::{Digest, Error, Key, Pending, Scope, Stored, Table, Value};

use crate::rows::{
    Account, Assigned, BudgetTerms, Contact, OpenReservation, Outstanding, Purse, Standing, StoredFinding,
    Used,
};
use crate::tally::Tally;

/// The tables of one partition.
pub struct Tables {
    #[cfg(test)]
    scope: Scope,
    /// Where decisions lie in the journal, which holds them whole: a second copy here would be most of what a commit writes.
    pub(crate) places: Index<RecordId, u64>,
    pub(crate) standings: Table<RecordId, Standing>,
    pub(crate) open: Table<Due, OpenReservation>,
    pub(crate) slots: Index<u64, u32>,
    pub(crate) contacts: Table<Subject, Vec<Contact>>,
    pub(crate) holdouts: Table<(String, Subject), Assigned>,
    pub(crate) tallies: Table<(String, Subject), Tally>,
    pub(crate) findings: Table<RecordId, StoredFinding>,
    pub(crate) budgets: Table<String, BudgetTerms>,
    pub(crate) accounts: Table<String, Account>,
    pub(crate) answered: Table<(String, Subject), u64>,
    pub(crate) outstanding: Table<RecordId, Outstanding>,
    pub(crate) purses: Table<(String, Subject), Purse>,
    pub(crate) used: Index<RecordId, Used>,
    /// Rows that lie under a record's id, by the subject whose they are: what an erasure looks for. A decision's has the
    /// salt of its holdout, the others are empty.
    pub(crate) of_subject: Table<(Subject, RecordId), String>,
}

/// The key of an open reservation: those that lapse about the same time lie together, so that looking for what
/// lapsed does not read all that did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) slot: u64,
    pub(crate) decision: RecordId,
}

impl Due {
    const SLOT_SECONDS: u64 = 10;

    pub(crate) fn new(expires: Instant, decision: RecordId) -> Self {
        Self { slot: Self::slot(expires), decision }
    }

    pub(crate) fn slot(at: Instant) -> u64 {
        at.micros().max(0).unsigned_abs() / (Self::SLOT_SECONDS * 1_000_000)
    }
}

impl Key for Due {
    fn write(&self, out: &mut Vec<u8>) {
        self.slot.write(out);
        self.decision.write(out);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (slot, decision) = bytes.split_at_checked(8)?;
        Some(Self { slot: u64::read(slot)?, decision: RecordId::read(decision)? })
    }
}

/// A table that only sums up what other tables say, by partition. It is committed with them, but does not
/// belong to the digest: the same decisions add up differently where they lie in other partitions.
pub(crate) struct Index<K: Key, V: Value>(pub(crate) Table<K, V>);

impl<K: Key, V: Value> Stored for Index<K, V> {
    fn drain(&mut self, out: &mut Vec<Pending>) {
        self.0.drain(out);
    }

    fn n_dirty(&self) -> usize {
        self.0.n_dirty()
    }

    fn n_hot(&self) -> usize {
        self.0.n_hot()
    }

    fn evict(&mut self, capacity: usize) {
        self.0.evict(capacity);
    }

    fn digest(&self, _: &mut Digest) -> Result<(), Error> {
        Ok(())
    }
}

impl Tables {
    /// The tables of a partition.
    pub fn open(scope: &Scope) -> Self {
        Self {
            #[cfg(test)]
            scope: scope.clone(),
            places: Index(Table::open(scope, "decide.places")),
            standings: Table::open(scope, "decide.standings"),
            open: Table::open(scope, "decide.open"),
            slots: Index(Table::open(scope, "decide.slots")),
            contacts: Table::open(scope, "decide.contacts"),
            holdouts: Table::open(scope, "decide.holdouts"),
            tallies: Table::open(scope, "decide.tallies"),
            findings: Table::open(scope, "decide.findings"),
            budgets: Table::open(scope, "decide.budgets"),
            accounts: Table::open(scope, "decide.accounts"),
            answered: Table::open(scope, "decide.answered"),
            outstanding: Table::open(scope, "decide.outstanding"),
            purses: Table::open(scope, "decide.purses"),
            used: Index(Table::open(scope, "decide.used")),
            of_subject: Table::open(scope, "decide.of_subject"),
        }
    }

    #[cfg(test)]
    pub(crate) fn database(&self) -> &store::Database {
        self.scope.database()
    }

    /// Every table, for the loop.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![
            &mut self.places,
            &mut self.standings,
            &mut self.open,
            &mut self.slots,
            &mut self.contacts,
            &mut self.holdouts,
            &mut self.tallies,
            &mut self.findings,
            &mut self.budgets,
            &mut self.accounts,
            &mut self.answered,
            &mut self.outstanding,
            &mut self.purses,
            &mut self.used,
            &mut self.of_subject,
        ]
    }

    /// Remembers where in this partition of the journal a decision lies; of two with one id, the first.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn place(&mut self, decision: RecordId, at: Position) -> Result<(), Error> {
        if self.places.0.get(&decision)?.is_none() {
            self.places.0.put(decision, at.0);
        }
        Ok(())
    }

    /// Where in this partition of the journal a decision lies.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn place_of(&self, decision: RecordId) -> Result<Option<Position>, Error> {
        Ok(self.places.0.peek(&decision)?.map(|at| Position(*at)))
    }

    /// What became of a decision, where this partition has it.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn standing(&self, id: RecordId) -> Result<Option<Arc<Standing>>, Error> {
        self.standings.peek(&id)
    }

    /// The contacts of one subject that count for caps.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn contacts(&self, subject: Subject) -> Result<Arc<Vec<Contact>>, Error> {
        Ok(self.contacts.peek(&subject)?.unwrap_or_default())
    }

    /// The arm that one subject was assigned first in the holdout of this salt.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn assigned(&self, salt: &str, subject: Subject) -> Result<Option<Assigned>, Error> {
        Ok(self.holdouts.peek(&(salt.to_owned(), subject))?.map(|assigned| *assigned))
    }

    /// Visits every action that is set aside or claimed: what is due for sending.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn open_reservations(&self, mut visit: impl FnMut(RecordId, &OpenReservation)) -> Result<(), Error> {
        self.open.scan(|due, open| visit(due.decision, open))
    }

    /// Visits what lapses about up to `now`, in groups, until `visit` says it has enough; a group is
    /// visited whole.
    pub(crate) fn lapsing(
        &self,
        now: Instant,
        mut visit: impl FnMut(RecordId, &OpenReservation) -> bool,
    ) -> Result<(), Error> {
        let mut slots = Vec::new();
        self.slots.0.scan(|slot, n| {
            if *slot <= Due::slot(now) && *n > 0 {
                slots.push(*slot);
            }
        })?;
        for slot in slots {
            let mut more = true;
            self.open.scan_from(&slot.to_be_bytes(), &mut |due, open| more = visit(due.decision, open))?;
            if !more {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn set_open(&mut self, decision: RecordId, open: OpenReservation) -> Result<(), Error> {
        let due = Due::new(open.expires, decision);
        if self.open.get(&due)?.is_none() {
            self.slots.0.update(&due.slot, |n| *n += 1)?;
        }
        self.open.put(due, open);
        Ok(())
    }

    pub(crate) fn drop_open(&mut self, decision: RecordId, expires: Instant) -> Result<(), Error> {
        let due = Due::new(expires, decision);
        if self.open.get(&due)?.is_some() {
            self.open.remove(&due);
            let left = self.slots.0.update(&due.slot, |n| {
                *n = n.saturating_sub(1);
                *n
            })?;
            if left == 0 {
                self.slots.0.remove(&due.slot);
            }
        }
        Ok(())
    }

    /// Visits every finding about records of the system streams.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn findings(&self, mut visit: impl FnMut(RecordId, &StoredFinding)) -> Result<(), Error> {
        self.findings.scan(|id, finding| visit(*id, finding))
    }

    /// Visits every subject's tally of one use case.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn tallies(&self, use_case: &str, mut visit: impl FnMut(Subject, &Tally)) -> Result<(), Error> {
        let mut start = Vec::new();
        (use_case.to_owned(), Subject::NONE).write(&mut start);
        start.truncate(start.len().saturating_sub(Subject::NONE.as_bytes().len()));
        self.tallies.scan_from(&start, &mut |(_, subject), tally| visit(*subject, tally))
    }

    /// An account, where this partition is its home: what is granted and what is spent.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn account(&self, account: &str) -> Result<Option<Account>, Error> {
        Ok(self.accounts.peek(&account.to_owned())?.map(|found| (*found).clone()))
    }

    /// Visits every account this partition is the home of.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn accounts(&self, mut visit: impl FnMut(&str, &Account)) -> Result<(), Error> {
        self.accounts.scan(|name, account| visit(name, account))
    }
}
