//! Text of floats as PostgreSQL writes and reads it: the shortest digits that read back as the same number,
//! plain between 1e-4 and 1e15 (REAL: 1e6), else with an exponent of at least two digits.

use std::fmt::Write;

use crate::error::TypeError;

/// Appends a DOUBLE PRECISION.
pub fn write_f64(x: f64, out: &mut String) {
    if x.is_finite() {
        // Whole numbers are their own shortest digits as long as they are exact.
        if x.abs() < 1e15 && x.trunc() == x && (x != 0.0 || x.is_sign_positive()) {
            let _ = write!(out, "{}", x as i64);
            return;
        }
        let mut digits = Scratch::default();
        let _ = write!(digits, "{x:e}");
        place_point(digits.as_str(), 15, out);
    } else {
        out.push_str(non_finite(x.is_nan(), x > 0.0));
    }
}

/// Appends a REAL.
pub fn write_f32(x: f32, out: &mut String) {
    if x.is_finite() {
        let mut digits = Scratch::default();
        let _ = write!(digits, "{x:e}");
        place_point(digits.as_str(), 6, out);
    } else {
        out.push_str(non_finite(x.is_nan(), x > 0.0));
    }
}

fn non_finite(nan: bool, positive: bool) -> &'static str {
    match (nan, positive) {
        (true, _) => "NaN",
        (false, true) => "Infinity",
        (false, false) => "-Infinity",
    }
}

/// Room for `-d.dddddddddddddddde-ddd`.
#[derive(Default)]
struct Scratch {
    bytes: [u8; 32],
    length: usize,
}

impl Scratch {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl Write for Scratch {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Turns Rust's `d.ddde±x` into PostgreSQL's form; exponents from -4 below `plain_below` are written plainly.
fn place_point(scientific: &str, plain_below: i32, out: &mut String) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    out.push_str(sign);
    if !(-4..plain_below).contains(&exponent) {
        out.push_str(mantissa);
        let _ = write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs());
    } else if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (exponent.unsigned_abs() - 1) as usize));
        out.push_str(whole);
        out.push_str(fraction);
    } else {
        let exponent = exponent.unsigned_abs() as usize;
        out.push_str(whole);
        if fraction.len() > exponent {
            out.push_str(&fraction[..exponent]);
            out.push('.');
            out.push_str(&fraction[exponent..]);
        } else {
            out.push_str(fraction);
            out.extend(std::iter::repeat_n('0', exponent - fraction.len()));
        }
    }
}

/// Reads a DOUBLE PRECISION.
///
/// # Errors
/// [`TypeError::InvalidText`], and [`TypeError::OutOfRange`] where a number overflows or vanishes.
pub fn parse_f64(text: &str) -> Result<f64, TypeError> {
    let number = text.trim_ascii();
    let x: f64 = number.parse().map_err(|_| invalid(text, "double precision"))?;
    check(text, number, "double precision", x.is_infinite(), x == 0.0)?;
    Ok(x)
}

/// Reads a REAL.
///
/// # Errors
/// As [`parse_f64`].
pub fn parse_f32(text: &str) -> Result<f32, TypeError> {
    let number = text.trim_ascii();
    let x: f32 = number.parse().map_err(|_| invalid(text, "real"))?;
    check(text, number, "real", x.is_infinite(), x == 0.0)?;
    Ok(x)
}

fn invalid(text: &str, type_name: &str) -> TypeError {
    TypeError::InvalidText { type_name: type_name.to_owned(), input: text.to_owned() }
}

fn check(text: &str, number: &str, type_name: &str, infinite: bool, zero: bool) -> Result<(), TypeError> {
    let mantissa = || number.split(['e', 'E']).next().unwrap_or_default();
    let overflow = infinite && number.bytes().any(|b| b.is_ascii_digit());
    let vanished = zero && mantissa().bytes().any(|b| (b'1'..=b'9').contains(&b));
    if overflow || vanished {
        return Err(TypeError::OutOfRange { type_name: type_name.to_owned(), input: text.to_owned() });
    }
    Ok(())
}
