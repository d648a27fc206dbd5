//! The newest records of one partition, kept in memory for those who follow closely.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use event::{Position, Record};
use parking_lot::{Condvar, Mutex};

use crate::batch::Entry;

pub(crate) struct Recent {
    kept: Mutex<Kept>,
    changed: Condvar,
    limit_bytes: usize,
}

struct Kept {
    records: VecDeque<(Arc<Record>, u32)>,
    n_bytes: usize,
    /// The position after the last record.
    end: u64,
    closed: bool,
}

/// What the ring knows of a position.
pub(crate) enum Look {
    /// The records from there, at most as many as asked for.
    Here(Vec<(Position, Arc<Record>)>),
    /// No longer here: look on the disk.
    Gone,
    /// Not written yet.
    NotYet,
    /// Not written, and nothing more will be.
    Closed,
}

impl Recent {
    pub fn new(end: u64, limit_bytes: usize) -> Self {
        let kept = Kept { records: VecDeque::new(), n_bytes: 0, end, closed: false };
        Self { kept: Mutex::new(kept), changed: Condvar::new(), limit_bytes }
    }

    /// The position of the next record.
    pub fn end(&self) -> u64 {
        self.kept.lock().end
    }

    /// Adds durable records; whoever waits is woken by [`Recent::wake`].
    pub fn publish<'a>(&self, entries: impl Iterator<Item = &'a Entry>) {
        let kept = &mut *self.kept.lock();
        for entry in entries {
            kept.records.push_back((entry.record.clone(), entry.weight));
            kept.n_bytes += entry.weight as usize;
            kept.end += 1;
        }
        while kept.n_bytes > self.limit_bytes {
            let Some((_, weight)) = kept.records.pop_front() else { break };
            kept.n_bytes -= weight as usize;
        }
    }

    pub fn wake(&self) {
        self.changed.notify_all();
    }

    pub fn close(&self) {
        self.kept.lock().closed = true;
        self.changed.notify_all();
    }

    /// Records from `from`; where there are none yet, waits for them until `deadline`.
    pub fn look(&self, from: u64, max: usize, deadline: Deadline) -> Look {
        let mut kept = self.kept.lock();
        while from >= kept.end {
            if kept.closed {
                return Look::Closed;
            }
            match deadline {
                Deadline::Now => return Look::NotYet,
                Deadline::Never => self.changed.wait(&mut kept),
                Deadline::At(instant) => {
                    if self.changed.wait_until(&mut kept, instant).timed_out() && from >= kept.end {
                        return Look::NotYet;
                    }
                }
            }
        }
        let first = kept.end - kept.records.len() as u64;
        let Some(skip) = from.checked_sub(first) else { return Look::Gone };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let records = kept.records.iter().skip(skip).take(max);
        Look::Here((from..).zip(records).map(|(p, (record, _))| (Position(p), record.clone())).collect())
    }
}

/// How long to wait.
#[derive(Clone, Copy)]
pub(crate) enum Deadline {
    Now,
    At(Instant),
    Never,
}

impl Deadline {
    pub fn after(wait: Option<std::time::Duration>) -> Self {
        match wait {
            None => Self::Now,
            Some(wait) if wait.is_zero() => Self::Now,
            Some(wait) => Instant::now().checked_add(wait).map_or(Self::Never, Self::At),
        }
    }
}
