//! Training reads: the values of many profiles, each as of its own instant, as they would have been served then.
//!
//! The rows come from the journal and none is given up. They are read by the same evaluation as online (LAW 5),
//! so a value that was not known at its label's instant cannot enter.

use std::num::NonZeroUsize;

use event::{Instant, Subject};
use policy::{Action, Grant};
use rustc_hash::FxHashMap;

use crate::block::{Block, RowRef};
use crate::context::Context;
use crate::evaluate::Evaluator;
use crate::reader::{check_purpose, too_far_back};
use crate::rows::Rows;
use crate::value::{Kind, Value};
use crate::{Error, Row, View};

const ACTIONS: [Action; 2] = [Action::Train, Action::Export];

/// All rows of a view, by subject.
pub struct AsOf {
    view: View,
    /// By the subject's last byte.
    shards: Vec<FxHashMap<Subject, Rows>>,
}

/// Takes rows one by one, as a scan of the journal finds them.
pub struct Builder {
    view: View,
    entries: Vec<Entry>,
    /// The cells of all rows, one after the other.
    cells: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Entry {
    subject: Subject,
    occurred: i64,
    known: i64,
    id: u64,
    mask: u64,
    start: usize,
    len: u32,
}

/// One line of a training set: a profile and an instant.
#[derive(Clone, Copy, Debug)]
pub struct Label<'m> {
    /// The profile's members as they were known at `at`: what was linked later does not count.
    pub members: &'m [Subject],
    /// The instant.
    pub at: Instant,
}

impl Builder {
    /// No rows yet.
    pub fn new(view: &View) -> Self {
        Self { view: view.clone(), entries: Vec::new(), cells: Vec::new() }
    }

    /// The view.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Takes in a row of `subject`, in any order.
    pub fn add(&mut self, subject: Subject, row: &Row) {
        let RowRef { occurred, known, id, mask, cells } = row.as_ref();
        let (start, len) = (self.cells.len(), u32::try_from(cells.len()).unwrap_or_default());
        self.cells.extend_from_slice(cells);
        self.entries.push(Entry { subject, occurred, known, id, mask, start, len });
    }

    /// The rows grouped by subject, on `n_threads` threads. A record that came twice is one row, as online.
    ///
    /// # Errors
    /// [`Error::Worker`] where a thread ends unexpectedly.
    pub fn finish(self, n_threads: NonZeroUsize) -> Result<AsOf, Error> {
        let n = n_threads.get();
        let group = |shard: usize| self.group(shard, n);
        let shards = std::thread::scope(|scope| {
            let others: Vec<_> = (1..n).map(|shard| scope.spawn(move || group(shard))).collect();
            let first = std::iter::once(Ok(group(0)));
            let others = others.into_iter().map(|worker| worker.join().map_err(|_| Error::Worker));
            first.chain(others).collect::<Result<_, _>>()
        })?;
        Ok(AsOf { view: self.view, shards })
    }

    /// The subjects of one shard with their rows.
    fn group(&self, shard: usize, n_shards: usize) -> FxHashMap<Subject, Rows> {
        let plan = self.view.inner().plan.keeping_all();
        // Pseudonyms are spread evenly: 256 heaps by their first byte are each small enough to be sorted fast.
        let mut heaps: Vec<Vec<u32>> = vec![Vec::new(); 256];
        for (i, entry) in (0_u32..).zip(&self.entries) {
            if shard_of(&entry.subject, n_shards) == shard {
                let [first, ..] = *entry.subject.as_bytes();
                if let Some(heap) = heaps.get_mut(usize::from(first)) {
                    heap.push(i);
                }
            }
        }
        let mut out = FxHashMap::default();
        let (mut rows, mut scratch) = (Vec::new(), Block::default());
        for heap in heaps {
            rows.clear();
            rows.extend(heap.iter().filter_map(|i| Some((*i, self.entries.get(*i as usize)?))));
            rows.sort_unstable_by_key(|(i, e)| (e.subject, e.occurred, e.id, e.known, *i));
            for own in rows.chunk_by(|(_, a), (_, b)| a.subject == b.subject) {
                let Some((_, first)) = own.first() else { continue };
                // Of two deliveries of one record the one that was known first is the row.
                let own = own.chunk_by(|(_, a), (_, b)| a.occurred == b.occurred && a.id == b.id);
                let own = own.filter_map(|same| Some(self.row(same.first()?.1)));
                out.insert(first.subject, Rows::from_sorted(own, &plan, &mut scratch));
            }
        }
        out
    }

