//! The records of one append as bytes, made on the caller's thread so that the writer has little to do.

use std::sync::Arc;

use event::{Partition, Position, Record};

use crate::Error;

/// The most bytes one append may have.
pub(crate) const MAX_APPEND_BYTES: usize = 256 << 20;
/// What a record takes in memory beyond its bytes in the log.
const OVERHEAD: usize = 160;

/// The records of one append, sorted by partition; within a partition as they came.
pub(crate) struct Batch {
    pub bytes: Vec<u8>,
    pub runs: Vec<Run>,
    pub records: Vec<Entry>,
}

/// Consecutive records of one partition.
pub(crate) struct Run {
    pub partition: u16,
    pub n_records: u32,
    pub len: u32,
    pub crc: u32,
}

/// One record.
pub(crate) struct Entry {
    pub record: Arc<Record>,
    /// Roughly the memory it takes.
    pub weight: u32,
    /// Its place in the append.
    index: u32,
}

impl Batch {
    pub fn encode(records: Vec<(Partition, Arc<Record>)>, n_partitions: u16) -> Result<Self, Error> {
        if let Some((partition, _)) = records.iter().find(|(p, _)| p.0 >= n_partitions) {
            return Err(Error::NoSuchPartition { partition: *partition, n_partitions });
        }
        let n_bytes = records.iter().map(|(_, record)| record.weight()).sum::<usize>();
        if n_bytes > 2 * MAX_APPEND_BYTES || u32::try_from(records.len()).is_err() {
            return Err(Error::TooLarge { limit_bytes: MAX_APPEND_BYTES });
        }
        let mut sorted: Vec<_> = (0_u32..).zip(records).collect();
        sorted.sort_by_key(|(_, (partition, _))| partition.0);
        let mut batch = Self {
            bytes: Vec::with_capacity(n_bytes),
            runs: Vec::new(),
            records: Vec::with_capacity(sorted.len()),
        };
        for (index, (partition, record)) in sorted {
            let weight = batch
                .push(partition, &record)
                .map_err(|source| Error::Unstorable { index: index as usize, source: Arc::new(source) })?;
            batch.records.push(Entry { record, weight, index });
            if batch.bytes.len() > MAX_APPEND_BYTES {
                return Err(Error::TooLarge { limit_bytes: MAX_APPEND_BYTES });
            }
        }
        let mut rest = batch.bytes.as_slice();
        for run in &mut batch.runs {
            if let Some((own, later)) = rest.split_at_checked(run.len as usize) {
                run.crc = crc32fast::hash(own);
                rest = later;
            }
        }
        Ok(batch)
    }

    fn push(&mut self, partition: Partition, record: &Record) -> Result<u32, event::Error> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        event::encode_into(record, &mut self.bytes)?;
        let n_bytes = self.bytes.len() - start;
        // A record of 4 GiB has made `encode_into` fail, or will fail the append's limit.
        let len = u32::try_from(n_bytes).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.get_mut(start..start + 4) {
            place.copy_from_slice(&(len - 4).to_le_bytes());
        }
        match self.runs.last_mut() {
            Some(run) if run.partition == partition.0 => {
                run.n_records += 1;
                run.len = run.len.saturating_add(len);
            }
            _ => self.runs.push(Run { partition: partition.0, n_records: 1, len, crc: 0 }),
        }
        Ok(u32::try_from(n_bytes + OVERHEAD).unwrap_or(u32::MAX))
    }

    /// The positions of the records in the order of the append, given the first of each run.
    pub fn positions(&self, firsts: impl Iterator<Item = u64>) -> Vec<Position> {
        let mut positions = vec![Position(0); self.records.len()];
        let mut entries = self.records.iter();
        for (run, first) in self.runs.iter().zip(firsts) {
            for (position, entry) in (first..first + u64::from(run.n_records)).zip(entries.by_ref()) {
                if let Some(place) = positions.get_mut(entry.index as usize) {
                    *place = Position(position);
                }
            }
        }
        positions
    }
}
