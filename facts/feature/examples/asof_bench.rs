//! Measures training reads: 100,000 labels over a million rows, 5 % of them late, and counts what leaks.
//!
//! `cargo run --release -p feature --example asof_bench [n_rows] [n_labels] [n_subjects] [hot]`
//! `cargo run --release -p feature --example asof_bench state [n_subjects] [n_rows]`
//!
//! With `hot`, a tenth of all rows and labels belongs to one subject. With `state`, the online state of a million
//! subjects is built instead, and its memory measured. All data is made from one seed.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement for people, not a library"
)]

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant as Clock;

use contract::{Bound, Contract, Contracts};
use event::{Instant, Partition, Payload, Record, RecordId, StreamName, Subject, Version};
use feature::{AsOf, Column, FeatureFold, Label, Reader, Row, Tables, View, Views};
use policy::{Action, Grant, LegalBasis, Principal, Purposes, Scope};
use serde_json::{Value, json};
use store::{Emissions, Fold};

const CONTRACT: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - {name: status, logicalType: string, classification: internal}
      - {name: total, logicalType: number, classification: internal}
      - {name: category, logicalType: string, classification: internal}
      - {name: known, logicalType: integer, classification: internal}
customProperties:
  - {property: purposes, value: [{name: analytics, basis: not_personal}]}
"#;

/// One feature, as the peers' join gives it: the newest row.
const NEWEST: &str = "
view: newest
version: 1
stream: orders
purposes: [analytics]
features:
  - {name: known, agg: last, of: known}
";

/// Three windows and a lifetime, eleven features.
const WINDOWS: &str = r#"
view: windows
version: 1
stream: orders
purposes: [analytics]
features:
  - {name: n_1h, agg: count, window: 1h}
  - {name: n_7d, agg: count, window: 7d}
  - {name: n_90d, agg: count, window: 90d}
  - {name: spend_7d, agg: sum, of: total, scale: 2, window: 7d, where: "status == 'paid'"}
  - {name: spend_90d, agg: sum, of: total, scale: 2, window: 90d, where: "status == 'paid'"}
  - {name: mean_90d, agg: mean, of: total, scale: 2, window: 90d}
  - {name: most_90d, agg: max, of: total, window: 90d}
  - {name: last_category, agg: last, of: category}
  - {name: n_categories_90d, agg: distinct, of: category, window: 90d}
  - {name: days_since, agg: time_since}
  - {name: interest, agg: decayed_sum, of: total, half_life: 14d}
"#;

/// SplitMix64: the same numbers everywhere.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}

struct Nobody;

impl policy::ConsentView for Nobody {
    fn standing(&self, _: Subject) -> Result<Option<Arc<policy::Standing>>, store::Error> {
        Ok(None)
    }
}

fn grant(action: Action, subjects: &[Subject]) -> Grant {
    let principal = Principal::new("bench", [Scope::Admin]);
    let purposes = Purposes::new([("analytics", LegalBasis::NotPersonal)]);
    policy::authorize(&principal, action, "analytics", subjects, &Nobody, &purposes, Instant::from_micros(0))
        .unwrap()
}

fn subject(n: u64) -> Subject {
    Subject::from_bytes(*RecordId::external("subject", &n.to_le_bytes()).as_bytes())
}

const START: i64 = 1_735_689_600_000_000;
const SPAN: u64 = 365 * 86_400_000_000;
const DAY: u64 = 86_400_000_000;

struct World {
    subjects: Vec<Subject>,
    /// In order of `known_at`, as a journal has them.
    records: Vec<(Record, Value)>,
    labels: Vec<(Subject, Instant)>,
}

