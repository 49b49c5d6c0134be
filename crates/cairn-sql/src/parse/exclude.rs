//! EXCLUDE in window frames, which the parser does not know: it is taken out of the text, and a mark is put into PARTITION
//! BY instead, from which the calls of functions over the window get the names of [`crate::query::exclude`].
//!
//! I1: a mark begins with U+0001, so that no expression of a text is taken for one.

use std::borrow::Cow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart,
    Value, WindowFrameBound, WindowSpec, WindowType,
};

use super::computed_windows::{filtered, is_computed_nth};
use super::lexer::{Kind, Lexer, Token};
use super::spelling;
use crate::query::exclude::PREFIX;
use crate::session::variables::fold;
use crate::{Error, Result};

pub(super) const MARK: &str = "\u{1}exclude ";

/// Rewrites a text.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    let has = text.as_bytes().windows(7).any(|word| word.eq_ignore_ascii_case(b"EXCLUDE"));
    if !has {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let is = |at: usize, word: &str| {
        tokens.get(at).is_some_and(|token| {
            token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
        })
    };
    let punctuation = |at: usize, byte: u8| tokens[at].kind == Kind::Punctuation(byte);
    // Changes of the text: from, to, what stands there then.
    let mut changes: Vec<(usize, usize, String)> = Vec::new();
    for at in 1..tokens.len() {
        let framed = ["ROW", "PRECEDING", "FOLLOWING"].iter().any(|word| is(at - 1, word));
        if !framed || !is(at, "EXCLUDE") {
            continue;
        }
        let (kind, count) = match () {
            () if is(at + 1, "CURRENT") && is(at + 2, "ROW") => ("row", 3),
            () if is(at + 1, "GROUP") => ("group", 2),
            () if is(at + 1, "TIES") => ("ties", 2),
            () if is(at + 1, "NO") && is(at + 2, "OTHERS") => ("nothing", 3),
            () => continue,
        };
        let mut depth = 0usize;
        let Some(open) = (0..at).rev().find(|at| {
            depth += usize::from(punctuation(*at, b')'));
            let found = depth == 0 && punctuation(*at, b'(');
            depth -= usize::from(depth > 0 && punctuation(*at, b'('));
            found
        }) else {
            continue;
        };
        let mark = match is(open + 1, "PARTITION") && is(open + 2, "BY") {
            true => (tokens[open + 2].end, format!(" '{MARK}{kind}',")),
            false if ["ORDER", "ROWS", "RANGE", "GROUPS"].iter().any(|word| is(open + 1, word)) => {
                (tokens[open].end, format!(" PARTITION BY '{MARK}{kind}' "))
            }
            // A window that is built on another one.
            false
                if tokens[open + 1].kind == Kind::Word || text[tokens[open + 1].start..].starts_with('"') =>
            {
                (tokens[open + 1].end, format!(" PARTITION BY '{MARK}{kind}' "))
            }
            false => continue,
        };
        changes.push((mark.0, mark.0, mark.1));
        changes.push((tokens[at].start, tokens[at + count - 1].end, String::new()));
    }
    spelling::spliced(text, changes)
}

/// Whether an expression is a mark.
pub(super) fn is_mark(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(&value.value, Value::SingleQuotedString(text) if text.starts_with(MARK)))
}

/// Takes the mark out of a window.
fn take_mark(spec: &mut WindowSpec) -> Option<String> {
    let Some(Expr::Value(value)) = spec.partition_by.first() else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    let kind = text.strip_prefix(MARK)?.to_owned();
    spec.partition_by.remove(0);
    Some(kind)
}

/// Aggregates that the query engine cannot take rows off again, which frames that move need.
const NOT_SLIDING: &[&str] = &[
    "string_agg",
    "stddev",
    "stddev_samp",
    "stddev_pop",
    "variance",
    "var_samp",
    "var_pop",
    "bool_and",
    "bool_or",
    "every",
];

/// Whether a frame leaves rows behind.
fn slides(spec: &WindowSpec) -> bool {
    let Some(frame) = &spec.window_frame else { return false };
    !matches!(frame.start_bound, WindowFrameBound::Preceding(None))
}

/// Names the function of a call over a window that excludes rows, or whose frame its aggregate cannot follow.
///
/// # Errors
/// `0A000` with FILTER.
pub(super) fn rewrite(function: &mut Function) -> Result<()> {
    let (kind, orders, slides) = match &mut function.over {
        Some(WindowType::WindowSpec(spec)) => {
            let kind = take_mark(spec).unwrap_or_else(|| "nothing".to_owned());
            (kind, spec.order_by.clone(), slides(spec))
        }
        Some(WindowType::NamedWindow(_)) | None => return Ok(()),
    };
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return Ok(()) };
    let name = fold(name);
    // These look at no frame.
    let unframed = ["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead"];
    let nth = matches!(&function.args, FunctionArguments::List(list) if is_computed_nth(&name, &list.args));
    let unchanged = kind == "nothing" && !nth && !(slides && NOT_SLIDING.contains(&name.as_str()));
    if unframed.contains(&name.as_str()) || unchanged {
        return Ok(());
    }
    let FunctionArguments::List(list) = &mut function.args else {
        return Err(Error::unsupported("this form of function over a frame with EXCLUDE"));
    };
    for arg in &mut list.args {
        if matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Wildcard)) {
            let one = Expr::Value(Value::Number("1".to_owned(), false).into());
            *arg = FunctionArg::Unnamed(FunctionArgExpr::Expr(one));
        }
    }
    if let Some(filter) = function.filter.take()
        && !filtered(&name, &filter, &mut list.args)
    {
        return Err(Error::unsupported(format!("FILTER of {name} over a frame with EXCLUDE")));
    }
    let keys = orders.iter().map(|order| FunctionArg::Unnamed(FunctionArgExpr::Expr(order.expr.clone())));
    list.args.extend(keys);
    function.name = ObjectName::from(Ident::new(format!("{PREFIX}{kind}_{}_{name}", orders.len())));
    Ok(())
}
