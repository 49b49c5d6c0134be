//! Running CREATE, ALTER and DROP of TYPE and DOMAIN.

use std::sync::Arc;

use cairn_engine::Catalog;
use cairn_engine::catalog::{DomainCheck, TypeDescriptor, TypeKind};
use cairn_engine::ddl::LabelPlace;
use cairn_types::EnumLabel;
use sqlparser::ast::{DataType as SqlType, Expr, Ident, ObjectName};

use super::column::{identifiers, refuse_subquery, validate_check, validate_default};
use super::names::{NAME_BYTES_MAX, stored, writable_schema};
use super::notice;
use super::type_statement::{DomainChange, DomainConstraint, TypeChange, TypeStatement};
use crate::context::Context;
use crate::functions::domain::VALUE;
use crate::parse::named_types::{self, Named};
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result};

/// Runs one of these statements.
pub(super) fn run(context: &Context, statement: &TypeStatement) -> Result<StatementResult> {
    match statement {
        TypeStatement::CreateEnum { name, labels } => create_enum(context, name, labels),
        TypeStatement::CreateDomain { name, base, constraints } => {
            create_domain(context, name, base, constraints)
        }
        TypeStatement::CreateComposite { name, attributes } => {
            let (schema, name) = for_creation(context, &*context.catalog()?, name)?;
            super::composite::create(context, &schema, &name, attributes)
        }
        TypeStatement::CreateOther(what) => Err(Error::unsupported(*what)),
        TypeStatement::AlterType { name, change } => alter_type(context, name, change),
        TypeStatement::AlterDomain { name, change } => alter_domain(context, name, change),
        TypeStatement::Drop { domain, if_exists, names, cascade } => {
            drop_types(context, *domain, *if_exists, names, *cascade)
        }
    }
}

/// The schema and name of a type to be made.
fn for_creation(context: &Context, catalog: &Catalog, name: &ObjectName) -> Result<(String, String)> {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(stored).collect();
    let (schema, ty) = match parts.as_slice() {
        [ty] => {
            let path = &context.scope.settings.search_path;
            let schema = path.iter().find(|schema| catalog.schema(schema).is_some());
            let missing = || Error::new("3F000", "no schema has been selected to create in");
            (schema.cloned().ok_or_else(missing)?, ty.clone())
        }
        [schema, ty] => (schema.clone(), ty.clone()),
        _ => {
            return Err(Error::new(
                "42601",
                format!("improper qualified name (too many dotted names): {name}"),
            ));
        }
    };
    writable_schema(&schema)?;
    crate::privileges::require_create(context, &schema)?;
    Ok((schema, ty))
}

fn require(context: &Context, name: &ObjectName) -> Result<Arc<TypeDescriptor>> {
    let catalog = context.catalog()?;
    let found = named_types::find(context, &catalog, name).ok_or_else(|| missing(name))?;
    match catalog.type_by_id(found.id) {
        Some(_) => {
            crate::privileges::require_type_owner(context, &found, false)?;
            Ok(found)
        }
        None => Err(Error::new("42809", format!("{} is a table's row type", found.sql_name()))
            .with_hint("Use ALTER TABLE instead.")),
    }
}

fn missing(name: &ObjectName) -> Error {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
    Error::new("42704", format!("type \"{}\" does not exist", parts.join(".")))
}

fn valid_label(label: &str) -> Result<()> {
    if label.len() > NAME_BYTES_MAX {
        return Err(Error::new("42602", format!("invalid enum label \"{label}\""))
            .with_detail(format!("Labels must be {NAME_BYTES_MAX} bytes or less.")));
    }
    Ok(())
}

fn create_enum(context: &Context, name: &ObjectName, labels: &[String]) -> Result<StatementResult> {
    let (schema, name) = for_creation(context, &*context.catalog()?, name)?;
    for (at, label) in labels.iter().enumerate() {
        valid_label(label)?;
        if labels[..at].contains(label) {
            let message = "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"";
            return Err(Error::new("23505", message));
        }
    }
    let labels = labels.iter().zip(1u32..);
    let labels = labels.map(|(text, order)| EnumLabel { order: f64::from(order), text: text.clone() });
    context.txn().create_type(&schema, &name, TypeKind::Enum(labels.collect()))?;
    Ok(StatementResult::command("CREATE TYPE"))
}

