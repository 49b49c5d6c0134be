//! Functions of dates and times that the query engine lacks: made of parts, taken apart into exact parts, binned.

use cairn_types::datetime::{self, Zone, is_infinite};
use cairn_types::{DataType as T, Decimal, Interval, Value};
use datafusion::logical_expr::{ScalarUDF, Volatility};

use super::overload::{Args, Code, Kind, Overload, Overloaded, Returns, function, is, stable};
use crate::{Error, Result};

pub(super) const DAY_US: i64 = 86_400_000_000;

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let of = |takes: Vec<T>, result: T, code: Code| {
        Overload::new(takes.into_iter().map(is).collect(), Returns::Is(result), code)
    };
    let stamps = || [T::Timestamp(None), T::TimestampTz(None)];
    let volatile =
        |name, overload| ScalarUDF::from(Overloaded::new(name, vec![overload], Volatility::Volatile));
    let interval = |name: &'static str, code: Code| {
        function(name, vec![of(vec![T::Interval(None)], T::Interval(None), code)])
    };
    let zoned = super::zoned_time::TYPE;
    let sources =
        [T::Timestamp(None), T::TimestampTz(None), T::Date, T::Time(None), zoned, T::Interval(None)];
    let parts = |returns: Returns, code: Code| -> Vec<Overload> {
        sources
            .iter()
            .map(|own| Overload::new(vec![is(T::Text), is(own.clone())], returns.clone(), code))
            .collect()
    };
    let extract = |name: &'static str| {
        let numeric = Returns::Is(T::Numeric(None));
        stable(name, parts(numeric, |a| Ok(part(a)?.map_or(Value::Null, Value::Numeric))))
    };
    let bin = |name: &'static str| {
        function(
            name,
            stamps()
                .into_iter()
                .map(|own| {
                    of(vec![T::Interval(None), own.clone(), own.clone()], own, bin)
                        .optional(usize::from(name == "time_bucket"))
                })
                .collect(),
        )
    };
    let moved = |name: &'static str, code: Code| {
        stable(
            name,
            vec![
                of(vec![T::TimestampTz(None), T::Interval(None), T::Text], T::TimestampTz(None), code)
                    .optional(1),
            ],
        )
    };
    vec![
        interval("justify_days", |a| {
            a.interval(0).and_then(|i| justify(i, false, true)).map(Value::Interval)
        }),
        interval("justify_hours", |a| {
            a.interval(0).and_then(|i| justify(i, true, false)).map(Value::Interval)
        }),
        interval("justify_interval", |a| {
            a.interval(0).and_then(|i| justify(i, true, true)).map(Value::Interval)
        }),
        function(
            "isfinite",
            [T::Date, T::Timestamp(None), T::TimestampTz(None), T::Interval(None)]
                .into_iter()
                .map(|own| {
                    of(vec![own], T::Boolean, |a| {
                        Ok(Value::Boolean(!micros(&a.values[0]).is_some_and(is_infinite)))
                    })
                })
                .collect(),
        ),
        function(
            "make_date",
            vec![of(vec![T::Integer; 3], T::Date, |a| {
                let days = date(a.int(0)?, a.int(1)?, a.int(2)?)?;
                Ok(Value::Date(i32::try_from(days).map_err(|_| Error::new("22008", "date out of range"))?))
            })],
        ),
        function(
            "make_time",
            vec![of(vec![T::Integer, T::Integer, T::Double], T::Time(None), |a| {
                time(a.int(0)?, a.int(1)?, a.double(2)?).map(Value::Time)
            })],
        ),
        function(
            "make_timestamp",
            vec![of(
                vec![T::Integer, T::Integer, T::Integer, T::Integer, T::Integer, T::Double],
                T::Timestamp(None),
                |a| local_moment(a).map(Value::Timestamp),
            )],
        ),
        stable(
            "make_timestamptz",
            vec![
                of(
                    vec![T::Integer, T::Integer, T::Integer, T::Integer, T::Integer, T::Double, T::Text],
                    T::TimestampTz(None),
                    |a| {
                        let zone = if a.len() > 6 { Zone::parse(a.text(6)?)? } else { a.zone() };
                        to_utc(local_moment(a)?, zone).map(Value::TimestampTz)
                    },
                )
                .optional(1),
            ],
        ),
        function(
            "make_interval",
            vec![
                of(
                    vec![T::Integer, T::Integer, T::Integer, T::Integer, T::Integer, T::Integer, T::Double],
                    T::Interval(None),
                    make_interval,
                )
                .optional(7),
            ],
        ),
        bin("date_bin"),
        bin("time_bucket"),
        moved("date_add", |a| shifted(a, 1)),
        moved("date_subtract", |a| shifted(a, -1)),
        extract("cairn_extract"),
        extract("cairn_extract_milliseconds"),
        extract("cairn_extract_epoch"),
        extract("cairn_extract_julian"),
        extract("cairn_extract_whole"),
        stable(
            "cairn_date_part",
            parts(
                Returns::Is(T::Double),
                |a| Ok(part(a)?.map_or(Value::Null, |n| Value::Double(n.to_f64()))),
            ),
        ),
        function(
            "cairn_set_generate_series",
            [
                super::series::overloads(),
                vec![
                    of(vec![T::Numeric(None); 3], T::Array(Box::new(T::Numeric(None))), numbers).optional(1),
                    of(
                        vec![T::Timestamp(None), T::Timestamp(None), T::Interval(None)],
                        T::Array(Box::new(T::Timestamp(None))),
                        series,
                    ),
                    of(
                        vec![T::TimestampTz(None), T::TimestampTz(None), T::Interval(None)],
                        T::Array(Box::new(T::TimestampTz(None))),
                        series,
                    ),
                ],
            ]
            .concat(),
        ),
        function(
            "cairn_trunc_interval",
            vec![of(vec![T::Text, T::Interval(None)], T::Interval(None), trunc_interval)],
        ),
        stable(
            "cairn_trunc_date",
            [T::Timestamp(None), T::TimestampTz(None)]
                .into_iter()
                .map(|own| of(vec![T::Text, own.clone()], own, trunc))
                .collect(),
        ),
        function(
            "cairn_at_date",
            vec![of(vec![T::Date, T::Time(None)], T::Timestamp(None), |a| {
                match (&a.values[0], &a.values[1]) {
                    (Value::Date(date), Value::Time(time)) => {
                        Ok(Value::Timestamp(i64::from(*date) * DAY_US + time))
                    }
                    _ => Err(Error::internal("a date and a time expected")),
                }
            })],
        ),
        stable("cairn_overlaps", overlaps_of()),
        volatile(
            "timeofday",
            of(vec![], T::Text, |a| {
                let now = a.scope()?.shared.now_us();
                let zone = a.zone();
                super::format_time::format_stamp(now, zone, "Dy Mon DD HH24:MI:SS.US YYYY TZ")
                    .map(Value::Text)
            }),
        ),
        volatile("pg_sleep", of(vec![T::Double], T::Text, |a| sleep((a.double(0)? * 1e6) as i64))),
        volatile(
            "pg_sleep_for",
            of(vec![T::Interval(None)], T::Text, |a| {
                sleep((a.interval(0)?.comparison_nanos() / 1000) as i64)
            }),
        ),
        volatile(
            "pg_sleep_until",
            of(vec![T::TimestampTz(None)], T::Text, |a| match a.values[0] {
                Value::TimestampTz(until) => sleep(until - a.scope()?.shared.now_us()),
                _ => Err(Error::internal("a moment expected")),
            }),
        ),
    ]
}

