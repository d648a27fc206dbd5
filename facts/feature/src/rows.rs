//! The rows of one view and one subject, as the state has them.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::acc::{State, summarise};
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
}

/// A full block, with what lets a read skip or sum it up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Closed {
    pub(crate) block: Block,
    pub(crate) first_occurred: i64,
    pub(crate) min_known: i64,
    pub(crate) max_known: i64,
    /// Made by the first read that needs it; no part of the state.
    #[serde(skip)]
    summary: OnceLock<Box<[State]>>,
}

impl Default for Old {
    fn default() -> Self {
        Self { horizon: i64::MIN, base: Vec::new(), closed: Vec::new() }
    }
}

impl Closed {
    fn new(mut block: Block) -> Self {
        block.shrink();
        let mut closed = Self {
            first_occurred: i64::MAX,
            min_known: i64::MAX,
            max_known: i64::MIN,
            block,
            summary: OnceLock::new(),
        };
        for row in closed.block.rows() {
            closed.first_occurred = closed.first_occurred.min(row.occurred);
            closed.min_known = closed.min_known.min(row.known);
            closed.max_known = closed.max_known.max(row.known);
        }
        closed
    }

    /// The states of all slots over all rows of the block.
    pub(crate) fn summary(&self, plan: &Plan) -> &[State] {
        self.summary.get_or_init(|| summarise(plan, None, self.block.rows(), |_| true).into())
    }
}

impl Rows {
    pub(crate) fn base(&self) -> &[State] {
        self.old.as_ref().map_or(&[], |old| &old.base)
    }

    pub(crate) fn closed(&self) -> &[Closed] {
        self.old.as_ref().map_or(&[], |old| &old.closed)
    }

    pub(crate) fn tail(&self) -> &Block {
        &self.tail
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
            self.old.get_or_insert_default().closed.push(Closed::new(full));
        }
    }

    fn last_closed(&self) -> Option<Key> {
        self.closed().last().map(|closed| closed.block.last())
    }

    fn insert_closed(&mut self, row: RowRef<'_>, plan: &Plan) {
        let Some(old) = &mut self.old else { return };
        let at = old.closed.partition_point(|closed| closed.block.last() < row.key());
        let Some(closed) = old.closed.get_mut(at) else { return };
        match closed.block.insert(row) {
            Change::Nothing => {}
            Change::Replaced => *closed = Closed::new(std::mem::take(&mut closed.block)),
            Change::Added => {
                closed.first_occurred = closed.first_occurred.min(row.occurred);
                closed.min_known = closed.min_known.min(row.known);
                closed.max_known = closed.max_known.max(row.known);
                closed.summary = OnceLock::new();
                let n = closed.block.n();
                if n >= plan.keep.block_rows * 2 || (n > 1 && closed.block.n_bytes() >= BLOCK_BYTES * 2) {
                    let second = closed.block.split();
                    *closed = Closed::new(std::mem::take(&mut closed.block));
                    old.closed.insert(at + 1, Closed::new(second));
                }
            }
        }
    }

    /// Gives up the rows at the front that no window can reach any more. Called at fixed numbers of rows, so that
    /// the state depends on nothing but the subject's records in their order.
    fn tidy(&mut self, plan: &Plan) {
        let Some(grace) = plan.keep.grace else { return };
        let known = self.closed().iter().map(|closed| closed.max_known);
        let latest = known.chain(self.tail.rows().map(|row| row.known)).max().unwrap_or(i64::MIN);
        let horizon = latest.saturating_sub(grace);
        let outside = horizon.saturating_sub(plan.longest());
        let is_old = |occurred: i64, known: i64| occurred <= outside && known <= horizon;

        let closed = self.closed().iter();
        let n_blocks = closed.take_while(|c| is_old(c.block.last().0, c.max_known)).count();
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
        old.closed.drain(..n_blocks);
        if n_rows > 0 {
            self.tail = self.tail.without_first(n_rows);
        }
    }

    #[cfg(test)]
    pub(crate) fn n_rows(&self) -> usize {
        self.closed().iter().map(|c| c.block.n() as usize).sum::<usize>() + self.tail.n() as usize
    }
}
