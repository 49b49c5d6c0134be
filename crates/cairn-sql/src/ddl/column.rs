//! Column definitions and constraints, from the parser's form to the engine's.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use cairn_engine::catalog::{ReferentialAction, TypeKind};
use cairn_engine::ddl::{ColumnSpec, ConstraintSpec, ExpressionSpec, Generation, SequenceOptions};
use cairn_types::DataType;
use sqlparser::ast::{
    self, CheckConstraint, ColumnDef, ColumnOption, ConstraintCharacteristics, Expr, ForeignKeyConstraint,
    GeneratedAs, Ident, IndexColumn, ObjectName, TableConstraint, Visit, Visitor,
};

use super::names::stored;
use super::sequence;
use crate::context::Context;
use crate::dml::relations::{self, Relation};
use crate::dml::{assign, literal};
use crate::parse::named_types::{self, Named};
use crate::session::variables::fold;
use crate::{Error, Result, catalog};

/// A column with the constraints that stood beside it.
#[derive(Debug)]
pub(super) struct Defined {
    pub(super) column: ColumnSpec,
    pub(super) constraints: Vec<ConstraintSpec>,
    /// Conditions of CHECK, to be validated when all columns are known.
    pub(super) checks: Vec<Expr>,
    /// DEFAULT, still parsed.
    pub(super) default: Option<Expr>,
    /// GENERATED ALWAYS AS, to be read when all columns are known.
    pub(super) expression: Option<Expr>,
}

/// The type of SERIAL and its relatives.
fn serial(ty: &ast::DataType) -> Option<DataType> {
    let ast::DataType::Custom(name, modifiers) = ty else { return None };
    if !modifiers.is_empty() {
        return None;
    }
    match name.to_string().to_ascii_lowercase().as_str() {
        "serial" | "serial4" => Some(DataType::Integer),
        "bigserial" | "serial8" => Some(DataType::BigInt),
        "smallserial" | "serial2" => Some(DataType::SmallInt),
        _ => None,
    }
}

