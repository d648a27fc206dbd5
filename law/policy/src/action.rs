//! Callers, what they may do, and what they ask to do.

use serde::{Deserialize, Serialize};

/// What an API key, or a part of the house, may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Send records in.
    Track,
    /// Record consents and withdrawals.
    Consent,
    /// Read profiles and features.
    Read,
    /// Ask for decisions and report outcomes.
    Decide,
    /// Make datasets and models.
    Train,
    /// Hand decisions to the tools that send.
    Send,
    /// Take data out.
    Export,
    /// Everything, keys included.
    Admin,
    /// Run jobs of the project.
    Jobs,
    /// Answer for data protection: rights of people, erasure, audit, registers. Last: stored keys know scopes by their
    /// place.
    Protect,
}

impl Scope {
    /// Every scope, for messages and help.
    pub const ALL: [Self; 10] = [
        Self::Track,
        Self::Consent,
        Self::Read,
        Self::Decide,
        Self::Train,
        Self::Send,
        Self::Export,
        Self::Jobs,
        Self::Protect,
        Self::Admin,
    ];

    /// The spelling in settings and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Consent => "consent",
            Self::Read => "read",
            Self::Decide => "decide",
            Self::Train => "train",
            Self::Send => "send",
            Self::Export => "export",
            Self::Admin => "admin",
            Self::Jobs => "jobs",
            Self::Protect => "protect",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| UnknownScope { text: text.chars().take(64).collect() })
    }
}

/// A text that names no scope.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is no scope: {} is expected", expected())]
pub struct UnknownScope {
    text: String,
}

fn expected() -> String {
    Scope::ALL.map(Scope::as_str).join(", ")
}

/// What is to be done with a person's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Read feature values.
    ReadFeatures,
    /// Read a profile: identifiers and traits.
    ReadProfile,
    /// Choose an action for the person.
    Decide,
    /// Learn from the person's data.
    Train,
    /// Hand the person's address to a tool that sends.
    Send,
    /// Take the person's data out of the house.
    Export,
    /// What the law allows even of restricted data (Art. 17(3), 18(2)): keep it, prove a consent, answer the person
    /// herself, defend a claim.
    Claims,
}

impl Action {
    /// The scope that allows it.
    pub fn scope(self) -> Scope {
        match self {
            Self::ReadFeatures | Self::ReadProfile => Scope::Read,
            Self::Decide => Scope::Decide,
            Self::Train => Scope::Train,
            Self::Send => Scope::Send,
            Self::Export => Scope::Export,
            Self::Claims => Scope::Consent,
        }
    }

    /// The name in records and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadFeatures => "read_features",
            Self::ReadProfile => "read_profile",
            Self::Decide => "decide",
            Self::Train => "train",
            Self::Send => "send",
            Self::Export => "export",
            Self::Claims => "claims",
        }
    }
}

/// Who asks: the holder of an API key, a person, or a part of the house.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    name: String,
    scopes: Vec<Scope>,
    roles: Vec<Box<str>>,
}

impl Principal {
    /// A caller whose right to call itself so was checked by whoever makes this value.
    /// Where `admin` is among the scopes, it has all of them.
    pub fn new(name: impl Into<String>, scopes: impl IntoIterator<Item = Scope>) -> Self {
        let scopes: Vec<Scope> = scopes.into_iter().collect();
        let scopes = if scopes.contains(&Scope::Admin) { Scope::ALL.to_vec() } else { scopes };
        Self { name: name.into(), scopes, roles: Vec::new() }
    }

    /// A caller with these scopes to the letter: `admin` among them brings no other.
    pub fn exactly(name: impl Into<String>, scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self { name: name.into(), scopes: scopes.into_iter().collect(), roles: Vec::new() }
    }

    /// The same caller in these roles; what a role may do is up to the policies.
    #[must_use]
    pub fn with_roles<R: Into<Box<str>>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// The name in records and messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its roles; none: they follow from its scopes.
    pub fn roles(&self) -> &[Box<str>] {
        &self.roles
    }

    /// Its scopes.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// True where `scope` is one of its scopes.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_and_do_not_widen() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
            let principal = Principal::new("p", [scope]);
            for other in Scope::ALL {
                assert_eq!(principal.has(other), other == scope || scope == Scope::Admin);
            }
        }
        assert!(!Principal::new("p", []).has(Scope::Track));
        assert!(!Principal::exactly("p", [Scope::Admin]).has(Scope::Track));
        let error = "root".parse::<Scope>().unwrap_err().to_string();
        assert!(error.contains("`root`") && error.contains("admin"), "{error}");
    }
}
