//! Refuses, right after parsing, clauses that the parser accepts and nothing behind it would honour. Dropping a
//! clause silently would give a wrong answer.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArguments, GroupByExpr, JoinOperator, LimitClause, ObjectName, ObjectNamePart,
    OrderByKind, Query, Select, SelectItem, SetExpr, SetQuantifier, Statement, TableFactor, TableSampleKind,
    Visit, Visitor, WildcardAdditionalOptions,
};

use crate::{Error, Result};

/// Tables in one FROM.
const FROM_MAX: usize = 128;
/// CTEs of one WITH.
const CTES_MAX: usize = 500;
/// Subqueries in expressions within each other.
const SUBQUERY_DEPTH_MAX: usize = 64;

/// Checks a statement and everything in it.
///
/// # Errors
/// `0A000` naming the clause, `54001` for too many tables.
pub(crate) fn statement(statement: &Statement) -> Result<()> {
    match statement.visit(&mut Check::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

#[derive(Default)]
struct Check {
    /// Subqueries in expressions that are open.
    depth: usize,
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. })
}

fn refuse(condition: bool, clause: &str) -> Result<()> {
    if condition { Err(Error::unsupported(clause)) } else { Ok(()) }
}

fn flow(result: Result<()>) -> ControlFlow<Error> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

impl Visitor for Check {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        flow(check_query(query))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        flow(check_select(select))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
        flow(check_factor(factor))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        if is_subquery(expr) {
            self.depth += 1;
            if self.depth > SUBQUERY_DEPTH_MAX {
                return ControlFlow::Break(Error::new("54001", "stack depth limit exceeded").with_detail(
                    format!("Subqueries in expressions nest deeper than {SUBQUERY_DEPTH_MAX}."),
                ));
            }
        }
        flow(check_expr(expr))
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        if is_subquery(expr) {
            self.depth -= 1;
        }
        ControlFlow::Continue(())
    }
}

fn check_query(query: &Query) -> Result<()> {
    if let Some(fetch) = &query.fetch {
        refuse(fetch.percent, "FETCH ... PERCENT")?;
    }
    if let Some(LimitClause::LimitOffset { limit_by, .. }) = &query.limit_clause {
        refuse(!limit_by.is_empty(), "LIMIT BY")?;
    }
    refuse(query.for_clause.is_some(), "FOR XML/JSON/BROWSE")?;
    refuse(query.settings.is_some(), "SETTINGS")?;
    refuse(query.format_clause.is_some(), "FORMAT")?;
    refuse(!query.pipe_operators.is_empty(), "the pipe syntax")?;
    if let Some(order) = &query.order_by {
        refuse(order.interpolate.is_some(), "INTERPOLATE")?;
        if let OrderByKind::Expressions(exprs) = &order.kind {
            refuse(exprs.iter().any(|e| e.with_fill.is_some()), "WITH FILL")?;
        }
    }
    if let Some(with) = &query.with {
        refuse(with.cte_tables.iter().any(|cte| cte.from.is_some()), "WITH ... FROM")?;
        if with.cte_tables.len() > CTES_MAX {
            return Err(Error::new("54001", "statement too complex")
                .with_detail(format!("A WITH has more than {CTES_MAX} queries.")));
        }
    }
    check_set_operation(&query.body)
}

fn check_set_operation(body: &SetExpr) -> Result<()> {
    let mut at = body;
    let mut depth = 0;
    while let SetExpr::SetOperation { left, set_quantifier, .. } = at {
        depth += 1;
        // Chains of one operation are balanced by now.
        if depth > super::guard::SET_OPERATIONS_MAX {
            let most = super::guard::SET_OPERATIONS_MAX;
            return Err(Error::new("54001", "stack depth limit exceeded")
                .with_detail(format!("A query has more than {most} set operations within each other.")));
        }
        refuse(
            matches!(
                set_quantifier,
                SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName
            ),
            "UNION BY NAME",
        )?;
        at = left;
    }
    Ok(())
}