    fn row(&self, entry: &Entry) -> RowRef<'_> {
        let Entry { occurred, known, id, mask, start, len, .. } = *entry;
        let cells = self.cells.get(start..start + len as usize).unwrap_or_default();
        RowRef { occurred, known, id, mask, cells }
    }
}

impl AsOf {
    /// Groups rows by subject, on `n_threads` threads.
    ///
    /// # Errors
    /// As [`Builder::finish`].
    pub fn build(
        view: &View,
        rows: impl IntoIterator<Item = (Subject, Row)>,
        n_threads: NonZeroUsize,
    ) -> Result<Self, Error> {
        let mut builder = Builder::new(view);
        let rows = rows.into_iter();
        builder.entries.reserve(rows.size_hint().0);
        rows.for_each(|(subject, row)| builder.add(subject, &row));
        builder.finish(n_threads)
    }

    /// The view.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The view's values for each label, on `n_threads` threads.
    ///
    /// # Errors
    /// [`Error::Purpose`] where the view is not made for the grant's purpose; [`Error::Denied`] where the grant is
    /// for another action or does not cover a member of a label.
    pub fn values(
        &self,
        grant: &Grant,
        labels: &[Label<'_>],
        n_threads: NonZeroUsize,
    ) -> Result<Matrix, Error> {
        self.values_with(grant, labels, &[], n_threads)
    }

    /// As [`AsOf::values`], with what each label's request would have said; fewer: the rest said nothing.
    ///
    /// # Errors
    /// As [`AsOf::values`].
    pub fn values_with(
        &self,
        grant: &Grant,
        labels: &[Label<'_>],
        contexts: &[Context],
        n_threads: NonZeroUsize,
    ) -> Result<Matrix, Error> {
        check_purpose(grant, &self.view)?;
        // LAW 3: every member, or none. Sorted, because a million searches side by side are fast.
        let mut members: Vec<Subject> = labels.iter().flat_map(|label| label.members).copied().collect();
        members.sort_unstable();
        members.dedup();
        members.iter().try_for_each(|member| grant.require(&ACTIONS, *member))?;
        let chunk = labels.len().div_ceil(n_threads.get()).max(1);
        let parts = std::thread::scope(|scope| {
            let part = |(labels, said)| move || self.part(labels, said);
            let said = contexts.chunks(chunk).chain(std::iter::repeat(&[][..]));
            let mut chunks = labels.chunks(chunk).zip(said);
            let first = chunks.next().unwrap_or_default();
            let workers: Vec<_> = chunks.map(|chunk| scope.spawn(part(chunk))).collect();
            let first = part(first)();
            let others = workers.into_iter().map(|worker| worker.join().map_err(|_| Error::Worker)?);
            std::iter::once(first).chain(others).collect::<Result<Vec<_>, Error>>()
        })?;
        let mut parts = parts.into_iter();
        let mut all = parts.next().unwrap_or_default();
        for part in parts {
            all.iter_mut().zip(part).for_each(|(column, more)| column.append(more));
        }
        Ok(Matrix { view: self.view.clone(), n_rows: labels.len(), columns: all })
    }

    fn part(&self, labels: &[Label<'_>], contexts: &[Context]) -> Result<Vec<Column>, Error> {
        let features = self.view.features();
        let mut columns: Vec<Column> = features.iter().map(|f| Column::new(f.kind(), labels.len())).collect();
        let evaluator = Evaluator::new(self.view.inner());
        let mut rows: Vec<&Rows> = Vec::new();
        for (i, label) in labels.iter().enumerate() {
            let said = contexts.get(i).map(|context| self.view.said_then(context)).unwrap_or_default();
            rows.clear();
            for (i, member) in label.members.iter().enumerate() {
                if !label.members.iter().take(i).any(|earlier| earlier == member) {
                    rows.extend(self.rows(member));
                }
            }
            let values = evaluator.values(&rows, label.at.micros(), &said);
            let values = values.map_err(|since| too_far_back(&self.view, label.at, since))?;
            columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
        }
        Ok(columns)
    }

    fn rows(&self, subject: &Subject) -> Option<&Rows> {
        self.shards.get(shard_of(subject, self.shards.len()))?.get(subject)
    }
}

fn shard_of(subject: &Subject, n_shards: usize) -> usize {
    let [.., last] = *subject.as_bytes();
    usize::from(last) % n_shards.max(1)
}

/// Values of a view for many labels: one column per feature, one row per label.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    view: View,
    n_rows: usize,
    columns: Vec<Column>,
}

/// One feature's values; `None` is missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Whole numbers.
    Integer(Vec<Option<i64>>),
    /// Numbers.
    Number(Vec<Option<f64>>),
    /// Texts.
    Text(Vec<Option<std::sync::Arc<str>>>),
    /// True or false.
    Boolean(Vec<Option<bool>>),
}

impl Matrix {
    /// The view.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// How many labels there are.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The columns, in the order of the view's features.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of a feature.
    pub fn column(&self, name: &str) -> Option<&Column> {
        let at = self.view.features().iter().position(|feature| feature.name() == name)?;
        self.columns.get(at)
    }
}

impl Column {
    fn new(kind: Kind, n_rows: usize) -> Self {
        match kind {
            Kind::Integer => Self::Integer(Vec::with_capacity(n_rows)),
            Kind::Number => Self::Number(Vec::with_capacity(n_rows)),
            Kind::Text => Self::Text(Vec::with_capacity(n_rows)),
            Kind::Boolean => Self::Boolean(Vec::with_capacity(n_rows)),
        }
    }

