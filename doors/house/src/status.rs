//! How the house is.

use std::collections::BTreeMap;

use event::{Instant, RecordId};
use serde::Serialize;

use crate::Error;
use crate::house::House;
use crate::streams::{Count, Refused};

/// How the house is, at one look.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Since when it runs.
    pub started_at: Instant,
    /// Partitions.
    pub n_partitions: u16,
    /// Records durable but not folded.
    pub lag_records: u64,
    /// How many seconds the earliest arrival that is not folded has been waiting.
    pub lag_seconds: f64,
    /// Records folded since the start.
    pub n_folded: u64,
    /// Duplicates dropped since the start.
    pub n_duplicates: u64,
    /// Commits of state since the start.
    pub n_commits: u64,
    /// Bytes of journal and state on disk.
    pub disk_bytes: u64,
    /// Why a partition no longer folds, if one does not.
    pub stopped: Option<String>,
    /// How many seconds the machine's clock is behind what is already known.
    pub clock_behind_seconds: f64,
}

impl House {
    /// How the house is.
    pub fn status(&self) -> Status {
        let health = self.engine().health();
        Status {
            started_at: self.started_at(),
            n_partitions: self.n_partitions(),
            lag_records: health.lag_records,
            lag_seconds: self.clock().lag().micros() as f64 / 1e6,
            n_folded: health.n_folded,
            n_duplicates: health.n_duplicates,
            n_commits: health.n_commits,
            disk_bytes: self.engine().database().disk_bytes() + dir_bytes(&self.layout().journal()),
            stopped: health.stopped,
            clock_behind_seconds: self.clock().set_back().micros() as f64 / 1e6,
        }
    }

    /// Records and refusals by stream.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn streams(&self) -> Result<BTreeMap<String, Count>, Error> {
        let mut counts = BTreeMap::new();
        self.in_each_partition(|rooms| rooms.streams.add_counts(&mut counts))?;
        Ok(counts)
    }

    /// Refused records, the latest first: at most `limit`, from behind `after`.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn quarantine(
        &self,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<(RecordId, Refused)>, Error> {
        let mut refused = Vec::new();
        self.in_each_partition(|rooms| {
            rooms.streams.scan_refused(|id, one| refused.push((id, one.clone())))
        })?;
        refused.sort_by_key(|(id, one): &(RecordId, Refused)| std::cmp::Reverse((one.at, *id)));
        let skip = match after {
            Some(after) => refused.iter().position(|(id, _)| *id == after).map_or(refused.len(), |at| at + 1),
            None => 0,
        };
        Ok(refused.into_iter().skip(skip).take(limit).collect())
    }
}

fn dir_bytes(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
}
