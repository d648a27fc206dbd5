//! `[policies]` and `[login]` of the settings.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Roles of the project's own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySettings {
    /// Names of roles that `policies/*.cedar` speaks of beside the built-in ones.
    pub roles: Vec<String>,
}

/// How people come in: an OpenID Connect provider, and which of its groups is which role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginSettings {
    /// The provider, as its tokens call it; empty: nobody logs in.
    pub issuer: String,
    /// What the provider calls this server.
    pub client_id: String,
    /// `env:NAME` or `file:PATH` of the client's secret; empty: a public client, with PKCE alone.
    pub client_secret: String,
    /// Where browsers reach this server: `https://engine.example`.
    pub url: String,
    /// What is asked of the provider beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that names a person.
    pub name_claim: String,
    /// The claim that holds a person's groups.
    pub groups_claim: String,
    /// The role of each group; who is in none of them is not let in.
    pub roles: BTreeMap<String, String>,
    /// How long a session lasts.
    pub session_minutes: u32,
    /// How far the provider's clock may be off.
    pub skew_seconds: u32,
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            client_id: "maschinenraum".to_owned(),
            client_secret: String::new(),
            url: "http://127.0.0.1:8600".to_owned(),
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            name_claim: "email".to_owned(),
            groups_claim: "groups".to_owned(),
            roles: BTreeMap::new(),
            session_minutes: 60,
            skew_seconds: 60,
        }
    }
}

impl LoginSettings {
    /// True where people log in.
    pub fn is_on(&self) -> bool {
        !self.issuer.is_empty()
    }

    /// What is wrong with it.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if !self.is_on() {
            return wrong;
        }
        for (name, url) in [("issuer", &self.issuer), ("url", &self.url)] {
            if !is_safe(url) {
                wrong.push(format!(
                    "[login] {name}: `{url}` begins with neither https:// nor http:// and an address of this machine"
                ));
            }
        }
        let secret = &self.client_secret;
        if !(secret.is_empty() || secret.starts_with("env:") || secret.starts_with("file:")) {
            // The value is not quoted: it may be the secret itself.
            wrong.push(
                "[login] client_secret must refer to a secret as `file:PATH` or `env:NAME`, not hold it"
                    .to_owned(),
            );
        }
        if self.client_id.is_empty() {
            wrong.push("[login] client_id is empty".to_owned());
        }
        if !(1..=1_440).contains(&self.session_minutes) {
            wrong.push(format!(
                "[login] session_minutes = {} is not between 1 and 1440",
                self.session_minutes
            ));
        }
        if self.skew_seconds > 300 {
            wrong.push(format!("[login] skew_seconds = {} is more than 300", self.skew_seconds));
        }
        if self.roles.is_empty() {
            wrong.push("[login.roles] is empty: nobody could come in".to_owned());
        }
        wrong
    }
}

/// In clear text only to this machine itself.
fn is_safe(url: &str) -> bool {
    let plain = url.strip_prefix("http://").map(|rest| rest.split(['/', ':']).next().unwrap_or_default());
    url.starts_with("https://") || plain.is_some_and(|host| matches!(host, "127.0.0.1" | "localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut LoginSettings), word: &str) {
        let mut settings =
            LoginSettings { issuer: "https://id.example".to_owned(), ..LoginSettings::default() };
        settings.roles.insert("staff".to_owned(), "analyst".to_owned());
        assert_eq!(settings.wrong(), Vec::<String>::new());
        change(&mut settings);
        let wrong = settings.wrong().join("; ");
        assert!(wrong.contains(word) && !wrong.contains("hunter2"), "{wrong}");
    }

    #[test]
    fn bad_settings_are_told_apart() {
        check(|s| s.issuer = "http://id.example".to_owned(), "issuer: `http://id.example`");
        check(|s| s.url = "ftp://127.0.0.1".to_owned(), "url");
        check(|s| s.url = "http://127.0.0.1.evil.example".to_owned(), "url");
        check(|s| s.client_secret = "hunter2".to_owned(), "client_secret must refer");
        check(|s| s.session_minutes = 0, "session_minutes = 0");
        check(|s| s.skew_seconds = 301, "skew_seconds = 301");
        check(|s| s.roles.clear(), "nobody could come in");
        assert!(!LoginSettings::default().is_on() && LoginSettings::default().wrong().is_empty());
    }
}
