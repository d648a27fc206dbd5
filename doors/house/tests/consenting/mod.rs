//! A small shop whose people say yes and no: its project, and every way to read of somebody.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use decide::DecisionRecord;
use event::RecordId;
use house::{FileLayout, Handed, House, Identifier, Project, Word};
use intake::segment::Endpoint;
use policy::{Principal, Scope, Status};
use serde_json::{Map, Value, json};

const SETTINGS: &str = r#"
[instance]
partitions = 3
[state]
commit_every_ms = 20
[purposes.personalisation]
basis = "consent"
[purposes.email_marketing]
basis = "consent"
[purposes.phone_marketing]
basis = "consent"
[purposes.customer_news]
basis = "legitimate_interest"
[purposes.newsletter]
basis = "consent"
double_opt_in = true
[purposes.orders]
basis = "contract"
[consent.tcf.purposes]
personalisation = [1, 2]
[consent.google]
email_marketing = ["ad_user_data", "ad_personalization"]
"#;

const PURPOSES: &str = "[{name: personalisation, basis: consent}, {name: email_marketing, basis: consent}, \
                        {name: phone_marketing, basis: consent}, {name: customer_news, basis: legitimate_interest}, \
                        {name: newsletter, basis: consent}, {name: orders, basis: contract}]";

