//! Rules of contracts about many records, judged as records come: which of them the fold can count, and what they came to.

use std::collections::BTreeMap;

use contract::metric::{Metric, Rule, Unit};
use contract::{Contract, Contracts, Finding, Severity};
use event::{StreamName, Version};
use serde::Serialize;

use crate::cell::Cell;
use crate::fold::key_name;
use crate::plan::{Plan, Watched};
use crate::relation::KeySample;

/// How a rule is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Record by record, from its open fields.
    Counted,
    /// From the presence of a field, at this place of the plan; also where it is sealed.
    Present(usize),
    /// From the sample of a key's values, with these places.
    Keys(Vec<usize>),
    /// All records.
    Rows,
    /// Not at all, and why.
    Not(String),
}

/// What a rule came to over the records asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleReport {
    /// Its name.
    pub rule: String,
    /// The metric.
    pub metric: &'static str,
    /// The version of the contract whose rule it is.
    pub version: Version,
    /// The figure, in rows or percent of all accepted records; null where it is not judged.
    pub figure: Option<f64>,
    /// Rows or percent.
    pub unit: Unit,
    /// What it must be.
    pub must_be: String,
    /// Whether it is; null where it is not judged.
    pub holds: Option<bool>,
    /// False where the figure is of an even sample of the values.
    pub exact: bool,
    /// True where a breach is a warning only.
    pub is_warning: bool,
    /// The bucket since which it has not held.
    pub since: Option<String>,
    /// Why it is not judged.
    pub not_judged: Option<String>,
}

/// How each rule of a contract is counted.
pub(crate) fn plan(contract: &Contract, fields: &[Watched]) -> Vec<How> {
    contract.rules.iter().map(|rule| of(rule, fields)).collect()
}

