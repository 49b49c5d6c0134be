//! `pg_cancel_backend` and `pg_terminate_backend`: ending what other sessions do, and them.

use cairn_types::{DataType, Value};
use datafusion::logical_expr::{ScalarUDF, Volatility};

use super::{Call, Simple, Takes};
use crate::context::ScopeExtension;
use crate::session::activity::Activity;
use crate::{Error, Result};

/// Calls one of the functions, for a role that has the privileges of the session's.
///
/// # Errors
/// `42501` for any other role.
fn signal(call: &Call<'_>, what: &str, act: fn(&Activity)) -> Result<Value> {
    let scope = ScopeExtension::of(&call.args.config_options)?;
    let process = call.integer(0)?;
    let found = i32::try_from(process).ok().and_then(|process| scope.shared.activities.get(process));
    let Some(activity) = found else {
        let message = format!("PID {process} is not a PostgreSQL backend process");
        scope.exchange.lock().notices.push(crate::Notice { sqlstate: "01000", message });
        return Ok(Value::Boolean(false));
    };
    let (catalog, target) = (scope.txn.catalog(), activity.shown().role);
    let own = scope.settings.identity.current;
    if !catalog.has_privileges_of(own, target) {
        let superuser = catalog.role(target).is_some_and(|role| role.superuser);
        let message = match superuser {
            true => format!("must be a superuser to {what}"),
            false => format!("must be a member of the role whose {what}"),
        };
        return Err(Error::new("42501", message));
    }
    act(&activity);
    Ok(Value::Boolean(true))
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use DataType as T;
    let volatile = Volatility::Volatile;
    let cancel = |call: &Call<'_>| signal(call, "query is being canceled", Activity::cancel);
    let terminate = |call: &Call<'_>| signal(call, "process is being terminated", Activity::terminate);
    let with_time = Takes::OneOf(vec![vec![T::Integer], vec![T::Integer, T::BigInt]]);
    vec![
        Simple::new("pg_cancel_backend", Takes::Exact(vec![T::Integer]), T::Boolean, volatile, cancel),
        Simple::new("pg_terminate_backend", with_time, T::Boolean, volatile, terminate),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
}
