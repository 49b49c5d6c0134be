//! Series of messages: what one transaction is, and what an error skips.

use crate::support::{Client, message, start};

fn parse(sql: &str) -> Vec<u8> {
    message(b'P', format!("\0{sql}\0\0\0").as_bytes())
}

fn run(sql: &str) -> Vec<u8> {
    let mut all = parse(sql);
    all.extend(message(b'B', b"\0\0\0\0\0\0\0\0"));
    all.extend(message(b'E', b"\0\0\0\0\0"));
    all
}

async fn count(client: &mut Client) -> String {
    client.query("SELECT count(*) FROM t").await.unwrap()[0][0].clone().unwrap()
}

#[tokio::test]
async fn what_stands_between_two_syncs_is_one_transaction() {
    let server = start(|_| {}).await;
    let mut client = server.client().await;
    client.query("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    for (last, kept) in [("INSERT INTO t VALUES (1)", "0"), ("INSERT INTO t VALUES (3)", "3")] {
        let mut series = run("INSERT INTO t VALUES (1)");
        series.extend(run("INSERT INTO t VALUES (2)"));
        series.extend(run(last));
        series.extend(message(b'S', b""));
        client.send(&series).await;
        let ended = client.until_ready().await;
        assert_eq!(ended.is_err(), kept == "0");
        assert_eq!(count(&mut client).await, kept);
    }
}

