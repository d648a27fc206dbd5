//! The vault: subjects' keys made durable, cells sealed and opened.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use event::Subject;
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use zeroize::Zeroizing;

use crate::cache::{Cache, Keys};
use crate::cell::{Label, Opened, Place};
use crate::pseudonym::Pseudonyms;
use crate::root::ROOT_FILE;
use crate::tree::Tree;
use crate::{Error, Master};

/// How many subjects' keys are held unwrapped in memory, unless told otherwise: about 15 MiB.
const N_CACHED: usize = 100_000;

/// Keys, seals and pseudonyms of one house. Shared between threads behind an `Arc`.
pub struct Vault {
    pub(crate) tree: Tree,
    pub(crate) cache: Cache,
    pseudonyms: Pseudonyms,
    /// Subjects whose key someone waits for.
    wanted: Mutex<FxHashSet<Subject>>,
    /// Held by the one who makes keys.
    pub(crate) turn: Mutex<()>,
    /// Subjects that are being erased, and by how many at once.
    pub(crate) erasing: Mutex<FxHashMap<Subject, u32>>,
    /// How many they are.
    pub(crate) n_erasing: AtomicUsize,
}

impl Vault {
    /// Makes a new vault in `dir`.
    ///
    /// # Errors
    /// [`Error::AlreadyHere`] where there is one; [`Error::MasterInside`] where the master key lies in `dir`.
    pub fn create(dir: &Path, master: &Master) -> Result<Self, Error> {
        Self::over(Tree::create(dir, master)?, N_CACHED)
    }

    /// True where a vault was made in `dir`, to its end.
    pub fn stands_in(dir: &Path) -> bool {
        dir.join(ROOT_FILE).exists()
    }

    /// Opens the vault in `dir`.
    ///
    /// # Errors
    /// [`Error::NotHere`] where there is none, [`Error::WrongMaster`] where `master` is another vault's,
    /// [`Error::Damaged`] where wrapped keys were changed.
    pub fn open(dir: &Path, master: &Master) -> Result<Self, Error> {
        Self::over(Tree::open(dir, master)?, N_CACHED)
    }

