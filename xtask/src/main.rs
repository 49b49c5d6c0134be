//! Developer commands: `cargo xtask <command>`. Each command is one module; `COMMANDS` is the registry.

use std::process::ExitCode;

use xtask::{COMMANDS, repository_root};

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprintln!("usage: cargo xtask <command>\n");
        for command in COMMANDS {
            eprintln!("  {:<10} {}", command.name, command.help);
        }
        return ExitCode::from(2);
    };
    match (command.run)(&repository_root()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
