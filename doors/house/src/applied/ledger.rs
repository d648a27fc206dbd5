//! What is in force, held against a project.

use std::collections::BTreeMap;

use contract::diff::{self, Step};
use contract::{Contract, Contracts};
use decide::{Goal, UseCase};
use event::{Instant, StreamName, Version};
use feature::View;
use profile::Segment;
use serde::{Deserialize, Serialize};

use super::tables::Note;
use crate::finding::{Finding, Severity};
use crate::project::Project;

/// Changes that a message names.
const NAMED: usize = 3;

/// Every version of contracts, formulas, segments and features that was ever in force.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// By stream and version.
    pub contracts: BTreeMap<(String, Version), AppliedContract>,
    /// By use case, metric and version.
    pub formulas: Vec<AppliedFormula>,
    /// By name and version.
    pub segments: Vec<AppliedSegment>,
    /// By view, version and feature.
    pub features: Vec<AppliedFeature>,
    /// The version of each stream that judges now.
    pub current: BTreeMap<String, Version>,
    /// How often that changed.
    pub(super) changes: BTreeMap<String, u32>,
}

/// One version of a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AppliedContract {
    /// The file it came from.
    pub file: String,
    /// Its text.
    pub yaml: String,
    /// Since when it is known; `None` where an older build put it into force.
    pub since: Option<Instant>,
}

/// One version of a metric's formula.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AppliedFormula {
    /// The use case.
    pub use_case: String,
    /// The formula, and what it counts by.
    pub goal: Goal,
    /// Since when it is known.
    pub since: Option<Instant>,
}

/// One version of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedSegment {
    /// Its name.
    pub segment: String,
    /// Its version.
    pub version: u32,
    /// For what people are read.
    pub purpose: String,
    /// Who belongs to it.
    pub rule: String,
    /// Since when it is known.
    pub since: Option<Instant>,
}

/// What a feature is, under one version of its view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedFeature {
    /// The view.
    pub view: String,
    /// Its version.
    pub version: u32,
    /// The feature; `context.NAME` for what requests say.
    pub feature: String,
    /// How it is computed.
    pub formula: String,
    /// Since when it is known.
    pub since: Option<Instant>,
}

impl Ledger {
    pub(super) fn sort(&mut self) {
        let key =
            |one: &AppliedFormula| (one.use_case.clone(), one.goal.metric.clone(), one.goal.formula_version);
        self.formulas.sort_by_key(key);
        self.segments.sort_by_key(|one| (one.segment.clone(), one.version));
        self.features.sort_by_key(|one| (one.view.clone(), one.version, one.feature.clone()));
    }

    /// One version of a stream's contract.
    pub fn contract(&self, stream: &str, version: Version) -> Option<&AppliedContract> {
        self.contracts.get(&(stream.to_owned(), version))
    }

    /// One version of a use case's formula, under whatever name its metric had.
    pub fn formula(&self, use_case: &str, version: Version) -> Option<&Goal> {
        let found =
            self.formulas.iter().rfind(|one| one.use_case == use_case && one.goal.formula_version == version);
        found.map(|one| &one.goal)
    }

    /// The versions of a use case's formula.
    pub fn formula_versions(&self, use_case: &str) -> Vec<String> {
        let mine = self.formulas.iter().filter(|one| one.use_case == use_case);
        mine.map(|one| one.goal.formula_version.to_string()).collect()
    }

    /// The contracts that judge now. What an older build took may be refused by this one: then there is nothing to
    /// compare with.
    pub fn in_force(&self) -> Contracts {
        let mut contracts = Contracts::new();
        for (stream, version) in &self.current {
            let found = self.contract(stream, *version).and_then(|applied| read(stream, applied));
            if let Some(contract) = found
                && let Err(error) = contracts.insert(contract)
            {
                tracing::warn!(stream, %error, "a contract in force is not compared");
            }
        }
        contracts
    }

