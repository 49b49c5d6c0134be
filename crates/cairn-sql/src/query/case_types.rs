//! CASEs of a query that is planned: what stood for them ([`crate::functions::case`]) becomes a CASE again, whose results have one
//! type, and which has that type where Arrow has no word for it.

use arrow::datatypes::FieldRef;
use cairn_types::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::{Case, ScalarFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, cast};

use super::common_types::{alike, differ, is_float, is_plainly_equal};
use super::operators::{equal, literal};
use crate::functions::alike::typed_as;
use crate::functions::case::{case_of, common};
use crate::functions::{cast as cast_function, overload, sql_type};

/// The type in which values meet where the query engine would choose another one, or has but one type for theirs.
pub(crate) fn meeting(types: &[DataType]) -> Option<DataType> {
    let first = types.first()?;
    if types.iter().all(|ty| ty == first) {
        return Some(first.clone());
    }
    if types.iter().all(DataType::is_character) {
        // Text before all, else the first type.
        return Some(if types.contains(&DataType::Text) { DataType::Text } else { first.clone() });
    }
    if types.iter().all(is_moment) {
        return types.iter().try_fold(first.clone(), |met, ty| overload::common(&met, ty));
    }
    if !types.iter().all(DataType::is_numeric) {
        return None;
    }
    if types.iter().any(is_float) {
        return types.iter().any(|ty| matches!(ty, DataType::Numeric(_))).then_some(DataType::Double);
    }
    differ(types.iter()).then_some(DataType::Numeric(None))
}

/// The CASE that a call stands for, with its type.
pub(super) fn of_call(call: ScalarFunction, schema: &DFSchema) -> DataFusionResult<Expr> {
    let mut case = case_of(call.func.name(), call.args);
    by_operator(&mut case, schema)?;
    alike(results(&mut case), schema)?;
    let mut fields: Vec<(FieldRef, bool)> = Vec::new();
    for result in results(&mut case) {
        let (_, field) = result.to_field(schema)?;
        let bare = matches!(result, Expr::Literal(ScalarValue::Utf8(_), _)) && field.metadata().is_empty();
        fields.push((field, bare));
    }
    let mut by_rank = fields.clone();
    if case.else_expr.is_some() {
        by_rank.rotate_right(1);
    }
    let common = common(&by_rank)?;
    let ty = sql_type(&common);
    let mut first = true;
    for (result, (field, bare)) in results(&mut case).into_iter().zip(&fields) {
        if field.data_type().is_null() {
            continue;
        }
        let own = std::mem::take(result);
        *result = match &own {
            Expr::Literal(ScalarValue::Utf8(Some(text)), _) if *bare && !ty.is_character() => {
                literal(text, &ty)?
            }
            _ => brought(own, field, &common, first),
        };
        first = false;
    }
    Ok(match common.data_type().is_null() {
        true => Expr::Case(case),
        false => typed_as(Expr::Case(case), &ty),
    })
}

fn is_moment(ty: &DataType) -> bool {
    matches!(ty, DataType::Date | DataType::Timestamp(_) | DataType::TimestampTz(_))
}

/// `CASE value WHEN other …` compares as the operator does: where Arrow's values are equal in other places, the comparisons are written
/// out.
fn by_operator(case: &mut Case, schema: &DFSchema) -> DataFusionResult<()> {
    let Some(value) = &case.expr else { return Ok(()) };
    let compared: Vec<Expr> = std::iter::once(value.as_ref())
        .chain(case.when_then_expr.iter().map(|(when, _)| when.as_ref()))
        .cloned()
        .collect();
    if value.is_volatile() || is_plainly_equal(&compared, schema) {
        return Ok(());
    }
    let value = value.as_ref().clone();
    for (when, _) in &mut case.when_then_expr {
        **when = equal(value.clone(), std::mem::take(&mut **when), schema)?;
    }
    case.expr = None;
    Ok(())
}

fn results(case: &mut Case) -> Vec<&mut Expr> {
    let results = case.when_then_expr.iter_mut().map(|(_, then)| &mut **then);
    results.chain(case.else_expr.as_deref_mut()).collect()
}

/// A result in the common type, as far as the query engine would not bring it there.
fn brought(result: Expr, from: &FieldRef, to: &FieldRef, first: bool) -> Expr {
    let (own, ty) = (sql_type(from), sql_type(to));
    let blanks = matches!(own, DataType::Char(_)) && !matches!(ty, DataType::Char(_)) && ty.is_character();
    if blanks || is_moment(&own) && is_moment(&ty) && own != ty {
        return cast_function::call(result, &ty);
    }
    // A CASE has the type of its first result until types are coerced.
    match first && from.data_type() != to.data_type() {
        true => cast(result, to.data_type().clone()),
        false => result,
    }
}
