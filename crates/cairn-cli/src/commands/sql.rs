//! `cairn [DB] [SQL]`: runs statements, or a shell.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal};
use std::path::Path;

use anyhow::anyhow;

use crate::arguments::{MEMORY, Run};
use crate::failure::{Failure, Outcome};
use crate::output::reason;
use crate::script::Runner;
use crate::shell;

/// The subcommands, for the guess at a slip of the finger.
const SUBCOMMANDS: [&str; 7] = ["import", "export", "kv", "verify", "stats", "compact", "checkpoint"];

/// Runs statements from the command line, a file or standard input, or a shell on a terminal.
pub(crate) fn run(run: &Run) -> Outcome {
    let path = run.database.as_deref().unwrap_or(Path::new(MEMORY));
    refuse_slip(path)?;
    // A script that is not there must not leave a new database behind.
    let file = match &run.file {
        Some(path) if path != Path::new("-") => Some(open_script(path)?),
        _ => None,
    };
    let mut runner = Runner::new(super::open(path)?, run.format);
    runner.keep_going = run.keep_going;
    let outcome = if let Some(sql) = &run.sql {
        from_argument(&mut runner, sql)
    } else if let Some(file) = file {
        runner.script(&mut BufReader::new(file))
    } else if run.file.is_none() && io::stdin().is_terminal() {
        shell::run(&mut runner, path)
    } else {
        // As psql and sqlite3 do: whoever talks to `cairn` through pipes goes on after an error.
        runner.keep_going |= run.file.is_none();
        runner.script(&mut io::stdin().lock())
    };
    finish(runner, outcome)
}

/// Statements of the command line; the data of a `COPY … FROM STDIN` among them is standard input.
fn from_argument(runner: &mut Runner, sql: &str) -> Outcome {
    let split = cairndb::split_statements(sql);
    let only = split.statements.first().copied().unwrap_or(split.rest);
    let is_one = split.statements.len() + usize::from(!split.rest.is_empty()) == 1;
    if is_one && crate::script::is_copy_from_stdin(only) {
        return runner.copy_in(only, io::stdin());
    }
    runner.script(&mut sql.as_bytes())
}

fn open_script(path: &Path) -> Outcome<File> {
    File::open(path).map_err(|error| anyhow!("cannot read {}: {}", path.display(), reason(&error)).into())
}

/// Closes the database; what it then finds it cannot write is an error too.
fn finish(runner: Runner, outcome: Outcome) -> Outcome {
    let db = runner.db.clone();
    drop(runner);
    let closed = db.close();
    outcome?;
    Ok(closed?)
}

/// `cairn verfy x.db` would create a database called `verfy`.
fn refuse_slip(path: &Path) -> Outcome {
    let Some(name) = path.to_str() else { return Ok(()) };
    if path.exists() {
        return Ok(());
    }
    match SUBCOMMANDS.iter().find(|command| command.len() > 3 && distance(command, name) == 1) {
        None => Ok(()),
        Some(command) => Err(Failure::Usage(format!(
            "there is no subcommand '{name}'; did you mean '{command}'? A database of that name is './{name}'"
        ))),
    }
}

/// Edits (insert, delete, replace, swap of neighbours) between two words, told up to 1 only.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let same = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    match (a.len(), b.len()) {
        (0, 0) => 0,
        (n, m)
            if n == m
                && (a[1..] == b[1..] || (n > 1 && a[0] == b[1] && a[1] == b[0] && a[2..] == b[2..])) =>
        {
            1
        }
        (n, m) if n == m + 1 && a[1..] == *b => 1,
        (n, m) if m == n + 1 && b[1..] == *a => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    //! Slips are told from names.

    use super::distance;

    #[test]
    fn one_edit_is_a_slip() {
        for word in ["verfy", "veriffy", "vreify", "veryfy"] {
            assert_eq!(distance("verify", word), 1, "{word}");
        }
        assert_eq!(distance("verify", "verify"), 0);
        assert_eq!(distance("stats", "trips"), 2);
    }
}
