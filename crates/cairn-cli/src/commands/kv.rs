//! `cairn kv`: the key-value space from the command line.
//!
//! Keys and values are the bytes given, or hexadecimal digits with `--hex`. `scan` prints a key, a tab and the
//! value; bytes that would break the line are escaped as `\t`, `\n`, `\\`, `\xNN`. `get` prints the bytes as they are.

use std::io::{self, Read, Write};
use std::ops::Bound;

use anyhow::anyhow;
use cairndb::{Bytes, KeyRange};

use super::{open, open_existing};
use crate::arguments::{Kv, KvGet, KvKey, KvPut, KvScan};
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Runs a key-value command.
pub(crate) fn run(command: &Kv) -> Outcome {
    match command {
        Kv::Get(command) => get(command),
        Kv::Put(command) => put(command),
        Kv::Delete(command) => delete(command),
        Kv::Scan(command) => scan(command),
    }
}

fn get(command: &KvGet) -> Outcome {
    let KvKey { database, key, coding } = &command.key;
    let db = open_existing(database)?;
    let Some(value) = db.get(decode(key, coding.hex)?)? else {
        return Err(anyhow!("the key is not there: {key}").into());
    };
    let mut out = Output::stdout();
    if coding.hex {
        writeln!(out, "{}", hex(&value))?;
    } else {
        out.write_all(&value)?;
        if out.is_terminal() && !value.ends_with(b"\n") {
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    Ok(())
}

fn put(command: &KvPut) -> Outcome {
    let KvKey { database, key, coding } = &command.key;
    let key = decode(key, coding.hex)?;
    let value = match &command.value {
        Some(value) => decode(value, coding.hex)?,
        None => {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes)?;
            if coding.hex { decode(String::from_utf8_lossy(&bytes).trim(), true)? } else { bytes }
        }
    };
    let db = open(database)?;
    db.put(key, value)?;
    Ok(db.close()?)
}

fn delete(command: &KvKey) -> Outcome {
    let key = decode(&command.key, command.coding.hex)?;
    let db = open_existing(&command.database)?;
    db.delete(key)?;
    Ok(db.close()?)
}

fn scan(command: &KvScan) -> Outcome {
    let hexadecimal = command.coding.hex;
    let mut range = match &command.prefix {
        Some(prefix) => KeyRange::prefix(&decode(prefix, hexadecimal)?),
        None => KeyRange::all(),
    };
    if let Some(from) = &command.from {
        let from = Bytes::from(decode(from, hexadecimal)?);
        if range.start_key() < from {
            range.start = Bound::Included(from);
        }
    }
    if let Some(to) = &command.to {
        let to = Bytes::from(decode(to, hexadecimal)?);
        if range.end_key().is_none_or(|end| end > to) {
            range.end = Bound::Excluded(to);
        }
    }
    let db = open_existing(&command.database)?;
    let mut entries = if command.reverse { db.get_range_reverse(range)? } else { db.get_range(range)? };
    let mut out = Output::stdout();
    let mut left = command.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let Some((key, value)) = entries.next_entry()? else { break };
        if hexadecimal {
            writeln!(out, "{}\t{}", hex(key), hex(value))?;
        } else {
            writeln!(out, "{}\t{}", escaped(key), escaped(value))?;
        }
        left -= 1;
    }
    out.flush()?;
    Ok(())
}

fn decode(text: &str, hexadecimal: bool) -> Outcome<Vec<u8>> {
    if !hexadecimal {
        return Ok(text.as_bytes().to_vec());
    }
    let wrong = || Failure::Usage(format!("'{text}' is not hexadecimal: an even number of digits 0-9, a-f"));
    if !text.is_ascii() || text.len() % 2 == 1 {
        return Err(wrong());
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong()))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text as it is, everything else so that a line stays a line.
fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                '\\' => out.push_str("\\\\"),
                c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    //! The two codings.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn hexadecimal_goes_both_ways_and_refuses_the_rest() {
        assert_eq!(decode("00ff7A", true).unwrap(), [0, 0xff, 0x7a]);
        assert_eq!(hex(&[0, 0xff, 0x7a]), "00ff7a");
        assert!(decode("0", true).is_err() && decode("zz", true).is_err() && decode("é", true).is_err());
    }

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(escaped(b"a\tb\nc\\\x00\xff\xc3\xa9"), "a\\tb\\nc\\\\\\x00\\xffé");
    }
}
