//! What came by each source, folded from every record: how many, how they fared, how late, and against which clock.

use std::collections::BTreeMap;

use event::{Instant, Record, Span};
use serde::{Deserialize, Serialize};
use store::{Error, Scope, Stored, Table};

use crate::streams::QUARANTINE;

/// Days that are kept of each source.
const N_DAYS: i32 = 31;
/// The most sources that are told apart; names are the operator's, so there are few. Others count together.
const MOST: usize = 10_000;
/// An event later than its arrival by more than this is from the future.
const AHEAD: Span = Span::from_secs(60);

/// One day of a source, by when its records came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDay {
    /// Records that came.
    pub n_records: u64,
    /// Of them, refused on arrival.
    pub n_refused: u64,
    /// Of the live ones, from the future: they say they happened over a minute after they came.
    pub n_ahead: u64,
    /// Records that came as they happened, not by an import.
    pub n_live: u64,
    /// The shortest time from event to arrival of the live ones, microseconds; negative where it is from the future.
    pub least_lag: Option<i64>,
}

/// What is known of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// Records that came by it.
    pub n_records: u64,
    /// Of them, refused on arrival.
    pub n_refused: u64,
    /// Of those, mended since.
    pub n_mended: u64,
    /// When the first came.
    pub first_at: Option<Instant>,
    /// When the latest came.
    pub last_at: Option<Instant>,
    /// By day since 1970, the latest 31.
    pub days: BTreeMap<i32, SourceDay>,
}

impl SourceState {
    /// Adds what another partition knows.
    pub fn merge(&mut self, other: &SourceState) {
        self.n_records += other.n_records;
        self.n_refused += other.n_refused;
        self.n_mended += other.n_mended;
        self.first_at = self.first_at.into_iter().chain(other.first_at).min();
        self.last_at = self.last_at.max(other.last_at);
        for (day, theirs) in &other.days {
            let ours = self.days.entry(*day).or_default();
            ours.n_records += theirs.n_records;
            ours.n_refused += theirs.n_refused;
            ours.n_ahead += theirs.n_ahead;
            ours.n_live += theirs.n_live;
            ours.least_lag = ours.least_lag.into_iter().chain(theirs.least_lag).min();
        }
        self.forget();
    }

    /// The latest days stay: which ones depends on the latest of all, not on the order in which they came.
    fn forget(&mut self) {
        let (first, last) = (self.days.keys().next().copied(), self.days.keys().next_back().copied());
        if let (Some(first), Some(last)) = (first, last)
            && first <= last - N_DAYS
        {
            self.days.retain(|day, _| *day > last - N_DAYS);
        }
    }

    fn add(&mut self, record: &Record, refused: bool) {
        let at = record.known_at;
        self.n_records += 1;
        self.n_refused += u64::from(refused);
        self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
        self.last_at = self.last_at.max(Some(at));
        let day = self.days.entry(watch::day_of(at)).or_default();
        day.n_records += 1;
        day.n_refused += u64::from(refused);
        if record.batch.is_none() {
            let lag = at - record.occurred_at;
            day.n_live += 1;
            day.n_ahead += u64::from(record.occurred_at - at > AHEAD);
            day.least_lag = Some(day.least_lag.map_or(lag.micros(), |least| least.min(lag.micros())));
        }
        self.forget();
    }
}

/// Sources of one partition.
pub struct Tables {
    sources: Table<String, SourceState>,
}

/// A note that a refused record was mended, as far as it says by what the record came.
#[derive(Deserialize)]
struct Mended {
    #[allow(dead_code, reason = "tells a note from a refused record")]
    mended: event::RecordId,
    #[serde(default)]
    source: Option<String>,
}

impl Tables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self { sources: Table::partial(scope, "sources") }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.sources]
    }

    /// Folds a record, whatever its stream. What follows from other records came by nothing of its own.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn fold(&mut self, record: &Record) -> Result<(), Error> {
        let stream = record.stream.as_str();
        let refused = stream == QUARANTINE;
        if record.cause.is_some() || (stream.starts_with("mr.") && !refused) {
            return Ok(());
        }
        if refused && let Ok(note) = serde_json::from_slice::<Mended>(&record.payload.open) {
            let Some(source) = note.source else { return Ok(()) };
            return self.sources.update(&source, |state| state.n_mended += 1);
        }
        self.sources.update(&watch::source_of(record), |state| state.add(record, refused))
    }

    /// Adds this partition's sources to `into`.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn add_to(&self, into: &mut BTreeMap<String, SourceState>) -> Result<(), Error> {
        self.sources.scan(|name, state| {
            let name =
                if into.len() < MOST || into.contains_key(name) { name.clone() } else { "others".to_owned() };
            into.entry(name).or_default().merge(state);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Payload, RecordId, SourceName, StreamName, Subject, Version};

    fn record(at: i64, lag: i64, refused: bool) -> Record {
        let known_at = Instant::try_from_micros(1_772_000_000_000_000 + at * 1_000_000).unwrap();
        Record {
            id: RecordId::external("x", &at.to_be_bytes()),
            stream: StreamName::new(if refused { QUARANTINE } else { "orders" }),
            contract: Version::new(1, 0, 0),
            subject: Subject::NONE,
            occurred_at: known_at - Span::from_secs(lag),
            known_at,
            batch: None,
            cause: None,
            source: Some(SourceName::new("web")),
            key_epoch: 0,
            payload: Payload { open: b"{}".to_vec().into(), cells: Vec::new() },
        }
    }

    #[test]
    fn any_order_and_any_split_give_the_same() {
        let day = 86_400;
        let all: Vec<Record> =
            (0..200).map(|i| record((i * 7_919) % 60 * day, i - 100, i % 3 == 0)).collect();
        let fold = |records: &mut dyn Iterator<Item = &Record>| {
            let mut state = SourceState::default();
            records.for_each(|r| state.add(r, r.stream.as_str() == QUARANTINE));
            state
        };
        let live = fold(&mut all.iter());
        assert_eq!((live.n_records, live.n_refused, live.days.len()), (200, 67, 31));
        assert!(live.days.values().any(|day| day.n_ahead > 0));
        assert_eq!(fold(&mut all.iter().rev()), live);
        for n in [2, 7] {
            let mut sum = SourceState::default();
            for part in 0..n {
                sum.merge(&fold(&mut all.iter().skip(part).step_by(n)));
            }
            assert_eq!(sum, live, "{n} partitions");
        }
    }
}