/// Numbers from one to another by steps.
fn numbers(args: &Args<'_>) -> Result<Value> {
    const COUNT_MAX: usize = 10_000_000;
    let (mut at, stop) = (args.decimal(0)?, args.decimal(1)?);
    let step = if args.len() > 2 { args.decimal(2)? } else { Decimal::new(1, 0) };
    for (number, what) in [(at, "start value"), (stop, "stop value"), (step, "step size")] {
        if !number.is_finite() {
            let kind = if number.is_nan() { "NaN" } else { "infinity" };
            return Err(Error::new("22023", format!("{what} cannot be {kind}")));
        }
    }
    if step.sign() == 0 {
        return Err(Error::new("22023", "step size cannot equal zero"));
    }
    let mut all = Vec::new();
    while if step.sign() > 0 { at <= stop } else { at >= stop } {
        if all.len() == COUNT_MAX {
            return Err(Error::new("54000", format!("a series of more than {COUNT_MAX} numbers")));
        }
        all.push(Value::Numeric(at));
        at = at.plus(step)?;
    }
    Ok(Value::Array(all))
}

fn sleep(micros: i64) -> Result<Value> {
    if micros > 0 {
        return Err(Error::unsupported("pg_sleep of more than 0 seconds"));
    }
    Ok(Value::Text(String::new()))
}

