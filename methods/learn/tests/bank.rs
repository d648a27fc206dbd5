//! Bank Marketing (`decide/bank_full.csv` without `duration`, rows in time order): on a random split trees rank
//! better than the baseline; on a chronological split the baseline does, which is what the gate is for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "helpers of tests")]

use std::path::PathBuf;

use learn::split::{self, Split};
use learn::{Boosted, Column, Fit, Frame, Logistic, Predict, metric};

const NUMBERS: [&str; 6] = ["age", "balance", "day", "campaign", "pdays", "previous"];

/// `None` (and a line that says so) where there are no data; in CI that is a failure.
fn bank(test: &str) -> Option<(Frame, Vec<bool>)> {
    let root = std::env::var_os("MASCHINENRAUM_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    if !root.is_dir() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no data at {}", root.display());
        eprintln!("SKIPPED {test}: no data");
        return None;
    }
    let text = std::fs::read_to_string(root.join("decide/bank_full.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<&str>>());
    let header = lines.next().unwrap();
    let rows: Vec<Vec<&str>> = lines.collect();
    let kept = header.iter().enumerate().filter(|(_, name)| !["duration", "y"].contains(name));
    let columns = kept.map(|(i, name)| match NUMBERS.contains(name) {
        true => Column::numbers(name, rows.iter().map(|r| r[i].parse().unwrap()).collect()),
        false => Column::categories(name, rows.iter().map(|r| Some(r[i]))),
    });
    let labels = rows.iter().map(|r| r[r.len() - 1] == "yes").collect();
    Some((Frame::new(columns.collect()).unwrap(), labels))
}

struct Outcome {
    baseline: metric::Estimate,
    challenger: metric::Estimate,
    difference: metric::Estimate,
}

fn check(frame: &Frame, labels: &[bool], split: &Split) -> Outcome {
    let of = |rows: &[usize]| rows.iter().map(|r| labels[*r]).collect::<Vec<bool>>();
    let (train, test) = (frame.take(&split.train), frame.take(&split.test));
    let (train_labels, test_labels) = (of(&split.train), of(&split.test));
    let first = Logistic::default().fit(&train, &train_labels).unwrap().predict(&test).unwrap();
    let fitted = Boosted::default().fit(&train, &train_labels).unwrap();
    let again = Boosted { n_threads: 2, ..Boosted::default() }.fit(&train, &train_labels).unwrap();
    assert!(fitted == again, "the same data gave other trees");
    let second = fitted.predict(&test).unwrap();
    let outcome = Outcome {
        baseline: metric::auc(&first, &test_labels).unwrap(),
        challenger: metric::auc(&second, &test_labels).unwrap(),
        difference: metric::auc_difference(&first, &second, &test_labels).unwrap(),
    };
    eprintln!("{} | {} | {}", outcome.baseline, outcome.challenger, outcome.difference);
    outcome
}

/// scikit-learn's logistic regression (C = 1, all levels as columns) on the very same rows: 0.7704 random, 0.6851
/// chronological; LightGBM 4.7 with 100 trees: 0.8020 and 0.5975.
#[test]
fn trees_win_at_random_and_lose_in_time() {
    let Some((frame, labels)) = bank("trees_win_at_random_and_lose_in_time") else { return };
    let random = check(&frame, &labels, &split::random(labels.len(), 0.3, 42).unwrap());
    assert!((random.baseline.value - 0.7704).abs() < 0.001, "{}", random.baseline);
    assert!(random.challenger.value >= 0.8020 - 0.01, "{}", random.challenger);
    assert!(random.difference.low > 0.0, "{}", random.difference);

    let instants: Vec<i64> = (0..labels.len() as i64).collect();
    let in_time = check(&frame, &labels, &split::chronological(&instants, 0.3).unwrap());
    assert!(in_time.baseline.value > 0.6851 - 0.005, "{}", in_time.baseline);
    assert!(in_time.challenger.value >= 0.5975 - 0.01, "{}", in_time.challenger);
    assert!(in_time.difference.high < 0.0, "{}", in_time.difference);
}
