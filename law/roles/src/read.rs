//! Reading policy files: parsed, and each policy named by file and line; what is no policy is quoted.

use std::collections::BTreeMap;

use cedar_policy_core::ast::{Effect, Policy, PolicyID, PolicySet};
use cedar_policy_core::parser::{Loc, parse_policyset};
use contract::{Finding, Severity};
use miette::Diagnostic;

use crate::rule::Rule;

/// A file that is no policy.
const SYNTAX: &str = "MR3402";

/// How much of a line is quoted.
const QUOTED_CHARS: usize = 80;

/// The built-in policies.
pub(crate) const BUILT_IN: [(&str, &str); 7] = [
    ("built-in/admin.cedar", include_str!("builtin/admin.cedar")),
    ("built-in/analyst.cedar", include_str!("builtin/analyst.cedar")),
    ("built-in/data_protection_officer.cedar", include_str!("builtin/data_protection_officer.cedar")),
    ("built-in/engineer.cedar", include_str!("builtin/engineer.cedar")),
    ("built-in/marketer.cedar", include_str!("builtin/marketer.cedar")),
    ("built-in/source.cedar", include_str!("builtin/source.cedar")),
    ("built-in/special.cedar", include_str!("builtin/special.cedar")),
];

/// Policies of several files.
pub(crate) struct Collected {
    /// All of them, for Cedar.
    pub set: PolicySet,
    /// All of them, for people, by id.
    pub rules: BTreeMap<String, Rule>,
}

impl Collected {
    pub(crate) fn new() -> Self {
        Self { set: PolicySet::new(), rules: BTreeMap::new() }
    }

    /// Takes in a file, and gives its policies. Where it cannot be read whole, none of them counts.
    pub(crate) fn add(&mut self, file: &str, text: &str, findings: &mut Vec<Finding>) -> Vec<Policy> {
        let parsed = match parse_policyset(text) {
            Ok(parsed) => parsed,
            Err(errors) => {
                findings.extend(errors.iter().map(|error| broken(file, text, error)));
                return Vec::new();
            }
        };
        if let Some(template) = parsed.templates().next() {
            let line = template.loc().map_or(1, line_of);
            let message =
                "a template (`?principal`, `?resource`) is never linked here, so it would never apply"
                    .to_owned();
            findings.push(quoted(SYNTAX, file, text, line, message));
        }
        let mut policies: Vec<Policy> = parsed.static_policies().cloned().collect();
        policies.sort_by_key(|policy| policy.loc().map(Loc::start));
        let mut named = Vec::new();
        for (place, policy) in policies.into_iter().enumerate() {
            let name =
                policy.annotations().find(|(key, _)| key.as_ref() == "id").map(|(_, id)| id.val.to_string());
            let rule = Rule {
                id: format!("{file}#{place}"),
                name: name.filter(|name| !name.is_empty()),
                file: file.to_owned(),
                line: policy.loc().map_or(1, line_of),
                permits: policy.effect() == Effect::Permit,
                text: policy.loc().and_then(Loc::snippet).unwrap_or_default().to_owned(),
            };
            let policy = policy.new_id(PolicyID::from_string(&rule.id));
            if let Err(error) = self.set.add(policy.clone()) {
                findings.push(finding(SYNTAX, Severity::Error, file, rule.line, error.to_string()));
            }
            self.rules.insert(rule.id.clone(), rule);
            named.push(policy);
        }
        named
    }
}

/// An error of Cedar's parser: its line, its words, its hint, and the line as it is written.
fn broken(file: &str, text: &str, error: &dyn Diagnostic) -> Finding {
    let label = error.labels().and_then(|mut labels| labels.next());
    let offset = label.as_ref().map(|label| label.offset());
    let line = offset.map_or(1, |offset| line_at(text, offset));
    // What is expected there, and what may help.
    let expected = label.as_ref().and_then(|label| label.label()).map(|said| format!(", {said}"));
    let hint = error.help().map(|help| format!("; {help}"));
    let message = format!("{error}{}{}", expected.unwrap_or_default(), hint.unwrap_or_default());
    quoted(SYNTAX, file, text, line, message)
}

/// A finding that ends with the line it speaks of.
pub(crate) fn quoted(code: &'static str, file: &str, text: &str, line: u32, message: String) -> Finding {
    let written = text.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default().trim();
    let quote = if written.is_empty() { String::new() } else { format!(", in `{}`", short(written)) };
    finding(code, Severity::Error, file, line, format!("{message}{quote}"))
}

pub(crate) fn finding(
    code: &'static str,
    severity: Severity,
    file: &str,
    line: u32,
    message: String,
) -> Finding {
    Finding {
        code,
        severity,
        stream: String::new(),
        field: None,
        message,
        file: Some(file.to_owned()),
        line: Some(line.max(1)),
    }
}

/// The line that something begins in, counted from 1.
pub(crate) fn line_of(loc: &Loc) -> u32 {
    line_at(&loc.src, loc.start())
}

fn line_at(text: &str, offset: usize) -> u32 {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    u32::try_from(before.iter().filter(|byte| **byte == b'\n').count() + 1).unwrap_or(u32::MAX)
}

pub(crate) fn short(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(QUOTED_CHARS).collect();
    if text.chars().count() > QUOTED_CHARS {
        shown.push('…');
    }
    shown
}
