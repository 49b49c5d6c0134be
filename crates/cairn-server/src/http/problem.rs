//! What went wrong, as problem details (RFC 9457) with the fields of a PostgreSQL error.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::access::Refusal;

/// Why a request has no answer.
#[derive(Clone, Debug)]
pub(super) struct Problem(Box<Fields>);

#[derive(Clone, Debug)]
struct Fields {
    status: StatusCode,
    sqlstate: String,
    message: String,
    retryable: bool,
    /// Seconds after which it may be asked again.
    after: u64,
    /// The fields beside, as they are told.
    more: Map<String, Value>,
}

impl Problem {
    pub(super) fn new(status: u16, sqlstate: &str, message: impl Into<String>) -> Problem {
        Problem(Box::new(Fields {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            sqlstate: sqlstate.to_owned(),
            message: message.into(),
            retryable: false,
            after: 1,
            more: Map::new(),
        }))
    }

    /// A request that cannot be understood.
    pub(super) fn request(message: impl Into<String>) -> Problem {
        Problem::new(400, "22023", message)
    }

    pub(super) fn with_hint(mut self, hint: &str) -> Problem {
        self.0.more.insert("hint".to_owned(), json!(hint));
        self
    }

    /// The same, to be asked again after a time.
    pub(super) fn with_retry(mut self, after: std::time::Duration) -> Problem {
        self.0.after = after.as_secs_f64().ceil() as u64;
        self
    }

    /// The same under another status.
    pub(super) fn with_status(mut self, status: StatusCode) -> Problem {
        self.0.status = status;
        self
    }

    /// As the member `error` of an answer that had begun.
    pub(super) fn to_json(&self) -> Value {
        let own = &self.0;
        let mut all = Map::new();
        all.insert("type".to_owned(), json!(format!("urn:cairndb:sqlstate:{}", own.sqlstate)));
        all.insert("title".to_owned(), json!(own.status.canonical_reason().unwrap_or("Error")));
        all.insert("status".to_owned(), json!(own.status.as_u16()));
        all.insert("detail".to_owned(), json!(own.message));
        all.insert("sqlstate".to_owned(), json!(own.sqlstate));
        if own.retryable {
            all.insert("retryable".to_owned(), json!(true));
        }
        all.extend(own.more.clone());
        Value::Object(all)
    }
}

/// The status of an error of SQL.
fn status_of(sqlstate: &str) -> u16 {
    match sqlstate {
        "42501" => 403,
        "28000" | "28P01" => 401,
        "23505" | "23503" | "23P01" | "55006" | "55P03" | "25001" => 409,
        "57014" => 504,
        "53300" | "53400" => 429,
        "54000" | "54001" => 413,
        "0A000" => 501,
        "08P01" => 400,
        _ => match &sqlstate[..2] {
            "40" => 409,
            "23" => 422,
            "08" | "53" | "57" => 503,
            "58" | "F0" | "XX" => 500,
            _ => 400,
        },
    }
}

impl From<&cairndb::Error> for Problem {
    fn from(error: &cairndb::Error) -> Problem {
        let mut problem = Problem::new(status_of(error.sqlstate()), error.sqlstate(), error.message());
        problem.0.retryable = error.is_retryable();
        let texts = [
            ("reason", error.detail()),
            ("hint", error.hint()),
            ("schema", error.schema()),
            ("table", error.table()),
            ("column", error.column()),
            ("constraint", error.constraint()),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                problem.0.more.insert(name.to_owned(), json!(text));
            }
        }
        if let Some(position) = error.position() {
            problem.0.more.insert("position".to_owned(), json!(position));
        }
        problem
    }
}

impl From<cairndb::Error> for Problem {
    fn from(error: cairndb::Error) -> Problem {
        Problem::from(&error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let mut problem = Problem::new(status_of(refusal.sqlstate), refusal.sqlstate, refusal.message);
        if let Some(detail) = refusal.detail {
            problem.0.more.insert("reason".to_owned(), json!(detail));
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.to_json().to_string();
        let mut response = (self.0.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.0.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"cairn\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if matches!(self.0.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.0.after));
        }
        response
    }
}
