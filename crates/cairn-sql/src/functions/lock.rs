//! Advisory locks, and who holds up whom.
//!
//! A function that waits may run on one of the threads that run queries; it makes room for another one meanwhile, so
//! that the session that is waited for gets on.

use cairn_engine::{AdvisoryKey, Error as EngineError, LockOwner, Wait};
use cairn_types::{DataType, Value};
use datafusion::logical_expr::{ScalarUDF, Volatility};

use super::{Call, Code, Simple, Takes};
use crate::context::{Scope, ScopeExtension};
use crate::{Error, Result};

/// The number that SQL has for a session or a transaction of another kind.
pub(crate) fn pid(owner: LockOwner) -> i32 {
    // As many as an INTEGER has room for, and never 0.
    (owner % (i32::MAX as u64 - 1)) as i32 + 1
}

fn key(call: &Call<'_>) -> Result<AdvisoryKey> {
    Ok(match call.values.len() {
        2 => {
            let part = |at| {
                i32::try_from(call.integer(at)?).map_err(|_| Error::new("22003", "integer out of range"))
            };
            AdvisoryKey::Two(part(0)?, part(1)?)
        }
        _ => AdvisoryKey::One(call.integer(0)?),
    })
}

/// Takes a lock: at once, or else waiting where that is wanted.
fn take(
    call: &Call<'_>,
    wait: bool,
    lock: fn(&Scope, AdvisoryKey, Wait) -> Result<bool, EngineError>,
) -> Result<bool> {
    let (scope, key) = (ScopeExtension::of(&call.args.config_options)?, key(call)?);
    if lock(&scope, key, Wait::SkipLocked)? {
        return Ok(true);
    }
    if !wait {
        return Ok(false);
    }
    Ok(tokio::task::block_in_place(|| lock(&scope, key, Wait::Block))?)
}

fn session(scope: &Scope, key: AdvisoryKey, wait: Wait) -> Result<bool, EngineError> {
    Ok(scope.locks.lock_advisory(key, false, wait)?)
}

fn session_shared(scope: &Scope, key: AdvisoryKey, wait: Wait) -> Result<bool, EngineError> {
    Ok(scope.locks.lock_advisory(key, true, wait)?)
}

fn transaction(scope: &Scope, key: AdvisoryKey, wait: Wait) -> Result<bool, EngineError> {
    scope.txn.lock_advisory(key, false, wait)
}

fn transaction_shared(scope: &Scope, key: AdvisoryKey, wait: Wait) -> Result<bool, EngineError> {
    scope.txn.lock_advisory(key, true, wait)
}

fn unlock(call: &Call<'_>, shared: bool) -> Result<Value> {
    let scope = ScopeExtension::of(&call.args.config_options)?;
    Ok(Value::Boolean(scope.locks.unlock_advisory(key(call)?, shared)))
}

fn nothing() -> Result<Value> {
    Ok(Value::Text(String::new()))
}

fn blockers(call: &Call<'_>) -> Result<Value> {
    let wanted = call.integer(0)?;
    let scope = ScopeExtension::of(&call.args.config_options)?;
    let mut pids: Vec<i32> = Vec::new();
    for lock in scope.shared.database.locks() {
        if !lock.granted && i64::from(pid(lock.owner)) == wanted {
            let others = lock.blocked_by.iter().map(|owner| pid(*owner));
            others.for_each(|other| {
                if !pids.contains(&other) {
                    pids.push(other)
                }
            });
        }
    }
    Ok(Value::Array(pids.into_iter().map(Value::Integer).collect()))
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use DataType as T;
    let keys = || Takes::OneOf(vec![vec![T::Integer, T::Integer], vec![T::BigInt]]);
    let none = || Takes::Exact(Vec::new());
    let new = |name, takes, result, code: Code| Simple::new(name, takes, result, Volatility::Volatile, code);
    vec![
        new("pg_advisory_lock", keys(), T::Text, |call| take(call, true, session).and_then(|_| nothing())),
        new("pg_advisory_lock_shared", keys(), T::Text, |call| {
            take(call, true, session_shared).and_then(|_| nothing())
        }),
        new("pg_advisory_xact_lock", keys(), T::Text, |call| {
            take(call, true, transaction).and_then(|_| nothing())
        }),
        new("pg_advisory_xact_lock_shared", keys(), T::Text, |call| {
            take(call, true, transaction_shared).and_then(|_| nothing())
        }),
        new("pg_try_advisory_lock", keys(), T::Boolean, |call| {
            take(call, false, session).map(Value::Boolean)
        }),
        new("pg_try_advisory_lock_shared", keys(), T::Boolean, |call| {
            take(call, false, session_shared).map(Value::Boolean)
        }),
        new("pg_try_advisory_xact_lock", keys(), T::Boolean, |call| {
            take(call, false, transaction).map(Value::Boolean)
        }),
        new("pg_try_advisory_xact_lock_shared", keys(), T::Boolean, |call| {
            take(call, false, transaction_shared).map(Value::Boolean)
        }),
        new("pg_advisory_unlock", keys(), T::Boolean, |call| unlock(call, false)),
        new("pg_advisory_unlock_shared", keys(), T::Boolean, |call| unlock(call, true)),
        new("pg_advisory_unlock_all", none(), T::Text, |call| {
            ScopeExtension::of(&call.args.config_options)?.locks.unlock_all();
            nothing()
        }),
        Simple::new("pg_backend_pid", none(), T::Integer, Volatility::Stable, |call| {
            Ok(Value::Integer(pid(ScopeExtension::of(&call.args.config_options)?.locks.id())))
        }),
        new("pg_blocking_pids", Takes::Exact(vec![T::BigInt]), T::Array(Box::new(T::Integer)), blockers),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
}
