//! Generated queries: FROM with joins of every kind, WHERE, groups, windows, set operations, CTEs, ORDER BY and LIMIT.
//!
//! I1: what a query gives is fixed by its rows: LIMIT comes with ORDER BY all columns, frames of rows with an order of
//! all columns, aggregates that depend on the order of their input with one of their own.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::expressions::{Maker, Scope};
use super::sets;
use super::tree::{Kind, Node};
use super::types::Type;

use Type as T;

fn rows(types: &[Type]) -> Kind {
    let mut hasher = DefaultHasher::new();
    types.hash(&mut hasher);
    Kind::Rows(hasher.finish())
}

/// Types for the columns of a query.
fn some_types(maker: &mut Maker<'_>, most: usize) -> Vec<Type> {
    (0..1 + maker.random.below(most)).map(|_| *maker.random.of(&Type::ALL)).collect()
}

/// The columns of a relation in scope.
pub(super) fn scope_of(alias: &str, prefix: &str, types: &[Type]) -> Scope {
    types.iter().enumerate().map(|(at, ty)| (format!("{alias}.{prefix}{at}"), *ty)).collect()
}

/// An optional clause.
fn maybe(maker: &mut Maker<'_>, one_in: usize, make: impl FnOnce(&mut Maker<'_>) -> Node) -> Node {
    if maker.random.one_in(one_in) { make(maker) } else { Node::text(Kind::Clause, "") }
}

/// `WHERE …`.
pub(super) fn filter(maker: &mut Maker<'_>, scope: &Scope, depth: usize) -> Node {
    let predicate = maker.predicate(scope, depth);
    Node::new(Kind::Clause, " WHERE {}", vec![predicate])
}

/// One item of FROM.
fn source(maker: &mut Maker<'_>, outer: &Scope, lateral: &Scope, depth: usize) -> (Node, Scope) {
    let choice = maker.random.below(13);
    let alias = maker.name("a");
    if depth > 0 && choice == 0 {
        let types = some_types(maker, 3);
        let query = select(maker, &types, outer, depth - 1);
        return (
            Node::new(Kind::From, &format!("({{}}) AS {alias}"), vec![query]),
            scope_of(&alias, "x", &types),
        );
    }
    if depth > 0 && choice == 1 && !lateral.is_empty() {
        let types = some_types(maker, 2);
        let around: Scope = lateral.iter().chain(outer).cloned().collect();
        let query = select(maker, &types, &around, depth - 1);
        let node = Node::new(Kind::From, &format!("LATERAL ({{}}) AS {alias}"), vec![query]);
        return (node, scope_of(&alias, "x", &types));
    }
    if choice == 2 && !maker.ctes.is_empty() {
        let (name, types) = maker.random.of(&maker.ctes).clone();
        return (Node::text(Kind::From, format!("{name} AS {alias}")), scope_of(&alias, "x", &types));
    }
    if choice == 3 {
        let types = some_types(maker, 3);
        let rows: Vec<String> = (0..1 + maker.random.below(3))
            .map(|_| {
                let cells: Vec<String> = types.iter().map(|ty| maker.constant(*ty).sql()).collect();
                format!("({})", cells.join(", "))
            })
            .collect();
        let names: Vec<String> = (0..types.len()).map(|at| format!("x{at}")).collect();
        let text = format!("(VALUES {}) AS {alias}({})", rows.join(", "), names.join(", "));
        return (Node::text(Kind::From, text), scope_of(&alias, "x", &types));
    }
    if matches!(choice, 5 | 12) && !lateral.is_empty() {
        return sets::of_outer(maker, lateral, &alias);
    }
    if choice == 4 && maker.random.one_in(2) {
        let text = format!("generate_series(1, {}) AS {alias}(x0)", maker.random.below(5));
        return (Node::text(Kind::From, text), scope_of(&alias, "x", &[T::Int]));
    }
    let table = maker.random.of(maker.tables).clone();
    let node = Node::text(Kind::From, format!("{} AS {alias}", table.name));
    (node, scope_of(&alias, "c", &table.columns))
}

