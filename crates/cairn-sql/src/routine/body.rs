//! Running the body of a routine: its statements one after the other, with values in the place of its parameters.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use cairn_engine::catalog::{BodyForm, RoutineDescriptor};
use cairn_types::{DataType, Value};
use sqlparser::ast::{CastKind, Expr, SetExpr, Statement, Value as Literal};

use super::DEPTH_MAX;
use super::names::{self, Parameters};
use crate::context::{Body as Surroundings, Context};
use crate::parse;
use crate::results::StatementResult;
use crate::session::waits::wait_for_tables;
use crate::{Error, Result, catalog, ddl, session};

/// A body, read, with numbers in the place of names of parameters.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) statements: Vec<(Statement, String)>,
}

/// What the last statement of a body gave.
pub(crate) struct Outcome {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

/// What a routine's body calls its inputs.
pub(crate) fn parameters(routine: &RoutineDescriptor) -> Parameters {
    let mut parameters = Parameters::default();
    let mut row = Vec::new();
    for (at, input) in routine.inputs().enumerate() {
        parameters.add(&input.name, at + 1);
        if crate::functions::composite::composite(&input.ty).is_some() {
            parameters.add_composite(&input.name, at + 1);
        }
        row.push((input.name.clone(), at + 1));
    }
    parameters.add_row(&routine.name, row);
    parameters
}

impl Body {
    /// Reads the statements of a body.
    ///
    /// # Errors
    /// Whatever the parser says, and `42703` for a column that a row does not have.
    pub(crate) fn read(
        context: &Context,
        form: BodyForm,
        text: &str,
        parameters: &Parameters,
    ) -> Result<Body> {
        let whole;
        let text = match form {
            BodyForm::Return => {
                whole = format!("SELECT {text}");
                &whole
            }
            BodyForm::Text | BodyForm::Atomic => text,
        };
        let mut statements = Vec::new();
        let mut rest = text;
        while let Some((own, more)) = parse::split::first(rest) {
            rest = more;
            // What is not text of the user's own was looked at when it was bound.
            if form == BodyForm::Text {
                parse::guard::refuse_marks(own)?;
            }
            parse::guard::check(own)?;
            let mut statement = parse::parse_text(own)?;
            names::resolve(context, &mut statement, parameters)?;
            statements.push((statement, own.to_owned()));
        }
        Ok(Body { statements })
    }

    /// The body of a routine.
    ///
    /// # Errors
    /// As [`Body::read`].
    pub(crate) fn of(context: &Context, routine: &RoutineDescriptor) -> Result<Body> {
        Body::read(context, routine.form, &routine.body, &parameters(routine))
    }

