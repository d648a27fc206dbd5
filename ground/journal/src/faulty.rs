//! A disk in memory that forgets what was not synced, runs full, and fails syncs as real ones do.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, File};

/// Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct Faulty(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    names: BTreeMap<PathBuf, Arc<Mutex<Inode>>>,
    durable_names: BTreeMap<PathBuf, Arc<Mutex<Inode>>>,
    locks: BTreeSet<PathBuf>,
    faults: Faults,
    n_syncs: usize,
}

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Bytes that may still be added to files: a write beyond is short and fails.
    pub room_bytes: Option<u64>,
    /// The next sync fails, and what it should have synced counts as synced.
    pub fail_sync: bool,
    /// The next write fails half way with a defect of the disk.
    pub fail_write: bool,
    /// Every sync says it is done and does nothing.
    pub lying_sync: bool,
    /// Everything that changes names fails.
    pub read_only: bool,
}

#[derive(Clone, Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
    dirty: Vec<Range<usize>>,
    resized: bool,
}

impl Faulty {
    pub fn set(&self, faults: Faults) {
        self.0.lock().faults = faults;
    }

    pub fn n_syncs(&self) -> usize {
        self.0.lock().n_syncs
    }

    /// The disk after a power loss. Of what was not synced, each run of `sector` bytes survives if `survives` says
    /// so of it.
    pub fn after_power_loss(&self, sector: usize, mut survives: impl FnMut() -> bool) -> Self {
        let state = self.0.lock();
        let mut names = BTreeMap::new();
        for (path, inode) in &state.durable_names {
            let inode = inode.lock();
            let mut bytes = inode.durable.clone();
            if inode.resized && survives() {
                bytes.resize(inode.now.len(), 0);
            }
            for range in &inode.dirty {
                for start in range.clone().step_by(sector) {
                    let end = (start + sector).min(range.end).min(bytes.len()).min(inode.now.len());
                    if start < end && survives() {
                        bytes[start..end].copy_from_slice(&inode.now[start..end]);
                    }
                }
            }
            let inode = Inode { now: bytes.clone(), durable: bytes, ..Inode::default() };
            names.insert(path.clone(), Arc::new(Mutex::new(inode)));
        }
        let state = State { durable_names: names.clone(), names, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Changes a file behind the journal's back.
    pub fn edit(&self, path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
        let state = self.0.lock();
        let mut inode = state.names[path].lock();
        edit(&mut inode.now);
        inode.durable = inode.now.clone();
        inode.dirty.clear();
        inode.resized = false;
    }

    /// A disk of its own in the same state: what a process that is killed now leaves behind, some of it not durable.
    pub fn copy(&self) -> Self {
        let state = self.0.lock();
        let copy = |(path, inode): (&PathBuf, &Arc<Mutex<Inode>>)| {
            (path.clone(), Arc::new(Mutex::new(inode.lock().clone())))
        };
        let names: BTreeMap<_, _> = state.names.iter().map(copy).collect();
        let durable = state.durable_names.iter().map(|(path, inode)| match names.get(path) {
            Some(copied) if state.names.get(path).is_some_and(|now| Arc::ptr_eq(now, inode)) => {
                (path.clone(), copied.clone())
            }
            _ => copy((path, inode)),
        });
        let durable_names = durable.collect();
        Self(Arc::new(Mutex::new(State { names, durable_names, ..State::default() })))
    }

    fn change(&self) -> io::Result<parking_lot::MutexGuard<'_, State>> {
        let state = self.0.lock();
        if state.faults.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(state) }
    }
}

impl Disk for Faulty {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut state = self.change()?;
        let inode = Arc::new(Mutex::new(Inode::default()));
        state.names.insert(path.to_owned(), inode.clone());
        Ok(Arc::new(Open { disk: self.clone(), inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let inode = self.0.lock().names.get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Open { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change()?.names.remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        if !self.change()?.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(Lock(self.clone(), path.to_owned()))))
    }
}

struct Lock(Faulty, PathBuf);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.0.lock().locks.remove(&self.1);
    }
}

struct Open {
    disk: Faulty,
    inode: Arc<Mutex<Inode>>,
}

impl File for Open {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let inode = self.inode.lock();
        let bytes = inode.now.get(offset as usize..).unwrap_or_default();
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        let mut inode = self.inode.lock();
        let (start, mut end) = (offset as usize, offset as usize + bytes.len());
        let mut result = Ok(());
        if let Some(room) = &mut state.faults.room_bytes {
            let limit = inode.now.len() + *room as usize;
            if end > limit {
                end = limit.max(start);
                result = Err(io::ErrorKind::StorageFull.into());
            }
            *room -= end.saturating_sub(inode.now.len()) as u64;
        }
        if std::mem::take(&mut state.faults.fail_write) {
            end = start + bytes.len() / 2;
            result = Err(io::Error::other("the medium is worn out"));
        }
        if end > inode.now.len() {
            inode.now.resize(end, 0);
            inode.resized = true;
        }
        inode.now[start..end].copy_from_slice(&bytes[..end - start]);
        inode.dirty.push(start..end);
        result
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inode = self.inode.lock();
        inode.now.resize(len as usize, 0);
        inode.resized = true;
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.inode.lock().now.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        let inode = &mut *self.inode.lock();
        state.n_syncs += 1;
        if std::mem::take(&mut state.faults.fail_sync) {
            // As Linux does: the pages are clean now, and were never written.
            inode.dirty.clear();
            return Err(io::Error::other("the medium is worn out"));
        }
        if state.faults.lying_sync {
            return Ok(());
        }
        inode.durable.resize(inode.now.len(), 0);
        for range in inode.dirty.drain(..) {
            let range = range.start..range.end.min(inode.now.len());
            if !range.is_empty() {
                inode.durable[range.clone()].copy_from_slice(&inode.now[range]);
            }
        }
        inode.resized = false;
        Ok(())
    }
}
