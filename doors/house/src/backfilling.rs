//! Filling new feature views from the journal while everything else goes on.
//!
//! A view that is new, or whose definition has changed, used to mean that the whole state was folded anew before
//! anything was served. Instead: what is known goes on being folded and served; the new view's rows are folded beside,
//! from the journal's start, in short turns between two records; and once they are where the others are, the view is
//! folded on with them. What comes of it is the same state, byte for byte, as if the view had always been there
//! (LAW 2). Up to where a view is filled is committed with the state, so that after a crash it goes on from there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contract::Bound;
use event::{Partition, Position, Record};
use feature::{View, Views};
use process::Duplicates;
use serde_json::Value;
use store::{Database, Stored};

use crate::Error;
use crate::house::{House, options};
use crate::layout::{Layout, write_durably};
use crate::rooms::{Composition, Rooms};

/// Records folded in one turn: a decision that comes meanwhile waits for no more.
const TURN: usize = 256;
/// How long to wait for further records where a partition has none.
const NAP: Duration = Duration::from_millis(20);

/// How far a view is filled.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Filling {
    /// The view.
    pub view: String,
    /// Records of the journal that were looked at.
    pub n_done: u64,
    /// Records to look at.
    pub n_total: u64,
}

/// What the state is to be brought to when it is opened.
pub(crate) struct Change {
    /// What the composition file is to say once it is done.
    wanted: String,
    new: Vec<View>,
}

/// What must change where only the views have: `None` where all must be folded anew.
///
/// * `found`, `wanted`: a first line for everything but the views, then a line for each view
pub(crate) fn change(found: &str, wanted: &str, views: &Views) -> Option<Change> {
    let (mut known, mut coming) = (found.lines(), wanted.lines());
    let base = coming.next()?;
    if known.next() != Some(base) {
        return None;
    }
    let known: BTreeSet<&str> = known.collect();
    let new = views.iter().filter(|view| !known.contains(view.fingerprint())).cloned().collect();
    Some(Change { wanted: wanted.to_owned(), new })
}

/// Notes in the state which views are to be filled, drops those that are gone, and then says so in the composition
/// file: after a crash in between it is done again.
pub(crate) fn prepare(
    change: &Change,
    db: &Database,
    shards: &mut [Rooms],
    views: &Views,
    layout: &Layout,
) -> Result<(), Error> {
    let mut pending = Vec::new();
    for rooms in shards {
        for view in &change.new {
            rooms.features.begin_filling(view)?;
        }
        rooms.features.forget_others(views)?;
        rooms.features.stored().into_iter().for_each(|table: &mut dyn Stored| table.drain(&mut pending));
    }
    let writes = pending.into_iter().map(store::Pending::into_write).collect::<Result<Vec<_>, _>>()?;
    db.write(writes, true)?;
    for view in &change.new {
        tracing::info!(view = view.reference(), "a feature view is new: it is filled from the journal");
    }
    write_durably(&layout.composition(), change.wanted.as_bytes())
}

/// A record as views take it.
type Taken = (Position, Arc<Record>, Value);

/// One partition that is read again.
struct Lane {
    partition: Partition,
    duplicates: Duplicates,
    batch: Vec<Taken>,
    /// The next position to be read.
    next: Position,
    is_done: bool,
}

impl House {
    /// How far the views are filled that are not yet; none where all are.
    pub fn filling(&self) -> Result<Vec<Filling>, Error> {
        let mut all: Vec<Filling> = Vec::new();
        for view in self.project().views.iter() {
            let (mut n_done, mut n_total, mut is_filling) = (0, 0, false);
            for partition in (0..self.n_partitions()).map(Partition) {
                let end = self.engine().folded(partition).0;
                let position = self.engine().read(partition, |rooms| rooms.features.filled_to(view));
                let position = position.transpose()?.flatten();
                is_filling |= position.is_some();
                n_total += end;
                n_done += position.unwrap_or(end).min(end);
            }
            if is_filling {
                all.push(Filling { view: view.reference(), n_done, n_total });
            }
        }
        Ok(all)
    }

