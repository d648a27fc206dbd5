//! Training reads: the values of many profiles, each as of its own instant, as they would have been served then.
//!
//! The rows come from the journal and none is given up. They are read by the same evaluation as online (LAW 5),
//! so a value that was not known at its label's instant cannot enter.

use std::num::NonZeroUsize;

use event::{Instant, Subject};
use policy::{Action, Grant};
use rustc_hash::FxHashMap;

use crate::evaluate::Evaluator;
use crate::plan::Plan;
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
    plan: Plan,
    rows: FxHashMap<Subject, Rows>,
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
        Self { view: view.clone(), plan: view.inner().plan.keeping_all(), rows: FxHashMap::default() }
    }

    /// Takes in a row of `subject`, in any order; a record that was there is not counted twice.
    pub fn add(&mut self, subject: Subject, row: &Row) {
        self.rows.entry(subject).or_default().insert(row.as_ref(), &self.plan);
    }

    /// The rows, ready to be read.
    pub fn finish(self) -> AsOf {
        AsOf { view: self.view, shards: vec![self.rows] }
    }
}

impl AsOf {
    /// Groups rows by subject, on `n_threads` threads.
    ///
    /// # Errors
    /// [`Error::Worker`] where a thread ends unexpectedly.
    pub fn build(
        view: &View,
        rows: impl IntoIterator<Item = (Subject, Row)>,
        n_threads: NonZeroUsize,
    ) -> Result<Self, Error> {
        let n = n_threads.get();
        if n == 1 {
            let mut builder = Builder::new(view);
            rows.into_iter().for_each(|(subject, row)| builder.add(subject, &row));
            return Ok(builder.finish());
        }
        let rows: Vec<(Subject, Row)> = rows.into_iter().collect();
        let rows = rows.as_slice();
        let build = |shard: usize| {
            let mut builder = Builder::new(view);
            let own = rows.iter().filter(|(subject, _)| shard_of(subject, n) == shard);
            own.for_each(|(subject, row)| builder.add(*subject, row));
            builder.rows
        };
        let build = &build;
        let shards = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..n).map(|shard| scope.spawn(move || build(shard))).collect();
            let shards = workers.into_iter().map(|worker| worker.join().map_err(|_| Error::Worker));
            shards.collect::<Result<_, _>>()
        })?;
        Ok(Self { view: view.clone(), shards })
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
        check_purpose(grant, &self.view)?;
        let chunk = labels.len().div_ceil(n_threads.get()).max(1);
        let parts = std::thread::scope(|scope| {
            let part = |labels| move || self.part(grant, labels);
            let mut chunks = labels.chunks(chunk);
            let first = chunks.next().unwrap_or_default();
            let workers: Vec<_> = chunks.map(|labels| scope.spawn(part(labels))).collect();
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

    fn part(&self, grant: &Grant, labels: &[Label<'_>]) -> Result<Vec<Column>, Error> {
        let features = self.view.features();
        let mut columns: Vec<Column> = features.iter().map(|f| Column::new(f.kind(), labels.len())).collect();
        let mut evaluator = Evaluator::new(self.view.inner());
        let mut rows: Vec<&Rows> = Vec::new();
        for label in labels {
            rows.clear();
            for (i, member) in label.members.iter().enumerate() {
                // LAW 3: every member, or none.
                grant.require(&ACTIONS, *member)?;
                if !label.members.iter().take(i).any(|earlier| earlier == member) {
                    rows.extend(self.rows(member));
                }
            }
            let values = evaluator.values(&rows, label.at.micros());
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
