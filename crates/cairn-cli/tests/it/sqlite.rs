//! `cairn import` of SQLite databases.

use rusqlite::Connection;

use super::run::{Place, cairn};

fn source(place: &Place, sql: &str) -> String {
    let path = place.text("old.sqlite");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    path
}

#[test]
fn tables_keys_indexes_and_rows_come_over() {
    let place = Place::new();
    let path = source(
        &place,
        "CREATE TABLE artist (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born DATE, UNIQUE (name));
         CREATE TABLE album (artist INT REFERENCES artist ON DELETE CASCADE, no INT, title VARCHAR(40) DEFAULT 'none',
                             price NUMERIC, cover BLOB, sold BOOLEAN, PRIMARY KEY (artist, no)) WITHOUT ROWID;
         CREATE INDEX album_title ON album (title DESC);
         CREATE TABLE \"Odd Name\" (\"a b\" TEXT, mixed);
         CREATE VIEW v AS SELECT 1;
         INSERT INTO artist VALUES (1, 'Bj''örk', '1965-11-21'), (2, 'Moondog', NULL);
         INSERT INTO album VALUES (1, 1, 'Debut', 9.5, x'00ff', 1), (2, 1, 'H''art Songs', 12, NULL, 0);
         INSERT INTO \"Odd Name\" VALUES ('x', 1), ('y', 'two'), (NULL, 3.5);",
    );
    let ran = cairn(["import", &place.db(), &path]);
    assert!(
        ran.err.contains("2 rows into artist") && ran.err.contains("3 rows into Odd Name"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("WARNING:  view \"v\" is not imported"), "{}", ran.err);
    ran.ok();
    assert_eq!(
        place.sql("SELECT a.name, a.born, b.title, b.price, b.cover, b.sold FROM artist a JOIN album b ON b.artist = a.id ORDER BY a.id"),
        "name,born,title,price,cover,sold\nBj'örk,1965-11-21,Debut,9.5,\\x00ff,t\nMoondog,,H'art Songs,12,,f\n"
    );
    assert_eq!(place.sql("SELECT mixed FROM \"Odd Name\" ORDER BY \"a b\""), "mixed\n1\ntwo\n3.5\n");
    let described = cairn([place.db().as_str(), "\\d album"]).ok();
    assert!(described.contains("PRIMARY KEY (artist, no)"), "{described}");
    assert!(described.contains("album_title") && described.contains("title DESC"), "{described}");
    assert!(described.contains("REFERENCES artist(id) ON DELETE CASCADE"), "{described}");
    // The constraints hold.
    for (sql, code) in [
        ("INSERT INTO artist (id, name) VALUES (1, 'again')", "artist_pkey"),
        ("INSERT INTO artist (id, name) VALUES (3, 'Moondog')", "artist_name_key"),
        ("INSERT INTO album (artist, no) VALUES (9, 1)", "foreign key"),
        ("INSERT INTO artist (id) VALUES (4)", "not-null"),
    ] {
        let err = cairn([place.db().as_str(), sql]).fails(1);
        assert!(err.contains(code), "{sql}: {err}");
    }
    place.sql("DELETE FROM artist WHERE id = 1");
    assert_eq!(place.sql("SELECT count(*) AS n FROM album"), "n\n1\n");
}

#[test]
fn a_table_that_is_there_stops_all_of_it() {
    let place = Place::new();
    place.sql("CREATE TABLE b (x int)");
    let path = source(&place, "CREATE TABLE a (x INT); INSERT INTO a VALUES (1); CREATE TABLE b (y INT);");
    let err = cairn(["import", &place.db(), &path]).fails(1);
    assert!(err.contains("relation \"b\" already exists"), "{err}");
    assert!(cairn([place.db().as_str(), "SELECT * FROM a"]).fails(1).contains("does not exist"));
}

#[test]
fn many_rows_are_counted_and_compared() {
    let place = Place::new();
    let path = source(
        &place,
        "CREATE TABLE n (id INTEGER PRIMARY KEY, text TEXT);
         WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20000)
         INSERT INTO n SELECT i, 'row ' || i FROM c;",
    );
    let ran = cairn(["import", &place.db(), &path]);
    assert!(ran.err.contains("20000 rows into n"), "{}", ran.err);
    assert_eq!(
        place.sql("SELECT count(*) AS n, sum(id) AS s, max(text) AS m FROM n"),
        "n,s,m\n20000,200010000,row 9999\n"
    );
}

#[test]
fn what_is_no_sqlite_database_is_told() {
    let place = Place::new();
    let path = place.write("fake.sqlite", "SQLite? no");
    let err = cairn(["import", &place.db(), &path]).fails(1);
    assert!(err.contains("not a SQLite database"), "{err}");
    assert!(!place.path("test.db").exists());
}
