//! One thing wrong with data or with a contract: data about data, never an `Err`.

use serde::Serialize;
use serde_json::Value;

/// How many findings one record may have; what comes after is counted in one last finding.
pub const MAX_FINDINGS: usize = 100;

/// How many characters of a value a message quotes.
const MAX_QUOTE: usize = 64;

/// What follows from a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Accepted, but likely a mistake.
    Warning,
    /// Not accepted: the record goes to quarantine, the build breaks.
    Error,
}

/// One thing wrong with data or with a contract file.
///
/// A message never quotes the value of a personal field: findings lie open beside a sealed record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `MR1004`, explained in docs/errors/MR1004.md.
    pub code: &'static str,
    /// What follows from it.
    pub severity: Severity,
    /// The stream whose contract speaks.
    pub stream: String,
    /// The field it is about, as a path like `address.city` or `items[2].price`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong, in the user's words.
    pub message: String,
    /// The file it stands in, for findings about files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in that file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl Finding {
    /// True where the record, or the build, does not pass.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            write!(f, " ")?;
        }
        let severity = match self.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity} {}: {}", self.code, self.message)
    }
}

/// What is wrong with one record, collected up to [`MAX_FINDINGS`].
pub(crate) struct Findings<'a> {
    stream: &'a str,
    list: Vec<Finding>,
    omitted: usize,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(stream: &'a str) -> Self {
        Self { stream, list: Vec::new(), omitted: 0 }
    }

    pub(crate) fn add(&mut self, code: &'static str, field: Option<String>, message: String) {
        self.push(code, Severity::Error, field, message);
    }

    pub(crate) fn push(
        &mut self,
        code: &'static str,
        severity: Severity,
        field: Option<String>,
        message: String,
    ) {
        if self.list.len() + 1 >= MAX_FINDINGS {
            self.omitted += 1;
            return;
        }
        let stream = self.stream.to_owned();
        self.list.push(Finding { code, severity, stream, field, message, file: None, line: None });
    }

    /// True where adding more would only be counted: a walk over a long array may stop.
    pub(crate) fn is_full(&self) -> bool {
        self.omitted > 0
    }

    pub(crate) fn finish(mut self) -> Vec<Finding> {
        if self.omitted > 0 {
            self.list.push(Finding {
                code: codes::MORE,
                severity: Severity::Error,
                stream: self.stream.to_owned(),
                field: None,
                message: format!("there is more wrong than the {} things named here", self.list.len()),
                file: None,
                line: None,
            });
        }
        self.list
    }
}

/// The codes of findings about data; each has a page in docs/errors.
pub(crate) mod codes {
    pub(crate) const TYPE: &str = "MR1001";
    pub(crate) const NUMBER: &str = "MR1002";
    pub(crate) const ENUM: &str = "MR1003";
    pub(crate) const MISSING: &str = "MR1004";
    pub(crate) const RANGE: &str = "MR1005";
    pub(crate) const LENGTH: &str = "MR1006";
    pub(crate) const PATTERN: &str = "MR1007";
    pub(crate) const ITEMS: &str = "MR1008";
    pub(crate) const MEMBERS: &str = "MR1009";
    pub(crate) const TIME: &str = "MR1010";
    pub(crate) const EVENT_TIME: &str = "MR1011";
    pub(crate) const SUBJECT: &str = "MR1012";
    pub(crate) const LIMIT: &str = "MR1013";
    pub(crate) const MORE: &str = "MR1014";
    pub(crate) const GAP: &str = "MR1017";
    pub(crate) const TWICE: &str = "MR1018";
    pub(crate) const CURRENCY: &str = "MR1019";
    pub(crate) const NUMBER_FORMAT: &str = "MR1020";
}

/// A value as a message shows it: shortened, and not at all where it is personal.
pub(crate) fn shown(value: &Value, open: bool) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(members) => format!("an object of {} members", members.len()),
        Value::String(text) if !open => format!("a text of {} characters", text.chars().count()),
        Value::Number(_) if !open => "a number".into(),
        Value::Bool(_) if !open => "a truth value".into(),
        Value::String(text) => quoted(text),
        Value::Number(number) => format!("`{number}`"),
        Value::Bool(truth) => format!("`{truth}`"),
    }
}

/// A text in backticks, shortened to 64 characters, control characters made visible.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_QUOTE) + 4);
    out.push('`');
    for (i, c) in text.chars().enumerate() {
        if i == MAX_QUOTE {
            out.push('…');
            break;
        }
        if c.is_control() || is_direction(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out.push('`');
    out
}

/// Marks that turn the direction of writing: in a message they would hide what a value is.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_personal_value_is_never_shown() {
        let secret = json!("ann@example.com");
        assert_eq!(shown(&secret, false), "a text of 15 characters");
        assert_eq!(shown(&json!(17), false), "a number");
        assert_eq!(shown(&secret, true), "`ann@example.com`");
    }

    #[test]
    fn a_long_value_is_shortened_and_control_characters_are_visible() {
        assert_eq!(quoted(&"x".repeat(70)), format!("`{}…`", "x".repeat(64)));
        assert_eq!(quoted("a\u{202e}b\n"), "`a\\u{202e}b\\u{a}`");
    }

    #[test]
    fn findings_stop_at_the_limit() {
        let mut findings = Findings::new("s");
        for _ in 0..500 {
            findings.add(codes::TYPE, None, "wrong".into());
        }
        let list = findings.finish();
        assert_eq!(list.len(), MAX_FINDINGS);
        assert_eq!(list.last().map(|f| f.code), Some(codes::MORE));
    }
}
