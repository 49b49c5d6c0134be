//! How a server ends.

use crate::support::{start, start_on};

#[tokio::test]
async fn sessions_end_when_their_transaction_has() {
    let server = start(|_| {}).await;
    let (mut idle, mut busy) = (server.client().await, server.client().await);
    busy.query("CREATE TABLE t (id int); BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    let (database, address) = (server.database.clone(), server.address);
    let stopping = tokio::spawn(server.stop());
    // Who has nothing to finish is sent away, no one is let in any more.
    assert_eq!(idle.until_ready().await.unwrap_err(), "57P01");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    busy.query("COMMIT").await.unwrap();
    stopping.await.unwrap();
    assert_eq!(database.query("SELECT * FROM t", &[]).unwrap().count(), 1);
}

#[tokio::test]
async fn who_does_not_end_is_ended() {
    let server = start(|options| options.grace = std::time::Duration::from_millis(50)).await;
    let mut client = server.client().await;
    client.query("CREATE TABLE t (id int)").await.unwrap();
    client.query("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    let mut waiting = server.client().await;
    let endless =
        tokio::spawn(
            async move { waiting.query("SELECT count(*) FROM generate_series(1, 1000000000000)").await },
        );
    let database = server.database.clone();
    server.stop().await;
    assert!(matches!(endless.await.unwrap().unwrap_err().as_str(), "57014" | "57P01"));
    assert_eq!(client.until_ready().await.unwrap_err(), "57P01");
    assert_eq!(database.query("SELECT * FROM t", &[]).unwrap().count(), 0);
}

#[tokio::test]
async fn what_was_committed_is_there_after_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let server = start_on(cairndb::Database::open(&path).unwrap(), |_| {}).await;
    let mut client = server.client().await;
    client.query("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    client.query("INSERT INTO t SELECT n FROM generate_series(1, 100) AS s(n)").await.unwrap();
    let database = server.database.clone();
    server.stop().await;
    database.close().unwrap();
    let database = cairndb::Database::open(&path).unwrap();
    let count = database.query("SELECT count(*) FROM t", &[]).unwrap().one().unwrap();
    assert_eq!(count.get::<i64>(0).unwrap(), 100);
}
