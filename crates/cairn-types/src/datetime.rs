//! Calendar arithmetic and the text of DATE, TIME, TIMESTAMP and TIMESTAMPTZ in PostgreSQL's ISO style.
//!
//! The calendar is the proleptic Gregorian one; years before 1 are written with `BC`. The outermost numbers are
//! `infinity` and `-infinity`. Words that depend on the clock (`now`, `today`) are refused with a clear error. Output never fails, whatever the number.

mod input;
mod span;

pub use input::{Zone, parse_date, parse_time, parse_time_and_zone, parse_timestamp, parse_timestamptz};
pub use span::{parse_interval, parse_interval_within, write_interval};

/// Microseconds of a day.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The clock at 2000-01-01 00:00, from which PostgreSQL counts: halves are rounded away from it.
const ROUNDING_EPOCH: i64 = 946_684_800_000_000;

/// Microseconds of the last of so many digits of a second.
pub(crate) fn digit_micros(digits: u8) -> i64 {
    10i64.pow(6u32.saturating_sub(u32::from(digits)))
}

/// The nearest multiple, of two the one that is further from 0; what has none in range stays.
pub(crate) fn round_half_away(n: i64, unit: i64) -> i64 {
    let rounded = i128::from(n.unsigned_abs()) + i128::from(unit / 2);
    let rounded = rounded - rounded % i128::from(unit);
    i64::try_from(if n < 0 { -rounded } else { rounded }).unwrap_or(n)
}

/// A time of day rounded to so many digits of a second.
#[must_use]
pub fn round_time(micros: i64, digits: Option<u8>) -> i64 {
    digits.map_or(micros, |digits| round_half_away(micros, digit_micros(digits)))
}

/// A moment rounded to so many digits of a second, as PostgreSQL rounds it.
#[must_use]
pub fn round_moment(micros: i64, digits: Option<u8>) -> i64 {
    match digits {
        Some(digits) if digits < 6 && !is_infinite(micros) => micros
            .checked_sub(ROUNDING_EPOCH)
            .and_then(|since| round_half_away(since, digit_micros(digits)).checked_add(ROUNDING_EPOCH))
            .unwrap_or(micros),
        _ => micros,
    }
}

/// Whether a TIMESTAMP or TIMESTAMPTZ is `infinity` or `-infinity`.
#[must_use]
pub fn is_infinite(micros: i64) -> bool {
    matches!(micros, i64::MIN | i64::MAX)
}

/// Whether a DATE is.
#[must_use]
pub fn is_infinite_date(days: i32) -> bool {
    matches!(days, i32::MIN | i32::MAX)
}

/// The moment at which a DATE begins; `None` where it is out of the range of TIMESTAMP.
#[must_use]
pub fn midnight(days: i32) -> Option<i64> {
    match days {
        i32::MAX => Some(i64::MAX),
        i32::MIN => Some(i64::MIN),
        days => i64::from(days).checked_mul(MICROS_PER_DAY),
    }
}

/// The DATE of a moment.
#[must_use]
pub fn date_of(micros: i64) -> i32 {
    match micros {
        i64::MAX => i32::MAX,
        i64::MIN => i32::MIN,
        micros => micros.div_euclid(MICROS_PER_DAY) as i32,
    }
}

fn push_infinity(positive: bool, out: &mut String) {
    out.push_str(if positive { "infinity" } else { "-infinity" });
}

/// Year (0 is 1 BC), month and day of a day number counted from 1970-01-01.
///
/// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
#[must_use]
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as u32, day as u32)
}

/// Day number counted from 1970-01-01 of a date of the calendar (year 0 is 1 BC). Months and days are not checked.
#[must_use]
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Days of a month.
#[must_use]
pub fn days_of_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Appends at least `width` digits.
fn push_padded(n: u64, width: usize, out: &mut String) {
    let mut digits = [b'0'; 20];
    let mut rest = n;
    let mut at = digits.len();
    while rest > 0 || digits.len() - at < width {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
}

/// Appends `YYYY-MM-DD` and tells whether the year is before 1, so that `BC` must follow.
fn push_date(days: i64, out: &mut String) -> bool {
    let (year, month, day) = civil_from_days(days);
    let before_christ = year <= 0;
    push_padded(if before_christ { 1 - year } else { year }.unsigned_abs(), 4, out);
    out.push('-');
    push_padded(u64::from(month), 2, out);
    out.push('-');
    push_padded(u64::from(day), 2, out);
    before_christ
}

/// Appends `HH:MM:SS` and the fraction of a second without trailing zeros.
fn push_clock(micros: u64, out: &mut String) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    push_padded(seconds / 3600, 2, out);
    out.push(':');
    push_padded(seconds / 60 % 60, 2, out);
    out.push(':');
    push_padded(seconds % 60, 2, out);
    if fraction > 0 {
        out.push('.');
        push_padded(fraction, 6, out);
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// Appends a DATE: `2013-01-01`, `0044-03-15 BC`.
pub fn write_date(days: i32, out: &mut String) {
    if is_infinite_date(days) {
        return push_infinity(days > 0, out);
    }
    if push_date(i64::from(days), out) {
        out.push_str(" BC");
    }
}

/// Appends a TIME: `05:00:00.25`.
pub fn write_time(micros: i64, out: &mut String) {
    if micros < 0 {
        out.push('-');
    }
    push_clock(micros.unsigned_abs(), out);
}

/// Appends a TIMESTAMP: `2013-01-01 05:00:00`.
pub fn write_timestamp(micros: i64, out: &mut String) {
    if is_infinite(micros) {
        return push_infinity(micros > 0, out);
    }
    let before_christ = push_date(micros.div_euclid(MICROS_PER_DAY), out);
    out.push(' ');
    push_clock(micros.rem_euclid(MICROS_PER_DAY).unsigned_abs(), out);
    if before_christ {
        out.push_str(" BC");
    }
}

/// Appends a TIMESTAMPTZ as a clock that is `offset_seconds` ahead of UTC shows it: `2013-01-01 05:00:00+00`.
pub fn write_timestamptz(micros: i64, offset_seconds: i32, out: &mut String) {
    if is_infinite(micros) {
        return push_infinity(micros > 0, out);
    }
    let local = micros.saturating_add(i64::from(offset_seconds) * 1_000_000);
    let before_christ = push_date(local.div_euclid(MICROS_PER_DAY), out);
    out.push(' ');
    push_clock(local.rem_euclid(MICROS_PER_DAY).unsigned_abs(), out);
    push_offset(offset_seconds, out);
    if before_christ {
        out.push_str(" BC");
    }
}

/// Appends a TIME WITH TIME ZONE: `05:00:00.25+02`.
pub fn write_time_and_zone(micros: i64, offset_seconds: i32, out: &mut String) {
    push_clock(micros.unsigned_abs(), out);
    push_offset(offset_seconds, out);
}

/// Appends `+02`, `-03:30`.
fn push_offset(offset_seconds: i32, out: &mut String) {
    out.push(if offset_seconds < 0 { '-' } else { '+' });
    let offset = u64::from(offset_seconds.unsigned_abs());
    push_padded(offset / 3600, 2, out);
    if offset % 3600 != 0 {
        out.push(':');
        push_padded(offset / 60 % 60, 2, out);
    }
    if offset % 60 != 0 {
        out.push(':');
        push_padded(offset % 60, 2, out);
    }
}
