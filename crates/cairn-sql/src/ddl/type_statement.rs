//! Reading CREATE, ALTER and DROP of TYPE and DOMAIN, of which the parser knows a part only.

use sqlparser::ast::{DataType, Expr, Ident, ObjectName};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

type Parsed<T> = std::result::Result<T, ParserError>;

/// One of these statements.
#[derive(Debug)]
pub(super) enum TypeStatement {
    CreateEnum {
        name: ObjectName,
        labels: Vec<String>,
    },
    CreateDomain {
        name: ObjectName,
        base: DataType,
        constraints: Vec<DomainConstraint>,
    },
    CreateComposite {
        name: ObjectName,
        attributes: Vec<(Ident, DataType)>,
    },
    /// A form of CREATE TYPE that is not supported.
    CreateOther(&'static str),
    AlterType {
        name: ObjectName,
        change: TypeChange,
    },
    AlterDomain {
        name: ObjectName,
        change: Box<DomainChange>,
    },
    Drop {
        domain: bool,
        if_exists: bool,
        names: Vec<ObjectName>,
        cascade: bool,
    },
}

/// What a domain is made with.
#[derive(Debug)]
pub(super) enum DomainConstraint {
    Default(Expr),
    NotNull,
    Null,
    Check { name: Option<Ident>, condition: Expr, not_valid: bool },
}

/// What ALTER TYPE does.
#[derive(Debug)]
pub(super) enum TypeChange {
    AddValue { label: String, if_not_exists: bool, before: Option<String>, after: Option<String> },
    RenameValue { from: String, to: String },
    Rename(Ident),
    Attributes(Vec<AttributeAction>),
    Other(&'static str),
}

/// What ALTER TYPE does to a composite type.
#[derive(Debug)]
pub(super) enum AttributeAction {
    Add(Ident, DataType),
    Drop { name: Ident, if_exists: bool },
    Retype(Ident, DataType),
    Rename(Ident, Ident),
}

/// What ALTER DOMAIN does.
#[derive(Debug)]
pub(super) enum DomainChange {
    SetDefault(Option<Expr>),
    SetNotNull(bool),
    Add(DomainConstraint),
    DropConstraint { name: Ident, if_exists: bool },
    RenameConstraint { from: Ident, to: Ident },
    Validate(Ident),
    Rename(Ident),
    Other(&'static str),
}

/// Whether a statement of these first two words is one of these.
pub(super) fn is_begun(first: &str, second: &str) -> bool {
    matches!(first, "CREATE" | "ALTER" | "DROP") && matches!(second, "TYPE" | "DOMAIN")
}

fn word(parser: &mut Parser<'_>, wanted: &str) -> bool {
    match &parser.peek_token().token {
        Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted) => {
            parser.next_token();
            true
        }
        _ => false,
    }
}

fn words(parser: &mut Parser<'_>, wanted: &[&str]) -> bool {
    let matches = wanted.iter().enumerate().all(|(at, wanted)| {
        matches!(&parser.peek_nth_token(at).token, Token::Word(word) if word.value.eq_ignore_ascii_case(wanted))
    });
    if matches {
        wanted.iter().for_each(|_| drop(parser.next_token()));
    }
    matches
}

fn expected<T>(parser: &Parser<'_>, what: &str) -> Parsed<T> {
    parser.expected(what, parser.peek_token())
}

/// Reads one, from its first word on.
pub(super) fn read(parser: &mut Parser<'_>) -> Parsed<TypeStatement> {
    let first = parser.next_token().token.to_string().to_ascii_uppercase();
    let domain = parser.next_token().token.to_string().eq_ignore_ascii_case("domain");
    match (first.as_str(), domain) {
        ("DROP", _) => drop_types(parser, domain),
        ("CREATE", false) => create_type(parser),
        ("CREATE", true) => create_domain(parser),
        (_, false) => {
            let name = parser.parse_object_name(false)?;
            Ok(TypeStatement::AlterType { name, change: type_change(parser)? })
        }
        (_, true) => {
            let name = parser.parse_object_name(false)?;
            Ok(TypeStatement::AlterDomain { name, change: Box::new(domain_change(parser)?) })
        }
    }
}

fn drop_types(parser: &mut Parser<'_>, domain: bool) -> Parsed<TypeStatement> {
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let names = parser.parse_comma_separated(|parser| parser.parse_object_name(false))?;
    let cascade = parser.parse_keyword(Keyword::CASCADE);
    if !cascade {
        let _ = parser.parse_keyword(Keyword::RESTRICT);
    }
    Ok(TypeStatement::Drop { domain, if_exists, names, cascade })
}

fn create_type(parser: &mut Parser<'_>) -> Parsed<TypeStatement> {
    let name = parser.parse_object_name(false)?;
    if !parser.parse_keyword(Keyword::AS) {
        to_the_end(parser);
        return Ok(TypeStatement::CreateOther("a base type"));
    }
    if word(parser, "range") {
        to_the_end(parser);
        return Ok(TypeStatement::CreateOther("CREATE TYPE ... AS RANGE"));
    }
    if !word(parser, "enum") {
        parser.expect_token(&Token::LParen)?;
        let mut attributes = Vec::new();
        if !parser.consume_token(&Token::RParen) {
            attributes = parser.parse_comma_separated(attribute)?;
            parser.expect_token(&Token::RParen)?;
        }
        return Ok(TypeStatement::CreateComposite { name, attributes });
    }
    parser.expect_token(&Token::LParen)?;
    let mut labels = Vec::new();
    if !parser.consume_token(&Token::RParen) {
        labels = parser.parse_comma_separated(Parser::parse_literal_string)?;
        parser.expect_token(&Token::RParen)?;
    }
    Ok(TypeStatement::CreateEnum { name, labels })
}

/// A name and a type.
fn attribute(parser: &mut Parser<'_>) -> Parsed<(Ident, DataType)> {
    let name = parser.parse_identifier()?;
    Ok((name, attribute_type(parser)?))
}

fn attribute_type(parser: &mut Parser<'_>) -> Parsed<DataType> {
    let ty = parser.parse_data_type()?;
    collation(parser)?;
    Ok(ty)
}

/// COLLATE of the one order that there is.
fn collation(parser: &mut Parser<'_>) -> Parsed<()> {
    if parser.parse_keyword(Keyword::COLLATE) {
        let collation = parser.parse_object_name(false)?.to_string();
        if !matches!(collation.trim_matches('"'), "C" | "POSIX" | "default") {
            return expected(parser, "COLLATE \"C\"");
        }
    }
    Ok(())
}

fn attribute_action(parser: &mut Parser<'_>) -> Parsed<AttributeAction> {
    let action = if words(parser, &["add", "attribute"]) {
        let (name, ty) = attribute(parser)?;
        AttributeAction::Add(name, ty)
    } else if words(parser, &["drop", "attribute"]) {
        let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        AttributeAction::Drop { name: parser.parse_identifier()?, if_exists }
    } else if words(parser, &["alter", "attribute"]) {
        let name = parser.parse_identifier()?;
        let _ = words(parser, &["set", "data"]);
        if !word(parser, "type") {
            return expected(parser, "TYPE");
        }
        AttributeAction::Retype(name, attribute_type(parser)?)
    } else {
        return expected(parser, "ADD, DROP or ALTER ATTRIBUTE");
    };
    // There are no tables of a type, to which it could go on.
    let _ = parser.parse_one_of_keywords(&[Keyword::CASCADE, Keyword::RESTRICT]);
    Ok(action)
}

/// Passes over what is refused.
fn to_the_end(parser: &mut Parser<'_>) {
    while !matches!(parser.peek_token().token, Token::EOF | Token::SemiColon) {
        parser.next_token();
    }
}

fn create_domain(parser: &mut Parser<'_>) -> Parsed<TypeStatement> {
    let name = parser.parse_object_name(false)?;
    let _ = parser.parse_keyword(Keyword::AS);
    let base = parser.parse_data_type()?;
    let mut constraints = Vec::new();
    collation(parser)?;
    while !matches!(parser.peek_token().token, Token::EOF | Token::SemiColon) {
        constraints.push(domain_constraint(parser)?);
    }
    Ok(TypeStatement::CreateDomain { name, base, constraints })
}

fn domain_constraint(parser: &mut Parser<'_>) -> Parsed<DomainConstraint> {
    let name = match parser.parse_keyword(Keyword::CONSTRAINT) {
        true => Some(parser.parse_identifier()?),
        false => None,
    };
    if parser.parse_keyword(Keyword::DEFAULT) {
        return Ok(DomainConstraint::Default(operand(parser)?));
    }
    if parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]) {
        return Ok(DomainConstraint::NotNull);
    }
    if parser.parse_keyword(Keyword::NULL) {
        return Ok(DomainConstraint::Null);
    }
    if parser.parse_keyword(Keyword::CHECK) {
        parser.expect_token(&Token::LParen)?;
        let condition = parser.parse_expr()?;
        parser.expect_token(&Token::RParen)?;
        let not_valid = words(parser, &["not", "valid"]);
        return Ok(DomainConstraint::Check { name, condition, not_valid });
    }
    expected(parser, "DEFAULT, NOT NULL, NULL or CHECK")
}

