//! An expression in the one way it is written; it can be read again.

use std::fmt::{self, Display as _};

use super::{Comparison, Expr, Name, Sign, Term, Value, is_plain_name};

impl Comparison {
    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }
}

impl Sign {
    fn as_str(self) -> &'static str {
        match self {
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Times => "*",
            Self::Over => "/",
        }
    }
}

impl Term {
    /// How tightly it binds: what binds less than its surroundings goes in brackets.
    fn tightness(&self) -> u8 {
        match self {
            Self::Or(_) => 0,
            Self::And(_) => 1,
            Self::Compare(..) | Self::In(..) | Self::Missing(..) => 2,
            Self::Arithmetic(_, Sign::Plus | Sign::Minus, _) => 3,
            Self::Arithmetic(_, Sign::Times | Sign::Over, _) => 4,
            Self::Not(_) => 2,
            Self::Negative(_) | Self::Call(..) | Self::Consent(_) | Self::Name(_) | Self::Literal(_) => 5,
        }
    }
}

/// A part in brackets where it binds less than `least`.
fn part(term: &Term, least: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if term.tightness() < least { write!(f, "({term})") } else { term.fmt(f) }
}

fn list<T>(
    items: &[T],
    between: &str,
    f: &mut fmt::Formatter<'_>,
    write: impl Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            f.write_str(between)?;
        }
        write(item, f)?;
    }
    Ok(())
}

/// A literal as it is read again.
fn literal(value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Text(text) if text.contains('\'') => write!(f, "\"{text}\""),
        Value::Text(text) => write!(f, "'{text}'"),
        other => fmt::Display::fmt(other, f),
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_plain_name(&self.name) { f.write_str(&self.name) } else { write!(f, "`{}`", self.name) }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => list(parts, " and ", f, |term, f| part(term, 2, f)),
            Self::Or(parts) => list(parts, " or ", f, |term, f| part(term, 2, f)),
            Self::Not(term) => write!(f, "not ({term})"),
            Self::Compare(left, comparison, right) => {
                part(left, 3, f)?;
                write!(f, " {} ", comparison.as_str())?;
                part(right, 3, f)
            }
            Self::In(term, wanted, values) => {
                part(term, 3, f)?;
                write!(f, " {}in [", if *wanted { "" } else { "not " })?;
                list(values, ", ", f, literal)?;
                f.write_str("]")
            }
            Self::Missing(term, wanted) => {
                part(term, 3, f)?;
                write!(f, " is {}missing", if *wanted { "" } else { "not " })
            }
            Self::Consent(purpose) => write!(f, "consent('{purpose}')"),
            Self::Arithmetic(left, sign, right) => {
                let own = self.tightness();
                part(left, own, f)?;
                write!(f, " {} ", sign.as_str())?;
                part(right, own + 1, f)
            }
            Self::Negative(term) => write!(f, "-({term})"),
            Self::Call(function, arguments) => {
                write!(f, "{}(", function.as_str())?;
                list(arguments, ", ", f, |term, f| term.fmt(f))?;
                f.write_str(")")
            }
            Self::Name(name) => name.fmt(f),
            Self::Literal(value) => literal(value, f),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
