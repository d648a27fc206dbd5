//! Replay = live, whatever the number of partitions, the duplicates, and the moment of a crash.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::path::Path;
use std::time::Duration;

use event::{Instant, Partition, Payload, Position, Record, RecordId, StreamName, Subject, Version};
use journal::Journal;
use process::{Engine, Options, Shard, replay};
use store::{Database, Digest, Emissions, Scope, Stored, Table};

const WAIT: Duration = Duration::from_secs(60);

/// Counts records per subject and tells every tenth to the subject "total", which may live elsewhere.
struct Counter {
    per_subject: Table<Subject, (u64, i64)>,
    told: Table<Subject, u64>,
}

impl Counter {
    fn new(db: &Database, partition: u16) -> Self {
        let scope = Scope::new(db.clone(), Partition(partition), None);
        Self { per_subject: Table::open(&scope, "count"), told: Table::open(&scope, "told") }
    }
}

impl Shard for Counter {
    fn fold(&mut self, _: Position, record: &Record, out: &mut Emissions) -> Result<(), store::Error> {
        if record.stream.as_str() == "told" {
            return self.told.update(&record.subject, |n| *n += 1);
        }
        let n = self.per_subject.update(&record.subject, |(n, latest)| {
            *n += 1;
            *latest = record.occurred_at.micros().max(*latest);
            *n
        })?;
        if n % 10 == 0 {
            out.emit(record, "counter", "told", Subject::from_bytes([7; 16]), Vec::new());
        }
        Ok(())
    }

    fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.per_subject, &mut self.told]
    }
}

fn options() -> Options {
    Options {
        commit_every: Duration::from_millis(5),
        hot_entries: 20,
        dedup_horizon: 100_000,
        batch_records: 16,
    }
}

fn journal(dir: &Path, n: u16) -> Journal {
    let options =
        journal::Options { n_partitions: n, segment_bytes: 64 << 10, ..journal::Options::default() };
    Journal::open(dir.join("journal"), options).unwrap()
}

fn start(dir: &Path, n: u16) -> Engine<Counter> {
    let db = Database::open(&dir.join("state"), 8 << 20).unwrap();
    let shards = (0..n).map(|p| Counter::new(&db, p)).collect();
    Engine::start(journal(dir, n), db, shards, options()).unwrap()
}

fn record(n: u64) -> Record {
    let mut subject = [0; 16];
    subject[0] = (n % 41) as u8;
    subject[7] = (n % 41) as u8;
    Record {
        id: RecordId::external("t", &n.to_le_bytes()),
        stream: StreamName::new("t"),
        contract: Version::new(1, 0, 0),
        subject: Subject::from_bytes(subject),
        occurred_at: Instant::from_micros((n * 7_919 % 1_000) as i64),
        known_at: Instant::from_micros(n as i64),
        batch: None,
        cause: None,
        source: None,
        key_epoch: 0,
        payload: Payload::default(),
    }
}

fn expected(n_records: u64) -> Digest {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path(), 1);
    engine.append_folded((0..n_records).map(record).collect(), WAIT).unwrap();
    engine.digest(WAIT).unwrap()
}

fn replayed(dir: &Path, engine: &Engine<Counter>, n: u16) -> Digest {
    let fresh = Database::open(&dir.join("beside"), 8 << 20).unwrap();
    let shards = (0..n).map(|p| Counter::new(&fresh, p)).collect();
    let upto: Vec<Position> = (0..n).map(|p| engine.committed(Partition(p))).collect();
    let mut digest = Digest::default();
    for mut shard in replay(engine.journal(), &upto, &fresh, shards, &options(), |_| {}).unwrap() {
        for table in shard.stored() {
            table.digest(&mut digest).unwrap();
        }
    }
    digest
}

