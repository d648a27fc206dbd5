//! The payload of `mr.links`: identifiers that came together in one record.

use event::Subject;
use serde::{Deserialize, Serialize};

use crate::Rules;

/// The stream of links, in the control partition. Payloads hold pseudonyms only, so they lie open.
pub const LINKS: &str = "mr.links";

/// Identifiers that came together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// In any order.
    pub ids: Vec<LinkedId>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkedId {
    /// Its type: `user_id`, `email`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Its pseudonym.
    pub subject: Subject,
}

impl Link {
    /// A link of (type, pseudonym) pairs.
    pub fn new<K: Into<String>>(ids: impl IntoIterator<Item = (K, Subject)>) -> Self {
        let ids = ids.into_iter().map(|(kind, subject)| LinkedId { kind: kind.into(), subject });
        Self { ids: ids.collect() }
    }

    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        // Strings and pseudonyms: there is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The identifiers, the most trusted first, each once.
    pub(crate) fn ranked(self, rules: &Rules) -> Vec<LinkedId> {
        let mut ids = self.ids;
        // Who belongs to a household together is not one person.
        ids.retain(|id| !id.subject.is_none() && !rules.is_entity(&id.kind));
        let order = |a: &LinkedId, b: &LinkedId| {
            (rules.rank(&a.kind), a.subject).cmp(&(rules.rank(&b.kind), b.subject))
        };
        ids.sort_by(order);
        let mut seen = std::collections::BTreeSet::new();
        ids.retain(|id| seen.insert(id.subject));
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_what_intake_writes() {
        let text = r#"{"ids":[{"type":"user_id","subject":"01010101010101010101010101010101"}]}"#;
        let link = Link::new([("user_id", Subject::from_bytes([1; 16]))]);
        assert_eq!(serde_json::from_str::<Link>(text).unwrap(), link);
        assert_eq!(String::from_utf8(link.to_payload()).unwrap(), text);
    }

    #[test]
    fn doubles_and_nobody_drop_out() {
        let (a, b) = (Subject::from_bytes([1; 16]), Subject::from_bytes([2; 16]));
        let link = Link::new([("phone", b), ("phone", Subject::NONE), ("email", a), ("phone", b)]);
        let ranked: Vec<_> = link.ranked(&Rules::default()).into_iter().map(|id| id.subject).collect();
        assert_eq!(ranked, [a, b]);
    }
}
