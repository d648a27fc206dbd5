//! From arrivals to records: what is sealed, dated, named, linked, quarantined, counted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::sync::Arc;

use contract::{Contract, Contracts};
use event::{BatchId, Instant, Record, StreamName, Subject, Version};
use intake::segment::{Endpoint, read};
use intake::{Arrival, Counts, Incoming, Intake, Outcome, Seen, open_part, owner, raw, reopen};
use policy::{CONSENTS, ConsentGiven, Status};
use profile::{LINKS, Link, Rules};
use proptest::prelude::*;
use serde_json::{Value, json};
use vault::{Master, Vault};

struct House {
    intake: Intake,
    vault: Arc<Vault>,
    contracts: Contracts,
    _dir: tempfile::TempDir,
}

fn house_with(rules: Rules) -> House {
    let dir = tempfile::tempdir().unwrap();
    let vault = Arc::new(Vault::create(dir.path(), &Master::from_bytes([7; 32])).unwrap());
    let mut contracts = Contracts::new();
    for yaml in [
        include_str!("contracts/people.yaml"),
        include_str!("contracts/orders.yaml"),
        include_str!("contracts/visits.yaml"),
    ] {
        let parsed = Contract::parse(yaml, "c.yaml").unwrap();
        assert_eq!(
            (parsed.findings, parsed.contract.validate().iter().any(|f| f.is_error())),
            (vec![], false)
        );
        contracts.insert(parsed.contract).unwrap();
    }
    House { intake: Intake::new(Arc::clone(&vault), rules), vault, contracts, _dir: dir }
}

fn house() -> House {
    house_with(Rules::default())
}

