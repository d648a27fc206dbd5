//! Accumulators: the one place where rows become values.
//!
//! [`Acc`] lives during a read and borrows from the rows; [`State`] is the same at rest: the summary of a block,
//! or the base that given-up rows leave behind. Adding rows, and merging states, in any order gives the same.

use serde::{Deserialize, Serialize};

use crate::block::RowRef;
use crate::cell::{Cell, OwnedCell};
use crate::exact::Exact;
use crate::plan::{Op, Plan};

/// Orders rows for `first` and `last`: (occurred, known, id).
type Order = (i64, i64, u64);

/// An accumulator at work.
#[derive(Debug)]
pub(crate) enum Acc<'a> {
    Count(u64),
    Sum {
        n: u64,
        sum: Exact,
    },
    Least(Option<Cell<'a>>),
    Greatest(Option<Cell<'a>>),
    First(Option<(Order, Cell<'a>)>),
    Last(Option<(Order, Cell<'a>)>),
    Latest(Option<i64>),
    Distinct {
        sets: Vec<&'a [OwnedCell]>,
        loose: Vec<Cell<'a>>,
    },
    /// How many distinct values there are, where that was counted already.
    Different(u64),
    Decayed {
        at: Option<i64>,
        sum: Exact,
    },
}

/// An accumulator at rest. Stored: its order is part of the format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum State {
    Count(u64),
    Sum {
        n: u64,
        whole: i128,
        parts: Vec<f64>,
    },
    Least(Option<OwnedCell>),
    Greatest(Option<OwnedCell>),
    First(Option<(Order, OwnedCell)>),
    Last(Option<(Order, OwnedCell)>),
    Latest(Option<i64>),
    /// Sorted.
    Distinct(Vec<OwnedCell>),
    /// The sum as it was worth at an instant.
    Decayed {
        at: Option<i64>,
        parts: Vec<f64>,
    },
}

/// Weights stay within 2^±64 of the sum's instant, so that nothing overflows.
const MOST_HALVINGS: f64 = 64.0;

/// What is left at `at` of 1 at `occurred`.
#[inline]
fn weight(occurred: i64, at: i64, half_life: i64) -> f64 {
    (occurred.saturating_sub(at) as f64 / half_life as f64).exp2()
}

impl<'a> Acc<'a> {
    /// Nothing yet. A decayed sum is worth what it is at `at`; where that is open, it follows its rows.
    pub(crate) fn new(op: Op, at: Option<i64>) -> Self {
        match op {
            Op::Count => Self::Count(0),
            Op::Sum => Self::Sum { n: 0, sum: Exact::default() },
            Op::Min => Self::Least(None),
            Op::Max => Self::Greatest(None),
            Op::First => Self::First(None),
            Op::Last => Self::Last(None),
            Op::Latest => Self::Latest(None),
            Op::Distinct => Self::Distinct { sets: Vec::new(), loose: Vec::new() },
            Op::Decayed { .. } => Self::Decayed { at, sum: Exact::default() },
        }
    }

    /// Adds a row that the slot takes.
    #[inline]
    pub(crate) fn add(&mut self, op: Op, row: &RowRef<'a>, cell: Option<&Cell<'a>>) {
        match (self, cell) {
            (Self::Count(n), _) => *n += 1,
            (Self::Latest(latest), _) => *latest = (*latest).max(Some(row.occurred)),
            (Self::Sum { n, sum }, Some(cell)) => match cell {
                Cell::Integer(x) => {
                    *n += 1;
                    sum.add_whole((*x).into());
                }
                Cell::Number(x) => {
                    *n += 1;
                    sum.add(*x);
                }
                Cell::Text(_) | Cell::Boolean(_) => {}
            },
            (Self::Least(least), Some(cell)) => {
                if least.as_ref().is_none_or(|old| cell < old) {
                    *least = Some(*cell);
                }
            }
            (Self::Greatest(greatest), Some(cell)) => {
                if greatest.as_ref().is_none_or(|old| cell > old) {
                    *greatest = Some(*cell);
                }
            }
            (Self::First(first), Some(cell)) => {
                let order = (row.occurred, row.known, row.id);
                if first.as_ref().is_none_or(|(old, _)| order < *old) {
                    *first = Some((order, *cell));
                }
            }
            (Self::Last(last), Some(cell)) => {
                let order = (row.occurred, row.known, row.id);
                if last.as_ref().is_none_or(|(old, _)| order > *old) {
                    *last = Some((order, *cell));
                }
            }
            (Self::Distinct { loose, .. }, Some(cell)) => add_distinct(loose, *cell),
            (Self::Decayed { at, sum }, Some(cell)) => {
                if let (Op::Decayed { half_life }, Some(x)) = (op, cell.number()) {
                    let at = reach(at, sum, row.occurred, half_life);
                    sum.add(x * weight(row.occurred, at, half_life));
                }
            }
            (Self::Different(_), _) | (_, None) => {}
        }
    }

    /// Takes back a row that [`Acc::add`] added. Counts and sums are exact, so nothing of it is left; of what keeps one
    /// row of many the caller keeps the others.
    #[inline]
    pub(crate) fn take_back(&mut self, cell: Option<&Cell<'a>>) {
        match (self, cell) {
            (Self::Count(n), _) => *n = n.saturating_sub(1),
            (Self::Sum { n, sum }, Some(Cell::Integer(x))) => {
                *n = n.saturating_sub(1);
                sum.add_whole(-i128::from(*x));
            }
            (Self::Sum { n, sum }, Some(Cell::Number(x))) => {
                *n = n.saturating_sub(1);
                sum.add(-x);
            }
            _ => {}
        }
    }

    /// Adds what a state at rest has.
    pub(crate) fn merge(&mut self, op: Op, state: &'a State) {
        match (self, state) {
            (Self::Count(n), State::Count(more)) => *n += more,
            (Self::Latest(latest), State::Latest(other)) => *latest = (*latest).max(*other),
            (Self::Sum { n, sum }, State::Sum { n: more, whole, parts }) => {
                *n += more;
                sum.add_whole(*whole);
                parts.iter().for_each(|part| sum.add(*part));
            }
            (Self::Least(least), State::Least(Some(cell))) if least.is_none_or(|old| cell.cell() < old) => {
                *least = Some(cell.cell());
            }
            (Self::Greatest(greatest), State::Greatest(Some(cell)))
                if greatest.is_none_or(|old| cell.cell() > old) =>
            {
                *greatest = Some(cell.cell());
            }
            (Self::First(first), State::First(Some((order, cell))))
                if first.as_ref().is_none_or(|(old, _)| order < old) =>
            {
                *first = Some((*order, cell.cell()));
            }
            (Self::Last(last), State::Last(Some((order, cell))))
                if last.as_ref().is_none_or(|(old, _)| order > old) =>
            {
                *last = Some((*order, cell.cell()));
            }
            (Self::Distinct { sets, .. }, State::Distinct(set)) => sets.push(set),
            (Self::Decayed { at, sum }, State::Decayed { at: Some(then), parts }) => {
                if let Op::Decayed { half_life } = op {
                    let at = reach(at, sum, *then, half_life);
                    let weight = weight(*then, at, half_life);
                    parts.iter().for_each(|part| sum.add(part * weight));
                }
            }
            // Nothing there, or a state of another slot: there is none, a view's id names its slots.
            _ => {}
        }
    }

    pub(crate) fn into_state(self) -> State {
        match self {
            Self::Count(n) => State::Count(n),
            Self::Sum { n, sum } => State::Sum { n, whole: sum.whole(), parts: sum.parts().to_vec() },
            Self::Least(cell) => State::Least(cell.map(Cell::into_owned)),
            Self::Greatest(cell) => State::Greatest(cell.map(Cell::into_owned)),
            Self::First(first) => State::First(first.map(|(order, cell)| (order, cell.into_owned()))),
            Self::Last(last) => State::Last(last.map(|(order, cell)| (order, cell.into_owned()))),
            Self::Latest(latest) => State::Latest(latest),
            Self::Distinct { sets, loose } => {
                let mut all: Vec<Cell<'_>> =
                    sets.iter().flat_map(|set| set.iter().map(OwnedCell::cell)).collect();
                all.extend(loose);
                all.sort_unstable();
                all.dedup();
                State::Distinct(all.into_iter().map(Cell::into_owned).collect())
            }
            Self::Decayed { at, sum } => State::Decayed { at, parts: sum.parts().to_vec() },
            // Only a sweep counts this way, and it is never put at rest.
            Self::Different(n) => State::Count(n),
        }
    }

    /// How many distinct values there are.
    pub(crate) fn n_distinct(sets: &[&[OwnedCell]], loose: &mut Vec<Cell<'_>>) -> usize {
        // The largest set is counted as it is: a base of 100,000 values is not copied for each read.
        let Some(largest) = sets.iter().max_by_key(|set| set.len()) else {
            loose.sort_unstable();
            loose.dedup();
            return loose.len();
        };
        let mut counted = false;
        let others = sets.iter().filter(|set| {
            let is_largest = !counted && std::ptr::eq(**set, *largest);
            counted |= is_largest;
            !is_largest
        });
        let mut rest: Vec<Cell<'_>> = others.flat_map(|set| set.iter().map(OwnedCell::cell)).collect();
        rest.extend_from_slice(loose);
        rest.retain(|cell| largest.binary_search_by(|other| other.cell().cmp(cell)).is_err());
        rest.sort_unstable();
        rest.dedup();
        largest.len() + rest.len()
    }
}

/// Few values are kept sorted and once each; many are sorted at the end.
fn add_distinct<'a>(loose: &mut Vec<Cell<'a>>, cell: Cell<'a>) {
    if loose.len() >= 32 {
        loose.push(cell);
    } else if let Err(at) = loose.binary_search(&cell) {
        loose.insert(at, cell);
    }
}

/// Moves a decayed sum's instant forward, by whole half-lives, which changes no digit, until `occurred` is near.
fn reach(at: &mut Option<i64>, sum: &mut Exact, occurred: i64, half_life: i64) -> i64 {
    let Some(now) = *at else {
        *at = Some(occurred);
        return occurred;
    };
    let ahead = occurred.saturating_sub(now);
    if ahead as f64 <= MOST_HALVINGS * half_life as f64 {
        return now;
    }
    let halvings = ahead / half_life.max(1);
    let moved = now.saturating_add(halvings.saturating_mul(half_life));
    sum.scale(0.5_f64.powi(i32::try_from(halvings).unwrap_or(i32::MAX)));
    *at = Some(moved);
    moved
}

/// The states of a plan's slots after some rows; slots for which `wanted` is false stay empty.
pub(crate) fn summarise<'a>(
    plan: &Plan,
    base: Option<&'a [State]>,
    rows: impl Iterator<Item = RowRef<'a>>,
    wanted: impl Fn(usize) -> bool,
) -> Vec<State> {
    let mut accs: Vec<Acc<'a>> = plan.slots.iter().map(|slot| Acc::new(slot.op, None)).collect();
    for ((acc, slot), state) in accs.iter_mut().zip(&plan.slots).zip(base.unwrap_or_default()) {
        acc.merge(slot.op, state);
    }
    let mut cells = Vec::with_capacity(plan.n_columns);
    for row in rows {
        take_cells(plan, &row, &mut cells);
        for (i, (acc, slot)) in accs.iter_mut().zip(&plan.slots).enumerate() {
            if wanted(i) && slot.takes(row.mask) {
                add(acc, slot.column, slot.op, &row, &cells);
            }
        }
    }
    accs.into_iter().map(Acc::into_state).collect()
}

/// The states of a plan's slots over all that `parts` are about.
pub(crate) fn merge<'a>(plan: &Plan, parts: impl Iterator<Item = &'a [State]>) -> Vec<State> {
    let mut accs: Vec<Acc<'a>> = plan.slots.iter().map(|slot| Acc::new(slot.op, None)).collect();
    for states in parts {
        for ((acc, slot), state) in accs.iter_mut().zip(&plan.slots).zip(states) {
            acc.merge(slot.op, state);
        }
    }
    accs.into_iter().map(Acc::into_state).collect()
}

/// Adds a row to an accumulator, unless the slot wants a value that the row has not.
#[inline]
pub(crate) fn add<'a>(
    acc: &mut Acc<'a>,
    column: Option<usize>,
    op: Op,
    row: &RowRef<'a>,
    cells: &[Option<Cell<'a>>],
) {
    match column {
        None => acc.add(op, row, None),
        Some(column) => {
            if let Some(Some(cell)) = cells.get(column) {
                acc.add(op, row, Some(cell));
            }
        }
    }
}

/// The row's values, one per column.
#[inline]
pub(crate) fn take_cells<'a>(plan: &Plan, row: &RowRef<'a>, cells: &mut Vec<Option<Cell<'a>>>) {
    cells.clear();
    let mut bytes = row.cells;
    cells.extend((0..plan.n_columns).map(|_| Cell::take(&mut bytes)));
}
