//! YAML with line numbers: a tree in which every node knows where it stands, read key by key so that one wrong
//! key hides no other.

use std::fmt;

pub(crate) use contract::yaml::{Kind, Node};

use crate::finding::{Finding, code, nearest};

/// The largest use case file that is read.
const MAX_BYTES: usize = 1024 * 1024;

/// Reads one document, by the reader that contracts are read by. The error is line (0: none) and message.
pub(crate) fn parse(text: &str) -> Result<Node, (u32, String)> {
    if text.len() > MAX_BYTES {
        return Err((0, format!("the file is {} bytes long; 1 MiB is the most", text.len())));
    }
    contract::yaml::parse(text, "").map_err(|error| match error {
        contract::Error::Yaml { line, message, .. } => (line.unwrap_or(0), message),
        other => (0, other.to_string()),
    })
}

/// What was found wrong in one file so far.
pub(crate) struct Findings {
    file: String,
    list: Vec<Finding>,
}

impl Findings {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), list: Vec::new() }
    }

    pub(crate) fn add(&mut self, code: &'static str, line: u32, message: impl Into<String>) {
        // A file that is wrong everywhere need not say so a thousand times.
        if self.list.len() < 200 {
            self.list.push(Finding { code, file: self.file.clone(), line, message: message.into() });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn finish(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|finding| finding.line);
        self.list
    }
}

/// One mapping while it is read: knows its keys, finds the unknown and the missing.
pub(crate) struct Section<'a> {
    line: u32,
    what: &'a str,
    members: &'a [(Node, Node)],
}

impl<'a> Section<'a> {
    /// The node as a mapping with none but the `known` keys.
    pub(crate) fn of(node: &'a Node, what: &'a str, known: &[&str], findings: &mut Findings) -> Option<Self> {
        let Kind::Map(members) = &node.kind else {
            findings.add(
                code::BAD_VALUE,
                node.line,
                format!("{what} is {}; write a mapping with the keys {}", node.shown(), listed(known)),
            );
            return None;
        };
        for (key, _) in members {
            let given = key.text().unwrap_or_default();
            if !known.contains(&given) {
                let hint = match nearest(given, known.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("known are {}", listed(known)),
                };
                findings.add(
                    code::UNKNOWN_KEY,
                    key.line,
                    format!("{what} has no key {}; {hint}", key.shown()),
                );
            }
        }
        Some(Self { line: node.line, what, members })
    }

    pub(crate) fn line(&self) -> u32 {
        self.line
    }

