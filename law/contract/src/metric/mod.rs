//! Quality rules about many records: the five library metrics of ODCS 3.1, and comparisons between fields, with one exact
//! meaning each.
//!
//! | metric | counts the rows … |
//! |---|---|
//! | `nullValues` | whose field is absent or null |
//! | `missingValues` | whose field is absent, null or one of `arguments.missingValues` (the empty text where none are given) |
//! | `invalidValues` | whose field has a value that is not among `validValues` or not of the `pattern`; absent and null are missing, not invalid |
//! | `duplicateValues` | whose value an earlier row has: rows with a value minus distinct values; absent and null have none. Values are compared exactly as they came, never through a rounded column |
//! | `rowCount` | of all |
//!
//! With `unit: percent` the figure is the share of all rows, 0 of none. `mustBeBetween` includes both ends,
//! `mustNotBeBetween` excludes both.

mod columns;
mod compare;
mod glance;
mod judge;
mod read;

use serde::Serialize;
use serde_json::Value;

use crate::model::Path;

pub use columns::{ColumnJudge, ColumnKind, ColumnTold, Values};
pub use compare::Comparison;
pub use judge::{Judge, Verdict, canonical};
pub(crate) use read::{on_field, on_rows};

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, or words made from it.
    pub name: String,
    /// What is counted.
    pub metric: Metric,
    /// Rows or their share.
    pub unit: Unit,
    /// What the figure must be.
    pub bound: Bound,
    /// `completeness`, `accuracy`, `conformity`, `uniqueness`, … as the file says.
    pub dimension: Option<String>,
    /// True where a breach is no error (`severity: warning`).
    pub is_warning: bool,
    /// The line in the file.
    pub line: u32,
}

/// What a rule counts.
#[derive(Clone, Debug)]
pub enum Metric {
    /// Rows without a value.
    Null(Path),
    /// Rows without a value, or with one that stands for none.
    Missing(Path, Vec<Value>),
    /// Rows with a value that is not valid.
    Invalid {
        /// The field.
        field: Path,
        /// The valid values; empty where any is.
        valid: Vec<Value>,
        /// The pattern texts must match.
        pattern: Option<regex::Regex>,
    },
    /// Rows that repeat an earlier row's values.
    Duplicate(Vec<Path>),
    /// All rows.
    Rows,
    /// Rows for which a comparison does not hold.
    Breaking(Comparison),
}

/// What a figure is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Rows.
    Rows,
    /// Percent of all rows.
    Percent,
}

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Bound {
    /// Equal.
    MustBe(f64),
    /// Different.
    MustNotBe(f64),
    /// Greater.
    MustBeGreaterThan(f64),
    /// Greater or equal.
    MustBeGreaterOrEqualTo(f64),
    /// Less.
    MustBeLessThan(f64),
    /// Less or equal.
    MustBeLessOrEqualTo(f64),
    /// Between, both ends included.
    MustBeBetween(f64, f64),
    /// Not between: an end is let through.
    MustNotBeBetween(f64, f64),
}

impl Bound {
    /// The numbers at which it changes its mind.
    pub(crate) fn ends(self) -> Vec<f64> {
        match self {
            Self::MustBe(n)
            | Self::MustNotBe(n)
            | Self::MustBeGreaterThan(n)
            | Self::MustBeGreaterOrEqualTo(n)
            | Self::MustBeLessThan(n)
            | Self::MustBeLessOrEqualTo(n) => vec![n],
            Self::MustBeBetween(low, high) | Self::MustNotBeBetween(low, high) => vec![low, high],
        }
    }

    /// True where the figure is as it must be.
    pub fn holds(self, figure: f64) -> bool {
        match self {
            Self::MustBe(n) => figure == n,
            Self::MustNotBe(n) => figure != n,
            Self::MustBeGreaterThan(n) => figure > n,
            Self::MustBeGreaterOrEqualTo(n) => figure >= n,
            Self::MustBeLessThan(n) => figure < n,
            Self::MustBeLessOrEqualTo(n) => figure <= n,
            Self::MustBeBetween(low, high) => (low..=high).contains(&figure),
            Self::MustNotBeBetween(low, high) => !(low < figure && figure < high),
        }
    }

    /// In words: `at most 5`.
    pub fn words(self) -> String {
        match self {
            Self::MustBe(n) => format!("{n}"),
            Self::MustNotBe(n) => format!("not {n}"),
            Self::MustBeGreaterThan(n) => format!("more than {n}"),
            Self::MustBeGreaterOrEqualTo(n) => format!("at least {n}"),
            Self::MustBeLessThan(n) => format!("less than {n}"),
            Self::MustBeLessOrEqualTo(n) => format!("at most {n}"),
            Self::MustBeBetween(low, high) => format!("from {low} to {high}"),
            Self::MustNotBeBetween(low, high) => format!("not between {low} and {high}"),
        }
    }
}

impl Metric {
    /// The standard's name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Null(_) => "nullValues",
            Self::Missing(..) => "missingValues",
            Self::Invalid { .. } => "invalidValues",
            Self::Duplicate(_) => "duplicateValues",
            Self::Rows => "rowCount",
            Self::Breaking(_) => "custom",
        }
    }

    /// The fields it looks at.
    pub fn fields(&self) -> Vec<&Path> {
        match self {
            Self::Null(field) | Self::Missing(field, _) | Self::Invalid { field, .. } => vec![field],
            Self::Duplicate(fields) => fields.iter().collect(),
            Self::Rows => Vec::new(),
            Self::Breaking(comparison) => comparison.fields(),
        }
    }
}

#[cfg(test)]
mod column_tests;
#[cfg(test)]
mod tests;
