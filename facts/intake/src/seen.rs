//! Which ids went by lately: bounded memory, so that a file of any length can be read.

use std::hash::Hash;

use event::RecordId;
use rustc_hash::FxHashMap;

/// Remembers between `capacity` and twice as many keys, the latest ones, with a value each.
#[derive(Debug)]
pub(crate) struct Lately<K, V> {
    capacity: usize,
    young: FxHashMap<K, V>,
    old: FxHashMap<K, V>,
}

impl<K: Hash + Eq + Copy, V: Copy> Lately<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), young: FxHashMap::default(), old: FxHashMap::default() }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

/// The record ids of one delivery, to drop what it holds twice.
///
/// It holds the last million: duplicates further apart are recognised when they are folded, like those of two
/// deliveries.
#[derive(Debug)]
pub struct Seen(Lately<RecordId, ()>);

impl Seen {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(Lately::new(1_000_000))
    }

    /// True the first time.
    pub(crate) fn is_new(&mut self, id: RecordId) -> bool {
        if self.0.get(&id).is_some() {
            return false;
        }
        self.0.put(id, ());
        true
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered_and_memory_is_bounded() {
        let mut lately = Lately::new(10);
        for i in 0..1_000_u32 {
            lately.put(i, ());
        }
        assert!((990..1_000).all(|i| lately.get(&i).is_some()));
        assert!(lately.get(&0).is_none());
        assert!(lately.young.len() + lately.old.len() <= 20);
    }
}
