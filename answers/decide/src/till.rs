//! LAW 7: money is set aside *before* a decision chooses, and stays so until the decision is folded.
//!
//! State shows a decision only once it is folded; between choosing and folding another decision of the same
//! partition would see the same money. The till of a partition remembers what is on its way. It lives in memory:
//! after a crash every durable decision is folded before anybody decides again, and the others never were.
//!
//! Lock the till first, then read the tables; give an amount back only after the tables show the decision.

use event::{Instant, Partition, RecordId, Span, Subject};
use rustc_hash::FxHashMap;
use store::Error;

use crate::budget::{self, BUDGETS, BudgetEvent};
use crate::chore::Chore;
use crate::money::Cents;
use crate::rows::{Grant, Purse};
use crate::situation::Allowance;
use crate::tables::Tables;
use crate::usecase::UseCase;

/// How long an ask may stay unanswered, or a refusal stand, before it is asked again.
const ASK_AGAIN: Span = Span::from_secs(5);

/// One partition's till.
#[derive(Debug)]
pub struct Till {
    spender: Subject,
    n_partitions: u16,
    allowance_for: Span,
    held: FxHashMap<RecordId, Held>,
    /// Decisions that wait to be folded, and how many.
    by_grant: FxHashMap<RecordId, (Cents, u32)>,
    /// The last ask per account.
    asked: FxHashMap<String, (u64, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    grant: RecordId,
    amount: Cents,
}

/// What [`Till::take`] gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// What the decision may spend; `None`: nothing.
    pub allowance: Option<Allowance>,
    /// An ask to append, where money runs low.
    pub ask: Option<Chore>,
}

impl Till {
    /// The till of a partition.
    ///
    /// * `allowance_for`: how long a granted allowance may be spent; what is unspent then goes back
    pub fn new(partition: Partition, n_partitions: u16, allowance_for: Span) -> Self {
        Self {
            spender: budget::spender(partition),
            n_partitions: n_partitions.max(1),
            allowance_for,
            held: FxHashMap::default(),
            by_grant: FxHashMap::default(),
            asked: FxHashMap::default(),
        }
    }

    /// The subject under which this partition's grants arrive.
    pub fn spender(&self) -> Subject {
        self.spender
    }

    /// Sets aside, for the decision of this `ticket`, enough for the use case's most expensive action, or what
    /// there is. The ticket names the attempt; the id of the decision is the best one, see [`Till::reconcile`].
    ///
    /// # Errors
    /// [`Error`] where the store fails; nothing is set aside then.
    pub fn take(
        &mut self,
        tables: &Tables,
        use_case: &UseCase,
        ticket: RecordId,
        now: Instant,
    ) -> Result<Taken, Error> {
        let want = use_case.highest_cost();
        if !want.is_positive() || self.held.contains_key(&ticket) {
            return Ok(Taken::default());
        }
        let account = use_case.account(now);
        let key = (account.clone(), self.spender);
        let purse = tables.purses.peek(&key)?;
        let mut best: Option<(&Grant, Cents)> = None;
        let mut free = Cents::ZERO;
        for grant in purse.iter().flat_map(|purse| &purse.grants) {
            if grant.closed || now >= grant.expires {
                continue;
            }
            let left = self.left(tables, grant)?;
            free += left.max(Cents::ZERO);
            if left.is_positive() && best.is_none_or(|(_, most)| left > most) {
                best = Some((grant, left));
            }
        }
        let allowance = best.map(|(grant, left)| {
            let amount = left.min(want);
            self.hold(ticket, Held { grant: grant.grant, amount });
            Allowance { grant: grant.grant, account: account.clone(), amount, expires: grant.expires }
        });
        let slice = self.slice(use_case);
        let low = free < want + slice.divided_by(4);
        let ask = if low { self.ask(use_case, account, purse.as_deref(), slice, now) } else { None };
        Ok(Taken { allowance, ask })
    }

    /// Keeps only `amount` of what was taken: what the chosen action costs. Nothing kept, nothing held.
    pub fn keep(&mut self, ticket: RecordId, amount: Cents) {
        let Some(held) = self.held.get(&ticket).copied() else { return };
        self.give_back(ticket);
        if amount.is_positive() {
            self.hold(ticket, Held { amount: amount.min(held.amount), ..held });
        }
    }

