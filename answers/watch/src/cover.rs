//! When a stream had something fresh enough: the union of the times that its records covered.
//!
//! A record known at *k* that happened at *o* keeps a stream fresh from *k* until *o* plus what is promised; one that
//! comes later than that keeps it fresh never. What no record covers is a time in which the promise was broken, exactly
//! and whatever the order of arrival: a union is the same however it is put together (LAW 2). Kept to the minute, so that
//! a day has at most 1,440 runs.

use std::collections::BTreeMap;

use event::Instant;
use serde::{Deserialize, Serialize};

const MINUTE: i64 = 60_000_000;

/// Covered minutes as runs that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// From a minute (since 1970) up to another one, itself left out.
    runs: BTreeMap<u32, u32>,
}

impl Cover {
    /// Covers the minutes from `from` to `until`, those they lie in included; nothing where `until` is earlier.
    pub fn add(&mut self, from: Instant, until: Instant) {
        if until < from {
            return;
        }
        let first = minute(from.micros().div_euclid(MINUTE));
        let last =
            minute(until.micros().div_euclid(MINUTE) + i64::from(until.micros().rem_euclid(MINUTE) > 0));
        self.union(first, last.max(first + 1));
    }

    fn union(&mut self, mut from: u32, mut until: u32) {
        // The run before may reach into this one; every run that begins within or right behind it becomes part of it.
        if let Some((start, end)) = self.runs.range(..=from).next_back().map(|(start, end)| (*start, *end))
            && end >= from
        {
            if end >= until {
                return;
            }
            from = start;
        }
        let swallowed: Vec<(u32, u32)> =
            self.runs.range(from..=until).map(|(start, end)| (*start, *end)).collect();
        for (start, end) in swallowed {
            until = until.max(end);
            self.runs.remove(&start);
        }
        self.runs.insert(from, until);
    }

    /// Adds what another covers.
    pub fn merge(&mut self, other: &Self) {
        other.runs.iter().for_each(|(from, until)| self.union(*from, *until));
    }

    /// The times from the first covered one up to `now` that nothing covers, the first first.
    pub fn holes(&self, now: Instant) -> Vec<(Instant, Instant)> {
        let mut holes = Vec::new();
        let mut covered: Option<u32> = None;
        for (from, until) in &self.runs {
            if let Some(end) = covered.filter(|end| end < from) {
                holes.push((instant(end), instant(*from).min(now)));
            }
            covered = Some(covered.map_or(*until, |end| end.max(*until)));
        }
        if let Some(end) = covered
            && instant(end) < now
        {
            holes.push((instant(end), now));
        }
        holes.retain(|(from, until)| from < until);
        holes
    }

    /// True where nothing is covered.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

fn minute(n: i64) -> u32 {
    u32::try_from(n.max(0)).unwrap_or(u32::MAX - 1)
}

fn instant(minute: u32) -> Instant {
    Instant::from_micros(i64::from(minute) * MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(minutes: i64) -> Instant {
        Instant::from_micros(minutes * MINUTE)
    }

    proptest! {
        /// LAW 2: order and partitions change nothing, and a minute is covered exactly where one of the records covers it.
        #[test]
        fn a_union_in_any_order_and_any_split(
            runs in prop::collection::vec((0..300_i64, 1..40_i64, 0..3_usize), 0..60), start in 0..3_usize,
        ) {
            let mut whole = Cover::default();
            let mut parts = [Cover::default(), Cover::default(), Cover::default()];
            for (from, n, part) in &runs {
                whole.add(at(*from), at(from + n));
                parts[*part].add(at(*from), at(from + n));
            }
            let mut merged = Cover::default();
            (0..3).for_each(|i| merged.merge(&parts[(start + i) % 3]));
            prop_assert_eq!(&merged, &whole);
            let holes = whole.holes(at(400));
            let first = runs.iter().map(|(from, ..)| *from).min();
            for minute in 0..400_i64 {
                let covered = runs.iter().any(|(from, n, _)| (*from..from + n).contains(&minute));
                let open = holes.iter().any(|(from, until)| *from <= at(minute) && at(minute) < *until);
                prop_assert_eq!(open, !covered && first.is_some_and(|first| first < minute), "{}", minute);
            }
        }
    }

    #[test]
    fn a_record_that_comes_too_late_covers_nothing() {
        let mut cover = Cover::default();
        cover.add(at(10), at(5));
        assert!(cover.is_empty() && cover.holes(at(99)).is_empty());
        cover.add(at(10), at(10));
        assert_eq!(cover.holes(at(20)), [(at(11), at(20))]);
        cover.add(Instant::EARLIEST, at(3));
        assert_eq!(cover.holes(at(5)), [(at(3), at(5))], "minutes of the future are no holes");
    }
}
