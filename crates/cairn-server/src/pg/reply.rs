//! What the server sends: PostgreSQL's backend messages.

use bytes::{BufMut, BytesMut};

use super::message::Form;

/// A column of a RowDescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    /// The table and the number of its column, 0 where it is none.
    pub(crate) origin: (u32, i16),
    pub(crate) type_oid: u32,
    /// Bytes of a value, -1 where they differ.
    pub(crate) type_length: i16,
    /// The type's parameters, -1 for none.
    pub(crate) modifier: i32,
    pub(crate) form: Form,
}

/// An error or a notice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) severity: &'static str,
    pub(crate) sqlstate: String,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    /// In characters, from 1.
    pub(crate) position: Option<usize>,
    pub(crate) schema: Option<String>,
    pub(crate) table: Option<String>,
    pub(crate) column: Option<String>,
    pub(crate) constraint: Option<String>,
}

impl Report {
    /// An error that ends the statement.
    pub(crate) fn error(sqlstate: &str, message: impl Into<String>) -> Report {
        Report {
            severity: "ERROR",
            sqlstate: sqlstate.to_owned(),
            message: message.into(),
            ..Report::default()
        }
    }

    pub(crate) fn with_hint(mut self, hint: &str) -> Report {
        self.hint = Some(hint.to_owned());
        self
    }

    /// An error that ends the connection.
    pub(crate) fn fatal(sqlstate: &str, message: impl Into<String>) -> Report {
        Report { severity: "FATAL", ..Report::error(sqlstate, message) }
    }
}

/// Messages to be sent.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    pub(crate) buffer: BytesMut,
}

