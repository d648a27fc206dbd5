//! Destroying keys for good, and renewing those above them.
//!
//! Deleting a wrapped key destroys nothing: the database keeps the old bytes, and so does every backup. So the key
//! above is renewed, and what else it wrapped is wrapped anew; then the root above that, with its [anchor](crate::anchor).
//! The old bytes are then wrapped by keys that nobody has.
//!
//! Each step is durable before the next begins:
//!
//! 1. the intent: whose keys are to be destroyed;
//! 2. buckets, a few at a time: a new bucket key (wrapped by the root in use), the survivors' keys wrapped by it, the
//!    destroyed ones' rows without keys, and who was erased: one batch;
//! 3. the anchor file with the old and a new anchor;
//! 4. the root file with the old root and a new one;
//! 5. all buckets and secrets wrapped by the new root: one batch, from here on the new root is in use;
//! 6. the root file with the new root alone;
//! 7. the anchor file with the new anchor alone: from here on no copy of the old root opens;
//! 8. the intent goes.
//!
//! Cut off anywhere, the next opening sees by the root's epoch in the rows which root is in use, and by the intent what
//! is left to do. Readers are not stopped: a bucket's old and new key are both at hand while its rows change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use event::{Instant, RecordId, Subject};
use fjall::PersistMode;
use parking_lot::Mutex;

use crate::anchor::Anchor;
use crate::key::Key;
use crate::root::{RootFile, random_root};
use crate::row::{Bytes, FORMAT, Node, Row, aad, node_key, node_row, read_node};
use crate::tree::{Keeper, N_BUCKETS, Tree, bucket_of, subject_key};
use crate::{Error, Master};

/// Buckets that are renewed in one batch: whoever needs a key for a new subject waits for no more.
const CHUNK: usize = 16;
const INTENT: &str = "intent";

/// When keys were destroyed, by which act, and the newest epoch among them; 0 where there never was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The newest epoch that was destroyed.
    pub epoch: u32,
    /// When it was ordered.
    pub at: Instant,
    /// The act that ordered it.
    pub act: RecordId,
}

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Keys of subjects that were destroyed.
    pub n_destroyed: u64,
    /// Keys of others that were wrapped anew.
    pub n_rewrapped: u64,
    /// Bucket keys that were renewed.
    pub n_buckets: u32,
    /// The root that is in use.
    pub root_epoch: u32,
}

/// Whose keys are to be destroyed, why and when.
struct Intent {
    at: Instant,
    act: RecordId,
    subjects: BTreeSet<Subject>,
}

impl Intent {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.at.micros().to_le_bytes());
        out.extend_from_slice(self.act.as_bytes());
        self.subjects.iter().for_each(|subject| out.extend_from_slice(subject.as_bytes()));
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        if bytes.u8()? != FORMAT {
            return None;
        }
        let (at, act) = (Instant::from_micros(bytes.i64()?), RecordId::from_bytes(*bytes.array()?));
        let mut subjects = BTreeSet::new();
        while !bytes.0.is_empty() {
            subjects.insert(Subject::from_bytes(*bytes.array()?));
        }
        Some(Self { at, act, subjects })
    }
}

