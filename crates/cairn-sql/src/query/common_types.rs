//! The common type of several values where PostgreSQL and the query engine differ: a float and a NUMERIC make a float (which has
//! more of a range than any NUMERIC), NUMERICs of different scales and integers beside them make values with scales of their
//! own, CHAR(n) and text make text, without the blanks that fill up. A query is
//! rewritten as soon as it is planned, since the types of its result are those of the plan.

use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use cairn_types::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::{InSubquery, ScalarFunction, SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, Union, Values,
};

use super::operators::as_float;
use crate::functions::alike::{common_type, null_where};
use crate::functions::case::is_case;
use crate::functions::{cast, sql_type, wide};

/// The plan with values of one place in one type.
pub(super) fn rewrite(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    if !is_concerned(&plan)? {
        return Ok(plan);
    }
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::Union(union) => return of_union(union),
            LogicalPlan::Values(_) => {
                let rows = with_cases(node)?.data;
                let LogicalPlan::Values(values) = rows else { return Ok(Transformed::yes(rows)) };
                return of_values(values);
            }
            other => other,
        };
        let schema = match node.inputs().as_slice() {
            [] => return Ok(Transformed::no(node)),
            inputs => merge_schema(inputs),
        };
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let alike = expr.transform_up(|expr| in_expr(expr, &schema))?;
            Ok(if alike.transformed { alike.update_data(|expr| name.restore(expr)) } else { alike })
        })?;
        // What stands above has the types of before.
        Ok(Transformed::yes(node.data.recompute_schema()?))
    })?;
    Ok(rewritten.data)
}

