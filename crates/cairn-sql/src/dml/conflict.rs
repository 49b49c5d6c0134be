//! ON CONFLICT: which key is meant, and DO UPDATE of the rows that are in the way.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use bytes::Bytes;
use cairn_engine::catalog::ObjectId;
use cairn_engine::table::{self, ConflictTarget as Target, Inserted, OnConflict};
use cairn_engine::{Isolation, ReadView, Table, Wait};
use cairn_types::datetime::Zone;
use sqlparser::ast::{self, ConflictTarget, Expr, OnConflictAction, OnInsert, VisitMut, VisitorMut};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::assign::assign_array;
use super::default::parse_expr;
use super::relations::{self, Relation, arrow_error};
use super::replace;
use super::target::{batch_of, column_place};
use super::update::{Assigned, NewValue, assignments};
use crate::context::Context;
use crate::parse::conflict::MARK;
use crate::parse::dialect::CairnDialect;
use crate::privileges::policies::{self, Written};
use crate::session::variables::fold;
use crate::trigger::{Event, Firing, differing, follow, regenerated};
use crate::{Error, Result};

/// What to do with rows whose key is taken.
pub(crate) struct Conflict<'c> {
    target: Target,
    /// `None`: DO NOTHING.
    update: Option<Update<'c>>,
}

struct Update<'c> {
    /// Triggers of UPDATE.
    firing: Option<Firing<'c>>,
    assigned: Vec<Assigned>,
    condition: Option<Expr>,
    alias: String,
    /// Row keys that this statement has written: a second time is an error.
    touched: HashSet<Bytes>,
    /// Whose policies count.
    role: ObjectId,
}

impl<'c> Conflict<'c> {
    /// Reads the clause.
    ///
    /// # Errors
    /// `42P10`, `42704`, `42601`, `42703`.
    pub(crate) fn read(
        context: &'c Context,
        table: &Arc<Table>,
        alias: &str,
        clause: &OnInsert,
    ) -> Result<Conflict<'c>> {
        let OnInsert::OnConflict(clause) = clause else {
            return Err(
                Error::new("42601", "syntax error at or near \"DUPLICATE\"").with_hint("Use ON CONFLICT.")
            );
        };
        let target = match &clause.conflict_target {
            None if table.indexes.iter().any(|index| index.deferrable.is_some()) => return Err(late()),
            None => Target::Any,
            Some(ConflictTarget::Columns(columns)) => by_columns(table, columns)?,
            Some(ConflictTarget::OnConstraint(name)) => by_constraint(table, name)?,
        };
        let update = match &clause.action {
            OnConflictAction::DoNothing => None,
            OnConflictAction::DoUpdate(_) if target == Target::Any => {
                return Err(Error::new(
                    "42601",
                    "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                )
                .with_hint("For example, ON CONFLICT (column_name)."));
            }
            OnConflictAction::DoUpdate(update) => {
                let assigned = super::composite::assignments(table, alias, &update.assignments)?;
                let assigned = assignments(context, table, &assigned)?;
                let changed = replace::changed(table, &assigned);
                Some(Update {
                    firing: Firing::of(context, table, Event::Update, &changed)?,
                    assigned,
                    condition: update.selection.clone(),
                    alias: alias.to_owned(),
                    touched: HashSet::new(),
                    role: context.role(),
                })
            }
        };
        Ok(Conflict { target, update })
    }

    /// What DO UPDATE assigns to a row with the same primary key, if that is all there is to it.
    pub(super) fn into_assigned(self) -> Option<Vec<Assigned>> {
        let update = self.update.filter(|_| self.target == Target::PrimaryKey)?;
        (update.condition.is_none() && update.firing.is_none()).then_some(update.assigned)
    }

    /// Whether it reads the rows that are there.
    pub(super) fn selects(&self) -> bool {
        self.update.is_some()
    }

