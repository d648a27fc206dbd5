//! One small house, from an event to an explained decision, and what must not happen on the way.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::path::Path;
use std::sync::{Arc, mpsc};

use decide::NO_ACTION;
use event::RecordId;
use house::{Handed, House, Project, Told};
use intake::segment::Endpoint;
use policy::{Scope, Status};
use serde_json::{Map, json};
use support::{all, user};

const SETTINGS: &str = r#"
[instance]
partitions = PARTITIONS
[state]
commit_every_ms = 20
[purposes.personalisation]
basis = "consent"
[purposes.email_marketing]
basis = "consent"
"#;

const CONTRACT: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
version: 1.0.0
status: active
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: order_id, logicalType: string, required: true, primaryKey: true, classification: internal}
      - {name: total_cents, logicalType: integer, required: true, classification: internal, logicalTypeOptions: {minimum: 0}}
      - {name: user_id, logicalType: string, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
      - {name: device, logicalType: string, classification: personal, customProperties: [{property: source, value: /anonymousId}, {property: identifier, value: anonymous_id}]}
customProperties:
  - {property: source, value: ["track:Order Completed"]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id, device]}
  - {property: dedupKey, value: [order_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: personalisation, basis: consent}, {name: email_marketing, basis: consent}]}
"#;

const PEOPLE: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: people
name: people
version: 1.0.0
status: active
schema:
  - name: people
    logicalType: object
    properties:
      - {name: email, logicalType: string, classification: personal}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: [identify]}
  - {property: owner, value: Ada}
  - {property: traits, value: true}
  - {property: subjectKey, value: [user_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: personalisation, basis: consent}, {name: email_marketing, basis: consent}]}
"#;

const VIEW: &str = "
view: orders
version: 1
stream: orders
purposes: [personalisation]
features:
  - {name: n_30d, agg: count, window: 30d}
  - {name: spent_cents, agg: sum, of: total_cents, default: 0}
";

const USE_CASE: &str = "
name: next
version: 1.0.0
responsible: Ada <ada@example.org>
goal: {metric: rate, formula: orders / decisions, formula_version: 1.0.0, success: [order], within: 7d, value: 20 EUR}
inputs: {features: [orders.n_30d, orders.spent_cents]}
outputs: [action]
sources: [orders]
purpose: personalisation
legal_basis: consent
security_level: internal
risk_class: minimal
latency_ms: 50
gold_set: goldsets/next.jsonl
budget: {name: next, total: 1 EUR, period: month}
exploration: 0
holdout: {share: 0, salt: next}
caps: [{channel: email, max: 2, window: 7d}]
actions:
  - {name: mail, channel: email, creative: a, offer: b, cost: 0.05 EUR, purpose: email_marketing, score: 0.5}
";

fn project(dir: &Path, partitions: u16) -> Project {
    let write = |path: &str, text: &str| support::write(dir, path, text);
    write("maschinenraum.toml", &SETTINGS.replace("PARTITIONS", &partitions.to_string()));
    write("contracts/orders.yaml", CONTRACT);
    write("contracts/people.yaml", PEOPLE);
    write("features/orders.yaml", VIEW);
    write("usecases/next.yaml", USE_CASE);
    write("goldsets/next.jsonl", "");
    let errors = support::errors(dir);
    assert!(errors.is_empty(), "{errors:#?}");
    Project::load(dir).unwrap()
}

fn open(dir: &Path, partitions: u16) -> Arc<House> {
    Arc::new(House::open(project(dir, partitions)).unwrap())
}

fn track(house: &Arc<House>, body: serde_json::Value) -> house::TrackReport {
    let (send, receive) = mpsc::channel();
    let body = serde_json::to_vec(&body).unwrap();
    house.track(Endpoint::Batch, &body, Box::new(move |result| send.send(result).unwrap()));
    receive.recv().unwrap().unwrap()
}

fn order(n: u32, user: &str, device: &str) -> serde_json::Value {
    json!({
        "type": "track", "event": "Order Completed", "messageId": format!("m{n}"), "userId": user,
        "anonymousId": device, "properties": {"order_id": format!("o{n}"), "total_cents": 1_000 + n}
    })
}

