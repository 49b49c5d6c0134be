//! CREATE FUNCTION and CREATE PROCEDURE: what is written is checked as far as PostgreSQL checks it, and kept as text.

use cairn_engine::Catalog;
use cairn_engine::catalog::{
    BOOTSTRAP, BodyForm, ObjectId, Parameter, ParameterMode, Relation, Returns, RoutineDescriptor,
    RoutineKind, RoutineVolatility,
};
use cairn_types::polymorphic::Polymorphic;
use cairn_types::{DataType, Value};
use sqlparser::ast::{DataType as SqlType, ObjectName, Statement};

use super::body::{self, Body};
use super::syntax::{CreateRoutine, ParsedReturns, Program};
use super::{columns, function, gives_rows, polymorphic};
use crate::context::Context;
use crate::ddl::{names, relations_of};
use crate::dml::assign::is_assignable;
use crate::parse::named_types;
use crate::parse::types::data_type;
use crate::results::{Column, StatementResult};
use crate::session::settings::Settings;
use crate::trigger::define as trigger;
use crate::{Error, Result, catalog, query};

/// Runs one of the statements over routines and triggers.
pub(crate) fn run(context: &Context, program: &Program) -> Result<StatementResult> {
    match program {
        Program::Create(create) => self::create(context, create),
        Program::Drop(drop) => super::drop::run(context, drop),
        Program::CreateTrigger(create) => trigger::create(context, create),
        Program::DropTrigger(drop) => trigger::drop(context, drop),
        Program::EnableTrigger(enable) => trigger::enable(context, enable),
        Program::Alter(alter) => super::alter::run(context, alter),
        Program::RenameTrigger(rename) => trigger::rename(context, rename),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new("42P13", message)
}

fn create(context: &Context, create: &CreateRoutine) -> Result<StatementResult> {
    let catalog = context.catalog()?;
    let is_function = create.kind == RoutineKind::Function;
    let (form, text) = match (&create.language, &create.body) {
        (_, None) => return Err(invalid("no function body specified")),
        (None, Some((BodyForm::Text, _))) => return Err(invalid("no language specified")),
        (Some(language), _) if matches!(language.as_str(), "plpgsql" | "c" | "internal") => {
            return Err(Error::unsupported(format!("a function in the language {language}"))
                .with_hint("Write it in SQL, or give a closure to Database::create_function."));
        }
        (Some(language), _) if language != "sql" => {
            return Err(Error::new("42704", format!("language \"{language}\" does not exist")));
        }
        (_, Some((BodyForm::Text, text))) => (BodyForm::Text, text.clone()),
        (_, Some((form, text))) => (*form, body::bound(context, *form, text)?),
    };
    let (schema, name) = names::for_creation_of_routine(context, &catalog, &create.name)?;
    refuse_built_in(context, &name)?;
    if create.kind == RoutineKind::Procedure && (create.volatility.is_some() || create.strict) {
        return Err(invalid("invalid attribute in procedure definition"));
    }
    let parameters = parameters(context, create)?;
    let returns = returns(context, &catalog, create, &parameters)?;
    let mut routine = RoutineDescriptor {
        id: 0,
        schema,
        name,
        kind: create.kind,
        parameters,
        returns,
        strict: create.strict,
        volatility: create.volatility.unwrap_or(RoutineVolatility::Volatile),
        form,
        body: text,
        depends_on: Vec::new(),
        definer: create.definer,
        settings: settings(context, &create.settings)?,
    };
    let old = catalog.routines().find(|old| old.is_same_call(&routine));
    if let Some(old) = old.filter(|_| create.replace) {
        crate::privileges::require_routine_owner(context, old, false)?;
    }
    // What its statements need is looked at when they run.
    let context = &context.checking_as(BOOTSTRAP);
    let body = match routine.returns {
        Returns::Trigger => None,
        _ => Some(Body::of(context, &routine)?),
    };
    if let Some(body) = body.as_ref().filter(|_| form != BodyForm::Text) {
        routine.depends_on = dependencies(context, &catalog, body)?;
    }
    polymorphic::check(&routine)?;
    if !is_function && polymorphic::is_polymorphic(&routine) {
        return Err(Error::unsupported("a procedure with parameters of polymorphic types"));
    }
    context.txn().create_routine(routine.clone(), create.replace)?;
    // What the body gives is known with the types of a call. It may call the function that it is of.
    if let Some(body) = body.filter(|_| !polymorphic::is_polymorphic(&routine)) {
        let catalog = context.catalog()?;
        check(context, &catalog, &routine, &body)?;
    }
    Ok(StatementResult::command(if is_function { "CREATE FUNCTION" } else { "CREATE PROCEDURE" }))
}

/// What a routine runs with, as it is kept.
///
/// # Errors
/// What is wrong with a setting.
pub(super) fn settings(
    context: &Context,
    given: &[(String, Option<String>)],
) -> Result<Vec<(String, String)>> {
    let mut made: Vec<(String, String)> = Vec::new();
    for (name, value) in given {
        let value = match value {
            Some(value) => value.clone(),
            None => context.scope.settings.show(name)?,
        };
        if matches!(name.as_str(), "role" | "session_authorization") {
            return Err(Error::unsupported(format!("SET {name} of a function")));
        }
        let mut probe = Settings::clone(&context.scope.settings);
        probe.set(name, &Settings::values_of(name, &value)?)?;
        made.retain(|own| own.0 != *name);
        made.push((name.clone(), value));
    }
    Ok(made)
}

/// A function of a built-in one's name would never be found.
pub(super) fn refuse_built_in(context: &Context, name: &str) -> Result<()> {
    let template = &context.scope.shared.template;
    let taken = template.scalar_functions().contains_key(name)
        || template.aggregate_functions().contains_key(name)
        || template.window_functions().contains_key(name)
        || template.table_functions().contains_key(name)
        || context.scope.shared.closures.get(name).is_some()
        || [function::ROWS, function::VALUES, function::RECORD].iter().any(|prefix| name.starts_with(prefix));
    match taken {
        true => Err(Error::unsupported(format!("a function named as the built-in one {name}"))),
        false => Ok(()),
    }
}

fn parameters(context: &Context, create: &CreateRoutine) -> Result<Vec<Parameter>> {
    let mut made: Vec<Parameter> = Vec::new();
    for own in &create.parameters {
        let name = own.name.as_ref().map(names::stored).unwrap_or_default();
        if !name.is_empty() && made.iter().any(|other| other.name == name) {
            return Err(invalid(format!("parameter name \"{name}\" used more than once")));
        }
        if made.iter().any(|other| other.mode == ParameterMode::Variadic) && own.mode != ParameterMode::Out {
            return Err(invalid("VARIADIC parameter must be the last input parameter"));
        }
        if own.default.is_some() && own.mode == ParameterMode::Out {
            return Err(invalid("only input parameters can have default values"));
        }
        let before = made.iter().any(|other| other.default.is_some());
        if before && own.default.is_none() && own.mode != ParameterMode::Out {
            return Err(invalid("input parameters after one with a default value must also have defaults"));
        }
        let default =
            own.default.as_ref().map(|expr| catalog::view::bound_expr(context, expr)).transpose()?;
        let ty = type_of(context, &own.ty)?;
        if own.mode == ParameterMode::Variadic {
            if create.kind == RoutineKind::Procedure {
                return Err(Error::unsupported("a VARIADIC parameter of a procedure"));
            }
            let any = matches!(Polymorphic::of(&ty), Some(Polymorphic::Array | Polymorphic::CompatibleArray));
            if !matches!(ty, DataType::Array(_)) && !any {
                return Err(invalid("VARIADIC parameter must be an array"));
            }
        }
        made.push(Parameter { name, ty, mode: own.mode, default });
    }
    Ok(made)
}

fn returns(
    context: &Context,
    catalog: &Catalog,
    create: &CreateRoutine,
    parameters: &[Parameter],
) -> Result<Returns> {
    let out: Vec<&Parameter> = parameters.iter().filter(|p| p.is_output()).collect();
    let name_of = |at: usize, own: &Parameter| match own.name.is_empty() {
        true => format!("column{}", at + 1),
        false => own.name.clone(),
    };
    let rows = |set: bool| Returns::Rows {
        columns: out.iter().enumerate().map(|(at, p)| (name_of(at, p), p.ty.clone())).collect(),
        set,
    };
    if create.kind == RoutineKind::Procedure {
        if create.returns.is_some() {
            let shown = match &create.returns {
                Some(ParsedReturns::Type { ty, .. }) => ty.to_string().to_lowercase(),
                _ => "RETURNS".to_owned(),
            };
            return Err(Error::new("42601", format!("syntax error at or near \"{shown}\"")));
        }
        return Ok(if out.is_empty() { Returns::Void } else { rows(false) });
    }
    match &create.returns {
        None if out.is_empty() => Err(invalid("function result type must be specified")),
        None => Ok(rows(false)),
        Some(ParsedReturns::Table(_)) if !out.is_empty() => {
            Err(Error::new("42601", "OUT and INOUT arguments aren't allowed in TABLE functions"))
        }
        Some(ParsedReturns::Table(columns)) => {
            let columns = columns.iter().map(|(name, ty)| Ok((names::stored(name), type_of(context, ty)?)));
            Ok(Returns::Rows { columns: columns.collect::<Result<_>>()?, set: true })
        }
        Some(ParsedReturns::Type { ty, set }) => {
            let word = ty.to_string().to_lowercase();
            match word.as_str() {
                "record" if !out.is_empty() => return Ok(rows(*set)),
                "record" => return Ok(Returns::Rows { columns: Vec::new(), set: *set }),
                "trigger" if parameters.is_empty() => return Ok(Returns::Trigger),
                "trigger" => return Err(invalid("trigger functions cannot have declared arguments")),
                "void" if out.is_empty() => return Ok(Returns::Void),
                _ => {}
            }
            let returns = of_type(context, catalog, ty, *set)?;
            if let [one] = out.as_slice() {
                match &returns {
                    Returns::Value { ty, .. } if ty.base_name() == one.ty.base_name() => {
                        return Ok(rows(*set));
                    }
                    _ => {
                        let ty = one.ty.base_name();
                        return Err(invalid(format!(
                            "function result type must be {ty} because of OUT parameters"
                        )));
                    }
                }
            }
            match out.is_empty() {
                true => Ok(returns),
                false => Err(invalid("function result type must be record because of OUT parameters")),
            }
        }
    }
}

fn of_type(context: &Context, catalog: &Catalog, ty: &SqlType, set: bool) -> Result<Returns> {
    if let Ok(ty) = data_type(ty) {
        return Ok(Returns::Value { ty: ty.without_limit(), set });
    }
    if let SqlType::Custom(name, _) = ty
        && let Ok((schema, relation)) = catalog::resolve_name(context, catalog, name)
    {
        match catalog.relation(&schema, &relation) {
            Some(Relation::Table(table)) => return Ok(Returns::Relation { object: table.id, set }),
            Some(Relation::View(view)) => return Ok(Returns::Relation { object: view.id, set }),
            _ => {}
        }
    }
    Ok(Returns::Value { ty: type_of(context, ty)?, set })
}

/// The type of a parameter or result.
pub(super) fn type_of(context: &Context, ty: &SqlType) -> Result<DataType> {
    if let SqlType::Custom(name, _) = ty
        && let Some(any) = Polymorphic::parse(&name.to_string().to_lowercase())
    {
        return Ok(any.data_type());
    }
    match named_types::named(context, ty) {
        Ok(named) if named.domain.is_some() => {
            Err(Error::unsupported(format!("a parameter or result of the domain {ty}")))
        }
        Ok(named) => Ok(named.ty.without_limit()),
        Err(error) if error.sqlstate() == "42704" => {
            Err(Error::new("42704", format!("type {ty} does not exist")))
        }
        Err(error) => Err(error),
    }
}

/// The tables and views that the statements name.
fn dependencies(context: &Context, catalog: &Catalog, body: &Body) -> Result<Vec<ObjectId>> {
    let mut found = Vec::new();
    for (statement, _) in &body.statements {
        for name in relations_of(statement) {
            let (schema, relation) = catalog::resolve_name(context, catalog, &name)?;
            let id = match catalog.relation(&schema, &relation) {
                Some(Relation::Table(table)) => table.id,
                Some(Relation::View(view)) => view.id,
                _ => continue,
            };
            if !found.contains(&id) {
                found.push(id);
            }
        }
    }
    Ok(found)
}

/// Plans the statements with NULL for each parameter, and looks at what the last one gives.
fn check(context: &Context, catalog: &Catalog, routine: &RoutineDescriptor, body: &Body) -> Result<()> {
    let last = check_statements(context, routine, body)?;
    check_result(catalog, routine, body, last)
}

/// Plans the statements; what the last one gives.
fn check_statements(
    context: &Context,
    routine: &RoutineDescriptor,
    body: &Body,
) -> Result<Option<Vec<Column>>> {
    let values: Vec<(Value, DataType)> =
        routine.inputs().map(|input| (Value::Null, input.ty.clone())).collect();
    let mut last: Option<Vec<Column>> = None;
    for (statement, _) in &body.statements {
        let mut bound = statement.clone();
        body::bind(&mut bound, &values)?;
        last = match bound {
            Statement::Query(_)
            | Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Merge(_) => {
                let columns = query::describe::statement(context, &bound, &[])?.columns;
                Some(columns).filter(|columns| !columns.is_empty() || matches!(bound, Statement::Query(_)))
            }
            _ => None,
        };
    }
    Ok(last)
}

fn check_result(
    catalog: &Catalog,
    routine: &RoutineDescriptor,
    body: &Body,
    last: Option<Vec<Column>>,
) -> Result<()> {
    if matches!(routine.returns, Returns::Void) {
        return Ok(());
    }
    let wanted = columns(catalog, routine)?;
    let error = function::mismatch(routine);
    let Some(last) = last else {
        return Err(
            error.with_detail("Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.")
        );
    };
    if let [row] = last.as_slice()
        && gives_rows(routine)
        && crate::functions::composite::composite(&row.ty).is_some()
        && is_assignable(&row.ty, &super::value_type(catalog, routine)?)
    {
        return Ok(());
    }
    if super::is_record(routine) {
        return Ok(());
    }
    if last.len() != wanted.len() {
        return Err(error.with_detail(match wanted.len() {
            1 => "Final statement must return exactly one column.".to_owned(),
            _ if last.len() < wanted.len() => "Final statement returns too few columns.".to_owned(),
            _ => "Final statement returns too many columns.".to_owned(),
        }));
    }
    for (at, (own, (_, ty))) in last.iter().zip(&wanted).enumerate() {
        let from = &own.ty;
        let text_to_other = from.is_character() && !ty.is_character();
        let is_literal = literal_column(body, at);
        if (!is_assignable(from, ty) || text_to_other) && !is_literal {
            let from = crate::functions::overload::type_name(from);
            return Err(error.with_detail(match wanted.len() {
                1 => format!("Actual return type is {from}."),
                _ => {
                    let to = crate::functions::overload::type_name(ty);
                    format!("Final statement returns {from} instead of {to} at column {}.", at + 1)
                }
            }));
        }
    }
    Ok(())
}

/// The columns of what the last statement of a function gives that returns `record`.
///
/// # Errors
/// Those of planning it.
pub(super) fn described(context: &Context, routine: &RoutineDescriptor) -> Result<Vec<(String, DataType)>> {
    let body = Body::of(context, routine)?;
    let last = check_statements(context, routine, &body)?.unwrap_or_default();
    Ok(last.into_iter().map(|column| (column.name, column.ty)).collect())
}

/// Whether a column of the last statement is a literal, which takes any type, or a NULL.
fn literal_column(body: &Body, at: usize) -> bool {
    use sqlparser::ast::{SelectItem, SetExpr};
    let Some((Statement::Query(query), _)) = body.statements.last() else { return false };
    let SetExpr::Select(select) = &*query.body else { return false };
    match select.projection.get(at) {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
            crate::dml::literal::is_unknown(expr) && body::number_of(expr).is_none()
        }
        _ => false,
    }
}

/// The schema, where it is given, and the name of a routine.
pub(crate) fn name_of(name: &ObjectName) -> Result<(Option<String>, String)> {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(names::stored).collect();
    match parts.as_slice() {
        [name] => Ok((None, name.clone())),
        [schema, name] => Ok((Some(schema.clone()), name.clone())),
        _ => Err(Error::new("0A000", format!("cross-database references are not implemented: {name}"))),
    }
}
