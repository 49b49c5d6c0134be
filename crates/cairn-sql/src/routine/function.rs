//! Functions in SQL as functions of the query engine: one for all of a name, which looks for the one that the types of
//! the arguments mean, as PostgreSQL does, and runs its body for each row, or gives way to its expression.
//!
//! I1: what a body is run with has the types of the parameters.
//! I2: a function that is declared IMMUTABLE or STABLE runs once for equal arguments of one batch.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, ListArray, RecordBatch, RecordBatchOptions, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields, Schema, SchemaRef};
use cairn_engine::Catalog;
use cairn_engine::catalog::{ParameterMode, Returns, RoutineDescriptor, RoutineVolatility};
use cairn_types::{CompositeType, DataType, Value};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::body::{Body, Outcome};
use super::{columns, functions_named, gives_rows, is_set, polymorphic};
use crate::context::{Body as Surroundings, Context, Scope, ScopeExtension};
use crate::dml::assign::{assign_array, is_assignable};
use crate::dml::default::parse_expr;
use crate::dml::relations::{self, Relation};
use crate::functions::composite::composite;
use crate::functions::overload::{Found, closeness, coerce, found};
use crate::functions::{cast, missing, row_values, sql_type};
use crate::query::describe::constants;
use crate::{Error, Result};

/// Begins the names of functions that give all rows of a function as one list of structs.
pub(crate) const ROWS: &str = "cairn_rows_";
/// Begins the names of functions that give all rows of a function as one list of values.
pub(crate) const VALUES: &str = "cairn_values_";
/// Begins the names of functions that give the rows of a function that returns `record` as one list of structs; the columns
/// follow, in hexadecimal digits, and the function's name.
pub(crate) const RECORD: &str = "cairn_record_";
/// Results of a batch that are remembered by their arguments.
const REMEMBERED_MAX: usize = 8192;

/// The name of a column within these structs.
pub(crate) fn member(at: usize) -> String {
    format!("c{at}")
}

/// How a function gives what it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The value, or the first.
    Value,
    /// All rows as one list of structs.
    Rows,
    /// All rows as one list of values.
    Values,
}

/// The name, within its schema, of a function that returns `record` with these columns.
pub(crate) fn record_name(
    name: &sqlparser::ast::ObjectName,
    columns: &[(String, DataType)],
) -> sqlparser::ast::ObjectName {
    let text: Vec<String> =
        columns.iter().map(|(name, ty)| format!("{name}\u{1}{}", ty.signature())).collect();
    let digits: String = text.join("\u{2}").bytes().map(|byte| format!("{byte:02x}")).collect();
    super::rewrite::named_with(&format!("{RECORD}{digits}_"), name)
}

/// The columns in the name of a function that returns `record`, and what follows.
fn record_columns(name: &str) -> Option<(Vec<(String, DataType)>, &str)> {
    let (digits, name) = name.strip_prefix(RECORD)?.split_once('_')?;
    let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok());
    let text = String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()?;
    let columns = text.split('\u{2}').map(|column| {
        let (name, ty) = column.split_once('\u{1}')?;
        Some((name.to_owned(), DataType::parse(ty)?))
    });
    Some((columns.collect::<Option<_>>()?, name))
}

