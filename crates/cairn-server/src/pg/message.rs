//! What a client sends: PostgreSQL's frontend messages, protocol 3.
//!
//! I1. Reading is total: whatever the bytes, the answer is a message or a [`Violation`].
//! I2. Texts are UTF-8 and hold no zero byte.

use bytes::{Buf, Bytes, BytesMut};

/// What a client sent against the protocol; the connection ends with it but for [`Violation::Text`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    /// A length that no such message has.
    #[error("invalid message length")]
    Length,
    /// Bytes that are not the message's form.
    #[error("invalid message format")]
    Format,
    /// A type that there is not.
    #[error("invalid frontend message type {0}")]
    Type(u8),
    /// A text that is not UTF-8.
    #[error("invalid byte sequence for encoding \"UTF8\"")]
    Text,
    /// More bytes than the server takes.
    #[error("message of {0} bytes is beyond the limit of {1}")]
    TooLong(usize, usize),
}

impl Violation {
    /// PostgreSQL's code.
    pub(crate) fn sqlstate(&self) -> &'static str {
        match self {
            Violation::Text => "22021",
            Violation::TooLong(..) => "54000",
            _ => "08P01",
        }
    }
}

type Result<T> = std::result::Result<T, Violation>;

/// What a connection begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// TLS is asked for.
    Tls,
    /// GSSAPI is asked for.
    Gss,
    /// A statement of another session is to end.
    Cancel { pid: u32, secret: Bytes },
    /// The session begins: protocol version and parameters.
    Startup { major: u16, minor: u16, parameters: Vec<(String, String)> },
}

const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
/// Bytes of an opening packet, at most; PostgreSQL's limit.
pub(crate) const OPENING_MAX: usize = 10_000;

/// The opening packet at the front of `buffer`; `None` where bytes are missing.
pub(crate) fn opening(buffer: &mut BytesMut) -> Result<Option<Opening>> {
    if buffer.len() < 8 {
        return Ok(None);
    }
    let length = (&buffer[..4]).get_u32() as usize;
    if !(8..=OPENING_MAX).contains(&length) {
        return Err(Violation::Length);
    }
    if buffer.len() < length {
        return Ok(None);
    }
    let mut body = Body(buffer.split_to(length).freeze().slice(4..));
    let code = body.u32()?;
    Ok(Some(match code {
        TLS if length == 8 => Opening::Tls,
        GSS if length == 8 => Opening::Gss,
        CANCEL => Opening::Cancel { pid: body.u32()?, secret: body.rest() },
        version => {
            // What stands behind other versions is another matter.
            let parameters = if version >> 16 == 3 { body.parameters()? } else { Vec::new() };
            Opening::Startup { major: (version >> 16) as u16, minor: version as u16, parameters }
        }
    }))
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Binary,
}

/// What Describe and Close mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Object {
    Statement(String),
    Portal(String),
}

/// A message of a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Query(String),
    Parse {
        name: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind {
        portal: String,
        statement: String,
        forms: Vec<Form>,
        values: Vec<Option<Bytes>>,
        results: Vec<Form>,
    },
    Describe(Object),
    Close(Object),
    Execute {
        portal: String,
        rows_max: u32,
    },
    Flush,
    Sync,
    CopyData(Bytes),
    CopyDone,
    CopyFail(String),
    /// A password, or a step of SASL.
    Password(Bytes),
    FunctionCall,
    Terminate,
}

/// Length of the type and the length of a message.
const HEADER: usize = 5;
/// Bytes of messages that carry no data.
const SMALL_MAX: usize = 30_000;

/// How many bytes the message at the front needs in all, once its header is there.
///
/// # Errors
/// An unknown type, a length that cannot be.
pub(crate) fn needed(buffer: &BytesMut, limit: usize) -> Result<Option<usize>> {
    let Some(header) = buffer.get(..HEADER) else { return Ok(None) };
    let is_long = match header[0] {
        b'Q' | b'P' | b'B' | b'd' | b'p' | b'F' => true,
        b'D' | b'C' | b'E' | b'H' | b'S' | b'c' | b'f' | b'X' => false,
        other => return Err(Violation::Type(other)),
    };
    let length = (&header[1..]).get_u32() as usize;
    if length < 4 {
        return Err(Violation::Length);
    }
    let limit = if is_long { limit } else { SMALL_MAX.min(limit) };
    if length > limit {
        return Err(Violation::TooLong(length, limit));
    }
    Ok(Some(length + 1))
}

