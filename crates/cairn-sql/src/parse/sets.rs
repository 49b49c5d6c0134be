//! Functions that yield sets, said with `unnest`: `jsonb_each(x)` in FROM becomes a lateral subquery that unnests the
//! list of members and takes each apart; in a select list a function becomes the unnesting of its list. The lists
//! come from functions called `cairn_set_…`.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart,
    Query, Select, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor, Visit, VisitMut,
    Visitor, VisitorMut,
};

use crate::session::variables::fold;
use crate::{Error, Result};

/// A column of what a function yields.
struct Column {
    /// Its name; empty for the function's own.
    name: &'static str,
    /// How it is made of `item`.
    expr: &'static str,
}

/// A function that yields a set.
struct Set {
    name: &'static str,
    /// The function that gives the list; empty for `cairn_set_` and the name.
    list: &'static str,
    columns: &'static [Column],
}

const fn column(name: &'static str, expr: &'static str) -> Column {
    Column { name, expr }
}

const TEXT: &[Column] = &[column("value", "item")];
const JSON: &[Column] = &[column("value", "item::json")];
const JSONB: &[Column] = &[column("value", "item::jsonb")];
const OWN: &[Column] = &[column("", "item")];
const OWN_JSONB: &[Column] = &[column("", "item::jsonb")];
const TEXTS: &[Column] = &[column("", "cairn_json_texts(item::json)")];
const EACH_TEXT: &[Column] = &[
    column("key", "cairn_json_get_text(item::json, 0)"),
    column("value", "cairn_json_get_text(item::json, 1)"),
];
const EACH_JSON: &[Column] =
    &[column("key", "cairn_json_get_text(item::json, 0)"), column("value", "cairn_json_get(item::json, 1)")];
const EACH_JSONB: &[Column] = &[
    column("key", "cairn_json_get_text(item::json, 0)"),
    column("value", "cairn_json_get(item::json, 1)::jsonb"),
];

const INPUT_ERROR: &[Column] = &[
    column("message", "cairn_json_get_text(item::json, 0)"),
    column("detail", "cairn_json_get_text(item::json, 1)"),
    column("hint", "cairn_json_get_text(item::json, 2)"),
    column("sql_error_code", "cairn_json_get_text(item::json, 3)"),
];

const KEYWORDS: &[Column] = &[
    column("word", "cairn_json_get_text(item::json, 0)"),
    column("catcode", "cairn_json_get_text(item::json, 1)"),
    column("barelabel", "cairn_json_get_text(item::json, 2)::boolean"),
    column("catdesc", "cairn_json_get_text(item::json, 3)"),
    column("baredesc", "cairn_json_get_text(item::json, 4)"),
];

const PARTITION_TREE: &[Column] = &[
    column("relid", "cairn_json_get_text(item::json, 0)::bigint"),
    column("parentrelid", "cairn_json_get_text(item::json, 1)::bigint"),
    column("isleaf", "cairn_json_get_text(item::json, 2)::boolean"),
    column("level", "cairn_json_get_text(item::json, 3)::integer"),
];
/// Of `name=value`.
const OPTIONS: &[Column] = &[
    column("option_name", "split_part(item, '=', 1)"),
    column("option_value", "substr(item, strpos(item, '=') + 1)"),
];
const ACL_ITEMS: &[Column] = &[
    column("grantor", "cairn_json_get_text(item::json, 0)::bigint"),
    column("grantee", "cairn_json_get_text(item::json, 1)::bigint"),
    column("privilege_type", "cairn_json_get_text(item::json, 2)"),
    column("is_grantable", "cairn_json_get_text(item::json, 3)::boolean"),
];
const EXPANDED: &str = "_pg_expandarray";
const ELEMENTS: &[Column] = &[
    column("x", "cairn_json_get_text(item::json, 0)::bigint"),
    column("n", "cairn_json_get_text(item::json, 1)::integer"),
];
const RELATION: &[Column] = &[column("relid", "item")];

const fn set(name: &'static str, list: &'static str, columns: &'static [Column]) -> Set {
    Set { name, list, columns }
}

