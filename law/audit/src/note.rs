//! Signed notes: a text, and under it lines that sign it.
//!
//! ```text
//! maschinenraum.example/audit
//! 60000
//! 6/B0bxrN4y4HusRPuIyntmE4FDTvaSSdYjgvnfLm4zM=
//!
//! — maschinenraum.example/audit +ntThjIU0bNo2RpXJHi/…
//! ```
//!
//! # Source
//! c2sp.org/signed-note; cosignatures of witnesses: c2sp.org/tlog-cosignature

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::Error;

/// The longest note that is read.
pub const MAX_NOTE: usize = 64 << 10;
/// The most signatures that a note may carry.
const MAX_SIGNATURES: usize = 64;
/// What a signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The text itself.
    Plain,
    /// A checkpoint and the time at which a witness saw it.
    Witness,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Plain => 1,
            Self::Witness => 4,
        }
    }
}

/// Signs notes. The key is neither shown nor copied.
pub struct Signer {
    name: String,
    key: SigningKey,
    kind: Kind,
}

impl Signer {
    /// The key made from this seed, under a name.
    ///
    /// # Errors
    /// [`Error::Text`] where the name holds spaces or `+`, or is empty.
    pub fn new(name: &str, seed: &Zeroizing<[u8; 32]>) -> Result<Self, Error> {
        Self::of_kind(name, seed, Kind::Plain)
    }

    /// As [`Signer::new`], for a witness.
    ///
    /// # Errors
    /// As [`Signer::new`].
    pub fn witness(name: &str, seed: &Zeroizing<[u8; 32]>) -> Result<Self, Error> {
        Self::of_kind(name, seed, Kind::Witness)
    }

    fn of_kind(name: &str, seed: &Zeroizing<[u8; 32]>, kind: Kind) -> Result<Self, Error> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(seed), kind })
    }

    /// What verifies its signatures.
    pub fn verifier(&self) -> Verifier {
        let key = self.key.verifying_key();
        Verifier { id: key_id(&self.name, self.kind, &key), name: self.name.clone(), key, kind: self.kind }
    }

    /// The text as a note with this signature.
    ///
    /// # Errors
    /// [`Error::Text`] where the text does not end in a newline, or holds control characters.
    pub fn sign(&self, text: &str) -> Result<String, Error> {
        check_text(text, "note")?;
        Ok(format!("{text}\n{}", self.line(&self.key.sign(text.as_bytes()).to_bytes())))
    }

    /// The signature line of a witness that saw a checkpoint's text at this time, in seconds since 1970.
    ///
    /// # Errors
    /// [`Error::Text`] as [`Signer::sign`], or where the key is no witness's.
    pub fn cosign(&self, text: &str, seconds: u64) -> Result<String, Error> {
        check_text(text, "checkpoint")?;
        if self.kind != Kind::Witness {
            return Err(Error::text("witness", &self.name, "its key signs notes"));
        }
        let signature = self.key.sign(&seen(text, seconds)).to_bytes();
        Ok(self.line(&[seconds.to_be_bytes().as_slice(), &signature].concat()))
    }

    fn line(&self, signature: &[u8]) -> String {
        let id = key_id(&self.name, self.kind, &self.key.verifying_key());
        format!("{DASH}{} {}\n", self.name, STANDARD.encode([id.as_slice(), signature].concat()))
    }
}

/// Verifies notes: a name and a public key. Written as `name+id+key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
    kind: Kind,
}

impl Verifier {
    /// The key's name; for a log, its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it signs.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its 32 bytes.
    pub fn public(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// Whether a note carries this key's signature.
    pub fn is_on(&self, note: &Note) -> bool {
        note.signatures.iter().any(|line| self.made(line))
    }

    fn made(&self, line: &Line) -> bool {
        line.id == self.id && line.name == self.name
    }

    /// Verifies this key's signature under a note.
    ///
    /// # Errors
    /// [`Error::Forged`] where there is none, or one that does not verify.
    pub fn verify(&self, note: &Note) -> Result<(), Error> {
        let forged = |why: &str| Error::Forged {
            what: format!("`{}`", note.text.lines().next().unwrap_or_default()),
            key: self.name.clone(),
            why: why.to_owned(),
        };
        let mut n_verified = 0;
        for line in note.signatures.iter().filter(|line| self.made(line)) {
            self.verify_line(&note.text, line).map_err(forged)?;
            n_verified += 1;
        }
        if n_verified == 0 {
            return Err(forged("it carries no signature of this key"));
        }
        Ok(())
    }

    fn verify_line(&self, text: &str, line: &Line) -> Result<(), &'static str> {
        let wrong_length = "the signature has a wrong length";
        let (message, signature) = match self.kind {
            Kind::Plain => (text.as_bytes().to_vec(), line.signature.as_slice()),
            Kind::Witness => {
                let (seconds, signature) = line.signature.split_first_chunk::<8>().ok_or(wrong_length)?;
                (seen(text, u64::from_be_bytes(*seconds)), signature)
            }
        };
        let signature = Signature::from_slice(signature).map_err(|_| wrong_length)?;
        self.key.verify_strict(&message, &signature).map_err(|_| "the signature does not verify")
    }

