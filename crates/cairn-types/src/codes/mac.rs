//! MACADDR and MACADDR8: six and eight bytes, which are their own code.

use std::fmt::Write;

use crate::coded::Coded;
use crate::error::TypeError;

/// Reads the forms that PostgreSQL reads: pairs with `:` or `-`, threes with them, fours with `.`, twelve digits.
pub(super) fn parse(text: &str) -> Result<Vec<u8>, TypeError> {
    let invalid = || TypeError::InvalidText { type_name: "macaddr".to_owned(), input: text.to_owned() };
    let trimmed = text.trim_ascii();
    let mut bytes = Vec::with_capacity(6);
    for separator in [':', '-'] {
        let parts: Vec<&str> = trimmed.split(separator).collect();
        if parts.len() == 6 && parts.iter().all(|part| (1..=2).contains(&part.len())) {
            for part in parts {
                bytes.push(byte(part).ok_or_else(invalid)?);
            }
            return Ok(bytes);
        }
    }
    let lengths = |separator: char| trimmed.split(separator).map(str::len).collect::<Vec<_>>();
    let shaped = lengths(':') == [6, 6]
        || lengths('-') == [6, 6]
        || lengths('.') == [4, 4, 4]
        || lengths('-') == [4, 4, 4]
        || trimmed.len() == 12;
    let digits: String = trimmed.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
    if !shaped || digits.len() != 12 || !digits.is_ascii() {
        return Err(invalid());
    }
    for at in (0..12).step_by(2) {
        bytes.push(byte(&digits[at..at + 2]).ok_or_else(invalid)?);
    }
    Ok(bytes)
}

fn byte(text: &str) -> Option<u8> {
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(text, 16).ok()
}

/// Reads MACADDR8: pairs of digits, eight or six of them (these get `ff:fe` in their middle), with one separator that
/// may stand between any two pairs.
pub(super) fn parse_long(text: &str) -> Result<Vec<u8>, TypeError> {
    let invalid = || TypeError::InvalidText { type_name: "macaddr8".to_owned(), input: text.to_owned() };
    let mut rest = text.trim_ascii().bytes().peekable();
    let mut bytes = Vec::with_capacity(8);
    let mut separator = None;
    while let Some(first) = rest.next() {
        let pair = [first, rest.next().ok_or_else(invalid)?];
        let digits = std::str::from_utf8(&pair).map_err(|_| invalid())?;
        bytes.push(byte(digits).ok_or_else(invalid)?);
        if bytes.len() > 8 {
            return Err(invalid());
        }
        if let Some(next @ (b':' | b'-' | b'.')) = rest.peek().copied() {
            if *separator.get_or_insert(next) != next {
                return Err(invalid());
            }
            rest.next();
            if rest.peek().is_none() {
                return Err(invalid());
            }
        }
    }
    match bytes.len() {
        8 => Ok(bytes),
        6 => {
            bytes.splice(3..3, [0xFF, 0xFE]);
            Ok(bytes)
        }
        _ => Err(invalid()),
    }
}

/// Appends the text of a code.
pub(super) fn write(ty: &Coded, code: &[u8], out: &mut String) -> Option<()> {
    let length = if *ty == Coded::MacAddr { 6 } else { 8 };
    (code.len() == length).then_some(())?;
    for (at, byte) in code.iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        let _ = write!(out, "{byte:02x}");
    }
    Some(())
}
