//! Types of parameters that the planner leaves open: those of a function's arguments, of the other values of COALESCE and
//! CASE, of a cast's target, of LIMIT, as PostgreSQL tells them.
//!
//! I1: a parameter whose type is known keeps it: the first place that tells one counts.

use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use cairn_types::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::types::NativeType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{Case, Placeholder, ScalarFunction, WindowFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, TypeSignature};

use super::Types;
use crate::Result;
use crate::functions::overload::Overloaded;
use crate::functions::{Simple, cast, objects, sql_type};

/// Functions whose arguments have one type.
const ALIKE: [&str; 5] = ["coalesce", "nullif", "greatest", "least", "nvl"];

/// Notes the types of parameters in a plan.
pub(super) fn infer(plan: &LogicalPlan, types: &mut Types) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        let mut schema = DFSchema::empty();
        node.inputs().iter().for_each(|input| schema.merge(input.schema()));
        let mut open = Open { schema, types };
        open.node(node);
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                open.part(part);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// The number of a parameter without a type.
fn open(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Placeholder(Placeholder { id, field: None }) => id.strip_prefix('$')?.parse().ok(),
        Expr::Alias(alias) => open(&alias.expr),
        _ => None,
    }
}

struct Open<'t> {
    /// What expressions are over.
    schema: DFSchema,
    types: &'t mut Types,
}

