//! Some rows of a file, spread over it: the first rows alone would show one month, one shop, one campaign.

use serde_json::Value;

use super::File;
use crate::error::Error;

/// How far a sample reads.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// How many rows of Parquet, whose bytes say little.
const MAX_ROWS: u64 = 2_000_000;

/// Some rows of a file.
#[derive(Clone, Debug)]
pub struct Sample {
    /// In the order of the file. Rows that are none are left out.
    pub rows: Vec<Value>,
    /// How many rows were looked at.
    pub n_rows: u64,
    /// How many of them are none.
    pub n_bad: u64,
}

/// Reservoir sampling (Vitter 1985, algorithm R) with a fixed seed: the same file gives the same sample.
pub(super) fn take(file: &File, n_wanted: usize) -> Result<Sample, Error> {
    let mut kept: Vec<(u64, Value)> = Vec::with_capacity(n_wanted.min(100_000));
    let (mut n_good, mut n_bad) = (0_u64, 0_u64);
    let mut random = SplitMix(0x6d61_7363_6869_6e65);
    let mut rows = file.rows(0)?;
    while let Some(row) = rows.next() {
        let row = row?;
        if row.finding.is_some() {
            n_bad += 1;
            continue;
        }
        n_good += 1;
        if kept.len() < n_wanted {
            kept.push((row.number, row.raw));
        } else if let Some(slot) = usize::try_from(random.below(n_good)).ok().and_then(|i| kept.get_mut(i)) {
            *slot = (row.number, row.raw);
        }
        let progress = rows.progress();
        if progress.n_bytes > MAX_BYTES || progress.n_rows > MAX_ROWS {
            break;
        }
    }
    kept.sort_by_key(|(number, _)| *number);
    let rows = kept.into_iter().map(|(_, raw)| raw).collect();
    Ok(Sample { rows, n_rows: n_good + n_bad, n_bad })
}

/// Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The bias of the remainder is below 2^-32 for any file.
        (z ^ (z >> 31)) % n.max(1)
    }
}
