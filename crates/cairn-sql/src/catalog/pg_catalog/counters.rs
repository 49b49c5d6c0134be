//! PostgreSQL's views of what was done with each object since the server began. CairnDB counts little of it: what it does not count is
//! NULL, not zero, so that nobody takes an index for unused.

use cairn_engine::Catalog;
use cairn_engine::catalog::Table;
use cairn_types::Value;

use super::{derived, indexes};
use crate::Result;
use crate::catalog::DATABASE;
use crate::catalog::column_type::ColumnType::{Float8, Inet, Int4, Int8, Name, Oid, Text, Timestamptz};
use crate::catalog::system::{Columns, Rows, SystemTable, named, oid, text};
use crate::context::Context;

use super::server::DATABASE_OID;

const OF_TABLES: Columns = &[
    ("relid", Oid),
    ("schemaname", Name),
    ("relname", Name),
    ("seq_scan", Int8),
    ("last_seq_scan", Timestamptz),
    ("seq_tup_read", Int8),
    ("idx_scan", Int8),
    ("last_idx_scan", Timestamptz),
    ("idx_tup_fetch", Int8),
    ("n_tup_ins", Int8),
    ("n_tup_upd", Int8),
    ("n_tup_del", Int8),
    ("n_tup_hot_upd", Int8),
    ("n_tup_newpage_upd", Int8),
    ("n_live_tup", Int8),
    ("n_dead_tup", Int8),
    ("n_mod_since_analyze", Int8),
    ("n_ins_since_vacuum", Int8),
    ("last_vacuum", Timestamptz),
    ("last_autovacuum", Timestamptz),
    ("last_analyze", Timestamptz),
    ("last_autoanalyze", Timestamptz),
    ("vacuum_count", Int8),
    ("autovacuum_count", Int8),
    ("analyze_count", Int8),
    ("autoanalyze_count", Int8),
];
const OF_INDEXES: Columns = &[
    ("relid", Oid),
    ("indexrelid", Oid),
    ("schemaname", Name),
    ("relname", Name),
    ("indexrelname", Name),
    ("idx_scan", Int8),
    ("last_idx_scan", Timestamptz),
    ("idx_tup_read", Int8),
    ("idx_tup_fetch", Int8),
];
const BLOCKS_OF_TABLES: Columns = &[
    ("relid", Oid),
    ("schemaname", Name),
    ("relname", Name),
    ("heap_blks_read", Int8),
    ("heap_blks_hit", Int8),
    ("idx_blks_read", Int8),
    ("idx_blks_hit", Int8),
    ("toast_blks_read", Int8),
    ("toast_blks_hit", Int8),
    ("tidx_blks_read", Int8),
    ("tidx_blks_hit", Int8),
];
const BLOCKS_OF_INDEXES: Columns = &[
    ("relid", Oid),
    ("indexrelid", Oid),
    ("schemaname", Name),
    ("relname", Name),
    ("indexrelname", Name),
    ("idx_blks_read", Int8),
    ("idx_blks_hit", Int8),
];
const BLOCKS_OF_SEQUENCES: Columns =
    &[("relid", Oid), ("schemaname", Name), ("relname", Name), ("blks_read", Int8), ("blks_hit", Int8)];
const OF_FUNCTIONS: Columns = &[
    ("funcid", Oid),
    ("schemaname", Name),
    ("funcname", Name),
    ("calls", Int8),
    ("total_time", Float8),
    ("self_time", Float8),
];
const OF_DATABASES: Columns = &[
    ("datid", Oid),
    ("datname", Name),
    ("numbackends", Int4),
    ("xact_commit", Int8),
    ("xact_rollback", Int8),
    ("blks_read", Int8),
    ("blks_hit", Int8),
    ("tup_returned", Int8),
    ("tup_fetched", Int8),
    ("tup_inserted", Int8),
    ("tup_updated", Int8),
    ("tup_deleted", Int8),
    ("conflicts", Int8),
    ("temp_files", Int8),
    ("temp_bytes", Int8),
    ("deadlocks", Int8),
    ("checksum_failures", Int8),
    ("checksum_last_failure", Timestamptz),
    ("blk_read_time", Float8),
    ("blk_write_time", Float8),
    ("session_time", Float8),
    ("active_time", Float8),
    ("idle_in_transaction_time", Float8),
    ("sessions", Int8),
    ("sessions_abandoned", Int8),
    ("sessions_fatal", Int8),
    ("sessions_killed", Int8),
    ("stats_reset", Timestamptz),
];
const OF_REPLICAS: Columns = &[
    ("pid", Int4),
    ("usesysid", Oid),
    ("usename", Name),
    ("application_name", Text),
    ("client_addr", Inet),
    ("client_hostname", Text),
    ("client_port", Int4),
    ("backend_start", Timestamptz),
    ("backend_xmin", Oid),
    ("state", Text),
    ("sent_lsn", Text),
    ("write_lsn", Text),
    ("flush_lsn", Text),
    ("replay_lsn", Text),
    ("write_lag", Text),
    ("flush_lag", Text),
    ("replay_lag", Text),
    ("sync_priority", Int4),
    ("sync_state", Text),
    ("reply_time", Timestamptz),
];
const OF_SUBSCRIPTIONS: Columns = &[
    ("subid", Oid),
    ("subname", Name),
    ("pid", Int4),
    ("relid", Oid),
    ("received_lsn", Text),
    ("last_msg_send_time", Timestamptz),
    ("last_msg_receipt_time", Timestamptz),
    ("latest_end_lsn", Text),
    ("latest_end_time", Timestamptz),
];

