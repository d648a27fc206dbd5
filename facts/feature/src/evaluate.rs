//! The one evaluation: rows at an instant become accumulators, and these the view's values.
//!
//! LAW 5: online reads and training sets both end here.

use event::Instant;

use crate::acc::{Acc, State, add, take_cells};
use crate::block::Block;
use crate::cell::Cell;
use crate::expr;
use crate::plan::Plan;
use crate::rows::{Closed, Range, Rows};
use crate::value::Value;
use crate::view::{Feature, Formula, Inner};

/// Evaluates one view again and again.
pub(crate) struct Evaluator<'v> {
    view: &'v Inner,
    plan: &'v Plan,
    longest: i64,
    has_lifetime: bool,
    is_plain: bool,
}

/// One evaluation at work.
struct Run<'p, 'a> {
    plan: &'p Plan,
    at: i64,
    accs: Vec<Acc<'a>>,
    cells: Vec<Option<Cell<'a>>>,
}

/// A slot that needs no more rows of some range.
const DONE: i64 = i64::MAX;

impl<'v> Evaluator<'v> {
    pub(crate) fn new(view: &'v Inner) -> Self {
        let plan = &view.plan;
        let is_plain = view.formulas.iter().all(|formula| matches!(formula, Formula::Of { .. }));
        Self { view, plan, longest: plan.longest(), has_lifetime: plan.has_lifetime(), is_plain }
    }

    /// The view's values at `at` over the rows of all `members`, one per feature.
    ///
    /// * `said`: what the request says, in the order of the view's context; shorter: the rest is missing
    ///
    /// `Err` has the instant before which rows are no longer complete.
    pub(crate) fn values(
        &self,
        members: &[&Rows],
        at: i64,
        said: &[Option<expr::Value>],
    ) -> Result<Vec<Value>, i64> {
        let mut values = Vec::new();
        self.finish(&mut self.accs(members, at, |_| true)?, at, said, &mut values);
        Ok(values)
    }

    /// The slots' accumulators at `at`; those of slots that are not `wanted` stay empty.
    pub(crate) fn accs<'a>(
        &self,
        members: &[&'a Rows],
        at: i64,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Vec<Acc<'a>>, i64> {
        let slots = &self.plan.slots;
        let mut run = Run {
            plan: self.plan,
            at,
            accs: slots.iter().map(|slot| Acc::new(slot.op, Some(at))).collect(),
            cells: Vec::with_capacity(self.plan.n_columns),
        };
        // Per slot: what `occurred_at` must be greater than.
        let lower = slots.iter().enumerate().map(|(i, slot)| if wanted(i) { slot.lower(at) } else { DONE });
        let lower: Vec<i64> = lower.collect();
        let outside = if self.has_lifetime { i64::MIN } else { at.saturating_sub(self.longest) };
        for rows in members {
            if at < rows.horizon() {
                return Err(rows.horizon());
            }
            run.add_base(rows.base(), &lower);
            run.add_groups(rows, &lower, outside);
            run.add_rows(rows.tail(), &lower);
        }
        Ok(run.accs)
    }

