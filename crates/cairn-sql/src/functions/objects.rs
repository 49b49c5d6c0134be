//! What functions tell of the catalog's objects: names and ids (`to_regclass`, casts to `regclass`), visibility,
//! comments, sizes.

use cairn_types::{DataType as T, Value};
use datafusion::logical_expr::{ScalarUDF, Volatility};

use super::{Call, Simple, Takes};
use crate::catalog::DATABASE;
use crate::catalog::column_type::{OID_ID, OID_LIST_ID};
use crate::catalog::pg_catalog::objects::{self, Kind};
use crate::context::ScopeExtension;
use crate::{Error, Result};

/// The functions that casts to `regclass` and its kin become: the id, and the name of an id.
pub(crate) const CASTS: &[(&str, &str, &str)] = &[
    ("regclass", "cairn_regclass", "cairn_regclass_name"),
    ("regtype", "cairn_regtype", "cairn_regtype_name"),
    ("regnamespace", "cairn_regnamespace", "cairn_regnamespace_name"),
    ("regproc", "cairn_regproc", "cairn_regproc_name"),
    ("regprocedure", "cairn_regproc", "cairn_regproc_name"),
    ("regrole", "cairn_regrole", "cairn_regrole_name"),
    ("regcollation", "cairn_regcollation", "cairn_regcollation_name"),
    ("regoper", "cairn_regoperator", "cairn_regoperator_name"),
    ("regoperator", "cairn_regoperator", "cairn_regoperator_name"),
];

/// The functions that tell the id of a name, NULL where there is none: what they are called, what gives the id, and the
/// name of it.
pub(crate) const LOOKUPS: &[(&str, &str, &str)] = &[
    ("to_regclass", "cairn_to_regclass", "cairn_regclass_name"),
    ("to_regtype", "cairn_to_regtype", "cairn_regtype_name"),
    ("to_regnamespace", "cairn_to_regnamespace", "cairn_regnamespace_name"),
    ("to_regproc", "cairn_to_regproc", "cairn_regproc_name"),
    ("to_regprocedure", "cairn_to_regproc", "cairn_regproc_name"),
    ("to_regrole", "cairn_to_regrole", "cairn_regrole_name"),
    ("to_regcollation", "cairn_to_regcollation", "cairn_regcollation_name"),
];

const STABLE: Volatility = Volatility::Stable;

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let mut all = names();
    all.extend(numbers());
    all.extend(visibility());
    all.extend(sizes());
    all.extend(descriptions());
    all.into_iter().map(ScalarUDF::from).collect()
}

fn text_of(value: Option<String>) -> Value {
    value.map_or(Value::Null, Value::Text)
}

/// The id of an object that a name or an id says.
///
/// # Errors
/// That of the kind, where there is none of the name.
pub(super) fn id(call: &Call<'_>, at: usize, kind: Kind) -> Result<i64> {
    match call.values.get(at) {
        Some(Value::Text(name)) => {
            let digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
            if let (true, Ok(id)) = (digits, name.parse()) {
                return Ok(id);
            }
            objects::find(&*ScopeExtension::of(&call.args.config_options)?, kind, name)?
                .ok_or_else(|| kind.missing(name))
        }
        Some(other) => {
            other.as_i64().ok_or_else(|| Error::new("42804", format!("argument {} must be an oid", at + 1)))
        }
        None => Err(Error::internal("an argument is missing")),
    }
}

fn name(call: &Call<'_>, kind: Kind) -> Result<Value> {
    let id = id(call, 0, kind)?;
    let found = objects::name(&*ScopeExtension::of(&call.args.config_options)?, kind, id)?;
    Ok(Value::Text(found.unwrap_or_else(|| if id == 0 { "-".to_owned() } else { id.to_string() })))
}

/// The functions around casts to `oid` and to lists of them: what numbers there are, and what clients are told.
pub(crate) const OID_CASTS: [(&str, &str); 2] = [("oid", "cairn_oid"), ("oid[]", "cairn_oid_list")];