/// Rows of values with CASEs.
fn with_cases(rows: LogicalPlan) -> DataFusionResult<Transformed<LogicalPlan>> {
    let none = DFSchema::empty();
    rows.map_expressions(|expr| {
        expr.transform_up(|expr| match expr {
            Expr::ScalarFunction(call) if is_case(call.func.name()) => {
                super::case_types::of_call(call, &none).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        })
    })
}

fn is_concerned(plan: &LogicalPlan) -> DataFusionResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= matches!(node, LogicalPlan::Union(_) | LogicalPlan::Values(_));
        node.apply_expressions(|expr| {
            found |= expr.exists(|expr| Ok(is_concerned_expr(expr)))?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}

fn is_concerned_expr(expr: &Expr) -> bool {
    match expr {
        Expr::InSubquery(_) => true,
        Expr::ScalarFunction(function) => {
            let name = function.func.name();
            takes_alike(name) || is_case(name) || name == "date_trunc"
        }
        _ => false,
    }
}

/// Functions whose arguments take one type.
fn takes_alike(name: &str) -> bool {
    matches!(name, "coalesce" | "greatest" | "least" | "nullif" | "make_array")
}

fn in_expr(expr: Expr, schema: &DFSchema) -> DataFusionResult<Transformed<Expr>> {
    match expr {
        Expr::ScalarFunction(function) if is_case(function.func.name()) => {
            super::case_types::of_call(function, schema).map(Transformed::yes)
        }
        Expr::ScalarFunction(function)
            if function.func.name() == "nullif" && !is_plainly_equal(&function.args, schema) =>
        {
            nullif(function.args, schema)
        }
        Expr::ScalarFunction(mut function) if takes_alike(function.func.name()) => {
            let changed =
                alike(function.args.iter_mut().collect(), schema)? | literals(&mut function, schema);
            Ok(Transformed::new_transformed(Expr::ScalarFunction(function), changed))
        }
        // A day is cut as a moment of the session's time zone.
        Expr::ScalarFunction(mut function)
            if function.func.name() == "date_trunc"
                && function.args.len() == 2
                && type_of(&function.args[1], schema) == Some(DataType::Date) =>
        {
            let moment = cast::call(function.args.swap_remove(1), &DataType::Timestamp(None));
            function.args.push(moment);
            Ok(Transformed::yes(cast::call(Expr::ScalarFunction(function), &DataType::TimestampTz(None))))
        }
        Expr::InSubquery(own) => in_subquery(own, schema),
        // Chosen for the types of before.
        Expr::BinaryExpr(binary) => {
            let sides = [type_of(&binary.left, schema), type_of(&binary.right, schema)];
            let wide = sides.iter().flatten().any(|ty| *ty == DataType::Numeric(None));
            let numbers = sides.iter().flatten().all(|ty| ty.is_numeric() && !is_float(ty));
            Ok(match super::numeric_keys::arithmetic(binary.op).filter(|_| wide && numbers) {
                Some(operator) => Transformed::yes(
                    crate::functions::operators::function(operator).call(vec![*binary.left, *binary.right]),
                ),
                None => Transformed::no(Expr::BinaryExpr(binary)),
            })
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Bare literals in an array of JSONB, for one, are read as such.
fn literals(function: &mut ScalarFunction, schema: &DFSchema) -> bool {
    if function.func.name() != "make_array" {
        return false;
    }
    let Some(element) = common_type(&function.args, schema) else { return false };
    let mut changed = false;
    for arg in &mut function.args {
        if let Expr::Literal(ScalarValue::Utf8(Some(_)), None) = arg {
            *arg = cast::call(std::mem::take(arg), &element);
            changed = true;
        }
    }
    changed
}

/// Whether values are equal to the query engine's NULLIF where they are equal to the operator.
pub(super) fn is_plainly_equal(values: &[Expr], schema: &DFSchema) -> bool {
    let types: Vec<Option<DataType>> = values.iter().map(|value| type_of(value, schema)).collect();
    let plain = |ty: &Option<DataType>| match ty {
        Some(ty) => {
            matches!(
                ty,
                DataType::SmallInt
                    | DataType::Integer
                    | DataType::BigInt
                    | DataType::Numeric(Some(_))
                    | DataType::Boolean
                    | DataType::Text
                    | DataType::Varchar(_)
                    | DataType::Date
                    | DataType::Uuid
                    | DataType::Bytea
            )
        }
        None => true,
    };
    types.iter().all(plain)
}

/// NULLIF by the operator.
fn nullif(args: Vec<Expr>, schema: &DFSchema) -> DataFusionResult<Transformed<Expr>> {
    let Ok([mut value, other]) = <[Expr; 2]>::try_from(args) else {
        return Err(crate::Error::internal("NULLIF of two values expected").into());
    };
    let types = [&value, &other].map(|side| type_of(side, schema));
    let float = |ty: &Option<DataType>| ty.as_ref().is_some_and(is_float);
    if float(&types[1]) && !float(&types[0]) && types[0].as_ref().is_some_and(DataType::is_numeric) {
        value = as_float(value);
    }
    // Beside text CHAR(n) is text, without the blanks.
    if let [Some(DataType::Char(_)), Some(DataType::Text | DataType::Varchar(_))] = types
        && !other.column_refs().is_empty()
    {
        value = cast::call(value, &DataType::Text);
    }
    let equal = super::operators::equal(value.clone(), other, schema)?;
    Ok(Transformed::yes(null_where(value, equal)))
}

fn in_subquery(own: InSubquery, schema: &DFSchema) -> DataFusionResult<Transformed<Expr>> {
    let alike = with_list(own)?.transform_data(|own| with_floats(own, schema))?;
    // The query engine joins with what is equal to a value that is no column, and forgets about NULL: NOT IN of such a value is
    // NOT (… = ANY …), which it gets right.
    if !alike.data.expr.column_refs().is_empty() {
        return alike.map_data(|own| Ok(Expr::InSubquery(own)));
    }
    let InSubquery { expr, subquery, negated } = alike.data;
    let any = Expr::SetComparison(SetComparison {
        expr,
        subquery,
        op: Operator::Eq,
        quantifier: SetQuantifier::Any,
    });
    Ok(Transformed::yes(if negated { Expr::Not(Box::new(any)) } else { any }))
}

/// Puts a list above VALUES: the query engine asks for one to compare with. And above DISTINCT and UNION of columns that belong to no
/// relation, which it takes for the subquery's own and lists twice (`c OR a IN (SELECT DISTINCT b + 1 …)`).
fn with_list(own: InSubquery) -> DataFusionResult<Transformed<InSubquery>> {
    let plan = own.subquery.subquery.as_ref();
    let columns = plan.schema().columns();
    let head = plan.head_output_expr()?;
    let is_own = matches!(&head, Some(Expr::Column(column)) if column.relation.is_none());
    if columns.len() != 1 || head.is_some() && !is_own {
        return Ok(Transformed::no(own));
    }
    let list = columns.into_iter().map(|column| Expr::Column(column).alias("cairn_member"));
    let listed = LogicalPlanBuilder::from(plan.clone()).project(list)?.build()?;
    Ok(Transformed::yes(InSubquery { subquery: own.subquery.with_plan(Arc::new(listed)), ..own }))
}

/// A NUMERIC on one side is a float where the other is one.
fn with_floats(own: InSubquery, schema: &DFSchema) -> DataFusionResult<Transformed<InSubquery>> {
    let inner = own.subquery.subquery.schema();
    let columns = inner.columns();
    let (Some(left), [column]) = (type_of(&own.expr, schema), columns.as_slice()) else {
        return Ok(Transformed::no(own));
    };
    let right = sql_type(inner.field(0));
    Ok(match (&left, &right) {
        (DataType::Numeric(_), DataType::Real | DataType::Double) => {
            Transformed::yes(InSubquery { expr: Box::new(as_float(*own.expr)), ..own })
        }
        (DataType::Real | DataType::Double, DataType::Numeric(_)) => {
            let value = as_float(Expr::Column(column.clone())).alias("cairn_float");
            let plan = LogicalPlanBuilder::from(own.subquery.subquery.as_ref().clone());
            let subquery =
                Subquery { subquery: Arc::new(plan.project(vec![value])?.build()?), ..own.subquery };
            Transformed::yes(InSubquery { subquery, ..own })
        }
        _ => Transformed::no(own),
    })
}

fn type_of(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    expr.to_field(schema).ok().map(|(_, field)| sql_type(&field))
}

/// Brings numbers to the type in which they meet, where the query engine would choose another one.
pub(super) fn alike(mut exprs: Vec<&mut Expr>, schema: &DFSchema) -> DataFusionResult<bool> {
    let types: Vec<Option<DataType>> = exprs.iter().map(|expr| type_of(expr, schema)).collect();
    if types.iter().flatten().any(is_float) {
        return Ok(as_floats(exprs, schema));
    }
    if !differ(types.iter().flatten()) {
        return Ok(false);
    }
    for (expr, ty) in exprs.iter_mut().zip(&types) {
        if ty.as_ref().is_some_and(|ty| ty.is_numeric() && *ty != DataType::Numeric(None)) {
            **expr = widened(std::mem::take(*expr))?;
        }
    }
    Ok(true)
}

pub(super) fn is_float(ty: &DataType) -> bool {
    matches!(ty, DataType::Real | DataType::Double)
}

/// A number as NUMERIC without parameters.
fn widened(expr: Expr) -> DataFusionResult<Expr> {
    Ok(super::typed_operators::call(wide::WIDEN, vec![expr])?)
}

/// Whether there is a NUMERIC among numbers, and not all of them have one scale.
pub(super) fn differ<'t>(types: impl Iterator<Item = &'t DataType>) -> bool {
    let mut scales = Vec::new();
    let mut numeric = false;
    for ty in types {
        let scale = match ty {
            DataType::SmallInt | DataType::Integer | DataType::BigInt => Some(0),
            DataType::Numeric(Some((_, scale))) => Some(*scale),
            DataType::Numeric(None) => None,
            _ => continue,
        };
        numeric |= matches!(ty, DataType::Numeric(_));
        scales.push(scale);
    }
    scales.dedup();
    numeric && scales.len() > 1
}

/// NUMERICs among floats become floats, as beside an operator.
pub(super) fn as_floats(exprs: Vec<&mut Expr>, schema: &DFSchema) -> bool {
    let floats = |expr: &&mut Expr| matches!(type_of(expr, schema), Some(DataType::Real | DataType::Double));
    if !exprs.iter().any(floats) {
        return false;
    }
    let mut changed = false;
    for expr in exprs {
        if matches!(type_of(expr, schema), Some(DataType::Numeric(_))) {
            *expr = as_float(std::mem::take(expr));
            changed = true;
        }
    }
    changed
}

/// What a column of a union becomes, of one side of it.
#[derive(Clone, Copy, PartialEq)]
enum Become {
    Float,
    Numeric,
    Text,
}

fn of_union(union: Union) -> DataFusionResult<Transformed<LogicalPlan>> {
    let width = union.schema.fields().len();
    let types: Vec<Vec<DataType>> = union
        .inputs
        .iter()
        .map(|input| input.schema().fields().iter().map(|field| sql_type(field)).collect())
        .collect();
    // A column of NULLs alone has the type of the others.
    let untyped: Vec<Vec<bool>> = union
        .inputs
        .iter()
        .map(|input| input.schema().fields().iter().map(|field| field.data_type().is_null()).collect())
        .collect();
    let becomes: Vec<Option<Become>> = (0..width)
        .map(|at| {
            let sides = types.iter().zip(&untyped);
            let known: Vec<&DataType> =
                sides.filter(|(_, untyped)| !untyped[at]).filter_map(|(side, _)| side.get(at)).collect();
            let is = |test: fn(&DataType) -> bool| known.iter().any(|ty| test(ty));
            // Text before all, else the first type.
            let first = known.first();
            let text = |ty: &DataType| *ty == DataType::Text;
            if is(|ty| matches!(ty, DataType::Real | DataType::Double))
                && is(|ty| matches!(ty, DataType::Numeric(_)))
            {
                Some(Become::Float)
            } else if !is(is_float) && differ(known.iter().copied()) {
                Some(Become::Numeric)
            } else if (is(text) || matches!(first, Some(DataType::Varchar(_))))
                && is(|ty| matches!(ty, DataType::Char(_)))
            {
                Some(Become::Text)
            } else {
                None
            }
        })
        .collect();
    if becomes.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let mut inputs = Vec::with_capacity(union.inputs.len());
    for (input, types) in union.inputs.iter().zip(&types) {
        let columns = input.schema().iter().zip(types).zip(&becomes);
        let exprs = columns.map(|(((qualifier, field), own), becomes)| {
            let column = Expr::from((qualifier, field));
            match (becomes, own) {
                (Some(Become::Float), DataType::Numeric(_)) => {
                    as_float(column).alias_qualified(qualifier.cloned(), field.name())
                }
                (Some(Become::Numeric), own) if own.is_numeric() && *own != DataType::Numeric(None) => {
                    match widened(column) {
                        Ok(wide) => wide.alias_qualified(qualifier.cloned(), field.name()),
                        Err(_) => Expr::from((qualifier, field)),
                    }
                }
                (Some(Become::Text), DataType::Char(_)) => {
                    cast::call(column, &DataType::Text).alias_qualified(qualifier.cloned(), field.name())
                }
                _ => column,
            }
        });
        let exprs: Vec<Expr> = exprs.collect();
        let plan =
            LogicalPlanBuilder::from(Arc::unwrap_or_clone(Arc::clone(input))).project(exprs)?.build()?;
        inputs.push(Arc::new(plan));
    }
    Ok(Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)))
}

/// Rows of values: the planner has cast the numbers of a column to one type.
fn of_values(values: Values) -> DataFusionResult<Transformed<LogicalPlan>> {
    let plain = |expr: &Expr| -> Expr {
        let mut expr = expr;
        while let Expr::Cast(cast) = expr {
            match cast.field.data_type() {
                ArrowType::Decimal128(..) | ArrowType::Decimal256(..) => expr = &cast.expr,
                _ => break,
            }
        }
        expr.clone()
    };
    let empty = DFSchema::empty();
    let mut columns = Vec::new();
    for (at, field) in values.schema.fields().iter().enumerate() {
        if !matches!(field.data_type(), ArrowType::Decimal128(..) | ArrowType::Decimal256(..)) {
            continue;
        }
        let types: Vec<DataType> = values
            .values
            .iter()
            .filter_map(|row| plain(row.get(at)?).to_field(&empty).ok())
            .filter(|(_, field)| !field.data_type().is_null())
            .map(|(_, field)| sql_type(&field))
            .collect();
        if differ(types.iter()) {
            columns.push(at);
        }
    }
    if columns.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Values(values)));
    }
    let Values { schema, values: mut rows } = values;
    for row in &mut rows {
        for &at in &columns {
            row[at] = widened(plain(&row[at]))?;
        }
    }
    let fields = schema.iter().enumerate().map(|(at, (qualifier, field))| {
        let field = match columns.contains(&at) {
            true => Arc::new(DataType::Numeric(None).to_field(field.name(), field.is_nullable())),
            false => Arc::clone(field),
        };
        (qualifier.cloned(), field)
    });
    let schema = DFSchema::new_with_metadata(fields.collect(), schema.metadata().clone())?;
    Ok(Transformed::yes(LogicalPlan::Values(Values { schema: Arc::new(schema), values: rows })))
}