/// Reads a column definition.
///
/// # Errors
/// `42704` for its type, `0A000` for options that are not supported, `42601` for options that contradict.
pub(super) fn define(context: &Context, table: &str, def: &ColumnDef) -> Result<Defined> {
    let name = stored(&def.name);
    let serial = serial(&def.data_type);
    let named = match &serial {
        Some(ty) => Named { ty: ty.clone(), domain: None },
        None => named_types::named(context, &def.data_type)?,
    };
    let ty = match &serial {
        Some(ty) => ty.clone(),
        None => named.ty.clone(),
    };
    let mut column = ColumnSpec::new(name.clone(), ty);
    column.domain = named.domain;
    if serial.is_some() {
        column.generation = Some(Generation::Serial);
        column.nullable = false;
    }
    let mut defined =
        Defined { column, constraints: Vec::new(), checks: Vec::new(), default: None, expression: None };
    let mut null = None;
    for option in &def.options {
        let constraint = option.name.as_ref().map(stored);
        match &option.option {
            ColumnOption::Null => set_null(&mut null, true, table, &name)?,
            ColumnOption::NotNull => set_null(&mut null, false, table, &name)?,
            ColumnOption::Default(expr) => {
                if defined.default.is_some() {
                    let message = format!(
                        "multiple default values specified for column \"{name}\" of table \"{table}\""
                    );
                    return Err(Error::new("42601", message));
                }
                defined.default = Some(expr.clone());
            }
            ColumnOption::PrimaryKey(key) => {
                let deferrable = deferral(key.characteristics.as_ref())?;
                let columns = vec![name.clone()];
                defined.constraints.push(ConstraintSpec::PrimaryKey {
                    name: constraint,
                    columns,
                    deferrable,
                });
                defined.column.nullable = false;
            }
            ColumnOption::Unique(unique) => {
                let deferrable = deferral(unique.characteristics.as_ref())?;
                defined.constraints.push(ConstraintSpec::Unique {
                    name: constraint,
                    columns: vec![name.clone()],
                    nulls_not_distinct: unique.nulls_distinct == ast::NullsDistinctOption::NotDistinct,
                    include: Vec::new(),
                    deferrable,
                });
            }
            ColumnOption::ForeignKey(key) => {
                let key = foreign_key(context, key, constraint, vec![name.clone()])?;
                defined.constraints.push(key);
            }
            ColumnOption::Check(check) => {
                let constraint = constraint.or_else(|| check.name.as_ref().map(stored));
                defined.constraints.push(check_spec(check, constraint)?);
                defined.checks.push(Expr::clone(&check.expr));
            }
            ColumnOption::Generated { generated_as, sequence_options, generation_expr: None, .. } => {
                let always = match generated_as {
                    GeneratedAs::Always => true,
                    GeneratedAs::ByDefault => false,
                    GeneratedAs::ExpStored => return Err(Error::unsupported("a generated column")),
                };
                if !matches!(defined.column.ty, DataType::SmallInt | DataType::Integer | DataType::BigInt) {
                    return Err(Error::new(
                        "22023",
                        "identity column type must be smallint, integer, or bigint",
                    ));
                }
                let mut options = SequenceOptions::default();
                sequence::options(sequence_options.as_deref().unwrap_or(&[]), &mut options)?;
                options.ty = Some(defined.column.ty.clone());
                defined.column.generation = Some(Generation::Identity { always, options });
                defined.column.nullable = false;
            }
            ColumnOption::Generated {
                generation_expr: Some(expr),
                generation_expr_mode: Some(ast::GeneratedExpressionMode::Stored),
                generated_as: GeneratedAs::Always | GeneratedAs::ExpStored,
                sequence_options: None,
                ..
            } => defined.expression = Some(expr.clone()),
            ColumnOption::Generated { .. } => return Err(Error::unsupported("a virtual generated column")),
            ColumnOption::Collation(collation) => collation_supported(collation)?,
            other => return Err(Error::unsupported(format!("column option {other}"))),
        }
    }
    if let Some(nullable) = null {
        if nullable && !defined.column.nullable && defined.column.generation.is_some() {
            let message =
                format!("conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{table}\"");
            return Err(Error::new("42601", message));
        }
        defined.column.nullable &= nullable;
    }
    if defined.expression.is_some() && (defined.default.is_some() || defined.column.generation.is_some()) {
        let what = if defined.default.is_some() { "default" } else { "identity" };
        let message = format!(
            "both {what} and generation expression specified for column \"{name}\" of table \"{table}\""
        );
        return Err(Error::new("42601", message));
    }
    if let Some(expr) = &defined.default {
        if defined.column.generation.is_some() {
            let what = if serial.is_some() { "default values" } else { "both default and identity" };
            let message = match serial {
                Some(_) => format!("multiple {what} specified for column \"{name}\" of table \"{table}\""),
                None => format!("{what} specified for column \"{name}\" of table \"{table}\""),
            };
            return Err(Error::new("42601", message));
        }
        validate_default(context, expr, &name, &defined.column.ty)?;
        if !is_null(expr) {
            defined.column.default = Some(crate::dml::default::bound(context, expr)?);
        }
    } else if defined.expression.is_none() && defined.column.generation.is_none() {
        defined.default = of_domain(context, &defined.column)?;
    }
    Ok(defined)
}

/// The default of a column's domain, with which rows that are there already are filled.
fn of_domain(context: &Context, column: &ColumnSpec) -> Result<Option<Expr>> {
    let Some(domain) = column.domain else { return Ok(None) };
    let catalog = context.catalog()?;
    match catalog.type_by_id(domain).map(|ty| &ty.kind) {
        Some(TypeKind::Domain { default: Some(sql), .. }) => crate::dml::default::parse_expr(sql).map(Some),
        _ => Ok(None),
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value == ast::Value::Null)
}

