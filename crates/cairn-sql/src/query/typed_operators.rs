//! Operators whose meaning follows from the types beside them: those of JSON, arrays and regular expressions are calls
//! of functions, and JSONB and intervals are compared by their sort keys.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cairn_types::composite::RECORD;
use cairn_types::{Coded, DataType};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::RawBinaryExpr;
use datafusion::logical_expr::{Expr, ScalarUDF};
use sqlparser::ast::BinaryOperator as Op;

use super::value_order::{key_of, sort_key_of};
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
    let types = (left, right);
    if let Some(name) = of_coded(raw, left, right) {
        if matches!(name, "cairn_bit_not" | "cairn_inet_not") {
            return call(name, vec![std::mem::take(&mut raw.right)]).map(Some);
        }
        let (mut left, mut right) = (std::mem::take(&mut raw.left), std::mem::take(&mut raw.right));
        let timetz = matches!(types.1, T::Coded(Coded::TimeTz(_)));
        if timetz && name == "cairn_timetz_add" || !timetz && name == "cairn_date_at_timetz" {
            std::mem::swap(&mut left, &mut right);
        }
        return call(name, vec![left, right]).map(Some);
    }
    let array = matches!(left, T::Array(_)) || matches!(right, T::Array(_));
    let jsonb = *left == T::Jsonb || *right == T::Jsonb;
    let inequality = matches!(raw.op, Op::Lt | Op::LtEq | Op::Gt | Op::GtEq);
    let unknown = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text.clone()),
        _ => None,
    };
    if let (true, T::Array(_), Some(text)) = (inequality && left.is_character(), right, unknown(&raw.left)) {
        raw.left = super::operators::literal(&text, right)?;
        return plan(raw, right, right);
    }
    if let (true, T::Array(_), Some(text)) = (inequality && right.is_character(), left, unknown(&raw.right)) {
        raw.right = super::operators::literal(&text, left)?;
        return plan(raw, left, left);
    }
    let arrays = matches!((left, right), (T::Array(_), T::Array(_))) && inequality;
    let key = match arrays {
        true => sort_key_of(left).filter(|_| sort_key_of(right).is_some()),
        // Numbers beside each other are seen to when they have one type (`query::numeric_keys`).
        false => key_of(left).or_else(|| key_of(right)).filter(|key| *key != crate::functions::wide::KEY),
    };
    if let Some(refused) = coded(raw, left, right).or_else(|| unordered(raw, left)) {
        return Err(refused);
    }
    let zoned = |ty: &T| matches!(ty, T::Coded(Coded::TimeTz(_)));
    for (side, own, other) in [(&mut raw.left, left, right), (&mut raw.right, right, left)] {
        if matches!(own, T::Time(_)) && zoned(other) {
            *side = crate::functions::cast::call(std::mem::take(side), &crate::functions::zoned_time::TYPE);
        }
    }
    if let (T::Coded(a), T::Coded(b)) = (left, right)
        && let Some(common) = common_coded(a, b)
        && matches!(raw.op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq)
    {
        for side in [&mut raw.left, &mut raw.right] {
            *side = crate::functions::cast::call(std::mem::take(side), &T::Coded(common.clone()));
        }
        return Ok(None);
    }
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

