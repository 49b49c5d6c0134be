//! Says a query in the words that DataFusion takes as PostgreSQL means them: casts and typed literals become
//! `cairn_cast`, result columns get PostgreSQL's names, FETCH becomes LIMIT, quoted names in FROM become files.
//!
//! I1: names that must be unique within one SELECT are marked with `UNIQUE_MARK` and a number, which
//! `query::output` takes off again.

use std::collections::HashSet;
use std::mem;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, Interval, LimitClause, ObjectName, ObjectNamePart, OrderBy, OrderByKind, Query,
    Select, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, UnaryOperator, Value,
    VisitMut, VisitorMut, WindowFrame, WindowType,
};

use cairn_types::IntervalLimit;
use cairn_types::datatype::SECOND_DIGITS_MAX;

use crate::catalog::FILE_CATALOG;
use crate::functions::cast;
use crate::query::output::UNIQUE_MARK;
use crate::session::variables::fold;
use crate::{Error, Result};

/// Rewrites a query.
pub(crate) fn query(query: &mut Query) -> Result<()> {
    match query.visit(&mut Rewrite::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

#[derive(Default)]
struct Rewrite {
    /// Window frames, kept away from rewriting: the planner reads their bounds literally.
    frames: Vec<Vec<Option<WindowFrame>>>,
    /// Queries that are open; the outermost is 1.
    depth: usize,
}

impl VisitorMut for Rewrite {
    type Break = Error;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.depth -= 1;
        order_by_alias(query);
        match super::order_names::resolve(query, self.depth > 0) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.depth += 1;
        if let Err(error) = crate::query::lock::refuse_unread(query) {
            return ControlFlow::Break(error);
        }
        if query.with.iter().flat_map(|with| &with.cte_tables).any(crate::dml::with::modifies) {
            return ControlFlow::Break(Error::new(
                "0A000",
                "WITH clause containing a data-modifying statement must be at the top level",
            ));
        }
        super::values::adopt(query);
        if let Err(error) = crate::query::copies::number(query) {
            return ControlFlow::Break(error);
        }
        if let Err(error) = super::sets::in_from(query) {
            return ControlFlow::Break(error);
        }
        if super::as_of::is_noted(query) {
            return ControlFlow::Break(Error::unsupported("AS OF SYSTEM TIME in this place"));
        }
        if let Some(fetch) = query.fetch.take() {
            let mut quantity =
                fetch.quantity.unwrap_or_else(|| Expr::Value(Value::Number("1".to_owned(), false).into()));
            if fetch.with_ties {
                if query.order_by.is_none() {
                    return ControlFlow::Break(Error::new(
                        "42601",
                        "WITH TIES cannot be specified without ORDER BY clause",
                    ));
                }
                quantity = call(crate::query::ties::NAME, vec![quantity]);
            }
            query.limit_clause = Some(match query.limit_clause.take() {
                Some(LimitClause::LimitOffset { offset, limit_by, .. }) => {
                    LimitClause::LimitOffset { limit: Some(quantity), offset, limit_by }
                }
                _ => LimitClause::LimitOffset { limit: Some(quantity), offset: None, limit_by: Vec::new() },
            });
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        name_columns(select, self.depth > 1);
        if self.depth == 1 {
            super::forms::show_names(select);
        }
        let rewritten = in_select_list(select)
            .and_then(|()| super::grouping::rewrite(select))
            .and_then(|()| super::forms::rows_in_where(select));
        if let Err(error) = rewritten {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        if let TableFactor::Table { name, args: None, .. } = factor
            && let [ObjectNamePart::Identifier(ident)] = name.0.as_slice()
            && ident.quote_style == Some('\'')
        {
            let path = ident.value.clone();
            *name = ObjectName(
                [FILE_CATALOG, &path]
                    .map(|part| ObjectNamePart::Identifier(Ident::with_quote('"', part)))
                    .to_vec(),
            );
        }
        if let Err(error) = super::sample::rewrite(factor) {
            return ControlFlow::Break(error);
        }
        name_set_column(factor);
        if let TableFactor::UNNEST { array_exprs, .. } = factor {
            array_exprs.iter_mut().for_each(super::sets::flat);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Err(error) = super::array_query::rewrite(expr).and_then(|_| super::forms::before(expr)) {
            return ControlFlow::Break(error);
        }
        if let Expr::Function(function) = expr
            && function.over.is_some()
            && let Err(error) =
                super::computed_windows::rewrite(function).and_then(|()| super::exclude::rewrite(function))
        {
            return ControlFlow::Break(error);
        }
        if let Expr::Function(Function { over: Some(WindowType::WindowSpec(spec)), .. }) = expr {
            self.frames.push(vec![spec.window_frame.take()]);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match rewrite(expr, &mut self.frames) {
            Ok(()) => {
                super::case::rewrite(expr);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// In FROM, the column of `generate_series(…)` is called as the function, and that of `generate_series(…) AS g` and
/// `unnest(…) AS g` is called `g`, unless the alias names its columns.
fn name_set_column(factor: &mut TableFactor) {
    let (alias, function) =
        match factor {
            TableFactor::Table { name, args: Some(_), alias, .. } => match name.0.as_slice() {
                [ObjectNamePart::Identifier(name)] if fold(name) == "generate_series" => {
                    (alias, "generate_series")
                }
                _ => return,
            },
            TableFactor::UNNEST {
                array_exprs, alias, with_offset: false, with_ordinality: false, ..
            } if array_exprs.len() == 1 => (alias, "unnest"),
            _ => return,
        };
    let alias = alias.get_or_insert_with(|| TableAlias {
        explicit: true,
        name: Ident::new(function),
        columns: Vec::new(),
        at: None,
    });
    if alias.columns.is_empty() {
        alias.columns.push(TableAliasColumnDef { name: alias.name.clone(), data_type: None });
    }
}

/// What a select list may hold and the planner takes only elsewhere: EXISTS becomes a comparison of a count, a
/// function that yields a set is unnested.
fn in_select_list(select: &mut Select) -> Result<()> {
    struct List {
        queries: usize,
    }
    impl VisitorMut for List {
        type Break = Error;
        fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Error> {
            self.queries += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Error> {
            self.queries -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
            match super::sets::refuse_within(expr) {
                Err(error) if self.queries == 0 => ControlFlow::Break(error),
                _ => ControlFlow::Continue(()),
            }
        }
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
            if self.queries > 0 {
                return ControlFlow::Continue(());
            }
            match super::sets::in_list(expr) {
                Ok(Some(unnested)) => *expr = unnested,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(error),
            }
            if let Err(error) = super::forms::in_select_list(expr) {
                return ControlFlow::Break(error);
            }
            if let Expr::Exists { subquery, negated } = expr {
                let op = if *negated { "= 0" } else { "> 0" };
                let text = format!("SELECT (SELECT count(*) {op} FROM ({subquery}) AS \"exists\")");
                match super::parse_text(&text).map(first_item) {
                    Ok(Some(rewritten)) => *expr = rewritten,
                    Ok(None) => {}
                    Err(error) => return ControlFlow::Break(error),
                }
            }
            ControlFlow::Continue(())
        }
    }
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        if let ControlFlow::Break(error) = expr.visit(&mut List { queries: 0 }) {
            return Err(error);
        }
    }
    Ok(())
}

/// The first expression of a parsed SELECT.
fn first_item(statement: sqlparser::ast::Statement) -> Option<Expr> {
    let sqlparser::ast::Statement::Query(query) = statement else { return None };
    let SetExpr::Select(select) = *query.body else { return None };
    select.projection.into_iter().find_map(|item| match item {
        SelectItem::UnnamedExpr(expr) => Some(expr),
        _ => None,
    })
}

/// Under SELECT DISTINCT, an ORDER BY expression that is a result column is written as that column's name.
fn order_by_alias(query: &mut Query) {
    let SetExpr::Select(select) = &*query.body else { return };
    if select.distinct.is_none() {
        return;
    }
    let Some(OrderBy { kind: OrderByKind::Expressions(orders), .. }) = &mut query.order_by else { return };
    for order in orders {
        if matches!(order.expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_)) {
            continue;
        }
        let text = order.expr.to_string();
        let alias = select.projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if expr.to_string() == text => Some(alias.clone()),
            _ => None,
        });
        if let Some(alias) = alias {
            order.expr = Expr::Identifier(alias);
        }
    }
}

pub(super) fn take(expr: &mut Expr) -> Expr {
    mem::replace(expr, Expr::Value(Value::Null.into()))
}

pub(crate) fn string(text: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.into()).into())
}

/// A call of one of our functions.
pub(crate) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(Ident::new(name)),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments
                .into_iter()
                .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)))
                .collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The type of a cast: a constant NUMERIC has its own digits.
