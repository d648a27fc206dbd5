//! Tiles read back from a directory, opened into the nodes between their levels.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::hash::{HASH_BYTES, Hash, node_hash};
use crate::tile::{HEIGHT, Tile, WIDTH, width};
use crate::tree::{Nodes, no_node};
use crate::{Error, entries_of_bundle};

/// How many opened tiles are kept: 16 KiB each, for a log of a million entries all of them.
const N_KEPT: usize = 4_096;

/// The tiles of a tree of a given size in a directory.
#[derive(Debug)]
pub struct Tiles {
    dir: PathBuf,
    size: u64,
    kept: Mutex<FxHashMap<Tile, Arc<Opened>>>,
}

/// A tile's hashes, and the nodes over them: one list for each level.
#[derive(Debug)]
struct Opened(Vec<Vec<Hash>>);

impl Opened {
    fn of(hashes: Vec<Hash>) -> Self {
        let mut levels = vec![hashes];
        for _ in 1..HEIGHT {
            let below = levels.last().map(Vec::as_slice).unwrap_or_default();
            let (pairs, _) = below.as_chunks::<2>();
            levels.push(pairs.iter().map(|[left, right]| node_hash(*left, *right)).collect());
        }
        Self(levels)
    }
}

impl Tiles {
    /// The tiles below `dir` of a tree of `size` entries.
    pub fn new(dir: &Path, size: u64) -> Self {
        Self { dir: dir.to_path_buf(), size, kept: Mutex::default() }
    }

    /// How many entries the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where they lie.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The tree has grown: what is not whole is read anew.
    pub(crate) fn grow(&mut self, size: u64) {
        self.size = size;
        self.kept.lock().retain(|tile, _| u64::from(tile.width) == WIDTH);
    }

    /// The bytes of a tile or bundle, or of the beginning of one: whoever saw an earlier checkpoint may ask for fewer
    /// than lie there now.
    ///
    /// # Errors
    /// [`Error::NoSuch`] where the tree does not reach so far; [`Error::File`] where it is not what it should be.
    pub fn bytes(&self, tile: Tile) -> Result<Vec<u8>, Error> {
        let n = self.size >> (HEIGHT * tile.level.unwrap_or(0));
        let held = tile.of_width(width(n, tile.index));
        if held.width < tile.width || tile.width == 0 {
            return Err(Error::NoSuch { what: "tile", asked: tile.to_string(), size: self.size });
        }
        let path = self.dir.join(held.to_string());
        let mut bytes = std::fs::read(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::file(&path, "it is not there"),
            _ => Error::reading(&path)(e),
        })?;
        match tile.level {
            Some(_) => {
                let expected = usize::from(held.width) * HASH_BYTES;
                if bytes.len() != expected {
                    let n = bytes.len();
                    return Err(Error::file(&path, format!("it has {n} bytes, {expected} are expected")));
                }
                bytes.truncate(usize::from(tile.width) * HASH_BYTES);
            }
            None => {
                let entries = entries_of_bundle(&bytes);
                let entries =
                    entries.ok_or_else(|| Error::file(&path, "it ends in the middle of an entry"))?;
                if entries.len() != usize::from(held.width) {
                    let why = format!("it has {} entries, {} are expected", entries.len(), held.width);
                    return Err(Error::file(&path, why));
                }
                let wanted = entries.iter().take(usize::from(tile.width));
                let n_bytes = wanted.map(|entry| entry.len() + 2).sum();
                bytes.truncate(n_bytes);
            }
        }
        Ok(bytes)
    }

    /// The hashes of a tile as it lies there.
    pub(crate) fn hashes(&self, level: u8, index: u64) -> Result<Vec<Hash>, Error> {
        let tile = Tile { level: Some(level), index, width: width(self.size >> (HEIGHT * level), index) };
        Ok(Hash::all_of(&self.bytes(tile)?).unwrap_or_default())
    }

    /// An entry's bytes.
    ///
    /// # Errors
    /// [`Error::NoSuch`] where there is none at `index`; as [`Tiles::bytes`].
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, Error> {
        if index >= self.size {
            return Err(Error::NoSuch { what: "entry", asked: index.to_string(), size: self.size });
        }
        let (bundle, at) = (index / WIDTH, (index % WIDTH) as usize);
        let tile = Tile { level: None, index: bundle, width: width(self.size, bundle) };
        let bytes = self.bytes(tile)?;
        let entry = entries_of_bundle(&bytes).and_then(|entries| Some(entries.get(at)?.to_vec()));
        entry.ok_or_else(|| Error::file(&self.dir.join(tile.to_string()), "it lacks an entry"))
    }

    fn opened(&self, tile: Tile) -> Result<Arc<Opened>, Error> {
        if let Some(opened) = self.kept.lock().get(&tile) {
            return Ok(Arc::clone(opened));
        }
        let hashes = Hash::all_of(&self.bytes(tile)?).unwrap_or_default();
        let opened = Arc::new(Opened::of(hashes));
        let mut kept = self.kept.lock();
        if kept.len() >= N_KEPT {
            kept.clear();
        }
        kept.insert(tile, Arc::clone(&opened));
        Ok(opened)
    }
}

impl Nodes for Tiles {
    fn node(&self, level: u8, index: u64) -> Result<Hash, Error> {
        let missing = || no_node(level, index, self.size);
        let (of_tiles, within) = (level / HEIGHT, level % HEIGHT);
        // Of 2^(8 - within) nodes of this level in one tile.
        let shift = HEIGHT - within;
        let (tile, at) = (index >> shift, index & ((1 << shift) - 1));
        let n = self.size.checked_shr(u32::from(HEIGHT) * u32::from(of_tiles)).unwrap_or(0);
        let tile = Tile { level: Some(of_tiles), index: tile, width: width(n, tile) };
        if tile.width == 0 {
            return Err(missing());
        }
        let opened = self.opened(tile)?;
        let found = opened.0.get(usize::from(within)).and_then(|nodes| nodes.get(at as usize).copied());
        found.ok_or_else(missing)
    }
}
