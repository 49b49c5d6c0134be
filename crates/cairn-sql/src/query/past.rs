//! Reading the past: `AS OF SYSTEM TIME`. The expression is a time, an interval before now, or the number of a commit; the query
//! then goes by the rows and definitions of that moment, within the retention, whatever its transaction sees.

use std::sync::Arc;

use cairn_engine::AsOf;
use cairn_types::datetime::{parse_interval, parse_timestamptz};
use cairn_types::{DataType, Interval, Value};
use sqlparser::ast::Query;

use crate::context::Context;
use crate::parse::as_of;
use crate::{Error, Result};

/// Of a query that reads the past: the query, and the context that shows the past.
///
/// # Errors
/// `22023` for a moment that is none or in the future, `72000` for one beyond the retention, `0A000` with FOR UPDATE.
pub(crate) fn of(context: &Context, query: &Query) -> Result<Option<(Context, Query)>> {
    if !as_of::is_noted(query) {
        return Ok(None);
    }
    let mut query = query.clone();
    let Some(moment) = as_of::take_note(&mut query) else { return Ok(None) };
    crate::query::lock::refuse_unread(&query)?;
    let as_of = moment_of(context, &moment)?;
    let view = context.scope.shared.database.snapshot_at(as_of).map_err(|error| match error.sqlstate() {
        "72000" => Error::new("72000", "AS OF SYSTEM TIME: snapshot too old")
            .with_detail("The versions of that time are not kept any more, or never were.")
            .with_hint("Open the database with a longer retention."),
        "XX000" => Error::new("22023", format!("AS OF SYSTEM TIME: {error}")),
        _ => error.into(),
    })?;
    Ok(Some((Context { scope: Arc::new(context.scope.in_past(view)) }, query)))
}

fn moment_of(context: &Context, moment: &Query) -> Result<AsOf> {
    let (schema, batches) = context.collect(context.plan_query(moment)?)?;
    let ty = DataType::from_field(schema.field(0));
    let value = batches.first().map_or(Value::Null, |batch| Value::from_array(batch.column(0), 0, &ty));
    let wrong = || {
        let text = value.to_text(&ty);
        Error::new("22023", format!("AS OF SYSTEM TIME: \"{text}\" is no time, interval or commit"))
    };
    match &value {
        Value::Timestamp(at) | Value::TimestampTz(at) => Ok(AsOf::Micros(*at)),
        Value::Interval(interval) => before_now(context, *interval).ok_or_else(wrong),
        Value::Text(text) => match text.trim().strip_prefix('-').and_then(|_| parse_interval(text).ok()) {
            Some(interval) => before_now(context, interval).ok_or_else(wrong),
            None => match text.trim().parse::<u64>() {
                Ok(commit) => Ok(AsOf::Commit(commit)),
                Err(_) => Ok(AsOf::Micros(parse_timestamptz(text, context.zone()).map_err(|_| wrong())?)),
            },
        },
        other => match other.as_i64().and_then(|commit| u64::try_from(commit).ok()) {
            Some(commit) => Ok(AsOf::Commit(commit)),
            None => Err(wrong()),
        },
    }
}

/// Now and a negative interval of days and less.
fn before_now(context: &Context, interval: Interval) -> Option<AsOf> {
    const DAY: i64 = 86_400_000_000;
    if interval.months != 0 {
        return None;
    }
    let micros = i64::from(interval.days).checked_mul(DAY)?.checked_add(interval.nanos / 1_000)?;
    context.scope.shared.now_us().checked_add(micros).filter(|_| micros <= 0).map(AsOf::Micros)
}
