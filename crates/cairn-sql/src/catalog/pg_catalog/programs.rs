//! `pg_proc` and `pg_trigger`, and the views of `information_schema` over the same.

use cairn_engine::Catalog;
use cairn_engine::catalog::{
    BodyForm, ParameterMode, Returns, RoutineDescriptor, RoutineKind, RoutineVolatility, TriggerDescriptor,
    TriggerTiming,
};
use cairn_types::{DataType, Value};

use super::{derived, schema_ids};
use crate::Result;
use crate::catalog::DATABASE;
use crate::catalog::system::{Rows, optional, text};
use crate::context::Context;
use crate::routine::is_set;

/// The type `void`.
const VOID_OID: u32 = 2278;
/// The type `trigger`.
const TRIGGER_OID: u32 = 2279;
/// The type `record`.
const RECORD_OID: u32 = 2249;
/// The language SQL.
const SQL_LANGUAGE_OID: i64 = 14;
/// Within a table's derived ids: its triggers.
const TRIGGER_OFFSET: i64 = 3 << 14;

fn return_oid(routine: &RoutineDescriptor) -> u32 {
    match &routine.returns {
        Returns::Void => VOID_OID,
        Returns::Trigger => TRIGGER_OID,
        Returns::Value { ty, .. } => ty.pg_oid(),
        Returns::Rows { columns, .. } => match columns.as_slice() {
            [(_, ty)] => ty.pg_oid(),
            _ => RECORD_OID,
        },
        Returns::Relation { object, .. } => *object,
    }
}

pub(super) fn pg_proc(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let schemas = schema_ids(catalog);
    let row = |routine: &RoutineDescriptor| {
        let inputs: Vec<String> = routine.inputs().map(|input| input.ty.pg_oid().to_string()).collect();
        let names: Vec<&str> = routine.parameters.iter().map(|p| p.name.as_str()).collect();
        let named = routine.parameters.iter().any(|p| !p.name.is_empty());
        let modes: Vec<&str> = routine.parameters.iter().map(|p| mode(p.mode)).collect();
        let with_modes = routine.parameters.iter().any(|p| p.mode != ParameterMode::In);
        let defaults = routine.inputs().filter(|input| input.default.is_some()).count();
        vec![
            Value::BigInt(i64::from(routine.id)),
            text(&routine.name),
            Value::BigInt(schemas.get(routine.schema.as_str()).copied().unwrap_or_default()),
            Value::BigInt(10),
            Value::BigInt(SQL_LANGUAGE_OID),
            text(if routine.kind == RoutineKind::Function { "f" } else { "p" }),
            Value::Boolean(routine.strict),
            Value::Boolean(is_set(routine)),
            text(match routine.volatility {
                RoutineVolatility::Immutable => "i",
                RoutineVolatility::Stable => "s",
                RoutineVolatility::Volatile => "v",
            }),
            Value::SmallInt(inputs.len() as i16),
            Value::SmallInt(defaults as i16),
            Value::BigInt(i64::from(return_oid(routine))),
            text(inputs.join(" ")),
            if with_modes { text(format!("{{{}}}", modes.join(","))) } else { Value::Null },
            if named { text(format!("{{{}}}", names.join(","))) } else { Value::Null },
            text(if routine.form == BodyForm::Text { routine.body.as_str() } else { "" }),
        ]
    };
    Ok(catalog.routines().map(|routine| row(routine)).collect())
}

fn mode(mode: ParameterMode) -> &'static str {
    match mode {
        ParameterMode::In => "i",
        ParameterMode::Out => "o",
        ParameterMode::InOut => "b",
        ParameterMode::Variadic => "v",
    }
}

/// All triggers with their relation's id and name.
fn triggers(catalog: &Catalog) -> impl Iterator<Item = (u32, &str, &str, usize, &TriggerDescriptor)> {
    let tables = catalog.tables().map(|t| (t.id, t.schema.as_str(), t.name.as_str(), &t.triggers));
    let views = catalog.views().map(|v| (v.id, v.schema.as_str(), v.name.as_str(), &v.triggers));
    tables.chain(views).flat_map(|(id, schema, name, triggers)| {
        triggers.iter().enumerate().map(move |(at, trigger)| (id, schema, name, at, trigger))
    })
}

/// The bits of `tgtype`.
fn kind_of(trigger: &TriggerDescriptor) -> i16 {
    let bit = |set: bool, bit: i16| if set { 1 << bit } else { 0 };
    bit(trigger.per_row, 0)
        | bit(trigger.timing == TriggerTiming::Before, 1)
        | bit(trigger.events.insert, 2)
        | bit(trigger.events.delete, 3)
        | bit(trigger.events.update, 4)
        | bit(trigger.events.truncate, 5)
        | bit(trigger.timing == TriggerTiming::InsteadOf, 6)
}

