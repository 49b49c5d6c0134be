//! WebSocket, by a client of the ecosystem.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Site, site, site_with};

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Connects with credentials in the head.
    async fn open(site: &Site) -> Socket {
        let mut request = format!("ws://{}/api/ws", site.server.http).into_client_request().unwrap();
        let credentials = format!("Basic {}", BASE64.encode("cairn:open sesame"));
        request.headers_mut().insert("authorization", credentials.parse().unwrap());
        Socket(connect_async(request).await.unwrap().0)
    }

    async fn send(&mut self, message: Json) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message; `None` at the end.
    async fn next(&mut self) -> Option<Json> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Rows of the answer to a request, and its last message.
    async fn answer(&mut self, id: u64) -> (Vec<Json>, Json) {
        let mut rows = Vec::new();
        loop {
            let message = self.next().await.unwrap();
            if message["id"] != id {
                // Another one has begun.
                assert_eq!(message["type"], "columns", "{message}");
                continue;
            }
            match message["type"].as_str().unwrap() {
                "rows" => rows.extend(message["rows"].as_array().unwrap().clone()),
                "done" | "error" => return (rows, message),
                _ => {}
            }
        }
    }

    async fn ask(&mut self, message: Json) -> (Vec<Json>, Json) {
        let id = message["id"].as_u64().unwrap();
        self.send(message).await;
        self.answer(id).await
    }

    async fn sql(&mut self, sql: &str) -> Vec<Json> {
        let (rows, last) = self.ask(json!({"id": 999, "type": "query", "sql": sql})).await;
        assert_eq!(last["type"], "done", "{last}");
        rows
    }
}

#[tokio::test]
async fn statements_are_answered() {
    let site = site().await;
    let mut socket = Socket::open(&site).await;
    socket
        .send(json!({"id": 1, "type": "query", "sql": "SELECT $1::int AS a, 'x' AS b", "params": [7]}))
        .await;
    let columns = json!([{"name": "a", "type": "integer"}, {"name": "b", "type": "text"}]);
    assert_eq!(socket.next().await.unwrap(), json!({"id": 1, "type": "columns", "columns": columns}));
    assert_eq!(socket.next().await.unwrap(), json!({"id": 1, "type": "rows", "rows": [[7, "x"]]}));
    assert_eq!(
        socket.next().await.unwrap(),
        json!({"id": 1, "type": "done", "tag": "SELECT 1", "row_count": 1})
    );
    let (_, error) = socket.ask(json!({"id": 2, "type": "query", "sql": "SELECT 1/0"})).await;
    assert_eq!((&error["type"], &error["error"]["sqlstate"]), (&json!("error"), &json!("22012")));
    let (rows, _) =
        socket.ask(json!({"id": 3, "type": "query", "sql": "SELECT 1 AS a", "rows": "objects"})).await;
    assert_eq!(rows, [json!({"a": 1})]);
    let (rows, last) = socket
        .ask(json!({"id": 4, "type": "query", "sql": "SELECT n FROM generate_series(1, 100000) AS g(n)"}))
        .await;
    assert_eq!(
        (rows.len(), &rows[99_999], &last["row_count"]),
        (100_000, &json!([100_000]), &json!(100_000))
    );
}