    /// When a witness saw what the note says, in seconds since 1970; `None` for another kind of key, and where it did
    /// not sign.
    pub fn seen_at(&self, note: &Note) -> Option<u64> {
        let line = note.signatures.iter().find(|line| self.made(line))?;
        let seconds = line.signature.first_chunk::<8>()?;
        (self.kind == Kind::Witness).then(|| u64::from_be_bytes(*seconds))
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id);
        let key = [&[self.kind.byte()], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(key))
    }
}

impl FromStr for Verifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let no = |why: &str| Error::text("verifying key (name+id+key)", text, why);
        let text = text.trim();
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(no("it has not three parts"));
        };
        check_name(name)?;
        let key = STANDARD.decode(key).map_err(|_| no("its key is not base64"))?;
        let (kind, key) = key.split_first().ok_or_else(|| no("its key is empty"))?;
        let kind = match kind {
            1 => Kind::Plain,
            4 => Kind::Witness,
            other => return Err(no(&format!("its keys are of kind {other}; known: 1 Ed25519, 4 witness"))),
        };
        let key: [u8; 32] = key.try_into().map_err(|_| no("its key has not 32 bytes"))?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| no("its key is no point of the curve"))?;
        let expected = key_id(name, kind, &key);
        let is_id = id.len() == 8 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_id || u32::from_str_radix(id, 16).map(u32::to_be_bytes) != Ok(expected) {
            return Err(no("its id is not that of name and key"));
        }
        Ok(Self { name: name.to_owned(), id: expected, key, kind })
    }
}

/// A note as it was read. Its text is nothing until a signature is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: String,
    id: [u8; 4],
    signature: Vec<u8>,
}

impl Note {
    /// What is signed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names on its signature lines.
    pub fn signers(&self) -> impl Iterator<Item = &str> {
        self.signatures.iter().map(|line| line.name.as_str())
    }
}

impl FromStr for Note {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        let no = |why: &str| Error::text("signed note", given, why);
        if given.len() > MAX_NOTE {
            return Err(no(&format!("it is longer than {MAX_NOTE} bytes")));
        }
        let end = given.rfind("\n\n").ok_or_else(|| no("no empty line parts text and signatures"))?;
        let (text, signed) = given.split_at(end + 1);
        check_text(text, "signed note")?;
        let signed = signed.strip_prefix('\n').unwrap_or_default();
        if !signed.ends_with('\n') {
            return Err(no("its last line does not end"));
        }
        let signatures = signed.lines().map(line).collect::<Option<Vec<_>>>();
        let signatures = signatures.ok_or_else(|| no("a signature line is malformed"))?;
        if signatures.is_empty() || signatures.len() > MAX_SIGNATURES {
            return Err(no(&format!("it carries {} signatures", signatures.len())));
        }
        Ok(Self { text: text.to_owned(), signatures })
    }
}

fn line(line: &str) -> Option<Line> {
    let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
    check_name(name).ok()?;
    let bytes = STANDARD.decode(signature).ok()?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    (!signature.is_empty()).then(|| Line { name: name.to_owned(), id: *id, signature: signature.to_vec() })
}

/// What a witness signs.
fn seen(text: &str, seconds: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {seconds}\n{text}").into_bytes()
}

fn key_id(name: &str, kind: Kind, key: &VerifyingKey) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update([b'\n', kind.byte()]);
    hash.update(key.as_bytes());
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    [a, b, c, d]
}

fn check_name(name: &str) -> Result<(), Error> {
    let is_fine = !name.is_empty()
        && name.len() <= 255
        && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+');
    if is_fine {
        return Ok(());
    }
    let why = "1 to 255 bytes without spaces, control characters and `+` are expected";
    Err(Error::text("name of a key", name, why))
}

