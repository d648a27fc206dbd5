//! How big the world is and how dirty its records are.

use event::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The measure of a world. Two equal configurations give equal bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What all draws come from.
    pub seed: u64,
    /// How many customers have an account.
    pub n_customers: u32,
    /// The first day of the history; what is after midnight is cut off.
    pub start: Instant,
    /// How many days of history.
    pub n_days: u32,
    /// How many past campaigns with randomised contacts.
    pub n_campaigns: u32,
    /// The dirt.
    pub faults: Faults,
}

/// Rates of dirt, each per good record.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// The same record delivered again, with the same id.
    pub duplicates: f64,
    /// Recorded days after it happened.
    pub late: f64,
    /// A further record with text where a number belongs.
    pub wrong_type: f64,
    /// A further record without a required field.
    pub missing_field: f64,
    /// A further record with `NaN`, which is not JSON.
    pub not_a_number: f64,
    /// A further record with bytes that are not UTF-8.
    pub bad_encoding: f64,
    /// A further record with a value beyond what can be: a negative total, the year 9999.
    pub out_of_range: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            n_customers: 5_000,
            // 2025-05-01
            start: Instant::from_micros(1_746_057_600_000_000),
            n_days: 549,
            n_campaigns: 12,
            faults: Faults::default(),
        }
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            duplicates: 0.01,
            late: 0.03,
            wrong_type: 0.001,
            missing_field: 0.001,
            not_a_number: 0.0005,
            bad_encoding: 0.0005,
            out_of_range: 0.001,
        }
    }
}

impl Faults {
    /// No dirt at all.
    pub const NONE: Self = Self {
        duplicates: 0.0,
        late: 0.0,
        wrong_type: 0.0,
        missing_field: 0.0,
        not_a_number: 0.0,
        bad_encoding: 0.0,
        out_of_range: 0.0,
    };
}

impl Config {
    /// The instant after the last day of the history.
    pub fn end(&self) -> Instant {
        crate::calendar::Day::of(self.start).at_secs(0) + Span::from_days(i64::from(self.n_days))
    }

    /// Refuses what cannot be made.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |field, found: String, expected| Err(Error::Config { field, found, expected });
        if !(1..=10_000_000).contains(&self.n_customers) {
            return wrong("n_customers", self.n_customers.to_string(), "1 to 10,000,000");
        }
        if !(30..=3_650).contains(&self.n_days) {
            return wrong("n_days", self.n_days.to_string(), "30 to 3,650");
        }
        if self.n_campaigns > self.n_days / 15 {
            return wrong("n_campaigns", self.n_campaigns.to_string(), "at most one in 15 days");
        }
        if self.start < Instant::EARLIEST || self.end() > Instant::END {
            return wrong(
                "start",
                self.start.to_string(),
                "such that the history lies between 1900 and 2200",
            );
        }
        let f = &self.faults;
        for (field, rate) in [
            ("faults.duplicates", f.duplicates),
            ("faults.late", f.late),
            ("faults.wrong_type", f.wrong_type),
            ("faults.missing_field", f.missing_field),
            ("faults.not_a_number", f.not_a_number),
            ("faults.bad_encoding", f.bad_encoding),
            ("faults.out_of_range", f.out_of_range),
        ] {
            if !(0.0..=1.0).contains(&rate) {
                return wrong(field, rate.to_string(), "a rate from 0 to 1");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Config), expected: &str) {
        let mut config = Config::default();
        change(&mut config);
        assert_eq!(config.check().err().map(|error| error.to_string()).unwrap_or_default(), expected);
    }

    #[test]
    fn impossible_worlds_are_refused() {
        check(|_| {}, "");
        let head = "MR7090: the synthetic shop cannot be made: ";
        check(|c| c.n_customers = 0, &format!("{head}n_customers is 0, but must be 1 to 10,000,000"));
        check(|c| c.n_days = 3, &format!("{head}n_days is 3, but must be 30 to 3,650"));
        check(
            |c| c.n_campaigns = 99,
            &format!("{head}n_campaigns is 99, but must be at most one in 15 days"),
        );
        check(
            |c| c.faults.late = f64::NAN,
            &format!("{head}faults.late is NaN, but must be a rate from 0 to 1"),
        );
        check(
            |c| c.start = Instant::END,
            &format!(
                "{head}start is 2200-01-01T00:00:00Z, but must be such that the history lies between 1900 and 2200"
            ),
        );
    }

    #[test]
    fn the_default_history_ends_where_november_2026_begins() {
        assert_eq!(Config::default().end().to_string(), "2026-11-01T00:00:00Z");
    }
}
