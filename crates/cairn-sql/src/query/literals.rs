//! String literals in IN lists and BETWEEN take the type of what they are compared with, as those beside an
//! operator do (`query::operators`). An analyzer rule that runs before DataFusion's type coercion, which would
//! turn the typed side into text. The arguments of `concat` that are not text are put into PostgreSQL's text form, and functions
//! get the checks that PostgreSQL makes.

use cairn_types::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Case, Expr, ExprSchemable, LogicalPlan, cast as cast_to};
use datafusion::optimizer::AnalyzerRule;

use super::common_types::as_floats;
use super::operators::{is_plain, literal};
use crate::functions::{cast, checked, sql_type};

/// The rule.
#[derive(Debug)]
pub(crate) struct UnknownLiterals;

impl AnalyzerRule for UnknownLiterals {
    fn name(&self) -> &str {
        "unknown_literals"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(analyze)?.data)
    }
}

fn analyze(plan: LogicalPlan) -> DataFusionResult<Transformed<LogicalPlan>> {
    let schema = match plan.inputs().as_slice() {
        [] => return Ok(Transformed::no(plan)),
        inputs => merge_schema(inputs),
    };
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(|expr| rewrite(expr, &schema))?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })
}

fn rewrite(expr: Expr, schema: &DFSchema) -> DataFusionResult<Transformed<Expr>> {
    match expr {
        Expr::InList(mut list) => {
            let mut changed = adopt_all(&list.expr, &mut list.list, schema)?;
            if let [first, ..] = list.list.as_slice() {
                let first = first.clone();
                changed |= adopt_one(&first, &mut list.expr, schema)?;
            }
            changed |= as_floats(std::iter::once(&mut *list.expr).chain(&mut list.list).collect(), schema);
            Ok(Transformed::new_transformed(Expr::InList(list), changed))
        }
        Expr::Between(mut between) => {
            let inner = between.expr.clone();
            let changed = adopt_one(&inner, &mut between.low, schema)?
                | adopt_one(&inner, &mut between.high, schema)?
                | {
                    let low = between.low.clone();
                    adopt_one(&low, &mut between.expr, schema)?
                }
                | as_floats(vec![&mut between.expr, &mut between.low, &mut between.high], schema)
                | typed_nulls(vec![&mut between.expr, &mut between.low, &mut between.high], schema);
            Ok(Transformed::new_transformed(Expr::Between(between), changed))
        }
        Expr::ScalarFunction(mut function) if matches!(function.func.name(), "concat" | "concat_ws") => {
            let mut changed = false;
            for arg in &mut function.args {
                let Ok((_, field)) = arg.to_field(schema) else { continue };
                let ty = sql_type(&field);
                if is_plain(&ty) && ty != DataType::Boolean && !field.data_type().is_null() {
                    *arg = cast::call(std::mem::take(arg), &DataType::Text);
                    changed = true;
                }
            }
            Ok(Transformed::new_transformed(Expr::ScalarFunction(function), changed))
        }
        Expr::Case(mut case) => {
            let mut changed = false;
            if let Some(base) = &case.expr {
                for (when, _) in &mut case.when_then_expr {
                    changed |= adopt_one(base, when, schema)?;
                }
            }
            changed |= adopt_results(&mut case, schema)?;
            Ok(Transformed::new_transformed(Expr::Case(case), changed))
        }
        Expr::ScalarFunction(mut function) if takes_text(function.func.name()) => {
            let mut changed = false;
            for arg in &mut function.args {
                let Ok((_, field)) = arg.to_field(schema) else { continue };
                if matches!(sql_type(&field), DataType::Char(_)) {
                    *arg = cast::call(std::mem::take(arg), &DataType::Text);
                    changed = true;
                }
            }
            Ok(Transformed::new_transformed(Expr::ScalarFunction(function), changed))
        }
        Expr::ScalarFunction(function) => Ok(match checked::guard(&function, schema) {
            Some(guarded) => Transformed::yes(guarded),
            None => Transformed::no(Expr::ScalarFunction(function)),
        }),
        other => Ok(Transformed::no(other)),
    }
}

/// NULLs without a type beside values that have one take it.
fn typed_nulls(exprs: Vec<&mut Expr>, schema: &DFSchema) -> bool {
    let type_of = |expr: &Expr| expr.to_field(schema).ok().map(|(_, field)| field.data_type().clone());
    let Some(ty) = exprs.iter().find_map(|expr| type_of(expr).filter(|ty| !ty.is_null())) else {
        return false;
    };
    let mut changed = false;
    for expr in exprs {
        if type_of(expr).is_some_and(|own| own.is_null()) {
            *expr = cast_to(std::mem::take(expr), ty.clone());
            changed = true;
        }
    }
    changed
}

/// Functions of text, to which the blanks that fill up CHAR(n) are not handed.
fn takes_text(name: &str) -> bool {
    const TEXT: &[&str] = &[
        "ascii",
        "btrim",
        "character_length",
        "initcap",
        "left",
        "lower",
        "lpad",
        "ltrim",
        "md5",
        "position",
        "regexp_count",
        "regexp_like",
        "regexp_match",
        "regexp_replace",
        "repeat",
        "replace",
        "reverse",
        "right",
        "rpad",
        "rtrim",
        "sha256",
        "split_part",
        "starts_with",
        "strpos",
        "substr",
        "substring",
        "to_hex",
        "translate",
        "upper",
    ];
    TEXT.contains(&name)
}

/// Literals among the results of a CASE take the coded type of another one.
fn adopt_results(case: &mut Case, schema: &DFSchema) -> DataFusionResult<bool> {
    let coded = |expr: &Expr| {
        let field = expr.to_field(schema).ok().map(|(_, field)| sql_type(&field));
        matches!(field, Some(DataType::Coded(_)))
    };
    let results = || case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    let Some(like) = results().find(|result| coded(result)).map(|result| (**result).clone()) else {
        return Ok(false);
    };
    let mut changed = false;
    for result in case.when_then_expr.iter_mut().map(|(_, then)| then).chain(&mut case.else_expr) {
        changed |= adopt_one(&like, result, schema)?;
    }
    Ok(changed)
}

fn adopt_all(like: &Expr, items: &mut [Expr], schema: &DFSchema) -> DataFusionResult<bool> {
    let mut changed = false;
    for item in items {
        changed |= adopt_one(like, item, schema)?;
    }
    Ok(changed)
}

fn adopt_one(like: &Expr, item: &mut Expr, schema: &DFSchema) -> DataFusionResult<bool> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = item else { return Ok(false) };
    let Ok((_, field)) = like.to_field(schema) else { return Ok(false) };
    let ty = sql_type(&field);
    if ty.is_character() && !matches!(ty, DataType::Char(_)) || field.data_type().is_null() {
        return Ok(false);
    }
    *item = literal(text, &ty)?;
    Ok(true)
}
