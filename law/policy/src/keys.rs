//! API keys: shown once, stored as a salted hash, scoped, expiring, revocable.
//!
//! A key reads `mr_<id>_<secret>`. The secret has 256 random bits, so a fast hash is enough: there is nothing
//! to guess.

use std::sync::Arc;

use event::{Instant, Record};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{Emissions, Fold, Scope as StoreScope, Stored, Table};
use zeroize::Zeroizing;

use crate::{Principal, Scope};

/// The stream of API keys, in the control partition.
pub const KEYS: &str = "mr.keys";

const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

/// What is kept of an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The public part, which names it.
    pub id: String,
    /// Hexadecimal SHA-256 of salt, id and secret.
    pub hash: String,
    /// Hexadecimal.
    pub salt: String,
    /// Whose it is, for people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Since when it is valid.
    pub created: Instant,
    /// From when on it is not.
    pub expires: Option<Instant>,
    /// Its role; none: it follows from the scopes. Last: older keys have none.
    #[serde(default)]
    pub role: Option<String>,
}

/// The payload of a record in `mr.keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyEvent {
    /// A key was made.
    Created(ApiKey),
    /// A key is no longer valid.
    Revoked {
        /// The key's public part.
        id: String,
    },
}

impl KeyEvent {
    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        // Strings, numbers and lists: there is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// A new key: the record to append, and the text to show once.
pub struct Issued {
    /// `mr_<id>_<secret>`; kept nowhere.
    pub text: Zeroizing<String>,
    /// What to append to `mr.keys`.
    pub event: KeyEvent,
}

/// Why a key does not open the door. To someone without a secret, all forged keys look the same.
#[derive(Debug, thiserror::Error)]
pub enum KeyRefused {
    /// MR3020, explained in docs/errors/MR3020.md
    #[error("MR3020: this is no API key of this house")]
    Unknown,
    /// MR3021, explained in docs/errors/MR3021.md
    #[error("MR3021: the API key `{name}` expired on {expires}")]
    Expired {
        /// Whose it is.
        name: String,
        /// Since when it is not valid.
        expires: Instant,
    },
    /// MR3022, explained in docs/errors/MR3022.md
    #[error("MR3022: the API key `{name}` was revoked on {at}")]
    Revoked {
        /// Whose it is.
        name: String,
        /// When.
        at: Instant,
    },
    /// MR3023, explained in docs/errors/MR3023.md
    #[error("MR3023: API keys cannot be read, so nobody is let in: {0}")]
    Unreadable(#[from] store::Error),
}

impl KeyRefused {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "MR3020",
            Self::Expired { .. } => "MR3021",
            Self::Revoked { .. } => "MR3022",
            Self::Unreadable(_) => "MR3023",
        }
    }
}

