//! NUMERIC: digits in base 10000, the weight of the first of them, a sign and the digits shown after the point.

use super::read::Reader;
use crate::decimal::Decimal;
use crate::error::TypeError;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;
/// Decimal digits in one of base 10000.
const GROUP: usize = 4;

pub(super) fn write(number: Decimal, out: &mut Vec<u8>) {
    if !number.is_finite() {
        let sign = match number.sign() {
            _ if number.is_nan() => NAN,
            -1 => NEGATIVE_INFINITY,
            _ => INFINITY,
        };
        // The digits shown of an infinity are what PostgreSQL says of them.
        for field in [0, 0, sign, if number.is_nan() { 0 } else { 32 }] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        return;
    }
    let text = number.to_string();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (NEGATIVE, digits),
        None => (0, text.as_str()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, mut groups) = (whole.trim_start_matches('0'), Vec::new());
    let value = |digits: &str| digits.bytes().fold(0i16, |n, digit| n * 10 + i16::from(digit - b'0'));
    let first = whole.len() % GROUP;
    if first > 0 {
        groups.push(value(&whole[..first]));
    }
    let mut at = first;
    while at < whole.len() {
        groups.push(value(&whole[at..at + GROUP]));
        at += GROUP;
    }
    let mut weight = groups.len() as i16 - 1;
    let mut at = 0;
    while at < fraction.len() {
        let group = &fraction[at..fraction.len().min(at + GROUP)];
        groups.push(value(group) * 10i16.pow((GROUP - group.len()) as u32));
        at += GROUP;
    }
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    weight -= leading as i16;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let sign = if groups.is_empty() { 0 } else { sign };
    out.extend_from_slice(&(groups.len() as i16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&(fraction.len() as u16).to_be_bytes());
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

pub(super) fn read(bytes: &mut Reader<'_>) -> Result<Decimal, TypeError> {
    let invalid =
        |what: &str| TypeError::invalid("22P03", format!("invalid {what} in external \"numeric\" value"));
    let count = usize::try_from(bytes.i16()?).map_err(|_| invalid("length"))?;
    let weight = i32::from(bytes.i16()?);
    let sign = bytes.i16()? as u16;
    let scale = bytes.i16()?;
    match sign {
        NAN => return Ok(Decimal::NAN),
        INFINITY => return Ok(Decimal::INFINITY),
        NEGATIVE_INFINITY => return Ok(Decimal::NEG_INFINITY),
        _ => {}
    }
    if sign != 0 && sign != NEGATIVE {
        return Err(invalid("sign"));
    }
    if !(0..=0x3FFF).contains(&scale) {
        return Err(invalid("scale"));
    }
    // Beyond what any number has: refused before it is written out.
    if !(-5000..=5000).contains(&weight) {
        return Err(TypeError::NumericFormat);
    }
    let mut text = String::new();
    if sign == NEGATIVE {
        text.push('-');
    }
    let mut groups = Vec::with_capacity(count.min(bytes.left() / 2));
    for _ in 0..count {
        let group = bytes.i16()?;
        if !(0..10_000).contains(&group) {
            return Err(invalid("digit"));
        }
        groups.push(group);
    }
    let group = |place: i32| {
        let at = usize::try_from(weight - place).ok();
        at.and_then(|at| groups.get(at)).copied().unwrap_or(0)
    };
    for place in (0..=weight.max(0)).rev() {
        text.push_str(&format!("{:04}", group(place)));
    }
    if scale > 0 {
        text.push('.');
        let mut fraction = String::new();
        let mut place = -1;
        while fraction.len() < scale as usize {
            fraction.push_str(&format!("{:04}", group(place)));
            place -= 1;
        }
        fraction.truncate(scale as usize);
        text.push_str(&fraction);
    }
    Decimal::parse(&text)
}
