//! Reading a profile, with a grant.

use std::collections::BTreeMap;

use event::{Instant, RecordId, StreamName, Subject};
use policy::{Action, Grant};
use serde::Serialize;
use serde_json::Value;

use crate::{Edge, Error, Identities, Precedence, TraitView};

/// What is known of a person: the members' traits, merged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// Its name, as in [`Members`](crate::Members).
    pub id: Subject,
    /// The identifiers held to be one person.
    pub members: Vec<Member>,
    /// The value of each trait over all members: the latest word of the most trusted stream that has one.
    pub traits: BTreeMap<String, Trait>,
}

/// One identifier of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its pseudonym.
    pub subject: Subject,
    /// Its type; absent where the subject was never linked.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trait {
    /// The value.
    pub value: Value,
    /// The member it was said of.
    pub subject: Subject,
    /// The stream it came by.
    pub stream: StreamName,
    /// When it was said.
    pub at: Instant,
    /// The record that says so.
    pub record: RecordId,
    /// What others say, the next in line first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Word>,
}

/// What another stream, or the same one of another member, says of a trait.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Word {
    /// The value; null where it was taken back.
    pub value: Value,
    /// The member it was said of.
    pub subject: Subject,
    /// The stream it came by.
    pub stream: StreamName,
    /// When it was said.
    pub at: Instant,
    /// The record that says so.
    pub record: RecordId,
}

/// The only way to read what is known of a person.
pub struct Profiles<'a> {
    identities: &'a Identities,
    traits: &'a dyn TraitView,
    precedence: Precedence,
}

impl<'a> Profiles<'a> {
    /// Reads over these tables.
    pub fn new(identities: &'a Identities, traits: &'a dyn TraitView) -> Self {
        Self { identities, traits, precedence: Precedence::default() }
    }

    /// With a say in whose word counts.
    #[must_use]
    pub fn by(self, precedence: &Precedence) -> Self {
        Self { precedence: precedence.clone(), ..self }
    }

    /// The profile that `subject` belongs to. The grant must be for reading profiles, sending or exporting, and
    /// cover every member.
    ///
    /// # Errors
    /// [`Error::NotCovered`] where the profile has a member that the grant lacks: it may have said no.
    pub fn read(&self, grant: &Grant, subject: Subject) -> Result<Profile, Error> {
        self.read_as_of(grant, subject, None)
    }

    /// As [`Profiles::read`], with who was who at `t`; what the traits are of is up to where they are looked up.
    ///
    /// # Errors
    /// As [`Profiles::read`].
    pub fn read_as_of(&self, grant: &Grant, subject: Subject, t: Option<Instant>) -> Result<Profile, Error> {
        let whole = self.identities.whole(subject, t)?;
        let kinds: BTreeMap<Subject, String> = whole.kinds().collect();
        let kind = |s| kinds.get(&s).cloned();
        let members = whole.into_members();
        check(grant, subject, &members.subjects)?;
        let mut profile = Profile { id: members.id, members: Vec::new(), traits: BTreeMap::new() };
        let subjects = members.subjects.clone();
        profile.members.extend(members.subjects.into_iter().map(|s| Member { subject: s, kind: kind(s) }));
        profile.traits = merged(&subjects, self.traits, &self.precedence)?;
        Ok(profile)
    }

    /// Why two subjects are held to be one person: the links from one to the other. They are together since the
    /// latest `known_at` among them.
    ///
    /// # Errors
    /// [`Error::NotTogether`] where they are not, [`Error::NotCovered`] as for [`Profiles::read`].
    pub fn explain(&self, grant: &Grant, a: Subject, b: Subject) -> Result<Vec<Edge>, Error> {
        check(grant, a, &self.identities.members(a)?.subjects)?;
        check(grant, b, &self.identities.members(b)?.subjects)?;
        if a == b {
            return Ok(Vec::new());
        }
        let path = self.identities.component(a)?.and_then(|component| component.path(a, b));
        path.ok_or(Error::NotTogether { a, b })
    }
}