fn constant_type(expr: &Expr, ty: cairn_types::DataType) -> cairn_types::DataType {
    match expr {
        Expr::Value(value) if ty == cairn_types::DataType::Numeric(None) => match &value.value {
            Value::SingleQuotedString(text) => crate::functions::cast::constant_type(text).unwrap_or(ty),
            _ => ty,
        },
        _ => ty,
    }
}

/// `cairn_cast(expr, 'type')`.
pub(crate) fn cast_to(expr: Expr, ty: &cairn_types::DataType) -> Expr {
    call(cast::NAME, vec![expr, string(ty.signature())])
}

fn rewrite(expr: &mut Expr, frames: &mut Vec<Vec<Option<WindowFrame>>>) -> Result<()> {
    if super::lists::rewrite(expr) || super::forms::after(expr)? || super::spelled::rewrite(expr)? {
        return Ok(());
    }
    match expr {
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr: inner, data_type, .. } => {
            let ty = super::forms::with_dimensions(inner, data_type_of(data_type)?);
            let ty = constant_type(inner, ty);
            *expr = cast_to(take(inner), &ty);
        }
        Expr::TypedString(typed) => {
            let ty = data_type_of(&typed.data_type)?;
            let text = string(typed.value.clone().into_string().unwrap_or_default());
            let ty = constant_type(&text, ty);
            *expr = cast_to(text, &ty);
        }
        Expr::Interval(interval) => {
            let (text, ty) = interval_text(interval)?;
            *expr = cast_to(text, &ty);
        }
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right)
            if is_string(left) != is_string(right) =>
        {
            // Beside a literal the operator finds the types out, and the literal is not NULL.
            let (left, right) = (Box::new(take(left)), Box::new(take(right)));
            let equal = Expr::BinaryOp { left, op: BinaryOperator::Eq, right };
            let equal = Box::new(Expr::Nested(Box::new(equal)));
            *expr = match expr {
                Expr::IsDistinctFrom(..) => Expr::IsNotTrue(equal),
                _ => Expr::IsTrue(equal),
            };
        }
        Expr::Value(literal) => match &literal.value {
            Value::SingleQuotedByteStringLiteral(digits) => *expr = bit_string('b', digits),
            Value::HexStringLiteral(digits) => *expr = bit_string('x', digits),
            _ => {}
        },
        Expr::AtTimeZone { timestamp, time_zone } => {
            *expr = call("cairn_at_time_zone", vec![take(timestamp), take(time_zone)]);
        }
        Expr::Collate { expr: inner, collation } => {
            let name = collation.0.last().map(ToString::to_string).unwrap_or_default();
            match name.trim_matches('"') {
                "C" | "POSIX" | "default" | "ucs_basic" | "C.UTF-8" | "c" | "posix" => *expr = take(inner),
                other => {
                    return Err(Error::new(
                        "42704",
                        format!("collation \"{other}\" for encoding \"UTF8\" does not exist"),
                    )
                    .with_hint("Text is compared by its bytes, as COLLATE \"C\" does."));
                }
            }
        }
        Expr::BinaryOp { left, op: BinaryOperator::PGExp, right } => {
            *expr = call("power", vec![take(left), take(right)]);
        }
        Expr::SimilarTo { negated, expr: inner, pattern, escape_char } => {
            let escape = escape_char.as_ref().map_or_else(|| string("\\"), |c| Expr::Value(c.clone()));
            let op = if *negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
            let pattern = call("cairn_similar", vec![take(pattern), escape]);
            let (left, right) = (Box::new(Expr::Nested(Box::new(take(inner)))), Box::new(pattern));
            *expr = Expr::Nested(Box::new(Expr::BinaryOp { left, op, right }));
        }
        Expr::UnaryOp {
            op: op @ (UnaryOperator::PGSquareRoot | UnaryOperator::PGCubeRoot | UnaryOperator::PGAbs),
            expr: inner,
        } => {
            let double = |inner| cast_to(inner, &cairn_types::DataType::Double);
            *expr = match op {
                UnaryOperator::PGSquareRoot => call("sqrt", vec![double(take(inner))]),
                UnaryOperator::PGCubeRoot => call("cbrt", vec![double(take(inner))]),
                _ => call("abs", vec![take(inner)]),
            };
        }
        // ~x = -1 - x in two's complement.
        Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr: inner } => {
            let one = Expr::Value(Value::Number("1".to_owned(), false).into());
            let minus_one = Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(one) };
            let inner = Expr::Nested(Box::new(take(inner)));
            *expr = Expr::Nested(Box::new(Expr::BinaryOp {
                left: Box::new(minus_one),
                op: BinaryOperator::Minus,
                right: Box::new(inner),
            }));
        }
        Expr::Function(function) if super::sets::is_unnest(function) => {
            super::sets::flat_argument(function);
        }
        Expr::Function(function) => {
            if let Some(WindowType::WindowSpec(spec)) = &mut function.over {
                spec.window_frame = frames.pop().and_then(|mut frame| frame.pop().flatten());
            }
            rename_function(function);
            if let Some(at_zone) = in_named_zone(function)? {
                *expr = at_zone;
                return Ok(());
            }
            if let Some((left, right)) = modulo(function) {
                let remainder = Expr::BinaryOp { left, op: BinaryOperator::Modulo, right };
                *expr = Expr::Nested(Box::new(remainder));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether an expression is a string literal.
fn is_string(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

/// `B'101'` and `X'1F'`.
fn bit_string(form: char, digits: &str) -> Expr {
    let ty = cairn_types::DataType::Coded(cairn_types::Coded::Bit(None));
    cast_to(string(format!("{form}{digits}")), &ty)
}

/// `date_trunc(part, t, zone)` and `timezone(zone, t)`, said with AT TIME ZONE.
fn in_named_zone(function: &mut Function) -> Result<Option<Expr>> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return Ok(None) };
    let FunctionArguments::List(list) = &mut function.args else { return Ok(None) };
    let name = fold(name);
    let mut args = match (name.as_str(), list.args.len()) {
        ("date_trunc", 3) | ("timezone", 2) => list.args.drain(..).map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => expr,
            _ => Expr::Value(Value::Null.into()),
        }),
        _ => return Ok(None),
    };
    let at_zone = |moment, zone| call("cairn_at_time_zone", vec![moment, zone]);
    let (Some(first), Some(second)) = (args.next(), args.next()) else { return Ok(None) };
    Ok(Some(match args.next() {
        None => at_zone(second, first),
        Some(zone) => {
            let mut local = call("date_trunc", vec![first, at_zone(second, zone.clone())]);
            super::spelled::rewrite(&mut local)?;
            at_zone(local, zone)
        }
    }))
}

