//! What depends on what: `pg_depend`; and `pg_rewrite`, whose rules stand there for views.

use cairn_engine::Catalog;
use cairn_engine::catalog::{Dependency, Table, TypeKind};
use cairn_types::coded::MADE_TYPES;
use cairn_types::{Coded, DataType, Value};

use super::constraints::constraints;
use super::indexes::all_indexes;
use super::programs::{trigger_id, triggers};
use super::types::type_oid;
use super::{PG_CATALOG_ID, class_id, default_id, derived, schema_ids};
use crate::Result;
use crate::catalog::column_type::ColumnType::{Bool, Char, Int4, Name, Oid, Text};
use crate::catalog::system::{Columns, Rows, SystemTable, named, oid, text};
use crate::context::Context;

/// `pg_depend`.
pub(super) const PG_DEPEND: SystemTable = SystemTable { name: "pg_depend", columns: DEPEND, rows: pg_depend };
/// `pg_rewrite`.
pub(super) const PG_REWRITE: SystemTable =
    SystemTable { name: "pg_rewrite", columns: REWRITE, rows: pg_rewrite };
/// `pg_rules`: without those of views, as in PostgreSQL.
pub(super) const PG_RULES: SystemTable = SystemTable::empty(
    "pg_rules",
    &[("schemaname", Name), ("tablename", Name), ("rulename", Name), ("definition", Text)],
);

const DEPEND: Columns = &[
    ("classid", Oid),
    ("objid", Oid),
    ("objsubid", Int4),
    ("refclassid", Oid),
    ("refobjid", Oid),
    ("refobjsubid", Int4),
    ("deptype", Char),
];
const REWRITE: Columns = &[
    ("oid", Oid),
    ("rulename", Name),
    ("ev_class", Oid),
    ("ev_type", Char),
    ("ev_enabled", Char),
    ("is_instead", Bool),
    ("ev_qual", Text),
    ("ev_action", Text),
];

/// The rule that makes a view has the view's number.
fn pg_rewrite(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let views = catalog.views().map(|view| (view.id, view.sql.as_str()));
    let own = catalog.tables().filter_map(|t| t.materialized.as_ref().map(|own| (t.id, own.sql.as_str())));
    let row = |(id, sql): (u32, &str)| {
        named(
            REWRITE,
            [
                ("oid", oid(id)),
                ("rulename", text("_RETURN")),
                ("ev_class", oid(id)),
                ("ev_type", text("1")),
                ("ev_enabled", text("O")),
                ("is_instead", Value::Boolean(true)),
                ("ev_qual", text("<>")),
                ("ev_action", text(sql)),
            ],
        )
    };
    Ok(views.chain(own).map(row).collect())
}

/// An object: its table, its number, the number of a column or 0.
type Object = (&'static str, i64, i32);

/// Gathers rows of `pg_depend`.
struct Depend<'c> {
    catalog: &'c Catalog,
    rows: Rows,
}

