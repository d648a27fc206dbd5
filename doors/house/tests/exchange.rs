//! Data out as Parquet and in again; a whole instance out and in, with the same digest.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::path::Path;
use std::sync::Arc;

use event::Instant;
use house::{FileLayout, House, Project, load_instance};
use policy::{Principal, Scope, Status};
use serde_json::{Map, Value, json};
use support::{all, open, send, user, write};

const SETTINGS: &str = "
[instance]
partitions = 3
[state]
commit_every_ms = 20
[purposes.analytics]
basis = \"consent\"
[purposes.other]
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
      - {name: tags, logicalType: array, classification: internal, items: {logicalType: string, classification: internal}}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
      - {name: city, logicalType: string, classification: personal}
customProperties:
  - {property: source, value: ['track:Order Completed', file]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id]}
  - {property: dedupKey, value: [order_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: analytics, basis: consent}]}
";

const VIEW: &str = "
view: orders
version: 1
stream: orders
purposes: [analytics]
features:
  - {name: n, agg: count}
  - {name: spent, agg: sum, of: total, scale: 2, default: 0}
  - {name: city, agg: last, of: city}
";

fn project(dir: &Path) {
    write(dir, "maschinenraum.toml", SETTINGS);
    write(dir, "contracts/orders.yaml", ORDERS);
    write(dir, "features/orders.yaml", VIEW);
}

/// Thirty orders of ann, bob and eve; eve said nothing, so she may not be taken out.
fn shop(dir: &Path) -> Arc<House> {
    project(dir);
    let house = open(dir);
    let order = |n: u32| {
        let who = ["ann", "bob", "eve"][n as usize % 3];
        json!({"type": "track", "event": "Order Completed", "messageId": format!("m{n}"), "userId": who,
            "properties": {"order_id": format!("o{n}"), "total": f64::from(n) + 0.25, "tags": ["a", format!("t{n}")], "city": who.to_uppercase()}})
    };
    assert_eq!(send(&house, &(0..30).map(order).collect::<Vec<_>>()).counts.n_accepted, 30);
    for who in ["ann", "bob"] {
        house.consent(&user(who), "analytics", Status::Granted, "v1", "form", None).unwrap();
    }
    house
}

fn rows(path: &Path) -> Vec<Value> {
    intake::file::inspect(path, |_| {}).unwrap().rows(0).unwrap().map(|row| row.unwrap().raw).collect()
}

#[test]
fn a_stream_goes_out_for_its_purposes_and_without_those_who_may_not_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    let path = dir.path().join("orders.parquet");
    let done = house.export_stream(&all(), "orders", "analytics", FileLayout::Fields, &path).unwrap();
    assert_eq!((done.written.n_rows, done.n_rows_left_out, done.n_profiles_left_out), (20, 10, 1));
    let rows = rows(&path);
    let text = serde_json::to_string(&rows).unwrap();
    assert!(text.contains("ANN") && !text.contains("EVE") && !text.contains("eve"), "{text}");
    let first = rows.iter().find(|row| row["order_id"] == "o0").unwrap();
    assert_eq!(
        (&first["total"], &first["tags"][1], &first["user_id"]),
        (&json!(0.25), &json!("t0"), &json!("ann"))
    );
    assert_eq!(first["_contract"], "1.0.0");

    // LAW 3
    let export = |principal: &Principal, purpose: &str| {
        house.export_stream(principal, "orders", purpose, FileLayout::Fields, &path).unwrap_err().code()
    };
    assert_eq!(export(&all(), "other"), "MR4702");
    assert!(export(&Principal::new("reader", [Scope::Read]), "analytics").starts_with("MR30"));
    let missing = house.export_stream(&all(), "nothing", "analytics", FileLayout::Fields, &path).unwrap_err();
    assert_eq!(missing.code(), "MR1040");
    let nowhere = Path::new("/nowhere/orders.parquet");
    let error = house.export_stream(&all(), "orders", "analytics", FileLayout::Fields, nowhere).unwrap_err();
    assert_eq!(error.code(), "MR4701");
}

