//! What is said of the standard: the features of Core SQL, and how large things may be.

use cairn_types::Value;

use super::T;
use crate::catalog::column_type::ColumnType::Int4;
use crate::catalog::system::{SystemTable, text};

/// Feature, its name, part of it, its name, whether it is there; as `tests/sql/core` shows.
const FEATURES: &str = include_str!("features.tsv");

/// Bytes of the longest name.
const NAME: Option<i32> = Some(63);
/// As many as memory holds.
const ANY: Option<i32> = Some(0);
/// Number and name of each size in the standard, and what is supported.
const SIZES: [(i32, &str, Option<i32>); 23] = [
    (34, "MAXIMUM CATALOG NAME LENGTH", NAME),
    (30, "MAXIMUM COLUMN NAME LENGTH", NAME),
    (97, "MAXIMUM COLUMNS IN GROUP BY", ANY),
    (99, "MAXIMUM COLUMNS IN ORDER BY", ANY),
    (100, "MAXIMUM COLUMNS IN SELECT", ANY),
    (101, "MAXIMUM COLUMNS IN TABLE", Some(1600)),
    (1, "MAXIMUM CONCURRENT ACTIVITIES", ANY),
    (25000, "MAXIMUM CURRENT DEFAULT TRANSFORM GROUP LENGTH", None),
    (25002, "MAXIMUM CURRENT PATH LENGTH", ANY),
    (25003, "MAXIMUM CURRENT ROLE LENGTH", None),
    (25001, "MAXIMUM CURRENT TRANSFORM GROUP LENGTH", None),
    (31, "MAXIMUM CURSOR NAME LENGTH", NAME),
    (0, "MAXIMUM DRIVER CONNECTIONS", None),
    (10005, "MAXIMUM IDENTIFIER LENGTH", NAME),
    (32, "MAXIMUM SCHEMA NAME LENGTH", NAME),
    (25004, "MAXIMUM SESSION USER LENGTH", NAME),
    (20000, "MAXIMUM STATEMENT OCTETS", Some(16 << 20)),
    (20001, "MAXIMUM STATEMENT OCTETS DATA", Some(16 << 20)),
    (20002, "MAXIMUM STATEMENT OCTETS SCHEMA", Some(16 << 20)),
    (25005, "MAXIMUM SYSTEM USER LENGTH", NAME),
    (35, "MAXIMUM TABLE NAME LENGTH", NAME),
    (106, "MAXIMUM TABLES IN SELECT", ANY),
    (107, "MAXIMUM USER NAME LENGTH", NAME),
];

/// The tables of this part.
pub(super) const TABLES: &[SystemTable] = &[
    SystemTable {
        name: "sql_features",
        columns: &[
            ("feature_id", T),
            ("feature_name", T),
            ("sub_feature_id", T),
            ("sub_feature_name", T),
            ("is_supported", T),
            ("is_verified_by", T),
            ("comments", T),
        ],
        rows: |_, _| {
            let row = |line: &str| {
                let words = line.split('\t').map(text);
                words.chain([Value::Null, text("")]).collect()
            };
            Ok(FEATURES.lines().map(row).collect())
        },
    },
    SystemTable {
        name: "sql_sizing",
        columns: &[("sizing_id", Int4), ("sizing_name", T), ("supported_value", Int4), ("comments", T)],
        rows: |_, _| {
            let row = |(id, name, value): &(i32, &str, Option<i32>)| {
                vec![Value::Integer(*id), text(*name), value.map_or(Value::Null, Value::Integer), Value::Null]
            };
            Ok(SIZES.iter().map(row).collect())
        },
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::FEATURES;

    /// The list is that of the tests.
    #[test]
    fn features_are_those_of_the_tests() {
        let mut shown = BTreeSet::new();
        let files = [
            include_str!("../../../../../tests/sql/core/01.slt"),
            include_str!("../../../../../tests/sql/core/02.slt"),
            include_str!("../../../../../tests/sql/core/03.slt"),
        ];
        for records in files {
            for (sign, answer) in [("# entry: ", "YES"), ("# missing: ", "NO")] {
                let entries = records.lines().filter_map(|line| line.strip_prefix(sign));
                shown.extend(entries.map(|entry| {
                    let id = entry.split(' ').next().unwrap_or_default();
                    let (feature, part) = id.split_once('-').unwrap_or((id, ""));
                    (feature.to_owned(), part.to_owned(), answer)
                }));
            }
        }
        let all: Vec<Vec<&str>> = FEATURES.lines().map(|line| line.split('\t').collect()).collect();
        for (feature, part, answer) in &shown {
            let found = all.iter().find(|row| row[0] == feature && row[2] == part);
            assert_eq!(found.map(|row| row[4]), Some(*answer), "{feature}-{part}");
        }
        let parts = all.iter().filter(|row| !row[2].is_empty()).count();
        assert_eq!(parts, shown.iter().filter(|(_, part, _)| !part.is_empty()).count());
    }
}
