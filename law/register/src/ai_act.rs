//! The class of a use case under the AI Act, as of a day.

use std::collections::BTreeSet;
use std::fmt;

use event::Instant;
use serde::{Deserialize, Serialize};

use crate::day::Day;
use crate::language::{Language, Text};
use crate::rules::{AiAct, Exemption, Requirement, Rule};

/// A class, the lightest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// No duties of its own.
    #[default]
    Minimal,
    /// People must know.
    Limited,
    /// A person is the last gate, and much must be written down.
    High,
    /// Forbidden.
    Prohibited,
}

/// What is known of a use case for its class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What it says it is used for.
    pub uses: BTreeSet<String>,
    /// What it says it is not used for.
    pub not: BTreeSet<String>,
    /// Why its task is a narrow one (article 6(3)).
    pub narrow_task: Option<String>,
    /// Whether people are profiled: closes the way of article 6(3).
    pub profiling: bool,
    /// Since when it is on the market; `None` for what is new.
    pub on_market_since: Option<Day>,
    /// Its own words: name, description, goal, inputs, actions.
    pub words: String,
}

/// Why it is in a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule.
    pub rule: String,
    /// Where it stands in the law.
    pub article: String,
    /// The class it leads to.
    pub class: Class,
    /// From when it holds for this use case.
    pub applies_from: Day,
    /// Whether it holds on the day that was asked for.
    pub in_force: bool,
    /// What it is about.
    pub text: Text,
    /// The use that leads to it.
    pub because_of: String,
    /// Only the use case's words say so: nobody has answered yet.
    pub open: bool,
}

/// The use case's words raise a question that nobody has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenQuestion {
    /// The rule.
    pub rule: String,
    /// The use asked about.
    pub about: String,
    /// The words that raise it.
    pub words: String,
}

/// A rule that does not count, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exempt {
    /// The rule.
    pub rule: String,
    /// Where it stands.
    pub article: String,
    /// What the use case says.
    pub because: String,
    /// False where the way out is closed.
    pub granted: bool,
}

/// A stricter class that is known to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coming {
    /// The class.
    pub class: Class,
    /// From when.
    pub from: Day,
}

/// The class of a use case as of an instant, with its reasons and the version of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classification {
    /// The class in force.
    pub class: Class,
    /// A stricter one that is known to come.
    pub coming: Option<Coming>,
    /// `ai_act 2026-11-24`; empty before there were rules.
    pub rules: String,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What nobody has answered.
    pub open: Vec<OpenQuestion>,
    /// What does not count, or was claimed in vain.
    pub exempt: Vec<Exempt>,
}

impl Classification {
    /// The class that counts for whether it may begin: a class that is known to come counts as if it were there, for
    /// nothing should begin that must be stopped on a known day.
    pub fn strictest(&self) -> Class {
        self.coming.map_or(self.class, |coming| self.class.max(coming.class))
    }
}

impl AiAct {
    /// The class of a use case at `at`.
    pub fn classify(&self, facts: &Facts, at: Instant) -> Classification {
        let words = plain(&facts.words);
        let mut found =
            Classification { rules: format!("{} {}", self.name, self.version), ..Classification::default() };
        for rule in &self.rules {
            let Some((because_of, open)) = matched(rule, facts, &words) else { continue };
            if rule.applies_until.is_some_and(|until| until.begins() <= at) {
                continue;
            }
            if let (Some(Exemption::NarrowTask), Some(because)) = (rule.exempt_by, &facts.narrow_task) {
                let granted = !facts.profiling;
                found.exempt.push(Exempt {
                    rule: rule.id.clone(),
                    article: rule.article.clone(),
                    because: because.clone(),
                    granted,
                });
                if granted {
                    continue;
                }
            }
            if let Some(words) = open {
                let (rule, about) = (rule.id.clone(), because_of.clone());
                found.open.push(OpenQuestion { rule, about, words });
            }
            let applies_from = applies_from(rule, facts);
            found.reasons.push(Reason {
                rule: rule.id.clone(),
                article: rule.article.clone(),
                class: rule.class,
                applies_from,
                in_force: applies_from.begins() <= at,
                text: rule.text.clone(),
                open: found.open.iter().any(|open| open.rule == rule.id),
                because_of,
            });
        }
        let in_force = found.reasons.iter().filter(|reason| reason.in_force);
        found.class = in_force.map(|reason| reason.class).max().unwrap_or_default();
        let stricter = found.reasons.iter().filter(|r| !r.in_force && r.class > found.class);
        let strictest = stricter.clone().map(|reason| reason.class).max();
        found.coming = strictest.and_then(|class| {
            let from =
                stricter.filter(|reason| reason.class == class).map(|reason| reason.applies_from).min();
            from.map(|from| Coming { class, from })
        });
        found.reasons.sort_by(|a, b| b.class.cmp(&a.class).then(a.rule.cmp(&b.rule)));
        found
    }

    /// What a use case of class high must have, by the rules that put it there.
    pub fn required<'r>(&'r self, found: &'r Classification) -> impl Iterator<Item = &'r Requirement> {
        let asked = |id: &String| {
            let named = |rule: &&Rule| found.reasons.iter().any(|reason| reason.rule == rule.id);
            self.rules.iter().filter(named).any(|rule| rule.requires.contains(id))
        };
        self.requirements.iter().filter(move |one| !one.only_where_required || asked(&one.id))
    }

    /// The notices that people get: those of the rules that hold.
    pub fn notices<'r>(&'r self, found: &'r Classification) -> impl Iterator<Item = crate::NoticeKind> {
        let holds = |rule: &&Rule| found.reasons.iter().any(|r| r.in_force && r.rule == rule.id);
        self.rules.iter().filter(holds).filter_map(|rule| rule.notice)
    }
}

/// The use that leads to a rule, and the words where only they do.
fn matched(rule: &Rule, facts: &Facts, words: &str) -> Option<(String, Option<String>)> {
    if rule.unless.iter().any(|other| facts.uses.contains(other)) {
        return None;
    }
    if let Some(said) = rule.uses.iter().find(|one| facts.uses.contains(*one)) {
        return Some((said.clone(), None));
    }
    if rule.uses.iter().all(|one| facts.not.contains(one)) {
        return None;
    }
    let found = rule.words.iter().find_map(|pattern| pattern.0.find(words))?;
    let about = rule.uses.iter().find(|one| !facts.not.contains(*one))?;
    Some((about.clone(), Some(found.as_str().to_owned())))
}

fn applies_from(rule: &Rule, facts: &Facts) -> Day {
    match (rule.grace, facts.on_market_since) {
        (Some(grace), Some(since)) if since < grace.on_market_before => rule.applies_from.max(grace.until),
        _ => rule.applies_from,
    }
}

/// Names are words: `credit_score` reads like `credit score`.
fn plain(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '_' | '-' | '.' | '/') { ' ' } else { c }).collect()
}

impl Class {
    /// As files and tables have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Limited => "limited",
            Self::High => "high",
            Self::Prohibited => "prohibited",
        }
    }

    /// In words.
    pub fn said(self, language: Language) -> &'static str {
        match self {
            Self::Minimal => language.say("minimal", "minimal"),
            Self::Limited => language.say("limited", "begrenzt"),
            Self::High => language.say("high", "hoch"),
            Self::Prohibited => language.say("prohibited", "verboten"),
        }
    }

    /// How many people must look at what a person decides about it.
    pub fn eyes(self) -> u8 {
        if self >= Self::High { 2 } else { 1 }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
