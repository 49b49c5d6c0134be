//! Functions in FROM beside each other, with numbered rows, with columns that are named where they are called, or of one
//! value that is no set: each becomes a list, the lists are put side by side and unnested.
//!
//! ```text
//!   ROWS FROM (f(x), unnest(a)) WITH ORDINALITY
//!     ─▶ (SELECT get_field(get_field(item, 'c0'), 'c0') AS …, get_field(item, 'c1') AS unnest, get_field(item, 'number')
//!         FROM (SELECT unnest(cairn_zip(cairn_rows_f(x), a)) AS item))
//! ```

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, TableAlias,
    TableAliasColumnDef, TableFactor, Value,
};

use super::rewrite::Calls;
use super::{columns, function, gives_rows};
use crate::functions::zip;
use crate::parse::names::exact;
use crate::parse::rows_from::{DEFINED, ROWS_FROM};
use crate::parse::sets;
use crate::query::output::UNIQUE_MARK;
use crate::session::variables::fold;
use crate::{Error, Result};

/// The names of a list of columns, and their types.
type Fields = Vec<(String, cairn_types::DataType)>;

/// A function as a list, and its columns as made of its items.
struct Listed {
    list: String,
    columns: Vec<(String, String)>,
}

/// What is called where a value is a function in FROM.
fn bare(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default()
}

fn text_of(args: &[FunctionArg]) -> String {
    args.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Calls<'_> {
    /// Rewrites a part of FROM, if it is one of these; whether it was.
    ///
    /// # Errors
    /// `42601` for a record without columns, `42P10` for too many names; `0A000`.
    pub(super) fn rows_from(&self, factor: &mut TableFactor) -> Result<bool> {
        if let TableFactor::UNNEST { array_exprs, alias, with_ordinality, .. } = factor
            && (*with_ordinality || array_exprs.len() > 1)
        {
            let numbered = *with_ordinality;
            let mut listed = Vec::with_capacity(array_exprs.len());
            for array in array_exprs.iter() {
                listed.push(unnested(&array.to_string()));
            }
            let lateral = array_exprs.iter().any(|expr| sets::has_columns(&unnamed(expr.clone())));
            *factor = side_by_side(listed, "unnest", alias.take(), numbered, lateral)?;
            return Ok(true);
        }
        let (name, args, alias, numbered) = match &*factor {
            TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
                (name.clone(), args.args.clone(), alias.clone(), *with_ordinality)
            }
            TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                (name.clone(), args.clone(), alias.clone(), *with_ordinality)
            }
            _ => return Ok(false),
        };
        let own = bare(&name);
        let lateral = args.iter().any(sets::has_columns);
        let defined = alias.as_ref().is_some_and(|alias| alias.columns.iter().any(|c| c.data_type.is_some()));
        if own == ROWS_FROM {
            let mut listed = Vec::new();
            for arg in &args {
                let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(call))) = arg else {
                    return Err(Error::new("42601", "syntax error: a function was expected in ROWS FROM"));
                };
                let FunctionArguments::List(list) = &call.args else {
                    return Err(Error::new("42601", "syntax error: a function was expected in ROWS FROM"));
                };
                listed.extend(match bare(&call.name).as_str() {
                    DEFINED => self.with_definitions(&list.args)?,
                    _ => self.listed(&call.name, &list.args, &[])?,
                });
            }
            let first = match args.first() {
                Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(call)))) => bare(&call.name),
                _ => own,
            };
            *factor = side_by_side(listed, &first, alias, numbered, lateral)?;
            return Ok(true);
        }
        let is_record = self.routines(&name).iter().any(|routine| super::is_record(routine));
        if numbered && defined {
            return Err(Error::new("42601", "WITH ORDINALITY cannot be used with a column definition list")
                .with_hint("Put the column definition list inside ROWS FROM()."));
        }
        if numbered || is_record {
            let mut alias = alias;
            let definitions = match defined {
                true => alias.as_ref().map(|alias| alias.columns.clone()).unwrap_or_default(),
                false => Vec::new(),
            };
            if let Some(alias) = alias.as_mut().filter(|_| defined) {
                alias.columns.clear();
            }
            let listed = self.listed(&name, &args, &definitions)?;
            *factor = side_by_side(listed, &own, alias, numbered, lateral)?;
            return Ok(true);
        }
        if !self.is_scalar(&name, &own) {
            return Ok(false);
        }
        let shown = alias.as_ref().map_or_else(|| own.clone(), |alias| fold(&alias.name));
        let text = format!("SELECT {name}({}) AS {}", text_of(&args), exact(&shown));
        *factor = sets::derived(&text, alias.unwrap_or_else(|| alias_of(&own)), lateral)?;
        Ok(true)
    }

    /// Whether a name is that of a built-in function of one value.
    fn is_scalar(&self, name: &ObjectName, own: &str) -> bool {
        let template = &self.context.scope.shared.template;
        let known = template.scalar_functions().contains_key(own)
            || self.context.scope.shared.closures.get(own).is_some();
        known
            && name.0.len() == 1
            && !sets::is_known(name)
            && !own.contains("_populate_record")
            && !matches!(own, "unnest" | "generate_series")
            && !template.table_functions().contains_key(own)
            && self.routines(name).is_empty()
    }

    /// `cairn_defined(f(…), 'a int, b text')`.
    fn with_definitions(&self, args: &[FunctionArg]) -> Result<Vec<Listed>> {
        let error = || Error::new("42601", "syntax error: a function was expected in ROWS FROM");
        let [
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(call))),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(text))),
        ] = args
        else {
            return Err(error());
        };
        let (FunctionArguments::List(list), Value::SingleQuotedString(text)) = (&call.args, &text.value)
        else {
            return Err(error());
        };
        let query = crate::parse::parse_text(&format!("SELECT 1 FROM f() AS t({text})"))?;
        let mut definitions = Vec::new();
        if let sqlparser::ast::Statement::Query(query) = query
            && let sqlparser::ast::SetExpr::Select(select) = *query.body
            && let Some(TableFactor::Table { alias: Some(alias), .. }) =
                select.from.into_iter().next().map(|table| table.relation)
        {
            definitions = alias.columns;
        }
        self.listed(&call.name, &list.args, &definitions)
    }

    /// A function as lists.
    fn listed(
        &self,
        name: &ObjectName,
        args: &[FunctionArg],
        definitions: &[TableAliasColumnDef],
    ) -> Result<Vec<Listed>> {
        let own = bare(name);
        let mut args = args.to_vec();
        let routines = self.routines(name);
        if !routines.is_empty() {
            self.place(&routines, &mut args)?;
            let routine = self.chosen(&routines, args.len())?;
            if super::is_record(&routine) {
                let (shown, columns) = self.definitions(definitions)?;
                let called = function::record_name(name, &columns);
                let columns =
                    shown.iter().enumerate().map(|(at, name)| (name.clone(), part("item", at))).collect();
                return Ok(vec![Listed { list: format!("{called}({})", text_of(&args)), columns }]);
            }
            let scalar = !gives_rows(&routine);
            let shape = columns(self.catalog, &routine)?;
            let columns = shape.iter().enumerate().map(|(at, (column, _))| {
                let rows = matches!(routine.returns, cairn_engine::catalog::Returns::Rows { .. });
                let column = if scalar && !rows { &own } else { column };
                (column.clone(), part("item", at))
            });
            let list = format!("{}({})", super::rewrite::rows_name(name), text_of(&args));
            return Ok(vec![Listed { list, columns: columns.collect() }]);
        }
        if own == "unnest" {
            return Ok(args.iter().map(|arg| unnested(&arg.to_string())).collect());
        }
        if let Some((list, columns)) = sets::listed(name, &args, definitions)? {
            return Ok(vec![Listed { list, columns }]);
        }
        let list = format!("make_array({name}({}))", text_of(&args));
        Ok(vec![Listed { list, columns: vec![(own, "item".to_owned())] }])
    }

    /// The names and types of a list of columns.
    fn definitions(&self, definitions: &[TableAliasColumnDef]) -> Result<(Vec<String>, Fields)> {
        let missing =
            || Error::new("42601", "a column definition list is required for functions returning \"record\"");
        if definitions.is_empty() {
            return Err(missing());
        }
        let mut columns = Vec::with_capacity(definitions.len());
        for column in definitions {
            let ty = column.data_type.as_ref().ok_or_else(missing)?;
            columns.push((fold(&column.name), super::define::type_of(self.context, ty)?));
        }
        Ok((columns.iter().map(|(name, _)| name.clone()).collect(), columns))
    }
}

