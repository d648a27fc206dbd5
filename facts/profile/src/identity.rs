//! The fold over `mr.links`: which subjects are one person.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use event::{Instant, Record, Subject};
use serde::{Deserialize, Serialize};
use store::{Emissions, Fold, Scope, Stored, Table};

use crate::graph::Component;
use crate::hands::Hand;
use crate::link::LinkedId;
use crate::membership::{Belongs, Entity};
use crate::{Edge, LINKS, Link, Rules};

/// The members of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// The profile's name: the more trusted end of its earliest known link, or the subject itself where it is
    /// alone. It stays when later identifiers join; when two profiles merge, the older one's name stays.
    pub id: Subject,
    /// All members, sorted; at least the subject asked for.
    pub subjects: Vec<Subject>,
}

/// The identity graph, in the tables of the control partition.
pub struct Identities {
    /// The profile of each linked subject. A subject not in here is alone.
    pub(crate) profiles: Table<Subject, Subject>,
    pub(crate) components: Table<Subject, Component>,
    /// What was done by hand, by whom it was done to.
    pub(crate) hands: Table<Subject, Hand>,
    /// How often an identifier was left out because a limit would have been broken.
    pub(crate) shared: Table<Subject, Shared>,
    /// Households, accounts: who belongs to them.
    pub(crate) entities: Table<Subject, Entity>,
    /// What a subject belongs to.
    pub(crate) belongs: Table<Subject, Belongs>,
}

/// How often an identifier came with people that the rules keep apart: a shared device, a switchboard's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// Links in which it was left out.
    pub n_left_out: u64,
    /// When the latest of them was known.
    pub last: Option<Instant>,
}

impl Identities {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self {
            profiles: Table::open(scope, "identity_profiles"),
            components: Table::open(scope, "identity_components"),
            hands: Table::open(scope, "identity_hands"),
            shared: Table::open(scope, "identity_shared"),
            entities: Table::open(scope, "entities"),
            belongs: Table::open(scope, "entity_members"),
        }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![
            &mut self.profiles,
            &mut self.components,
            &mut self.hands,
            &mut self.shared,
            &mut self.entities,
            &mut self.belongs,
        ]
    }

    /// The profile of `subject`, by all links and all that was done by hand so far.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn members(&self, subject: Subject) -> Result<Members, store::Error> {
        Ok(self.whole(subject, None)?.into_members())
    }

    /// The profile of `subject` as of `t`: by links with `known_at <= t` and what stood by hand then.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn members_as_of(&self, subject: Subject, t: Instant) -> Result<Members, store::Error> {
        Ok(self.whole(subject, Some(t))?.into_members())
    }

    /// Visits every profile of more than one member, in order of their names.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn scan(&self, mut visit: impl FnMut(Members)) -> Result<(), store::Error> {
        let mut seeds = BTreeSet::new();
        self.profiles.scan(|subject, _| {
            seeds.insert(*subject);
        })?;
        self.hands.scan(|subject, _| {
            seeds.insert(*subject);
        })?;
        let mut found = BTreeMap::new();
        while let Some(subject) = seeds.pop_first() {
            let members = self.members(subject)?;
            members.subjects.iter().for_each(|member| {
                seeds.remove(member);
            });
            if members.subjects.len() > 1 {
                found.insert(members.id, members);
            }
        }
        found.into_values().for_each(&mut visit);
        Ok(())
    }

    /// How often `subject` was left out of a profile because a limit would have been broken.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn shared(&self, subject: Subject) -> Result<Shared, store::Error> {
        Ok(self.shared.peek(&subject)?.map(|shared| *shared).unwrap_or_default())
    }

    pub(crate) fn component(
        &self,
        subject: Subject,
    ) -> Result<Option<std::sync::Arc<Component>>, store::Error> {
        match self.profiles.peek(&subject)? {
            Some(id) => self.components.peek(&id),
            None => Ok(None),
        }
    }

    /// The profiles that `ids` belong to, each once; those alone as profiles of one.
    fn found(&mut self, ids: &[LinkedId]) -> Result<BTreeMap<Subject, Component>, store::Error> {
        let mut found = BTreeMap::new();
        for id in ids {
            let profile = self.profiles.get(&id.subject)?.copied().unwrap_or(id.subject);
            if let Entry::Vacant(place) = found.entry(profile) {
                let known = self.components.get(&profile)?.cloned();
                place.insert(known.unwrap_or_else(|| Component::single(id.subject, &id.kind)));
            }
        }
        Ok(found)
    }
}

