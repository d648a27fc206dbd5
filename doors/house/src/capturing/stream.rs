//! The stream of a slot: gathered into batches, appended, confirmed.

use std::time::{Duration, Instant as Moment};

use capture::{Assembler, Change, Client, Feed, Lsn, Step, Table, Told, codes};

use super::ledger::{Note, Noticed, Within};
use super::run::{CHUNK, Work};
use crate::Error;

/// How long to wait for a next change before those that are here are appended.
const QUIET: Duration = Duration::from_millis(20);
/// How long the first of them waits at most.
const LONGEST: Duration = Duration::from_millis(200);
/// How long to wait where nothing is under way, before looking whether to stop.
const IDLE: Duration = Duration::from_millis(200);
/// Bytes of changes that are appended together at most; a single change may be larger.
const CHUNK_BYTES: usize = 8 << 20;
/// While nothing of ours changes, how often the database is told that it need not keep its log for us, …
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// … and after how much of it at the latest.
const NOTE_BYTES: u64 = 16 << 20;

/// What has come and is not appended yet.
struct Pending {
    changes: Vec<Change>,
    bytes: usize,
    since: Moment,
    n_skipped: u64,
    reached: Lsn,
    within: Option<Within>,
    tables: Vec<Table>,
    noticed: Vec<Noticed>,
}

impl Pending {
    fn behind(reached: Lsn, within: Option<Within>) -> Self {
        Self {
            changes: Vec::new(),
            bytes: 0,
            since: Moment::now(),
            n_skipped: 0,
            reached,
            within,
            tables: Vec::new(),
            noticed: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        // What a table looks like comes right before a change of it, and is noted with it.
        self.changes.is_empty() && self.n_skipped == 0
    }

    fn is_full(&self) -> bool {
        self.changes.len() >= CHUNK
            || self.bytes >= CHUNK_BYTES
            || self.n_skipped >= CHUNK as u64
            || (!self.is_empty() && self.since.elapsed() >= LONGEST)
    }

    fn took(&mut self, commit: Lsn, seq: u64, bytes: usize) {
        if self.is_empty() {
            self.since = Moment::now();
        }
        self.bytes += bytes;
        self.within = Some(Within { commit, n: seq + 1 });
    }
}

impl Work<'_> {
    /// Streams until it is stopped, or everything before `target` is here.
    pub(super) fn stream(&mut self, client: Client, target: Option<Lsn>) -> Result<(), Error> {
        let state = self.state()?;
        let mut feed = Feed::start(client, &state.slot, &state.publication, state.reached)?;
        let mut assembler = Assembler::new(self.spec.tables.keys().cloned());
        let mut pending = Pending::behind(state.reached, state.within);
        // Of the transaction under way: its commit, and how many of its changes are here already.
        let (mut commit, mut n_here) = (Lsn(0), 0);
        let mut noted_at = Moment::now();
        loop {
            if self.stop.load(std::sync::atomic::Ordering::Acquire) {
                self.flush(&mut pending, &mut feed)?;
                feed.close();
                return Ok(());
            }
            match feed.next(if pending.is_empty() { IDLE } else { QUIET })? {
                Told::Quiet => {
                    self.flush(&mut pending, &mut feed)?;
                    let reached = self.state()?.reached;
                    match target {
                        Some(target) if reached >= target && !assembler.is_inside() => {
                            feed.close();
                            return Ok(());
                        }
                        Some(_) => feed.ask()?,
                        None => {}
                    }
                }
                Told::Message(message) => match assembler.take(&message).map_err(|why| self.odd(why))? {
                    Step::Nothing => {}
                    Step::Began { commit: at } => {
                        commit = at;
                        n_here = match pending.within {
                            Some(within) if within.commit == at => within.n,
                            _ if at < pending.reached => u64::MAX,
                            _ => 0,
                        };
                    }
                    Step::Table(table) => self.look(&table, commit, &mut pending),
                    Step::Change(change) if change.seq >= n_here => {
                        pending.took(commit, change.seq, message.len());
                        pending.changes.push(*change);
                    }
                    Step::Changes(changes) => {
                        for change in changes.into_iter().filter(|change| change.seq >= n_here) {
                            pending.took(commit, change.seq, message.len());
                            pending.changes.push(change);
                        }
                    }
                    Step::Skipped { table, seq } if seq >= n_here => {
                        pending.took(commit, seq, 0);
                        pending.n_skipped += 1;
                        self.skip(table, commit, &mut pending)?;
                    }
                    Step::Change(_) | Step::Skipped { .. } => {}
                    Step::Committed { end, .. } => {
                        pending.reached = pending.reached.max(end);
                        pending.within = None;
                    }
                },
                Told::Alive { end, wants_answer } => {
                    let reached = self.state()?.reached;
                    self.end = self.end.max(end);
                    self.claim.is(|live| live.behind_bytes = end.0.saturating_sub(reached.0));
                    let is_idle = pending.is_empty() && !assembler.is_inside() && end > reached;
                    let is_time = wants_answer
                        || noted_at.elapsed() >= NOTE_EVERY
                        || end.0 - reached.0.min(end.0) >= NOTE_BYTES
                        || target.is_some_and(|target| end >= target);
                    if is_idle && is_time {
                        // Nothing of ours lies before it. Noted before it is confirmed: the database never knows of more
                        // than the ledger does, so a slot that is ahead of it was moved by somebody else.
                        pending.reached = end;
                        pending.within = None;
                        self.put(&mut pending, &mut feed)?;
                        noted_at = Moment::now();
                    } else if wants_answer {
                        feed.confirm(reached)?;
                    }
                }
            }
            if pending.is_full() {
                self.flush(&mut pending, &mut feed)?;
                noted_at = Moment::now();
            }
        }
    }