/// The function of a name as the planner gives it; `None` where no function in SQL has it.
pub(crate) fn of_name(context: &Context, catalog: &Arc<Catalog>, name: &str) -> Option<Arc<ScalarUDF>> {
    // The planner writes names of several parts with their quotes.
    let name = &name.replace('"', "");
    let (schema, last) = match name.rsplit_once('.') {
        Some((schema, last)) => (Some(schema), last),
        None => (None, name.as_str()),
    };
    let (defined, form, last) =
        match (last.strip_prefix(ROWS), last.strip_prefix(VALUES), record_columns(last)) {
            (Some(last), ..) => (None, Form::Rows, last),
            (_, Some(last), _) => (None, Form::Values, last),
            (_, _, Some((columns, last))) => (Some(columns), Form::Rows, last),
            _ => (None, Form::Value, last),
        };
    let bare = schema.map_or_else(|| last.to_owned(), |schema| format!("{schema}.{last}"));
    let mut routines = functions_named(context, catalog, &bare);
    if routines.is_empty() {
        return None;
    }
    for routine in routines.iter_mut().filter(|routine| super::is_record(routine)) {
        let columns = match &defined {
            Some(columns) => columns.clone(),
            None => super::define::described(context, routine).ok()?,
        };
        let set = is_set(routine);
        let returns = Returns::Rows { columns, set };
        *routine = Arc::new(RoutineDescriptor { returns, ..routine.as_ref().clone() });
    }
    let volatility = routines.iter().map(|routine| volatility_of(routine)).max_by_key(|kind| match kind {
        Volatility::Immutable => 0,
        Volatility::Stable => 1,
        Volatility::Volatile => 2,
    });
    let signature = Signature::one_of(
        vec![TypeSignature::Nullary, TypeSignature::VariadicAny],
        volatility.unwrap_or(Volatility::Volatile),
    );
    let candidates =
        routines.into_iter().map(|routine| Candidate { routine, body: OnceLock::new() }).collect();
    let (version, catalog) = (catalog.version(), Arc::clone(catalog));
    let whole = (name != &bare).then(|| name.clone());
    Some(Arc::new(ScalarUDF::from(Function {
        name: bare,
        whole,
        version,
        form,
        catalog,
        candidates,
        signature,
    })))
}

fn volatility_of(routine: &RoutineDescriptor) -> Volatility {
    match routine.volatility {
        RoutineVolatility::Immutable => Volatility::Immutable,
        RoutineVolatility::Stable => Volatility::Stable,
        RoutineVolatility::Volatile => Volatility::Volatile,
    }
}

/// Whether a plan calls a function that has effects: one in SQL that may change data, one that locks or sends messages.
pub(crate) fn has_effects(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.exists(|expr| Ok(has_effect(expr)))?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}

fn has_effect(expr: &Expr) -> bool {
    let Expr::ScalarFunction(call) = expr else { return false };
    call.func.signature().volatility == Volatility::Volatile
        && (call.func.inner().downcast_ref::<Function>().is_some()
            || matches!(call.func.name(), "pg_notify" | "pg_cancel_backend" | "pg_terminate_backend")
            || call.func.name().contains("advisory"))
}

/// Whether an expression calls any function in SQL.
pub(crate) fn is_called_in(expr: &Expr) -> Result<bool> {
    Ok(expr.exists(|expr| {
        Ok(matches!(expr, Expr::ScalarFunction(call) if call.func.inner().downcast_ref::<Function>().is_some()))
    })?)
}

/// Whether a function is one in SQL.
pub(crate) fn is_own(function: &ScalarUDF) -> bool {
    function.inner().is::<Function>()
}

/// Whether a plan calls any function in SQL.
pub(crate) fn is_called(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= is_called_in(expr)?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}

/// One of the functions of a name.
struct Candidate {
    routine: Arc<RoutineDescriptor>,
    body: OnceLock<Arc<Body>>,
}

impl Candidate {
    fn body(&self, context: &Context) -> Result<Arc<Body>> {
        if let Some(body) = self.body.get() {
            return Ok(Arc::clone(body));
        }
        let body = Arc::new(Body::of(context, &self.routine)?);
        Ok(Arc::clone(self.body.get_or_init(|| body)))
    }
}

/// All functions of a name.
struct Function {
    name: String,
    /// Of the catalog that they are from.
    version: u64,
    /// The name with what is before it, where that says more.
    whole: Option<String>,
    form: Form,
    catalog: Arc<Catalog>,
    candidates: Vec<Candidate>,
    signature: Signature,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.version == other.version && self.whole == other.whole
    }
}
impl Eq for Function {}
impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// The place among candidates of the routine that arguments of these types mean.
///
/// # Errors
/// `42883`, `42725`.
pub(crate) fn choose(name: &str, routines: &[&RoutineDescriptor], found: &[Found]) -> Result<usize> {
    let mut best: Option<(i32, usize)> = None;
    let mut tied = false;
    for (at, routine) in routines.iter().enumerate() {
        let Some(score) = fits(routine, found) else { continue };
        match best {
            Some((other, _)) if score < other => {}
            Some((other, _)) if score == other => tied = true,
            _ => {
                best = Some((score, at));
                tied = false;
            }
        }
    }
    let names = || -> Vec<String> {
        let shown = found.iter();
        shown
            .map(|ty| match ty {
                Some(ty) => crate::functions::overload::type_name(ty),
                None => "unknown".to_owned(),
            })
            .collect()
    };
    match best {
        Some(_) if tied => {
            Err(Error::new("42725", format!("function {name}({}) is not unique", names().join(", ")))
                .with_hint(
                    "Could not choose a best candidate function. You might need to add explicit type casts.",
                ))
        }
        Some((_, at)) => Ok(at),
        None => Err(missing::error(name, &names())),
    }
}

