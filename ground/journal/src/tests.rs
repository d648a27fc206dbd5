//! The log against a disk that fails, and against real files.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use event::{Partition, Position, Record};
use proptest::prelude::*;

use crate::conformance::{self, sample};
use crate::faulty::{Faults, Faulty};
use crate::segment::path_of;
use crate::{Error, Journal, Options};

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

/// Three appends in one segment; what they acknowledged, and where the last begins and ends.
fn three(disk: &Faulty) -> ([Numbers; 3], u64, u64) {
    let journal = open(disk).unwrap();
    let len = |journal: &Journal| journal.files()[0].1;
    let (a, b) = (append(&journal, 0..3).unwrap(), append(&journal, 3..6).unwrap());
    let start = len(&journal);
    let c = append(&journal, 6..9).unwrap();
    let end = len(&journal);
    journal.close();
    ([a, b, c], start, end)
}

fn sorted(parts: &[&Numbers]) -> Numbers {
    let mut all: Numbers = parts.iter().flat_map(|part| part.iter().copied()).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off() {
    let disk = Faulty::default();
    let ([a, b, c], start, end) = three(&disk);
    let path = path_of(Path::new(DIR), 1);
    for keep in start..=end {
        for zeros in [false, true] {
            let torn = disk.copy();
            torn.edit(&path, |bytes| {
                let len = bytes.len();
                bytes.truncate(keep as usize);
                if zeros {
                    bytes.resize(len, 0);
                }
            });
            let journal = open(&torn).unwrap();
            // A record without cells ends with two zeros, which zeros replace well.
            let expected = if keep == end || contents(&journal).len() == 9 {
                assert!(keep + 2 >= end);
                sorted(&[&a, &b, &c])
            } else {
                sorted(&[&a, &b])
            };
            assert_eq!(contents(&journal), expected, "kept {keep} of {end}");
            let n_cut = journal.cut().map_or(0, |cut| cut.n_bytes);
            assert_eq!(n_cut > 0, keep != start && expected.len() == 6, "kept {keep} of {end}");
            let d = append(&journal, 100..103).unwrap();
            let expected = sorted(&[&expected, &d]);
            assert_eq!(contents(&journal), expected);
            journal.close();
            assert_eq!(contents(&open(&torn).unwrap()), expected);
        }
    }
}

#[test]
fn a_flipped_bit_is_cut_off_at_the_tail_and_refused_before() {
    let disk = Faulty::default();
    let ([a, b, _], start, end) = three(&disk);
    let path = path_of(Path::new(DIR), 1);
    for at in 0..end {
        let damaged = disk.copy();
        damaged.edit(&path, |bytes| bytes[at as usize] ^= 1 << (at % 8));
        match open(&damaged) {
            Ok(journal) => {
                assert!(at >= start, "damage at byte {at} is not noticed");
                assert_eq!(contents(&journal), sorted(&[&a, &b]));
            }
            Err(error @ Error::Corrupt { offset, .. }) => {
                assert!(at < start && offset <= at, "{error} for {at}");
                let unchanged = damaged.copy();
                unchanged.edit(&path, |bytes| bytes[at as usize] ^= 1 << (at % 8));
                assert_eq!(contents(&open(&unchanged).unwrap()).len(), 9, "a refusal changes nothing");
            }
            Err(Error::NewerFormat { .. }) => assert!((8..10).contains(&at)),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn damage_in_an_older_file_is_never_skipped() {
    let disk = Faulty::default();
    let journal = open(&disk).unwrap();
    while journal.files().len() < 3 {
        append(&journal, 0..10).unwrap();
    }
    let (path, len) = journal.files()[1].clone();
    journal.close();
    disk.edit(&path, |bytes| bytes[len as usize - 1] ^= 1);
    let journal = open(&disk).unwrap();
    let scan = journal.scan(&[], |_, _, _| Ok(()));
    assert!(matches!(&scan, Err(Error::Corrupt { file, .. }) if *file == path), "{scan:?}");
    // The damaged block is partition 1's, as it comes last; partition 0 can still be read.
    let mut tail = journal.tail(Partition(1), Position(0));
    let error = loop {
        match tail.next(1, None) {
            Ok(records) => assert!(!records.is_empty(), "the damage was passed over"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, Error::Corrupt { file, .. } if *file == path), "{error}");
}

/// A record may hold the bytes of a journal, even of this one.
#[test]
fn a_journal_inside_a_record_is_no_journal() {
    let disk = Faulty::default();
    let ([a, b, _], start, end) = three(&disk);
    let path = path_of(Path::new(DIR), 1);
    let mut inner = Vec::new();
    disk.edit(&path, |bytes| inner = bytes[..end as usize].to_vec());
    let outer = disk.copy();
    outer.edit(&path, |bytes| bytes.truncate(start as usize));
    let journal = open(&outer).unwrap();
    let mut record = (*sample(0, 0)).clone();
    record.payload.open = inner.into();
    journal.append(vec![(Partition(0), Arc::new(record))]).unwrap();
    let end = journal.files()[0].1;
    journal.close();
    outer.edit(&path, |bytes| bytes[end as usize - 1] ^= 1);
    assert_eq!(contents(&open(&outer).unwrap()), sorted(&[&a, &b]), "the torn record is cut off");
}

#[test]
fn a_full_disk_refuses_and_takes_again() {
    let disk = Faulty::default();
    let journal = open(&disk).unwrap();
    let mut kept = append(&journal, 0..4).unwrap();
    let mut n_refused = 0;
    let mut number = 4;
    // Room grows from nothing to enough for a new segment and more.
    for room_bytes in (0..6000).step_by(100) {
        disk.set(Faults { room_bytes: Some(room_bytes), ..Faults::default() });
        match append(&journal, number..number + 7) {
            Ok(more) => kept.extend(more),
            Err(error) => {
                assert!(matches!(error, Error::Full { .. }), "{error}");
                assert!(error.retry_helps());
                n_refused += 1;
            }
        }
        number += 7;
        assert_eq!(contents(&journal), sorted(&[&kept]), "with room for {room_bytes}");
    }
    assert!(n_refused > 5, "{n_refused}");
    disk.set(Faults::default());
    kept.extend(append(&journal, number..number + 7).unwrap());
    journal.close();
    assert_eq!(contents(&open(&disk).unwrap()), sorted(&[&kept]));
}

#[test]
fn after_a_failed_sync_nothing_is_taken_until_reopened() {
    let disk = Faulty::default();
    let journal = open(&disk).unwrap();
    let kept = sorted(&[&append(&journal, 0..4).unwrap()]);
    for fault in
        [Faults { fail_sync: true, ..Faults::default() }, Faults { fail_write: true, ..Faults::default() }]
    {
        let disk = disk.after_power_loss(1, || false);
        let journal = open(&disk).unwrap();
        disk.set(fault);
        let error = append(&journal, 4..8).unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error}");
        assert!(error.to_string().contains("restart") && !error.retry_helps());
        let again = append(&journal, 8..12).unwrap_err();
        assert_eq!(again.to_string(), error.to_string(), "it is not tried again");
        assert!(journal.failure().is_some());
        assert_eq!(contents(&journal), kept, "what is durable can still be read");
        journal.close();
        let journal = open(&disk).unwrap();
        assert_eq!(contents(&journal), kept);
        let more = append(&journal, 12..16).unwrap();
        drop(journal);
        let disk = disk.after_power_loss(1, || false);
        assert_eq!(contents(&open(&disk).unwrap()), sorted(&[&kept, &more]));
    }
}

/// Killed after a sync had failed: the frame stands in the system's memory as if it were on disk.
#[test]
fn a_frame_only_the_system_remembers_is_made_durable_on_opening() {
    let disk = Faulty::default();
    let ([a, b, c], start, end) = three(&disk);
    let path = path_of(Path::new(DIR), 1);
    let mut frame = Vec::new();
    disk.edit(&path, |bytes| frame = bytes[start as usize..end as usize].to_vec());
    let torn = disk.copy();
    torn.edit(&path, |bytes| bytes[start as usize..].fill(0));
    let file = crate::disk::Disk::open(&torn, &path).unwrap();
    file.write_all_at(&frame, start).unwrap();
    torn.set(Faults { fail_sync: true, ..Faults::default() });
    file.sync().unwrap_err();
    let journal = open(&torn.after_kill()).unwrap();
    assert_eq!(contents(&journal), sorted(&[&a, &b, &c]));
    drop(journal);
    let lost = torn.after_power_loss(1, || false);
    assert_eq!(contents(&open(&lost).unwrap()), sorted(&[&a, &b, &c]), "what was shown is durable");
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

#[derive(Clone, Debug)]
enum Act {
    Append(u64),
    Reopen,
    Kill,
    PowerLoss(Vec<bool>),
    Full(u64),
    FailSync,
    FailWrite,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1..20_u64).prop_map(Act::Append),
        1 => Just(Act::Reopen),
        1 => Just(Act::Kill),
        2 => prop::collection::vec(any::<bool>(), 1..40).prop_map(Act::PowerLoss),
        1 => (0..3000_u64).prop_map(Act::Full),
        1 => Just(Act::FailSync),
        1 => Just(Act::FailWrite),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// LAW 1: whatever happens, what was acknowledged is there exactly once, where it was said to be.
    #[test]
    fn nothing_acknowledged_is_lost(acts in prop::collection::vec(act(), 1..40)) {
        let mut disk = Faulty::default();
        let mut journal = open(&disk).unwrap();
        let mut kept = Numbers::new();
        let mut number = 0;
        for act in acts {
            match act {
                Act::Append(n) => {
                    if let Ok(more) = append(&journal, number..number + n) {
                        kept.extend(more);
                    }
                    number += n;
                    disk.set(Faults::default());
                    continue;
                }
                Act::Full(room) => {
                    disk.set(Faults { room_bytes: Some(room), ..Faults::default() });
                    continue;
                }
                Act::FailSync => {
                    disk.set(Faults { fail_sync: true, ..Faults::default() });
                    continue;
                }
                Act::FailWrite => {
                    disk.set(Faults { fail_write: true, ..Faults::default() });
                    continue;
                }
                Act::Reopen => journal.close(),
                Act::Kill => {
                    // The copy is the disk as the killed process leaves it; its own end no longer matters.
                    let killed = disk.copy();
                    drop(journal);
                    disk = killed;
                }
                Act::PowerLoss(survivors) => {
                    let mut survivors = survivors.into_iter().cycle();
                    let lost = disk.after_power_loss(64, || survivors.next().unwrap());
                    drop(journal);
                    disk = lost;
                }
            }
            disk.set(Faults::default());
            journal = open(&disk).unwrap();
            let found = contents(&journal);
            for record in &kept {
                prop_assert!(found.contains(record), "{record:?} is lost");
            }
            let mut numbers: Vec<_> = found.iter().map(|(_, _, number)| *number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            prop_assert_eq!(numbers.len(), found.len(), "something is there twice");
            // What was never acknowledged but is there now has been shown, and must stay.
            kept = found;
        }
    }
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