/// Folds `mr.links`; other streams leave it untouched.
///
/// Identifiers that come together join what they belong to: a new profile, one profile, or several that merge.
/// Where a profile would hold more identifiers of a type than the rules allow, the least trusted identifier of
/// the record is left out and it is tried again, until it fits. Links are judged in the order of the journal
/// and count from their `known_at`.
pub struct LinkFold {
    rules: Rules,
}

impl LinkFold {
    /// A fold by these rules.
    pub fn new(rules: Rules) -> Self {
        Self { rules }
    }

    fn fits(&self, found: &BTreeMap<Subject, Component>) -> bool {
        // Within one profile nothing new comes together, so nothing is judged again.
        if found.len() < 2 {
            return true;
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, kind) in found.values().flat_map(Component::members) {
            *counts.entry(kind).or_default() += 1;
        }
        counts.into_iter().all(|(kind, n)| n <= self.rules.limit(kind))
    }
}

impl Fold<Record> for LinkFold {
    type Tables = Identities;

    fn fold(&self, tables: &mut Identities, record: &Record, _: &mut Emissions) -> Result<(), store::Error> {
        if record.stream.as_str() != LINKS {
            return Ok(());
        }
        let Ok(link) = serde_json::from_slice::<Link>(&record.payload.open) else { return Ok(()) };
        let mut ids = link.ranked(&self.rules);
        let mut found = tables.found(&ids)?;
        while !self.fits(&found) {
            if let Some(left_out) = ids.pop() {
                tables.shared.update(&left_out.subject, |shared| {
                    shared.n_left_out += 1;
                    shared.last = shared.last.max(Some(record.known_at));
                })?;
            }
            found = tables.found(&ids)?;
        }
        let [anchor, others @ ..] = ids.as_slice() else { return Ok(()) };
        if others.is_empty() {
            return Ok(());
        }
        let mut whole = Component::default();
        for component in found.values() {
            whole.absorb(component);
        }
        for other in others {
            whole.connect(Edge {
                a: anchor.subject,
                b: other.subject,
                known_at: record.known_at,
                occurred_at: record.occurred_at,
                record: record.id,
            });
        }
        let Some(id) = whole.id() else { return Ok(()) };
        if found.len() == 1 && found.get(&id) == Some(&whole) {
            return Ok(());
        }
        for old in found.keys().filter(|old| **old != id) {
            tables.components.remove(old);
        }
        for (subject, _) in whole.members() {
            if tables.profiles.get(&subject)? != Some(&id) {
                tables.profiles.put(subject, id);
            }
        }
        tables.components.put(id, whole);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use event::{Partition, Payload, RecordId, StreamName, Version};
    use proptest::prelude::*;

    /// `u1` is a user_id, `e…` an email, `p…` a phone, anything else an anonymous_id.
    pub(crate) fn subject(name: &str) -> Subject {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        Subject::from_bytes(bytes)
    }

    fn kind(name: &str) -> &'static str {
        match name.as_bytes()[0] {
            b'u' => "user_id",
            b'e' => "email",
            b'p' => "phone",
            _ => "anonymous_id",
        }
    }

    pub(crate) fn link(names: &str, known: i64) -> Record {
        let ids = names.split(' ').map(|name| (kind(name), subject(name)));
        let open = Link::new(ids).to_payload();
        Record {
            id: RecordId::external(LINKS, format!("{names}{known}").as_bytes()),
            stream: StreamName::new(LINKS),
            contract: Version::new(1, 0, 0),
            subject: Subject::NONE,
            occurred_at: Instant::from_micros(known),
            known_at: Instant::from_micros(known),
            batch: None,
            cause: None,
            source: None,
            key_epoch: 0,
            payload: Payload { open: open.into(), cells: Vec::new() },
        }
    }

    pub(crate) fn folded(records: &[Record]) -> Identities {
        let mut tables = Identities::open(&Scope::memory(Partition::CONTROL));
        let fold = LinkFold::new(Rules::default());
        for record in records {
            fold.fold(&mut tables, record, &mut Emissions::default()).unwrap();
        }
        tables
    }

