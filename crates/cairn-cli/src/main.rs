//! `cairn`: CairnDB on the command line. Here only parsing and the exit status; a command is a file in
//! `commands/` and a line in its registry.
#![forbid(unsafe_code)]
// The command is outside of the kernel: it reads scripts, writes results and keeps a history itself.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::process::ExitCode;

use clap::Parser;

mod arguments;
mod commands;
mod failure;
mod format;
mod output;
mod progress;
mod script;
mod shell;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    match commands::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            failure.exit_code()
        }
    }
}
