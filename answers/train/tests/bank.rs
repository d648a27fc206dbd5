//! Bank Marketing through the whole job: at random the challenger passes, in time the gate refuses it, with figures.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "helpers of tests")]

mod common;

#[path = "common/bank.rs"]
mod bank;

use event::{Instant, Partition, Payload, Record, RecordId, StreamName, Subject, Version};
use registry::{About, Blobs, Move, RELEASES, ReleaseEvent, ReleaseFold, Role, Share, Tables, VersionNumber};
use store::{Emissions, Fold, Scope};
use train::{Dataset, Holdout, Outcome, Plan, Trained, train};

fn bank(test: &str) -> Option<Dataset> {
    let data = bank::data();
    if !data.is_dir() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no data at {}", data.display());
        eprintln!("SKIPPED {test}: no data");
        return None;
    }
    Some(bank::bank(&data))
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
            source: None,
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
