//! Types that users define: enums, domains and composite types, and what they mean for the columns that have them.
//!
//! I1: in a [`Catalog`] every enum and composite type of a column has its name and labels or fields; on disk it has its id
//!     alone.
//! I2: a type and a relation of one schema never have the same name when the type is made.

use std::sync::Arc;

use cairn_types::composite::mentions;
use cairn_types::polymorphic::Polymorphic;
use cairn_types::{Coded, CompositeField, CompositeType, DataType, EnumLabel, EnumType};

use super::{Catalog, Check, ObjectId, TableDescriptor};

/// A CHECK of a domain.
#[derive(Clone, Debug, PartialEq)]
pub struct DomainCheck {
    /// Constraint name.
    pub name: String,
    /// The condition over `VALUE`, as SQL text.
    pub sql: String,
    /// Whether values that were there before it need not keep it (NOT VALID).
    pub not_valid: bool,
}

/// What a type is.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeKind {
    /// CREATE TYPE … AS ENUM: the labels, by their order.
    Enum(Vec<EnumLabel>),
    /// CREATE TYPE … AS (…): the fields, those that were dropped too.
    Composite(Vec<CompositeField>),
    /// CREATE DOMAIN.
    Domain {
        /// The type below; never a domain.
        base: DataType,
        /// Whether NULL is allowed.
        nullable: bool,
        /// DEFAULT, as SQL text.
        default: Option<String>,
        /// CHECK constraints, by name.
        checks: Vec<DomainCheck>,
    },
}

/// A type that a user has made.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeDescriptor {
    /// Id.
    pub id: ObjectId,
    /// The name of its schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: TypeKind,
    /// COMMENT ON TYPE.
    pub comment: Option<String>,
}

impl TypeDescriptor {
    /// The type of the values.
    pub fn data_type(&self) -> DataType {
        match &self.kind {
            TypeKind::Enum(labels) => DataType::Coded(Coded::Enum(Arc::new(EnumType {
                id: self.id,
                schema: self.schema.clone(),
                name: self.name.clone(),
                labels: labels.clone(),
            }))),
            TypeKind::Composite(fields) => DataType::Coded(Coded::Composite(Arc::new(CompositeType {
                id: self.id,
                schema: self.schema.clone(),
                name: self.name.clone(),
                fields: fields.clone(),
            }))),
            TypeKind::Domain { base, .. } => base.clone(),
        }
    }

    /// The type of the rows of a table.
    pub fn of_rows(table: &TableDescriptor) -> Self {
        let fields = table.columns.iter().map(|column| CompositeField {
            name: column.name.clone(),
            ty: column.ty.clone(),
            dropped: column.dropped,
        });
        Self {
            id: table.id,
            schema: table.schema.clone(),
            name: table.name.clone(),
            kind: TypeKind::Composite(fields.collect()),
            comment: None,
        }
    }

    /// Whether it is a domain.
    pub fn is_domain(&self) -> bool {
        matches!(self.kind, TypeKind::Domain { .. })
    }

    /// Its name as SQL writes it: with its schema unless that is `public`.
    pub fn sql_name(&self) -> String {
        let ty = EnumType {
            id: self.id,
            schema: self.schema.clone(),
            name: self.name.clone(),
            labels: Vec::new(),
        };
        ty.sql_name()
    }
}

/// What the domain of a column asks of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDomain {
    /// The domain.
    pub domain: Arc<TypeDescriptor>,
    /// Its CHECKs, over the column.
    pub checks: Vec<Check>,
}

impl Catalog {
    /// The type of that name.
    pub fn type_named(&self, schema: &str, name: &str) -> Option<&Arc<TypeDescriptor>> {
        self.types.values().find(|ty| ty.schema == schema && ty.name == name)
    }

    /// The type of that id.
    pub fn type_by_id(&self, id: ObjectId) -> Option<&Arc<TypeDescriptor>> {
        self.types.get(&id)
    }

    /// All types, by id.
    pub fn types(&self) -> impl Iterator<Item = &Arc<TypeDescriptor>> {
        self.types.values()
    }

    /// The type of that name, that of a table's rows too.
    pub fn type_or_rows(&self, schema: &str, name: &str) -> Option<Arc<TypeDescriptor>> {
        let rows = || match self.relation(schema, name)? {
            super::Relation::Table(table) => Some(Arc::new(TypeDescriptor::of_rows(&table))),
            _ => None,
        };
        self.type_named(schema, name).cloned().or_else(rows)
    }

    /// A column of a table whose values have, at any depth, parts of that type: `table.column`.
    pub fn column_with(&self, id: ObjectId) -> Option<String> {
        self.tables.values().find_map(|table| {
            let column = table.live_columns().find(|column| is_or_has(&column.ty, id))?;
            Some(format!("{}.{}", table.name, column.name))
        })
    }

    pub(crate) fn put_type(&mut self, mut ty: TypeDescriptor) {
        match &mut ty.kind {
            TypeKind::Domain { base, .. } => self.complete(base),
            TypeKind::Composite(fields) => {
                for field in fields {
                    self.complete(&mut field.ty);
                    self.note_rows(&field.ty);
                }
            }
            TypeKind::Enum(_) => {}
        }
        let id = ty.id;
        self.types.insert(id, Arc::new(ty));
        self.renew_users(id);
    }

