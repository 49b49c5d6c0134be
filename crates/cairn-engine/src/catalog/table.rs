//! A table's descriptor with what follows from it, worked out once per schema version.
//!
//! *Live* columns are those not dropped; batches carry exactly these, in order. *Ordinal* is a column's place in
//! the descriptor and in the row code, dropped ones counted.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use arrow_schema::{Schema, SchemaRef};
use cairn_types::key::KeyOrder;

use super::descriptor::{Check, Column, ColumnId, ForeignKey, IndexDescriptor, IndexId, TableDescriptor};
use super::partition::Partitions;
use super::types::ColumnDomain;
use crate::error::{Error, Result};
use crate::table::codec::Codec;

/// A table, as a catalog knows it: its [`TableDescriptor`] (by `Deref`), the Arrow schema of its batches, and the
/// places of its columns.
#[derive(Debug)]
pub struct Table {
    descriptor: TableDescriptor,
    schema: SchemaRef,
    /// Live place → ordinal.
    live: Vec<usize>,
    /// Ordinal → live place.
    place: Vec<Option<usize>>,
    /// Ordinals of the primary key.
    key: Vec<usize>,
    /// What the domains of columns ask, by ordinal.
    domains: Vec<(usize, ColumnDomain)>,
    /// The CHECKs of the table and of its columns' domains.
    checks: Vec<Check>,
    codec: OnceLock<Codec>,
    /// Of a partitioned table.
    partitions: OnceLock<Partitions>,
}

impl Deref for Table {
    type Target = TableDescriptor;

    fn deref(&self) -> &TableDescriptor {
        &self.descriptor
    }
}

/// The order of a primary key column.
pub(crate) const KEY_ORDER: KeyOrder = KeyOrder { descending: false, nulls_first: false };

impl Table {
    pub(crate) fn new(descriptor: TableDescriptor, domains: Vec<(usize, ColumnDomain)>) -> Table {
        let mut live = Vec::new();
        let mut place = Vec::new();
        let mut fields = Vec::new();
        for (ordinal, column) in descriptor.columns.iter().enumerate() {
            place.push((!column.dropped).then_some(live.len()));
            if !column.dropped {
                live.push(ordinal);
                fields.push(column.ty.to_field(&column.name, column.nullable));
            }
        }
        let ordinal = |id: &ColumnId| descriptor.columns.iter().position(|c| c.id == *id);
        let key = descriptor.primary_key.iter().filter_map(ordinal).collect();
        let of_domains = domains.iter().flat_map(|(_, domain)| &domain.checks);
        let checks = descriptor.checks.iter().chain(of_domains).cloned().collect();
        let schema = Arc::new(Schema::new(fields));
        let (codec, partitions) = (OnceLock::new(), OnceLock::new());
        Table { schema, live, place, key, domains, checks, codec, partitions, descriptor }
    }

    /// The CHECKs that rows must keep: the table's own, and behind them those of its columns' domains.
    pub fn all_checks(&self) -> &[Check] {
        &self.checks
    }

    /// The domain whose CHECK that is, by its place in [`Table::all_checks`].
    pub fn domain_of_check(&self, check: usize) -> Option<&ColumnDomain> {
        let mut first = self.descriptor.checks.len();
        let mut domains = self.domains.iter().map(|(_, domain)| domain);
        domains.find(|domain| {
            let own = (first..first + domain.checks.len()).contains(&check);
            first += domain.checks.len();
            own
        })
    }

    /// The domain of the live column at that place.
    pub fn domain(&self, place: usize) -> Option<&ColumnDomain> {
        let ordinal = self.live[place];
        self.domains.iter().find(|(at, _)| *at == ordinal).map(|(_, domain)| domain)
    }

    /// Whether the live column at that place takes NULL, as far as it and its domain say.
    pub fn takes_null(&self, place: usize) -> bool {
        let allowed = self.domain(place).is_none_or(|own| {
            matches!(own.domain.kind, super::types::TypeKind::Domain { nullable: true, .. })
        });
        allowed && self.live_column(place).nullable
    }

    /// Whether its rows are those of its partitions.
    pub fn is_partitioned(&self) -> bool {
        self.descriptor.partitioning.is_some()
    }

    /// Its partitions; `all` gives them at the first call.
    pub(super) fn partitions<'t, I>(&self, all: impl FnOnce() -> I) -> &Partitions
    where
        I: Iterator<Item = &'t Arc<Table>>,
    {
        self.partitions.get_or_init(|| Partitions::new(self, all().map(Arc::as_ref)))
    }

    /// The descriptor.
    pub fn descriptor(&self) -> &TableDescriptor {
        &self.descriptor
    }

