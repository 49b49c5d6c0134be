//! Whether a part of FROM has a row: a part that an outer join may leave without one gets a column that is NULL only then, a
//! table its row key, a subquery a constant. `*` is written out where such a column was added, so that it does not show.

use cairn_engine::table::ROW_KEY;
use sqlparser::ast::{
    Expr, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins,
};

use super::names::exact;
use super::scopes::Item;
use crate::catalog;
use crate::session::variables::fold;

/// What subqueries get.
pub(super) const THERE: &str = "__cairn_there";

/// Adds the column to the parts that are `wanted` and have none, as far as all columns of the FROM are known. `place` tells
/// schema and name of a table.
pub(super) fn add(
    select: &mut Select,
    items: &mut [Item],
    wanted: &[usize],
    place: &dyn Fn(u32) -> Option<(String, String)>,
) {
    let stars = select
        .projection
        .iter()
        .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    if wanted.is_empty() || stars && items.iter().any(|item| item.columns.is_none() || item.name.is_empty()) {
        return;
    }
    if stars {
        write_out(select, items);
    }
    for at in wanted {
        let item = &mut items[*at];
        let found = select.from.iter_mut().find_map(|table| factor(table, &item.name));
        let added = found.and_then(|factor| match (item.table, &factor) {
            (_, TableFactor::Table { name, .. }) if catalog::is_with_row_key(name) => Some(ROW_KEY),
            (Some((id, _)), _) => with_key(factor, &place(id)?, &item.name),
            (None, _) => with_constant(factor),
        });
        item.present = added.map(str::to_owned);
    }
}

/// The part of FROM of that name.
fn factor<'f>(table: &'f mut TableWithJoins, wanted: &str) -> Option<&'f mut TableFactor> {
    let joined = table.joins.iter_mut().map(|join| &mut join.relation);
    for factor in std::iter::once(&mut table.relation).chain(joined) {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
            if let Some(found) = self::factor(table_with_joins, wanted) {
                return Some(found);
            }
            continue;
        }
        let name = match &*factor {
            TableFactor::Table { name, alias, args: None, .. } => alias
                .as_ref()
                .map(|alias| fold(&alias.name))
                .or_else(|| name.0.last().and_then(|part| part.as_ident()).map(fold)),
            TableFactor::Derived { alias: Some(alias), lateral: false, .. } => Some(fold(&alias.name)),
            _ => None,
        };
        if name.as_deref() == Some(wanted) {
            return Some(factor);
        }
    }
    None
}

fn add_to(alias: &mut TableAlias, column: &str) {
    if !alias.columns.is_empty() {
        alias.columns.push(TableAliasColumnDef { name: exact(column), data_type: None });
    }
}

fn with_key(factor: &mut TableFactor, place: &(String, String), called: &str) -> Option<&'static str> {
    let TableFactor::Table { name, alias, sample: None, .. } = factor else { return None };
    *name = catalog::with_row_key(&place.0, &place.1);
    match alias {
        Some(alias) => add_to(alias, ROW_KEY),
        None => {
            *alias = Some(TableAlias { explicit: true, name: exact(called), columns: Vec::new(), at: None });
        }
    }
    Some(ROW_KEY)
}

fn with_constant(factor: &mut TableFactor) -> Option<&'static str> {
    let TableFactor::Derived { subquery, alias: Some(alias), .. } = factor else { return None };
    let text = format!("SELECT *, true AS \"{THERE}\" FROM (SELECT 1) AS cairn_inner");
    let Ok(Statement::Query(mut around)) = super::parse_text(&text) else { return None };
    let inner = inner_of(&mut around)?;
    std::mem::swap(inner, subquery);
    *subquery = around;
    add_to(alias, THERE);
    Some(THERE)
}

fn inner_of(query: &mut Query) -> Option<&mut Box<Query>> {
    let SetExpr::Select(select) = &mut *query.body else { return None };
    match &mut select.from.first_mut()?.relation {
        TableFactor::Derived { subquery, .. } => Some(subquery),
        _ => None,
    }
}

/// Writes `*` and `t.*` out.
fn write_out(select: &mut Select, items: &[Item]) {
    let columns = |item: &Item| -> Vec<SelectItem> {
        let column = |name: &String| {
            let expr = Expr::CompoundIdentifier([&item.name, name].map(|part| exact(part)).to_vec());
            SelectItem::ExprWithAlias { expr, alias: exact(name) }
        };
        item.columns.iter().flatten().map(column).collect()
    };
    for shown in std::mem::take(&mut select.projection) {
        match &shown {
            SelectItem::Wildcard(_) => select.projection.extend(items.iter().flat_map(columns)),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let own = name.0.last().and_then(|part| part.as_ident()).map(fold);
                match items.iter().find(|item| Some(&item.name) == own.as_ref()) {
                    Some(item) => select.projection.extend(columns(item)),
                    None => select.projection.push(shown),
                }
            }
            _ => select.projection.push(shown),
        }
    }
}
