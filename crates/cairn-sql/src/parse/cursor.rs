//! FETCH and MOVE in all of PostgreSQL's forms, of which the parser knows some: read here into its FETCH; and WHERE CURRENT
//! OF.

use std::borrow::Cow;

use sqlparser::ast::{FetchDirection, FetchPosition, Ident, ObjectName, Statement, Value, ValueWithSpan};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::dialect::CairnDialect;
use super::lexer::{Kind, Lexer, Token as LexerToken};

/// The target that marks a MOVE.
const MOVE: &str = "\u{1}move";

/// Parses a text that is a FETCH or MOVE.
pub(crate) fn parse(text: &str) -> Option<Result<Statement, ParserError>> {
    let first = Lexer::new(text).next()?;
    let word = &text[first.start..first.end];
    let moves = word.eq_ignore_ascii_case("MOVE");
    (moves || word.eq_ignore_ascii_case("FETCH")).then(|| read(&text[first.end..], moves))
}

/// What the column begins with that stands for a condition CURRENT OF; the cursor's name follows.
pub(crate) const CURRENT_OF: &str = "\u{1}current of ";

/// Says `WHERE CURRENT OF cursor`, which the parser does not know, with a column of that mark.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    let first = Lexer::new(text).next().map(|token| &text[token.start..token.end]);
    if !first.is_some_and(|word| ["UPDATE", "DELETE"].iter().any(|verb| word.eq_ignore_ascii_case(verb))) {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<LexerToken> = Lexer::new(text).collect();
    let is = |at: usize, word: &str| {
        let token = &tokens[at];
        token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
    };
    let found = (0..tokens.len().saturating_sub(3)).find(|at| {
        let name = matches!(tokens[at + 3].kind, Kind::Word | Kind::Quoted);
        is(*at, "WHERE") && is(at + 1, "CURRENT") && is(at + 2, "OF") && name
    });
    let Some(at) = found else { return Cow::Borrowed(text) };
    let name = &text[tokens[at + 3].start..tokens[at + 3].end];
    let name = match name.strip_prefix('"') {
        Some(quoted) => quoted.trim_end_matches('"').to_owned(),
        None => name.to_lowercase().replace('"', "\"\""),
    };
    let (from, to) = (tokens[at + 1].start, tokens[at + 3].end);
    Cow::Owned(format!("{}\"{CURRENT_OF}{name}\"{}", &text[..from], &text[to..]))
}

/// Whether a FETCH is a MOVE.
pub(crate) fn is_move(into: Option<&ObjectName>) -> bool {
    let name = into.and_then(|name| name.0.first()).and_then(|part| part.as_ident());
    name.is_some_and(|name| name.value == MOVE)
}

fn read(rest: &str, moves: bool) -> Result<Statement, ParserError> {
    let dialect = CairnDialect::default();
    let mut parser = Parser::new(&dialect).try_with_sql(rest)?;
    let direction = direction(&mut parser)?;
    let _ = parser.parse_one_of_keywords(&[Keyword::FROM, Keyword::IN]);
    let name = parser.parse_identifier()?;
    match parser.next_token() {
        token if matches!(token.token, Token::EOF | Token::SemiColon) => {}
        token => return parser.expected("end of statement", token),
    }
    let into = moves.then(|| ObjectName::from(vec![Ident::with_quote('"', MOVE)]));
    Ok(Statement::Fetch { name, direction, position: FetchPosition::From, into })
}

fn direction(parser: &mut Parser<'_>) -> Result<FetchDirection, ParserError> {
    use FetchDirection as D;
    let words = [
        Keyword::NEXT,
        Keyword::PRIOR,
        Keyword::FIRST,
        Keyword::LAST,
        Keyword::ABSOLUTE,
        Keyword::RELATIVE,
        Keyword::ALL,
        Keyword::FORWARD,
        Keyword::BACKWARD,
    ];
    Ok(match parser.parse_one_of_keywords(&words) {
        Some(Keyword::NEXT) => D::Next,
        Some(Keyword::PRIOR) => D::Prior,
        Some(Keyword::FIRST) => D::First,
        Some(Keyword::LAST) => D::Last,
        Some(Keyword::ABSOLUTE) => D::Absolute { limit: required(parser)? },
        Some(Keyword::RELATIVE) => D::Relative { limit: required(parser)? },
        Some(Keyword::ALL) => D::All,
        Some(Keyword::FORWARD) if parser.parse_keyword(Keyword::ALL) => D::ForwardAll,
        Some(Keyword::FORWARD) => D::Forward { limit: number(parser)? },
        Some(Keyword::BACKWARD) if parser.parse_keyword(Keyword::ALL) => D::BackwardAll,
        Some(_) => D::Backward { limit: number(parser)? },
        None => match number(parser)? {
            Some(limit) => D::Count { limit },
            None => D::Next,
        },
    })
}

fn required(parser: &mut Parser<'_>) -> Result<ValueWithSpan, ParserError> {
    match number(parser)? {
        Some(number) => Ok(number),
        None => parser.expected("a number", parser.peek_token()),
    }
}

/// A whole number with its sign.
fn number(parser: &mut Parser<'_>) -> Result<Option<ValueWithSpan>, ParserError> {
    let negative = parser.consume_token(&Token::Minus);
    if !negative {
        let _ = parser.consume_token(&Token::Plus);
    }
    match parser.peek_token().token {
        Token::Number(digits, _) => {
            parser.next_token();
            let sign = if negative { "-" } else { "" };
            Ok(Some(Value::Number(format!("{sign}{digits}"), false).into()))
        }
        _ if negative => parser.expected("a number", parser.peek_token()),
        _ => Ok(None),
    }
}