fn record(n: u64, subject: Subject, occurred: i64, draws: &mut Draws) -> (Record, Value) {
    // Five in a hundred are known hours to days later, the others within seconds.
    let late = draws.below(100) < 5;
    let delay = if late { 3_600_000_000 + draws.below(14 * DAY) } else { draws.below(3_000_000) };
    let known = occurred + delay as i64;
    let status = ["paid", "open", "lost"][draws.below(3) as usize];
    let category = ["tea", "coffee", "cups", "books", "shoes"][draws.below(5) as usize];
    let total = draws.below(20_000) as f64 / 100.0;
    let fields = json!({"status": status, "total": total, "category": category, "known": known});
    let record = Record {
        id: RecordId::external("orders", &n.to_le_bytes()),
        stream: StreamName::new("orders"),
        contract: Version::new(1, 0, 0),
        subject,
        occurred_at: Instant::from_micros(occurred),
        known_at: Instant::from_micros(known),
        batch: None,
        cause: None,
        source: None,
        key_epoch: 0,
        payload: Payload::default(),
    };
    (record, fields)
}

fn world(n_rows: u64, n_labels: u64, n_subjects: u64, hot: bool) -> World {
    let mut draws = Draws(7);
    let subjects: Vec<Subject> = (0..n_subjects).map(subject).collect();
    let pick = |draws: &mut Draws| {
        let n = if hot && draws.below(10) == 0 { 0 } else { draws.below(n_subjects) };
        subjects.get(n as usize).copied().unwrap()
    };
    let mut records: Vec<(Record, Value)> = (0..n_rows)
        .map(|n| {
            let subject = pick(&mut draws);
            let occurred = START + draws.below(SPAN) as i64;
            record(n, subject, occurred, &mut draws)
        })
        .collect();
    records.sort_by_key(|(record, _)| record.known_at);
    let labels = (0..n_labels)
        .map(|_| (pick(&mut draws), Instant::from_micros(START + draws.below(SPAN) as i64)))
        .collect();
    World { subjects, records, labels }
}

/// What a join on event time alone would use: labels whose newest row was not known yet.
fn leaks_of_a_plain_join(world: &World) -> usize {
    let mut by_subject: HashMap<Subject, Vec<(i64, i64)>> = HashMap::new();
    for (record, _) in &world.records {
        let times = (record.occurred_at.micros(), record.known_at.micros());
        by_subject.entry(record.subject).or_default().push(times);
    }
    by_subject.values_mut().for_each(|rows| rows.sort_unstable());
    let leaks = world.labels.iter().filter(|(subject, at)| {
        let rows = by_subject.get(subject).map_or(&[][..], Vec::as_slice);
        let end = rows.partition_point(|(occurred, _)| *occurred <= at.micros());
        end > 0 && rows.get(end - 1).is_some_and(|(_, known)| *known > at.micros())
    });
    leaks.count()
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let number = |i: usize, default: u64| numbers.get(i).copied().unwrap_or(default);
    let (n_rows, n_labels, n_subjects) = (number(0, 1_000_000), number(1, 100_000), number(2, 100_000));
    let hot = std::env::args().any(|a| a == "hot");
    let mut contracts = Contracts::new();
    contracts.insert(Contract::parse(CONTRACT, "orders.yaml").unwrap().contract).unwrap();
    if std::env::args().any(|a| a == "state") {
        return state(number(0, 1_000_000), number(1, 5_000_000), &contracts);
    }
    println!("{n_rows} rows, {n_labels} labels, {n_subjects} subjects, hot key: {hot}");
    let world = world(n_rows, n_labels, n_subjects, hot);
    let training = grant(Action::Train, &world.subjects);
    let labels: Vec<Label<'_>> = world
        .labels
        .iter()
        .map(|(subject, at)| Label { members: std::slice::from_ref(subject), at: *at })
        .collect();
    println!("a plain join on event time leaks {} of {n_labels} labels", leaks_of_a_plain_join(&world));
    for yaml in [NEWEST, WINDOWS] {
        let view = View::parse(yaml, "bench.yaml", &contracts).0.unwrap();
        let rows: Vec<(Subject, Row)> = world
            .records
            .iter()
            .filter_map(|(record, fields)| Some((record.subject, view.row_of(&Bound { record, fields })?)))
            .collect();
        for n_threads in [1, 2] {
            let n_threads = NonZeroUsize::new(n_threads).unwrap();
            let rows = rows.clone();
            let start = Clock::now();
            let as_of = AsOf::build(&view, rows, n_threads).unwrap();
            let built = start.elapsed();
            let matrix = as_of.values(&training, &labels, n_threads).unwrap();
            let all = start.elapsed();
            println!(
                "{}: {} features, {n_threads} threads: group {built:.3?} + values {:.3?} = {all:.3?}",
                view.name(),
                view.features().len(),
                all - built
            );
            if let Some(Column::Integer(known)) = matrix.column("known") {
                let leaks = known
                    .iter()
                    .zip(&labels)
                    .filter(|(known, label)| known.is_some_and(|known| known > label.at.micros()));
                println!("{}: {} values that could not be known", view.name(), leaks.count());
            }
        }
    }
}

