//! Listening, and coming to an end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cairndb::Database;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::Options;
use crate::access::Peer;
use crate::registry::{Registry, Stage};
use crate::{http, pg};

/// Stack of each thread.
const STACK_BYTES: usize = 256 << 20;

/// Why a server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address that cannot be listened at.
    #[error("cannot listen at {0}: {1}")]
    Listen(String, std::io::Error),
    /// The system gives no threads.
    #[error("no threads: {0}")]
    Threads(std::io::Error),
    /// Nothing to listen at.
    #[error("no address to listen at")]
    NoAddress,
}

/// What every session needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) options: Options,
    pub(crate) registry: Arc<Registry>,
}

/// A server that listens.
///
/// ```no_run
/// use cairn_server::{Options, Server};
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let database = cairndb::Database::open("app.cairn")?;
/// let mut options = Options::default();
/// options.tcp.push("127.0.0.1:5432".parse()?);
/// let server = Server::bind(database, options).await?;
/// server.run(async { /* until this is done */ }).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    tcp: Vec<TcpListener>,
    http: Vec<TcpListener>,
    unix: Option<(UnixListener, PathBuf)>,
}

impl Server {
    /// Begins to listen at all addresses of the options.
    ///
    /// # Errors
    /// When one of them cannot be had, or there is none.
    pub async fn bind(database: Database, options: Options) -> Result<Server, Error> {
        let (tcp, http) = (listen(&options.tcp).await?, listen(&options.http).await?);
        let unix = match &options.socket_directory {
            None => None,
            Some(directory) => {
                let path = directory.join(format!(".s.PGSQL.{}", options.socket_port));
                let cannot = |error| Error::Listen(path.display().to_string(), error);
                if tokio::net::UnixStream::connect(&path).await.is_ok() {
                    return Err(cannot(std::io::Error::from(std::io::ErrorKind::AddrInUse)));
                }
                // One that a server left behind when it was killed.
                let _ = std::fs::remove_file(&path);
                Some((UnixListener::bind(&path).map_err(cannot)?, path.clone()))
            }
        };
        if tcp.is_empty() && http.is_empty() && unix.is_none() {
            return Err(Error::NoAddress);
        }
        let registry = Registry::new(options.connections_max, options.http_connections_max);
        Ok(Server { shared: Arc::new(Shared { database, options, registry }), tcp, http, unix })
    }

    /// The addresses that it listens at for HTTP.
    pub fn http_addresses(&self) -> Vec<std::net::SocketAddr> {
        self.http.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// The addresses that it listens at for PostgreSQL's protocol, ports that the system chose included.
    pub fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves until `stop` is done: then no one is let in any more, sessions end when their transaction has, or after
    /// [`Options::grace`], and all is written when this returns.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut listening = JoinSet::new();
        for listener in self.tcp {
            let shared = Arc::clone(&self.shared);
            listening.spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((stream, from)) => {
                            // Small answers are not to wait for more of them.
                            let _ = stream.set_nodelay(true);
                            tokio::spawn(pg::serve(
                                Arc::clone(&shared),
                                stream,
                                Peer::Network(from.ip(), from.port()),
                            ));
                        }
                        Err(_) => pause().await,
                    }
                }
            });
        }
        let router = http::router(Arc::clone(&self.shared));
        for listener in self.http {
            let (shared, router) = (Arc::clone(&self.shared), router.clone());
            listening.spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((stream, from)) => {
                            let _ = stream.set_nodelay(true);
                            let peer = Peer::Network(from.ip(), from.port());
                            tokio::spawn(http::serve(Arc::clone(&shared), router.clone(), stream, peer));
                        }
                        Err(_) => pause().await,
                    }
                }
            });
        }
        let mut socket = None;
        if let Some((listener, path)) = self.unix {
            socket = Some(path);
            let shared = Arc::clone(&self.shared);
            listening.spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) => {
                            let user = stream.peer_cred().ok().map(|credentials| credentials.uid());
                            tokio::spawn(pg::serve(Arc::clone(&shared), stream, Peer::Local { user }));
                        }
                        Err(_) => pause().await,
                    }
                }
            });
        }
        stop.await;
        listening.shutdown().await;
        if let Some(path) = socket {
            let _ = std::fs::remove_file(path);
        }
        let registry = &self.shared.registry;
        registry.go_to(Stage::Closing);
        let all_gone = async {
            while !registry.is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(self.shared.options.grace, all_gone).await.is_err() {
            registry.go_to(Stage::Ending);
            registry.cancel_all();
            let rest = async {
                while !registry.is_empty() {
                    registry.cancel_all();
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            // A statement that does not look is left behind: what it has not committed is not kept.
            let _ = tokio::time::timeout(self.shared.options.grace, rest).await;
        }
    }
}

/// Serves a database on threads of its own until SIGINT or SIGTERM; `ready` is called once it listens.
///
/// # Errors
/// As [`Server::bind`], and when the system gives no threads.
pub fn serve(database: Database, options: Options, ready: impl FnOnce(&Server)) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Statements are trees, which are taken down on the stack. Address space only.
        .thread_stack_size(STACK_BYTES)
        .thread_name("cairn-server")
        .build()
        .map_err(Error::Threads)?;
    runtime.block_on(async {
        let stop = stop_signal().map_err(Error::Threads)?;
        let server = Server::bind(database, options).await?;
        ready(&server);
        server.run(stop).await;
        Ok(())
    })
}

async fn listen(addresses: &[std::net::SocketAddr]) -> Result<Vec<TcpListener>, Error> {
    let mut all = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        all.push(listener.map_err(|error| Error::Listen(address.to_string(), error))?);
    }
    Ok(all)
}

/// Done when the process is told to end.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// No more file descriptors, most likely: others may be closed meanwhile.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
