//! The bytes of descriptors; specified in `docs/format/catalog.md`. Little-endian; first byte = version: 1, or 2 where
//! extras follow the fields of version 1.
//!
//! I1: decoding is total: whatever the bytes, the answer is a descriptor or [`Error::Corrupt`].
//! I2: every byte is used: left-over bytes are damage.

mod access;
mod partition;
mod program;
mod statistics;
mod types;

use cairn_types::row::{RowEncoder, decode_row};
use cairn_types::{DataType, Value};
use std::collections::BTreeMap;

use super::descriptor::{
    Check, CheckOption, Column, Dependency, ForeignKey, Generated, Identity, IndexColumn, IndexDescriptor,
    IndexExpression, IndexPredicate, Materialized, ReferentialAction, SchemaDescriptor, SequenceDescriptor,
    TableDescriptor, ViewColumn, ViewDescriptor, ViewOptions,
};
use crate::error::{Error, Result};

/// The version without extras.
const PLAIN: u8 = 1;
/// The version with extras.
const EXTENDED: u8 = 2;
/// Extras of an index: expressions, predicate, INCLUDE, NULLS NOT DISTINCT.
const EXTRA_INDEX: u8 = 1;
/// Extras of a column: the expression that generates it.
const EXTRA_COLUMN: u8 = 2;
/// The names of constraints that are NOT VALID.
const EXTRA_NOT_VALID: u8 = 3;
/// Triggers of a table or view.
const EXTRA_TRIGGERS: u8 = 8;
/// Foreign keys that are DEFERRABLE.
const EXTRA_DEFERRABLE: u8 = 10;
/// What a materialized view is made of.
const EXTRA_MATERIALIZED: u8 = 9;
/// Extras of a column: its domain.
const EXTRA_DOMAIN: u8 = 11;
/// Comments on constraints.
const EXTRA_CONSTRAINT_COMMENTS: u8 = 12;
/// PARTITION BY.
const EXTRA_PARTITIONING: u8 = 20;
/// Of which table it is a partition, and of which rows.
const EXTRA_PARTITION: u8 = 21;
/// Unique and primary keys that are DEFERRABLE.
const EXTRA_LATE_KEYS: u8 = 22;
/// The options of a view.
const EXTRA_VIEW_OPTIONS: u8 = 30;
/// Defaults of a view's columns.
const EXTRA_VIEW_DEFAULTS: u8 = 31;
/// More elements than this in one list are damage, not data.
const LIST_MAX: u32 = 1 << 20;

/// A thing that the catalog keeps.
pub(crate) trait Descriptor: Sized {
    /// What to call it in an error.
    const WHAT: &'static str;
    fn write(&self, out: &mut Encoder) -> Result<()>;
    fn read(from: &mut Decoder<'_>) -> Result<Self>;

    /// What version 1 has no place for: tags with their bytes.
    fn extras(&self) -> Result<Vec<(u8, Vec<u8>)>> {
        Ok(Vec::new())
    }

    /// Takes one of these.
    fn read_extra(&mut self, tag: u8, from: &mut Decoder<'_>) -> Result<()> {
        let _ = self;
        Err(from.damage(&format!("an extra of kind {tag}, which this program does not know")))
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let extras = self.extras()?;
        let mut out = Encoder { bytes: vec![if extras.is_empty() { PLAIN } else { EXTENDED }] };
        self.write(&mut out)?;
        if !extras.is_empty() {
            out.list(&extras, |out, (tag, bytes)| {
                out.u8(*tag);
                out.blob(bytes);
            });
        }
        Ok(out.bytes)
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut from = Decoder { bytes, what: Self::WHAT };
        let version = from.u8()?;
        if ![PLAIN, EXTENDED].contains(&version) {
            return Err(from.damage(&format!("version {version}, this program reads {PLAIN} and {EXTENDED}")));
        }
        let mut descriptor = Self::read(&mut from)?;
        if version == EXTENDED {
            for (tag, bytes) in from.list(|from| Ok((from.u8()?, from.blob()?)))? {
                let mut extra = Decoder { bytes, what: Self::WHAT };
                descriptor.read_extra(tag, &mut extra)?;
                if !extra.bytes.is_empty() {
                    return Err(extra.damage("bytes left over in an extra"));
                }
            }
        }
        if from.bytes.is_empty() { Ok(descriptor) } else { Err(from.damage("bytes left over")) }
    }
}

pub(crate) struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn blob(&mut self, value: &[u8]) {
        self.u32(value.len() as u32);
        self.bytes.extend_from_slice(value);
    }

