//! Temporary tables: those of a session lie in a schema of its own, `pg_temp_` and the session's number, which names are
//! looked up in before the search path.
//!
//! I1. The schema goes with its session; what a crash leaves behind goes when the database is opened.
//! I2. ON COMMIT acts in the transaction that commits: others never see the rows, nor does a crash bring them back.

use std::sync::Arc;
use std::time::Duration;

use cairn_engine::catalog::ObjectId;
use cairn_engine::{Database, Isolation, Transaction, TxnOptions, table};

use super::State;
use super::settings::Settings;
use crate::context::{Context, Scope};
use crate::{Error, Result};

/// Begins the names of schemas of temporary tables.
pub(crate) const PREFIX: &str = "pg_temp_";
/// The name that means a session's own.
pub(crate) const OWN: &str = "pg_temp";
/// How often the end of a session tries to clear up.
const ATTEMPTS_MAX: usize = 10;

/// What a session remembers of its temporary tables.
#[derive(Debug, Default)]
pub(crate) struct Temporary {
    /// Whether there ever was one.
    used: bool,
    /// What COMMIT does to tables.
    on_commit: Vec<(ObjectId, OnCommit)>,
}

/// ON COMMIT, where it is not PRESERVE ROWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnCommit {
    DeleteRows,
    Drop,
}

impl Scope {
    /// The schema of the session's temporary tables.
    pub(crate) fn temporary_schema(&self) -> String {
        format!("{PREFIX}{}", self.locks.id())
    }
}

/// Whether a schema holds temporary tables.
pub(crate) fn is_temporary(schema: &str) -> bool {
    schema.starts_with(PREFIX)
}

/// The schema of the session's temporary tables, made if it is not there.
pub(crate) fn schema(context: &Context) -> Result<String> {
    let schema = context.scope.temporary_schema();
    if context.catalog()?.schema(&schema).is_none() {
        context.txn().create_temporary_schema(&schema)?;
    }
    context.scope.exchange.lock().temporary.used = true;
    Ok(schema)
}

/// Notes what COMMIT does to a table.
pub(crate) fn note(context: &Context, table: ObjectId, action: OnCommit) {
    context.scope.exchange.lock().temporary.on_commit.push((table, action));
}

/// The settings with the schema of temporary tables before the search path, where there is one.
pub(super) fn settings(state: &State, settings: Arc<Settings>) -> Arc<Settings> {
    if !is_used(state) {
        return settings;
    }
    let mut own = Settings::clone(&settings);
    own.search_path.insert(0, format!("{PREFIX}{}", state.locks.id()));
    Arc::new(own)
}

/// Whether the session has had temporary tables.
pub(super) fn is_used(state: &State) -> bool {
    state.exchange.lock().temporary.used
}

/// Does what ON COMMIT says, before a transaction commits.
pub(super) fn before_commit(state: &State, txn: &Transaction) -> Result<()> {
    let actions = state.exchange.lock().temporary.on_commit.clone();
    if actions.is_empty() || txn.options().read_only {
        return Ok(());
    }
    let catalog = txn.catalog();
    for (id, action) in actions {
        let Some(own) = catalog.table_by_id(id) else { continue };
        match action {
            OnCommit::Drop => txn.drop_tables(&[(own.schema.as_str(), own.name.as_str())], true)?,
            OnCommit::DeleteRows => {
                let request = table::ScanRequest { limit: Some(1), ..table::ScanRequest::full([]) };
                if table::scan(&txn.view()?, own, request)?.next().transpose()?.is_some() {
                    table::truncate(txn, &[own], false, true)?;
                }
            }
        }
    }
    Ok(())
}

/// Drops the temporary tables of a session that ends.
pub(super) fn end(database: &Database, state: &State) {
    if is_used(state) {
        drop_schemas(database, |schema| schema == format!("{PREFIX}{}", state.locks.id()));
    }
}

/// Drops the temporary tables of a session that goes on.
pub(super) fn discard(database: &Database, state: &State) {
    end(database, state);
    state.exchange.lock().temporary = Temporary::default();
}

/// Drops what sessions left behind that did not end.
pub(crate) fn clear(database: &Database) {
    drop_schemas(database, is_temporary);
}

/// Nobody waits for it to work: what stays is dropped at the next opening.
fn drop_schemas(database: &Database, wanted: impl Fn(&str) -> bool) {
    let names: Vec<String> =
        database.catalog().schemas().map(|schema| schema.name.clone()).filter(|name| wanted(name)).collect();
    for name in names {
        for _ in 0..ATTEMPTS_MAX {
            let options = TxnOptions { isolation: Isolation::Snapshot, ..TxnOptions::default() };
            let Ok(txn) = database.begin(options) else { return };
            let _ = txn.set_lock_timeout(Some(Duration::from_secs(1)));
            if txn.catalog().schema(&name).is_none() {
                break;
            }
            let done = txn.drop_schema(&name, true).and_then(|()| txn.commit().map(drop));
            txn.rollback();
            if done.is_ok() {
                break;
            }
        }
    }
}

/// Refuses keys between temporary and lasting tables.
pub(crate) fn check_reference(child: &str, parent: &str) -> Result<()> {
    match (is_temporary(child), is_temporary(parent)) {
        (true, false) => {
            Err(Error::new("42P16", "constraints on temporary tables may reference only temporary tables"))
        }
        (false, true) => {
            Err(Error::new("42P16", "constraints on permanent tables may reference only permanent tables"))
        }
        _ => Ok(()),
    }
}