#[test]
fn one_and_seven_partitions_and_a_replay_agree() {
    let n_records = 3_000;
    let expected = expected(n_records);
    for n in [1, 2, 7] {
        let dir = tempfile::tempdir().unwrap();
        let engine = start(dir.path(), n);
        for chunk in (0..n_records).collect::<Vec<_>>().chunks(37) {
            // Every chunk is delivered twice, the second time backwards.
            engine.append(chunk.iter().map(|i| record(*i)).collect()).unwrap();
            engine.append(chunk.iter().rev().map(|i| record(*i)).collect()).unwrap();
        }
        assert_eq!(engine.digest(WAIT).unwrap(), expected, "{n} partitions");
        assert_eq!(replayed(dir.path(), &engine, n), expected, "replay with {n} partitions");
        assert_eq!(engine.health().n_duplicates, n_records, "each was delivered twice");
        assert!(engine.health().stopped.is_none());
    }
}

/// The same id under two subjects is two records, whether they meet in one partition or not.
#[test]
fn an_id_is_one_record_per_subject_with_any_number_of_partitions() {
    let digest_of = |n| {
        let dir = tempfile::tempdir().unwrap();
        let engine = start(dir.path(), n);
        for subject in 1..30 {
            let other = Record { id: record(7).id, ..record(subject) };
            engine.append(vec![other.clone(), other]).unwrap();
        }
        engine.digest(WAIT).unwrap()
    };
    assert_eq!(digest_of(1), digest_of(7));
}

#[test]
fn a_restart_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..5_u64 {
        let engine = start(dir.path(), 3);
        engine.append((round * 200..(round + 1) * 200).map(record).collect()).unwrap();
        engine.stop();
    }
    let engine = start(dir.path(), 3);
    assert_eq!(engine.digest(WAIT).unwrap(), expected(1_000));
}

/// A copy of the directory taken while it works is what a crash leaves.
#[test]
fn any_moment_is_a_good_moment_to_crash() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path(), 3);
    let mut copies = Vec::new();
    for round in 0..12_u64 {
        engine.append((round * 250..(round + 1) * 250).map(record).collect()).unwrap();
        let copy = tempfile::tempdir().unwrap();
        // State first: it may be behind the journal, never ahead.
        copy_dir(&dir.path().join("state"), &copy.path().join("state"));
        copy_dir(&dir.path().join("journal"), &copy.path().join("journal"));
        copies.push((copy, (round + 1) * 250));
    }
    engine.stop();
    for (copy, n_acknowledged) in copies {
        let engine = start(copy.path(), 3);
        assert_eq!(engine.digest(WAIT).unwrap(), expected(n_acknowledged));
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else if let Err(error) = std::fs::copy(entry.path(), &target) {
            // A file that the engine removed in between is no part of the copy.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        }
    }
}

#[test]
fn state_of_another_journal_is_refused() {
    let (left, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = start(left.path(), 1);
    engine.append_folded((0..10).map(record).collect(), WAIT).unwrap();
    engine.settle(WAIT).unwrap();
    engine.stop();
    drop(engine);
    let db = Database::open(&left.path().join("state"), 8 << 20).unwrap();
    let shards = vec![Counter::new(&db, 0)];
    let Err(error) = Engine::start(journal(right.path(), 1), db, shards, options()) else {
        panic!("state and journal do not belong together")
    };
    assert!(matches!(error, process::Error::Foreign { .. }), "{error}");
}

/// A fold that fails stops its partition and says so, instead of going on with wrong state.
#[test]
fn a_failing_fold_stops_its_partition_and_says_so() {
    struct Broken;
    impl Shard for Broken {
        fn fold(&mut self, _: Position, record: &Record, _: &mut Emissions) -> Result<(), store::Error> {
            if record.occurred_at.micros() >= 0 {
                return Err(store::Error::Corrupt { table: "t".into(), reason: "on purpose".into() });
            }
            Ok(())
        }
        fn stored(&mut self) -> Vec<&mut dyn Stored> {
            Vec::new()
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start(journal(dir.path(), 1), Database::memory(), vec![Broken], options()).unwrap();
    let error = engine.append_folded(vec![record(1)], WAIT).unwrap_err();
    assert!(error.to_string().contains("on purpose"), "{error}");
    assert!(engine.health().stopped.unwrap().contains("on purpose"));
    assert!(engine.append_folded(vec![record(2)], WAIT).is_err(), "nobody waits for ever");
    assert_eq!(engine.committed(Partition(0)), Position(0));
}
