//! Contracts in force: a version keeps its meaning, a mended mapping is as if it had been there from the start, and what a
//! contract promises is judged as records come.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::path::Path;
use std::sync::{Arc, mpsc};

use decide::Cents;
use event::{Instant, Partition, Version};
use house::{Error, House, Identifier, Project, QualityAsked, Told};
use intake::segment::Endpoint;
use policy::{Principal, Status};
use serde_json::{Map, json};
use store::{Database, Digest, Scope, Seal};
use watch::{By, Metric};

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
    quality:
      - {name: in order, type: custom, engine: maschinenraum, implementation: 'total >= 0', mustBe: 0}
      - {name: enough, metric: rowCount, mustBeGreaterThan: 2}
    properties:
      - {name: order_no, logicalType: string, required: true, primaryKey: true, classification: internal}
      - name: total
        logicalType: number
        classification: internal
        quality: [{name: totals are there, metric: nullValues, mustBeLessOrEqualTo: 10, unit: percent}]
        customProperties: [{property: source, value: TOTAL}, {property: scale, value: 2}, {property: currency, value: EUR}]
      - {name: at, logicalType: timestamp, required: true, classification: internal}
      - name: user_id
        logicalType: string
        required: true
        classification: personal
        quality: [{metric: duplicateValues, mustBe: 0}]
        customProperties: [{property: identifier, value: user_id}]
slaProperties:
  - {property: latency, value: 1, unit: h}
  - {property: freshness, value: 2, unit: d}
  - {property: retention, value: 3, unit: y}
customProperties:
  - {property: source, value: [file, 'track:Order Completed']}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id]}
  - {property: eventTime, value: at}
  - {property: knownAt, value: at}
  - {property: liveSince, value: '2026-11-01'}
  - {property: timeZone, value: Europe/Berlin}
  - {property: traits, value: true}
  - {property: purposes, value: [{name: personalisation, basis: contract}]}
";

const VIEW: &str = "
view: spending
version: 1
stream: orders
purposes: [personalisation]
features:
  - {name: n, agg: count, window: 90d}
  - {name: spent, agg: sum, of: total, default: 0}
";

const USE_CASE: &str = "
name: next
version: 1.0.0
responsible: Ada <ada@example.org>
goal: {metric: rate, formula: orders / decisions, formula_version: 1.0.0, success: [order], within: 7d, value: 20 EUR}
inputs: {features: [spending.n]}
outputs: [action]
sources: [orders]
purpose: personalisation
legal_basis: contract
security_level: internal
risk_class: minimal
latency_ms: 50
gold_set: goldsets/next.jsonl
budget: {name: next, total: 1 EUR, period: month}
exploration: 0
holdout: {share: 0, salt: next}
caps: []
actions:
  - {name: banner, channel: web, creative: a, offer: b, cost: 0 EUR, score: 0.5}
";

fn orders(total: &str) -> String {
    // Under `track` the fields lie in `properties`; in the files of this test they lie at the top.
    ORDERS
        .replace("TOTAL", total)
        .replace("'track:Order Completed'", "'file'")
        .replace("[file, 'file']", "[file]")
}

fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn project(dir: &Path, partitions: u16, contract: &str) {
    let settings = format!(
        "[instance]\npartitions = {partitions}\n[state]\ncommit_every_ms = 20\n[purposes.personalisation]\nbasis = \"contract\"\n"
    );
    write(dir, "maschinenraum.toml", &settings);
    write(dir, "contracts/orders.yaml", contract);
    write(dir, "features/spending.yaml", VIEW);
    write(dir, "usecases/next.yaml", USE_CASE);
    write(dir, "goldsets/next.jsonl", "");
}

fn open(dir: &Path) -> Result<Arc<House>, Error> {
    House::open(Project::load(dir)?).map(Arc::new)
}

fn refused(dir: &Path) -> String {
    match open(dir) {
        Err(Error::Project { findings }) => findings.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it opened"),
    }
}

