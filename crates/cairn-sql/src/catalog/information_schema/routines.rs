//! `routines`, `parameters` and `triggers`.

use cairn_engine::Catalog;
use cairn_engine::catalog::{
    BodyForm, ParameterMode, Returns, RoutineDescriptor, RoutineKind, RoutineVolatility, TriggerTiming,
};
use cairn_types::{DataType, Value};

use super::facts::{Facts, UDT};
use super::{DATABASE, I, T};
use crate::Result;
use crate::catalog::column_type::ColumnType;
use crate::catalog::pg_catalog::programs::{arguments, triggers};
use crate::catalog::system::{Columns, Rows, SystemTable, named, optional, text, yes_no};
use crate::context::Context;
use crate::functions::text::quote_ident;
use crate::parse::bound::unbound;
use crate::privileges::may_know;

/// The tables of this part.
pub(super) const TABLES: &[SystemTable] = &[
    SystemTable { name: "routines", columns: ROUTINES, rows: routines },
    SystemTable { name: "parameters", columns: PARAMETERS, rows: parameters },
    SystemTable { name: "triggers", columns: TRIGGERS, rows: triggers_of_tables },
    SystemTable {
        name: "triggered_update_columns",
        columns: &[
            ("trigger_catalog", T),
            ("trigger_schema", T),
            ("trigger_name", T),
            ("event_object_catalog", T),
            ("event_object_schema", T),
            ("event_object_table", T),
            ("event_object_column", T),
        ],
        rows: triggered_update_columns,
    },
];

const ROUTINES: Columns = &[
    ("specific_catalog", T),
    ("specific_schema", T),
    ("specific_name", T),
    ("routine_catalog", T),
    ("routine_schema", T),
    ("routine_name", T),
    ("routine_type", T),
    ("module_catalog", T),
    ("module_schema", T),
    ("module_name", T),
    ("udt_catalog", T),
    ("udt_schema", T),
    ("udt_name", T),
    ("data_type", T),
    ("character_maximum_length", I),
    ("character_octet_length", I),
    ("character_set_catalog", T),
    ("character_set_schema", T),
    ("character_set_name", T),
    ("collation_catalog", T),
    ("collation_schema", T),
    ("collation_name", T),
    ("numeric_precision", I),
    ("numeric_precision_radix", I),
    ("numeric_scale", I),
    ("datetime_precision", I),
    ("interval_type", T),
    ("interval_precision", I),
    ("type_udt_catalog", T),
    ("type_udt_schema", T),
    ("type_udt_name", T),
    ("scope_catalog", T),
    ("scope_schema", T),
    ("scope_name", T),
    ("maximum_cardinality", I),
    ("dtd_identifier", T),
    ("routine_body", T),
    ("routine_definition", T),
    ("external_name", T),
    ("external_language", T),
    ("parameter_style", T),
    ("is_deterministic", T),
    ("sql_data_access", T),
    ("is_null_call", T),
    ("sql_path", T),
    ("schema_level_routine", T),
    ("max_dynamic_result_sets", I),
    ("is_user_defined_cast", T),
    ("is_implicitly_invocable", T),
    ("security_type", T),
    ("to_sql_specific_catalog", T),
    ("to_sql_specific_schema", T),
    ("to_sql_specific_name", T),
    ("as_locator", T),
    ("created", ColumnType::Timestamptz),
    ("last_altered", ColumnType::Timestamptz),
    ("new_savepoint_level", T),
    ("is_udt_dependent", T),
    ("result_cast_from_data_type", T),
    ("result_cast_as_locator", T),
    ("result_cast_char_max_length", I),
    ("result_cast_char_octet_length", I),
    ("result_cast_char_set_catalog", T),
    ("result_cast_char_set_schema", T),
    ("result_cast_char_set_name", T),
    ("result_cast_collation_catalog", T),
    ("result_cast_collation_schema", T),
    ("result_cast_collation_name", T),
    ("result_cast_numeric_precision", I),
    ("result_cast_numeric_precision_radix", I),
    ("result_cast_numeric_scale", I),
    ("result_cast_datetime_precision", I),
    ("result_cast_interval_type", T),
    ("result_cast_interval_precision", I),
    ("result_cast_type_udt_catalog", T),
    ("result_cast_type_udt_schema", T),
    ("result_cast_type_udt_name", T),
    ("result_cast_scope_catalog", T),
    ("result_cast_scope_schema", T),
    ("result_cast_scope_name", T),
    ("result_cast_maximum_cardinality", I),
    ("result_cast_dtd_identifier", T),
];
const PARAMETERS: Columns = &[
    ("specific_catalog", T),
    ("specific_schema", T),
    ("specific_name", T),
    ("ordinal_position", I),
    ("parameter_mode", T),
    ("is_result", T),
    ("as_locator", T),
    ("parameter_name", T),
    ("data_type", T),
    ("character_maximum_length", I),
    ("character_octet_length", I),
    ("character_set_catalog", T),
    ("character_set_schema", T),
    ("character_set_name", T),
    ("collation_catalog", T),
    ("collation_schema", T),
    ("collation_name", T),
    ("numeric_precision", I),
    ("numeric_precision_radix", I),
    ("numeric_scale", I),
    ("datetime_precision", I),
    ("interval_type", T),
    ("interval_precision", I),
    ("udt_catalog", T),
    ("udt_schema", T),
    ("udt_name", T),
    ("scope_catalog", T),
    ("scope_schema", T),
    ("scope_name", T),
    ("maximum_cardinality", I),
    ("dtd_identifier", T),
    ("parameter_default", T),
];
const TRIGGERS: Columns = &[
    ("trigger_catalog", T),
    ("trigger_schema", T),
    ("trigger_name", T),
    ("event_manipulation", T),
    ("event_object_catalog", T),
    ("event_object_schema", T),
    ("event_object_table", T),
    ("action_order", I),
    ("action_condition", T),
    ("action_statement", T),
    ("action_orientation", T),
    ("action_timing", T),
    ("action_reference_old_table", T),
    ("action_reference_new_table", T),
    ("action_reference_old_row", T),
    ("action_reference_new_row", T),
    ("created", ColumnType::Timestamptz),
];

