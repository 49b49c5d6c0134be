//! HTTP, by a client of the ecosystem.

mod files;
mod guide;
mod keys;
mod limits;
mod logins;
mod metrics;
mod openapi;
mod query;
mod sessions;
mod socket;
mod tables;

use cairn_server::Options;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value as Json;

use crate::support::{Running, start};

/// A server that speaks HTTP, and a client of it.
pub(crate) struct Site {
    pub(crate) server: Running,
    pub(crate) client: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The answer of what has to succeed.
    #[track_caller]
    pub(crate) fn ok(self) -> Json {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text);
        self.json()
    }

    /// Status and SQLSTATE of a problem.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16());
        (self.status.as_u16(), json["sqlstate"].as_str().unwrap().to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |own| own.to_str().unwrap())
    }
}

/// A number with all of its digits.
pub(crate) fn exact(digits: &str) -> Json {
    serde_json::from_str(digits).unwrap()
}

pub(crate) async fn site() -> Site {
    site_with(|_| {}).await
}

pub(crate) async fn site_with(change: impl FnOnce(&mut Options)) -> Site {
    let server = start(|options| {
        options.http.push("127.0.0.1:0".parse().unwrap());
        change(options);
    })
    .await;
    Site { server, client: reqwest::Client::new() }
}

impl Site {
    /// A request of `cairn`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_of("cairn", "open sesame", method, path)
    }

    pub(crate) fn request_of(
        &self,
        user: &str,
        password: &str,
        method: Method,
        path: &str,
    ) -> RequestBuilder {
        self.client.request(method, self.address(path)).basic_auth(user, Some(password))
    }

    pub(crate) fn address(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.http)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Json) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    /// The answer to a statement that has to succeed.
    pub(crate) async fn sql(&self, sql: &str) -> Json {
        self.post("/api/query", serde_json::json!({"sql": sql})).await.ok()
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}
