//! The shell: reads statements from a terminal, with history, completion and several lines a statement.
//!
//! ```text
//! cairn=>   a new statement          cairn=*>  in a transaction block
//! cairn->   the rest of one          cairn=!>  in a failed one
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::anyhow;
use reedline::{
    ColumnarMenu, EditCommand, Emacs, FileBackedHistory, KeyCode, KeyModifiers, MenuBuilder, Reedline,
    ReedlineEvent, ReedlineMenu, Signal, ValidationResult, Validator, default_emacs_keybindings,
};

use crate::failure::{Failure, Outcome};
use crate::script::{self, Runner};

mod complete;
mod describe;
mod help;
mod highlight;
pub(crate) mod meta;
mod prompt;

/// Statements that the history keeps.
const HISTORY_ENTRIES: usize = 10_000;

/// The name of the completion menu.
const MENU: &str = "completion";

/// Reads and runs statements until the end of input or `\q`.
pub(crate) fn run(runner: &mut Runner, path: &Path) -> Outcome {
    runner.interactive = true;
    println!("cairn {} on {}. \\? for help, \\q to quit.", env!("CARGO_PKG_VERSION"), path.display());
    let words = complete::Words::default();
    let data = Arc::new(AtomicBool::new(false));
    let mut editor = editor(&words, &data);
    let name = prompt::name_of(path);
    loop {
        words.refresh(runner);
        let prompt = prompt::Prompt::new(&name, runner.session.status());
        match editor.read_line(&prompt) {
            Ok(Signal::Success(text)) => {
                let mut lines = |runner: &mut Runner, sql: &str| {
                    data.store(true, Ordering::Relaxed);
                    let outcome = copy_typed(runner, &mut editor, sql);
                    data.store(false, Ordering::Relaxed);
                    outcome
                };
                if let meta::Then::Quit = text_entered(runner, &text, &mut lines) {
                    return Ok(());
                }
            }
            Ok(Signal::CtrlD) => {
                println!("\\q");
                return Ok(());
            }
            Ok(_) => {}
            Err(error) => return Err(anyhow!("the terminal cannot be read: {error}").into()),
        }
    }
}

/// Runs what was entered: a command of the shell, or statements. An error is told and the shell goes on.
fn text_entered(
    runner: &mut Runner,
    text: &str,
    copy: &mut dyn FnMut(&mut Runner, &str) -> Outcome,
) -> meta::Then {
    let trimmed = text.trim();
    if trimmed.starts_with('\\') {
        return match meta::run(runner, trimmed) {
            Ok(then) => then,
            Err(failure) => {
                runner.tell(&failure);
                meta::Then::GoOn
            }
        };
    }
    if let Some(then) = help::plain_word(trimmed) {
        return then;
    }
    let split = cairndb::split_statements(text);
    for statement in split.statements {
        let outcome = if script::is_copy_from_stdin(statement) {
            copy(runner, statement)
        } else {
            runner.statement(statement)
        };
        match outcome {
            Ok(()) => {}
            Err(Failure::BrokenPipe) => return meta::Then::Quit,
            Err(failure) => {
                runner.tell(&failure);
                break;
            }
        }
    }
    meta::Then::GoOn
}

/// The rows of a `COPY … FROM STDIN`, typed or pasted, up to a line `\.`.
fn copy_typed(runner: &mut Runner, editor: &mut Reedline, sql: &str) -> Outcome {
    println!("Enter the data, a line for each row; \\. on a line of its own ends it.");
    let prompt = prompt::Prompt::data();
    let mut rows = String::new();
    loop {
        match editor.read_line(&prompt) {
            Ok(Signal::Success(line)) if line.trim_end() == "\\." => break,
            Ok(Signal::Success(line)) => {
                rows.push_str(&line);
                rows.push('\n');
            }
            Ok(Signal::CtrlD) => break,
            Ok(_) => return Err(anyhow!("COPY was given up; nothing is loaded").into()),
            Err(error) => return Err(anyhow!("the terminal cannot be read: {error}").into()),
        }
    }
    runner.copy_in(sql, std::io::Cursor::new(rows))
}

fn editor(words: &complete::Words, data: &Arc<AtomicBool>) -> Reedline {
    let mut keys = default_emacs_keybindings();
    keys.add_binding(
        KeyModifiers::NONE,
        KeyCode::Tab,
        ReedlineEvent::UntilFound(vec![
            ReedlineEvent::Menu(MENU.to_owned()),
            ReedlineEvent::MenuNext,
            ReedlineEvent::Edit(vec![EditCommand::Complete]),
        ]),
    );
    let menu = ColumnarMenu::default().with_name(MENU);
    let mut editor = Reedline::create()
        .with_validator(Box::new(Complete { data: Arc::clone(data) }))
        .with_completer(Box::new(complete::SqlCompleter::new(words.clone())))
        .with_highlighter(Box::new(highlight::SqlHighlighter))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_edit_mode(Box::new(Emacs::new(keys)));
    if let Some(path) = history_path() {
        match FileBackedHistory::with_file(HISTORY_ENTRIES, path.clone()) {
            Ok(history) => editor = editor.with_history(Box::new(history)),
            Err(error) => eprintln!("cairn: no history in {}: {error}", path.display()),
        }
    }
    editor
}

/// `$CAIRN_HISTORY`, else `~/.cairn_history`.
fn history_path() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("CAIRN_HISTORY") {
        return (!path.is_empty()).then(|| path.into());
    }
    Some(PathBuf::from(std::env::var_os("HOME")?).join(".cairn_history"))
}

/// A line is run when its last statement is complete; a line of data always is.
struct Complete {
    data: Arc<AtomicBool>,
}

impl Validator for Complete {
    fn validate(&self, text: &str) -> ValidationResult {
        if self.data.load(Ordering::Relaxed) || script::is_complete(text) || help::is_plain_word(text) {
            ValidationResult::Complete
        } else {
            ValidationResult::Incomplete
        }
    }
}
