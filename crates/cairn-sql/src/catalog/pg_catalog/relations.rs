//! Relations and their columns: `pg_class`, `pg_attribute`, `pg_description`.

use std::collections::BTreeMap;

use cairn_engine::Catalog;
use cairn_engine::catalog::{CheckOption, PUBLIC, STORE, TypeKind, ViewDescriptor};
use cairn_types::{DataType, Value};

use super::access::{HEAP, method_id};
use super::constraints;
use super::indexes::all_indexes;
use super::partitions;
use super::traits::{collation, dimensions, stored_as};
use super::types::{modifier, type_oid};
use super::{STORE_ID, USER_ID, class_id, derived, derived_parts, is_view, schema_ids, system_tables};
use crate::Result;
use crate::catalog::column_type::ColumnType::{Bool, Char, Float4, Int2, Int4, Name, Oid, Text, TextList};
use crate::catalog::system::{
    Columns, Rows, SEQUENCE_COLUMNS, SystemTable, named, oid, optional, set, text, texts,
};
use crate::context::{Context, Scope};
use crate::privileges::shown;
use crate::session::temporary::is_temporary;

/// `pg_class`.
pub(super) const PG_CLASS: SystemTable = SystemTable { name: "pg_class", columns: CLASS, rows: pg_class };
/// `pg_attribute`.
pub(super) const PG_ATTRIBUTE: SystemTable =
    SystemTable { name: "pg_attribute", columns: ATTRIBUTE, rows: pg_attribute };

const CLASS: Columns = &[
    ("oid", Oid),
    ("relname", Name),
    ("relnamespace", Oid),
    ("reltype", Oid),
    ("reloftype", Oid),
    ("relowner", Oid),
    ("relam", Oid),
    ("relfilenode", Oid),
    ("reltablespace", Oid),
    ("relpages", Int4),
    ("reltuples", Float4),
    ("relallvisible", Int4),
    ("reltoastrelid", Oid),
    ("relhasindex", Bool),
    ("relisshared", Bool),
    ("relpersistence", Char),
    ("relkind", Char),
    ("relnatts", Int2),
    ("relchecks", Int2),
    ("relhasrules", Bool),
    ("relhastriggers", Bool),
    ("relhassubclass", Bool),
    ("relrowsecurity", Bool),
    ("relforcerowsecurity", Bool),
    ("relispopulated", Bool),
    ("relreplident", Char),
    ("relispartition", Bool),
    ("relrewrite", Oid),
    ("relfrozenxid", Oid),
    ("relminmxid", Oid),
    ("relacl", TextList),
    ("reloptions", TextList),
    ("relpartbound", Text),
];

const ATTRIBUTE: Columns = &[
    ("attrelid", Oid),
    ("attname", Name),
    ("atttypid", Oid),
    ("attlen", Int2),
    ("attnum", Int2),
    ("attndims", Int2),
    ("attcacheoff", Int4),
    ("atttypmod", Int4),
    ("attbyval", Bool),
    ("attalign", Char),
    ("attstorage", Char),
    ("attcompression", Char),
    ("attnotnull", Bool),
    ("atthasdef", Bool),
    ("atthasmissing", Bool),
    ("attidentity", Char),
    ("attgenerated", Char),
    ("attisdropped", Bool),
    ("attislocal", Bool),
    ("attinhcount", Int2),
    ("attcollation", Oid),
    ("attstattarget", Int2),
    ("attacl", TextList),
    ("attoptions", TextList),
    ("attfdwoptions", TextList),
    ("attmissingval", Text),
];

/// What `pg_class` says of a relation.
struct ClassRow<'a> {
    id: i64,
    name: &'a str,
    schema: &'a str,
    kind: &'static str,
    columns: usize,
    /// Pages and rows.
    estimate: (i32, f32),
    has_index: bool,
    checks: usize,
    has_triggers: bool,
    has_children: bool,
    populated: bool,
    /// The access method of an index.
    method: Option<&'a str>,
    bound: Option<String>,
    options: Vec<String>,
}

impl<'a> ClassRow<'a> {
    fn new(id: impl Into<i64>, schema: &'a str, name: &'a str, kind: &'static str, columns: usize) -> Self {
        Self {
            id: id.into(),
            name,
            schema,
            kind,
            columns,
            estimate: (0, 0.0),
            has_index: false,
            checks: 0,
            has_triggers: false,
            has_children: false,
            populated: true,
            method: None,
            bound: None,
            options: Vec::new(),
        }
    }