    fn links(links: &[(&str, i64)]) -> Identities {
        folded(&links.iter().map(|(names, known)| link(names, *known)).collect::<Vec<_>>())
    }

    /// The profiles as sorted texts, their names first.
    fn profiles(tables: &Identities) -> Vec<String> {
        let text = |s: &Subject| {
            String::from_utf8(s.as_bytes().iter().copied().take_while(|b| *b != 0).collect()).unwrap()
        };
        let mut out = Vec::new();
        tables
            .scan(|m| {
                let members: Vec<_> = m.subjects.iter().map(text).collect();
                out.push(format!("{}: {}", text(&m.id), members.join(" ")));
            })
            .unwrap();
        out
    }

    fn alone(subject: Subject) -> Members {
        Members { id: subject, subjects: vec![subject] }
    }

    fn check(history: &[(&str, i64)], expected: &[&str]) {
        assert_eq!(profiles(&links(history)), expected, "{history:?}");
    }

    #[test]
    fn identifiers_that_come_together_become_one_profile() {
        check(&[("u1 a1", 1)], &["u1: a1 u1"]);
        check(&[("u1 a1", 1), ("u1 a2", 2)], &["u1: a1 a2 u1"]);
        check(&[("a1 e1", 1), ("u1 e1", 2)], &["e1: a1 e1 u1"]);
        check(&[("a1 e1", 1), ("a2 p2", 2), ("e1 p2", 3)], &["e1: a1 a2 e1 p2"]);
        check(&[("u1", 1)], &[]);
        check(&[("u1 u1", 1)], &[]);
    }

    #[test]
    fn two_users_never_merge() {
        // A shared device stays with the first user.
        check(&[("u1 a1", 1), ("u2 a1", 2)], &["u1: a1 u1"]);
        check(&[("u1 a1", 1), ("u2 a2", 2), ("a1 a2", 3)], &["u1: a1 u1", "u2: a2 u2"]);
        check(&[("u1 u2", 1)], &[]);
        // The device is left out, the e-mail still joins.
        check(&[("u1 p1", 1), ("u2 e2 p1", 2)], &["u1: p1 u1", "u2: e2 u2"]);
        // Least trusted first: the phone is dropped with the device, though only the device was taken.
        check(&[("u1 a1", 1), ("u2 e2 a1 p2", 2)], &["u1: a1 u1", "u2: e2 u2"]);
    }

    #[test]
    fn limits_hold() {
        let history: Vec<_> = (1..=7).map(|n| (format!("u1 a{n}"), n)).collect();
        let history: Vec<_> = history.iter().map(|(names, n)| (names.as_str(), *n)).collect();
        check(&history, &["u1: a1 a2 a3 a4 a5 u1"]);
        // What is inside may come again.
        let again: Vec<_> = history.iter().copied().chain([("u1 a1", 9), ("a1 a5", 10)]).collect();
        check(&again, &["u1: a1 a2 a3 a4 a5 u1"]);
    }

    #[test]
    fn a_duplicate_changes_nothing() {
        let history = [("u1 a1", 1), ("a1 e1", 2), ("u1 e1", 3)];
        let doubled = [history, history].concat();
        assert_eq!(components(&links(&history)), components(&links(&doubled)));
    }

    fn components(tables: &Identities) -> Vec<(Subject, Component)> {
        let mut out = Vec::new();
        tables.components.scan(|id, component| out.push((*id, component.clone()))).unwrap();
        out
    }

    #[test]
    fn links_count_from_when_they_were_known() {
        let tables = links(&[("u1 a1", 10), ("u1 e1", 20), ("a1 p1", 30)]);
        let as_of = |name, t| tables.members_as_of(subject(name), Instant::from_micros(t)).unwrap();
        assert_eq!(as_of("a1", 9), alone(subject("a1")));
        assert_eq!(as_of("a1", 10).subjects, [subject("a1"), subject("u1")]);
        assert_eq!(as_of("e1", 19), alone(subject("e1")));
        assert_eq!(as_of("p1", 30), tables.members(subject("u1")).unwrap());
        assert_eq!(as_of("stranger", 99), alone(subject("stranger")));
    }

