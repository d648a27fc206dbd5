//! The online state: rows per subject and view, kept as records are folded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contract::Bound;
use event::Subject;
use store::{Emissions, Fold, Scope, Stored, Table};

use crate::rows::Rows;
use crate::{Row, View, Views};

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

/// The rows of one partition's subjects.
pub struct Tables {
    open: Table<Key, Rows>,
    /// LAW 4: rows of views that personal fields go into.
    personal: Table<Key, Rows>,
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
            open: Table::open(scope, "features"),
            personal: Table::sealed(scope, "features-personal"),
            to_fill: read.map(|()| found),
            filling,
            row: Row::default(),
        }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.open, &mut self.personal, &mut self.filling]
    }

    fn table(&mut self, view: &View) -> &mut Table<Key, Rows> {
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
        for table in [&mut self.open, &mut self.personal] {
            let mut gone = Vec::new();
            table.scan(|key, _| {
                if !known.contains(&key.view) {
                    gone.push(*key);
                }
            })?;
            gone.iter().for_each(|key| table.remove(key));
        }
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
            let key = Key { subject, view: view.inner().id };
            let table = self.table(view);
            n_rows += u64::from(table.get(&key)?.is_some());
            // Also where it no longer opens: its bytes may be there.
            table.remove(&key);
        }
        Ok(n_rows)
    }

    fn add(&mut self, view: &View, bound: &Bound<'_>) -> Result<(), store::Error> {
        let inner = view.inner();
        let mut row = std::mem::take(&mut self.row);
        if inner.read_row(bound, &mut row) {
            let key = Key { subject: bound.record.subject, view: inner.id };
            self.table(view).update(&key, |rows| rows.insert(row.as_ref(), &inner.plan))?;
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
        let table = if view.is_personal() { &self.personal } else { &self.open };
        Ok(Held { rows: table.peek(&key)?, is_filling: false })
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
