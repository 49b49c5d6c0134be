//! `FOR UPDATE`, `FOR NO KEY UPDATE`, `FOR SHARE`, `FOR KEY SHARE`, `OF` several tables, and LIMIT behind them: what the
//! parser has no room for, said in the name that it has room for.
//!
//! The text is changed before it is parsed: `FOR KEY SHARE OF a, b NOWAIT` becomes `FOR SHARE OF "\u{1}KEY
//! SHARE"."a"."b" NOWAIT`, and a LIMIT, OFFSET or FETCH behind a locking clause is put in front of it. What results is
//! printed and read again without loss. Only texts that need it are changed.

use std::borrow::Cow;

use sqlparser::ast::{Ident, LockClause, LockType, NonBlock, ObjectName};

use super::lexer::{Kind, Lexer, Token};
use crate::session::variables::fold;

/// Begins a name that says the strength of a lock.
const MARK: &str = "\u{1}";

/// How strongly rows are to be locked; names and order are PostgreSQL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strength {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

impl Strength {
    const ALL: [Strength; 4] = [Strength::KeyShare, Strength::Share, Strength::NoKeyUpdate, Strength::Update];

    /// As it is written behind FOR.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Strength::KeyShare => "KEY SHARE",
            Strength::Share => "SHARE",
            Strength::NoKeyUpdate => "NO KEY UPDATE",
            Strength::Update => "UPDATE",
        }
    }
}

/// A locking clause, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Locking {
    pub(crate) strength: Strength,
    /// The tables of OF; none: all.
    pub(crate) of: Vec<String>,
    pub(crate) nonblock: Option<NonBlock>,
}

impl Locking {
    /// Reads a clause; `None` where OF has a qualified name.
    pub(crate) fn of(clause: &LockClause) -> Option<Locking> {
        let plain = match clause.lock_type {
            LockType::Share => Strength::Share,
            LockType::Update => Strength::Update,
        };
        let parts: Vec<_> = match &clause.of {
            None => Vec::new(),
            Some(name) => name.0.iter().map(|part| part.as_ident()).collect::<Option<_>>()?,
        };
        let marked = parts.first().and_then(|first| first.value.strip_prefix(MARK));
        let strength = Strength::ALL.into_iter().find(|strength| Some(strength.words()) == marked);
        let of = match strength {
            Some(_) => &parts[1..],
            None if parts.len() > 1 => return None,
            None => &parts[..],
        };
        let of = of.iter().map(|ident| fold(ident)).collect();
        Some(Locking { strength: strength.unwrap_or(plain), of, nonblock: clause.nonblock })
    }

    /// The clause as the parser has it.
    pub(crate) fn written(&self) -> LockClause {
        let names =
            std::iter::once(format!("{MARK}{}", self.strength.words())).chain(self.of.iter().cloned());
        let name = names.map(|name| Ident::with_quote('"', name)).collect::<Vec<_>>();
        let lock_type = if self.strength <= Strength::Share { LockType::Share } else { LockType::Update };
        LockClause { lock_type, of: Some(ObjectName::from(name)), nonblock: self.nonblock }
    }
}

/// One locking clause in a text.
struct Clause {
    /// The first token, FOR, and the one behind the last.
    tokens: std::ops::Range<usize>,
    text: String,
    /// Whether the parser would read it without help.
    plain: bool,
}

