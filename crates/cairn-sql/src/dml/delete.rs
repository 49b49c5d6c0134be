//! DELETE FROM … [USING …] [WHERE …] [RETURNING …].

use cairn_engine::table::Left;
use cairn_engine::{Error as EngineError, KeyLock, Table, table};
use sqlparser::ast::{Delete, FromTable, With};

use super::update::{Changes, Found, changed_table};
use super::{changed, returning, target, updatable};
use crate::context::Context;
use crate::privileges::relations::Reads;
use crate::results::StatementResult;
use crate::trigger::{Event, Firing, follow};
use crate::{Error, Result};

/// Runs a DELETE.
pub(super) fn run(context: &Context, delete: &Delete, with: Option<&With>) -> Result<StatementResult> {
    if !delete.tables.is_empty()
        || !delete.order_by.is_empty()
        || delete.limit.is_some()
        || delete.output.is_some()
    {
        return Err(Error::unsupported("ORDER BY, LIMIT, OUTPUT or several tables in DELETE"));
    }
    let beneath = updatable::delete(context, delete, with)?;
    let role = beneath.as_ref().map_or_else(|| context.role(), |own| own.1);
    let delete = beneath.as_ref().map_or(delete, |own| &own.0);
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let [factor] = from.as_slice() else {
        return Err(Error::new("42601", "DELETE changes one table").with_hint("Use USING for the others."));
    };
    let (name, alias) = changed_table(factor)?;
    let table = target::find(context, name, "DELETE")?;
    let alias = alias.unwrap_or_else(|| table.name.clone());
    let selection = target::selection(&table, name, delete.selection.as_ref())?;
    let using = delete.using.as_deref().unwrap_or(&[]);
    let mut firing = Firing::of(context, &table, Event::Delete, &[])?;
    if let Some(firing) = &mut firing {
        firing.begin()?;
    }
    let wants_rows = delete.returning.is_some() || firing.is_some();
    let changes = Changes {
        table: &table,
        alias: &alias,
        from: using,
        selection: selection.as_ref(),
        with,
        columns: wants_rows,
        all: wants_rows,
        extra: &[],
        reads: Reads::Delete { selects: delete.selection.is_some() || delete.returning.is_some() },
        role,
    };
    let mut found = changes.find(context)?;
    if let Some(firing) = firing.as_ref().filter(|firing| firing.has_before_rows() || firing.is_instead()) {
        if context.txn().options().isolation.is_locking() && !firing.is_instead() {
            found = changed::look_again(context, &changes, found, KeyLock::Update)?;
        }
        let (_, kept) = firing.before_rows(Some(&found.table_rows(&table)?), None)?;
        found = found.kept(&kept)?;
        firing.check_untouched(&found.keys)?;
    }
    let mut done = match firing.as_ref().is_some_and(Firing::is_instead) {
        true => Ok((found.keys.len() as u64, Left::default())),
        false => write(context, &table, &found),
    };
    if let Err(EngineError::RowsChanged) = done {
        found = changed::look_again(context, &changes, found, KeyLock::Update)?;
        done = write(context, &table, &found);
    }
    let (count, left) = done?;
    context.note_modified(table.id, &found.keys);
    follow(context, left)?;
    if let Some(firing) = &mut firing {
        firing.changed(Some(found.table_rows(&table)?), None);
        firing.finish()?;
    }
    let answer = match &delete.returning {
        Some(items) => {
            let columns: Vec<usize> = (0..table.live_columns().len()).collect();
            let old = found.rows.project(&columns).map_err(super::relations::arrow_error)?;
            let old = target::batch_of(&table, old.columns().to_vec(), old.num_rows())?;
            let mut sides = vec![returning::relation(&table, &alias, &[old])?];
            sides.extend(found.others(0)?);
            Some((items.as_slice(), sides))
        }
        None => None,
    };
    returning::finish(context, "DELETE", count, answer)
}

/// Deletes the rows; how many there were.
fn write(context: &Context, table: &Table, found: &Found) -> Result<(u64, Left), EngineError> {
    if found.keys.is_empty() {
        return Ok((0, Left::default()));
    }
    let (count, left) = table::delete_with(context.txn(), table, &found.keys, true)?;
    Ok((count as u64, left))
}
