//! Statements with parameters: what they give for random values is held against the same text with the values in it, where
//! no plan is kept. They are run as PREPARE and EXECUTE, or as texts that differ in their literals only: a plan is kept at
//! the second, and serves the others.
//!
//! I1: what a query gives is fixed by its rows: LIMIT comes with ORDER BY all columns of the list.

use super::cases::Form;
use super::expressions::{Maker, Scope};
use super::selects;
use super::tree::{Kind, Node};
use super::types::Type;

use Type as T;

/// Executions of one statement.
const EXECUTIONS: usize = 5;

/// A statement in which `{1}`, `{2}` … of the nodes are parameters' values.
pub(super) fn prepared(maker: &mut Maker<'_>) -> (Form, Vec<Node>) {
    let (from, mut scope) = relations(maker);
    let own = scope.clone();
    let count = 1 + maker.random.below(3);
    let types: Vec<Type> = (0..count).map(|_| maker.some_type(&own)).collect();
    let mut conditions: Vec<Node> =
        types.iter().enumerate().map(|(at, ty)| compared(maker, &own, at, *ty)).collect();
    if maker.random.one_in(4) {
        // Parameters elsewhere than beside columns.
        scope.extend(types.iter().enumerate().map(|(at, ty)| (parameter(at), *ty)));
        conditions.push(maker.predicate(&scope, 2));
    }
    let between = if maker.random.one_in(6) { " OR " } else { " AND " };
    let filter = Node::join(Kind::Fixed, conditions, between);
    let filter = Node::new(Kind::Clause, " WHERE {}", vec![filter]);
    let (list, tail, sorted) = shape(maker, &own, &scope);
    let query = Node::new(Kind::Fixed, "SELECT {} FROM {}{}{}", vec![list, from, filter, tail]);
    let mut values = Vec::new();
    for at in 0..EXECUTIONS {
        // Now and then the values of before.
        let row: Vec<String> = match at >= 2 && maker.random.one_in(3) {
            true => values[at - 2..][..1].concat(),
            false => types.iter().map(|ty| value(maker, *ty)).collect(),
        };
        values.push(row);
    }
    let types = types.iter().map(|ty| ty.sql()).collect();
    let by_text = maker.random.one_in(3);
    (Form::Prepared { types, values, sorted, by_text }, vec![query])
}

fn parameter(at: usize) -> String {
    format!("${}", at + 1)
}

fn value(maker: &mut Maker<'_>, ty: Type) -> String {
    match maker.random.one_in(10) {
        true => "NULL".to_owned(),
        false => (*maker.random.of(ty.literals())).to_owned(),
    }
}

/// One table, or two or three that are joined by columns of one type.
fn relations(maker: &mut Maker<'_>) -> (Node, Scope) {
    let columns = |maker: &mut Maker<'_>| {
        let (table, alias) = (maker.random.of(maker.tables).clone(), maker.name("a"));
        let columns = table.columns.iter().enumerate();
        let scope: Scope = columns.map(|(at, ty)| (format!("{alias}.c{at}"), *ty)).collect();
        (format!("{} AS {alias}", table.name), scope)
    };
    let (first, mut scope) = columns(maker);
    let mut node = Node::text(Kind::From, first);
    for _ in 0..*maker.random.of(&[0, 0, 1, 1, 2]) {
        let (right, other) = columns(maker);
        let kind = *maker.random.of(&["JOIN", "JOIN", "LEFT JOIN"]);
        let on = selects::equality(maker, &scope, &other);
        scope.extend(other);
        let right = Node::text(Kind::From, right);
        node = Node::new(Kind::From, &format!("{{}} {kind} {{}} ON {{}}"), vec![node, right, on]);
    }
    (node, scope)
}

/// A column, mostly, beside a parameter.
fn compared(maker: &mut Maker<'_>, scope: &Scope, at: usize, ty: Type) -> Node {
    let column = maker.leaf(ty, scope);
    let slot = parameter(at);
    let template = match maker.random.below(12) {
        0..=5 => format!("{{}} = {slot}"),
        6 => format!("{{}} >= {slot}"),
        7 => format!("{{}} < {slot}"),
        8 => format!("{{}} <> {slot}"),
        9 => format!("{{}} IN ({slot}, {})", maker.random.of(ty.literals())),
        10 => format!("{{}} BETWEEN {slot} AND {}", maker.random.of(ty.literals())),
        _ => format!("{{}} IS NOT DISTINCT FROM {slot}"),
    };
    Node::value(T::Bool, &template, vec![column])
}

/// The list, what stands behind WHERE, and whether the rows come in order.
fn shape(maker: &mut Maker<'_>, own: &Scope, scope: &Scope) -> (Node, Node, bool) {
    if maker.random.one_in(4) {
        let types = [maker.some_type(own), T::Big];
        let list = types.iter().map(|ty| selects::aggregate(maker, *ty, own, 1)).collect();
        return (Node::join(Kind::Fixed, list, ", "), Node::text(Kind::Clause, ""), false);
    }
    let count = 1 + maker.random.below(3);
    let list: Vec<Node> = (0..count)
        .map(|_| {
            let ty = maker.some_type(own);
            if maker.random.one_in(3) { maker.expr(ty, scope, 1) } else { maker.leaf(ty, own) }
        })
        .collect();
    let list = Node::join(Kind::Fixed, list, ", ");
    let mut sorted = maker.random.one_in(2);
    let tail = match sorted {
        true => {
            let clause = selects::limit(maker, count);
            sorted = !clause.sql().contains("TIES");
            clause
        }
        false => Node::text(Kind::Clause, ""),
    };
    (list, tail, sorted)
}

/// The text with values in the places of its parameters.
pub(super) fn filled(sql: &str, types: &[&str], values: &[String], with_types: bool) -> String {
    let mut text = String::with_capacity(sql.len() + 32);
    let mut rest = sql;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let number = rest.chars().next().and_then(|digit| digit.to_digit(10)).map(|number| number as usize);
        match number.and_then(|number| Some((types.get(number.checked_sub(1)?)?, values.get(number - 1)?))) {
            Some((ty, value)) if with_types => {
                text.push_str(&format!("({value})::{ty}"));
                rest = &rest[1..];
            }
            Some((_, value)) => {
                text.push_str(value);
                rest = &rest[1..];
            }
            None => text.push('$'),
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_places_of_parameters() {
        let values = ["1".to_owned(), "'a'".to_owned()];
        let sql = "SELECT $2, '$.a', $1 + $1";
        assert_eq!(filled(sql, &["integer", "text"], &values, false), "SELECT 'a', '$.a', 1 + 1");
        assert_eq!(filled("$1", &["integer", "text"], &values, true), "(1)::integer");
    }
}
