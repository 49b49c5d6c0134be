//! `pg_sequence` and `pg_sequences`.

use cairn_engine::Catalog;
use cairn_engine::catalog::Privileges;
use cairn_types::Value;

use crate::Result;
use crate::catalog::column_type::ColumnType::{Bool, Int8, Name, Oid, Text};
use crate::catalog::system::{Columns, Rows, SystemTable, named, oid, text};
use crate::context::Context;
use crate::privileges::{require_sequence, shown};

/// `pg_sequence`.
pub(super) const PG_SEQUENCE: SystemTable =
    SystemTable { name: "pg_sequence", columns: SEQUENCE, rows: |_, catalog| Ok(sequence(catalog)) };
/// `pg_sequences`.
pub(super) const PG_SEQUENCES: SystemTable =
    SystemTable { name: "pg_sequences", columns: SEQUENCES, rows: sequences };

const SEQUENCE: Columns = &[
    ("seqrelid", Oid),
    ("seqtypid", Oid),
    ("seqstart", Int8),
    ("seqincrement", Int8),
    ("seqmax", Int8),
    ("seqmin", Int8),
    ("seqcache", Int8),
    ("seqcycle", Bool),
];
const SEQUENCES: Columns = &[
    ("schemaname", Name),
    ("sequencename", Name),
    ("sequenceowner", Name),
    ("data_type", Text),
    ("start_value", Int8),
    ("min_value", Int8),
    ("max_value", Int8),
    ("increment_by", Int8),
    ("cycle", Bool),
    ("cache_size", Int8),
    ("last_value", Int8),
];

fn sequence(catalog: &Catalog) -> Rows {
    let row = |own: &std::sync::Arc<cairn_engine::catalog::SequenceDescriptor>| {
        named(
            SEQUENCE,
            [
                ("seqrelid", oid(own.id)),
                ("seqtypid", oid(own.ty.pg_oid())),
                ("seqstart", Value::BigInt(own.start)),
                ("seqincrement", Value::BigInt(own.increment)),
                ("seqmax", Value::BigInt(own.max)),
                ("seqmin", Value::BigInt(own.min)),
                ("seqcache", Value::BigInt(own.cache)),
                ("seqcycle", Value::Boolean(own.cycle)),
            ],
        )
    };
    catalog.sequences().map(row).collect()
}

fn sequences(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for own in catalog.sequences() {
        let (last, called) = context.txn().sequence_state(own.id)?;
        let any = Privileges::SELECT | Privileges::USAGE;
        let called = called && require_sequence(context, own.id, &own.name, any).is_ok();
        rows.push(named(
            SEQUENCES,
            [
                ("schemaname", text(&own.schema)),
                ("sequencename", text(&own.name)),
                ("sequenceowner", shown::owner_name(catalog, own.id)),
                ("data_type", text(own.ty.base_name())),
                ("start_value", Value::BigInt(own.start)),
                ("min_value", Value::BigInt(own.min)),
                ("max_value", Value::BigInt(own.max)),
                ("increment_by", Value::BigInt(own.increment)),
                ("cycle", Value::Boolean(own.cycle)),
                ("cache_size", Value::BigInt(own.cache)),
                ("last_value", if called { Value::BigInt(last) } else { Value::Null }),
            ],
        ));
    }
    Ok(rows)
}
