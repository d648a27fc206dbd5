//! Verifying a whole log from its files, with nothing but its key; and taking the files out for whoever does.

use std::collections::VecDeque;
use std::io::BufRead;
use std::path::Path;

use crate::checkpoint::{Checkpoint, Signed};
use crate::files::{CHECKPOINT, CHECKPOINTS, KEY, Published, same_root};
use crate::hash::Hash;
use crate::note::{Note, Verifier};
use crate::tile::{HEIGHT, Tile, WIDTH, entries_of_bundle, width};
use crate::tree::Frontier;
use crate::{Error, Log, Tiles, leaf_hash};

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The latest checkpoint: all its entries were read, and their tree has its root.
    pub signed: Signed,
    /// Checkpoints that were verified against the same tree, the latest included.
    pub n_checkpoints: u64,
    /// Names on the latest checkpoint besides the log's; whether to believe them is the reader's affair.
    pub other_signers: Vec<String>,
}

/// Reads every entry, tile and checkpoint below `dir` and holds them against each other and against the log's key.
/// `visit` is given each entry.
///
/// # Errors
/// [`Error::Forged`], [`Error::Changed`], [`Error::Missing`], [`Error::Root`], [`Error::File`], naming the entry or the
/// file; whatever `visit` returns.
pub fn check_dir(
    dir: &Path,
    log: &Verifier,
    mut visit: impl FnMut(u64, &[u8]) -> Result<(), Error>,
) -> Result<Checked, Error> {
    let path = dir.join(CHECKPOINT);
    let note = std::fs::read_to_string(&path).map_err(Error::reading(&path))?;
    let signed = Signed::open(&note, log)?;
    let size = signed.checkpoint.size;
    let mut earlier = checkpoints(dir, log)?;
    let mut walk = Walk { tiles: Tiles::new(dir, size), edge: Frontier::default(), open: Vec::new() };
    let (mut n_checkpoints, mut sound) = (0, 0);
    let mut hold = |edge: &Frontier, earlier: &mut VecDeque<Checkpoint>| -> Result<(), Error> {
        while let Some(next) = earlier.pop_front_if(|next| next.size <= edge.size()) {
            same_root(edge, &next, sound)?;
            sound = next.size;
            n_checkpoints += 1;
        }
        Ok(())
    };
    hold(&walk.edge, &mut earlier)?;
    for bundle in 0..size.div_ceil(WIDTH) {
        for entry in walk.bundle(bundle)? {
            visit(walk.edge.size(), &entry)?;
            walk.push(&entry)?;
            hold(&walk.edge, &mut earlier)?;
        }
    }
    walk.end()?;
    same_root(&walk.edge, &signed.checkpoint, sound)?;
    if let Some(beyond) = earlier.pop_front() {
        let holder = format!("`{}`", path.display());
        return Err(Error::Missing { index: size, holder, size: beyond.size });
    }
    let read: Note = note.parse()?;
    let other_signers = read.signers().filter(|name| *name != log.name()).map(str::to_owned).collect();
    Ok(Checked { signed, n_checkpoints: n_checkpoints.max(1), other_signers })
}

/// Holds a checkpoint that was kept from earlier against a directory that [`check_dir`] found sound, with its head.
///
/// # Errors
/// [`Error::Missing`] where the log is shorter now; [`Error::Root`] where it does not begin with what was signed then.
pub fn check_since(dir: &Path, old: &Checkpoint, head: &Checkpoint) -> Result<(), Error> {
    if old.size > head.size {
        let holder = format!("`{}`", dir.display());
        return Err(Error::Missing { index: head.size, holder, size: old.size });
    }
    let edge = Frontier::of(&Tiles::new(dir, head.size), old.size)?;
    same_root(&edge, old, 0)
}

/// Every checkpoint that was published, in order; none where only the latest was kept.
fn checkpoints(dir: &Path, log: &Verifier) -> Result<VecDeque<Checkpoint>, Error> {
    let path = dir.join(CHECKPOINTS);
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(VecDeque::new()),
        Err(e) => return Err(Error::reading(&path)(e)),
    };
    let mut all: VecDeque<Checkpoint> = VecDeque::new();
    for (n, line) in std::io::BufReader::new(file).lines().enumerate() {
        let line = line.map_err(Error::reading(&path))?;
        let published: Published = serde_json::from_str(&line)
            .map_err(|e| Error::file(&path, format!("line {} is no checkpoint: {e}", n + 1)))?;
        let checkpoint = Signed::open(&published.checkpoint, log)?.checkpoint;
        if all.back().is_some_and(|before| before.size > checkpoint.size) {
            return Err(Error::file(&path, format!("line {} is smaller than the one before", n + 1)));
        }
        all.push_back(checkpoint);
    }
    Ok(all)
}