/// The function of an operator of ranges, addresses or bit strings.
fn of_coded(raw: &RawBinaryExpr, left: &DataType, right: &DataType) -> Option<&'static str> {
    let coded = match (left, right) {
        (DataType::Coded(coded), _) | (_, DataType::Coded(coded)) => coded,
        _ => return None,
    };
    let moves = |by: &DataType| matches!(by, DataType::Interval(_) | DataType::Text);
    // `~x` is written as `-1 - x`.
    let not = matches!(left, DataType::SmallInt | DataType::Integer | DataType::BigInt);
    let custom = match &raw.op {
        Op::Custom(symbol) => symbol.as_str(),
        _ => "",
    };
    Some(match (coded, &raw.op) {
        (Coded::Range(_), op) => match op {
            Op::AtArrow => "cairn_range_contains",
            Op::ArrowAt => "cairn_range_contained",
            Op::PGOverlap => "cairn_range_overlaps",
            Op::PGBitwiseShiftLeft => "cairn_range_before",
            Op::PGBitwiseShiftRight => "cairn_range_after",
            Op::AndLt => "cairn_range_overleft",
            Op::AndGt => "cairn_range_overright",
            Op::Plus => "cairn_range_union",
            Op::Minus => "cairn_range_minus",
            Op::Multiply => "cairn_range_intersect",
            _ if custom == "-|-" => "cairn_range_adjacent",
            _ => return None,
        },
        (Coded::Inet | Coded::Cidr, op) => match op {
            Op::PGBitwiseShiftLeft => "cairn_inet_within",
            Op::PGBitwiseShiftRight => "cairn_inet_holds",
            Op::PGOverlap => "cairn_inet_overlaps",
            Op::BitwiseAnd => "cairn_inet_and",
            Op::BitwiseOr => "cairn_inet_or",
            Op::Plus => "cairn_inet_plus",
            Op::Minus if not => "cairn_inet_not",
            Op::Minus => "cairn_inet_minus",
            _ if custom == "<<=" => "cairn_inet_within_eq",
            _ if custom == ">>=" => "cairn_inet_holds_eq",
            _ => return None,
        },
        (Coded::TimeTz(_), op) => match (op, left, right) {
            (Op::Plus, DataType::Date, _) | (Op::Plus, _, DataType::Date) => "cairn_date_at_timetz",
            (Op::Plus, DataType::Coded(_), other) | (Op::Plus, other, DataType::Coded(_)) if moves(other) => {
                "cairn_timetz_add"
            }
            (Op::Minus, DataType::Coded(_), other) if moves(other) => "cairn_timetz_subtract",
            _ => return None,
        },
        (Coded::Bit(_) | Coded::VarBit(_), op) => match op {
            Op::BitwiseAnd => "cairn_bit_and",
            Op::BitwiseOr => "cairn_bit_or",
            Op::PGBitwiseXor => "cairn_bit_xor",
            Op::PGBitwiseShiftLeft => "cairn_bit_shift_left",
            Op::PGBitwiseShiftRight => "cairn_bit_shift_right",
            Op::StringConcat => "cairn_bit_concat",
            Op::Minus if not => "cairn_bit_not",
            _ => return None,
        },
        _ => return None,
    })
}

/// The error for a comparison of a coded type with another one.
fn coded(raw: &RawBinaryExpr, left: &DataType, right: &DataType) -> Option<Error> {
    let compared = matches!(raw.op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq);
    let fits = match (left, right) {
        // TIME beside it is compared as one.
        (DataType::Coded(Coded::TimeTz(_)), DataType::Time(_))
        | (DataType::Time(_), DataType::Coded(Coded::TimeTz(_))) => compared,
        (DataType::Coded(a), DataType::Coded(b)) => {
            compared && (a.is_kind_of(b) || common_coded(a, b).is_some())
        }
        (DataType::Coded(_), other) | (other, DataType::Coded(_)) => {
            let side = if matches!(left, DataType::Coded(_)) { &raw.right } else { &raw.left };
            match raw.op {
                Op::StringConcat => other.is_character() || is_unknown(side),
                _ => compared && is_unknown(side),
            }
        }
        _ => true,
    };
    if fits {
        return None;
    }
    let name = |ty: &DataType, side: &Expr| match is_unknown(side) {
        true => "unknown".to_owned(),
        false => crate::functions::overload::type_name(ty),
    };
    let (a, b) = (name(left, &raw.left), name(right, &raw.right));
    let message = format!("operator does not exist: {a} {} {b}", raw.op);
    Some(Error::new("42883", message).with_hint(
        "No operator matches the given name and argument types. You might need to add explicit type casts.",
    ))
}

/// The error for a comparison of rows with fields that cannot be compared.
fn unordered(raw: &RawBinaryExpr, ty: &DataType) -> Option<Error> {
    let equal = match raw.op {
        Op::Eq | Op::NotEq => "an equality operator",
        Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => "a comparison function",
        _ => return None,
    };
    let DataType::Coded(Coded::Composite(own)) = ty else { return None };
    own.has(&mut |part| *part == DataType::Json)
        .then(|| Error::new("42883", format!("could not identify {equal} for type json")))
}

/// The type in which two coded types are compared.
fn common_coded(a: &Coded, b: &Coded) -> Option<Coded> {
    match (a, b) {
        (Coded::Inet, Coded::Cidr) | (Coded::Cidr, Coded::Inet) => Some(Coded::Inet),
        (Coded::Bit(_), Coded::VarBit(_)) | (Coded::VarBit(_), Coded::Bit(_)) => Some(Coded::VarBit(None)),
        // A record takes the type that the other side names.
        (Coded::Composite(from), Coded::Composite(to)) if !from.is_kind_of(to) => {
            let (wanted, other) = if to.id == RECORD { (a, b) } else { (b, a) };
            crate::functions::cast::castable(other, wanted).then(|| wanted.clone())
        }
        _ => None,
    }
}

/// What has no type yet.
fn is_unknown(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::Null, _))
        || matches!(expr, Expr::Placeholder(placeholder) if placeholder.field.is_none())
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
