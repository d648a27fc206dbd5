//! The identity provider: what it says of itself, its keys, and codes redeemed for tokens.

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use house::LoginSettings;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::jose::Jwk;
use super::refused::Refused;

/// How long the provider may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what it says of itself is believed.
const BELIEVED: Duration = Duration::from_secs(3_600);
/// How long its keys are believed.
const KEYS_BELIEVED: Duration = Duration::from_secs(600);
/// However many tokens name unknown keys: it is asked no more often.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const MAX_BYTES: u64 = 1 << 20;

/// What a provider says of itself (OpenID Connect Discovery 1.0).
#[derive(Clone, Deserialize)]
pub(crate) struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    end_session_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Redeemed {
    id_token: String,
}

/// What a provider says where it gives no token (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct NotRedeemed {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// A provider and what is known of it.
pub(crate) struct Provider {
    issuer: String,
    client: String,
    secret: Option<Zeroizing<String>>,
    scopes: Vec<String>,
    agent: ureq::Agent,
    metadata: Mutex<Option<(Instant, Metadata)>>,
    keys: Mutex<Option<(Instant, Arc<[Jwk]>)>>,
}

impl Provider {
    pub(crate) fn new(settings: &LoginSettings, secret: Option<Zeroizing<String>>) -> Self {
        // No redirects: the provider's places are those that it names.
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .http_status_as_error(false)
            .build();
        Self {
            issuer: settings.issuer.clone(),
            client: settings.client_id.clone(),
            secret,
            scopes: settings.scopes.clone(),
            agent: agent.into(),
            metadata: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    /// Where a browser goes to log in.
    pub(crate) fn authorize(
        &self,
        redirect: &str,
        state: &str,
        nonce: &str,
        challenge: &str,
    ) -> Result<String, Refused> {
        let at = self.metadata()?.authorization_endpoint;
        let scopes: Vec<&str> =
            std::iter::once("openid").chain(self.scopes.iter().map(String::as_str)).collect();
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &self.client),
            ("redirect_uri", redirect),
            ("scope", &scopes.join(" ")),
            ("state", state),
            ("nonce", nonce),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
        ]);
        let joint = if at.contains('?') { '&' } else { '?' };
        Ok(format!("{at}{joint}{query}"))
    }

    /// Where a browser goes to leave the provider too, if there is such a place.
    pub(crate) fn end(&self) -> Option<String> {
        self.metadata().ok()?.end_session_endpoint
    }

    /// The ID token that a code is worth.
    pub(crate) fn redeem(&self, code: &str, redirect: &str, verifier: &str) -> Result<String, Refused> {
        let metadata = self.metadata()?;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        let mut request = self
            .agent
            .post(&metadata.token_endpoint)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json");
        let in_body = metadata
            .token_endpoint_auth_methods_supported
            .as_ref()
            .is_some_and(|known| !known.iter().any(|m| m == "client_secret_basic"));
        match &self.secret {
            Some(secret) if in_body => {
                fields.push(("client_id", &self.client));
                fields.push(("client_secret", secret));
            }
            Some(secret) => {
                let pair = Zeroizing::new(format!("{}:{}", escape(&self.client), escape(secret)));
                let basic = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
                request = request.header("authorization", basic.as_str());
            }
            None => fields.push(("client_id", &self.client)),
        }
        let body = Zeroizing::new(form(&fields));
        let what = "does not take the code";
        let answer =
            request.send(body.as_bytes()).map_err(|e| provider("cannot be reached", e.to_string()))?;
        let (status, bytes) = read(answer)?;
        if status != 200 {
            let said = serde_json::from_slice::<NotRedeemed>(&bytes).map_or_else(
                |_| format!("status {status}"),
                |said| shown(&format!("{} {}", said.error, said.error_description)),
            );
            return Err(provider(what, said));
        }
        let redeemed: Redeemed =
            serde_json::from_slice(&bytes).map_err(|e| provider("gives no ID token", e.to_string()))?;
        Ok(redeemed.id_token)
    }

    /// The provider's keys.
    ///
    /// * `anew`: those known do not fit
    pub(crate) fn keys(&self, anew: bool) -> Result<Arc<[Jwk]>, Refused> {
        // The lock is held while it is asked: many at once ask once.
        let mut known = self.keys.lock();
        if let Some((at, keys)) = &*known {
            let believed = if anew { ASK_AGAIN } else { KEYS_BELIEVED };
            if at.elapsed() < believed {
                return Ok(Arc::clone(keys));
            }
        }
        let found: Keys = self.fetch(&self.metadata()?.jwks_uri)?;
        // A key of a kind that is not known here is no reason to lose the others.
        let keys: Arc<[Jwk]> =
            found.keys.into_iter().take(100).filter_map(|key| serde_json::from_value(key).ok()).collect();
        *known = Some((Instant::now(), Arc::clone(&keys)));
        Ok(keys)
    }

    fn metadata(&self) -> Result<Metadata, Refused> {
        let mut known = self.metadata.lock();
        if let Some((at, metadata)) = &*known
            && at.elapsed() < BELIEVED
        {
            return Ok(metadata.clone());
        }
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let found: Metadata = self.fetch(&url)?;
        if found.issuer != self.issuer {
            let reason = format!("`{}` in the settings, `{}` there", self.issuer, shown(&found.issuer));
            return Err(provider("calls itself otherwise", reason));
        }
        for place in [&found.authorization_endpoint, &found.token_endpoint, &found.jwks_uri] {
            // In clear text at most where the issuer is: this machine.
            let as_safe = place.starts_with("https://") || self.issuer.starts_with("http://");
            if !as_safe {
                return Err(provider("names a place in clear text", shown(place)));
            }
        }
        *known = Some((Instant::now(), found.clone()));
        Ok(found)
    }

    fn fetch<T: DeserializeOwned>(&self, url: &str) -> Result<T, Refused> {
        let answer = self.agent.get(url).header("accept", "application/json").call();
        let (status, bytes) = read(answer.map_err(|e| provider("cannot be reached", e.to_string()))?)?;
        if status != 200 {
            return Err(provider("answers otherwise", format!("status {status} at {url}")));
        }
        serde_json::from_slice(&bytes).map_err(|e| provider("cannot be understood", format!("{url}: {e}")))
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Result<(u16, Zeroizing<Vec<u8>>), Refused> {
    let mut bytes = Zeroizing::new(Vec::new());
    let mut body = answer.body_mut().as_reader().take(MAX_BYTES);
    body.read_to_end(&mut bytes).map_err(|e| provider("breaks off", e.to_string()))?;
    Ok((answer.status().as_u16(), bytes))
}

fn provider(what: &'static str, reason: String) -> Refused {
    tracing::warn!(what, reason, "the identity provider");
    Refused::Provider { what, reason }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect::<String>().trim().to_owned()
}

/// `a=1&b=2`, escaped.
fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// RFC 3986: everything but the unreserved.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
