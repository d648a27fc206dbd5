//! What one stream brought by one source on one day.

use std::collections::BTreeMap;

use event::Instant;
use serde::{Deserialize, Serialize};

use crate::{Spread, Values};

/// Values kept per field and day.
pub(crate) const KEPT: usize = 128;

/// One field's share of a [`Cell`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldCell {
    /// Records that had it.
    pub n_present: u64,
    /// Records whose value breaks today's contract, though they were accepted by an earlier one.
    pub n_broken: u64,
    /// Its values, where they lie open.
    pub values: Values<KEPT>,
    /// Its numbers, or the lengths of its texts.
    pub spread: Spread,
}

impl FieldCell {
    fn merge(&mut self, other: &Self) {
        self.n_present += other.n_present;
        self.n_broken += other.n_broken;
        self.values.merge(&other.values);
        self.spread.merge(&other.spread);
    }
}

/// What one stream brought by one source on one day of event time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Records accepted.
    pub n: u64,
    /// Records refused.
    pub n_refused: u64,
    /// Refused records that were replayed and accepted: they are in `n`, too.
    pub n_mended: u64,
    /// Rows that repeated one of the same delivery and were dropped.
    pub n_repeated: u64,
    /// Records with members that no contract declares.
    pub n_undeclared: u64,
    /// Records that say they happened after they came.
    pub n_future: u64,
    /// How many seconds passed until records were known; without imports.
    pub delays: Spread,
    /// Records known later than the contract's latency promises; without imports.
    pub n_over: u64,
    /// By how many seconds the sender's clock is ahead, where it is.
    pub ahead: Spread,
    /// Findings of refused records by code and field: one record may have several.
    pub findings: BTreeMap<(String, String), u64>,
    /// Refused records by the code and field of their first finding; they add up to `n_refused`.
    pub first_findings: BTreeMap<(String, String), u64>,
    /// When the first and the last became known.
    pub known: Option<(Instant, Instant)>,
    /// The fields, in the order of the plan.
    pub fields: Vec<FieldCell>,
    /// Records that each rule of the contract counts, in its order; those judged otherwise count nothing here.
    pub rules: Vec<u64>,
}

impl Cell {
    /// Adds what another saw.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.n_refused += other.n_refused;
        self.n_mended += other.n_mended;
        self.n_repeated += other.n_repeated;
        self.n_undeclared += other.n_undeclared;
        self.n_future += other.n_future;
        self.delays.merge(&other.delays);
        self.n_over += other.n_over;
        self.ahead.merge(&other.ahead);
        for (mine, theirs) in
            [(&mut self.findings, &other.findings), (&mut self.first_findings, &other.first_findings)]
        {
            for (why, n) in theirs {
                *mine.entry(why.clone()).or_default() += n;
            }
        }
        self.known = match (self.known, other.known) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        if self.fields.len() < other.fields.len() {
            self.fields.resize_with(other.fields.len(), FieldCell::default);
        }
        for (mine, theirs) in self.fields.iter_mut().zip(&other.fields) {
            mine.merge(theirs);
        }
        if self.rules.len() < other.rules.len() {
            self.rules.resize(other.rules.len(), 0);
        }
        self.rules.iter_mut().zip(&other.rules).for_each(|(mine, theirs)| *mine += theirs);
    }

    pub(crate) fn knew(&mut self, at: Instant) {
        self.known = Some(self.known.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
    }

    /// Everything that came: accepted, refused and repeated.
    pub fn n_arrived(&self) -> u64 {
        self.n_judged() + self.n_repeated
    }

    /// Everything a contract judged, each once: what was mended was refused first and accepted later.
    pub fn n_judged(&self) -> u64 {
        (self.n + self.n_refused).saturating_sub(self.n_mended)
    }
}
