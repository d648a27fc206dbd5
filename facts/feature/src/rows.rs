//! The rows of one view and one subject, as the state has them.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::acc::{State, merge, summarise};
use crate::block::{Block, Change, Key, RowRef};
use crate::plan::Plan;

/// A tail with fewer rows is left alone.
const SMALLEST_TIDY: u32 = 8;
/// Rows with long texts fill a block sooner.
const BLOCK_BYTES: usize = 16 * 1024;

/// Sorted rows: full blocks, then a tail that grows; and what given-up rows left behind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rows {
    old: Option<Box<Old>>,
    tail: Block,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Old {
    /// Rows may have been given up that a read before this instant would need.
    horizon: i64,
    /// One state per slot; empty where nothing was given up that a lifetime feature needs.
    base: Vec<State>,
    /// Every key in a block is greater than all keys of the block before.
    closed: Vec<Closed>,
    /// Of every few blocks; made by the first read that needs it; no part of the state.
    #[serde(skip)]
    groups: OnceLock<Box<[Group]>>,
}

/// What lets a read skip rows or take their sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) first_occurred: i64,
    pub(crate) last_occurred: i64,
    pub(crate) min_known: i64,
    pub(crate) max_known: i64,
}

impl Range {
    const EMPTY: Self =
        Self { first_occurred: i64::MAX, last_occurred: i64::MIN, min_known: i64::MAX, max_known: i64::MIN };

    fn add(&mut self, other: Self) {
        self.first_occurred = self.first_occurred.min(other.first_occurred);
        self.last_occurred = self.last_occurred.max(other.last_occurred);
        self.min_known = self.min_known.min(other.min_known);
        self.max_known = self.max_known.max(other.max_known);
    }

    fn of(row: &RowRef<'_>) -> Self {
        let RowRef { occurred, known, .. } = *row;
        Self { first_occurred: occurred, last_occurred: occurred, min_known: known, max_known: known }
    }

    /// True where every row is visible at `at`.
    pub(crate) fn is_visible(&self, at: i64) -> bool {
        self.last_occurred <= at && self.max_known <= at
    }
}

/// A full block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Closed {
    pub(crate) block: Block,
    pub(crate) range: Range,
    #[serde(skip)]
    sums: Sums,
}

/// Made by the first read that needs them; no part of the state.
#[derive(Clone, Debug, Default)]
struct Sums {
    all: OnceLock<Box<[State]>>,
    on_time: OnceLock<Box<OnTime>>,
}

/// A block's rows without the eighth that was known last: a few late rows are no reason to read all.
#[derive(Clone, Debug)]
pub(crate) struct OnTime {
    /// All but `late` were known by then.
    pub(crate) known: i64,
    pub(crate) states: Box<[State]>,
    pub(crate) late: Block,
}

/// Some neighbouring blocks.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) range: Range,
    states: OnceLock<Box<[State]>>,
}

impl Default for Old {
    fn default() -> Self {
        Self { horizon: i64::MIN, base: Vec::new(), closed: Vec::new(), groups: OnceLock::new() }
    }
}

impl Closed {
    fn new(mut block: Block) -> Self {
        block.shrink();
        let mut range = Range::EMPTY;
        block.rows().for_each(|row| range.add(Range::of(&row)));
        Self { block, range, sums: Sums::default() }
    }

    /// The states of all slots over all rows of the block.
    pub(crate) fn states(&self, plan: &Plan) -> &[State] {
        self.sums.all.get_or_init(|| summarise(plan, None, self.block.rows(), |_| true).into())
    }

    /// The same without the rows known last.
    pub(crate) fn on_time(&self, plan: &Plan) -> &OnTime {
        self.sums.on_time.get_or_init(|| {
            let mut known: Vec<i64> = self.block.rows().map(|row| row.known).collect();
            known.sort_unstable();
            let place = known.len().saturating_sub(1 + known.len() / 8);
            let known = known.get(place).copied().unwrap_or(i64::MAX);
            let rows = self.block.rows().filter(|row| row.known <= known);
            let states = summarise(plan, None, rows, |_| true).into();
            let mut late = Block::default();
            self.block.rows().filter(|row| row.known > known).for_each(|row| {
                late.insert(row);
            });
            Box::new(OnTime { known, states, late })
        })
    }
}

impl Group {
    /// The states of all slots over all rows of the group's `blocks`.
    pub(crate) fn states(&self, plan: &Plan, blocks: &[Closed]) -> &[State] {
        self.states.get_or_init(|| {
            let states = blocks.iter().map(|closed| closed.states(plan));
            merge(plan, states).into()
        })
    }
}

impl Rows {
    pub(crate) fn base(&self) -> &[State] {
        self.old.as_ref().map_or(&[], |old| &old.base)
    }

    pub(crate) fn closed(&self) -> &[Closed] {
        self.old.as_ref().map_or(&[], |old| &old.closed)
    }

    /// The full blocks, in groups.
    pub(crate) fn groups(&self, plan: &Plan) -> impl Iterator<Item = (&Group, &[Closed])> {
        let n = plan.keep.group_blocks.max(1);
        let groups = self.old.as_ref().map_or(&[][..], |old| {
            old.groups.get_or_init(|| {
                let range_of = |blocks: &[Closed]| {
                    let mut range = Range::EMPTY;
                    blocks.iter().for_each(|closed| range.add(closed.range));
                    Group { range, states: OnceLock::new() }
                };
                old.closed.chunks(n).map(range_of).collect()
            })
        });
        groups.iter().zip(self.closed().chunks(n))
    }

