//! A log in a directory: tiles and bundles as they are served, checkpoints as they were signed.
//!
//! ```text
//! key                     whose log it is: the verifying key
//! tile/0/000 …            tiles and bundles; the last of each level under its width
//! checkpoint              the latest
//! checkpoints             all of them, one JSON line each; the latest line is what counts
//! ```
//! Tiles are derived and may be removed as a whole: they are made anew from the entries, and must lead to the signed
//! root. A checkpoint is signed only when all it commits to is on disk.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use event::Instant;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, Signed};
use crate::hash::{HASH_BYTES, Hash};
use crate::note::{Note, Signer, Verifier};
use crate::tile::{HEIGHT, Tile, WIDTH, push_entry, width};
use crate::tree::{Frontier, prove_consistency, prove_inclusion};
use crate::{Error, Proof, Tiles, leaf_hash};

/// The file of all checkpoints.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// The file of the latest.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// The file of the verifying key.
pub(crate) const KEY: &str = "key";
/// The folder of tiles.
const TILES: &str = "tile";
/// There while the tiles are made anew: what is there in part is of no use.
const MAKING: &str = "tile/making";
/// Entries whose tiles are written together: about 80 files.
const AT_ONCE: usize = 10_000;
/// The longest line of [`CHECKPOINTS`].
const MAX_LINE: u64 = 128 << 10;

/// A log. One at a time writes to a directory: the house that holds it.
pub struct Log {
    dir: PathBuf,
    verifier: Verifier,
    edge: Frontier,
    tiles: Tiles,
    /// The hashes of the last, incomplete tile of each level.
    open: Vec<Vec<Hash>>,
    /// The last, incomplete bundle, and how many entries are in it.
    bundle: Vec<u8>,
    n_bundle: u64,
    /// Files that a wider one has replaced; removed once a checkpoint no longer needs them.
    replaced: Vec<PathBuf>,
    signed: Option<Signed>,
}

/// A line of [`CHECKPOINTS`].
#[derive(Serialize, Deserialize)]
pub(crate) struct Published {
    pub(crate) at: Instant,
    pub(crate) checkpoint: String,
}

impl Log {
    /// Opens the log in `dir`, or begins one.
    ///
    /// # Errors
    /// [`Error::AnotherLog`] where `dir` holds the log of another key; [`Error::Forged`] where its checkpoint is not
    /// signed by this one; [`Error::File`] and [`Error::Root`] where its right edge is not what was signed.
    pub fn open(dir: &Path, verifier: Verifier) -> Result<Self, Error> {
        std::fs::create_dir_all(dir).map_err(Error::writing(dir))?;
        claim(dir, &verifier)?;
        let signed = latest(dir, &verifier)?;
        let mut log = Self {
            dir: dir.to_path_buf(),
            verifier,
            edge: Frontier::default(),
            tiles: Tiles::new(dir, 0),
            open: Vec::new(),
            bundle: Vec::new(),
            n_bundle: 0,
            replaced: Vec::new(),
            signed,
        };
        let size = log.signed.as_ref().map_or(0, |signed| signed.checkpoint.size);
        let tiles = dir.join(TILES);
        if dir.join(MAKING).exists() {
            std::fs::remove_dir_all(&tiles).map_err(Error::writing(&tiles))?;
        }
        if size > 0 && tiles.exists() {
            log.read_edge(size)?;
        }
        Ok(log)
    }

    fn read_edge(&mut self, size: u64) -> Result<(), Error> {
        self.tiles.grow(size);
        for level in (0..8_u8).take_while(|level| size >> (HEIGHT * level) > 0) {
            let n = size >> (HEIGHT * level);
            self.open.push(if n.is_multiple_of(WIDTH) {
                Vec::new()
            } else {
                self.tiles.hashes(level, n / WIDTH)?
            });
        }
        if !size.is_multiple_of(WIDTH) {
            let tile = Tile { level: None, index: size / WIDTH, width: width(size, size / WIDTH) };
            self.bundle = self.tiles.bytes(tile)?;
            self.n_bundle = size % WIDTH;
        }
        self.edge = Frontier::of(&self.tiles, size)?;
        self.check_signed(0)
    }

