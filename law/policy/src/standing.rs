//! How a subject stands: the latest yes and the latest no on each purpose and channel, and what stands over all of them.
//!
//! Every part is the maximum of something by (when it was said, record id), so the order of arrival changes nothing
//! (LAW 2): late, repeated and out-of-order records give the same standing.

use contract::LegalBasis;
use event::{Instant, Record, RecordId};
use serde::{Deserialize, Serialize};

use crate::entry::{Act, Asked, ConsentGiven, Entry, Ordered, SoftOptIn, Status};

/// A word of a subject on one purpose and channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The purpose.
    pub purpose: String,
    /// What was said last.
    pub status: Status,
    /// The version of the wording that was shown.
    pub notice_version: String,
    /// Where it was said.
    pub source: String,
    /// When it was said.
    pub at: Instant,
    /// The record that says so.
    pub record: RecordId,
    /// The channel; empty: the purpose as a whole.
    pub channel: String,
    /// The legal basis it was recorded under, where that was said.
    pub basis: Option<LegalBasis>,
    /// Hexadecimal SHA-256 of the wording.
    pub notice_hash: String,
    /// The language it was shown in.
    pub locale: String,
    /// From when on a yes counts.
    pub valid_from: Option<Instant>,
    /// From when on it counts no longer.
    pub valid_until: Option<Instant>,
    /// When it was confirmed.
    pub confirmed_at: Option<Instant>,
}

impl Consent {
    fn new(given: ConsentGiven, at: Instant, record: RecordId) -> Self {
        Self {
            purpose: given.purpose,
            status: given.status,
            notice_version: given.notice_version,
            source: given.source,
            at,
            record,
            channel: given.channel,
            basis: given.basis,
            notice_hash: given.notice_hash,
            locale: given.locale,
            valid_from: given.valid_from,
            valid_until: given.valid_until,
            confirmed_at: given.confirmed_at,
        }
    }

    /// By which of two the later one is found: when it was said, then the record id.
    pub(crate) fn key(&self) -> (Instant, RecordId) {
        (self.at, self.record)
    }
}

/// The latest yes and the latest no on one purpose and channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Words {
    pub(crate) purpose: String,
    pub(crate) channel: String,
    pub(crate) granted: Option<Consent>,
    pub(crate) refused: Option<Consent>,
}

impl Words {
    fn latest(&self) -> Option<&Consent> {
        self.granted.iter().chain(&self.refused).max_by_key(|consent| consent.key())
    }
}

/// A mark over a subject as a whole: restriction or objection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Whether it stands.
    pub(crate) stands: bool,
    /// Since when.
    pub at: Instant,
    /// The record that says so.
    pub record: RecordId,
    /// Who ordered it, and why.
    pub ordered: Ordered,
}

/// What was asked of a subject and is to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) asked: Asked,
    pub(crate) at: Instant,
    pub(crate) record: RecordId,
}

/// Facts for advertising without consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) facts: SoftOptIn,
    pub(crate) at: Instant,
    pub(crate) record: RecordId,
}

/// How a subject stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    epoch: u64,
    /// Sorted by purpose and channel.
    words: Vec<Words>,
    /// Sorted by purpose and channel.
    asked: Vec<Open>,
    /// Sorted by purpose and channel.
    facts: Vec<Facts>,
    restriction: Option<Mark>,
    objection: Option<Mark>,
}

impl Standing {
    /// Grows with every consent record of the subject: equal epochs, equal standing.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The latest word on `purpose` as a whole; `None` where nothing was ever said of it.
    pub fn on(&self, purpose: &str) -> Option<&Consent> {
        self.on_channel(purpose, "")
    }

    /// The latest word on `purpose` that names this channel; the empty channel is the purpose as a whole.
    pub fn on_channel(&self, purpose: &str, channel: &str) -> Option<&Consent> {
        self.words(purpose, channel)?.latest()
    }

    /// The latest word on each purpose and channel, in their order.
    pub fn consents(&self) -> impl Iterator<Item = &Consent> {
        self.words.iter().filter_map(Words::latest)
    }

    /// The restriction that stands (Art. 18).
    pub fn restricted(&self) -> Option<&Mark> {
        self.restriction.as_ref().filter(|mark| mark.stands)
    }

    /// The objection to direct marketing that stands (Art. 21).
    pub fn objected(&self) -> Option<&Mark> {
        self.objection.as_ref().filter(|mark| mark.stands)
    }

