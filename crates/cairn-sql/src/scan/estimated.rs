//! What a scan is expected to give and to cost.

use std::sync::Arc;

use arrow::compute::SortOptions;
use cairn_engine::catalog::IndexDescriptor;
use cairn_engine::table::{self, Access, Bounds};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, InListExpr, IsNullExpr, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::access::{self, Choice, FETCH_COST};
use super::exec::TableScanExec;
use crate::functions::keys::keyed;
use crate::statistics::conditions::{ColumnEstimate, Origin};
use crate::statistics::estimate::{Estimate, ROW, unknown};

/// What a page costs that is read in sequence.
const PAGE: f64 = 1.0;
/// Rows of a table of whose size nothing is known, in a page.
const ROWS_OF_PAGE: f64 = 60.0;

impl TableScanExec {
    /// See the module.
    pub(crate) fn estimate(&self) -> Estimate {
        let size = &self.spec.size;
        let before = size.rows.max(1) as f64;
        let rows = self.estimated_rows() as f64;
        let columns = self.spec.wanted.iter().enumerate().map(|(at, place)| {
            let field = self.schema.field(at);
            if *place >= self.spec.table.live_columns().len() {
                return unknown(field.data_type(), before);
            }
            self.column(*place, field, before)
        });
        let columns: Vec<ColumnEstimate> = columns.collect();
        let is_fetched = self.choice.index != 0 && !self.is_index_only();
        let each = match (&self.choice.access, is_fetched) {
            (_, true) => FETCH_COST * ROW,
            _ => ROW + PAGE / self.rows_of_page(before),
        };
        let cut = Estimate { rows: before, before, startup: 0.0, cost: 0.0, columns }.cut(rows);
        // A filter above keeps its share of the whole table: the conditions of the access are among its own. Columns have
        // values that the access has left.
        let limited = self.spec.limit.map_or(before, |limit| before.min(limit as f64));
        let cost = match &self.choice.bitmap {
            Some(bitmap) => (bitmap.entries() + self.choice.rows * FETCH_COST) * ROW,
            None => self.choice.rows.min(limited) * each,
        };
        Estimate { cost, before: limited, ..cut }
    }

    fn rows_of_page(&self, rows: f64) -> f64 {
        match &self.spec.size.statistics {
            Some(known) if known.pages > 0 => (rows / known.pages as f64).max(1.0),
            _ => ROWS_OF_PAGE,
        }
    }

    /// Whether the index alone gives what is wanted.
    pub(crate) fn is_index_only(&self) -> bool {
        let columns = self.spec.table.live_columns().len();
        let read: Vec<usize> = self.spec.wanted.iter().copied().filter(|place| *place < columns).collect();
        matches!(self.choice.access, Access::Index { .. })
            && table::is_covered(&self.spec.table, self.choice.index, &read).unwrap_or(false)
    }

    fn column(&self, place: usize, field: &arrow::datatypes::Field, rows: f64) -> ColumnEstimate {
        let table = &self.spec.table;
        let id = table.live_column(place).id;
        let known = self.spec.size.statistics.as_ref();
        let at = known.and_then(|known| known.columns.iter().position(|column| column.column == id));
        let statistics = known.cloned().zip(at);
        let by_index = table.indexes.iter().any(|index| {
            index.unique && index.is_plain() && index.columns.len() == 1 && index.columns[0].column == id
        });
        let unique = by_index || table.primary_key_places() == [place] && !table.has_hidden_key();
        let origin = Origin { statistics, rows, unique, field: field.clone() };
        let width = origin.known().statistics.map(|known| f64::from(known.average_width));
        let guessed = unknown(field.data_type(), rows);
        ColumnEstimate {
            distinct: origin.known().distinct().unwrap_or(guessed.distinct),
            width: width.filter(|width| *width > 0.0).unwrap_or(guessed.width),
            origin: Some(Arc::new(origin)),
        }
    }

