//! The commands that begin with a backslash; also in scripts.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::anyhow;
use clap::ValueEnum;

use super::{describe, help};
use crate::failure::{Failure, Outcome};
use crate::format::Format;
use crate::output::{Output, reason};
use crate::progress::Progress;
use crate::script::Runner;

/// Files within files that `\i` goes into.
const INCLUDES_MAX: usize = 32;

/// What happens after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next statement.
    GoOn,
    /// The end.
    Quit,
}

/// Runs one command, such as `\d flights`.
pub(crate) fn run(runner: &mut Runner, line: &str) -> Outcome<Then> {
    let (name, rest) = match line.find(char::is_whitespace) {
        Some(at) => (&line[..at], line[at..].trim()),
        None => (line, ""),
    };
    let name = name.trim_end_matches(';');
    let argument = unquoted(rest.trim_end_matches(';').trim_end());
    match name {
        "\\q" | "\\quit" => return Ok(Then::Quit),
        "\\?" | "\\help" => help::commands(&mut runner.output)?,
        "\\h" => help::statements(&mut runner.output, &argument)?,
        "\\d" | "\\d+" if argument.is_empty() => describe::relations(runner, "tvs")?,
        "\\d" | "\\d+" => describe::relation(runner, &argument)?,
        "\\dt" | "\\dt+" => describe::relations(runner, "t")?,
        "\\dv" | "\\dv+" => describe::relations(runner, "v")?,
        "\\ds" | "\\ds+" => describe::relations(runner, "s")?,
        "\\di" | "\\di+" => describe::indexes(runner)?,
        "\\dn" | "\\dn+" => describe::schemas(runner)?,
        "\\l" | "\\l+" | "\\conninfo" => describe::database(runner)?,
        "\\x" => {
            runner.expanded = switch(runner.expanded, &argument)?;
            say(runner, &format!("Expanded display is {}.", on_or_off(runner.expanded)))?;
        }
        "\\timing" => {
            runner.timing = switch(runner.timing, &argument)?;
            say(runner, &format!("Timing is {}.", on_or_off(runner.timing)))?;
        }
        "\\format" => format(runner, &argument)?,
        "\\echo" => writeln!(runner.output, "{argument}")?,
        "\\i" => include(runner, &argument)?,
        "\\o" => redirect(runner, &argument)?,
        "\\copy" => copy(runner, rest.trim_end_matches(';'))?,
        "\\e" => edit(runner)?,
        _ => return Err(anyhow!("there is no command {name}; \\? lists them").into()),
    }
    runner.output.flush()?;
    Ok(Then::GoOn)
}

fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn switch(now: bool, argument: &str) -> Outcome<bool> {
    match argument.to_ascii_lowercase().as_str() {
        "" => Ok(!now),
        "on" | "true" | "1" => Ok(true),
        "off" | "false" | "0" => Ok(false),
        other => Err(anyhow!("on or off is expected, not {other}").into()),
    }
}

/// A remark for a person; scripts want rows only.
fn say(runner: &mut Runner, text: &str) -> Outcome {
    if runner.interactive {
        writeln!(runner.output, "{text}")?;
    }
    Ok(())
}

fn format(runner: &mut Runner, argument: &str) -> Outcome {
    if !argument.is_empty() {
        runner.format = Format::from_str(argument, true)
            .map_err(|_| anyhow!("there is no format {argument}; table, csv, json, jsonl, markdown, line"))?;
    }
    let name = runner.format.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    say(runner, &format!("Format is {name}."))
}

fn include(runner: &mut Runner, path: &str) -> Outcome {
    if path.is_empty() {
        return Err(anyhow!("\\i needs a file").into());
    }
    if runner.including == INCLUDES_MAX {
        return Err(anyhow!("\\i goes {INCLUDES_MAX} files deep; {path} is too deep").into());
    }
    let file = File::open(path).map_err(|e| anyhow!("cannot read {path}: {}", reason(&e)))?;
    runner.including += 1;
    let outcome = runner.script(&mut BufReader::new(file));
    runner.including -= 1;
    outcome
}

fn redirect(runner: &mut Runner, path: &str) -> Outcome {
    runner.output.flush()?;
    runner.output = if path.is_empty() { Output::stdout() } else { Output::file(Path::new(path))? };
    Ok(())
}

