//! What the parser does not know of PostgreSQL's syntax and can be said otherwise, changed in the text.

use std::borrow::Cow;
use std::ops::ControlFlow;

use sqlparser::ast::{Insert, OptimizerHint, OptimizerHintStyle, Statement, VisitMut, VisitorMut};

use super::lexer::{Kind, Lexer, Token};

/// `TABLE name …` is `SELECT * FROM name …`.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    let mut tokens = Lexer::new(text);
    match tokens.next() {
        Some(token)
            if token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case("TABLE") =>
        {
            Cow::Owned(format!("SELECT * FROM{}", &text[token.end..]))
        }
        _ => Cow::Borrowed(text),
    }
}

/// Takes UNLOGGED out of CREATE TABLE, leaving blanks: a table that is logged is all that an unlogged one is, and stays
/// after a crash.
pub(crate) fn without_unlogged(text: &str) -> Cow<'_, str> {
    let is = |token: Option<Token>, word: &str| {
        token.is_some_and(|token| {
            token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
        })
    };
    let mut tokens = Lexer::new(text);
    if !is(tokens.next(), "CREATE") {
        return Cow::Borrowed(text);
    }
    let Some(word) = tokens.next() else { return Cow::Borrowed(text) };
    let (from, to) = (word.start, word.end);
    if !is(Some(word), "UNLOGGED") || !is(tokens.next(), "TABLE") {
        return Cow::Borrowed(text);
    }
    let mut out = text.to_owned();
    out.replace_range(from..to, &" ".repeat(to - from));
    Cow::Owned(out)
}

/// Takes `[NOT] DEFERRABLE` out of BEGIN, START TRANSACTION and SET, leaving blanks. Nothing is lost by it: a block that
/// only reads never waits and never fails here, deferrable or not.
pub(crate) fn without_deferrable(text: &str) -> Cow<'_, str> {
    let is = |token: &Token, word: &str| {
        token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
    };
    let begins = |token: &Token| ["BEGIN", "START", "SET"].iter().any(|word| is(token, word));
    if !Lexer::new(text).next().is_some_and(|token| begins(&token)) {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let sets = is(&tokens[0], "SET") && !tokens.iter().any(|token| is(token, "TRANSACTION"));
    let mut out = None;
    for (at, token) in
        tokens.iter().enumerate().filter(|(at, token)| *at > 0 && is(token, "DEFERRABLE") && !sets)
    {
        let first = if is(&tokens[at - 1], "NOT") { at - 1 } else { at };
        // The comma that parts it from the mode before it, or behind it.
        let comma = |at: usize| tokens.get(at).is_some_and(|token| token.kind == Kind::Punctuation(b','));
        let (first, last) = match (first > 0 && comma(first - 1), comma(at + 1)) {
            (true, _) => (first - 1, at),
            (false, true) => (first, at + 1),
            (false, false) => (first, at),
        };
        let (from, to) = (tokens[first].start, tokens[last].end);
        let text: &mut String = out.get_or_insert_with(|| text.to_owned());
        text.replace_range(from..to, &" ".repeat(to - from));
        debug_assert!(token.end <= to);
    }
    out.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Takes `OVERRIDING SYSTEM VALUE` and `OVERRIDING USER VALUE` out of INSERTs, leaving blanks, and says for which of
/// the text's `INSERT INTO` each was.
pub(crate) fn take_overriding(text: &str) -> (Cow<'_, str>, Vec<(usize, Overriding)>) {
    let mut words: [(&str, usize); 2] = [("", 0); 2];
    let (mut out, mut found) = (Cow::Borrowed(text), Vec::new());
    let mut inserts = 0;
    for (at, token) in Lexer::new(text).enumerate() {
        let word = if token.kind == Kind::Word { &text[token.start..token.end] } else { "" };
        if at == 0 && !["INSERT", "WITH"].iter().any(|first| word.eq_ignore_ascii_case(first)) {
            break;
        }
        let [(first, start), (second, _)] = words;
        if second.eq_ignore_ascii_case("INSERT") && word.eq_ignore_ascii_case("INTO") {
            inserts += 1;
        }
        if first.eq_ignore_ascii_case("OVERRIDING") && word.eq_ignore_ascii_case("VALUE") && inserts > 0 {
            let which = match second.to_ascii_uppercase().as_str() {
                "SYSTEM" => Overriding::System,
                "USER" => Overriding::User,
                _ => break,
            };
            found.push((inserts - 1, which));
            out.to_mut().replace_range(start..token.end, &" ".repeat(token.end - start));
        }
        words = [words[1], (word, token.start)];
    }
    (out, found)
}

/// Notes in the statement what [`take_overriding`] took out of its text: as hints, which are printed and read again.
pub(crate) fn note_overriding(statement: &mut Statement, overriding: &[(usize, Overriding)]) {
    struct Note<'n> {
        inserts: usize,
        overriding: &'n [(usize, Overriding)],
    }
    impl VisitorMut for Note<'_> {
        type Break = ();
        fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<()> {
            let Statement::Insert(insert) = statement else { return ControlFlow::Continue(()) };
            let own = self.overriding.iter().filter(|(at, _)| *at == self.inserts);
            insert.optimizer_hints.extend(own.map(|(_, which)| OptimizerHint {
                prefix: String::new(),
                text: format!(" {} ", which.text()),
                style: OptimizerHintStyle::MultiLine,
            }));
            self.inserts += 1;
            ControlFlow::Continue(())
        }
    }
    if !overriding.is_empty() {
        // It never breaks off.
        let _ = statement.visit(&mut Note { inserts: 0, overriding });
    }
}

/// Whose values go into identity columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overriding {
    /// Those of the statement.
    System,
    /// Those of the sequence.
    User,
}

impl Overriding {
    fn text(self) -> &'static str {
        match self {
            Self::System => "OVERRIDING SYSTEM VALUE",
            Self::User => "OVERRIDING USER VALUE",
        }
    }

    /// What an INSERT says.
    pub(crate) fn of(insert: &Insert) -> Option<Self> {
        let said = |own: &Self| insert.optimizer_hints.iter().any(|hint| hint.text.trim() == own.text());
        [Self::System, Self::User].into_iter().find(said)
    }
}

/// Writes an AST identifier for a name as it is, never folded.
pub(crate) fn exact(name: &str) -> sqlparser::ast::Ident {
    sqlparser::ast::Ident::with_quote('"', name)
}