    /// Whether the access itself sees to a condition over the scan's output.
    pub(crate) fn is_used(&self, condition: &Arc<dyn PhysicalExpr>) -> bool {
        let column = |expr: &Arc<dyn PhysicalExpr>| {
            let place = *self.spec.wanted.get(keyed(expr).downcast_ref::<Column>()?.index())?;
            self.choice.places.contains(&place).then_some(())
        };
        let settled = |expr: &Arc<dyn PhysicalExpr>| {
            expr.downcast_ref::<Literal>().is_some()
                || expr.downcast_ref::<ScalarFunctionExpr>().is_some_and(|call| call.args().is_empty())
        };
        if let Some(either) = condition.downcast_ref::<BinaryExpr>().filter(|b| *b.op() == Operator::Or) {
            // A list, or what several indexes were chosen for.
            let any = self.choice.bitmap.as_ref().is_some_and(|bitmap| bitmap.any);
            let columns = collect_columns(condition);
            let known = |at: &Column| {
                self.spec.wanted.get(at.index()).is_some_and(|place| self.choice.places.contains(place))
            };
            let list =
                columns.len() == 1 && [either.left(), either.right()].into_iter().all(|t| self.is_used(t));
            return list || any && columns.iter().all(known);
        }
        if self.choice.bitmap.as_ref().is_some_and(|bitmap| bitmap.any) {
            return false;
        }
        if let Some(binary) = condition.downcast_ref::<BinaryExpr>() {
            let ordered = matches!(
                binary.op(),
                Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
            );
            let sides = [(binary.left(), binary.right()), (binary.right(), binary.left())];
            return ordered && sides.into_iter().any(|(one, other)| column(one).is_some() && settled(other));
        }
        if let Some(list) = condition.downcast_ref::<InListExpr>() {
            return !list.negated() && column(list.expr()).is_some() && list.list().iter().all(settled);
        }
        condition.downcast_ref::<IsNullExpr>().is_some_and(|test| column(test.arg()).is_some())
    }

    /// The index that a join may have it read by.
    pub(crate) fn lookup(&self) -> Option<String> {
        let index = self.narrowed_by()?;
        let table = &self.spec.table;
        Some(match index {
            0 => table.primary_key_name.clone(),
            index => table.index_by_id(index)?.name.clone(),
        })
    }

    /// The same rows by an index whose order is that of these columns of the output (or the other way round), with the whole
    /// table read so far; `None` where there is none.
    pub(crate) fn in_order(&self, keys: &[(usize, SortOptions)]) -> Option<Self> {
        let (table, spec) = (&self.spec.table, &self.spec);
        let whole = matches!(self.choice.access, Access::Full) && self.choice.bitmap.is_none();
        if !whole || spec.shown.is_some() || spec.template.is_some() || spec.limit.is_some() || spec.reverse {
            return None;
        }
        let places: Vec<usize> =
            keys.iter().map(|(at, _)| spec.wanted.get(*at).copied()).collect::<Option<_>>()?;
        let fits = |index: &&IndexDescriptor| {
            let Some(own) = table.index_key(index.id).filter(|own| own.len() >= keys.len()) else {
                return false;
            };
            let same = |turned: bool| {
                own.iter().zip(keys.iter().zip(&places)).all(|((column, order), ((_, wanted), place))| {
                    let known = table.live_columns().nth(*place).is_some_and(|live| live.id == column.id);
                    known
                        && (order.descending != turned) == wanted.descending
                        && ((order.nulls_first != turned) == wanted.nulls_first || !column.nullable)
                })
            };
            index.is_plain() && (same(false) || same(true))
        };
        let index = table.indexes.iter().find(fits)?.id;
        let access = table::index_access(table, index, &[Bounds::default()]).ok()?;
        let choice = Choice { access: access.clone(), index, ..access::whole(spec.size.rows) };
        Self::new(spec.clone(), choice, vec![access]).ok()
    }
}
