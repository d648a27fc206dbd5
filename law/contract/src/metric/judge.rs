//! Counting: one pass over the rows, every rule at once.

use std::collections::HashSet;

use event::Version;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Metric, Rule, Unit};
use crate::Contract;

/// Distinct values remembered per rule at most: 16 bytes each.
pub(super) const MOST_DISTINCT: usize = 50_000_000;

/// Judges the rules of a contract over rows.
pub struct Judge<'c> {
    contract: &'c Contract,
    counts: Vec<(&'c Rule, Count)>,
    n_rows: u64,
}

struct Count {
    n: u64,
    seen: HashSet<[u8; 16]>,
    gave_up: bool,
}

/// What a rule came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The version of the contract whose rule it is.
    pub version: Version,
    /// The rule's name.
    pub rule: String,
    /// The metric.
    pub metric: &'static str,
    /// The figure, in rows or percent; `None` where there was too much to count.
    pub figure: Option<f64>,
    /// Rows or percent.
    pub unit: Unit,
    /// What it must be.
    pub must_be: String,
    /// True where it is.
    pub holds: bool,
    /// True where a breach is a warning only.
    pub is_warning: bool,
    /// The line of the rule in its file.
    pub line: u32,
}

impl<'c> Judge<'c> {
    /// For all rules of a contract.
    pub fn new(contract: &'c Contract) -> Self {
        let count = |rule| (rule, Count { n: 0, seen: HashSet::new(), gave_up: false });
        Self { contract, counts: contract.rules.iter().map(count).collect(), n_rows: 0 }
    }

    /// True where there is nothing to judge.
    pub fn is_idle(&self) -> bool {
        self.counts.is_empty()
    }

    /// Takes one row, with its fields as the contract names them.
    pub fn take(&mut self, bound: &Value) {
        self.n_rows += 1;
        for (rule, count) in &mut self.counts {
            let counts = match &rule.metric {
                Metric::Duplicate(fields) => {
                    let values: Option<Vec<&Value>> =
                        fields.iter().map(|field| value(field.follow(bound))).collect();
                    values.is_some_and(|values| count.repeats(&values))
                }
                metric => metric.counts(bound),
            };
            count.n += u64::from(counts);
        }
    }

    /// What the rules came to.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let verdict = |(rule, count): &(&Rule, Count)| {
            Verdict::of(rule, self.contract.version, (!count.gave_up).then_some(count.n), self.n_rows)
        };
        self.counts.iter().map(verdict).collect()
    }
}

impl Verdict {
    /// What a rule came to.
    ///
    /// * `n`: what it counted; `None` where there was too much to count
    pub fn of(rule: &Rule, version: Version, n: Option<u64>, n_rows: u64) -> Self {
        let figure = n.map(|n| match rule.unit {
            Unit::Rows => n as f64,
            Unit::Percent if n_rows == 0 => 0.0,
            Unit::Percent => 100.0 * n as f64 / n_rows as f64,
        });
        Self {
            version,
            rule: rule.name.clone(),
            metric: rule.metric.as_str(),
            figure,
            unit: rule.unit,
            must_be: rule.bound.words(),
            holds: figure.is_some_and(|figure| rule.bound.holds(figure)),
            is_warning: rule.is_warning,
            line: rule.line,
        }
    }
}

impl Metric {
    /// True where a row counts by itself. Whether it repeats another ([`Metric::Duplicate`]) no row says alone: false.
    pub fn counts(&self, bound: &Value) -> bool {
        match self {
            Self::Null(field) => value(field.follow(bound)).is_none(),
            Self::Missing(field, missing) => {
                value(field.follow(bound)).is_none_or(|found| missing.iter().any(|one| same(one, found)))
            }
            Self::Invalid { field, valid, pattern } => value(field.follow(bound)).is_some_and(|found| {
                let is_listed = valid.is_empty() || valid.iter().any(|one| same(one, found));
                let fits =
                    pattern.as_ref().is_none_or(|p| found.as_str().is_some_and(|text| p.is_match(text)));
                !(is_listed && fits)
            }),
            Self::Duplicate(_) => false,
            Self::Rows => true,
            Self::Breaking(comparison) => !comparison.holds(bound),
        }
    }
}

impl Count {
    /// True where these values were there before. By a hash of 128 bits: two values in 50 million agree by chance
    /// once in 10^23.
    fn repeats(&mut self, values: &[&Value]) -> bool {
        if self.gave_up {
            return false;
        }
        let mut hash = Sha256::new();
        for value in values {
            let text = canonical(value);
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        let mut key = [0; 16];
        key.copy_from_slice(hash.finalize().get(..16).unwrap_or(&[0; 16]));
        let repeats = !self.seen.insert(key);
        if self.seen.len() > MOST_DISTINCT {
            self.gave_up = true;
            self.seen = HashSet::new();
        }
        repeats
    }
}

/// Equal numbers have one text: `1.0` and `1` are the same value; `1` and `"1"` are not.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (None, Some(float)) if float.fract() == 0.0 && float.abs() < 9e15 => {
                // 0 and -0 are one number.
                format!("{:.0}", float + 0.0)
            }
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

fn value(found: Option<&Value>) -> Option<&Value> {
    found.filter(|value| !value.is_null())
}

/// The same value; a number of the list is also the number in a text, as files write it.
fn same(listed: &Value, found: &Value) -> bool {
    match (listed, found) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Number(_), Value::String(text)) => {
            text.parse().is_ok_and(|number: Value| same(listed, &number))
        }
        _ => listed == found,
    }
}
