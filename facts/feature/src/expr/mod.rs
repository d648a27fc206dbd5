//! The one expression language: what is eligible, who is in a segment, what a request-time feature says.
//!
//! ```text
//! orders_30d >= 1 and country in ['DE', 'AT'] and not (churned or age is missing)
//! consent('email_marketing') and total_value_1y > 50.5
//! if(orders_90d > 0, basket / (spent_90d / orders_90d), 1)
//! hour('Europe/Berlin') >= 8 and weekday('Europe/Berlin') <= 5
//! ```
//! `*` and `/` bind tighter than `+` and `-`, these tighter than comparisons, then `not`, `and`, `or`. Whatever is
//! made from a missing value is missing, and so is what cannot be computed (a division by 0, a sum of texts, a
//! comparison of things that do not compare): a condition is then neither true nor false but unknown, and unknown is
//! not true (what is not known is not allowed).
//!
//! This room knows no features, no people and no use cases: names are places that the caller gave them.

mod eval;
mod function;
mod kind;
mod parse;
mod parts;
mod print;
mod scan;
mod value;

use event::Instant;
use serde::{Serialize, Serializer};

use function::Function;
pub use parse::{Problem, parse};
pub use parts::Parts;
pub use scan::is_plain_name;
pub use value::{Kind, Observed, Value};

/// An expression that has been read.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr(Term);

#[derive(Clone, Debug, PartialEq)]
enum Term {
    And(Vec<Term>),
    Or(Vec<Term>),
    Not(Box<Term>),
    Compare(Box<Term>, Comparison, Box<Term>),
    In(Box<Term>, bool, Vec<Value>),
    Missing(Box<Term>, bool),
    Consent(String),
    Arithmetic(Box<Term>, Sign, Box<Term>),
    Negative(Box<Term>),
    Call(Function, Vec<Term>),
    Name(Name),
    Literal(Value),
}

/// A declared input: its place in the caller's list and its name.
#[derive(Clone, Debug, PartialEq)]
struct Name {
    slot: usize,
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
    Times,
    Over,
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
    /// The value of the input at this place of the caller's list.
    fn value(&self, slot: usize) -> Option<&Value>;
    /// Whether this purpose is allowed.
    fn consent(&self, purpose: &str) -> bool;
    /// The moment it is asked for; `None`: what the clock says is missing.
    fn at(&self) -> Option<Instant> {
        None
    }
}

/// Why an expression is not true.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The part that decided it.
    pub condition: String,
    /// The values it looked at.
    pub observed: Vec<Observed>,
}

impl Expr {
    /// Whether it holds.
    pub fn eval(&self, facts: &dyn Facts) -> Truth {
        self.0.truth(facts)
    }

    /// What it says; `None`: missing.
    pub fn value(&self, facts: &dyn Facts) -> Option<Value> {
        self.0.value(facts).map(std::borrow::Cow::into_owned)
    }

    /// The smallest part that keeps it from being true; `None` where it is.
    pub fn failure(&self, facts: &dyn Facts) -> Option<Failure> {
        if self.eval(facts) == Truth::True {
            return None;
        }
        let mut term = &self.0;
        while let Term::And(parts) = term {
            // A part that is false says more than one that is unknown.
            let failing = |truth| parts.iter().find(|part| part.truth(facts) == truth);
            let Some(part) = failing(Truth::False).or_else(|| failing(Truth::Unknown)) else { break };
            term = part;
        }
        let mut observed = Vec::new();
        term.visit(&mut |part| {
            if let Term::Name(name) = part
                && !observed.iter().any(|o: &Observed| o.name == name.name)
            {
                observed.push(Observed { name: name.name.clone(), value: facts.value(name.slot).cloned() });
            }
        });
        Some(Failure { condition: term.to_string(), observed })
    }

    /// What its values are, where names are of these kinds; `Ok(None)` where only the values can tell.
    ///
    /// # Errors
    /// What can never be computed, in words.
    pub fn kind(&self, of: &dyn Fn(usize) -> Option<Kind>) -> Result<Option<Kind>, String> {
        self.0.kind(of)
    }

    /// The names it looks at with their places, each once, as they come.
    pub fn names(&self) -> Vec<(usize, &str)> {
        let mut out: Vec<(usize, &str)> = Vec::new();
        self.0.visit(&mut |part| {
            if let Term::Name(name) = part
                && !out.iter().any(|(slot, _)| *slot == name.slot)
            {
                out.push((name.slot, &name.name));
            }
        });
        out
    }

    /// The purposes whose consent it asks for.
    pub fn purposes(&self) -> Vec<&str> {
        let mut out = Vec::new();
        self.0.visit(&mut |part| {
            if let Term::Consent(purpose) = part {
                out.push(purpose.as_str());
            }
        });
        out
    }

    /// True where it asks what time it is.
    pub fn asks_the_clock(&self) -> bool {
        let mut asks = false;
        self.0.visit(&mut |part| {
            asks |= matches!(part, Term::Call(function, _) if function.asks_the_clock());
        });
        asks
    }
}

impl Term {
    /// Sees every part.
    fn visit<'t>(&'t self, see: &mut dyn FnMut(&'t Term)) {
        see(self);
        match self {
            Self::And(parts) | Self::Or(parts) | Self::Call(_, parts) => {
                parts.iter().for_each(|part| part.visit(see));
            }
            Self::Compare(left, _, right) | Self::Arithmetic(left, _, right) => {
                left.visit(see);
                right.visit(see);
            }
            Self::Not(part) | Self::In(part, ..) | Self::Missing(part, _) | Self::Negative(part) => {
                part.visit(see);
            }
            Self::Consent(_) | Self::Name(_) | Self::Literal(_) => {}
        }
    }
}

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A text as a message quotes it: at most 64 characters, and none that would hide what it is.
fn short(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == 64 {
            out.push('…');
            break;
        }
        let hides = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || hides { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}
