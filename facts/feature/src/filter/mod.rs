//! Filters: a small language over a record's fields, with the missing as SQL has it.
//!
//! ```text
//! filter     = all { "or" all }
//! all        = one { "and" one }
//! one        = "not" one | "(" filter ")" | field test
//! test       = ( "==" | "=" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) literal
//!            | [ "not" ] "in" ( "[" | "(" ) literal { "," literal } ( "]" | ")" )
//!            | "is" [ "not" ] "null"
//! literal    = 'text' | "text" | number | "true" | "false"
//! ```
//! A comparison with a missing field is neither true nor false; a row is taken only where the filter is true.

mod parse;

use std::cmp::Ordering;
use std::fmt;

use contract::{Contract, Field, Kind};
use event::Instant;
use serde_json::{Number, Value};

use crate::path::FieldPath;

pub(crate) use parse::parse;

/// A place in a filter where it cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// In characters, from 1.
    pub(crate) column: usize,
    /// Completes the sentence "filter `…`, column 3: …".
    pub(crate) message: String,
}

/// A filter whose fields are `F`: names as written, or paths.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr<F> {
    Compare { field: F, test: Test, literal: Literal },
    In { field: F, literals: Vec<Literal> },
    IsNull { field: F },
    Not(Box<Expr<F>>),
    All(Vec<Expr<F>>),
    Any(Vec<Expr<F>>),
}

/// A filter ready to be applied.
pub(crate) type Filter = Expr<FieldPath>;

/// A field as a filter names it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) column: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Test {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Integer(i64),
    Number(f64),
    Text(String),
    Boolean(bool),
    /// What a text means beside a point in time.
    Time(Instant),
}

impl Filter {
    /// Kleene's three values: `None` is unknown.
    pub(crate) fn matches(&self, bound: &Value) -> Option<bool> {
        match self {
            Self::Compare { field, test, literal } => {
                compare(field.follow(bound)?, literal).map(|order| test.holds(order))
            }
            Self::In { field, literals } => {
                let value = field.follow(bound)?;
                let mut orders = literals.iter().map(|literal| compare(value, literal));
                // Contracts say the type: where one literal compares, all do.
                orders.try_fold(false, |found, order| order.map(|order| found || order.is_eq()))
            }
            Self::IsNull { field } => Some(field.follow(bound).is_none_or(Value::is_null)),
            Self::Not(inner) => inner.matches(bound).map(|holds| !holds),
            Self::All(inner) => {
                let mut known = true;
                for one in inner {
                    match one.matches(bound) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => known = false,
                    }
                }
                known.then_some(true)
            }
            Self::Any(inner) => {
                let mut known = true;
                for one in inner {
                    match one.matches(bound) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => known = false,
                    }
                }
                known.then_some(false)
            }
        }
    }
}

fn compare(value: &Value, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Number(number), Literal::Integer(n)) => compare_numbers(number, *n),
        (Value::Number(number), Literal::Number(float)) => number.as_f64()?.partial_cmp(float),
        (Value::String(text), Literal::Text(other)) => Some(text.as_str().cmp(other)),
        (Value::Bool(truth), Literal::Boolean(other)) => Some(truth.cmp(other)),
        (Value::String(text), Literal::Time(instant)) => {
            text.parse::<Instant>().ok().map(|read| read.cmp(instant))
        }
        _ => None,
    }
}

fn compare_numbers(number: &Number, n: i64) -> Option<Ordering> {
    match number.as_i64() {
        Some(m) => Some(m.cmp(&n)),
        None => number.as_f64()?.partial_cmp(&(n as f64)),
    }
}

