//! Cells into a report: five dimensions per stream, its fields, its buckets, and what changed.

use std::collections::BTreeMap;

use event::Instant;
use serde::Serialize;

use crate::cell::Cell;
use crate::change::{self, Change};
use crate::cover::Cover;
use crate::fold::{CellKey, key_name};
use crate::plan::{Plan, Plans};
use crate::promised::{self, PromiseReport};
use crate::relation::{KeySample, RelationReport, sample_name};
use crate::ruled::{self, RuleReport};

const DAY: i64 = 86_400_000_000;

/// The day of an instant, in days since 1970, UTC.
pub fn day_of(at: Instant) -> i32 {
    i32::try_from(at.micros().div_euclid(DAY)).unwrap_or_default()
}

/// How wide a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// A day, UTC.
    Day,
    /// A week from Monday on.
    Week,
    /// A month.
    Month,
}

impl By {
    /// `day`, `week`, `month`
    pub fn read(text: &str) -> Option<Self> {
        match text {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            _ => None,
        }
    }

    /// What the bucket of a day is called; names sort as the buckets do.
    pub fn label(self, day: i32) -> String {
        let date = jiff::civil::date(1970, 1, 1)
            .checked_add(jiff::Span::new().days(i64::from(day)))
            .unwrap_or(jiff::civil::Date::ZERO);
        match self {
            Self::Day => date.to_string(),
            Self::Week => {
                let week = date.iso_week_date();
                format!("{}-W{:02}", week.year(), week.week())
            }
            Self::Month => format!("{:04}-{:02}", date.year(), date.month()),
        }
    }
}

/// What to report.
#[derive(Clone, Debug)]
pub struct Options {
    /// How wide a bucket is.
    pub by: By,
    /// Only records of these days of event time.
    pub days: (i32, i32),
    /// The instant of the report, for freshness.
    pub now: Instant,
}

/// How good the data is.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What changed, the first first.
    pub changes: Vec<Change>,
    /// By stream.
    pub streams: Vec<StreamReport>,
    /// How streams agree with each other.
    pub relations: Vec<RelationReport>,
}

/// One of the five dimensions.
#[derive(Clone, Debug, Serialize)]
pub struct Dimension {
    /// `completeness`, `accuracy`, `timeliness`, `consistency`, `uniqueness`
    pub name: &'static str,
    /// Between 0 and 1; null where nothing can be said.
    pub score: Option<f64>,
    /// What it is made of.
    pub says: String,
}

/// One stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamReport {
    /// Its name.
    pub stream: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Everything that came.
    pub n_arrived: u64,
    /// What of it was accepted.
    pub n_accepted: u64,
    /// What was refused on arrival.
    pub n_refused: u64,
    /// What of that was mended since, and is among the accepted.
    pub n_mended: u64,
    /// What repeated a row of its own delivery.
    pub n_repeated: u64,
    /// The five dimensions.
    pub dimensions: Vec<Dimension>,
    /// Refused records by the code and field of their first finding.
    pub refused: Vec<(String, String, u64)>,
    /// By field.
    pub fields: Vec<FieldReport>,
    /// Service levels of the contract, and whether they were kept.
    pub promises: Vec<PromiseReport>,
    /// Rules of the contract about many records, over the accepted ones.
    pub rules: Vec<RuleReport>,
    /// By source, with the records it brought.
    pub sources: BTreeMap<String, u64>,
    /// By bucket of event time.
    pub buckets: Vec<Bucket>,
}

/// One field.
#[derive(Clone, Debug, Serialize)]
pub struct FieldReport {
    /// Its path.
    pub field: String,
    /// Its type.
    pub kind: &'static str,
    /// True where only its presence is seen.
    pub sealed: bool,
    /// The share of accepted records that have it.
    pub completeness: f64,
    /// Refused records in which it broke a rule.
    pub n_refused: u64,
    /// Accepted records in which it breaks today's contract.
    pub n_broken: u64,
    /// How many distinct values.
    pub n_distinct: Option<u64>,
    /// True where that number is exact.
    pub exact: bool,
    /// Least, median and greatest of numbers, or of the lengths of texts.
    pub spread: Option<(f64, f64, f64)>,
    /// The most frequent values; of many distinct ones there is no such list.
    pub top: Vec<(String, u64)>,
}

/// One bucket of time.
#[derive(Clone, Debug, Serialize)]
pub struct Bucket {
    /// `2026-01`
    pub label: String,
    /// Records accepted.
    pub n_accepted: u64,
    /// Records refused.
    pub n_refused: u64,
    /// Rows that repeated another.
    pub n_repeated: u64,
    /// Findings of refused records as `CODE field`; one record may have several.
    pub findings: BTreeMap<String, u64>,
    /// Values missing of accepted records, by field where any is.
    pub missing: BTreeMap<String, u64>,
}

/// What the tables of all partitions hold, merged.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// By stream, source and day.
    pub cells: BTreeMap<CellKey, Cell>,
    /// By `stream.field`, or `stream key a+b`.
    pub keys: BTreeMap<String, KeySample>,
    /// When each stream had something fresh.
    pub covers: BTreeMap<String, Cover>,
}