/// What stands behind FROM, and its columns.
pub(super) fn from(maker: &mut Maker<'_>, outer: &Scope, depth: usize) -> (Node, Scope) {
    let (mut node, mut scope) = source(maker, outer, &Vec::new(), depth);
    let joins = *maker.random.of(&[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 4]);
    let mut crossed = false;
    for _ in 0..joins {
        let kind = *maker.random.of(&[
            "JOIN",
            "JOIN",
            "JOIN",
            "LEFT JOIN",
            "LEFT JOIN",
            "RIGHT JOIN",
            "FULL JOIN",
            "CROSS JOIN",
        ]);
        // What refers to its left side stands in these joins only.
        let lateral =
            if matches!(kind, "JOIN" | "LEFT JOIN" | "CROSS JOIN") { scope.clone() } else { Vec::new() };
        let (right, columns) = source(maker, outer, &lateral, depth);
        if kind == "CROSS JOIN" && !std::mem::replace(&mut crossed, true) {
            node = Node::new(Kind::From, "{} CROSS JOIN {}", vec![node, right]);
            scope.extend(columns);
            continue;
        }
        // One of two CROSS JOINs is an inner one: all pairs of all pairs are many.
        let kind = if kind == "CROSS JOIN" { "JOIN" } else { kind };
        let mut condition = equality(maker, &scope, &columns);
        let has_keys = !columns.is_empty() && condition.sql() != "(1 = 1)";
        if maker.random.one_in(6) {
            // Of one side alone, or of both.
            let side = if maker.random.one_in(2) { &scope } else { &columns };
            let more = maker.predicate(side, 1);
            condition = Node::value(T::Bool, "({} AND {})", vec![condition, more]);
        }
        scope.extend(columns);
        if (kind != "FULL JOIN" || has_keys) && maker.random.one_in(4) {
            let more = maker.predicate(&scope, 1);
            condition = Node::value(T::Bool, "({} AND {})", vec![condition, more]);
        } else if kind != "FULL JOIN" && maker.random.one_in(8) {
            condition = maker.predicate(&scope, depth.min(2));
        }
        node = Node::new(Kind::From, &format!("{{}} {kind} {{}} ON {{}}"), vec![node, right, condition]);
    }
    (node, scope)
}

/// `a = b` of columns of both sides with the same type.
pub(super) fn equality(maker: &mut Maker<'_>, left: &Scope, right: &Scope) -> Node {
    let pairs: Vec<(&String, &String, Type)> = left
        .iter()
        .flat_map(|(a, ty)| right.iter().filter(move |(_, own)| own == ty).map(move |(b, ty)| (a, b, *ty)))
        .collect();
    if pairs.is_empty() {
        return Node::text(Kind::Value(T::Bool), "(1 = 1)");
    }
    let (a, b, ty) = *maker.random.of(&pairs);
    let column = |name: &String| Node::text(Kind::Value(ty), name.clone());
    Node::value(T::Bool, "({} = {})", vec![column(a), column(b)])
}