    /// Runs the statements; what the last one gave.
    ///
    /// # Errors
    /// `54001` where bodies nest too deep; those of the statements.
    pub(crate) fn run(
        &self,
        context: &Context,
        surroundings: Surroundings,
        values: &[(Value, DataType)],
    ) -> Result<Outcome> {
        let triggers = context.scope.trigger_depth() + surroundings.triggers;
        let around = context.scope.body.as_ref();
        let written = surroundings.written.or_else(|| around.and_then(|body| body.written.clone()));
        let depth = context.scope.depth() + 1;
        let surroundings = Surroundings { depth, triggers, written, ..surroundings };
        if surroundings.depth > DEPTH_MAX {
            return Err(Error::new("54001", "stack depth limit exceeded")
                .with_detail(format!("Functions and triggers call each other more than {DEPTH_MAX} deep.")));
        }
        // The snapshot of a statement that goes on stays, whatever is waited for within.
        let _pinned = surroundings.nested.then(|| context.txn().pin_statement());
        let inner = Context { scope: Arc::new(context.scope.in_body(surroundings)) };
        let mut last = Ok(Outcome { schema: Arc::new(Schema::empty()), batches: Vec::new() });
        // What it makes is the role's that it runs as.
        let role = context.txn().role();
        context.txn().set_role(inner.role());
        for (statement, text) in &self.statements {
            last = run_one(&inner, statement, text, values);
            if last.is_err() {
                break;
            }
        }
        context.txn().set_role(role);
        last
    }
}

/// The text of a body that is read when the routine is made: what it names has its schema, as in PostgreSQL.
///
/// # Errors
/// Whatever the parser says.
pub(super) fn bound(context: &Context, form: BodyForm, text: &str) -> Result<String> {
    parse::guard::refuse_marks(text)?;
    let catalog = context.catalog()?;
    if form == BodyForm::Return {
        let expr = crate::dml::default::parse_expr(text)?;
        let mut bound = expr.clone();
        catalog::view::bind(context, &catalog, &mut bound);
        return Ok(if bound == expr { text.to_owned() } else { bound.to_string() });
    }
    let (mut statements, mut changed) = (Vec::new(), false);
    let mut rest = text;
    while let Some((own, more)) = parse::split::first(rest) {
        rest = more;
        parse::guard::check(own)?;
        let statement = parse::parse_text(own)?;
        let mut bound = statement.clone();
        catalog::view::bind(context, &catalog, &mut bound);
        changed |= bound != statement;
        statements.push(if bound == statement { own.to_owned() } else { bound.to_string() });
    }
    Ok(if changed { statements.join("; ") } else { text.to_owned() })
}

fn run_one(
    context: &Context,
    statement: &Statement,
    text: &str,
    values: &[(Value, DataType)],
) -> Result<Outcome> {
    let nested = context.scope.body.as_ref().is_some_and(|body| body.nested);
    check(statement, text, nested)?;
    let mut bound = statement.clone();
    bind(&mut bound, values)?;
    if !nested {
        context.txn().begin_statement()?;
    }
    wait_for_tables(context, &bound)?;
    // A plan may be kept under the text of a statement, but this one's has names for values.
    let text = if values.is_empty() { text } else { "" };
    match session::run(context, &bound, text)? {
        StatementResult::Rows(rows) => {
            let schema = Arc::clone(rows.schema());
            Ok(Outcome { schema, batches: rows.collect()? })
        }
        StatementResult::Command { .. } => {
            Ok(Outcome { schema: Arc::new(Schema::empty()), batches: Vec::new() })
        }
    }
}

/// Refuses what a body may not do.
fn check(statement: &Statement, text: &str, nested: bool) -> Result<()> {
    let words = || session::first_words(text, 1);
    match statement {
        Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. } => {
            Err(Error::new("0A000", format!("{} is not allowed in an SQL function", words())))
        }
        Statement::Copy { .. } | Statement::Vacuum(_) => {
            Err(Error::new("0A000", format!("{} is not allowed in an SQL function", words())))
        }
        Statement::Query(_)
        | Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::Merge(_)
        | Statement::LISTEN { .. }
        | Statement::UNLISTEN { .. }
        | Statement::NOTIFY { .. } => Ok(()),
        Statement::Truncate(_) if !nested => Ok(()),
        Statement::Call(_) if !ddl::is_definition(statement) => Ok(()),
        other if ddl::is_definition(other) && !nested => Ok(()),
        _ => Err(Error::unsupported(format!("{} in the body of a function", session::first_words(text, 2)))
            .with_hint("A procedure that is called by itself may do so.")),
    }
}

/// Puts values in the place of `$n`.
pub(crate) fn bind(statement: &mut Statement, values: &[(Value, DataType)]) -> Result<()> {
    // Bare literals are read as the columns' types, and need no plan.
    let is_values = match &*statement {
        Statement::Insert(insert) => {
            insert.source.as_ref().is_some_and(|source| matches!(*source.body, SetExpr::Values(_)))
        }
        _ => false,
    };
    struct Binder<'v> {
        values: &'v [(Value, DataType)],
        is_values: bool,
    }
    impl sqlparser::ast::VisitorMut for Binder<'_> {
        type Break = Error;
        fn post_visit_expr(&mut self, expr: &mut Expr) -> std::ops::ControlFlow<Error> {
            let Some(number) = number_of(expr) else { return std::ops::ControlFlow::Continue(()) };
            match self.values.get(number.wrapping_sub(1)) {
                Some((value, ty)) => *expr = literal(value, ty, self.is_values),
                None => {
                    return std::ops::ControlFlow::Break(Error::new(
                        "42P02",
                        format!("there is no parameter ${number}"),
                    ));
                }
            }
            std::ops::ControlFlow::Continue(())
        }
    }
    match sqlparser::ast::VisitMut::visit(statement, &mut Binder { values, is_values }) {
        std::ops::ControlFlow::Continue(()) => Ok(()),
        std::ops::ControlFlow::Break(error) => Err(error),
    }
}

/// The number of `$n`.
pub(crate) fn number_of(expr: &Expr) -> Option<usize> {
    let Expr::Value(value) = expr else { return None };
    let Literal::Placeholder(name) = &value.value else { return None };
    name.strip_prefix('$')?.parse().ok()
}

/// A value as an expression of that type.
pub(crate) fn literal(value: &Value, ty: &DataType, bare: bool) -> Expr {
    let plain = parse::parameters::literal(value);
    let untyped = matches!(value, Value::Null | Value::Text(_));
    // An array without elements does not say of which type they are.
    let array = matches!((value, ty), (Value::Array(_), DataType::Array(_)));
    if !(untyped || array) || bare {
        return plain;
    }
    let plain = match array {
        true => parse::rewrite::string(value.to_text(ty)),
        false => plain,
    };
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(plain),
        data_type: parse::types::written(ty),
        array: false,
        format: None,
    }
}