/// Grows the tree from the entries and holds each tile against it.
struct Walk {
    tiles: Tiles,
    edge: Frontier,
    /// Of each level of tiles, the hashes since its last whole one.
    open: Vec<Vec<Hash>>,
}

impl Walk {
    /// The entries of a bundle.
    fn bundle(&self, index: u64) -> Result<Vec<Vec<u8>>, Error> {
        let tile = Tile { level: None, index, width: width(self.tiles.size(), index) };
        let bytes = self.tiles.bytes(tile)?;
        let entries = entries_of_bundle(&bytes).unwrap_or_default();
        let leaves = self.tiles.hashes(0, index)?;
        for (at, (entry, leaf)) in (index * WIDTH..).zip(entries.iter().zip(&leaves)) {
            if leaf_hash(entry) != *leaf {
                let why = format!("`{tile}` does not hold what the tiles of hashes do");
                return Err(Error::Changed { index: at, why });
            }
        }
        Ok(entries.into_iter().map(<[u8]>::to_vec).collect())
    }

    fn push(&mut self, entry: &[u8]) -> Result<(), Error> {
        let (open, tiles) = (&mut self.open, &self.tiles);
        let mut held = Ok(());
        self.edge.push_with(leaf_hash(entry), |level, index, hash| {
            let of_tiles = usize::from(level / HEIGHT);
            if !level.is_multiple_of(HEIGHT) || held.is_err() {
                return;
            }
            if open.len() <= of_tiles {
                open.push(Vec::new());
            }
            let Some(hashes) = open.get_mut(of_tiles) else { return };
            hashes.push(hash);
            if hashes.len() as u64 == WIDTH {
                held = same_tile(tiles, level / HEIGHT, index / WIDTH, hashes);
                hashes.clear();
            }
        });
        held
    }

    fn end(&self) -> Result<(), Error> {
        for (level, hashes) in (0_u8..).zip(&self.open) {
            if !hashes.is_empty() {
                let index = (self.edge.size() >> (HEIGHT * level)) / WIDTH;
                same_tile(&self.tiles, level, index, hashes)?;
            }
        }
        Ok(())
    }
}

fn same_tile(tiles: &Tiles, level: u8, index: u64, made: &[Hash]) -> Result<(), Error> {
    let held = tiles.hashes(level, index)?;
    let Some(at) = held.iter().zip(made).position(|(held, made)| held != made) else { return Ok(()) };
    let tile = Tile { level: Some(level), index, width: made.len() as u16 };
    let path = tiles.dir().join(tile.to_string());
    Err(Error::file(&path, format!("its hash {at} is not that of the tree below it")))
}

/// Copies what an outsider needs to verify the log, up to its latest checkpoint, into a directory: as tlog-tiles lays it
/// out, so that any web server can serve it. Gives files and bytes.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] where the log's own files are damaged.
pub fn export_dir(log: &Log, to: &Path) -> Result<(u64, u64), Error> {
    let Some(signed) = log.signed() else { return Ok((0, 0)) };
    let (mut n_files, mut n_bytes) = (0, 0);
    let mut put = |name: &str, content: &[u8]| -> Result<(), Error> {
        let path = to.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(Error::writing(parent))?;
        }
        std::fs::write(&path, content).map_err(Error::writing(&path))?;
        n_files += 1;
        n_bytes += content.len() as u64;
        Ok(())
    };
    for tile in Tile::of_size(signed.checkpoint.size) {
        put(&tile.to_string(), &log.tiles().bytes(tile)?)?;
    }
    let history = log.dir().join(CHECKPOINTS);
    put(CHECKPOINTS, &std::fs::read(&history).map_err(Error::reading(&history))?)?;
    put(KEY, format!("{}\n", log.verifier()).as_bytes())?;
    put(CHECKPOINT, signed.note.as_bytes())?;
    Ok((n_files, n_bytes))
}
