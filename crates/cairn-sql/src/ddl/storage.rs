//! Storage parameters: `WITH (fillfactor = 70)`. They tune PostgreSQL's heap and its vacuum, which are not here: those that
//! PostgreSQL has are accepted and said to have no effect, others are refused.

use sqlparser::ast::{Expr, SqlOption};

use super::notice;
use crate::context::Context;
use crate::session::variables::fold;
use crate::{Error, Result};

/// What a parameter takes.
#[derive(Clone, Copy)]
enum Takes {
    Switch,
    Number(f64, f64),
}

/// Those of tables.
const TABLE: &[(&str, Takes)] = &[
    ("fillfactor", Takes::Number(10.0, 100.0)),
    ("toast_tuple_target", Takes::Number(128.0, 8160.0)),
    ("parallel_workers", Takes::Number(0.0, 1024.0)),
    ("user_catalog_table", Takes::Switch),
    ("vacuum_truncate", Takes::Switch),
    ("autovacuum_enabled", Takes::Switch),
    ("autovacuum_vacuum_threshold", Takes::Number(0.0, 2_147_483_647.0)),
    ("autovacuum_vacuum_scale_factor", Takes::Number(0.0, 100.0)),
    ("autovacuum_vacuum_insert_threshold", Takes::Number(-1.0, 2_147_483_647.0)),
    ("autovacuum_vacuum_insert_scale_factor", Takes::Number(0.0, 100.0)),
    ("autovacuum_analyze_threshold", Takes::Number(0.0, 2_147_483_647.0)),
    ("autovacuum_analyze_scale_factor", Takes::Number(0.0, 100.0)),
    ("autovacuum_vacuum_cost_delay", Takes::Number(-1.0, 100.0)),
    ("autovacuum_vacuum_cost_limit", Takes::Number(1.0, 10_000.0)),
    ("autovacuum_freeze_min_age", Takes::Number(0.0, 1_000_000_000.0)),
    ("autovacuum_freeze_max_age", Takes::Number(100_000.0, 2_000_000_000.0)),
    ("autovacuum_freeze_table_age", Takes::Number(0.0, 2_000_000_000.0)),
    ("log_autovacuum_min_duration", Takes::Number(-1.0, 2_147_483_647.0)),
];

/// Those of indexes.
const INDEX: &[(&str, Takes)] =
    &[("fillfactor", Takes::Number(10.0, 100.0)), ("deduplicate_items", Takes::Switch)];

/// Checks the parameters of a table.
pub(super) fn of_table(context: &Context, options: &[SqlOption]) -> Result<()> {
    for option in options {
        let SqlOption::KeyValue { key, value } = option else {
            return Err(Error::unsupported("a storage option of CREATE TABLE"));
        };
        check(context, TABLE, &fold(key), value)?;
    }
    Ok(())
}

/// Checks those of an index, as the parser has them: `name = value`.
pub(super) fn of_index(context: &Context, options: &[Expr]) -> Result<()> {
    for option in options {
        match option {
            Expr::BinaryOp { left, op: sqlparser::ast::BinaryOperator::Eq, right } => match &**left {
                Expr::Identifier(key) => check(context, INDEX, &fold(key), right)?,
                _ => return Err(Error::unsupported("a storage option of CREATE INDEX")),
            },
            _ => return Err(Error::unsupported("a storage option of CREATE INDEX")),
        }
    }
    Ok(())
}

fn check(context: &Context, known: &[(&str, Takes)], name: &str, value: &Expr) -> Result<()> {
    let Some((name, takes)) = known.iter().find(|(known, _)| *known == name) else {
        return Err(Error::new("22023", format!("unrecognized parameter \"{name}\"")));
    };
    let text = value.to_string();
    let text = text.trim_matches('\'');
    match takes {
        Takes::Switch => {
            let lower = text.to_ascii_lowercase();
            if !matches!(lower.as_str(), "true" | "false" | "on" | "off" | "yes" | "no" | "1" | "0") {
                let message = format!("invalid value for boolean option \"{name}\": {text}");
                return Err(Error::new("22023", message));
            }
        }
        Takes::Number(least, most) => {
            let number: f64 = text.parse().map_err(|_| {
                Error::new("22023", format!("invalid value for integer option \"{name}\": {text}"))
            })?;
            if !(*least..=*most).contains(&number) {
                return Err(Error::new("22023", format!("value {text} out of bounds for option \"{name}\""))
                    .with_detail(format!("Valid values are between \"{least}\" and \"{most}\".")));
            }
        }
    }
    notice(context, "00000", format!("storage parameter \"{name}\" has no effect"));
    Ok(())
}
