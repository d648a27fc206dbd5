//! A privileged act, and the entry it leaves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use event::{Instant, Subject};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;

/// The largest entry that is taken, in bytes. A bundle could hold 65,535.
pub const MAX_ENTRY: usize = 60_000;

/// Something done with privilege.
#[derive(Clone, Debug)]
pub struct Act<'a> {
    /// What, as `noun.verb`: `key.issue`.
    pub what: &'a str,
    /// Who ordered it.
    pub by: &'a str,
    /// What for, where the act has a purpose.
    pub purpose: Option<&'a str>,
    /// Whom it concerns.
    pub subject: Option<Subject>,
    /// What else is to be known of it. Never personal data in plain text.
    pub detail: Value,
}

impl<'a> Act<'a> {
    /// An act about nobody in particular.
    pub fn new(what: &'a str, by: &'a str) -> Self {
        Self { what, by, purpose: None, subject: None, detail: Value::Null }
    }
}

/// An entry of the log: one JSON line. Its bytes, as they were written, are what the leaf hashes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Instant,
    /// What was done.
    pub what: String,
    /// Who ordered it.
    pub by: String,
    /// What for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Whom it concerns, as the house's pseudonym.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// What else is to be known.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
    /// What is sealed under the subject's key, in base64: after an erasure it opens no more, and is proven still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

impl Entry {
    /// The entry of an act.
    pub fn of(act: &Act<'_>, at: Instant, sealed: Option<&[u8]>) -> Self {
        Self {
            at,
            what: act.what.to_owned(),
            by: act.by.to_owned(),
            purpose: act.purpose.map(str::to_owned),
            subject: act.subject.filter(|subject| !subject.is_none()),
            detail: act.detail.clone(),
            sealed: sealed.map(|cell| STANDARD.encode(cell)),
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`MAX_ENTRY`].
    pub fn to_payload(&self) -> Result<Vec<u8>, Error> {
        // Texts and JSON: there is nothing in it that JSON cannot say.
        let payload = serde_json::to_vec(self).unwrap_or_default();
        if payload.len() > MAX_ENTRY {
            return Err(Error::TooLarge { n_bytes: payload.len(), most: MAX_ENTRY });
        }
        Ok(payload)
    }

    /// Reads an entry; `None` where its bytes are none, which the log proves all the same.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The sealed part's bytes.
    pub fn cell(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.sealed.as_deref()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_entry_reads_back_and_leaves_out_what_is_not_there() {
        let mut act = Act::new("key.issue", "anna");
        let at = Instant::from_micros(1_700_000_000_000_000);
        let entry = Entry::of(&act, at, None);
        let text = String::from_utf8(entry.to_payload().unwrap()).unwrap();
        assert_eq!(text, r#"{"at":"2023-11-14T22:13:20Z","what":"key.issue","by":"anna"}"#);
        act.subject = Some(Subject::from_bytes([7; 16]));
        act.purpose = Some("service");
        act.detail = json!({"n": 1});
        let entry = Entry::of(&act, at, Some(b"cell"));
        let read = Entry::read(&entry.to_payload().unwrap()).unwrap();
        assert_eq!(read, entry);
        assert_eq!(read.cell().unwrap(), b"cell");
        act.subject = Some(Subject::NONE);
        assert_eq!(Entry::of(&act, at, None).subject, None);
    }

    #[test]
    fn a_huge_entry_is_refused_before_the_act() {
        let mut act = Act::new("export.take", "anna");
        act.detail = json!("x".repeat(MAX_ENTRY));
        let error = Entry::of(&act, Instant::from_micros(0), None).to_payload().unwrap_err();
        assert_eq!(error.code(), "MR3207");
        assert!(error.to_string().contains("the act was not done"), "{error}");
    }
}
