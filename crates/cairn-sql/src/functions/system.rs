//! What drivers and tools ask of the server: version, current schema, settings, names of types and objects.

use std::sync::Arc;

use std::time::Duration;

use cairn_types::{Coded, DataType, Value};
use datafusion::logical_expr::{ScalarUDF, Volatility};

use super::{Call, Simple, Takes, sql_type};
use crate::catalog::pg_catalog::objects::Kind;
use crate::catalog::{DATABASE, pg_catalog};
use crate::context::{Scope, ScopeExtension};
use crate::session::temporary::is_temporary;
use crate::{Error, Result};

fn scope(call: &Call<'_>) -> Result<Arc<Scope>> {
    ScopeExtension::of(&call.args.config_options)
}

fn text(text: impl Into<String>) -> Result<Value> {
    Ok(Value::Text(text.into()))
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use DataType as T;
    let stable = Volatility::Stable;
    let none = || Takes::Exact(Vec::new());
    let one = |ty: T| Takes::Exact(vec![ty]);
    vec![
        Simple::new("version", none(), T::Text, stable, |_| {
            text(format!("PostgreSQL {} on {}", super::POSTGRES_VERSION, std::env::consts::ARCH))
        }),
        Simple::new("current_database", none(), T::Text, stable, |_| text(DATABASE)).alias("current_catalog"),
        Simple::new("current_user", none(), T::Text, stable, |call| {
            let scope = scope(call)?;
            text(crate::privileges::role_name(&scope.txn.catalog(), scope.settings.identity.current))
        })
        .alias("current_role")
        .alias("user"),
        Simple::new("current_schema", none(), T::Text, stable, |call| {
            let path = &scope(call)?.settings.search_path;
            let lasting = path.iter().find(|schema| !is_temporary(schema));
            Ok(lasting.cloned().map_or(Value::Null, Value::Text))
        }),
        Simple::new("current_schemas", one(T::Boolean), T::Array(Box::new(T::Text)), stable, |call| {
            let mut all = Vec::new();
            if call.values[0] == Value::Boolean(true) {
                all.push(Value::Text("pg_catalog".to_owned()));
            }
            let implicit = !all.is_empty();
            let path = &scope(call)?.settings.search_path;
            let own = path.iter().filter(|schema| implicit || !is_temporary(schema));
            all.extend(own.cloned().map(Value::Text));
            Ok(Value::Array(all))
        }),
        Simple::new("pg_typeof", Takes::Any(1), T::Text, Volatility::Immutable, |call| {
            text(match &*call.args.arg_fields[0] {
                field if field.data_type().is_null() => "unknown".to_owned(),
                field => type_name(&sql_type(field)),
            })
        })
        .with_nulls(),
        Simple::new(
            "current_setting",
            Takes::OneOf(vec![vec![T::Text], vec![T::Text, T::Boolean]]),
            T::Text,
            stable,
            |call| match scope(call)?.settings.show(call.text(0)?) {
                Ok(value) => text(value),
                Err(_) if call.values.get(1) == Some(&Value::Boolean(true)) => Ok(Value::Null),
                Err(error) => Err(error),
            },
        ),
        Simple::new("pg_my_temp_schema", none(), T::BigInt, stable, |_| Ok(Value::BigInt(0))),
        Simple::new("pg_is_other_temp_schema", one(T::BigInt), T::Boolean, stable, |_| {
            Ok(Value::Boolean(false))
        }),
        Simple::new("pg_trigger_depth", none(), T::Integer, stable, |call| {
            Ok(Value::Integer(scope(call)?.trigger_depth() as i32))
        }),
        Simple::new("pg_jit_available", none(), T::Boolean, stable, |_| Ok(Value::Boolean(false))),
        Simple::new("pg_notification_queue_usage", none(), T::Double, stable, |_| Ok(Value::Double(0.0))),
        Simple::new("inet_client_addr", none(), T::Text, stable, |_| Ok(Value::Null)),
        Simple::new("inet_client_port", none(), T::Integer, stable, |_| Ok(Value::Null)),
        Simple::new("inet_server_addr", none(), T::Text, stable, |_| Ok(Value::Null)),
        Simple::new("inet_server_port", none(), T::Integer, stable, |_| Ok(Value::Null)),
        Simple::new("pg_is_in_recovery", none(), T::Boolean, stable, |_| Ok(Value::Boolean(false))),
        Simple::new("format_type", Takes::Exact(vec![T::BigInt, T::BigInt]), T::Text, stable, |call| {
            if call.values[0].is_null() {
                return Ok(Value::Null);
            }
            let modifier = call.values[1].as_i64().unwrap_or(-1);
            let scope = scope(call)?;
            text(crate::catalog::pg_catalog::format_type(
                &scope.txn.catalog(),
                &scope.settings.search_path,
                call.integer(0)?,
                modifier,
            ))
        })
        .with_nulls(),
        Simple::new("pg_get_expr", Takes::Variadic, T::Text, stable, |call| {
            let path = &scope(call)?.settings.search_path;
            Ok(match call.values.first() {
                Some(Value::Text(sql)) => Value::Text(crate::dml::default::shown(sql, path)),
                _ => Value::Null,
            })
        }),
        Simple::new("pg_get_userbyid", one(T::BigInt), T::Text, stable, |call| {
            let id = call.integer(0)?;
            let name = crate::catalog::pg_catalog::objects::name(&*scope(call)?, Kind::Role, id)?;
            text(name.unwrap_or_else(|| format!("unknown (OID={id})")))
        }),
        Simple::new("pg_get_indexdef", Takes::Variadic, T::Text, stable, |call| {
            let scope = scope(call)?;
            let (index, column) = (super::objects::id(call, 0, Kind::Relation)?, call.values.get(1));
            let definition = match column.and_then(Value::as_i64) {
                None | Some(0) => crate::catalog::pg_catalog::index_definition(&scope, index)?,
                Some(number) => crate::catalog::pg_catalog::index_column(&scope, index, number)?,
            };
            Ok(definition.map_or(Value::Null, Value::Text))
        }),
        Simple::new("oidvectortypes", Takes::Any(1), T::Text, stable, |call| {
            let Value::Array(types) = &call.values[0] else {
                return Err(Error::new("42804", "the argument of oidvectortypes must be an oidvector"));
            };
            let scope = scope(call)?;
            let (catalog, path) = (scope.txn.catalog(), &scope.settings.search_path);
            let names = types.iter().filter_map(Value::as_i64);
            let names = names.map(|ty| crate::catalog::pg_catalog::format_type(&catalog, path, ty, -1));
            Ok(Value::Text(names.collect::<Vec<_>>().join(", ")))
        }),
        Simple::new("pg_get_constraintdef", Takes::Variadic, T::Text, stable, |call| {
            let scope = scope(call)?;
            let pretty = matches!(call.values.get(1), Some(Value::Boolean(true)));
            let definition =
                crate::catalog::pg_catalog::constraint_definition(&scope, call.integer(0)?, pretty)?;
            Ok(definition.map_or(Value::Null, Value::Text))
        }),
        Simple::new("pg_get_functiondef", one(T::BigInt), T::Text, stable, |call| {
            told(call, pg_catalog::function_definition)
        }),
        Simple::new("pg_get_function_arguments", one(T::BigInt), T::Text, stable, |call| {
            told(call, pg_catalog::function_arguments)
        }),
        Simple::new("pg_get_function_identity_arguments", one(T::BigInt), T::Text, stable, |call| {
            told(call, pg_catalog::function_identity)
        }),
        Simple::new("pg_get_function_result", one(T::BigInt), T::Text, stable, |call| {
            told(call, pg_catalog::function_result)
        }),
        Simple::new("pg_get_triggerdef", Takes::Variadic, T::Text, stable, |call| {
            told(call, pg_catalog::trigger_definition)
        }),
        Simple::new("pg_get_partkeydef", one(T::BigInt), T::Text, stable, |call| {
            let scope = scope(call)?;
            let definition = crate::catalog::pg_catalog::key_definition(&scope, call.integer(0)?)?;
            Ok(definition.map_or(Value::Null, Value::Text))
        }),
        Simple::new("pg_get_viewdef", Takes::Variadic, T::Text, stable, |call| {
            let scope = scope(call)?;
            let definition = crate::catalog::pg_catalog::view_definition(
                &scope,
                super::objects::id(call, 0, Kind::Relation)?,
            )?;
            Ok(definition.map_or(Value::Null, Value::Text))
        }),
        Simple::new("gen_random_uuid", none(), T::Uuid, Volatility::Volatile, |call| {
            let mut bytes = [0u8; 16];
            scope(call)?.shared.database.env().random().fill(&mut bytes);
            bytes[6] = (bytes[6] & 0x0f) | 0x40;
            bytes[8] = (bytes[8] & 0x3f) | 0x80;
            Ok(Value::Uuid(bytes))
        }),
        Simple::new("txid_current", none(), T::BigInt, stable, |call| {
            Ok(Value::BigInt(scope(call)?.transaction_start_us))
        }),
        Simple::new("pg_current_xact_id", none(), T::BigInt, stable, |call| {
            Ok(Value::BigInt(scope(call)?.transaction_start_us))
        }),
        Simple::new("pg_sleep", one(T::Double), T::Text, Volatility::Volatile, |call| {
            let seconds = call.values[0].as_f64().unwrap_or(0.0);
            if !(0.0..=3600.0).contains(&seconds) {
                return Err(Error::new("22023", "sleep must be between 0 and 3600 seconds"));
            }
            sleep(&*scope(call)?, Duration::from_secs_f64(seconds))?;
            text("")
        }),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
}

/// What the catalog says of its argument, an id.
fn told(call: &Call<'_>, of: fn(&Scope, i64) -> Option<String>) -> Result<Value> {
    Ok(of(&*scope(call)?, call.integer(0)?).map_or(Value::Null, Value::Text))
}

/// Sleeps, and looks in between whether the statement is to end; the thread makes room for another one meanwhile.
fn sleep(scope: &Scope, time: Duration) -> Result<()> {
    const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
    let token = scope.exchange.lock().running.token();
    let clock = scope.shared.database.env().clock();
    // The statement began before: it is over by then at the latest.
    let over = match scope.settings.statement_timeout_ms {
        0 => None,
        ms => Some(clock.monotonic_nanos().saturating_add(ms.saturating_mul(1_000_000))),
    };
    tokio::task::block_in_place(|| {
        let mut left = time;
        while !left.is_zero() {
            if over.is_some_and(|over| clock.monotonic_nanos() >= over) {
                return Err(crate::query::run::timed_out());
            }
            if token.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(Error::new("57014", "canceling statement due to user request"));
            }
            let part = left.min(BETWEEN_LOOKS);
            clock.sleep(part);
            left -= part;
        }
        Ok(())
    })
}

/// A type's name without parameters, as `pg_typeof` gives it.
fn type_name(ty: &DataType) -> String {
    match ty {
        DataType::Array(item) => format!("{}[]", type_name(item)),
        DataType::Coded(Coded::Enum(ty)) => ty.sql_name(),
        DataType::Coded(Coded::Composite(ty)) => ty.sql_name(),
        other => other.base_name().to_owned(),
    }
}