/// The online state of many subjects, folded from records that are made in small batches.
fn state(n_subjects: u64, n_rows: u64, contracts: &Contracts) {
    let view = View::parse(WINDOWS, "bench.yaml", contracts).0.unwrap();
    let fold = FeatureFold::new(Views::new([view.clone()]).unwrap());
    let mut tables = Tables::open(&store::Scope::memory(Partition(0)));
    let mut out = Emissions::default();
    let mut draws = Draws(7);
    let subjects: Vec<Subject> = (0..n_subjects).map(subject).collect();
    let before = resident_mib();
    let mut took = std::time::Duration::ZERO;
    let mut batch = Vec::new();
    for n in 0..n_rows {
        let one = subjects[draws.below(n_subjects) as usize];
        let occurred = START + (SPAN / n_rows * n) as i64;
        batch.push(record(n, one, occurred, &mut draws));
        if batch.len() == 1_000 || n + 1 == n_rows {
            let start = Clock::now();
            for (record, fields) in &batch {
                fold.fold(&mut tables, &Bound { record, fields }, &mut out).unwrap();
            }
            took += start.elapsed();
            batch.clear();
        }
    }
    println!(
        "state: {n_rows} rows of {n_subjects} subjects in {:.0} MiB; fold {:.0} ns a record and view",
        resident_mib() - before,
        took.as_nanos() as f64 / n_rows as f64
    );
    let reading = grant(Action::Decide, &subjects);
    let now = Instant::from_micros(START + SPAN as i64 + 15 * DAY as i64);
    let mut times: Vec<u128> = Vec::new();
    for subject in subjects.iter().take(100_000) {
        let start = Clock::now();
        std::hint::black_box(Reader::new(&tables).at(&reading, &view, &[*subject], now).unwrap());
        times.push(start.elapsed().as_nanos());
    }
    println!("online read of 11 features: {}", quantiles(times));

    // One subject with very many rows: folding stays as it is, reads stay bounded.
    let hot = subject(u64::MAX);
    let reading = grant(Action::Decide, &[hot]);
    let (mut folds, mut reads, mut now) = (Vec::new(), Vec::new(), START);
    for n in 0..200_000 {
        let (record, fields) = record(n, hot, START + (SPAN / 200_000 * n) as i64, &mut draws);
        let start = Clock::now();
        fold.fold(&mut tables, &Bound { record: &record, fields: &fields }, &mut out).unwrap();
        folds.push(start.elapsed().as_nanos());
        now = now.max(record.known_at.micros());
        if n >= 100_000 && n % 50 == 0 {
            let start = Clock::now();
            std::hint::black_box(
                Reader::new(&tables).at(&reading, &view, &[hot], Instant::from_micros(now)).unwrap(),
            );
            reads.push(start.elapsed().as_nanos());
        }
    }
    println!("one subject with 200000 rows: fold {}; read {}", quantiles(folds), quantiles(reads));
}

fn quantiles(mut nanos: Vec<u128>) -> String {
    nanos.sort_unstable();
    let at = |share: f64| nanos.get((nanos.len() as f64 * share) as usize).copied().unwrap_or_default();
    format!("p50 {} ns, p99 {} ns, p99.9 {} ns", at(0.5), at(0.99), at(0.999))
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split_whitespace().nth(1).and_then(|n| n.parse::<f64>().ok()).unwrap_or_default();
    pages * 4096.0 / (1024.0 * 1024.0)
}
