//! LAW 7: a budget lives in one partition, its *home*, which grants expiring allowances by record; a decision
//! spends only its own partition's allowance, and none means no.
//!
//! ```text
//! home                                        spending partition
//!  │ ◄───────── Asked (seq n) ──────────────── │  wants money
//!  │ ────────── Granted | Refused (seq n) ───► │  decisions reserve from the grant
//!  │                                           │  Closed: nothing more is reserved from it
//!  │ ◄───────── Settled (spent) ────────────── │  once no reservation of it is open
//!  │ ────────── Booked ──────────────────────► │  the grant is forgotten
//! ```
//! Money that was granted is never taken back by the home's clock, only settled by who spends it: a partition
//! that is slow or dead keeps it from being spent twice. Every message may come twice or late. Asks are numbered
//! per account and spender, so that the answer to one is given and counted once.

use event::{Instant, Partition, RecordId, Subject};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::money::Cents;
use crate::period::Period;

/// The stream of budgets, keyed by [`home`] or [`spender`].
pub const BUDGETS: &str = "mr.budgets";

/// The payload of a record in `mr.budgets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum BudgetEvent {
    /// To the home: what the budget may spend in each period from now on.
    Set {
        /// The budget.
        budget: String,
        /// The most.
        total: Cents,
        /// Three letters.
        currency: String,
        /// When it begins anew.
        period: Period,
    },
    /// To the home: a partition wants money.
    Asked {
        /// The budget.
        budget: String,
        /// The account: budget and period.
        account: String,
        /// Who asks.
        spender: Subject,
        /// The how-manieth ask of this spender on this account, from 0.
        seq: u64,
        /// How much it wants.
        wanted: Cents,
        /// How long it wants to spend it.
        until: Instant,
    },
    /// To the spender: it may spend this much.
    Granted {
        /// The account.
        account: String,
        /// Who may spend.
        spender: Subject,
        /// The ask it answers.
        seq: u64,
        /// Names the grant.
        grant: RecordId,
        /// How much.
        amount: Cents,
        /// Until when decisions may reserve from it.
        expires: Instant,
    },
    /// To the spender: there is nothing left to grant.
    Refused {
        /// The account.
        account: String,
        /// Who asked.
        spender: Subject,
        /// The ask it answers.
        seq: u64,
        /// What other spenders hold and may give back; zero: all is spent.
        outstanding: Cents,
    },
    /// To the spender: nothing more is reserved from this grant.
    Closed {
        /// The account.
        account: String,
        /// Whose it is.
        spender: Subject,
        /// The grant.
        grant: RecordId,
    },
    /// To the home: all that was reserved from the grant is sent or given back.
    Settled {
        /// The account.
        account: String,
        /// Whose it was.
        spender: Subject,
        /// The grant.
        grant: RecordId,
        /// What was spent of it.
        spent: Cents,
    },
    /// To the spender: the home has booked the settlement.
    Booked {
        /// The account.
        account: String,
        /// Whose it was.
        spender: Subject,
        /// The grant.
        grant: RecordId,
    },
}

impl BudgetEvent {
    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        // Texts, ids and whole numbers: there is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`Error::Record`]
    pub fn from_payload(bytes: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(bytes).map_err(|e| Error::Record { stream: BUDGETS, reason: e.to_string() })
    }
}

/// The subject under which a budget's home is found: it decides the home's partition.
pub fn home(budget: &str) -> Subject {
    Subject::from_bytes(*RecordId::external("mr.budgets/home", budget.as_bytes()).as_bytes())
}

/// The subject under which a spending partition is found: made so that it lies in that very partition.
pub fn spender(partition: Partition) -> Subject {
    let mut bytes = *RecordId::external("mr.budgets/spender", b"").as_bytes();
    for (to, from) in bytes.iter_mut().zip(u64::from(partition.0).to_be_bytes()) {
        *to = from;
    }
    Subject::from_bytes(bytes)
}

/// The id of the grant that answers an ask.
pub(crate) fn grant_id(account: &str, spender: Subject, seq: u64) -> RecordId {
    RecordId::external("mr.budgets/grant", &ask_key(account, spender, seq))
}

pub(crate) fn ask_key(account: &str, spender: Subject, seq: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(24 + account.len());
    key.extend_from_slice(spender.as_bytes());
    key.extend_from_slice(&seq.to_be_bytes());
    key.extend_from_slice(account.as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spender_lies_in_its_own_partition() {
        for n in 1..40_u16 {
            for p in 0..n {
                assert_eq!(spender(Partition(p)).partition(n), Partition(p));
            }
        }
        assert_ne!(home("a"), home("b"));
    }

    #[test]
    fn events_read_back() {
        let event = BudgetEvent::Asked {
            budget: "b".into(),
            account: "b@2026-11".into(),
            spender: spender(Partition(3)),
            seq: 7,
            wanted: Cents::new(100),
            until: Instant::from_micros(5),
        };
        assert_eq!(BudgetEvent::from_payload(&event.to_payload()), Ok(event));
        assert!(BudgetEvent::from_payload(b"{\"event\":\"stolen\"}").is_err());
    }
}