    /// The Arrow schema of this table's batches: the live columns, in order.
    pub fn arrow_schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns of a view as a table, for INSTEAD OF triggers: nothing can be read from it or written to it.
    pub fn of_view(view: &super::ViewDescriptor) -> Table {
        let columns = view.columns.iter().enumerate().map(|(at, column)| super::Column {
            id: at as ColumnId + 1,
            name: column.name.clone(),
            ty: column.ty.clone(),
            nullable: true,
            default: column.default.clone(),
            missing: None,
            identity: None,
            generated: None,
            domain: None,
            dropped: false,
            comment: None,
        });
        Table::new(
            TableDescriptor {
                id: view.id,
                schema: view.schema.clone(),
                name: view.name.clone(),
                columns: columns.collect(),
                primary_key: Vec::new(),
                primary_key_name: String::new(),
                indexes: Vec::new(),
                checks: Vec::new(),
                foreign_keys: Vec::new(),
                next_column: view.columns.len() as ColumnId + 1,
                next_index: 1,
                comment: None,
                triggers: view.triggers.clone(),
                materialized: None,
                partitioning: None,
                partition: None,
                constraint_comments: BTreeMap::new(),
            },
            Vec::new(),
        )
    }

    /// The live columns, in order.
    pub fn live_columns(&self) -> impl ExactSizeIterator<Item = &Column> {
        self.live.iter().map(|&ordinal| &self.descriptor.columns[ordinal])
    }

    /// The live column at that place.
    pub fn live_column(&self, place: usize) -> &Column {
        &self.descriptor.columns[self.live[place]]
    }

    /// The place among the live columns of the column of that name.
    pub fn column_place(&self, name: &str) -> Option<usize> {
        self.live.iter().position(|&ordinal| self.descriptor.columns[ordinal].name == name)
    }

    /// The place among the live columns of the column of that id.
    pub fn place_of(&self, id: ColumnId) -> Option<usize> {
        self.descriptor.columns.iter().position(|c| c.id == id).and_then(|ordinal| self.place[ordinal])
    }

    /// The column of that id, dropped or not.
    pub fn column_by_id(&self, id: ColumnId) -> Option<&Column> {
        self.descriptor.columns.iter().find(|c| c.id == id)
    }

    /// The live column of that name.
    ///
    /// # Errors
    /// [`Error::Undefined`] (42703).
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.live_columns()
            .find(|c| c.name == name)
            .ok_or_else(|| Error::undefined_column(&self.descriptor.name, name))
    }

    /// The secondary index of that id.
    pub fn index_by_id(&self, id: IndexId) -> Option<&IndexDescriptor> {
        self.descriptor.indexes.iter().find(|i| i.id == id)
    }

    /// The secondary index of that name.
    pub fn index_by_name(&self, name: &str) -> Option<&IndexDescriptor> {
        self.descriptor.indexes.iter().find(|i| i.name == name)
    }

    /// The FOREIGN KEY constraint of that name.
    pub fn foreign_key(&self, name: &str) -> Option<&ForeignKey> {
        self.descriptor.foreign_keys.iter().find(|k| k.name == name)
    }

    /// The places of the generated columns.
    pub fn generated_places(&self) -> Vec<usize> {
        let columns = self.live_columns().enumerate();
        columns.filter(|(_, column)| column.generated.is_some()).map(|(place, _)| place).collect()
    }

    /// Whether rows are found by a hidden row id, because there is no primary key.
    pub fn has_hidden_key(&self) -> bool {
        self.key.is_empty()
    }

    /// The places (among the live columns) of the primary key's columns, in key order.
    pub fn primary_key_places(&self) -> Vec<usize> {
        self.key.iter().filter_map(|&ordinal| self.place[ordinal]).collect()
    }

    /// The columns of an index with their order; index 0 = the primary key.
    pub fn index_key(&self, index: IndexId) -> Option<Vec<(&Column, KeyOrder)>> {
        if index == 0 {
            return Some(self.key.iter().map(|&o| (&self.descriptor.columns[o], KEY_ORDER)).collect());
        }
        let columns = &self.index_by_id(index)?.columns;
        columns
            .iter()
            .map(|c| {
                let order = KeyOrder { descending: c.descending, nulls_first: c.nulls_first };
                Some((self.column_by_id(c.column)?, order))
            })
            .collect()
    }

    /// How rows, keys and index entries of this table are encoded; worked out at the first call.
    pub(crate) fn codec(&self) -> Result<&Codec> {
        if let Some(codec) = self.codec.get() {
            return Ok(codec);
        }
        let codec = Codec::new(self)?;
        Ok(self.codec.get_or_init(|| codec))
    }

    pub(crate) fn ordinal_of_place(&self, place: usize) -> usize {
        self.live[place]
    }

    pub(crate) fn place_of_ordinal(&self, ordinal: usize) -> Option<usize> {
        self.place[ordinal]
    }
}
