//! RETURNING of MERGE: what was done to each row (`merge_action()`), the row of the target as it is now, or was before it was
//! deleted, and that of the source, NULL where nothing of the source matches.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{Field, Schema};
use cairn_engine::Table;
use cairn_types::DataType;
use sqlparser::ast::{Expr, Merge, OutputClause, SelectItem, Value as Literal, VisitMut, VisitorMut};

use super::merge::Joined;
use super::relations::{self, Relation, arrow_error, concat};
use super::target;
use super::update::sides;
use crate::Result;

/// The rows that were changed, for RETURNING.
pub(super) struct Done {
    pub(super) wanted: bool,
    parts: Vec<Part>,
}

struct Part {
    action: &'static str,
    /// The target's columns: the new row, or the one that was deleted.
    target: Vec<ArrayRef>,
    /// The source's; none where nothing of the source matches.
    source: Vec<ArrayRef>,
    rows: usize,
}

impl Done {
    pub(super) fn new(wanted: bool) -> Done {
        Done { wanted, parts: Vec::new() }
    }

    /// Takes note of rows that were changed: joined rows, and what they are in the target.
    pub(super) fn add(
        &mut self,
        joined: &Joined,
        rows: &RecordBatch,
        target: &RecordBatch,
        action: &'static str,
    ) {
        if target.num_rows() > 0 {
            let source = rows.columns()[joined.width + 1..].to_vec();
            self.parts.push(Part {
                action,
                target: target.columns().to_vec(),
                source,
                rows: target.num_rows(),
            });
        }
    }

    /// What RETURNING shows, and over which rows: those of the source first.
    ///
    /// # Errors
    /// Internal ones.
    pub(super) fn returning(
        self,
        table: &Table,
        alias: &str,
        items: &[SelectItem],
        joined: &Joined,
    ) -> Result<(Vec<SelectItem>, Vec<Relation>)> {
        let schema = joined.rows.schema();
        let own = target::relaxed(table);
        let first = joined.width + 1;
        let mut all = vec![RecordBatch::new_empty(Arc::new(nullable(&schema)))];
        let mut actions: Vec<&str> = Vec::new();
        for part in &self.parts {
            actions.extend(std::iter::repeat_n(part.action, part.rows));
            let mut columns = part.target.clone();
            columns.push(new_null_array(schema.field(joined.width).data_type(), part.rows));
            for at in first..schema.fields().len() {
                columns.push(match part.source.get(at - first) {
                    Some(column) => Arc::clone(column),
                    None => new_null_array(schema.field(at).data_type(), part.rows),
                });
            }
            all.push(RecordBatch::try_new(all[0].schema(), columns).map_err(arrow_error)?);
        }
        let rows = concat(&all[0].schema(), &all)?;
        let mut relations = sides(&rows, &joined.schema, first, rows.num_columns())?;
        let target = rows.columns()[..joined.width].to_vec();
        let target = target::batch_with(own, target, rows.num_rows())?;
        relations.push(Relation { alias: alias.to_owned(), rows: target, in_wildcard: true });
        let field = DataType::Text.to_field(ACTION.1, true);
        let actions: ArrayRef = Arc::new(StringArray::from(actions));
        let actions =
            RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![actions]).map_err(arrow_error)?;
        relations.push(Relation { alias: ACTION.0.to_owned(), rows: actions, in_wildcard: false });
        let mut items = items.to_vec();
        // Never breaks.
        let _ = VisitMut::visit(&mut items, &mut Actions(relations::column(ACTION.0, ACTION.1)));
        Ok((items, relations))
    }
}

/// What `merge_action()` is called where RETURNING is planned.
const ACTION: (&str, &str) = ("\u{1}merge", "merge_action");

/// RETURNING of a MERGE as a list over source and target, for who only wants to know what it gives.
pub(crate) fn described(merge: &Merge) -> Option<Vec<SelectItem>> {
    let Some(OutputClause::Returning { select_items, .. }) = &merge.output else { return None };
    let mut items = select_items.clone();
    for item in &mut items {
        if let SelectItem::UnnamedExpr(expr) = item
            && is_action(expr)
        {
            *item = relations::item(expr.clone(), ACTION.1);
        }
    }
    let text = Expr::Value(Literal::SingleQuotedString(String::new()).into());
    // Never breaks.
    let _ = VisitMut::visit(&mut items, &mut Actions(text));
    Some(items)
}

fn is_action(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case(ACTION.1))
}

/// Puts an expression in the place of `merge_action()`.
struct Actions(Expr);

impl VisitorMut for Actions {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if is_action(expr) {
            *expr = self.0.clone();
        }
        ControlFlow::Continue(())
    }
}

fn nullable(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(|f| Field::clone(f).with_nullable(true)).collect::<Vec<_>>())
}