/// The name that is unique among routines.
fn specific(routine: &RoutineDescriptor) -> Value {
    text(format!("{}_{}", routine.name, routine.id))
}

fn routines(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let path = &context.scope.settings.search_path;
    let row = |routine: &RoutineDescriptor| {
        let procedure = routine.kind == RoutineKind::Procedure;
        let (word, ty) = match &routine.returns {
            _ if procedure => (None, None),
            Returns::Void => (Some("void"), None),
            Returns::Trigger => (Some("trigger"), None),
            Returns::Value { ty, .. } => (None, Some(ty)),
            Returns::Rows { columns, .. } => match columns.as_slice() {
                [(_, ty)] => (None, Some(ty)),
                _ => (Some("record"), None),
            },
            Returns::Relation { .. } => (Some("USER-DEFINED"), None),
        };
        let mut all = vec![
            ("specific_catalog", text(DATABASE)),
            ("specific_schema", text(&routine.schema)),
            ("specific_name", specific(routine)),
            ("routine_catalog", text(DATABASE)),
            ("routine_schema", text(&routine.schema)),
            ("routine_name", text(&routine.name)),
            ("routine_type", text(if procedure { "PROCEDURE" } else { "FUNCTION" })),
            ("data_type", optional(word.or(ty.map(|ty| Facts(ty).word())))),
        ];
        match (ty, word) {
            (Some(ty), _) => {
                all.extend(Facts(ty).named(["type_udt_catalog", "type_udt_schema", "type_udt_name"]));
            }
            (None, Some(word @ ("void" | "trigger" | "record"))) => all.extend([
                ("type_udt_catalog", text(DATABASE)),
                ("type_udt_schema", text("pg_catalog")),
                ("type_udt_name", text(word)),
            ]),
            _ => {}
        }
        all.extend([
            ("dtd_identifier", optional((!procedure).then_some("0"))),
            ("routine_body", text("SQL")),
            (
                "routine_definition",
                match routine.form {
                    // The body is its owner's, as in PostgreSQL.
                    BodyForm::Text
                        if catalog.has_privileges_of(context.role(), catalog.owner(routine.id)) =>
                    {
                        text(unbound(&routine.body, path))
                    }
                    _ => Value::Null,
                },
            ),
            ("external_language", text("SQL")),
            ("parameter_style", text("GENERAL")),
            ("is_deterministic", yes_no(routine.volatility == RoutineVolatility::Immutable)),
            ("sql_data_access", text("MODIFIES")),
            ("is_null_call", optional((!procedure).then_some(if routine.strict { "YES" } else { "NO" }))),
            ("schema_level_routine", yes_no(true)),
            ("max_dynamic_result_sets", Value::Integer(0)),
            ("security_type", text(if routine.definer { "DEFINER" } else { "INVOKER" })),
            ("as_locator", yes_no(false)),
            ("is_udt_dependent", yes_no(false)),
        ]);
        named(ROUTINES, all)
    };
    Ok(catalog.routines().filter(|own| may_know(context, own.id)).map(|routine| row(routine)).collect())
}

