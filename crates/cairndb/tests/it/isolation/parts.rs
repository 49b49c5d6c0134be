//! MERGE and data-modifying WITH beside others that change the same rows.

use cairndb::{Database, Outcome};

fn value(db: &Database, sql: &str) -> i64 {
    match db.session().run(sql).unwrap() {
        Outcome::Rows(rows) => rows.collect_rows().unwrap()[0].text(0).unwrap().unwrap().parse().unwrap(),
        Outcome::Command { .. } => panic!("{sql} gave no rows"),
    }
}

fn four_times(db: &Database, sql: &str, in_block: &[bool; 4]) {
    std::thread::scope(|threads| {
        for block in in_block {
            threads.spawn(move || {
                let mut session = db.session();
                for _ in 0..15 {
                    if *block {
                        session.run("begin").unwrap();
                    }
                    session.run(sql).unwrap();
                    if *block {
                        session.run("commit").unwrap();
                    }
                }
            });
        }
    });
}

#[test]
fn merges_count_every_row_once() {
    let db = Database::in_memory().unwrap();
    db.execute("create table t (id int primary key, v int)", &[]).unwrap();
    db.execute("insert into t values (1, 0), (2, 0)", &[]).unwrap();
    let sql =
        "merge into t using (values (1), (2)) q(k) on t.id = q.k when matched then update set v = v + 1";
    four_times(&db, sql, &[false, true, false, true]);
    assert_eq!(value(&db, "select sum(v) from t"), 120);
}

#[test]
fn rows_moved_by_one_statement_are_never_lost_nor_doubled() {
    let db = Database::in_memory().unwrap();
    db.execute("create table a (id int primary key)", &[]).unwrap();
    db.execute("create table b (id int primary key)", &[]).unwrap();
    db.execute("insert into a select * from generate_series(1, 60)", &[]).unwrap();
    let sql = "with gone as (delete from a where id = (select min(id) from a) returning id) \
               insert into b select id from gone";
    four_times(&db, sql, &[false, true, false, true]);
    let (left, moved) = (value(&db, "select count(*) from a"), value(&db, "select count(*) from b"));
    assert_eq!(left + moved, 60, "{left} left, {moved} moved");
    assert_eq!(value(&db, "select count(*) from a join b using (id)"), 0);
}
