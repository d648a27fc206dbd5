//! A table of one partition: hot in memory, cold in the database.

use std::sync::Arc;

use event::Partition;
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::lately::Lately;
use crate::{Database, Digest, Error, Key, Seal, Write};

/// What a table can hold. Stored with postcard: fields are told apart by their order, so a changed type needs
/// a new table name; the state is then rebuilt by replay.
pub trait Value: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {}
impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Value for T {}

/// Where a partition's tables live.
#[derive(Clone)]
pub struct Scope {
    db: Database,
    partition: Partition,
    sealer: Option<Arc<dyn Seal>>,
}

impl Scope {
    /// The tables of `partition` in `db`; sealed tables need a `sealer`.
    pub fn new(db: Database, partition: Partition, sealer: Option<Arc<dyn Seal>>) -> Self {
        Self { db, partition, sealer }
    }

    /// Tables in memory, without seals: for tests.
    pub fn memory(partition: Partition) -> Self {
        Self::new(Database::memory(), partition, None)
    }

    /// The partition.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.db
    }
}

struct Slot<V> {
    /// `None`: known to be absent.
    value: Option<Arc<V>>,
    dirty: bool,
    /// Read or written since the last round of eviction.
    used: bool,
}

/// A keyed table of one partition. Changes stay in memory until the loop takes them with
/// [`Stored::drain`] and writes them together with the position.
pub struct Table<K: Key, V: Value> {
    name: &'static str,
    prefix: Vec<u8>,
    db: Database,
    sealer: Option<Arc<dyn Seal>>,
    /// Values are sums over this partition's records: no part of the digest.
    partial: bool,
    hot: FxHashMap<K, Slot<V>>,
    dirty: Vec<K>,
    /// Drained, but perhaps not yet in the database.
    in_flight: Vec<K>,
    /// Read without being made hot: as the database has it, as long as the key is not hot.
    lately: Lately<K, V>,
}

impl<K: Key, V: Value> Table<K, V> {
    /// A table whose values may lie open on disk.
    pub fn open(scope: &Scope, name: &'static str) -> Self {
        let mut prefix = name.as_bytes().to_vec();
        prefix.push(0);
        prefix.extend_from_slice(&scope.partition.0.to_be_bytes());
        Self {
            name,
            prefix,
            db: scope.db.clone(),
            sealer: None,
            partial: false,
            hot: FxHashMap::default(),
            dirty: Vec::new(),
            in_flight: Vec::new(),
            lately: Lately::default(),
        }
    }

    /// A table whose values are sealed under the key of [`Key::owner`] wherever they touch a disk. In a scope
    /// without a sealer (memory, tests) they lie open.
    pub fn sealed(scope: &Scope, name: &'static str) -> Self {
        Self { sealer: scope.sealer.clone(), ..Self::open(scope, name) }
    }

    /// A table whose values are sums over this partition's records under keys that are no subject's: the total
    /// over all partitions is a fold, the parts depend on their number, so the digest leaves them out.
    pub fn partial(scope: &Scope, name: &'static str) -> Self {
        Self { partial: true, ..Self::open(scope, name) }
    }

