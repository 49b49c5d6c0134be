//! A connection, from its first byte to its last.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tower::ServiceExt;

use super::Connection;
use crate::access::Peer;
use crate::registry::{Stage, until};
use crate::server::Shared;

/// Bytes of the head of a request, at most.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Requests at once over one connection of HTTP/2, at most.
const STREAMS_MAX: u32 = 100;

/// Serves a connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, router: Router, stream: TcpStream, peer: Peer) {
    let Some(_place) = shared.registry.visit() else { return };
    match &shared.options.tls {
        None => speak(&shared, router, stream, Connection { peer, protected: false }, false).await,
        Some(tls) => {
            let accepted = tls.http_acceptor().accept(stream);
            let Ok(Ok(stream)) = tokio::time::timeout(shared.options.opening_time_max, accepted).await else {
                return;
            };
            let second = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            speak(&shared, router, stream, Connection { peer, protected: true }, second).await;
        }
    }
}

/// Answers requests, in the first or the second version.
async fn speak(
    shared: &Shared,
    router: Router,
    stream: impl super::super::pg::Io + 'static,
    connection: Connection,
    second: bool,
) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(connection);
        router.clone().oneshot(request)
    });
    let (stream, mut stages) = (TokioIo::new(stream), shared.registry.stages());
    // Both are told to end after the answers that they owe, and end at once when the time for that is over.
    macro_rules! until_the_end {
        ($served:expr) => {{
            let mut served = std::pin::pin!($served);
            tokio::select! {
                _ = served.as_mut() => return,
                () = until(&mut stages, Stage::Closing) => served.as_mut().graceful_shutdown(),
            }
            tokio::select! {
                _ = served.as_mut() => {}
                () = until(&mut stages, Stage::Ending) => {}
            }
        }};
    }
    match second {
        false => until_the_end!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(shared.options.opening_time_max)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(stream, service)
                .with_upgrades()
        ),
        true => until_the_end!(
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_header_list_size(HEAD_BYTES_MAX as u32)
                .max_concurrent_streams(STREAMS_MAX)
                .keep_alive_interval(shared.options.opening_time_max)
                .serve_connection(stream, service)
        ),
    }
}
