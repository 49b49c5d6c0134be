//! Parameters of plans that are kept: a SELECT with `$1` is planned once for all values.
//!
//! Where a parameter is compared with a column, and only there, the plan has a *slot*: the function [`Parameter`] in
//! expressions, which reads the value from the scope of the execution, and a template of the access path in scans
//! ([`crate::scan::template`]). All other parameters are put in as literals, and their values are part of what the plan
//! is found by.
//!
//! I1: a slot has the type that planning gave the parameter, and only values that are of this type without any conversion of
//! PostgreSQL's fill it, and text that spells one; others, and NULL, go the general way.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType as ArrowType, FieldRef};
use cairn_engine::table::Access;
use cairn_types::{DataType, Value};
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use sqlparser::ast::{
    BinaryOperator, Expr as Ast, Statement, Value as Literal, Visit, VisitMut, Visitor, VisitorMut,
};

use super::point_key::is_of;
use crate::context::ScopeExtension;
use crate::functions::sql_type;
use crate::parse::parameters;
use crate::{Error, Result};

/// Begins what plans with slots are found by: without parameters the text is another statement.
const MARK: char = '\u{2}';

/// Items of a list at most of which parameters have slots.
const LIST_MAX: usize = 64;

/// What fills the slots of one execution.
pub(crate) struct Slots {
    /// By number of the parameter, from 0.
    values: Vec<Option<ScalarValue>>,
    /// What the scans with templates read, in their order, where streams run.
    accesses: OnceLock<Vec<Vec<Access>>>,
}

impl Slots {
    pub(crate) fn new(values: Vec<Option<ScalarValue>>) -> Slots {
        Slots { values, accesses: OnceLock::new() }
    }

    /// Tells the scans with templates what to read.
    pub(crate) fn set_accesses(&self, accesses: Vec<Vec<Access>>) {
        _ = self.accesses.set(accesses);
    }

    /// What the scan with the template of that number reads.
    pub(crate) fn accesses(&self, number: usize) -> Option<&Vec<Access>> {
        self.accesses.get()?.get(number)
    }

    /// A condition with values in the place of its slots.
    fn fill(&self, expr: &Expr) -> Result<Expr> {
        let filled = expr.clone().transform_up(|part| {
            let Expr::Placeholder(placeholder) = &part else { return Ok(Transformed::no(part)) };
            let value = number(&placeholder.id).and_then(|at| self.values.get(at)).cloned().flatten();
            Ok(match value {
                Some(value) => Transformed::yes(Expr::Literal(value, None)),
                None => Transformed::no(part),
            })
        });
        Ok(filled.map_err(Error::from)?.data)
    }

    /// Conditions with values in the place of their slots.
    pub(crate) fn fill_all(&self, exprs: &[Expr]) -> Result<Vec<Expr>> {
        exprs.iter().map(|expr| self.fill(expr)).collect()
    }
}

/// Conditions with the statement's values in the place of slots; `None` where they have none.
pub(crate) fn bound(filters: &[Expr], options: &ConfigOptions) -> Result<Option<Vec<Expr>>> {
    let has_slots =
        |expr: &Expr| expr.exists(|part| Ok(matches!(part, Expr::Placeholder(_)))).unwrap_or(true);
    if !filters.iter().any(has_slots) {
        return Ok(None);
    }
    let scope = ScopeExtension::of(options)?;
    match scope.slots.get() {
        Some(slots) => slots.fill_all(filters).map(Some),
        None => Err(Error::internal("a plan with slots was made without values")),
    }
}

/// The number of `$n`, from 0.
fn number(id: &str) -> Option<usize> {
    id.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)
}

/// Which parameters of a text are slots, and of what type; the others are part of the text.
#[derive(Debug)]
pub(crate) struct Shape {
    slots: BTreeMap<usize, DataType>,
    literals: Vec<usize>,
}

impl Shape {
    /// What plans of the text are found by with these parameters, and the slots' values; `None` where a slot cannot
    /// take its value.
    pub(crate) fn bind(&self, sql: &str, parameters: &[Value]) -> Option<(String, Slots)> {
        let mut key = Shape::prefix(sql);
        for at in &self.literals {
            // Types are told apart, and no text looks like two.
            write!(key, "\u{1}{:?}", parameters.get(*at)?).ok()?;
        }
        let mut values = vec![None; parameters.len()];
        for (at, ty) in &self.slots {
            values[*at] = Some(scalar(parameters.get(*at)?, ty)?);
        }
        Some((key, Slots::new(values)))
    }

