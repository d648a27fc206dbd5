//! How people come in: OpenID Connect with authorization code and PKCE, and a session after it.
//!
//! ```text
//! GET /v1/login          → the provider, with state, nonce and challenge; a cookie ties it to this browser
//! GET /v1/login/callback → state once, code for token, token checked, groups → roles, session
//! any route              → the session's cookie is the key, and what its roles open is its scopes
//! POST /v1/logout        → no session
//! ```
//! Nothing here decides what a role may do, and no token is kept: a session is a random value whose digest is known.

mod claims;
mod jose;
mod provider;
mod refused;
mod sessions;
mod talk;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, Method, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use house::{House, LoginSettings};
use policy::Principal;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub(crate) use refused::Refused;
pub(crate) use talk::{Left, Me, callback, leave, me, start};

use claims::{Claims, Expected};
use provider::Provider;
use sessions::{Pending, Session, Sessions};

/// The session's cookie.
const COOKIE: &str = "mr_session";
/// The cookie that ties a login to the browser which began it.
const BROWSER: &str = "mr_login";
/// How long a login may take at the provider.
const LOGIN_FOR: Duration = Duration::from_secs(600);

/// People's way in.
pub(crate) struct Login {
    settings: LoginSettings,
    house: Arc<House>,
    provider: Provider,
    sessions: Sessions,
}

/// Where to send a browser that wants to log in, and what it must bring back.
pub(crate) struct Sent {
    pub url: String,
    pub browser: String,
}

/// Somebody who has logged in.
pub(crate) struct Entered {
    pub cookie: String,
    pub back: String,
}

impl Login {
    /// The way in that the project's settings describe; `None` where there is none.
    ///
    /// # Errors
    /// [`Refused::Settings`] where the client's secret is not there.
    pub(crate) fn of(house: &Arc<House>) -> Result<Option<Self>, Refused> {
        let settings = house.settings().login.clone();
        if !settings.is_on() {
            return Ok(None);
        }
        let secret = secret(&settings.client_secret, &house.project().dir)?;
        let provider = Provider::new(&settings, secret);
        Ok(Some(Self { settings, house: Arc::clone(house), provider, sessions: Sessions::default() }))
    }

    /// Begins a login. May wait for the provider.
    pub(crate) fn begin(&self, back: &str) -> Result<Sent, Refused> {
        let (state, nonce, verifier, browser) = (random()?, random()?, random()?, random()?);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let url = self.provider.authorize(&self.redirect(), &state, &nonce, &challenge)?;
        let pending = Pending {
            nonce,
            verifier: Zeroizing::new(verifier),
            browser: digest(&browser),
            back: local(back),
            until: Instant::now() + LOGIN_FOR,
        };
        self.sessions.expect(digest(&state), pending)?;
        Ok(Sent { url, browser })
    }

    /// Ends a login: the code becomes a token, the token a session. May wait for the provider.
    ///
    /// * `browser`: the cookie of the browser that began it
    pub(crate) fn finish(
        &self,
        state: &str,
        code: &str,
        issuer: Option<&str>,
        browser: Option<&str>,
    ) -> Result<Entered, Refused> {
        // Each state opens once, whatever comes of it: what comes again is a replay.
        let pending = self.sessions.take(&digest(state)).ok_or(Refused::State)?;
        if browser.map(digest) != Some(pending.browser) {
            return Err(Refused::OtherBrowser);
        }
        if issuer.is_some_and(|issuer| issuer != self.settings.issuer) {
            return Err(Refused::Token { reason: "the answer is another provider's".to_owned() });
        }
        let token = self.provider.redeem(code, &self.redirect(), &pending.verifier)?;
        let claims = self.check(&token, &pending.nonce)?;
        let (name, roles) = self.who(&claims)?;
        let who = self.house.roles().person(&name, &roles).map_err(house::Error::from)?;
        let cookie = random()?;
        let lasts = Duration::from_secs(u64::from(self.settings.session_minutes) * 60);
        let id: Arc<str> = format!("session {}", hex(&digest(&cookie)).get(..8).unwrap_or_default()).into();
        tracing::info!(session = &*id, roles = roles.join(","), "somebody logged in");
        self.sessions.open(
            digest(&cookie),
            Session {
                who: Arc::new(who),
                id,
                until: Instant::now() + lasts,
                ends: now_seconds() + lasts.as_secs() as i64,
            },
        )?;
        Ok(Entered { cookie, back: pending.back })
    }

