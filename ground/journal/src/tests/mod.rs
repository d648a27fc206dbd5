//! The log against a disk that fails, and against real files.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use event::{Partition, Position, Record};

use crate::conformance::{self, sample};
use crate::faulty::{Faults, Faulty};
use crate::segment::path_of;
use crate::{Error, Journal, Options};

mod damage;
mod faults;

const DIR: &str = "/journal";

/// Small everything, so that a test sees segments end, memory overflow and zeros ahead.
fn small(n_partitions: u16) -> Options {
    Options {
        n_partitions,
        segment_bytes: 8192,
        queue_bytes: 4096,
        commit_bytes: 2048,
        recent_bytes: 3000,
        ahead_bytes: 6000,
    }
}

fn open(disk: &Faulty) -> Result<Journal, Error> {
    Journal::open_on(Arc::new(disk.clone()), Path::new(DIR), small(2))
}

type Numbers = Vec<(u16, u64, u64)>;

/// Appends the numbers to partitions by parity; what was acknowledged.
fn append(journal: &Journal, numbers: std::ops::Range<u64>) -> Result<Numbers, Error> {
    let records = numbers.clone().map(|i| (Partition((i % 2) as u16), sample(i, 120))).collect();
    let positions = journal.append(records)?;
    Ok(numbers.zip(positions).map(|(i, position)| ((i % 2) as u16, position.0, i)).collect())
}

/// Everything in the log as (partition, position, number), sorted; each record checked to be as it was made.
fn contents(journal: &Journal) -> Numbers {
    let mut found = Vec::new();
    let from = [Position(0), Position(0)];
    let mut add = |partition: Partition, position: Position, record: &Record| {
        let text = std::str::from_utf8(&record.payload.open).unwrap();
        let number = text.trim_start_matches("{\"number\":").split(',').next().unwrap().parse().unwrap();
        assert_eq!(*record, *sample(number, 120));
        found.push((partition.0, position.0, number));
    };
    let scan = journal.scan(&from, |partition, position, record| {
        add(partition, position, &record);
        Ok(())
    });
    scan.unwrap();
    found.sort_unstable();
    let mut followed = Vec::new();
    for p in 0..journal.n_partitions() {
        let mut tail = journal.tail(Partition(p), Position(0));
        while tail.position() < journal.end(Partition(p)) {
            followed.extend(tail.next(5, None).unwrap().into_iter().map(|(position, _)| (p, position.0)));
        }
    }
    assert!(found.iter().map(|(p, position, _)| (*p, *position)).eq(followed), "scan and tails agree");
    found
}

/// Files made ahead: long enough to be worth it, short enough to roll often.
#[test]
fn files_made_ahead_hold_what_others_hold() {
    let options = || Options { segment_bytes: 32 << 10, ahead_bytes: 4 << 10, ..small(2) };
    let dir = tempfile::tempdir().unwrap();
    let mut known = Vec::new();
    for round in 0..3_u64 {
        let journal = Journal::open(dir.path(), options()).unwrap();
        assert!(journal.cut().is_none());
        for i in 0..200 {
            let first = (round * 200 + i) * 3;
            known.extend(append(&journal, first..first + 3).unwrap());
        }
        known.sort_unstable();
        assert_eq!(contents(&journal), known);
        journal.close();
        let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        assert!(names.iter().all(|name| !name.ends_with(".new")), "{names:?}");
        assert!(names.len() > 4, "{names:?}");
    }
    let lengths = (2..5).map(|number| path_of(dir.path(), number).metadata().unwrap().len());
    assert!(lengths.into_iter().all(|len| len <= 32 << 10), "what is left of the zeros is cut off");
}

#[test]
fn the_embedded_log_keeps_what_the_port_promises() {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str, n| {
        Journal::open(dir.path().join(name), Options { n_partitions: n, ..Options::default() })
    };
    conformance::check(&open).unwrap();
    let open = |name: &str, n| Journal::open(dir.path().join("small").join(name), small(n));
    conformance::check(&open).unwrap();
    let disk = Faulty::default();
    let open = |name: &str, n| Journal::open_on(Arc::new(disk.clone()), &Path::new(DIR).join(name), small(n));
    conformance::check(&open).unwrap();
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = Journal::open(dir.path(), small(2)).unwrap();
    let error = Journal::open(dir.path(), small(2)).err().unwrap();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    drop(first);
    Journal::open(dir.path(), small(2)).unwrap();
}

