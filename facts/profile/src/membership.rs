//! Households, accounts, clubs: entities that people belong to, with a role, for a time.
//!
//! A membership is no identity: who shares a household is not one person. What is read about an entity is read over the
//! state of those who belong to it, as of the instant asked for, under a grant for each of them.

use std::collections::BTreeMap;

use event::{Instant, Record, RecordId, Subject};
use serde::{Deserialize, Serialize};
use store::{Emissions, Fold};

use crate::Identities;
use crate::link::LinkedId;

/// The stream of memberships, in the control partition. Payloads hold pseudonyms, types and roles only.
pub const MEMBERSHIPS: &str = "mr.memberships";

/// How many members an entity may have; whoever comes after is counted and left out.
pub const MOST_MEMBERS: usize = 1_000;
/// How many entities one subject may belong to; a further one is counted and left out.
pub const MOST_ENTITIES: usize = 1_000;
/// How many words are kept about one member of one entity. Where there are more, one that only repeats the word before it
/// goes; where none does, the oldest.
const MOST_WORDS: usize = 32;

/// The payload of `mr.memberships`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The household, the account: its type and its pseudonym.
    pub entity: LinkedId,
    /// Who belongs to it.
    pub member: LinkedId,
    /// False: no longer.
    pub belongs: bool,
    /// As what: `owner`, `child`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

impl Membership {
    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        // Strings and pseudonyms: there is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What was said of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Word {
    occurred_at: Instant,
    record: RecordId,
    known_at: Instant,
    belongs: bool,
    role: Option<Box<str>>,
}

impl Word {
    fn repeats(&self, other: &Word) -> bool {
        self.belongs == other.belongs && self.role == other.role && self.known_at >= other.known_at
    }
}

/// Makes room for a word more.
fn shorten(words: &mut Vec<Word>) {
    let repeated = words.windows(2).position(|pair| match pair {
        [before, word] => word.repeats(before),
        _ => false,
    });
    words.remove(repeated.map_or(0, |before| before + 1));
}

/// An entity: what was said of whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entity {
    kind: Box<str>,
    members: BTreeMap<Subject, Vec<Word>>,
    n_left_out: u64,
}

impl Entity {
    /// Who was ever said to belong to it.
    pub(crate) fn all(&self) -> impl Iterator<Item = Subject> {
        self.members.keys().copied()
    }

    /// Forgets what was said of a member; true where nobody is left.
    pub(crate) fn forget(&mut self, member: Subject) -> bool {
        self.members.remove(&member);
        self.members.is_empty()
    }
}

/// The entities of a subject, with their types.
pub(crate) type Belongs = BTreeMap<Subject, Box<str>>;

/// Somebody's place in an entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Belonging {
    /// The member, or the entity, whichever was not asked for.
    pub subject: Subject,
    /// The entity's type.
    pub kind: String,
    /// As what.
    pub role: Option<String>,
    /// Since when: the first of the words in a row that say so.
    pub since: Instant,
    /// The record that says so.
    pub record: RecordId,
}

impl Identities {
    /// Who belongs to an entity as of `t`: by words known and spoken by then, the latest of each counting.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn belonging_to(&self, entity: Subject, t: Instant) -> Result<Vec<Belonging>, store::Error> {
        let Some(found) = self.entities.peek(&entity)? else { return Ok(Vec::new()) };
        let place = |(member, words): (&Subject, &Vec<Word>)| place(*member, &found.kind, words, t);
        Ok(found.members.iter().filter_map(place).collect())
    }

    /// What a subject belongs to as of `t`.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn belongs_to(&self, member: Subject, t: Instant) -> Result<Vec<Belonging>, store::Error> {
        let mut places = Vec::new();
        for (entity, kind) in self.belongs.peek(&member)?.iter().flat_map(|all| all.iter()) {
            let found = self.entities.peek(entity)?;
            let words = found.as_ref().and_then(|found| found.members.get(&member));
            places.extend(words.and_then(|words| place(*entity, kind, words, t)));
        }
        Ok(places)
    }

    /// True where people were said to belong to it: it is nobody itself.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn is_entity(&self, subject: Subject) -> Result<bool, store::Error> {
        Ok(self.entities.peek(&subject)?.is_some())
    }

    /// How often somebody was left out of an entity: it has [`MOST_MEMBERS`] already, or they belong to [`MOST_ENTITIES`].
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn n_left_out_of(&self, entity: Subject) -> Result<u64, store::Error> {
        Ok(self.entities.peek(&entity)?.map_or(0, |found| found.n_left_out))
    }
}

fn place(subject: Subject, kind: &str, words: &[Word], t: Instant) -> Option<Belonging> {
    let mut since: Option<&Word> = None;
    for word in words.iter().filter(|word| word.known_at <= t && word.occurred_at <= t) {
        // Said again, it is so since it was said first.
        if !since.is_some_and(|said| said.belongs == word.belongs && said.role == word.role) {
            since = Some(word);
        }
    }
    let said = since.filter(|said| said.belongs)?;
    Some(Belonging {
        subject,
        kind: kind.to_owned(),
        role: said.role.as_deref().map(str::to_owned),
        since: said.occurred_at,
        record: said.record,
    })
}

/// Folds `mr.memberships`; other streams leave it untouched.
pub struct MembershipFold;

impl Fold<Record> for MembershipFold {
    type Tables = Identities;

    fn fold(&self, tables: &mut Identities, record: &Record, _: &mut Emissions) -> Result<(), store::Error> {
        if record.stream.as_str() != MEMBERSHIPS {
            return Ok(());
        }
        let Ok(said) = serde_json::from_slice::<Membership>(&record.payload.open) else { return Ok(()) };
        let (entity, member) = (said.entity.subject, said.member.subject);
        if entity.is_none() || member.is_none() || entity == member {
            return Ok(());
        }
        let word = Word {
            occurred_at: record.occurred_at.min(record.known_at),
            record: record.id,
            known_at: record.known_at,
            belongs: said.belongs,
            role: said.role.map(Into::into),
        };
        let places = tables.belongs.get(&member)?;
        let is_everywhere =
            places.is_some_and(|all| all.len() >= MOST_ENTITIES && !all.contains_key(&entity));
        let is_in = tables.entities.update(&entity, |found| {
            if found.kind.is_empty() {
                found.kind = said.entity.kind.as_str().into();
            }
            let is_full = found.members.len() >= MOST_MEMBERS && !found.members.contains_key(&member);
            if is_full || is_everywhere {
                found.n_left_out += 1;
                return false;
            }
            let words = found.members.entry(member).or_default();
            if words.iter().any(|known| known.record == word.record) {
                return true;
            }
            let order = |word: &Word| (word.occurred_at, word.record);
            let at = words.partition_point(|known| order(known) < order(&word));
            words.insert(at, word);
            if words.len() > MOST_WORDS {
                shorten(words);
            }
            true
        })?;
        if is_in {
            tables.belongs.update(&member, |all| {
                all.entry(entity).or_insert_with(|| said.entity.kind.as_str().into());
            })?;
        }
        Ok(())
    }
}
