//! Judges a bound record: pure, and all findings at once.

mod clock;
mod scalar;

use std::collections::HashSet;
use std::fmt::Write;

use serde_json::Value;

use crate::finding::{Findings, codes, quoted, shown};
use crate::limits::{MAX_DEPTH, MAX_ITEMS};
use crate::model::{Contract, Currency, Field, Kind, is_currency};
use crate::{Finding, Severity, limits};
use scalar::{
    check_allowed, check_clock, check_date, check_integer, check_number, check_text, check_timestamp, equal,
};

impl Contract {
    /// What is wrong with a bound record, all at once, 100 findings at most. Empty: it fits.
    pub fn check(&self, bound: &Value) -> Vec<Finding> {
        let mut findings = Findings::new(self.stream.as_str());
        check_fields(&self.fields, bound, None, 0, &mut findings);
        self.check_time(bound, &mut findings);
        self.check_subject(bound, &mut findings);
        findings.finish()
    }

    fn check_time(&self, bound: &Value, findings: &mut Findings<'_>) {
        let Some(path) = &self.event_time else { return };
        if path.follow(bound).is_none() {
            let message = format!("event time `{}` is missing", path.as_str());
            findings.add(codes::EVENT_TIME, Some(path.as_str().to_owned()), message);
        }
        // A time that is there but unreadable is MR1010, found with its field.
    }

    fn check_subject(&self, bound: &Value, findings: &mut Findings<'_>) {
        let key = &self.subject_key;
        let mut found = key.fields.is_empty();
        for (kind, path) in self.identifiers.iter().take(key.fields.len()) {
            let Some(value) = path.follow(bound) else { continue };
            let text = match value {
                Value::String(text) => text.as_str(),
                Value::Number(number) if number.as_f64() == Some(0.0) => "0",
                Value::Number(_) => "1",
                _ => "",
            };
            if crate::names_somebody(kind, text) {
                found = true;
            } else {
                let field = Some(path.as_str().to_owned());
                let message = format!("`{}` is there but names nobody", path.as_str());
                findings.push(codes::SUBJECT, Severity::Warning, field, message);
            }
        }
        if !found && !key.or_none {
            let names: Vec<&str> = key.fields.iter().map(|p| p.as_str()).collect();
            let message = format!("nobody is named: none of `{}` holds an identifier", names.join("`, `"));
            findings.add(codes::SUBJECT, None, message);
        }
    }
}

/// What is wrong with one value by the rules of its field; the value is named as the field is.
pub(crate) fn value(field: &Field, value: &Value) -> Vec<Finding> {
    let mut findings = Findings::new("");
    let at = At { up: None, step: Step::Name(&field.name) };
    check_value(field, value, &at, 0, &mut findings);
    findings.finish()
}

/// Where in the record we are; becomes text only when there is something to say.
#[derive(Clone, Copy)]
struct At<'a> {
    up: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Item(usize),
}

impl At<'_> {
    fn path(&self) -> String {
        let mut out = self.up.map(At::path).unwrap_or_default();
        match self.step {
            Step::Name(name) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(name);
            }
            // Writing to a String cannot fail.
            Step::Item(i) => {
                let _ = write!(out, "[{i}]");
            }
        }
        out
    }
}

fn check_fields(
    fields: &[Field],
    value: &Value,
    up: Option<&At<'_>>,
    depth: usize,
    findings: &mut Findings<'_>,
) {
    for field in fields {
        let at = At { up, step: Step::Name(&field.name) };
        match value.get(&field.name) {
            Some(found) if !found.is_null() => {
                check_value(field, found, &at, depth, findings);
                if let Some(Currency::Field(other)) = &field.currency {
                    check_currency(&at, other, value.get(other), findings);
                }
            }
            _ if field.required => {
                let path = at.path();
                findings.add(codes::MISSING, Some(path.clone()), format!("field `{path}` is missing"));
            }
            _ => {}
        }
    }
}

/// An amount is worth nothing without what it is in.
fn check_currency(at: &At<'_>, other: &str, said: Option<&Value>, findings: &mut Findings<'_>) {
    let message = match said {
        Some(Value::String(code)) if is_currency(code) => return,
        None | Some(Value::Null) => {
            format!("field `{}` is an amount without a currency: `{other}` is missing", at.path())
        }
        Some(Value::String(code)) if code.trim().is_empty() => {
            format!("field `{}` is an amount without a currency: `{other}` is empty", at.path())
        }
        // The code is no more personal than the fact that it is none.
        Some(_) => format!(
            "field `{}` is an amount in a currency that is none: `{other}` must be three capital letters, like `EUR`",
            at.path()
        ),
    };
    findings.add(codes::CURRENCY, Some(other.to_owned()), message);
}

fn check_value(field: &Field, value: &Value, at: &At<'_>, depth: usize, findings: &mut Findings<'_>) {
    if findings.is_full() {
        return;
    }
    let say = Say { field, value, at };
    if !field.rules.missing.is_empty() && field.rules.missing.iter().any(|m| equal(m, value)) {
        say.add(findings, codes::MISSING, "holds a value that counts as missing".into());
        return;
    }
    match (&field.kind, value) {
        (Kind::Any, _) => free(&say, depth, findings),
        (Kind::Text, Value::String(text)) => check_text(&say, text, findings),
        (Kind::Integer, Value::Number(number)) => check_integer(&say, number, findings),
        (Kind::Number, Value::Number(number)) => check_number(&say, number, findings),
        (Kind::Boolean, Value::Bool(_)) => check_allowed(&say, findings),
        (Kind::Date, Value::String(text)) => check_date(&say, text, findings),
        (Kind::Timestamp, Value::String(text)) => check_timestamp(&say, text, findings),
        (Kind::Time, Value::String(text)) => check_clock(&say, text, findings),
        (Kind::Object(fields), Value::Object(members)) => {
            check_count(&say, codes::MEMBERS, "members", members.len(), findings);
            if depth >= MAX_DEPTH {
                say.add(findings, codes::LIMIT, format!("lies more than {MAX_DEPTH} deep"));
            } else if fields.is_empty() {
                free(&say, depth, findings);
            } else {
                check_fields(fields, value, Some(at), depth + 1, findings);
            }
        }
        (Kind::Array(item), Value::Array(items)) => check_list(&say, item.as_deref(), items, depth, findings),
        (kind, _) => wrong_type(&say, kind, findings),
    }
}

