//! Rules without SQL: `starts_at <= ends_at and status != 'draft'`.
//!
//! Fields by their paths, numbers, texts in single quotes; `=`, `!=`, `<`, `<=`, `>`, `>=`; parts joined by `and`. A row
//! without one of the values breaks no rule: that it is missing is another rule's business.

use std::cmp::Ordering;

use event::Instant;
use serde_json::Value;

use crate::model::Path;

/// Comparisons that must all hold.
#[derive(Clone, Debug)]
pub struct Comparison {
    written: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    left: Side,
    how: How,
    right: Side,
}

#[derive(Clone, Debug)]
enum Side {
    Field(Path),
    Number(f64),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The longer signs first, so that `<=` is not taken for `<`.
const SIGNS: [(&str, How); 8] = [
    ("<=", How::LessOrEqual),
    (">=", How::GreaterOrEqual),
    ("!=", How::NotEqual),
    ("<>", How::NotEqual),
    ("==", How::Equal),
    ("=", How::Equal),
    ("<", How::Less),
    (">", How::Greater),
];
/// Comparisons in one rule at most.
const MOST: usize = 32;

impl Comparison {
    /// Reads a rule.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let written = text.trim().to_owned();
        let parts = split(&written)?.into_iter().map(part).collect::<Result<Vec<_>, _>>()?;
        if parts.len() > MOST {
            return Err(format!("it has {} comparisons; {MOST} are allowed", parts.len()));
        }
        Ok(Self { written, parts })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The fields it names.
    pub fn fields(&self) -> Vec<&Path> {
        let sides = self.parts.iter().flat_map(|part| [&part.left, &part.right]);
        sides.filter_map(|side| if let Side::Field(path) = side { Some(path) } else { None }).collect()
    }

    /// False where one of them does not hold; what cannot be compared is not equal and in no order.
    pub fn holds(&self, bound: &Value) -> bool {
        self.parts.iter().all(|part| match (part.left.value(bound), part.right.value(bound)) {
            (Some(left), Some(right)) => part.how.holds(order(&left, &right)),
            _ => true,
        })
    }
}

impl Side {
    fn value(&self, bound: &Value) -> Option<Value> {
        match self {
            Self::Field(path) => path.follow(bound).filter(|value| !value.is_null()).cloned(),
            Self::Number(number) => Some(Value::from(*number)),
            Self::Text(text) => Some(Value::from(text.as_str())),
        }
    }
}

impl How {
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        (Value::String(left), Value::String(right)) => {
            match (left.parse::<Instant>(), right.parse::<Instant>()) {
                // Two times are compared as times: `10:00+01:00` is earlier than `09:30Z` although it looks later.
                (Ok(left), Ok(right)) => Some(left.cmp(&right)),
                _ => Some(left.cmp(right)),
            }
        }
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        // A flag against the word for it, as rules are text.
        (Value::Bool(left), Value::String(right)) => Some(left.to_string().as_str().cmp(right)),
        _ => None,
    }
}

/// The parts between `and`, quotes respected.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == '\'' {
            quoted = !quoted;
        }
        let rest = text.get(at..).unwrap_or_default();
        if !quoted && rest.len() > 5 && rest.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(" and ")) {
            parts.push(text.get(start..at).unwrap_or_default());
            start = at + 5;
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    parts.push(text.get(start..).unwrap_or_default());
    Ok(parts)
}

fn part(text: &str) -> Result<Part, String> {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        if c == '\'' {
            quoted = !quoted;
        }
        let rest = text.get(at..).unwrap_or_default();
        let found = SIGNS.iter().find(|(sign, _)| !quoted && rest.starts_with(sign));
        if let Some((sign, how)) = found {
            let left = side(text.get(..at).unwrap_or_default())?;
            let right = side(rest.get(sign.len()..).unwrap_or_default())?;
            return Ok(Part { left, how: *how, right });
        }
    }
    Err(format!("`{}` compares nothing: one of = != < <= > >= is due", text.trim()))
}

fn side(text: &str) -> Result<Side, String> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return if inner.contains('\'') {
            Err(format!("`{text}` has a quote within"))
        } else {
            Ok(Side::Text(inner.to_owned()))
        };
    }
    if let Ok(number) = text.parse::<f64>() {
        return if number.is_finite() {
            Ok(Side::Number(number))
        } else {
            Err(format!("`{text}` is no number"))
        };
    }
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    if text.is_empty() || !text.chars().all(is_name) {
        return Err(format!("`{text}` is no field, no number and no text in single quotes"));
    }
    Ok(Side::Field(Path::new(text)))
}
