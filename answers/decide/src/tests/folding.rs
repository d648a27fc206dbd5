//! The fold, step by step: sends, outcomes, duplicates, strangers.

use event::{Instant, Partition, Payload, Record, RecordId, Span, StreamName, Subject, Version};
use store::{Emissions, Fold, Scope};

use crate::testing::{decide, now, situation, subject};
use crate::{
    Cents, Collector, DECISIONS, DecideFold, DecisionRecord, OUTCOMES, Outcome, SENDS, Send, SendState,
    SendStatus, Tables,
};

struct House {
    tables: Tables,
}

impl House {
    fn new() -> Self {
        Self { tables: Tables::open(&Scope::memory(Partition(0))) }
    }

    fn fold(&mut self, id: RecordId, stream: &str, subject: Subject, open: Vec<u8>) {
        let record = Record {
            id,
            stream: StreamName::new(stream),
            contract: Version::new(1, 0, 0),
            subject,
            occurred_at: now(),
            known_at: now(),
            batch: None,
            cause: None,
            source: None,
            key_epoch: 0,
            payload: Payload { open: open.into(), cells: Vec::new() },
        };
        DecideFold.fold(&mut self.tables, &record, &mut Emissions::default()).unwrap();
    }

    fn decide(&mut self, record: &DecisionRecord) {
        self.fold(record.decision, DECISIONS, record.subject, record.open_part().unwrap());
    }

    fn send(&mut self, record: &DecisionRecord, status: SendStatus, claim: &str) {
        let send = Send {
            v: 1,
            decision: record.decision,
            action: record.chosen.action.clone(),
            channel: record.chosen.channel.clone(),
            at: now() + Span::from_secs(60),
            status,
            claim: claim.into(),
            reason: "r".into(),
        };
        let id = RecordId::external("send", format!("{status:?}{claim}").as_bytes());
        self.fold(id, SENDS, record.subject, send.to_payload());
    }

    fn outcome(&mut self, n: u8, record: &DecisionRecord, kind: &str, value: Option<i64>, at: Instant) {
        let value = value.map(Cents::new);
        let outcome = Outcome { v: 1, decision: record.decision, kind: kind.into(), value, occurred_at: at };
        self.fold(RecordId::external("outcome", &[n]), OUTCOMES, record.subject, outcome.to_payload());
    }

    fn state(&self, record: &DecisionRecord) -> SendState {
        self.tables.standing(record.decision).unwrap().unwrap().state.clone()
    }

    fn codes(&self) -> Vec<String> {
        let mut codes = Vec::new();
        self.tables.findings(|_, finding| codes.push(finding.code.clone())).unwrap();
        codes.sort();
        codes
    }
}

/// A decision that acts and costs money.
fn acting() -> DecisionRecord {
    let record = decide(situation(), 4);
    assert!(record.acts() && record.cost.is_positive());
    record
}

/// Sends, and what the action's state, its contacts and its open reservations are afterwards.
fn check(sends: &[(SendStatus, &str)], state: SendState, n_contacts: usize, n_open: usize, codes: &[&str]) {
    let (mut house, record) = (House::new(), acting());
    house.decide(&record);
    for (status, claim) in sends {
        house.send(&record, *status, claim);
        house.send(&record, *status, claim);
    }
    assert_eq!(house.state(&record), state, "{sends:?}");
    assert_eq!(house.tables.contacts(record.subject).unwrap().len(), n_contacts, "{sends:?}");
    let mut open = 0;
    house.tables.open_reservations(|_, _| open += 1).unwrap();
    assert_eq!(open, n_open, "{sends:?}");
    assert_eq!(house.codes(), codes, "{sends:?}");
    let grant = record.reservation.as_ref().unwrap().grant.unwrap();
    let used = house.tables.used.0.peek(&grant).unwrap().unwrap();
    let sent = matches!(state, SendState::Sent { .. });
    assert_eq!(used.spent, if sent { record.cost } else { Cents::ZERO }, "{sends:?}");
    assert_eq!(used.reserved, if n_open > 0 { record.cost } else { Cents::ZERO }, "{sends:?}");
    assert_eq!(used.n_open as usize, n_open);
}

