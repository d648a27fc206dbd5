//! Many instants of one profile, in order of time: each row enters and leaves the accumulators once.
//!
//! LAW 5: which rows count at an instant is said by [`Slot::lower`] and by when a row happened and was known, here as in
//! [`Evaluator::accs`]; what is added, and how values are read from it, is the same code. A sweep only remembers from one
//! label to the next. Windows move forward with time, so a row that a window has passed never comes back, and the latest
//! row that was ever seen is the last one of a window, or the window is empty.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::acc::Acc;
use crate::block::RowRef;
use crate::cell::Cell;
use crate::evaluate::Evaluator;
use crate::plan::{Op, Plan, Slot};
use crate::rows::Rows;

/// Windows of different lengths, at most: bits of [`Sweep::inside`].
const MOST_WINDOWS: usize = 64;
/// With more rows for each label, sums of whole blocks are faster than going through all rows.
const MOST_ROWS_PER_LABEL: usize = 1_000;

/// Goes through the instants of one profile after the other.
pub(crate) struct Sweep<'a> {
    plan: &'a Plan,
    windows: Vec<Window>,
    /// True where a slot's accumulator cannot be moved: decayed sums are made anew for each instant.
    has_still: bool,
    members: Vec<&'a Rows>,
    /// In order of (occurred, known, id).
    rows: Vec<Visible>,
    /// Of all rows, one per column.
    cells: Vec<Option<Cell<'a>>>,
    /// Places of rows by when they become visible, and how many are by now.
    coming: Vec<(i64, u32)>,
    n_come: usize,
    /// Per row: bit n is set while it is in window n.
    inside: Vec<u64>,
    /// Per slot.
    accs: Vec<Acc<'a>>,
    candidates: Vec<Candidates<'a>>,
}

/// Slots that look through the same window.
struct Window {
    slots: Vec<usize>,
    /// Rows before this place have left it.
    n_left: usize,
    lower: i64,
}

#[derive(Clone, Copy)]
struct Visible {
    occurred: i64,
    known: i64,
    id: u64,
    mask: u64,
}

