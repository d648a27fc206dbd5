//! What a request says of its moment, for features that are computed then.

use std::collections::BTreeMap;

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

/// What a request says, by name. Names that a view does not declare are not looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context(BTreeMap<String, Value>);

impl Context {
    /// The values of a JSON object; null, lists and objects count as missing.
    pub fn of_json<'v>(values: impl IntoIterator<Item = (&'v String, &'v serde_json::Value)>) -> Self {
        let known = |(name, value): (&String, _)| Some((name.clone(), Value::of_json(value)?));
        Self(values.into_iter().filter_map(known).collect())
    }

    /// Says one value more.
    pub fn insert(&mut self, name: impl Into<String>, value: Value) {
        self.0.insert(name.into(), value);
    }
}

impl View {
    /// What requests say for its features.
    pub fn context(&self) -> &[ContextField] {
        &self.inner().context
    }

    /// The declared values, in their order.
    ///
    /// # Errors
    /// [`Error::Context`] where one is of another kind.
    pub(crate) fn said(&self, context: &Context) -> Result<Vec<Option<Value>>, Error> {
        let said = |field: &ContextField| match context.0.get(&field.name) {
            Some(value) if value.kind() != field.kind => Err(Error::Context {
                view: self.reference(),
                name: field.name.clone(),
                value: value.to_string(),
                expected: field.kind.as_str(),
            }),
            value => Ok(value.cloned()),
        };
        self.context().iter().map(said).collect()
    }

    /// The same from a record of the past: what is of another kind is missing, for no request could have said it.
    pub(crate) fn said_then(&self, context: &Context) -> Vec<Option<Value>> {
        let fits =
            |field: &ContextField| context.0.get(&field.name).filter(|value| value.kind() == field.kind);
        self.context().iter().map(|field| fits(field).cloned()).collect()
    }
}
