//! From text to statements: lexer, splitting, guard, parser, and the rewriting of what DataFusion reads
//! differently from PostgreSQL.

mod aliases;
mod array_query;
mod array_types;
pub(crate) mod as_of;
pub(crate) mod balance;
mod beside_stars;
pub(crate) mod bound;
mod case;
pub(crate) mod check;
pub(crate) mod composites;
mod computed_windows;
pub(crate) mod conflict;
pub(crate) mod constants;
pub(crate) mod cursor;
pub(crate) mod dialect;
pub(crate) mod element_targets;
mod exclude;
pub(crate) mod executed;
pub(crate) mod fetch;
mod forms;
pub(crate) mod frame_bounds;
mod grouping;
pub mod guard;
mod hidden_tables;
pub(crate) mod integers;
pub(crate) mod into;
pub(crate) mod lexer;
pub(crate) mod likes;
mod list_names;
pub(crate) mod lists;
pub(crate) mod locking;
pub(crate) mod merge;
mod named_casts;
pub(crate) mod named_types;
pub(crate) mod names;
pub(crate) mod noted_aliases;
pub(crate) mod only;
mod order_names;
pub(crate) mod parameters;
pub(crate) mod partition_columns;
mod presence;
mod qualified_stars;
mod quantified_values;
mod recursive;
pub(crate) mod rewrite;
pub(crate) mod row_functions;
pub(crate) mod rows_from;
pub(crate) mod sample;
mod scopes;
mod search;
mod set_aliases;
pub(crate) mod sets;
mod shadowed;
pub(crate) mod shown;
mod spelled;
pub(crate) mod spelling;
pub mod split;
pub(crate) mod substitute;
mod system_ids;
pub(crate) mod table_ids;
pub(crate) mod types;
mod using;
pub(crate) mod values;
mod variadic;
mod view_options;
mod whole_rows;
mod windows;

pub(crate) use self::scopes::names as scope_names;

use self::dialect::CairnDialect;
use cairn_engine::Catalog;
use sqlparser::ast::{Query, Statement};
use sqlparser::parser::{Parser, ParserError};

use crate::context::Context;
use crate::error::syntax_error;
use crate::{Error, Result};

/// Nested statements and subexpressions that the parser itself counts; the guard counts first and lower.
const PARSER_DEPTH_MAX: usize = 4_000;
/// Longest text with an error that is read once more, with joins nested, in bytes.
const NESTED_BYTES_MAX: usize = 1 << 20;

/// Parses a text of exactly one statement; `None` where there is only white space. Runs on a big stack.
///
/// # Errors
/// `54001`/`54000` from the guard, `42601` from the parser and for more than one statement.
pub(crate) fn statement(sql: &str) -> Result<Option<Statement>> {
    let Some((text, rest)) = split::first(sql) else { return Ok(None) };
    if split::first(rest).is_some() {
        return Err(Error::new("42601", "cannot insert multiple commands into a prepared statement"));
    }
    let start = text.as_ptr() as usize - sql.as_ptr() as usize;
    let skipped = sql[..start].chars().count();
    parse_one(text).map(Some).map_err(|error| match error.position() {
        Some(position) => error.with_position(position + skipped),
        None => error,
    })
}

fn parse_one(text: &str) -> Result<Statement> {
    guard::refuse_marks(text)?;
    let text = &*lists::before_parsing(text);
    guard::check(text)?;
    let (text, parameters) = parameters::number(text)?;
    let statement = parse_text(&text)?;
    let _ = parameters;
    Ok(statement)
}

