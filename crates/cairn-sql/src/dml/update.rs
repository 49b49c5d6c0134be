//! UPDATE … SET … [FROM …] [WHERE …] [RETURNING …].

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{Field, Schema};
use cairn_engine::catalog::ObjectId;
use cairn_engine::table::{self, Left, ROW_KEY};
use cairn_engine::{Error as EngineError, Table};
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchemaRef;
use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, ObjectName, Query, SelectItem, SetExpr, Statement, TableFactor,
    TableWithJoins, Update, UpdateTableFromKind, WildcardAdditionalOptions, With,
};

use super::relations::{self, Relation, arrow_error, concat, select_of};
use super::target::{batch_of, batch_with, column_ident, column_place};
use super::{changed, check_option, composite, layers, literal, replace, returning, target, updatable};
use crate::context::Context;
use crate::privileges::changes::mentions;
use crate::privileges::policies::{self, Written};
use crate::privileges::relations::Reads;
use crate::query::plan::Planner;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::trigger::{Event, Firing, differing, follow, regenerated};
use crate::{Error, Result, catalog, trigger};

/// What the rows of a view are called in place of the view.
const VIEW_ROWS: &str = "__cairn_view";

/// One column of SET.
pub(super) struct Assigned {
    pub(super) place: usize,
    pub(super) value: NewValue,
}

/// What it becomes.
pub(super) enum NewValue {
    /// DEFAULT.
    Default,
    /// An expression over the old row.
    Expr(Box<Expr>),
}

/// The table of UPDATE or DELETE with the name that its columns go by.
pub(super) fn changed_table(
    factor: &TableWithJoins,
) -> Result<(&sqlparser::ast::ObjectName, Option<String>)> {
    if !factor.joins.is_empty() {
        return Err(Error::new("42601", "syntax error at or near \"JOIN\"").with_hint("Use FROM or USING."));
    }
    match &factor.relation {
        TableFactor::Table { name, alias, args: None, with_hints, partitions, sample: None, .. }
            if with_hints.is_empty() && partitions.is_empty() =>
        {
            if alias.as_ref().is_some_and(|a| !a.columns.is_empty()) {
                return Err(Error::unsupported("a column list in the alias of the changed table"));
            }
            Ok((name, alias.as_ref().map(|a| fold(&a.name))))
        }
        _ => Err(Error::new("42601", "only a table can be changed")),
    }
}

/// Runs an UPDATE.
pub(super) fn run(context: &Context, update: &Update, with: Option<&With>) -> Result<StatementResult> {
    if update.or.is_some() || !update.order_by.is_empty() || update.limit.is_some() || update.output.is_some()
    {
        return Err(Error::unsupported("OR, ORDER BY, LIMIT or OUTPUT in UPDATE"));
    }
    let beneath = updatable::update(context, update, with)?;
    let role = beneath.as_ref().map_or_else(|| context.role(), |said| said.role);
    let checks = beneath.as_ref().map_or(&[][..], |said| &said.checks);
    let update = beneath.as_ref().map_or(update, |said| &said.statement);
    let (name, alias) = changed_table(&update.table)?;
    let table = target::find(context, name, "UPDATE")?;
    let alias = alias.unwrap_or_else(|| table.name.clone());
    let assigned = composite::assignments(&table, &alias, &update.assignments)?;
    let assigned = assignments(context, &table, &assigned)?;
    let mut changed = replace::changed(&table, &assigned);
    let mut firing = Firing::of(context, &table, Event::Update, &changed)?;
    let from = match &update.from {
        None => &[][..],
        Some(UpdateTableFromKind::AfterSet(from)) => from.as_slice(),
        Some(UpdateTableFromKind::BeforeSet(_)) => {
            return Err(Error::new("42601", "FROM must follow SET in UPDATE"));
        }
    };
    let news = replace::items(&assigned);
    let extra = news.len();
    let selection = target::selection(&table, name, update.selection.as_ref())?;
    let selects = update.selection.is_some() || update.returning.is_some() || mentions(&update.assignments);
    let changes = Changes {
        table: &table,
        alias: &alias,
        from,
        selection: selection.as_ref(),
        with,
        columns: true,
        all: update.returning.is_some(),
        extra: &news,
        reads: Reads::Update { selects },
        role,
    };
    if let Some(firing) = &mut firing {
        firing.begin()?;
    }
    let mut work = Work { context, changes, assigned: &assigned, extra, changed: &mut changed };
    let (count, found, new) = work.run(firing.as_ref())?;
    check_option::verify(context, checks, &table, &alias, std::slice::from_ref(&new))?;
    if let Some(firing) = &mut firing {
        firing.changed(Some(found.table_rows(&table)?), Some(new.clone()));
        firing.finish()?;
    }
    let answer = match &update.returning {
        Some(items) => {
            let mut sides = vec![returning::relation(&table, &alias, &[new])?];
            sides.extend(found.others(extra)?);
            Some((items.as_slice(), sides))
        }
        None => None,
    };
    returning::finish(context, "UPDATE", count, answer)
}

