//! The thread beside a server that opens runs when they are due and begins their steps.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use jobs::{Driver, Job, Note};

use super::ledger::place;
use super::spec::JobSpec;
use crate::Error;
use crate::house::House;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// A running scheduler.
pub struct JobRunner {
    stop: SyncSender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl JobRunner {
    /// Begins.
    ///
    /// # Errors
    /// [`Error::Internal`] where the system gives no thread.
    pub fn start(house: &Arc<House>) -> Result<Self, Error> {
        let house = Arc::clone(house);
        let (stop, stopped) = sync_channel(1);
        let work = move || {
            let mut failed = false;
            loop {
                let looked = house.look_at_jobs();
                // Once, not every second: what stands in the way stays until somebody mends it.
                if let Err(error) = &looked
                    && !failed
                {
                    tracing::error!(code = error.code(), %error, "jobs cannot be run");
                }
                failed = looked.is_err();
                if !matches!(stopped.recv_timeout(EVERY), Err(RecvTimeoutError::Timeout)) {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("jobs".to_owned()).spawn(work);
        let thread =
            thread.map_err(|e| Error::Internal { reason: format!("the system gives no thread: {e}") })?;
        Ok(Self { stop, thread })
    }

    /// Begins nothing more. A step that is being done goes on until the house closes; cut off there, it is done again.
    pub fn stop(self) {
        let _ = self.stop.try_send(());
        drop(self.stop);
        let _ = self.thread.join();
    }
}

impl House {
    /// Opens what is due, and begins what is ready.
    ///
    /// # Errors
    /// Whatever the journal or the store says.
    pub fn look_at_jobs(self: &Arc<Self>) -> Result<(), Error> {
        for spec in &self.project().jobs {
            let job = self.scheduled(spec)?;
            let mut open = Vec::new();
            for run in &job.open {
                open.push(self.known_run(&spec.job, run)?);
            }
            let mut open: Vec<_> = open.into_iter().filter(|run| run.driver == Driver::House).collect();
            let is_free = !open.iter().any(|run| run.due.is_some());
            let due = spec.schedule.as_ref().filter(|_| is_free);
            if let Some(due) = due.and_then(|schedule| schedule.due(&job, spec.catch_up, self.now())) {
                open.push(self.note_opened(spec, &due.to_string(), Driver::House, Some(due), "schedule")?);
            }
            for run in &open {
                let (ready, _) = run.ready(self.now(), |step| self.desk.is_running(&run.job, &run.run, step));
                for step in ready {
                    if self.desk.n_running() >= self.settings().jobs.at_once {
                        return Ok(());
                    }
                    if let Some(claim) = self.desk.claim(place(&run.job, &run.run, &step.plan.name)) {
                        self.spawn(claim)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What is known of a job, after its schedule is on record.
    fn scheduled(&self, spec: &JobSpec) -> Result<Job, Error> {
        let known = self.in_control(|rooms| rooms.jobs.job(&spec.job))?.unwrap_or_default();
        let schedule = spec.schedule.as_ref().map(ToString::to_string);
        if known.schedule == schedule {
            return Ok(known);
        }
        let (job, at) = (spec.job.clone(), self.now());
        self.note_job(&Note::Scheduled { job, schedule, at })?;
        Ok(self.in_control(|rooms| rooms.jobs.job(&spec.job))?.unwrap_or_default())
    }
}
