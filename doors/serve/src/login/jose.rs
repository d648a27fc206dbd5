//! Signed tokens: taken apart strictly, and verified against public keys only.
//!
//! A token does not choose how it is verified: `none` and every algorithm with a shared secret are refused whatever
//! key there is, and a key is used for its own kind of algorithm alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self as sig, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;

use super::refused::Refused;

/// The longest token that is read.
const MAX_BYTES: usize = 32 * 1_024;

/// What a token says about itself.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood; none is.
    crit: Option<serde_json::Value>,
}

/// A public key of the provider.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A token in three parts, not yet believed.
pub(crate) struct Jws<'t> {
    header: Header,
    alg: Alg,
    payload: Vec<u8>,
    signed: &'t str,
    signature: Vec<u8>,
}

/// The algorithms that are believed: all with a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alg {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Alg {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    /// Key type and curve.
    fn wants(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                ("RSA", None)
            }
            Self::Es256 => ("EC", Some("P-256")),
            Self::Es384 => ("EC", Some("P-384")),
            Self::EdDsa => ("OKP", Some("Ed25519")),
        }
    }
}

fn refused(reason: impl Into<String>) -> Refused {
    Refused::Token { reason: reason.into() }
}

/// Without padding, and nothing but the alphabet.
fn decode(part: &str, what: &str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| refused(format!("its {what} is no base64url")))
}

impl<'t> Jws<'t> {
    /// Takes a token apart.
    pub(crate) fn parse(token: &'t str) -> Result<Self, Refused> {
        if token.len() > MAX_BYTES {
            return Err(refused(format!("it has {} bytes, {MAX_BYTES} are read", token.len())));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refused("it does not have three parts"));
        };
        let signed = token.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        let header: Header = serde_json::from_slice(&decode(header, "header")?)
            .map_err(|e| refused(format!("its header cannot be read: {e}")))?;
        if header.crit.is_some() {
            return Err(refused("its header demands an extension (`crit`)"));
        }
        let Some(alg) = Alg::of(&header.alg) else {
            let name: String = header.alg.chars().filter(|c| !c.is_control()).take(20).collect();
            return Err(refused(format!(
                "its algorithm is `{name}`, and only those with a public key count"
            )));
        };
        let (payload, signature) = (decode(payload, "payload")?, decode(signature, "signature")?);
        Ok(Self { header, alg, payload, signed, signature })
    }

    /// The payload, where one of the keys signed it.
    pub(crate) fn verify(&self, keys: &[Jwk]) -> Result<Vec<u8>, Refused> {
        let named = self.header.kid.as_deref();
        let mut fitting = keys.iter().filter(|key| key.fits(self.alg, &self.header.alg, named)).peekable();
        if fitting.peek().is_none() {
            let shown: String = named.unwrap_or("it").chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(Refused::UnknownKey { kid: format!("`{shown}` and {}", self.header.alg) });
        }
        if fitting.any(|key| key.signed(self.alg, self.signed.as_bytes(), &self.signature)) {
            return Ok(self.payload.clone());
        }
        Err(refused("its signature is not the provider's"))
    }
}

impl Jwk {
    fn fits(&self, alg: Alg, name: &str, kid: Option<&str>) -> bool {
        let (kty, crv) = alg.wants();
        self.kty == kty
            && (crv.is_none() || self.crv.as_deref() == crv)
            && self.used_for.as_deref().is_none_or(|used| used == "sig")
            && self.alg.as_deref().is_none_or(|own| own == name)
            && kid.is_none_or(|kid| self.kid.as_deref() == Some(kid))
    }

    fn signed(&self, alg: Alg, message: &[u8], signature: &[u8]) -> bool {
        let part = |part: &Option<String>| part.as_ref().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let rsa = |how: &'static sig::RsaParameters| {
            let (Some(n), Some(e)) = (part(&self.n), part(&self.e)) else { return false };
            // ring takes numbers without leading zeros, and none shorter than 2,048 bits.
            let trimmed = |bytes: &[u8]| bytes.iter().copied().skip_while(|b| *b == 0).collect::<Vec<u8>>();
            RsaPublicKeyComponents { n: trimmed(&n), e: trimmed(&e) }.verify(how, message, signature).is_ok()
        };
        let point = |how: &'static dyn VerificationAlgorithm, n_bytes: usize| {
            let (Some(x), Some(y)) = (part(&self.x), part(&self.y)) else { return false };
            if x.len() != n_bytes || y.len() != n_bytes {
                return false;
            }
            let key = [&[4_u8][..], &x, &y].concat();
            UnparsedPublicKey::new(how, key).verify(message, signature).is_ok()
        };
        match alg {
            Alg::Rs256 => rsa(&sig::RSA_PKCS1_2048_8192_SHA256),
            Alg::Rs384 => rsa(&sig::RSA_PKCS1_2048_8192_SHA384),
            Alg::Rs512 => rsa(&sig::RSA_PKCS1_2048_8192_SHA512),
            Alg::Ps256 => rsa(&sig::RSA_PSS_2048_8192_SHA256),
            Alg::Ps384 => rsa(&sig::RSA_PSS_2048_8192_SHA384),
            Alg::Ps512 => rsa(&sig::RSA_PSS_2048_8192_SHA512),
            Alg::Es256 => point(&sig::ECDSA_P256_SHA256_FIXED, 32),
            Alg::Es384 => point(&sig::ECDSA_P384_SHA384_FIXED, 48),
            Alg::EdDsa => {
                let Some(x) = part(&self.x) else { return false };
                UnparsedPublicKey::new(&sig::ED25519, x).verify(message, signature).is_ok()
            }
        }
    }
}