    fn values(self, catalog: &Catalog, schemas: &BTreeMap<&str, i64>) -> Vec<Value> {
        let kind = self.kind;
        let own_type = match u32::try_from(self.id) {
            Ok(id) if kind == "c" || catalog.table_by_id(id).is_some() => type_oid(id),
            _ => 0,
        };
        let method = match (kind, self.method) {
            ("r" | "m", _) => HEAP,
            (_, Some(name)) => method_id(name),
            _ => 0,
        };
        let stored = matches!(kind, "r" | "m" | "i" | "S");
        let namespace = schemas.get(self.schema).map_or(Value::Null, |id| oid(*id));
        let flag = Value::Boolean;
        // Indexes have the owner of their table.
        let own = match kind {
            "i" | "I" => derived_parts(catalog, self.id).map(|(table, _)| table.id),
            _ => u32::try_from(self.id).ok(),
        };
        let access = u32::try_from(self.id).ok().and_then(|id| catalog.access(id));
        let system = system_tables().any(|own| own.0 == self.id) && self.schema != PUBLIC;
        // What all may read needs no grant, which pg_dump would repeat.
        let acl = match system {
            true => Value::Null,
            false => shown::acl(catalog, access.and_then(|access| access.acl.as_ref())),
        };
        named(
            CLASS,
            [
                ("oid", oid(self.id)),
                ("relname", text(self.name)),
                ("relnamespace", namespace),
                ("reltype", oid(own_type)),
                ("reloftype", oid(0)),
                ("relowner", own.map_or(oid(USER_ID), |id| shown::owner(catalog, id))),
                ("relam", oid(method)),
                ("relfilenode", oid(if stored { self.id } else { 0 })),
                ("reltablespace", oid(0)),
                ("relpages", Value::Integer(self.estimate.0)),
                ("reltuples", Value::Real(self.estimate.1)),
                ("relallvisible", Value::Integer(0)),
                ("reltoastrelid", oid(0)),
                ("relhasindex", flag(self.has_index)),
                ("relisshared", flag(false)),
                ("relpersistence", text(if is_temporary(self.schema) { "t" } else { "p" })),
                ("relkind", text(kind)),
                ("relnatts", Value::SmallInt(self.columns as i16)),
                ("relchecks", Value::SmallInt(self.checks as i16)),
                ("relhasrules", flag(matches!(kind, "v" | "m"))),
                ("relhastriggers", flag(self.has_triggers)),
                ("relhassubclass", flag(self.has_children)),
                ("relrowsecurity", flag(access.is_some_and(|access| access.row_security))),
                ("relforcerowsecurity", flag(access.is_some_and(|access| access.force_row_security))),
                ("relispopulated", flag(self.populated)),
                ("relreplident", text(if matches!(kind, "r" | "m" | "p") { "d" } else { "n" })),
                ("relispartition", flag(self.bound.is_some())),
                ("relrewrite", oid(0)),
                ("relfrozenxid", oid(0)),
                ("relminmxid", oid(0)),
                ("relacl", acl),
                ("reloptions", texts(self.options)),
                ("relpartbound", optional(self.bound.as_deref())),
            ],
        )
    }
}