#[test]
fn what_a_version_says_never_changes() {
    let dir = tempfile::tempdir().unwrap();
    let first = orders("/total");
    project(dir.path(), 2, &first);
    open(dir.path()).unwrap().close();

    // Another word under the same version: `check` knows without opening, and nothing opens by it.
    write(dir.path(), "contracts/orders.yaml", &first.replace("scale, value: 2", "scale, value: 3"));
    let told = Project::read(dir.path()).unwrap().0.refused_changes().unwrap();
    assert_eq!((told.len(), told[0].code, told[0].line), (1, "MR1123", Some(6)));
    let composition = std::fs::read(dir.path().join("data/composition")).unwrap();
    let error = refused(dir.path());
    for part in [
        "contracts/orders.yaml:6: error MR1123",
        "`orders` 1.0.0 is in force since",
        "has 3 decimals, no longer 2",
        "version 2.0.0",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(
        std::fs::read(dir.path().join("data/composition")).unwrap(),
        composition,
        "nothing was folded anew"
    );
    // Without the page, the records say the same: they are the truth.
    std::fs::remove_file(dir.path().join("data/in_force.json")).unwrap();
    assert!(refused(dir.path()).contains("MR1123"));

    // A comment says nothing; a new version says what it is; going back is no change of a text.
    write(dir.path(), "contracts/orders.yaml", &format!("# ours\n{first}"));
    open(dir.path()).unwrap().close();
    let second =
        first.replace("version: 1.0.0", "version: 2.0.0").replace("scale, value: 2", "scale, value: 3");
    write(dir.path(), "contracts/orders.yaml", &second);
    open(dir.path()).unwrap().close();
    write(dir.path(), "contracts/orders.yaml", &first);
    let house = open(dir.path()).unwrap();
    let ledger = house.ledger().unwrap();
    assert_eq!(ledger.contracts.len(), 2);
    assert_eq!(ledger.current["orders"], Version::new(1, 0, 0));
    assert!(ledger.contract("orders", Version::new(2, 0, 0)).unwrap().yaml.contains("scale, value: 3"));
    assert!(house.verify(|_| {}).unwrap().holds(), "the ledger is a fold (LAW 2)");
    house.close();
    // The text of 2.0.0 stays taken, though another version judges.
    write(dir.path(), "contracts/orders.yaml", &second.replace("owner, value: Ada", "owner, value: Bea"));
    assert!(refused(dir.path()).contains("words for people; give it version 2.0.1"));
}

#[test]
fn a_version_that_says_too_little_is_told_before_it_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 1, &orders("/total"));
    open(dir.path()).unwrap().close();
    let told = |version: &str| {
        let text = orders("/total").replace("version: 1.0.0", &format!("version: {version}"));
        write(
            dir.path(),
            "contracts/orders.yaml",
            &text.replace(
                "name: at, logicalType: timestamp, required: true",
                "name: at, logicalType: timestamp",
            ),
        );
        let project = Project::read(dir.path()).unwrap().0;
        let findings = project.dishonest_changes().unwrap();
        findings.iter().filter(|one| one.is_error()).map(|one| one.code).collect::<Vec<_>>()
    };
    assert_eq!(told("1.1.0"), ["MR1131", "MR1130"]);
    assert_eq!(told("2.0.0"), Vec::<&str>::new());
}

fn user() -> Identifier {
    Identifier { kind: "user_id".into(), value: "u1".into() }
}

fn import(house: &Arc<House>, dir: &Path, name: &str, csv: &str) {
    write(dir, name, csv);
    house.import(&dir.join(name), "orders", |_| {}).unwrap();
}