/// Puts together what was seen.
pub fn report(plans: &Plans, seen: &Gathered, options: &Options) -> Report {
    let (first, last) = options.days;
    let keys = &seen.keys;
    let cells: Vec<_> = seen.cells.iter().filter(|(key, _)| (first..=last).contains(&key.day)).collect();
    let mut by_stream: BTreeMap<&str, Vec<(&CellKey, &Cell)>> = BTreeMap::new();
    for (key, cell) in cells {
        by_stream.entry(&key.stream).or_default().push((key, cell));
    }
    let relations: Vec<RelationReport> = plans
        .relations
        .iter()
        .filter(|relation| by_stream.contains_key(relation.from.0.as_str()))
        .map(|relation| {
            let side = |(stream, fields): &(String, Vec<String>)| keys.get(&sample_name(stream, fields));
            RelationReport::of(relation, side(&relation.from), side(&relation.to))
        })
        .collect();
    let mut changes = Vec::new();
    let mut streams = Vec::new();
    for (stream, cells) in by_stream {
        let plan = plans.named(stream);
        changes.extend(change::of_stream(stream, plan, &cells, options.by));
        let mut report = of_stream(stream, plan, &cells, keys, &relations, options);
        if let Some(plan) = plan {
            let (promises, broken) = promised::of_stream(plan, &cells, seen.covers.get(stream), options);
            changes.extend(broken);
            report.promises = promises;
            let buckets = buckets(&cells, options.by);
            let mut all = Cell::default();
            cells.iter().for_each(|(_, cell)| all.merge(cell));
            report.rules = ruled::report(plan, &all, &buckets, keys);
            changes.extend(promised::broken_rules(plan, &report.rules, &buckets));
        }
        streams.push(report);
    }
    changes.extend(relations.iter().filter_map(change::of_relation));
    change::sort(&mut changes);
    Report { changes, streams, relations }
}

fn of_stream(
    stream: &str,
    plan: Option<&Plan>,
    cells: &[(&CellKey, &Cell)],
    keys: &BTreeMap<String, KeySample>,
    relations: &[RelationReport],
    options: &Options,
) -> StreamReport {
    let mut all = Cell::default();
    let mut sources = BTreeMap::new();
    let buckets = buckets(cells, options.by);
    for (key, cell) in cells {
        all.merge(cell);
        *sources.entry(key.source.clone()).or_default() += cell.n_arrived();
    }
    let mut refused: Vec<_> =
        all.first_findings.iter().map(|((code, field), n)| (code.clone(), field.clone(), *n)).collect();
    refused.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.cmp(b)));
    StreamReport {
        stream: stream.to_owned(),
        owner: plan.and_then(|plan| plan.contract.owner.clone()),
        n_arrived: all.n_arrived(),
        n_accepted: all.n,
        n_refused: all.n_refused,
        n_mended: all.n_mended,
        n_repeated: all.n_repeated,
        dimensions: dimensions(stream, plan, &all, keys, relations, options.now),
        refused,
        fields: plan.map(|plan| fields(plan, &all)).unwrap_or_default(),
        promises: Vec::new(),
        rules: Vec::new(),
        sources,
        buckets: buckets.iter().map(|(label, cell)| bucket(label, plan, cell)).collect(),
    }
}

fn buckets(cells: &[(&CellKey, &Cell)], by: By) -> BTreeMap<String, Cell> {
    let mut buckets: BTreeMap<String, Cell> = BTreeMap::new();
    for (key, cell) in cells {
        buckets.entry(by.label(key.day)).or_default().merge(cell);
    }
    buckets
}

fn bucket(label: &str, plan: Option<&Plan>, cell: &Cell) -> Bucket {
    let named = |(code, field): &(String, String)| format!("{code} {field}").trim_end().to_owned();
    let fields = plan.map(|plan| plan.fields.as_slice()).unwrap_or_default();
    let missing =
        fields.iter().zip(&cell.fields).map(|(field, seen)| (field.path.clone(), cell.n - seen.n_present));
    Bucket {
        label: label.to_owned(),
        n_accepted: cell.n,
        n_refused: cell.n_refused,
        n_repeated: cell.n_repeated,
        findings: cell.findings.iter().map(|(why, n)| (named(why), *n)).collect(),
        missing: missing.filter(|(_, n)| *n > 0).collect(),
    }
}

