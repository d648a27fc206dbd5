//! Our extensions: what stands under `customProperties` of the contract or of its schema object.

use event::{Instant, Span};
use jiff::tz::TimeZone;

use super::reading::{Reading, codes};
use crate::Severity;
use crate::model::{LegalBasis, Path, Purpose, SubjectKey, is_currency};
use crate::yaml::{Kind, Node};

/// The words we read at the contract; `(word, what it is)`.
pub(super) const CONTRACT_WORDS: [&str; 18] = [
    "stream",
    "source",
    "owner",
    "purposes",
    "retention",
    "liveSince",
    "consentBasis",
    "subjectKey",
    "subjectKind",
    "eventTime",
    "knownAt",
    "allowFuture",
    "traits",
    "dedupKey",
    "legalBasis",
    "timeZone",
    "decimalComma",
    "currency",
];

#[derive(Default)]
pub(super) struct Custom {
    pub(super) stream: Option<String>,
    pub(super) sources: Vec<String>,
    pub(super) source_line: Option<u32>,
    pub(super) zone: Option<TimeZone>,
    pub(super) decimal_comma: bool,
    pub(super) currency: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) purposes: Vec<Purpose>,
    pub(super) retention: Option<Span>,
    pub(super) live_since: Option<Instant>,
    pub(super) consent_basis: Option<String>,
    pub(super) subject_key: Option<SubjectKey>,
    pub(super) subject_kind: Option<String>,
    pub(super) event_time: Option<Path>,
    pub(super) known_at: Option<Path>,
    pub(super) allow_future: bool,
    pub(super) traits: bool,
    pub(super) dedup_key: Option<Vec<Path>>,
}

impl Custom {
    /// What the schema object says counts before what the contract says.
    pub(super) fn read(root: &Node, object: Option<&Node>, reading: &mut Reading<'_>) -> Self {
        let mut custom = Self::default();
        let mut basis_of_all = None;
        for node in [Some(root), object].into_iter().flatten() {
            for (name, value, line) in properties(node, reading) {
                if name == "legalBasis" {
                    basis_of_all = legal_basis(value, reading);
                } else {
                    custom.take(&name, value, line, reading);
                }
            }
        }
        if let Some(basis) = basis_of_all {
            for purpose in custom.purposes.iter_mut().filter(|p| p.basis.is_none()) {
                purpose.basis = Some(basis);
            }
        }
        custom
    }

    fn take(&mut self, name: &str, value: &Node, line: u32, reading: &mut Reading<'_>) {
        let what = format!("`{name}`");
        match name {
            "stream" => self.stream = reading.text(value, &what),
            "source" => {
                self.sources = reading.texts(value, &what);
                self.source_line = Some(line);
            }
            "timeZone" => self.zone = zone(value, &what, reading),
            "decimalComma" => self.decimal_comma = reading.truth(value, &what).unwrap_or_default(),
            "currency" => self.currency = currency(value, &what, reading),
            "owner" => self.owner = reading.text(value, &what),
            "purposes" => self.purposes = purposes(value, reading),
            "retention" => self.retention = parsed(value, &what, reading),
            "liveSince" => self.live_since = parsed(value, &what, reading),
            "consentBasis" => self.consent_basis = reading.text(value, &what),
            "subjectKey" => self.subject_key = Some(subject_key(value, reading)),
            "subjectKind" => self.subject_kind = reading.text(value, &what),
            "eventTime" => self.event_time = reading.text(value, &what).map(|t| Path::new(&t)),
            "knownAt" => self.known_at = reading.text(value, &what).map(|t| Path::new(&t)),
            "traits" => self.traits = reading.truth(value, &what).unwrap_or_default(),
            "allowFuture" => self.allow_future = reading.truth(value, &what).unwrap_or_default(),
            "dedupKey" => {
                let names = reading.texts(value, &what);
                self.dedup_key = Some(names.iter().map(|n| Path::new(n)).collect());
            }
            other => near_miss(other, &CONTRACT_WORDS, line, reading),
        }
    }
}

