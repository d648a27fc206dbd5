//! What a sample shows of one column, and the type that holds all of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::time;
use crate::time::TimeFormat;

/// Objects deeper than this are proposed as free objects.
const MAX_NESTING: usize = 6;
/// More distinct values than this make no list of allowed values.
const MAX_ALLOWED: usize = 12;

/// Formats of days and times that are tried, the likelier first.
const FORMATS: [(&str, bool); 26] = [
    ("dd.MM.yyyy", false),
    ("dd/MM/yyyy", false),
    ("MM/dd/yyyy", false),
    ("dd-MM-yyyy", false),
    ("yyyy/MM/dd", false),
    ("dd.MM.yy", false),
    ("dd/MM/yy", false),
    ("MM/dd/yy", false),
    ("dd.MM.yy HH:mm", true),
    ("dd/MM/yy HH:mm", true),
    ("MM/dd/yy HH:mm", true),
    ("MM/dd/yy HH:mm:ss", true),
    ("dd.MM.yyyy HH:mm:ss", true),
    ("dd.MM.yyyy HH:mm", true),
    ("dd/MM/yyyy HH:mm:ss", true),
    ("dd/MM/yyyy HH:mm", true),
    ("MM/dd/yyyy HH:mm:ss", true),
    ("MM/dd/yyyy HH:mm", true),
    ("yyyy/MM/dd HH:mm:ss", true),
    ("yyyy/MM/dd HH:mm", true),
    ("yyyy-MM-dd HH:mm", true),
    ("dd-MM-yyyy HH:mm:ss", true),
    ("dd-MM-yyyy HH:mm", true),
    ("MM/dd/yyyy hh:mm:ss a", true),
    ("MM/dd/yyyy hh:mm a", true),
    ("yyyyMMddHHmmss", true),
];

/// One column of the sample.
#[derive(Default)]
pub(super) struct Column<'v> {
    /// Rows, or objects around it, in which it could have stood.
    pub(super) n_rows: usize,
    pub(super) values: Vec<&'v Value>,
}

/// The type a column is proposed with.
#[derive(Debug, PartialEq)]
pub(super) enum Proposed {
    Text,
    Integer,
    Number {
        comma: bool,
        scale: Option<u8>,
    },
    Boolean,
    Date {
        format: Option<String>,
    },
    Timestamp {
        format: Option<String>,
        unit: Option<&'static str>,
    },
    Object,
    FreeObject,
    Array,
    Any,
    /// No value at all.
    Unseen,
}

impl<'v> Column<'v> {
    /// The members of many objects, each as a column, in the order of `order`, then by name.
    pub(super) fn members(objects: &[&'v Value], order: &[String]) -> Vec<(&'v str, Column<'v>)> {
        let mut columns: BTreeMap<(usize, &'v str), Column<'v>> = BTreeMap::new();
        for object in objects {
            for (name, value) in object.as_object().into_iter().flatten() {
                let place = order.iter().position(|o| o == name).unwrap_or(usize::MAX);
                let column = columns.entry((place, name)).or_default();
                if !is_empty(value) {
                    column.values.push(value);
                }
            }
        }
        let n_rows = objects.len();
        columns.into_iter().map(|((_, name), column)| (name, Column { n_rows, ..column })).collect()
    }

    pub(super) fn items(&self) -> Column<'v> {
        let values: Vec<&'v Value> =
            self.values.iter().filter_map(|v| v.as_array()).flatten().filter(|v| !v.is_null()).collect();
        Column { n_rows: values.len(), values }
    }

    pub(super) fn is_always_there(&self) -> bool {
        !self.values.is_empty() && self.values.len() == self.n_rows
    }

    pub(super) fn texts(&self) -> Option<Vec<&'v str>> {
        self.values.iter().map(|v| v.as_str()).collect()
    }

    pub(super) fn propose(&self, name: &str, depth: usize) -> Proposed {
        if self.values.is_empty() {
            return Proposed::Unseen;
        }
        let all = |is: fn(&Value) -> bool| self.values.iter().all(|v| is(v));
        if all(Value::is_object) {
            return if depth < MAX_NESTING { Proposed::Object } else { Proposed::FreeObject };
        }
        if all(Value::is_array) {
            return if depth < MAX_NESTING { Proposed::Array } else { Proposed::Any };
        }
        if all(Value::is_boolean) {
            return Proposed::Boolean;
        }
        if all(Value::is_number) {
            return self.numeric(name);
        }
        if let Some(texts) = self.texts() {
            return of_texts(name, &texts);
        }
        let text_or_whole = |v: &Value| v.is_string() || v.is_i64() || v.is_u64();
        if self.values.iter().all(|v| text_or_whole(v)) { Proposed::Text } else { Proposed::Any }
    }

