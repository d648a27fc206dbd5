//! The rows of one view and one subject, as the state has them.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::acc::{State, merge, summarise};
use crate::block::{Block, Change, Key, RowRef};
use crate::plan::Plan;

/// A tail with fewer rows is left alone.
const SMALLEST_TIDY: u32 = 8;
/// Rows with long texts fill a block sooner.
const BLOCK_BYTES: usize = 16 * 1024;

/// Where full blocks of one subject and view are kept. They are kept by themselves, so that a new row costs the state no
/// more than the tail it lies in.
pub(crate) trait Blocks {
    /// The block of this number; `None` where nobody may read it any more (LAW 4).
    fn load(&mut self, number: u32) -> Result<Option<Arc<Block>>, store::Error>;
    /// Keeps a block that is new or has changed.
    fn put(&mut self, number: u32, block: Arc<Block>);
    /// A block is no longer needed.
    fn remove(&mut self, number: u32);
}

/// Blocks that are all at hand and are kept nowhere else.
pub(crate) struct AtHand;

impl Blocks for AtHand {
    fn load(&mut self, _: u32) -> Result<Option<Arc<Block>>, store::Error> {
        Ok(None)
    }

    fn put(&mut self, _: u32, _: Arc<Block>) {}

    fn remove(&mut self, _: u32) {}
}

/// Sorted rows: full blocks, then a tail that grows; and what given-up rows left behind. Of a block only its number and
/// what it spans is stored here.
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
    /// The number of the next block.
    next: u32,
    /// Of every few blocks; made by the first read that needs it; no part of the state.
    #[serde(skip)]
    groups: OnceLock<Arc<[Group]>>,
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
    number: u32,
    n: u32,
    /// The greatest key.
    last: Key,
    pub(crate) range: Range,
    /// The rows themselves, once they were needed; stored under the block's number.
    #[serde(skip)]
    block: OnceLock<Arc<Block>>,
    #[serde(skip)]
    sums: Arc<Sums>,
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
        Self { horizon: i64::MIN, base: Vec::new(), closed: Vec::new(), next: 0, groups: OnceLock::new() }
    }
}

impl Closed {
    fn new(number: u32, mut block: Block) -> Self {
        block.shrink();
        let mut range = Range::EMPTY;
        block.rows().for_each(|row| range.add(Range::of(&row)));
        let (n, last) = (block.n(), block.last());
        Self { number, n, last, range, block: OnceLock::from(Arc::new(block)), sums: Arc::default() }
    }

    /// The rows. Whoever reads has seen to it that they are at hand ([`Rows::complete`]).
    pub(crate) fn block(&self) -> &Block {
        static NONE: Block = Block::EMPTY;
        debug_assert!(self.block.get().is_some(), "a block is read that was not loaded");
        self.block.get().map_or(&NONE, |block| block)
    }

    /// `None` where it cannot be read any more.
    fn load(&self, blocks: &mut dyn Blocks) -> Result<Option<&Arc<Block>>, store::Error> {
        if self.block.get().is_none() {
            let Some(found) = blocks.load(self.number)? else { return Ok(None) };
            let _ = self.block.set(found);
        }
        Ok(self.block.get())
    }

    fn keep(&self, blocks: &mut dyn Blocks) {
        if let Some(block) = self.block.get() {
            blocks.put(self.number, block.clone());
        }
    }

    /// The states of all slots over all rows of the block.
    pub(crate) fn states(&self, plan: &Plan) -> &[State] {
        self.sums.all.get_or_init(|| summarise(plan, None, self.block().rows(), |_| true).into())
    }

    /// The same without the rows known last.
    pub(crate) fn on_time(&self, plan: &Plan) -> &OnTime {
        self.sums.on_time.get_or_init(|| {
            let mut known: Vec<i64> = self.block().rows().map(|row| row.known).collect();
            known.sort_unstable();
            let place = known.len().saturating_sub(1 + known.len() / 8);
            let known = known.get(place).copied().unwrap_or(i64::MAX);
            let rows = self.block().rows().filter(|row| row.known <= known);
            let states = summarise(plan, None, rows, |_| true).into();
            let mut late = Block::default();
            self.block().rows().filter(|row| row.known > known).for_each(|row| {
                late.insert(row);
            });
            Box::new(OnTime { known, states, late })
        })
    }
}

