//! `to_char` of dates, times and intervals, `to_date` and `to_timestamp`, by PostgreSQL's template patterns.

use cairn_types::datetime::{self, Zone, is_infinite};
use cairn_types::{DataType as T, Interval, Value};
use datafusion::logical_expr::ScalarUDF;

use super::datetime::{DAY_US, iso_week, to_utc};
use super::overload::{Args, Overload, Returns, is, stable};
use super::parse_time;
use crate::{Error, Result};

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let of = |own: T, code| Overload::new(vec![is(own), is(T::Text)], Returns::Is(T::Text), code);
    let mut shown = super::format_number::overloads();
    shown.extend([
        of(T::Timestamp(None), |args: &Args<'_>| match args.values[0] {
            Value::Timestamp(t) if is_infinite(t) => Ok(Value::Null),
            Value::Timestamp(t) => to_char(&Clock::local(t), args),
            _ => Err(Error::internal("a timestamp expected")),
        }),
        of(T::TimestampTz(None), |args: &Args<'_>| match args.values[0] {
            Value::TimestampTz(t) if is_infinite(t) => Ok(Value::Null),
            Value::TimestampTz(t) => to_char(&Clock::at(t, args.zone()), args),
            _ => Err(Error::internal("a timestamp expected")),
        }),
        of(T::Interval(None), |args: &Args<'_>| to_char(&Clock::span(args.interval(0)?), args)),
    ]);
    let read = |result: T, code| Overload::new(vec![is(T::Text), is(T::Text)], Returns::Is(result), code);
    vec![
        stable("to_char", shown),
        stable(
            "to_date",
            vec![read(T::Date, |args: &Args<'_>| {
                let read = parse_time::read(args.text(0)?, args.text(1)?)?;
                Ok(Value::Date(read.days as i32))
            })],
        ),
        stable(
            "to_timestamp",
            vec![
                Overload::new(vec![is(T::Double)], Returns::Is(T::TimestampTz(None)), |args| {
                    let seconds = args.double(0)?;
                    if seconds.is_infinite() {
                        return Ok(Value::TimestampTz(if seconds > 0.0 { i64::MAX } else { i64::MIN }));
                    }
                    if !seconds.is_finite() || seconds.abs() > 9.2e12 {
                        return Err(Error::new("22008", format!("timestamp out of range: \"{seconds}\"")));
                    }
                    Ok(Value::TimestampTz((seconds * 1e6).round() as i64))
                }),
                read(T::TimestampTz(None), |args: &Args<'_>| {
                    let read = parse_time::read(args.text(0)?, args.text(1)?)?;
                    let local = read.days * DAY_US + read.micros;
                    Ok(Value::TimestampTz(match read.offset_seconds {
                        Some(offset) => local - offset * 1_000_000,
                        None => to_utc(local, args.zone())?,
                    }))
                }),
            ],
        ),
    ]
}

/// What a clock shows.
struct Clock {
    days: i64,
    micros: i64,
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    /// No calendar: fields that need one are zero.
    interval: bool,
    offset_seconds: i32,
    /// Empty for local time.
    zone: String,
}

impl Clock {
    fn local(micros: i64) -> Self {
        let days = micros.div_euclid(DAY_US);
        let (year, month, day) = datetime::civil_from_days(days);
        let micros = micros.rem_euclid(DAY_US);
        Self {
            days,
            micros,
            year,
            month: i64::from(month),
            day: i64::from(day),
            hour: micros / 3_600_000_000,
            interval: false,
            offset_seconds: 0,
            zone: String::new(),
        }
    }

    fn at(utc: i64, zone: Zone) -> Self {
        let offset_seconds = zone.offset_at(utc);
        let clock = Self::local(utc + i64::from(offset_seconds) * 1_000_000);
        Self { offset_seconds, zone: zone.abbreviation_at(utc), ..clock }
    }

    fn span(interval: Interval) -> Self {
        let micros = interval.nanos / 1000;
        Self {
            days: 0,
            micros,
            year: i64::from(interval.months / 12),
            month: i64::from(interval.months % 12),
            day: i64::from(interval.days),
            hour: micros / 3_600_000_000,
            interval: true,
            offset_seconds: 0,
            zone: String::new(),
        }
    }
}

/// A moment by a template.
pub(super) fn format_stamp(utc: i64, zone: Zone, template: &str) -> Result<String> {
    format(&Clock::at(utc, zone), template)
}

