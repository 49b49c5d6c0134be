//! CREATE, ALTER and DROP SEQUENCE.

use std::sync::Arc;

use cairn_types::DataType;

use super::name;
use super::removal::Removal;
use super::spec::SequenceOptions;
use crate::catalog::{ObjectId, SequenceDescriptor};
use crate::error::{Error, ObjectKind, Result};
use crate::sequence::Position;
use crate::transaction::{Transaction, Writer};

impl Transaction {
    /// CREATE SEQUENCE.
    ///
    /// # Errors
    /// [`Error::Duplicate`], [`Error::Undefined`] (schema), [`Error::InvalidDefinition`] (22023).
    pub fn create_sequence(
        &self,
        schema: &str,
        name: &str,
        options: &SequenceOptions,
    ) -> Result<Arc<SequenceDescriptor>> {
        self.write("CREATE SEQUENCE", |writer| {
            name::usable_schema(&writer.catalog, schema)?;
            name::free(&writer.catalog, schema, name)?;
            let sequence = describe(writer.new_id()?, schema, name, options)?;
            create(writer, sequence)
        })
    }

    /// ALTER SEQUENCE, of the options that are given.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::InvalidDefinition`] (22023).
    pub fn alter_sequence(&self, schema: &str, name: &str, options: &SequenceOptions) -> Result<()> {
        self.write("ALTER SEQUENCE", |writer| {
            let old = writer.catalog.sequence(schema, name)?;
            let mut new = (*old).clone();
            apply(&mut new, options)?;
            match options.restart {
                None => writer.put_sequence(new),
                Some(at) => {
                    let last = at.unwrap_or(new.start);
                    if last < new.min || last > new.max {
                        let (word, name, bound) = if last < new.min {
                            ("less", "MINVALUE", new.min)
                        } else {
                            ("greater", "MAXVALUE", new.max)
                        };
                        let message =
                            format!("RESTART value ({last}) cannot be {word} than {name} ({bound})");
                        return Err(Error::definition("22023", message));
                    }
                    restart_sequence(writer, &new, Position { last, called: false })
                }
            }
        })
    }

    /// ALTER SEQUENCE … OWNED BY a column (`Some((table id, column id))`) or NONE. An owned sequence is dropped with its
    /// column.
    ///
    /// # Errors
    /// [`Error::Undefined`].
    pub fn set_sequence_owner(&self, schema: &str, name: &str, owner: Option<(ObjectId, u32)>) -> Result<()> {
        self.write("ALTER SEQUENCE", |writer| {
            let old = writer.catalog.sequence(schema, name)?;
            writer.put_sequence(SequenceDescriptor { owned_by: owner, ..(*old).clone() })
        })
    }

    /// ALTER SEQUENCE … RENAME TO. The default of a SERIAL column follows.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`].
    pub fn rename_sequence(&self, schema: &str, name: &str, new_name: &str) -> Result<()> {
        self.write("ALTER SEQUENCE", |writer| {
            let old = writer.catalog.sequence(schema, name)?;
            name::free(&writer.catalog, schema, new_name)?;
            follow_default(writer, &old, schema, new_name)?;
            writer.put_sequence(SequenceDescriptor { name: new_name.to_owned(), ..(*old).clone() })
        })
    }

