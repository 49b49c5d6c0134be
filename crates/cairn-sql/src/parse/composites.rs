//! Fields of composite values: `(c).f` is a call of [`FIELD`], and `(c).*` in a select list one for each field.
//!
//! The parser does not know `*` behind an expression; a name that is a star stands there instead.

use std::borrow::Cow;
use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, Value, VisitMut, VisitorMut, WildcardAdditionalOptions,
    With,
};

use super::lexer::{Kind, Lexer, Token};
use super::rewrite::{call, string, take};
use crate::functions::composite::FIELD;
use crate::session::variables::fold;
use crate::{Error, Result};

/// `(c).*` becomes `(c)."*"`.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    if !text.contains(".*") {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut copied = 0;
    let mut before: [Option<Token>; 2] = [None, None];
    for token in Lexer::new(text) {
        let closes =
            before[0].as_ref().is_some_and(|token| matches!(token.kind, Kind::Punctuation(b')' | b']')));
        let dot = before[1].as_ref().is_some_and(|token| token.kind == Kind::Punctuation(b'.'));
        if closes && dot && &text[token.start..token.end] == "*" {
            out.push_str(&text[copied..token.start]);
            out.push_str("\"*\"");
            copied = token.end;
        }
        let [_, last] = before;
        before = [last, Some(token)];
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Writes the fields of a query as calls.
pub(crate) fn fields(query: &mut Query) {
    let _ = query.visit(&mut Fields);
}

/// The same in an expression.
pub(crate) fn fields_of(expr: &mut Expr) {
    let _ = expr.visit(&mut Fields);
}

struct Fields;

impl VisitorMut for Fields {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundFieldAccess { root, access_chain } = expr
            && access_chain.iter().any(|access| matches!(access, AccessExpr::Dot(Expr::Identifier(_))))
        {
            let mut value = take(root);
            // `t.c[1]`: names up to the first subscript are one. (`(t).c` is a field of a value.)
            if let Expr::Identifier(first) = &value {
                let is_name = |access: &AccessExpr| matches!(access, AccessExpr::Dot(Expr::Identifier(_)));
                let count = access_chain.iter().take_while(|access| is_name(access)).count();
                let mut parts = vec![first.clone()];
                parts.extend(access_chain.drain(..count).filter_map(|access| match access {
                    AccessExpr::Dot(Expr::Identifier(name)) => Some(name),
                    _ => None,
                }));
                if parts.len() > 1 {
                    value = Expr::CompoundIdentifier(parts);
                }
            }
            let mut subscripts = Vec::new();
            let subscripted = |value: Expr, chain: Vec<AccessExpr>| match chain.is_empty() {
                true => value,
                false => Expr::CompoundFieldAccess { root: Box::new(value), access_chain: chain },
            };
            for access in access_chain.drain(..) {
                match access {
                    AccessExpr::Dot(Expr::Identifier(name)) => {
                        value = subscripted(value, std::mem::take(&mut subscripts));
                        value = call(FIELD, vec![value, string(fold(&name))]);
                    }
                    other => subscripts.push(other),
                }
            }
            *expr = subscripted(value, subscripts);
        }
        ControlFlow::Continue(())
    }
}

/// The value and the name of a call of [`FIELD`].
pub(crate) fn field(expr: &Expr) -> Option<(&Expr, &str)> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(name))),
    ] = list.args.as_slice()
    else {
        return None;
    };
    match (&name.value, function.name.0.as_slice()) {
        (Value::SingleQuotedString(name), [part]) if part.as_ident().is_some_and(|p| p.value == FIELD) => {
            Some((value, name))
        }
        _ => None,
    }
}

fn star(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) => field(expr).filter(|(_, name)| *name == "*").map(|(value, _)| value),
        _ => None,
    }
}

/// Writes `(c).*` out in the select lists of a query. `names` gives the names of the fields of what a query of one column
/// gives.
///
/// # Errors
/// Those of `names`; `0A000` for a star in another place.
pub(crate) fn stars(query: &mut Query, names: &dyn Fn(Query) -> Result<Vec<String>>) -> Result<()> {
    match query.visit(&mut Stars { names, with: Vec::new() }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Stars<'n> {
    names: &'n dyn Fn(Query) -> Result<Vec<String>>,
    /// WITH of the queries that are open.
    with: Vec<Option<With>>,
}

impl Stars<'_> {
    fn select(&self, select: &mut Select) -> Result<()> {
        if !select.projection.iter().any(|item| star(item).is_some()) {
            return Ok(());
        }
        let mut out = Vec::with_capacity(select.projection.len());
        for item in std::mem::take(&mut select.projection) {
            let Some(value) = star(&item) else {
                out.push(item);
                continue;
            };
            if let Expr::Nested(inner) = value
                && let Expr::Identifier(table) = &**inner
                && names_table(select, table)
            {
                let name = ObjectName::from(vec![table.clone()]);
                out.push(SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    WildcardAdditionalOptions::default(),
                ));
                continue;
            }
            let mut query = crate::dml::relations::empty_query()?;
            query.with = self.with.iter().flatten().cloned().reduce(|mut all, more| {
                all.recursive |= more.recursive;
                all.cte_tables.extend(more.cte_tables);
                all
            });
            let own = crate::dml::relations::select_of(&mut query)?;
            own.from.clone_from(&select.from);
            own.projection = vec![SelectItem::UnnamedExpr(value.clone())];
            for name in (self.names)(query)? {
                let expr = call(FIELD, vec![value.clone(), string(&name)]);
                out.push(SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) });
            }
        }
        select.projection = out;
        Ok(())
    }
}

/// Whether a part of FROM goes by that name.
fn names_table(select: &Select, name: &Ident) -> bool {
    use sqlparser::ast::TableFactor;
    let called = |factor: &TableFactor| match factor {
        TableFactor::Table { name, alias, .. } => match alias {
            Some(alias) => Some(fold(&alias.name)),
            None => name.0.last().and_then(|part| part.as_ident()).map(fold),
        },
        TableFactor::Derived { alias, .. } | TableFactor::Function { alias, .. } => {
            alias.as_ref().map(|alias| fold(&alias.name))
        }
        _ => None,
    };
    let all = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    all.filter_map(called).any(|own| own == fold(name))
}

impl VisitorMut for Stars<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.with.push(query.with.clone());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Error> {
        self.with.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        self.select(select).map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match field(expr) {
            Some((_, "*")) => {
                ControlFlow::Break(Error::new("0A000", "row expansion via \"*\" is not supported here"))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_become_names() {
        assert_eq!(
            before_parsing("SELECT (c).*, t.*, (a[1]).* FROM t"),
            "SELECT (c).\"*\", t.*, (a[1]).\"*\" FROM t"
        );
        for same in ["SELECT '(c).*'", "SELECT t.*, (1) * 2 FROM t", "SELECT count(*) FROM t"] {
            assert_eq!(before_parsing(same), same);
        }
    }
}