/// The arguments of `mod(a, b)`, which is `a % b`.
fn modulo(function: &mut Function) -> Option<(Box<Expr>, Box<Expr>)> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
    let FunctionArguments::List(list) = &mut function.args else { return None };
    if fold(name) != "mod" || list.args.len() != 2 {
        return None;
    }
    let mut nested = list.args.drain(..).map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Box::new(Expr::Nested(Box::new(expr))),
        _ => Box::new(Expr::Value(Value::Null.into())),
    });
    Some((nested.next()?, nested.next()?))
}

fn data_type_of(ty: &sqlparser::ast::DataType) -> Result<cairn_types::DataType> {
    super::types::data_type(ty)
}

/// The text of `INTERVAL '1' DAY`, `INTERVAL '1 day'`, `INTERVAL '1 2:03' DAY TO MINUTE`, and the type.
fn interval_text(interval: &mut Interval) -> Result<(Expr, cairn_types::DataType)> {
    let value = match take(&mut interval.value) {
        Expr::Value(literal) => match &literal.value {
            Value::Number(number, _) => string(number.clone()),
            _ => Expr::Value(literal),
        },
        other => other,
    };
    let mut words = interval.leading_field.as_ref().map(ToString::to_string).unwrap_or_default();
    if let Some(last) = &interval.last_field {
        words.push_str(&format!(" TO {last}"));
    }
    let words = words.to_ascii_lowercase();
    let digits = match (words.as_str(), interval.leading_precision) {
        ("second", digits @ Some(_)) => digits,
        _ => interval.fractional_seconds_precision,
    };
    let digits = digits.map(|digits| digits.min(u64::from(SECOND_DIGITS_MAX)) as u8);
    match IntervalLimit::parse(&words, digits) {
        Some(limit) => Ok((value, cairn_types::DataType::Interval(limit))),
        // Units of other dialects: hours, weeks.
        None => match &value {
            Expr::Value(literal) if interval.last_field.is_none() && digits.is_none() => {
                let text = literal.value.clone().into_string().unwrap_or_default();
                Ok((string(format!("{text} {words}")), cairn_types::DataType::Interval(None)))
            }
            _ => Err(Error::new("42601", format!("syntax error at or near \"{words}\""))),
        },
    }
}

