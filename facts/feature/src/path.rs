//! Fields of bound records, found once and followed often.

use contract::{Contract, Field, Kind};
use serde_json::Value;

/// The way to a field from a bound record's root, through objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldPath {
    parts: Box<[Box<str>]>,
}

impl FieldPath {
    /// What lies there.
    #[inline]
    pub(crate) fn follow<'v>(&self, bound: &'v Value) -> Option<&'v Value> {
        self.parts.iter().try_fold(bound, |at, part| at.get(part.as_ref()))
    }

    /// The path in words, as a contract's field is named: `customer.city`.
    pub(crate) fn text(&self) -> String {
        self.parts.join(".")
    }

    /// Finds the field called `text` in a contract: `total`, `customer.city`. A name may contain dots itself: the
    /// longest name that fits wins.
    pub(crate) fn find<'c>(contract: &'c Contract, text: &str) -> Option<(Self, &'c Field)> {
        let (mut fields, mut rest) = (&contract.fields, text);
        let mut parts: Vec<Box<str>> = Vec::new();
        loop {
            if let Some(field) = fields.iter().find(|f| f.name == rest) {
                parts.push(rest.into());
                return Some((Self { parts: parts.into() }, field));
            }
            let (head, tail) = rest.split_once('.')?;
            let field = fields.iter().find(|f| f.name == head)?;
            let Kind::Object(inner) = &field.kind else { return None };
            parts.push(head.into());
            (fields, rest) = (inner, tail);
        }
    }
}
