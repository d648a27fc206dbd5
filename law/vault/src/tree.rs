//! The key tree on disk: a small root file and a database of wrapped keys.
//!
//! ```text
//! root.key       the wrapped root (see `root`)
//! db: tree       "bucket" ‖ number u16 → version u8 = 1 | epoch u32 | root's epoch u32 | wrapped 72
//!                "secret" ‖ name       → the same
//!                "intent"              → an erasure under way (see `renewal`)
//! db: subjects   bucket u16 ‖ subject  → version u8 = 1 | current epoch u32 | n u8
//!                                        | n × (epoch u32 | bucket's epoch u32 | wrapped 72)
//! db: erased     subject               → version u8 = 1 | last destroyed epoch u32 | at i64 | act 16
//! ```
//! Numbers in values are little-endian, in keys big-endian (a bucket is one range). The root lies in a file of
//! its own because a file can be overwritten, while a database keeps old bytes until it feels like compacting.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use event::Subject;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};
use parking_lot::{Mutex, RwLock};
use zeroize::Zeroizing;

use crate::anchor::Anchor;
use crate::cache::Keys;
use crate::key::{KEY_BYTES, Key};
use crate::root::{ROOT_FILE, RootFile, random_root, write_file};
use crate::row::{Entry, Node, Row, aad, hex, node_key, node_row, read_node, root_epoch_of};
use crate::{Error, Master};

pub(crate) const N_BUCKETS: u16 = 1024;
const FIRST_EPOCH: u32 = 1;
const IDENTIFIERS: &str = "identifiers";

pub(crate) struct Tree {
    pub(crate) dir: PathBuf,
    pub(crate) root_file: PathBuf,
    pub(crate) db: Database,
    pub(crate) tree: Keyspace,
    pub(crate) subjects: Keyspace,
    pub(crate) erased: Keyspace,
    pub(crate) buckets: Vec<RwLock<Bucket>>,
    pub(crate) keeper: Mutex<Keeper>,
    /// Held by the one who renews keys.
    pub(crate) pass: Mutex<()>,
    /// Lets a test stop before a step.
    pub(crate) stop_before: AtomicU32,
    identifiers: Key,
}

/// A bucket's key, and the one that is about to follow it: while it is being renewed rows of both are met.
pub(crate) struct Bucket {
    pub(crate) now: Arc<Node>,
    pub(crate) next: Option<Arc<Node>>,
}

/// What renewing the root takes.
pub(crate) struct Keeper {
    pub(crate) master: Master,
    pub(crate) root: Node,
}

/// The bucket of a subject. From the end of the pseudonym; partitions are told apart by its start.
pub(crate) fn bucket_of(subject: Subject) -> u16 {
    let [.., a, b] = *subject.as_bytes();
    u16::from_be_bytes([a, b]) % N_BUCKETS
}

pub(crate) fn subject_key(subject: Subject) -> [u8; 18] {
    let mut out = [0; 18];
    let bucket = bucket_of(subject).to_be_bytes();
    for (to, from) in out.iter_mut().zip(bucket.iter().chain(subject.as_bytes())) {
        *to = *from;
    }
    out
}