impl ApiKey {
    /// Makes a key. Nothing is stored until [`Issued::event`] is appended.
    ///
    /// # Errors
    /// [`vault::Error`] where the system gives no randomness.
    pub fn issue(
        name: &str,
        scopes: &[Scope],
        now: Instant,
        expires: Option<Instant>,
    ) -> Result<Issued, vault::Error> {
        let id = hex(&vault::random::<ID_BYTES>()?);
        let secret = Zeroizing::new(hex(&*Zeroizing::new(vault::random::<SECRET_BYTES>()?)));
        let salt = hex(&vault::random::<SALT_BYTES>()?);
        let text = Zeroizing::new(format!("mr_{id}_{}", *secret));
        let (name, scopes, role) = (name.to_owned(), scopes.to_vec(), None);
        let key =
            Self { hash: hash(&salt, &id, &secret), id, salt, name, scopes, created: now, expires, role };
        Ok(Issued { text, event: KeyEvent::Created(key) })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(salt: &str, id: &str, secret: &str) -> String {
    let mut hash = Sha256::new();
    for part in ["maschinenraum/api-key/v1", salt, id, secret] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

/// A key as folded: made, revoked, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    key: Option<ApiKey>,
    revoked_at: Option<Instant>,
}

/// The API keys of the house.
pub struct KeyTables {
    keys: Table<String, Row>,
}

impl KeyTables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &StoreScope) -> Self {
        Self { keys: Table::open(scope, "api_keys") }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.keys]
    }

    /// The caller that holds the key `text`.
    ///
    /// # Errors
    /// [`KeyRefused`] where it is none, has expired or was revoked.
    pub fn verify(&self, text: &str, now: Instant) -> Result<Principal, KeyRefused> {
        let (id, secret) = parse(text).ok_or(KeyRefused::Unknown)?;
        let row = self.keys.peek(&id.to_owned())?.unwrap_or_else(|| Arc::new(Row::default()));
        let Some(key) = &row.key else {
            // The same work as for a known id, so that the time tells nothing.
            let _ = vault::constant_time_eq(hash("", id, secret).as_bytes(), hash("", "", "").as_bytes());
            return Err(KeyRefused::Unknown);
        };
        if !vault::constant_time_eq(hash(&key.salt, id, secret).as_bytes(), key.hash.as_bytes()) {
            return Err(KeyRefused::Unknown);
        }
        if let Some(at) = row.revoked_at {
            return Err(KeyRefused::Revoked { name: key.name.clone(), at });
        }
        match key.expires {
            Some(expires) if now >= expires => Err(KeyRefused::Expired { name: key.name.clone(), expires }),
            _ => {
                let principal = Principal::new(key.name.clone(), key.scopes.iter().copied());
                Ok(principal.with_roles(key.role.clone()))
            }
        }
    }

    /// Visits all keys in order of their ids, each with when it was revoked.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn scan(&self, mut visit: impl FnMut(&ApiKey, Option<Instant>)) -> Result<(), store::Error> {
        self.keys.scan(|_, row| {
            if let Some(key) = &row.key {
                visit(key, row.revoked_at);
            }
        })
    }
}

fn parse(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix("mr_")?.split_once('_')?;
    let is_hex = |part: &str, n: usize| part.len() == 2 * n && part.bytes().all(|b| b.is_ascii_hexdigit());
    (is_hex(id, ID_BYTES) && is_hex(secret, SECRET_BYTES)).then_some((id, secret))
}

/// Folds `mr.keys`; other streams leave it untouched.
pub struct KeyFold;

impl Fold<Record> for KeyFold {
    type Tables = KeyTables;

