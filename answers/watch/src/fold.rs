//! The fold: every record into the cell of its stream, source and day.

use std::collections::BTreeMap;

use contract::Bound;
use event::{Instant, Record};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Emissions, Error, Fold, Key, Scope, Stored, Table};

use crate::cell::{Cell, FieldCell};
use crate::cover::Cover;
use crate::plan::{Plan, Plans, Watched};
use crate::relation::{self, KeySample};
use crate::report::day_of;
use crate::ruled::How;
use crate::values::hash;

/// The stream of what the house noticed about deliveries and that no record tells: it holds counts only.
pub const NOTES: &str = "mr.quality";

/// The stream of refused records.
const QUARANTINE: &str = "mr.quarantine";

/// Longer texts are counted by their first kilobyte.
const MAX_VALUE: usize = 1_024;

/// Names a [`Cell`]: stream, source, day of event time (days since 1970).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellKey {
    /// The stream.
    pub stream: String,
    /// What its records came by.
    pub source: String,
    /// The day.
    pub day: i32,
}

impl Key for CellKey {
    fn write(&self, out: &mut Vec<u8>) {
        for text in [&self.stream, &self.source] {
            out.extend_from_slice(&(text.len() as u32).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        // In the order of time, years before 1970 first.
        out.extend_from_slice(&(self.day as u32 ^ 0x8000_0000).to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (stream, rest) = read_text(bytes)?;
        let (source, rest) = read_text(rest)?;
        let day = u32::from_be_bytes(rest.try_into().ok()?) ^ 0x8000_0000;
        Some(Self { stream, source, day: day as i32 })
    }
}

impl CellKey {
    /// The first bytes of the keys of one stream.
    fn of_stream(stream: &str) -> Vec<u8> {
        let mut bytes = (stream.len() as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(stream.as_bytes());
        bytes
    }
}

fn read_text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    Some((String::from_utf8(text.to_vec()).ok()?, rest))
}

/// Cells, key samples and covers of one partition. All are sums, under keys that are no subject's.
pub struct Tables {
    cells: Table<CellKey, Cell>,
    keys: Table<String, KeySample>,
    covers: Table<CellKey, Cover>,
}

impl Tables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self {
            cells: Table::partial(scope, "quality.cells.2"),
            keys: Table::partial(scope, "quality.keys.1"),
            covers: Table::partial(scope, "quality.covers.1"),
        }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.cells, &mut self.keys, &mut self.covers]
    }

    /// Adds this partition's cells, of one stream or of all, to `into`.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn add_cells(&self, stream: Option<&str>, into: &mut BTreeMap<CellKey, Cell>) -> Result<(), Error> {
        let start = stream.map(CellKey::of_stream).unwrap_or_default();
        self.cells.scan_from(&start, &mut |key, cell| match into.get_mut(key) {
            Some(known) => known.merge(cell),
            None => {
                into.insert(key.clone(), cell.clone());
            }
        })
    }

    /// Adds what this partition's records covered, of one stream or of all, to `into`, by stream.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn add_covers(&self, stream: Option<&str>, into: &mut BTreeMap<String, Cover>) -> Result<(), Error> {
        let start = stream.map(CellKey::of_stream).unwrap_or_default();
        self.covers
            .scan_from(&start, &mut |key, cover| into.entry(key.stream.clone()).or_default().merge(cover))
    }

    /// Adds this partition's key samples to `into`, by `stream.field` or `stream.a+b`; those of unique keys have `stream key a+b`.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn add_keys(&self, into: &mut BTreeMap<String, KeySample>) -> Result<(), Error> {
        self.keys.scan(|name, sample| into.entry(name.clone()).or_default().merge(sample))
    }
}

/// What was dropped because it repeated something of the same delivery: the payload of a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeated {
    /// The stream.
    pub stream: String,
    /// What the delivery came by.
    pub source: String,
    /// Rows by day of event time.
    pub repeated: BTreeMap<i32, u64>,
}

impl Repeated {
    /// The bytes of the note.
    pub fn to_payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// A note that a refused record was replayed and accepted.
#[derive(Deserialize)]
struct Mended {
    #[serde(rename = "mended")]
    _record: String,
    stream: String,
    source: String,
    day: i32,
}

/// The open part of a refused record, as intake writes it.
#[derive(Deserialize)]
struct Refused {
    stream: String,
    #[serde(default)]
    findings: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    code: String,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    severity: String,
}

/// Folds records into [`Cell`]s.
#[derive(Clone, Debug, Default)]
pub struct QualityFold {
    plans: Plans,
}

impl QualityFold {
    /// Watches what `plans` name.
    pub fn new(plans: Plans) -> Self {
        Self { plans }
    }