impl Tree {
    pub(crate) fn create(dir: &Path, master: &Master) -> Result<Self, Error> {
        master.check_outside(dir)?;
        let root_file = dir.join(ROOT_FILE);
        if root_file.exists() {
            return Err(Error::AlreadyHere { dir: dir.to_path_buf() });
        }
        let mut anchor = master.anchor().map(Anchor::read).transpose()?;
        // Without a trace of a vault that was being made here, the anchor is that of a vault that lies elsewhere: a disk
        // that is not there, a folder that was moved. A new anchor in its place would destroy it.
        if anchor.as_ref().is_some_and(|anchor| !anchor.entries.is_empty()) && !dir.join("db").exists() {
            let path = master.anchor().unwrap_or(dir).to_path_buf();
            return Err(Error::OtherAnchor { path, dir: dir.to_path_buf() });
        }
        std::fs::create_dir_all(dir).map_err(Error::io(format!("cannot make `{}`", dir.display())))?;
        master.check_outside(dir)?;
        let (db, [tree, subjects, erased]) = open_db(dir)?;
        if !subjects.is_empty()? {
            // Making a new root here would bury the keys that the lost one can still open.
            return Err(Error::damaged(format!(
                "`{}` is missing, but subjects' keys are there",
                root_file.display()
            )));
        }
        let first = anchor.as_ref().and_then(Anchor::newest).map_or(FIRST_EPOCH, |newest| newest + 1);
        let root = random_root(first)?;
        if let Some(anchor) = &mut anchor {
            anchor.add(first, Key::random()?)?;
        }
        let mut batch = db.batch().durability(Some(PersistMode::SyncAll));
        let mut add = |kind: &str, id: &[u8]| -> Result<Node, Error> {
            let node = Node { epoch: FIRST_EPOCH, key: Key::random()? };
            let wrapped = root.key.wrap(&node.key, &aad(kind, id, FIRST_EPOCH, root.epoch))?;
            batch.insert(&tree, node_key(kind, id), node_row(FIRST_EPOCH, root.epoch, &wrapped));
            Ok(node)
        };
        let buckets =
            (0..N_BUCKETS).map(|n| add("bucket", &n.to_be_bytes())).collect::<Result<Vec<Node>, Error>>()?;
        let identifiers = add("secret", IDENTIFIERS.as_bytes())?.key;
        batch.commit()?;
        // The root comes last: with it the vault is there, without it creating may be tried again.
        RootFile::wrap(master, anchor.as_ref(), &[&root])?.write(&root_file)?;
        if let Some(anchor) = &mut anchor {
            anchor.keep(first)?;
        }
        let keeper = Keeper { master: master.twin(), root };
        Ok(Self::over(dir, (db, [tree, subjects, erased]), buckets, identifiers, keeper))
    }

    pub(crate) fn open(dir: &Path, master: &Master) -> Result<Self, Error> {
        let root_file = dir.join(ROOT_FILE);
        if !root_file.exists() {
            return Err(Error::NotHere { dir: dir.to_path_buf() });
        }
        master.check_outside(dir)?;
        let file = RootFile::read(&root_file)?;
        file.check(&root_file, master)?;
        let anchor = master.anchor().map(Anchor::read).transpose()?;
        // Said before the database is touched: a copy from before an erasure stays as it is.
        if let [only] = file.entries.as_slice() {
            file.unwrap(&root_file, master, anchor.as_ref(), only.epoch)?;
        }
        let (db, [tree, subjects, erased]) = open_db(dir)?;
        let first = tree.get(node_key("bucket", &0_u16.to_be_bytes()))?;
        let in_use = first.as_deref().and_then(root_epoch_of);
        let in_use = in_use.ok_or_else(|| Error::damaged("the first bucket's key is missing or changed"))?;
        let root = file.unwrap(&root_file, master, anchor.as_ref(), in_use)?;
        let node = |kind: &str, id: &[u8]| -> Result<Node, Error> {
            let row = tree.get(node_key(kind, id))?;
            row.and_then(|row| read_node(&root, kind, id, &row))
                .ok_or_else(|| Error::damaged(format!("{kind} key {} is missing or changed", hex(id))))
        };
        let buckets =
            (0..N_BUCKETS).map(|n| node("bucket", &n.to_be_bytes())).collect::<Result<Vec<Node>, Error>>()?;
        let identifiers = node("secret", IDENTIFIERS.as_bytes())?.key;
        let keeper = Keeper { master: master.twin(), root };
        let opened = Self::over(dir, (db, [tree, subjects, erased]), buckets, identifiers, keeper);
        opened.complete(&file, anchor)?;
        Ok(opened)
    }

