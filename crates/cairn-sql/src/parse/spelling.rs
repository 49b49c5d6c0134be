//! Spellings of PostgreSQL that the parser does not know, said in the text as it knows them: strings that go on in the next line,
//! names with Unicode escapes, OPERATOR(…), ABORT, DROP INDEX CONCURRENTLY, CREATE RECURSIVE VIEW, `CREATE TABLE t (a, b) AS`.

use std::borrow::Cow;

use sqlparser::ast::{
    Expr, Ident, LimitClause, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor, Value,
};

use super::lexer::{Kind, Lexer, Token};
use crate::session::variables::fold;
use crate::{Error, Result};

/// The words and signs of a text.
pub(super) struct Words<'t> {
    text: &'t str,
    pub(super) tokens: Vec<Token>,
}

impl<'t> Words<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { text, tokens: Lexer::new(text).collect() }
    }

    /// The first of them.
    pub(super) fn first(text: &'t str, count: usize) -> Self {
        Self { text, tokens: Lexer::new(text).take(count).collect() }
    }

    pub(super) fn at(&self, at: usize) -> &'t str {
        self.tokens.get(at).map_or("", |token| &self.text[token.start..token.end])
    }

    pub(super) fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Word)
            && self.at(at).eq_ignore_ascii_case(word)
    }

    /// The place behind words that may stand here.
    pub(super) fn behind(&self, mut at: usize, words: &[&str]) -> usize {
        while words.iter().any(|word| self.is(at, word)) {
            at += 1;
        }
        at
    }

    /// The place behind a name of several parts.
    pub(super) fn behind_name(&self, at: usize) -> usize {
        let mut at = at + 1;
        while self.at(at) == "." {
            at += 2;
        }
        at
    }

    /// The names in parentheses that begin at a place, and the place behind them.
    pub(super) fn names(&self, open: usize) -> Option<(Vec<String>, usize)> {
        if self.at(open) != "(" {
            return None;
        }
        let (mut names, mut at) = (Vec::new(), open + 1);
        loop {
            let token = self.tokens.get(at)?;
            let is_name =
                token.kind == Kind::Word || token.kind == Kind::Quoted && self.at(at).starts_with('"');
            if !is_name {
                return None;
            }
            names.push(self.at(at).to_owned());
            match self.at(at + 1) {
                "," => at += 2,
                ")" => return Some((names, at + 2)),
                _ => return None,
            }
        }
    }
}

/// A text with other words at some places: each from where, to where, and what stands there then.
pub(super) fn spliced(text: &str, mut changes: Vec<(usize, usize, String)>) -> Cow<'_, str> {
    if changes.is_empty() {
        return Cow::Borrowed(text);
    }
    changes.sort_by_key(|(from, ..)| *from);
    let (mut out, mut done) = (String::with_capacity(text.len() + 64), 0);
    for (from, to, with) in changes {
        out.push_str(&text[done..from]);
        out.push_str(&with);
        done = to;
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// Functions with a syntax of their own, which the parser takes for others behind a schema.
const OWN_SYNTAX: [&str; 7] = ["substring", "overlay", "position", "trim", "extract", "ceil", "floor"];

/// Says `pg_catalog.substring(…)` as `substring(…)`.
pub(super) fn functions(text: &str) -> Cow<'_, str> {
    let named = text.as_bytes().windows(11).any(|word| word.eq_ignore_ascii_case(b"pg_catalog."));
    if !named {
        return Cow::Borrowed(text);
    }
    let words = Words::of(text);
    let own = |at: usize| OWN_SYNTAX.iter().any(|name| words.is(at, name));
    let changes = (0..words.tokens.len())
        .filter(|at| {
            words.is(*at, "pg_catalog") && words.at(at + 1) == "." && own(at + 2) && words.at(at + 3) == "("
        })
        .map(|at| (words.tokens[at].start, words.tokens[at + 1].end, String::new()))
        .collect();
    spliced(text, changes)
}

