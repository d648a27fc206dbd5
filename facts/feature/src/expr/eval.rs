//! What an expression says of facts.

use std::borrow::Cow;

use super::{Comparison, Facts, Sign, Term, Truth, Value};

impl Term {
    /// Whether it holds: only the flag `true` does.
    pub(super) fn truth(&self, facts: &dyn Facts) -> Truth {
        match self {
            Self::And(parts) => {
                let mut all = Truth::True;
                for part in parts {
                    match part.truth(facts) {
                        Truth::False => return Truth::False,
                        Truth::Unknown => all = Truth::Unknown,
                        Truth::True => {}
                    }
                }
                all
            }
            Self::Or(parts) => {
                let mut any = Truth::False;
                for part in parts {
                    match part.truth(facts) {
                        Truth::True => return Truth::True,
                        Truth::Unknown => any = Truth::Unknown,
                        Truth::False => {}
                    }
                }
                any
            }
            Self::Not(part) => match part.truth(facts) {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                Truth::Unknown => Truth::Unknown,
            },
            Self::Compare(left, comparison, right) => {
                compare(left.value(facts), *comparison, right.value(facts))
            }
            Self::In(part, wanted, values) => match part.value(facts) {
                None => Truth::Unknown,
                Some(found) => truth(values.contains(&found) == *wanted),
            },
            Self::Missing(part, wanted) => truth(part.value(facts).is_none() == *wanted),
            Self::Consent(purpose) => truth(facts.consent(purpose)),
            Self::Arithmetic(..) | Self::Negative(_) | Self::Call(..) | Self::Name(_) | Self::Literal(_) => {
                match self.value(facts).as_deref() {
                    Some(Value::Flag(flag)) => truth(*flag),
                    _ => Truth::Unknown,
                }
            }
        }
    }

    /// What it says; `None`: missing or unknown.
    pub(super) fn value<'a>(&'a self, facts: &'a dyn Facts) -> Option<Cow<'a, Value>> {
        match self {
            Self::Name(name) => facts.value(name.slot).map(Cow::Borrowed),
            Self::Literal(value) => Some(Cow::Borrowed(value)),
            Self::Negative(part) => Value::number(-part.number(facts)?).map(Cow::Owned),
            Self::Arithmetic(left, sign, right) => {
                let (left, right) = (left.number(facts)?, right.number(facts)?);
                // What is not finite is missing: a division by 0 above all.
                Value::number(match sign {
                    Sign::Plus => left + right,
                    Sign::Minus => left - right,
                    Sign::Times => left * right,
                    Sign::Over => left / right,
                })
                .map(Cow::Owned)
            }
            Self::Call(function, arguments) => function.value(arguments, facts),
            _ => match self.truth(facts) {
                Truth::True => Some(Cow::Owned(Value::Flag(true))),
                Truth::False => Some(Cow::Owned(Value::Flag(false))),
                Truth::Unknown => None,
            },
        }
    }

    pub(super) fn number(&self, facts: &dyn Facts) -> Option<f64> {
        self.value(facts)?.as_number()
    }
}

fn truth(holds: bool) -> Truth {
    if holds { Truth::True } else { Truth::False }
}

fn compare(left: Option<Cow<'_, Value>>, comparison: Comparison, right: Option<Cow<'_, Value>>) -> Truth {
    let (Some(left), Some(right)) = (left, right) else { return Truth::Unknown };
    let order = match (&*left, &*right) {
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Flag(left), Value::Flag(right)) => Some(left.cmp(right)),
        _ => None,
    };
    order.map_or(Truth::Unknown, |order| {
        truth(match comparison {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::AtMost => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::AtLeast => order.is_ge(),
        })
    })
}
