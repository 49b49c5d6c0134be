//! Statements from the command line, from files and from standard input; formats; errors.

use std::io::{BufRead, BufReader, Write};

use super::run::{Place, cairn, command, fed, spawn};

#[test]
fn sql_on_the_command_line_prints_csv_into_a_pipe() {
    assert_eq!(
        cairn([":memory:", "SELECT 1 AS one, 'a,b' AS text, NULL AS none"]).ok(),
        "one,text,none\n1,\"a,b\",\n"
    );
    assert_eq!(fed(Vec::<&str>::new(), "SELECT 1 AS x; SELECT 2 AS y").ok(), "x\n1\ny\n2\n");
}

#[test]
fn a_database_is_made_and_kept() {
    let place = Place::new();
    assert_eq!(
        place.sql("CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'Ann')"),
        ""
    );
    assert_eq!(place.sql("SELECT * FROM t"), "id,name\n1,Ann\n");
}

#[test]
fn every_format_prints() {
    let sql = "SELECT 1 AS n, 'x' AS s UNION ALL SELECT 2, NULL ORDER BY 1";
    for (format, expected) in [
        ("table", " n |  s\n---+------\n 1 | x\n 2 | NULL\n(2 rows)\n"),
        ("csv", "n,s\n1,x\n2,\n"),
        ("json", "[{\"n\":1,\"s\":\"x\"},\n{\"n\":2,\"s\":null}]\n"),
        ("jsonl", "{\"n\":1,\"s\":\"x\"}\n{\"n\":2,\"s\":null}\n"),
        ("markdown", "| n | s |\n|---:|----|\n| 1 | x |\n| 2 | NULL |\n"),
        ("line", "n = 1\ns = x\n\nn = 2\ns = NULL\n"),
    ] {
        assert_eq!(cairn(["--format", format, ":memory:", sql]).ok(), expected, "{format}");
    }
}

#[test]
fn an_error_shows_the_place_and_ends_with_one() {
    let ran = cairn([":memory:", "SELECT 1 AS a; SELECT nope FROM (SELECT 1) AS t; SELECT 2 AS b"]);
    assert_eq!(ran.out, "a\n1\n", "what came before is printed, what comes after is not run");
    let err = ran.fails(1);
    assert!(err.contains("ERROR:  column \"nope\" does not exist\n"), "{err}");
    assert!(err.contains("LINE 1: SELECT nope FROM (SELECT 1) AS t\n               ^\n"), "{err}");
}

#[test]
fn keep_going_runs_the_rest_and_still_ends_with_one() {
    let script = "SELECT 1 AS a;\nSELEC;\nSELECT 2 AS b;\n";
    for ran in [fed([":memory:"], script), cairn([":memory:", "--keep-going", script])] {
        assert_eq!(ran.out, "a\n1\nb\n2\n");
        assert!(ran.fails(1).contains("syntax error"));
    }
    assert_eq!(fed([":memory:", "-f", "-"], script).out, "a\n1\n");
}

#[test]
fn a_violated_constraint_has_a_detail() {
    let place = Place::new();
    place.sql("CREATE TABLE t (id int PRIMARY KEY)");
    let err = cairn([place.db().as_str(), "INSERT INTO t VALUES (1), (1)"]).fails(1);
    assert!(err.contains("ERROR:  duplicate key value violates unique constraint \"t_pkey\"\n"), "{err}");
    assert!(err.contains("DETAIL:  Key (id)=(1) already exists.\n"), "{err}");
    assert_eq!(place.sql("SELECT count(*) AS n FROM t"), "n\n0\n");
}

#[test]
fn wrong_usage_is_two() {
    assert!(cairn(["--format", "xml"]).fails(2).contains("xml"));
    assert!(cairn(["import"]).fails(2).contains("DB"));
    let err = cairn(["verfy", "x"]).fails(2);
    assert!(err.contains("did you mean 'verify'"), "{err}");
    assert!(!std::path::Path::new("verfy").exists());
    assert!(cairn(["--help"]).ok().contains("import"));
    assert!(cairn(["--version"]).ok().starts_with("cairn "));
}

