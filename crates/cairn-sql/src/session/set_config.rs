//! `set_config('name', 'value', local)`: alone in a statement it is SET, and the value that it has then. Elsewhere it is a
//! function, whose changes are kept until the session's next statement begins.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, SelectItem, SetExpr, Statement, Value,
};

use super::State;
use super::settings::Settings;
use super::variables::{assign, fold};
use crate::Result;
use crate::context::Scope;

/// What is to be set.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SetConfig {
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

/// Sets a parameter from within a statement; the value that it will have.
///
/// # Errors
/// Those of SET.
pub(crate) fn note(scope: &Scope, name: &str, value: &str, local: bool) -> Result<String> {
    let mut settings = Settings::clone(&scope.settings);
    let mut exchange = scope.exchange.lock();
    for earlier in &exchange.settings {
        settings.set(&earlier.name, &Settings::values_of(&earlier.name, &earlier.value)?)?;
    }
    let name = name.to_lowercase();
    settings.set(&name, &Settings::values_of(&name, value)?)?;
    let shown = settings.show(&name)?;
    exchange.settings.push(SetConfig { name, value: value.to_owned(), local });
    Ok(shown)
}

/// Sets what the statement before has asked for.
///
/// # Errors
/// Those of SET.
pub(super) fn apply(state: &mut State) -> Result<()> {
    let asked = std::mem::take(&mut state.exchange.lock().settings);
    for one in asked {
        assign(state, one.local, &one.name, &Settings::values_of(&one.name, &one.value)?)?;
    }
    Ok(())
}
