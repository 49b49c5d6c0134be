//! Rows by several indexes at once: the row keys of each are collected and sorted, what is in all of them (AND) or in any
//! (OR) is fetched in key order. (PostgreSQL's BitmapAnd and BitmapOr, over keys in the place of bits.)
//!
//! Guarantees: all rows that the conditions ask for, in key order; the filter above checks every condition again. Where an index
//! gives more than [`KEYS_MAX`] keys the table is read whole.

use bytes::Bytes;
use cairn_engine::catalog::IndexId;
use cairn_engine::table::{self, Access};
use cairn_engine::{ReadView, Table};
use datafusion::logical_expr::utils::{split_binary, split_conjunction};
use datafusion::logical_expr::{Expr, Operator};

use super::access::{self, Choice, FETCH_COST, Size};
use super::bounds::{self, Columns};
use crate::Result;

/// Keys of one index at most.
const KEYS_MAX: usize = 1 << 20;
/// Terms of an OR at most.
const TERMS_MAX: usize = 32;

/// One index's share.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) access: Access,
    pub(crate) index: IndexId,
    pub(crate) conditions: Vec<String>,
    /// The columns that these are on.
    pub(crate) places: Vec<usize>,
    pub(crate) rows: f64,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Bitmap {
    /// Whether a row of any part counts, not only one of all.
    pub(crate) any: bool,
    pub(crate) parts: Vec<Part>,
}

impl Bitmap {
    /// The rows, as an access; `None` where there are too many.
    pub(crate) fn access(&self, view: &ReadView, table: &Table) -> Result<Option<Access>> {
        let mut found: Option<Vec<Bytes>> = None;
        for part in &self.parts {
            let rows = table::rows_by_index(view, table, &part.access, &Access::Full, KEYS_MAX)?;
            let Some(Access::Rows(mut keys)) = rows else { return Ok(None) };
            keys.dedup();
            found = Some(match found {
                None => keys,
                Some(before) if self.any => merged(before, keys),
                Some(before) => common(before, &keys),
            });
        }
        Ok(found.map(Access::Rows))
    }

    /// What reading the entries costs, in rows of a scan in order.
    pub(crate) fn entries(&self) -> f64 {
        self.parts.iter().map(|part| part.rows).sum()
    }
}

/// Keys that are in both lists, which ascend.
fn common(mut a: Vec<Bytes>, b: &[Bytes]) -> Vec<Bytes> {
    let mut at = 0;
    a.retain(|key| {
        while at < b.len() && b[at] < *key {
            at += 1;
        }
        b.get(at) == Some(key)
    });
    a
}

/// Keys that are in either list.
fn merged(mut a: Vec<Bytes>, b: Vec<Bytes>) -> Vec<Bytes> {
    a.extend(b);
    a.sort_unstable();
    a.dedup();
    a
}

/// Whether a condition is an OR whose terms all could lead to an index.
pub(crate) fn is_usable(condition: &Expr, schema: &arrow::datatypes::Schema) -> bool {
    let terms = split_binary(condition, Operator::Or);
    terms.len() > 1 && terms.len() <= TERMS_MAX && terms.iter().all(|term| bounds::is_usable(term, schema))
}

/// The way by several indexes, where it is cheaper than `best`, which reads by one or none.
pub(crate) fn choose(
    table: &Table,
    size: &Size,
    filters: &[Expr],
    projection: &[usize],
    best: &Choice,
    seqscan: bool,
) -> Result<Option<Choice>> {
    let terms: Vec<&Expr> = filters.iter().flat_map(split_conjunction).collect();
    let total = size.rows.max(1) as f64;
    let covered = best.index == 0 || table::is_covered(table, best.index, projection)?;
    let mut least = match (&best.access, covered) {
        (Access::Full, _) if !seqscan => f64::MAX,
        (_, true) => best.rows,
        (_, false) => best.rows * FETCH_COST,
    };
    let mut found = None;
    let mut consider = |bitmap: Bitmap, rows: f64| {
        let cost = bitmap.entries() + rows * FETCH_COST;
        if cost < least {
            least = cost;
            let conditions = bitmap.parts.iter().flat_map(|part| part.conditions.clone()).collect();
            let places = bitmap.parts.iter().flat_map(|part| part.places.clone()).collect();
            found = Some(Choice { rows, conditions, places, bitmap: Some(bitmap), ..access::whole(0) });
        }
    };
    if let Some((parts, rows)) = all(table, size, &terms, total)? {
        consider(Bitmap { any: false, parts }, rows);
    }
    for term in &terms {
        if let Some((parts, rows)) = any(table, size, term, total)? {
            consider(Bitmap { any: true, parts }, rows);
        }
    }
    Ok(found)
}

/// What single indexes give for conditions, fewest rows first.
fn candidates(table: &Table, size: &Size, terms: &[&Expr]) -> Result<Vec<Part>> {
    let mut columns = Columns::new(table.arrow_schema());
    terms.iter().for_each(|term| columns.add(term));
    let mut found = Vec::new();
    for index in table.indexes.iter().filter(|index| index.is_plain()) {
        let places = index.columns.iter().map(|c| table.place_of(c.column)).collect::<Option<Vec<_>>>();
        let Some(places) = places else { continue };
        if let Some(choice) = access::by_key(table, index.id, &places, index.unique, &columns, size)? {
            let Choice { access, conditions, rows, places, .. } = choice;
            found.push(Part { access, index: index.id, conditions, places, rows });
        }
    }
    found.sort_by(|a, b| a.rows.total_cmp(&b.rows));
    Ok(found)
}

/// Indexes whose common rows are cheaper than those of the first alone.
fn all(table: &Table, size: &Size, terms: &[&Expr], total: f64) -> Result<Option<(Vec<Part>, f64)>> {
    let mut parts: Vec<Part> = Vec::new();
    let mut used: Vec<usize> = Vec::new();
    let mut rows = total;
    for part in candidates(table, size, terms)? {
        if part.places.iter().any(|place| used.contains(place)) {
            continue;
        }
        let fewer = rows * (part.rows / total).min(1.0);
        let is_worth = parts.is_empty() || part.rows + fewer * FETCH_COST < rows * FETCH_COST;
        if is_worth {
            rows = fewer;
            used.extend(&part.places);
            parts.push(part);
        }
    }
    Ok((parts.len() > 1).then_some((parts, rows.max(1.0))))
}

/// An index for each term of an OR.
fn any(table: &Table, size: &Size, condition: &Expr, total: f64) -> Result<Option<(Vec<Part>, f64)>> {
    let terms = split_binary(condition, Operator::Or);
    if terms.len() < 2 || terms.len() > TERMS_MAX {
        return Ok(None);
    }
    let mut parts = Vec::new();
    for term in terms {
        let Some(part) = candidates(table, size, &[term])?.into_iter().next() else { return Ok(None) };
        parts.push(part);
    }
    let rows = parts.iter().map(|part| part.rows).sum::<f64>().min(total);
    Ok(Some((parts, rows)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_common_and_in_either() {
        let keys = |text: &str| text.bytes().map(|b| Bytes::copy_from_slice(&[b])).collect::<Vec<_>>();
        assert_eq!(common(keys("abdf"), &keys("bcdg")), keys("bd"));
        assert_eq!(common(keys("ab"), &keys("")), keys(""));
        assert_eq!(merged(keys("abd"), keys("bce")), keys("abcde"));
    }
}