const SETS: &[Set] = &[
    set("json_array_elements", "", JSON),
    set("jsonb_array_elements", "", JSONB),
    set("json_array_elements_text", "", TEXT),
    set("jsonb_array_elements_text", "", TEXT),
    set("json_each", "", EACH_JSON),
    set("jsonb_each", "", EACH_JSONB),
    set("json_each_text", "", EACH_TEXT),
    set("jsonb_each_text", "", EACH_TEXT),
    set("json_object_keys", "", OWN),
    set("jsonb_object_keys", "", OWN),
    set("jsonb_path_query", "", OWN_JSONB),
    set("jsonb_path_query_tz", "", OWN_JSONB),
    set("regexp_matches", "", TEXTS),
    set("regexp_split_to_table", "", OWN),
    set("string_to_table", "string_to_array", OWN),
    set("generate_subscripts", "", OWN),
    set("generate_series", "", OWN),
    set("pg_listening_channels", "", OWN),
    set("pg_input_error_info", "", INPUT_ERROR),
    set("pg_get_keywords", "", KEYWORDS),
    set("pg_options_to_table", "coalesce", OPTIONS),
    set("pg_partition_ancestors", "", RELATION),
    set("pg_partition_tree", "", PARTITION_TREE),
    set("aclexplode", "", ACL_ITEMS),
    set(EXPANDED, "", ELEMENTS),
];

/// Functions whose columns are named where they are called.
const RECORDS: &[&str] = &["json_to_record", "jsonb_to_record", "json_to_recordset", "jsonb_to_recordset"];

fn find(name: &ObjectName) -> Option<&'static Set> {
    let name = bare_name(name)?;
    SETS.iter().find(|set| set.name == name)
}

/// `FROM pg_catalog.f(…)` is `FROM f(…)`.
pub(crate) fn without_schema(query: &mut Query) {
    struct Strip;
    impl VisitorMut for Strip {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr
                && function.name.0.len() == 2
                && bare_name(&function.name).is_some_and(|name| name == "unnest" || is_set(&name))
            {
                function.name.0.remove(0);
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, args, .. } = factor
                && args.as_ref().is_some_and(|args| args.args.is_empty())
                && let Some(table) = bare_name(name).and_then(|name| shows(&name))
            {
                *name = ObjectName::from(vec![Ident::new("pg_catalog"), Ident::new(table)]);
                *args = None;
            }
            if let TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } =
                factor
                && name.0.len() == 2
                && bare_name(name).is_some()
            {
                name.0.remove(0);
                if let Some(unnest) = as_unnest(factor) {
                    *factor = unnest;
                }
            }
            ControlFlow::Continue(())
        }
    }
    let _ = query.visit(&mut Strip);
}

fn is_set(name: &str) -> bool {
    SETS.iter().any(|set| set.name == name)
}

/// The table that a function without arguments gives the rows of.
fn shows(function: &str) -> Option<&'static str> {
    match function {
        "pg_show_all_settings" => Some("pg_settings"),
        "pg_available_extensions" => Some("pg_available_extensions"),
        "pg_available_extension_versions" => Some("pg_available_extension_versions"),
        _ => None,
    }
}

/// What the parser makes of `unnest(…)` when it stands without a schema.
fn as_unnest(factor: &TableFactor) -> Option<TableFactor> {
    let TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } = factor else {
        return None;
    };
    if bare_name(name).as_deref() != Some("unnest") {
        return None;
    }
    let array_exprs = args
        .args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect::<Option<_>>()?;
    Some(TableFactor::UNNEST {
        alias: alias.clone(),
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: *with_ordinality,
    })
}

pub(crate) fn bare_name(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Some(fold(name)),
        [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(name)]
            if fold(schema) == "pg_catalog" =>
        {
            Some(fold(name))
        }
        // The one function of this schema that programs call.
        [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(name)]
            if fold(schema) == "information_schema" && fold(name) == EXPANDED =>
        {
            Some(fold(name))
        }
        _ => None,
    }
}

impl Set {
    fn list(&self, args: &str) -> String {
        match self.list {
            "" => format!("cairn_set_{}({args})", self.name),
            list => format!("{list}({args})"),
        }
    }
}

/// Whether a name is that of a function here.
pub(crate) fn is_known(name: &ObjectName) -> bool {
    find(name).is_some() || bare_name(name).is_some_and(|name| RECORDS.contains(&name.as_str()))
}

/// The names of columns, and the expressions that make them.
type Made = Vec<(String, String)>;

/// A function in FROM as a list, and its columns as made of its `item`s; `None` for one that yields no set known here.
///
/// # Errors
/// `42601` for a record function without names of columns.
pub(crate) fn listed(
    name: &ObjectName,
    args: &[FunctionArg],
    columns: &[TableAliasColumnDef],
) -> Result<Option<(String, Made)>> {
    let Some(bare) = bare_name(name) else { return Ok(None) };
    let list: Vec<String> = args.iter().map(ToString::to_string).collect();
    let list = list.join(", ");
    if RECORDS.contains(&bare.as_str()) {
        return record_list(&bare, &list, columns).map(Some);
    }
    let Some(set) = find(name) else { return Ok(None) };
    let columns = set.columns.iter().map(|column| {
        let name = if column.name.is_empty() { set.name } else { column.name };
        (name.to_owned(), column.expr.to_owned())
    });
    Ok(Some((set.list(&list), columns.collect())))
}

