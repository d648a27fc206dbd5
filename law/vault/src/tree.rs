//! The key tree on disk: a small root file and a database of wrapped keys.
//!
//! ```text
//! root.key       "MRVAULT\0" | version u8 = 1 | check value 16 | n u8 | n × (epoch u32 | wrapped 72)
//! db: tree       "bucket" ‖ number u16 → version u8 = 1 | epoch u32 | root's epoch u32 | wrapped 72
//!                "secret" ‖ name       → the same
//! db: subjects   bucket u16 ‖ subject  → version u8 = 1 | current epoch u32 | n u8
//!                                        | n × (epoch u32 | bucket's epoch u32 | wrapped 72)
//! ```
//! Numbers in values are little-endian, in keys big-endian (a bucket is one range). The root lies in a file of
//! its own because a file can be overwritten, while a database keeps old bytes until it feels like compacting.

use std::io::Write;
use std::path::{Path, PathBuf};

use event::Subject;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use crate::cache::Keys;
use crate::key::{Key, Refused, WRAPPED_BYTES};
use crate::{Error, Master, constant_time_eq};

const MAGIC: &[u8; 8] = b"MRVAULT\0";
const FORMAT: u8 = 1;
pub(crate) const ROOT_FILE: &str = "root.key";
const N_BUCKETS: u16 = 1024;
const FIRST_EPOCH: u32 = 1;
const IDENTIFIERS: &str = "identifiers";

type Wrapped = [u8; WRAPPED_BYTES];

/// An unwrapped inner key and its epoch.
struct Node {
    epoch: u32,
    key: Key,
}

pub(crate) struct Tree {
    root_file: PathBuf,
    db: Database,
    tree: Keyspace,
    subjects: Keyspace,
    buckets: Vec<Node>,
    identifiers: Key,
}

/// What a wrapped key is: associated data, so that no wrapped key passes for another.
fn aad(kind: &str, id: &[u8], epoch: u32, parent_epoch: u32) -> Vec<u8> {
    let mut out = b"maschinenraum/key/v1".to_vec();
    for part in [kind.as_bytes(), id] {
        out.extend_from_slice(&(part.len() as u32).to_le_bytes());
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&epoch.to_le_bytes());
    out.extend_from_slice(&parent_epoch.to_le_bytes());
    out
}

/// The bucket of a subject. From the end of the pseudonym; partitions are told apart by its start.
fn bucket_of(subject: Subject) -> u16 {
    let [.., a, b] = *subject.as_bytes();
    u16::from_be_bytes([a, b]) % N_BUCKETS
}

fn subject_key(subject: Subject) -> [u8; 18] {
    let mut out = [0; 18];
    let bucket = bucket_of(subject).to_be_bytes();
    for (to, from) in out.iter_mut().zip(bucket.iter().chain(subject.as_bytes())) {
        *to = *from;
    }
    out
}

fn node_key(kind: &str, id: &[u8]) -> Vec<u8> {
    [kind.as_bytes(), id].concat()
}

impl Tree {
    pub(crate) fn create(dir: &Path, master: &Master) -> Result<Self, Error> {
        master.check_outside(dir)?;
        let root_file = dir.join(ROOT_FILE);
        if root_file.exists() {
            return Err(Error::AlreadyHere { dir: dir.to_path_buf() });
        }
        std::fs::create_dir_all(dir).map_err(Error::io(format!("cannot make `{}`", dir.display())))?;
        let (db, tree, subjects) = open_db(dir)?;
        if !subjects.is_empty()? {
            // Making a new root here would bury the keys that the lost one can still open.
            return Err(Error::damaged(format!(
                "`{}` is missing, but subjects' keys are there",
                root_file.display()
            )));
        }
        let root = Key::random()?;
        let mut batch = db.batch().durability(Some(PersistMode::SyncAll));
        let mut add = |kind: &str, id: &[u8]| -> Result<Node, Error> {
            let node = Node { epoch: FIRST_EPOCH, key: Key::random()? };
            let wrapped = root.wrap(&node.key, &aad(kind, id, FIRST_EPOCH, FIRST_EPOCH))?;
            batch.insert(&tree, node_key(kind, id), node_row(FIRST_EPOCH, FIRST_EPOCH, &wrapped));
            Ok(node)
        };
        let buckets =
            (0..N_BUCKETS).map(|n| add("bucket", &n.to_be_bytes())).collect::<Result<Vec<Node>, Error>>()?;
        let identifiers = add("secret", IDENTIFIERS.as_bytes())?.key;
        batch.commit()?;
        // The root comes last: with it the vault is there, without it creating may be tried again.
        write_root(&root_file, master, &root)?;
        Ok(Self { root_file, db, tree, subjects, buckets, identifiers })
    }