impl Replies {
    /// Appends a message whose body `write` appends.
    fn message(&mut self, kind: u8, write: impl FnOnce(&mut BytesMut)) {
        self.buffer.put_u8(kind);
        let at = self.buffer.len();
        self.buffer.put_u32(0);
        write(&mut self.buffer);
        // Bodies that may be large are bounded by their writers.
        let length = (self.buffer.len() - at) as u32;
        self.buffer[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// A byte without a frame: the answer to a request for TLS.
    pub(crate) fn raw(&mut self, byte: u8) {
        self.buffer.put_u8(byte);
    }

    pub(crate) fn authentication_ok(&mut self) {
        self.message(b'R', |out| out.put_u32(0));
    }

    pub(crate) fn sasl(&mut self, mechanisms: &[&str]) {
        self.message(b'R', |out| {
            out.put_u32(10);
            mechanisms.iter().for_each(|mechanism| text(out, mechanism));
            out.put_u8(0);
        });
    }

    pub(crate) fn sasl_continue(&mut self, data: &str) {
        self.message(b'R', |out| {
            out.put_u32(11);
            out.put_slice(data.as_bytes());
        });
    }

    pub(crate) fn sasl_final(&mut self, data: &str) {
        self.message(b'R', |out| {
            out.put_u32(12);
            out.put_slice(data.as_bytes());
        });
    }

    pub(crate) fn negotiate(&mut self, minor: u32, unknown: &[String]) {
        self.message(b'v', |out| {
            out.put_u32(minor);
            out.put_u32(unknown.len() as u32);
            unknown.iter().for_each(|name| text(out, name));
        });
    }

    pub(crate) fn parameter(&mut self, name: &str, value: &str) {
        self.message(b'S', |out| {
            text(out, name);
            text(out, value);
        });
    }

    pub(crate) fn backend_key(&mut self, pid: u32, secret: &[u8]) {
        self.message(b'K', |out| {
            out.put_u32(pid);
            out.put_slice(secret);
        });
    }

    pub(crate) fn notification(&mut self, pid: i32, channel: &str, payload: &str) {
        self.message(b'A', |out| {
            out.put_i32(pid);
            text(out, channel);
            text(out, payload);
        });
    }

    pub(crate) fn ready(&mut self, status: u8) {
        self.message(b'Z', |out| out.put_u8(status));
    }

    pub(crate) fn parse_complete(&mut self) {
        self.message(b'1', |_| {});
    }

    pub(crate) fn bind_complete(&mut self) {
        self.message(b'2', |_| {});
    }

    pub(crate) fn close_complete(&mut self) {
        self.message(b'3', |_| {});
    }

    pub(crate) fn no_data(&mut self) {
        self.message(b'n', |_| {});
    }

    pub(crate) fn empty_query(&mut self) {
        self.message(b'I', |_| {});
    }

    pub(crate) fn suspended(&mut self) {
        self.message(b's', |_| {});
    }

    pub(crate) fn parameter_types(&mut self, types: &[u32]) {
        self.message(b't', |out| {
            out.put_u16(types.len() as u16);
            types.iter().for_each(|oid| out.put_u32(*oid));
        });
    }

    pub(crate) fn row_description(&mut self, fields: &[Field<'_>]) {
        self.message(b'T', |out| {
            out.put_u16(fields.len() as u16);
            for field in fields {
                text(out, field.name);
                out.put_u32(field.origin.0);
                out.put_i16(field.origin.1);
                out.put_u32(field.type_oid);
                out.put_i16(field.type_length);
                out.put_i32(field.modifier);
                out.put_u16(u16::from(field.form == Form::Binary));
            }
        });
    }

    pub(crate) fn complete(&mut self, tag: &str) {
        self.message(b'C', |out| text(out, tag));
    }

    pub(crate) fn copy_in(&mut self, form: Form, columns: usize) {
        self.copy(b'G', form, columns);
    }

    pub(crate) fn copy_out(&mut self, form: Form, columns: usize) {
        self.copy(b'H', form, columns);
    }

    fn copy(&mut self, kind: u8, form: Form, columns: usize) {
        self.message(kind, |out| {
            let form = u8::from(form == Form::Binary);
            out.put_u8(form);
            out.put_u16(columns as u16);
            (0..columns).for_each(|_| out.put_u16(u16::from(form)));
        });
    }

    pub(crate) fn copy_data(&mut self, data: &[u8]) {
        self.message(b'd', |out| out.put_slice(data));
    }

    pub(crate) fn copy_done(&mut self) {
        self.message(b'c', |_| {});
    }

    pub(crate) fn error(&mut self, report: &Report) {
        self.report(b'E', report);
    }

    pub(crate) fn notice(&mut self, report: &Report) {
        self.report(b'N', report);
    }

    fn report(&mut self, kind: u8, report: &Report) {
        self.message(kind, |out| {
            let mut field = |code: u8, value: &str| {
                out.put_u8(code);
                text(out, value);
            };
            field(b'S', report.severity);
            field(b'V', report.severity);
            field(b'C', &report.sqlstate);
            field(b'M', &report.message);
            let position = report.position.map(|position| position.to_string());
            let optional = [
                (b'D', &report.detail),
                (b'H', &report.hint),
                (b'P', &position),
                (b's', &report.schema),
                (b't', &report.table),
                (b'c', &report.column),
                (b'n', &report.constraint),
            ];
            for (code, value) in optional {
                if let Some(value) = value {
                    field(code, value);
                }
            }
            out.put_u8(0);
        });
    }

    /// Appends a DataRow whose values `write` appends, each with its length.
    pub(crate) fn data_row<E>(
        &mut self,
        columns: usize,
        write: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.buffer.len();
        self.buffer.put_u8(b'D');
        self.buffer.put_u32(0);
        self.buffer.put_u16(columns as u16);
        if let Err(error) = write(&mut self.buffer) {
            self.buffer.truncate(start);
            return Err(error);
        }
        let length = (self.buffer.len() - start - 1) as u32;
        self.buffer[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

/// A text and the zero behind it; what stands behind a zero within is left out.
fn text(out: &mut BytesMut, text: &str) {
    out.put_slice(text.split('\0').next().unwrap_or_default().as_bytes());
    out.put_u8(0);
}
