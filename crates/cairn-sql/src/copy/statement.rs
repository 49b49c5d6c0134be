//! The text of COPY: more options than the SQL parser knows, and PostgreSQL's spelling before 9.0.
//!
//! [`parse`] reads a whole statement and gives it as the parser's own [`Statement::Copy`]; its options travel as text
//! in one `EXTENSION` entry of the legacy options and are read by [`options`] when the statement runs.

use sqlparser::ast::{CopyLegacyOption, CopySource, CopyTarget, Expr, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::error::{CopyError, Result};
use super::options::{CopyOptions, OptionValue};

type Parsed<T> = std::result::Result<T, ParserError>;

/// Parses `sql` if it begins with COPY.
pub(crate) fn parse(sql: &str) -> Option<Parsed<Statement>> {
    let word = sql.trim_start().get(..4)?;
    if !word.eq_ignore_ascii_case("copy") {
        return None;
    }
    let dialect = PostgreSqlDialect {};
    let mut parser = match Parser::new(&dialect).try_with_sql(sql) {
        Ok(parser) => parser,
        Err(error) => return Some(Err(error)),
    };
    if !parser.parse_keyword(Keyword::COPY) {
        return None;
    }
    Some(statement(&mut parser))
}

fn statement(parser: &mut Parser<'_>) -> Parsed<Statement> {
    let source = if parser.consume_token(&Token::LParen) {
        let query = parser.parse_query()?;
        parser.expect_token(&Token::RParen)?;
        CopySource::Query(query)
    } else {
        let table_name = parser.parse_object_name(false)?;
        let columns = match parser.peek_token().token {
            Token::LParen => {
                parser.expect_token(&Token::LParen)?;
                let columns = parser.parse_comma_separated(Parser::parse_identifier)?;
                parser.expect_token(&Token::RParen)?;
                columns
            }
            _ => Vec::new(),
        };
        CopySource::Table { table_name, columns }
    };
    let to = match parser.parse_one_of_keywords(&[Keyword::FROM, Keyword::TO]) {
        Some(Keyword::FROM) => false,
        Some(_) => true,
        None => return parser.expected("FROM or TO", parser.peek_token()),
    };
    if !to && matches!(source, CopySource::Query(_)) {
        return parser.expected("TO", parser.peek_token());
    }
    let target = if parser.parse_keyword(Keyword::STDIN) {
        CopyTarget::Stdin
    } else if parser.parse_keyword(Keyword::STDOUT) {
        CopyTarget::Stdout
    } else if parser.parse_keyword(Keyword::PROGRAM) {
        CopyTarget::Program { command: parser.parse_literal_string()? }
    } else {
        CopyTarget::File { filename: parser.parse_literal_string()? }
    };
    let text: Vec<String> = std::iter::from_fn(|| match parser.next_token().token {
        Token::EOF | Token::SemiColon => None,
        token => Some(token.to_string()),
    })
    .collect();
    let legacy_options = match text.is_empty() {
        true => Vec::new(),
        false => vec![CopyLegacyOption::Extension(text.join(" "))],
    };
    Ok(Statement::Copy { source, to, target, options: Vec::new(), legacy_options, values: Vec::new() })
}

/// The options of a COPY that [`parse`] has read, and the WHERE of a COPY FROM.
///
/// # Errors
/// `42601`, `22023`, `0A000`, as PostgreSQL.
pub(super) fn options(legacy: &[CopyLegacyOption], reading: bool) -> Result<(CopyOptions, Option<Expr>)> {
    let text = match legacy {
        [] => "",
        [CopyLegacyOption::Extension(text)] => text,
        _ => return Err(CopyError::unsupported("this spelling of COPY's options is not supported")),
    };
    let dialect = PostgreSqlDialect {};
    let syntax = |e: ParserError| CopyError::new("42601", e.to_string());
    let mut parser = Parser::new(&dialect).try_with_sql(text).map_err(syntax)?;
    let _ = parser.parse_keyword(Keyword::WITH);
    let mut list = Vec::new();
    if parser.consume_token(&Token::LParen) {
        loop {
            list.push(one(&mut parser)?);
            if parser.consume_token(&Token::RParen) {
                break;
            }
            parser.expect_token(&Token::Comma).map_err(|_| unexpected(&mut parser))?;
        }
    } else {
        old(&mut parser, &mut list)?;
    }
    let condition = match parser.parse_keyword(Keyword::WHERE) {
        true if !reading => {
            return Err(CopyError::new("42601", "WHERE clause not allowed with COPY TO"));
        }
        true => Some(parser.parse_expr().map_err(syntax)?),
        false => None,
    };
    match parser.peek_token().token {
        Token::EOF | Token::SemiColon => Ok((CopyOptions::from_list(&list, reading)?, condition)),
        _ => Err(unexpected(&mut parser)),
    }
}

fn unexpected(parser: &mut Parser<'_>) -> CopyError {
    match parser.next_token().token {
        Token::EOF => CopyError::new("42601", "syntax error at end of input"),
        token => CopyError::new("42601", format!("syntax error at or near \"{token}\"")),
    }
}

/// `name [value]` of the list in parentheses.
fn one(parser: &mut Parser<'_>) -> Result<(String, OptionValue)> {
    let name = match parser.next_token().token {
        Token::Word(word) => word.value.to_ascii_lowercase(),
        token => return Err(CopyError::new("42601", format!("syntax error at or near \"{token}\""))),
    };
    let value = match parser.peek_token().token {
        Token::Comma | Token::RParen => OptionValue::None,
        Token::Mul => {
            parser.next_token();
            OptionValue::Star
        }
        Token::LParen => {
            parser.next_token();
            let mut items = vec![scalar(parser)?];
            while parser.consume_token(&Token::Comma) {
                items.push(scalar(parser)?);
            }
            parser.expect_token(&Token::RParen).map_err(|_| unexpected(parser))?;
            match items.as_slice() {
                [star] if star == "*" && name.starts_with("force") => OptionValue::Star,
                _ => OptionValue::List(items),
            }
        }
        _ => OptionValue::Text(scalar(parser)?),
    };
    Ok((name, value))
}

fn scalar(parser: &mut Parser<'_>) -> Result<String> {
    Ok(match parser.next_token().token {
        Token::Word(word) if word.quote_style.is_some() => word.value,
        Token::Word(word) => word.value.to_lowercase(),
        Token::Number(digits, _) => digits,
        Token::Minus => format!("-{}", scalar(parser)?),
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text,
        Token::Mul => "*".to_owned(),
        token => return Err(CopyError::new("42601", format!("syntax error at or near \"{token}\""))),
    })
}

/// `[BINARY] [DELIMITER [AS] 'c'] [NULL [AS] 's'] [CSV [HEADER] [QUOTE [AS] 'c'] [ESCAPE [AS] 'c'] [FORCE …]]`.
fn old(parser: &mut Parser<'_>, list: &mut Vec<(String, OptionValue)>) -> Result<()> {
    loop {
        let Token::Word(word) = parser.peek_token().token else { return Ok(()) };
        let name = word.value.to_ascii_lowercase();
        if name == "where" {
            return Ok(());
        }
        parser.next_token();
        let entry = match name.as_str() {
            "binary" | "csv" | "text" => ("format".to_owned(), OptionValue::Text(name)),
            "header" | "freeze" => (name, OptionValue::None),
            "delimiter" | "delimiters" | "null" | "quote" | "escape" | "encoding" => {
                let _ = parser.parse_keyword(Keyword::AS);
                let name = if name == "delimiters" { "delimiter".to_owned() } else { name };
                (name, OptionValue::Text(scalar(parser)?))
            }
            "force" => forced(parser)?,
            _ => return Err(CopyError::new("42601", format!("syntax error at or near \"{}\"", word.value))),
        };
        list.push(entry);
    }
}

fn forced(parser: &mut Parser<'_>) -> Result<(String, OptionValue)> {
    let name = match scalar(parser)?.as_str() {
        "quote" => "force_quote",
        "null" => "force_null",
        "not" => {
            scalar(parser)?;
            "force_not_null"
        }
        other => return Err(CopyError::new("42601", format!("syntax error at or near \"{other}\""))),
    };
    if parser.consume_token(&Token::Mul) {
        return Ok((name.to_owned(), OptionValue::Star));
    }
    let mut columns = vec![scalar(parser)?];
    while parser.consume_token(&Token::Comma) {
        columns.push(scalar(parser)?);
    }
    Ok((name.to_owned(), OptionValue::List(columns)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::copy::options::{Columns, Format, Header};

    fn parsed(sql: &str) -> Result<CopyOptions> {
        parsed_with_condition(sql).map(|(options, _)| options)
    }

    fn parsed_with_condition(sql: &str) -> Result<(CopyOptions, Option<Expr>)> {
        match parse(sql).unwrap().unwrap() {
            Statement::Copy { legacy_options, to, .. } => options(&legacy_options, !to),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn both_spellings_mean_the_same() {
        let new =
            parsed("COPY t FROM 'f' WITH (FORMAT csv, HEADER, DELIMITER ';', NULL 'NA', FORCE_NULL (a, b))")
                .unwrap();
        let old =
            parsed("copy t from 'f' with delimiter as ';' null 'NA' csv header force null a, b").unwrap();
        assert_eq!(new, old);
        assert_eq!(new.header, Some(Header::Yes));
        assert_eq!(new.force_null, Columns::Named(vec!["a".into(), "b".into()]));
    }

    #[test]
    fn more_options_are_read() {
        let o = parsed(
            "COPY (SELECT 1) TO STDOUT (FORMAT csv, FORCE_QUOTE *, NULL ('', 'NA'), COMPRESSION gzip)",
        )
        .unwrap();
        assert_eq!((o.format, o.force_quote.clone()), (Some(Format::Csv), Columns::All));
        assert_eq!(o.nulls.unwrap().len(), 2);
        let (_, condition) = parsed_with_condition("COPY t FROM 'f' (FORMAT csv) WHERE a > 1").unwrap();
        assert_eq!(condition.unwrap().to_string(), "a > 1");
        assert_eq!(parsed("COPY t TO 'f' (FORMAT csv) WHERE a > 1").unwrap_err().sqlstate, "42601");
        assert_eq!(parsed("COPY t FROM 'f' (FORMAT csv").unwrap_err().sqlstate, "42601");
        assert!(parse("SELECT 1").is_none());
    }
}
