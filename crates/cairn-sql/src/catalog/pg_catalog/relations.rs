//! Relations and their columns: `pg_class`, `pg_attribute`, `pg_description`.

use cairn_engine::Catalog;
use cairn_engine::catalog::{CheckOption, PUBLIC, STORE, TypeKind, ViewDescriptor};
use cairn_types::{DataType, Value};

use super::indexes::all_indexes;
use super::partitions;
use super::types::{length, modifier, type_oid};
use super::{STORE_ID, T, derived, schema_ids, system_tables};
use crate::Result;
use crate::catalog::system::{Rows, optional, text};
use crate::context::{Context, Scope};
use crate::session::temporary::is_temporary;

pub(super) fn pg_class(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let schemas = schema_ids(catalog);
    let mut rows = Rows::new();
    let mut push = |id: i64,
                    name: &str,
                    schema: &str,
                    kind: &str,
                    columns: usize,
                    rest: ((i32, f32), bool, usize),
                    bound: Option<String>,
                    options: Option<String>| {
        rows.push(vec![
            Value::BigInt(id),
            text(name),
            schemas.get(schema).map_or(Value::Null, |id| Value::BigInt(*id)),
            Value::BigInt(match u32::try_from(id) {
                Ok(own) if kind == "c" || catalog.table_by_id(own).is_some() => type_oid(own),
                _ => 0,
            }),
            Value::BigInt(10),
            Value::BigInt(match kind {
                "i" | "I" => 403,
                "r" | "m" => 2,
                _ => 0,
            }),
            Value::Integer(rest.0.0),
            Value::Real(rest.0.1),
            Value::Boolean(rest.1),
            text(kind),
            Value::SmallInt(columns as i16),
            Value::SmallInt(rest.2 as i16),
            Value::Boolean(false),
            Value::Boolean(false),
            Value::Boolean(false),
            Value::Boolean(false),
            Value::Boolean(bound.is_some()),
            text(if is_temporary(schema) { "t" } else { "p" }),
            text("d"),
            Value::BigInt(0),
            optional(options.as_deref()),
            optional(bound.as_deref()),
        ]);
    };
    for table in catalog.tables() {
        let indexes = all_indexes(table);
        // As PostgreSQL: -1 rows are those of a table that was never analyzed. Partitions count together.
        let below = catalog.descendants(table.id);
        let mut known: Option<(u64, f64)> = None;
        for own in std::iter::once(table).chain(&below) {
            if let Some(own) = context.txn().statistics(own)? {
                let (pages, rows) = known.unwrap_or_default();
                known = Some((pages + own.pages, rows + own.rows));
            }
        }
        let estimate =
            known.map_or((0, -1.0), |(pages, rows)| (pages.min(i32::MAX as u64) as i32, rows as f32));
        let bound = partitions::bound(table);
        let columns = table.live_columns().len();
        let rest = (estimate, !indexes.is_empty(), table.checks.len());
        let kind = match table.materialized {
            Some(_) => "m",
            None if table.is_partitioned() => "p",
            None => "r",
        };
        let index_kind = if table.is_partitioned() { "I" } else { "i" };
        push(i64::from(table.id), &table.name, &table.schema, kind, columns, rest, bound, None);
        for index in indexes {
            let id = derived(table.id, i64::from(index.id));
            let columns = index.columns.len() + index.include.len();
            push(id, &index.name, &table.schema, index_kind, columns, (estimate, false, 0), None, None);
        }
    }
    for view in catalog.views() {
        push(
            i64::from(view.id),
            &view.name,
            &view.schema,
            "v",
            view.columns.len(),
            ((0, 0.0), false, 0),
            None,
            options_of(view),
        );
    }
    for sequence in catalog.sequences() {
        push(
            i64::from(sequence.id),
            &sequence.name,
            &sequence.schema,
            "S",
            0,
            ((1, 1.0), false, 0),
            None,
            None,
        );
    }
    for ty in catalog.types() {
        if let TypeKind::Composite(fields) = &ty.kind {
            let count = fields.iter().filter(|field| !field.dropped).count();
            push(i64::from(ty.id), &ty.name, &ty.schema, "c", count, ((0, 0.0), false, 0), None, None);
        }
    }
    push(STORE_ID, STORE, PUBLIC, "r", 2, ((0, 0.0), false, 0), None, None);
    for (id, schema, table) in system_tables() {
        let kind = if schema == "pg_catalog" { "r" } else { "v" };
        push(id, table.name, schema, kind, table.columns.len(), ((0, 0.0), false, 0), None, None);
    }
    Ok(rows)
}

/// The options of a view as an array's text.
fn options_of(view: &ViewDescriptor) -> Option<String> {
    let own = &view.options;
    let mut all: Vec<String> = own
        .check
        .iter()
        .map(|check| match check {
            CheckOption::Local => "check_option=local".to_owned(),
            CheckOption::Cascaded => "check_option=cascaded".to_owned(),
        })
        .collect();
    all.extend(own.security_barrier.map(|on| format!("security_barrier={on}")));
    all.extend(own.security_invoker.map(|on| format!("security_invoker={on}")));
    (!all.is_empty()).then(|| format!("{{{}}}", all.join(",")))
}

