//! What is written reads back: nested documents, records of a contract, records of a journal.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::path::Path;

use contract::Contract;
use event::{BatchId, Cell, Instant, Payload, Record, RecordId, SourceName, StreamName, Subject, Version};
use lake::{Cell as Sort, Shape, Writer, unbind};
use proptest::prelude::*;
use serde_json::{Value, json};

fn rows(path: &Path) -> Vec<Value> {
    let file = intake::file::inspect(path, |_| {}).unwrap();
    file.rows(0).unwrap().map(|row| row.unwrap().raw).collect()
}

/// Null members are as good as none.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), plain(v))).collect(),
        ),
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

#[test]
fn nested_documents_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nested.parquet");
    let cell = |sort| Shape::Cell(sort);
    let item = Shape::Group(vec![
        ("sku".into(), cell(Sort::Text)),
        ("tags".into(), Shape::List(Box::new(cell(Sort::Text)))),
    ]);
    let members = vec![
        ("id".into(), cell(Sort::Text)),
        ("n".into(), cell(Sort::Integer)),
        ("total".into(), cell(Sort::Number)),
        ("paid".into(), cell(Sort::Boolean)),
        ("day".into(), cell(Sort::Date)),
        ("at".into(), cell(Sort::Timestamp)),
        ("buyer".into(), Shape::Group(vec![("city".into(), cell(Sort::Text))])),
        ("items".into(), Shape::List(Box::new(item))),
    ];
    let documents = [
        json!({"id": "a", "n": 5, "total": 1.25, "paid": true, "day": "2026-01-31", "at": "2026-01-31T10:00:00.000001Z",
            "buyer": {"city": "Köln"}, "items": [{"sku": "x", "tags": ["p", "q"]}, {"sku": "y", "tags": []}, {"sku": "z"}]}),
        json!({}),
        json!({"id": "c", "buyer": {}, "items": []}),
        json!({"n": -1, "day": "1969-12-31", "items": [{"tags": ["only"]}]}),
    ];
    let mut writer = Writer::create(&path, members, &[("of", "test".into())]).unwrap();
    documents.iter().for_each(|document| writer.write(document).unwrap());
    writer.write(&json!({"n": "seven", "paid": 1, "day": "soon", "buyer": 3, "extra": true})).unwrap();
    let written = writer.finish().unwrap();
    assert_eq!((written.n_rows, written.n_unfit), (5, 4));
    let read = rows(&path);
    for (read, document) in read.iter().zip(&documents) {
        assert_eq!(plain(read), plain(document));
    }
    assert!(!dir.path().join("nested.parquet.part").exists());
}

#[test]
fn what_cannot_be_written_says_where() {
    let error = Writer::create(Path::new("/nowhere/at/all.parquet"), Vec::new(), &[]).err().unwrap();
    assert_eq!(error.code(), "MR4701");
    assert!(error.to_string().contains("/nowhere/at/all.parquet"), "{error}");
    let row = json!({"id": "zz"});
    let error = lake::journal::record(&row, Path::new("x.parquet")).unwrap_err();
    assert!(error.to_string().contains("`id` is `zz`"), "{error}");
}

const TRACKED: &str = "
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
      - {name: order_id, logicalType: string, required: true, classification: internal}
      - {name: total, logicalType: number, classification: internal}
      - {name: placed_on, logicalType: date, classification: internal}
      - {name: user_id, logicalType: string, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
      - {name: city, logicalType: string, classification: personal, customProperties: [{property: source, value: /context/address/city}]}
      - name: items
        logicalType: array
        classification: internal
        items: {logicalType: object, properties: [{name: sku, logicalType: string, classification: internal}, {name: n, logicalType: integer, classification: internal}]}
customProperties:
  - {property: source, value: ['track:Order Completed']}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: analytics, basis: consent}]}
";

#[test]
fn a_bound_record_lies_where_its_contract_reads_it_from() {
    let contract = Contract::parse(TRACKED, "orders.yaml").unwrap().contract;
    let raw = json!({
        "userId": "ann", "context": {"address": {"city": "Bonn"}},
        "properties": {"order_id": 17, "total": "4.50", "placed_on": "2026-11-24", "items": [{"sku": "a", "n": 2}, {"sku": "b"}]},
    });
    let bound = contract.bind(&raw);
    let again = unbind(&contract, &bound);
    assert_eq!(again["properties"]["total"], json!(4.5));
    assert_eq!(contract.bind(&again), bound);
    let dir = tempfile::tempdir().unwrap();
    for (name, shape, document) in
        [("fields", Shape::fields(&contract), &bound), ("raw", Shape::raw(&contract), &again)]
    {
        let path = dir.path().join(format!("{name}.parquet"));
        let mut writer = Writer::create(&path, shape, &[]).unwrap();
        writer.write(document).unwrap();
        assert_eq!(writer.finish().unwrap().n_unfit, 0);
        assert_eq!(plain(&rows(&path)[0]), plain(document), "{name}");
    }
}

fn any_record() -> impl Strategy<Value = Record> {
    let ids = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<Option<[u8; 16]>>(), any::<Option<[u8; 16]>>());
    let year = Instant::EARLIEST.micros()..Instant::END.micros();
    let times = (year.clone(), year, any::<u32>(), any::<(u32, u32, u32)>());
    let names = ("[a-z.]{1,20}", proptest::option::of(".{0,20}"));
    let cells = prop::collection::vec((".{0,20}", prop::collection::vec(any::<u8>(), 0..60)), 0..3);
    let open = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 0..80),
        ".{0,60}".prop_map(String::into_bytes)
    ];
    (ids, times, names, open, cells).prop_map(
        |((id, subject, batch, cause), (occurred, known, key_epoch, v), (stream, source), open, cells)| {
            Record {
                id: RecordId::from_bytes(id),
                stream: StreamName::new(&stream),
                contract: Version::new(v.0, v.1, v.2),
                subject: Subject::from_bytes(subject),
                occurred_at: Instant::from_micros(occurred),
                known_at: Instant::from_micros(known),
                batch: batch.map(BatchId::from_bytes),
                cause: cause.map(RecordId::from_bytes),
                source: source.as_deref().map(SourceName::new),
                key_epoch,
                payload: Payload {
                    open: open.into(),
                    cells: cells
                        .into_iter()
                        .map(|(column, sealed)| Cell { column: column.into(), sealed: sealed.into() })
                        .collect(),
                },
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_record_comes_back_byte_for_byte(records in prop::collection::vec(any_record(), 0..20)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.parquet");
        let mut out = lake::journal::Records::create(&path).unwrap();
        records.iter().for_each(|record| out.write(record).unwrap());
        prop_assert_eq!(out.finish().unwrap().n_unfit, 0);
        let read: Vec<Record> =
            rows(&path).iter().map(|row| lake::journal::record(row, &path).unwrap()).collect();
        prop_assert_eq!(read, records);
    }
}
