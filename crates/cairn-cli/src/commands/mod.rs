//! The subcommands: a file each, and a line in [`run`].

use std::path::Path;

use cairndb::{Database, OpenOptions};

use crate::arguments::{Arguments, Command, MEMORY};
use crate::failure::Outcome;

mod checkpoint;
mod compact;
mod export;
mod import;
mod kv;
mod repair;
mod serve;
mod sql;
mod stats;
mod verify;

/// Runs what the command line asks for.
pub(crate) fn run(arguments: Arguments) -> Outcome {
    match arguments.command {
        None => sql::run(&arguments.run),
        Some(Command::Serve(command)) => serve::run(&command),
        Some(Command::Import(command)) => import::run(&command),
        Some(Command::Export(command)) => export::run(&command),
        Some(Command::Kv(command)) => kv::run(&command),
        Some(Command::Verify(place)) => verify::run(&place),
        Some(Command::Repair(place)) => repair::run(&place),
        Some(Command::Stats(place)) => stats::run(&place),
        Some(Command::Compact(place)) => compact::run(&place),
        Some(Command::Checkpoint(command)) => checkpoint::run(&command),
    }
}

/// Opens the database of a command that may create it.
fn open(path: &Path) -> Outcome<Database> {
    if path == Path::new(MEMORY) {
        return Ok(Database::in_memory()?);
    }
    Ok(Database::open(path)?)
}

/// Opens the database of a command that has nothing to do with a new one.
fn open_existing(path: &Path) -> Outcome<Database> {
    Ok(Database::open_with(path, OpenOptions::new().create_if_missing(false))?)
}

/// The name in double quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