const ORDERS: &str = r#"
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
      - {name: total_cents, logicalType: integer, required: true, classification: internal}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: ["track:Order Completed"]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id]}
  - {property: dedupKey, value: [order_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: PURPOSES}
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
      - {name: phone, logicalType: string, classification: personal}
      - {name: city, logicalType: string, classification: personal}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: [identify]}
  - {property: owner, value: Ada}
  - {property: traits, value: true}
  - {property: subjectKey, value: [user_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: PURPOSES}
"#;

const VIEW: &str = "
view: orders
version: 1
stream: orders
purposes: [personalisation, orders]
features:
  - {name: n, agg: count}
  - {name: spent_cents, agg: sum, of: total_cents, default: 0}
";

const MODEL: &str = "
model: again
owner: Ada
description: Whether somebody orders again.
purpose: personalisation
examples: {stream: orders}
label: {stream: orders, within: 1d}
features: [orders.n, orders.spent_cents]
test: {latest: 0.3}
";

const SEGMENT: &str = "
segment: buyers
owner: Ada
purpose: personalisation
rule: orders.n >= 1
";

const USE_CASE: &str = "
name: NAME
version: 1.0.0
responsible: Ada <ada@example.org>
goal: {metric: rate, formula: orders / decisions, formula_version: 1.0.0, success: [order], within: 7d, value: 20 EUR}
inputs: {features: [orders.n, orders.spent_cents], traits: [city]}
outputs: [action]
sources: [orders]
purpose: DECIDED_FOR
legal_basis: BASIS
security_level: internal
risk_class: minimal
latency_ms: 50
gold_set: goldsets/NAME.jsonl
budget: {name: NAME, total: 100 EUR, period: month}
exploration: 0
holdout: {share: 0, salt: NAME}
caps: [{channel: CHANNEL, max: 100, window: 7d}]
actions:
  - {name: reach, channel: CHANNEL, creative: a, offer: b, cost: 0.01 EUR, purpose: PURPOSE, score: 0.5}
";

/// (name, decided for, its basis, channel, the action's purpose)
const USE_CASES: [(&str, &str, &str, &str, &str); 4] = [
    ("mail", "personalisation", "consent", "email", "email_marketing"),
    ("call", "orders", "contract", "phone", "phone_marketing"),
    ("news", "orders", "contract", "email", "customer_news"),
    ("letter", "orders", "contract", "post", "customer_news"),
];

/// Writes a file of the project.
pub fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Writes the project.
pub fn project(dir: &Path) {
    write(dir, "maschinenraum.toml", SETTINGS);
    write(dir, "contracts/orders.yaml", &ORDERS.replace("PURPOSES", PURPOSES));
    write(dir, "contracts/people.yaml", &PEOPLE.replace("PURPOSES", PURPOSES));
    write(dir, "features/orders.yaml", VIEW);
    write(dir, "models/again.yaml", MODEL);
    write(dir, "segments/buyers.yaml", SEGMENT);
    for (name, decided_for, basis, channel, purpose) in USE_CASES {
        let text = USE_CASE.replace("NAME", name).replace("DECIDED_FOR", decided_for).replace("BASIS", basis);
        let text = text.replace("CHANNEL", channel).replace("PURPOSE", purpose);
        write(dir, &format!("usecases/{name}.yaml"), &text);
        write(dir, &format!("goldsets/{name}.jsonl"), "");
    }
}

/// Opens what lies there.
pub fn open(dir: &Path) -> Arc<House> {
    let (_, findings) = Project::read(dir).unwrap();
    let errors: Vec<String> =
        findings.iter().filter(|finding| finding.is_error()).map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let house = Arc::new(House::open(Project::load(dir).unwrap()).unwrap());
    while house.do_chores().unwrap() > 0 {}
    house
}

/// A shop in a new folder.
pub fn shop(dir: &Path) -> Arc<House> {
    project(dir);
    open(dir)
}

pub fn user(value: &str) -> Identifier {
    Identifier { kind: "user_id".into(), value: value.into() }
}

pub fn all() -> Principal {
    Principal::new("test", Scope::ALL)
}

pub fn track(house: &Arc<House>, calls: &[Value]) -> house::TrackReport {
    let (send, receive) = mpsc::channel();
    let body = serde_json::to_vec(&json!({ "batch": calls })).unwrap();
    house.track(Endpoint::Batch, &body, Box::new(move |result| send.send(result).unwrap()));
    let report = receive.recv().unwrap().unwrap();
    house.engine().settle(Duration::from_secs(20)).unwrap();
    report
}

/// Somebody with an address, a number and two orders of the past.
pub fn moves_in(house: &Arc<House>, who: &str) {
    let traits =
        json!({"email": format!("{who}@example.org"), "phone": format!("+49 30 {who}"), "city": "Köln"});
    let mut calls =
        vec![json!({"type": "identify", "messageId": format!("i-{who}"), "userId": who, "traits": traits})];
    for n in 1..=2 {
        calls.push(json!({
            "type": "track", "event": "Order Completed", "messageId": format!("o-{who}-{n}"), "userId": who,
            "timestamp": format!("2026-11-0{n}T10:00:00Z"),
            "properties": {"order_id": format!("{who}-{n}"), "total_cents": 1_000 * n},
        }));
    }
    let report = track(house, &calls);
    assert_eq!(report.counts.n_accepted, 3, "{report:?}");
}

/// Says a word about a purpose and channel.
pub fn says(house: &House, who: &str, purpose: &str, channel: &str, status: Status) -> RecordId {
    let word = Word { channel: channel.into(), ..Word::new(purpose, status) };
    house.record_consent(&user(who), word, "form").unwrap()
}

/// What a decision came to: the chosen action, or the code of the denial.
pub fn decided(house: &House, use_case: &str, who: &str) -> Result<DecisionRecord, String> {
    house.decide(&all(), use_case, &user(who), &Map::new()).map_err(|error| error.code().to_owned())
}

/// How many of the queued actions leave.
pub fn n_sent(house: &House) -> u64 {
    house.deliver("tool", |_| Handed::Sent).unwrap().n_sent
}

/// Every way to read of somebody for `personalisation`: its name, and whether it gives anything.
pub fn reads(house: &Arc<House>, dir: &Path, who: &str, earlier: RecordId) -> Vec<(&'static str, bool)> {
    let (by, me, purpose) = (all(), user(who), "personalisation");
    let subject = house.subject(&me).unwrap();
    let profile = house.members(subject).unwrap().id;
    let file = |name: &str| dir.join("out").join(name);
    std::fs::create_dir_all(dir.join("out")).unwrap();
    let spec = house.project().model("again").unwrap().clone();
    let in_dataset = match house.dataset(&by, &spec) {
        Ok((dataset, ..)) => dataset.examples().iter().any(|example| example.subject == subject),
        Err(error) => {
            assert_eq!(error.code(), "MR4592", "{error}");
            false
        }
    };
    let stream = house.export_stream(&by, "orders", purpose, FileLayout::Fields, &file("orders.parquet"));
    let features = house.export_features(&by, "orders", purpose, None, &file("features.parquet"));
    let (_, live) = house.segment_profiles(&by, "buyers", None).unwrap();
    let (_, as_of) = house.segment_profiles(&by, "buyers", Some(house.now())).unwrap();
    house.export_segment(&by, "buyers", None, &["city".into()], &file("buyers.csv")).unwrap();
    let exported = std::fs::read_to_string(file("buyers.csv")).unwrap();
    vec![
        ("profile", house.profile(&by, &me, purpose).is_ok()),
        ("features", house.features(&by, &me, purpose, &["orders".into()]).is_ok()),
        ("decision", decided(house, "mail", who).is_ok()),
        ("explanation", house.explain(&by, earlier).is_ok()),
        ("rows of a decision", house.trace_decision(&by, earlier, None).is_ok()),
        ("dataset", in_dataset),
        ("stream export", stream.unwrap().n_rows_left_out == 0),
        ("feature export", features.unwrap().n_profiles_left_out == 0),
        ("segment", live.contains(&profile)),
        ("segment as of", as_of.contains(&profile)),
        ("segment export", exported.contains(&profile.to_string())),
    ]
}