/// How well arguments fit the inputs of a routine; those left out have defaults.
fn fits(routine: &RoutineDescriptor, found: &[Found]) -> Option<i32> {
    let inputs: Vec<_> = routine.inputs().collect();
    if let Some((start, item)) = elements_of(routine, found) {
        let fixed = found[..start].iter().zip(inputs[..start].iter().map(|input| &input.ty));
        let mut score = 0;
        for (ty, wanted) in fixed.chain(found[start..].iter().map(|ty| (ty, item))) {
            score += closeness_to(ty, wanted)?;
        }
        // One that takes just so many goes before it.
        return Some(2 * score - 1);
    }
    if found.len() > inputs.len() || inputs[found.len()..].iter().any(|input| input.default.is_none()) {
        return None;
    }
    let mut score = 0;
    for (ty, input) in found.iter().zip(&inputs) {
        score += closeness_to(ty, &input.ty)?;
    }
    // A function without defaults to fill in goes before one with.
    Some(2 * score - i32::from(found.len() < inputs.len()))
}

fn closeness_to(ty: &Found, wanted: &DataType) -> Option<i32> {
    match ty {
        None if matches!(wanted, DataType::Text) => Some(20),
        None => Some(10),
        Some(ty) => near(ty, wanted),
    }
}

/// Where the elements of a VARIADIC parameter begin among the arguments, and their type; `None` where there is no such
/// parameter, or the call gives the array.
fn elements_of<'r>(routine: &'r RoutineDescriptor, found: &[Found]) -> Option<(usize, &'r DataType)> {
    let (at, last) = routine.inputs().enumerate().last()?;
    let DataType::Array(item) = &last.ty else { return None };
    if last.mode != ParameterMode::Variadic || found.len() <= at {
        return None;
    }
    let given = found.len() == at + 1 && matches!(&found[at], Some(ty) if near(ty, &last.ty).is_some());
    (!given).then_some((at, &**item))
}

fn near(from: &DataType, to: &DataType) -> Option<i32> {
    let arrays = [from, to].iter().any(|ty| matches!(ty, DataType::Array(_)));
    if from.base_name() == to.base_name() && !arrays {
        return Some(100);
    }
    match (from, to) {
        (DataType::Varchar(_) | DataType::Text, DataType::Char(_)) => Some(80),
        _ => closeness(from, to),
    }
}

impl Function {
    /// The function that a call means, with the types of the call.
    fn choose(&self, found: &[Found]) -> Result<(&Candidate, Arc<RoutineDescriptor>)> {
        let mut own = Vec::with_capacity(self.candidates.len());
        let mut unknown = None;
        for candidate in &self.candidates {
            if !polymorphic::is_polymorphic(&candidate.routine) {
                own.push((candidate, Arc::clone(&candidate.routine)));
                continue;
            }
            match polymorphic::instance(&candidate.routine, found) {
                Ok(Some(made)) => own.push((candidate, Arc::new(made))),
                Ok(None) => {}
                Err(error) => unknown = Some(error),
            }
        }
        // A function of just these types goes before one of any.
        let fixed: Vec<_> = own.iter().filter(|(c, _)| !polymorphic::is_polymorphic(&c.routine)).collect();
        let exact = fixed.iter().find(|(_, routine)| {
            routine.inputs().count() == found.len()
                && routine.inputs().zip(found).all(|(input, ty)| ty.as_ref() == Some(&input.ty))
        });
        if let Some((candidate, routine)) = exact {
            return Ok((candidate, Arc::clone(routine)));
        }
        let routines: Vec<&RoutineDescriptor> = own.iter().map(|(_, routine)| &**routine).collect();
        match choose(&self.name, &routines, found) {
            Ok(at) => Ok((own[at].0, Arc::clone(&own[at].1))),
            Err(error) if error.sqlstate() == "42883" => Err(unknown.unwrap_or(error)),
            Err(error) => Err(error),
        }
    }

