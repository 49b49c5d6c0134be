//! Reading CREATE and DROP of functions, procedures and triggers, and DO. Bodies stay text.

use sqlparser::ast::{DataType as SqlType, DropBehavior, Expr, Function, Ident, ObjectName, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use cairn_engine::catalog::{BodyForm, ParameterMode, RoutineKind, RoutineVolatility};

use super::alter::{self, AlterRoutine};
use crate::ddl::ends;
use crate::parse::lexer::{Kind, Lexer};
pub(super) use crate::trigger::syntax::is_word;
use crate::trigger::syntax::{self as trigger, CreateTrigger, DropTrigger, EnableTrigger, RenameTrigger};

pub(crate) type Parsed<T> = std::result::Result<T, ParserError>;

/// The name of the function that a DO is carried as.
const DO: &str = "\u{1}do";

/// One of these statements.
pub(crate) enum Program {
    Create(Box<CreateRoutine>),
    Drop(DropRoutines),
    CreateTrigger(Box<CreateTrigger>),
    DropTrigger(DropTrigger),
    EnableTrigger(EnableTrigger),
    Alter(AlterRoutine),
    RenameTrigger(RenameTrigger),
}

/// CREATE FUNCTION or PROCEDURE.
pub(crate) struct CreateRoutine {
    pub(crate) replace: bool,
    pub(crate) kind: RoutineKind,
    pub(crate) name: ObjectName,
    pub(crate) parameters: Vec<ParsedParameter>,
    pub(crate) returns: Option<ParsedReturns>,
    pub(crate) language: Option<String>,
    pub(crate) volatility: Option<RoutineVolatility>,
    pub(crate) strict: bool,
    pub(crate) definer: bool,
    /// SET: names and values; `None` is that of the session.
    pub(crate) settings: Vec<(String, Option<String>)>,
    pub(crate) body: Option<(BodyForm, String)>,
}

pub(crate) struct ParsedParameter {
    pub(crate) name: Option<Ident>,
    pub(crate) ty: SqlType,
    pub(crate) mode: ParameterMode,
    pub(crate) default: Option<Expr>,
}

pub(crate) enum ParsedReturns {
    Type { ty: SqlType, set: bool },
    Table(Vec<(Ident, SqlType)>),
}

/// DROP FUNCTION, PROCEDURE or ROUTINE.
pub(crate) struct DropRoutines {
    pub(crate) kind: Option<RoutineKind>,
    pub(crate) if_exists: bool,
    /// Names, with the types of inputs where they are given.
    pub(crate) targets: Vec<(ObjectName, Option<Vec<SqlType>>)>,
    pub(crate) cascade: bool,
}

/// Whether a text is one of these statements.
pub(crate) fn is_own(sql: &str) -> bool {
    let mut words = Lexer::new(sql).filter(|token| token.kind == Kind::Word);
    let mut next = || words.next().map(|token| sql[token.start..token.end].to_ascii_uppercase());
    let what = |word: Option<String>, all: &[&str]| word.is_some_and(|word| all.contains(&word.as_str()));
    match next().as_deref() {
        Some("CREATE") => {
            let mut word = next();
            if word.as_deref() == Some("OR") {
                next();
                word = next();
            }
            what(word, &["FUNCTION", "PROCEDURE", "TRIGGER", "CONSTRAINT"])
        }
        Some("DROP") => what(next(), &["FUNCTION", "PROCEDURE", "ROUTINE", "TRIGGER"]),
        Some("ALTER") => {
            let word = next();
            if what(word.clone(), &["FUNCTION", "PROCEDURE", "ROUTINE", "TRIGGER"]) {
                return true;
            }
            word.as_deref() == Some("TABLE") && {
                let rest: Vec<String> = std::iter::from_fn(next).take(8).collect();
                let enables = |pair: &[String]| {
                    matches!(pair[0].as_str(), "ENABLE" | "DISABLE" | "REPLICA" | "ALWAYS")
                        && pair[1] == "TRIGGER"
                };
                rest.windows(2).any(enables)
            }
        }
        _ => false,
    }
}

/// Reads one of these statements.
pub(crate) fn read(sql: &str) -> Parsed<Program> {
    let (head, body) = split_body(sql);
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(head)?;
    let program = match parser.next_token().token {
        Token::Word(word) if word.keyword == Keyword::CREATE => {
            let replace = parser.parse_keywords(&[Keyword::OR, Keyword::REPLACE]);
            if parser.parse_keyword(Keyword::CONSTRAINT) {
                return Err(ParserError::ParserError(
                    "CREATE CONSTRAINT TRIGGER is not supported".to_owned(),
                ));
            }
            if parser.parse_keyword(Keyword::TRIGGER) {
                return Ok(Program::CreateTrigger(Box::new(trigger::create(&mut parser, replace)?)));
            }
            let kind = match parser.parse_one_of_keywords(&[Keyword::FUNCTION, Keyword::PROCEDURE]) {
                Some(Keyword::FUNCTION) => RoutineKind::Function,
                Some(_) => RoutineKind::Procedure,
                None => return parser.expected("FUNCTION or PROCEDURE", parser.peek_token()),
            };
            Program::Create(Box::new(create(&mut parser, replace, kind, body)?))
        }
        Token::Word(word) if word.keyword == Keyword::DROP => match parser.parse_keyword(Keyword::TRIGGER) {
            true => return Ok(Program::DropTrigger(trigger::drop(&mut parser)?)),
            false => Program::Drop(drop(&mut parser)?),
        },
        _ if parser.parse_keyword(Keyword::TRIGGER) => {
            return Ok(Program::RenameTrigger(trigger::rename(&mut parser)?));
        }
        _ if parser.parse_keyword(Keyword::FUNCTION) => {
            Program::Alter(alter::read(&mut parser, Some(RoutineKind::Function))?)
        }
        _ if parser.parse_keyword(Keyword::PROCEDURE) => {
            Program::Alter(alter::read(&mut parser, Some(RoutineKind::Procedure))?)
        }
        _ if is_word(&mut parser, "ROUTINE") => Program::Alter(alter::read(&mut parser, None)?),
        _ => return Ok(Program::EnableTrigger(trigger::enable(&mut parser)?)),
    };
    ends(&mut parser)?;
    Ok(program)
}

/// The text before `RETURN …` or `BEGIN ATOMIC … END`, and that body.
fn split_body(sql: &str) -> (&str, Option<(BodyForm, String)>) {
    let mut depth = 0usize;
    let mut before: Option<(usize, &str)> = None;
    let tokens: Vec<_> = Lexer::new(sql).collect();
    for (at, token) in tokens.iter().enumerate() {
        let text = &sql[token.start..token.end];
        match token.kind {
            Kind::Punctuation(b'(') => depth += 1,
            Kind::Punctuation(b')') => depth = depth.saturating_sub(1),
            Kind::Word if depth == 0 && text.eq_ignore_ascii_case("RETURN") => {
                return (&sql[..token.start], Some((BodyForm::Return, sql[token.end..].trim().to_owned())));
            }
            Kind::Word
                if depth == 0
                    && text.eq_ignore_ascii_case("ATOMIC")
                    && before.is_some_and(|(_, word)| word.eq_ignore_ascii_case("BEGIN")) =>
            {
                let start = before.map_or(0, |(start, _)| start);
                let end = tokens[at..].iter().rev().find(|token| {
                    token.kind == Kind::Word && sql[token.start..token.end].eq_ignore_ascii_case("END")
                });
                let Some(end) = end else { return (sql, None) };
                let body = sql[token.end..end.start].trim().to_owned();
                return (&sql[..start], Some((BodyForm::Atomic, body)));
            }
            _ => {}
        }
        before = Some((token.start, text));
    }
    (sql, None)
}

fn create(
    parser: &mut Parser<'_>,
    replace: bool,
    kind: RoutineKind,
    body: Option<(BodyForm, String)>,
) -> Parsed<CreateRoutine> {
    let name = parser.parse_object_name(false)?;
    parser.expect_token(&Token::LParen)?;
    let mut parameters = Vec::new();
    if !parser.consume_token(&Token::RParen) {
        parameters = parser.parse_comma_separated(parameter)?;
        parser.expect_token(&Token::RParen)?;
    }
    let returns = match parser.parse_keyword(Keyword::RETURNS) {
        true => Some(returns(parser)?),
        false => None,
    };
    let mut made = CreateRoutine {
        replace,
        kind,
        name,
        parameters,
        returns,
        language: None,
        volatility: None,
        strict: false,
        definer: false,
        settings: Vec::new(),
        body,
    };
    while let Token::Word(word) = parser.peek_token().token {
        parser.next_token();
        option(parser, &word.value.to_ascii_uppercase(), &mut made)?;
    }
    Ok(made)
}

fn option(parser: &mut Parser<'_>, word: &str, made: &mut CreateRoutine) -> Parsed<()> {
    let refuse = |what: &str| Err(ParserError::ParserError(format!("{what} is not supported")));
    match word {
        "LANGUAGE" => {
            made.language = Some(match parser.next_token().token {
                Token::Word(word) if word.quote_style.is_some() => word.value,
                Token::Word(word) => word.value.to_lowercase(),
                Token::SingleQuotedString(text) => text.to_lowercase(),
                _ => return parser.expected("a language", parser.peek_token()),
            });
        }
        "IMMUTABLE" => made.volatility = Some(RoutineVolatility::Immutable),
        "STABLE" => made.volatility = Some(RoutineVolatility::Stable),
        "VOLATILE" => made.volatility = Some(RoutineVolatility::Volatile),
        "STRICT" => made.strict = true,
        "CALLED" => {
            parser.expect_keywords(&[Keyword::ON, Keyword::NULL, Keyword::INPUT])?;
            made.strict = false;
        }
        "RETURNS" => {
            parser.expect_keywords(&[Keyword::NULL, Keyword::ON, Keyword::NULL, Keyword::INPUT])?;
            made.strict = true;
        }
        // Hints for PostgreSQL's planner and executor, which say nothing of what a function gives.
        "LEAKPROOF" => {}
        "NOT" => {
            let leakproof = matches!(parser.next_token().token, Token::Word(w) if w.value.eq_ignore_ascii_case("leakproof"));
            if !leakproof {
                return parser.expected("LEAKPROOF", parser.peek_token());
            }
        }
        "PARALLEL" => {
            parser.parse_identifier()?;
        }
        "COST" | "ROWS" => {
            parser.parse_number_value()?;
        }
        "EXTERNAL" => {}
        "SECURITY" => made.definer = security(parser)?,
        "AS" => {
            let text = match parser.next_token().token {
                Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text,
                Token::DollarQuotedString(quoted) => quoted.value,
                _ => return parser.expected("the body as a string", parser.peek_token()),
            };
            if made.body.is_some() {
                return Err(ParserError::ParserError("conflicting or redundant options".to_owned()));
            }
            made.body = Some((BodyForm::Text, text));
        }
        "SET" => made.settings.push(setting(parser)?),
        "WINDOW" => return refuse("a window function in SQL"),
        "TRANSFORM" | "SUPPORT" => return refuse(word),
        _ => return parser.expected("an option of CREATE FUNCTION", parser.peek_token()),
    }
    Ok(())
}

/// DEFINER or INVOKER.
pub(super) fn security(parser: &mut Parser<'_>) -> Parsed<bool> {
    match parser.parse_identifier()?.value.to_ascii_uppercase().as_str() {
        "DEFINER" => Ok(true),
        "INVOKER" => Ok(false),
        _ => parser.expected("DEFINER or INVOKER", parser.peek_token()),
    }
}

/// What SET of a function says.
pub(super) fn setting(parser: &mut Parser<'_>) -> Parsed<(String, Option<String>)> {
    let name = parser.parse_object_name(false)?.to_string().to_ascii_lowercase();
    if parser.parse_keywords(&[Keyword::FROM, Keyword::CURRENT]) {
        return Ok((name, None));
    }
    if !parser.consume_token(&Token::Eq) {
        parser.expect_keyword(Keyword::TO)?;
    }
    let value = |parser: &mut Parser<'_>| {
        let expr = parser.parse_expr()?;
        crate::session::variables::value_text(&expr)
            .map_err(|error| ParserError::ParserError(error.to_string()))
    };
    Ok((name, Some(parser.parse_comma_separated(value)?.join(", "))))
}

