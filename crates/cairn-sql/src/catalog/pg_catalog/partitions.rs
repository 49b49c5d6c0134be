//! Partitions: `pg_inherits`, `pg_partitioned_table`, and what bounds and keys look like in SQL.

use cairn_engine::Catalog;
use cairn_engine::catalog::{PartitionBound, RangeEnd, Table};
use cairn_engine::table::bound_literal;
use cairn_types::{DataType, Value};

use super::access::class_of;
use super::derived;
use super::traits::collation;
use crate::Result;
use crate::catalog::system::{Rows, text};
use crate::context::{Context, Scope};
use crate::functions::text::quote_ident;

/// `FOR VALUES …` of a partition.
pub(super) fn bound(table: &Table) -> Option<String> {
    let own = table.partition.as_ref()?;
    let ends = |ends: &[RangeEnd]| {
        let cells = ends.iter().zip(&own.types).map(|(end, ty)| match end {
            RangeEnd::Min => "MINVALUE".to_owned(),
            RangeEnd::Value(value) => bound_literal(value, ty),
            RangeEnd::Max => "MAXVALUE".to_owned(),
        });
        cells.collect::<Vec<_>>().join(", ")
    };
    Some(match &own.bound {
        PartitionBound::Default => "DEFAULT".to_owned(),
        PartitionBound::Range { from, to } => {
            format!("FOR VALUES FROM ({}) TO ({})", ends(from), ends(to))
        }
        PartitionBound::List(values) => {
            let cells: Vec<String> =
                values.iter().zip(own.types.iter().cycle()).map(|(v, ty)| bound_literal(v, ty)).collect();
            format!("FOR VALUES IN ({})", cells.join(", "))
        }
        PartitionBound::Hash { modulus, remainder } => {
            format!("FOR VALUES WITH (modulus {modulus}, remainder {remainder})")
        }
    })
}

/// `RANGE (a, b)` of a partitioned table.
pub(crate) fn key_definition(scope: &Scope, oid: i64) -> Result<Option<String>> {
    let catalog = scope.txn.catalog();
    let table = u32::try_from(oid).ok().and_then(|id| catalog.table_by_id(id));
    Ok(table.and_then(|table| {
        let own = table.partitioning.as_ref()?;
        let names = own.columns.iter().filter_map(|id| table.column_by_id(*id));
        let names: Vec<String> = names.map(|column| quote_ident(&column.name)).collect();
        Some(format!("{} ({})", own.strategy.word().to_uppercase(), names.join(", ")))
    }))
}

pub(super) fn pg_inherits(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    let mut push = |child: i64, parent: i64| {
        rows.push(vec![
            Value::BigInt(child),
            Value::BigInt(parent),
            Value::Integer(1),
            Value::Boolean(false),
        ]);
    };
    for table in catalog.tables() {
        let Some(own) = &table.partition else { continue };
        push(i64::from(table.id), i64::from(own.parent));
        for (above, below) in &own.indexes {
            push(derived(table.id, i64::from(*below)), derived(own.parent, i64::from(*above)));
        }
    }
    Ok(rows)
}

pub(super) fn pg_partitioned_table(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in catalog.tables() {
        let Some(own) = &table.partitioning else { continue };
        let places = own.columns.iter().filter_map(|id| table.place_of(*id));
        let places: Vec<Value> = places.map(|place| Value::SmallInt(place as i16 + 1)).collect();
        let types: Vec<&DataType> =
            own.columns.iter().filter_map(|id| Some(&table.column_by_id(*id)?.ty)).collect();
        let default = catalog.partitions(table).default();
        rows.push(vec![
            Value::BigInt(i64::from(table.id)),
            text(&own.strategy.word()[..1]),
            Value::SmallInt(own.columns.len() as i16),
            Value::BigInt(default.map_or(0, i64::from)),
            Value::Array(places),
            Value::Array(types.iter().map(|ty| Value::BigInt(class_of(ty))).collect()),
            Value::Array(types.iter().map(|ty| Value::BigInt(collation(ty))).collect()),
            Value::Null,
        ]);
    }
    Ok(rows)
}
