//! The file of the wrapped root: small enough to be put in the place of another at once.
//!
//! ```text
//! version 2: "MRVAULT\0" | version u8 = 2 | check value 16 | kdf u8 (0 none, 1 argon2id)
//!            [KiB u32 | rounds u32 | lanes u32 | salt 16] | n u8 | n × (epoch u32 | anchored u8 | wrapped 72)
//! version 1: "MRVAULT\0" | version u8 = 1 | check value 16 | n u8 | n × (epoch u32 | wrapped 72)
//! ```
//! Two entries while a root is being renewed. An anchored root is wrapped under master and [anchor](crate::anchor)
//! together, the others under the master alone.

use std::io::Write;
use std::path::Path;

use crate::anchor::Anchor;
use crate::key::{Key, Refused};
use crate::master::Kdf;
use crate::row::{Bytes, Node, Wrapped, aad};
use crate::{Error, Master, constant_time_eq};

const MAGIC: &[u8; 8] = b"MRVAULT\0";
const FORMAT: u8 = 2;
pub(crate) const ROOT_FILE: &str = "root.key";

/// The file's content, not yet trusted.
pub(crate) struct RootFile {
    check: [u8; 16],
    pub(crate) kdf: Option<Kdf>,
    pub(crate) entries: Vec<Entry>,
}

pub(crate) struct Entry {
    pub(crate) epoch: u32,
    pub(crate) anchored: bool,
    wrapped: Wrapped,
    version: u8,
}

impl RootFile {
    /// The file with these roots, wrapped by `master` and, where there is an anchor of their epoch, by that.
    pub(crate) fn wrap(master: &Master, anchor: Option<&Anchor>, roots: &[&Node]) -> Result<Self, Error> {
        let kdf = master.kdf();
        let mut entries = Vec::with_capacity(roots.len());
        for root in roots {
            let anchor = anchor.and_then(|anchor| anchor.of(root.epoch));
            let aad = root_aad(kdf.as_ref(), anchor.is_some(), root.epoch, FORMAT);
            let wrapped = master.wrapping_key(anchor).wrap(&root.key, &aad)?;
            entries.push(Entry { epoch: root.epoch, anchored: anchor.is_some(), wrapped, version: FORMAT });
        }
        Ok(Self { check: master.check_value(), kdf, entries })
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(Error::io(format!("cannot read `{}`", path.display())))?;
        Self::decode(&bytes).ok_or_else(|| broken(path))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        if bytes.array()? != MAGIC {
            return None;
        }
        let version = bytes.u8().filter(|version| (1..=FORMAT).contains(version))?;
        let check = *bytes.array()?;
        let kdf = match version {
            1 => None,
            _ => match bytes.u8()? {
                0 => None,
                1 => Some(Kdf {
                    kib: bytes.u32()?,
                    rounds: bytes.u32()?,
                    lanes: bytes.u32()?,
                    salt: *bytes.array()?,
                }),
                _ => return None,
            },
        };
        let n = bytes.u8()?;
        let mut entries = Vec::new();
        for _ in 0..n {
            let epoch = bytes.u32()?;
            let anchored = match version {
                1 => false,
                _ => match bytes.u8()? {
                    0 => false,
                    1 => true,
                    _ => return None,
                },
            };
            entries.push(Entry { epoch, anchored, wrapped: *bytes.array()?, version });
        }
        bytes.0.is_empty().then_some(Self { check, kdf, entries })
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let mut out = MAGIC.to_vec();
        out.push(FORMAT);
        out.extend_from_slice(&self.check);
        match &self.kdf {
            None => out.push(0),
            Some(kdf) => {
                out.push(1);
                out.extend_from_slice(&kdf.bytes());
            }
        }
        out.push(u8::try_from(self.entries.len()).unwrap_or(u8::MAX));
        for entry in &self.entries {
            out.extend_from_slice(&entry.epoch.to_le_bytes());
            out.push(u8::from(entry.anchored));
            out.extend_from_slice(&entry.wrapped);
        }
        write_file(path, &out)
    }

    /// True where this master wrapped it.
    pub(crate) fn check(&self, path: &Path, master: &Master) -> Result<(), Error> {
        if constant_time_eq(&self.check, &master.check_value()) {
            return Ok(());
        }
        Err(Error::WrongMaster { dir: path.parent().unwrap_or(path).to_path_buf() })
    }