/// What clients are told of a parameter that is cast by the function of a name.
pub(crate) fn told(function: &str) -> Option<u32> {
    let [(_, one), (_, list)] = OID_CASTS;
    (function == one).then_some(OID_ID).or((function == list).then_some(OID_LIST_ID))
}

/// A number as that of an object: four bytes, negative ones as PostgreSQL reads them.
fn object_number(value: &Value) -> Result<Value> {
    let Some(number) = value.as_i64() else { return Ok(value.clone()) };
    let own = u32::try_from(number).or_else(|_| i32::try_from(number).map(i32::cast_unsigned));
    own.map(|own| Value::BigInt(i64::from(own))).map_err(|_| Error::new("22003", "OID out of range"))
}

fn numbers() -> Vec<Simple> {
    let immutable = Volatility::Immutable;
    let list = T::Array(Box::new(T::BigInt));
    let [(_, one), (_, all)] = OID_CASTS;
    vec![
        Simple::new(one, Takes::Exact(vec![T::BigInt]), T::BigInt, immutable, |call| {
            object_number(&call.values[0])
        })
        .told(OID_ID),
        Simple::new(all, Takes::Exact(vec![list.clone()]), list, immutable, |call| match &call.values[0] {
            Value::Array(items) => Ok(Value::Array(items.iter().map(object_number).collect::<Result<_>>()?)),
            other => Ok(other.clone()),
        })
        .told(OID_LIST_ID),
        Simple::new(
            "cairn_set__pg_expandarray",
            Takes::Any(1),
            T::Array(Box::new(T::Text)),
            immutable,
            expanded,
        ),
    ]
}

/// The elements of a list of numbers with their places.
fn expanded(call: &Call<'_>) -> Result<Value> {
    let Value::Array(items) = &call.values[0] else { return Ok(Value::Null) };
    let numbered = items.iter().zip(1..).map(|(item, place)| {
        let number = item.as_i64().map_or_else(|| "null".to_owned(), |number| number.to_string());
        Value::Text(format!("[{number},{place}]"))
    });
    Ok(Value::Array(numbered.collect()))
}

fn names() -> Vec<Simple> {
    macro_rules! kind {
        ($to:literal, $cast:literal, $name:literal, $kind:expr) => {
            [
                Simple::new($to, Takes::Exact(vec![T::Text]), T::BigInt, STABLE, |call| {
                    let scope = ScopeExtension::of(&call.args.config_options)?;
                    Ok(objects::find(&scope, $kind, call.text(0)?)?.map_or(Value::Null, Value::BigInt))
                })
                .told(OID_ID),
                Simple::new($cast, Takes::Any(1), T::BigInt, STABLE, |call| {
                    id(call, 0, $kind).map(Value::BigInt)
                })
                .told(OID_ID),
                Simple::new($name, Takes::Any(1), T::Text, STABLE, |call| name(call, $kind)),
            ]
        };
    }
    let mut all = Vec::new();
    all.extend(kind!("cairn_to_regclass", "cairn_regclass", "cairn_regclass_name", Kind::Relation));
    all.extend(kind!("cairn_to_regtype", "cairn_regtype", "cairn_regtype_name", Kind::Type));
    all.extend(kind!("cairn_to_regnamespace", "cairn_regnamespace", "cairn_regnamespace_name", Kind::Schema));
    all.extend(kind!("cairn_to_regproc", "cairn_regproc", "cairn_regproc_name", Kind::Routine));
    all.extend(kind!("cairn_to_regrole", "cairn_regrole", "cairn_regrole_name", Kind::Role));
    all.extend(kind!(
        "cairn_to_regcollation",
        "cairn_regcollation",
        "cairn_regcollation_name",
        Kind::Collation
    ));
    all.extend(kind!("cairn_to_regoperator", "cairn_regoperator", "cairn_regoperator_name", Kind::Operator));
    all
}