    /// ALTER SEQUENCE … SET SCHEMA; defaults follow.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`], [`Error::InvalidDefinition`] (0A000) for one that goes with a table.
    pub fn set_sequence_schema(&self, schema: &str, name: &str, new_schema: &str) -> Result<()> {
        self.write("ALTER SEQUENCE", |writer| {
            let old = writer.catalog.sequence(schema, name)?;
            name::usable_schema(&writer.catalog, new_schema)?;
            if let Some(table) = old.owned_by.and_then(|(table, _)| writer.catalog.table_by_id(table)) {
                return Err(Error::InvalidDefinition {
                    sqlstate: "0A000",
                    message: "cannot move an owned sequence into another schema".to_owned(),
                    detail: Some(format!("Sequence \"{name}\" is linked to table \"{}\".", table.name)),
                    hint: None,
                });
            }
            if schema == new_schema {
                return Ok(());
            }
            name::free(&writer.catalog, new_schema, name)?;
            let (from, to) = (name::nextval_default(schema, name), name::nextval_default(new_schema, name));
            let uses = |c: &crate::catalog::Column| c.default.as_deref() == Some(&from);
            let tables: Vec<_> =
                writer.catalog.tables().filter(|t| t.live_columns().any(uses)).cloned().collect();
            for table in tables {
                let mut descriptor = table.descriptor().clone();
                for column in descriptor.columns.iter_mut().filter(|c| uses(c)) {
                    column.default = Some(to.clone());
                }
                writer.put_table(descriptor)?;
            }
            writer.put_sequence(SequenceDescriptor { schema: new_schema.to_owned(), ..(*old).clone() })
        })
    }

    /// DROP SEQUENCE. Defaults that use it go with `cascade`.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::DependentObjects`].
    pub fn drop_sequences(&self, sequences: &[(&str, &str)], cascade: bool) -> Result<()> {
        self.write("DROP SEQUENCE", |writer| {
            let mut removal = Removal::default();
            for (schema, name) in sequences {
                let found = writer.catalog.sequence(schema, name);
                let sequence = super::table::to_drop(found, ObjectKind::Sequence, name)?;
                if let Some((table, column)) = sequence.owned_by
                    && let Some(table) = writer.catalog.table_by_id(table)
                    && let Some(column) = table.column_by_id(column)
                    && column.identity.is_some_and(|i| i.sequence == sequence.id)
                {
                    return Err(Error::InvalidDefinition {
                        sqlstate: "2BP01",
                        message: format!(
                            "cannot drop sequence {name} because column {} of table {} requires it",
                            column.name, table.name
                        ),
                        detail: None,
                        hint: Some(format!(
                            "You can drop column {} of table {} instead.",
                            column.name, table.name
                        )),
                    });
                }
                removal.sequence(&sequence);
            }
            removal.run(writer, cascade)
        })
    }
}

/// Starts a new generation of a sequence at `position`.
pub(crate) fn restart_sequence(
    writer: &mut Writer<'_>,
    sequence: &SequenceDescriptor,
    position: Position,
) -> Result<()> {
    let generation = sequence.generation + 1;
    writer.put_sequence(SequenceDescriptor { generation, ..sequence.clone() })?;
    writer.set_sequence_position(sequence.id, position);
    Ok(())
}

/// The default of the owning column names the sequence: it gets the new name.
pub(super) fn follow_default(
    writer: &mut Writer<'_>,
    sequence: &SequenceDescriptor,
    new_schema: &str,
    new_name: &str,
) -> Result<()> {
    let Some((table, column)) = sequence.owned_by else { return Ok(()) };
    let Some(table) = writer.catalog.table_by_id(table).cloned() else { return Ok(()) };
    let old = name::nextval_default(&sequence.schema, &sequence.name);
    let mut descriptor = table.descriptor().clone();
    let mut changed = false;
    for column in descriptor.columns.iter_mut().filter(|c| c.id == column) {
        if column.default.as_deref() == Some(&old) {
            column.default = Some(name::nextval_default(new_schema, new_name));
            changed = true;
        }
    }
    if changed {
        writer.put_table(descriptor)?;
    }
    Ok(())
}

/// Writes a new sequence, standing at its start.
pub(super) fn create(
    writer: &mut Writer<'_>,
    sequence: SequenceDescriptor,
) -> Result<Arc<SequenceDescriptor>> {
    let id = sequence.id;
    let position = Position::start(&sequence);
    writer.put_sequence(sequence)?;
    writer.set_sequence_position(id, position);
    let made = writer.catalog.sequence_by_id(id).cloned();
    made.ok_or_else(|| Error::corrupt("catalog", "the sequence just made is missing"))
}