    pub(crate) fn open(dir: &Path, master: &Master) -> Result<Self, Error> {
        let root_file = dir.join(ROOT_FILE);
        if !root_file.exists() {
            return Err(Error::NotHere { dir: dir.to_path_buf() });
        }
        master.check_outside(dir)?;
        let root = read_root(&root_file, master)?;
        let (db, tree, subjects) = open_db(dir)?;
        let node = |kind: &str, id: &[u8]| -> Result<Node, Error> {
            let row = tree.get(node_key(kind, id))?;
            row.and_then(|row| read_node(&root, kind, id, &row))
                .ok_or_else(|| Error::damaged(format!("{kind} key {} is missing or changed", hex(id))))
        };
        let buckets =
            (0..N_BUCKETS).map(|n| node("bucket", &n.to_be_bytes())).collect::<Result<Vec<Node>, Error>>()?;
        let identifiers = node("secret", IDENTIFIERS.as_bytes())?.key;
        Ok(Self { root_file, db, tree, subjects, buckets, identifiers })
    }

    /// The key under which identifiers become subjects.
    pub(crate) fn identifiers(&self) -> &Key {
        &self.identifiers
    }

    /// The keys of `subject`, unwrapped; `None` where it never had one.
    pub(crate) fn keys(&self, subject: Subject) -> Result<Option<Keys>, Error> {
        let Some(row) = self.row(subject)? else { return Ok(None) };
        let keys = row.unwrap(subject, self.bucket(subject)?);
        keys.map(Some).ok_or_else(|| Error::damaged(format!("the key of subject {subject} is changed")))
    }

    /// Makes a new key for each of `subjects` and returns when all of them are on the disk: one sync.
    pub(crate) fn add(&self, subjects: &[Subject]) -> Result<Vec<(Subject, Keys)>, Error> {
        let mut made = Vec::with_capacity(subjects.len());
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        for &subject in subjects {
            let bucket = self.bucket(subject)?;
            let mut row = self.row(subject)?.unwrap_or(Row { current: 0, entries: Vec::new() });
            // An epoch is never used twice, so that a cell of a destroyed key never meets a living one.
            let epoch = row.current + 1;
            let key = Key::random()?;
            let aad = aad("subject", subject.as_bytes(), epoch, bucket.epoch);
            let wrapped = bucket.key.wrap(&key, &aad)?;
            row.current = epoch;
            row.entries.push(Entry { epoch, bucket_epoch: bucket.epoch, wrapped });
            batch.insert(&self.subjects, subject_key(subject).as_slice(), row.encode()?);
            made.push((subject, Keys { current: epoch, live: vec![(epoch, key)] }));
        }
        batch.commit()?;
        Ok(made)
    }

    /// Copies the vault as it is now into the new directory `to`, still wrapped under the same master.
    pub(crate) fn copy_to(&self, to: &Path) -> Result<(), Error> {
        let root_file = to.join(ROOT_FILE);
        if root_file.exists() {
            return Err(Error::AlreadyHere { dir: to.to_path_buf() });
        }
        std::fs::create_dir_all(to).map_err(Error::io(format!("cannot make `{}`", to.display())))?;
        let (db, tree, subjects) = open_db(to)?;
        let snapshot = self.db.snapshot();
        for (from, into) in [(&self.tree, &tree), (&self.subjects, &subjects)] {
            let mut batch = db.batch();
            for guard in snapshot.iter(from) {
                let (key, value) = guard.into_inner()?;
                batch.insert(into, key, value);
                if batch.len() == 10_000 {
                    std::mem::replace(&mut batch, db.batch()).commit()?;
                }
            }
            batch.commit()?;
        }
        db.persist(PersistMode::SyncAll)?;
        let root = std::fs::read(&self.root_file).map_err(Error::io("cannot read the root key"))?;
        write_file(&root_file, &root)
    }

