//! Unwrapped subject keys in memory, a bounded number of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use event::Subject;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::key::Key;

/// The keys of one subject.
pub(crate) struct Keys {
    /// The newest epoch there has ever been.
    pub(crate) current: u32,
    /// What can still be opened: (epoch, key), the newest last. Empty where all were destroyed.
    pub(crate) live: Vec<(u32, Key)>,
}

impl Keys {
    /// The key that seals, with its epoch.
    pub(crate) fn sealing(&self) -> Option<(u32, &Key)> {
        self.live.last().filter(|(epoch, _)| *epoch == self.current).map(|(epoch, key)| (*epoch, key))
    }

    pub(crate) fn of_epoch(&self, epoch: u32) -> Option<&Key> {
        self.live.iter().find(|(e, _)| *e == epoch).map(|(_, key)| key)
    }
}

const N_SHARDS: usize = 16;

/// Holds the keys last used. Each shard has two halves: what is touched moves to the young one; when that is
/// full, the old one is dropped (its keys are overwritten) and the young one grows old. Nothing is copied and
/// no clock is kept, at the price of holding between half and all of the bound.
pub(crate) struct Cache {
    shards: [Mutex<Shard>; N_SHARDS],
    half: usize,
    /// How often keys were forgotten.
    generation: AtomicU64,
}

#[derive(Default)]
struct Shard {
    young: FxHashMap<Subject, Arc<Keys>>,
    old: FxHashMap<Subject, Arc<Keys>>,
}

impl Cache {
    /// A cache of at most `n_subjects`.
    pub(crate) fn new(n_subjects: usize) -> Self {
        let half = (n_subjects / N_SHARDS / 2).max(1);
        Self { shards: std::array::from_fn(|_| Mutex::default()), half, generation: AtomicU64::new(0) }
    }

    pub(crate) fn get(&self, subject: Subject) -> Option<Arc<Keys>> {
        let mut shard = self.shard(subject)?.lock();
        if let Some(keys) = shard.young.get(&subject) {
            return Some(Arc::clone(keys));
        }
        let keys = shard.old.remove(&subject)?;
        self.insert(&mut shard, subject, Arc::clone(&keys));
        Some(keys)
    }

    pub(crate) fn put(&self, subject: Subject, keys: Arc<Keys>) {
        if let Some(shard) = self.shard(subject) {
            let mut shard = shard.lock();
            shard.old.remove(&subject);
            self.insert(&mut shard, subject, keys);
        }
    }

    /// To be asked before keys are read from the disk; [`Cache::put_read`] takes them only where it is the same still.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Takes keys that were read from the disk, unless keys were forgotten meanwhile: they may be among them.
    pub(crate) fn put_read(&self, subject: Subject, keys: Arc<Keys>, generation: u64) {
        if let Some(shard) = self.shard(subject) {
            let mut shard = shard.lock();
            if self.generation.load(Ordering::Acquire) == generation {
                shard.old.remove(&subject);
                self.insert(&mut shard, subject, keys);
            }
        }
    }

    /// Drops the keys of these subjects, which are no longer on the disk.
    pub(crate) fn forget(&self, subjects: &[Subject]) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        for subject in subjects {
            if let Some(shard) = self.shard(*subject) {
                let mut shard = shard.lock();
                shard.young.remove(subject);
                shard.old.remove(subject);
            }
        }
    }

    fn insert(&self, shard: &mut Shard, subject: Subject, keys: Arc<Keys>) {
        if shard.young.len() >= self.half && !shard.young.contains_key(&subject) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(subject, keys);
    }

    fn shard(&self, subject: Subject) -> Option<&Mutex<Shard>> {
        let [.., last] = *subject.as_bytes();
        self.shards.get(usize::from(last) % N_SHARDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(n: u32) -> Arc<Keys> {
        Arc::new(Keys { current: n, live: vec![(n, Key::from_bytes([1; 32]))] })
    }

    fn subject(n: u32) -> Subject {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        Subject::from_bytes(bytes)
    }

    #[test]
    fn holds_no_more_than_it_may_and_keeps_what_is_used() {
        let cache = Cache::new(64 * N_SHARDS);
        for n in 1..10_000 {
            cache.put(subject(n), keys(n));
            assert!(cache.get(subject(1)).is_some_and(|k| k.current == 1), "lost the one in use at {n}");
        }
        let count = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            shard.young.len() + shard.old.len()
        };
        let held: usize = cache.shards.iter().map(count).sum();
        assert!((32..=64).contains(&held), "{held}");
        assert!(cache.get(subject(9_999)).is_some_and(|k| k.sealing().is_some()));
    }

    #[test]
    fn what_was_read_before_a_destruction_is_not_taken_after_it() {
        let cache = Cache::new(64 * N_SHARDS);
        let before = cache.generation();
        cache.put(subject(1), keys(1));
        cache.forget(&[subject(1)]);
        assert!(cache.get(subject(1)).is_none());
        cache.put_read(subject(1), keys(1), before);
        assert!(cache.get(subject(1)).is_none());
        cache.put_read(subject(1), keys(1), cache.generation());
        assert!(cache.get(subject(1)).is_some());
    }

    #[test]
    fn an_older_epoch_opens_but_does_not_seal() {
        let old = Keys { current: 2, live: vec![(1, Key::from_bytes([1; 32]))] };
        assert!(old.sealing().is_none());
        assert!(old.of_epoch(1).is_some());
        assert!(old.of_epoch(2).is_none());
    }
}
