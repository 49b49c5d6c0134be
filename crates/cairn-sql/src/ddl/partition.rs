//! PARTITION BY, PARTITION OF, ATTACH and DETACH PARTITION, and ALTER TABLE of tables with partitions.
//!
//! I1: what ALTER TABLE does to the columns of a table is done to those of its partitions in the same statement, and never
//! to those of a partition alone.

use std::sync::Arc;

use cairn_engine::catalog::{Column, PartitionBound, PartitionStrategy, RangeEnd, Relation};
use cairn_engine::ddl::{ColumnSpec, ExpressionSpec, PartitionBySpec, PartitionOfSpec, TableSpec};
use cairn_engine::{Catalog, Table};
use cairn_types::{DataType, Value};
use sqlparser::ast::{
    self, AlterColumnOperation, AlterTableOperation, ColumnDef, CreateTable, Expr, ForValues, FunctionArg,
    FunctionArgExpr, FunctionArguments, Ident, ObjectName, PartitionBoundValue, Statement, TableConstraint,
};

use super::names::{self, Kind};
use super::{column, create};
use crate::context::Context;
use crate::dml::default::Default;
use crate::parse::partition_columns::INHERITED;
use crate::session::temporary;
use crate::session::variables::fold;
use crate::{Error, Result};

/// The PARTITION BY of a CREATE TABLE.
///
/// # Errors
/// `0A000` for expressions in the key, `42601`.
pub(super) fn by(create: &CreateTable) -> Result<Option<PartitionBySpec>> {
    let Some(by) = create.partition_by.as_deref() else { return Ok(None) };
    let syntax = || Error::new("42601", format!("syntax error at or near \"{by}\""));
    let Expr::Function(call) = by else { return Err(syntax()) };
    let strategy = match call.name.to_string().to_ascii_lowercase().as_str() {
        "range" => PartitionStrategy::Range,
        "list" => PartitionStrategy::List,
        "hash" => PartitionStrategy::Hash,
        other => {
            return Err(Error::new("22023", format!("unrecognized partitioning strategy \"{other}\"")));
        }
    };
    let FunctionArguments::List(list) = &call.args else { return Err(syntax()) };
    let mut columns = Vec::new();
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(ident))) => columns.push(fold(ident)),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Collate { .. })) => {
                return Err(Error::unsupported("a collation in a partition key"));
            }
            FunctionArg::Unnamed(FunctionArgExpr::Expr(_)) => {
                return Err(Error::unsupported("an expression in a partition key"));
            }
            _ => return Err(syntax()),
        }
    }
    if columns.is_empty() {
        return Err(syntax());
    }
    Ok(Some(PartitionBySpec { strategy, columns }))
}

/// The partitioned table of that name.
fn parent_of(context: &Context, catalog: &Catalog, name: &ObjectName) -> Result<Arc<Table>> {
    match names::require(context, catalog, name, Kind::Table)?.2 {
        Relation::Table(table) => Ok(table),
        _ => Err(Error::internal("a table is no table")),
    }
}

/// What CREATE TABLE … PARTITION OF asks for.
pub(super) fn spec(
    context: &Context,
    catalog: &Catalog,
    create: &CreateTable,
    parent: &ObjectName,
    schema: String,
    name: String,
) -> Result<TableSpec> {
    if create.like.is_some() || create.query.is_some() {
        return Err(Error::new("42601", "syntax error: PARTITION OF takes neither LIKE nor AS"));
    }
    let parent = parent_of(context, catalog, parent)?;
    if !parent.is_partitioned() {
        return Err(Error::new("42P17", format!("\"{}\" is not partitioned", parent.name)));
    }
    same_lifetime(&parent, &schema)?;
    let Some(values) = &create.for_values else {
        return Err(Error::new("42601", "syntax error: FOR VALUES or DEFAULT is missing"));
    };
    let bound = bound(context, catalog, &parent, values)?;
    let mut spec = TableSpec { schema, name: name.clone(), ..TableSpec::default() };
    for column in parent.live_columns() {
        let names = |id: &u32| parent.column_by_id(*id).map(|column| column.name.clone());
        spec.columns.push(ColumnSpec {
            nullable: column.nullable,
            default: column.default.clone(),
            expression: column.generated.as_ref().map(|own| ExpressionSpec {
                sql: own.sql.clone(),
                ty: column.ty.clone(),
                columns: own.columns.iter().filter_map(names).collect(),
            }),
            domain: column.domain,
            ..ColumnSpec::new(column.name.clone(), column.ty.clone())
        });
    }
    let mut checks = Vec::new();
    for def in &create.columns {
        let own = fold(&def.name);
        let Some(column) = spec.columns.iter_mut().find(|column| column.name == own) else {
            return Err(Error::new("42703", format!("column \"{own}\" does not exist")));
        };
        let defined = column::define(context, &name, &with_type(def, &column.ty)?)?;
        if defined.expression.is_some() || defined.column.generation.is_some() {
            return Err(Error::unsupported("a generated or identity column of a partition"));
        }
        column.nullable &= defined.column.nullable;
        if defined.column.default.is_some() {
            column.default = defined.column.default;
        }
        spec.constraints.extend(defined.constraints);
        checks.extend(defined.checks);
    }
    for constraint in &create.constraints {
        let (constraint, check) = column::constraint(context, constraint)?;
        spec.constraints.push(constraint);
        checks.extend(check);
    }
    let columns: Vec<(String, DataType)> =
        spec.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect();
    for check in &checks {
        column::validate_check(context, &name, &columns, check)?;
    }
    create::keep_columns_of_checks(&mut spec.constraints, &columns);
    let parent = (parent.schema.clone(), parent.name.clone());
    spec.partition_of = Some(PartitionOfSpec { parent, bound });
    Ok(spec)
}