    fn over(
        dir: &Path,
        (db, [tree, subjects, erased]): (Database, [Keyspace; 3]),
        buckets: Vec<Node>,
        identifiers: Key,
        keeper: Keeper,
    ) -> Self {
        let buckets = buckets.into_iter().map(|node| RwLock::new(Bucket { now: Arc::new(node), next: None }));
        Self {
            dir: dir.to_path_buf(),
            root_file: dir.join(ROOT_FILE),
            db,
            tree,
            subjects,
            erased,
            buckets: buckets.collect(),
            keeper: Mutex::new(keeper),
            pass: Mutex::default(),
            stop_before: AtomicU32::new(0),
            identifiers,
        }
    }

    /// The key under which identifiers become subjects.
    pub(crate) fn identifiers(&self) -> &Key {
        &self.identifiers
    }

    /// A secret of the house by its name; made where there is none yet.
    pub(crate) fn secret(&self, name: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>, Error> {
        let keeper = self.keeper.lock();
        let id = name.as_bytes();
        let key = match self.tree.get(node_key("secret", id))? {
            Some(row) => {
                let node = read_node(&keeper.root, "secret", id, &row);
                node.ok_or_else(|| Error::damaged(format!("secret `{name}` is changed")))?.key
            }
            None => {
                let key = Key::random()?;
                let root = &keeper.root;
                let wrapped = root.key.wrap(&key, &aad("secret", id, FIRST_EPOCH, root.epoch))?;
                let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
                batch.insert(&self.tree, node_key("secret", id), node_row(FIRST_EPOCH, root.epoch, &wrapped));
                batch.commit()?;
                key
            }
        };
        Ok(Zeroizing::new(*key.bytes()))
    }

    /// The keys of `subject`, unwrapped; `None` where it never had one.
    pub(crate) fn keys(&self, subject: Subject) -> Result<Option<Keys>, Error> {
        // Held while the row is read: it is of one of the two keys then, whatever is being renewed.
        let bucket = self.bucket(subject)?.read();
        let Some(row) = self.row(subject)? else { return Ok(None) };
        let nodes: Vec<&Node> = std::iter::once(&bucket.now).chain(&bucket.next).map(Arc::as_ref).collect();
        let keys = row.unwrap(subject, &nodes);
        keys.map(Some).ok_or_else(|| Error::damaged(format!("the key of subject {subject} is changed")))
    }

    /// Makes a new key for each of `subjects` and returns when all of them are on the disk: one sync. The caller has the
    /// turn, so that no bucket is being renewed.
    pub(crate) fn add(&self, subjects: &[Subject]) -> Result<Vec<(Subject, Keys)>, Error> {
        let mut made = Vec::with_capacity(subjects.len());
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        for &subject in subjects {
            let bucket = self.bucket(subject)?.read().now.clone();
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

    /// Copies the vault as it is now into the new directory `to`, still wrapped under the same master; the anchor too,
    /// where a place for it is given.
    pub(crate) fn copy_to(&self, to: &Path, anchor_to: Option<&Path>) -> Result<(), Error> {
        let root_file = to.join(ROOT_FILE);
        if root_file.exists() {
            return Err(Error::AlreadyHere { dir: to.to_path_buf() });
        }
        std::fs::create_dir_all(to).map_err(Error::io(format!("cannot make `{}`", to.display())))?;
        let (db, into) = open_db(to)?;
        // Keys and root of one instant: nothing is renewed meanwhile.
        let (snapshot, root, anchor) = {
            let _pass = self.pass.lock();
            let root = std::fs::read(&self.root_file).map_err(Error::io("cannot read the root key"))?;
            let keeper = self.keeper.lock();
            let from = keeper.master.anchor().zip(anchor_to);
            let anchor = from.map(|(from, to)| Ok::<_, Error>((Anchor::read(from)?, to))).transpose()?;
            (self.db.snapshot(), root, anchor)
        };
        for (from, into) in [&self.tree, &self.subjects, &self.erased].into_iter().zip(&into) {
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
        if let Some((anchor, to)) = anchor {
            let mut copy = Anchor { path: to.to_path_buf(), entries: Vec::new() };
            for (epoch, key) in anchor.entries {
                copy.add(epoch, key)?;
            }
        }
        write_file(&root_file, &root)
    }

    /// How far the database has counted; every batch counts as one.
    #[cfg(test)]
    pub(crate) fn n_batches(&self) -> u64 {
        self.db.seqno()
    }

    pub(crate) fn bucket(&self, subject: Subject) -> Result<&RwLock<Bucket>, Error> {
        self.bucket_at(bucket_of(subject))
    }

    pub(crate) fn bucket_at(&self, n: u16) -> Result<&RwLock<Bucket>, Error> {
        self.buckets.get(usize::from(n)).ok_or_else(|| Error::damaged("a bucket key is missing"))
    }

    pub(crate) fn row(&self, subject: Subject) -> Result<Option<Row>, Error> {
        let Some(bytes) = self.subjects.get(subject_key(subject))? else { return Ok(None) };
        let row = Row::decode(&bytes);
        row.map(Some).ok_or_else(|| Error::damaged(format!("the key row of subject {subject} is changed")))
    }
}

fn open_db(dir: &Path) -> Result<(Database, [Keyspace; 3]), Error> {
    const MIB: u64 = 1 << 20;
    let db = Database::builder(dir.join("db")).cache_size(16 * MIB).worker_threads(1).open()?;
    let tree = db.keyspace("tree", KeyspaceCreateOptions::default)?;
    let subjects =
        db.keyspace("subjects", || KeyspaceCreateOptions::default().max_memtable_size(16 * MIB))?;
    let erased = db.keyspace("erased", KeyspaceCreateOptions::default)?;
    Ok((db, [tree, subjects, erased]))
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
    fn a_secret_is_the_same_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::create(dir.path(), &master()).unwrap();
        let made = tree.secret("receipts").unwrap();
        assert_ne!(*made, *tree.secret("other").unwrap());
        drop(tree);
        let tree = Tree::open(dir.path(), &master()).unwrap();
        assert_eq!(*tree.secret("receipts").unwrap(), *made);
    }

    /// The stored formats stay readable for ever: these files were written by the first build.
    #[test]
    fn version_1_stays_readable() {
        let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/wire/v1"));
        let (root, bucket, key) =
            (Key::from_bytes([4; 32]), Key::from_bytes([5; 32]), Key::from_bytes([6; 32]));
        let id = 7_u16.to_be_bytes();
        if std::env::var_os("WRITE_WIRE_SAMPLE").is_some() {
            let wrapped = root.wrap(&bucket, &aad("bucket", &id, 3, 1)).unwrap();
            std::fs::write(dir.join("bucket.bin"), node_row(3, 1, &wrapped)).unwrap();
            let wrapped = bucket.wrap(&key, &aad("subject", subject(7).as_bytes(), 2, 3)).unwrap();
            let row = Row { current: 2, entries: vec![Entry { epoch: 2, bucket_epoch: 3, wrapped }] };
            std::fs::write(dir.join("subject.bin"), row.encode().unwrap()).unwrap();
        }
        let root = Node { epoch: 1, key: root };
        let stored = std::fs::read(dir.join("bucket.bin")).unwrap();
        assert_eq!(root_epoch_of(&stored), Some(1));
        let read = read_node(&root, "bucket", &id, &stored).unwrap();
        assert_eq!((read.epoch, read.key.bytes()), (3, bucket.bytes()));
        let row = Row::decode(&std::fs::read(dir.join("subject.bin")).unwrap()).unwrap();
        let keys = row.unwrap(subject(7), &[&read]).unwrap();
        assert_eq!((keys.current, keys.sealing().unwrap().1.bytes()), (2, key.bytes()));
    }
}
