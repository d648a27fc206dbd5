//! A million subjects: one erased, ten thousand erased in one pass, keys renewed while others read.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use house::{House, Rotation};
use serde_json::json;

use crate::erased::*;

const CONTRACT: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: visits
name: visits
version: 1.0.0
status: active
schema:
  - name: visits
    logicalType: object
    properties:
      - {name: visit_id, logicalType: string, required: true, primaryKey: true, classification: internal}
      - {name: email, logicalType: string, classification: personal}
      - {name: note, logicalType: string, classification: personal}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: [file]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id]}
  - {property: dedupKey, value: [visit_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: service, basis: contract}, {name: marketing, basis: consent}]}
"#;

const VIEW: &str = "view: visits\nversion: 1\nstream: visits\npurposes: [service]\nfeatures:\n  - {name: n, agg: count}\n  - {name: last_note, agg: last, of: note}\n";

pub fn run(dir: &Path, n: u32) {
    let at = dir.join("house");
    project(&at, 4);
    write(&at, "contracts/visits.yaml", CONTRACT);
    write(&at, "features/visits.yaml", VIEW);
    let file = dir.join("visits.csv");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&file).unwrap());
    writeln!(out, "visit_id,email,note,user_id").unwrap();
    for i in 0..n {
        writeln!(out, "v{i},u{i}@example.test,some words of {i},u{i}").unwrap();
    }
    out.flush().unwrap();
    drop(out);
    let house = open(&at).unwrap();
    let began = Instant::now();
    let done = house.import(&file, "visits", |_| {}).unwrap();
    assert_eq!(done.counts.n_accepted, u64::from(n), "{done:?}");
    house.engine().settle(std::time::Duration::from_secs(600)).unwrap();
    let filled_s = began.elapsed().as_secs_f64();
    std::fs::remove_file(&file).unwrap();

    let (mut logical, mut whole) = (Vec::new(), Vec::new());
    for i in 0..9 {
        let began = Instant::now();
        let receipts = house.erase_people(&[user(&format!("u{}", i * 1_001 + 7))], "bench", "bench").unwrap();
        assert!(receipts.complete);
        whole.push(began.elapsed().as_secs_f64() * 1e3);
        logical.push(receipts.logical_ms.unwrap_or(u64::MAX) as f64);
    }
    logical.sort_by(f64::total_cmp);
    whole.sort_by(f64::total_cmp);

    let many: Vec<_> = (0..10_000.min(n / 2)).map(|i| user(&format!("u{}", i * 2 + 20_000 % n))).collect();
    let began = Instant::now();
    let receipts = house.erase_people(&many, "bench", "bench").unwrap();
    let batch_s = began.elapsed().as_secs_f64();
    assert!(receipts.complete && receipts.n_subjects == many.len() as u64);

    let (n_reads, n_failed) = rotated_under_load(&house, &at, n);
    println!(
        "{}",
        json!({
            "n_subjects": n, "filled_s": filled_s,
            "one_logical_ms": logical[logical.len() / 2], "one_logical_worst_ms": logical[logical.len() - 1],
            "one_receipts_ms": whole[whole.len() / 2], "one_receipts_worst_ms": whole[whole.len() - 1],
            "batch": many.len(), "batch_s": batch_s, "batch_logical_ms": receipts.logical_ms,
            "n_reads": n_reads, "n_failed": n_failed,
        })
    );
    house.close();
}

/// Root, every bucket key and the master are made new while two threads read features of people far apart, most of whose
/// keys are not in memory.
fn rotated_under_load(house: &std::sync::Arc<House>, at: &Path, n: u32) -> (u64, u64) {
    let (stop, n_reads, n_failed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for shift in 0..2_u32 {
            let (stop, n_reads, n_failed) = (&stop, &n_reads, &n_failed);
            scope.spawn(move || {
                let mut i = shift * 17;
                while !stop.load(Ordering::Acquire) {
                    i = (i + 7_919) % n;
                    let who = user(&format!("u{}", i | 1));
                    let read = house.features(&all(), &who, "service", &["visits".into()]);
                    n_failed.fetch_add(u64::from(read.is_err()), Ordering::Relaxed);
                    n_reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..3 {
            house.rotate(&Rotation::Root, "bench").unwrap();
            house.rotate(&Rotation::Buckets, "bench").unwrap();
            let key = format!("new-{round}.key");
            vault::Master::create_file(&at.join(&key)).unwrap();
            house.rotate(&Rotation::Master(format!("file:{key}")), "bench").unwrap();
        }
        stop.store(true, Ordering::Release);
    });
    (n_reads.into_inner(), n_failed.into_inner())
}
