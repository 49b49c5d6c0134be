//! What a statement takes and gives: parameter types and result columns, without running it; and the values of
//! constant expressions.

mod changes;
mod infer;

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use arrow::array::Array;
use cairn_types::{DataType, Value};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr as Planned, LogicalPlan};
use sqlparser::ast::{Expr, Ident, Query, Statement};

use super::origin;
use super::plan::Planner;
use crate::catalog::column_type::{self, OID_ID, OID_LIST_ID};
use crate::context::Context;
use crate::functions::sql_type;
use crate::results::Column;
use crate::{Error, Result, parse};

/// What a statement takes and gives.
#[derive(Debug, Default)]
pub(crate) struct Described {
    /// The types of its parameters.
    pub(crate) parameters: Vec<DataType>,
    /// For each the number of PostgreSQL's type that clients are told, where it is another than the type's own.
    pub(crate) told: Vec<Option<u32>>,
    pub(crate) columns: Vec<Column>,
}

/// The parameter types and result columns of a statement; `declared` are the types that are known of parameters.
pub(crate) fn statement(
    context: &Context,
    statement: &Statement,
    declared: &[Option<DataType>],
) -> Result<Described> {
    let unlocked = super::nested::without(statement);
    let statement = unlocked.as_ref().unwrap_or(statement);
    if let Some(read) = crate::dml::with::described(statement)? {
        // A parameter may stand in any of the parts: the first that tells its type tells it.
        let mut all = self::statement(context, &read, declared)?;
        for part in crate::dml::with::statements(statement) {
            let more = self::statement(context, part, declared)?;
            for (n, (ty, told)) in more.parameters.into_iter().zip(more.told).enumerate() {
                match all.parameters.get_mut(n) {
                    Some(known) if *known == DataType::Text => (*known, all.told[n]) = (ty, told),
                    Some(_) => {}
                    None => {
                        all.parameters.push(ty);
                        all.told.push(told);
                    }
                }
            }
        }
        return Ok(all);
    }
    let count = parse::parameters::count(statement).max(declared.len());
    let known = declared.iter().enumerate().filter_map(|(at, ty)| Some((at + 1, ty.clone()?)));
    let mut types = Types { types: known.collect(), told: BTreeMap::new() };
    let columns = match statement {
        Statement::Query(query) => match crate::dml::with::change(query) {
            Some((with, change)) => changes::of_change(context, with, change, &mut types)?,
            None => of_query(context, query, &mut types)?,
        },
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::Merge(_) => {
            changes::of_change(context, None, statement, &mut types)?
        }
        explain @ Statement::Explain { statement, .. } => {
            let columns = vec![super::explain::column(explain)?];
            let explained = self::statement(context, statement, declared)?;
            return Ok(Described { columns, ..explained });
        }
        _ => Vec::new(),
    };
    let parameters =
        (1..=count).map(|number| types.remove(&number).map_or(DataType::Text, free)).collect::<Vec<_>>();
    let told = (1..=count).map(|number| types.told.get(&number).copied());
    let told = told.zip(&parameters).map(|(told, ty)| told.filter(|told| is_told(*told, ty))).collect();
    Ok(Described { parameters, told, columns })
}

/// Whether values of a type may be told as PostgreSQL's of a number.
fn is_told(told: u32, ty: &DataType) -> bool {
    match ty {
        DataType::BigInt => told == OID_ID,
        DataType::Array(item) => told == OID_LIST_ID && **item == DataType::BigInt,
        _ => false,
    }
}

/// A parameter's type beside a column of a type: its values have any length and as many digits as they have.
fn free(ty: DataType) -> DataType {
    match ty {
        DataType::Numeric(_) => DataType::Numeric(None),
        DataType::Varchar(_) => DataType::Varchar(None),
        DataType::Array(item) => DataType::Array(Box::new(free(*item))),
        other => other.without_limit(),
    }
}

/// The types of parameters, counted from 1.
#[derive(Debug, Clone)]
struct Types {
    types: BTreeMap<usize, DataType>,
    /// What clients are told of those that stand for numbers of objects.
    told: BTreeMap<usize, u32>,
}

impl Deref for Types {
    type Target = BTreeMap<usize, DataType>;

    fn deref(&self) -> &Self::Target {
        &self.types
    }
}

impl DerefMut for Types {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.types
    }
}

fn of_query(context: &Context, query: &Query, types: &mut Types) -> Result<Vec<Column>> {
    let state = super::state::of(context);
    for number in parse::frame_bounds::counts(query) {
        types.entry(number).or_insert(DataType::BigInt);
    }
    let planner = Planner::new(context, &state)?.describing();
    let planned = |types: &Types| {
        let last = types.keys().next_back().copied().unwrap_or(0);
        let declared = (1..=last)
            .map(|number| types.get(&number).map(|ty| Arc::new(ty.to_field(format!("${number}"), true))));
        planner.query_with(query.clone(), declared.collect())
    };
    let plan = planned(types)?;
    collect_types(&plan, types)?;
    let told = types.len();
    infer::infer(&plan, types)?;
    if types.len() == told {
        return Ok(output_columns(&plan));
    }
    // What they are decides what comes of them.
    match planned(types) {
        Ok(plan) => {
            collect_types(&plan, types)?;
            Ok(output_columns(&plan))
        }
        Err(_) => Ok(output_columns(&plan)),
    }
}

/// The columns of a plan as they leave.
pub(crate) fn output_columns(plan: &LogicalPlan) -> Vec<Column> {
    let output = super::output::Output::of(plan.schema().as_arrow());
    let schema = output.schema();
    let columns = schema.fields().iter().enumerate();
    columns.map(|(at, field)| Column { origin: origin::of(plan, at), ..Column::of(field) }).collect()
}

/// Of a parameter whose type nobody declared the first place that tells one counts.
fn collect_types(plan: &LogicalPlan, types: &mut Types) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Planned::Placeholder(Placeholder { id, field: Some(field) }) = part
                    && let Some(number) = id.strip_prefix('$').and_then(|number| number.parse().ok())
                {
                    types.entry(number).or_insert_with(|| sql_type(field));
                    if let Some(told) = column_type::told(field) {
                        types.told.entry(number).or_insert(told);
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// The values of constant expressions, converted to types.
pub(crate) fn constants(context: &Context, exprs: &[Expr], types: &[DataType]) -> Result<Vec<Value>> {
    if exprs.is_empty() {
        return Ok(Vec::new());
    }
    let items: Vec<String> = exprs
        .iter()
        .zip(types)
        .enumerate()
        .map(|(at, (expr, ty))| {
            let alias = Ident::with_quote('"', format!("c{at}"));
            format!("CAST({expr} AS {}) AS {alias}", ty.sql_name())
        })
        .collect();
    let Statement::Query(query) = parse::parse_text(&format!("SELECT {}", items.join(", ")))? else {
        return Err(Error::internal("a query was expected"));
    };
    let (schema, batches) = context.collect(context.plan_query(&query)?)?;
    let batch = batches
        .iter()
        .find(|batch| batch.num_rows() > 0)
        .ok_or_else(|| Error::internal("constants without a row"))?;
    Ok(batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            Value::from_array(column.as_ref() as &dyn Array, 0, &DataType::from_field(field))
        })
        .collect())
}
