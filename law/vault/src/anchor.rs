//! The anchor: a few random bytes that live outside of the data directory and are new with every root.
//!
//! The root's wrapping key is made of the master key *and* the anchor. Backups hold the wrapped root, never the
//! anchor: once an erasure has made a new root and a new anchor, the root in an older backup cannot be unwrapped any
//! more, not even by whoever has the master key.
//!
//! ```text
//! "MRANCHR\0" | version u8 = 1 | n u8 | n × (root's epoch u32 | 32 random bytes) | SHA-256 of all that, cut to 8 bytes
//! ```
//! One entry, or two while a root is being renewed.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::Error;
use crate::key::{KEY_BYTES, Key};
use crate::master::check_private;
use crate::row::Bytes;

const MAGIC: &[u8; 8] = b"MRANCHR\0";
const FORMAT: u8 = 1;
const CHECK_BYTES: usize = 8;

/// Where the anchor lies, and what is in it by epoch of the root.
pub(crate) struct Anchor {
    pub(crate) path: PathBuf,
    pub(crate) entries: Vec<(u32, Key)>,
}

impl Anchor {
    /// Reads the file at `path`; without entries where there is none yet.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let broken = || Error::BadAnchor { path: path.to_path_buf() };
        let mut file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { path: path.to_path_buf(), entries: Vec::new() });
            }
            Err(e) => return Err(Error::io(format!("cannot read `{}`", path.display()))(e)),
        };
        let told = || Error::io(format!("cannot read `{}`", path.display()));
        check_private(path, &file.metadata().map_err(told())?)?;
        let mut content = Zeroizing::new(Vec::with_capacity(256));
        std::io::Read::by_ref(&mut file).take(256).read_to_end(&mut content).map_err(told())?;
        let (body, check) = content.split_last_chunk::<CHECK_BYTES>().ok_or_else(broken)?;
        if check_of(body) != *check {
            return Err(broken());
        }
        let mut bytes = Bytes(body);
        if bytes.array() != Some(MAGIC) || bytes.u8() != Some(FORMAT) {
            return Err(broken());
        }
        let n = bytes.u8().ok_or_else(broken)?;
        let mut entries = Vec::new();
        for _ in 0..n {
            let epoch = bytes.u32().ok_or_else(broken)?;
            entries.push((epoch, Key::from_bytes(*bytes.array::<KEY_BYTES>().ok_or_else(broken)?)));
        }
        if !bytes.0.is_empty() {
            return Err(broken());
        }
        Ok(Self { path: path.to_path_buf(), entries })
    }

    /// The anchor of a root.
    pub(crate) fn of(&self, epoch: u32) -> Option<&Key> {
        self.entries.iter().find(|(known, _)| *known == epoch).map(|(_, key)| key)
    }

    /// The newest root it is an anchor of.
    pub(crate) fn newest(&self) -> Option<u32> {
        self.entries.iter().map(|(epoch, _)| *epoch).max()
    }

    /// Adds an anchor, or replaces that of the same epoch, and writes the file.
    pub(crate) fn add(&mut self, epoch: u32, key: Key) -> Result<(), Error> {
        self.entries.retain(|(known, _)| *known != epoch);
        self.entries.push((epoch, key));
        self.write()
    }

    /// Drops every anchor but that of `epoch`, and writes the file. The old file's bytes are overwritten.
    pub(crate) fn keep(&mut self, epoch: u32) -> Result<(), Error> {
        if self.entries.iter().all(|(known, _)| *known == epoch) {
            return Ok(());
        }
        self.entries.retain(|(known, _)| *known == epoch);
        self.write()
    }

    fn write(&self) -> Result<(), Error> {
        let mut out = Zeroizing::new(Vec::with_capacity(256));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[FORMAT, u8::try_from(self.entries.len()).unwrap_or(u8::MAX)]);
        for (epoch, key) in &self.entries {
            out.extend_from_slice(&epoch.to_le_bytes());
            out.extend_from_slice(key.bytes());
        }
        let check = check_of(&out);
        out.extend_from_slice(&check);
        replace(&self.path, &out).map_err(Error::io(format!("cannot write `{}`", self.path.display())))
    }
}

fn check_of(body: &[u8]) -> [u8; CHECK_BYTES] {
    let full = Sha256::digest(body);
    let mut check = [0; CHECK_BYTES];
    check.iter_mut().zip(full.iter()).for_each(|(to, from)| *to = *from);
    check
}

/// Puts a file in the place of another, durably, and overwrites the bytes of the other: on a disk that writes where
/// the bytes are they are gone; what a disk keeps elsewhere is why a root is wrapped by the master key as well.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let old = std::fs::OpenOptions::new().read(true).write(true).open(path).ok();
    let beside = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::File::open(parent)?.sync_all()?;
    if let Some(mut old) = old {
        let len = usize::try_from(old.metadata()?.len()).unwrap_or(0).min(4_096);
        old.seek(SeekFrom::Start(0))?;
        old.write_all(&vec![0; len])?;
        old.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_wrote_and_refuses_every_changed_byte() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root.anchor");
        let mut anchor = Anchor::read(&path).unwrap();
        assert!(anchor.entries.is_empty());
        anchor.add(1, Key::from_bytes([1; 32])).unwrap();
        anchor.add(2, Key::from_bytes([2; 32])).unwrap();
        let read = Anchor::read(&path).unwrap();
        assert_eq!(read.newest(), Some(2));
        assert_eq!(read.of(1).unwrap().bytes(), &[1; 32]);
        anchor.keep(2).unwrap();
        let read = Anchor::read(&path).unwrap();
        assert!(read.of(1).is_none() && read.of(2).is_some());
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert_eq!(Anchor::read(&path).err().map(|e| e.code()), Some("MR3303"), "byte {at}");
        }
        std::fs::write(&path, b"").unwrap();
        assert_eq!(Anchor::read(&path).err().map(|e| e.code()), Some("MR3303"));
    }

    #[test]
    fn the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root.anchor");
        Anchor::read(&path).unwrap().add(1, Key::from_bytes([1; 32])).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(Anchor::read(&path).err().map(|e| e.code()), Some("MR3002"));
    }
}
