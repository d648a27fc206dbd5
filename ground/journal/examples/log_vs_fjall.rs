//! The same work on our own segments and on fjall, in one run: 500-byte records appended in batches, each batch
//! durable before the next; many batches in flight; and a full scan. Behind docs/adr/0001-own-log-segments.md.
//!
//! `cargo run --release -p journal --example log_vs_fjall [DIR]`
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use event::{Partition, Payload, Position, Record, RecordId, StreamName, Subject, Version};
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use journal::{Journal, Options};

const N_PARTITIONS: u16 = 4;
const N_ROUNDS: usize = 3;
/// How many batches wait for the disk at once in the second comparison.
const N_IN_FLIGHT: usize = 16;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Batch = Vec<(Partition, Arc<Record>)>;

struct Figures {
    records_per_s: f64,
    p50: Duration,
    p99: Duration,
}

fn main() -> Result<()> {
    let home = std::env::args().nth(1).map_or_else(|| std::path::PathBuf::from("target"), Into::into);
    let dir = tempfile::tempdir_in(home)?;
    println!("one batch at a time, one sync each (best of {N_ROUNDS})");
    println!("| batch | own log | p50 | p99 | without zeros | p50 | fjall 3 | p50 | p99 | own / fjall |");
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (size, n_batches) in [(10, 3000), (100, 1500), (1000, 400)] {
        let batches: Vec<Batch> = (0..n_batches).map(|i| batch(i * size, size)).collect();
        let (mut ours, mut plain, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..N_ROUNDS {
            ours.push(on_segments(dir.path(), Options::default().ahead_bytes, &batches)?);
            plain.push(on_segments(dir.path(), 0, &batches)?);
            theirs.push(on_fjall(dir.path(), &batches)?);
        }
        let (ours, plain, theirs) = (best(ours)?, best(plain)?, best(theirs)?);
        println!(
            "| {size} | {} | {:.2?} | {:.2?} | {} | {:.2?} | {} | {:.2?} | {:.2?} | **{:.1}×** |",
            rate(ours.records_per_s),
            ours.p50,
            ours.p99,
            rate(plain.records_per_s),
            plain.p50,
            rate(theirs.records_per_s),
            theirs.p50,
            theirs.p99,
            ours.records_per_s / theirs.records_per_s,
        );
    }
    println!("\n{N_IN_FLIGHT} batches in flight (group commit)");
    for (size, n_batches) in [(10, 10_000), (100, 4000), (1000, 600)] {
        let batches: Vec<Batch> = (0..n_batches).map(|i| batch(i * size, size)).collect();
        let rates = (0..N_ROUNDS).map(|_| in_flight(dir.path(), &batches)).collect::<Result<Vec<_>>>()?;
        println!("batch {size}: {}", rate(rates.into_iter().fold(0.0, f64::max)));
    }
    scans(dir.path())
}

fn batch(first: u64, n: u64) -> Batch {
    (first..first + n).map(|i| (Partition((i % u64::from(N_PARTITIONS)) as u16), record(i))).collect()
}

/// A record of 500 bytes as stored.
fn record(number: u64) -> Arc<Record> {
    let id = RecordId::external("bench", &number.to_le_bytes());
    let mut open = format!(r#"{{"number":{number},"filling":""#).into_bytes();
    open.resize(498 - 90, b'x');
    open.extend_from_slice(b"\"}");
    Arc::new(Record {
        id,
        stream: StreamName::new("bench"),
        contract: Version::new(1, 0, 0),
        subject: Subject::from_bytes(*id.as_bytes()),
        occurred_at: event::Instant::from_micros(0),
        known_at: event::Instant::from_micros(0),
        batch: None,
        cause: None,
        source: None,
        key_epoch: 0,
        payload: Payload { open: open.into(), cells: Vec::new() },
    })
}

fn timed(batches: &[Batch], mut append: impl FnMut(&Batch) -> Result<()>) -> Result<Figures> {
    let mut times = Vec::with_capacity(batches.len());
    let start = Instant::now();
    for batch in batches {
        let before = Instant::now();
        append(batch)?;
        times.push(before.elapsed());
    }
    let took = start.elapsed();
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
    let n_records: usize = batches.iter().map(Vec::len).sum();
    Ok(Figures { records_per_s: n_records as f64 / took.as_secs_f64(), p50: at(0.5), p99: at(0.99) })
}

fn on_segments(dir: &Path, ahead_bytes: u64, batches: &[Batch]) -> Result<Figures> {
    let dir = tempfile::tempdir_in(dir)?;
    let journal =
        Journal::open(dir.path(), Options { n_partitions: N_PARTITIONS, ahead_bytes, ..Options::default() })?;
    timed(batches, |batch| {
        journal.append(batch.clone())?;
        Ok(())
    })
}

fn on_fjall(dir: &Path, batches: &[Batch]) -> Result<Figures> {
    let dir = tempfile::tempdir_in(dir)?;
    let database = Database::builder(dir.path()).open()?;
    let log = database.keyspace("log", KeyspaceCreateOptions::default)?;
    let mut next = [0_u64; N_PARTITIONS as usize];
    timed(batches, |batch| {
        let mut writes = database.batch().durability(Some(PersistMode::SyncData));
        for (partition, record) in batch {
            let Some(next) = next.get_mut(usize::from(partition.0)) else { continue };
            let mut key = partition.0.to_be_bytes().to_vec();
            key.extend_from_slice(&next.to_be_bytes());
            writes.insert(&log, key, event::encode(record)?);
            *next += 1;
        }
        writes.commit()?;
        Ok(())
    })
}

fn in_flight(dir: &Path, batches: &[Batch]) -> Result<f64> {
    let dir = tempfile::tempdir_in(dir)?;
    let journal = Journal::open(dir.path(), Options { n_partitions: N_PARTITIONS, ..Options::default() })?;
    let (send, told) = mpsc::channel();
    let start = Instant::now();
    let mut n_records = 0;
    for (index, batch) in batches.iter().enumerate() {
        if index >= N_IN_FLIGHT {
            n_records += told.recv()??;
        }
        let send = send.clone();
        let done = Box::new(move |result: std::result::Result<Vec<Position>, journal::Error>| {
            drop(send.send(result.map(|positions| positions.len())));
        });
        journal.append_with(batch.clone(), done);
    }
    drop(send);
    for n in told {
        n_records += n?;
    }
    Ok(n_records as f64 / start.elapsed().as_secs_f64())
}

fn scans(dir: &Path) -> Result<()> {
    const N: u64 = 2_000_000;
    let ours = tempfile::tempdir_in(dir)?;
    let journal = Journal::open(ours.path(), Options { n_partitions: N_PARTITIONS, ..Options::default() })?;
    let theirs = tempfile::tempdir_in(dir)?;
    let database = Database::builder(theirs.path()).open()?;
    let log = database.keyspace("log", KeyspaceCreateOptions::default)?;
    for first in (0..N).step_by(1000) {
        let batch = batch(first, 1000);
        let mut writes = database.batch();
        for (number, (partition, record)) in (first..).zip(&batch) {
            let mut key = partition.0.to_be_bytes().to_vec();
            key.extend_from_slice(&number.to_be_bytes());
            writes.insert(&log, key, event::encode(record)?);
        }
        writes.commit()?;
        journal.append(batch)?;
    }
    database.persist(PersistMode::SyncAll)?;
    println!("\nfull scan of {N} records, decoded (best of {N_ROUNDS})");
    let (mut own, mut lsm, mut tails) = (0.0_f64, 0.0_f64, 0.0_f64);
    for _ in 0..N_ROUNDS {
        let (start, mut n_bytes) = (Instant::now(), 0);
        journal.scan(&[], |_, _, record| {
            n_bytes += record.payload.open.len();
            Ok(())
        })?;
        own = own.max(N as f64 / start.elapsed().as_secs_f64());
        let (start, mut n_found) = (Instant::now(), 0);
        for entry in log.iter() {
            n_bytes -= event::decode(&entry.value()?)?.payload.open.len();
            n_found += 1;
        }
        lsm = lsm.max(n_found as f64 / start.elapsed().as_secs_f64());
        if n_bytes != 0 {
            return Err("the two logs differ".into());
        }
        let (start, mut n_found) = (Instant::now(), 0);
        for partition in 0..N_PARTITIONS {
            let mut tail = journal.tail(Partition(partition), Position(0));
            while tail.position() < journal.end(Partition(partition)) {
                n_found += tail.next(1000, None)?.len();
            }
        }
        tails = tails.max(n_found as f64 / start.elapsed().as_secs_f64());
    }
    println!("own {}, fjall {}: **{:.1}×**", rate(own), rate(lsm), own / lsm);
    println!("four tails one after another, from the start: {}", rate(tails));
    let size: u64 = journal.files().iter().map(|(_, len)| len).sum();
    println!("bytes per record on disk: own {:.0}", size as f64 / N as f64);
    journal.close();
    let start = Instant::now();
    let reopened = Journal::open(ours.path(), Options { n_partitions: N_PARTITIONS, ..Options::default() })?;
    println!("reopening after {} records: {:.1?}", reopened.end(Partition(0)).0 * 4, start.elapsed());
    Ok(())
}

fn best(figures: Vec<Figures>) -> Result<Figures> {
    let best = figures.into_iter().max_by(|a, b| a.records_per_s.total_cmp(&b.records_per_s));
    best.ok_or_else(|| "nothing was measured".into())
}

fn rate(per_s: f64) -> String {
    format!("{:.0}k records/s", per_s / 1000.0)
}
