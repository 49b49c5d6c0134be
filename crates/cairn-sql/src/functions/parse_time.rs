//! Reads dates and times by PostgreSQL's template patterns: `to_date` and `to_timestamp`.
//!
//! A separator of the template matches any separators of the text, or none; a number takes as many digits as its
//! pattern is long where another number follows at once, else all that are there.

use cairn_types::datetime;

use super::format_time::{DAYS, MONTHS, pattern_of};
use crate::{Error, Result};

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Days since 1970.
    pub(super) days: i64,
    /// Microseconds since midnight.
    pub(super) micros: i64,
    /// The distance from UTC, if the text has one.
    pub(super) offset_seconds: Option<i64>,
    /// Whether the template takes all of the text.
    pub(super) ended: bool,
}

#[derive(Debug, Default)]
struct Fields {
    year: Option<i64>,
    century: Option<i64>,
    before_christ: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    week: Option<i64>,
    week_of_month: Option<i64>,
    weekday: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    /// Hours from 1 to 12.
    twelve: bool,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    fraction: i64,
    seconds_of_day: Option<i64>,
    offset_hours: Option<i64>,
    offset_minutes: i64,
}

/// Reads a text.
///
/// # Errors
/// `22007` for what is no number where one is wanted, `22008` for what is no date or time.
pub(super) fn read(text: &str, template: &str) -> Result<Read> {
    let mut reader = Reader { text, at: 0 };
    let mut fields = Fields::default();
    let mut rest = template;
    while let Some(first) = rest.chars().next() {
        let head = |word: &str| rest.get(..2).is_some_and(|head| head.eq_ignore_ascii_case(word));
        if head("FM") || head("TM") || head("FX") {
            rest = &rest[2..];
            continue;
        }
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').unwrap_or(quoted.len());
            reader.skip(quoted[..end].chars().count());
            rest = quoted.get(end + 1..).unwrap_or("");
            continue;
        }
        let Some(pattern) = pattern_of(rest) else {
            rest = &rest[first.len_utf8()..];
            match first.is_alphanumeric() {
                true => reader.skip(1),
                // A sign before a zone is no separator.
                false if pattern_of(rest).is_some_and(|next| matches!(next, "TZH" | "tzh" | "OF")) => {
                    reader.blanks();
                }
                false => reader.separators(),
            }
            continue;
        };
        rest = &rest[pattern.len()..];
        if rest.get(..2).is_some_and(|suffix| suffix.eq_ignore_ascii_case("TH")) {
            rest = &rest[2..];
            reader.field(pattern, false, &mut fields)?;
            reader.skip(2);
            continue;
        }
        let followed = pattern_of(rest.trim_start_matches("FM")).is_some_and(is_number);
        reader.field(pattern, followed, &mut fields)?;
    }
    let ended = reader.rest().trim().is_empty();
    Ok(Read { ended, ..fields.resolve(text)? })
}

