//! A session of PostgreSQL through `psql`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::interleave::Session;
use crate::slt::Outcome;

/// Between the cells of a row; stands in none.
const CELL: char = '\u{1f}';
/// The line after the result of each statement begins so.
const END: &str = "\u{1e}end";
/// Shows NULL.
const NULL: &str = "null=\u{1d}";
const NULL_CELL: &str = "\u{1d}";

fn gives_rows(sql: &str) -> bool {
    let word = sql.split([' ', '(', '\n']).find(|word| !word.is_empty()).unwrap_or_default();
    ["select", "with", "values"].iter().any(|own| word.eq_ignore_ascii_case(own))
        || sql.contains(" RETURNING ")
}

/// A session of `psql`.
pub struct Psql {
    child: Child,
    statements: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Psql {
    /// Starts it: on the server of `conninfo`, or of psql's variables.
    ///
    /// # Errors
    /// Where there is no `psql`; that there is no server shows at the first statement.
    pub fn start(conninfo: Option<&str>) -> std::io::Result<Psql> {
        let mut child = Command::new("psql")
            .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--pset", NULL])
            .args(["--field-separator", &CELL.to_string()])
            .args(["--dbname", conninfo.unwrap_or("")].into_iter().filter(|_| conninfo.is_some()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let statements = child.stdin.take().ok_or_else(pipe)?;
        let lines = BufReader::new(child.stdout.take().ok_or_else(pipe)?);
        Ok(Psql { child, statements, lines })
    }

    fn ask(&mut self, sql: &str) -> std::io::Result<Outcome> {
        writeln!(self.statements, "{sql};\n\\echo {END} :SQLSTATE :ROW_COUNT :LAST_ERROR_MESSAGE")?;
        let mut rows = Vec::new();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end_matches('\n');
            let Some(end) = line.strip_prefix(END) else {
                let cell = |cell: &str| (cell != NULL_CELL).then(|| cell.to_owned());
                rows.push(line.split(CELL).map(cell).collect());
                continue;
            };
            let mut words = end.splitn(4, ' ').skip(1);
            let (state, count) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            return Ok(match state {
                "00000" if gives_rows(sql) => Outcome::Rows(rows),
                "00000" => Outcome::Command(count.parse().unwrap_or(0)),
                state => Outcome::Error(state.to_owned(), words.next().unwrap_or_default().to_owned()),
            });
        }
    }
}

impl Session for Psql {
    fn execute(&mut self, sql: &str) -> Outcome {
        self.ask(sql).unwrap_or_else(|error| Outcome::Error("08006".to_owned(), error.to_string()))
    }
}

impl Drop for Psql {
    fn drop(&mut self) {
        // Best effort: without its input it ends anyhow.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
