//! Operators whose meaning follows from the types beside them: those of JSON, arrays and regular expressions are calls
//! of functions, and JSONB and intervals are compared by their sort keys.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cairn_types::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::RawBinaryExpr;
use datafusion::logical_expr::{Expr, ScalarUDF};
use sqlparser::ast::BinaryOperator as Op;

use super::value_order::key_of;
use crate::functions::regex::{Flags, translate};
use crate::{Error, Result};

/// The call of a function of ours.
pub(crate) fn call(name: &str, args: Vec<Expr>) -> Result<Expr> {
    static ALL: LazyLock<HashMap<String, Arc<ScalarUDF>>> = LazyLock::new(|| {
        crate::functions::of_operators().into_iter().map(|f| (f.name().to_owned(), Arc::new(f))).collect()
    });
    let function = ALL.get(name).ok_or_else(|| Error::internal(format!("no function {name}")))?;
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), args)))
}

/// What an operation means where its operands' types say so; `None` leaves it to the planner.
///
/// # Errors
/// `42883` for a comparison of JSON, `2201B` for a pattern that is none.
pub(super) fn plan(raw: &mut RawBinaryExpr, left: &DataType, right: &DataType) -> Result<Option<Expr>> {
    use DataType as T;
    let array = matches!(left, T::Array(_)) || matches!(right, T::Array(_));
    let jsonb = *left == T::Jsonb || *right == T::Jsonb;
    let key = key_of(left).or_else(|| key_of(right));
    let name = match &raw.op {
        Op::Arrow => "cairn_json_get",
        Op::LongArrow => "cairn_json_get_text",
        Op::HashArrow => "cairn_json_path",
        Op::HashLongArrow => "cairn_json_path_text",
        Op::AtArrow if array => "cairn_array_contains",
        Op::AtArrow => "cairn_jsonb_contains",
        Op::ArrowAt if array => "cairn_array_contained",
        Op::ArrowAt => "cairn_jsonb_contained",
        Op::PGOverlap if array => "cairn_array_overlap",
        Op::PGStartsWith => "starts_with",
        Op::Question => "cairn_jsonb_exists",
        Op::QuestionPipe => "cairn_jsonb_exists_any",
        Op::QuestionAnd => "cairn_jsonb_exists_all",
        Op::HashMinus => "cairn_jsonb_delete_path",
        Op::AtQuestion => "cairn_jsonb_path_exists",
        Op::AtAt if jsonb => "cairn_jsonb_path_match",
        Op::Minus if *left == T::Jsonb => "cairn_jsonb_delete",
        Op::StringConcat if array => "cairn_array_concat",
        Op::StringConcat if jsonb && !mixed_with_text(raw, left, right) => "cairn_jsonb_concat",
        Op::PGRegexMatch | Op::PGRegexIMatch | Op::PGRegexNotMatch | Op::PGRegexNotIMatch => {
            return regex(raw);
        }
        Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq if key.is_some() => {
            for side in [&mut raw.left, &mut raw.right] {
                *side = call(key.unwrap_or_default(), vec![std::mem::take(side)])?;
            }
            return Ok(None);
        }
        Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq
            if *left == T::Json && *right == T::Json =>
        {
            let message = format!("operator does not exist: json {} json", raw.op);
            return Err(Error::new("42883", message).with_hint(
                "No operator matches the given name and argument types. You might need to add explicit type casts.",
            ));
        }
        _ => return Ok(None),
    };
    call(name, vec![std::mem::take(&mut raw.left), std::mem::take(&mut raw.right)]).map(Some)
}

/// `jsonb || text` is text; beside a literal it is not.
fn mixed_with_text(raw: &RawBinaryExpr, left: &DataType, right: &DataType) -> bool {
    let literal = |expr: &Expr| matches!(expr, Expr::Literal(..));
    left.is_character() && !literal(&raw.left) || right.is_character() && !literal(&raw.right)
}

/// `~` and its kin: a constant pattern is translated here, so that the query engine may do the rest.
fn regex(raw: &mut RawBinaryExpr) -> Result<Option<Expr>> {
    if let Expr::Literal(ScalarValue::Utf8(Some(pattern)), _) = &raw.right {
        let translated = translate(pattern, Flags::default())?;
        crate::functions::regex::Pattern::new(pattern, Flags::default())?;
        raw.right = Expr::Literal(ScalarValue::Utf8(Some(translated)), None);
        return Ok(None);
    }
    let name = match raw.op {
        Op::PGRegexMatch => "cairn_regex",
        Op::PGRegexIMatch => "cairn_regex_any_case",
        Op::PGRegexNotMatch => "cairn_regex_not",
        _ => "cairn_regex_any_case_not",
    };
    call(name, vec![std::mem::take(&mut raw.left), std::mem::take(&mut raw.right)]).map(Some)
}