pub(super) fn pg_attribute(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    let mut domains = Vec::new();
    let mut push = |relation: i64, name: &str, number: usize, ty: &DataType, flags: (bool, bool, &str)| {
        let (identity, generated) = if flags.2 == "s" { ("", "s") } else { (flags.2, "") };
        rows.push(vec![
            Value::BigInt(relation),
            text(name),
            Value::BigInt(i64::from(ty.pg_oid())),
            Value::SmallInt(length(ty)),
            Value::SmallInt(number as i16),
            Value::Integer(modifier(ty)),
            Value::Boolean(flags.0),
            Value::Boolean(flags.1),
            Value::Boolean(false),
            text(identity),
            text(generated),
            Value::BigInt(0),
        ]);
    };
    for table in catalog.tables() {
        for (at, column) in table.live_columns().enumerate() {
            let identity = match column.identity {
                Some(identity) if identity.always => "a",
                Some(_) => "d",
                None if column.generated.is_some() => "s",
                None => "",
            };
            let has_default = column.default.is_some() || column.generated.is_some();
            let flags = (!column.nullable, has_default, identity);
            push(i64::from(table.id), &column.name, at + 1, &column.ty, flags);
            domains.extend(column.domain.map(|domain| (i64::from(table.id), at as i16 + 1, domain)));
        }
        for index in all_indexes(table) {
            for (at, (name, ty, _)) in index.attributes(table).iter().enumerate() {
                let relation = derived(table.id, i64::from(index.id));
                push(relation, name, at + 1, ty, (false, false, ""));
            }
        }
    }
    for view in catalog.views() {
        for (at, column) in view.columns.iter().enumerate() {
            let has_default = column.default.is_some();
            push(i64::from(view.id), &column.name, at + 1, &column.ty, (false, has_default, ""));
        }
    }
    for ty in catalog.types() {
        if let TypeKind::Composite(fields) = &ty.kind {
            for (at, field) in fields.iter().enumerate().filter(|(_, field)| !field.dropped) {
                push(i64::from(ty.id), &field.name, at + 1, &field.ty, (false, false, ""));
            }
        }
    }
    push(STORE_ID, "key", 1, &T, (true, false, ""));
    push(STORE_ID, "value", 2, &T, (true, false, ""));
    for (id, _, table) in system_tables() {
        for (at, (name, ty)) in table.columns.iter().enumerate() {
            push(id, name, at + 1, ty, (false, false, ""));
        }
    }
    for (relation, number, domain) in domains {
        let own =
            |row: &&mut Vec<Value>| row[0] == Value::BigInt(relation) && row[4] == Value::SmallInt(number);
        rows.iter_mut().filter(own).for_each(|row| row[2] = Value::BigInt(type_oid(domain)));
    }
    Ok(rows)
}

pub(super) fn pg_description(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    let mut push_of = |object: i64, class: i64, part: i32, comment: &Option<String>| {
        if comment.is_some() {
            rows.push(vec![
                Value::BigInt(object),
                Value::BigInt(class),
                Value::Integer(part),
                optional(comment.as_deref()),
            ]);
        }
    };
    let class = |name: &str| {
        system_tables()
            .find(|(_, schema, table)| *schema == "pg_catalog" && table.name == name)
            .map(|own| own.0)
    };
    let relation = class("pg_class").unwrap_or_default();
    for table in catalog.tables() {
        push_of(i64::from(table.id), relation, 0, &table.comment);
        for (at, column) in table.live_columns().enumerate() {
            push_of(i64::from(table.id), relation, at as i32 + 1, &column.comment);
        }
        for index in &table.indexes {
            push_of(derived(table.id, i64::from(index.id)), relation, 0, &index.comment);
        }
    }
    for view in catalog.views() {
        push_of(i64::from(view.id), relation, 0, &view.comment);
    }
    for sequence in catalog.sequences() {
        push_of(i64::from(sequence.id), relation, 0, &sequence.comment);
    }
    for schema in catalog.schemas() {
        push_of(i64::from(schema.id), class("pg_namespace").unwrap_or_default(), 0, &schema.comment);
    }
    for ty in catalog.types() {
        push_of(type_oid(ty.id), class("pg_type").unwrap_or_default(), 0, &ty.comment);
    }
    Ok(rows)
}

/// A view's query.
pub(crate) fn view_definition(scope: &Scope, oid: i64) -> Result<Option<String>> {
    let catalog = scope.txn.catalog();
    let view = u32::try_from(oid).ok().and_then(|id| catalog.view_by_id(id).cloned());
    Ok(view.map(|view| format!(" {};", crate::catalog::view::definition(&view))))
}