    /// What is watched.
    pub fn plans(&self) -> &Plans {
        &self.plans
    }

    /// Folds a record of the streams that tell of refusals and repetitions.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn fold_note(&self, tables: &mut Tables, record: &Record) -> Result<(), Error> {
        match record.stream.as_str() {
            QUARANTINE => {
                if let Ok(mended) = serde_json::from_slice::<Mended>(&record.payload.open) {
                    let key = CellKey { stream: mended.stream, source: mended.source, day: mended.day };
                    return tables.cells.update(&key, |cell| cell.n_mended += 1);
                }
                let Ok(refused) = serde_json::from_slice::<Refused>(&record.payload.open) else {
                    return Ok(());
                };
                let day = day_of(record.occurred_at);
                let key = CellKey { stream: refused.stream.clone(), source: source_of(record), day };
                tables.cells.update(&key, |cell| note_refused(cell, &refused.findings, record.known_at))
            }
            NOTES => {
                let Ok(note) = serde_json::from_slice::<Repeated>(&record.payload.open) else {
                    return Ok(());
                };
                for (day, n) in &note.repeated {
                    let key = CellKey { stream: note.stream.clone(), source: note.source.clone(), day: *day };
                    tables.cells.update(&key, |cell| cell.n_repeated += n)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn note_refused(cell: &mut Cell, findings: &[Found], known_at: Instant) {
    cell.n_refused += 1;
    cell.knew(known_at);
    let why =
        |found: &Found| (found.code.clone(), without_places(found.field.as_deref().unwrap_or_default()));
    let mut grave = findings.iter().filter(|found| found.severity != "warning" && found.severity != "info");
    let first = grave.clone().next().map_or_else(Default::default, why);
    *cell.first_findings.entry(first).or_default() += 1;
    // Once per record, however many items of a list are wrong.
    let each: std::collections::BTreeSet<_> = grave.by_ref().map(why).collect();
    for why in each {
        *cell.findings.entry(why).or_default() += 1;
    }
}

/// `items[2].price` → `items[].price`: a list's length must not make the counts grow.
pub fn without_places(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    let mut inside = false;
    for c in field.chars() {
        match c {
            '[' => {
                inside = true;
                out.push_str("[]");
            }
            ']' => inside = false,
            _ if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

/// What a record came by, in words.
pub fn source_of(record: &Record) -> String {
    match (&record.source, record.batch) {
        (Some(source), _) => source.as_str().to_owned(),
        (None, Some(_)) => "import".to_owned(),
        (None, None) => "unnamed".to_owned(),
    }
}

impl Fold<Bound<'_>> for QualityFold {
    type Tables = Tables;

    fn fold(&self, tables: &mut Tables, bound: &Bound<'_>, _: &mut Emissions) -> Result<(), Error> {
        let record = bound.record;
        let Some(plan) = self.plans.get(&record.stream) else { return Ok(()) };
        let stream = record.stream.as_str();
        let key =
            CellKey { stream: stream.to_owned(), source: source_of(record), day: day_of(record.occurred_at) };
        tables.cells.update(&key, |cell| observe(cell, plan, bound))?;
        if let Some(within) = plan.freshness {
            // Nothing is fresher than when it came, whatever its sender's clock says.
            let until = record.occurred_at.min(record.known_at) + within;
            let key =
                CellKey { stream: stream.to_owned(), source: String::new(), day: day_of(record.known_at) };
            tables.covers.update(&key, |cover| cover.add(record.known_at, until))?;
        }
        for places in &plan.related {
            let fields: Vec<&Watched> = places.iter().filter_map(|at| plan.fields.get(*at)).collect();
            let values: Vec<_> =
                fields.iter().filter_map(|field| field.follow(bound.fields)).map(text_of).collect();
            // Where one of several is missing there is nothing to compare, as with a foreign key of SQL.
            if values.len() == fields.len() {
                let paths: Vec<String> = fields.iter().map(|field| field.path.clone()).collect();
                let name = relation::sample_name(stream, &paths);
                tables.keys.update(&name, |keys| relation::add(keys, &values))?;
            }
        }
        for key in &plan.keys {
            let fields: Vec<&Watched> = key.iter().filter_map(|at| plan.fields.get(*at)).collect();
            let values: Vec<_> =
                fields.iter().filter_map(|field| field.follow(bound.fields)).map(text_of).collect();
            if values.len() == fields.len() {
                tables.keys.update(&key_name(stream, &fields), |keys| keys.add(&values.join(" · ")))?;
            }
        }
        Ok(())
    }
}

/// What a unique key's sample is called.
pub(crate) fn key_name(stream: &str, fields: &[&Watched]) -> String {
    let paths: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
    format!("{stream} key {}", paths.join("+"))
}

/// Counts a record in its cell. Only what lies open is looked at; of the rest, whether its sealed part is there.
fn observe(cell: &mut Cell, plan: &Plan, bound: &Bound<'_>) {
    let record = bound.record;
    cell.n += 1;
    cell.knew(record.known_at);
    let late = (record.known_at - record.occurred_at).micros();
    if late < 0 {
        cell.n_future += 1;
        cell.ahead.add((-late / 1_000_000) as f64);
    }
    if record.batch.is_none() {
        cell.delays.add((late.max(0) / 1_000_000) as f64);
        cell.n_over += u64::from(plan.latency.is_some_and(|latency| late > latency.micros()));
    }
    let has_undeclared = record.payload.cells.iter().any(|part| part.column.is_empty());
    cell.n_undeclared += u64::from(has_undeclared);
    // What no contract had declared when it came is sealed in one part: a field that was declared since may lie in it.
    let is_veiled = has_undeclared && record.contract != plan.contract.version;
    if cell.fields.len() < plan.fields.len() {
        cell.fields.resize_with(plan.fields.len(), FieldCell::default);
    }
    for (field, seen) in plan.fields.iter().zip(&mut cell.fields) {
        if let Some(pointer) = &field.sealed {
            let is_there = record.payload.cells.iter().any(|part| {
                let column: &str = &part.column;
                // An object around it may have been sealed whole by an earlier contract.
                column == pointer
                    || (!column.is_empty()
                        && pointer.strip_prefix(column).is_some_and(|rest| rest.starts_with("/")))
            });
            seen.n_present += u64::from(is_there);
            continue;
        }
        if let Some(value) = field.follow(bound.fields) {
            observe_value(seen, field, value);
        } else if is_veiled {
            seen.n_present += 1;
        }
    }
    if plan.rules.contains(&How::Counted) && !is_veiled {
        if cell.rules.len() < plan.rules.len() {
            cell.rules.resize(plan.rules.len(), 0);
        }
        let rules = plan.contract.rules.iter().zip(&plan.rules).zip(&mut cell.rules);
        for ((rule, _), n) in rules.filter(|((_, how), _)| **how == How::Counted) {
            *n += u64::from(rule.metric.counts(bound.fields));
        }
    }
    if record.contract != plan.contract.version {
        recheck(cell, plan, bound);
    }
}

fn observe_value(seen: &mut FieldCell, field: &Watched, value: &Value) {
    seen.n_present += 1;
    match value {
        Value::String(text) => {
            let short = text.get(..MAX_VALUE).unwrap_or(text);
            seen.values.add_hashed(hash(short.as_bytes()), short);
            if !field.is_number {
                seen.spread.add(text.chars().count() as f64);
            }
        }
        Value::Number(number) => {
            // 5 and 5.0 are one number; beyond what a double tells apart, the digits count.
            match number.as_f64().filter(|float| float.abs() < 9e15) {
                Some(float) => {
                    let float = float + 0.0;
                    let text =
                        || if float.fract() == 0.0 { format!("{float:.0}") } else { float.to_string() };
                    seen.values.add_lazily(hash(&float.to_bits().to_le_bytes()), text);
                }
                None => seen.values.add(&number.to_string()),
            }
            if field.is_number {
                number.as_f64().into_iter().for_each(|number| seen.spread.add(number));
            }
        }
        Value::Bool(truth) => seen.values.add(if *truth { "true" } else { "false" }),
        Value::Array(items) => seen.spread.add(items.len() as f64),
        Value::Object(members) => seen.spread.add(members.len() as f64),
        Value::Null => {}
    }
}

/// What an earlier contract accepted may break today's: late binding judges it anew, as far as it lies open.
fn recheck(cell: &mut Cell, plan: &Plan, bound: &Bound<'_>) {
    let findings = plan.contract.check(bound.fields);
    for (field, seen) in plan.fields.iter().zip(&mut cell.fields) {
        let about = |found: &str| {
            let rest = found.strip_prefix(field.path.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
        };
        let is_open = field.sealed.is_none();
        let broken = findings.iter().any(|f| f.is_error() && f.field.as_deref().is_some_and(about));
        seen.n_broken += u64::from(is_open && broken);
    }
}

pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().take(MAX_VALUE).collect(),
        // 1 and 1.0 are one key.
        other => contract::metric::canonical(other),
    }
}
