//! Functions, procedures and triggers as the statements that make them: `pg_get_functiondef`, `pg_get_triggerdef` and kin.

use cairn_engine::Catalog;
use cairn_engine::catalog::{
    BodyForm, PUBLIC, Parameter, ParameterMode, Returns, RoutineDescriptor, RoutineKind, RoutineVolatility,
    TriggerDescriptor, TriggerTiming,
};

use super::programs::{arguments, trigger_id, triggers};
use crate::context::Scope;
use crate::functions::text::quote_ident;
use crate::parse::bound::{unbound, unbound_statements};

/// A function or procedure of the catalog.
fn routine(scope: &Scope, oid: i64) -> Option<RoutineDescriptor> {
    let catalog = scope.txn.catalog();
    u32::try_from(oid).ok().and_then(|id| catalog.routine_by_id(id).map(|own| (**own).clone()))
}

/// A parameter as it is declared, or as it is named among others.
fn parameter(own: &Parameter, procedure: bool, defaults: bool) -> String {
    let mut text = match own.mode {
        ParameterMode::In if procedure => "IN ".to_owned(),
        ParameterMode::In => String::new(),
        ParameterMode::Out => "OUT ".to_owned(),
        ParameterMode::InOut => "INOUT ".to_owned(),
        ParameterMode::Variadic => "VARIADIC ".to_owned(),
    };
    if !own.name.is_empty() {
        text.push_str(&format!("{} ", quote_ident(&own.name)));
    }
    text.push_str(&own.ty.sql_name());
    if let Some(default) = own.default.as_ref().filter(|_| defaults) {
        let default = unbound(default, &[PUBLIC.to_owned()]);
        text.push_str(&format!(" DEFAULT {default}"));
    }
    text
}

fn parameters(routine: &RoutineDescriptor, defaults: bool) -> String {
    let procedure = routine.kind == RoutineKind::Procedure;
    let all = routine.parameters.iter().map(|own| parameter(own, procedure, defaults));
    all.collect::<Vec<_>>().join(", ")
}

/// The parameters of a function, as CREATE FUNCTION has them.
pub(crate) fn function_arguments(scope: &Scope, oid: i64) -> Option<String> {
    routine(scope, oid).map(|routine| parameters(&routine, true))
}

/// The parameters by which it is told from others.
pub(crate) fn function_identity(scope: &Scope, oid: i64) -> Option<String> {
    routine(scope, oid).map(|routine| parameters(&routine, false))
}

/// What a function gives, as behind RETURNS; `None` for procedures.
pub(crate) fn function_result(scope: &Scope, oid: i64) -> Option<String> {
    routine(scope, oid).and_then(|routine| result(&scope.txn.catalog(), &routine))
}

fn result(catalog: &Catalog, routine: &RoutineDescriptor) -> Option<String> {
    if routine.kind == RoutineKind::Procedure {
        return None;
    }
    let set_of = |set: bool, what: String| if set { format!("SETOF {what}") } else { what };
    let out = routine.parameters.iter().any(|own| own.mode != ParameterMode::In);
    Some(match &routine.returns {
        Returns::Void => "void".to_owned(),
        Returns::Trigger => "trigger".to_owned(),
        Returns::Value { ty, set } => set_of(*set, ty.sql_name()),
        Returns::Rows { columns, set } if out => match columns.as_slice() {
            [(_, ty)] => set_of(*set, ty.sql_name()),
            _ => set_of(*set, "record".to_owned()),
        },
        Returns::Rows { columns, .. } => {
            let column = |(name, ty): &(String, cairn_types::DataType)| {
                format!("{} {}", quote_ident(name), ty.sql_name())
            };
            format!("TABLE({})", columns.iter().map(column).collect::<Vec<_>>().join(", "))
        }
        Returns::Relation { object, set } => {
            let table = catalog.table_by_id(*object).map(|table| (&table.schema, &table.name));
            let found = table.or_else(|| catalog.view_by_id(*object).map(|view| (&view.schema, &view.name)));
            let (schema, name) = found?;
            let name = match schema == PUBLIC {
                true => quote_ident(name),
                false => format!("{}.{}", quote_ident(schema), quote_ident(name)),
            };
            set_of(*set, name)
        }
    })
}