/// An UPDATE at work.
struct Work<'w> {
    context: &'w Context,
    changes: Changes<'w>,
    assigned: &'w [Assigned],
    extra: usize,
    changed: &'w mut Vec<usize>,
}

impl Work<'_> {
    /// Finds the rows and writes them, with what foreign keys bring about: how many, which, and as what.
    fn run(&mut self, firing: Option<&Firing<'_>>) -> Result<(u64, Found, RecordBatch)> {
        let (context, table) = (self.context, self.changes.table);
        let mut found = self.changes.find(context)?;
        let mut new = self.new_rows(&found)?;
        if let Some(firing) = firing.filter(|firing| firing.has_before_rows() || firing.is_instead()) {
            (found, new) = self.before_rows(firing, found, new)?;
            if firing.is_instead() {
                return Ok((new.num_rows() as u64, found, new));
            }
        }
        self.verify(&new)?;
        let mut done = write(context, table, &found, &new, self.changed);
        if let Err(EngineError::RowsChanged) = done {
            let mode = table::update_lock(table, self.changed)?;
            found = changed::look_again(context, &self.changes, found, mode)?;
            new = self.new_rows(&found)?;
            self.verify(&new)?;
            done = write(context, table, &found, &new, self.changed);
        }
        let (count, left) = done?;
        context.note_modified(table.id, &found.keys);
        follow(context, left)?;
        Ok((count, found, new))
    }

    /// The rows that BEFORE ROW triggers leave, as they leave them. They run once for each row, so it is made sure first
    /// that it is the row to be changed.
    fn before_rows(
        &mut self,
        firing: &Firing<'_>,
        mut found: Found,
        mut new: RecordBatch,
    ) -> Result<(Found, RecordBatch)> {
        let (context, table) = (self.context, self.changes.table);
        if context.txn().options().isolation.is_locking() && !firing.is_instead() {
            let mode = table::update_lock(table, self.changed)?;
            found = changed::look_again(context, &self.changes, found, mode)?;
            new = self.new_rows(&found)?;
        }
        let (rows, kept) = firing.before_rows(Some(&found.table_rows(table)?), Some(&new))?;
        found = found.kept(&kept)?;
        new = rows.unwrap_or(new);
        if !firing.is_instead() {
            firing.check_untouched(&found.keys)?;
            new = regenerated(context, table, new)?;
            self.changed.extend(differing(&found.table_rows(table)?, &new));
        }
        Ok((found, new))
    }

    /// Looks whether policies let the rows pass as they become.
    fn verify(&self, new: &RecordBatch) -> Result<()> {
        let Changes { table, role, reads, .. } = &self.changes;
        let selects = *reads == Reads::Update { selects: true };
        policies::verify(self.context, *role, table, (Written::Updated, selects), new)
    }

    fn new_rows(&self, found: &Found) -> Result<RecordBatch> {
        new_rows(self.context, self.changes.table, self.assigned, found, self.extra)
    }
}

/// The rows as they become.
fn new_rows(
    context: &Context,
    table: &Table,
    assigned: &[Assigned],
    found: &Found,
    extra: usize,
) -> Result<RecordBatch> {
    let rows = found.rows.num_rows();
    let columns = &found.rows.columns()[..table.live_columns().len()];
    let start = found.rows.num_columns() - extra;
    let values: Vec<usize> = (start..found.rows.num_columns()).collect();
    let values = found.rows.project(&values).map_err(arrow_error)?;
    replace::with_values(context, table, assigned, columns, &values, rows)
}

