//! CALL and DO. Each statement of the body sees what is committed when it begins (Read Committed), as there is no
//! statement around it that goes on.

use std::sync::Arc;

use arrow::datatypes::Schema;
use cairn_engine::catalog::{BodyForm, RoutineDescriptor, RoutineKind};
use cairn_types::{DataType, Value};
use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Statement};

use super::body::Body;
use super::define::name_of;
use super::function::{choose, converted, defaults};
use super::names::Parameters;
use super::{columns, named, syntax};
use crate::context::{Body as Surroundings, Context};
use crate::dml::literal::is_unknown;
use crate::functions::overload::{Found, coerce};
use crate::functions::{missing, sql_type};
use crate::results::{Results, StatementResult};
use crate::session::constraints;
use crate::session::variables::fold;
use crate::{Error, Result, parse};

/// Runs a CALL, or the DO that it carries.
pub(crate) fn call(context: &Context, call: &Function) -> Result<StatementResult> {
    let nested = context.scope.body.as_ref().is_some_and(|body| body.nested);
    let surroundings = Surroundings { nested, ..Surroundings::default() };
    if let Some(text) = constraints::text_of(call) {
        return constraints::run(context, text);
    }
    if let Some((language, code)) = syntax::do_of(call) {
        if language != "sql" {
            return Err(Error::unsupported(format!("DO in the language {language}"))
                .with_hint("DO LANGUAGE sql $$ ... $$ runs statements in SQL."));
        }
        let body = Body::read(context, BodyForm::Text, code, &Parameters::default())?;
        body.run(context, surroundings, &[])?;
        return Ok(StatementResult::command("DO"));
    }
    let catalog = context.catalog()?;
    let (schema, name) = name_of(&call.name)?;
    let all = named(context, &catalog, schema.as_deref(), &name);
    let args = arguments(call)?;
    let (routine, given) = find(context, &all, &name, args)?;
    crate::privileges::require_execute(context, &routine)?;
    let inputs: Vec<DataType> = routine.inputs().map(|input| input.ty.clone()).collect();
    let zone = context.zone();
    let mut values = Vec::with_capacity(inputs.len());
    for ((value, kind), ty) in given.into_iter().zip(&inputs) {
        values.push(coerce(value, &kind, ty, zone)?);
    }
    values.extend(defaults(context, &routine, values.len())?);
    let typed: Vec<(Value, DataType)> = values.into_iter().zip(inputs).collect();
    let inner = super::run_as(context, &routine)?;
    let outcome = Body::of(&inner, &routine)?.run(&inner, surroundings, &typed)?;
    if !routine.parameters.iter().any(|parameter| parameter.is_output()) {
        return Ok(StatementResult::command("CALL"));
    }
    let columns = columns(&catalog, &routine)?;
    let row = converted(context, &routine, &columns, &outcome, 1)?.into_iter().next();
    let row = row.unwrap_or_else(|| vec![Value::Null; columns.len()]);
    let fields: Vec<_> = columns.iter().map(|(name, ty)| ty.to_field(name, true)).collect();
    let arrays = row.into_iter().zip(&columns).map(|(value, (_, ty))| Ok(Value::to_array(&[value], ty)?));
    let schema = Arc::new(Schema::new(fields));
    let batch = arrow::array::RecordBatch::try_new(Arc::clone(&schema), arrays.collect::<Result<_>>()?)?;
    Ok(StatementResult::Rows(Results::from_batches(schema, vec![batch]).with_tag("CALL", 0)))
}

/// The arguments, with their names where they have any.
fn arguments(call: &Function) -> Result<Vec<(Option<String>, Expr)>> {
    let FunctionArguments::List(list) = &call.args else { return Ok(Vec::new()) };
    list.args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok((None, expr.clone())),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                Ok((Some(fold(name)), expr.clone()))
            }
            _ => Err(Error::unsupported("this argument of CALL")),
        })
        .collect()
}

/// A procedure with the values of its inputs that are given.
type Called = (Arc<RoutineDescriptor>, Vec<(Value, Found)>);

