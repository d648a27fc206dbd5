//! The append-only log: the only truth.
//!
//! One directory holds one physical log for all partitions, so that one sync makes the appends of all of them
//! durable. A group of appends is one frame with checksums; frames fill segments. What this room promises is
//! what Kafka can keep as well: order within a partition, delivery at least once, positions nobody looks into;
//! no conditional append and no transaction across partitions. It reads no clock, knows nothing of people,
//! streams or folds, and does not look into a record.
//!
//! ```
//! use std::sync::Arc;
//! use event::{Instant, Partition, Payload, Position, Record, RecordId, StreamName, Subject, Version};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let now = Instant::from_micros(0);
//! # let record = Record { id: RecordId::external("orders", b"1"), stream: StreamName::new("orders"),
//! #     contract: Version::new(1, 0, 0), subject: Subject::NONE, occurred_at: now, known_at: now, batch: None,
//! #     cause: None, source: None, key_epoch: 0, payload: Payload::default() };
//! let journal = journal::Journal::open(dir.path(), journal::Options { n_partitions: 4, ..Default::default() })?;
//! let positions = journal.append(vec![(Partition(2), Arc::new(record))])?; // durable when it returns
//! let found = journal.tail(Partition(2), positions[0]).next(10, None)?;
//! assert_eq!(found[0].0, positions[0]);
//! # Ok(())
//! # }
//! ```

mod ahead;
mod batch;
#[doc(hidden)]
pub mod conformance;
mod disk;
mod error;
mod format;
mod read;
mod recent;
mod recover;
mod segment;
mod tail;
mod writer;

#[cfg(test)]
mod faulty;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use recover::Cut;
pub use tail::Tail;

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use event::{Partition, Position, Record};
use parking_lot::Mutex;

use crate::batch::Batch;
use crate::disk::{Disk, Machine};
use crate::read::{Catalog, Reader};
use crate::recent::Recent;
use crate::writer::{Queue, Writer};

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many partitions there are; fixed when the journal is made.
    pub n_partitions: u16,
    /// How long a file of the log gets before the next one begins.
    pub segment_bytes: u64,
    /// How much may wait to be written: beyond it [`Journal::append`] waits and [`Journal::append_with`] refuses.
    pub queue_bytes: usize,
    /// How much is made durable by one sync at most.
    pub commit_bytes: usize,
    /// How much of the newest is kept in memory for those who follow closely, over all partitions.
    pub recent_bytes: usize,
    /// How many zeros are written ahead of small frames, which halves the time of their sync; 0 for none.
    pub ahead_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            n_partitions: 4,
            segment_bytes: 128 << 20,
            queue_bytes: 64 << 20,
            commit_bytes: 8 << 20,
            recent_bytes: 64 << 20,
            ahead_bytes: 2 << 20,
        }
    }
}

/// The append-only log. Clones are the same log; it closes with the last of them.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    owner: Arc<Owner>,
}

/// What readers need.
pub(crate) struct Shared {
    disk: Arc<dyn Disk>,
    catalog: Arc<Catalog>,
    recent: Arc<[Recent]>,
}

/// What ends when the log closes.
struct Owner {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
    cut: Option<Cut>,
}

impl Journal {
    /// Opens the log in `dir`, and makes it where there is none.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::ReadOnly`], [`Error::Partitions`], [`Error::NewerFormat`], [`Error::Corrupt`],
    /// [`Error::Missing`], [`Error::Full`], [`Error::Io`], [`Error::Setting`].
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self, Error> {
        Self::open_on(Arc::new(Machine), dir.as_ref(), options)
    }

