//! JSON from outside: read once, with errors that say where.

use serde_json::Value;

use crate::error::{Refusal, codes};

/// Reads one JSON value.
///
/// # Errors
/// MR2001 where it is no JSON, MR2002 where it nests deeper than 127 levels (what the contract allows is less,
/// but then it is a finding and the record is kept in quarantine).
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        let reason = error.to_string();
        // The reader's message ends in " at line 1 column 7"; it is said in front here.
        let what = reason.split(" at line ").next().unwrap_or_default();
        if what.contains("recursion limit") {
            let place = format!("line {}, column {}", error.line(), error.column());
            return Refusal::new(
                codes::TOO_DEEP,
                format!("{place}: objects and lists lie more than 127 deep in each other"),
            );
        }
        if error.is_eof() {
            let what = if bytes.iter().all(u8::is_ascii_whitespace) {
                "it is empty"
            } else {
                "it ends in the middle"
            };
            return Refusal::new(codes::NOT_JSON, format!("not JSON: {what}"));
        }
        let place = format!("line {}, column {}", error.line(), error.column());
        Refusal::new(codes::NOT_JSON, format!("not JSON: {place}: {what}"))
    })
}

/// How many bytes a value takes as compact JSON; counting stops a little after `limit`.
pub(crate) fn size(value: &Value, limit: usize) -> usize {
    let text = |text: &str| {
        let escaped: usize = text
            .bytes()
            .map(|b| match b {
                b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 1,
                0..=31 => 5,
                _ => 0,
            })
            .sum();
        text.len() + escaped + 2
    };
    match value {
        Value::Null => 4,
        Value::Bool(truth) => 5 - usize::from(*truth),
        Value::Number(number) => match number.as_u64() {
            Some(n) => n.checked_ilog10().unwrap_or(0) as usize + 1,
            None => number.to_string().len(),
        },
        Value::String(s) => text(s),
        Value::Array(items) => {
            let mut n = 1 + items.len().max(1);
            for item in items {
                if n > limit {
                    break;
                }
                n += size(item, limit.saturating_sub(n));
            }
            n
        }
        Value::Object(members) => {
            let mut n = 1 + members.len().max(1);
            for (name, member) in members {
                if n > limit {
                    break;
                }
                n += text(name) + 1 + size(member, limit.saturating_sub(n));
            }
            n
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &[u8]) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_json_is_said_with_its_place() {
        assert_eq!(refused(b""), "not JSON: it is empty (MR2001)");
        assert_eq!(refused(b"{\"a\": 1"), "not JSON: it ends in the middle (MR2001)");
        assert_eq!(refused(b"{\"a\": NaN}"), "not JSON: line 1, column 7: expected value (MR2001)");
        assert_eq!(refused(b"{\n \"a\" 1}"), "not JSON: line 2, column 6: expected `:` (MR2001)");
        assert!(refused(b"{\"a\": 1e999}").starts_with("not JSON: line 1, column 11: number out of range"));
        assert!(refused(b"\xff").starts_with("not JSON"));
    }

    #[test]
    fn ten_thousand_levels_are_too_deep() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        assert!(refused(deep.as_bytes()).ends_with("lie more than 127 deep in each other (MR2002)"));
        let deep = "{\"a\":".repeat(10_000);
        assert!(refused(deep.as_bytes()).ends_with("(MR2002)"));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "(?s).{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("(?s).{0,5}", inner, 0..5)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_size_is_that_of_compact_json(value in any_json()) {
            prop_assert_eq!(size(&value, usize::MAX), value.to_string().len());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
