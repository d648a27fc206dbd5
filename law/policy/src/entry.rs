//! What stands in `mr.consents`: words about purposes, and acts about a person as a whole.
//!
//! The stream is append-only. Payloads of the first version (purpose, status, notice version, source) stay readable for
//! ever: everything later is optional. What may hold personal values, evidence and TC strings, lies in sealed cells
//! beside the payload ([`EVIDENCE`], [`TC_STRING`]), never in it.

use contract::LegalBasis;
use event::Instant;
use serde::{Deserialize, Serialize};

/// The stream of consents, keyed by subject.
pub const CONSENTS: &str = "mr.consents";
/// The sealed cell with what proves a word: the form's reference, a call's recording, who wrote it down.
pub const EVIDENCE: &str = "/evidence";
/// The sealed cell with the TC string that a word was read from.
pub const TC_STRING: &str = "/tc_string";
/// The schema version that sealed cells of consents are bound to.
pub const CELL_SCHEMA: u32 = 1;

/// What a subject said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Yes.
    Granted,
    /// No, or an objection.
    Denied,
    /// No longer.
    Withdrawn,
}

impl Status {
    /// The spelling in records and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A word about one purpose: the payload of a record in `mr.consents`. When it was said is the record's `occurred_at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentGiven {
    /// The purpose it is about.
    pub purpose: String,
    /// What was said.
    pub status: Status,
    /// The version of the wording that was shown.
    #[serde(default)]
    pub notice_version: String,
    /// Where it was said: a form, a tool, a phone call.
    #[serde(default)]
    pub source: String,
    /// The legal basis that the word was recorded under, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<LegalBasis>,
    /// Hexadecimal SHA-256 of the wording that was shown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notice_hash: String,
    /// The language it was shown in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub locale: String,
    /// The channel it is about; empty: the purpose as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// From when on a yes counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Instant>,
    /// From when on it counts no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Instant>,
    /// When the person confirmed it (double opt-in).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Instant>,
    /// The hash of the token it was confirmed by.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub confirms: String,
}

impl ConsentGiven {
    /// A word that says nothing but itself.
    pub fn new(purpose: impl Into<String>, status: Status) -> Self {
        Self {
            purpose: purpose.into(),
            status,
            notice_version: String::new(),
            source: String::new(),
            basis: None,
            notice_hash: String::new(),
            locale: String::new(),
            channel: String::new(),
            valid_from: None,
            valid_until: None,
            confirmed_at: None,
            confirms: String::new(),
        }
    }

    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        // Strings, enums and instants: there is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// A question sent to a person, to be confirmed by a token (double opt-in).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The purpose.
    pub purpose: String,
    /// The channel; empty: the purpose as a whole.
    #[serde(default)]
    pub channel: String,
    /// The version of the wording that was shown.
    #[serde(default)]
    pub notice_version: String,
    /// Hexadecimal SHA-256 of the wording.
    #[serde(default)]
    pub notice_hash: String,
    /// The language it was shown in.
    #[serde(default)]
    pub locale: String,
    /// Where it was asked.
    #[serde(default)]
    pub source: String,
    /// What the token hashes to.
    pub token_hash: String,
    /// From when on the token opens nothing.
    pub expires: Instant,
}

/// The four facts of UWG § 7(3), under which advertising by electronic mail needs no consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoftOptIn {
    /// The purpose.
    pub purpose: String,
    /// The channel the address is for: `email`, `sms`, …
    pub channel: String,
    /// No. 1: the address came from the customer with a sale.
    pub from_sale: bool,
    /// No. 2: it is used for one's own similar goods or services.
    pub similar_goods: bool,
    /// No. 3: the customer has not objected.
    pub not_objected: bool,
    /// No. 4: the right to object was pointed out when the address was taken, and is at each use.
    pub informed: bool,
    /// Where these facts are on record.
    #[serde(default)]
    pub source: String,
}

impl SoftOptIn {
    /// Which of the four facts are missing, by their names in files.
    pub fn missing(&self) -> Vec<&'static str> {
        let facts = [
            ("from_sale", self.from_sale),
            ("similar_goods", self.similar_goods),
            ("not_objected", self.not_objected),
            ("informed", self.informed),
        ];
        facts.into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name).collect()
    }
}