/// Writes the rows; how many there were, and what is left to be done.
fn write(
    context: &Context,
    table: &Table,
    found: &Found,
    new: &RecordBatch,
    changed: &[usize],
) -> Result<(u64, Left), EngineError> {
    if new.num_rows() == 0 {
        return Ok((0, Left::default()));
    }
    let (count, left) = table::update_with(context.txn(), table, &found.keys, new, changed, true)?;
    Ok((count as u64, left))
}

/// The assignments of SET.
pub(super) fn assignments(context: &Context, table: &Table, list: &[Assignment]) -> Result<Vec<Assigned>> {
    let mut out: Vec<Assigned> = Vec::new();
    for assignment in list {
        let pairs = match &assignment.target {
            AssignmentTarget::ColumnName(name) => vec![(name, assignment.value.clone())],
            AssignmentTarget::Tuple(names) => {
                names.iter().zip(spread(&assignment.value, names.len())?).collect()
            }
        };
        for (name, expr) in pairs {
            composite::refuse_field(table, name)?;
            let ident = column_ident(name)?;
            let place = column_place(table, ident)?;
            let column = table.live_column(place);
            if out.iter().any(|a| a.place == place) {
                return Err(Error::new(
                    "42601",
                    format!("multiple assignments to same column \"{}\"", column.name),
                ));
            }
            let value = if literal::is_default(&expr) {
                NewValue::Default
            } else {
                if column.generated.is_some() {
                    let name = &column.name;
                    return Err(Error::new(
                        "428C9",
                        format!("column \"{name}\" can only be updated to DEFAULT"),
                    )
                    .with_detail(format!("Column \"{name}\" is a generated column.")));
                }
                if column.identity.is_some_and(|i| i.always) {
                    let name = &column.name;
                    return Err(Error::new(
                        "428C9",
                        format!("column \"{name}\" can only be updated to DEFAULT"),
                    )
                    .with_detail(format!(
                        "Column \"{name}\" is an identity column defined as GENERATED ALWAYS."
                    )));
                }
                // Read as the column's type now, so that a bad literal is an error even where no row is met.
                literal::value(&expr, &column.ty, &column.name, &context.scope.params, context.zone())?;
                NewValue::Expr(Box::new(expr))
            };
            out.push(Assigned { place, value });
        }
    }
    Ok(out)
}

/// The `n` values of `(a, b) = …`.
fn spread(value: &Expr, n: usize) -> Result<Vec<Expr>> {
    let wrong = || Error::new("42601", "number of columns does not match number of values");
    match value {
        Expr::Tuple(values) => match values.len() == n {
            true => Ok(values.clone()),
            false => Err(wrong()),
        },
        Expr::Nested(inner) if n > 1 => spread(inner, n),
        Expr::Function(f) if f.name.to_string().eq_ignore_ascii_case("row") => {
            use sqlparser::ast::{FunctionArg, FunctionArgExpr, FunctionArguments};
            let FunctionArguments::List(list) = &f.args else { return Err(wrong()) };
            let one = |arg: &FunctionArg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
                _ => Err(wrong()),
            };
            let values = list.args.iter().map(one).collect::<Result<Vec<_>>>()?;
            if values.len() == n { Ok(values) } else { Err(wrong()) }
        }
        Expr::Subquery(query) => (0..n).map(|i| column_of(query, i, n)).collect(),
        _ => Err(Error::new(
            "0A000",
            "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
        )),
    }
}