fn set_null(null: &mut Option<bool>, to: bool, table: &str, column: &str) -> Result<()> {
    if null.replace(to).is_some_and(|before| before != to) {
        let message =
            format!("conflicting NULL/NOT NULL declarations for column \"{column}\" of table \"{table}\"");
        return Err(Error::new("42601", message));
    }
    Ok(())
}

fn collation_supported(collation: &ObjectName) -> Result<()> {
    let name = collation.0.last().and_then(|part| part.as_ident()).map(|i| i.value.to_ascii_lowercase());
    match name.as_deref() {
        Some("c" | "posix" | "default" | "ucs_basic" | "c.utf8" | "c.utf-8") => Ok(()),
        _ => Err(Error::unsupported(format!("collation {collation}"))
            .with_hint("Text compares by its bytes: \"C\".")),
    }
}

/// DEFERRABLE of a key: whether it is INITIALLY DEFERRED too.
fn deferral(characteristics: Option<&ConstraintCharacteristics>) -> Result<Option<bool>> {
    let Some(c) = characteristics else { return Ok(None) };
    if c.enforced == Some(false) {
        return Err(Error::unsupported("a constraint that is NOT ENFORCED"));
    }
    let initially = matches!(c.initially, Some(ast::DeferrableInitial::Deferred));
    match c.deferrable {
        Some(false) if initially => {
            Err(Error::new("42601", "constraint declared INITIALLY DEFERRED must be DEFERRABLE"))
        }
        Some(true) => Ok(Some(initially)),
        _ => Ok(initially.then_some(true)),
    }
}

fn check_spec(check: &CheckConstraint, name: Option<String>) -> Result<ConstraintSpec> {
    if check.enforced == Some(false) {
        return Err(Error::unsupported("a constraint that is NOT ENFORCED"));
    }
    let columns = identifiers(&check.expr);
    Ok(ConstraintSpec::Check { name, sql: check.expr.to_string(), columns, not_valid: false })
}