fn of(rule: &Rule, fields: &[Watched]) -> How {
    let place = |path: &str| {
        fields.iter().position(|field| {
            path.strip_prefix(field.path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let places: Option<Vec<usize>> = rule.metric.fields().iter().map(|path| place(path.as_str())).collect();
    let Some(places) = places else {
        return How::Not("one of its fields is not watched by itself".to_owned());
    };
    let sealed = places.iter().filter_map(|at| fields.get(*at)).find(|field| field.sealed.is_some());
    match (&rule.metric, places.as_slice(), sealed) {
        (Metric::Rows, ..) => How::Rows,
        (Metric::Null(path), [at], _) if fields.get(*at).is_some_and(|field| field.path == path.as_str()) => {
            How::Present(*at)
        }
        (_, _, Some(field)) => How::Not(format!(
            "`{}` is personal and sealed: its values are seen on arrival only; `contract judge` judges a file",
            field.path
        )),
        (Metric::Duplicate(_), places, None) => How::Keys(places.to_vec()),
        _ => How::Counted,
    }
}

/// What no fold can judge of these contracts, and why: MR1127 of rules, MR1128 of relationships.
pub fn unjudged(contracts: &Contracts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for contract in contracts.iter() {
        let plan = Plan::new(contract);
        let mut say = |code: &'static str, severity, line: u32, message: String| {
            findings.push(Finding {
                code,
                severity,
                stream: contract.stream.to_string(),
                field: None,
                message,
                file: Some(contract.file.clone()),
                line: Some(line),
            });
        };
        for (rule, how) in contract.rules.iter().zip(&plan.rules) {
            if let How::Not(why) = how {
                let message = format!("the rule `{}` is not judged as records come: {why}", rule.name);
                say("MR1127", Severity::Info, rule.line, message);
            }
        }
        for one in &contract.relationships {
            let (from, to) = (one.from.join("+"), format!("{}.{}", one.stream, one.fields.join("+")));
            let what = format!("the relationship of `{from}` with `{to}` is not judged");
            let other = contracts.newest(&StreamName::new(&one.stream));
            let missing =
                |of: &Contract, fields: &[String]| fields.iter().find(|f| of.field(f).is_none()).cloned();
            let is_sealed = |of: &Contract, fields: &[String]| {
                fields.iter().any(|f| of.field(f).is_some_and(|field| field.effective.is_sealed()))
            };
            let (severity, why) = match other {
                None => (Severity::Error, format!("no contract describes the stream `{}`", one.stream)),
                Some(other) => match (missing(contract, &one.from), missing(other, &one.fields)) {
                    (Some(field), _) => (Severity::Error, format!("there is no field `{field}` here")),
                    (_, Some(field)) => (Severity::Error, format!("`{}` has no field `{field}`", one.stream)),
                    _ if is_sealed(contract, &one.from) || is_sealed(other, &one.fields) => {
                        (Severity::Info, "one side is personal and sealed".to_owned())
                    }
                    _ => continue,
                },
            };
            say("MR1128", severity, one.line, format!("{what}: {why}"));
        }
    }
    findings
}

/// What the rules of a stream came to.
///
/// * `buckets`: by label, in the order of time
pub(crate) fn report(
    plan: &Plan,
    all: &Cell,
    buckets: &BTreeMap<String, Cell>,
    keys: &BTreeMap<String, KeySample>,
) -> Vec<RuleReport> {
    let judged = plan.contract.rules.iter().zip(&plan.rules).enumerate();
    judged.map(|(at, (rule, how))| one(plan, at, rule, how, all, buckets, keys)).collect()
}

fn one(
    plan: &Plan,
    at: usize,
    rule: &Rule,
    how: &How,
    all: &Cell,
    buckets: &BTreeMap<String, Cell>,
    keys: &BTreeMap<String, KeySample>,
) -> RuleReport {
    let mut report = RuleReport {
        rule: rule.name.clone(),
        metric: rule.metric.as_str(),
        version: plan.contract.version,
        figure: None,
        unit: rule.unit,
        must_be: rule.bound.words(),
        holds: None,
        exact: true,
        is_warning: rule.is_warning,
        since: None,
        not_judged: None,
    };
    let figure = |n: f64, of: u64| match rule.unit {
        Unit::Rows => n,
        Unit::Percent if of == 0 => 0.0,
        Unit::Percent => 100.0 * n / of as f64,
    };
    let count = |cell: &Cell| match how {
        How::Present(place) => cell.n - cell.fields.get(*place).map_or(0, |field| field.n_present),
        How::Rows => cell.n,
        _ => cell.rules.get(at).copied().unwrap_or_default(),
    };
    match how {
        How::Not(why) => {
            report.not_judged = Some(why.clone());
            return report;
        }
        How::Keys(places) => {
            let fields: Vec<&Watched> = places.iter().filter_map(|at| plan.fields.get(*at)).collect();
            let sample = keys.get(&key_name(plan.contract.stream.as_str(), &fields));
            let (repeats, of) = sample.map(KeySample::repeats).unwrap_or_default();
            report.exact = sample.is_none_or(KeySample::is_exact);
            // Of a sample: as many of all values with a key as of those in it.
            let n = match sample {
                Some(sample) if !report.exact && of > 0 => {
                    (repeats as f64 * sample.n() as f64 / of as f64).round()
                }
                _ => repeats as f64,
            };
            report.figure = Some(figure(n, all.n));
        }
        How::Counted | How::Present(_) | How::Rows => report.figure = Some(figure(count(all) as f64, all.n)),
    }
    let holds = report.figure.is_some_and(|figure| rule.bound.holds(figure));
    report.holds = Some(holds);
    // Since when can be said of what only grows away from what it must be.
    if !holds && matches!(how, How::Counted | How::Present(_)) && rule.bound.holds(0.0) {
        let (mut n, mut of) = (0, 0);
        for (label, cell) in buckets {
            n += count(cell);
            of += cell.n;
            let before = rule.bound.holds(figure(n as f64, of));
            if before {
                report.since = None;
            } else if report.since.is_none() {
                report.since = Some(label.clone());
            }
        }
    }
    report
}