/// Who ordered something about a person as a whole, and why. No personal data belongs into it: it lies open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// Who.
    #[serde(default)]
    pub by: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// The request or file it belongs to.
    #[serde(default)]
    pub reference: String,
}

/// As [`Ordered`], for callers.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Who orders it.
    pub by: &'a str,
    /// Why.
    pub reason: &'a str,
    /// The request or file it belongs to.
    pub reference: &'a str,
}

impl From<&Order<'_>> for Ordered {
    fn from(order: &Order<'_>) -> Self {
        let text = |text: &str| text.chars().take(200).collect();
        Self { by: text(order.by), reason: text(order.reason), reference: text(order.reference) }
    }
}

/// What is no word about a purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// A confirmation was asked for.
    Asked(Asked),
    /// The facts of UWG § 7(3) were recorded.
    SoftOptIn(SoftOptIn),
    /// Processing is restricted (Art. 18).
    Restricted(Ordered),
    /// It no longer is.
    RestrictionLifted(Ordered),
    /// The person objects to direct marketing (Art. 21(2)).
    Objected(Ordered),
    /// The person took that back.
    ObjectionLifted(Ordered),
}

impl Act {
    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What it is, in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Asked(_) => "asked",
            Self::SoftOptIn(_) => "soft_opt_in",
            Self::Restricted(_) => "restricted",
            Self::RestrictionLifted(_) => "restriction_lifted",
            Self::Objected(_) => "objected",
            Self::ObjectionLifted(_) => "objection_lifted",
        }
    }
}

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A word about a purpose.
    Said(ConsentGiven),
    /// An act.
    Act(Act),
}

impl Entry {
    /// Reads a payload of `mr.consents`; `None` where it is none.
    pub fn read(open: &[u8]) -> Option<Self> {
        match serde_json::from_slice(open) {
            Ok(given) => Some(Self::Said(given)),
            Err(_) => serde_json::from_slice(open).ok().map(Self::Act),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_version_reads_and_writes_as_it_did() {
        let bytes = br#"{"purpose":"ads","status":"granted","notice_version":"2026-01","source":"form"}"#;
        let Some(Entry::Said(given)) = Entry::read(bytes) else { panic!() };
        assert_eq!(
            (given.purpose.as_str(), given.status, given.channel.as_str()),
            ("ads", Status::Granted, "")
        );
        // The record's id is made from these bytes: an import that is repeated must not be another record.
        assert_eq!(given.to_payload(), bytes);
        assert!(matches!(Entry::read(br#"{"purpose":"ads","status":"denied"}"#), Some(Entry::Said(_))));
    }

    #[test]
    fn acts_read_back_and_are_no_words() {
        let ordered =
            Ordered { by: "dpo".into(), reason: "accuracy contested".into(), reference: "R-1".into() };
        let asked = Asked {
            purpose: "news".into(),
            channel: "email".into(),
            notice_version: String::new(),
            notice_hash: String::new(),
            locale: "de".into(),
            source: "form".into(),
            token_hash: "00".into(),
            expires: Instant::from_micros(9),
        };
        for act in [Act::Restricted(ordered.clone()), Act::ObjectionLifted(ordered), Act::Asked(asked)] {
            assert_eq!(Entry::read(&act.to_payload()), Some(Entry::Act(act)));
        }
        for noise in
            [&b"{}"[..], b"[]", b"{\"act\":\"unknown\"}", b"{\"purpose\":\"a\",\"status\":\"GRANTED\"}", b""]
        {
            assert_eq!(Entry::read(noise), None);
        }
    }

    #[test]
    fn the_facts_that_are_missing_are_named() {
        let mut facts = SoftOptIn {
            purpose: "news".into(),
            channel: "email".into(),
            from_sale: true,
            similar_goods: true,
            not_objected: true,
            informed: true,
            source: String::new(),
        };
        assert!(facts.missing().is_empty());
        (facts.informed, facts.from_sale) = (false, false);
        assert_eq!(facts.missing(), ["from_sale", "informed"]);
    }
}
