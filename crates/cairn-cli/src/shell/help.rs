//! What `\?` and `\h` say.

use std::io::Write;

use super::meta::Then;
use crate::failure::Outcome;
use crate::output::Output;

/// The shell's commands and what they do; one line each.
pub(crate) const COMMANDS: &[(&str, &str)] = &[
    ("\\?", "this list"),
    ("\\h [STATEMENT]", "the form of a statement"),
    ("\\q", "quit"),
    ("\\d [NAME]", "tables, views and sequences; or one of them"),
    ("\\dt", "tables"),
    ("\\di", "indexes"),
    ("\\dv", "views"),
    ("\\ds", "sequences"),
    ("\\dn", "schemas"),
    ("\\l", "the open database"),
    ("\\x [on|off]", "a value per line"),
    ("\\timing [on|off]", "how long each statement takes"),
    ("\\format [FORMAT]", "table, csv, json, jsonl, markdown or line"),
    ("\\i FILE", "run the statements of a file"),
    ("\\o [FILE]", "write results to a file; without FILE to the terminal again"),
    ("\\copy …", "COPY, from or to a file: \\copy flights from 'flights.csv' with (format csv, header)"),
    ("\\e", "write a statement in $EDITOR and run it"),
    ("\\echo TEXT", "print a text"),
];

/// The forms of the most used statements.
const STATEMENTS: &[(&str, &str)] = &[
    (
        "SELECT",
        "SELECT … FROM t [JOIN u ON …] [WHERE …] [GROUP BY …] [HAVING …] [ORDER BY …] [LIMIT n] [OFFSET n]",
    ),
    (
        "INSERT",
        "INSERT INTO t [(columns)] VALUES (…), … | SELECT …\n  [ON CONFLICT [(columns)] DO NOTHING | DO UPDATE SET …] [RETURNING …]",
    ),
    ("UPDATE", "UPDATE t SET column = value, … [FROM …] [WHERE …] [RETURNING …]"),
    ("DELETE", "DELETE FROM t [USING …] [WHERE …] [RETURNING …]"),
    (
        "CREATE TABLE",
        "CREATE TABLE [IF NOT EXISTS] t (column type [PRIMARY KEY] [NOT NULL] [UNIQUE] [DEFAULT value]\n  [CHECK (…)] [REFERENCES u (column)] [GENERATED ALWAYS AS IDENTITY], …, [constraints])",
    ),
    ("CREATE INDEX", "CREATE [UNIQUE] INDEX [IF NOT EXISTS] name ON t (column [DESC], …)"),
    ("CREATE VIEW", "CREATE [OR REPLACE] VIEW v AS SELECT …"),
    (
        "ALTER TABLE",
        "ALTER TABLE t ADD COLUMN …, DROP COLUMN c, RENAME TO u, RENAME COLUMN c TO d,\n  ALTER COLUMN c SET DEFAULT … | DROP DEFAULT | SET NOT NULL | DROP NOT NULL | TYPE …, ADD CONSTRAINT …",
    ),
    ("DROP", "DROP TABLE | VIEW | INDEX | SEQUENCE | SCHEMA [IF EXISTS] name, … [CASCADE | RESTRICT]"),
    ("TRUNCATE", "TRUNCATE t, … [RESTART IDENTITY] [CASCADE]"),
    (
        "COPY",
        "COPY t [(columns)] FROM 'file' | STDIN [WITH (FORMAT csv | json | parquet, HEADER, DELIMITER ',', NULL '')]\n  COPY t | (SELECT …) TO 'file' | STDOUT [WITH (…)]",
    ),
    ("BEGIN", "BEGIN [ISOLATION LEVEL REPEATABLE READ | SERIALIZABLE] [READ ONLY]; … COMMIT | ROLLBACK"),
    ("SAVEPOINT", "SAVEPOINT s; … ROLLBACK TO s | RELEASE s"),
    ("EXPLAIN", "EXPLAIN [ANALYZE] statement"),
    ("PREPARE", "PREPARE p [(types)] AS statement with $1, $2 …; EXECUTE p (values); DEALLOCATE p"),
    ("SET", "SET name = value; SHOW name | ALL; RESET name"),
];

/// `\?`.
pub(crate) fn commands(out: &mut Output) -> Outcome {
    for (command, what) in COMMANDS {
        writeln!(out, "  {command:<18}{what}")?;
    }
    writeln!(out, "\nA statement ends with a semicolon and may take several lines. Tab completes.")?;
    Ok(())
}

/// `\h`.
pub(crate) fn statements(out: &mut Output, wanted: &str) -> Outcome {
    let wanted = wanted.trim_end_matches(';').trim().to_ascii_uppercase();
    let mut any = false;
    for (name, form) in STATEMENTS {
        if wanted.is_empty() || name.starts_with(&wanted) || wanted.starts_with(name) {
            any = true;
            writeln!(out, "{name}\n  {form}")?;
        }
    }
    if !any {
        writeln!(out, "No help for {wanted}. \\h lists the statements.")?;
    }
    Ok(())
}

/// Whether this is one of the words that people try first, without backslash or semicolon.
pub(crate) fn is_plain_word(text: &str) -> bool {
    matches!(plain(text).as_str(), "quit" | "exit" | "help")
}

/// Does what such a word asks for; `None` for anything else.
pub(crate) fn plain_word(text: &str) -> Option<Then> {
    match plain(text).as_str() {
        "quit" | "exit" => Some(Then::Quit),
        "help" => {
            println!("\\? lists the shell's commands, \\h the statements, \\q quits.");
            Some(Then::GoOn)
        }
        _ => None,
    }
}

fn plain(text: &str) -> String {
    text.trim().trim_end_matches(';').to_ascii_lowercase()
}
