//! Follows one partition.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use event::{Partition, Position, Record};

use crate::Error;
use crate::Shared;
use crate::read::Reader;
use crate::recent::{Deadline, Look};

/// How much is read at once.
const AHEAD_BYTES: usize = 512 << 10;

/// Follows one partition: from memory where it is close behind, else from the disk. Only durable records are
/// seen, each once and in order.
pub struct Tail {
    shared: Arc<Shared>,
    partition: Partition,
    next: u64,
    reader: Option<Reader>,
    /// Read from the disk but not yet handed out.
    read: VecDeque<(Position, Arc<Record>)>,
}

impl Tail {
    pub(crate) fn new(shared: Arc<Shared>, partition: Partition, from: Position) -> Self {
        Self { shared, partition, next: from.0, reader: None, read: VecDeque::new() }
    }

    /// The position of the record that [`Tail::next`] gives next.
    pub fn position(&self) -> Position {
        Position(self.next)
    }

    /// The next records, at most `max_records`. Where there are none yet it waits for them as long as `wait` says
    /// (`None`: not at all), and then gives none.
    ///
    /// # Errors
    /// [`Error::Closed`] once the journal is closed and everything is read; [`Error::Corrupt`] or [`Error::Io`]
    /// where the disk does not give back what was written.
    pub fn next(
        &mut self,
        max_records: usize,
        wait: Option<Duration>,
    ) -> Result<Vec<(Position, Arc<Record>)>, Error> {
        let Some(recent) = self.shared.recent.get(usize::from(self.partition.0)) else {
            let n_partitions = self.shared.n_partitions();
            return Err(Error::NoSuchPartition { partition: self.partition, n_partitions });
        };
        if max_records == 0 {
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        if self.read.is_empty() {
            match recent.look(self.next, max_records, Deadline::after(wait)) {
                Look::Here(found) => {
                    self.reader = None;
                    records = found;
                }
                Look::NotYet => return Ok(Vec::new()),
                Look::Closed => return Err(Error::Closed),
                Look::Gone => self.fill(max_records)?,
            }
        }
        let n_ready = self.read.len().min(max_records);
        records.extend(self.read.drain(..n_ready));
        if let Some((last, _)) = records.last() {
            self.next = last.0 + 1;
        }
        Ok(records)
    }

    /// Reads at least one record from the disk, where there is known to be one.
    fn fill(&mut self, max_records: usize) -> Result<(), Error> {
        let (disk, catalog) = (self.shared.disk.as_ref(), &self.shared.catalog);
        let (partition, from) = (self.partition, self.next);
        let index = usize::from(partition.0);
        if self.reader.is_none() {
            let not_after = |next: &[u64]| next.get(index).is_none_or(|next| *next <= from);
            self.reader = Reader::start(disk, catalog, not_after, AHEAD_BYTES)?;
        }
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let read = &mut self.read;
        while read.len() < max_records && reader.step(disk, catalog)? {
            reader.each(
                |other| (other == partition.0).then_some(from),
                |_, position, record| {
                    read.push_back((position, record));
                    Ok(())
                },
            )?;
        }
        Ok(())
    }
}