    /// The value under `key`, made hot.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn get(&mut self, key: &K) -> Result<Option<&V>, Error> {
        Ok(self.slot(key)?.value.as_deref())
    }

    /// Sets the value under `key`.
    pub fn put(&mut self, key: K, value: V) {
        self.set(key, Some(Arc::new(value)));
    }

    /// Removes the value under `key`.
    pub fn remove(&mut self, key: &K) {
        self.set(key.clone(), None);
    }

    /// Changes the value under `key`, starting from the default where there is none.
    ///
    /// # Errors
    /// [`Error`] where the store fails; nothing is changed then.
    pub fn update<R>(&mut self, key: &K, change: impl FnOnce(&mut V) -> R) -> Result<R, Error>
    where
        V: Default,
    {
        let slot = self.slot(key)?;
        let value = slot.value.get_or_insert_with(|| Arc::new(V::default()));
        // A reader or a commit under way may hold the old value: it keeps it, we change a copy.
        let result = change(Arc::make_mut(value));
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(key.clone());
        }
        Ok(result)
    }

    /// The value under `key` for a reader that must not change what is hot.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn peek(&self, key: &K) -> Result<Option<Arc<V>>, Error> {
        if let Some(slot) = self.hot.get(key) {
            return Ok(slot.value.clone());
        }
        if let Some(known) = self.lately.get(key) {
            return Ok(known);
        }
        let value = self.load(key)?.map(Arc::new);
        self.lately.put(key.clone(), value.clone());
        Ok(value)
    }

    /// Visits all entries in order of their keys' bytes, hot changes included.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn scan(&self, mut visit: impl FnMut(&K, &V)) -> Result<(), Error> {
        self.scan_from(&[], &mut visit)
    }

    /// Visits the entries whose key's bytes start with `start`, in order, hot changes included.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn scan_from(&self, start: &[u8], visit: &mut dyn FnMut(&K, &V)) -> Result<(), Error> {
        let mut fresh: Vec<(Vec<u8>, &K, &Slot<V>)> = Vec::new();
        for key in self.dirty.iter().chain(&self.in_flight) {
            let bytes = key_bytes(key);
            if let Some(slot) = self.hot.get(key)
                && bytes.starts_with(start)
            {
                fresh.push((bytes, key, slot));
            }
        }
        fresh.sort_by(|a, b| a.0.cmp(&b.0));
        fresh.dedup_by(|a, b| a.0 == b.0);
        let mut fresh = fresh.into_iter().peekable();
        let mut emit = |key: &K, slot: &Slot<V>| {
            if let Some(value) = &slot.value {
                visit(key, value);
            }
        };
        let mut prefix = self.prefix.clone();
        prefix.extend_from_slice(start);
        self.db.prefix(&prefix, |full, bytes| {
            let at = full.get(self.prefix.len()..).unwrap_or_default();
            while let Some((_, key, slot)) = fresh.next_if(|(bytes, ..)| bytes.as_slice() < at) {
                emit(key, slot);
            }
            if let Some((_, key, slot)) = fresh.next_if(|(bytes, ..)| bytes.as_slice() == at) {
                emit(key, slot);
                return Ok(());
            }
            let key = K::read(at).ok_or_else(|| self.corrupt("its key is not of this table"))?;
            if let Some(value) = self.decode(&key, bytes)? {
                emit(&key, &Slot { value: Some(Arc::new(value)), dirty: false, used: false });
            }
            Ok(())
        })?;
        for (_, key, slot) in fresh {
            emit(key, slot);
        }
        Ok(())
    }

    /// The keys whose bytes start with `start`, hot ones included, also of values that no longer open (LAW 4) and of some
    /// that were just removed: for whoever removes them all.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn keys_from(&self, start: &[u8]) -> Result<Vec<K>, Error> {
        let hot = self.dirty.iter().chain(&self.in_flight).filter(|key| key_bytes(*key).starts_with(start));
        let mut keys: Vec<K> = hot.cloned().collect();
        let mut prefix = self.prefix.clone();
        prefix.extend_from_slice(start);
        self.db.prefix(&prefix, |full, _| {
            let at = full.get(self.prefix.len()..).unwrap_or_default();
            keys.push(K::read(at).ok_or_else(|| self.corrupt("its key is not of this table"))?);
            Ok(())
        })?;
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    fn slot(&mut self, key: &K) -> Result<&mut Slot<V>, Error> {
        if !self.hot.contains_key(key) {
            let value = self.load(key)?.map(Arc::new);
            self.lately.forget(key);
            self.hot.insert(key.clone(), Slot { value, dirty: false, used: true });
        }
        let slot = self.hot.entry(key.clone()).or_insert(Slot { value: None, dirty: false, used: true });
        slot.used = true;
        Ok(slot)
    }

    fn set(&mut self, key: K, value: Option<Arc<V>>) {
        self.lately.forget(&key);
        let slot = self.hot.entry(key.clone()).or_insert(Slot { value: None, dirty: false, used: true });
        slot.value = value;
        slot.used = true;
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(key);
        }
    }

    fn full_key(&self, key: &K) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.prefix.len() + 32);
        bytes.extend_from_slice(&self.prefix);
        key.write(&mut bytes);
        bytes
    }

    fn load(&self, key: &K) -> Result<Option<V>, Error> {
        match self.db.get(&self.full_key(key))? {
            Some(bytes) => self.decode(key, &bytes),
            None => Ok(None),
        }
    }

    /// LAW 4: a value whose owner's key is destroyed reads as absent.
    fn decode(&self, key: &K, bytes: &[u8]) -> Result<Option<V>, Error> {
        let plain;
        let bytes = match (&self.sealer, key.owner()) {
            (Some(sealer), Some(owner)) => {
                let opened = sealer
                    .open(owner, self.name, bytes)
                    .map_err(|source| Error::Seal { table: self.name.to_owned(), source })?;
                match opened {
                    Some(opened) => {
                        plain = opened;
                        plain.as_slice()
                    }
                    None => return Ok(None),
                }
            }
            _ => bytes,
        };
        postcard::from_bytes(bytes).map(Some).map_err(|e| self.corrupt(&e.to_string()))
    }

    fn corrupt(&self, reason: &str) -> Error {
        Error::Corrupt { table: self.name.to_owned(), reason: reason.to_owned() }
    }
}

fn key_bytes<K: Key>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.write(&mut bytes);
    bytes
}

