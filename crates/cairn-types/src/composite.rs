//! Composite types: rows with named fields as one value. What their codes say is `codes::composite`'s business.
//!
//! I1. Fields keep their place for ever: one that is dropped stays in the list, and its values are NULL.
//! I2. `parse(signature(t)) = t`, for types within types too.

use std::fmt::Write;
use std::sync::Arc;

use crate::coded::{Coded, escape, quoted, unescape};
use crate::datatype::DataType;

/// The number of `record`, the type of a row that no type names; PostgreSQL's.
pub const RECORD: u32 = 2249;
/// Most fields of a composite type, PostgreSQL's.
pub const FIELDS_MAX: usize = 1600;

/// A field of a composite type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CompositeField {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub ty: DataType,
    /// Whether it was dropped (I1).
    pub dropped: bool,
}

/// A composite type: one that CREATE TYPE made, that of a table's rows, or [`RECORD`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CompositeType {
    /// The id in the catalog, that of the table where its rows are meant.
    pub id: u32,
    /// The schema.
    pub schema: String,
    /// The name.
    pub name: String,
    /// The fields, in order.
    pub fields: Vec<CompositeField>,
}

impl CompositeType {
    /// The type of a row of these fields that no type names.
    #[must_use]
    pub fn record(fields: impl IntoIterator<Item = (String, DataType)>) -> Arc<Self> {
        let fields = fields.into_iter().map(|(name, ty)| CompositeField { name, ty, dropped: false });
        let (schema, name) = (String::new(), "record".to_owned());
        Arc::new(Self { id: RECORD, schema, name, fields: fields.collect() })
    }

    /// The fields that there are, with their places.
    pub fn live(&self) -> impl Iterator<Item = (usize, &CompositeField)> {
        self.fields.iter().enumerate().filter(|(_, field)| !field.dropped)
    }

    /// The place of a field.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.live().find(|(_, field)| field.name == name).map(|(place, _)| place)
    }

    /// The name as SQL writes it: with its schema unless that is `public`.
    #[must_use]
    pub fn sql_name(&self) -> String {
        match self.schema.as_str() {
            "public" | "" => quoted(&self.name),
            schema => format!("{}.{}", quoted(schema), quoted(&self.name)),
        }
    }

    /// Whether its values have the codes of another one's.
    #[must_use]
    pub fn is_kind_of(&self, other: &Self) -> bool {
        let alike = |(a, b): (&CompositeField, &CompositeField)| a.ty == b.ty;
        self.id == other.id
            && (self.id != RECORD
                || self.fields.len() == other.fields.len()
                    && self.fields.iter().zip(&other.fields).all(alike))
    }

    /// Whether a field, at any depth, is of a type for which that holds.
    pub fn has(&self, holds: &mut dyn FnMut(&DataType) -> bool) -> bool {
        self.live().any(|(_, field)| mentions(&field.ty, holds))
    }

    /// All that there is to know, as letters, digits, `_`, `%` and `:=!` (I2).
    pub(crate) fn signature(&self, out: &mut String) {
        let _ = write!(out, "{}:", self.id);
        escape(&self.schema, out);
        out.push(':');
        escape(&self.name, out);
        for field in &self.fields {
            out.push_str(if field.dropped { ":!" } else { ":" });
            escape(&field.name, out);
            out.push('=');
            escape(&field.ty.signature(), out);
        }
    }

    /// Reads what [`CompositeType::signature`] wrote.
    pub(crate) fn parse(parts: &str) -> Option<Self> {
        let mut parts = parts.split(':');
        let id = parts.next()?.parse().ok()?;
        let schema = unescape(parts.next()?)?;
        let name = unescape(parts.next()?)?;
        let fields = parts.map(|part| {
            let (dropped, part) = part.strip_prefix('!').map_or((false, part), |part| (true, part));
            let (name, ty) = part.split_once('=')?;
            let ty = DataType::parse(&unescape(ty)?)?;
            Some(CompositeField { name: unescape(name)?, ty, dropped })
        });
        Some(Self { id, schema, name, fields: fields.collect::<Option<_>>()? })
    }
}

/// Whether a type, one that it is an array of, or that of a field is one for which that holds.
pub fn mentions(ty: &DataType, holds: &mut dyn FnMut(&DataType) -> bool) -> bool {
    holds(ty)
        || match ty {
            DataType::Array(element) => mentions(element, holds),
            DataType::Coded(Coded::Composite(own)) => own.has(holds),
            _ => false,
        }
}