    fn text(&mut self, value: &str) {
        self.blob(value.as_bytes());
    }

    fn option<T>(&mut self, value: &Option<T>, write: impl FnOnce(&mut Encoder, &T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn text_option(&mut self, value: &Option<String>) {
        self.option(value, |out, text| out.text(text));
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Encoder, &T)) {
        self.u32(items.len() as u32);
        for item in items {
            write(self, item);
        }
    }

    fn ty(&mut self, ty: &DataType) {
        let mut bytes = Vec::new();
        ty.encode(&mut bytes);
        self.blob(&bytes);
    }
}

pub(crate) struct Decoder<'a> {
    bytes: &'a [u8],
    what: &'static str,
}

impl<'a> Decoder<'a> {
    fn damage(&self, found: &str) -> Error {
        Error::corrupt(format!("catalog entry of a {}", self.what), found)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.bytes.split_at_checked(n).ok_or_else(|| self.damage("cut short"))?;
        self.bytes = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or_else(|| self.damage("cut short"))?;
        self.bytes = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn bool(&mut self) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.damage(&format!("{other} for a truth value"))),
        }
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    fn blob(&mut self) -> Result<&'a [u8]> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn text(&mut self) -> Result<String> {
        let bytes = self.blob()?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.damage("a text that is no UTF-8"))?;
        Ok(text.to_owned())
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Decoder<'a>) -> Result<T>) -> Result<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Decoder<'a>) -> Result<T>) -> Result<Vec<T>> {
        let length = self.u32()?;
        if length > LIST_MAX {
            return Err(self.damage(&format!("a list of {length}")));
        }
        let mut items = Vec::with_capacity(length.min(1024) as usize);
        for _ in 0..length {
            items.push(read(self)?);
        }
        Ok(items)
    }

    fn ty(&mut self) -> Result<DataType> {
        let mut bytes = self.blob()?;
        let ty = DataType::decode(&mut bytes).map_err(|e| self.damage(&e.to_string()))?;
        if bytes.is_empty() { Ok(ty) } else { Err(self.damage("bytes left over after a type")) }
    }

    fn value(&mut self, ty: &DataType) -> Result<Value> {
        let row = self.blob()?;
        let values = decode_row(row, std::slice::from_ref(ty)).map_err(|e| self.damage(&e.to_string()))?;
        values.into_iter().next().ok_or_else(|| self.damage("a value without its column"))
    }
}

impl Descriptor for SchemaDescriptor {
    const WHAT: &'static str = "schema";

