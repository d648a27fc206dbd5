//! From a raw document to the contract's fields.
//!
//! Nothing is refused here: what does not fit stays as it came, and `check` says so.

use event::Instant;
use serde_json::{Map, Number, Value};

use crate::model::{Contract, Field, Kind};
use crate::time;

impl Contract {
    /// Maps a raw document to this contract's fields: follows each field's `source`, renames, and reads numbers,
    /// truth values and times out of text where the type asks for it. Absent and empty fields are left out.
    ///
    /// Applied whenever a record is folded (late binding), so a mended mapping reaches the past.
    pub fn bind(&self, raw: &Value) -> Value {
        Value::Object(bind_fields(&self.fields, raw))
    }
}

fn bind_fields(fields: &[Field], raw: &Value) -> Map<String, Value> {
    let mut out = Map::new();
    for field in fields {
        if let Some(value) = field.source.follow(raw).and_then(|value| bind_value(field, value)) {
            out.insert(field.name.clone(), value);
        }
    }
    out
}

fn bind_value(field: &Field, raw: &Value) -> Option<Value> {
    let bound = match (&field.kind, raw) {
        (_, Value::Null) => return None,
        (Kind::Object(fields), Value::Object(_)) if !fields.is_empty() => {
            Value::Object(bind_fields(fields, raw))
        }
        (Kind::Array(Some(item)), Value::Array(items)) => {
            items.iter().map(|v| bind_value(item, v).unwrap_or(Value::Null)).collect()
        }
        (Kind::Text, Value::Number(number)) if !whole(number).is_f64() => {
            Value::String(whole(number).to_string())
        }
        (Kind::Text | Kind::Any, _) => raw.clone(),
        (_, Value::String(text)) if text.trim().is_empty() => return None,
        (Kind::Object(_) | Kind::Array(_), _) => raw.clone(),
        (Kind::Integer, Value::String(text)) => number_in(field, text, true).unwrap_or_else(|| raw.clone()),
        (Kind::Number, Value::String(text)) => number_in(field, text, false).unwrap_or_else(|| raw.clone()),
        (Kind::Integer, Value::Number(number)) => Value::Number(whole(number)),
        (Kind::Boolean, Value::String(text)) => truth_in(text).map_or_else(|| raw.clone(), Value::Bool),
        (Kind::Date, Value::String(text)) => day_in(field, text).map_or_else(|| raw.clone(), Value::String),
        (Kind::Date, Value::Number(number)) if field.rules.time.is_some() => {
            day_in(field, &number.to_string()).map_or_else(|| raw.clone(), Value::String)
        }
        (Kind::Timestamp, Value::String(text)) => {
            time_in(field, text).map_or_else(|| raw.clone(), Value::String)
        }
        (Kind::Timestamp, Value::Number(number)) => {
            epoch_in(field, number).map_or_else(|| raw.clone(), Value::String)
        }
        (Kind::Time, Value::String(text)) => {
            let read = field.rules.time.as_ref().and_then(|format| format.read_time(text));
            read.map_or_else(|| raw.clone(), |time| Value::String(time.to_string()))
        }
        (Kind::Number | Kind::Boolean | Kind::Date | Kind::Time, _)
        | (Kind::Integer | Kind::Timestamp, _) => raw.clone(),
    };
    Some(bound)
}

/// `5.0` is the whole number 5, as JSON and every spreadsheet have it.
pub(crate) fn whole(number: &Number) -> Number {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < MAX_EXACT => {
            Number::from(float as i64)
        }
        _ => number.clone(),
    }
}

/// Beyond this a double no longer tells neighbouring whole numbers apart.
pub(crate) const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

fn number_in(field: &Field, text: &str, whole_only: bool) -> Option<Value> {
    let text = text.trim();
    let cleaned;
    let text = if field.rules.decimal_comma {
        cleaned = with_point(text)?;
        cleaned.as_str()
    } else {
        text
    };
    // Rust reads `inf`, `NaN` and `+1` as numbers; a file that says so has none there.
    if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'-' | b'.' | b'e' | b'E' | b'+'))
        || text.starts_with('+')
    {
        return None;
    }
    if let Ok(n) = text.parse::<i64>() {
        return Some(n.into());
    }
    if let Ok(n) = text.parse::<u64>() {
        return Some(n.into());
    }
    let float: f64 = text.parse().ok().filter(|f: &f64| f.is_finite())?;
    let number = Number::from_f64(float)?;
    Some(Value::Number(if whole_only { whole(&number) } else { number }))
}

/// `1.234,50` → `1234.50`; `None` where the points do not part thousands.
fn with_point(text: &str) -> Option<String> {
    let (whole, decimals) = text.split_once(',').map_or((text, None), |(w, d)| (w, Some(d)));
    let mut groups = whole.split('.');
    let mut out = groups.next()?.to_owned();
    for group in groups {
        if group.len() != 3 || out.trim_start_matches('-').len() > 15 {
            return None;
        }
        out.push_str(group);
    }
    if let Some(decimals) = decimals {
        if decimals.contains(['.', ',']) {
            return None;
        }
        out.push('.');
        out.push_str(decimals);
    }
    Some(out)
}

fn truth_in(text: &str) -> Option<bool> {
    const TRUE: [&str; 6] = ["true", "t", "yes", "y", "1", "ja"];
    const FALSE: [&str; 6] = ["false", "f", "no", "n", "0", "nein"];
    let text = text.trim();
    let is = |words: &[&str]| words.iter().any(|w| text.eq_ignore_ascii_case(w));
    if is(&TRUE) {
        Some(true)
    } else if is(&FALSE) {
        Some(false)
    } else {
        None
    }
}

fn day_in(field: &Field, text: &str) -> Option<String> {
    if let Some(day) = field.rules.time.as_ref().and_then(|format| format.read_date(text)) {
        return Some(day.to_string());
    }
    if text.len() == 10 { None } else { time::date(text).ok().map(|day| day.to_string()) }
}

fn time_in(field: &Field, text: &str) -> Option<String> {
    if field.rules.time_unit_micros.is_some() {
        return epoch_in(field, &text.trim().parse().ok()?);
    }
    let zone = field.rules.zone.as_ref();
    if let Some(format) = &field.rules.time
        && let Some(instant) = format.read(text, zone)
    {
        return Some(instant.to_string());
    }
    let zone = zone?;
    time::in_zone(time::civil(text)?, Some(zone)).map(|instant| instant.to_string())
}

fn epoch_in(field: &Field, number: &Number) -> Option<String> {
    let unit = field.rules.time_unit_micros?;
    let micros = match number.as_i64() {
        Some(n) => n.checked_mul(unit)?,
        None => {
            let micros = number.as_f64()? * unit as f64;
            if micros.abs() < MAX_EXACT { micros.round() as i64 } else { return None }
        }
    };
    Instant::try_from_micros(micros).ok().map(|instant| instant.to_string())
}
