//! `CREATE TABLE t AS EXECUTE name (…)`: the parser wants a query there, so it gets one that says which statement is meant,
//! and with which arguments; the session puts that statement's query in its place.

use std::borrow::Cow;
use std::ops::ControlFlow;

use sqlparser::ast::{
    CreateTable, Expr, ObjectName, Query, Select, SelectItem, SetExpr, TableFactor, Visit, VisitMut, Visitor,
    VisitorMut,
};

use super::spelling::Words;

/// Stands before the name of the statement.
const MARK: &str = "\u{1}execute";

/// Says EXECUTE as a query.
pub(super) fn before_parsing(text: &str) -> Cow<'_, str> {
    let first = Words::first(text, 5);
    let is_table = first.is(0, "CREATE") && (1..5).any(|at| first.is(at, "TABLE"));
    if !is_table || !text.as_bytes().windows(7).any(|word| word.eq_ignore_ascii_case(b"EXECUTE")) {
        return Cow::Borrowed(text);
    }
    let words = Words::of(text);
    let count = words.tokens.len();
    let Some(at) = (1..count).find(|at| words.is(at - 1, "AS") && words.is(*at, "EXECUTE")) else {
        return Cow::Borrowed(text);
    };
    let (Some(name), rest) = (words.tokens.get(at + 1), at + 2) else { return Cow::Borrowed(text) };
    let (mut arguments, mut behind) = ("", name.end);
    if words.at(rest) == "(" {
        let mut depth = 0usize;
        for next in rest..count {
            match words.at(next) {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                arguments = &text[words.tokens[rest].end..words.tokens[next].start];
                behind = words.tokens[next].end;
                break;
            }
        }
    }
    let (head, name) = (&text[..words.tokens[at].start], words.at(at + 1));
    let tail = &text[behind..];
    Cow::Owned(format!("{head}SELECT {arguments} FROM \"{MARK}\".{name}{tail}"))
}

/// The name and the arguments of the statement that a CREATE TABLE runs.
pub(crate) fn read(create: &CreateTable) -> Option<(ObjectName, Vec<Expr>)> {
    struct Find(Option<(ObjectName, Vec<Expr>)>);
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.0 = executed(query);
            if self.0.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    let mut find = Find(None);
    let _ = Visit::visit(create.query.as_ref()?, &mut find);
    find.0
}

/// Puts the statement's query in its place.
pub(crate) fn replace(create: &mut CreateTable, with: &Query) {
    struct Replace<'q>(&'q Query);
    impl VisitorMut for Replace<'_> {
        type Break = ();
        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
            if executed(query).is_none() {
                return ControlFlow::Continue(());
            }
            *query.body = SetExpr::Query(Box::new(self.0.clone()));
            ControlFlow::Break(())
        }
    }
    let _ = VisitMut::visit(&mut create.query, &mut Replace(with));
}

fn executed(query: &Query) -> Option<(ObjectName, Vec<Expr>)> {
    let SetExpr::Select(select) = &*query.body else { return None };
    let Select { from, projection, .. } = &**select;
    let [table] = from.as_slice() else { return None };
    let TableFactor::Table { name, .. } = &table.relation else { return None };
    let [mark, own] = name.0.as_slice() else { return None };
    if mark.as_ident()?.value != MARK {
        return None;
    }
    let argument = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) => Some(expr.clone()),
        _ => None,
    };
    let arguments = projection.iter().map(argument).collect::<Option<Vec<Expr>>>()?;
    Some((ObjectName(vec![own.clone()]), arguments))
}