/// What a slot needs to know of the rows in its window where it keeps one of many. Rows that have left are found out
/// when they come up.
enum Candidates<'a> {
    None,
    Least(BinaryHeap<Reverse<(Cell<'a>, u32)>>),
    Greatest(BinaryHeap<(Cell<'a>, u32)>),
    First(BinaryHeap<Reverse<u32>>),
    Last(Option<u32>),
    Distinct(BTreeMap<Cell<'a>, u32>),
}

impl Candidates<'_> {
    fn new(op: Op) -> Self {
        match op {
            Op::Count | Op::Sum | Op::Decayed { .. } => Self::None,
            Op::Min => Self::Least(BinaryHeap::new()),
            Op::Max => Self::Greatest(BinaryHeap::new()),
            Op::First => Self::First(BinaryHeap::new()),
            Op::Last | Op::Latest => Self::Last(None),
            Op::Distinct => Self::Distinct(BTreeMap::new()),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::None => {}
            Self::Least(heap) => heap.clear(),
            Self::Greatest(heap) => heap.clear(),
            Self::First(heap) => heap.clear(),
            Self::Last(last) => *last = None,
            Self::Distinct(counts) => counts.clear(),
        }
    }
}

fn is_still(slot: &Slot) -> bool {
    matches!(slot.op, Op::Decayed { .. })
}

impl<'a> Sweep<'a> {
    /// `None` where the plan has more windows than can be told apart.
    pub(crate) fn new(plan: &'a Plan) -> Option<Self> {
        let mut windows: Vec<(&Slot, Window)> = Vec::new();
        for (i, slot) in plan.slots.iter().enumerate().filter(|(_, slot)| !is_still(slot)) {
            let same = |other: &&mut (&Slot, Window)| {
                (other.0.window, &other.0.calendar) == (slot.window, &slot.calendar)
            };
            match windows.iter_mut().find(same) {
                Some((_, window)) => window.slots.push(i),
                None => windows.push((slot, Window { slots: vec![i], n_left: 0, lower: i64::MIN })),
            }
        }
        (windows.len() <= MOST_WINDOWS).then(|| Self {
            plan,
            windows: windows.into_iter().map(|(_, window)| window).collect(),
            has_still: plan.slots.iter().any(is_still),
            members: Vec::new(),
            rows: Vec::new(),
            cells: Vec::new(),
            coming: Vec::new(),
            n_come: 0,
            inside: Vec::new(),
            accs: Vec::new(),
            candidates: plan.slots.iter().map(|slot| Candidates::new(slot.op)).collect(),
        })
    }

    /// Whether a sweep is faster than asking for each of `n_labels` by itself.
    pub(crate) fn is_worth(members: &[&Rows], n_labels: usize) -> bool {
        let n_rows: usize = members.iter().map(|rows| rows.n_rows()).sum();
        let is_whole = members.iter().all(|rows| rows.base().is_empty() && rows.horizon() == i64::MIN);
        n_labels > 1 && is_whole && n_rows <= n_labels.saturating_mul(MOST_ROWS_PER_LABEL)
    }

    /// Begins with another profile, before its first instant.
    pub(crate) fn begin(&mut self, members: &[&'a Rows]) {
        self.members.clear();
        self.members.extend(members);
        self.rows.clear();
        self.cells.clear();
        self.coming.clear();
        self.n_come = 0;
        let order = |row: &RowRef<'_>| (row.occurred, row.known, row.id);
        let mut last = None;
        let mut is_sorted = true;
        for rows in members {
            rows.all().for_each(|row| {
                is_sorted &= last <= Some(order(&row));
                last = Some(order(&row));
                self.take(row);
            });
        }
        if !is_sorted {
            let mut all: Vec<RowRef<'a>> = members.iter().flat_map(|rows| rows.all()).collect();
            all.sort_unstable_by_key(order);
            self.rows.clear();
            self.cells.clear();
            self.coming.clear();
            all.into_iter().for_each(|row| self.take(row));
        }
        if !self.coming.is_sorted() {
            self.coming.sort_unstable();
        }
        self.inside.clear();
        self.inside.resize(self.rows.len(), 0);
        for window in &mut self.windows {
            (window.n_left, window.lower) = (0, i64::MIN);
        }
        self.accs.clear();
        self.accs.extend(self.plan.slots.iter().map(|slot| Acc::new(slot.op, None)));
        self.candidates.iter_mut().for_each(Candidates::clear);
    }

    fn take(&mut self, row: RowRef<'a>) {
        let RowRef { occurred, known, id, mask, mut cells } = row;
        self.coming.push((occurred.max(known), self.rows.len() as u32));
        self.rows.push(Visible { occurred, known, id, mask });
        self.cells.extend((0..self.plan.n_columns).map(|_| Cell::take(&mut cells)));
    }

    /// The accumulators at an instant that is no earlier than the one before.
    pub(crate) fn accs(&mut self, evaluator: &Evaluator<'_>, at: i64) -> Result<&mut [Acc<'a>], i64> {
        self.leave(at);
        self.come(at);
        self.pick();
        if self.has_still {
            let slots = &self.plan.slots;
            let still = evaluator.accs(&self.members, at, |i| slots.get(i).is_some_and(is_still))?;
            for ((acc, slot), made) in self.accs.iter_mut().zip(slots).zip(still) {
                if is_still(slot) {
                    *acc = made;
                }
            }
        }
        Ok(&mut self.accs)
    }

    /// Takes out what the windows have passed.
    fn leave(&mut self, at: i64) {
        let Self { plan, windows, rows, cells, inside, accs, candidates, .. } = self;
        for (bit, window) in windows.iter_mut().enumerate() {
            let slot = window.slots.first().and_then(|i| plan.slots.get(*i));
            window.lower = slot.map_or(i64::MIN, |slot| slot.lower(at));
            while let Some(row) = rows.get(window.n_left).filter(|row| row.occurred <= window.lower) {
                let place = window.n_left;
                window.n_left += 1;
                let Some(is_in) = inside.get_mut(place).filter(|bits| **bits >> bit & 1 == 1) else {
                    continue;
                };
                *is_in &= !(1 << bit);
                let own = own_cells(cells, plan, place);
                for i in &window.slots {
                    let (Some(slot), Some(acc)) = (plan.slots.get(*i), accs.get_mut(*i)) else { continue };
                    let Some(cell) = counted(slot, row, own) else { continue };
                    acc.take_back(cell);
                    if let (Some(Candidates::Distinct(counts)), Some(cell)) = (candidates.get_mut(*i), cell)
                        && let Some(n) = counts.get_mut(cell)
                    {
                        *n -= 1;
                        if *n == 0 {
                            counts.remove(cell);
                        }
                    }
                }
            }
        }
    }

    /// Adds what has become visible, wherever a window has not passed it yet.
    fn come(&mut self, at: i64) {
        let Self { plan, windows, rows, cells, coming, n_come, inside, accs, candidates, .. } = self;
        while let Some((_, place)) = coming.get(*n_come).filter(|(visible, _)| *visible <= at) {
            *n_come += 1;
            let place = *place as usize;
            let (Some(row), Some(bits)) = (rows.get(place), inside.get_mut(place)) else { continue };
            let own = own_cells(cells, plan, place);
            let as_row =
                RowRef { occurred: row.occurred, known: row.known, id: row.id, mask: row.mask, cells: &[] };
            for (bit, window) in windows.iter().enumerate() {
                if row.occurred <= window.lower {
                    continue;
                }
                *bits |= 1 << bit;
                for i in &window.slots {
                    let (Some(slot), Some(acc)) = (plan.slots.get(*i), accs.get_mut(*i)) else { continue };
                    let Some(cell) = counted(slot, row, own) else { continue };
                    match candidates.get_mut(*i) {
                        None | Some(Candidates::None) => acc.add(slot.op, &as_row, cell),
                        Some(kept) => kept.add(cell, place as u32),
                    }
                }
            }
        }
    }

    /// Puts what is kept of many rows into the accumulators.
    fn pick(&mut self) {
        let Self { plan, windows, rows, cells, inside, accs, candidates, .. } = self;
        for (bit, window) in windows.iter().enumerate() {
            let is_in = |place: &u32| inside.get(*place as usize).is_some_and(|bits| *bits >> bit & 1 == 1);
            for i in &window.slots {
                let (Some(slot), Some(acc)) = (plan.slots.get(*i), accs.get_mut(*i)) else { continue };
                let found = |place: u32| {
                    let row = rows.get(place as usize)?;
                    let cell = slot.column.and_then(|column| {
                        own_cells(cells, plan, place as usize).get(column).copied().flatten()
                    });
                    Some((row, cell))
                };
                match candidates.get_mut(*i) {
                    None | Some(Candidates::None) => {}
                    Some(Candidates::Least(heap)) => {
                        while heap.peek().is_some_and(|Reverse((_, place))| !is_in(place)) {
                            heap.pop();
                        }
                        *acc = Acc::Least(heap.peek().map(|Reverse((cell, _))| *cell));
                    }
                    Some(Candidates::Greatest(heap)) => {
                        while heap.peek().is_some_and(|(_, place)| !is_in(place)) {
                            heap.pop();
                        }
                        *acc = Acc::Greatest(heap.peek().map(|(cell, _)| *cell));
                    }
                    Some(Candidates::First(heap)) => {
                        while heap.peek().is_some_and(|Reverse(place)| !is_in(place)) {
                            heap.pop();
                        }
                        let first = heap.peek().and_then(|Reverse(place)| found(*place));
                        *acc = Acc::First(first.and_then(|(row, cell)| Some((row.order(), cell?))));
                    }
                    Some(Candidates::Last(last)) => {
                        let last = last.filter(is_in).and_then(found);
                        *acc = match slot.op {
                            Op::Latest => Acc::Latest(last.map(|(row, _)| row.occurred)),
                            _ => Acc::Last(last.and_then(|(row, cell)| Some((row.order(), cell?)))),
                        };
                    }
                    Some(Candidates::Distinct(counts)) => *acc = Acc::Different(counts.len() as u64),
                }
            }
        }
    }
}

impl Visible {
    fn order(&self) -> (i64, i64, u64) {
        (self.occurred, self.known, self.id)
    }
}

impl<'a> Candidates<'a> {
    fn add(&mut self, cell: Option<&Cell<'a>>, place: u32) {
        match (self, cell) {
            (Self::Least(heap), Some(cell)) => heap.push(Reverse((*cell, place))),
            (Self::Greatest(heap), Some(cell)) => heap.push((*cell, place)),
            (Self::First(heap), _) => heap.push(Reverse(place)),
            (Self::Last(last), _) => *last = (*last).max(Some(place)),
            (Self::Distinct(counts), Some(cell)) => *counts.entry(*cell).or_default() += 1,
            _ => {}
        }
    }
}

/// The values of one row.
fn own_cells<'c, 'a>(cells: &'c [Option<Cell<'a>>], plan: &Plan, place: usize) -> &'c [Option<Cell<'a>>] {
    let start = place * plan.n_columns;
    cells.get(start..start + plan.n_columns).unwrap_or_default()
}

/// `None` where the slot does not count the row; else the value it takes, where it takes one.
#[inline]
fn counted<'c, 'a>(slot: &Slot, row: &Visible, own: &'c [Option<Cell<'a>>]) -> Option<Option<&'c Cell<'a>>> {
    if !slot.takes(row.mask) {
        return None;
    }
    match slot.column {
        None => Some(None),
        Some(column) => Some(Some(own.get(column)?.as_ref()?)),
    }
}
