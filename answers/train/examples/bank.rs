//! Bank Marketing through the whole job, at random and in time: `bank OUT` writes the test rows of both splits to
//! `OUT/NAME.txt`, one number a line counted from 0, for others to train on the same rows, and prints the figures as
//! JSON.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a measuring program")]

#[path = "../tests/common/mod.rs"]
mod common;

#[path = "../tests/common/bank.rs"]
mod bank;

use std::path::Path;

use learn::metric::Estimate;
use serde_json::{Map, Value, json};
use train::{Dataset, Holdout, Plan, train};

fn main() {
    let out = std::env::args().nth(1).unwrap_or_else(|| "target/bank".to_owned());
    std::fs::create_dir_all(&out).unwrap();
    let data = bank::bank(&bank::data());
    let splits = [("random", Holdout::Random(0.3)), ("chronological", Holdout::Latest(0.3))];
    let figures: Map<String, Value> = splits
        .into_iter()
        .map(|(name, holdout)| (name.to_owned(), measure(&data, holdout, &Path::new(&out).join(name))))
        .collect();
    println!("{}", Value::from(figures));
}

fn measure(data: &Dataset, holdout: Holdout, rows: &Path) -> Value {
    let plan = Plan { holdout, ..Plan::default() };
    let outcome = train(data, &plan, "bank", None, &mut |_| ()).unwrap();
    let report = &outcome.report;
    assert_eq!(report.n_train + report.n_test, data.examples().len(), "the other rows are those that taught");
    let lines: Vec<String> = outcome.test_rows.iter().map(usize::to_string).collect();
    std::fs::write(rows.with_extension("txt"), lines.join("\n")).unwrap();
    let estimate = |e: &Estimate| json!([e.value, e.low, e.high]);
    json!({
        "n_train": report.n_train,
        "n_test": report.n_test,
        "baseline": estimate(&report.baseline.auc),
        "challenger": estimate(&report.challenger.auc),
        "difference": estimate(&report.comparison.auc),
        "challenger_passes": outcome.challenger.gate.passed(),
        "baseline_verdict": report.baseline_verdict,
        "challenger_verdict": report.challenger_verdict,
        "chosen": report.chosen,
    })
}
