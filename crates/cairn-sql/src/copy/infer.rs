//! What types the columns of a file without types have.
//!
//! Each column starts with every candidate alive; a cell kills those that do not spell it; the most special survivor
//! wins, TEXT if there is none. A column of NULLs only is TEXT.
//!
//! I1. A guess loses nothing: numbers with leading zeros, integers beyond 64 bits and decimals beyond a double's 17
//!     digits stay text.
//! I2. `NA` is NULL in columns whose other cells are not text, as R writes it; in text columns it is text.

use cairn_types::DataType;

use super::cell;

/// The text that R and pandas write for a missing value.
pub(super) const NOT_AVAILABLE: &[u8] = b"NA";

const BOOLEAN: u8 = 1;
const INTEGER: u8 = 2;
const DOUBLE: u8 = 4;
const DATE: u8 = 8;
const TIMESTAMP: u8 = 16;
const TIMESTAMPTZ: u8 = 32;
const TIME: u8 = 64;
const ALL: u8 = 127;

/// The candidates of one column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidates {
    alive: u8,
    seen: bool,
    /// `NA` stood there; decides nothing unless the column turns out to be text.
    pub(super) not_available: bool,
}

impl Candidates {
    /// Before the first cell.
    pub(super) fn new() -> Candidates {
        Candidates { alive: ALL, seen: false, not_available: false }
    }

    /// Takes a cell into account that is not NULL.
    pub(super) fn look(&mut self, text: &[u8]) {
        if text == NOT_AVAILABLE {
            self.not_available = true;
            return;
        }
        self.seen = true;
        if self.alive == 0 {
            return;
        }
        let mut alive = self.alive;
        if alive & INTEGER != 0 && !is_integer(text) {
            alive &= !INTEGER;
        }
        if alive & DOUBLE != 0 && alive & INTEGER == 0 && !is_double(text) {
            alive &= !DOUBLE;
        }
        if alive & BOOLEAN != 0 && !text.eq_ignore_ascii_case(b"true") && !text.eq_ignore_ascii_case(b"false")
        {
            alive &= !BOOLEAN;
        }
        if alive & DATE != 0 && cell::date(text).is_none() {
            alive &= !DATE;
        }
        if alive & TIMESTAMP != 0
            && alive & DATE == 0
            && cell::timestamp(text, false).is_none()
            && cell::date(text).is_none()
        {
            alive &= !TIMESTAMP;
        }
        if alive & TIMESTAMPTZ != 0 && !is_zoned(text) {
            alive &= !TIMESTAMPTZ;
        }
        if alive & TIME != 0 && cell::clock_micros(text).is_none() {
            alive &= !TIME;
        }
        self.alive = alive;
    }

    /// The type that all cells had.
    pub(super) fn ty(&self) -> DataType {
        if !self.seen {
            return DataType::Text;
        }
        let order = [
            (BOOLEAN, DataType::Boolean),
            (INTEGER, DataType::BigInt),
            (DOUBLE, DataType::Double),
            (DATE, DataType::Date),
            (TIMESTAMP, DataType::Timestamp(None)),
            (TIMESTAMPTZ, DataType::TimestampTz(None)),
            (TIME, DataType::Time(None)),
        ];
        order.into_iter().find(|(bit, _)| self.alive & bit != 0).map_or(DataType::Text, |(_, ty)| ty)
    }
}

fn is_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.len() > 1 && digits[0] == b'0' {
        return false;
    }
    match digits.len() {
        0 => false,
        1..=18 => digits.iter().all(u8::is_ascii_digit),
        19 => {
            digits.iter().all(u8::is_ascii_digit)
                && std::str::from_utf8(text).is_ok_and(|t| t.parse::<i64>().is_ok())
        }
        _ => false,
    }
}

