//! What is done to the identity graph by hand: two profiles put together, put apart again, one identifier taken out.
//!
//! Acts lie beside the links and never change them: a profile is what links hold together, without identifiers that were
//! taken out, joined with what was put together by hand. Each act counts from when it was known until it is taken back,
//! so an instant of the past sees what stood then, and what was taken back leaves nothing behind. State stays per
//! subject throughout.

use std::collections::{BTreeMap, BTreeSet};

use event::{Instant, Record, RecordId, Subject};
use serde::{Deserialize, Serialize};
use store::{Emissions, Fold};

use crate::graph::Component;
use crate::link::LinkedId;
use crate::{Edge, Identities, Members};

/// The stream of acts by hand, in the control partition. Payloads hold pseudonyms only, so they lie open.
pub const MERGES: &str = "mr.merges";

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Two identifiers are one person, whatever the rules say.
    Merge,
    /// An identifier stands alone, whatever links say.
    Split,
}

/// The payload of `mr.merges`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// What is done, or taken back.
    pub deed: Deed,
    /// Two for a merge, one for a split.
    pub ids: Vec<LinkedId>,
    /// The act that is taken back; none: this one is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<RecordId>,
    /// Who did it.
    pub by: String,
    /// A ticket's number or the like.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference: String,
}

impl Act {
    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        // Strings and pseudonyms: there is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// An act and how long it stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The record of `mr.merges`.
    pub record: RecordId,
    /// Since when it counts.
    pub since: Instant,
    /// Until when it counted; none: it stands.
    pub until: Option<Instant>,
    /// With whom, for a merge.
    pub other: Option<Subject>,
    /// Who did it.
    pub by: String,
    /// A ticket's number or the like.
    pub reference: String,
}

impl Done {
    /// True where it counts as of `t`; for `None` where it stands now.
    pub fn stands(&self, t: Option<Instant>) -> bool {
        match t {
            None => self.until.is_none(),
            Some(t) => self.since <= t && self.until.is_none_or(|until| t < until),
        }
    }
}

/// What was done to one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hand {
    /// Its type.
    kind: Box<str>,
    /// In the order of the journal.
    done: Vec<Done>,
}

impl Hand {
    fn is_split(&self, t: Option<Instant>) -> bool {
        self.done.iter().any(|done| done.other.is_none() && done.stands(t))
    }

    /// With whom it was ever put together.
    pub(crate) fn ever(&self) -> impl Iterator<Item = Subject> {
        self.done.iter().filter_map(|done| done.other)
    }

    /// Forgets what was done with `other`; true where nothing is left.
    pub(crate) fn forget(&mut self, other: Subject) -> bool {
        self.done.retain(|done| done.other != Some(other));
        self.done.is_empty()
    }

    fn others(&self, t: Option<Instant>) -> impl Iterator<Item = Subject> {
        self.done.iter().filter(move |done| done.stands(t)).filter_map(|done| done.other)
    }
}

/// A profile with its members' types.
pub(crate) struct Whole {
    id: Subject,
    members: BTreeMap<Subject, Box<str>>,
}

impl Whole {
    pub(crate) fn into_members(self) -> Members {
        Members { id: self.id, subjects: self.members.into_keys().collect() }
    }

    /// The members whose type is known.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (Subject, String)> {
        let named = self.members.iter().map(|(subject, kind)| (*subject, kind.to_string()));
        named.filter(|(_, kind)| !kind.is_empty())
    }
}

