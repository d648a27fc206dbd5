//! Folds a journal from its start into an empty database, as fast as the cores go.

use std::sync::Arc;
use std::sync::mpsc;

use event::{Partition, Position, Record};
use journal::Journal;
use store::{Database, Emissions};

use crate::dedup::{Dedup, identity};
use crate::{Error, Options, Shard, commit};

/// How far a replay is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Records read.
    pub n_done: u64,
    /// Records to read.
    pub n_total: u64,
}

/// Records handed to a partition's thread at once.
const CHUNK: usize = 512;
/// Records a partition folds between two commits.
const COMMIT_RECORDS: usize = 200_000;

/// Folds every record before `upto` (one position per partition) into `shards`, whose tables must lie in the
/// empty `db`. What the folds emit is dropped: it is already in the journal. The result is committed.
///
/// # Errors
/// [`Error::Journal`], [`Error::Store`]; `db` is then to be thrown away.
pub fn replay<S: Shard>(
    journal: &Journal,
    upto: &[Position],
    db: &Database,
    shards: Vec<S>,
    options: &Options,
    mut progress: impl FnMut(Progress),
) -> Result<Vec<S>, Error> {
    let n_total = upto.iter().map(|p| p.0).sum();
    std::thread::scope(|scope| {
        let mut inboxes = Vec::new();
        let mut threads = Vec::new();
        for (index, shard) in shards.into_iter().enumerate() {
            let (send, inbox) = mpsc::sync_channel::<Vec<(Position, Arc<Record>)>>(16);
            let partition = Partition(u16::try_from(index).unwrap_or(u16::MAX));
            inboxes.push((send, Vec::with_capacity(CHUNK)));
            threads.push(scope.spawn(move || partition_loop(&inbox, partition, db, shard, options)));
        }
        let mut n_done = 0;
        let from = vec![Position(0); inboxes.len()];
        let scanned = journal.scan(&from, |partition, position, record| {
            let index = usize::from(partition.0);
            if upto.get(index).is_none_or(|end| position >= *end) {
                return Ok(());
            }
            n_done += 1;
            if n_done % 100_000 == 0 {
                progress(Progress { n_done, n_total });
            }
            if let Some((send, chunk)) = inboxes.get_mut(index) {
                chunk.push((position, record));
                if chunk.len() >= CHUNK {
                    // A thread that stopped has an error of its own, which is reported below.
                    let _ = send.send(std::mem::replace(chunk, Vec::with_capacity(CHUNK)));
                }
            }
            Ok(())
        });
        for (send, chunk) in inboxes {
            let _ = send.send(chunk);
        }
        let mut done = Vec::new();
        for (index, thread) in threads.into_iter().enumerate() {
            let partition = Partition(u16::try_from(index).unwrap_or(u16::MAX));
            match thread.join() {
                Ok(shard) => done.push(shard?),
                Err(_) => return Err(Error::Stopped { partition, reason: "a fold panicked".to_owned() }),
            }
        }
        scanned?;
        progress(Progress { n_done, n_total });
        Ok(done)
    })
}

fn partition_loop<S: Shard>(
    inbox: &mpsc::Receiver<Vec<(Position, Arc<Record>)>>,
    partition: Partition,
    db: &Database,
    mut shard: S,
    options: &Options,
) -> Result<S, Error> {
    let mut dedup = Dedup::load(db, partition, options.dedup_horizon)?;
    let mut out = Emissions::default();
    let mut since_commit = 0;
    let mut next = Position(0);
    while let Ok(chunk) = inbox.recv() {
        for (position, record) in &chunk {
            if dedup.is_new(identity(record), *position) {
                shard.fold(*position, record, &mut out)?;
                if !out.is_empty() {
                    out.take();
                }
            }
            next = Position(position.0 + 1);
        }
        since_commit += chunk.len();
        if since_commit >= COMMIT_RECORDS {
            write(db, partition, next, &mut shard, &mut dedup, options)?;
            since_commit = 0;
        }
    }
    write(db, partition, next, &mut shard, &mut dedup, options)?;
    Ok(shard)
}

fn write<S: Shard>(
    db: &Database,
    partition: Partition,
    next: Position,
    shard: &mut S,
    dedup: &mut Dedup,
    options: &Options,
) -> Result<(), Error> {
    let mut writes = Vec::new();
    dedup.drain(db, next, &mut writes)?;
    let mut pending = Vec::new();
    for table in shard.stored() {
        table.drain(&mut pending);
    }
    for change in pending {
        writes.push(change.into_write()?);
    }
    writes.push(commit::position_write(partition, next));
    db.write(writes, false)?;
    for table in shard.stored() {
        table.evict(options.hot_entries);
    }
    Ok(())
}
