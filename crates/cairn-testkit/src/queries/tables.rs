//! Generated tables: columns of every type, keys of one and two columns or none, indexes of every kind, few rows.

use super::expressions::Maker;
use super::random::Random;
use super::selects;
use super::types::Type;

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    /// Column `c0`, `c1`, …
    pub(super) columns: Vec<Type>,
    /// Columns of the primary key, from the first.
    pub(super) key: usize,
}

/// Tables and the statements that make them.
#[derive(Clone, Debug, Default)]
pub(super) struct Database {
    pub(super) tables: Vec<Table>,
    /// Names of views, and the types of their columns `x0`, `x1`, …
    pub(super) views: Vec<(String, Vec<Type>)>,
    pub(super) statements: Vec<String>,
}

/// A value of that type, or NULL.
pub(super) fn literal(random: &mut Random, ty: Type) -> String {
    match random.one_in(7) {
        true => "NULL".to_owned(),
        false => (*random.of(ty.literals())).to_owned(),
    }
}

impl Database {
    pub(super) fn generate(random: &mut Random) -> Database {
        let mut database = Database::default();
        for at in 0..3 + random.below(2) {
            let table = table(random, at);
            database.statements.push(definition(random, &table));
            let partitions = partitions(random, &table);
            if let (Some(definition), false) = (database.statements.last_mut(), partitions.1.is_empty()) {
                definition.push_str(&partitions.0);
            }
            database.statements.extend(partitions.1);
            // Some indexes see the rows come, some find them.
            let indexes: Vec<String> =
                (0..random.below(5)).map(|index| index_of(random, &table, index)).collect();
            let early = random.below(indexes.len() + 1);
            database.statements.extend_from_slice(&indexes[..early]);
            let rows = [0, 1, 3, 8, 8, 15, 15, 25, 60][random.below(9)];
            for _ in 0..rows {
                database.statements.push(row(random, &table));
            }
            database.statements.extend_from_slice(&indexes[early..]);
            database.tables.push(table);
        }
        for at in 0..random.below(3) {
            let types: Vec<Type> = (0..1 + random.below(3)).map(|_| *random.of(&Type::ALL)).collect();
            let ctes = database.views.clone();
            let mut maker = Maker { random, tables: &database.tables, names: 0, ctes, subqueries: true };
            let query = selects::select(&mut maker, &types, &Vec::new(), 1).sql();
            database.statements.push(format!("CREATE VIEW v{at} AS {query}"));
            database.views.push((format!("v{at}"), types));
        }
        database
    }
}

fn table(random: &mut Random, at: usize) -> Table {
    let mut columns = vec![Type::Int];
    for _ in 0..2 + random.below(5) {
        columns.push(*random.of(&Type::ALL));
    }
    if random.one_in(6) {
        columns[0] = *random.of(&[
            Type::Text,
            Type::Num,
            Type::Double,
            Type::Big,
            Type::Uuid,
            Type::Date,
            Type::Dec,
            Type::Char,
            Type::Small,
        ]);
    }
    let pair = !matches!(columns[1], Type::Jsonb | Type::Ints | Type::Texts | Type::Interval);
    let key = match random.below(4) {
        0 => 0,
        1 if pair => 2,
        _ => 1,
    };
    Table { name: format!("t{at}"), columns, key }
}

/// Sometimes: what divides the table by its first column, and its partitions.
fn partitions(random: &mut Random, table: &Table) -> (String, Vec<String>) {
    if !random.one_in(5) {
        return Default::default();
    }
    let name = &table.name;
    let part = |at: usize, bound: &str| format!("CREATE TABLE {name}_p{at} PARTITION OF {name} {bound}");
    match (table.columns[0], random.below(3)) {
        (Type::Int, 0) => (
            " PARTITION BY RANGE (c0)".to_owned(),
            vec![
                part(0, "FOR VALUES FROM (MINVALUE) TO (1)"),
                part(1, "FOR VALUES FROM (1) TO (4)"),
                part(2, "DEFAULT"),
            ],
        ),
        (Type::Int, 1) => (
            " PARTITION BY LIST (c0)".to_owned(),
            vec![part(0, "FOR VALUES IN (0, 2, 7)"), part(1, "FOR VALUES IN (1)"), part(2, "DEFAULT")],
        ),
        (Type::Text, 0) => (
            " PARTITION BY RANGE (c0)".to_owned(),
            vec![part(0, "FOR VALUES FROM (MINVALUE) TO ('b')"), part(1, "DEFAULT")],
        ),
        _ => (
            " PARTITION BY HASH (c0)".to_owned(),
            (0..3).map(|at| part(at, &format!("FOR VALUES WITH (MODULUS 3, REMAINDER {at})"))).collect(),
        ),
    }
}

fn definition(random: &mut Random, table: &Table) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (at, ty) in table.columns.iter().enumerate() {
        let not_null = if at >= table.key && random.one_in(8) { " NOT NULL" } else { "" };
        parts.push(format!("c{at} {}{not_null}", ty.sql()));
    }
    let key: Vec<String> = (0..table.key).map(|at| format!("c{at}")).collect();
    if !key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    format!("CREATE TABLE {} ({})", table.name, parts.join(", "))
}

/// One row; one that a constraint refuses is left out.
fn row(random: &mut Random, table: &Table) -> String {
    let values: Vec<String> = table.columns.iter().map(|ty| literal(random, *ty)).collect();
    format!("INSERT INTO {} VALUES ({}) ON CONFLICT DO NOTHING", table.name, values.join(", "))
}

fn index_of(random: &mut Random, table: &Table, number: usize) -> String {
    let column = |random: &mut Random| random.below(table.columns.len());
    let order = |random: &mut Random| *random.of(&["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
    let (first, second) = (column(random), column(random));
    let expression = |at: usize| match table.columns[at] {
        Type::Int | Type::Big => format!("(c{at} % 3)"),
        Type::Num | Type::Double => format!("(c{at} * 2)"),
        Type::Text => format!("lower(c{at})"),
        _ => format!("(c{at} IS NULL)"),
    };
    let name = format!("{}_i{number}", table.name);
    let on = &table.name;
    match random.below(9) {
        0 | 1 => format!("CREATE INDEX {name} ON {on} (c{first}{})", order(random)),
        2 if first != second => {
            format!("CREATE INDEX {name} ON {on} (c{first}{}, c{second}{})", order(random), order(random))
        }
        3 if first != second => format!("CREATE INDEX {name} ON {on} (c{first}) INCLUDE (c{second})"),
        4 => format!("CREATE INDEX {name} ON {on} USING hash (c{first})"),
        5 => format!("CREATE INDEX {name} ON {on} ({}{})", expression(first), order(random)),
        6 => format!("CREATE INDEX {name} ON {on} (c{first}) WHERE c{second} IS NOT NULL"),
        7 => {
            let value = random.of(table.columns[second].literals());
            let op = random.of(&["=", ">", "<="]);
            // Partial indexes take nothing that depends on the time zone.
            match table.columns[second] {
                Type::TimestampTz => format!("CREATE INDEX {name} ON {on} (c{second})"),
                _ => format!("CREATE INDEX {name} ON {on} (c{first}) WHERE c{second} {op} {value}"),
            }
        }
        _ => format!("CREATE UNIQUE INDEX {name} ON {on} (c{first}, c{second}, {})", expression(first)),
    }
}
