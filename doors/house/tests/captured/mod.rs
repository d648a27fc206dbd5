//! What the journal of a project that captures holds.

use std::collections::BTreeMap;
use std::path::Path;

use event::{Partition, Position};
use house::{House, Project};
use serde_json::Value;

/// Opens a project; what is wrong with it is said whole.
pub fn open(dir: &Path) -> House {
    let (_, findings) = Project::read(dir).unwrap();
    let broken: Vec<String> = findings.iter().filter(|f| f.is_error()).map(ToString::to_string).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    House::open(Project::load(dir).unwrap()).unwrap()
}

/// One captured row, as it lies in the journal.
#[derive(Clone, Debug)]
pub struct Row {
    pub stream: String,
    pub document: Value,
    pub source: Option<String>,
}

impl Row {
    pub fn text(&self, name: &str) -> &str {
        self.document.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn number(&self, name: &str) -> i64 {
        self.document.get(name).and_then(Value::as_i64).unwrap_or(i64::MIN)
    }
}

/// Every record of a project's streams in the journal, quarantine included, in the order of the database's log. Each id
/// is there once.
pub fn rows(house: &House) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut ids = BTreeMap::new();
    for partition in 0..house.n_partitions() {
        let partition = Partition(partition);
        let end = house.engine().journal().end(partition);
        let mut tail = house.engine().journal().tail(partition, Position(0));
        let mut next = Position(0);
        while next < end {
            for (position, record) in tail.next(1_000, None).unwrap() {
                next = Position(position.0 + 1);
                let stream = record.stream.to_string();
                if stream.starts_with("mr.") && stream != "mr.quarantine" {
                    continue;
                }
                let twice = ids.insert(record.id, stream.clone());
                assert!(twice.is_none(), "{stream} holds {} twice", record.id);
                let document = intake::raw(house.vault(), &record).unwrap();
                let source = record.source.as_ref().map(ToString::to_string);
                rows.push(Row { stream, document, source });
            }
        }
    }
    rows.sort_by_key(|row| (row.number("__lsn"), row.text("__op") != "snapshot", row.number("__seq")));
    rows
}
