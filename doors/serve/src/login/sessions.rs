//! Logins under way, sessions, and tokens that were used: in memory only, by digests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use policy::Principal;
use zeroize::Zeroizing;

use super::refused::Refused;

/// Logins under way at once.
const MAX_PENDING: usize = 10_000;
/// Sessions at once.
const MAX_SESSIONS: usize = 10_000;

type Digest = [u8; 32];

/// A login under way.
pub(crate) struct Pending {
    pub nonce: String,
    pub verifier: Zeroizing<String>,
    /// Of the cookie of the browser that began it.
    pub browser: Digest,
    /// Where it goes on afterwards.
    pub back: String,
    pub until: Instant,
}

/// Somebody who is in.
#[derive(Clone)]
pub(crate) struct Session {
    pub who: Arc<Principal>,
    /// Names it in logs, and is no secret.
    pub id: Arc<str>,
    pub until: Instant,
    /// The same in seconds since 1970, for people.
    pub ends: i64,
}

#[derive(Default)]
pub(crate) struct Sessions {
    pending: Mutex<HashMap<Digest, Pending>>,
    open: Mutex<HashMap<Digest, Session>>,
    /// Tokens that were used, until when they would have counted.
    used: Mutex<HashMap<Digest, i64>>,
}

impl Sessions {
    /// A login begins.
    pub(crate) fn expect(&self, state: Digest, pending: Pending) -> Result<(), Refused> {
        let mut all = self.pending.lock();
        if all.len() >= MAX_PENDING {
            let now = Instant::now();
            all.retain(|_, pending| pending.until > now);
            if all.len() >= MAX_PENDING {
                return Err(Refused::Full);
            }
        }
        all.insert(state, pending);
        Ok(())
    }

    /// A login ends; the same state is none a second time.
    pub(crate) fn take(&self, state: &Digest) -> Option<Pending> {
        self.pending.lock().remove(state).filter(|pending| pending.until > Instant::now())
    }

    /// Somebody comes in.
    pub(crate) fn open(&self, cookie: Digest, session: Session) -> Result<(), Refused> {
        let mut all = self.open.lock();
        if all.len() >= MAX_SESSIONS {
            let now = Instant::now();
            all.retain(|_, session| session.until > now);
            if all.len() >= MAX_SESSIONS {
                return Err(Refused::Full);
            }
        }
        all.insert(cookie, session);
        Ok(())
    }

    /// Who is in.
    pub(crate) fn find(&self, cookie: &Digest) -> Option<Session> {
        let mut all = self.open.lock();
        let session = all.get(cookie)?;
        if session.until > Instant::now() {
            return Some(session.clone());
        }
        all.remove(cookie);
        None
    }

    /// Somebody leaves; true where they were in.
    pub(crate) fn close(&self, cookie: &Digest) -> bool {
        self.open.lock().remove(cookie).is_some()
    }

    /// True the first time for a token; until it would no longer count anyway.
    pub(crate) fn is_first(&self, token: Digest, until: i64, now: i64) -> bool {
        let mut all = self.used.lock();
        all.retain(|_, until| *until >= now);
        all.insert(token, until).is_none()
    }
}
