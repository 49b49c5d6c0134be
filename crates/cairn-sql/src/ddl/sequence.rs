//! CREATE SEQUENCE and the options of sequences.

use cairn_engine::ddl::SequenceOptions;
use cairn_types::DataType;
use sqlparser::ast::{self, Expr, ObjectName, UnaryOperator};

use super::{names, notice};
use crate::context::Context;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result, catalog, parse};

/// CREATE SEQUENCE.
pub(super) fn create(
    context: &Context,
    name: &ObjectName,
    is_temporary: bool,
    if_not_exists: bool,
    options: &SequenceOptions,
    owner: Option<&ObjectName>,
) -> Result<StatementResult> {
    let all = context.catalog()?;
    let (schema, sequence) = names::for_creation_of(context, &all, name, is_temporary)?;
    let all = context.catalog()?;
    if if_not_exists && all.relation(&schema, &sequence).is_some() {
        notice(context, "42P07", format!("relation \"{sequence}\" already exists, skipping"));
        return Ok(StatementResult::command("CREATE SEQUENCE"));
    }
    context.txn().create_sequence(&schema, &sequence, options)?;
    if let Some(owner) = owner {
        set_owner(context, &schema, &sequence, owner)?;
    }
    Ok(StatementResult::command("CREATE SEQUENCE"))
}

/// The type of a sequence.
///
/// # Errors
/// `22023` where it is no integer.
pub(super) fn sequence_type(ty: &ast::DataType) -> Result<DataType> {
    match parse::types::data_type(ty)? {
        ty @ (DataType::SmallInt | DataType::Integer | DataType::BigInt) => Ok(ty),
        _ => Err(Error::new("22023", "sequence type must be smallint, integer, or bigint")),
    }
}

/// OWNED BY table.column, or NONE.
pub(super) fn set_owner(context: &Context, schema: &str, sequence: &str, owner: &ObjectName) -> Result<()> {
    let parts: Vec<&ast::Ident> = owner.0.iter().filter_map(|part| part.as_ident()).collect();
    match parts.as_slice() {
        [none] if none.value.eq_ignore_ascii_case("none") => {
            Ok(context.txn().set_sequence_owner(schema, sequence, None)?)
        }
        [table @ .., column] if !table.is_empty() => {
            let all = context.catalog()?;
            let name = ObjectName::from(table.iter().copied().cloned().collect::<Vec<_>>());
            let (table_schema, table) = catalog::resolve_name(context, &all, &name)?;
            let table = all.table(&table_schema, &table)?;
            if context.txn().catalog().owner(table.id)
                != context.txn().catalog().owner(all.sequence(schema, sequence).map_or(0, |own| own.id))
                && context.catalog()?.sequence(schema, sequence).is_ok()
            {
                return Err(Error::new("55000", "sequence must have same owner as table it is linked to"));
            }
            let column = table.column(&fold(column))?.id;
            Ok(context.txn().set_sequence_owner(schema, sequence, Some((table.id, column)))?)
        }
        _ => Err(Error::new("42601", "invalid OWNED BY option")
            .with_hint("Specify OWNED BY table.column or OWNED BY NONE.")),
    }
}

/// Reads options that the parser knows.
///
/// # Errors
/// `42601` for one given twice or without a number.
pub(super) fn options(list: &[ast::SequenceOptions], wanted: &mut SequenceOptions) -> Result<()> {
    fn once<T>(place: &mut Option<T>, value: T) -> Result<()> {
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(Error::new("42601", "conflicting or redundant options")),
        }
    }
    for option in list {
        match option {
            ast::SequenceOptions::IncrementBy(expr, _) => once(&mut wanted.increment, number(expr)?)?,
            ast::SequenceOptions::MinValue(Some(expr)) => once(&mut wanted.min, Some(number(expr)?))?,
            ast::SequenceOptions::MinValue(None) => once(&mut wanted.min, None)?,
            ast::SequenceOptions::MaxValue(Some(expr)) => once(&mut wanted.max, Some(number(expr)?))?,
            ast::SequenceOptions::MaxValue(None) => once(&mut wanted.max, None)?,
            ast::SequenceOptions::StartWith(expr, _) => once(&mut wanted.start, number(expr)?)?,
            ast::SequenceOptions::Cache(expr) => once(&mut wanted.cache, number(expr)?)?,
            // The parser's flag says NO.
            ast::SequenceOptions::Cycle(no) => once(&mut wanted.cycle, !no)?,
        }
    }
    Ok(())
}

/// An integer with an optional sign.
pub(super) fn number(expr: &Expr) -> Result<i64> {
    let text = match expr {
        Expr::Value(value) => match &value.value {
            ast::Value::Number(digits, _) => digits.clone(),
            other => other.to_string(),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
            Expr::Value(value) => format!("-{}", value.value),
            other => format!("-{other}"),
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => return number(expr),
        other => other.to_string(),
    };
    text.parse().map_err(|_| Error::new("42601", format!("syntax error at or near \"{text}\"")))
}
