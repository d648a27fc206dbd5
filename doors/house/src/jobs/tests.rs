//! Scheduled runs over days that pass while nobody is there, and steps that take the process down.

use std::path::Path;
use std::sync::Arc;

use jobs::{Driver, MAX_CUT_OFF, Note};

use super::view::RunView;
use crate::house::House;
use crate::project::Project;

const JOB: &str = "
job: nightly
owner: mara
schedule: '0 3 * * *'
time_zone: Europe/Berlin
CATCH_UP
steps:
  - { step: features, features: {} }
  - { step: again, features: {} }
";

/// The house at a time of its own.
fn open(dir: &Path, clock: &str) -> Arc<House> {
    let settings = format!("[instance]\npartitions = 2\nclock = '{clock}'\n[state]\ncommit_every_ms = 20\n");
    std::fs::write(dir.join("maschinenraum.toml"), settings).unwrap();
    Arc::new(House::open(Project::load(dir).unwrap()).unwrap())
}

fn project(catch_up: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs")).unwrap();
    std::fs::write(dir.path().join("jobs/nightly.yaml"), JOB.replace("CATCH_UP", catch_up)).unwrap();
    dir
}

/// Looks until nothing is open any more, and gives the runs' names and states, the latest first.
fn look(house: &Arc<House>) -> Vec<(String, &'static str)> {
    for _ in 0..10 {
        house.look_at_jobs().unwrap();
        let open: Vec<RunView> =
            house.job_runs("nightly", 10).unwrap().into_iter().filter(|run| run.state == "open").collect();
        for run in open {
            house.drive_run("nightly", &run.run, |_| true).unwrap();
        }
    }
    house.job_runs("nightly", 10).unwrap().into_iter().map(|run| (run.run, run.state)).collect()
}

#[track_caller]
fn check(catch_up: &str, expected: &[&str]) {
    let dir = project(catch_up);
    let house = open(dir.path(), "2026-11-20T12:00:00Z");
    assert_eq!(look(&house), [], "{catch_up}: nothing from before the job was there");
    house.close();
    drop(house);
    let house = open(dir.path(), "2026-11-23T12:00:00Z");
    let runs = look(&house);
    let expected: Vec<_> = expected.iter().map(|run| ((*run).to_owned(), "done")).collect();
    assert_eq!(runs, expected, "{catch_up}");
    assert_eq!(look(&house), expected, "{catch_up}: looking again opens nothing");
    house.close();
}

#[test]
fn what_was_due_while_nobody_was_there_is_caught_up_as_the_job_says() {
    check("", &["2026-11-23T02:00:00Z"]);
    check("catch_up: all", &["2026-11-23T02:00:00Z", "2026-11-22T02:00:00Z", "2026-11-21T02:00:00Z"]);
    check("catch_up: none", &[]);
}

#[test]
fn a_step_that_takes_the_process_down_ends_some_day() {
    let dir = project("");
    let house = open(dir.path(), "2026-11-20T12:00:00Z");
    let spec = house.project().jobs.first().unwrap();
    house.note_opened(spec, "r", Driver::House, None, "mara").unwrap();
    for attempt in 1..=MAX_CUT_OFF {
        let (job, run, step) = ("nightly".to_owned(), "r".to_owned(), "features".to_owned());
        house.note_job(&Note::Began { job, run, step, attempt }).unwrap();
    }
    let ended = house.drive_run("nightly", "r", |_| true).unwrap();
    let step = ended.step("features").unwrap();
    assert_eq!((ended.state, step.state, step.failure().unwrap().0), ("failed", "failed", "MR4606"));
    assert_eq!(ended.step("again").unwrap().state, "skipped");
    house.open_run("nightly", "r", "mara").unwrap();
    assert_eq!(house.drive_run("nightly", "r", |_| true).unwrap().state, "done", "another chance");
    house.close();
}

#[test]
fn two_who_ask_for_a_step_at_once_get_one_attempt() {
    let dir = project("");
    let house = open(dir.path(), "2026-11-20T12:00:00Z");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let done = house.run_step("nightly", "features", "r", "mara").unwrap();
                assert_eq!((done.state, done.n_attempts), ("done", 1));
            });
        }
    });
    house.close();
}
