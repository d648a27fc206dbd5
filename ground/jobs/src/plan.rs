//! What a run is made of: steps, what each needs, how often it is tried.

use std::collections::{BTreeMap, BTreeSet};

use event::Span;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::short;

/// One step of a run, as it was planned when the run was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepPlan {
    /// Its name, unique in its job.
    pub name: String,
    /// The steps that must be done first.
    pub needs: Vec<String>,
    /// How often it is tried.
    pub tries: Tries,
    /// What it does; whoever runs it understands this.
    pub act: String,
}

/// How often a step is tried, and how long it rests in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// Attempts that may fail.
    pub attempts: u32,
    /// The rest after the first failure; it doubles with each further one.
    pub first_after: Span,
    /// The longest rest.
    pub most: Span,
}

impl Default for Tries {
    fn default() -> Self {
        Self { attempts: 3, first_after: Span::from_secs(60), most: Span::from_secs(3_600) }
    }
}

impl Tries {
    /// The rest after the `n_failed`th failure.
    pub fn rest_after(&self, n_failed: u32) -> Span {
        let doubled = 2_i64.checked_pow(n_failed.saturating_sub(1)).unwrap_or(i64::MAX);
        Span::from_micros(self.first_after.micros().saturating_mul(doubled)).min(self.most)
    }
}

/// What is wrong with the steps of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The step it is about.
    pub step: String,
    /// What is wrong.
    pub what: String,
}

/// Looks for steps named twice, needs that are not there, and circles.
pub fn check_steps(steps: &[StepPlan]) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let mut known = BTreeSet::new();
    for step in steps {
        if !known.insert(step.name.as_str()) {
            flaws.push(Flaw { step: step.name.clone(), what: "there are two steps of this name".to_owned() });
        }
    }
    for step in steps {
        for need in step.needs.iter().filter(|need| !known.contains(need.as_str())) {
            let what = format!("it needs `{}`, which is no step of this job", short(need));
            flaws.push(Flaw { step: step.name.clone(), what });
        }
    }
    if let Some(circle) = circle(steps) {
        let step = circle.first().cloned().unwrap_or_default();
        flaws.push(Flaw {
            step, what: format!("steps need each other in a circle: {}", circle.join(" → "))
        });
    }
    flaws
}

/// A way from a step over its needs back to itself.
fn circle(steps: &[StepPlan]) -> Option<Vec<String>> {
    let needs: BTreeMap<&str, &[String]> =
        steps.iter().map(|step| (step.name.as_str(), step.needs.as_slice())).collect();
    // A step is settled once nothing it needs leads back; without a circle all get there.
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = settled.len();
        for (name, needs_of) in &needs {
            let open = |need: &&String| needs.contains_key(need.as_str()) && !settled.contains(need.as_str());
            if !needs_of.iter().any(|need| open(&need)) {
                settled.insert(name);
            }
        }
        if settled.len() == before {
            break;
        }
    }
    let mut at = *needs.keys().find(|name| !settled.contains(**name))?;
    let mut way: Vec<&str> = Vec::new();
    while !way.contains(&at) {
        way.push(at);
        let next = needs
            .get(at)?
            .iter()
            .find(|need| needs.contains_key(need.as_str()) && !settled.contains(need.as_str()))?;
        at = needs.get_key_value(next.as_str())?.0;
    }
    let start = way.iter().position(|name| *name == at)?;
    Some(way.into_iter().skip(start).chain([at]).map(str::to_owned).collect())
}

/// Whether a text can name a job or a step.
///
/// # Errors
/// [`Error::Name`]
pub fn check_name(what: &'static str, given: &str) -> Result<(), Error> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if (1..=64).contains(&given.len()) && given.bytes().all(fits) {
        return Ok(());
    }
    let expected = "up to 64 letters, digits, `_` and `-` are expected";
    Err(Error::Name { given: short(given), what, expected })
}

/// Whether a text can name a run.
///
/// # Errors
/// [`Error::Name`]
pub fn check_run(given: &str) -> Result<(), Error> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.:+~@".contains(&b);
    if (1..=128).contains(&given.len()) && given.bytes().all(fits) {
        return Ok(());
    }
    let expected = "up to 128 letters, digits and `_-.:+~@` are expected, like 2026-11-24";
    Err(Error::Name { given: short(given), what: "run", expected })
}
