//! Dates and times of `jsonpath`: what `.datetime()` makes of a string, how they compare, and how they are written.
//!
//! I1. Whether a date or time without a zone is before one with a zone depends on the session's; only functions called
//! `…_tz` compare them so.

use std::cmp::Ordering;

use cairn_types::datetime::{self, Zone};

use super::evaluate::Failure;
use crate::Error;
use crate::functions::format_time::pattern_of;
use crate::functions::parse_time;

const DAY_US: i64 = 86_400_000_000;

/// A date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Days since 1970; `None` for a time of day.
    days: Option<i64>,
    /// Microseconds since midnight; `None` for a date.
    micros: Option<i64>,
    /// How far local time is ahead of UTC, where it says so.
    offset_seconds: Option<i64>,
}

impl Moment {
    /// What `.datetime()` makes of a string.
    ///
    /// # Errors
    /// `22031` where it is in none of the known forms; with a template `22007` and `22008`.
    pub(super) fn read(text: &str, template: Option<&str>) -> Result<Moment, Failure> {
        match template {
            None => plain(text).ok_or_else(|| {
                let message = format!("datetime format is not recognized: \"{text}\"");
                let hint = "Use a datetime template argument to specify the input data format.";
                Failure::of_data(Error::new("22031", message).with_hint(hint))
            }),
            Some(template) => by_template(text, template),
        }
    }

    /// The name of its type.
    pub(super) fn type_name(&self) -> &'static str {
        match (self.days, self.micros, self.offset_seconds) {
            (Some(_), None, _) => "date",
            (None, _, None) => "time without time zone",
            (None, _, Some(_)) => "time with time zone",
            (Some(_), _, None) => "timestamp without time zone",
            (Some(_), _, Some(_)) => "timestamp with time zone",
        }
    }

    fn short_name(&self) -> &'static str {
        match self.type_name() {
            "time without time zone" => "time",
            "time with time zone" => "timetz",
            "timestamp without time zone" => "timestamp",
            "timestamp with time zone" => "timestamptz",
            other => other,
        }
    }

    /// Appends it as ISO 8601 has it.
    pub(crate) fn write(&self, out: &mut String) {
        if let Some(days) = self.days {
            datetime::write_date(i32::try_from(days).unwrap_or(i32::MAX), out);
        }
        if let Some(micros) = self.micros {
            out.push_str(if self.days.is_some() { "T" } else { "" });
            datetime::write_time(micros, out);
        }
        if let Some(offset) = self.offset_seconds {
            let (sign, size) = (if offset < 0 { '-' } else { '+' }, offset.abs());
            out.push_str(&format!("{sign}{:02}:{:02}", size / 3600, size / 60 % 60));
        }
    }

    /// Microseconds by its own clock.
    fn clock(&self) -> i64 {
        self.days.unwrap_or(0) * DAY_US + self.micros.unwrap_or(0)
    }

    /// Microseconds in UTC; a clock without offset is that of the zone.
    fn utc(&self, zone: Zone) -> i64 {
        match self.offset_seconds {
            Some(offset) => self.clock() - offset * 1_000_000,
            None => zone.to_utc(self.clock()).unwrap_or_else(|| self.clock()),
        }
    }

    /// The order of two; `None` where they are of kinds that do not compare. `zone` is that of functions that may use it.
    ///
    /// # Errors
    /// `0A000` where the zone is needed and may not be used.
    pub(super) fn compare(&self, other: &Moment, zone: Option<Zone>) -> Result<Option<Ordering>, Failure> {
        if self.days.is_some() != other.days.is_some() {
            return Ok(None);
        }
        let zoned = |moment: &Moment| moment.offset_seconds.is_some();
        if zoned(self) == zoned(other) && !zoned(self) {
            return Ok(Some(self.clock().cmp(&other.clock())));
        }
        let zone = match zone {
            Some(zone) => zone,
            None if zoned(self) == zoned(other) => Zone::UTC,
            None => {
                let (from, to) = if zoned(self) { (other, self) } else { (self, other) };
                let (from, to) = (from.short_name(), to.short_name());
                let message = format!("cannot convert value from {from} to {to} without time zone usage");
                let hint = "Use *_tz() function for time zone support.";
                return Err(Error::new("0A000", message).with_hint(hint).into());
            }
        };
        let order = self.utc(zone).cmp(&other.utc(zone));
        // Times of one instant are ordered by their zones, the eastern one first.
        let offset = |moment: &Moment| match moment.offset_seconds {
            Some(offset) => offset,
            None => i64::from(zone.offset_at(moment.utc(zone))),
        };
        Ok(Some(match self.days {
            None => order.then_with(|| offset(other).cmp(&offset(self))),
            Some(_) => order,
        }))
    }
}

