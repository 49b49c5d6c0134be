//! Blocks, the server's own among them.

use tokio_postgres::SimpleQueryMessage;

use crate::support::{self, code};

pub(crate) async fn the_statements_of_one_query_are_one_transaction() {
    let client = support::client().await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let failed = client.batch_execute("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); SELECT 1/0").await;
    assert_eq!(code(&failed.unwrap_err()), "22012");
    let count = |sql: &'static str| {
        let client = &client;
        async move { client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) }
    };
    assert_eq!(count("SELECT count(*) FROM t").await, 0);
    // COMMIT in between keeps what came before; BEGIN makes the rest a block of the client's.
    client
        .batch_execute("INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2); ROLLBACK")
        .await
        .unwrap();
    assert_eq!(count("SELECT count(*) FROM t").await, 1);
    client.batch_execute("INSERT INTO t VALUES (3); BEGIN; INSERT INTO t VALUES (4)").await.unwrap();
    assert_eq!(count("SELECT count(*) FROM t").await, 3);
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(count("SELECT count(*) FROM t").await, 1);
}

pub(crate) async fn a_failed_block_takes_nothing_but_its_end() {
    let mut client = support::client().await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let mut transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
    let savepoint = transaction.savepoint("a").await.unwrap();
    assert_eq!(code(&savepoint.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap_err()), "23505");
    assert_eq!(code(&savepoint.query("SELECT 1", &[]).await.unwrap_err()), "25P02");
    savepoint.rollback().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (2)", &[]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(client.query("SELECT id FROM t", &[]).await.unwrap().len(), 2);
}

pub(crate) async fn a_client_that_goes_away_leaves_nothing_behind() {
    let client = support::client().await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await.unwrap();
    let other = support::client().await;
    other.batch_execute("BEGIN; UPDATE t SET id = 2").await.unwrap();
    drop(other);
    // It waits for the lock of the one that is gone, and gets it.
    client.execute("UPDATE t SET id = 3", &[]).await.unwrap();
    assert_eq!(client.query_one("SELECT id FROM t", &[]).await.unwrap().get::<_, i32>(0), 3);
}

pub(crate) async fn parameters_are_told_when_they_change() {
    let client = support::client().await;
    client.batch_execute("SET timezone TO 'America/New_York'").await.unwrap();
    let messages = client.simple_query("SELECT timestamptz '2026-01-01 00:00+00'").await.unwrap();
    let shown = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    assert_eq!(shown, Some("2025-12-31 19:00:00-05"));
    let mut config = crate::support::config();
    config.options("-c search_path=a,b -c statement_timeout=5s").application_name("test");
    let client = crate::support::connect(&config).await.unwrap();
    let show = |name: &'static str| {
        let client = &client;
        async move { client.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get::<_, String>(0) }
    };
    assert_eq!(show("search_path").await, "a,b");
    assert_eq!(show("application_name").await, "test");
    client.batch_execute("SET statement_timeout = 0").await.unwrap();
    client.batch_execute("RESET statement_timeout").await.unwrap();
    assert_eq!(show("statement_timeout").await, "5s");
}
