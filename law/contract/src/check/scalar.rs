//! Rules of single values: texts, numbers, times, allowed values.

use std::fmt::Write;

use serde_json::{Number, Value};

use super::{Say, wrong_type};
use crate::bind::MAX_EXACT;
use crate::finding::{Findings, codes, quoted, shown};
use crate::limits::MAX_TEXT_BYTES;
use crate::model::{Kind, Limit, TextFormat};
use crate::time;

pub(super) fn check_text(say: &Say<'_>, text: &str, findings: &mut Findings<'_>) {
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

pub(super) fn check_integer(say: &Say<'_>, number: &Number, findings: &mut Findings<'_>) {
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

pub(super) fn check_number(say: &Say<'_>, number: &Number, findings: &mut Findings<'_>) {
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

pub(super) fn check_date(say: &Say<'_>, text: &str, findings: &mut Findings<'_>) {
    match time::date(text) {
        Ok(date) => {
            if let Some(micros) = time::date_micros(date) {
                check_micros(say, micros, findings);
            }
        }
        Err(error) => unreadable_time(say, is_unreadable(&error), findings),
    }
}

pub(super) fn check_timestamp(say: &Say<'_>, text: &str, findings: &mut Findings<'_>) {
    // What could be read in the declared zone has become an instant by now.
    if let Some(zone) = &say.field.rules.zone
        && let Some(civil) = time::wall(text, say.field.rules.time.as_ref())
        && time::reading(civil, zone) == time::Reading::Skipped
    {
        let name = zone.iana_name().unwrap_or("the declared zone");
        let message = format!("is a time that {name} skipped when its clocks went forward: {}", say.shown());
        return say.add(findings, codes::GAP, message);
    }
    match text.parse::<event::Instant>() {
        Ok(instant) => check_micros(say, instant.micros(), findings),
        Err(error) => unreadable_time(say, is_unreadable(&error), findings),
    }
}

fn is_unreadable(error: &event::ParseInstantError) -> bool {
    matches!(error, event::ParseInstantError::Unreadable { .. })
}

pub(super) fn check_clock(say: &Say<'_>, text: &str, findings: &mut Findings<'_>) {
    match time::clock_micros(text) {
        Some(micros) => check_micros(say, micros, findings),
        None => unreadable_time(say, true, findings),
    }
}

pub(super) fn check_allowed(say: &Say<'_>, findings: &mut Findings<'_>) {
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
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

/// Both are finite by now; unlike a total order this has `-0` equal to `0`.
fn compare_floats(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal)
}