    /// True where every feature stands by itself, computed from no other and from nothing that a request says.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// From accumulators to values, one per feature, where each stands by itself.
    pub(crate) fn plain(&self, accs: &mut [Acc<'_>], at: i64) -> impl Iterator<Item = Value> {
        let formulas = self.view.features.iter().zip(&self.view.formulas);
        formulas.map(move |(feature, formula)| by_itself(feature, formula, accs, at))
    }

    /// From accumulators to values, one per feature, which take the place of what is in `values`.
    pub(crate) fn finish(
        &self,
        accs: &mut [Acc<'_>],
        at: i64,
        said: &[Option<expr::Value>],
        values: &mut Vec<Value>,
    ) {
        finish(self.view, accs, at, said, values);
    }
}

impl<'a> Run<'_, 'a> {
    fn add_base(&mut self, base: &'a [State], lower: &[i64]) {
        let slots = self.accs.iter_mut().zip(&self.plan.slots).zip(lower);
        for (((acc, slot), lower), state) in slots.zip(base) {
            if slot.window.is_none() && *lower != DONE {
                acc.merge(slot.op, state);
            }
        }
    }

    /// * `outside`: no slot counts what occurred until then
    fn add_groups(&mut self, rows: &'a Rows, lower: &[i64], outside: i64) {
        for (group, blocks) in rows.groups(self.plan) {
            let range = group.range;
            if range.first_occurred > self.at {
                return;
            }
            if range.min_known > self.at || range.last_occurred <= outside {
                continue;
            }
            if !range.is_visible(self.at) || blocks.len() == 1 {
                blocks.iter().for_each(|closed| self.add_block(closed, lower));
                continue;
            }
            // Where a window holds all of the group, its sum will do.
            let left = self.add_states(group.states(self.plan, blocks), range, lower);
            if let Some(left) = left {
                blocks.iter().for_each(|closed| self.add_block(closed, &left));
            }
        }
    }

    fn add_block(&mut self, closed: &'a Closed, lower: &[i64]) {
        let range = closed.range;
        if range.first_occurred > self.at || range.min_known > self.at {
            return;
        }
        if range.is_visible(self.at) {
            if let Some(left) = self.add_states(closed.states(self.plan), range, lower) {
                self.add_rows(closed.block(), &left);
            }
            return;
        }
        if range.last_occurred > self.at || lower.iter().all(|lower| range.first_occurred <= *lower) {
            self.add_rows(closed.block(), lower);
            return;
        }
        let on_time = closed.on_time(self.plan);
        if on_time.known > self.at {
            self.add_rows(closed.block(), lower);
            return;
        }
        // Slots that take the sum still lack the late rows; the others read all rows.
        let late: Vec<i64> =
            lower.iter().map(|lower| if range.first_occurred > *lower { *lower } else { DONE }).collect();
        if let Some(left) = self.add_states(&on_time.states, range, lower) {
            self.add_rows(closed.block(), &left);
        }
        self.add_rows(&on_time.late, &late);
    }

    /// Adds states over rows in `range` to the slots whose windows hold all of it. Gives back what is left: the
    /// lower ends of windows that hold some of it; `None` where there are none.
    fn add_states(&mut self, states: &'a [State], range: Range, lower: &[i64]) -> Option<Vec<i64>> {
        let is_partial = |lower: i64| range.first_occurred <= lower && range.last_occurred > lower;
        for ((acc, slot), (lower, state)) in
            self.accs.iter_mut().zip(&self.plan.slots).zip(lower.iter().zip(states))
        {
            if range.first_occurred > *lower {
                acc.merge(slot.op, state);
            }
        }
        if !lower.iter().any(|lower| is_partial(*lower)) {
            return None;
        }
        Some(lower.iter().map(|lower| if is_partial(*lower) { *lower } else { DONE }).collect())
    }

    /// Adds a block's rows that are visible to every slot whose window they lie in.
    fn add_rows(&mut self, block: &'a Block, lower: &[i64]) {
        for row in block.rows() {
            if row.occurred > self.at {
                return;
            }
            // LAW 5: what was not known at that instant does not exist at that instant.
            if row.known > self.at {
                continue;
            }
            take_cells(self.plan, &row, &mut self.cells);
            for ((acc, slot), lower) in self.accs.iter_mut().zip(&self.plan.slots).zip(lower) {
                if row.occurred > *lower && slot.takes(row.mask) {
                    add(acc, slot.column, slot.op, &row, &self.cells);
                }
            }
        }
    }
}

/// A feature's value as far as it stands by itself: the default of one that is computed from others.
#[inline]
fn by_itself(feature: &Feature, formula: &Formula, accs: &mut [Acc<'_>], at: i64) -> Value {
    let value = match formula {
        Formula::Ratio { .. } | Formula::Expr { .. } => None,
        Formula::Of { slot, reading } => accs.get_mut(*slot).and_then(|acc| reading.value(acc, at)),
    };
    value.unwrap_or_else(|| feature.default.clone())
}

/// From accumulators to values: first what stands by itself, then ratios, then what is computed from them.
fn finish(
    view: &Inner,
    accs: &mut [Acc<'_>],
    at: i64,
    said: &[Option<expr::Value>],
    values: &mut Vec<Value>,
) {
    values.clear();
    values.reserve(view.features.len());
    let formulas = view.features.iter().zip(&view.formulas);
    values.extend(formulas.map(|(feature, formula)| by_itself(feature, formula, accs, at)));
    for (i, formula) in view.formulas.iter().enumerate() {
        let Formula::Ratio { numerator, denominator } = formula else { continue };
        let of = |i: usize| values.get(i).and_then(Value::as_number);
        let ratio = match (of(*numerator), of(*denominator)) {
            (Some(n), Some(d)) if d != 0.0 => Some(n / d).filter(|ratio| ratio.is_finite()),
            _ => None,
        };
        if let (Some(ratio), Some(value)) = (ratio, values.get_mut(i)) {
            *value = Value::Number(ratio);
        }
    }
    if view.formulas.iter().any(|formula| matches!(formula, Formula::Expr { .. })) {
        on_demand(view, values, at, said);
    }
}

/// What an expression looks at: the view's features, then what the request says.
struct Moment {
    known: Vec<Option<expr::Value>>,
    at: i64,
}

impl expr::Facts for Moment {
    fn value(&self, slot: usize) -> Option<&expr::Value> {
        self.known.get(slot)?.as_ref()
    }

    fn consent(&self, _: &str) -> bool {
        false
    }

    fn at(&self) -> Option<Instant> {
        Some(Instant::from_micros(self.at))
    }
}

fn on_demand(view: &Inner, values: &mut [Value], at: i64, said: &[Option<expr::Value>]) {
    let mut known: Vec<Option<expr::Value>> = vec![None; values.len()];
    known.extend(said.iter().cloned());
    let mut moment = Moment { known, at };
    for (i, formula) in view.formulas.iter().enumerate() {
        let Formula::Expr { expr, reads } = formula else { continue };
        for read in reads {
            if let (Some(value), Some(known)) = (values.get(*read), moment.known.get_mut(*read)) {
                *known = value.as_expr();
            }
        }
        if let (Some(computed), Some(value)) = (expr.value(&moment), values.get_mut(i)) {
            *value = Value::of_expr(computed);
        }
    }
}