pub(super) fn pg_trigger(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let row = |(relation, _, _, at, trigger): (u32, &str, &str, usize, &TriggerDescriptor)| {
        let table = catalog.table_by_id(relation);
        let number = |id: &u32| table.and_then(|t| t.place_of(*id)).map(|place| (place + 1).to_string());
        let columns: Vec<String> = trigger.columns.iter().filter_map(number).collect();
        vec![
            Value::BigInt(derived(relation, TRIGGER_OFFSET + at as i64)),
            Value::BigInt(i64::from(relation)),
            Value::BigInt(0),
            text(&trigger.name),
            Value::BigInt(i64::from(trigger.function)),
            Value::SmallInt(kind_of(trigger)),
            text(if trigger.enabled { "O" } else { "D" }),
            Value::Boolean(false),
            Value::SmallInt(trigger.arguments.len() as i16),
            text(columns.join(" ")),
            optional(trigger.when.as_deref()),
            optional(trigger.old_table.as_deref()),
            optional(trigger.new_table.as_deref()),
        ]
    };
    Ok(triggers(catalog).map(row).collect())
}

pub(in crate::catalog) fn routines(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let row = |routine: &RoutineDescriptor| {
        let procedure = routine.kind == RoutineKind::Procedure;
        let ty = match &routine.returns {
            _ if procedure => None,
            Returns::Void => Some("void".to_owned()),
            Returns::Trigger => Some("trigger".to_owned()),
            Returns::Value { ty, .. } => Some(type_word(ty)),
            Returns::Rows { columns, .. } => Some(match columns.as_slice() {
                [(_, ty)] => type_word(ty),
                _ => "record".to_owned(),
            }),
            Returns::Relation { .. } => Some("USER-DEFINED".to_owned()),
        };
        let deterministic = routine.volatility == RoutineVolatility::Immutable;
        vec![
            text(DATABASE),
            text(&routine.schema),
            text(format!("{}_{}", routine.name, routine.id)),
            text(DATABASE),
            text(&routine.schema),
            text(&routine.name),
            text(if procedure { "PROCEDURE" } else { "FUNCTION" }),
            optional(ty.as_deref()),
            text("SQL"),
            match routine.form {
                BodyForm::Text => text(&routine.body),
                BodyForm::Return | BodyForm::Atomic => Value::Null,
            },
            text("SQL"),
            text(if deterministic { "YES" } else { "NO" }),
            text("MODIFIES"),
            text(if routine.strict { "YES" } else { "NO" }),
        ]
    };
    Ok(catalog.routines().map(|routine| row(routine)).collect())
}

fn type_word(ty: &DataType) -> String {
    match ty {
        DataType::Array(_) => "ARRAY".to_owned(),
        other => other.base_name().to_owned(),
    }
}

pub(in crate::catalog) fn parameters(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for routine in catalog.routines() {
        for (at, parameter) in routine.parameters.iter().enumerate() {
            rows.push(vec![
                text(DATABASE),
                text(&routine.schema),
                text(format!("{}_{}", routine.name, routine.id)),
                Value::Integer(at as i32 + 1),
                text(match parameter.mode {
                    ParameterMode::In | ParameterMode::Variadic => "IN",
                    ParameterMode::Out => "OUT",
                    ParameterMode::InOut => "INOUT",
                }),
                optional(Some(parameter.name.as_str()).filter(|name| !name.is_empty())),
                text(type_word(&parameter.ty)),
                optional(parameter.default.as_deref()),
            ]);
        }
    }
    Ok(rows)
}

pub(in crate::catalog) fn information_schema_triggers(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for (_, schema, relation, _, trigger) in triggers(catalog) {
        let events = trigger.events;
        let all = [("INSERT", events.insert), ("DELETE", events.delete), ("UPDATE", events.update)];
        for (event, _) in all.into_iter().filter(|(_, set)| *set) {
            let function = catalog.routine_by_id(trigger.function);
            let call = function.map(|f| format!("EXECUTE FUNCTION {}({})", f.name, arguments(trigger)));
            rows.push(vec![
                text(DATABASE),
                text(schema),
                text(&trigger.name),
                text(event),
                text(DATABASE),
                text(schema),
                text(relation),
                optional(trigger.when.as_deref()),
                optional(call.as_deref()),
                text(if trigger.per_row { "ROW" } else { "STATEMENT" }),
                text(match trigger.timing {
                    TriggerTiming::Before => "BEFORE",
                    TriggerTiming::After => "AFTER",
                    TriggerTiming::InsteadOf => "INSTEAD OF",
                }),
                optional(trigger.old_table.as_deref()),
                optional(trigger.new_table.as_deref()),
            ]);
        }
    }
    Ok(rows)
}

fn arguments(trigger: &TriggerDescriptor) -> String {
    let quoted = trigger.arguments.iter().map(|argument| format!("'{}'", argument.replace('\'', "''")));
    quoted.collect::<Vec<_>>().join(", ")
}