fn overlaps_of() -> Vec<Overload> {
    let of = |own: T| {
        Overload::new(vec![is(own.clone()), Kind::Any, is(own), Kind::Any], Returns::Is(T::Boolean), overlaps)
            .with_nulls()
    };
    vec![of(T::Timestamp(None)), of(T::TimestampTz(None)), of(T::Time(None))]
}

/// Microseconds of a moment or a time of day.
fn micros(value: &Value) -> Option<i64> {
    match value {
        Value::Timestamp(t) | Value::TimestampTz(t) | Value::Time(t) => Some(*t),
        Value::Date(d) => datetime::midnight(*d),
        _ => None,
    }
}

/// `(start, end) OVERLAPS (start, end)`: half-open, but an empty one is a moment.
fn overlaps(args: &Args<'_>) -> Result<Value> {
    let bounds = |at: usize| -> (Option<i64>, Option<i64>) {
        let start = micros(&args.values[at]);
        let end = match &args.values[at + 1] {
            Value::Interval(by) => start.and_then(|start| add(start, *by, 1)),
            Value::Text(text) => datetime::parse_timestamp(text).ok(),
            other => micros(other),
        };
        match (start, end) {
            (Some(a), Some(b)) if b < a => (Some(b), Some(a)),
            (None, end) => (end, None),
            other => other,
        }
    };
    let ((a, b), (c, d)) = (bounds(0), bounds(2));
    let (Some(a), Some(c)) = (a, c) else { return Ok(Value::Null) };
    let (first_end, second_start, known) = if a <= c { (b, c, d) } else { (d, a, b) };
    if a == c {
        return Ok(if b.is_none() || d.is_none() { Value::Null } else { Value::Boolean(true) });
    }
    let _ = known;
    Ok(first_end.map_or(Value::Null, |end| Value::Boolean(second_start < end)))
}

/// A local moment moved by an interval's months, days and time.
pub(super) fn add(moment: i64, by: Interval, sign: i64) -> Option<i64> {
    if is_infinite(moment) {
        return Some(moment);
    }
    let (year, month, day) = datetime::civil_from_days(moment.div_euclid(DAY_US));
    let months = year * 12 + i64::from(month) - 1 + sign * i64::from(by.months);
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
    let day = day.min(datetime::days_of_month(year, month));
    let days = datetime::days_from_civil(year, month, day) + sign * i64::from(by.days);
    let clock = days.checked_mul(DAY_US)?.checked_add(moment.rem_euclid(DAY_US))?;
    clock.checked_add(sign * (by.nanos / 1000))
}

fn local(utc: i64, zone: Zone) -> i64 {
    zone.local(utc)
}

pub(super) fn to_utc(local: i64, zone: Zone) -> Result<i64> {
    zone.to_utc(local).ok_or_else(|| Error::new("22008", "timestamp out of range"))
}

fn shifted(args: &Args<'_>, sign: i64) -> Result<Value> {
    let Value::TimestampTz(moment) = args.values[0] else { return Err(Error::internal("a moment expected")) };
    let zone = if args.len() > 2 { Zone::parse(args.text(2)?)? } else { args.zone() };
    let by = args.interval(1)?;
    let days = Interval { nanos: 0, ..by };
    let clock = add(local(moment, zone), days, sign);
    let moment = to_utc(clock.ok_or_else(|| Error::new("22008", "timestamp out of range"))?, zone)?;
    Ok(Value::TimestampTz(moment + sign * (by.nanos / 1000)))
}

