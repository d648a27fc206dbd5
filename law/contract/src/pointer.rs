//! JSON pointers (RFC 6901), split once and followed often.

use serde_json::Value;

/// A JSON pointer in its parts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pointer {
    parts: Box<[Box<str>]>,
}

impl Pointer {
    /// Reads `/a/b`; a text that does not begin with `/` is the name of one member.
    pub fn new(text: &str) -> Self {
        match text.strip_prefix('/') {
            None => Self { parts: [text.into()].into() },
            Some(rest) => Self {
                parts: rest.split('/').map(|p| p.replace("~1", "/").replace("~0", "~").into()).collect(),
            },
        }
    }

    /// This pointer with `inner` behind it.
    pub fn join(&self, inner: &Pointer) -> Self {
        Self { parts: self.parts.iter().chain(inner.parts.iter()).cloned().collect() }
    }

    /// The parts, unescaped.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(AsRef::as_ref)
    }

    /// What it points to.
    pub fn follow<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        let mut at = value;
        for part in &self.parts {
            at = match at {
                Value::Object(members) => members.get(part.as_ref())?,
                Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(at)
    }
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in &self.parts {
            write!(f, "/{}", part.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(pointer: &str, found: Option<Value>) {
        let value = json!({"a": {"b/c": [1, {"~": 2}]}, "Unit Price": 3, "": 4});
        assert_eq!(Pointer::new(pointer).follow(&value), found.as_ref(), "{pointer}");
        if pointer.starts_with('/') {
            assert_eq!(Pointer::new(pointer).to_string(), pointer);
            assert_eq!(value.pointer(pointer), found.as_ref(), "{pointer}");
        }
    }

    #[test]
    fn follows_what_rfc_6901_says() {
        check("/a/b~1c/0", Some(json!(1)));
        check("/a/b~1c/1/~0", Some(json!(2)));
        check("/a/b~1c/7", None);
        check("/a/x", None);
        check("/Unit Price/x", None);
        check("Unit Price", Some(json!(3)));
        check("/", Some(json!(4)));
    }
}
