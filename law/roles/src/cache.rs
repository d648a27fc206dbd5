//! Decisions that were made, for as long as the policies stand.

use std::sync::Arc;

use parking_lot::RwLock;
use policy::Action;
use rustc_hash::{FxHashMap, FxHasher};

use crate::classes::Classes;
use crate::roles::Decision;

/// Decisions remembered at once; then all are forgotten and made anew.
const MOST: usize = 16_384;

/// What a decision depends on, and all it depends on.
struct Key {
    name: Box<str>,
    roles: Box<[Box<str>]>,
    action: Action,
    purpose: Box<str>,
    classes: Classes,
}

/// The question that a decision answers, borrowed.
#[derive(Clone, Copy)]
pub(crate) struct Question<'q> {
    pub name: &'q str,
    pub roles: &'q [Box<str>],
    pub action: Action,
    pub purpose: &'q str,
    pub classes: Classes,
}

impl Question<'_> {
    fn hash(&self) -> u64 {
        use std::hash::{Hash, Hasher};
        let mut hasher = FxHasher::default();
        (self.name, self.roles, self.action, self.purpose, self.classes).hash(&mut hasher);
        hasher.finish()
    }

    /// The hash says where to look; what counts is that the words are the same.
    fn is(&self, key: &Key) -> bool {
        *self.name == *key.name
            && *self.roles == *key.roles
            && self.action == key.action
            && *self.purpose == *key.purpose
            && self.classes == key.classes
    }

    fn key(&self) -> Key {
        Key {
            name: self.name.into(),
            roles: self.roles.into(),
            action: self.action,
            purpose: self.purpose.into(),
            classes: self.classes,
        }
    }
}

#[derive(Default)]
struct Held {
    by_hash: FxHashMap<u64, Vec<(Key, Arc<Decision>)>>,
    n: usize,
}

/// Decisions by question. Policies do not change under it: other policies are another [`Roles`](crate::Roles).
#[derive(Default)]
pub(crate) struct Cache(RwLock<Held>);

impl Cache {
    pub(crate) fn get(&self, question: &Question<'_>) -> Option<Arc<Decision>> {
        let held = self.0.read();
        let found = held.by_hash.get(&question.hash())?.iter().find(|(key, _)| question.is(key))?;
        Some(found.1.clone())
    }

    pub(crate) fn put(&self, question: &Question<'_>, decision: &Arc<Decision>) {
        let mut held = self.0.write();
        if held.n >= MOST {
            *held = Held::default();
        }
        let list = held.by_hash.entry(question.hash()).or_default();
        if list.iter().any(|(key, _)| question.is(key)) {
            return;
        }
        list.push((question.key(), decision.clone()));
        held.n += 1;
    }
}
