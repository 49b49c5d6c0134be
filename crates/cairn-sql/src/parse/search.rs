//! SEARCH and CYCLE of recursive CTEs, which the parser does not know: they are taken out of the text, and become columns of
//! the CTE, as PostgreSQL says it does it.
//!
//! ```text
//!   g(a, b) AS (L UNION ALL R) SEARCH DEPTH FIRST BY a SET s CYCLE b SET c USING p
//!     ─▶ g(a, b, s, c, p) AS (WITH RECURSIVE r AS (
//!            SELECT a, b, ARRAY[ROW(a)], false, ARRAY[ROW(b)] FROM (L)
//!            UNION ALL
//!            SELECT a, b, s || ARRAY[ROW(a)], ROW(b) = ANY (p), p || ARRAY[ROW(b)] FROM (R with r.s and r.p) WHERE NOT c)
//!        SELECT a, b, s, c, p FROM r)
//! ```
//! I1: the text of the clauses stands, behind [`MARK`], among the names of the CTE's columns, as the last.

use std::borrow::Cow;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Cte, Expr, Ident, Query, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    SetOperator, Statement, TableAliasColumnDef, TableFactor, VisitMut, VisitorMut,
};

use super::lexer::{Kind, Lexer, Token};
use super::names::exact;
use super::rewrite::column_name;
use super::spelling;
use crate::session::variables::fold;
use crate::{Error, Result};

const MARK: &str = "\u{1}search ";

/// Takes the clauses out of a text.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    let has = |word: &[u8]| text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    if !has(b"RECURSIVE") && !has(b" FIRST BY ") || !has(b"SEARCH") && !has(b"CYCLE") {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let of = |at: usize| tokens.get(at).map_or("", |token| &text[token.start..token.end]);
    let is = |at: usize, word: &str| {
        tokens.get(at).is_some_and(|token| token.kind == Kind::Word) && of(at).eq_ignore_ascii_case(word)
    };
    let punctuation = |at: usize, byte: u8| tokens[at].kind == Kind::Punctuation(byte);
    // Changes of the text: from, to, what stands there then.
    let mut changes: Vec<(usize, usize, String)> = Vec::new();
    let mut at = 1;
    while at < tokens.len() {
        let begins =
            is(at, "SEARCH") && (is(at + 1, "DEPTH") || is(at + 1, "BREADTH")) && is(at + 2, "FIRST")
                || is(at, "CYCLE") && tokens.len() > at + 3;
        if !begins || !punctuation(at - 1, b')') {
            at += 1;
            continue;
        }
        let start = at;
        let mut ends = at;
        if is(at, "SEARCH") {
            while at < tokens.len() && !is(at, "SET") {
                at += 1;
            }
            at += 2;
            ends = at;
        }
        if is(at, "CYCLE") {
            while at < tokens.len() && !is(at, "USING") {
                at += 1;
            }
            at += 2;
            ends = at;
        }
        let end = tokens.get(ends - 1).map_or(text.len(), |token| token.end);
        let clause = text[tokens[start].start..end].replace('"', "\"\"");
        let mut depth = 0usize;
        let open = (0..start).rev().find(|at| {
            depth += usize::from(punctuation(*at, b')'));
            depth -= usize::from(punctuation(*at, b'('));
            depth == 0
        });
        let Some(head) = open.and_then(|open| (0..open).rev().find(|at| is(*at, "AS"))) else { continue };
        let Some(last) = head.checked_sub(1) else { continue };
        let noted = match punctuation(last, b')') {
            true => (tokens[last].start, format!(", \"{MARK}{clause}\"")),
            false => (tokens[last].end, format!(" (\"{MARK}{clause}\")")),
        };
        changes.push((noted.0, noted.0, noted.1));
        changes.push((tokens[start].start, end, String::new()));
    }
    spelling::spliced(text, changes)
}

