//! One run of a job: its steps, their attempts, and what may begin next.

use event::Instant;
use serde::{Deserialize, Serialize};

use crate::StepPlan;

/// How often a step may be cut off before it counts as failed: a step that takes the whole process down each time
/// must end some day.
pub const MAX_CUT_OFF: u32 = 10;
/// Attempts kept of a step; older ones are only counted.
const KEPT_ATTEMPTS: usize = 20;

/// Who says when the steps of a run begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// The house: as soon as what a step needs is done, again after a rest where it failed.
    House,
    /// Somebody outside, such as Airflow, one call per step and attempt.
    Outside,
}

/// A run of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The job.
    pub job: String,
    /// Its name, unique in its job.
    pub run: String,
    /// Who says when its steps begin.
    pub driver: Driver,
    /// The instant it was scheduled for.
    pub due: Option<Instant>,
    /// Who or what opened it.
    pub by: String,
    /// When it was opened.
    pub opened_at: Instant,
    /// Its steps, in the order of the job's file.
    pub steps: Vec<Step>,
    /// How often what failed was given another chance.
    pub n_reopened: u32,
    /// Who ended it early, and when.
    pub cancelled: Option<(Instant, String)>,
    /// When the last step came to its end.
    pub ended_at: Option<Instant>,
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was planned.
    pub plan: StepPlan,
    /// Attempts, the oldest first; of many only the latest.
    pub attempts: Vec<Attempt>,
    /// All attempts.
    pub n_attempts: u32,
    /// Failures that count against the plan's tries.
    pub n_failed: u32,
    /// Attempts that the end of the process cut off, one after the other.
    pub n_cut_off: u32,
}

