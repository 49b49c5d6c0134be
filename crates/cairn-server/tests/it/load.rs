//! Many sessions at once.

use futures::future::{join_all, try_join_all};

use crate::support::start;

/// Sessions at once.
const SESSIONS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sessions_want_one_row() {
    let server = start(|_| {}).await;
    let mut client = server.client().await;
    client.query("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0)").await.unwrap();
    let mut clients = join_all((0..SESSIONS).map(|_| server.client())).await;
    try_join_all(clients.iter_mut().map(|client| client.query("UPDATE t SET n = n + 1"))).await.unwrap();
    let rows = client.query("SELECT n FROM t").await.unwrap();
    assert_eq!(rows, [[Some(SESSIONS.to_string())]]);
}
