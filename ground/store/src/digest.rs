//! One number for all state, whatever the order and the number of partitions it lies in.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The sum, modulo 2^64 in each of four words, of the SHA-256 hashes of all entries. Adding is commutative,
/// so the digest does not depend on order or on how entries are spread over partitions. It finds
/// differences; it is no defence against somebody who forges entries to match.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    sum: [u64; 4],
    n_entries: u64,
}

impl Digest {
    /// Adds one entry.
    pub fn add(&mut self, table: &str, key: &[u8], value: &[u8]) {
        let mut hash = Sha256::new();
        for part in [table.as_bytes(), key, value] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let full = hash.finalize();
        for (word, bytes) in self.sum.iter_mut().zip(full.chunks_exact(8)) {
            let bytes: [u8; 8] = bytes.try_into().unwrap_or_default();
            *word = word.wrapping_add(u64::from_le_bytes(bytes));
        }
        self.n_entries += 1;
    }

    /// Adds all entries of another digest.
    pub fn merge(&mut self, other: &Digest) {
        for (word, more) in self.sum.iter_mut().zip(other.sum) {
            *word = word.wrapping_add(more);
        }
        self.n_entries += other.n_entries;
    }

    /// How many entries were added.
    pub fn n_entries(&self) -> u64 {
        self.n_entries
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sum.iter().try_for_each(|word| write!(f, "{word:016x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self}, {} entries)", self.n_entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_spread_do_not_matter_but_content_does() {
        let mut one = Digest::default();
        one.add("t", b"a", b"1");
        one.add("t", b"b", b"2");
        let (mut left, mut right) = (Digest::default(), Digest::default());
        left.add("t", b"b", b"2");
        right.add("t", b"a", b"1");
        left.merge(&right);
        assert_eq!(one, left);
        left.add("t", b"", b"");
        assert_ne!(one, left);
        let mut other = Digest::default();
        other.add("t", b"a", b"2");
        other.add("t", b"b", b"1");
        assert_ne!(one, other);
    }
}