    /// What plans of that text begin with.
    pub(crate) fn prefix(sql: &str) -> String {
        format!("{MARK}{sql}")
    }

    /// Whether all parameters are slots.
    pub(crate) fn is_all_slots(&self) -> bool {
        self.literals.is_empty()
    }
}

/// A value of that type (I1).
fn scalar(value: &Value, ty: &DataType) -> Option<ScalarValue> {
    let value = match (value, ty) {
        (Value::Text(text), DataType::Date | DataType::Timestamp(None) | DataType::Uuid) => {
            Value::parse_text(text, ty).ok()?
        }
        _ if is_of(value, ty) || value.data_type().as_ref() == Some(ty) => value.clone().fit(ty).ok()?,
        _ => return None,
    };
    let mut builder = cairn_types::ColumnBuilder::new(ty);
    builder.push(&value).ok()?;
    ScalarValue::try_from_array(&builder.finish().ok()?, 0).ok()
}

/// Finds the parameters that are compared with columns only.
#[derive(Default)]
struct Places {
    all: BTreeMap<usize, usize>,
    compared: BTreeMap<usize, usize>,
}

impl Places {
    fn compare(&mut self, column: &Ast, other: &Ast) {
        if matches!(column, Ast::Identifier(_) | Ast::CompoundIdentifier(_))
            && let Some(at) = placeholder(other)
        {
            *self.compared.entry(at).or_default() += 1;
        }
    }
}

fn placeholder(expr: &Ast) -> Option<usize> {
    match expr {
        Ast::Value(value) => match &value.value {
            Literal::Placeholder(name) => number(name),
            _ => None,
        },
        _ => None,
    }
}