/// Names under which PostgreSQL and DataFusion know the same function.
fn rename_function(function: &mut Function) {
    // `pg_catalog.f` is `f`.
    if let [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(_)] = function.name.0.as_slice()
        && fold(schema) == "pg_catalog"
    {
        function.name.0.remove(0);
    }
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return };
    let ours = match fold(name).as_str() {
        "every" => "bool_and",
        "array_length" if argument_count(function) == Some(2) => return,
        "char_length" | "character_length" => "character_length",
        "variance" => "var_samp",
        "stddev_samp" => "stddev",
        "ceiling" => "ceil",
        "date_part" => "date_part",
        "string_to_array" => "string_to_array",
        _ => return,
    };
    function.name = ObjectName::from(Ident::new(ours));
}

fn argument_count(function: &Function) -> Option<usize> {
    match &function.args {
        FunctionArguments::List(list) => Some(list.args.len()),
        _ => None,
    }
}

/// Gives the columns of a SELECT PostgreSQL's names, each once.
fn name_columns(select: &mut Select, nested: bool) {
    let mut taken: HashSet<String> = HashSet::new();
    let mut plain: HashSet<String> = HashSet::new();
    // Names of columns that keep their qualifiers: others of such a name get another.
    let mut kept: HashSet<String> = HashSet::new();
    let wildcard = select
        .projection
        .iter()
        .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    let own = super::scopes::names(&select.from);
    // Explicit aliases first: they keep their names where they can.
    for item in &mut select.projection {
        if let SelectItem::ExprWithAlias { alias, .. } = item {
            let name = fold(alias);
            if !taken.insert(name.clone()) {
                *alias = super::names::exact(&unique(&name, &mut taken));
            }
        }
    }
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let name = column_name(expr);
        let bare = match expr {
            Expr::Identifier(_) => true,
            // That of a query around is a value here, which needs the name.
            Expr::CompoundIdentifier(parts) => {
                !nested || own.is_empty() || parts.iter().any(|part| own.contains(&fold(part)))
            }
            _ => false,
        };
        // Whether in quotes or not.
        let said = match expr {
            Expr::CompoundIdentifier(parts) => parts.iter().map(fold).collect::<Vec<_>>().join("."),
            _ => name.clone(),
        };
        if bare && !wildcard && !taken.contains(&name) && plain.insert(said) {
            // A column keeps its qualifier, by which ORDER BY may name it.
            if nested || matches!(expr, Expr::Identifier(_)) {
                taken.insert(name);
            } else {
                kept.insert(name);
            }
            continue;
        }
        // A column by its own name is no other name for it.
        let free = !bare && !kept.contains(&name) && taken.insert(name.clone());
        let alias = if free { name } else { unique(&name, &mut taken) };
        *item = SelectItem::ExprWithAlias { expr: take(expr), alias: super::names::exact(&alias) };
    }
}

