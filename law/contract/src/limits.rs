//! How large one record may be, whatever its contract says.

use serde_json::Value;

use crate::Finding;
use crate::finding::{Findings, codes};
use crate::model::Contract;

/// How deep objects and lists may lie in each other.
pub const MAX_DEPTH: usize = 64;
/// How many bytes one text may have.
pub const MAX_TEXT_BYTES: usize = 32 * 1024;
/// How many items one list, and how many members one object may have.
pub const MAX_ITEMS: usize = 10_000;

impl Contract {
    /// What breaks the limits in a raw document, the undeclared parts included: MR1013.
    pub fn check_limits(&self, raw: &Value) -> Vec<Finding> {
        let mut findings = Findings::new(self.stream.as_str());
        if let Some(message) = broken_limit(raw) {
            findings.add(codes::LIMIT, None, message);
        }
        findings.finish()
    }
}

/// The first limit that a value breaks, in words.
pub fn broken_limit(value: &Value) -> Option<String> {
    walk(value, 0)
}

fn walk(value: &Value, depth: usize) -> Option<String> {
    match value {
        Value::String(text) if text.len() > MAX_TEXT_BYTES => {
            Some(format!("a text has {} bytes; {MAX_TEXT_BYTES} are the most", text.len()))
        }
        Value::Array(_) | Value::Object(_) if depth >= MAX_DEPTH => {
            Some(format!("objects and lists lie more than {MAX_DEPTH} deep in each other"))
        }
        Value::Array(items) if items.len() > MAX_ITEMS => {
            Some(format!("a list has {} items; {MAX_ITEMS} are the most", items.len()))
        }
        Value::Object(members) if members.len() > MAX_ITEMS => {
            Some(format!("an object has {} members; {MAX_ITEMS} are the most", members.len()))
        }
        Value::Array(items) => items.iter().find_map(|v| walk(v, depth + 1)),
        Value::Object(members) => members.iter().find_map(|(name, v)| {
            if name.len() > MAX_TEXT_BYTES {
                return Some(format!("a name has {} bytes; {MAX_TEXT_BYTES} are the most", name.len()));
            }
            walk(v, depth + 1)
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_broken_limit_is_named() {
        assert_eq!(broken_limit(&json!({"a": [1, {"b": "x"}]})), None);
        let mut deep = json!(1);
        for _ in 0..65 {
            deep = json!([deep]);
        }
        assert!(broken_limit(&deep).unwrap().contains("64 deep"));
        assert!(broken_limit(&json!("x".repeat(32 * 1024 + 1))).unwrap().contains("32769 bytes"));
        assert!(broken_limit(&json!(vec![0; 10_001])).unwrap().contains("10001 items"));
    }
}
