//! What there is one of, and tables of what there is none here.

use super::{DATABASE, T};
use crate::catalog::column_type::ColumnType::Int4;
use crate::catalog::system::{SystemTable, text};

/// The tables of this part.
pub(super) const TABLES: &[SystemTable] = &[
    SystemTable {
        name: "character_sets",
        columns: &[
            ("character_set_catalog", T),
            ("character_set_schema", T),
            ("character_set_name", T),
            ("character_repertoire", T),
            ("form_of_use", T),
            ("default_collate_catalog", T),
            ("default_collate_schema", T),
            ("default_collate_name", T),
        ],
        rows: |_, _| {
            let [none, database] = [|| cairn_types::Value::Null, || text(DATABASE)];
            let collation = [database(), text("pg_catalog"), text("default")];
            let own = [none(), none(), text("UTF8"), text("UCS"), text("UTF8")];
            Ok(vec![own.into_iter().chain(collation).collect()])
        },
    },
    SystemTable {
        name: "collations",
        columns: &[
            ("collation_catalog", T),
            ("collation_schema", T),
            ("collation_name", T),
            ("pad_attribute", T),
        ],
        rows: |_, _| {
            let row = |name: &&str| vec![text(DATABASE), text("pg_catalog"), text(*name), text("NO PAD")];
            Ok(COLLATIONS.iter().map(row).collect())
        },
    },
    SystemTable {
        name: "collation_character_set_applicability",
        columns: &[
            ("collation_catalog", T),
            ("collation_schema", T),
            ("collation_name", T),
            ("character_set_catalog", T),
            ("character_set_schema", T),
            ("character_set_name", T),
        ],
        rows: |_, _| {
            let none = || cairn_types::Value::Null;
            let of = |name: &&str| [text(DATABASE), text("pg_catalog"), text(*name)];
            Ok(COLLATIONS
                .iter()
                .map(|name| of(name).into_iter().chain([none(), none(), text("UTF8")]).collect())
                .collect())
        },
    },
    SystemTable::empty(
        "check_constraint_routine_usage",
        &[
            ("constraint_catalog", T),
            ("constraint_schema", T),
            ("constraint_name", T),
            ("specific_catalog", T),
            ("specific_schema", T),
            ("specific_name", T),
        ],
    ),
    SystemTable::empty(
        "column_options",
        &[
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("column_name", T),
            ("option_name", T),
            ("option_value", T),
        ],
    ),
    SystemTable::empty(
        "foreign_data_wrapper_options",
        &[
            ("foreign_data_wrapper_catalog", T),
            ("foreign_data_wrapper_name", T),
            ("option_name", T),
            ("option_value", T),
        ],
    ),
    SystemTable::empty(
        "foreign_data_wrappers",
        &[
            ("foreign_data_wrapper_catalog", T),
            ("foreign_data_wrapper_name", T),
            ("authorization_identifier", T),
            ("library_name", T),
            ("foreign_data_wrapper_language", T),
        ],
    ),
    SystemTable::empty(
        "foreign_server_options",
        &[("foreign_server_catalog", T), ("foreign_server_name", T), ("option_name", T), ("option_value", T)],
    ),
    SystemTable::empty(
        "foreign_servers",
        &[
            ("foreign_server_catalog", T),
            ("foreign_server_name", T),
            ("foreign_data_wrapper_catalog", T),
            ("foreign_data_wrapper_name", T),
            ("foreign_server_type", T),
            ("foreign_server_version", T),
            ("authorization_identifier", T),
        ],
    ),
    SystemTable::empty(
        "foreign_table_options",
        &[
            ("foreign_table_catalog", T),
            ("foreign_table_schema", T),
            ("foreign_table_name", T),
            ("option_name", T),
            ("option_value", T),
        ],
    ),
    SystemTable::empty(
        "foreign_tables",
        &[
            ("foreign_table_catalog", T),
            ("foreign_table_schema", T),
            ("foreign_table_name", T),
            ("foreign_server_catalog", T),
            ("foreign_server_name", T),
        ],
    ),
    SystemTable::empty(
        "routine_column_usage",
        &[
            ("specific_catalog", T),
            ("specific_schema", T),
            ("specific_name", T),
            ("routine_catalog", T),
            ("routine_schema", T),
            ("routine_name", T),
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("column_name", T),
        ],
    ),
    SystemTable::empty(
        "routine_routine_usage",
        &[
            ("specific_catalog", T),
            ("specific_schema", T),
            ("specific_name", T),
            ("routine_catalog", T),
            ("routine_schema", T),
            ("routine_name", T),
        ],
    ),
    SystemTable::empty(
        "routine_sequence_usage",
        &[
            ("specific_catalog", T),
            ("specific_schema", T),
            ("specific_name", T),
            ("routine_catalog", T),
            ("routine_schema", T),
            ("routine_name", T),
            ("sequence_catalog", T),
            ("sequence_schema", T),
            ("sequence_name", T),
        ],
    ),
    SystemTable::empty(
        "routine_table_usage",
        &[
            ("specific_catalog", T),
            ("specific_schema", T),
            ("specific_name", T),
            ("routine_catalog", T),
            ("routine_schema", T),
            ("routine_name", T),
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
        ],
    ),
    SystemTable::empty(
        "sql_implementation_info",
        &[
            ("implementation_info_id", T),
            ("implementation_info_name", T),
            ("integer_value", Int4),
            ("character_value", T),
            ("comments", T),
        ],
    ),
    SystemTable::empty(
        "sql_parts",
        &[
            ("feature_id", T),
            ("feature_name", T),
            ("is_supported", T),
            ("is_verified_by", T),
            ("comments", T),
        ],
    ),
    SystemTable::empty(
        "transforms",
        &[
            ("udt_catalog", T),
            ("udt_schema", T),
            ("udt_name", T),
            ("specific_catalog", T),
            ("specific_schema", T),
            ("specific_name", T),
            ("group_name", T),
            ("transform_type", T),
        ],
    ),
    SystemTable::empty(
        "user_mapping_options",
        &[
            ("authorization_identifier", T),
            ("foreign_server_catalog", T),
            ("foreign_server_name", T),
            ("option_name", T),
            ("option_value", T),
        ],
    ),
    SystemTable::empty(
        "user_mappings",
        &[("authorization_identifier", T), ("foreign_server_catalog", T), ("foreign_server_name", T)],
    ),
];

/// The collations that there are.
pub(super) const COLLATIONS: [&str; 4] = ["default", "C", "POSIX", "ucs_basic"];
