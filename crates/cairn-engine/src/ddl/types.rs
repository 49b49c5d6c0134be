//! Types that users make: enums and domains, and DROP of all types.

use std::sync::Arc;

use cairn_types::{DataType, EnumLabel};

use super::name;
use crate::catalog::types::{named_type_of, uses};
use crate::catalog::{Catalog, ObjectId, Table, TypeDescriptor, TypeKind};
use crate::error::{Error, ObjectKind, Result};
use crate::transaction::{Transaction, Writer};

/// Where ALTER TYPE … ADD VALUE puts a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelPlace {
    /// Behind all others.
    Last,
    /// Before that label.
    Before(String),
    /// Behind that label.
    After(String),
}

pub(super) fn find(writer: &Writer<'_>, schema: &str, name: &str) -> Result<Arc<TypeDescriptor>> {
    let found = writer.catalog.type_named(schema, name).cloned();
    found.ok_or_else(|| Error::undefined(ObjectKind::Type, name))
}

fn free(catalog: &Catalog, schema: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::definition("42601", "zero-length delimited identifier"));
    }
    // A table is a type too.
    let table = matches!(
        catalog.relation(schema, name),
        Some(crate::catalog::Relation::Table(_) | crate::catalog::Relation::View(_))
    );
    if table || catalog.type_named(schema, name).is_some() {
        return Err(Error::duplicate(ObjectKind::Type, name));
    }
    Ok(())
}

impl Transaction {
    /// CREATE TYPE … AS ENUM | (…), CREATE DOMAIN.
    ///
    /// # Errors
    /// [`Error::Duplicate`] (42710), [`Error::Undefined`] (schema).
    pub fn create_type(&self, schema: &str, name: &str, kind: TypeKind) -> Result<ObjectId> {
        self.write("CREATE TYPE", |writer| {
            name::usable_schema(&writer.catalog, schema)?;
            free(&writer.catalog, schema, name)?;
            let id = writer.new_id()?;
            writer.put_type(TypeDescriptor {
                id,
                schema: schema.to_owned(),
                name: name.to_owned(),
                kind,
                comment: None,
            })?;
            Ok(id)
        })
    }

    /// ALTER TYPE … ADD VALUE.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::InvalidDefinition`]: 42710 where the label is there, 22023 where the one beside
    /// which it should stand is not, 54000 where there is no more place between two labels.
    pub fn add_enum_label(&self, schema: &str, ty: &str, label: &str, place: &LabelPlace) -> Result<()> {
        self.write("ALTER TYPE", |writer| {
            let mut new = (*find(writer, schema, ty)?).clone();
            let TypeKind::Enum(labels) = &mut new.kind else { return Err(no_enum(ty)) };
            if labels.iter().any(|known| known.text == label) {
                return Err(Error::definition("42710", format!("enum label \"{label}\" already exists")));
            }
            let beside = |text: &String| {
                labels.iter().position(|known| known.text == *text).ok_or_else(|| {
                    Error::definition("22023", format!("\"{text}\" is not an existing enum label"))
                })
            };
            let at = match place {
                LabelPlace::Last => labels.len(),
                LabelPlace::Before(text) => beside(text)?,
                LabelPlace::After(text) => beside(text)? + 1,
            };
            let order = match (at.checked_sub(1).and_then(|before| labels.get(before)), labels.get(at)) {
                (None, None) => 1.0,
                (Some(before), None) => before.order + 1.0,
                (None, Some(behind)) => behind.order - 1.0,
                (Some(before), Some(behind)) => {
                    let middle = f64::midpoint(before.order, behind.order);
                    if middle <= before.order || middle >= behind.order {
                        return Err(Error::definition("54000", "too many enum labels between two others"));
                    }
                    middle
                }
            };
            // Of two zeros there is one.
            labels.insert(at, EnumLabel { order: order + 0.0, text: label.to_owned() });
            writer.put_type(new)
        })
    }

    /// ALTER TYPE … RENAME VALUE.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::InvalidDefinition`] (22023, 42710).
    pub fn rename_enum_label(&self, schema: &str, ty: &str, label: &str, new_label: &str) -> Result<()> {
        self.write("ALTER TYPE", |writer| {
            let mut new = (*find(writer, schema, ty)?).clone();
            let TypeKind::Enum(labels) = &mut new.kind else { return Err(no_enum(ty)) };
            let Some(at) = labels.iter().position(|known| known.text == label) else {
                let message = format!("\"{label}\" is not an existing enum label");
                return Err(Error::definition("22023", message));
            };
            if labels.iter().any(|known| known.text == new_label) {
                let message = format!("enum label \"{new_label}\" already exists");
                return Err(Error::definition("42710", message));
            }
            new_label.clone_into(&mut labels[at].text);
            writer.put_type(new)
        })
    }

    /// ALTER TYPE and ALTER DOMAIN … RENAME TO. What expressions in definitions call it follows.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`].
    pub fn rename_type(&self, schema: &str, ty: &str, new_name: &str) -> Result<()> {
        self.write("ALTER TYPE", |writer| {
            let old = find(writer, schema, ty)?;
            free(&writer.catalog, schema, new_name)?;
            let named = |sql: &str| name::rename_type_in_sql(sql, ty, new_name);
            let tables: Vec<_> = writer.catalog.tables().map(|table| table.descriptor().clone()).collect();
            for table in tables {
                let mut new = table.clone();
                for column in &mut new.columns {
                    column.default = column.default.as_deref().map(named);
                    if let Some(generated) = &mut column.generated {
                        generated.sql = named(&generated.sql);
                    }
                }
                new.checks.iter_mut().for_each(|check| check.sql = named(&check.sql));
                for index in &mut new.indexes {
                    index.expressions.iter_mut().for_each(|e| e.sql = named(&e.sql));
                    index.predicate.iter_mut().for_each(|p| p.sql = named(&p.sql));
                }
                if new != table {
                    writer.put_table(new)?;
                }
            }
            let views: Vec<_> = writer.catalog.views().map(|view| (**view).clone()).collect();
            for view in views {
                let sql = named(&view.sql);
                if sql != view.sql {
                    writer.put_view(crate::catalog::ViewDescriptor { sql, ..view })?;
                }
            }
            writer.put_type(TypeDescriptor { name: new_name.to_owned(), ..(*old).clone() })
        })
    }