    /// Makes all anew that has to do with a type, which has changed.
    pub(crate) fn renew_users(&mut self, id: ObjectId) {
        let types = self.types.values().filter(|other| other.id != id && is_over(other, id));
        for other in types.map(|other| (**other).clone()).collect::<Vec<_>>() {
            self.put_type(other);
        }
        let users: Vec<TableDescriptor> = self
            .tables
            .values()
            .filter(|table| table.id != id && uses(table, id))
            .map(|table| table.descriptor().clone())
            .collect();
        for table in users {
            self.put_table(table);
        }
        let reading = self.views.values().filter(|view| view.columns.iter().any(|c| is_or_has(&c.ty, id)));
        for view in reading.map(|view| (**view).clone()).collect::<Vec<_>>() {
            self.put_view(view);
        }
        let routines = self.routines.values().filter(|routine| routine.types().any(|ty| is_or_has(ty, id)));
        for routine in routines.map(|routine| (**routine).clone()).collect::<Vec<_>>() {
            self.put_routine(routine);
        }
    }

    /// Remembers the composite types of which values are kept, so that changes of a table reach those that have its rows.
    pub(crate) fn note_rows(&mut self, ty: &DataType) {
        if let Some(id) = composite_of(ty) {
            self.composites.insert(id);
        }
    }

    pub(crate) fn remove_type(&mut self, id: ObjectId) {
        self.types.remove(&id);
    }

    /// Gives an enum or composite type that has only its id what the catalog knows of it (I1).
    pub(crate) fn complete(&self, ty: &mut DataType) {
        match ty {
            DataType::Array(element) => self.complete(element),
            DataType::Coded(Coded::Enum(known)) => {
                if let Some(any) = Polymorphic::of_id(known.id) {
                    *ty = any.data_type();
                } else if let Some(found) = self.types.get(&known.id) {
                    *ty = found.data_type();
                }
            }
            DataType::Coded(Coded::Composite(known)) => {
                if let Some(found) = self.types.get(&known.id) {
                    *ty = found.data_type();
                } else if let Some(table) = self.tables.get(&known.id) {
                    *ty = TypeDescriptor::of_rows(table).data_type();
                }
            }
            _ => {}
        }
    }

    /// The same for all columns of a table.
    pub(crate) fn complete_table(&self, table: &mut TableDescriptor) {
        for column in &mut table.columns {
            self.complete(&mut column.ty);
            if let Some(cairn_types::Value::Coded { ty, .. }) = &mut column.missing
                && let DataType::Coded(known) = &column.ty
            {
                *ty = known.clone();
            }
        }
        for index in &mut table.indexes {
            index.expressions.iter_mut().for_each(|expression| self.complete(&mut expression.ty));
        }
    }

    /// What the domains of a table's columns ask, by the columns' ordinals.
    pub(crate) fn domains_of(&self, table: &TableDescriptor) -> Vec<(usize, ColumnDomain)> {
        let columns = table.columns.iter().enumerate().filter(|(_, column)| !column.dropped);
        columns
            .filter_map(|(ordinal, column)| {
                let domain = self.types.get(&column.domain?)?;
                let TypeKind::Domain { checks, .. } = &domain.kind else { return None };
                let checks = checks.iter().map(|check| Check {
                    name: check.name.clone(),
                    sql: crate::ddl::rename_in_sql(&check.sql, "value", &column.name),
                    columns: vec![column.id],
                    not_valid: check.not_valid,
                });
                Some((ordinal, ColumnDomain { domain: domain.clone(), checks: checks.collect() }))
            })
            .collect()
    }
}

/// The enum or composite type that a type is, or an array of it.
pub(crate) fn named_type_of(ty: &DataType) -> Option<ObjectId> {
    match ty {
        DataType::Coded(Coded::Enum(ty)) => Some(ty.id),
        DataType::Array(element) => named_type_of(element),
        other => composite_of(other),
    }
}

fn composite_of(ty: &DataType) -> Option<ObjectId> {
    match ty {
        DataType::Array(element) => composite_of(element),
        DataType::Coded(Coded::Composite(ty)) => Some(ty.id),
        _ => None,
    }
}

/// Whether a type is that one, an array of it, or has fields of it at any depth.
pub(crate) fn is_or_has(ty: &DataType, id: ObjectId) -> bool {
    mentions(ty, &mut |part| named_type_of(part) == Some(id))
}

/// Whether a domain or composite type is made of that type.
fn is_over(ty: &TypeDescriptor, id: ObjectId) -> bool {
    match &ty.kind {
        TypeKind::Domain { base, .. } => is_or_has(base, id),
        TypeKind::Composite(fields) => fields.iter().any(|field| is_or_has(&field.ty, id)),
        TypeKind::Enum(_) => false,
    }
}

/// Whether a table has a column of that type or with parts of it, or an index on an expression of it.
pub(crate) fn uses(table: &TableDescriptor, id: ObjectId) -> bool {
    let column = |c: &super::Column| !c.dropped && (c.domain == Some(id) || is_or_has(&c.ty, id));
    table.columns.iter().any(column)
        || table.indexes.iter().flat_map(|index| &index.expressions).any(|e| is_or_has(&e.ty, id))
}
