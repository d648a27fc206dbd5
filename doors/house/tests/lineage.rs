//! A decision back to its raw rows, other tools' events, and what a change would break, in one small house.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::path::Path;
use std::sync::Arc;

use event::RecordId;
use house::{House, Project};
use lineage::{Direction, Kind, NodeId};
use policy::Status;
use serde_json::{Map, Value, json};
use support::{all, open, user, write};

const SETTINGS: &str = "
[instance]
partitions = 3
[state]
commit_every_ms = 20
[purposes.marketing]
basis = \"consent\"
";

const ORDERS: &str = "
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
      - {name: total, logicalType: number, required: true, classification: internal}
      - {name: shop, logicalType: string, classification: internal}
      - {name: placed_at, logicalType: timestamp, required: true, classification: internal}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: [file]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id]}
  - {property: eventTime, value: placed_at}
  - {property: knownAt, value: placed_at}
  - {property: liveSince, value: '2026-11-01'}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: marketing, basis: consent}]}
";

const VIEW: &str = "
view: orders
version: 1
stream: orders
purposes: [marketing]
features:
  - {name: n_30d, agg: count, window: 30d}
  - {name: spent, agg: sum, of: total, scale: 2, default: 0}
  - {name: web_share, agg: ratio, numerator: n_web, denominator: n_all}
  - {name: n_web, agg: count, where: shop == 'web'}
  - {name: n_all, agg: count}
";

const USE_CASE: &str = "
name: next
version: 1.0.0
responsible: Mara
goal: {metric: rate, formula: orders / decisions, formula_version: 1.0.0, success: [order], within: 7d, value: 20 EUR}
inputs: {features: [orders.n_30d, orders.spent, orders.web_share], context: [page]}
outputs: [action]
sources: [orders]
purpose: marketing
legal_basis: consent
security_level: internal
risk_class: minimal
latency_ms: 50
gold_set: goldsets/next.jsonl
budget: {name: next, total: 1 EUR, period: month}
exploration: 0
holdout: {share: 0, salt: next}
caps: [{channel: email, max: 9, window: 7d}]
actions:
  - {name: mail, channel: email, creative: a, offer: b, cost: 0.05 EUR, purpose: marketing, score: 0.5}
";

fn project(dir: &Path) {
    write(dir, "maschinenraum.toml", SETTINGS);
    write(dir, "contracts/orders.yaml", ORDERS);
    write(dir, "features/orders.yaml", VIEW);
    write(dir, "usecases/next.yaml", USE_CASE);
    write(dir, "goldsets/next.jsonl", "");
}

/// (the house, the folder of its files): twelve orders of two people, one refused and one twice.
fn shop(dir: &Path) -> Arc<House> {
    project(dir);
    let mut csv = "order_id,total,shop,placed_at,user_id\n".to_owned();
    for n in 0..12 {
        let (who, shop) = (if n % 3 == 0 { "bob" } else { "ann" }, if n % 2 == 0 { "web" } else { "till" });
        csv += &format!("o{n},{n}.50,{shop},2026-{:02}-01T00:00:00Z,{who}\n", n % 10 + 1);
    }
    csv += "o13,cheap,web,2026-10-02T00:00:00Z,ann\no1,1.50,till,2026-02-01T00:00:00Z,ann\n";
    write(dir, "data-in/orders.csv", &csv);
    let house = open(dir);
    let done = house.import(&dir.join("data-in/orders.csv"), "orders", |_| {}).unwrap();
    let counts = done.counts;
    assert_eq!(
        (counts.n_accepted, counts.n_quarantined, counts.n_duplicates),
        (12, 1, 1),
        "{:?}",
        done.reasons
    );
    house.consent(&user("ann"), "marketing", Status::Granted, "v1", "form", None).unwrap();
    while house.do_chores().unwrap() > 0 {}
    house
}

#[test]
fn a_decision_goes_back_to_the_rows_of_its_file_and_they_give_its_inputs_again() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    let context = Map::from_iter([("page".to_owned(), json!("home"))]);
    let decision = house.decide(&all(), "next", &user("ann"), &context).unwrap();
    // What comes later went into nothing.
    write(
        dir.path(),
        "data-in/late.csv",
        "order_id,total,shop,placed_at,user_id\nl1,9,web,2026-11-20T00:00:00Z,ann\n",
    );
    house.import(&dir.path().join("data-in/late.csv"), "orders", |_| {}).unwrap();
    let trace = house.trace_decision(&all(), decision.decision, Some(&dir.path().join("data-in"))).unwrap();
    let rows: Vec<u64> = trace.records.iter().map(|record| record.row.unwrap()).collect();
    let mut sorted = rows.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [2, 3, 5, 6, 8, 9, 11, 12], "Ann's rows of the file, and no others: {rows:?}");
    assert!(trace.records.iter().all(|record| record.file.as_deref() == Some("orders.csv")));
    let input = |name: &str| trace.inputs.iter().find(|input| input.name == name).unwrap();
    let spent = input("orders.spent");
    assert_eq!((spent.records.len(), spent.reproduces), (8, Some(true)));
    assert_eq!(spent.fields, ["orders.total"]);
    assert_eq!(input("orders.web_share").reproduces, Some(true));
    assert_eq!((input("orders.n_30d").records.len(), input("orders.n_30d").reproduces), (0, Some(true)));
    assert_eq!((input("page").records.len(), input("page").reproduces), (0, None));

    // LAW 3: whoever objects is no longer traced.
    house.consent(&user("ann"), "marketing", Status::Withdrawn, "v1", "link", None).unwrap();
    let denied = house.trace_decision(&all(), decision.decision, None).unwrap_err();
    assert!(denied.code().starts_with("MR30"), "{denied}");
    let missing = house.trace_decision(&all(), RecordId::external("x", b"y"), None).unwrap_err();
    assert_eq!(missing.code(), "MR5041");
}

