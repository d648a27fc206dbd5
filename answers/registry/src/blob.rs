//! Content under its own hash, in a directory.
//!
//! `blobs/ab/cd…`: the first two digits of the SHA-256 are a folder. A blob is written beside its place, synced and
//! renamed, so that a crash leaves either nothing or all of it; it is checked against its name whenever it is read.

use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::Error;

/// The SHA-256 of some content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of `content`.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// A hash made elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

impl FromStr for ContentHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::BadHash { text: text.chars().take(80).collect() };
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            let pair = text.get(2 * i..2 * i + 2).ok_or_else(bad)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { self.0.serialize(s) }
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(d).map(Self)
        }
    }
}

/// A directory of blobs. Clones share it; several processes may, too.
#[derive(Clone, Debug)]
pub struct Blobs {
    root: PathBuf,
}

impl Blobs {
    /// The blobs below `root`, which is made where it is missing.
    ///
    /// # Errors
    /// [`Error::Blob`]
    pub fn open(root: &Path) -> Result<Self, Error> {
        fs::create_dir_all(root).map_err(|source| Error::Blob { path: root.to_path_buf(), source })?;
        Ok(Self { root: root.to_path_buf() })
    }

    /// Keeps `content`; when this returns, it survives a crash. Content that is there already is left alone.
    ///
    /// # Errors
    /// [`Error::Blob`]
    pub fn put(&self, content: &[u8]) -> Result<ContentHash, Error> {
        let hash = ContentHash::of(content);
        let path = self.path(&hash);
        // a damaged blob is replaced by whole content of the same hash
        if self.get(&hash).is_ok() {
            return Ok(hash);
        }
        let folder = path.parent().unwrap_or(&self.root);
        let failed = |source| Error::Blob { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let beside = beside(&path);
        let write = || {
            let mut file = File::create(&beside)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(folder)?.sync_all()?;
            File::open(&self.root)?.sync_all()
        };
        write().map_err(|source| {
            // best effort: what is left over is never read
            let _ = fs::remove_file(&beside);
            failed(source)
        })?;
        Ok(hash)
    }

    /// The content under `hash`.
    ///
    /// # Errors
    /// [`Error::MissingBlob`], [`Error::DamagedBlob`], [`Error::Blob`]
    pub fn get(&self, hash: &ContentHash) -> Result<Vec<u8>, Error> {
        let path = self.path(hash);
        let content = fs::read(&path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => Error::MissingBlob { hash: hash.to_string(), path: path.clone() },
            _ => Error::Blob { path: path.clone(), source },
        })?;
        let found = ContentHash::of(&content);
        if found == *hash { Ok(content) } else { Err(Error::DamagedBlob { path, found: found.to_string() }) }
    }

    /// Where a blob lies.
    pub fn path(&self, hash: &ContentHash) -> PathBuf {
        let text = hash.to_string();
        let (folder, name) = text.split_at(2);
        self.root.join(folder).join(name)
    }
}

/// A name that no other writer of the same blob uses.
fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_extension(format!("{}-{n}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_keeps() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&dir.path().join("blobs")).unwrap();
        let hash = blobs.put(b"hello").unwrap();
        assert_eq!(hash.to_string(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(blobs.put(b"hello").unwrap(), hash);
        assert_eq!(blobs.get(&hash).unwrap(), b"hello");
        assert!(
            blobs.path(&hash).ends_with("2c/f24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
        );
        let leftovers = fs::read_dir(blobs.path(&hash).parent().unwrap()).unwrap().count();
        assert_eq!(leftovers, 1);
    }

    #[test]
    fn says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let code = |r: Result<Vec<u8>, Error>| r.unwrap_err().code();
        let hash = blobs.put(b"model").unwrap();
        fs::write(blobs.path(&hash), b"mode").unwrap();
        assert_eq!(code(blobs.get(&hash)), "MR4541");
        blobs.put(b"model").unwrap();
        assert_eq!(blobs.get(&hash).unwrap(), b"model", "whole content mends a damaged blob");
        fs::remove_file(blobs.path(&hash)).unwrap();
        assert_eq!(code(blobs.get(&hash)), "MR4540");
        fs::create_dir(blobs.path(&hash)).unwrap();
        assert_eq!(code(blobs.get(&hash)), "MR4542");
        assert_eq!(blobs.put(b"model").unwrap_err().code(), "MR4542");
    }

    #[test]
    fn hashes_read_back_what_they_print() {
        let hash = ContentHash::of(b"x");
        assert_eq!(hash.to_string().parse::<ContentHash>().unwrap(), hash);
        for bad in ["", "zz", &"é".repeat(32), &"+1".repeat(32)] {
            assert_eq!(bad.parse::<ContentHash>().unwrap_err().code(), "MR4543", "{bad}");
        }
    }
}
