//! Indexes of every kind: they agree with the rows after changes by several sessions and after the database is opened
//! again, and what the planner finds through them is what a scan finds.

use cairndb::{Database, Outcome};

fn rows(db: &Database, sql: &str) -> Vec<String> {
    match db.session().run(sql).unwrap() {
        Outcome::Rows(rows) => {
            let rows = rows.collect_rows().unwrap();
            rows.iter().map(|row| row.text(0).unwrap().unwrap_or_default()).collect()
        }
        Outcome::Command { .. } => Vec::new(),
    }
}

const INDEXES: [&str; 8] = [
    "create index lower_n on t (lower(n))",
    "create unique index open_k on t (k) where state = 'open'",
    "create index cover on t (k) include (n, id)",
    "create unique index cover_u on t (id) include (n)",
    "create index down on t (k desc nulls last, n nulls first)",
    "create unique index nulls on t (u, (k % 7)) nulls not distinct where u is not null or k > 1000000",
    "create index h on t using hash (n)",
    "create index big on t ((k * 2 + 1)) where k > 40",
];

/// Conditions that the indexes answer, with a form beside each that none of them can.
const CONDITIONS: [(&str, &str); 9] = [
    ("lower(n) = 'n3'", "lower(n) || '' = 'n3'"),
    ("k = 5 and state = 'open'", "k + 0 = 5 and state || '' = 'open'"),
    ("k = 5", "k + 0 = 5"),
    ("state = 'open'", "state || '' = 'open'"),
    ("k between 3 and 9", "k + 0 between 3 and 9"),
    ("n = 'N4'", "n || '' = 'N4'"),
    ("k * 2 + 1 = 101 and k > 40", "k + 0 = 50"),
    ("k > 60", "k + 0 > 60"),
    ("k % 7 = 3 and u = 30", "(k + 0) % 7 = 3 and u + 0 = 30"),
];

fn agrees(db: &Database) {
    for (condition, plain) in CONDITIONS {
        for list in ["id", "k, n"] {
            let by = |condition: &str| {
                let mut found = rows(db, &format!("select {list} from t where {condition}"));
                found.sort();
                found
            };
            assert_eq!(by(condition), by(plain), "{list} where {condition}");
        }
    }
}

#[test]
fn they_agree_with_the_rows_whatever_happens() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = Database::open(&path).unwrap();
    db.execute("create table t (id int primary key, k int, n text, state text, u int)", &[]).unwrap();
    db.execute(
        "insert into t select i, i % 80, 'N' || i % 9, case when i < 80 then 'open' else 'done' end, i \
         from generate_series(1, 300) g(i)",
        &[],
    )
    .unwrap();
    for sql in INDEXES {
        db.execute(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    agrees(&db);
    std::thread::scope(|threads| {
        for own in 0..3 {
            let db = &db;
            threads.spawn(move || {
                let mut session = db.session();
                for i in 0..6 {
                    let id = own * 100 + i * 7 + 1;
                    for sql in [
                        format!("update t set k = k + 1000, state = 'done' where id = {id}"),
                        format!("update t set n = 'n' || {i} where id = {}", id + 1),
                        format!("delete from t where id = {}", id + 2),
                        format!("insert into t values ({}, {i}, 'N3', 'done', null)", 1000 + id),
                    ] {
                        session.run(&sql).unwrap();
                    }
                }
            });
        }
    });
    agrees(&db);
    db.verify().unwrap();
    db.close().unwrap();
    let db = Database::open(&path).unwrap();
    agrees(&db);
    db.verify().unwrap();
    db.execute("alter table t rename column k to kk", &[]).unwrap();
    db.execute("alter table t rename column kk to k", &[]).unwrap();
    db.execute("alter table t alter column k type bigint", &[]).unwrap();
    db.execute("reindex table t", &[]).unwrap();
    agrees(&db);
    db.verify().unwrap();
    db.execute("alter table t drop column state", &[]).unwrap();
    assert_eq!(rows(&db, "select indexname from pg_indexes where tablename = 't'").len(), INDEXES.len());
    db.verify().unwrap();
}

#[test]
fn one_of_two_that_insert_the_same_partial_key_fails() {
    let db = Database::in_memory().unwrap();
    db.execute("create table t (id int primary key, k int, open boolean)", &[]).unwrap();
    db.execute("create unique index one_open on t (k) where open", &[]).unwrap();
    db.execute("create unique index one_name on t ((k / 10)) where not open", &[]).unwrap();
    let outcome = |ids: [i32; 2], open: bool| {
        std::thread::scope(|threads| {
            let insert = |id: i32| {
                let db = &db;
                threads.spawn(move || {
                    db.session().run(&format!("insert into t values ({id}, {}, {open})", id / 100)).is_ok()
                })
            };
            ids.map(insert).map(|thread| thread.join().unwrap())
        })
    };
    for round in 0..10 {
        let base = 1000 + round * 2000;
        let won = outcome([base, base + 1], true);
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
        let won = outcome([base + 500, base + 900], false);
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    }
    db.verify().unwrap();
}

#[test]
fn generated_columns_and_constraints_not_valid_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = Database::open(&path).unwrap();
    db.execute("create table t (a int, b int generated always as (a * 2) stored)", &[]).unwrap();
    db.execute("insert into t (a) values (-1), (4)", &[]).unwrap();
    db.execute("alter table t add constraint pos check (a > 0) not valid", &[]).unwrap();
    db.close().unwrap();
    let db = Database::open(&path).unwrap();
    db.execute("insert into t (a) values (3)", &[]).unwrap();
    let fails = |sql: &str| db.execute(sql, &[]).unwrap_err().sqlstate().to_owned();
    assert_eq!(fails("insert into t (a) values (-5)"), "23514");
    assert_eq!(fails("alter table t validate constraint pos"), "23514");
    db.execute("update t set a = 1 where a = -1", &[]).unwrap();
    db.execute("alter table t validate constraint pos", &[]).unwrap();
    db.close().unwrap();
    let db = Database::open(&path).unwrap();
    assert_eq!(rows(&db, "select b from t order by a"), ["2", "6", "8"]);
    assert_eq!(rows(&db, "select convalidated from pg_constraint where conname = 'pos'"), ["t"]);
}
