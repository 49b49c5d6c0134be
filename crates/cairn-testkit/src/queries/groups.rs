//! Generated groups: keys by place, by name and by expression, aggregates within expressions, windows over aggregates, and
//! ORDER BY of all of these.
//!
//! I1: what a query gives is fixed by its rows: ORDER BY ends with all columns of the list, and a window's order with all
//! keys.

use super::expressions::{Maker, Scope};
use super::outputs::{self, flat};
use super::selects;
use super::tree::{Kind, Node};
use super::types::Type;

use Type as T;

/// A key of GROUP BY.
struct Key {
    node: Node,
    ty: Type,
    /// What it is called in the list.
    name: String,
    /// What GROUP BY says of it.
    said: String,
}

/// A query of groups; its rows come in order.
pub(super) fn statement(maker: &mut Maker<'_>) -> (Node, bool) {
    let source = outputs::source(maker, 1);
    let scope = source.qualified();
    let keys = keys(maker, &scope);
    let filter = match maker.random.one_in(3) {
        true => flat(maker, |maker| selects::filter(maker, &scope, 1)),
        false => Node::text(Kind::Clause, ""),
    };
    let over_groups = over_groups(maker, &keys, &scope);
    let mut items: Vec<Node> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for key in &keys {
        items.push(Node::new(Kind::Fixed, &format!("{{}} AS {}", key.name), vec![key.node.clone()]));
        names.push(key.name.clone());
    }
    for _ in 0..1 + maker.random.below(3) {
        let value = match maker.random.below(4) {
            0 => windowed(maker, &keys, &over_groups),
            _ => {
                let ty = maker.some_type(&over_groups);
                flat(maker, |maker| maker.expr(ty, &over_groups, 2))
            }
        };
        let name = outputs::output_name(maker, &names);
        items.push(Node::new(Kind::Fixed, &format!("{{}} AS {name}"), vec![value]));
        names.push(name);
    }
    let width = items.len();
    let having = match maker.random.one_in(3) {
        true => {
            let p = flat(maker, |maker| maker.predicate(&over_groups, 2));
            Node::new(Kind::Clause, " HAVING {}", vec![p])
        }
        false => Node::text(Kind::Clause, ""),
    };
    let mut order = Vec::new();
    for _ in 0..maker.random.below(3) {
        let key = match maker.random.below(3) {
            0 => Node::text(Kind::Fixed, maker.random.of(&names).clone()),
            _ => {
                let ty = maker.some_type(&over_groups);
                let value = flat(maker, |maker| maker.expr(ty, &over_groups, 1));
                Node::new(Kind::Fixed, "coalesce({}, NULL)", vec![value])
            }
        };
        order.push(Node::new(Kind::Clause, &format!("{{}}{}, ", outputs::direction(maker, "")), vec![key]));
    }
    let places: Vec<String> = (1..=width).map(|at| at.to_string()).collect();
    let limit = match maker.random.one_in(4) {
        true => format!(" LIMIT {}", maker.random.below(6)),
        false => String::new(),
    };
    let template = format!("SELECT {{}} FROM {{}}{{}}{{}}{{}} ORDER BY {{}}{}{limit}", places.join(", "));
    let nodes = vec![
        Node::join(Kind::Fixed, items, ", "),
        source.node,
        filter,
        Node::text(Kind::Fixed, group_by(maker, &keys)),
        having,
        Node::join(Kind::Fixed, order, ""),
    ];
    (Node::new(Kind::Fixed, &template, nodes), true)
}

fn keys(maker: &mut Maker<'_>, scope: &Scope) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let mut names = Vec::new();
    for at in 0..maker.random.below(4) {
        let ty = maker.some_type(scope);
        let node = flat(maker, |maker| maker.expr(ty, scope, 1));
        let text = node.sql();
        // An alias that is a column's name means the column.
        let name = match maker.random.one_in(10) {
            true => outputs::output_name(maker, &names),
            false => maker.name("g"),
        };
        names.push(name.clone());
        let constant = !scope.iter().any(|(name, _)| text.contains(name.as_str()));
        let said = match maker.random.below(3) {
            0 => (at + 1).to_string(),
            1 if !constant => text,
            _ => name.clone(),
        };
        keys.push(Key { node: Node::text(Kind::Fixed, node.sql()), ty, name, said });
    }
    keys
}

fn group_by(maker: &mut Maker<'_>, keys: &[Key]) -> String {
    let said: Vec<&str> = keys.iter().map(|key| key.said.as_str()).collect();
    match (said.is_empty(), maker.random.below(10)) {
        (true, 0) => " GROUP BY ()".to_owned(),
        (true, _) => String::new(),
        (false, 0) => format!(" GROUP BY ROLLUP ({})", said.join(", ")),
        (false, 1) => format!(" GROUP BY DISTINCT {0}, {0}", said.join(", ")),
        (false, 2) => format!(" GROUP BY ({})", said.join("), (")),
        (false, _) => format!(" GROUP BY {}", said.join(", ")),
    }
}

/// What expressions over groups may mention: keys that are spelled out, and aggregates.
fn over_groups(maker: &mut Maker<'_>, keys: &[Key], scope: &Scope) -> Scope {
    let mut over: Scope = Vec::new();
    for key in keys {
        let text = key.node.sql();
        if scope.iter().any(|(name, _)| text.contains(name.as_str())) {
            over.push((text, key.ty));
        }
    }
    for _ in 0..2 + maker.random.below(2) {
        let ty = match maker.random.one_in(3) {
            true => *maker.random.of(&[T::Big, T::Int, T::Num, T::Text, T::Bool]),
            false => maker.some_type(scope),
        };
        let aggregate = flat(maker, |maker| selects::aggregate(maker, ty, scope, 1));
        over.push((aggregate.sql(), ty));
    }
    over
}

/// A window over groups.
fn windowed(maker: &mut Maker<'_>, keys: &[Key], over: &Scope) -> Node {
    let by = maker.random.of(over).0.clone();
    let key = maker.random.of(over).0.clone();
    let (count, _) = over[over.len() - 1].clone();
    let text = match maker.random.below(5) {
        0 => format!("rank() OVER (ORDER BY {key} DESC)"),
        1 => format!("count({count}) OVER (PARTITION BY {by})"),
        2 => format!("dense_rank() OVER (PARTITION BY {by} ORDER BY {key})"),
        3 if !keys.is_empty() => format!("sum(count(*)) OVER (ORDER BY {key})::bigint"),
        _ => "sum(count(*)) OVER ()::bigint".to_owned(),
    };
    Node::text(Kind::Value(T::Big), text)
}
