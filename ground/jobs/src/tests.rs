//! Schedules across the days that are not 24 hours long, and runs under every order of calls and crashes.

use std::collections::BTreeSet;

use event::{Instant, Partition, Payload, Record, Span, StreamName, Subject, Version};
use proptest::prelude::*;
use store::{Digest, Emissions, Fold, Scope};

use crate::*;

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

/// The next `expected.len()` due instants after `after`, in UTC.
#[track_caller]
fn check(cron: &str, zone: &str, after: &str, expected: &[&str]) {
    let schedule = Schedule::parse(cron, zone).unwrap();
    let mut now = at(after);
    for expected in expected {
        let due = schedule.next_after(now).unwrap();
        assert_eq!(due, at(expected), "`{cron}` in {zone} after {now}");
        assert_eq!(schedule.last_between(now, due), Some(due), "`{cron}` backwards");
        assert_eq!(schedule.last_between(now, due - Span::from_micros(1)), None, "nothing lies in between");
        now = due;
    }
}

#[test]
fn a_schedule_names_local_times() {
    check("30 3 * * *", "Europe/Berlin", "2026-11-24", &["2026-11-24T02:30:00Z", "2026-11-25T02:30:00Z"]);
    check(
        "*/20 9-10 * * mon-fri",
        "UTC",
        "2026-11-27T10:30:00Z",
        &["2026-11-27T10:40:00Z", "2026-11-30T09:00:00Z"],
    );
    check("0 0 29 2 *", "UTC", "2026-11-24", &["2028-02-29", "2032-02-29"]);
    check("0 0 29 2 *", "UTC", "2096-03-01", &["2104-02-29"]);
    check(
        "0 12 1,15 jan,JUL *",
        "UTC",
        "2026-11-24",
        &["2027-01-01T12:00:00Z", "2027-01-15T12:00:00Z", "2027-07-01T12:00:00Z"],
    );
    check("@hourly", "Asia/Kolkata", "2026-11-24", &["2026-11-24T00:30:00Z", "2026-11-24T01:30:00Z"]);
    // Day of the month and of the week: either is enough, unless one is a star (crontab(5)).
    check("0 0 13 * 5", "UTC", "2026-11-01", &["2026-11-06", "2026-11-13", "2026-11-20"]);
    check("0 0 */1 * 7", "UTC", "2026-11-24", &["2026-11-29", "2026-12-06"]);
    check(
        "5/25 0 * * *",
        "UTC",
        "2026-11-24",
        &["2026-11-24T00:05:00Z", "2026-11-24T00:30:00Z", "2026-11-24T00:55:00Z"],
    );
}

#[test]
fn a_time_of_day_is_due_once_on_every_day() {
    // Berlin 2026-03-29: 02:00 to 03:00 does not exist. 02:30 is moved on to 03:30 summer time.
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-03-28T02:00:00Z",
        &["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"],
    );
    // 2026-10-25: 02:00 to 03:00 comes twice. The first counts.
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T12:00:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
    );
    // Midnight itself is the gap.
    check(
        "0 0 * * *",
        "America/Santiago",
        "2026-09-05T12:00:00Z",
        &["2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"],
    );
    // Samoa had no 30 December 2011: its times fall on the next day's, and are due once.
    check(
        "0 9 * * *",
        "Pacific/Apia",
        "2011-12-29T12:00:00Z",
        &["2011-12-29T19:00:00Z", "2011-12-30T19:00:00Z", "2011-12-31T19:00:00Z"],
    );
}

#[test]
fn a_rhythm_keeps_to_real_time() {
    check(
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-03-29T00:20:00Z",
        &["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
    );
    check(
        "30 * * * *",
        "Europe/Berlin",
        "2026-10-24T23:40:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"],
    );
}

#[test]
fn what_is_no_schedule_is_told() {
    for (cron, zone, expected) in [
        ("30 3 * *", "UTC", "`30 3 * *` is no schedule: five fields are expected"),
        ("0 30 3 * * *", "UTC", "not 6"),
        ("60 3 * * *", "UTC", "`60` of the minute is not 0 to 59"),
        ("0 3 * * fun", "UTC", "`fun` of the day of the week is not 0 to 7 or sun to sat"),
        ("0 3 30 2 *", "UTC", "there is no day 30 of month 2"),
        ("0 5-3 * * *", "UTC", "runs backwards"),
        ("*/0 * * * *", "UTC", "no step after `/`"),
        ("-1 * * * *", "UTC", "of the minute"),
        ("+1 * * * *", "UTC", "of the minute"),
        ("", "UTC", "not 0"),
        ("@reboot", "UTC", "known short forms: @hourly"),
        ("0 3 * * *", "Europe/Bärlin", "`Europe/Bärlin` is no time zone"),
        ("0 3 * * *", "", "is no time zone"),
    ] {
        let error = Schedule::parse(cron, zone).unwrap_err();
        assert!(error.to_string().contains(expected), "{cron} {zone}: {error}");
        assert_eq!(error.code(), "MR4601");
    }
}

