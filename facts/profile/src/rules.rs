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
    fn what_is_trusted_most_comes_first() {
        let rules = Rules::default();
        let mut kinds = ["phone", "email", "anonymous_id", "user_id"];
        kinds.sort_by_key(|kind| rules.rank(kind));
        assert_eq!(kinds, ["user_id", "email", "anonymous_id", "phone"]);
    }
}