fn visibility() -> Vec<Simple> {
    macro_rules! visible {
        ($name:literal, $kind:expr) => {
            Simple::new($name, Takes::Any(1), T::Boolean, STABLE, |call| {
                let id = id(call, 0, $kind)?;
                let found = objects::visible(&*ScopeExtension::of(&call.args.config_options)?, $kind, id)?;
                Ok(found.map_or(Value::Null, Value::Boolean))
            })
        };
    }
    vec![
        visible!("pg_table_is_visible", Kind::Relation),
        visible!("pg_type_is_visible", Kind::Type),
        visible!("pg_function_is_visible", Kind::Routine),
    ]
}

/// The bytes of a relation: its rows, its indexes, or both; what lies in memory yet is counted too.
fn size(call: &Call<'_>, rows: bool, indexes: bool) -> Result<Value> {
    let id = id(call, 0, Kind::Relation)?;
    let scope = ScopeExtension::of(&call.args.config_options)?;
    Ok(objects::bytes(&scope, id, rows, indexes).map_or(Value::Null, |bytes| Value::BigInt(bytes as i64)))
}

/// What the whole database takes.
fn database_bytes(call: &Call<'_>) -> Result<Value> {
    let stats = ScopeExtension::of(&call.args.config_options)?.shared.database.stats();
    let files: u64 = stats.tree.levels.iter().map(|level| level.bytes).sum();
    let bytes = files + stats.tree.blobs.bytes + stats.wal_bytes + stats.memtable_bytes as u64;
    Ok(Value::BigInt(bytes as i64))
}

fn sizes() -> Vec<Simple> {
    vec![
        Simple::new("pg_relation_size", Takes::Variadic, T::BigInt, STABLE, |call| size(call, true, false)),
        Simple::new("pg_table_size", Takes::Any(1), T::BigInt, STABLE, |call| size(call, true, false)),
        Simple::new("pg_indexes_size", Takes::Any(1), T::BigInt, STABLE, |call| size(call, false, true)),
        Simple::new("pg_total_relation_size", Takes::Any(1), T::BigInt, STABLE, |call| {
            size(call, true, true)
        }),
        Simple::new("pg_database_size", Takes::Any(1), T::BigInt, STABLE, |call| {
            if let Value::Text(name) = &call.values[0]
                && name != DATABASE
            {
                return Err(Error::new("3D000", format!("database \"{name}\" does not exist")));
            }
            database_bytes(call)
        }),
        Simple::new("pg_tablespace_size", Takes::Any(1), T::BigInt, STABLE, |call| match &call.values[0] {
            Value::Text(name) if !["pg_default", "pg_global"].contains(&name.as_str()) => {
                Err(Error::new("42704", format!("tablespace \"{name}\" does not exist")))
            }
            _ => database_bytes(call),
        }),
        Simple::new("pg_column_size", Takes::Any(1), T::Integer, STABLE, |call| {
            let ty = super::sql_type(&call.args.arg_fields[0]);
            Ok(Value::Integer(objects::value_bytes(&call.values[0], &ty)))
        }),
    ]
}

/// Reads a text as a value of the type of that name; what is wrong with it.
///
/// # Errors
/// `42704` for the name of no type.
fn input_error(call: &Call<'_>) -> Result<Option<Error>> {
    let name = call.text(1)?;
    let ty = T::parse(&name.to_lowercase()).ok_or_else(|| Kind::Type.missing(name))?;
    let zone = ScopeExtension::of(&call.args.config_options)?.zone();
    let read = super::cast::convert(Value::Text(call.text(0)?.to_owned()), &T::Text, &ty, zone);
    // Casts cut texts off; what is put in has to fit.
    let length = call.text(0)?.trim_end_matches(' ').chars().count();
    if let T::Varchar(Some(n)) | T::Char(n) = ty
        && length > n as usize
    {
        let message = format!("value too long for type {}", ty.sql_name());
        return Ok(Some(Error::new("22001", message)));
    }
    Ok(read.and_then(|value| Ok(value.fit(&ty)?)).err())
}