/// A definition of a partition's column, which says no type, with that type.
fn with_type(def: &ColumnDef, ty: &DataType) -> Result<ColumnDef> {
    let mut def = def.clone();
    let own = def.data_type.to_string();
    if def.data_type == ast::DataType::Unspecified || own.eq_ignore_ascii_case(INHERITED) {
        let text = format!("CREATE TABLE t (c {})", ty.sql_name());
        let Statement::CreateTable(typed) = crate::parse::parse_text(&text)? else {
            return Err(Error::internal("a type cannot be read again"));
        };
        if let Some(typed) = typed.columns.into_iter().next() {
            def.data_type = typed.data_type;
        }
    }
    Ok(def)
}

/// Temporary tables and others are no partitions of each other.
fn same_lifetime(parent: &Table, schema: &str) -> Result<()> {
    let refuse = |message: String| Err(Error::new("42809", message));
    match (temporary::is_temporary(&parent.schema), temporary::is_temporary(schema)) {
        (false, true) => refuse(format!(
            "cannot create a temporary relation as partition of permanent relation \"{}\"",
            parent.name
        )),
        (true, false) => refuse(format!(
            "cannot create a permanent relation as partition of temporary relation \"{}\"",
            parent.name
        )),
        _ => Ok(()),
    }
}

/// FOR VALUES, with its values as the key's types.
fn bound(context: &Context, catalog: &Catalog, parent: &Table, values: &ForValues) -> Result<PartitionBound> {
    let Some(own) = &parent.partitioning else {
        return Err(Error::new("42P17", format!("table \"{}\" is not partitioned", parent.name)));
    };
    let key: Vec<&Column> = own.columns.iter().filter_map(|id| parent.column_by_id(*id)).collect();
    debug_assert_eq!(catalog.partitions(parent).key().len(), key.len());
    let wrong = || {
        let message = format!("invalid bound specification for a {} partition", own.strategy.word());
        Err(Error::new("42P16", message))
    };
    match (values, own.strategy) {
        (ForValues::Default, _) => Ok(PartitionBound::Default),
        (ForValues::In(list), PartitionStrategy::List) => {
            let mut values: Vec<Value> = Vec::new();
            for expr in list {
                let value = constant(context, key[0], expr)?;
                if !values.contains(&value) {
                    values.push(value);
                }
            }
            Ok(PartitionBound::List(values))
        }
        (ForValues::From { from, to }, PartitionStrategy::Range) => {
            for (ends, word) in [(from, "FROM"), (to, "TO")] {
                if ends.len() != key.len() {
                    let message = format!("{word} must specify exactly one value per partitioning column");
                    return Err(Error::new("42P16", message));
                }
            }
            Ok(PartitionBound::Range { from: ends(context, &key, from)?, to: ends(context, &key, to)? })
        }
        (ForValues::With { modulus, remainder }, PartitionStrategy::Hash) => {
            let modulus = u32::try_from(*modulus).ok().filter(|n| (1..=i32::MAX as u32).contains(n));
            let Some(modulus) = modulus else {
                let message = "modulus for hash partition must be an integer value greater than zero";
                return Err(Error::new("42P16", message));
            };
            match u32::try_from(*remainder).ok().filter(|remainder| *remainder < modulus) {
                Some(remainder) => Ok(PartitionBound::Hash { modulus, remainder }),
                None => Err(Error::new("42P16", "remainder for hash partition must be less than modulus")),
            }
        }
        _ => wrong(),
    }
}

