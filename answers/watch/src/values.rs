//! A bounded, mergeable picture of many values: exact while they are few, an even sample of them once they are many.
//!
//! Kept are the `K` distinct values with the smallest hashes, each with its exact count: whatever is among the `K`
//! smallest of all was among the `K` smallest ever since it came, so nothing of its count is lost. The result depends
//! neither on order nor on how the values were split up. The largest kept hash says how many distinct values there are.
//!
//! # Source
//! Bar-Yossef et al. 2002, "Counting distinct elements in a data stream", algorithm 2; Beyer et al. 2007,
//! doi:10.1145/1247480.1247504

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many characters of a value are kept.
const MAX_TEXT: usize = 40;

/// A stable 64-bit hash. Not for adversaries: who can choose values can choose which are kept, and gains nothing by it.
pub fn hash(bytes: &[u8]) -> u64 {
    const A: u64 = 0x9E37_79B9_7F4A_7C15;
    const B: u64 = 0xD6E8_FEB8_6659_FD93;
    let mut h = A ^ (bytes.len() as u64).wrapping_mul(B);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        h = (h ^ u64::from_le_bytes(word)).wrapping_mul(B);
        h ^= h >> 32;
    }
    h = (h ^ (h >> 32)).wrapping_mul(B);
    h = (h ^ (h >> 29)).wrapping_mul(A);
    h ^ (h >> 32)
}

/// One kept value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    n: u64,
    text: Box<str>,
}

/// The values with the `K` smallest hashes, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values<const K: usize> {
    kept: BTreeMap<u64, Kept>,
    /// True where a value was dropped: counts are then of a sample of the values.
    overflowed: bool,
    n: u64,
}

impl<const K: usize> Default for Values<K> {
    fn default() -> Self {
        Self { kept: BTreeMap::new(), overflowed: false, n: 0 }
    }
}

impl<const K: usize> Values<K> {
    /// Counts one value.
    pub fn add(&mut self, text: &str) {
        self.add_hashed(hash(text.as_bytes()), text);
    }

    /// Counts one value whose [`hash`] is known.
    pub fn add_hashed(&mut self, hash: u64, text: &str) {
        self.add_times(hash, 1, || text.chars().take(MAX_TEXT).collect());
    }

    /// Counts one value whose [`hash`] is known; its text is made only where it is kept for the first time, and must be the
    /// same whenever the hash is.
    pub fn add_lazily(&mut self, hash: u64, text: impl FnOnce() -> String) {
        self.add_times(hash, 1, || text().chars().take(MAX_TEXT).collect());
    }

    fn add_times(&mut self, hash: u64, n: u64, text: impl FnOnce() -> Box<str>) {
        self.n += n;
        if self.overflowed && self.kept.last_key_value().is_some_and(|(last, _)| hash > *last) {
            return;
        }
        if let Some(kept) = self.kept.get_mut(&hash) {
            kept.n += n;
            return;
        }
        if self.kept.len() >= K {
            self.overflowed = true;
            if self.kept.last_key_value().is_some_and(|(last, _)| hash > *last) {
                return;
            }
            self.kept.pop_last();
        }
        self.kept.insert(hash, Kept { n, text: text() });
    }

    /// Adds what another saw.
    pub fn merge(&mut self, other: &Self) {
        let n = self.n + other.n;
        if other.overflowed && !self.overflowed {
            // What the other dropped lies beyond its largest hash; the same holds for both together.
            let limit = other.kept.last_key_value().map_or(0, |(last, _)| *last);
            self.kept.retain(|hash, _| *hash <= limit);
        }
        let limit = self.kept.last_key_value().filter(|_| self.overflowed).map(|(last, _)| *last);
        for (hash, kept) in &other.kept {
            if limit.is_some_and(|limit| *hash > limit) {
                break;
            }
            match self.kept.get_mut(hash) {
                Some(mine) => mine.n += kept.n,
                None => {
                    self.kept.insert(*hash, kept.clone());
                }
            }
        }
        self.overflowed |= other.overflowed || self.kept.len() > K;
        while self.kept.len() > K {
            self.kept.pop_last();
        }
        self.n = n;
    }

    /// How many values were counted.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// True where every value is kept.
    pub fn is_exact(&self) -> bool {
        !self.overflowed
    }

    /// How many distinct values there are: exact, or within about `1/√K` of it.
    pub fn n_distinct(&self) -> u64 {
        if !self.overflowed {
            return self.kept.len() as u64;
        }
        let largest = self.kept.last_key_value().map_or(1, |(hash, _)| (*hash).max(1));
        let share = largest as f64 / u64::MAX as f64;
        ((self.kept.len() as f64 - 1.0) / share).round() as u64
    }

    /// How many of the kept values' occurrences repeat one that came before, and how many there are: all of them where
    /// exact, else of an even sample of the values.
    pub fn repeats(&self) -> (u64, u64) {
        let n: u64 = self.kept.values().map(|kept| kept.n).sum();
        (n - self.kept.len() as u64, n)
    }

    /// The kept values with their counts, the most frequent first.
    pub fn top(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = self.kept.values().map(|kept| (kept.text.as_ref(), kept.n)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all
    }

    /// How often the value with this hash came, as far as it is kept.
    pub fn count_of(&self, hash: u64) -> u64 {
        self.kept.get(&hash).map_or(0, |kept| kept.n)
    }

    /// The kept values by hash.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &str, u64)> {
        self.kept.iter().map(|(hash, kept)| (*hash, kept.text.as_ref(), kept.n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// LAW 2: order and partitions change nothing.
        #[test]
        fn any_order_and_any_split_give_the_same(
            values in prop::collection::vec((0..60_u32, 0..3_usize), 0..300), k in any::<u64>(),
        ) {
            let mut whole = Values::<16>::default();
            let mut parts = [Values::<16>::default(), Values::default(), Values::default()];
            for (value, part) in &values {
                whole.add(&value.to_string());
                parts[*part].add(&value.to_string());
            }
            let mut merged = Values::default();
            let start = (k % 3) as usize;
            (0..3).for_each(|i| merged.merge(&parts[(start + i) % 3]));
            prop_assert_eq!(&merged, &whole);
            for (hash, text, n) in whole.iter() {
                let real = values.iter().filter(|(value, _)| value.to_string() == text).count() as u64;
                prop_assert_eq!((hash, n), (super::hash(text.as_bytes()), real));
            }
        }
    }

    #[test]
    fn many_values_are_estimated_in_bounded_memory() {
        let mut values = Values::<1024>::default();
        (0..200_000_u32).for_each(|i| values.add(&format!("customer {i}")));
        assert_eq!(values.kept.len(), 1024);
        let error = values.n_distinct() as f64 / 200_000.0 - 1.0;
        assert!(error.abs() < 0.1, "{error}");
        assert_eq!(values.repeats().0, 0);
    }

    #[test]
    fn few_values_are_exact() {
        let mut values = Values::<8>::default();
        ["a", "b", "a", "ü".repeat(100).as_str()].iter().for_each(|text| values.add(text));
        assert_eq!((values.n_distinct(), values.is_exact(), values.repeats()), (3, true, (1, 4)));
        assert_eq!(values.top().first(), Some(&("a", 2)));
    }
}
