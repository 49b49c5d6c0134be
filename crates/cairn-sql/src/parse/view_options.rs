//! The options of views: `WITH [LOCAL | CASCADED] CHECK OPTION`, which the parser does not know, is taken out of the text and
//! becomes the option `check_option`; options without a value get the value that they stand for.

use std::borrow::Cow;

use sqlparser::ast::{CreateTableOptions, Expr, Ident, SqlOption, Statement, Value};

use super::lexer::Kind;
use super::spelling::Words;

/// The place behind the name of a view that is created, and its columns.
fn behind_head(words: &Words<'_>) -> Option<usize> {
    if !words.is(0, "CREATE") {
        return None;
    }
    let view = words.behind(1, &["OR", "REPLACE", "TEMP", "TEMPORARY", "RECURSIVE"]);
    if !words.is(view, "VIEW") {
        return None;
    }
    let at = words.behind_name(view + 1);
    Some(words.names(at).map_or(at, |(_, behind)| behind))
}

/// The text as the parser reads it, and the check option that was in it.
pub(super) fn take(text: &str) -> (Cow<'_, str>, Option<&'static str>) {
    let first = Words::first(text, 8);
    if behind_head(&first).is_none() {
        return (Cow::Borrowed(text), None);
    }
    let words = Words::of(text);
    let Some(head) = behind_head(&words) else { return (Cow::Borrowed(text), None) };
    let mut out = text.to_owned();
    let check = check_option(&words);
    if let Some((from, _)) = check {
        out.truncate(words.tokens[from].start);
    }
    if words.is(head, "WITH") && words.at(head + 1) == "(" {
        let mut bare = Vec::new();
        let mut at = head + 2;
        while at + 1 < words.tokens.len() && words.at(at) != ")" {
            let is_word = words.tokens[at].kind == Kind::Word;
            if is_word && matches!(words.at(at - 1), "(" | ",") && matches!(words.at(at + 1), ")" | ",") {
                bare.push(words.tokens[at].end);
            }
            at += 1;
        }
        bare.into_iter().rev().for_each(|end| out.insert_str(end, " = true"));
    }
    (Cow::Owned(out), check.map(|(_, check)| check))
}

/// Where the check option begins at the end of a text, and which it is.
fn check_option(words: &Words<'_>) -> Option<(usize, &'static str)> {
    let end = words.tokens.len() - usize::from(words.at(words.tokens.len().saturating_sub(1)) == ";");
    let option = end.checked_sub(1).filter(|at| words.is(*at, "OPTION"))?;
    let check = option.checked_sub(1).filter(|at| words.is(*at, "CHECK"))?;
    let before = check.checked_sub(1)?;
    let (with, which) = match () {
        () if words.is(before, "LOCAL") => (before.checked_sub(1)?, "local"),
        () if words.is(before, "CASCADED") => (before.checked_sub(1)?, "cascaded"),
        () => (before, "cascaded"),
    };
    words.is(with, "WITH").then_some((with, which))
}

/// Gives CREATE VIEW the check option that was taken out of its text.
pub(super) fn note(statement: &mut Statement, check: Option<&str>) {
    let (Some(check), Statement::CreateView(create)) = (check, statement) else { return };
    let option = SqlOption::KeyValue {
        key: Ident::new("check_option"),
        value: Expr::Value(Value::SingleQuotedString(check.to_owned()).into()),
    };
    match &mut create.options {
        CreateTableOptions::With(options) => options.push(option),
        options => *options = CreateTableOptions::With(vec![option]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_options_are_taken_from_the_end() {
        let (text, check) = take("CREATE VIEW v (a) AS SELECT 1 WITH CHECK OPTION ;");
        assert_eq!((&*text, check), ("CREATE VIEW v (a) AS SELECT 1 ", Some("cascaded")));
        let (text, check) = take("CREATE OR REPLACE VIEW s.v AS SELECT 1 WITH LOCAL CHECK OPTION");
        assert_eq!((&*text, check), ("CREATE OR REPLACE VIEW s.v AS SELECT 1 ", Some("local")));
        let (text, check) = take("CREATE VIEW v WITH (security_barrier, check_option=local) AS SELECT 1");
        assert_eq!(text, "CREATE VIEW v WITH (security_barrier = true, check_option=local) AS SELECT 1");
        assert_eq!(check, None);
        assert_eq!(take("CREATE TABLE t (a int)").1, None);
    }
}
