//! The online state: rows per subject and view, kept as records are folded. Full blocks of rows are entries of their own:
//! a commit writes the tail in which a new row lies, and a block only where it has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contract::Bound;
use event::Subject;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use store::{Emissions, Fold, Key as _, Scope, Stored, Table};

use crate::block::Block;
use crate::plan::Plan;
use crate::row::Row;
use crate::rows::{Blocks, Rows};
use crate::{View, Views};

/// Whose rows of which view. The view goes by the first half of its fingerprint: a changed definition finds
/// nothing under its key, never another definition's rows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    subject: Subject,
    view: u64,
}

impl store::Key for Key {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.subject.as_bytes());
        out.extend_from_slice(&self.view.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (subject, view) = bytes.split_first_chunk::<16>()?;
        Some(Self { subject: Subject::from_bytes(*subject), view: u64::from_be_bytes(view.try_into().ok()?) })
    }

    fn owner(&self) -> Option<Subject> {
        Some(self.subject)
    }
}

/// One full block of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct BlockKey {
    of: Key,
    number: u32,
}

impl store::Key for BlockKey {
    fn write(&self, out: &mut Vec<u8>) {
        self.of.write(out);
        out.extend_from_slice(&self.number.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (of, number) = bytes.split_at_checked(24)?;
        Some(Self { of: Key::read(of)?, number: u32::from_be_bytes(number.try_into().ok()?) })
    }

    fn owner(&self) -> Option<Subject> {
        Some(self.of.subject)
    }
}

/// A block that the rows it belongs to hold as well.
#[derive(Clone)]
struct Shared(Arc<Block>);

impl Serialize for Shared {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::new(Block::deserialize(d)?)))
    }
}

/// Rows and their blocks.
struct Kept {
    rows: Table<Key, Rows>,
    blocks: Table<BlockKey, Shared>,
    /// LAW 4: what is sealed may be there and open no more.
    is_sealed: bool,
}

/// The blocks of one subject and view.
struct Own<'t> {
    of: Key,
    blocks: &'t mut Table<BlockKey, Shared>,
    is_sealed: bool,
}

/// A block that is not there: nobody may read it any more, or the state is broken.
fn gone(is_sealed: bool) -> Result<Option<Arc<Block>>, store::Error> {
    if is_sealed {
        return Ok(None);
    }
    Err(store::Error::Corrupt {
        table: "feature-blocks".to_owned(),
        reason: "a block of a subject's rows is missing".to_owned(),
    })
}

impl Blocks for Own<'_> {
    fn load(&mut self, number: u32) -> Result<Option<Arc<Block>>, store::Error> {
        match self.blocks.get(&BlockKey { of: self.of, number })? {
            Some(shared) => Ok(Some(shared.0.clone())),
            None => gone(self.is_sealed),
        }
    }

    fn put(&mut self, number: u32, block: Arc<Block>) {
        self.blocks.put(BlockKey { of: self.of, number }, Shared(block));
    }

    fn remove(&mut self, number: u32) {
        self.blocks.remove(&BlockKey { of: self.of, number });
    }
}

/// The same for a reader, who changes nothing.
struct Seen<'t> {
    of: Key,
    kept: &'t Kept,
}

impl Blocks for Seen<'_> {
    fn load(&mut self, number: u32) -> Result<Option<Arc<Block>>, store::Error> {
        match self.kept.blocks.peek(&BlockKey { of: self.of, number })? {
            Some(shared) => Ok(Some(shared.0.clone())),
            None => gone(self.kept.is_sealed),
        }
    }

    fn put(&mut self, _: u32, _: Arc<Block>) {}

    fn remove(&mut self, _: u32) {}
}

impl Kept {
    fn open(scope: &Scope) -> Self {
        let (rows, blocks) = (Table::open(scope, "feature-rows"), Table::open(scope, "feature-blocks"));
        Self { rows, blocks, is_sealed: false }
    }

    fn sealed(scope: &Scope) -> Self {
        let rows = Table::sealed(scope, "feature-rows-personal");
        Self { rows, blocks: Table::sealed(scope, "feature-blocks-personal"), is_sealed: true }
    }

