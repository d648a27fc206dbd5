//! Sources: what records come by, and how each of them is.
//!
//! A source is an API key, a webhook, a watched folder, a capture, or files imported by hand; each record says which
//! ([`event::Record::source`]). What is known of it is folded ([`ledger`]); what is expected stands in
//! `[sources.NAME]` ([`settings`]); what goes on right now is known to the process only ([`desk`]).

mod desk;
mod folder;
mod ledger;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use event::{Instant, SourceName, Span};
use intake::Arrival;
use intake::webhook::Headers;

pub(crate) use desk::Desk;
pub use desk::LiveSource;
pub use folder::LookedAt;
pub(crate) use ledger::Tables;
pub use ledger::{SourceDay, SourceState};
pub(crate) use settings::check;
pub use settings::{SourceKind, SourceSettings};

use crate::Error;
use crate::house::House;
use crate::tracking::Done;

/// MR2052, explained in docs/errors/MR2052.md: `[sources.NAME]` does not fit.
pub(crate) const SETTINGS: &str = "MR2052";

/// A clock that is off by more than this is wrong.
const WRONG_CLOCK: Span = Span::from_secs(60);
/// Live records of a day from which on their times tell something of a clock.
const ENOUGH: u64 = 20;

/// How a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceView {
    /// Its name.
    pub name: String,
    /// `key`, `webhook`, `folder`, `capture`, `import`, or `unnamed` for what came before sources had names.
    pub kind: &'static str,
    /// What came by it; `None` where nothing did.
    pub state: Option<SourceState>,
    /// What it does now.
    pub live: LiveSource,
    /// What is wrong with it: code and words. Nothing where it is well.
    pub wrong: Vec<(&'static str, String)>,
}

impl House {
    /// Every source that is in the settings or brought something, by name.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn sources(&self) -> Result<Vec<SourceView>, Error> {
        let mut states = BTreeMap::new();
        self.in_each_partition(|rooms| rooms.sources.add_to(&mut states))?;
        let mut live = self.source_desk.live();
        let settings = self.settings();
        let named = settings.sources.keys().chain(settings.captures.keys());
        let names: BTreeSet<String> = states.keys().chain(live.keys()).chain(named).cloned().collect();
        let now = self.now();
        let view = |name: String| {
            let (state, live) = (states.remove(&name), live.remove(&name).unwrap_or_default());
            let source = settings.sources.get(&name);
            let kind = match (source, name.as_str()) {
                (Some(source), _) => source.kind.as_str(),
                (None, _) if settings.captures.contains_key(&name) => "capture",
                (None, "import") => "import",
                (None, "unnamed" | "others") => "unnamed",
                (None, _) => "key",
            };
            let wrong = wrong(source, state.as_ref(), &live, now);
            SourceView { name, kind, state, live, wrong }
        };
        Ok(names.into_iter().map(view).collect())
    }

    /// Takes what another system posted to the webhook `name`: checked for its signature, then cut into documents. `done`
    /// is called exactly once, as with [`House::track_by`].
    pub fn hook(self: &Arc<Self>, name: &str, headers: Headers<'_>, body: &[u8], done: Done) {
        let flight = self.clock().arrive();
        let by = SourceName::new(name);
        let arrival = Arrival { received_at: flight.known_at(), batch: None, source: Some(by) };
        let read = || {
            let source = self.source_settings(name, SourceKind::Webhook)?;
            let signed = source.signed(name, &self.project().dir)?;
            // By the machine's clock, which is the one that the sender's clock should agree with.
            signed.check(headers, body, Instant::now()).map_err(|refusal| Error::Unsigned { refusal })?;
            source.hook().read(headers, body).map_err(|refusal| intake::Error::Refused(refusal).into())
        };
        match read() {
            Ok(items) => self.take(items, &arrival, flight, done),
            Err(error) => done(Err(error)),
        }
    }

    /// Lets `n` records of a source in, if it may bring so many.
    pub(crate) fn admit(&self, source: Option<&SourceName>, n: usize) -> Result<(), Error> {
        let Some(source) = source else { return Ok(()) };
        let per_second = self.settings().sources.get(source.as_str()).map_or(0, |s| s.records_per_second);
        let taken = self.source_desk.take(source, n, per_second, std::time::Instant::now());
        taken.map_err(|wait| Error::Flooding { name: source.to_string(), per_second, wait })
    }

    /// What the settings say of the source `name`, which must be of `kind`.
    pub(crate) fn source_settings(&self, name: &str, kind: SourceKind) -> Result<&SourceSettings, Error> {
        let sources = &self.settings().sources;
        sources.get(name).filter(|source| source.kind == kind).ok_or_else(|| Error::UnknownSource {
            kind: kind.as_str(),
            name: name.chars().take(64).collect(),
            known: sources.iter().filter(|(_, s)| s.kind == kind).map(|(name, _)| name.clone()).collect(),
        })
    }

    /// The names of the folders that the server watches, and how long it waits between two looks.
    pub fn watched_folders(&self) -> Vec<(String, Duration)> {
        let folders = self.settings().sources.iter().filter(|(_, s)| s.kind == SourceKind::Folder && s.serve);
        folders.map(|(name, s)| (name.clone(), Duration::from_secs(s.every_seconds.max(1)))).collect()
    }
}

