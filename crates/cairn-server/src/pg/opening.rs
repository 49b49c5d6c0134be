//! How a connection becomes a session: TLS, who it is, and what the session begins with.

use std::io;
use std::sync::Arc;

use cairndb::{ClientAddress, Login, Session};
use ring::rand::{SecureRandom, SystemRandom};

use super::message::{Message, Opening};
use super::reply::Report;
use super::scram::{self, Channel, Exchange, Failure};
use super::wire::{Received, Wire};
use crate::Tls;
use crate::access::{self, Peer, Refusal};
use crate::hba::Method;
use crate::registry::{Full, Place, SECRET_BYTES};
use crate::server::Shared;

/// The newest minor version of protocol 3 that is spoken.
const MINOR_MAX: u16 = 2;

impl From<Refusal> for Report {
    fn from(refusal: Refusal) -> Report {
        Report { detail: refusal.detail, ..Report::fatal(refusal.sqlstate, refusal.message) }
    }
}

/// A session that has begun.
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) place: Place,
}

/// Opens the session; `None` where there is to be none, and the client knows.
pub(crate) async fn open(shared: &Arc<Shared>, wire: &mut Wire, peer: Peer) -> io::Result<Option<Opened>> {
    let mut protected = false;
    loop {
        match wire.opening().await? {
            None => return Ok(None),
            Some(Err(violation)) => {
                return refuse(wire, &Report::fatal(violation.sqlstate(), violation.to_string())).await;
            }
            Some(Ok(Opening::Tls)) if !protected && matches!(peer, Peer::Network(..)) => {
                match &shared.options.tls {
                    Some(tls) => {
                        wire.replies.raw(b'S');
                        wire.protect(&tls.acceptor()).await?;
                        protected = true;
                    }
                    None => wire.replies.raw(b'N'),
                }
            }
            // Neither is there: the client goes on without, or not at all.
            Some(Ok(Opening::Tls | Opening::Gss)) => wire.replies.raw(b'N'),
            Some(Ok(Opening::Cancel { pid, secret })) => {
                shared.registry.cancel(pid, &secret);
                return Ok(None);
            }
            Some(Ok(Opening::Startup { major, minor, parameters })) => {
                return begin(shared, wire, (peer, protected), (major, minor), parameters).await;
            }
        }
    }
}

async fn refuse(wire: &mut Wire, report: &Report) -> io::Result<Option<Opened>> {
    wire.replies.error(report);
    wire.flush().await?;
    Ok(None)
}

async fn begin(
    shared: &Arc<Shared>,
    wire: &mut Wire,
    (peer, protected): (Peer, bool),
    (major, minor): (u16, u16),
    parameters: Vec<(String, String)>,
) -> io::Result<Option<Opened>> {
    if major != 3 {
        let message =
            format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{MINOR_MAX}");
        return refuse(wire, &Report::fatal("0A000", message)).await;
    }
    let unknown: Vec<String> =
        parameters.iter().map(|(name, _)| name.clone()).filter(|name| name.starts_with("_pq_.")).collect();
    if minor > MINOR_MAX || !unknown.is_empty() {
        wire.replies.negotiate(u32::from(minor.min(MINOR_MAX)), &unknown);
    }
    let given = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let Some(user) = given("user") else {
        return refuse(wire, &Report::fatal("28000", "no PostgreSQL user name specified in startup packet"))
            .await;
    };
    let mut session = shared.database.session();
    session.set_client(match peer {
        Peer::Network(address, port) => ClientAddress::Network(address, port),
        Peer::Local { .. } => ClientAddress::Local,
    });
    let login = session.login(user);
    let database = given("database").unwrap_or(user);
    let admitted =
        admit(shared, wire, (peer, protected), (user, database), login.as_ref()).await?.map_err(Box::new);
    let admitted =
        admitted.and_then(|()| access::permitted(user, login.as_ref()).map_err(|own| Box::new(own.into())));
    let admitted = admitted.and_then(|()| {
        let begun = session.begin_as(user);
        begun.map_err(|error| Box::new(Report { severity: "FATAL", ..super::connection::report(&error) }))
    });
    if let Err(report) = admitted {
        if let Some(tell) = shared.options.refusals {
            tell(&report.message);
        }
        return refuse(wire, &report).await;
    }
    for (name, value) in &parameters {
        let set = match name.as_str() {
            "user" | "database" | "replication" => Ok(()),
            "options" => set_options(&mut session, value),
            name if name.starts_with("_pq_.") => Ok(()),
            name => session.begin_with(name, value),
        };
        if let Err(error) = set {
            let report = Report { severity: "FATAL", ..super::connection::report(&error) };
            return refuse(wire, &report).await;
        }
    }
    let Some(secret) = secret() else {
        return refuse(wire, &Report::fatal("53000", "no random numbers can be had")).await;
    };
    let told = if minor >= 2 { SECRET_BYTES } else { 4 };
    let pid = session.process_id().unsigned_abs();
    let of_role = (user.as_str(), login.and_then(|login| login.connections_max));
    let entered = shared.registry.enter(pid, of_role, secret[..told].to_vec(), session.cancel_handle());
    let place = match entered {
        Ok(place) => place,
        Err(Full::Server) => {
            return refuse(wire, &Report::fatal("53300", "sorry, too many clients already")).await;
        }
        Err(Full::Role) => {
            let message = format!("too many connections for role \"{user}\"");
            return refuse(wire, &Report::fatal("53300", message)).await;
        }
    };
    wire.replies.authentication_ok();
    for (name, value) in session.changed_parameters().unwrap_or_default() {
        wire.replies.parameter(name, &value);
    }
    wire.replies.backend_key(pid, &secret[..told]);
    wire.replies.ready(b'I');
    wire.flush().await?;
    Ok(Some(Opened { session, place }))
}

