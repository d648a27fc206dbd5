//! A million labels, each with twenty windowed features as of its instant, 5 % of the rows known late.
//!
//! `labels OUT [hot]` makes a million rows of 100,000 subjects (with `hot`, 30 % of rows and labels belong to one), builds
//! the features three times on two threads, and writes rows, labels and values to `OUT` as columns that
//! `bench/peers/asof_labels.py` reads. Prints the times as JSON. All data is made from one seed.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement for people, not a library"
)]

use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant as Clock;

use contract::{Bound, Contract, Contracts};
use event::{Instant, Payload, Record, RecordId, StreamName, Subject, Version};
use feature::{AsOf, Label, Row, View};
use policy::{Action, LegalBasis, Principal, Purposes, Scope};
use serde_json::json;

const N_ROWS: u64 = 1_000_000;
const N_LABELS: u64 = 1_000_000;
const N_SUBJECTS: u64 = 100_000;
const N_TIMES: usize = 3;
const WINDOWS: [&str; 4] = ["1d", "7d", "30d", "90d"];

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
customProperties:
  - {property: purposes, value: [{name: analytics, basis: not_personal}]}
"#;

fn view() -> View {
    let mut yaml = "view: orders\nversion: 1\nstream: orders\npurposes: [analytics]\nfeatures:\n".to_owned();
    for window in WINDOWS {
        yaml += &format!(
            "  - {{name: n_{window}, agg: count, window: {window}}}\n\
             \x20 - {{name: spent_{window}, agg: sum, of: total, scale: 2, window: {window}}}\n\
             \x20 - {{name: mean_{window}, agg: mean, of: total, scale: 2, window: {window}}}\n\
             \x20 - {{name: paid_{window}, agg: count, where: status == 'paid', window: {window}}}\n\
             \x20 - {{name: last_{window}, agg: last, of: total, window: {window}}}\n"
        );
    }
    let mut contracts = Contracts::new();
    contracts.insert(Contract::parse(CONTRACT, "orders.yaml").unwrap().contract).unwrap();
    let (view, findings) = View::parse(&yaml, "orders.yaml", &contracts);
    view.unwrap_or_else(|| panic!("{findings:?}"))
}

/// SplitMix64: the same numbers everywhere.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % n.max(1)
    }

    fn subject(&mut self, hot: bool) -> u64 {
        if hot && self.below(10) < 3 { 0 } else { self.below(N_SUBJECTS) }
    }
}

struct Nobody;

impl policy::ConsentView for Nobody {
    fn standing(&self, _: Subject) -> Result<Option<Arc<policy::Standing>>, store::Error> {
        Ok(None)
    }
}

fn pseudonym(n: u64) -> Subject {
    Subject::from_bytes(*RecordId::external("subject", &n.to_le_bytes()).as_bytes())
}

const START: i64 = 1_735_689_600_000_000;
const DAY: u64 = 86_400_000_000;
const SPAN: u64 = 365 * DAY;

/// What the peers get, column by column.
#[derive(Default)]
struct Columns {
    subject: Vec<i64>,
    occurred: Vec<i64>,
    known: Vec<i64>,
    cents: Vec<i64>,
    paid: Vec<i64>,
}

fn rows(view: &View, draws: &mut Draws, hot: bool) -> (Vec<(Subject, Row)>, Columns) {
    let (mut rows, mut columns) = (Vec::new(), Columns::default());
    for n in 0..N_ROWS {
        let subject = draws.subject(hot);
        let occurred = START + draws.below(SPAN) as i64;
        // Five in a hundred are known hours to days later, the others within seconds.
        let late = draws.below(100) < 5;
        let delay = if late { 3_600_000_000 + draws.below(14 * DAY) } else { draws.below(3_000_000) };
        let known = occurred + delay as i64;
        let status = ["paid", "open", "lost"][draws.below(3) as usize];
        let cents = draws.below(20_000) as i64;
        let record = Record {
            id: RecordId::external("orders", &n.to_le_bytes()),
            stream: StreamName::new("orders"),
            contract: Version::new(1, 0, 0),
            subject: pseudonym(subject),
            occurred_at: Instant::from_micros(occurred),
            known_at: Instant::from_micros(known),
            batch: None,
            cause: None,
            source: None,
            key_epoch: 0,
            payload: Payload::default(),
        };
        let fields = json!({"status": status, "total": cents as f64 / 100.0});
        // Every row is one for some window: no delay is as long as the longest.
        rows.extend(
            view.row_of(&Bound { record: &record, fields: &fields }).map(|row| (record.subject, row)),
        );
        columns.subject.push(subject as i64);
        columns.occurred.push(occurred);
        columns.known.push(known);
        columns.cents.push(cents);
        columns.paid.push(i64::from(status == "paid"));
    }
    (rows, columns)
}