#[test]
fn an_event_becomes_a_decision_that_can_be_explained() {
    for partitions in [1, 4] {
        let dir = tempfile::tempdir().unwrap();
        let house = open(dir.path(), partitions);
        let identify = json!({"type": "identify", "messageId": "i1", "userId": "ada", "traits": {"email": "ada@example.org"}});
        let report =
            track(&house, json!({"batch": [identify, order(1, "ada", "d1"), order(2, "ada", "d1")]}));
        assert_eq!((report.counts.n_accepted, report.counts.n_quarantined), (3, 0), "{report:?}");
        // Retried whole, as a client does after a time-out.
        track(&house, json!({"batch": [order(1, "ada", "d1"), order(2, "ada", "d1")]}));
        house.engine().settle(std::time::Duration::from_secs(20)).unwrap();

        // LAW 3: without consent nothing is read and nothing is decided.
        let denied = house.decide(&all(), "next", &user("ada"), &Map::new()).unwrap_err();
        assert_eq!(denied.code(), "MR3013", "{denied}");
        assert!(house.features(&all(), &user("ada"), "personalisation", &["orders".into()]).is_err());
        for purpose in ["personalisation", "email_marketing"] {
            house.consent(&user("ada"), purpose, Status::Granted, "v1", "form", None).unwrap();
        }
        let (_, values) =
            house.features(&all(), &user("ada"), "personalisation", &["orders".into()]).unwrap();
        assert_eq!(values[0].get("n_30d"), Some(&feature::Value::Integer(2)), "a retry counts once");
        assert!(house.features(&all(), &user("ada"), "email_marketing", &["orders".into()]).is_err());

        while house.do_chores().unwrap() > 0 {}
        let decision = house.decide(&all(), "next", &user("ada"), &Map::new()).unwrap();
        assert_eq!(decision.chosen.action, "mail");
        house.reproduce(&all(), decision.decision).unwrap();
        let text = house.explain(&all(), decision.decision).unwrap().text(decide::Language::English);
        assert!(text.contains("orders.n_30d") && text.contains("email_marketing"), "{text}");

        // LAW 7: the cap of two in seven days holds.
        house.decide(&all(), "next", &user("ada"), &Map::new()).unwrap();
        let third = house.decide(&all(), "next", &user("ada"), &Map::new()).unwrap();
        assert_eq!(third.chosen.action, NO_ACTION);

        // The device belongs to the same person; its consents and caps are hers.
        let device = support::id("anonymous_id", "d1");
        let by_device = house.decide(&all(), "next", &device, &Map::new()).unwrap();
        assert_eq!((by_device.chosen.action.as_str(), by_device.members.len()), (NO_ACTION, 2));

        // Sent once, under its idempotency key; nothing is left for a second round.
        let mut keys = Vec::new();
        let sent = house
            .deliver("tool", |delivery| {
                assert_eq!(delivery.identifier, "ada@example.org");
                keys.push(delivery.idempotency_key.clone());
                Handed::Sent
            })
            .unwrap();
        assert_eq!((sent.n_sent, keys.len()), (2, 2));
        assert_eq!(house.deliver("tool", |_| panic!("nothing is left to send")).unwrap().n_sent, 0);

        let told = Told {
            decision: decision.decision,
            kind: "order".into(),
            value: None,
            occurred_at: None,
            id: Some("x".into()),
        };
        house.outcomes(&[told.clone(), told]).unwrap();
        assert_eq!(house.report("next").unwrap().uplift.treated.n_successful, 1);
        assert!(house.verify(|_| {}).unwrap().holds(), "replay gives another state");
    }
}

#[test]
fn a_withdrawal_takes_effect_at_once_and_reaches_what_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let house = open(dir.path(), 3);
    track(
        &house,
        json!({"batch": [
        {"type": "identify", "messageId": "i1", "userId": "bob", "traits": {"email": "bob@example.org"}}]}),
    );
    for purpose in ["personalisation", "email_marketing"] {
        house.consent(&user("bob"), purpose, Status::Granted, "v1", "form", None).unwrap();
    }
    while house.do_chores().unwrap() > 0 {}
    let decision = house.decide(&all(), "next", &user("bob"), &Map::new()).unwrap();
    assert_eq!(decision.chosen.action, "mail");
    house.consent(&user("bob"), "email_marketing", Status::Withdrawn, "v1", "link", None).unwrap();
    let sent = house.deliver("tool", |_| panic!("consent is gone")).unwrap();
    assert_eq!((sent.n_sent, sent.n_released), (0, 1));
    let next = house.decide(&all(), "next", &user("bob"), &Map::new()).unwrap();
    assert_eq!(next.chosen.action, NO_ACTION, "the purpose of the action is not allowed any more");
    house.consent(&user("bob"), "personalisation", Status::Withdrawn, "v1", "link", None).unwrap();
    assert_eq!(house.decide(&all(), "next", &user("bob"), &Map::new()).unwrap_err().code(), "MR3012");
}