/// Rewrites the functions in FROM of a query's SELECTs.
///
/// # Errors
/// `42601` for a record function without names of columns.
pub(crate) fn in_from(query: &mut Query) -> Result<()> {
    if !calls(&query.body) {
        return Ok(());
    }
    // Names are looked up in the query as it was.
    let before = query.clone();
    in_body(&mut query.body, &|name| uses(name, &before))
}

/// Whether a function stands in any FROM.
fn calls(body: &SetExpr) -> bool {
    let call = |factor: &TableFactor| {
        matches!(
            factor,
            TableFactor::Table { args: Some(_), .. }
                | TableFactor::Function { .. }
                | TableFactor::NestedJoin { .. }
        )
    };
    match body {
        SetExpr::Select(select) => select
            .from
            .iter()
            .any(|table| call(&table.relation) || table.joins.iter().any(|join| call(&join.relation))),
        SetExpr::SetOperation { left, right, .. } => calls(left) || calls(right),
        _ => false,
    }
}

fn in_body(body: &mut SetExpr, used: &dyn Fn(&str) -> bool) -> Result<()> {
    match body {
        SetExpr::Select(select) => in_select(select, used),
        SetExpr::SetOperation { left, right, .. } => {
            in_body(left, used)?;
            in_body(right, used)
        }
        _ => Ok(()),
    }
}

fn in_select(select: &mut Select, used: &dyn Fn(&str) -> bool) -> Result<()> {
    for table in &mut select.from {
        factor(&mut table.relation, used)?;
        for join in &mut table.joins {
            factor(&mut join.relation, used)?;
        }
    }
    Ok(())
}

/// Whether any expression of a query is this name alone.
fn uses(name: &str, query: &Query) -> bool {
    struct Names<'n>(&'n str);
    impl Visitor for Names<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(ident) if fold(ident) == self.0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    query.visit(&mut Names(name)).is_break()
}

/// `LATERAL unnest(…)` is `unnest(…)`: it sees what stands before it in either case.
fn unnest_of(factor: &mut TableFactor) {
    let TableFactor::Function { name, args, alias, with_ordinality, .. } = factor else { return };
    let plain = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    if bare_name(name).as_deref() == Some("unnest")
        && let Some(array_exprs) = args.iter().map(plain).collect()
    {
        *factor = TableFactor::UNNEST {
            alias: alias.take(),
            array_exprs,
            with_offset: false,
            with_offset_alias: None,
            with_ordinality: *with_ordinality,
        };
    }
}

fn factor(factor: &mut TableFactor, used: &dyn Fn(&str) -> bool) -> Result<()> {
    unnest_of(factor);
    let (name, args, alias, numbered) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
            (&*name, args.args.clone(), alias.clone(), *with_ordinality)
        }
        TableFactor::Function { name, args, alias, with_ordinality, .. } => {
            (&*name, args.clone(), alias.clone(), *with_ordinality)
        }
        TableFactor::NestedJoin { table_with_joins, .. } => {
            self::factor(&mut table_with_joins.relation, used)?;
            for join in &mut table_with_joins.joins {
                self::factor(&mut join.relation, used)?;
            }
            return Ok(());
        }
        _ => return Ok(()),
    };
    let Some(bare) = bare_name(name) else { return Ok(()) };
    let lateral = args.iter().any(has_columns);
    let list: Vec<String> = args.iter().map(ToString::to_string).collect();
    let list = list.join(", ");
    if RECORDS.contains(&bare.as_str()) {
        *factor = record(&bare, &list, alias, lateral)?;
        return Ok(());
    }
    let numeric = args.iter().any(is_decimal);
    if bare == "generate_series" && !args.iter().any(is_moment) && !numeric {
        let constant = !lateral && !args.iter().any(has_parameters) && args.iter().all(is_number);
        if !constant && !numbered {
            // One in FROM takes numbers only; one in a select list is unnested.
            let own = alias.as_ref().map_or_else(|| bare.clone(), |alias| fold(&alias.name));
            let text = format!("SELECT generate_series({list}) AS {}", super::names::exact(&own));
            *factor = derived(&text, alias.unwrap_or_else(|| plain_alias(&bare)), lateral)?;
        }
        return Ok(());
    }
    let Some(set) = find(name) else { return Ok(()) };
    let own = alias.as_ref().map_or_else(|| bare.clone(), |alias| fold(&alias.name));
    let columns: Vec<String> = set
        .columns
        .iter()
        .map(|column| {
            let name = match column.name {
                "" => own.as_str(),
                // The whole of a row of one column is that column.
                _ if set.columns.len() == 1 && alias.is_some() && used(&own) => own.as_str(),
                name => name,
            };
            format!("{} AS {}", column.expr, super::names::exact(name))
        })
        .collect();
    let text = format!(
        "SELECT {} FROM (SELECT unnest({}) AS item) AS cairn_set",
        columns.join(", "),
        set.list(&list)
    );
    *factor = derived(&text, alias.unwrap_or_else(|| plain_alias(&bare)), lateral)?;
    Ok(())
}