fn dashboard() -> Value {
    json!({
        "eventType": "COMPLETE", "eventTime": "2026-11-24T09:00:00Z", "producer": "https://example.org/bi",
        "run": {"runId": "0190b2f1-0000-7000-8000-000000000001"},
        "job": {"namespace": "bi", "name": "revenue", "facets": {"ownership": {"owners": [{"name": "Bob"}]}}},
        "inputs": [{"namespace": "maschinenraum", "name": "streams/orders"}], "outputs": [],
    })
}

#[test]
fn what_other_tools_tell_is_kept_once_and_survives_a_replay() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    let told = house.tell_lineage(&[dashboard(), json!({"job": 1}), dashboard()]).unwrap();
    assert_eq!(told[0], told[2]);
    assert_eq!(told[1].as_ref().unwrap_err().code(), "MR2302");
    assert_eq!(house.streams().unwrap()["mr.lineage"].n_records, 1);
    house.tell_lineage(&[dashboard()]).unwrap();
    let graph = house.lineage().unwrap();
    let orders = NodeId::stream("orders");
    assert!(
        graph.edges_of(&orders, Direction::Down).any(|edge| edge.to == NodeId::new(Kind::Job, "bi/revenue"))
    );
    // What the house tells can be read by whoever reads such events: here by itself.
    let events = house.lineage_events().unwrap();
    assert!(
        events
            .iter()
            .any(|event| event["job"]["name"] == "import/orders" && event["eventType"] == "COMPLETE")
    );
    assert!(house.tell_lineage(&events).unwrap().iter().all(Result::is_ok));
    assert!(house.verify(|_| {}).unwrap().holds(), "replay gives another state");
}

#[test]
fn a_change_names_what_it_breaks_before_it_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    house.tell_lineage(&[dashboard()]).unwrap();
    let with = |from: &str, to: &str| {
        assert!(ORDERS.contains(from), "{from}");
        let text = ORDERS.replace(from, to).replace("version: 1.0.0", "version: 2.0.0");
        let new = contract::Contract::parse(&text, "contracts/orders.yaml").unwrap().contract;
        house.impact_of(&new).unwrap()
    };
    let total = "      - {name: total, logicalType: number, required: true, classification: internal}\n";
    let removed = with(total, "");
    assert_eq!(removed.impact.broken(Kind::Feature), ["orders.spent"]);
    assert_eq!(removed.impact.broken(Kind::UseCase), ["next"]);
    assert!(removed.impact.hits.iter().any(|hit| !hit.breaks && hit.node.name() == "bi/revenue"));
    let retyped = with("total, logicalType: number", "total, logicalType: string");
    assert_eq!(
        retyped.findings[0].message,
        "`orders.total` is string, no longer number: breaks feature orders.spent; use case next (Mara); channel email"
    );
    let optional = with("total, logicalType: number, required: true", "total, logicalType: number");
    assert!(!optional.impact.breaks() && !optional.impact.is_empty());
    let other_purpose = with("[{name: marketing, basis: consent}]", "[{name: analytics, basis: consent}]");
    assert_eq!(other_purpose.impact.broken(Kind::UseCase), ["next"]);
    let other_time = with("eventTime, value: placed_at", "eventTime, value: shop");
    assert!(other_time.impact.breaks());
    let added = with(
        total,
        &format!("{total}      - {{name: vat, logicalType: number, classification: internal}}\n"),
    );
    assert!(added.impact.is_empty(), "{:?}", added.impact);
    house.close();

    // The file in force edited in place, as a user does it: told by the project alone, before anything is applied.
    let edited = |version: &str| {
        let text = ORDERS.replace(total, "").replace("version: 1.0.0", &format!("version: {version}"));
        write(dir.path(), "contracts/orders.yaml", &text);
        let (project, _) = Project::read(dir.path()).unwrap();
        project.changes_to_come().unwrap().remove(0).findings.remove(0)
    };
    let minor = edited("1.1.0");
    assert!(minor.is_error() && minor.message.ends_with("that needs version 2.0.0, not 1.1.0"), "{minor}");
    assert!(minor.message.contains("use case next (Mara)"), "{minor}");
    assert!(!edited("2.0.0").is_error(), "a break that is meant");
    write(dir.path(), "contracts/orders.yaml", ORDERS);

    // The next version beside the one in force.
    let text = ORDERS.replace(total, "").replace("version: 1.0.0", "version: 2.0.0");
    write(dir.path(), "contracts/orders-2.yaml", &text);
    let (project, _) = Project::read(dir.path()).unwrap();
    let changes = project.changes_to_come().unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].findings[0].code, "MR2305");
    assert!(changes[0].findings[0].message.contains("use case next (Mara)"), "{:?}", changes[0].findings);
}
