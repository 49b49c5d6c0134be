//! Generated queries in which names matter: ORDER BY and GROUP BY by output names, places and expressions, names of
//! results that are those of columns too, stars beside other columns, joins by common columns, names given in FROM.
//!
//! A bare name in ORDER BY and DISTINCT ON is the output column first, in GROUP BY the input column; within an
//! expression or a window it is the input column alone. Which names are ambiguous is for PostgreSQL to say.
//!
//! I1: what a query gives is fixed by its rows: ORDER BY ends with all columns of the list.

use super::expressions::{Maker, Scope};
use super::groups;
use super::selects;
use super::tree::{Kind, Node};
use super::types::Type;

use Type as T;

/// A relation in FROM, with its columns' bare names.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) alias: String,
    pub(super) columns: Scope,
}

/// FROM, and what its names are.
pub(super) struct Source {
    pub(super) node: Node,
    pub(super) relations: Vec<Relation>,
    /// Columns by their names alone: those that are not ambiguous.
    pub(super) bare: Scope,
    /// How many columns a star has.
    pub(super) width: usize,
}

impl Source {
    /// All columns, with their relations' names.
    pub(super) fn qualified(&self) -> Scope {
        let all = self.relations.iter().flat_map(|relation| {
            relation.columns.iter().map(|(name, ty)| (format!("{}.{name}", relation.alias), *ty))
        });
        all.collect()
    }

    /// Columns as an expression may name them.
    pub(super) fn either(&self, maker: &mut Maker<'_>) -> Scope {
        match self.bare.is_empty() || maker.random.one_in(2) {
            true => self.qualified(),
            false => self.bare.clone(),
        }
    }
}

/// The list of a query: its nodes, how many columns it has, and the names that its columns were given.
struct List {
    items: Vec<Node>,
    width: usize,
    names: Vec<String>,
}

/// Runs with names that no subquery takes for its own.
pub(super) fn flat<R>(maker: &mut Maker<'_>, make: impl FnOnce(&mut Maker<'_>) -> R) -> R {
    let before = std::mem::replace(&mut maker.subqueries, false);
    let made = make(maker);
    maker.subqueries = before;
    made
}

/// A whole statement, and whether its rows come in order.
pub(super) fn statement(maker: &mut Maker<'_>) -> (Node, bool) {
    match maker.random.below(6) {
        0 | 1 => groups::statement(maker),
        2 => around(maker),
        _ => {
            let (node, _, sorted) = query(maker);
            (node, sorted)
        }
    }
}

/// A query of a query with stars.
fn around(maker: &mut Maker<'_>) -> (Node, bool) {
    let (inner, width, _) = query(maker);
    let (template, more) = match maker.random.below(5) {
        0 => ("SELECT q.*, q.* FROM ({}) AS q{}", width),
        1 => ("WITH q AS ({}) SELECT *, 1 AS one FROM q{}", 1),
        2 => ("SELECT 'x' AS y, q.* FROM ({}) AS q{}", 1),
        3 => ("SELECT * FROM ({}) AS q(p0){}", 0),
        _ => ("SELECT * FROM ({}) AS q{}", 0),
    };
    let order = order_by_places(maker, width + more);
    (Node::new(Kind::Fixed, template, vec![inner, order]), true)
}

/// ` ORDER BY 1, 2, …`, to `width`.
fn order_by_places(maker: &mut Maker<'_>, width: usize) -> Node {
    let places: Vec<String> = (1..=width).map(|at| direction(maker, &at.to_string())).collect();
    Node::text(Kind::Fixed, format!(" ORDER BY {}", places.join(", ")))
}