fn is_number(pattern: &str) -> bool {
    let words = ["MONTH", "MON", "DAY", "DY", "AM", "PM", "BC", "AD", "TZ", "RM", "OF"];
    !words.contains(&pattern.to_ascii_uppercase().as_str()) && !pattern.contains('.')
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip(&mut self, characters: usize) {
        let bytes: usize = self.rest().chars().take(characters).map(char::len_utf8).sum();
        self.at += bytes;
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn separators(&mut self) {
        let rest = self.rest();
        let after = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        self.at += rest.len() - after.len();
    }

    /// A number of at most so many digits.
    fn number(&mut self, pattern: &str, digits_max: usize) -> Result<i64> {
        self.blanks();
        let rest = self.rest();
        let signed = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        let sign = rest.len() - signed.len();
        let digits = signed.bytes().take(digits_max).take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            let shown: String = rest.chars().take(pattern.len()).collect();
            return Err(Error::new("22007", format!("invalid value \"{shown}\" for \"{pattern}\""))
                .with_detail("Value must be an integer."));
        }
        let number = rest[..sign + digits].parse().map_err(|_| {
            Error::new("22008", format!("value for \"{pattern}\" in source string is out of range"))
        })?;
        self.at += sign + digits;
        Ok(number)
    }

    /// One of some words, whatever their case; its place.
    fn word(&mut self, pattern: &str, words: &[&str], short: bool) -> Result<i64> {
        self.blanks();
        let rest = self.rest();
        let found = words.iter().position(|word| {
            let word = if short { &word[..3] } else { word };
            rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
        });
        let Some(found) = found else {
            let shown: String =
                rest.chars().take_while(|c| c.is_alphanumeric()).take(pattern.len().max(3)).collect();
            return Err(Error::new("22007", format!("invalid value \"{shown}\" for \"{pattern}\""))
                .with_detail("The given value did not match any of the allowed values for this field."));
        };
        self.at += if short { 3 } else { words[found].len() };
        Ok(found as i64)
    }

    fn field(&mut self, pattern: &str, followed: bool, fields: &mut Fields) -> Result<()> {
        let upper = pattern.to_ascii_uppercase();
        let most = |width: usize| if followed { width } else { 18 };
        match upper.as_str() {
            "YYYY" | "IYYY" | "YYY" | "IYY" | "YY" | "IY" | "Y" | "I" => {
                let width = upper.len();
                let before = self.at;
                let year = self.number(pattern, most(width.max(1)))?;
                let digits = self.text[before..self.at].trim().len();
                let year = if width < 4 && digits < 4 { near_2020(year) } else { year };
                *(if upper.starts_with('I') { &mut fields.iso_year } else { &mut fields.year }) = Some(year);
            }
            "Y,YYY" => {
                let thousands = self.number(pattern, 4)?;
                self.skip(1);
                fields.year = Some(thousands * 1000 + self.number(pattern, 3)?);
            }
            "MONTH" => fields.month = Some(self.word(pattern, &MONTHS, false)? + 1),
            "MON" => fields.month = Some(self.word(pattern, &MONTHS, true)? + 1),
            "MM" => fields.month = Some(self.number(pattern, most(2))?),
            "DAY" => drop(self.word(pattern, &DAYS, false)?),
            "DY" => drop(self.word(pattern, &DAYS, true)?),
            "DDD" => fields.day_of_year = Some(self.number(pattern, most(3))?),
            "DD" => fields.day = Some(self.number(pattern, most(2))?),
            "D" => fields.weekday = Some(self.number(pattern, 1)?),
            "ID" => fields.iso_day = Some(self.number(pattern, 1)?),
            "IDDD" => {
                let day = self.number(pattern, most(3))?;
                (fields.iso_week, fields.iso_day) = (Some((day - 1) / 7 + 1), Some((day - 1) % 7 + 1));
            }
            "IW" => fields.iso_week = Some(self.number(pattern, most(2))?),
            "WW" => fields.week = Some(self.number(pattern, most(2))?),
            "W" => fields.week_of_month = Some(self.number(pattern, 1)?),
            "Q" => drop(self.number(pattern, 1)?),
            "CC" => fields.century = Some(self.number(pattern, most(2))?),
            "J" => fields.julian = Some(self.number(pattern, 18)?),
            "RM" => fields.month = Some(self.roman(pattern)?),
            "BC" | "AD" | "B.C." | "A.D." => {
                let words: &[&str] = if upper.contains('.') { &["b.c.", "a.d."] } else { &["bc", "ad"] };
                fields.before_christ = self.word(pattern, words, false)? == 0;
            }
            "AM" | "PM" | "A.M." | "P.M." => {
                let words: &[&str] = if upper.contains('.') { &["a.m.", "p.m."] } else { &["am", "pm"] };
                fields.afternoon = Some(self.word(pattern, words, false)? == 1);
                fields.twelve = true;
            }
            "TZH" => fields.offset_hours = Some(self.number(pattern, 2)?),
            "TZM" => fields.offset_minutes = self.number(pattern, 2)?,
            "TZ" | "OF" => {
                return Err(Error::new(
                    "0A000",
                    format!("formatting field \"{upper}\" is only supported in to_char"),
                ));
            }
            _ => return self.time_field(&upper, pattern, followed, fields),
        }
        Ok(())
    }

    fn time_field(&mut self, upper: &str, pattern: &str, followed: bool, fields: &mut Fields) -> Result<()> {
        let most = |width: usize| if followed { width } else { 18 };
        match upper {
            "HH24" => fields.hour = self.number(pattern, most(2))?,
            "HH12" | "HH" => {
                fields.hour = self.number(pattern, most(2))?;
                fields.twelve = true;
            }
            "MI" => fields.minute = self.number(pattern, most(2))?,
            "SS" => fields.second = self.number(pattern, most(2))?,
            "SSSS" | "SSSSS" => fields.seconds_of_day = Some(self.number(pattern, most(5))?),
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let width = match upper {
                    "MS" => 3,
                    "US" => 6,
                    other => usize::from(other.as_bytes()[2] - b'0'),
                };
                self.blanks();
                let before = self.at;
                let number = self.number(pattern, width)?;
                let digits = (self.at - before).min(6) as u32;
                fields.fraction = number * 10i64.pow(6 - digits);
            }
            _ => return Err(Error::unsupported(format!("the template pattern \"{pattern}\" here"))),
        }
        Ok(())
    }

    fn roman(&mut self, pattern: &str) -> Result<i64> {
        self.blanks();
        let rest = self.rest().to_ascii_uppercase();
        let numerals = (1..=12u32).rev().map(|month| (super::format_time::roman(month), i64::from(month)));
        let found =
            numerals.filter(|(numeral, _)| rest.starts_with(numeral.as_str())).max_by_key(|(n, _)| n.len());
        let (numeral, month) = found.ok_or_else(|| {
            Error::new("22007", format!("invalid value \"{}\" for \"{pattern}\"", self.rest()))
                .with_detail("The given value did not match any of the allowed values for this field.")
        })?;
        self.at += numeral.len();
        Ok(month)
    }
}