impl Visitor for Places {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Ast) -> ControlFlow<()> {
        use BinaryOperator as B;
        match expr {
            Ast::BinaryOp { left, op: B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq, right } => {
                self.compare(left, right);
                self.compare(right, left);
            }
            Ast::Between { expr, low, high, .. } => {
                self.compare(expr, low);
                self.compare(expr, high);
            }
            Ast::InList { expr, list, .. } if list.len() <= LIST_MAX => {
                list.iter().for_each(|item| self.compare(expr, item))
            }
            other => {
                if let Some(at) = placeholder(other) {
                    *self.all.entry(at).or_default() += 1;
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// A statement with literals in the place of all parameters that are no slots.
pub(crate) fn with_slots(statement: &Statement, values: &[Value]) -> Option<Statement> {
    let mut places = Places::default();
    // Never breaks.
    let _ = statement.visit(&mut places);
    let Places { all, compared } = places;
    if compared.is_empty() {
        return None;
    }
    struct Literals<'v> {
        values: &'v [Value],
        slots: Vec<usize>,
    }
    impl VisitorMut for Literals<'_> {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Ast) -> ControlFlow<()> {
            if let Some(at) = placeholder(expr).filter(|at| !self.slots.contains(at)) {
                match self.values.get(at) {
                    Some(value) => *expr = parameters::literal(value),
                    None => return ControlFlow::Break(()),
                }
            }
            ControlFlow::Continue(())
        }
    }
    let slots = all.iter().filter(|(at, times)| compared.get(at) == Some(times)).map(|(at, _)| *at).collect();
    let mut statement = statement.clone();
    let outcome = VisitMut::visit(&mut statement, &mut Literals { values, slots });
    outcome.is_continue().then_some(statement)
}

/// The shape of a planned statement; `None` where the type of a slot is not known.
pub(crate) fn shape(plan: &LogicalPlan, parameters: usize) -> Result<Option<Shape>> {
    let mut slots = BTreeMap::new();
    // One that has two types is no slot.
    let Ok(fields) = plan.get_parameter_fields() else { return Ok(None) };
    for (id, field) in fields {
        match (number(&id), field) {
            (Some(at), Some(field)) => _ = slots.insert(at, sql_type(&field)),
            _ => return Ok(None),
        }
    }
    let literals = (0..parameters).filter(|at| !slots.contains_key(at)).collect();
    Ok(Some(Shape { slots, literals }))
}

/// An optimised plan with functions in the place of its slots, but for the conditions handed to scans.
pub(crate) fn with_functions(plan: LogicalPlan) -> Result<LogicalPlan> {
    let replaced = plan.transform_up_with_subqueries(|node| {
        if matches!(node, LogicalPlan::TableScan(_)) {
            return Ok(Transformed::no(node));
        }
        node.map_expressions(|expr| {
            let expr = expr.transform_up(without_lists)?;
            expr.transform_data(|expr| expr.transform_up(with_function))
        })
    });
    Ok(replaced.map_err(Error::from)?.data)
}

/// A list with parameters as comparisons: lists are evaluated once, when the plan is made.
fn without_lists(expr: Expr) -> datafusion::error::Result<Transformed<Expr>> {
    let has_slots = |item: &Expr| item.exists(|part| Ok(matches!(part, Expr::Placeholder(_))));
    let is_told = match &expr {
        Expr::InList(list) => list.list.iter().map(has_slots).collect::<Result<Vec<_>, _>>()?.contains(&true),
        _ => false,
    };
    Ok(match expr {
        Expr::InList(list) if is_told => {
            let equal = |item: Expr| (*list.expr).clone().eq(item);
            let any = balanced(list.list.into_iter().map(equal).collect());
            Transformed::yes(if list.negated { !any } else { any })
        }
        other => Transformed::no(other),
    })
}

/// A disjunction that nests no deeper than it must.
fn balanced(mut terms: Vec<Expr>) -> Expr {
    while terms.len() > 1 {
        let mut pairs = terms.into_iter();
        terms = std::iter::from_fn(|| {
            pairs.next().map(|first| match pairs.next() {
                Some(second) => first.or(second),
                None => first,
            })
        })
        .collect();
    }
    terms.pop().unwrap_or(Expr::Literal(ScalarValue::Boolean(Some(false)), None))
}

fn with_function(part: Expr) -> datafusion::error::Result<Transformed<Expr>> {
    let Expr::Placeholder(placeholder) = &part else { return Ok(Transformed::no(part)) };
    match (number(&placeholder.id), &placeholder.field) {
        (Some(at), Some(field)) => {
            let function = ScalarUDF::new_from_impl(Parameter::new(at, Arc::clone(field)));
            let call = ScalarFunction::new_udf(Arc::new(function), Vec::new());
            Ok(Transformed::yes(Expr::ScalarFunction(call)))
        }
        _ => Ok(Transformed::no(part)),
    }
}

/// The number of the parameter, from 0, whose value a function is.
pub(crate) fn slot_of(function: &ScalarUDF) -> Option<usize> {
    (function.inner().as_ref() as &dyn std::any::Any).downcast_ref::<Parameter>().map(|slot| slot.at)
}

/// The value of a slot.
#[derive(Debug)]
pub(crate) struct Parameter {
    at: usize,
    field: FieldRef,
    signature: Signature,
}

impl Parameter {
    fn new(at: usize, field: FieldRef) -> Parameter {
        // Volatile: it is not to be computed while planning.
        Parameter { at, field, signature: Signature::nullary(Volatility::Volatile) }
    }
}

impl PartialEq for Parameter {
    fn eq(&self, other: &Parameter) -> bool {
        (self.at, &self.field) == (other.at, &other.field)
    }
}

impl Eq for Parameter {}

impl Hash for Parameter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.at.hash(state);
    }
}

impl ScalarUDFImpl for Parameter {
    fn name(&self) -> &str {
        "parameter"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[ArrowType]) -> datafusion::error::Result<ArrowType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> datafusion::error::Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::error::Result<ColumnarValue> {
        let scope = ScopeExtension::of(&args.config_options)?;
        let value = scope.slots.get().and_then(|slots| slots.values.get(self.at)).cloned().flatten();
        match value {
            Some(value) => Ok(ColumnarValue::Scalar(value)),
            None => Err(Error::internal("a kept plan ran without its parameters").into()),
        }
    }
}