fn to_char(clock: &Clock, args: &Args<'_>) -> Result<Value> {
    let template = args.text(1)?;
    if template.is_empty() {
        return Ok(Value::Null);
    }
    format(clock, template).map(Value::Text)
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The patterns, longer ones first where one begins another.
pub(super) const PATTERNS: &[&str] = &[
    "Y,YYY", "YYYY", "YYY", "YY", "Y", "MONTH", "Month", "month", "MON", "Mon", "mon", "MM", "MI", "MS",
    "US", "DAY", "Day", "day", "DDD", "DD", "DY", "Dy", "dy", "D", "HH24", "HH12", "HH", "SSSSS", "SSSS",
    "SS", "A.M.", "P.M.", "a.m.", "p.m.", "AM", "PM", "am", "pm", "B.C.", "A.D.", "b.c.", "a.d.", "BC", "AD",
    "bc", "ad", "TZH", "TZM", "TZ", "tz", "OF", "IYYY", "IYY", "IY", "IDDD", "IW", "ID", "I", "WW", "W", "Q",
    "CC", "J", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "RM", "rm",
];

/// Patterns whose letters' case means something.
fn is_cased(pattern: &str) -> bool {
    let upper = pattern.to_ascii_uppercase();
    matches!(upper.as_str(), "MONTH" | "MON" | "DAY" | "DY" | "AM" | "PM" | "BC" | "AD" | "TZ" | "RM")
        || upper.contains('.')
}

/// The pattern that a text begins with.
pub(super) fn pattern_of(text: &str) -> Option<&'static str> {
    PATTERNS.iter().copied().find(|pattern| {
        text.get(..pattern.len())
            .is_some_and(|head| head == *pattern || head.eq_ignore_ascii_case(pattern) && !is_cased(pattern))
    })
}

fn format(clock: &Clock, template: &str) -> Result<String> {
    let mut out = String::new();
    let mut rest = template;
    let mut fill = true;
    while let Some(first) = rest.chars().next() {
        let head = |word: &str| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
        if head("FM") {
            (fill, rest) = (false, &rest[2..]);
            continue;
        }
        if head("TM") {
            (fill, rest) = (false, &rest[2..]);
            continue;
        }
        if head("FX") {
            rest = &rest[2..];
            continue;
        }
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').unwrap_or(quoted.len());
            out.push_str(&quoted[..end]);
            rest = quoted.get(end + 1..).unwrap_or("");
            continue;
        }
        if first == '\\' && rest.len() > 1 {
            let escaped = rest[1..].chars().next().unwrap_or('\\');
            out.push(escaped);
            rest = &rest[1 + escaped.len_utf8()..];
            continue;
        }
        let Some(pattern) = pattern_of(rest) else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = &rest[pattern.len()..];
        let shown = field(clock, pattern, fill)?;
        // TH after a number.
        match rest.get(..2) {
            Some(suffix)
                if suffix.eq_ignore_ascii_case("TH") && shown.ends_with(|c: char| c.is_ascii_digit()) =>
            {
                let ending = ordinal(&shown);
                out.push_str(&shown);
                out.push_str(&if suffix == "TH" { ending.to_uppercase() } else { ending.to_owned() });
                rest = &rest[2..];
            }
            _ => out.push_str(&shown),
        }
        fill = true;
    }
    Ok(out)
}

/// `st`, `nd`, `rd` or `th`.
pub(super) fn ordinal(number: &str) -> &'static str {
    let digits = number.as_bytes();
    let teen = digits.len() > 1 && digits[digits.len() - 2] == b'1';
    match digits.last() {
        Some(b'1') if !teen => "st",
        Some(b'2') if !teen => "nd",
        Some(b'3') if !teen => "rd",
        _ => "th",
    }
}

/// A Roman numeral.
pub(super) fn roman(number: u32) -> String {
    const STEPS: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let (mut rest, mut out) = (number, String::new());
    for (value, sign) in STEPS {
        while rest >= value {
            out.push_str(sign);
            rest -= value;
        }
    }
    out
}

/// A word in the case in which its pattern is written.
fn cased(word: &str, pattern: &str) -> String {
    match pattern {
        p if p.chars().all(|c| !c.is_lowercase()) => word.to_uppercase(),
        p if p.chars().all(|c| !c.is_uppercase()) => word.to_lowercase(),
        _ => word.to_owned(),
    }
}

