//! Reads durable records back, across segments.

use std::sync::Arc;

use event::{Partition, Position, Record};
use parking_lot::RwLock;

use crate::disk::Disk;
use crate::segment::{Segment, Step, Walk};
use crate::{Error, format};

/// The segments there are, and up to where each is durable.
#[derive(Default)]
pub(crate) struct Catalog(RwLock<Vec<(Arc<Segment>, u64)>>);

impl Catalog {
    pub fn new(segments: Vec<(Arc<Segment>, u64)>) -> Self {
        Self(RwLock::new(segments))
    }

    pub fn push(&self, segment: Arc<Segment>) {
        let len = segment.header.len();
        self.0.write().push((segment, len));
    }

    /// The newest segment is durable up to `len`.
    pub fn extend(&self, len: u64) {
        if let Some((_, durable)) = self.0.write().last_mut() {
            *durable = len;
        }
    }

    /// All segments with their durable lengths.
    pub fn all(&self) -> Vec<(Arc<Segment>, u64)> {
        self.0.read().clone()
    }

    /// The latest segment at whose begin `not_after` still holds.
    fn find(&self, not_after: impl Fn(&[u64]) -> bool) -> Option<(Arc<Segment>, u64)> {
        let segments = self.0.read();
        let n_before = segments.partition_point(|(segment, _)| not_after(&segment.header.first));
        segments.get(n_before.saturating_sub(1)).cloned()
    }

    fn durable(&self, number: u64) -> Option<(Arc<Segment>, u64)> {
        let segments = self.0.read();
        let index = segments.binary_search_by_key(&number, |(segment, _)| segment.header.number).ok()?;
        segments.get(index).cloned()
    }
}

/// Reads frames in log order, as far as they are durable.
pub(crate) struct Reader {
    walk: Walk,
    ahead_bytes: usize,
}

impl Reader {
    /// Starts at or before the place where `not_after` ceases to hold of the partitions' next positions.
    pub fn start(
        disk: &dyn Disk,
        catalog: &Catalog,
        not_after: impl Fn(&[u64]) -> bool,
        ahead_bytes: usize,
    ) -> Result<Option<Self>, Error> {
        let Some((segment, durable)) = catalog.find(&not_after) else { return Ok(None) };
        let place = segment.start(not_after);
        let walk = Walk::new(disk, segment, place, durable, ahead_bytes)?;
        Ok(Some(Self { walk, ahead_bytes }))
    }

    /// Each partition's next position behind the current frame.
    pub fn next(&self) -> &[u64] {
        &self.walk.next
    }

    /// Goes to the next frame; false at the end of what is durable now.
    pub fn step(&mut self, disk: &dyn Disk, catalog: &Catalog) -> Result<bool, Error> {
        loop {
            match self.walk.step()? {
                Step::Frame => return Ok(true),
                Step::Broken(reason) => {
                    return Err(Error::corrupt(&self.walk.segment.path, self.walk.offset, reason));
                }
                Step::End => {}
            }
            let number = self.walk.segment.header.number;
            let Some((_, durable)) = catalog.durable(number) else { return Ok(false) };
            if durable > self.walk.offset {
                self.walk.extend(durable);
                continue;
            }
            let Some((segment, durable)) = catalog.durable(number + 1) else { return Ok(false) };
            if segment.header.first != self.walk.next {
                let reason = "it does not continue the file before it";
                return Err(Error::corrupt(&segment.path, 0, reason));
            }
            let place = (segment.header.len(), segment.header.first.clone());
            self.walk = Walk::new(disk, segment, place, durable, self.ahead_bytes)?;
        }
    }

    /// Calls `f` with the current frame's records at or after `from` of their partition.
    pub fn each(
        &mut self,
        from: impl Fn(u16) -> Option<u64>,
        mut f: impl FnMut(Partition, Position, Arc<Record>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let body = self.walk.body();
        let want = |block: &format::Block| {
            from(block.partition).is_some_and(|from| block.first + u64::from(block.n_records) > from)
        };
        let whole = self.walk.each_block(want, |segment, block, bytes| {
            let partition = Partition(block.partition);
            let from = from(block.partition).unwrap_or_default();
            let mut position = block.first;
            for record in format::records(bytes) {
                let damaged = || Error::corrupt(&segment.path, body, "a block does not divide into records");
                let bytes = record.map_err(|()| damaged())?;
                if position >= from {
                    let record = event::decode(bytes).map_err(|source| Error::Unreadable {
                        file: segment.path.clone(),
                        partition,
                        position: Position(position),
                        source: Arc::new(source),
                    })?;
                    f(partition, Position(position), Arc::new(record))?;
                }
                position += 1;
            }
            if position != block.first + u64::from(block.n_records) {
                return Err(Error::corrupt(
                    &segment.path,
                    body,
                    "a block has another number of records than it says",
                ));
            }
            Ok(())
        })?;
        if whole {
            return Ok(());
        }
        Err(Error::corrupt(&self.walk.segment.path, body, "the checksum of a frame's records is wrong"))
    }
}
