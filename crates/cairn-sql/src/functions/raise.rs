//! `raise_error(message [, sqlstate])`: an error of the application's own, for functions and triggers in SQL.

use std::collections::BTreeSet;

use cairn_types::{DataType, Value};
use datafusion::logical_expr::{ScalarUDF, Volatility};
use parking_lot::Mutex;

use super::{Call, Simple, Takes};
use crate::{Error, Result};

/// The function.
pub(super) fn function() -> ScalarUDF {
    let takes = Takes::OneOf(vec![vec![DataType::Text], vec![DataType::Text, DataType::Text]]);
    // Volatile: it is not called before it is its turn.
    Simple::new("raise_error", takes, DataType::Text, Volatility::Volatile, raise).with_nulls().into()
}

fn raise(call: &Call<'_>) -> Result<Value> {
    let message = call.values.first().and_then(Value::as_str).unwrap_or_default();
    let state = call.values.get(1).and_then(Value::as_str).unwrap_or("P0001");
    let valid = state.len() == 5 && state.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    if !valid {
        return Err(Error::new("42601", format!("invalid SQLSTATE code \"{state}\"")));
    }
    Err(Error::new(kept(state), message))
}

/// Codes that were raised; others are P0001 when there are this many.
const CODES_MAX: usize = 4096;

/// A code that lives as long as errors do: each is kept once.
fn kept(state: &str) -> &'static str {
    static CODES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut codes = CODES.lock();
    match codes.get(state) {
        Some(known) => known,
        None if codes.len() >= CODES_MAX => "P0001",
        None => {
            let own: &'static str = Box::leak(state.to_owned().into_boxed_str());
            codes.insert(own);
            own
        }
    }
}