    /// Where the tree is as large as the checkpoint, it must have its root.
    fn check_signed(&self, from: u64) -> Result<(), Error> {
        let Some(Signed { checkpoint, .. }) = &self.signed else { return Ok(()) };
        if checkpoint.size != self.edge.size() {
            return Ok(());
        }
        same_root(&self.edge, checkpoint, from)
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What verifies its checkpoints.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// How many entries lie in it, signed or not.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The latest checkpoint.
    pub fn signed(&self) -> Option<&Signed> {
        self.signed.as_ref()
    }

    /// Its tiles.
    pub fn tiles(&self) -> &Tiles {
        &self.tiles
    }

    /// Adds entries; they are on disk when this returns, and no checkpoint commits to them yet.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; [`Error::Root`] where the tree, made anew, is not the one that was signed; [`Error::Io`].
    /// After an error the log has to be opened again.
    pub fn append<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<(), Error> {
        entries.chunks(AT_ONCE).try_for_each(|some| self.append_some(some))
    }

    fn append_some<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<(), Error> {
        let before = self.edge.size();
        let mut whole: Vec<(Tile, Vec<u8>)> = Vec::new();
        for entry in entries {
            let entry = entry.as_ref();
            push_entry(&mut self.bundle, entry)?;
            self.n_bundle += 1;
            if self.n_bundle == WIDTH {
                let tile = Tile { level: None, index: self.edge.size() / WIDTH, width: WIDTH as u16 };
                whole.push((tile, std::mem::take(&mut self.bundle)));
                self.n_bundle = 0;
            }
            let open = &mut self.open;
            self.edge.push_with(leaf_hash(entry), |level, index, hash| {
                if !level.is_multiple_of(HEIGHT) {
                    return;
                }
                let of_tiles = level / HEIGHT;
                if open.len() <= usize::from(of_tiles) {
                    open.push(Vec::new());
                }
                let Some(hashes) = open.get_mut(usize::from(of_tiles)) else { return };
                hashes.push(hash);
                if hashes.len() as u64 == WIDTH {
                    let tile = Tile { level: Some(of_tiles), index: index / WIDTH, width: WIDTH as u16 };
                    whole.push((tile, bytes_of(hashes)));
                    hashes.clear();
                }
            });
            self.check_signed(0)?;
        }
        self.write(before, whole)
    }

    fn write(&mut self, before: u64, mut changed: Vec<(Tile, Vec<u8>)>) -> Result<(), Error> {
        let size = self.edge.size();
        let signed = self.signed.as_ref().map_or(0, |signed| signed.checkpoint.size);
        let making = self.dir.join(MAKING);
        if before == 0 && signed > 0 {
            let tiles = self.dir.join(TILES);
            std::fs::create_dir_all(&tiles).map_err(Error::writing(&tiles))?;
            std::fs::write(&making, b"").map_err(Error::writing(&making))?;
            sync_dir(&tiles)?;
        }
        if self.n_bundle > 0 && size > before {
            let tile = Tile { level: None, index: size / WIDTH, width: self.n_bundle as u16 };
            changed.push((tile, self.bundle.clone()));
        }
        for (level, hashes) in (0_u8..).zip(&self.open) {
            let (then, now) = (before >> (HEIGHT * level), size >> (HEIGHT * level));
            if now > then && !hashes.is_empty() {
                let tile = Tile { level: Some(level), index: now / WIDTH, width: hashes.len() as u16 };
                changed.push((tile, bytes_of(hashes)));
            }
        }
        let mut dirs = FxHashSet::default();
        // All are written before the first is synced: what a file system does for one sync it does for its neighbours too.
        let mut written = Vec::with_capacity(changed.len());
        for (tile, bytes) in &changed {
            let path = self.dir.join(tile.to_string());
            if let Some(parent) = path.parent()
                && dirs.insert(parent.to_path_buf())
            {
                std::fs::create_dir_all(parent).map_err(Error::writing(parent))?;
            }
            let mut file = File::create(&path).map_err(Error::writing(&path))?;
            file.write_all(bytes).map_err(Error::writing(&path))?;
            written.push((file, path));
            let n = before >> (HEIGHT * tile.level.unwrap_or(0));
            let then = width(n, tile.index);
            if then > 0 && then < tile.width {
                self.replaced.push(self.dir.join(tile.of_width(then).to_string()));
            }
        }
        for (file, path) in &written {
            file.sync_data().map_err(Error::writing(path))?;
        }
        for dir in dirs {
            sync_dir(&dir)?;
        }
        if before < signed && size >= signed {
            std::fs::remove_file(&making).map_err(Error::writing(&making))?;
        }
        self.tiles.grow(size);
        Ok(())
    }

    /// Commits to all entries. Where nothing came since the latest checkpoint, that one stays.
    ///
    /// # Errors
    /// [`Error::Forged`] with another key than the log's; [`Error::Missing`] where entries are missing that were signed;
    /// [`Error::Io`].
    pub fn sign(&mut self, signer: &Signer, at: Instant) -> Result<&Signed, Error> {
        let head = Checkpoint::new(self.verifier.name(), self.edge.size(), self.edge.root());
        if let Some(known) = self.signed.as_ref().map(|signed| &signed.checkpoint) {
            if known.size > head.size {
                let holder = format!("`{}`", self.dir.display());
                return Err(Error::Missing { index: head.size, holder, size: known.size });
            }
            self.check_signed(0)?;
        }
        let is_new = self.signed.as_ref().is_none_or(|known| known.checkpoint.size < head.size);
        if is_new {
            let signed = Signed::new(head, signer)?;
            // Another key would sign a log that nobody can verify.
            let signed = Signed::open(&signed.note, &self.verifier)?;
            publish(&self.dir, &signed.note, at)?;
            for path in self.replaced.drain(..) {
                // Left behind it harms nobody: what a checkpoint names is read, nothing else.
                let _ = std::fs::remove_file(path);
            }
            self.signed = Some(signed);
        }
        let none = || Error::file(&self.dir, "it has no checkpoint");
        self.signed.as_ref().ok_or_else(none)
    }

    /// Adds a witness's signature lines to the latest checkpoint.
    ///
    /// # Errors
    /// [`Error::Witness`] where the lines are not this witness's over this checkpoint; [`Error::Io`].
    pub fn cosigned(&mut self, lines: &str, witness: &Verifier, at: Instant) -> Result<&Signed, Error> {
        let refuse = |why: String| Error::Witness { witness: witness.name().to_owned(), why };
        let Some(signed) = &self.signed else {
            return Err(refuse("there is no checkpoint".to_owned()));
        };
        let note = format!("{}{lines}", signed.note);
        let read: Note = note.parse().map_err(|e: Error| refuse(e.to_string()))?;
        witness.verify(&read).map_err(|e| refuse(e.to_string()))?;
        let signed = Signed::open(&note, &self.verifier)?;
        publish(&self.dir, &note, at)?;
        Ok(self.signed.insert(signed))
    }

    /// The proof that an entry is in the log, up to the latest checkpoint.
    ///
    /// # Errors
    /// [`Error::NoSuch`]; [`Error::File`] where a tile is damaged.
    pub fn prove(&self, index: u64) -> Result<Proof, Error> {
        let size = self.signed.as_ref().map_or(0, |signed| signed.checkpoint.size);
        let hashes = prove_inclusion(&self.tiles, index, size)?;
        let checkpoint = self.signed.as_ref().map(|signed| signed.note.clone()).unwrap_or_default();
        Ok(Proof { index, hashes, checkpoint, extra: None })
    }

    /// The proof that the tree of `old` entries is the beginning of that of `new`.
    ///
    /// # Errors
    /// [`Error::NoSuch`] where the log does not reach so far; [`Error::File`] where a tile is damaged.
    pub fn prove_consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, Error> {
        let size = self.signed.as_ref().map_or(0, |signed| signed.checkpoint.size);
        if new > size {
            return Err(Error::NoSuch { what: "tree of size", asked: new.to_string(), size });
        }
        prove_consistency(&self.tiles, old, new)
    }
}

/// The tree has the root that a checkpoint of its size signs.
pub(crate) fn same_root(edge: &Frontier, checkpoint: &Checkpoint, from: u64) -> Result<(), Error> {
    let root = edge.root();
    if root == checkpoint.root {
        return Ok(());
    }
    let (found, signed) = (root.to_string(), checkpoint.root.to_string());
    Err(Error::Root { from, to: checkpoint.size, found, signed })
}

/// Sees to it that a directory is the log of one key, and of no other.
fn claim(dir: &Path, verifier: &Verifier) -> Result<(), Error> {
    let path = dir.join(KEY);
    match std::fs::read_to_string(&path) {
        Ok(found) if found.trim() == verifier.to_string() => Ok(()),
        Ok(found) => {
            let found = found.trim().chars().take(200).collect();
            Err(Error::AnotherLog { dir: dir.to_path_buf(), found, expected: verifier.to_string() })
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            replace(&path, format!("{verifier}\n").as_bytes())
        }
        Err(e) => Err(Error::reading(&path)(e)),
    }
}

/// The latest checkpoint there is, verified; of the two files that hold it a crash may have left one behind.
fn latest(dir: &Path, verifier: &Verifier) -> Result<Option<Signed>, Error> {
    let mut found: Vec<Signed> = Vec::new();
    if let Some(line) = last_line(&dir.join(CHECKPOINTS))? {
        let published: Published = serde_json::from_str(&line)
            .map_err(|e| Error::file(&dir.join(CHECKPOINTS), format!("its last line is none: {e}")))?;
        found.push(Signed::open(&published.checkpoint, verifier)?);
    }
    let path = dir.join(CHECKPOINT);
    match std::fs::read_to_string(&path) {
        // A power loss may leave an empty file, which says as much as none; the other one counts.
        Ok(note) if note.is_empty() => {}
        Ok(note) => found.push(Signed::open(&note, verifier)?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::reading(&path)(e)),
    }
    // The line's note may carry a witness's signature too: it is written first.
    Ok(found.into_iter().rev().max_by_key(|signed| signed.checkpoint.size))
}

/// The last whole line of a file; what a crash left behind it is cut off.
fn last_line(path: &Path) -> Result<Option<String>, Error> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::reading(path)(e)),
    };
    let len = file.metadata().map_err(Error::reading(path))?.len();
    let start = len.saturating_sub(2 * MAX_LINE);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start)).map_err(Error::reading(path))?;
    file.take(2 * MAX_LINE).read_to_end(&mut bytes).map_err(Error::reading(path))?;
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        let file = OpenOptions::new().write(true).open(path).map_err(Error::writing(path))?;
        file.set_len(start + whole as u64).map_err(Error::writing(path))?;
    }
    let text = bytes.get(..whole).unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| Error::file(path, "it is no text"))?;
    Ok(text.lines().next_back().map(str::to_owned))
}

