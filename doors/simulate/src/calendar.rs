//! Days, weekdays and seasons of the shop, all in UTC.

use event::{Instant, Span};

/// Orders come in between these hours; campaigns leave before the first.
pub(crate) const OPEN_SECS: i64 = 7 * 3600;
pub(crate) const CLOSE_SECS: i64 = 23 * 3600;
/// When a campaign leaves.
pub(crate) const CONTACT_SECS: i64 = 6 * 3600;

const DAY_SECS: i64 = 86_400;
const DAY_MICROS: i64 = DAY_SECS * 1_000_000;
/// Monday to Sunday; the mean is 1.
const WEEKDAYS: [f64; 7] = [0.9, 0.85, 0.9, 1.0, 1.15, 1.2, 1.0];
/// January to December; the mean is 1.
const MONTHS: [f64; 12] = [0.85, 0.8, 0.9, 0.95, 1.0, 0.95, 0.9, 0.9, 1.0, 1.05, 1.3, 1.4];

/// A day, counted since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(pub(crate) i64);

impl Day {
    /// The day an instant lies in.
    pub(crate) fn of(at: Instant) -> Self {
        Self(at.micros().div_euclid(DAY_MICROS))
    }

    /// The instant this many seconds after midnight.
    pub(crate) fn at_secs(self, secs: i64) -> Instant {
        Instant::from_micros(self.0.saturating_mul(DAY_MICROS)) + Span::from_secs(secs)
    }

    pub(crate) fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// How much more or less than usual is ordered: weekday × month.
    pub(crate) fn factor(self) -> f64 {
        // 1970-01-01 was a Thursday.
        let weekday = (self.0 + 3).rem_euclid(7) as usize;
        let month = self.civil().1 as usize;
        WEEKDAYS.get(weekday).unwrap_or(&1.0) * MONTHS.get(month.saturating_sub(1)).unwrap_or(&1.0)
    }

    /// Year, month, day in the Gregorian calendar, counted from 1 March so that leap days come last.
    fn civil(self) -> (i64, i64, i64) {
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        (era * 400 + year_of_era + i64::from(month <= 2), month, day)
    }
}

/// An instant as the shop's systems write it, to the millisecond: `2025-05-01T09:30:00.250Z`.
pub(crate) fn stamp(at: Instant) -> String {
    let (year, month, day) = Day::of(at).civil();
    let millis = at.micros().div_euclid(1_000).rem_euclid(DAY_SECS * 1_000);
    let (secs, millis) = (millis / 1_000, millis % 1_000);
    let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The share of a day's orders that come at or after this instant of the day.
pub(crate) fn share_after(at: Instant) -> f64 {
    let micros = at.micros().rem_euclid(DAY_MICROS);
    let (open, close) = (OPEN_SECS * 1_000_000, CLOSE_SECS * 1_000_000);
    (close - micros.clamp(open, close)) as f64 / (close - open) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_read_back() {
        for text in
            ["1970-01-01", "2024-02-29T23:59:59.999Z", "2025-12-31T06:00:00Z", "2100-03-01", "1900-03-01"]
        {
            let at: Instant = text.parse().unwrap();
            assert_eq!(stamp(at).parse::<Instant>().unwrap(), at, "{text}");
        }
    }

    #[test]
    fn factors_average_to_one_and_peak_before_christmas() {
        let first = Day::of("2025-01-01".parse().unwrap());
        let mean = (0..365).map(|day| first.plus(day).factor()).sum::<f64>() / 365.0;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let friday: Instant = "2025-12-19".parse().unwrap();
        assert!((Day::of(friday).factor() - 1.15 * 1.4).abs() < 1e-12);
    }

    #[test]
    fn shares_of_a_day() {
        let at = |text: &str| share_after(text.parse().unwrap());
        assert_eq!(at("2025-01-01T06:00:00Z"), 1.0);
        assert_eq!(at("2025-01-01T15:00:00Z"), 0.5);
        assert_eq!(at("2025-01-01T23:30:00Z"), 0.0);
    }
}