/// What a finding about one value needs.
struct Say<'a> {
    field: &'a Field,
    value: &'a Value,
    at: &'a At<'a>,
}

impl Say<'_> {
    /// `message` completes the sentence "field `x` …".
    fn add(&self, findings: &mut Findings<'_>, code: &'static str, message: String) {
        let path = self.at.path();
        findings.add(code, Some(path.clone()), format!("field `{path}` {message}"));
    }

    fn shown(&self) -> String {
        shown(self.value, !self.field.effective.is_sealed())
    }
}

fn wrong_type(say: &Say<'_>, kind: &Kind, findings: &mut Findings<'_>) {
    if let (Kind::Integer | Kind::Number, Value::String(text)) = (kind, say.value)
        && matches!(
            text.trim().trim_start_matches(['-', '+']).to_ascii_lowercase().as_str(),
            "nan" | "inf" | "infinity"
        )
    {
        say.add(findings, codes::NUMBER, format!("must be a number; {} is none", quoted(text.trim())));
        return;
    }
    if let (Kind::Integer | Kind::Number, Value::String(text)) = (kind, say.value)
        && let Some(why) = other_format(text, say.field.rules.decimal_comma)
    {
        say.add(findings, codes::NUMBER_FORMAT, format!("{why}: {}", say.shown()));
        return;
    }
    let expected = match kind {
        Kind::Text => "a text",
        Kind::Integer => "a whole number",
        Kind::Number => "a number",
        Kind::Boolean => "true or false",
        Kind::Date => "a day like `2026-01-31`",
        Kind::Timestamp => "a time like `2026-01-31T12:00:00Z`",
        Kind::Time => "a time of day like `23:59:59`",
        Kind::Object(_) => "an object",
        Kind::Array(_) => "a list",
        Kind::Any => "anything",
    };
    say.add(findings, codes::TYPE, format!("must be {expected}, not {}", say.shown()));
}

/// A number as others write it: with a comma where a point is declared, or the other way round.
fn other_format(text: &str, comma: bool) -> Option<&'static str> {
    let text = text.trim().trim_start_matches(['-', '+']);
    let is_numeric = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b',' | b'\'' | b' '))
        && text.bytes().any(|b| b.is_ascii_digit());
    if !is_numeric {
        return None;
    }
    match (comma, text.contains(','), text.contains(['.', '\'', ' '])) {
        (false, true, false) => {
            Some("is a number with a comma; declare `decimalComma: true` if it parts the decimals")
        }
        (false, _, _) => {
            Some("is a number with marks between its digits; one decimal point is read, nothing else")
        }
        (true, ..) => Some("is no number with a decimal comma and points between thousands, as declared"),
    }
}

/// Parts that the contract leaves free still have limits.
fn free(say: &Say<'_>, depth: usize, findings: &mut Findings<'_>) {
    if let Some(message) = limits::broken_limit(say.value) {
        say.add(findings, codes::LIMIT, format!("is too large: {message}"));
    } else if depth > 0 && say.value.is_object() && depth >= MAX_DEPTH {
        say.add(findings, codes::LIMIT, format!("lies more than {MAX_DEPTH} deep"));
    } else {
        check_allowed(say, findings);
    }
}

fn check_list(
    say: &Say<'_>,
    item: Option<&Field>,
    items: &[Value],
    depth: usize,
    findings: &mut Findings<'_>,
) {
    if items.len() > MAX_ITEMS {
        let message = format!("has {} items; {MAX_ITEMS} are the most", items.len());
        return say.add(findings, codes::LIMIT, message);
    }
    if depth >= MAX_DEPTH {
        return say.add(findings, codes::LIMIT, format!("lies more than {MAX_DEPTH} deep"));
    }
    check_count(say, codes::ITEMS, "items", items.len(), findings);
    if say.field.rules.unique_items {
        let mut seen = HashSet::with_capacity(items.len());
        if let Some(i) = items.iter().position(|v| !seen.insert(v.to_string())) {
            say.add(findings, codes::ITEMS, format!("holds an item twice: [{i}] was there before"));
        }
    }
    let Some(item) = item else { return free(say, depth, findings) };
    for (i, value) in items.iter().enumerate() {
        let at = At { up: Some(say.at), step: Step::Item(i) };
        if value.is_null() {
            if item.required {
                let path = at.path();
                findings.add(codes::MISSING, Some(path.clone()), format!("item `{path}` is missing"));
            }
        } else {
            check_value(item, value, &at, depth + 1, findings);
        }
        if findings.is_full() {
            return;
        }
    }
}

fn check_count(say: &Say<'_>, code: &'static str, what: &str, n: usize, findings: &mut Findings<'_>) {
    if let Some(min) = say.field.rules.min_items
        && n < min
    {
        say.add(findings, code, format!("has {n} {what}; {min} are the least"));
    }
    if let Some(max) = say.field.rules.max_items
        && n > max
    {
        say.add(findings, code, format!("has {n} {what}; {max} are the most"));
    }
}
