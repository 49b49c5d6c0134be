//! SET CONSTRAINTS: when deferrable foreign keys and unique keys are looked at in this transaction.

use cairn_engine::catalog::ObjectId;
use sqlparser::ast::{Function, Ident, ObjectName, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use crate::context::Context;
use crate::parse::lexer::{Kind, Lexer};
use crate::results::StatementResult;
use crate::routine::define::name_of;
use crate::{Error, Result};

/// The name of the function that it is carried as.
const CARRIED: &str = "\u{1}constraints";

type Parsed<T> = std::result::Result<T, ParserError>;

/// Parses it: its text is carried in a CALL.
pub(crate) fn parse(sql: &str) -> Option<Parsed<Statement>> {
    let mut words = Lexer::new(sql).take(2);
    let mut is = |word: &str| {
        words.next().is_some_and(|token| {
            token.kind == Kind::Word && sql[token.start..token.end].eq_ignore_ascii_case(word)
        })
    };
    (is("SET") && is("CONSTRAINTS")).then(|| carried(sql))
}

fn carried(sql: &str) -> Parsed<Statement> {
    read(sql)?;
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql("CALL f('')")?;
    let Statement::Call(mut call) = parser.parse_statement()? else {
        return Err(ParserError::ParserError("CALL".to_owned()));
    };
    call.name = ObjectName::from([CARRIED, sql].map(|part| Ident::with_quote('"', part)).to_vec());
    Ok(Statement::Call(call))
}

/// The names (none: ALL), and whether they are deferred.
fn read(sql: &str) -> Parsed<(Vec<ObjectName>, bool)> {
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(sql)?;
    parser.next_token();
    parser.next_token();
    let names = match parser.parse_keyword(Keyword::ALL) {
        true => Vec::new(),
        false => parser.parse_comma_separated(|parser| parser.parse_object_name(false))?,
    };
    let deferred = match parser.next_token().token {
        Token::Word(word) if word.value.eq_ignore_ascii_case("deferred") => true,
        Token::Word(word) if word.value.eq_ignore_ascii_case("immediate") => false,
        _ => return parser.expected("DEFERRED or IMMEDIATE", parser.peek_token()),
    };
    crate::ddl::ends(&mut parser)?;
    Ok((names, deferred))
}

/// The text that a CALL carries, if it is this statement.
pub(crate) fn text_of(call: &Function) -> Option<&str> {
    match call.name.0.as_slice() {
        [mark, text] if mark.as_ident().is_some_and(|ident| ident.value == CARRIED) => {
            text.as_ident().map(|ident| ident.value.as_str())
        }
        _ => None,
    }
}

/// Runs it.
pub(crate) fn run(context: &Context, text: &str) -> Result<StatementResult> {
    let (names, deferred) = read(text).map_err(|error| Error::new("42601", error.to_string()))?;
    let mut all: Vec<(ObjectId, String)> = Vec::new();
    for name in &names {
        all.extend(find(context, name)?);
    }
    context.txn().set_constraints((!names.is_empty()).then_some(&all), deferred)?;
    Ok(StatementResult::command("SET CONSTRAINTS"))
}

/// The constraints of a name, in its schema or in the first one of the search path that has any.
fn find(context: &Context, name: &ObjectName) -> Result<Vec<(ObjectId, String)>> {
    let catalog = context.catalog()?;
    let (schema, bare) = name_of(name)?;
    let schemas = match schema {
        Some(schema) => vec![schema],
        None => context.scope.settings.search_path.clone(),
    };
    for schema in schemas {
        let mut found = Vec::new();
        for table in catalog.tables().filter(|table| table.schema == schema) {
            let fixed = |name: &str| {
                table.primary_key_name == name
                    || table.checks.iter().any(|check| check.name == name)
                    || table.index_by_name(name).is_some_and(|i| i.constraint && i.deferrable.is_none())
            };
            let key = table.foreign_key(&bare);
            if fixed(&bare) || key.is_some_and(|key| !key.deferrable) {
                return Err(Error::new("42809", format!("constraint \"{bare}\" is not deferrable")));
            }
            found.extend(key.map(|key| (table.id, key.name.clone())));
            let late = table.index_by_name(&bare).filter(|index| index.deferrable.is_some());
            found.extend(late.map(|index| (table.id, index.name.clone())));
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(Error::new("42704", format!("constraint \"{bare}\" does not exist")))
}
