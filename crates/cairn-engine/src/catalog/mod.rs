//! The catalog: an immutable picture of all definitions, as one transaction sees them.
//!
//! I1: a [`Catalog`] never changes; DDL makes a new one. Two catalogs read at the same `schema_version` are equal.
//! I2: tables, views, sequences and indexes (primary keys too) of one schema share one space of names.
//! I3: every id named in a descriptor (parent table, owned sequence, view dependency) is in the same catalog.

mod access;
mod descriptor;
pub(crate) mod format;
mod partition;
mod partition_hash;
mod rights;
mod routine;
mod statistics;
pub(crate) mod store;
mod table;
pub(crate) mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use access::{
    AccessDescriptor, Acl, AclItem, BOOTSTRAP, BOOTSTRAP_NAME, Class, DATABASE_ID, DefaultPrivileges,
    Membership, PREDEFINED, PUBLIC_ROLE, Policy, Privileges, RoleDescriptor,
};
pub use descriptor::{
    Check, CheckOption, Column, ColumnId, Dependency, ForeignKey, Generated, Identity, IndexColumn,
    IndexDescriptor, IndexExpression, IndexId, IndexPredicate, Materialized, ObjectId, ReferentialAction,
    SchemaDescriptor, SequenceDescriptor, TableDescriptor, ViewColumn, ViewDescriptor, ViewOptions,
};
pub use partition::{
    Allowed, PartitionBound, PartitionOf, PartitionStrategy, Partitioning, Partitions, RangeEnd,
};
pub use rights::{Target, default_acl, grant, revoke};
pub use routine::{
    BodyForm, Parameter, ParameterMode, Returns, RoutineDescriptor, RoutineKind, RoutineVolatility,
    TriggerDescriptor, TriggerEvents, TriggerTiming,
};
pub use statistics::{ColumnStatistics, TableStatistics};
pub use table::Table;
pub use types::{ColumnDomain, DomainCheck, TypeDescriptor, TypeKind};

use crate::error::{Error, ObjectKind, Result};

/// The schema that is there from the beginning.
pub const PUBLIC: &str = "public";
/// Schemas that belong to the database itself: nothing can be created in them.
pub const RESERVED_SCHEMAS: [&str; 3] = ["cairn_catalog", "pg_catalog", "information_schema"];
/// The name, in `pg_catalog`, under which SQL shows the raw key-value space.
pub const STORE: &str = "store";

/// A relation, found by name.
#[derive(Clone, Debug)]
pub enum Relation {
    /// A table.
    Table(Arc<Table>),
    /// A view.
    View(Arc<ViewDescriptor>),
    /// A sequence.
    Sequence(Arc<SequenceDescriptor>),
    /// An index of a table; index 0 is the primary key.
    Index(Arc<Table>, IndexId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RelationId {
    Table(ObjectId),
    View(ObjectId),
    Sequence(ObjectId),
    Index(ObjectId, IndexId),
}

/// All definitions, as one transaction sees them. Cheap to clone: objects are shared.
///
/// ```
/// let db = cairn_engine::Database::in_memory()?;
/// assert!(db.catalog().schema("public").is_some());
/// # Ok::<(), cairn_engine::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    version: u64,
    schemas: BTreeMap<String, Arc<SchemaDescriptor>>,
    tables: BTreeMap<ObjectId, Arc<Table>>,
    views: BTreeMap<ObjectId, Arc<ViewDescriptor>>,
    sequences: BTreeMap<ObjectId, Arc<SequenceDescriptor>>,
    routines: BTreeMap<ObjectId, Arc<RoutineDescriptor>>,
    types: BTreeMap<ObjectId, Arc<TypeDescriptor>>,
    names: BTreeMap<String, BTreeMap<String, RelationId>>,
    /// Partitioned tables and their partitions.
    partitions: BTreeMap<ObjectId, BTreeSet<ObjectId>>,
    roles: BTreeMap<ObjectId, Arc<RoleDescriptor>>,
    access: BTreeMap<ObjectId, Arc<AccessDescriptor>>,
    /// Composite types, those of rows of tables too, of which something is made.
    composites: BTreeSet<ObjectId>,
}

impl Catalog {
    /// The schema version: it grows with every committed DDL transaction; plan caches are keyed by it. Within a
    /// transaction that has done DDL itself it is unlike any committed one.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The schema of that name.
    pub fn schema(&self, name: &str) -> Option<&Arc<SchemaDescriptor>> {
        self.schemas.get(name)
    }

