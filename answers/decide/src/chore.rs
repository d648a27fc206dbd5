//! What has to be appended from time to time so that nothing stays set aside for ever: reservations that lapsed
//! are released, grants that expired are closed and settled.
//!
//! A chore is a record that follows from state. It has the same id however often it is found, so that finding
//! it twice does no harm.

use event::{Instant, Payload, Record, RecordId, StreamName, Subject, Version};
use store::Error;

use crate::budget::{self, BUDGETS, BudgetEvent};
use crate::fold_budget::budget_of;
use crate::outcome::{SENDS, Send, SendStatus};
use crate::tables::Tables;
use crate::till::Till;
use crate::usecase::{Budget, UseCase};

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chore {
    /// Its id.
    pub id: RecordId,
    /// Its stream.
    pub stream: &'static str,
    /// Its subject.
    pub subject: Subject,
    /// Its payload, all open.
    pub payload: Vec<u8>,
}

impl Chore {
    /// The record.
    pub fn record(self, now: Instant) -> Record {
        Record {
            id: self.id,
            stream: StreamName::new(self.stream),
            contract: Version::new(1, 0, 0),
            subject: self.subject,
            occurred_at: now,
            known_at: now,
            batch: None,
            cause: None,
            source: None,
            key_epoch: 0,
            payload: Payload { open: self.payload.into(), cells: Vec::new() },
        }
    }
}

/// The record that tells a budget's home what a use case may spend; append it when the use case is applied.
pub fn set_budget(use_case: &UseCase) -> Chore {
    let Budget { name, total, currency, period } = use_case.budget.clone();
    let key = format!("{name} {} {currency} {period} {}", total.parts(), use_case.content);
    let subject = budget::home(&name);
    Chore {
        id: RecordId::external("mr.budgets/set", key.as_bytes()),
        stream: BUDGETS,
        subject,
        payload: BudgetEvent::Set { budget: name, total, currency, period }.to_payload(),
    }
}

/// What is due in one partition at `now`; at most about `limit`. Call it again once they are folded: a grant is
/// closed first and settled later. Lock the till first, then read the tables.
///
/// # Errors
/// [`Error`] where the store fails.
pub fn chores(tables: &Tables, till: &Till, now: Instant, limit: usize) -> Result<Vec<Chore>, Error> {
    let mut due = Vec::new();
    tables.lapsing(now, |decision, open| {
        // A claimed action may be leaving this moment: only its claimer can say what became of it.
        if open.claim.is_empty() && now >= open.expires {
            due.push(release(decision, open.subject, &open.action, &open.channel, now, "lapsed unsent"));
        }
        due.len() < limit
    })?;
    let mut purses = Vec::new();
    tables.purses.scan(|(account, spender), purse| {
        if *spender == till.spender() && !purse.grants.is_empty() {
            purses.push((account.clone(), purse.grants.clone()));
        }
    })?;
    for (account, grants) in purses {
        for grant in grants.into_iter().filter(|grant| now >= grant.expires || grant.closed) {
            if due.len() >= limit {
                return Ok(due);
            }
            let (account, spender, id) = (account.clone(), till.spender(), grant.grant);
            if !grant.closed {
                let event = BudgetEvent::Closed { account, spender, grant: id };
                due.push(message("close", id, spender, &event));
                continue;
            }
            let used = tables.used.0.peek(&id)?.map(|used| *used).unwrap_or_default();
            // LAW 7: nothing may be reserved from it any more (it is closed), nothing is on its way, and nothing is
            // open: what is spent now is spent for good.
            if used.n_open == 0 && !till.holds(id) {
                let home = budget::home(budget_of(&account));
                let event = BudgetEvent::Settled { account, spender, grant: id, spent: used.spent };
                due.push(message("settle", id, home, &event));
            }
        }
    }
    Ok(due)
}

fn message(what: &str, grant: RecordId, subject: Subject, event: &BudgetEvent) -> Chore {
    Chore {
        id: RecordId::external(&format!("mr.budgets/{what}"), grant.as_bytes()),
        stream: BUDGETS,
        subject,
        payload: event.to_payload(),
    }
}

/// The record that gives an unclaimed action's contact and money back.
pub fn release(
    decision: RecordId,
    subject: Subject,
    action: &str,
    channel: &str,
    now: Instant,
    reason: &str,
) -> Chore {
    let send = Send {
        v: 1,
        decision,
        action: action.to_owned(),
        channel: channel.to_owned(),
        at: now,
        status: SendStatus::Released,
        claim: String::new(),
        reason: reason.to_owned(),
    };
    Chore {
        id: RecordId::external("mr.sends/release", decision.as_bytes()),
        stream: SENDS,
        subject,
        payload: send.to_payload(),
    }
}