/// Says `OPERATOR(pg_catalog.~)` as `~`.
pub(super) fn operators(text: &str) -> Cow<'_, str> {
    let named = text.as_bytes().windows(8).any(|word| word.eq_ignore_ascii_case(b"operator"));
    if !named {
        return Cow::Borrowed(text);
    }
    let words = Words::of(text);
    let (mut out, mut done) = (String::new(), 0);
    for at in 0..words.tokens.len() {
        if !words.is(at, "operator") || words.at(at + 1) != "(" {
            continue;
        }
        let Some(close) = (at + 2..words.tokens.len()).find(|close| words.at(*close) == ")") else { break };
        let inner = text[words.tokens[at + 1].end..words.tokens[close].start].trim();
        let sign = match inner.split_once('.') {
            Some((schema, sign)) if schema.trim().trim_matches('"').eq_ignore_ascii_case("pg_catalog") => {
                sign.trim()
            }
            Some(_) => continue,
            None => inner,
        };
        if sign.is_empty() || !sign.chars().all(|c| "+-*/<>=~!@#%^&|`?".contains(c)) {
            continue;
        }
        out.push_str(&text[done..words.tokens[at].start]);
        out.push_str(sign);
        done = words.tokens[close].end;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// Leaves `SEQUENCE NAME s` out of `ALTER TABLE t ALTER c ADD GENERATED … AS IDENTITY (…)`, as dumps have it, where it is the name
/// that the sequence gets anyway; any other is left to the parser, which refuses it.
pub(super) fn identities(text: &str) -> Cow<'_, str> {
    if !text.as_bytes().windows(9).any(|word| word.eq_ignore_ascii_case(b"generated")) {
        return Cow::Borrowed(text);
    }
    let words = Words::of(text);
    if !words.is(0, "alter") || !words.is(1, "table") {
        return Cow::Borrowed(text);
    }
    let table = words.behind(2, &["if", "exists", "only"]);
    let alter = words.behind_name(table);
    let column = words.behind(alter + 1, &["column"]);
    let open = (column..words.tokens.len()).find(|at| words.at(*at) == "(");
    let Some(open) = open.filter(|open| words.is(alter, "alter") && words.is(open + 1, "sequence")) else {
        return Cow::Borrowed(text);
    };
    let name = open + 3;
    let end = words.behind_name(name);
    if !words.is(open + 2, "name") || words.tokens.len() <= end {
        return Cow::Borrowed(text);
    }
    let plain = |word: &str| word.trim_matches('"').to_owned();
    let own = format!("{}_{}_seq", plain(words.at(alter - 1)), plain(words.at(column)));
    if plain(words.at(end - 1)) != own {
        return Cow::Borrowed(text);
    }
    let (from, to) = (words.tokens[open + 1].start, words.tokens[end].start);
    Cow::Owned(format!("{}{}", &text[..from], &text[to..]))
}

/// Joins strings that go on in the next line, and reads names with Unicode escapes.
///
/// # Errors
/// `42601` for an escape that is none.
pub(super) fn strings(text: &str) -> Result<Cow<'_, str>> {
    let continued = text.contains('\n') && text.contains('\'');
    let escaped = text.as_bytes().windows(3).any(|three| three.eq_ignore_ascii_case(b"u&\""));
    if !continued && !escaped {
        return Ok(Cow::Borrowed(text));
    }
    let words = Words::of(text);
    let (mut out, mut done) = (String::new(), 0);
    let mut at = 1;
    while at < words.tokens.len() {
        let (before, token) = (words.tokens[at - 1], words.tokens[at]);
        let is_string = |token: Token| token.kind == Kind::Quoted && text[..token.end].ends_with('\'');
        if is_string(before) && is_string(token) && text[token.start..].starts_with('\'') {
            let between = &text[before.end..token.start];
            if between.contains('\n') && !between.contains("/*") {
                out.push_str(&text[done..before.end - 1]);
                done = token.start + 1;
            }
        }
        let u = at >= 1 && words.is(at - 1, "u") && words.at(at) == "&";
        if u && let Some(quoted) = words.tokens.get(at + 1).filter(|next| next.start == token.end)
            && text[quoted.start..].starts_with('"')
        {
            let inner = text[quoted.start + 1..quoted.end - 1].replace("\"\"", "\"");
            let own = words.is(at + 2, "UESCAPE").then(|| words.at(at + 3).trim_matches('\''));
            let escape = own.and_then(|escape| escape.chars().next()).unwrap_or('\\');
            let name = unescaped(&inner, escape)?;
            out.push_str(&text[done..before.start]);
            out.push_str(&format!("\"{}\"", name.replace('"', "\"\"")));
            done = if own.is_some() { words.tokens[at + 3].end } else { quoted.end };
            at += if own.is_some() { 3 } else { 1 };
        }
        at += 1;
    }
    if done == 0 {
        return Ok(Cow::Borrowed(text));
    }
    out.push_str(&text[done..]);
    Ok(Cow::Owned(out))
}

