//! A world in which everything goes wrong that may: partitions fold at different speeds, messages come late and
//! twice, processes die between any two steps, profiles merge, the clock jumps. It is driven by one seed, knows
//! what *really* happened, and notes every broken law.

mod checks;
mod sending;

pub(super) use checks::replay;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use event::{Instant, Partition, Payload, Record, RecordId, Span, StreamName, Subject, Version};
use store::{Emissions, Fold, Scope};

use crate::rng::splitmix64;
use crate::{
    BudgetEvent, Consent, DECISIONS, DecideFold, DecisionRecord, OUTCOMES, Outcome, Situation, Tables, Till,
    UseCase, caps, choose, chores, holdout, home, reproduce, set_budget,
};

/// What a faulty house would leave out. Each must break a law that the world notices.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// Cap counts are not looked at.
    pub(super) ignore_caps: bool,
    /// Only the subject's own contacts count, not those of the profile's other members.
    pub(super) ignore_members: bool,
    /// A contact counts only once it is sent.
    pub(super) ignore_unsent: bool,
    /// Nothing is set aside between choosing and folding.
    pub(super) ignore_till: bool,
    /// A grant is settled while reservations of it are open.
    pub(super) settle_early: bool,
    /// A grant is settled although decisions on their way may still reserve from it.
    pub(super) settle_over_holds: bool,
    /// Sends what it did not claim.
    pub(super) send_unclaimed: bool,
    /// Draws the holdout anew for each decision.
    pub(super) forget_holdout: bool,
}

pub(super) struct World {
    pub(super) use_case: UseCase,
    faults: Faults,
    merges: bool,
    chance: u64,
    now: Instant,
    parts: Vec<Part>,
    subjects: Vec<Subject>,
    /// The profile of each subject.
    profiles: Vec<usize>,
    /// Everything durable, in the order of appending.
    pub(super) log: Vec<Arc<Record>>,
    limbo: Vec<Record>,
    choosing: Vec<(Ticket, DecisionRecord)>,
    waiting: Vec<Ticket>,
    truth: BTreeMap<RecordId, Truth>,
    pub(super) broken: Vec<String>,
    n_tickets: u64,
    /// Towards the end everybody finishes what they began.
    resting: bool,
    pub(super) n_acted: usize,
    pub(super) n_poor: usize,
    pub(super) n_capped: usize,
}

struct Part {
    tables: Tables,
    till: Till,
    queue: VecDeque<Arc<Record>>,
}

#[derive(Clone, Copy)]
struct Ticket {
    id: RecordId,
    partition: usize,
    decision: RecordId,
    subject: Subject,
}

/// What really happened to a decision that acts.
struct Truth {
    record: DecisionRecord,
    durable: bool,
    sent: Option<Instant>,
    /// Its sender has said that it failed: it does not touch it again.
    failed: bool,
}

const USE_CASE: &str = "
name: world
version: 1.0.0
responsible: Ann
goal: {metric: m, formula: f, formula_version: 1.0.0, success: [buy], within: 5d, value: 20 EUR}
inputs: {context: [page]}
outputs: [action]
sources: [orders]
purpose: ads
legal_basis: consent
security_level: internal
risk_class: minimal
latency_ms: 10
gold_set: g.jsonl
budget: {total: 12 EUR, period: month}
exploration: 0.6
holdout: {share: 0.2, salt: world}
caps:
  - {all: true, max: 3, window: 7d}
  - {channel: email, max: 2, window: 7d}
  - {action: letter, max: 1, window: 20d}
actions:
  - {name: letter, channel: post, creative: a, offer: b, cost: 1.10 EUR, score: 0.5}
  - {name: mail, channel: email, creative: a, offer: b, cost: 0.30 EUR, score: 0.3}
  - {name: news, channel: email, creative: a, offer: b, cost: 0.30 EUR, score: 0.2}
";