impl Expr<Name> {
    /// Finds the fields in the contract and reads texts beside points in time as such. Every field goes to `used`.
    pub(crate) fn resolve<'c>(
        self,
        contract: &'c Contract,
        used: &mut Vec<&'c Field>,
    ) -> Result<Filter, Mistake> {
        let all = |inner: Vec<Self>, used: &mut Vec<&'c Field>| {
            inner.into_iter().map(|one| one.resolve(contract, used)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match self {
            Self::Compare { field, test, literal } => {
                let (path, found) = find(contract, &field)?;
                used.push(found);
                let literal = fit(literal, found, &field)?;
                if matches!(literal, Literal::Boolean(_)) && !matches!(test, Test::Equal | Test::NotEqual) {
                    let message = format!("`{}` is true or false: only == and != make sense", field.text);
                    return Err(Mistake { column: field.column, message });
                }
                Expr::Compare { field: path, test, literal }
            }
            Self::In { field, literals } => {
                let (path, found) = find(contract, &field)?;
                used.push(found);
                let literals = literals.into_iter().map(|literal| fit(literal, found, &field));
                Expr::In { field: path, literals: literals.collect::<Result<_, _>>()? }
            }
            Self::IsNull { field } => {
                let (path, found) = find(contract, &field)?;
                used.push(found);
                Expr::IsNull { field: path }
            }
            Self::Not(inner) => Expr::Not(Box::new(inner.resolve(contract, used)?)),
            Self::All(inner) => Expr::All(all(inner, used)?),
            Self::Any(inner) => Expr::Any(all(inner, used)?),
        })
    }
}

fn find<'c>(contract: &'c Contract, name: &Name) -> Result<(FieldPath, &'c Field), Mistake> {
    FieldPath::find(contract, &name.text).ok_or_else(|| {
        let message = format!("stream `{}` has no field `{}`", contract.stream, name.text);
        Mistake { column: name.column, message }
    })
}

/// A literal must be of the field's type.
fn fit(literal: Literal, field: &Field, name: &Name) -> Result<Literal, Mistake> {
    let wrong = |expected: &str| {
        let (name_text, kind) = (&name.text, field.kind.as_str());
        let message = format!("field `{name_text}` is of type {kind}: {expected} is expected, not {literal}");
        Mistake { column: name.column, message }
    };
    match (&field.kind, &literal) {
        (Kind::Integer | Kind::Number, Literal::Integer(_) | Literal::Number(_))
        | (Kind::Text | Kind::Time, Literal::Text(_))
        | (Kind::Boolean, Literal::Boolean(_))
        | (Kind::Any, _) => Ok(literal),
        (Kind::Date, Literal::Text(day)) if day.len() == 10 && day.parse::<Instant>().is_ok() => Ok(literal),
        (Kind::Timestamp, Literal::Text(text)) => match text.parse() {
            Ok(instant) => Ok(Literal::Time(instant)),
            Err(_) => Err(wrong("a time like '2026-01-31T12:00:00Z'")),
        },
        (Kind::Timestamp, _) => Err(wrong("a time like '2026-01-31T12:00:00Z'")),
        (Kind::Integer | Kind::Number, _) => Err(wrong("a number")),
        (Kind::Text | Kind::Time, _) => Err(wrong("a text in quotes")),
        (Kind::Date, _) => Err(wrong("a day like '2026-01-31'")),
        (Kind::Boolean, _) => Err(wrong("true or false")),
        (Kind::Object(_) | Kind::Array(_), _) => Err(wrong("only `is null`")),
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(n) => write!(f, "{n}"),
            Self::Number(float) => write!(f, "{float:?}"),
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Boolean(truth) => write!(f, "{truth}"),
            Self::Time(instant) => write!(f, "'{instant}'"),
        }
    }
}

/// The one way to write a filter; it reads back as the same.
impl fmt::Display for Expr<Name> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, inner: &[Self], word: &str| {
            f.write_str("(")?;
            for (i, one) in inner.iter().enumerate() {
                if i > 0 {
                    write!(f, " {word} ")?;
                }
                one.fmt(f)?;
            }
            f.write_str(")")
        };
        match self {
            Self::Compare { field, test, literal } => {
                write!(f, "`{}` {} {literal}", field.text, test.as_str())
            }
            Self::In { field, literals } => {
                let list: Vec<String> = literals.iter().map(Literal::to_string).collect();
                write!(f, "`{}` in [{}]", field.text, list.join(", "))
            }
            Self::IsNull { field } => write!(f, "`{}` is null", field.text),
            Self::Not(inner) => write!(f, "not {inner}"),
            Self::All(inner) => joined(f, inner, "and"),
            Self::Any(inner) => joined(f, inner, "or"),
        }
    }
}

#[cfg(test)]
mod tests;