impl Old {
    /// A number that no block had before.
    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        number
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
        self.closed().iter().map(Closed::block).chain([&self.tail]).flat_map(Block::rows)
    }

    /// Reads before it are not exact.
    pub(crate) fn horizon(&self) -> i64 {
        self.old.as_ref().map_or(i64::MIN, |old| old.horizon)
    }

    /// Brings every block's rows to hand: `false` where one cannot be read any more.
    pub(crate) fn complete(&self, blocks: &mut dyn Blocks) -> Result<bool, store::Error> {
        for closed in self.closed() {
            if closed.load(blocks)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes a row in. Amortised O(1) where rows come in order; a late row costs a walk through its block. `false`
    /// where a block that it needs cannot be read any more: then nothing of the rows can be used.
    pub(crate) fn insert(
        &mut self,
        row: RowRef<'_>,
        plan: &Plan,
        blocks: &mut dyn Blocks,
    ) -> Result<bool, store::Error> {
        if self.last_closed().is_some_and(|last| row.key() <= last) {
            return self.insert_closed(row, plan, blocks);
        }
        if self.tail.insert(row) != Change::Added {
            return Ok(true);
        }
        let n = self.tail.n();
        let is_full = n >= plan.keep.block_rows || self.tail.n_bytes() >= BLOCK_BYTES;
        if (is_full || (n >= SMALLEST_TIDY && n.is_power_of_two())) && !self.tidy(plan, blocks)? {
            return Ok(false);
        }
        if self.tail.n() >= plan.keep.block_rows || self.tail.n_bytes() >= BLOCK_BYTES {
            let full = std::mem::take(&mut self.tail);
            let old = self.old.get_or_insert_default();
            let closed = Closed::new(old.number(), full);
            closed.keep(blocks);
            old.closed.push(closed);
            old.groups = OnceLock::new();
        }
        Ok(true)
    }

    /// As [`Rows::insert`], where all blocks are at hand: nothing is loaded, so nothing can fail.
    pub(crate) fn add(&mut self, row: RowRef<'_>, plan: &Plan) {
        let _ = self.insert(row, plan, &mut AtHand);
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
                let old = all.old.get_or_insert_default();
                let number = old.number();
                old.closed.push(Closed::new(number, scratch.clone()));
                scratch.clear();
            }
        }
        all.tail = scratch.clone();
        all
    }

    fn last_closed(&self) -> Option<Key> {
        self.closed().last().map(|closed| closed.last)
    }

    fn insert_closed(
        &mut self,
        row: RowRef<'_>,
        plan: &Plan,
        blocks: &mut dyn Blocks,
    ) -> Result<bool, store::Error> {
        let Some(old) = &mut self.old else { return Ok(true) };
        let at = old.closed.partition_point(|closed| closed.last < row.key());
        let Some(closed) = old.closed.get_mut(at) else { return Ok(true) };
        let Some(block) = closed.load(blocks)? else { return Ok(false) };
        let (number, mut block) = (closed.number, Block::clone(block));
        let change = block.insert(row);
        if change == Change::Nothing {
            return Ok(true);
        }
        let n = block.n();
        let is_too_large = n >= plan.keep.block_rows * 2 || (n > 1 && block.n_bytes() >= BLOCK_BYTES * 2);
        let second = (change == Change::Added && is_too_large).then(|| block.split());
        *closed = Closed::new(number, block);
        closed.keep(blocks);
        if let Some(second) = second {
            let second = Closed::new(old.number(), second);
            second.keep(blocks);
            old.closed.insert(at + 1, second);
        }
        old.groups = OnceLock::new();
        Ok(true)
    }

    /// Gives up the rows at the front that no window can reach any more. Called at fixed numbers of rows, so that
    /// the state depends on nothing but the subject's records in their order.
    fn tidy(&mut self, plan: &Plan, blocks: &mut dyn Blocks) -> Result<bool, store::Error> {
        let Some(grace) = plan.keep.grace else { return Ok(true) };
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
            return Ok(true);
        }
        let old = self.old.get_or_insert_default();
        if plan.has_lifetime() {
            for closed in old.closed.iter().take(n_blocks) {
                if closed.load(blocks)?.is_none() {
                    return Ok(false);
                }
            }
            let given_up = old.closed.iter().take(n_blocks).flat_map(|closed| closed.block().rows());
            let rows = given_up.chain(self.tail.rows().take(n_rows));
            let is_lifetime = |i: usize| plan.slots.get(i).is_some_and(|slot| slot.window.is_none());
            let base = summarise(plan, Some(&old.base), rows, is_lifetime);
            old.base = base;
        }
        old.horizon = old.horizon.max(horizon);
        if n_blocks > 0 {
            old.closed.drain(..n_blocks).for_each(|closed| blocks.remove(closed.number));
            old.groups = OnceLock::new();
        }
        if n_rows > 0 {
            self.tail = self.tail.without_first(n_rows);
        }
        Ok(true)
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.closed().iter().map(|closed| closed.n as usize).sum::<usize>() + self.tail.n() as usize
    }
}
