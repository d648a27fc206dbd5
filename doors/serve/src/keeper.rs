//! Who may come in: verifies keys, remembers them for a moment, checks scope and rate.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use policy::{Principal, Scope};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::credentials;
use crate::gate::Asked;
use crate::login::Login;
use crate::problem::Problem;
use crate::rate::Rates;
use crate::refusal::Refusal;

/// How long a verified key is believed. A revocation through this server forgets all of them at once; one that comes
/// another way, or an expiry, counts within this time.
const BELIEVED: Duration = Duration::from_secs(1);
/// Verified keys remembered at once.
const MAX_REMEMBERED: usize = 4_096;

/// Asks the house whose key it is. May wait for a disk.
pub(crate) type Authenticate = Box<dyn Fn(&str) -> Result<Principal, Problem> + Send + Sync>;

/// Whoever holds a key that was verified.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// What it may do.
    pub principal: Arc<Principal>,
    /// Until when, in seconds since 1970: where it is a person's session.
    pub ends: Option<i64>,
    key: Arc<str>,
}

/// Keeps the door.
pub(crate) struct Keeper {
    authenticate: Authenticate,
    rates: Rates,
    login: Option<Arc<Login>>,
    remembered: Mutex<HashMap<[u8; 32], (Instant, Caller)>>,
}

/// One route's demand.
#[derive(Clone)]
pub(crate) struct Demand {
    /// Who checks.
    pub keeper: Arc<Keeper>,
    /// What the key must be allowed to do.
    pub scope: Scope,
    /// True where the key may also stand in the body, which the handler then checks.
    pub or_in_body: bool,
}

impl Keeper {
    /// Verifies through `authenticate`, within `rates`.
    pub(crate) fn new(authenticate: Authenticate, rates: Rates) -> Self {
        Self { authenticate, rates, login: None, remembered: Mutex::default() }
    }

    /// Lets people in as well.
    pub(crate) fn with_login(self, login: Option<Login>) -> Self {
        Self { login: login.map(Arc::new), ..self }
    }

    /// How people come in, if they do.
    pub(crate) fn login(&self) -> Option<Arc<Login>> {
        self.login.clone()
    }

    async fn by_key(self: &Arc<Self>, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
        match credentials::from_headers(headers)? {
            Some(secret) => self.verify(secret).await.map(Some),
            None => Ok(None),
        }
    }

    /// Who asks, by key or by session, whatever it may do.
    pub(crate) async fn recognise(
        self: &Arc<Self>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Option<Caller>, Problem> {
        if let Some(caller) = self.by_key(headers).await? {
            return Ok(Some(caller));
        }
        let Some(login) = &self.login else { return Ok(None) };
        let session = login.session(method, headers)?;
        Ok(session.map(|session| Caller {
            principal: session.who,
            ends: Some(session.ends),
            key: session.id,
        }))
    }

    /// Lets the holder of `secret` in for `scope`, once.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        secret: Zeroizing<String>,
        scope: Scope,
    ) -> Result<Caller, Problem> {
        let caller = self.verify(secret).await?;
        self.check(&caller, scope)?;
        Ok(caller)
    }

    fn check(&self, caller: &Caller, scope: Scope) -> Result<(), Problem> {
        let name = || caller.principal.name().to_owned();
        if !caller.principal.has(scope) {
            return Err(Refusal::Scope { name: name(), scope: scope.as_str() }.into());
        }
        self.rates.take(&caller.key, Instant::now()).map_err(|wait| {
            let wait_s = wait.as_millis().div_ceil(1_000).max(1) as u64;
            Refusal::TooMany { name: name(), per_second: self.rates.per_second(), wait_s }
        })?;
        Ok(())
    }

