//! The parser's PostgreSQL dialect, with ISNULL, BETWEEN SYMMETRIC, IS JSON and every form of TRIM and SUBSTRING, and but for one thing: it tries each argument of a function as `expression => value`
//! first and then once more as a plain argument, so that the time to parse nested calls doubles with each. Names of
//! arguments are plain identifiers here, which takes no second try of an expression.

use std::any::TypeId;

use sqlparser::ast::{
    BinaryOperator, CastKind, ColumnOption, Expr, FunctionArguments, KeyOrIndexDisplay, NullsDistinctOption,
    Statement, UniqueConstraint,
};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// The dialect.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct CairnDialect {
    postgresql: PostgreSqlDialect,
    nests_joins: bool,
}

impl CairnDialect {
    /// Reads `a JOIN b JOIN c ON … ON …` as `a JOIN (b JOIN c ON …) ON …`, and with it what follows a NATURAL JOIN as one.
    pub(crate) fn nesting_joins() -> Self {
        Self { nests_joins: true, ..Self::default() }
    }
}

/// Words that are no name of a column without AS: those of PostgreSQL, and four with which clauses of other statements begin.
const NO_LABELS: &[Keyword] = &[
    Keyword::ARRAY,
    Keyword::AS,
    Keyword::CHAR,
    Keyword::CHARACTER,
    Keyword::CREATE,
    Keyword::DAY,
    Keyword::EXCEPT,
    Keyword::FETCH,
    Keyword::FILTER,
    Keyword::FOR,
    Keyword::FROM,
    Keyword::GRANT,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::HOUR,
    Keyword::INTERSECT,
    Keyword::INTO,
    Keyword::LIMIT,
    Keyword::MINUTE,
    Keyword::MONTH,
    Keyword::NOTNULL,
    Keyword::OFFSET,
    Keyword::ON,
    Keyword::ORDER,
    Keyword::OVER,
    Keyword::OVERLAPS,
    Keyword::PRECISION,
    Keyword::RETURNING,
    Keyword::SECOND,
    Keyword::TO,
    Keyword::UNION,
    Keyword::VARYING,
    Keyword::WHERE,
    Keyword::WINDOW,
    Keyword::WITH,
    Keyword::WITHIN,
    Keyword::WITHOUT,
    Keyword::YEAR,
    Keyword::END,
    Keyword::LATERAL,
    Keyword::SELECT,
    Keyword::VALUES,
];

macro_rules! as_postgresql {
    ($($name:ident)*) => {
        $(fn $name(&self) -> bool {
            self.postgresql.$name()
        })*
    };
}