/// `json_to_record(x) AS t(a int, b text)` as a list, and what its columns are made of.
fn record_list(
    name: &str,
    list: &str,
    columns: &[TableAliasColumnDef],
) -> Result<(String, Vec<(String, String)>)> {
    let missing =
        || Error::new("42601", "a column definition list is required for functions returning \"record\"");
    if columns.is_empty() {
        return Err(missing());
    }
    let json = if name.starts_with("jsonb") { "jsonb" } else { "json" };
    let item = format!("(item)::{json}");
    let mut made = Vec::with_capacity(columns.len());
    for column in columns {
        let ty = super::types::data_type(column.data_type.as_ref().ok_or_else(missing)?)?;
        let own = fold(&column.name);
        let key = own.replace('\'', "''");
        let target = format!("\"{}\"", ty.signature());
        let expr = match ty {
            cairn_types::DataType::Json | cairn_types::DataType::Jsonb => {
                format!("cairn_json_get({item}, '{key}')::{target}")
            }
            cairn_types::DataType::Array(_) => {
                format!("cairn_json_array_text(cairn_json_get({item}, '{key}'))::{target}")
            }
            _ => format!("cairn_json_get_text({item}, '{key}')::{target}"),
        };
        made.push((own, expr));
    }
    let list = match name.ends_with("set") {
        true => format!("cairn_set_{json}_array_elements({list})"),
        false => format!("make_array(({list})::{json})"),
    };
    Ok((list, made))
}

/// `json_to_record(x) AS t(a int, b text)`.
fn record(name: &str, list: &str, alias: Option<TableAlias>, lateral: bool) -> Result<TableFactor> {
    let missing =
        || Error::new("42601", "a column definition list is required for functions returning \"record\"");
    let mut alias = alias.filter(|alias| !alias.columns.is_empty()).ok_or_else(missing)?;
    let (all, columns) = record_list(name, list, &alias.columns)?;
    alias.columns.iter_mut().for_each(|column| column.data_type = None);
    let json = if name.starts_with("jsonb") { "jsonb" } else { "json" };
    let from = match name.ends_with("set") {
        true => format!("SELECT unnest({all}) AS item"),
        false => format!("SELECT ({list})::{json} AS item"),
    };
    let columns: Vec<String> = columns.into_iter().map(|(_, expr)| expr).collect();
    derived(&format!("SELECT {} FROM ({from}) AS cairn_set", columns.join(", ")), alias, lateral)
}

fn plain_alias(name: &str) -> TableAlias {
    TableAlias {
        explicit: true,
        name: Ident::new(name),
        columns: Vec::<TableAliasColumnDef>::new(),
        at: None,
    }
}

pub(crate) fn derived(text: &str, alias: TableAlias, lateral: bool) -> Result<TableFactor> {
    let Statement::Query(subquery) = super::parse_text(text)? else {
        return Err(Error::internal("a set is no query"));
    };
    Ok(TableFactor::Derived { lateral, subquery, alias: Some(alias), sample: None })
}

/// A literal or cast of a type of moments: `generate_series` of these is ours.
fn is_moment(arg: &FunctionArg) -> bool {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else { return false };
    let ty = match expr {
        Expr::Cast { data_type, .. } => data_type,
        Expr::TypedString(typed) => &typed.data_type,
        _ => return false,
    };
    use cairn_types::DataType as T;
    matches!(super::types::data_type(ty), Ok(T::Timestamp(_) | T::TimestampTz(_) | T::Date))
}

/// Whether an argument is a number, or NULL, as its text says.
fn is_number(arg: &FunctionArg) -> bool {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else { return false };
    let mut expr = expr;
    while let Expr::UnaryOp { expr: inner, .. } | Expr::Nested(inner) = expr {
        expr = inner;
    }
    matches!(expr, Expr::Value(_))
}

