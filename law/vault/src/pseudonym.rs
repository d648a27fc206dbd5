//! Identifiers become subjects: a keyed hash, so that nobody without the key can try out addresses.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use event::Subject;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Error;
use crate::key::Key;

/// The one spelling of an identifier's value: surrounding white space goes, and an `email` is in lower case.
///
/// Nothing else is changed: a phone number with and without spaces are two subjects unless the contract's
/// mapping cleans it. E-mail addresses differing only in case are one person in every mail system we know of,
/// although RFC 5321 would allow otherwise.
pub fn normalise<'a>(kind: &str, value: &'a str) -> Cow<'a, str> {
    let value = value.trim();
    if kind == "email" { Cow::Owned(value.to_lowercase()) } else { Cow::Borrowed(value) }
}

/// HMAC-SHA256 under the identifier key, cut to 16 bytes.
pub(crate) struct Pseudonyms(Hmac<Sha256>);

impl Pseudonyms {
    pub(crate) fn new(key: &Key) -> Result<Self, Error> {
        let mac = Hmac::<Sha256>::new_from_slice(key.bytes());
        mac.map(Self).map_err(|_| Error::damaged("the identifier key has a wrong length"))
    }

    pub(crate) fn of(&self, kind: &str, value: &str) -> Subject {
        let value = normalise(kind, value);
        let mut mac = self.0.clone();
        mac.update(b"maschinenraum/pseudonym/v1");
        // The length goes first, so that (`ab`, `c`) and (`a`, `bc`) are two subjects.
        mac.update(&(kind.len() as u64).to_le_bytes());
        mac.update(kind.as_bytes());
        mac.update(value.as_bytes());
        let full = mac.finalize().into_bytes();
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(full.iter()) {
            *to = *from;
        }
        Subject::from_bytes(bytes)
    }
}

/// A subject as one purpose sees it: the same subject has another one for every purpose, and nobody without the
/// purposes' key can tell which belong together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pseudonym([u8; 16]);

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pseudonym({self})")
    }
}

impl FromStr for Pseudonym {
    type Err = event::ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The same 32 hexadecimal digits as a subject's.
        text.parse::<Subject>().map(|subject| Self(*subject.as_bytes()))
    }
}

/// Pseudonyms of one purpose.
pub struct PurposePseudonyms(Hmac<Sha256>);

impl PurposePseudonyms {
    pub(crate) fn new(purposes: &Key, purpose: &str) -> Result<Self, Error> {
        let key = purposes.derive(&[b"maschinenraum/purpose/v1", purpose.as_bytes()]);
        let mac = Hmac::<Sha256>::new_from_slice(key.bytes());
        mac.map(Self).map_err(|_| Error::damaged("a purpose's key has a wrong length"))
    }

    /// The subject as this purpose sees it.
    pub fn of(&self, subject: Subject) -> Pseudonym {
        let mut mac = self.0.clone();
        mac.update(subject.as_bytes());
        let full = mac.finalize().into_bytes();
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(full.iter()).for_each(|(to, from)| *to = *from);
        Pseudonym(bytes)
    }
}

/// The right to tell which pseudonyms of two purposes belong together. It comes into being only by being logged.
pub struct LinkRight {
    from: String,
    to: String,
}

impl LinkRight {
    /// Logs that `from` and `to` are about to be linked, and gives the right to do so if that worked.
    ///
    /// # Errors
    /// Whatever `log` says.
    pub fn logged<E>(from: &str, to: &str, log: impl FnOnce() -> Result<(), E>) -> Result<Self, E> {
        log()?;
        Ok(Self { from: from.to_owned(), to: to.to_owned() })
    }

    pub(crate) fn purposes(&self) -> (&str, &str) {
        (&self.from, &self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, a: &str, b: &str, same: bool) {
        let pseudonyms = Pseudonyms::new(&Key::from_bytes([7; 32])).unwrap();
        assert_eq!(pseudonyms.of(kind, a) == pseudonyms.of(kind, b), same, "{kind}: {a:?} {b:?}");
    }

    #[test]
    fn spellings_of_one_identifier_are_one_subject() {
        check("email", " Ann@Example.com\n", "ann@example.com", true);
        check("email", "ÄNN@example.com", "änn@example.com", true);
        check("user_id", " 7 ", "7", true);
        check("user_id", "Ann", "ann", false);
        check("user_id", "", "0", false);
        check("user_id", "🦀", "🦀 ", true);
        check("user_id", "שלום", "םולש", false);
    }

    #[test]
    fn kind_and_value_do_not_run_together_and_the_key_counts() {
        let one = Pseudonyms::new(&Key::from_bytes([7; 32])).unwrap();
        let other = Pseudonyms::new(&Key::from_bytes([8; 32])).unwrap();
        assert_ne!(one.of("ab", "c"), one.of("a", "bc"));
        assert_ne!(one.of("user_id", "7"), one.of("email", "7"));
        assert_ne!(one.of("user_id", "7"), other.of("user_id", "7"));
        // Fixed for ever: every stored subject depends on it.
        assert_eq!(one.of("user_id", "7").to_string(), "0ba795a158cebd6452ca1e9d3f9144ce");
    }
}
