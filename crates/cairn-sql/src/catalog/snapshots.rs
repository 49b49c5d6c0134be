//! `cairn_snapshots`: which commits are being read at, oldest first, and since when: who keeps old versions.

use cairn_engine::Catalog;
use cairn_types::Value;

use super::column_type::ColumnType;
use super::system::{Rows, SystemTable};
use crate::Result;
use crate::context::Context;

pub(super) const CAIRN_SNAPSHOTS: SystemTable = SystemTable {
    name: "cairn_snapshots",
    columns: &[
        ("commit", ColumnType::Int8),
        ("holders", ColumnType::Int8),
        ("read_since", ColumnType::Timestamptz),
        ("expired", ColumnType::Bool),
    ],
    rows,
};

fn rows(context: &Context, _: &Catalog) -> Result<Rows> {
    let shared = &context.scope.shared;
    let now = shared.now_us();
    let micros = |age: std::time::Duration| i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let rows = shared.database.snapshots().into_iter().map(|snapshot| {
        vec![
            Value::BigInt(snapshot.seq as i64),
            Value::BigInt(snapshot.holders as i64),
            Value::TimestampTz(now.saturating_sub(micros(snapshot.age))),
            Value::Boolean(snapshot.expired),
        ]
    });
    Ok(rows.collect())
}