#[test]
fn nothing_is_sent_once_the_purpose_it_was_chosen_for_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let house = open(dir.path(), 2);
    track(
        &house,
        json!({"batch": [{"type": "identify", "messageId": "i1", "userId": "cyd", "traits": {"email": "c@example.org"}}]}),
    );
    for purpose in ["personalisation", "email_marketing"] {
        house.consent(&user("cyd"), purpose, Status::Granted, "v1", "form", None).unwrap();
    }
    assert_eq!(house.decide(&all(), "next", &user("cyd"), &Map::new()).unwrap().chosen.action, "mail");
    house.consent(&user("cyd"), "personalisation", Status::Withdrawn, "v1", "link", None).unwrap();
    let sent = house.deliver("tool", |_| panic!("the purpose it was chosen for is gone")).unwrap();
    assert_eq!((sent.n_sent, sent.n_released), (0, 1));
}

#[test]
fn what_is_refused_is_kept_and_can_be_mended() {
    let dir = tempfile::tempdir().unwrap();
    let house = open(dir.path(), 2);
    let bad = json!({"type": "track", "event": "Order Completed", "messageId": "b1", "userId": "eve",
        "properties": {"order_id": "o9", "total_cents": "seven"}});
    let report = track(&house, json!({"batch": [bad]}));
    assert_eq!(report.counts.n_quarantined, 1);
    house.engine().settle(std::time::Duration::from_secs(20)).unwrap();
    let refused = house.quarantine(None, 10).unwrap();
    assert_eq!((refused.len(), refused[0].1.reasons[0].code.as_str()), (1, "MR1001"));
    let id = refused[0].0;
    assert!(matches!(house.requeue(id).unwrap(), intake::Outcome::Quarantined { .. }));
    house.close();
    drop(house);
    // The contract is mended: totals may be words.
    let text = CONTRACT.replace("logicalType: integer, required: true, classification: internal, logicalTypeOptions: {minimum: 0}", "logicalType: string, required: true, classification: internal").replace("version: 1.0.0", "version: 2.0.0");
    project(dir.path(), 2);
    std::fs::write(dir.path().join("contracts/orders2.yaml"), text).unwrap();
    std::fs::write(
        dir.path().join("features/orders.yaml"),
        VIEW.replace("  - {name: spent_cents, agg: sum, of: total_cents, default: 0}\n", ""),
    )
    .unwrap();
    std::fs::write(dir.path().join("usecases/next.yaml"), USE_CASE.replace(", orders.spent_cents", ""))
        .unwrap();
    let house = Arc::new(House::open(Project::load(dir.path()).unwrap()).unwrap());
    let outcome = house.requeue(id).unwrap();
    assert!(matches!(outcome, intake::Outcome::Accepted { .. }), "{outcome:?}");
    assert!(house.quarantine(None, 10).unwrap()[0].1.mended);
    assert_eq!(house.streams().unwrap()["orders"].n_records, 1);
}

