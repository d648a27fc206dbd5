//! Folds one partition, record by record.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use event::{Position, Record};
use store::Emissions;

use crate::engine::{Part, Shared};
use crate::{Shard, commit, dedup};

/// How long a worker sleeps at most before it looks whether to commit or to stop.
const NAP: Duration = Duration::from_millis(50);

/// While a commit is due and another under way, how long to wait for records at least.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

pub(crate) fn run<S: Shard>(shared: &Arc<Shared<S>>, part: &Arc<Part<S>>) {
    let from = Position(part.folded.load(Ordering::Acquire));
    let mut tail = shared.journal.tail(part.partition, from);
    let mut last_commit = Instant::now();
    while !shared.stopping.load(Ordering::Acquire) && part.failed.lock().is_none() {
        let due = shared.options.commit_every.saturating_sub(last_commit.elapsed()).max(SHORTEST_WAIT);
        match tail.next(shared.options.batch_records, Some(due.min(NAP))) {
            Ok(batch) => {
                if let Err(error) = fold(shared, part, &batch) {
                    part.fail(error.to_string());
                    return;
                }
            }
            Err(error) => {
                part.fail(error.to_string());
                return;
            }
        }
        let unsent = std::mem::take(&mut *part.unsent.lock());
        if !unsent.is_empty() {
            emit(shared, part, unsent);
        }
        // One commit of a partition at a time: where the disk is slower than the folds, changes coalesce in memory instead
        // of queueing up behind it.
        let is_free = part.in_flight.load(Ordering::Acquire) == 0;
        if is_free && last_commit.elapsed() >= shared.options.commit_every {
            commit::request(shared, part, None);
            last_commit = Instant::now();
        }
    }
}

fn fold<S: Shard>(
    shared: &Arc<Shared<S>>,
    part: &Arc<Part<S>>,
    batch: &[(Position, Arc<Record>)],
) -> Result<(), store::Error> {
    let Some((last, _)) = batch.last() else { return Ok(()) };
    let next = Position(last.0 + 1);
    let mut emitted = Vec::new();
    let mut out = Emissions::default();
    {
        // Tables, duplicates and position move together under one lock: a commit sees them at one instant.
        let mut shard = part.shard.write();
        let mut seen = part.dedup.lock();
        for (position, record) in batch {
            if !seen.is_new(dedup::identity(record), *position) {
                part.n_duplicates.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            shard.fold(*position, record, &mut out)?;
            if !out.is_empty() {
                emitted.append(&mut out.take());
            }
        }
        part.emitted.fetch_add(emitted.len() as u64, Ordering::Release);
        part.folded.store(next.0, Ordering::Release);
    }
    part.n_folded.fetch_add(batch.len() as u64, Ordering::Relaxed);
    if !emitted.is_empty() {
        emit(shared, part, emitted.into_iter().map(Arc::new).collect());
    }
    part.announce(next);
    Ok(())
}

/// Internal emissions may go before the commit: after a crash the same records are emitted again under the
/// same ids, and dropped as duplicates.
fn emit<S: Shard>(shared: &Arc<Shared<S>>, part: &Arc<Part<S>>, records: Vec<Arc<Record>>) {
    let n_partitions = u16::try_from(shared.parts.len()).unwrap_or(u16::MAX);
    let batch =
        records.iter().map(|record| (record.subject.partition(n_partitions), record.clone())).collect();
    let part = part.clone();
    let done = Box::new(move |result: Result<Vec<Position>, journal::Error>| match result {
        Ok(_) => {
            *part.emitted_durable.lock() += records.len() as u64;
            part.emitted_signal.notify_all();
        }
        // Positions behind them are not committed meanwhile, so that a crash loses none of them.
        Err(error) if error.retry_helps() => part.unsent.lock().extend(records),
        Err(error) => part.fail(format!("what the folds emitted could not be stored: {error}")),
    });
    shared.journal.append_with(batch, done);
}