fn ends(context: &Context, key: &[&Column], ends: &[PartitionBoundValue]) -> Result<Vec<RangeEnd>> {
    let mut read: Vec<RangeEnd> = Vec::with_capacity(ends.len());
    for (end, column) in ends.iter().zip(key) {
        let end = match end {
            PartitionBoundValue::MinValue => RangeEnd::Min,
            PartitionBoundValue::MaxValue => RangeEnd::Max,
            PartitionBoundValue::Expr(expr) => match constant(context, column, expr)? {
                Value::Null => return Err(Error::new("42P17", "cannot specify NULL in range bound")),
                value => RangeEnd::Value(value),
            },
        };
        match read.last() {
            Some(RangeEnd::Min) if end != RangeEnd::Min => {
                return Err(Error::new("42804", "every bound following MINVALUE must also be MINVALUE"));
            }
            Some(RangeEnd::Max) if end != RangeEnd::Max => {
                return Err(Error::new("42804", "every bound following MAXVALUE must also be MAXVALUE"));
            }
            _ => read.push(end),
        }
    }
    Ok(read)
}

/// A constant as a value of a column.
fn constant(context: &Context, column: &Column, expr: &Expr) -> Result<Value> {
    column::refuse_subquery(expr, "partition bound")?;
    if !column::identifiers(expr).is_empty() {
        return Err(Error::new("42P17", "cannot use column reference in partition bound expression"));
    }
    let own = Column {
        default: Some(expr.to_string()),
        generated: None,
        identity: None,
        domain: None,
        ..column.clone()
    };
    Default::of(context, &own)?.value(context, &own)
}

/// ALTER TABLE … ATTACH PARTITION.
pub(super) fn attach(
    context: &Context,
    table: &ObjectName,
    name: &ObjectName,
    values: &ForValues,
) -> Result<()> {
    let catalog = context.catalog()?;
    let parent = parent_of(context, &catalog, table)?;
    let partition = parent_of(context, &catalog, name)?;
    let bound = bound(context, &catalog, &parent, values)?;
    let (parent, partition) = (
        (parent.schema.as_str(), parent.name.as_str()),
        (partition.schema.as_str(), partition.name.as_str()),
    );
    if temporary::is_temporary(parent.0) != temporary::is_temporary(partition.0) {
        let (own, other) = match temporary::is_temporary(parent.0) {
            true => ("permanent", "temporary"),
            false => ("temporary", "permanent"),
        };
        let message =
            format!("cannot attach a {own} relation as partition of {other} relation \"{}\"", parent.1);
        return Err(Error::new("42809", message));
    }
    Ok(context.txn().attach_partition(parent, partition, bound)?)
}

/// ALTER TABLE … DETACH PARTITION.
pub(super) fn detach(context: &Context, table: &ObjectName, name: &ObjectName) -> Result<()> {
    let catalog = context.catalog()?;
    let parent = parent_of(context, &catalog, table)?;
    let partition = parent_of(context, &catalog, name)?;
    let own = (parent.schema.as_str(), parent.name.as_str());
    Ok(context.txn().detach_partition(own, (partition.schema.as_str(), partition.name.as_str()))?)
}

/// Reads what follows FOR VALUES, which the parser knows in CREATE TABLE only.
pub(super) fn read_bound(text: &str) -> std::result::Result<ForValues, sqlparser::parser::ParserError> {
    let dialect = sqlparser::dialect::PostgreSqlDialect {};
    let text = format!("CREATE TABLE t PARTITION OF t {text}");
    let mut parser = sqlparser::parser::Parser::new(&dialect).try_with_sql(&text)?;
    let statement = parser.parse_statement()?;
    super::ends(&mut parser)?;
    match statement {
        Statement::CreateTable(CreateTable { for_values: Some(values), partition_by: None, .. }) => {
            Ok(values)
        }
        _ => Err(sqlparser::parser::ParserError::ParserError("Expected: FOR VALUES or DEFAULT".to_owned())),
    }
}

