//! Columns of `CREATE TABLE … PARTITION OF … (a NOT NULL, …)`, which have no type there: they get one that says so, as the
//! parser wants one.

use std::borrow::Cow;

use super::lexer::{Kind, Lexer, Token};

/// Stands for the type that the table above has.
pub(crate) const INHERITED: &str = "cairn_inherited";

/// Words that begin a constraint, not a column.
const CONSTRAINTS: [&str; 6] = ["CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "FOREIGN", "EXCLUDE"];

/// Puts the type behind the names of such columns; `WITH OPTIONS` is left out.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    let is = |token: &Token, word: &str| {
        token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
    };
    if !Lexer::new(text).next().is_some_and(|token| is(&token, "CREATE")) {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let of = tokens.windows(2).position(|pair| is(&pair[0], "PARTITION") && is(&pair[1], "OF"));
    let Some(of) = of else { return Cow::Borrowed(text) };
    let is_mark = |at: usize, mark: u8| tokens.get(at).is_some_and(|t| t.kind == Kind::Punctuation(mark));
    // Behind the name of the table.
    let mut open = of + 3;
    while is_mark(open, b'.') {
        open += 2;
    }
    if !is_mark(open, b'(') {
        return Cow::Borrowed(text);
    }
    let mut out = text[..tokens[open].end].to_owned();
    let (mut copied, mut depth, mut begins) = (tokens[open].end, 1, true);
    let mut at = open + 1;
    while depth > 0 && at < tokens.len() {
        let token = &tokens[at];
        if begins && !CONSTRAINTS.iter().any(|word| is(token, word)) {
            let options = tokens.get(at + 1).is_some_and(|next| is(next, "WITH"))
                && tokens.get(at + 2).is_some_and(|next| is(next, "OPTIONS"));
            out.push_str(&text[copied..token.end]);
            out.push_str(&format!(" {INHERITED} "));
            if options {
                at += 2;
            }
            copied = tokens[at].end;
        }
        begins = false;
        match tokens[at].kind {
            Kind::Punctuation(b'(') => depth += 1,
            Kind::Punctuation(b')') => depth -= 1,
            Kind::Punctuation(b',') => begins = depth == 1,
            _ => {}
        }
        at += 1;
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_get_a_type() {
        let text = "CREATE TABLE p PARTITION OF s.t (a NOT NULL, \"B\" WITH OPTIONS DEFAULT f(1, 2), CHECK (a > 1)) DEFAULT";
        let typed = "CREATE TABLE p PARTITION OF s.t (a cairn_inherited  NOT NULL, \"B\" cairn_inherited  DEFAULT f(1, 2), \
             CHECK (a > 1)) DEFAULT";
        assert_eq!(before_parsing(text), typed);
        for same in ["CREATE TABLE p PARTITION OF t DEFAULT", "CREATE TABLE p (a int)", "SELECT 1"] {
            assert_eq!(before_parsing(same), same);
        }
    }
}
