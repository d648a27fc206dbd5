//! The running loop and what others may ask of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use event::{Partition, Position, Record};
use journal::Journal;
use parking_lot::{Condvar, Mutex, RwLock};
use store::{Database, Digest};

use crate::commit::{Committer, Job};
use crate::dedup::Dedup;
use crate::{Error, Shard, commit, worker};

/// How the loop runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Time between two commits of a partition's state.
    pub commit_every: Duration,
    /// Entries of each table and partition that stay in memory.
    pub hot_entries: usize,
    /// How many positions back, in each partition, a duplicate is recognised.
    pub dedup_horizon: u64,
    /// Most records folded under one hold of a partition's lock.
    pub batch_records: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            commit_every: Duration::from_millis(1_000),
            hot_entries: 200_000,
            dedup_horizon: 1_000_000,
            batch_records: 256,
        }
    }
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The partition.
    pub partition: Partition,
    /// The position in it.
    pub position: Position,
}

/// How the loop is.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Records that are durable but not folded, over all partitions.
    pub lag_records: u64,
    /// Records folded since the start.
    pub n_folded: u64,
    /// Duplicates dropped since the start.
    pub n_duplicates: u64,
    /// Commits since the start.
    pub n_commits: u64,
    /// Why a partition stopped, if one did.
    pub stopped: Option<String>,
}

pub(crate) type Waiter = (Position, Box<dyn FnOnce(Result<(), String>) + Send>);

/// One partition at work.
pub(crate) struct Part<S> {
    pub(crate) partition: Partition,
    pub(crate) shard: RwLock<S>,
    pub(crate) dedup: Mutex<Dedup>,
    /// The next position to fold.
    pub(crate) folded: AtomicU64,
    /// The next position to fold according to what is on disk.
    pub(crate) committed: AtomicU64,
    /// The same according to what survives a power loss; `u64::MAX` until this loop has synced for the first time.
    pub(crate) synced: AtomicU64,
    /// Commits asked for and not yet written.
    pub(crate) in_flight: AtomicU64,
    pub(crate) waiters: Mutex<Vec<Waiter>>,
    pub(crate) failed: Mutex<Option<String>>,
    /// Emitted records handed to the journal, and how many of them are durable.
    pub(crate) emitted: AtomicU64,
    pub(crate) emitted_durable: Mutex<u64>,
    pub(crate) emitted_signal: Condvar,
    /// Emitted records that the journal had no room for; the worker hands them in again.
    pub(crate) unsent: Mutex<Vec<Arc<Record>>>,
    pub(crate) n_folded: AtomicU64,
    pub(crate) n_duplicates: AtomicU64,
    pub(crate) n_commits: AtomicU64,
}

impl<S> Part<S> {
    pub(crate) fn fail(&self, reason: String) {
        tracing::error!(partition = %self.partition, %reason, "a partition stops folding");
        *self.failed.lock() = Some(reason.clone());
        for (_, done) in self.waiters.lock().drain(..) {
            done(Err(reason.clone()));
        }
        self.emitted_signal.notify_all();
    }

    /// Tells those who wait for positions before `next`.
    pub(crate) fn announce(&self, next: Position) {
        self.folded.store(next.0, Ordering::Release);
        let mut waiters = self.waiters.lock();
        if waiters.is_empty() {
            return;
        }
        let mut ready = Vec::new();
        let mut index = 0;
        while index < waiters.len() {
            if waiters.get(index).is_some_and(|(position, _)| *position < next) {
                ready.push(waiters.swap_remove(index));
            } else {
                index += 1;
            }
        }
        drop(waiters);
        for (_, done) in ready {
            done(Ok(()));
        }
    }
}

pub(crate) struct Shared<S> {
    pub(crate) journal: Journal,
    pub(crate) db: Database,
    pub(crate) options: Options,
    pub(crate) parts: Vec<Arc<Part<S>>>,
    pub(crate) stopping: AtomicBool,
    pub(crate) jobs: mpsc::Sender<Job>,
}

