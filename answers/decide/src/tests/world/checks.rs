//! What must hold in a world, by what really happened in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use event::{Partition, Record, Subject};
use store::{Digest, Emissions, Fold, Scope};

use super::{Truth, World};
use crate::{CapScope, Cents, DECISIONS, DecideFold, DecisionRecord, SendState, Tables};

impl World {
    fn state(&self, truth: &Truth) -> Option<SendState> {
        let tables = &self.parts[self.part_of(truth.record.subject)].tables;
        tables.standing(truth.record.decision).unwrap().map(|s| s.state.clone())
    }

    fn released(&self, truth: &Truth) -> bool {
        truth.sent.is_none() && matches!(self.state(truth), Some(SendState::Released { .. }))
    }

    /// LAW 7: per account, what is set aside or spent never exceeds the total, by what really happened and by the
    /// home's books.
    pub(super) fn check_budget(&mut self) {
        let mut spent: BTreeMap<String, Cents> = BTreeMap::new();
        for truth in self.truth.values().filter(|t| !self.released(t)) {
            let account = truth.record.allowance.as_ref().unwrap().account.clone();
            *spent.entry(account).or_default() += truth.record.cost;
        }
        let total = self.use_case.budget.total;
        for (account, amount) in spent {
            if amount > total {
                self.broken.push(format!("{account}: {amount} of {total} are set aside or spent"));
            }
        }
        let mut books = Vec::new();
        for part in &self.parts {
            part.tables.accounts(|name, account| books.push((name.to_owned(), account.clone()))).unwrap();
        }
        for (name, account) in books {
            if account.outstanding + account.spent > total || account.outstanding < Cents::ZERO {
                self.broken.push(format!("{name}: the books say {account:?} of {total}"));
            }
        }
    }

    /// LAW 7: when a decision is made, what it falls under is not used up, by what really happened to all members.
    pub(super) fn check_caps(&mut self, record: &DecisionRecord) {
        let Some(action) = self.use_case.action(&record.chosen.action).cloned() else { return };
        for cap in self.use_case.caps.clone().iter().filter(|cap| action.falls_under(cap)) {
            let counts = |truth: &&Truth| {
                let same = match &cap.scope {
                    CapScope::All => true,
                    CapScope::Channel(channel) => *channel == truth.record.chosen.channel,
                    CapScope::Action(action) => *action == truth.record.chosen.action,
                };
                same && record.members.contains(&truth.record.subject)
                    && !self.released(truth)
                    && truth.sent.is_none_or(|at| at > record.at - cap.window)
            };
            let n = self.truth.values().filter(counts).count();
            if n >= cap.max as usize {
                self.broken.push(format!("{cap}: {n} before decision {}", record.decision));
            }
        }
    }

    /// The first assigned arm stays: nobody who was decided for in one arm is decided for in the other, unless
    /// the merge brought an earlier one.
    pub(super) fn check_arm(&mut self, record: &DecisionRecord) {
        let first_of = |member: &Subject| {
            self.log.iter().find(|r| r.stream.as_str() == DECISIONS && r.subject == *member)
        };
        let first = record.members.iter().filter_map(first_of).min_by_key(|r| (r.known_at, r.subject));
        let Some(first) = first else { return };
        let first = DecisionRecord::from_parts(&first.payload.open, None).unwrap();
        if first.holdout.arm.held_out != record.holdout.arm.held_out {
            self.broken
                .push(format!("decision {} is in the other arm than {}", record.decision, first.decision));
        }
    }

    /// In no window of any subject were more contacts sent than its cap allows.
    pub(in crate::tests) fn check_windows(&mut self) {
        for cap in self.use_case.caps.clone() {
            for last in self.truth.values() {
                let Some(end) = last.sent else { continue };
                let in_window = |t: &&Truth| {
                    let same = match &cap.scope {
                        CapScope::All => true,
                        CapScope::Channel(channel) => *channel == t.record.chosen.channel,
                        CapScope::Action(action) => *action == t.record.chosen.action,
                    };
                    same && t.record.subject == last.record.subject
                        && t.sent.is_some_and(|at| at > end - cap.window && at <= end)
                };
                let n = self.truth.values().filter(in_window).count();
                if n > cap.max as usize {
                    self.broken.push(format!("{cap}: {n} sent in the window up to {end}"));
                    break;
                }
            }
        }
    }

    /// Everything has come to rest: nothing is set aside, every grant is settled, and the books say what really
    /// was spent.
    pub(in crate::tests) fn check_rest(&mut self) {
        let mut spent: BTreeMap<String, Cents> = BTreeMap::new();
        for truth in self.truth.values().filter(|t| t.sent.is_some()) {
            *spent.entry(truth.record.allowance.as_ref().unwrap().account.clone()).or_default() +=
                truth.record.cost;
        }
        let mut books: BTreeMap<String, Cents> = BTreeMap::new();
        let mut left = Vec::new();
        for part in &self.parts {
            part.tables.open_reservations(|id, _| left.push(format!("{id} is open"))).unwrap();
            part.tables.slots.0.scan(|slot, n| left.push(format!("slot {slot} has {n}"))).unwrap();
            part.tables
                .used
                .0
                .scan(|grant, used| left.push(format!("grant {grant} is used: {used:?}")))
                .unwrap();
            part.tables
                .outstanding
                .scan(|grant, _| left.push(format!("grant {grant} is outstanding")))
                .unwrap();
            let purse = |(account, _): &(String, Subject), purse: &crate::Purse| {
                left.extend(purse.grants.iter().map(|g| format!("{account} still holds {g:?}")));
            };
            part.tables.purses.scan(purse).unwrap();
            let account = |name: &str, account: &crate::Account| {
                if account.outstanding != Cents::ZERO {
                    left.push(format!("{name}: {account:?}"));
                }
                if account.spent != Cents::ZERO {
                    books.insert(name.to_owned(), account.spent);
                }
            };
            part.tables.accounts(account).unwrap();
        }
        self.broken.extend(left);
        if books != spent {
            self.broken.push(format!("the books say {books:?}, really spent was {spent:?}"));
        }
    }

    /// The digest of the live state.
    pub(in crate::tests) fn digest(&mut self) -> Digest {
        let mut digest = Digest::default();
        self.parts.iter_mut().for_each(|part| add(&mut digest, &mut part.tables));
        digest
    }
}

/// The digest of the log replayed into another number of partitions.
pub(in crate::tests) fn replay(log: &[Arc<Record>], n_partitions: u16) -> Digest {
    // Memory scopes are separate databases, so each partition has its own.
    let mut parts: Vec<Tables> =
        (0..n_partitions).map(|p| Tables::open(&Scope::memory(Partition(p)))).collect();
    for record in log {
        let part = usize::from(record.subject.partition(n_partitions).0);
        let mut dropped = Emissions::default();
        DecideFold.fold(&mut parts[part], record, &mut dropped).unwrap();
    }
    let mut digest = Digest::default();
    parts.iter_mut().for_each(|tables| add(&mut digest, tables));
    digest
}

/// Writes the tables and adds what is written.
fn add(digest: &mut Digest, tables: &mut Tables) {
    let mut pending = Vec::new();
    tables.stored().into_iter().for_each(|table| table.drain(&mut pending));
    let writes = pending.into_iter().map(|p| p.into_write().unwrap()).collect();
    tables.database().write(writes, false).unwrap();
    for table in tables.stored() {
        table.evict(0);
        table.digest(digest).unwrap();
    }
}
