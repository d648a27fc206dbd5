//! YAML with line numbers: a tree in which every node knows where it stands.
//!
//! A file that people write is read from this tree and not by derived types, because unknown keys must become findings
//! with their line and because one wrong key must not hide the others. Use cases are read from it too: there is one
//! reader, with one set of bounds.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::Error;
use crate::finding::quoted;

/// The largest contract file that is read.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// One node and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its line, counted from 1.
    pub line: u32,
    /// The text of a scalar as written, where it was not quoted: `1.10` is not `1.1` for a version.
    pub(crate) written: Option<String>,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Node, Node)>),
}

/// Reads one YAML document. Bombs, depth and size are bounded; a key given twice is an error.
///
/// # Errors
/// [`Error::Yaml`], with the line where it is known.
pub fn parse(yaml: &str, file: &str) -> Result<Node, Error> {
    let unreadable =
        |line: Option<u32>, message: String| Error::Yaml { file: file.to_owned(), line, message };
    if yaml.len() > MAX_BYTES {
        return Err(unreadable(None, format!("is {} bytes long; 4 MiB is the most", yaml.len())));
    }
    // Bombs: aliases may not multiply, depth and size are bounded.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 600_000,
            max_nodes: 250_000,
            max_depth: 48,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_documents: 1,
            max_merge_keys: 1_000,
            max_total_scalar_bytes: MAX_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 8,
        },
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
    };
    let mut root: Node = serde_saphyr::from_str_with_options(yaml, options).map_err(|error| {
        let line = error.location().and_then(|l| u32::try_from(l.line()).ok()).filter(|l| *l > 0);
        let text = error.without_snippet().to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        // The place stands before the message already, and the reader's own options are not the user's.
        let first = first.split(" at line ").next().unwrap_or(first);
        let first = first.split(", set DuplicateKeyPolicy").next().unwrap_or(first);
        unreadable(line, first.to_owned())
    })?;
    root.keep_written(yaml);
    Ok(root)
}

impl Node {
    /// The value under a key; `None` where it is no mapping or has no such key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.members().iter().find(|(k, _)| k.text() == Some(key)).map(|(_, v)| v)
    }

    /// The members of a mapping.
    pub fn members(&self) -> &[(Node, Node)] {
        match &self.kind {
            Kind::Map(members) => members,
            _ => &[],
        }
    }

    /// The items of a list.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// A text that was written as one.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of any scalar, as written.
    pub fn scalar(&self) -> Option<String> {
        match &self.kind {
            Kind::Text(text) => Some(text.clone()),
            Kind::Bool(truth) => Some(self.written.clone().unwrap_or_else(|| truth.to_string())),
            Kind::Int(n) => Some(self.written.clone().unwrap_or_else(|| n.to_string())),
            Kind::Float(n) => Some(self.written.clone().unwrap_or_else(|| n.to_string())),
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// True where nothing stands there.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// The node as JSON; numbers beyond 64 bits become floats.
    pub fn json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(truth) => Value::Bool(*truth),
            Kind::Int(n) => match (i64::try_from(*n), u64::try_from(*n)) {
                (Ok(n), _) => n.into(),
                (_, Ok(n)) => n.into(),
                _ => Value::from(*n as f64),
            },
            Kind::Float(n) => Value::from(*n),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(Node::json).collect(),
            Kind::Map(members) => {
                members.iter().map(|(k, v)| (k.scalar().unwrap_or_default(), v.json())).collect()
            }
        }
    }

    /// What the node is, as a message shows it.
    pub fn shown(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".into(),
            Kind::List(items) => format!("a list of {}", items.len()),
            Kind::Map(_) => "a mapping".into(),
            _ => quoted(&self.scalar().unwrap_or_default()),
        }
    }

    /// Looks numbers up in the text they were read from.
    fn keep_written(&mut self, yaml: &str) {
        match &mut self.kind {
            Kind::List(items) => items.iter_mut().for_each(|n| n.keep_written(yaml)),
            Kind::Map(members) => {
                for (key, value) in members {
                    key.keep_written(yaml);
                    value.keep_written(yaml);
                }
            }
            Kind::Int(_) | Kind::Float(_) | Kind::Bool(_) => {
                let range = self.written.take().and_then(|range| {
                    let (start, len) = range.split_once('+')?;
                    Some((start.parse::<usize>().ok()?, len.parse::<usize>().ok()?))
                });
                let text = range.and_then(|(start, len)| yaml.get(start..start.checked_add(len)?));
                self.written = text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
            }
            Kind::Null | Kind::Text(_) => {}
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(d)?;
        let line = u32::try_from(spanned.referenced.line()).unwrap_or(0);
        let span = spanned.defined.span();
        // Resolved by `keep_written` as soon as the text is at hand.
        let written = match (&spanned.value, span.byte_offset(), span.byte_len()) {
            (Kind::Int(_) | Kind::Float(_) | Kind::Bool(_), Some(start), Some(len)) => {
                Some(format!("{start}+{len}"))
            }
            _ => None,
        };
        Ok(Node { line, written, kind: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Kind, D::Error> {
        d.deserialize_any(self)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(truth))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Kind, E> {
        Ok(Kind::Int(n.into()))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Kind, E> {
        Ok(Kind::Int(n.into()))
    }

    fn visit_i128<E>(self, n: i128) -> Result<Kind, E> {
        Ok(Kind::Int(n))
    }

    fn visit_u128<E>(self, n: u128) -> Result<Kind, E> {
        Ok(i128::try_from(n).map_or(Kind::Float(n as f64), Kind::Int))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Kind, E> {
        Ok(Kind::Float(n))
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Node>()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<Node, Node>()? {
            members.push((key, value));
        }
        Ok(Kind::Map(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_line_and_what_was_written() {
        let root = parse("version: 1.10\nfields:\n  - name: a\n    n: 007\n  - name: b\n", "f").unwrap();
        assert_eq!(root.get("version").unwrap().scalar().unwrap(), "1.10");
        let fields = root.get("fields").unwrap();
        assert_eq!(fields.items()[1].line, 5);
        assert_eq!(fields.items()[0].get("n").unwrap().text(), Some("007"));
        assert_eq!(fields.items()[0].get("n").unwrap().line, 4);
    }

    #[test]
    fn bombs_and_broken_files_are_errors() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..10 {
            let prev = format!("*a{}", i - 1);
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![prev; 10].join(", ")));
        }
        assert!(matches!(parse(&bomb, "f"), Err(Error::Yaml { .. })));
        assert!(parse(&"[".repeat(100_000), "f").is_err());
        assert!(parse(&format!("a: {}", "- ".repeat(10_000)), "f").is_err());
        let error = parse("a: 1\nb: [1, 2\nc: 3\n", "orders.yaml").unwrap_err().to_string();
        assert!(error.starts_with("orders.yaml:"), "{error}");
        assert!(parse("a: 1\na: 2\n", "f").is_err(), "a key given twice");
    }
}