fn check_select(select: &Select) -> Result<()> {
    refuse(select.top.is_some(), "TOP")?;
    if select.into.is_some() {
        return Err(Error::new("42601", "SELECT ... INTO is not allowed here"));
    }
    refuse(!select.lateral_views.is_empty(), "LATERAL VIEW")?;
    refuse(select.prewhere.is_some(), "PREWHERE")?;
    refuse(!select.connect_by.is_empty(), "CONNECT BY")?;
    refuse(!select.cluster_by.is_empty(), "CLUSTER BY")?;
    refuse(!select.distribute_by.is_empty(), "DISTRIBUTE BY")?;
    refuse(!select.sort_by.is_empty(), "SORT BY")?;
    refuse(select.value_table_mode.is_some(), "SELECT AS STRUCT/VALUE")?;
    refuse(select.exclude.is_some(), "EXCLUDE")?;
    refuse(select.select_modifiers.as_ref().is_some_and(|m| m.is_any_set()), "a SELECT modifier")?;
    match &select.group_by {
        GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => {
            refuse(!modifiers.is_empty(), "GROUP BY ... WITH")?;
        }
    }
    for item in &select.projection {
        match item {
            SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
                check_wildcard(options)?
            }
            SelectItem::ExprWithAliases { .. } => return Err(Error::unsupported("a list of aliases")),
            _ => {}
        }
    }
    let tables = select.from.iter().map(|t| 1 + t.joins.len()).sum::<usize>();
    if tables > FROM_MAX {
        return Err(Error::new("54001", "statement too complex")
            .with_detail(format!("A FROM has more than {FROM_MAX} tables.")));
    }
    for join in select.from.iter().flat_map(|t| &t.joins) {
        refuse(
            matches!(
                join.join_operator,
                JoinOperator::AsOf { .. }
                    | JoinOperator::CrossApply
                    | JoinOperator::OuterApply
                    | JoinOperator::StraightJoin(_)
                    | JoinOperator::ArrayJoin
                    | JoinOperator::LeftArrayJoin
                    | JoinOperator::InnerArrayJoin
            ),
            "this kind of join",
        )?;
        refuse(join.global, "GLOBAL JOIN")?;
    }
    Ok(())
}

fn check_wildcard(options: &WildcardAdditionalOptions) -> Result<()> {
    refuse(
        options.opt_ilike.is_some()
            || options.opt_exclude.is_some()
            || options.opt_except.is_some()
            || options.opt_replace.is_some()
            || options.opt_rename.is_some(),
        "a modifier of *",
    )
}

fn check_factor(factor: &TableFactor) -> Result<()> {
    match factor {
        TableFactor::Table {
            name,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
            ..
        } => {
            refuse_reserved(name)?;
            if let Some(
                TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample),
            ) = sample
            {
                super::sample::check(sample)?;
            }
            refuse(version.is_some(), "AS OF")?;
            refuse(*with_ordinality && args.is_none(), "WITH ORDINALITY of a table")?;
            refuse(!partitions.is_empty(), "PARTITION")?;
            refuse(json_path.is_some(), "a JSON path")?;
            refuse(!with_hints.is_empty() || !index_hints.is_empty(), "a table hint")
        }
        TableFactor::Derived { sample, .. } => refuse(sample.is_some(), "TABLESAMPLE"),
        TableFactor::Function { .. } => Ok(()),
        TableFactor::UNNEST { with_offset, .. } => refuse(*with_offset, "WITH OFFSET"),
        TableFactor::NestedJoin { .. } | TableFactor::TableFunction { .. } => Ok(()),
        _ => Err(Error::unsupported("this form in FROM")),
    }
}

/// Words that PostgreSQL reserves, which the parser takes as names of tables.
const RESERVED: &[&str] = &[
    "ALL",
    "ANALYSE",
    "ANALYZE",
    "AND",
    "ANY",
    "ARRAY",
    "AS",
    "ASC",
    "ASYMMETRIC",
    "BOTH",
    "CASE",
    "CAST",
    "CHECK",
    "COLLATE",
    "COLUMN",
    "CONSTRAINT",
    "CREATE",
    "DEFAULT",
    "DEFERRABLE",
    "DESC",
    "DISTINCT",
    "DO",
    "ELSE",
    "END",
    "EXCEPT",
    "FALSE",
    "FETCH",
    "FOR",
    "FOREIGN",
    "FROM",
    "GRANT",
    "GROUP",
    "HAVING",
    "IN",
    "INITIALLY",
    "INTERSECT",
    "INTO",
    "LATERAL",
    "LEADING",
    "LIMIT",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "ONLY",
    "OR",
    "ORDER",
    "PLACING",
    "PRIMARY",
    "REFERENCES",
    "RETURNING",
    "SELECT",
    "SOME",
    "SYMMETRIC",
    "TABLE",
    "THEN",
    "TO",
    "TRAILING",
    "TRUE",
    "UNION",
    "UNIQUE",
    "USER",
    "USING",
    "VARIADIC",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

fn refuse_reserved(name: &ObjectName) -> Result<()> {
    if let [ObjectNamePart::Identifier(ident)] = name.0.as_slice()
        && ident.quote_style.is_none()
        && RESERVED.iter().any(|word| ident.value.eq_ignore_ascii_case(word))
    {
        return Err(Error::new("42601", format!("syntax error at or near \"{}\"", ident.value)));
    }
    Ok(())
}

fn check_expr(expr: &Expr) -> Result<()> {
    match expr {
        Expr::Function(function) => check_function(function),
        Expr::Cast { format: Some(_), .. } => Err(Error::unsupported("CAST ... FORMAT")),
        Expr::Like { any: true, escape_char: Some(_), .. }
        | Expr::ILike { any: true, escape_char: Some(_), .. } => {
            Err(Error::unsupported("LIKE ANY with ESCAPE"))
        }
        _ => Ok(()),
    }
}

fn check_function(function: &Function) -> Result<()> {
    refuse(
        !matches!(function.parameters, FunctionArguments::None),
        "a function with two lists of arguments",
    )?;
    refuse(function.uses_odbc_syntax, "the ODBC syntax")
}
