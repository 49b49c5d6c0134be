//! Generated changes whose effect is held against that of other ways: UPDATE … FROM, DELETE … USING, MERGE, upserts of
//! several rows, and changes within WITH.
//!
//! I1: what a change does is fixed by its rows: what it sets depends on the changed row alone, where several rows of
//! another relation may match.

use super::cases::{Form, place, rows_of, scope_of};
use super::expressions::{Maker, Scope};
use super::selects;
use super::tables::Table;
use super::tree::{Kind, Node};

/// A change, and the table whose state is looked at afterwards.
pub(super) fn effect(maker: &mut Maker<'_>) -> (Form, Vec<Node>) {
    let table = maker.random.of(maker.tables).clone();
    let scope = scope_of(&table, "a");
    let (change, nodes) = match maker.random.below(8) {
        0 => update_from(maker, &table, &scope),
        1 => delete_using(maker, &table, &scope),
        2 => merge(maker, &table, &scope),
        3 => upserts(maker, &table),
        4 => several_columns(maker, &table, &scope),
        5 => deleted(maker, &table, &scope),
        6 => updated(maker, &table, &scope),
        _ => moved(maker, &table, &scope),
    };
    (Form::Effect { change, table: table.name }, nodes)
}

fn all_of(alias: &str, table: &Table) -> String {
    (0..table.columns.len()).map(|at| format!("{alias}.c{at}")).collect::<Vec<_>>().join(", ")
}

fn update_from(maker: &mut Maker<'_>, table: &Table, scope: &Scope) -> (String, Vec<Node>) {
    let other = maker.random.of(maker.tables).clone();
    let both: Scope = scope.iter().cloned().chain(scope_of(&other, "b")).collect();
    let (at, p) = (place(maker, table), maker.predicate(&both, 2));
    let value = maker.expr(table.columns[at], scope, 2);
    let change = format!(
        "UPDATE {} AS a SET c{at} = {{1}} FROM {} AS b WHERE {{0}} RETURNING {}",
        table.name,
        other.name,
        all_of("a", table)
    );
    (change, vec![p, value])
}

fn delete_using(maker: &mut Maker<'_>, table: &Table, scope: &Scope) -> (String, Vec<Node>) {
    let other = maker.random.of(maker.tables).clone();
    let both: Scope = scope.iter().cloned().chain(scope_of(&other, "b")).collect();
    let p = maker.predicate(&both, 2);
    let change = format!(
        "DELETE FROM {} AS a USING {} AS b WHERE {{0}} RETURNING {}",
        table.name,
        other.name,
        all_of("a", table)
    );
    (change, vec![p])
}

fn merge(maker: &mut Maker<'_>, table: &Table, scope: &Scope) -> (String, Vec<Node>) {
    let source = selects::select(maker, &table.columns, &Vec::new(), 1);
    let columns = table.columns.iter().enumerate();
    let of_source: Scope = columns.map(|(at, ty)| (format!("s.x{at}"), *ty)).collect();
    let both: Scope = scope.iter().chain(&of_source).cloned().collect();
    let keys: Vec<String> = (0..table.key.max(1)).map(|at| format!("a.c{at} = s.x{at}")).collect();
    let at = place(maker, table);
    let (p, value) = (maker.predicate(&both, 1), maker.expr(table.columns[at], &both, 1));
    let q = maker.predicate(&of_source, 1);
    let list: Vec<&str> = of_source.iter().map(|(name, _)| name.as_str()).collect();
    let rest = *maker.random.of(&["", " WHEN MATCHED THEN DELETE", " WHEN MATCHED THEN DO NOTHING"]);
    let change = format!(
        "MERGE INTO {} AS a USING ({{0}}) AS s ON {} WHEN MATCHED AND {{1}} THEN UPDATE SET c{at} = {{2}}{rest} \
         WHEN NOT MATCHED AND {{3}} THEN INSERT VALUES ({})",
        table.name,
        keys.join(" AND "),
        list.join(", ")
    );
    (change, vec![source, p, value, q])
}

