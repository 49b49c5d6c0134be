//! `pg_proc` and `pg_trigger`.

use cairn_engine::Catalog;
use cairn_engine::catalog::{
    BodyForm, ParameterMode, Returns, RoutineDescriptor, RoutineKind, RoutineVolatility, TriggerDescriptor,
    TriggerTiming,
};
use cairn_types::{DataType, Value};

use super::{PG_CATALOG_ID, USER_ID, derived, schema_ids, traits};
use crate::Result;
use crate::catalog::column_type::ColumnType::{
    Bool, Bytea, Char, Float4, Int2, Int2Vector, Name, Oid, OidList, OidVector, Text, TextList,
};
use crate::catalog::system::{Columns, Rows, SystemTable, named, oid, optional, text, texts};
use crate::context::Context;
use crate::parse::bound::unbound;
use crate::privileges::shown;
use crate::routine::is_set;

/// The type `void`.
const VOID_OID: u32 = 2278;
/// The type `trigger`.
const TRIGGER_OID: u32 = 2279;
/// The type `record`.
const RECORD_OID: u32 = 2249;
/// The language SQL.
pub(super) const SQL_LANGUAGE_OID: i64 = 14;
/// The language of what is built in.
pub(super) const INTERNAL_LANGUAGE_OID: i64 = 12;

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

/// `pg_proc`.
pub(super) const PG_PROC: SystemTable = SystemTable { name: "pg_proc", columns: PROC, rows: pg_proc };
/// `pg_trigger`.
pub(super) const PG_TRIGGER: SystemTable =
    SystemTable { name: "pg_trigger", columns: TRIGGER, rows: pg_trigger };

const PROC: Columns = &[
    ("oid", Oid),
    ("proname", Name),
    ("pronamespace", Oid),
    ("proowner", Oid),
    ("prolang", Oid),
    ("procost", Float4),
    ("prorows", Float4),
    ("provariadic", Oid),
    ("prosupport", Text),
    ("prokind", Char),
    ("prosecdef", Bool),
    ("proleakproof", Bool),
    ("proisstrict", Bool),
    ("proretset", Bool),
    ("provolatile", Char),
    ("proparallel", Char),
    ("pronargs", Int2),
    ("pronargdefaults", Int2),
    ("prorettype", Oid),
    ("proargtypes", OidVector),
    ("proallargtypes", OidList),
    ("proargmodes", TextList),
    ("proargnames", TextList),
    ("proargdefaults", Text),
    ("protrftypes", OidList),
    ("prosrc", Text),
    ("probin", Text),
    ("prosqlbody", Text),
    ("proconfig", TextList),
    ("proacl", TextList),
];

const TRIGGER: Columns = &[
    ("oid", Oid),
    ("tgrelid", Oid),
    ("tgparentid", Oid),
    ("tgname", Name),
    ("tgfoid", Oid),
    ("tgtype", Int2),
    ("tgenabled", Char),
    ("tgisinternal", Bool),
    ("tgconstrrelid", Oid),
    ("tgconstrindid", Oid),
    ("tgconstraint", Oid),
    ("tgdeferrable", Bool),
    ("tginitdeferred", Bool),
    ("tgnargs", Int2),
    ("tgattr", Int2Vector),
    ("tgargs", Bytea),
    ("tgqual", Text),
    ("tgoldtable", Name),
    ("tgnewtable", Name),
];

fn pg_proc(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let schemas = schema_ids(catalog);
    let of_types = traits::FUNCTIONS.iter().map(|own| type_function(*own));
    let made = catalog.routines().map(|routine| {
        proc_row(catalog, routine, schemas.get(routine.schema.as_str()).copied().unwrap_or_default())
    });
    Ok(of_types.chain(made).collect())
}

/// A function that reads or writes values of a type.
fn type_function((name, returns, arguments): (&str, u32, &str)) -> Vec<Value> {
    let arguments: Vec<Value> =
        arguments.split(' ').filter_map(|own| own.parse().ok()).map(|own: i64| oid(own)).collect();
    named(
        PROC,
        [
            ("oid", oid(traits::function_id(name))),
            ("proname", text(name)),
            ("pronamespace", oid(PG_CATALOG_ID)),
            ("proowner", oid(USER_ID)),
            ("prolang", oid(INTERNAL_LANGUAGE_OID)),
            ("procost", Value::Real(1.0)),
            ("prorows", Value::Real(0.0)),
            ("provariadic", oid(0)),
            ("prosupport", text("-")),
            ("prokind", text("f")),
            ("prosecdef", Value::Boolean(false)),
            ("proleakproof", Value::Boolean(false)),
            ("proisstrict", Value::Boolean(true)),
            ("proretset", Value::Boolean(false)),
            ("provolatile", text("i")),
            ("proparallel", text("s")),
            ("pronargs", Value::SmallInt(arguments.len() as i16)),
            ("pronargdefaults", Value::SmallInt(0)),
            ("prorettype", oid(returns)),
            ("proargtypes", Value::Array(arguments)),
            ("prosrc", text(name)),
        ],
    )
}