fn pg_class(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let schemas = schema_ids(catalog);
    let mut rows = Rows::new();
    let values = |row: ClassRow<'_>| row.values(catalog, &schemas);
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
        let (columns, split) = (table.live_columns().len(), table.is_partitioned());
        let kind = match table.materialized {
            Some(_) => "m",
            None if split => "p",
            None => "r",
        };
        let is_partition = bound.is_some();
        let keys = !table.foreign_keys.is_empty() || catalog.children(table.id).next().is_some();
        rows.push(values(ClassRow {
            estimate,
            has_index: !indexes.is_empty(),
            checks: table.checks.len(),
            has_triggers: keys || !table.triggers.is_empty(),
            has_children: split && !below.is_empty(),
            populated: table.materialized.as_ref().is_none_or(|own| own.populated),
            bound,
            ..ClassRow::new(table.id, &table.schema, &table.name, kind, columns)
        }));
        for index in indexes {
            let id = derived(table.id, i64::from(index.id));
            let columns = index.columns.len() + index.include.len();
            let kind = if split { "I" } else { "i" };
            // An index of a partition that stands for one of the whole table has the bound "".
            let attached = is_partition
                && table
                    .partition
                    .as_ref()
                    .is_some_and(|own| own.indexes.iter().any(|(_, b)| *b == index.id));
            let mut row = ClassRow {
                estimate,
                has_children: split && !below.is_empty(),
                method: Some(&index.kind),
                ..ClassRow::new(id, &table.schema, &index.name, kind, columns)
            }
            .values(catalog, &schemas);
            if attached {
                set(&mut row, CLASS, "relispartition", Value::Boolean(true));
            }
            rows.push(row);
        }
    }
    for view in catalog.views() {
        rows.push(values(ClassRow {
            has_triggers: !view.triggers.is_empty(),
            options: options_of(view),
            ..ClassRow::new(view.id, &view.schema, &view.name, "v", view.columns.len())
        }));
    }
    for sequence in catalog.sequences() {
        rows.push(values(ClassRow {
            estimate: (1, 1.0),
            ..ClassRow::new(sequence.id, &sequence.schema, &sequence.name, "S", SEQUENCE_COLUMNS.len())
        }));
    }
    for ty in catalog.types() {
        if let TypeKind::Composite(fields) = &ty.kind {
            let count = fields.iter().filter(|field| !field.dropped).count();
            rows.push(values(ClassRow::new(ty.id, &ty.schema, &ty.name, "c", count)));
        }
    }
    rows.push(values(ClassRow::new(STORE_ID, "pg_catalog", STORE, "r", 2)));
    for (id, schema, table) in system_tables() {
        let kind = if is_view(schema, table.name) { "v" } else { "r" };
        rows.push(values(ClassRow::new(id, schema, table.name, kind, table.columns.len())));
    }
    Ok(rows)
}

/// The options of a view.
fn options_of(view: &ViewDescriptor) -> Vec<String> {
    let own = &view.options;
    let check = own.check.iter().map(|check| match check {
        CheckOption::Local => "check_option=local".to_owned(),
        CheckOption::Cascaded => "check_option=cascaded".to_owned(),
    });
    let barrier = own.security_barrier.map(|on| format!("security_barrier={on}"));
    let invoker = own.security_invoker.map(|on| format!("security_invoker={on}"));
    check.chain(barrier).chain(invoker).collect()
}

/// What `pg_attribute` says of a column.
#[derive(Default)]
struct AttributeRow<'a> {
    relation: i64,
    name: &'a str,
    number: usize,
    /// The domain or type with a name of its own.
    named_type: Option<i64>,
    not_null: bool,
    has_default: bool,
    has_missing: bool,
    identity: &'static str,
    generated: &'static str,
    inherited: bool,
    acl: Option<Value>,
}

impl AttributeRow<'_> {
    fn values(&self, ty: &DataType) -> Vec<Value> {
        let flag = Value::Boolean;
        let traits = stored_as(ty);
        vec![
            oid(self.relation),
            text(self.name),
            oid(self.named_type.unwrap_or_else(|| i64::from(ty.pg_oid()))),
            Value::SmallInt(traits.length),
            Value::SmallInt(self.number as i16),
            Value::SmallInt(dimensions(ty)),
            Value::Integer(-1),
            Value::Integer(modifier(ty)),
            flag(traits.by_value),
            text(traits.align),
            text(traits.storage),
            text(""),
            flag(self.not_null),
            flag(self.has_default),
            flag(self.has_missing),
            text(self.identity),
            text(self.generated),
            flag(false),
            flag(!self.inherited),
            Value::SmallInt(i16::from(self.inherited)),
            oid(collation(ty)),
            Value::SmallInt(-1),
            self.acl.clone().unwrap_or(Value::Null),
            Value::Null,
            Value::Null,
            Value::Null,
        ]
    }
}

