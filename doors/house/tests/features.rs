//! Feature views filled while the house serves, features computed on demand, skew, and staging beside production.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use house::{House, Identifier, Project};
use intake::segment::Endpoint;
use policy::{Principal, Scope, Status};
use serde_json::{Map, Value, json};

const SETTINGS: &str = "
[instance]
partitions = PARTITIONS
[state]
commit_every_ms = 20
[purposes.personalisation]
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
      - {name: city, logicalType: string, classification: personal}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: ['track:Order Completed']}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id]}
  - {property: dedupKey, value: [order_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: personalisation, basis: consent}]}
";

const ORDERS_VIEW: &str = "
view: orders
version: 1
stream: orders
purposes: [personalisation]
features:
  - {name: n, agg: count}
";

/// Personal, and with something computed on demand.
const SHOPPING_VIEW: &str = "
view: shopping
version: 1
stream: orders
purposes: [personalisation]
context: [{name: basket, type: number}]
features:
  - {name: n_30d, agg: count, window: 30d}
  - {name: spent, agg: sum, of: total, scale: 2, default: 0}
  - {name: mean, agg: mean, of: total, scale: 2}
  - {name: city, agg: last, of: city}
  - {name: basket_to_mean, expr: basket / mean}
";

const USE_CASE: &str = "
name: next
version: 1.0.0
responsible: Ada <ada@example.org>
goal: {metric: rate, formula: orders / decisions, formula_version: 1.0.0, success: [order], within: 7d, value: 20 EUR}
inputs: {features: [shopping.n_30d, shopping.basket_to_mean], context: [basket]}
outputs: [action]
sources: [orders]
purpose: personalisation
legal_basis: consent
security_level: internal
risk_class: minimal
latency_ms: 50
gold_set: goldsets/next.jsonl
budget: {name: next, total: 100 EUR, period: month}
exploration: 0
holdout: {share: 0, salt: next}
caps: [{channel: email, max: 100, window: 7d}]
actions:
  - {name: mail, channel: email, creative: a, offer: b, cost: 0.05 EUR, score: 0.5, eligible: shopping.basket_to_mean > 1.5}
";

const USERS: [&str; 5] = ["ann", "bob", "eve", "ida", "leo"];

fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn project(dir: &Path, partitions: u16) {
    write(dir, "maschinenraum.toml", &SETTINGS.replace("PARTITIONS", &partitions.to_string()));
    write(dir, "contracts/orders.yaml", ORDERS);
    write(dir, "features/orders.yaml", ORDERS_VIEW);
}

fn all() -> Principal {
    Principal::new("test", Scope::ALL)
}

fn user(name: &str) -> Identifier {
    Identifier { kind: "user_id".into(), value: name.into() }
}

/// Orders of everybody in turn, `from` to `to`; each comes twice.
fn order(house: &Arc<House>, numbers: std::ops::Range<u32>) {
    let order = |n: u32| {
        let who = USERS[n as usize % USERS.len()];
        json!({"type": "track", "event": "Order Completed", "messageId": format!("m{}", n / 2), "userId": who,
            "properties": {"order_id": format!("o{n}"), "total": f64::from(n % 40) + 0.25, "city": who.to_uppercase()}})
    };
    let orders: Vec<Value> = numbers.clone().chain(numbers).map(order).collect();
    let body = serde_json::to_vec(&json!({ "batch": orders })).unwrap();
    let (send, receive) = mpsc::channel();
    house.track(Endpoint::Batch, &body, Box::new(move |result| send.send(result).unwrap()));
    receive.recv().unwrap().unwrap();
}

fn values(house: &House, who: &str, view: &str) -> Result<Vec<Value>, &'static str> {
    let context = feature::Context::of_json(json!({"basket": 40}).as_object().unwrap());
    let read = house.features_with(&all(), &user(who), "personalisation", &[view.to_owned()], &context);
    let (_, values) = read.map_err(|error| error.code())?;
    Ok(values[0].iter().map(|(_, value)| serde_json::to_value(value).unwrap()).collect())
}

fn open_unfilled(dir: &Path) -> Arc<House> {
    Arc::new(House::open_unfilled(Project::load(dir).unwrap()).unwrap())
}