#[test]
fn what_cannot_be_opened_is_named() {
    let disk = Faulty::default();
    disk.set(Faults { read_only: true, ..Faults::default() });
    assert!(matches!(open(&disk), Err(Error::ReadOnly { .. })));
    disk.set(Faults { room_bytes: Some(10), ..Faults::default() });
    assert!(matches!(open(&disk), Err(Error::Full { .. })));
    disk.set(Faults::default());
    let journal = open(&disk).unwrap();
    while journal.files().len() < 3 {
        append(&journal, 0..10).unwrap();
    }
    journal.close();

    let other = Journal::open_on(Arc::new(disk.copy()), Path::new(DIR), small(3)).err().unwrap();
    assert!(other.to_string().contains("has 2 partitions, but 3"), "{other}");
    let none = Journal::open_on(Arc::new(disk.copy()), Path::new(DIR), small(0)).err().unwrap();
    assert!(matches!(none, Error::Setting { .. }), "{none}");

    let newer = disk.copy();
    newer.edit(&path_of(Path::new(DIR), 2), |bytes| bytes[8] = 9);
    assert!(matches!(open(&newer), Err(Error::NewerFormat { found: 9, known: 1, .. })));
    let foreign = disk.copy();
    foreign.edit(&path_of(Path::new(DIR), 2), |bytes| bytes[0] = 9);
    assert!(matches!(open(&foreign), Err(Error::Corrupt { offset: 0, .. })));
    let shortened = disk.copy();
    shortened.edit(&path_of(Path::new(DIR), 2), |bytes| bytes.truncate(bytes.len() - 1));
    assert!(matches!(open(&shortened), Err(Error::Corrupt { .. })));
    let missing = disk.copy();
    crate::disk::Disk::remove(&missing, &path_of(Path::new(DIR), 2)).unwrap();
    assert!(matches!(open(&missing), Err(Error::Missing { .. })));
}

/// The first append's callback holds the writer until the others are queued.
fn hold(journal: &Journal) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel();
    let (held, holding) = mpsc::channel();
    let done = Box::new(move |_| {
        held.send(()).unwrap();
        let _ = released.recv();
    });
    journal.append_with(vec![(Partition(0), sample(0, 120))], done);
    holding.recv().unwrap();
    release
}

#[test]
fn what_is_queued_together_costs_one_sync() {
    let disk = Faulty::default();
    let journal = open(&disk).unwrap();
    let release = hold(&journal);
    let before = disk.n_syncs();
    let (send, told) = mpsc::channel();
    for i in 0..5 {
        let send = send.clone();
        let done = Box::new(move |result| send.send(result).unwrap());
        journal.append_with(vec![(Partition(i % 2), sample(i.into(), 120))], done);
    }
    drop(release);
    drop(send);
    let positions: Vec<_> = told.iter().map(|result| result.unwrap()[0].0).collect();
    assert_eq!(positions, [1, 0, 2, 1, 3], "in the order they were queued");
    assert_eq!(disk.n_syncs() - before, 1);
}

#[test]
fn a_full_queue_refuses_or_waits() {
    let disk = Faulty::default();
    let journal = open(&disk).unwrap();
    let release = hold(&journal);
    let (send, told) = mpsc::channel();
    for i in 0..100 {
        let send = send.clone();
        let done = Box::new(move |result: Result<Vec<Position>, Error>| send.send(result).unwrap());
        journal.append_with(vec![(Partition(0), sample(i, 120))], done);
    }
    let error = told.recv().unwrap().unwrap_err();
    assert!(matches!(error, Error::Overloaded { limit_bytes: 4096, .. }) && error.retry_helps(), "{error}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| append(&journal, 200..210));
        drop(release);
        assert_eq!(waiting.join().unwrap().unwrap().len(), 10);
    });
    // More than the whole queue holds still gets through, alone.
    assert_eq!(append(&journal, 300..400).unwrap().len(), 100);
}

#[test]
fn a_panic_of_a_caller_stops_nothing() {
    let journal = open(&Faulty::default()).unwrap();
    journal
        .append_with(vec![(Partition(0), sample(0, 120))], Box::new(|_| panic!("the caller's own defect")));
    assert_eq!(append(&journal, 0..2).unwrap().len(), 2);
}

#[test]
fn the_last_clone_may_go_in_a_callback() {
    let disk = Faulty::default();
    let journal = open(&disk).unwrap();
    let clone = journal.clone();
    let (gone, is_gone) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let done = Box::new(move |_| {
        let _ = released.recv();
        drop(clone);
        gone.send(()).unwrap();
    });
    journal.append_with(vec![(Partition(0), sample(0, 120))], done);
    let mut tail = journal.tail(Partition(0), Position(1));
    drop(journal);
    drop(release);
    is_gone.recv().unwrap();
    assert!(matches!(tail.next(1, Some(Duration::from_secs(30))), Err(Error::Closed)));
}

/// The stored format stays readable for ever: these files were written by the first build.
#[test]
fn version_1_stays_readable() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire/v1");
    if std::env::var_os("WRITE_WIRE_SAMPLE").is_some() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), small(2)).unwrap();
        while journal.files().len() < 2 {
            let end = journal.end(Partition(0)).0 + journal.end(Partition(1)).0;
            append(&journal, end..end + 1 + end % 5).unwrap();
        }
        // A small frame, behind which zeros are left.
        let end = journal.end(Partition(0)).0 + journal.end(Partition(1)).0;
        append(&journal, end..end + 1).unwrap();
        journal.close();
        std::fs::create_dir_all(&samples).unwrap();
        for (path, _) in journal.files() {
            std::fs::copy(&path, samples.join(path.file_name().unwrap())).unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(&samples).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let journal = Journal::open(dir.path(), small(2)).unwrap();
    assert_eq!(journal.files().len(), 2);
    let mut found: Vec<_> = contents(&journal).into_iter().map(|(_, _, number)| number).collect();
    found.sort_unstable();
    assert!(
        found.len() > 20
            && found.into_iter().eq(0..journal.end(Partition(0)).0 + journal.end(Partition(1)).0)
    );
}