    /// What the project says otherwise under a version that stayed: MR1123 of contracts, MR1124 of formulas, MR3127 of
    /// segments, MR4022 of features.
    pub fn objections(&self, project: &Project) -> Vec<Finding> {
        let changed = project.contracts.versions().filter_map(|contract| self.changed(contract));
        let formulas = project.use_cases.iter().filter_map(|use_case| self.reformulated(use_case));
        let segments = project.segments.iter().filter_map(|segment| self.redefined(segment));
        let features = project.views.iter().flat_map(|view| self.recomputed(view));
        changed.chain(formulas).chain(segments).chain(features).collect()
    }

    /// Decisions and datasets name a segment by its version, so a version has one rule.
    fn redefined(&self, segment: &Segment) -> Option<Finding> {
        let mine = self.segments.iter().filter(|one| one.segment == segment.name);
        let newest = mine.clone().map(|one| one.version).max()?;
        let old = mine.into_iter().find(|one| one.version == segment.version)?;
        let rule = segment.rule.to_string();
        if old.rule == rule && old.purpose == segment.purpose {
            return None;
        }
        let since = old.since.map(|at| format!(" since {at}")).unwrap_or_default();
        let message = format!(
            "segment `{}` {} has been `{}` for `{}`{since}, and is `{rule}` for `{}` now: what was decided and learned \
             by it must keep its meaning; give it `version: {}`",
            segment.name,
            segment.version,
            old.rule,
            old.purpose,
            segment.purpose,
            newest + 1
        );
        Some(crate::finding::finding("MR3127", &segment.file, 1, message))
    }

    /// Models and decisions name a feature by its view's version: under it the feature is one formula. Features that are
    /// new or gone under a version are no other formula.
    fn recomputed(&self, view: &View) -> Vec<Finding> {
        let mine = self.features.iter().filter(|one| one.view == view.name());
        let due = mine.clone().map(|one| one.version).max().unwrap_or(view.version()) + 1;
        let changed = mine.filter(|one| one.version == view.version()).filter_map(|old| {
            let new = view.wording().get(&old.feature).filter(|new| **new != old.formula)?;
            let since = old.since.map(|at| format!(" since {at}")).unwrap_or_default();
            let message = format!(
                "feature `{}.{}` has been `{}`{since} under version {}, and is `{new}` now: models learned and decisions \
                 were made with what it was; give the view `version: {due}`",
                old.view, old.feature, old.formula, old.version
            );
            Some(crate::finding::finding("MR4022", view.file(), 1, message))
        });
        changed.collect()
    }

    fn changed(&self, new: &Contract) -> Option<Finding> {
        let stream = new.stream.as_str();
        let applied = self.contract(stream, new.version)?;
        if applied.yaml == new.yaml() {
            return None;
        }
        let old = read(stream, applied)?;
        if old.says_the_same(new) {
            return None;
        }
        let told = diff::diff(std::slice::from_ref(&old), std::slice::from_ref(new));
        let mut what: Vec<String> = told.changes.iter().take(NAMED).map(ToString::to_string).collect();
        if told.changes.len() > NAMED {
            what.push(format!("and {} more", told.changes.len() - NAMED));
        }
        let what = if what.is_empty() { "words for people".to_owned() } else { what.join("; ") };
        let newest =
            self.contracts.keys().filter(|(name, _)| name == stream).map(|(_, version)| *version).max();
        let due = told.needs.max(Step::Patch).after(newest.unwrap_or(new.version));
        let since = applied.since.map(|at| format!(" since {at}")).unwrap_or_default();
        Some(Finding {
            code: "MR1123",
            severity: Severity::Error,
            stream: stream.to_owned(),
            field: None,
            message: format!(
                "contract `{stream}` {} is in force{since} (from {}) and says something else now: {what}; give it \
                 version {due}",
                new.version, applied.file
            ),
            file: Some(new.file.clone()),
            line: Some(new.version_line()),
        })
    }