    fn write(&self, out: &mut Encoder) -> Result<()> {
        out.u32(self.id);
        out.text(&self.name);
        out.text_option(&self.comment);
        Ok(())
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self> {
        Ok(SchemaDescriptor { id: from.u32()?, name: from.text()?, comment: from.option(Decoder::text)? })
    }
}

fn write_column(out: &mut Encoder, column: &Column) -> Result<()> {
    out.u32(column.id);
    out.text(&column.name);
    out.ty(&column.ty);
    out.bool(column.nullable);
    out.text_option(&column.default);
    out.bool(column.missing.is_some());
    if let Some(missing) = &column.missing {
        let mut row = Vec::new();
        let encoder = RowEncoder::new(std::slice::from_ref(&column.ty))?;
        encoder.encode_values(std::slice::from_ref(missing), &mut row)?;
        out.blob(&row);
    }
    out.option(&column.identity, |out, identity| {
        out.bool(identity.always);
        out.u32(identity.sequence);
    });
    out.bool(column.dropped);
    out.text_option(&column.comment);
    Ok(())
}

fn read_column(from: &mut Decoder<'_>) -> Result<Column> {
    let id = from.u32()?;
    let name = from.text()?;
    let ty = from.ty()?;
    let nullable = from.bool()?;
    let default = from.option(Decoder::text)?;
    let missing = from.option(|from| from.value(&ty))?;
    let identity = from.option(|from| Ok(Identity { always: from.bool()?, sequence: from.u32()? }))?;
    let dropped = from.bool()?;
    let comment = from.option(Decoder::text)?;
    Ok(Column {
        id,
        name,
        ty,
        nullable,
        default,
        missing,
        identity,
        generated: None,
        domain: None,
        dropped,
        comment,
    })
}

fn write_index(out: &mut Encoder, index: &IndexDescriptor) {
    out.u16(index.id);
    out.text(&index.name);
    out.text(&index.kind);
    out.list(&index.columns, |out, c| {
        out.u32(c.column);
        out.bool(c.descending);
        out.bool(c.nulls_first);
    });
    out.bool(index.unique);
    out.bool(index.constraint);
    out.text_option(&index.comment);
}

fn read_index(from: &mut Decoder<'_>) -> Result<IndexDescriptor> {
    Ok(IndexDescriptor {
        id: from.u16()?,
        name: from.text()?,
        kind: from.text()?,
        columns: from.list(|from| {
            Ok(IndexColumn { column: from.u32()?, descending: from.bool()?, nulls_first: from.bool()? })
        })?,
        unique: from.bool()?,
        constraint: from.bool()?,
        comment: from.option(Decoder::text)?,
        expressions: Vec::new(),
        predicate: None,
        include: Vec::new(),
        nulls_not_distinct: false,
        deferrable: None,
        primary: false,
    })
}

/// The extras of an index; `None` where it has none.
fn index_extra(index: &IndexDescriptor) -> Option<Vec<u8>> {
    if index.is_plain() && index.include.is_empty() && !index.nulls_not_distinct {
        return None;
    }
    let mut out = Encoder { bytes: Vec::new() };
    out.u16(index.id);
    out.list(&index.expressions, |out, expression| {
        out.text(&expression.sql);
        out.ty(&expression.ty);
        out.list(&expression.columns, |out, id| out.u32(*id));
    });
    out.option(&index.predicate, |out, predicate| {
        out.text(&predicate.sql);
        out.list(&predicate.columns, |out, id| out.u32(*id));
    });
    out.list(&index.include, |out, id| out.u32(*id));
    out.bool(index.nulls_not_distinct);
    Some(out.bytes)
}

fn read_index_extra(indexes: &mut [IndexDescriptor], from: &mut Decoder<'_>) -> Result<()> {
    let id = from.u16()?;
    let expressions = from.list(|from| {
        Ok(IndexExpression { sql: from.text()?, ty: from.ty()?, columns: from.list(Decoder::u32)? })
    })?;
    let predicate =
        from.option(|from| Ok(IndexPredicate { sql: from.text()?, columns: from.list(Decoder::u32)? }))?;
    let include = from.list(Decoder::u32)?;
    let nulls_not_distinct = from.bool()?;
    let index = indexes.iter_mut().find(|index| index.id == id);
    let index = index.ok_or_else(|| from.damage("extras of an index that is not there"))?;
    let stands = index.columns.iter().filter(|c| c.column == IndexColumn::EXPRESSION).count();
    if stands != expressions.len() {
        return Err(from.damage("an index with other expressions than its key"));
    }
    *index = IndexDescriptor { expressions, predicate, include, nulls_not_distinct, ..index.clone() };
    Ok(())
}

fn action_code(action: ReferentialAction) -> u8 {
    match action {
        ReferentialAction::NoAction => 0,
        ReferentialAction::Restrict => 1,
        ReferentialAction::Cascade => 2,
        ReferentialAction::SetNull => 3,
        ReferentialAction::SetDefault => 4,
    }
}

fn read_action(from: &mut Decoder<'_>) -> Result<ReferentialAction> {
    Ok(match from.u8()? {
        0 => ReferentialAction::NoAction,
        1 => ReferentialAction::Restrict,
        2 => ReferentialAction::Cascade,
        3 => ReferentialAction::SetNull,
        4 => ReferentialAction::SetDefault,
        other => return Err(from.damage(&format!("{other} for a referential action"))),
    })
}

impl Descriptor for TableDescriptor {
    const WHAT: &'static str = "table";