fn field(clock: &Clock, pattern: &str, fill: bool) -> Result<String> {
    let number = |value: i64, width: usize| match (fill, value < 0) {
        (true, true) => format!("-{:0width$}", -value),
        (true, false) => format!("{value:0width$}"),
        _ => value.to_string(),
    };
    let name = |name: String, width: usize| if fill { format!("{name:<width$}") } else { name };
    if clock.interval
        && matches!(
            pattern.to_ascii_uppercase().as_str(),
            "DAY" | "DY" | "D" | "ID" | "MONTH" | "MON" | "TZ" | "OF" | "TZH" | "TZM"
        )
    {
        return Err(Error::new("22007", "invalid format specification for an interval value")
            .with_hint("Intervals are not tied to specific calendar dates."));
    }
    let Clock { days, micros, month, day, hour, .. } = *clock;
    // There is no year 0.
    let shown_year = |year: i64| if year <= 0 && !clock.interval { 1 - year } else { year };
    let year = shown_year(clock.year);
    let month_name = usize::try_from(month - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or("");
    let weekday = (days + 4).rem_euclid(7);
    let day_name = DAYS[weekday as usize];
    let day_of_year =
        if clock.interval { day } else { days - datetime::days_from_civil(clock.year, 1, 1) + 1 };
    let (iso_year, iso_number) = iso_week(days);
    let iso_year = shown_year(iso_year);
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    let second = micros / 1_000_000 % 60;
    let fraction = micros.rem_euclid(1_000_000);
    let half =
        |before: &str, after: &str| cased(if hour.rem_euclid(24) < 12 { before } else { after }, pattern);
    Ok(match pattern {
        "YYYY" => number(year, 4),
        "Y,YYY" => format!("{},{:03}", year / 1000, year % 1000),
        "YYY" => number(year % 1000, 3),
        "YY" => number(year % 100, 2),
        "Y" => number(year % 10, 1),
        "IYYY" => number(iso_year, 4),
        "IYY" => number(iso_year % 1000, 3),
        "IY" => number(iso_year % 100, 2),
        "I" => number(iso_year % 10, 1),
        "MONTH" | "Month" | "month" => name(cased(month_name, pattern), 9),
        "MON" | "Mon" | "mon" => cased(&month_name[..month_name.len().min(3)], pattern),
        "MM" => number(month, 2),
        "DAY" | "Day" | "day" => name(cased(day_name, pattern), 9),
        "DY" | "Dy" | "dy" => cased(&day_name[..3], pattern),
        "DDD" => number(day_of_year, 3),
        "IDDD" => number((iso_number - 1) * 7 + if weekday == 0 { 7 } else { weekday }, 3),
        "DD" => number(day, 2),
        "D" => (weekday + 1).to_string(),
        "ID" => if weekday == 0 { 7 } else { weekday }.to_string(),
        "HH24" => number(hour, 2),
        "HH12" | "HH" => number(twelve, 2),
        "MI" => number(micros / 60_000_000 % 60, 2),
        "SS" => number(second, 2),
        "MS" | "FF3" => format!("{:03}", fraction / 1000),
        "US" | "FF6" => format!("{fraction:06}"),
        "FF1" => format!("{}", fraction / 100_000),
        "FF2" => format!("{:02}", fraction / 10_000),
        "FF4" => format!("{:04}", fraction / 100),
        "FF5" => format!("{:05}", fraction / 10),
        "SSSS" | "SSSSS" => (micros / 1_000_000).to_string(),
        "AM" | "PM" | "am" | "pm" => half("am", "pm"),
        "A.M." | "P.M." | "a.m." | "p.m." => half("a.m.", "p.m."),
        "BC" | "AD" | "bc" | "ad" => cased(if clock.year <= 0 { "bc" } else { "ad" }, pattern),
        "B.C." | "A.D." | "b.c." | "a.d." => cased(if clock.year <= 0 { "b.c." } else { "a.d." }, pattern),
        "IW" => number(iso_number, 2),
        "WW" => number((day_of_year - 1) / 7 + 1, 2),
        "W" => ((day - 1) / 7 + 1).to_string(),
        "Q" if month == 0 => String::new(),
        "Q" => ((month - 1) / 3 + 1).to_string(),
        "CC" => {
            number(if clock.year > 0 { (clock.year + 99) / 100 } else { -((99 - (clock.year - 1)) / 100) }, 2)
        }
        "J" => (days + 2_440_588).to_string(),
        "RM" | "rm" => {
            let numeral = if month == 0 { String::new() } else { roman(month as u32) };
            name(cased(&numeral, pattern), 4)
        }
        "TZ" => clock.zone.to_uppercase(),
        "tz" => clock.zone.to_lowercase(),
        other => offset(clock.offset_seconds, other),
    })
}

/// The distance from UTC.
fn offset(seconds: i32, pattern: &str) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    match pattern {
        "TZM" => format!("{minutes:02}"),
        "OF" if minutes != 0 => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn templates() {
        let micros = (datetime::days_from_civil(2013, 1, 5) * DAY_US) + 13 * 3_600_000_000 + 4 * 60_000_000;
        let clock = Clock { offset_seconds: -19_800, zone: "IST".to_owned(), ..Clock::local(micros) };
        let shown = |template: &str| format(&clock, template).unwrap();
        assert_eq!(shown("TZ tz OF TZH:TZM"), "IST ist -05:30 -05:30");
        assert_eq!(shown("YYYY-MM-DD HH24:MI:SS"), "2013-01-05 13:04:00");
        assert_eq!(shown("FMMonth FMDD, YYYY"), "January 5, 2013");
        assert_eq!(shown("Dy HH12:MI am \"at\" IYYY-IW"), "Sat 01:04 pm at 2013-01");
        assert_eq!(shown("DDth FMDDTH"), "05th 5TH");
    }
}
