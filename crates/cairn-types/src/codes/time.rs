//! TIME WITH TIME ZONE: ordered by the moment in UTC, then by the zone, the eastern ones first.

use crate::datetime::{self, Zone};
use crate::error::TypeError;

/// A time of day and the distance of its zone from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZonedTime {
    /// Microseconds since midnight by the zone's clock.
    pub micros: i64,
    /// Seconds ahead of UTC.
    pub offset: i32,
}

impl ZonedTime {
    /// Zones are less far from UTC, in seconds.
    pub(crate) const OFFSET_END: i32 = 16 * 3600;

    /// Reads `04:05:06.789+02`; a text without zone is of `zone`.
    ///
    /// # Errors
    /// As [`datetime::parse_time_and_zone`].
    pub fn parse(text: &str, zone: Zone) -> Result<Self, TypeError> {
        datetime::parse_time_and_zone(text, zone).map(|(micros, offset)| Self { micros, offset })
    }

    /// Rounded to so many digits of a second.
    #[must_use]
    pub fn rounded(self, digits: Option<u8>) -> Self {
        Self { micros: datetime::round_time(self.micros, digits), ..self }
    }

    /// The same moment by a clock that is so far ahead of UTC.
    #[must_use]
    pub fn at_offset(self, offset: i32) -> Self {
        let moved = self.micros + i64::from(offset - self.offset) * 1_000_000;
        Self { micros: moved.rem_euclid(datetime::MICROS_PER_DAY), offset }
    }

    /// The code: the moment in UTC and the seconds that the zone is behind UTC, each big-endian with its sign inverted.
    #[must_use]
    pub fn to_code(self) -> Vec<u8> {
        let utc = self.micros - i64::from(self.offset) * 1_000_000;
        let mut code = (utc ^ i64::MIN).to_be_bytes().to_vec();
        code.extend_from_slice(&(-self.offset ^ i32::MIN).to_be_bytes());
        code
    }

    /// The time of a code.
    #[must_use]
    pub fn from_code(code: &[u8]) -> Option<Self> {
        let (utc, west) = code.split_first_chunk::<8>()?;
        let west = i32::from_be_bytes(west.try_into().ok()?) ^ i32::MIN;
        let offset = west.checked_neg().filter(|offset| offset.abs() < Self::OFFSET_END)?;
        let micros = (i64::from_be_bytes(*utc) ^ i64::MIN).checked_add(i64::from(offset) * 1_000_000)?;
        (0..=datetime::MICROS_PER_DAY).contains(&micros).then_some(Self { micros, offset })
    }

    /// Appends the text.
    pub fn write(self, out: &mut String) {
        datetime::write_time_and_zone(self.micros, self.offset, out);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn order_is_that_of_the_moment_then_of_the_zone() {
        let sorted =
            ["00:00+15:59", "01:00+02", "00:00+01", "23:00-00:30", "24:00-00:30", "23:59:59.999999-15"];
        let codes: Vec<_> =
            sorted.iter().map(|text| ZonedTime::parse(text, Zone::UTC).unwrap().to_code()).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
        for (code, text) in codes.iter().zip(sorted) {
            let read = ZonedTime::from_code(code).unwrap();
            assert_eq!(read, ZonedTime::parse(text, Zone::UTC).unwrap());
        }
        assert_eq!(ZonedTime::from_code(&[0; 11]), None);
        assert_eq!(ZonedTime::from_code(&[0; 12]), None);
    }
}