    fn insert(&mut self, key: Key, row: &Row, plan: &Plan) -> Result<(), store::Error> {
        let Self { rows, blocks, is_sealed } = self;
        let mut own = Own { of: key, blocks, is_sealed: *is_sealed };
        if rows.update(&key, |rows| rows.insert(row.as_ref(), plan, &mut own))?? {
            return Ok(());
        }
        // What is left of somebody whose key is gone: as if there had been nothing.
        self.forget(key)?;
        self.insert(key, row, plan)
    }

    fn peek(&self, key: Key) -> Result<Option<Arc<Rows>>, store::Error> {
        let Some(rows) = self.rows.peek(&key)? else { return Ok(None) };
        Ok(rows.complete(&mut Seen { of: key, kept: self })?.then_some(rows))
    }

    /// Also where it no longer opens: its bytes may be there.
    fn forget(&mut self, key: Key) -> Result<bool, store::Error> {
        let is_there = self.rows.get(&key)?.is_some();
        self.rows.remove(&key);
        let mut start = Vec::new();
        key.write(&mut start);
        for block in self.blocks.keys_from(&start)? {
            self.blocks.remove(&block);
        }
        Ok(is_there)
    }

    fn forget_others(&mut self, known: &BTreeSet<u64>) -> Result<(), store::Error> {
        for key in self.rows.keys_from(&[])?.into_iter().filter(|key| !known.contains(&key.view)) {
            self.rows.remove(&key);
        }
        for key in self.blocks.keys_from(&[])?.into_iter().filter(|key| !known.contains(&key.of.view)) {
            self.blocks.remove(&key);
        }
        Ok(())
    }
}

/// The rows of one partition's subjects.
pub struct Tables {
    open: Kept,
    /// LAW 4: rows of views that personal fields go into.
    personal: Kept,
    /// Views that are being filled from the journal, and the position up to which they are. Empty once all are: a
    /// filled state is the same as one folded from the start (LAW 2).
    filling: Table<u64, u64>,
    /// The same at hand; an error where it could not be read.
    to_fill: Result<BTreeMap<u64, u64>, store::Error>,
    row: Row,
}

