//! Reading the log: which acts there were, and what was sealed with one of them.

use audit::{Act, Entry};
use event::{Instant, Subject};
use serde::Serialize;
use serde_json::Value;

use super::{COLUMN, SEALED_AS};
use crate::Error;
use crate::house::House;

/// An entry and its place.
#[derive(Clone, Debug, Serialize)]
pub struct AuditEntry {
    /// Its index in the log.
    pub index: u64,
    /// What it says; none where its bytes are no entry of this house.
    #[serde(flatten)]
    pub entry: Option<Entry>,
}

/// Which entries are sought; what is not said does not matter.
#[derive(Clone, Debug, Default)]
pub struct AuditSought {
    /// Acts that begin so: `key.issue`, or `key.` for all about keys.
    pub what: Option<String>,
    /// Ordered by this one.
    pub by: Option<String>,
    /// About this subject.
    pub subject: Option<Subject>,
    /// Not before.
    pub from: Option<Instant>,
    /// Before.
    pub to: Option<Instant>,
    /// With an index below this one.
    pub before: Option<u64>,
}

impl AuditSought {
    fn fits(&self, entry: Option<&Entry>) -> bool {
        let asks = self.what.is_some()
            || self.by.is_some()
            || self.subject.is_some()
            || self.from.is_some()
            || self.to.is_some();
        let Some(entry) = entry else { return !asks };
        self.what.as_ref().is_none_or(|what| entry.what.starts_with(what.as_str()))
            && self.by.as_ref().is_none_or(|by| entry.by == *by)
            && self.subject.is_none_or(|subject| entry.subject == Some(subject))
            && self.from.is_none_or(|from| entry.at >= from)
            && self.to.is_none_or(|to| entry.at < to)
    }
}

impl House {
    /// How many entries the log has.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn audit_size(&self) -> Result<u64, Error> {
        self.in_control(|rooms| rooms.audit.size())
    }

    /// An entry's bytes, as the leaf hashes them.
    ///
    /// # Errors
    /// [`Error::Audit`] where there is none.
    pub fn audit_entry(&self, index: u64) -> Result<Vec<u8>, Error> {
        let found = self.in_control(|rooms| rooms.audit.entry(index))?;
        let size = self.audit_size()?;
        let none = || audit::Error::NoSuch { what: "entry", asked: index.to_string(), size };
        Ok(found.ok_or_else(none)?.to_vec())
    }

    /// Entries that are sought, the latest first, `most` at most.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn audit_entries(&self, sought: &AuditSought, most: usize) -> Result<Vec<AuditEntry>, Error> {
        self.in_control(|rooms| {
            let end = rooms.audit.size()?.min(sought.before.unwrap_or(u64::MAX));
            let mut found = Vec::new();
            for index in (0..end).rev() {
                if found.len() >= most {
                    break;
                }
                let entry = rooms.audit.entry(index)?.and_then(|bytes| Entry::read(&bytes));
                if sought.fits(entry.as_ref()) {
                    found.push(AuditEntry { index, entry });
                }
            }
            Ok(found)
        })
    }

    /// What was sealed with an entry; `None` where nothing was, or where its subject's key is destroyed. Looking is a
    /// privileged act itself.
    ///
    /// # Errors
    /// [`Error::Audit`] where there is no such entry; [`Error::Vault`]
    pub fn open_audit_entry(&self, index: u64, by: &str) -> Result<Option<Value>, Error> {
        let Some(entry) = Entry::read(&self.audit_entry(index)?) else { return Ok(None) };
        let Some((subject, cell)) = entry.subject.zip(entry.cell()) else { return Ok(None) };
        self.audit(&Act {
            subject: Some(subject),
            detail: serde_json::json!({ "index": index }),
            ..Act::new("audit.open", by)
        })?;
        let plain = self.vault().unseal(subject, COLUMN, SEALED_AS, &cell)?;
        Ok(plain.and_then(|plain| serde_json::from_slice(&plain).ok()))
    }
}
