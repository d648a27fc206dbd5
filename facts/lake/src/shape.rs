//! The shape of documents in a file: which columns, of which types, how nested.

use contract::{Contract, Field, Kind};
use serde_json::{Map, Value};

/// What one cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A text; of anything that is none, its JSON.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A day, `2026-01-31`.
    Date,
    /// A point in time.
    Timestamp,
}

/// A part of a document. Every part may be missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// One value.
    Cell(Cell),
    /// An object with these members, in this order.
    Group(Vec<(String, Shape)>),
    /// A list of such.
    List(Box<Shape>),
}

impl Shape {
    /// The fields of a contract under the contract's names.
    pub fn fields(contract: &Contract) -> Vec<(String, Shape)> {
        contract.fields.iter().map(|field| (field.name.clone(), of(field, false))).collect()
    }

    /// The fields of a contract at the places of the raw document that it reads them from. What [`unbind`] makes of a
    /// bound record has this shape.
    pub fn raw(contract: &Contract) -> Vec<(String, Shape)> {
        members(&contract.fields)
    }
}

fn of(field: &Field, raw: bool) -> Shape {
    match &field.kind {
        Kind::Text | Kind::Any | Kind::Time => Shape::Cell(Cell::Text),
        Kind::Integer => Shape::Cell(Cell::Integer),
        Kind::Number => Shape::Cell(Cell::Number),
        Kind::Boolean => Shape::Cell(Cell::Boolean),
        Kind::Date => Shape::Cell(Cell::Date),
        Kind::Timestamp => Shape::Cell(Cell::Timestamp),
        Kind::Object(inner) if inner.is_empty() => Shape::Cell(Cell::Text),
        Kind::Object(inner) if raw => Shape::Group(members(inner)),
        Kind::Object(inner) => {
            Shape::Group(inner.iter().map(|field| (field.name.clone(), of(field, raw))).collect())
        }
        Kind::Array(None) => Shape::Cell(Cell::Text),
        Kind::Array(Some(item)) => Shape::List(Box::new(of(item, raw))),
    }
}

/// Fields at their places: `/properties/total` and `/properties/id` share a group.
fn members(fields: &[Field]) -> Vec<(String, Shape)> {
    let mut out: Vec<(String, Shape)> = Vec::new();
    for field in fields {
        place(&mut out, &steps(field), of(field, true));
    }
    out
}

/// The steps of a field's place; its own name where it is the whole document.
fn steps(field: &Field) -> Vec<String> {
    let pointer = field.source.to_string();
    let parts: Vec<String> =
        pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    if parts.is_empty() { vec![field.name.clone()] } else { parts }
}

fn place(into: &mut Vec<(String, Shape)>, steps: &[String], shape: Shape) {
    let Some((first, rest)) = steps.split_first() else { return };
    let known = into.iter_mut().find(|(name, _)| name == first);
    match (known, rest.is_empty()) {
        (None, true) => into.push((first.clone(), shape)),
        (None, false) => {
            let mut inner = Vec::new();
            place(&mut inner, rest, shape);
            into.push((first.clone(), Shape::Group(inner)));
        }
        (Some((_, Shape::Group(inner))), false) => place(inner, rest, shape),
        // Two fields read from one place: the first says what lies there.
        (Some(_), _) => {}
    }
}

/// A bound record as its raw document would say it: each field at the place that the contract reads it from.
/// Binding the result gives the record again.
pub fn unbind(contract: &Contract, bound: &Value) -> Value {
    Value::Object(unbound(&contract.fields, bound))
}

fn unbound(fields: &[Field], bound: &Value) -> Map<String, Value> {
    let mut out = Map::new();
    for field in fields {
        let Some(value) = bound.get(&field.name) else { continue };
        let value = match &field.kind {
            Kind::Object(inner) if !inner.is_empty() && value.is_object() => {
                Value::Object(unbound(inner, value))
            }
            Kind::Array(Some(item)) => match (&item.kind, value) {
                (Kind::Object(inner), Value::Array(items)) if !inner.is_empty() => {
                    items.iter().map(|one| Value::Object(unbound(inner, one))).collect()
                }
                _ => value.clone(),
            },
            _ => value.clone(),
        };
        put(&mut out, &steps(field), value);
    }
    out
}

fn put(into: &mut Map<String, Value>, steps: &[String], value: Value) {
    let Some((first, rest)) = steps.split_first() else { return };
    if rest.is_empty() {
        into.entry(first.clone()).or_insert(value);
        return;
    }
    let inner = into.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = inner {
        put(inner, rest, value);
    }
}