    /// The root of an epoch.
    ///
    /// # Errors
    /// [`Error::StaleRoot`] where the anchor has moved on, [`Error::NoAnchor`] where it is missing,
    /// [`Error::Damaged`].
    pub(crate) fn unwrap(
        &self,
        path: &Path,
        master: &Master,
        anchor: Option<&Anchor>,
        epoch: u32,
    ) -> Result<Node, Error> {
        let entry = self.entries.iter().find(|entry| entry.epoch == epoch).ok_or_else(|| broken(path))?;
        let dir = || path.parent().unwrap_or(path).to_path_buf();
        let key = match (entry.anchored, anchor) {
            (false, _) => None,
            (true, None) => return Err(Error::NoAnchor { dir: dir(), path: None }),
            (true, Some(anchor)) => match (anchor.of(epoch), anchor.newest()) {
                (Some(key), _) => Some(key),
                (None, None) => {
                    return Err(Error::NoAnchor { dir: dir(), path: Some(anchor.path.clone()) });
                }
                (None, Some(newest)) if newest > epoch => {
                    return Err(Error::StaleRoot { dir: dir(), epoch, anchor: newest });
                }
                (None, Some(newest)) => {
                    return Err(Error::StaleAnchor { path: anchor.path.clone(), epoch, anchor: newest });
                }
            },
        };
        let aad = root_aad(self.kdf.as_ref(), entry.anchored, epoch, entry.version);
        let root = master.wrapping_key(key).unwrap(&entry.wrapped, &aad).map_err(|Refused| broken(path))?;
        Ok(Node { epoch, key: root })
    }
}

fn root_aad(kdf: Option<&Kdf>, anchored: bool, epoch: u32, version: u8) -> Vec<u8> {
    let mut id = Vec::new();
    if version > 1 {
        id.push(u8::from(anchored));
        id.extend(kdf.iter().flat_map(|kdf| kdf.bytes()));
    }
    aad("root", &id, epoch, 0)
}

fn broken(path: &Path) -> Error {
    Error::damaged(format!("`{}` is no root key, or changed", path.display()))
}

/// Puts a file in the place of another, durably.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = path.with_extension("new");
    let write = || {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        match path.parent() {
            Some(dir) => std::fs::File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(Error::io(format!("cannot write `{}`", path.display())))
}

/// A new root.
pub(crate) fn random_root(epoch: u32) -> Result<Node, Error> {
    Ok(Node { epoch, key: Key::random()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master() -> Master {
        Master::from_bytes([3; 32])
    }

    fn anchor(dir: &Path) -> Anchor {
        let mut anchor = Anchor::read(&dir.join("root.anchor")).unwrap();
        anchor.add(1, Key::from_bytes([8; 32])).unwrap();
        anchor
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(ROOT_FILE);
        let anchor = anchor(dir.path());
        let root = random_root(1).unwrap();
        RootFile::wrap(&master(), Some(&anchor), &[&root]).unwrap().write(&path).unwrap();
        let read = |anchor: Option<&Anchor>| {
            let file = RootFile::read(&path)?;
            file.check(&path, &master())?;
            file.unwrap(&path, &master(), anchor, 1)
        };
        assert!(read(Some(&anchor)).is_ok_and(|node| node.key.bytes() == root.key.bytes()));
        assert_eq!(read(None).err().map(|e| e.code()), Some("MR3302"));
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            let code = read(Some(&anchor)).err().map(|e| e.code());
            let expected = if (9..25).contains(&at) { "MR3001" } else { "MR3005" };
            assert_eq!(code, Some(expected), "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(read(Some(&anchor)).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn an_anchor_of_another_root_opens_nothing_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(ROOT_FILE);
        let mut anchor = anchor(dir.path());
        let root = random_root(1).unwrap();
        let file = RootFile::wrap(&master(), Some(&anchor), &[&root]).unwrap();
        let code =
            |anchor: &Anchor| file.unwrap(&path, &master(), Some(anchor), 1).err().map(|error| error.code());
        assert_eq!(code(&anchor), None);
        anchor.entries = vec![(2, Key::from_bytes([8; 32]))];
        assert_eq!(code(&anchor), Some("MR3301"));
        anchor.entries = vec![(1, Key::from_bytes([9; 32]))];
        assert_eq!(code(&anchor), Some("MR3005"));
        anchor.entries.clear();
        assert_eq!(code(&anchor), Some("MR3302"));
    }

    #[test]
    fn every_version_stays_readable() {
        let stored = |version: u8| {
            let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/wire");
            Path::new(dir).join(format!("v{version}")).join(ROOT_FILE)
        };
        let root = Node { epoch: 1, key: Key::from_bytes([4; 32]) };
        if std::env::var_os("WRITE_WIRE_SAMPLE").is_some() {
            std::fs::create_dir_all(stored(FORMAT).parent().unwrap()).unwrap();
            RootFile::wrap(&master(), None, &[&root]).unwrap().write(&stored(FORMAT)).unwrap();
        }
        for version in 1..=FORMAT {
            let path = stored(version);
            let file = RootFile::read(&path).unwrap();
            file.check(&path, &master()).unwrap();
            let read = file.unwrap(&path, &master(), None, 1).unwrap();
            assert_eq!((read.epoch, read.key.bytes()), (1, root.key.bytes()), "version {version}");
        }
    }
}