    fn reformulated(&self, use_case: &UseCase) -> Option<Finding> {
        let new = &use_case.goal;
        let same = |one: &&AppliedFormula| {
            one.use_case == use_case.name
                && one.goal.metric == new.metric
                && one.goal.formula_version == new.formula_version
        };
        let old = self.formulas.iter().find(same).filter(|one| one.goal != *new)?;
        let newest = self.formulas.iter().filter(|one| one.use_case == use_case.name);
        let newest = newest.map(|one| one.goal.formula_version).max().unwrap_or(new.formula_version);
        let since = old.since.map(|at| format!(" since {at}")).unwrap_or_default();
        Some(Finding {
            code: "MR1124",
            severity: Severity::Error,
            stream: String::new(),
            field: None,
            message: format!(
                "metric `{}` of use case `{}` has been {}{since} under version {}, and is {} now: a figure must keep its \
                 meaning; give it `formula_version: {}`",
                new.metric,
                use_case.name,
                worded(&old.goal),
                new.formula_version,
                worded(new),
                Step::Minor.after(newest)
            ),
            file: Some(format!("usecases/{}.yaml", use_case.name)),
            line: Some(1),
        })
    }

    /// What a version that is younger than the one in force must say for what it changes: MR1130 and MR1131.
    pub fn dishonest(&self, project: &Project) -> Vec<Finding> {
        let in_force = self.in_force();
        let mut findings = Vec::new();
        for old in in_force.iter() {
            let Some(new) = project.contracts.newest(&old.stream) else { continue };
            // Going back to what was in force before is said by its version; the same text says nothing.
            if new.version <= old.version || new.says_the_same(old) {
                continue;
            }
            let told = diff::diff(std::slice::from_ref(old.as_ref()), std::slice::from_ref(new.as_ref()));
            findings.extend(told.findings(&new.file));
        }
        findings
    }

    /// What is to be written down so that the project is in force.
    pub(super) fn news(&self, project: &Project) -> Vec<Note> {
        let mut notes = Vec::new();
        for contract in project.contracts.versions() {
            let stream = contract.stream.to_string();
            if self.contract(&stream, contract.version).is_none() {
                let (file, yaml) = (contract.file.clone(), contract.yaml().to_owned());
                notes.push(Note::Contract { stream, version: contract.version, file, yaml });
            }
        }
        for segment in &project.segments {
            let is_known =
                |one: &AppliedSegment| one.segment == segment.name && one.version == segment.version;
            if !self.segments.iter().any(is_known) {
                notes.push(Note::Segment {
                    segment: segment.name.clone(),
                    version: segment.version,
                    purpose: segment.purpose.clone(),
                    rule: segment.rule.to_string(),
                });
            }
        }
        for view in project.views.iter() {
            for (feature, formula) in view.wording() {
                let is_known = |one: &AppliedFeature| {
                    one.view == view.name() && one.version == view.version() && one.feature == *feature
                };
                if !self.features.iter().any(is_known) {
                    let (view, version) = (view.name().to_owned(), view.version());
                    let (feature, formula) = (feature.clone(), formula.clone());
                    notes.push(Note::Feature { view, version, feature, formula });
                }
            }
        }
        let mut judging: BTreeMap<String, Option<Version>> =
            self.current.keys().map(|stream| (stream.clone(), None)).collect();
        judging.extend(project.contracts.iter().map(|one| (one.stream.to_string(), Some(one.version))));
        for (stream, version) in judging {
            if self.current.get(&stream).copied() != version {
                let time = self.changes.get(&stream).copied().unwrap_or_default() + 1;
                notes.push(Note::InForce { stream, version, time });
            }
        }
        for use_case in &project.use_cases {
            let is_known = self.formulas.iter().any(|one| {
                one.use_case == use_case.name
                    && one.goal.metric == use_case.goal.metric
                    && one.goal.formula_version == use_case.goal.formula_version
            });
            if !is_known {
                let (use_case, goal) = (use_case.name.clone(), use_case.goal.clone());
                notes.push(Note::Formula { use_case, goal });
            }
        }
        notes
    }
}

/// `orders / decisions` (order within 7d, worth 20.00)
fn worded(goal: &Goal) -> String {
    format!("`{}` ({} within {}, worth {})", goal.formula, goal.success.join(" or "), goal.within, goal.value)
}

fn read(stream: &str, applied: &AppliedContract) -> Option<Contract> {
    let all = Contract::parse(&applied.yaml, &applied.file).ok()?.into_all();
    let name = StreamName::new(stream);
    all.into_iter().find(|contract| contract.stream == name)
}
