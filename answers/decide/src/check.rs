//! Holds use cases against the project they belong to, and against each other.

use std::collections::BTreeSet;

use crate::finding::{Finding, code, nearest, short};
use crate::usecase::UseCase;
use crate::value::Origin;

/// What a project has. `None`: not known here, and so not checked.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// Feature names, as use cases write them.
    pub features: Option<BTreeSet<String>>,
    /// Streams with a contract.
    pub streams: Option<BTreeSet<String>>,
    /// Purposes.
    pub purposes: Option<BTreeSet<String>>,
    /// Models.
    pub models: Option<BTreeSet<String>>,
    /// Paths of gold sets.
    pub gold_sets: Option<BTreeSet<String>>,
}

/// Everything in use cases that the project does not have, or that two of them say differently.
///
/// * `use_cases`: each with its file and the file's text, which is searched for the line
pub fn check(use_cases: &[(&UseCase, &str, &str)], project: &Project) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, (use_case, file, text)) in use_cases.iter().enumerate() {
        let mut add = |code, key: &str, name: &str, message: String| {
            findings.push(Finding {
                code,
                file: (*file).to_owned(),
                line: line_of(text, key, name),
                message,
            });
        };
        let mut missing = |what: &str, key: &str, name: &str, known: &Option<BTreeSet<String>>| {
            let Some(known) = known else { return };
            if known.contains(name) {
                return;
            }
            let hint = nearest(name, known.iter().map(String::as_str))
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            add(
                code::NOT_IN_PROJECT,
                key,
                name,
                format!("{what} `{}` is not in this project{hint}", short(name)),
            );
        };
        for input in use_case.inputs.iter().filter(|input| input.origin == Origin::Feature) {
            missing("feature", "features", &input.name, &project.features);
        }
        for source in &use_case.sources {
            missing("stream", "sources", source, &project.streams);
        }
        for purpose in use_case.purposes() {
            missing("purpose", "purpose", purpose, &project.purposes);
        }
        for model in &use_case.models {
            missing("model", "models", model, &project.models);
        }
        missing("gold set", "gold_set", &use_case.gold_set, &project.gold_sets);
        for (other, other_file, _) in use_cases.iter().take(at) {
            if other.name == use_case.name {
                add(
                    code::CONFLICT,
                    "name",
                    &use_case.name,
                    format!("use case `{}` is in {other_file} too", use_case.name),
                );
            }
            let (mine, theirs) = (&use_case.budget, &other.budget);
            if mine.name == theirs.name && mine != theirs {
                let message = format!(
                    "budget `{}` is {} {} per {} here and {} {} per {} in {other_file}; it is one budget",
                    mine.name,
                    mine.total,
                    mine.currency,
                    mine.period,
                    theirs.total,
                    theirs.currency,
                    theirs.period
                );
                add(code::CONFLICT, "budget", "budget", message);
            }
        }
    }
    findings
}

/// The first line, from the one with `key` on, that holds `name` as a whole word; failing that the key's.
fn line_of(text: &str, key: &str, name: &str) -> u32 {
    let is_word = |line: &str, word: &str| {
        line.match_indices(word).any(|(at, _)| {
            let outside = |c: Option<char>| c.is_none_or(|c| !(c.is_alphanumeric() || c == '_'));
            let before = line.get(..at).and_then(|before| before.chars().next_back());
            let after = line.get(at + word.len()..).and_then(|after| after.chars().next());
            outside(before) && outside(after)
        })
    };
    let key = format!("{key}:");
    let has_key = |line: &str| line.trim_start_matches([' ', '-', '{']).starts_with(&key);
    let first = text.lines().position(has_key).unwrap_or(0);
    let found = text.lines().skip(first).position(|line| is_word(line, name)).unwrap_or(0);
    u32::try_from(first + found + 1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{USE_CASE, use_case};

    #[test]
    fn what_the_project_lacks_is_named_with_its_line() {
        let set = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>());
        let project = Project {
            features: set(&["orders_30d", "total_value_1y"]),
            streams: set(&["order"]),
            ..Project::default()
        };
        let use_case = use_case();
        let findings = check(&[(&use_case, "u.yaml", USE_CASE)], &project);
        let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "u.yaml:19: error MR5008: stream `orders` is not in this project; did you mean `order`?",
                "u.yaml:19: error MR5008: stream `customers` is not in this project",
            ]
        );
    }

    #[test]
    fn two_use_cases_may_not_contradict_each_other() {
        let (a, mut b) = (use_case(), use_case());
        b.budget.total = crate::Cents::new(1);
        let findings = check(&[(&a, "a.yaml", USE_CASE), (&b, "b.yaml", USE_CASE)], &Project::default());
        assert_eq!(findings.len(), 2);
        assert!(findings.iter().all(|f| f.file == "b.yaml" && f.message.contains("a.yaml")), "{findings:?}");
    }
}