impl Tables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        let filling: Table<u64, u64> = Table::partial(scope, "features-filling");
        let mut found = BTreeMap::new();
        let read = filling.scan(|view, position| {
            found.insert(*view, *position);
        });
        Self {
            open: Kept::open(scope),
            personal: Kept::sealed(scope),
            to_fill: read.map(|()| found),
            filling,
            row: Row::default(),
        }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        let Self { open, personal, filling, .. } = self;
        vec![&mut open.rows, &mut open.blocks, &mut personal.rows, &mut personal.blocks, filling]
    }

    fn kept(&mut self, view: &View) -> &mut Kept {
        if view.is_personal() { &mut self.personal } else { &mut self.open }
    }

    /// Views that are not filled yet, each with the position up to which it is.
    ///
    /// # Errors
    /// [`store::Error`] where that could not be read.
    pub(crate) fn filling(&self) -> Result<&BTreeMap<u64, u64>, store::Error> {
        self.to_fill.as_ref().map_err(|error| store::Error::Corrupt {
            table: "features-filling".to_owned(),
            reason: error.to_string(),
        })
    }

    /// Up to which position a view is filled; `None` where it is where the others are.
    ///
    /// # Errors
    /// [`store::Error`] where that could not be read.
    pub fn filled_to(&self, view: &View) -> Result<Option<u64>, store::Error> {
        Ok(self.filling()?.get(&view.inner().id).copied())
    }

    /// From now on `view` is no longer folded, until [`Tables::fill`] has brought it to where the others are. One that
    /// is being filled already goes on from where it is.
    ///
    /// # Errors
    /// [`store::Error`]
    pub fn begin_filling(&mut self, view: &View) -> Result<(), store::Error> {
        self.filling()?;
        let id = view.inner().id;
        if let Ok(to_fill) = &mut self.to_fill
            && !to_fill.contains_key(&id)
        {
            to_fill.insert(id, 0);
            self.filling.put(id, 0);
        }
        Ok(())
    }

    /// Folds a record of the past into one view that is being filled.
    ///
    /// # Errors
    /// [`store::Error`]
    pub fn fill(&mut self, view: &View, bound: &Bound<'_>) -> Result<(), store::Error> {
        self.add(view, bound)
    }

    /// Notes that a view is filled up to `position`; `None`: it is where the others are and is folded on with them.
    ///
    /// # Errors
    /// [`store::Error`]
    pub fn filled(&mut self, view: &View, position: Option<u64>) -> Result<(), store::Error> {
        self.filling()?;
        let id = view.inner().id;
        if let Ok(to_fill) = &mut self.to_fill {
            match position {
                Some(position) => {
                    to_fill.insert(id, position);
                    self.filling.put(id, position);
                }
                None => {
                    to_fill.remove(&id);
                    self.filling.remove(&id);
                }
            }
        }
        Ok(())
    }

    /// Drops the rows of views that are none of `views`.
    ///
    /// # Errors
    /// [`store::Error`]
    pub fn forget_others(&mut self, views: &Views) -> Result<(), store::Error> {
        let known: BTreeSet<u64> = views.iter().map(|view| view.inner().id).collect();
        self.open.forget_others(&known)?;
        self.personal.forget_others(&known)?;
        let unknown: Vec<u64> =
            self.filling()?.keys().filter(|view| !known.contains(view)).copied().collect();
        for view in unknown {
            self.filling.remove(&view);
            if let Ok(to_fill) = &mut self.to_fill {
                to_fill.remove(&view);
            }
        }
        Ok(())
    }

    /// Forgets a subject's rows (LAW 4). Returns how many were removed.
    ///
    /// # Errors
    /// [`store::Error`]
    pub fn forget(&mut self, subject: Subject, views: &Views) -> Result<u64, store::Error> {
        let mut n_rows = 0;
        for view in views.iter() {
            n_rows += u64::from(self.kept(view).forget(Key { subject, view: view.inner().id })?);
        }
        Ok(n_rows)
    }

    fn add(&mut self, view: &View, bound: &Bound<'_>) -> Result<(), store::Error> {
        let inner = view.inner();
        let mut row = std::mem::take(&mut self.row);
        if inner.read_row(bound, &mut row) {
            let key = Key { subject: bound.record.subject, view: inner.id };
            self.kept(view).insert(key, &row, &inner.plan)?;
        }
        self.row = row;
        Ok(())
    }
}

/// A subject's rows in one view: closed, [`Reader::at`](crate::Reader::at) opens them under a grant.
#[derive(Clone, Default)]
pub struct Held {
    rows: Option<Arc<Rows>>,
    is_filling: bool,
}

impl Held {
    pub(crate) fn rows(&self) -> Option<&Rows> {
        self.rows.as_deref()
    }

    /// True where the rows are not complete yet.
    pub(crate) fn is_filling(&self) -> bool {
        self.is_filling
    }
}

/// Where the rows of subjects lie; the house has one that finds the right partition.
pub trait Shelf {
    /// The subject's rows in a view.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    fn held(&self, view: &View, subject: Subject) -> Result<Held, store::Error>;
}

impl Shelf for Tables {
    fn held(&self, view: &View, subject: Subject) -> Result<Held, store::Error> {
        let key = Key { subject, view: view.inner().id };
        if self.filling()?.contains_key(&key.view) {
            return Ok(Held { rows: None, is_filling: true });
        }
        let kept = if view.is_personal() { &self.personal } else { &self.open };
        Ok(Held { rows: kept.peek(key)?, is_filling: false })
    }
}

/// Keeps the rows of all views.
pub struct FeatureFold {
    views: Views,
}

impl FeatureFold {
    /// Folds for `views`. Where their [fingerprint](Views::fingerprint) has changed, the state is to be built anew.
    pub fn new(views: Views) -> Self {
        Self { views }
    }

    /// The views.
    pub fn views(&self) -> &Views {
        &self.views
    }
}

impl<'a> Fold<Bound<'a>> for FeatureFold {
    type Tables = Tables;

    fn fold(&self, tables: &mut Tables, bound: &Bound<'a>, _: &mut Emissions) -> Result<(), store::Error> {
        for view in self.views.of_stream(&bound.record.stream) {
            let filling = tables.filling()?;
            if filling.is_empty() || !filling.contains_key(&view.inner().id) {
                tables.add(view, bound)?;
            }
        }
        Ok(())
    }
}
