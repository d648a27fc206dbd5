//! The fold over `mr.jobs`.

use event::{Instant, Record};
use store::{Emissions, Error, Fold};

use crate::tables::key;
use crate::{Driver, JOBS, Note, Run, Tables};

/// Folds jobs. A note that does not fit what is known (an ending of an attempt that never began) changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct JobFold;

impl Fold<Record> for JobFold {
    type Tables = Tables;

    fn fold(&self, tables: &mut Tables, record: &Record, _: &mut Emissions) -> Result<(), Error> {
        if record.stream.as_str() != JOBS {
            return Ok(());
        }
        let Ok(note) = serde_json::from_slice::<Note>(&record.payload.open) else { return Ok(()) };
        let at = record.known_at;
        match note {
            Note::Scheduled { job, schedule, .. } => tables.jobs.update(&job, |known| {
                known.schedule = schedule;
                known.since = at;
            }),
            Note::Opened { job, run, driver, due, by, steps } => {
                if tables.runs.get(&key(&job, &run))?.is_some() {
                    return Ok(());
                }
                let opened = Run::open(&job, &run, driver, due, &by, steps, at);
                tables.jobs.update(&job, |known| {
                    known.n_runs += 1;
                    known.last_run = Some(run.clone());
                    if driver == Driver::House {
                        known.last_due = known.last_due.max(due);
                    }
                })?;
                settle(tables, opened, at)
            }
            Note::Began { job, run, step, attempt } => {
                change(tables, &job, &run, at, |run| run.begin(&step, attempt, at))
            }
            Note::Ended { job, run, step, attempt, ending } => {
                change(tables, &job, &run, at, |run| run.end(&step, attempt, ending, at))
            }
            Note::Reopened { job, run, time, by, steps } => {
                change(tables, &job, &run, at, |run| run.reopen(time, &by, steps))
            }
            Note::Cancelled { job, run, by } => change(tables, &job, &run, at, |run| run.cancel(&by, at)),
        }
    }
}

fn change(
    tables: &mut Tables,
    job: &str,
    run: &str,
    at: Instant,
    change: impl FnOnce(&mut Run),
) -> Result<(), Error> {
    let Some(mut known) = tables.runs.get(&key(job, run))?.cloned() else { return Ok(()) };
    change(&mut known);
    settle(tables, known, at)
}

/// Puts a run back, and on or off its job's list of open ones.
fn settle(tables: &mut Tables, mut run: Run, at: Instant) -> Result<(), Error> {
    run.settle(at);
    tables.jobs.update(&run.job, |job| {
        if run.ended_at.is_none() {
            job.open.insert(run.run.clone());
        } else {
            job.open.remove(&run.run);
        }
    })?;
    tables.runs.put(key(&run.job, &run.run), run);
    Ok(())
}