/// One attempt of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// When it began.
    pub began_at: Instant,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// How it ended; `None`: it is running, or was cut off and nobody has looked since.
    pub ending: Option<Ending>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// What it was to do is done.
    Done {
        /// What it did, for whoever understands the step.
        report: String,
    },
    /// It is not done.
    Failed {
        /// Names the reason.
        code: String,
        /// The reason.
        message: String,
        /// What it found out before it failed.
        report: Option<String>,
        /// True where another attempt may help.
        again: bool,
    },
    /// The process ended before the attempt did.
    CutOff,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Something it needs is not done.
    Waiting,
    /// It may begin.
    Ready,
    /// It failed, and is tried again at this instant.
    Resting {
        /// When.
        until: Instant,
    },
    /// An attempt has begun and has not ended.
    Begun,
    /// Done.
    Done,
    /// It failed for good.
    Failed,
    /// It never begins, because something it needs failed.
    Skipped,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// There is something to do still.
    Open,
    /// Every step is done.
    Done,
    /// A step failed; everything that does not depend on it is done.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl Run {
    pub(crate) fn open(
        job: &str,
        run: &str,
        driver: Driver,
        due: Option<Instant>,
        by: &str,
        steps: Vec<StepPlan>,
        at: Instant,
    ) -> Self {
        Self {
            job: job.to_owned(),
            run: run.to_owned(),
            driver,
            due,
            by: by.to_owned(),
            opened_at: at,
            steps: steps.into_iter().map(Step::new).collect(),
            n_reopened: 0,
            cancelled: None,
            ended_at: None,
        }
    }

    /// A step by name.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.plan.name == name)
    }

    /// Where a step stands.
    pub fn state_of(&self, step: &Step) -> StepState {
        match step.attempts.last().map(|attempt| (&attempt.ending, attempt.ended_at)) {
            Some((None, _)) => return StepState::Begun,
            Some((Some(Ending::Done { .. }), _)) => return StepState::Done,
            Some((Some(Ending::Failed { again, .. }), ended_at)) if step.n_failed > 0 => {
                if !again || step.n_failed >= step.plan.tries.attempts {
                    return StepState::Failed;
                }
                let until = ended_at.unwrap_or_default() + step.plan.tries.rest_after(step.n_failed);
                return StepState::Resting { until };
            }
            _ => {}
        }
        let mut state = StepState::Ready;
        for need in step.plan.needs.iter().filter_map(|need| self.step(need)) {
            match self.state_of(need) {
                StepState::Done => {}
                StepState::Failed | StepState::Skipped => return StepState::Skipped,
                _ => state = StepState::Waiting,
            }
        }
        state
    }

    /// Steps that `step` needs and that are not done.
    pub fn missing(&self, step: &Step) -> Vec<&str> {
        let needs = step.plan.needs.iter().filter_map(|need| self.step(need));
        let open = needs.filter(|need| self.state_of(need) != StepState::Done);
        open.map(|need| need.plan.name.as_str()).collect()
    }

    /// Where the run stands.
    pub fn state(&self) -> RunState {
        if self.cancelled.is_some() {
            return RunState::Cancelled;
        }
        let mut all_done = true;
        for step in &self.steps {
            match self.state_of(step) {
                StepState::Done => {}
                StepState::Failed | StepState::Skipped => all_done = false,
                _ => return RunState::Open,
            }
        }
        if all_done { RunState::Done } else { RunState::Failed }
    }

    /// The steps that may begin now, and when the next rest ends. Whoever runs steps says which it runs: an attempt
    /// that has begun and is not among them was cut off, and its step may begin again at once.
    pub fn ready(&self, now: Instant, is_running: impl Fn(&str) -> bool) -> (Vec<&Step>, Option<Instant>) {
        let (mut ready, mut wake) = (Vec::new(), None);
        if self.state() != RunState::Open {
            return (ready, wake);
        }
        for step in &self.steps {
            match self.state_of(step) {
                StepState::Ready => ready.push(step),
                StepState::Begun if !is_running(&step.plan.name) => ready.push(step),
                StepState::Resting { until } if until <= now => ready.push(step),
                StepState::Resting { until } => {
                    wake = Some(wake.map_or(until, |known: Instant| known.min(until)))
                }
                _ => {}
            }
        }
        (ready, wake)
    }

    pub(crate) fn begin(&mut self, step: &str, attempt: u32, at: Instant) {
        let Some(step) = self.steps.iter_mut().find(|known| known.plan.name == step) else { return };
        let is_done = |last: &Attempt| matches!(last.ending, Some(Ending::Done { .. }));
        if self.cancelled.is_some()
            || attempt != step.n_attempts + 1
            || step.attempts.last().is_some_and(is_done)
        {
            return;
        }
        if let Some(last) = step.attempts.last_mut()
            && last.ending.is_none()
        {
            last.ending = Some(Ending::CutOff);
            step.n_cut_off += 1;
        }
        step.n_attempts = attempt;
        step.attempts.push(Attempt { number: attempt, began_at: at, ended_at: None, ending: None });
        if step.attempts.len() > KEPT_ATTEMPTS {
            step.attempts.remove(0);
        }
    }

    pub(crate) fn end(&mut self, step: &str, attempt: u32, ending: Ending, at: Instant) {
        let Some(step) = self.steps.iter_mut().find(|known| known.plan.name == step) else { return };
        let Some(last) =
            step.attempts.last_mut().filter(|last| last.number == attempt && last.ending.is_none())
        else {
            return;
        };
        match ending {
            Ending::Failed { .. } => step.n_failed += 1,
            Ending::CutOff => step.n_cut_off += 1,
            Ending::Done { .. } => {}
        }
        last.ended_at = Some(at);
        last.ending = Some(ending);
    }

    pub(crate) fn reopen(&mut self, time: u32, by: &str, steps: Vec<StepPlan>) {
        if self.cancelled.is_some() || time != self.n_reopened + 1 {
            return;
        }
        self.n_reopened = time;
        by.clone_into(&mut self.by);
        let mut before = std::mem::take(&mut self.steps);
        let is_done = |step: &Step| {
            step.attempts.last().is_some_and(|last| matches!(last.ending, Some(Ending::Done { .. })))
        };
        for plan in steps {
            match before.iter().position(|step| step.plan.name == plan.name) {
                Some(at) => {
                    let known = before.remove(at);
                    let fresh = if is_done(&known) {
                        known
                    } else {
                        Step { plan, n_failed: 0, n_cut_off: 0, ..known }
                    };
                    self.steps.push(fresh);
                }
                None => self.steps.push(Step::new(plan)),
            }
        }
        // What is done stays on the record, also where the file no longer names it.
        self.steps.extend(before.into_iter().filter(is_done));
    }

    pub(crate) fn cancel(&mut self, by: &str, at: Instant) {
        if self.state() == RunState::Open {
            self.cancelled = Some((at, by.to_owned()));
        }
    }

    pub(crate) fn settle(&mut self, at: Instant) {
        match self.state() {
            RunState::Open => self.ended_at = None,
            _ => self.ended_at = self.ended_at.or(Some(at)),
        }
    }
}

impl Step {
    fn new(plan: StepPlan) -> Self {
        Self { plan, attempts: Vec::new(), n_attempts: 0, n_failed: 0, n_cut_off: 0 }
    }

    /// What it reported when it was done.
    pub fn report(&self) -> Option<&str> {
        match self.attempts.last()?.ending.as_ref()? {
            Ending::Done { report } => Some(report),
            Ending::Failed { report, .. } => report.as_deref(),
            Ending::CutOff => None,
        }
    }
}
