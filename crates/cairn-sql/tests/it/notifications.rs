//! LISTEN, NOTIFY and pg_notify, as PostgreSQL has them.

use cairn_sql::Session;

use crate::support::{engine, fails, ok};

fn told(session: &mut Session) -> Vec<String> {
    let all = session.take_notifications().into_iter();
    all.map(|message| format!("{}:{}", message.channel, message.payload)).collect()
}

#[test]
fn messages_are_part_of_the_transaction() {
    let engine = engine();
    let (mut s, mut other) = (engine.session(), engine.session());
    assert_eq!(ok(&mut s, "LISTEN Orders"), ["LISTEN"]);
    assert_eq!(ok(&mut other, "NOTIFY orders, 'it''s one'"), ["NOTIFY"]);
    ok(&mut other, "NOTIFY \"Orders\", 'of another name'");
    let messages = s.take_notifications();
    assert_eq!(messages.len(), 1);
    assert_eq!((&*messages[0].channel, &*messages[0].payload), ("orders", "it's one"));
    assert_eq!(messages[0].process_id, other.process_id());
    ok(&mut other, "BEGIN");
    ok(&mut other, "NOTIFY orders");
    ok(&mut other, "SAVEPOINT a");
    ok(&mut other, "SELECT pg_notify('orders', n::text) FROM generate_series(1, 3) AS g(n)");
    ok(&mut other, "ROLLBACK TO a");
    ok(&mut other, "SELECT pg_notify('orders', (n % 2)::text) FROM generate_series(1, 4) AS g(n) ORDER BY n");
    assert_eq!(told(&mut s), [""; 0]);
    ok(&mut other, "COMMIT");
    assert_eq!(told(&mut s), ["orders:", "orders:1", "orders:0"]);
    // A statement that fails has said nothing; nor has a block.
    fails(&mut other, "SELECT pg_notify('orders', n::text), 1 / (3 - n) FROM generate_series(1, 3) AS g(n)");
    ok(&mut other, "BEGIN");
    ok(&mut other, "NOTIFY orders");
    fails(&mut other, "SELECT 1/0");
    ok(&mut other, "COMMIT");
    assert_eq!(told(&mut s), [""; 0]);
    // None arrive within a block, and those of its own when it ends.
    ok(&mut s, "BEGIN");
    ok(&mut other, "NOTIFY orders, 'later'");
    ok(&mut s, "NOTIFY orders, 'to itself'");
    assert_eq!(told(&mut s), [""; 0]);
    ok(&mut s, "COMMIT");
    assert_eq!(told(&mut s), ["orders:later", "orders:to itself"]);
}

#[test]
fn listening_is_part_of_the_transaction_too() {
    let engine = engine();
    let (mut s, mut other) = (engine.session(), engine.session());
    ok(&mut s, "BEGIN");
    ok(&mut s, "LISTEN a");
    ok(&mut s, "ROLLBACK");
    ok(&mut s, "BEGIN");
    ok(&mut s, "LISTEN b");
    ok(&mut other, "NOTIFY b, 'too early'");
    ok(&mut s, "COMMIT");
    ok(&mut s, "LISTEN c");
    ok(&mut s, "LISTEN c");
    assert_eq!(ok(&mut s, "SELECT pg_listening_channels()"), ["b", "c"]);
    ok(&mut s, "UNLISTEN b");
    ok(&mut other, "NOTIFY a");
    ok(&mut other, "NOTIFY b");
    ok(&mut other, "NOTIFY c");
    assert_eq!(told(&mut s), ["c:"]);
    ok(&mut s, "UNLISTEN *");
    assert_eq!(ok(&mut s, "SELECT count(*) FROM pg_listening_channels()"), ["0"]);
    ok(&mut s, "LISTEN d");
    ok(&mut s, "DISCARD ALL");
    ok(&mut other, "NOTIFY d");
    assert_eq!(told(&mut s), [""; 0]);
    assert_eq!(ok(&mut s, "SELECT pg_notification_queue_usage()"), ["0"]);
}

/// A message sent in the middle of a change arrives with it, from wherever it is sent.
#[test]
fn triggers_functions_and_views_send() {
    let engine = engine();
    let (mut s, mut other) = (engine.session(), engine.session());
    for sql in [
        "LISTEN changes",
        "CREATE TABLE t (id int PRIMARY KEY, n int)",
        "CREATE FUNCTION tell(text) RETURNS void LANGUAGE sql AS 'SELECT pg_notify(''changes'', $1)'",
        "CREATE VIEW telling AS SELECT pg_notify('changes', 'view') AS done",
        "CREATE PROCEDURE announce(text) LANGUAGE sql AS 'NOTIFY changes; SELECT pg_notify(''changes'', $1)'",
    ] {
        ok(&mut s, sql);
    }
    ok(&mut other, "SELECT tell('function')");
    ok(&mut other, "SELECT done FROM telling");
    ok(&mut other, "CALL announce('procedure')");
    ok(
        &mut other,
        "INSERT INTO t SELECT n, length(pg_notify('changes', 'row ' || n)) FROM generate_series(1, 2) AS g(n)",
    );
    fails(&mut other, "INSERT INTO t SELECT 1, length(pg_notify('changes', 'a duplicate'))");
    ok(&mut other, "PREPARE p AS SELECT pg_notify('changes', $1)");
    for _ in 0..3 {
        ok(&mut other, "EXECUTE p('prepared')");
    }
    let expected =
        ["function", "view", "", "procedure", "row 1", "row 2", "prepared", "prepared", "prepared"];
    assert_eq!(told(&mut s), expected.map(|text| format!("changes:{text}")));
}

#[test]
fn names_and_payloads_have_their_limits() {
    let engine = engine();
    let (mut s, mut other) = (engine.session(), engine.session());
    let long = "x".repeat(70);
    ok(&mut s, &format!("LISTEN {long}"));
    ok(&mut other, &format!("NOTIFY {long}, 'cut off'"));
    assert_eq!(told(&mut s), [format!("{}:cut off", "x".repeat(63))]);
    let refused = [
        ("SELECT pg_notify('', 'x')".to_owned(), "channel name cannot be empty"),
        ("SELECT pg_notify(NULL, 'x')".to_owned(), "channel name cannot be empty"),
        (format!("SELECT pg_notify('{long}', 'x')"), "channel name too long"),
        ("SELECT pg_notify('a', repeat('x', 8000))".to_owned(), "payload string too long"),
        (format!("NOTIFY a, '{}'", "x".repeat(8000)), "payload string too long"),
    ];
    for (sql, message) in refused {
        assert_eq!(fails(&mut s, &sql), ("22023".to_owned(), message.to_owned()));
    }
    ok(&mut s, "LISTEN a");
    ok(&mut s, "SELECT pg_notify('a', NULL)");
    ok(&mut s, "SELECT pg_notify('a', repeat('x', 7999))");
    assert_eq!(told(&mut s).iter().map(String::len).collect::<Vec<_>>(), [2, 8001]);
}
