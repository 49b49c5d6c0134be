//! Types that users have made, their fields, and the elements of arrays.

use cairn_engine::Catalog;
use cairn_engine::catalog::{Returns, TypeDescriptor, TypeKind};
use cairn_types::{DataType, Value};

use super::facts::{Facts, UDT};
use super::{DATABASE, I, T};
use crate::Result;
use crate::catalog::system::{Columns, Rows, SystemTable, named, optional, text, yes_no};
use crate::context::Context;
use crate::privileges::may_know;

/// The tables of this part.
pub(super) const TABLES: &[SystemTable] = &[
    SystemTable { name: "domains", columns: DOMAINS, rows: domains },
    SystemTable { name: "user_defined_types", columns: TYPES, rows: types },
    SystemTable { name: "attributes", columns: ATTRIBUTES, rows: attributes },
    SystemTable { name: "element_types", columns: ELEMENTS, rows: elements },
    SystemTable {
        name: "data_type_privileges",
        columns: &[
            ("object_catalog", T),
            ("object_schema", T),
            ("object_name", T),
            ("object_type", T),
            ("dtd_identifier", T),
        ],
        rows: |context, catalog| {
            let mut rows = Rows::new();
            each_type(context, catalog, |of| {
                let kind = if of.kind == "VIEW" { "TABLE" } else { of.kind };
                let number = text(of.number.to_string());
                rows.push(vec![text(DATABASE), text(of.schema), text(of.name), text(kind), number]);
            });
            Ok(rows)
        },
    },
    SystemTable {
        name: "column_udt_usage",
        columns: &[
            ("udt_catalog", T),
            ("udt_schema", T),
            ("udt_name", T),
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("column_name", T),
        ],
        rows: column_types,
    },
    SystemTable {
        name: "column_domain_usage",
        columns: &[
            ("domain_catalog", T),
            ("domain_schema", T),
            ("domain_name", T),
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("column_name", T),
        ],
        rows: column_domains,
    },
    SystemTable {
        name: "domain_udt_usage",
        columns: &[
            ("udt_catalog", T),
            ("udt_schema", T),
            ("udt_name", T),
            ("domain_catalog", T),
            ("domain_schema", T),
            ("domain_name", T),
        ],
        rows: domain_types,
    },
];

const DOMAINS: Columns = &[
    ("domain_catalog", T),
    ("domain_schema", T),
    ("domain_name", T),
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
    ("domain_default", T),
    ("udt_catalog", T),
    ("udt_schema", T),
    ("udt_name", T),
    ("scope_catalog", T),
    ("scope_schema", T),
    ("scope_name", T),
    ("maximum_cardinality", I),
    ("dtd_identifier", T),
];
const TYPES: Columns = &[
    ("user_defined_type_catalog", T),
    ("user_defined_type_schema", T),
    ("user_defined_type_name", T),
    ("user_defined_type_category", T),
    ("is_instantiable", T),
    ("is_final", T),
    ("ordering_form", T),
    ("ordering_category", T),
    ("ordering_routine_catalog", T),
    ("ordering_routine_schema", T),
    ("ordering_routine_name", T),
    ("reference_type", T),
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
    ("source_dtd_identifier", T),
    ("ref_dtd_identifier", T),
];
const ATTRIBUTES: Columns = &[
    ("udt_catalog", T),
    ("udt_schema", T),
    ("udt_name", T),
    ("attribute_name", T),
    ("ordinal_position", I),
    ("attribute_default", T),
    ("is_nullable", T),
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
    ("attribute_udt_catalog", T),
    ("attribute_udt_schema", T),
    ("attribute_udt_name", T),
    ("scope_catalog", T),
    ("scope_schema", T),
    ("scope_name", T),
    ("maximum_cardinality", I),
    ("dtd_identifier", T),
    ("is_derived_reference_attribute", T),
];
const ELEMENTS: Columns = &[
    ("object_catalog", T),
    ("object_schema", T),
    ("object_name", T),
    ("object_type", T),
    ("collection_type_identifier", T),
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
    ("domain_default", T),
    ("udt_catalog", T),
    ("udt_schema", T),
    ("udt_name", T),
    ("scope_catalog", T),
    ("scope_schema", T),
    ("scope_name", T),
    ("maximum_cardinality", I),
    ("dtd_identifier", T),
];

/// A domain: its descriptor, the type below, its default.
fn all_domains<'c>(
    context: &Context,
    catalog: &'c Catalog,
) -> impl Iterator<Item = (&'c TypeDescriptor, &'c DataType, Option<&'c str>)> {
    let known = |ty: &&std::sync::Arc<TypeDescriptor>| may_know(context, ty.id);
    catalog.types().filter(known).filter_map(|ty| match &ty.kind {
        TypeKind::Domain { base, default, .. } => Some((&**ty, base, default.as_deref())),
        _ => None,
    })
}

fn domains(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let path = &context.scope.settings.search_path;
    let row = |(own, base, default): (&TypeDescriptor, &DataType, Option<&str>)| {
        let facts = Facts(base);
        let mut all = vec![
            ("domain_catalog", text(DATABASE)),
            ("domain_schema", text(&own.schema)),
            ("domain_name", text(&own.name)),
        ];
        all.extend(facts.described());
        let default = default.map_or(Value::Null, |sql| text(crate::dml::default::shown(sql, path)));
        all.push(("domain_default", default));
        all.extend(facts.named(UDT));
        all.push(("dtd_identifier", text("1")));
        named(DOMAINS, all)
    };
    Ok(all_domains(context, catalog).map(row).collect())
}

