//! Intervals: months, days and nanoseconds, ordered as PostgreSQL orders them. Text forms are in
//! [`crate::datetime`].

use std::cmp::Ordering;

/// Nanoseconds of a day of 24 hours.
pub const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// A span of time. A month counts as 30 days and a day as 24 hours where two are compared, so that
/// `1 mon` equals `30 days`, as in PostgreSQL.
///
/// ```
/// use cairn_types::Interval;
/// assert_eq!(Interval { months: 1, days: 0, nanos: 0 }, Interval { months: 0, days: 30, nanos: 0 });
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Interval {
    /// Months; twelve are a year.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Nanoseconds.
    pub nanos: i64,
}

impl Interval {
    /// The span in nanoseconds that decides order and equality.
    #[must_use]
    pub fn comparison_nanos(self) -> i128 {
        let days = i128::from(self.months) * 30 + i128::from(self.days);
        days * i128::from(NANOS_PER_DAY) + i128::from(self.nanos)
    }

    /// The one interval without months among those of equal span, as far as its days fit; the inverse of
    /// [`Interval::comparison_nanos`] up to equality. `None` where no interval has that span.
    #[must_use]
    pub fn from_comparison_nanos(nanos: i128) -> Option<Self> {
        let mut days = nanos / i128::from(NANOS_PER_DAY);
        let rest = i64::try_from(nanos % i128::from(NANOS_PER_DAY)).ok()?;
        let mut months = 0i128;
        if i32::try_from(days).is_err() {
            months = days / 30;
            days %= 30;
            let excess = months - months.clamp(i128::from(i32::MIN), i128::from(i32::MAX));
            months -= excess;
            days += excess * 30;
        }
        match i32::try_from(days) {
            Ok(days) => Some(Self { months: i32::try_from(months).ok()?, days, nanos: rest }),
            Err(_) => {
                // Only the outermost spans: days at their limit, the remainder in nanoseconds.
                let capped = days.clamp(i128::from(i32::MIN), i128::from(i32::MAX));
                let nanos = (days - capped) * i128::from(NANOS_PER_DAY) + i128::from(rest);
                Some(Self {
                    months: i32::try_from(months).ok()?,
                    days: i32::try_from(capped).ok()?,
                    nanos: i64::try_from(nanos).ok()?,
                })
            }
        }
    }
}

/// The fields of an INTERVAL that a type keeps: the words, PostgreSQL's mask, the smallest field in nanoseconds (0 where
/// nothing of the time is kept) and the unit of a bare number at the end of a text.
const FIELDS: [(&str, i32, i64, &str); 14] = [
    ("", 0x7FFF, 1, "second"),
    ("year", 1 << 2, 0, "year"),
    ("month", 1 << 1, 0, "month"),
    ("day", 1 << 3, 0, "day"),
    ("hour", 1 << 10, HOUR_NANOS, "hour"),
    ("minute", 1 << 11, MINUTE_NANOS, "minute"),
    ("second", 1 << 12, 1, "second"),
    ("year to month", 1 << 2 | 1 << 1, 0, "month"),
    ("day to hour", 1 << 3 | 1 << 10, HOUR_NANOS, "hour"),
    ("day to minute", 1 << 3 | 1 << 10 | 1 << 11, MINUTE_NANOS, "minute"),
    ("day to second", 1 << 3 | 1 << 10 | 1 << 11 | 1 << 12, 1, "second"),
    ("hour to minute", 1 << 10 | 1 << 11, MINUTE_NANOS, "minute"),
    ("hour to second", 1 << 10 | 1 << 11 | 1 << 12, 1, "second"),
    ("minute to second", 1 << 11 | 1 << 12, 1, "second"),
];
const MINUTE_NANOS: i64 = 60_000_000_000;
const HOUR_NANOS: i64 = 60 * MINUTE_NANOS;
/// Stands in the code for no digits.
const NO_DIGITS: u8 = 255;

