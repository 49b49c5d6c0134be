//! What functions tell of rules, routines and partitions.

use cairn_engine::Catalog;
use cairn_engine::catalog::{BodyForm, PartitionBound, RangeEnd, Table};
use cairn_engine::table::bound_literal;
use cairn_types::{DataType, Value};

use super::{derived, derived_parts};
use crate::Result;
use crate::context::Scope;
use crate::functions::text::quote_ident;

/// CREATE RULE of the rule that makes a view.
pub(crate) fn rule_definition(scope: &Scope, id: i64) -> Result<Option<String>> {
    let catalog = scope.txn.catalog();
    let own = u32::try_from(id).ok();
    let view = own.and_then(|id| catalog.view_by_id(id));
    let named = view.map(|view| (view.schema.clone(), view.name.clone()));
    let Some((schema, name)) = named else { return Ok(None) };
    let Some(query) = super::view_definition(scope, id)? else { return Ok(None) };
    let name = format!("{}.{}", quote_ident(&schema), quote_ident(&name));
    Ok(Some(format!("CREATE RULE \"_RETURN\" AS\n    ON SELECT TO {name} DO INSTEAD {query}")))
}

/// The body of a function in SQL's own form; `None` for one that is given as text.
pub(crate) fn body(catalog: &Catalog, id: i64) -> Option<String> {
    let routine = catalog.routine_by_id(u32::try_from(id).ok()?)?;
    match routine.form {
        BodyForm::Text => None,
        BodyForm::Return => Some(format!("RETURN {}", routine.body)),
        BodyForm::Atomic => {
            let body = routine.body.trim().trim_end_matches(';');
            Some(format!("BEGIN ATOMIC\n {body};\nEND"))
        }
    }
}

/// The default of a parameter, by its number among all parameters.
pub(crate) fn default_of(catalog: &Catalog, id: i64, number: i64) -> Option<String> {
    let routine = catalog.routine_by_id(u32::try_from(id).ok()?)?;
    let at = usize::try_from(number).ok()?.checked_sub(1)?;
    routine.parameters.get(at).filter(|own| own.is_input())?.default.clone()
}

/// A table or an index of it: the table, and the index's number.
fn part(catalog: &Catalog, id: i64) -> Option<(std::sync::Arc<Table>, Option<i64>)> {
    if let Some((table, index)) = derived_parts(catalog, id) {
        return Some((table, Some(index)));
    }
    Some((std::sync::Arc::clone(catalog.table_by_id(u32::try_from(id).ok()?)?), None))
}

/// The partitioned table or index right above.
fn above(catalog: &Catalog, id: i64) -> Option<i64> {
    let (table, index) = part(catalog, id)?;
    let own = table.partition.as_ref()?;
    match index {
        None => Some(i64::from(own.parent)),
        Some(index) => {
            let (above, _) = own.indexes.iter().find(|(_, below)| i64::from(*below) == index)?;
            Some(derived(own.parent, i64::from(*above)))
        }
    }
}

/// A partition and all above it; nothing for what is neither a partition nor partitioned.
pub(crate) fn ancestors(catalog: &Catalog, id: i64) -> Vec<i64> {
    let within = part(catalog, id).is_some_and(|(table, _)| table.is_partitioned());
    if !within && above(catalog, id).is_none() {
        return Vec::new();
    }
    std::iter::successors(Some(id), |id| above(catalog, *id)).collect()
}

/// A partitioned table or index and all below it: number, number of what is above, whether it is a leaf, level.
pub(crate) fn tree(catalog: &Catalog, id: i64) -> Vec<(i64, Option<i64>, bool, usize)> {
    let mut rows = Vec::new();
    if ancestors(catalog, id).is_empty() {
        return rows;
    }
    let mut level = vec![id];
    let mut depth = 0;
    while !level.is_empty() {
        let mut next = Vec::new();
        for own in level {
            let Some((table, index)) = part(catalog, own) else { continue };
            rows.push((own, above(catalog, own), !table.is_partitioned(), depth));
            for below in catalog.partition_tables(table.id) {
                let place = below.partition.as_ref();
                match index {
                    None => next.push(i64::from(below.id)),
                    Some(index) => {
                        let own =
                            place.and_then(|own| own.indexes.iter().find(|(a, _)| i64::from(*a) == index));
                        next.extend(own.map(|(_, b)| derived(below.id, i64::from(*b))));
                    }
                }
            }
        }
        level = next;
        depth += 1;
    }
    rows
}

