//! A value as PostgreSQL writes it, as JSON.
//!
//! Numbers become numbers where that is exact, and stay text where it is not; times get the `T` and, where they carry a
//! zone, the `Z` of RFC 3339; JSON and arrays become what they are. Everything else (enumerations, domains, ranges,
//! addresses, binary data as `\x…`) stays the text that it is. The session must speak UTC and ISO dates.

use serde_json::{Number, Value};

const BOOL: u32 = 16;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const OID: u32 = 26;
const JSON: u32 = 114;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const NUMERIC: u32 = 1700;
const JSONB: u32 = 3802;

/// Array types and what their items are.
const ARRAYS: [(u32, u32); 22] = [
    (1000, BOOL),
    (1001, 17),
    (1002, 18),
    (1003, 19),
    (1005, INT2),
    (1007, INT4),
    (1009, 25),
    (1014, 1042),
    (1015, 1043),
    (1016, INT8),
    (1021, FLOAT4),
    (1022, FLOAT8),
    (1028, OID),
    (1115, TIMESTAMP),
    (1182, 1082),
    (1183, 1083),
    (1185, TIMESTAMPTZ),
    (1187, 1186),
    (1231, NUMERIC),
    (2951, 2950),
    (199, JSON),
    (3807, JSONB),
];

/// Names of common types, for messages.
const NAMES: [(u32, &str); 22] = [
    (BOOL, "boolean"),
    (17, "bytea"),
    (INT8, "bigint"),
    (INT2, "smallint"),
    (INT4, "integer"),
    (25, "text"),
    (OID, "oid"),
    (JSON, "json"),
    (FLOAT4, "real"),
    (FLOAT8, "double precision"),
    (790, "money"),
    (1042, "character"),
    (1043, "character varying"),
    (1082, "date"),
    (1083, "time"),
    (TIMESTAMP, "timestamp"),
    (TIMESTAMPTZ, "timestamp with time zone"),
    (1186, "interval"),
    (NUMERIC, "numeric"),
    (2950, "uuid"),
    (JSONB, "jsonb"),
    (869, "inet"),
];

/// Reads a value of the type with this number.
pub fn read(kind: u32, text: &str) -> Value {
    let exact = match kind {
        BOOL => match text {
            "t" | "true" => Some(Value::Bool(true)),
            "f" | "false" => Some(Value::Bool(false)),
            _ => None,
        },
        INT2 | INT4 | INT8 | OID => text.parse::<i64>().ok().map(Value::from),
        FLOAT4 | FLOAT8 => text.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number),
        NUMERIC => numeric(text),
        TIMESTAMP => Some(timestamp(text, false)),
        TIMESTAMPTZ => Some(timestamp(text, true)),
        JSON | JSONB => serde_json::from_str(text).ok(),
        _ => ARRAYS.iter().find(|(array, _)| *array == kind).and_then(|(_, item)| array(*item, text)),
    };
    exact.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// What people call the type with this number.
pub fn name_of(kind: u32) -> String {
    if let Some((_, name)) = NAMES.iter().find(|(number, _)| *number == kind) {
        return (*name).to_owned();
    }
    match ARRAYS.iter().find(|(array, _)| *array == kind) {
        Some((_, item)) => format!("{}[]", name_of(*item)),
        None => format!("type {kind}"),
    }
}

/// A decimal number, where a double says exactly the same: up to 15 significant digits.
fn numeric(text: &str) -> Option<Value> {
    let digits = text.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count();
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'.');
    if !is_plain {
        return None;
    }
    if !text.contains('.') {
        return text.parse::<i64>().ok().map(Value::from);
    }
    if digits > 15 {
        return None;
    }
    Number::from_f64(text.parse().ok()?).map(Value::Number)
}

/// `2026-01-31 12:00:00.5+00` → `2026-01-31T12:00:00.5Z`; `infinity` and the time before Christ stay as they are.
fn timestamp(text: &str, zoned: bool) -> Value {
    let Some((day, time)) = text.split_once(' ').filter(|(_, time)| !time.contains(' ')) else {
        return Value::String(text.to_owned());
    };
    let time = match time.strip_suffix("+00") {
        Some(time) if zoned => format!("{time}Z"),
        _ => time.to_owned(),
    };
    Value::String(format!("{day}T{time}"))
}