/// What INTERVAL's fields and digits keep of a value: `INTERVAL DAY TO SECOND(3)`.
///
/// ```
/// use cairn_types::IntervalLimit;
/// let limit = IntervalLimit::parse(" day to second", Some(3)).flatten().expect("fields");
/// assert_eq!(limit.to_string(), " day to second(3)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IntervalLimit {
    fields: u8,
    digits: Option<u8>,
}

impl IntervalLimit {
    /// Reads the words behind INTERVAL; the inner option is `None` where there is nothing to keep to, the outer one where
    /// these are no fields, or digits stand behind fields that do not end with seconds.
    #[must_use]
    pub fn parse(words: &str, digits: Option<u8>) -> Option<Option<Self>> {
        let words = words.trim();
        let fields = FIELDS.iter().position(|(name, ..)| *name == words)?;
        if digits.is_some() && FIELDS[fields].3 != "second" {
            return None;
        }
        Some((fields > 0 || digits.is_some()).then_some(Self { fields: fields as u8, digits }))
    }

    fn row(self) -> (&'static str, i32, i64, &'static str) {
        FIELDS[usize::from(self.fields)]
    }

    /// The words of the fields: `day to second`.
    #[must_use]
    pub fn words(self) -> &'static str {
        self.row().0
    }

    /// The digits of a second.
    #[must_use]
    pub fn digits(self) -> Option<u8> {
        self.digits
    }

    /// The unit of a bare number at the end of a text.
    #[must_use]
    pub fn last_unit(self) -> &'static str {
        self.row().3
    }

    /// Whether a clock of two numbers in a text is of minutes and seconds.
    #[must_use]
    pub fn is_of_minutes(self) -> bool {
        self.words() == "minute to second"
    }

    /// PostgreSQL's type modifier.
    #[must_use]
    pub fn modifier(self) -> i32 {
        self.row().1 << 16 | self.digits.map_or(0xFFFF, i32::from)
    }

    /// The limit of a type modifier.
    #[must_use]
    pub fn of_modifier(modifier: i32) -> Option<Self> {
        let fields = FIELDS.iter().position(|(_, mask, ..)| *mask == modifier >> 16)? as u8;
        let digits = u8::try_from(modifier & 0xFFFF).ok();
        Some(Self { fields, digits })
    }

    /// The code in the catalog.
    pub(crate) fn to_code(self) -> [u8; 2] {
        [self.fields, self.digits.unwrap_or(NO_DIGITS)]
    }

    pub(crate) fn from_code([fields, digits]: [u8; 2]) -> Option<Self> {
        let digits = (digits != NO_DIGITS).then_some(digits);
        let known = usize::from(fields) < FIELDS.len()
            && digits.is_none_or(|digits| digits <= crate::datatype::SECOND_DIGITS_MAX);
        known.then_some(Self { fields, digits })
    }

    /// What is kept: fields below the smallest one are cut off, digits of a second are rounded.
    #[must_use]
    pub fn apply(self, interval: Interval) -> Interval {
        let (words, _, smallest, _) = self.row();
        let Interval { mut months, mut days, mut nanos } = interval;
        match words {
            "year" => (months, days) = (months / 12 * 12, 0),
            "month" | "year to month" => days = 0,
            _ => {}
        }
        nanos = if smallest == 0 { 0 } else { nanos / smallest * smallest };
        if let Some(digits) = self.digits {
            nanos = crate::datetime::round_half_away(nanos, 1000 * crate::datetime::digit_micros(digits));
        }
        Interval { months, days, nanos }
    }
}

impl std::fmt::Display for IntervalLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.words().is_empty() {
            write!(f, " {}", self.words())?;
        }
        match self.digits {
            Some(digits) => write!(f, "({digits})"),
            None => Ok(()),
        }
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Self) -> Ordering {
        self.comparison_nanos().cmp(&other.comparison_nanos())
    }
}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Interval {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Interval {}