fn proc_row(catalog: &Catalog, routine: &RoutineDescriptor, namespace: i64) -> Vec<Value> {
    let parameters = &routine.parameters;
    let inputs: Vec<Value> = routine.inputs().map(|input| oid(input.ty.pg_oid())).collect();
    let table = match &routine.returns {
        Returns::Rows { columns, set: true }
            if !parameters.iter().any(|p| matches!(p.mode, ParameterMode::Out | ParameterMode::InOut)) =>
        {
            columns.as_slice()
        }
        _ => &[],
    };
    let all_types = parameters.iter().map(|p| &p.ty).chain(table.iter().map(|(_, ty)| ty));
    let all_types: Vec<Value> = all_types.map(|ty| oid(ty.pg_oid())).collect();
    let names = parameters.iter().map(|p| p.name.clone()).chain(table.iter().map(|(name, _)| name.clone()));
    let named_ones = !table.is_empty() || parameters.iter().any(|p| !p.name.is_empty());
    let modes = parameters.iter().map(|p| mode(p.mode)).chain(table.iter().map(|_| "t"));
    let with_modes = !table.is_empty() || parameters.iter().any(|p| p.mode != ParameterMode::In);
    let defaults: Vec<&str> = routine.inputs().filter_map(|input| input.default.as_deref()).collect();
    let variadic = match parameters.iter().find(|p| p.mode == ParameterMode::Variadic).map(|p| &p.ty) {
        Some(DataType::Array(item)) => item.pg_oid(),
        _ => 0,
    };
    let set = is_set(routine);
    let text_form = routine.form == BodyForm::Text;
    let either = |there: bool, value: Value| if there { value } else { Value::Null };
    named(
        PROC,
        [
            ("oid", oid(routine.id)),
            ("proname", text(&routine.name)),
            ("pronamespace", oid(namespace)),
            ("proowner", shown::owner(catalog, routine.id)),
            ("prolang", oid(SQL_LANGUAGE_OID)),
            ("procost", Value::Real(100.0)),
            ("prorows", Value::Real(if set { 1000.0 } else { 0.0 })),
            ("provariadic", oid(variadic)),
            ("prosupport", text("-")),
            ("prokind", text(if routine.kind == RoutineKind::Function { "f" } else { "p" })),
            ("prosecdef", Value::Boolean(routine.definer)),
            ("proleakproof", Value::Boolean(false)),
            ("proisstrict", Value::Boolean(routine.strict)),
            ("proretset", Value::Boolean(set)),
            (
                "provolatile",
                text(match routine.volatility {
                    RoutineVolatility::Immutable => "i",
                    RoutineVolatility::Stable => "s",
                    RoutineVolatility::Volatile => "v",
                }),
            ),
            ("proparallel", text("u")),
            ("pronargs", Value::SmallInt(inputs.len() as i16)),
            ("pronargdefaults", Value::SmallInt(defaults.len() as i16)),
            ("prorettype", oid(return_oid(routine))),
            ("proargtypes", Value::Array(inputs)),
            ("proallargtypes", either(with_modes, Value::Array(all_types))),
            ("proargmodes", either(with_modes, texts(modes.map(str::to_owned)))),
            ("proargnames", either(named_ones, texts(names))),
            ("proargdefaults", either(!defaults.is_empty(), text(defaults.join(", ")))),
            ("prosrc", text(if text_form { routine.body.as_str() } else { "" })),
            ("prosqlbody", either(!text_form, text(&routine.body))),
            ("proconfig", texts(routine.settings.iter().map(|(name, value)| format!("{name}={value}")))),
            ("proacl", shown::acl_of(catalog, routine.id)),
        ],
    )
}

fn mode(mode: ParameterMode) -> &'static str {
    match mode {
        ParameterMode::In => "i",
        ParameterMode::Out => "o",
        ParameterMode::InOut => "b",
        ParameterMode::Variadic => "v",
    }
}

/// The id of a relation's trigger at a place.
pub(super) fn trigger_id(relation: u32, at: usize) -> i64 {
    derived(relation, at as i64)
}

/// All triggers with their relation's id and name.
pub(in crate::catalog) fn triggers(
    catalog: &Catalog,
) -> impl Iterator<Item = (u32, &str, &str, usize, &TriggerDescriptor)> {
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

fn pg_trigger(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let path = &context.scope.settings.search_path;
    let row = |(relation, _, _, at, trigger): (u32, &str, &str, usize, &TriggerDescriptor)| {
        let table = catalog.table_by_id(relation);
        let number = |id: &u32| table.and_then(|t| t.place_of(*id)).map(|place| place as i16 + 1);
        let columns = trigger.columns.iter().filter_map(number).map(Value::SmallInt).collect();
        let arguments = trigger.arguments.iter().flat_map(|own| own.bytes().chain([0])).collect();
        named(
            TRIGGER,
            [
                ("oid", oid(trigger_id(relation, at))),
                ("tgrelid", oid(relation)),
                ("tgparentid", oid(0)),
                ("tgname", text(&trigger.name)),
                ("tgfoid", oid(trigger.function)),
                ("tgtype", Value::SmallInt(kind_of(trigger))),
                ("tgenabled", text(if trigger.enabled { "O" } else { "D" })),
                ("tgisinternal", Value::Boolean(false)),
                ("tgconstrrelid", oid(0)),
                ("tgconstrindid", oid(0)),
                ("tgconstraint", oid(0)),
                ("tgdeferrable", Value::Boolean(false)),
                ("tginitdeferred", Value::Boolean(false)),
                ("tgnargs", Value::SmallInt(trigger.arguments.len() as i16)),
                ("tgattr", Value::Array(columns)),
                ("tgargs", Value::Bytea(arguments)),
                ("tgqual", optional(trigger.when.as_deref().map(|when| unbound(when, path)).as_deref())),
                ("tgoldtable", optional(trigger.old_table.as_deref())),
                ("tgnewtable", optional(trigger.new_table.as_deref())),
            ],
        )
    };
    Ok(triggers(catalog).map(row).collect())
}

pub(in crate::catalog) fn arguments(trigger: &TriggerDescriptor) -> String {
    let quoted = trigger.arguments.iter().map(|argument| format!("'{}'", argument.replace('\'', "''")));
    quoted.collect::<Vec<_>>().join(", ")
}