fn pg_attribute(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in catalog.tables() {
        let relation = i64::from(table.id);
        for (at, column) in table.live_columns().enumerate() {
            let identity = match column.identity {
                Some(identity) if identity.always => "a",
                Some(_) => "d",
                None => "",
            };
            let row = AttributeRow {
                relation,
                name: &column.name,
                number: at + 1,
                named_type: column.domain.map(type_oid),
                not_null: !column.nullable,
                has_default: column.default.is_some() || column.generated.is_some(),
                has_missing: column.missing.is_some(),
                identity,
                generated: if column.generated.is_some() { "s" } else { "" },
                inherited: table.partition.is_some(),
                acl: column_acl(catalog, table.id, column.id),
            };
            rows.push(row.values(&column.ty));
        }
        for index in all_indexes(table) {
            let relation = derived(table.id, i64::from(index.id));
            for (at, (name, ty, _)) in index.attributes(table).iter().enumerate() {
                let row = AttributeRow { relation, name, number: at + 1, ..AttributeRow::default() };
                rows.push(row.values(ty));
            }
        }
    }
    for view in catalog.views() {
        for (at, column) in view.columns.iter().enumerate() {
            let acl = column_acl(catalog, view.id, at as u32 + 1);
            let relation = i64::from(view.id);
            let row =
                AttributeRow { relation, name: &column.name, number: at + 1, acl, ..AttributeRow::default() };
            rows.push(row.values(&column.ty));
        }
    }
    let mut plain = |relation: i64, columns: &mut dyn Iterator<Item = (&str, DataType)>, not_null: bool| {
        for (at, (name, ty)) in columns.enumerate() {
            let row = AttributeRow { relation, name, number: at + 1, not_null, ..AttributeRow::default() };
            rows.push(row.values(&ty));
        }
    };
    for sequence in catalog.sequences() {
        let columns = SEQUENCE_COLUMNS.iter().map(|(name, ty)| (*name, ty.data_type()));
        plain(i64::from(sequence.id), &mut columns.into_iter(), true);
    }
    plain(STORE_ID, &mut ["key", "value"].into_iter().map(|name| (name, DataType::Text)), true);
    for (id, _, table) in system_tables() {
        plain(id, &mut table.columns.iter().map(|(name, ty)| (*name, ty.data_type())), false);
    }
    for ty in catalog.types() {
        let TypeKind::Composite(fields) = &ty.kind else { continue };
        for (at, field) in fields.iter().enumerate().filter(|(_, field)| !field.dropped) {
            let relation = i64::from(ty.id);
            let row = AttributeRow { relation, name: &field.name, number: at + 1, ..AttributeRow::default() };
            rows.push(row.values(&field.ty));
        }
    }
    Ok(rows)
}

/// What is granted on a column.
fn column_acl(catalog: &Catalog, relation: u32, column: u32) -> Option<Value> {
    let access = catalog.access(relation)?;
    let acl = access.columns.iter().find(|own| own.0 == column)?;
    Some(shown::acl(catalog, Some(&acl.1)))
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
    let relation = class_id("pg_class");
    for table in catalog.tables() {
        push_of(i64::from(table.id), relation, 0, &table.comment);
        for (at, column) in table.live_columns().enumerate() {
            push_of(i64::from(table.id), relation, at as i32 + 1, &column.comment);
        }
        for index in &table.indexes {
            push_of(derived(table.id, i64::from(index.id)), relation, 0, &index.comment);
        }
        if !table.constraint_comments.is_empty() {
            for constraint in constraints::constraints(catalog, table) {
                let comment = table.constraint_comments.get(&constraint.name).cloned();
                push_of(constraint.id, class_id("pg_constraint"), 0, &comment);
            }
        }
    }
    for view in catalog.views() {
        push_of(i64::from(view.id), relation, 0, &view.comment);
    }
    for sequence in catalog.sequences() {
        push_of(i64::from(sequence.id), relation, 0, &sequence.comment);
    }
    for schema in catalog.schemas() {
        // As in every new database of PostgreSQL.
        let first = (schema.name == PUBLIC).then(|| "standard public schema".to_owned());
        push_of(i64::from(schema.id), class_id("pg_namespace"), 0, &schema.comment.clone().or(first));
    }
    for ty in catalog.types() {
        push_of(type_oid(ty.id), class_id("pg_type"), 0, &ty.comment);
    }
    Ok(rows)
}

/// The query of a view, or of a materialized one.
pub(crate) fn view_definition(scope: &Scope, oid: i64) -> Result<Option<String>> {
    let (catalog, path) = (scope.txn.catalog(), &scope.settings.search_path);
    let Ok(id) = u32::try_from(oid) else { return Ok(None) };
    let of_view = catalog.view_by_id(id).map(|view| crate::catalog::view::definition(view, path));
    let kept = || catalog.table_by_id(id)?.materialized.as_ref();
    let query = of_view.or_else(|| kept().map(|own| crate::catalog::view::shown(&own.sql, path)));
    Ok(query.map(|query| format!(" {query};")))
}
