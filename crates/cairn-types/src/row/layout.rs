//! Where each column of a row stands: widths, offsets and the row's head.

use crate::datatype::DataType;
use crate::error::TypeError;

/// Most columns of a row.
pub const COLUMNS_MAX: usize = 4096;

/// Form byte: version 1 with 16-bit ends of variable columns.
pub(super) const FORM_NARROW: u8 = 1;
/// Form byte: version 1 with 32-bit ends of variable columns.
pub(super) const FORM_WIDE: u8 = 2;
/// Bytes before the null bits: form, number of columns.
pub(super) const HEAD_BYTES: usize = 3;

/// Bytes of a column of `ty` in the fixed section, `None` where it stands in the variable section.
pub(super) fn fixed_width(ty: &DataType) -> Option<usize> {
    Some(match ty {
        DataType::Boolean => 1,
        DataType::SmallInt => 2,
        DataType::Integer | DataType::Real | DataType::Date => 4,
        DataType::BigInt
        | DataType::Double
        | DataType::Time(_)
        | DataType::Timestamp(_)
        | DataType::TimestampTz(_) => 8,
        DataType::Numeric(Some((precision, _))) => numeric_width(*precision),
        DataType::Interval(_) | DataType::Uuid => 16,
        DataType::Text
        | DataType::Varchar(_)
        | DataType::Char(_)
        | DataType::Bytea
        | DataType::Json
        | DataType::Jsonb
        | DataType::Numeric(None)
        | DataType::Coded(_)
        | DataType::Array(_) => return None,
    })
}

/// Bytes of a number of `precision` digits.
pub(super) fn numeric_width(precision: u8) -> usize {
    if precision <= 18 { 8 } else { 16 }
}

/// A row's offsets under both forms; index 0 is narrow, 1 wide.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    /// Width of each column in the fixed section, 0 for variable ones (whose slot is the end offset).
    pub(super) widths: Vec<usize>,
    /// Offset of each column's slot in the fixed section, and at the end the section's length.
    pub(super) offsets: [Vec<usize>; 2],
    /// For each column the variable column before it.
    pub(super) previous: Vec<Option<usize>>,
}

impl Layout {
    pub(super) fn new<'a>(types: impl Iterator<Item = &'a DataType>) -> Result<Self, TypeError> {
        let mut layout = Self { offsets: [vec![0], vec![0]], ..Self::default() };
        let mut ends = [0, 0];
        let mut last_variable = None;
        for (ordinal, ty) in types.enumerate() {
            if ordinal == COLUMNS_MAX {
                return Err(TypeError::Unsupported {
                    what: format!("a row of more than {COLUMNS_MAX} columns"),
                });
            }
            let width = fixed_width(ty);
            layout.widths.push(width.unwrap_or(0));
            layout.previous.push(last_variable);
            for (form, end) in ends.iter_mut().enumerate() {
                *end += width.unwrap_or(end_bytes(form));
                layout.offsets[form].push(*end);
            }
            if width.is_none() {
                last_variable = Some(ordinal);
            }
        }
        Ok(layout)
    }

    pub(super) fn columns(&self) -> usize {
        self.widths.len()
    }
}

/// Bytes of the end offset of a variable column.
pub(super) fn end_bytes(form: usize) -> usize {
    if form == 0 { 2 } else { 4 }
}

/// Bytes of the null bits of `columns` columns.
pub(super) fn null_bytes(columns: usize) -> usize {
    columns.div_ceil(8)
}

/// A row cut into its parts, all bounds checked.
pub(super) struct Parts<'a> {
    /// 0 narrow, 1 wide.
    pub(super) form: usize,
    pub(super) columns: usize,
    pub(super) nulls: &'a [u8],
    pub(super) fixed: &'a [u8],
    pub(super) variable: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Splits a row whose columns are the first ones of `layout`.
    #[inline]
    pub(super) fn split(row: &'a [u8], layout: &Layout) -> Result<Self, TypeError> {
        let Some((head, rest)) = row.split_first_chunk::<HEAD_BYTES>() else {
            return Err(TypeError::corrupt("row", 0, "cut short"));
        };
        let form = match head[0] {
            FORM_NARROW => 0,
            FORM_WIDE => 1,
            other => return Err(TypeError::corrupt("row", 0, format!("unknown form {other}"))),
        };
        let columns = usize::from(u16::from_le_bytes([head[1], head[2]]));
        let Some(&fixed_bytes) = layout.offsets[form].get(columns) else {
            let detail = format!("{columns} columns where the table has {}", layout.columns());
            return Err(TypeError::corrupt("row", 1, detail));
        };
        let split = rest
            .split_at_checked(null_bytes(columns))
            .and_then(|(nulls, rest)| Some((nulls, rest.split_at_checked(fixed_bytes)?)));
        let Some((nulls, (fixed, variable))) = split else {
            return Err(TypeError::corrupt("row", HEAD_BYTES, "cut short"));
        };
        Ok(Self { form, columns, nulls, fixed, variable })
    }

    #[inline]
    pub(super) fn is_null(&self, ordinal: usize) -> bool {
        self.nulls[ordinal >> 3] & (1 << (ordinal & 7)) != 0
    }

    /// Reads the end offset that stands at `slot`.
    #[inline]
    pub(super) fn end_at(&self, slot: usize) -> usize {
        if self.form == 0 {
            usize::from(u16::from_le_bytes([self.fixed[slot], self.fixed[slot + 1]]))
        } else {
            let bytes = &self.fixed[slot..slot + 4];
            u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize
        }
    }

    /// The bytes of a variable column whose end stands at `slot` and its forerunner's at `previous`.
    #[inline]
    pub(super) fn variable_at(&self, slot: usize, previous: Option<usize>) -> Result<&'a [u8], TypeError> {
        let start = previous.map_or(0, |slot| self.end_at(slot));
        let end = self.end_at(slot);
        self.variable.get(start..end).ok_or_else(|| {
            TypeError::corrupt("row", HEAD_BYTES + slot, format!("column from {start} to {end}"))
        })
    }
}
