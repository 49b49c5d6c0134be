//! Statements from a text: split, run one by one, printed.
//!
//! Lines are read and collected until a statement is complete; then it is run and its output flushed before
//! the next line is read, so that a program can talk to `cairn` through two pipes. A line that begins with a
//! backslash where a statement could begin is a command of the shell. After `COPY … FROM STDIN` the data
//! follows in the script up to a line `\.`, as in psql.

use std::io::{BufRead, Read, Write};
use std::time::Instant;

use anyhow::anyhow;
use cairndb::{Database, Outcome as Ran, Rows, Session, SessionStatus};

use crate::failure::{Failure, Outcome};
use crate::format::Format;
use crate::output::Output;
use crate::shell::meta::{self, Then};

/// Up to this many collected bytes every line with a semicolon is looked at anew; beyond, only lines that end
/// in one, so that a long statement is not read over and over.
const EAGER_BYTES: usize = 64 * 1024;

/// What runs statements and prints what they give.
pub(crate) struct Runner {
    pub(crate) db: Database,
    pub(crate) session: Session,
    pub(crate) output: Output,
    pub(crate) format: Format,
    pub(crate) expanded: bool,
    pub(crate) timing: bool,
    /// Whether a person types the statements.
    pub(crate) interactive: bool,
    /// Whether to go on after a failed statement.
    pub(crate) keep_going: bool,
    /// Files that `\i` is in, innermost last.
    pub(crate) including: usize,
}

impl Runner {
    /// A runner on standard output; `format` or what suits it.
    pub(crate) fn new(db: Database, format: Option<Format>) -> Runner {
        let output = Output::stdout();
        let format = format.unwrap_or(if output.is_terminal() { Format::Table } else { Format::Csv });
        Runner {
            session: db.session(),
            db,
            output,
            format,
            expanded: false,
            timing: false,
            interactive: false,
            keep_going: false,
            including: 0,
        }
    }

    /// Runs the statements that `input` yields.
    ///
    /// # Errors
    /// The first failure, unless `keep_going`; then [`Failure::Told`] at the end if anything failed.
    pub(crate) fn script(&mut self, input: &mut dyn BufRead) -> Outcome {
        let mut script = Script::new(input);
        let mut failed = false;
        while let Some(piece) = script.next_piece()? {
            let outcome = match piece {
                Piece::Meta(line) => match meta::run(self, &line) {
                    Ok(Then::Quit) => return if failed { Err(Failure::Told) } else { Ok(()) },
                    Ok(Then::GoOn) => Ok(()),
                    Err(failure) => Err(failure),
                },
                Piece::Statement(sql) if is_copy_from_stdin(&sql) => {
                    let data = script.copy_data()?;
                    self.copy_in(&sql, std::io::Cursor::new(data))
                }
                Piece::Statement(sql) => self.statement(&sql),
            };
            self.output.flush()?;
            match outcome {
                Ok(()) => {}
                Err(Failure::BrokenPipe) => return Err(Failure::BrokenPipe),
                Err(failure) if self.keep_going => {
                    failure.tell();
                    failed = true;
                }
                Err(failure) => return Err(failure),
            }
        }
        if failed { Err(Failure::Told) } else { Ok(()) }
    }

    /// Runs one statement and prints what it gives.
    pub(crate) fn statement(&mut self, sql: &str) -> Outcome {
        let started = Instant::now();
        if is_copy_to_stdout(sql) {
            return self.copy_out(sql);
        }
        let ran = self.session.run(sql);
        for notice in self.session.take_notices() {
            eprintln!("NOTICE:  {notice}");
        }
        match ran.map_err(|error| Failure::statement(error, sql))? {
            Ran::Rows(rows) => self.print(rows, sql)?,
            Ran::Command { tag, .. } => self.tag(&tag)?,
        }
        self.time(started)?;
        for message in self.session.take_notifications() {
            let payload = match &*message.payload {
                "" => String::new(),
                payload => format!(" with payload \"{payload}\""),
            };
            let (channel, pid) = (message.channel, message.process_id);
            self.output.flush()?;
            eprintln!(
                "Asynchronous notification \"{channel}\"{payload} received from server process with PID {pid}."
            );
        }
        Ok(())
    }

    /// `COPY … FROM STDIN` with its data.
    pub(crate) fn copy_in(&mut self, sql: &str, data: impl Read + Send + 'static) -> Outcome {
        let rows = self.session.copy_in(sql, data).map_err(|error| Failure::statement(error, sql))?;
        self.tag(&format!("COPY {rows}"))
    }

