//! What changed: every bucket held against what earlier buckets lead one to expect.
//!
//! The range is learned from the buckets before, as long as nothing was wrong with them: a change that lasts stays one
//! change, told once with its first and last bucket. Sorted by when it began, then by how grave it is, so that the first
//! line names what changed first.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::cell::Cell;
use crate::fold::CellKey;
use crate::plan::{Plan, Watched};
use crate::relation::RelationReport;
use crate::report::{By, seconds};
use crate::seen::{Seen, Verdict, WINDOW, Window, verdict};

/// A share of records from the future that makes a source's clock suspect.
const SKEWED: f64 = 0.05;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Refused records with one finding.
    Refused,
    /// A value that never came before.
    NewValue,
    /// Numbers below or above all that came before.
    OutOfRange,
    /// Values that occur nowhere in the stream they point to.
    Orphans,
    /// Records without the field.
    Missing,
    /// Records with members that no contract declares.
    Undeclared,
    /// Rows that repeat another.
    Repeated,
    /// Records that come later than they used to.
    Late,
    /// A sender's clock that is ahead.
    Clock,
    /// Records known later than the contract promises.
    Latency,
    /// A time without anything as fresh as the contract promises.
    Stale,
    /// Records kept for longer than the contract promises.
    Overdue,
    /// A rule of the contract about many records that does not hold.
    Rule,
    /// Records of a bucket.
    Volume,
    /// How often one of the known values comes.
    Share,
    /// How many numbers are as small, or as large, as the outermost twentieth used to be.
    Shift,
}

/// One thing that left its expected range.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The stream.
    pub stream: String,
    /// What the records came by.
    pub source: String,
    /// The field, if it is about one.
    pub field: Option<String>,
    /// What is out of its range.
    pub metric: Metric,
    /// The bucket it began in.
    pub since: String,
    /// The last bucket it was seen in.
    pub until: String,
    /// Records it concerns, from `since` to `until`.
    pub n: u64,
    /// Of how many.
    pub of: u64,
    /// The share that was to be expected.
    pub expected: (f64, f64),
    /// 3: data break a rule or are out of all that was seen; 2: something is lost; 1: something is different; 0: better.
    pub gravity: u8,
    /// `MR2101` where gravity is 3, `MR2102` where it is 2; `MR2103` to `MR2106` where the contract promised it:
    /// docs/errors says what to do.
    pub code: Option<&'static str>,
    /// In one sentence.
    pub message: String,
    #[serde(skip)]
    pub(crate) surprise: f64,
}

impl Change {
    /// Its first and last bucket.
    pub(crate) fn when(&self) -> String {
        if self.since == self.until {
            self.since.clone()
        } else {
            format!("{} to {}", self.since, self.until)
        }
    }
}

/// The first first; of those that began together, the gravest.
pub(crate) fn sort(changes: &mut [Change]) {
    changes.sort_by(|a, b| {
        let share = |c: &Change| c.n as f64 / c.of.max(1) as f64;
        a.since
            .cmp(&b.since)
            .then(b.gravity.cmp(&a.gravity))
            .then(share(b).total_cmp(&share(a)))
            .then(b.surprise.total_cmp(&a.surprise))
            .then_with(|| {
                (&a.stream, &a.source, &a.field, a.metric).cmp(&(&b.stream, &b.source, &b.field, b.metric))
            })
    });
}

/// A relation that does not hold.
pub(crate) fn of_relation(relation: &RelationReport) -> Option<Change> {
    if relation.n_orphans == 0 {
        return None;
    }
    let (stream, field) = relation.from.split_once('.')?;
    let about = if relation.exact { "" } else { " compared (an even sample)" };
    let message = format!(
        "{} of {} distinct values of `{}`{about} are not in `{}`, for example `{}`",
        count(relation.n_orphans),
        count(relation.n_compared),
        relation.from,
        relation.to,
        relation.examples.join("`, `"),
    );
    Some(Change {
        stream: stream.to_owned(),
        source: String::new(),
        field: Some(field.to_owned()),
        metric: Metric::Orphans,
        // It has no bucket: it stands behind what can be dated.
        since: "\u{2014}".to_owned(),
        until: "\u{2014}".to_owned(),
        n: relation.n_orphans,
        of: relation.n_compared,
        expected: (0.0, 0.0),
        gravity: 3,
        code: code(3),
        message,
        surprise: 0.0,
    })
}