fn types(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let structured = catalog.types().filter(|ty| matches!(ty.kind, TypeKind::Composite(_)));
    let row = |ty: &TypeDescriptor| {
        let all = [
            ("user_defined_type_catalog", text(DATABASE)),
            ("user_defined_type_schema", text(&ty.schema)),
            ("user_defined_type_name", text(&ty.name)),
            ("user_defined_type_category", text("STRUCTURED")),
            ("is_instantiable", yes_no(true)),
        ];
        named(TYPES, all)
    };
    Ok(structured.filter(|ty| may_know(context, ty.id)).map(|ty| row(ty)).collect())
}

fn attributes(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for ty in catalog.types().filter(|ty| may_know(context, ty.id)) {
        let TypeKind::Composite(fields) = &ty.kind else { continue };
        for (at, field) in fields.iter().filter(|field| !field.dropped).enumerate() {
            let facts = Facts(&field.ty);
            let mut all = vec![
                ("udt_catalog", text(DATABASE)),
                ("udt_schema", text(&ty.schema)),
                ("udt_name", text(&ty.name)),
                ("attribute_name", text(&field.name)),
                ("ordinal_position", Value::Integer(at as i32 + 1)),
                ("is_nullable", yes_no(true)),
            ];
            all.extend(facts.described());
            all.extend(facts.named(["attribute_udt_catalog", "attribute_udt_schema", "attribute_udt_name"]));
            all.push(("dtd_identifier", text((at + 1).to_string())));
            all.push(("is_derived_reference_attribute", yes_no(false)));
            rows.push(named(ATTRIBUTES, all));
        }
    }
    Ok(rows)
}

/// A type that an object has: of a column, a domain, a field, a parameter or a result.
struct Typed<'t> {
    schema: &'t str,
    name: &'t str,
    kind: &'static str,
    number: usize,
    ty: &'t DataType,
}

/// Calls `each` for the types of all objects.
fn each_type(context: &Context, catalog: &Catalog, mut each: impl FnMut(Typed<'_>)) {
    let mut push = |(schema, name): (&str, &str), kind: &'static str, number: usize, ty: &DataType| {
        each(Typed { schema, name, kind, number, ty });
    };
    for table in catalog.tables().filter(|own| own.materialized.is_none() && may_know(context, own.id)) {
        for (column, number) in table.live_columns().zip(1..) {
            push((&table.schema, &table.name), "TABLE", number, &column.ty);
        }
    }
    for view in catalog.views().filter(|own| may_know(context, own.id)) {
        for (column, number) in view.columns.iter().zip(1..) {
            push((&view.schema, &view.name), "VIEW", number, &column.ty);
        }
    }
    for (own, base, _) in all_domains(context, catalog) {
        push((&own.schema, &own.name), "DOMAIN", 1, base);
    }
    for ty in catalog.types().filter(|ty| may_know(context, ty.id)) {
        let TypeKind::Composite(fields) = &ty.kind else { continue };
        for (field, number) in fields.iter().filter(|field| !field.dropped).zip(1..) {
            push((&ty.schema, &ty.name), "USER-DEFINED TYPE", number, &field.ty);
        }
    }
    for routine in catalog.routines().filter(|own| may_know(context, own.id)) {
        let specific = format!("{}_{}", routine.name, routine.id);
        if let Returns::Value { ty, .. } = &routine.returns {
            push((&routine.schema, &specific), "ROUTINE", 0, ty);
        }
        for (parameter, number) in routine.parameters.iter().zip(1..) {
            push((&routine.schema, &specific), "ROUTINE", number, &parameter.ty);
        }
    }
}

/// The elements of what is an array.
fn elements(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    each_type(context, catalog, |of| {
        let DataType::Array(inner) = of.ty else { return };
        let mut element = &**inner;
        while let DataType::Array(inner) = element {
            element = inner;
        }
        let facts = Facts(element);
        let mut all = vec![
            ("object_catalog", text(DATABASE)),
            ("object_schema", text(of.schema)),
            ("object_name", text(of.name)),
            ("object_type", text(of.kind)),
            ("collection_type_identifier", text(of.number.to_string())),
            ("data_type", text(facts.word())),
        ];
        all.extend(facts.named(UDT));
        all.push(("dtd_identifier", text(format!("a{}", of.number))));
        rows.push(named(ELEMENTS, all));
    });
    Ok(rows)
}

fn values(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Vec<Value> {
    pairs.into_iter().map(|(_, value)| value).collect()
}

fn column_types(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    let owned = |id: u32| catalog.has_privileges_of(context.role(), catalog.owner(id));
    let mut push = |schema: &str, table: &str, column: &str, ty: &DataType| {
        let mut row = values(Facts(ty).named(UDT));
        row.extend([text(DATABASE), text(schema), text(table), text(column)]);
        rows.push(row);
    };
    for table in catalog.tables().filter(|own| owned(own.id)) {
        table.live_columns().for_each(|column| push(&table.schema, &table.name, &column.name, &column.ty));
    }
    for view in catalog.views().filter(|own| owned(own.id)) {
        view.columns.iter().for_each(|column| push(&view.schema, &view.name, &column.name, &column.ty));
    }
    Ok(rows)
}

fn column_domains(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in catalog.tables() {
        for column in table.live_columns() {
            let Some(domain) = column.domain.and_then(|id| catalog.type_by_id(id)) else { continue };
            rows.push(vec![
                text(DATABASE),
                text(&domain.schema),
                text(&domain.name),
                text(DATABASE),
                text(&table.schema),
                text(&table.name),
                text(&column.name),
            ]);
        }
    }
    Ok(rows)
}

fn domain_types(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let row = |(own, base, _): (&TypeDescriptor, &DataType, Option<&str>)| {
        let mut row = values(Facts(base).named(UDT));
        row.extend([text(DATABASE), optional(Some(&own.schema)), text(&own.name)]);
        row
    };
    Ok(all_domains(context, catalog).map(row).collect())
}
