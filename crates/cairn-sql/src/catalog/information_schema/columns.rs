//! `columns`: those of tables, views and computed tables.

use cairn_engine::Catalog;
use cairn_engine::catalog::{STORE, SequenceDescriptor, TypeDescriptor};
use cairn_types::{DataType, Value};

use super::facts::{Facts, UDT};
use super::{DATABASE, I, T};
use crate::Result;
use crate::catalog::system::{self, Columns, Rows, SystemTable, named, optional, text, yes_no};
use crate::context::Context;
use crate::dml::updatable::writable_columns;
use crate::privileges::may_know;

/// The tables of this part.
pub(super) const TABLES: &[SystemTable] = &[SystemTable { name: "columns", columns: COLUMNS, rows: columns }];

const COLUMNS: Columns = &[
    ("table_catalog", T),
    ("table_schema", T),
    ("table_name", T),
    ("column_name", T),
    ("ordinal_position", I),
    ("column_default", T),
    ("is_nullable", T),
    ("data_type", T),
    ("character_maximum_length", I),
    ("character_octet_length", I),
    ("numeric_precision", I),
    ("numeric_precision_radix", I),
    ("numeric_scale", I),
    ("datetime_precision", I),
    ("interval_type", T),
    ("interval_precision", I),
    ("character_set_catalog", T),
    ("character_set_schema", T),
    ("character_set_name", T),
    ("collation_catalog", T),
    ("collation_schema", T),
    ("collation_name", T),
    ("domain_catalog", T),
    ("domain_schema", T),
    ("domain_name", T),
    ("udt_catalog", T),
    ("udt_schema", T),
    ("udt_name", T),
    ("scope_catalog", T),
    ("scope_schema", T),
    ("scope_name", T),
    ("maximum_cardinality", I),
    ("dtd_identifier", T),
    ("is_self_referencing", T),
    ("is_identity", T),
    ("identity_generation", T),
    ("identity_start", T),
    ("identity_increment", T),
    ("identity_maximum", T),
    ("identity_minimum", T),
    ("identity_cycle", T),
    ("is_generated", T),
    ("generation_expression", T),
    ("is_updatable", T),
];

/// A row of `columns`.
struct ColumnRow<'a> {
    schema: &'a str,
    table: &'a str,
    name: &'a str,
    position: usize,
    ty: &'a DataType,
    default: Option<&'a str>,
    nullable: bool,
    domain: Option<&'a TypeDescriptor>,
    /// Whether ALWAYS, and where its values come from.
    identity: Option<(bool, Option<&'a SequenceDescriptor>)>,
    generated: Option<&'a str>,
    writable: bool,
}

impl ColumnRow<'_> {
    fn values(&self, path: &[String]) -> Vec<Value> {
        let facts = Facts(self.ty);
        let sequence = self.identity.and_then(|(_, sequence)| sequence);
        let number = |of: fn(&SequenceDescriptor) -> i64| {
            sequence.map_or(Value::Null, |sequence| text(of(sequence).to_string()))
        };
        let domain = self.domain;
        let shown = |sql: &str| text(crate::dml::default::shown(sql, path));
        let mut all = vec![
            ("table_catalog", text(DATABASE)),
            ("table_schema", text(self.schema)),
            ("table_name", text(self.table)),
            ("column_name", text(self.name)),
            ("ordinal_position", Value::Integer(self.position as i32)),
            ("column_default", self.default.map_or(Value::Null, shown)),
            ("is_nullable", yes_no(self.nullable)),
        ];
        all.extend(facts.described());
        all.extend([
            ("domain_catalog", optional(domain.map(|_| DATABASE))),
            ("domain_schema", optional(domain.map(|domain| domain.schema.as_str()))),
            ("domain_name", optional(domain.map(|domain| domain.name.as_str()))),
        ]);
        all.extend(facts.named(UDT));
        all.extend([
            ("dtd_identifier", text(self.position.to_string())),
            ("is_self_referencing", yes_no(false)),
            ("is_identity", yes_no(self.identity.is_some())),
            (
                "identity_generation",
                optional(self.identity.map(|(always, _)| if always { "ALWAYS" } else { "BY DEFAULT" })),
            ),
            ("identity_start", number(|own| own.start)),
            ("identity_increment", number(|own| own.increment)),
            ("identity_maximum", number(|own| own.max)),
            ("identity_minimum", number(|own| own.min)),
            ("identity_cycle", yes_no(sequence.is_some_and(|own| own.cycle))),
            ("is_generated", text(if self.generated.is_some() { "ALWAYS" } else { "NEVER" })),
            ("generation_expression", self.generated.map_or(Value::Null, shown)),
            ("is_updatable", yes_no(self.writable)),
        ]);
        named(COLUMNS, all)
    }
}

fn columns(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let path = &context.scope.settings.search_path;
    let mut rows = Rows::new();
    let tables = catalog.tables().filter(|table| table.materialized.is_none());
    for table in tables.filter(|table| may_know(context, table.id)) {
        for (position, column) in table.live_columns().enumerate() {
            let sequence = || {
                let owner = Some((table.id, column.id));
                catalog.sequences().find(|sequence| sequence.owned_by == owner).map(|own| &**own)
            };
            let row = ColumnRow {
                schema: &table.schema,
                table: &table.name,
                name: &column.name,
                position: position + 1,
                ty: &column.ty,
                default: column.default.as_deref(),
                nullable: column.nullable,
                domain: column.domain.and_then(|id| catalog.type_by_id(id)).map(|domain| &**domain),
                identity: column.identity.as_ref().map(|identity| (identity.always, sequence())),
                generated: column.generated.as_ref().map(|own| own.sql.as_str()),
                writable: true,
            };
            rows.push(row.values(path));
        }
    }
    let mut plain = |schema: &str,
                     table: &str,
                     all: &mut dyn Iterator<Item = (&str, &DataType, Option<&str>)>,
                     writes: &[bool]| {
        for (position, (name, ty, default)) in all.enumerate() {
            let row = ColumnRow {
                schema,
                table,
                name,
                position: position + 1,
                ty,
                default,
                nullable: true,
                domain: None,
                identity: None,
                generated: None,
                writable: writes.get(position).copied().unwrap_or(false),
            };
            rows.push(row.values(path));
        }
    };
    for view in catalog.views().filter(|view| may_know(context, view.id)) {
        let columns = &mut view.columns.iter().map(|c| (c.name.as_str(), &c.ty, c.default.as_deref()));
        plain(&view.schema, &view.name, columns, &writable_columns(context, view));
    }
    let store = [("key", &DataType::Text, None), ("value", &DataType::Text, None)];
    plain("pg_catalog", STORE, &mut store.into_iter(), &[]);
    for schema in ["pg_catalog", "information_schema"] {
        for table in system::tables(schema) {
            let columns: Vec<_> = table.columns.iter().map(|(name, ty)| (*name, ty.data_type())).collect();
            plain(schema, table.name, &mut columns.iter().map(|(name, ty)| (*name, ty, None)), &[]);
        }
    }
    Ok(rows)
}
