//! Eligibility: a condition over inputs and consents, checked before anything is scored.
//!
//! ```text
//! orders_30d >= 1 and country in ['DE', 'AT'] and not (churned or age is missing)
//! consent('email_marketing') and total_value_1y > 50.5
//! ```
//! `not` binds tighter than `and`, `and` tighter than `or`. A comparison with a missing value, or of things
//! that do not compare, is neither true nor false but unknown, and unknown is not eligible (LAW 7's spirit:
//! what is not known is not allowed).

use std::fmt;

use serde::{Serialize, Serializer};

use crate::value::{Observed, Value};

/// A condition that has been read.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr(pub(crate) Term);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    And(Vec<Term>),
    Or(Vec<Term>),
    Not(Box<Term>),
    Compare(Operand, Comparison, Operand),
    In(Operand, bool, Vec<Value>),
    Missing(Name, bool),
    Consent(String),
    /// A name or a literal that stands for itself: true where it is the flag `true`.
    Holds(Operand),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Name(Name),
    Literal(Value),
}

/// A declared input: its place in the use case's list and its name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Name {
    pub(crate) slot: usize,
    pub(crate) name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// True, false, or not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// A value is missing or does not compare.
    Unknown,
}

/// What an expression may look at.
pub trait Facts {
    /// The value of the input at this place of the use case's list.
    fn value(&self, slot: usize) -> Option<&Value>;
    /// Whether this purpose is allowed.
    fn consent(&self, purpose: &str) -> bool;
}

/// Why an expression is not true.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    /// The part that decided it.
    pub(crate) condition: String,
    /// The values it looked at.
    pub(crate) observed: Vec<Observed>,
}

impl Expr {
    /// Whether it holds.
    pub fn eval(&self, facts: &dyn Facts) -> Truth {
        self.0.eval(facts)
    }

    /// The smallest part that keeps it from being true; `None` where it is.
    pub(crate) fn failure(&self, facts: &dyn Facts) -> Option<Failure> {
        if self.eval(facts) == Truth::True {
            return None;
        }
        let mut term = &self.0;
        while let Term::And(parts) = term {
            // A part that is false says more than one that is unknown.
            let failing = |truth| parts.iter().find(|part| part.eval(facts) == truth);
            let Some(part) = failing(Truth::False).or_else(|| failing(Truth::Unknown)) else { break };
            term = part;
        }
        let mut observed = Vec::new();
        term.visit(&mut |name| {
            if !observed.iter().any(|o: &Observed| o.name == name.name) {
                observed.push(Observed { name: name.name.clone(), value: facts.value(name.slot).cloned() });
            }
        });
        Some(Failure { condition: term.to_string(), observed })
    }

    /// The purposes whose consent it asks for.
    pub fn purposes(&self) -> Vec<&str> {
        fn walk<'a>(term: &'a Term, out: &mut Vec<&'a str>) {
            match term {
                Term::Consent(purpose) => out.push(purpose),
                Term::And(parts) | Term::Or(parts) => parts.iter().for_each(|part| walk(part, out)),
                Term::Not(part) => walk(part, out),
                Term::Compare(..) | Term::In(..) | Term::Missing(..) | Term::Holds(_) => {}
            }
        }
        let mut out = Vec::new();
        walk(&self.0, &mut out);
        out
    }
}