/// The running loop. Dropping it commits and stops.
pub struct Engine<S: Shard> {
    shared: Arc<Shared<S>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<S: Shard> Engine<S> {
    /// Starts folding `journal` into `shards`, one per partition in order, from where `db` says they stand.
    ///
    /// # Errors
    /// [`Error::Foreign`] where state and journal do not belong together; [`Error::Store`] where the state
    /// cannot be read.
    pub fn start(journal: Journal, db: Database, shards: Vec<S>, options: Options) -> Result<Self, Error> {
        let mut parts = Vec::new();
        for (index, shard) in shards.into_iter().enumerate() {
            let partition = Partition(u16::try_from(index).unwrap_or(u16::MAX));
            let position = commit::position(&db, partition)?;
            let end = journal.end(partition);
            if position > end {
                return Err(Error::Foreign { partition, state: position, journal: end });
            }
            parts.push(Arc::new(Part {
                partition,
                shard: RwLock::new(shard),
                dedup: Mutex::new(Dedup::load(&db, partition, options.dedup_horizon)?),
                folded: AtomicU64::new(position.0),
                committed: AtomicU64::new(position.0),
                synced: AtomicU64::new(u64::MAX),
                in_flight: AtomicU64::new(0),
                waiters: Mutex::default(),
                failed: Mutex::default(),
                emitted: AtomicU64::new(0),
                emitted_durable: Mutex::new(0),
                emitted_signal: Condvar::new(),
                unsent: Mutex::default(),
                n_folded: AtomicU64::new(0),
                n_duplicates: AtomicU64::new(0),
                n_commits: AtomicU64::new(0),
            }));
        }
        let (jobs, inbox) = mpsc::channel();
        let stopping = AtomicBool::new(false);
        let shared = Arc::new(Shared { journal, db, options, parts, stopping, jobs });
        let mut threads = Vec::new();
        for part in &shared.parts {
            let (shared, part) = (shared.clone(), part.clone());
            let run = move || worker::run(&shared, &part);
            threads.push(spawn(format!("fold-{}", threads.len()), run)?);
        }
        let committer = Committer::new(shared.clone());
        threads.push(spawn("commit".to_owned(), move || committer.run(&inbox))?);
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// How many partitions there are.
    pub fn n_partitions(&self) -> u16 {
        u16::try_from(self.shared.parts.len()).unwrap_or(u16::MAX)
    }

    /// The journal underneath.
    pub fn journal(&self) -> &Journal {
        &self.shared.journal
    }

    /// The database underneath.
    pub fn database(&self) -> &Database {
        &self.shared.db
    }

    /// The partition of a record.
    pub fn partition_of(&self, record: &Record) -> Partition {
        record.subject.partition(self.n_partitions())
    }

    /// Appends records; returns when they are durable (LAW 1).
    ///
    /// # Errors
    /// [`Error::Journal`]: then none of them is acknowledged.
    pub fn append<R: Into<Arc<Record>>>(&self, records: Vec<R>) -> Result<Vec<Receipt>, Error> {
        let (batch, partitions) = self.route(records);
        let positions = self.shared.journal.append(batch)?;
        Ok(receipts(&partitions, positions))
    }

    /// Appends records without blocking; `done` is called once they are durable or refused.
    pub fn append_with<R: Into<Arc<Record>>>(
        &self,
        records: Vec<R>,
        done: impl FnOnce(Result<Vec<Receipt>, Error>) + Send + 'static,
    ) {
        let (batch, partitions) = self.route(records);
        let done = Box::new(move |result: Result<Vec<Position>, journal::Error>| {
            done(result.map(|positions| receipts(&partitions, positions)).map_err(Error::from));
        });
        self.shared.journal.append_with(batch, done);
    }

    /// Appends records; returns when they are durable and folded.
    ///
    /// # Errors
    /// As [`Engine::append`] and [`Engine::wait_folded`].
    pub fn append_folded<R: Into<Arc<Record>>>(
        &self,
        records: Vec<R>,
        wait: Duration,
    ) -> Result<Vec<Receipt>, Error> {
        let receipts = self.append(records)?;
        self.wait_folded(&receipts, wait)?;
        Ok(receipts)
    }

    /// Waits until the records of `receipts` are folded.
    ///
    /// # Errors
    /// [`Error::Late`] after `wait`; [`Error::Stopped`] where a partition no longer folds.
    pub fn wait_folded(&self, receipts: &[Receipt], wait: Duration) -> Result<(), Error> {
        let (send, receive) = mpsc::channel();
        let mut n_waiting = 0;
        for receipt in receipts {
            let send = send.clone();
            n_waiting += 1;
            self.when_folded(*receipt, move |result| {
                // The receiver is gone only where the caller gave up waiting.
                let _ = send.send(result);
            });
        }
        let deadline = std::time::Instant::now() + wait;
        for _ in 0..n_waiting {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            match receive.recv_timeout(left) {
                Ok(result) => result?,
                Err(_) => return Err(Error::Late { waited_ms: wait.as_millis() as u64 }),
            }
        }
        Ok(())
    }

    /// Calls `done` once the record of `receipt` is folded; at once where it is.
    pub fn when_folded(&self, receipt: Receipt, done: impl FnOnce(Result<(), Error>) + Send + 'static) {
        let Some(part) = self.part(receipt.partition) else {
            return done(Err(stopped(receipt.partition, "there is no such partition".to_owned())));
        };
        let partition = receipt.partition;
        let mut waiters = part.waiters.lock();
        if let Some(reason) = part.failed.lock().clone() {
            drop(waiters);
            return done(Err(stopped(partition, reason)));
        }
        // Under the waiters' lock, so that `announce` cannot slip in between the look and the push.
        if part.folded.load(Ordering::Acquire) > receipt.position.0 {
            drop(waiters);
            return done(Ok(()));
        }
        let done = Box::new(move |result: Result<(), String>| {
            done(result.map_err(|reason| stopped(partition, reason)));
        });
        waiters.push((receipt.position, done));
    }

    /// Looks at a partition's state between two records.
    pub fn read<R>(&self, partition: Partition, look: impl FnOnce(&S) -> R) -> Option<R> {
        self.part(partition).map(|part| look(&part.shard.read()))
    }

    /// As [`Engine::read`], for whoever may be looking at the same partition already: behind a commit that waits for the
    /// first look to end, a second one would wait for ever.
    pub fn read_within<R>(&self, partition: Partition, look: impl FnOnce(&S) -> R) -> Option<R> {
        self.part(partition).map(|part| look(&part.shard.read_recursive()))
    }

    /// Works on a partition's state between two records, told up to where it is folded. What changes is committed
    /// together with that position.
    pub fn with_shard<R>(&self, partition: Partition, work: impl FnOnce(&mut S, Position) -> R) -> Option<R> {
        let part = self.part(partition)?;
        let mut shard = part.shard.write();
        // Moved under the same lock as the tables: it is theirs.
        let folded = Position(part.folded.load(Ordering::Acquire));
        Some(work(&mut shard, folded))
    }

    /// Up to where a partition's state is written. External effects wait for [`Engine::settle`], which syncs it.
    pub fn committed(&self, partition: Partition) -> Position {
        Position(self.part(partition).map_or(0, |part| part.committed.load(Ordering::Acquire)))
    }

    /// Up to where a partition is folded.
    pub fn folded(&self, partition: Partition) -> Position {
        Position(self.part(partition).map_or(0, |part| part.folded.load(Ordering::Acquire)))
    }

    /// Waits until everything durable now is folded and committed.
    ///
    /// # Errors
    /// [`Error::Stopped`] where a partition no longer folds; [`Error::Late`] after `wait`.
    pub fn settle(&self, wait: Duration) -> Result<(), Error> {
        let deadline = std::time::Instant::now() + wait;
        let left = || deadline.saturating_duration_since(std::time::Instant::now());
        // Folding may emit to other partitions: go round until no partition has anything left.
        loop {
            let mut receipts = Vec::new();
            for part in &self.shared.parts {
                let end = self.shared.journal.end(part.partition);
                if let Some(last) = end.0.checked_sub(1) {
                    receipts.push(Receipt { partition: part.partition, position: Position(last) });
                }
            }
            self.wait_folded(&receipts, left())?;
            self.commit(left())?;
            let still = |part: &Arc<Part<S>>| {
                let end = self.shared.journal.end(part.partition).0;
                part.folded.load(Ordering::Acquire) >= end && part.committed.load(Ordering::Acquire) >= end
            };
            if self.shared.parts.iter().all(still) {
                return Ok(());
            }
            if left().is_zero() {
                return Err(Error::Late { waited_ms: wait.as_millis() as u64 });
            }
        }
    }

    /// Commits every partition now.
    fn commit(&self, wait: Duration) -> Result<(), Error> {
        let (done, finished) = mpsc::channel();
        for part in &self.shared.parts {
            commit::request(&self.shared, part, Some(done.clone()));
        }
        drop(done);
        let deadline = std::time::Instant::now() + wait;
        for _ in 0..self.shared.parts.len() {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            match finished.recv_timeout(left) {
                Ok(Ok(())) => {}
                Ok(Err((partition, reason))) => return Err(stopped(partition, reason)),
                Err(_) => return Err(Error::Late { waited_ms: wait.as_millis() as u64 }),
            }
        }
        Ok(())
    }

    /// The digest of all state, after settling.
    ///
    /// # Errors
    /// As [`Engine::settle`], and [`Error::Store`].
    pub fn digest(&self, wait: Duration) -> Result<Digest, Error> {
        self.settle(wait)?;
        let mut digest = Digest::default();
        for part in &self.shared.parts {
            for table in part.shard.write().stored() {
                table.digest(&mut digest)?;
            }
        }
        Ok(digest)
    }

    /// How the loop is.
    pub fn health(&self) -> Health {
        let mut health = Health::default();
        for part in &self.shared.parts {
            let end = self.shared.journal.end(part.partition).0;
            health.lag_records += end.saturating_sub(part.folded.load(Ordering::Acquire));
            health.n_folded += part.n_folded.load(Ordering::Relaxed);
            health.n_duplicates += part.n_duplicates.load(Ordering::Relaxed);
            health.n_commits += part.n_commits.load(Ordering::Relaxed);
            if let Some(reason) = part.failed.lock().clone() {
                health.stopped.get_or_insert(format!("partition {}: {reason}", part.partition));
            }
        }
        health
    }

    /// Commits what is folded and stops all threads.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        for thread in self.threads.lock().drain(..) {
            // A panicking worker has already been reported by the panic hook.
            let _ = thread.join();
        }
    }

    fn part(&self, partition: Partition) -> Option<&Arc<Part<S>>> {
        self.shared.parts.get(usize::from(partition.0))
    }

    fn route<R: Into<Arc<Record>>>(
        &self,
        records: Vec<R>,
    ) -> (Vec<(Partition, Arc<Record>)>, Vec<Partition>) {
        let n = self.n_partitions();
        let place = |record: Arc<Record>| (record.subject.partition(n), record);
        let batch: Vec<_> = records.into_iter().map(|record| place(record.into())).collect();
        let partitions = batch.iter().map(|(partition, _)| *partition).collect();
        (batch, partitions)
    }
}

impl<S: Shard> Drop for Engine<S> {
    fn drop(&mut self) {
        self.stop();
    }
}

fn receipts(partitions: &[Partition], positions: Vec<Position>) -> Vec<Receipt> {
    let both = partitions.iter().zip(positions);
    both.map(|(partition, position)| Receipt { partition: *partition, position }).collect()
}

fn stopped(partition: Partition, reason: String) -> Error {
    Error::Stopped { partition, reason }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name)
        .spawn(run)
        .map_err(|e| stopped(Partition::CONTROL, format!("the system starts no thread: {e}")))
}
