//! What a feature says: a typed value or nothing.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::acc::Acc;
use crate::cell::Cell;
use crate::expr;
use crate::suggest::short;
use crate::view::{Feature, View};

/// What a feature's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// Texts.
    Text,
    /// True or false.
    Boolean,
}

impl Kind {
    /// The spelling in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Text => "text",
            Self::Boolean => "boolean",
        }
    }
}

/// One feature's value at one instant.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// Nothing is known, and the view names no default.
    #[default]
    Missing,
    /// A whole number.
    Integer(i64),
    /// A number, always finite.
    Number(f64),
    /// A text.
    Text(Arc<str>),
    /// True or false.
    Boolean(bool),
}

impl Value {
    /// As an expression takes it; `None`: missing.
    pub fn as_expr(&self) -> Option<expr::Value> {
        match self {
            Self::Boolean(truth) => Some(expr::Value::Flag(*truth)),
            Self::Text(text) => Some(expr::Value::Text(text.to_string())),
            other => other.as_number().and_then(expr::Value::number),
        }
    }

    pub(crate) fn of_expr(value: expr::Value) -> Self {
        match value {
            expr::Value::Flag(truth) => Self::Boolean(truth),
            expr::Value::Number(number) => Self::Number(number),
            expr::Value::Text(text) => Self::Text(text.into()),
        }
    }

    /// True where there is none.
    pub fn is_missing(&self) -> bool {
        *self == Self::Missing
    }

    /// The value as a number; true is 1, false 0; `None` for a text or nothing.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Integer(n) => Some(*n as f64),
            Self::Number(float) => Some(*float),
            Self::Boolean(truth) => Some(f64::from(u8::from(*truth))),
            Self::Missing | Self::Text(_) => None,
        }
    }

    /// The text; `None` for anything else.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// As JSON writes it, with "nothing" for what is missing.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("nothing"),
            Self::Integer(n) => n.fmt(f),
            Self::Number(float) => float.fmt(f),
            Self::Text(text) => write!(f, "{:?}", short(text)),
            Self::Boolean(truth) => truth.fmt(f),
        }
    }
}

/// In JSON: null, number, string, boolean.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Missing => s.serialize_none(),
            Self::Integer(n) => s.serialize_i64(*n),
            Self::Number(float) => s.serialize_f64(*float),
            Self::Text(text) => s.serialize_str(text),
            Self::Boolean(truth) => s.serialize_bool(*truth),
        }
    }
}

/// A view's values of one profile at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    view: View,
    values: Vec<Value>,
    /// Places of features that are not to be seen, sorted.
    absent: Vec<usize>,
}

impl Values {
    pub(crate) fn new(view: View, values: Vec<Value>) -> Self {
        Self { view, values, absent: Vec::new() }
    }

    /// Only the features of which `keep` says so: what a purpose may not see is not there.
    #[must_use]
    pub fn only(mut self, keep: impl Fn(&str) -> bool) -> Self {
        let features = self.view.features().iter().enumerate();
        self.absent = features.filter(|(_, feature)| !keep(feature.name())).map(|(at, _)| at).collect();
        self
    }

    /// The view.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The value of a feature; `None` where the view has no such feature, or none to be seen.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.view.features().iter().position(|feature| feature.name() == name)?;
        self.values.get(at).filter(|_| self.absent.binary_search(&at).is_err())
    }

    /// Features with their values, in the order of the view's file.
    pub fn iter(&self) -> impl Iterator<Item = (&Feature, &Value)> {
        let all = self.view.features().iter().zip(&self.values).enumerate();
        all.filter(|(at, _)| self.absent.binary_search(at).is_err()).map(|(_, found)| found)
    }
}

/// In JSON: an object from the feature's name to its value.
impl Serialize for Values {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.values.len() - self.absent.len()))?;
        for (feature, value) in self.iter() {
            map.serialize_entry(feature.name(), value)?;
        }
        map.end()
    }
}

/// How a feature reads its accumulator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reading {
    Count,
    /// Divided by 10^scale where there is one.
    Sum {
        scale: Option<u8>,
        kind: Kind,
    },
    Mean {
        scale: Option<u8>,
    },
    /// The value of one row.
    Row {
        kind: Kind,
    },
    /// Time since the latest, in units of so many microseconds.
    Since {
        unit: i64,
    },
    Distinct,
    Decayed,
}

impl Reading {
    /// `None`: nothing to read.
    #[inline]
    pub(crate) fn value(self, acc: &mut Acc<'_>, at: i64) -> Option<Value> {
        match (self, acc) {
            (Self::Count, Acc::Count(n)) => Some(whole((*n).into())),
            (Self::Sum { scale, kind }, Acc::Sum { sum, .. }) => Some(match (kind, scale) {
                (Kind::Integer, None) if sum.parts().is_empty() => whole(sum.whole()),
                (Kind::Integer, None) => whole(sum.total() as i128),
                _ => Value::Number(sum.total() / power_of_ten(scale)),
            }),
            (Self::Mean { scale }, Acc::Sum { n, sum }) => {
                (*n > 0).then(|| Value::Number(sum.total() / power_of_ten(scale) / *n as f64))
            }
            (Self::Row { kind }, Acc::Least(cell) | Acc::Greatest(cell)) => {
                cell.map(|cell| of_cell(cell, kind))
            }
            (Self::Row { kind }, Acc::First(row) | Acc::Last(row)) => {
                row.map(|(_, cell)| of_cell(cell, kind))
            }
            (Self::Since { unit }, Acc::Latest(latest)) => {
                latest.map(|latest| Value::Number(at.saturating_sub(latest) as f64 / unit as f64))
            }
            (Self::Distinct, Acc::Distinct { sets, loose }) => {
                Some(whole(Acc::n_distinct(sets, loose) as i128))
            }
            (Self::Distinct, Acc::Different(n)) => Some(whole((*n).into())),
            (Self::Decayed, Acc::Decayed { sum, .. }) => Some(Value::Number(sum.total())),
            _ => None,
        }
    }
}

fn power_of_ten(scale: Option<u8>) -> f64 {
    scale.map_or(1.0, |scale| 10_f64.powi(scale.into()))
}

fn whole(n: i128) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX }))
}

fn of_cell(cell: Cell<'_>, kind: Kind) -> Value {
    match cell {
        Cell::Integer(n) if kind == Kind::Number => Value::Number(n as f64),
        Cell::Integer(n) => Value::Integer(n),
        Cell::Number(float) if kind == Kind::Integer => whole(float as i128),
        Cell::Number(float) => Value::Number(float),
        Cell::Text(text) => Value::Text(Arc::from(text)),
        Cell::Boolean(truth) => Value::Boolean(truth),
    }
}
