//! TABLESAMPLE: a table's name is said as one of a catalog that stands for the sample; `catalog::sample` finds it.

use sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, TableAlias, TableFactor, TableSample, TableSampleKind,
    TableSampleMethod, TableSampleSeedModifier, UnaryOperator, Value,
};

use crate::{Error, Result};

/// Begins the name of the catalog; the percentage and the seed, if any, follow.
pub(crate) const CATALOG: &str = "\u{1}sample ";

/// Refuses what PostgreSQL has not, and what is no constant.
pub(crate) fn check(sample: &TableSample) -> Result<()> {
    read(sample).map(drop)
}

/// The percentage, and the seed of REPEATABLE.
fn read(sample: &TableSample) -> Result<(f64, Option<f64>)> {
    match sample.name {
        Some(TableSampleMethod::Bernoulli | TableSampleMethod::System) => {}
        _ => {
            return Err(Error::new("42704", "tablesample method does not exist")
                .with_hint("Use BERNOULLI or SYSTEM."));
        }
    }
    if sample.bucket.is_some() || sample.offset.is_some() {
        return Err(Error::unsupported("this form of TABLESAMPLE"));
    }
    let Some(quantity) = sample.quantity.as_ref().filter(|quantity| quantity.unit.is_none()) else {
        return Err(Error::unsupported("this form of TABLESAMPLE"));
    };
    let Some(percentage) = number(&quantity.value) else {
        return Err(Error::unsupported("TABLESAMPLE of a percentage that is no number"));
    };
    if !(0.0..=100.0).contains(&percentage) {
        return Err(Error::new("2202H", "sample percentage must be between 0 and 100"));
    }
    let seed = match &sample.seed {
        None => None,
        Some(seed) if seed.modifier == TableSampleSeedModifier::Repeatable => {
            let number = number(&Expr::Value(seed.value.clone()));
            Some(number.ok_or_else(|| Error::unsupported("REPEATABLE of what is no number"))?)
        }
        Some(_) => return Err(Error::unsupported("this form of TABLESAMPLE")),
    };
    Ok((percentage, seed))
}

fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => number(expr).map(|n| -n),
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => number(expr),
        Expr::Nested(inner) => number(inner),
        _ => None,
    }
}

/// Rewrites a sampled table in FROM.
///
/// # Errors
/// As [`check`].
pub(crate) fn rewrite(factor: &mut TableFactor) -> Result<()> {
    let TableFactor::Table { name, alias, sample, .. } = factor else { return Ok(()) };
    let Some(TableSampleKind::BeforeTableAlias(own) | TableSampleKind::AfterTableAlias(own)) = sample.take()
    else {
        return Ok(());
    };
    let (percentage, seed) = read(&own)?;
    let mut parts: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident()).cloned().collect();
    let Some(last) = parts.pop() else { return Ok(()) };
    let schema = parts.pop().unwrap_or_else(|| Ident::with_quote('"', ""));
    let seed = seed.map(|seed| format!(" {seed}")).unwrap_or_default();
    let catalog = Ident::with_quote('"', format!("{CATALOG}{percentage}{seed}"));
    let called = last.clone();
    alias.get_or_insert_with(|| TableAlias { explicit: true, name: called, columns: Vec::new(), at: None });
    *name = ObjectName([catalog, schema, last].map(ObjectNamePart::Identifier).to_vec());
    Ok(())
}
