//! What an error may tell of rows: values of a key or of a row that met a constraint only to who may read them, as in
//! PostgreSQL. Whoever may not read the whole row is told of none of it.

use cairn_engine::catalog::{Class, ColumnId, ObjectId, Privileges};
use cairn_engine::{Catalog, Table};

use crate::Error;

/// The error as a role may see it.
pub(crate) fn told(catalog: &Catalog, role: ObjectId, error: Error) -> Error {
    if catalog.is_superuser(role) || !error.sqlstate().starts_with("23") {
        return error;
    }
    let Some(detail) = error.detail().map(str::to_owned) else { return error };
    let table = error.schema().zip(error.table()).and_then(|(schema, name)| catalog.table(schema, name).ok());
    let constraint = error.constraint();
    let allowed = table.as_ref().is_some_and(|table| match constraint.and_then(|name| keyed(table, name)) {
        // Of a foreign key with the table that holds the values.
        Some(Keyed::Foreign { parent, columns }) => match detail.contains(" is not present in table ") {
            true => sees(catalog, role, table.id, Some(&columns.0)),
            false => sees(catalog, role, parent, Some(&columns.1)),
        },
        Some(Keyed::Own(columns)) if detail.starts_with("Key ") => {
            sees(catalog, role, table.id, Some(&columns))
        }
        _ => sees(catalog, role, table.id, None),
    });
    if allowed {
        return error;
    }
    let of_key = |words: &str| detail.find(words).map(|at| format!("Key{}", &detail[at..]));
    let left = of_key(" is not present in table ").or_else(|| of_key(" is still referenced from table "));
    error.replacing_detail(left)
}

/// The columns of a constraint.
enum Keyed {
    Own(Vec<ColumnId>),
    Foreign { parent: ObjectId, columns: (Vec<ColumnId>, Vec<ColumnId>) },
}

fn keyed(table: &Table, name: &str) -> Option<Keyed> {
    if let Some(key) = table.foreign_keys.iter().find(|own| own.name == name) {
        let columns = (key.columns.clone(), key.parent_columns.clone());
        return Some(Keyed::Foreign { parent: key.parent, columns });
    }
    if table.primary_key_name == name {
        return Some(Keyed::Own(table.primary_key.clone()));
    }
    let index = table.indexes.iter().find(|own| own.name == name && own.is_plain())?;
    Some(Keyed::Own(index.columns.iter().map(|own| own.column).collect()))
}

/// Whether a role may read these columns of every row, or all.
fn sees(catalog: &Catalog, role: ObjectId, table: ObjectId, columns: Option<&[ColumnId]>) -> bool {
    if catalog.row_security(role, table).is_some() {
        return false;
    }
    let wanted = Privileges::SELECT;
    let may = |column: &ColumnId| !catalog.column_privileges(role, table, *column, wanted).is_empty();
    !catalog.privileges(role, (Class::Table, table), wanted).is_empty()
        || columns.is_some_and(|columns| columns.iter().all(may))
}
