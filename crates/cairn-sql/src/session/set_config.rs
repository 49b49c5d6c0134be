//! `SELECT set_config('name', 'value', local)`, alone in a statement: SET, and the value that it has then.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, SelectItem, SetExpr, Statement, Value,
};

use super::variables::fold;

/// What is to be set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SetConfig {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) local: bool,
}

/// What a statement sets; `None` for any other statement.
pub(super) fn of(statement: &Statement) -> Option<SetConfig> {
    let Statement::Query(query) = statement else { return None };
    let SetExpr::Select(select) = &*query.body else { return None };
    let [
        SelectItem::UnnamedExpr(Expr::Function(function))
        | SelectItem::ExprWithAlias { expr: Expr::Function(function), .. },
    ] = select.projection.as_slice()
    else {
        return None;
    };
    let name = function.name.0.last()?.as_ident()?;
    if fold(name) != "set_config" || !select.from.is_empty() || select.selection.is_some() {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    let value = |at: usize| match list.args.get(at)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => Some(&value.value),
        _ => None,
    };
    let text = |at: usize| match value(at)? {
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text.clone()),
        _ => None,
    };
    let Value::Boolean(local) = value(2)? else { return None };
    Some(SetConfig { name: text(0)?.to_lowercase(), value: text(1)?, local: *local })
}