impl Term {
    fn eval(&self, facts: &dyn Facts) -> Truth {
        match self {
            Term::And(parts) => {
                let mut all = Truth::True;
                for part in parts {
                    match part.eval(facts) {
                        Truth::False => return Truth::False,
                        Truth::Unknown => all = Truth::Unknown,
                        Truth::True => {}
                    }
                }
                all
            }
            Term::Or(parts) => {
                let mut any = Truth::False;
                for part in parts {
                    match part.eval(facts) {
                        Truth::True => return Truth::True,
                        Truth::Unknown => any = Truth::Unknown,
                        Truth::False => {}
                    }
                }
                any
            }
            Term::Not(part) => match part.eval(facts) {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                Truth::Unknown => Truth::Unknown,
            },
            Term::Compare(left, comparison, right) => {
                compare(left.value(facts), *comparison, right.value(facts))
            }
            Term::In(left, wanted, values) => match left.value(facts) {
                None => Truth::Unknown,
                Some(left) => truth(values.contains(left) == *wanted),
            },
            Term::Missing(name, wanted) => truth(facts.value(name.slot).is_none() == *wanted),
            Term::Consent(purpose) => truth(facts.consent(purpose)),
            Term::Holds(operand) => match operand.value(facts) {
                Some(Value::Flag(flag)) => truth(*flag),
                _ => Truth::Unknown,
            },
        }
    }

    fn visit(&self, see: &mut dyn FnMut(&Name)) {
        let mut operand = |operand: &Operand| {
            if let Operand::Name(name) = operand {
                see(name);
            }
        };
        match self {
            Term::And(parts) | Term::Or(parts) => parts.iter().for_each(|part| part.visit(see)),
            Term::Not(part) => part.visit(see),
            Term::Compare(left, _, right) => {
                operand(left);
                operand(right);
            }
            Term::In(left, ..) | Term::Holds(left) => operand(left),
            Term::Missing(name, _) => see(name),
            Term::Consent(_) => {}
        }
    }
}

fn truth(holds: bool) -> Truth {
    if holds { Truth::True } else { Truth::False }
}

fn compare(left: Option<&Value>, comparison: Comparison, right: Option<&Value>) -> Truth {
    let (Some(left), Some(right)) = (left, right) else { return Truth::Unknown };
    let order = match (left, right) {
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

impl Operand {
    fn value<'a>(&'a self, facts: &'a dyn Facts) -> Option<&'a Value> {
        match self {
            Operand::Name(name) => facts.value(name.slot),
            Operand::Literal(value) => Some(value),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Name(name) => name.fmt(f),
            Operand::Literal(value) => literal(value, f),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if crate::parse_expr::is_plain_name(&self.name) {
            f.write_str(&self.name)
        } else {
            write!(f, "`{}`", self.name)
        }
    }
}

/// A literal as it is read again.
fn literal(value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Text(text) if text.contains('\'') => write!(f, "\"{text}\""),
        Value::Text(text) => write!(f, "'{text}'"),
        other => fmt::Display::fmt(other, f),
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Term], word: &str| {
            for (n, part) in parts.iter().enumerate() {
                if n > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Term::And(_) | Term::Or(_) => write!(f, "({part})")?,
                    _ => part.fmt(f)?,
                }
            }
            Ok(())
        };
        match self {
            Term::And(parts) => joined(f, parts, "and"),
            Term::Or(parts) => joined(f, parts, "or"),
            Term::Not(part) => write!(f, "not ({part})"),
            Term::Compare(left, comparison, right) => {
                let sign = match comparison {
                    Comparison::Equal => "=",
                    Comparison::NotEqual => "!=",
                    Comparison::Less => "<",
                    Comparison::AtMost => "<=",
                    Comparison::Greater => ">",
                    Comparison::AtLeast => ">=",
                };
                write!(f, "{left} {sign} {right}")
            }
            Term::In(left, wanted, values) => {
                write!(f, "{left} {}in [", if *wanted { "" } else { "not " })?;
                for (n, value) in values.iter().enumerate() {
                    if n > 0 {
                        f.write_str(", ")?;
                    }
                    literal(value, f)?;
                }
                f.write_str("]")
            }
            Term::Missing(name, wanted) => {
                write!(f, "{name} is {}missing", if *wanted { "" } else { "not " })
            }
            Term::Consent(purpose) => write!(f, "consent('{purpose}')"),
            Term::Holds(operand) => operand.fmt(f),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
