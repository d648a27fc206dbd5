//! The bytes underneath the tables: one ordered map on disk (fjall) or in memory, with atomic batches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use fjall::{Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::SealError;

/// What can go wrong below the tables.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR6020, explained in docs/errors/MR6020.md
    #[error("state in `{}` cannot be read or written: {source}; check the disk's space and rights, then restart: nothing accepted is lost", path.display())]
    Engine {
        /// The state's directory.
        path: PathBuf,
        /// What the engine says.
        source: fjall::Error,
    },
    /// MR6021, explained in docs/errors/MR6021.md
    #[error(
        "an entry of table `{table}` cannot be read: {reason}; rebuild the state with `maschinenraum replay`"
    )]
    Corrupt {
        /// The table.
        table: String,
        /// Why.
        reason: String,
    },
    /// MR6022, explained in docs/errors/MR6022.md
    #[error("a value of table `{table}` cannot be sealed or opened: {source}")]
    Seal {
        /// The table.
        table: String,
        /// What the vault says.
        source: SealError,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Engine { .. } => "MR6020",
            Self::Corrupt { .. } => "MR6021",
            Self::Seal { .. } => "MR6022",
        }
    }
}

/// A key that no table has: to remove it changes nothing.
const NOBODY: &[u8] = b"\xff\xff nobody";
/// How long a compaction waits for what is in memory to be written.
const FLUSHED: std::time::Duration = std::time::Duration::from_secs(20);

/// One change: a key and its new value, or `None` to remove it.
pub type Write = (Vec<u8>, Option<Vec<u8>>);

/// An ordered map of bytes with atomic batches. Clones share it.
#[derive(Clone)]
pub struct Database {
    backend: Arc<Backend>,
}

enum Backend {
    Disk { db: fjall::Database, state: Keyspace, path: PathBuf },
    Memory(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>),
}

impl Database {
    /// Opens or creates the database in a directory. `cache_bytes` bounds the block cache.
    ///
    /// # Errors
    /// [`Error::Engine`], also where another process has it open.
    pub fn open(path: &Path, cache_bytes: u64) -> Result<Self, Error> {
        let engine = |source| Error::Engine { path: path.to_path_buf(), source };
        let db = fjall::Database::builder(path)
            .cache_size(cache_bytes)
            .worker_threads(1)
            .open()
            .map_err(engine)?;
        let state = db.keyspace("state", KeyspaceCreateOptions::default).map_err(engine)?;
        Ok(Self { backend: Arc::new(Backend::Disk { db, state, path: path.to_path_buf() }) })
    }

    /// A database that lives in memory, for tests and short-lived folds.
    pub fn memory() -> Self {
        Self { backend: Arc::new(Backend::Memory(RwLock::default())) }
    }

    /// The value under a key.
    ///
    /// # Errors
    /// [`Error::Engine`]
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match &*self.backend {
            Backend::Disk { state, path, .. } => match state.get(key) {
                Ok(found) => Ok(found.map(|value| value.to_vec())),
                Err(source) => Err(Error::Engine { path: path.clone(), source }),
            },
            Backend::Memory(map) => Ok(read(map).get(key).cloned()),
        }
    }

    /// Visits all entries whose key starts with `prefix`, in order of key.
    ///
    /// # Errors
    /// [`Error::Engine`], and whatever `visit` returns.
    pub fn prefix(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &*self.backend {
            Backend::Disk { state, path, .. } => {
                for entry in state.prefix(prefix) {
                    let (key, value) =
                        entry.into_inner().map_err(|source| Error::Engine { path: path.clone(), source })?;
                    visit(&key, &value)?;
                }
                Ok(())
            }
            Backend::Memory(map) => {
                let found: Vec<_> = read(map)
                    .range(prefix.to_vec()..)
                    .take_while(|(key, _)| key.starts_with(prefix))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                found.iter().try_for_each(|(key, value)| visit(key, value))
            }
        }
    }

    /// Writes all changes or none. With `sync` they survive a power loss when this returns; without, a crash
    /// may take the newest batches, whole and in order.
    ///
    /// # Errors
    /// [`Error::Engine`]; nothing was written then.
    pub fn write(&self, changes: Vec<Write>, sync: bool) -> Result<(), Error> {
        match &*self.backend {
            Backend::Disk { db, state, path } => {
                let engine = |source| Error::Engine { path: path.clone(), source };
                let mut batch = db.batch().durability(sync.then_some(PersistMode::SyncData));
                for (key, value) in changes {
                    match value {
                        Some(value) => batch.insert(state, key, value),
                        None => batch.remove(state, key),
                    }
                }
                batch.commit().map_err(engine)
            }
            Backend::Memory(map) => {
                let mut map = match map.write() {
                    Ok(map) => map,
                    Err(poisoned) => poisoned.into_inner(),
                };
                for (key, value) in changes {
                    match value {
                        Some(value) => map.insert(key, value),
                        None => map.remove(&key),
                    };
                }
                Ok(())
            }
        }
    }

    /// Rewrites what lies on the disk without entries that were overwritten or removed; takes as long as reading and
    /// writing all of it.
    ///
    /// # Errors
    /// [`Error::Engine`]; what was written stays written.
    pub fn compact(&self) -> Result<(), Error> {
        match &*self.backend {
            Backend::Disk { state, path, .. } => {
                compact(state).map_err(|source| Error::Engine { path: path.clone(), source })
            }
            Backend::Memory(_) => Ok(()),
        }
    }

    /// Bytes on disk; 0 in memory.
    pub fn disk_bytes(&self) -> u64 {
        match &*self.backend {
            Backend::Disk { db, .. } => db.disk_space().unwrap_or(0),
            Backend::Memory(_) => 0,
        }
    }
}

