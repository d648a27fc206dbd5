//! How a caller says who it is. Nothing here knows which keys exist.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::refusal::Refusal;

/// The secret in the header `Authorization`: the token of Bearer, or the user name of Basic, which is where the
/// tracking clients put their write key.
pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Option<Zeroizing<String>>, Refusal> {
    let refused = |reason| Refusal::Authorization { reason };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused("it is there twice"));
    }
    let value = value.to_str().map_err(|_| refused("it holds bytes that are not ASCII"))?.trim();
    let (scheme, rest) = value.split_once(' ').ok_or(refused("a scheme and a secret are expected"))?;
    let rest = rest.trim();
    let secret = if scheme.eq_ignore_ascii_case("bearer") {
        rest.to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded =
            Zeroizing::new(STANDARD.decode(rest).map_err(|_| refused("Basic needs base64 of `KEY:`"))?);
        let text =
            std::str::from_utf8(&decoded).map_err(|_| refused("the user name of Basic is not UTF-8"))?;
        text.split_once(':').map_or(text, |(user, _)| user).to_owned()
    } else {
        return Err(refused("the scheme is neither Bearer nor Basic"));
    };
    if secret.is_empty() {
        return Err(refused("the secret in it is empty"));
    }
    Ok(Some(Zeroizing::new(secret)))
}

/// The secret in a tracking body's `writeKey`; browsers have no better place for it.
pub(crate) fn from_body(body: &[u8]) -> Option<Zeroizing<String>> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(rename = "writeKey")]
        write_key: Option<String>,
    }
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    envelope.write_key.filter(|key| !key.is_empty()).map(Zeroizing::new)
}

/// The part of a key that names it and is no secret: `mr_<id>` of `mr_<id>_<secret>`.
pub(crate) fn public_part(secret: &str) -> &str {
    secret.rsplit_once('_').map_or("", |(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Result<&str, &str>) {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
        match (from_headers(&headers), expected) {
            (Ok(Some(secret)), Ok(expected)) => assert_eq!(secret.as_str(), expected),
            (Err(refusal), Err(expected)) => {
                let said = refusal.to_string();
                assert!(said.contains(expected), "{said}");
                assert!(!said.contains(value), "{said} repeats the header");
            }
            (got, expected) => panic!("{got:?} is not {expected:?}"),
        }
    }

    #[test]
    fn keys_come_as_bearer_or_as_the_user_of_basic() {
        check("Bearer mr_1_2", Ok("mr_1_2"));
        check("bearer   mr_1_2 ", Ok("mr_1_2"));
        check(&format!("Basic {}", STANDARD.encode("mr_1_2:")), Ok("mr_1_2"));
        check(&format!("Basic {}", STANDARD.encode("mr_1_2")), Ok("mr_1_2"));
        check("Basic !!!", Err("base64"));
        check(&format!("Basic {}", STANDARD.encode(":password")), Err("empty"));
        check(&format!("Basic {}", STANDARD.encode(b"\xff\xfe:")), Err("UTF-8"));
        check("Digest abc", Err("neither"));
        check("mr_1_2", Err("scheme"));
        assert_eq!(from_headers(&HeaderMap::new()), Ok(None));
        let two = HeaderMap::from_iter(
            ["Bearer a", "Bearer b"].map(|v| (header::AUTHORIZATION, v.parse().unwrap())),
        );
        assert!(from_headers(&two).is_err());
    }

    #[test]
    fn a_write_key_is_found_in_the_body_and_nowhere_deeper() {
        let key = |text: &str| from_body(text.as_bytes()).map(|k| k.to_string());
        assert_eq!(key(r#"{"batch":[{"writeKey":"no"}],"writeKey":"mr_1_2"}"#).as_deref(), Some("mr_1_2"));
        assert_eq!(key(r#"{"batch":[{"writeKey":"no"}]}"#), None);
        assert_eq!(key(r#"{"writeKey":7}"#), None);
        assert_eq!(key(r#"{"writeKey":""}"#), None);
        assert_eq!(key("nonsense"), None);
    }

    #[test]
    fn the_public_part_holds_no_secret() {
        assert_eq!(public_part("mr_12ab_34cd"), "mr_12ab");
        assert_eq!(public_part("nonsense"), "");
    }
}
