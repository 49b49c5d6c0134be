//! One run of a trigger's function: what its body calls OLD, NEW and TG_…, and the row that it gives.
//!
//! The dialect is CairnDB's own, as PostgreSQL has no triggers in SQL. `OLD.x` and `NEW.x` are values; in a BEFORE ROW
//! trigger a last SELECT all of whose columns are called as columns of the table gives the new row: columns that it does
//! not name stay as they are, and where it gives no row the change does not happen.

use std::ops::ControlFlow;

use cairn_engine::Table;
use cairn_engine::catalog::{RoutineDescriptor, TriggerDescriptor, TriggerTiming};
use cairn_types::{DataType, Value};
use sqlparser::ast::{Expr, SelectItem, SetExpr, Statement};

use crate::context::{Body as Surroundings, Context};
use crate::dml::assign::assign_value;
use crate::functions::sql_type;
use crate::query::output::display_name;
use crate::routine::body::{Body, Outcome};
use crate::routine::names::Parameters;
use crate::session::variables::fold;
use crate::{Error, Result};

/// The names of what describes the call, behind the columns of OLD and NEW.
const DESCRIPTION: [&str; 6] =
    ["tg_op", "tg_name", "tg_when", "tg_level", "tg_table_name", "tg_table_schema"];

/// What the body of a trigger's function calls things.
fn parameters(table: &Table, trigger: &TriggerDescriptor) -> Parameters {
    let width = table.live_columns().len();
    let mut parameters = Parameters::default();
    if trigger.per_row {
        let row = |from: usize| {
            table.live_columns().enumerate().map(move |(at, c)| (c.name.clone(), from + at + 1)).collect()
        };
        parameters.add_row("old", row(0));
        parameters.add_row("new", row(width));
    }
    for (at, name) in DESCRIPTION.into_iter().enumerate() {
        parameters.add(name, 2 * width + at + 1);
    }
    parameters.add("tg_argv", 2 * width + DESCRIPTION.len() + 1);
    parameters
}

/// A trigger's function, read.
pub(super) struct Code {
    body: Body,
    /// The places of the columns that the last SELECT gives, where it gives the new row.
    gives: Option<Vec<usize>>,
}

impl Code {
    pub(super) fn read(
        context: &Context,
        table: &Table,
        trigger: &TriggerDescriptor,
        function: &RoutineDescriptor,
    ) -> Result<Code> {
        let body = Body::read(context, function.form, &function.body, &parameters(table, trigger))?;
        let decides = trigger.per_row && trigger.timing != TriggerTiming::After;
        let gives = if decides { new_row(table, &body)? } else { None };
        Ok(Code { body, gives })
    }

    /// Whether the body's last statement gives the new row.
    pub(super) fn decides(&self) -> bool {
        self.gives.is_some()
    }

    /// Runs it for one row, or for the statement.
    pub(super) fn run(
        &self,
        context: &Context,
        table: &Table,
        trigger: &TriggerDescriptor,
        operation: &str,
        rows: (Option<&[Value]>, Option<&[Value]>),
        surroundings: Surroundings,
    ) -> Result<Given> {
        let types: Vec<DataType> = table.live_columns().map(|c| c.ty.clone()).collect();
        let mut values: Vec<(Value, DataType)> = Vec::with_capacity(2 * types.len() + 7);
        for row in [rows.0, rows.1] {
            for (at, ty) in types.iter().enumerate() {
                values.push((row.map_or(Value::Null, |row| row[at].clone()), ty.clone()));
            }
        }
        let timing = match trigger.timing {
            TriggerTiming::Before => "BEFORE",
            TriggerTiming::After => "AFTER",
            TriggerTiming::InsteadOf => "INSTEAD OF",
        };
        let level = if trigger.per_row { "ROW" } else { "STATEMENT" };
        let told = [operation, &trigger.name, timing, level, &table.name, &table.schema];
        values.extend(told.map(|text| (Value::Text(text.to_owned()), DataType::Text)));
        let arguments = trigger.arguments.iter().map(|argument| Value::Text(argument.clone())).collect();
        values.push((Value::Array(arguments), DataType::Array(Box::new(DataType::Text))));
        let outcome = self.body.run(context, surroundings, &values)?;
        let Some(places) = &self.gives else { return Ok(Given::Unchanged) };
        given(context, table, places, rows.1, &outcome)
    }
}

