//! Collects what the reader notices, with the line it stands on.

use crate::metric::Rule;
use crate::yaml::{Kind, Node};
use crate::{Finding, Severity};

/// The codes of findings about contract files; each has a page in docs/errors.
pub(crate) mod codes {
    pub(crate) const SHAPE: &str = "MR1103";
    pub(crate) const UNKNOWN: &str = "MR1104";
    pub(crate) const IGNORED: &str = "MR1105";
    pub(crate) const OWNER: &str = "MR1106";
    pub(crate) const PURPOSE: &str = "MR1107";
    pub(crate) const UNCLASSIFIED: &str = "MR1108";
    pub(crate) const SUBJECT_KEY: &str = "MR1109";
    pub(crate) const CLASS_WORD: &str = "MR1110";
    pub(crate) const NO_SUCH_FIELD: &str = "MR1111";
    pub(crate) const RULE: &str = "MR1112";
    pub(crate) const TYPE: &str = "MR1113";
    pub(crate) const NOT_PER_RECORD: &str = "MR1114";
    pub(crate) const INCOMPLETE: &str = "MR1115";
    pub(crate) const OPEN_IDENTIFIER: &str = "MR1116";
    pub(crate) const NOBODYS: &str = "MR1117";
    pub(crate) const NO_FIELDS: &str = "MR1118";
    pub(crate) const STANDARD: &str = "MR1122";
    pub(crate) const SERVICE_LEVEL: &str = "MR1125";
    pub(crate) const CURRENCY: &str = "MR1126";
}

pub(crate) struct Reading<'a> {
    pub(super) file: &'a str,
    pub(super) stream: String,
    pub(super) findings: Vec<Finding>,
    /// Quality rules of the schema object being read.
    pub(super) rules: Vec<Rule>,
    /// What the contract says once for all its fields.
    pub(super) defaults: Defaults,
}

/// What a contract says once for all its fields, unless one says otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    /// The zone of timestamps without one.
    pub(super) zone: Option<jiff::tz::TimeZone>,
    /// True where numbers in texts have a decimal comma.
    pub(super) decimal_comma: bool,
    /// What money is in.
    pub(super) currency: Option<String>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(file: &'a str, stream: &str) -> Self {
        Self {
            file,
            stream: stream.to_owned(),
            findings: Vec::new(),
            rules: Vec::new(),
            defaults: Defaults::default(),
        }
    }

    pub(crate) fn push(
        &mut self,
        code: &'static str,
        severity: Severity,
        field: Option<&str>,
        line: u32,
        message: String,
    ) {
        self.findings.push(Finding {
            code,
            severity,
            stream: self.stream.clone(),
            field: field.map(str::to_owned),
            message,
            file: Some(self.file.to_owned()),
            line: Some(line).filter(|l| *l > 0),
        });
    }

    pub(crate) fn info(&mut self, code: &'static str, line: u32, message: String) {
        self.push(code, Severity::Info, None, line, message);
    }

    pub(crate) fn error(&mut self, code: &'static str, line: u32, message: String) {
        self.push(code, Severity::Error, None, line, message);
    }

    /// A value of the wrong shape.
    pub(crate) fn shape(&mut self, node: &Node, what: &str, expected: &str) {
        self.error(codes::SHAPE, node.line, format!("{what} must be {expected}, not {}", node.shown()));
    }

    pub(crate) fn unknown_keys(&mut self, node: &Node, known: &[&str], place: &str) {
        for (key, _) in node.members() {
            if !key.text().is_some_and(|k| known.contains(&k)) {
                let message = format!("key {} is not known to ODCS v3 in {place}", key.shown());
                self.info(codes::UNKNOWN, key.line, message);
            }
        }
    }

    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = node.scalar().filter(|t| !t.trim().is_empty());
        if text.is_none() && !node.is_null() {
            self.shape(node, what, "a text");
        }
        text
    }

    pub(crate) fn truth(&mut self, node: &Node, what: &str) -> Option<bool> {
        match (&node.kind, node.text()) {
            (Kind::Bool(truth), _) => Some(*truth),
            (Kind::Null, _) => None,
            (_, Some(text)) if text.eq_ignore_ascii_case("true") => Some(true),
            (_, Some(text)) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => {
                self.shape(node, what, "true or false");
                None
            }
        }
    }

    pub(crate) fn count(&mut self, node: &Node, what: &str) -> Option<usize> {
        let count = match node.kind {
            Kind::Int(n) => usize::try_from(n).ok(),
            _ => None,
        };
        if count.is_none() && !node.is_null() {
            self.shape(node, what, "a whole number, 0 or more");
        }
        count
    }

    pub(crate) fn number(&mut self, node: &Node, what: &str) -> Option<(f64, Option<i128>)> {
        match &node.kind {
            Kind::Int(n) => Some((*n as f64, Some(*n))),
            Kind::Float(n) if n.is_finite() => Some((*n, None)),
            Kind::Null => None,
            // Quoted numbers are common where other tools wrote the file.
            Kind::Text(text) if text.parse::<f64>().is_ok_and(f64::is_finite) => {
                Some((text.parse().unwrap_or_default(), text.parse().ok()))
            }
            _ => {
                self.shape(node, what, "a number");
                None
            }
        }
    }

    /// One text or a list of texts.
    pub(crate) fn texts(&mut self, node: &Node, what: &str) -> Vec<String> {
        match &node.kind {
            Kind::List(items) => items.iter().filter_map(|item| self.text(item, what)).collect(),
            _ => self.text(node, what).into_iter().collect(),
        }
    }
}