/// Writes a checkpoint so that it is there after a power loss.
fn publish(dir: &Path, note: &str, at: Instant) -> Result<(), Error> {
    let path = dir.join(CHECKPOINTS);
    let published = Published { at, checkpoint: note.to_owned() };
    let mut line = serde_json::to_vec(&published).map_err(|e| Error::file(&path, e.to_string()))?;
    line.push(b'\n');
    let is_first = !path.exists();
    let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::writing(&path))?;
    file.write_all(&line).and_then(|()| file.sync_data()).map_err(Error::writing(&path))?;
    if is_first {
        sync_dir(dir)?;
    }
    // The line counts; this one is for readers, and for them it is always whole.
    replace(&dir.join(CHECKPOINT), note.as_bytes())
}

/// Writes a file so that after a power loss it is either the old one or the new one.
fn replace(path: &Path, content: &[u8]) -> Result<(), Error> {
    let beside = path.with_extension("tmp");
    let mut file = File::create(&beside).map_err(Error::writing(&beside))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(Error::writing(&beside))?;
    std::fs::rename(&beside, path).map_err(Error::writing(path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::writing(dir))
}

fn bytes_of(hashes: &[Hash]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(hashes.len() * HASH_BYTES);
    hashes.iter().for_each(|hash| bytes.extend_from_slice(hash.as_bytes()));
    bytes
}
