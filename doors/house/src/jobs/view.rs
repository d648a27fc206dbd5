//! Jobs and runs as the doors show them.

use event::Instant;
use jobs::{Driver, Ending, Run, RunState, Step, StepState};
use serde::Serialize;
use serde_json::Value;

/// A job of the project.
#[derive(Clone, Debug, Serialize)]
pub struct JobView {
    /// Its name.
    pub job: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is for.
    pub description: String,
    /// When it is due, `30 3 * * * Europe/Berlin`; `None`: by hand or from outside only.
    pub schedule: Option<String>,
    /// When it is due next.
    pub next_due: Option<Instant>,
    /// Runs so far.
    pub n_runs: u64,
    /// Its steps: name, what it does, what it needs.
    pub steps: Vec<(String, String, Vec<String>)>,
    /// The run opened last.
    pub last_run: Option<RunView>,
}

/// A run of a job.
#[derive(Clone, Debug, Serialize)]
pub struct RunView {
    /// The job.
    pub job: String,
    /// The run.
    pub run: String,
    /// `open`, `done`, `failed` or `cancelled`.
    pub state: &'static str,
    /// `house` or `outside`: who says when steps begin.
    pub driver: &'static str,
    /// The instant it was scheduled for.
    pub due: Option<Instant>,
    /// Who or what opened it.
    pub by: String,
    /// When it was opened.
    pub opened_at: Instant,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// Its steps.
    pub steps: Vec<StepView>,
}

/// A step of a run.
#[derive(Clone, Debug, Serialize)]
pub struct StepView {
    /// Its name.
    pub step: String,
    /// `waiting`, `ready`, `resting`, `running`, `done`, `failed` or `skipped`.
    pub state: &'static str,
    /// The steps it needs.
    pub needs: Vec<String>,
    /// When it is tried again, where it rests.
    pub next_at: Option<Instant>,
    /// All attempts.
    pub n_attempts: u32,
    /// The latest attempts, the oldest first.
    pub attempts: Vec<AttemptView>,
    /// What it did.
    pub report: Option<Value>,
}

/// An attempt of a step.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptView {
    /// Counted from 1.
    pub number: u32,
    /// When it began.
    pub began_at: Instant,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// `running`, `done`, `failed` or `cut_off`.
    pub ended: &'static str,
    /// Names the reason of a failure.
    pub code: Option<String>,
    /// The reason.
    pub message: Option<String>,
    /// Of a failure: true where another attempt may help.
    pub again: Option<bool>,
}

impl RunView {
    /// Shows a run; `is_running` says which steps are being done now.
    pub(super) fn of(run: &Run, is_running: impl Fn(&str) -> bool) -> Self {
        let steps = run.steps.iter().map(|step| StepView::of(run, step, is_running(&step.plan.name)));
        Self {
            job: run.job.clone(),
            run: run.run.clone(),
            state: match run.state() {
                RunState::Open => "open",
                RunState::Done => "done",
                RunState::Failed => "failed",
                RunState::Cancelled => "cancelled",
            },
            driver: match run.driver {
                Driver::House => "house",
                Driver::Outside => "outside",
            },
            due: run.due,
            by: run.by.clone(),
            opened_at: run.opened_at,
            ended_at: run.ended_at,
            steps: steps.collect(),
        }
    }

    /// A step by name.
    pub fn step(&self, name: &str) -> Option<&StepView> {
        self.steps.iter().find(|step| step.step == name)
    }
}

impl StepView {
    fn of(run: &Run, step: &Step, is_running: bool) -> Self {
        let state = run.state_of(step);
        let attempts = step.attempts.iter().map(|attempt| {
            let (ended, code, message, again) = match &attempt.ending {
                None if is_running => ("running", None, None, None),
                None | Some(Ending::CutOff) => ("cut_off", None, None, None),
                Some(Ending::Done { .. }) => ("done", None, None, None),
                Some(Ending::Failed { code, message, again, .. }) => {
                    ("failed", Some(code.clone()), Some(message.clone()), Some(*again))
                }
            };
            let (number, began_at, ended_at) = (attempt.number, attempt.began_at, attempt.ended_at);
            AttemptView { number, began_at, ended_at, ended, code, message, again }
        });
        Self {
            step: step.plan.name.clone(),
            state: match state {
                _ if is_running => "running",
                StepState::Waiting => "waiting",
                StepState::Ready | StepState::Begun => "ready",
                StepState::Resting { .. } => "resting",
                StepState::Done => "done",
                StepState::Failed => "failed",
                StepState::Skipped => "skipped",
            },
            needs: step.plan.needs.clone(),
            next_at: match state {
                StepState::Resting { until } => Some(until),
                _ => None,
            },
            n_attempts: step.n_attempts,
            attempts: attempts.collect(),
            report: step.report().and_then(|text| serde_json::from_str(text).ok()),
        }
    }

    /// The reason of the latest failure.
    pub fn failure(&self) -> Option<(&str, &str)> {
        let last = self.attempts.last()?;
        Some((last.code.as_deref()?, last.message.as_deref()?))
    }
}