pub(super) fn direction(maker: &mut Maker<'_>, key: &str) -> String {
    format!("{key}{}", maker.random.of(&["", "", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"]))
}

/// A query, how many columns it has, and whether its rows come in order.
fn query(maker: &mut Maker<'_>) -> (Node, usize, bool) {
    let source = source(maker, 1);
    let list = list(maker, &source);
    let scope = source.either(maker);
    let filter = match maker.random.one_in(2) {
        true => flat(maker, |maker| selects::filter(maker, &scope, 2)),
        false => Node::text(Kind::Clause, ""),
    };
    let (distinct, first) = match maker.random.below(10) {
        0 => (" DISTINCT".to_owned(), None),
        1 => {
            let key = match list.names.is_empty() {
                true => "1".to_owned(),
                false => maker.random.of(&list.names).clone(),
            };
            (format!(" DISTINCT ON ({key})"), Some(key))
        }
        _ => (String::new(), None),
    };
    let mut keys = Vec::new();
    match &first {
        Some(key) => keys.push(Node::text(Kind::Fixed, format!("{key}, "))),
        None => {
            for _ in 0..1 + maker.random.below(2) {
                let key = order_key(maker, &source, &list, distinct.is_empty());
                keys.push(Node::new(Kind::Clause, &format!("{{}}{}, ", direction(maker, "")), vec![key]));
            }
        }
    }
    let places: Vec<String> = (1..=list.width).map(|at| at.to_string()).collect();
    let limit = match maker.random.one_in(3) {
        true => format!(" LIMIT {} OFFSET {}", maker.random.below(7), maker.random.below(3)),
        false => String::new(),
    };
    let tail = format!("{}{}", places.join(", "), limit);
    let keys = Node::join(Kind::Fixed, keys, "");
    let items = Node::join(Kind::Fixed, list.items, ", ");
    let template = format!("SELECT{distinct} {{}} FROM {{}}{{}} ORDER BY {{}}{tail}");
    let node = Node::new(Kind::Fixed, &template, vec![items, source.node, filter, keys]);
    (node, list.width, true)
}

/// What ORDER BY may begin with.
fn order_key(maker: &mut Maker<'_>, source: &Source, list: &List, of_input: bool) -> Node {
    let qualified = source.qualified();
    let named = match list.names.is_empty() {
        true => "1".to_owned(),
        false => maker.random.of(&list.names).clone(),
    };
    if !of_input {
        return Node::text(Kind::Fixed, named);
    }
    match maker.random.below(8) {
        0 | 1 => Node::text(Kind::Fixed, named),
        2 => Node::text(Kind::Fixed, format!("({named})")),
        3 | 4 => Node::text(Kind::Fixed, maker.random.of(&qualified).0.clone()),
        // What has no bare names is joined by columns of one name.
        5 if !source.bare.is_empty() => Node::text(Kind::Fixed, maker.random.of(&source.bare).0.clone()),
        _ => {
            let scope = source.either(maker);
            let ty = maker.some_type(&scope);
            let key = flat(maker, |maker| maker.expr(ty, &scope, 2));
            // A number alone would be a place.
            Node::new(Kind::Fixed, "coalesce({}, NULL)", vec![key])
        }
    }
}

/// A name for an output column: often one that a column has too.
pub(super) fn output_name(maker: &mut Maker<'_>, taken: &[String]) -> String {
    let all = ["c0", "c1", "c2", "c3", "y0", "y1", "y2", "x0", "value", "\"Y z\"", "c0", "c1"];
    for _ in 0..4 {
        let name = *maker.random.of(&all);
        // Seldom one name twice, which is an error where it is used.
        if !taken.iter().any(|own| own == name) || maker.random.one_in(12) {
            return name.to_owned();
        }
    }
    maker.name("n")
}

fn list(maker: &mut Maker<'_>, source: &Source) -> List {
    let mut list = List { items: Vec::new(), width: 0, names: Vec::new() };
    let mut stars = 0;
    for _ in 0..1 + maker.random.below(3) {
        match maker.random.below(8) {
            0 if stars == 0 => {
                stars += 1;
                list.items.push(Node::text(Kind::Fixed, "*"));
                list.width += source.width;
                let names = source.bare.iter().map(|(name, _)| name.clone());
                list.names.extend(names);
            }
            1 if stars < 2 => {
                stars += 1;
                let relation = maker.random.of(&source.relations).clone();
                list.items.push(Node::text(Kind::Fixed, format!("{}.*", relation.alias)));
                list.width += relation.columns.len();
                list.names.extend(relation.columns.into_iter().map(|(name, _)| name));
            }
            2 => {
                // A column that keeps its name.
                let relation = maker.random.of(&source.relations).clone();
                let name = maker.random.of(&relation.columns).0.clone();
                list.items.push(Node::text(Kind::Fixed, format!("{}.{name}", relation.alias)));
                list.width += 1;
                list.names.push(name);
            }
            choice => {
                let item = match choice {
                    3 => windowed(maker, source),
                    4 => whole_row(maker, source),
                    _ => {
                        let scope = source.either(maker);
                        let ty = maker.some_type(&scope);
                        flat(maker, |maker| maker.expr(ty, &scope, 2))
                    }
                };
                let name = output_name(maker, &list.names);
                let word = *maker.random.of(&[" AS", " AS", ""]);
                let word = if name == "value" { " AS" } else { word };
                list.items.push(Node::new(Kind::Fixed, &format!("{{}}{word} {name}"), vec![item]));
                list.width += 1;
                list.names.push(name);
            }
        }
    }
    list
}

/// A window whose names are those of the input.
fn windowed(maker: &mut Maker<'_>, source: &Source) -> Node {
    let scope = source.either(maker);
    let (by, key) = (maker.random.of(&scope).0.clone(), maker.random.of(&scope).0.clone());
    let template = match maker.random.below(4) {
        0 => format!("rank() OVER (ORDER BY {key})"),
        1 => format!("count(*) OVER (PARTITION BY {by})"),
        2 => format!("dense_rank() OVER (PARTITION BY {by} ORDER BY {key} DESC)"),
        _ => format!("count({key}) OVER (PARTITION BY {by} ORDER BY {key} NULLS FIRST)"),
    };
    Node::text(Kind::Value(T::Big), template)
}

/// A relation's name as a value.
fn whole_row(maker: &mut Maker<'_>, source: &Source) -> Node {
    let relation = maker.random.of(&source.relations).clone();
    let alias = relation.alias;
    let column = maker.random.of(&relation.columns).0.clone();
    let text = match maker.random.below(4) {
        0 => format!("({alias} IS NULL)"),
        1 => format!("({alias}.* IS NOT NULL)"),
        2 => format!("({alias}).{column}"),
        _ => format!("to_jsonb({alias}) -> '{column}'"),
    };
    Node::text(Kind::Fixed, text)
}

/// One or two relations.
pub(super) fn source(maker: &mut Maker<'_>, depth: usize) -> Source {
    let (left, first) = relation(maker, depth);
    let width = first.columns.len();
    if maker.random.one_in(2) {
        let bare = first.columns.clone();
        return Source { node: left, relations: vec![first], bare, width };
    }
    let (right, second) = relation(maker, depth);
    let both = width + second.columns.len();
    let relations = vec![first.clone(), second.clone()];
    let common: Vec<(String, Type)> =
        first.columns.iter().filter(|own| second.columns.contains(own)).cloned().collect();
    let kind = *maker.random.of(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
    if !common.is_empty() && maker.random.one_in(3) {
        let (name, ty) = maker.random.of(&common).clone();
        let mut bare = vec![(name.clone(), ty)];
        bare.extend(only_once(&first, &second));
        let node = Node::new(Kind::From, &format!("{{}} {kind} {{}} USING ({name})"), vec![left, right]);
        return Source { node, relations, bare, width: both - 1 };
    }
    let same_names: Vec<&(String, Type)> =
        first.columns.iter().filter(|(name, _)| second.columns.iter().any(|(own, _)| own == name)).collect();
    if same_names.len() == common.len() && maker.random.one_in(4) {
        let mut bare = common.clone();
        bare.extend(only_once(&first, &second));
        let node = Node::new(Kind::From, &format!("{{}} NATURAL {kind} {{}}"), vec![left, right]);
        return Source { node, relations, bare, width: both - common.len() };
    }
    let bare = only_once(&first, &second);
    let qualified = |relation: &Relation| -> Scope {
        relation.columns.iter().map(|(name, ty)| (format!("{}.{name}", relation.alias), *ty)).collect()
    };
    let node = match maker.random.one_in(6) {
        true => Node::new(Kind::From, "{}, {}", vec![left, right]),
        false => {
            let on = selects::equality(maker, &qualified(&first), &qualified(&second));
            Node::new(Kind::From, &format!("{{}} {kind} {{}} ON {{}}"), vec![left, right, on])
        }
    };
    Source { node, relations, bare, width: both }
}

fn only_once(first: &Relation, second: &Relation) -> Scope {
    let not_in = |other: &Relation, name: &str| other.columns.iter().all(|(own, _)| own != name);
    let of_first = first.columns.iter().filter(|(name, _)| not_in(second, name));
    let of_second = second.columns.iter().filter(|(name, _)| not_in(first, name));
    of_first.chain(of_second).cloned().collect()
}

/// A table, perhaps with other names, or a query with stars.
fn relation(maker: &mut Maker<'_>, depth: usize) -> (Node, Relation) {
    let alias = maker.name("a");
    let table = maker.random.of(maker.tables).clone();
    let mut columns: Scope =
        table.columns.iter().enumerate().map(|(at, ty)| (format!("c{at}"), *ty)).collect();
    if depth == 0 || maker.random.one_in(2) {
        let node = Node::text(Kind::From, format!("{} AS {alias}", table.name));
        return (node, Relation { alias, columns });
    }
    let own = maker.name("b");
    let scope: Scope = match maker.random.one_in(2) {
        true => columns.clone(),
        false => columns.iter().map(|(name, ty)| (format!("{own}.{name}"), *ty)).collect(),
    };
    let value = |maker: &mut Maker<'_>, scope: &Scope| {
        let ty = maker.some_type(scope);
        let node = flat(maker, |maker| maker.expr(ty, scope, 1));
        (ty, Node::new(Kind::Fixed, &format!("({{}})::{}", ty.sql()), vec![node]))
    };
    let name = &table.name;
    let node = match maker.random.below(6) {
        0 => {
            // Names for the first of them.
            let some = 1 + maker.random.below(columns.len());
            let names: Vec<String> = (0..some).map(|at| format!("p{at}")).collect();
            columns.iter_mut().zip(&names).for_each(|((own, _), name)| own.clone_from(name));
            Node::text(Kind::From, format!("{name} AS {alias}({})", names.join(", ")))
        }
        1 => {
            let (ty, value) = value(maker, &scope);
            columns.push(("y0".to_owned(), ty));
            let template = format!("(SELECT *, {{}} AS y0 FROM {name} AS {own}) AS {alias}");
            Node::new(Kind::From, &template, vec![value])
        }
        2 => {
            let (ty, value) = value(maker, &scope);
            columns.insert(0, ("y0".to_owned(), ty));
            let filter = flat(maker, |maker| selects::filter(maker, &scope, 1));
            let template = format!("(SELECT {{}} AS y0, {own}.* FROM {name} AS {own}{{}}) AS {alias}");
            Node::new(Kind::From, &template, vec![value, filter])
        }
        3 => {
            let (ty, value) = value(maker, &scope);
            columns.push(("y0".to_owned(), ty));
            columns.push(("y1".to_owned(), T::Big));
            let key = maker.random.of(&scope).0.clone();
            let template = format!(
                "(SELECT {own}.*, {{}} AS y0, dense_rank() OVER (ORDER BY {key}) AS y1 FROM {name} AS {own}) AS {alias}"
            );
            Node::new(Kind::From, &template, vec![value])
        }
        4 => {
            let order: Vec<String> = (1..=columns.len()).map(|at| at.to_string()).collect();
            let count = maker.random.below(8);
            let key = maker.random.of(&scope).0.clone();
            let text = format!(
                "(SELECT * FROM {name} AS {own} ORDER BY {key} DESC, {} LIMIT {count}) AS {alias}",
                order.join(", ")
            );
            Node::text(Kind::From, text)
        }
        _ => {
            // The names change places.
            let at = maker.random.below(columns.len());
            let (first, second) = (columns[0].clone(), columns[at].clone());
            columns = vec![(first.0.clone(), second.1), ("c9".to_owned(), first.1)];
            let text = format!(
                "(SELECT {own}.{} AS {}, {own}.{} AS c9 FROM {name} AS {own}) AS {alias}",
                second.0, first.0, first.0
            );
            Node::text(Kind::From, text)
        }
    };
    (node, Relation { alias, columns })
}
