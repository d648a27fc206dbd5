//! Which parts of a raw document lie open, which are sealed, and how they become one again.
//!
//! Declared personal parts are sealed one by one; what nobody declared is sealed together, because nobody
//! knows what is in it; the rest lies open. The decision is made once per contract, not per record.

use serde_json::{Map, Value};

use crate::Pointer;
use crate::model::{Field, Kind};

/// What a record of the contract looks like to the one who seals it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape(Members);

#[derive(Clone, Debug)]
enum Part {
    /// Lies open as a whole.
    Open,
    /// Is sealed as a whole under this pointer.
    Sealed(String),
    /// An object: each member by its own part.
    Members(Members),
    /// A list of objects whose declared members all lie open.
    Items(Members),
}

#[derive(Clone, Debug, Default)]
struct Members {
    /// Sorted by name.
    parts: Vec<(Box<str>, Part)>,
    /// True where members that are not named lie open too.
    others_open: bool,
}

/// A raw document, taken apart for storing.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// What lies open.
    pub open: Value,
    /// What is sealed: JSON pointer and value, in a fixed order. The pointer `""` is an object of all that
    /// no contract declares.
    pub sealed: Vec<(String, Value)>,
}

impl Shape {
    pub(crate) fn new(fields: &[Field]) -> Self {
        let mut root = Members::default();
        for field in fields {
            let parts: Vec<&str> = field.source.parts().collect();
            insert(&mut root, &parts, part_of(field, &field.source), &Pointer::default());
        }
        Self(root)
    }

    pub(crate) fn split(&self, raw: Value) -> Split {
        let mut sealed = Vec::new();
        let Value::Object(members) = raw else {
            return Split { open: Value::Null, sealed: vec![(String::new(), raw)] };
        };
        let (open, rest) = split_members(members, &self.0, &mut sealed);
        if !rest.is_empty() {
            sealed.push((String::new(), Value::Object(rest)));
        }
        Split { open: Value::Object(open), sealed }
    }

    pub(crate) fn sealed_pointers(&self) -> Vec<String> {
        let mut out = Vec::new();
        collect_sealed(&self.0, &mut out);
        out
    }
}

fn collect_sealed(members: &Members, out: &mut Vec<String>) {
    for (_, part) in &members.parts {
        match part {
            Part::Sealed(pointer) => out.push(pointer.clone()),
            Part::Members(inner) => collect_sealed(inner, out),
            Part::Open | Part::Items(_) => {}
        }
    }
}

fn part_of(field: &Field, pointer: &Pointer) -> Part {
    if field.effective.is_sealed() {
        return Part::Sealed(pointer.to_string());
    }
    match &field.kind {
        Kind::Object(fields) if !fields.is_empty() => {
            let mut members = Members::default();
            for inner in fields {
                let parts: Vec<&str> = inner.source.parts().collect();
                insert(&mut members, &parts, part_of(inner, &pointer.join(&inner.source)), pointer);
            }
            Part::Members(members)
        }
        // A pointer into a list would move when the list changes, so a list is sealed as a whole.
        Kind::Array(Some(item)) => match part_of(item, pointer) {
            Part::Members(members) if has_sealed(&members) => Part::Sealed(pointer.to_string()),
            Part::Members(members) => Part::Items(members),
            Part::Items(_) => Part::Open,
            part => part,
        },
        _ => Part::Open,
    }
}

fn has_sealed(members: &Members) -> bool {
    members.parts.iter().any(|(_, part)| match part {
        Part::Sealed(_) => true,
        Part::Members(inner) | Part::Items(inner) => has_sealed(inner),
        Part::Open => false,
    })
}

/// Two fields may share a place or lie inside each other: the stricter wins.
fn insert(members: &mut Members, path: &[&str], part: Part, prefix: &Pointer) {
    let Some((first, rest)) = path.split_first() else { return };
    let here = prefix.join(&Pointer::new(&format!("/{}", first.replace('~', "~0").replace('/', "~1"))));
    let at = members.parts.binary_search_by(|(name, _)| name.as_ref().cmp(first));
    let new = if rest.is_empty() {
        part
    } else {
        let mut inner = Members::default();
        insert(&mut inner, rest, part, &here);
        Part::Members(inner)
    };
    match at {
        Err(place) => members.parts.insert(place, ((*first).into(), new)),
        Ok(place) => {
            if let Some((_, old)) = members.parts.get_mut(place) {
                let merged = merge(std::mem::replace(old, Part::Open), new, &here);
                *old = merged;
            }
        }
    }
}