/// The column names in an expression, each once, in order.
pub(super) fn identifiers(expr: &Expr) -> Vec<String> {
    struct Names(Vec<String>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let name = match expr {
                Expr::Identifier(ident) => Some(fold(ident)),
                Expr::CompoundIdentifier(parts) => parts.last().map(fold),
                _ => None,
            };
            if let Some(name) = name
                && !self.0.contains(&name)
            {
                self.0.push(name);
            }
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(Vec::new());
    // Fields of values are no columns.
    let mut expr = expr.clone();
    crate::parse::composites::fields_of(&mut expr);
    // Never breaks.
    let _ = expr.visit(&mut names);
    names.0
}

fn key_columns(columns: &[IndexColumn]) -> Result<Vec<String>> {
    columns
        .iter()
        .map(|column| match &column.column.expr {
            Expr::Identifier(ident) => Ok(fold(ident)),
            other => Err(Error::new("42601", format!("syntax error at or near \"{other}\""))),
        })
        .collect()
}

fn action(action: Option<ast::ReferentialAction>) -> ReferentialAction {
    match action {
        None | Some(ast::ReferentialAction::NoAction) => ReferentialAction::NoAction,
        Some(ast::ReferentialAction::Restrict) => ReferentialAction::Restrict,
        Some(ast::ReferentialAction::Cascade) => ReferentialAction::Cascade,
        Some(ast::ReferentialAction::SetNull) => ReferentialAction::SetNull,
        Some(ast::ReferentialAction::SetDefault) => ReferentialAction::SetDefault,
    }
}

fn foreign_key(
    context: &Context,
    key: &ForeignKeyConstraint,
    name: Option<String>,
    columns: Vec<String>,
) -> Result<ConstraintSpec> {
    let deferrable = deferral(key.characteristics.as_ref())?;
    if matches!(
        key.match_kind,
        Some(ast::ConstraintReferenceMatchKind::Full | ast::ConstraintReferenceMatchKind::Partial)
    ) {
        return Err(Error::unsupported("MATCH FULL or PARTIAL"));
    }
    let all = context.catalog()?;
    let parent = catalog::resolve_name(context, &all, &key.foreign_table)?;
    let parent_columns: Vec<String> = key.referred_columns.iter().map(fold).collect();
    if let Ok(table) = all.table(&parent.0, &parent.1) {
        crate::privileges::changes::require_references(context, &table, &parent_columns)?;
    }
    Ok(ConstraintSpec::ForeignKey {
        name,
        columns,
        parent,
        parent_columns,
        on_delete: action(key.on_delete),
        on_update: action(key.on_update),
        not_valid: false,
        deferrable,
    })
}

/// Refuses what other dialects say of the index of a key.
fn refuse_index_clause(plain: bool) -> Result<()> {
    match plain {
        true => Ok(()),
        false => Err(Error::unsupported("an index clause in a constraint")),
    }
}

/// Reads a constraint of a table; the condition of a CHECK comes with it.
///
/// # Errors
/// `0A000` for what is not supported, `42601`.
pub(super) fn constraint(
    context: &Context,
    constraint: &TableConstraint,
) -> Result<(ConstraintSpec, Option<Expr>)> {
    let named = |name: &Option<Ident>| name.as_ref().map(stored);
    Ok(match constraint {
        TableConstraint::PrimaryKey(key) => {
            let deferrable = deferral(key.characteristics.as_ref())?;
            let plain = key.index_name.is_none() && key.index_type.is_none() && key.index_options.is_empty();
            refuse_index_clause(plain)?;
            let columns = key_columns(&key.columns)?;
            (ConstraintSpec::PrimaryKey { name: named(&key.name), columns, deferrable }, None)
        }
        TableConstraint::Unique(key) => {
            let deferrable = deferral(key.characteristics.as_ref())?;
            let plain = key.index_name.is_none() && key.index_type.is_none() && key.index_options.is_empty();
            refuse_index_clause(plain)?;
            let unique = ConstraintSpec::Unique {
                name: named(&key.name),
                columns: key_columns(&key.columns)?,
                nulls_not_distinct: key.nulls_distinct == ast::NullsDistinctOption::NotDistinct,
                include: Vec::new(),
                deferrable,
            };
            (unique, None)
        }
        TableConstraint::ForeignKey(key) => {
            refuse_index_clause(key.index_name.is_none())?;
            let columns = key.columns.iter().map(fold).collect();
            (foreign_key(context, key, named(&key.name), columns)?, None)
        }
        TableConstraint::Check(check) => {
            (check_spec(check, named(&check.name))?, Some(Expr::clone(&check.expr)))
        }
        other => return Err(Error::unsupported(format!("constraint {other}"))),
    })
}

/// Reads the expression of a generated column. `others` are the columns that it may name.
///
/// # Errors
/// As those of index expressions; `42P17` where it names a generated column, `42804` for its type.
pub(super) fn generated(
    context: &Context,
    table: &str,
    others: &[(String, DataType)],
    generated: &[String],
    column: &ColumnSpec,
    expr: &Expr,
) -> Result<ExpressionSpec> {
    if let Some(name) = identifiers(expr).into_iter().find(|name| generated.contains(name)) {
        return Err(Error::new(
            "42P17",
            format!("cannot use generated column \"{name}\" in column generation expression"),
        )
        .with_detail("A generated column cannot reference another generated column."));
    }
    let spec =
        super::expression::immutable_over(context, table, others, expr, "column generation expression")
            .map_err(|error| match error.sqlstate() {
                "42P17" => Error::new("42P17", "generation expression is not immutable"),
                _ => error,
            })?;
    if !literal::is_unknown(expr) && !assign::is_assignable(&spec.ty, &column.ty) {
        let (name, to, from) = (&column.name, column.ty.sql_name(), spec.ty.sql_name());
        return Err(Error::new(
            "42804",
            format!("column \"{name}\" is of type {to} but default expression is of type {from}"),
        )
        .with_hint("You will need to rewrite or cast the expression."));
    }
    Ok(spec)
}

/// A relation of those columns without rows, to plan expressions over.
pub(super) fn empty(alias: &str, columns: &[(String, DataType)]) -> Relation {
    let fields: Vec<_> = columns.iter().map(|(name, ty)| ty.to_field(name, true)).collect();
    let rows = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
    Relation { alias: alias.to_owned(), rows, in_wildcard: false }
}

/// Checks that the condition of a CHECK can be evaluated over a row and is a boolean.
///
/// # Errors
/// `42703`, `42804`, `0A000` for subqueries, and whatever planning says.
pub(super) fn validate_check(
    context: &Context,
    table: &str,
    columns: &[(String, DataType)],
    condition: &Expr,
) -> Result<()> {
    refuse_subquery(condition, "check constraint")?;
    let known = |name: &str| columns.iter().any(|(column, _)| column == name);
    let plan = relations::plan(
        context,
        &[empty(table, columns)],
        &[relations::item(condition.clone(), "ok")],
        None,
    )?;
    if crate::routine::function::is_called(&plan)? {
        super::expression::only_expressions(context, table, columns, condition, "check constraint")?;
    }
    let ty = DataType::from_field(plan.schema().field(0));
    let is_null = plan.schema().field(0).data_type().is_null();
    if ty != DataType::Boolean && !is_null {
        let ty = ty.sql_name();
        return Err(Error::new("42804", format!("argument of CHECK must be type boolean, not type {ty}")));
    }
    match identifiers(condition).into_iter().find(|name| !known(name)) {
        Some(name) if !is_word(&name) => {
            Err(Error::new("42703", format!("column \"{name}\" does not exist")))
        }
        _ => Ok(()),
    }
}

/// Words that the parser gives as identifiers and that are no columns.
pub(super) fn is_word(name: &str) -> bool {
    matches!(
        name,
        "current_date"
            | "current_timestamp"
            | "current_time"
            | "localtime"
            | "localtimestamp"
            | "current_user"
    )
}

pub(super) fn refuse_subquery(expr: &Expr, place: &str) -> Result<()> {
    struct Search(bool);
    impl Visitor for Search {
        type Break = ();
        fn pre_visit_query(&mut self, _: &ast::Query) -> ControlFlow<()> {
            self.0 = true;
            ControlFlow::Break(())
        }
    }
    let mut search = Search(false);
    let _ = expr.visit(&mut search);
    match search.0 {
        true => Err(Error::new("0A000", format!("cannot use subquery in {place}"))),
        false => Ok(()),
    }
}

/// Checks that a DEFAULT can be evaluated and assigned to its column.
///
/// # Errors
/// `42804`, `0A000`, `22P02` and whatever planning says.
pub(super) fn validate_default(context: &Context, expr: &Expr, column: &str, ty: &DataType) -> Result<()> {
    if literal::is_default(expr) {
        return Err(Error::new("42601", "DEFAULT is not allowed in this context"));
    }
    if literal::value(expr, ty, column, &[], context.zone())?.is_some() {
        return Ok(());
    }
    refuse_subquery(expr, "DEFAULT expression")?;
    if identifiers(expr).iter().any(|name| !is_word(name)) {
        return Err(Error::new("0A000", "cannot use column reference in DEFAULT expression"));
    }
    let rows = empty("__cairn_default", &[("__cairn_row".to_owned(), DataType::BigInt)]);
    let plan = relations::plan(context, &[rows], &[relations::item(expr.clone(), "value")], None)?;
    let field = plan.schema().field(0);
    let from = DataType::from_field(field);
    if field.data_type().is_null() || assign::is_assignable(&from, ty) {
        return Ok(());
    }
    let (ty, from) = (ty.sql_name(), from.sql_name());
    let message = format!("column \"{column}\" is of type {ty} but default expression is of type {from}");
    Err(Error::new("42804", message).with_hint("You will need to rewrite or cast the expression."))
}
