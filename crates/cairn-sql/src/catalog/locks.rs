//! `pg_locks`: who holds and who waits for which lock.
//!
//! Columns are PostgreSQL's. A row of a table is a `tuple`, shown with its table (or the id of its unique index, where the lock
//! is on an entry of that); a key of the key-value space is a `key` of `store`. `pid` is `pg_backend_pid()` of the session, or
//! stands for a transaction of the API.

use cairn_engine::{AdvisoryKey, Catalog, LockInfo, LockedThing};
use cairn_types::Value;

use super::column_type::ColumnType;
use super::pg_catalog::{STORE_ID, derived};
use super::system::{Rows, SystemTable, text};
use crate::Result;
use crate::context::Context;
use crate::functions::lock::pid;

const T: ColumnType = ColumnType::Text;
const O: ColumnType = ColumnType::Oid;

pub(super) const PG_LOCKS: SystemTable = SystemTable {
    name: "pg_locks",
    columns: &[
        ("locktype", T),
        ("database", O),
        ("relation", O),
        ("page", ColumnType::Int4),
        ("tuple", ColumnType::Int2),
        ("virtualxid", T),
        ("transactionid", O),
        ("classid", O),
        ("objid", O),
        ("objsubid", ColumnType::Int2),
        ("virtualtransaction", T),
        ("pid", ColumnType::Int4),
        ("mode", T),
        ("granted", ColumnType::Bool),
        ("fastpath", ColumnType::Bool),
        ("waitstart", ColumnType::Timestamptz),
    ],
    rows,
};

fn rows(context: &Context, _: &Catalog) -> Result<Rows> {
    Ok(context.scope.shared.database.locks().iter().map(row).collect())
}

/// What kind of thing a lock is on.
pub(super) fn kind(lock: &LockInfo) -> &'static str {
    match LockedThing::of(&lock.target) {
        LockedThing::Table(_) => "relation",
        LockedThing::Row { .. } => "tuple",
        LockedThing::Key(_) => "key",
        LockedThing::Name => "object",
        LockedThing::Keys(..) => "keys",
        LockedThing::Advisory(_) => "advisory",
    }
}

fn row(lock: &LockInfo) -> Vec<Value> {
    let mut relation = Value::Null;
    let (mut class, mut object, mut sub) = (Value::Null, Value::Null, Value::Null);
    match LockedThing::of(&lock.target) {
        LockedThing::Table(table) => {
            relation = Value::BigInt(i64::from(table));
        }
        LockedThing::Row { table, index: 0, .. } => {
            relation = Value::BigInt(i64::from(table));
        }
        LockedThing::Row { table, index, .. } => {
            relation = Value::BigInt(derived(table, i64::from(index)));
        }
        LockedThing::Key(_) => {
            relation = Value::BigInt(STORE_ID);
        }
        LockedThing::Name => {}
        LockedThing::Keys(..) => {
            relation = Value::BigInt(STORE_ID);
        }
        LockedThing::Advisory(key) => {
            let parts = match key {
                AdvisoryKey::One(key) => (key >> 32 & 0xffff_ffff, key & 0xffff_ffff, 1),
                AdvisoryKey::Two(a, b) => (i64::from(a as u32), i64::from(b as u32), 2),
            };
            class = Value::BigInt(parts.0);
            object = Value::BigInt(parts.1);
            sub = Value::SmallInt(parts.2);
        }
    }
    vec![
        text(kind(lock)),
        Value::Null,
        relation,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        class,
        object,
        sub,
        text(format!("{}/0", pid(lock.owner))),
        Value::Integer(pid(lock.owner)),
        text(lock.mode.to_string()),
        Value::Boolean(lock.granted),
        Value::Boolean(false),
        Value::Null,
    ]
}
