//! Tests of features as files: records that somebody made up, and the values that must come of them.
//!
//! A fixture holds nobody's data, so it needs no grant; and it reaches evaluation only with the rows of its own file.
//! Each expectation is computed twice, as served online and as of the past, and both must say the same (LAW 5).

use std::collections::{BTreeMap, BTreeSet};

use contract::{Bound, Contract, Contracts, Finding, Severity};
use event::{Instant, Payload, Record, RecordId, Subject};
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::evaluate::Evaluator;
use crate::rows::Rows;
use crate::suggest::{short, suggestion};
use crate::value::Value;
use crate::{Context, View, Views, yaml};

/// The file cannot be read, or names what there is not.
const FILE: &str = "MR4017";
/// A value is not what is expected.
const VALUE: &str = "MR4018";
/// A made-up record breaks the stream's contract.
const RECORD: &str = "MR4019";

/// How far a number may lie from the expected one, relatively: fixtures are written by people.
const SLACK: f64 = 1e-9;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFixture {
    view: Spanned<String>,
    #[serde(default)]
    test: Option<String>,
    #[serde(default)]
    records: Vec<RawRecord>,
    expect: Vec<RawExpected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecord {
    at: Spanned<String>,
    #[serde(default)]
    known: Option<Spanned<String>>,
    #[serde(default = "one")]
    of: String,
    /// As it would be delivered.
    #[serde(default)]
    record: Option<serde_json::Value>,
    /// As its contract names it.
    #[serde(default)]
    fields: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpected {
    at: Spanned<String>,
    #[serde(default)]
    of: Vec<String>,
    #[serde(default)]
    context: BTreeMap<String, serde_json::Value>,
    /// The segments they belong to; to all others they do not.
    #[serde(default)]
    segments: Vec<Spanned<String>>,
    values: BTreeMap<String, serde_json::Value>,
}

fn one() -> String {
    "one".to_owned()
}

/// What running a fixture found.
#[derive(Clone, Debug, Default)]
pub struct Tested {
    /// Values that were compared.
    pub n_values: usize,
    /// The view it is about, as `orders@1`; `None` where there is none.
    pub view: Option<String>,
    /// Features of it of which every expected value came out,
    pub features: BTreeSet<String>,
    /// and those of which one did not.
    pub failed: BTreeSet<String>,
    /// What is wrong; each an error.
    pub findings: Vec<Finding>,
}

struct Run<'f> {
    file: &'f str,
    name: String,
    stream: String,
    tested: Tested,
}

impl Run<'_> {
    fn wrong(&mut self, code: &'static str, line: u32, message: String) {
        self.tested.findings.push(Finding {
            code,
            severity: Severity::Error,
            stream: self.stream.clone(),
            field: None,
            message: format!("{}{message}", self.name),
            file: Some(self.file.to_owned()),
            line: Some(line).filter(|line| *line > 0),
        });
    }

    fn instant(&mut self, text: &Spanned<String>) -> Option<Instant> {
        match text.value.parse() {
            Ok(instant) => Some(instant),
            Err(error) => {
                self.wrong(FILE, line(text), format!("{error}"));
                None
            }
        }
    }
}

fn line<T>(of: &Spanned<T>) -> u32 {
    u32::try_from(of.referenced.line()).unwrap_or_default()
}

/// Runs a fixture's file against the views and contracts it names.
pub fn run_fixture(text: &str, file: &str, views: &Views, contracts: &Contracts) -> Tested {
    let mut run = Run { file, name: String::new(), stream: String::new(), tested: Tested::default() };
    let raw: RawFixture = match yaml::parse(text) {
        Ok(raw) => raw,
        Err((line, message)) => {
            run.wrong(FILE, line.unwrap_or_default(), format!("not a feature test: {message}"));
            return run.tested;
        }
    };
    run.name = raw.test.as_deref().map(|name| format!("`{}`: ", short(name))).unwrap_or_default();
    let Some(view) = views.find(&raw.view.value) else {
        let names: Vec<String> = views.iter().map(|view| view.name().to_owned()).collect();
        let hint = suggestion(names.iter().map(String::as_str), &raw.view.value);
        let message = format!("there is no feature view `{}`{hint}", short(&raw.view.value));
        run.wrong(FILE, line(&raw.view), message);
        return run.tested;
    };
    run.stream = view.stream().to_string();
    run.tested.view = Some(view.reference());
    if let Some(contract) = contracts.newest(view.stream()) {
        run.records(&raw.records, view, contract, &raw.expect);
    }
    run.tested
}

fn subject(name: &str) -> Subject {
    let id = RecordId::external("feature fixture", name.as_bytes());
    Subject::from_bytes(*id.as_bytes())
}

