//! What tests of a house share: a project written to a folder and opened, calls sent and folded, names of people.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use house::{House, Identifier, Project, TrackReport};
use intake::segment::Endpoint;
use policy::{Principal, Scope};
use serde_json::{Value, json};

/// A file of a project.
pub fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Settings of so many partitions, with purposes as (name, basis).
pub fn settings(partitions: u16, purposes: &[(&str, &str)]) -> String {
    let mut text = format!("[instance]\npartitions = {partitions}\n[state]\ncommit_every_ms = 20\n");
    for (name, basis) in purposes {
        text += &format!("[purposes.{name}]\nbasis = \"{basis}\"\n");
    }
    text
}

/// A contract of a stream that comes from these sources; its fields and custom properties as lines of YAML.
pub fn contract(stream: &str, sources: &[&str], fields: &[&str], properties: &[&str]) -> String {
    let lines = |lines: &[&str], indent: &str| -> String {
        lines.iter().map(|line| format!("{indent}- {line}\n")).collect()
    };
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {stream}\nname: {stream}\nversion: 1.0.0\nstatus: active\nschema:\n  \
         - name: {stream}\n    logicalType: object\n    properties:\n{}customProperties:\n  \
         - {{property: source, value: {sources:?}}}\n  - {{property: owner, value: Ada}}\n  \
         - {{property: retention, value: 3y}}\n{}",
        lines(fields, "      "),
        lines(properties, "  ")
    )
}

/// A field that names a person by the pointer of a call.
pub fn names(field: &str, kind: &str, source: &str) -> String {
    format!(
        "{{name: {field}, logicalType: string, classification: personal, customProperties: [{{property: source, value: {source}}}, {{property: identifier, value: {kind}}}]}}"
    )
}

/// What is wrong with a project, as it is told.
pub fn errors(dir: &Path) -> Vec<String> {
    let (_, findings) = Project::read(dir).unwrap();
    findings.iter().filter(|finding| finding.is_error()).map(ToString::to_string).collect()
}

/// The house of a project that is all right.
pub fn open(dir: &Path) -> Arc<House> {
    let errors = errors(dir);
    assert!(errors.is_empty(), "{errors:#?}");
    Arc::new(House::open(Project::load(dir).unwrap()).unwrap())
}

/// Sends calls and waits until they are folded.
pub fn send(house: &Arc<House>, calls: &[Value]) -> TrackReport {
    let (send, receive) = mpsc::channel();
    let body = serde_json::to_vec(&json!({ "batch": calls })).unwrap();
    house.track(Endpoint::Batch, &body, Box::new(move |result| send.send(result).unwrap()));
    let report = receive.recv().unwrap().unwrap();
    house.engine().settle(Duration::from_secs(20)).unwrap();
    report
}

/// The same for calls that are all right.
pub fn track(house: &Arc<House>, calls: &[Value]) {
    let report = send(house, calls);
    assert_eq!((report.counts.n_quarantined, report.refused.len()), (0, 0), "{report:?}");
}

pub fn id(kind: &str, value: &str) -> Identifier {
    Identifier { kind: kind.into(), value: value.into() }
}

pub fn user(value: &str) -> Identifier {
    id("user_id", value)
}

/// Somebody who may do everything.
pub fn all() -> Principal {
    Principal::new("test", Scope::ALL)
}
