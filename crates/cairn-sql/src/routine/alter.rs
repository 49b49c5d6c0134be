//! ALTER FUNCTION, PROCEDURE and ROUTINE: another name, schema, volatility or strictness; ALTER TRIGGER … RENAME TO.

use cairn_engine::catalog::{RoutineDescriptor, RoutineKind, RoutineVolatility};
use sqlparser::ast::{DataType as SqlType, Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::drop::{find, not_found, users, word_of};
use super::syntax::{Parsed, is_word, target};
use crate::context::Context;
use crate::ddl::names;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result};

/// ALTER FUNCTION, PROCEDURE or ROUTINE.
pub(crate) struct AlterRoutine {
    kind: Option<RoutineKind>,
    name: ObjectName,
    types: Option<Vec<SqlType>>,
    change: Change,
}

enum Change {
    Rename(Ident),
    SetSchema(Ident),
    Owner,
    Behaviour { volatility: Option<RoutineVolatility>, strict: Option<bool> },
}

/// Reads what is behind ALTER; `kind` has been read.
pub(super) fn read(parser: &mut Parser<'_>, kind: Option<RoutineKind>) -> Parsed<AlterRoutine> {
    let (name, types) = target(parser)?;
    let change = if parser.parse_keywords(&[Keyword::RENAME, Keyword::TO]) {
        Change::Rename(parser.parse_identifier()?)
    } else if parser.parse_keywords(&[Keyword::SET, Keyword::SCHEMA]) {
        Change::SetSchema(parser.parse_identifier()?)
    } else if parser.parse_keywords(&[Keyword::OWNER, Keyword::TO]) {
        parser.parse_identifier()?;
        Change::Owner
    } else {
        behaviour(parser)?
    };
    Ok(AlterRoutine { kind, name, types, change })
}

fn behaviour(parser: &mut Parser<'_>) -> Parsed<Change> {
    let (mut volatility, mut strict) = (None, None);
    loop {
        if is_word(parser, "IMMUTABLE") {
            volatility = Some(RoutineVolatility::Immutable);
        } else if is_word(parser, "STABLE") {
            volatility = Some(RoutineVolatility::Stable);
        } else if is_word(parser, "VOLATILE") {
            volatility = Some(RoutineVolatility::Volatile);
        } else if is_word(parser, "STRICT") {
            strict = Some(true);
        } else if is_word(parser, "CALLED") {
            strict = Some(false);
            parser.expect_keywords(&[Keyword::ON, Keyword::NULL, Keyword::INPUT])?;
        } else if is_word(parser, "RETURNS") {
            strict = Some(true);
            parser.expect_keywords(&[Keyword::NULL, Keyword::ON, Keyword::NULL, Keyword::INPUT])?;
        } else if is_word(parser, "RESTRICT") {
            // Says nothing.
        } else if matches!(parser.peek_token().token, Token::EOF | Token::SemiColon)
            && (volatility.is_some() || strict.is_some())
        {
            return Ok(Change::Behaviour { volatility, strict });
        } else if let Token::Word(word) = parser.peek_token().token {
            return Err(ParserError::ParserError(format!(
                "ALTER FUNCTION ... {} is not supported",
                word.value
            )));
        } else {
            return parser.expected("what to alter", parser.peek_token());
        }
    }
}

/// Runs one.
pub(super) fn run(context: &Context, alter: &AlterRoutine) -> Result<StatementResult> {
    let catalog = context.catalog()?;
    let word = word_of(alter.kind);
    let (name, types) = (&alter.name, alter.types.as_deref());
    let Some(routine) = find(context, &catalog, alter.kind, word, name, types)? else {
        return Err(not_found(word, name, types));
    };
    let mut new = RoutineDescriptor::clone(&routine);
    match &alter.change {
        Change::Rename(ident) => {
            new.name = names::stored(ident);
            if new.name == routine.name {
                let (shown, schema) = (routine.signature(), &routine.schema);
                let message = format!("{} {shown} already exists in schema \"{schema}\"", routine.word());
                return Err(Error::new("42723", message));
            }
        }
        Change::SetSchema(schema) => new.schema = fold(schema),
        Change::Owner => {
            return Err(Error::unsupported(format!("ALTER {} ... OWNER TO", word.to_uppercase())));
        }
        Change::Behaviour { .. } if routine.kind == RoutineKind::Procedure => {
            return Err(Error::new("42P13", "invalid attribute in procedure definition"));
        }
        Change::Behaviour { volatility, strict } => {
            new.volatility = volatility.unwrap_or(new.volatility);
            new.strict = strict.unwrap_or(new.strict);
        }
    }
    if (&new.schema, &new.name) != (&routine.schema, &routine.name) {
        if new.schema != routine.schema {
            names::writable_schema(&new.schema)?;
        }
        super::define::refuse_built_in(context, &new.name)?;
        // Texts that call it name it.
        if let Some(user) = users(&catalog, &routine).first().map(|(line, _)| line) {
            return Err(Error::unsupported(format!("another name for what is called by name: {user}")));
        }
    }
    context.txn().alter_routine(new)?;
    Ok(StatementResult::command(format!("ALTER {}", word.to_uppercase())))
}