/// What changed in one stream, source by source.
pub(crate) fn of_stream(
    stream: &str,
    plan: Option<&Plan>,
    cells: &[(&CellKey, &Cell)],
    by: By,
) -> Vec<Change> {
    let mut sources: BTreeMap<&str, BTreeMap<String, Cell>> = BTreeMap::new();
    for (key, cell) in cells {
        let buckets = sources.entry(&key.source).or_default();
        buckets.entry(by.label(key.day)).or_default().merge(cell);
    }
    let mut out = Vec::new();
    for (source, buckets) in &sources {
        let series = Series {
            stream,
            source,
            buckets: buckets.iter().map(|(label, cell)| (label.as_str(), cell)).collect(),
        };
        series.watch(plan, &mut out);
    }
    out
}

struct Series<'a> {
    stream: &'a str,
    source: &'a str,
    buckets: Vec<(&'a str, &'a Cell)>,
}

impl Series<'_> {
    fn watch(&self, plan: Option<&Plan>, out: &mut Vec<Change>) {
        self.refusals(out);
        self.share(
            Metric::Undeclared,
            None,
            |c| (c.n_undeclared, c.n),
            [2, 0],
            "have members no contract declares",
            out,
        );
        self.share(
            Metric::Repeated,
            None,
            |c| (c.n_repeated, c.n_arrived()),
            [2, 0],
            "repeat another of their delivery",
            out,
        );
        self.late(out);
        if plan.is_none_or(|plan| !plan.contract.allow_future) {
            self.clock(out);
        }
        self.volume(out);
        for (at, field) in plan.map(|plan| plan.fields.as_slice()).unwrap_or_default().iter().enumerate() {
            let missing = |c: &Cell| (c.n - c.fields.get(at).map_or(0, |f| f.n_present), c.n);
            let says = format!("lack `{}`", field.path);
            self.share(Metric::Missing, Some(&field.path), missing, [2, 0], &says, out);
            // Time goes on: a new day is no news, and neither is a new key.
            let is_time = matches!(field.kind, "timestamp" | "date" | "time");
            if field.sealed.is_none() && !is_time && !field.unique {
                self.values(at, field, out);
            }
        }
    }

    /// Judges each bucket; neighbouring buckets that are out of range become one change.
    fn run(
        &self,
        metric: Metric,
        field: Option<&str>,
        mut judge: impl FnMut(&Cell) -> Option<Verdict>,
        mut learn: impl FnMut(&Cell),
        out: &mut Vec<Change>,
    ) {
        let mut open: Option<(Change, String)> = None;
        for (label, cell) in &self.buckets {
            let Some(verdict) = judge(cell) else {
                learn(cell);
                out.extend(open.take().map(finish));
                continue;
            };
            match &mut open {
                Some((change, _)) if change.gravity == verdict.gravity => {
                    change.until = (*label).to_owned();
                    change.n += verdict.n;
                    change.of += verdict.of;
                    change.surprise = change.surprise.max(verdict.surprise);
                }
                _ => {
                    out.extend(open.take().map(finish));
                    let change = Change {
                        stream: self.stream.to_owned(),
                        source: self.source.to_owned(),
                        field: field.map(str::to_owned),
                        metric,
                        since: (*label).to_owned(),
                        until: (*label).to_owned(),
                        n: verdict.n,
                        of: verdict.of,
                        expected: verdict.expected,
                        gravity: verdict.gravity,
                        code: code(verdict.gravity),
                        message: String::new(),
                        surprise: verdict.surprise,
                    };
                    open = Some((change, verdict.says));
                }
            }
        }
        out.extend(open.take().map(finish));
    }

    /// A share with a gravity for more and one for less.
    fn share(
        &self,
        metric: Metric,
        field: Option<&str>,
        of: impl Fn(&Cell) -> (u64, u64),
        gravity: [u8; 2],
        says: &str,
        out: &mut Vec<Change>,
    ) {
        if self.buckets.iter().all(|(_, cell)| of(cell).0 == 0) {
            return;
        }
        let history = std::cell::RefCell::new(Window::default());
        let judge = |cell: &Cell| {
            let (n, of) = of(cell);
            let range = history.borrow().all().judge(n, of).filter(|range| range.surprise >= 1.0)?;
            let is_more = n as f64 / of as f64 > range.middle;
            let [more, less] = gravity;
            Some(verdict(n, of, range, if is_more { more } else { less }, says.to_owned()))
        };
        let learn = |cell: &Cell| {
            let (n, of) = of(cell);
            history.borrow_mut().push(n, of);
        };
        self.run(metric, field, judge, learn, out);
    }

    fn refusals(&self, out: &mut Vec<Change>) {
        let whys: std::collections::BTreeSet<_> =
            self.buckets.iter().flat_map(|(_, cell)| cell.findings.keys()).collect();
        for why in whys {
            let (code, field) = (&why.0, Some(why.1.as_str()).filter(|field| !field.is_empty()));
            let of = |cell: &Cell| (cell.findings.get(why).copied().unwrap_or_default(), cell.n_judged());
            let about = field.map(|field| format!(" at `{field}`")).unwrap_or_default();
            self.share(Metric::Refused, field, of, [3, 0], &format!("are refused with {code}{about}"), out);
        }
    }

    /// Later than twice what 99 of 100 records took before.
    fn late(&self, out: &mut Vec<Change>) {
        let seen = std::cell::RefCell::new(crate::Spread::default());
        let judge = |cell: &Cell| {
            let seen = seen.borrow();
            let limit = seen.quantile(0.99).filter(|_| seen.n() >= 100)?.mul_add(2.0, 60.0);
            let (n, of) = (cell.delays.beyond(limit).1, cell.delays.n());
            let share = n as f64 / of.max(1) as f64;
            let says = format!("came later than {}, which was rare before", seconds(limit));
            (of >= 30 && share > 0.05).then(|| Verdict {
                n,
                of,
                expected: (0.0, 0.05),
                surprise: share / 0.05,
                gravity: 2,
                says,
            })
        };
        self.run(Metric::Late, None, judge, |cell| seen.borrow_mut().merge(&cell.delays), out);
    }

    fn clock(&self, out: &mut Vec<Change>) {
        let judge = |cell: &Cell| {
            let share = cell.n_future as f64 / cell.n.max(1) as f64;
            let by = seconds(cell.ahead.quantile(0.5).unwrap_or_default());
            let says = format!(
                "say they happened after they came, half of them by {by} or more: the sender's clock is ahead"
            );
            (cell.n >= 10 && share > SKEWED).then(|| Verdict {
                n: cell.n_future,
                of: cell.n,
                expected: (0.0, SKEWED),
                surprise: share / SKEWED,
                gravity: 2,
                says,
            })
        };
        self.run(Metric::Clock, None, judge, |_| {}, out);
    }

    /// Half of what came at least before, or twice of what came at most; the last bucket may not be over yet.
    fn volume(&self, out: &mut Vec<Change>) {
        let last = self.buckets.last().map(|(label, _)| *label);
        let before = std::cell::RefCell::new(VecDeque::new());
        let at = std::cell::Cell::new(0_usize);
        let judge = |cell: &Cell| {
            let label = self.buckets.get(at.get()).map(|(label, _)| *label);
            at.set(at.get() + 1);
            let before = before.borrow();
            if before.len() < 6 {
                return None;
            }
            let (least, most) = (before.iter().min().copied()?, before.iter().max().copied()?);
            let n = cell.n_arrived();
            let says = format!("records came, where {} to {} came before", count(least), count(most));
            let gravity = if n * 2 < least && label != last {
                2
            } else if n > most.saturating_mul(2) {
                1
            } else {
                return None;
            };
            let surprise = (n.max(1) as f64 / most.max(1) as f64).max(least as f64 / n.max(1) as f64);
            Some(Verdict { n, of: 0, expected: (least as f64, most as f64), surprise, gravity, says })
        };
        let learn = |cell: &Cell| {
            let mut before = before.borrow_mut();
            before.push_back(cell.n_arrived());
            if before.len() > WINDOW {
                before.pop_front();
            }
        };
        self.run(Metric::Volume, None, judge, learn, out);
    }

    fn values(&self, at: usize, field: &Watched, out: &mut Vec<Change>) {
        let of = |cell: &Cell| cell.fields.get(at).map_or(0, |f| f.n_present);
        if self.buckets.iter().all(|(_, cell)| of(cell) == 0) {
            return;
        }
        let seen = std::cell::RefCell::new(Seen::default());
        let mut news = Vec::new();
        let judge = |cell: &Cell| seen.borrow().judge_news(cell.fields.get(at)?, &field.path);
        self.run(
            Metric::NewValue,
            Some(&field.path),
            judge,
            |cell| seen.borrow_mut().learn(cell.fields.get(at)),
            &mut news,
        );
        let seen = std::cell::RefCell::new(Seen::default());
        if field.is_number {
            let judge = |cell: &Cell| seen.borrow().judge_ends(cell.fields.get(at)?, &field.path);
            let learn = |cell: &Cell| seen.borrow_mut().learn(cell.fields.get(at));
            self.run(Metric::OutOfRange, Some(&field.path), judge, learn, &mut news);
        }
        // A new value changes the shares of all others: that is no further news.
        let is_told = |change: &Change| {
            news.iter().any(|new: &Change| new.since <= change.since && change.since <= new.until)
        };
        let mut shifts = Vec::new();
        let seen = std::cell::RefCell::new(Seen::default());
        let judge = |cell: &Cell| seen.borrow().judge_share(cell.fields.get(at)?, &field.path);
        let learn = |cell: &Cell| seen.borrow_mut().learn(cell.fields.get(at));
        self.run(Metric::Share, Some(&field.path), judge, learn, &mut shifts);
        if field.is_number {
            let seen = std::cell::RefCell::new(Seen::default());
            let judge = |cell: &Cell| seen.borrow().judge_shift(cell.fields.get(at)?, &field.path);
            let learn = |cell: &Cell| seen.borrow_mut().learn(cell.fields.get(at));
            self.run(Metric::Shift, Some(&field.path), judge, learn, &mut shifts);
        }
        shifts.retain(|change| !is_told(change));
        out.append(&mut news);
        out.append(&mut shifts);
    }
}