/// `{1,NULL,"a \"b\""}` → `[1, null, "a \"b\""]`; `None` where it is not of this form (bounds of their own, too deep).
fn array(item: u32, text: &str) -> Option<Value> {
    let mut rest = text;
    let value = items(item, &mut rest, 0)?;
    rest.is_empty().then_some(value)
}

fn items(item: u32, rest: &mut &str, depth: usize) -> Option<Value> {
    // PostgreSQL's arrays have up to six dimensions.
    if depth > 6 {
        return None;
    }
    *rest = rest.strip_prefix('{')?;
    let mut out = Vec::new();
    if let Some(after) = rest.strip_prefix('}') {
        *rest = after;
        return Some(Value::Array(out));
    }
    loop {
        let value = if rest.starts_with('{') {
            items(item, rest, depth + 1)?
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let mut text = String::new();
            let mut chars = quoted.char_indices();
            let end = loop {
                match chars.next()? {
                    (_, '\\') => text.push(chars.next()?.1),
                    (at, '"') => break at + 1,
                    (_, other) => text.push(other),
                }
            };
            *rest = quoted.get(end..)?;
            read(item, &text)
        } else {
            let end = rest.find([',', '}'])?;
            let (text, after) = rest.split_at_checked(end)?;
            *rest = after;
            if text == "NULL" { Value::Null } else { read(item, text) }
        };
        out.push(value);
        if let Some(after) = rest.strip_prefix(',') {
            *rest = after;
        } else {
            *rest = rest.strip_prefix('}')?;
            return Some(Value::Array(out));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(kind: u32, text: &str, expected: Value) {
        assert_eq!(read(kind, text), expected, "{text}");
    }

    #[test]
    fn values_become_what_they_are() {
        check(BOOL, "t", json!(true));
        check(INT8, "-9223372036854775808", json!(i64::MIN));
        check(FLOAT8, "0.1", json!(0.1));
        check(FLOAT8, "NaN", json!("NaN"));
        check(FLOAT4, "Infinity", json!("Infinity"));
        check(25, "007", json!("007"));
        check(TIMESTAMP, "2026-01-31 12:00:00.25", json!("2026-01-31T12:00:00.25"));
        check(TIMESTAMPTZ, "2026-01-31 12:00:00+00", json!("2026-01-31T12:00:00Z"));
        check(TIMESTAMPTZ, "infinity", json!("infinity"));
        check(TIMESTAMPTZ, "0044-03-15 12:00:00+00 BC", json!("0044-03-15 12:00:00+00 BC"));
        check(JSONB, "{\"a\": [1, null]}", json!({"a": [1, null]}));
        check(JSON, "{", json!("{"));
        check(99_999, "anything", json!("anything"));
    }

    #[test]
    fn decimals_are_numbers_only_where_that_is_exact() {
        check(NUMERIC, "12.50", json!(12.5));
        check(NUMERIC, "-0.000000000000001", json!(-1e-15));
        check(NUMERIC, "123456789012345678", json!(123_456_789_012_345_678_i64));
        check(NUMERIC, "1234567890123.456", json!("1234567890123.456"));
        check(NUMERIC, "99999999999999999999", json!("99999999999999999999"));
        check(NUMERIC, "NaN", json!("NaN"));
    }

    #[test]
    fn arrays_become_lists() {
        check(1007, "{}", json!([]));
        check(1007, "{1,NULL,3}", json!([1, null, 3]));
        check(1007, "{{1,2},{3,4}}", json!([[1, 2], [3, 4]]));
        check(
            1009,
            r#"{a,"b,c","d\"e\\f",NULL,"NULL",""}"#,
            json!(["a", "b,c", "d\"e\\f", null, "NULL", ""]),
        );
        check(1009, "[0:1]={a,b}", json!("[0:1]={a,b}"));
        check(3807, r#"{"{\"a\": 1}"}"#, json!([{"a": 1}]));
        for text in ["{", "{1", "{1,", "{\"a", "{1}x", "{{{{{{{{1}}}}}}}}"] {
            check(1007, text, json!(text));
        }
        assert_eq!(name_of(1231), "numeric[]");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}\",\\\\a1N ]{0,40}", at in 0_usize..22) {
            let _ = read(ARRAYS[at].0, &text);
            let _ = read(NUMERIC, &text);
            let _ = read(TIMESTAMPTZ, &text);
        }
    }
}