/// Puts locking clauses into the form that the parser reads.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    // Nearly all texts end here.
    if !may_lock(text) {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    while at < tokens.len() {
        let Some(first) = clause(text, &tokens, at) else {
            at += 1;
            continue;
        };
        let mut clauses = vec![first];
        while let Some(next) = clauses.last().and_then(|last| clause(text, &tokens, last.tokens.end)) {
            clauses.push(next);
        }
        let start = tokens[at].start;
        at = clauses.last().map_or(at, |last| last.tokens.end);
        let end = tokens[at - 1].end;
        let behind = limit_end(text, &tokens, at);
        if clauses.iter().all(|clause| clause.plain) && behind == at {
            continue;
        }
        out.push_str(&text[copied..start]);
        if behind > at {
            copied = tokens[behind - 1].end;
            out.push_str(&text[end..copied]);
            out.push(' ');
            at = behind;
        } else {
            copied = end;
        }
        let texts: Vec<&str> = clauses.iter().map(|clause| clause.text.as_str()).collect();
        out.push_str(&texts.join(" "));
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Whether a word FOR stands before SHARE, UPDATE, NO or KEY; may say yes wrongly.
fn may_lock(text: &str) -> bool {
    let mut before = false;
    Lexer::new(text).any(|token| {
        let word = if token.kind == Kind::Word { &text[token.start..token.end] } else { "" };
        let follows =
            before && ["UPDATE", "SHARE", "NO", "KEY"].iter().any(|second| word.eq_ignore_ascii_case(second));
        before = word.eq_ignore_ascii_case("FOR");
        follows
    })
}

fn is(text: &str, tokens: &[Token], at: usize, word: &str) -> bool {
    tokens.get(at).is_some_and(|token| {
        token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
    })
}

fn all(text: &str, tokens: &[Token], at: usize, words: &str) -> Option<usize> {
    let mut end = at;
    for word in words.split(' ') {
        if !is(text, tokens, end, word) {
            return None;
        }
        end += 1;
    }
    Some(end)
}

/// The clause that begins at a token.
fn clause(text: &str, tokens: &[Token], at: usize) -> Option<Clause> {
    if !is(text, tokens, at, "FOR") {
        return None;
    }
    let found = Strength::ALL
        .into_iter()
        .find_map(|strength| all(text, tokens, at + 1, strength.words()).map(|end| (strength, end)));
    let (strength, mut end) = found?;
    let mut names = Vec::new();
    if is(text, tokens, end, "OF") {
        loop {
            let token = tokens.get(end + 1)?;
            if !matches!(token.kind, Kind::Word | Kind::Quoted) {
                return None;
            }
            names.push(&text[token.start..token.end]);
            end += 2;
            if tokens.get(end).map(|t| t.kind) != Some(Kind::Punctuation(b',')) {
                break;
            }
        }
        if tokens.get(end).map(|t| t.kind) == Some(Kind::Punctuation(b'.')) {
            return None;
        }
    }
    let mut tail = "";
    for words in ["NOWAIT", "SKIP LOCKED"] {
        if let Some(next) = all(text, tokens, end, words) {
            (end, tail) = (next, words);
            break;
        }
    }
    let plain = matches!(strength, Strength::Update | Strength::Share) && names.len() < 2;
    let base = if strength <= Strength::Share { "SHARE" } else { "UPDATE" };
    let mut clause = format!("FOR {base}");
    if plain && !names.is_empty() {
        clause.push_str(&format!(" OF {}", names[0]));
    } else if !plain {
        clause.push_str(&format!(" OF \"{MARK}{}\"", strength.words()));
        names.iter().for_each(|name| clause.push_str(&format!(".{name}")));
    }
    if !tail.is_empty() {
        clause.push_str(&format!(" {tail}"));
    }
    Some(Clause { tokens: at..end, text: clause, plain })
}

/// The token behind a LIMIT, OFFSET or FETCH that begins at `at`; `at` where there is none.
fn limit_end(text: &str, tokens: &[Token], at: usize) -> usize {
    if !["LIMIT", "OFFSET", "FETCH"].iter().any(|word| is(text, tokens, at, word)) {
        return at;
    }
    let mut depth = 0usize;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token.kind {
            Kind::Punctuation(b'(') => depth += 1,
            Kind::Punctuation(b')') if depth == 0 => return place,
            Kind::Punctuation(b')') => depth -= 1,
            Kind::Punctuation(b';') => return place,
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sqlparser::ast::Statement;

    #[test]
    fn only_what_the_parser_cannot_read_is_changed() {
        for plain in [
            "select 1",
            "select * from t for update",
            "select * from t limit 1 for share of t nowait",
            "select 'for no key update'",
            "select substring(a for 2) from t",
        ] {
            assert!(matches!(before_parsing(plain), Cow::Borrowed(_)), "{plain}");
        }
        let changed = |text: &str| before_parsing(text).into_owned();
        assert_eq!(
            changed("select * from t for no key update skip locked"),
            "select * from t FOR UPDATE OF \"\u{1}NO KEY UPDATE\" SKIP LOCKED"
        );
        assert_eq!(
            changed("select * from a, b for key share of a, \"B\" nowait;"),
            "select * from a, b FOR SHARE OF \"\u{1}KEY SHARE\".a.\"B\" NOWAIT;"
        );
        assert_eq!(
            changed("select (select 1 from t for update limit (1) offset 2) x"),
            "select (select 1 from t  limit (1) offset 2 FOR UPDATE) x"
        );
    }

    #[test]
    fn clauses_are_read_back() {
        let text =
            "select * from a, b for key share of a, \"B\" nowait for update of b skip locked for share";
        let Statement::Query(query) = crate::parse::parse_text(text).unwrap() else { panic!("no query") };
        let Statement::Query(query) = crate::parse::parse_text(&query.to_string()).unwrap() else {
            panic!("no query")
        };
        let clauses: Vec<Locking> = query.locks.iter().map(|lock| Locking::of(lock).unwrap()).collect();
        let expected = [
            (Strength::KeyShare, vec!["a", "B"], Some(NonBlock::Nowait)),
            (Strength::Update, vec!["b"], Some(NonBlock::SkipLocked)),
            (Strength::Share, vec![], None),
        ];
        for (clause, (strength, of, nonblock)) in clauses.iter().zip(expected) {
            assert_eq!(Locking::of(&clause.written()).as_ref(), Some(clause));
            assert_eq!(
                (clause.strength, clause.of.iter().map(String::as_str).collect(), clause.nonblock),
                (strength, of, nonblock)
            );
        }
    }
}
