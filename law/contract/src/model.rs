//! What a contract is, once read.

use std::sync::Arc;

use event::{Instant, Span, StreamName, Version};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Pointer;
use crate::metric::Rule;
use crate::shape::Shape;
use crate::time::TimeFormat;

/// The agreement about one stream.
#[derive(Clone, Debug)]
pub struct Contract {
    /// The stream it speaks about.
    pub stream: StreamName,
    /// Its version.
    pub version: Version,
    /// What it is about, for people.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What the data may be used for, and on which legal basis.
    pub purposes: Vec<Purpose>,
    /// How long records are kept.
    pub retention: Option<Span>,
    /// Since when records come as they happen. Only what happened before may be imported as known then.
    pub live_since: Option<Instant>,
    /// Where consent for imported records was given, in words.
    pub consent_basis: Option<String>,
    /// What it matches: `track:Order Completed`, `track:*`, `identify`, `file`, …
    pub sources: Vec<String>,
    /// Whom a record is about.
    pub subject_key: SubjectKey,
    /// `person`, or the kind of entity the stream is about.
    pub subject_kind: String,
    /// The field that says when it happened.
    pub event_time: Option<Path>,
    /// The field that says when a record of the past was known.
    pub known_at: Option<Path>,
    /// True where records may lie in the future (bookings, validity dates).
    pub allow_future: bool,
    /// True where the fields say what the subject is like: the last value of each becomes a trait of the profile.
    pub traits: bool,
    /// The fields that together name a record for ever.
    pub dedup_key: Vec<Path>,
    /// The fields, in the order of the file.
    pub fields: Vec<Field>,
    /// Quality rules about many records, judged by [`crate::metric::Judge`].
    pub rules: Vec<Rule>,
    /// Service levels: what is promised of time, one of each kind.
    pub promises: Vec<Promise>,
    /// Fields whose values must occur in another stream.
    pub relationships: Vec<Relationship>,
    /// The file it was read from.
    pub file: String,
    pub(crate) line: u32,
    pub(crate) yaml: Arc<str>,
    pub(crate) identifiers: Vec<(String, Path)>,
    pub(crate) shape: Shape,
    pub(crate) zoned: Vec<Zoned>,
    pub(crate) source_line: u32,
}

/// What a service level is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Promised {
    /// How old the youngest record may be, at any moment.
    Freshness,
    /// How long after it happened a record may be known.
    Latency,
    /// How long records are kept.
    Retention,
}

impl Promised {
    /// The standard's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Freshness => "freshness",
            Self::Latency => "latency",
            Self::Retention => "retention",
        }
    }
}

/// A service level (ODCS `slaProperties`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Promise {
    /// What it is about.
    pub what: Promised,
    /// The length of time that is promised.
    pub within: Span,
    /// The field it names, if it names one.
    pub field: Option<String>,
    /// As it was written: `latency 4 h`.
    pub written: String,
    /// Its line.
    pub line: u32,
}

/// Fields whose values must occur in fields of another stream (ODCS `relationships`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Relationship {
    /// The fields of this stream.
    pub from: Vec<String>,
    /// The other stream.
    pub stream: String,
    /// Its fields, as many.
    pub fields: Vec<String>,
    /// Its line.
    pub line: u32,
}

/// A use of the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Purpose {
    /// Its name, as the project's settings have it.
    pub name: String,
    /// Its legal basis; `None` is an error of the contract.
    pub basis: Option<LegalBasis>,
    pub(crate) line: u32,
}

/// Why a processing is lawful (GDPR article 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegalBasis {
    /// Article 6(1)(a)
    Consent,
    /// Article 6(1)(b)
    Contract,
    /// Article 6(1)(c)
    LegalObligation,
    /// Article 6(1)(d)
    VitalInterests,
    /// Article 6(1)(e)
    PublicTask,
    /// Article 6(1)(f)
    LegitimateInterest,
    /// Nothing in the stream is personal.
    NotPersonal,
}