trait Encode: Send + Sync {
    fn encode(&self) -> Result<Vec<u8>, postcard::Error>;
}

impl<V: Value> Encode for V {
    fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_allocvec(self)
    }
}

/// One change taken from a table, to be encoded and sealed outside the partition's lock.
pub struct Pending {
    table: &'static str,
    key: Vec<u8>,
    value: Option<Arc<dyn Encode>>,
    seal: Option<(Arc<dyn Seal>, event::Subject)>,
}

impl Pending {
    /// The bytes to write.
    ///
    /// # Errors
    /// [`Error::Seal`] where the owner's key is not to be had.
    pub fn into_write(self) -> Result<Write, Error> {
        let Some(value) = self.value else { return Ok((self.key, None)) };
        let plain = value
            .encode()
            .map_err(|e| Error::Corrupt { table: self.table.to_owned(), reason: e.to_string() })?;
        let bytes = match self.seal {
            Some((sealer, owner)) => sealer
                .seal(owner, self.table, &plain)
                .map_err(|source| Error::Seal { table: self.table.to_owned(), source })?,
            None => plain,
        };
        Ok((self.key, Some(bytes)))
    }
}

/// What the loop needs of a table, whatever it holds.
pub trait Stored {
    /// Takes the changes since the last call. A loop that cannot write them must stop and start again from the
    /// database.
    fn drain(&mut self, out: &mut Vec<Pending>);

    /// How many entries changed since the last [`Stored::drain`].
    fn n_dirty(&self) -> usize;

    /// How many entries are hot.
    fn n_hot(&self) -> usize;

    /// Says that everything drained is in the database, and forgets entries beyond `capacity` that did not
    /// change since and were not used lately.
    fn evict(&mut self, capacity: usize);

    /// Adds every written entry, opened, to `digest`.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    fn digest(&self, digest: &mut Digest) -> Result<(), Error>;
}

impl<K: Key, V: Value> Stored for Table<K, V> {
    fn drain(&mut self, out: &mut Vec<Pending>) {
        for key in std::mem::take(&mut self.dirty) {
            let seal = self.sealer.clone().zip(key.owner());
            let full = self.full_key(&key);
            if let Some(slot) = self.hot.get_mut(&key) {
                slot.dirty = false;
                let value = slot.value.clone().map(|value| value as Arc<dyn Encode>);
                out.push(Pending { table: self.name, key: full, value, seal });
                self.in_flight.push(key);
            }
        }
    }

    fn n_dirty(&self) -> usize {
        self.dirty.len()
    }

    fn n_hot(&self) -> usize {
        self.hot.len()
    }

    fn evict(&mut self, capacity: usize) {
        self.in_flight.clear();
        if self.hot.len() <= capacity {
            return;
        }
        // One hand of a clock: what was not used since the last round goes first.
        let mut excess = self.hot.len() - capacity;
        self.hot.retain(|_, slot| {
            let keep = excess == 0 || slot.dirty || slot.used;
            excess -= usize::from(!keep);
            slot.used = slot.used && excess == 0;
            keep
        });
        let mut excess = self.hot.len().saturating_sub(capacity);
        self.hot.retain(|_, slot| {
            let keep = excess == 0 || slot.dirty;
            excess -= usize::from(!keep);
            keep
        });
        self.hot.shrink_to(capacity * 2);
    }

