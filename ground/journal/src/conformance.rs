//! What every provider of the journal must keep, as one suite: the embedded log runs it in its tests, and so must
//! any other. It asks only for what the port promises: it compares positions, but never counts on their distance.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use event::{Instant, Partition, Payload, Position, Record, RecordId, StreamName, Subject, Version};

use crate::{Error, Journal};

/// Opens the log of the given name with so many partitions, and the same log when asked again.
pub type Open<'a> = &'a dyn Fn(&str, u16) -> Result<Journal, Error>;

/// How long a record that is durable may take to be seen.
const PATIENCE: Duration = Duration::from_secs(30);

macro_rules! ensure {
    ($holds:expr, $($said:tt)+) => {
        if !$holds {
            return Err(format!($($said)+));
        }
    };
}

/// Runs every check.
///
/// # Errors
/// What the first broken promise was.
pub fn check(open: Open<'_>) -> Result<(), String> {
    type Check = fn(Open<'_>, &str) -> Result<(), String>;
    let checks: [(&str, Check); 7] = [
        ("order-within-partition", order_within_partition),
        ("positions-follow-the-append", positions_follow_the_append),
        ("reopened-is-the-same", reopened_is_the_same),
        ("memory-and-disk-agree", memory_and_disk_agree),
        ("concurrent-appends", concurrent_appends),
        ("tails-wake", tails_wake),
        ("closing", closing),
    ];
    for (name, check) in checks {
        check(open, name).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// A record that differs from all others of another number.
pub fn sample(number: u64, n_bytes: usize) -> Arc<Record> {
    let mut open = format!(r#"{{"number":{number},"filling":""#).into_bytes();
    open.resize(open.len().max(n_bytes), b'x');
    open.extend_from_slice(b"\"}");
    let id = RecordId::external("conformance", &number.to_le_bytes());
    Arc::new(Record {
        id,
        stream: StreamName::new("conformance"),
        contract: Version::new(1, 0, 0),
        subject: Subject::from_bytes(*id.as_bytes()),
        occurred_at: Instant::from_micros(1_700_000_000_000_000),
        known_at: Instant::from_micros(1_700_000_000_000_001),
        batch: None,
        cause: None,
        source: None,
        key_epoch: 0,
        payload: Payload { open: open.into(), cells: Vec::new() },
    })
}

type Found = Vec<(Position, Arc<Record>)>;

/// Everything in a partition from `from` to its end.
fn follow(journal: &Journal, partition: Partition, from: Position, at_once: usize) -> Result<Found, String> {
    let end = journal.end(partition);
    let mut tail = journal.tail(partition, from);
    let mut found: Found = Vec::new();
    while tail.position() < end {
        let records = tail.next(at_once, Some(PATIENCE)).map_err(text)?;
        ensure!(!records.is_empty(), "the tail ends at {} before {end}", tail.position());
        ensure!(records.len() <= at_once, "{} records where {at_once} were asked for", records.len());
        found.extend(records);
    }
    let rising = found.iter().zip(found.iter().skip(1)).all(|((a, _), (b, _))| a < b);
    ensure!(rising, "positions do not rise");
    Ok(found)
}

fn scanned(journal: &Journal, from: &[Position]) -> Result<Vec<Found>, String> {
    let mut found = vec![Found::new(); usize::from(journal.n_partitions())];
    let scan = journal.scan(from, |partition, position, record| {
        if let Some(found) = found.get_mut(usize::from(partition.0)) {
            found.push((position, record));
        }
        Ok(())
    });
    scan.map_err(text)?;
    Ok(found)
}

fn partitions(journal: &Journal) -> impl Iterator<Item = Partition> + use<> {
    (0..journal.n_partitions()).map(Partition)
}

fn text(error: Error) -> String {
    error.to_string()
}

/// Appends `n` numbered records in small appends, each to a partition by its number.
fn fill(journal: &Journal, n: u64) -> Result<Vec<Found>, String> {
    let n_partitions = u64::from(journal.n_partitions());
    let mut written = vec![Found::new(); usize::from(journal.n_partitions())];
    let mut number = 0;
    while number < n {
        let size = (number % 7 + 1).min(n - number);
        let records: Vec<_> = (number..number + size)
            .map(|i| {
                (Partition(u16::try_from(i * i % n_partitions).unwrap_or(0)), sample(i, (i % 50) as usize))
            })
            .collect();
        let positions = journal.append(records.clone()).map_err(text)?;
        ensure!(positions.len() == records.len(), "{} positions for {}", positions.len(), records.len());
        for ((partition, record), position) in records.into_iter().zip(positions) {
            ensure!(journal.end(partition) > position, "acknowledged {position} lies behind the end");
            if let Some(written) = written.get_mut(usize::from(partition.0)) {
                written.push((position, record));
            }
        }
        number += size;
    }
    Ok(written)
}

fn order_within_partition(open: Open<'_>, name: &str) -> Result<(), String> {
    let journal = open(name, 3).map_err(text)?;
    let written = fill(&journal, 500)?;
    ensure!(scanned(&journal, &[])? == written, "a scan gives other records than were written");
    for (partition, written) in partitions(&journal).zip(&written) {
        for at_once in [1, 16, 10_000] {
            let found = follow(&journal, partition, Position(0), at_once)?;
            ensure!(
                found == *written,
                "partition {partition} read {at_once} at a time differs from what was written"
            );
        }
    }
    Ok(())
}

fn positions_follow_the_append(open: Open<'_>, name: &str) -> Result<(), String> {
    let journal = open(name, 2).map_err(text)?;
    ensure!(journal.append(Vec::new()).map_err(text)?.is_empty(), "an empty append has positions");
    let records: Vec<_> = (0..10).map(|i| (Partition((i % 2) as u16), sample(i, 0))).collect();
    let positions = journal.append(records.clone()).map_err(text)?;
    for ((partition, record), position) in records.iter().zip(positions) {
        let found = journal.tail(*partition, position).next(1, None).map_err(text)?;
        ensure!(
            found == [(position, record.clone())],
            "position {position} of partition {partition} is not its record"
        );
    }
    let refused = journal.append(vec![(Partition(0), sample(0, 0)), (Partition(2), sample(1, 0))]);
    ensure!(matches!(refused, Err(Error::NoSuchPartition { .. })), "partition 2 of 2 is accepted");
    let n_found: usize = scanned(&journal, &[])?.iter().map(Vec::len).sum();
    ensure!(n_found == records.len(), "a refused append left something behind");
    Ok(())
}

fn reopened_is_the_same(open: Open<'_>, name: &str) -> Result<(), String> {
    let mut written: Vec<Found> = vec![Found::new(); 4];
    for _ in 0..3 {
        let journal = open(name, 4).map_err(text)?;
        ensure!(scanned(&journal, &[])? == written, "the reopened journal differs from what was written");
        for (written, more) in written.iter_mut().zip(fill(&journal, 100)?) {
            let rises = written.last().zip(more.first()).is_none_or(|((a, _), (b, _))| a < b);
            ensure!(rises, "positions begin again after reopening");
            written.extend(more);
        }
        journal.close();
    }
    let journal = open(name, 4).map_err(text)?;
    ensure!(scanned(&journal, &[])? == written, "the reopened journal differs from what was written");
    Ok(())
}

fn memory_and_disk_agree(open: Open<'_>, name: &str) -> Result<(), String> {
    let journal = open(name, 3).map_err(text)?;
    let written = fill(&journal, 300)?;
    let from_memory: Vec<Found> =
        partitions(&journal).map(|p| follow(&journal, p, Position(0), 32)).collect::<Result<_, _>>()?;
    journal.close();
    drop(journal);
    let journal = open(name, 3).map_err(text)?;
    for ((partition, written), from_memory) in partitions(&journal).zip(&written).zip(from_memory) {
        ensure!(from_memory == *written, "the tail from memory differs in partition {partition}");
        for (index, (position, _)) in written.iter().enumerate().step_by(17) {
            let found = follow(&journal, partition, *position, 32)?;
            ensure!(written.get(index..) == Some(&found), "the tail of {partition} from {position} differs");
            let mut from: Vec<_> = partitions(&journal).map(|p| journal.end(p)).collect();
            if let Some(from) = from.get_mut(usize::from(partition.0)) {
                *from = *position;
            }
            let found: Found = scanned(&journal, &from)?.into_iter().flatten().collect();
            ensure!(written.get(index..) == Some(&found), "the scan of {partition} from {position} differs");
        }
    }
    Ok(())
}

fn concurrent_appends(open: Open<'_>, name: &str) -> Result<(), String> {
    let journal = open(name, 3).map_err(text)?;
    let write = |writer: u64| {
        let mut acknowledged = Vec::new();
        for i in 0..50 {
            let number = writer * 1000 + i;
            let partition = Partition((number % 3) as u16);
            let position = journal.append(vec![(partition, sample(number, 100))]).map_err(text)?;
            acknowledged.push((partition, position, number));
        }
        Ok::<_, String>(acknowledged)
    };
    let acknowledged = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|writer| scope.spawn(move || write(writer))).collect();
        let joined = threads.into_iter().map(|t| t.join().unwrap_or(Err("a writer panicked".to_owned())));
        joined.collect::<Result<Vec<_>, _>>()
    })?;
    let found = scanned(&journal, &[])?;
    ensure!(found.iter().map(Vec::len).sum::<usize>() == 200, "not every record is there exactly once");
    for (partition, positions, number) in acknowledged.into_iter().flatten() {
        let records = found.get(usize::from(partition.0));
        let record = records.and_then(|r| r.iter().find(|(p, _)| positions == [*p]));
        ensure!(
            record.is_some_and(|(_, r)| *r == sample(number, 100)),
            "record {number} is not where it was put"
        );
    }
    Ok(())
}

fn tails_wake(open: Open<'_>, name: &str) -> Result<(), String> {
    let journal = open(name, 1).map_err(text)?;
    let mut tail = journal.tail(Partition(0), Position(0));
    ensure!(tail.next(10, None).map_err(text)?.is_empty(), "a tail without wait gives something unwritten");
    let short = Some(Duration::from_millis(1));
    ensure!(tail.next(10, short).map_err(text)?.is_empty(), "a tail gives something unwritten");
    let n = 10;
    std::thread::scope(|scope| {
        let follower = scope.spawn(move || {
            let mut found: Found = Vec::new();
            while (found.len() as u64) < n {
                let start = std::time::Instant::now();
                let records = tail.next(10, Some(PATIENCE)).map_err(text)?;
                let in_time = start.elapsed() < PATIENCE / 2;
                ensure!(in_time && !records.is_empty(), "the tail was not woken");
                found.extend(records);
            }
            Ok(found)
        });
        let (send, acknowledged) = mpsc::channel();
        for i in 0..n {
            let send = send.clone();
            let done = Box::new(move |result| drop(send.send(result)));
            journal.append_with(vec![(Partition(0), sample(i, 10))], done);
        }
        drop(send);
        let mut positions = Vec::new();
        for result in acknowledged {
            positions.extend(result.map_err(text)?);
        }
        let found = follower.join().unwrap_or(Err("the follower panicked".to_owned()))?;
        ensure!(
            found.iter().map(|(p, _)| *p).eq(positions),
            "appends of one thread lie in another order than queued"
        );
        Ok(())
    })
}

fn closing(open: Open<'_>, name: &str) -> Result<(), String> {
    let journal = open(name, 1).map_err(text)?;
    journal.append(vec![(Partition(0), sample(0, 10))]).map_err(text)?;
    let mut behind = journal.tail(Partition(0), Position(0));
    let mut waiting = journal.tail(Partition(0), journal.end(Partition(0)));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || waiting.next(10, Some(PATIENCE)));
        journal.close();
        let woken = waiter.join().map_err(|_| "the waiter panicked".to_owned())?;
        ensure!(matches!(woken, Err(Error::Closed)), "a waiting tail is not told of the closing: {woken:?}");
        Ok(())
    })?;
    ensure!(behind.next(10, None).map_err(text)?.len() == 1, "a tail cannot read on after the closing");
    ensure!(matches!(behind.next(10, None), Err(Error::Closed)), "a tail does not end");
    let refused = journal.append(vec![(Partition(0), sample(1, 10))]);
    ensure!(matches!(refused, Err(Error::Closed)), "a closed journal takes records");
    let (send, told) = mpsc::channel();
    journal.append_with(vec![(Partition(0), sample(1, 10))], Box::new(move |result| drop(send.send(result))));
    ensure!(matches!(told.recv(), Ok(Err(Error::Closed))), "a closed journal takes records");
    journal.close();
    Ok(())
}