    /// The triggers of DO UPDATE.
    pub(super) fn firing(&mut self) -> Option<&mut Firing<'c>> {
        self.update.as_mut()?.firing.as_mut()
    }

    /// What the engine is told.
    pub(crate) fn mode(&self) -> OnConflict {
        match self.update {
            None => OnConflict::DoNothing { target: self.target },
            Some(_) => OnConflict::Report { target: self.target },
        }
    }

    /// Updates the rows in the way of `batch`; returns the rows as they are now with the places in `batch` that caused
    /// them.
    ///
    /// # Errors
    /// `21000` where a row is met twice; those of evaluating and of [`table::update`].
    pub(crate) fn apply(
        &mut self,
        context: &Context,
        table: &Table,
        role: ObjectId,
        (batch, inserted): (&RecordBatch, &Inserted),
    ) -> Result<Option<(RecordBatch, Vec<usize>)>> {
        let Some(update) = &mut self.update else { return Ok(None) };
        update.role = role;
        update.touched.extend(inserted.keys.iter().cloned());
        let mut keys = Vec::with_capacity(inserted.conflicts.len());
        for conflict in &inserted.conflicts {
            if !update.touched.insert(conflict.existing.clone()) {
                return Err(Error::new("21000", "ON CONFLICT DO UPDATE command cannot affect row a second time")
                    .with_hint(
                        "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
                    ));
            }
            keys.push(conflict.existing.clone());
        }
        if keys.is_empty() {
            return Ok(None);
        }
        let all: Vec<usize> = (0..table.live_columns().len()).collect();
        let view = update.lock(context, table, &keys)?;
        let fetched = table::get(&view, table, &keys, &all)?;
        if fetched.found.len() != keys.len() {
            return Err(gone());
        }
        let places: Vec<usize> = inserted.conflicts.iter().map(|c| c.row).collect();
        let rows = UInt64Array::from_iter_values(places.iter().map(|p| *p as u64));
        let proposed = arrow::compute::take_record_batch(batch, &rows).map_err(arrow_error)?;
        update.run(context, table, &keys, fetched.batch, proposed, places)
    }
}

/// A row that was in the way is not there any more, or not yet for this transaction.
fn gone() -> Error {
    Error::new("40001", "could not serialize access due to concurrent update")
        .with_hint("The transaction might succeed if retried.")
}

/// Under Repeatable Read, refuses to go by rows that the snapshot does not have, as PostgreSQL does.
///
/// # Errors
/// `40001`.
pub(super) fn check_visible(context: &Context, table: &Table, inserted: &Inserted) -> Result<()> {
    if inserted.conflicts.is_empty() || context.txn().options().isolation != Isolation::RepeatableRead {
        return Ok(());
    }
    let keys: Vec<Bytes> = inserted.conflicts.iter().map(|conflict| conflict.existing.clone()).collect();
    let fetched = table::get(&context.txn().view()?, table, &keys, &[0])?;
    if fetched.found.len() == keys.len() { Ok(()) } else { Err(gone()) }
}

