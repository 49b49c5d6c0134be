//! `ARRAY(SELECT …)` and `JSON_ARRAY(SELECT …)`: the rows of a query with one column as an array, in the order that the query gives them. It becomes an
//! aggregate over the query, ordered by the number that a window function gives each row.

use sqlparser::ast::{
    Distinct, Expr, Function, FunctionArguments, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr,
    Statement, Value,
};

use crate::session::variables::fold;
use crate::{Error, Result};

/// Rewrites an expression; whether it was one of these.
///
/// # Errors
/// `42601` for a query of several columns.
pub(super) fn rewrite(expr: &mut Expr) -> Result<bool> {
    let Expr::Function(Function { name, args: FunctionArguments::Subquery(query), .. }) = expr else {
        return Ok(false);
    };
    let json = name.to_string().eq_ignore_ascii_case("json_array");
    if !json && !name.to_string().eq_ignore_ascii_case("array") {
        return Ok(false);
    }
    if let SetExpr::Select(select) = &*query.body
        && select.projection.len() > 1
    {
        return Err(Error::new("42601", "subquery must return only one column"));
    }
    // What makes one value of the rows in that order.
    let agg = |order: &str| match json {
        true => format!("coalesce(json_agg_strict(__v{order}), '[]') AS json_array"),
        false => format!("{}(array_agg(__v{order}))", crate::functions::array::OR_EMPTY),
    };
    let text = match orders(query) {
        None => format!("SELECT {} FROM ({query}) AS __q(__v)", agg("")),
        Some(orders) => match numbered(query, &orders) {
            Some(numbered) => {
                format!("SELECT {} FROM ({numbered}) AS __q(__v, __o)", agg(" ORDER BY __o"))
            }
            None => {
                let direction = orders.first().map_or("", |(_, direction)| direction);
                let order = format!(" ORDER BY __v{direction}");
                format!("SELECT {} FROM ({query}) AS __q(__v)", agg(&order))
            }
        },
    };
    let Statement::Query(rewritten) = super::parse_text(&text)? else {
        return Err(Error::internal("a query was expected"));
    };
    // In brackets it is one value beside ANY and ALL, too.
    *expr = Expr::Nested(Box::new(Expr::Subquery(rewritten)));
    Ok(true)
}

/// What a query is ordered by, with the directions; none where it is not.
fn orders(query: &Query) -> Option<Vec<(Expr, String)>> {
    let OrderBy { kind: OrderByKind::Expressions(orders), .. } = query.order_by.as_ref()? else {
        return None;
    };
    let direction = |order: &sqlparser::ast::OrderByExpr| {
        let text = order.to_string();
        text.strip_prefix(&order.expr.to_string()).unwrap_or_default().to_owned()
    };
    Some(orders.iter().map(|order| (order.expr.clone(), direction(order))).collect())
}

/// The query with the number of each row as a second column; none where its order names its result alone.
fn numbered(query: &Query, orders: &[(Expr, String)]) -> Option<Query> {
    let SetExpr::Select(select) = &*query.body else { return None };
    if matches!(select.distinct, Some(Distinct::Distinct | Distinct::On(_))) {
        return None;
    }
    let item = select.projection.first()?;
    let parts: Vec<String> = orders
        .iter()
        .map(|(expr, direction)| Some(format!("{}{direction}", meant(expr, item)?)))
        .collect::<Option<_>>()?;
    let number =
        super::parse_text(&format!("SELECT row_number() OVER (ORDER BY {})", parts.join(", "))).ok()?;
    let Statement::Query(number) = number else { return None };
    let SetExpr::Select(number) = *number.body else { return None };
    let mut query = query.clone();
    let SetExpr::Select(own) = &mut *query.body else { return None };
    own.projection.extend(Select::clone(&number).projection);
    Some(query)
}

/// An expression of ORDER BY where positions and aliases are not known.
fn meant(expr: &Expr, item: &SelectItem) -> Option<Expr> {
    let (value, alias) = match item {
        SelectItem::UnnamedExpr(value) => (value, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(fold(alias))),
        _ => return None,
    };
    match expr {
        Expr::Value(number) if matches!(number.value, Value::Number(..)) => Some(value.clone()),
        Expr::Identifier(name) if Some(fold(name)) == alias => Some(value.clone()),
        other => Some(other.clone()),
    }
}