fn wrong(
    source: Option<&SourceSettings>,
    state: Option<&SourceState>,
    live: &LiveSource,
    now: Instant,
) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    wrong.extend(live.error.clone());
    if let Some(source) = source.filter(|source| source.silent_after_seconds > 0) {
        let after =
            Span::from_secs(i64::try_from(source.silent_after_seconds).unwrap_or(i64::MAX / 2_000_000));
        match state.and_then(|state| state.last_at) {
            Some(last) if now - last > after => {
                wrong.push(("MR2053", format!("silent since {last}; it is expected to speak every {after}")));
            }
            Some(_) => {}
            None => wrong.push(("MR2053", "it never brought anything".to_owned())),
        }
    }
    if live.n_flooded > 0 {
        let per_second = source.map_or(0, |source| source.records_per_second);
        let n = live.n_flooded;
        wrong.push((
            "MR2054",
            format!(
                "it brought more than its {per_second} records per second; {n} were sent back to come later"
            ),
        ));
    }
    let last_day = state.and_then(|state| state.days.values().next_back());
    match live.clock_ahead.filter(|ahead| ahead.micros().abs() > WRONG_CLOCK.micros()) {
        Some(ahead) if ahead > Span::ZERO => {
            wrong.push((
                "MR2055",
                format!(
                    "its clock is {} ahead; times that it sends with `sentAt` are corrected",
                    rounded(ahead)
                ),
            ));
        }
        Some(ahead) => {
            let behind = rounded(Span::from_micros(-ahead.micros()));
            wrong.push((
                "MR2055",
                format!("its clock is {behind} behind; times that it sends with `sentAt` are corrected"),
            ));
        }
        None => {
            if let Some(day) = last_day.filter(|day| day.n_ahead >= ENOUGH && day.n_ahead * 2 > day.n_live) {
                let ahead = rounded(Span::from_micros(day.least_lag.unwrap_or_default().saturating_neg()));
                let message = format!(
                    "{} of the {} records of its latest day happened after they came, by up to {ahead}: its clock is ahead",
                    day.n_ahead, day.n_live
                );
                wrong.push(("MR2055", message));
            }
        }
    }
    // A day without a live record is one of imports: what they took counts on the days it was known, so that only their
    // refusals would be left to judge by; they say them themselves.
    let has_live = |day: &&SourceDay| day.n_live > 0;
    let is_much = |day: &&SourceDay| day.n_refused >= ENOUGH && day.n_refused * 10 > day.n_records;
    if let Some(day) = last_day.filter(has_live).filter(is_much) {
        let message =
            format!("{} of the {} records of its latest day were refused", day.n_refused, day.n_records);
        wrong.push(("MR2056", message));
    }
    wrong
}

/// As exact as one says it: to the hour beyond two days, to the minute beyond two hours, else to the second.
fn rounded(span: Span) -> Span {
    const SECOND: i64 = 1_000_000;
    let unit = match span.micros() / SECOND {
        172_800.. => 3_600 * SECOND,
        7_200.. => 60 * SECOND,
        _ => SECOND,
    };
    Span::from_micros(span.micros() / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(settings: &str, state: Option<SourceState>, live: &LiveSource) -> Vec<&'static str> {
        let source: SourceSettings = toml::from_str(&format!("kind = \"key\"\n{settings}")).unwrap();
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        wrong(Some(&source), state.as_ref(), live, now).into_iter().map(|(code, _)| code).collect()
    }

    fn state(day: SourceDay) -> Option<SourceState> {
        let last_at = Some("2026-03-01T11:00:00Z".parse().unwrap());
        Some(SourceState { last_at, days: BTreeMap::from([(0, day)]), ..SourceState::default() })
    }

    #[test]
    fn what_is_wrong_has_a_code_and_what_is_well_has_none() {
        let well = LiveSource::default();
        let day = SourceDay { n_records: 100, n_live: 100, ..SourceDay::default() };
        assert!(codes("silent_after_seconds = 7200", state(day), &well).is_empty());
        assert_eq!(codes("silent_after_seconds = 3000", state(day), &well), ["MR2053"]);
        assert_eq!(codes("silent_after_seconds = 3000", None, &well), ["MR2053"]);
        assert!(codes("", None, &well).is_empty());
        let flooded = LiveSource { n_flooded: 5, ..well.clone() };
        assert_eq!(codes("records_per_second = 5", state(day), &flooded), ["MR2054"]);
        for seconds in [-61, 61] {
            let skewed = LiveSource { clock_ahead: Some(Span::from_secs(seconds)), ..well.clone() };
            assert_eq!(codes("", state(day), &skewed), ["MR2055"]);
        }
        let right = LiveSource { clock_ahead: Some(Span::from_secs(59)), ..well.clone() };
        assert!(codes("", state(day), &right).is_empty());
        let ahead = SourceDay { n_ahead: 60, least_lag: Some(-3_600_000_000), ..day };
        assert_eq!(codes("", state(ahead), &well), ["MR2055"]);
        assert_eq!(codes("", state(SourceDay { n_refused: 20, ..day }), &well), ["MR2056"]);
        assert!(codes("", state(SourceDay { n_refused: 10, ..day }), &well).is_empty());
        let imported = SourceDay { n_refused: 20, n_records: 20, n_live: 0, ..day };
        assert!(codes("", state(imported), &well).is_empty());
    }

    #[test]
    fn a_clock_is_wrong_by_what_one_can_read() {
        for (micros, said) in [
            (61_000_123, "61s"),
            (7_200_000_000, "2h"),
            (7_261_500_000, "121m"),
            (2_052_685_717_430, "570h"),
            (40 * 86_400_000_000, "40d"),
        ] {
            assert_eq!(rounded(Span::from_micros(micros)).to_string(), said);
        }
    }
}
