//! What a feature is made from: the fields it reads, and the rows that go into its value at an instant.
//!
//! Lineage asks here, so that what it says follows from what evaluation does and not from a second reading of the file.

use std::collections::{BTreeMap, BTreeSet};

use event::{Instant, Subject};
use policy::Grant;

use crate::Error;
use crate::acc::take_cells;
use crate::context::{Context, SEGMENT};
use crate::evaluate::Evaluator;
use crate::filter::{Expr, Filter};
use crate::plan::{Op, Slot};
use crate::reader::{ACTIONS, check_purpose, too_far_back};
use crate::row::Row;
use crate::rows::Rows;
use crate::value::Values;
use crate::view::{Formula, Inner, View};

/// How a feature uses a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Its values go into the feature.
    Value,
    /// It decides which records count.
    Filter,
}

/// A field that a feature reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldRead {
    /// The field's path in bound records: `total`, `customer.city`.
    pub field: String,
    /// How it is used.
    pub used: Use,
}

/// What one feature is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Its fields, each use once, sorted.
    pub fields: Vec<FieldRead>,
    /// Features of the same view that it is computed from (a ratio's two).
    pub features: Vec<String>,
    /// What it takes of the request.
    pub context: Vec<String>,
    /// Segments it asks for.
    pub segments: Vec<String>,
    /// True where a value of the field comes out as it went in (first, last, min, max): nothing is summed up.
    pub keeps_values: bool,
}

impl View {
    /// What a feature is made from; `None` where the view has no such feature.
    pub fn reads(&self, feature: &str) -> Option<Reads> {
        let inner = self.inner();
        let at = inner.features.iter().position(|known| known.name == feature)?;
        let mut fields = BTreeSet::new();
        let mut reads = Reads::default();
        for slot in slots(inner, at) {
            if let Some(column) = slot.column.and_then(|column| inner.columns.get(column)) {
                fields.insert(FieldRead { field: column.path.text(), used: Use::Value });
            }
            let filter = slot.filter.and_then(|bit| inner.filters.get(bit as usize));
            if let Some(filter) = filter {
                let mut names = Vec::new();
                fields_of(filter, &mut names);
                fields.extend(names.into_iter().map(|field| FieldRead { field, used: Use::Filter }));
            }
            reads.keeps_values = matches!(slot.op, Op::First | Op::Last | Op::Min | Op::Max);
        }
        if let Some(Formula::Ratio { numerator, denominator }) = inner.formulas.get(at) {
            let named = [*numerator, *denominator].into_iter().filter_map(|i| inner.features.get(i));
            reads.features = named.map(|feature| feature.name.clone()).collect();
            reads.keeps_values = false;
        }
        if let Some(Formula::Expr { expr, .. }) = inner.formulas.get(at) {
            for (slot, name) in expr.names() {
                let n_features = inner.features.len();
                let (list, name) = match name.strip_prefix(SEGMENT) {
                    _ if slot < n_features => (&mut reads.features, name),
                    Some(segment) if slot >= n_features + inner.context.len() => {
                        (&mut reads.segments, segment)
                    }
                    _ => (&mut reads.context, name),
                };
                list.push(name.to_owned());
            }
            reads.keeps_values = false;
        }
        reads.fields = fields.into_iter().collect();
        Some(reads)
    }

    /// True where `row` goes into the feature's value at `at`: known and past by then, in its window, through its
    /// filter, with a value where it needs one. Evaluation takes exactly these rows.
    pub fn takes(&self, feature: &str, row: &Row, at: Instant) -> bool {
        let inner = self.inner();
        let Some(place) = inner.features.iter().position(|known| known.name == feature) else { return false };
        if row.known_at() > at || row.occurred_at() > at {
            return false;
        }
        let (row, mut cells) = (row.as_ref(), Vec::new());
        take_cells(&inner.plan, &row, &mut cells);
        let is_there = |column: usize| cells.get(column).is_some_and(Option::is_some);
        slots(inner, place).into_iter().any(|slot| {
            slot.takes(row.mask) && row.occurred > slot.lower(at.micros()) && slot.column.is_none_or(is_there)
        })
    }
}

impl View {
    /// The view's values at `at` over these rows and no others: the proof that a list of records is the whole of what a
    /// value was made from. The same evaluation as everywhere (LAW 5).
    ///
    /// # Errors
    /// As [`Reader::at`](crate::Reader::at).
    pub fn values_of(&self, grant: &Grant, rows: &[(Subject, Row)], at: Instant) -> Result<Values, Error> {
        self.values_of_with(grant, rows, at, &Context::default())
    }

    /// As [`View::values_of`], with what the request said.
    ///
    /// # Errors
    /// As [`Reader::at`](crate::Reader::at).
    pub fn values_of_with(
        &self,
        grant: &Grant,
        rows: &[(Subject, Row)],
        at: Instant,
        context: &Context,
    ) -> Result<Values, Error> {
        check_purpose(grant, self)?;
        let said = self.said(context)?;
        let plan = self.inner().plan.keeping_all();
        let mut by_subject: BTreeMap<Subject, Rows> = BTreeMap::new();
        for (subject, row) in rows {
            grant.require(&ACTIONS, *subject)?;
            by_subject.entry(*subject).or_default().add(row.as_ref(), &plan);
        }
        let rows: Vec<&Rows> = by_subject.values().collect();
        let values = Evaluator::new(self.inner()).values(&rows, at.micros(), &said);
        values.map(|values| Values::new(self.clone(), values)).map_err(|since| too_far_back(self, at, since))
    }
}

/// The accumulations behind a feature: one, or those of a ratio's two.
fn slots(inner: &Inner, at: usize) -> Vec<&Slot> {
    let one = |at: usize| match inner.formulas.get(at) {
        Some(Formula::Of { slot, .. }) => inner.plan.slots.get(*slot),
        _ => None,
    };
    match inner.formulas.get(at) {
        Some(Formula::Of { .. }) => one(at).into_iter().collect(),
        Some(Formula::Ratio { numerator, denominator }) => {
            [*numerator, *denominator].into_iter().filter_map(one).collect()
        }
        // A feature computed on demand looks at features that come before it in the order of computation.
        Some(Formula::Expr { reads, .. }) => {
            reads.iter().filter(|read| **read != at).flat_map(|read| slots(inner, *read)).collect()
        }
        None => Vec::new(),
    }
}

fn fields_of(filter: &Filter, out: &mut Vec<String>) {
    match filter {
        Expr::Compare { field, .. } | Expr::In { field, .. } | Expr::IsNull { field } => {
            out.push(field.text())
        }
        Expr::Not(inner) => fields_of(inner, out),
        Expr::All(inner) | Expr::Any(inner) => inner.iter().for_each(|one| fields_of(one, out)),
    }
}
