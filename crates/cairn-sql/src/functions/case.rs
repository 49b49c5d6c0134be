//! `cairn_case(condition, result, …, other)` and `cairn_case_of(value, condition, result, …, other)`: a CASE while its query is planned. The
//! planner gives a CASE the type of its first result and forgets what Arrow has no word for (JSONB, for one), by which functions
//! and operators around it are chosen. The calls have the common type of all results; once a query is planned, they become CASEs
//! again ([`crate::query::case_types`]).

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use cairn_types::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::other::get_coerce_type_for_case_expression;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{overload, sql_type};
use crate::Error;

/// With conditions.
pub(crate) const NAME: &str = "cairn_case";
/// With values that are compared with one.
pub(crate) const OF_VALUE: &str = "cairn_case_of";

/// The functions as the planner finds them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let one = |of_value| {
        ScalarUDF::from(CaseCall { of_value, signature: Signature::variadic_any(Volatility::Immutable) })
    };
    vec![one(false), one(true)]
}

/// Whether a function is one of them.
pub(crate) fn is_case(name: &str) -> bool {
    matches!(name, NAME | OF_VALUE)
}

/// The places of the results among so many arguments: first that of ELSE, as types are chosen in that order.
fn results(of_value: bool, count: usize) -> impl Iterator<Item = usize> {
    let start = usize::from(of_value);
    let pairs = (count - start) / 2;
    let last = ((count - start) % 2 == 1).then(|| count - 1);
    last.into_iter().chain((0..pairs).map(move |at| start + 2 * at + 1))
}

/// The CASE that a call stands for.
pub(crate) fn case_of(name: &str, args: Vec<Expr>) -> Case {
    let mut args = args.into_iter().map(Box::new);
    let value = if name == OF_VALUE { args.next() } else { None };
    let (mut pairs, mut other) = (Vec::new(), None);
    while let Some(first) = args.next() {
        match args.next() {
            Some(result) => pairs.push((first, result)),
            None => other = Some(first),
        }
    }
    Case::new(value, pairs, other)
}

/// The field that results have in common; `true` stands beside literals without a type of their own.
///
/// # Errors
/// `42804` where they have none.
pub(crate) fn common(fields: &[(FieldRef, bool)]) -> Result<FieldRef> {
    let typed = |bare: bool| {
        let known = fields.iter().filter(move |(field, own)| !field.data_type().is_null() && (bare || !own));
        known.map(|(field, _)| field).collect::<Vec<_>>()
    };
    let mut known = typed(false);
    if known.is_empty() {
        known = typed(true);
    }
    let Some(first) = known.first() else { return Ok(Arc::new(Field::new("case", ArrowType::Null, true))) };
    if known
        .iter()
        .all(|field| field.data_type() == first.data_type() && field.metadata() == first.metadata())
    {
        return Ok(Arc::new(Field::clone(first).with_name("case").with_nullable(true)));
    }
    let types: Vec<DataType> = known.iter().map(|field| sql_type(field)).collect();
    if let Some(ty) = crate::query::case_types::meeting(&types) {
        return Ok(Arc::new(ty.to_field("case", true)));
    }
    let arrow: Vec<ArrowType> = known.iter().map(|field| field.data_type().clone()).collect();
    let Some(ty) = get_coerce_type_for_case_expression(&arrow, None) else {
        return Err(unmatched(&types).into());
    };
    Ok(match known.iter().find(|field| *field.data_type() == ty) {
        Some(field) => Arc::new(Field::clone(field).with_name("case").with_nullable(true)),
        None => Arc::new(Field::new("case", ty, true)),
    })
}

/// The error for results that have no type in common.
fn unmatched(types: &[DataType]) -> Error {
    let mut met = types[0].clone();
    for ty in &types[1..] {
        match overload::common(&met, ty) {
            Some(common) => met = common,
            None => {
                let (met, ty) = (overload::type_name(&met), overload::type_name(ty));
                return Error::new("42804", format!("CASE types {met} and {ty} cannot be matched"));
            }
        }
    }
    Error::new("42804", format!("CASE results of type {} cannot be matched", overload::type_name(&met)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CaseCall {
    of_value: bool,
    signature: Signature,
}

impl ScalarUDFImpl for CaseCall {
    fn name(&self) -> &str {
        if self.of_value { OF_VALUE } else { NAME }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> Result<ArrowType> {
        Err(Error::internal("the type of a CASE follows from its results").into())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let one = |at: usize| {
            let field = &args.arg_fields[at];
            let text = matches!(args.scalar_arguments[at], Some(ScalarValue::Utf8(_)));
            (Arc::clone(field), text && field.metadata().is_empty())
        };
        common(&results(self.of_value, args.arg_fields.len()).map(one).collect::<Vec<_>>())
    }

    fn short_circuits(&self) -> bool {
        true
    }

    fn simplify(&self, args: Vec<Expr>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(ExprSimplifyResult::Simplified(Expr::Case(case_of(self.name(), args))))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(Error::internal("a CASE was not written out").into())
    }
}