fn parameters(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for routine in catalog.routines().filter(|own| may_know(context, own.id)) {
        for (at, parameter) in routine.parameters.iter().enumerate() {
            let mode = match parameter.mode {
                ParameterMode::In | ParameterMode::Variadic => "IN",
                ParameterMode::Out => "OUT",
                ParameterMode::InOut => "INOUT",
            };
            let name = Some(parameter.name.as_str()).filter(|name| !name.is_empty());
            let ty: &DataType = &parameter.ty;
            let mut all = vec![
                ("specific_catalog", text(DATABASE)),
                ("specific_schema", text(&routine.schema)),
                ("specific_name", specific(routine)),
                ("ordinal_position", Value::Integer(at as i32 + 1)),
                ("parameter_mode", text(mode)),
                ("is_result", yes_no(false)),
                ("as_locator", yes_no(false)),
                ("parameter_name", optional(name)),
                ("data_type", text(Facts(ty).word())),
            ];
            all.extend(Facts(ty).named(UDT));
            all.push(("dtd_identifier", text((at + 1).to_string())));
            all.push(("parameter_default", optional(parameter.default.as_deref())));
            rows.push(named(PARAMETERS, all));
        }
    }
    Ok(rows)
}

fn triggers_of_tables(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let path = &context.scope.settings.search_path;
    let mut rows = Rows::new();
    // Those of one event, time and kind run in the order of their names.
    let mut before: Vec<(u32, &str, &TriggerTiming, bool)> = Vec::new();
    let mut all: Vec<_> = triggers(catalog).filter(|(relation, ..)| may_know(context, *relation)).collect();
    all.sort_by_key(|(relation, .., trigger)| (*relation, trigger.name.clone()));
    for (id, schema, relation, _, trigger) in all {
        let events = trigger.events;
        let each = [("INSERT", events.insert), ("DELETE", events.delete), ("UPDATE", events.update)];
        for (event, _) in each.into_iter().filter(|(_, set)| *set) {
            let place = (id, event, &trigger.timing, trigger.per_row);
            before.push(place);
            let order = before.iter().filter(|own| **own == place).count();
            let function = catalog.routine_by_id(trigger.function);
            let call = function.map(|f| {
                let seen = path.contains(&f.schema);
                let name = if seen {
                    quote_ident(&f.name)
                } else {
                    format!("{}.{}", quote_ident(&f.schema), quote_ident(&f.name))
                };
                format!("EXECUTE FUNCTION {name}({})", arguments(trigger))
            });
            let timing = match trigger.timing {
                TriggerTiming::Before => "BEFORE",
                TriggerTiming::After => "AFTER",
                TriggerTiming::InsteadOf => "INSTEAD OF",
            };
            let when = trigger.when.as_deref().map(|when| unbound(when, path));
            let all = [
                ("trigger_catalog", text(DATABASE)),
                ("trigger_schema", text(schema)),
                ("trigger_name", text(&trigger.name)),
                ("event_manipulation", text(event)),
                ("event_object_catalog", text(DATABASE)),
                ("event_object_schema", text(schema)),
                ("event_object_table", text(relation)),
                ("action_order", Value::Integer(order as i32)),
                ("action_condition", optional(when.as_deref())),
                ("action_statement", optional(call.as_deref())),
                ("action_orientation", text(if trigger.per_row { "ROW" } else { "STATEMENT" })),
                ("action_timing", text(timing)),
                ("action_reference_old_table", optional(trigger.old_table.as_deref())),
                ("action_reference_new_table", optional(trigger.new_table.as_deref())),
            ];
            rows.push(named(TRIGGERS, all));
        }
    }
    Ok(rows)
}

fn triggered_update_columns(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for (id, schema, relation, _, trigger) in triggers(catalog).filter(|own| may_know(context, own.0)) {
        let table = catalog.table_by_id(id);
        let columns = trigger.columns.iter().filter_map(|column| table?.column_by_id(*column));
        for column in columns {
            let (catalog, schema) = (text(DATABASE), text(schema));
            let of = [catalog.clone(), schema.clone(), text(&trigger.name)];
            let on = [catalog, schema, text(relation), text(&column.name)];
            rows.push(of.into_iter().chain(on).collect());
        }
    }
    Ok(rows)
}