    pub(crate) fn open_on(disk: Arc<dyn Disk>, dir: &Path, options: Options) -> Result<Self, Error> {
        check(&options)?;
        disk.create_dir(dir).map_err(Error::opening(dir, "make", dir))?;
        let lock_path = dir.join("lock");
        let lock = disk.lock(&lock_path).map_err(Error::opening(dir, "lock", &lock_path))?;
        let Some(lock) = lock else { return Err(Error::InUse { dir: dir.to_owned() }) };
        let found = recover::recover(disk.as_ref(), dir, options.n_partitions)?;
        let Some((segment, len)) = found.segments.last().cloned() else {
            return Err(Error::Missing { file: dir.to_owned() });
        };
        let recent_bytes = options.recent_bytes / usize::from(options.n_partitions);
        let recent: Arc<[Recent]> = found.next.iter().map(|next| Recent::new(*next, recent_bytes)).collect();
        let catalog = Arc::new(Catalog::new(found.segments));
        let queue = Arc::new(Queue::new(options.queue_bytes));
        let writer = Writer {
            dir: dir.to_owned(),
            disk: disk.clone(),
            options,
            queue: queue.clone(),
            catalog: catalog.clone(),
            recent: recent.clone(),
            segment,
            file: found.file,
            len,
            allocated: found.allocated,
            next: found.next,
            frame: Vec::new(),
            ahead: None,
            _lock: lock,
        };
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run());
        let thread = Mutex::new(Some(thread.map_err(Error::io("start the writer of", dir))?));
        let owner = Owner { queue, thread, cut: found.cut };
        Ok(Self { shared: Arc::new(Shared { disk, catalog, recent }), owner: Arc::new(owner) })
    }

    /// Appends records and returns their positions once they are durable. All of them are stored, or none. Waits
    /// while too much is queued. Not to be called from [`Journal::append_with`]'s callback.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Failed`], [`Error::Closed`], [`Error::TooLarge`], [`Error::Unstorable`],
    /// [`Error::NoSuchPartition`]: then none of them is acknowledged.
    pub fn append(&self, records: Vec<(Partition, Arc<Record>)>) -> Result<Vec<Position>, Error> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let batch = Batch::encode(records, self.n_partitions())?;
        let (send, receive) = mpsc::sync_channel(1);
        let done = Box::new(move |result| {
            // The receiver waits below until this is sent.
            let _ = send.send(result);
        });
        self.owner.queue.submit(batch, done, true);
        receive.recv().unwrap_or(Err(Error::Closed))
    }

    /// Appends records without waiting; `done` is called once they are durable or refused. It runs on the writer's
    /// thread, or at once on the caller's where nothing is queued: it must be quick and must not wait.
    ///
    /// `done` hears the errors of [`Journal::append`], and [`Error::Overloaded`] where too much is queued.
    pub fn append_with(
        &self,
        records: Vec<(Partition, Arc<Record>)>,
        done: Box<dyn FnOnce(Result<Vec<Position>, Error>) + Send>,
    ) {
        if records.is_empty() {
            return done(Ok(Vec::new()));
        }
        match Batch::encode(records, self.n_partitions()) {
            Ok(batch) => self.owner.queue.submit(batch, done, false),
            Err(error) => done(Err(error)),
        }
    }

    /// Follows a partition from a position on.
    pub fn tail(&self, partition: Partition, from: Position) -> Tail {
        Tail::new(self.shared.clone(), partition, from)
    }

    /// The position of the next record to be written to a partition; everything before it is durable. 0 for a
    /// partition that does not exist.
    pub fn end(&self, partition: Partition) -> Position {
        Position(self.shared.recent.get(usize::from(partition.0)).map_or(0, Recent::end))
    }

    /// How many partitions there are.
    pub fn n_partitions(&self) -> u16 {
        self.shared.n_partitions()
    }

    /// Reads everything that is durable now, in log order: of each partition what lies at or after its position in
    /// `from` (from its start where `from` has none). An error of `f` ends it.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Unreadable`] or [`Error::Io`] where the disk does not give back what was
    /// written; whatever `f` returns.
    pub fn scan(
        &self,
        from: &[Position],
        mut f: impl FnMut(Partition, Position, Arc<Record>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        const AHEAD_BYTES: usize = 1 << 20;
        let (disk, catalog) = (self.shared.disk.as_ref(), &self.shared.catalog);
        let wanted = |index: usize| from.get(index).map_or(0, |position| position.0);
        let not_after = |next: &[u64]| next.iter().enumerate().all(|(i, next)| *next <= wanted(i));
        let Some(mut reader) = Reader::start(disk, catalog, not_after, AHEAD_BYTES)? else { return Ok(()) };
        // Without an end one might follow the appends for ever.
        let ends: Vec<u64> = self.shared.recent.iter().map(Recent::end).collect();
        let is_before_end = |next: &[u64]| next.iter().zip(&ends).any(|(next, end)| next < end);
        while is_before_end(reader.next()) && reader.step(disk, catalog)? {
            reader.each(
                |partition| Some(wanted(usize::from(partition))),
                |partition, position, record| match ends.get(usize::from(partition.0)) {
                    Some(end) if position.0 < *end => f(partition, position, record),
                    _ => Ok(()),
                },
            )?;
        }
        Ok(())
    }

    /// The log's files and how much of each is durable now. Copies of so much of each, taken at leisure, are a
    /// consistent backup: what is durable never changes.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        self.shared.catalog.all().into_iter().map(|(segment, len)| (segment.path.clone(), len)).collect()
    }

    /// What a crash had torn and [`Journal::open`] cut off.
    pub fn cut(&self) -> Option<&Cut> {
        self.owner.cut.as_ref()
    }

    /// Why the journal takes no more records, where the disk failed.
    pub fn failure(&self) -> Option<Error> {
        self.owner.queue.failure()
    }

    /// Takes no more records, waits until the queued ones are written, and frees the directory. Tails read what is
    /// left and then say so.
    pub fn close(&self) {
        self.owner.close();
    }
}

impl Shared {
    pub(crate) fn n_partitions(&self) -> u16 {
        u16::try_from(self.recent.len()).unwrap_or(u16::MAX)
    }
}

impl Owner {
    fn close(&self) {
        self.queue.close();
        // Held while joining, so that whoever closes second also returns only once everything is written.
        let mut thread = self.thread.lock();
        if let Some(thread) = thread.take_if(|thread| thread.thread().id() != std::thread::current().id()) {
            // A panic of the writer has nothing left to tell us.
            let _ = thread.join();
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.close();
    }
}

fn check(options: &Options) -> Result<(), Error> {
    let check = |name, value, ok, rule| if ok { Ok(()) } else { Err(Error::Setting { name, value, rule }) };
    let n_partitions = options.n_partitions;
    check("n_partitions", n_partitions.into(), n_partitions > 0, "there must be at least one partition")?;
    let bytes = options.segment_bytes;
    check("segment_bytes", bytes, bytes >= 4096, "it must be at least 4096")?;
    let bytes = options.commit_bytes;
    check("commit_bytes", bytes as u64, bytes <= 1 << 30, "it may be at most 1073741824")
}