    fn numeric(&self, name: &str) -> Proposed {
        let numbers: Vec<f64> = self.values.iter().filter_map(|v| v.as_f64()).collect();
        let exact =
            self.values.iter().all(|v| v.is_i64() || (v.is_f64() && v.as_f64().is_some_and(is_small_whole)));
        if exact {
            if let Some(unit) = epoch_unit(name, &numbers) {
                return Proposed::Timestamp { format: None, unit: Some(unit) };
            }
            if is_compact_date(name, &numbers) {
                return Proposed::Date { format: Some("yyyyMMdd".into()) };
            }
            return Proposed::Integer;
        }
        Proposed::Number { comma: false, scale: scale_of(name, &numbers) }
    }

    /// The values, where they are few and come often enough to be a closed list.
    pub(super) fn allowed(&self) -> Option<Vec<String>> {
        let texts = self.texts()?;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for text in &texts {
            *counts.entry(text).or_default() += 1;
            if counts.len() > MAX_ALLOWED {
                return None;
            }
        }
        let often = texts.len() >= 50 && counts.values().all(|n| *n >= 3);
        (often && counts.keys().all(|k| k.chars().count() <= 40))
            .then(|| counts.keys().map(|k| (*k).to_owned()).collect())
    }

    /// True where each row has another value.
    pub(super) fn is_unique(&self) -> bool {
        let distinct: BTreeSet<String> = self.values.iter().map(|v| v.to_string()).collect();
        self.values.len() >= 2 && self.is_always_there() && distinct.len() == self.values.len()
    }

    /// Smallest and largest, for a comment.
    pub(super) fn range(&self) -> Option<String> {
        let read = |v: &Value| match v {
            Value::Number(n) => n.as_f64(),
            Value::String(text) => text.trim().parse().ok().filter(|f: &f64| f.is_finite()),
            _ => None,
        };
        let numbers: Vec<f64> = self.values.iter().map(|v| read(v)).collect::<Option<_>>()?;
        let least = numbers.iter().copied().reduce(f64::min)?;
        let most = numbers.iter().copied().reduce(f64::max)?;
        Some(format!("{least} … {most}"))
    }
}

/// Empty text is how files say "nothing"; for a text column it would be a value, but nobody means it.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

fn is_small_whole(float: f64) -> bool {
    float.fract() == 0.0 && float.abs() < crate::bind::MAX_EXACT
}

fn of_texts(name: &str, texts: &[&str]) -> Proposed {
    let all = |is: &dyn Fn(&str) -> bool| texts.iter().all(|t| is(t.trim()));
    const TRUTHS: [&str; 6] = ["true", "false", "yes", "no", "ja", "nein"];
    if all(&|t| TRUTHS.iter().any(|w| t.eq_ignore_ascii_case(w))) {
        return Proposed::Boolean;
    }
    if all(&is_whole) {
        let numbers: Vec<f64> = texts.iter().filter_map(|t| t.trim().parse().ok()).collect();
        if let Some(unit) = epoch_unit(name, &numbers) {
            return Proposed::Timestamp { format: None, unit: Some(unit) };
        }
        if is_compact_date(name, &numbers) {
            return Proposed::Date { format: Some("yyyyMMdd".into()) };
        }
        return Proposed::Integer;
    }
    if all(&is_decimal) {
        let numbers: Vec<f64> = texts.iter().filter_map(|t| t.trim().parse().ok()).collect();
        return Proposed::Number { comma: false, scale: scale_of(name, &numbers) };
    }
    if all(&is_comma_decimal) {
        return Proposed::Number { comma: true, scale: None };
    }
    if all(&|t| t.len() == 10 && time::date(t).is_ok()) {
        return Proposed::Date { format: None };
    }
    if all(&|t| t.len() >= 16 && t.parse::<event::Instant>().is_ok()) {
        return Proposed::Timestamp { format: None, unit: None };
    }
    for (java, has_clock) in FORMATS {
        let Some(format) = TimeFormat::new(java) else { continue };
        let fits = |t: &str| match format.read(t, None) {
            Some(instant) => event::Instant::try_from_micros(instant.micros()).is_ok(),
            None => false,
        };
        if all(&fits) {
            let format = Some(java.to_owned());
            return if has_clock {
                Proposed::Timestamp { format, unit: None }
            } else {
                Proposed::Date { format }
            };
        }
    }
    Proposed::Text
}

