//! A model that learned from somebody who is erased: marked, and trained anew without them.

use std::path::Path;

use super::*;

const HISTORY: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: bought
name: bought
version: 1.0.0
status: active
schema:
  - name: bought
    logicalType: object
    properties:
      - {name: order_id, logicalType: string, required: true, primaryKey: true, classification: internal}
      - {name: cents, logicalType: integer, classification: internal}
      - {name: at, logicalType: timestamp, required: true, classification: internal}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: [file]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id]}
  - {property: dedupKey, value: [order_id]}
  - {property: eventTime, value: at}
  - {property: knownAt, value: at}
  - {property: liveSince, value: '2026-11-01'}
  - {property: retention, value: 3y}
  - PURPOSES
"#;

const VIEW: &str = "view: bought\nversion: 1\nstream: bought\npurposes: [service]\nfeatures:\n  - {name: n_30d, agg: count, window: 30d}\n  - {name: spent, agg: sum, of: cents, default: 0}\n";

const MODEL: &str = "
model: again
description: Whether somebody buys again within a week
owner: Ada
purpose: service
examples: {stream: bought}
label: {stream: bought, within: 7d}
features: [bought.n_30d, bought.spent]
test: {latest: 0.3}
";

/// What came of it.
#[derive(Debug)]
pub struct Learned {
    /// Examples of the erased person in the dataset before.
    pub n_before: usize,
    /// The same in the dataset after.
    pub n_after: usize,
    /// Rows before and after, of everybody.
    pub n_rows: (usize, usize),
    /// From how many erased people each version learned, the newest last: before the retraining, then after.
    pub marked: Vec<u64>,
    pub marked_after: Vec<u64>,
    /// Models that were due, and are due after.
    pub n_due: (usize, usize),
    /// True where state folded anew is the same.
    pub verified: bool,
}

/// Who bought on which day: 60 people about once a week, now a little sooner and now later.
pub fn about_weekly() -> Vec<(i64, i64)> {
    let day = |n: i64| (n / 60) * 7 + ((n / 60) * (n / 60) + n % 60) % 5;
    (0..900).map(|n| (n % 60, day(n))).collect()
}

/// Who bought on which day: every second one of 60 people every four days, the others every ten.
pub fn some_often() -> Vec<(i64, i64)> {
    let of = |who: i64| {
        let every = if who % 2 == 0 { 4 } else { 10 };
        (0..100 / every).map(move |k| (who, k * every + who % every))
    };
    (0..60).flat_map(of).collect()
}

/// A shop with months of orders from which a model can learn who buys again.
pub fn with_history(dir: &Path, partitions: u16, bought: &[(i64, i64)]) -> Arc<House> {
    project(dir, partitions);
    write(dir, "contracts/bought.yaml", &HISTORY.replace("PURPOSES", PURPOSES));
    write(dir, "features/bought.yaml", VIEW);
    write(dir, "models/again.yaml", MODEL);
    let start: event::Instant = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut csv = "order_id,cents,at,user_id\n".to_owned();
    for (n, (who, day)) in (0_i64..).zip(bought) {
        let at = start + event::Span::from_secs(day * 86_400 + n);
        let who = if *who == 4 { "zoe".to_owned() } else { format!("n{who}") };
        csv += &format!("b{n},{},{at},{who}\n", 500 + 37 * (n % 50));
    }
    write(dir, "in/bought.csv", &csv);
    let house = open(dir).unwrap();
    let done = house.import(&dir.join("in/bought.csv"), "bought", |_| {}).unwrap();
    assert_eq!(done.counts.n_accepted, bought.len() as u64, "{done:?}");
    house
}

/// Trains, erases, and trains anew by policy.
pub fn learn(dir: &Path, partitions: u16) -> Learned {
    let house = with_history(dir, partitions, &about_weekly());
    let zoe = house.subject(&user("zoe")).unwrap();
    let spec = house.project().model("again").unwrap().clone();
    let dataset = |house: &House| {
        let (dataset, ..) = house.dataset(&all(), &spec).unwrap();
        let n = dataset.examples().iter().filter(|example| example.subject == zoe).count();
        (n, dataset.examples().len())
    };
    let before = dataset(&house);
    house.train(&all(), "again", &mut |_| {}).unwrap();
    let marked = |house: &House| {
        let state = house.model("again").unwrap();
        state.versions.iter().map(|version| version.trained_on_erased).collect::<Vec<u64>>()
    };
    assert!(marked(&house).iter().all(|n| *n == 0));
    let receipts = house.erase_people(&[user("zoe")], "Ada", "ticket 1").unwrap();
    let models = receipts.stores.iter().find(|store| store.store == "models").unwrap();
    assert!(models.complete && models.n == 2, "{receipts:?}");
    let marked_before = marked(&house);
    let due = house.models_to_retrain().unwrap().len();
    let again = house.retrain_erased(&all(), &mut |_| {}).unwrap();
    assert_eq!(again.len(), due);
    let after = dataset(&house);
    let learned = Learned {
        n_before: before.0,
        n_after: after.0,
        n_rows: (before.1, after.1),
        marked: marked_before,
        marked_after: marked(&house),
        n_due: (due, house.models_to_retrain().unwrap().len()),
        verified: house.verify(|_| {}).unwrap().holds(),
    };
    house.close();
    learned
}
