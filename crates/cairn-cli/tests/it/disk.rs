//! A full disk, on a small file system in memory where this user may mount one.

use std::path::Path;
use std::process::Command;

use super::run::{Place, cairn};

/// A mounted file system, unmounted at the end.
struct Mounted<'p>(&'p Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Nothing more can be done in a test's end.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn mounted(path: &Path) -> Option<Mounted<'_>> {
    std::fs::create_dir(path).unwrap();
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
        .arg(path)
        .stderr(std::process::Stdio::null())
        .status();
    status.is_ok_and(|status| status.success()).then(|| Mounted(path))
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let place = Place::new();
    let path = place.path("small");
    let Some(_mounted) = mounted(&path) else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let db = path.join("db");
    let db = db.to_str().unwrap();
    cairn([db, "CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'kept')"]).ok();
    let fill = "INSERT INTO t SELECT a, repeat(md5(a::text), 100) FROM generate_series(2, 20000) AS g(a)";
    let err = cairn([db, fill]).fails(1);
    assert!(err.to_lowercase().contains("no space left"), "{err}");
    assert_eq!(cairn([db, "SELECT a, b FROM t"]).ok(), "a,b\n1,kept\n");
    // What there is room for still goes in.
    cairn([db, "INSERT INTO t VALUES (2, 'small')"]).ok();
    assert_eq!(cairn([db, "SELECT count(*) AS n FROM t"]).ok(), "n\n2\n");
}
