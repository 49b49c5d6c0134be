//! Reading dates and times: ISO 8601 first and fast, then PostgreSQL's looser forms (`Jan 8, 1999`, `1/8/1999`
//! as month/day/year, `04:05 PM`, zone names).

use chrono::{Offset, TimeZone};
use chrono_tz::OffsetName;

use crate::datetime::{MICROS_PER_DAY, days_from_civil, days_of_month, is_infinite};
use crate::error::TypeError;

/// A time zone: a fixed distance from UTC or a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Seconds ahead of UTC.
    Fixed(i32),
    /// A zone of the IANA database.
    Place(chrono_tz::Tz),
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl Zone {
    /// UTC.
    pub const UTC: Self = Self::Fixed(0);

    /// Reads a zone as SET TIME ZONE does: `UTC`, `America/New_York`, `EST`, `+05:30` (ahead of UTC).
    ///
    /// # Errors
    /// [`TypeError::TimeZone`] where it is unknown.
    pub fn parse(text: &str) -> Result<Self, TypeError> {
        let unknown = || TypeError::TimeZone { zone: text.to_owned() };
        let name = text.trim_ascii();
        if name.starts_with(['+', '-']) {
            return parse_offset(name).map(Self::Fixed).ok_or_else(unknown);
        }
        let abbreviation = match name.to_ascii_uppercase().as_str() {
            "Z" | "UTC" | "GMT" | "UT" | "ZULU" => Some(0),
            "WET" => Some(0),
            "BST" | "CET" | "MEZ" | "WEST" => Some(1),
            "CEST" | "EET" | "MESZ" => Some(2),
            "EEST" | "MSK" => Some(3),
            "JST" => Some(9),
            "EDT" => Some(-4),
            "EST" | "CDT" => Some(-5),
            "CST" | "MDT" => Some(-6),
            "MST" | "PDT" => Some(-7),
            "PST" => Some(-8),
            _ => None,
        };
        if let Some(hours) = abbreviation {
            return Ok(Self::Fixed(hours * 3600));
        }
        let exact = name.parse().ok();
        let place = exact.or_else(|| {
            chrono_tz::TZ_VARIANTS.iter().copied().find(|zone| zone.name().eq_ignore_ascii_case(name))
        });
        place.map(Self::Place).ok_or_else(unknown)
    }

    /// What the zone's clock shows at an instant.
    #[must_use]
    pub fn local(&self, utc_micros: i64) -> i64 {
        if is_infinite(utc_micros) {
            return utc_micros;
        }
        utc_micros.saturating_add(i64::from(self.offset_at(utc_micros)) * 1_000_000)
    }

    /// Seconds ahead of UTC at an instant.
    #[must_use]
    pub fn offset_at(&self, utc_micros: i64) -> i32 {
        match self {
            Self::Fixed(seconds) => *seconds,
            Self::Place(zone) => chrono::DateTime::from_timestamp_micros(utc_micros)
                .map_or(0, |at| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()),
        }
    }

    /// What the zone's clock is called at an instant: `CET`, `CEST`; for a fixed distance its sign and hours, `UTC` for
    /// none.
    #[must_use]
    pub fn abbreviation_at(&self, utc_micros: i64) -> String {
        match self {
            Self::Fixed(0) => "UTC".to_owned(),
            Self::Fixed(seconds) => {
                let (sign, distance) = (if *seconds < 0 { '-' } else { '+' }, seconds.abs());
                match distance / 60 % 60 {
                    0 => format!("{sign}{:02}", distance / 3600),
                    minutes => format!("{sign}{:02}:{minutes:02}", distance / 3600),
                }
            }
            Self::Place(zone) => chrono::DateTime::from_timestamp_micros(utc_micros)
                .and_then(|at| {
                    zone.offset_from_utc_datetime(&at.naive_utc()).abbreviation().map(str::to_owned)
                })
                .unwrap_or_default(),
        }
    }

    /// The instant at which the clock of the zone shows `local`. A time shown twice is the later one (standard time),
    /// a time skipped is read with the offset before the jump, as in PostgreSQL.
    pub fn to_utc(self, local_micros: i64) -> Option<i64> {
        if is_infinite(local_micros) {
            return Some(local_micros);
        }
        let offset = match self {
            Self::Fixed(seconds) => seconds,
            Self::Place(zone) => {
                let local = chrono::DateTime::from_timestamp_micros(local_micros)?.naive_utc();
                let before = local.checked_sub_signed(chrono::TimeDelta::hours(3))?;
                let offset = zone
                    .offset_from_local_datetime(&local)
                    .latest()
                    .unwrap_or_else(|| zone.offset_from_utc_datetime(&before));
                offset.fix().local_minus_utc()
            }
        };
        local_micros.checked_sub(i64::from(offset) * 1_000_000)
    }
}