#[test]
fn a_figure_keeps_the_formula_it_was_made_under_and_is_counted_anew_by_another() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 2, &orders("/total"));
    let house = open(dir.path()).unwrap();
    import(&house, dir.path(), "o.csv", "order_no,total,at,user_id\n1,5.00,2026-10-01T10:00:00Z,u1\n");
    house.consent(&user(), "personalisation", Status::Granted, "v1", "form", None).unwrap();
    while house.do_chores().unwrap() > 0 {}
    let principal = Principal::new("test", policy::Scope::ALL);
    let decide = |house: &Arc<House>| house.decide(&principal, "next", &user(), &Map::new()).unwrap();
    let tell = |house: &Arc<House>, decision: &decide::DecisionRecord, kind: &str, days: i64| {
        let occurred_at = Some(decision.at + event::Span::from_days(days));
        let (decision, kind) = (decision.decision, kind.to_owned());
        house.outcomes(&[Told { decision, kind, value: None, occurred_at, id: None }]).unwrap();
    };
    let old = decide(&house);
    tell(&house, &old, "order", 9);
    house.close();
    drop(house);

    // Ten days count now: under the same version that is refused, with both.
    let longer = USE_CASE.replace("within: 7d", "within: 10d");
    write(dir.path(), "usecases/next.yaml", &longer);
    let error = refused(dir.path());
    for part in ["MR1124", "(order within 7d, worth", "(order within 10d, worth", "formula_version: 1.1.0"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    write(
        dir.path(),
        "usecases/next.yaml",
        &longer.replace("formula_version: 1.0.0", "formula_version: 1.1.0"),
    );
    let house = open(dir.path()).unwrap();
    tell(&house, &decide(&house), "order", 9);
    let report = house.report("next").unwrap();
    let formulas: Vec<_> =
        report.formulas.iter().map(|one| (one.version.to_string(), one.n_decisions)).collect();
    assert_eq!(formulas, [("1.0.0".to_owned(), 1), ("1.1.0".to_owned(), 1)]);
    let n = |report: &decide::Report| report.actions[0].n_successful;
    assert_eq!((n(&report), report.actions[0].value), (1, Cents::new(2_000)), "each by its own");
    let by = |version: Version| house.report_by("next", version, None).unwrap();
    let (then, now) = (by(Version::new(1, 0, 0)), by(Version::new(1, 1, 0)));
    assert_eq!((n(&then), n(&now)), (0, 2));
    assert_eq!((then.n_decisions, then.formulas.len(), then.formulas[0].n_decisions), (2, 1, 2));
    let early = house.report_by("next", Version::new(1, 1, 0), Some(old.at)).unwrap();
    assert_eq!((early.n_decisions, n(&early)), (1, 0), "as it was known then");
    let error = house.report_by("next", Version::new(3, 0, 0), None).unwrap_err().to_string();
    assert!(error.contains("next 3.0.0; known: 1.0.0, 1.1.0"), "{error}");
    house.close();
}

/// Six weeks of orders whose amount lies under another name than the first mapping thinks.
fn raw_rows() -> String {
    let mut csv = "order_no,total,net,at,user_id\n".to_owned();
    for i in 0..900_u32 {
        let (day, hour) = (i / 20, i % 24);
        let at = format!("{}T{hour:02}:30:00Z", By::Day.label(20_700 + i32::try_from(day).unwrap()));
        csv.push_str(&format!("o{i},{},{}.25,{at},u{}\n", i % 7, i % 90, i % 40));
    }
    csv
}

/// What is derived from the records: of features, traits and quality, not of when this instance did what. Closes it.
fn derived(house: Arc<House>) -> (Digest, String) {
    house.engine().settle(std::time::Duration::from_secs(20)).unwrap();
    let report = house.quality(&QualityAsked { by: By::Week, ..QualityAsked::default() }).unwrap();
    let mut told = serde_json::to_value(&report).unwrap();
    for stream in told["streams"].as_array_mut().unwrap() {
        stream["dimensions"].as_array_mut().unwrap().retain(|one| one["name"] != "timeliness");
        stream["promises"] = json!(null);
        // What no contract had declared when it came lies sealed: quality, which is under nobody's key, counts it as there and
        // does not look at it.
        for field in stream["fields"].as_array_mut().unwrap() {
            if field["field"] == "total" {
                (field["n_distinct"], field["spread"], field["top"]) = (json!(null), json!(null), json!([]));
            }
        }
    }
    told["changes"].as_array_mut().unwrap().retain(|one| one["metric"] != "stale");
    let (state, n) = (house.layout().state(), house.n_partitions());
    let sealer: Arc<dyn Seal> = house.vault().clone();
    house.close();
    drop(house);
    let mut digest = Digest::default();
    let db = Database::open(&state, 16 << 20).unwrap();
    for partition in 0..n {
        let scope = Scope::new(db.clone(), Partition(partition), Some(sealer.clone()));
        let (mut features, mut traits) = (feature::Tables::open(&scope), profile::TraitTables::open(&scope));
        for table in features.stored().into_iter().chain(traits.stored()) {
            table.digest(&mut digest).unwrap();
        }
    }
    assert!(digest.n_entries() > 0);
    (digest, told.to_string())
}