fn main() {
    let out = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "target/labels".to_owned()));
    let hot = std::env::args().any(|word| word == "hot");
    std::fs::create_dir_all(&out).unwrap();
    let (view, mut draws) = (view(), Draws(7));
    let (rows, columns) = rows(&view, &mut draws, hot);
    let labels: Vec<(u64, Subject, i64)> = (0..N_LABELS)
        .map(|_| {
            let subject = draws.subject(hot);
            (subject, pseudonym(subject), START + draws.below(SPAN) as i64)
        })
        .collect();
    let asked: Vec<Label<'_>> = labels
        .iter()
        .map(|(_, subject, at)| Label {
            members: std::slice::from_ref(subject),
            at: Instant::from_micros(*at),
        })
        .collect();
    let everybody: Vec<Subject> = (0..N_SUBJECTS).map(pseudonym).collect();
    let principal = Principal::new("bench", [Scope::Admin]);
    let purposes = Purposes::new([("analytics", LegalBasis::NotPersonal)]);
    let now = Instant::from_micros(0);
    let grant =
        policy::authorize(&principal, Action::Train, "analytics", &everybody, &Nobody, &purposes, now)
            .unwrap();
    let threads = NonZeroUsize::new(2).unwrap();
    let (mut grouping, mut all, mut processor) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = None;
    for _ in 0..N_TIMES {
        drop(last.take());
        let rows = rows.clone();
        let (start, before) = (Clock::now(), processor_seconds());
        let as_of = AsOf::build(&view, rows, threads).unwrap();
        grouping.push(start.elapsed().as_secs_f64());
        let matrix = as_of.values(&grant, &asked, threads).unwrap();
        all.push(start.elapsed().as_secs_f64());
        processor.push(processor_seconds() - before);
        last = Some(matrix);
    }
    let least = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
    let figures = json!({
        "n_rows": rows.len(), "n_labels": asked.len(), "n_features": view.features().len(),
        "seconds": least(&all), "grouping": least(&grouping), "all": all,
        "processor_seconds": least(&processor),
    });
    let Columns { subject, occurred, known, cents, paid } = &columns;
    for (name, column) in
        [("subject", subject), ("occurred", occurred), ("known", known), ("cents", cents), ("paid", paid)]
    {
        put(&out, &format!("rows_{name}"), "<i8", column.iter().map(|n| n.to_le_bytes()));
    }
    put(&out, "labels_subject", "<i8", labels.iter().map(|(n, ..)| (*n as i64).to_le_bytes()));
    put(&out, "labels_at", "<i8", labels.iter().map(|(.., at)| at.to_le_bytes()));
    let matrix = last.unwrap();
    for (feature, column) in view.features().iter().zip(matrix.columns()) {
        let numbers = column.numbers().unwrap();
        put(&out, &format!("ours_{}", feature.name()), "<f8", numbers.iter().map(|n| n.to_le_bytes()));
    }
    println!("{figures}");
}

/// What this process took of processors so far, as Linux tells it, in hundredths.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |at: usize| after_name.split_whitespace().nth(at).and_then(|n| n.parse::<f64>().ok());
    (ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()) / 100.0
}

/// A column as NumPy reads it.
fn put(out: &Path, name: &str, kind: &str, values: impl ExactSizeIterator<Item = [u8; 8]>) {
    let mut file = BufWriter::new(std::fs::File::create(out.join(format!("{name}.npy"))).unwrap());
    let head = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({},), }}", values.len());
    // Magic, version and the head's length are ten bytes; the values begin at a multiple of 64.
    let padded = (10 + head.len() + 1).next_multiple_of(64) - 10;
    file.write_all(b"\x93NUMPY\x01\x00").unwrap();
    file.write_all(&u16::try_from(padded).unwrap().to_le_bytes()).unwrap();
    file.write_all(format!("{head:<width$}\n", width = padded - 1).as_bytes()).unwrap();
    for value in values {
        file.write_all(&value).unwrap();
    }
    file.flush().unwrap();
}
