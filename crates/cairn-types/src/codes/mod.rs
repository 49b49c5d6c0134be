//! What the codes of coded types say: a folder entry per kind, reading and printing PostgreSQL's text forms.
//!
//! I1. For values a, b of one type: `code(a) < code(b)` by bytes exactly where PostgreSQL has a < b.
//! I2. Reading is total: what no encoder wrote is shown as `?` and has no parts.

mod bits;
pub mod composite;
mod mac;
mod network;
mod range;
mod time;

pub use bits::Bits;
pub use network::Network;
pub use range::Range;
pub use time::ZonedTime;

use crate::coded::Coded;
use crate::datetime::Zone;
use crate::error::TypeError;

/// The code of a text. Moments without a zone of their own are `zone`'s.
///
/// # Errors
/// With PostgreSQL's words and SQLSTATE where the text is not of the type's form.
pub fn parse(ty: &Coded, text: &str, zone: Zone) -> Result<Vec<u8>, TypeError> {
    match ty {
        Coded::Enum(ty) => ty.code_of(text).ok_or_else(|| {
            let name = ty.sql_name();
            TypeError::invalid("22P02", format!("invalid input value for enum {name}: \"{text}\""))
        }),
        Coded::Range(kind) => Range::parse(text, *kind, zone)?.to_code(*kind),
        Coded::Inet => Network::parse(text, false).map(|network| network.to_code()),
        Coded::Cidr => Network::parse(text, true).map(|network| network.to_code()),
        Coded::MacAddr => mac::parse(text),
        Coded::MacAddr8 => mac::parse_long(text),
        Coded::TimeTz(_) => fit(ty, ZonedTime::parse(text, zone)?.to_code()),
        Coded::Bit(_) | Coded::VarBit(_) => fit(ty, Bits::parse(text)?.to_code()),
        Coded::Composite(ty) => composite::parse(ty, text, zone),
    }
}

/// Appends the text of a code.
pub fn write(ty: &Coded, code: &[u8], zone: Zone, out: &mut String) {
    let known = match ty {
        Coded::Enum(ty) => ty.label_of(code).map(|label| out.push_str(label)),
        Coded::Range(kind) => Range::from_code(code, *kind).map(|range| range.write(*kind, zone, out)),
        Coded::Inet => Network::from_code(code).map(|network| network.write(false, out)),
        Coded::Cidr => Network::from_code(code).map(|network| network.write(true, out)),
        Coded::MacAddr | Coded::MacAddr8 => mac::write(ty, code, out),
        Coded::TimeTz(_) => ZonedTime::from_code(code).map(|time| time.write(out)),
        Coded::Bit(_) | Coded::VarBit(_) => Bits::from_code(code).map(|bits| bits.write(out)),
        Coded::Composite(ty) => {
            composite::decode(ty, code).map(|values| composite::write(ty, &values, zone, out))
        }
    };
    if known.is_none() {
        out.push('?');
    }
}

/// A code as an assignment to a column of that type takes it: the lengths of bit strings are checked, times are rounded.
///
/// # Errors
/// 22026 and 22001.
pub fn fit(ty: &Coded, code: Vec<u8>) -> Result<Vec<u8>, TypeError> {
    let (limit, exact) = match ty {
        Coded::Bit(Some(n)) => (*n as usize, true),
        Coded::VarBit(Some(n)) => (*n as usize, false),
        Coded::TimeTz(digits @ Some(_)) => {
            return Ok(ZonedTime::from_code(&code).map_or(code, |time| time.rounded(*digits).to_code()));
        }
        _ => return Ok(code),
    };
    let length = Bits::from_code(&code).map_or(0, |bits| bits.len());
    if exact && length != limit {
        let message = format!("bit string length {length} does not match type bit({limit})");
        return Err(TypeError::invalid("22026", message));
    }
    if length > limit {
        let message = format!("bit string too long for type bit varying({limit})");
        return Err(TypeError::invalid("22001", message));
    }
    Ok(code)
}

/// Bits whose order is that of their first difference, what ends first coming first: each eight of them are a byte and the
/// number 8, what is left (0 to 7) a byte filled up with zeros and its number.
fn put_bits(bytes: &[u8], bits: usize, out: &mut Vec<u8>) {
    for byte in &bytes[..bits / 8] {
        out.extend_from_slice(&[*byte, 8]);
    }
    let left = bits % 8;
    let last = if left > 0 { bytes[bits / 8] & (0xFF << (8 - left)) } else { 0 };
    out.extend_from_slice(&[last, left as u8]);
}

/// Reads what [`put_bits`] wrote, to the end of `code`.
fn get_bits(code: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (last, whole) = code.as_chunks::<2>().0.split_last().filter(|_| code.len().is_multiple_of(2))?;
    let mut bytes = Vec::with_capacity(whole.len() + 1);
    for [byte, count] in whole {
        if *count != 8 {
            return None;
        }
        bytes.push(*byte);
    }
    let [byte, left] = *last;
    if left > 7 || (left == 0 && byte != 0) {
        return None;
    }
    if left > 0 {
        bytes.push(byte);
    }
    Some((bytes, whole.len() * 8 + usize::from(left)))
}