/// Parses one statement that the guard has passed.
pub(crate) fn parse_text(text: &str) -> Result<Statement> {
    let text = &*spelling::strings(text)?;
    let text = &*spelling::operators(text);
    let text = &*spelling::functions(text);
    let text = &*spelling::orders(text);
    let text = &*spelling::identities(text);
    let text = &*spelling::statements(text);
    let logged = names::without_unlogged(text);
    let typed = partition_columns::before_parsing(&logged);
    let typed = likes::before_parsing(&typed);
    let typed = composites::before_parsing(&typed);
    let typed = element_targets::before_parsing(&typed);
    let typed = array_types::before_parsing(&typed);
    let text = &*typed;
    let own = crate::copy::parse(text)
        .or_else(|| crate::ddl::parse(text))
        .or_else(|| cursor::parse(text))
        .or_else(|| crate::statistics::maintenance::parse(text))
        .or_else(|| crate::routine::syntax::parse_do(text))
        .or_else(|| crate::session::constraints::parse(text))
        .or_else(|| crate::session::identity::parse(text));
    if let Some(parsed) = own {
        let mut statement = parsed.map_err(|error| syntax_error(error, text))?;
        balance::statement(&mut statement);
        check::statement(&statement)?;
        return Ok(statement);
    }
    let said = executed::before_parsing(text);
    let (patched, is_empty) = spelling::take_no_data(&said);
    let (patched, columns) = spelling::take_columns(&patched);
    let (patched, check_option) = view_options::take(&patched);
    let patched = names::before_parsing(&patched);
    let patched = only::before_parsing(&patched);
    let patched = constants::before_parsing(&patched);
    let patched = variadic::before_parsing(&patched);
    let patched = quantified_values::before_parsing(&patched);
    let patched = rows_from::before_parsing(&patched);
    let patched = search::before_parsing(&patched);
    let patched = windows::before_parsing(&patched);
    let patched = exclude::before_parsing(&patched);
    let patched = merge::before_parsing(&patched);
    let patched = conflict::before_parsing(&patched);
    let patched = cursor::before_parsing(&patched);
    let patched = fetch::before_parsing(&patched);
    let (patched, overriding) = names::take_overriding(&patched);
    let patched = locking::before_parsing(&patched);
    let patched = names::without_deferrable(&patched);
    let (patched, as_of) = as_of::take(&patched);
    let parsed = parse_as(&patched, &CairnDialect::default());
    let parsed = match parsed {
        // Joins may come before the condition of the join around them, which the parser reads only where it must.
        Err(error) if patched.len() <= NESTED_BYTES_MAX => {
            parse_as(&patched, &CairnDialect::nesting_joins()).map_err(|_| error)
        }
        parsed => parsed,
    };
    let mut statements = parsed.map_err(|error| syntax_error(error, &patched))?;
    let mut statement = match statements.len() {
        1 => statements.remove(0),
        _ => return Err(Error::new("42601", "syntax error: one statement expected")),
    };
    names::note_overriding(&mut statement, &overriding);
    spelling::name_columns(&mut statement, &columns)?;
    view_options::note(&mut statement, check_option);
    if is_empty {
        spelling::leave_rows_out(&mut statement);
    }
    if let Some(moment) = as_of {
        as_of::note(&mut statement, &moment)?;
    }
    into::rewrite(&mut statement)?;
    if patched.contains(element_targets::MARK) {
        element_targets::unpack(&mut statement)?;
    }
    fetch::read(&patched, &mut statement)?;
    named_casts::rewrite(&patched, &mut statement);
    balance::statement(&mut statement);
    check::statement(&statement)?;
    search::rewrite(&patched, &mut statement)?;
    row_functions::rewrite(&patched, &mut statement)?;
    Ok(statement)
}

fn parse_as(text: &str, dialect: &CairnDialect) -> std::result::Result<Vec<Statement>, ParserError> {
    Parser::new(dialect).with_recursion_limit(PARSER_DEPTH_MAX).try_with_sql(text)?.parse_statements()
}

/// Says merged columns of joins, rows of tables as values and named windows in a query that is about to be planned. `plan` gives the columns
/// of a query that stands alone, or `None`.
///
/// # Errors
/// `42702` and `42703` for columns of USING.
pub(crate) fn resolve(
    context: &Context,
    catalog: &Catalog,
    plan: &dyn Fn(Query) -> Option<Vec<String>>,
    query: &mut Query,
) -> Result<()> {
    recursive::check(query)?;
    qualified_stars::complete(query);
    set_aliases::wrap(query);
    windows::resolve(query)?;
    system_ids::resolve(query)?;
    shadowed::rename(query);
    let scopes = scopes::Scopes::new(context, catalog, plan);
    aliases::complete(scopes.clone(), query);
    list_names::keys(scopes.clone(), query);
    using::resolve(scopes.clone(), query)?;
    list_names::resolve(scopes.clone(), query)?;
    beside_stars::name(scopes.clone(), query);
    table_ids::resolve(scopes.clone(), catalog, query)?;
    whole_rows::resolve(scopes.clone(), catalog, query)?;
    hidden_tables::rename(scopes, query);
    Ok(())
}