fn upserts(maker: &mut Maker<'_>, table: &Table) -> (String, Vec<Node>) {
    let mut row = || -> String {
        let cells: Vec<String> = table.columns.iter().map(|ty| maker.constant(*ty).sql()).collect();
        format!("({})", cells.join(", "))
    };
    let rows = [row(), row(), row()].join(", ");
    let action = match table.key > 0 && table.key < table.columns.len() && maker.random.one_in(2) {
        true => {
            let key: Vec<String> = (0..table.key).map(|at| format!("c{at}")).collect();
            let set: Vec<String> =
                (table.key..table.columns.len()).map(|at| format!("c{at} = excluded.c{at}")).collect();
            format!("({}) DO UPDATE SET {}", key.join(", "), set.join(", "))
        }
        false => "DO NOTHING".to_owned(),
    };
    let all = all_of("a", table);
    (
        format!("INSERT INTO {} AS a VALUES {rows} ON CONFLICT {action} RETURNING {all}", table.name),
        Vec::new(),
    )
}

fn several_columns(maker: &mut Maker<'_>, table: &Table, scope: &Scope) -> (String, Vec<Node>) {
    let (one, other) = (place(maker, table), place(maker, table));
    let p = rows_of(maker, table, scope);
    let a = maker.expr(table.columns[one], scope, 1);
    let set = match one == other {
        true => format!("c{one} = {{1}}"),
        false => format!("(c{one}, c{other}) = ({{1}}, {{2}})"),
    };
    let b = maker.expr(table.columns[other], scope, 1);
    let all = all_of("a", table);
    (format!("UPDATE {} AS a SET {set} WHERE {{0}} RETURNING {all}", table.name), vec![p, a, b])
}

fn deleted(maker: &mut Maker<'_>, table: &Table, scope: &Scope) -> (String, Vec<Node>) {
    let p = rows_of(maker, table, scope);
    let some = maker.random.below(table.columns.len());
    let change = format!(
        "WITH w AS (DELETE FROM {0} AS a WHERE {{0}} RETURNING a.*) \
         SELECT w.*, (SELECT count(*) FROM {0} AS b WHERE b.c{some} = w.c{some}) FROM w",
        table.name
    );
    (change, vec![p])
}

fn updated(maker: &mut Maker<'_>, table: &Table, scope: &Scope) -> (String, Vec<Node>) {
    let (at, p) = (place(maker, table), rows_of(maker, table, scope));
    let value = maker.expr(table.columns[at], scope, 1);
    let change = format!(
        "WITH w AS (UPDATE {0} AS a SET c{at} = {{1}} WHERE {{0}} RETURNING a.*) \
         SELECT count(*), count(w.c{at}), (SELECT count(*) FROM {0}) FROM w",
        table.name
    );
    (change, vec![p, value])
}

/// Rows that go from one table to another; the state looked at is that of the first.
fn moved(maker: &mut Maker<'_>, table: &Table, scope: &Scope) -> (String, Vec<Node>) {
    let other = maker.random.of(maker.tables).clone();
    let p = rows_of(maker, table, scope);
    let of_deleted: Scope = scope_of(table, "w");
    let list: Vec<Node> = other
        .columns
        .iter()
        .map(|ty| {
            let value = maker.expr(*ty, &of_deleted, 1);
            Node::new(Kind::Value(*ty), &format!("({{}})::{}", ty.sql()), vec![value])
        })
        .collect();
    let list = Node::join(Kind::Fixed, list, ", ");
    let change = format!(
        "WITH w AS (DELETE FROM {} AS a WHERE {{0}} RETURNING a.*), \
         i AS (INSERT INTO {} SELECT {{1}} FROM w RETURNING 1 AS one) SELECT count(*) FROM i",
        table.name, other.name
    );
    (change, vec![p, list])
}