    /// The facts of UWG § 7(3) recorded for a purpose and channel, complete or not.
    pub fn soft_opt_in(&self, purpose: &str, channel: &str) -> Option<&SoftOptIn> {
        let at = find(&self.facts, purpose, channel, |row| (&row.facts.purpose, &row.facts.channel)).ok()?;
        self.facts.get(at).map(|row| &row.facts)
    }

    pub(crate) fn words(&self, purpose: &str, channel: &str) -> Option<&Words> {
        let at = find(&self.words, purpose, channel, |words| (&words.purpose, &words.channel)).ok()?;
        self.words.get(at)
    }

    /// All words on a purpose, by channel.
    pub(crate) fn words_on<'s, 'p>(
        &'s self,
        purpose: &'p str,
    ) -> impl Iterator<Item = &'s Words> + use<'s, 'p> {
        let from = self.words.partition_point(|words| words.purpose.as_str() < purpose);
        self.words.iter().skip(from).take_while(move |words| words.purpose == purpose)
    }

    /// What was asked about a purpose and waits for confirmation.
    pub(crate) fn waiting(&self, purpose: &str, now: Instant) -> Option<&Open> {
        self.asked.iter().find(|open| open.asked.purpose == purpose && open.asked.expires > now)
    }

    /// Hears a record of `mr.consents`; whatever else it is changes nothing.
    pub(crate) fn hear(&mut self, record: &Record) {
        let Some(entry) = Entry::read(&record.payload.open) else { return };
        // A word dated into the future would outlive every later one: it was said at the latest when it became known.
        let (at, id) = (record.occurred_at.min(record.known_at), record.id);
        self.epoch += 1;
        match entry {
            Entry::Said(given) => self.said(Consent::new(given, at, id)),
            Entry::Act(Act::Asked(asked)) => self.was_asked(Open { asked, at, record: id }),
            Entry::Act(Act::SoftOptIn(facts)) => self.knows(Facts { facts, at, record: id }),
            Entry::Act(Act::Restricted(ordered)) => mark(&mut self.restriction, true, at, id, ordered),
            Entry::Act(Act::RestrictionLifted(ordered)) => {
                mark(&mut self.restriction, false, at, id, ordered)
            }
            Entry::Act(Act::Objected(ordered)) => mark(&mut self.objection, true, at, id, ordered),
            Entry::Act(Act::ObjectionLifted(ordered)) => mark(&mut self.objection, false, at, id, ordered),
        }
    }

    fn said(&mut self, said: Consent) {
        let key = |words: &Words| (words.purpose.clone(), words.channel.clone());
        let wanted = (said.purpose.clone(), said.channel.clone());
        let at = match self.words.binary_search_by_key(&wanted, key) {
            Ok(at) => at,
            Err(at) => {
                let (purpose, channel) = wanted;
                self.words.insert(at, Words { purpose, channel, granted: None, refused: None });
                at
            }
        };
        let Some(words) = self.words.get_mut(at) else { return };
        let place = if said.status == Status::Granted { &mut words.granted } else { &mut words.refused };
        if place.as_ref().is_none_or(|known| known.key() < said.key()) {
            *place = Some(said);
        }
    }

    fn was_asked(&mut self, open: Open) {
        let names = |row: &Open| (row.asked.purpose.clone(), row.asked.channel.clone());
        latest(&mut self.asked, open, names, |row| (row.at, row.record));
    }

    fn knows(&mut self, facts: Facts) {
        let names = |row: &Facts| (row.facts.purpose.clone(), row.facts.channel.clone());
        latest(&mut self.facts, facts, names, |row| (row.at, row.record));
    }
}

fn find<T>(
    rows: &[T],
    purpose: &str,
    channel: &str,
    names: impl Fn(&T) -> (&String, &String),
) -> Result<usize, usize> {
    rows.binary_search_by(|row| {
        let (known, on) = names(row);
        (known.as_str(), on.as_str()).cmp(&(purpose, channel))
    })
}

/// Keeps the latest row of each name.
fn latest<T, N: Ord, K: Ord>(rows: &mut Vec<T>, row: T, names: impl Fn(&T) -> N, key: impl Fn(&T) -> K) {
    match rows.binary_search_by_key(&names(&row), &names) {
        Err(at) => rows.insert(at, row),
        Ok(at) => {
            if let Some(known) = rows.get_mut(at)
                && key(known) < key(&row)
            {
                *known = row;
            }
        }
    }
}

fn mark(place: &mut Option<Mark>, stands: bool, at: Instant, record: RecordId, ordered: Ordered) {
    if place.as_ref().is_none_or(|known| (known.at, known.record) < (at, record)) {
        *place = Some(Mark { stands, at, record, ordered });
    }
}