    /// All schemas, by name.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<SchemaDescriptor>> {
        self.schemas.values()
    }

    /// All tables, by id.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// All views, by id.
    pub fn views(&self) -> impl Iterator<Item = &Arc<ViewDescriptor>> {
        self.views.values()
    }

    /// All sequences, by id.
    pub fn sequences(&self) -> impl Iterator<Item = &Arc<SequenceDescriptor>> {
        self.sequences.values()
    }

    /// All functions and procedures, by id.
    pub fn routines(&self) -> impl Iterator<Item = &Arc<RoutineDescriptor>> {
        self.routines.values()
    }

    /// The function or procedure of that id.
    pub fn routine_by_id(&self, id: ObjectId) -> Option<&Arc<RoutineDescriptor>> {
        self.routines.get(&id)
    }

    /// The functions and procedures of that name, by id.
    pub fn routines_named<'c>(
        &'c self,
        schema: &'c str,
        name: &'c str,
    ) -> impl Iterator<Item = &'c Arc<RoutineDescriptor>> {
        self.routines.values().filter(move |routine| routine.name == name && routine.schema == schema)
    }

    /// The table of that id.
    pub fn table_by_id(&self, id: ObjectId) -> Option<&Arc<Table>> {
        self.tables.get(&id)
    }

    /// The view of that id.
    pub fn view_by_id(&self, id: ObjectId) -> Option<&Arc<ViewDescriptor>> {
        self.views.get(&id)
    }

    /// The sequence of that id.
    pub fn sequence_by_id(&self, id: ObjectId) -> Option<&Arc<SequenceDescriptor>> {
        self.sequences.get(&id)
    }

    /// Whatever relation has that name in that schema.
    pub fn relation(&self, schema: &str, name: &str) -> Option<Relation> {
        let id = *self.names.get(schema)?.get(name)?;
        Some(match id {
            RelationId::Table(id) => Relation::Table(self.tables.get(&id)?.clone()),
            RelationId::View(id) => Relation::View(self.views.get(&id)?.clone()),
            RelationId::Sequence(id) => Relation::Sequence(self.sequences.get(&id)?.clone()),
            RelationId::Index(table, index) => Relation::Index(self.tables.get(&table)?.clone(), index),
        })
    }

    /// The table of that name.
    ///
    /// # Errors
    /// [`Error::Undefined`] (3F000, 42P01) where there is none, [`Error::WrongObjectType`] where it is something else.
    pub fn table(&self, schema: &str, name: &str) -> Result<Arc<Table>> {
        match self.find(schema, name, ObjectKind::Relation)? {
            Relation::Table(table) => Ok(table),
            _ => Err(Error::WrongObjectType { name: name.to_owned(), expected: "table" }),
        }
    }

    /// The view of that name.
    ///
    /// # Errors
    /// As [`Catalog::table`].
    pub fn view(&self, schema: &str, name: &str) -> Result<Arc<ViewDescriptor>> {
        match self.find(schema, name, ObjectKind::View)? {
            Relation::View(view) => Ok(view),
            _ => Err(Error::WrongObjectType { name: name.to_owned(), expected: "view" }),
        }
    }

    /// The sequence of that name.
    ///
    /// # Errors
    /// As [`Catalog::table`].
    pub fn sequence(&self, schema: &str, name: &str) -> Result<Arc<SequenceDescriptor>> {
        match self.find(schema, name, ObjectKind::Relation)? {
            Relation::Sequence(sequence) => Ok(sequence),
            _ => Err(Error::WrongObjectType { name: name.to_owned(), expected: "sequence" }),
        }
    }

    /// The table and id of the index of that name (0 = a primary key).
    ///
    /// # Errors
    /// As [`Catalog::table`].
    pub fn index(&self, schema: &str, name: &str) -> Result<(Arc<Table>, IndexId)> {
        match self.find(schema, name, ObjectKind::Index)? {
            Relation::Index(table, index) => Ok((table, index)),
            _ => Err(Error::WrongObjectType { name: name.to_owned(), expected: "index" }),
        }
    }

    fn find(&self, schema: &str, name: &str, kind: ObjectKind) -> Result<Relation> {
        if self.schema(schema).is_none() {
            return Err(Error::undefined(ObjectKind::Schema, schema));
        }
        self.relation(schema, name).ok_or_else(|| match kind {
            ObjectKind::Relation if schema != PUBLIC => {
                Error::Undefined { kind, message: format!("relation \"{schema}.{name}\" does not exist") }
            }
            _ => Error::undefined(kind, name),
        })
    }

    /// The foreign keys of other tables (and its own) that refer to `parent`.
    pub fn children(&self, parent: ObjectId) -> impl Iterator<Item = (&Arc<Table>, &ForeignKey)> {
        self.tables
            .values()
            .flat_map(|table| table.foreign_keys.iter().map(move |key| (table, key)))
            .filter(move |(_, key)| key.parent == parent)
    }

    /// The partitions of a partitioned table, ready to be looked up.
    pub fn partitions<'t>(&self, table: &'t Table) -> &'t Partitions {
        table.partitions(|| self.partition_tables(table.id))
    }

    /// The partitions of a table, by id: those below them not among them.
    pub fn partition_tables(&self, table: ObjectId) -> impl Iterator<Item = &Arc<Table>> {
        self.partitions.get(&table).into_iter().flatten().filter_map(|id| self.tables.get(id))
    }

    /// All partitions below a table, at every depth.
    pub fn descendants(&self, table: ObjectId) -> Vec<Arc<Table>> {
        let mut all: Vec<Arc<Table>> = self.partition_tables(table).cloned().collect();
        let mut at = 0;
        while let Some(next) = all.get(at) {
            let more: Vec<Arc<Table>> = self.partition_tables(next.id).cloned().collect();
            all.extend(more);
            at += 1;
        }
        all
    }

    /// The tables that a partition is of: its own parent first.
    pub fn ancestors(&self, table: &Table) -> Vec<Arc<Table>> {
        let mut all: Vec<Arc<Table>> = Vec::new();
        let mut parent = table.partition.as_ref().map(|own| own.parent);
        while let Some(found) = parent.and_then(|id| self.tables.get(&id)) {
            parent = found.partition.as_ref().map(|own| own.parent);
            all.push(found.clone());
        }
        all
    }

    /// The views that read `object` directly.
    pub fn dependent_views(&self, object: ObjectId) -> impl Iterator<Item = &Arc<ViewDescriptor>> {
        self.views.values().filter(move |view| view.depends_on.iter().any(|d| d.object == object))
    }

    /// The sequences that go with `table` (SERIAL, IDENTITY, OWNED BY).
    pub fn owned_sequences(&self, table: ObjectId) -> impl Iterator<Item = &Arc<SequenceDescriptor>> {
        self.sequences.values().filter(move |s| s.owned_by.is_some_and(|(owner, _)| owner == table))
    }
}

