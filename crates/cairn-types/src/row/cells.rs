//! Single cells of an encoded row: read where they stand, and replaced in a copy.

use crate::error::TypeError;
use crate::row::encode::{RowEncoder, put_end};
use crate::row::layout::{HEAD_BYTES, Parts, null_bytes};
use crate::row::list::{put_fixed, put_variable, value_of_fixed, value_of_variable};
use crate::value::Value;

impl RowEncoder {
    /// The value at a place of a row; `None` where the row is older than the column.
    ///
    /// ```
    /// use cairn_types::row::RowEncoder;
    /// use cairn_types::{DataType, Value};
    /// let encoder = RowEncoder::new(&[DataType::Integer, DataType::Text]).unwrap();
    /// let (mut row, mut changed) = (Vec::new(), Vec::new());
    /// encoder.encode_values(&[Value::from(7), Value::from("x")], &mut row).unwrap();
    /// assert!(encoder.replace(&row, &[(1, Value::from("yz"))], &mut changed).unwrap());
    /// assert_eq!(encoder.value(&changed, 0).unwrap(), Some(Value::from(7)));
    /// assert_eq!(encoder.value(&changed, 1).unwrap(), Some(Value::from("yz")));
    /// ```
    ///
    /// # Errors
    /// [`TypeError::Corrupt`], [`TypeError::InvalidUtf8`]: the bytes are no row of this table.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn value(&self, row: &[u8], ordinal: usize) -> Result<Option<Value>, TypeError> {
        let parts = Parts::split(row, &self.layout)?;
        if ordinal >= parts.columns {
            return Ok(None);
        }
        if parts.is_null(ordinal) {
            return Ok(Some(Value::Null));
        }
        let ty = &self.slots[ordinal].ty;
        let at = self.layout.offsets[parts.form][ordinal];
        match self.layout.widths[ordinal] {
            0 => value_of_variable(ty, self.variable(&parts, ordinal)?),
            width => value_of_fixed(ty, &parts.fixed[at..at + width]),
        }
        .map(Some)
    }

    /// Appends a row that differs from `row` in the values at some places, which are given in ascending order. `false` where the
    /// row has to be encoded as a whole, since it is older than a column or becomes too long for its form; `out` is then as
    /// before.
    ///
    /// # Errors
    /// [`TypeError::Mismatch`] where a value is not of its place's type, range errors, [`TypeError::Corrupt`]; `out` is then of
    /// no use.
    pub fn replace(&self, row: &[u8], new: &[(usize, Value)], out: &mut Vec<u8>) -> Result<bool, TypeError> {
        let parts = Parts::split(row, &self.layout)?;
        if parts.columns != self.layout.columns() {
            return Ok(false);
        }
        let start = out.len();
        let nulls = start + HEAD_BYTES;
        let fixed = nulls + null_bytes(parts.columns);
        let variable = fixed + parts.fixed.len();
        out.extend_from_slice(&row[..variable - start]);
        let mut first_variable = None;
        let mut scratch = Vec::with_capacity(16);
        for (ordinal, value) in new {
            let (byte, bit) = (nulls + ordinal / 8, 1 << (ordinal % 8));
            if value.is_null() {
                out[byte] |= bit;
            } else {
                out[byte] &= !bit;
            }
            if self.layout.widths[*ordinal] == 0 {
                first_variable.get_or_insert(*ordinal);
                continue;
            }
            scratch.clear();
            put_fixed(value, &self.slots[*ordinal].ty, &mut scratch)?;
            let at = fixed + self.layout.offsets[parts.form][*ordinal];
            out[at..at + scratch.len()].copy_from_slice(&scratch);
        }
        let Some(first_variable) = first_variable else {
            out.extend_from_slice(parts.variable);
            return Ok(true);
        };
        for ordinal in (0..parts.columns).filter(|ordinal| self.layout.widths[*ordinal] == 0) {
            let given = new.iter().find(|(at, _)| *at == ordinal && ordinal >= first_variable);
            match given {
                Some((_, value)) => put_variable(value, &self.slots[ordinal].ty, out)?,
                None => out.extend_from_slice(self.variable(&parts, ordinal)?),
            }
            let at = fixed + self.layout.offsets[parts.form][ordinal];
            let end = out.len() - variable;
            if !put_end(out, at, end, parts.form) {
                out.truncate(start);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn variable<'r>(&self, parts: &Parts<'r>, ordinal: usize) -> Result<&'r [u8], TypeError> {
        let offsets = &self.layout.offsets[parts.form];
        let previous = self.layout.previous[ordinal].map(|before| offsets[before]);
        parts.variable_at(offsets[ordinal], previous)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::datatype::DataType;

    const TYPES: [DataType; 6] = [
        DataType::Integer,
        DataType::Text,
        DataType::Double,
        DataType::Bytea,
        DataType::Boolean,
        DataType::Text,
    ];

    /// Values of a row by a number; some are NULL, some texts need the wide form.
    fn values(number: usize) -> Vec<Value> {
        let text = |salt: usize| match (number + salt) % 5 {
            0 => Value::Null,
            1 => Value::Text("x".repeat(70_000)),
            n => Value::Text("ä".repeat(n * (number % 7))),
        };
        let or_null =
            |salt: usize, value: Value| if (number + salt).is_multiple_of(3) { Value::Null } else { value };
        vec![
            or_null(0, Value::Integer(number as i32 - 20)),
            text(1),
            or_null(1, Value::Double(number as f64 / 7.0)),
            or_null(2, Value::Bytea(vec![number as u8; number % 9])),
            or_null(1, Value::Boolean(number.is_multiple_of(2))),
            text(3),
        ]
    }

    #[test]
    fn a_row_with_replaced_values_is_the_row_of_these_values() {
        let encoder = RowEncoder::new(&TYPES).unwrap();
        let mut wholly = 0;
        for number in 0..60 {
            let (old, new) = (values(number), values(number * 7 + 3));
            let mut row = Vec::new();
            encoder.encode_values(&old, &mut row).unwrap();
            for mask in 0..1usize << TYPES.len() {
                let places = (0..TYPES.len()).filter(|place| mask >> place & 1 == 1);
                let given: Vec<(usize, Value)> = places.map(|place| (place, new[place].clone())).collect();
                let mut wanted = old.clone();
                given.iter().for_each(|(place, value)| wanted[*place] = value.clone());
                let mut found = vec![1, 2, 3];
                if !encoder.replace(&row, &given, &mut found).unwrap() {
                    assert_eq!(found, [1, 2, 3]);
                    wholly += 1;
                    continue;
                }
                for (place, value) in wanted.iter().enumerate() {
                    assert_eq!(encoder.value(&found[3..], place).unwrap().as_ref(), Some(value));
                }
                let mut direct = Vec::new();
                encoder.encode_values(&wanted, &mut direct).unwrap();
                // A row that was wide stays wide.
                assert!(found[3..] == direct || found[3] != direct[0]);
            }
        }
        assert!(wholly > 0, "no row became too long for its form");
    }

    #[test]
    fn a_row_older_than_a_column_is_encoded_anew() {
        let mut row = Vec::new();
        RowEncoder::new(&TYPES[..2]).unwrap().encode_values(&values(8)[..2], &mut row).unwrap();
        let encoder = RowEncoder::new(&TYPES).unwrap();
        assert_eq!(encoder.value(&row, 0).unwrap().as_ref(), Some(&values(8)[0]));
        assert_eq!(encoder.value(&row, 2).unwrap(), None);
        assert!(!encoder.replace(&row, &[(0, Value::Integer(1))], &mut Vec::new()).unwrap());
    }

    #[test]
    fn bytes_that_are_no_row_are_told() {
        let encoder = RowEncoder::new(&TYPES).unwrap();
        let mut row = Vec::new();
        encoder.encode_values(&values(8), &mut row).unwrap();
        for length in 0..row.len() {
            for place in 0..TYPES.len() {
                // It ends with an answer, whatever it is.
                let _ = encoder.value(&row[..length], place);
                let _ = encoder.replace(&row[..length], &[(place, Value::Null)], &mut Vec::new());
            }
        }
        assert!(encoder.value(&row[..4], 0).is_err());
    }
}