fn check_text(text: &str, what: &'static str) -> Result<(), Error> {
    if !text.ends_with('\n') {
        return Err(Error::text(what, text, "its text does not end in a newline"));
    }
    if text.chars().any(|c| c < ' ' && c != '\n') {
        return Err(Error::text(what, text, "it holds control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signer() -> Signer {
        Signer::new("example.com/log", &Zeroizing::new([7; 32])).unwrap()
    }

    fn refused(given: &str, why: &str) {
        let error = given.parse::<Note>().unwrap_err();
        assert_eq!(error.code(), "MR3210");
        assert!(error.to_string().contains(why), "{error}");
    }

    #[test]
    fn a_signed_text_reads_back_and_verifies() {
        let text = "one\n\ntwo\n";
        let note: Note = signer().sign(text).unwrap().parse().unwrap();
        assert_eq!(note.text(), text);
        let verifier: Verifier = signer().verifier().to_string().parse().unwrap();
        verifier.verify(&note).unwrap();
        assert_eq!(note.signers().collect::<Vec<_>>(), ["example.com/log"]);
    }

    #[test]
    fn other_texts_keys_and_names_do_not_verify() {
        let signed = signer().sign("size 4\n").unwrap();
        let verifier = signer().verifier();
        let forged: Note = signed.replace("size 4", "size 5").parse().unwrap();
        assert_eq!(verifier.verify(&forged).unwrap_err().code(), "MR3201");
        let note: Note = signed.parse().unwrap();
        for (name, seed) in [("example.com/log", [8; 32]), ("example.com/other", [7; 32])] {
            let other = Signer::new(name, &Zeroizing::new(seed)).unwrap().verifier();
            let error = other.verify(&note).unwrap_err().to_string();
            assert!(error.contains("no signature of this key"), "{error}");
        }
        // A line with our name and id, but another's signature.
        let twice = format!("{signed}{}", signed.lines().last().unwrap().replace('A', "B")) + "\n";
        if let Ok(note) = twice.parse::<Note>()
            && note != signed.parse().unwrap()
        {
            assert!(
                verifier.verify(&note).is_err() || note.signatures.iter().all(|line| line.id != verifier.id)
            );
        }
    }

    #[test]
    fn malformed_notes_say_what_is_wrong() {
        refused("", "no empty line");
        refused("text\n", "no empty line");
        refused("text\n\n", "does not end");
        refused("text\n\n\u{2014} a b\n", "malformed");
        refused("text\n\n- a AAAAAAAA\n", "malformed");
        refused("te\txt\n\n\u{2014} a AAAAAAAA\n", "control");
        refused("text\n\n\u{2014} a AAAAAAAA", "does not end");
        refused(&"x".repeat(MAX_NOTE + 1), "longer");
        let many = format!("text\n\n{}", "\u{2014} a AAAAAAAA\n".repeat(65));
        refused(&many, "65 signatures");
        for name in ["", "a b", "a+b", "a\u{2003}b", "a\nb"] {
            assert!(Signer::new(name, &Zeroizing::new([7; 32])).is_err(), "{name}");
        }
        for text in ["no end", "bell\u{7}\n"] {
            assert!(signer().sign(text).is_err());
        }
    }

    #[test]
    fn malformed_keys_are_refused() {
        let good = signer().verifier().to_string();
        let (rest, key) = good.rsplit_once('+').unwrap();
        for bad in [
            "",
            "a",
            "a+b",
            "a+00000000+AQID",
            &good.replace("log", "lag"),
            rest,
            &format!("{rest}+{}", &key[4..]),
        ] {
            assert_eq!(bad.parse::<Verifier>().unwrap_err().code(), "MR3210", "{bad}");
        }
    }

    #[test]
    fn a_witness_signs_the_time_as_well() {
        let seed = Zeroizing::new([3; 32]);
        let witness = Signer::witness("witness.example/w", &seed).unwrap();
        let signed = signer().sign("o\n1\nh\n").unwrap();
        let cosigned = format!("{signed}{}", witness.cosign("o\n1\nh\n", 1_700_000_000).unwrap());
        let note: Note = cosigned.parse().unwrap();
        let verifier: Verifier = witness.verifier().to_string().parse().unwrap();
        verifier.verify(&note).unwrap();
        signer().verifier().verify(&note).unwrap();
        assert_eq!(verifier.seen_at(&note), Some(1_700_000_000));
        assert_eq!(signer().verifier().seen_at(&note), None);
        assert!(signer().cosign("o\n", 1).is_err());
    }

    proptest! {
        #[test]
        fn noise_never_panics(text in ".{0,300}") {
            let _ = text.parse::<Note>();
            let _ = text.parse::<Verifier>();
        }
    }
}
