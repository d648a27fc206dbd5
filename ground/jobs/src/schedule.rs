//! A cron schedule in a time zone: the instants at which a job is due.
//!
//! Twice a year local time has a gap or comes twice. A time of day (`30 2 * * *`) is due once on every day it names:
//! in the gap, moved on by the gap's length (02:30 is due at 03:30); in the hour that comes twice, the first time. A
//! rhythm (`*/15 * * * *`, a star in minute or hour) keeps to real time: nothing is due in a gap, and the hour that
//! comes twice is worked twice.

use event::Instant;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};

use crate::error::short;
use crate::{Cron, Error, Job};

/// How many days forward or back a due instant is looked for: beyond the longest pause between two leap days.
const MAX_DAYS: usize = 9 * 366;
/// With [`CatchUp::None`], how late a run may still begin: ticks are not that precise.
const GRACE: event::Span = event::Span::from_secs(300);

/// When a job is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
    zone_name: String,
}

/// What happens to what was due while nobody was there to run it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// The latest of them is run, the others are not.
    #[default]
    Latest,
    /// Each is run, the oldest first.
    All,
    /// None is run.
    None,
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// [`Error::Schedule`], [`Error::Zone`]
    pub fn parse(cron: &str, zone: &str) -> Result<Self, Error> {
        let found = TimeZone::get(zone).map_err(|_| Error::Zone { given: short(zone) })?;
        Ok(Self { cron: cron.parse()?, zone: found, zone_name: zone.to_owned() })
    }

    /// The first due instant after `after`.
    pub fn next_after(&self, after: Instant) -> Option<Instant> {
        // A day earlier: what lies in a gap is moved on, at most by a day.
        let mut date = self.date_of(after)?.yesterday().ok()?;
        for _ in 0..MAX_DAYS {
            if let Some(due) = self.on(date).into_iter().find(|due| *due > after) {
                return Some(due);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The last due instant at or before `until`, and after `after`.
    pub fn last_between(&self, after: Instant, until: Instant) -> Option<Instant> {
        let (first, mut date) = (self.date_of(after)?.yesterday().ok()?, self.date_of(until)?);
        for _ in 0..MAX_DAYS {
            if let Some(due) = self.on(date).into_iter().rev().find(|due| *due <= until) {
                return Some(due).filter(|due| *due > after);
            }
            if date <= first {
                return None;
            }
            date = date.yesterday().ok()?;
        }
        None
    }

    /// What of a job is due now, by what is known of it: one instant, because one scheduled run of a job is open at a
    /// time.
    pub fn due(&self, job: &Job, catch_up: CatchUp, now: Instant) -> Option<Instant> {
        let base = job.last_due.map_or(job.since, |last| last.max(job.since));
        match catch_up {
            CatchUp::All => self.next_after(base).filter(|due| *due <= now),
            CatchUp::Latest => self.last_between(base, now),
            CatchUp::None => self.last_between(base, now).filter(|due| now - *due <= GRACE),
        }
    }

    /// The local date of an instant, `2026-11-24`.
    pub fn local_date(&self, at: Instant) -> String {
        self.date_of(at).map_or_else(String::new, |date| date.to_string())
    }

    /// The due instants of a local date, in order.
    fn on(&self, date: Date) -> Vec<Instant> {
        if !self.cron.names_date(date) {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (hour, minute) in self.cron.times() {
            let local = self.zone.to_ambiguous_timestamp(date.at(hour, minute, 0, 0));
            let found = match (local.offset(), self.cron.is_rhythm()) {
                (AmbiguousOffset::Gap { .. }, true) => [None, None],
                (AmbiguousOffset::Fold { .. }, true) => [local.earlier().ok(), local.later().ok()],
                _ => [local.compatible().ok(), None],
            };
            due.extend(found.into_iter().flatten().map(|at| Instant::from_micros(at.as_microsecond())));
        }
        due.sort();
        due.dedup();
        due
    }

    fn date_of(&self, at: Instant) -> Option<Date> {
        let at = Timestamp::from_microsecond(at.micros()).ok()?;
        Some(self.zone.to_datetime(at).date())
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.cron, self.zone_name)
    }
}
