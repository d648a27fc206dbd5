//! Windows that begin where a place's calendar says: with the day, the week, the month.
//!
//! A day is as long as it is there: 23 hours where clocks go forward, 25 where they go back, and it begins at the
//! first instant that has its date, midnight or not.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

const HOUR: i64 = 3_600_000_000;

/// A piece of the calendar in one place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Calendar {
    unit: Unit,
    zone: TimeZone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// The words for windows of the calendar.
pub(crate) const WORDS: [&str; 5] = ["day", "week", "month", "quarter", "year"];

impl Calendar {
    /// `month`; `None` for another word.
    pub(crate) fn find(word: &str, zone: TimeZone) -> Option<Self> {
        let unit = match word {
            "day" => Unit::Day,
            "week" => Unit::Week,
            "month" => Unit::Month,
            "quarter" => Unit::Quarter,
            "year" => Unit::Year,
            _ => return None,
        };
        Some(Self { unit, zone })
    }

    /// No window of this unit is longer, in microseconds.
    pub(crate) fn longest(&self) -> i64 {
        let days = match self.unit {
            Unit::Day => 1,
            Unit::Week => 7,
            Unit::Month => 31,
            Unit::Quarter => 92,
            Unit::Year => 366,
        };
        // Clocks go back by an hour, by two at most; places that change their side of the date line skip a day.
        (days + 1) * 24 * HOUR + 2 * HOUR
    }

    /// The first instant of the day, week, … that `at` lies in. Weeks begin on Monday (ISO 8601).
    pub(crate) fn start(&self, at: i64) -> Option<i64> {
        let local = Timestamp::from_microsecond(at).ok()?.to_zoned_datetime(self.zone.clone()).date();
        let first = match self.unit {
            Unit::Day => local,
            Unit::Week => {
                local.checked_sub(i64::from(local.weekday().to_monday_zero_offset()).days()).ok()?
            }
            Unit::Month => local.first_of_month(),
            Unit::Quarter => Date::new(local.year(), (local.month() - 1) / 3 * 3 + 1, 1).ok()?,
            Unit::Year => local.first_of_year(),
        };
        Some(first.to_zoned_datetime(self.zone.clone()).ok()?.timestamp().as_microsecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Instant;

    fn check(word: &str, zone: &str, at: &str, expected: &str) {
        let calendar = Calendar::find(word, TimeZone::get(zone).unwrap()).unwrap();
        let at = at.parse::<Instant>().unwrap().micros();
        let start = calendar.start(at).unwrap();
        assert_eq!(Instant::from_micros(start).to_string(), expected, "{word} in {zone}");
        assert!(start <= at && at - start <= calendar.longest());
    }

    #[test]
    fn windows_begin_where_the_place_says() {
        check("day", "Europe/Berlin", "2026-07-01T21:59:59Z", "2026-06-30T22:00:00Z");
        check("day", "Europe/Berlin", "2026-07-01T22:00:00Z", "2026-07-01T22:00:00Z");
        // The day on which clocks go forward has begun in winter time.
        check("day", "Europe/Berlin", "2026-03-29T20:00:00Z", "2026-03-28T23:00:00Z");
        // In Havana the clock goes from 24:00 to 01:00: the day begins at 01:00.
        check("day", "America/Havana", "2026-03-08T06:00:00Z", "2026-03-08T05:00:00Z");
        check("week", "UTC", "2026-03-01T12:00:00Z", "2026-02-23T00:00:00Z");
        check("month", "Asia/Tokyo", "2026-02-28T16:00:00Z", "2026-02-28T15:00:00Z");
        check("quarter", "UTC", "2026-06-30T23:00:00Z", "2026-04-01T00:00:00Z");
        check("year", "Pacific/Auckland", "2026-01-01T00:00:00Z", "2025-12-31T11:00:00Z");
        // Samoa had no 30 December 2011.
        check("day", "Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-30T10:00:00Z");
    }
}
