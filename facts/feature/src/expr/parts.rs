//! An expression taken apart at its `and`, `or` and `not`, for whoever answers it for many at once.

use super::{Expr, Term};

/// How an expression is put together.
#[derive(Clone, Debug, PartialEq)]
pub enum Parts {
    /// True where all are, false where one is.
    And(Vec<Expr>),
    /// True where one is, false where all are.
    Or(Vec<Expr>),
    /// True where it is false.
    Not(Box<Expr>),
    /// Neither: it is what it is.
    Whole,
}

impl Expr {
    /// Its parts, with the same names at the same places.
    pub fn parts(&self) -> Parts {
        let expr = |term: &Term| Expr(term.clone());
        match &self.0 {
            Term::And(terms) => Parts::And(terms.iter().map(expr).collect()),
            Term::Or(terms) => Parts::Or(terms.iter().map(expr).collect()),
            Term::Not(term) => Parts::Not(Box::new(expr(term))),
            _ => Parts::Whole,
        }
    }
}
