//! When identifiers are held to be one person: priorities, limits and blocked values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Error;

const USER_ID: &str = "user_id";

/// The rules of identity resolution, as the settings write them. Every part has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Identifier types, the most trusted first. Types not listed come after them in alphabetical order.
    pub priority: Vec<String>,
    /// How many identifiers of a type one profile may have.
    pub limits: BTreeMap<String, usize>,
    /// The limit of types not listed.
    pub default_limit: usize,
    /// Values that name nobody, besides the usual ones (`null`, `anonymous`, `-1`, zeros, …); capitals and
    /// surrounding white space do not matter.
    pub blocked: Vec<String>,
    /// Types of identifiers that name no person but what people belong to: households, accounts. What comes in one record
    /// with one of them belongs to it and is never linked with it.
    pub entities: Vec<String>,
    /// Whose word on a trait counts.
    pub traits: Precedence,
}

/// Whose word on a trait counts, where streams differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Precedence {
    /// Streams, the most trusted first. Those not listed come after them and are equals: the latest word stands.
    pub order: Vec<String>,
    /// The same for single traits, instead.
    pub of: BTreeMap<String, Vec<String>>,
}

impl Precedence {
    /// Sorts before what is trusted less.
    pub(crate) fn rank(&self, name: &str, stream: &str) -> usize {
        let order = self.of.get(name).unwrap_or(&self.order);
        order.iter().position(|known| known == stream).unwrap_or(order.len())
    }

    /// All streams that are named, with the setting that names them.
    pub fn streams(&self) -> impl Iterator<Item = (String, &str)> {
        let order = self.order.iter().map(|stream| ("traits.order".to_owned(), stream.as_str()));
        let of = self.of.iter().flat_map(|(name, order)| {
            order.iter().map(move |stream| (format!("traits.of.{name}"), stream.as_str()))
        });
        order.chain(of)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            priority: vec![USER_ID.into(), "email".into()],
            limits: BTreeMap::from([(USER_ID.into(), 1)]),
            default_limit: 5,
            blocked: Vec::new(),
            entities: vec!["household".into(), "account".into()],
            traits: Precedence::default(),
        }
    }
}

impl Rules {
    /// Refuses rules that cannot hold.
    ///
    /// # Errors
    /// [`Error::BadRule`] for a limit of 0, and for more than one `user_id`: two users are two people, and no
    /// rule makes them one.
    pub fn check(&self) -> Result<(), Error> {
        let bad = |key: String, why: &str| Err(Error::BadRule { key, why: why.into() });
        if self.default_limit == 0 {
            return bad("default_limit".into(), "a limit of 0 would forbid every profile");
        }
        for (kind, limit) in &self.limits {
            if *limit == 0 {
                return bad(format!("limits.{kind}"), "a limit of 0 would forbid every profile");
            }
            if kind == USER_ID && *limit != 1 {
                return bad(format!("limits.{kind}"), "two users are two people; the limit is 1");
            }
        }
        let mut entities = std::collections::BTreeSet::new();
        for kind in &self.entities {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if kind.is_empty() || kind.len() > 64 || !kind.chars().all(fits) {
                return bad("entities".into(), &format!("`{kind}` is no type: up to 64 of a-z, 0-9 and _"));
            }
            if self.priority.contains(kind) || self.limits.contains_key(kind) || kind == USER_ID {
                let why = format!(
                    "`{kind}` cannot be an entity and, in `priority` or `limits`, a person's identifier"
                );
                return bad("entities".into(), &why);
            }
            if !entities.insert(kind) {
                return bad("entities".into(), &format!("`{kind}` is listed twice"));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        for (setting, stream) in self.traits.streams() {
            if !seen.insert((setting.clone(), stream)) {
                return bad(setting, &format!("`{stream}` is listed twice"));
            }
        }
        Ok(())
    }

    /// True where an identifier names somebody and may become a subject. Intake drops the others.
    pub fn admits(&self, kind: &str, value: &str) -> bool {
        let value = value.trim();
        contract::names_somebody(kind, value)
            && !self.blocked.iter().any(|b| b.trim().to_lowercase() == value.to_lowercase())
    }

    /// True where identifiers of `kind` name what people belong to, and nobody.
    pub fn is_entity(&self, kind: &str) -> bool {
        self.entities.iter().any(|known| known == kind)
    }

    /// How many identifiers of `kind` one profile may have.
    pub fn limit(&self, kind: &str) -> usize {
        if kind == USER_ID { 1 } else { self.limits.get(kind).copied().unwrap_or(self.default_limit) }
    }

    /// Sorts before what is trusted less.
    pub(crate) fn rank<'a>(&self, kind: &'a str) -> (usize, &'a str) {
        (self.priority.iter().position(|k| k == kind).unwrap_or(self.priority.len()), kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_nobody() {
        let rules = Rules { blocked: vec![" Gast ".into()], ..Rules::default() };
        for value in ["", "0", "00-00", "-1", "null", "Anonymous", "undefined", " GAST", "gast"] {
            assert!(!rules.admits(USER_ID, value), "{value:?}");
        }
        for value in ["7", "gast@example.com", "10", "🦀", "no"] {
            assert!(rules.admits(USER_ID, value), "{value:?}");
        }
    }

    #[test]
    fn two_users_are_never_one_whatever_the_settings_say() {
        let rules: Rules = serde_json::from_str(r#"{"limits":{"user_id":3}}"#).unwrap();
        assert!(matches!(rules.check(), Err(Error::BadRule { key, .. }) if key == "limits.user_id"));
        assert_eq!(rules.limit(USER_ID), 1);
        let rules: Rules = serde_json::from_str(r#"{"limits":{"phone":0}}"#).unwrap();
        assert!(rules.check().unwrap_err().to_string().contains("limits.phone"));
        assert!(Rules::default().check().is_ok());
        assert!(serde_json::from_str::<Rules>(r#"{"limit":{}}"#).is_err());
    }

    #[test]
    fn an_entity_is_nobody() {
        let rules = Rules::default();
        assert!(rules.is_entity("household") && rules.is_entity("account") && !rules.is_entity(USER_ID));
        for (text, why) in [
            (r#"{"entities":["user_id"]}"#, "cannot be an entity"),
            (r#"{"entities":["email"]}"#, "cannot be an entity"),
            (r#"{"entities":["club","club"]}"#, "listed twice"),
            (r#"{"entities":["Club!"]}"#, "no type"),
            (r#"{"entities":[""]}"#, "no type"),
        ] {
            let rules: Rules = serde_json::from_str(text).unwrap();
            let said = rules.check().unwrap_err().to_string();
            assert!(said.contains(why) && said.contains("`entities`"), "{said}");
        }
    }

    #[test]
    fn what_is_trusted_most_comes_first() {
        let rules = Rules::default();
        let mut kinds = ["phone", "email", "anonymous_id", "user_id"];
        kinds.sort_by_key(|kind| rules.rank(kind));
        assert_eq!(kinds, ["user_id", "email", "anonymous_id", "phone"]);
    }
}
