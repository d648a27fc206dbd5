//! The one thread that writes: it takes what is queued, makes one frame of it, and one sync makes it durable.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use event::Position;
use parking_lot::{Condvar, Mutex};

use crate::ahead::Ahead;
use crate::batch::Batch;
use crate::disk::{Disk, File};
use crate::error::is_full;
use crate::format::{BLOCK, Block, FRAME_HEAD, write_table};
use crate::read::Catalog;
use crate::recent::Recent;
use crate::segment::Segment;
use crate::{Error, Options, recover};

/// A file is made ahead where it is to be so many times as long as [`Options::ahead_bytes`]: short ones are not worth it.
const WORTH_AHEAD: u64 = 8;

/// Called once an append is durable or refused.
pub(crate) type Done = Box<dyn FnOnce(Result<Vec<Position>, Error>) + Send>;

/// What waits to be written.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    /// There is something to write, or nothing will be any more.
    work: Condvar,
    /// There is room again.
    room: Condvar,
    limit_bytes: usize,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<(Batch, Done)>,
    /// Bytes that wait or are being written.
    n_bytes: usize,
    closed: bool,
    failed: Option<Error>,
}

impl Queue {
    pub fn new(limit_bytes: usize) -> Self {
        Self { waiting: Mutex::default(), work: Condvar::new(), room: Condvar::new(), limit_bytes }
    }

    /// Queues an append. Where there is no room, waits for it if `may_wait`; else `done` hears of it at once.
    pub fn submit(&self, batch: Batch, done: Done, may_wait: bool) {
        let mut waiting = self.waiting.lock();
        let refused = loop {
            if let Some(error) = &waiting.failed {
                break error.clone();
            }
            if waiting.closed {
                break Error::Closed;
            }
            // An append larger than the whole queue gets in when nothing else is there.
            if waiting.n_bytes == 0 || waiting.n_bytes + batch.bytes.len() <= self.limit_bytes {
                waiting.n_bytes += batch.bytes.len();
                waiting.jobs.push_back((batch, done));
                self.work.notify_one();
                return;
            }
            if !may_wait {
                break Error::Overloaded { queued_bytes: waiting.n_bytes, limit_bytes: self.limit_bytes };
            }
            self.room.wait(&mut waiting);
        };
        drop(waiting);
        done(Err(refused));
    }

    /// Takes no more; what is queued will still be written.
    pub fn close(&self) {
        self.waiting.lock().closed = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    fn wait_closed(&self) {
        let mut waiting = self.waiting.lock();
        while !waiting.closed {
            self.work.wait(&mut waiting);
        }
    }

    /// Why nothing is taken any more.
    pub fn failure(&self) -> Option<Error> {
        self.waiting.lock().failed.clone()
    }

    /// Everything queued, up to `max_bytes` but at least one append; waits for some. `None` once closed and empty.
    fn take(&self, max_bytes: usize, group: &mut Vec<(Batch, Done)>) -> bool {
        let mut waiting = self.waiting.lock();
        while waiting.jobs.is_empty() {
            if waiting.closed {
                return false;
            }
            self.work.wait(&mut waiting);
        }
        let mut n_bytes = 0;
        while let Some((batch, _)) = waiting.jobs.front() {
            n_bytes += batch.bytes.len();
            if !group.is_empty() && n_bytes > max_bytes {
                break;
            }
            group.extend(waiting.jobs.pop_front());
        }
        true
    }

    fn written(&self, n_bytes: usize) {
        self.waiting.lock().n_bytes -= n_bytes;
        self.room.notify_all();
    }

    /// Takes no more, and refuses what is queued.
    fn fail(&self, error: &Error) {
        let jobs = {
            let mut waiting = self.waiting.lock();
            waiting.failed = Some(error.clone());
            waiting.n_bytes = 0;
            std::mem::take(&mut waiting.jobs)
        };
        self.room.notify_all();
        for (_, done) in jobs {
            tell(done, Err(error.clone()));
        }
    }
}

/// The writing end of the log.
pub(crate) struct Writer {
    pub dir: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub options: Options,
    pub queue: Arc<Queue>,
    pub catalog: Arc<Catalog>,
    pub recent: Arc<[Recent]>,
    pub segment: Arc<Segment>,
    pub file: Arc<dyn File>,
    /// Up to where the segment is durable.
    pub len: u64,
    /// How long the file is, zeros made ahead included.
    pub allocated: u64,
    /// Each partition's next position.
    pub next: Vec<u64>,
    /// The frame being made.
    pub frame: Vec<u8>,
    /// The next file, from when the current one is a quarter full.
    pub ahead: Option<Ahead>,
    /// Keeps other processes away as long as this one may write.
    pub _lock: Box<dyn Any + Send + Sync>,
}

/// Whether the log can go on after an error.
enum Fault {
    /// Nothing was promised and nothing is left of it: the next append may succeed.
    Refused(Error),
    /// What is on the disk is no longer known.
    Fatal(Error),
}

impl Writer {
    /// Writes until the queue is closed and empty.
    pub fn run(mut self) {
        let writing = catch_unwind(AssertUnwindSafe(|| self.write_all()));
        if writing.is_err() {
            let source = std::io::Error::other("the writer stopped by a defect of its own");
            self.queue.fail(&self.failed("writing", source));
        }
        if let Some(ahead) = self.ahead.take() {
            let path = recover::unnamed(&self.dir, self.segment.header.number + 1);
            drop(ahead.take());
            // What stays is removed when the log is opened again.
            let _ = self.disk.remove(&path);
        }
        // After a failure readers go on with what is durable until the journal is closed.
        self.queue.wait_closed();
        for recent in self.recent.iter() {
            recent.close();
        }
    }