fn check_backfill(partitions: u16) {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), partitions);
    let house = Arc::new(House::open(Project::load(dir.path()).unwrap()).unwrap());
    USERS.iter().for_each(|who| {
        house.consent(&user(who), "personalisation", Status::Granted, "v1", "form", None).unwrap();
    });
    (0..40).for_each(|n| order(&house, n * 50..n * 50 + 50));
    house.close();
    drop(house);

    write(dir.path(), "features/shopping.yaml", SHOPPING_VIEW);
    // Stopped before it began, and opened again: it is still to be filled.
    let house = open_unfilled(dir.path());
    house.fill(&AtomicBool::new(true)).unwrap();
    assert_eq!(values(&house, "ann", "shopping"), Err("MR4014"));
    house.close();
    drop(house);

    let house = open_unfilled(dir.path());
    let filling = house.filling().unwrap();
    assert_eq!((filling.len(), filling[0].view.as_str(), filling[0].n_done), (1, "shopping@1", 0));
    assert!(filling[0].n_total >= 2_000, "{filling:?}");
    // What was known before is served all the while, and records come in all the while.
    assert_eq!(values(&house, "ann", "orders").unwrap(), [json!(400)]);
    assert_eq!(values(&house, "ann", "shopping"), Err("MR4014"));
    let filled = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut n = 2_000;
            while !filled.load(Ordering::Acquire) {
                order(&house, n..n + 20);
                assert!(values(&house, "ann", "orders").unwrap()[0].as_i64() >= Some(400));
                n += 20;
            }
            order(&house, n..n + 20);
            n + 20
        });
        house.fill(&AtomicBool::new(false)).unwrap();
        filled.store(true, Ordering::Release);
        let n = load.join().unwrap();
        assert!(house.filling().unwrap().is_empty());
        house.engine().settle(Duration::from_secs(30)).unwrap();
        for (place, who) in USERS.iter().enumerate() {
            let own: Vec<u32> = (0..n).filter(|n| *n as usize % USERS.len() == place).collect();
            let cents: u32 = own.iter().map(|n| n % 40 * 100 + 25).sum();
            let spent = f64::from(cents) / 100.0;
            let mean = spent / own.len() as f64;
            assert_eq!(
                values(&house, who, "shopping").unwrap(),
                [json!(own.len()), json!(spent), json!(mean), json!(who.to_uppercase()), json!(40.0 / mean)],
                "{who}"
            );
        }
    });
    // LAW 2: the same state as if the view had always been there.
    assert!(house.verify(|_| {}).unwrap().holds());
    house.close();
    drop(house);

    // Under its version a feature is one formula: the change is refused, by what opens the house and by `check`, with both.
    let shorter = SHOPPING_VIEW.replace("window: 30d", "window: 20d");
    write(dir.path(), "features/shopping.yaml", &shorter);
    let told = House::open(Project::load(dir.path()).unwrap()).err().unwrap().to_string();
    for part in ["MR4022", "window 30d", "window 20d", "features/shopping.yaml", "`version: 2`"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let refused = Project::load(dir.path()).unwrap().refused_changes().unwrap();
    assert!(!refused.is_empty() && refused.iter().all(|one| one.code == "MR4022"), "{refused:?}");
    // A view that goes leaves nothing behind; one with a new version is filled anew.
    std::fs::remove_file(dir.path().join("features/orders.yaml")).unwrap();
    write(dir.path(), "features/shopping.yaml", &shorter.replace("version: 1", "version: 2"));
    let house = open_unfilled(dir.path());
    assert_eq!(house.filling().unwrap().len(), 1);
    house.fill(&AtomicBool::new(false)).unwrap();
    assert!(house.verify(|_| {}).unwrap().holds());
    assert!(values(&house, "ann", "shopping").is_ok());
    let ledger = house.ledger().unwrap();
    let n_of = |version| {
        ledger.features.iter().filter(|one| one.view == "shopping" && one.version == version).count()
    };
    assert!(n_of(1) > 0 && n_of(1) == n_of(2), "{:?}", ledger.features);
    house.close();
}

#[test]
fn a_new_view_is_filled_while_the_house_serves() {
    check_backfill(1);
}

#[test]
fn a_new_view_is_filled_while_the_house_serves_with_seven_partitions() {
    check_backfill(7);
}

fn shop(dir: &Path) -> Arc<House> {
    project(dir, 3);
    write(dir, "features/shopping.yaml", SHOPPING_VIEW);
    write(dir, "usecases/next.yaml", USE_CASE);
    write(dir, "goldsets/next.jsonl", "");
    let house = Arc::new(House::open(Project::load(dir).unwrap()).unwrap());
    for who in &USERS[..4] {
        house.consent(&user(who), "personalisation", Status::Granted, "v1", "form", None).unwrap();
    }
    house
}

#[test]
fn what_decisions_were_given_is_what_training_sees() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    let said = |basket: f64| json!({"basket": basket, "other": 1}).as_object().unwrap().clone();
    for n in 0..12_u32 {
        order(&house, n * 5..n * 5 + 5);
        // A decision sees what is folded; what was only acknowledged comes with the next one.
        house.engine().settle(Duration::from_secs(30)).unwrap();
        let who = USERS[n as usize % 4];
        let basket = if n % 2 == 0 { 1_000.0 } else { 1.0 };
        let decision = house.decide(&all(), "next", &user(who), &said(basket)).unwrap();
        assert_eq!(decision.chosen.action == "mail", n % 2 == 0, "{decision:?}");
    }
    let without = house.decide(&all(), "next", &user("ann"), &Map::new()).unwrap();
    assert_eq!(without.chosen.action, "no_action", "a basket nobody knows is not large");
    let skew = house.skew(&all(), 100).unwrap();
    assert_eq!((skew.n_decisions, skew.n_different, skew.n_left_out), (13, 0, 0), "{skew:?}");
    assert_eq!(skew.n_values, 26);
    assert_eq!(skew.features[0].feature, "shopping@1.basket_to_mean");
    // Nobody may look at those who said no since.
    house.consent(&user("bob"), "personalisation", Status::Withdrawn, "v1", "form", None).unwrap();
    let skew = house.skew(&all(), 100).unwrap();
    assert_eq!((skew.n_decisions, skew.n_different, skew.n_left_out), (10, 0, 3), "{skew:?}");
    let error = house
        .decide(&all(), "next", &user("ann"), json!({"basket": "much"}).as_object().unwrap())
        .unwrap_err();
    assert_eq!(error.code(), "MR4015");
    house.close();
}