/// A domain under construction or change.
struct Domain<'a> {
    context: &'a Context,
    name: String,
    base: cairn_types::DataType,
    nullable: bool,
    default: Option<String>,
    checks: Vec<DomainCheck>,
}

impl Domain<'_> {
    fn set_default(&mut self, expr: &Expr) -> Result<()> {
        validate_default(self.context, expr, &self.name, &self.base)?;
        self.default = Some(expr.to_string());
        Ok(())
    }

    /// Adds a CHECK, under PostgreSQL's name where it has none.
    fn check(&mut self, name: Option<&Ident>, condition: &Expr, not_valid: bool) -> Result<()> {
        refuse_subquery(condition, "check constraint")?;
        if let Some(other) = identifiers(condition).into_iter().find(|name| name != VALUE) {
            return Err(Error::new("42703", format!("column \"{other}\" does not exist")));
        }
        validate_check(self.context, &self.name, &[(VALUE.to_owned(), self.base.clone())], condition)?;
        let taken = |name: &str| self.checks.iter().any(|check| check.name == name);
        let name = match name {
            Some(name) => stored(name),
            None => {
                let label = format!("{}_check", self.name);
                let numbered = (1..).map(|n| format!("{label}{n}"));
                let mut free = std::iter::once(label.clone()).chain(numbered).filter(|name| !taken(name));
                free.next().unwrap_or(label)
            }
        };
        if taken(&name) {
            let message = format!("constraint \"{name}\" for domain \"{}\" already exists", self.name);
            return Err(Error::new("42710", message));
        }
        self.checks.push(DomainCheck { name, sql: condition.to_string(), not_valid });
        self.checks.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    fn kind(self) -> TypeKind {
        let Domain { base, nullable, default, checks, .. } = self;
        TypeKind::Domain { base, nullable, default, checks }
    }
}

fn create_domain(
    context: &Context,
    name: &ObjectName,
    base: &SqlType,
    constraints: &[DomainConstraint],
) -> Result<StatementResult> {
    let (schema, name) = for_creation(context, &*context.catalog()?, name)?;
    let Named { ty: base, domain } = named_types::named(context, base)?;
    if domain.is_some() {
        return Err(Error::unsupported("a domain over a domain"));
    }
    let mut new =
        Domain { context, name: name.clone(), base, nullable: true, default: None, checks: Vec::new() };
    let mut null = None;
    for constraint in constraints {
        match constraint {
            DomainConstraint::Default(_) if new.default.is_some() => {
                return Err(Error::new("42601", "multiple default expressions"));
            }
            DomainConstraint::Default(expr) => new.set_default(expr)?,
            DomainConstraint::NotNull | DomainConstraint::Null => {
                let allowed = matches!(constraint, DomainConstraint::Null);
                if null.replace(allowed).is_some_and(|before| before != allowed) {
                    return Err(Error::new("42601", "conflicting NULL/NOT NULL constraints"));
                }
                new.nullable = allowed;
            }
            DomainConstraint::Check { name, condition, not_valid } => {
                new.check(name.as_ref(), condition, *not_valid)?;
            }
        }
    }
    context.txn().create_type(&schema, &name, new.kind())?;
    Ok(StatementResult::command("CREATE DOMAIN"))
}