    fn fold(&self, tables: &mut KeyTables, record: &Record, _: &mut Emissions) -> Result<(), store::Error> {
        // Under a subject it would lie in some subject's partition, and whoever writes records for subjects
        // is not whoever may make keys.
        if record.stream.as_str() != KEYS || !record.subject.is_none() {
            return Ok(());
        }
        match serde_json::from_slice(&record.payload.open) {
            // The first stands: a second record of the same id cannot swap the hash or widen the scopes.
            Ok(KeyEvent::Created(key)) => tables.keys.update(&key.id.clone(), |row| {
                row.key.get_or_insert(key);
            }),
            Ok(KeyEvent::Revoked { id }) => tables.keys.update(&id, |row| {
                let at = row.revoked_at.get_or_insert(record.known_at);
                *at = (*at).min(record.known_at);
            }),
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Partition, Payload, RecordId, StreamName, Subject, Version};
    use proptest::prelude::*;

    fn at(micros: i64) -> Instant {
        Instant::from_micros(micros)
    }

    fn record(event: &KeyEvent, known: i64) -> Record {
        Record {
            id: RecordId::external(KEYS, &event.to_payload()),
            stream: StreamName::new(KEYS),
            contract: Version::new(1, 0, 0),
            subject: Subject::NONE,
            occurred_at: at(known),
            known_at: at(known),
            batch: None,
            cause: None,
            source: None,
            key_epoch: 0,
            payload: Payload { open: event.to_payload().into(), cells: Vec::new() },
        }
    }

    fn fold(tables: &mut KeyTables, event: &KeyEvent, known: i64) {
        KeyFold.fold(tables, &record(event, known), &mut Emissions::default()).unwrap();
    }

    fn issued(expires: Option<Instant>) -> (KeyTables, Issued) {
        let mut tables = KeyTables::open(&StoreScope::memory(Partition::CONTROL));
        let issued = ApiKey::issue("shop", &[Scope::Track, Scope::Read], at(10), expires).unwrap();
        fold(&mut tables, &issued.event, 10);
        (tables, issued)
    }

    fn check(tables: &KeyTables, text: &str, now: i64, code: Option<&str>) {
        assert_eq!(tables.verify(text, at(now)).err().map(|e| e.code()), code);
    }

    #[test]
    fn a_key_lets_its_holder_in_with_its_scopes() {
        let (tables, issued) = issued(Some(at(100)));
        let principal = tables.verify(&issued.text, at(99)).unwrap();
        assert_eq!(principal, Principal::new("shop", [Scope::Track, Scope::Read]));
        check(&tables, &issued.text, 100, Some("MR3021"));
    }

    #[test]
    fn what_is_stored_does_not_hold_the_secret() {
        let (_, issued) = issued(None);
        let secret = issued.text.rsplit('_').next().unwrap();
        assert_eq!(secret.len(), 64);
        let stored = String::from_utf8(issued.event.to_payload()).unwrap();
        assert!(!stored.contains(secret) && !stored.contains(&secret[..16]));
    }

    #[test]
    fn forged_keys_are_all_the_same() {
        let (tables, issued) = issued(None);
        let (id, secret) = parse(&issued.text).unwrap();
        let forged = [
            String::new(),
            "mr__".into(),
            format!("mr_{id}_"),
            format!("mr_{id}_{}", "0".repeat(64)),
            format!("mr_{}_{secret}", "0".repeat(16)),
            format!("MR_{id}_{secret}"),
            format!("mr_{id}_{secret}0"),
            format!(" mr_{id}_{secret}"),
            format!("mr_{id}_{}", secret.to_uppercase() + "G"),
            "' OR 1=1 --".into(),
            "mr_🦀🦀_🦀".into(),
        ];
        for text in forged {
            check(&tables, &text, 20, Some("MR3020"));
        }
    }

    #[test]
    fn a_revoked_key_stays_revoked_and_a_key_cannot_be_swapped() {
        let (mut tables, issued) = issued(None);
        let KeyEvent::Created(key) = issued.event.clone() else { panic!() };
        let other = ApiKey::issue("thief", &[Scope::Admin], at(11), None).unwrap();
        let KeyEvent::Created(mut swapped) = other.event.clone() else { panic!() };
        swapped.id = key.id.clone();
        fold(&mut tables, &KeyEvent::Created(swapped), 11);
        assert_eq!(tables.verify(&issued.text, at(20)).unwrap().name(), "shop");
        fold(&mut tables, &KeyEvent::Revoked { id: key.id.clone() }, 30);
        check(&tables, &issued.text, 31, Some("MR3022"));
        fold(&mut tables, &issued.event, 40);
        check(&tables, &issued.text, 41, Some("MR3022"));
        // Someone who does not hold the secret learns nothing about it.
        check(&tables, &format!("mr_{}_{}", key.id, "0".repeat(64)), 41, Some("MR3020"));
        let mut seen = Vec::new();
        tables.scan(|key, revoked| seen.push((key.name.clone(), revoked))).unwrap();
        assert_eq!(seen, [("shop".to_owned(), Some(at(30)))]);
    }

    /// Whoever may write records for subjects may not thereby make keys.
    #[test]
    fn a_key_that_comes_under_a_subject_is_none() {
        let (mut tables, _) = issued(None);
        let forged = ApiKey::issue("thief", &[Scope::Admin], at(11), None).unwrap();
        let mut record = record(&forged.event, 11);
        record.subject = Subject::from_bytes([1; 16]);
        KeyFold.fold(&mut tables, &record, &mut Emissions::default()).unwrap();
        check(&tables, &forged.text, 20, Some("MR3020"));
        record.subject = Subject::NONE;
        record.stream = StreamName::new("orders");
        KeyFold.fold(&mut tables, &record, &mut Emissions::default()).unwrap();
        check(&tables, &forged.text, 20, Some("MR3020"));
    }

    proptest! {
        #[test]
        fn nothing_else_is_a_key(text in "(mr_)?[0-9a-f_]{0,90}|.{0,40}") {
            let (tables, _) = issued(None);
            check(&tables, &text, 20, Some("MR3020"));
        }
    }
}