#[tokio::test]
async fn what_is_no_message_is_told() {
    let site = site().await;
    let mut socket = Socket::open(&site).await;
    for (text, id) in [
        ("", 0),
        ("{}", 0),
        ("[1]", 0),
        (r#"{"id": 5, "type": "dance"}"#, 5),
        (r#"{"id": 6, "type": "query"}"#, 6),
    ] {
        socket.0.send(Message::text(text)).await.unwrap();
        let answer = socket.next().await.unwrap();
        assert_eq!((&answer["id"], &answer["error"]["sqlstate"]), (&json!(id), &json!("22023")), "{text}");
    }
    socket.0.send(Message::binary(vec![0, 1])).await.unwrap();
    assert_eq!(socket.next().await.unwrap()["type"], "error");
    assert_eq!(socket.sql("SELECT 1").await, [json!([1])]);
}

#[tokio::test]
async fn a_named_session_keeps_its_transaction() {
    let site = site().await;
    site.sql("CREATE TABLE t (a int)").await;
    let mut socket = Socket::open(&site).await;
    let within = |id: u64, sql: &str| json!({"id": id, "type": "query", "sql": sql, "session": "s"});
    for (id, sql) in [(1, "BEGIN"), (2, "INSERT INTO t VALUES (1)")] {
        assert_eq!(socket.ask(within(id, sql)).await.1["type"], "done");
    }
    assert_eq!(socket.sql("SELECT count(*) FROM t").await, [json!([0])]);
    assert_eq!(socket.ask(within(3, "SELECT count(*) FROM t")).await.0, [json!([1])]);
    assert_eq!(socket.ask(within(4, "COMMIT")).await.1["tag"], "COMMIT");
    assert_eq!(socket.sql("SELECT count(*) FROM t").await, [json!([1])]);
    let (_, left) = socket.ask(json!({"id": 5, "type": "query", "sql": "BEGIN"})).await;
    assert_eq!(left["error"]["sqlstate"], "25001");
    socket.ask(within(6, "BEGIN")).await;
    socket.ask(within(7, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE")).await;
    // Rolled back with its connection.
    drop(socket);
    site.sql("INSERT INTO t VALUES (2)").await;
}

#[tokio::test]
async fn prepared_statements_run_by_name() {
    let site = site().await;
    let mut socket = Socket::open(&site).await;
    socket
        .send(json!({"id": 1, "type": "prepare", "name": "plus", "sql": "SELECT $1::int + $2 AS sum"}))
        .await;
    let prepared = socket.next().await.unwrap();
    assert_eq!(
        (&prepared["parameters"], &prepared["columns"][0]["name"]),
        (&json!(["integer", "integer"]), &json!("sum"))
    );
    assert_eq!(socket.answer(1).await.1["tag"], "PREPARE");
    for n in 0..20 {
        let (rows, _) =
            socket.ask(json!({"id": 2, "type": "execute", "name": "plus", "params": [n, 1]})).await;
        assert_eq!(rows, [json!([n + 1])]);
    }
    assert_eq!(
        socket.ask(json!({"id": 3, "type": "deallocate", "name": "plus"})).await.1["tag"],
        "DEALLOCATE"
    );
    let (_, gone) = socket.ask(json!({"id": 4, "type": "execute", "name": "plus", "params": [1, 1]})).await;
    assert_eq!(gone["error"]["sqlstate"], "26000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_run_at_once_and_can_be_cancelled() {
    let site = site().await;
    let mut socket = Socket::open(&site).await;
    let endless = "SELECT count(*) FROM generate_series(1, 100000000000)";
    for id in 1..=3 {
        socket.send(json!({"id": id, "type": "query", "sql": endless})).await;
    }
    socket.send(json!({"id": 4, "type": "query", "sql": endless, "session": "s"})).await;
    // The others are still at work.
    assert_eq!(socket.sql("SELECT 'quick'").await, [json!(["quick"])]);
    let (_, twice) = socket.ask(json!({"id": 999, "type": "cancel", "target": 77})).await;
    assert_eq!(twice["tag"], "CANCEL");
    for id in 1..=4 {
        socket.send(json!({"id": 100 + id, "type": "cancel", "target": id})).await;
        assert_eq!(socket.answer(id).await.1["error"]["sqlstate"], "57014");
        assert_eq!(socket.answer(100 + id).await.1["type"], "done");
    }
    // The session is free again.
    let (rows, _) = socket.ask(json!({"id": 5, "type": "query", "sql": "SELECT 1", "session": "s"})).await;
    assert_eq!(rows, [json!([1])]);
    while site.server.activity().await > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn messages_of_notify_arrive() {
    let site = site().await;
    let mut socket = Socket::open(&site).await;
    assert_eq!(
        socket.ask(json!({"id": 1, "type": "listen", "channel": "New \"orders\""})).await.1["tag"],
        "LISTEN"
    );
    site.sql("NOTIFY \"New \"\"orders\"\"\", 'number 7'").await;
    let message = socket.next().await.unwrap();
    assert_eq!((&message["channel"], &message["payload"]), (&json!("New \"orders\""), &json!("number 7")));
    assert!(message["process_id"].is_number() && message["type"] == "notification");
    socket.ask(json!({"id": 2, "type": "unlisten", "channel": "New \"orders\""})).await;
    site.sql("NOTIFY \"New \"\"orders\"\"\", 'number 8'").await;
    assert_eq!(socket.sql("SELECT 1").await, [json!([1])]);
}

/// What the client does not read is not made: a result without end takes no memory, and ends with the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_holds_its_own_query_only() {
    let site = site().await;
    let mut socket = Socket::open(&site).await;
    socket.send(json!({"id": 1, "type": "query", "sql": "SELECT n, repeat('x', 1000) FROM generate_series(1, 100000000000) AS g(n)"})).await;
    assert_eq!(socket.next().await.unwrap()["type"], "columns");
    assert_eq!(site.sql("SELECT 1").await["rows"], json!([[1]]));
    drop(socket);
    while site.server.activity().await > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn browsers_log_in_with_their_first_message() {
    let site = site().await;
    let address = format!("ws://{}/api/ws", site.server.http);
    let mut socket = Socket(connect_async(&address).await.unwrap().0);
    let login = json!({"id": 1, "type": "login", "user": "cairn", "password": "open sesame"});
    assert_eq!(socket.ask(login).await.1["tag"], "LOGIN");
    assert_eq!(socket.sql("SELECT current_user").await, [json!(["cairn"])]);
    for first in [
        json!({"id": 1, "type": "login", "user": "cairn", "password": "wrong"}),
        json!({"id": 1, "type": "query", "sql": "SELECT 1"}),
        json!(1),
    ] {
        let mut socket = Socket(connect_async(&address).await.unwrap().0);
        socket.send(first).await;
        assert_eq!(socket.next().await.unwrap()["type"], "error");
        assert!(socket.next().await.is_none());
    }
    let mut request = address.into_client_request().unwrap();
    request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    assert!(connect_async(request).await.is_err());
}

#[tokio::test]
async fn a_connection_ends_with_the_server() {
    let site = site_with(|options| options.grace = std::time::Duration::from_secs(3600)).await;
    let mut socket = Socket::open(&site).await;
    let (mut idle, request) = (Socket::open(&site).await, "SELECT count(*) FROM generate_series(1, 3000000)");
    socket.send(json!({"id": 1, "type": "query", "sql": request})).await;
    while site.server.activity().await < 1 {
        tokio::task::yield_now().await;
    }
    let reading = tokio::spawn(async move { socket.answer(1).await.0 });
    let ended = tokio::spawn(async move { idle.next().await });
    site.server.stop().await;
    assert_eq!(reading.await.unwrap(), [json!([3_000_000])]);
    assert_eq!(ended.await.unwrap(), None);
}
