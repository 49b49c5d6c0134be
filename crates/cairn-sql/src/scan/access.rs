//! Which way to the rows of a table: whole, by primary key, or by a secondary index.
//!
//! The rule: equality on all columns of a unique key yields one row; what equalities and ranges of a key's first columns keep
//! is told by the table's statistics. Without them every equality keeps 1 in 100, a range with two ends 1 in 10, with one
//! end 1 in 3. A row found through an index that does not cover the query costs as much as eight rows in key
//! order. The cheapest way wins; the whole table costs its rows.

use std::ops::Bound;
use std::sync::Arc;

use arrow::datatypes::Field;
use cairn_engine::Table;
use cairn_engine::catalog::{IndexId, TableStatistics};
use cairn_engine::table::{self, Access, Bounds, Match};
use cairn_types::{DataType, Value};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::Expr;

use super::bitmap::Bitmap;
use super::bounds::{Columns, Restriction};
use super::derived::Derived;
use crate::Result;
use crate::statistics::values::Known;

/// Ranges of one access at most: beyond, lists on later columns are not multiplied out.
const RANGES_MAX: usize = 1024;
/// Cost of a row that is fetched by its key after an index entry, in rows of a scan in order.
pub(crate) const FETCH_COST: f64 = 8.0;

/// Of a table's rows, those that a partial index is taken to hold.
const PARTIAL_SHARE: f64 = 0.1;

/// What is known of a table's rows.
#[derive(Clone, Default)]
pub(crate) struct Size {
    /// About how many there are.
    pub(crate) rows: u64,
    pub(crate) statistics: Option<Arc<TableStatistics>>,
}

impl Size {
    /// Of the column at a place among the live ones.
    fn known(&self, table: &Table, place: usize) -> Known<'_> {
        let column = table.live_columns().nth(place).map(|column| column.id);
        let statistics = self.statistics.as_deref().zip(column).and_then(|(all, id)| all.column(id));
        Known { statistics, rows: self.rows as f64, unique: false }
    }
}

/// A chosen way.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) access: Access,
    /// Which index: 0 = the rows themselves.
    pub(crate) index: IndexId,
    /// Conditions that the access uses, for EXPLAIN.
    pub(crate) conditions: Vec<String>,
    /// The columns that these are on.
    pub(crate) places: Vec<usize>,
    /// Estimated rows.
    pub(crate) rows: f64,
    /// Leading key columns fixed to one value.
    pub(crate) fixed: usize,
    /// Whether rows come in key order: one range only.
    pub(crate) ordered: bool,
    /// Several indexes that give the rows, in the place of `access`.
    pub(crate) bitmap: Option<Bitmap>,
}

/// A condition in SQL, for EXPLAIN.
pub(crate) fn describe(condition: &Expr) -> String {
    let condition = &as_text(condition);
    match datafusion::sql::unparser::expr_to_sql(condition) {
        Ok(sql) => shorten(&sql.to_string()),
        Err(_) => shorten(&condition.to_string()),
    }
}

/// A condition with text in the place of values that the query engine knows as structs only.
fn as_text(condition: &Expr) -> Expr {
    let shown = condition.clone().transform_up(|part| {
        let Expr::Literal(scalar @ ScalarValue::Struct(_), _) = &part else {
            return Ok(Transformed::no(part));
        };
        let ty = DataType::from_field(&Field::new("", scalar.data_type(), true));
        let value = Value::from_array(&*scalar.to_array()?, 0, &ty);
        Ok(Transformed::yes(Expr::Literal(ScalarValue::Utf8(Some(value.to_text(&ty))), None)))
    });
    shown.map_or_else(|_| condition.clone(), |shown| shown.data)
}

fn shorten(text: &str) -> String {
    let text = text
        .strip_prefix('(')
        .and_then(|t| t.strip_suffix(')'))
        .filter(|t| !t.contains(['(', ')']))
        .unwrap_or(text);
    if text.chars().count() <= 200 {
        return text.to_owned();
    }
    text.chars().take(200).chain("…".chars()).collect()
}

/// The whole table in the order of its keys.
pub(crate) fn whole(approximate_rows: u64) -> Choice {
    Choice {
        access: Access::Full,
        index: 0,
        conditions: Vec::new(),
        places: Vec::new(),
        rows: approximate_rows.max(1) as f64,
        fixed: 0,
        ordered: true,
        bitmap: None,
    }
}

/// Chooses the way for these conditions and columns wanted; without `seqscan` the whole table only where there is no
/// other.
pub(crate) fn choose(
    table: &Table,
    derived: Option<&Derived>,
    size: &Size,
    seqscan: bool,
    filters: &[Expr],
    projection: &[usize],
) -> Result<Choice> {
    let columns = Columns::new(derived.map_or(table.arrow_schema().as_ref(), Derived::schema));
    choose_for(columns, table, derived, size, seqscan, filters, projection)
}