    /// The type of the call's value.
    fn result(&self, routine: &RoutineDescriptor) -> Result<FieldRef> {
        if self.form == Form::Rows {
            let members = columns(&self.catalog, routine)?;
            let fields =
                members.iter().enumerate().map(|(at, (_, ty))| Arc::new(ty.to_field(member(at), true)));
            let row = ArrowType::Struct(Fields::from_iter(fields));
            let list = ArrowType::List(Arc::new(Field::new_list_field(row, true)));
            return Ok(Arc::new(Field::new(&self.name, list, true)));
        }
        if routine.returns == Returns::Trigger {
            return Err(Error::new("0A000", "trigger functions can only be called as triggers"));
        }
        let ty = super::value_type(&self.catalog, routine)?;
        if self.form == Form::Values {
            return Ok(Arc::new(DataType::Array(Box::new(ty)).to_field(&routine.name, true)));
        }
        Ok(Arc::new(ty.to_field(&routine.name, true)))
    }

    fn invoke(&self, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        let own: Vec<DataType> = args.arg_fields.iter().map(|field| sql_type(field)).collect();
        let kinds: Vec<Found> = args
            .arg_fields
            .iter()
            .zip(&args.args)
            .map(|(field, arg)| found(field, matches!(arg, ColumnarValue::Scalar(_))))
            .collect();
        let (candidate, routine) = self.choose(&kinds)?;
        let routine = &routine;
        let scope = ScopeExtension::of(&args.config_options)?;
        let context = Context { scope };
        crate::privileges::require_execute(&context, routine)?;
        let context = super::run_as(&context, routine)?;
        let inputs: Vec<DataType> = routine.inputs().map(|input| input.ty.clone()).collect();
        let call = Call::new(&context, &self.catalog, candidate, routine, &self.result(routine)?, self.form)?;
        let elements = elements_of(routine, &kinds);
        let defaults = defaults(&context, routine, own.len().min(inputs.len()))?;
        let zone = context.zone();
        let each = routine.volatility == RoutineVolatility::Volatile;
        let constant = !each && args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let mut remembered: HashMap<String, ArrayRef> = HashMap::new();
        let mut results: Vec<ArrayRef> = Vec::with_capacity(rows);
        for row in 0..rows {
            let mut values = row_values(args, &own, row)?;
            if let Some((start, item)) = elements {
                let all = values.split_off(start).into_iter().zip(&kinds[start..]);
                let all = all.map(|(value, kind)| coerce(value, kind, item, zone)).collect::<Result<_>>()?;
                values.push(Value::Array(all));
            }
            let given = if elements.is_some() { values.len() - 1 } else { values.len() };
            for (at, value) in values.iter_mut().enumerate().take(given) {
                *value = coerce(std::mem::take(value), &kinds[at], &inputs[at], zone)?;
            }
            values.extend(defaults.iter().cloned());
            let key = (!each).then(|| format!("{values:?}"));
            if let Some(known) = key.as_ref().and_then(|key| remembered.get(key)) {
                results.push(Arc::clone(known));
                continue;
            }
            let typed: Vec<(Value, DataType)> = values.into_iter().zip(inputs.iter().cloned()).collect();
            let result = call.run(&typed)?;
            if let Some(key) = key.filter(|_| remembered.len() < REMEMBERED_MAX) {
                remembered.insert(key, Arc::clone(&result));
            }
            results.push(result);
        }
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&results[0], 0)?));
        }
        if results.is_empty() {
            return Ok(ColumnarValue::Array(arrow::array::new_empty_array(args.return_field.data_type())));
        }
        let all: Vec<&dyn Array> = results.iter().map(|result| result.as_ref()).collect();
        Ok(ColumnarValue::Array(arrow::compute::concat(&all)?))
    }

    /// The expression of a function that is nothing more, with the arguments in it.
    fn inlined(&self, args: &[Expr], info: &SimplifyContext) -> Result<Option<Expr>> {
        if self.form != Form::Value {
            return Ok(None);
        }
        let mut kinds = Vec::with_capacity(args.len());
        let mut owned = Vec::with_capacity(args.len());
        for arg in args {
            let (_, field) = arg.to_field(info.schema())?;
            let literal = matches!(arg, Expr::Literal(..));
            owned.push(sql_type(&field));
            kinds.push(found(&field, literal));
        }
        let (candidate, routine) = self.choose(&kinds)?;
        // The types of its arguments may not be those of before any more.
        if polymorphic::is_polymorphic(&candidate.routine) {
            return Ok(None);
        }
        let routine = &*routine;
        let scope: Arc<Scope> = ScopeExtension::of(info.config_options())?;
        let context = Context { scope };
        crate::privileges::require_execute(&context, routine)?;
        if routine.definer || !routine.settings.is_empty() {
            return Ok(None);
        }
        let Returns::Value { ty, set: false } = &routine.returns else { return Ok(None) };
        if routine.strict && args.iter().any(Expr::is_volatile) {
            return Ok(None);
        }
        let inputs: Vec<_> = routine.inputs().cloned().collect();
        if args.len() != inputs.len() || elements_of(routine, &kinds).is_some() {
            return Ok(None);
        }
        let Some((value, volatility)) = expression(&context, routine)? else { return Ok(None) };
        // What promises more than its expression keeps is called, as it asks to be.
        if volatility != Volatility::Immutable {
            return Ok(None);
        }
        // One that calls itself would have no end.
        let calls_itself = value.exists(|expr| {
            Ok(matches!(expr, Expr::ScalarFunction(call)
                if call.func.inner().downcast_ref::<Function>().is_some_and(|own| own.name == self.name)))
        })?;
        if calls_itself {
            return Ok(None);
        }
        let mut uses = vec![0usize; args.len()];
        value.apply(|expr| {
            if let Expr::Column(column) = expr
                && let Some(at) = place(&column.name)
            {
                uses[at] += 1;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        if args.iter().zip(&uses).any(|(arg, uses)| *uses != 1 && arg.is_volatile()) {
            return Ok(None);
        }
        let typed: Vec<Expr> = args
            .iter()
            .zip(&inputs)
            .zip(&owned)
            .map(|((arg, input), own)| match *own == input.ty {
                true => arg.clone(),
                false => cast::call(arg.clone(), &input.ty),
            })
            .collect();
        let value = value.transform_up(|expr| {
            let at = match &expr {
                Expr::Column(column) => place(&column.name),
                _ => None,
            };
            Ok(match at.and_then(|at| typed.get(at)) {
                Some(arg) => Transformed::yes(arg.clone()),
                None => Transformed::no(expr),
            })
        })?;
        let (_, field) = value.data.to_field(info.schema())?;
        if composite(ty).is_some() && composite(&sql_type(&field)).is_none() {
            return Ok(None);
        }
        let value = match sql_type(&field) == *ty && *field.data_type() == ty.to_arrow() {
            true => value.data,
            false => cast::call(value.data, ty),
        };
        if !routine.strict {
            return Ok(Some(value));
        }
        let null = typed.into_iter().map(|arg| Expr::IsNull(Box::new(arg))).reduce(Expr::or);
        let Some(null) = null else { return Ok(Some(value)) };
        let nothing = Expr::Literal(ScalarValue::try_from(ty.to_arrow())?, None);
        Ok(Some(datafusion::logical_expr::when(null, nothing).otherwise(value)?))
    }
}

/// The place of a parameter among the columns that stand for them.
fn place(name: &str) -> Option<usize> {
    name.strip_prefix("__cairn_parameter_")?.parse().ok()
}

/// The body of a routine, if it is one expression over its parameters, as columns of [`place`].
fn expression(context: &Context, routine: &RoutineDescriptor) -> Result<Option<(Expr, Volatility)>> {
    use sqlparser::ast::{SelectItem, SetExpr, Statement};
    let body = Body::of(context, routine)?;
    let [(Statement::Query(query), _)] = body.statements.as_slice() else { return Ok(None) };
    let SetExpr::Select(select) = &*query.body else { return Ok(None) };
    let plain = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty()
        && select.from.is_empty()
        && select.selection.is_none()
        && select.having.is_none()
        && select.distinct.is_none()
        && select.qualify.is_none();
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_slice()
    else {
        return Ok(None);
    };
    if !plain {
        return Ok(None);
    }
    let mut expr = expr.clone();
    columns_for_parameters(&mut expr);
    let inputs = routine.inputs().enumerate();
    let fields: Vec<Field> =
        inputs.map(|(at, input)| input.ty.to_field(format!("__cairn_parameter_{at}"), true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(0));
    let arrays = fields.iter().map(|field| arrow::array::new_empty_array(field.data_type())).collect();
    let rows = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
    let side = Relation { alias: "__cairn_call".to_owned(), rows, in_wildcard: false };
    let planned = relations::plan(context, &[side], &[relations::item(expr, "value")], None)?;
    let state = crate::query::state::of(context);
    let analyzed = state.analyzer().execute_and_check(planned, state.config_options(), |_, _| {})?;
    let LogicalPlan::Projection(projection) = &analyzed else { return Ok(None) };
    let [value] = projection.expr.as_slice() else { return Ok(None) };
    let immutable = crate::query::reuse::is_immutable(&analyzed)
        || routine.volatility == RoutineVolatility::Immutable && is_fixed(value, projection.input.schema())?;
    if !matches!(&*projection.input, LogicalPlan::TableScan(_) | LogicalPlan::SubqueryAlias(_)) {
        return Ok(None);
    }
    let value = value.clone().unalias();
    let more = value.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
                | Expr::Unnest(_)
                | Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
        ))
    })?;
    let volatility = if immutable { Volatility::Immutable } else { Volatility::Volatile };
    Ok((!more).then_some((value, volatility)))
}

