//! RETURNING, and the tag of a statement.

use arrow::array::RecordBatch;
use cairn_engine::Table;
use sqlparser::ast::SelectItem;

use super::relations::{self, Relation, concat};
use super::target::relaxed;
use crate::Result;
use crate::context::Context;
use crate::results::{Results, StatementResult};

/// The outcome of a statement that changed `count` rows; `rows` are they, where RETURNING wants them.
pub(crate) fn finish(
    context: &Context,
    verb: &str,
    count: u64,
    returning: Option<(&[SelectItem], Vec<Relation>)>,
) -> Result<StatementResult> {
    let tag = match verb {
        "INSERT" => format!("INSERT 0 {count}"),
        verb => format!("{verb} {count}"),
    };
    let Some((items, relations)) = returning else {
        return Ok(StatementResult::Command { tag, rows: count });
    };
    let plan = relations::plan(context, &relations, items, None)?;
    let (schema, batches) = context.collect(plan)?;
    Ok(StatementResult::Rows(Results::from_batches(schema, batches).with_tag(tag, count)))
}

/// The changed rows of a table as a relation.
pub(crate) fn relation(table: &Table, alias: &str, batches: &[RecordBatch]) -> Result<Relation> {
    Ok(Relation { alias: alias.to_owned(), rows: concat(&relaxed(table), batches)?, in_wildcard: true })
}
