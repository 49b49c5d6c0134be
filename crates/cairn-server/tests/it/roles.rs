//! Who logs in as whom.

use crate::support::{Client, Running, start};

/// A connection that logs in with a password; the SQLSTATE where it may not.
async fn login(server: &Running, user: &str, password: &str) -> Result<Client, String> {
    server.client_as(user, password).await
}

#[tokio::test]
async fn roles_log_in_with_their_own_passwords() {
    let server = start(|_| {}).await;
    let mut boss = server.client().await;
    boss.query("CREATE USER ann PASSWORD 'ann''s'; CREATE USER ben PASSWORD 'old' VALID UNTIL '2001-01-01'")
        .await
        .unwrap();
    boss.query("CREATE ROLE group1 PASSWORD 'g'; CREATE USER bare").await.unwrap();
    boss.query("ALTER ROLE ann SET application_name = 'hers'").await.unwrap();
    let mut ann = login(&server, "ann", "ann's").await.unwrap();
    let row = |name: &str| vec![Some(name.to_owned())];
    assert_eq!(ann.query("SELECT current_user").await.unwrap(), [row("ann")]);
    assert_eq!(ann.query("SHOW application_name").await.unwrap(), [row("hers")]);
    assert_eq!(ann.query("SHOW is_superuser").await.unwrap(), [row("off")]);
    assert_eq!(ann.query("CREATE TABLE t (a int)").await.unwrap_err(), "42501");
    // All of these look the same.
    for (user, password) in [("ann", "wrong"), ("ben", "old"), ("bare", ""), ("nobody", "x")] {
        assert_eq!(login(&server, user, password).await.err().unwrap(), "28P01", "{user}");
    }
    assert_eq!(login(&server, "group1", "g").await.err().unwrap(), "28000");
    assert_eq!(boss.query("SELECT current_user").await.unwrap(), [row("cairn")]);
    server.stop().await;
}

#[tokio::test]
async fn limits_and_connect_are_kept() {
    let server = start(|_| {}).await;
    let mut boss = server.client().await;
    boss.query("CREATE USER one PASSWORD 'x' CONNECTION LIMIT 1").await.unwrap();
    let first = login(&server, "one", "x").await.unwrap();
    assert_eq!(login(&server, "one", "x").await.err().unwrap(), "53300");
    drop(first);
    while login(&server, "one", "x").await.is_err() {
        tokio::task::yield_now().await;
    }
    boss.query("REVOKE CONNECT ON DATABASE cairn FROM PUBLIC").await.unwrap();
    assert_eq!(login(&server, "one", "x").await.err().unwrap(), "42501");
    boss.query("GRANT CONNECT ON DATABASE cairn TO one").await.unwrap();
    while login(&server, "one", "x").await.is_err() {
        tokio::task::yield_now().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn extended_queries_obey_privileges_too() {
    let server = start(|_| {}).await;
    let mut boss = server.client().await;
    boss.query("CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE USER ann PASSWORD 'x'")
        .await
        .unwrap();
    let mut ann = login(&server, "ann", "x").await.unwrap();
    for sql in ["SELECT a FROM t WHERE a = 1", "INSERT INTO t VALUES (2)", "DELETE FROM t WHERE a = 1"] {
        for _ in 0..3 {
            boss.query("SELECT a FROM t WHERE a = 1").await.unwrap();
            assert_eq!(ann.extended(sql).await.unwrap_err(), "42501", "{sql}");
            assert_eq!(ann.query(sql).await.unwrap_err(), "42501", "{sql}");
        }
    }
    boss.query("GRANT SELECT ON t TO ann").await.unwrap();
    for _ in 0..3 {
        ann.extended("SELECT a FROM t WHERE a = 1").await.unwrap();
    }
    boss.query("REVOKE SELECT ON t FROM ann").await.unwrap();
    assert_eq!(ann.extended("SELECT a FROM t WHERE a = 1").await.unwrap_err(), "42501");
    server.stop().await;
}

#[tokio::test]
async fn nobody_begins_as_somebody_else() {
    use crate::support::startup;
    let server = start(|_| {}).await;
    let mut boss = server.client().await;
    boss.query("CREATE USER ann PASSWORD 'x'").await.unwrap();
    for options in ["-c role=cairn", "-c session_authorization=cairn", "-c is_superuser=on", "--role=cairn"] {
        let mut client = server.opened().await;
        client.send(&startup(&[("user", "ann"), ("options", options)])).await;
        client.log_in("x").await.unwrap();
        let refused = client.until_ready().await.err().unwrap();
        assert!(matches!(refused.as_str(), "55P02" | "42501" | "42704"), "{options}: {refused}");
    }
    server.stop().await;
}

#[tokio::test]
async fn rules_say_who_comes_in_how() {
    use crate::support::startup;
    use cairn_server::Rules;
    let rules = "
        local all ann trust
        local all +crew scram-sha-256
        local other ben trust
        local all cairn peer
        local all ben reject
    ";
    let server = start(|options| options.rules = Some(Rules::parse(rules).unwrap())).await;
    for sql in [
        "CREATE USER ann",
        "CREATE USER ben",
        "CREATE ROLE crew",
        "CREATE USER cis PASSWORD 'x' IN ROLE crew",
        "CREATE USER dan PASSWORD 'x'",
        "CREATE ROLE eve PASSWORD 'x' IN ROLE crew",
    ] {
        server.database.execute(sql, &[]).unwrap();
    }
    let enter = async |user: &str, database: &str| {
        let mut client = server.opened().await;
        client.send(&startup(&[("user", user), ("database", database)])).await;
        client.until_ready().await.map(drop)
    };
    assert_eq!(enter("ann", "cairn").await, Ok(()));
    assert_eq!(enter("ben", "other").await, Ok(()));
    assert_eq!(enter("ben", "cairn").await, Err("28000".to_owned()));
    assert_eq!(enter("cairn", "cairn").await, Ok(()));
    assert_eq!(enter("dan", "cairn").await, Err("28000".to_owned()));
    assert_eq!(enter("nobody", "cairn").await, Err("28000".to_owned()));
    assert!(login(&server, "cis", "x").await.is_ok());
    assert_eq!(login(&server, "cis", "y").await.err().unwrap(), "28P01");
    assert_eq!(login(&server, "eve", "x").await.err().unwrap(), "28000");
    server.stop().await;
}