/// Making a new picture from an old one; only [`store`] and DDL do it (I1: on their own copy).
impl Catalog {
    pub(crate) fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    pub(crate) fn name_taken(&self, schema: &str, name: &str) -> bool {
        self.names.get(schema).is_some_and(|names| names.contains_key(name))
    }

    pub(crate) fn put_schema(&mut self, schema: SchemaDescriptor) {
        self.names.entry(schema.name.clone()).or_default();
        self.schemas.insert(schema.name.clone(), Arc::new(schema));
    }

    pub(crate) fn remove_schema(&mut self, name: &str) {
        self.schemas.remove(name);
        self.names.remove(name);
    }

    pub(crate) fn put_table(&mut self, mut table: TableDescriptor) -> Arc<Table> {
        self.remove_table(table.id);
        self.complete_table(&mut table);
        table.columns.iter().for_each(|column| self.note_rows(&column.ty));
        let domains = self.domains_of(&table);
        let table = Arc::new(Table::new(table, domains));
        for (name, id) in table_names(&table) {
            self.names.entry(table.schema.clone()).or_default().insert(name.to_owned(), id);
        }
        self.tables.insert(table.id, table.clone());
        if let Some(own) = &table.partition {
            self.partitions.entry(own.parent).or_default().insert(table.id);
            self.renew(own.parent);
        }
        if self.composites.contains(&table.id) {
            self.renew_users(table.id);
        }
        table
    }

