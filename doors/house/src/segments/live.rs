//! All people of a purpose in memory, following the journal.
//!
//! An [`Audience`] is made when it is first asked for; from then on whoever a new record is about is read again, and
//! everybody once a minute, because windows move without a record. It is no state: it is made anew from what the folds
//! keep, so it can be no other than they are.

use std::collections::{BTreeMap, BTreeSet};

use event::{Instant, Partition, Position, Record, Span, Subject};
use parking_lot::Mutex;
use policy::Principal;
use profile::Audience;

use super::Person;
use crate::Error;
use crate::forgetting::ERASURES;
use crate::house::{House, WAIT};

/// How old the value of a window may be: after so long everybody is read again.
const READ_AGAIN: Span = Span::from_secs(60);

/// What the house notes of itself about a person: it changes no feature, no trait, and nobody's right to be read.
const OWN_NOTES: [&str; 4] = [decide::DECISIONS, decide::OUTCOMES, decide::SENDS, intake::QUARANTINE];

/// The audiences in memory, by purpose.
#[derive(Default)]
pub(crate) struct Desk(Mutex<BTreeMap<String, Live>>);

/// Everybody who may be read for a purpose, as of the latest look.
struct Live {
    from: Vec<Position>,
    read_at: Instant,
    audience: Audience,
    /// The profile of each subject that has a record.
    profile_of: BTreeMap<Subject, Subject>,
    members: BTreeMap<Subject, Vec<Subject>>,
    /// Who has a record of their own: a profile of others is nobody yet.
    told: BTreeSet<Subject>,
}

impl House {
    /// Looks at everybody who may be read for a purpose, as of now.
    pub(super) fn with_audience<R>(
        &self,
        principal: &Principal,
        purpose: &str,
        look: impl FnOnce(&Audience) -> R,
    ) -> Result<R, Error> {
        // LAW 3: whoever asks has the right to, each time; what lies in memory is the same for all who have it.
        self.grant_many(principal, purpose, std::iter::empty())?;
        let mut desk = self.segment_desk.0.lock();
        let mut live = match desk.remove(purpose) {
            Some(live) => live,
            None => self.nobody(purpose),
        };
        // Where it fails half way it is not put back, and made anew the next time.
        self.follow(principal, purpose, &mut live)?;
        let seen = look(&live.audience);
        desk.insert(purpose.to_owned(), live);
        Ok(seen)
    }

    /// An audience that knows nobody yet.
    fn nobody(&self, purpose: &str) -> Live {
        let all = self.project().segments.iter().filter(|other| other.purpose == purpose);
        let names: BTreeSet<String> = all.flat_map(|other| other.inputs.clone()).collect();
        Live {
            from: Vec::new(),
            read_at: Instant::from_micros(0),
            audience: Audience::new(Instant::from_micros(0), names.into_iter().collect()),
            profile_of: BTreeMap::new(),
            members: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    /// Brings an audience to now.
    fn follow(&self, principal: &Principal, purpose: &str, live: &mut Live) -> Result<(), Error> {
        let journal = self.engine().journal();
        let upto: Vec<Position> = (0..self.n_partitions()).map(|p| journal.end(Partition(p))).collect();
        self.engine().settle(WAIT)?;
        let at = self.clock().settled();
        let mut dirty = BTreeSet::new();
        if live.from != upto {
            // LAW 4: values of whoever was erased lie among everybody's, so all of it goes.
            let mut erased = false;
            journal.scan(&live.from, |_, _, record| {
                erased |= record.stream.as_str() == ERASURES;
                Ok(())
            })?;
            if erased && !live.from.is_empty() {
                *live = self.nobody(purpose);
            }
            let undone = &self.composition().undone;
            journal.scan(&live.from, |partition, position, record| {
                let is_later = upto.get(usize::from(partition.0)).is_none_or(|end| position >= *end);
                let is_undone = record.batch.is_some_and(|batch| undone.contains(&batch));
                if !is_later && !is_undone && !self.hides(&record) {
                    let (subjects, mut makes_known) = about(&record);
                    makes_known = makes_known && self.is_about_people(&record.stream);
                    if makes_known {
                        live.told.extend(subjects.iter().copied());
                    }
                    let known = |subject: &Subject| makes_known || live.profile_of.contains_key(subject);
                    dirty.extend(subjects.into_iter().filter(known));
                }
                Ok(())
            })?;
        }
        if at - live.read_at >= READ_AGAIN {
            dirty.extend(live.profile_of.keys().copied());
            live.read_at = at;
        }
        // Whoever a record is about may belong to another profile now, and so may all of the profile it was.
        let known = |subject: &Subject| live.members.get(live.profile_of.get(subject)?);
        let old: BTreeSet<Subject> = dirty.iter().filter_map(known).flatten().copied().collect();
        dirty.extend(old);
        let mut fresh: BTreeMap<Subject, Vec<Subject>> = BTreeMap::new();
        for subject in &dirty {
            if let Some(profile) = live.profile_of.remove(subject) {
                live.members.remove(&profile);
                live.audience.remove(profile);
            }
        }
        for subject in &dirty {
            // A household is nobody, whatever was said of it.
            if self.in_control(|rooms| rooms.identities.is_entity(*subject))? {
                continue;
            }
            let members = self.members(*subject)?;
            for member in &members.subjects {
                if let Some(profile) = live.profile_of.insert(*member, members.id)
                    && profile != members.id
                {
                    live.members.remove(&profile);
                    live.audience.remove(profile);
                }
            }
            fresh.insert(members.id, members.subjects);
        }
        let grant = self.grant_many(principal, purpose, fresh.values())?;
        let names = live.audience.names().to_vec();
        live.audience.is_of(at);
        for (profile, members) in fresh {
            let is_somebody = members.iter().any(|member| live.told.contains(member));
            // LAW 3: whoever said no, or did not say yes, is not counted.
            if is_somebody && members.iter().all(|member| grant.permits(*member)) {
                let mut person = Person::new(self, &grant, &members, at);
                let values = names.iter().map(|name| person.value(name));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                live.audience.set(profile, values);
            }
            live.members.insert(profile, members);
        }
        live.from = upto;
        Ok(())
    }
}

/// Whose values a record may change, and whether it makes them known: what is only said about consents, rights and
/// identity makes nobody a person of an audience.
fn about(record: &Record) -> (Vec<Subject>, bool) {
    let name = record.stream.as_str();
    if !record.subject.is_none() {
        let is_theirs = !name.starts_with("mr.");
        let counts = is_theirs || !OWN_NOTES.contains(&name);
        return (if counts { vec![record.subject] } else { Vec::new() }, is_theirs);
    }
    let ids = match name {
        profile::LINKS => serde_json::from_slice(&record.payload.open).map(|link: profile::Link| link.ids),
        profile::MERGES => serde_json::from_slice(&record.payload.open).map(|act: profile::Act| act.ids),
        _ => return (Vec::new(), false),
    };
    (ids.into_iter().flatten().map(|id| id.subject).collect(), false)
}
