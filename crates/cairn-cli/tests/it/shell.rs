//! The shell's commands, through scripts, and the shell itself on a terminal of `script(1)`.

use std::io::Write;
use std::process::{Command, Stdio};

use super::run::{Place, fed};

#[test]
fn definitions_are_described() {
    let place = Place::new();
    place.sql(
        "CREATE TABLE a (id int PRIMARY KEY, name text NOT NULL DEFAULT 'x', n numeric(8,2) CHECK (n > 0)); \
         CREATE TABLE b (a int REFERENCES a (id) ON DELETE SET NULL, UNIQUE (a)); \
         CREATE INDEX a_name ON a (name DESC); CREATE VIEW v AS SELECT id FROM a; CREATE SEQUENCE s START 5",
    );
    let out = fed(
        [place.db().as_str()],
        "\\d a\n\\d b\n\\d v\n\\d s\n\\dt\n\\di\n\\dv\n\\ds\n\\dn\n\\l\n\\d store\n",
    )
    .ok();
    for expected in [
        "Table \"public.a\"",
        " id     | integer      | not null |",
        " n      | numeric(8,2) |",
        "\"a_pkey\" PRIMARY KEY (id)",
        "\"a_name\" btree (name DESC",
        "CHECK (",
        "TABLE \"b\"",
        "FOREIGN KEY (a) REFERENCES a(id) ON DELETE SET NULL",
        "UNIQUE CONSTRAINT, btree (a)",
        "View \"public.v\"",
        "Sequence \"public.s\"",
        " public | a    | table",
        " public | v    | view",
        "test.db",
        "the raw key-value space",
    ] {
        assert!(out.to_lowercase().contains(&expected.to_lowercase()), "{expected} is not in\n{out}");
    }
    let err = fed([place.db().as_str()], "\\d nothing\n").fails(1);
    assert!(err.contains("no relation named nothing"), "{err}");
}

#[test]
fn commands_change_how_results_look() {
    let out = fed(
        [":memory:", "--format", "table"],
        "\\x on\nSELECT 1 AS a, 'b' AS long_name;\n\\x off\n\\format csv\nSELECT 1 AS a;\n\\timing on\nSELECT 2 AS a;\n",
    )
    .ok();
    assert!(
        out.starts_with("-[ RECORD 1 ]--------\na         | 1\nlong_name | b\n\na\n1\na\n2\nTime: "),
        "{out}"
    );
}

#[test]
fn files_are_read_and_written() {
    let place = Place::new();
    let inner = place.write("inner.sql", "INSERT INTO t VALUES (3);\n");
    let data = place.write("data.csv", "1\n2\n");
    let (results, copy) = (place.text("results.csv"), place.text("copy.csv"));
    let script = format!(
        "CREATE TABLE t (a int);\n\\copy t from '{data}' with (format csv)\n\\i {inner}\n\\o {results}\n\
         SELECT sum(a) AS s FROM t;\n\\o\n\\copy (select a from t order by a) to '{copy}' with (format csv)\n\\echo end\n"
    );
    assert_eq!(fed([":memory:"], script).ok(), "end\n");
    assert_eq!(std::fs::read_to_string(results).unwrap(), "s\n6\n");
    assert_eq!(std::fs::read_to_string(copy).unwrap(), "1\n2\n3\n");
}

#[test]
fn help_and_quit() {
    let out = fed([":memory:"], "\\?\n\\h insert\n\\q\nSELECT 1;\n").ok();
    assert!(out.contains("\\timing") && out.contains("ON CONFLICT") && !out.contains("\n1\n"), "{out}");
    let err = fed([":memory:"], "\\nonsense\n").fails(1);
    assert!(err.contains("there is no command \\nonsense"), "{err}");
}

/// The line editor on a real terminal: a statement over two lines, an error that does not end it, the end.
#[test]
fn the_shell_runs_on_a_terminal() {
    let place = Place::new();
    let cairn = env!("CARGO_BIN_EXE_cairn");
    let child = Command::new("script")
        .args(["-qec", &format!("{cairn} {}", place.db()), "/dev/null"])
        .env("CAIRN_HISTORY", place.path("history"))
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: script(1) is not installed");
        return;
    };
    let mut stdin = child.stdin.take().unwrap();
    let mut out = child.stdout.take().unwrap();
    let (send, receive) = std::sync::mpsc::channel::<Vec<u8>>();
    std::thread::spawn(move || {
        let mut buffer = [0u8; 4096];
        while let Ok(n @ 1..) = std::io::Read::read(&mut out, &mut buffer) {
            if send.send(buffer[..n].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut seen = String::new();
    let mut at = 0;
    // Waits for a text behind the one waited for before.
    let mut wait_for = |text: &str, stdin: &mut dyn Write| loop {
        if let Some(found) = seen[at..].find(text) {
            at += found + text.len();
            return;
        }
        match receive.recv_timeout(std::time::Duration::from_secs(60)) {
            Ok(bytes) => {
                let more = String::from_utf8_lossy(&bytes).into_owned();
                // The editor asks the terminal where its cursor is, and waits for the answer.
                for _ in 0..more.matches("\u{1b}[6n").count() {
                    stdin.write_all(b"\x1b[1;1R").unwrap();
                    stdin.flush().unwrap();
                }
                seen.push_str(&more);
            }
            Err(_) => panic!("{text:?} was not seen in {seen:?}"),
        }
    };
    wait_for("test.db=>", &mut stdin);
    // What is typed before the next prompt stands would be read with the terminal in another mode.
    for (line, answer, prompt) in [
        ("SELECT 40 +\r", "", "test.db->"),
        ("2 AS answer;\r", "(1 row)", "test.db=>"),
        ("SELEC 1;\r", "ERROR:", "test.db=>"),
        ("BEGIN;\r", "BEGIN", "test.db=*>"),
        ("ROLLBACK;\r", "\nROLLBACK", "test.db=>"),
        ("\\dt\r", "No relations.", "test.db=>"),
    ] {
        stdin.write_all(line.as_bytes()).unwrap();
        stdin.flush().unwrap();
        wait_for(answer, &mut stdin);
        wait_for(prompt, &mut stdin);
    }
    stdin.write_all(b"\\q\r").unwrap();
    stdin.flush().unwrap();
    assert!(child.wait().unwrap().success());
    let history = std::fs::read_to_string(place.path("history")).unwrap();
    assert!(history.contains("answer"), "{history}");
}
