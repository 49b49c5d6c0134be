//! Sessions that a client opens for transactions of several requests. They end when they are closed, or idle for too long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairndb::SessionStatus;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Duration, Instant};

use super::guest::Guest;
use super::problem::Problem;
use super::{Http, reply};
use crate::registry::Stage;

/// The header that names a session.
pub(super) const SESSION: HeaderName = HeaderName::from_static("cairn-session");
/// The header that tells whether a transaction is open in it: `idle`, `open` or `failed`.
pub(super) const TRANSACTION: HeaderName = HeaderName::from_static("cairn-transaction");

/// Bytes of a name: nobody guesses it.
const NAME_BYTES: usize = 18;

/// All of them, by name.
#[derive(Clone, Default)]
pub(super) struct Sessions(Arc<Mutex<HashMap<String, Arc<Kept>>>>);

struct Kept {
    user: String,
    guest: Arc<tokio::sync::Mutex<Guest>>,
    used: Mutex<Instant>,
}

/// A session while a request has it. Dropped before [`Held::done`], it cancels what runs in it.
pub(super) struct Held {
    guest: OwnedMutexGuard<Guest>,
    kept: Arc<Kept>,
    is_done: bool,
}

impl Held {
    pub(super) fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    pub(super) fn done(&mut self) {
        self.is_done = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_done {
            self.guest.cancel();
        }
        *self.kept.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Sessions {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Kept>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of that name, which has to be the user's, for one request.
    pub(super) fn hold(&self, name: &HeaderValue, user: &str) -> Result<Held, Problem> {
        let kept = name.to_str().ok().and_then(|name| self.all().get(name).cloned());
        let kept = kept.filter(|own| own.user == user).ok_or_else(gone)?;
        match Arc::clone(&kept.guest).try_lock_owned() {
            Ok(guest) if guest.session.is_terminated() => Err(gone()),
            Ok(guest) => Ok(Held { guest, kept, is_done: false }),
            Err(_) => Err(Problem::new(409, "55006", "another request runs in this session")),
        }
    }
}

fn gone() -> Problem {
    Problem::new(404, "08003", "there is no such session")
        .with_hint("Sessions end when they are idle for too long; what was not committed is rolled back.")
}

/// `POST /api/sessions`.
pub(super) async fn open(State(http): State<Arc<Http>>, guest: Guest) -> Result<Response, Problem> {
    let mut name = [0; NAME_BYTES];
    if SystemRandom::new().fill(&mut name).is_err() {
        return Err(Problem::new(503, "53000", "no random numbers can be had"));
    }
    let name = URL_SAFE_NO_PAD.encode(name);
    let kept = Kept {
        user: guest.user.clone(),
        guest: Arc::new(tokio::sync::Mutex::new(guest)),
        used: Mutex::new(Instant::now()),
    };
    http.sessions.all().insert(name.clone(), Arc::new(kept));
    tokio::spawn(until_idle(Arc::clone(&http), name.clone()));
    let idle = http.shared.options.http_session_idle;
    let mut response = reply::json(
        StatusCode::CREATED,
        json!({"session": name, "idle_seconds": idle.as_secs_f64()}).to_string(),
    );
    if let Ok(address) = HeaderValue::from_str(&format!("/api/sessions/{name}")) {
        response.headers_mut().insert(header::LOCATION, address);
    }
    Ok(response)
}

/// `DELETE /api/sessions/{session}`: rolls an open transaction back.
pub(super) async fn close(
    State(http): State<Arc<Http>>,
    Path(name): Path<String>,
    guest: Guest,
) -> Result<Response, Problem> {
    let mut all = http.sessions.all();
    if all.get(&name).is_none_or(|kept| kept.user != guest.user) {
        return Err(gone());
    }
    let kept = all.remove(&name);
    drop(all);
    // What runs in it ends with it.
    if let Some(kept) = kept
        && let Err(_running) = kept.guest.try_lock()
    {
        return Ok((StatusCode::ACCEPTED, ()).into_response());
    }
    Ok((StatusCode::NO_CONTENT, ()).into_response())
}

/// Forgets a session when it was idle for too long, or the server ends.
async fn until_idle(http: Arc<Http>, name: String) {
    let idle = http.shared.options.http_session_idle;
    let mut stages = http.shared.registry.stages();
    loop {
        let Some(kept) = http.sessions.all().get(&name).cloned() else { return };
        let used = *kept.used.lock().unwrap_or_else(PoisonError::into_inner);
        let stage = *stages.borrow_and_update();
        let is_free = kept.guest.try_lock().is_ok_and(|guest| {
            let in_transaction = guest.session.status() != SessionStatus::Idle;
            used.elapsed() >= idle || stage == Stage::Ending || stage == Stage::Closing && !in_transaction
        });
        drop(kept);
        if is_free {
            http.sessions.all().remove(&name);
            return;
        }
        let pause = match stage {
            Stage::Open => idle.saturating_sub(used.elapsed()).max(Duration::from_millis(100)),
            _ => Duration::from_millis(10),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stages.changed() => {}
        }
    }
}
