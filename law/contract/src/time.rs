//! Days and times as files write them.
//!
//! A contract says formats in the letters of Java's `DateTimeFormatter` (`dd.MM.yyyy HH:mm`), as ODCS does.

use event::{Instant, ParseInstantError};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

/// A declared format of days or times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeFormat {
    strptime: String,
    pub(crate) written: String,
    has_offset: bool,
    has_clock: bool,
}

impl TimeFormat {
    /// `None` where a letter is none we know.
    pub(crate) fn new(java: &str) -> Option<Self> {
        let mut strptime = String::new();
        let (mut has_offset, mut has_clock) = (false, false);
        let mut rest = java.chars().peekable();
        while let Some(c) = rest.next() {
            if c == '\'' {
                for quoted in rest.by_ref().take_while(|q| *q != '\'') {
                    push_literal(&mut strptime, quoted);
                }
                continue;
            }
            if !c.is_ascii_alphabetic() {
                push_literal(&mut strptime, c);
                continue;
            }
            let mut n = 1;
            while rest.next_if_eq(&c).is_some() {
                n += 1;
            }
            let item = match (c, n) {
                ('y' | 'u', 2) => "%y",
                ('y' | 'u', _) => "%Y",
                ('M', 1 | 2) => "%m",
                ('M', 3) => "%b",
                ('M', 4) => "%B",
                ('d', 1 | 2) => "%d",
                ('H', 1 | 2) => "%H",
                ('h', 1 | 2) => "%I",
                ('m', 1 | 2) => "%M",
                ('s', 1 | 2) => "%S",
                ('a', _) => "%p",
                ('S', _) => "%f",
                ('n', _) => "%f",
                ('Z', 1..=3) => "%z",
                ('Z' | 'X' | 'x', _) => "%:z",
                ('T', 1) => "T",
                _ => return None,
            };
            has_clock |= matches!(c, 'H' | 'h');
            has_offset |= matches!(c, 'Z' | 'X' | 'x');
            strptime.push_str(item);
        }
        if !strptime.contains("%Y") && !strptime.contains("%y") && !has_clock {
            return None;
        }
        Some(Self { strptime, written: java.to_owned(), has_offset, has_clock })
    }

    /// The point in time a text in this format says; `None` where it is not in this format.
    pub(crate) fn read(&self, text: &str, zone: Option<&TimeZone>) -> Option<Instant> {
        let text = text.trim();
        if self.has_offset {
            let micros = jiff::Timestamp::strptime(&self.strptime, text).ok()?.as_microsecond();
            return Some(Instant::from_micros(micros));
        }
        let civil = if self.has_clock {
            DateTime::strptime(&self.strptime, text).ok()?
        } else {
            Date::strptime(&self.strptime, text).ok()?.at(0, 0, 0, 0)
        };
        in_zone(civil, zone)
    }

    /// The wall clock's time that a text in this format says, where the format has no offset.
    pub(crate) fn read_wall(&self, text: &str) -> Option<DateTime> {
        let text = text.trim();
        if self.has_offset {
            return None;
        }
        if self.has_clock {
            return DateTime::strptime(&self.strptime, text).ok();
        }
        Date::strptime(&self.strptime, text).ok().map(|date| date.at(0, 0, 0, 0))
    }

    pub(crate) fn read_date(&self, text: &str) -> Option<Date> {
        let text = text.trim();
        if self.has_clock {
            return DateTime::strptime(&self.strptime, text).ok().map(DateTime::date);
        }
        Date::strptime(&self.strptime, text).ok()
    }

    pub(crate) fn read_time(&self, text: &str) -> Option<jiff::civil::Time> {
        jiff::civil::Time::strptime(&self.strptime, text.trim()).ok()
    }
}

fn push_literal(strptime: &mut String, c: char) {
    if c == '%' {
        strptime.push('%');
    }
    strptime.push(c);
}

/// A wall clock's time in its zone, UTC where none is declared.
pub(crate) fn in_zone(civil: DateTime, zone: Option<&TimeZone>) -> Option<Instant> {
    let utc;
    let zone = match zone {
        Some(zone) => zone,
        None => {
            utc = TimeZone::UTC;
            &utc
        }
    };
    match reading(civil, zone) {
        // The clocks never showed it: whatever instant one took would be invented.
        Reading::Skipped => None,
        Reading::Once | Reading::Twice => {
            zone.to_timestamp(civil).ok().map(|t| Instant::from_micros(t.as_microsecond()))
        }
    }
}

/// How often the clocks of a zone show a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As most times.
    Once,
    /// Never: they went forward over it.
    Skipped,
    /// Twice: they went back. The first of both is taken.
    Twice,
}

