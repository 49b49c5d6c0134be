//! `pg_stat_activity`: the sessions, and what each is doing.
//!
//! As in PostgreSQL a role is shown what its own sessions do, and those of roles that it is a member of; of others only that they are
//! there.

use std::collections::BTreeMap;

use cairn_engine::Catalog;
use cairn_types::{Coded, DataType, Value};

use super::DATABASE;
use super::column_type::ColumnType::{Inet, Int4, Int8, Name, Oid, Text, Timestamptz};
use super::pg_catalog::DATABASE_OID;
use super::system::{Columns, Rows, SystemTable, named, oid, text};
use crate::Result;
use crate::context::Context;
use crate::functions::lock::pid;
use crate::privileges::role_name;
use crate::session::activity::{Activity, ClientAddress, Doing};

const COLUMNS: Columns = &[
    ("datid", Oid),
    ("datname", Name),
    ("pid", Int4),
    ("leader_pid", Int4),
    ("usesysid", Oid),
    ("usename", Name),
    ("application_name", Text),
    ("client_addr", Inet),
    ("client_hostname", Text),
    ("client_port", Int4),
    ("backend_start", Timestamptz),
    ("xact_start", Timestamptz),
    ("query_start", Timestamptz),
    ("state_change", Timestamptz),
    ("wait_event_type", Text),
    ("wait_event", Text),
    ("state", Text),
    ("backend_xid", Oid),
    ("backend_xmin", Oid),
    ("query_id", Int8),
    ("query", Text),
    ("backend_type", Text),
];

/// The table.
pub(super) const PG_STAT_ACTIVITY: SystemTable =
    SystemTable { name: "pg_stat_activity", columns: COLUMNS, rows };

fn rows(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let shared = &context.scope.shared;
    // Who waits for a lock, and what kind of thing it is on.
    let mut waits: BTreeMap<i32, &'static str> = BTreeMap::new();
    for lock in shared.database.locks().iter().filter(|lock| !lock.granted) {
        waits.insert(pid(lock.owner), super::locks::kind(lock));
    }
    let row = |activity: &Activity| row(context, catalog, activity, waits.get(&activity.process_id).copied());
    Ok(shared.activities.all().iter().map(|activity| row(activity)).collect())
}

fn row(context: &Context, catalog: &Catalog, activity: &Activity, wait: Option<&str>) -> Vec<Value> {
    let shown = activity.shown();
    let mut all = vec![
        ("datid", oid(DATABASE_OID)),
        ("datname", text(DATABASE)),
        ("pid", Value::Integer(activity.process_id)),
        ("usesysid", oid(shown.role)),
        ("usename", text(role_name(catalog, shown.role))),
        ("application_name", text(&shown.application_name)),
    ];
    if !catalog.has_privileges_of(context.role(), shown.role) {
        all.push(("query", text("<insufficient privilege>")));
        return named(COLUMNS, all);
    }
    let (address, port) = match shown.client {
        None => (Value::Null, Value::Null),
        Some(ClientAddress::Local) => (Value::Null, Value::Integer(-1)),
        Some(ClientAddress::Network(address, port)) => {
            let address = address.to_canonical().to_string();
            let address = Value::parse_text(&address, &DataType::Coded(Coded::Inet)).unwrap_or(Value::Null);
            (address, Value::Integer(i32::from(port)))
        }
    };
    let time = |us: Option<i64>| us.map_or(Value::Null, Value::TimestampTz);
    let waiting = match (wait, shown.doing) {
        (Some(kind), Doing::Active) => Some(("Lock", kind)),
        (None, Doing::Active) => None,
        _ => Some(("Client", "ClientRead")),
    };
    all.extend([
        ("client_addr", address),
        ("client_port", port),
        ("backend_start", time(Some(activity.started_us))),
        ("xact_start", time(shown.transaction_start_us)),
        ("query_start", time(shown.query_start_us)),
        ("state_change", time(shown.changed_us)),
        ("wait_event_type", waiting.map_or(Value::Null, |(kind, _)| text(kind))),
        ("wait_event", waiting.map_or(Value::Null, |(_, event)| text(event))),
        ("state", text(shown.doing.name())),
        ("query", text(&shown.query)),
        ("backend_type", text("client backend")),
    ]);
    named(COLUMNS, all)
}
