//! ALTER FUNCTION, PROCEDURE and ROUTINE: another name, schema, volatility or strictness; ALTER TRIGGER … RENAME TO.

use cairn_engine::catalog::{RoutineDescriptor, RoutineKind, RoutineVolatility};
use sqlparser::ast::{DataType as SqlType, Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::drop::{find, not_found, users, word_of};
use super::syntax::{Parsed, is_word, security, setting, target};
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
    Behaviour(Behaviour),
}

/// Reads what is behind ALTER; `kind` has been read.
pub(super) fn read(parser: &mut Parser<'_>, kind: Option<RoutineKind>) -> Parsed<AlterRoutine> {
    let (name, types) = target(parser)?;
    let change = if parser.parse_keywords(&[Keyword::RENAME, Keyword::TO]) {
        Change::Rename(parser.parse_identifier()?)
    } else if parser.parse_keywords(&[Keyword::SET, Keyword::SCHEMA]) {
        Change::SetSchema(parser.parse_identifier()?)
    } else {
        behaviour(parser)?
    };
    Ok(AlterRoutine { kind, name, types, change })
}

/// What is left as it is where nothing is said of it.
#[derive(Default)]
struct Behaviour {
    volatility: Option<RoutineVolatility>,
    strict: Option<bool>,
    definer: Option<bool>,
    settings: Vec<(String, Option<String>)>,
    /// RESET; `None`: of all.
    reset: Vec<Option<String>>,
}

fn behaviour(parser: &mut Parser<'_>) -> Parsed<Change> {
    let mut made = Behaviour::default();
    let start = parser.index();
    loop {
        if is_word(parser, "IMMUTABLE") {
            made.volatility = Some(RoutineVolatility::Immutable);
        } else if is_word(parser, "STABLE") {
            made.volatility = Some(RoutineVolatility::Stable);
        } else if is_word(parser, "VOLATILE") {
            made.volatility = Some(RoutineVolatility::Volatile);
        } else if is_word(parser, "STRICT") {
            made.strict = Some(true);
        } else if is_word(parser, "CALLED") {
            made.strict = Some(false);
            parser.expect_keywords(&[Keyword::ON, Keyword::NULL, Keyword::INPUT])?;
        } else if is_word(parser, "RETURNS") {
            made.strict = Some(true);
            parser.expect_keywords(&[Keyword::NULL, Keyword::ON, Keyword::NULL, Keyword::INPUT])?;
        } else if is_word(parser, "SECURITY") {
            made.definer = Some(security(parser)?);
        } else if is_word(parser, "EXTERNAL") {
            // Says nothing.
        } else if is_word(parser, "SET") {
            made.settings.push(setting(parser)?);
        } else if is_word(parser, "RESET") {
            let name = parser.parse_object_name(false)?.to_string().to_ascii_lowercase();
            made.reset.push((name != "all").then_some(name));
        } else if is_word(parser, "RESTRICT") {
            // Says nothing.
        } else if matches!(parser.peek_token().token, Token::EOF | Token::SemiColon) && parser.index() > start
        {
            return Ok(Change::Behaviour(made));
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
    crate::privileges::require_routine_owner(context, &routine, false)?;
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
        Change::Behaviour(made)
            if routine.kind == RoutineKind::Procedure
                && (made.volatility.is_some() || made.strict.is_some()) =>
        {
            return Err(Error::new("42P13", "invalid attribute in procedure definition"));
        }
        Change::Behaviour(made) => {
            new.volatility = made.volatility.unwrap_or(new.volatility);
            new.strict = made.strict.unwrap_or(new.strict);
            new.definer = made.definer.unwrap_or(new.definer);
            new.settings
                .retain(|own| !made.reset.iter().any(|name| name.as_ref().is_none_or(|n| *n == own.0)));
            for (name, value) in super::define::settings(context, &made.settings)? {
                new.settings.retain(|own| own.0 != name);
                new.settings.push((name, value));
            }
        }
    }
    if (&new.schema, &new.name) != (&routine.schema, &routine.name) {
        if new.schema != routine.schema {
            crate::privileges::require_create(context, &new.schema)?;
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
