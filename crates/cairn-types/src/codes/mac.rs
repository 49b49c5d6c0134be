//! MACADDR: six bytes, which are their own code.

use std::fmt::Write;

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

/// Appends the text of a code.
pub(super) fn write(code: &[u8], out: &mut String) -> Option<()> {
    let bytes: [u8; 6] = code.try_into().ok()?;
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        let _ = write!(out, "{byte:02x}");
    }
    Some(())
}
