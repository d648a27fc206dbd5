//! The identity graph by hand: who is merged, parted, taken out; households and accounts; and why somebody is somebody.

use std::collections::BTreeSet;

use event::{Instant, RecordId, Subject};
use feature::Values;
use policy::{Action, Principal};
use profile::{
    Act, Belonging, Deed, Done, Edge, LinkedId, MEMBERSHIPS, MERGES, Member, Membership, Profiles, Shared,
};
use serde::Serialize;

use crate::Error;
use crate::house::{House, Identifier};
use crate::rooms::Rooms;

/// How many identifiers a profile may have after a merge by hand.
const MOST_MEMBERS: usize = 256;
/// The longest name of whoever acts, and the longest reference.
const MOST_CHARS: usize = 64;

/// What became of an act by hand.
#[derive(Clone, Debug, Serialize)]
pub struct Acted {
    /// The record of the act; it is what an act that takes it back names.
    pub record: RecordId,
    /// The profile of the first identifier now.
    pub profile: Subject,
    /// Its members now.
    pub members: Vec<Subject>,
    /// True where the two are one profile now.
    pub together: bool,
}

/// Why a profile is as it is.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// The profile's name.
    pub profile: Subject,
    /// What it was read as of; none: now.
    pub at: Option<Instant>,
    /// Each member, and what holds it.
    pub members: Vec<Held>,
    /// What it belongs to.
    pub belongs_to: Vec<Belonging>,
}

/// What holds one member to its profile.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// The member.
    #[serde(flatten)]
    pub member: Member,
    /// The links from the identifier that was asked for; none where it is that one, or where a hand put it there.
    pub links: Vec<Edge>,
    /// What hands did to it, standing or taken back.
    pub by_hand: Vec<Done>,
    /// How often it was left out of other profiles because a limit would have been broken: a shared device, a
    /// switchboard's number.
    pub shared: Shared,
}

/// Who belongs to a household or an account.
#[derive(Clone, Debug, Serialize)]
pub struct MembersOf {
    /// The entity, a pseudonym.
    pub entity: Subject,
    /// As of when.
    pub at: Instant,
    /// Those who may be read for the purpose.
    pub members: Vec<Belonging>,
    /// How many may not.
    pub n_withheld: usize,
    /// How often somebody was left out because the entity has as many members as it may have.
    pub n_left_out: u64,
}

impl House {
    /// Says that two identifiers are one person, whatever links and limits say. State stays where it is: from now on it
    /// is read together.
    ///
    /// # Errors
    /// [`profile::Error::Together`] where they are one profile already; [`profile::Error::TooMany`];
    /// [`Error::BadIdentifier`]; [`Error::UnknownType`] for a type that names no people here.
    pub fn merge(&self, a: &Identifier, b: &Identifier, by: &str, reference: &str) -> Result<Acted, Error> {
        let (first, second) = (self.known_type(a)?, self.known_type(b)?);
        let (one, other) = (self.members(first.subject)?, self.members(second.subject)?);
        if one.subjects.contains(&second.subject) {
            return Err(profile::Error::Together { a: first.subject, b: second.subject }.into());
        }
        let n = one.subjects.len() + other.subjects.len();
        if n > MOST_MEMBERS {
            return Err(profile::Error::TooMany { n, most: MOST_MEMBERS }.into());
        }
        // Whoever decides for one of them at this moment comes first (LAW 7: caps of both count from here on).
        let members: Vec<Subject> = one.subjects.iter().chain(&other.subjects).copied().collect();
        let _turns = self.turns(&members);
        self.act(Deed::Merge, vec![first, second], None, by, reference)
    }