/// One row, as a list of its parts.
fn input_error_row(call: &Call<'_>) -> Result<Value> {
    let mut out = String::from("[");
    let error = input_error(call)?;
    let parts = match &error {
        Some(error) => [Some(error.message()), error.detail(), error.hint(), Some(error.sqlstate())],
        None => [None; 4],
    };
    for (at, part) in parts.into_iter().enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        match part {
            Some(part) => super::json::tree::write_string(part, &mut out),
            None => out.push_str("null"),
        }
    }
    out.push(']');
    Ok(Value::Array(vec![Value::Text(out)]))
}

/// The catalog's tables of which no object has a comment.
const NO_COMMENTS: [&str; 4] = ["pg_attrdef", "pg_policy", "pg_rewrite", "pg_trigger"];

fn descriptions() -> Vec<Simple> {
    vec![
        Simple::new(
            "pg_postmaster_start_time",
            Takes::Exact(Vec::new()),
            T::TimestampTz(None),
            STABLE,
            |call| Ok(Value::TimestampTz(ScopeExtension::of(&call.args.config_options)?.shared.opened_us)),
        )
        .alias("pg_conf_load_time"),
        Simple::new("current_query", Takes::Exact(Vec::new()), T::Text, Volatility::Volatile, |call| {
            Ok(Value::Text(ScopeExtension::of(&call.args.config_options)?.exchange.lock().query.clone()))
        }),
        // Nobody waits for a safe snapshot here: blocks that only read never do.
        Simple::new(
            "pg_safe_snapshot_blocking_pids",
            Takes::Exact(vec![T::Integer]),
            T::Array(Box::new(T::Integer)),
            STABLE,
            |_| Ok(Value::Array(Vec::new())),
        ),
        Simple::new("pg_input_is_valid", Takes::Exact(vec![T::Text, T::Text]), T::Boolean, STABLE, |call| {
            Ok(Value::Boolean(input_error(call)?.is_none()))
        }),
        Simple::new(
            "cairn_set_pg_input_error_info",
            Takes::Exact(vec![T::Text, T::Text]),
            T::Array(Box::new(T::Text)),
            STABLE,
            input_error_row,
        ),
        Simple::new("obj_description", Takes::Variadic, T::Text, STABLE, |call| {
            let id = id(call, 0, Kind::Relation)?;
            let scope = ScopeExtension::of(&call.args.config_options)?;
            Ok(text_of(match call.values.get(1) {
                Some(Value::Text(class)) if class == "pg_constraint" => {
                    objects::constraint_comment(&scope, id)
                }
                // Triggers and rules, whose numbers are those of indexes, have no comments.
                Some(Value::Text(class)) if NO_COMMENTS.contains(&class.as_str()) => None,
                _ => objects::comment(&scope, id, 0),
            }))
        }),
        Simple::new("col_description", Takes::Any(2), T::Text, STABLE, |call| {
            let (id, part) = (id(call, 0, Kind::Relation)?, call.integer(1)?);
            Ok(text_of(objects::comment(&*ScopeExtension::of(&call.args.config_options)?, id, part)))
        }),
        // Databases have no comments here.
        Simple::new("shobj_description", Takes::Any(2), T::Text, STABLE, |call| {
            let id = u32::try_from(call.integer(0)?).unwrap_or_default();
            let catalog = ScopeExtension::of(&call.args.config_options)?.txn.catalog();
            let role = catalog.role(id).filter(|_| call.text(1).is_ok_and(|name| name == "pg_authid"));
            Ok(text_of(role.and_then(|role| role.comment.clone())))
        }),
        Simple::new("system_user", Takes::Exact(Vec::new()), T::Text, STABLE, |_| Ok(Value::Null)),
        Simple::new("session_user", Takes::Exact(Vec::new()), T::Text, STABLE, |call| {
            let scope = ScopeExtension::of(&call.args.config_options)?;
            let session = scope.settings.identity.session;
            Ok(Value::Text(crate::privileges::role_name(&scope.txn.catalog(), session)))
        }),
    ]
}