impl LegalBasis {
    /// The spelling in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Contract => "contract",
            Self::LegalObligation => "legal_obligation",
            Self::VitalInterests => "vital_interests",
            Self::PublicTask => "public_task",
            Self::LegitimateInterest => "legitimate_interest",
            Self::NotPersonal => "not_personal",
        }
    }

    /// Every basis, for messages.
    pub const ALL: [Self; 7] = [
        Self::Consent,
        Self::Contract,
        Self::LegalObligation,
        Self::VitalInterests,
        Self::PublicTask,
        Self::LegitimateInterest,
        Self::NotPersonal,
    ];

    /// Reads what people write: `Legitimate Interests` is `legitimate_interest`.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase().replace([' ', '-'], "_");
        let text = text.strip_suffix("interests").map_or(text.clone(), |t| match t {
            "legitimate_" => "legitimate_interest".into(),
            _ => text.clone(),
        });
        Self::ALL.into_iter().find(|b| b.as_str() == text)
    }
}

impl std::str::FromStr for LegalBasis {
    type Err = String;

    /// The exact spelling only.
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|basis| basis.as_str() == text);
        found.ok_or_else(|| {
            let known: Vec<String> = Self::ALL.iter().map(|basis| format!("`{}`", basis.as_str())).collect();
            format!("{} is none of {}", crate::finding::quoted(text), known.join(", "))
        })
    }
}

/// Whom a record is about.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SubjectKey {
    /// The fields that may name the subject, the best first.
    pub fields: Vec<Path>,
    /// True where a record without any of them is accepted under no subject.
    pub or_none: bool,
    /// False where the contract says nothing about it.
    pub declared: bool,
}

/// The way to a field from the record's root, through objects: `customer.email`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: Box<str>,
    parts: Box<[Box<str>]>,
}

impl Path {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into(), parts: text.split('.').map(Into::into).collect() }
    }

    /// A path of one name, dots in it included.
    pub(crate) fn of_name(name: &str) -> Self {
        Self { text: name.into(), parts: [name.into()].into() }
    }

    /// The path in words.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What lies there in a bound record.
    pub fn follow<'v>(&self, bound: &'v Value) -> Option<&'v Value> {
        self.parts.iter().try_fold(bound, |at, part| at.get(part.as_ref()))
    }
}

/// How sensitive a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Classification {
    /// Anyone may know it.
    Public,
    /// Not for outsiders, but about nobody.
    Internal,
    /// About a person: sealed under the person's key.
    Personal,
    /// Of a special category (GDPR article 9): sealed, and never a feature without consent.
    Special,
}

impl Classification {
    /// True where values are sealed.
    pub fn is_sealed(self) -> bool {
        self >= Self::Personal
    }

    /// The spelling in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Personal => "personal",
            Self::Special => "special",
        }
    }
}

/// One field of a record, an object or a list.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in bound records.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// True where it must be there.
    pub required: bool,
    /// True where no two records may have the same value (kept by dedup, not by [`Contract::check`]).
    pub unique: bool,
    /// Its place in the primary key.
    pub primary_key: Option<u32>,
    /// What the contract says; `None` counts as personal.
    pub classification: Option<Classification>,
    /// The classification that counts: the declared one or that of the object around it.
    pub effective: Classification,
    /// The type of identifier it holds: `user_id`, `email`, …
    pub identifier: Option<String>,
    /// How many decimals a number has at most: `2` for money.
    pub scale: Option<u8>,
    /// What its amounts are in.
    pub currency: Option<Currency>,
    /// Where it lies in the raw record, from the object around it.
    pub source: Pointer,
    /// What it means, for people.
    pub description: Option<String>,
    pub(crate) rules: Rules,
    pub(crate) line: u32,
}

/// What amounts are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Currency {
    /// All in one: `EUR`.
    Code(String),
    /// In what another field of the same object says.
    Field(String),
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => f.write_str(code),
            Self::Field(field) => write!(f, "what `{field}` says"),
        }
    }
}

/// True for three capital letters, which is how ISO 4217 writes currencies.
pub(crate) fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase())
}

