//! Who a request is of: Basic credentials, held against the role's password.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;

use crate::Verifier;

/// Passwords that are remembered, at most.
const REMEMBERED_MAX: usize = 4096;
/// Passwords that are tried at once; each keeps a processor busy for some milliseconds.
const TRIED_MAX: usize = 2;

/// A name and a password.
#[derive(Clone, serde::Deserialize)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl Credentials {
    /// Those of a request; `None` where it has none that can be read.
    pub(super) fn of(headers: &HeaderMap) -> Option<Credentials> {
        let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, rest) = given.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(BASE64.decode(rest.trim()).ok()?).ok()?;
        let (user, password) = decoded.split_once(':')?;
        Some(Credentials { user: user.to_owned(), password: password.to_owned() })
    }
}

/// Passwords that were right: to find that out takes thousands of rounds, which are not made for each request.
pub(super) struct Logins {
    known: Mutex<HashMap<[u8; 32], Verifier>>,
    key: OnceLock<Option<hmac::Key>>,
    trying: Semaphore,
}

impl Default for Logins {
    fn default() -> Logins {
        Logins { known: Mutex::default(), key: OnceLock::new(), trying: Semaphore::new(TRIED_MAX) }
    }
}

impl Logins {
    /// Whether a password is the one that the verifier was made of; without one none is, and it takes as long.
    pub(super) async fn accepts(&self, own: &Credentials, verifier: Option<Verifier>) -> bool {
        let is_there = verifier.is_some();
        let verifier = verifier.unwrap_or_else(|| Verifier::of_nobody(&own.user));
        let tag = self.tag(own);
        let is_known = || tag.is_some_and(|tag| self.known().get(&tag) == Some(&verifier));
        if is_known() {
            return true;
        }
        let Ok(_turn) = self.trying.acquire().await else { return false };
        // Of many that came at once the first has found it out.
        if is_known() {
            return true;
        }
        let (asked, password) = (verifier.clone(), own.password.clone());
        let right = tokio::task::spawn_blocking(move || asked.accepts(&password)).await.unwrap_or(false);
        let right = right && is_there;
        if let (true, Some(tag)) = (right, tag) {
            let mut known = self.known();
            if known.len() >= REMEMBERED_MAX {
                known.clear();
            }
            known.insert(tag, verifier);
        }
        right
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Verifier>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands for name and password; nobody who reads it can tell them. `None` without random numbers.
    fn tag(&self, own: &Credentials) -> Option<[u8; 32]> {
        let key = || hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok();
        let key = self.key.get_or_init(key).as_ref()?;
        let mut context = hmac::Context::with_key(key);
        context.update(&(own.user.len() as u64).to_be_bytes());
        context.update(own.user.as_bytes());
        context.update(own.password.as_bytes());
        context.sign().as_ref().try_into().ok()
    }
}
