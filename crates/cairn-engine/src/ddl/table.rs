//! CREATE, DROP and ALTER TABLE as a whole.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::sync::Arc;

use cairn_types::DataType;

use super::name;
use super::partition;
use super::removal::Removal;
use super::sequence;
use super::spec::{ColumnSpec, ConstraintSpec, ExpressionSpec, Generation, SequenceOptions, TableSpec};
use super::{constraint, find, not_read_by_views};
use crate::catalog::{
    Column, ColumnId, Generated, Identity, ObjectId, SequenceDescriptor, Table, TableDescriptor,
};
use crate::error::{Error, ObjectKind, Result};
use crate::transaction::{Transaction, Writer};

/// The greatest number of columns, as PostgreSQL has it.
const COLUMNS_MAX: usize = 1600;

impl Transaction {
    /// CREATE TABLE, with its indexes and owned sequences.
    ///
    /// # Errors
    /// [`Error::Duplicate`], [`Error::Undefined`], [`Error::InvalidDefinition`].
    pub fn create_table(&self, spec: TableSpec) -> Result<Arc<Table>> {
        self.write("CREATE TABLE", |writer| {
            name::usable_schema(&writer.catalog, &spec.schema)?;
            name::free(&writer.catalog, &spec.schema, &spec.name)?;
            let id = writer.new_id()?;
            let mut table = TableDescriptor {
                id,
                schema: spec.schema,
                name: spec.name,
                columns: Vec::new(),
                primary_key: Vec::new(),
                primary_key_name: String::new(),
                indexes: Vec::new(),
                checks: Vec::new(),
                foreign_keys: Vec::new(),
                next_column: 1,
                next_index: 1,
                comment: None,
                triggers: Vec::new(),
                materialized: spec.materialized,
                partitioning: None,
                partition: None,
                constraint_comments: BTreeMap::new(),
            };
            if spec.columns.len() > COLUMNS_MAX {
                let message = format!("tables can have at most {COLUMNS_MAX} columns");
                return Err(Error::definition("54011", message));
            }
            let mut names = HashSet::new();
            let mut sequences = Vec::new();
            let mut expressions = Vec::new();
            for mut column in spec.columns {
                if !names.insert(column.name.clone()) {
                    let message = format!("column \"{}\" specified more than once", column.name);
                    return Err(Error::Duplicate { kind: ObjectKind::Column, message });
                }
                expressions.extend(column.expression.take().map(|own| (column.name.clone(), own)));
                sequences.extend(add_column(writer, &mut table, column)?);
            }
            generate(&mut table, expressions)?;
            if let Some(own) = &spec.partition_by {
                table.partitioning = Some(partition::partitioning(&table, own)?);
            }
            // The table is there before its constraints, so that a foreign key can refer to it.
            writer.put_table(table)?;
            for sequence in sequences {
                sequence::create(writer, sequence)?;
            }
            let (keys, others): (Vec<_>, Vec<_>) = spec.constraints.into_iter().partition(is_key);
            for constraint in keys.into_iter().chain(others) {
                constraint::add(writer, id, constraint)?;
            }
            if let Some(own) = &spec.partition_of {
                let parent = find(writer, &own.parent.0, &own.parent.1)?;
                let child = table_by_id(writer, id)?;
                partition::attach(writer, &parent, &child, own.bound.clone(), true)?;
            }
            table_by_id(writer, id)
        })
    }

    /// DROP TABLE. All at once, so that tables that refer to each other go together. Rows, indexes and owned sequences go
    /// too; views and foreign keys of other tables with `cascade`.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::WrongObjectType`], [`Error::DependentObjects`].
    pub fn drop_tables(&self, tables: &[(&str, &str)], cascade: bool) -> Result<()> {
        self.write("DROP TABLE", |writer| {
            let mut removal = Removal::default();
            for (schema, name) in tables {
                removal.table(&*to_drop(writer.catalog.table(schema, name), ObjectKind::Table, name)?);
            }
            removal.run(writer, cascade)
        })
    }

    /// ALTER TABLE … RENAME TO.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`], [`Error::Unsupported`] where a view reads it.
    pub fn rename_table(&self, schema: &str, table: &str, new_name: &str) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let old = find(writer, schema, table)?;
            name::free(&writer.catalog, schema, new_name)?;
            not_read_by_views(writer, old.id, None, "rename", &format!("table \"{table}\""))?;
            writer.put_table(TableDescriptor { name: new_name.to_owned(), ..old.descriptor().clone() })?;
            Ok(())
        })
    }

    /// ALTER TABLE … SET SCHEMA; owned sequences move too.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`], [`Error::Unsupported`] where a view reads it.
    pub fn set_table_schema(&self, schema: &str, table: &str, new_schema: &str) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let old = find(writer, schema, table)?;
            name::usable_schema(&writer.catalog, new_schema)?;
            if schema == new_schema {
                return Ok(());
            }
            not_read_by_views(writer, old.id, None, "move", &format!("table \"{table}\""))?;
            let mut names = vec![old.name.as_str()];
            names.extend((!old.primary_key.is_empty()).then_some(old.primary_key_name.as_str()));
            names.extend(old.indexes.iter().map(|i| i.name.as_str()));
            for name in names {
                name::free(&writer.catalog, new_schema, name)?;
            }
            writer
                .put_table(TableDescriptor { schema: new_schema.to_owned(), ..old.descriptor().clone() })?;
            let owned: Vec<_> = writer.catalog.owned_sequences(old.id).cloned().collect();
            for sequence in owned {
                name::free(&writer.catalog, new_schema, &sequence.name)?;
                sequence::follow_default(writer, &sequence, new_schema, &sequence.name)?;
                writer.put_sequence(SequenceDescriptor {
                    schema: new_schema.to_owned(),
                    ..(*sequence).clone()
                })?;
            }
            Ok(())
        })
    }
}