    pub(crate) fn remove_table(&mut self, id: ObjectId) {
        if let Some(table) = self.tables.remove(&id) {
            for (name, _) in table_names(&table) {
                self.remove_name(&table.schema, name);
            }
            if let Some(own) = &table.partition {
                if let Some(partitions) = self.partitions.get_mut(&own.parent) {
                    partitions.remove(&id);
                }
                self.renew(own.parent);
            }
        }
    }

    /// Makes a partitioned table anew, whose partitions are not what they were.
    fn renew(&mut self, table: ObjectId) {
        if let Some(old) = self.tables.get(&table) {
            let domains = self.domains_of(old.descriptor());
            let new = Arc::new(Table::new(old.descriptor().clone(), domains));
            self.tables.insert(table, new);
        }
    }

    pub(crate) fn put_view(&mut self, mut view: ViewDescriptor) {
        self.remove_view(view.id);
        for column in &mut view.columns {
            self.complete(&mut column.ty);
            self.note_rows(&column.ty);
        }
        self.add_name(&view.schema, &view.name, RelationId::View(view.id));
        self.views.insert(view.id, Arc::new(view));
    }

    pub(crate) fn remove_view(&mut self, id: ObjectId) {
        if let Some(view) = self.views.remove(&id) {
            self.remove_name(&view.schema, &view.name);
        }
    }

    pub(crate) fn put_sequence(&mut self, sequence: SequenceDescriptor) {
        self.remove_sequence(sequence.id);
        self.add_name(&sequence.schema, &sequence.name, RelationId::Sequence(sequence.id));
        self.sequences.insert(sequence.id, Arc::new(sequence));
    }

    pub(crate) fn remove_sequence(&mut self, id: ObjectId) {
        if let Some(sequence) = self.sequences.remove(&id) {
            self.remove_name(&sequence.schema, &sequence.name);
        }
    }

    pub(crate) fn put_routine(&mut self, mut routine: RoutineDescriptor) {
        routine.types_mut().for_each(|ty| self.complete(ty));
        routine.types().for_each(|ty| self.note_rows(ty));
        self.routines.insert(routine.id, Arc::new(routine));
    }

    pub(crate) fn remove_routine(&mut self, id: ObjectId) {
        self.routines.remove(&id);
    }

    fn add_name(&mut self, schema: &str, name: &str, id: RelationId) {
        self.names.entry(schema.to_owned()).or_default().insert(name.to_owned(), id);
    }

    fn remove_name(&mut self, schema: &str, name: &str) {
        if let Some(names) = self.names.get_mut(schema) {
            names.remove(name);
        }
    }
}

/// The names that a table takes in its schema: its own, its primary key's, its indexes'.
fn table_names(table: &Table) -> impl Iterator<Item = (&str, RelationId)> {
    let id = table.id;
    let own = std::iter::once((table.name.as_str(), RelationId::Table(id)));
    let key = (!table.primary_key.is_empty())
        .then_some((table.primary_key_name.as_str(), RelationId::Index(id, 0)));
    let indexes = table.indexes.iter().map(move |i| (i.name.as_str(), RelationId::Index(id, i.id)));
    own.chain(key).chain(indexes)
}