fn alter_type(context: &Context, name: &ObjectName, change: &TypeChange) -> Result<StatementResult> {
    let ty = require(context, name)?;
    let txn = context.txn();
    let labels = match &ty.kind {
        TypeKind::Enum(labels) => Some(labels),
        TypeKind::Domain { .. } | TypeKind::Composite(_) => None,
    };
    let shown = ty.sql_name();
    match change {
        TypeChange::Attributes(actions) => super::composite::alter(context, &ty, actions)?,
        TypeChange::Rename(new) if !ty.is_domain() => txn.rename_type(&ty.schema, &ty.name, &stored(new))?,
        TypeChange::Rename(_) => {
            return Err(
                Error::new("42809", format!("{shown} is a domain")).with_hint("Use ALTER DOMAIN instead.")
            );
        }
        TypeChange::Other(what) => return Err(Error::unsupported(*what)),
        _ if labels.is_none() => return Err(Error::new("42809", format!("{shown} is not an enum"))),
        TypeChange::AddValue { label, if_not_exists, before, after } => {
            valid_label(label)?;
            if *if_not_exists && labels.is_some_and(|known| known.iter().any(|known| known.text == *label)) {
                notice(context, "42710", format!("enum label \"{label}\" already exists, skipping"));
                return Ok(StatementResult::command("ALTER TYPE"));
            }
            let place = match (before, after) {
                (Some(before), _) => LabelPlace::Before(before.clone()),
                (None, Some(after)) => LabelPlace::After(after.clone()),
                (None, None) => LabelPlace::Last,
            };
            txn.add_enum_label(&ty.schema, &ty.name, label, &place)?;
        }
        TypeChange::RenameValue { from, to } => {
            valid_label(to)?;
            txn.rename_enum_label(&ty.schema, &ty.name, from, to)?;
        }
    }
    Ok(StatementResult::command("ALTER TYPE"))
}

fn alter_domain(context: &Context, name: &ObjectName, change: &DomainChange) -> Result<StatementResult> {
    let ty = require(context, name)?;
    let TypeKind::Domain { base, nullable, default, checks } = ty.kind.clone() else {
        return Err(Error::new("42809", format!("{} is not a domain", ty.sql_name())));
    };
    let mut new = Domain { context, name: ty.name.clone(), base, nullable, default, checks };
    let unknown = |constraint: &str| {
        let message = format!("constraint \"{constraint}\" of domain \"{}\" does not exist", ty.name);
        Error::new("42704", message)
    };
    let done = || Ok(StatementResult::command("ALTER DOMAIN"));
    match change {
        DomainChange::SetDefault(Some(expr)) => new.set_default(expr)?,
        DomainChange::SetDefault(None) => new.default = None,
        DomainChange::SetNotNull(true) | DomainChange::Add(DomainConstraint::NotNull) => {
            keeps(context, &ty, None)?;
            new.nullable = false;
        }
        DomainChange::SetNotNull(false) => new.nullable = true,
        DomainChange::Add(DomainConstraint::Check { name, condition, not_valid }) => {
            if !not_valid {
                keeps(context, &ty, Some(&condition.to_string()))?;
            }
            new.check(name.as_ref(), condition, *not_valid)?;
        }
        DomainChange::Add(_) => return Err(Error::new("42601", "syntax error: a constraint expected")),
        DomainChange::DropConstraint { name, if_exists } => {
            let name = fold(name);
            let before = new.checks.len();
            new.checks.retain(|check| check.name != name);
            if new.checks.len() == before {
                if !if_exists {
                    return Err(unknown(&name));
                }
                let message =
                    format!("constraint \"{name}\" of domain \"{}\" does not exist, skipping", ty.name);
                notice(context, "00000", message);
                return done();
            }
        }
        DomainChange::RenameConstraint { from, to } => {
            let (from, to) = (fold(from), stored(to));
            if new.checks.iter().any(|check| check.name == to) {
                let message = format!("constraint \"{to}\" for domain {} already exists", ty.name);
                return Err(Error::new("42710", message));
            }
            let check = new.checks.iter_mut().find(|check| check.name == from);
            check.ok_or_else(|| unknown(&from))?.name = to;
            new.checks.sort_by(|a, b| a.name.cmp(&b.name));
        }
        DomainChange::Validate(name) => {
            let name = fold(name);
            let check =
                new.checks.iter_mut().find(|check| check.name == name).ok_or_else(|| unknown(&name))?;
            keeps(context, &ty, Some(&check.sql))?;
            check.not_valid = false;
        }
        DomainChange::Rename(to) => {
            context.txn().rename_type(&ty.schema, &ty.name, &stored(to))?;
            return done();
        }
        DomainChange::Other(what) => return Err(Error::unsupported(*what)),
    }
    context.txn().alter_domain(&ty.schema, &ty.name, new.kind())?;
    done()
}