/// The views. Those of `user` objects hold all: what is computed is counted nowhere.
pub(super) const TABLES: &[SystemTable] = &[
    SystemTable { name: "pg_stat_all_tables", columns: OF_TABLES, rows: tables },
    SystemTable { name: "pg_stat_user_tables", columns: OF_TABLES, rows: tables },
    SystemTable { name: "pg_stat_all_indexes", columns: OF_INDEXES, rows: indexes_of_tables },
    SystemTable { name: "pg_stat_user_indexes", columns: OF_INDEXES, rows: indexes_of_tables },
    SystemTable { name: "pg_statio_all_tables", columns: BLOCKS_OF_TABLES, rows: blocks },
    SystemTable { name: "pg_statio_user_tables", columns: BLOCKS_OF_TABLES, rows: blocks },
    SystemTable { name: "pg_statio_all_indexes", columns: BLOCKS_OF_INDEXES, rows: indexes_of_tables },
    SystemTable { name: "pg_statio_user_indexes", columns: BLOCKS_OF_INDEXES, rows: indexes_of_tables },
    SystemTable { name: "pg_statio_all_sequences", columns: BLOCKS_OF_SEQUENCES, rows: sequences },
    SystemTable { name: "pg_statio_user_sequences", columns: BLOCKS_OF_SEQUENCES, rows: sequences },
    // As in PostgreSQL, where functions are counted only when the server is told so.
    SystemTable::empty("pg_stat_user_functions", OF_FUNCTIONS),
    SystemTable { name: "pg_stat_database", columns: OF_DATABASES, rows: databases },
    SystemTable::empty("pg_stat_replication", OF_REPLICAS),
    SystemTable::empty("pg_stat_subscription", OF_SUBSCRIPTIONS),
];

fn of_table(table: &Table) -> [Value; 3] {
    [oid(table.id), text(&table.schema), text(&table.name)]
}

fn tables(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let row = |table: &Table| {
        let [id, schema, name] = of_table(table);
        let known = context.txn().statistics(table)?;
        let live = known.map_or(Value::Null, |known| Value::BigInt(known.rows as i64));
        Ok(named(OF_TABLES, [("relid", id), ("schemaname", schema), ("relname", name), ("n_live_tup", live)]))
    };
    catalog.tables().map(|table| row(table)).collect()
}

fn blocks(_: &Context, catalog: &Catalog) -> Result<Rows> {
    Ok(catalog.tables().map(|table| of_table(table).to_vec()).collect())
}

fn indexes_of_tables(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let all = catalog.tables().flat_map(|table| {
        indexes::all_indexes(table).into_iter().map(|index| {
            let [id, schema, name] = of_table(table);
            vec![id, oid(derived(table.id, i64::from(index.id))), schema, name, text(&index.name)]
        })
    });
    Ok(all.collect())
}

fn sequences(_: &Context, catalog: &Catalog) -> Result<Rows> {
    Ok(catalog.sequences().map(|own| vec![oid(own.id), text(&own.schema), text(&own.name)]).collect())
}

fn databases(context: &Context, _: &Catalog) -> Result<Rows> {
    let sessions = context.scope.shared.activities.all().len() as i32;
    let row = [
        ("datid", oid(DATABASE_OID)),
        ("datname", text(DATABASE)),
        ("numbackends", Value::Integer(sessions)),
    ];
    Ok(vec![named(OF_DATABASES, row)])
}
