//! Bank Marketing (`decide/bank_full.csv`) as a dataset: its rows are in time order, one a second; `duration` is left
//! out, for it is known only when a call is over.

use std::path::{Path, PathBuf};

use event::{Instant, Span};
use learn::Column;
use policy::Action;
use train::{Dataset, Example, Origin};

use crate::common::{grant, subject};

const NUMBERS: [&str; 6] = ["age", "balance", "day", "campaign", "pdays", "previous"];

/// Where the data lies: `MASCHINENRAUM_DATA`, else beside the checkout.
pub fn data() -> PathBuf {
    std::env::var_os("MASCHINENRAUM_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    )
}

/// All rows; row *i* of the dataset is row *i* of the file.
pub fn bank(data: &Path) -> Dataset {
    let text = std::fs::read_to_string(data.join("decide/bank_full.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<&str>>());
    let header = lines.next().unwrap();
    let rows: Vec<Vec<&str>> = lines.collect();
    let kept = header.iter().enumerate().filter(|(_, name)| !["duration", "y"].contains(name));
    let columns = kept.map(|(i, name)| match NUMBERS.contains(name) {
        true => Column::numbers(name, rows.iter().map(|r| r[i].parse().unwrap()).collect()),
        false => Column::categories(name, rows.iter().map(|r| Some(r[i]))),
    });
    let columns = columns.collect();
    let examples = rows.iter().zip(0_u32..).map(|(row, i)| {
        let at = Instant::from_micros(0) + Span::from_micros(i64::from(i) * 1_000_000);
        Example { subject: subject(i), at, settled: at, label: row[row.len() - 1] == "yes", marked: false }
    });
    let examples: Vec<Example> = examples.collect();
    let grant = grant(Action::Train, examples.len() as u32);
    let origin = Origin { journal: vec![], features: vec![], seed: 42 };
    Dataset::build(&grant, examples, columns, origin).unwrap()
}
