//! Service levels of contracts, judged as records come: what was promised of time, and where it was broken.

use std::collections::BTreeMap;

use contract::{Promise, Promised};
use event::{Instant, Span};
use serde::Serialize;

use crate::cell::Cell;
use crate::change::{Change, Metric, code_of, count, percent};
use crate::cover::Cover;
use crate::fold::CellKey;
use crate::plan::Plan;
use crate::report::{Options, day_of, seconds};
use crate::ruled::RuleReport;

/// Times without anything fresh that are told one by one; the latest.
const MOST_HOLES: usize = 10;

/// What became of one promise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PromiseReport {
    /// What it is about.
    pub what: Promised,
    /// As the contract has it: `latency 4 h`, with file and line.
    pub promised: String,
    /// Whether it was kept; null where nothing can be said yet.
    pub holds: Option<bool>,
    /// How often it was broken: records, or times.
    pub n_broken: u64,
    /// Of how many records; 0 where times are counted.
    pub of: u64,
    /// In one sentence.
    pub says: String,
}

/// What became of a stream's promises, and every breach as a change.
pub(crate) fn of_stream(
    plan: &Plan,
    cells: &[(&CellKey, &Cell)],
    cover: Option<&Cover>,
    options: &Options,
) -> (Vec<PromiseReport>, Vec<Change>) {
    let (mut reports, mut changes) = (Vec::new(), Vec::new());
    for promise in &plan.contract.promises {
        let (report, mut told) = match promise.what {
            Promised::Latency => latency(plan, promise, cells, options),
            Promised::Freshness => freshness(plan, promise, cover, options),
            Promised::Retention => retention(plan, promise, cells, options),
        };
        reports.push(report);
        changes.append(&mut told);
    }
    (reports, changes)
}

/// `latency 4 h (contracts/orders.yaml:31)`
fn quoted(plan: &Plan, promise: &Promise) -> String {
    format!("{} ({}:{})", promise.written, plan.contract.file, promise.line)
}

fn change(plan: &Plan, metric: Metric, source: &str, message: String) -> Change {
    Change {
        stream: plan.contract.stream.to_string(),
        source: source.to_owned(),
        field: None,
        metric,
        since: String::new(),
        until: String::new(),
        n: 0,
        of: 0,
        expected: (0.0, 0.0),
        gravity: 2,
        code: code_of(metric, 2),
        message,
        surprise: 0.0,
    }
}

fn latency(
    plan: &Plan,
    promise: &Promise,
    cells: &[(&CellKey, &Cell)],
    options: &Options,
) -> (PromiseReport, Vec<Change>) {
    let quoted = quoted(plan, promise);
    let (mut n_over, mut n) = (0, 0);
    let mut buckets: BTreeMap<(&str, String), (u64, u64)> = BTreeMap::new();
    for (key, cell) in cells {
        n_over += cell.n_over;
        n += cell.delays.n();
        let bucket = buckets.entry((&key.source, options.by.label(key.day))).or_default();
        bucket.0 += cell.n_over;
        bucket.1 += cell.delays.n();
    }
    let mut changes: Vec<Change> = Vec::new();
    let mut open = false;
    let mut last: Option<&str> = None;
    for ((source, label), (over, of)) in &buckets {
        open &= last == Some(source);
        last = Some(source);
        if *over == 0 {
            open &= *of == 0;
            continue;
        }
        if !open {
            changes.push(Change {
                since: label.clone(),
                ..change(plan, Metric::Latency, source, String::new())
            });
        }
        open = true;
        if let Some(change) = changes.last_mut() {
            change.until.clone_from(label);
            change.n += over;
            change.of += of;
            change.surprise = change.n as f64 / change.of.max(1) as f64;
        }
    }
    for change in &mut changes {
        change.message = format!(
            "{}: {} of {} records ({}) were known later than promised: {quoted}",
            change.when(),
            count(change.n),
            count(change.of),
            percent(change.n as f64 / change.of.max(1) as f64)
        );
    }
    let says = if n == 0 {
        "only imports: when they were known says nothing".to_owned()
    } else {
        format!("{} of {} records were known later", count(n_over), count(n))
    };
    let holds = (n > 0).then_some(n_over == 0);
    (PromiseReport { what: promise.what, promised: quoted, holds, n_broken: n_over, of: n, says }, changes)
}