#[test]
fn what_went_out_raw_comes_in_again_and_is_the_same() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let house = shop(dir.path());
    let path = dir.path().join("raw.parquet");
    house.export_stream(&all(), "orders", "analytics", FileLayout::Raw, &path).unwrap();
    project(other.path());
    let there = Arc::new(House::open(Project::load(other.path()).unwrap()).unwrap());
    let done = there.import(&path, "orders", |_| {}).unwrap();
    assert_eq!((done.counts.n_accepted, done.counts.n_rows), (20, 20), "{:?}", done.reasons);
    for who in ["ann", "bob"] {
        there.consent(&user(who), "analytics", Status::Granted, "v1", "form", None).unwrap();
    }
    let values = |house: &Arc<House>, who: &str| {
        let (_, values) = house.features(&all(), &user(who), "analytics", &["orders".into()]).unwrap();
        ["n", "spent", "city"].map(|name| values[0].get(name).cloned())
    };
    for who in ["ann", "bob"] {
        assert_eq!(values(&house, who), values(&there, who));
    }
    // The same records, by their names: taken in again here they are duplicates.
    let before = house.streams().unwrap()["orders"].n_records;
    house.import(&path, "orders", |_| {}).unwrap();
    assert_eq!(house.streams().unwrap()["orders"].n_records, before);
}

#[test]
fn features_go_out_as_they_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    let path = dir.path().join("features.parquet");
    let done = house.export_features(&all(), "orders", "analytics", None, &path).unwrap();
    assert_eq!((done.written.n_rows, done.n_profiles_left_out), (2, 1));
    for row in rows(&path) {
        let who = row["city"].as_str().unwrap().to_lowercase();
        let (_, served) = house.features(&all(), &user(&who), "analytics", &["orders".into()]).unwrap();
        assert_eq!(row["n"], json!(served[0].get("n")));
        assert_eq!(row["spent"], json!(served[0].get("spent")));
    }
    let long_ago: Instant = "2020-01-01".parse().unwrap();
    let done = house.export_features(&all(), "orders", "analytics", Some(long_ago), &path).unwrap();
    assert_eq!(done.written.n_rows, 2);
    assert!(rows(&path).iter().all(|row| row["n"] == 0), "nothing was known then");
}

#[test]
fn a_whole_instance_goes_into_a_fresh_one_with_the_same_digest() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    house.tell_lineage(&[json!({"eventTime": "2026-11-24T09:00:00Z", "producer": "p", "job": {"namespace": "a", "name": "b"}})]).unwrap();
    let out = dir.path().join("out");
    let exported = house.export_instance(&out).unwrap();
    assert_eq!(house.export_instance(&out).unwrap_err().code(), "MR4704");
    house.close();
    drop(house);
    let bytes = std::fs::read(out.join("journal.parquet")).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("ANN"), "sealed cells stay sealed");
    let master = dir.path().join("master.key");
    for partitions in [None, Some(1), Some(7)] {
        let fresh = tempfile::tempdir().unwrap();
        let loaded = load_instance(&out, fresh.path(), Some(&master), partitions).unwrap();
        assert_eq!(
            (loaded.digest.as_str(), loaded.holds()),
            (exported.digest.as_str(), true),
            "{partitions:?}"
        );
        let again = load_instance(&out, fresh.path(), None, None).unwrap_err();
        assert_eq!(again.code(), "MR4704");
        let there = Arc::new(House::open(Project::load(fresh.path()).unwrap()).unwrap());
        assert_eq!(there.streams().unwrap()["orders"].n_records, 30);
        let (_, values) = there.features(&all(), &user("ann"), "analytics", &["orders".into()]).unwrap();
        assert_eq!(values[0].get("n"), Some(&feature::Value::Integer(10)));
        assert!(there.verify(|_| {}).unwrap().holds());
        there.close();
    }
}

#[test]
fn what_is_no_export_or_not_whole_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    let out = dir.path().join("out");
    house.export_instance(&out).unwrap();
    house.close();
    let load = |change: &dyn Fn(&mut Map<String, Value>)| {
        let text = std::fs::read(out.join("export.json")).unwrap();
        let mut about: Map<String, Value> = serde_json::from_slice(&text).unwrap();
        change(&mut about);
        std::fs::write(out.join("export.json"), serde_json::to_vec(&about).unwrap()).unwrap();
        let fresh = tempfile::tempdir().unwrap();
        let result = load_instance(&out, fresh.path(), Some(&dir.path().join("master.key")), None);
        std::fs::write(out.join("export.json"), text).unwrap();
        result.map(|loaded| loaded.holds()).map_err(|error| (error.code(), error.to_string()))
    };
    let (code, text) = load(&|about| _ = about.insert("n_records".into(), 7.into())).unwrap_err();
    assert!(code == "MR4703" && text.contains("of 7 records"), "{text}");
    let (code, text) = load(&|about| _ = about.insert("format".into(), 9.into())).unwrap_err();
    assert!(code == "MR4703" && text.contains("format 9"), "{text}");
    assert_eq!(load(&|about| _ = about.insert("digest".into(), "other".into())), Ok(false));
    let nothing = tempfile::tempdir().unwrap();
    assert_eq!(load_instance(nothing.path(), nothing.path(), None, None).unwrap_err().code(), "MR4703");
}