fn merge(a: Part, b: Part, pointer: &Pointer) -> Part {
    match (a, b) {
        (Part::Sealed(p), _) | (_, Part::Sealed(p)) => {
            // The outer of two sealed pointers, where one lies inside the other.
            let here = pointer.to_string();
            Part::Sealed(if p.len() < here.len() { p } else { here })
        }
        (Part::Open, Part::Open) => Part::Open,
        (Part::Open, Part::Members(mut m)) | (Part::Members(mut m), Part::Open) => {
            m.others_open = true;
            Part::Members(m)
        }
        (Part::Members(mut a), Part::Members(b)) => {
            a.others_open |= b.others_open;
            for (name, part) in b.parts {
                let inner =
                    pointer.join(&Pointer::new(&format!("/{}", name.replace('~', "~0").replace('/', "~1"))));
                match a.parts.binary_search_by(|(n, _)| n.cmp(&name)) {
                    Err(place) => a.parts.insert(place, (name, part)),
                    Ok(place) => {
                        if let Some((_, old)) = a.parts.get_mut(place) {
                            let merged = merge(std::mem::replace(old, Part::Open), part, &inner);
                            *old = merged;
                        }
                    }
                }
            }
            Part::Members(a)
        }
        (Part::Items(a), Part::Open) | (Part::Open, Part::Items(a)) => {
            drop(a);
            Part::Open
        }
        (Part::Items(_), _) | (_, Part::Items(_)) => Part::Sealed(pointer.to_string()),
    }
}

/// (what lies open, what nobody declared)
fn split_members(
    members: Map<String, Value>,
    shape: &Members,
    sealed: &mut Vec<(String, Value)>,
) -> (Map<String, Value>, Map<String, Value>) {
    let (mut open, mut rest) = (Map::new(), Map::new());
    for (name, value) in members {
        let part = shape.parts.binary_search_by(|(n, _)| n.as_ref().cmp(name.as_str())).ok();
        match (part.and_then(|i| shape.parts.get(i)).map(|(_, part)| part), value) {
            (None, value) => {
                if shape.others_open {
                    open.insert(name, value)
                } else {
                    rest.insert(name, value)
                };
            }
            (Some(Part::Open), value) => {
                open.insert(name, value);
            }
            (Some(Part::Sealed(pointer)), value) => sealed.push((pointer.clone(), value)),
            (Some(Part::Members(inner)), Value::Object(members)) => {
                let was_empty = members.is_empty();
                let (inner_open, inner_rest) = split_members(members, inner, sealed);
                if was_empty || !inner_open.is_empty() {
                    open.insert(name.clone(), Value::Object(inner_open));
                }
                if !inner_rest.is_empty() {
                    rest.insert(name, Value::Object(inner_rest));
                }
            }
            (Some(Part::Items(inner)), Value::Array(items)) => match project(&items, inner) {
                // Somebody sent more than is declared: the declared part lies open, the whole is sealed.
                Some(declared) => {
                    open.insert(name.clone(), declared);
                    rest.insert(name, Value::Array(items));
                }
                None => {
                    open.insert(name, Value::Array(items));
                }
            },
            // Not what is declared: nobody knows what is in it.
            (Some(Part::Members(_) | Part::Items(_)), value) => {
                rest.insert(name, value);
            }
        }
    }
    (open, rest)
}

/// The declared part of a list; `None` where that is all of it.
fn project(items: &[Value], shape: &Members) -> Option<Value> {
    let mut nothing = Vec::new();
    let mut cut = false;
    let declared = items
        .iter()
        .map(|item| match item {
            Value::Object(members) => {
                let (open, rest) = split_members(members.clone(), shape, &mut nothing);
                cut |= !rest.is_empty();
                Value::Object(open)
            }
            Value::Null => Value::Null,
            _ => {
                cut = true;
                Value::Null
            }
        })
        .collect();
    cut.then_some(declared)
}

/// Puts a document together again from what lies open and those sealed parts that could be opened.
pub fn join(open: Value, sealed: impl IntoIterator<Item = (String, Value)>) -> Value {
    let mut out = open;
    let mut rest = Vec::new();
    for (pointer, value) in sealed {
        if pointer.is_empty() { rest.push(value) } else { put(&mut out, &Pointer::new(&pointer), value) }
    }
    for value in rest {
        merge_values(&mut out, value);
    }
    out
}

fn put(into: &mut Value, pointer: &Pointer, value: Value) {
    let mut at = into;
    for part in pointer.parts() {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(members) = at else { return };
        at = members.entry(part).or_insert(Value::Null);
    }
    *at = value;
}

fn merge_values(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                match into.get_mut(&name) {
                    Some(old) => merge_values(old, value),
                    None => {
                        into.insert(name, value);
                    }
                }
            }
        }
        (into, from) => *into = from,
    }
}
