//! The forms of MERGE's clauses that the parser does not know, said in forms that it knows, with marks:
//!
//! | PostgreSQL | parsed as |
//! |---|---|
//! | `WHEN MATCHED …` and `WHEN NOT MATCHED BY SOURCE … THEN DO NOTHING` | `UPDATE SET "␁nothing" = 0` |
//! | `WHEN NOT MATCHED … THEN DO NOTHING` | `INSERT ("␁nothing") VALUES (0)` |
//! | `INSERT DEFAULT VALUES` | `INSERT ("␁defaults") VALUES (0)` |
//! | `INSERT (a) OVERRIDING SYSTEM VALUE VALUES …` | `INSERT ("␁system", a) VALUES …` |
//!
//! I1: a mark begins with U+0001: a column would have to be called so to be taken for one.

use std::borrow::Cow;

use super::lexer::{Kind, Lexer, Token};

/// Stands for DO NOTHING.
pub(crate) const NOTHING: &str = "\u{1}nothing";
/// Stands for DEFAULT VALUES.
pub(crate) const DEFAULTS: &str = "\u{1}defaults";
/// Stands for OVERRIDING SYSTEM VALUE.
pub(crate) const SYSTEM: &str = "\u{1}system";
/// Stands for OVERRIDING USER VALUE.
pub(crate) const USER: &str = "\u{1}user";

/// Rewrites the clauses of a MERGE; any other text is left as it is.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    let mut first = Lexer::new(text);
    let begins = first.next().is_some_and(|token| is(text, &token, "MERGE") || is(text, &token, "WITH"));
    if !begins {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    if !tokens.windows(2).any(|pair| is(text, &pair[0], "MERGE") && is(text, &pair[1], "INTO"))
        && !is(text, &tokens[0], "MERGE")
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut done = 0;
    let mut negated = false;
    let at = |at: usize, word: &str| tokens.get(at).is_some_and(|token| is(text, token, word));
    let mut replace = |out: &mut String, from: usize, to: usize, with: &str| {
        out.push_str(&text[done..from]);
        out.push_str(with);
        done = to;
    };
    for i in 0..tokens.len() {
        if at(i, "WHEN") {
            let by_source = at(i + 3, "BY") && at(i + 4, "SOURCE");
            negated = at(i + 1, "NOT") && at(i + 2, "MATCHED") && !by_source;
        }
        if at(i, "THEN") && at(i + 1, "DO") && at(i + 2, "NOTHING") {
            let with = match negated {
                true => format!("INSERT (\"{NOTHING}\") VALUES (0)"),
                false => format!("UPDATE SET \"{NOTHING}\" = 0"),
            };
            replace(&mut out, tokens[i + 1].start, tokens[i + 2].end, &with);
        }
        if !(at(i, "THEN") && at(i + 1, "INSERT")) {
            continue;
        }
        if at(i + 2, "DEFAULT") && at(i + 3, "VALUES") {
            let with = format!("(\"{DEFAULTS}\") VALUES (0)");
            replace(&mut out, tokens[i + 2].start, tokens[i + 3].end, &with);
            continue;
        }
        let Some(over) =
            (i + 2..tokens.len()).take_while(|k| !at(*k, "VALUES")).find(|k| at(*k, "OVERRIDING"))
        else {
            continue;
        };
        let mark = match (at(over + 1, "SYSTEM"), at(over + 1, "USER"), at(over + 2, "VALUE")) {
            (true, _, true) => SYSTEM,
            (_, true, true) => USER,
            _ => continue,
        };
        let listed = over > i + 2;
        let with = if listed { format!("(\"{mark}\", ") } else { format!("(\"{mark}\") ") };
        let end = if listed { tokens[i + 2].end } else { tokens[i + 2].start };
        replace(&mut out, tokens[i + 2].start, end, &with);
        replace(&mut out, tokens[over].start, tokens[over + 2].end, "");
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

fn is(text: &str, token: &Token, word: &str) -> bool {
    token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
}
