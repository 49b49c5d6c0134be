//! `t.*` of a table that FROM names with its schema, `FROM s.t`: written with the schema too, which the planner asks for.

use std::ops::ControlFlow;

use sqlparser::ast::{
    ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, TableFactor, TableWithJoins,
    VisitMut, VisitorMut,
};

use crate::session::variables::fold;

/// Rewrites a query.
pub(super) fn complete(query: &mut Query) {
    let _ = VisitMut::visit(query, &mut Stars);
}

struct Stars;

impl VisitorMut for Stars {
    type Break = ();

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
            else {
                continue;
            };
            if let Some(full) = full_name(&select.from, name) {
                *name = full;
            }
        }
        ControlFlow::Continue(())
    }
}

/// The name with its schema of the one table in FROM that a bare name means.
fn full_name(from: &[TableWithJoins], name: &ObjectName) -> Option<ObjectName> {
    let [part] = name.0.as_slice() else { return None };
    let wanted = fold(part.as_ident()?);
    let mut found = Vec::new();
    from.iter().for_each(|table| tables(table, &mut found));
    // An alias of that name hides the table.
    let mut meant = found.iter().filter(|(called, _)| *called == wanted);
    match (meant.next(), meant.next()) {
        (Some((_, Some(full))), None) => Some(full.clone()),
        _ => None,
    }
}

/// What the parts of FROM are called, and the names of more than one part among them.
fn tables(table: &TableWithJoins, found: &mut Vec<(String, Option<ObjectName>)>) {
    let factors = std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation));
    for factor in factors {
        match factor {
            TableFactor::Table { name, alias: None, args: None, .. } => {
                let last = name.0.last().and_then(|part| part.as_ident());
                let full = (name.0.len() > 1).then(|| name.clone());
                found.extend(last.map(|last| (fold(last), full)));
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => tables(table_with_joins, found),
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => {
                found.extend(alias.as_ref().map(|alias| (fold(&alias.name), None)));
            }
            _ => {}
        }
    }
}
