//! `cairn kv`.

use super::run::{Place, cairn, fed};

#[test]
fn put_get_delete() {
    let place = Place::new();
    let db = place.db();
    cairn(["kv", "put", &db, "user:1", "Ann"]).ok();
    assert_eq!(cairn(["kv", "get", &db, "user:1"]).ok(), "Ann");
    cairn(["kv", "delete", &db, "user:1"]).ok();
    let err = cairn(["kv", "get", &db, "user:1"]).fails(1);
    assert!(err.contains("the key is not there: user:1"), "{err}");
}

#[test]
fn values_come_from_standard_input_and_are_any_bytes() {
    let place = Place::new();
    let db = place.db();
    fed(["kv", "put", &db, "text"], "two\nlines\n").ok();
    assert_eq!(cairn(["kv", "get", &db, "text"]).ok(), "two\nlines\n");
    cairn(["kv", "put", &db, "00ff", "deadbeef", "--hex"]).ok();
    assert_eq!(cairn(["kv", "get", &db, "00FF", "--hex"]).ok(), "deadbeef\n");
    assert!(cairn(["kv", "get", &db, "xyz", "--hex"]).fails(2).contains("hexadecimal"));
}

#[test]
fn scan_has_bounds_and_directions() {
    let place = Place::new();
    let db = place.db();
    for key in ["a", "b:1", "b:2", "b:3", "c"] {
        cairn(["kv", "put", &db, key, &format!("v\t{key}")]).ok();
    }
    let scan = |more: &[&str]| {
        let arguments: Vec<&str> = ["kv", "scan", &db].iter().copied().chain(more.iter().copied()).collect();
        let out = cairn(arguments).ok();
        out.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(scan(&[]), ["a", "b:1", "b:2", "b:3", "c"]);
    assert_eq!(scan(&["b:"]), ["b:1", "b:2", "b:3"]);
    assert_eq!(scan(&["b:", "--reverse", "--limit", "2"]), ["b:3", "b:2"]);
    assert_eq!(scan(&["b:", "--from", "b:2"]), ["b:2", "b:3"]);
    assert_eq!(scan(&["--from", "b:2", "--to", "c"]), ["b:2", "b:3"]);
    let first = cairn(["kv", "scan", &db, "--limit", "1"]).ok();
    assert_eq!(first, "a\tv\\ta\n", "a tab in a value does not look like the one between");
}

#[test]
fn a_missing_database_is_not_made_by_reading() {
    let place = Place::new();
    assert!(cairn(["kv", "get", &place.db(), "k"]).fails(1).starts_with("ERROR:  "));
    assert!(!place.path("test.db").exists());
}