impl Dialect for CairnDialect {
    // The parser asks for PostgreSQL by type in places.
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        true
    }

    fn supports_left_associative_joins_without_parens(&self) -> bool {
        !self.nests_joins
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.postgresql.identifier_quote_style(identifier)
    }

    fn is_column_alias(&self, word: &Keyword, _parser: &mut Parser) -> bool {
        !NO_LABELS.contains(word)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.postgresql.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.postgresql.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.postgresql.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        self.postgresql.is_reserved_for_identifier(keyword)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        self.postgresql.is_custom_operator_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        if is_isnull(parser) {
            return Some(Ok(self.prec_value(Precedence::Is)));
        }
        if is_word(parser, 0, "collate") {
            return Some(Ok(self.prec_value(Precedence::AtTz)));
        }
        self.postgresql.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        self.postgresql.prec_value(precedence)
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        if is_bracketed_query(parser) {
            parser.advance_token();
            let query = parser.parse_query();
            return Some(query.and_then(|query| {
                parser.expect_token(&Token::RParen)?;
                Ok(Expr::Subquery(query))
            }));
        }
        // `GROUP BY DISTINCT …`: nowhere else does the parser find the word where an expression begins.
        if is_word(parser, 0, "distinct") {
            parser.advance_token();
            return Some(
                parser.parse_expr().map(|first| super::rewrite::call(super::grouping::DISTINCT, vec![first])),
            );
        }
        if is_call(parser, "trim") {
            return Some(trimmed(parser));
        }
        if is_call(parser, "json_array") && is_query(parser, 2) {
            return Some(json_array(parser));
        }
        if is_call(parser, "substring") && has_similar(parser) {
            return Some(similar(parser, self.prec_value(Precedence::Like)));
        }
        self.postgresql.parse_prefix(parser)
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        left: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if is_isnull(parser) {
            parser.advance_token();
            return Some(Ok(Expr::IsNull(Box::new(left.clone()))));
        }
        if is_word(parser, 0, "collate") {
            parser.advance_token();
            let expr = Box::new(left.clone());
            return Some(parser.parse_object_name(false).map(|collation| Expr::Collate { expr, collation }));
        }
        if let Some(negated) = is_json(parser) {
            return Some(json_test(parser, left, negated));
        }
        if let Some(negated) = is_distinct(parser) {
            return Some(distinct(parser, left, negated, self.prec_value(Precedence::Is)));
        }
        if let Some(symmetric) = Symmetric::next(parser) {
            return Some(symmetric.parse(parser, left, self.prec_value(Precedence::Between)));
        }
        self.postgresql.parse_infix(parser, left, precedence)
    }

    fn parse_column_option(
        &self,
        parser: &mut Parser,
    ) -> Result<Option<Result<Option<ColumnOption>, ParserError>>, ParserError> {
        Ok(is_unique_nulls(parser).then(|| unique_nulls(parser).map(Some)))
    }

    fn parse_statement(&self, parser: &mut Parser) -> Option<Result<Statement, ParserError>> {
        self.postgresql.parse_statement(parser)
    }

    as_postgresql! {
        supports_unicode_string_literal
        supports_filter_during_aggregation
        supports_group_by_expr
        allow_extract_custom
        allow_extract_single_quotes
        supports_create_index_with_clause
        supports_explain_with_utility_options
        supports_listen_notify
        supports_factorial_operator
        supports_bitwise_shift_operators
        supports_comment_on
        supports_load_extension
        supports_named_fn_args_with_colon_operator
        supports_empty_projections
        supports_nested_comments
        supports_string_escape_constant
        supports_numeric_literal_underscores
        supports_array_typedef_with_brackets
        supports_geometric_types
        supports_set_names
        supports_alter_column_type_using
        supports_notnull_operator
        supports_interval_options
        supports_insert_table_alias
        supports_create_table_like_parenthesized
        supports_select_wildcard_with_alias
        supports_comma_separated_trim
        supports_xml_expressions
        supports_comment_optimizer_hint
    }
}

/// `[NOT] BETWEEN SYMMETRIC | ASYMMETRIC` comes next.
struct Symmetric {
    negated: bool,
    /// Whether either end may be the lower one.
    either: bool,
}

impl Symmetric {
    fn next(parser: &Parser) -> Option<Symmetric> {
        let is = |at: usize, text: &str| {
            matches!(
                &parser.peek_nth_token_ref(at).token,
                Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text)
            )
        };
        let negated = is(0, "not");
        let at = usize::from(negated);
        if !is(at, "between") {
            return None;
        }
        match (is(at + 1, "symmetric"), is(at + 1, "asymmetric")) {
            (false, false) => None,
            (either, _) => Some(Symmetric { negated, either }),
        }
    }

    fn parse(self, parser: &mut Parser, left: &Expr, precedence: u8) -> Result<Expr, ParserError> {
        for _ in 0..2 + usize::from(self.negated) {
            parser.advance_token();
        }
        let low = parser.parse_subexpr(precedence)?;
        parser.expect_keyword_is(Keyword::AND)?;
        let high = parser.parse_subexpr(precedence)?;
        let between = |low: &Expr, high: &Expr| Expr::Between {
            expr: Box::new(left.clone()),
            negated: self.negated,
            low: Box::new(low.clone()),
            high: Box::new(high.clone()),
        };
        if !self.either {
            return Ok(between(&low, &high));
        }
        let op = if self.negated { BinaryOperator::And } else { BinaryOperator::Or };
        let (left, right) = (Box::new(between(&low, &high)), Box::new(between(&high, &low)));
        Ok(Expr::Nested(Box::new(Expr::BinaryOp { left, op, right })))
    }
}

/// Tokens of a query in brackets that are looked at.
const BRACKETED_TOKENS_MAX: usize = 20_000;