    fn write_all(&mut self) {
        let mut group = Vec::new();
        while self.queue.take(self.options.commit_bytes, &mut group) {
            let n_bytes = group.iter().map(|(batch, _)| batch.bytes.len()).sum();
            let mut blocks = Vec::new();
            let mut next = self.next.clone();
            for run in group.iter().flat_map(|(batch, _)| &batch.runs) {
                let Some(next) = next.get_mut(usize::from(run.partition)) else { continue };
                let (partition, n_records) = (run.partition, run.n_records);
                blocks.push(Block { partition, n_records, first: *next, len: run.len, crc: run.crc });
                *next += u64::from(run.n_records);
            }
            // LAW 1: nothing is told or shown before this returns well.
            match self.write(&group, &blocks) {
                Ok(()) => {
                    self.next = next;
                    self.segment.mark(self.len, &self.next);
                    self.queue.written(n_bytes);
                    self.publish(&group, &blocks);
                }
                Err(Fault::Refused(error)) => {
                    self.queue.written(n_bytes);
                    for (_, done) in group.drain(..) {
                        tell(done, Err(error.clone()));
                    }
                }
                Err(Fault::Fatal(error)) => {
                    self.queue.fail(&error);
                    for (_, done) in group.drain(..) {
                        tell(done, Err(error.clone()));
                    }
                    return;
                }
            }
            let mut firsts = blocks.iter().map(|block| block.first);
            for (batch, done) in group.drain(..) {
                let positions = batch.positions(firsts.by_ref().take(batch.runs.len()));
                tell(done, Ok(positions));
            }
        }
    }

    fn publish(&self, group: &[(Batch, Done)], blocks: &[Block]) {
        self.catalog.extend(self.len);
        for (batch, _) in group {
            let mut entries = batch.records.iter();
            for run in &batch.runs {
                if let Some(recent) = self.recent.get(usize::from(run.partition)) {
                    recent.publish(entries.by_ref().take(run.n_records as usize));
                }
            }
        }
        let mut woken: Vec<u16> = blocks.iter().map(|block| block.partition).collect();
        woken.sort_unstable();
        woken.dedup();
        for recent in woken.iter().filter_map(|partition| self.recent.get(usize::from(*partition))) {
            recent.wake();
        }
    }

