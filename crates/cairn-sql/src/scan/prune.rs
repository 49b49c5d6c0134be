//! Which partitions of a table a query has to read, as far as its conditions on the partition keys tell.
//!
//! I1: a partition that is left out holds no row that the conditions let pass.

use std::sync::Arc;

use cairn_engine::catalog::{Allowed, ObjectId};
use cairn_engine::{Catalog, Table};
use datafusion::logical_expr::Expr;

use super::bounds::{Columns, Restriction};

/// A partition as part of the table that is read.
#[derive(Clone)]
pub(crate) struct Part {
    catalog: Arc<Catalog>,
    root: Arc<Table>,
    leaf: ObjectId,
}

impl Part {
    pub(crate) fn new(catalog: &Arc<Catalog>, root: &Arc<Table>, leaf: ObjectId) -> Part {
        Part { catalog: Arc::clone(catalog), root: Arc::clone(root), leaf }
    }

    /// Whether the conditions let no row of the partition pass.
    pub(crate) fn is_excluded(&self, filters: &[Expr]) -> bool {
        !leaves(&self.catalog, &self.root, filters).iter().any(|own| own.id == self.leaf)
    }
}

/// The partitions that hold the rows that these conditions let pass, in the order of their bounds.
pub(crate) fn leaves(catalog: &Catalog, root: &Table, filters: &[Expr]) -> Vec<Arc<Table>> {
    let mut columns = Columns::silent(root.arrow_schema());
    filters.iter().for_each(|filter| columns.add(filter));
    let mut found = Vec::new();
    collect(catalog, root, root, &columns, &mut found);
    found
}

fn collect(
    catalog: &Catalog,
    root: &Table,
    table: &Table,
    columns: &Columns<'_>,
    found: &mut Vec<Arc<Table>>,
) {
    let partitions = catalog.partitions(table);
    let known: Vec<Vec<Allowed>> = partitions
        .key()
        .iter()
        .map(|(name, _)| {
            let place = root.column_place(name);
            let own = columns.restrictions.iter().filter(|(at, ..)| Some(*at) == place);
            own.map(|(_, restriction, _)| allowed(restriction)).collect()
        })
        .collect();
    for id in partitions.candidates(&known) {
        match catalog.table_by_id(id) {
            Some(own) if own.is_partitioned() => collect(catalog, root, own, columns, found),
            Some(own) => found.push(Arc::clone(own)),
            None => {}
        }
    }
}

fn allowed(restriction: &Restriction) -> Allowed {
    match restriction {
        Restriction::OneOf(values) => Allowed::OneOf(values.clone()),
        Restriction::Null => Allowed::Null,
        Restriction::Range(low, high) => Allowed::Range(low.clone(), high.clone()),
    }
}