fn now() -> Instant {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn live() -> Arrival {
    Arrival { received_at: now(), batch: None, source: None }
}

impl House {
    fn batch(&self, calls: Value) -> Vec<Outcome> {
        let body = json!({ "batch": calls }).to_string();
        let request = read(Endpoint::Batch, body.as_bytes(), now()).unwrap();
        let outcomes =
            self.intake.accept_all(&self.contracts, request.items, &live(), &mut Seen::new()).unwrap();
        let n = outcomes.len() as u64;
        assert_eq!(Counts::of(&outcomes).total(), n);
        outcomes
    }

    fn one(&self, call: Value) -> Outcome {
        self.batch(json!([call])).pop().unwrap()
    }

    fn visit(&self, row: Value, batch: Option<BatchId>) -> Outcome {
        let incoming = Incoming::for_stream(StreamName::new("visits"), row);
        self.intake
            .accept(&self.contracts, incoming, &Arrival { received_at: now(), batch, source: None })
            .unwrap()
    }
}

fn accepted(outcome: &Outcome) -> (&Record, &[Arc<Record>]) {
    match outcome {
        Outcome::Accepted { record, emitted, .. } => (record, emitted),
        other => panic!("{other:?}"),
    }
}

fn quarantined(outcome: &Outcome) -> (&Record, Vec<&'static str>) {
    match outcome {
        Outcome::Quarantined { record, findings, .. } => (record, findings.iter().map(|f| f.code).collect()),
        other => panic!("{other:?}"),
    }
}

fn order() -> Value {
    json!({
        "type": "track", "event": "Order Completed", "messageId": "m-1", "userId": "u-17", "anonymousId": "a-1",
        "timestamp": "2026-03-01T11:00:00Z", "context": {"ip": "10.0.0.7"},
        "properties": {"order_id": "o-1", "total": 19.99, "email": "ann@example.com", "note": "to Ann's door"}
    })
}

#[test]
fn a_record_and_what_follows_from_it_say_what_they_came_by_and_it_changes_nothing_else() {
    let (house, source) = (house(), event::SourceName::new("web"));
    for broken in [false, true] {
        let mut call = order();
        call["context"]["consent"] = json!({"categoryPreferences": {"analytics": false}});
        if broken {
            call["properties"]["total"] = json!("much");
        }
        let take = |source: Option<event::SourceName>| {
            let body = json!({"batch": [call], "sentAt": "2026-03-01T12:00:05Z"}).to_string();
            let request = read(Endpoint::Batch, body.as_bytes(), now()).unwrap();
            assert_eq!(request.sent_at, Some("2026-03-01T12:00:05Z".parse().unwrap()));
            let arrival = Arrival { source, ..live() };
            house
                .intake
                .accept_all(&house.contracts, request.items, &arrival, &mut Seen::new())
                .unwrap()
                .remove(0)
        };
        let (named, unnamed) = (take(Some(source.clone())), take(None));
        assert!(named.records().count() >= 2, "{named:?}");
        assert!(named.records().all(|record| record.source.as_ref() == Some(&source)));
        assert!(unnamed.records().all(|record| record.source.is_none()));
        let ids = |outcome: &Outcome| outcome.records().map(|record| record.id).collect::<Vec<_>>();
        assert_eq!(ids(&named), ids(&unnamed));
    }
}

const SECRETS: [&str; 6] = ["u-17", "a-1", "ann@", "10.0.0.7", "door", "m-1"];

/// All that lies open of a record, as one text.
fn open_text(record: &Record) -> String {
    format!(
        "{:?} {}",
        record.payload.cells.iter().map(|c| &c.column).collect::<Vec<_>>(),
        String::from_utf8_lossy(&record.payload.open)
    )
}

#[test]
fn an_order_becomes_a_sealed_record() {
    let house = house();
    let outcome = house.one(order());
    let (record, emitted) = accepted(&outcome);
    assert_eq!(record.stream.as_str(), "orders");
    assert_eq!(record.contract, Version::new(1, 2, 0));
    assert_eq!(record.subject, house.vault.pseudonym("user_id", "u-17"));
    assert_eq!((record.occurred_at.to_string().as_str(), record.known_at), ("2026-03-01T11:00:00Z", now()));
    assert_eq!(record.id, event::RecordId::external("orders", b"m-1"));
    assert!(record.key_epoch > 0);
    insta::assert_snapshot!(open_text(record));
    for record in outcome.records() {
        for secret in SECRETS {
            assert!(!open_text(record).contains(secret), "{secret} lies open in {}", record.stream);
        }
    }
    // As it came, context included, for whoever has the key.
    assert_eq!(raw(&house.vault, record).unwrap(), order());
    assert_eq!(open_part(record).unwrap()["properties"]["total"], 19.99);
    // Who is who, in pseudonyms, for the control partition.
    assert_eq!(emitted.len(), 1);
    let link: Link = serde_json::from_slice(&emitted[0].payload.open).unwrap();
    let kinds: Vec<&str> = link.ids.iter().map(|id| id.kind.as_str()).collect();
    assert_eq!(kinds, ["user_id", "email", "anonymous_id"]);
    assert_eq!(
        (emitted[0].stream.as_str(), emitted[0].subject, emitted[0].cause),
        (LINKS, Subject::NONE, Some(record.id))
    );
    assert_eq!(link.ids[0].subject, record.subject);
}

#[test]
fn the_same_delivery_gives_the_same_ids_and_counts_doubles() {
    let house = house();
    let ids = |outcomes: &[Outcome]| -> Vec<_> {
        outcomes.iter().flat_map(Outcome::records).map(|r| r.id).collect()
    };
    let calls = json!([order(), order(), {"type": "track", "event": "Order Completed"}, {"type": "track", "event": "Unheard Of"}, {"type": "no"}]);
    let (first, again) = (house.batch(calls.clone()), house.batch(calls));
    assert_eq!(ids(&first), ids(&again));
    assert_eq!(Counts::of(&first), Counts { n_accepted: 1, n_quarantined: 2, n_duplicates: 1, n_refused: 1 });
}

#[test]
fn what_is_linked_durably_is_not_linked_again() {
    let house = house();
    let n_emitted = |outcome: &Outcome| accepted(outcome).1.len();
    let mut second = order();
    second["messageId"] = json!("m-2");
    let first = house.one(order());
    assert_eq!(n_emitted(&house.one(second.clone())), 1, "nobody said yet that the link is durable");
    house.intake.durable(&[first]);
    assert_eq!(n_emitted(&house.one(second)), 0);
}

#[test]
fn what_breaks_its_contract_is_sealed_whole_with_its_findings() {
    let house = house();
    let mut bad = order();
    bad["properties"]["total"] = json!(-5);
    bad["properties"]["order_id"] = Value::Null;
    let outcome = house.one(bad.clone());
    let (record, codes) = quarantined(&outcome);
    assert_eq!(codes, ["MR1004", "MR1005"]);
    assert_eq!(record.stream.as_str(), "mr.quarantine");
    assert_eq!(record.subject, house.vault.pseudonym("user_id", "u-17"));
    insta::assert_snapshot!(open_text(record));
    assert_eq!(record.payload.cells.len(), 1);
    assert_eq!(outcome.records().count(), 1, "no link from what is not believed");
    // After the contract is mended it goes the way it would have gone.
    let mended = reopen(&house.vault, record).unwrap().unwrap();
    assert_eq!((mended.raw.clone(), mended.occurred_at.clone()), (bad, Ok(Some(record.occurred_at))));
    let mut raw = mended.raw.clone();
    raw["properties"]["total"] = json!(5);
    raw["properties"]["order_id"] = json!("o-1");
    let outcome = house.intake.accept(&house.contracts, Incoming { raw, ..mended }, &live()).unwrap();
    assert_eq!(accepted(&outcome).0.id, event::RecordId::external("orders", b"m-1"));
    assert_eq!(accepted(&outcome).0.occurred_at.to_string(), "2026-03-01T11:00:00Z");
}

#[test]
fn strangers_go_to_quarantine_under_their_person_or_under_a_key_of_the_stream() {
    let house = house();
    let outcome = house.one(
        json!({"type": "track", "event": "Unheard Of", "userId": "u-17", "properties": {"a": "secret"}}),
    );
    let (record, codes) = quarantined(&outcome);
    assert_eq!(codes, ["MR2010"]);
    assert_eq!(record.subject, house.vault.pseudonym("user_id", "u-17"));
    assert!(open_text(record).contains("track:Unheard Of") && !open_text(record).contains("secret"));
    for name in ["Mail of ann@example.com", "Order 12345678", &"x".repeat(200)] {
        let outcome = house.one(json!({"type": "track", "event": name}));
        let (record, _) = quarantined(&outcome);
        assert!(
            !open_text(record).contains(name) && open_text(record).contains("track:…"),
            "{}",
            open_text(record)
        );
        let again = reopen(&house.vault, record).unwrap().unwrap();
        assert_eq!(again.origin, intake::Origin::Call(format!("track:{name}")));
    }
    let outcome = house.one(json!({"type": "track", "event": "Unheard Of", "userId": "null"}));
    let (record, _) = quarantined(&outcome);
    assert!(record.subject.is_none());
    assert_eq!(owner(&house.vault, record), house.vault.pseudonym("quarantine", "unknown"));
    assert_eq!(raw(&house.vault, record).unwrap()["event"], "Unheard Of");
    let incoming = Incoming::for_stream(StreamName::new("nowhere"), json!({"a": 1}));
    let outcome = house.intake.accept(&house.contracts, incoming, &live()).unwrap();
    let reopened = reopen(&house.vault, quarantined(&outcome).0).unwrap().unwrap();
    assert_eq!(reopened.origin, intake::Origin::Stream(StreamName::new("nowhere")));
}

#[test]
fn nobody_and_the_blocked_are_not_subjects() {
    let house = house_with(Rules { blocked: vec!["gast".into()], ..Rules::default() });
    let identify = |user: Value| json!({"type": "identify", "userId": user, "traits": {"plan": "a"}});
    let outcome = house.one(identify(json!("Gast")));
    assert_eq!(quarantined(&outcome).1, ["MR1012"]);
    let outcome = house.one(identify(json!("0")));
    assert_eq!(quarantined(&outcome).1, ["MR1012", "MR1012"]);
    for user in ["u 🦀", "שלום", "'; DROP TABLE users; --", "<script>alert(1)</script>"] {
        let outcome = house.one(identify(json!(user)));
        assert_eq!(accepted(&outcome).0.subject, house.vault.pseudonym("user_id", user), "{user}");
    }
    let (number, text) = (house.one(identify(json!(42))), house.one(identify(json!("42"))));
    assert_eq!(accepted(&number).0.subject, accepted(&text).0.subject);
    let mail = json!({"type": "identify", "traits": {"email": " Ann@Example.com "}});
    assert_eq!(accepted(&house.one(mail)).0.subject, house.vault.pseudonym("email", "ann@example.com"));
}

#[test]
fn times_that_cannot_be_are_found() {
    let house = house();
    let codes = |timestamp: &str| {
        let mut call = order();
        call["timestamp"] = json!(timestamp);
        let outcome = house.one(call);
        quarantined(&outcome).1
    };
    assert_eq!(codes("9999-12-31T00:00:00Z"), ["MR1010"]);
    assert_eq!(codes("yesterday"), ["MR1010"]);
    assert_eq!(codes("2026-03-02T12:00:01Z"), ["MR1016"]);
    let mut call = order();
    call["timestamp"] = json!("2026-03-02T11:59:59Z");
    accepted(&house.one(call));
}

#[test]
fn only_an_import_of_the_time_before_the_stream_was_live_may_say_when_it_was_known() {
    let house = house();
    let batch = Some(BatchId::of("visits", Version::new(2, 0, 0), b"file"));
    let known = |row: Value, batch| accepted(&house.visit(row, batch)).0.known_at.to_string();
    let old = json!({"visit": 1, "at": "2025-05-01T10:00:00Z"});
    assert_eq!(known(old.clone(), batch), "2025-05-01T10:00:00Z");
    assert_eq!(known(old, None), "2026-03-01T12:00:00Z", "what comes as it happens is known when it comes");
    let late = json!({"visit": 1, "at": "2025-05-01T10:00:00Z", "heard_at": "2025-06-01T10:00:00Z"});
    assert_eq!(known(late, batch), "2025-06-01T10:00:00Z");
    let after = json!({"visit": 1, "at": "2026-01-01T00:00:00Z"});
    assert_eq!(known(after, batch), "2026-03-01T12:00:00Z", "the stream was live: it came late");
    let heard_live = json!({"visit": 1, "at": "2025-05-01", "heard_at": "2026-02-01"});
    assert_eq!(known(heard_live, batch), "2026-03-01T12:00:00Z");
}

#[test]
fn a_record_of_nobody_is_sealed_under_a_key_of_its_stream() {
    let house = house();
    let outcome = house.visit(json!({"visit": 1, "at": "2025-05-01", "extra": "x"}), None);
    let (record, emitted) = accepted(&outcome);
    assert!(record.subject.is_none() && emitted.is_empty());
    assert_eq!(owner(&house.vault, record), house.vault.pseudonym("stream", "visits"));
    assert_eq!(raw(&house.vault, record).unwrap()["extra"], "x");
    assert_eq!(open_part(record).unwrap(), json!({"visit": 1, "at": "2025-05-01"}));
    // The primary key names it: the next delivery of visit 1 is the same record.
    let again = house.visit(json!({"visit": "1", "at": "2025-05-02"}), None);
    assert_eq!(accepted(&again).0.id, record.id);
    assert_eq!(quarantined(&house.visit(json!([1]), None)).1, ["MR1015"]);
    let mut deep = json!(1);
    for _ in 0..70 {
        deep = json!([deep]);
    }
    assert_eq!(
        quarantined(&house.visit(json!({"visit": 1, "at": "2025-05-01", "x": deep}), None)).1,
        ["MR1013"]
    );
}

fn said(records: &[Arc<Record>]) -> Vec<(String, Status)> {
    let consents = records.iter().filter(|r| r.stream.as_str() == CONSENTS);
    consents
        .map(|r| {
            let given: ConsentGiven = serde_json::from_slice(&r.payload.open).unwrap();
            (given.purpose, given.status)
        })
        .collect()
}

fn with_consent(id: &str, user: &str, preferences: Value) -> Value {
    json!({"type": "identify", "messageId": id, "userId": user, "context": {"consent": {"categoryPreferences": preferences}}})
}

#[test]
fn consent_follows_from_the_call_and_equal_words_are_kept_once() {
    let house = house();
    let outcomes = house.batch(json!([
        with_consent("1", "a", json!({"ads": true, "mail": false})),
        with_consent("2", "b", json!({"ads": true})),
        with_consent("3", "a", json!({"ads": true, "mail": true})),
    ]));
    let emitted: Vec<_> = outcomes.iter().map(|o| said(accepted(o).1)).collect();
    assert_eq!(emitted[0], [("mail".to_owned(), Status::Denied)]);
    assert_eq!(emitted[1], [("ads".to_owned(), Status::Granted)]);
    assert_eq!(emitted[2], [("ads".to_owned(), Status::Granted), ("mail".to_owned(), Status::Granted)]);
}

#[test]
fn what_is_not_believed_may_deny_but_not_grant() {
    let house = house();
    let mut bad = with_consent("1", "a", json!({"ads": true, "mail": false}));
    bad["traits"] = json!({"plan": {"not": "a text"}});
    let outcomes = house.batch(json!([bad, with_consent("2", "a", json!({"ads": true}))]));
    let Outcome::Quarantined { emitted, record, .. } = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!(said(emitted), [("mail".to_owned(), Status::Denied)]);
    assert_eq!(emitted[0].subject, record.subject);
    assert_eq!(said(accepted(&outcomes[1]).1), [("ads".to_owned(), Status::Granted)]);
}

#[test]
fn a_lost_key_leaves_only_what_lies_open() {
    let (house, other) = (house(), house());
    let outcome = house.one(order());
    let (record, _) = accepted(&outcome);
    // Another house has no key for this person, as this one has none after an erasure.
    let left = raw(&other.vault, record).unwrap();
    assert_eq!(left, json!({"properties": {"order_id": "o-1", "total": 19.99}}));
    let mut bad = order();
    bad["properties"]["total"] = json!("x");
    let outcome = house.one(bad);
    assert!(reopen(&other.vault, quarantined(&outcome).0).unwrap().is_none());
}

/// The bench over HTTP needs 25,000 events a second on two cores, its own load included; this only guards against
/// a slip by an order of magnitude in any build.
#[test]
fn intake_is_fast() {
    let house = house();
    let (n_batches, per_batch) = (100, 100);
    let bodies: Vec<Vec<u8>> = (0..n_batches)
        .map(|b| {
            let calls: Vec<Value> = (0..per_batch)
                .map(|i| {
                    let mut call = order();
                    call["messageId"] = json!(format!("m-{b}-{i}"));
                    call["userId"] = json!(format!("u-{}", (b * per_batch + i) % 500));
                    call["context"] = json!({"ip": "10.0.0.7", "library": {"name": "analytics-node", "version": "3.1.0"}, "userAgent": "x".repeat(120)});
                    call
                })
                .collect();
            json!({ "batch": calls }).to_string().into_bytes()
        })
        .collect();
    let run = || {
        let mut n = 0;
        for body in &bodies {
            let request = read(Endpoint::Batch, body, now()).unwrap();
            let outcomes =
                house.intake.accept_all(&house.contracts, request.items, &live(), &mut Seen::new()).unwrap();
            n += Counts::of(&outcomes).n_accepted;
            house.intake.durable(&outcomes);
        }
        n
    };
    // The keys of all persons are made in the first round.
    assert_eq!(run(), n_batches * per_batch);
    let start = std::time::Instant::now();
    assert_eq!(run(), n_batches * per_batch);
    let each = start.elapsed() / u32::try_from(n_batches * per_batch).unwrap();
    let bytes = bodies[0].len() as u64 / per_batch;
    eprintln!("parse + judge + seal: {each:?} per event of {bytes} bytes");
    assert!(each < std::time::Duration::from_micros(400), "{each:?}");
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "type",
        "event",
        "userId",
        "anonymousId",
        "messageId",
        "timestamp",
        "properties",
        "traits",
        "order_id",
        "total",
        "email",
        "context",
        "consent",
        "categoryPreferences",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["track", "identify", "Order Completed", "2026-03-01", "a@b.de"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn every_arrival_becomes_exactly_one_thing_and_loses_nothing(calls in prop::collection::vec(any_json(), 0..8)) {
        let house = house();
        let outcomes = house.batch(Value::from(calls.clone()));
        prop_assert_eq!(outcomes.len(), calls.len());
        for (outcome, call) in outcomes.iter().zip(&calls) {
            if let Outcome::Accepted { record, .. } | Outcome::Quarantined { record, .. } = outcome {
                // The batch adds nothing here, so what is stored is what came.
                prop_assert_eq!(&raw(&house.vault, record).unwrap(), call);
            }
        }
        for stream in ["visits", "orders"] {
            for call in &calls {
                let incoming = Incoming::for_stream(StreamName::new(stream), call.clone());
                let outcome = house.intake.accept(&house.contracts, incoming, &live()).unwrap();
                prop_assert!(outcome.records().count() >= 1);
            }
        }
    }
}