impl Update<'_> {
    /// Locks the rows in the way where the level locks, and shows them as they are then.
    fn lock(&self, context: &Context, table: &Table, keys: &[Bytes]) -> Result<ReadView> {
        let txn = context.txn();
        if !txn.options().isolation.is_locking() {
            return Ok(txn.view()?);
        }
        let changed = replace::changed(table, &self.assigned);
        let mode = table::update_lock(table, &changed)?;
        Ok(table::lock_rows(txn, table, keys, mode, Wait::Block)?.view)
    }

    fn run(
        &mut self,
        context: &Context,
        table: &Table,
        keys: &[Bytes],
        existing: RecordBatch,
        proposed: RecordBatch,
        places: Vec<usize>,
    ) -> Result<Option<(RecordBatch, Vec<usize>)>> {
        policies::verify(context, self.role, table, (Written::Conflicting, true), &existing)?;
        let rows = existing.num_rows();
        let quick = match self.condition {
            None => self.quick(table, &existing, &proposed, context.zone())?,
            Some(_) => None,
        };
        let mut keep = None;
        let mut new = match quick {
            Some(values) => {
                let mut columns: Vec<ArrayRef> = existing.columns().to_vec();
                for (place, value) in values {
                    columns[place] = value;
                }
                let new = batch_of(table, columns, rows)?;
                table::with_generated(context.txn(), table, new)?
            }
            None => {
                let relation = |alias: &str, rows: RecordBatch| Relation {
                    alias: alias.to_owned(),
                    rows,
                    in_wildcard: false,
                };
                let sides = [relation(&self.alias, existing.clone()), relation("excluded", proposed)];
                let mut items = replace::items(&self.assigned);
                if let Some(condition) = &self.condition {
                    items.push(relations::item(condition.clone(), "__cairn_where"));
                }
                let values = match items.is_empty() {
                    true => RecordBatch::new_empty(existing.schema()),
                    false => relations::evaluate(context, &sides, &items)?,
                };
                if self.condition.is_some() {
                    keep = Some(values.column(values.num_columns() - 1).as_boolean().clone());
                }
                replace::with_values(context, table, &self.assigned, existing.columns(), &values, rows)?
            }
        };
        let (mut keys, mut places) = (keys.to_vec(), places);
        let kept_rows = keep.clone();
        if let Some(keep) = keep {
            let kept = |n: usize| keep.is_valid(n) && keep.value(n);
            new = arrow::compute::filter_record_batch(&new, &keep).map_err(arrow_error)?;
            keys = keys.into_iter().enumerate().filter(|(n, _)| kept(*n)).map(|(_, k)| k).collect();
            places = places.into_iter().enumerate().filter(|(n, _)| kept(*n)).map(|(_, p)| p).collect();
        }
        if keys.is_empty() {
            return Ok(None);
        }
        let mut old = existing;
        if let Some(keep) = &kept_rows {
            old = arrow::compute::filter_record_batch(&old, keep).map_err(arrow_error)?;
        }
        let new = self.write(context, table, &mut keys, &mut places, old, new)?;
        Ok(Some((new, places)))
    }

    /// Writes the rows, with triggers and what foreign keys bring about; the rows as they are then.
    fn write(
        &mut self,
        context: &Context,
        table: &Table,
        keys: &mut Vec<Bytes>,
        places: &mut Vec<usize>,
        mut old: RecordBatch,
        mut new: RecordBatch,
    ) -> Result<RecordBatch> {
        let mut changed = replace::changed(table, &self.assigned);
        if let Some(firing) = self.firing.as_ref().filter(|firing| firing.has_before_rows()) {
            let (rows, kept) = firing.before_rows(Some(&old), Some(&new))?;
            new = regenerated(context, table, rows.unwrap_or(new))?;
            old = arrow::compute::filter_record_batch(&old, &kept).map_err(arrow_error)?;
            let mut at = 0..kept.len();
            keys.retain(|_| at.next().is_some_and(|at| kept.value(at)));
            let mut at = 0..kept.len();
            places.retain(|_| at.next().is_some_and(|at| kept.value(at)));
            firing.check_untouched(keys)?;
            changed.extend(differing(&old, &new));
        }
        policies::verify(context, self.role, table, (Written::Updated, true), &new)?;
        let (_, left) = table::update_with(context.txn(), table, keys, &new, &changed, true)?;
        follow(context, left)?;
        if let Some(firing) = &mut self.firing {
            firing.changed(Some(old), Some(new.clone()));
        }
        Ok(new)
    }

    /// Assignments that are only `excluded.column`, literals and parameters need no plan.
    fn quick(
        &self,
        table: &Table,
        existing: &RecordBatch,
        proposed: &RecordBatch,
        zone: Zone,
    ) -> Result<Option<Vec<(usize, ArrayRef)>>> {
        let mut values = Vec::with_capacity(self.assigned.len());
        for assigned in &self.assigned {
            let NewValue::Expr(expr) = &assigned.value else { return Ok(None) };
            let Expr::CompoundIdentifier(parts) = &**expr else { return Ok(None) };
            let [side, name] = parts.as_slice() else { return Ok(None) };
            let from = match fold(side) {
                side if side == "excluded" => proposed,
                side if side == self.alias => existing,
                _ => return Ok(None),
            };
            let Some(source) = table.column_place(&fold(name)) else { return Ok(None) };
            let (from_column, column) = (table.live_column(source), table.live_column(assigned.place));
            let array =
                assign_array(from.column(source), &from_column.ty, &column.ty, &column.name, false, zone)?;
            values.push((assigned.place, array));
        }
        Ok(Some(values))
    }
}

