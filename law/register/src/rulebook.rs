//! All rule sets at once: those of this build, and those a project brings.

use event::Instant;
use serde::Deserialize;

use crate::rules::{AiAct, Clock, Clocks, Dpia, Problem, read};

/// The rule sets of this build.
const EMBEDDED: [(&str, &str); 4] = [
    ("ai_act-2026.yaml", include_str!("../rules/ai_act-2026.yaml")),
    ("ai_act-2024.yaml", include_str!("../rules/ai_act-2024.yaml")),
    ("dpia.yaml", include_str!("../rules/dpia.yaml")),
    ("clocks.yaml", include_str!("../rules/clocks.yaml")),
];

/// Every rule set there is, by the day it is in force from.
#[derive(Clone, Debug, Default)]
pub struct Rulebook {
    ai_act: Vec<AiAct>,
    dpia: Vec<Dpia>,
    clocks: Vec<Clocks>,
}

/// The name that tells the kinds apart.
#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Rulebook {
    /// The rule sets of this build.
    ///
    /// # Errors
    /// What is wrong with one of them; a test sees to it that nothing is.
    pub fn embedded() -> Result<Self, Vec<Problem>> {
        let mut book = Self::default();
        for (file, text) in EMBEDDED {
            book.add(text).map_err(|problems| {
                let in_file = |problem: Problem| Problem {
                    line: problem.line,
                    message: format!("{file}: {}", problem.message),
                };
                problems.into_iter().map(in_file).collect::<Vec<_>>()
            })?;
        }
        Ok(book)
    }

    /// Adds a rule set; of two that are in force from the same day the newer version counts.
    ///
    /// # Errors
    /// Everything that is wrong with it; it is not added then.
    pub fn add(&mut self, text: &str) -> Result<(), Vec<Problem>> {
        let one = |problem: Problem| vec![problem];
        // What stands beside the name is looked at below; here only the kind is asked for.
        let name = read::<Loose>(text).map_err(one)?.0;
        match name.as_str() {
            "ai_act" => {
                let mut set: AiAct = read(text).map_err(one)?;
                self.inherit(&mut set).map_err(one)?;
                none(set.problems(text))?;
                self.ai_act.push(set);
                self.ai_act.sort_by_key(|set| (set.in_force_from, set.version));
            }
            "dpia" => {
                let set: Dpia = read(text).map_err(one)?;
                none(set.problems(text))?;
                self.dpia.push(set);
                self.dpia.sort_by_key(|set| (set.in_force_from, set.version));
            }
            "clocks" => {
                let set: Clocks = read(text).map_err(one)?;
                none(set.problems(text))?;
                self.clocks.push(set);
                self.clocks.sort_by_key(|set| (set.in_force_from, set.version));
            }
            other => {
                let message = format!("`name: {}` is none of ai_act, dpia and clocks", crate::short(other));
                return Err(vec![Problem { line: 1, message }]);
            }
        }
        Ok(())
    }

    /// Takes over the rules of the set it is based on.
    fn inherit(&self, set: &mut AiAct) -> Result<(), Problem> {
        let wrong = |message: String| Problem { line: 1, message };
        let Some(base) = set.based_on.clone() else {
            if set.dates.is_empty() && set.without.is_empty() {
                return Ok(());
            }
            return Err(wrong("`dates` and `without` need a `based_on`".to_owned()));
        };
        let found = self.ai_act.iter().find(|known| format!("{} {}", known.name, known.version) == base);
        let Some(found) = found else {
            return Err(wrong(format!("`based_on: {}` is no rule set of this house", crate::short(&base))));
        };
        let unknown =
            set.dates.keys().chain(&set.without).find(|id| !found.rules.iter().any(|r| r.id == **id));
        if let Some(unknown) = unknown {
            return Err(wrong(format!("`{}` is no rule of `{base}`", crate::short(unknown))));
        }
        let mut rules = Vec::new();
        for rule in &found.rules {
            if set.without.contains(&rule.id) || set.rules.iter().any(|own| own.id == rule.id) {
                continue;
            }
            let mut rule = rule.clone();
            if let Some(date) = set.dates.get(&rule.id) {
                rule.applies_from = *date;
            }
            rules.push(rule);
        }
        rules.append(&mut set.rules);
        set.rules = rules;
        if set.requirements.is_empty() {
            set.requirements = found.requirements.clone();
        }
        Ok(())
    }

    /// The classes' rules as they are on `at`; `None` before there were any.
    pub fn ai_act(&self, at: Instant) -> Option<&AiAct> {
        self.ai_act.iter().rev().find(|set| set.in_force_from.begins() <= at)
    }

    /// The impact assessment's rules as they are on `at`.
    pub fn dpia(&self, at: Instant) -> Option<&Dpia> {
        self.dpia.iter().rev().find(|set| set.in_force_from.begins() <= at)
    }

    /// The clocks as they are on `at`, those that are proposed included.
    pub fn clocks(&self, at: Instant) -> &[Clock] {
        let set = self.clocks.iter().rev().find(|set| set.in_force_from.begins() <= at);
        set.map_or(&[], |set| set.clocks.as_slice())
    }

    /// Where the rules of `at` come from, those of classes and of impact assessments.
    pub fn sources(&self, at: Instant) -> Vec<String> {
        let ai = self.ai_act(at).map(|set| set.sources.as_slice()).unwrap_or_default();
        let dpia = self.dpia(at).map(|set| set.sources.as_slice()).unwrap_or_default();
        ai.iter().chain(dpia).cloned().collect()
    }

    /// Every rule set: name, version, in force from.
    pub fn sets(&self) -> Vec<(&str, crate::Day, crate::Day)> {
        let ai = self.ai_act.iter().map(|set| (set.name.as_str(), set.version, set.in_force_from));
        let dpia = self.dpia.iter().map(|set| (set.name.as_str(), set.version, set.in_force_from));
        let clocks = self.clocks.iter().map(|set| (set.name.as_str(), set.version, set.in_force_from));
        ai.chain(dpia).chain(clocks).collect()
    }
}

/// Only the name; whatever else is there is ignored.
struct Loose(String);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Named::deserialize(deserializer)?.name))
    }
}

fn none(problems: Vec<Problem>) -> Result<(), Vec<Problem>> {
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
