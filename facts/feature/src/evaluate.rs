//! The one evaluation: rows at an instant become accumulators, and these the view's values.
//!
//! LAW 5: online reads and training sets both end here.

use crate::acc::{Acc, add, take_cells};
use crate::block::{self, Block};
use crate::cell::Cell;
use crate::plan::{Plan, Slot};
use crate::rows::Rows;
use crate::value::Value;
use crate::view::{Formula, Inner};

/// Scratch space for many evaluations of one view.
pub(crate) struct Evaluator<'v> {
    view: &'v Inner,
    plan: &'v Plan,
    longest: i64,
    has_lifetime: bool,
    /// Per slot: what `occurred_at` must be greater than.
    lower: Vec<i64>,
    /// The same within one block, where some slots have taken its summary.
    partial: Vec<i64>,
}

impl<'v> Evaluator<'v> {
    pub(crate) fn new(view: &'v Inner) -> Self {
        let plan = &view.plan;
        let (longest, has_lifetime) = (plan.longest(), plan.has_lifetime());
        Self { view, plan, longest, has_lifetime, lower: Vec::new(), partial: Vec::new() }
    }

    /// The view's values at `at` over the rows of all `members`, one per feature.
    ///
    /// `Err` has the instant before which rows are no longer complete.
    pub(crate) fn values(&mut self, members: &[&Rows], at: i64) -> Result<Vec<Value>, i64> {
        let mut accs: Vec<Acc<'_>> = self.plan.slots.iter().map(|slot| Acc::new(slot.op, Some(at))).collect();
        self.lower.clear();
        self.lower.extend(self.plan.slots.iter().map(|slot| slot.lower(at)));
        for rows in members {
            if at < rows.horizon() {
                return Err(rows.horizon());
            }
            self.add_rows(rows, at, &mut accs);
        }
        Ok(finish(self.view, accs, at))
    }

    fn add_rows<'a>(&mut self, rows: &'a Rows, at: i64, accs: &mut [Acc<'a>]) {
        let slots = &self.plan.slots;
        for ((acc, slot), state) in accs.iter_mut().zip(slots).zip(rows.base()) {
            if slot.window.is_none() {
                acc.merge(slot.op, state);
            }
        }
        let closed = rows.closed();
        let outside = at.saturating_sub(self.longest);
        let start = match self.has_lifetime {
            true => 0,
            false => closed.partition_point(|c| c.block.last().0 <= outside),
        };
        for closed in closed.iter().skip(start) {
            if closed.first_occurred > at {
                return;
            }
            if closed.min_known > at {
                continue;
            }
            let last = closed.block.last().0;
            if last > at || closed.max_known > at {
                feed(self.plan, &closed.block, at, &self.lower, accs);
                continue;
            }
            // Every row is visible: where a window holds all of them, their summary will do.
            self.partial.clear();
            let mut is_partial = false;
            for ((acc, slot), (lower, state)) in
                accs.iter_mut().zip(slots).zip(self.lower.iter().zip(closed.summary(self.plan)))
            {
                let within = closed.first_occurred > *lower;
                let outside = last <= *lower;
                if within {
                    acc.merge(slot.op, state);
                }
                is_partial |= !within && !outside;
                self.partial.push(if within || outside { i64::MAX } else { *lower });
            }
            if is_partial {
                feed(self.plan, &closed.block, at, &self.partial, accs);
            }
        }
        feed(self.plan, rows.tail(), at, &self.lower, accs);
    }
}

/// Adds a block's rows that are visible at `at` to every slot whose window they lie in.
fn feed<'a>(plan: &Plan, block: &'a Block, at: i64, lower: &[i64], accs: &mut [Acc<'a>]) {
    let mut cells: Vec<Option<Cell<'a>>> = Vec::with_capacity(plan.n_columns);
    for row in block.rows() {
        if row.occurred > at {
            return;
        }
        // LAW 5: what was not known at `at` does not exist at `at`.
        if row.known > at {
            continue;
        }
        take_cells(plan, &row, &mut cells);
        feed_row(&plan.slots, &row, &cells, lower, accs);
    }
}

#[inline]
fn feed_row<'a>(
    slots: &[Slot],
    row: &block::RowRef<'a>,
    cells: &[Option<Cell<'a>>],
    lower: &[i64],
    accs: &mut [Acc<'a>],
) {
    for ((acc, slot), lower) in accs.iter_mut().zip(slots).zip(lower) {
        if row.occurred > *lower && slot.takes(row.mask) {
            add(acc, slot.column, slot.op, row, cells);
        }
    }
}

/// From accumulators to values: first what stands by itself, then ratios.
fn finish(view: &Inner, mut accs: Vec<Acc<'_>>, at: i64) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::with_capacity(view.features.len());
    for (feature, formula) in view.features.iter().zip(&view.formulas) {
        let value = match formula {
            Formula::Ratio { .. } => None,
            Formula::Of { slot, reading } => accs.get_mut(*slot).and_then(|acc| reading.value(acc, at)),
        };
        values.push(value.unwrap_or_else(|| feature.default.clone()));
    }
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
    values
}