    /// As [`Vault::open`], holding the keys of at most `n_cached` subjects in memory.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_with_cache(dir: &Path, master: &Master, n_cached: usize) -> Result<Self, Error> {
        Self::over(Tree::open(dir, master)?, n_cached)
    }

    fn over(tree: Tree, n_cached: usize) -> Result<Self, Error> {
        let pseudonyms = Pseudonyms::new(tree.identifiers())?;
        let cache = Cache::new(n_cached);
        Ok(Self {
            tree,
            cache,
            pseudonyms,
            wanted: Mutex::default(),
            turn: Mutex::default(),
            erasing: Mutex::default(),
            n_erasing: AtomicUsize::new(0),
        })
    }

    /// The subject of an identifier: a keyed hash of its type and its [normalised](crate::normalise) value.
    pub fn pseudonym(&self, kind: &str, value: &str) -> Subject {
        self.pseudonyms.of(kind, value)
    }

    /// Sees to it that each of `subjects` has a key, on disk, before it returns. Callers at the same time
    /// share one sync; subjects known already cost a look into memory.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Io`] where the disk fails: then nothing may be sealed for them.
    /// [`Error::BeingErased`] where one of them is being erased at this moment.
    pub fn ensure(&self, subjects: &[Subject]) -> Result<(), Error> {
        match self.being_erased(subjects.iter().copied()) {
            Some(subject) => Err(Error::BeingErased { subject }),
            None => self.make(subjects),
        }
    }

    fn make(&self, subjects: &[Subject]) -> Result<(), Error> {
        let missing = self.missing(subjects.iter().copied())?;
        if missing.is_empty() {
            return Ok(());
        }
        self.wanted.lock().extend(missing.iter().copied());
        let _turn = self.turn.lock();
        // Whoever has the turn makes the keys of all who wait. If that failed for us, ours are still
        // missing, and we try ourselves.
        let mut batch = std::mem::take(&mut *self.wanted.lock());
        batch.extend(missing);
        let batch = self.missing(batch.into_iter())?;
        if batch.is_empty() {
            return Ok(());
        }
        for (subject, keys) in self.tree.add(&batch)? {
            self.cache.put(subject, Arc::new(keys));
        }
        Ok(())
    }

    /// True where `subject` has a key that seals.
    ///
    /// # Errors
    /// [`Error`] where the vault cannot be read.
    pub fn known(&self, subject: Subject) -> Result<bool, Error> {
        Ok(self.keys(subject)?.is_some_and(|keys| keys.sealing().is_some()))
    }

    /// The epoch of the key that seals for `subject`; `None` where it has none.
    pub fn epoch(&self, subject: Subject) -> Option<u32> {
        let keys = self.keys(subject).ok()??;
        keys.sealing().map(|(epoch, _)| epoch)
    }

    /// Seals `plain` as `column` of `subject`, in the cell format of [`CELL_VERSION`](crate::CELL_VERSION).
    ///
    /// # Errors
    /// [`Error::NoKey`] without an earlier [`Vault::ensure`]; [`Error::BeingErased`].
    pub fn seal(
        &self,
        subject: Subject,
        column: &str,
        schema_major: u32,
        plain: &[u8],
    ) -> Result<Vec<u8>, Error> {
        if let Some(subject) = self.being_erased([subject]) {
            return Err(Error::BeingErased { subject });
        }
        self.seal_at(Place { label: Label::Record, subject, column, schema_major }, plain)
    }

    /// Opens a cell as what it is said to be; `None` where its key is destroyed or was never here.
    ///
    /// # Errors
    /// [`Error::Refused`] where the cell was changed or belongs elsewhere.
    pub fn unseal(
        &self,
        subject: Subject,
        column: &str,
        schema_major: u32,
        cell: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        self.unseal_at(Place { label: Label::Record, subject, column, schema_major }, cell)
    }

    /// Writes a copy of the vault as it is now into the new directory `to`. It stays wrapped under the same
    /// master key, which is not part of it.
    ///
    /// # Errors
    /// [`Error::AlreadyHere`] where `to` holds a vault, others where a disk fails.
    pub fn copy_to(&self, to: &Path) -> Result<(), Error> {
        self.tree.copy_to(to, None)
    }

    /// As [`Vault::copy_to`], with the anchor of its root into the new file `anchor`: together with the master key all it
    /// takes to open the vault. The next erasure makes such a copy worthless: it is to be replaced then, not kept.
    ///
    /// # Errors
    /// As [`Vault::copy_to`].
    pub fn copy_with_anchor(&self, to: &Path, anchor: &Path) -> Result<(), Error> {
        self.tree.copy_to(to, Some(anchor))
    }

    /// A random secret of the house by its name, made when it is first asked for. It stays the same when keys are
    /// renewed: for what is signed with it.
    ///
    /// # Errors
    /// [`Error`] where the vault cannot be read or written.
    pub fn secret(&self, name: &str) -> Result<Zeroizing<[u8; 32]>, Error> {
        self.tree.secret(name)
    }

    fn seal_at(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let keys = self.keys(place.subject)?.ok_or(Error::NoKey { subject: place.subject })?;
        let (epoch, key) = keys.sealing().ok_or(Error::NoKey { subject: place.subject })?;
        place.seal(key, epoch, plain)
    }

    fn unseal_at(&self, place: Place<'_>, cell: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let cell = Opened::read(cell).map_err(|why| place.refused(why))?;
        let Some(keys) = self.keys(place.subject)? else { return Ok(None) };
        match keys.of_epoch(cell.epoch) {
            Some(key) => place.open(key, &cell).map(Some),
            None if cell.epoch == 0 || cell.epoch > keys.current => {
                Err(place.refused("it names a key that its subject never had"))
            }
            None => Ok(None),
        }
    }

    fn keys(&self, subject: Subject) -> Result<Option<Arc<Keys>>, Error> {
        if let Some(keys) = self.cache.get(subject) {
            return Ok(Some(keys));
        }
        let generation = self.cache.generation();
        let Some(keys) = self.tree.keys(subject)?.map(Arc::new) else { return Ok(None) };
        self.cache.put_read(subject, Arc::clone(&keys), generation);
        Ok(Some(keys))
    }

    fn missing(&self, subjects: impl Iterator<Item = Subject>) -> Result<Vec<Subject>, Error> {
        let mut missing = Vec::new();
        for subject in subjects {
            if !self.known(subject)? {
                missing.push(subject);
            }
        }
        missing.sort_unstable();
        missing.dedup();
        Ok(missing)
    }
}