/// What a run of a BEFORE or INSTEAD OF trigger gave.
pub(super) enum Given {
    Unchanged,
    /// The change does not happen.
    Nothing,
    Row(Vec<Value>),
}

fn given(
    context: &Context,
    table: &Table,
    places: &[usize],
    new: Option<&[Value]>,
    outcome: &Outcome,
) -> Result<Given> {
    let Some(batch) = outcome.batches.iter().find(|batch| batch.num_rows() > 0) else {
        return Ok(Given::Nothing);
    };
    // Of a DELETE only whether there is a row counts.
    let Some(new) = new else { return Ok(Given::Unchanged) };
    let mut row = new.to_vec();
    for (at, place) in places.iter().enumerate() {
        let field = outcome.schema.field(at);
        let from = sql_type(field);
        let value = Value::from_array(batch.column(at).as_ref(), 0, &from);
        let column = table.live_column(*place);
        let unknown = from == DataType::Text;
        row[*place] = assign_value(value, &column.ty, &column.name, unknown, context.zone())?;
    }
    Ok(Given::Row(row))
}

/// The places of the columns that a body's last SELECT gives; `None` where it does not give the row.
fn new_row(table: &Table, body: &Body) -> Result<Option<Vec<usize>>> {
    let Some((Statement::Query(query), _)) = body.statements.last() else { return Ok(None) };
    let SetExpr::Select(select) = &*query.body else { return Ok(None) };
    let mut places = Vec::with_capacity(select.projection.len());
    let mut unknown = None;
    for item in &select.projection {
        let name = match item {
            SelectItem::ExprWithAlias { alias, .. } => fold(alias),
            SelectItem::UnnamedExpr(expr) => {
                display_name(&crate::parse::rewrite::column_name(expr)).to_owned()
            }
            _ => return Ok(None),
        };
        match table.column_place(&name) {
            Some(place) => places.push(place),
            None => unknown = Some(name),
        }
    }
    match unknown {
        // Nothing of it is a column: a statement like any other, such as SELECT raise_error(…).
        _ if places.is_empty() => Ok(None),
        None => Ok(Some(places)),
        Some(name) => {
            let table = &table.name;
            Err(Error::new("42703", format!("column \"{name}\" of relation \"{table}\" does not exist"))
                .with_hint("The last SELECT of a BEFORE ROW trigger gives columns of the new row."))
        }
    }
}

/// What to say of a column of OLD or NEW in a condition that the table does not have.
fn missing_column(table: &Table, condition: &Expr) -> Option<String> {
    let found = sqlparser::ast::visit_expressions(condition, |expr| {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [row, column] = parts.as_slice()
            && matches!(fold(row).as_str(), "old" | "new")
            && table.column_place(&fold(column)).is_none()
        {
            let (row, column) = (fold(row), fold(column));
            return ControlFlow::Break(format!("record \"{row}\" has no field \"{column}\""));
        }
        ControlFlow::Continue(())
    });
    match found {
        ControlFlow::Break(message) => Some(message),
        ControlFlow::Continue(()) => None,
    }
}

/// Checks at CREATE TRIGGER what can be: that the body can be read, and the condition.
pub(super) fn check(
    context: &Context,
    table: &Table,
    trigger: &TriggerDescriptor,
    function: &RoutineDescriptor,
) -> Result<()> {
    // Transition tables are there only when it runs.
    if trigger.old_table.is_none() && trigger.new_table.is_none() {
        Code::read(context, table, trigger, function)?;
    }
    let Some(when) = &trigger.when else { return Ok(()) };
    let condition = crate::dml::default::parse_expr(when)?;
    let text = when.to_lowercase();
    if !trigger.per_row && (text.contains("new.") || text.contains("old.")) {
        return Err(Error::new("42P17", "statement trigger's WHEN condition cannot reference column values"));
    }
    if trigger.events.insert && text.contains("old.") {
        return Err(Error::new("42P17", "INSERT trigger's WHEN condition cannot reference OLD values"));
    }
    if trigger.events.delete && text.contains("new.") {
        return Err(Error::new("42P17", "DELETE trigger's WHEN condition cannot reference NEW values"));
    }
    if let Some(missing) = missing_column(table, &condition) {
        return Err(Error::new("42703", missing));
    }
    super::fire::condition(context, table, &condition, None, None, 0).map(drop)
}