    fn digest(&self, digest: &mut Digest) -> Result<(), Error> {
        if self.partial {
            return Ok(());
        }
        self.db.prefix(&self.prefix, |full, bytes| {
            let at = full.get(self.prefix.len()..).unwrap_or_default();
            match (&self.sealer, K::read(at).and_then(|key| key.owner())) {
                (Some(sealer), Some(owner)) => {
                    let opened = sealer
                        .open(owner, self.name, bytes)
                        .map_err(|source| Error::Seal { table: self.name.to_owned(), source })?;
                    if let Some(plain) = opened {
                        digest.add(self.name, at, &plain);
                    }
                }
                _ => digest.add(self.name, at, bytes),
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Subject;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn commit<K: Key, V: Value>(table: &mut Table<K, V>) {
        let mut pending = Vec::new();
        table.drain(&mut pending);
        let writes = pending.into_iter().map(|p| p.into_write().unwrap()).collect();
        table.db.write(writes, false).unwrap();
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put(u64, u32),
        Add(u64, u32),
        Remove(u64),
        /// Drain, then write after the next steps, as the committer does.
        Drain,
        Commit,
        Evict(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20_u64, any::<u32>()).prop_map(|(k, v)| Step::Put(k, v)),
            (0..20_u64, any::<u32>()).prop_map(|(k, v)| Step::Add(k, v)),
            (0..20_u64).prop_map(Step::Remove),
            Just(Step::Drain),
            Just(Step::Commit),
            (0..10_usize).prop_map(Step::Evict),
        ]
    }

    proptest! {
        /// Whatever is committed or evicted in between, a table reads like a plain map.
        #[test]
        fn reads_like_a_map(steps in prop::collection::vec(step(), 0..80)) {
            let scope = Scope::memory(Partition(3));
            let mut table: Table<u64, u32> = Table::open(&scope, "t");
            let mut model: BTreeMap<u64, u32> = BTreeMap::new();
            let mut pending = Vec::new();
            for step in steps {
                match step {
                    Step::Put(k, v) => { table.put(k, v); model.insert(k, v); }
                    Step::Add(k, v) => {
                        table.update(&k, |x| *x = x.wrapping_add(v)).unwrap();
                        let x = model.entry(k).or_default();
                        *x = x.wrapping_add(v);
                    }
                    Step::Remove(k) => { table.remove(&k); model.remove(&k); }
                    Step::Drain => table.drain(&mut pending),
                    Step::Commit => {
                        table.drain(&mut pending);
                        let writes = pending.drain(..).map(|p: Pending| p.into_write().unwrap()).collect();
                        table.db.write(writes, false).unwrap();
                    }
                    Step::Evict(n) => if pending.is_empty() { table.evict(n) },
                }
                let mut seen = Vec::new();
                table.scan(|k, v| seen.push((*k, *v))).unwrap();
                prop_assert_eq!(&seen, &model.iter().map(|(k, v)| (*k, *v)).collect::<Vec<_>>());
                for k in 0..20 {
                    prop_assert_eq!(table.peek(&k).unwrap().map(|v| *v), model.get(&k).copied());
                }
            }
            for k in 0..20 {
                prop_assert_eq!(table.get(&k).unwrap().copied(), model.get(&k).copied());
            }
        }
    }

    #[test]
    fn a_taken_value_stays_as_it_was() {
        let mut table: Table<u64, Vec<u8>> = Table::open(&Scope::memory(Partition(0)), "t");
        table.put(1, vec![1]);
        let mut pending = Vec::new();
        table.drain(&mut pending);
        table.update(&1, |v| v.push(2)).unwrap();
        let (_, bytes) = pending.pop().unwrap().into_write().unwrap();
        assert_eq!(postcard::from_bytes::<Vec<u8>>(&bytes.unwrap()).unwrap(), [1]);
        assert_eq!(table.get(&1).unwrap(), Some(&vec![1, 2]));
        assert_eq!(table.n_dirty(), 1);
    }

    struct Xor(u8);
    impl Seal for Xor {
        fn seal(&self, owner: Subject, _: &str, plain: &[u8]) -> Result<Vec<u8>, crate::SealError> {
            Ok(plain.iter().map(|b| b ^ self.0 ^ owner.as_bytes()[0]).collect())
        }
        fn open(&self, owner: Subject, c: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, crate::SealError> {
            if owner.as_bytes()[0] == 9 { Ok(None) } else { self.seal(owner, c, sealed).map(Some) }
        }
    }

    #[test]
    fn a_sealed_table_never_writes_its_plain_value() {
        let db = Database::memory();
        let scope = Scope::new(db.clone(), Partition(0), Some(Arc::new(Xor(0x5a))));
        let mut table: Table<Subject, String> = Table::sealed(&scope, "t");
        let (kept, erased) = (Subject::from_bytes([1; 16]), Subject::from_bytes([9; 16]));
        table.put(kept, "Grete Müller".into());
        table.put(erased, "Hans".into());
        commit(&mut table);
        table.evict(0);
        db.prefix(b"", |_, value| {
            assert!(!value.windows(5).any(|w| w == b"Grete"));
            Ok(())
        })
        .unwrap();
        assert_eq!(table.get(&kept).unwrap().map(String::as_str), Some("Grete Müller"));
        assert_eq!(table.get(&erased).unwrap(), None, "a destroyed key leaves nothing to read");
        let mut digest = Digest::default();
        table.digest(&mut digest).unwrap();
        assert_eq!(digest.n_entries(), 1);
    }

    #[test]
    fn the_digest_does_not_see_partitions() {
        let db = Database::memory();
        let digest_of = |entries: &[(u16, u64)]| {
            let mut digest = Digest::default();
            for (partition, key) in entries {
                let scope = Scope::new(Database::memory(), Partition(*partition), None);
                let mut table: Table<u64, u64> = Table::open(&scope, "t");
                table.put(*key, key * 10);
                commit(&mut table);
                table.digest(&mut digest).unwrap();
            }
            digest
        };
        drop(db);
        assert_eq!(digest_of(&[(0, 1), (0, 2)]), digest_of(&[(5, 2), (6, 1)]));
        assert_ne!(digest_of(&[(0, 1)]), digest_of(&[(0, 2)]));
    }
}