#[test]
fn an_action_goes_one_way_only() {
    use SendStatus::{Claimed, Failed, Released, Sent};
    let sent = || SendState::Sent { at: now() + Span::from_secs(60) };
    let released = || SendState::Released { reason: "r".into() };
    let claimed = || SendState::Claimed { claim: "a".into() };
    check(&[], SendState::Reserved, 1, 1, &[]);
    check(&[(Claimed, "a")], claimed(), 1, 1, &[]);
    check(&[(Claimed, "a"), (Claimed, "b")], claimed(), 1, 1, &[]);
    check(&[(Claimed, "a"), (Released, "")], claimed(), 1, 1, &[]);
    check(&[(Claimed, "a"), (Failed, "b")], claimed(), 1, 1, &[]);
    check(&[(Claimed, "a"), (Sent, "a")], sent(), 1, 0, &[]);
    check(&[(Claimed, "a"), (Failed, "a")], released(), 0, 0, &[]);
    check(&[(Sent, "")], sent(), 1, 0, &[]);
    check(&[(Sent, ""), (Failed, "")], sent(), 1, 0, &[]);
    check(&[(Released, "")], released(), 0, 0, &[]);
    check(&[(Released, ""), (Claimed, "a")], released(), 0, 0, &[]);
    // It left all the same: it counts and costs, and somebody is told.
    check(&[(Released, ""), (Sent, "a")], sent(), 1, 0, &["MR5023"]);
}

#[test]
fn outcomes_join_late_and_twice() {
    let (mut house, record) = (House::new(), acting());
    house.decide(&record);
    house.decide(&record);
    let late = record.at + Span::from_days(20);
    house.outcome(1, &record, "click", None, record.at);
    house.outcome(2, &record, "redeem", Some(1_250), late);
    house.outcome(2, &record, "redeem", Some(1_250), late);
    house.outcome(3, &record, "redeem", None, late);
    house.outcome(4, &record, "redeem", Some(99_999), record.at + Span::from_days(31));
    house.outcome(5, &record, "redeem", Some(99_999), record.at - Span::from_secs(1));
    let mut collector = Collector::default();
    house.tables.tallies("spring", |subject, tally| collector.add(subject, subject, tally)).unwrap();
    let report = collector.report("spring");
    assert_eq!(report.n_decisions, 1);
    let action = &report.actions[0];
    // The second success says nothing of its value: the goal's 8.00 stands. Outside the 30 days nothing counts.
    assert_eq!((action.n_successful, action.value), (1, Cents::new(1_250 + 800)));
    assert_eq!(
        action.outcomes.iter().map(|k| (k.kind.as_str(), k.n)).collect::<Vec<_>>(),
        [("click", 1), ("redeem", 4)]
    );
    assert_eq!(report.uplift.treated.n_successful, 1);
    assert_eq!(house.tables.standing(record.decision).unwrap().unwrap().outcomes.len(), 5);
    assert_eq!(house.codes(), Vec::<String>::new());
}

#[test]
fn strangers_and_noise_are_findings() {
    let (mut house, record) = (House::new(), acting());
    house.outcome(1, &record, "redeem", None, record.at);
    house.send(&record, SendStatus::Sent, "");
    house.decide(&record);
    let outcome = Outcome {
        v: 1,
        decision: record.decision,
        kind: "redeem".into(),
        value: None,
        occurred_at: record.at,
    };
    house.fold(RecordId::external("x", b"1"), OUTCOMES, subject(9), outcome.to_payload());
    house.fold(RecordId::external("x", b"2"), DECISIONS, subject(1), b"{}".to_vec());
    house.fold(RecordId::external("x", b"3"), DECISIONS, subject(1), record.open_part().unwrap());
    house.fold(RecordId::external("x", b"4"), crate::BUDGETS, subject(1), b"[]".to_vec());
    let lost =
        crate::BudgetEvent::Closed { account: "a@b".into(), spender: subject(2), grant: record.decision };
    house.fold(RecordId::external("x", b"5"), crate::BUDGETS, subject(1), lost.to_payload());
    house.fold(RecordId::external("x", b"6"), "orders", subject(1), b"{}".to_vec());
    assert_eq!(house.codes(), ["MR5020", "MR5020", "MR5020", "MR5020", "MR5021", "MR5021", "MR5022"]);
    assert_eq!(house.state(&record), SendState::Reserved);
}

#[test]
fn a_flood_of_outcomes_ends() {
    let (mut house, record) = (House::new(), acting());
    house.decide(&record);
    for n in 0..=crate::MAX_OUTCOMES {
        let outcome = Outcome {
            v: 1,
            decision: record.decision,
            kind: "click".into(),
            value: None,
            occurred_at: record.at,
        };
        house.fold(RecordId::external("f", &n.to_be_bytes()), OUTCOMES, record.subject, outcome.to_payload());
    }
    assert_eq!(house.codes(), ["MR5024"]);
}
