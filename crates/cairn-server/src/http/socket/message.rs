//! What a client sends.

use serde::Deserialize;
use serde_json::Value as Json;

use super::super::json::RowsAs;
use super::super::login::Credentials;
use super::super::parameters::Parameters;
use super::super::problem::Problem;

/// A message: its number, and what it asks for.
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) kind: Kind,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Kind {
    Login(Credentials),
    Query(Query),
    Prepare {
        name: String,
        sql: String,
    },
    Execute {
        name: String,
        #[serde(flatten)]
        query: Query,
    },
    Deallocate {
        name: String,
    },
    Cancel {
        target: u64,
    },
    Close {
        session: String,
    },
    Listen {
        channel: String,
    },
    Unlisten {
        channel: String,
    },
}

/// A statement, and how it is to be run.
#[derive(Deserialize)]
pub(super) struct Query {
    pub(super) sql: Option<String>,
    #[serde(default)]
    pub(super) params: Parameters,
    #[serde(default)]
    pub(super) rows: RowsAs,
    pub(super) timeout: Option<Json>,
    pub(super) session: Option<String>,
}

impl Asked {
    /// Reads a message; what is wrong comes with its number, 0 where it has none.
    pub(super) fn parse(text: &str) -> Result<Asked, (u64, Problem)> {
        let wrong = |id, error: serde_json::Error| {
            (id, Problem::request(format!("the message is not as expected: {error}")))
        };
        let json: Json = serde_json::from_str(text).map_err(|error| wrong(0, error))?;
        let id = json.get("id").and_then(Json::as_u64);
        let kind = serde_json::from_value(json).map_err(|error| wrong(id.unwrap_or(0), error))?;
        match id {
            Some(id) => Ok(Asked { id, kind }),
            None => Err((0, Problem::request("missing field `id`, a number"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read() {
        let execute =
            r#"{"id": 7, "type": "execute", "name": "q", "params": [1], "session": "s", "rows": "objects"}"#;
        let Ok(Asked { id: 7, kind: Kind::Execute { name, query } }) = Asked::parse(execute) else {
            panic!()
        };
        assert_eq!((name.as_str(), query.session.as_deref(), query.rows), ("q", Some("s"), RowsAs::Objects));
        for (text, id) in
            [("", 0), ("[]", 0), (r#"{"type": "query", "sql": ""}"#, 0), (r#"{"id": 3, "type": "x"}"#, 3)]
        {
            assert!(matches!(Asked::parse(text), Err((own, _)) if own == id), "{text}");
        }
    }
}