#[test]
fn what_was_missed_is_caught_up_as_the_job_says() {
    let schedule = Schedule::parse("0 3 * * *", "UTC").unwrap();
    let job = |last: Option<&str>| Job {
        since: at("2026-11-01T12:00:00Z"),
        last_due: last.map(at),
        ..Job::default()
    };
    let due = |last, catch_up, now| schedule.due(&job(last), catch_up, at(now)).map(|due| due.to_string());
    let late = "2026-11-05T09:00:00Z";
    assert_eq!(due(None, CatchUp::Latest, late).as_deref(), Some("2026-11-05T03:00:00Z"));
    assert_eq!(due(None, CatchUp::All, late).as_deref(), Some("2026-11-02T03:00:00Z"));
    assert_eq!(
        due(Some("2026-11-02T03:00:00Z"), CatchUp::All, late).as_deref(),
        Some("2026-11-03T03:00:00Z")
    );
    assert_eq!(due(None, CatchUp::None, late), None);
    assert_eq!(due(None, CatchUp::None, "2026-11-05T03:00:01Z").as_deref(), Some("2026-11-05T03:00:00Z"));
    assert_eq!(due(Some("2026-11-05T03:00:00Z"), CatchUp::Latest, late), None);
    assert_eq!(
        due(None, CatchUp::Latest, "2026-11-02T02:59:59Z"),
        None,
        "nothing from before the job was there"
    );
}

#[test]
fn rests_double_up_to_the_most() {
    let tries = Tries { attempts: 9, first_after: Span::from_secs(60), most: Span::from_secs(600) };
    let rests: Vec<String> = (1..=6).map(|n| tries.rest_after(n).to_string()).collect();
    assert_eq!(rests, ["1m", "2m", "4m", "8m", "10m", "10m"]);
    assert_eq!(tries.rest_after(u32::MAX), tries.most);
}

fn plan(name: &str, needs: &[&str]) -> StepPlan {
    let needs = needs.iter().map(|need| (*need).to_owned()).collect();
    let tries = Tries { attempts: 2, first_after: Span::from_secs(60), most: Span::from_secs(60) };
    StepPlan { name: name.to_owned(), needs, tries, act: format!("do {name}") }
}

#[test]
fn circles_and_strangers_are_found() {
    let what = |steps: &[StepPlan]| -> Vec<String> {
        check_steps(steps).into_iter().map(|flaw| flaw.what).collect()
    };
    assert!(what(&[plan("a", &[]), plan("b", &["a"]), plan("c", &["a", "b"])]).is_empty());
    assert_eq!(
        what(&[plan("a", &["b"]), plan("b", &["c"]), plan("c", &["b"])]),
        ["steps need each other in a circle: b → c → b"]
    );
    assert_eq!(what(&[plan("a", &["a"])]), ["steps need each other in a circle: a → a"]);
    assert_eq!(what(&[plan("a", &["x"])]), ["it needs `x`, which is no step of this job"]);
    assert_eq!(what(&[plan("a", &[]), plan("a", &[])]), ["there are two steps of this name"]);
}

#[test]
fn names_are_plain() {
    for (name, fits) in
        [("nightly", true), ("a_b-2", true), ("", false), ("a/b", false), ("ä", false), ("a b", false)]
    {
        assert_eq!(check_name("job", name).is_ok(), fits, "{name}");
    }
    assert!(check_run("manual__2026-11-24T09:00:00.123456+00:00").is_ok(), "Airflow's run ids");
    for name in ["", "a/b", "a b", "a?b", &"x".repeat(129)] {
        assert!(check_run(name).is_err(), "{name}");
    }
}

/// A ledger, and the number of its records.
struct Ledger {
    tables: Tables,
    n: i64,
    seen: BTreeSet<event::RecordId>,
    log: Vec<Record>,
}