/// `SELECT … AS x0, … AS x1` with columns of those types.
pub(super) fn select(maker: &mut Maker<'_>, types: &[Type], outer: &Scope, depth: usize) -> Node {
    if depth > 0 && maker.random.one_in(8) {
        let (a, b) = (select(maker, types, outer, depth - 1), select(maker, types, outer, depth - 1));
        let op =
            *maker.random.of(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL"]);
        return Node::new(rows(types), &format!("(({{}}) {op} ({{}}))"), vec![a, b]);
    }
    let (from, own) = from(maker, outer, depth);
    let scope: Scope = own.iter().chain(outer).cloned().collect();
    let grouped = maker.random.one_in(4);
    let (list, tail) = if grouped {
        grouped_list(maker, types, &own, depth)
    } else {
        let list = types.iter().map(|ty| maker.expr(*ty, &scope, depth.min(2))).collect();
        (list, Node::text(Kind::Clause, ""))
    };
    let list = named(list);
    let distinct = maybe(maker, 6, |_| Node::text(Kind::Clause, " DISTINCT"));
    let filter = maybe(maker, 2, |maker| filter(maker, &scope, depth));
    let limit = maybe(maker, 6, |maker| limit(maker, types.len()));
    Node::new(rows(types), "SELECT{} {} FROM {}{}{}{}", vec![distinct, list, from, filter, tail, limit])
}

fn named(list: Vec<Node>) -> Node {
    let item = |(at, node)| Node::new(Kind::Fixed, &format!("{{}} AS x{at}"), vec![node]);
    Node::join(Kind::Fixed, list.into_iter().enumerate().map(item).collect(), ", ")
}

/// `ORDER BY` all columns, and LIMIT (I1).
pub(super) fn limit(maker: &mut Maker<'_>, columns: usize) -> Node {
    let order: Vec<String> = (1..=columns)
        .map(|at| format!("{at}{}", maker.random.of(&["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"])))
        .collect();
    let offset =
        if maker.random.one_in(4) { format!(" OFFSET {}", maker.random.below(3)) } else { String::new() };
    let count = maker.random.below(6);
    let text = match maker.random.below(9) {
        0 => format!(" ORDER BY {}{offset} FETCH FIRST {count} ROWS ONLY", order.join(", ")),
        // Rows that are equal in the first columns come together.
        1 => format!(" ORDER BY {} FETCH FIRST {count} ROWS WITH TIES", order[0]),
        2 => {
            let table = &maker.random.of(maker.tables).name;
            format!(" ORDER BY {} LIMIT (SELECT count(*) % 5 FROM {table}){offset}", order.join(", "))
        }
        _ => format!(" ORDER BY {} LIMIT {count}{offset}", order.join(", ")),
    };
    Node::text(Kind::Clause, text)
}

/// A list over groups, and GROUP BY with HAVING. Keys are columns, so that the list may hold them; aggregates take
/// columns of the query itself, as those of the queries around it alone would make them theirs.
fn grouped_list(maker: &mut Maker<'_>, types: &[Type], own: &Scope, depth: usize) -> (Vec<Node>, Node) {
    let keys: Scope = match own.is_empty() {
        true => Vec::new(),
        false => (0..maker.random.below(3)).map(|_| maker.random.of(own).clone()).collect(),
    };
    let list = types
        .iter()
        .map(|ty| match maker.random.one_in(3) && keys.iter().any(|(_, key)| key == ty) {
            true => maker.leaf(*ty, &keys),
            false if *ty == T::Int && !keys.is_empty() && maker.random.one_in(3) => {
                Node::text(Kind::Value(T::Int), format!("grouping({})", keys[0].0))
            }
            false => aggregate(maker, *ty, own, depth.min(1)),
        })
        .collect();
    let names: Vec<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
    let groups = match (names.is_empty(), maker.random.below(12)) {
        (true, _) => String::new(),
        (false, 0) => format!(" GROUP BY ROLLUP ({})", names.join(", ")),
        (false, 1) => format!(" GROUP BY CUBE ({})", names.join(", ")),
        (false, 2) => format!(" GROUP BY GROUPING SETS (({}), (), ({}))", names.join(", "), names[0]),
        (false, 3) => format!(" GROUP BY {}, ROLLUP ({})", names[0], names.join(", ")),
        (false, 4) => format!(" GROUP BY GROUPING SETS (ROLLUP ({}), ({}))", names.join(", "), names[0]),
        (false, _) => format!(" GROUP BY {}", names.join(", ")),
    };
    let having = maybe(maker, 4, |maker| {
        let count = aggregate(maker, T::Big, own, 0);
        if keys.is_empty() || maker.random.one_in(2) {
            return Node::new(Kind::Clause, " HAVING ({} > 1)", vec![count]);
        }
        let more = maker.predicate(&keys, 1);
        let op = *maker.random.of(&["AND", "OR"]);
        Node::new(Kind::Clause, &format!(" HAVING ({{}} > 0) {op} {{}}"), vec![count, more])
    });
    (list, Node::new(Kind::Fixed, &format!("{groups}{{}}"), vec![having]))
}

/// An aggregate of that type.
pub(super) fn aggregate(maker: &mut Maker<'_>, ty: Type, scope: &Scope, depth: usize) -> Node {
    let argument = |maker: &mut Maker<'_>, ty| maker.expr(ty, scope, depth);
    let some = maker.some_type(scope);
    let (template, taken): (String, Type) = match ty {
        T::Big => match maker.random.below(5) {
            0 => ("count(*)".to_owned(), T::Int),
            1 => ("count({})".to_owned(), some),
            2 => ("count(DISTINCT {})".to_owned(), some),
            3 => ("sum({})".to_owned(), T::Int),
            _ => ("max({})".to_owned(), T::Big),
        },
        T::Bool => ((*maker.random.of(&["bool_and({})", "bool_or({})", "every({})"])).to_owned(), T::Bool),
        T::Num => {
            ((*maker.random.of(&["sum({})", "min({})", "max({})", "sum(DISTINCT {})"])).to_owned(), T::Num)
        }
        T::Double => {
            let name = *maker.random.of(&[
                "sum({})",
                "min({})",
                "max({})",
                "avg({})",
                "percentile_cont(0.5) WITHIN GROUP (ORDER BY {})",
            ]);
            (name.to_owned(), T::Double)
        }
        T::Jsonb if maker.random.one_in(2) => {
            return ordered(maker, "jsonb_agg", T::Int, T::Jsonb, scope, depth);
        }
        T::Int if maker.random.one_in(3) => {
            let name = *maker.random.of(&[
                "percentile_disc(0.5) WITHIN GROUP (ORDER BY {})",
                "mode() WITHIN GROUP (ORDER BY {})",
                "bit_and({})",
                "bit_or({})",
            ]);
            (name.to_owned(), T::Int)
        }
        T::Ints => return ordered(maker, "array_agg", T::Int, T::Ints, scope, depth),
        T::Texts => return ordered(maker, "array_agg", T::Text, T::Texts, scope, depth),
        T::Text if maker.random.one_in(2) => {
            return ordered(maker, "string_agg", T::Text, T::Text, scope, depth);
        }
        T::Int if maker.random.one_in(4) => ("count({})::int".to_owned(), some),
        ty if ty.has_extremes() => ((*maker.random.of(&["min({})", "max({})"])).to_owned(), ty),
        // Others have none that always gives the same: the first in order.
        ty => {
            let value = argument(maker, ty);
            let again = Node::text(Kind::Value(ty), value.sql());
            return Node::value(ty, "(array_agg({} ORDER BY {}))[1]", vec![value, again]);
        }
    };
    let filter = maybe(maker, 4, |maker| {
        let predicate = maker.predicate(scope, depth);
        Node::new(Kind::Clause, " FILTER (WHERE {})", vec![predicate])
    });
    let cast = template.strip_suffix("::int");
    let call = format!("{}{{}}{}", cast.unwrap_or(&template), if cast.is_some() { "::int" } else { "" });
    let mut nodes = Vec::new();
    if template.contains("{}") {
        nodes.push(argument(maker, taken));
    }
    nodes.push(filter);
    Node::value(ty, &call, nodes)
}

fn ordered(maker: &mut Maker<'_>, name: &str, of: Type, ty: Type, scope: &Scope, depth: usize) -> Node {
    let value = maker.expr(of, scope, depth);
    let value = Node::text(Kind::Fixed, format!("({})::{}", value.sql(), of.sql()));
    let again = value.clone();
    let between = if name == "string_agg" { ", ','" } else { "" };
    Node::value(ty, &format!("{name}({{}}{between} ORDER BY {{}})"), vec![value, again])
}

/// A query of one column and at most one row.
pub(super) fn scalar(maker: &mut Maker<'_>, ty: Type, outer: &Scope, depth: usize) -> Node {
    let depth = depth.min(1);
    let (from, own) = from(maker, outer, 0);
    let scope: Scope = own.iter().chain(outer).cloned().collect();
    let filter = filter(maker, &scope, depth);
    if maker.random.one_in(3) {
        let value = maker.expr(ty, &scope, depth);
        return Node::new(
            rows(&[ty]),
            "SELECT {} AS x0 FROM {}{} ORDER BY 1 LIMIT 1",
            vec![value, from, filter],
        );
    }
    let value = aggregate(maker, ty, &own, depth);
    Node::new(rows(&[ty]), "SELECT {} AS x0 FROM {}{}", vec![value, from, filter])
}

/// EXISTS, IN, ANY and ALL.
pub(super) fn subquery_predicate(maker: &mut Maker<'_>, scope: &Scope, depth: usize) -> Node {
    let depth = depth.min(1);
    let ty = maker.some_type(scope);
    let query = select(maker, &[ty], scope, depth);
    if maker.random.one_in(3) {
        let template = *maker.random.of(&["(EXISTS ({}))", "(NOT EXISTS ({}))"]);
        return Node::value(T::Bool, template, vec![query]);
    }
    let value = maker.expr(ty, scope, depth);
    let template = *maker.random.of(&[
        "({} IN ({}))",
        "({} IN ({}))",
        "({} NOT IN ({}))",
        "({} = ANY ({}))",
        "({} < ANY ({}))",
        "({} >= ALL ({}))",
        "({} <> ALL ({}))",
    ]);
    Node::value(T::Bool, template, vec![value, query])
}

/// A window function of that type over the columns of a FROM.
fn window(maker: &mut Maker<'_>, ty: Type, own: &Scope) -> Option<Node> {
    let order_all: Vec<&str> = own.iter().map(|(name, _)| name.as_str()).collect();
    let (key, key_type) = maker.random.of(own).clone();
    let partition = maybe(maker, 2, |maker| {
        let ty = maker.some_type(own);
        let by = maker.expr(ty, own, 1);
        Node::new(Kind::Clause, "PARTITION BY {}", vec![by])
    });
    let total = order_all.len() <= 8 && maker.random.one_in(2);
    let order = if total { order_all.join(", ") } else { key.clone() };
    let direction = *maker.random.of(&["", " DESC", " NULLS FIRST"]);
    let near = !total && direction.is_empty() && matches!(key_type, T::Int | T::Big | T::Num);
    let frame = match (total, maker.random.below(7)) {
        (true, 4) => " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
        (true, 5) => " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
        (false, 4 | 5) if near => " RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING",
        (true, 0) => " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
        (true, 1) => " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING",
        (_, 2) => " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
        (_, 3) => " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
        _ => "",
    };
    let argument = |maker: &mut Maker<'_>, ty| maker.expr(ty, own, 1);
    let (template, nodes) = match ty {
        T::Big => match maker.random.below(5) {
            0 => ("rank()".to_owned(), vec![]),
            1 => ("dense_rank()".to_owned(), vec![]),
            2 if total => ((*maker.random.of(&["row_number()", "row_number()"])).to_owned(), vec![]),
            3 => ("sum({})".to_owned(), vec![argument(maker, T::Int)]),
            _ => ("count({})".to_owned(), vec![argument(maker, key_type)]),
        },
        T::Int if total => (
            (*maker.random.of(&[
                "lag({})",
                "lead({}, 2)",
                "lag({}, 1, -7)",
                "first_value({})",
                "last_value({})",
                "nth_value({}, 2)",
            ]))
            .to_owned(),
            vec![argument(maker, T::Int)],
        ),
        T::Ints if total => ("array_agg({})".to_owned(), vec![argument(maker, T::Int)]),
        T::Double if maker.random.one_in(3) => {
            ((*maker.random.of(&["percent_rank()", "cume_dist()"])).to_owned(), vec![])
        }
        ty if ty.has_extremes() => {
            ((*maker.random.of(&["min({})", "max({})"])).to_owned(), vec![argument(maker, ty)])
        }
        _ => return None,
    };
    let nodes = nodes.into_iter().chain([partition]).collect();
    Some(Node::value(ty, &format!("{template} OVER ({{}} ORDER BY {order}{direction}{frame})"), nodes))
}

/// A CTE that refers to itself, of an INTEGER that grows and a TEXT.
fn recursive(maker: &mut Maker<'_>) -> (String, Node) {
    let name = maker.name("r");
    let own: Scope = vec![("r.x0".to_owned(), T::Int), ("r.x1".to_owned(), T::Text)];
    let first = maker.constant(T::Text);
    let (join, scope) = match maker.random.one_in(3) {
        true => {
            let table = maker.random.of(maker.tables).clone();
            let columns = scope_of("j", "c", &table.columns);
            let on = equality(maker, &own, &columns);
            let join = Node::new(Kind::Clause, &format!(" JOIN {} AS j ON {{}}", table.name), vec![on]);
            (join, own)
        }
        false => (Node::text(Kind::Clause, ""), own),
    };
    let next = maker.expr(T::Text, &scope, 1);
    let more = maker.predicate(&scope, 1);
    let all = *maker.random.of(&["", " ALL"]);
    let template = format!(
        "{name}(x0, x1) AS (SELECT 1, ({{}})::text UNION{all} SELECT r.x0 + 1, left(({{}})::text, 20) FROM {name} AS r{{}} WHERE r.x0 < 4 AND {{}})"
    );
    (name, Node::new(Kind::Fixed, &template, vec![first, next, join, more]))
}

/// A whole statement, and how many of its columns it is sorted by: all of them, or none.
pub(super) fn statement(maker: &mut Maker<'_>) -> (Node, bool) {
    let mut with = Vec::new();
    let mut word = "WITH";
    if maker.random.one_in(16) {
        let (name, node) = recursive(maker);
        with.push(node);
        maker.ctes.push((name, vec![T::Int, T::Text]));
        word = "WITH RECURSIVE";
    }
    if maker.random.one_in(5) {
        for _ in 0..1 + maker.random.below(2) {
            let types = some_types(maker, 3);
            let query = select(maker, &types, &Vec::new(), 1);
            let name = maker.name("w");
            with.push(Node::new(
                Kind::Fixed,
                &format!(
                    "{name} AS {}({{}})",
                    maker.random.of(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "])
                ),
                vec![query],
            ));
            maker.ctes.push((name, types));
        }
    }
    let types = some_types(maker, 4);
    let body = match maker.random.below(8) {
        0 => {
            let (from, own) = from(maker, &Vec::new(), 1);
            let list = types.iter().map(|ty| match window(maker, *ty, &own) {
                Some(node) => node,
                None => maker.expr(*ty, &own, 1),
            });
            let list: Vec<Node> = list.collect();
            let filter = maybe(maker, 2, |maker| filter(maker, &own, 1));
            Node::new(rows(&types), "SELECT {} FROM {}{}", vec![named(list), from, filter])
        }
        1 => {
            // Of the rows with one first value, the first in the order of all columns.
            let (from, own) = from(maker, &Vec::new(), 1);
            let list: Vec<Node> = types.iter().map(|ty| maker.expr(*ty, &own, 1)).collect();
            let order: Vec<String> = (1..=types.len()).map(|at| at.to_string()).collect();
            let inner = Node::new(rows(&types), "SELECT {} FROM {}", vec![named(list), from]);
            let template =
                format!("SELECT DISTINCT ON (x0) * FROM ({{}}) AS d ORDER BY {}", order.join(", "));
            Node::new(rows(&types), &template, vec![inner])
        }
        _ => select(maker, &types, &Vec::new(), 2),
    };
    maker.ctes.clear();
    let with = match with.is_empty() {
        true => Node::text(Kind::Clause, ""),
        false => Node::new(Kind::Clause, &format!("{word} {{}} "), vec![Node::join(Kind::Fixed, with, ", ")]),
    };
    let mut sorted = maker.random.one_in(4);
    let order = match sorted {
        true => {
            let clause = limit(maker, types.len());
            sorted = !clause.sql().contains("TIES");
            clause
        }
        false => Node::text(Kind::Clause, ""),
    };
    (Node::new(Kind::Fixed, "{}SELECT * FROM ({}) AS q{}", vec![with, body, order]), sorted)
}