#[test]
fn an_import_is_repeated_without_effect_and_taken_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let house = open(dir.path(), 3);
    let file = dir.path().join("orders.csv");
    std::fs::write(&file, "order_id,total_cents,/userId\n").unwrap();
    let rows: String = (0..500)
        .map(|n| format!("{{\"order_id\":\"i{n}\",\"total_cents\":{n},\"userId\":\"u{}\"}}\n", n % 9))
        .collect();
    let file = dir.path().join("orders.ndjson");
    std::fs::write(
        &file,
        rows.replace("\"order_id\"", "\"properties\":{\"order_id\"").replace(",\"userId\"", "},\"userId\""),
    )
    .unwrap();
    let done = house.import(&file, "orders", |_| {}).unwrap();
    assert_eq!((done.counts.n_rows, done.counts.n_accepted), (500, 500), "{:?}", done.reasons);
    assert!(house.import(&file, "orders", |_| {}).unwrap().repeated);
    assert_eq!(house.streams().unwrap()["orders"].n_records, 500);
    let batch = done.batch;
    Arc::try_unwrap(house).ok().unwrap().undo_import(batch, "test").unwrap();
    let house = open(dir.path(), 3);
    assert!(!house.streams().unwrap().contains_key("orders"));
    assert!(house.verify(|_| {}).unwrap().holds());
}

#[test]
fn a_backup_of_a_running_house_opens_elsewhere_with_the_same_digest() {
    let (dir, copy, elsewhere) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let house = open(dir.path(), 3);
    track(&house, json!({"batch": (0..50).map(|n| order(n, &format!("u{n}"), "d")).collect::<Vec<_>>()}));
    house.consent(&user("u1"), "personalisation", Status::Granted, "v1", "form", None).unwrap();
    let digest = house.engine().digest(std::time::Duration::from_secs(20)).unwrap();
    let backup = copy.path().join("b");
    house.backup(&backup).unwrap();
    house.close();
    house::restore(&backup, elsewhere.path()).unwrap();
    assert!(!elsewhere.path().join("master.key").exists(), "the master key is no part of a backup");
    for outside in ["master.key", "root.anchor"] {
        assert!(!elsewhere.path().join(outside).exists(), "{outside} is no part of a backup");
        std::fs::copy(dir.path().join(outside), elsewhere.path().join(outside)).unwrap();
    }
    let restored = House::open(Project::load(elsewhere.path()).unwrap()).unwrap();
    // Opening told the budget's home again what it may spend: the same content is the same record.
    assert_eq!(restored.engine().digest(std::time::Duration::from_secs(20)).unwrap(), digest);
}

#[test]
fn keys_open_only_what_they_are_for_and_end_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let house = open(dir.path(), 1);
    let key = house.create_key("ada", "site", &[Scope::Track], None).unwrap();
    let principal = house.authenticate(&key.text).unwrap();
    assert!(principal.has(Scope::Track) && !principal.has(Scope::Decide));
    house.consent(&user("ada"), "personalisation", Status::Granted, "v1", "form", None).unwrap();
    assert_eq!(house.decide(&principal, "next", &user("ada"), &Map::new()).unwrap_err().code(), "MR3011");
    let forged = format!("{}0", &key.text[..key.text.len() - 1]);
    assert!(house.authenticate(&forged).is_err() || forged == *key.text);
    house.revoke_key("ada", &key.id).unwrap();
    assert_eq!(house.authenticate(&key.text).unwrap_err().code(), "MR3022");
    let missing = RecordId::external("x", b"y");
    assert_eq!(house.explain(&all(), missing).unwrap_err().code(), "MR5041");
}

#[test]
fn no_plain_identifier_lies_in_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let house = open(dir.path(), 2);
    track(
        &house,
        json!({"batch": [
        {"type": "identify", "messageId": "i1", "userId": "canary-user", "traits": {"email": "canary@example.org", "undeclared": "canary-secret"}},
        order(1, "canary-user", "canary-device"),
        {"type": "track", "event": "Order Completed", "messageId": "q", "userId": "canary-user", "properties": {"order_id": 7, "note": "canary-note"}}]}),
    );
    for purpose in ["personalisation", "email_marketing"] {
        house.consent(&user("canary-user"), purpose, Status::Granted, "v1", "form", None).unwrap();
    }
    while house.do_chores().unwrap() > 0 {}
    house.decide(&all(), "next", &user("canary-user"), &Map::new()).unwrap();
    house.engine().settle(std::time::Duration::from_secs(20)).unwrap();
    house.close();
    drop(house);
    let mut n_files = 0;
    scan(&dir.path().join("data"), &mut n_files);
    assert!(n_files > 5);
}

fn scan(dir: &Path, n_files: &mut usize) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            scan(&path, n_files);
            continue;
        }
        *n_files += 1;
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|w| w == b"canary"), "{} holds plain personal data", path.display());
    }
}
