//! What locks are on, in terms of tables: for listings and messages.

use std::fmt;

use cairn_storage::{AdvisoryKey, LockTarget, LockWait};

use crate::catalog::{IndexId, ObjectId};
use crate::ddl::lock::NAME;
use crate::key_space::{PREFIX_BYTES, STORE_TABLE};

/// What a [`LockTarget`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockedThing {
    /// A key of the key-value space; of a long one its beginning.
    Key(bytes::Bytes),
    /// A row of a table (`index` 0), or an entry of one of its unique indexes.
    Row {
        /// The table.
        table: ObjectId,
        /// The index; 0 = the rows themselves.
        index: IndexId,
        /// The encoded key; of a long one its beginning.
        key: bytes::Bytes,
    },
    /// Keys of the key-value space from one up to, without, another; no end where there is none.
    Keys(bytes::Bytes, Option<bytes::Bytes>),
    /// A table; all its rows too, where so many are locked that each by itself takes too much memory.
    Table(ObjectId),
    /// The name of a relation, by DDL that uses or gives it.
    Name,
    /// An advisory lock.
    Advisory(AdvisoryKey),
}

impl LockedThing {
    /// What a target is. A key that no transaction of this engine has locked is shown as one of the key-value space.
    pub fn of(target: &LockTarget) -> LockedThing {
        match target {
            LockTarget::Object(number) if number & NAME != 0 => LockedThing::Name,
            LockTarget::Object(table) => {
                LockedThing::Table(ObjectId::try_from(*table).unwrap_or(ObjectId::MAX))
            }
            LockTarget::Advisory(key) => LockedThing::Advisory(*key),
            LockTarget::Range(range) => {
                let start = range.start_key();
                let first = LockedThing::of(&LockTarget::Key(start.clone()));
                match first {
                    LockedThing::Row { table, .. } => LockedThing::Table(table),
                    _ => {
                        let behind =
                            |end: &bytes::Bytes| end.starts_with(&start[..PREFIX_BYTES.min(start.len())]);
                        let end = range.end_key().filter(behind);
                        let key = |whole: bytes::Bytes| whole.slice(PREFIX_BYTES.min(whole.len())..);
                        LockedThing::Keys(key(start.clone()), end.map(key))
                    }
                }
            }
            LockTarget::Key(whole) => {
                let Some((prefix, _)) = whole.split_first_chunk::<PREFIX_BYTES>() else {
                    return LockedThing::Key(whole.clone());
                };
                let [_, _, a, b, c, d, e, f] = *prefix;
                let (table, index) = (u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, f]));
                let key = whole.slice(PREFIX_BYTES..);
                match table {
                    STORE_TABLE => LockedThing::Key(key),
                    _ => LockedThing::Row { table, index, key },
                }
            }
        }
    }
}

impl fmt::Display for LockedThing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockedThing::Key(key) => write!(f, "key \"{}\"", key.escape_ascii()),
            LockedThing::Row { table, index: 0, key } => {
                write!(f, "row \"{}\" of relation {table}", key.escape_ascii())
            }
            LockedThing::Row { table, index, key } => {
                write!(f, "key \"{}\" of index {index} of relation {table}", key.escape_ascii())
            }
            LockedThing::Keys(start, end) => {
                write!(f, "keys from \"{}\"", start.escape_ascii())?;
                end.as_ref().map_or(Ok(()), |end| write!(f, " to \"{}\"", end.escape_ascii()))
            }
            LockedThing::Name => f.write_str("name of a relation"),
            LockedThing::Table(table) => write!(f, "relation {table}"),
            LockedThing::Advisory(AdvisoryKey::One(number)) => write!(f, "advisory lock [{number}]"),
            LockedThing::Advisory(AdvisoryKey::Two(a, b)) => write!(f, "advisory lock [{a},{b}]"),
        }
    }
}

/// A line of a deadlock's detail, as PostgreSQL words it.
pub(crate) fn describe(wait: &LockWait) -> String {
    let LockWait { waiter, mode, blocker, .. } = wait;
    let thing = LockedThing::of(&wait.target);
    format!("Transaction {waiter} waits for {mode} on {thing}; blocked by transaction {blocker}.")
}
