//! The prompt: the database's name and the state of the transaction.

use std::borrow::Cow;
use std::path::Path;

use cairndb::SessionStatus;
use reedline::{PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus};

/// The longest name that is shown.
const NAME_CHARS: usize = 24;

/// One line's prompt.
pub(crate) struct Prompt {
    first: String,
    more: String,
}

impl Prompt {
    /// The prompt for a database in that state.
    pub(crate) fn new(name: &str, status: SessionStatus) -> Prompt {
        let state = match status {
            SessionStatus::Idle => "",
            SessionStatus::InTransaction => "*",
            SessionStatus::Failed => "!",
        };
        Prompt { first: format!("{name}={state}> "), more: format!("{name}-{state}> ") }
    }

    /// The prompt for a line of data.
    pub(crate) fn data() -> Prompt {
        Prompt { first: ">> ".to_owned(), more: ">> ".to_owned() }
    }
}

/// The last part of a path, for the prompt.
pub(crate) fn name_of(path: &Path) -> String {
    let name = path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
    let name = name.trim_matches(':');
    name.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect()
}

impl reedline::Prompt for Prompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.first)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.more)
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let failing = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "no ",
        };
        Cow::Owned(format!("({failing}match for '{}') ", search.term))
    }
}

#[cfg(test)]
mod tests {
    //! What the prompt shows.

    use super::*;

    #[test]
    fn state_is_in_the_prompt() {
        assert_eq!(Prompt::new("trips.db", SessionStatus::InTransaction).first, "trips.db=*> ");
        assert_eq!(name_of(Path::new("/var/lib/trips.db")), "trips.db");
        assert_eq!(name_of(Path::new(":memory:")), "memory");
    }
}