/// A timestamp whose text has no zone and is read in a declared one.
#[derive(Clone, Debug)]
pub(crate) struct Zoned {
    pub(crate) path: String,
    pub(crate) source: Pointer,
    pub(crate) format: Option<TimeFormat>,
    pub(crate) zone: jiff::tz::TimeZone,
    pub(crate) is_open: bool,
}

/// What a field is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A day, `2026-01-31`.
    Date,
    /// A point in time.
    Timestamp,
    /// A time of day, `23:59:59`.
    Time,
    /// An object; without fields, anything may be in it.
    Object(Vec<Field>),
    /// A list, with what its items are.
    Array(Option<Box<Field>>),
    /// Anything: the contract does not say.
    Any,
}

impl Kind {
    /// The spelling in files.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Time => "time",
            Self::Object(_) => "object",
            Self::Array(_) => "array",
            Self::Any => "any",
        }
    }
}

/// The rules of one field beside its type, ready to be applied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) min: Option<Limit>,
    pub(crate) max: Option<Limit>,
    pub(crate) multiple_of: Option<f64>,
    /// The least and the greatest whole number the declared width holds.
    pub(crate) width: Option<(i128, i128)>,
    pub(crate) f32: bool,
    pub(crate) min_chars: Option<usize>,
    pub(crate) max_chars: Option<usize>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) format: Option<TextFormat>,
    pub(crate) allowed: Vec<Value>,
    pub(crate) missing: Vec<Value>,
    pub(crate) min_items: Option<usize>,
    pub(crate) max_items: Option<usize>,
    pub(crate) unique_items: bool,
    pub(crate) decimal_comma: bool,
    pub(crate) time: Option<TimeFormat>,
    pub(crate) time_unit_micros: Option<i64>,
    pub(crate) zone: Option<jiff::tz::TimeZone>,
}

/// One end of a range.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) number: f64,
    /// Where the limit is a whole number, exactly.
    pub(crate) whole: Option<i128>,
    /// Where the field is a time: microseconds since the epoch, or of the day.
    pub(crate) micros: Option<i64>,
    pub(crate) exclusive: bool,
    pub(crate) written: String,
}

/// Formats of text that are checked without a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextFormat {
    Email,
    Uuid,
    Uri,
    Ipv4,
    Ipv6,
    Hostname,
    DateTime,
}

impl Field {
    /// The line it stands on.
    pub fn line(&self) -> u32 {
        self.line
    }
}

impl Contract {
    /// The line its stream is named on.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The line its sources are named on.
    pub fn source_line(&self) -> u32 {
        self.source_line
    }

    /// The text it was read from.
    pub fn yaml(&self) -> &str {
        &self.yaml
    }

    /// The field at `path` (`customer.email`).
    pub fn field(&self, path: &str) -> Option<&Field> {
        let mut fields = &self.fields;
        let mut rest = path;
        loop {
            // A name may contain dots itself: the longest name that fits wins.
            if let Some(field) = fields.iter().find(|f| f.name == rest) {
                return Some(field);
            }
            let (head, tail) = rest.split_once('.')?;
            let field = fields.iter().find(|f| f.name == head)?;
            let Kind::Object(inner) = &field.kind else { return None };
            (fields, rest) = (inner, tail);
        }
    }

    /// The groups of fields that no two records may share: the primary key first, then each `unique` field.
    /// Only state can judge them; `check` does not.
    pub fn unique_keys(&self) -> Vec<Vec<String>> {
        let mut primary: Vec<(u32, &str)> =
            self.fields.iter().filter_map(|f| Some((f.primary_key?, f.name.as_str()))).collect();
        primary.sort_by_key(|(position, _)| *position);
        let primary: Vec<String> = primary.into_iter().map(|(_, name)| name.to_owned()).collect();
        let single = self.fields.iter().filter(|f| f.unique).map(|f| vec![f.name.clone()]);
        let single: Vec<_> = single.filter(|key| *key != primary).collect();
        let primary = if primary.is_empty() { None } else { Some(primary) };
        primary.into_iter().chain(single).collect()
    }
}
