//! `cairn serve`: a server for clients of PostgreSQL and of HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use cairn_server::{Options, Rules, SUPERUSER, Server, Tls, Verifier};
use cairndb::Database;

use super::open;
use crate::arguments::{MEMORY, Serve};
use crate::failure::{Failure, Outcome};

/// Where HTTP is spoken when nothing else was asked for.
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Serves a database until SIGINT or SIGTERM.
pub(crate) fn run(command: &Serve) -> Outcome {
    let mut options = Options::default();
    options.tcp.clone_from(&command.pg);
    options.http.clone_from(&command.http);
    if options.http.is_empty() && options.tcp.is_empty() && command.socket.is_none() {
        options.http.push(HTTP);
    }
    options.http_requests_per_minute = command.http_requests_per_minute;
    options.http_origins.clone_from(&command.http_origin);
    options.socket_port = command.socket_port;
    options.connections_max = command.connections;
    options.password = match &command.password_file {
        Some(path) => Some(password(path)?),
        None => None,
    };
    if let (Some(certificate), Some(key)) = (&command.tls_certificate, &command.tls_key) {
        let tls = Tls::from_files(certificate, key, command.tls_client_ca.as_deref(), command.hba.is_some());
        options.tls = Some(tls.context("TLS")?);
    }
    // Certificates of clients are asked for in TLS only.
    options.tls_only = command.tls_only || command.tls_client_ca.is_some();
    options.rules = command.hba.as_deref().map(rules).transpose()?;
    options.socket_directory = match &command.socket {
        Some(directory) => Some(directory.clone()),
        None if command.database == Path::new(MEMORY) => None,
        None => Some(command.database.clone()),
    };
    if options.socket_directory.is_none() && options.tcp.is_empty() && options.http.is_empty() {
        return Err(Failure::Usage("nothing to listen at: --pg, --http or --socket".to_owned()));
    }
    let db = open(&command.database)?;
    options.refusals = Some(|why| eprintln!("refused: {why}"));
    let locked = options.password.is_none() && options.rules.is_none() && !has_passwords(&db)?;
    if locked && !options.tcp.is_empty() {
        let message = "an address that others can reach needs a password: --password-file FILE, or ALTER ROLE ... PASSWORD";
        return Err(Failure::Usage(message.to_owned()));
    }
    let socket = options.socket_directory.clone();
    let told = |server: &Server| {
        if let Some(directory) = &socket {
            eprintln!("listening: psql -h {} -p {} -U {SUPERUSER}", directory.display(), command.socket_port);
        }
        for address in server.addresses() {
            eprintln!("listening: psql -h {} -p {} -U {SUPERUSER}", address.ip(), address.port());
        }
        let scheme = if command.tls_certificate.is_some() { "https" } else { "http" };
        for address in server.http_addresses() {
            eprintln!("listening: {scheme}://{address}");
        }
        if locked && !server.http_addresses().is_empty() {
            eprintln!(
                "nobody has a password yet, which HTTP asks for: ALTER ROLE {SUPERUSER} PASSWORD '...'"
            );
        }
    };
    cairn_server::serve(db.clone(), options, told).context("the server cannot run")?;
    Ok(db.close()?)
}

fn rules(path: &Path) -> Outcome<Rules> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    Rules::parse(&text).map_err(|error| Failure::Usage(format!("{}, {error}", path.display())))
}

/// Whether anybody can log in with a password.
fn has_passwords(db: &Database) -> Outcome<bool> {
    let sql = "SELECT count(*) FROM pg_authid WHERE rolcanlogin AND rolpassword IS NOT NULL";
    let count: i64 = db.query(sql, &[])?.one()?.get(0)?;
    Ok(count > 0)
}

/// A password, or what is kept of one.
fn password(path: &Path) -> Outcome<Verifier> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Failure::Usage(format!("{}: there is no password in it", path.display())));
    }
    let verifier = Verifier::parse(text).or_else(|| Verifier::of_password(text));
    Ok(verifier.context("no random numbers can be had")?)
}
