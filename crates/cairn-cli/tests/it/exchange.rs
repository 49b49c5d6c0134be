//! `cairn import` and `cairn export`: what goes out comes in again.

use super::run::{Place, cairn};

const TRIPS: &str = "id,place,km,day,at,back\n1,Oslo,12.5,2024-05-01,2024-05-01 06:30:00,true\n\
                     2,\"Rome, Italy\",NA,2024-05-02,NA,false\n3,NA,7,NA,2024-05-03 08:00:00,NA\n";

#[test]
fn csv_makes_a_table_with_the_types_it_finds() {
    let place = Place::new();
    let file = place.write("Trips.csv", TRIPS);
    let ran = cairn(["import", &place.db(), &file]);
    assert!(ran.err.contains("3 rows into trips"), "{}", ran.err);
    ran.ok();
    let types = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'trips' ORDER BY ordinal_position";
    assert_eq!(
        place.sql(types),
        "column_name,data_type\nid,bigint\nplace,text\nkm,double precision\nday,date\n\
         at,timestamp without time zone\nback,boolean\n"
    );
    assert_eq!(
        place.sql("SELECT id, km, day FROM trips WHERE place IS NULL OR km IS NULL ORDER BY id"),
        "id,km,day\n2,,2024-05-02\n3,7,\n"
    );
}

#[test]
fn an_existing_table_takes_more_rows_or_none() {
    let place = Place::new();
    place.sql("CREATE TABLE t (a int PRIMARY KEY, b text)");
    let good = place.write("good.csv", "a,b\n1,x\n2,y\n");
    let bad = place.write("bad.csv", "a,b\n3,z\n4,w\nfive,v\n");
    cairn(["import", &place.db(), &good, "--table", "t"]).ok();
    let err = cairn(["import", &place.db(), &bad, "--table", "t"]).fails(1);
    assert!(err.contains("\"five\"") && err.contains("line 4"), "{err}");
    assert_eq!(place.sql("SELECT count(*) AS n FROM t"), "n\n2\n");
}

#[test]
fn every_file_format_comes_back() {
    let place = Place::new();
    let file = place.write("trips.csv", TRIPS);
    cairn(["import", &place.db(), &file]).ok();
    let all = place.sql("SELECT * FROM trips ORDER BY id");
    for name in ["a.csv", "b.csv.gz", "c.jsonl", "d.parquet", "e.csv.zst", "f.jsonl.gz"] {
        let path = place.text(name);
        let table = &name[..1];
        cairn(["export", &place.db(), "trips", &path]).ok();
        cairn(["import", &place.db(), &path]).ok();
        assert_eq!(place.sql(&format!("SELECT * FROM {table} ORDER BY id")), all, "{name}");
    }
}

#[test]
fn export_prints_queries_and_guards_files() {
    let place = Place::new();
    place.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)");
    assert_eq!(
        cairn(["export", &place.db(), "SELECT sum(a) AS s FROM t", "--format", "json"]).ok(),
        "[{\"s\":3}]\n"
    );
    assert_eq!(cairn(["export", &place.db(), "T"]).ok(), "a\n1\n2\n");
    let file = place.write("there.csv", "mine");
    assert!(cairn(["export", &place.db(), "t", &file]).fails(1).contains("--overwrite"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    cairn(["export", &place.db(), "SELECT 1 / (a - 2) AS x FROM t", &place.text("half.csv")]).fails(1);
    let left: Vec<_> = std::fs::read_dir(place.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("half")), "{left:?}");
    cairn(["export", &place.db(), "t", &file, "--overwrite"]).ok();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a\n1\n2\n");
    assert!(cairn(["export", &place.db(), "missing"]).fails(1).contains("missing"));
}

#[test]
fn what_cannot_be_imported_changes_nothing() {
    let place = Place::new();
    let err = cairn(["import", &place.db(), &place.text("missing.csv")]).fails(1);
    assert!(err.contains("cannot read") && err.contains("missing.csv"), "{err}");
    assert!(!place.path("test.db").exists());
    let odd = place.write("odd.xyz", "x");
    assert!(cairn(["import", &place.db(), &odd]).fails(2).contains("--kind"));
    let wide = place.write("wide.csv", "a,b\n1,2\n3,4,5\n");
    let err = cairn(["import", &place.db(), &wide]).fails(1);
    assert!(err.contains("line 3") || err.contains('3'), "{err}");
    assert!(cairn([place.db().as_str(), "SELECT * FROM wide"]).fails(1).contains("does not exist"));
}