/// Rewrites a keyspace without entries that were overwritten or removed, and lets go of the files it lay in.
///
/// # Errors
/// Whatever the engine says; what was written stays written.
pub fn compact(keyspace: &Keyspace) -> Result<(), fjall::Error> {
    flush(keyspace)?;
    keyspace.major_compact()?;
    // What lay there before is kept for readers of a moment ago, until something newer is written.
    flush(keyspace)
}

/// Has what is in memory written, and nothing kept that only readers of the past would see.
fn flush(keyspace: &Keyspace) -> Result<(), fjall::Error> {
    // The engine forgets what is older than its last step but one, and takes no step where nothing was written.
    for _ in 0..2 {
        keyspace.remove(NOBODY)?;
    }
    keyspace.rotate_memtable()?;
    // Written by a thread of the engine's own. Where it does not come to it, what is compacted is what it wrote so far.
    let deadline = std::time::Instant::now() + FLUSHED;
    while keyspace.sealed_memtable_count() > 0 && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    Ok(())
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    match lock.read() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every backend must do.
    fn suite(db: &Database) {
        let set = |k: &[u8], v: &[u8]| (k.to_vec(), Some(v.to_vec()));
        db.write(vec![set(b"a/1", b"x"), set(b"a/2", b"y"), set(b"b/1", b"z")], false).unwrap();
        db.write(vec![(b"a/1".to_vec(), None), set(b"a/3", b"w")], true).unwrap();
        assert_eq!(db.get(b"a/1").unwrap(), None);
        assert_eq!(db.get(b"a/2").unwrap().as_deref(), Some(&b"y"[..]));
        let mut seen = Vec::new();
        db.prefix(b"a/", |k, v| {
            seen.push((k.to_vec(), v.to_vec()));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(b"a/2".to_vec(), b"y".to_vec()), (b"a/3".to_vec(), b"w".to_vec())]);
    }

    #[test]
    fn memory_keeps_the_promises() {
        suite(&Database::memory());
    }

    #[test]
    fn disk_keeps_the_promises_and_reopens() {
        let dir = tempfile::tempdir().unwrap();
        suite(&Database::open(dir.path(), 8 << 20).unwrap());
        let again = Database::open(dir.path(), 8 << 20).unwrap();
        assert_eq!(again.get(b"b/1").unwrap().as_deref(), Some(&b"z"[..]));
    }

    #[test]
    fn what_was_removed_is_gone_from_the_disk_once_it_is_compacted() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(dir.path(), 8 << 20).unwrap();
        let value = b"a value that nothing else holds".to_vec();
        let other = b"another that is kept all the while".to_vec();
        db.write(vec![(b"k".to_vec(), Some(value.clone())), (b"o".to_vec(), Some(other.clone()))], true)
            .unwrap();
        db.write(vec![(b"k".to_vec(), None)], true).unwrap();
        db.compact().unwrap();
        assert_eq!(db.get(b"k").unwrap(), None);
        assert_eq!(db.get(b"o").unwrap(), Some(other));
        let tables = dir.path().join("keyspaces");
        let mut n_files = 0;
        let mut open = vec![tables];
        while let Some(at) = open.pop() {
            for entry in std::fs::read_dir(at).unwrap().flatten() {
                if entry.path().is_dir() {
                    open.push(entry.path());
                    continue;
                }
                n_files += 1;
                let bytes = std::fs::read(entry.path()).unwrap();
                assert!(!bytes.windows(value.len()).any(|w| w == value), "{}", entry.path().display());
            }
        }
        assert!(n_files > 0);
    }
}