    fn write(&self, out: &mut Encoder) -> Result<()> {
        out.u32(self.id);
        out.text(&self.schema);
        out.text(&self.name);
        out.u32(self.columns.len() as u32);
        for column in &self.columns {
            write_column(out, column)?;
        }
        out.list(&self.primary_key, |out, id| out.u32(*id));
        out.text(&self.primary_key_name);
        out.list(&self.indexes, write_index);
        out.list(&self.checks, |out, check| {
            out.text(&check.name);
            out.text(&check.sql);
            out.list(&check.columns, |out, id| out.u32(*id));
        });
        out.list(&self.foreign_keys, |out, key| {
            out.text(&key.name);
            out.list(&key.columns, |out, id| out.u32(*id));
            out.u32(key.parent);
            out.list(&key.parent_columns, |out, id| out.u32(*id));
            out.u8(action_code(key.on_delete));
            out.u8(action_code(key.on_update));
        });
        out.u32(self.next_column);
        out.u16(self.next_index);
        out.text_option(&self.comment);
        Ok(())
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self> {
        Ok(TableDescriptor {
            id: from.u32()?,
            schema: from.text()?,
            name: from.text()?,
            columns: from.list(read_column)?,
            primary_key: from.list(Decoder::u32)?,
            primary_key_name: from.text()?,
            indexes: from.list(read_index)?,
            checks: from.list(|from| {
                let (name, sql, columns) = (from.text()?, from.text()?, from.list(Decoder::u32)?);
                Ok(Check { name, sql, columns, not_valid: false })
            })?,
            foreign_keys: from.list(|from| {
                Ok(ForeignKey {
                    name: from.text()?,
                    columns: from.list(Decoder::u32)?,
                    parent: from.u32()?,
                    parent_columns: from.list(Decoder::u32)?,
                    on_delete: read_action(from)?,
                    on_update: read_action(from)?,
                    not_valid: false,
                    deferrable: false,
                    initially_deferred: false,
                })
            })?,
            next_column: from.u32()?,
            next_index: from.u16()?,
            comment: from.option(Decoder::text)?,
            triggers: Vec::new(),
            materialized: None,
            partitioning: None,
            partition: None,
            constraint_comments: BTreeMap::new(),
        })
    }

    fn extras(&self) -> Result<Vec<(u8, Vec<u8>)>> {
        let mut extras: Vec<_> =
            self.indexes.iter().filter_map(index_extra).map(|bytes| (EXTRA_INDEX, bytes)).collect();
        for column in &self.columns {
            if let Some(generated) = &column.generated {
                let mut out = Encoder { bytes: Vec::new() };
                out.u32(column.id);
                out.text(&generated.sql);
                out.list(&generated.columns, |out, id| out.u32(*id));
                extras.push((EXTRA_COLUMN, out.bytes));
            }
            if let Some(domain) = column.domain {
                let mut out = Encoder { bytes: Vec::new() };
                out.u32(column.id);
                out.u32(domain);
                extras.push((EXTRA_DOMAIN, out.bytes));
            }
        }
        let checks = self.checks.iter().filter(|c| c.not_valid).map(|c| &c.name);
        let keys = self.foreign_keys.iter().filter(|k| k.not_valid).map(|k| &k.name);
        let names: Vec<&String> = checks.chain(keys).collect();
        if !names.is_empty() {
            let mut out = Encoder { bytes: Vec::new() };
            out.list(&names, |out, name| out.text(name));
            extras.push((EXTRA_NOT_VALID, out.bytes));
        }
        if !self.triggers.is_empty() {
            extras.push((EXTRA_TRIGGERS, program::triggers_extra(&self.triggers)));
        }
        let deferrable: Vec<&ForeignKey> = self.foreign_keys.iter().filter(|key| key.deferrable).collect();
        if !deferrable.is_empty() {
            let mut out = Encoder { bytes: Vec::new() };
            out.list(&deferrable, |out, key| {
                out.text(&key.name);
                out.bool(key.initially_deferred);
            });
            extras.push((EXTRA_DEFERRABLE, out.bytes));
        }
        if let Some(own) = &self.materialized {
            let mut out = Encoder { bytes: Vec::new() };
            out.text(&own.sql);
            out.list(&own.depends_on, write_dependency);
            out.bool(own.populated);
            extras.push((EXTRA_MATERIALIZED, out.bytes));
        }
        if !self.constraint_comments.is_empty() {
            let all: Vec<_> = self.constraint_comments.iter().collect();
            let mut out = Encoder { bytes: Vec::new() };
            out.list(&all, |out, (name, comment)| {
                out.text(name);
                out.text(comment);
            });
            extras.push((EXTRA_CONSTRAINT_COMMENTS, out.bytes));
        }
        partition::extras(self, &mut extras)?;
        let late: Vec<_> =
            self.indexes.iter().filter_map(|i| Some((i.id, i.deferrable?, i.primary))).collect();
        if !late.is_empty() {
            let mut out = Encoder { bytes: Vec::new() };
            out.list(&late, |out, (id, initially, primary)| {
                out.u16(*id);
                out.bool(*initially);
                out.bool(*primary);
            });
            extras.push((EXTRA_LATE_KEYS, out.bytes));
        }
        Ok(extras)
    }

    fn read_extra(&mut self, tag: u8, from: &mut Decoder<'_>) -> Result<()> {
        match tag {
            EXTRA_INDEX => read_index_extra(&mut self.indexes, from),
            EXTRA_COLUMN => {
                let id = from.u32()?;
                let generated = Generated { sql: from.text()?, columns: from.list(Decoder::u32)? };
                let column = self.columns.iter_mut().find(|column| column.id == id);
                let column = column.ok_or_else(|| from.damage("extras of a column that is not there"))?;
                column.generated = Some(generated);
                Ok(())
            }
            EXTRA_DOMAIN => {
                let (id, domain) = (from.u32()?, from.u32()?);
                let column = self.columns.iter_mut().find(|column| column.id == id);
                column.ok_or_else(|| from.damage("extras of a column that is not there"))?.domain =
                    Some(domain);
                Ok(())
            }
            EXTRA_NOT_VALID => {
                for name in from.list(Decoder::text)? {
                    let check = self.checks.iter_mut().find(|c| c.name == name);
                    let key = self.foreign_keys.iter_mut().find(|k| k.name == name);
                    match (check, key) {
                        (Some(check), _) => check.not_valid = true,
                        (None, Some(key)) => key.not_valid = true,
                        (None, None) => return Err(from.damage("a constraint that is not there")),
                    }
                }
                Ok(())
            }
            EXTRA_TRIGGERS => {
                self.triggers = program::read_triggers(from)?;
                Ok(())
            }
            EXTRA_DEFERRABLE => {
                for (name, initially) in from.list(|from| Ok((from.text()?, from.bool()?)))? {
                    let key = self.foreign_keys.iter_mut().find(|key| key.name == name);
                    let key = key.ok_or_else(|| from.damage("a constraint that is not there"))?;
                    (key.deferrable, key.initially_deferred) = (true, initially);
                }
                Ok(())
            }
            EXTRA_MATERIALIZED => {
                let (sql, depends_on) = (from.text()?, from.list(read_dependency)?);
                self.materialized = Some(Materialized { sql, depends_on, populated: from.bool()? });
                Ok(())
            }
            EXTRA_LATE_KEYS => {
                for (id, initially, primary) in
                    from.list(|from| Ok((from.u16()?, from.bool()?, from.bool()?)))?
                {
                    let index = self.indexes.iter_mut().find(|index| index.id == id);
                    let index = index.ok_or_else(|| from.damage("extras of an index that is not there"))?;
                    (index.deferrable, index.primary) = (Some(initially), primary);
                }
                Ok(())
            }
            EXTRA_CONSTRAINT_COMMENTS => {
                let all = from.list(|from| Ok((from.text()?, from.text()?)))?;
                self.constraint_comments = all.into_iter().collect();
                Ok(())
            }
            EXTRA_PARTITIONING => partition::read_partitioning(self, from),
            EXTRA_PARTITION => partition::read_partition(self, from),
            _ => Err(from.damage(&format!("an extra of kind {tag}, which this program does not know"))),
        }
    }
}

fn write_dependency(out: &mut Encoder, dependency: &Dependency) {
    out.u32(dependency.object);
    out.list(&dependency.columns, |out, id| out.u32(*id));
}

fn read_dependency(from: &mut Decoder<'_>) -> Result<Dependency> {
    Ok(Dependency { object: from.u32()?, columns: from.list(Decoder::u32)? })
}

impl Descriptor for ViewDescriptor {
    const WHAT: &'static str = "view";

