//! `lag`, `lead`, `ntile` and `nth_value` with arguments that are computed: these get the names of functions of our own
//! ([`crate::query::shifted`]). Bounds of frames that are sums of numbers become numbers, and an aggregate with FILTER over
//! a frame with EXCLUDE takes NULL for the rows that its condition leaves out.

use sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, UnaryOperator, Value, WindowFrameBound, WindowType,
};

use crate::query::shifted::PREFIX;
use crate::session::variables::fold;
use crate::{Error, Result};

/// Aggregates that take no notice of NULL.
const WITHOUT_NULLS: &[&str] = &[
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "bool_and",
    "bool_or",
    "every",
    "bit_and",
    "bit_or",
    "bit_xor",
    "stddev",
    "stddev_samp",
    "stddev_pop",
    "variance",
    "var_samp",
    "var_pop",
    "string_agg",
];

/// Names the function of a call over a window by what its arguments are.
///
/// # Errors
/// `0A000` for DISTINCT.
pub(super) fn rewrite(function: &mut Function) -> Result<()> {
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    if list.duplicate_treatment == Some(sqlparser::ast::DuplicateTreatment::Distinct) {
        return Err(Error::new("0A000", "DISTINCT is not implemented for window functions"));
    }
    if let Some(WindowType::WindowSpec(spec)) = &mut function.over
        && let Some(frame) = &mut spec.window_frame
    {
        bound(&mut frame.start_bound);
        frame.end_bound.as_mut().map(bound).unwrap_or_default();
    }
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return Ok(()) };
    let name = fold(name);
    let computed = match name.as_str() {
        "lag" | "lead" => {
            list.args.get(1).is_some_and(|arg| !is_number(arg))
                || list.args.get(2).is_some_and(|arg| !is_number(arg))
        }
        "ntile" => true,
        _ => false,
    };
    if computed {
        function.name = ObjectName::from(Ident::new(format!("{PREFIX}{name}")));
    }
    Ok(())
}

/// Whether the second argument of `nth_value` is no constant.
pub(super) fn is_computed_nth(name: &str, args: &[FunctionArg]) -> bool {
    name == "nth_value" && args.get(1).is_some_and(|arg| !is_number(arg))
}

/// The arguments of an aggregate with FILTER, NULL where its condition does not hold; `false` where it takes notice of NULL.
pub(super) fn filtered(name: &str, filter: &Expr, args: &mut [FunctionArg]) -> bool {
    if !WITHOUT_NULLS.contains(&name) {
        return false;
    }
    if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) = args.first_mut() {
        let result = std::mem::replace(expr, Expr::Value(Value::Null.into()));
        *expr = Expr::Case {
            case_token: sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
            end_token: sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
            operand: None,
            conditions: vec![CaseWhen { condition: filter.clone(), result }],
            else_result: None,
        };
    }
    true
}

fn is_number(arg: &FunctionArg) -> bool {
    matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) if number(expr).is_some())
}

/// The value of a whole number, or of a sum of such.
fn number(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => number(expr)?.checked_neg(),
        _ => None,
    }
}

fn sum(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = (sum(left)?, sum(right)?);
            match op {
                BinaryOperator::Plus => left.checked_add(right),
                BinaryOperator::Minus => left.checked_sub(right),
                BinaryOperator::Multiply => left.checked_mul(right),
                _ => None,
            }
        }
        Expr::Nested(inner) => sum(inner),
        // As values of parameters are written.
        Expr::Cast { expr: inner, .. } => match &**inner {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(digits) => digits.parse().ok(),
                _ => sum(inner),
            },
            _ => sum(inner),
        },
        other => number(other),
    }
}

fn bound(bound: &mut WindowFrameBound) {
    let (WindowFrameBound::Preceding(Some(offset)) | WindowFrameBound::Following(Some(offset))) = bound
    else {
        return;
    };
    if matches!(&**offset, Expr::BinaryOp { .. } | Expr::Nested(_) | Expr::Cast { .. })
        && let Some(value) = sum(offset).filter(|value| *value >= 0)
    {
        **offset = Expr::Value(Value::Number(value.to_string(), false).into());
    }
}