fn parameter(parser: &mut Parser<'_>) -> Parsed<ParsedParameter> {
    let mode = match parser.parse_one_of_keywords(&[Keyword::IN, Keyword::OUT, Keyword::INOUT]) {
        Some(Keyword::OUT) => ParameterMode::Out,
        Some(Keyword::INOUT) => ParameterMode::InOut,
        Some(_) if parser.parse_keyword(Keyword::OUT) => ParameterMode::InOut,
        _ => ParameterMode::In,
    };
    let mode = match parser.parse_keyword(Keyword::VARIADIC) {
        true => ParameterMode::Variadic,
        false => mode,
    };
    let unnamed = parser.maybe_parse(|parser| {
        let ty = parser.parse_data_type()?;
        match parser.peek_token().token {
            Token::Comma | Token::RParen | Token::Eq => Ok(ty),
            Token::Word(word) if word.keyword == Keyword::DEFAULT => Ok(ty),
            _ => parser.expected("the end of a parameter", parser.peek_token()),
        }
    })?;
    let (name, ty) = match unnamed {
        Some(ty) => (None, ty),
        None => (Some(parser.parse_identifier()?), parser.parse_data_type()?),
    };
    let default = match parser.parse_keyword(Keyword::DEFAULT) || parser.consume_token(&Token::Eq) {
        true => Some(parser.parse_expr()?),
        false => None,
    };
    Ok(ParsedParameter { name, ty, mode, default })
}