/// Takes the message at the front of `buffer`; `None` where bytes are missing.
///
/// # Errors
/// A violation; the message is gone from the buffer then.
pub(crate) fn next(buffer: &mut BytesMut, limit: usize) -> Result<Option<Message>> {
    let Some(length) = needed(buffer, limit)? else { return Ok(None) };
    if buffer.len() < length {
        return Ok(None);
    }
    let whole = buffer.split_to(length).freeze();
    let mut body = Body(whole.slice(HEADER..));
    let message = match whole[0] {
        b'Q' => Message::Query(body.text()?),
        b'P' => {
            let (name, sql) = (body.text()?, body.text()?);
            let count = body.u16()?;
            let types = (0..count).map(|_| body.u32()).collect::<Result<_>>()?;
            Message::Parse { name, sql, types }
        }
        b'B' => {
            let (portal, statement) = (body.text()?, body.text()?);
            let forms = body.forms()?;
            let count = body.u16()?;
            let values = (0..count).map(|_| body.value()).collect::<Result<_>>()?;
            Message::Bind { portal, statement, forms, values, results: body.forms()? }
        }
        b'D' => Message::Describe(body.object()?),
        b'C' => Message::Close(body.object()?),
        b'E' => Message::Execute { portal: body.text()?, rows_max: body.u32()? },
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'd' => Message::CopyData(body.rest()),
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail(body.text()?),
        b'p' => Message::Password(body.rest()),
        b'F' => {
            body.rest();
            Message::FunctionCall
        }
        _ => Message::Terminate,
    };
    body.end()?;
    Ok(Some(message))
}

/// The rest of a message.
struct Body(Bytes);

impl Body {
    fn u16(&mut self) -> Result<u16> {
        self.0.try_get_u16().map_err(|_| Violation::Format)
    }

    fn u32(&mut self) -> Result<u32> {
        self.0.try_get_u32().map_err(|_| Violation::Format)
    }

    fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }

    /// A text and the zero behind it.
    fn text(&mut self) -> Result<String> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Violation::Format)?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        Ok(std::str::from_utf8(&text).map_err(|_| Violation::Text)?.to_owned())
    }

    /// Names and values up to an empty name.
    fn parameters(&mut self) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        loop {
            let name = self.text()?;
            if name.is_empty() {
                self.end()?;
                return Ok(all);
            }
            all.push((name, self.text()?));
        }
    }

    fn forms(&mut self) -> Result<Vec<Form>> {
        let count = self.u16()?;
        let form = |code| match code {
            0 => Ok(Form::Text),
            1 => Ok(Form::Binary),
            _ => Err(Violation::Format),
        };
        (0..count).map(|_| self.u16().and_then(form)).collect()
    }

    fn value(&mut self) -> Result<Option<Bytes>> {
        match self.u32()? as i32 {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) if length <= self.0.len() => Ok(Some(self.0.split_to(length))),
                _ => Err(Violation::Format),
            },
        }
    }

    fn object(&mut self) -> Result<Object> {
        match self.0.try_get_u8() {
            Ok(b'S') => Ok(Object::Statement(self.text()?)),
            Ok(b'P') => Ok(Object::Portal(self.text()?)),
            _ => Err(Violation::Format),
        }
    }

    fn end(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Violation::Format) }
    }
}

/// The messages that are whole, up to a violation that ends the connection.
#[cfg(any(test, fuzzing))]
pub(crate) fn messages(buffer: &mut BytesMut) -> Vec<Result<Message>> {
    const BYTES_MAX: usize = 1 << 20;
    let mut all = Vec::new();
    while let Some(read) = next(buffer, BYTES_MAX).transpose() {
        let ends = read.as_ref().is_err_and(|violation| *violation != Violation::Text);
        all.push(read);
        if ends {
            break;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_bytes_the_answer_is_a_message_or_a_violation() {
        let mut seed = 7u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize
        };
        for _ in 0..200_000 {
            let kind = b"QPBDCEHSdcfpFXz"[random() % 15];
            let length = random() % 40;
            let mut bytes = vec![kind];
            bytes.extend_from_slice(&((length + 4) as u32).to_be_bytes());
            bytes.extend((0..length).map(|_| [0, 0, 0, 1, 2, b'S', b'a', 255][random() % 8]));
            let mut buffer = BytesMut::from(&bytes[..]);
            match next(&mut buffer, 1 << 20) {
                Ok(Some(_)) => assert!(buffer.is_empty()),
                Ok(None) => panic!("the message was whole"),
                Err(_) => {}
            }
            let mut buffer = BytesMut::from(&bytes[1..]);
            let _ = opening(&mut buffer);
        }
    }

    #[test]
    fn a_bind_is_read_whole() {
        let mut bytes = vec![b'B', 0, 0, 0, 0];
        bytes.extend_from_slice(b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\0");
        let length = (bytes.len() - 1) as u32;
        bytes[1..5].copy_from_slice(&length.to_be_bytes());
        let mut buffer = BytesMut::from(&bytes[..]);
        let expected = Message::Bind {
            portal: "p".to_owned(),
            statement: "s".to_owned(),
            forms: vec![Form::Binary],
            values: vec![Some(Bytes::from_static(b"ab")), None],
            results: Vec::new(),
        };
        assert_eq!(next(&mut buffer, 1 << 20), Ok(Some(expected)));
    }

    #[test]
    fn lengths_that_lie_are_refused_before_anything_is_kept() {
        let mut buffer = BytesMut::from(&b"Q\x7f\xff\xff\xff"[..]);
        assert_eq!(next(&mut buffer, 1 << 20), Err(Violation::TooLong(0x7fff_ffff, 1 << 20)));
        let mut buffer = BytesMut::from(&b"S\0\0\0\x03"[..]);
        assert_eq!(next(&mut buffer, 1 << 20), Err(Violation::Length));
        let mut buffer = BytesMut::from(&b"\xff\xff\xff\xff\0\0\0\0"[..]);
        assert_eq!(opening(&mut buffer), Err(Violation::Length));
    }
}
