//! The functions of the expression language.

use std::borrow::Cow;

use super::{Facts, Kind, Term, Truth, Value};

/// A function by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Ceil,
    Coalesce,
    Contains,
    Day,
    Floor,
    Hour,
    If,
    Length,
    Log,
    Lower,
    Max,
    Min,
    Month,
    Round,
    Sqrt,
    StartsWith,
    Weekday,
}

const ALL: [(&str, Function); 18] = [
    ("abs", Function::Abs),
    ("ceil", Function::Ceil),
    ("coalesce", Function::Coalesce),
    ("contains", Function::Contains),
    ("day", Function::Day),
    ("floor", Function::Floor),
    ("hour", Function::Hour),
    ("if", Function::If),
    ("length", Function::Length),
    ("log", Function::Log),
    ("lower", Function::Lower),
    ("max", Function::Max),
    ("min", Function::Min),
    ("month", Function::Month),
    ("round", Function::Round),
    ("sqrt", Function::Sqrt),
    ("starts_with", Function::StartsWith),
    ("weekday", Function::Weekday),
];

impl Function {
    pub(super) fn find(name: &str) -> Option<Self> {
        ALL.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    }

    /// All names, for a message.
    pub(super) fn known() -> String {
        ALL.map(|(name, _)| name).join(", ")
    }

    pub(super) fn as_str(self) -> &'static str {
        ALL.iter().find(|(_, known)| *known == self).map_or("?", |(name, _)| name)
    }

    /// True where it asks what time it is.
    pub(super) fn asks_the_clock(self) -> bool {
        matches!(self, Self::Day | Self::Hour | Self::Month | Self::Weekday)
    }

    /// Whether so many arguments, and these, make sense; else what would.
    pub(super) fn check(self, arguments: &[Term]) -> Result<(), String> {
        let (least, most) = match self {
            Self::Coalesce | Self::Max | Self::Min => (2, 16),
            Self::Contains | Self::StartsWith => (2, 2),
            Self::If => (3, 3),
            Self::Round => (1, 2),
            _ => (1, 1),
        };
        let n = arguments.len();
        if n < least || n > most {
            let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
            return Err(format!("gives `{}` {n} values; it takes {wanted}", self.as_str()));
        }
        if self.asks_the_clock() {
            return match arguments.first() {
                Some(Term::Literal(Value::Text(zone))) if jiff::tz::TimeZone::get(zone).is_ok() => Ok(()),
                Some(Term::Literal(Value::Text(zone))) => Err(format!(
                    "names the time zone `{}`, which there is not; write one like 'Europe/Berlin'",
                    super::short(zone)
                )),
                _ => Err(format!(
                    "`{0}` wants a time zone in quotes, like {0}('Europe/Berlin')",
                    self.as_str()
                )),
            };
        }
        if self == Self::Round && n == 2 {
            return match arguments.get(1) {
                Some(Term::Literal(Value::Number(n))) if n.fract() == 0.0 && (0.0..=9.0).contains(n) => {
                    Ok(())
                }
                _ => Err("`round` wants a whole number of decimals, 0 to 9".to_owned()),
            };
        }
        Ok(())
    }

    pub(super) fn value<'a>(self, arguments: &'a [Term], facts: &'a dyn Facts) -> Option<Cow<'a, Value>> {
        let number = |i: usize| arguments.get(i)?.number(facts);
        let text = |i: usize| match arguments.get(i)?.value(facts)?.into_owned() {
            Value::Text(text) => Some(text),
            Value::Flag(_) | Value::Number(_) => None,
        };
        let value = match self {
            Self::Coalesce => return arguments.iter().find_map(|argument| argument.value(facts)),
            Self::If => {
                return match arguments.first()?.truth(facts) {
                    Truth::True => arguments.get(1)?.value(facts),
                    Truth::False => arguments.get(2)?.value(facts),
                    Truth::Unknown => None,
                };
            }
            Self::Abs => Value::number(number(0)?.abs())?,
            Self::Ceil => Value::number(number(0)?.ceil())?,
            Self::Floor => Value::number(number(0)?.floor())?,
            Self::Log => Value::number(number(0)?.ln())?,
            Self::Sqrt => Value::number(number(0)?.sqrt())?,
            Self::Round => {
                let decimals = if arguments.len() > 1 { number(1)? } else { 0.0 };
                let scale = 10_f64.powi(decimals as i32);
                Value::number((number(0)? * scale).round() / scale)?
            }
            Self::Max | Self::Min => {
                let mut best = number(0)?;
                for i in 1..arguments.len() {
                    let other = number(i)?;
                    best = if self == Self::Max { best.max(other) } else { best.min(other) };
                }
                Value::number(best)?
            }
            Self::Length => Value::number(text(0)?.chars().count() as f64)?,
            Self::Lower => Value::Text(text(0)?.to_lowercase()),
            Self::Contains => Value::Flag(text(0)?.contains(&text(1)?)),
            Self::StartsWith => Value::Flag(text(0)?.starts_with(&text(1)?)),
            Self::Day | Self::Hour | Self::Month | Self::Weekday => {
                let Some(Term::Literal(Value::Text(zone))) = arguments.first() else { return None };
                let at = jiff::Timestamp::from_microsecond(facts.at()?.micros()).ok()?;
                let local = at.in_tz(zone).ok()?;
                let n = match self {
                    Self::Day => local.day(),
                    Self::Hour => local.hour(),
                    Self::Month => local.month(),
                    _ => local.weekday().to_monday_one_offset(),
                };
                Value::Number(f64::from(n))
            }
        };
        Some(Cow::Owned(value))
    }

    /// What it says, by what its arguments are.
    pub(super) fn kind(self, arguments: &[Option<Kind>]) -> Result<Option<Kind>, String> {
        let all = |wanted: Kind| match arguments.iter().flatten().find(|kind| **kind != wanted) {
            Some(found) => Err(format!(
                "gives `{}` {}, where it takes {}",
                self.as_str(),
                found.as_str(),
                wanted.as_str()
            )),
            None => Ok(()),
        };
        Ok(match self {
            Self::Coalesce => same(self, arguments)?,
            Self::If => {
                if let Some(Some(kind)) = arguments.first()
                    && *kind != Kind::Flag
                {
                    return Err(format!("asks `if` of {}, not of a condition", kind.as_str()));
                }
                same(self, arguments.get(1..).unwrap_or_default())?
            }
            Self::Abs
            | Self::Ceil
            | Self::Floor
            | Self::Log
            | Self::Max
            | Self::Min
            | Self::Round
            | Self::Sqrt => {
                all(Kind::Number)?;
                Some(Kind::Number)
            }
            Self::Length => {
                all(Kind::Text)?;
                Some(Kind::Number)
            }
            Self::Lower => {
                all(Kind::Text)?;
                Some(Kind::Text)
            }
            Self::Contains | Self::StartsWith => {
                all(Kind::Text)?;
                Some(Kind::Flag)
            }
            Self::Day | Self::Hour | Self::Month | Self::Weekday => Some(Kind::Number),
        })
    }
}

fn same(function: Function, kinds: &[Option<Kind>]) -> Result<Option<Kind>, String> {
    let first = kinds.iter().flatten().next().copied();
    match kinds.iter().flatten().find(|kind| Some(**kind) != first) {
        None => Ok(first),
        Some(other) => Err(format!(
            "lets `{}` say {} or {}: it should be one of them",
            function.as_str(),
            first.map_or("", Kind::as_str),
            other.as_str()
        )),
    }
}
