//! What every request goes through: who may ask from a browser, and compression.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::problem::Problem;
use super::sessions::{SESSION, TRANSACTION};
use super::{Http, metrics};

/// Answers below are not worth it.
const COMPRESSED_FROM: u16 = 1024;

pub(super) fn layers(routes: Router<Arc<Http>>, http: &Arc<Http>) -> Router<Arc<Http>> {
    let allowed = http.shared.options.http_origins.clone();
    let any = allowed.iter().any(|own| own == "*");
    let origins = match any {
        true => AllowOrigin::any(),
        false => AllowOrigin::list(allowed.iter().filter_map(|own| own.parse().ok())),
    };
    let cors = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT, SESSION])
        .expose_headers([header::LINK, header::LOCATION, header::RETRY_AFTER, SESSION, TRANSACTION]);
    let worth =
        SizeAbove::new(COMPRESSED_FROM).and(NotForContentType::const_new("application/vnd.apache.parquet"));
    routes
        .layer(CompressionLayer::new().compress_when(worth))
        .layer(middleware::from_fn_with_state(Arc::clone(http), refuse_strangers))
        .layer(cors)
        .layer(middleware::from_fn_with_state(Arc::clone(http), metrics::count))
}

/// Refuses what other sites have a browser ask: it sends the credentials along that it remembers.
async fn refuse_strangers(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    match stranger(&http.shared.options.http_origins, request.headers()) {
        None => next.run(request).await,
        Some(origin) => {
            let message = format!("requests from pages of {origin} are not allowed");
            Problem::new(403, "42501", message)
                .with_hint("cairn serve --http-origin allows them.")
                .into_response()
        }
    }
}

/// The origin of a request that comes from a page of elsewhere.
fn stranger(allowed: &[String], headers: &HeaderMap) -> Option<String> {
    let origin = headers.get(header::ORIGIN)?;
    let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_own = origin.split_once("://").is_some_and(|(_, host)| own == Some(host));
    let is_allowed = allowed.iter().any(|one| one == "*" || *one == origin);
    (!is_own && !is_allowed).then_some(origin)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn pages_of_elsewhere_are_strangers() {
        let asked = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("db.example:8080"));
            if !origin.is_empty() {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            stranger(&["https://app.example".to_owned()], &headers).is_some()
        };
        assert!(!asked("") && !asked("http://db.example:8080") && !asked("https://app.example"));
        assert!(asked("https://evil.example") && asked("null") && asked("http://db.example"));
    }
}
