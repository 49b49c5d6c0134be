//! Who may come in, whatever the protocol: how somebody has to show who it is, and what a role needs to have a session.

use std::net::IpAddr;

use cairndb::Login;

use crate::Verifier;
use crate::hba::{Asking, Method};
use crate::server::Shared;

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    /// Someone who came over the network, from an address and a port.
    Network(IpAddr, u16),
    /// A process of this machine, and the user that it runs as.
    Local { user: Option<u32> },
}

/// Why somebody is not let in.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) sqlstate: &'static str,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
}

impl Refusal {
    pub(crate) fn new(sqlstate: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { sqlstate, message: message.into(), detail: None }
    }

    /// A password that is none.
    pub(crate) fn password(user: &str) -> Refusal {
        Refusal::new("28P01", format!("password authentication failed for user \"{user}\""))
    }
}

/// How a peer has to show that it is a user of a database; `Err` where nothing would help.
pub(crate) fn method(
    shared: &Shared,
    (peer, protected): (Peer, bool),
    (user, database): (&str, &str),
    login: Option<&Login>,
) -> Result<Method, Refusal> {
    let refused = |message: String| Refusal::new("28000", message);
    let Some(rules) = &shared.options.rules else {
        return without_rules(shared, (peer, protected), user).map_err(refused);
    };
    let address = match peer {
        Peer::Network(address, _) => Some(address),
        Peer::Local { .. } => None,
    };
    let roles = login.map(|login| &login.member_of[..]).unwrap_or_default();
    let found = rules.method(&Asking { address, protected, database, user, roles });
    let from = address.map_or_else(|| "[local]".to_owned(), |own| own.to_canonical().to_string());
    let safety = if protected { "SSL encryption" } else { "no encryption" };
    let who = format!("host \"{from}\", user \"{user}\", database \"{database}\", {safety}");
    match found {
        None => Err(refused(format!("no pg_hba.conf entry for {who}"))),
        Some(Method::Reject) => Err(refused(format!("pg_hba.conf rejects connection for {who}"))),
        Some(method) => Ok(method),
    }
}

/// What counts without rules: the server's own user is `cairn` over the Unix socket, everyone else knows the password.
fn without_rules(shared: &Shared, (peer, protected): (Peer, bool), user: &str) -> Result<Method, String> {
    match peer {
        Peer::Local { user: Some(uid) } if is_own(uid) && user == crate::SUPERUSER => Ok(Method::Trust),
        Peer::Network(..) if shared.options.tls_only && !protected => {
            Err(format!("user \"{user}\" has to use TLS"))
        }
        _ => Ok(Method::Scram),
    }
}

/// Whether a role that has shown who it is may have a session.
pub(crate) fn permitted(user: &str, login: Option<&Login>) -> Result<(), Refusal> {
    match login {
        None => Err(Refusal::new("28000", format!("role \"{user}\" does not exist"))),
        Some(login) if !login.may_log_in => {
            Err(Refusal::new("28000", format!("role \"{user}\" is not permitted to log in")))
        }
        Some(login) if !login.may_connect => {
            let detail = Some("User does not have CONNECT privilege.".to_owned());
            Err(Refusal { detail, ..Refusal::new("42501", "permission denied for database \"cairn\"") })
        }
        Some(_) => Ok(()),
    }
}

/// What a user's password is held against: that of the server's options for `cairn`, else the role's own.
pub(crate) fn verifier(shared: &Shared, user: &str, login: Option<&Login>) -> Option<Verifier> {
    let given = shared.options.password.as_ref().filter(|_| user == crate::SUPERUSER).cloned();
    given.or_else(|| login.and_then(|login| login.verifier.as_deref()).and_then(Verifier::parse))
}

/// Whether a user of the system is the one that the server runs as.
fn is_own(uid: u32) -> bool {
    uid == rustix::process::geteuid().as_raw()
}

/// Whether a process of this machine runs as a user of that name; the server's own user is `cairn`, too.
pub(crate) fn is_peer(peer: Peer, user: &str) -> bool {
    let Peer::Local { user: Some(uid) } = peer else { return false };
    is_own(uid) && user == crate::SUPERUSER || system_user(uid).is_some_and(|name| name == user)
}

/// The name of a user of the system.
fn system_user(uid: u32) -> Option<String> {
    let all = std::fs::read_to_string("/etc/passwd").ok()?;
    all.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}