    /// The session that a request's cookie names; `Ok(None)` where it brings none.
    ///
    /// # Errors
    /// [`Refused::Session`] for one that is over, [`Refused::CrossSite`] for a change that another site asks for.
    pub(crate) fn session(&self, method: &Method, headers: &HeaderMap) -> Result<Option<Session>, Refused> {
        let Some(value) = cookie(headers, COOKIE) else { return Ok(None) };
        let session = self.sessions.find(&digest(value)).ok_or(Refused::Session)?;
        let only_reads = matches!(*method, Method::GET | Method::HEAD);
        if !only_reads && self.is_cross_site(headers) {
            return Err(Refused::CrossSite);
        }
        Ok(Some(session))
    }

    /// Ends the session that a request's cookie names; true where there was one.
    pub(crate) fn end(&self, headers: &HeaderMap) -> Result<bool, Refused> {
        let Some(value) = cookie(headers, COOKIE) else { return Ok(false) };
        if self.is_cross_site(headers) {
            return Err(Refused::CrossSite);
        }
        Ok(self.sessions.close(&digest(value)))
    }

    /// A `Set-Cookie` header's value; `None` takes the cookie away.
    pub(crate) fn set_cookie(&self, name: &str, path: &str, value: Option<&str>, seconds: u64) -> String {
        let secure = if self.settings.url.starts_with("https://") { "; Secure" } else { "" };
        let (value, age) = value.map_or(("", 0), |value| (value, seconds));
        format!("{name}={value}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")
    }

    fn redirect(&self) -> String {
        format!("{}/v1/login/callback", self.settings.url.trim_end_matches('/'))
    }

    /// The claims of an ID token that passes every check, and passes them once.
    fn check(&self, token: &str, nonce: &str) -> Result<Claims, Refused> {
        let now = now_seconds();
        let expected = Expected {
            issuer: &self.settings.issuer,
            client: &self.settings.client_id,
            nonce,
            skew: i64::from(self.settings.skew_seconds),
            now,
        };
        let jws = jose::Jws::parse(token)?;
        let claims = match jws.verify(&self.provider.keys(false)?) {
            // A provider that changed its keys since they were fetched is asked once more.
            Err(Refused::UnknownKey { .. }) => jws.verify(&self.provider.keys(true)?)?,
            other => other?,
        };
        let claims = Claims::check(&claims, &expected)?;
        if !self.sessions.is_first(digest(token), claims.exp + expected.skew, now) {
            return Err(Refused::Token { reason: "it was used before".to_owned() });
        }
        Ok(claims)
    }

    /// A person's name and roles.
    fn who(&self, claims: &Claims) -> Result<(String, Vec<String>), Refused> {
        let name = claims.text(&self.settings.name_claim).unwrap_or(claims.subject.clone());
        let groups = claims.texts(&self.settings.groups_claim);
        let mut roles: Vec<String> =
            groups.iter().filter_map(|group| self.settings.roles.get(group)).cloned().collect();
        roles.sort();
        roles.dedup();
        if roles.is_empty() {
            let claim = self.settings.groups_claim.clone();
            return Err(Refused::NoRole { name, claim, groups: groups.join(", ") });
        }
        Ok((name, roles))
    }

    /// Browsers say on whose behalf a page asks; where they say nothing, it is no browser.
    fn is_cross_site(&self, headers: &HeaderMap) -> bool {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let site = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
        let origin = text("origin").is_some_and(|origin| origin != origin_of(&self.settings.url));
        site || origin
    }
}

/// A cookie's value.
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(known, _)| *known == name).map(|(_, v)| v)
}

/// `https://engine.example` of `https://engine.example/x`
fn origin_of(url: &str) -> &str {
    let from = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(from..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| from + at);
    url.get(..end).unwrap_or(url)
}

/// A place on this server: whoever made the link chooses no other.
fn local(back: &str) -> String {
    let is_path = back.starts_with('/') && !back.starts_with("//") && !back.contains(['\\', '\r', '\n']);
    if is_path && back.len() <= 1_024 && back.is_ascii() { back.to_owned() } else { "/v1/me".to_owned() }
}

fn secret(reference: &str, dir: &std::path::Path) -> Result<Option<Zeroizing<String>>, Refused> {
    let missing = |reason: String| Refused::Settings { reason };
    let text = if let Some(name) = reference.strip_prefix("env:") {
        std::env::var(name).map_err(|_| missing(format!("the environment has no {name}")))?
    } else if let Some(path) = reference.strip_prefix("file:") {
        std::fs::read_to_string(dir.join(path)).map_err(|e| missing(format!("{path}: {e}")))?
    } else {
        return Ok(None);
    };
    Ok(Some(Zeroizing::new(text.trim().to_owned())))
}

/// 256 random bits, in letters that need no escaping.
fn random() -> Result<String, Refused> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| Refused::NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// A principal with what a door says of it.
pub(crate) fn open_doors(who: &Principal) -> Vec<&'static str> {
    who.scopes().iter().map(|scope| scope.as_str()).collect()
}