/// Puts the columns of the clauses into the queries of a statement.
///
/// # Errors
/// `42601`, `42701`, `42703`; `0A000`.
pub(crate) fn rewrite(text: &str, statement: &mut Statement) -> Result<()> {
    if !text.contains(MARK) {
        return Ok(());
    }
    struct Ctes;
    impl VisitorMut for Ctes {
        type Break = Error;
        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
            let Some(with) = &mut query.with else { return ControlFlow::Continue(()) };
            let recursive = with.recursive;
            for cte in &mut with.cte_tables {
                let noted = cte.alias.columns.pop_if(|column| column.name.value.starts_with(MARK));
                if let Some(noted) = noted
                    && let Err(error) = expanded(cte, &noted.name.value[MARK.len()..], recursive)
                {
                    return ControlFlow::Break(error);
                }
            }
            ControlFlow::Continue(())
        }
    }
    match VisitMut::visit(statement, &mut Ctes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// SEARCH.
struct Search {
    depth: bool,
    by: Vec<String>,
    set: String,
}

/// CYCLE.
struct Cycle {
    columns: Vec<String>,
    set: String,
    to: String,
    default: String,
    using: String,
}

/// The clauses of a text.
fn read(text: &str) -> Result<(Option<Search>, Option<Cycle>)> {
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let of = |at: usize| tokens.get(at).map_or("", |token| &text[token.start..token.end]);
    let is = |at: usize, word: &str| of(at).eq_ignore_ascii_case(word);
    let name = |at: usize| match of(at).strip_prefix('"') {
        Some(quoted) => quoted.trim_end_matches('"').to_owned(),
        None => of(at).to_lowercase(),
    };
    let error = |at: usize| Error::new("42601", format!("syntax error at or near \"{}\"", of(at)));
    let names = |from: usize| {
        let (mut names, mut at) = (vec![name(from)], from + 1);
        while is(at, ",") {
            names.push(name(at + 1));
            at += 2;
        }
        (names, at)
    };
    let (mut search, mut cycle, mut at) = (None, None, 0);
    if is(at, "SEARCH") {
        if !is(3, "BY") {
            return Err(error(3));
        }
        let (by, next) = names(4);
        if !is(next, "SET") {
            return Err(error(next));
        }
        search = Some(Search { depth: is(1, "DEPTH"), by, set: name(next + 1) });
        at = next + 2;
    }
    if is(at, "CYCLE") {
        let (columns, mut next) = names(at + 1);
        if !is(next, "SET") {
            return Err(error(next));
        }
        let set = name(next + 1);
        next += 2;
        let (mut to, mut default) = ("true".to_owned(), "false".to_owned());
        if is(next, "TO") {
            let from = next + 1;
            while next < tokens.len() && !is(next, "DEFAULT") {
                next += 1;
            }
            let middle = next;
            while next < tokens.len() && !is(next, "USING") {
                next += 1;
            }
            if middle == tokens.len() || next == tokens.len() {
                return Err(error(from));
            }
            to = text[tokens[from].start..tokens[middle].start].trim().to_owned();
            default = text[tokens[middle].end..tokens[next].start].trim().to_owned();
        }
        if !is(next, "USING") {
            return Err(error(next));
        }
        cycle = Some(Cycle { columns, set, to, default, using: name(next + 1) });
    }
    Ok((search, cycle))
}

fn expanded(cte: &mut Cte, clauses: &str, recursive: bool) -> Result<()> {
    let (search, cycle) = read(clauses)?;
    let clause = if search.is_some() { "SEARCH" } else { "CYCLE" };
    let name = fold(&cte.alias.name);
    let not_so = |what: &str| Error::new("42601", format!("{what} of a WITH query with SEARCH or CYCLE"));
    if !recursive {
        return Err(Error::new("42601", "WITH query is not recursive"));
    }
    let SetExpr::SetOperation { op: SetOperator::Union, set_quantifier, left, right } = &*cte.query.body
    else {
        return Err(Error::new(
            "42601",
            "with a SEARCH or CYCLE clause, the right side of the UNION must be a SELECT",
        ));
    };
    let (SetExpr::Select(first), SetExpr::Select(_)) = (&**left, &**right) else {
        return Err(Error::new(
            "0A000",
            "with a SEARCH or CYCLE clause, the left and right side of the UNION must be a SELECT",
        ));
    };
    let mut columns: Vec<String> = cte.alias.columns.iter().map(|column| fold(&column.name)).collect();
    for item in first.projection.iter().skip(columns.len()) {
        columns.push(match item {
            SelectItem::UnnamedExpr(expr) => column_name(expr),
            SelectItem::ExprWithAlias { alias, .. } => fold(alias),
            _ if cte.alias.columns.is_empty() => {
                return Err(Error::unsupported(format!("* in the query of a {clause} clause"))
                    .with_hint("Name the columns of the WITH query."));
            }
            _ => break,
        });
    }
    let known = |of: &str, names: &[String]| -> Result<()> {
        for (at, own) in names.iter().enumerate() {
            if !columns.contains(own) {
                let message = format!("{of} column \"{own}\" not in WITH query column list");
                return Err(Error::new("42601", message));
            }
            if names[..at].contains(own) {
                return Err(Error::new("42701", format!("{of} column \"{own}\" specified more than once")));
            }
        }
        Ok(())
    };
    let mut added: Vec<(&str, &String)> = Vec::new();
    if let Some(search) = &search {
        known("search", &search.by)?;
        added.push(("search sequence", &search.set));
    }
    if let Some(cycle) = &cycle {
        known("cycle", &cycle.columns)?;
        added.push(("cycle mark", &cycle.set));
        added.push(("cycle path", &cycle.using));
    }
    for (at, (what, own)) in added.iter().enumerate() {
        if columns.contains(own) {
            let message = format!("{what} column name \"{own}\" already used in WITH query column list");
            return Err(Error::new("42701", message));
        }
        if let Some((other, _)) = added[..at].iter().find(|(_, name)| name == own) {
            return Err(Error::new(
                "42601",
                format!("{other} column name and {what} column name are the same"),
            ));
        }
    }
    let inner = format!("cairn_{name}");
    let step = stepped(right, &name, &inner, &columns, search.as_ref(), cycle.as_ref())?
        .ok_or_else(|| not_so("this form"))?;
    let text = said(&inner, &columns, &left.to_string(), &step, &set_quantifier.to_string(), &search, &cycle);
    let Statement::Query(query) = super::parse_text(&text)? else {
        return Err(Error::internal("a query was expected"));
    };
    let SetExpr::Select(_) = &*query.body else { return Err(Error::internal("a SELECT was expected")) };
    let shown = columns.iter().chain(added.iter().map(|(_, name)| *name));
    cte.alias.columns =
        shown.map(|name| TableAliasColumnDef { name: exact(name), data_type: None }).collect();
    cte.query = query;
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn row(of: &str, names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{of}.{}", quoted(name))).collect();
    format!("ROW({})", names.join(", "))
}

/// The query of the new CTE.
fn said(
    inner: &str,
    columns: &[String],
    first: &str,
    step: &str,
    quantifier: &str,
    search: &Option<Search>,
    cycle: &Option<Cycle>,
) -> String {
    let list = |of: &str| columns.iter().map(|name| format!("{of}{}", quoted(name))).collect::<Vec<_>>();
    let (mut names, mut begins, mut goes) = (list(""), list("a."), list("b."));
    let mut shown = list("");
    if let Some(search) = search {
        names.push("cairn_sequence".to_owned());
        if search.depth {
            begins.push(format!("ARRAY[{}]", row("a", &search.by)));
            goes.push(format!("b.cairn_sequence || ARRAY[{}]", row("b", &search.by)));
            shown.push("cairn_sequence".to_owned());
        } else {
            begins.push("0::bigint".to_owned());
            goes.push("b.cairn_sequence + 1".to_owned());
            let by: Vec<String> = search.by.iter().map(|name| quoted(name)).collect();
            shown.push(format!("ROW(cairn_sequence, {})", by.join(", ")));
        }
    }
    if let Some(cycle) = cycle {
        names.extend(["cairn_mark", "cairn_path"].map(str::to_owned));
        let (to, default) = (&cycle.to, &cycle.default);
        begins.push(default.clone());
        begins.push(format!("ARRAY[{}]", row("a", &cycle.columns)));
        let own = row("b", &cycle.columns);
        goes.push(format!("CASE WHEN {own} = ANY (b.cairn_path) THEN {to} ELSE {default} END"));
        goes.push(format!("b.cairn_path || ARRAY[{own}]"));
        shown.extend(["cairn_mark", "cairn_path"].map(str::to_owned));
    }
    let mut given = list("");
    given.extend(search.iter().map(|_| "cairn_sequence".to_owned()));
    given.extend(cycle.iter().map(|_| "cairn_path".to_owned()));
    let inner = quoted(inner);
    format!(
        "WITH RECURSIVE {inner}({}) AS (SELECT {} FROM ({first}) AS a({}) UNION {quantifier} SELECT {} FROM ({step}) \
         AS b({})) SELECT {} FROM {inner}",
        names.join(", "),
        begins.join(", "),
        list("").join(", "),
        goes.join(", "),
        given.join(", "),
        shown.join(", ")
    )
}

/// The recursive term with what it takes of the rows before; `None` where it does not take them in its own FROM.
fn stepped(
    right: &SetExpr,
    name: &str,
    inner: &str,
    columns: &[String],
    search: Option<&Search>,
    cycle: Option<&Cycle>,
) -> Result<Option<String>> {
    let SetExpr::Select(select) = right else { return Ok(None) };
    let mut select = select.clone();
    let mut found: Option<Ident> = None;
    let mut look = |factor: &mut TableFactor| {
        if let TableFactor::Table { name: own, alias, args: None, .. } = factor
            && let [part] = own.0.as_slice()
            && part.as_ident().is_some_and(|ident| fold(ident) == name)
        {
            *own = exact(inner).into();
            let alias = alias.get_or_insert_with(|| sqlparser::ast::TableAlias {
                explicit: true,
                name: exact(name),
                columns: Vec::new(),
                at: None,
            });
            found = Some(alias.name.clone());
        }
    };
    for table in &mut select.from {
        look(&mut table.relation);
        for join in &mut table.joins {
            look(&mut join.relation);
        }
    }
    let Some(alias) = found else { return Ok(None) };
    let of = |column: &str| Expr::CompoundIdentifier(vec![alias.clone(), exact(column)]);
    let mut items = Vec::with_capacity(select.projection.len() + 2);
    for item in std::mem::take(&mut select.projection) {
        match &item {
            SelectItem::Wildcard(_) => {
                return Err(Error::unsupported("* in the recursive term of a SEARCH or CYCLE clause")
                    .with_hint("Name the columns."));
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(own), _)
                if own.0.last().and_then(|part| part.as_ident()).map(fold) == Some(fold(&alias)) =>
            {
                items.extend(columns.iter().map(|column| SelectItem::UnnamedExpr(of(column))));
            }
            _ => items.push(item),
        }
    }
    if search.is_some() {
        items.push(SelectItem::UnnamedExpr(of("cairn_sequence")));
    }
    if let Some(cycle) = cycle {
        items.push(SelectItem::UnnamedExpr(of("cairn_path")));
        let Statement::Query(query) = super::parse_text(&format!("SELECT ({})", cycle.to))? else {
            return Ok(None);
        };
        let SetExpr::Select(to) = *query.body else { return Ok(None) };
        let Some(SelectItem::UnnamedExpr(to)) = to.projection.into_iter().next() else { return Ok(None) };
        let goes_on = Expr::BinaryOp {
            left: Box::new(of("cairn_mark")),
            op: BinaryOperator::NotEq,
            right: Box::new(to),
        };
        select.selection = Some(match select.selection.take() {
            Some(own) => Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(own))),
                op: BinaryOperator::And,
                right: Box::new(goes_on),
            },
            None => goes_on,
        });
    }
    select.projection = items;
    Ok(Some(SetExpr::Select(select).to_string()))
}