impl Open<'_> {
    fn note(&mut self, expr: &Expr, ty: Option<DataType>) {
        if let (Some(number), Some(ty)) = (open(expr), ty) {
            self.types.entry(number).or_insert_with(|| ty.without_limit());
        }
    }

    /// The type of an expression; `None` where it has none yet.
    fn ty(&self, expr: &Expr) -> Option<DataType> {
        match expr {
            Expr::Placeholder(Placeholder { id, field: None }) => {
                self.types.get(&id.strip_prefix('$')?.parse().ok()?).cloned()
            }
            // A string fits any type.
            Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::Null, _) => None,
            _ => {
                let (_, field) = expr.to_field(&self.schema).ok()?;
                (!field.data_type().is_null()).then(|| sql_type(&field))
            }
        }
    }

    /// Notes for parameters among expressions the type of the first other one.
    fn alike<'e>(&mut self, exprs: impl Iterator<Item = &'e Expr> + Clone) {
        let ty = exprs.clone().find_map(|expr| self.ty(expr));
        exprs.for_each(|expr| self.note(expr, ty.clone()));
    }

    fn node(&mut self, node: &LogicalPlan) {
        match node {
            LogicalPlan::Limit(limit) => {
                let numbers = limit.skip.iter().chain(&limit.fetch);
                numbers.for_each(|number| self.note(number, Some(DataType::BigInt)));
            }
            LogicalPlan::Filter(filter) => self.note(&filter.predicate, Some(DataType::Boolean)),
            LogicalPlan::Values(values) => {
                for at in 0..values.schema.fields().len() {
                    let column: Vec<&Expr> = values.values.iter().filter_map(|row| row.get(at)).collect();
                    self.alike(column.into_iter());
                }
            }
            LogicalPlan::Union(union) => {
                for (at, field) in union.schema.fields().iter().enumerate() {
                    let others = union.inputs.iter().map(|input| input.schema().field(at));
                    let told = others.chain([field]).find(|field| !field.data_type().is_null());
                    let ty = told.map(|field| sql_type(field));
                    for input in &union.inputs {
                        if let Some(expr) = projected(input, at) {
                            self.note(expr, ty.clone());
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn part(&mut self, part: &Expr) {
        match part {
            Expr::Cast(cast) => self.note(&cast.expr, Some(sql_type(&cast.field))),
            Expr::ScalarFunction(call) => self.call(call),
            Expr::Case(case) => self.case(case),
            Expr::WindowFunction(call) => self.window(call),
            Expr::Not(inner) => self.note(inner, Some(DataType::Boolean)),
            Expr::Negative(inner) => self.note(inner, Some(DataType::Double)),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
                for (one, other) in [(left, right), (right, left)] {
                    if let Some(ty @ DataType::Array(_)) = self.ty(other) {
                        self.note(one, Some(ty));
                    }
                }
            }
            _ => {}
        }
    }

    fn case(&mut self, case: &Case) {
        let conditions = case.when_then_expr.iter().map(|(when, _)| when.as_ref());
        match &case.expr {
            Some(value) => self.alike(std::iter::once(value.as_ref()).chain(conditions)),
            None => conditions.for_each(|when| self.note(when, Some(DataType::Boolean))),
        }
        let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
        self.alike(results.chain(case.else_expr.as_deref()));
    }

    fn window(&mut self, call: &WindowFunction) {
        let args = &call.params.args;
        match call.fun.name() {
            "lag" | "lead" => {
                args.get(1).into_iter().for_each(|offset| self.note(offset, Some(DataType::Integer)));
                self.alike(args.iter().step_by(2));
            }
            "nth_value" => args.iter().skip(1).for_each(|n| self.note(n, Some(DataType::Integer))),
            "ntile" => args.iter().for_each(|n| self.note(n, Some(DataType::Integer))),
            _ => {}
        }
    }

    fn call(&mut self, call: &ScalarFunction) {
        let (name, args) = (call.func.name(), &call.args);
        if let Some(told) = objects::told(name)
            && let [Expr::ScalarFunction(inner)] = args.as_slice()
            && let Some(number) = inner.args.first().and_then(open)
        {
            self.types.told.entry(number).or_insert(told);
            return;
        }
        if !args.iter().any(|arg| open(arg).is_some()) {
            return;
        }
        if name == cast::NAME {
            if let [value, Expr::Literal(ScalarValue::Utf8(Some(target)), _)] = args.as_slice() {
                self.note(value, DataType::parse(target));
            }
            return;
        }
        if ALIKE.contains(&name) {
            return self.alike(args.iter());
        }
        if name.starts_with("cairn_any_") || name.starts_with("cairn_all_") {
            if let [value, list] = args.as_slice() {
                let of_list = self.ty(value).map(|ty| DataType::Array(Box::new(ty)));
                self.note(list, of_list);
                let of_value = self.ty(list).and_then(|ty| match ty {
                    DataType::Array(item) => Some(*item),
                    _ => None,
                });
                self.note(value, of_value);
            }
            return;
        }
        let found: Vec<Option<DataType>> = args.iter().map(|arg| self.ty(arg)).collect();
        if let Some(overloaded) = call.func.inner().downcast_ref::<Overloaded>() {
            if let Ok(types) = overloaded.taken(&found) {
                let long = found.contains(&Some(DataType::BigInt));
                for (arg, ty) in args.iter().zip(types) {
                    // Functions that take the widest integers have an INTEGER one in PostgreSQL, which it takes.
                    let ty = if ty == DataType::BigInt && !long { DataType::Integer } else { ty };
                    self.note(arg, Some(ty));
                }
            }
            return;
        }
        let own = call.func.inner().downcast_ref::<Simple>().is_some();
        for (at, arg) in args.iter().enumerate() {
            if open(arg).is_some() {
                self.note(arg, of_signature(&call.func.signature().type_signature, at, &found, own));
            }
        }
    }
}

/// The expression that a query's column at a place is.
fn projected(plan: &LogicalPlan, at: usize) -> Option<&Expr> {
    match plan {
        LogicalPlan::Projection(projection) => projection.expr.get(at),
        LogicalPlan::SubqueryAlias(alias) => projected(&alias.input, at),
        _ => None,
    }
}

/// The type of an argument by what a function of the query engine, or an `own` one, says that it takes.
fn of_signature(
    signature: &TypeSignature,
    at: usize,
    found: &[Option<DataType>],
    own: bool,
) -> Option<DataType> {
    match signature {
        TypeSignature::Exact(types) if types.len() == found.len() => named(&types[at], own),
        TypeSignature::Uniform(count, types) if *count == found.len() => named(types.first()?, own),
        TypeSignature::Coercible(kinds) if kinds.len() == found.len() => {
            let native = kinds[at].desired_type();
            native
                .default_casted_type(&NativeType::String, &ArrowType::Utf8)
                .ok()
                .and_then(|ty| named(&ty, own))
        }
        TypeSignature::String(_) => Some(DataType::Text),
        TypeSignature::Numeric(_) => Some(DataType::Double),
        TypeSignature::OneOf(all) => {
            let fits = |one: &&TypeSignature| {
                found.iter().enumerate().all(|(other, ty)| match ty {
                    Some(ty) => of_signature(one, other, found, own).as_ref() == Some(ty),
                    None => true,
                })
            };
            let typed = || all.iter().filter(|one| of_signature(one, at, found, own).is_some());
            let one = typed().find(fits).or_else(|| typed().next())?;
            of_signature(one, at, found, own)
        }
        _ => None,
    }
}

/// The SQL type of an argument's. Functions of the query engine take the widest integers where PostgreSQL's take INTEGER.
fn named(ty: &ArrowType, own: bool) -> Option<DataType> {
    let field = Arc::new(arrow::datatypes::Field::new("", ty.clone(), true));
    match ty {
        ArrowType::Null => None,
        ArrowType::Int64 if !own => Some(DataType::Integer),
        _ => Some(sql_type(&field)),
    }
}