    /// `COPY … TO STDOUT`.
    fn copy_out(&mut self, sql: &str) -> Outcome {
        let copied = self.session.copy_out(sql, self.output.clone());
        if self.output.is_broken() {
            return Err(Failure::BrokenPipe);
        }
        copied.map_err(|error| Failure::statement(error, sql))?;
        self.output.flush()?;
        Ok(())
    }

    fn print(&mut self, mut rows: Rows, sql: &str) -> Outcome {
        let columns = rows.columns().to_vec();
        if columns.is_empty() {
            return Ok(());
        }
        let mut writer = if self.expanded { self.format.expanded_writer() } else { self.format.writer() };
        writer.begin(&columns, &mut self.output)?;
        loop {
            match rows.next_batch() {
                Ok(None) => break,
                Ok(Some(batch)) => {
                    writer.batch(&columns, &batch, &mut self.output)?;
                    if batch.num_rows() > 0 && !self.format.is_for_people() {
                        self.output.flush()?;
                    }
                }
                Err(error) => {
                    self.output.flush()?;
                    return Err(Failure::statement(error, sql));
                }
            }
        }
        writer.end(&columns, &mut self.output)?;
        self.output.flush()?;
        let tag = rows.tag();
        if !tag.starts_with("SELECT") { self.tag(&tag) } else { Ok(()) }
    }

    /// The command tag, where people read along; elsewhere standard output has rows only.
    pub(crate) fn tag(&mut self, tag: &str) -> Outcome {
        if self.output.is_terminal() && self.format.is_for_people() && !tag.is_empty() {
            writeln!(self.output, "{tag}")?;
            self.output.flush()?;
        }
        Ok(())
    }

    /// `\timing`'s line.
    pub(crate) fn time(&mut self, started: Instant) -> Outcome {
        if self.timing {
            writeln!(self.output, "Time: {:.3} ms", started.elapsed().as_secs_f64() * 1e3)?;
        }
        self.output.flush()?;
        Ok(())
    }

    /// Says an error of the shell's session and goes on.
    pub(crate) fn tell(&self, failure: &Failure) {
        failure.tell();
        // The first error of the block; those after it only repeat 25P02, which says the same.
        if self.interactive
            && self.session.status() == SessionStatus::Failed
            && let Failure::Database { error, .. } = failure
            && error.sqlstate() != "25P02"
        {
            eprintln!("NOTE:  the transaction block is failed; ROLLBACK ends it.");
        }
    }
}

/// Whether statements in `text` are complete: what the shell asks before it runs a line.
pub(crate) fn is_complete(text: &str) -> bool {
    let trimmed = text.trim();
    trimmed.is_empty() || trimmed.starts_with('\\') || cairndb::split_statements(text).rest.is_empty()
}

pub(crate) fn is_copy_from_stdin(sql: &str) -> bool {
    is_copy(sql, "FROM", "STDIN")
}

fn is_copy_to_stdout(sql: &str) -> bool {
    is_copy(sql, "TO", "STDOUT")
}

/// Whether `sql` is `COPY … <direction> <place> …`, with the two words outside of parentheses and quotes.
fn is_copy(sql: &str, direction: &str, place: &str) -> bool {
    let words = top_level_words(sql);
    words.first().is_some_and(|word| word.eq_ignore_ascii_case("COPY"))
        && words
            .windows(2)
            .any(|pair| pair[0].eq_ignore_ascii_case(direction) && pair[1].eq_ignore_ascii_case(place))
}

/// The words outside of parentheses and quotes; enough for a COPY.
fn top_level_words(sql: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut depth = 0usize;
    let mut quote: Option<char> = None;
    let mut start: Option<usize> = None;
    for (at, c) in sql.char_indices() {
        let in_word = quote.is_none() && depth == 0 && (c.is_alphanumeric() || c == '_');
        match (in_word, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push(&sql[from..at]);
                start = None;
            }
            _ => {}
        }
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        // A long statement that does not begin with COPY is none.
        if words.len() == 1 && !words[0].eq_ignore_ascii_case("COPY") {
            return words;
        }
    }
    if let Some(from) = start {
        words.push(&sql[from..]);
    }
    words
}

/// A statement or a command of the shell.
enum Piece {
    Statement(String),
    Meta(String),
}