/// How often the clocks of a zone show this time.
pub(crate) fn reading(civil: DateTime, zone: &TimeZone) -> Reading {
    match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { .. } => Reading::Once,
        // A day without a clock begins when its clocks begin.
        AmbiguousOffset::Gap { .. } if civil.time() == Time::midnight() => Reading::Once,
        AmbiguousOffset::Gap { .. } => Reading::Skipped,
        AmbiguousOffset::Fold { .. } => Reading::Twice,
    }
}

/// The wall clock's time that a text without offset says, in the declared format or in ISO 8601.
pub(crate) fn wall(text: &str, format: Option<&TimeFormat>) -> Option<DateTime> {
    format.and_then(|format| format.read_wall(text)).or_else(|| civil(text))
}

/// An ISO 8601 time without offset.
pub(crate) fn civil(text: &str) -> Option<DateTime> {
    let text = text.trim();
    if text.len() > 40 || text.parse::<jiff::Timestamp>().is_ok() { None } else { text.parse().ok() }
}

/// The day at the start of an ISO 8601 text, in the years that are accepted.
pub(crate) fn date(text: &str) -> Result<Date, ParseInstantError> {
    let text = text.trim();
    let unreadable = || ParseInstantError::Unreadable { text: text.chars().take(64).collect() };
    if text.len() > 64 || !text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return Err(unreadable());
    }
    let date = match text.parse::<Date>() {
        Ok(date) => date,
        Err(_) => text.parse::<DateTime>().map(DateTime::date).map_err(|_| unreadable())?,
    };
    if !(1900..2200).contains(&date.year()) {
        return Err(ParseInstantError::OutOfRange { text: text.chars().take(64).collect() });
    }
    Ok(date)
}

/// The time of day an ISO 8601 text says, in microseconds since midnight.
pub(crate) fn clock_micros(text: &str) -> Option<i64> {
    if text.len() > 32 {
        return None;
    }
    let time: jiff::civil::Time = text.trim().parse().ok()?;
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Some(seconds * 1_000_000 + i64::from(time.subsec_nanosecond()) / 1_000)
}

/// Microseconds since the epoch at the start of a day, UTC.
pub(crate) fn date_micros(date: Date) -> Option<i64> {
    in_zone(date.at(0, 0, 0, 0), None).map(Instant::micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, text: &str, zone: Option<&str>, expected: Option<&str>) {
        let format = TimeFormat::new(format).unwrap();
        let zone = zone.map(|z| TimeZone::get(z).unwrap());
        let read = format.read(text, zone.as_ref()).map(|i| i.to_string());
        assert_eq!(read.as_deref(), expected, "{format:?} {text}");
    }

    #[test]
    fn reads_the_formats_people_use() {
        check("dd.MM.yyyy", "31.01.2026", None, Some("2026-01-31T00:00:00Z"));
        check("dd.MM.yyyy HH:mm", "31.01.2026 08:05", Some("Europe/Berlin"), Some("2026-01-31T07:05:00Z"));
        check(
            "yyyy-MM-dd HH:mm:ss",
            "2026-07-01 08:05:09",
            Some("Europe/Berlin"),
            Some("2026-07-01T06:05:09Z"),
        );
        check("M/d/yyyy h:mm a", "1/9/2026 3:05 PM", None, Some("2026-01-09T15:05:00Z"));
        check("yyyyMMdd", "19970101", None, Some("1997-01-01T00:00:00Z"));
        check("yyyy-MM-dd'T'HH:mm:ss.SSS", "2026-01-31T00:00:01.250", None, Some("2026-01-31T00:00:01.25Z"));
        check("yyyy-MM-dd HH:mm:ssZ", "2020-01-01 00:00:00+1000", None, Some("2019-12-31T14:00:00Z"));
        check("yyyy-MM-dd HH:mm:ssXXX", "2020-01-01 00:00:00+10:00", None, Some("2019-12-31T14:00:00Z"));
        check("dd.MM.yyyy", "31.02.2026", None, None);
        check("dd.MM.yyyy", "2026-01-31", None, None);
    }

    #[test]
    fn unknown_letters_are_refused() {
        assert!(TimeFormat::new("yyyy-QQ").is_none());
        assert!(TimeFormat::new("MM").is_none());
    }

    #[test]
    fn days_and_clocks() {
        assert_eq!(date("2026-01-31 12:00:00").unwrap().to_string(), "2026-01-31");
        assert!(date("9999-12-31").is_err());
        assert!(date("-0001-01-01").is_err());
        assert_eq!(clock_micros("00:00:01.5"), Some(1_500_000));
        assert_eq!(clock_micros("25:00"), None);
    }
}
