//! What views read.

use cairn_engine::Catalog;
use cairn_engine::catalog::{ColumnId, Dependency, ObjectId};

use super::{DATABASE, T};
use crate::Result;
use crate::catalog::system::{Rows, SystemTable, text};
use crate::context::Context;

/// The tables of this part.
pub(super) const TABLES: &[SystemTable] = &[
    SystemTable {
        name: "view_table_usage",
        columns: &[
            ("view_catalog", T),
            ("view_schema", T),
            ("view_name", T),
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
        ],
        rows: |context, catalog| used(context, catalog, false),
    },
    SystemTable {
        name: "view_column_usage",
        columns: &[
            ("view_catalog", T),
            ("view_schema", T),
            ("view_name", T),
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("column_name", T),
        ],
        rows: |context, catalog| used(context, catalog, true),
    },
    SystemTable {
        name: "view_routine_usage",
        columns: &[
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("specific_catalog", T),
            ("specific_schema", T),
            ("specific_name", T),
        ],
        rows: routines,
    },
    SystemTable {
        name: "column_column_usage",
        columns: &[
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("column_name", T),
            ("dependent_column", T),
        ],
        rows: columns,
    },
];

/// Schema, name and columns of a table or view.
type Relation = (String, String, Vec<(ColumnId, String)>);

fn relation(catalog: &Catalog, id: ObjectId) -> Option<Relation> {
    if let Some(own) = catalog.table_by_id(id) {
        let columns = own.live_columns().map(|column| (column.id, column.name.clone()));
        return Some((own.schema.clone(), own.name.clone(), columns.collect()));
    }
    let own = catalog.view_by_id(id)?;
    let columns = own.columns.iter().zip(1..).map(|(column, number)| (number, column.name.clone()));
    Some((own.schema.clone(), own.name.clone(), columns.collect()))
}

fn used(context: &Context, catalog: &Catalog, by_column: bool) -> Result<Rows> {
    let mut rows = Rows::new();
    let owned = |id: ObjectId| catalog.has_privileges_of(context.role(), catalog.owner(id));
    for view in catalog.views() {
        for on in view.depends_on.iter().filter(|on| owned(on.object)) {
            let Dependency { object, columns, .. } = on;
            let Some((schema, name, all)) = relation(catalog, *object) else { continue };
            let row = [
                text(DATABASE),
                text(&view.schema),
                text(&view.name),
                text(DATABASE),
                text(schema),
                text(name),
            ];
            if !by_column {
                rows.push(row.to_vec());
                continue;
            }
            // Where it is not known which columns are read, all are taken.
            for (_, column) in all.iter().filter(|(number, _)| columns.is_empty() || columns.contains(number))
            {
                rows.push(row.iter().cloned().chain([text(column)]).collect());
            }
        }
    }
    Ok(rows)
}

fn routines(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for view in catalog.views() {
        for routine in view.depends_on.iter().filter_map(|on| catalog.routine_by_id(on.object)) {
            if !catalog.has_privileges_of(context.role(), catalog.owner(routine.id)) {
                continue;
            }
            let specific = format!("{}_{}", routine.name, routine.id);
            let of = [text(DATABASE), text(&view.schema), text(&view.name)];
            rows.push(
                of.into_iter().chain([text(DATABASE), text(&routine.schema), text(specific)]).collect(),
            );
        }
    }
    Ok(rows)
}

/// Columns that are computed from others.
fn columns(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in
        catalog.tables().filter(|own| catalog.has_privileges_of(context.role(), catalog.owner(own.id)))
    {
        for column in table.live_columns() {
            let from = column.generated.iter().flat_map(|own| &own.columns);
            for own in from.filter_map(|id| table.column_by_id(*id)) {
                let of = [text(DATABASE), text(&table.schema), text(&table.name)];
                rows.push(of.into_iter().chain([text(&own.name), text(&column.name)]).collect());
            }
        }
    }
    Ok(rows)
}