/// An expression that ends before NOT NULL.
fn operand(parser: &mut Parser<'_>) -> Parsed<Expr> {
    let precedence = PostgreSqlDialect {}.prec_value(Precedence::UnaryNot);
    parser.parse_subexpr(precedence)
}

fn type_change(parser: &mut Parser<'_>) -> Parsed<TypeChange> {
    if words(parser, &["add", "value"]) {
        let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        let label = parser.parse_literal_string()?;
        let (mut before, mut after) = (None, None);
        if word(parser, "before") {
            before = Some(parser.parse_literal_string()?);
        } else if word(parser, "after") {
            after = Some(parser.parse_literal_string()?);
        }
        return Ok(TypeChange::AddValue { label, if_not_exists, before, after });
    }
    if words(parser, &["rename", "value"]) {
        let from = parser.parse_literal_string()?;
        parser.expect_keyword(Keyword::TO)?;
        return Ok(TypeChange::RenameValue { from, to: parser.parse_literal_string()? });
    }
    if words(parser, &["rename", "to"]) {
        return Ok(TypeChange::Rename(parser.parse_identifier()?));
    }
    if words(parser, &["rename", "attribute"]) {
        let from = parser.parse_identifier()?;
        parser.expect_keyword(Keyword::TO)?;
        let to = parser.parse_identifier()?;
        let _ = parser.parse_one_of_keywords(&[Keyword::CASCADE, Keyword::RESTRICT]);
        return Ok(TypeChange::Attributes(vec![AttributeAction::Rename(from, to)]));
    }
    let other = match parser.peek_token().token.to_string().to_ascii_uppercase().as_str() {
        "OWNER" => "ALTER TYPE ... OWNER TO",
        "SET" => "ALTER TYPE ... SET SCHEMA",
        "ADD" | "DROP" | "ALTER" => {
            return parser.parse_comma_separated(attribute_action).map(TypeChange::Attributes);
        }
        _ => return expected(parser, "a change of a type"),
    };
    to_the_end(parser);
    Ok(TypeChange::Other(other))
}