impl store::Seal for Vault {
    /// Seals a state table's value. A subject that has no key yet gets one: what a fold knows of it is no less
    /// personal for having come without personal fields.
    fn seal(&self, owner: Subject, column: &str, plain: &[u8]) -> Result<Vec<u8>, store::SealError> {
        let place = Place { label: Label::State, subject: owner, column, schema_major: 0 };
        let sealed = match self.seal_at(place, plain) {
            Err(Error::NoKey { .. }) => self.make(&[owner]).and_then(|()| self.seal_at(place, plain)),
            done => done,
        };
        sealed.map_err(|e| store::SealError(e.to_string()))
    }

    fn open(&self, owner: Subject, column: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, store::SealError> {
        let place = Place { label: Label::State, subject: owner, column, schema_major: 0 };
        match self.unseal_at(place, sealed) {
            Ok(plain) => Ok(plain.map(|mut plain| std::mem::take(&mut *plain))),
            Err(e) => Err(store::SealError(e.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn master() -> Master {
        Master::from_bytes([3; 32])
    }

    fn subject(n: u32) -> Subject {
        let mut bytes = [1; 16];
        bytes[12..].copy_from_slice(&n.to_be_bytes());
        Subject::from_bytes(bytes)
    }

    /// A vault in a new directory, and what `f` says of it.
    fn check<T>(f: impl FnOnce(&Vault, &Path) -> T) -> T {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("vault");
        f(&Vault::create(&at, &master()).unwrap(), &at)
    }

    fn code<T>(result: Result<T, Error>) -> Option<&'static str> {
        result.err().map(|e| e.code())
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        check(|vault, _| {
            vault.ensure(&[subject(1), subject(2)]).unwrap();
            let cell = vault.seal(subject(1), "/email", 1, b"ann@example.com").unwrap();
            let open = |s, column, major| vault.unseal(subject(s), column, major, &cell);
            assert_eq!(open(1, "/email", 1).unwrap().unwrap().as_slice(), b"ann@example.com");
            for result in [open(2, "/email", 1), open(1, "/phone", 1), open(1, "/email", 2)] {
                assert_eq!(code(result), Some("MR3006"));
            }
            // Nobody's key: nothing to open it with, and nothing wrong with the cell.
            assert!(open(3, "/email", 1).unwrap().is_none());
        });
    }

    #[test]
    fn every_changed_bit_is_refused() {
        check(|vault, _| {
            vault.ensure(&[subject(1)]).unwrap();
            let cell = vault.seal(subject(1), "/email", 1, b"x").unwrap();
            for bit in 0..cell.len() * 8 {
                let mut changed = cell.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let got = vault.unseal(subject(1), "/email", 1, &changed);
                assert_eq!(code(got), Some("MR3006"), "bit {bit}");
            }
        });
    }

    #[test]
    fn no_cell_is_made_without_a_key() {
        check(|vault, _| {
            assert_eq!(code(vault.seal(subject(1), "/email", 1, b"x")), Some("MR3007"));
            assert_eq!(vault.epoch(subject(1)), None);
            assert!(!vault.known(subject(1)).unwrap());
            vault.ensure(&[subject(1)]).unwrap();
            assert_eq!(vault.epoch(subject(1)), Some(1));
            assert!(vault.known(subject(1)).unwrap());
        });
    }

    #[test]
    fn a_vault_opens_under_its_own_master_only() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("vault");
        assert_eq!(code(Vault::open(&at, &master())), Some("MR3004"));
        let before = {
            let vault = Vault::create(&at, &master()).unwrap();
            vault.ensure(&[subject(1)]).unwrap();
            (vault.pseudonym("email", "a@b.c"), vault.seal(subject(1), "", 1, b"x").unwrap())
        };
        assert_eq!(code(Vault::create(&at, &master())), Some("MR3004"));
        let wrong = Vault::open(&at, &Master::from_bytes([4; 32])).err().unwrap();
        assert_eq!(wrong.code(), "MR3001");
        assert!(wrong.to_string().contains(&at.display().to_string()), "{wrong}");
        let vault = Vault::open(&at, &master()).unwrap();
        assert_eq!(vault.pseudonym("email", "A@b.c "), before.0);
        assert_eq!(vault.unseal(subject(1), "", 1, &before.1).unwrap().unwrap().as_slice(), b"x");
    }

    /// A copy of the files taken without closing is what a killed process leaves behind.
    #[test]
    fn keys_are_on_disk_when_ensure_returns() {
        check(|vault, at| {
            let cells: Vec<_> = (0..50)
                .map(|n| {
                    vault.ensure(&[subject(n)]).unwrap();
                    vault.seal(subject(n), "", 1, b"x").unwrap()
                })
                .collect();
            let copy = tempfile::tempdir().unwrap();
            copy_dir(at, copy.path());
            let killed = Vault::open(copy.path(), &master()).unwrap();
            for (n, cell) in cells.iter().enumerate() {
                assert!(killed.unseal(subject(n as u32), "", 1, cell).unwrap().is_some(), "{n}");
            }
        });
    }

    fn copy_dir(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy_dir(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }

    #[test]
    fn callers_at_once_agree_on_one_key_per_subject() {
        check(|vault, _| {
            let cells: Vec<Vec<Vec<u8>>> = std::thread::scope(|scope| {
                let run = |shift: u32| {
                    let subjects: Vec<_> = (0..40).map(|n| subject((n + shift) % 60)).collect();
                    vault.ensure(&subjects).unwrap();
                    (0..60).filter_map(|n| vault.seal(subject(n), "", 1, b"x").ok()).collect()
                };
                let threads: Vec<_> = (0..8).map(|i| scope.spawn(move || run(i * 7))).collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            assert!(cells.iter().all(|cells| cells.len() >= 40));
            // Opens under the one key that stayed, for every thread's cells; epochs were not spent on races.
            for cell in cells.iter().flatten() {
                let opened = (0..60).filter(|n| vault.unseal(subject(*n), "", 1, cell).is_ok()).count();
                assert_eq!(opened, 1);
            }
            assert!((0..60).all(|n| vault.epoch(subject(n)) == Some(1)));
        });
    }

    #[test]
    fn callers_that_wait_share_one_sync() {
        check(|vault, _| {
            let before = vault.tree.n_batches();
            std::thread::scope(|scope| {
                let turn = vault.turn.lock();
                for n in 0..4 {
                    scope.spawn(move || vault.ensure(&[subject(n)]).unwrap());
                }
                // All four have said what they want and wait for the turn.
                let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
                while vault.wanted.lock().len() < 4 && std::time::Instant::now() < deadline {
                    std::thread::yield_now();
                }
                drop(turn);
            });
            assert_eq!(vault.tree.n_batches() - before, 1);
            assert!((0..4).all(|n| vault.epoch(subject(n)) == Some(1)));
        });
    }

    #[test]
    fn a_small_cache_forgets_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(Vault::create(dir.path(), &master()).unwrap());
        let vault = Vault::open_with_cache(dir.path(), &master(), 32).unwrap();
        let subjects: Vec<_> = (0..500).map(subject).collect();
        vault.ensure(&subjects).unwrap();
        let cells: Vec<_> = subjects.iter().map(|s| vault.seal(*s, "", 1, b"x").unwrap()).collect();
        vault.ensure(&subjects).unwrap();
        for (subject, cell) in subjects.iter().zip(&cells) {
            assert_eq!(vault.epoch(*subject), Some(1));
            assert!(vault.unseal(*subject, "", 1, cell).unwrap().is_some());
        }
        assert_eq!(cells.iter().collect::<HashSet<_>>().len(), 500);
    }

    #[test]
    fn a_copy_of_a_running_vault_opens_the_same() {
        check(|vault, at| {
            vault.ensure(&[subject(1), subject(2)]).unwrap();
            let cell = vault.seal(subject(2), "", 1, b"x").unwrap();
            let to = at.with_extension("copy");
            vault.copy_to(&to).unwrap();
            assert_eq!(code(vault.copy_to(&to)), Some("MR3004"));
            let copy = Vault::open(&to, &master()).unwrap();
            assert!(copy.unseal(subject(2), "", 1, &cell).unwrap().is_some());
            assert_eq!(copy.pseudonym("email", "a@b.c"), vault.pseudonym("email", "a@b.c"));
        });
    }

    #[test]
    fn as_a_seal_it_makes_the_key_it_lacks_and_state_is_no_cell() {
        check(|vault, _| {
            let seal: &dyn store::Seal = vault;
            let sealed = seal.seal(subject(1), "traits", b"x").unwrap();
            assert_eq!(seal.open(subject(1), "traits", &sealed).unwrap().as_deref(), Some(b"x".as_slice()));
            assert!(seal.open(subject(1), "scores", &sealed).is_err());
            assert!(vault.unseal(subject(1), "traits", 0, &sealed).is_err());
            assert!(seal.open(subject(2), "traits", &sealed).unwrap().is_none());
            assert!(seal.open(subject(1), "traits", b"").is_err());
        });
    }
}
