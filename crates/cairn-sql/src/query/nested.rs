//! Locking clauses within a statement: `DELETE FROM jobs WHERE id = (SELECT id FROM jobs … FOR UPDATE SKIP LOCKED)`.
//!
//! Such a subquery runs before the statement, once, innermost first, and its rows take its place. It cannot refer to the
//! queries around it. Under Read Committed the statement's snapshot is taken anew afterwards, so that what was locked is read
//! as it is.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::datasource::MemTable;
use sqlparser::ast::{Query, SetExpr, Statement, Visit, VisitMut, Visitor, VisitorMut};

use super::lock;
use crate::context::Context;
use crate::parse::as_of;
use crate::{Error, Result};

/// Runs the subqueries with locking clauses; the statement with their rows in their place, where there are any.
///
/// # Errors
/// Those of [`lock::select`].
pub(crate) fn run(context: &Context, statement: &Statement) -> Result<Option<Statement>> {
    let top = match statement {
        Statement::Query(query) => !matches!(
            *query.body,
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
        ),
        // A long list of values has no subqueries worth the walk, or is planned for that.
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::Merge(_) => false,
        _ => return Ok(None),
    };
    let mut search = Search { top, depth: 0 };
    if statement.visit(&mut search).is_continue() {
        return Ok(None);
    }
    let mut statement = statement.clone();
    let mut work = Work { context, top, depth: 0 };
    if let ControlFlow::Break(error) = VisitMut::visit(&mut statement, &mut work) {
        return Err(error);
    }
    context.txn().begin_statement()?;
    Ok(Some(statement))
}

/// The statement without any locking clause and as of now: for who only wants to know what it gives.
pub(crate) fn without(statement: &Statement) -> Option<Statement> {
    let mut search = Search { top: false, depth: 0 };
    let past = matches!(statement, Statement::Query(query) if as_of::is_noted(query));
    if !past && statement.visit(&mut search).is_continue() {
        return None;
    }
    struct Strip;
    impl VisitorMut for Strip {
        type Break = ();
        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
            query.locks.clear();
            as_of::take_note(query);
            ControlFlow::Continue(())
        }
    }
    let mut statement = statement.clone();
    // It never breaks off.
    let _ = VisitMut::visit(&mut statement, &mut Strip);
    Some(statement)
}

/// Looks for a locking clause below the outermost query, or anywhere.
struct Search {
    /// The outermost query locks its own rows.
    top: bool,
    depth: usize,
}

impl Visitor for Search {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.depth += 1;
        match query.locks.is_empty() || self.top && self.depth == 1 {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

struct Work<'w> {
    context: &'w Context,
    top: bool,
    depth: usize,
}

impl VisitorMut for Work<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.depth -= 1;
        if query.locks.is_empty() || (self.top && self.depth == 0) {
            return ControlFlow::Continue(());
        }
        match locked(self.context, query) {
            Ok(rows) => *query = rows,
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// A query that gives the rows of one that has run.
pub(super) fn locked(context: &Context, query: &Query) -> Result<Query> {
    let rows = lock::select(context, query)?;
    let schema = Arc::clone(rows.schema());
    let batches: Vec<RecordBatch> = rows.collect()?;
    let table = Arc::new(MemTable::try_new(schema, vec![batches])?);
    lock::source_query(&context.add_source(table))
}