fn domain_change(parser: &mut Parser<'_>) -> Parsed<DomainChange> {
    if words(parser, &["set", "default"]) {
        return Ok(DomainChange::SetDefault(Some(parser.parse_expr()?)));
    }
    if words(parser, &["drop", "default"]) {
        return Ok(DomainChange::SetDefault(None));
    }
    if words(parser, &["set", "not", "null"]) {
        return Ok(DomainChange::SetNotNull(true));
    }
    if words(parser, &["drop", "not", "null"]) {
        return Ok(DomainChange::SetNotNull(false));
    }
    if word(parser, "add") {
        return Ok(DomainChange::Add(domain_constraint(parser)?));
    }
    if words(parser, &["drop", "constraint"]) {
        let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        let name = parser.parse_identifier()?;
        let _ = parser.parse_one_of_keywords(&[Keyword::CASCADE, Keyword::RESTRICT]);
        return Ok(DomainChange::DropConstraint { name, if_exists });
    }
    if words(parser, &["rename", "constraint"]) {
        let from = parser.parse_identifier()?;
        parser.expect_keyword(Keyword::TO)?;
        return Ok(DomainChange::RenameConstraint { from, to: parser.parse_identifier()? });
    }
    if words(parser, &["validate", "constraint"]) {
        return Ok(DomainChange::Validate(parser.parse_identifier()?));
    }
    if words(parser, &["rename", "to"]) {
        return Ok(DomainChange::Rename(parser.parse_identifier()?));
    }
    let other = match parser.peek_token().token.to_string().to_ascii_uppercase().as_str() {
        "OWNER" => "ALTER DOMAIN ... OWNER TO",
        "SET" => "ALTER DOMAIN ... SET SCHEMA",
        _ => return expected(parser, "a change of a domain"),
    };
    to_the_end(parser);
    Ok(DomainChange::Other(other))
}