    /// Fills the views that are not yet, until all are or `stopping` says so. Gives back how many records it read.
    ///
    /// # Errors
    /// Whatever the journal or the state says; the views stay as far as they are, and can be filled on.
    pub fn fill(&self, stopping: &AtomicBool) -> Result<u64, Error> {
        let views = self.unfilled()?;
        if views.is_empty() {
            return Ok(0);
        }
        let options = options(self.settings());
        let mut lanes = (0..self.n_partitions())
            .map(|p| {
                let partition = Partition(p);
                let duplicates = Duplicates::new(partition, &options)?;
                Ok(Lane { partition, duplicates, batch: Vec::new(), next: Position(0), is_done: false })
            })
            .collect::<Result<Vec<_>, store::Error>>()?;
        let mut n_read = 0;
        let mut failed = None;
        let scanned = self.engine().journal().scan(&[], |partition, position, record| {
            if stopping.load(Ordering::Acquire) {
                return Err(journal::Error::Closed);
            }
            n_read += 1;
            let Some(lane) = lanes.get_mut(usize::from(partition.0)) else { return Ok(()) };
            match self.take_in(lane, &views, position, record) {
                Ok(()) => Ok(()),
                Err(error) => {
                    failed = Some(error);
                    Err(journal::Error::Closed)
                }
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if stopping.load(Ordering::Acquire) {
            return Ok(n_read);
        }
        scanned?;
        // What came meanwhile, partition by partition, until they are where the others are.
        for lane in &mut lanes {
            self.turn(lane, &views)?;
            let mut tail = self.engine().journal().tail(lane.partition, lane.next);
            while !lane.is_done && !stopping.load(Ordering::Acquire) {
                for (position, record) in tail.next(TURN, Some(NAP))? {
                    n_read += 1;
                    self.take_in(lane, &views, position, record)?;
                }
                self.turn(lane, &views)?;
            }
        }
        Ok(n_read)
    }

    fn unfilled(&self) -> Result<Vec<View>, Error> {
        let mut views = Vec::new();
        for view in self.project().views.iter() {
            let mut is_filling = false;
            self.in_each_partition(|rooms| {
                is_filling |= rooms.features.filled_to(view)?.is_some();
                Ok(())
            })?;
            if is_filling {
                views.push(view.clone());
            }
        }
        Ok(views)
    }

    /// Takes a record in, where a view needs it and the folds did not drop it; a full batch is folded.
    fn take_in(
        &self,
        lane: &mut Lane,
        views: &[View],
        position: Position,
        record: Arc<Record>,
    ) -> Result<(), Error> {
        if lane.is_done {
            return Ok(());
        }
        lane.next = Position(position.0 + 1);
        let is_wanted = views.iter().any(|view| *view.stream() == record.stream)
            && !record.batch.is_some_and(|batch| self.composition().undone.contains(&batch));
        if lane.duplicates.is_new(&record, position)?
            && is_wanted
            && let Some(fields) = bound(self.composition(), views, &record)?
        {
            lane.batch.push((position, record, fields));
        }
        // Also where nothing is wanted, so that it is seen to move.
        if lane.batch.len() >= TURN || lane.next.0.is_multiple_of(65_536) {
            self.turn(lane, views)?;
        }
        Ok(())
    }

    /// Folds what was taken in, between two records of the loop.
    fn turn(&self, lane: &mut Lane, views: &[View]) -> Result<(), Error> {
        let (batch, next) = (std::mem::take(&mut lane.batch), lane.next);
        let work = |rooms: &mut Rooms, folded: Position| -> Result<bool, store::Error> {
            let mut is_done = true;
            for view in views {
                let Some(from) = rooms.features.filled_to(view)? else { continue };
                for (position, record, fields) in &batch {
                    // What the loop has not folded yet it will fold for this view too.
                    let is_of_view = record.stream == *view.stream() && !rooms.erasures.hides(record)?;
                    if position.0 >= from && *position < folded && is_of_view {
                        rooms.features.fill(view, &Bound { record, fields })?;
                    }
                }
                let upto = next.min(folded).0.max(from);
                let is_there = upto == folded.0;
                is_done &= is_there;
                rooms.features.filled(view, (!is_there).then_some(upto))?;
            }
            Ok(is_done)
        };
        let missing = || Error::Internal { reason: format!("there is no partition {}", lane.partition) };
        lane.is_done = self.engine().with_shard(lane.partition, work).ok_or_else(missing)??;
        if lane.is_done {
            tracing::debug!(partition = %lane.partition, "the new feature views are filled");
        }
        Ok(())
    }
}

/// The record as its newest contract names it. Where no view looks at a personal field nothing sealed is opened.
fn bound(composition: &Composition, views: &[View], record: &Record) -> Result<Option<Value>, store::Error> {
    let Some(contract) = composition.contracts.newest(&record.stream) else { return Ok(None) };
    let needs_sealed = views.iter().any(|view| *view.stream() == record.stream && view.is_personal());
    if needs_sealed || contract.version != record.contract || composition.corrections.has(record)? {
        return composition.bind(record);
    }
    let open = intake::open_part(record).map_err(|error| store::Error::Corrupt {
        table: record.stream.as_str().to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Some(contract.bind(&open)))
}
