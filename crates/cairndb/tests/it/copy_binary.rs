//! COPY in PostgreSQL's binary format.

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};

use cairn_env::SeededRandom;
use cairndb::{Database, Session};

const TABLE: &str = "CREATE TABLE b (a smallint, i int, n numeric, t text, d date, ts timestamptz, iv interval, j jsonb, \
     arr int[], u uuid, f float8, by bytea, bo boolean)";
const ROWS: &str = r#"INSERT INTO b VALUES
    (1, -2, 12345.6700, 'héllo', '2026-03-01', '2026-03-01 12:00:00.5+00', '1 mon 2 days 03:04:05', '{"a": [1, null]}',
     '{1,NULL,3}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'NaN', '\xdeadbeef', true),
    (null, null, null, null, null, null, null, null, null, null, null, null, null),
    (0, 2147483647, 'NaN', '', 'infinity', '-infinity', '-1 day', '1.50', '{}', null, -0.0, '', false)"#;
/// What PostgreSQL 15 writes of these rows: `COPY b TO … (FORMAT binary)`.
const POSTGRESQL: &str = "5047434f50590aff0d0a000000000000000000000d00000002000100000004fffffffe0000000e0003000100000004000109\
     291a2c0000000668c3a96c6c6f0000000400002554000000080002eef3fa7ed1200000001000000002925553400000000200\
     00000100000011017b2261223a205b312c206e756c6c5d7d0000002800000001000000010000001700000003000000010000\
     000400000001ffffffff000000040000000300000010a0eebc999c0b4ef8bb6d6bb9bd380a11000000087ff8000000000000\
     00000004deadbeef0000000101000dffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
     ffffffffffffffffffffffffffffffffff000d000000020000000000047fffffff0000000800000000c00000000000000000\
     0000047fffffff000000088000000000000000000000100000000000000000ffffffff000000000000000501312e35300000\
     000c000000000000000000000017ffffffff000000080000000000000000000000000000000100ffff";

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn out(session: &mut Session, sql: &str) -> Vec<u8> {
    let written = Written::default();
    session.copy_out(sql, written.clone()).unwrap();
    let bytes = written.0.lock().unwrap();
    bytes.clone()
}

fn postgresql() -> Vec<u8> {
    (0..POSTGRESQL.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&POSTGRESQL[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn the_bytes_are_postgresqls() {
    let mut session = Database::in_memory().unwrap().session();
    session.run(TABLE).unwrap();
    session.run(ROWS).unwrap();
    assert_eq!(out(&mut session, "COPY b TO STDOUT (FORMAT binary)"), postgresql());
    session.run("CREATE TABLE c (LIKE b)").unwrap();
    assert_eq!(session.copy_in("COPY c FROM STDIN BINARY", Cursor::new(postgresql())).unwrap(), 3);
    assert_eq!(out(&mut session, "COPY c TO STDOUT"), out(&mut session, "COPY b TO STDOUT"));
    // The end may be missing, more header is skipped.
    let mut other = postgresql();
    other.truncate(other.len() - 2);
    other.splice(15..19, [0, 0, 0, 3, 1, 2, 3]);
    assert_eq!(session.copy_in("COPY c FROM STDIN (FORMAT binary)", Cursor::new(other)).unwrap(), 3);
}

#[test]
fn types_of_the_users_own_and_many_rows() {
    let mut session = Database::in_memory().unwrap().session();
    for sql in [
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "CREATE DOMAIN small AS int CHECK (VALUE < 20000)",
        "CREATE TABLE m (id small PRIMARY KEY, m mood, r int4range, v varchar(5), c char(3), made int GENERATED ALWAYS AS (id * 2) STORED)",
        "INSERT INTO m SELECT n, CASE n % 3 WHEN 0 THEN 'sad' WHEN 1 THEN 'glad' END::mood, int4range(n, n + 2), 'v' || n % 100, 'c' FROM generate_series(1, 10000) AS g(n)",
        "CREATE TABLE n (LIKE m INCLUDING ALL)",
    ] {
        session.run(sql).unwrap();
    }
    let bytes = out(&mut session, "COPY m TO STDOUT (FORMAT binary)");
    assert_eq!(session.copy_in("COPY n FROM STDIN (FORMAT binary)", Cursor::new(bytes)).unwrap(), 10_000);
    let sql = |t: &str| format!("COPY (SELECT * FROM {t} ORDER BY id) TO STDOUT");
    assert_eq!(out(&mut session, &sql("m")), out(&mut session, &sql("n")));
    // What the table refuses, COPY refuses.
    let bytes = out(
        &mut session,
        "COPY (SELECT 20000, NULL::mood, NULL::int4range, 'v', 'c') TO STDOUT (FORMAT binary)",
    );
    let error = session.copy_in("COPY n FROM STDIN (FORMAT binary)", Cursor::new(bytes)).unwrap_err();
    assert_eq!(error.sqlstate(), "23514");
}

#[test]
fn what_is_wrong_is_told_and_nothing_stays() {
    let mut session = Database::in_memory().unwrap().session();
    session.run("CREATE TABLE t (a int, b text)").unwrap();
    let header = b"PGCOPY\n\xff\r\n\0".to_vec();
    let with = |rest: &[u8]| [header.as_slice(), &[0; 8], rest].concat();
    let cases: [(Vec<u8>, &str, &str); 11] = [
        (b"1\tone\n".to_vec(), "22P04", "COPY file signature not recognized"),
        (header.clone(), "22P04", "invalid COPY file header (missing flags)"),
        (
            [header.as_slice(), &[0, 1, 0, 0, 0, 0, 0, 0]].concat(),
            "22P04",
            "invalid COPY file header (WITH OIDS)",
        ),
        (
            [header.as_slice(), &[1, 0, 0, 0, 0, 0, 0, 0]].concat(),
            "22P04",
            "unrecognized critical flags in COPY file header",
        ),
        (
            [header.as_slice(), &[0, 0, 0, 0, 0, 0, 0, 9, 1]].concat(),
            "22P04",
            "invalid COPY file header (wrong length)",
        ),
        (with(&[0, 3]), "22P04", "row field count is 3, expected 2"),
        (with(&[0, 2, 0xff, 0xff, 0xff, 0xfe]), "22P04", "invalid field size"),
        (with(&[0, 2, 0x7f, 0xff, 0xff, 0xff, 1]), "22P04", "unexpected EOF in COPY data"),
        (with(&[0, 2, 0, 0, 0, 3, 1, 2, 3]), "08P01", "insufficient data left in message"),
        (with(&[0xff, 0xff, 1]), "22P04", "received copy data after EOF marker"),
        (
            with(&[0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0xff]),
            "22021",
            "invalid byte sequence for encoding \"UTF8\"",
        ),
    ];
    for (bytes, sqlstate, message) in cases {
        let error = session.copy_in("COPY t FROM STDIN (FORMAT binary)", Cursor::new(bytes)).unwrap_err();
        assert_eq!((error.sqlstate(), error.message()), (sqlstate, message));
    }
    for option in ["DELIMITER ','", "NULL ''", "HEADER true"] {
        let sql = format!("COPY t TO STDOUT (FORMAT binary, {option})");
        let error = session.copy_out(&sql, Written::default()).unwrap_err();
        let name = option.split(' ').next().unwrap();
        assert_eq!(error.message(), format!("cannot specify {name} in BINARY mode"));
    }
    // Every file that is cut off, and random bytes, are an error or rows.
    session.run(TABLE).unwrap();
    let whole = postgresql();
    let mut random = SeededRandom::new(1);
    for at in 0..whole.len() {
        let mut bytes = whole[..at].to_vec();
        let _ = session.copy_in("COPY b FROM STDIN (FORMAT binary)", Cursor::new(bytes.clone()));
        bytes.extend_from_slice(&whole[at..]);
        bytes[at] ^= 1 + random.below(255) as u8;
        let _ = session.copy_in("COPY b FROM STDIN (FORMAT binary)", Cursor::new(bytes));
    }
    assert_eq!(
        session.copy_in("COPY t FROM STDIN (FORMAT binary)", Cursor::new(with(&[0xff, 0xff]))).unwrap(),
        0
    );
}