    /// Forgets a ticket: its decision is folded, or certainly never was appended. Where that is not certain, do
    /// not call it: what stays held is never spent twice.
    pub fn give_back(&mut self, ticket: RecordId) {
        let Some(held) = self.held.remove(&ticket) else { return };
        if let Some((amount, n)) = self.by_grant.get_mut(&held.grant) {
            *amount -= held.amount;
            *n = n.saturating_sub(1);
            if *n == 0 {
                self.by_grant.remove(&held.grant);
            }
        }
    }

    /// Forgets every ticket that is the id of a decision the tables show: what a caller that gave up waiting left
    /// behind. Only where tickets are the ids of their decisions ([`crate::decision_id`], with the seed drawn first).
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn reconcile(&mut self, tables: &Tables) -> Result<(), Error> {
        let mut folded = Vec::new();
        for ticket in self.held.keys() {
            if tables.standings.peek(ticket)?.is_some() {
                folded.push(*ticket);
            }
        }
        folded.into_iter().for_each(|ticket| self.give_back(ticket));
        Ok(())
    }

    /// True where a decision on its way may still reserve from the grant.
    pub fn holds(&self, grant: RecordId) -> bool {
        self.by_grant.contains_key(&grant)
    }

    /// Asks for a first allowance before anybody decides; `None` where there is one or it was asked for.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn prepare(
        &mut self,
        tables: &Tables,
        use_case: &UseCase,
        now: Instant,
    ) -> Result<Option<Chore>, Error> {
        if !use_case.highest_cost().is_positive() {
            return Ok(None);
        }
        let account = use_case.account(now);
        let purse = tables.purses.peek(&(account.clone(), self.spender))?;
        let usable = |grant: &Grant| !grant.closed && now < grant.expires;
        if purse.iter().flat_map(|purse| &purse.grants).any(usable) {
            return Ok(None);
        }
        let slice = self.slice(use_case);
        Ok(self.ask(use_case, account, purse.as_deref(), slice, now))
    }

    fn hold(&mut self, ticket: RecordId, held: Held) {
        self.held.insert(ticket, held);
        let (amount, n) = self.by_grant.entry(held.grant).or_default();
        *amount += held.amount;
        *n += 1;
    }

    /// What is left of a grant: not reserved, not spent, not on its way.
    fn left(&self, tables: &Tables, grant: &Grant) -> Result<Cents, Error> {
        let used = tables.used.0.peek(&grant.grant)?.map(|used| *used).unwrap_or_default();
        let on_its_way = self.by_grant.get(&grant.grant).map_or(Cents::ZERO, |(amount, _)| *amount);
        Ok(grant.amount - used.reserved - used.spent - on_its_way)
    }

    /// How much to ask for at once: enough for many decisions, little enough that all partitions get some, and
    /// never less than one decision may cost.
    fn slice(&self, use_case: &UseCase) -> Cents {
        let (total, cost) = (use_case.budget.total, use_case.highest_cost());
        let n = i64::from(self.n_partitions);
        total.divided_by(n * 20).max(cost.times(10)).min(total.divided_by(n)).max(cost)
    }

    fn ask(
        &mut self,
        use_case: &UseCase,
        account: String,
        purse: Option<&Purse>,
        wanted: Cents,
        now: Instant,
    ) -> Option<Chore> {
        let seq = purse.map_or(0, |purse| purse.next_seq);
        let wait = match self.asked.get(&account) {
            // Asked and not answered; or answered with a refusal a moment ago.
            Some((asked, at)) => {
                let recent = now < *at + ASK_AGAIN && *at <= now;
                recent && (*asked == seq || purse.is_some_and(|purse| purse.refused))
            }
            None => false,
        };
        if wait || !wanted.is_positive() {
            return None;
        }
        self.asked.insert(account.clone(), (seq, now));
        let until = (now + self.allowance_for).min(use_case.budget.period.end(now));
        let budget = use_case.budget.name.clone();
        Some(Chore {
            id: RecordId::external("mr.budgets/ask", &budget::ask_key(&account, self.spender, seq)),
            stream: BUDGETS,
            subject: budget::home(&budget),
            payload: BudgetEvent::Asked { budget, account, spender: self.spender, seq, wanted, until }
                .to_payload(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{decide, now, situation, subject, use_case};
    use crate::{DECISIONS, DecideFold};
    use event::{Payload, Record, StreamName, Version};
    use store::{Emissions, Fold, Scope};

    fn fold(tables: &mut Tables, id: RecordId, stream: &str, to: Subject, open: Vec<u8>) -> Vec<Record> {
        let record = Record {
            id,
            stream: StreamName::new(stream),
            contract: Version::new(1, 0, 0),
            subject: to,
            occurred_at: now(),
            known_at: now(),
            batch: None,
            cause: None,
            source: None,
            key_epoch: 0,
            payload: Payload { open: open.into(), cells: Vec::new() },
        };
        let mut out = Emissions::default();
        DecideFold.fold(tables, &record, &mut out).unwrap();
        out.take()
    }

    fn ticket(n: u8) -> RecordId {
        RecordId::external("ticket", &[n])
    }

    /// A partition alone in the world, with its budget set and its first ask answered.
    fn open(total: i64) -> (Tables, Till, UseCase) {
        let mut use_case = use_case();
        use_case.budget.total = Cents::new(total);
        let mut tables = Tables::open(&Scope::memory(Partition(0)));
        let mut till = Till::new(Partition(0), 1, Span::from_secs(600));
        let set = crate::set_budget(&use_case);
        fold(&mut tables, set.id, set.stream, set.subject, set.payload);
        let ask = till.prepare(&tables, &use_case, now()).unwrap().unwrap();
        assert_eq!(till.prepare(&tables, &use_case, now()).unwrap(), None, "asked a moment ago");
        for answer in fold(&mut tables, ask.id, ask.stream, ask.subject, ask.payload) {
            fold(&mut tables, answer.id, BUDGETS, answer.subject, answer.payload.open.to_vec());
        }
        (tables, till, use_case)
    }

    /// The amounts that decisions taking one after the other may spend, in cents.
    fn check(total: i64, expected: &[i64]) {
        let (tables, mut till, use_case) = open(total);
        let amounts: Vec<i64> = (0..expected.len() as u8)
            .map(|n| {
                let taken = till.take(&tables, &use_case, ticket(n), now()).unwrap();
                taken.allowance.map_or(0, |allowance| allowance.amount.parts() / Cents::new(1).parts())
            })
            .collect();
        assert_eq!(amounts, expected);
    }

    #[test]
    fn what_is_taken_is_gone() {
        check(200, &[85, 85, 30, 0, 0]);
        check(84, &[84, 0]);
        check(0, &[]);
    }

    #[test]
    fn what_is_not_kept_comes_back() {
        let (tables, mut till, use_case) = open(100);
        let take = |till: &mut Till, n| till.take(&tables, &use_case, ticket(n), now()).unwrap().allowance;
        let first = take(&mut till, 1).unwrap();
        till.keep(ticket(1), Cents::new(10));
        assert_eq!(take(&mut till, 2).unwrap().amount, Cents::new(85));
        till.keep(ticket(2), Cents::ZERO);
        assert!(till.holds(first.grant));
        till.give_back(ticket(1));
        till.give_back(ticket(1));
        assert!(!till.holds(first.grant));
        assert_eq!(take(&mut till, 3).unwrap().amount, Cents::new(85));
        assert_eq!(take(&mut till, 3), None, "a ticket takes once");
        assert_eq!(till.take(&tables, &use_case, ticket(4), first.expires).unwrap().allowance, None);
    }

    #[test]
    fn a_folded_decision_is_forgotten() {
        let (mut tables, mut till, use_case) = open(100);
        let record = decide(situation(), 4);
        let allowance = till.take(&tables, &use_case, record.decision, now()).unwrap().allowance.unwrap();
        till.reconcile(&tables).unwrap();
        assert!(till.holds(allowance.grant));
        fold(&mut tables, record.decision, DECISIONS, subject(1), record.open_part().unwrap());
        till.reconcile(&tables).unwrap();
        assert!(!till.holds(allowance.grant));
    }
}
