//! What PostgreSQL's FROM has of functions and the parser does not know: `ROWS FROM (f(…), g(…) AS (a int))`, a list of
//! columns without a name before it (`f(…) AS (a int)`), and `JOIN … USING (…) AS name`. The first becomes a function of the
//! functions ([`ROWS_FROM`]), the second gets the function's name, the third a mark among the columns ([`JOIN_ALIAS`]).

use std::borrow::Cow;

use super::lexer::{Kind, Lexer, Token};

/// The function of functions.
pub(crate) const ROWS_FROM: &str = "cairn_rows_from";
/// The function that a function with a list of columns stands in, beside its text.
pub(crate) const DEFINED: &str = "cairn_defined";
/// Begins the name, in double quotes, that stands for the alias of merged columns.
pub(super) const JOIN_ALIAS: &str = "\u{1}as ";

struct Text<'t> {
    text: &'t str,
    tokens: Vec<Token>,
}

impl Text<'_> {
    fn of(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &self.text[token.start..token.end])
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Word)
            && self.of(at).eq_ignore_ascii_case(word)
    }

    fn punctuation(&self, at: usize, byte: u8) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Punctuation(byte))
    }

    /// Where the bracket that opens at a token ends.
    fn close(&self, open: usize) -> Option<usize> {
        let mut depth = 0usize;
        for at in open..self.tokens.len() {
            depth += usize::from(self.punctuation(at, b'('));
            if self.punctuation(at, b')') {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        None
    }

    /// Where the bracket that ends at a token opens.
    fn open(&self, close: usize) -> Option<usize> {
        let mut depth = 0usize;
        for at in (0..=close).rev() {
            depth += usize::from(self.punctuation(at, b')'));
            if self.punctuation(at, b'(') {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        None
    }

    fn is_name(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Word) || self.of(at).starts_with('"')
    }

    /// Whether a bracket holds names alone.
    fn is_list_of_names(&self, open: usize, close: usize) -> bool {
        close > open + 1
            && (open + 1..close).all(|at| match (at - open) % 2 {
                1 => self.is_name(at),
                _ => self.punctuation(at, b','),
            })
            && (close - open).is_multiple_of(2)
    }

    /// Whether a bracket begins as a list of columns with types does.
    fn is_columns(&self, open: usize) -> bool {
        const QUERIES: &[&str] =
            &["SELECT", "WITH", "VALUES", "TABLE", "INSERT", "UPDATE", "DELETE", "MERGE"];
        self.is_name(open + 1)
            && !QUERIES.iter().any(|word| self.is(open + 1, word))
            && self.is_name(open + 2)
    }
}

/// Whether a text may hold any of these: `ROWS FROM`, `) AS (`, or USING and a `) AS`.
fn may_hold(text: &[u8]) -> bool {
    let word = |at: usize, word: &[u8]| {
        text[at..].get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word))
    };
    let after = |at: usize| at + text[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let mut using = false;
    (0..text.len()).any(|at| match text[at] {
        b'r' | b'R' => word(at, b"ROWS") && at + 4 < text.len() && word(after(at + 4), b"FROM"),
        b'u' | b'U' => {
            using |= word(at, b"USING");
            false
        }
        b')' => {
            let next = after(at + 1);
            word(next, b"AS") && (using || text.get(after(next + 2)) == Some(&b'('))
        }
        _ => false,
    })
}

/// Rewrites a text.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    if !may_hold(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let own = Text { text, tokens: Lexer::new(text).collect() };
    let mut changes: Vec<(usize, usize, String)> = Vec::new();
    for at in 0..own.tokens.len() {
        let token = &own.tokens[at];
        if own.is(at, "ROWS") && own.is(at + 1, "FROM") && own.punctuation(at + 2, b'(') {
            changes.push((token.start, own.tokens[at + 1].end, ROWS_FROM.to_owned()));
            changes.extend(own.close(at + 2).into_iter().flat_map(|close| defined(&own, at + 3, close)));
        } else if own.is(at, "AS") && at > 0 && own.punctuation(at - 1, b')') {
            if own.punctuation(at + 1, b'(') && own.is_columns(at + 1) && !within(&own, at, &changes) {
                let name = own.open(at - 1).filter(|open| *open > 0 && own.is_name(open - 1));
                changes.extend(name.map(|open| (token.end, token.end, format!(" {} ", own.of(open - 1)))));
            } else if own.is_name(at + 1)
                && let Some(open) = own.open(at - 1)
                && open > 0
                && own.is(open - 1, "USING")
                && own.is_list_of_names(open, at - 1)
                && !own.punctuation(at + 2, b'(')
            {
                let close = own.tokens[at - 1].start;
                let name = own.of(at + 1);
                let name = match name.starts_with('"') {
                    true => name[1..name.len() - 1].to_owned(),
                    false => name.to_lowercase(),
                };
                let end = own.tokens[at + 1].end;
                changes.push((close, end, format!(", \"{JOIN_ALIAS}{name}\")")));
            }
        }
    }
    if changes.is_empty() {
        return Cow::Borrowed(text);
    }
    changes.sort_by_key(|(from, ..)| *from);
    let (mut out, mut done) = (String::with_capacity(text.len() + 64), 0);
    for (from, to, with) in changes {
        if from < done {
            continue;
        }
        out.push_str(&text[done..from]);
        out.push_str(&with);
        done = to;
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// Whether a change reaches over a token.
fn within(own: &Text<'_>, at: usize, changes: &[(usize, usize, String)]) -> bool {
    let start = own.tokens[at].start;
    changes.iter().any(|(from, to, _)| *from <= start && start < *to)
}

/// The functions between two tokens that have lists of columns: each stands within [`DEFINED`].
fn defined(own: &Text<'_>, from: usize, close: usize) -> Vec<(usize, usize, String)> {
    let mut changes = Vec::new();
    let (mut start, mut at) = (from, from);
    while at < close {
        if own.punctuation(at, b',') {
            start = at + 1;
        } else if own.punctuation(at, b'(')
            && let Some(end) = own.close(at)
        {
            at = end;
        } else if own.is(at, "AS")
            && own.punctuation(at + 1, b'(')
            && let Some(end) = own.close(at + 1)
        {
            let list = &own.text[own.tokens[at + 1].end..own.tokens[end].start];
            let begins = own.tokens[start].start;
            changes.push((begins, begins, format!("{DEFINED}(")));
            let list = list.replace('\'', "''");
            changes.push((own.tokens[at].start, own.tokens[end].end, format!(", '{list}')")));
            at = end;
        }
        at += 1;
    }
    changes
}