fn unescaped(text: &str, escape: char) -> Result<String> {
    let invalid = || {
        Error::new("42601", "invalid Unicode escape")
            .with_hint("Unicode escapes must be \\XXXX or \\+XXXXXX.")
    };
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(escape) {
        out.push_str(&rest[..at]);
        rest = &rest[at + escape.len_utf8()..];
        if let Some(behind) = rest.strip_prefix(escape) {
            out.push(escape);
            rest = behind;
            continue;
        }
        let (digits, behind) = match rest.strip_prefix('+') {
            Some(rest) => (rest.get(..6), rest.get(6..)),
            None => (rest.get(..4), rest.get(4..)),
        };
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or_else(invalid)?;
        out.push(char::from_u32(code).filter(|c| !matches!(c, '\0' | '\u{1}')).ok_or_else(invalid)?);
        rest = behind.unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

/// `ORDER BY x USING >` is `ORDER BY x DESC`.
pub(super) fn orders(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if !bytes.windows(5).any(|word| word.eq_ignore_ascii_case(b"USING"))
        || !bytes.iter().any(|b| matches!(b, b'<' | b'>'))
    {
        return Cow::Borrowed(text);
    }
    let words = Words::of(text);
    let (mut out, mut done) = (String::new(), 0);
    for at in 1..words.tokens.len() {
        let direction = match words.at(at) {
            ">" => " DESC",
            "<" => " ASC",
            _ => continue,
        };
        if words.is(at - 1, "USING") {
            out.push_str(&text[done..words.tokens[at - 1].start]);
            out.push_str(direction);
            done = words.tokens[at].end;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// ABORT, RESET TIME ZONE, DROP INDEX CONCURRENTLY, CREATE RECURSIVE VIEW.
pub(super) fn statements(text: &str) -> Cow<'_, str> {
    let words = Words { text, tokens: Lexer::new(text).take(12).collect() };
    if words.is(0, "ABORT") {
        return Cow::Owned(format!("ROLLBACK{}", &text[words.tokens[0].end..]));
    }
    if words.is(0, "RESET") && words.is(1, "TIME") && words.is(2, "ZONE") {
        return Cow::Owned(format!("RESET timezone{}", &text[words.tokens[2].end..]));
    }
    if words.is(0, "DROP") && words.is(1, "INDEX") && words.is(2, "CONCURRENTLY") {
        // Nobody is kept from the table while an index is dropped.
        return Cow::Owned(format!("DROP INDEX{}", &text[words.tokens[2].end..]));
    }
    if words.is(0, "COMMENT") && words.is(1, "ON") && words.is(2, "CONSTRAINT") && words.is(4, "ON") {
        return comment_on_constraint(text).map_or(Cow::Borrowed(text), Cow::Owned);
    }
    if words.is(0, "CREATE") {
        return recursive_view(text).map_or(Cow::Borrowed(text), Cow::Owned);
    }
    Cow::Borrowed(text)
}

/// Before the name of a constraint that stands in the place of a column's.
pub(crate) const CONSTRAINT_MARK: &str = "\u{1}constraint ";

/// `COMMENT ON CONSTRAINT c ON t IS …` as one on a column of the table, whose name says that it is a constraint's.
fn comment_on_constraint(text: &str) -> Option<String> {
    let words = Words::of(text);
    let behind = words.behind_name(5);
    if words.is(5, "DOMAIN") || !words.is(behind, "IS") {
        return None;
    }
    let name = match words.at(3) {
        quoted if quoted.starts_with('"') => quoted.trim_matches('"').to_owned(),
        word => word.to_lowercase(),
    };
    let table = &text[words.tokens[5].start..words.tokens[behind - 1].end];
    let rest = &text[words.tokens[behind].start..];
    Some(format!("COMMENT ON COLUMN {table}.\"{CONSTRAINT_MARK}{name}\" {rest}"))
}

fn recursive_view(text: &str) -> Option<String> {
    let mut words = Words { text, tokens: Lexer::new(text).take(6).collect() };
    let at = words.behind(1, &["OR", "REPLACE", "TEMP", "TEMPORARY"]);
    if !words.is(at, "RECURSIVE") || !words.is(at + 1, "VIEW") {
        return None;
    }
    words = Words::of(text);
    let name = at + 2;
    let (columns, behind) = words.names(words.behind_name(name))?;
    if !words.is(behind, "AS") {
        return None;
    }
    let head = &text[..words.tokens[at].start];
    let full = &text[words.tokens[name].start..words.tokens[words.behind_name(name) - 1].end];
    let own = words.at(words.behind_name(name) - 1);
    let query = text[words.tokens[behind].end..].trim_end().trim_end_matches(';');
    let columns = columns.join(", ");
    Some(format!(
        "{head}VIEW {full} AS WITH RECURSIVE {own} ({columns}) AS ({query}) SELECT {columns} FROM {own}"
    ))
}

/// Takes the names of the columns out of `CREATE TABLE t (a, b) AS …`.
pub(super) fn take_columns(text: &str) -> (Cow<'_, str>, Vec<String>) {
    let none = (Cow::Borrowed(text), Vec::new());
    let words = Words { text, tokens: Lexer::new(text).take(10).collect() };
    if !words.is(0, "CREATE") {
        return none;
    }
    let at = words.behind(1, &["GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED"]);
    if !words.is(at, "TABLE") {
        return none;
    }
    let words = Words::of(text);
    let open = words.behind_name(words.behind(at + 1, &["IF", "NOT", "EXISTS"]));
    let Some((names, behind)) = words.names(open) else { return none };
    if !["AS", "ON", "WITH", "WITHOUT", "TABLESPACE"].iter().any(|word| words.is(behind, word)) {
        return none;
    }
    let (from, to) = (words.tokens[open].start, words.tokens[behind - 1].end);
    let mut out = text.to_owned();
    out.replace_range(from..to, &" ".repeat(to - from));
    (Cow::Owned(out), names)
}

/// Takes `WITH [NO] DATA` off CREATE TABLE AS; whether there is to be none.
pub(super) fn take_no_data(text: &str) -> (Cow<'_, str>, bool) {
    let none = (Cow::Borrowed(text), false);
    let first = Words { text, tokens: Lexer::new(text).take(4).collect() };
    let is_table = first.is(0, "CREATE") && (1..4).any(|at| first.is(at, "TABLE"));
    if !is_table || !text.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"DATA")) {
        return none;
    }
    let words = Words::of(text);
    let end = words.tokens.len() - usize::from(words.at(words.tokens.len().saturating_sub(1)) == ";");
    let Some(data) = end.checked_sub(1).filter(|at| words.is(*at, "DATA")) else { return none };
    let no = data >= 1 && words.is(data - 1, "NO");
    let with = data.saturating_sub(1 + usize::from(no));
    if !words.is(with, "WITH") {
        return none;
    }
    (Cow::Owned(text[..words.tokens[with].start].to_owned()), no)
}

/// Leaves the rows of CREATE TABLE AS out.
pub(super) fn leave_rows_out(statement: &mut Statement) {
    if let Statement::CreateTable(create) = statement
        && let Some(query) = &mut create.query
    {
        let none = Expr::Value(Value::Number("0".to_owned(), false).into());
        query.fetch = None;
        query.limit_clause =
            Some(LimitClause::LimitOffset { limit: Some(none), offset: None, limit_by: Vec::new() });
    }
}

/// Gives the query of CREATE TABLE AS the names of its first columns.
///
/// # Errors
/// `42601` where the statement has no query.
pub(super) fn name_columns(statement: &mut Statement, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let Statement::CreateTable(create) = statement else {
        return Err(Error::new("42601", "syntax error: columns without types"));
    };
    let Some(query) = create.query.take() else {
        return Err(Error::new("42601", "syntax error: columns without types"));
    };
    let Statement::Query(mut around) = super::parse_text("SELECT * FROM (SELECT 1) AS cairn_columns")? else {
        return Err(Error::internal("a query is parsed as something else"));
    };
    let column = |name: &String| TableAliasColumnDef { name: ident(name), data_type: None };
    if let SetExpr::Select(select) = &mut *around.body
        && let Some(table) = select.from.first_mut()
        && let TableFactor::Derived { subquery, alias, .. } = &mut table.relation
    {
        **subquery = *query;
        let columns = names.iter().map(column).collect();
        *alias = Some(TableAlias { explicit: true, name: Ident::new("cairn_columns"), columns, at: None });
    }
    create.query = Some(around);
    Ok(())
}

fn ident(text: &str) -> Ident {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(quoted) => Ident::with_quote('"', quoted.replace("\"\"", "\"")),
        None => Ident::with_quote('"', fold(&Ident::new(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_go_on_in_the_next_line() {
        assert_eq!(strings("SELECT 'a'\n 'b' -- c\n 'c'").expect("no escapes"), "SELECT 'abc'");
        assert_eq!(strings("SELECT 'a' 'b'\n").expect("no escapes"), "SELECT 'a' 'b'\n");
        assert_eq!(strings(r#"SELECT 1 AS U&"d\0061t\+000061""#).expect("escapes"), r#"SELECT 1 AS "data""#);
        let own = r#"SELECT 1 AS u&"d!0061" UESCAPE '!', 2"#;
        assert_eq!(strings(own).expect("escapes"), r#"SELECT 1 AS "da", 2"#);
        assert!(strings(r#"SELECT 1 AS U&"\00g1""#).is_err());
    }

    #[test]
    fn views_that_read_themselves_are_said_with() {
        let text = "CREATE OR REPLACE RECURSIVE VIEW s.n (a) AS VALUES (1) UNION ALL SELECT a + 1 FROM n;";
        let said = "CREATE OR REPLACE VIEW s.n AS WITH RECURSIVE n (a) AS ( VALUES (1) UNION ALL SELECT a + 1 FROM n) SELECT a FROM n";
        assert_eq!(statements(text), said);
        assert_eq!(take_columns("CREATE TABLE t (a, \"B\") AS SELECT 1, 2").1, ["a", "\"B\""]);
        assert!(take_columns("CREATE TABLE t (a int)").1.is_empty());
    }
}