/// Traits of a profile's members as inputs of decisions, models and segments: the value that counts of each.
///
/// * `members`: the profile's, at the instant of the read
/// * `traits`: where they are looked up; what they are as of is up to it
///
/// # Errors
/// [`Error::Denied`] where the grant is for something that takes no inputs; [`Error::NotCovered`]
pub fn inputs(
    grant: &Grant,
    members: &[Subject],
    traits: &dyn TraitView,
    precedence: &Precedence,
) -> Result<BTreeMap<String, Value>, Error> {
    if let Some(first) = members.first() {
        grant.require(&INPUTS, *first)?;
    }
    covered(grant, members)?;
    Ok(merged(members, traits, precedence)?.into_iter().map(|(name, said)| (name, said.value)).collect())
}

fn merged(
    members: &[Subject],
    view: &dyn TraitView,
    precedence: &Precedence,
) -> Result<BTreeMap<String, Trait>, Error> {
    let mut words: BTreeMap<String, Vec<Word>> = BTreeMap::new();
    for member in members {
        let Some(rows) = view.traits(*member)? else { continue };
        for (name, said) in rows.0.iter() {
            words.entry(name.to_string()).or_default().extend(said.iter().map(|row| Word {
                // Written by the fold with serde_json, so it reads back.
                value: serde_json::from_str(&row.json).unwrap_or(Value::Null),
                subject: *member,
                stream: row.stream.clone(),
                at: row.at,
                record: row.record,
            }));
        }
    }
    let mut traits = BTreeMap::new();
    for (name, mut words) in words {
        // The latest first among equals.
        words.sort_by(|a, b| {
            let rank = |word: &Word| precedence.rank(&name, word.stream.as_str());
            rank(a).cmp(&rank(b)).then_with(|| (b.at, b.record).cmp(&(a.at, a.record)))
        });
        // The latest word of each rank counts; a word taken back leaves it to the next rank.
        let mut heard = None;
        let standing = words.iter().position(|word| {
            let rank = precedence.rank(&name, word.stream.as_str());
            heard.replace(rank) != Some(rank) && !word.value.is_null()
        });
        let Some(standing) = standing else { continue };
        let Word { value, subject, stream, at, record } = words.remove(standing);
        traits.insert(name, Trait { value, subject, stream, at, record, others: words });
    }
    Ok(traits)
}

/// What whole profiles are read for.
const PROFILES: [Action; 4] = [Action::ReadProfile, Action::Send, Action::Export, Action::Claims];
/// What takes single traits for its inputs.
const INPUTS: [Action; 6] = [
    Action::Decide,
    Action::Train,
    Action::ReadFeatures,
    Action::ReadProfile,
    Action::Export,
    Action::Claims,
];

fn check(grant: &Grant, subject: Subject, members: &[Subject]) -> Result<(), Error> {
    grant.require(&PROFILES, subject)?;
    covered(grant, members)
}

