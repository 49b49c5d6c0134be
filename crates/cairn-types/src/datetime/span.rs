//! Text of INTERVAL: PostgreSQL's own style out, that style, ISO 8601 and SQL's in.

use std::fmt::Write;

use crate::error::TypeError;
use crate::interval::{Interval, IntervalLimit, NANOS_PER_DAY};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Appends an INTERVAL: `1 year 2 mons -3 days +04:05:06.5`.
pub fn write_interval(interval: Interval, out: &mut String) {
    let Interval { months, days, nanos } = interval;
    let mut empty = true;
    let mut before = false;
    for (n, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if n == 0 {
            continue;
        }
        let blank = if empty { "" } else { " " };
        let plus = if before && n > 0 { "+" } else { "" };
        let plural = if n == 1 { "" } else { "s" };
        let _ = write!(out, "{blank}{plus}{n} {unit}{plural}");
        before = n < 0;
        empty = false;
    }
    if !empty && nanos == 0 {
        return;
    }
    if !empty {
        out.push(' ');
    }
    out.push_str(match (nanos < 0, before) {
        (true, _) => "-",
        (false, true) => "+",
        _ => "",
    });
    let seconds = nanos.unsigned_abs() / NANOS_PER_SECOND as u64;
    let fraction = nanos.unsigned_abs() % NANOS_PER_SECOND as u64;
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction > 0 {
        let _ = write!(out, ".{fraction:09}");
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// Reads an INTERVAL: `1 year 2 mons`, `3 days 04:05:06`, `1.5 hours ago`, `P1Y2M3DT4H5M6S`, `1-2`, `90` (seconds).
///
/// # Errors
/// [`TypeError::InvalidDatetime`], and [`TypeError::DatetimeRange`] where a part does not fit.
pub fn parse_interval(text: &str) -> Result<Interval, TypeError> {
    parse_interval_within(text, None)
}

/// The same for a type with fields and digits, which also say what a bare number is: `interval '1' day`.
///
/// # Errors
/// As [`parse_interval`].
pub fn parse_interval_within(text: &str, limit: Option<IntervalLimit>) -> Result<Interval, TypeError> {
    let interval = read_interval(text, limit)?;
    Ok(limit.map_or(interval, |limit| limit.apply(interval)))
}

fn read_interval(text: &str, limit: Option<IntervalLimit>) -> Result<Interval, TypeError> {
    let invalid = || TypeError::InvalidDatetime { type_name: "interval".to_owned(), input: text.to_owned() };
    let range = || TypeError::DatetimeRange { type_name: "interval".to_owned(), input: text.to_owned() };
    let lower = text.trim_ascii().to_ascii_lowercase();
    if lower.is_empty() || lower.len() > 300 {
        return Err(invalid());
    }
    let mut span = Span::default();
    let read = match lower.strip_prefix('p') {
        Some(iso) => span.read_iso(iso),
        None => span.read_words(&lower, limit),
    };
    read.ok_or_else(invalid)?;
    span.finish().ok_or_else(range)
}

/// Sums of the parts read, wide enough that no sum of texts of 300 characters overflows.
#[derive(Debug, Default)]
struct Span {
    months: i128,
    days: i128,
    nanos: i128,
    overflow: bool,
}

impl Span {
    fn finish(self) -> Option<Interval> {
        if self.overflow {
            return None;
        }
        Some(Interval {
            months: self.months.try_into().ok()?,
            days: self.days.try_into().ok()?,
            nanos: self.nanos.try_into().ok()?,
        })
    }

    fn read_words(&mut self, text: &str, limit: Option<IntervalLimit>) -> Option<()> {
        let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
        let ago = words.last() == Some(&"ago");
        if ago {
            words.pop();
        }
        if words.first() == Some(&"@") {
            words.remove(0);
        }
        if words.is_empty() {
            return None;
        }
        let mut at = 0;
        while at < words.len() {
            let word = words[at];
            at += 1;
            if word.contains(':') {
                self.add_clock(word, limit.is_some_and(IntervalLimit::is_of_minutes))?;
            } else if let Some((number, unit)) = split_unit(word) {
                // `1h30m`
                let mut rest = unit;
                let mut amount = number;
                while let Some(next) = rest.find(|c: char| c.is_ascii_digit() || c == '-' || c == '+') {
                    self.add(amount, &rest[..next])?;
                    (amount, rest) = split_unit(&rest[next..])?;
                }
                self.add(amount, rest)?;
            } else if let Some((years, months)) = year_month(word) {
                self.months += years * 12 + months;
            } else {
                match words.get(at) {
                    Some(unit) if unit.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                        self.add(word, unit)?;
                        at += 1;
                    }
                    // `3 04:05:06`: days before a clock; a bare number at the end: seconds.
                    Some(clock) if clock.contains(':') => self.add(word, "day")?,
                    None => self.add(word, limit.map_or("second", IntervalLimit::last_unit))?,
                    // `1 2`: days before hours.
                    Some(_)
                        if at + 1 == words.len()
                            && limit.is_some_and(|limit| limit.last_unit() == "hour") =>
                    {
                        self.add(word, "day")?;
                    }
                    Some(_) => return None,
                }
            }
        }
        if ago {
            (self.months, self.days, self.nanos) = (-self.months, -self.days, -self.nanos);
        }
        Some(())
    }

    fn read_iso(&mut self, text: &str) -> Option<()> {
        let (date, clock) = text.split_once('t').unwrap_or((text, ""));
        if date.is_empty() && clock.is_empty() {
            return None;
        }
        for (part, units) in [
            (date, &[('y', "year"), ('m', "month"), ('w', "week"), ('d', "day")][..]),
            (clock, &[('h', "hour"), ('m', "minute"), ('s', "second")][..]),
        ] {
            let mut rest = part;
            while !rest.is_empty() {
                let at = rest.find(|c: char| c.is_ascii_alphabetic())?;
                let letter = rest[at..].chars().next()?;
                let (_, unit) = units.iter().find(|(known, _)| *known == letter)?;
                self.add(&rest[..at], unit)?;
                rest = &rest[at + 1..];
            }
        }
        Some(())
    }

    fn add_clock(&mut self, word: &str, of_minutes: bool) -> Option<()> {
        let negative = word.starts_with('-');
        let clock = word.trim_start_matches(['-', '+']);
        let mut fields = clock.split(':');
        let whole = |text: &str| -> Option<i128> {
            (!text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit()))
                .then(|| text.parse().ok())?
        };
        let hours = match of_minutes && clock.matches(':').count() == 1 {
            true => 0,
            false => whole(fields.next()?)?,
        };
        let minutes = fields.next().and_then(&whole).filter(|m| *m < 60)?;
        let (mut seconds, mut nanos) = (0, 0);
        if let Some(field) = fields.next() {
            let (head, fraction) = field.split_once('.').unwrap_or((field, ""));
            seconds = whole(head).filter(|s| *s < 60)?;
            nanos = fraction_nanos(fraction)?;
        }
        if fields.next().is_some() {
            return None;
        }
        let total = ((hours * 60 + minutes) * 60 + seconds) * i128::from(NANOS_PER_SECOND) + nanos;
        self.nanos += if negative { -total } else { total };
        Some(())
    }

    /// Adds `number` of a unit; fractions of months become days (30 each), of days time.
    fn add(&mut self, number: &str, unit: &str) -> Option<()> {
        let negative = number.starts_with('-');
        let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() || !whole.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if whole.len() > 20 {
            self.overflow = true;
            return Some(());
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let billionths = fraction_nanos(fraction)?;
        let sign = if negative { -1 } else { 1 };
        let billion = i128::from(NANOS_PER_SECOND);
        let day = i128::from(NANOS_PER_DAY);
        let (months, days, nanos) = match unit.strip_suffix('.').unwrap_or(unit) {
            "microsecond" | "microseconds" | "us" | "usec" | "usecs" | "usecond" | "useconds" => (0, 0, 1000),
            "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" | "msecond" | "mseconds" => {
                (0, 0, 1_000_000)
            }
            "second" | "seconds" | "sec" | "secs" | "s" => (0, 0, billion),
            "minute" | "minutes" | "min" | "mins" | "m" => (0, 0, 60 * billion),
            "hour" | "hours" | "hr" | "hrs" | "h" => (0, 0, 3600 * billion),
            "day" | "days" | "d" => (0, 1, 0),
            "week" | "weeks" | "w" => (0, 7, 0),
            "month" | "months" | "mon" | "mons" => (1, 0, 0),
            "quarter" | "quarters" | "qtr" => (3, 0, 0),
            "year" | "years" | "yr" | "yrs" | "y" => (12, 0, 0),
            "decade" | "decades" | "dec" | "decs" => (120, 0, 0),
            "century" | "centuries" | "c" | "cent" => (1200, 0, 0),
            "millennium" | "millennia" | "mil" | "mils" => (12_000, 0, 0),
            _ => return None,
        };
        self.months += sign * whole * months;
        self.days += sign * whole * days;
        self.nanos += sign * whole * nanos;
        // The fraction, in billionths of the unit.
        if months == 1 {
            let thirtieths = billionths * 30;
            self.days += sign * (thirtieths / billion);
            self.nanos += sign * (thirtieths % billion) * day / billion;
        } else {
            self.months += sign * (billionths * months + if months > 0 { billion / 2 } else { 0 }) / billion;
            let fraction_days = billionths * days;
            self.days += sign * (fraction_days / billion);
            self.nanos += sign * (fraction_days % billion) * day / billion;
            self.nanos += sign * billionths * nanos / billion;
        }
        Some(())
    }
}

/// Splits `30m` into number and unit, where it begins as a number and a letter follows.
fn split_unit(word: &str) -> Option<(&str, &str)> {
    let at = word.find(|c: char| c.is_ascii_alphabetic())?;
    (at > 0).then(|| word.split_at(at))
}

/// Reads SQL's `years-months`.
fn year_month(word: &str) -> Option<(i128, i128)> {
    let negative = word.starts_with('-');
    let (years, months) = word.trim_start_matches(['-', '+']).split_once('-')?;
    let number = |text: &str| text.parse::<u32>().ok().map(i128::from);
    let (years, months) = (number(years)?, number(months).filter(|m| *m < 12)?);
    Some(if negative { (-years, -months) } else { (years, months) })
}

/// The digits behind a point as billionths.
fn fraction_nanos(fraction: &str) -> Option<i128> {
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    nine.parse().ok()
}