    /// The node under `key`; a key without a value counts as absent.
    pub(crate) fn find(&self, key: &str) -> Option<&'a Node> {
        let found = self.members.iter().find(|(k, _)| k.text() == Some(key)).map(|(_, value)| value);
        found.filter(|node| !matches!(node.kind, Kind::Null))
    }

    /// The node under `key`, missed where it is absent; `example` is what to write.
    pub(crate) fn need(&self, key: &str, example: &str, findings: &mut Findings) -> Option<&'a Node> {
        let found = self.find(key);
        if found.is_none() {
            let line =
                self.members.iter().find(|(k, _)| k.text() == Some(key)).map_or(self.line, |(k, _)| k.line);
            findings.add(
                code::INCOMPLETE,
                line,
                format!("{} says nothing about `{key}`; write `{key}: {example}`", self.what),
            );
        }
        found
    }

    /// A text under `key` that must be there and not be empty.
    pub(crate) fn text(&self, key: &str, example: &str, findings: &mut Findings) -> Option<String> {
        let node = self.need(key, example, findings)?;
        self.as_text(node, key, example, findings)
    }

    /// A text under `key`, where it is there.
    pub(crate) fn maybe_text(&self, key: &str, example: &str, findings: &mut Findings) -> Option<String> {
        let node = self.find(key)?;
        self.as_text(node, key, example, findings)
    }

    fn as_text(&self, node: &Node, key: &str, example: &str, findings: &mut Findings) -> Option<String> {
        match node.text().map(str::trim) {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                self.wrong(node, key, example, findings);
                None
            }
        }
    }

    /// A text under `key` that `T` reads.
    pub(crate) fn parsed<T: std::str::FromStr>(
        &self,
        key: &str,
        example: &str,
        findings: &mut Findings,
    ) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        let node = self.need(key, example, findings)?;
        self.as_parsed(node, key, example, findings)
    }

    /// A text under `key` that `T` reads, where it is there.
    pub(crate) fn maybe_parsed<T: std::str::FromStr>(
        &self,
        key: &str,
        example: &str,
        findings: &mut Findings,
    ) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        let node = self.find(key)?;
        self.as_parsed(node, key, example, findings)
    }

    fn as_parsed<T: std::str::FromStr>(
        &self,
        node: &Node,
        key: &str,
        example: &str,
        findings: &mut Findings,
    ) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        match self.as_text(node, key, example, findings)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                findings.add(code::BAD_VALUE, node.line, format!("`{key}` of {}: {error}", self.what));
                None
            }
        }
    }

    /// A number under `key` between `low` and `high`.
    pub(crate) fn number(
        &self,
        key: &str,
        example: &str,
        (low, high): (f64, f64),
        findings: &mut Findings,
    ) -> Option<f64> {
        let node = self.need(key, example, findings)?;
        let number = match node.kind {
            Kind::Int(n) => n as f64,
            Kind::Float(n) => n,
            _ => f64::NAN,
        };
        if number >= low && number <= high {
            return Some(number);
        }
        let message = format!(
            "`{key}` of {} is {}; a number from {low} to {high} is expected, like `{key}: {example}`",
            self.what,
            node.shown()
        );
        findings.add(code::BAD_VALUE, node.line, message);
        None
    }

    /// A whole number under `key` between `low` and `high`.
    pub(crate) fn whole(
        &self,
        key: &str,
        example: &str,
        (low, high): (u32, u32),
        findings: &mut Findings,
    ) -> Option<u32> {
        let node = self.need(key, example, findings)?;
        match node.kind {
            Kind::Int(n) if n >= i128::from(low) && n <= i128::from(high) => u32::try_from(n).ok(),
            _ => {
                let message = format!(
                    "`{key}` of {} is {}; a whole number from {low} to {high} is expected, like `{key}: {example}`",
                    self.what,
                    node.shown()
                );
                findings.add(code::BAD_VALUE, node.line, message);
                None
            }
        }
    }

    /// A list of texts under `key`, each with its line; empty where something is wrong.
    pub(crate) fn texts(
        &self,
        key: &str,
        example: &str,
        required: bool,
        findings: &mut Findings,
    ) -> Vec<(u32, String)> {
        let node = if required { self.need(key, example, findings) } else { self.find(key) };
        let Some(node) = node else { return Vec::new() };
        let Kind::List(items) = &node.kind else {
            self.wrong(node, key, example, findings);
            return Vec::new();
        };
        if items.is_empty() && required {
            findings.add(
                code::INCOMPLETE,
                node.line,
                format!("`{key}` of {} is an empty list; write `{key}: {example}`", self.what),
            );
        }
        let mut texts: Vec<(u32, String)> = Vec::new();
        for item in items {
            match item.text().map(str::trim) {
                Some(text) if texts.iter().any(|(_, t)| t == text) => findings.add(
                    code::CONFLICT,
                    item.line,
                    format!("`{key}` of {} names {} twice", self.what, item.shown()),
                ),
                Some(text) if !text.is_empty() => texts.push((item.line, text.to_owned())),
                _ => self.wrong(item, key, example, findings),
            }
        }
        texts
    }

    /// The items of a list under `key`.
    pub(crate) fn items(
        &self,
        key: &str,
        example: &str,
        required: bool,
        findings: &mut Findings,
    ) -> &'a [Node] {
        let node = if required { self.need(key, example, findings) } else { self.find(key) };
        match node.map(|node| (&node.kind, node)) {
            None => &[],
            Some((Kind::List(items), node)) => {
                if items.is_empty() && required {
                    findings.add(
                        code::INCOMPLETE,
                        node.line,
                        format!("`{key}` of {} is an empty list; write `- {example}`", self.what),
                    );
                }
                items
            }
            Some((_, node)) => {
                self.wrong(node, key, &format!("a list, like `- {example}`"), findings);
                &[]
            }
        }
    }

    fn wrong(&self, node: &Node, key: &str, example: &str, findings: &mut Findings) {
        findings.add(
            code::BAD_VALUE,
            node.line,
            format!("`{key}` of {} is {}; write `{key}: {example}`", self.what, node.shown()),
        );
    }
}

/// `a`, `b`, `c`
pub(crate) fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_line() {
        let root = parse("a: 1\nb:\n  - x\n  - y: 2.5\n").unwrap();
        let mut findings = Findings::new("f.yaml");
        let section = Section::of(&root, "the file", &["a", "b"], &mut findings).unwrap();
        let items = section.items("b", "x", true, &mut findings);
        assert_eq!(items.iter().map(|n| n.line).collect::<Vec<_>>(), [3, 4]);
        assert!(findings.is_empty());
    }

    #[test]
    fn bombs_and_broken_files_are_errors() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..10 {
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", ")));
        }
        assert!(parse(&bomb).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
        let (line, _) = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(line >= 2, "{line}");
        assert!(parse("a: 1\na: 2\n").is_err(), "a key given twice");
    }

    #[test]
    fn unknown_and_missing_keys_say_what_to_write() {
        let root = parse("chanel: email\ncost:\n").unwrap();
        let mut findings = Findings::new("f.yaml");
        let section = Section::of(&root, "action `a`", &["channel", "cost"], &mut findings).unwrap();
        section.text("channel", "email", &mut findings);
        section.text("cost", "0.12 EUR", &mut findings);
        let texts: Vec<String> = findings.finish().iter().map(ToString::to_string).collect();
        assert!(texts[0].contains("f.yaml:1: error MR5003") && texts[0].contains("`channel`?"), "{texts:?}");
        assert!(texts.iter().any(|t| t.contains("f.yaml:2: error MR5002") && t.contains("cost: 0.12 EUR")));
    }
}