fn fields(plan: &Plan, all: &Cell) -> Vec<FieldReport> {
    let nothing = crate::FieldCell::default();
    let mut out = Vec::new();
    for (at, field) in plan.fields.iter().enumerate() {
        let seen = all.fields.get(at).unwrap_or(&nothing);
        let about = |found: &str| found == field.path || found.starts_with(&format!("{}[", field.path));
        let n_refused = all.findings.iter().filter(|((_, found), _)| about(found)).map(|(_, n)| n).sum();
        let has_values = field.sealed.is_none() && seen.values.n() > 0;
        let has_sizes = field.is_number || matches!(field.kind, "string" | "array");
        let spread = seen.spread.ends().zip(seen.spread.quantile(0.5)).filter(|_| has_sizes);
        let is_short = seen.values.is_exact();
        let top = seen.values.top();
        out.push(FieldReport {
            field: field.path.clone(),
            kind: field.kind,
            sealed: field.sealed.is_some(),
            completeness: share(seen.n_present, all.n).unwrap_or(0.0),
            n_refused,
            n_broken: seen.n_broken,
            n_distinct: has_values.then(|| seen.values.n_distinct()),
            exact: is_short,
            spread: spread.map(|((low, high), middle)| (low, middle, high)),
            top: if is_short {
                top.iter().take(5).map(|(text, n)| ((*text).to_owned(), *n)).collect()
            } else {
                Vec::new()
            },
        });
    }
    out
}

fn share(n: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| n as f64 / of as f64)
}

fn dimensions(
    stream: &str,
    plan: Option<&Plan>,
    all: &Cell,
    keys: &BTreeMap<String, KeySample>,
    relations: &[RelationReport],
    now: Instant,
) -> Vec<Dimension> {
    let said = |name, score, says| Dimension { name, score, says };
    let arrived = all.n_judged();
    let n_fields = plan.map_or(0, |plan| plan.fields.len()) as u64;
    let n_present: u64 = all.fields.iter().map(|field| field.n_present).sum();
    let complete = share(n_present, all.n * n_fields);
    let n_broken: u64 = all.fields.iter().map(|field| field.n_broken).max().unwrap_or_default();
    let accurate = share(all.n.saturating_sub(n_broken), arrived);
    let late = all.delays.quantile(0.5).zip(all.delays.quantile(0.99));
    let timely = match late {
        Some((middle, most)) => {
            let within = all.delays.n() - all.delays.beyond(3_600.0).1;
            let says = format!("half known within {}, 99 % within {}", seconds(middle), seconds(most));
            (share(within, all.delays.n()), says)
        }
        None => (None, "only imports: when they were known says nothing".to_owned()),
    };
    let fresh = all.known.map_or(String::new(), |(_, last)| {
        let ago = (now - last).micros() / 1_000_000;
        format!("; the latest came {} ago", seconds(ago.max(0) as f64))
    });
    let mine: Vec<_> = relations.iter().filter(|r| r.from.starts_with(&format!("{stream}."))).collect();
    let judged: Vec<_> = mine.iter().filter(|r| r.not_judged.is_none()).collect();
    let (orphans, compared) = judged.iter().fold((0, 0), |(o, c), r| (o + r.n_orphans, c + r.n_compared));
    let consistent = if judged.is_empty() {
        (
            None,
            if mine.is_empty() {
                "the contract declares no relationship"
            } else {
                "no relationship can be judged"
            }
            .to_owned(),
        )
    } else {
        let says = format!("{orphans} of {compared} values compared have nothing on the other side");
        (share(compared - orphans, compared), says)
    };
    let unique = unique(stream, plan, all, keys);
    vec![
        said(
            "completeness",
            complete,
            format!("{n_present} of {} values of accepted records are there", all.n * n_fields),
        ),
        said(
            "accuracy",
            accurate,
            format!(
                "{} of {arrived} records refused ({} of them mended since), {n_broken} accepted ones break today's contract",
                all.n_refused, all.n_mended
            ),
        ),
        said("timeliness", timely.0, format!("{}{fresh}", timely.1)),
        said("consistency", consistent.0, consistent.1),
        said("uniqueness", unique.0, unique.1),
    ]
}

fn unique(
    stream: &str,
    plan: Option<&Plan>,
    all: &Cell,
    keys: &BTreeMap<String, KeySample>,
) -> (Option<f64>, String) {
    let mut says = vec![format!("{} rows repeated another of their delivery", all.n_repeated)];
    let mut score = share(all.n_judged(), all.n_arrived());
    for key in plan.map(|plan| plan.keys.as_slice()).unwrap_or_default() {
        let fields: Vec<_> = key.iter().filter_map(|at| plan?.fields.get(*at)).collect();
        let Some(sample) = keys.get(&key_name(stream, &fields)) else { continue };
        let (repeats, of) = sample.repeats();
        let names: Vec<_> = fields.iter().map(|field| field.path.as_str()).collect();
        let about = if sample.is_exact() { "" } else { " (an even sample of the keys)" };
        says.push(format!("{repeats} of {of} values of `{}` repeat another{about}", names.join("+")));
        score = match (score, share(of - repeats, of)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    (score, says.join("; "))
}

/// `3 d 4 h`, `12 s`
pub(crate) fn seconds(n: f64) -> String {
    let n = n.round() as u64;
    match n {
        0..=119 => format!("{n} s"),
        120..=7_199 => format!("{} min", n / 60),
        7_200..=172_799 => format!("{} h", n / 3_600),
        _ => format!("{} d", n / 86_400),
    }
}
