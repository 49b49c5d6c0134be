//! Bytes of tables, views and sequences.

#![allow(clippy::unwrap_used)]
use super::super::partition::{PartitionBound, PartitionOf, PartitionStrategy, Partitioning, RangeEnd};
use super::*;

pub(crate) fn table() -> TableDescriptor {
    let column = |id, name: &str, ty| Column {
        id,
        name: name.to_owned(),
        ty,
        nullable: id > 1,
        default: (id == 2).then(|| "1 + 1".to_owned()),
        missing: (id == 2).then(|| Value::from("old")),
        identity: (id == 1).then_some(Identity { always: true, sequence: 1001 }),
        generated: None,
        domain: None,
        dropped: id == 3,
        comment: None,
    };
    TableDescriptor {
        id: 1000,
        schema: "public".to_owned(),
        name: "t".to_owned(),
        columns: vec![
            column(1, "id", DataType::BigInt),
            column(2, "b", DataType::Varchar(Some(7))),
            column(3, "", DataType::Numeric(Some((10, 2)))),
        ],
        primary_key: vec![1],
        primary_key_name: "t_pkey".to_owned(),
        indexes: vec![IndexDescriptor {
            unique: true,
            comment: Some("c".to_owned()),
            ..IndexDescriptor::on(
                1,
                "i",
                vec![IndexColumn { column: 2, descending: true, nulls_first: true }],
            )
        }],
        checks: vec![Check {
            name: "k".to_owned(),
            sql: "id > 0".to_owned(),
            columns: vec![1],
            not_valid: false,
        }],
        foreign_keys: vec![ForeignKey {
            name: "f".to_owned(),
            columns: vec![2],
            parent: 1000,
            parent_columns: vec![1],
            on_delete: ReferentialAction::Cascade,
            on_update: ReferentialAction::SetDefault,
            not_valid: false,
            deferrable: false,
            initially_deferred: false,
        }],
        next_column: 4,
        next_index: 2,
        comment: None,
        triggers: Vec::new(),
        materialized: None,
        partitioning: None,
        partition: None,
        constraint_comments: BTreeMap::new(),
    }
}

#[test]
fn tables_come_back() {
    let table = table();
    assert_eq!(TableDescriptor::decode(&table.encode().unwrap()).unwrap(), table);
}

pub(crate) fn extended() -> TableDescriptor {
    let mut table = table();
    table.columns[1].generated = Some(Generated { sql: "id + 1".to_owned(), columns: vec![1] });
    table.columns[0].domain = Some(1009);
    table.checks[0].not_valid = true;
    table.materialized = Some(Materialized {
        sql: "SELECT 1".to_owned(),
        depends_on: vec![Dependency { object: 7, columns: vec![] }],
        populated: true,
    });
    table.partitioning = Some(Partitioning { strategy: PartitionStrategy::List, columns: vec![2] });
    table.partition = Some(PartitionOf {
        parent: 1001,
        types: vec![DataType::Varchar(Some(7)), DataType::BigInt],
        bound: PartitionBound::Range {
            from: vec![RangeEnd::Min, RangeEnd::Min],
            to: vec![RangeEnd::Value(Value::from("x")), RangeEnd::Max],
        },
        indexes: vec![(0, 1)],
    });
    table.constraint_comments.insert("positive".to_owned(), "why".to_owned());
    table.foreign_keys[0].not_valid = true;
    (table.foreign_keys[0].deferrable, table.foreign_keys[0].initially_deferred) = (true, true);
    table.indexes.push(IndexDescriptor {
        unique: true,
        expressions: vec![IndexExpression {
            sql: "lower(b)".to_owned(),
            ty: DataType::Text,
            columns: vec![2],
        }],
        predicate: Some(IndexPredicate { sql: "id > 3".to_owned(), columns: vec![1] }),
        include: vec![2],
        nulls_not_distinct: true,
        deferrable: Some(true),
        primary: true,
        ..IndexDescriptor::on(2, "e", vec![IndexColumn::ascending(0), IndexColumn::ascending(1)])
    });
    table
}