/// Refuses what ALTER TABLE cannot do to a partition or to a partitioned table alone.
pub(super) fn refuse(
    table: &Table,
    catalog: &Catalog,
    only: bool,
    operation: &AlterTableOperation,
) -> Result<()> {
    let inherited = |what: &str, column: &Ident| {
        Err(Error::new("42P16", format!("cannot {what} inherited column \"{}\"", fold(column))))
    };
    if let Some(own) = &table.partition {
        match operation {
            AlterTableOperation::AddColumn { .. } => {
                return Err(Error::new("42809", "cannot add column to a partition"));
            }
            AlterTableOperation::DropColumn { column_names, .. } => {
                for column in column_names {
                    if table.column_place(&fold(column)).is_some() {
                        return inherited("drop", column);
                    }
                }
            }
            AlterTableOperation::RenameColumn { old_column_name, .. } => {
                return inherited("rename", old_column_name);
            }
            AlterTableOperation::AlterColumn { column_name, op } => match op {
                AlterColumnOperation::SetDataType { .. } => return inherited("alter", column_name),
                AlterColumnOperation::DropNotNull => {
                    let above = catalog.table_by_id(own.parent);
                    let name = fold(column_name);
                    let column = above.and_then(|above| above.column(&name).ok());
                    let in_key = table.column(&name).is_ok_and(|own| table.primary_key.contains(&own.id));
                    if !in_key && column.is_some_and(|column| !column.nullable) {
                        let message = format!("column \"{name}\" is marked NOT NULL in parent table");
                        return Err(Error::new("42P16", message));
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
    match table.is_partitioned() {
        true => refuse_partitioned(table, catalog, only, operation),
        false => Ok(()),
    }
}

fn refuse_partitioned(
    table: &Table,
    catalog: &Catalog,
    only: bool,
    operation: &AlterTableOperation,
) -> Result<()> {
    let not_in_key = |column: &Ident, verb: &str| {
        let name = fold(column);
        let all = catalog.descendants(table.id);
        let mut keys = std::iter::once(table).chain(all.iter().map(Arc::as_ref));
        match keys.find(|own| catalog.partitions(own).key().iter().any(|(key, _)| *key == name)) {
            None => Ok(()),
            Some(own) => {
                let own = &own.name;
                let message = format!(
                    "cannot {verb} column \"{name}\" because it is part of the partition key of relation \"{own}\""
                );
                Err(Error::new("42P16", message))
            }
        }
    };
    match operation {
        AlterTableOperation::DropColumn { column_names, .. } => {
            column_names.iter().try_for_each(|column| not_in_key(column, "drop"))?;
        }
        AlterTableOperation::AlterColumn { column_name, op: AlterColumnOperation::SetDataType { .. } } => {
            not_in_key(column_name, "alter")?;
            let id = table.column(&fold(column_name)).map_or(0, |column| column.id);
            if table.indexes.iter().any(|index| !index.is_plain() && index.uses(id)) {
                return Err(Error::unsupported(
                    "ALTER COLUMN ... TYPE of a partitioned table with an expression or partial index on it",
                )
                .with_hint("Drop the index first."));
            }
        }
        AlterTableOperation::AddConstraint {
            constraint: TableConstraint::PrimaryKeyUsingIndex(_) | TableConstraint::UniqueUsingIndex(_),
            ..
        } => {
            return Err(Error::unsupported(
                "ALTER TABLE / ADD CONSTRAINT USING INDEX is not supported on partitioned tables",
            ));
        }
        _ => {}
    }
    if !only || catalog.partition_tables(table.id).next().is_none() {
        return Ok(());
    }
    let refuse = |message: &str| Err(Error::new("42P16", message));
    match operation {
        AlterTableOperation::AddColumn { .. } => refuse("column must be added to child tables too"),
        AlterTableOperation::AddConstraint { .. } => refuse("constraint must be added to child tables too"),
        AlterTableOperation::DropColumn { .. } => Err(Error::new(
            "42P16",
            "cannot drop column from only the partitioned table when partitions exist",
        )
        .with_hint("Do not specify the ONLY keyword.")),
        AlterTableOperation::RenameColumn { old_column_name, .. } => {
            let name = fold(old_column_name);
            refuse(&format!("inherited column \"{name}\" must be renamed in child tables too"))
        }
        AlterTableOperation::AlterColumn {
            op: AlterColumnOperation::SetDefault { .. } | AlterColumnOperation::DropDefault,
            ..
        } => Ok(()),
        _ => Err(Error::unsupported("ALTER TABLE ONLY of a table with partitions")),
    }
}

/// Whether an operation is done to the partitions of a table one by one, after it was done to the table.
pub(super) fn goes_down(operation: &AlterTableOperation) -> bool {
    matches!(
        operation,
        AlterTableOperation::DropColumn { .. }
            | AlterTableOperation::RenameColumn { .. }
            | AlterTableOperation::AlterColumn { .. }
    )
}
