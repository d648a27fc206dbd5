//! What sources of this process are doing now: known here only, and gone with the process.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant as Moment};

use event::{SourceName, Span};
use parking_lot::Mutex;

/// Differences of clocks that are remembered of each source; an odd number, so that one lies in the middle.
const N_CLOCKS: usize = 63;
/// Seconds of its mean that a source may use at once.
const BURST: f64 = 10.0;
/// How long a flood is told.
const TOLD: Duration = Duration::from_secs(600);

/// A file's size and time of change.
pub(super) type State = (u64, std::time::SystemTime);
/// A code and what is wrong.
pub(super) type Wrong = (&'static str, String);

/// How a source is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveSource {
    /// How far its clock is ahead of ours (behind where negative): the middle of the latest requests that said when they
    /// were sent. Their times are corrected by it.
    pub clock_ahead: Option<Span>,
    /// Records that were sent back in the last minutes because it brought too many at once.
    pub n_flooded: u64,
    /// What went wrong last, with its code, while it is not mended.
    pub error: Option<Wrong>,
}

/// The sources of this process.
#[derive(Default)]
pub(crate) struct Desk(Mutex<BTreeMap<SourceName, Seat>>);

#[derive(Default)]
struct Seat {
    clocks: VecDeque<Span>,
    tokens: Option<(f64, Moment)>,
    flooded_at: Option<Moment>,
    n_flooded: u64,
    error: Option<Wrong>,
    /// Files of a folder that were looked at, as they were then, and what was wrong with them.
    files: BTreeMap<String, (State, Option<Wrong>)>,
}

impl Desk {
    fn at<R>(&self, source: &SourceName, work: impl FnOnce(&mut Seat) -> R) -> R {
        work(self.0.lock().entry(source.clone()).or_default())
    }

    /// Notes that a request was sent at this difference from our time.
    pub(crate) fn clock(&self, source: &SourceName, ahead: Span) {
        self.at(source, |seat| {
            if seat.clocks.len() >= N_CLOCKS {
                seat.clocks.pop_front();
            }
            seat.clocks.push_back(ahead);
        });
    }

    /// Takes `n` records of a source that may bring `per_second`, or says how long it has to wait. More than fits at once
    /// is taken where nothing came before: a delivery larger than the burst would wait for ever.
    pub(crate) fn take(
        &self,
        source: &SourceName,
        n: usize,
        per_second: u32,
        now: Moment,
    ) -> Result<(), Duration> {
        if per_second == 0 {
            return Ok(());
        }
        let (mean, n_records) = (f64::from(per_second), n as f64);
        self.at(source, |seat| {
            let burst = mean * BURST;
            let (tokens, filled) = seat.tokens.unwrap_or((burst, now));
            let passed = now.saturating_duration_since(filled).as_secs_f64();
            let tokens = (tokens + passed * mean).min(burst);
            let needed = n_records.min(burst);
            if tokens < needed {
                seat.tokens = Some((tokens, now.max(filled)));
                if !seat.is_flooding(now) {
                    seat.n_flooded = 0;
                }
                seat.n_flooded += n as u64;
                seat.flooded_at = Some(now);
                return Err(Duration::from_secs_f64((needed - tokens) / mean));
            }
            seat.tokens = Some((tokens - n_records, now.max(filled)));
            Ok(())
        })
    }

    /// Notes what went wrong, or that it goes well.
    pub(super) fn is(&self, source: &SourceName, error: Option<Wrong>) {
        self.at(source, |seat| seat.error = error);
    }

    /// True where this file was looked at as it is.
    pub(super) fn knows_file(&self, source: &SourceName, name: &str, state: State) -> bool {
        self.at(source, |seat| seat.files.get(name).is_some_and(|(known, _)| *known == state))
    }

    /// Notes that a file was looked at as it is, and what was wrong with it.
    pub(super) fn file_done(&self, source: &SourceName, name: &str, state: State, wrong: Option<Wrong>) {
        self.at(source, |seat| seat.files.insert(name.to_owned(), (state, wrong)));
    }

    /// Forgets files that are gone.
    pub(super) fn keep_files(&self, source: &SourceName, there: impl Fn(&str) -> bool) {
        self.at(source, |seat| seat.files.retain(|name, _| there(name)));
    }

    /// How every source is that did something in this process.
    pub(crate) fn live(&self) -> BTreeMap<String, LiveSource> {
        let all = self.0.lock();
        let now = Moment::now();
        all.iter().map(|(name, seat)| (name.as_str().to_owned(), seat.live(now))).collect()
    }
}

impl Seat {
    fn is_flooding(&self, now: Moment) -> bool {
        self.flooded_at.is_some_and(|at| now.saturating_duration_since(at) < TOLD)
    }

    fn live(&self, now: Moment) -> LiveSource {
        let mut clocks: Vec<Span> = self.clocks.iter().copied().collect();
        clocks.sort_unstable();
        LiveSource {
            clock_ahead: clocks.get(clocks.len() / 2).copied(),
            n_flooded: if self.is_flooding(now) { self.n_flooded } else { 0 },
            error: self
                .error
                .as_ref()
                .or_else(|| self.files.values().find_map(|(_, wrong)| wrong.as_ref()))
                .cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_held_to_its_mean_and_others_are_not() {
        let (desk, web, shop) = (Desk::default(), SourceName::new("web"), SourceName::new("shop"));
        let start = Moment::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut n_taken = 0;
        for ms in 0..60_000 {
            n_taken += if desk.take(&web, 100, 500, at(ms)).is_ok() { 100 } else { 0 };
        }
        assert!((500 * 60..=500 * 60 + 5_000).contains(&n_taken), "{n_taken}");
        assert!(desk.take(&shop, 100, 500, at(60_000)).is_ok());
        assert!(desk.live()["web"].n_flooded > 1_000_000);
        assert_eq!(desk.live()["shop"].n_flooded, 0);
    }

    #[test]
    fn a_delivery_larger_than_the_burst_is_taken_and_paid_for() {
        let (desk, web) = (Desk::default(), SourceName::new("web"));
        let start = Moment::now();
        assert!(desk.take(&web, 2_500, 10, start).is_ok());
        let wait = desk.take(&web, 1, 10, start).unwrap_err();
        assert!(wait > Duration::from_secs(200), "{wait:?}");
        assert!(desk.take(&web, 1, 10, start + wait + Duration::from_millis(1)).is_ok());
    }

    #[test]
    fn one_late_request_is_no_wrong_clock() {
        let (desk, web) = (Desk::default(), SourceName::new("web"));
        for seconds in [3_600, 3_601, 0, 3_599, -86_400] {
            desk.clock(&web, Span::from_secs(seconds));
        }
        assert_eq!(desk.live()["web"].clock_ahead, Some(Span::from_secs(3_599)));
    }
}
