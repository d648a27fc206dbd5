//! The state of decisions in one partition: everything keyed so that it is the same under any number of
//! partitions (LAW 2).

use std::sync::Arc;

use event::{Instant, RecordId, Span, Subject};
use serde::{Deserialize, Serialize};
use store::{Digest, Error, Key, Pending, Scope, Stored, Table, Value};

use crate::money::Cents;
use crate::record::{DecisionRecord, EVIDENCE_COLUMN};
use crate::tally::Tally;

/// The tables of one partition.
pub struct Tables {
    #[cfg(test)]
    scope: Scope,
    pub(crate) decisions: Table<RecordId, StoredDecision>,
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
}

/// A decision's payload as it came, sealed parts still sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredDecision {
    /// The subject it is recorded under.
    pub subject: Subject,
    /// The payload's open JSON.
    pub open: Vec<u8>,
    /// Sealed parts: column and bytes.
    pub cells: Vec<(String, Vec<u8>)>,
    /// The epoch of the subject's key they are sealed under.
    pub key_epoch: u32,
}

impl StoredDecision {
    /// The sealed evidence, where there is any.
    pub fn sealed_evidence(&self) -> Option<&[u8]> {
        self.cells.iter().find(|(column, _)| column == EVIDENCE_COLUMN).map(|(_, sealed)| sealed.as_slice())
    }

    /// The decision; `evidence` is what [`StoredDecision::sealed_evidence`] opened to.
    ///
    /// # Errors
    /// [`crate::Error::Record`] where it is no decision of a version this build reads.
    pub fn read(&self, evidence: Option<&[u8]>) -> Result<DecisionRecord, crate::Error> {
        DecisionRecord::from_parts(&self.open, evidence)
    }
}

/// What became of a decision so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The subject it is recorded under.
    pub subject: Subject,
    /// The use case.
    pub use_case: String,
    /// When it was made.
    pub at: Instant,
    /// The chosen action.
    pub action: String,
    /// Its channel.
    pub channel: String,
    /// Its cost.
    pub cost: Cents,
    /// The grant that pays.
    pub grant: Option<RecordId>,
    /// True for a held-out profile.
    pub held_out: bool,
    /// Kinds of outcomes that are its success.
    pub success: Vec<String>,
    /// How long after it.
    pub within: Span,
    /// What a success is worth where the outcome does not say.
    pub success_value: Cents,
    /// From when on the action may be given back unsent.
    pub expires: Instant,
    /// What became of the action.
    pub state: SendState,
    /// Its outcomes, in the order learned.
    pub outcomes: Vec<OutcomeRow>,
}

/// What became of a chosen action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendState {
    /// Nothing was to be done.
    Nothing,
    /// Set aside, unsent.
    Reserved,
    /// Somebody is about to send it.
    Claimed {
        /// Who.
        claim: String,
    },
    /// It left.
    Sent {
        /// When.
        at: Instant,
    },
    /// It did not leave and will not; what was set aside is given back.
    Released {
        /// Why.
        reason: String,
    },
}

/// One outcome of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeRow {
    /// The record that told it.
    pub id: RecordId,
    /// What happened.
    pub kind: String,
    /// What it was worth.
    pub value: Option<Cents>,
    /// When it happened.
    pub occurred_at: Instant,
    /// When it was learned.
    pub known_at: Instant,
    /// True where it counts as the decision's success.
    pub success: bool,
}

/// An action that is set aside or about to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenReservation {
    /// The subject.
    pub subject: Subject,
    /// All subjects of the profile at decision time.
    pub members: Vec<Subject>,
    /// The use case.
    pub use_case: String,
    /// The action.
    pub action: String,
    /// Its channel.
    pub channel: String,
    /// What is shown.
    pub creative: String,
    /// What is offered.
    pub offer: String,
    /// The purpose that must still be allowed when it is sent.
    pub purpose: String,
    /// When it was decided.
    pub at: Instant,
    /// From when on it may be given back unsent.
    pub expires: Instant,
    /// How much is set aside.
    pub amount: Cents,
    /// The grant it comes from.
    pub grant: Option<RecordId>,
    /// Who claims it; empty while nobody does.
    pub claim: String,
}

/// One contact that counts for caps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The decision.
    pub decision: RecordId,
    /// The use case.
    pub use_case: String,
    /// The action.
    pub action: String,
    /// The channel.
    pub channel: String,
    /// When it was decided, and once sent, when it was sent.
    pub at: Instant,
    /// True once sent; until then it counts whatever the window, because it may be sent at any moment.
    pub sent: bool,
}

/// Which arm a subject was assigned first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// True: gets nothing.
    pub held_out: bool,
    /// When the house learned of it.
    pub known_at: Instant,
}

/// Something wrong with a record of a system stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFinding {
    /// `MR5021`, explained in docs/errors/MR5021.md.
    pub code: String,
    /// The stream.
    pub stream: String,
    /// The record's subject.
    pub subject: Subject,
    /// What is wrong.
    pub message: String,
    /// When the house learned of it.
    pub known_at: Instant,
}

/// What a budget may spend, at its home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetTerms {
    /// The most in each period.
    pub total: Cents,
    /// Three letters.
    pub currency: String,
    /// When it begins anew.
    pub period: crate::Period,
}

/// One period of a budget, at its home.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The budget it belongs to.
    pub budget: String,
    /// Granted and not settled.
    pub outstanding: Cents,
    /// Settled as spent.
    pub spent: Cents,
}

/// A grant that is not settled, at the home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outstanding {
    /// The account.
    pub account: String,
    /// Whose it is.
    pub spender: Subject,
    /// How much.
    pub amount: Cents,
}

/// What a partition holds of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purse {
    /// The number of its next ask.
    pub next_seq: u64,
    /// True where the last ask was refused.
    pub refused: bool,
    /// What others held when it was refused.
    pub outstanding_elsewhere: Cents,
    /// Its grants.
    pub grants: Vec<Grant>,
}

/// One grant in a purse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Names it.
    pub grant: RecordId,
    /// How much.
    pub amount: Cents,
    /// Until when decisions may reserve from it.
    pub expires: Instant,
    /// True once nothing more may be reserved.
    pub closed: bool,
}

/// How far a grant is used by this partition's decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Set aside for decisions whose action is not sent.
    pub reserved: Cents,
    /// How many such decisions.
    pub n_open: u32,
    /// Sent.
    pub spent: Cents,
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
            decisions: Table::open(scope, "decide.decisions"),
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
        }
    }

    #[cfg(test)]
    pub(crate) fn database(&self) -> &store::Database {
        self.scope.database()
    }

    /// Every table, for the loop.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![
            &mut self.decisions,
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
        ]
    }

    /// A decision by its id, where this partition has it.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn decision(&self, id: RecordId) -> Result<Option<Arc<StoredDecision>>, Error> {
        self.decisions.peek(&id)
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