/// Whether a bracket comes next that holds a query which itself begins with a bracket: `((SELECT …) UNION (SELECT …))`. What
/// stands behind the inner bracket tells it from `((SELECT …) + 1)`.
fn is_bracketed_query(parser: &Parser) -> bool {
    if parser.peek_token_ref().token != Token::LParen || parser.peek_nth_token_ref(1).token != Token::LParen {
        return false;
    }
    let is_word = |token: &Token, words: &[Keyword]| matches!(token, Token::Word(word) if words.contains(&word.keyword));
    let first = (2..).map(|at| &parser.peek_nth_token_ref(at).token).find(|token| **token != Token::LParen);
    if !first.is_some_and(|token| is_word(token, &[Keyword::SELECT, Keyword::VALUES, Keyword::WITH])) {
        return false;
    }
    let (mut depth, mut at) = (0, 0);
    loop {
        let token = parser.peek_nth_token_no_skip(at).token;
        at += 1;
        match token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 2 => break,
            Token::RParen => depth -= 1,
            Token::EOF => return false,
            _ if at > BRACKETED_TOKENS_MAX => return false,
            _ => {}
        }
    }
    let behind =
        (at..).map(|at| parser.peek_nth_token_no_skip(at).token).find(|t| !matches!(t, Token::Whitespace(_)));
    behind.is_some_and(|token| {
        is_word(
            &token,
            &[
                Keyword::UNION,
                Keyword::EXCEPT,
                Keyword::INTERSECT,
                Keyword::ORDER,
                Keyword::LIMIT,
                Keyword::OFFSET,
                Keyword::FETCH,
            ],
        )
    })
}

/// Whether ISNULL comes next, which is no name in PostgreSQL.
/// `UNIQUE NULLS …` of a column.
fn is_unique_nulls(parser: &Parser) -> bool {
    is_word(parser, 0, "unique") && is_word(parser, 1, "nulls")
}

fn unique_nulls(parser: &mut Parser) -> Result<ColumnOption, ParserError> {
    parser.advance_token();
    parser.advance_token();
    let nulls_distinct = match parser.parse_keyword(Keyword::NOT) {
        true => NullsDistinctOption::NotDistinct,
        false => NullsDistinctOption::Distinct,
    };
    parser.expect_keyword(Keyword::DISTINCT)?;
    Ok(UniqueConstraint {
        name: None,
        index_name: None,
        index_type_display: KeyOrIndexDisplay::None,
        index_type: None,
        columns: Vec::new(),
        index_options: Vec::new(),
        characteristics: parser.parse_constraint_characteristics()?,
        nulls_distinct,
    }
    .into())
}

fn is_isnull(parser: &Parser) -> bool {
    matches!(
        &parser.peek_token_ref().token,
        Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("isnull")
    )
}

fn is_word(parser: &Parser, at: usize, text: &str) -> bool {
    matches!(
        &parser.peek_nth_token_ref(at).token,
        Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text)
    )
}

fn is_call(parser: &Parser, name: &str) -> bool {
    is_word(parser, 0, name) && parser.peek_nth_token_ref(1).token == Token::LParen
}

/// Takes the next token where it is that word.
fn take_word(parser: &mut Parser, text: &str) -> bool {
    let found = is_word(parser, 0, text);
    if found {
        parser.advance_token();
    }
    found
}

/// `TRIM([LEADING | TRAILING | BOTH] [characters] [FROM] text [, characters])` as a call.
fn trimmed(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.advance_token();
    parser.advance_token();
    let side = ["leading", "trailing", "both"].into_iter().find(|side| take_word(parser, side));
    let name = match side {
        Some("leading") => "ltrim",
        Some("trailing") => "rtrim",
        _ => "btrim",
    };
    let args = if take_word(parser, "from") {
        parser.parse_comma_separated(Parser::parse_expr)?
    } else {
        let mut first = parser.parse_comma_separated(Parser::parse_expr)?;
        if take_word(parser, "from") {
            let mut args = parser.parse_comma_separated(Parser::parse_expr)?;
            args.append(&mut first);
            args
        } else {
            first
        }
    };
    parser.expect_token(&Token::RParen)?;
    Ok(super::rewrite::call(name, args))
}

/// Whether the call that begins here has `SIMILAR pattern ESCAPE` in its list.
fn has_similar(parser: &Parser) -> bool {
    let mut depth = 0usize;
    for at in 1.. {
        match &parser.peek_nth_token_ref(at).token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::EOF => return false,
            _ if depth == 1 && is_word(parser, at, "similar") => return !is_word(parser, at + 1, "to"),
            _ => {}
        }
        if depth == 0 {
            return false;
        }
    }
    false
}