fn by_columns(table: &Table, columns: &[ast::Ident]) -> Result<Target> {
    let (elements, condition) = match columns {
        [one] => match one.value.strip_prefix(MARK) {
            Some(text) => read_target(text)?,
            None => (columns.iter().cloned().map(Expr::Identifier).collect(), None),
        },
        _ => (columns.iter().cloned().map(Expr::Identifier).collect(), None),
    };
    let mut wanted = Vec::with_capacity(elements.len());
    for element in &elements {
        wanted.push(match element {
            Expr::Identifier(ident) => {
                let place = column_place(table, ident)
                    .map_err(|_| Error::new("42703", format!("column \"{}\" does not exist", fold(ident))))?;
                Element::Column(table.live_column(place).id)
            }
            expr => Element::Expression(normal(expr)),
        });
    }
    let same = |key: Vec<Element>| {
        key.iter().all(|own| wanted.contains(own)) && wanted.iter().all(|own| key.contains(own))
    };
    let primary: Vec<Element> = table.primary_key.iter().map(|id| Element::Column(*id)).collect();
    if !primary.is_empty() && same(primary) {
        return Ok(Target::PrimaryKey);
    }
    let mut terms = Vec::new();
    condition.iter().for_each(|condition| split(condition, &mut terms));
    let mut whole = None;
    for index in table.indexes.iter().filter(|index| index.unique) {
        let mut key = Vec::new();
        for (column, expression) in index.key_parts() {
            key.push(match expression {
                Some(own) => Element::Expression(normal(&parse_expr(&own.sql)?)),
                None => Element::Column(column.column),
            });
        }
        let mut own = Vec::new();
        if let Some(predicate) = &index.predicate {
            split(&parse_expr(&predicate.sql)?, &mut own);
        }
        if same(key) && own.iter().all(|term| terms.contains(term)) {
            if index.deferrable.is_some() {
                return Err(late());
            }
            // A condition is there to name a partial index.
            if index.predicate.is_some() || terms.is_empty() {
                return Ok(Target::Index(index.id));
            }
            whole = whole.or(Some(index.id));
        }
    }
    whole.map(Target::Index).ok_or_else(|| {
        Error::new(
            "42P10",
            "there is no unique or exclusion constraint matching the ON CONFLICT specification",
        )
    })
}

/// A constraint that is looked at only later tells nothing of conflicts.
fn late() -> Error {
    Error::new(
        "55000",
        "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters",
    )
}

/// One of the things that make up a key.
#[derive(PartialEq)]
enum Element {
    Column(u32),
    Expression(String),
}

/// The elements and the condition of a target given as text.
fn read_target(text: &str) -> Result<(Vec<Expr>, Option<Expr>)> {
    let wrong = |error: sqlparser::parser::ParserError| crate::error::syntax_error(error, text);
    let dialect = CairnDialect::default();
    let mut parser = Parser::new(&dialect).try_with_sql(text).map_err(wrong)?;
    parser.expect_token(&Token::LParen).map_err(wrong)?;
    let elements = parser.parse_comma_separated(Parser::parse_expr).map_err(wrong)?;
    parser.expect_token(&Token::RParen).map_err(wrong)?;
    let condition = match parser.parse_keyword(Keyword::WHERE) {
        true => Some(parser.parse_expr().map_err(wrong)?),
        false => None,
    };
    match parser.peek_token().token {
        Token::EOF => Ok((elements, condition)),
        other => Err(Error::new("42601", format!("syntax error at or near \"{other}\""))),
    }
}

/// The terms of a conjunction in their normal form.
fn split(condition: &Expr, out: &mut Vec<String>) {
    match condition {
        Expr::Nested(inner) => split(inner, out),
        Expr::BinaryOp { left, op: ast::BinaryOperator::And, right } => {
            split(left, out);
            split(right, out);
        }
        other => out.push(normal(other)),
    }
}

/// An expression as text that is the same however it was written: names folded and without their table, no brackets
/// around the whole or around names.
fn normal(expr: &Expr) -> String {
    struct Names;
    impl VisitorMut for Names {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(ident) => *ident = crate::parse::names::exact(&fold(ident)),
                Expr::CompoundIdentifier(parts) => {
                    if let Some(last) = parts.pop() {
                        *expr = Expr::Identifier(crate::parse::names::exact(&fold(&last)));
                    }
                }
                Expr::Nested(inner) if matches!(**inner, Expr::Identifier(_) | Expr::Value(_)) => {
                    *expr = Expr::clone(inner);
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut bare = expr.clone();
    while let Expr::Nested(inner) = bare {
        bare = *inner;
    }
    // It never breaks off.
    let _ = VisitMut::visit(&mut bare, &mut Names);
    bare.to_string().to_lowercase()
}

fn by_constraint(table: &Table, name: &ast::ObjectName) -> Result<Target> {
    let name = super::target::column_ident(name).map(fold)?;
    if !table.primary_key.is_empty() && table.primary_key_name == name {
        return Ok(Target::PrimaryKey);
    }
    match table.indexes.iter().find(|i| i.name == name && i.constraint) {
        Some(index) if index.deferrable.is_some() => Err(late()),
        Some(index) => Ok(Target::Index(index.id)),
        None => Err(Error::new(
            "42704",
            format!("constraint \"{name}\" for table \"{}\" does not exist", table.name),
        )),
    }
}