/// CREATE OR REPLACE FUNCTION or PROCEDURE.
pub(crate) fn function_definition(scope: &Scope, oid: i64) -> Option<String> {
    let routine = routine(scope, oid)?;
    let word = routine.word();
    let mut text = format!(
        "CREATE OR REPLACE {} {}.{}({})\n",
        word.to_uppercase(),
        quote_ident(&routine.schema),
        quote_ident(&routine.name),
        parameters(&routine, true)
    );
    if let Some(result) = result(&scope.txn.catalog(), &routine) {
        text.push_str(&format!(" RETURNS {result}\n"));
    }
    text.push_str(" LANGUAGE sql\n");
    let mut attributes = Vec::new();
    match routine.volatility {
        RoutineVolatility::Immutable => attributes.push("IMMUTABLE"),
        RoutineVolatility::Stable => attributes.push("STABLE"),
        RoutineVolatility::Volatile => {}
    }
    if routine.strict {
        attributes.push("STRICT");
    }
    if routine.definer {
        attributes.push("SECURITY DEFINER");
    }
    if !attributes.is_empty() {
        text.push_str(&format!(" {}\n", attributes.join(" ")));
    }
    for (name, value) in &routine.settings {
        let values: Vec<String> = match name.as_str() {
            "search_path" => value.split(',').map(|own| own.trim().trim_matches('"').to_owned()).collect(),
            _ => vec![value.clone()],
        };
        let values: Vec<String> = values.iter().map(|own| format!("'{}'", own.replace('\'', "''"))).collect();
        text.push_str(&format!(" SET {name} TO {}\n", values.join(", ")));
    }
    let path = &scope.settings.search_path;
    match routine.form {
        BodyForm::Return => text.push_str(&format!("RETURN {}\n", unbound(&routine.body, path))),
        BodyForm::Atomic => {
            let body = unbound_statements(&routine.body, path);
            text.push_str(&format!("BEGIN ATOMIC\n {};\nEND\n", body.trim_end_matches(';')))
        }
        BodyForm::Text => {
            // A quote that the body does not have.
            let mut quote = format!("${word}");
            while routine.body.contains(&quote) {
                quote.push('x');
            }
            text.push_str(&format!("AS {quote}${}{quote}$\n", routine.body));
        }
    }
    Some(text)
}

/// CREATE TRIGGER.
pub(crate) fn trigger_definition(scope: &Scope, oid: i64) -> Option<String> {
    let catalog = scope.txn.catalog();
    let found = triggers(&catalog).find(|(relation, _, _, at, _)| trigger_id(*relation, *at) == oid);
    let (relation, schema, name, _, trigger) = found?;
    let columns: Vec<String> = match catalog.table_by_id(relation) {
        Some(table) => {
            let name = |id: &u32| table.column_by_id(*id).map(|column| quote_ident(&column.name));
            trigger.columns.iter().filter_map(name).collect()
        }
        None => Vec::new(),
    };
    let mut text = format!(
        "CREATE TRIGGER {} {} {} ON {}.{}",
        quote_ident(&trigger.name),
        match trigger.timing {
            TriggerTiming::Before => "BEFORE",
            TriggerTiming::After => "AFTER",
            TriggerTiming::InsteadOf => "INSTEAD OF",
        },
        events(trigger, &columns),
        quote_ident(schema),
        quote_ident(name)
    );
    if trigger.old_table.is_some() || trigger.new_table.is_some() {
        text.push_str(" REFERENCING");
        for (word, name) in [("OLD", &trigger.old_table), ("NEW", &trigger.new_table)] {
            if let Some(name) = name {
                text.push_str(&format!(" {word} TABLE AS {}", quote_ident(name)));
            }
        }
    }
    text.push_str(if trigger.per_row { " FOR EACH ROW" } else { " FOR EACH STATEMENT" });
    if let Some(when) = &trigger.when {
        let when = unbound(when, &scope.settings.search_path);
        text.push_str(&format!(" WHEN (({when}))"));
    }
    let function = catalog.routine_by_id(trigger.function)?;
    let visible = scope.settings.search_path.contains(&function.schema);
    let function_name = match visible {
        true => quote_ident(&function.name),
        false => format!("{}.{}", quote_ident(&function.schema), quote_ident(&function.name)),
    };
    text.push_str(&format!(" EXECUTE FUNCTION {function_name}({})", arguments(trigger)));
    Some(text)
}

fn events(trigger: &TriggerDescriptor, columns: &[String]) -> String {
    let mut all = Vec::new();
    if trigger.events.insert {
        all.push("INSERT".to_owned());
    }
    if trigger.events.delete {
        all.push("DELETE".to_owned());
    }
    if trigger.events.update {
        all.push(match columns.is_empty() {
            true => "UPDATE".to_owned(),
            false => format!("UPDATE OF {}", columns.join(", ")),
        });
    }
    if trigger.events.truncate {
        all.push("TRUNCATE".to_owned());
    }
    all.join(" OR ")
}
