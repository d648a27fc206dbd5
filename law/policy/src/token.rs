//! Tokens of double opt-in: 256 random bits that a person gets by the address that is to be confirmed. Only their hash is
//! kept, so whoever reads the journal can confirm nothing.

use event::Instant;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const SECRET_BYTES: usize = 32;

/// A token as it is sent once.
pub struct Token {
    /// `mrc_<secret>`; kept nowhere.
    pub text: Zeroizing<String>,
    /// What is kept.
    pub hash: String,
}

impl Token {
    /// Draws one.
    ///
    /// # Errors
    /// [`vault::Error`] where the system gives no randomness.
    pub fn draw() -> Result<Self, vault::Error> {
        let secret = Zeroizing::new(hex(&*Zeroizing::new(vault::random::<SECRET_BYTES>()?)));
        let hash = hash(&secret);
        Ok(Self { text: Zeroizing::new(format!("mrc_{}", *secret)), hash })
    }

    /// The hash of a token as somebody shows it; `None` where the text is none.
    pub fn hash_of(text: &str) -> Option<String> {
        let secret = text.trim().strip_prefix("mrc_")?;
        let is_one = secret.len() == 2 * SECRET_BYTES
            && secret.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_one.then(|| hash(secret))
    }
}

fn hash(secret: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"maschinenraum/consent-token/v1");
    hash.update(secret.as_bytes());
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a token, or what a consent says, is not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConsentRefused {
    /// MR3530, explained in docs/errors/MR3530.md
    #[error("MR3530: this is no confirmation token of this house")]
    UnknownToken,
    /// MR3531, explained in docs/errors/MR3531.md
    #[error("MR3531: the confirmation token expired on {expires}; ask the person again")]
    ExpiredToken {
        /// Since when.
        expires: Instant,
    },
    /// MR3532, explained in docs/errors/MR3532.md
    #[error("MR3532: the confirmation token was used on {at}; a token confirms once")]
    UsedToken {
        /// When.
        at: Instant,
    },
    /// MR3540, explained in docs/errors/MR3540.md
    #[error("MR3540: {field} `{value}` of a consent: {reason}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it says, shortened.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl ConsentRefused {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownToken => "MR3530",
            Self::ExpiredToken { .. } => "MR3531",
            Self::UsedToken { .. } => "MR3532",
            Self::Field { .. } => "MR3540",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_found_by_its_hash_and_by_nothing_else() {
        let (one, other) = (Token::draw().unwrap(), Token::draw().unwrap());
        assert_eq!(Token::hash_of(&one.text).as_ref(), Some(&one.hash));
        assert_eq!(Token::hash_of(&format!(" {}\n", *one.text)).as_ref(), Some(&one.hash));
        assert_ne!(one.hash, other.hash);
        assert!(!one.hash.contains(one.text.get(4..20).unwrap()));
        for forged in
            ["", "mrc_", "mr_00", &one.text[..60], &one.text.to_uppercase(), &format!("{}0", *one.text)]
        {
            assert_eq!(Token::hash_of(forged), None, "{forged}");
        }
    }

    proptest! {
        #[test]
        fn noise_is_no_token(text in "(mrc_)?.{0,80}") {
            let is_one = text.len() == 68 && text.starts_with("mrc_");
            prop_assert!(is_one || Token::hash_of(&text).is_none());
        }
    }
}