impl Run<'_> {
    fn records(&mut self, raw: &[RawRecord], view: &View, contract: &Contract, expect: &[RawExpected]) {
        let mut made: Vec<(String, Record, serde_json::Value)> = Vec::new();
        for (n, one) in raw.iter().enumerate() {
            let Some(occurred_at) = self.instant(&one.at) else { continue };
            let Some(known_at) = one.known.as_ref().map_or(Some(occurred_at), |known| self.instant(known))
            else {
                continue;
            };
            let fields = match (&one.record, &one.fields) {
                (Some(record), None) => contract.bind(record),
                (None, Some(fields)) => fields.clone(),
                _ => {
                    let wanted = "a record has either `fields`, as the contract names them, or a `record`, as delivered";
                    self.wrong(FILE, line(&one.at), format!("record {}: {wanted}", n + 1));
                    continue;
                }
            };
            for finding in contract.check(&fields).into_iter().filter(Finding::is_error) {
                self.wrong(RECORD, line(&one.at), format!("record {}: {}", n + 1, finding.message));
            }
            let record = Record {
                id: RecordId::external("feature fixture record", &(n as u64).to_le_bytes()),
                stream: view.stream().clone(),
                contract: contract.version,
                subject: subject(&one.of),
                occurred_at,
                known_at,
                batch: None,
                cause: None,
                source: None,
                key_epoch: 0,
                payload: Payload::default(),
            };
            made.push((one.of.clone(), record, fields));
        }
        if !self.tested.findings.is_empty() {
            return;
        }
        // Known in this order, as the folds get them.
        made.sort_by_key(|(_, record, _)| record.known_at);
        for expected in expect {
            self.expected(expected, view, &made);
        }
        let Tested { features, failed, .. } = &mut self.tested;
        features.retain(|feature| !failed.contains(feature));
    }

    fn expected(
        &mut self,
        expected: &RawExpected,
        view: &View,
        made: &[(String, Record, serde_json::Value)],
    ) {
        let at_line = line(&expected.at);
        let Some(at) = self.instant(&expected.at) else { return };
        let own = [one()];
        let of: BTreeSet<&String> =
            if expected.of.is_empty() { own.iter().collect() } else { expected.of.iter().collect() };
        let mut belongs: BTreeMap<String, bool> =
            view.segments().iter().map(|name| (name.clone(), false)).collect();
        for named in &expected.segments {
            match belongs.get_mut(&named.value) {
                Some(holds) => *holds = true,
                None => {
                    let (view, hint) =
                        (view.reference(), suggestion(belongs.keys().map(String::as_str), &named.value));
                    let message =
                        format!("view `{view}` asks for no segment `{}`{hint}", short(&named.value));
                    return self.wrong(FILE, line(named), message);
                }
            }
        }
        let context = Context::of_json(&expected.context).with_segments(&belongs);
        let said = match view.said(&context) {
            Ok(said) => said,
            Err(error) => return self.wrong(FILE, at_line, error.to_string()),
        };
        let inner = view.inner();
        let all = inner.plan.keeping_all();
        let mut served: BTreeMap<&String, Rows> = BTreeMap::new();
        let mut trained: BTreeMap<&String, Rows> = BTreeMap::new();
        for (name, record, fields) in made.iter().filter(|(name, ..)| of.contains(name)) {
            let Some(row) = view.row_of(&Bound { record, fields }) else { continue };
            trained.entry(name).or_default().add(row.as_ref(), &all);
            // Served at `at`: what is known later is not there yet.
            if record.known_at <= at {
                served.entry(name).or_default().add(row.as_ref(), &inner.plan);
            }
        }
        let evaluate = |rows: &BTreeMap<&String, Rows>| {
            let rows: Vec<&Rows> = rows.values().collect();
            Evaluator::new(inner).values(&rows, at.micros(), &said)
        };
        let (Ok(served), Ok(trained)) = (evaluate(&served), evaluate(&trained)) else {
            self.tested.failed.extend(expected.values.keys().cloned());
            return self.wrong(
                VALUE,
                at_line,
                format!("at {at} there is no longer enough to compute it from"),
            );
        };
        for (name, wanted) in &expected.values {
            let Some(place) = view.features().iter().position(|feature| feature.name() == name) else {
                let hint = suggestion(view.features().iter().map(|feature| feature.name()), name);
                let view = view.reference();
                self.wrong(FILE, at_line, format!("view `{view}` has no feature `{}`{hint}", short(name)));
                continue;
            };
            let (Some(value), Some(other)) = (served.get(place), trained.get(place)) else { continue };
            self.tested.n_values += 1;
            self.tested.features.insert(name.clone());
            if value != other {
                self.tested.failed.insert(name.clone());
                let message = format!("`{name}` at {at} is {value} as served and {other} as trained with");
                self.wrong(VALUE, at_line, message);
            } else if !is_same(value, wanted) {
                self.tested.failed.insert(name.clone());
                self.wrong(VALUE, at_line, format!("`{name}` at {at} is {value}, {wanted} is expected"));
            }
        }
    }
}

fn is_same(value: &Value, wanted: &serde_json::Value) -> bool {
    match (value, wanted) {
        (Value::Missing, serde_json::Value::Null) => true,
        (Value::Boolean(value), serde_json::Value::Bool(wanted)) => value == wanted,
        (Value::Text(value), serde_json::Value::String(wanted)) => **value == **wanted,
        (Value::Integer(_) | Value::Number(_), serde_json::Value::Number(wanted)) => {
            match (value.as_number(), wanted.as_f64()) {
                (Some(value), Some(wanted)) => (value - wanted).abs() <= SLACK * wanted.abs().max(1.0),
                _ => false,
            }
        }
        _ => false,
    }
}
