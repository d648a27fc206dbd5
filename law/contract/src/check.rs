//! Judges a bound record: pure, and all findings at once.

use std::collections::HashSet;
use std::fmt::Write;

use serde_json::{Number, Value};

use crate::bind::MAX_EXACT;
use crate::finding::{Findings, codes, quoted, shown};
use crate::limits::{MAX_DEPTH, MAX_ITEMS, MAX_TEXT_BYTES};
use crate::model::{Contract, Field, Kind, Limit, TextFormat};
use crate::{Finding, Severity, limits, time};

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
            Some(value) if !value.is_null() => check_value(field, value, &at, depth, findings),
            _ if field.required => {
                let path = at.path();
                findings.add(codes::MISSING, Some(path.clone()), format!("field `{path}` is missing"));
            }
            _ => {}
        }
    }
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

fn check_text(say: &Say<'_>, text: &str, findings: &mut Findings<'_>) {
    let rules = &say.field.rules;
    if text.len() > MAX_TEXT_BYTES {
        let message = format!("has {} bytes; {MAX_TEXT_BYTES} are the most", text.len());
        return say.add(findings, codes::LIMIT, message);
    }
    // Bytes bound characters from above; counting is needed only between.
    if let Some(max) = rules.max_chars
        && text.len() > max
        && text.chars().count() > max
    {
        let n = text.chars().count();
        say.add(findings, codes::LENGTH, format!("has {n} characters; {max} are the most: {}", say.shown()));
    }
    if let Some(min) = rules.min_chars
        && (text.len() < min || text.chars().take(min).count() < min)
    {
        let n = text.chars().count();
        say.add(findings, codes::LENGTH, format!("has {n} characters; {min} are the least: {}", say.shown()));
    }
    if let Some(pattern) = &rules.pattern
        && !pattern.is_match(text)
    {
        let message = format!("does not match {}: {}", quoted(pattern.as_str()), say.shown());
        say.add(findings, codes::PATTERN, message);
    }
    if let Some(format) = rules.format
        && !fits(format, text)
    {
        say.add(findings, codes::PATTERN, format!("must be {}, not {}", in_words(format), say.shown()));
    }
    check_allowed(say, findings);
}

fn fits(format: TextFormat, text: &str) -> bool {
    match format {
        TextFormat::Email => text.rsplit_once('@').is_some_and(|(name, host)| {
            !name.is_empty()
                && host.len() >= 3
                && host.contains('.')
                && !host.starts_with('.')
                && !host.ends_with('.')
                && !text.contains(char::is_whitespace)
        }),
        TextFormat::Uuid => {
            text.len() == 36
                && text.bytes().enumerate().all(|(i, b)| match i {
                    8 | 13 | 18 | 23 => b == b'-',
                    _ => b.is_ascii_hexdigit(),
                })
        }
        TextFormat::Uri => text.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
                && !rest.is_empty()
                && !text.contains(char::is_whitespace)
        }),
        TextFormat::Ipv4 => text.parse::<std::net::Ipv4Addr>().is_ok(),
        TextFormat::Ipv6 => text.parse::<std::net::Ipv6Addr>().is_ok(),
        TextFormat::Hostname => {
            !text.is_empty()
                && text.len() <= 253
                && text.split('.').all(|label| {
                    !label.is_empty()
                        && label.len() <= 63
                        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                })
        }
        TextFormat::DateTime => text.parse::<event::Instant>().is_ok(),
    }
}

fn in_words(format: TextFormat) -> &'static str {
    match format {
        TextFormat::Email => "an e-mail address",
        TextFormat::Uuid => "a UUID",
        TextFormat::Uri => "a URI",
        TextFormat::Ipv4 => "an IPv4 address",
        TextFormat::Ipv6 => "an IPv6 address",
        TextFormat::Hostname => "a host name",
        TextFormat::DateTime => "a time like `2026-01-31T12:00:00Z`",
    }
}

fn check_integer(say: &Say<'_>, number: &Number, findings: &mut Findings<'_>) {
    let whole: i128 = if let Some(n) = number.as_i64() {
        n.into()
    } else if let Some(n) = number.as_u64() {
        n.into()
    } else {
        let float = number.as_f64().unwrap_or(f64::NAN);
        if float.fract() != 0.0 {
            return wrong_type(say, &Kind::Integer, findings);
        }
        if float.abs() >= MAX_EXACT {
            let message = "is too large to be exact: send it as text and declare it a string".to_owned();
            return say.add(findings, codes::NUMBER, message);
        }
        float as i128
    };
    let rules = &say.field.rules;
    let (least, most) = rules.width.unwrap_or((i64::MIN.into(), i64::MAX.into()));
    if whole < least || whole > most {
        let message = format!("must lie between {least} and {most}, not {}", say.shown());
        return say.add(findings, codes::NUMBER, message);
    }
    check_range(say, findings, |limit| match limit.whole {
        Some(limit) => whole.cmp(&limit),
        None => compare_floats(whole as f64, limit.number),
    });
    if let Some(step) = rules.multiple_of {
        let fits = if step.fract() == 0.0 && step.abs() >= 1.0 && step.abs() < MAX_EXACT {
            whole % (step as i128) == 0
        } else {
            is_multiple(whole as f64, step)
        };
        if !fits {
            say.add(findings, codes::RANGE, format!("must be a multiple of {step}, not {}", say.shown()));
        }
    }
    check_allowed(say, findings);
}

