//! Whether an impact assessment is due (GDPR article 35).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::language::Text;
use crate::rules::Dpia;

/// What triggered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// The rule, or `criteria`.
    pub rule: String,
    /// Where it stands.
    pub article: String,
    /// In words.
    pub text: Text,
}

/// Whether an impact assessment is due, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DpiaNeed {
    /// `dpia 2026-11-24`; empty before there were rules.
    pub rules: String,
    /// What is so, with its words.
    pub facts: Vec<(String, Text)>,
    /// What triggered; empty: none is due.
    pub triggers: Vec<Trigger>,
    /// Facts nobody knows.
    pub unknown: Vec<String>,
}

impl DpiaNeed {
    /// Whether one is due.
    pub fn is_due(&self) -> bool {
        !self.triggers.is_empty()
    }
}

impl Dpia {
    /// What is due where these facts are so.
    pub fn need(&self, facts: &BTreeSet<String>) -> DpiaNeed {
        let is_so = |name: &String| facts.contains(name);
        let known = self.facts.iter().filter(|fact| is_so(&fact.name));
        let mut triggers: Vec<Trigger> = self
            .rules
            .iter()
            .filter(|rule| rule.all.iter().all(is_so))
            .map(|rule| Trigger {
                rule: rule.id.clone(),
                article: rule.article.clone(),
                text: rule.text.clone(),
            })
            .collect();
        let criteria: Vec<&String> = self.criteria.iter().filter(|name| is_so(name)).collect();
        if criteria.len() >= self.criteria_needed {
            let names = criteria.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
            triggers.push(Trigger {
                rule: "criteria".to_owned(),
                article: "GDPR Art. 35(1), WP 248".to_owned(),
                text: Text::new(
                    &format!("{} of the criteria are met: {names}", criteria.len()),
                    &format!("{} der Kriterien treffen zu: {names}", criteria.len()),
                ),
            });
        }
        DpiaNeed {
            rules: format!("{} {}", self.name, self.version),
            facts: known.map(|fact| (fact.name.clone(), fact.text.clone())).collect(),
            triggers,
            unknown: facts
                .iter()
                .filter(|name| !self.facts.iter().any(|f| f.name == **name))
                .cloned()
                .collect(),
        }
    }

    /// Every fact that can be said.
    pub fn known(&self) -> BTreeSet<&str> {
        self.facts.iter().map(|fact| fact.name.as_str()).collect()
    }
}
