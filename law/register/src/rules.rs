//! Rule sets as they are written: read, then held against what a rule set must be.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::ai_act::Class;
use crate::day::Day;
use crate::language::Text;

/// The largest rule file that is read.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// The largest compiled pattern.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// What is wrong with a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1; 1 where nobody knows.
    pub line: u32,
    /// What.
    pub message: String,
}

/// A rule set about classes under the AI Act, in force from a day.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AiAct {
    /// `ai_act`
    pub name: String,
    /// The day it was written.
    pub version: Day,
    /// Since when the law is as it says.
    pub in_force_from: Day,
    /// What it is called.
    pub title: Text,
    /// Where it is from.
    pub sources: Vec<String>,
    /// `NAME VERSION` of the set whose rules it takes over, but for what it says otherwise.
    #[serde(default)]
    pub based_on: Option<String>,
    /// Other dates for rules of that set.
    #[serde(default)]
    pub dates: BTreeMap<String, Day>,
    /// Rules of that set that are not taken over.
    #[serde(default)]
    pub without: Vec<String>,
    /// The rules.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What class high must have.
    #[serde(default)]
    pub requirements: Vec<Requirement>,
}

/// One rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name.
    pub id: String,
    /// The class it puts a use case into.
    pub class: Class,
    /// Where it stands in the law.
    pub article: String,
    /// The uses it speaks of.
    pub uses: Vec<String>,
    /// Uses beside which it does not hold.
    #[serde(default)]
    pub unless: Vec<String>,
    /// From when it holds.
    pub applies_from: Day,
    /// From when no longer.
    #[serde(default)]
    pub applies_until: Option<Day>,
    /// Later, for what was there before.
    #[serde(default)]
    pub grace: Option<Grace>,
    /// `narrow_task`: article 6(3).
    #[serde(default)]
    pub exempt_by: Option<Exemption>,
    /// Which notice people get.
    #[serde(default)]
    pub notice: Option<crate::NoticeKind>,
    /// Requirements beside those of all.
    #[serde(default)]
    pub requires: Vec<String>,
    /// What it is about.
    pub text: Text,
    /// Patterns over a use case's own words that raise the question.
    #[serde(default)]
    pub words: Vec<Pattern>,
}

/// What was on the market before a day has time until another.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grace {
    /// What was there before this day
    pub on_market_before: Day,
    /// has time until this one.
    pub until: Day,
}

/// A way out of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exemption {
    /// A narrow task without significant risk and without profiling (article 6(3)).
    NarrowTask,
}

/// Something a use case of class high must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Its name.
    pub id: String,
    /// Where it stands in the law.
    pub article: String,
    /// What it is.
    pub text: Text,
    /// Asked for only where a rule says so.
    #[serde(default)]
    pub only_where_required: bool,
}

/// A rule set about impact assessments.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dpia {
    /// `dpia`
    pub name: String,
    /// The day it was written.
    pub version: Day,
    /// Since when the law is as it says.
    pub in_force_from: Day,
    /// What it is called.
    pub title: Text,
    /// Where it is from.
    pub sources: Vec<String>,
    /// What can be so.
    pub facts: Vec<DpiaFact>,
    /// Facts that count as criteria.
    pub criteria: Vec<String>,
    /// So many of them trigger.
    pub criteria_needed: usize,
    /// What triggers at once.
    pub rules: Vec<DpiaRule>,
}

/// Something that can be so.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DpiaFact {
    /// Its name.
    pub name: String,
    /// The running house says so; a use case may say so too.
    #[serde(default)]
    pub live: bool,
    /// In words.
    pub text: Text,
}

/// Facts that trigger together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DpiaRule {
    /// Its name.
    pub id: String,
    /// Where it stands.
    pub article: String,
    /// The facts.
    pub all: Vec<String>,
    /// In words.
    pub text: Text,
}

/// A rule set about clocks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// `clocks`
    pub name: String,
    /// The day it was written.
    pub version: Day,
    /// Since when the law is as it says.
    pub in_force_from: Day,
    /// What it is called.
    pub title: Text,
    /// Where it is from.
    pub sources: Vec<String>,
    /// The clocks.
    pub clocks: Vec<Clock>,
}

/// Within what time whom must be told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Its name.
    pub id: String,
    /// Of what kind of incident.
    pub kind: crate::IncidentKind,
    /// Where it stands.
    pub article: String,
    /// Who is told.
    pub to: Text,
    /// Within how many hours of knowing of it; without undue delay where it is not said.
    #[serde(default)]
    pub hours: Option<u32>,
    /// From when it holds.
    #[serde(default)]
    pub applies_from: Option<Day>,
    /// Only proposed: listed, never applied.
    #[serde(default)]
    pub proposed: bool,
    /// In which cases.
    pub when: crate::Harm,
}

/// A pattern that ignores case.
#[derive(Clone, Debug)]
pub struct Pattern(pub(crate) Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let built = RegexBuilder::new(&text).case_insensitive(true).size_limit(MAX_PATTERN_BYTES).build();
        built.map(Self).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim();
            serde::de::Error::custom(format!("`{}` is no pattern: {reason}", crate::short(&text)))
        })
    }
}

