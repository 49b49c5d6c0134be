//! Forms of ALTER that the parser does not know: SET SCHEMA, ALTER VIEW and ALTER INDEX IF EXISTS … RENAME TO, and what is
//! done to generated and identity columns.

use cairn_engine::catalog::Relation;
use cairn_engine::ddl::SequenceOptions;
use sqlparser::ast::{ForValues, Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::extra::{ends, integer};
use super::names::{self, Kind};
use super::{notice, view};
use crate::context::Context;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result};

type Parsed<T> = std::result::Result<T, ParserError>;

/// One of these statements.
pub(super) struct AlterMore {
    kind: Kind,
    name: ObjectName,
    if_exists: bool,
    change: Change,
}

enum Change {
    SetSchema(Ident),
    /// SET LOGGED and UNLOGGED: every table is durable.
    Logged,
    Rename(Ident),
    Column {
        column: Ident,
        action: Action,
    },
    Attach {
        partition: ObjectName,
        bound: Box<ForValues>,
    },
    Detach {
        partition: ObjectName,
    },
    View(Box<view::Change>),
    /// ATTACH PARTITION of an index.
    AttachIndex(ObjectName),
    /// ALTER CONSTRAINT: whether DEFERRABLE, and INITIALLY DEFERRED.
    Constraint {
        name: Ident,
        deferrable: bool,
        deferred: bool,
    },
}

enum Action {
    DropExpression { if_exists: bool },
    DropIdentity { if_exists: bool },
    SetGenerated { always: bool },
    Restart { with: Option<i64> },
}

/// Reads a text that begins with ALTER; `None` where the parser knows it, or nobody does.
pub(super) fn read(parser: &mut Parser<'_>) -> Parsed<Option<AlterMore>> {
    let word = |parser: &mut Parser<'_>| match parser.next_token().token {
        Token::Word(word) => word.value.to_ascii_uppercase(),
        _ => String::new(),
    };
    let kind = match word(parser).as_str() {
        "TABLE" => Kind::Table,
        "VIEW" => Kind::View,
        "MATERIALIZED" => {
            parser.expect_keyword(Keyword::VIEW)?;
            Kind::Materialized
        }
        "INDEX" => Kind::Index,
        _ => return Ok(None),
    };
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let _ = parser.parse_keyword(Keyword::ONLY);
    let Ok(name) = parser.parse_object_name(false) else { return Ok(None) };
    let statement = |change| Some(AlterMore { kind, name, if_exists, change });
    if kind != Kind::Index && parser.parse_keywords(&[Keyword::SET, Keyword::SCHEMA]) {
        let schema = parser.parse_identifier()?;
        ends(parser)?;
        return Ok(statement(Change::SetSchema(schema)));
    }
    let logged = |token: Token| match token {
        Token::Word(word) => matches!(word.value.to_ascii_uppercase().as_str(), "LOGGED" | "UNLOGGED"),
        _ => false,
    };
    if kind == Kind::Table && logged(parser.peek_nth_token(1).token) && parser.parse_keyword(Keyword::SET) {
        parser.next_token();
        ends(parser)?;
        return Ok(statement(Change::Logged));
    }
    if kind != Kind::Table && parser.parse_keywords(&[Keyword::RENAME, Keyword::TO]) {
        let new = parser.parse_identifier()?;
        ends(parser)?;
        return Ok(statement(Change::Rename(new)));
    }
    if kind == Kind::View
        && let Some(change) = view::read_change(parser)?
    {
        ends(parser)?;
        return Ok(statement(Change::View(Box::new(change))));
    }
    if kind == Kind::Index && parser.parse_keywords(&[Keyword::ATTACH, Keyword::PARTITION]) {
        let below = parser.parse_object_name(false)?;
        ends(parser)?;
        return Ok(statement(Change::AttachIndex(below)));
    }
    if kind == Kind::Table && parser.parse_keywords(&[Keyword::ATTACH, Keyword::PARTITION]) {
        let partition = parser.parse_object_name(false)?;
        let mut bound = String::new();
        loop {
            match parser.next_token().token {
                Token::EOF | Token::SemiColon => break,
                token => bound.push_str(&format!("{token} ")),
            }
        }
        let bound = Box::new(super::partition::read_bound(&bound)?);
        return Ok(statement(Change::Attach { partition, bound }));
    }
    if kind == Kind::Table && parser.parse_keywords(&[Keyword::DETACH, Keyword::PARTITION]) {
        let partition = parser.parse_object_name(false)?;
        // Nobody is blocked for long: it is done at once.
        let _ = parser.parse_keyword(Keyword::CONCURRENTLY);
        ends(parser)?;
        return Ok(statement(Change::Detach { partition }));
    }
    if kind != Kind::Table || !parser.parse_keyword(Keyword::ALTER) {
        return Ok(None);
    }
    if parser.parse_keyword(Keyword::CONSTRAINT) {
        let name = parser.parse_identifier()?;
        let (mut deferrable, mut deferred) = (None, None);
        loop {
            if parser.parse_keywords(&[Keyword::NOT, Keyword::DEFERRABLE]) {
                deferrable = Some(false);
            } else if parser.parse_keyword(Keyword::DEFERRABLE) {
                deferrable = Some(true);
            } else if parser.parse_keywords(&[Keyword::INITIALLY, Keyword::DEFERRED]) {
                deferred = Some(true);
            } else if parser.parse_keywords(&[Keyword::INITIALLY, Keyword::IMMEDIATE]) {
                deferred = Some(false);
            } else {
                break;
            }
        }
        ends(parser)?;
        if deferrable == Some(false) && deferred == Some(true) {
            let message = "constraint declared INITIALLY DEFERRED must be DEFERRABLE";
            return Err(ParserError::ParserError(message.to_owned()));
        }
        let deferred = deferred == Some(true);
        let deferrable = deferrable.unwrap_or(deferred);
        return Ok(statement(Change::Constraint { name, deferrable, deferred }));
    }
    let _ = parser.parse_keyword(Keyword::COLUMN);
    let Ok(column) = parser.parse_identifier() else { return Ok(None) };
    let (first, second) = (word(parser), word(parser));
    let action = match (first.as_str(), second.as_str()) {
        ("DROP", "EXPRESSION") => {
            Action::DropExpression { if_exists: parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]) }
        }
        ("DROP", "IDENTITY") => {
            Action::DropIdentity { if_exists: parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]) }
        }
        ("SET", "GENERATED") => match parser.parse_keyword(Keyword::ALWAYS) {
            true => Action::SetGenerated { always: true },
            false => {
                parser.expect_keywords(&[Keyword::BY, Keyword::DEFAULT])?;
                Action::SetGenerated { always: false }
            }
        },
        ("RESTART", "") => Action::Restart { with: None },
        ("RESTART", "WITH") => Action::Restart { with: Some(integer(parser)?) },
        _ => return Ok(None),
    };
    ends(parser)?;
    Ok(statement(Change::Column { column, action }))
}