/// Column `i` of a subquery of `n` columns, as a subquery of its own.
fn column_of(query: &Query, i: usize, n: usize) -> Result<Expr> {
    let wrong = || Error::new("42601", "number of columns does not match number of values");
    let plain =
        |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    if let SetExpr::Select(select) = &*query.body
        && select.projection.iter().all(plain)
    {
        if select.projection.len() != n {
            return Err(wrong());
        }
        if select.distinct.is_none() && query.order_by.is_none() {
            let mut one = query.clone();
            select_of(&mut one)?.projection = vec![select.projection[i].clone()];
            return Ok(Expr::Subquery(Box::new(one)));
        }
    }
    // The whole subquery as a table of n columns; one of more or fewer columns fails to plan.
    let names: Vec<String> = (0..n).map(|k| format!("__cairn_{k}")).collect();
    let text = format!("SELECT (SELECT __cairn_{i} FROM ({query}) AS __cairn_source({}))", names.join(", "));
    let Statement::Query(wrapped) = crate::parse::parse_text(&text)? else { return Err(wrong()) };
    let SetExpr::Select(select) = *wrapped.body else { return Err(wrong()) };
    match select.projection.into_iter().next() {
        Some(SelectItem::UnnamedExpr(expr)) => Ok(expr),
        _ => Err(wrong()),
    }
}

/// Which rows a statement changes.
pub(super) struct Changes<'s> {
    pub(super) table: &'s Table,
    pub(super) alias: &'s str,
    pub(super) from: &'s [TableWithJoins],
    pub(super) selection: Option<&'s Expr>,
    pub(super) with: Option<&'s With>,
    /// Whether the columns of the table are wanted.
    pub(super) columns: bool,
    /// Whether those of FROM are wanted too.
    pub(super) all: bool,
    /// What else is to be evaluated on each row.
    pub(super) extra: &'s [SelectItem],
    /// What the rows are read for.
    pub(super) reads: Reads,
    /// Whose policies count.
    pub(super) role: ObjectId,
}

/// The rows found: the columns of the table, its row key, those of FROM if wanted, and the extra ones.
pub(super) struct Found {
    pub(super) rows: RecordBatch,
    /// Their row keys.
    pub(super) keys: Vec<bytes::Bytes>,
    schema: DFSchemaRef,
    width: usize,
}

impl Changes<'_> {
    /// Finds the rows, each once.
    pub(super) fn find(&self, context: &Context) -> Result<Found> {
        if trigger::view::is_view(context, self.table)? {
            let rows = trigger::view::rows(context, self.table)?;
            return self.find_in(
                context,
                ObjectName::from(vec![relations::quoted(VIEW_ROWS)]),
                Some((VIEW_ROWS, rows)),
            );
        }
        let mark = self.reads.mark(Some(self.role));
        let name = catalog::with_row_key_for(&self.table.schema, &self.table.name, &mark);
        self.find_in(context, name, None)
    }

    /// Finds them in the table of that name: `source`, where it is not one of the catalog.
    pub(super) fn find_in(
        &self,
        context: &Context,
        name: ObjectName,
        source: Option<(&str, Arc<dyn TableProvider>)>,
    ) -> Result<Found> {
        let mut query = relations::empty_query()?;
        query.with = self.with.cloned();
        let select = select_of(&mut query)?;
        let state = crate::query::state::of(context);
        let planner = Planner::new(context, &state)?;
        if let Some((name, source)) = source {
            planner.add_source(name, source);
        }
        let mut layers = layers::split(self.selection);
        let name = layers::within(&planner, (name, self.alias), &layers)?;
        select
            .from
            .push(TableWithJoins { relation: relations::table_factor(name, self.alias)?, joins: Vec::new() });
        select.from.extend(self.from.iter().cloned());
        select.selection = match layers.len() {
            1 => self.selection.cloned(),
            _ => layers.pop().flatten(),
        };
        let wanted = self.columns || self.all;
        select.projection.push(match (wanted, self.all && !self.from.is_empty()) {
            (_, true) => SelectItem::Wildcard(WildcardAdditionalOptions::default()),
            (true, false) => relations::wildcard_of(self.alias),
            (false, false) => SelectItem::UnnamedExpr(relations::column(self.alias, ROW_KEY)),
        });
        select.projection.extend(self.extra.iter().cloned());
        let width = if wanted { self.table.live_columns().len() } else { 0 };
        let plan = planner.query(query)?;
        let schema = plan.schema().clone();
        let (output, batches) = context.collect(plan)?;
        let mut rows = concat(&output, &batches)?;
        if !self.from.is_empty() {
            rows = first_of_each(&rows, width)?;
        }
        let found = Found::new(rows, schema, width)?;
        if !found.keys.iter().any(|key| context.is_modified(self.table.id, key)) {
            return Ok(found);
        }
        let unchanged: BooleanArray =
            found.keys.iter().map(|key| Some(!context.is_modified(self.table.id, key))).collect();
        let rows = arrow::compute::filter_record_batch(&found.rows, &unchanged).map_err(arrow_error)?;
        Found::new(rows, found.schema, width)
    }
}

