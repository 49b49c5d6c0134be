//! SET, SHOW, RESET and DISCARD.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use cairn_types::DataType;
use sqlparser::ast::{ContextModifier, Expr, Ident, Reset, ResetStatement, Set, UnaryOperator, Value};

use super::settings::Settings;
use super::{State, custom, transaction};
use crate::engine::Shared;
use crate::results::{Column, Results, StatementResult};
use crate::{Error, Result};

/// An identifier as it is compared: unquoted ones in lower case.
pub(crate) fn fold(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// SET.
pub(super) fn set(shared: &Shared, state: &mut State, set: &Set) -> Result<StatementResult> {
    match set {
        Set::SingleAssignment { scope, variable, values, .. } => {
            let name = variable
                .0
                .iter()
                .map(|part| part.as_ident().map_or_else(|| part.to_string(), fold))
                .collect::<Vec<_>>()
                .join(".");
            if let [Expr::Identifier(word)] = values.as_slice()
                && word.quote_style.is_none()
                && word.value.eq_ignore_ascii_case("default")
                && custom::is_custom(&name)
            {
                return change(state, local(scope.as_ref()), |settings| settings.reset(&name));
            }
            let values = values.iter().map(value_text).collect::<Result<Vec<_>>>()?;
            assign(state, local(scope.as_ref()), &name, &values)
        }
        Set::SetTimeZone { local, value } => assign(state, *local, "timezone", &[value_text(value)?]),
        Set::SetNames { charset_name, .. } => {
            assign(state, false, "client_encoding", std::slice::from_ref(&charset_name.value))
        }
        Set::SetNamesDefault {} => assign(state, false, "client_encoding", &["UTF8".to_owned()]),
        Set::SetTransaction { modes, snapshot, session } => {
            if snapshot.is_some() {
                return Err(Error::unsupported("SET TRANSACTION SNAPSHOT"));
            }
            if !session {
                return transaction::set_transaction(shared, state, modes);
            }
            let modes = transaction::Modes::read(modes)?;
            change(state, false, |settings| {
                settings.default_isolation = modes.isolation.unwrap_or(settings.default_isolation);
                settings.default_read_only = modes.read_only.unwrap_or(settings.default_read_only);
                Ok(())
            })
        }
        other => Err(Error::unsupported(other.to_string())),
    }
}

fn local(scope: Option<&ContextModifier>) -> bool {
    matches!(scope, Some(ContextModifier::Local))
}

/// The text of a SET value: a literal, a word, a signed number.
pub(crate) fn value_text(expr: &Expr) -> Result<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text)
            | Value::DoubleQuotedString(text)
            | Value::EscapedStringLiteral(text) => Ok(text.clone()),
            Value::Number(number, _) => Ok(number.clone()),
            Value::Boolean(on) => Ok(if *on { "on" } else { "off" }.to_owned()),
            other => Ok(other.to_string()),
        },
        Expr::Identifier(ident) => Ok(fold(ident)),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Ok(format!("-{}", value_text(expr)?)),
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => value_text(expr),
        Expr::Interval(interval) => value_text(&interval.value),
        other => Err(Error::new("42601", format!("invalid value in SET: {other}"))),
    }
}

/// SET of a parameter.
pub(super) fn assign(
    state: &mut State,
    local: bool,
    name: &str,
    values: &[String],
) -> Result<StatementResult> {
    if name == "transaction_isolation" && state.block.as_ref().is_some_and(|block| block.used) {
        return Err(Error::new("25001", "SET TRANSACTION ISOLATION LEVEL must be called before any query"));
    }
    change(state, local, |settings| settings.set(name, values))
}

pub(super) fn change(
    state: &mut State,
    local: bool,
    apply: impl Fn(&mut Settings) -> Result<()>,
) -> Result<StatementResult> {
    if local && state.block.is_none() {
        // PostgreSQL warns that it has no effect.
        let mut probe = Settings::clone(&state.settings);
        apply(&mut probe)?;
        return Ok(StatementResult::command("SET"));
    }
    let mut settings = Settings::clone(&state.settings);
    apply(&mut settings)?;
    if local && let Some(block) = &mut state.block {
        Arc::make_mut(&mut block.settings_session).know_custom(&settings);
    }
    state.settings = Arc::new(settings);
    if !local && let Some(block) = &mut state.block {
        let mut lasting = Settings::clone(&block.settings_session);
        apply(&mut lasting)?;
        block.settings_session = Arc::new(lasting);
    }
    Ok(StatementResult::command("SET"))
}

/// RESET.
pub(super) fn reset(state: &mut State, reset: &ResetStatement) -> Result<StatementResult> {
    match &reset.reset {
        Reset::ALL => change(state, false, |settings| {
            settings.reset_all();
            Ok(())
        })?,
        Reset::ConfigurationParameter(name) => {
            let name = name.to_string();
            change(state, false, |settings| settings.reset(&name))?
        }
    };
    Ok(StatementResult::command("RESET"))
}

/// DISCARD ALL.
pub(super) fn discard(state: &mut State) -> Result<StatementResult> {
    if state.block.is_some() {
        return Err(Error::new("25001", "DISCARD ALL cannot run inside a transaction block"));
    }
    let settings = Arc::make_mut(&mut state.settings);
    settings.reset_all();
    settings.identity = Arc::new(settings.identity.at_login());
    state.prepared.clear();
    *state.sequences.lock() = crate::context::SequenceMemory::default();
    Ok(StatementResult::command("DISCARD ALL"))
}

/// SHOW.
pub(super) fn show(state: &State, variable: &[Ident]) -> Result<StatementResult> {
    let words: Vec<String> = variable.iter().map(fold).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["all"] => {
            let all = state.settings.all();
            table(&[
                ("name", all.iter().map(|p| p.0.to_owned()).collect()),
                ("setting", all.iter().map(|p| p.1.clone()).collect()),
                ("description", all.iter().map(|p| p.2.to_owned()).collect()),
            ])
        }
        ["transaction", "isolation", "level"] => one(state, "transaction_isolation"),
        ["time", "zone"] => one(state, "timezone"),
        ["session", "authorization"] => {
            table(&[("session_authorization", vec![state.settings.show("session_authorization")?])])
        }
        [name] => one(state, name),
        _ => one(state, &words.join(".")),
    }
}

/// The columns that SHOW gives.
pub(super) fn shown_columns(variable: &[Ident]) -> Vec<Column> {
    let text = |name: &str| Column::new(name, DataType::Text);
    let words: Vec<String> = variable.iter().map(fold).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["all"] => ["name", "setting", "description"].map(text).to_vec(),
        ["transaction", "isolation", "level"] => vec![text("transaction_isolation")],
        ["time", "zone"] => vec![text("TimeZone")],
        ["session", "authorization"] => vec![text("session_authorization")],
        words => vec![text(Settings::display_name(&words.join(".")))],
    }
}

fn one(state: &State, name: &str) -> Result<StatementResult> {
    let value = state.settings.show(name)?;
    table(&[(Settings::display_name(name), vec![value])])
}

fn table(columns: &[(&str, Vec<String>)]) -> Result<StatementResult> {
    let fields: Vec<_> = columns.iter().map(|(name, _)| DataType::Text.to_field(*name, false)).collect();
    let arrays = columns
        .iter()
        .map(|(_, values)| std::sync::Arc::new(StringArray::from_iter_values(values)) as ArrayRef)
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
        .map_err(|error| Error::internal(error.to_string()))?;
    Ok(StatementResult::Rows(Results::from_batches(schema, vec![batch]).with_tag("SHOW", 0)))
}
