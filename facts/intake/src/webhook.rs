//! Webhooks: what another system posts, checked for its signature and cut into documents.
//!
//! Pure: secret, header and time are arguments. Five ways to sign cover what is in use; each is checked over the bytes
//! as they came, before anything of them is read.

use std::collections::BTreeMap;

use event::{Instant, Span, StreamName};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::{Refusal, codes};
use crate::incoming::Incoming;
use crate::json;
use crate::segment::{MAX_BATCH_EVENTS, MAX_EVENT_BYTES};

/// How far a signed time may lie from ours.
pub const TOLERANCE: Span = Span::from_secs(300);

/// How a webhook is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// HMAC-SHA256 of the body in hexadecimal, with or without `sha256=` before it (GitHub, Meta, and us).
    #[default]
    Hex,
    /// HMAC-SHA256 of the body in base64 (Shopify).
    Base64,
    /// `t=SECONDS,v1=HEX`, the HMAC-SHA256 of `SECONDS.BODY` (Stripe).
    Stripe,
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature` (standardwebhooks.com).
    Standard,
    /// The secret itself in the header (GitLab).
    Token,
}

impl Scheme {
    /// The word of the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Stripe => "stripe",
            Self::Standard => "standard",
            Self::Token => "token",
        }
    }
}

/// How one webhook's signature is checked.
pub struct Signed {
    /// How it is signed.
    pub scheme: Scheme,
    /// The header that holds the signature; [`Scheme::Standard`] has its own.
    pub header: String,
    /// The secret.
    pub secret: Zeroizing<Vec<u8>>,
}

/// A header of the request by its name in lower case.
pub type Headers<'h> = &'h dyn Fn(&str) -> Option<String>;

impl Signed {
    /// Checks the signature over `body`.
    ///
    /// # Errors
    /// MR2050 where it is missing or wrong, MR2051 where the signed time is not ours.
    pub fn check(&self, headers: Headers<'_>, body: &[u8], now: Instant) -> Result<(), Refusal> {
        let name = if self.scheme == Scheme::Standard { "webhook-signature" } else { &self.header };
        let name = name.to_ascii_lowercase();
        let missing = |name: &str| Refusal::new(codes::UNSIGNED, format!("the header `{name}` is missing"));
        let given = headers(&name).ok_or_else(|| missing(&name))?;
        let given = given.trim();
        let fits = match self.scheme {
            Scheme::Token => bool::from(given.as_bytes().ct_eq(&self.secret)),
            Scheme::Hex => {
                let hex = given.strip_prefix("sha256=").unwrap_or(given);
                from_hex(hex).is_some_and(|tag| self.fits(&[body], &self.secret, &tag))
            }
            Scheme::Base64 => from_base64(given).is_some_and(|tag| self.fits(&[body], &self.secret, &tag)),
            Scheme::Stripe => {
                let parts = || given.split(',').filter_map(|part| part.trim().split_once('='));
                let at = parts().find(|(name, _)| *name == "t").map_or("", |(_, at)| at);
                let signed = [at.as_bytes(), b".", body];
                let fits = parts()
                    .filter(|(name, _)| *name == "v1")
                    .filter_map(|(_, hex)| from_hex(hex))
                    .any(|tag| self.fits(&signed, &self.secret, &tag));
                fits && recent(at, now)?
            }
            Scheme::Standard => {
                let id = headers("webhook-id").ok_or_else(|| missing("webhook-id"))?;
                let at = headers("webhook-timestamp").ok_or_else(|| missing("webhook-timestamp"))?;
                let text = std::str::from_utf8(&self.secret).unwrap_or_default();
                let key = from_base64(text.strip_prefix("whsec_").unwrap_or(text)).map(Zeroizing::new);
                let key = key.as_deref().unwrap_or(&self.secret);
                let signed = [id.as_bytes(), b".", at.as_bytes(), b".", body];
                let fits = given
                    .split(' ')
                    .filter_map(|one| from_base64(one.strip_prefix("v1,")?))
                    .any(|tag| self.fits(&signed, key, &tag));
                fits && recent(&at, now)?
            }
        };
        // What would have fitted is not said.
        let wrong =
            || Refusal::new(codes::UNSIGNED, format!("the signature in `{name}` does not fit this body"));
        if fits { Ok(()) } else { Err(wrong()) }
    }

    fn fits(&self, parts: &[&[u8]], key: &[u8], tag: &[u8]) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
        parts.iter().for_each(|part| mac.update(part));
        mac.verify_slice(tag).is_ok()
    }
}

/// Whether a signed time is ours; it is asked only of what the sender has signed.
fn recent(seconds: &str, now: Instant) -> Result<bool, Refusal> {
    let old = || {
        let message = format!(
            "it was signed at `{}`, more than 5 minutes from now",
            crate::segment::without_people(seconds)
        );
        Refusal::new(codes::STALE, message)
    };
    let at: i64 = seconds.parse().map_err(|_| old())?;
    let at =
        at.checked_mul(1_000_000).and_then(|micros| Instant::try_from_micros(micros).ok()).ok_or_else(old)?;
    if at > now + TOLERANCE || now > at + TOLERANCE { Err(old()) } else { Ok(true) }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// How a webhook's documents are found in its body.
#[derive(Clone, Debug, Default)]
pub struct Hook {
    /// The stream of what [`Hook::streams`] does not name.
    pub stream: Option<StreamName>,
    /// Where the kind of a document stands: a JSON pointer, or `header:NAME`.
    pub route: Option<String>,
    /// The stream of each kind.
    pub streams: BTreeMap<String, String>,
    /// A JSON pointer to the list of documents.
    pub items: Option<String>,
    /// Where the sender's id of a document stands: a JSON pointer, or `header:NAME`.
    pub key: Option<String>,
}

impl Hook {
    /// Cuts a body into documents for streams. A kind that no stream is named for goes to quarantine, so that nothing of
    /// it is lost until the settings are mended.
    ///
    /// # Errors
    /// MR2001 and MR2002 where it is no JSON, MR2003 where the list is not there, MR2006 where it is too long.
    pub fn read(&self, headers: Headers<'_>, body: &[u8]) -> Result<Vec<Result<Incoming, Refusal>>, Refusal> {
        let mut whole = json::parse(body)?;
        let found = match &self.items {
            None => vec![whole],
            Some(pointer) => match whole.pointer_mut(pointer).map(Value::take) {
                Some(Value::Array(items)) => items,
                _ => return Err(Refusal::new(codes::SHAPE, format!("the body has no list at `{pointer}`"))),
            },
        };
        if found.len() > MAX_BATCH_EVENTS {
            let message = format!("the body has {} documents; {MAX_BATCH_EVENTS} are the most", found.len());
            return Err(Refusal::new(codes::BATCH_COUNT, message));
        }
        let is_one = found.len() == 1;
        Ok(found.into_iter().map(|document| self.document(headers, document, is_one)).collect())
    }

    fn document(&self, headers: Headers<'_>, document: Value, is_one: bool) -> Result<Incoming, Refusal> {
        let n_bytes = json::size(&document, 2 * MAX_EVENT_BYTES);
        if n_bytes > MAX_EVENT_BYTES {
            let message = format!("the document has {n_bytes} bytes; {MAX_EVENT_BYTES} are the most");
            return Err(Refusal::new(codes::EVENT_SIZE, message));
        }
        let at = |place: &Option<String>| {
            let place = place.as_deref()?;
            match place.strip_prefix("header:") {
                Some(name) => headers(&name.to_ascii_lowercase()),
                None => match document.pointer(place)? {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                },
            }
        };
        let kind = at(&self.route);
        let named = kind.as_ref().and_then(|kind| self.streams.get(kind)).map(|name| StreamName::new(name));
        let stream = named.or_else(|| self.stream.clone()).unwrap_or_else(|| {
            // No contract can have this name, so it waits in quarantine.
            StreamName::new(&format!("webhook:{}", kind.as_deref().unwrap_or("without a kind")))
        });
        // A delivery's id in a header names one document, not several.
        let is_header = self.key.as_deref().is_some_and(|key| key.starts_with("header:"));
        let key = at(&self.key).filter(|key| !key.is_empty() && (is_one || !is_header));
        let mut incoming = Incoming::for_stream(stream, document);
        incoming.key = key.map(String::into_bytes);
        Ok(incoming)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-03-01T12:00:00Z";
    const BODY: &[u8] = br#"{"type":"order.created","id":7}"#;

    fn check(
        scheme: Scheme,
        secret: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), &'static str> {
        let signed = Signed { scheme, header: "X-Sign".to_owned(), secret: Zeroizing::new(secret.into()) };
        let find = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        signed.check(&find, body, NOW.parse().unwrap()).map_err(|refusal| {
            assert!(!refusal.message.contains(secret));
            refusal.code
        })
    }

    /// What `openssl dgst -sha256 -hmac` and the vendors' documentation say.
    #[test]
    fn published_signatures_fit_and_changed_bodies_do_not() {
        // GitHub's documentation, "Validating webhook deliveries".
        let github = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let secret = "It's a Secret to Everybody";
        assert_eq!(check(Scheme::Hex, secret, &[("x-sign", github)], b"Hello, World!"), Ok(()));
        assert_eq!(check(Scheme::Hex, secret, &[("x-sign", &github[7..])], b"Hello, World!"), Ok(()));
        assert_eq!(check(Scheme::Hex, secret, &[("x-sign", github)], b"Hello, World?"), Err("MR2050"));
        assert_eq!(check(Scheme::Hex, "another", &[("x-sign", github)], b"Hello, World!"), Err("MR2050"));
        for cut in [0, 1, 7, 8, 40, github.len() - 1, github.len() - 2] {
            assert_eq!(
                check(Scheme::Hex, secret, &[("x-sign", &github[..cut])], b"Hello, World!"),
                Err("MR2050")
            );
        }
        assert_eq!(check(Scheme::Hex, secret, &[], b"Hello, World!"), Err("MR2050"));
        let base64 = "dXEH6g6yUJ/CESIczphLijdXC211hsIsRvQ3nIsEPhc=";
        assert_eq!(check(Scheme::Base64, secret, &[("x-sign", base64)], b"Hello, World!"), Ok(()));
        assert_eq!(check(Scheme::Base64, secret, &[("x-sign", "????")], b"Hello, World!"), Err("MR2050"));
        assert_eq!(check(Scheme::Token, secret, &[("x-sign", secret)], BODY), Ok(()));
        assert_eq!(check(Scheme::Token, secret, &[("x-sign", "It's")], BODY), Err("MR2050"));
    }

    /// The example of standardwebhooks.com's libraries, at its own time; then at ours.
    #[test]
    fn a_signed_time_must_be_ours() {
        let body = br#"{"test": 2432232314}"#;
        let headers = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,bm9uZQ== v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ];
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signed =
            Signed { scheme: Scheme::Standard, header: String::new(), secret: Zeroizing::new(secret.into()) };
        let find = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let then = Instant::try_from_micros(1_614_265_330_000_000).unwrap();
        assert_eq!(signed.check(&find, body, then), Ok(()));
        assert_eq!(signed.check(&find, body, then + Span::from_secs(301)).unwrap_err().code, "MR2051");
        assert_eq!(signed.check(&find, b"{}", then).unwrap_err().code, "MR2050");

        let mac = |text: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").unwrap();
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect::<String>()
        };
        let now = NOW.parse::<Instant>().unwrap().micros() / 1_000_000;
        let stripe = |at: i64| {
            let signature = mac(&format!("{at}.{}", std::str::from_utf8(BODY).unwrap()));
            format!("t={at},v0=00,v1={},v1={signature}", mac("other"))
        };
        let try_at = |at: i64| check(Scheme::Stripe, "s3cret", &[("x-sign", &stripe(at))], BODY);
        assert_eq!((try_at(now), try_at(now - 299), try_at(now + 299)), (Ok(()), Ok(()), Ok(())));
        assert_eq!((try_at(now - 301), try_at(i64::MAX)), (Err("MR2051"), Err("MR2051")));
        let moved = stripe(now).replace(&format!("t={now}"), &format!("t={}", now + 1));
        assert_eq!(check(Scheme::Stripe, "s3cret", &[("x-sign", &moved)], BODY), Err("MR2050"));
    }

    #[test]
    fn documents_are_found_routed_and_named() {
        let hook = Hook {
            stream: None,
            route: Some("/type".to_owned()),
            streams: BTreeMap::from([("order.created".to_owned(), "orders".to_owned())]),
            items: Some("/events".to_owned()),
            key: Some("/id".to_owned()),
        };
        let none = |_: &str| None;
        let body =
            br#"{"events":[{"type":"order.created","id":7},{"type":"order.gone","id":"8"},{"id":[]}]}"#;
        let read = hook.read(&none, body).unwrap();
        let read: Vec<_> =
            read.into_iter().map(|one| one.map(|i| (i.origin.to_string(), i.key)).unwrap()).collect();
        assert_eq!(read[0], ("orders".to_owned(), Some(b"7".to_vec())));
        assert_eq!(read[1], ("webhook:order.gone".to_owned(), Some(b"8".to_vec())));
        assert_eq!(read[2], ("webhook:without a kind".to_owned(), None));
        for (body, code) in [
            (&b"[]"[..], "MR2003"),
            (br#"{"events":{}}"#, "MR2003"),
            (b"order=7", "MR2001"),
            (br#"{"events":"#, "MR2001"),
        ] {
            assert_eq!(hook.read(&none, body).unwrap_err().code, code);
        }
        let many = format!("{{\"events\":[{}0]}}", "0,".repeat(MAX_BATCH_EVENTS));
        assert_eq!(hook.read(&none, many.as_bytes()).unwrap_err().code, "MR2006");
        let large = format!("{{\"events\":[{{\"x\":\"{}\"}}]}}", "x".repeat(MAX_EVENT_BYTES));
        assert_eq!(hook.read(&none, large.as_bytes()).unwrap()[0].as_ref().unwrap_err().code, "MR2004");

        let hook = Hook {
            stream: Some(StreamName::new("events")),
            route: Some("header:X-GitHub-Event".to_owned()),
            streams: BTreeMap::from([("push".to_owned(), "pushes".to_owned())]),
            items: None,
            key: Some("header:X-GitHub-Delivery".to_owned()),
        };
        let find = |name: &str| {
            [("x-github-event", "push"), ("x-github-delivery", "d1")]
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        };
        let one = hook.read(&find, BODY).unwrap().remove(0).unwrap();
        assert_eq!((one.origin.to_string().as_str(), one.key), ("pushes", Some(b"d1".to_vec())));
        assert_eq!(hook.read(&none, BODY).unwrap().remove(0).unwrap().origin.to_string(), "events");
    }
}