impl Erasure {
    fn encode(&self) -> Vec<u8> {
        let at = self.at.micros().to_le_bytes();
        [&[FORMAT], self.epoch.to_le_bytes().as_slice(), &at, self.act.as_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        if bytes.u8()? != FORMAT {
            return None;
        }
        let (epoch, at) = (bytes.u32()?, Instant::from_micros(bytes.i64()?));
        let act = RecordId::from_bytes(*bytes.array()?);
        bytes.0.is_empty().then_some(Self { epoch, at, act })
    }
}

impl Tree {
    /// Completes what was cut off when the vault was used last.
    pub(crate) fn complete(&self, file: &RootFile, anchor: Option<Anchor>) -> Result<(), Error> {
        let _pass = self.pass.lock();
        if let Some(row) = self.tree.get(INTENT)? {
            let intent = Intent::decode(&row);
            let intent = intent.ok_or_else(|| Error::damaged("the intent of an erasure is changed"))?;
            let (turn, nobody) = (Mutex::default(), |_: &[Subject]| {});
            self.destroy(&intent, &turn, &nobody)?;
            return Ok(());
        }
        let mut keeper = self.keeper.lock();
        let epoch = keeper.root.epoch;
        let of_root = file.entries.iter().find(|entry| entry.epoch == epoch);
        if keeper.master.anchor().is_some() && of_root.is_none_or(|entry| !entry.anchored) {
            // A vault of a build that knew no anchors.
            return self.renew_root(&mut keeper);
        }
        if file.entries.len() != 1 {
            RootFile::wrap(&keeper.master, anchor.as_ref(), &[&keeper.root])?.write(&self.root_file)?;
        }
        anchor.map_or(Ok(()), |mut anchor| anchor.keep(epoch))
    }

    /// Destroys the keys of `subjects` for good. Those whose keys are destroyed already, or who never had one, cost
    /// nothing; where nobody else is among them nothing is renewed.
    ///
    /// * `turn`: held while rows change, so that no new key is wrapped by a bucket key that is about to go
    /// * `forget`: told whose keys must go from memory, under the turn
    pub(crate) fn erase(
        &self,
        subjects: &[Subject],
        at: Instant,
        act: RecordId,
        turn: &Mutex<()>,
        forget: &dyn Fn(&[Subject]),
    ) -> Result<Renewed, Error> {
        let _pass = self.pass.lock();
        let mut intent = Intent { at, act, subjects: subjects.iter().copied().collect() };
        // What an earlier pass left when a disk failed is done along with it.
        if let Some(left) = self.tree.get(INTENT)?.as_deref().and_then(Intent::decode) {
            intent.subjects.extend(left.subjects);
        }
        let mut any = self.tree.get(INTENT)?.is_some();
        for subject in &intent.subjects {
            any |= self.row(*subject)?.is_some_and(|row| !row.entries.is_empty());
        }
        if !any {
            return self.note_keyless(&intent);
        }
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.tree, INTENT, intent.encode());
        batch.commit()?;
        self.step(1)?;
        self.destroy(&intent, turn, forget)
    }

    /// Renews the root and, if asked to, every bucket key; destroys nobody's.
    pub(crate) fn renew(&self, with_buckets: bool, turn: &Mutex<()>) -> Result<Renewed, Error> {
        let _pass = self.pass.lock();
        let mut done = Renewed::default();
        if with_buckets {
            let nobody = Intent { at: Instant::default(), act: no_act(), subjects: BTreeSet::new() };
            let all: Vec<u16> = (0..N_BUCKETS).collect();
            for chunk in all.chunks(CHUNK) {
                self.renew_buckets(chunk, &nobody, turn, &|_| {}, &mut done)?;
            }
        }
        let mut keeper = self.keeper.lock();
        self.renew_root(&mut keeper)?;
        done.root_epoch = keeper.root.epoch;
        Ok(done)
    }

    /// Wraps the root by another master key. One file is put in the place of another.
    pub(crate) fn change_master(&self, master: &Master) -> Result<(), Error> {
        let _pass = self.pass.lock();
        let mut keeper = self.keeper.lock();
        let mut master = master.twin();
        if let Some(anchor) = keeper.master.anchor() {
            master = master.anchored_at(anchor);
        }
        master.check_outside(&self.dir)?;
        let anchor = master.anchor().map(Anchor::read).transpose()?;
        RootFile::wrap(&master, anchor.as_ref(), &[&keeper.root])?.write(&self.root_file)?;
        keeper.master = master;
        Ok(())
    }