pub(super) fn unique(name: &str, taken: &mut HashSet<String>) -> String {
    let mut number = taken.len() + 1;
    loop {
        let candidate = format!("{name}{UNIQUE_MARK}{number}");
        if taken.insert(candidate.clone()) {
            return candidate;
        }
        number += 1;
    }
}

/// The name that PostgreSQL gives a column without alias (`FigureColname`).
pub(crate) fn column_name(expr: &Expr) -> String {
    figure(expr).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// The name and how strong it is: 2 from a column or function, 1 from a type.
fn figure(expr: &Expr) -> Option<(String, u8)> {
    let strong = |name: &str| Some((name.to_owned(), 2));
    match expr {
        Expr::Identifier(ident) => Some((fold(ident), 2)),
        Expr::CompoundIdentifier(parts) => parts.last().map(|ident| (fold(ident), 2)),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        Expr::Function(function) => {
            let name = function.name.0.last()?.as_ident().map(fold)?;
            match name.as_str() {
                crate::functions::composite::FIELD => {
                    super::composites::field(expr).and_then(|(_, name)| strong(name))
                }
                crate::functions::composite::ROW | crate::functions::composite::ROW_OF => strong("row"),
                "cairn_is_json" => None,
                "cairn_substring_regex" => strong("substring"),
                name if name.starts_with("cairn_variadic_") => strong(&name["cairn_variadic_".len()..]),
                _ => Some((name, 2)),
            }
        }
        Expr::Cast { expr: inner, data_type, .. } => match figure(inner) {
            Some((name, 2)) => Some((name, 2)),
            _ => Some((type_column_name(data_type), 1)),
        },
        Expr::TypedString(typed) => Some((type_column_name(&typed.data_type), 1)),
        Expr::Interval(_) => Some(("interval".to_owned(), 1)),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(figure) {
            Some((name, 2)) => Some((name, 2)),
            _ => Some(("case".to_owned(), 1)),
        },
        Expr::Exists { .. } => strong("exists"),
        Expr::Subquery(query) => match &*query.body {
            SetExpr::Select(select) => match select.projection.first()? {
                SelectItem::UnnamedExpr(expr) => figure(expr),
                SelectItem::ExprWithAlias { alias, .. } => {
                    Some((crate::query::output::display_name(&fold(alias)).to_owned(), 2))
                }
                _ => None,
            },
            _ => None,
        },
        Expr::Extract { .. } => strong("extract"),
        Expr::Substring { shorthand: true, .. } => strong("substr"),
        Expr::Substring { .. } => strong("substring"),
        Expr::Position { .. } => strong("position"),
        Expr::Trim { .. } => strong("btrim"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Array(_) => strong("array"),
        Expr::CompoundFieldAccess { root, .. } => figure(root),
        Expr::Tuple(_) => strong("row"),
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => Some(("bool".to_owned(), 1)),
        _ => None,
    }
}

fn type_column_name(ty: &sqlparser::ast::DataType) -> String {
    super::types::data_type(ty).map_or_else(|_| ty.to_string().to_lowercase(), |ty| ty.pg_name())
}
