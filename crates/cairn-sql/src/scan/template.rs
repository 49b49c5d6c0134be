//! A scan whose conditions hold parameters: how its access path is made anew for other values.
//!
//! I1: the path that is made has the form of the one that the plan was made with, and so its order and number of parts;
//! where another one would be chosen for the values, there is none, and the statement is planned for itself.

use std::sync::Arc;

use cairn_engine::table::{self, Access};
use cairn_engine::{ReadView, Table};
use datafusion::logical_expr::Expr;

use super::access::{self, Choice, Size};
use super::derived::Derived;
use super::prune::Part;
use crate::Result;
use crate::query::slots::Slots;

/// Rows from which on a plan that reads a whole table is not kept where an index might serve other values.
const ROWS_WHOLE_MAX: u64 = 1000;

/// See the module.
pub(crate) struct Template {
    table: Arc<Table>,
    derived: Option<Arc<Derived>>,
    /// The table when the plan was made.
    size: Size,
    filters: Vec<Expr>,
    read: Vec<usize>,
    choice: Choice,
    parts: usize,
    /// Whether other values want no other path.
    is_settled: bool,
    /// Of a partition that is read as part of its table.
    part: Option<Part>,
}

impl Template {
    pub(crate) fn new(
        table: Arc<Table>,
        derived: Option<Arc<Derived>>,
        size: Size,
        filters: Vec<Expr>,
        read: Vec<usize>,
        choice: Choice,
        parts: usize,
    ) -> Template {
        Template { table, derived, size, filters, read, choice, parts, is_settled: true, part: None }
    }

    /// The same, of a partition: values may say that it need not be read.
    pub(crate) fn of_part(self, part: Option<Part>) -> Template {
        Template { part, ..self }
    }

    /// The same, for conditions that are these with the values at hand.
    pub(crate) fn settled_for(mut self, bound: &[Expr]) -> Template {
        self.is_settled = !matches!(self.choice.access, Access::Full)
            || self.size.rows <= ROWS_WHOLE_MAX
            || !access::has_ways(&self.table, self.derived.as_deref(), bound);
        self
    }

    /// Whether the plan may serve other values than those that it was made with.
    pub(crate) fn serves_others(&self) -> bool {
        self.is_settled
    }

    /// The access for these values (I1), whole.
    pub(crate) fn access(&self, slots: &Slots) -> Result<Option<Access>> {
        if matches!(self.choice.access, Access::Full) && self.part.is_none() {
            return Ok(Some(Access::Full));
        }
        let filters = slots.fill_all(&self.filters)?;
        if self.part.as_ref().is_some_and(|part| part.is_excluded(&filters)) {
            return Ok(Some(Access::Rows(Vec::new())));
        }
        if matches!(self.choice.access, Access::Full) {
            return Ok(Some(Access::Full));
        }
        let derived = self.derived.as_deref();
        let choice =
            access::choose_again(&self.choice, &self.table, derived, &self.size, &filters, &self.read)?;
        Ok(choice.map(|choice| choice.access))
    }

    /// An access as the plan's parts read it.
    pub(crate) fn split(&self, view: &ReadView, access: &Access) -> Vec<Access> {
        let mut parts = match self.parts {
            0 | 1 => vec![access.clone()],
            parts => table::split(view, &self.table, access, parts),
        };
        parts.resize_with(self.parts.max(parts.len()), || Access::Rows(Vec::new()));
        parts
    }
}