impl Found {
    fn new(rows: RecordBatch, schema: DFSchemaRef, width: usize) -> Result<Found> {
        let keys = match rows.column(width).as_binary_opt::<i32>() {
            Some(keys) => table::row_keys(keys),
            None => return Err(Error::internal("row keys are not binary")),
        };
        Ok(Found { rows, keys, schema, width })
    }

    /// The rows and the schema of their plan.
    pub(super) fn into_parts(self) -> (RecordBatch, DFSchemaRef) {
        (self.rows, self.schema)
    }

    /// Those of the rows for which `kept` holds.
    pub(super) fn kept(self, kept: &BooleanArray) -> Result<Found> {
        let rows = arrow::compute::filter_record_batch(&self.rows, kept).map_err(arrow_error)?;
        Found::new(rows, self.schema, self.width)
    }

    /// The columns of the table.
    pub(super) fn table_rows(&self, table: &Table) -> Result<RecordBatch> {
        let columns = self.rows.columns()[..table.live_columns().len()].to_vec();
        batch_of(table, columns, self.rows.num_rows())
    }

    /// Those of the rows for which `kept` holds, and then those of `more`, which came by the same query.
    pub(super) fn merged(self, kept: &BooleanArray, more: &Found) -> Result<Found> {
        let rows = arrow::compute::filter_record_batch(&self.rows, kept).map_err(arrow_error)?;
        let fields: Vec<Field> =
            rows.schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let rows = arrow::compute::concat_batches(&schema, [&rows, &more.rows]).map_err(arrow_error)?;
        Found::new(rows, self.schema, self.width)
    }

    /// The columns of FROM, by table, without the last `extra` columns.
    pub(super) fn others(&self, extra: usize) -> Result<Vec<Relation>> {
        sides(&self.rows, &self.schema, self.width + 1, self.rows.num_columns() - extra)
    }
}

/// The columns from `start` to `end` of rows of a plan with that schema, by the tables that they are of.
pub(super) fn sides(
    rows: &RecordBatch,
    schema: &DFSchemaRef,
    start: usize,
    end: usize,
) -> Result<Vec<Relation>> {
    let mut sides: Vec<(String, Vec<usize>)> = Vec::new();
    for i in start..end {
        let (qualifier, _) = schema.qualified_field(i);
        let alias = qualifier.map_or_else(|| "__cairn_from".to_owned(), |q| q.table().to_owned());
        match sides.iter_mut().find(|(name, _)| *name == alias) {
            Some((_, columns)) => columns.push(i),
            None => sides.push((alias, vec![i])),
        }
    }
    let batch = |(alias, columns): (String, Vec<usize>)| {
        let fields: Vec<Field> = columns
            .iter()
            .map(|i| {
                let (_, field) = schema.qualified_field(*i);
                let output = rows.schema();
                output.field(*i).clone().with_name(field.name()).with_nullable(true)
            })
            .collect();
        let arrays = columns.iter().map(|i| rows.column(*i).clone()).collect();
        let rows = batch_with(Arc::new(Schema::new(fields)), arrays, rows.num_rows())?;
        Ok(Relation { alias, rows, in_wildcard: true })
    };
    sides.into_iter().map(batch).collect()
}

/// Of rows with the same row key the first, as PostgreSQL takes one join row and passes over the others.
fn first_of_each(rows: &RecordBatch, key: usize) -> Result<RecordBatch> {
    let Some(keys) = rows.column(key).as_binary_opt::<i32>() else {
        return Err(Error::internal("row keys are not binary"));
    };
    let mut seen = HashSet::with_capacity(keys.len());
    let first: BooleanArray = (0..keys.len()).map(|n| Some(seen.insert(keys.value(n)))).collect();
    arrow::compute::filter_record_batch(rows, &first).map_err(arrow_error)
}
