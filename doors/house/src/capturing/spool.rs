//! A snapshot of tables on its way into the journal: sealed, complete or not there.
//!
//! The file is a row of frames, `length (u32, little-endian) · sealed bytes`, each sealed under a key of the capture with
//! its number bound to it (LAW 4: nothing personal reaches the disk in the clear). A frame holds rows as
//! `table (u32) · length (u32) · line`. The file gets its name only once it is complete and on the disk.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use capture::Lsn;
use event::Subject;
use vault::Vault;

use crate::Error;
use crate::layout::Layout;

/// Rows of a table by its place: their bytes.
type Rows = Vec<(usize, Vec<u8>)>;

/// Bytes of rows that are sealed together.
const FRAME: usize = 256 << 10;
/// The longest frame that is read: a row has at most a gigabyte.
const MAX_FRAME: usize = (1 << 30) + (1 << 21);

/// Where the spool of a capture lies.
pub(crate) fn path(layout: &Layout, name: &str) -> PathBuf {
    layout.root().join("captures").join(format!("{name}.spool"))
}

/// Removes the spool of a capture, begun or complete.
pub(crate) fn remove(layout: &Layout, name: &str) -> Result<(), Error> {
    let path = path(layout, name);
    for path in [path.with_extension("tmp"), path] {
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(told(&path, &e)),
            _ => {}
        }
    }
    Ok(())
}

fn told(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Directory { path: path.to_path_buf(), reason: error.to_string() }
}

fn owner(vault: &Vault, name: &str) -> Subject {
    vault.pseudonym("capture", name)
}

fn column(from: Lsn, frame: u64) -> String {
    format!("spool {from} {frame}")
}

/// Writes a spool.
pub(crate) struct Writer<'v> {
    vault: &'v Vault,
    owner: Subject,
    from: Lsn,
    path: PathBuf,
    file: BufWriter<File>,
    rows: Vec<u8>,
    n_frames: u64,
    n_rows: u64,
}

impl<'v> Writer<'v> {
    /// Begins the spool of a capture whose slot begins at `from`.
    pub(crate) fn begin(vault: &'v Vault, layout: &Layout, name: &str, from: Lsn) -> Result<Self, Error> {
        let path = path(layout, name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| told(folder, &e))?;
        }
        let owner = owner(vault, name);
        vault.ensure(&[owner])?;
        let beside = path.with_extension("tmp");
        let file = BufWriter::new(File::create(&beside).map_err(|e| told(&beside, &e))?);
        Ok(Self { vault, owner, from, path, file, rows: Vec::new(), n_frames: 0, n_rows: 0 })
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, table: usize, line: &[u8]) -> Result<(), Error> {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        self.rows.extend(number(table));
        self.rows.extend(number(line.len()));
        self.rows.extend(line);
        self.n_rows += 1;
        if self.rows.len() >= FRAME { self.seal() } else { Ok(()) }
    }

    fn seal(&mut self) -> Result<(), Error> {
        let sealed = self.vault.seal(self.owner, &column(self.from, self.n_frames), 0, &self.rows)?;
        self.rows.clear();
        self.n_frames += 1;
        let len = u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_le_bytes();
        let written = self.file.write_all(&len).and_then(|()| self.file.write_all(&sealed));
        written.map_err(|e| told(&self.path, &e))
    }

    /// Completes it, durably; returns how many rows it has.
    pub(crate) fn complete(mut self) -> Result<u64, Error> {
        if !self.rows.is_empty() {
            self.seal()?;
        }
        let path = self.path;
        let file = self.file.into_inner().map_err(|e| told(&path, &e))?;
        file.sync_all().map_err(|e| told(&path, &e))?;
        std::fs::rename(path.with_extension("tmp"), &path).map_err(|e| told(&path, &e))?;
        if let Some(folder) = path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| told(folder, &e))?;
        }
        Ok(self.n_rows)
    }
}

/// Reads a spool.
pub(crate) struct Reader<'v> {
    vault: &'v Vault,
    owner: Subject,
    from: Lsn,
    path: PathBuf,
    file: BufReader<File>,
    n_frames: u64,
}

impl<'v> Reader<'v> {
    /// Opens the spool of a capture.
    pub(crate) fn open(vault: &'v Vault, layout: &Layout, name: &str, from: Lsn) -> Result<Self, Error> {
        let path = path(layout, name);
        let file = File::open(&path).map_err(|e| Error::CaptureRefused {
            reason: format!(
                "the snapshot of capture `{name}` cannot be read ({}: {e}): `maschinenraum capture {name} --drop` and a new \
                 capture take the tables as they are now",
                path.display()
            ),
        })?;
        Ok(Self { vault, owner: owner(vault, name), from, path, file: BufReader::new(file), n_frames: 0 })
    }

    /// The next frame's rows, as (table, line); `None` behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<Rows>, Error> {
        let mut len = [0; 4];
        match self.file.read_exact(&mut len) {
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other.map_err(|e| told(&self.path, &e))?,
        }
        let len = u32::from_le_bytes(len) as usize;
        if len > MAX_FRAME {
            return Err(told(&self.path, &"it is damaged"));
        }
        let mut sealed = vec![0; len];
        self.file.read_exact(&mut sealed).map_err(|e| told(&self.path, &e))?;
        let column = column(self.from, self.n_frames);
        self.n_frames += 1;
        let plain = self.vault.unseal(self.owner, &column, 0, &sealed)?;
        let plain = plain.ok_or_else(|| told(&self.path, &"its key is not there"))?;
        let mut rest = plain.as_slice();
        let mut rows = Vec::new();
        while let Some((table, after)) = rest.split_first_chunk::<4>() {
            let line = after
                .split_first_chunk::<4>()
                .and_then(|(len, after)| after.split_at_checked(u32::from_le_bytes(*len) as usize));
            let (line, after) = line.ok_or_else(|| told(&self.path, &"it is damaged"))?;
            rows.push((u32::from_le_bytes(*table) as usize, line.to_vec()));
            rest = after;
        }
        Ok(Some(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_gives_back_its_rows_and_shows_none_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(&dir.path().join("data"));
        let vault = Vault::create(&dir.path().join("vault"), &vault::Master::from_bytes([7; 32])).unwrap();
        let mut writer = Writer::begin(&vault, &layout, "shop", Lsn(5)).unwrap();
        for n in 0..40_000 {
            writer.add(n % 3, format!("ada{n}@example.org\t\\N").as_bytes()).unwrap();
        }
        assert!(Reader::open(&vault, &layout, "shop", Lsn(5)).is_err(), "not before it is complete");
        assert_eq!(writer.complete().unwrap(), 40_000);
        let bytes = std::fs::read(path(&layout, "shop")).unwrap();
        assert!(!bytes.windows(11).any(|part| part == b"example.org"));
        let mut reader = Reader::open(&vault, &layout, "shop", Lsn(5)).unwrap();
        let mut n = 0;
        while let Some(rows) = reader.next().unwrap() {
            for (table, line) in rows {
                assert_eq!((table, line), (n % 3, format!("ada{n}@example.org\t\\N").into_bytes()));
                n += 1;
            }
        }
        assert_eq!(n, 40_000);
        // Another slot's spool, or a part out of its place, does not open.
        assert!(Reader::open(&vault, &layout, "shop", Lsn(6)).unwrap().next().is_err());
        remove(&layout, "shop").unwrap();
        remove(&layout, "shop").unwrap();
        assert!(Reader::open(&vault, &layout, "shop", Lsn(5)).is_err());
    }
}