#[tokio::test]
async fn an_error_skips_to_the_sync() {
    let server = start(|_| {}).await;
    let mut client = server.client().await;
    client.query("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let mut series = run("SELECT 1/0");
    series.extend(run("INSERT INTO t VALUES (1)"));
    series.extend(message(b'Q', b"INSERT INTO t VALUES (2)\0"));
    series.extend(message(b'S', b""));
    client.send(&series).await;
    assert_eq!(client.until_ready().await.unwrap_err(), "22012");
    assert_eq!(count(&mut client).await, "0");
}

#[tokio::test]
async fn a_series_without_its_end_is_undone() {
    let server = start(|_| {}).await;
    let mut client = server.client().await;
    client.query("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let mut other = server.client().await;
    let mut series = run("INSERT INTO t VALUES (1)");
    series.extend(message(b'H', b""));
    other.send(&series).await;
    // It is told of the insertion, which nobody else sees yet.
    while other.next().await.unwrap().0 != b'C' {}
    assert_eq!(count(&mut client).await, "0");
    drop(other);
    client.query("INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(count(&mut client).await, "1");
}

#[tokio::test]
async fn the_statements_of_one_query_are_one_transaction() {
    let server = start(|_| {}).await;
    let mut client = server.client().await;
    client.query("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let failed = client.query("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); SELECT 1/0").await;
    assert_eq!(failed.unwrap_err(), "22012");
    assert_eq!(count(&mut client).await, "0");
    // COMMIT in between keeps what came before; BEGIN makes the rest a block of the client's.
    client.query("INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2); ROLLBACK").await.unwrap();
    assert_eq!(count(&mut client).await, "1");
    client.query("INSERT INTO t VALUES (3); BEGIN; INSERT INTO t VALUES (4)").await.unwrap();
    assert_eq!(count(&mut client).await, "3");
    client.query("ROLLBACK").await.unwrap();
    assert_eq!(count(&mut client).await, "1");
}

#[tokio::test]
async fn portals_give_some_rows_at_a_time() {
    let server = start(|_| {}).await;
    let mut client = server.client().await;
    let mut series = parse("SELECT n FROM generate_series(1, 10) AS s(n)");
    series.extend(message(b'B', b"p\0\0\0\0\0\0\0\0"));
    for _ in 0..3 {
        series.extend(message(b'E', b"p\0\0\0\0\x04"));
    }
    series.extend(message(b'S', b""));
    client.send(&series).await;
    let kinds: String =
        client.until_ready().await.unwrap().iter().map(|(kind, _)| char::from(*kind)).collect();
    assert_eq!(kinds, "12DDDDsDDDDsDDC");
    // It went with its transaction.
    let mut series = message(b'E', b"p\0\0\0\0\x04");
    series.extend(message(b'S', b""));
    client.send(&series).await;
    assert_eq!(client.until_ready().await.unwrap_err(), "34000");
}

#[tokio::test]
async fn a_copy_takes_what_comes_and_undoes_what_fails() {
    let server = start(|_| {}).await;
    let mut client = server.client().await;
    client.query("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let query = message(b'Q', b"COPY t FROM STDIN\0");
    let done = message(b'c', b"");
    for (data, end, outcome) in [
        (&b"1\n2\n"[..], done.clone(), Ok(())),
        (b"3\nx\n", done.clone(), Err("22P02")),
        (b"3\n4\n", message(b'f', b"never mind\0"), Err("57014")),
        (b"3\n", message(b'Q', b"SELECT 1\0"), Err("08P01")),
    ] {
        let mut messages = query.clone();
        for byte in data {
            messages.extend(message(b'd', &[*byte]));
        }
        messages.extend(end);
        client.send(&messages).await;
        let ended = client.until_ready().await.map(|_| ());
        assert_eq!(ended.as_ref().map_err(String::as_str).copied(), outcome);
        assert_eq!(count(&mut client).await, "2");
    }
    let missing = client.query("COPY nothing FROM STDIN").await;
    assert_eq!(missing.unwrap_err(), "42P01");
    client
        .send(&message(
            b'Q',
            b"COPY (SELECT n, E'a\\nb' FROM generate_series(1, 2) AS s(n)) TO STDOUT (FORMAT csv)\0",
        ))
        .await;
    let rows: Vec<_> =
        client.until_ready().await.unwrap().into_iter().filter(|(kind, _)| *kind == b'd').collect();
    assert_eq!(rows.len(), 2, "a message for each row");
    assert_eq!(rows[1].1, b"2,\"a\nb\"\n");
}

fn named(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

/// Bind without values and Execute of a statement of that name.
fn run_named(name: &str) -> Vec<u8> {
    let mut all = message(b'B', [b"\0", name.as_bytes(), b"\0\0\0\0\0\0\0"].concat().as_slice());
    all.extend(message(b'E', b"\0\0\0\0\0"));
    all.extend(message(b'S', b""));
    all
}

#[tokio::test]
async fn statements_of_parse_and_of_prepare_have_one_set_of_names() {
    let server = start(|_| {}).await;
    let mut client = server.client().await;
    client.send(&[named("one", "SELECT 1 + 1"), message(b'S', b"")].concat()).await;
    client.until_ready().await.unwrap();
    assert_eq!(client.query("EXECUTE one").await.unwrap(), [[Some("2".to_owned())]]);
    let plan = client.query("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE one").await.unwrap();
    assert!(plan[0][0].as_ref().unwrap().contains("\"Output\""), "{plan:?}");
    assert_eq!(client.query("PREPARE one AS SELECT 3").await.unwrap_err(), "42P05");
    client.query("PREPARE two AS SELECT 4").await.unwrap();
    client.send(&[named("two", "SELECT 5"), message(b'S', b"")].concat()).await;
    assert_eq!(client.until_ready().await.unwrap_err(), "42P05");
    client.send(&run_named("two")).await;
    let answer = client.until_ready().await.unwrap();
    assert!(answer.iter().any(|(kind, body)| *kind == b'D' && body.ends_with(b"4")), "{answer:?}");
    // Closed, deallocated: the name is free.
    client.send(&[message(b'C', b"Sone\0"), named("one", "SELECT 6"), message(b'S', b"")].concat()).await;
    client.until_ready().await.unwrap();
    assert_eq!(client.query("EXECUTE one").await.unwrap(), [[Some("6".to_owned())]]);
    client.query("DEALLOCATE one").await.unwrap();
    client.send(&run_named("one")).await;
    assert_eq!(client.until_ready().await.unwrap_err(), "26000");
    assert_eq!(client.query("DEALLOCATE one").await.unwrap_err(), "26000");
    client.query("DEALLOCATE ALL").await.unwrap();
    assert_eq!(client.query("EXECUTE two").await.unwrap_err(), "26000");
}

/// Names, tables and numbers of columns of a RowDescription.
fn described(mut body: &[u8]) -> Vec<(String, u32, i16)> {
    let count = u16::from_be_bytes([body[0], body[1]]);
    body = &body[2..];
    (0..count)
        .map(|_| {
            let end = body.iter().position(|byte| *byte == 0).unwrap();
            let name = String::from_utf8(body[..end].to_vec()).unwrap();
            body = &body[end + 1..];
            let table = u32::from_be_bytes(body[..4].try_into().unwrap());
            let number = i16::from_be_bytes(body[4..6].try_into().unwrap());
            body = &body[18..];
            (name, table, number)
        })
        .collect()
}

#[tokio::test]
async fn columns_are_told_with_the_table_that_they_are_of() {
    let server = start(|_| {}).await;
    let mut client = server.client().await;
    client.query("CREATE TABLE a (id int PRIMARY KEY, gone int, n int)").await.unwrap();
    client.query("ALTER TABLE a DROP COLUMN gone").await.unwrap();
    client.query("CREATE TABLE b (id int PRIMARY KEY, a_id int REFERENCES a)").await.unwrap();
    let numbers = client.query("SELECT 'a'::regclass::oid, 'b'::regclass::oid").await.unwrap();
    let [a, b] = [0, 1].map(|at| numbers[0][at].as_ref().unwrap().parse::<u32>().unwrap());
    let cases: [(&str, &[(u32, i16)]); 8] = [
        ("SELECT n, id, n + 1, n::text, 1 FROM a", &[(a, 2), (a, 1), (0, 0), (0, 0), (0, 0)]),
        (
            "SELECT x.id, y.id AS z FROM a x LEFT JOIN b y ON y.a_id = x.id WHERE x.n > 1 ORDER BY 1",
            &[(a, 1), (b, 1)],
        ),
        ("SELECT m FROM (SELECT n AS m FROM a LIMIT 3) s", &[(a, 2)]),
        ("WITH w AS (SELECT id FROM b) SELECT id, count(*) FROM w GROUP BY id", &[(b, 1), (0, 0)]),
        ("SELECT DISTINCT a_id, row_number() OVER (ORDER BY id) FROM b", &[(b, 2), (0, 0)]),
        ("SELECT id FROM a UNION SELECT id FROM b", &[(0, 0)]),
        ("INSERT INTO a VALUES (1, 2) RETURNING id, n * 2", &[(a, 1), (0, 0)]),
        ("UPDATE b SET a_id = 1 RETURNING *", &[(b, 1), (b, 2)]),
    ];
    for (sql, expected) in cases {
        client.send(&[parse(sql), message(b'D', b"S\0"), message(b'S', b"")].concat()).await;
        let answer = client.until_ready().await.unwrap();
        let body = &answer.iter().find(|(kind, _)| *kind == b'T').unwrap().1;
        let found: Vec<_> = described(body).into_iter().map(|(_, table, number)| (table, number)).collect();
        assert_eq!(found, expected, "{sql}");
    }
}