/// Whether conditions on these columns could lead to a key or an index, if not with these values.
pub(crate) fn has_ways(table: &Table, derived: Option<&Derived>, filters: &[Expr]) -> bool {
    let mut columns = Columns::silent(derived.map_or(table.arrow_schema().as_ref(), Derived::schema));
    for filter in filters {
        columns.add(&derived.map_or_else(|| filter.clone(), |derived| derived.rewrite(filter)));
    }
    let is_restricted = |place: usize| columns.restrictions.iter().any(|(at, ..)| *at == place);
    let serves = |index: &cairn_engine::catalog::IndexDescriptor| match (index.is_plain(), derived) {
        (false, Some(derived)) => derived.may_serve(index.id, is_restricted),
        _ => index.columns.first().and_then(|c| table.place_of(c.column)).is_some_and(is_restricted),
    };
    let by_key = || table.primary_key_places().first().copied().is_some_and(is_restricted);
    !table.has_hidden_key() && by_key() || table.indexes.iter().any(serves)
}

/// The way chosen before for conditions of the same form with other values; `None` where another one is chosen now.
pub(crate) fn choose_again(
    before: &Choice,
    table: &Table,
    derived: Option<&Derived>,
    size: &Size,
    filters: &[Expr],
    projection: &[usize],
) -> Result<Option<Choice>> {
    let columns = Columns::silent(derived.map_or(table.arrow_schema().as_ref(), Derived::schema));
    let choice = choose_for(columns, table, derived, size, true, filters, projection)?;
    let alike = std::mem::discriminant(&choice.access) == std::mem::discriminant(&before.access)
        && (choice.index, choice.fixed, choice.ordered) == (before.index, before.fixed, before.ordered);
    Ok(alike.then_some(choice))
}

fn choose_for(
    mut columns: Columns<'_>,
    table: &Table,
    derived: Option<&Derived>,
    size: &Size,
    seqscan: bool,
    filters: &[Expr],
    projection: &[usize],
) -> Result<Choice> {
    for filter in filters {
        match derived {
            Some(derived) => columns.add(&derived.rewrite(filter)),
            None => columns.add(filter),
        }
    }
    let mut best = whole(size.rows);
    let total = best.rows;
    let mut best_cost = if seqscan { total } else { f64::MAX };
    if columns.restrictions.is_empty() && derived.is_none() {
        return Ok(best);
    }
    let mut consider = |choice: Choice, cost: f64| {
        if cost < best_cost || (cost <= best_cost && matches!(best.access, Access::Full)) {
            best_cost = cost;
            best = choice;
        }
    };
    if !table.has_hidden_key()
        && let Some(choice) = by_key(table, 0, &table.primary_key_places(), true, &columns, size)?
    {
        let cost = choice.rows;
        consider(choice, cost);
    }
    for index in &table.indexes {
        let places = match (index.is_plain(), derived) {
            (true, _) => index.columns.iter().map(|c| table.place_of(c.column)).collect::<Option<Vec<_>>>(),
            (false, Some(derived)) => derived.places(index.id, filters).map(<[usize]>::to_vec),
            (false, None) => None,
        };
        let Some(places) = places else { continue };
        if let Some(choice) = by_key(table, index.id, &places, index.unique, &columns, size)? {
            let covered = table::is_covered(table, index.id, projection)?;
            let cost = if covered { choice.rows } else { choice.rows * FETCH_COST };
            consider(choice, cost);
        } else if derived.is_some_and(|derived| derived.is_partial(index.id)) {
            let rows = (total * PARTIAL_SHARE).max(1.0);
            let access = table::index_access(table, index.id, &[Bounds::default()])?;
            let (index, ordered) = (index.id, true);
            let choice = Choice { access, index, rows, ordered, ..whole(0) };
            consider(choice, rows * FETCH_COST);
        }
    }
    if let Some(derived) = derived {
        best.conditions.iter_mut().for_each(|condition| *condition = derived.describe(condition));
    }
    Ok(best)
}

#[derive(Default)]
struct Key {
    equal: Vec<Vec<Match>>,
    conditions: Vec<String>,
    places: Vec<usize>,
    rows: f64,
    fixed: usize,
}