/// Reads YAML; the problem names its line.
pub(crate) fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem { line: 1, message: format!("{} bytes; 1 MiB is the most", text.len()) });
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 200_000,
            max_nodes: 100_000,
            max_depth: 32,
            max_aliases: 100,
            max_anchors: 100,
            max_documents: 1,
            max_merge_keys: 10,
            max_total_scalar_bytes: MAX_BYTES,
        },
        strict_booleans: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().and_then(|at| u32::try_from(at.line()).ok()).unwrap_or(1).max(1);
        let message = error.without_snippet().to_string();
        let message = message.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Problem { line, message }
    })
}

impl AiAct {
    /// What is wrong beyond the shape; `text` tells the lines.
    pub(crate) fn problems(&self, text: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut say = |id: &str, message: String| problems.push(Problem { line: line_of(text, id), message });
        let mut ids = BTreeSet::new();
        if self.rules.is_empty() && self.based_on.is_none() {
            say("rules", "there is no rule in it".to_owned());
        }
        for rule in &self.rules {
            if !ids.insert(&rule.id) {
                say(&rule.id, format!("rule `{}` is there twice", crate::short(&rule.id)));
            }
            if rule.uses.is_empty() {
                say(&rule.id, format!("rule `{}` speaks of no use", crate::short(&rule.id)));
            }
            if rule.class == Class::Minimal {
                say(&rule.id, format!("rule `{}`: minimal is what no rule says", crate::short(&rule.id)));
            }
            if rule.applies_until.is_some_and(|until| until <= rule.applies_from) {
                let message = format!("rule `{}` ends before it begins", crate::short(&rule.id));
                say(&rule.id, message);
            }
            if rule.text.en.trim().is_empty() || rule.text.de.trim().is_empty() {
                say(&rule.id, format!("rule `{}` has no text in one language", crate::short(&rule.id)));
            }
            for required in &rule.requires {
                if !self.requirements.iter().any(|known| known.id == *required) {
                    let message = format!(
                        "rule `{}` requires `{}`, which is none of `requirements`",
                        crate::short(&rule.id),
                        crate::short(required)
                    );
                    say(&rule.id, message);
                }
            }
        }
        for requirement in &self.requirements {
            if !KNOWN_REQUIREMENTS.contains(&requirement.id.as_str()) {
                let message = format!(
                    "requirement `{}` cannot be checked by this house: known are {}",
                    crate::short(&requirement.id),
                    KNOWN_REQUIREMENTS.join(", ")
                );
                say(&requirement.id, message);
            }
        }
        problems
    }

    /// Every use that a rule speaks of.
    pub fn uses(&self) -> BTreeSet<&str> {
        self.rules.iter().flat_map(|rule| rule.uses.iter().chain(&rule.unless)).map(String::as_str).collect()
    }
}

/// Requirements the house knows how to look for.
pub(crate) const KNOWN_REQUIREMENTS: [&str; 9] = [
    "risk_file",
    "data_sheet",
    "annex_iv",
    "logs",
    "instructions",
    "oversight",
    "metrics",
    "dpia",
    "fundamental_rights_file",
];

impl Dpia {
    /// What is wrong beyond the shape.
    pub(crate) fn problems(&self, text: &str) -> Vec<Problem> {
        let known: BTreeSet<&str> = self.facts.iter().map(|fact| fact.name.as_str()).collect();
        let mut problems = Vec::new();
        let named =
            self.rules.iter().flat_map(|rule| rule.all.iter().map(move |fact| (rule.id.as_str(), fact)));
        for (place, fact) in named.chain(self.criteria.iter().map(|fact| ("criteria", fact))) {
            if !known.contains(fact.as_str()) {
                let message = format!("`{}` is none of its `facts`", crate::short(fact));
                problems.push(Problem { line: line_of(text, place), message });
            }
        }
        for rule in self.rules.iter().filter(|rule| rule.all.is_empty()) {
            let message = format!("rule `{}` would always trigger: it names no fact", crate::short(&rule.id));
            problems.push(Problem { line: line_of(text, &rule.id), message });
        }
        if self.criteria_needed == 0 {
            let message = "criteria_needed is 0: everything would trigger".to_owned();
            problems.push(Problem { line: line_of(text, "criteria_needed"), message });
        }
        problems
    }
}

impl Clocks {
    /// What is wrong beyond the shape.
    pub(crate) fn problems(&self, text: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        for clock in &self.clocks {
            if clock.applies_from.is_none() && !clock.proposed {
                let message = format!("clock `{}` says neither `applies_from` nor `proposed`", clock.id);
                problems.push(Problem { line: line_of(text, &clock.id), message });
            }
        }
        problems
    }
}

/// The first line that says `id`.
fn line_of(text: &str, id: &str) -> u32 {
    let at = text.lines().position(|line| !line.trim_start().starts_with('#') && line.contains(id));
    at.and_then(|at| u32::try_from(at + 1).ok()).unwrap_or(1)
}
