//! `LIKE ANY (array)` and `LIKE ALL (array)`, with ILIKE and NOT: a value beside each pattern of an array.
//!
//! I1. As PostgreSQL's ANY and ALL: what one pattern decides is the answer; else NULL where there is a NULL pattern.

use cairn_types::{DataType as T, Value};
use datafusion::logical_expr::ScalarUDF;

use super::overload::{Args, Code, Overload, Returns, function, is};
use crate::{Error, Result};

/// A pattern with an escape character of its own, written with backslashes.
///
/// # Errors
/// `22025`: more than one character, a pattern that ends with it.
pub(crate) fn with_backslashes(pattern: &str, escape: &str) -> Result<String> {
    let mut characters = escape.chars();
    let (first, second) = (characters.next(), characters.next());
    if second.is_some() {
        return Err(Error::new("22025", "invalid escape string")
            .with_hint("Escape string must be empty or one character."));
    }
    if first == Some('\\') {
        return Ok(pattern.to_owned());
    }
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        if Some(c) == first {
            let Some(next) = rest.next() else {
                return Err(Error::new("22025", "LIKE pattern must not end with escape character"));
            };
            if matches!(next, '%' | '_' | '\\') {
                out.push('\\');
            }
            out.push(next);
        } else if c == '\\' {
            out.push_str("\\\\");
        } else {
            out.push(c);
        }
    }
    Ok(out)
}

/// The name of the function for one of the eight forms.
pub(crate) fn name(all: bool, any_case: bool, negated: bool) -> &'static str {
    match (all, any_case, negated) {
        (false, false, false) => "cairn_like_any",
        (false, false, true) => "cairn_not_like_any",
        (false, true, false) => "cairn_ilike_any",
        (false, true, true) => "cairn_not_ilike_any",
        (true, false, false) => "cairn_like_all",
        (true, false, true) => "cairn_not_like_all",
        (true, true, false) => "cairn_ilike_all",
        (true, true, true) => "cairn_not_ilike_all",
    }
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let made = |all, any_case, negated, code: Code| {
        let takes = vec![is(T::Text), is(T::Array(Box::new(T::Text)))];
        function(name(all, any_case, negated), vec![Overload::new(takes, Returns::Is(T::Boolean), code)])
    };
    let escape = |args: &Args<'_>| Ok(Value::Text(with_backslashes(args.text(0)?, args.text(1)?)?));
    let texts = vec![is(T::Text), is(T::Text)];
    vec![
        function("like_escape", vec![Overload::new(texts, Returns::Is(T::Text), escape)]),
        made(false, false, false, matches::<false, false, false>),
        made(false, false, true, matches::<false, false, true>),
        made(false, true, false, matches::<false, true, false>),
        made(false, true, true, matches::<false, true, true>),
        made(true, false, false, matches::<true, false, false>),
        made(true, false, true, matches::<true, false, true>),
        made(true, true, false, matches::<true, true, false>),
        made(true, true, true, matches::<true, true, true>),
    ]
}

fn matches<const ALL: bool, const ANY_CASE: bool, const NOT: bool>(args: &Args<'_>) -> Result<Value> {
    let folded = |text: &str| if ANY_CASE { text.to_lowercase() } else { text.to_owned() };
    let text: Vec<char> = folded(args.text(0)?).chars().collect();
    let mut unknown = false;
    for pattern in args.array(1)? {
        match pattern.as_str() {
            None => unknown = true,
            Some(pattern) => {
                let pattern: Vec<char> = folded(pattern).chars().collect();
                if (like(&text, &pattern)? != NOT) != ALL {
                    return Ok(Value::Boolean(!ALL));
                }
            }
        }
    }
    Ok(if unknown { Value::Null } else { Value::Boolean(ALL) })
}

/// Whether a text is of a pattern, with `%`, `_` and `\` before what stands for itself. The last `%` alone is gone back to,
/// so that it takes no longer than both lengths multiplied.
fn like(text: &[char], pattern: &[char]) -> Result<bool> {
    let (mut at, mut next) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        let matched = match pattern.get(next) {
            Some('%') => {
                next += 1;
                back = Some((at, next));
                continue;
            }
            Some('_') => at < text.len(),
            Some('\\') => {
                next += 1;
                let Some(own) = pattern.get(next) else {
                    return Err(Error::new("22025", "LIKE pattern must not end with escape character"));
                };
                text.get(at) == Some(own)
            }
            Some(own) => text.get(at) == Some(own),
            None if at == text.len() => return Ok(true),
            None => false,
        };
        if matched {
            (at, next) = (at + 1, next + 1);
            continue;
        }
        match back {
            Some((from, behind)) if from < text.len() => {
                (at, next) = (from + 1, behind);
                back = Some((from + 1, behind));
            }
            _ => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns() {
        let of = |text: &str, pattern: &str| {
            let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
            like(&text, &pattern).unwrap()
        };
        for (text, pattern) in [
            ("", ""),
            ("", "%"),
            ("abc", "a%"),
            ("abc", "%c"),
            ("abc", "_b_"),
            ("a%c", "a\\%c"),
            ("aXbXc", "%X%c"),
        ] {
            assert!(of(text, pattern), "{text} {pattern}");
        }
        for (text, pattern) in [("", "_"), ("abc", "a"), ("abc", "%b"), ("abc", "a\\%"), ("abc", "%d%")] {
            assert!(!of(text, pattern), "{text} {pattern}");
        }
    }
}