/// The access by one key, as far as the conditions reach; `None` where they say nothing of its first column.
pub(super) fn by_key(
    table: &Table,
    index: IndexId,
    places: &[usize],
    unique: bool,
    columns: &Columns<'_>,
    size: &Size,
) -> Result<Option<Choice>> {
    let total = size.rows.max(1) as f64;
    let mut key = Key { equal: vec![Vec::new()], rows: total, ..Key::default() };
    let mut depth = 0;
    let mut range = (Bound::Unbounded, Bound::Unbounded);
    let mut has_null = false;
    for place in places {
        let Some((matches, condition)) = equality(columns, *place) else {
            range = range_of(columns, *place, size.known(table, *place), &mut key);
            break;
        };
        if key.equal.len() * matches.len().max(1) > RANGES_MAX {
            break;
        }
        has_null |= matches.iter().any(|m| matches!(m, Match::IsNull));
        if matches.len() == 1 && key.fixed == depth {
            key.fixed += 1;
        }
        let known = size.known(table, *place);
        let share = |one: &Match| match one {
            Match::Equal(value) => known.equal(Some(value)),
            Match::IsNull => known.null(),
        };
        key.rows *= matches.iter().map(share).sum::<f64>().min(1.0);
        let longer = |prefix: &Vec<Match>, one: &Match| prefix.iter().cloned().chain([one.clone()]).collect();
        key.equal =
            key.equal.iter().flat_map(|prefix| matches.iter().map(|one| longer(prefix, one))).collect();
        key.conditions.push(condition);
        key.places.push(*place);
        depth += 1;
    }
    if key.conditions.is_empty() {
        return Ok(None);
    }
    let whole = unique && depth == places.len() && !has_null;
    if whole {
        key.rows = key.equal.len() as f64;
    }
    let ranges: Vec<Bounds> = key
        .equal
        .iter()
        .map(|equal| Bounds { equal: equal.clone(), lower: range.0.clone(), upper: range.1.clone() })
        .collect();
    let single = ranges.len() == 1;
    let access = if index == 0 {
        table::primary_access(table, &ranges)?
    } else {
        table::index_access(table, index, &ranges)?
    };
    Ok(Some(Choice {
        access,
        index,
        conditions: key.conditions,
        places: key.places,
        rows: key.rows.clamp(if whole { 0.0 } else { 1.0 }, total.max(1.0)),
        fixed: key.fixed,
        ordered: single,
        bitmap: None,
    }))
}

/// The values that the conditions fix a column to; the shortest list wins.
fn equality(columns: &Columns<'_>, place: usize) -> Option<(Vec<Match>, String)> {
    let mut best: Option<(Vec<Match>, String)> = None;
    for (column, restriction, condition) in &columns.restrictions {
        if *column != place {
            continue;
        }
        let matches: Vec<Match> = match restriction {
            Restriction::OneOf(values) => values.iter().cloned().map(Match::Equal).collect(),
            Restriction::Null => vec![Match::IsNull],
            Restriction::Range(..) => continue,
        };
        if best.as_ref().is_none_or(|(shortest, _)| matches.len() < shortest.len()) {
            best = Some((matches, condition.clone()));
        }
    }
    best
}

/// The tightest range of a column; adds its conditions and its selectivity to the key.
fn range_of(
    columns: &Columns<'_>,
    place: usize,
    known: Known<'_>,
    key: &mut Key,
) -> (Bound<Value>, Bound<Value>) {
    let (mut lower, mut upper) = (Bound::Unbounded, Bound::Unbounded);
    for (column, restriction, condition) in &columns.restrictions {
        let (true, Restriction::Range(low, high)) = (*column == place, restriction) else { continue };
        if tighter(low, &lower, std::cmp::Ordering::Greater) {
            lower = low.clone();
        }
        if tighter(high, &upper, std::cmp::Ordering::Less) {
            upper = high.clone();
        }
        if !key.places.contains(&place) {
            key.places.push(place);
        }
        if !key.conditions.contains(condition) {
            key.conditions.push(condition.clone());
        }
    }
    if !matches!((&lower, &upper), (Bound::Unbounded, Bound::Unbounded)) {
        key.rows *= known.within(&lower, &upper);
    }
    (lower, upper)
}

fn tighter(new: &Bound<Value>, old: &Bound<Value>, wanted: std::cmp::Ordering) -> bool {
    match (new, old) {
        (Bound::Unbounded, _) => false,
        (_, Bound::Unbounded) => true,
        (Bound::Included(new), Bound::Included(old) | Bound::Excluded(old)) => new.cmp(old) == wanted,
        (Bound::Excluded(new), Bound::Excluded(old)) => new.cmp(old) == wanted,
        (Bound::Excluded(new), Bound::Included(old)) => {
            let order = new.cmp(old);
            order == wanted || order == std::cmp::Ordering::Equal
        }
    }
}