impl Ledger {
    fn new() -> Self {
        Self {
            tables: Tables::open(&Scope::memory(Partition::CONTROL)),
            n: 0,
            seen: BTreeSet::new(),
            log: Vec::new(),
        }
    }

    /// Writes a note as the house does: one that is there already changes nothing.
    fn write(&mut self, note: &Note) {
        self.n += 1;
        let known_at = at("2026-11-24T03:00:00Z") + Span::from_secs(self.n);
        let record = Record {
            id: note.record_id(),
            stream: StreamName::new(JOBS),
            contract: Version::new(1, 0, 0),
            subject: Subject::NONE,
            occurred_at: known_at,
            known_at,
            batch: None,
            cause: None,
            source: None,
            key_epoch: 0,
            payload: Payload { open: note.to_payload().into(), cells: Vec::new() },
        };
        if self.seen.insert(record.id) {
            JobFold.fold(&mut self.tables, &record, &mut Emissions::default()).unwrap();
            self.log.push(record);
        }
    }

    fn open(&mut self, driver: Driver) {
        let steps = vec![plan("import", &[]), plan("prices", &[]), plan("train", &["import"])];
        let (due, by) = (Some(at("2026-11-24T03:00:00Z")), "schedule".to_owned());
        self.write(&Note::Opened { job: "nightly".into(), run: "r".into(), driver, due, by, steps });
    }

    fn run(&self) -> Run {
        self.tables.run("nightly", "r").unwrap().unwrap()
    }

    fn begin(&mut self, step: &str) -> u32 {
        let attempt = self.run().step(step).unwrap().n_attempts + 1;
        self.write(&Note::Began { job: "nightly".into(), run: "r".into(), step: step.into(), attempt });
        attempt
    }

    fn end(&mut self, step: &str, attempt: u32, ending: Ending) {
        self.write(&Note::Ended {
            job: "nightly".into(),
            run: "r".into(),
            step: step.into(),
            attempt,
            ending,
        });
    }

    fn digest(&mut self) -> Digest {
        let mut digest = Digest::default();
        self.tables.stored().into_iter().for_each(|table| table.digest(&mut digest).unwrap());
        digest
    }

    fn states(&self) -> Vec<StepState> {
        let run = self.run();
        run.steps.iter().map(|step| run.state_of(step)).collect()
    }
}

fn done() -> Ending {
    Ending::Done { report: "{}".into() }
}

fn failed(again: bool) -> Ending {
    Ending::Failed { code: "MR2020".into(), message: "no file".into(), report: None, again }
}

#[test]
fn a_failure_rests_then_ends_what_depends_on_it_and_nothing_else() {
    let mut ledger = Ledger::new();
    ledger.open(Driver::House);
    assert_eq!(ledger.states(), [StepState::Ready, StepState::Ready, StepState::Waiting]);
    let attempt = ledger.begin("import");
    ledger.end("import", attempt, failed(true));
    let StepState::Resting { until } = ledger.states()[0] else { panic!("{:?}", ledger.states()) };
    let run = ledger.run();
    let names =
        |now| run.ready(now, |_| false).0.iter().map(|step| step.plan.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(until - Span::from_micros(1)), ["prices"]);
    assert_eq!(names(until), ["import", "prices"]);
    assert_eq!(run.ready(until - Span::from_secs(1), |_| false).1, Some(until));
    let attempt = ledger.begin("import");
    ledger.end("import", attempt, failed(true));
    assert_eq!(ledger.states(), [StepState::Failed, StepState::Ready, StepState::Skipped]);
    assert_eq!(ledger.run().state(), RunState::Open, "prices does not depend on it");
    let attempt = ledger.begin("prices");
    ledger.end("prices", attempt, done());
    assert_eq!(ledger.run().state(), RunState::Failed);
    let job = ledger.tables.job("nightly").unwrap().unwrap();
    assert!(job.open.is_empty() && job.last_due.is_some());

    // Another chance, by another plan: what is done stays.
    let steps = vec![plan("import", &[]), plan("prices", &[]), plan("train", &["import", "prices"])];
    ledger.write(&Note::Reopened {
        job: "nightly".into(),
        run: "r".into(),
        time: 1,
        by: "mara".into(),
        steps,
    });
    assert_eq!(ledger.states(), [StepState::Ready, StepState::Done, StepState::Waiting]);
    assert!(ledger.run().ended_at.is_none());
    let attempt = ledger.begin("import");
    assert_eq!(attempt, 3, "attempts are counted on");
    ledger.end("import", attempt, done());
    let attempt = ledger.begin("train");
    ledger.end("train", attempt, failed(false));
    assert_eq!(ledger.states()[2], StepState::Failed, "no rest where another attempt cannot help");
}

