//! Training on made-up data: what a dataset is, which rows teach, and that the same gives the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{grant, subject};
use event::{Instant, Partition, Position, Span};
use learn::metric::Costs;
use learn::{Calibration, Column, Model, Value};
use policy::Action;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use registry::{FeatureVersion, JournalRange, Role};
use train::{Dataset, Error, Example, Holdout, Live, Origin, Plan, Step, train};

const N: u32 = 1_200;

fn origin(n_partitions: u16) -> Origin {
    let range = |p| JournalRange { partition: Partition(p), from: Position(0), until: Position(500) };
    let view = FeatureVersion { view: "orders".into(), version: 1, fingerprint: "f".into() };
    Origin { journal: (0..n_partitions).map(range).collect(), features: vec![view], seed: 7 }
}

/// Evenly from 0 to 1, as if by chance.
fn mix(i: u32, k: u32) -> f64 {
    let mut x = (u64::from(i) << 32 | u64::from(k)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for _ in 0..2 {
        x = (x ^ (x >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    }
    (x >> 40) as f64 / (1_u64 << 24) as f64
}

struct Rows {
    examples: Vec<Example>,
    spend: Vec<f64>,
    channel: Vec<&'static str>,
}

/// One example a day; who spends much answers, by email twice as readily.
fn rows() -> Rows {
    let mut rows = Rows { examples: vec![], spend: vec![], channel: vec![] };
    for i in 0..N {
        let (spend, channel) = (100.0 * mix(i, 1), if mix(i, 2) < 0.5 { "email" } else { "letter" });
        let chance = spend / 150.0 + if channel == "email" { 0.3 } else { 0.0 };
        let at = Instant::from_micros(0) + Span::from_days(i64::from(i));
        rows.examples.push(Example {
            subject: subject(i % 300),
            at,
            settled: at,
            label: mix(i, 3) < chance,
            marked: false,
        });
        rows.spend.push(spend);
        rows.channel.push(channel);
    }
    rows
}

/// The rows in the order given.
fn dataset_of(rows: &Rows, order: &[usize], n_partitions: u16) -> Dataset {
    let examples = order.iter().map(|i| rows.examples[*i]).collect();
    let columns = vec![
        Column::numbers("orders.spend", order.iter().map(|i| rows.spend[*i]).collect()),
        Column::categories("channel", order.iter().map(|i| Some(rows.channel[*i]))),
    ];
    Dataset::build(&grant(Action::Train, 300), examples, columns, origin(n_partitions)).unwrap()
}

fn dataset(rows: &Rows) -> Dataset {
    dataset_of(rows, &(0..N as usize).collect::<Vec<_>>(), 1)
}

fn plan() -> Plan {
    let mut plan = Plan { segments: vec!["channel".into()], ..Plan::default() };
    plan.challenger.budget = 0.5;
    plan.evaluation.n_draws = 100;
    plan.evaluation.costs = Costs { false_positive: 1.0, false_negative: 3.0 };
    plan
}

fn code(result: Result<impl Sized, Error>) -> &'static str {
    result.err().map_or("no error", |e| e.code())
}

#[test]
fn both_models_are_fitted_measured_and_judged() {
    let data = dataset(&rows());
    let mut steps = Vec::new();
    let outcome = train(&data, &plan(), "0.1.0", None, &mut |p| steps.push((p.step, p.n_done))).unwrap();
    assert_eq!(steps, [(Step::Split, 0), (Step::Baseline, 1), (Step::Challenger, 2), (Step::Measure, 3)]);
    let report = &outcome.report;
    assert_eq!((report.n_train, report.n_calibration, report.n_test), (840, 168, 360));
    assert!(report.baseline.auc.low > 0.6 && report.baseline.calibration_error.value < 0.1, "{report:?}");
    assert!(outcome.chosen().is_some() && report.baseline_verdict.starts_with("passed"), "{report:?}");
    assert!((report.baseline.threshold - 0.25).abs() < 1e-12);
    let segments: Vec<&str> = outcome.baseline.segments.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(segments, ["channel = email", "channel = letter"]);
    assert!(serde_json::to_string(report).unwrap().contains("\"comparison\""));
    // what was measured is what is stored
    let stored = Model::from_bytes(&outcome.baseline.bytes).unwrap();
    let score = stored.score(&[("orders.spend", Value::Number(90.0)), ("channel", "email".into())]).unwrap();
    assert!(score.probability > 0.5, "{score:?}");
}

/// LAW 2 for datasets: neither the order of a scan nor the number of partitions shows in the rows or the models.
#[test]
fn the_same_rows_give_the_same_bytes() {
    let rows = rows();
    let forwards = dataset(&rows);
    let backwards = dataset_of(&rows, &(0..N as usize).rev().collect::<Vec<_>>(), 7);
    assert_eq!(forwards.manifest().rows, backwards.manifest().rows);
    assert_ne!(forwards.manifest().hash(), backwards.manifest().hash(), "the journal's ranges differ");
    let fit = |data: &Dataset| train(data, &plan(), "0.1.0", None, &mut |_| ()).unwrap();
    let (a, b, c) = (fit(&forwards), fit(&forwards), fit(&backwards));
    assert_eq!(a, b);
    assert_eq!(a.baseline.bytes, c.baseline.bytes);
    assert_eq!(a.challenger.bytes, c.challenger.bytes);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_order_is_one_dataset_and_any_change_another(seed in any::<u64>(), at in 0..N as usize) {
        let mut rows = rows();
        let mut order: Vec<usize> = (0..N as usize).collect();
        order.sort_by_key(|i| (*i as u64 + 1).wrapping_mul(seed | 1));
        let before = dataset(&rows).manifest().rows;
        prop_assert_eq!(before, dataset_of(&rows, &order, 1).manifest().rows);
        rows.spend[at] += 1e-9;
        prop_assert_ne!(before, dataset(&rows).manifest().rows);
    }
}

/// LAW 3: a grant to do something else, or one that leaves out a subject, makes no dataset.
#[test]
fn without_a_grant_there_is_no_dataset() {
    let rows = rows();
    let columns = || vec![Column::numbers("x", rows.spend.clone())];
    let build = |grant| code(Dataset::build(&grant, rows.examples.clone(), columns(), origin(1)));
    assert_eq!(build(grant(Action::ReadFeatures, 300)), "MR3016");
    assert_eq!(build(grant(Action::Train, 299)), "MR3016");
    assert_eq!(build(grant(Action::Train, 300)), "no error");
}

/// Days 700 to 800 are marked, outcomes take 30 days: days up to 670 teach.
#[test]
fn nothing_from_the_time_of_the_test_teaches() {
    let mut rows = rows();
    for (i, example) in rows.examples.iter_mut().enumerate() {
        example.marked = (700..=800).contains(&i) && i % 2 == 0;
        example.settled = example.at + Span::from_days(30);
    }
    let marked = Plan { holdout: Holdout::Marked, ..plan() };
    let report = train(&dataset(&rows), &marked, "0", None, &mut |_| ()).unwrap().report;
    assert_eq!((report.n_train, report.n_test), (671, 51));
    assert!(report.test.contains("29 with an outcome still open"), "{}", report.test);
    let from = Plan { holdout: Holdout::From(rows.examples[1_000].at), ..plan() };
    let report = train(&dataset(&rows), &from, "0", None, &mut |_| ()).unwrap().report;
    assert_eq!((report.n_train, report.n_test), (971, 200));
    let random = Plan { holdout: Holdout::Random(0.25), ..plan() };
    let report = train(&dataset(&rows), &random, "0", None, &mut |_| ()).unwrap().report;
    assert_eq!((report.n_train, report.n_test), (900, 300));
}

#[test]
fn a_new_version_is_measured_against_the_live_one() {
    let data = dataset(&rows());
    let first = train(&data, &plan(), "0", None, &mut |_| ()).unwrap();
    let live = Live { version: "v3".parse().unwrap(), model: &first.baseline.model };
    let second = train(&data, &plan(), "0", Some(live), &mut |_| ()).unwrap();
    let names = |t: &train::Trained| t.gate.opponents.iter().map(|o| o.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&second.baseline), ["the live v3"]);
    assert_eq!(names(&second.challenger), ["the baseline", "the live v3"]);
    assert_eq!((second.baseline.role, second.baseline.gate.passed()), (Role::Baseline, true));

    let rows = rows();
    let columns = vec![Column::numbers("other", rows.spend.clone())];
    let other = Dataset::build(&grant(Action::Train, 300), rows.examples, columns, origin(1)).unwrap();
    let plan = Plan { segments: vec![], ..plan() };
    let outcome = train(&other, &plan, "0", Some(live), &mut |_| ()).unwrap();
    assert!(outcome.report.live_not_compared.unwrap().contains("`orders.spend` is not given"));
}

#[test]
fn what_cannot_teach_is_said() {
    let rows = rows();
    let build = |examples: Vec<Example>, n: usize| {
        let columns = vec![Column::numbers("x", rows.spend[..n].to_vec())];
        Dataset::build(&grant(Action::Train, 300), examples, columns, origin(1))
    };
    assert_eq!(code(build(vec![], 0)), "MR4560");
    assert_eq!(code(build(rows.examples.clone(), 5)), "MR4561");
    let all_no: Vec<Example> = rows.examples.iter().map(|e| Example { label: false, ..*e }).collect();
    let run = |data: Dataset, plan: Plan| code(train(&data, &plan, "0", None, &mut |_| ()));
    let plain = || Plan { segments: vec![], ..plan() };
    assert_eq!(run(build(all_no, N as usize).unwrap(), plain()), "MR4562");
    let good = || dataset(&rows);
    assert_eq!(run(good(), Plan { holdout: Holdout::Marked, ..plan() }), "MR4563");
    assert_eq!(run(good(), Plan { segments: vec!["<b>".into()], ..plan() }), "MR4564");
    assert_eq!(run(good(), Plan { calibration_share: f64::NAN, ..plan() }), "MR4565");
    assert_eq!(run(good(), Plan { holdout: Holdout::Latest(1.5), ..plan() }), "MR4511");
    assert_eq!(run(good(), Plan { holdout: Holdout::From(Instant::EARLIEST), ..plan() }), "MR4516");
    let isotonic = Plan { calibration: Calibration::Isotonic, ..plan() };
    assert_eq!(run(good(), isotonic), "no error");
}