    /// Takes back what put two profiles together by hand: both are as if it had never been.
    ///
    /// # Errors
    /// [`profile::Error::NothingByHand`] where no hand put them together.
    pub fn unmerge(&self, a: &Identifier, b: &Identifier, by: &str, reference: &str) -> Result<Acted, Error> {
        let (first, second) = (self.known_type(a)?, self.known_type(b)?);
        let together = self.members(first.subject)?;
        let apart = || profile::Error::NothingByHand { a: first.subject, b: second.subject };
        if !together.subjects.contains(&second.subject) {
            return Err(apart().into());
        }
        let _turns = self.turns(&together.subjects);
        // Named by any identifier of either side: the hand's work lies between one that links hold to the first and one
        // that links hold to the second.
        let side = |of: Subject, member: Subject| -> Result<bool, Error> {
            let links = |rooms: &Rooms| rooms.identities.links(of, member, None);
            Ok(of == member || !self.in_control(links)?.is_empty())
        };
        let mut chosen = None;
        for member in &together.subjects {
            if !side(first.subject, *member)? {
                continue;
            }
            for done in self.in_control(|rooms| rooms.identities.done_to(*member))? {
                if let (true, Some(other)) = (done.stands(None), done.other)
                    && side(second.subject, other)?
                {
                    chosen = Some((done.record, *member, other));
                }
            }
        }
        let (undone, x, y) = chosen.ok_or_else(apart)?;
        let named = |subject| LinkedId { kind: String::new(), subject };
        let ids = vec![named(x), named(y)];
        let mut acted = self.act(Deed::Merge, ids, Some(undone), by, reference)?;
        let now = self.members(self.subject(a)?)?;
        acted.together = now.subjects.contains(&self.subject(b)?);
        (acted.profile, acted.members) = (now.id, now.subjects);
        Ok(acted)
    }

    /// Takes an identifier out of its profile, whatever links say: a shared device, a switchboard's number.
    ///
    /// # Errors
    /// [`profile::Error::Out`] where it is out already; [`Error::UnknownType`] for a type that names no people
    /// here.
    pub fn split(&self, id: &Identifier, by: &str, reference: &str) -> Result<Acted, Error> {
        let id = self.known_type(id)?;
        if self.standing_split(id.subject)?.is_some() {
            return Err(profile::Error::Out { subject: id.subject }.into());
        }
        let _turns = self.turns(&self.members(id.subject)?.subjects);
        self.act(Deed::Split, vec![id], None, by, reference)
    }

    /// Lets an identifier back in that was taken out by hand.
    ///
    /// # Errors
    /// [`profile::Error::NothingByHand`] where it was not.
    pub fn rejoin(&self, id: &Identifier, by: &str, reference: &str) -> Result<Acted, Error> {
        let id = self.known_type(id)?;
        let undone = self
            .standing_split(id.subject)?
            .ok_or(profile::Error::NothingByHand { a: id.subject, b: id.subject })?;
        let _turns = self.turns(&self.members(id.subject)?.subjects);
        self.act(Deed::Split, vec![id], Some(undone), by, reference)
    }

    /// Why a person's profile is as it is: for each member the links that hold it, what hands did, and what is shared.
    ///
    /// # Errors
    /// [`Error::Denied`] without a grant for every member; [`Error::ToCome`]
    pub fn explain_profile(
        &self,
        principal: &Principal,
        identifier: &Identifier,
        purpose: &str,
        at: Option<Instant>,
    ) -> Result<Explained, Error> {
        if let Some(at) = at {
            self.not_to_come(at)?;
        }
        let subject = self.subject(identifier)?;
        let t = at.unwrap_or_else(|| self.clock().settled());
        let whole = match at {
            Some(at) => self.in_control(|rooms| rooms.identities.members_as_of(subject, at))?,
            None => self.members(subject)?,
        };
        let consents = self.purposes();
        let now = self.clock().settled();
        let grant =
            policy::authorize(principal, Action::ReadProfile, purpose, &whole.subjects, self, consents, now)?;
        let look = |rooms: &Rooms| Ok(Profiles::new(&rooms.identities, self).read_as_of(&grant, subject, at));
        let found = self.in_control(look)??;
        self.audit_look(
            "person.explain",
            principal,
            purpose,
            Some(subject),
            serde_json::json!({ "at": at }),
        )?;
        let mut members = Vec::new();
        for member in found.members {
            let links = self.in_control(|rooms| rooms.identities.links(subject, member.subject, at))?;
            let by_hand = self.in_control(|rooms| rooms.identities.done_to(member.subject))?;
            let shared = self.in_control(|rooms| rooms.identities.shared(member.subject))?;
            members.push(Held { member, links, by_hand, shared });
        }
        let belongs_to = self.in_control(|rooms| {
            let mut all = Vec::new();
            for member in &whole.subjects {
                all.extend(rooms.identities.belongs_to(*member, t)?);
            }
            Ok(all)
        })?;
        Ok(Explained { profile: found.id, at, members, belongs_to })
    }