/// LAW 3: a grant for some members is none for the profile, since the others may have said no.
fn covered(grant: &Grant, members: &[Subject]) -> Result<(), Error> {
    match members.iter().find(|member| !grant.permits(**member)) {
        Some(member) => Err(Error::NotCovered { member: *member }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::{folded, link, subject};
    use crate::{TraitFold, TraitTables};
    use contract::Bound;
    use event::{Partition, Payload, Record, Version};
    use policy::{LegalBasis, Principal, Purposes};
    use proptest::prelude::*;
    use serde_json::json;
    use store::{Emissions, Fold, Scope};

    fn grant(action: Action, members: &[&str]) -> Grant {
        let consents = policy::Tables::open(&Scope::memory(Partition(0)));
        let purposes = Purposes::new([("service", LegalBasis::Contract)]);
        let principal = Principal::new("test", [policy::Scope::Admin]);
        let members: Vec<_> = members.iter().map(|name| subject(name)).collect();
        policy::authorize(
            &principal,
            action,
            "service",
            &members,
            &consents,
            &purposes,
            Instant::from_micros(0),
        )
        .unwrap()
    }

    fn traits(said: &[(&str, i64, Value)]) -> TraitTables {
        let mut tables = TraitTables::open(&Scope::memory(Partition(0)));
        let fold = TraitFold::new([StreamName::new("customers")]);
        for (name, at, fields) in said {
            let record = Record {
                id: RecordId::external("customers", format!("{name}{at}{fields}").as_bytes()),
                stream: StreamName::new("customers"),
                contract: Version::new(1, 0, 0),
                subject: subject(name),
                occurred_at: Instant::from_micros(*at),
                known_at: Instant::from_micros(100),
                batch: None,
                cause: None,
                source: None,
                key_epoch: 0,
                payload: Payload::default(),
            };
            let bound = Bound { record: &record, fields };
            fold.fold(&mut tables, &bound, &mut Emissions::default()).unwrap();
        }
        tables
    }

    fn values(profile: &Profile) -> Value {
        profile.traits.iter().map(|(name, known)| (name.clone(), known.value.clone())).collect()
    }

    #[test]
    fn members_traits_merge_and_the_latest_stands() {
        let identities = folded(&[link("u1 a1", 1)]);
        let traits = traits(&[
            ("u1", 5, json!({"city": "Köln", "plan": "basic", "tags": ["x"]})),
            ("a1", 9, json!({"city": "Bonn"})),
            ("u1", 3, json!({"city": "Aachen", "phone": "1"})),
            ("a1", 8, json!({"phone": null})),
        ]);
        let profiles = Profiles::new(&identities, &traits);
        let profile = profiles.read(&grant(Action::ReadProfile, &["u1", "a1"]), subject("a1")).unwrap();
        assert_eq!(values(&profile), json!({"city": "Bonn", "plan": "basic", "tags": ["x"]}));
        assert_eq!(profile.id, subject("u1"));
        let city = &profile.traits["city"];
        assert_eq!((city.subject, city.at.micros(), city.stream.as_str()), (subject("a1"), 9, "customers"));
        let kinds: Vec<_> = profile.members.iter().filter_map(|m| m.kind.as_deref()).collect();
        assert_eq!(kinds, ["anonymous_id", "user_id"]);
    }

    #[test]
    fn of_two_words_at_one_instant_the_higher_record_stands() {
        let identities = folded(&[link("u1 a1", 1)]);
        let grant = grant(Action::ReadProfile, &["u1", "a1"]);
        for n in 0..20 {
            let (one, two) = (json!({ "n": n }), json!({ "n": n + 100 }));
            let record =
                |name, fields| RecordId::external("customers", format!("{name}5{fields}").as_bytes());
            let higher = record("u1", &one).max(record("a1", &two));
            let traits = traits(&[("u1", 5, one), ("a1", 5, two)]);
            let profile = Profiles::new(&identities, &traits).read(&grant, subject("u1")).unwrap();
            assert_eq!(profile.traits["n"].record, higher, "{n}");
        }
    }

    #[test]
    fn a_grant_must_be_for_reading_and_cover_every_member() {
        let (identities, traits) =
            (folded(&[link("u1 a1", 1)]), traits(&[("u1", 5, json!({"city": "Köln"}))]));
        let profiles = Profiles::new(&identities, &traits);
        let read = |action, members: &[&str], of| {
            profiles.read(&grant(action, members), subject(of)).map(|p| p.traits.len())
        };
        assert!(matches!(read(Action::ReadProfile, &["u1", "a1"], "a1"), Ok(1)));
        assert!(matches!(read(Action::Export, &["u1", "a1"], "u1"), Ok(1)));
        let missing = read(Action::ReadProfile, &["u1"], "u1");
        assert!(matches!(missing, Err(Error::NotCovered { member }) if member == subject("a1")));
        assert!(matches!(read(Action::ReadProfile, &["u1"], "a1"), Err(Error::Denied(_))));
        for action in [Action::Train, Action::Decide, Action::ReadFeatures] {
            assert!(matches!(read(action, &["u1", "a1"], "u1"), Err(Error::Denied(_))), "{action:?}");
        }
        // Someone of whom nothing is known is a profile of one.
        assert!(matches!(read(Action::ReadProfile, &["x"], "x"), Ok(0)));
    }

    #[test]
    fn decisions_and_training_take_traits_for_inputs_and_need_every_member() {
        let traits = traits(&[("u1", 5, json!({"city": "Köln"})), ("a1", 9, json!({"city": "Bonn"}))]);
        let read =
            |grant: &Grant, members: &[Subject]| inputs(grant, members, &traits, &Precedence::default());
        let both = [subject("a1"), subject("u1")];
        for action in [Action::Decide, Action::Train, Action::ReadFeatures, Action::Export] {
            let inputs = read(&grant(action, &["u1", "a1"]), &both).unwrap();
            assert_eq!(inputs, BTreeMap::from([("city".to_owned(), json!("Bonn"))]), "{action:?}");
        }
        let some = read(&grant(Action::Decide, &["u1"]), &both);
        assert!(matches!(some, Err(Error::NotCovered { .. } | Error::Denied(_))), "{some:?}");
        let sent = read(&grant(Action::Send, &["u1", "a1"]), &both);
        assert!(matches!(sent, Err(Error::Denied(_))));
    }

    #[test]
    fn it_can_be_explained_why_two_are_one() {
        let (identities, traits) = (folded(&[link("u1 a1", 1), link("a1 p1", 7)]), traits(&[]));
        let profiles = Profiles::new(&identities, &traits);
        let all = grant(Action::ReadProfile, &["u1", "a1", "p1", "x"]);
        let path = profiles.explain(&all, subject("p1"), subject("u1")).unwrap();
        let ends: Vec<_> = path.iter().map(|edge| (edge.a, edge.b, edge.known_at.micros())).collect();
        assert_eq!(ends, [(subject("a1"), subject("p1"), 7), (subject("u1"), subject("a1"), 1)]);
        assert!(profiles.explain(&all, subject("u1"), subject("u1")).unwrap().is_empty());
        let apart = profiles.explain(&all, subject("u1"), subject("x"));
        assert!(matches!(apart, Err(Error::NotTogether { .. })));
        let some = grant(Action::ReadProfile, &["u1", "p1"]);
        assert!(matches!(
            profiles.explain(&some, subject("p1"), subject("u1")),
            Err(Error::NotCovered { .. })
        ));
    }

    #[test]
    fn other_streams_and_nobody_leave_no_trait() {
        let mut tables = traits(&[("u1", 1, json!([1])), ("u1", 1, json!({}))]);
        assert_eq!(tables.stored().iter().map(|t| t.n_dirty()).sum::<usize>(), 0);
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            said in prop::collection::vec((0_usize..2, 0_i64..4, 0_usize..2, 0_u8..3), 1..8),
            order in any::<prop::sample::Index>(),
        ) {
            let mut said: Vec<_> = said.into_iter().map(|(who, at, name, value)| {
                (["u1", "a1"][who], at, json!({["city", "plan"][name]: value}))
            }).collect();
            let identities = folded(&[link("u1 a1", 1)]);
            let grant = grant(Action::ReadProfile, &["u1", "a1"]);
            let read = |said: &[_]| {
                let traits = traits(said);
                Profiles::new(&identities, &traits).read(&grant, subject("u1")).unwrap()
            };
            let one = read(&said);
            let n = order.index(said.len());
            said.rotate_left(n);
            said.reverse();
            prop_assert_eq!(one, read(&said));
        }
    }
}
