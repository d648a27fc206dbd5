//! The five fields of crontab(5): minute, hour, day of the month, month, day of the week.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use crate::Error;
use crate::error::short;

/// Which local minutes a schedule names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Day of the month or of the week begins with `*`: both must hold. Otherwise one is enough, as in crontab(5).
    both_days: bool,
    /// Minute or hour begins with `*`: the schedule means a rhythm, not a time of day.
    is_rhythm: bool,
}

struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: [Field; 5] = [
    Field { name: "minute", low: 0, high: 59, names: &[] },
    Field { name: "hour", low: 0, high: 23, names: &[] },
    Field { name: "day of the month", low: 1, high: 31, names: &[] },
    Field { name: "month", low: 1, high: 12, names: &MONTHS },
    Field { name: "day of the week", low: 0, high: 7, names: &WEEKDAYS },
];
const NICKNAMES: [(&str, &str); 6] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];
/// Leap days are at most eight years apart (around 1900, 2100 and 2200), so any date that exists comes within these.
const YEARS_TO_LOOK: i16 = 8;

impl Cron {
    /// True where the date is one of the schedule's.
    pub fn names_date(&self, date: Date) -> bool {
        let weekday = u32::try_from(date.weekday().to_sunday_zero_offset()).unwrap_or(0);
        let of_month = has(self.days, u32::try_from(date.day()).unwrap_or(0));
        let of_week = has(self.weekdays, weekday);
        let by_day = if self.both_days { of_month && of_week } else { of_month || of_week };
        by_day && has(self.months, u32::try_from(date.month()).unwrap_or(0))
    }

    /// The hours and minutes of a day that the schedule names, in order.
    pub fn times(&self) -> impl Iterator<Item = (i8, i8)> + '_ {
        let hours = (0..24_i8).filter(|hour| has(self.hours, u32::try_from(*hour).unwrap_or(0)));
        hours.flat_map(|hour| {
            let minutes = (0..60_i8).filter(|minute| has(self.minutes, u32::try_from(*minute).unwrap_or(0)));
            minutes.map(move |minute| (hour, minute))
        })
    }

    /// True where the schedule means a rhythm (`*/15 * * * *`), not a time of day (`30 3 * * *`).
    pub fn is_rhythm(&self) -> bool {
        self.is_rhythm
    }

    /// True where there is a date it names.
    fn ever(&self) -> bool {
        let leap = Date::constant(2096, 1, 1);
        let dates = leap.series(jiff::Span::new().days(1));
        dates
            .take_while(|date| date.year() < leap.year() + YEARS_TO_LOOK + 1)
            .any(|date| self.names_date(date))
    }
}

impl FromStr for Cron {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Schedule { given: short(text), reason };
        let trimmed = text.trim();
        let spelt = match trimmed.strip_prefix('@') {
            None => trimmed,
            Some(_) => {
                let known = NICKNAMES.iter().find(|(nickname, _)| *nickname == trimmed);
                let names = || NICKNAMES.map(|(nickname, _)| nickname).join(", ");
                known
                    .map(|(_, spelt)| *spelt)
                    .ok_or_else(|| wrong(format!("known short forms: {}", names())))?
            }
        };
        let parts: Vec<&str> = spelt.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts.as_slice() else {
            return Err(wrong(format!(
                "five fields are expected (minute, hour, day of the month, month, day of the week), not {}",
                parts.len()
            )));
        };
        let mut masks = [0_u64; 5];
        for ((mask, field), part) in masks.iter_mut().zip(&FIELDS).zip(&parts) {
            *mask = field.read(part).map_err(wrong)?;
        }
        let [minutes, hours, days, months, weekdays] = masks;
        // 7 is Sunday too.
        let weekdays = (weekdays | (weekdays >> 7)) & 0x7f;
        let star = |part: &str| part.starts_with('*');
        let cron = Self {
            text: spelt.split_whitespace().collect::<Vec<_>>().join(" "),
            minutes,
            hours,
            days,
            months,
            weekdays,
            both_days: star(day) || star(weekday),
            is_rhythm: star(minute) || star(hour),
        };
        if !cron.ever() {
            return Err(wrong(format!("there is no day {day} of month {month}")));
        }
        Ok(cron)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Field {
    fn read(&self, part: &str) -> Result<u64, String> {
        let mut mask = 0_u64;
        for item in part.split(',') {
            let (range, step) = match item.split_once('/') {
                None => (item, None),
                Some((range, step)) => {
                    let step = step.parse::<u32>().ok().filter(|step| *step > 0 && *step <= self.high);
                    let step =
                        step.ok_or_else(|| format!("`{item}` of the {}: no step after `/`", self.name))?;
                    (range, Some(step))
                }
            };
            let (low, high) = match range.split_once('-') {
                _ if range == "*" => (self.low, self.high),
                Some((low, high)) => (self.value(low, item)?, self.value(high, item)?),
                None => {
                    let low = self.value(range, item)?;
                    (low, if step.is_some() { self.high } else { low })
                }
            };
            if low > high {
                return Err(format!("`{item}` of the {} runs backwards", self.name));
            }
            let step = usize::try_from(step.unwrap_or(1)).unwrap_or(1);
            for value in (low..=high).step_by(step) {
                mask |= 1 << value;
            }
        }
        Ok(mask)
    }

    fn value(&self, text: &str, item: &str) -> Result<u32, String> {
        let lower = text.to_ascii_lowercase();
        if let Some(at) = self.names.iter().position(|name| *name == lower) {
            return Ok(u32::try_from(at).unwrap_or(0) + self.low);
        }
        let number = if text.bytes().all(|b| b.is_ascii_digit()) { text.parse::<u32>().ok() } else { None };
        number.filter(|number| (self.low..=self.high).contains(number)).ok_or_else(|| {
            let names = match self.names {
                [first, .., last] => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            format!("`{item}` of the {} is not {} to {}{names}", self.name, self.low, self.high)
        })
    }
}

fn has(mask: u64, bit: u32) -> bool {
    mask.checked_shr(bit).is_some_and(|rest| rest & 1 == 1)
}