/// Digits at the front of a text, and what follows.
fn number(text: &str, digits_max: usize) -> Option<(i64, &str)> {
    let count = text.bytes().take(digits_max).take_while(u8::is_ascii_digit).count();
    Some((text[..count].parse().ok()?, &text[count..]))
}

/// `2015-8-1`, `12:30:00.5`, both with a blank or `T` between, each time with `+01`, `-01:30` or nothing behind.
fn plain(text: &str) -> Option<Moment> {
    let text = text.trim();
    let dated = text.find(['-', ':']).is_some_and(|at| text.as_bytes()[at] == b'-');
    let (mut moment, mut rest) = (Moment { days: None, micros: None, offset_seconds: None }, text);
    if dated {
        let (year, after) = number(rest, 6)?;
        let (month, after) = number(after.strip_prefix('-')?, 2)?;
        let (day, after) = number(after.strip_prefix('-')?, 2)?;
        let month = u32::try_from(month).ok().filter(|month| (1..=12).contains(month))?;
        let day = u32::try_from(day)
            .ok()
            .filter(|day| *day >= 1 && *day <= datetime::days_of_month(year, month))?;
        moment.days = Some(datetime::days_from_civil(year, month, day));
        if after.is_empty() {
            return Some(moment);
        }
        rest = after.strip_prefix(['T', ' '])?.trim_start();
    }
    let (hour, after) = number(rest, 2)?;
    let (minute, after) = number(after.strip_prefix(':')?, 2)?;
    let (second, mut after) = number(after.strip_prefix(':')?, 2)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut micros = ((hour * 60 + minute) * 60 + second) * 1_000_000;
    if let Some(fraction) = after.strip_prefix('.') {
        let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let six: String = fraction[..count].chars().chain("000000".chars()).take(6).collect();
        micros += six.parse::<i64>().ok().filter(|_| (1..=6).contains(&count))?;
        after = &fraction[count..];
    }
    moment.micros = Some(micros);
    if let Some(zone) = after.strip_prefix(['+', '-']) {
        let (hours, rest) = number(zone, 2)?;
        let (minutes, rest) = match rest.strip_prefix(':') {
            Some(minutes) => number(minutes, 2)?,
            None => (0, rest),
        };
        let offset = (hours * 60 + minutes) * 60;
        moment.offset_seconds = Some(if after.starts_with('-') { -offset } else { offset });
        after = rest;
    }
    after.is_empty().then_some(moment)
}

/// What a template has: a date, a time, a zone.
fn parts(template: &str) -> (bool, bool, bool) {
    let (mut date, mut time, mut zone) = (false, false, false);
    let mut rest = template;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').unwrap_or(quoted.len());
            rest = quoted.get(end + 1..).unwrap_or("");
            continue;
        }
        let Some(pattern) = pattern_of(rest) else {
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = &rest[pattern.len()..];
        match pattern.to_ascii_uppercase().as_str() {
            "TZ" | "TZH" | "TZM" | "OF" => zone = true,
            "AM" | "PM" | "A.M." | "P.M." => time = true,
            other if ["HH", "MI", "SS", "MS", "US", "FF"].iter().any(|head| other.starts_with(head)) => {
                time = true
            }
            _ => date = true,
        }
    }
    (date, time, zone)
}

fn by_template(text: &str, template: &str) -> Result<Moment, Failure> {
    let (date, time, zone) = parts(template);
    let short = || Failure::data("22007", "input string is too short for datetime format");
    let read = parse_time::read(text, template).map_err(|error| {
        // Where a number is wanted there is nothing.
        if error.message().starts_with("invalid value \"\"") { short() } else { Failure::of_data(error) }
    })?;
    if !read.ended {
        return Err(Failure::data(
            "22007",
            "trailing characters remain in input string after datetime format",
        ));
    }
    if zone && read.offset_seconds.is_none() {
        return Err(short());
    }
    if zone && !time {
        return Err(Failure::data("22007", "missing time zone in input string for type timestamptz"));
    }
    Ok(Moment {
        days: (date || !time).then_some(read.days),
        micros: time.then_some(read.micros),
        offset_seconds: read.offset_seconds.filter(|_| zone),
    })
}
