//! The calendar of budgets: which account a moment belongs to, and when it closes. Days and months are those of
//! UTC, so that every machine agrees.

use std::fmt;
use std::str::FromStr;

use event::Instant;
use jiff::civil::{Date, Weekday};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// How often a budget begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// Never.
    Total,
    /// Each day.
    Day,
    /// Each Monday.
    Week,
    /// On each month's first.
    Month,
    /// On the first of January, April, July and October.
    Quarter,
    /// On the first of January.
    Year,
}

const NAMES: [(&str, Period); 6] = [
    ("total", Period::Total),
    ("day", Period::Day),
    ("week", Period::Week),
    ("month", Period::Month),
    ("quarter", Period::Quarter),
    ("year", Period::Year),
];

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(name, _)| *name == text).map(|(_, period)| *period);
        found.ok_or_else(|| {
            format!(
                "`{}` is no period; write total, day, week, month, quarter or year",
                crate::finding::short(text)
            )
        })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.iter().find(|(_, period)| period == self).map_or("total", |(name, _)| name))
    }
}

impl Period {
    /// The account of `budget` that `at` belongs to: `spring@2026-11`.
    pub fn account(self, budget: &str, at: Instant) -> String {
        match self.first_day(at) {
            None => format!("{budget}@total"),
            Some(first) => {
                let date = first.strftime("%Y-%m-%d").to_string();
                let name = match self {
                    Period::Month => date.get(..7),
                    Period::Year => date.get(..4),
                    _ => Some(date.as_str()),
                };
                format!(
                    "{budget}@{}{}",
                    if self == Period::Week { "w" } else { "" },
                    name.unwrap_or_default()
                )
            }
        }
    }

    /// When the account that `at` belongs to closes: the first instant of the next one.
    pub fn end(self, at: Instant) -> Instant {
        let next = self.first_day(at).and_then(|first| {
            let span = match self {
                Period::Total => return None,
                Period::Day => 1.day(),
                Period::Week => 7.days(),
                Period::Month => 1.month(),
                Period::Quarter => 3.months(),
                Period::Year => 1.year(),
            };
            first.checked_add(span).ok()
        });
        let instant = next.and_then(|date| {
            let first = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
            Some(Instant::from_micros(first.as_microsecond()))
        });
        instant.unwrap_or(Instant::END)
    }

    fn first_day(self, at: Instant) -> Option<Date> {
        let date = Offset::UTC.to_datetime(Timestamp::from_microsecond(at.micros()).ok()?).date();
        match self {
            Period::Total => None,
            Period::Day => Some(date),
            Period::Week if date.weekday() == Weekday::Monday => Some(date),
            Period::Week => date.nth_weekday(-1, Weekday::Monday).ok(),
            Period::Month => Some(date.first_of_month()),
            Period::Quarter => Date::new(date.year(), (date.month() - 1) / 3 * 3 + 1, 1).ok(),
            Period::Year => Some(date.first_of_year()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(period: Period, at: &str, account: &str, end: &str) {
        let at: Instant = at.parse().unwrap();
        assert_eq!(period.account("b", at), account);
        assert_eq!(period.end(at), end.parse().unwrap(), "{account}");
    }

    #[test]
    fn moments_belong_to_one_account() {
        check(Period::Day, "2026-11-24T23:59:59Z", "b@2026-11-24", "2026-11-25");
        check(Period::Week, "2026-11-24T12:00:00Z", "b@w2026-11-23", "2026-11-30");
        check(Period::Week, "2026-11-23T00:00:00Z", "b@w2026-11-23", "2026-11-30");
        check(Period::Week, "2026-11-22T23:59:59Z", "b@w2026-11-16", "2026-11-23");
        check(Period::Month, "2026-12-31T23:59:59Z", "b@2026-12", "2027-01-01");
        check(Period::Quarter, "2026-11-24", "b@2026-10-01", "2027-01-01");
        check(Period::Year, "2024-02-29", "b@2024", "2025-01-01");
        assert_eq!(Period::Total.account("b", Instant::from_micros(i64::MAX)), "b@total");
        assert_eq!(Period::Total.end(Instant::from_micros(0)), Instant::END);
    }

    #[test]
    fn periods_read_back() {
        for (name, period) in NAMES {
            assert_eq!(name.parse::<Period>(), Ok(period));
            assert_eq!(period.to_string(), name);
        }
        assert!("fortnight".parse::<Period>().unwrap_err().contains("quarter"));
    }

    proptest::proptest! {
        #[test]
        fn an_account_holds_until_its_end_and_not_beyond(
            micros in Instant::EARLIEST.micros()..Instant::END.micros() - 400 * 86_400_000_000,
        ) {
            let at = Instant::from_micros(micros);
            for (_, period) in NAMES {
                let end = period.end(at);
                proptest::prop_assert!(at < end);
                if period != Period::Total {
                    let last = Instant::from_micros(end.micros() - 1);
                    proptest::prop_assert_eq!(period.account("b", at), period.account("b", last));
                    proptest::prop_assert_ne!(period.account("b", at), period.account("b", end));
                }
            }
        }
    }
}