    /// The erasure of a subject, the latest if there were several.
    pub(crate) fn erasure_of(&self, subject: Subject) -> Result<Option<Erasure>, Error> {
        let Some(row) = self.erased.get(subject.as_bytes())? else { return Ok(None) };
        let erasure = Erasure::decode(&row);
        erasure
            .map(Some)
            .ok_or_else(|| Error::damaged(format!("the erasure of subject {subject} is changed")))
    }

    /// Visits every erasure, by subject.
    pub(crate) fn erasures(&self, mut visit: impl FnMut(Subject, Erasure)) -> Result<(), Error> {
        for guard in self.erased.iter() {
            let (key, row) = guard.into_inner()?;
            let subject = <[u8; 16]>::try_from(key.as_ref()).ok().map(Subject::from_bytes);
            let changed = || Error::damaged("the row of an erasure is changed");
            visit(subject.ok_or_else(changed)?, Erasure::decode(&row).ok_or_else(changed)?);
        }
        Ok(())
    }

    /// Visits every subject that ever had a key.
    pub(crate) fn each_subject(&self, mut visit: impl FnMut(Subject)) -> Result<(), Error> {
        for guard in self.subjects.iter() {
            let key = guard.key()?;
            if let Some(subject) = key.get(2..).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()) {
                visit(Subject::from_bytes(subject));
            }
        }
        Ok(())
    }

    /// Rewrites the database without what was overwritten or removed. Nothing depends on it: the old bytes are wrapped by
    /// keys that are gone.
    pub(crate) fn compact(&self) -> Result<(), Error> {
        for keyspace in [&self.subjects, &self.tree, &self.erased] {
            store::compact(keyspace)?;
        }
        Ok(())
    }

    /// Notes erasures of subjects that have no key (any more): when a backup is put back, it must be known of them too.
    fn note_keyless(&self, intent: &Intent) -> Result<Renewed, Error> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        for subject in &intent.subjects {
            let epoch = self.row(*subject)?.map_or(0, |row| row.current);
            let erasure = Erasure { epoch, at: intent.at, act: intent.act };
            batch.insert(&self.erased, subject.as_bytes().as_slice(), erasure.encode());
        }
        batch.commit()?;
        Ok(Renewed { root_epoch: self.keeper.lock().root.epoch, ..Renewed::default() })
    }

    fn destroy(
        &self,
        intent: &Intent,
        turn: &Mutex<()>,
        forget: &dyn Fn(&[Subject]),
    ) -> Result<Renewed, Error> {
        let mut done = Renewed::default();
        let mut buckets = BTreeSet::new();
        for subject in &intent.subjects {
            if self.row(*subject)?.is_some_and(|row| !row.entries.is_empty()) {
                buckets.insert(bucket_of(*subject));
            }
        }
        self.note_keyless(intent)?;
        let buckets: Vec<u16> = buckets.into_iter().collect();
        for chunk in buckets.chunks(CHUNK) {
            self.renew_buckets(chunk, intent, turn, forget, &mut done)?;
            self.step(2)?;
        }
        let mut keeper = self.keeper.lock();
        self.renew_root(&mut keeper)?;
        done.root_epoch = keeper.root.epoch;
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        batch.remove(&self.tree, INTENT);
        batch.commit()?;
        self.step(8)?;
        Ok(done)
    }

    fn renew_buckets(
        &self,
        numbers: &[u16],
        intent: &Intent,
        turn: &Mutex<()>,
        forget: &dyn Fn(&[Subject]),
        done: &mut Renewed,
    ) -> Result<(), Error> {
        let _turn = turn.lock();
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        let mut renewed: BTreeMap<u16, Arc<Node>> = BTreeMap::new();
        let mut gone = Vec::new();
        for &number in numbers {
            let now = self.bucket_at(number)?.read().now.clone();
            let next = Arc::new(Node { epoch: now.epoch + 1, key: Key::random()? });
            let id = number.to_be_bytes();
            for guard in self.subjects.prefix(id) {
                let (key, bytes) = guard.into_inner()?;
                let subject = key.get(2..).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
                let changed = || Error::damaged("the key row of a subject is changed");
                let subject = Subject::from_bytes(subject.ok_or_else(changed)?);
                let row = Row::decode(&bytes).ok_or_else(changed)?;
                if row.entries.is_empty() {
                    continue;
                }
                let row = if intent.subjects.contains(&subject) {
                    done.n_destroyed += row.entries.len() as u64;
                    gone.push(subject);
                    let erasure = Erasure { epoch: row.current, at: intent.at, act: intent.act };
                    batch.insert(&self.erased, subject.as_bytes().as_slice(), erasure.encode());
                    Row { current: row.current, entries: Vec::new() }
                } else {
                    let row = row.rewrap(subject, &now, &next)?;
                    let damaged = || Error::damaged(format!("the key of subject {subject} is changed"));
                    let row = row.ok_or_else(damaged)?;
                    done.n_rewrapped += row.entries.len() as u64;
                    row
                };
                batch.insert(&self.subjects, subject_key(subject).as_slice(), row.encode()?);
            }
            {
                let keeper = self.keeper.lock();
                let root = &keeper.root;
                let wrapped = root.key.wrap(&next.key, &aad("bucket", &id, next.epoch, root.epoch))?;
                batch.insert(&self.tree, node_key("bucket", &id), node_row(next.epoch, root.epoch, &wrapped));
            }
            renewed.insert(number, next);
        }
        for (number, next) in &renewed {
            self.bucket_at(*number)?.write().next = Some(next.clone());
        }
        let committed = batch.commit();
        for (number, next) in renewed {
            let mut bucket = self.bucket_at(number)?.write();
            bucket.next = None;
            if committed.is_ok() {
                bucket.now = next;
                done.n_buckets += 1;
            }
        }
        committed?;
        forget(&gone);
        Ok(())
    }

    /// A new root over all buckets and secrets, with a new anchor.
    fn renew_root(&self, keeper: &mut Keeper) -> Result<(), Error> {
        let mut anchor = keeper.master.anchor().map(Anchor::read).transpose()?;
        let new = random_root(keeper.root.epoch + 1)?;
        if let Some(anchor) = &mut anchor {
            anchor.add(new.epoch, Key::random()?)?;
        }
        self.step(3)?;
        RootFile::wrap(&keeper.master, anchor.as_ref(), &[&keeper.root, &new])?.write(&self.root_file)?;
        self.step(4)?;
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        let mut wrap = |kind: &str, id: &[u8], node: &Node| -> Result<(), Error> {
            let wrapped = new.key.wrap(&node.key, &aad(kind, id, node.epoch, new.epoch))?;
            batch.insert(&self.tree, node_key(kind, id), node_row(node.epoch, new.epoch, &wrapped));
            Ok(())
        };
        for (number, bucket) in (0_u16..).zip(&self.buckets) {
            let node = bucket.read().now.clone();
            wrap("bucket", &number.to_be_bytes(), &node)?;
        }
        for guard in self.tree.prefix("secret") {
            let (key, row) = guard.into_inner()?;
            let id = key.get("secret".len()..).unwrap_or_default();
            let node = read_node(&keeper.root, "secret", id, &row);
            wrap("secret", id, &node.ok_or_else(|| Error::damaged("a secret is changed"))?)?;
        }
        batch.commit()?;
        keeper.root = new;
        self.step(5)?;
        RootFile::wrap(&keeper.master, anchor.as_ref(), &[&keeper.root])?.write(&self.root_file)?;
        self.step(6)?;
        if let Some(anchor) = &mut anchor {
            anchor.keep(keeper.root.epoch)?;
        }
        self.step(7)
    }

    /// Where a test wants the process to die.
    fn step(&self, step: u32) -> Result<(), Error> {
        if self.stop_before.load(Ordering::Acquire) == step { Err(Error::CutOff { step }) } else { Ok(()) }
    }
}

fn no_act() -> RecordId {
    RecordId::from_bytes([0; 16])
}
