//! Cases: a generated statement with what its answer is held against.
//!
//! - *Methods*: the same query with and without indexes, hash joins, joins for subqueries, the point path, kept plans.
//! - *Partitions* (ternary-logic partitioning): for any condition p the rows are those where p, where NOT p, and where p IS
//!   NULL; likewise for DISTINCT, aggregates and HAVING.
//! - *Reference* (non-optimizing reference): what WHERE keeps is what the condition says in a select list; what a join
//!   keeps is what its condition keeps of all pairs; IN is EXISTS.
//! - *Parameters*: a statement with parameters, from the plan that is kept, and with the values in its text.
//! - *Changes*: the state after UPDATE, DELETE, INSERT and ON CONFLICT is what a SELECT or MERGE makes of the state before.

use super::changes;
use super::expressions::{Maker, Scope};
use super::outputs;
use super::prepared;
use super::selects;
use super::tables::Table;
use super::tree::{Kind, Node};
use super::types::Type;

use Type as T;

/// How the texts are made of the nodes.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// One query by all methods.
    Methods { sorted: bool },
    /// Two queries with one answer, in which `{0}` stands for the first node.
    Pair { name: &'static str, left: &'static str, right: &'static str },
    /// A change, the query that foretells what the table holds after it, and the table.
    Change { name: &'static str, change: String, foretold: String, table: String },
    /// A change by all methods: what it returns, and what the table holds after it.
    Effect { change: String, table: String },
    /// A query with parameters, run for rows of values ([`super::prepared`]); `by_text` as texts with literals.
    Prepared { types: Vec<&'static str>, values: Vec<Vec<String>>, sorted: bool, by_text: bool },
}

/// A case.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) form: Form,
    pub(super) ways: Ways,
    pub(super) nodes: Vec<Node>,
}

/// Methods that are tried after the first, by their places; the first of them is another.
pub(super) type Ways = &'static [usize];

/// The first once more plans again, or takes the plan that was kept the time before.
const WAYS: [Ways; 16] = [
    &[1],
    &[1],
    &[1],
    &[2],
    &[2],
    &[3],
    &[3],
    &[4],
    &[4],
    &[1, 2],
    &[2, 3],
    &[3, 4],
    &[4, 1],
    &[1, 0, 0],
    &[2, 0, 0],
    &[2, 4, 0, 0],
];

/// A template with nodes in the places of `{0}`, `{1}`, …
pub(super) fn fill(template: &str, nodes: &[Node]) -> String {
    let mut text = String::with_capacity(256);
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        let digit = rest[at + 1..].chars().next().and_then(|c| c.to_digit(10));
        match digit.and_then(|digit| nodes.get(digit as usize)) {
            Some(node) if rest[at + 2..].starts_with('}') => {
                text.push_str(&node.sql());
                rest = &rest[at + 3..];
            }
            _ => {
                text.push('{');
                rest = &rest[at + 1..];
            }
        }
    }
    text.push_str(rest);
    text
}