#[test]
fn a_file_of_statements_runs_with_its_data_and_commands() {
    let place = Place::new();
    let script = place.write(
        "script.sql",
        "CREATE TABLE t (a int, b text);\nCOPY t FROM STDIN WITH (FORMAT csv);\n1,one\n2,\"semi;colon\"\n\\.\n\
         \\format line\nSELECT * FROM t\n  ORDER BY a DESC;\n\\echo done\n",
    );
    let out = cairn([place.db().as_str(), "-f", &script]).ok();
    assert_eq!(out, "a = 2\nb = semi;colon\n\na = 1\nb = one\ndone\n");
    let err = cairn([place.db().as_str(), "-f", &place.text("missing.sql")]).fails(1);
    assert!(err.contains("cannot read") && err.contains("missing.sql"), "{err}");
}

#[test]
fn a_script_that_is_missing_makes_no_database() {
    let place = Place::new();
    cairn([place.db().as_str(), "-f", &place.text("missing.sql")]).fails(1);
    assert!(!place.path("test.db").exists());
}

#[test]
fn copy_from_standard_input_and_to_standard_output() {
    let place = Place::new();
    place.sql("CREATE TABLE t (a int, b text)");
    fed([place.db().as_str(), "COPY t FROM STDIN WITH (FORMAT csv, HEADER)"], "a,b\n1,x\n2,\n").ok();
    assert_eq!(place.sql("COPY (SELECT * FROM t ORDER BY a) TO STDOUT WITH (FORMAT csv)"), "1,x\n2,\n");
    let err = fed([place.db().as_str(), "COPY t FROM STDIN WITH (FORMAT csv)"], "3,y\nfour,z\n").fails(1);
    assert!(err.contains("invalid input syntax for type integer: \"four\""), "{err}");
    assert!(err.contains("line 2"), "{err}");
    assert_eq!(place.sql("SELECT count(*) AS n FROM t"), "n\n2\n", "nothing of a failed COPY is kept");
}

#[test]
fn invalid_utf8_names_its_line() {
    let err = fed([":memory:"], b"SELECT 1;\nSELECT '\xff';\n").fails(1);
    assert!(err.contains("invalid UTF-8") && err.contains("line 2"), "{err}");
}

/// A program at the other end of two pipes gets each answer before it asks again.
#[test]
fn answers_come_before_the_next_statement_is_read() {
    let mut child = spawn(command().arg(":memory:"));
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for number in 0..5 {
        writeln!(stdin, "SELECT {number}\n AS n;").unwrap();
        stdin.flush().unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "n");
        assert_eq!(lines.next().unwrap().unwrap(), number.to_string());
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = spawn(command().args([":memory:", "SELECT * FROM generate_series(1, 1000000)"]));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    drop(lines);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}

#[test]
fn transactions_span_statements() {
    let place = Place::new();
    place.sql("CREATE TABLE t (a int)");
    place.sql("BEGIN; INSERT INTO t VALUES (1); ROLLBACK; BEGIN; INSERT INTO t VALUES (2); COMMIT");
    cairn([place.db().as_str(), "BEGIN; INSERT INTO t VALUES (3); SELECT 1 / 0; COMMIT"]).fails(1);
    assert_eq!(place.sql("SELECT a FROM t"), "a\n2\n", "an open block ends with the run");
}

#[test]
fn text_that_would_end_other_processes_is_refused() {
    for sql in [
        format!("SELECT {}1", "1+".repeat(200_000)),
        format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(50_000)),
    ] {
        let err = fed([":memory:"], &sql).fails(1);
        assert!(err.starts_with("ERROR:  "), "{}", &err[..err.len().min(300)]);
    }
}

#[test]
fn the_raw_keys_are_a_table() {
    let place = Place::new();
    for (key, value) in [("user:1", "Ann"), ("user:2", "Bob"), ("zone", "x")] {
        cairn(["kv", "put", &place.db(), key, value]).ok();
    }
    let sql = "SELECT key, value FROM store WHERE key LIKE 'user:%' ORDER BY value DESC LIMIT 10";
    assert_eq!(place.sql(sql), "key,value\nuser:2,Bob\nuser:1,Ann\n");
}

#[test]
fn files_are_queried_in_place_also_from_memory() {
    let place = Place::new();
    let file = place.write("trips.csv", "id,place\n1,Oslo\n2,Rome\n");
    let sql = format!("SELECT place FROM '{file}' WHERE id = 2");
    assert_eq!(cairn([":memory:", &sql]).ok(), "place\nRome\n");
    assert_eq!(cairn([place.db().as_str(), &sql]).ok(), "place\nRome\n");
    assert!(cairn([":memory:", "SELECT * FROM 'missing.csv'"]).fails(1).contains("missing.csv"));
}