fn unnamed(expr: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
}

fn unnested(array: &str) -> Listed {
    let list = format!("{}({array})", zip::FLAT);
    Listed { list, columns: vec![("unnest".to_owned(), "item".to_owned())] }
}

fn part(item: &str, at: usize) -> String {
    format!("get_field({item}, '{}')", function::member(at))
}

fn alias_of(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::with_quote('"', name), columns: Vec::new(), at: None }
}

/// A subquery of lists side by side.
fn side_by_side(
    listed: Vec<Listed>,
    first: &str,
    alias: Option<TableAlias>,
    numbered: bool,
    lateral: bool,
) -> Result<TableFactor> {
    let mut alias = alias.unwrap_or_else(|| alias_of(first));
    let table = fold(&alias.name);
    let count = listed.iter().map(|list| list.columns.len()).sum::<usize>() + usize::from(numbered);
    if alias.columns.len() > count {
        return Err(Error::new(
            "42P10",
            format!(
                "table \"{table}\" has {count} columns available but {} columns specified",
                alias.columns.len()
            ),
        ));
    }
    let only = listed.len() == 1 && listed[0].columns.len() == 1 && alias.columns.is_empty();
    let mut items = Vec::with_capacity(count);
    let mut names = Vec::with_capacity(count);
    for (at, list) in listed.iter().enumerate() {
        for (name, expr) in &list.columns {
            items.push(expr.replace("item", &part("\u{1}", at)).replace('\u{1}', "item"));
            // A function of one column gives it the name of its alias.
            names.push(if only && list.columns[0].1 == "item" { table.clone() } else { name.clone() });
        }
    }
    if numbered {
        items.push(format!("get_field(item, '{}')", zip::NUMBER));
        names.push("ordinality".to_owned());
    }
    let mut taken: Vec<String> = alias.columns.iter().map(|column| fold(&column.name)).collect();
    for (at, mut name) in names.into_iter().enumerate().skip(alias.columns.len()) {
        if taken.contains(&name) {
            name = format!("{name}{UNIQUE_MARK}{at}");
        }
        taken.push(name.clone());
        alias.columns.push(TableAliasColumnDef { name: exact(&name), data_type: None });
    }
    let lists: Vec<String> = listed.into_iter().map(|list| list.list).collect();
    let text = format!(
        "SELECT {} FROM (SELECT unnest({}({})) AS item) AS cairn_set",
        items.join(", "),
        zip::ZIP,
        lists.join(", ")
    );
    sets::derived(&text, alias, lateral)
}