#[test]
fn a_cut_off_attempt_begins_again_at_once_and_its_late_ending_counts_for_nothing() {
    let mut ledger = Ledger::new();
    ledger.open(Driver::House);
    let first = ledger.begin("import");
    let run = ledger.run();
    assert_eq!(run.ready(at("2026-11-24"), |step| step == "import").0.len(), 1, "it is running");
    assert_eq!(run.ready(at("2026-11-24"), |_| false).0.len(), 2, "the process that ran it is gone");
    let second = ledger.begin("import");
    assert_eq!(ledger.run().step("import").unwrap().n_cut_off, 1);
    ledger.end("import", first, failed(false));
    assert_eq!(ledger.states()[0], StepState::Begun);
    ledger.end("import", second, done());
    ledger.end("import", second, failed(false));
    ledger.begin("import");
    assert_eq!(ledger.states()[0], StepState::Done);
}

#[test]
fn a_cancelled_run_begins_nothing() {
    let mut ledger = Ledger::new();
    ledger.open(Driver::House);
    let attempt = ledger.begin("import");
    ledger.write(&Note::Cancelled { job: "nightly".into(), run: "r".into(), by: "mara".into() });
    assert_eq!(ledger.run().state(), RunState::Cancelled);
    ledger.end("import", attempt, done());
    assert_eq!(ledger.states()[0], StepState::Done, "what was under way is told truly");
    assert!(ledger.run().ready(at("2027-01-01"), |_| false).0.is_empty());
    ledger.begin("prices");
    assert_eq!(ledger.states()[1], StepState::Ready);
}

#[test]
fn many_attempts_of_an_outside_driver_stay_bounded() {
    let mut ledger = Ledger::new();
    ledger.open(Driver::Outside);
    for _ in 0..100 {
        let attempt = ledger.begin("import");
        ledger.end("import", attempt, failed(true));
    }
    let run = ledger.run();
    let step = run.step("import").unwrap();
    assert_eq!((step.n_attempts, step.attempts.len()), (100, 20));
    let attempt = ledger.begin("import");
    ledger.end("import", attempt, done());
    assert_eq!(ledger.states(), [StepState::Done, StepState::Ready, StepState::Ready]);
}

proptest! {
    /// Whatever the order of looks, crashes and failures: no step begins before what it needs is done, a step that is
    /// done begins no more, and folding the log anew, with every record twice, gives the same digest (LAW 2).
    #[test]
    fn a_run_is_worked_in_order_and_folds_the_same(moves in prop::collection::vec((0_usize..3, 0_u8..4), 0..60)) {
        let mut ledger = Ledger::new();
        ledger.open(Driver::House);
        let mut open: Vec<(String, u32)> = Vec::new();
        for (pick, what) in moves {
            match what {
                0 => {
                    let running: BTreeSet<String> = open.iter().map(|(step, _)| step.clone()).collect();
                    let run = ledger.run();
                    let (ready, _) = run.ready(at("2027-01-01"), |step| running.contains(step));
                    if let Some(step) = ready.get(pick % ready.len().max(1)) {
                        prop_assert!(run.missing(step).is_empty());
                        prop_assert!(run.state_of(step) != StepState::Done);
                        let name = step.plan.name.clone();
                        let attempt = ledger.begin(&name);
                        open.push((name, attempt));
                    }
                }
                1 => open.clear(),
                _ => {
                    if let Some((step, attempt)) = open.pop() {
                        ledger.end(&step, attempt, if what == 2 { done() } else { failed(true) });
                        prop_assert!(ledger.run().step(&step).unwrap().attempts.len() as u32 == attempt.min(20));
                    }
                }
            }
        }
        let (live, log) = (ledger.digest(), std::mem::take(&mut ledger.log));
        let mut again = Ledger::new();
        for record in &log {
            JobFold.fold(&mut again.tables, record, &mut Emissions::default()).unwrap();
            JobFold.fold(&mut again.tables, record, &mut Emissions::default()).unwrap();
        }
        prop_assert_eq!(live, again.digest());
    }
}