/// Whether all values of a domain keep a new condition, or with none are not NULL.
fn keeps(context: &Context, domain: &TypeDescriptor, condition: Option<&str>) -> Result<()> {
    let catalog = context.catalog()?;
    for table in catalog.tables() {
        for column in table.live_columns().filter(|column| column.domain == Some(domain.id)) {
            broken(context, table, &column.name, condition)?;
        }
    }
    Ok(())
}

/// Whether a new column has only values of its domain.
pub(super) fn keeps_domain(context: &Context, table: &cairn_engine::Table, column: &str) -> Result<()> {
    let Some(own) = table.column_place(column).and_then(|place| table.domain(place)) else { return Ok(()) };
    let TypeKind::Domain { nullable, checks, .. } = &own.domain.kind else { return Ok(()) };
    let shown = own.domain.sql_name();
    let words = |error: Error, name: &str| match error.sqlstate() {
        "23502" => Error::new("23502", format!("domain {shown} does not allow null values")),
        "23514" => {
            let message = format!("value for domain {shown} violates check constraint \"{name}\"");
            Error::new("23514", message)
        }
        _ => error,
    };
    if !nullable {
        broken(context, table, column, None).map_err(|error| words(error, ""))?;
    }
    checks.iter().try_for_each(|check| {
        broken(context, table, column, Some(&check.sql)).map_err(|error| words(error, &check.name))
    })
}

/// The error where a column has values that break a condition over VALUE, or with none are NULL.
fn broken(
    context: &Context,
    table: &cairn_engine::Table,
    column: &str,
    condition: Option<&str>,
) -> Result<()> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let (own, schema, name) = (quoted(column), quoted(&table.schema), quoted(&table.name));
    let wanted = match condition {
        Some(condition) => format!("NOT ({condition})"),
        None => format!("{VALUE} IS NULL"),
    };
    let text = format!(
        "SELECT 1 FROM (SELECT {own} AS {VALUE} FROM {schema}.{name}) AS cairn_values WHERE {wanted} LIMIT 1"
    );
    let sqlparser::ast::Statement::Query(query) = crate::parse::parse_text(&text)? else {
        return Err(Error::internal("a query did not parse as one"));
    };
    let mut rows = context.run(context.plan_query(&query)?)?;
    while let Some(batch) = rows.next_batch()? {
        if batch.num_rows() > 0 {
            let table = &table.name;
            return Err(match condition {
                Some(_) => {
                    let what = "contains values that violate the new constraint";
                    Error::new("23514", format!("column \"{column}\" of table \"{table}\" {what}"))
                }
                None => Error::new(
                    "23502",
                    format!("column \"{column}\" of table \"{table}\" contains null values"),
                ),
            });
        }
    }
    Ok(())
}

fn drop_types(
    context: &Context,
    domain: bool,
    if_exists: bool,
    names: &[ObjectName],
    cascade: bool,
) -> Result<StatementResult> {
    let tag = if domain { "DROP DOMAIN" } else { "DROP TYPE" };
    let catalog = context.catalog()?;
    let mut found: Vec<Arc<TypeDescriptor>> = Vec::new();
    for name in names {
        match named_types::find(context, &catalog, name) {
            Some(ty) if catalog.type_by_id(ty.id).is_none() => {
                let name = ty.sql_name();
                let message = format!("cannot drop type {name} because table {name} requires it");
                return Err(
                    Error::new("2BP01", message).with_hint(format!("You can drop table {name} instead."))
                );
            }
            Some(ty) if domain && !ty.is_domain() => {
                return Err(Error::new("42809", format!("{} is not a domain", ty.sql_name())));
            }
            Some(ty) => {
                crate::privileges::require_type_owner(context, &ty, true)?;
                found.push(ty);
            }
            None if if_exists => notice(context, "00000", format!("{}, skipping", missing(name).message())),
            None => return Err(missing(name)),
        }
    }
    let names: Vec<(&str, &str)> = found.iter().map(|ty| (ty.schema.as_str(), ty.name.as_str())).collect();
    context.txn().drop_types(&names, cascade)?;
    Ok(StatementResult::command(tag))
}
