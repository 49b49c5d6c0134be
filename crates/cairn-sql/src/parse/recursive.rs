//! What PostgreSQL refuses of recursive CTEs: aggregates of the recursive term, the recursive reference on the side of an
//! outer join that may be NULL, ORDER BY and LIMIT of the whole.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Cte, Expr, Join, JoinOperator, LimitClause, Query, Select, SelectItem, SetExpr, SetOperator, TableFactor,
    TableWithJoins, VisitMut, VisitorMut,
};

use crate::session::variables::fold;
use crate::{Error, Result};

const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "array_agg",
    "string_agg",
    "bool_and",
    "bool_or",
    "every",
    "json_agg",
    "jsonb_agg",
];

/// Looks at the recursive CTEs of a query.
///
/// # Errors
/// `42P19`, `0A000`.
pub(crate) fn check(query: &mut Query) -> Result<()> {
    struct Ctes;
    impl VisitorMut for Ctes {
        type Break = Error;
        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
            let with = query.with.as_ref().filter(|with| with.recursive);
            for cte in with.iter().flat_map(|with| &with.cte_tables) {
                if let Err(error) = checked(cte) {
                    return ControlFlow::Break(error);
                }
            }
            ControlFlow::Continue(())
        }
    }
    match VisitMut::visit(query, &mut Ctes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn checked(cte: &Cte) -> Result<()> {
    let name = fold(&cte.alias.name);
    let SetExpr::SetOperation { op: SetOperator::Union, right, .. } = &*cte.query.body else { return Ok(()) };
    let SetExpr::Select(select) = &**right else { return Ok(()) };
    if !select.from.iter().any(|table| mentions(table, &name)) {
        return Ok(());
    }
    let refused =
        |what: &str| Err(Error::new("0A000", format!("{what} in a recursive query is not implemented")));
    if cte.query.order_by.is_some() {
        return refused("ORDER BY");
    }
    match &cte.query.limit_clause {
        Some(LimitClause::LimitOffset { limit: Some(_), .. } | LimitClause::OffsetCommaLimit { .. }) => {
            return refused("LIMIT");
        }
        Some(LimitClause::LimitOffset { offset: Some(_), .. }) => return refused("OFFSET"),
        _ => {}
    }
    if cte.query.fetch.is_some() {
        return refused("LIMIT");
    }
    if select.projection.iter().any(aggregates) {
        return Err(Error::new(
            "42P19",
            "aggregate functions are not allowed in a recursive query's recursive term",
        ));
    }
    joins(select, &name)
}

fn is(factor: &TableFactor, name: &str) -> bool {
    match factor {
        TableFactor::Table { name: own, args: None, .. } => match own.0.as_slice() {
            [part] => part.as_ident().is_some_and(|ident| fold(ident) == name),
            _ => false,
        },
        TableFactor::NestedJoin { table_with_joins, .. } => mentions(table_with_joins, name),
        _ => false,
    }
}

fn mentions(table: &TableWithJoins, name: &str) -> bool {
    is(&table.relation, name) || table.joins.iter().any(|join| is(&join.relation, name))
}

/// Whether a result column is an aggregate of the SELECT itself.
fn aggregates(item: &SelectItem) -> bool {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return false };
    is_aggregate(expr)
}

fn is_aggregate(expr: &Expr) -> bool {
    match expr {
        Expr::Function(call) => {
            let name = call.name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
            call.over.is_none() && AGGREGATES.contains(&name.as_str())
        }
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::UnaryOp { expr: inner, .. } => {
            is_aggregate(inner)
        }
        Expr::BinaryOp { left, right, .. } => is_aggregate(left) || is_aggregate(right),
        _ => false,
    }
}

fn joins(select: &Select, name: &str) -> Result<()> {
    for table in &select.from {
        let mut left = is(&table.relation, name);
        for Join { relation, join_operator, .. } in &table.joins {
            let right = is(relation, name);
            let nullable = match join_operator {
                JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => right,
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => left,
                JoinOperator::FullOuter(_) => left || right,
                _ => false,
            };
            if nullable {
                return Err(Error::new(
                    "42P19",
                    format!("recursive reference to query \"{name}\" must not appear within an outer join"),
                ));
            }
            left |= right;
        }
    }
    Ok(())
}