fn is_double(text: &[u8]) -> bool {
    if is_integer(text) {
        return true;
    }
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let mantissa = unsigned.split(|b| matches!(b, b'e' | b'E')).next().unwrap_or(unsigned);
    let digits = mantissa.iter().filter(|b| b.is_ascii_digit()).count();
    let leading_zero = mantissa.len() > 1 && mantissa[0] == b'0' && mantissa[1].is_ascii_digit();
    let whole = mantissa.iter().all(u8::is_ascii_digit) && mantissa.len() == unsigned.len();
    digits <= 17 && digits > 0 && !leading_zero && !whole && cell::float(text).is_some()
        || matches!(text, b"NaN" | b"nan" | b"inf" | b"-inf" | b"Infinity" | b"-Infinity")
}

/// A timestamp with a zone behind it.
fn is_zoned(text: &[u8]) -> bool {
    let Some(clock) = text.get(11..) else { return false };
    let zone = match clock.iter().position(|b| matches!(b, b'Z' | b'+' | b'-')) {
        Some(at) => &text[11 + at..],
        None => return false,
    };
    let local = &text[..text.len() - zone.len()];
    let digits_at = |i: usize| zone.get(i).is_some_and(u8::is_ascii_digit);
    let known = match zone.len() {
        1 => zone == b"Z",
        3 => digits_at(1) && digits_at(2),
        5 => (1..5).all(digits_at),
        6 => digits_at(1) && digits_at(2) && zone[3] == b':' && digits_at(4) && digits_at(5),
        _ => false,
    };
    known && cell::timestamp(local, false).is_some()
}

/// Whether a first line of `cells` is a header: no cell is empty or reads as a number or date, and none comes twice.
pub(super) fn is_header<'a>(cells: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut names: Vec<&[u8]> = Vec::new();
    for cell in cells {
        let mut candidates = Candidates::new();
        candidates.look(cell);
        if cell.is_empty() || candidates.ty() != DataType::Text || names.contains(&cell) {
            return false;
        }
        names.push(cell);
    }
    !names.is_empty()
}

/// Column names from a header: trimmed, made unique, never empty.
pub(super) fn unique_names(cells: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (at, cell) in cells.enumerate() {
        let trimmed = cell.trim();
        let base = if trimmed.is_empty() { format!("column{}", at + 1) } else { trimmed.to_owned() };
        let mut name = base.clone();
        let mut n = 1;
        while names.contains(&name) {
            name = format!("{base}_{n}");
            n += 1;
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(cells: &[&str]) -> DataType {
        let mut candidates = Candidates::new();
        cells.iter().for_each(|c| candidates.look(c.as_bytes()));
        candidates.ty()
    }

    #[test]
    fn types_are_guessed_without_loss() {
        assert_eq!(guess(&["1", "-20", "0"]), DataType::BigInt);
        assert_eq!(guess(&["1", "2.5"]), DataType::Double);
        assert_eq!(guess(&["2.5", "1"]), DataType::Double);
        assert_eq!(guess(&["007"]), DataType::Text);
        assert_eq!(guess(&["99999999999999999999"]), DataType::Text);
        assert_eq!(guess(&["true", "False"]), DataType::Boolean);
        assert_eq!(guess(&["2013-01-01", "2013-01-02"]), DataType::Date);
        assert_eq!(guess(&["2013-01-01", "2013-01-02 10:00:00"]), DataType::Timestamp(None));
        assert_eq!(guess(&["2013-01-01T10:00:00Z"]), DataType::TimestampTz(None));
        assert_eq!(guess(&["2013-01-01 10:00:00+02:00"]), DataType::TimestampTz(None));
        assert_eq!(guess(&["10:00", "11:00:30"]), DataType::Time(None));
        assert_eq!(guess(&["NA", "5"]), DataType::BigInt);
        assert_eq!(guess(&["NA"]), DataType::Text);
        assert_eq!(guess(&["1", "x"]), DataType::Text);
    }

    #[test]
    fn headers_are_recognised() {
        assert!(is_header([b"id".as_slice(), b"name"].into_iter()));
        assert!(!is_header([b"1".as_slice(), b"name"].into_iter()));
        assert!(!is_header([b"a".as_slice(), b"a"].into_iter()));
        assert_eq!(unique_names(["a", "a", " "].into_iter().map(String::from)), ["a", "a_1", "column3"]);
    }
}
