//! Long lists of literals behind IN are put away before parsing: `x IN (1, 2, …)` becomes `x IN (cairn_list('i1,2,…'))`, one
//! token in the place of millions, and then a call of [`crate::functions::listed`].
//!
//! I1: the text that [`entries`] takes apart is what [`before_parsing`] made: it gives the same literals in the same order.

use std::borrow::Cow;

use sqlparser::ast::{Expr, FunctionArguments, UnaryOperator, Value};

use super::lexer::{Kind, Lexer, Token};
use super::rewrite::{call, take};

/// Literals from which on a list is put away. Shorter ones may be looked up in an index.
pub(crate) const ENTRIES_MIN: usize = 2_048;
/// Shorter texts hold no such list.
const BYTES_MIN: usize = 2 * ENTRIES_MIN;
/// Stands for the list in the text.
const NAME: &str = "cairn_list";

/// Puts long lists of a statement away.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    if text.len() < BYTES_MIN {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut done = 0;
    let mut tokens = Lexer::new(text);
    let mut after_in = false;
    while let Some(token) = tokens.next() {
        let opens = after_in && token.kind == Kind::Punctuation(b'(');
        after_in = token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case("in");
        if !opens {
            continue;
        }
        let Some((list, end)) = list(text, &mut tokens) else { continue };
        out.push_str(&text[done..token.end]);
        out.push_str(NAME);
        out.push_str("('");
        out.push_str(&list);
        out.push_str("')");
        done = end;
    }
    match done {
        0 => Cow::Borrowed(text),
        _ => {
            out.push_str(&text[done..]);
            Cow::Owned(out)
        }
    }
}

/// The literals up to the closing bracket as the text of one, and where the bracket is; `None` where the list is short or
/// holds anything else.
fn list(text: &str, tokens: &mut impl Iterator<Item = Token>) -> Option<(String, usize)> {
    let mut list = String::new();
    let mut count = 0;
    loop {
        let mut token = tokens.next()?;
        let minus = token.kind == Kind::Operator && &text[token.start..token.end] == "-";
        if minus {
            token = tokens.next()?;
        }
        let literal = &text[token.start..token.end];
        let kind = match token.kind {
            Kind::Number => {
                literal.parse::<i64>().ok()?;
                'i'
            }
            Kind::Quoted if literal.starts_with('\'') && !minus => 's',
            _ => return None,
        };
        match list.chars().next() {
            None => list.push(kind),
            Some(first) if first != kind => return None,
            Some(_) => list.push(','),
        }
        if minus {
            list.push('-');
        }
        match kind {
            'i' => list.push_str(literal),
            // Quotes stay doubled, as all of it is a literal again.
            _ => literal[1..literal.len() - 1].chars().for_each(|c| match c {
                ',' => list.push_str("\\c"),
                '\\' => list.push_str("\\b"),
                c => list.push(c),
            }),
        }
        count += 1;
        let next = tokens.next()?;
        match next.kind {
            Kind::Punctuation(b',') => {}
            Kind::Punctuation(b')') if count >= ENTRIES_MIN => return Some((list, next.start)),
            _ => return None,
        }
    }
}

/// What a list holds.
pub(crate) enum Entries<'l> {
    /// Integers.
    Integers(Vec<i64>),
    /// Strings without a type.
    Strings(Vec<Cow<'l, str>>),
}

/// The literals of a list (I1); `None` for any other text.
pub(crate) fn entries(list: &str) -> Option<Entries<'_>> {
    let rest = list.get(1..)?;
    match list.as_bytes().first()? {
        b'i' => rest.split(',').map(|text| text.parse().ok()).collect::<Option<_>>().map(Entries::Integers),
        b's' => Some(Entries::Strings(rest.split(',').map(unescaped).collect())),
        _ => None,
    }
}

fn unescaped(text: &str) -> Cow<'_, str> {
    match text.contains('\\') {
        true => Cow::Owned(text.replace("\\c", ",").replace("\\b", "\\")),
        false => Cow::Borrowed(text),
    }
}

/// Makes the call of what was put away; whether it was such a list.
pub(super) fn rewrite(expr: &mut Expr) -> bool {
    let Expr::InList { expr: value, list, negated } = expr else { return false };
    let [Expr::Function(function)] = list.as_slice() else { return false };
    let FunctionArguments::List(args) = &function.args else { return false };
    let [sqlparser::ast::FunctionArg::Unnamed(sqlparser::ast::FunctionArgExpr::Expr(text))] =
        args.args.as_slice()
    else {
        return false;
    };
    if function.name.to_string() != NAME
        || !matches!(text, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
    {
        return false;
    }
    let listed = call(crate::functions::listed::NAME, vec![take(value), text.clone()]);
    *expr = match negated {
        true => Expr::Nested(Box::new(Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(listed) })),
        false => listed,
    };
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_literals_are_put_away() {
        let list = |item: fn(usize) -> String| (0..ENTRIES_MIN).map(item).collect::<Vec<_>>().join(", ");
        let numbers = format!("SELECT 1 WHERE n IN ({}) AND m IN (1, 2)", list(|n| format!("-{n}")));
        let text = before_parsing(&numbers);
        assert!(text.starts_with("SELECT 1 WHERE n IN (cairn_list('i-0,-1,-2,"), "{}", &text[..60]);
        assert!(text.ends_with("')) AND m IN (1, 2)"));
        let strings = format!("SELECT 1 WHERE n NOT IN ({})", list(|n| format!("'a,''{n}\\'")));
        let text = before_parsing(&strings);
        assert!(
            text.starts_with("SELECT 1 WHERE n NOT IN (cairn_list('sa\\c''0\\b,a\\c''1\\b,"),
            "{}",
            &text[..80]
        );
        let Some(Entries::Strings(all)) = entries("sa\\c'0\\b,,x") else { panic!() };
        assert_eq!(all, ["a,'0\\", "", "x"]);
        for other in ["n", "1.5", "E'a'", "99999999999999999999"] {
            let mixed = numbers.replace("(1, 2)", "(1)").replace("-7,", &format!("{other},"));
            assert_eq!(before_parsing(&mixed), mixed);
        }
    }
}