/// Whether a peer is whom it says.
async fn admit(
    shared: &Shared,
    wire: &mut Wire,
    (peer, protected): (Peer, bool),
    (user, database): (&str, &str),
    login: Option<&Login>,
) -> io::Result<Result<(), Report>> {
    let refused = |message: String| Ok(Err(Report::fatal("28000", message)));
    let method = access::method(shared, (peer, protected), (user, database), login);
    match method {
        Err(refusal) => Ok(Err(refusal.into())),
        Ok(Method::Trust) => Ok(Ok(())),
        Ok(Method::Peer) if access::is_peer(peer, user) => Ok(Ok(())),
        Ok(Method::Peer) => refused(format!("Peer authentication failed for user \"{user}\"")),
        Ok(Method::Certificate) => match wire.certified() {
            Some(name) if name == user => Ok(Ok(())),
            Some(_) => refused(format!("certificate authentication failed for user \"{user}\"")),
            None => refused("connection requires a valid client certificate".to_owned()),
        },
        Ok(Method::Reject | Method::Scram) => password(shared, wire, protected, user, login).await,
    }
}

/// Whether a peer knows the password.
async fn password(
    shared: &Shared,
    wire: &mut Wire,
    protected: bool,
    user: &str,
    login: Option<&Login>,
) -> io::Result<Result<(), Report>> {
    let end_point = if protected { shared.options.tls.as_ref().and_then(Tls::end_point) } else { None };
    let malformed = |what: &str| Ok(Err(Report::fatal("08P01", format!("malformed SCRAM message: {what}"))));
    let refused = || Ok(Err(Refusal::password(user).into()));
    match end_point {
        Some(_) => wire.replies.sasl(&[scram::MECHANISM_BOUND, scram::MECHANISM]),
        None => wire.replies.sasl(&[scram::MECHANISM]),
    }
    let Received::Message(Message::Password(first)) = wire.next(true).await? else {
        return Ok(Err(Report::fatal("08P01", "expected SASL response")));
    };
    // Mechanism, length, the client's first message.
    let Some((mechanism, rest)) = first.iter().position(|byte| *byte == 0).map(|end| first.split_at(end))
    else {
        return malformed("no mechanism");
    };
    let channel = match (mechanism, end_point) {
        (mechanism, Some(end_point)) if mechanism == scram::MECHANISM_BOUND.as_bytes() => {
            Channel::Bound(end_point)
        }
        (mechanism, Some(_)) if mechanism == scram::MECHANISM.as_bytes() => Channel::CouldBeBound,
        (mechanism, None) if mechanism == scram::MECHANISM.as_bytes() => Channel::Plain,
        _ => {
            return Ok(Err(Report::fatal(
                "08P01",
                "client selected an invalid SASL authentication mechanism",
            )));
        }
    };
    let Some(data) = rest.get(5..) else { return malformed("no data") };
    let verifier = access::verifier(shared, user, login);
    let (exchange, answer) = match Exchange::begin(data, user, verifier.as_ref(), channel) {
        Ok(begun) => begun,
        Err(Failure::Malformed(what)) => return malformed(what),
        Err(Failure::Refused) => return refused(),
    };
    wire.replies.sasl_continue(&answer);
    let Received::Message(Message::Password(last)) = wire.next(true).await? else {
        return Ok(Err(Report::fatal("08P01", "expected SASL response")));
    };
    match exchange.finish(&last) {
        Ok(proof) => {
            wire.replies.sasl_final(&proof);
            Ok(Ok(()))
        }
        Err(Failure::Malformed(what)) => malformed(what),
        Err(Failure::Refused) => {
            // Guessing is to take its time.
            tokio::time::sleep(shared.options.failure_delay).await;
            refused()
        }
    }
}

fn secret() -> Option<[u8; SECRET_BYTES]> {
    let mut secret = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut secret).ok()?;
    Some(secret)
}

/// Sets what `options` says: `-c name=value`, `--name=value`; a blank within a value has a backslash before it.
fn set_options(session: &mut Session, text: &str) -> cairndb::Result<()> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, words.last_mut()) {
            ('\\', Some(word)) => word.extend(characters.next()),
            (c, _) if c.is_ascii_whitespace() => words.push(String::new()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next().unwrap_or_default(),
            Some(setting) => setting.to_owned(),
            None => word,
        };
        let (name, value) = setting.split_once('=').unwrap_or((&setting, ""));
        session.begin_with(&name.replace('-', "_"), value)?;
    }
    Ok(())
}
