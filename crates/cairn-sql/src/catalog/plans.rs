//! `cairn_plans`: how many statements have plans that are kept, by kind, and how often one served.

use cairn_engine::Catalog;
use cairn_types::Value;

use super::column_type::ColumnType;
use super::system::{Rows, SystemTable};
use crate::Result;
use crate::context::Context;

pub(super) const CAIRN_PLANS: SystemTable = SystemTable {
    name: "cairn_plans",
    columns: &[("kind", ColumnType::Text), ("kept", ColumnType::Int8), ("hits", ColumnType::Int8)],
    rows,
};

fn rows(context: &Context, _: &Catalog) -> Result<Rows> {
    let shared = &context.scope.shared;
    let kinds = [
        ("point reads", shared.plans.usage()),
        ("point writes", shared.point_writes.usage()),
        ("plans", shared.reuse.usage()),
        ("inline", shared.reuse.inline_usage()),
    ];
    let row = |(kind, (kept, hits)): (&str, (usize, u64))| {
        vec![Value::Text(kind.to_owned()), Value::BigInt(kept as i64), Value::BigInt(hits as i64)]
    };
    Ok(kinds.into_iter().map(row).collect())
}