/// What is to be dropped and is not there is named by its kind, as PostgreSQL does.
pub(super) fn to_drop<T>(found: Result<T>, kind: ObjectKind, name: &str) -> Result<T> {
    found.map_err(|e| match e {
        Error::Undefined { kind: ObjectKind::Relation, .. } => {
            let message = format!("{} \"{name}\" does not exist", kind.word());
            Error::Undefined { kind: ObjectKind::Relation, message }
        }
        other => other,
    })
}

fn is_key(constraint: &ConstraintSpec) -> bool {
    matches!(constraint, ConstraintSpec::PrimaryKey { .. } | ConstraintSpec::Unique { .. })
}

pub(super) fn table_by_id(writer: &Writer<'_>, id: ObjectId) -> Result<Arc<Table>> {
    let table = writer.catalog.table_by_id(id).cloned();
    table.ok_or_else(|| Error::corrupt("catalog", format!("table {id} is missing")))
}

/// Appends a column to the descriptor, and gives the sequence that it needs.
pub(super) fn add_column(
    writer: &Writer<'_>,
    table: &mut TableDescriptor,
    spec: ColumnSpec,
) -> Result<Option<SequenceDescriptor>> {
    if spec.name.is_empty() {
        return Err(Error::definition("42601", "zero-length delimited identifier"));
    }
    super::composite::not_itself(table, &spec.ty)?;
    super::composite::not_record(&spec.name, &spec.ty)?;
    let id = table.next_column;
    table.next_column += 1;
    let mut column = Column {
        id,
        name: spec.name,
        ty: spec.ty,
        nullable: spec.nullable,
        default: spec.default,
        missing: None,
        identity: None,
        generated: None,
        domain: spec.domain,
        dropped: false,
        comment: None,
    };
    let sequence = match spec.generation {
        None => None,
        Some(generation) => {
            let sequence = owned_sequence(writer, table, &column, &generation)?;
            match generation {
                Generation::Serial if column.default.is_some() => {
                    let message = format!(
                        "multiple default values specified for column \"{}\" of table \"{}\"",
                        column.name, table.name
                    );
                    return Err(Error::definition("42601", message));
                }
                Generation::Serial => {
                    column.default = Some(name::nextval_default(&sequence.schema, &sequence.name));
                }
                Generation::Identity { .. } if column.default.is_some() => {
                    let message = format!(
                        "both default and identity specified for column \"{}\" of table \"{}\"",
                        column.name, table.name
                    );
                    return Err(Error::definition("42601", message));
                }
                Generation::Identity { always, .. } => {
                    column.identity = Some(Identity { always, sequence: sequence.id });
                }
            }
            column.nullable = false;
            Some(sequence)
        }
    };
    table.columns.push(column);
    Ok(sequence)
}

/// Gives the columns of that name the expressions that generate them, now that all columns are there.
pub(super) fn generate(
    table: &mut TableDescriptor,
    expressions: impl IntoIterator<Item = (String, ExpressionSpec)>,
) -> Result<()> {
    for (name, expression) in expressions {
        let id_of =
            |name: &String| table.columns.iter().find(|c| !c.dropped && c.name == *name).map(|c| c.id);
        let columns: Option<Vec<ColumnId>> = expression.columns.iter().map(id_of).collect();
        let columns = columns.ok_or_else(|| {
            Error::definition("42703", "a generated column names a column that does not exist")
        })?;
        let own = table.columns.iter_mut().find(|c| !c.dropped && c.name == name);
        if let Some(column) = own {
            column.generated = Some(Generated { sql: expression.sql, columns });
        }
    }
    Ok(())
}

pub(super) fn owned_sequence(
    writer: &Writer<'_>,
    table: &TableDescriptor,
    column: &Column,
    generation: &Generation,
) -> Result<SequenceDescriptor> {
    if !matches!(column.ty, DataType::SmallInt | DataType::Integer | DataType::BigInt) {
        let message = "identity column type must be smallint, integer, or bigint";
        return Err(Error::definition("22023", message));
    }
    let taken = |name: &str| writer.catalog.name_taken(&table.schema, name) || name == table.name;
    let name = name::choose(&table.name, &column.name, "seq", taken);
    let options = match generation {
        Generation::Identity { options, .. } => options.clone(),
        Generation::Serial => SequenceOptions::default(),
    };
    let options = SequenceOptions { ty: Some(options.ty.clone().unwrap_or(column.ty.clone())), ..options };
    let sequence = sequence::describe(writer.new_id()?, &table.schema, &name, &options)?;
    Ok(SequenceDescriptor { owned_by: Some((table.id, column.id)), ..sequence })
}

/// The ids of live columns by name.
pub(super) fn column_ids(table: &Table, names: &[String]) -> Result<Vec<ColumnId>> {
    names.iter().map(|name| Ok(table.column(name)?.id)).collect()
}