    fn write(&mut self, group: &[(Batch, Done)], blocks: &[Block]) -> Result<(), Fault> {
        let body_len: usize = group.iter().map(|(batch, _)| batch.bytes.len()).sum();
        let frame_len = (FRAME_HEAD + blocks.len() * BLOCK + body_len) as u64;
        let end = self.len + frame_len;
        let is_full = end > self.options.segment_bytes;
        // Rather than let this file grow, go on in the next one, which need not.
        let is_better = end > self.allocated && self.ahead.as_ref().is_some_and(Ahead::is_ready);
        if self.len > self.segment.header.len() && (is_full || is_better) {
            self.roll()?;
        }
        self.frame.clear();
        write_table(self.segment.header.salt, self.len, blocks, &mut self.frame);
        for (batch, _) in group {
            self.frame.extend_from_slice(&batch.bytes);
        }
        let end = self.len + frame_len;
        if end > self.allocated {
            let n_ahead = self.ahead(frame_len, end);
            self.frame.resize(self.frame.len() + n_ahead, 0);
        }
        if let Err(error) = self.file.write_all_at(&self.frame, self.len) {
            return Err(self.refuse(error));
        }
        self.allocated = self.allocated.max(self.len + self.frame.len() as u64);
        if let Err(error) = self.file.sync() {
            // After a failed sync the system may call pages clean that never reached the disk: to try again would
            // be to pretend. Cutting the frame off drops those pages, so that no reader takes them for durable.
            let _ = self.file.set_len(self.len);
            return Err(Fault::Fatal(self.failed("making records durable", error)));
        }
        self.len = end;
        self.look_ahead(frame_len);
        if self.frame.capacity() > 4 * self.options.commit_bytes {
            self.frame = Vec::new();
        }
        Ok(())
    }

    /// How many zeros to write behind a frame. Syncing bytes of a file that does not grow takes half the time,
    /// as only they are written and not the file's size; for large frames the zeros cost more than they save.
    fn ahead(&self, frame_len: u64, end: u64) -> usize {
        if frame_len * 8 > self.options.ahead_bytes {
            return 0;
        }
        let room = self.options.segment_bytes.saturating_sub(end);
        usize::try_from(self.options.ahead_bytes.min(room)).unwrap_or_default()
    }

    /// Has the next file made, once it is likely to be needed.
    fn look_ahead(&mut self, frame_len: u64) {
        let Options { segment_bytes, ahead_bytes, .. } = self.options;
        let is_worth_it = ahead_bytes > 0 && ahead_bytes * WORTH_AHEAD <= segment_bytes;
        if self.ahead.is_none()
            && is_worth_it
            && frame_len * 8 <= ahead_bytes
            && self.len * 4 >= segment_bytes
        {
            let path = recover::unnamed(&self.dir, self.segment.header.number + 1);
            self.ahead = Ahead::begin(self.disk.clone(), &path, segment_bytes);
        }
    }

    /// Begins the next segment; everything in the current one is durable.
    fn roll(&mut self) -> Result<(), Fault> {
        let number = self.segment.header.number + 1;
        let zeros = self.ahead.take().and_then(Ahead::take);
        let allocated = if zeros.is_some() { self.options.segment_bytes } else { 0 };
        let made = recover::create(self.disk.as_ref(), &self.dir, number, self.len, self.next.clone(), zeros);
        let (segment, file) = match made {
            Ok(made) => made,
            // What was begun has not got its name, and is overwritten next time.
            Err(error) if !matches!(error, Error::Failed { .. }) => return Err(Fault::Refused(error)),
            Err(error) => return Err(Fault::Fatal(error)),
        };
        // The zeros behind the end only take room; where they stay, the next header says where the end is.
        let _ = self.file.set_len(self.len);
        self.catalog.push(segment.clone());
        self.len = segment.header.len();
        self.allocated = allocated.max(self.len);
        self.segment = segment;
        self.file = file;
        Ok(())
    }

    /// After a failed write: takes back what of it arrived.
    fn refuse(&mut self, error: std::io::Error) -> Fault {
        if let Err(error) = self.file.set_len(self.len) {
            return Fault::Fatal(self.failed("taking back a torn write", error));
        }
        self.allocated = self.len;
        if is_full(&error) {
            return Fault::Refused(Error::Full { dir: self.dir.clone(), source: Arc::new(error) });
        }
        Fault::Fatal(self.failed("writing", error))
    }

    fn failed(&self, doing: &'static str, error: std::io::Error) -> Error {
        Error::Failed { dir: self.dir.clone(), doing, source: Arc::new(error) }
    }
}

/// A caller's panic must not stop the log.
fn tell(done: Done, result: Result<Vec<Position>, Error>) {
    let _ = catch_unwind(AssertUnwindSafe(|| done(result)));
}