    /// Says that somebody belongs to a household, an account, or no longer.
    ///
    /// * `occurred_at`: since when; `None`: now
    ///
    /// # Errors
    /// [`Error::BadIdentifier`]; [`Error::UnknownType`] where one of the two is of no type that the project has;
    /// [`Error::ToCome`]
    pub fn belongs(
        &self,
        entity: &Identifier,
        member: &Identifier,
        belongs: bool,
        role: Option<&str>,
        occurred_at: Option<Instant>,
    ) -> Result<RecordId, Error> {
        if let Some(at) = occurred_at {
            self.not_to_come(at)?;
        }
        let (entity, member) = (self.known_entity(entity)?, self.known_type(member)?);
        let role = role.map(short).filter(|role| !role.is_empty());
        let said_at = occurred_at.unwrap_or_else(|| self.now());
        let payload = Membership { entity, member, belongs, role }.to_payload();
        let mut key = payload.clone();
        key.extend_from_slice(&said_at.micros().to_be_bytes());
        let id = RecordId::external(MEMBERSHIPS, &key);
        self.append_system(MEMBERSHIPS, Subject::NONE, id, Some(said_at), payload)?;
        Ok(id)
    }

    /// Who belongs to a household or an account as of an instant (now for `None`), for a purpose.
    ///
    /// # Errors
    /// [`Error::BadIdentifier`], [`Error::UnknownType`], [`Error::ToCome`], [`Error::Denied`]
    pub fn members_of(
        &self,
        principal: &Principal,
        entity: &Identifier,
        purpose: &str,
        at: Option<Instant>,
    ) -> Result<MembersOf, Error> {
        if let Some(at) = at {
            self.not_to_come(at)?;
        }
        let now = self.clock().settled();
        let at = at.unwrap_or(now);
        let places = self.belonging(entity, Some(at))?;
        let entity = self.subject(entity)?;
        let profiles = places.iter().map(|place| Ok(self.members(place.subject)?.subjects));
        let profiles = profiles.collect::<Result<Vec<_>, Error>>()?;
        let action = Action::ReadProfile;
        let asked =
            policy::authorize_many(principal, action, purpose, &profiles, self, self.purposes(), now)?;
        // LAW 3: whoever said no is counted and not named.
        let n_all = places.len();
        let is_permitted = |all: &Vec<Subject>| all.iter().all(|member| asked.grant.permits(*member));
        let permitted = places.into_iter().zip(&profiles).filter(|(_, all)| is_permitted(all));
        let members: Vec<Belonging> = permitted.map(|(place, _)| place).collect();
        let n_left_out = self.in_control(|rooms| rooms.identities.n_left_out_of(entity))?;
        Ok(MembersOf { entity, at, n_withheld: n_all - members.len(), members, n_left_out })
    }

    /// The same without a grant, for whoever asks for one next.
    ///
    /// # Errors
    /// [`Error::BadIdentifier`], [`Error::UnknownType`]
    pub(crate) fn belonging(
        &self,
        entity: &Identifier,
        at: Option<Instant>,
    ) -> Result<Vec<Belonging>, Error> {
        let entity = self.known_entity(entity)?.subject;
        let at = at.unwrap_or_else(|| self.clock().settled());
        self.in_control(|rooms| rooms.identities.belonging_to(entity, at))
    }

