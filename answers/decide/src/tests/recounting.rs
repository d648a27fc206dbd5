//! Counted anew by the formula of then, the same; by another, what that one says.

use event::{Instant, Partition, Payload, Record, RecordId, Span, StreamName, Subject, Version};
use proptest::prelude::*;
use store::{Emissions, Fold, Scope};

use crate::testing::{decide, now, situation};
use crate::usecase::Goal;
use crate::{
    Cents, DECISIONS, DecideFold, DecisionRecord, OUTCOMES, Outcome, SENDS, Send, SendStatus, Tables, Tally,
};

fn fold(tables: &mut Tables, id: RecordId, stream: &str, subject: Subject, known_at: Instant, open: Vec<u8>) {
    let record = Record {
        id,
        stream: StreamName::new(stream),
        contract: Version::new(1, 0, 0),
        subject,
        occurred_at: known_at,
        known_at,
        batch: None,
        cause: None,
        source: None,
        key_epoch: 0,
        payload: Payload { open: open.into(), cells: Vec::new() },
    };
    DecideFold.fold(tables, &record, &mut Emissions::default()).unwrap();
}

/// One decision with a goal, and what was told of it.
#[derive(Clone, Debug)]
struct Told {
    version: u32,
    outcomes: Vec<(bool, u8, Option<i64>)>,
    sent: Option<bool>,
}

fn told() -> impl Strategy<Value = Told> {
    let outcome = (any::<bool>(), 0..40_u8, prop::option::of(0..5_000_i64));
    (1..4_u32, prop::collection::vec(outcome, 0..5), prop::option::of(any::<bool>()))
        .prop_map(|(version, outcomes, sent)| Told { version, outcomes, sent })
}

/// A decision that does something.
fn first() -> DecisionRecord {
    (0..).map(|seed| decide(situation(), seed)).find(|record| record.reservation.is_some()).unwrap()
}

fn made(at: usize, told: &Told) -> DecisionRecord {
    let mut record = first();
    record.decision = RecordId::external("decision", &at.to_le_bytes());
    record.goal = goal(&record.goal, told.version);
    record
}

fn goal(of: &Goal, version: u32) -> Goal {
    Goal {
        formula_version: Version::new(version, 0, 0),
        within: Span::from_days(10 * i64::from(version)),
        value: Cents::new(100 * i64::from(version)),
        ..of.clone()
    }
}

fn tables(all: &[Told]) -> (Tables, Goal) {
    let mut tables = Tables::open(&Scope::memory(Partition(0)));
    for (at, told) in all.iter().enumerate() {
        let record = made(at, told);
        let open = record.open_part().unwrap();
        fold(&mut tables, record.decision, DECISIONS, record.subject, record.at, open);
        if let Some(sent) = told.sent {
            let status = if sent { SendStatus::Sent } else { SendStatus::Released };
            let (action, channel) = (record.chosen.action.clone(), record.chosen.channel.clone());
            let (claim, reason) = (String::new(), "r".into());
            let send =
                Send { v: 1, decision: record.decision, action, channel, at: now(), status, claim, reason };
            let id = RecordId::external("send", &at.to_le_bytes());
            fold(&mut tables, id, SENDS, record.subject, now(), send.to_payload());
        }
        for (n, (redeems, day, value)) in told.outcomes.iter().enumerate() {
            let kind = if *redeems { "redeem" } else { "click" };
            let occurred_at = record.at + Span::from_days(i64::from(*day));
            let value = value.map(Cents::new);
            let outcome = Outcome { v: 1, decision: record.decision, kind: kind.into(), value, occurred_at };
            let id = RecordId::external("outcome", format!("{at} {n}").as_bytes());
            fold(&mut tables, id, OUTCOMES, record.subject, occurred_at, outcome.to_payload());
        }
    }
    (tables, first().goal)
}

fn live(tables: &Tables) -> Tally {
    let mut found = Tally::default();
    tables.tallies("spring", |_, tally| found = tally.clone()).unwrap();
    found
}

proptest! {
    /// Where all decisions had one formula, counting anew by it is the live count; by another, as if it had been so from
    /// the start.
    #[test]
    fn by_one_formula_it_is_as_if_it_had_always_been_so(all in prop::collection::vec(told(), 1..8), by in 1..4_u32) {
        let (mixed, of) = tables(&all);
        let always: Vec<Told> = all.iter().map(|one| Told { version: by, ..one.clone() }).collect();
        let (always, _) = tables(&always);
        let anew = mixed.recount("spring", &goal(&of, by), None).unwrap();
        prop_assert_eq!(anew.len(), 1);
        prop_assert_eq!(anew.values().next(), Some(&live(&always)));
        let n: u64 = live(&mixed).formulas.iter().map(|one| one.n_decisions).sum();
        prop_assert_eq!(n, all.len() as u64);
    }
}

#[test]
fn as_it_was_known_then() {
    let late = Told { version: 1, outcomes: vec![(true, 1, None), (true, 9, None)], sent: None };
    let (tables, of) = tables(&[late]);
    let at = first().at;
    let count = |day: i64| {
        let until = Some(at + Span::from_days(day));
        let anew = tables.recount("spring", &goal(&of, 1), until).unwrap();
        anew.get(&first().subject).map(|tally| (tally.n_decisions, tally.n_successful, tally.value))
    };
    assert_eq!(count(-1), None);
    assert_eq!(count(0), Some((1, 0, Cents::ZERO)));
    assert_eq!(count(5), Some((1, 1, Cents::new(100))));
    assert_eq!(count(20), Some((1, 1, Cents::new(200))));
    assert!(tables.recount("autumn", &goal(&of, 1), None).unwrap().is_empty());
}
