//! LIMIT, OFFSET and FETCH of a query whose rows are locked: they count rows that are locked, not rows that are read.

use arrow::array::RecordBatch;
use cairn_types::Value;
use sqlparser::ast::{Expr, LimitClause, Query};

use crate::context::Context;
use crate::dml::relations::{empty_query, item, select_of};
use crate::{Error, Result};

/// LIMIT and OFFSET.
pub(super) struct Limit {
    offset: usize,
    count: Option<usize>,
}

impl Limit {
    /// Takes them out of the query.
    pub(super) fn take(context: &Context, query: &mut Query) -> Result<Limit> {
        let (mut limit, mut offset) = (None, None);
        match query.limit_clause.take() {
            None => {}
            Some(LimitClause::LimitOffset { limit: count, offset: skipped, .. }) => {
                (limit, offset) = (count, skipped.map(|skipped| skipped.value));
            }
            Some(LimitClause::OffsetCommaLimit { offset: skipped, limit: count }) => {
                (limit, offset) = (Some(count), Some(skipped));
            }
        }
        if let Some(fetch) = query.fetch.take() {
            let one = || Expr::Value(sqlparser::ast::Value::Number("1".to_owned(), false).into());
            limit = Some(fetch.quantity.unwrap_or_else(one));
        }
        let count = match limit {
            Some(limit) => number(context, limit, "LIMIT", "2201W")?,
            None => None,
        };
        let offset = match offset {
            Some(offset) => number(context, offset, "OFFSET", "2201X")?.unwrap_or(0),
            None => 0,
        };
        Ok(Limit { offset, count })
    }

    /// Rows to lock: as in PostgreSQL, those that OFFSET passes over too.
    pub(super) fn all(&self) -> usize {
        self.count.map_or(usize::MAX, |count| count.saturating_add(if count == 0 { 0 } else { self.offset }))
    }

    /// The rows without those that OFFSET passes over.
    pub(super) fn cut(&self, batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
        let mut skip = self.offset;
        let mut out = Vec::with_capacity(batches.len());
        for batch in batches {
            let here = skip.min(batch.num_rows());
            skip -= here;
            if here < batch.num_rows() {
                out.push(batch.slice(here, batch.num_rows() - here));
            }
        }
        out
    }
}

/// The value of a LIMIT or OFFSET; NULL is none.
fn number(context: &Context, expr: Expr, what: &str, state: &'static str) -> Result<Option<usize>> {
    let mut query = empty_query()?;
    select_of(&mut query)?.projection.push(item(expr, "n"));
    let (schema, batches) = context.collect(context.plan_query(&query)?)?;
    let ty = cairn_types::DataType::from_field(schema.field(0));
    let value = batches.first().map_or(Value::Null, |batch| Value::from_array(batch.column(0), 0, &ty));
    if value.is_null() {
        return Ok(None);
    }
    let number = value
        .as_i64()
        .ok_or_else(|| Error::new("42804", format!("argument of {what} must be type bigint")))?;
    let negative = |_| Error::new(state, format!("{what} must not be negative"));
    usize::try_from(number).map(Some).map_err(negative)
}
