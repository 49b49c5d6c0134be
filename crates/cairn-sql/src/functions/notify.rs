//! Functions of LISTEN and NOTIFY.

use cairn_types::{DataType, Value};
use datafusion::logical_expr::{ScalarUDF, Volatility};

use super::{Call, Simple, Takes};
use crate::context::ScopeExtension;
use crate::session::notify::{self, Sent};
use crate::{Error, Result};

fn send(call: &Call<'_>) -> Result<Value> {
    let text = |at: usize| match call.values.get(at) {
        Some(Value::Text(text)) => text.as_str(),
        _ => "",
    };
    let (channel, payload) = (text(0), text(1));
    if channel.is_empty() {
        return Err(Error::new("22023", "channel name cannot be empty"));
    }
    if channel.len() > notify::CHANNEL_BYTES_MAX {
        return Err(Error::new("22023", "channel name too long"));
    }
    let scope = ScopeExtension::of(&call.args.config_options)?;
    notify::send(&scope.txn, Sent { channel, payload })?;
    Ok(Value::Text(String::new()))
}

fn channels(call: &Call<'_>) -> Result<Value> {
    let scope = ScopeExtension::of(&call.args.config_options)?;
    let listener = scope.exchange.lock().listener.clone();
    let names = listener.map(|listener| listener.channels()).unwrap_or_default();
    Ok(Value::Array(names.iter().map(|name| Value::Text(name.to_string())).collect()))
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use DataType as T;
    let none = || Takes::Exact(Vec::new());
    let texts = Takes::Exact(vec![T::Text, T::Text]);
    vec![
        Simple::new("pg_notify", texts, T::Text, Volatility::Volatile, send).with_nulls(),
        Simple::new("pg_notification_queue_usage", none(), T::Double, Volatility::Volatile, |call| {
            let scope = ScopeExtension::of(&call.args.config_options)?;
            Ok(Value::Double(scope.shared.database.notifications_usage()))
        }),
        Simple::new(
            "cairn_set_pg_listening_channels",
            none(),
            T::Array(Box::new(T::Text)),
            Volatility::Stable,
            channels,
        ),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
}