/// Days of more than 30 as months, times of more than a day as days, with one sign.
fn justify(interval: Interval, hours: bool, days: bool) -> Result<Interval> {
    const DAY: i64 = 86_400_000_000_000;
    let Interval { months, days: d, nanos } = interval;
    let (mut months, mut d, mut nanos) = (i64::from(months), i64::from(d), nanos);
    if hours && days && (d > 0 && nanos > 0 || d < 0 && nanos < 0) || hours && !days || hours {
        d += nanos / DAY;
        nanos %= DAY;
    }
    if days {
        months += d / 30;
        d %= 30;
    }
    if days && hours {
        if months > 0 && (d < 0 || d == 0 && nanos < 0) {
            d += 30;
            months -= 1;
        } else if months < 0 && (d > 0 || d == 0 && nanos > 0) {
            d -= 30;
            months += 1;
        }
    } else if days {
        if months > 0 && d < 0 {
            d += 30;
            months -= 1;
        } else if months < 0 && d > 0 {
            d -= 30;
            months += 1;
        }
    }
    if hours {
        if d > 0 && nanos < 0 {
            nanos += DAY;
            d -= 1;
        } else if d < 0 && nanos > 0 {
            nanos -= DAY;
            d += 1;
        }
    }
    let range = || Error::new("22008", "interval out of range");
    Ok(Interval {
        months: i32::try_from(months).map_err(|_| range())?,
        days: i32::try_from(d).map_err(|_| range())?,
        nanos,
    })
}

/// A date from its parts; years before 1 are negative.
pub(super) fn date(year: i64, month: i64, day: i64) -> Result<i64> {
    let out_of_range =
        || Error::new("22008", format!("date field value out of range: {year}-{month:02}-{day:02}"));
    // There is no year 0.
    let astronomical = if year < 0 { year + 1 } else { year };
    if year == 0 || !(1..=12).contains(&month) || !(-4713..=294_276).contains(&astronomical) {
        return Err(out_of_range());
    }
    if day < 1 || day > i64::from(datetime::days_of_month(astronomical, month as u32)) {
        return Err(out_of_range());
    }
    Ok(datetime::days_from_civil(astronomical, month as u32, day as u32))
}

fn time(hour: i64, minute: i64, second: f64) -> Result<i64> {
    let micros = (second * 1e6).round() as i64;
    let total = hour * 3_600_000_000 + minute * 60_000_000 + micros;
    let fits = hour >= 0 && (0..60).contains(&minute) && (0.0..=60.0).contains(&second) && total <= DAY_US;
    let shown =
        if second == second.trunc() { format!("{:02}", second as i64) } else { format!("{second:02}") };
    let wrong = || Error::new("22008", format!("time field value out of range: {hour}:{minute:02}:{shown}"));
    if fits { Ok(total) } else { Err(wrong()) }
}

fn local_moment(args: &Args<'_>) -> Result<i64> {
    let days = date(args.int(0)?, args.int(1)?, args.int(2)?)?;
    Ok(days * DAY_US + time(args.int(3)?, args.int(4)?, args.double(5)?)?)
}

fn make_interval(args: &Args<'_>) -> Result<Value> {
    let range = || Error::new("22008", "interval out of range");
    let part = |at| args.int_or(at, 0);
    let months = part(0)? * 12 + part(1)?;
    let days = part(2)? * 7 + part(3)?;
    let seconds = if args.len() > 6 { args.double(6)? } else { 0.0 };
    let micros = part(4)? * 3_600_000_000 + part(5)? * 60_000_000 + (seconds * 1e6).round() as i64;
    Ok(Value::Interval(Interval {
        months: i32::try_from(months).map_err(|_| range())?,
        days: i32::try_from(days).map_err(|_| range())?,
        nanos: micros.checked_mul(1000).ok_or_else(range)?,
    }))
}

