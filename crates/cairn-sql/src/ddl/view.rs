//! CREATE VIEW and ALTER VIEW.

use std::ops::ControlFlow;

use cairn_engine::catalog::{
    BOOTSTRAP, CheckOption, Dependency, Relation, ViewColumn, ViewDescriptor, ViewOptions,
};
use cairn_engine::ddl::{ViewChange, ViewSpec};
use cairn_types::DataType;
use sqlparser::ast::{
    CreateTableOptions, CreateView, Expr, Ident, ObjectName, Query, SqlOption, Statement, Value, Visit,
    Visitor,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::{column, names};
use crate::context::Context;
use crate::dml::updatable;
use crate::query::output::display_name;
use crate::results::StatementResult;
use crate::session::temporary;
use crate::session::variables::fold;
use crate::{Error, Result, catalog, parse};

/// CREATE [OR REPLACE] VIEW.
pub(super) fn create(context: &Context, create: &CreateView) -> Result<StatementResult> {
    if create.materialized {
        return Err(Error::unsupported("this form of CREATE MATERIALIZED VIEW"));
    }
    if create.or_alter
        || create.secure
        || create.if_not_exists
        || !create.cluster_by.is_empty()
        || create.comment.is_some()
        || create.with_no_schema_binding
        || create.copy_grants
        || create.to.is_some()
        || create.params.is_some()
        || create.columns.iter().any(|c| c.data_type.is_some() || c.options.is_some())
    {
        return Err(Error::unsupported("this clause of CREATE VIEW"));
    }
    let catalog = context.catalog()?;
    let depends_on = dependencies(context, &create.query)?;
    let reads_temporary = depends_on.iter().any(|read| {
        let table = catalog.table_by_id(read.object).map(|table| &table.schema);
        let schema = table.or_else(|| catalog.view_by_id(read.object).map(|view| &view.schema));
        schema.is_some_and(|schema| temporary::is_temporary(schema))
    });
    if reads_temporary && !create.temporary {
        super::notice(context, "00000", format!("view \"{}\" will be a temporary view", create.name));
    }
    let is_temporary = create.temporary || reads_temporary;
    let (schema, name) = names::for_creation_of(context, &catalog, &create.name, is_temporary)?;
    // Whether its owner may read what it reads is looked at when it is read.
    let plan = context.checking_as(BOOTSTRAP).plan_query(&create.query)?;
    if let Some(old) = catalog.relation(&schema, &name).filter(|_| create.or_replace) {
        crate::privileges::require_owner(context, &old)?;
    }
    if create.columns.len() > plan.schema().fields().len() {
        return Err(Error::new("42601", "CREATE VIEW specifies more column names than columns"));
    }
    let mut columns: Vec<ViewColumn> = Vec::new();
    for (n, field) in plan.schema().fields().iter().enumerate() {
        let name = match create.columns.get(n) {
            Some(given) => names::stored(&given.name),
            None => display_name(field.name()).to_owned(),
        };
        if columns.iter().any(|c| c.name == name) {
            return Err(Error::new("42701", format!("column \"{name}\" specified more than once")));
        }
        columns.push(ViewColumn { name, ty: DataType::from_field(field), default: None });
    }
    let given = match &create.options {
        CreateTableOptions::None => &[][..],
        CreateTableOptions::With(options) => options.as_slice(),
        _ => return Err(Error::unsupported("this clause of CREATE VIEW")),
    };
    let options = options(given)?;
    if options.check.is_some() {
        updatable::require_updatable(context, &create.query)?;
    }
    let spec = ViewSpec {
        options,
        schema,
        name,
        sql: crate::catalog::view::bound(context, &catalog, &create.query).to_string(),
        columns,
        depends_on,
        replace: create.or_replace,
    };
    context.txn().create_view(&spec)?;
    Ok(StatementResult::command("CREATE VIEW"))
}

/// The options of a view, each given once.
fn options(given: &[SqlOption]) -> Result<ViewOptions> {
    let mut options = ViewOptions::default();
    let mut seen: Vec<String> = Vec::new();
    for option in given {
        let SqlOption::KeyValue { key, value } = option else {
            return Err(Error::unsupported("this option of a view"));
        };
        let name = fold(key);
        if seen.contains(&name) {
            let message = format!("parameter \"{name}\" specified more than once");
            return Err(Error::new("22023", message));
        }
        set_option(&mut options, &name, &option_text(value))?;
        seen.push(name);
    }
    Ok(options)
}

fn option_text(value: &Expr) -> String {
    match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        Expr::Identifier(ident) => fold(ident),
        other => other.to_string(),
    }
}

/// Sets one option.
///
/// # Errors
/// `22023`.
fn set_option(options: &mut ViewOptions, name: &str, value: &str) -> Result<()> {
    let boolean = || match value.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Ok(Some(true)),
        "false" | "off" | "no" | "0" => Ok(Some(false)),
        _ => {
            let message = format!("invalid value for boolean option \"{name}\": {value}");
            Err(Error::new("22023", message))
        }
    };
    match name {
        "check_option" => {
            options.check = Some(match value.to_ascii_lowercase().as_str() {
                "local" => CheckOption::Local,
                "cascaded" => CheckOption::Cascaded,
                _ => {
                    let message = format!("invalid value for enum option \"check_option\": {value}");
                    return Err(Error::new("22023", message)
                        .with_detail("Valid values are \"local\" and \"cascaded\"."));
                }
            });
        }
        "security_barrier" => options.security_barrier = boolean()?,
        "security_invoker" => options.security_invoker = boolean()?,
        _ => return Err(unrecognized(name)),
    }
    Ok(())
}