/// A whole number that means its digits: `007` is a name.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    text.parse::<i64>().is_ok() && !text.starts_with('+') && (digits == "0" || !digits.starts_with('0'))
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let named = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'-' | b'.' | b'e' | b'E' | b'+'))
        && text.bytes().any(|b| b.is_ascii_digit())
        && !text.starts_with('+')
        && !named
        && text.parse::<f64>().is_ok_and(f64::is_finite)
        // A whole number that needs more than 64 bits would lose digits.
        && (text.contains(['.', 'e', 'E']) || text.parse::<i64>().is_ok())
}

fn is_comma_decimal(text: &str) -> bool {
    let Some((whole, decimals)) = text.rsplit_once(',') else { return is_whole(text) };
    let mut groups = whole.split('.');
    let first = groups.next().unwrap_or_default();
    !decimals.is_empty()
        && decimals.len() <= 6
        && decimals.bytes().all(|b| b.is_ascii_digit())
        && is_whole(first)
        && first.len() <= 9
        && groups.all(|g| g.len() == 3 && g.bytes().all(|b| b.is_ascii_digit()))
        && whole.len() <= 14
}

fn scale_of(name: &str, numbers: &[f64]) -> Option<u8> {
    let fits = |scale: i32| {
        let power = 10_f64.powi(scale);
        numbers.iter().all(|n| {
            let units = (n * power).round();
            units.abs() < crate::bind::MAX_EXACT && units / power == *n
        })
    };
    (super::words::is_money(name) && fits(2)).then_some(2)
}

fn epoch_unit(name: &str, numbers: &[f64]) -> Option<&'static str> {
    if super::words::time_rank(name) == 0 {
        return None;
    }
    let within = |factor: f64| numbers.iter().all(|n| (6e8 * factor..5e9 * factor).contains(n));
    if within(1.0) {
        Some("seconds")
    } else if within(1e3) {
        Some("milliseconds")
    } else if within(1e6) {
        Some("microseconds")
    } else {
        None
    }
}

fn is_compact_date(name: &str, numbers: &[f64]) -> bool {
    let Some(format) = TimeFormat::new("yyyyMMdd") else { return false };
    super::words::time_rank(name) > 0
        && numbers.iter().all(|n| {
            (19_000_101.0..22_000_101.0).contains(n) && format.read_date(&format!("{n:.0}")).is_some()
        })
}

/// True where no part of a row exceeds what any record may have; other rows are refused anyway.
pub(super) fn is_admissible(row: &Value) -> bool {
    row.is_object() && crate::broken_limit(row).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(name: &str, values: Value, expected: Proposed) {
        let values: Vec<&Value> = values.as_array().unwrap().iter().collect();
        assert_eq!(Column { n_rows: values.len(), values }.propose(name, 0), expected, "{name}");
    }

    #[test]
    fn types_of_text() {
        check("a", json!(["1", "-20", "0"]), Proposed::Integer);
        check("a", json!(["1", "007"]), Proposed::Text);
        check("a", json!(["1", "2.5", "1e3"]), Proposed::Number { comma: false, scale: None });
        check("preis", json!(["1", "2.50"]), Proposed::Number { comma: false, scale: Some(2) });
        check("a", json!(["1.234,5", "7", "-0,25"]), Proposed::Number { comma: true, scale: None });
        check("a", json!(["yes", "No"]), Proposed::Boolean);
        check("a", json!(["1", "NaN"]), Proposed::Text);
        check("a", json!(["99999999999999999999"]), Proposed::Text);
        check("a", json!(["2026-01-31"]), Proposed::Date { format: None });
        check("a", json!(["31.01.2026", "1.2.2026"]), Proposed::Date { format: Some("dd.MM.yyyy".into()) });
        check("a", json!(["01/31/2026", "02/01/2026"]), Proposed::Date { format: Some("MM/dd/yyyy".into()) });
        check("a", json!(["2026-01-31 10:00:00"]), Proposed::Timestamp { format: None, unit: None });
        check("datum", json!(["19970101", "19981231"]), Proposed::Date { format: Some("yyyyMMdd".into()) });
        check("menge", json!(["19970101"]), Proposed::Integer);
    }

    #[test]
    fn types_of_json() {
        check("a", json!([1, 2.0]), Proposed::Integer);
        check("a", json!([1, 2.5]), Proposed::Number { comma: false, scale: None });
        check(
            "ts",
            json!([1_700_000_000_123_i64]),
            Proposed::Timestamp { format: None, unit: Some("milliseconds") },
        );
        check("a", json!(["x", 1]), Proposed::Text);
        check("a", json!(["x", 1.5]), Proposed::Any);
        check("a", json!([{}, {"b": 1}]), Proposed::Object);
        check("a", json!([]), Proposed::Unseen);
    }
}
