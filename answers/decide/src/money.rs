//! Money, exact: no float ever holds an amount that is spent.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::{Serialize, Serializer};

/// An amount in cents of the use case's currency, exact to a ten-thousandth of a cent: an e-mail costs less
/// than one cent, and rounded to whole cents a budget would never see it.
///
/// In JSON it is a number of cents, `12` or `0.04`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Cents(i64);

/// Parts of one cent.
const PARTS: i64 = 10_000;
/// Parts of one unit of currency.
const UNIT: i64 = 100 * PARTS;
/// The largest amount read from outside, in parts: 100 million units. Sums of many stay far from overflow.
const MAX_PARTS: i64 = 100_000_000 * UNIT;

impl Cents {
    /// Nothing.
    pub const ZERO: Cents = Cents(0);

    /// Whole cents.
    pub const fn new(cents: i64) -> Self {
        Self(cents.saturating_mul(PARTS))
    }

    /// Ten-thousandths of a cent.
    pub const fn from_parts(parts: i64) -> Self {
        Self(parts)
    }

    /// Ten-thousandths of a cent.
    pub const fn parts(self) -> i64 {
        self.0
    }

    /// Cents as a float, for comparing expected gains; never for booking.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / PARTS as f64
    }

    /// True for amounts above nothing.
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// An `n`th of it, rounded down; itself for `n` = 0.
    pub fn divided_by(self, n: i64) -> Self {
        Self(self.0.checked_div(n).unwrap_or(self.0))
    }

    /// `n` times as much.
    pub fn times(self, n: i64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// The amount in units of currency, with at least two decimals: `0.12`, `1200.00`, `0.0004`.
    pub fn in_units(self) -> String {
        let (sign, parts) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let unit = UNIT.unsigned_abs();
        let mut decimals = format!("{:06}", parts % unit);
        while decimals.len() > 2 && decimals.ends_with('0') {
            decimals.pop();
        }
        format!("{sign}{}.{decimals}", parts / unit)
    }
}

impl Add for Cents {
    type Output = Cents;
    fn add(self, other: Cents) -> Cents {
        Cents(self.0.saturating_add(other.0))
    }
}

impl Sub for Cents {
    type Output = Cents;
    fn sub(self, other: Cents) -> Cents {
        Cents(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Cents {
    fn add_assign(&mut self, other: Cents) {
        *self = *self + other;
    }
}

impl SubAssign for Cents {
    fn sub_assign(&mut self, other: Cents) {
        *self = *self - other;
    }
}

impl std::iter::Sum for Cents {
    fn sum<I: Iterator<Item = Cents>>(amounts: I) -> Cents {
        amounts.fold(Cents::ZERO, Add::add)
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_units())
    }
}

impl Serialize for Cents {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if !s.is_human_readable() {
            return s.serialize_i64(self.0);
        }
        if self.0 % PARTS == 0 { s.serialize_i64(self.0 / PARTS) } else { s.serialize_f64(self.as_f64()) }
    }
}

impl<'de> Deserialize<'de> for Cents {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if !d.is_human_readable() {
            return i64::deserialize(d).map(Self);
        }
        struct Amount;
        impl Visitor<'_> for Amount {
            type Value = Cents;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of cents")
            }
            fn visit_i64<E: serde::de::Error>(self, cents: i64) -> Result<Cents, E> {
                let parts = cents.checked_mul(PARTS).filter(|p| p.abs() <= MAX_PARTS);
                parts.map(Cents).ok_or_else(|| E::custom(format!("`{cents}` cents are too many")))
            }
            fn visit_u64<E: serde::de::Error>(self, cents: u64) -> Result<Cents, E> {
                i64::try_from(cents)
                    .map_err(|_| E::custom(format!("`{cents}` cents are too many")))
                    .and_then(|cents| self.visit_i64(cents))
            }
            fn visit_f64<E: serde::de::Error>(self, cents: f64) -> Result<Cents, E> {
                let parts = (cents * PARTS as f64).round();
                if parts.abs() <= MAX_PARTS as f64 {
                    Ok(Cents(parts as i64))
                } else {
                    Err(E::custom(format!("`{cents}` is no amount of cents")))
                }
            }
        }
        d.deserialize_any(Amount).map_err(D::Error::custom)
    }
}

/// An amount with its currency, as people write it: `0.12 EUR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Money {
    pub(crate) amount: Cents,
    pub(crate) currency: String,
}

impl std::str::FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{}` is no amount: write it like `0.12 EUR`", crate::finding::short(text));
        let (number, currency) = text.trim().split_once(' ').ok_or_else(bad)?;
        let currency = currency.trim();
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(bad());
        }
        let (units, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str, most: usize| {
            !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit())
        };
        if !digits(units, 9) || !digits(decimals, 6) {
            return Err(bad());
        }
        let units: i64 = units.parse().map_err(|_| bad())?;
        let decimals: i64 = format!("{decimals:0<6}").parse().map_err(|_| bad())?;
        let parts = units * UNIT + decimals;
        if parts > MAX_PARTS {
            return Err(format!(
                "`{}` is more than the 100 million a budget may hold",
                crate::finding::short(text)
            ));
        }
        Ok(Money { amount: Cents(parts), currency: currency.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(text.parse::<Money>().ok().map(|m| m.amount.parts()), expected, "{text}");
    }

    #[test]
    fn reads_what_people_write() {
        check("0.12 EUR", Some(120_000));
        check("12 EUR", Some(12_000_000));
        check("0.0004 EUR", Some(400));
        check("100000000 CHF", Some(MAX_PARTS));
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in [
            "",
            "12",
            "EUR",
            "12 €",
            "12 eur",
            "-1 EUR",
            "1,50 EUR",
            "1.0000001 EUR",
            "1e3 EUR",
            ". EUR",
            "100000001 EUR",
            "٣ EUR",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn shows_units() {
        assert_eq!(Cents::new(12).to_string(), "0.12");
        assert_eq!(Cents::from_parts(400).to_string(), "0.0004");
        assert_eq!(Cents::new(-150_000).to_string(), "-1500.00");
    }

    proptest! {
        #[test]
        fn json_and_bytes_read_back(parts in -MAX_PARTS..=MAX_PARTS) {
            let amount = Cents::from_parts(parts);
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Cents>(&json).unwrap(), amount, "{}", json);
        }
    }
}