impl World {
    pub(super) fn new(seed: u64, n_partitions: u16, merges: bool, faults: Faults) -> Self {
        let use_case = UseCase::parse(USE_CASE, "world.yaml").unwrap();
        let subjects: Vec<Subject> =
            (0..8_u8).map(|n| Subject::from_bytes(*RecordId::external("s", &[n]).as_bytes())).collect();
        let parts = (0..n_partitions)
            .map(|p| Part {
                tables: Tables::open(&Scope::memory(Partition(p))),
                till: Till::new(Partition(p), n_partitions, Span::from_days(2)),
                queue: VecDeque::new(),
            })
            .collect();
        let mut world = Self {
            faults,
            merges,
            chance: seed,
            now: "2026-03-10".parse().unwrap(),
            parts,
            profiles: (0..subjects.len()).collect(),
            subjects,
            log: Vec::new(),
            limbo: Vec::new(),
            choosing: Vec::new(),
            waiting: Vec::new(),
            truth: BTreeMap::new(),
            broken: Vec::new(),
            n_tickets: 0,
            resting: false,
            n_acted: 0,
            n_poor: 0,
            n_capped: 0,
            use_case,
        };
        let set = set_budget(&world.use_case).record(world.now);
        world.append(set);
        world
    }

    fn chance(&mut self, below: usize) -> usize {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (splitmix64(self.chance) % below.max(1) as u64) as usize
    }