/// `\copy t from 'file' with (…)` and `\copy t to 'file' with (…)`: the file is read and written here, the rows
/// go through COPY FROM STDIN and TO STDOUT.
fn copy(runner: &mut Runner, rest: &str) -> Outcome {
    let usage = || anyhow!("\\copy TABLE|(QUERY) FROM|TO 'FILE'|STDIN|STDOUT [WITH (OPTIONS)]");
    let place = file_in_copy(rest).ok_or_else(usage)?;
    let started = Instant::now();
    if place.from {
        let sql = format!("COPY {} FROM STDIN{}", place.before, place.after);
        if place.file.eq_ignore_ascii_case("stdin") {
            runner.copy_in(&sql, std::io::stdin())?;
        } else {
            let file =
                File::open(&place.file).map_err(|e| anyhow!("cannot read {}: {}", place.file, reason(&e)))?;
            let length = file.metadata().map_or(0, |metadata| metadata.len());
            let progress = Progress::bytes("copying", length);
            let outcome = runner.copy_in(&sql, progress.reader(BufReader::with_capacity(1 << 20, file)));
            progress.finish();
            outcome?;
        }
    } else {
        let sql = format!("COPY {} TO STDOUT{}", place.before, place.after);
        if place.file.eq_ignore_ascii_case("stdout") {
            runner.statement(&sql)?;
        } else {
            let mut file = Output::file(Path::new(&place.file))?;
            let rows =
                runner.session.copy_out(&sql, file.clone()).map_err(|e| Failure::statement(e, &sql))?;
            file.flush()?;
            runner.tag(&format!("COPY {rows}"))?;
        }
    }
    runner.time(started)
}

/// The parts of a `\copy`.
struct CopyFile<'t> {
    before: &'t str,
    from: bool,
    file: String,
    after: String,
}

/// Finds FROM or TO outside of parentheses and quotes, and the file behind it.
fn file_in_copy(text: &str) -> Option<CopyFile<'_>> {
    let mut depth = 0usize;
    let mut quote: Option<char> = None;
    let mut at_word_start = true;
    for (at, c) in text.char_indices() {
        if at_word_start && depth == 0 && quote.is_none() {
            for (word, from) in [("from", true), ("to", false)] {
                let end = at + word.len();
                let is_word = text.get(at..end).is_some_and(|found| found.eq_ignore_ascii_case(word))
                    && text[end..].starts_with(char::is_whitespace);
                if is_word && at > 0 {
                    let (file, after) = first_argument(text[end..].trim_start())?;
                    let after = if after.is_empty() { String::new() } else { format!(" {after}") };
                    return Some(CopyFile { before: text[..at].trim(), from, file, after });
                }
            }
        }
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        at_word_start = c.is_whitespace() || c == ')';
    }
    None
}

/// The first word or quoted text, and what follows.
fn first_argument(text: &str) -> Option<(String, &str)> {
    if let Some(inner) = text.strip_prefix('\'') {
        let end = inner.find('\'')?;
        return Some((inner[..end].to_owned(), inner[end + 1..].trim()));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), text[end..].trim()))
}

/// Opens `$VISUAL` or `$EDITOR` and runs what was written.
fn edit(runner: &mut Runner) -> Outcome {
    let editor = ["VISUAL", "EDITOR"].iter().find_map(std::env::var_os).unwrap_or_else(|| "vi".into());
    let path = std::env::temp_dir().join(format!("cairn-edit-{}.sql", std::process::id()));
    std::fs::write(&path, "")?;
    let status = std::process::Command::new(&editor).arg(&path).status();
    let mut text = String::new();
    let read = File::open(&path).and_then(|mut file| file.read_to_string(&mut text));
    // Whatever happened, the file has done its work.
    let removed = std::fs::remove_file(&path);
    let status = status.map_err(|e| anyhow!("cannot run {}: {}", editor.to_string_lossy(), reason(&e)))?;
    if !status.success() {
        return Err(anyhow!("{} ended with {status}", editor.to_string_lossy()).into());
    }
    read?;
    removed?;
    writeln!(runner.output, "{}", text.trim_end())?;
    runner.script(&mut text.as_bytes())
}

/// The argument without its quotes, where it is all in single quotes.
fn unquoted(argument: &str) -> String {
    match argument.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\'')) {
        Some(inner) => inner.replace("''", "'"),
        None => argument.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    //! Taking `\copy` apart.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn copy_finds_the_file() {
        let place = file_in_copy("t (a, b) from 'my file.csv' with (format csv)").unwrap();
        assert_eq!((place.before, place.from, place.file.as_str()), ("t (a, b)", true, "my file.csv"));
        assert_eq!(place.after, " with (format csv)");
        let place = file_in_copy("(SELECT 'to x' FROM t) TO out.csv").unwrap();
        assert_eq!(
            (place.before, place.from, place.file.as_str()),
            ("(SELECT 'to x' FROM t)", false, "out.csv")
        );
        assert!(file_in_copy("t").is_none() && file_in_copy("t from").is_none());
    }

    #[test]
    fn switches_turn_without_argument() {
        assert!(switch(false, "").unwrap() && !switch(true, "OFF").unwrap() && switch(false, "x").is_err());
    }
}
