//! Places in PostgreSQL's write-ahead log.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place in a database's write-ahead log; later is larger. Written as PostgreSQL does: `0/16B3748`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

/// A text that is no place in a log.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is no place in PostgreSQL's log: two hexadecimal numbers are expected, like `0/16B3748`")]
pub struct ParseLsnError {
    text: String,
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, ParseLsnError> {
        let bad = || ParseLsnError { text: text.chars().take(64).collect() };
        let half = |half: &str| {
            let digits = !half.is_empty() && half.bytes().all(|b| b.is_ascii_hexdigit());
            u32::from_str_radix(half, 16).ok().filter(|_| digits).ok_or_else(bad)
        };
        let (high, low) = text.split_once('/').ok_or_else(bad)?;
        Ok(Self(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { self.0.serialize(s) }
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
        } else {
            u64::deserialize(d).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_prints() {
        for n in [0, 1, 0x16B_3748, u64::MAX, 1 << 32] {
            assert_eq!(Lsn(n).to_string().parse(), Ok(Lsn(n)));
        }
        assert_eq!("16/B374D848".parse(), Ok(Lsn(0x16_B374_D848)));
        for text in ["", "1", "/", "1/", "x/1", "+1/1", "1/123456789"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }
}
