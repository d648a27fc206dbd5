//! API keys: made, shown once, checked, revoked.

use audit::Act;
use event::{Instant, RecordId, Subject};
use policy::{ApiKey, KEYS, KeyEvent, Principal, Scope};
use serde_json::json;

use crate::Error;
use crate::house::House;

/// A new key. Its text is shown once and kept nowhere.
pub struct NewKey {
    /// Its public part.
    pub id: String,
    /// The whole key.
    pub text: zeroize::Zeroizing<String>,
}

impl House {
    /// Makes an API key; durable and in force when this returns.
    ///
    /// * `by`: who orders it
    ///
    /// # Errors
    /// [`Error::Internal`] where the system has no randomness; whatever the journal says.
    pub fn create_key(
        &self,
        by: &str,
        name: &str,
        scopes: &[Scope],
        expires: Option<Instant>,
    ) -> Result<NewKey, Error> {
        self.create_key_in(by, name, scopes, None, expires)
    }

    /// As [`House::create_key`], in a role: its policies say what the key may do, and its scopes limit that further. No
    /// scopes: those that the role opens.
    ///
    /// # Errors
    /// As [`House::create_key`]; [`Error::Roles`] where there is no such role.
    pub fn create_key_in(
        &self,
        by: &str,
        name: &str,
        scopes: &[Scope],
        role: Option<&str>,
        expires: Option<Instant>,
    ) -> Result<NewKey, Error> {
        let opened = match role {
            Some(role) => self.roles().person(name, &[role.to_owned()])?.scopes().to_vec(),
            None => Vec::new(),
        };
        let scopes = if scopes.is_empty() { opened.as_slice() } else { scopes };
        let mut issued = ApiKey::issue(name, scopes, self.now(), expires)?;
        let KeyEvent::Created(key) = &mut issued.event else {
            return Err(Error::Internal { reason: "a new key is none".to_owned() });
        };
        key.role = role.map(str::to_owned);
        let id = key.id.clone();
        let record = RecordId::external(KEYS, format!("created {id}").as_bytes());
        let act = Act {
            detail: json!({ "key": id, "name": name, "scopes": scopes, "role": role, "expires": expires }),
            ..Act::new("key.issue", by)
        };
        self.append_audited(&act, KEYS, Subject::NONE, record, None, issued.event.to_payload())?;
        Ok(NewKey { id, text: issued.text })
    }

    /// Revokes a key; no longer in force when this returns.
    ///
    /// # Errors
    /// [`Error::NotFound`]
    pub fn revoke_key(&self, by: &str, id: &str) -> Result<(), Error> {
        if !self.keys()?.iter().any(|(key, _)| key.id == id) {
            return Err(Error::NotFound { what: "API key", id: id.chars().take(64).collect() });
        }
        let payload = KeyEvent::Revoked { id: id.to_owned() }.to_payload();
        let record = RecordId::external(KEYS, format!("revoked {id}").as_bytes());
        let act = Act { detail: json!({ "key": id }), ..Act::new("key.revoke", by) };
        self.append_audited(&act, KEYS, Subject::NONE, record, None, payload)?;
        Ok(())
    }

    /// Every key, without its secret, and when it was revoked.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn keys(&self) -> Result<Vec<(ApiKey, Option<Instant>)>, Error> {
        let mut keys = Vec::new();
        self.in_control(|rooms| rooms.keys.scan(|key, revoked| keys.push((key.clone(), revoked))))?;
        Ok(keys)
    }

    /// Whom a key belongs to.
    ///
    /// # Errors
    /// [`Error::Key`]
    pub fn authenticate(&self, text: &str) -> Result<Principal, Error> {
        let now = self.now();
        let holder = self.in_control(|rooms| Ok(rooms.keys.verify(text, now)))??;
        // What the policies do not open stays shut, whatever the key says.
        Ok(self.roles().admit(holder))
    }
}
