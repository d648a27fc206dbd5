//! `jobs/*.yaml`: what runs when, in which order, and how often it is tried.

use std::collections::BTreeSet;

use event::Span;
use jobs::{CatchUp, Schedule, StepPlan, Tries};
use serde::Deserialize;

use super::act::{Act, Consents, Evaluate, Features, Import, Quality, Train};
use crate::finding::{Finding, finding, yaml_finding};
use crate::project::Project;

/// A job, read.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// Its name.
    pub job: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is for.
    pub description: String,
    /// When it is due; `None`: by hand or from outside only.
    pub schedule: Option<Schedule>,
    /// What happens to what was due while nothing ran.
    pub catch_up: CatchUp,
    /// Its steps.
    pub steps: Vec<StepPlan>,
    /// The file it stands in.
    pub file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    job: String,
    owner: String,
    #[serde(default)]
    description: String,
    schedule: Option<String>,
    time_zone: Option<String>,
    #[serde(default)]
    catch_up: CatchUp,
    #[serde(default)]
    retry: Retry,
    steps: Vec<StepFile>,
}

#[derive(Clone, Copy, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Retry {
    attempts: Option<u32>,
    first_after: Option<Span>,
    most: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepFile {
    step: String,
    needs: Option<Vec<String>>,
    #[serde(default)]
    retry: Retry,
    import: Option<Import>,
    consents: Option<Consents>,
    quality: Option<Quality>,
    features: Option<Features>,
    train: Option<Train>,
    evaluate: Option<Evaluate>,
}

/// The most steps of a job: a run is one value of a table.
const MAX_STEPS: usize = 100;

impl JobSpec {
    /// Reads a job; `file` is for messages.
    ///
    /// # Errors
    /// Every finding that stands in the way.
    pub fn parse(yaml: &str, file: &str) -> Result<Self, Vec<Finding>> {
        let read: File = serde_saphyr::from_str(yaml).map_err(|e| vec![yaml_finding("MR4600", file, &e)])?;
        let mut findings = Vec::new();
        let line_of = |needle: &str| {
            let at =
                yaml.lines().position(|line| line.trim_start().trim_start_matches("- ").starts_with(needle));
            at.map_or(1, |at| at + 1)
        };
        let mut add =
            |code, needle: &str, what: String| findings.push(finding(code, file, line_of(needle), what));
        if let Err(error) = jobs::check_name("job", &read.job) {
            add(error.code(), "job:", error.to_string());
        }
        if read.owner.trim().is_empty() {
            add("MR4600", "owner:", "`owner` is empty".to_owned());
        }
        let schedule = match (&read.schedule, &read.time_zone) {
            (None, None) => None,
            (None, Some(_)) => {
                add("MR4600", "time_zone:", "a time zone without a `schedule` says nothing".to_owned());
                None
            }
            (Some(_), None) => {
                let what = "a schedule needs its `time_zone`, like Europe/Berlin or UTC";
                add("MR4600", "schedule:", what.to_owned());
                None
            }
            (Some(cron), Some(zone)) => match Schedule::parse(cron, zone) {
                Ok(schedule) => Some(schedule),
                Err(error) => {
                    let needle = match error {
                        jobs::Error::Zone { .. } => "time_zone:",
                        _ => "schedule:",
                    };
                    add(error.code(), needle, error.to_string());
                    None
                }
            },
        };
        if read.steps.is_empty() || read.steps.len() > MAX_STEPS {
            add("MR4600", "steps:", format!("{} steps: 1 to {MAX_STEPS} are expected", read.steps.len()));
        }
        let mut steps: Vec<StepPlan> = Vec::new();
        for step in read.steps {
            let needle = format!("step: {}", step.step);
            if let Err(error) = jobs::check_name("step", &step.step) {
                add(error.code(), &needle, error.to_string());
            }
            let tries = tries(read.retry, step.retry);
            if tries.attempts == 0 || tries.attempts > 100 {
                let what = format!("`attempts: {}` is not between 1 and 100", tries.attempts);
                add("MR4600", &needle, what);
            }
            if tries.first_after <= Span::ZERO || tries.most < tries.first_after {
                let (first, most) = (tries.first_after, tries.most);
                let what = format!(
                    "`first_after: {first}` must be more than nothing and no more than `most: {most}`"
                );
                add("MR4600", &needle, what);
            }
            // What a step follows by default is the one written before it.
            let before = || steps.last().map(|last: &StepPlan| last.name.clone()).into_iter().collect();
            let needs = step.needs.clone().unwrap_or_else(before);
            match step.act() {
                Ok(act) => {
                    if let Err(what) = act.check() {
                        add("MR4600", &needle, format!("step `{}`: {what}", step.step));
                    }
                    steps.push(StepPlan { name: step.step, needs, tries, act: act.to_text() });
                }
                Err(what) => add("MR4600", &needle, what),
            }
        }
        for flaw in jobs::check_steps(&steps) {
            add("MR4600", &format!("step: {}", flaw.step), format!("step `{}`: {}", flaw.step, flaw.what));
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        Ok(Self {
            job: read.job,
            owner: read.owner,
            description: read.description,
            schedule,
            catch_up: read.catch_up,
            steps,
            file: file.to_owned(),
        })
    }

    /// What its steps name and the project does not have.
    pub(crate) fn missing(&self, project: &Project, findings: &mut Vec<Finding>) {
        for step in &self.steps {
            let Some(act) = Act::from_text(&step.act) else { continue };
            for what in act.missing(project) {
                findings.push(finding("MR4600", &self.file, 1, format!("step `{}`: {what}", step.name)));
            }
        }
    }
}

fn tries(job: Retry, step: Retry) -> Tries {
    let usual = Tries::default();
    let first_after = step.first_after.or(job.first_after).unwrap_or(usual.first_after);
    Tries {
        attempts: step.attempts.or(job.attempts).unwrap_or(usual.attempts),
        first_after,
        most: step.most.or(job.most).unwrap_or(usual.most.max(first_after)),
    }
}

impl StepFile {
    fn act(&self) -> Result<Act, String> {
        let mut acts = [
            self.import.clone().map(Act::Import),
            self.consents.clone().map(Act::Consents),
            self.quality.clone().map(Act::Quality),
            self.features.clone().map(Act::Features),
            self.train.clone().map(Act::Train),
            self.evaluate.clone().map(Act::Evaluate),
        ]
        .into_iter()
        .flatten();
        let known = "import, consents, quality, features, train, evaluate";
        match (acts.next(), acts.next()) {
            (Some(act), None) => Ok(act),
            (None, _) => Err(format!("step `{}` does nothing: one of {known} is expected", self.step)),
            (Some(_), Some(_)) => {
                Err(format!("step `{}` does several things: one of {known} is expected", self.step))
            }
        }
    }
}

/// Every job of a project's folder.
pub(crate) fn read_jobs(files: Vec<(String, String)>, findings: &mut Vec<Finding>) -> Vec<JobSpec> {
    let mut jobs: Vec<JobSpec> = Vec::new();
    let mut names = BTreeSet::new();
    for (file, text) in files {
        match JobSpec::parse(&text, &file) {
            Ok(spec) if !names.insert(spec.job.clone()) => {
                let what = format!("job `{}` is described twice", spec.job);
                findings.push(finding("MR4600", &file, 1, what));
            }
            Ok(spec) => jobs.push(spec),
            Err(found) => findings.extend(found),
        }
    }
    jobs
}
