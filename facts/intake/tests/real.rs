//! Files as they are in the world.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use contract::{Contract, Contracts, Finding, propose_in_order};
use event::{BatchId, StreamName};
use intake::file::{Format, inspect};
use intake::{Arrival, Counts, Intake, Outcome, Seen};
use vault::{Master, Vault};

/// The data folder; `None` where it is absent, which only a run outside of CI may be.
fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MASCHINENRAUM_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no data at {}", path.display());
    eprintln!("SKIPPED {name}: no data");
    None
}

#[test]
fn every_row_of_online_retail_is_accepted_or_quarantined_with_a_reason() {
    let Some(path) = data("decide/online_retail_uci_240k_invoice.parquet") else { return };
    let dir = tempfile::tempdir().unwrap();
    let vault = Arc::new(Vault::create(dir.path(), &Master::from_bytes([7; 32])).unwrap());
    let intake = Intake::new(vault, profile::Rules::default());
    let contract = Contract::parse(include_str!("contracts/retail.yaml"), "retail.yaml").unwrap().contract;
    assert_eq!(contract.validate().iter().filter(|f| f.is_error()).count(), 0);
    let mut contracts = Contracts::new();
    let contract = contracts.insert(contract).unwrap();
    let file = inspect(&path, |_| {}).unwrap();
    let batch = Some(BatchId::of("retail", contract.version, file.sha256()));
    let arrival = Arrival { received_at: "2026-03-01T12:00:00Z".parse().unwrap(), batch, source: None };
    let (mut counts, mut seen) = (Counts::default(), Seen::new());
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    let mut rows = file.rows(0).unwrap();
    let start = std::time::Instant::now();
    loop {
        let chunk: Vec<_> = rows
            .by_ref()
            .take(5_000)
            .map(|row| Ok(row.unwrap().into_incoming(StreamName::new("retail"))))
            .collect();
        if chunk.is_empty() {
            break;
        }
        let n = chunk.len();
        let outcomes = intake.accept_all(&contracts, chunk, &arrival, &mut seen).unwrap();
        assert_eq!(outcomes.len(), n);
        for outcome in &outcomes {
            match outcome {
                Outcome::Accepted { record, .. } => {
                    assert!(!record.subject.is_none());
                    assert_eq!(record.known_at, record.occurred_at, "history is known when it happened");
                }
                Outcome::Quarantined { findings, .. } => {
                    let codes: Vec<&str> = findings.iter().filter(|f| f.is_error()).map(|f| f.code).collect();
                    assert!(!codes.is_empty());
                    *reasons.entry(codes.join(" ")).or_default() += 1;
                }
                Outcome::Duplicate { .. } => {}
                Outcome::Refused(refusal) => panic!("{refusal}"),
            }
        }
        counts.add(Counts::of(&outcomes));
        intake.durable(&outcomes);
    }
    eprintln!("{} rows in {:?}", counts.total(), start.elapsed());
    assert_eq!(counts.total(), 240_007);
    assert_eq!(rows.progress().n_rows, 240_007);
    assert_eq!(reasons.values().sum::<u64>(), counts.n_quarantined);
    insta::assert_snapshot!(format!("{counts:?}\n{reasons:#?}"));
}

#[test]
fn every_table_of_the_data_folder_is_read_and_a_contract_proposed_that_accepts_it() {
    let Some(folder) = data("decide") else { return };
    let mut lines = Vec::new();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.extend(data("mlops/nyc_yellow_tripdata_sample_2019-01.csv"));
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".csv") && !name.ends_with(".parquet") {
            continue;
        }
        let file = inspect(&path, |_| {}).unwrap();
        let sample = file.sample(1_000).unwrap();
        assert_eq!(sample.n_bad, 0, "{name}");
        if let Some(n) = file.n_rows() {
            assert_eq!(sample.n_rows, n, "{name}");
        }
        let stem = name.split('.').next().unwrap();
        let yaml = propose_in_order(stem, file.columns(), &sample.rows);
        let parsed = Contract::parse(&yaml, &name).unwrap_or_else(|e| panic!("{e}\n{yaml}"));
        for row in &sample.rows {
            let findings = parsed.contract.check(&parsed.contract.bind(row));
            assert!(!findings.iter().any(Finding::is_error), "{name}: {findings:?}\n{yaml}");
        }
        let kind = match file.format() {
            Format::Csv { delimiter } => {
                format!("csv `{}` {}", char::from(delimiter), file.encoding().name())
            }
            other => format!("{other:?}"),
        };
        let contract = &parsed.contract;
        let subject: Vec<&str> = contract.subject_key.fields.iter().map(|p| p.as_str()).collect();
        let time = contract.event_time.as_ref().map_or("-", |p| p.as_str());
        let sealed: Vec<&str> =
            contract.fields.iter().filter(|f| f.effective.is_sealed()).map(|f| f.name.as_str()).collect();
        lines.push(format!(
            "{name}: {kind}, {} rows, {} columns; subject {subject:?}, time {time}, sealed {sealed:?}",
            sample.n_rows,
            file.columns().len()
        ));
    }
    insta::assert_snapshot!(lines.join("\n"));
}