    /// How far the database has counted; every batch counts as one.
    #[cfg(test)]
    pub(crate) fn n_batches(&self) -> u64 {
        self.db.seqno()
    }

    fn bucket(&self, subject: Subject) -> Result<&Node, Error> {
        let bucket = self.buckets.get(usize::from(bucket_of(subject)));
        bucket.ok_or_else(|| Error::damaged("a bucket key is missing"))
    }

    fn row(&self, subject: Subject) -> Result<Option<Row>, Error> {
        let Some(bytes) = self.subjects.get(subject_key(subject))? else { return Ok(None) };
        let row = Row::decode(&bytes);
        row.map(Some).ok_or_else(|| Error::damaged(format!("the key row of subject {subject} is changed")))
    }
}

fn open_db(dir: &Path) -> Result<(Database, Keyspace, Keyspace), Error> {
    const MIB: u64 = 1 << 20;
    let db = Database::builder(dir.join("db")).cache_size(16 * MIB).worker_threads(1).open()?;
    let tree = db.keyspace("tree", KeyspaceCreateOptions::default)?;
    let subjects =
        db.keyspace("subjects", || KeyspaceCreateOptions::default().max_memtable_size(16 * MIB))?;
    Ok((db, tree, subjects))
}

fn write_root(path: &Path, master: &Master, root: &Key) -> Result<(), Error> {
    let mut out = MAGIC.to_vec();
    out.push(FORMAT);
    out.extend_from_slice(&master.check_value());
    out.push(1);
    out.extend_from_slice(&FIRST_EPOCH.to_le_bytes());
    out.extend_from_slice(&master.wrapping_key().wrap(root, &aad("root", &[], FIRST_EPOCH, 0))?);
    write_file(path, &out)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
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

fn read_root(path: &Path, master: &Master) -> Result<Node, Error> {
    let broken = || Error::damaged(format!("`{}` is no root key, or changed", path.display()));
    let bytes = std::fs::read(path).map_err(Error::io(format!("cannot read `{}`", path.display())))?;
    let mut bytes = Bytes(&bytes);
    if bytes.array() != Some(MAGIC) || bytes.u8() != Some(FORMAT) {
        return Err(broken());
    }
    let check: &[u8; 16] = bytes.array().ok_or_else(broken)?;
    if !constant_time_eq(check, &master.check_value()) {
        let dir = path.parent().unwrap_or(path).to_path_buf();
        return Err(Error::WrongMaster { dir });
    }
    let n = bytes.u8().ok_or_else(broken)?;
    let mut newest = None;
    for _ in 0..n {
        let epoch = bytes.u32().ok_or_else(broken)?;
        let wrapped = bytes.array::<WRAPPED_BYTES>().ok_or_else(broken)?;
        let key =
            master.wrapping_key().unwrap(wrapped, &aad("root", &[], epoch, 0)).map_err(|Refused| broken())?;
        newest = Some(Node { epoch, key });
    }
    if !bytes.0.is_empty() {
        return Err(broken());
    }
    newest.ok_or_else(broken)
}

fn node_row(epoch: u32, root_epoch: u32, wrapped: &Wrapped) -> Vec<u8> {
    [&[FORMAT], epoch.to_le_bytes().as_slice(), &root_epoch.to_le_bytes(), wrapped].concat()
}

fn read_node(root: &Node, kind: &str, id: &[u8], row: &[u8]) -> Option<Node> {
    let mut row = Bytes(row);
    if row.u8()? != FORMAT {
        return None;
    }
    let (epoch, root_epoch, wrapped) = (row.u32()?, row.u32()?, row.array()?);
    if root_epoch != root.epoch || !row.0.is_empty() {
        return None;
    }
    let key = root.key.unwrap(wrapped, &aad(kind, id, epoch, root_epoch)).ok()?;
    Some(Node { epoch, key })
}

/// The stored keys of one subject. No entries: all were destroyed.
struct Row {
    current: u32,
    entries: Vec<Entry>,
}

struct Entry {
    epoch: u32,
    bucket_epoch: u32,
    wrapped: Wrapped,
}

impl Row {
    fn unwrap(&self, subject: Subject, bucket: &Node) -> Option<Keys> {
        let mut live = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            if entry.bucket_epoch != bucket.epoch {
                return None;
            }
            let aad = aad("subject", subject.as_bytes(), entry.epoch, entry.bucket_epoch);
            live.push((entry.epoch, bucket.key.unwrap(&entry.wrapped, &aad).ok()?));
        }
        Some(Keys { current: self.current, live })
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        let n =
            u8::try_from(self.entries.len()).map_err(|_| Error::damaged("a subject has over 255 keys"))?;
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.current.to_le_bytes());
        out.push(n);
        for entry in &self.entries {
            out.extend_from_slice(&entry.epoch.to_le_bytes());
            out.extend_from_slice(&entry.bucket_epoch.to_le_bytes());
            out.extend_from_slice(&entry.wrapped);
        }
        Ok(out)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        if bytes.u8()? != FORMAT {
            return None;
        }
        let current = bytes.u32()?;
        let n = bytes.u8()?;
        let mut entries = Vec::with_capacity(usize::from(n));
        for _ in 0..n {
            entries.push(Entry { epoch: bytes.u32()?, bucket_epoch: bytes.u32()?, wrapped: *bytes.array()? });
        }
        bytes.0.is_empty().then_some(Self { current, entries })
    }
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| *byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(n: u8) -> Subject {
        Subject::from_bytes([n; 16])
    }

    fn master() -> Master {
        Master::from_bytes([3; 32])
    }

    /// What the law issue's machinery will do, by hand: the stored formats carry it.
    #[test]
    fn a_renewed_bucket_and_root_are_read_and_old_copies_open_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("vault");
        let old = dir.path().join("old");
        let tree = Tree::create(&at, &master()).unwrap();
        tree.add(&[subject(1), subject(2)]).unwrap();
        tree.copy_to(&old).unwrap();
        let before = tree.keys(subject(2)).unwrap().unwrap();

        // A new root over all buckets, bucket 1 renewed, subject 2 wrapped anew, subject 1 destroyed.
        let root = Key::random().unwrap();
        let mut batch = tree.db.batch();
        let node = |epoch: u32, key: &Key, kind: &str, id: &[u8]| {
            let wrapped = root.wrap(key, &aad(kind, id, epoch, 2)).unwrap();
            node_row(epoch, 2, &wrapped)
        };
        let renewed = Key::random().unwrap();
        for (n, bucket) in tree.buckets.iter().enumerate() {
            let id = (n as u16).to_be_bytes();
            let (epoch, key) =
                if n as u16 == bucket_of(subject(2)) { (2, &renewed) } else { (1, &bucket.key) };
            batch.insert(&tree.tree, node_key("bucket", &id), node(epoch, key, "bucket", &id));
        }
        let id = IDENTIFIERS.as_bytes();
        batch.insert(&tree.tree, node_key("secret", id), node(1, &tree.identifiers, "secret", id));
        let wrapped = renewed.wrap(&before.live[0].1, &aad("subject", subject(2).as_bytes(), 1, 2)).unwrap();
        let row = Row { current: 1, entries: vec![Entry { epoch: 1, bucket_epoch: 2, wrapped }] };
        batch.insert(&tree.subjects, subject_key(subject(2)).as_slice(), row.encode().unwrap());
        let destroyed = Row { current: 1, entries: Vec::new() };
        batch.insert(&tree.subjects, subject_key(subject(1)).as_slice(), destroyed.encode().unwrap());
        batch.commit().unwrap();
        let head = std::fs::read(&tree.root_file).unwrap()[..25].to_vec();
        let wrapped = master().wrapping_key().wrap(&root, &aad("root", &[], 2, 0)).unwrap();
        let file = [&head[..], &[1], &2_u32.to_le_bytes(), &wrapped].concat();
        std::fs::write(&tree.root_file, file).unwrap();
        drop(tree);

        let tree = Tree::open(&at, &master()).unwrap();
        let after = tree.keys(subject(2)).unwrap().unwrap();
        assert_eq!(after.live[0].1.bytes(), before.live[0].1.bytes());
        assert!(tree.keys(subject(1)).unwrap().unwrap().live.is_empty());
        // Coming back starts a new epoch; what was sealed before stays closed.
        tree.add(&[subject(1)]).unwrap();
        let again = tree.keys(subject(1)).unwrap().unwrap();
        assert_eq!((again.current, again.live.len()), (2, 1));
        drop(tree);

        // The old copy's wrapped keys under the new root: refused as a whole.
        std::fs::copy(at.join(ROOT_FILE), old.join(ROOT_FILE)).unwrap();
        assert_eq!(Tree::open(&old, &master()).err().map(|e| e.code()), Some("MR3005"));
    }

    #[test]
    fn rows_swapped_between_subjects_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::create(dir.path(), &master()).unwrap();
        // The same bucket, so only the associated data tells them apart.
        let (a, b) = (subject(1), Subject::from_bytes([&[9; 8][..], &[1; 8]].concat().try_into().unwrap()));
        assert_eq!(bucket_of(a), bucket_of(b));
        tree.add(&[a, b]).unwrap();
        let row = tree.subjects.get(subject_key(a)).unwrap().unwrap();
        tree.subjects.insert(subject_key(b).as_slice(), row).unwrap();
        assert!(tree.keys(a).is_ok());
        assert_eq!(tree.keys(b).err().map(|e| e.code()), Some("MR3005"));
    }

    #[test]
    fn every_changed_byte_of_the_root_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(Tree::create(dir.path(), &master()).unwrap());
        let path = dir.path().join(ROOT_FILE);
        let whole = std::fs::read(&path).unwrap();
        assert!(read_root(&path, &master()).is_ok());
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            let code = read_root(&path, &master()).err().map(|e| e.code());
            let expected = if (9..25).contains(&at) { "MR3001" } else { "MR3005" };
            assert_eq!(code, Some(expected), "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(read_root(&path, &master()).is_err(), "cut at {at}");
        }
    }

    /// The stored formats stay readable for ever: these files were written by the first build.
    #[test]
    fn version_1_stays_readable() {
        let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/wire/v1"));
        let (root, bucket, key) =
            (Key::from_bytes([4; 32]), Key::from_bytes([5; 32]), Key::from_bytes([6; 32]));
        let id = 7_u16.to_be_bytes();
        if std::env::var_os("WRITE_WIRE_SAMPLE").is_some() {
            write_root(&dir.join(ROOT_FILE), &master(), &root).unwrap();
            let wrapped = root.wrap(&bucket, &aad("bucket", &id, 3, 1)).unwrap();
            std::fs::write(dir.join("bucket.bin"), node_row(3, 1, &wrapped)).unwrap();
            let wrapped = bucket.wrap(&key, &aad("subject", subject(7).as_bytes(), 2, 3)).unwrap();
            let row = Row { current: 2, entries: vec![Entry { epoch: 2, bucket_epoch: 3, wrapped }] };
            std::fs::write(dir.join("subject.bin"), row.encode().unwrap()).unwrap();
        }
        let root_read = read_root(&dir.join(ROOT_FILE), &master()).unwrap();
        assert_eq!((root_read.epoch, root_read.key.bytes()), (1, root.bytes()));
        let read =
            read_node(&root_read, "bucket", &id, &std::fs::read(dir.join("bucket.bin")).unwrap()).unwrap();
        assert_eq!((read.epoch, read.key.bytes()), (3, bucket.bytes()));
        let row = Row::decode(&std::fs::read(dir.join("subject.bin")).unwrap()).unwrap();
        let keys = row.unwrap(subject(7), &read).unwrap();
        assert_eq!((keys.current, keys.sealing().unwrap().1.bytes()), (2, key.bytes()));
    }
}
