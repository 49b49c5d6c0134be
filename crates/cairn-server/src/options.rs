//! What a server is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Rules, Tls, Verifier};

/// The options of a [`Server`](crate::Server).
///
/// ```
/// let options = cairn_server::Options::default();
/// assert!(options.tcp.is_empty());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Addresses to listen at for PostgreSQL's protocol.
    pub tcp: Vec<SocketAddr>,
    /// Addresses to listen at for HTTP.
    pub http: Vec<SocketAddr>,
    /// Origins (`https://app.example`) whose pages may ask over HTTP; `*` for all. Default: the server's own only.
    pub http_origins: Vec<String>,
    /// Connections of HTTP, at most; default 10,000. More are closed.
    pub http_connections_max: usize,
    /// Bytes of the body of a request, at most; default 32 MiB.
    pub http_body_bytes_max: usize,
    /// Requests of HTTP in a minute, at most, for each role at each address; more get 429. Default: as many as come.
    pub http_requests_per_minute: Option<u32>,
    /// Time after which a session of HTTP that nobody uses ends; default 60 s.
    pub http_session_idle: Duration,
    /// Directory of the Unix socket `.s.PGSQL.<port>`.
    pub socket_directory: Option<PathBuf>,
    /// The port in the name of that socket; default 5432.
    pub socket_port: u16,
    /// With it, clients may ask for TLS.
    pub tls: Option<Tls>,
    /// Whether clients of TCP without TLS are refused.
    pub tls_only: bool,
    /// Who may come in, and how; `None`: the server's own system user as `cairn` over the Unix socket, everyone with a password, over
    /// TLS only where [`Options::tls_only`] says so. With rules nothing else counts.
    pub rules: Option<Rules>,
    /// What the role `cairn` has to know, whatever password the database has for it: over TCP, and users of the system other
    /// than the server's own over the Unix socket. Other roles, and `cairn` without it, have the passwords that
    /// ALTER ROLE gave them; a role without a password does not come in.
    pub password: Option<Verifier>,
    /// Time that a wrong password takes; default 1 s.
    pub failure_delay: Duration,
    /// Told of everyone who was not let in, and why; default: nobody.
    pub refusals: Option<fn(&str)>,
    /// Sessions at once, at most, requests of HTTP among them; default 1000. More are refused with SQLSTATE `53300`.
    pub connections_max: usize,
    /// Bytes of one message, at most; default 256 MiB.
    pub message_bytes_max: usize,
    /// Time that a client has to open its session; default 60 s.
    pub opening_time_max: Duration,
    /// Time that open transactions have to end when the server is told to; default 10 s.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            tcp: Vec::new(),
            http: Vec::new(),
            http_origins: Vec::new(),
            http_connections_max: 10_000,
            http_body_bytes_max: 32 << 20,
            http_requests_per_minute: None,
            http_session_idle: Duration::from_secs(60),
            socket_directory: None,
            socket_port: 5432,
            tls: None,
            tls_only: false,
            rules: None,
            password: None,
            failure_delay: Duration::from_secs(1),
            refusals: None,
            connections_max: 1000,
            message_bytes_max: 256 << 20,
            opening_time_max: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}