/// The procedure that the arguments mean, and the values of its inputs that are given.
fn find(
    context: &Context,
    all: &[Arc<RoutineDescriptor>],
    name: &str,
    args: Vec<(Option<String>, Expr)>,
) -> Result<Called> {
    let exprs: Vec<Expr> = args.iter().map(|(_, expr)| expr.clone()).collect();
    let values = evaluate(context, &exprs)?;
    let mut routines: Vec<&RoutineDescriptor> = Vec::new();
    let mut chosen: Vec<(usize, Vec<usize>)> = Vec::new();
    for (at, routine) in all.iter().enumerate() {
        if let Some(places) = places(routine, &args) {
            routines.push(routine);
            chosen.push((at, places));
        }
    }
    let kinds_of = |places: &[usize]| places.iter().map(|at| values[*at].1.clone()).collect::<Vec<Found>>();
    let mut best = None;
    for (routine, (at, places)) in routines.iter().zip(&chosen) {
        match choose(name, &[*routine], &kinds_of(places)) {
            Ok(_) if best.is_some() => {
                return Err(Error::new("42725", format!("procedure {name} is not unique")).with_hint(
                    "Could not choose a best candidate procedure. You might need to add explicit type casts.",
                ));
            }
            Ok(_) => best = Some((*at, places.clone())),
            Err(_) => {}
        }
    }
    let Some((at, places)) = best else {
        let kinds: Vec<String> = values
            .iter()
            .map(|(_, kind)| {
                kind.as_ref().map_or("unknown".to_owned(), crate::functions::overload::type_name)
            })
            .collect();
        let missing = missing::error(name, &kinds);
        return Err(Error::new("42883", missing.message().replacen("function", "procedure", 1)).with_hint(
            "No procedure matches the given name and argument types. You might need to add explicit type casts.",
        ));
    };
    let routine = Arc::clone(&all[at]);
    if routine.kind != RoutineKind::Procedure {
        return Err(Error::new("42809", format!("{} is not a procedure", routine.signature()))
            .with_hint("To call a function, use SELECT."));
    }
    Ok((routine, places.into_iter().map(|at| values[at].clone()).collect()))
}

/// For each input that is given the place of its argument; `None` where the arguments do not fit.
fn places(routine: &RoutineDescriptor, args: &[(Option<String>, Expr)]) -> Option<Vec<usize>> {
    // A procedure is given something for its OUT parameters too.
    let all = routine.kind == RoutineKind::Procedure;
    let parameters: Vec<_> = routine.parameters.iter().filter(|p| all || p.is_input()).collect();
    if args.len() > parameters.len() {
        return None;
    }
    let mut used = 0;
    let mut places = Vec::new();
    let mut ended = false;
    for (at, parameter) in parameters.iter().enumerate() {
        let place = match args.get(at) {
            Some((None, _)) => Some(at),
            _ => args.iter().position(|(name, _)| name.as_deref() == Some(&parameter.name)),
        };
        used += usize::from(place.is_some());
        match place {
            Some(_) if ended && parameter.is_input() => return None,
            Some(place) if parameter.is_input() => places.push(place),
            Some(_) => {}
            None if parameter.default.is_some() => ended = true,
            None => return None,
        }
    }
    (used == args.len()).then_some(places)
}

/// The values of expressions, with their types; a bare literal has none.
fn evaluate(context: &Context, exprs: &[Expr]) -> Result<Vec<(Value, Found)>> {
    if exprs.is_empty() {
        return Ok(Vec::new());
    }
    let items: Vec<String> = exprs.iter().enumerate().map(|(at, expr)| format!("{expr} AS c{at}")).collect();
    let Statement::Query(query) = parse::parse_text(&format!("SELECT {}", items.join(", ")))? else {
        return Err(Error::internal("a query was expected"));
    };
    let (schema, batches) = context.collect(context.plan_query(&query)?)?;
    let row = batches
        .iter()
        .find(|batch| batch.num_rows() > 0)
        .ok_or_else(|| Error::internal("arguments without a row"))?;
    let values = exprs.iter().enumerate().map(|(at, expr)| {
        let field = schema.field(at);
        let ty = sql_type(field);
        let value = Value::from_array(row.column(at).as_ref(), 0, &ty);
        let unknown = field.data_type().is_null() || (is_unknown(expr) && ty == DataType::Text);
        (value, (!unknown).then_some(ty))
    });
    Ok(values.collect())
}