/// The condition that rows of a partition meet, with those of what is above.
pub(crate) fn partition_constraint(catalog: &Catalog, id: i64) -> Option<String> {
    let mut table = catalog.table_by_id(u32::try_from(id).ok()?)?;
    let mut all = Vec::new();
    while let Some(own) = &table.partition {
        let parent = catalog.table_by_id(own.parent)?;
        all.extend(condition(catalog, parent, table)?);
        table = parent;
    }
    (!all.is_empty()).then(|| format!("({})", all.join(" AND ")))
}

fn condition(catalog: &Catalog, parent: &Table, table: &Table) -> Option<Vec<String>> {
    let own = table.partition.as_ref()?;
    let key = parent.partitioning.as_ref()?;
    let names: Vec<String> = key
        .columns
        .iter()
        .map(|id| Some(quote_ident(&parent.column_by_id(*id)?.name)))
        .collect::<Option<_>>()?;
    match &own.bound {
        PartitionBound::Range { from, to } => {
            let mut all: Vec<String> = names.iter().map(|name| format!("({name} IS NOT NULL)")).collect();
            all.extend(end(&names, &own.types, from, false));
            all.extend(end(&names, &own.types, to, true));
            Some(all)
        }
        PartitionBound::List(values) => Some(vec![in_list(names.first()?, own.types.first()?, values)]),
        PartitionBound::Hash { modulus, remainder } => Some(vec![format!(
            "satisfies_hash_partition('{}'::oid, {modulus}, {remainder}, {})",
            parent.id,
            names.join(", ")
        )]),
        PartitionBound::Default => {
            let others = catalog.partition_tables(parent.id).filter(|other| other.id != table.id);
            let others: Vec<String> = others
                .filter_map(|other| Some(format!("({})", condition(catalog, parent, other)?.join(" AND "))))
                .collect();
            match others.len() {
                0 => Some(Vec::new()),
                1 => Some(vec![format!("(NOT {})", others[0])]),
                _ => Some(vec![format!("(NOT ({}))", others.join(" OR "))]),
            }
        }
    }
}

/// Columns from or up to an end, which is compared as a row.
fn end(names: &[String], types: &[DataType], ends: &[RangeEnd], upper: bool) -> Option<String> {
    let mut choices = Vec::new();
    let mut equal: Vec<String> = Vec::new();
    for (at, ((name, ty), end)) in names.iter().zip(types).zip(ends).enumerate() {
        let RangeEnd::Value(value) = end else {
            let open = matches!((end, upper), (RangeEnd::Max, true) | (RangeEnd::Min, false));
            if open && equal.is_empty() {
                return None;
            }
            if open {
                choices.push(joined(&equal));
            }
            break;
        };
        let value = bound_literal(value, ty);
        let last = at + 1 == names.len();
        let operator = match (upper, last) {
            (true, _) => "<",
            (false, true) => ">=",
            (false, false) => ">",
        };
        let mut all = equal.clone();
        all.push(format!("({name} {operator} {value})"));
        choices.push(joined(&all));
        equal.push(format!("({name} = {value})"));
    }
    match choices.len() {
        0 => Some("false".to_owned()),
        1 => choices.pop(),
        _ => Some(format!("({})", choices.join(" OR "))),
    }
}

fn joined(all: &[String]) -> String {
    if all.len() == 1 { all[0].clone() } else { format!("({})", all.join(" AND ")) }
}

fn in_list(name: &str, ty: &DataType, values: &[Value]) -> String {
    let literals: Vec<String> =
        values.iter().filter(|value| !value.is_null()).map(|value| bound_literal(value, ty)).collect();
    let with_null = values.iter().any(Value::is_null);
    let one_of = match literals.as_slice() {
        [] => return format!("({name} IS NULL)"),
        [only] => format!("({name} = {only})"),
        all => format!("({name} = ANY (ARRAY[{}]))", all.join(", ")),
    };
    match with_null {
        true => format!("(({name} IS NULL) OR {one_of})"),
        false => format!("(({name} IS NOT NULL) AND {one_of})"),
    }
}
