//! What was seen of a field so far, and what a bucket says against it.

use std::collections::VecDeque;

use crate::cell::FieldCell;
use crate::change::{count, short};
use crate::unusual::{History, Range};

/// Earlier buckets that are looked back on.
pub(crate) const WINDOW: usize = 60;
/// A field with more distinct values than this has no list of known ones.
const MAX_KNOWN: u64 = 64;
/// New values, or numbers out of the range seen so far, count from this share on …
const LEAST_SHARE: f64 = 0.005;
/// … and this many records.
const LEAST: u64 = 5;

/// What one bucket says against the buckets before it.
pub(crate) struct Verdict {
    pub(crate) n: u64,
    pub(crate) of: u64,
    pub(crate) expected: (f64, f64),
    pub(crate) surprise: f64,
    pub(crate) gravity: u8,
    /// What is seen, with a place for `n of of records`.
    pub(crate) says: String,
}

/// The latest buckets of a share.
#[derive(Default)]
pub(crate) struct Window(VecDeque<(u64, u64)>);

impl Window {
    pub(crate) fn push(&mut self, n: u64, of: u64) {
        self.0.push_back((n, of));
        if self.0.len() > WINDOW {
            self.0.pop_front();
        }
    }

    pub(crate) fn all(&self) -> History {
        let mut history = History::default();
        self.0.iter().for_each(|(n, of)| history.add(*n, *of));
        history
    }
}

/// What was seen of a field so far.
#[derive(Default)]
pub(crate) struct Seen {
    all: FieldCell,
    latest: VecDeque<FieldCell>,
}

impl Seen {
    pub(crate) fn learn(&mut self, cell: Option<&FieldCell>) {
        let Some(cell) = cell else { return };
        self.all.n_present += cell.n_present;
        self.all.values.merge(&cell.values);
        self.all.spread.merge(&cell.spread);
        self.latest.push_back(cell.clone());
        if self.latest.len() > WINDOW {
            self.latest.pop_front();
        }
    }

    fn has_list(&self) -> bool {
        let (n, distinct) = (self.all.values.n(), self.all.values.n_distinct());
        self.all.values.is_exact() && distinct <= MAX_KNOWN && n >= 100 && n >= 10 * distinct
    }

    /// Enough to be no accident: what came in none of `n` records may come in 10 of as many.
    fn is_news(&self, n: u64, of: u64) -> bool {
        let share = n as f64 / of.max(1) as f64;
        n >= LEAST && share >= LEAST_SHARE && share > 10.0 / self.all.n_present.max(1) as f64
    }

    pub(crate) fn judge_news(&self, cell: &FieldCell, path: &str) -> Option<Verdict> {
        if !self.has_list() {
            return None;
        }
        let new: Vec<_> =
            cell.values.iter().filter(|(hash, ..)| self.all.values.count_of(*hash) == 0).collect();
        let n: u64 = new.iter().map(|(.., n)| n).sum();
        if !self.is_news(n, cell.n_present) {
            return None;
        }
        let (_, text, most) = new.iter().max_by_key(|(hash, _, n)| (*n, *hash))?;
        let others =
            if n > *most { format!(" or another of {} new values", new.len()) } else { String::new() };
        let known: Vec<_> = self.all.values.top().into_iter().map(|(text, _)| format!("`{text}`")).collect();
        let mut known_text = known.iter().take(6).cloned().collect::<Vec<_>>().join(", ");
        if known.len() > 6 {
            known_text.push_str(&format!(" and {} more", known.len() - 6));
        }
        let says = format!(
            "have `{path}` = `{text}`{others}, which came in none of {} before (only {known_text})",
            count(self.all.n_present)
        );
        let share = n as f64 / cell.n_present as f64;
        Some(Verdict {
            n,
            of: cell.n_present,
            expected: (0.0, LEAST_SHARE),
            surprise: share / LEAST_SHARE,
            gravity: 3,
            says,
        })
    }

    pub(crate) fn judge_ends(&self, cell: &FieldCell, path: &str) -> Option<Verdict> {
        let (low, high) = self.all.spread.ends().filter(|_| !self.has_list() && self.all.n_present >= 100)?;
        let (below, above) = (cell.spread.beyond(low).0, cell.spread.beyond(high).1);
        let n = below + above;
        if !self.is_news(n, cell.n_present) {
            return None;
        }
        let says = format!(
            "have a `{path}` outside of {low} to {high}, within which all {} before lay",
            count(self.all.n_present)
        );
        let share = n as f64 / cell.n_present as f64;
        Some(Verdict {
            n,
            of: cell.n_present,
            expected: (0.0, LEAST_SHARE),
            surprise: share / LEAST_SHARE,
            gravity: 3,
            says,
        })
    }

    /// The known value whose share is furthest from what it was.
    pub(crate) fn judge_share(&self, cell: &FieldCell, path: &str) -> Option<Verdict> {
        if !self.has_list() {
            return None;
        }
        let mut worst: Option<(Range, u64, &str)> = None;
        for (hash, text, _) in self.all.values.iter() {
            let mut history = History::default();
            self.latest.iter().for_each(|old| history.add(old.values.count_of(hash), old.n_present));
            let n = cell.values.count_of(hash);
            if let Some(range) = history.judge(n, cell.n_present)
                && worst.as_ref().is_none_or(|(known, ..)| known.surprise < range.surprise)
            {
                worst = Some((range, n, text));
            }
        }
        let (range, n, text) = worst.filter(|(range, ..)| range.surprise >= 1.0)?;
        Some(verdict(n, cell.n_present, range, 1, format!("have `{path}` = `{text}`")))
    }

    pub(crate) fn judge_shift(&self, cell: &FieldCell, path: &str) -> Option<Verdict> {
        if self.has_list() || self.all.spread.n() < 100 {
            return None;
        }
        let (low, high) = self.all.spread.quantile(0.05).zip(self.all.spread.quantile(0.95))?;
        let mut worst: Option<Verdict> = None;
        for (limit, is_low) in [(low, true), (high, false)] {
            let n_of = |seen: &FieldCell| {
                let (below, above) = seen.spread.beyond(limit);
                if is_low { below } else { above }
            };
            let mut history = History::default();
            self.latest.iter().for_each(|old| history.add(n_of(old), old.spread.n()));
            let n = n_of(cell);
            if let Some(range) = history.judge(n, cell.spread.n())
                && range.surprise >= 1.0
                && worst.as_ref().is_none_or(|known| known.surprise < range.surprise)
            {
                let side = if is_low { "below" } else { "above" };
                let says = format!("have a `{path}` {side} {}", short(limit));
                worst = Some(verdict(n, cell.spread.n(), range, 1, says));
            }
        }
        worst
    }
}

pub(crate) fn verdict(n: u64, of: u64, range: Range, gravity: u8, says: String) -> Verdict {
    Verdict { n, of, expected: (range.low, range.high), surprise: range.surprise, gravity, says }
}
