//! AS OF SYSTEM TIME: rows and definitions of a commit and of a time.

use std::time::Duration;

use cairndb::{Database, OpenOptions, Session};

fn rows(session: &mut Session, sql: &str) -> Result<Vec<String>, String> {
    let rows = match session.run(sql) {
        Ok(cairndb::Outcome::Command { .. }) => return Ok(Vec::new()),
        Ok(cairndb::Outcome::Rows(rows)) => rows.collect_rows(),
        Err(error) => Err(error),
    };
    let text = |row: &cairndb::Row| row.text(0).unwrap().unwrap_or_default();
    rows.map(|rows| rows.iter().map(text).collect()).map_err(|error| error.sqlstate().to_owned())
}

#[test]
fn queries_read_an_old_commit_with_its_definitions() {
    let directory = tempfile::tempdir().unwrap();
    let options = OpenOptions::new().retention(Duration::from_secs(3600));
    let db = Database::open_with(directory.path().join("db"), options).unwrap();
    let mut session = db.session();
    for sql in ["create table t (id int primary key, v int)", "insert into t values (1, 10), (2, 20)"] {
        rows(&mut session, sql).unwrap();
    }
    let then = db.stats().last_committed;
    let time = rows(&mut session, "select clock_timestamp()").unwrap().remove(0);
    for sql in [
        "update t set v = v + 1",
        "delete from t where id = 2",
        "alter table t rename v to w",
        "create table u (a int)",
    ] {
        rows(&mut session, sql).unwrap();
    }
    assert_eq!(rows(&mut session, "select w from t").unwrap(), ["11"]);
    for _ in 0..3 {
        let old = format!("select v from t as of system time {then} where v > 0 order by id");
        assert_eq!(rows(&mut session, &old).unwrap(), ["10", "20"], "{old}");
        let joined =
            format!("select a.v + b.v from t a join t b on b.id = a.id + 1 as of system time '{then}'");
        assert_eq!(rows(&mut session, &joined).unwrap(), ["30"]);
    }
    // Within a block, too, whose own writes do not show.
    rows(&mut session, "begin").unwrap();
    rows(&mut session, "insert into t values (3, 30)").unwrap();
    assert_eq!(
        rows(&mut session, &format!("select count(*) from t as of system time {then}")).unwrap(),
        ["2"]
    );
    rows(&mut session, "rollback").unwrap();
    // The time lies between the commits, or so near the opening that one before counts: times have a granule.
    let at_time = rows(&mut session, &format!("select count(*) from t as of system time '{time}'"));
    let early = ["42P01", "72000"].map(|state| Err(state.to_owned()));
    assert!(at_time == Ok(vec!["2".to_owned()]) || early.contains(&at_time), "{at_time:?}");
    assert_eq!(
        rows(&mut session, "select 1 as of system time 0").unwrap_err(),
        "72000",
        "before the first commit"
    );
    let state = |session: &mut Session, moment: &str| {
        rows(session, &format!("select 1 from t as of system time {moment}")).unwrap_err()
    };
    assert_eq!(state(&mut session, "'2001-01-01'"), "72000");
    assert_eq!(state(&mut session, "'-1000 days'"), "72000");
    assert_eq!(state(&mut session, "now() + interval '1 day'"), "22023");
    assert_eq!(state(&mut session, "interval '1 day'"), "22023");
    assert_eq!(state(&mut session, "'yesterday or so'"), "22023");
    assert_eq!(state(&mut session, "1000000000"), "22023");
    assert_eq!(state(&mut session, &format!("{then} for update")), "0A000");
    assert_eq!(
        rows(&mut session, &format!("select a from u as of system time {then}")).unwrap_err(),
        "42P01"
    );
    let prepared = format!("prepare p (int) as select v from t as of system time {then} where id = $1");
    // Columns are told by the definitions of now.
    assert_eq!(rows(&mut session, &prepared).unwrap_err(), "42703");
    rows(&mut session, "alter table t rename w to v").unwrap();
    rows(&mut session, &prepared).unwrap();
    assert_eq!(rows(&mut session, "execute p (2)").unwrap(), ["20"]);
}

#[test]
fn a_time_needs_a_retention() {
    let db = Database::in_memory().unwrap();
    db.execute("create table t (id int)", &[]).unwrap();
    assert_eq!(rows(&mut db.session(), "select id from t as of system time '-1s'").unwrap_err(), "22023");
}

/// What was there before the database was closed can still be read, with its definitions.
#[test]
fn the_past_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let options = OpenOptions::new().retention(Duration::from_secs(3600));
        Database::open_with(directory.path().join("db"), options).unwrap()
    };
    let db = open();
    let mut session = db.session();
    for sql in ["create table t (id int primary key, v int)", "insert into t values (1, 10), (2, 20)"] {
        rows(&mut session, sql).unwrap();
    }
    let then = db.stats().last_committed;
    for sql in
        ["update t set v = v + 1", "vacuum", "alter table t drop column v", "delete from t where id = 1"]
    {
        rows(&mut session, sql).unwrap();
    }
    drop(session);
    db.close().unwrap();
    let db = open();
    let mut session = db.session();
    rows(&mut session, "vacuum").unwrap();
    let old = format!("select v from t as of system time {then} order by id");
    assert_eq!(rows(&mut session, &old).unwrap(), ["10", "20"]);
    assert_eq!(rows(&mut session, "select id from t").unwrap(), ["2"]);
}