/// `SUBSTRING(text SIMILAR pattern ESCAPE character)`.
fn similar(parser: &mut Parser, precedence: u8) -> Result<Expr, ParserError> {
    parser.advance_token();
    parser.advance_token();
    let text = parser.parse_subexpr(precedence)?;
    parser.expect_keyword_is(Keyword::SIMILAR)?;
    let pattern = parser.parse_subexpr(precedence)?;
    parser.expect_keyword_is(Keyword::ESCAPE)?;
    let escape = parser.parse_expr()?;
    parser.expect_token(&Token::RParen)?;
    Ok(super::rewrite::call("cairn_substring_regex", vec![text, pattern, escape]))
}

/// Whether a query begins there.
fn is_query(parser: &Parser, at: usize) -> bool {
    ["select", "values", "with"].iter().any(|word| is_word(parser, at, word))
}

/// `JSON_ARRAY(query [RETURNING type])`.
fn json_array(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.advance_token();
    parser.advance_token();
    let query = parser.parse_query()?;
    let ty = match take_word(parser, "returning") {
        true => Some(parser.parse_data_type()?),
        false => None,
    };
    parser.expect_token(&Token::RParen)?;
    let mut array = super::rewrite::call("json_array", Vec::new());
    if let Expr::Function(function) = &mut array {
        function.args = FunctionArguments::Subquery(query);
    }
    Ok(match ty {
        None => array,
        Some(data_type) => Expr::Cast {
            kind: CastKind::DoubleColon,
            expr: Box::new(array),
            data_type,
            array: false,
            format: None,
        },
    })
}

/// Whether `IS [NOT] DISTINCT FROM` comes next; whether with NOT.
fn is_distinct(parser: &Parser) -> Option<bool> {
    if !is_word(parser, 0, "is") {
        return None;
    }
    let at = 1 + usize::from(is_word(parser, 1, "not"));
    (is_word(parser, at, "distinct") && is_word(parser, at + 1, "from")).then_some(at == 2)
}

/// `IS [NOT] DISTINCT FROM value`: the parser would take an AND or OR behind it for a part of the value.
fn distinct(parser: &mut Parser, left: &Expr, negated: bool, precedence: u8) -> Result<Expr, ParserError> {
    for _ in 0..3 + usize::from(negated) {
        parser.advance_token();
    }
    let (left, right) = (Box::new(left.clone()), Box::new(parser.parse_subexpr(precedence)?));
    Ok(match negated {
        true => Expr::IsNotDistinctFrom(left, right),
        false => Expr::IsDistinctFrom(left, right),
    })
}

/// Whether `IS [NOT] JSON` comes next; whether with NOT.
fn is_json(parser: &Parser) -> Option<bool> {
    if !is_word(parser, 0, "is") {
        return None;
    }
    let negated = is_word(parser, 1, "not");
    is_word(parser, 1 + usize::from(negated), "json").then_some(negated)
}

/// `IS [NOT] JSON [VALUE | ARRAY | OBJECT | SCALAR] [WITH | WITHOUT UNIQUE [KEYS]]`.
fn json_test(parser: &mut Parser, left: &Expr, negated: bool) -> Result<Expr, ParserError> {
    for _ in 0..2 + usize::from(negated) {
        parser.advance_token();
    }
    let kind = ["value", "array", "object", "scalar"].into_iter().find(|kind| take_word(parser, kind));
    let mut unique = false;
    if is_word(parser, 1, "unique") && (is_word(parser, 0, "with") || is_word(parser, 0, "without")) {
        unique = is_word(parser, 0, "with");
        parser.advance_token();
        parser.advance_token();
        take_word(parser, "keys");
    }
    let text = |text: &str| super::rewrite::string(text);
    let args = vec![left.clone(), text(kind.unwrap_or("value")), text(if unique { "unique" } else { "" })];
    let test = super::rewrite::call(super::shown::IS_JSON, args);
    Ok(match negated {
        true => Expr::UnaryOp {
            op: sqlparser::ast::UnaryOperator::Not,
            expr: Box::new(Expr::Nested(Box::new(test))),
        },
        false => test,
    })
}