/// A sequence with these options.
pub(super) fn describe(
    id: ObjectId,
    schema: &str,
    name: &str,
    options: &SequenceOptions,
) -> Result<SequenceDescriptor> {
    let mut sequence = SequenceDescriptor {
        id,
        schema: schema.to_owned(),
        name: name.to_owned(),
        ty: DataType::BigInt,
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cache: 1,
        cycle: false,
        generation: 0,
        owned_by: None,
        comment: None,
    };
    if let Some(ty) = &options.ty {
        sequence.ty = ty.clone();
    }
    sequence.increment = options.increment.unwrap_or(1);
    let (least, greatest) = type_bounds(&sequence.ty)?;
    (sequence.min, sequence.max) = if sequence.increment < 0 { (least, -1) } else { (1, greatest) };
    let with_bounds = SequenceOptions { ty: None, ..options.clone() };
    let start_given = options.start.is_some();
    apply_bounds(&mut sequence, &with_bounds)?;
    if !start_given {
        sequence.start = if sequence.increment < 0 { sequence.max } else { sequence.min };
    }
    apply(&mut sequence, &with_bounds)?;
    Ok(sequence)
}

fn type_bounds(ty: &DataType) -> Result<(i64, i64)> {
    Ok(match ty {
        DataType::SmallInt => (i16::MIN.into(), i16::MAX.into()),
        DataType::Integer => (i32::MIN.into(), i32::MAX.into()),
        DataType::BigInt => (i64::MIN, i64::MAX),
        _ => return Err(Error::definition("22023", "sequence type must be smallint, integer, or bigint")),
    })
}

fn apply_bounds(sequence: &mut SequenceDescriptor, options: &SequenceOptions) -> Result<()> {
    let (least, greatest) = type_bounds(&sequence.ty)?;
    let ascending = sequence.increment > 0;
    if let Some(min) = options.min {
        sequence.min = min.unwrap_or(if ascending { 1 } else { least });
    }
    if let Some(max) = options.max {
        sequence.max = max.unwrap_or(if ascending { greatest } else { -1 });
    }
    Ok(())
}

/// Applies the options that are given, and checks that the whole makes sense.
fn apply(sequence: &mut SequenceDescriptor, options: &SequenceOptions) -> Result<()> {
    let refuse = |message: String| Err(Error::definition("22023", message));
    if let Some(ty) = &options.ty {
        let (least, greatest) = type_bounds(ty)?;
        let old = type_bounds(&sequence.ty)?;
        sequence.ty = ty.clone();
        if sequence.max == old.1 || sequence.max > greatest {
            sequence.max = greatest;
        }
        if sequence.min == old.0 || sequence.min < least {
            sequence.min = least;
        }
    }
    if let Some(increment) = options.increment {
        sequence.increment = increment;
    }
    apply_bounds(sequence, options)?;
    if let Some(start) = options.start {
        sequence.start = start;
    }
    if let Some(cache) = options.cache {
        sequence.cache = cache;
    }
    if let Some(cycle) = options.cycle {
        sequence.cycle = cycle;
    }
    let (start, min, max) = (sequence.start, sequence.min, sequence.max);
    let (least, greatest) = type_bounds(&sequence.ty)?;
    if sequence.increment == 0 {
        return refuse("INCREMENT must not be zero".to_owned());
    }
    if sequence.cache < 1 {
        return refuse(format!("CACHE ({}) must be greater than zero", sequence.cache));
    }
    if max > greatest {
        let ty = sequence.ty.sql_name();
        return refuse(format!("MAXVALUE ({max}) is out of range for sequence data type {ty}"));
    }
    if min < least {
        let ty = sequence.ty.sql_name();
        return refuse(format!("MINVALUE ({min}) is out of range for sequence data type {ty}"));
    }
    if min >= max {
        return refuse(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})"));
    }
    if start < min {
        return refuse(format!("START value ({start}) cannot be less than MINVALUE ({min})"));
    }
    if start > max {
        return refuse(format!("START value ({start}) cannot be greater than MAXVALUE ({max})"));
    }
    Ok(())
}