/// Whether an argument is a NUMERIC, as its text says: a number with a point, or a cast.
fn is_decimal(arg: &FunctionArg) -> bool {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else { return false };
    let mut expr = expr;
    while let Expr::UnaryOp { expr: inner, .. } | Expr::Nested(inner) = expr {
        expr = inner;
    }
    match expr {
        Expr::Value(value) => {
            matches!(&value.value, sqlparser::ast::Value::Number(number, _) if number.contains('.'))
        }
        Expr::Cast { data_type, .. } => {
            matches!(super::types::data_type(data_type), Ok(cairn_types::DataType::Numeric(_)))
        }
        _ => false,
    }
}

pub(crate) fn has_columns(arg: &FunctionArg) -> bool {
    struct Columns;
    impl Visitor for Columns {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => expr.visit(&mut Columns).is_break(),
        _ => false,
    }
}

/// Whether a value is given for a part of an argument when the statement runs.
fn has_parameters(arg: &FunctionArg) -> bool {
    struct Parameters;
    impl Visitor for Parameters {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match crate::routine::body::number_of(expr) {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        }
    }
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => expr.visit(&mut Parameters).is_break(),
        _ => false,
    }
}

/// Whether a call is `unnest` of one array.
pub(super) fn is_unnest(function: &Function) -> bool {
    bare_name(&function.name).as_deref() == Some("unnest")
        && matches!(&function.args, FunctionArguments::List(list) if list.args.len() == 1)
}

/// `unnest` gives the elements of an array of any number of dimensions.
pub(super) fn flat_argument(function: &mut Function) {
    if let FunctionArguments::List(list) = &mut function.args
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) = list.args.first_mut()
    {
        flat(expr);
    }
}

/// The same of an array.
pub(super) fn flat(array: &mut Expr) {
    let own = match array {
        Expr::Function(call) => bare_name(&call.name).is_some_and(|name| name.starts_with("cairn_")),
        _ => false,
    };
    if !own {
        *array = super::rewrite::call(crate::functions::zip::FLAT, vec![super::rewrite::take(array)]);
    }
}

/// Whether a function that yields a set is called in an expression, queries within aside.
pub(super) fn within(expr: &Expr) -> bool {
    struct Sets {
        queries: usize,
    }
    impl Visitor for Sets {
        type Break = ();
        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.queries += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.queries -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(call)
                    if self.queries == 0 && (is_unnest(call) || find(&call.name).is_some()) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Sets { queries: 0 }).is_break()
}

/// Refuses functions that yield sets within CASE and COALESCE, whose parts are not all looked at.
///
/// # Errors
/// `0A000`.
pub(super) fn refuse_within(expr: &Expr) -> Result<()> {
    let word = match expr {
        Expr::Case { .. } => "CASE",
        Expr::Function(call) if bare_name(&call.name).as_deref() == Some("coalesce") => "COALESCE",
        _ => return Ok(()),
    };
    if !within(expr) {
        return Ok(());
    }
    Err(Error::new("0A000", format!("set-returning functions are not allowed in {word}"))
        .with_hint("You might be able to move the set-returning function into a LATERAL FROM item."))
}

/// A function of a select list as the unnesting of its list; `None` for any other expression.
///
/// # Errors
/// `0A000` for functions that yield rows.
pub(crate) fn in_list(expr: &Expr) -> Result<Option<Expr>> {
    let Expr::Function(function) = expr else { return Ok(None) };
    let Some(set) = find(&function.name) else {
        return match bare_name(&function.name) {
            Some(name) if RECORDS.contains(&name.as_str()) => Err(Error::new(
                "0A000",
                "function returning record called in context that cannot accept type record",
            )),
            _ => Ok(None),
        };
    };
    let args = match &function.args {
        FunctionArguments::List(list) => {
            list.args.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    };
    let unnested = format!("unnest({})", set.list(&args));
    let text = match set.columns {
        [column] => format!("SELECT {}", column.expr.replace("item", &unnested)),
        columns => {
            // A record whose fields have names: `(f(x)).n`.
            let field =
                |column: &Column| format!("'{}', {}", column.name, column.expr.replace("item", &unnested));
            let all: Vec<String> = columns.iter().map(field).collect();
            format!("SELECT CASE WHEN {unnested} IS NOT NULL THEN named_struct({}) END", all.join(", "))
        }
    };
    let Statement::Query(query) = super::parse_text(&text)? else { return Ok(None) };
    let SetExpr::Select(select) = *query.body else { return Ok(None) };
    Ok(select.projection.into_iter().find_map(|item| match item {
        sqlparser::ast::SelectItem::UnnamedExpr(expr) => Some(expr),
        _ => None,
    }))
}
