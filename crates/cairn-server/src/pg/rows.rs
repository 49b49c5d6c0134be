//! Rows of a result as messages.

use bytes::{BufMut, BytesMut};
use cairndb::arrow::{Array, RecordBatch};
use cairndb::{Column, DataType, Rows, Value, format_cell};

use super::connection::{Done, Failure};
use super::message::Form;
use super::object_number;
use super::reply::{Field, Replies, Report};
use super::simple::told;
use super::wire::Wire;

/// Rows that were read and not sent yet: a batch, and the first row of it that is due.
pub(super) type Rest = Option<(RecordBatch, usize)>;

/// The form of a column: one for all of them, one for each, or text.
fn form_of(forms: &[Form], column: usize) -> Form {
    match forms {
        [] => Form::Text,
        [all] => *all,
        each => each.get(column).copied().unwrap_or(Form::Text),
    }
}

/// Bytes of a value of the type, -1 where they differ.
fn length_of(ty: &DataType) -> i16 {
    match ty {
        DataType::Boolean => 1,
        DataType::SmallInt => 2,
        DataType::Integer | DataType::Real | DataType::Date => 4,
        DataType::BigInt
        | DataType::Double
        | DataType::Time(_)
        | DataType::Timestamp(_)
        | DataType::TimestampTz(_) => 8,
        DataType::Interval(_) | DataType::Uuid => 16,
        _ => -1,
    }
}

/// `pg_attribute.atttypmod` of a column of the type.
fn modifier_of(ty: &DataType) -> i32 {
    match ty {
        DataType::Varchar(Some(n)) | DataType::Char(n) => *n as i32 + 4,
        DataType::Numeric(Some((precision, scale))) => {
            ((i32::from(*precision) << 16) | i32::from(*scale as u8)) + 4
        }
        DataType::Time(Some(digits))
        | DataType::Timestamp(Some(digits))
        | DataType::TimestampTz(Some(digits)) => i32::from(*digits),
        DataType::Interval(Some(limit)) => limit.modifier(),
        DataType::Array(element) => modifier_of(element),
        _ => -1,
    }
}

/// Appends a RowDescription.
pub(super) fn describe(replies: &mut Replies, columns: &[Column], forms: &[Form]) {
    let fields: Vec<Field<'_>> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| Field {
            name: column.name(),
            origin: column.origin().unwrap_or_default(),
            type_oid: column.type_oid(),
            type_length: match column.type_oid() {
                18 => 1,
                19 => 64,
                26 => 4,
                _ => length_of(column.data_type()),
            },
            modifier: modifier_of(column.data_type()),
            form: form_of(forms, at),
        })
        .collect();
    replies.row_description(&fields);
}

/// Sends at most `rows_max` rows; what was read beyond stays in `rest`. Whether there are no more.
pub(super) async fn send(
    wire: &mut Wire,
    rows: &mut Rows,
    rest: &mut Rest,
    forms: &[Form],
    rows_max: u64,
) -> Done<bool> {
    let columns = rows.columns().to_vec();
    let mut left = rows_max;
    let mut scratch = Scratch::default();
    loop {
        let (batch, mut at) = match rest.take() {
            Some(rest) => rest,
            None => match rows.next_batch_async().await.map_err(|error| told(&error))? {
                Some(batch) => (batch, 0),
                None => return Ok(true),
            },
        };
        while at < batch.num_rows() && left > 0 {
            let row = at;
            wire.replies.data_row(columns.len(), |out| {
                for (place, column) in columns.iter().enumerate() {
                    let array = batch.column(place).as_ref();
                    put(out, array, row, column, form_of(forms, place), &mut scratch)?;
                }
                Ok::<(), Failure>(())
            })?;
            at += 1;
            left -= 1;
            wire.flush_many().await?;
        }
        if at < batch.num_rows() {
            *rest = Some((batch, at));
        }
        if left == 0 {
            // Whether there are more is known only when they are asked for, as in PostgreSQL.
            return Ok(false);
        }
    }
}

/// Memory that is used again for every value.
#[derive(Default)]
struct Scratch {
    text: String,
    bytes: Vec<u8>,
}

/// Appends a value with its length.
fn put(
    out: &mut BytesMut,
    array: &dyn Array,
    row: usize,
    column: &Column,
    form: Form,
    scratch: &mut Scratch,
) -> Done {
    if array.is_null(row) {
        out.put_i32(-1);
        return Ok(());
    }
    let ty = column.data_type();
    let bytes = match form {
        Form::Text => {
            scratch.text.clear();
            format_cell(array, row, ty, &mut scratch.text);
            scratch.text.as_bytes()
        }
        Form::Binary => {
            scratch.bytes.clear();
            let value = Value::from_array(array, row, ty);
            if object_number::is_told(column.type_oid()) {
                object_number::write(&value, column.type_oid(), &mut scratch.bytes)
                    .ok_or_else(|| Failure::from(Report::error("22003", "OID out of range")))?;
            } else {
                value
                    .write_binary(ty, &mut scratch.bytes)
                    .map_err(|error| Failure::from(Report::error(error.sqlstate(), error.to_string())))?;
            }
            scratch.bytes.as_slice()
        }
    };
    let length = i32::try_from(bytes.len())
        .map_err(|_| Failure::from(Report::error("54000", "a value is too long for the protocol")))?;
    out.put_i32(length);
    out.put_slice(bytes);
    Ok(())
}
