//! The online state: rows per subject and view, kept as records are folded.

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
    row: Row,
}

impl Tables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self {
            open: Table::open(scope, "features"),
            personal: Table::sealed(scope, "features-personal"),
            row: Row::default(),
        }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.open, &mut self.personal]
    }
}

/// A subject's rows in one view: closed, [`Reader::at`](crate::Reader::at) opens them under a grant.
#[derive(Clone, Default)]
pub struct Held(Option<Arc<Rows>>);

impl Held {
    pub(crate) fn rows(&self) -> Option<&Rows> {
        self.0.as_deref()
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
        let table = if view.is_personal() { &self.personal } else { &self.open };
        table.peek(&key).map(Held)
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
            let inner = view.inner();
            if !inner.read_row(bound, &mut tables.row) {
                continue;
            }
            let row = tables.row.as_ref();
            let key = Key { subject: bound.record.subject, view: inner.id };
            let table = if inner.is_personal { &mut tables.personal } else { &mut tables.open };
            table.update(&key, |rows| rows.insert(row, &inner.plan))?;
        }
        Ok(())
    }
}