    async fn verify(self: &Arc<Self>, secret: Zeroizing<String>) -> Result<Caller, Problem> {
        // The digest is the key of the map, so that no secret stays in memory and no comparison leaks one.
        let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let now = Instant::now();
        if let Some((until, caller)) = self.remembered.lock().get(&digest)
            && now < *until
        {
            return Ok(caller.clone());
        }
        let keeper = Arc::clone(self);
        let verified = tokio::task::spawn_blocking(move || {
            let principal = (keeper.authenticate)(&secret)?;
            Ok::<(Principal, Arc<str>), Problem>((principal, credentials::public_part(&secret).into()))
        });
        let (principal, key) = verified.await.map_err(|_| Problem::from(Refusal::Closing))??;
        let caller = Caller { principal: Arc::new(principal), ends: None, key };
        let mut remembered = self.remembered.lock();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(digest, (now + BELIEVED, caller.clone()));
        Ok(caller)
    }

    /// Forgets who was verified, because a key was revoked.
    pub(crate) fn forget(&self) {
        self.remembered.lock().clear();
    }
}

/// The layer around each route that needs a key.
pub(crate) async fn guard(State(demand): State<Demand>, mut request: Request, next: Next) -> Response {
    let admitted = match of_headers(&demand, request.method(), request.headers()).await {
        Ok(admitted) => admitted,
        Err(problem) => return problem.into_response(),
    };
    let asked = admitted.as_ref().map(|caller| Asked(Arc::clone(&caller.key)));
    if let Some(caller) = admitted {
        request.extensions_mut().insert(caller);
    }
    let mut response = next.run(request).await;
    if let Some(asked) = asked {
        response.extensions_mut().insert(asked);
    }
    response
}

async fn of_headers(
    demand: &Demand,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Caller>, Problem> {
    let asks = if demand.or_in_body {
        // The key may be in the body: a cookie that the browser sends along says nothing about it.
        demand.keeper.by_key(headers).await?
    } else {
        demand.keeper.recognise(method, headers).await?
    };
    match asks {
        Some(caller) => demand.keeper.check(&caller, demand.scope).map(|()| Some(caller)),
        None if demand.or_in_body => Ok(None),
        None => Err(Refusal::NoKey.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn keeper(burst: u32) -> (Arc<Keeper>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let authenticate = move |secret: &str| {
            count.fetch_add(1, Ordering::Relaxed);
            match secret {
                "mr_1_a" => Ok(Principal::new("shop", [Scope::Track])),
                _ => Err(Refusal::NoKey.into()),
            }
        };
        (Arc::new(Keeper::new(Box::new(authenticate), Rates::new(1, burst))), asked)
    }

    async fn admit(keeper: &Arc<Keeper>, secret: &str, scope: Scope) -> Result<(), String> {
        keeper
            .admit(Zeroizing::new(secret.to_owned()), scope)
            .await
            .map(|_| ())
            .map_err(|problem| problem.code)
    }

    #[tokio::test]
    async fn a_key_is_verified_once_per_moment_and_a_forged_one_each_time() {
        let (keeper, asked) = keeper(100);
        for _ in 0..5 {
            admit(&keeper, "mr_1_a", Scope::Track).await.unwrap();
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        keeper.forget();
        admit(&keeper, "mr_1_a", Scope::Track).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        for _ in 0..3 {
            assert_eq!(admit(&keeper, "mr_1_b", Scope::Track).await, Err("MR7021".to_owned()));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 5);
    }

    #[tokio::test]
    async fn scope_and_rate_are_checked_on_every_request() {
        let (keeper, _) = keeper(2);
        assert_eq!(admit(&keeper, "mr_1_a", Scope::Decide).await, Err("MR7023".to_owned()));
        let mut answers = Vec::new();
        while answers.len() < 100 && answers.last().is_none_or(Result::is_ok) {
            answers.push(admit(&keeper, "mr_1_a", Scope::Track).await);
        }
        assert!(answers.len() > 2);
        assert_eq!(answers.last(), Some(&Err("MR7024".to_owned())));
    }
}