/// (name, value, line) of each custom property; a mapping is read too, though ODCS wants a list.
pub(super) fn properties<'n>(node: &'n Node, reading: &mut Reading<'_>) -> Vec<(String, &'n Node, u32)> {
    let Some(custom) = node.get("customProperties") else { return Vec::new() };
    match &custom.kind {
        Kind::List(items) => {
            let mut out = Vec::new();
            for item in items {
                match (item.get("property").and_then(Node::scalar), item.get("value")) {
                    (Some(name), Some(value)) => out.push((name, value, item.line)),
                    _ => reading.shape(item, "an entry of `customProperties`", "`property:` and `value:`"),
                }
            }
            out
        }
        Kind::Map(members) => {
            let message = "`customProperties` is a list of `property:` and `value:` in ODCS v3".to_owned();
            reading.push(codes::SHAPE, Severity::Warning, None, custom.line, message);
            members.iter().map(|(k, v)| (k.scalar().unwrap_or_default(), v, k.line)).collect()
        }
        Kind::Null => Vec::new(),
        _ => {
            reading.shape(custom, "`customProperties`", "a list");
            Vec::new()
        }
    }
}

/// A word that differs from one of ours only in case, `_` or `-` is a typing error, not somebody's own word.
pub(super) fn near_miss(name: &str, ours: &[&str], line: u32, reading: &mut Reading<'_>) {
    let plain = |t: &str| t.to_lowercase().replace(['_', '-', ' '], "");
    if let Some(meant) = ours.iter().find(|o| plain(o) == plain(name)) {
        let message = format!("custom property `{name}` is not read; `{meant}` is meant");
        reading.push(codes::UNKNOWN, Severity::Warning, None, line, message);
    }
}

/// A zone by its IANA name.
pub(super) fn zone(node: &Node, what: &str, reading: &mut Reading<'_>) -> Option<TimeZone> {
    let name = reading.text(node, what)?;
    match TimeZone::get(&name) {
        Ok(zone) => Some(zone),
        Err(_) => {
            let message = format!("{what}: the time zone `{name}` is not known, like `Europe/Berlin`");
            reading.error(codes::RULE, node.line, message);
            None
        }
    }
}

/// A currency by its three letters.
pub(super) fn currency(node: &Node, what: &str, reading: &mut Reading<'_>) -> Option<String> {
    let code = reading.text(node, what)?;
    if is_currency(&code) {
        return Some(code);
    }
    let message = format!(
        "{what} is {}, which is no currency: three capital letters are due, like `EUR`",
        node.shown()
    );
    reading.error(codes::CURRENCY, node.line, message);
    None
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    node: &Node,
    what: &str,
    reading: &mut Reading<'_>,
) -> Option<T> {
    let text = reading.text(node, what)?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            reading.error(codes::SHAPE, node.line, format!("{what}: {error}"));
            None
        }
    }
}

fn subject_key(node: &Node, reading: &mut Reading<'_>) -> SubjectKey {
    let mut key = SubjectKey { declared: true, ..SubjectKey::default() };
    for name in reading.texts(node, "`subjectKey`") {
        if name.eq_ignore_ascii_case("none") { key.or_none = true } else { key.fields.push(Path::new(&name)) }
    }
    key
}

fn purposes(node: &Node, reading: &mut Reading<'_>) -> Vec<Purpose> {
    let items = match &node.kind {
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut out = Vec::new();
    for item in items {
        let purpose = match &item.kind {
            Kind::Map(_) => {
                reading.unknown_keys(item, &["name", "basis", "description"], "a purpose");
                let Some(name) = item.get("name").and_then(Node::scalar) else {
                    reading.shape(item, "a purpose", "`name:` and `basis:`");
                    continue;
                };
                let basis = item.get("basis").and_then(|b| legal_basis(b, reading));
                Purpose { name, basis, line: item.line }
            }
            // The basis may stand once for all, under `legalBasis`.
            _ => match reading.text(item, "a purpose") {
                Some(name) => Purpose { name, basis: None, line: item.line },
                None => continue,
            },
        };
        out.push(purpose);
    }
    out
}

fn legal_basis(node: &Node, reading: &mut Reading<'_>) -> Option<LegalBasis> {
    let basis = node.scalar().and_then(|text| LegalBasis::read(&text));
    if basis.is_none() {
        let known: Vec<&str> = LegalBasis::ALL.iter().map(|b| b.as_str()).collect();
        let message = format!("legal basis {} is none of {}", node.shown(), known.join(", "));
        reading.error(codes::PURPOSE, node.line, message);
    }
    basis
}
