//! What clients ask beside the tables of `pg_catalog`: definitions of rules and bodies, encodings,
//! partition trees, and the visibility of what is built in.

use cairn_types::{DataType as T, Value};
use datafusion::logical_expr::{ScalarUDF, Volatility};

use super::objects::id;
use super::{Call, Simple, Takes};
use crate::Error;
use crate::catalog::pg_catalog::objects::Kind;
use crate::catalog::pg_catalog::{self, inspect};
use crate::context::ScopeExtension;

const STABLE: Volatility = Volatility::Stable;

/// Encodings by their numbers, as PostgreSQL has them.
const ENCODINGS: &[&str] = &[
    "SQL_ASCII",
    "EUC_JP",
    "EUC_CN",
    "EUC_KR",
    "EUC_TW",
    "EUC_JIS_2004",
    "UTF8",
    "MULE_INTERNAL",
    "LATIN1",
    "LATIN2",
    "LATIN3",
    "LATIN4",
    "LATIN5",
    "LATIN6",
    "LATIN7",
    "LATIN8",
    "LATIN9",
    "LATIN10",
    "WIN1256",
    "WIN1258",
    "WIN866",
    "WIN874",
    "KOI8R",
    "WIN1251",
    "WIN1252",
    "ISO_8859_5",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
    "WIN1250",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1257",
    "KOI8U",
    "SJIS",
    "BIG5",
    "GBK",
    "UHC",
    "GB18030",
    "JOHAB",
    "SHIFT_JIS_2004",
];

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let mut all = visibility();
    all.extend(definitions());
    all.extend(others());
    all.extend(partitions());
    all.into_iter().map(ScalarUDF::from).collect()
}

fn text_of(value: Option<String>) -> Value {
    value.map_or(Value::Null, Value::Text)
}

fn visibility() -> Vec<Simple> {
    // What is listed in these tables lies in `pg_catalog`.
    macro_rules! visible {
        ($name:literal, $table:literal) => {
            Simple::new($name, Takes::Any(1), T::Boolean, STABLE, |call| {
                let known = pg_catalog::is_listed($table, call.integer(0)?);
                Ok(if known { Value::Boolean(true) } else { Value::Null })
            })
        };
    }
    vec![
        visible!("pg_collation_is_visible", "pg_collation"),
        visible!("pg_opclass_is_visible", "pg_opclass"),
        visible!("pg_opfamily_is_visible", "pg_opfamily"),
        visible!("pg_operator_is_visible", "pg_operator"),
        visible!("pg_conversion_is_visible", "pg_conversion"),
        visible!("pg_statistics_obj_is_visible", "pg_statistic_ext"),
        visible!("pg_ts_config_is_visible", "pg_ts_config"),
        visible!("pg_ts_dict_is_visible", "pg_ts_dict"),
        visible!("pg_ts_parser_is_visible", "pg_ts_parser"),
        visible!("pg_ts_template_is_visible", "pg_ts_template"),
    ]
}

fn definitions() -> Vec<Simple> {
    vec![
        Simple::new("pg_get_ruledef", Takes::Variadic, T::Text, STABLE, |call| {
            let scope = ScopeExtension::of(&call.args.config_options)?;
            Ok(text_of(inspect::rule_definition(&scope, call.integer(0)?)?))
        }),
        Simple::new("pg_get_function_sqlbody", Takes::Any(1), T::Text, STABLE, |call| {
            let scope = ScopeExtension::of(&call.args.config_options)?;
            Ok(text_of(inspect::body(&scope.txn.catalog(), call.integer(0)?)))
        }),
        Simple::new("pg_get_function_arg_default", Takes::Any(2), T::Text, STABLE, |call| {
            let scope = ScopeExtension::of(&call.args.config_options)?;
            let (id, number) = (call.integer(0)?, call.integer(1)?);
            Ok(text_of(inspect::default_of(&scope.txn.catalog(), id, number)))
        }),
        Simple::new("pg_get_partition_constraintdef", Takes::Any(1), T::Text, STABLE, |call| {
            let scope = ScopeExtension::of(&call.args.config_options)?;
            Ok(text_of(inspect::partition_constraint(&scope.txn.catalog(), id(call, 0, Kind::Relation)?)))
        }),
        // There are no extended statistics.
        nothing("pg_get_statisticsobjdef"),
        nothing("pg_get_statisticsobjdef_columns"),
        nothing("pg_get_statisticsobjdef_expressions"),
    ]
}