    #[test]
    fn a_link_learned_late_with_an_earlier_time_counts_from_then() {
        let tables = links(&[("u1 a1", 10), ("u1 e1", 20), ("a1 e1", 5)]);
        let as_of = |t| tables.members_as_of(subject("e1"), Instant::from_micros(t)).unwrap().subjects.len();
        assert_eq!([as_of(4), as_of(5), as_of(9), as_of(10), as_of(20)], [1, 2, 2, 3, 3]);
    }

    #[test]
    fn what_is_no_link_changes_nothing() {
        let mut broken = link("u1 a1", 1);
        broken.payload.open = br#"{"ids":[{"type":"user_id","subject":"zz"}]}"#.to_vec().into();
        let mut other = link("u1 a1", 1);
        other.stream = StreamName::new("orders");
        assert!(profiles(&folded(&[broken, other])).is_empty());
    }

    const NAMES: [&str; 8] = ["e1", "e2", "e3", "p1", "p2", "a1", "a2", "a3"];

    fn any_links() -> impl Strategy<Value = Vec<Record>> {
        let one = (prop::sample::subsequence(&NAMES[..], 2..4), 0_i64..6);
        prop::collection::vec(one.prop_map(|(names, known)| link(&names.join(" "), known)), 1..8)
    }

    /// Members as of `t`, found the plain way: all links known then, joined until nothing changes.
    fn plain(records: &[Record], from: Subject, t: i64) -> Vec<Subject> {
        let mut members = vec![from];
        loop {
            let before = members.len();
            for record in records.iter().filter(|r| r.known_at <= Instant::from_micros(t)) {
                let link: Link = serde_json::from_slice(&record.payload.open).unwrap();
                if link.ids.iter().any(|id| members.contains(&id.subject)) {
                    members.extend(link.ids.iter().map(|id| id.subject));
                    members.sort();
                    members.dedup();
                }
            }
            if members.len() == before {
                return members;
            }
        }
    }

    proptest! {
        /// Within the limits links do not disturb each other: any order, any number of repetitions, the same
        /// state to the byte, and the members are those of the plain definition at every instant.
        #[test]
        fn independent_links_commute_and_repeat(
            records in any_links(),
            order in any::<prop::sample::Index>(),
            repeat in any::<prop::sample::Index>(),
        ) {
            let one = folded(&records);
            let mut shuffled = records.clone();
            shuffled.rotate_left(order.index(records.len()));
            shuffled.push(records[repeat.index(records.len())].clone());
            shuffled.reverse();
            prop_assert_eq!(components(&one), components(&folded(&shuffled)));
            for name in NAMES {
                for t in -1..7 {
                    let got = one.members_as_of(subject(name), Instant::from_micros(t)).unwrap();
                    prop_assert_eq!(&got.subjects, &plain(&records, subject(name), t));
                    prop_assert!(got.subjects.contains(&got.id));
                }
            }
        }

        /// With users and crowded types in play: later is never less, all members of a profile agree on it, and
        /// no limit is broken at any instant.
        #[test]
        fn as_of_grows_and_limits_hold(
            links in prop::collection::vec(
                (prop::sample::subsequence(vec!["u1", "u2", "u3", "e1", "a1", "a2", "a3", "a4", "a5", "a6", "a7"], 1..5), 0_i64..5),
                0..16,
            ),
        ) {
            let records: Vec<_> = links.iter().map(|(names, known)| link(&names.join(" "), *known)).collect();
            let tables = folded(&records);
            for name in ["u1", "u2", "u3", "e1", "a1", "a6"] {
                let mut before: Vec<Subject> = vec![subject(name)];
                for t in -1..6 {
                    let now = tables.members_as_of(subject(name), Instant::from_micros(t)).unwrap();
                    prop_assert!(before.iter().all(|s| now.subjects.contains(s)));
                    for member in &now.subjects {
                        prop_assert_eq!(&tables.members_as_of(*member, Instant::from_micros(t)).unwrap(), &now);
                    }
                    let n = |first| now.subjects.iter().filter(|s| s.as_bytes()[0] == first).count();
                    prop_assert!(n(b'u') <= 1 && n(b'a') <= 5, "{:?}", now);
                    before = now.subjects;
                }
                prop_assert_eq!(before, tables.members(subject(name)).unwrap().subjects);
            }
        }

        #[test]
        fn noise_never_panics(open in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut noise = link("u1 a1", 1);
            noise.payload.open = open.into();
            folded(&[noise]);
        }
    }
}
