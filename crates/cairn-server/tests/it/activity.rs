//! What sessions see of each other, and how they end each other's statements and sessions.

use crate::support::{Client, message, start};

fn row(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

async fn pid(client: &mut Client) -> String {
    client.query("SELECT pg_backend_pid()").await.unwrap()[0][0].clone().unwrap()
}

/// Asks until the answer is the one.
async fn until(client: &mut Client, sql: &str, answer: &[&str]) {
    while client.query(sql).await.unwrap() != [row(answer)] {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn sessions_show_what_they_do() {
    let server = start(|_| {}).await;
    let (mut client, mut other) = (server.client().await, server.client().await);
    let number = pid(&mut client).await;
    let shown = format!(
        "SELECT datname, usename, application_name, state, query, client_port, backend_start <= query_start \
         AND query_start <= state_change AND xact_start IS NULL FROM pg_stat_activity WHERE pid = {number}"
    );
    client.query("SET application_name = 'the shop'").await.unwrap();
    client.query("CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").await.unwrap();
    let select = "SELECT a FROM t";
    client.query(select).await.unwrap();
    let expected = ["cairn", "cairn", "the shop", "idle", select, "-1", "t"];
    assert_eq!(other.query(&shown).await.unwrap(), [row(&expected)]);
    let state = format!(
        "SELECT state, coalesce(wait_event_type, ''), xact_start IS NOT NULL FROM pg_stat_activity WHERE pid = {number}"
    );
    client.query("BEGIN; SELECT 1").await.unwrap();
    assert_eq!(other.query(&state).await.unwrap(), [row(&["idle in transaction", "Client", "t"])]);
    client.query("SELECT 1/0").await.unwrap_err();
    assert_eq!(other.query(&state).await.unwrap(), [row(&["idle in transaction (aborted)", "Client", "t"])]);
    client.query("ROLLBACK").await.unwrap();
    // Waiting for a lock, and then asleep.
    other.query("BEGIN; UPDATE t SET a = 2").await.unwrap();
    client.send(&message(b'Q', b"UPDATE t SET a = 3\0")).await;
    until(&mut other, &state, &["active", "Lock", "t"]).await;
    other.query("ROLLBACK").await.unwrap();
    client.until_ready().await.unwrap();
    client.send(&message(b'Q', b"SELECT pg_sleep(600)\0")).await;
    until(&mut other, &state, &["active", "", "t"]).await;
    // A session that is gone is not shown.
    let count = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {number}");
    other.query(&format!("SELECT pg_cancel_backend({number})")).await.unwrap();
    assert_eq!(client.until_ready().await.unwrap_err(), "57014");
    drop(client);
    until(&mut other, &count, &["0"]).await;
}

#[tokio::test]
async fn a_session_is_ended_by_another() {
    let server = start(|_| {}).await;
    let mut other = server.client().await;
    other.query("CREATE TABLE t (a INTEGER PRIMARY KEY)").await.unwrap();
    for busy in [false, true] {
        let mut client = server.client().await;
        let number = pid(&mut client).await;
        client.query("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
        if busy {
            client.send(&message(b'Q', b"SELECT pg_sleep(600)\0")).await;
        }
        let ended = format!("SELECT pg_terminate_backend({number})");
        assert_eq!(other.query(&ended).await.unwrap(), [row(&["t"])]);
        // Told once, and then the connection is closed.
        assert_eq!(client.until_ready().await.unwrap_err(), "57P01");
        assert!(client.next().await.is_none());
        let left = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {number}");
        until(&mut other, &left, &["0"]).await;
        // What it had not committed is gone, and so are its locks.
        other.query("INSERT INTO t VALUES (1); DELETE FROM t").await.unwrap();
        assert_eq!(other.query(&ended).await.unwrap(), [row(&["f"])]);
    }
}

/// Only who may act as the session's role sees what it does, and ends it.
#[tokio::test]
async fn roles_end_their_own_sessions() {
    let server = start(|_| {}).await;
    let mut root = server.client().await;
    root.query(
        "CREATE ROLE anna LOGIN PASSWORD 'a'; CREATE ROLE bert LOGIN PASSWORD 'b'; \
         CREATE ROLE chief LOGIN PASSWORD 'c' IN ROLE anna",
    )
    .await
    .unwrap();
    let mut anna = server.client_as("anna", "a").await.unwrap();
    let mut bert = server.client_as("bert", "b").await.unwrap();
    let mut chief = server.client_as("chief", "c").await.unwrap();
    let (of_root, of_anna) = (pid(&mut root).await, pid(&mut anna).await);
    let seen =
        format!("SELECT usename, coalesce(state, ''), query FROM pg_stat_activity WHERE pid = {of_anna}");
    anna.query("SELECT 'a secret'").await.unwrap();
    assert_eq!(bert.query(&seen).await.unwrap(), [row(&["anna", "", "<insufficient privilege>"])]);
    assert_eq!(chief.query(&seen).await.unwrap(), [row(&["anna", "idle", "SELECT 'a secret'"])]);
    for (client, target) in [(&mut bert, &of_anna), (&mut chief, &of_root), (&mut anna, &of_root)] {
        for function in ["pg_cancel_backend", "pg_terminate_backend"] {
            let sql = format!("SELECT {function}({target})");
            assert_eq!(client.query(&sql).await.unwrap_err(), "42501", "{sql}");
            assert_eq!(client.extended(&sql).await.unwrap_err(), "42501", "{sql}");
        }
    }
    assert_eq!(anna.query("SELECT 1").await.unwrap(), [row(&["1"])]);
    chief.query(&format!("SELECT pg_terminate_backend({of_anna})")).await.unwrap();
    assert_eq!(anna.until_ready().await.unwrap_err(), "57P01");
}

/// Those who sleep keep nobody from working, and wake when they are told.
#[tokio::test]
async fn many_sleepers_hold_nobody_up() {
    let server = start(|_| {}).await;
    let mut other = server.client().await;
    let mut sleepers = Vec::new();
    for _ in 0..8 {
        let mut client = server.client().await;
        let number = pid(&mut client).await;
        client.send(&message(b'Q', b"SELECT pg_sleep(600)\0")).await;
        sleepers.push((client, number));
    }
    until(
        &mut other,
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND state = 'active'",
        &["8"],
    )
    .await;
    let sum = "SELECT sum(n), count(DISTINCT n % 7) FROM generate_series(1, 10000) AS s(n)";
    assert_eq!(other.query(sum).await.unwrap(), [row(&["50005000", "7"])]);
    for (client, number) in &mut sleepers {
        other.query(&format!("SELECT pg_cancel_backend({number})")).await.unwrap();
        assert_eq!(client.until_ready().await.unwrap_err(), "57014");
    }
}