fn freshness(
    plan: &Plan,
    promise: &Promise,
    cover: Option<&Cover>,
    options: &Options,
) -> (PromiseReport, Vec<Change>) {
    let quoted = quoted(plan, promise);
    let (first, last) = options.days;
    let mut holes = cover.map(|cover| cover.holes(options.now)).unwrap_or_default();
    holes.retain(|(from, until)| day_of(*until) >= first && day_of(*from) <= last);
    let longest = holes.iter().map(|(from, until)| *until - *from).max();
    let ongoing = holes.last().filter(|(_, until)| *until == options.now);
    let says = match (cover, longest) {
        (None, _) => "no record has come yet".to_owned(),
        (Some(_), None) => "something fresh was there at any time".to_owned(),
        (Some(_), Some(longest)) => {
            let now = ongoing.map(|(from, _)| format!("; not since {}", minutes(*from))).unwrap_or_default();
            let times = if holes.len() == 1 { "once".to_owned() } else { format!("{} times", holes.len()) };
            format!("nothing fresh was there {times}, {} at the longest{now}", long(longest))
        }
    };
    let told = holes.iter().rev().take(MOST_HOLES).rev();
    let changes = told.map(|(from, until)| {
        let is_now = *until == options.now;
        let till = if is_now { "and still is not".to_owned() } else { format!("until {}", minutes(*until)) };
        let message = format!(
            "nothing fresh enough was there from {} {till} ({}); promised: {quoted}",
            minutes(*from),
            long(*until - *from)
        );
        Change {
            since: options.by.label(day_of(*from)),
            until: options.by.label(day_of(*until)),
            n: 1,
            surprise: (*until - *from).micros() as f64 / promise.within.micros().max(1) as f64,
            ..change(plan, Metric::Stale, "", message)
        }
    });
    let changes = changes.collect();
    let report = PromiseReport {
        what: promise.what,
        promised: quoted,
        holds: cover.is_some_and(|cover| !cover.is_empty()).then_some(holes.is_empty()),
        n_broken: holes.len() as u64,
        of: 0,
        says,
    };
    (report, changes)
}

fn retention(
    plan: &Plan,
    promise: &Promise,
    cells: &[(&CellKey, &Cell)],
    options: &Options,
) -> (PromiseReport, Vec<Change>) {
    let quoted = quoted(plan, promise);
    // Days are kept whole: one is overdue when its last moment is.
    let due = day_of(options.now - promise.within);
    let n: u64 = cells.iter().map(|(_, cell)| cell.n).sum();
    let overdue = cells.iter().filter(|(key, cell)| key.day < due && cell.n > 0);
    let (n_overdue, first) = overdue.fold((0, None), |(n, first): (u64, Option<i32>), (key, cell)| {
        (n + cell.n, Some(first.map_or(key.day, |first| first.min(key.day))))
    });
    let says = match first {
        None => "nothing is kept for longer".to_owned(),
        Some(first) => format!(
            "{} of {} records are of before {} and kept for longer; the oldest is of {}",
            count(n_overdue),
            count(n),
            crate::report::By::Day.label(due),
            crate::report::By::Day.label(first)
        ),
    };
    let changes = first.map(|first| Change {
        since: options.by.label(first),
        until: options.by.label(due),
        n: n_overdue,
        of: n,
        ..change(plan, Metric::Overdue, "", format!("{says}; promised: {quoted}"))
    });
    let changes = changes.into_iter().collect();
    let holds = (n > 0).then_some(n_overdue == 0);
    (PromiseReport { what: promise.what, promised: quoted, holds, n_broken: n_overdue, of: n, says }, changes)
}

/// Rules of the contract that do not hold, as changes.
pub(crate) fn broken_rules(
    plan: &Plan,
    rules: &[RuleReport],
    buckets: &BTreeMap<String, Cell>,
) -> Vec<Change> {
    let broken = rules.iter().zip(&plan.contract.rules).filter(|(report, _)| report.holds == Some(false));
    broken
        .map(|(report, rule)| {
            let unit = if report.unit == contract::metric::Unit::Percent { " %" } else { "" };
            let figure = report.figure.map_or_else(String::new, crate::change::short);
            let about = if report.exact { "" } else { "about " };
            let message = format!(
                "the rule `{}` does not hold: it is {about}{figure}{unit} and must be {}{unit} ({} {}, {}:{})",
                report.rule, report.must_be, plan.contract.stream, report.version, plan.contract.file, rule.line
            );
            let gravity = if report.is_warning { 1 } else { 3 };
            let last = buckets.keys().next_back().cloned();
            Change {
                field: rule.metric.fields().first().map(|path| path.as_str().to_owned()),
                since: report.since.clone().or_else(|| last.clone()).unwrap_or_default(),
                until: last.unwrap_or_default(),
                n: report.figure.filter(|_| unit.is_empty()).unwrap_or_default() as u64,
                gravity,
                code: (!report.is_warning).then_some("MR2106"),
                ..change(plan, Metric::Rule, "", message)
            }
        })
        .collect()
}

/// `2026-03-01T10:05Z`: what is kept to the minute is told to the minute.
fn minutes(at: Instant) -> String {
    let text = at.to_string();
    text.strip_suffix(":00Z").map_or(text.clone(), |text| format!("{text}Z"))
}

fn long(span: Span) -> String {
    seconds(span.micros() as f64 / 1e6)
}
