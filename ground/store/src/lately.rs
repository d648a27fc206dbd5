//! What was lately read and not changed: so that a second look needs neither the database nor a key.

use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

/// Entries of one generation.
const MOST: usize = 2_048;

/// What is known of a key; `None`: that there is nothing.
type Known<V> = Option<Arc<V>>;

/// A bounded memory of reads, absence included. Two generations: what is asked for again moves to the younger one, and
/// when that is full the older one goes.
pub(crate) struct Lately<K, V> {
    known: Mutex<Generations<K, V>>,
}

struct Generations<K, V> {
    young: FxHashMap<K, Known<V>>,
    old: FxHashMap<K, Known<V>>,
}

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        let (young, old) = (FxHashMap::default(), FxHashMap::default());
        Self { known: Mutex::new(Generations { young, old }) }
    }
}

impl<K: Clone + Eq + Hash, V> Lately<K, V> {
    /// What is known of `key`; `None` where it must be looked up.
    pub(crate) fn get(&self, key: &K) -> Option<Known<V>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = known.old.remove_entry(key)?;
        known.keep(key, value.clone());
        Some(value)
    }

    /// Remembers what was found under `key`.
    pub(crate) fn put(&self, key: K, value: Known<V>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).keep(key, value);
    }

    /// Forgets a key that is about to change.
    pub(crate) fn forget(&mut self, key: &K) {
        let known = self.known.get_mut().unwrap_or_else(PoisonError::into_inner);
        known.young.remove(key);
        known.old.remove(key);
    }
}

impl<K: Eq + Hash, V> Generations<K, V> {
    fn keep(&mut self, key: K, value: Known<V>) {
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_what_was_asked_for_lately_and_stays_small() {
        let mut lately: Lately<u64, u64> = Lately::default();
        lately.put(0, Some(Arc::new(7)));
        lately.put(1, None);
        for key in 2..100_000 {
            lately.put(key, Some(Arc::new(key)));
            assert_eq!(lately.get(&0).flatten().as_deref(), Some(&7), "asked for again and again");
        }
        assert!(lately.get(&1).is_none(), "long ago");
        assert_eq!(lately.get(&99_999).flatten().as_deref(), Some(&99_999));
        let known = lately.known.get_mut().unwrap();
        assert!(known.young.len() + known.old.len() <= 2 * MOST);
        lately.forget(&0);
        assert!(lately.get(&0).is_none());
    }
}