/// A function about objects of which there are none.
fn nothing(name: &'static str) -> Simple {
    Simple::new(name, Takes::Any(1), T::Text, STABLE, |_| Ok(Value::Null))
}

fn others() -> Vec<Simple> {
    vec![
        Simple::new("pg_encoding_to_char", Takes::Any(1), T::Text, Volatility::Immutable, |call| {
            let name = usize::try_from(call.integer(0)?).ok().and_then(|at| ENCODINGS.get(at));
            Ok(Value::Text(name.map_or("", |name| name).to_owned()))
        }),
        Simple::new("pg_char_to_encoding", Takes::Any(1), T::Integer, Volatility::Immutable, |call| {
            let letters = |name: &str| -> String {
                name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
            };
            let wanted = letters(call.text(0)?);
            let at = ENCODINGS.iter().position(|own| letters(own) == wanted);
            Ok(Value::Integer(at.map_or(-1, |at| at as i32)))
        }),
        Simple::new(
            "set_config",
            Takes::Exact(vec![T::Text, T::Text, T::Boolean]),
            T::Text,
            Volatility::Volatile,
            |call| {
                let scope = ScopeExtension::of(&call.args.config_options)?;
                let local = call.values[2] == Value::Boolean(true);
                let value = crate::session::set_config::note(&scope, call.text(0)?, call.text(1)?, local)?;
                Ok(Value::Text(value))
            },
        ),
        // The tablespaces lie in the database's directory.
        Simple::new("pg_tablespace_location", Takes::Any(1), T::Text, STABLE, |_| {
            Ok(Value::Text(String::new()))
        }),
        Simple::new("pg_relation_is_publishable", Takes::Any(1), T::Boolean, STABLE, |call| {
            let id = id(call, 0, Kind::Relation)?;
            let catalog = ScopeExtension::of(&call.args.config_options)?.txn.catalog();
            let table = u32::try_from(id).ok().and_then(|id| catalog.table_by_id(id));
            let lasting = |schema: &str| !crate::session::temporary::is_temporary(schema);
            Ok(Value::Boolean(table.is_some_and(|own| own.materialized.is_none() && lasting(&own.schema))))
        }),
        Simple::new("pg_sequence_last_value", Takes::Any(1), T::BigInt, STABLE, |call| {
            let id = id(call, 0, Kind::Relation)?;
            let scope = ScopeExtension::of(&call.args.config_options)?;
            let missing = || Error::new("42P01", format!("relation with OID {id} does not exist"));
            let (last, called) = scope.txn.sequence_state(u32::try_from(id).map_err(|_| missing())?)?;
            Ok(if called { Value::BigInt(last) } else { Value::Null })
        }),
    ]
}

fn partitions() -> Vec<Simple> {
    let numbers = || T::Array(Box::new(T::BigInt));
    let texts = || T::Array(Box::new(T::Text));
    vec![
        Simple::new("cairn_set_pg_partition_ancestors", Takes::Any(1), numbers(), STABLE, |call| {
            let catalog = ScopeExtension::of(&call.args.config_options)?.txn.catalog();
            let all = inspect::ancestors(&catalog, id(call, 0, Kind::Relation)?);
            Ok(Value::Array(all.into_iter().map(Value::BigInt).collect()))
        }),
        Simple::new("pg_partition_root", Takes::Any(1), T::BigInt, STABLE, |call| {
            let catalog = ScopeExtension::of(&call.args.config_options)?.txn.catalog();
            let root = inspect::ancestors(&catalog, id(call, 0, Kind::Relation)?).pop();
            Ok(root.map_or(Value::Null, Value::BigInt))
        }),
        Simple::new("cairn_set_pg_partition_tree", Takes::Any(1), texts(), STABLE, |call: &Call<'_>| {
            let catalog = ScopeExtension::of(&call.args.config_options)?.txn.catalog();
            let rows = inspect::tree(&catalog, id(call, 0, Kind::Relation)?);
            let text = |(own, above, leaf, level): (i64, Option<i64>, bool, usize)| {
                let above = above.map_or_else(|| "null".to_owned(), |id| id.to_string());
                Value::Text(format!("[{own},{above},{leaf},{level}]"))
            };
            Ok(Value::Array(rows.into_iter().map(text).collect()))
        }),
    ]
}