/// Takes statements out of lines.
struct Script<'i> {
    input: &'i mut dyn BufRead,
    line: u64,
    collected: String,
    ready: std::collections::VecDeque<String>,
    ended: bool,
}

impl<'i> Script<'i> {
    fn new(input: &'i mut dyn BufRead) -> Script<'i> {
        Script { input, line: 0, collected: String::new(), ready: Default::default(), ended: false }
    }

    /// The next statement, as soon as its semicolon has been read; the last one needs none.
    fn next_piece(&mut self) -> Outcome<Option<Piece>> {
        loop {
            if let Some(statement) = self.ready.pop_front() {
                return Ok(Some(Piece::Statement(statement)));
            }
            if self.ended {
                return Ok(None);
            }
            let Some(line) = self.read_line()? else {
                self.ended = true;
                let split = cairndb::split_statements(&self.collected);
                self.ready.extend(split.statements.iter().map(|s| (*s).to_owned()));
                if !split.rest.is_empty() {
                    self.ready.push_back(split.rest.to_owned());
                }
                continue;
            };
            let begins = self.collected.is_empty();
            if begins && line.trim_start().starts_with('\\') {
                return Ok(Some(Piece::Meta(line.trim().to_owned())));
            }
            self.collected.push_str(&line);
            let look = match self.collected.len() {
                0..=EAGER_BYTES => line.contains(';'),
                _ => line.trim_end().ends_with(';'),
            };
            if look || begins {
                self.take_complete();
            }
        }
    }

    /// Moves the complete statements to `ready`, but for those behind a COPY whose data comes first.
    fn take_complete(&mut self) {
        let split = cairndb::split_statements(&self.collected);
        self.ready.extend(split.statements.iter().map(|s| (*s).to_owned()));
        self.collected = split.rest.to_owned();
        if !self.collected.is_empty() {
            self.collected.push('\n');
        }
    }

    /// The lines up to `\.` or the end.
    fn copy_data(&mut self) -> Outcome<Vec<u8>> {
        let mut data = Vec::new();
        loop {
            let start = data.len();
            if self.input.read_until(b'\n', &mut data)? == 0 {
                return Ok(data);
            }
            self.line += 1;
            if data[start..].trim_ascii_end() == b"\\." {
                data.truncate(start);
                return Ok(data);
            }
        }
    }

    fn read_line(&mut self) -> Outcome<Option<String>> {
        let mut bytes = Vec::new();
        if self.input.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.line += 1;
        if self.line == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        match String::from_utf8(bytes) {
            Ok(line) => Ok(Some(line)),
            Err(error) => {
                let at = error.utf8_error().valid_up_to() + 1;
                Err(anyhow!("invalid UTF-8 in the script, line {}, byte {at} of the line", self.line).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Where a statement ends, and which one is a COPY.
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn pieces(text: &str) -> Vec<String> {
        let mut input = std::io::Cursor::new(text.as_bytes().to_vec());
        let mut script = Script::new(&mut input);
        let mut all = Vec::new();
        while let Some(piece) = script.next_piece().unwrap() {
            all.push(match piece {
                Piece::Statement(sql) => sql,
                Piece::Meta(line) => line,
            });
        }
        all
    }

    #[test]
    fn statements_span_lines_and_the_last_needs_no_semicolon() {
        assert_eq!(
            pieces("SELECT 1;SELECT\n 2;\n\\dt\nSELECT ';'"),
            ["SELECT 1", "SELECT\n 2", "\\dt", "SELECT ';'"]
        );
        assert_eq!(pieces("-- only a comment\n\n"), Vec::<String>::new());
    }

    #[test]
    fn copy_is_told_by_words_outside_of_parentheses() {
        assert!(is_copy_from_stdin("copy t (a, b) from stdin with (format csv)"));
        assert!(is_copy_to_stdout("COPY (SELECT 'FROM STDIN' FROM t) TO STDOUT"));
        assert!(!is_copy_from_stdin("COPY (SELECT 1 FROM stdin) TO 'x'"));
        assert!(!is_copy_from_stdin("SELECT 1 FROM stdin"));
    }

    #[test]
    fn complete_is_what_the_shell_may_run() {
        assert!(is_complete("SELECT 1;") && is_complete("") && is_complete("\\dt"));
        assert!(!is_complete("SELECT 1") && !is_complete("SELECT ';") && !is_complete("SELECT 1; SELECT"));
    }
}