const WHERE: (&str, &str, &str) = (
    "partitions of WHERE",
    "SELECT {2} FROM {0}",
    "SELECT {2} FROM {0} WHERE {1} UNION ALL SELECT {2} FROM {0} WHERE NOT {1} \
     UNION ALL SELECT {2} FROM {0} WHERE {1} IS NULL",
);
const DISTINCT: (&str, &str, &str) = (
    "partitions of DISTINCT",
    "SELECT DISTINCT {2} FROM {0}",
    "SELECT {2} FROM {0} WHERE {1} UNION SELECT {2} FROM {0} WHERE NOT {1} UNION SELECT {2} FROM {0} WHERE {1} IS NULL",
);
const AGGREGATES: (&str, &str, &str) = (
    "partitions of aggregates",
    "SELECT count(*), count({2}), min({3}), max({3}), sum({4}), bool_or({5}) FROM {0}",
    "SELECT sum(a)::bigint, sum(b)::bigint, min(c), max(d), sum(e)::bigint, bool_or(f) FROM (\
     SELECT count(*) AS a, count({2}) AS b, min({3}) AS c, max({3}) AS d, sum({4}) AS e, bool_or({5}) AS f FROM {0} WHERE {1} \
     UNION ALL SELECT count(*), count({2}), min({3}), max({3}), sum({4}), bool_or({5}) FROM {0} WHERE NOT {1} \
     UNION ALL SELECT count(*), count({2}), min({3}), max({3}), sum({4}), bool_or({5}) FROM {0} WHERE {1} IS NULL) AS parts",
);
const HAVING: (&str, &str, &str) = (
    "partitions of HAVING",
    "SELECT {2}, count(*), max({3}) FROM {0} GROUP BY {2}",
    "SELECT {2}, count(*), max({3}) FROM {0} GROUP BY {2} HAVING {1} \
     UNION ALL SELECT {2}, count(*), max({3}) FROM {0} GROUP BY {2} HAVING NOT {1} \
     UNION ALL SELECT {2}, count(*), max({3}) FROM {0} GROUP BY {2} HAVING {1} IS NULL",
);
const COUNT: (&str, &str, &str) = (
    "reference of WHERE",
    "SELECT count(*) FROM {0} WHERE {1}",
    "SELECT coalesce(sum(CASE WHEN {1} THEN 1 ELSE 0 END), 0) FROM {0}",
);
const JOIN: (&str, &str, &str) = (
    "reference of JOIN",
    "SELECT {2} FROM {0} JOIN {3} ON {1}",
    "SELECT {2} FROM {0} CROSS JOIN {3} WHERE {1}",
);
const LEFT_JOIN: (&str, &str, &str) = (
    "reference of LEFT JOIN",
    "SELECT count(*), count({2}) FROM {0} LEFT JOIN {3} ON {1}",
    "SELECT count(*), count(v) FROM (SELECT {2} AS v FROM {0} CROSS JOIN {3} WHERE {1} \
     UNION ALL SELECT NULL FROM {0} WHERE NOT EXISTS (SELECT 1 FROM {3} WHERE {1})) AS parts",
);
const IN: (&str, &str, &str) = (
    "IN and EXISTS",
    "SELECT {2} FROM {0} WHERE {4} IN (SELECT {5} FROM {3} WHERE {1})",
    "SELECT {2} FROM {0} WHERE EXISTS (SELECT 1 FROM {3} WHERE {1} AND {5} = {4})",
);
const FULL_JOIN: (&str, &str, &str) = (
    "reference of FULL JOIN",
    "SELECT {2}, {4} FROM {0} FULL JOIN {3} ON {1}",
    "SELECT {2}, {4} FROM {0} LEFT JOIN {3} ON {1} \
     UNION ALL SELECT NULL, {4} FROM {3} WHERE NOT EXISTS (SELECT 1 FROM {0} WHERE {1})",
);

/// A case.
pub(super) fn case(maker: &mut Maker<'_>) -> Case {
    let ways = *maker.random.of(&WAYS);
    let (form, nodes) = content(maker);
    Case { form, ways, nodes }
}

/// A case but for its methods.
type Content = (Form, Vec<Node>);

fn content(maker: &mut Maker<'_>) -> Content {
    match maker.random.below(18) {
        0..=3 => {
            let (query, sorted) = selects::statement(maker);
            (Form::Methods { sorted }, vec![query])
        }
        4 | 5 => partitions(maker),
        6 | 7 => reference(maker),
        8 | 9 => change(maker),
        10 => changes::effect(maker),
        11 | 12 => prepared::prepared(maker),
        13..=15 => {
            let (query, sorted) = outputs::statement(maker);
            (Form::Methods { sorted }, vec![query])
        }
        _ => short(maker),
    }
}