fn check_number(say: &Say<'_>, number: &Number, findings: &mut Findings<'_>) {
    let rules = &say.field.rules;
    let float = number.as_f64().unwrap_or(f64::NAN);
    if !float.is_finite() || (rules.f32 && float.abs() > f64::from(f32::MAX)) {
        return say.add(findings, codes::NUMBER, format!("is too large a number: {}", say.shown()));
    }
    if let Some(scale) = say.field.scale
        && !has_scale(float, scale)
    {
        let message = format!("has more than {scale} decimals: {}", say.shown());
        say.add(findings, codes::NUMBER, message);
    }
    let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    check_range(say, findings, |limit| match (whole, limit.whole) {
        (Some(n), Some(limit)) => n.cmp(&limit),
        _ => compare_floats(float, limit.number),
    });
    if let Some(step) = rules.multiple_of
        && !is_multiple(float, step)
    {
        say.add(findings, codes::RANGE, format!("must be a multiple of {step}, not {}", say.shown()));
    }
    check_allowed(say, findings);
}

/// True where the shortest decimal that reads back as this double has at most `scale` decimals.
fn has_scale(float: f64, scale: u8) -> bool {
    let power = 10_f64.powi(i32::from(scale));
    let units = (float * power).round();
    // Exactly the double that the decimal `units / power` is read as.
    units.abs() >= MAX_EXACT || units / power == float
}

fn is_multiple(float: f64, step: f64) -> bool {
    let ratio = float / step;
    (ratio - ratio.round()).abs() <= 1e-9 * ratio.abs().max(1.0)
}

fn check_range(say: &Say<'_>, findings: &mut Findings<'_>, compare: impl Fn(&Limit) -> std::cmp::Ordering) {
    let rules = &say.field.rules;
    if let Some(limit) = &rules.min {
        let order = compare(limit);
        if order.is_lt() || (limit.exclusive && order.is_eq()) {
            let than = if limit.exclusive { "greater than" } else { "at least" };
            say.add(findings, codes::RANGE, format!("must be {than} {}, not {}", limit.written, say.shown()));
        }
    }
    if let Some(limit) = &rules.max {
        let order = compare(limit);
        if order.is_gt() || (limit.exclusive && order.is_eq()) {
            let than = if limit.exclusive { "less than" } else { "at most" };
            say.add(findings, codes::RANGE, format!("must be {than} {}, not {}", limit.written, say.shown()));
        }
    }
}

fn check_micros(say: &Say<'_>, micros: i64, findings: &mut Findings<'_>) {
    check_range(say, findings, |limit| micros.cmp(&limit.micros.unwrap_or(micros)));
    check_allowed(say, findings);
}

fn unreadable_time(say: &Say<'_>, in_range: bool, findings: &mut Findings<'_>) {
    if !in_range {
        return say.add(
            findings,
            codes::TIME,
            format!("lies outside the years 1900 to 2199: {}", say.shown()),
        );
    }
    let format = match (&say.field.rules.time, &say.field.kind) {
        (Some(format), _) => format!("a time in the format {}", quoted(&format.written)),
        (None, Kind::Date) => "a day like `2026-01-31`".into(),
        (None, Kind::Time) => "a time of day like `23:59:59`".into(),
        (None, _) => "a time like `2026-01-31T12:00:00Z`".into(),
    };
    say.add(findings, codes::TIME, format!("must be {format}, not {}", say.shown()));
}

fn check_date(say: &Say<'_>, text: &str, findings: &mut Findings<'_>) {
    match time::date(text) {
        Ok(date) => {
            if let Some(micros) = time::date_micros(date) {
                check_micros(say, micros, findings);
            }
        }
        Err(error) => unreadable_time(say, is_unreadable(&error), findings),
    }
}

fn check_timestamp(say: &Say<'_>, text: &str, findings: &mut Findings<'_>) {
    match text.parse::<event::Instant>() {
        Ok(instant) => check_micros(say, instant.micros(), findings),
        Err(error) => unreadable_time(say, is_unreadable(&error), findings),
    }
}

fn is_unreadable(error: &event::ParseInstantError) -> bool {
    matches!(error, event::ParseInstantError::Unreadable { .. })
}

fn check_clock(say: &Say<'_>, text: &str, findings: &mut Findings<'_>) {
    match time::clock_micros(text) {
        Some(micros) => check_micros(say, micros, findings),
        None => unreadable_time(say, true, findings),
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

fn check_allowed(say: &Say<'_>, findings: &mut Findings<'_>) {
    let allowed = &say.field.rules.allowed;
    if allowed.is_empty() || allowed.iter().any(|a| equal(a, say.value)) {
        return;
    }
    let mut list = String::new();
    for (i, value) in allowed.iter().take(10).enumerate() {
        if i > 0 {
            list.push_str(", ");
        }
        list.push_str(&shown(value, true));
    }
    if allowed.len() > 10 {
        let _ = write!(list, " and {} more", allowed.len() - 10);
    }
    say.add(findings, codes::ENUM, format!("must be one of {list}, not {}", say.shown()));
}

/// Equal as people see it: `1` and `1.0` are.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

/// Both are finite by now; unlike a total order this has `-0` equal to `0`.
fn compare_floats(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal)
}
