//! Paths that hold no database, are locked, forbidden or too new.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use super::run::{Place, cairn, command, spawn};

#[test]
fn a_path_that_is_no_database_is_told_and_left_alone() {
    let place = Place::new();
    let file = place.write("notes.txt", "dear diary");
    let err = cairn([file.as_str(), "SELECT 1"]).fails(1);
    assert!(err.contains("notes.txt"), "{err}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "dear diary");
    let folder = place.path("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("letter"), "x").unwrap();
    let err = cairn([folder.to_str().unwrap(), "SELECT 1"]).fails(1);
    assert!(err.contains("folder"), "{err}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    for command in ["verify", "stats", "compact"] {
        let err = cairn([command, &place.text("missing")]).fails(1);
        assert!(err.contains("missing"), "{command}: {err}");
        assert!(!place.path("missing").exists());
    }
}

#[test]
fn a_second_process_is_told_who_waits() {
    let place = Place::new();
    place.sql("CREATE TABLE t (a int)");
    let mut first = spawn(command().arg(place.db()));
    let mut stdin = first.stdin.take().unwrap();
    // The answer says that the first process has it open.
    writeln!(stdin, "SELECT 1 AS ready;").unwrap();
    let mut ready = String::new();
    let mut out = std::io::BufReader::new(first.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut ready).unwrap();
    let err = cairn([place.db().as_str(), "SELECT 1"]).fails(1);
    assert!(err.starts_with("ERROR:  ") && err.contains("test.db"), "{err}");
    assert!(err.contains("HINT:  "), "{err}");
    drop(stdin);
    assert!(first.wait().unwrap().success());
    place.sql("SELECT * FROM t");
}

#[test]
fn an_identity_cut_short_is_told() {
    let place = Place::new();
    place.sql("CREATE TABLE t (a int)");
    let identity = place.path("test.db").join("CAIRN");
    let before = std::fs::read(&identity).unwrap();
    let err = {
        let mut bytes = before.clone();
        bytes.truncate(3);
        std::fs::write(&identity, &bytes).unwrap();
        cairn([place.db().as_str(), "SELECT 1"])
    };
    assert!(matches!(err.code, Some(1 | 3)), "{err:?}");
    assert!(err.err.starts_with("ERROR:  ") && err.err.contains("test.db"), "{}", err.err);
    std::fs::write(&identity, &before).unwrap();
    place.sql("SELECT * FROM t");
}

/// Root may write everywhere, so the binary is run as somebody else then.
#[test]
fn a_read_only_directory_is_told() {
    let place = Place::new();
    let folder = place.path("closed");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(place.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    let (db, cairn) = (folder.join("db"), env!("CARGO_BIN_EXE_cairn"));
    let probe = folder.join("probe");
    let output = if std::fs::write(&probe, "").is_ok() {
        std::fs::remove_file(&probe).unwrap();
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", cairn];
        std::process::Command::new("setpriv").args(nobody).arg(&db).arg("SELECT 1").output()
    } else {
        command().arg(&db).arg("SELECT 1").output()
    };
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let err = match output {
        Ok(output) if output.status.code() != Some(127) && output.status.code() != Some(126) => {
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            String::from_utf8(output.stderr).unwrap()
        }
        _ => return println!("skipped: root, and the binary cannot be run as somebody else"),
    };
    assert!(err.to_lowercase().contains("permission denied") && err.contains("closed"), "{err}");
}

#[test]
fn care_commands_do_their_work() {
    let place = Place::new();
    place.sql("CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t SELECT * FROM generate_series(1, 1000); DELETE FROM t WHERE a > 10");
    cairn(["compact", &place.db()]).ok();
    assert!(cairn(["verify", &place.db()]).ok().contains("no damage"));
    let stats = cairn(["stats", &place.db()]).ok();
    assert!(stats.contains("tables") && stats.contains("Level"), "{stats}");
    cairn(["checkpoint", &place.db(), &place.text("copy.db")]).ok();
    assert_eq!(cairn([place.text("copy.db").as_str(), "SELECT count(*) AS n FROM t"]).ok(), "n\n10\n");
    assert!(cairn(["checkpoint", &place.db(), &place.text("copy.db")]).fails(1).contains("copy.db"));
}