    pub(super) fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            match self.chance(100) {
                0..30 => self.choose(),
                30..42 => self.append_chosen(),
                42..66 => {
                    let part = self.chance(self.parts.len());
                    let n = self.chance(6);
                    self.fold(part, n);
                }
                66..78 => self.send(),
                78..84 => self.deliver(),
                84..88 => self.chores(),
                88..93 => self.now = self.now + Span::from_secs(3_600 * self.chance(30) as i64),
                93..95 => self.outcome(),
                95..97 => self.duplicate(),
                97 if self.merges => {
                    let (a, b) = (self.chance(self.subjects.len()), self.chance(self.subjects.len()));
                    let (from, to) = (self.profiles[a], self.profiles[b]);
                    self.profiles.iter_mut().filter(|p| **p == from).for_each(|p| *p = to);
                }
                98 => self.now = self.now - Span::from_secs(3_600 * self.chance(50) as i64),
                99 => self.crash(),
                _ => {}
            }
            self.check_budget();
        }
    }

    /// Lets everything come to rest.
    pub(super) fn rest(&mut self) {
        self.crash();
        self.resting = true;
        for _ in 0..12 {
            self.now = self.now + Span::from_days(3);
            while !self.limbo.is_empty() || self.parts.iter().any(|p| !p.queue.is_empty()) {
                self.deliver();
                (0..self.parts.len()).for_each(|part| self.fold(part, usize::MAX));
            }
            // Whoever claimed sends at last.
            let claimed: Vec<RecordId> = self.claimed();
            claimed.into_iter().for_each(|decision| self.send_one(decision));
            self.chores();
            self.check_budget();
        }
    }

    fn append(&mut self, record: Record) {
        let record = Arc::new(record);
        self.log.push(record.clone());
        let partition = record.subject.partition(self.parts.len() as u16);
        self.parts[usize::from(partition.0)].queue.push_back(record);
    }

    fn fold(&mut self, part: usize, n: usize) {
        for _ in 0..n {
            let Some(record) = self.parts[part].queue.pop_front() else { return };
            let mut out = Emissions::default();
            DecideFold.fold(&mut self.parts[part].tables, &record, &mut out).unwrap();
            self.limbo.extend(out.take());
            let done = |ticket: &Ticket| ticket.decision == record.id;
            if let Some(at) = self.waiting.iter().position(done) {
                let ticket = self.waiting.swap_remove(at);
                self.parts[ticket.partition].till.give_back(ticket.id);
            }
        }
    }

    /// Emitted records reach the journal late and in another order.
    fn deliver(&mut self) {
        for _ in 0..self.limbo.len() {
            let at = self.chance(self.limbo.len());
            let record = self.limbo.swap_remove(at);
            self.append(record);
        }
    }

    fn duplicate(&mut self) {
        let at = self.chance(self.log.len());
        let record = (*self.log[at]).clone();
        self.append(record);
    }

    /// Power is cut: memory is gone, what is durable is folded before anybody decides.
    fn crash(&mut self) {
        self.choosing.clear();
        for part in 0..self.parts.len() {
            self.fold(part, usize::MAX);
            let n = self.parts.len() as u16;
            self.parts[part].till = Till::new(Partition(part as u16), n, Span::from_days(2));
        }
        self.waiting.clear();
        self.truth.retain(|_, truth| truth.durable);
    }

    fn members(&self, subject: usize) -> Vec<Subject> {
        let profile = self.profiles[subject];
        let all = self.subjects.iter().zip(&self.profiles);
        all.filter(|(_, p)| **p == profile).map(|(s, _)| *s).collect()
    }

    fn part_of(&self, subject: Subject) -> usize {
        usize::from(subject.partition(self.parts.len() as u16).0)
    }

    fn choose(&mut self) {
        let at = self.chance(self.subjects.len());
        let (subject, members) = (self.subjects[at], self.members(at));
        // Decisions of one profile run one after the other.
        let busy = |s: &Subject| members.contains(s);
        if self.waiting.iter().any(|t| busy(&t.subject))
            || self.choosing.iter().any(|(t, _)| busy(&t.subject))
        {
            return;
        }
        let part = self.part_of(subject);
        self.n_tickets += 1;
        let ticket = RecordId::external("ticket", &self.n_tickets.to_be_bytes());
        let (now, use_case) = (self.now, self.use_case.clone());
        let Part { tables, till, .. } = &mut self.parts[part];
        let taken = till.take(tables, &use_case, ticket, now).unwrap();
        if self.faults.ignore_till {
            till.give_back(ticket);
        }
        if let Some(ask) = taken.ask {
            let ask = ask.record(now);
            self.append(ask);
        }
        let read = |s: &Subject| self.parts[self.part_of(*s)].tables.contacts(*s).unwrap();
        let mut contacts: Vec<_> = if self.faults.ignore_members {
            vec![(*read(&subject)).clone()]
        } else {
            members.iter().map(|s| (*read(s)).clone()).collect()
        };
        if self.faults.ignore_unsent {
            contacts.iter_mut().for_each(|c| c.retain(|c| c.sent));
        }
        let mut cap_counts = caps::counts(&use_case, contacts.iter().map(Vec::as_slice), now);
        if self.faults.ignore_caps {
            cap_counts.iter_mut().for_each(|n| *n = 0);
        }
        let assigned = members.iter().map(|s| {
            let found = self.parts[self.part_of(*s)].tables.assigned("world", *s).unwrap();
            (*s, found.filter(|_| !self.faults.forget_holdout))
        });
        let mut arm = holdout::arm(&use_case.holdout, subject, assigned);
        if self.faults.forget_holdout {
            arm.held_out = splitmix64(self.n_tickets).is_multiple_of(5);
        }
        let seed = splitmix64(self.chance);
        let situation = Situation {
            subject,
            profile: format!("p{}", self.profiles[at]),
            members,
            at: now,
            inputs: Vec::new(),
            scores: Vec::new(),
            consents: vec![Consent {
                purpose: "ads".into(),
                channel: String::new(),
                allowed: true,
                reason: "granted".into(),
                notice_version: None,
                since: None,
            }],
            consent_epoch: 1,
            cap_counts,
            allowance: taken.allowance,
            holdout: arm,
            reserve_for: Span::from_secs(3_600 * 30),
        };
        let decision = choose(&use_case, &situation, seed);
        let has =
            |test: fn(&crate::WhyNot) -> bool| decision.why_not.iter().any(|e| e.reasons.iter().any(test));
        self.n_poor += usize::from(has(|r| matches!(r, crate::WhyNot::NoBudget { .. })));
        self.n_capped += usize::from(has(|r| matches!(r, crate::WhyNot::CapReached { .. })));
        let record = DecisionRecord::new(&use_case, situation, decision, 1);
        if let Err(mismatch) = reproduce(&record) {
            self.broken.push(mismatch.to_string());
        }
        self.check_arm(&record);
        self.check_caps(&record);
        if !self.faults.ignore_till {
            self.parts[part].till.keep(ticket, record.cost);
        }
        if record.acts() {
            self.n_acted += 1;
            self.truth.insert(
                record.decision,
                Truth { record: record.clone(), durable: false, sent: None, failed: false },
            );
        }
        let ticket = Ticket { id: ticket, partition: part, decision: record.decision, subject };
        self.choosing.push((ticket, record));
    }

    fn append_chosen(&mut self) {
        if self.choosing.is_empty() {
            return;
        }
        let at = self.chance(self.choosing.len());
        let (ticket, decision) = self.choosing.swap_remove(at);
        match self.chance(12) {
            // The caller gives up before anything was written.
            0 => {
                self.parts[ticket.partition].till.give_back(ticket.id);
                self.truth.remove(&ticket.decision);
            }
            // It is not certain whether it was written (it was not): the money stays set aside.
            1 => {
                self.truth.remove(&ticket.decision);
            }
            _ => {
                if let Some(truth) = self.truth.get_mut(&ticket.decision) {
                    truth.durable = true;
                }
                self.waiting.push(ticket);
                let record =
                    self.record(ticket.decision, DECISIONS, ticket.subject, decision.open_part().unwrap());
                self.append(record);
            }
        }
    }

    fn record(&self, id: RecordId, stream: &str, subject: Subject, open: Vec<u8>) -> Record {
        Record {
            id,
            stream: StreamName::new(stream),
            contract: Version::new(1, 0, 0),
            subject,
            occurred_at: self.now,
            known_at: self.now,
            batch: None,
            cause: None,
            source: None,
            key_epoch: 0,
            payload: Payload { open: open.into(), cells: Vec::new() },
        }
    }

    fn outcome(&mut self) {
        let decided: Vec<Arc<Record>> =
            self.log.iter().filter(|r| r.stream.as_str() == DECISIONS).cloned().collect();
        if decided.is_empty() {
            return;
        }
        let decision = &decided[self.chance(decided.len())];
        let other = self.chance(self.subjects.len());
        // Now and then for a decision nobody made, or under somebody else's subject.
        let (id, subject) = match self.chance(8) {
            0 => (RecordId::external("nobody", b""), decision.subject),
            1 => (decision.id, self.subjects[other]),
            _ => (decision.id, decision.subject),
        };
        let kind = if self.chance(2) == 0 { "buy" } else { "click" };
        let outcome = Outcome { v: 1, decision: id, kind: kind.into(), value: None, occurred_at: self.now };
        let name = format!("outcome {}", self.log.len());
        let record =
            self.record(RecordId::external("o", name.as_bytes()), OUTCOMES, subject, outcome.to_payload());
        self.append(record);
    }

    fn chores(&mut self) {
        for part in 0..self.parts.len() {
            let Part { tables, till, .. } = &self.parts[part];
            let mut due = chores(tables, till, self.now, 1_000).unwrap();
            if self.faults.settle_early || self.faults.settle_over_holds {
                let mut early = Vec::new();
                tables
                    .purses
                    .scan(|(account, spender), purse| {
                        for grant in purse.grants.iter().filter(|g| g.closed) {
                            let used =
                                tables.used.0.peek(&grant.grant).unwrap().map(|u| *u).unwrap_or_default();
                            let ripe = used.n_open == 0 || self.faults.settle_early;
                            if ripe {
                                early.push((account.clone(), *spender, grant.grant, used.spent));
                            }
                        }
                    })
                    .unwrap();
                due.extend(early.into_iter().map(|(account, spender, grant, spent)| crate::Chore {
                    id: RecordId::external("early", grant.as_bytes()),
                    stream: crate::BUDGETS,
                    subject: home("world"),
                    payload: BudgetEvent::Settled { account, spender, grant, spent }.to_payload(),
                }));
            }
            for chore in due {
                let chore = chore.record(self.now);
                self.append(chore);
            }
        }
    }
}
