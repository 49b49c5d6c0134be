//! Fuzz target: the decoders of what the catalog keeps take any bytes, and give a value or an error.
//!
//! Built only for tests and by `cargo fuzz` (`--cfg fuzzing`). What decodes is encoded and decoded again: the same
//! value must come back.

use std::fmt::Debug;

use crate::catalog::format::Descriptor;
use crate::catalog::{
    AccessDescriptor, RoleDescriptor, RoutineDescriptor, SchemaDescriptor, SequenceDescriptor,
    TableDescriptor, TableStatistics, ViewDescriptor,
};
use crate::error::Error;
use crate::sequence::Position;

/// A descriptor, or a sequence's position: the first byte chooses which, the rest is its bytes.
pub fn catalog(data: &[u8]) {
    let Some((&which, bytes)) = data.split_first() else { return };
    match which % 9 {
        0 => there_and_back::<SchemaDescriptor>(bytes),
        1 => there_and_back::<TableDescriptor>(bytes),
        2 => there_and_back::<ViewDescriptor>(bytes),
        3 => there_and_back::<SequenceDescriptor>(bytes),
        5 => there_and_back::<RoutineDescriptor>(bytes),
        6 => there_and_back::<TableStatistics>(bytes),
        7 => there_and_back::<RoleDescriptor>(bytes),
        8 => there_and_back::<AccessDescriptor>(bytes),
        _ => {
            if let Ok(position) = Position::decode(bytes) {
                assert_eq!(position.encode()[..8], bytes[..8]);
            }
        }
    }
}

fn there_and_back<T: Descriptor + Debug>(bytes: &[u8]) {
    let decoded = match T::decode(bytes) {
        Ok(decoded) => decoded,
        Err(Error::Corrupt { .. }) => return,
        Err(error) => panic!("not damage: {error}"),
    };
    let encoded = decoded.encode().expect("what was decoded can be encoded");
    let again = T::decode(&encoded).expect("what was encoded decodes");
    // As text: a value that no number equals is equal to itself.
    assert_eq!(format!("{again:?}"), format!("{decoded:?}"));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cairn_types::DataType;

    use super::*;
    use crate::catalog::format::tests::table;
    use crate::catalog::{
        BodyForm, CheckOption, Class, ColumnStatistics, DefaultPrivileges, Dependency, Membership, Policy,
        Returns, RoutineKind, RoutineVolatility, ViewColumn, ViewOptions, default_acl,
    };

    /// Mutants that `cargo test` tries; `CAIRN_MUTANTS` sets another number.
    const MUTANTS: usize = 20_000;

    fn statistics() -> TableStatistics {
        TableStatistics {
            table: 1000,
            rows: 12.5,
            pages: 3,
            columns: vec![ColumnStatistics {
                column: 1,
                ty: DataType::Text,
                null_fraction: 0.25,
                average_width: 7,
                distinct: -0.5,
                most_common: vec![(cairn_types::Value::from("a"), 0.5)],
                histogram: vec![cairn_types::Value::from("b"), cairn_types::Value::from("c")],
                correlation: Some(-1.0),
            }],
        }
    }

    /// Valid inputs, to begin with.
    fn seeds() -> Vec<Vec<u8>> {
        let text = |text: &str| text.to_owned();
        let schema = SchemaDescriptor { id: 1002, name: text("s"), comment: Some(text("x")) };
        let view = ViewDescriptor {
            id: 7,
            schema: text("p"),
            name: text("v"),
            sql: text("SELECT 1"),
            columns: vec![ViewColumn {
                name: text("c"),
                ty: DataType::Array(Box::new(DataType::Text)),
                default: Some(text("'{}'")),
            }],
            depends_on: vec![Dependency { object: 1000, columns: vec![1, 2] }],
            comment: None,
            triggers: Vec::new(),
            options: ViewOptions {
                check: Some(CheckOption::Cascaded),
                security_barrier: Some(true),
                security_invoker: None,
            },
        };
        let sequence = SequenceDescriptor {
            id: 1001,
            schema: text("public"),
            name: text("q"),
            ty: DataType::BigInt,
            start: 1,
            increment: -2,
            min: i64::MIN,
            max: 9,
            cache: 1,
            cycle: true,
            generation: 3,
            owned_by: Some((1000, 1)),
            comment: None,
        };
        let position = Position::start(&sequence).encode().to_vec();
        let routine = RoutineDescriptor {
            id: 1003,
            schema: text("public"),
            name: text("f"),
            kind: RoutineKind::Function,
            parameters: Vec::new(),
            returns: Returns::Value { ty: DataType::Text, set: false },
            strict: false,
            volatility: RoutineVolatility::Volatile,
            form: BodyForm::Text,
            body: text("SELECT 'x'"),
            depends_on: Vec::new(),
            definer: true,
            settings: vec![(text("a"), text("b"))],
        };
        let encoded = [
            schema.encode(),
            table().encode(),
            view.encode(),
            sequence.encode(),
            Ok(position),
            routine.encode(),
            statistics().encode(),
            role().encode(),
            access().encode(),
        ];
        let tagged = |(which, bytes): (usize, crate::Result<Vec<u8>>)| {
            [&[which as u8][..], &bytes.expect("it can be encoded")].concat()
        };
        encoded.into_iter().enumerate().map(tagged).collect()
    }

    fn role() -> RoleDescriptor {
        RoleDescriptor {
            password: Some("SCRAM-SHA-256$4096:a$b:c".to_owned()),
            valid_until: Some(i64::MAX),
            settings: vec![("a".to_owned(), "b".to_owned())],
            member_of: vec![Membership { role: 10, grantor: 10, admin: true, inherit: true, set: true }],
            defaults: vec![DefaultPrivileges {
                schema: None,
                class: Class::Table,
                acl: default_acl(Class::Table, 10),
            }],
            ..RoleDescriptor::new(1004, "r")
        }
    }

    fn access() -> AccessDescriptor {
        AccessDescriptor {
            acl: Some(default_acl(Class::Table, 1004)),
            columns: vec![(1, default_acl(Class::Database, 10))],
            policies: vec![Policy {
                name: "p".to_owned(),
                permissive: false,
                command: 'w',
                roles: vec![0],
                using: Some("a > 0".to_owned()),
                check: None,
                columns: vec![1],
            }],
            ..AccessDescriptor::new(1000)
        }
    }

    #[test]
    fn decoders_survive_mutants() {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let count = number("CAIRN_MUTANTS").map_or(MUTANTS, |count| count as usize);
        let seed = number("CAIRN_SEED").unwrap_or(1);
        eprintln!("catalog: {count} mutants of seed {seed}");
        seeds().iter().for_each(|seed| catalog(seed));
        cairn_testkit::mutate::run(seed, count, &seeds(), catalog);
    }

    /// Writes the seeds for `cargo xtask fuzz`.
    #[test]
    #[ignore = "run by `cargo xtask fuzz`"]
    fn write_corpus() {
        let Some(corpus) = std::env::var_os("CAIRN_CORPUS") else { return };
        let dir = Path::new(&corpus).join("catalog");
        cairn_testkit::mutate::write_corpus(&dir, &seeds()).expect("the corpus can be written");
    }
}