    /// Values are of their feature's kind: another one could only be missing.
    fn push(&mut self, value: Value) {
        match (self, value) {
            (Self::Integer(column), Value::Integer(n)) => column.push(Some(n)),
            (Self::Integer(column), _) => column.push(None),
            (Self::Number(column), value) => column.push(value.as_number()),
            (Self::Text(column), Value::Text(text)) => column.push(Some(text)),
            (Self::Text(column), _) => column.push(None),
            (Self::Boolean(column), Value::Boolean(truth)) => column.push(Some(truth)),
            (Self::Boolean(column), _) => column.push(None),
        }
    }

    fn append(&mut self, more: Self) {
        match (self, more) {
            (Self::Integer(column), Self::Integer(more)) => column.extend(more),
            (Self::Number(column), Self::Number(more)) => column.extend(more),
            (Self::Text(column), Self::Text(more)) => column.extend(more),
            (Self::Boolean(column), Self::Boolean(more)) => column.extend(more),
            _ => {}
        }
    }

    /// How many values there are, missing ones included.
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(column) => column.len(),
            Self::Number(column) => column.len(),
            Self::Text(column) => column.len(),
            Self::Boolean(column) => column.len(),
        }
    }

    /// True where there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a label; missing where there is no such label.
    pub fn value(&self, row: usize) -> Value {
        let value = match self {
            Self::Integer(column) => column.get(row).copied().flatten().map(Value::Integer),
            Self::Number(column) => column.get(row).copied().flatten().map(Value::Number),
            Self::Text(column) => column.get(row).cloned().flatten().map(Value::Text),
            Self::Boolean(column) => column.get(row).copied().flatten().map(Value::Boolean),
        };
        value.unwrap_or_default()
    }

    /// The values as numbers, NaN where missing; `None` for texts.
    pub fn numbers(&self) -> Option<Vec<f64>> {
        let missing = f64::NAN;
        Some(match self {
            Self::Integer(column) => column.iter().map(|n| n.map_or(missing, |n| n as f64)).collect(),
            Self::Number(column) => column.iter().map(|n| n.unwrap_or(missing)).collect(),
            Self::Boolean(column) => {
                column.iter().map(|t| t.map_or(missing, |t| f64::from(u8::from(t)))).collect()
            }
            Self::Text(_) => return None,
        })
    }
}