fn returns(parser: &mut Parser<'_>) -> Parsed<ParsedReturns> {
    if parser.parse_keyword(Keyword::TABLE) {
        parser.expect_token(&Token::LParen)?;
        let columns = parser
            .parse_comma_separated(|parser| Ok((parser.parse_identifier()?, parser.parse_data_type()?)))?;
        parser.expect_token(&Token::RParen)?;
        return Ok(ParsedReturns::Table(columns));
    }
    let set = parser.parse_keyword(Keyword::SETOF);
    Ok(ParsedReturns::Type { ty: parser.parse_data_type()?, set })
}

fn drop(parser: &mut Parser<'_>) -> Parsed<DropRoutines> {
    let kind = match parser.next_token().token {
        Token::Word(word) if word.keyword == Keyword::FUNCTION => Some(RoutineKind::Function),
        Token::Word(word) if word.keyword == Keyword::PROCEDURE => Some(RoutineKind::Procedure),
        _ => None,
    };
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let targets = parser.parse_comma_separated(target)?;
    Ok(DropRoutines { kind, if_exists, targets, cascade: cascade(parser) })
}

/// A routine's name, with the types of its inputs where they are given.
pub(crate) fn target(parser: &mut Parser<'_>) -> Parsed<(ObjectName, Option<Vec<SqlType>>)> {
    let name = parser.parse_object_name(false)?;
    if !parser.consume_token(&Token::LParen) {
        return Ok((name, None));
    }
    if parser.consume_token(&Token::RParen) {
        return Ok((name, Some(Vec::new())));
    }
    let types = parser.parse_comma_separated(parameter)?;
    parser.expect_token(&Token::RParen)?;
    let inputs = types.into_iter().filter(|parameter| parameter.mode != ParameterMode::Out);
    Ok((name, Some(inputs.map(|parameter| parameter.ty).collect())))
}