    fn write(&self, out: &mut Encoder) -> Result<()> {
        out.u32(self.id);
        out.text(&self.schema);
        out.text(&self.name);
        out.text(&self.sql);
        out.list(&self.columns, |out, column| {
            out.text(&column.name);
            out.ty(&column.ty);
        });
        out.list(&self.depends_on, write_dependency);
        out.text_option(&self.comment);
        Ok(())
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self> {
        Ok(ViewDescriptor {
            id: from.u32()?,
            schema: from.text()?,
            name: from.text()?,
            sql: from.text()?,
            columns: from
                .list(|from| Ok(ViewColumn { name: from.text()?, ty: from.ty()?, default: None }))?,
            depends_on: from.list(read_dependency)?,
            comment: from.option(Decoder::text)?,
            triggers: Vec::new(),
            options: ViewOptions::default(),
        })
    }

    fn extras(&self) -> Result<Vec<(u8, Vec<u8>)>> {
        let mut extras = Vec::new();
        if !self.triggers.is_empty() {
            extras.push((EXTRA_TRIGGERS, program::triggers_extra(&self.triggers)));
        }
        if self.options != ViewOptions::default() {
            let mut out = Encoder { bytes: Vec::new() };
            out.u8(match self.options.check {
                None => 0,
                Some(CheckOption::Local) => 1,
                Some(CheckOption::Cascaded) => 2,
            });
            for option in [self.options.security_barrier, self.options.security_invoker] {
                out.option(&option, |out, value| out.bool(*value));
            }
            extras.push((EXTRA_VIEW_OPTIONS, out.bytes));
        }
        if self.columns.iter().any(|column| column.default.is_some()) {
            let mut out = Encoder { bytes: Vec::new() };
            out.list(&self.columns, |out, column| out.text_option(&column.default));
            extras.push((EXTRA_VIEW_DEFAULTS, out.bytes));
        }
        Ok(extras)
    }

    fn read_extra(&mut self, tag: u8, from: &mut Decoder<'_>) -> Result<()> {
        match tag {
            EXTRA_TRIGGERS => self.triggers = program::read_triggers(from)?,
            EXTRA_VIEW_OPTIONS => {
                self.options = ViewOptions {
                    check: match from.u8()? {
                        0 => None,
                        1 => Some(CheckOption::Local),
                        2 => Some(CheckOption::Cascaded),
                        other => return Err(from.damage(&format!("check option {other}"))),
                    },
                    security_barrier: from.option(Decoder::bool)?,
                    security_invoker: from.option(Decoder::bool)?,
                };
            }
            EXTRA_VIEW_DEFAULTS => {
                let defaults = from.list(|from| from.option(Decoder::text))?;
                if defaults.len() != self.columns.len() {
                    return Err(from.damage("defaults of other columns"));
                }
                self.columns.iter_mut().zip(defaults).for_each(|(column, default)| column.default = default);
            }
            _ => {
                let what = format!("an extra of kind {tag}, which this program does not know");
                return Err(from.damage(&what));
            }
        }
        Ok(())
    }
}

impl Descriptor for SequenceDescriptor {
    const WHAT: &'static str = "sequence";

    fn write(&self, out: &mut Encoder) -> Result<()> {
        out.u32(self.id);
        out.text(&self.schema);
        out.text(&self.name);
        out.ty(&self.ty);
        for number in [self.start, self.increment, self.min, self.max, self.cache] {
            out.i64(number);
        }
        out.bool(self.cycle);
        out.u32(self.generation);
        out.option(&self.owned_by, |out, (table, column)| {
            out.u32(*table);
            out.u32(*column);
        });
        out.text_option(&self.comment);
        Ok(())
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self> {
        Ok(SequenceDescriptor {
            id: from.u32()?,
            schema: from.text()?,
            name: from.text()?,
            ty: from.ty()?,
            start: from.i64()?,
            increment: from.i64()?,
            min: from.i64()?,
            max: from.i64()?,
            cache: from.i64()?,
            cycle: from.bool()?,
            generation: from.u32()?,
            owned_by: from.option(|from| Ok((from.u32()?, from.u32()?)))?,
            comment: from.option(Decoder::text)?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
