//! Who and when: what a bound record says about its subject, its time and its name.

use event::Instant;
use serde_json::Value;

use crate::model::Contract;

/// Identifier types that name a person; their fields must be sealed.
pub(crate) const PERSON_IDENTIFIERS: [&str; 12] = [
    "user_id",
    "anonymous_id",
    "email",
    "phone",
    "household_id",
    "device_id",
    "advertising_id",
    "cookie_id",
    "customer_id",
    "session_id",
    "loyalty_id",
    "push_token",
];

/// Values that senders use where they do not know whom they speak of. To take one for an identifier would make
/// one person of all their strangers.
const NOBODY: [&str; 9] = [
    "-1",
    "null",
    "anonymous",
    "undefined",
    "none",
    "nan",
    "n/a",
    "[object object]",
    "00000000-0000-0000-0000-000000000000",
];

/// True where a value names somebody.
pub fn names_somebody(kind: &str, value: &str) -> bool {
    let value = value.trim();
    if value.bytes().all(|b| b == b'0' || b == b'-') {
        return false;
    }
    if NOBODY.iter().any(|n| value.eq_ignore_ascii_case(n)) {
        return false;
    }
    kind != "email" || value.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
}

impl Contract {
    /// The identifiers a bound record carries, as (type, value): those of the subject key in its order, then the
    /// others. Values that name nobody (`null`, `0`, `anonymous`, …) are left out.
    pub fn identifiers(&self, bound: &Value) -> Vec<(String, String)> {
        let mut out: Vec<(String, String)> = Vec::new();
        for (kind, path) in &self.identifiers {
            let Some(value) = path.follow(bound).and_then(text_of) else { continue };
            let known = out.iter().any(|(k, v)| k == kind && *v == value);
            if !known && names_somebody(kind, &value) {
                out.push((kind.clone(), value));
            }
        }
        out
    }

    /// The identifiers of the subject key alone; the first is the record's subject.
    pub fn subject_candidates(&self, bound: &Value) -> Vec<(String, String)> {
        let of_key = self.identifiers.iter().take(self.subject_key.fields.len());
        of_key
            .filter_map(|(kind, path)| {
                let value = path.follow(bound).and_then(text_of)?;
                names_somebody(kind, &value).then(|| (kind.clone(), value))
            })
            .collect()
    }

    /// The raw JSON pointer of the event-time field.
    pub fn event_time_pointer(&self) -> Option<String> {
        self.pointer_of(self.event_time.as_ref()?.as_str())
    }

    /// The raw JSON pointer of a field outside of lists.
    pub fn pointer_of(&self, path: &str) -> Option<String> {
        let mut fields = &self.fields;
        let mut pointer = crate::Pointer::default();
        let mut rest = path;
        loop {
            if let Some(field) = fields.iter().find(|f| f.name == rest) {
                return Some(pointer.join(&field.source).to_string());
            }
            let (head, tail) = rest.split_once('.')?;
            let field = fields.iter().find(|f| f.name == head)?;
            pointer = pointer.join(&field.source);
            let crate::Kind::Object(inner) = &field.kind else { return None };
            (fields, rest) = (inner, tail);
        }
    }

    /// True where a part of the dedup key is sealed, so that its bare hash would give it away.
    pub fn dedup_key_is_sealed(&self) -> bool {
        let sealed = |path: &crate::Path| self.field(path.as_str()).is_none_or(|f| f.effective.is_sealed());
        self.dedup_key.iter().any(sealed)
    }

    /// When it happened, by the contract's event-time field.
    pub fn event_time(&self, bound: &Value) -> Option<Instant> {
        instant(self.event_time.as_ref()?.follow(bound)?)
    }

    /// When it was known, by the contract's field for it.
    pub fn known_time(&self, bound: &Value) -> Option<Instant> {
        instant(self.known_at.as_ref()?.follow(bound)?)
    }

    /// The bytes that name this record for ever: the values of the dedup key, or of the primary key where none
    /// is declared. `None` where there is no key, or a part of it is absent.
    pub fn dedup_key(&self, bound: &Value) -> Option<Vec<u8>> {
        if self.dedup_key.is_empty() {
            return None;
        }
        let values: Vec<&Value> =
            self.dedup_key.iter().map(|path| path.follow(bound)).collect::<Option<_>>()?;
        serde_json::to_vec(&values).ok()
    }
}

fn instant(value: &Value) -> Option<Instant> {
    value.as_str()?.parse().ok()
}

/// An identifier as text: `7` and `"7"` are the same one.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(crate::bind::whole(number).to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_name_nobody() {
        for value in ["", "0", "000", "0-0", "-1", "null", "NULL", "anonymous", "undefined", " ", "-"] {
            assert!(!names_somebody("user_id", value), "{value:?}");
        }
        assert!(names_somebody("user_id", "10"));
        assert!(names_somebody("user_id", "עברית🦀"));
        assert!(names_somebody("email", "a@b"));
        assert!(!names_somebody("email", "a.b"));
        assert!(!names_somebody("email", "@"));
    }
}
