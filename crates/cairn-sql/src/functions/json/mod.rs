//! JSON and JSONB: operators, functions, `jsonpath`, and what makes them of SQL's values.

pub(crate) mod build;
mod inspect;
mod modify;
mod operators;
pub(crate) mod path;
pub(crate) mod tree;

use cairn_types::Value;
use datafusion::logical_expr::ScalarUDF;

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let mut all = operators::functions();
    all.extend(inspect::functions());
    all.extend(modify::functions());
    all.extend(build::functions());
    all.extend(path::functions());
    all
}

/// The texts of an array; `None` where one is NULL.
fn strings(items: &[Value]) -> Option<Vec<&str>> {
    items.iter().map(Value::as_str).collect()
}