#[test]
fn staging_is_compared_with_production_on_the_same_records() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    order(&house, 0..100);
    let staging = tempfile::tempdir().unwrap();
    project(staging.path(), 1);
    let changed = SHOPPING_VIEW
        .replace("version: 1", "version: 2")
        .replace(
            "agg: sum, of: total, scale: 2, default: 0",
            "agg: sum, of: total, where: total > 10, default: 0",
        )
        .replace("name: city", "name: town");
    write(staging.path(), "features/shopping.yaml", &changed);
    let other = Project::load(staging.path()).unwrap();
    let compared = house.compare_with(&all(), &other, "personalisation", None, &[], 1_000).unwrap();
    assert_eq!((compared.n_records, compared.n_profiles), (100, 4), "eve, who said nothing, is left out");
    let different: Vec<_> = compared.features.iter().filter(|f| f.n_different > 0).collect();
    assert_eq!(different.len(), 1, "{compared:?}");
    assert_eq!((different[0].feature.as_str(), different[0].version_there), ("shopping.spent", 2));
    assert!(different[0].n_different == 4 && different[0].mean_here > different[0].mean_there);
    assert_eq!(
        (&compared.only_here[..], &compared.only_there[..]),
        (&["shopping.city".to_owned()][..], &["shopping.town".to_owned()][..])
    );
    // The same project says the same.
    let same = Project::load(dir.path()).unwrap();
    assert!(house.compare_with(&all(), &same, "personalisation", None, &[], 1_000).unwrap().is_same());
    house.close();
}

#[test]
fn what_features_need_of_a_request_must_be_declared() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 1);
    write(dir.path(), "features/shopping.yaml", SHOPPING_VIEW);
    write(dir.path(), "usecases/next.yaml", &USE_CASE.replace(", context: [basket]", ""));
    write(dir.path(), "goldsets/next.jsonl", "");
    let (_, findings) = Project::read(dir.path()).unwrap();
    let told = findings.iter().any(|f| f.code == "MR5008" && f.message.contains("is computed from `basket`"));
    assert!(told, "{findings:?}");
    write(
        dir.path(),
        "features/tests/shopping.yaml",
        "view: shopping\nrecords: [{at: 2026-01-01T00:00:00Z, fields: {order_id: a, total: 5, user_id: x}}]\nexpect: [{at: 2026-01-02T00:00:00Z, context: {basket: 10}, values: {basket_to_mean: 3}}]\n",
    );
    let (project, _) = Project::read(dir.path()).unwrap();
    let (n_tests, n_values, findings) = project.test_features();
    assert_eq!((n_tests, n_values, findings.len()), (1, 1, 1), "{findings:?}");
    assert_eq!((findings[0].code, findings[0].line), ("MR4018", Some(3)), "{findings:?}");
}

#[test]
fn a_feature_is_tested_by_the_file_that_expects_it() {
    use lineage::{Direction, NodeId};
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 1);
    write(dir.path(), "features/shopping.yaml", SHOPPING_VIEW);
    let test = |spent: &str, mean: &str| {
        format!(
            "view: shopping\nrecords: [{{at: 2026-01-01T00:00:00Z, fields: {{order_id: a, total: 5, user_id: x}}}}]\n\
             expect: [{{at: 2026-01-02T00:00:00Z, values: {{spent: {spent}, mean: {mean}}}}}]\n"
        )
    };
    let tested = |name: &str| {
        let (project, _) = Project::read(dir.path()).unwrap();
        let graph = project.lineage().build();
        let id = NodeId::feature("shopping", name);
        let tested_by = graph.node(&id).unwrap().tested_by.clone();
        // The mark is on the edges that lead to it.
        assert!(graph.edges_of(&id, Direction::Up).all(|edge| edge.untested == tested_by.is_none()));
        tested_by
    };
    assert_eq!(tested("spent"), None);
    write(dir.path(), "features/tests/shopping.yaml", &test("5", "6"));
    assert_eq!(tested("spent").as_deref(), Some("features/tests/shopping.yaml"));
    assert_eq!(
        (tested("mean"), tested("n_30d")),
        (None, None),
        "one comes out wrong, of the other nothing is expected"
    );
    write(dir.path(), "features/tests/again.yaml", &test("7", "5"));
    assert_eq!(tested("spent"), None, "one file in which it fails is enough");
}
