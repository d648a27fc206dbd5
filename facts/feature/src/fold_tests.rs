//! What the state keeps of rows: what a commit writes, and what is left when somebody is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contract::{Bound, Contract, Contracts};
use event::{Instant, Partition, Payload, Record, RecordId, StreamName, Subject, Version};
use serde_json::json;
use store::{Database, Digest, Emissions, Fold, Scope, SealError};

use crate::evaluate::Evaluator;
use crate::{FeatureFold, Shelf, Tables, Value, View, Views};

const CONTRACT: &str = "
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - {name: total, logicalType: number, classification: internal}
      - {name: city, logicalType: string, classification: personal}
customProperties:
  - {property: purposes, value: [{name: analytics, basis: not_personal}]}
";

/// One view that lies open and one that is sealed.
fn views() -> Views {
    let mut contracts = Contracts::new();
    contracts.insert(Contract::parse(CONTRACT, "orders.yaml").unwrap().contract).unwrap();
    let view = |name: &str, feature: &str| {
        let yaml = format!(
            "view: {name}\nversion: 1\nstream: orders\npurposes: [analytics]\nfeatures: [{feature}]\n"
        );
        View::parse(&yaml, "v.yaml", &contracts).0.unwrap()
    };
    let open = view("open", "{name: spent, agg: sum, of: total, window: 900d}");
    Views::new([open, view("sealed", "{name: n, agg: count, where: not city == 'Wien', window: 900d}")])
        .unwrap()
}

const DAY: i64 = 86_400_000_000;

/// The `n`th record of a subject, an hour after the one before; `late` hours late.
fn record(subject: u8, n: i64, late: i64) -> Record {
    let known = 20_000 * DAY + n * DAY / 24;
    Record {
        id: RecordId::external("orders", format!("{subject} {n}").as_bytes()),
        stream: StreamName::new("orders"),
        contract: Version::new(1, 0, 0),
        subject: Subject::from_bytes([subject; 16]),
        occurred_at: Instant::from_micros(known - late * DAY / 24 - 1),
        known_at: Instant::from_micros(known),
        batch: None,
        cause: None,
        source: None,
        key_epoch: 0,
        payload: Payload::default(),
    }
}

fn fold(tables: &mut Tables, record: &Record) {
    let fields = json!({"total": 1.25, "city": "Graz"});
    let bound = Bound { record, fields: &fields };
    FeatureFold::new(views()).fold(tables, &bound, &mut Emissions::default()).unwrap();
}

/// Writes what changed: how many entries and bytes.
fn commit(scope: &Scope, tables: &mut Tables) -> (usize, usize) {
    let mut pending = Vec::new();
    tables.stored().into_iter().for_each(|table| table.drain(&mut pending));
    let writes: Vec<_> = pending.into_iter().map(|p| p.into_write().unwrap()).collect();
    let n_bytes = writes.iter().filter_map(|(_, value)| value.as_ref().map(Vec::len)).sum();
    let n = writes.len();
    scope.database().write(writes, false).unwrap();
    (n, n_bytes)
}

fn evict(tables: &mut Tables) {
    tables.stored().into_iter().for_each(|table| table.evict(0));
}

fn digest(tables: &mut Tables) -> Digest {
    let mut digest = Digest::default();
    tables.stored().into_iter().for_each(|table| table.digest(&mut digest).unwrap());
    digest
}

/// The only feature of a view, now.
fn value(tables: &Tables, view: &str, subject: u8, at: &Record) -> Value {
    let views = views();
    let view = views.get(view).unwrap();
    let held = tables.held(view, Subject::from_bytes([subject; 16])).unwrap();
    let rows: Vec<_> = held.rows().into_iter().collect();
    Evaluator::new(view.inner()).values(&rows, at.known_at.micros(), &[]).unwrap()[0].clone()
}

#[test]
fn a_commit_writes_the_tail_and_what_changed() {
    let scope = Scope::memory(Partition(0));
    let mut tables = Tables::open(&scope);
    for n in 0..2_000 {
        fold(&mut tables, &record(1, n, 0));
    }
    let (_, all) = commit(&scope, &mut tables);
    assert!(all > 60_000, "{all}");
    evict(&mut tables);
    // In order: two tails, one of each view.
    fold(&mut tables, &record(1, 2_000, 0));
    let (n, n_bytes) = commit(&scope, &mut tables);
    assert!(n == 2 && n_bytes < all / 8, "{n} entries, {n_bytes} bytes of {all}");
    // Late: also the block that it is put into.
    let late = record(1, 2_001, 1_000);
    fold(&mut tables, &late);
    let (n, n_bytes) = commit(&scope, &mut tables);
    assert!(n == 4 && n_bytes < all / 4, "{n} entries, {n_bytes} bytes of {all}");
    evict(&mut tables);
    assert_eq!(value(&tables, "sealed", 1, &late), Value::Integer(2_002));
    assert_eq!(value(&tables, "open", 1, &late), Value::Number(2_002.0 * 1.25));
}

#[test]
fn who_is_forgotten_leaves_nothing() {
    let scope = Scope::memory(Partition(0));
    let mut tables = Tables::open(&scope);
    let one_alone = {
        let scope = Scope::memory(Partition(0));
        let mut tables = Tables::open(&scope);
        (0..300).for_each(|n| fold(&mut tables, &record(1, n, 0)));
        commit(&scope, &mut tables);
        digest(&mut tables)
    };
    for n in 0..300 {
        fold(&mut tables, &record(1, n, 0));
        fold(&mut tables, &record(2, n, n % 7 * 30));
        if n % 50 == 9 {
            commit(&scope, &mut tables);
            evict(&mut tables);
        }
    }
    assert_eq!(tables.forget(Subject::from_bytes([2; 16]), &views()).unwrap(), 2);
    commit(&scope, &mut tables);
    evict(&mut tables);
    assert_eq!(digest(&mut tables), one_alone);
    tables.forget_others(&Views::default()).unwrap();
    commit(&scope, &mut tables);
    assert_eq!(digest(&mut tables), Digest::default());
}

/// Opens what it sealed until the key is destroyed.
#[derive(Default)]
struct Key(AtomicBool);

impl store::Seal for Key {
    fn seal(&self, _: Subject, _: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(plain.iter().map(|byte| !byte).collect())
    }

    fn open(&self, _: Subject, _: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, SealError> {
        Ok((!self.0.load(Ordering::Relaxed)).then(|| sealed.iter().map(|byte| !byte).collect()))
    }
}

#[test]
fn what_no_key_opens_any_more_is_as_if_it_had_never_been() {
    let key = Arc::new(Key::default());
    let scope = Scope::new(Database::memory(), Partition(0), Some(key.clone()));
    let mut tables = Tables::open(&scope);
    (0..500).for_each(|n| fold(&mut tables, &record(1, n, 0)));
    commit(&scope, &mut tables);
    evict(&mut tables);
    // The tail is at hand, the blocks are not; then the key is gone.
    let last = record(1, 500, 0);
    fold(&mut tables, &last);
    key.0.store(true, Ordering::Relaxed);
    assert_eq!(value(&tables, "sealed", 1, &last), Value::Integer(0));
    let late = record(1, 501, 300);
    fold(&mut tables, &late);
    assert_eq!(value(&tables, "sealed", 1, &late), Value::Integer(1));
    assert_eq!(
        value(&tables, "open", 1, &late),
        Value::Number(502.0 * 1.25),
        "what lies open is everybody's"
    );
}