fn pair(texts: (&'static str, &'static str, &'static str), nodes: Vec<Node>) -> Content {
    (Form::Pair { name: texts.0, left: texts.1, right: texts.2 }, nodes)
}

/// What has short ways: rows of one table by its key, or in the order of an index.
fn short(maker: &mut Maker<'_>) -> Content {
    let table = maker.random.of(maker.tables).clone();
    let scope = scope_of(&table, "a");
    let (list, p) = (columns(maker, &scope), rows_of(maker, &table, &scope));
    let mut template = format!("SELECT {{}} FROM {} AS a WHERE {{}}", table.name);
    let sorted = maker.random.one_in(2);
    if sorted {
        let all: Vec<&str> = scope.iter().map(|(name, _)| name.as_str()).collect();
        let first = maker.random.of(&all);
        let order = maker.random.of(&["", " DESC", " NULLS FIRST"]);
        template.push_str(&format!(
            " ORDER BY {first}{order}, {} LIMIT {}",
            all.join(", "),
            maker.random.below(5)
        ));
    }
    (Form::Methods { sorted }, vec![Node::new(Kind::Fixed, &template, vec![list, p])])
}

/// Columns by their names alone, with or without others.
fn columns(maker: &mut Maker<'_>, scope: &Scope) -> Node {
    let some = 1 + maker.random.below(3);
    let list = (0..some).map(|_| {
        let (name, ty) = maker.random.of(scope).clone();
        Node::text(Kind::Value(ty), name)
    });
    Node::join(Kind::Fixed, list.collect(), ", ")
}

fn partitions(maker: &mut Maker<'_>) -> Content {
    let (from, scope) = selects::from(maker, &Vec::new(), 1);
    match maker.random.below(4) {
        0 => {
            let (p, list) = (maker.predicate(&scope, 3), columns(maker, &scope));
            pair(WHERE, vec![from, p, list])
        }
        1 => {
            let (p, list) = (maker.predicate(&scope, 3), columns(maker, &scope));
            pair(DISTINCT, vec![from, p, list])
        }
        2 => {
            let p = maker.predicate(&scope, 3);
            let some = maker.some_type(&scope);
            let extreme = if some.has_extremes() { some } else { T::Text };
            let nodes = [some, extreme, T::Int, T::Bool].map(|ty| maker.expr(ty, &scope, 1));
            pair(AGGREGATES, [from, p].into_iter().chain(nodes).collect())
        }
        _ => {
            let (key, ty) = maker.random.of(&scope).clone();
            let value = maker.expr(T::Int, &scope, 1);
            let groups = vec![
                (key.clone(), ty),
                ("count(*)".to_owned(), T::Big),
                (format!("max({})", value.sql()), T::Int),
                (format!("bool_and({key} IS NULL)"), T::Bool),
            ];
            // Within a query an aggregate would be that query's, or be one of the query around.
            let p = match maker.random.one_in(2) {
                true => maker.predicate(&groups[..1].to_vec(), 2),
                false => outputs::flat(maker, |maker| maker.predicate(&groups, 2)),
            };
            pair(
                HAVING,
                vec![from, p, Node::text(Kind::Value(ty), key), Node::text(Kind::Fixed, value.sql())],
            )
        }
    }
}

fn reference(maker: &mut Maker<'_>) -> Content {
    if maker.random.one_in(2) {
        let (from, scope) = selects::from(maker, &Vec::new(), 1);
        let p = maker.predicate(&scope, 3);
        return pair(COUNT, vec![from, p]);
    }
    let side = |maker: &mut Maker<'_>| {
        let (table, alias) = (maker.random.of(maker.tables).clone(), maker.name("a"));
        let columns = table.columns.iter().enumerate();
        let scope: Scope = columns.map(|(at, ty)| (format!("{alias}.c{at}"), *ty)).collect();
        (Node::text(Kind::From, format!("{} AS {alias}", table.name)), scope)
    };
    let ((left, mut scope), (right, other)) = (side(maker), side(maker));
    let column = |maker: &mut Maker<'_>, scope: &Scope| {
        let (name, ty) = maker.random.of(scope).clone();
        Node::text(Kind::Value(ty), name)
    };
    let (of_left, of_right) = (column(maker, &scope), column(maker, &other));
    let ty = maker.some_type(&scope);
    let (value, member) = (maker.expr(ty, &scope, 1), maker.expr(ty, &other, 1));
    let own = scope.clone();
    scope.extend(other.iter().cloned());
    let p = maker.predicate(&scope, 2);
    match maker.random.below(4) {
        0 => pair(JOIN, vec![left, p, columns(maker, &scope), right]),
        1 => pair(LEFT_JOIN, vec![left, p, of_right, right]),
        2 => {
            let template = "({} = {} AND {})";
            let more = maker.predicate(&own, 1);
            let p = Node::value(T::Bool, template, vec![value, member, more]);
            pair(FULL_JOIN, vec![left, p, of_left, right, of_right])
        }
        _ => pair(IN, vec![left, p, of_left, right, value, member]),
    }
}

/// The columns of a table under an alias.
pub(super) fn scope_of(table: &Table, alias: &str) -> Scope {
    table.columns.iter().enumerate().map(|(at, ty)| (format!("{alias}.c{at}"), *ty)).collect()
}