/// CASCADE or RESTRICT, if any.
pub(crate) fn cascade(parser: &mut Parser<'_>) -> bool {
    let behavior = match parser.parse_one_of_keywords(&[Keyword::CASCADE, Keyword::RESTRICT]) {
        Some(Keyword::CASCADE) => DropBehavior::Cascade,
        _ => DropBehavior::Restrict,
    };
    behavior == DropBehavior::Cascade
}

/// Parses DO: its text is carried in a CALL.
pub(crate) fn parse_do(sql: &str) -> Option<Parsed<Statement>> {
    let mut tokens = Lexer::new(sql);
    let first = tokens.next()?;
    if first.kind != Kind::Word || !sql[first.start..first.end].eq_ignore_ascii_case("DO") {
        return None;
    }
    Some(read_do(sql))
}

fn read_do(sql: &str) -> Parsed<Statement> {
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(sql)?;
    parser.next_token();
    let (mut language, mut code) = ("plpgsql".to_owned(), None);
    loop {
        match parser.next_token().token {
            Token::Word(word) if word.keyword == Keyword::LANGUAGE => {
                language = parser.parse_identifier()?.value.to_lowercase();
            }
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => code = Some(text),
            Token::DollarQuotedString(quoted) => code = Some(quoted.value),
            Token::EOF | Token::SemiColon => break,
            _ => return parser.expected("the code of DO", parser.peek_token()),
        }
    }
    let Some(code) = code else { return parser.expected("the code of DO", parser.peek_token()) };
    let mut parser = Parser::new(&dialect).try_with_sql("CALL f('')")?;
    let Statement::Call(mut call) = parser.parse_statement()? else {
        return Err(ParserError::ParserError("CALL".to_owned()));
    };
    call.name = ObjectName::from([DO, &language, &code].map(|part| Ident::with_quote('"', part)).to_vec());
    Ok(Statement::Call(call))
}

/// The language and the code of a DO that a CALL carries.
pub(crate) fn do_of(call: &Function) -> Option<(&str, &str)> {
    match call.name.0.as_slice() {
        [mark, language, code] if mark.as_ident().is_some_and(|ident| ident.value == DO) => {
            Some((language.as_ident()?.value.as_str(), code.as_ident()?.value.as_str()))
        }
        _ => None,
    }
}
