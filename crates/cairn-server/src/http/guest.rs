//! The session that a request runs in.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use cairndb::{ClientAddress, Outcome, Session, StatementCancel, Value};
use ring::rand::{SecureRandom, SystemRandom};

use super::login::Credentials;
use super::problem::Problem;
use super::{Connection, Http};
use crate::access::{self, Peer, Refusal};
use crate::hba::Method;
use crate::registry::{Full, Place, SECRET_BYTES};

/// A session of a role's. Dropping it cancels its statement.
pub(super) struct Guest {
    pub(super) session: Session,
    pub(super) user: String,
    cancel: StatementCancel,
    _place: Place,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Guest {
    /// What ends its statement.
    pub(super) fn cancel(&self) {
        self.cancel.cancel();
    }

    /// The same, for another task.
    pub(super) fn canceller(&self) -> StatementCancel {
        self.cancel.clone()
    }

    /// Runs a statement; at once, where it waits for nothing.
    pub(super) async fn run(&mut self, sql: &str, values: &[Value]) -> cairndb::Result<Outcome> {
        match self.session.run_now(sql, values) {
            Some(outcome) => outcome,
            None => self.session.run_values_async(sql, values).await,
        }
    }
}

/// A guest for each request that asks for one: its credentials are looked at before its body is.
impl FromRequestParts<Arc<Http>> for Guest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Guest, Problem> {
        let Some(connection) = parts.extensions.get::<Connection>().copied() else {
            return Err(Problem::new(500, "XX000", "a request without a connection"));
        };
        let Some(credentials) = Credentials::of(&parts.headers) else {
            let missing =
                Problem::new(401, "28000", "this needs the name and the password of a role (Basic)");
            return Err(missing.with_hint("ALTER ROLE cairn PASSWORD '…' gives it one."));
        };
        enter(http, connection, &credentials).await
    }
}

/// Opens a session for whoever knows a role's password.
pub(super) async fn enter(
    http: &Http,
    connection: Connection,
    credentials: &Credentials,
) -> Result<Guest, Problem> {
    let shared = &http.shared;
    if let (Some(most), Peer::Network(address, _)) =
        (shared.options.http_requests_per_minute, connection.peer)
        && let Err(wait) = http.rates.take((address, &credentials.user), most, Instant::now())
    {
        let message = format!("more than {most} requests in a minute");
        return Err(Problem::new(429, "53400", message).with_retry(wait));
    }
    let mut session = shared.database.session();
    let login = session.login(&credentials.user);
    let user = credentials.user.as_str();
    let admitted = async {
        let asked = ((connection.peer, connection.protected), (user, user));
        match access::method(shared, asked.0, asked.1, login.as_ref())? {
            Method::Trust => {}
            Method::Scram => {
                let verifier = access::verifier(shared, user, login.as_ref());
                if !http.logins.accepts(credentials, verifier).await {
                    // Guessing is to take its time.
                    tokio::time::sleep(shared.options.failure_delay).await;
                    return Err(Refusal::password(user));
                }
            }
            Method::Reject | Method::Certificate | Method::Peer => {
                let message =
                    format!("user \"{user}\" does not come in over HTTP by the rules of pg_hba.conf");
                return Err(Refusal::new("28000", message));
            }
        }
        access::permitted(user, login.as_ref())
    };
    if let Err(refusal) = admitted.await {
        if let Some(tell) = shared.options.refusals {
            tell(&refusal.message);
        }
        return Err(refusal.into());
    }
    if let Peer::Network(address, port) = connection.peer {
        session.set_client(ClientAddress::Network(address, port));
    }
    session.begin_as(user)?;
    let mut secret = vec![0; SECRET_BYTES];
    if SystemRandom::new().fill(&mut secret).is_err() {
        return Err(Problem::new(503, "53000", "no random numbers can be had"));
    }
    let cancel = session.cancel_handle();
    let of_role = (user, login.and_then(|login| login.connections_max));
    let pid = session.process_id().unsigned_abs();
    match shared.registry.enter(pid, of_role, secret, cancel.clone()) {
        Ok(place) => Ok(Guest { session, user: credentials.user.clone(), cancel, _place: place }),
        Err(Full::Server) => Err(Problem::new(429, "53300", "sorry, too many clients already")),
        Err(Full::Role) => {
            Err(Problem::new(429, "53300", format!("too many connections for role \"{user}\"")))
        }
    }
}