impl Identities {
    /// The profile of `subject` as of `t`, now for `None`: what links hold together and what hands put together.
    pub(crate) fn whole(&self, subject: Subject, t: Option<Instant>) -> Result<Whole, store::Error> {
        let mut members: BTreeMap<Subject, Box<str>> = BTreeMap::new();
        let mut oldest = None;
        let mut open = vec![subject];
        while let Some(next) = open.pop() {
            if members.contains_key(&next) {
                continue;
            }
            let part = self.part(next, t)?;
            // The older profile's name stays, whoever is asked for.
            if oldest.as_ref().is_none_or(|known: &Component| part.age() < known.age()) {
                oldest = Some(part.clone());
            }
            for (member, kind) in part.members() {
                let hand = self.hands.peek(&member)?;
                let named = if kind.is_empty() { hand.as_ref().map_or("", |hand| &hand.kind) } else { kind };
                members.insert(member, named.into());
                open.extend(hand.iter().flat_map(|hand| hand.others(t)));
            }
        }
        let id = oldest.and_then(|part| part.id()).unwrap_or(subject);
        Ok(Whole { id, members })
    }

    /// What links alone hold together with `subject`, without whom hands took out.
    fn part(&self, subject: Subject, t: Option<Instant>) -> Result<Component, store::Error> {
        let Some(component) = self.component(subject)? else { return Ok(Component::single(subject, "")) };
        let mut out = BTreeSet::new();
        for (member, _) in component.members() {
            if self.hands.peek(&member)?.is_some_and(|hand| hand.is_split(t)) {
                out.insert(member);
            }
        }
        if t.is_none() && out.is_empty() {
            return Ok((*component).clone());
        }
        Ok(component.part(subject, t, &out))
    }

    /// The links that hold two members of a profile together as of `t` (now for `None`); none where they are the same, or
    /// where a hand put them together.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn links(&self, a: Subject, b: Subject, t: Option<Instant>) -> Result<Vec<Edge>, store::Error> {
        Ok(self.part(a, t)?.path(a, b).unwrap_or_default())
    }

    /// Everything that was done to `subject` by hand, in order, standing or taken back.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn done_to(&self, subject: Subject) -> Result<Vec<Done>, store::Error> {
        Ok(self.hands.peek(&subject)?.map(|hand| hand.done.clone()).unwrap_or_default())
    }
}

/// Folds `mr.merges`; other streams leave it untouched.
pub struct HandFold;

impl Fold<Record> for HandFold {
    type Tables = Identities;

    fn fold(&self, tables: &mut Identities, record: &Record, _: &mut Emissions) -> Result<(), store::Error> {
        if record.stream.as_str() != MERGES {
            return Ok(());
        }
        let Ok(act) = serde_json::from_slice::<Act>(&record.payload.open) else { return Ok(()) };
        match (act.deed, act.ids.as_slice()) {
            (Deed::Merge, [a, b]) if a.subject != b.subject => {
                note(tables, record, &act, a, Some(b.subject))?;
                note(tables, record, &act, b, Some(a.subject))
            }
            (Deed::Split, [id]) => note(tables, record, &act, id, None),
            _ => Ok(()),
        }
    }
}

fn note(
    tables: &mut Identities,
    record: &Record,
    act: &Act,
    id: &LinkedId,
    other: Option<Subject>,
) -> Result<(), store::Error> {
    if id.subject.is_none() || other.is_some_and(|other| other.is_none()) {
        return Ok(());
    }
    if let Some(undone) = act.undoes {
        // What was never done cannot be taken back, nor twice.
        let standing =
            |done: &&mut Done| done.record == undone && done.other == other && done.until.is_none();
        if tables.hands.peek(&id.subject)?.is_some() {
            tables.hands.update(&id.subject, |hand| {
                if let Some(done) = hand.done.iter_mut().find(standing) {
                    done.until = Some(record.known_at.max(done.since));
                }
            })?;
        }
        return Ok(());
    }
    tables.hands.update(&id.subject, |hand| {
        if hand.done.iter().all(|done| done.record != record.id) {
            hand.kind = id.kind.as_str().into();
            hand.done.push(Done {
                record: record.id,
                since: record.known_at,
                until: None,
                other,
                by: act.by.clone(),
                reference: act.reference.clone(),
            });
        }
    })
}