impl Depend<'_> {
    fn push(&mut self, object: Object, on: Object, kind: &str) {
        self.rows.push(vec![
            oid(class_id(object.0)),
            oid(object.1),
            Value::Integer(object.2),
            oid(class_id(on.0)),
            oid(on.1),
            Value::Integer(on.2),
            text(kind),
        ]);
    }

    /// A type that users have made, which an object needs.
    fn on_type(&mut self, object: Object, ty: &DataType, domain: Option<u32>) {
        let inner = match ty {
            DataType::Array(item) => item,
            other => other,
        };
        let made = matches!(inner, DataType::Coded(Coded::Enum(_) | Coded::Composite(_)))
            && inner.pg_oid() & MADE_TYPES != 0;
        let id = domain.map(type_oid).or(made.then(|| i64::from(inner.pg_oid())));
        if let Some(id) = id {
            self.push(object, ("pg_type", id, 0), "n");
        }
    }

    /// The number of a column in its table.
    fn number(&self, table: u32, column: u32) -> i32 {
        let place = self.catalog.table_by_id(table).and_then(|table| table.place_of(column));
        place.map_or(0, |place| place as i32 + 1)
    }

    fn table(&mut self, table: &Table) {
        let own = i64::from(table.id);
        self.push(("pg_type", type_oid(table.id), 0), ("pg_class", own, 0), "i");
        for (at, column) in table.live_columns().enumerate() {
            let object = ("pg_class", own, at as i32 + 1);
            self.on_type(object, &column.ty, column.domain);
            let Some(default) = column.default.as_deref().or(column.generated.as_ref().map(|own| &*own.sql))
            else {
                continue;
            };
            let id = default_id(table.id, at);
            self.push(("pg_attrdef", id, 0), object, "a");
            if let Some(sequence) = self.sequence_of(default, &table.schema) {
                self.push(("pg_attrdef", id, 0), ("pg_class", sequence, 0), "n");
            }
        }
        if let Some(part) = &table.partition {
            self.push(("pg_class", own, 0), ("pg_class", i64::from(part.parent), 0), "a");
        }
        let constraints = constraints(self.catalog, table);
        for index in all_indexes(table) {
            let object = ("pg_class", derived(table.id, i64::from(index.id)), 0);
            match constraints.iter().find(|own| own.index == object.1 && own.foreign.is_none()) {
                Some(constraint) => self.push(object, ("pg_constraint", constraint.id, 0), "i"),
                None => {
                    let places = index.attributes(table).into_iter().filter_map(|own| own.2);
                    for place in places.map(|place| place as i32 + 1) {
                        self.push(object, ("pg_class", own, place), "a");
                    }
                    self.push(object, ("pg_class", own, 0), "a");
                }
            }
        }
        for constraint in &constraints {
            let object = ("pg_constraint", constraint.id, 0);
            if constraint.columns.is_empty() {
                self.push(object, ("pg_class", own, 0), "a");
            }
            for number in &constraint.columns {
                self.push(object, ("pg_class", own, i32::from(*number)), "a");
            }
            if let Some(key) = constraint.foreign {
                for column in &key.parent_columns {
                    let number = self.number(key.parent, *column);
                    self.push(object, ("pg_class", i64::from(key.parent), number), "n");
                }
                if constraint.index != 0 {
                    self.push(object, ("pg_class", constraint.index, 0), "n");
                }
            }
        }
    }

    /// The sequence that a default takes its values from.
    fn sequence_of(&self, default: &str, schema: &str) -> Option<i64> {
        let name = crate::dml::default::sequence_name(default)?;
        let parts: Vec<&str> = name.split('.').map(|part| part.trim_matches('"')).collect();
        let own = |own: &cairn_engine::catalog::SequenceDescriptor| match parts.as_slice() {
            [name] => own.name == *name && own.schema == schema,
            [schema, name] => own.name == *name && own.schema == *schema,
            _ => false,
        };
        let found = self.catalog.sequences().find(|sequence| own(sequence));
        found.map(|sequence| i64::from(sequence.id))
    }

    fn view(&mut self, id: u32, depends_on: &[Dependency]) {
        let rule = ("pg_rewrite", i64::from(id), 0);
        self.push(rule, ("pg_class", i64::from(id), 0), "i");
        self.push(rule, ("pg_class", i64::from(id), 0), "n");
        for one in depends_on {
            if self.catalog.routine_by_id(one.object).is_some() {
                self.push(rule, ("pg_proc", i64::from(one.object), 0), "n");
                continue;
            }
            if self.catalog.type_by_id(one.object).is_some() {
                self.push(rule, ("pg_type", type_oid(one.object), 0), "n");
                continue;
            }
            let on = ("pg_class", i64::from(one.object), 0);
            if one.columns.is_empty() {
                self.push(rule, on, "n");
            }
            for column in &one.columns {
                let number = self.number(one.object, *column);
                self.push(rule, (on.0, on.1, number), "n");
            }
        }
    }
}

fn pg_depend(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut all = Depend { catalog, rows: Rows::new() };
    let schemas = schema_ids(catalog);
    let namespace = |name: &str| ("pg_namespace", schemas.get(name).copied().unwrap_or(PG_CATALOG_ID), 0);
    for table in catalog.tables() {
        all.table(table);
        all.push(("pg_class", i64::from(table.id), 0), namespace(&table.schema), "n");
        if let Some(own) = &table.materialized {
            all.view(table.id, &own.depends_on);
        }
    }
    for view in catalog.views() {
        all.view(view.id, &view.depends_on);
        all.push(("pg_class", i64::from(view.id), 0), namespace(&view.schema), "n");
    }
    for sequence in catalog.sequences() {
        let object = ("pg_class", i64::from(sequence.id), 0);
        all.push(object, namespace(&sequence.schema), "n");
        if let Some((table, column)) = sequence.owned_by {
            let number = all.number(table, column);
            let descriptor = catalog.table_by_id(table).and_then(|table| table.column_by_id(column));
            let identity = descriptor.is_some_and(|column| column.identity.is_some());
            all.push(object, ("pg_class", i64::from(table), number), if identity { "i" } else { "a" });
        }
    }
    for ty in catalog.types() {
        let object = ("pg_type", type_oid(ty.id), 0);
        all.push(object, namespace(&ty.schema), "n");
        match &ty.kind {
            TypeKind::Composite(fields) => {
                all.push(("pg_class", i64::from(ty.id), 0), object, "i");
                let live = fields.iter().filter(|field| !field.dropped);
                for (at, field) in live.enumerate() {
                    all.on_type(("pg_class", i64::from(ty.id), at as i32 + 1), &field.ty, None);
                }
            }
            TypeKind::Domain { base, checks, .. } => {
                all.on_type(object, base, None);
                for at in 0..checks.len() {
                    let constraint = super::constraints::of_domain_id(ty.id, at);
                    all.push(("pg_constraint", constraint, 0), object, "a");
                }
            }
            TypeKind::Enum(_) => {}
        }
    }
    for routine in catalog.routines() {
        let object = ("pg_proc", i64::from(routine.id), 0);
        all.push(object, namespace(&routine.schema), "n");
        for on in &routine.depends_on {
            all.push(object, ("pg_class", i64::from(*on), 0), "n");
        }
        for ty in routine.types() {
            all.on_type(object, ty, None);
        }
    }
    for (relation, _, _, at, trigger) in triggers(catalog) {
        let object = ("pg_trigger", trigger_id(relation, at), 0);
        all.push(object, ("pg_class", i64::from(relation), 0), "a");
        all.push(object, ("pg_proc", i64::from(trigger.function), 0), "n");
    }
    Ok(all.rows)
}