    /// ALTER DOMAIN: its definition becomes another one; `validated` says that all values keep it.
    ///
    /// # Errors
    /// [`Error::Undefined`].
    pub fn alter_domain(&self, schema: &str, domain: &str, kind: TypeKind) -> Result<()> {
        self.write("ALTER DOMAIN", |writer| {
            let old = find(writer, schema, domain)?;
            // Rows that others are writing now would be checked by the old definition.
            let tables: Vec<_> = writer.catalog.tables().filter(|t| uses(t, old.id)).map(|t| t.id).collect();
            for table in tables {
                writer.lock_definition(table)?;
                let descriptor = writer.catalog.table_by_id(table).map(|table| table.descriptor().clone());
                if let Some(descriptor) = descriptor {
                    writer.guard_rows(table);
                    // Written anew, so that whoever writes rows by the old definition conflicts.
                    writer.put_table(descriptor)?;
                }
            }
            writer.put_type(TypeDescriptor { kind, ..(*old).clone() })
        })
    }

    /// DROP TYPE and DROP DOMAIN. Columns of the type go with `cascade`.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::DependentObjects`].
    pub fn drop_types(&self, types: &[(&str, &str)], cascade: bool) -> Result<()> {
        self.write("DROP TYPE", |writer| {
            for (schema, name) in types {
                let ty = find(writer, schema, name)?;
                drop_type(writer, &ty, cascade)?;
            }
            Ok(())
        })
    }
}

fn no_enum(name: &str) -> Error {
    Error::definition("42809", format!("{name} is not an enum"))
}

/// Drops a type, and with `cascade` what depends on it.
pub(super) fn drop_type(writer: &mut Writer<'_>, ty: &TypeDescriptor, cascade: bool) -> Result<()> {
    let name = ty.sql_name();
    let mut dependents = Vec::new();
    let of = |other: &DataType| named_type_of(other) == Some(ty.id);
    let mut domains: Vec<Arc<TypeDescriptor>> = Vec::new();
    let mut attributes: Vec<(Arc<TypeDescriptor>, String)> = Vec::new();
    for other in writer.catalog.types() {
        match &other.kind {
            TypeKind::Domain { base, .. } if of(base) => {
                dependents.push(format!("type {} depends on type {name}", other.sql_name()));
                domains.push(other.clone());
            }
            TypeKind::Composite(fields) => {
                for field in fields.iter().filter(|field| !field.dropped && of(&field.ty)) {
                    let (field, other_name) = (&field.name, other.sql_name());
                    dependents.push(format!(
                        "column {field} of composite type {other_name} depends on type {name}"
                    ));
                    attributes.push((other.clone(), field.clone()));
                }
            }
            _ => {}
        }
    }
    let (columns, mut views) = columns_and_views(writer, ty, &|_| false, &mut dependents);
    for routine in writer.catalog.routines().filter(|routine| routine.types().any(of)) {
        dependents.push(format!("{} {} depends on type {name}", routine.word(), routine.signature()));
        views.routine(routine);
    }
    if !cascade && !dependents.is_empty() {
        return Err(Error::DependentObjects {
            message: format!("cannot drop type {name} because other objects depend on it"),
            detail: dependents.join("\n"),
        });
    }
    views.run(writer, true)?;
    for domain in domains {
        drop_type(writer, &domain, true)?;
    }
    for (schema, table, column) in columns {
        super::column::drop_column(writer, &schema, &table, &column, true)?;
    }
    for (other, field) in attributes {
        super::composite::drop_attribute(writer, &other, &field)?;
    }
    writer.remove_type(ty.id)
}

/// The columns of that type, as schema, table and column, and the views and materialized views with such columns; each is
/// named in `dependents`. Tables for which `without` holds are passed over.
pub(super) fn columns_and_views(
    writer: &Writer<'_>,
    ty: &TypeDescriptor,
    without: &dyn Fn(&Table) -> bool,
    dependents: &mut Vec<String>,
) -> (Vec<(String, String, String)>, super::removal::Removal) {
    let name = ty.sql_name();
    let of = |other: &DataType| named_type_of(other) == Some(ty.id);
    let mut columns = Vec::new();
    let mut views = super::removal::Removal::default();
    for table in writer.catalog.tables().filter(|table| !without(table)) {
        let mut own =
            table.live_columns().filter(|column| column.domain == Some(ty.id) || of(&column.ty)).peekable();
        if own.peek().is_some() && table.materialized.is_some() {
            dependents.push(format!("materialized view {} depends on type {name}", table.name));
            views.table(table);
            continue;
        }
        for column in own {
            columns.push((table.schema.clone(), table.name.clone(), column.name.clone()));
            dependents.push(format!("column {} of table {} depends on type {name}", column.name, table.name));
        }
    }
    for view in writer.catalog.views().filter(|view| view.columns.iter().any(|column| of(&column.ty))) {
        dependents.push(format!("view {} depends on type {name}", view.name));
        views.view(view);
    }
    (columns, views)
}