/// Whether an expression is immutable but for casts, which are where no time zone is involved.
fn is_fixed(value: &Expr, schema: &datafusion::common::DFSchema) -> Result<bool> {
    let mut fixed = true;
    value.apply(|part| {
        if let Expr::ScalarFunction(call) = part {
            let kind = call.func.signature().volatility;
            fixed &= kind == Volatility::Immutable || call.func.name() == cast::NAME;
        }
        let ty = part.get_type(schema);
        fixed &= !matches!(ty, Ok(ArrowType::Timestamp(_, Some(_))));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(fixed)
}

/// Columns in the place of `$n`.
fn columns_for_parameters(expr: &mut sqlparser::ast::Expr) {
    // Never breaks.
    let _ = sqlparser::ast::visit_expressions_mut(expr, |expr| {
        if let Some(number) = super::body::number_of(expr) {
            *expr =
                relations::column("__cairn_call", &format!("__cairn_parameter_{}", number.wrapping_sub(1)));
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
}

/// The values of the inputs from `given` on.
pub(crate) fn defaults(context: &Context, routine: &RoutineDescriptor, given: usize) -> Result<Vec<Value>> {
    let left: Vec<_> = routine.inputs().skip(given).collect();
    let types: Vec<DataType> = left.iter().map(|input| input.ty.clone()).collect();
    let exprs = left
        .iter()
        .map(|input| parse_expr(input.default.as_deref().unwrap_or("NULL")))
        .collect::<Result<Vec<_>>>()?;
    constants(context, &exprs, &types)
}

/// Calls of one function.
struct Call<'c> {
    context: &'c Context,
    routine: &'c RoutineDescriptor,
    body: Arc<Body>,
    columns: Vec<(String, DataType)>,
    result: FieldRef,
    form: Form,
}

impl<'c> Call<'c> {
    fn new(
        context: &'c Context,
        catalog: &Catalog,
        candidate: &'c Candidate,
        routine: &'c RoutineDescriptor,
        result: &FieldRef,
        form: Form,
    ) -> Result<Self> {
        Ok(Self {
            context,
            routine,
            body: candidate.body(context)?,
            columns: columns(catalog, routine)?,
            result: Arc::clone(result),
            form,
        })
    }

    /// The result for these arguments, a single row.
    fn run(&self, values: &[(Value, DataType)]) -> Result<ArrayRef> {
        let as_rows = self.form == Form::Rows;
        if self.routine.strict && values.iter().any(|(value, _)| value.is_null()) {
            return Ok(match as_rows && is_set(self.routine) {
                true => self.list(&[])?,
                false if as_rows => self.list(&[vec![Value::Null; self.columns.len()]])?,
                false if self.form == Form::Values => self.values(Vec::new())?,
                false => arrow::array::new_null_array(self.result.data_type(), 1),
            });
        }
        let surroundings = Surroundings { nested: true, ..Surroundings::default() };
        let outcome = self.body.run(self.context, surroundings, values)?;
        if self.routine.returns == Returns::Void {
            return match as_rows {
                true => self.list(&[vec![Value::Null]]),
                false => Ok(Value::to_array(&[Value::Null], &DataType::Text)?),
            };
        }
        let set = is_set(self.routine);
        let rows =
            converted(self.context, self.routine, &self.columns, &outcome, if set { usize::MAX } else { 1 })?;
        if as_rows {
            return match rows.is_empty() && !set {
                true => self.list(&[vec![Value::Null; self.columns.len()]]),
                false => self.list(&rows),
            };
        }
        let ty = DataType::from_field(&self.result);
        if self.form == Form::Values {
            let DataType::Array(item) = &ty else { return Err(Error::internal("rows that are no list")) };
            let values = rows.into_iter().map(|row| self.value(Some(row), item, false));
            return self.values(values.collect::<Result<_>>()?);
        }
        let value = self.value(rows.into_iter().next(), &ty, is_null_row(&outcome))?;
        Ok(Value::to_array(&[value], &ty)?)
    }

    /// Values as one list.
    fn values(&self, values: Vec<Value>) -> Result<ArrayRef> {
        Ok(Value::to_array(&[Value::Array(values)], &DataType::from_field(&self.result))?)
    }

    /// A row as a value.
    fn value(&self, row: Option<Vec<Value>>, ty: &DataType, is_null: bool) -> Result<Value> {
        Ok(match (row, composite(ty)) {
            (None, _) => Value::Null,
            (Some(_), Some(_)) if gives_rows(self.routine) && is_null => Value::Null,
            (Some(row), Some(own)) if gives_rows(self.routine) => {
                let mut all = vec![Value::Null; own.fields.len()];
                for ((place, _), value) in own.live().zip(row) {
                    all[place] = value;
                }
                crate::functions::composite::value(own, &all)?
            }
            (Some(row), _) => row.into_iter().next().unwrap_or(Value::Null),
        })
    }

    /// Rows as one list.
    fn list(&self, rows: &[Vec<Value>]) -> Result<ArrayRef> {
        let ArrowType::List(item) = self.result.data_type() else {
            return Err(Error::internal("rows that are no list"));
        };
        let ArrowType::Struct(fields) = item.data_type() else {
            return Err(Error::internal("rows that are no structs"));
        };
        let mut members = Vec::with_capacity(self.columns.len());
        for (at, (_, ty)) in self.columns.iter().enumerate() {
            let cells: Vec<Value> = rows.iter().map(|row| row[at].clone()).collect();
            members.push(Value::to_array(&cells, ty)?);
        }
        let structs = StructArray::try_new_with_length(fields.clone(), members, None, rows.len())?;
        let offsets = OffsetBuffer::from_lengths([rows.len()]);
        Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, Arc::new(structs), None)?))
    }
}

/// The rows of a body as those that its routine declares, at most `max`.
pub(crate) fn converted(
    context: &Context,
    routine: &RoutineDescriptor,
    columns: &[(String, DataType)],
    outcome: &Outcome,
    max: usize,
) -> Result<Vec<Vec<Value>>> {
    if outcome.batches.iter().all(|batch| batch.num_rows() == 0) {
        return Ok(Vec::new());
    }
    let schema: &SchemaRef = &outcome.schema;
    if let Some(own) = whole_row(routine, columns, schema) {
        return spread(context, columns, outcome, &own, max);
    }
    if schema.fields().len() != columns.len() {
        return Err(mismatch(routine));
    }
    let mut whole = concat_batches(schema, &outcome.batches)?;
    if max < whole.num_rows() {
        whole = whole.slice(0, max);
    }
    let mut arrays = Vec::with_capacity(columns.len());
    for ((column, field), (name, ty)) in whole.columns().iter().zip(schema.fields()).zip(columns) {
        let from = sql_type(field);
        arrays.push(assign_array(column, &from, ty, name, false, context.zone()).map_err(|error| {
            match error.sqlstate() {
                "42804" => mismatch(routine),
                _ => error,
            }
        })?);
    }
    let cell = |row: usize, at: usize| Value::from_array(arrays[at].as_ref(), row, &columns[at].1);
    Ok((0..whole.num_rows()).map(|row| (0..columns.len()).map(|at| cell(row, at)).collect()).collect())
}

/// The type of the one column of a body, where its fields are the columns that the routine declares.
fn whole_row(
    routine: &RoutineDescriptor,
    columns: &[(String, DataType)],
    schema: &SchemaRef,
) -> Option<Arc<CompositeType>> {
    let [field] = schema.fields().as_ref() else { return None };
    let ty = sql_type(field);
    let own = composite(&ty).filter(|_| gives_rows(routine))?;
    let same = matches!(columns, [(_, one)] if is_assignable(&ty, one));
    (!same && own.live().count() == columns.len()).then(|| Arc::clone(own))
}

/// Whether the first row of a body is one column that is NULL.
fn is_null_row(outcome: &Outcome) -> bool {
    let first = outcome.batches.iter().find(|batch| batch.num_rows() > 0);
    first.is_some_and(|rows| rows.num_columns() == 1 && rows.column(0).is_null(0))
}

/// The fields of rows that are one column.
fn spread(
    context: &Context,
    columns: &[(String, DataType)],
    outcome: &Outcome,
    own: &CompositeType,
    max: usize,
) -> Result<Vec<Vec<Value>>> {
    let ty = sql_type(outcome.schema.field(0));
    let mut rows = Vec::new();
    for batch in &outcome.batches {
        for row in 0..batch.num_rows().min(max - rows.len()) {
            let value = Value::from_array(batch.column(0).as_ref(), row, &ty);
            let given = crate::functions::composite::fields(own, &value)?;
            let mut values = Vec::with_capacity(columns.len());
            for ((place, field), (_, to)) in own.live().zip(columns) {
                values.push(cast::single(given[place].clone(), &field.ty, to, context.zone())?);
            }
            rows.push(values);
        }
    }
    Ok(rows)
}

/// `42P13` for a body that gives something else than its routine declares.
pub(crate) fn mismatch(routine: &RoutineDescriptor) -> Error {
    let ty = match &routine.returns {
        Returns::Value { ty, .. } => crate::functions::overload::type_name(ty),
        Returns::Rows { .. } | Returns::Relation { .. } => "record".to_owned(),
        Returns::Void => "void".to_owned(),
        Returns::Trigger => "trigger".to_owned(),
    };
    Error::new("42P13", format!("return type mismatch in function declared to return {ty}"))
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Err(Error::internal("the type of a call follows from its arguments").into())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        let kinds: Vec<Found> = args
            .arg_fields
            .iter()
            .zip(args.scalar_arguments)
            .map(|(field, constant)| found(field, constant.is_some()))
            .collect();
        Ok(self.result(&self.choose(&kinds)?.1)?)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> DataFusionResult<ExprSimplifyResult> {
        Ok(match self.inlined(&args, info)? {
            Some(expr) => ExprSimplifyResult::Simplified(expr),
            None => ExprSimplifyResult::Original(args),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        // On a thread of the runtime the other tasks are handed on meanwhile.
        Ok(match tokio::runtime::Handle::try_current() {
            Ok(_) => tokio::task::block_in_place(|| self.invoke(&args))?,
            Err(_) => self.invoke(&args)?,
        })
    }
}