/// Runs one.
pub(super) fn run(context: &Context, alter: &AlterMore) -> Result<StatementResult> {
    let AlterMore { kind, name, if_exists, change } = alter;
    let done = || Ok(StatementResult::command(format!("ALTER {}", kind.word().to_uppercase())));
    let catalog = context.catalog()?;
    // ALTER TABLE moves other relations, too, and ALTER INDEX renames them.
    let found = match names::find(context, &catalog, name, *kind)? {
        Some(found) => found,
        None if *if_exists => {
            let shown = names::missing(name, *kind, true);
            notice(context, "00000", format!("{}, skipping", shown.message()));
            return done();
        }
        None => return Err(names::missing(name, *kind, true)),
    };
    let (schema, relation, found) = found;
    let txn = context.txn();
    match (change, kind) {
        (Change::Attach { partition, bound }, _) => {
            super::partition::attach(context, name, partition, bound)?;
        }
        (Change::Logged, _) => {
            if crate::session::temporary::is_temporary(&schema) {
                let name = &relation;
                let message =
                    format!("cannot change logged status of table \"{name}\" because it is temporary");
                return Err(Error::new("42P16", message));
            }
        }
        (Change::Constraint { name, deferrable, deferred }, _) => {
            let deferrable = deferrable.then_some(*deferred);
            txn.set_deferrable(&schema, &relation, &fold(name), deferrable)?;
        }
        (Change::AttachIndex(below), _) => {
            let (own_schema, own) = crate::catalog::resolve_name(context, &catalog, below)?;
            match catalog.relation(&own_schema, &own) {
                Some(Relation::Index(..)) => {}
                Some(_) => return Err(Error::new("42P17", format!("\"{own}\" is not an index"))),
                None => return Err(names::missing(below, Kind::Index, true)),
            }
            txn.attach_index((&schema, &relation), (&own_schema, &own))?;
        }
        (Change::View(change), _) => {
            let Relation::View(own) = found else { return Err(Error::internal("no view")) };
            view::alter(context, &own, change)?;
        }
        (Change::Detach { partition }, _) => super::partition::detach(context, name, partition)?,
        (Change::SetSchema(new), kind) => {
            let new = fold(new);
            crate::privileges::require_create(context, &new)?;
            match kind {
                Kind::View => txn.set_view_schema(&schema, &relation, &new)?,
                _ => txn.set_table_schema(&schema, &relation, &new)?,
            }
        }
        (Change::Rename(new), Kind::Materialized) => {
            txn.rename_table(&schema, &relation, &names::stored(new))?;
        }
        (Change::Rename(new), Kind::View) => txn.rename_view(&schema, &relation, &names::stored(new))?,
        (Change::Rename(new), _) => txn.rename_index(&schema, &relation, &names::stored(new))?,
        (Change::Column { column, action }, _) => {
            of_column(context, &schema, &relation, &fold(column), action)?
        }
    }
    done()
}

fn of_column(context: &Context, schema: &str, table: &str, column: &str, action: &Action) -> Result<()> {
    let txn = context.txn();
    let found = context.catalog()?.table(schema, table)?;
    let own = found.column(column)?;
    let skip = |what: &str| {
        let message = format!("column \"{column}\" of relation \"{table}\" is not {what}, skipping");
        notice(context, "00000", message);
        Ok(())
    };
    match action {
        Action::DropExpression { if_exists: true } if own.generated.is_none() => {
            skip("a stored generated column")
        }
        Action::DropIdentity { if_exists: true } if own.identity.is_none() => skip("an identity column"),
        Action::DropExpression { .. } => Ok(txn.drop_expression(schema, table, column)?),
        Action::DropIdentity { .. } => Ok(txn.drop_identity(schema, table, column)?),
        Action::SetGenerated { always } => Ok(txn.set_identity(schema, table, column, *always)?),
        Action::Restart { with } => {
            let Some(identity) = own.identity else {
                let message =
                    format!("column \"{column}\" of relation \"{table}\" is not an identity column");
                return Err(Error::new("55000", message));
            };
            let all = context.catalog()?;
            let sequence = all.sequence_by_id(identity.sequence).cloned();
            let sequence = sequence.ok_or_else(|| Error::internal("a sequence is gone"))?;
            let options = SequenceOptions { restart: Some(*with), ..SequenceOptions::default() };
            Ok(txn.alter_sequence(&sequence.schema, &sequence.name, &options)?)
        }
    }
}
