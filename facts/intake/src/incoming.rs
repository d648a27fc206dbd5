//! One thing that arrived, before its contract has judged it.

use std::sync::Arc;

use contract::{Finding, Severity};
use event::{Instant, StreamName};
use serde_json::Value;

/// One thing that arrived.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Where it belongs.
    pub origin: Origin,
    /// The document as it came.
    pub raw: Value,
    /// The sender's key for it (a message id), where there is one.
    pub key: Option<Vec<u8>>,
    /// True where [`Incoming::key`] names it whatever the contract's dedup key says: a change of a row is not the row.
    pub names_itself: bool,
    /// When it happened as the protocol has it, where it says so; or why that cannot be read.
    pub occurred_at: Result<Option<Instant>, String>,
    /// Identifiers the protocol itself carries, as (type, value): whose it is if no contract can say.
    pub named: Vec<(String, String)>,
    /// What the sender says about consent.
    pub consents: Vec<Said>,
    /// What the protocol's reader noticed; a finding of severity Error sends it to quarantine.
    pub notes: Vec<Finding>,
}

/// Where something that arrived belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A tracking call, by its source key (`track:Order Completed`).
    Call(String),
    /// A stream, by its name: files and direct posts.
    Stream(StreamName),
}

/// One answer about one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Said {
    /// The purpose.
    pub purpose: String,
    /// Yes or no.
    pub granted: bool,
    /// The version of the wording that was shown, where the sender says it.
    pub notice_version: String,
    /// The channel it is about; empty: the purpose as a whole.
    pub channel: String,
    /// The language it was shown in, where the sender says it.
    pub locale: String,
    /// What said it: `tracking`, or the consent tool.
    pub source: Arc<str>,
    /// The TC string it was read from.
    pub tc_string: Option<Arc<str>>,
}

impl Incoming {
    /// A document for a stream.
    pub fn for_stream(stream: StreamName, raw: Value) -> Self {
        Self {
            origin: Origin::Stream(stream),
            raw,
            key: None,
            names_itself: false,
            occurred_at: Ok(None),
            named: Vec::new(),
            consents: Vec::new(),
            notes: Vec::new(),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Call(key) => f.write_str(key),
            Self::Stream(name) => name.fmt(f),
        }
    }
}

/// Something odd that does not keep a record out.
pub(crate) fn note(message: &str) -> Finding {
    finding(crate::error::codes::SHAPE, Severity::Warning, "", message.to_owned())
}

pub(crate) fn finding(code: &'static str, severity: Severity, stream: &str, message: String) -> Finding {
    Finding { code, severity, stream: stream.to_owned(), field: None, message, file: None, line: None }
}
