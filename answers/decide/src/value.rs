//! What a decision knows about a person: typed values with where they come from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value of an input. Whole numbers beyond 2^53 are rounded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Flag(bool),
    /// A finite number.
    Number(f64),
    /// A text.
    Text(String),
}

impl Value {
    /// A number; `None` for what is none (NaN, infinite): it then counts as missing.
    pub fn number(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self::Number(number))
    }

    /// The number, where it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Flag(_) | Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(truth) => truth.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "'{}'", crate::finding::short(text)),
        }
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Flag(truth)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Where an input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A feature of a feature view.
    Feature,
    /// What the person said of themselves (an `identify` call).
    Trait,
    /// What the caller said about this moment.
    Context,
}

/// One value a decision was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Its name, as the use case declares it.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The value; `None` where there is none.
    pub value: Option<Value>,
    /// The version of the feature view or contract that made it; empty for context.
    pub version: String,
    /// True where it derives from a personal field: it is then stored sealed only.
    pub personal: bool,
}

/// A value that an expression looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The name in the expression.
    pub name: String,
    /// What stood there.
    pub value: Option<Value>,
}