/// The page that says what to do: of what was promised its own.
pub(crate) fn code_of(metric: Metric, gravity: u8) -> Option<&'static str> {
    match metric {
        Metric::Latency => Some("MR2103"),
        Metric::Stale => Some("MR2104"),
        Metric::Overdue => Some("MR2105"),
        Metric::Rule => Some("MR2106"),
        _ => code(gravity),
    }
}

/// MR2101, MR2102, explained in docs/errors.
fn code(gravity: u8) -> Option<&'static str> {
    match gravity {
        3 => Some("MR2101"),
        2 => Some("MR2102"),
        _ => None,
    }
}

fn finish((mut change, says): (Change, String)) -> Change {
    let when = change.when();
    change.message = if change.of == 0 {
        format!("{when}: {} {says}", count(change.n))
    } else {
        let share = change.n as f64 / change.of as f64;
        let (low, high) = change.expected;
        let expected = match change.metric {
            Metric::NewValue | Metric::OutOfRange | Metric::Clock | Metric::Late => String::new(),
            _ => format!("; {} to {} were to be expected", percent(low), percent(high)),
        };
        let (n, of) = (count(change.n), count(change.of));
        format!("{when}: {n} of {of} records ({}) {says}{expected}", percent(share))
    };
    change
}

/// `15.8 %`
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// `1,579`
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number in few characters.
pub(crate) fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.0}")
    } else {
        format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}