#[test]
fn a_mapping_mended_later_is_as_if_it_had_been_so_from_the_start() {
    let mended = orders("/net").replace("version: 1.0.0", "version: 2.0.0");
    let mut seen = Vec::new();
    for partitions in [1, 5] {
        let late = tempfile::tempdir().unwrap();
        project(late.path(), partitions, &orders("/total"));
        let house = open(late.path()).unwrap();
        import(&house, late.path(), "rows.csv", &raw_rows());
        let wrong = derived(house);
        // The keys are the same, so that the same people have the same pseudonyms.
        let start = tempfile::tempdir().unwrap();
        project(start.path(), partitions, &mended);
        std::fs::copy(late.path().join("master.key"), start.path().join("master.key")).unwrap();
        copy(&late.path().join("data/vault"), &start.path().join("data/vault"));
        if late.path().join("root.anchor").exists() {
            std::fs::copy(late.path().join("root.anchor"), start.path().join("root.anchor")).unwrap();
        }

        write(late.path(), "contracts/orders.yaml", &mended);
        let house = open(late.path()).unwrap();
        assert!(house.verify(|_| {}).unwrap().holds(), "replay = live (LAW 2)");
        let rebound = derived(house);
        assert_ne!(rebound.0, wrong.0, "the other amounts are other features");

        let house = open(start.path()).unwrap();
        import(&house, start.path(), "rows.csv", &raw_rows());
        assert_eq!(rebound, derived(house), "re-bound = bound from the start");
        seen.push(rebound);
    }
    assert_eq!(seen[0].1, seen[1].1, "LAW 2: any number of partitions");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn what_a_contract_promises_is_judged_as_records_come() {
    let dir = tempfile::tempdir().unwrap();
    let text = ORDERS.replace("[{property: source, value: TOTAL}, ", "[").replace("[file, ", "[");
    project(dir.path(), 3, &text);
    let (_, findings) = Project::read(dir.path()).unwrap();
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        told.iter().any(|line| line.contains("info MR1127") && line.contains("`user_id` is personal")),
        "{told:?}"
    );
    let house = open(dir.path()).unwrap();
    let track = |n: u32, total: serde_json::Value, age_hours: i64| {
        let at = Instant::now() - event::Span::from_secs(3_600 * age_hours);
        let body = json!({"batch": [{
            "type": "track", "event": "Order Completed", "messageId": format!("m{n}"), "userId": "u1",
            "properties": {"order_no": format!("o{n}"), "total": total, "at": at.to_string(), "user_id": format!("u{n}")}
        }]});
        let (send, receive) = mpsc::channel();
        let body = serde_json::to_vec(&body).unwrap();
        house.track(Endpoint::Batch, &body, Box::new(move |result| send.send(result).unwrap()));
        let report = receive.recv().unwrap().unwrap();
        assert_eq!(report.counts.n_accepted, 1, "{report:?}");
    };
    // Late, and too old to make anything fresh; one total is missing, one is below 0.
    track(1, json!(12.5), 60);
    track(2, json!(null), 61);
    track(3, json!(-1), 60);
    house.engine().settle(std::time::Duration::from_secs(20)).unwrap();
    let report = house.quality(&QualityAsked::default()).unwrap();
    let orders = report.streams.iter().find(|stream| stream.stream == "orders").unwrap();
    let promises: Vec<_> =
        orders.promises.iter().map(|one| (one.what.as_str(), one.holds, one.n_broken)).collect();
    assert_eq!(promises, [("latency", Some(false), 3), ("freshness", None, 0), ("retention", Some(true), 0)]);
    let rules: Vec<_> = orders.rules.iter().map(|one| (one.rule.as_str(), one.figure, one.holds)).collect();
    assert_eq!(
        rules,
        [
            ("in order", Some(1.0), Some(false)),
            ("enough", Some(3.0), Some(true)),
            ("totals are there", Some(100.0 / 3.0), Some(false)),
            ("duplicateValues of `user_id`", None, None),
        ]
    );
    let late = report.changes.iter().find(|change| change.metric == Metric::Latency).unwrap();
    assert_eq!((late.n, late.code), (3, Some("MR2103")), "{}", late.message);
    assert!(late.message.contains("latency 1 h (contracts/orders.yaml:29)"), "{}", late.message);
    let rule = report.changes.iter().find(|change| change.metric == Metric::Rule).unwrap();
    assert!(
        rule.message.contains("orders 1.0.0"),
        "a figure names the version of its rule: {}",
        rule.message
    );

    // Something fresh, then nothing: told as of any later moment.
    track(4, json!(1), 0);
    house.engine().settle(std::time::Duration::from_secs(20)).unwrap();
    let report = house.quality(&QualityAsked::default()).unwrap();
    assert_eq!(report.streams[0].promises[1].holds, Some(true), "{:?}", report.streams[0].promises);
    house.close();
}