#[test]
fn extras_make_version_two_and_come_back() {
    assert_eq!(table().encode().unwrap()[0], 1);
    let bytes = extended().encode().unwrap();
    assert_eq!(bytes[0], 2);
    assert_eq!(TableDescriptor::decode(&bytes).unwrap(), extended());
    let mut plain = extended();
    plain.columns[1].generated = None;
    plain.columns[0].domain = None;
    plain.checks[0].not_valid = false;
    plain.foreign_keys[0].not_valid = false;
    (plain.foreign_keys[0].deferrable, plain.foreign_keys[0].initially_deferred) = (false, false);
    (plain.triggers, plain.materialized) = (Vec::new(), None);
    (plain.partitioning, plain.partition) = (None, None);
    plain.constraint_comments.clear();
    let index = plain.indexes.last_mut().unwrap();
    (index.expressions, index.include) = (Vec::new(), Vec::new());
    (index.predicate, index.nulls_not_distinct) = (None, false);
    (index.deferrable, index.primary) = (None, false);
    let plain = plain.encode().unwrap();
    assert_eq!(plain[0], 1);
    let mut unknown = bytes.clone();
    let tag = plain.len() + 4;
    assert_eq!(unknown[tag], EXTRA_INDEX);
    unknown[tag] = 200;
    assert!(TableDescriptor::decode(&unknown).is_err());
}

/// The extras of an index, byte by byte.
#[test]
fn golden_extras() {
    let index = IndexDescriptor {
        predicate: Some(IndexPredicate { sql: "a".to_owned(), columns: vec![1] }),
        include: vec![2],
        ..IndexDescriptor::on(3, "i", vec![IndexColumn::ascending(1)])
    };
    let bytes =
        [&[3, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, b'a', 1, 0, 0, 0, 1, 0, 0, 0][..], &[1, 0, 0, 0, 2, 0, 0, 0, 0]];
    assert_eq!(index_extra(&index).unwrap(), bytes.concat());
}

#[test]
fn bounds_come_back() {
    let mut table = table();
    for bound in [
        PartitionBound::Default,
        PartitionBound::List(vec![Value::from("a"), Value::Null]),
        PartitionBound::Hash { modulus: 7, remainder: 3 },
    ] {
        let types = vec![DataType::Text];
        table.partition = Some(PartitionOf { parent: 7, types, bound, indexes: Vec::new() });
        assert_eq!(TableDescriptor::decode(&table.encode().unwrap()).unwrap(), table);
    }
    let bytes = table.encode().unwrap();
    let golden = [21, 26, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0];
    assert!(bytes.windows(golden.len()).any(|part| part == golden), "{bytes:?}");
    assert_eq!(bytes[bytes.len() - 13..], [3, 7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
}

/// A change here is a change of the format: old databases must still open.
#[test]
fn golden_bytes() {
    let schema = SchemaDescriptor { id: 1002, name: "s".to_owned(), comment: Some("x".to_owned()) };
    let bytes = [1, 0xEA, 3, 0, 0, 1, 0, 0, 0, b's', 1, 1, 0, 0, 0, b'x'];
    assert_eq!(schema.encode().unwrap(), bytes);
    let dependency = Dependency { object: 1000, columns: vec![1] };
    let view = ViewDescriptor {
        id: 7,
        schema: "p".to_owned(),
        name: "v".to_owned(),
        sql: "q".to_owned(),
        columns: vec![],
        depends_on: vec![dependency],
        comment: None,
        triggers: Vec::new(),
        options: ViewOptions::default(),
    };
    let head = [1, 7, 0, 0, 0, 1, 0, 0, 0, b'p', 1, 0, 0, 0, b'v', 1, 0, 0, 0, b'q', 0, 0, 0, 0];
    let reads = [1, 0, 0, 0, 0xE8, 3, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0];
    assert_eq!(view.encode().unwrap(), [&head[..], &reads].concat());
    let column = |name: &str, default: Option<&str>| ViewColumn {
        name: name.to_owned(),
        ty: DataType::Integer,
        default: default.map(str::to_owned),
    };
    let extended = ViewDescriptor {
        columns: vec![column("a", None), column("b", Some("1 + 1"))],
        options: ViewOptions {
            check: Some(CheckOption::Local),
            security_barrier: Some(false),
            security_invoker: None,
        },
        ..view
    };
    assert_eq!(ViewDescriptor::decode(&extended.encode().unwrap()).unwrap(), extended);
}

#[test]
fn damage_is_an_error_never_a_panic() {
    let bytes = extended().encode().unwrap();
    for length in 0..bytes.len() {
        assert!(TableDescriptor::decode(&bytes[..length]).is_err());
    }
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xFF] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            let _ = TableDescriptor::decode(&damaged);
        }
    }
    assert!(TableDescriptor::decode(&[&bytes[..], &[0]].concat()).is_err());
}
