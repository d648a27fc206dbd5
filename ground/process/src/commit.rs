//! Writes state and position together.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use event::{Partition, Position};
use store::{Database, Pending, Write};

use crate::Shard;
use crate::engine::{Part, Shared};

/// How far commits step back, on the scale of `nice`.
#[cfg(target_os = "linux")]
const COMMIT_NICENESS: i32 = 10;

type Done = Sender<Result<(), (Partition, String)>>;

/// One partition's changes, taken at one instant.
pub(crate) struct Job {
    partition: Partition,
    position: Position,
    /// Emissions that must be durable before this position may be.
    emitted: u64,
    pending: Vec<Pending>,
    writes: Vec<Write>,
    done: Option<Done>,
}

fn position_key(partition: Partition) -> Vec<u8> {
    let mut key = b"process.position\0".to_vec();
    key.extend_from_slice(&partition.0.to_be_bytes());
    key
}

/// The next position to fold, according to the database.
pub(crate) fn position(db: &Database, partition: Partition) -> Result<Position, store::Error> {
    let bytes = db.get(&position_key(partition))?;
    Ok(Position(bytes.and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes)))
}

/// The write that sets the next position to fold.
pub(crate) fn position_write(partition: Partition, position: Position) -> Write {
    (position_key(partition), Some(position.0.to_be_bytes().to_vec()))
}

/// Takes a partition's changes and hands them to the committer.
pub(crate) fn request<S: Shard>(shared: &Arc<Shared<S>>, part: &Arc<Part<S>>, done: Option<Done>) {
    let mut writes = Vec::new();
    let mut pending = Vec::new();
    let (position, emitted) = {
        let mut shard = part.shard.write();
        let position = Position(part.folded.load(Ordering::Acquire));
        // Under the same lock as a fold: tables, duplicates, emissions and position belong to one instant.
        if let Err(error) = part.dedup.lock().drain(&shared.db, position, &mut writes) {
            part.fail(error.to_string());
        }
        for table in shard.stored() {
            table.drain(&mut pending);
        }
        part.in_flight.fetch_add(1, Ordering::AcqRel);
        (position, part.emitted.load(Ordering::Acquire))
    };
    let job = Job { partition: part.partition, position, emitted, pending, writes, done };
    // The committer outlives every worker; it is gone only when the engine stops.
    let _ = shared.jobs.send(job);
}

/// Lets requests go before commits where processors are short: a commit can wait, a decision cannot.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), COMMIT_NICENESS)
    {
        tracing::debug!(%error, "commits keep the priority of requests");
    }
}

pub(crate) struct Committer<S> {
    shared: Arc<Shared<S>>,
}

impl<S: Shard> Committer<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>) -> Self {
        Self { shared }
    }

    /// Works until the engine stops, then takes what is left of every partition.
    pub(crate) fn run(self, inbox: &Receiver<Job>) {
        step_back();
        loop {
            match inbox.recv_timeout(Duration::from_millis(50)) {
                Ok(job) => self.handle(job),
                Err(RecvTimeoutError::Timeout) if !self.shared.stopping.load(Ordering::Acquire) => {}
                Err(_) => break,
            }
        }
        for part in &self.shared.parts {
            request(&self.shared, part, None);
        }
        while let Ok(job) = inbox.try_recv() {
            self.handle(job);
        }
    }

    fn handle(&self, job: Job) {
        let Some(part) = self.shared.parts.get(usize::from(job.partition.0)) else { return };
        let done = job.done.clone();
        let result =
            if let Some(reason) = part.failed.lock().clone() { Err(reason) } else { self.commit(part, job) };
        if let Err(reason) = &result
            && part.failed.lock().is_none()
        {
            part.fail(reason.clone());
        }
        if let Some(done) = done {
            // The receiver is gone only where the caller gave up waiting.
            let _ = done.send(result.map_err(|reason| (part.partition, reason)));
        }
    }

    fn commit(&self, part: &Part<S>, job: Job) -> Result<(), String> {
        self.await_emissions(part, job.emitted)?;
        let mut writes = job.writes;
        writes.reserve(job.pending.len() + 1);
        for pending in job.pending {
            writes.push(pending.into_write().map_err(|e| e.to_string())?);
        }
        // A commit at an interval is not synced: the journal is, and what a power loss takes of the state is folded again.
        // One that somebody waits for is, so that an external effect never runs ahead of the state that asked for it.
        let sync = job.done.is_some();
        let behind = if sync { &part.synced } else { &part.committed };
        if !writes.is_empty() || behind.load(Ordering::Acquire) != job.position.0 {
            writes.push(position_write(job.partition, job.position));
            self.shared.db.write(writes, sync).map_err(|e| e.to_string())?;
            part.committed.store(job.position.0, Ordering::Release);
            if sync {
                part.synced.store(job.position.0, Ordering::Release);
            }
            part.n_commits.fetch_add(1, Ordering::Relaxed);
        }
        let mut shard = part.shard.write();
        // Only where no later commit is under way is all that was drained in the database.
        if part.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            for table in shard.stored() {
                table.evict(self.shared.options.hot_entries);
            }
        }
        Ok(())
    }

    /// LAW 1: a position may be durable only after everything that was emitted before it is.
    fn await_emissions(&self, part: &Part<S>, emitted: u64) -> Result<(), String> {
        let mut durable = part.emitted_durable.lock();
        while *durable < emitted {
            if let Some(reason) = part.failed.lock().clone() {
                return Err(reason);
            }
            part.emitted_signal.wait_for(&mut durable, Duration::from_millis(200));
        }
        Ok(())
    }
}