/// Reads `+05`, `-08:00`, `+0530`, `+05:30:15`.
fn parse_offset(text: &str) -> Option<i32> {
    let negative = text.starts_with('-');
    let digits = text.get(1..).filter(|digits| digits.is_ascii())?;
    let mut parts = [0i32; 3];
    if digits.contains(':') {
        let mut fields = digits.split(':');
        for part in &mut parts {
            *part = fields.next().map_or(Some(0), two_digits)?;
        }
        fields.next().is_none().then_some(())?;
    } else {
        let (hours, minutes) =
            if digits.len() > 2 { digits.split_at(digits.len() - 2) } else { (digits, "0") };
        parts = [two_digits(hours)?, two_digits(minutes)?, 0];
    }
    let [hours, minutes, seconds] = parts;
    if hours > 15 || minutes > 59 || seconds > 59 {
        return None;
    }
    let offset = hours * 3600 + minutes * 60 + seconds;
    Some(if negative { -offset } else { offset })
}

fn two_digits(text: &str) -> Option<i32> {
    ((1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// 4714-11-24 BC, PostgreSQL's first date.
const DATE_MIN: i32 = -2_440_588;
/// 5874897-12-31, its last one.
const DATE_MAX: i32 = 2_145_042_905;

/// What a text said.
#[derive(Debug, Default)]
struct Parts {
    date: Option<i64>,
    clock: Option<i64>,
    zone: Option<Zone>,
    infinite: Option<bool>,
}

/// Reads a DATE; a time behind it is dropped.
///
/// # Errors
/// [`TypeError::InvalidDatetime`], [`TypeError::DatetimeField`], [`TypeError::DatetimeRange`].
pub fn parse_date(text: &str) -> Result<i32, TypeError> {
    let days = match iso_date(text.as_bytes()) {
        Some((days, [])) => days,
        _ => {
            let parts = Reader::new(text, "date").read()?;
            if let Some(positive) = parts.infinite {
                return Ok(if positive { i32::MAX } else { i32::MIN });
            }
            parts.date.ok_or_else(|| invalid("date", text))?
        }
    };
    match i32::try_from(days) {
        Ok(days) if (DATE_MIN..=DATE_MAX).contains(&days) => Ok(days),
        _ => Err(out_of_range("date", text)),
    }
}

/// Reads a TIME; a date before it or a zone behind it is dropped.
///
/// # Errors
/// As [`parse_date`].
pub fn parse_time(text: &str) -> Result<i64, TypeError> {
    if let Some((micros, [])) = iso_clock(text.as_bytes()) {
        return Ok(micros);
    }
    Reader::new(text, "time").read()?.clock.ok_or_else(|| invalid("time", text))
}

/// Reads a TIMESTAMP; a zone is dropped, as PostgreSQL does.
///
/// # Errors
/// As [`parse_date`].
pub fn parse_timestamp(text: &str) -> Result<i64, TypeError> {
    if let Some((local, [])) = iso_timestamp(text.as_bytes()) {
        return local.ok_or_else(|| out_of_range("timestamp", text));
    }
    let parts = Reader::new(text, "timestamp").read()?;
    join(&parts, "timestamp", text)
}

/// Reads a TIMESTAMPTZ; a text without zone is of `zone`.
///
/// # Errors
/// As [`parse_date`], and [`TypeError::TimeZone`].
pub fn parse_timestamptz(text: &str, zone: Zone) -> Result<i64, TypeError> {
    let name = "timestamp with time zone";
    if let Some((Some(local), rest)) = iso_timestamp(text.as_bytes()) {
        let named = match rest {
            [] => Some(zone),
            b"Z" | b"+00" | b"+00:00" => Some(Zone::UTC),
            _ => None,
        };
        if let Some(zone) = named {
            return zone.to_utc(local).ok_or_else(|| out_of_range("timestamp", text));
        }
    }
    let parts = Reader::new(text, name).read()?;
    let local = join(&parts, name, text)?;
    if is_infinite(local) {
        return Ok(local);
    }
    parts.zone.unwrap_or(zone).to_utc(local).ok_or_else(|| out_of_range("timestamp", text))
}

/// Reads a TIME WITH TIME ZONE: the time and the seconds that its zone is ahead of UTC. A text without zone is of `zone`; a
/// place needs a date.
///
/// # Errors
/// As [`parse_date`], and [`TypeError::TimeZone`].
pub fn parse_time_and_zone(text: &str, zone: Zone) -> Result<(i64, i32), TypeError> {
    let name = "time with time zone";
    let parts = Reader::new(text, name).read()?;
    let clock = parts.clock.ok_or_else(|| invalid(name, text))?;
    let at = parts.date.and_then(|days| days.checked_mul(MICROS_PER_DAY)?.checked_add(clock));
    let offset = match (parts.zone.unwrap_or(zone), at) {
        (Zone::Fixed(seconds), _) => seconds,
        (place, Some(local)) => {
            let utc = place.to_utc(local).ok_or_else(|| out_of_range(name, text))?;
            place.offset_at(utc)
        }
        (_, None) if parts.zone.is_some() => return Err(invalid(name, text)),
        (place, None) => place.offset_at(0),
    };
    Ok((clock, offset))
}

fn join(parts: &Parts, type_name: &str, text: &str) -> Result<i64, TypeError> {
    if let Some(positive) = parts.infinite {
        return Ok(if positive { i64::MAX } else { i64::MIN });
    }
    let days = parts.date.ok_or_else(|| invalid(type_name, text))?;
    days.checked_mul(MICROS_PER_DAY)
        .and_then(|micros| micros.checked_add(parts.clock.unwrap_or(0)))
        .ok_or_else(|| out_of_range("timestamp", text))
}

fn invalid(type_name: &str, text: &str) -> TypeError {
    TypeError::InvalidDatetime { type_name: type_name.to_owned(), input: text.to_owned() }
}

fn out_of_range(type_name: &str, text: &str) -> TypeError {
    TypeError::DatetimeRange { type_name: type_name.to_owned(), input: text.to_owned() }
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

/// `YYYY-MM-DD` at the front, valid; and the rest.
fn iso_date(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<10>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *head else { return None };
    let year = i64::from(digits(&[y1, y2, y3, y4])?);
    let (month, day) = (digits(&[m1, m2])?, digits(&[d1, d2])?);
    let valid = year > 0 && (1..=12).contains(&month) && day >= 1 && day <= days_of_month(year, month);
    valid.then(|| (days_from_civil(year, month, day), rest))
}

/// `HH:MM:SS` or `HH:MM:SS.ffffff` (up to six digits) at the front, valid; and the rest.
fn iso_clock(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (head, mut rest) = bytes.split_first_chunk::<8>()?;
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *head else { return None };
    let (hour, minute, second) = (digits(&[h1, h2])?, digits(&[m1, m2])?, digits(&[s1, s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut micros = i64::from(hour * 3600 + minute * 60 + second) * 1_000_000;
    if let [b'.', fraction @ ..] = rest {
        let length = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=6).contains(&length) {
            return None;
        }
        micros += i64::from(digits(&fraction[..length])?) * 10i64.pow(6 - length as u32);
        rest = &fraction[length..];
    }
    Some((micros, rest))
}

/// `YYYY-MM-DD HH:MM:SS[.f]` at the front; the inner option is `None` beyond the range.
fn iso_timestamp(bytes: &[u8]) -> Option<(Option<i64>, &[u8])> {
    let (days, rest) = iso_date(bytes)?;
    let [b' ' | b'T', rest @ ..] = rest else { return None };
    let (clock, rest) = iso_clock(rest)?;
    Some((days.checked_mul(MICROS_PER_DAY).and_then(|micros| micros.checked_add(clock)), rest))
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Position of the name that `word` is or abbreviates to at least three letters.
fn named(names: &[&str], word: &str) -> Option<usize> {
    let word = word.trim_end_matches('.');
    (word.len() >= 3).then(|| names.iter().position(|name| name.starts_with(word)))?
}

/// The slow reader of every other form: words between blanks and commas, in any order.
struct Reader<'a> {
    text: &'a str,
    type_name: &'static str,
    clock: Option<i64>,
    zone: Option<Zone>,
    year: Option<(i64, usize)>,
    month: Option<u32>,
    day: Option<u32>,
    before_christ: bool,
    afternoon: Option<bool>,
    /// Whether it is `infinity` rather than `-infinity`.
    infinite: Option<bool>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, type_name: &'static str) -> Self {
        Self {
            text,
            type_name,
            clock: None,
            zone: None,
            year: None,
            month: None,
            day: None,
            before_christ: false,
            afternoon: None,
            infinite: None,
        }
    }

    fn invalid(&self) -> TypeError {
        invalid(self.type_name, self.text)
    }

    fn field(&self) -> TypeError {
        TypeError::DatetimeField { input: self.text.to_owned() }
    }

    fn read(mut self) -> Result<Parts, TypeError> {
        if self.text.len() > 200 {
            return Err(self.invalid());
        }
        for word in
            self.text.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|word| !word.is_empty())
        {
            self.word(word)?;
        }
        if let (Some(afternoon), Some(clock)) = (self.afternoon, self.clock) {
            let hour = clock / 3_600_000_000;
            if !(1..=12).contains(&hour) {
                return Err(self.field());
            }
            let wanted = hour % 12 + if afternoon { 12 } else { 0 };
            self.clock = Some(clock + (wanted - hour) * 3_600_000_000);
        } else if self.afternoon.is_some() {
            return Err(self.invalid());
        }
        let date = self.date()?;
        let (clock, zone, infinite) = (self.clock, self.zone, self.infinite);
        let of_time = self.type_name.starts_with("time ") || self.type_name == "time";
        if infinite.is_some() && (date.is_some() || of_time) {
            return Err(self.invalid());
        }
        Ok(Parts { date, clock, zone, infinite })
    }

    fn date(&self) -> Result<Option<i64>, TypeError> {
        let (year, month, day) = match (self.year, self.month, self.day) {
            (Some((year, written)), Some(month), Some(day)) => {
                let year = match (written, year) {
                    (..=2, ..70) if !self.before_christ => year + 2000,
                    (..=2, _) if !self.before_christ => year + 1900,
                    _ => year,
                };
                (if self.before_christ { 1 - year } else { year }, month, day)
            }
            (None, None, None) if !self.before_christ => return Ok(None),
            _ => return Err(self.invalid()),
        };
        let zero_year = self.year.is_some_and(|(year, written)| year == 0 && written > 2);
        if zero_year || !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
            return Err(self.field());
        }
        Ok(Some(days_from_civil(year, month, day)))
    }

    fn word(&mut self, word: &str) -> Result<(), TypeError> {
        let lower = word.to_ascii_lowercase();
        match lower.as_str() {
            "bc" => self.before_christ = true,
            "ad" => {}
            "am" | "pm" => self.afternoon = Some(lower == "pm"),
            "epoch" => (self.year, self.month, self.day) = (Some((1970, 4)), Some(1), Some(1)),
            "infinity" | "-infinity" if self.infinite.is_none() && self.type_name.starts_with(['d', 't']) => {
                self.infinite = Some(lower.starts_with('i'));
            }
            "now" | "today" | "tomorrow" | "yesterday" => {
                return Err(TypeError::Unsupported { what: format!("\"{lower}\" as a {}", self.type_name) });
            }
            _ if lower.starts_with(['+', '-']) => {
                if lower[1..].starts_with(|c: char| c.is_ascii_alphabetic()) {
                    return Err(self.invalid());
                }
                self.set_zone(word)?;
            }
            _ if lower.starts_with(|c: char| c.is_ascii_digit()) => self.number_word(&lower, word)?,
            _ => {
                if let Some(month) = named(&MONTHS, &lower) {
                    // `Jan-08-1999`
                    if self.month.replace(month as u32 + 1).is_some() {
                        return Err(self.invalid());
                    }
                } else if lower.contains('-') && self.date_word(&lower).is_ok() {
                } else if named(&WEEKDAYS, &lower).is_none() {
                    self.set_zone(word)
                        .map_err(|error| if lower.contains('/') { error } else { self.invalid() })?;
                }
            }
        }
        Ok(())
    }

    fn set_zone(&mut self, word: &str) -> Result<(), TypeError> {
        if self.zone.replace(Zone::parse(word)?).is_some() {
            return Err(self.invalid());
        }
        Ok(())
    }

    fn number_word(&mut self, lower: &str, word: &str) -> Result<(), TypeError> {
        if let Some((date, clock)) = lower.split_once('t')
            && date.ends_with(|c: char| c.is_ascii_digit())
            && clock.starts_with(|c: char| c.is_ascii_digit())
        {
            self.number_word(date, date)?;
            return self.clock_word(clock, &word[date.len() + 1..]);
        }
        if lower.contains(':') {
            return self.clock_word(lower, word);
        }
        if lower.contains(['-', '/']) || lower.matches('.').count() == 2 {
            return self.date_word(lower);
        }
        if !lower.bytes().all(|b| b.is_ascii_digit()) {
            // `8am`, `3rd` are not dates of PostgreSQL's either, but `04pm` is none worth a form of its own.
            return Err(self.invalid());
        }
        let number: i64 = lower.parse().map_err(|_| self.field())?;
        match (lower.len(), self.year, self.day) {
            (8, None, None) if self.month.is_none() => {
                self.year = Some((number / 10_000, 4));
                self.month = Some((number / 100 % 100) as u32);
                self.day = Some((number % 100) as u32);
            }
            (6, Some(_), Some(_)) if self.clock.is_none() => {
                self.set_clock(number / 10_000, number / 100 % 100, number % 100, 0)?;
            }
            (..=2, _, None) => self.day = Some(number as u32),
            (..=5, None, _) => self.year = Some((number, lower.len())),
            _ => return Err(self.invalid()),
        }
        Ok(())
    }

    fn set_clock(&mut self, hour: i64, minute: i64, second: i64, micros: i64) -> Result<(), TypeError> {
        let total = (hour * 3600 + minute * 60 + second) * 1_000_000 + micros;
        if hour > 24 || minute > 59 || second > 60 || total > MICROS_PER_DAY {
            return Err(self.field());
        }
        if self.clock.replace(total).is_some() {
            return Err(self.invalid());
        }
        Ok(())
    }

    /// `HH:MM[:SS[.f]]` and behind it a zone or AM/PM without a blank.
    fn clock_word(&mut self, lower: &str, word: &str) -> Result<(), TypeError> {
        let end = lower.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(lower.len());
        let (clock, rest) = lower.split_at(end);
        let mut fields = clock.split(':');
        let (hour, minute) = match (fields.next(), fields.next()) {
            (Some(hour), Some(minute)) => {
                two_digits(hour).zip(two_digits(minute)).ok_or_else(|| self.invalid())?
            }
            _ => return self.compact_clock(clock, rest, word),
        };
        let (mut second, mut micros) = (0, 0);
        if let Some(field) = fields.next() {
            let (whole, fraction) = field.split_once('.').unwrap_or((field, ""));
            second = two_digits(whole).ok_or_else(|| self.invalid())?;
            micros = fraction_micros(fraction).ok_or_else(|| self.invalid())?;
        }
        if fields.next().is_some() {
            return Err(self.invalid());
        }
        self.set_clock(i64::from(hour), i64::from(minute), i64::from(second), micros)?;
        self.clock_tail(rest, word)
    }

    /// `HHMMSS` or `HHMM` behind a `T`.
    fn compact_clock(&mut self, clock: &str, rest: &str, word: &str) -> Result<(), TypeError> {
        let number: i64 = clock.parse().map_err(|_| self.invalid())?;
        match clock.len() {
            6 => self.set_clock(number / 10_000, number / 100 % 100, number % 100, 0)?,
            4 => self.set_clock(number / 100, number % 100, 0, 0)?,
            _ => return Err(self.invalid()),
        }
        self.clock_tail(rest, word)
    }

    fn clock_tail(&mut self, rest: &str, word: &str) -> Result<(), TypeError> {
        match rest {
            "" => Ok(()),
            "am" | "pm" => {
                self.afternoon = Some(rest == "pm");
                Ok(())
            }
            _ => self.set_zone(&word[word.len() - rest.len()..]).map_err(|_| self.invalid()),
        }
    }

    /// Three fields: year first where it has more than two digits, else month/day/year; a month may be a name.
    fn date_word(&mut self, lower: &str) -> Result<(), TypeError> {
        let separator = if lower.contains('-') {
            '-'
        } else if lower.contains('/') {
            '/'
        } else {
            '.'
        };
        let fields: Vec<&str> = lower.split(separator).collect();
        let [a, b, c] = fields[..] else { return Err(self.invalid()) };
        if self.year.is_some() || self.month.is_some() || self.day.is_some() {
            return Err(self.invalid());
        }
        let (year, month, day) = if a.len() > 2 && a.bytes().all(|x| x.is_ascii_digit()) {
            (a, b, c)
        } else if named(&MONTHS, b).is_some() {
            (c, b, a)
        } else {
            (c, a, b)
        };
        let number = |text: &str| -> Result<i64, TypeError> {
            let digits = !text.is_empty() && text.len() <= 7 && text.bytes().all(|x| x.is_ascii_digit());
            text.parse().ok().filter(|_| digits).ok_or_else(|| self.invalid())
        };
        let month = match named(&MONTHS, month) {
            Some(index) => index as u32 + 1,
            None => number(month)? as u32,
        };
        let (day, year) = (number(day)? as u32, (number(year)?, year.len()));
        (self.year, self.month, self.day) = (Some(year), Some(month), Some(day));
        Ok(())
    }
}

/// The digits behind the point of a second, rounded to microseconds.
pub(super) fn fraction_micros(fraction: &str) -> Option<i64> {
    if fraction.is_empty() {
        return Some(0);
    }
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seven: String = fraction.chars().chain("0000000".chars()).take(7).collect();
    let tenths: i64 = seven.parse().ok()?;
    Some((tenths + 5) / 10)
}
