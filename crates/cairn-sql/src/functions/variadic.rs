//! Built-in functions that take any number of arguments, called with an array of them: `concat(VARIADIC array)`.

use cairn_types::{DataType as T, Value};
use datafusion::logical_expr::ScalarUDF;

use super::overload::{Args, Code, Kind, Overload, Returns, function, is, stable};
use super::{math, strings};
use crate::Result;

/// The functions, and what they are called with an array.
pub(crate) const FUNCTIONS: &[(&str, &str)] = &[
    ("concat", "cairn_variadic_concat"),
    ("concat_ws", "cairn_variadic_concat_ws"),
    ("format", "cairn_variadic_format"),
    ("json_build_array", "to_json"),
    ("json_build_object", "json_object"),
    ("jsonb_build_array", "to_jsonb"),
    ("jsonb_build_object", "jsonb_object"),
    ("num_nonnulls", "cairn_variadic_num_nonnulls"),
    ("num_nulls", "cairn_variadic_num_nulls"),
];

/// Calls a function with the elements of the last argument in its place; of NULL, NULL.
fn spread(args: &Args<'_>, code: Code) -> Result<Value> {
    match args.values.last() {
        None | Some(Value::Null) => Ok(Value::Null),
        Some(_) => args.spread(code),
    }
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let one = |returns: T, code: Code| {
        vec![Overload::new(vec![Kind::Array], Returns::Is(returns), code).with_nulls()]
    };
    let after_text = |code: Code| {
        vec![Overload::new(vec![is(T::Text), Kind::Array], Returns::Is(T::Text), code).with_nulls()]
    };
    vec![
        stable("cairn_variadic_concat", one(T::Text, |args| spread(args, strings::concat))),
        stable("cairn_variadic_concat_ws", after_text(|args| spread(args, strings::concat_ws))),
        // A template may do without values.
        stable(
            "cairn_variadic_format",
            after_text(|args| match args.values.last() {
                Some(Value::Null) => args.first(1, strings::format),
                _ => spread(args, strings::format),
            }),
        ),
        function(
            "cairn_variadic_num_nulls",
            one(T::Integer, |args| spread(args, |args| Ok(math::count(args, true)))),
        ),
        function(
            "cairn_variadic_num_nonnulls",
            one(T::Integer, |args| spread(args, |args| Ok(math::count(args, false)))),
        ),
    ]
}
