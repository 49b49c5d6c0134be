//! Types that users define: enums and domains, and what they mean for the columns that have them.
//!
//! I1: in a [`Catalog`] every enum type of a column has its name and labels; on disk it has its id alone.
//! I2: a type and a relation of one schema never have the same name when the type is made.

use std::sync::Arc;

use cairn_types::{Coded, DataType, EnumLabel, EnumType};

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
            TypeKind::Domain { base, .. } => base.clone(),
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

    pub(crate) fn put_type(&mut self, mut ty: TypeDescriptor) {
        if let TypeKind::Domain { base, .. } = &mut ty.kind {
            self.complete(base);
        }
        let id = ty.id;
        let domains: Vec<TypeDescriptor> = self
            .types
            .values()
            .filter(|other| matches!(&other.kind, TypeKind::Domain { base, .. } if enum_of(base) == Some(id)))
            .map(|domain| (**domain).clone())
            .collect();
        self.types.insert(id, Arc::new(ty));
        for domain in domains {
            self.put_type(domain);
        }
        let users: Vec<TableDescriptor> = self
            .tables
            .values()
            .filter(|table| uses(table, id))
            .map(|table| table.descriptor().clone())
            .collect();
        for table in users {
            self.put_table(table);
        }
        let reading =
            self.views.values().filter(|view| view.columns.iter().any(|c| enum_of(&c.ty) == Some(id)));
        for view in reading.map(|view| (**view).clone()).collect::<Vec<_>>() {
            self.put_view(view);
        }
    }

    pub(crate) fn remove_type(&mut self, id: ObjectId) {
        self.types.remove(&id);
    }

    /// Gives an enum that has only its id what the catalog knows of it (I1).
    pub(crate) fn complete(&self, ty: &mut DataType) {
        match ty {
            DataType::Array(element) => self.complete(element),
            DataType::Coded(Coded::Enum(known)) => {
                if let Some(found) = self.types.get(&known.id) {
                    *ty = found.data_type();
                }
            }
            _ => {}
        }
    }

    /// The same for all columns of a table.
    pub(crate) fn complete_table(&self, table: &mut TableDescriptor) {
        if self.types.is_empty() {
            return;
        }
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

/// The enum that a type is, or an array of it.
pub(crate) fn enum_of(ty: &DataType) -> Option<ObjectId> {
    match ty {
        DataType::Array(element) => enum_of(element),
        DataType::Coded(Coded::Enum(ty)) => Some(ty.id),
        _ => None,
    }
}

/// Whether a table has a column of that type, or an index on an expression of it.
pub(crate) fn uses(table: &TableDescriptor, id: ObjectId) -> bool {
    let column = |c: &super::Column| !c.dropped && (c.domain == Some(id) || enum_of(&c.ty) == Some(id));
    table.columns.iter().any(column)
        || table.indexes.iter().flat_map(|index| &index.expressions).any(|e| enum_of(&e.ty) == Some(id))
}
