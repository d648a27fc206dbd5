//! Points and lengths of time, in whole microseconds, UTC.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since 1970-01-01T00:00:00Z.
///
/// Accepted from outside: 1900-01-01 up to (not including) 2200-01-01. What lies beyond is a typing error
/// in every data set we have seen, and a window ending in the year 9999 would never close.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Instant(i64);

/// A length of time in microseconds, possibly negative.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span(i64);

/// A text or number that is no instant we accept.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseInstantError {
    /// Not a date or time.
    #[error("`{text}` is not a time: RFC 3339 is expected, like `2026-01-31T12:00:00Z` or `2026-01-31`")]
    Unreadable {
        /// What was given, shortened.
        text: String,
    },
    /// Outside 1900 to 2199.
    #[error("`{text}` is outside the years 1900 to 2199")]
    OutOfRange {
        /// What was given, shortened.
        text: String,
    },
}

/// A text that is no length of time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a length of time: a number and one of s, m, h, d, w, y is expected, like `30d`")]
pub struct ParseSpanError {
    text: String,
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

impl Instant {
    /// 1900-01-01T00:00:00Z
    pub const EARLIEST: Instant = Instant(-2_208_988_800_000_000);
    /// 2200-01-01T00:00:00Z, the first instant that is not accepted
    pub const END: Instant = Instant(7_258_118_400_000_000);

    /// Microseconds since the epoch, unchecked: for values this house wrote itself.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Microseconds since the epoch from outside.
    ///
    /// # Errors
    /// [`ParseInstantError::OutOfRange`] outside the years 1900 to 2199.
    pub fn try_from_micros(micros: i64) -> Result<Self, ParseInstantError> {
        let instant = Self(micros);
        if instant < Self::EARLIEST || instant >= Self::END {
            return Err(ParseInstantError::OutOfRange { text: format!("{micros} microseconds") });
        }
        Ok(instant)
    }

    /// The time of the machine's clock. Only doors and the loop ask for it; everything else is told.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

impl Span {
    /// No time.
    pub const ZERO: Span = Span(0);

    /// A length in microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// A length in whole seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// A length in days of 24 hours.
    pub const fn from_days(days: i64) -> Self {
        Self(days.saturating_mul(86_400_000_000))
    }

    /// The length in microseconds.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The length in days, with fractions.
    pub fn days(self) -> f64 {
        self.0 as f64 / 86_400_000_000.0
    }
}

impl Add<Span> for Instant {
    type Output = Instant;
    fn add(self, span: Span) -> Instant {
        Instant(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Instant {
    type Output = Instant;
    fn sub(self, span: Span) -> Instant {
        Instant(self.0.saturating_sub(span.0))
    }
}

impl Sub<Instant> for Instant {
    type Output = Span;
    fn sub(self, other: Instant) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => write!(f, "{t}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Instant {
    type Err = ParseInstantError;

    /// Reads RFC 3339, a date alone (midnight UTC), and a date and time without offset (UTC).
    fn from_str(text: &str) -> Result<Self, ParseInstantError> {
        let text = text.trim();
        let unreadable = || ParseInstantError::Unreadable { text: short(text) };
        if text.len() > 64 {
            return Err(unreadable());
        }
        let timestamp = match text.parse::<jiff::Timestamp>() {
            Ok(t) => t,
            Err(_) => {
                let civil = match text.parse::<jiff::civil::DateTime>() {
                    Ok(c) => c,
                    Err(_) => text.parse::<jiff::civil::Date>().map_err(|_| unreadable())?.at(0, 0, 0, 0),
                };
                let utc = jiff::tz::Offset::UTC.to_timestamp(civil);
                utc.map_err(|_| ParseInstantError::OutOfRange { text: short(text) })?
            }
        };
        Self::try_from_micros(timestamp.as_microsecond())
            .map_err(|_| ParseInstantError::OutOfRange { text: short(text) })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, micros) in UNITS.iter().rev() {
            if *unit != "y" && *unit != "w" && self.0 != 0 && self.0 % micros == 0 {
                return write!(f, "{}{unit}", self.0 / micros);
            }
        }
        write!(f, "{}us", self.0)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Longest suffixes first where one ends in another. A year is 365 days, a week 7.
const UNITS: [(&str, i64); 8] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
    ("w", 604_800_000_000),
    ("y", 31_536_000_000_000),
];

impl FromStr for Span {
    type Err = ParseSpanError;

    fn from_str(text: &str) -> Result<Self, ParseSpanError> {
        let bad = || ParseSpanError { text: short(text) };
        let text = text.trim();
        let (unit, micros) = UNITS.iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(bad)?;
        let number = text.strip_suffix(unit).unwrap_or(text).trim();
        let count: i64 = number.parse().map_err(|_| bad())?;
        count.checked_mul(*micros).map(Span).ok_or_else(bad)
    }
}

macro_rules! text_in_json_number_in_bytes {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.collect_str(self) } else { self.0.serialize(s) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
                } else {
                    i64::deserialize(d).map(Self)
                }
            }
        }
    };
}
text_in_json_number_in_bytes!(Instant);
text_in_json_number_in_bytes!(Span);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, micros: Option<i64>) {
        assert_eq!(text.parse::<Instant>().ok().map(Instant::micros), micros, "{text}");
    }

    #[test]
    fn reads_what_people_write() {
        check("1970-01-01", Some(0));
        check("1970-01-01T00:00:01Z", Some(1_000_000));
        check("1970-01-01T01:00:01+01:00", Some(1_000_000));
        check("1970-01-01 00:00:01.5", Some(1_500_000));
        check("1969-12-31T23:59:59Z", Some(-1_000_000));
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in
            ["", "yesterday", "2026-02-30", "-1", "9999-12-31", "1899-12-31", "2026-13-01", "٢٠٢٦-٠١-٠١"]
        {
            check(text, None);
        }
        let error = "9999-12-31T00:00:00Z".parse::<Instant>().unwrap_err();
        assert!(error.to_string().contains("9999-12-31"), "{error}");
    }

    #[test]
    fn spans_read_back_what_they_print() {
        for text in ["30d", "90m", "1h", "5s", "250ms", "7us"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse::<Span>(), Ok(span), "{text}");
        }
        assert_eq!("1w".parse::<Span>(), Ok(Span::from_days(7)));
        assert!("30 parsecs".parse::<Span>().is_err());
        assert!("99999999999999d".parse::<Span>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn an_instant_reads_back_what_it_prints(micros in Instant::EARLIEST.0..Instant::END.0) {
            let instant = Instant(micros);
            proptest::prop_assert_eq!(instant.to_string().parse::<Instant>(), Ok(instant));
        }
    }
}