/// A year of fewer than four digits is the one nearest to 2020.
fn near_2020(year: i64) -> i64 {
    match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

impl Fields {
    fn resolve(self, text: &str) -> Result<Read> {
        let out_of_range = || Error::new("22008", format!("date/time field value out of range: \"{text}\""));
        let mut hour = self.hour;
        if self.twelve {
            if !(1..=12).contains(&hour) {
                return Err(Error::new("22007", format!("hour \"{hour}\" is invalid for the 12-hour clock"))
                    .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            hour = match self.afternoon {
                Some(true) if hour < 12 => hour + 12,
                Some(false) if hour == 12 => 0,
                _ => hour,
            };
        }
        if !(0..24).contains(&hour) || !(0..60).contains(&self.minute) || !(0..60).contains(&self.second) {
            return Err(out_of_range());
        }
        let seconds = match self.seconds_of_day {
            Some(seconds) if (0..86_400).contains(&seconds) => seconds,
            Some(_) => return Err(out_of_range()),
            None => hour * 3600 + self.minute * 60 + self.second,
        };
        let offset_seconds = self
            .offset_hours
            .map(|hours| hours * 3600 + if hours < 0 { -1 } else { 1 } * self.offset_minutes * 60);
        Ok(Read {
            days: self.date(&out_of_range)?,
            micros: seconds * 1_000_000 + self.fraction,
            offset_seconds,
            ended: true,
        })
    }

    fn date(&self, out_of_range: &dyn Fn() -> Error) -> Result<i64> {
        if let Some(julian) = self.julian {
            return Ok(julian - 2_440_588);
        }
        if let Some(year) = self.iso_year {
            // The week of January 4 is the first.
            let fourth = datetime::days_from_civil(year, 1, 4);
            let monday = fourth - (fourth + 3).rem_euclid(7);
            let (week, day) = (self.iso_week.unwrap_or(1), self.iso_day.unwrap_or(1));
            if !(1..=53).contains(&week) || !(1..=7).contains(&day) {
                return Err(out_of_range());
            }
            return Ok(monday + (week - 1) * 7 + day - 1);
        }
        let mut year = match (self.year, self.century) {
            (Some(year), Some(century)) if year < 100 => (century - 1) * 100 + year,
            (Some(year), _) => year,
            (None, Some(century)) => (century - 1) * 100 + 1,
            (None, None) => 0,
        };
        // Without a year it is 1 BC.
        if self.before_christ {
            year = 1 - year;
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        if let Some(day) = self.day_of_year.filter(|_| self.month.is_none()) {
            let length = if datetime::days_of_month(year, 2) == 29 { 366 } else { 365 };
            if !(1..=length).contains(&day) {
                return Err(out_of_range());
            }
            return Ok(datetime::days_from_civil(year, 1, 1) + day - 1);
        }
        if let Some(week) = self.week {
            return Ok(datetime::days_from_civil(year, 1, 1)
                + (week - 1) * 7
                + self.weekday.map_or(0, |d| d - 1));
        }
        let day = self.week_of_month.map_or(day, |week| (week - 1) * 7 + 1);
        let fits = (1..=12).contains(&month)
            && day >= 1
            && day <= i64::from(datetime::days_of_month(year, month as u32));
        if !fits || !(-4713..=294_276).contains(&year) {
            return Err(out_of_range());
        }
        Ok(datetime::days_from_civil(year, month as u32, day as u32))
    }
}
