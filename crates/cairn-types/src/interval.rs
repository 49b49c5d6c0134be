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