    pub(crate) fn tail(&self) -> &Block {
        &self.tail
    }

    /// All rows that are kept, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = RowRef<'_>> {
        self.closed().iter().map(|closed| &closed.block).chain([&self.tail]).flat_map(Block::rows)
    }

    /// Reads before it are not exact.
    pub(crate) fn horizon(&self) -> i64 {
        self.old.as_ref().map_or(i64::MIN, |old| old.horizon)
    }

    /// Takes a row in. Amortised O(1) where rows come in order; a late row costs a walk through its block.
    pub(crate) fn insert(&mut self, row: RowRef<'_>, plan: &Plan) {
        if self.last_closed().is_some_and(|last| row.key() <= last) {
            self.insert_closed(row, plan);
            return;
        }
        if self.tail.insert(row) != Change::Added {
            return;
        }
        let n = self.tail.n();
        let is_full = n >= plan.keep.block_rows || self.tail.n_bytes() >= BLOCK_BYTES;
        if is_full || (n >= SMALLEST_TIDY && n.is_power_of_two()) {
            self.tidy(plan);
        }
        if self.tail.n() >= plan.keep.block_rows || self.tail.n_bytes() >= BLOCK_BYTES {
            let full = std::mem::take(&mut self.tail);
            let old = self.old.get_or_insert_default();
            old.closed.push(Closed::new(full));
            old.groups = OnceLock::new();
        }
    }

    /// The same rows from rows that are sorted by key, each key once; `scratch` is used again and again.
    pub(crate) fn from_sorted<'a>(
        rows: impl Iterator<Item = RowRef<'a>>,
        plan: &Plan,
        scratch: &mut Block,
    ) -> Self {
        let mut all = Self::default();
        scratch.clear();
        for row in rows {
            scratch.insert(row);
            if scratch.n() >= plan.keep.block_rows || scratch.n_bytes() >= BLOCK_BYTES {
                all.old.get_or_insert_default().closed.push(Closed::new(scratch.clone()));
                scratch.clear();
            }
        }
        all.tail = scratch.clone();
        all
    }

    fn last_closed(&self) -> Option<Key> {
        self.closed().last().map(|closed| closed.block.last())
    }

    fn insert_closed(&mut self, row: RowRef<'_>, plan: &Plan) {
        let Some(old) = &mut self.old else { return };
        let at = old.closed.partition_point(|closed| closed.block.last() < row.key());
        let Some(closed) = old.closed.get_mut(at) else { return };
        match closed.block.insert(row) {
            Change::Nothing => return,
            Change::Replaced => *closed = Closed::new(std::mem::take(&mut closed.block)),
            Change::Added => {
                closed.range.add(Range::of(&row));
                closed.sums = Sums::default();
                let n = closed.block.n();
                if n >= plan.keep.block_rows * 2 || (n > 1 && closed.block.n_bytes() >= BLOCK_BYTES * 2) {
                    let second = closed.block.split();
                    *closed = Closed::new(std::mem::take(&mut closed.block));
                    old.closed.insert(at + 1, Closed::new(second));
                }
            }
        }
        old.groups = OnceLock::new();
    }

    /// Gives up the rows at the front that no window can reach any more. Called at fixed numbers of rows, so that
    /// the state depends on nothing but the subject's records in their order.
    fn tidy(&mut self, plan: &Plan) {
        let Some(grace) = plan.keep.grace else { return };
        let known = self.closed().iter().map(|closed| closed.range.max_known);
        let latest = known.chain(self.tail.rows().map(|row| row.known)).max().unwrap_or(i64::MIN);
        let horizon = latest.saturating_sub(grace);
        let outside = horizon.saturating_sub(plan.longest());
        let is_old = |occurred: i64, known: i64| occurred <= outside && known <= horizon;

        let closed = self.closed().iter();
        let n_blocks = closed.take_while(|c| is_old(c.range.last_occurred, c.range.max_known)).count();
        let mut n_rows = 0;
        if n_blocks == self.closed().len() {
            n_rows = self.tail.rows().take_while(|row| is_old(row.occurred, row.known)).count();
            // Few rows are not worth a new tail: they go with the next ones.
            if n_rows * 4 < self.tail.n() as usize {
                n_rows = 0;
            }
        }
        if n_blocks == 0 && n_rows == 0 {
            return;
        }
        let old = self.old.get_or_insert_default();
        if plan.has_lifetime() {
            let blocks = old.closed.iter().take(n_blocks).flat_map(|c| c.block.rows());
            let rows = blocks.chain(self.tail.rows().take(n_rows));
            let is_lifetime = |i: usize| plan.slots.get(i).is_some_and(|slot| slot.window.is_none());
            let base = summarise(plan, Some(&old.base), rows, is_lifetime);
            old.base = base;
        }
        old.horizon = old.horizon.max(horizon);
        if n_blocks > 0 {
            old.closed.drain(..n_blocks);
            old.groups = OnceLock::new();
        }
        if n_rows > 0 {
            self.tail = self.tail.without_first(n_rows);
        }
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.closed().iter().map(|c| c.block.n() as usize).sum::<usize>() + self.tail.n() as usize
    }
}
