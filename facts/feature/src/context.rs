//! What a request says of its moment, for features that are computed then.

use std::collections::{BTreeMap, BTreeSet};

use crate::expr::{Kind, Value};
use crate::{Error, View};

/// A value that requests say, as a view declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct ContextField {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) description: Option<String>,
}

impl ContextField {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it means, for people.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }
}

/// What begins the name of a segment in an expression.
pub const SEGMENT: &str = "segment.";

/// What a request says, by name, and to which segments the person belongs. Names that a view does not declare are not
/// looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    said: BTreeMap<String, Value>,
    segments: BTreeMap<String, bool>,
    is_partial: bool,
}

impl Context {
    /// The values of a JSON object; null, lists and objects count as missing.
    pub fn of_json<'v>(values: impl IntoIterator<Item = (&'v String, &'v serde_json::Value)>) -> Self {
        let known = |(name, value): (&String, _)| Some((name.clone(), Value::of_json(value)?));
        Self { said: values.into_iter().filter_map(known).collect(), ..Self::default() }
    }

    /// Says one value more.
    pub fn insert(&mut self, name: impl Into<String>, value: Value) {
        self.said.insert(name.into(), value);
    }

    /// With what is so of segments, by their names, at the instant that is asked for.
    #[must_use]
    pub fn with_segments(mut self, segments: &BTreeMap<String, bool>) -> Self {
        self.segments.extend(segments.iter().map(|(name, holds)| (name.clone(), *holds)));
        self
    }

    /// For whoever looks at none of the features that need another segment: those are then missing and no error.
    #[must_use]
    pub fn partial(mut self) -> Self {
        self.is_partial = true;
        self
    }
}

impl View {
    /// What requests say for its features.
    pub fn context(&self) -> &[ContextField] {
        &self.inner().context
    }

    /// The segments that its features ask for, by name, in the order of their places.
    pub fn segments(&self) -> &[String] {
        &self.inner().segments
    }

    /// The segments that one feature asks for, also by way of others.
    pub fn segments_of(&self, feature: &str) -> BTreeSet<&str> {
        let (mut found, mut open) = (BTreeSet::new(), vec![feature.to_owned()]);
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let Some(reads) = self.reads(&name) else { continue };
            open.extend(reads.features);
            let known = self.segments().iter().filter(|segment| reads.segments.contains(segment));
            found.extend(known.map(String::as_str));
        }
        found
    }

    /// The declared values, in their order, then what is so of segments.
    ///
    /// # Errors
    /// [`Error::Context`] where one is of another kind; [`Error::Segment`] where nobody has said what is so of a segment.
    pub(crate) fn said(&self, context: &Context) -> Result<Vec<Option<Value>>, Error> {
        let said = |field: &ContextField| match context.said.get(&field.name) {
            Some(value) if value.kind() != field.kind => Err(Error::Context {
                view: self.reference(),
                name: field.name.clone(),
                value: value.to_string(),
                expected: field.kind.as_str(),
            }),
            value => Ok(value.cloned()),
        };
        let said = self.context().iter().map(said);
        said.chain(self.segments().iter().map(|name| self.so(name, context))).collect()
    }

    /// The same from a record of the past: what is of another kind is missing, for no request could have said it.
    ///
    /// # Errors
    /// [`Error::Segment`]
    pub(crate) fn said_then(&self, context: &Context) -> Result<Vec<Option<Value>>, Error> {
        let fits =
            |field: &ContextField| context.said.get(&field.name).filter(|value| value.kind() == field.kind);
        let said = self.context().iter().map(|field| Ok(fits(field).cloned()));
        said.chain(self.segments().iter().map(|name| self.so(name, context))).collect()
    }

    fn so(&self, segment: &str, context: &Context) -> Result<Option<Value>, Error> {
        match context.segments.get(segment) {
            Some(holds) => Ok(Some(Value::Flag(*holds))),
            None if context.is_partial => Ok(None),
            // LAW 5: a value that nobody computed is no "no".
            None => Err(Error::Segment { view: self.reference(), segment: segment.to_owned() }),
        }
    }
}
