//! Runs: opened, driven, shown. What has begun and ended is on record before anybody is told.

use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use event::{Instant, Subject};
use jobs::{Driver, Ending, JOBS, MAX_CUT_OFF, Note, Run, RunState, StepState};

use super::act::Act;
use super::desk::{Claim, Place};
use super::spec::JobSpec;
use super::view::{JobView, RunView, StepView};
use crate::Error;
use crate::house::House;

/// How long a pause between two looks at a run lasts at most.
const LOOK: Duration = Duration::from_millis(500);

/// What a step's caller is told to do.
pub(super) enum Begin {
    /// It is done already.
    Done,
    /// Somebody is doing it.
    Busy,
    /// Do it.
    Yours(Claim),
}

impl House {
    /// The jobs of the project.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn jobs(&self) -> Result<Vec<JobView>, Error> {
        self.project().jobs.iter().map(|spec| self.show_job(spec)).collect()
    }

    /// A job of the project.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], listing the known ones.
    pub fn job(&self, name: &str) -> Result<JobView, Error> {
        self.show_job(self.job_spec(name)?)
    }

    /// The runs of a job, the latest first, at most `most`.
    ///
    /// # Errors
    /// [`Error::UnknownJob`]
    pub fn job_runs(&self, job: &str, most: usize) -> Result<Vec<RunView>, Error> {
        let runs = self.in_control(|rooms| rooms.jobs.runs(job, most))?;
        if runs.is_empty() {
            self.job_spec(job)?;
        }
        Ok(runs.iter().map(|run| self.show_run(run)).collect())
    }

    /// A run of a job.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::NotFound`]
    pub fn job_run(&self, job: &str, run: &str) -> Result<RunView, Error> {
        match self.in_control(|rooms| rooms.jobs.run(job, run))? {
            Some(run) => Ok(self.show_run(&run)),
            None => {
                self.job_spec(job)?;
                let id = format!("{job}/{}", run.chars().take(128).collect::<String>());
                Err(Error::NotFound { what: "run", id })
            }
        }
    }

    /// Opens a run that the house drives. Opening it again changes nothing, except that what failed gets another
    /// chance, by the job's file of now.
    ///
    /// # Errors
    /// [`Error::UnknownJob`]; [`Error::JobRefused`] where the run belongs to somebody outside or was cancelled;
    /// [`Error::Job`] where it cannot be called so.
    pub fn open_run(&self, job: &str, run: &str, by: &str) -> Result<RunView, Error> {
        let spec = self.job_spec(job)?;
        jobs::check_run(run)?;
        let known = self.in_control(|rooms| rooms.jobs.run(job, run))?;
        let Some(known) = known else {
            return Ok(self.show_run(&self.note_opened(spec, run, Driver::House, None, by)?));
        };
        let refuse = |reason: &str| Err(Error::JobRefused { reason: format!("run `{job}/{run}` {reason}") });
        match known.state() {
            _ if known.driver == Driver::Outside => {
                refuse("is driven from outside: whoever opened it says when its steps begin")
            }
            RunState::Cancelled => refuse("was cancelled; give the new one another name"),
            RunState::Failed => {
                self.note_job(&Note::Reopened {
                    job: job.to_owned(),
                    run: run.to_owned(),
                    time: known.n_reopened + 1,
                    by: by.to_owned(),
                    steps: spec.steps.clone(),
                })?;
                self.job_run(job, run)
            }
            RunState::Open | RunState::Done => Ok(self.show_run(&known)),
        }
    }

    /// Ends a run: a step that is being done is done still, no other begins.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::JobRefused`] where it has ended.
    pub fn cancel_run(&self, job: &str, run: &str, by: &str) -> Result<RunView, Error> {
        let known = self.job_run(job, run)?;
        if known.state != "open" {
            let reason = format!("run `{job}/{run}` has ended ({}): there is nothing to cancel", known.state);
            return Err(Error::JobRefused { reason });
        }
        let (job, run, by) = (job.to_owned(), run.to_owned(), by.to_owned());
        self.note_job(&Note::Cancelled { job: job.clone(), run: run.clone(), by })?;
        self.job_run(&job, &run)
    }

    /// Does one step of a run that is driven from outside, and waits for its end; the run is opened by its first step.
    /// Asked again for a step that is done, it says what came out; for one that is being done, it waits; for one that
    /// failed or was cut off, it makes another attempt.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::NotFound`] for the step; [`Error::JobWaits`] where a step it needs is not done;
    /// [`Error::JobRefused`] where the house drives this run, or it was cancelled. A step that fails is no error: see
    /// [`StepView::state`].
    pub fn run_step(&self, job: &str, step: &str, run: &str, by: &str) -> Result<StepView, Error> {
        let place = place(job, run, step);
        match self.begin_outside(job, step, run, by)? {
            Begin::Done => {}
            Begin::Yours(claim) => self.work(claim)?,
            Begin::Busy => {
                self.desk.wait(&place, Moment::now() + Duration::from_secs(3_600));
            }
        }
        self.show_step(job, step, run)
    }

    /// As [`House::run_step`], but it waits no longer than `wait`: the step then goes on by itself, and asking again
    /// waits on.
    ///
    /// # Errors
    /// As [`House::run_step`].
    pub fn run_step_within(
        self: &Arc<Self>,
        job: &str,
        step: &str,
        run: &str,
        by: &str,
        wait: Duration,
    ) -> Result<StepView, Error> {
        let until = Moment::now() + wait;
        match self.begin_outside(job, step, run, by)? {
            Begin::Done => {}
            Begin::Yours(claim) => {
                self.spawn(claim)?;
                self.desk.wait(&place(job, run, step), until);
            }
            Begin::Busy => {
                self.desk.wait(&place(job, run, step), until);
            }
        }
        self.show_step(job, step, run)
    }

    /// Drives a run that the house drives until it has ended, or until `go_on` says no.
    ///
    /// # Errors
    /// Whatever the journal or the store says; a step that fails is no error.
    pub fn drive_run(
        &self,
        job: &str,
        run: &str,
        mut go_on: impl FnMut(&RunView) -> bool,
    ) -> Result<RunView, Error> {
        loop {
            let known = self.known_run(job, run)?;
            let view = self.show_run(&known);
            // Told first, so that whoever looks sees the end too.
            if !go_on(&view) || known.ended_at.is_some() {
                return Ok(view);
            }
            let (ready, _) = known.ready(self.now(), |step| self.desk.is_running(job, run, step));
            let claim = ready.first().and_then(|step| self.desk.claim(place(job, run, &step.plan.name)));
            match claim {
                Some(claim) => self.work(claim)?,
                None => self.desk.wait_any(Moment::now() + LOOK),
            }
        }
    }

    /// Does the step that was claimed: an attempt on record, the act, its ending on record.
    pub(super) fn work(&self, claim: Claim) -> Result<(), Error> {
        let (job, run_name, step_name) = claim.place().clone();
        // Looked at after the claim: whoever had it before may have done it.
        let run = self.known_run(&job, &run_name)?;
        let Some(step) = run.step(&step_name) else { return Ok(()) };
        let state = run.state_of(step);
        if state == StepState::Done || run.cancelled.is_some() {
            return Ok(());
        }
        let ended = |attempt: u32, ending: Ending| Note::Ended {
            job: job.clone(),
            run: run_name.clone(),
            step: step_name.clone(),
            attempt,
            ending,
        };
        if state == StepState::Begun && step.n_cut_off + 1 >= MAX_CUT_OFF {
            let message = format!(
                "the process ended {MAX_CUT_OFF} times while this step was being done; does it take more memory than there is?"
            );
            let (code, report) = ("MR4606".to_owned(), None);
            self.note_job(&ended(step.n_attempts, Ending::Failed { code, message, report, again: false }))?;
            return Ok(());
        }
        let attempt = step.n_attempts + 1;
        let began = Note::Began { job: job.clone(), run: run_name.clone(), step: step_name.clone(), attempt };
        self.note_job(&began)?;
        tracing::info!(job, run = run_name, step = step_name, attempt, "step begins");
        let ending = match self.do_step(&run, step) {
            Ok(report) => Ending::Done { report: report.to_string() },
            Err(stop) => {
                let (code, message) = (&stop.code, &stop.message);
                tracing::warn!(job, run = run_name, step = step_name, attempt, code, message, "step failed");
                Ending::Failed {
                    code: stop.code,
                    message: stop.message,
                    report: stop.report.map(|report| report.to_string()),
                    again: stop.again,
                }
            }
        };
        self.note_job(&ended(attempt, ending))?;
        drop(claim);
        Ok(())
    }

    /// Does a claimed step on a thread of its own. Where the house closes meanwhile, the attempt stays without an
    /// ending, as after a crash.
    pub(super) fn spawn(self: &Arc<Self>, claim: Claim) -> Result<(), Error> {
        let house = Arc::clone(self);
        let work = move || {
            if let Err(error) = house.work(claim) {
                tracing::warn!(code = error.code(), %error, "a step's ending is not on record; it will be done again");
            }
        };
        let spawned = std::thread::Builder::new().name("job".to_owned()).spawn(work);
        spawned.map(drop).map_err(|e| Error::Internal { reason: format!("the system gives no thread: {e}") })
    }

    fn begin_outside(&self, job: &str, step: &str, run: &str, by: &str) -> Result<Begin, Error> {
        jobs::check_run(run)?;
        let known = match self.in_control(|rooms| rooms.jobs.run(job, run))? {
            Some(known) => known,
            None => {
                let spec = self.job_spec(job)?;
                // Not for a step that the job does not have.
                self.planned(job, step, spec.steps.iter().any(|plan| plan.name == step))?;
                self.note_opened(spec, run, Driver::Outside, None, by)?
            }
        };
        let refuse = |reason: &str| Err(Error::JobRefused { reason: format!("run `{job}/{run}` {reason}") });
        let found = known.step(step);
        self.planned(job, step, found.is_some())?;
        let Some(found) = found else { return Ok(Begin::Done) };
        if known.state_of(found) == StepState::Done {
            return Ok(Begin::Done);
        }
        if known.driver == Driver::House {
            return refuse("is driven by the house: its steps begin by themselves");
        }
        if known.cancelled.is_some() {
            return refuse("was cancelled; give the new one another name");
        }
        let missing = known.missing(found);
        if !missing.is_empty() {
            let needs = missing.into_iter().map(str::to_owned).collect();
            return Err(Error::JobWaits { step: step.to_owned(), run: run.to_owned(), needs });
        }
        Ok(self.desk.claim(place(job, run, step)).map_or(Begin::Busy, Begin::Yours))
    }

    fn planned(&self, job: &str, step: &str, is_there: bool) -> Result<(), Error> {
        let id = || format!("{job}/{}", step.chars().take(64).collect::<String>());
        if is_there { Ok(()) } else { Err(Error::NotFound { what: "step", id: id() }) }
    }

    pub(super) fn note_opened(
        &self,
        spec: &JobSpec,
        run: &str,
        driver: Driver,
        due: Option<Instant>,
        by: &str,
    ) -> Result<Run, Error> {
        self.note_job(&Note::Opened {
            job: spec.job.clone(),
            run: run.to_owned(),
            driver,
            due,
            by: by.to_owned(),
            steps: spec.steps.clone(),
        })?;
        self.known_run(&spec.job, run)
    }

    pub(super) fn note_job(&self, note: &Note) -> Result<(), Error> {
        self.append_system(JOBS, Subject::NONE, note.record_id(), None, note.to_payload())?;
        Ok(())
    }

    pub(super) fn known_run(&self, job: &str, run: &str) -> Result<Run, Error> {
        let found = self.in_control(|rooms| rooms.jobs.run(job, run))?;
        found.ok_or_else(|| Error::NotFound { what: "run", id: format!("{job}/{run}") })
    }

    fn job_spec(&self, name: &str) -> Result<&JobSpec, Error> {
        self.project().jobs.iter().find(|spec| spec.job == name).ok_or_else(|| Error::UnknownJob {
            name: name.chars().take(64).collect(),
            known: self.project().jobs.iter().map(|spec| spec.job.clone()).collect(),
        })
    }

    fn show_run(&self, run: &Run) -> RunView {
        RunView::of(run, |step| self.desk.is_running(&run.job, &run.run, step))
    }

    fn show_step(&self, job: &str, step: &str, run: &str) -> Result<StepView, Error> {
        let run = self.job_run(job, run)?;
        let found = run.steps.into_iter().find(|known| known.step == step);
        found.ok_or_else(|| Error::NotFound { what: "step", id: format!("{job}/{step}") })
    }

    fn show_job(&self, spec: &JobSpec) -> Result<JobView, Error> {
        let known = self.in_control(|rooms| rooms.jobs.job(&spec.job))?.unwrap_or_default();
        let last_run = match &known.last_run {
            Some(run) => {
                self.in_control(|rooms| rooms.jobs.run(&spec.job, run))?.map(|run| self.show_run(&run))
            }
            None => None,
        };
        let words = |act: &str| Act::from_text(act).map_or_else(String::new, |act| act.words());
        let steps = spec.steps.iter().map(|step| (step.name.clone(), words(&step.act), step.needs.clone()));
        Ok(JobView {
            job: spec.job.clone(),
            owner: spec.owner.clone(),
            description: spec.description.clone(),
            schedule: spec.schedule.as_ref().map(ToString::to_string),
            next_due: spec.schedule.as_ref().and_then(|schedule| schedule.next_after(self.now())),
            n_runs: known.n_runs,
            steps: steps.collect(),
            last_run,
        })
    }
}

pub(super) fn place(job: &str, run: &str, step: &str) -> Place {
    (job.to_owned(), run.to_owned(), step.to_owned())
}