/// All columns, that one as the text says.
fn list_with(table: &Table, at: usize, text: &str) -> String {
    let one = |(own, ty): (usize, &Type)| match own == at {
        true => format!("({text})::{} AS c{own}", ty.sql()),
        false => format!("a.c{own}"),
    };
    table.columns.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

/// A column to be changed: mostly not of the key, which would not stay unique.
pub(super) fn place(maker: &mut Maker<'_>, table: &Table) -> usize {
    let columns = table.columns.len();
    match maker.random.one_in(8) || table.key >= columns {
        true => maker.random.below(columns),
        false => table.key + maker.random.below(columns - table.key),
    }
}

/// Which rows to change: often one by its key.
pub(super) fn rows_of(maker: &mut Maker<'_>, table: &Table, scope: &Scope) -> Node {
    if table.key == 0 || maker.random.one_in(2) {
        return maker.predicate(scope, 2);
    }
    let equal = |at: usize| {
        let ty = table.columns[at];
        let value = *maker.random.of(ty.literals());
        Node::value(T::Bool, &format!("a.c{at} = {{}}"), vec![Node::text(Kind::Value(ty), value)])
    };
    Node::join(Kind::Fixed, (0..table.key).map(equal).collect(), " AND ")
}

fn change(maker: &mut Maker<'_>) -> Content {
    let table = maker.random.of(maker.tables).clone();
    let (name, scope) = (table.name.clone(), scope_of(&table, "a"));
    let (at, p) = (place(maker, &table), rows_of(maker, &table, &scope));
    let ty = table.columns[at];
    let (kind, change, foretold, nodes) = match maker.random.below(6) {
        0 | 1 => (
            "UPDATE",
            format!("UPDATE {name} AS a SET c{at} = {{1}} WHERE {{0}}"),
            format!(
                "SELECT {} FROM {name} AS a",
                list_with(&table, at, &format!("CASE WHEN {{0}} THEN {{1}} ELSE a.c{at} END"))
            ),
            vec![p, maker.expr(ty, &scope, 2)],
        ),
        2 => (
            "DELETE",
            format!("DELETE FROM {name} AS a WHERE {{0}}"),
            format!("SELECT * FROM {name} AS a WHERE ({{0}}) IS NOT TRUE"),
            vec![p],
        ),
        3 => {
            let other = maker.random.of(maker.tables).clone();
            let both: Scope = scope.iter().cloned().chain(scope_of(&other, "b")).collect();
            let p = maker.predicate(&both, 2);
            (
                "DELETE USING",
                format!("DELETE FROM {name} AS a USING {} AS b WHERE {{0}}", other.name),
                format!(
                    "SELECT * FROM {name} AS a WHERE NOT EXISTS (SELECT 1 FROM {} AS b WHERE {{0}})",
                    other.name
                ),
                vec![p],
            )
        }
        4 => {
            let query = selects::select(maker, &table.columns, &Vec::new(), 1);
            (
                "INSERT SELECT",
                format!("INSERT INTO {name} {{0}}"),
                format!("SELECT * FROM {name} UNION ALL SELECT * FROM ({{0}}) AS q"),
                vec![query],
            )
        }
        _ if table.key > 0 => upsert(maker, &table, at, &scope),
        _ => {
            let values = table.columns.iter().map(|ty| maker.constant(*ty)).collect();
            let values = Node::join(Kind::Fixed, values, ", ");
            (
                "INSERT",
                format!("INSERT INTO {name} VALUES ({{0}})"),
                format!("SELECT * FROM {name} UNION ALL SELECT {{0}}"),
                vec![values],
            )
        }
    };
    (Form::Change { name: kind, change, foretold, table: name }, nodes)
}

/// ON CONFLICT DO UPDATE, foretold by joins with the row that is to come.
fn upsert(
    maker: &mut Maker<'_>,
    table: &Table,
    at: usize,
    scope: &Scope,
) -> (&'static str, String, String, Vec<Node>) {
    let name = &table.name;
    let at = at.max(table.key).min(table.columns.len() - 1);
    let both: Scope = scope.iter().cloned().chain(scope_of(table, "excluded")).collect();
    let values = table.columns.iter().map(|ty| {
        Node::text(Kind::Value(*ty), format!("({})::{}", maker.random.of(ty.literals()), ty.sql()))
    });
    let values = Node::join(Kind::Fixed, values.collect(), ", ");
    let p = maker.predicate(&both, 1);
    let e = maker.expr(table.columns[at], &both, 1);
    let key: Vec<String> = (0..table.key).map(|at| format!("c{at}")).collect();
    let matched: Vec<String> = key.iter().map(|key| format!("a.{key} = excluded.{key}")).collect();
    let (key, matched) = (key.join(", "), matched.join(" AND "));
    let names: Vec<String> = (0..table.columns.len()).map(|at| format!("c{at}")).collect();
    let excluded = format!("(VALUES ({{0}})) AS excluded({})", names.join(", "));
    let changed =
        list_with(table, at, &format!("CASE WHEN {matched} AND ({{1}}) THEN {{2}} ELSE a.c{at} END"));
    let foretold = format!(
        "SELECT {changed} FROM {name} AS a CROSS JOIN {excluded} \
         UNION ALL SELECT excluded.* FROM {excluded} WHERE NOT EXISTS (SELECT 1 FROM {name} AS a WHERE {matched})"
    );
    let change = format!(
        "INSERT INTO {name} AS a VALUES ({{0}}) ON CONFLICT ({key}) DO UPDATE SET c{at} = {{2}} WHERE {{1}}"
    );
    ("INSERT ON CONFLICT", change, foretold, vec![values, p, e])
}