    /// Values of feature views over everybody who belongs to a household or an account now, for a purpose.
    ///
    /// # Errors
    /// [`Error::NotFound`] where nobody belongs to it; [`Error::Denied`] where one of them said no; as
    /// [`House::features`].
    pub fn entity_features(
        &self,
        principal: &Principal,
        entity: &Identifier,
        purpose: &str,
        views: &[String],
    ) -> Result<(Instant, Vec<Values>), Error> {
        let at = self.clock().settled();
        let mut members = BTreeSet::new();
        for place in self.belonging(entity, Some(at))? {
            members.extend(self.members(place.subject)?.subjects);
        }
        let members: Vec<Subject> = members.into_iter().collect();
        if members.is_empty() {
            let id = entity.kind.chars().take(MOST_CHARS).collect();
            return Err(Error::NotFound { what: "member of this", id });
        }
        // LAW 3: every member of every profile, or none.
        let grant =
            policy::authorize(principal, Action::ReadFeatures, purpose, &members, self, self.purposes(), at)?;
        let nothing = feature::Context::default();
        let mut all = crate::segments::Person::new(self, &grant, &members, at);
        let values = views.iter().map(|name| all.view(self.view(name)?, &nothing));
        let values = values.collect::<Result<_, Error>>()?;
        Ok((at, values))
    }

    fn linked(&self, identifier: &Identifier) -> Result<LinkedId, Error> {
        Ok(LinkedId { kind: identifier.kind.clone(), subject: self.subject(identifier)? })
    }

    /// Of a type of person that a contract or `[identity]` names: a misspelt type would put a person together with nobody.
    fn known_type(&self, identifier: &Identifier) -> Result<LinkedId, Error> {
        let rules = &self.project().rules;
        let fields = self.project().contracts.iter().flat_map(|contract| &contract.fields);
        let mut known: BTreeSet<&String> = fields.filter_map(|field| field.identifier.as_ref()).collect();
        known.extend(rules.priority.iter().chain(rules.limits.keys()));
        known.retain(|kind| !rules.is_entity(kind));
        self.of_type("person", identifier, known)
    }

    /// Of a type of entity that `[identity]` names.
    fn known_entity(&self, identifier: &Identifier) -> Result<LinkedId, Error> {
        self.of_type("entity", identifier, self.project().rules.entities.iter().collect())
    }

    fn of_type(
        &self,
        what: &'static str,
        identifier: &Identifier,
        known: BTreeSet<&String>,
    ) -> Result<LinkedId, Error> {
        if known.contains(&identifier.kind) {
            return self.linked(identifier);
        }
        let known = known.into_iter().cloned().collect();
        Err(Error::UnknownType { what, kind: short(&identifier.kind), known })
    }

    fn standing_split(&self, subject: Subject) -> Result<Option<RecordId>, Error> {
        let done = self.in_control(|rooms| rooms.identities.done_to(subject))?;
        Ok(done.iter().find(|done| done.other.is_none() && done.stands(None)).map(|done| done.record))
    }

    fn act(
        &self,
        deed: Deed,
        ids: Vec<LinkedId>,
        undoes: Option<RecordId>,
        by: &str,
        reference: &str,
    ) -> Result<Acted, Error> {
        let (first, second) = (ids.first().map(|id| id.subject), ids.get(1).map(|id| id.subject));
        let act = Act { deed, ids, undoes, by: short(by), reference: short(reference) };
        let payload = act.to_payload();
        let mut key = payload.clone();
        key.extend_from_slice(&self.now().micros().to_be_bytes());
        let record = RecordId::external(MERGES, &key);
        let entry = crate::auditing::of_merge(&act, record);
        self.append_audited(&entry, MERGES, Subject::NONE, record, None, payload)?;
        let members = self.members(first.unwrap_or(Subject::NONE))?;
        let together = second.is_some_and(|second| members.subjects.contains(&second));
        Ok(Acted { record, profile: members.id, members: members.subjects, together })
    }
}

/// What people wrote, without control characters and no longer than it may be.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MOST_CHARS).collect()
}
