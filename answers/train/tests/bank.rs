//! Bank Marketing through the whole job: at random the challenger passes, in time the gate refuses it, with figures.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "helpers of tests")]

mod common;

use std::path::PathBuf;

use common::{grant, subject};
use event::{Instant, Partition, Payload, Record, RecordId, Span, StreamName, Subject, Version};
use learn::Column;
use policy::Action;
use registry::{About, Blobs, Move, RELEASES, ReleaseEvent, ReleaseFold, Role, Share, Tables, VersionNumber};
use store::{Emissions, Fold, Scope};
use train::{Dataset, Example, Holdout, Origin, Outcome, Plan, Trained, train};

const NUMBERS: [&str; 6] = ["age", "balance", "day", "campaign", "pdays", "previous"];

fn bank(test: &str) -> Option<Dataset> {
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
    let columns = columns.collect();
    let examples = rows.iter().zip(0_u32..).map(|(row, i)| {
        let at = Instant::from_micros(0) + Span::from_micros(i64::from(i) * 1_000_000);
        Example { subject: subject(i), at, settled: at, label: row[row.len() - 1] == "yes", marked: false }
    });
    let examples: Vec<Example> = examples.collect();
    let grant = grant(Action::Train, examples.len() as u32);
    let origin = Origin { journal: vec![], features: vec![], seed: 42 };
    Some(Dataset::build(&grant, examples, columns, origin).unwrap())
}

fn run(data: &Dataset, holdout: Holdout) -> Outcome {
    let outcome = train(data, &Plan { holdout, ..Plan::default() }, "test", None, &mut |_| ()).unwrap();
    let report = &outcome.report;
    eprintln!(
        "{}\n  baseline   {}\n  challenger {}",
        report.test, report.baseline_verdict, report.challenger_verdict
    );
    for (name, m) in [("baseline", &report.baseline), ("challenger", &report.challenger)] {
        eprintln!(
            "  {name}: auc {} brier {} calibration {} lift {}",
            m.auc, m.brier, m.calibration_error, m.lift
        );
    }
    outcome
}

#[test]
fn the_gate_lets_the_challenger_pass_at_random_and_refuses_it_in_time() {
    let Some(data) = bank("the_gate_lets_the_challenger_pass_at_random_and_refuses_it_in_time") else {
        return;
    };
    let random = run(&data, Holdout::Random(0.3));
    assert_eq!(random.report.chosen, Some(Role::Challenger));
    assert!(random.report.challenger.auc.value >= 0.792, "{:?}", random.report.challenger);
    assert!(random.report.challenger.calibration_error.value < 0.02);

    let in_time = run(&data, Holdout::Latest(0.3));
    assert!(in_time.report.comparison.auc.high < 0.0);
    assert!(!in_time.challenger.gate.passed());
    assert!(in_time.report.challenger_verdict.contains("the baseline is better: AUC 0.6"));
    assert_ne!(in_time.report.chosen, Some(Role::Challenger));
    serves_or_not(&random, &in_time);
}

/// The same through records: the refused version cannot serve, the passed one goes its way.
fn serves_or_not(random: &Outcome, in_time: &Outcome) {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let mut tables = Tables::open(&Scope::memory(Partition::CONTROL));
    let model = "term-deposit".parse().unwrap();
    let about = || About { owner: "Ada".into(), what: "who opens a deposit".into(), ..About::default() };
    let mut n = 0_u8;
    let mut append = |tables: &mut Tables, event: &ReleaseEvent| {
        let at = Instant::from_micros(i64::from(n));
        let allowed = tables.check(event, at).map_err(|e| e.to_string());
        n += 1;
        let record = Record {
            id: RecordId::external(RELEASES, &[n]),
            stream: StreamName::new(RELEASES),
            contract: Version::new(1, 0, 0),
            subject: Subject::NONE,
            occurred_at: at,
            known_at: at,
            batch: None,
            cause: None,
            key_epoch: 0,
            payload: Payload { open: event.to_payload().unwrap().into(), cells: vec![] },
        };
        ReleaseFold.fold(tables, &record, &mut Emissions::default()).unwrap();
        allowed
    };
    let mut release = |trained: &Trained| -> Result<VersionNumber, String> {
        blobs.put(&trained.bytes).unwrap();
        append(&mut tables, &trained.registration(&model, about(), "train"))?;
        let number = tables.model(&model).unwrap().by_artefact(&trained.manifest.artefact).unwrap().number;
        append(&mut tables, &trained.judgement(&model, number, "train"))?;
        let to = Move::Canary(Share::from_percent(5.0).unwrap());
        let moved = |to| ReleaseEvent::Moved {
            model: model.clone(),
            version: number,
            to,
            by: "Ada".into(),
            reason: String::new(),
        };
        append(&mut tables, &moved(to))?;
        append(&mut tables, &moved(Move::Live))?;
        Ok(number)
    };
    let refused = release(&in_time.challenger).unwrap_err();
    assert!(refused.starts_with("MR4535") && refused.contains("the baseline is better: AUC"), "{refused}");
    assert_eq!(release(&random.challenger), Ok(VersionNumber(2)));
    let state = tables.model(&model).unwrap();
    let live = state.version(state.live.unwrap()).unwrap();
    let stored = learn::Model::from_bytes(&blobs.get(&live.manifest.artefact).unwrap()).unwrap();
    assert_eq!(stored, random.challenger.model);
}