fn unrecognized(name: &str) -> Error {
    Error::new("22023", format!("unrecognized parameter \"{name}\""))
}

/// One form of ALTER VIEW.
pub(super) enum Change {
    Default {
        column: Ident,
        value: Option<Box<Expr>>,
    },
    RenameColumn {
        column: Ident,
        new: Ident,
    },
    /// SET (name = value, …).
    Set(Vec<(Ident, String)>),
    /// RESET (name, …).
    Reset(Vec<Ident>),
}

/// Reads what follows the name; `None` where it is another form.
pub(super) fn read_change(parser: &mut Parser<'_>) -> Result<Option<Change>, ParserError> {
    if parser.parse_keyword(Keyword::ALTER) {
        let _ = parser.parse_keyword(Keyword::COLUMN);
        let column = parser.parse_identifier()?;
        if parser.parse_keywords(&[Keyword::DROP, Keyword::DEFAULT]) {
            return Ok(Some(Change::Default { column, value: None }));
        }
        parser.expect_keywords(&[Keyword::SET, Keyword::DEFAULT])?;
        let value = Some(Box::new(parser.parse_expr()?));
        return Ok(Some(Change::Default { column, value }));
    }
    // RENAME TO has been read.
    if parser.parse_keyword(Keyword::RENAME) {
        let _ = parser.parse_keyword(Keyword::COLUMN);
        let column = parser.parse_identifier()?;
        parser.expect_keyword(Keyword::TO)?;
        return Ok(Some(Change::RenameColumn { column, new: parser.parse_identifier()? }));
    }
    if parser.peek_nth_token(1).token != Token::LParen {
        return Ok(None);
    }
    if parser.parse_keyword(Keyword::SET) {
        parser.expect_token(&Token::LParen)?;
        let options = parser.parse_comma_separated(|parser| {
            let name = parser.parse_identifier()?;
            let value = match parser.consume_token(&Token::Eq) {
                true => option_text(&parser.parse_expr()?),
                false => "true".to_owned(),
            };
            Ok((name, value))
        })?;
        parser.expect_token(&Token::RParen)?;
        return Ok(Some(Change::Set(options)));
    }
    if parser.parse_keyword(Keyword::RESET) {
        parser.expect_token(&Token::LParen)?;
        let options = parser.parse_comma_separated(Parser::parse_identifier)?;
        parser.expect_token(&Token::RParen)?;
        return Ok(Some(Change::Reset(options)));
    }
    Ok(None)
}

/// Runs one form of ALTER VIEW.
pub(super) fn alter(context: &Context, view: &ViewDescriptor, change: &Change) -> Result<()> {
    let change = match change {
        Change::Default { column, value } => {
            let column = fold(column);
            let found = view.columns.iter().find(|own| own.name == column);
            if let (Some(own), Some(value)) = (found, value) {
                column::validate_default(context, value, &column, &own.ty)?;
            }
            ViewChange::Default { column, sql: value.as_ref().map(|value| value.to_string()) }
        }
        Change::RenameColumn { column, new } => {
            ViewChange::RenameColumn { column: fold(column), new_name: names::stored(new) }
        }
        Change::Set(given) => {
            let mut options = view.options;
            for (name, value) in given {
                set_option(&mut options, &fold(name), value)?;
            }
            if options.check.is_some() && view.options.check.is_none() {
                let Statement::Query(query) = parse::parse_text(&view.sql)? else {
                    return Err(Error::internal("a view is no query"));
                };
                updatable::require_updatable(context, &query)?;
            }
            ViewChange::Options(options)
        }
        Change::Reset(names) => {
            let mut options = view.options;
            for name in names {
                match fold(name).as_str() {
                    "check_option" => options.check = None,
                    "security_barrier" => options.security_barrier = None,
                    "security_invoker" => options.security_invoker = None,
                    // As PostgreSQL: what is not set is reset already.
                    _ => {}
                }
            }
            ViewChange::Options(options)
        }
    };
    Ok(context.txn().change_view(&view.schema, &view.name, &change)?)
}

/// The tables and views that a query names directly.
pub(super) fn dependencies(context: &Context, query: &Query) -> Result<Vec<Dependency>> {
    let catalog = context.catalog()?;
    let mut found: Vec<Dependency> = Vec::new();
    for name in relations_of(query) {
        let (schema, relation) = catalog::resolve_name(context, &catalog, &name)?;
        let object = match catalog.relation(&schema, &relation) {
            Some(Relation::Table(table)) => table.id,
            Some(Relation::View(view)) => view.id,
            _ => continue,
        };
        if !found.iter().any(|d| d.object == object) {
            found.push(Dependency { object, columns: Vec::new() });
        }
    }
    Ok(found)
}

/// The names of relations in a query or statement, but those of its common table expressions.
pub(crate) fn relations_of(within: &impl Visit) -> Vec<ObjectName> {
    struct Names {
        /// Names of common table expressions, which hide relations.
        local: Vec<String>,
        relations: Vec<ObjectName>,
    }
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
            self.local.extend(ctes.map(|cte| fold(&cte.alias.name)));
            ControlFlow::Continue(())
        }
        fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
            self.relations.push(name.clone());
            ControlFlow::Continue(())
        }
    }
    let mut names = Names { local: Vec::new(), relations: Vec::new() };
    // Never breaks.
    let _ = within.visit(&mut names);
    let local = names.local;
    names.relations.retain(|name| match name.0.as_slice() {
        [part] => !part.as_ident().is_some_and(|ident| local.contains(&fold(ident))),
        _ => true,
    });
    names.relations
}