    fn flush(&mut self, pending: &mut Pending, feed: &mut Feed) -> Result<(), Error> {
        if pending.is_empty() { Ok(()) } else { self.put(pending, feed) }
    }

    /// Appends what is pending; once it is durable the database is told.
    fn put(&mut self, pending: &mut Pending, feed: &mut Feed) -> Result<(), Error> {
        let Pending { changes, n_skipped, reached, within, tables, noticed, .. } =
            std::mem::replace(pending, Pending::behind(pending.reached, pending.within));
        let capture = self.name.clone();
        let within_key = within.map_or(0, |within| within.n);
        let key = format!("reached {reached} {} {within_key}", within.map_or(Lsn(0), |within| within.commit));
        self.append(changes, &key, |mut counts| {
            counts.n_skipped += n_skipped;
            Note::Reached { capture, reached, within, counts, tables, noticed }
        })?;
        let end = self.end.0;
        self.claim.is(|live| live.behind_bytes = end.saturating_sub(reached.0));
        feed.confirm(reached).map_err(Error::from)
    }

    /// Compares what a table looks like with what it looked like.
    fn look(&self, table: &Table, at: Lsn, pending: &mut Pending) {
        let Some(state) = &self.state else { return };
        let before = pending.tables.iter().rev().find(|known| known.name == table.name);
        let before = before.or_else(|| state.tables.get(&table.name));
        match before.map(|before| (before.difference(table), before)) {
            None => pending.tables.push(table.clone()),
            Some((Some(difference), _)) => {
                let message = format!("table `{}` changed: {difference}", table.name);
                tracing::warn!(capture = self.name, "{message} ({})", codes::SCHEMA);
                let (code, name) = (codes::SCHEMA.to_owned(), table.name.clone());
                pending.noticed.push(Noticed { code, table: name, message, lsn: at });
                pending.tables.push(table.clone());
            }
            // Its replica identity may be another.
            Some((None, before)) if before != table => pending.tables.push(table.clone()),
            Some((None, _)) => {}
        }
    }

    /// A change of a table that the settings send nowhere: said once.
    fn skip(&self, table: String, at: Lsn, pending: &mut Pending) -> Result<(), Error> {
        let said =
            |noticed: &[Noticed]| noticed.iter().any(|one| one.code == codes::UNMAPPED && one.table == table);
        if said(&pending.noticed) || said(&self.state()?.noticed) {
            return Ok(());
        }
        let message = format!(
            "table `{table}` is published, but the settings send it nowhere: its changes are left out"
        );
        tracing::warn!(capture = self.name, "{message} ({})", codes::UNMAPPED);
        pending.noticed.push(Noticed { code: codes::UNMAPPED.to_owned(), table, message, lsn: at });
        Ok(())
    }
}
