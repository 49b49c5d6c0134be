//! `schemata`, `tables`, `views` and `sequences`.

use cairn_engine::Catalog;
use cairn_engine::catalog::{BOOTSTRAP, CheckOption, STORE, ViewDescriptor};
use cairn_types::Value;

use super::facts::Facts;
use super::{DATABASE, I, T};
use crate::Result;
use crate::catalog::pg_catalog::is_view;
use crate::catalog::system::{self, Columns, Rows, SystemTable, named, optional, text, yes_no};
use crate::context::Context;
use crate::dml::updatable::writable_columns;
use crate::privileges::{may_know, shown};
use crate::session::temporary::is_temporary;
use crate::trigger::view::as_table;

/// The tables of this part.
pub(super) const TABLES: &[SystemTable] = &[
    SystemTable {
        name: "information_schema_catalog_name",
        columns: &[("catalog_name", T)],
        rows: |_, _| Ok(vec![vec![text(DATABASE)]]),
    },
    SystemTable { name: "schemata", columns: SCHEMATA, rows: schemata },
    SystemTable { name: "tables", columns: TABLE_COLUMNS, rows: tables },
    SystemTable {
        name: "views",
        columns: &[
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("view_definition", T),
            ("check_option", T),
            ("is_updatable", T),
            ("is_insertable_into", T),
            ("is_trigger_updatable", T),
            ("is_trigger_deletable", T),
            ("is_trigger_insertable_into", T),
        ],
        rows: views,
    },
    SystemTable { name: "sequences", columns: SEQUENCES, rows: sequences },
];

const SCHEMATA: Columns = &[
    ("catalog_name", T),
    ("schema_name", T),
    ("schema_owner", T),
    ("default_character_set_catalog", T),
    ("default_character_set_schema", T),
    ("default_character_set_name", T),
    ("sql_path", T),
];
const TABLE_COLUMNS: Columns = &[
    ("table_catalog", T),
    ("table_schema", T),
    ("table_name", T),
    ("table_type", T),
    ("self_referencing_column_name", T),
    ("reference_generation", T),
    ("user_defined_type_catalog", T),
    ("user_defined_type_schema", T),
    ("user_defined_type_name", T),
    ("is_insertable_into", T),
    ("is_typed", T),
    ("commit_action", T),
];
const SEQUENCES: Columns = &[
    ("sequence_catalog", T),
    ("sequence_schema", T),
    ("sequence_name", T),
    ("data_type", T),
    ("numeric_precision", I),
    ("numeric_precision_radix", I),
    ("numeric_scale", I),
    ("start_value", T),
    ("minimum_value", T),
    ("maximum_value", T),
    ("increment", T),
    ("cycle_option", T),
];

fn schemata(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let owner = |id| shown::owner_name(catalog, id);
    let own = catalog.schemas().map(|schema| (schema.name.clone(), owner(schema.id)));
    let fixed = ["information_schema", "pg_catalog"].map(|name| (name.to_owned(), owner(BOOTSTRAP)));
    let row = |(name, owner): (String, Value)| {
        let all = [("catalog_name", text(DATABASE)), ("schema_name", text(name)), ("schema_owner", owner)];
        named(SCHEMATA, all)
    };
    Ok(own.chain(fixed).map(row).collect())
}

fn tables(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let row = |schema: &str, name: &str, view: bool, writable: bool| {
        let temporary = is_temporary(schema);
        let kind = match (view, temporary) {
            (true, _) => "VIEW",
            (false, true) => "LOCAL TEMPORARY",
            (false, false) => "BASE TABLE",
        };
        let all = [
            ("table_catalog", text(DATABASE)),
            ("table_schema", text(schema)),
            ("table_name", text(name)),
            ("table_type", text(kind)),
            ("is_insertable_into", yes_no(writable)),
            ("is_typed", yes_no(false)),
            ("commit_action", optional(temporary.then_some("PRESERVE"))),
        ];
        named(TABLE_COLUMNS, all)
    };
    let known = |id: u32| may_know(context, id);
    let tables = catalog.tables().filter(|table| table.materialized.is_none() && known(table.id));
    let mut rows: Rows = tables.map(|t| row(&t.schema, &t.name, false, true)).collect();
    rows.push(row("pg_catalog", STORE, false, false));
    let writable = |view: &ViewDescriptor| writable_columns(context, view).contains(&true);
    let views = catalog.views().filter(|view| known(view.id));
    rows.extend(views.map(|v| row(&v.schema, &v.name, true, writable(v))));
    for schema in ["pg_catalog", "information_schema"] {
        rows.extend(
            system::tables(schema).iter().map(|t| row(schema, t.name, is_view(schema, t.name), false)),
        );
    }
    Ok(rows)
}

fn views(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let row = |view: &ViewDescriptor| {
        let writable = writable_columns(context, view).contains(&true);
        let instead = |verb: &str| as_table(view, verb).is_some();
        vec![
            text(DATABASE),
            text(&view.schema),
            text(&view.name),
            text(crate::catalog::view::definition(view, &context.scope.settings.search_path)),
            text(match view.options.check {
                None => "NONE",
                Some(CheckOption::Local) => "LOCAL",
                Some(CheckOption::Cascaded) => "CASCADED",
            }),
            yes_no(writable),
            yes_no(writable),
            yes_no(instead("UPDATE")),
            yes_no(instead("DELETE")),
            yes_no(instead("INSERT")),
        ]
    };
    Ok(catalog.views().filter(|view| may_know(context, view.id)).map(|view| row(view)).collect())
}

fn sequences(context: &Context, catalog: &Catalog) -> Result<Rows> {
    // Those of identity columns are part of their table.
    let of_identity = |owner: Option<(u32, u32)>| {
        let column = owner.and_then(|(table, column)| catalog.table_by_id(table)?.column_by_id(column));
        column.is_some_and(|column| column.identity.is_some())
    };
    let shown = catalog.sequences().filter(|own| !of_identity(own.owned_by) && may_know(context, own.id));
    Ok(shown
        .map(|own| {
            let facts = Facts(&own.ty);
            let mut all = vec![
                ("sequence_catalog", text(DATABASE)),
                ("sequence_schema", text(&own.schema)),
                ("sequence_name", text(&own.name)),
            ];
            let kept = ["data_type", "numeric_precision", "numeric_precision_radix", "numeric_scale"];
            all.extend(facts.described().into_iter().filter(|(name, _)| kept.contains(name)));
            all.extend([
                ("start_value", text(own.start.to_string())),
                ("minimum_value", text(own.min.to_string())),
                ("maximum_value", text(own.max.to_string())),
                ("increment", text(own.increment.to_string())),
                ("cycle_option", yes_no(own.cycle)),
            ]);
            named(SEQUENCES, all)
        })
        .collect())
}