/// The beginning of the bin that a moment falls in; bins of `time_bucket` begin at Monday, 2000-01-03.
fn bin(args: &Args<'_>) -> Result<Value> {
    let stride = args.interval(0)?;
    if stride.months != 0 {
        return Err(Error::new(
            "0A000",
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let width = i64::from(stride.days) * DAY_US + stride.nanos / 1000;
    if width <= 0 {
        return Err(Error::new("22008", "stride must be greater than zero"));
    }
    let source = micros(&args.values[1]).ok_or_else(|| Error::internal("a moment expected"))?;
    let origin = args.values.get(2).and_then(micros).unwrap_or(946_857_600_000_000);
    let out_of_range = || Error::new("22008", "timestamp out of range");
    let start = source.checked_sub(origin).ok_or_else(out_of_range)?.div_euclid(width) * width + origin;
    Ok(match args.values[1] {
        Value::TimestampTz(_) => Value::TimestampTz(start),
        _ => Value::Timestamp(start),
    })
}

/// Moments from one to another, by steps.
fn series(args: &Args<'_>) -> Result<Value> {
    const MOMENTS_MAX: usize = 10_000_000;
    let (start, stop) = (micros(&args.values[0]), micros(&args.values[1]));
    let (Some(start), Some(stop)) = (start, stop) else { return Err(Error::internal("moments expected")) };
    let step = args.interval(2)?;
    let forward = step.comparison_nanos();
    if forward == 0 {
        return Err(Error::new("22023", "step size cannot equal zero"));
    }
    let instants = matches!(args.values[0], Value::TimestampTz(_));
    let zone = if instants { args.zone() } else { Zone::UTC };
    let (mut at, mut all) = (start, Vec::new());
    if is_infinite(start) || is_infinite(stop) {
        return Err(Error::unsupported("generate_series of infinite moments"));
    }
    while if forward > 0 { at <= stop } else { at >= stop } {
        if all.len() >= MOMENTS_MAX {
            return Err(Error::new("54000", "generate_series gives too many moments"));
        }
        all.push(if instants { Value::TimestampTz(at) } else { Value::Timestamp(at) });
        let days = Interval { nanos: 0, ..step };
        let out_of_range = || Error::new("22008", "timestamp out of range");
        let clock = add(local(at, zone), days, 1).ok_or_else(out_of_range)?;
        at = to_utc(clock, zone)? + step.nanos / 1000;
    }
    Ok(Value::Array(all))
}

/// The ISO 8601 year and week of a day.
pub(super) fn iso_week(days: i64) -> (i64, i64) {
    // The week's Thursday decides its year.
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let (year, _, _) = datetime::civil_from_days(thursday);
    (year, (thursday - datetime::days_from_civil(year, 1, 1)) / 7 + 1)
}

fn unit(text: &str) -> String {
    let unit = text.trim().to_ascii_lowercase();
    let known = match unit.as_str() {
        "y" | "yr" | "yrs" | "years" => "year",
        "mon" | "mons" | "months" => "month",
        "d" | "days" => "day",
        "h" | "hr" | "hrs" | "hours" => "hour",
        "m" | "min" | "mins" | "minutes" => "minute",
        "s" | "sec" | "secs" | "seconds" => "second",
        "ms" | "msec" | "msecs" | "millisecond" => "milliseconds",
        "us" | "usec" | "usecs" | "microsecond" => "microseconds",
        "w" | "weeks" => "week",
        "qtr" | "quarters" => "quarter",
        "dec" | "decs" | "decades" => "decade",
        "c" | "cent" | "centuries" => "century",
        "mil" | "mils" | "millenniums" | "millennia" => "millennium",
        "j" | "jd" => "julian",
        _ => return unit,
    };
    known.to_owned()
}

/// A field of a date, time or interval.
fn part(args: &Args<'_>) -> Result<Option<Decimal>> {
    let zone = || args.zone();
    field_of(args.text(0)?, &args.values[1], &args.types[1], &zone)
}

/// A field of a value of that type; `zone` is that of TIMESTAMPTZ.
///
/// # Errors
/// `22023` and `0A000` where there is no such field.
pub(super) fn field_of(
    name: &str,
    value: &Value,
    ty: &T,
    zone: &dyn Fn() -> Zone,
) -> Result<Option<Decimal>> {
    let unit = unit(name);
    let whole = |n: i64| Some(Decimal::from(n));
    let found = match value {
        Value::Interval(interval) => interval_part(&unit, *interval),
        Value::Time(time) => time_part(&unit, *time)
            .or_else(|| (unit == "epoch").then_some(Decimal::new(i128::from(*time), 6))),
        value @ Value::Coded { .. } => {
            let time = super::zoned_time::of(value).ok_or_else(|| Error::internal("a time expected"))?;
            let offset = i64::from(time.offset);
            match unit.as_str() {
                "timezone" => whole(offset),
                "timezone_hour" => whole(offset / 3600),
                "timezone_minute" => whole(offset / 60 % 60),
                "epoch" => Some(Decimal::new(i128::from(time.micros - offset * 1_000_000), 6)),
                _ => time_part(&unit, time.micros),
            }
        }
        value => {
            let out_of_range = || Error::new("22008", "date out of range for timestamp");
            let utc = micros(value).ok_or_else(out_of_range)?;
            if is_infinite(utc) {
                return infinite_part(&unit, ty);
            }
            let zone = if *ty == T::TimestampTz(None) { zone() } else { Zone::UTC };
            let offset = i64::from(zone.offset_at(utc));
            let clock = utc + offset * 1_000_000;
            match unit.as_str() {
                "epoch" if *ty == T::Date => whole(utc / 1_000_000),
                "epoch" => Some(Decimal::new(i128::from(utc), 6)),
                "timezone" if *ty == T::TimestampTz(None) => whole(offset),
                "timezone_hour" if *ty == T::TimestampTz(None) => whole(offset / 3600),
                "timezone_minute" if *ty == T::TimestampTz(None) => whole(offset / 60 % 60),
                _ => date_part(&unit, clock, *ty == T::Date).or_else(|| {
                    if *ty == T::Date { None } else { time_part(&unit, clock.rem_euclid(DAY_US)) }
                }),
            }
        }
    };
    match found {
        Some(number) => Ok(Some(number)),
        None => Err(unknown(&unit, ty)),
    }
}

/// A field of an infinite moment: fields that come round have no value.
///
/// # Errors
/// `0A000` for the others: no NUMERIC is infinite.
fn infinite_part(unit: &str, ty: &T) -> Result<Option<Decimal>> {
    match unit {
        "year" | "decade" | "century" | "millennium" | "isoyear" | "julian" | "epoch" => {
            Err(Error::unsupported(format!("extract({unit}) of an infinite {}", ty.base_name())))
        }
        unit if UNITS.contains(&unit) => Ok(None),
        unit => Err(unknown(unit, ty)),
    }
}

const UNITS: &[&str] = &[
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "milliseconds",
    "microseconds",
    "week",
    "quarter",
    "decade",
    "century",
    "millennium",
    "julian",
    "dow",
    "isodow",
    "doy",
    "isoyear",
    "epoch",
    "timezone",
    "timezone_hour",
    "timezone_minute",
];

/// `unit "…" not recognized for type …`, or not supported where it is a unit of other types.
pub(super) fn unknown(unit: &str, ty: &T) -> Error {
    match UNITS.contains(&unit) {
        true => Error::new("0A000", format!("unit \"{unit}\" not supported for type {}", ty.base_name())),
        false => Error::new("22023", format!("unit \"{unit}\" not recognized for type {}", ty.base_name())),
    }
}

fn time_part(unit: &str, micros: i64) -> Option<Decimal> {
    let seconds = micros % 60_000_000;
    Some(match unit {
        "hour" => Decimal::from(micros / 3_600_000_000),
        "minute" => Decimal::from(micros / 60_000_000 % 60),
        "second" => Decimal::new(i128::from(seconds), 6),
        "milliseconds" => Decimal::new(i128::from(seconds), 3),
        "microseconds" => Decimal::from(seconds),
        _ => return None,
    })
}

fn date_part(unit: &str, clock: i64, date_only: bool) -> Option<Decimal> {
    let days = clock.div_euclid(DAY_US);
    let (year, month, day) = datetime::civil_from_days(days);
    let weekday = (days + 4).rem_euclid(7);
    // There is no year 0.
    let shown = |year: i64| if year <= 0 { year - 1 } else { year };
    let whole = match unit {
        "year" => shown(year),
        "month" => i64::from(month),
        "day" => i64::from(day),
        "quarter" => i64::from(month - 1) / 3 + 1,
        "week" => iso_week(days).1,
        "isoyear" => shown(iso_week(days).0),
        "dow" => weekday,
        "isodow" => {
            if weekday == 0 {
                7
            } else {
                weekday
            }
        }
        "doy" => days - datetime::days_from_civil(year, 1, 1) + 1,
        "decade" => year.div_euclid(10),
        "century" => {
            if year > 0 {
                (year + 99) / 100
            } else {
                -((99 - (year - 1)) / 100)
            }
        }
        "millennium" => {
            if year > 0 {
                (year + 999) / 1000
            } else {
                -((999 - (year - 1)) / 1000)
            }
        }
        "julian" if date_only || clock.rem_euclid(DAY_US) == 0 => days + 2_440_588,
        "julian" => {
            let part = i128::from(clock.rem_euclid(DAY_US)) * 10i128.pow(20) / i128::from(DAY_US);
            return Some(Decimal::new(i128::from(days + 2_440_588) * 10i128.pow(20) + part, 20));
        }
        _ => return None,
    };
    Some(Decimal::from(whole))
}

fn interval_part(unit: &str, interval: Interval) -> Option<Decimal> {
    let months = i64::from(interval.months);
    let micros = interval.nanos / 1000;
    Some(Decimal::from(match unit {
        "year" => months / 12,
        "month" => months % 12,
        "day" => i64::from(interval.days),
        "quarter" => months % 12 / 3 + 1,
        "decade" => months / 120,
        "century" => months / 1200,
        "millennium" => months / 12_000,
        "epoch" => {
            // A year has 365.25 days there.
            let quarter_days = months / 12 * 1461 + (months % 12) * 120 + i64::from(interval.days) * 4;
            return Some(Decimal::new(
                i128::from(quarter_days) * i128::from(DAY_US / 4) + i128::from(micros),
                6,
            ));
        }
        other => return time_part(other, micros),
    }))
}

fn trunc_interval(args: &Args<'_>) -> Result<Value> {
    const HOUR: i64 = 3_600_000_000_000;
    let (unit, Interval { months, days, nanos }) = (unit(args.text(0)?), args.interval(1)?);
    let only = |months| Interval { months, days: 0, nanos: 0 };
    let cut = |by: i64| Interval { months, days, nanos: nanos / by * by };
    Ok(Value::Interval(match unit.as_str() {
        "millennium" => only(months / 12_000 * 12_000),
        "century" => only(months / 1200 * 1200),
        "decade" => only(months / 120 * 120),
        "year" => only(months / 12 * 12),
        "quarter" => only(months / 3 * 3),
        "month" => only(months),
        "day" => Interval { months, days, nanos: 0 },
        "hour" => cut(HOUR),
        "minute" => cut(HOUR / 60),
        "second" => cut(HOUR / 3600),
        "milliseconds" => cut(1_000_000),
        "microseconds" => cut(1000),
        _ => return Err(unknown(&unit, &T::Interval(None))),
    }))
}

/// `date_trunc` of a unit that the query engine does not know.
fn trunc(args: &Args<'_>) -> Result<Value> {
    let instant = args.types[1] == T::TimestampTz(None);
    let zone = if instant { args.zone() } else { Zone::UTC };
    let utc = micros(&args.values[1]).ok_or_else(|| Error::internal("a moment expected"))?;
    let cut = truncated(args.text(0)?, utc, zone)?
        .ok_or_else(|| unknown(&unit(args.text(0).unwrap_or_default()), &args.types[1]))?;
    Ok(if instant { Value::TimestampTz(cut) } else { Value::Timestamp(cut) })
}

/// A moment cut to a unit by the clock of a zone; `None` where the unit is none.
///
/// # Errors
/// `22008` for a moment out of range.
pub(super) fn truncated(name: &str, utc: i64, zone: Zone) -> Result<Option<i64>> {
    if is_infinite(utc) {
        return Ok(Some(utc));
    }
    let clock = local(utc, zone);
    let days = clock.div_euclid(DAY_US);
    let (year, month, _) = datetime::civil_from_days(days);
    let from_year = |year: i64| datetime::days_from_civil(year, 1, 1) * DAY_US;
    let to = |by: i64| clock.div_euclid(by) * by;
    let cut = match unit(name).as_str() {
        "millennium" => from_year((year - 1).div_euclid(1000) * 1000 + 1),
        "century" => from_year((year - 1).div_euclid(100) * 100 + 1),
        "decade" => from_year(year.div_euclid(10) * 10),
        "year" => from_year(year),
        "quarter" => datetime::days_from_civil(year, (month - 1) / 3 * 3 + 1, 1) * DAY_US,
        "month" => datetime::days_from_civil(year, month, 1) * DAY_US,
        "week" => (days - (days + 3).rem_euclid(7)) * DAY_US,
        "day" => days * DAY_US,
        "hour" => to(3_600_000_000),
        "minute" => to(60_000_000),
        "second" => to(1_000_000),
        "milliseconds" => to(1000),
        "microseconds" => clock,
        _ => return Ok(None),
    };
    to_utc(cut, zone).map(Some)
}
