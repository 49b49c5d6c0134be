//! A scan narrowed by a join: when the join has read its small side, it knows which values of the join column
//! can find a partner. The scan of the other side, where that column leads an index, then fetches the rows of
//! those values instead of reading the whole table. (DataFusion's dynamic filters; elsewhere "index nested
//! loop join", here decided when the number of values is known.)
//!
//! Guarantees: a narrowed scan gives the rows that the whole one would give, less rows that the join would
//! drop; in the same order and partition by partition, because the row keys found are sorted and cut by the
//! partition's range. When more rows would be fetched than are worth it, the scan reads as if nothing had
//! been said.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::Schema;
use cairn_engine::catalog::IndexId;
use cairn_engine::table::{self, Access, Bounds, Match};
use cairn_engine::{ReadView, Table};
use cairn_types::Value;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, DynamicFilterPhysicalExpr, InListExpr, Literal,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::access::FETCH_COST;
use super::bounds::value_of;
use crate::Result;

/// Values that are looked up at most.
pub(crate) const LIST_MAX: usize = 1024;
/// Rows fetched whatever the size of the table.
const ROWS_ALWAYS: usize = 64;

/// The key (0) or index that leads with the column at a place among the live ones.
pub(crate) fn leads(table: &Table, place: usize) -> Option<IndexId> {
    if table.primary_key_places().first() == Some(&place) && !table.has_hidden_key() {
        return Some(0);
    }
    let leads = |index: &&cairn_engine::catalog::IndexDescriptor| {
        index.is_plain()
            && index.columns.first().and_then(|column| table.place_of(column.column)) == Some(place)
    };
    Some(table.indexes.iter().find(leads)?.id)
}

/// A filter that a join will fill, over a column that leads an index.
#[derive(Debug, Clone)]
pub(crate) struct Narrowing {
    filter: Arc<DynamicFilterPhysicalExpr>,
    /// Place of the column in the scan's output.
    output: usize,
    /// Place of the column among the live columns.
    place: usize,
    /// 0 = the rows themselves.
    pub(crate) index: IndexId,
}

impl Narrowing {
    /// The use of a filter that came down to the scan of `table`; `None` where no index leads with one of its
    /// columns. `wanted` are the places of the scan's output columns.
    pub(crate) fn of(filter: &Arc<dyn PhysicalExpr>, table: &Table, wanted: &[usize]) -> Option<Self> {
        let filter = Arc::clone(filter) as Arc<dyn Any + Send + Sync>;
        let filter = filter.downcast::<DynamicFilterPhysicalExpr>().ok()?;
        filter.children().into_iter().find_map(|child| {
            let output = (child.as_ref() as &dyn Any).downcast_ref::<Column>()?.index();
            let place = *wanted.get(output)?;
            let index = leads(table, place)?;
            Some(Self { filter: Arc::clone(&filter), output, place, index })
        })
    }

    /// The filter, as the join knows it.
    pub(crate) fn filter(&self) -> Arc<dyn PhysicalExpr> {
        Arc::clone(&self.filter) as Arc<dyn PhysicalExpr>
    }

    /// The rows to fetch instead of those of `within`, now that the join has read its side; `None` where the
    /// scan is to read as planned.
    pub(crate) fn access(
        &self,
        view: &ReadView,
        table: &Table,
        within: &Access,
        rows: f64,
    ) -> Result<Option<Access>> {
        let current = self.filter.current().map_err(crate::Error::from)?;
        let Some(values) = list_of(&current, self.output, 0) else { return Ok(None) };
        let Some(values) = self.values(&values, table.arrow_schema()) else { return Ok(None) };
        let bounds: Vec<Bounds> = values
            .into_iter()
            .map(|value| Bounds { equal: vec![Match::Equal(value)], ..Bounds::default() })
            .collect();
        let most = (rows / FETCH_COST) as usize;
        if self.index == 0 {
            let few = bounds.len() <= most.max(ROWS_ALWAYS);
            return Ok(few.then(|| table::rows_by_key(table, &bounds, within)).transpose()?.flatten());
        }
        let access = table::index_access(table, self.index, &bounds)?;
        Ok(table::rows_by_index(view, table, &access, within, most.max(ROWS_ALWAYS))?)
    }

    /// The values of the list, each once, without NULL, which joins nothing.
    fn values(&self, list: &[ScalarValue], schema: &Schema) -> Option<Vec<Value>> {
        let field = schema.field(self.place);
        let values: Option<Vec<Value>> = list.iter().map(|value| value_of(field, &plain(value))).collect();
        let mut values: Vec<Value> = values?.into_iter().filter(|value| !value.is_null()).collect();
        values.sort();
        values.dedup();
        Some(values)
    }
}

/// Strings in the one form that tables have.
fn plain(value: &ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => ScalarValue::Utf8(text.clone()),
        other => other.clone(),
    }
}

/// Among the terms of a conjunction, the values of which output column `output` must have one: alone, or as a part of rows.
fn list_of(filter: &Arc<dyn PhysicalExpr>, output: usize, depth: usize) -> Option<Vec<ScalarValue>> {
    let any = filter.as_ref() as &dyn Any;
    if let Some(binary) = any.downcast_ref::<BinaryExpr>() {
        if *binary.op() != Operator::And || depth > TERMS_MAX {
            return None;
        }
        let list = |side| list_of(side, output, depth + 1);
        return list(binary.left()).or_else(|| list(binary.right()));
    }
    let list = any.downcast_ref::<InListExpr>().filter(|list| !list.negated() && list.len() <= LIST_MAX)?;
    let literals = list.list().iter().map(|item| {
        let literal = (item.as_ref() as &dyn Any).downcast_ref::<Literal>()?;
        Some(literal.value())
    });
    let is_column = |expr: &Arc<dyn PhysicalExpr>| {
        let column = (expr.as_ref() as &dyn Any).downcast_ref::<Column>();
        column.is_some_and(|column| column.index() == output)
    };
    if is_column(list.expr()) {
        return literals.map(|literal| literal.cloned()).collect();
    }
    // A join of several columns lists rows.
    let row = (list.expr().as_ref() as &dyn Any).downcast_ref::<ScalarFunctionExpr>()?;
    let at = row.args().iter().position(is_column).filter(|_| row.name() == "struct")?;
    let part = |literal: Option<&ScalarValue>| match literal? {
        ScalarValue::Struct(row) => ScalarValue::try_from_array(row.columns().get(at)?, 0).ok(),
        _ => None,
    };
    literals.map(part).collect()
}

/// Terms of a conjunction that are looked at.
const TERMS_MAX: usize = 64;
