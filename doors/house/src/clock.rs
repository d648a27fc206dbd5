//! The house's clock, and the line before which everything is known.
//!
//! A record's `known_at` is stamped when it arrives, but it shows in the tables only once it is durable and folded.
//! A decision made in between must not claim to have been made after the record was known, or training would
//! later see what serving could not (LAW 5). So every arrival takes its stamp here as a [`Flight`] that lasts until
//! the record is folded, and whoever reads asks for [`Clock::settled`]: the latest instant such that everything
//! known by then is folded. Both are taken under one lock and never run backwards, whatever the machine's clock
//! does.

use std::collections::BTreeMap;
use std::sync::Arc;

use event::{Instant, Span};
use parking_lot::Mutex;

/// Tells the time. Doors ask it; folds and methods are told. Clones share one line.
#[derive(Clone, Debug)]
pub struct Clock {
    behind: Span,
    line: Arc<Mutex<Line>>,
}

#[derive(Debug, Default)]
struct Line {
    last: Instant,
    next_flight: u64,
    flights: BTreeMap<u64, Instant>,
}

/// A stamp given to records that are not folded yet. Dropping it says that they are, or never will be.
#[derive(Debug)]
pub struct Flight {
    known_at: Instant,
    number: u64,
    line: Arc<Mutex<Line>>,
}

const TICK: Span = Span::from_micros(1);

impl Clock {
    /// The machine's time.
    pub fn system() -> Self {
        Self { behind: Span::ZERO, line: Arc::default() }
    }

    /// A clock that shows `start` now and runs on from there, to work on data of the past.
    pub fn starting_at(start: Instant) -> Self {
        Self { behind: Instant::now() - start, line: Arc::default() }
    }

    /// Never shows an instant before `floor` again: what the journal knows already.
    pub fn not_before(&self, floor: Instant) {
        let mut line = self.line.lock();
        line.last = line.last.max(floor);
    }

    /// How far the machine's clock is behind what was already stamped; zero where it is not.
    pub fn set_back(&self) -> Span {
        let now = Instant::now() - self.behind;
        (self.line.lock().last - now).max(Span::ZERO)
    }

    /// The time, later than every instant told before.
    pub fn now(&self) -> Instant {
        self.tick(&mut self.line.lock())
    }

    /// Stamps records that arrive now.
    pub fn arrive(&self) -> Flight {
        let mut line = self.line.lock();
        let known_at = self.tick(&mut line);
        let number = line.next_flight;
        line.next_flight += 1;
        line.flights.insert(number, known_at);
        Flight { known_at, number, line: self.line.clone() }
    }

    /// The latest instant such that everything known by then is folded.
    pub fn settled(&self) -> Instant {
        let mut line = self.line.lock();
        let now = self.tick(&mut line);
        // Stamps grow with their numbers: the first flight is the earliest.
        line.flights.first_key_value().map_or(now, |(_, known_at)| *known_at - TICK)
    }

    /// How long the earliest arrival that is not folded yet has been waiting.
    pub fn lag(&self) -> Span {
        let now = Instant::now() - self.behind;
        let line = self.line.lock();
        line.flights.first_key_value().map_or(Span::ZERO, |(_, known_at)| (now - *known_at).max(Span::ZERO))
    }

    fn tick(&self, line: &mut Line) -> Instant {
        line.last = (Instant::now() - self.behind).max(line.last + TICK);
        line.last
    }
}

impl Flight {
    /// The stamp.
    pub fn known_at(&self) -> Instant {
        self.known_at
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.line.lock().flights.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_clock_starts_where_it_is_told_and_runs_on() {
        let start: Instant = "2017-10-30".parse().unwrap();
        let clock = Clock::starting_at(start);
        let now = clock.now();
        assert!(now >= start && now - start < Span::from_secs(60));
        assert!(clock.now() > now);
    }

    #[test]
    fn what_is_in_flight_holds_the_line() {
        let clock = Clock::system();
        let first = clock.arrive();
        let second = clock.arrive();
        assert!(clock.settled() < first.known_at());
        assert!(clock.lag() > Span::ZERO);
        drop(second);
        assert!(clock.settled() < first.known_at(), "the earliest counts, whatever lands first");
        let stamp = first.known_at();
        drop(first);
        let settled = clock.settled();
        assert!(settled > stamp && clock.lag() == Span::ZERO);
        assert!(clock.arrive().known_at() > settled, "nothing can become known before a line already told");
    }

    #[test]
    fn a_clock_set_back_does_not_run_backwards() {
        let clock = Clock::system();
        let future = Instant::now() + Span::from_days(1);
        clock.not_before(future);
        assert!(clock.now() > future);
        assert!(clock.set_back() > Span::from_secs(80_000));
        assert_eq!(Clock::system().set_back(), Span::ZERO);
    }
}
