//! The entities that policies speak of, and questions built of them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::str::FromStr;

use cedar_policy_core::ast::{
    Context, Eid, Entity, EntityType, EntityUID, EntityUIDEntry, Request, RestrictedExpr,
};
use cedar_policy_core::extensions::Extensions;
use contract::Classification;
use policy::{Action, LegalBasis, Purposes, Scope};

use crate::classes;
use crate::schema;

/// Every entity's name, read once.
pub(crate) struct Words {
    caller: EntityType,
    roles: HashMap<Box<str>, EntityUID>,
    classes: [EntityUID; 4],
    doors: HashMap<Scope, EntityUID>,
    actions: HashMap<Action, EntityUID>,
    /// For each purpose what a policy sees of it.
    contexts: HashMap<Box<str>, Context>,
    enter: EntityUID,
    /// Type and names; of callers any name counts.
    known: HashMap<&'static str, BTreeSet<String>>,
}

impl Words {
    pub(crate) fn new(roles: &[String], purposes: &Purposes) -> Self {
        let doors = Scope::ALL.into_iter().map(|door| (door, uid("Door", door.as_str())));
        let actions = schema::ACTIONS.into_iter().map(|action| (action, uid("Action", action.as_str())));
        let contexts = purposes.names().filter_map(|purpose| {
            let basis = purposes.basis(purpose)?;
            Some((Box::from(purpose), context(purpose, basis)?))
        });
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let mut acts: Vec<&str> = schema::ACTIONS.into_iter().map(Action::as_str).collect();
        acts.push(schema::ENTER);
        let known = HashMap::from([
            ("Role", roles.iter().cloned().collect()),
            ("Class", names(&classes::ALL.map(Classification::as_str))),
            ("Purpose", purposes.names().map(str::to_owned).collect()),
            ("Basis", names(&LegalBasis::ALL.map(LegalBasis::as_str))),
            ("Door", names(&Scope::ALL.map(Scope::as_str))),
            ("Action", names(&acts)),
            ("Caller", BTreeSet::new()),
        ]);
        Self {
            caller: type_of("Caller"),
            roles: roles.iter().map(|role| (role.as_str().into(), uid("Role", role))).collect(),
            classes: classes::ALL.map(|class| uid("Class", class.as_str())),
            doors: doors.collect(),
            actions: actions.collect(),
            contexts: contexts.collect(),
            enter: uid("Action", schema::ENTER),
            known,
        }
    }

    /// What a policy sees of a purpose; `None` where the project does not know it.
    pub(crate) fn context(&self, purpose: &str) -> Option<&Context> {
        self.contexts.get(purpose)
    }

    /// What policies see of each purpose.
    pub(crate) fn contexts(&self) -> impl Iterator<Item = &Context> {
        self.contexts.values()
    }

    /// What may be called so: `None` where there is no such type.
    pub(crate) fn of_type(&self, kind: &str) -> Option<&BTreeSet<String>> {
        self.known.get(kind)
    }

    /// A caller in roles; `None` where one of them is none of the project's.
    pub(crate) fn caller(&self, name: &str, roles: &[Box<str>]) -> Option<Entity> {
        let parents: Option<HashSet<EntityUID>> =
            roles.iter().map(|role| self.roles.get(role).cloned()).collect();
        let uid = EntityUID::from_components(self.caller.clone(), Eid::new(name), None);
        Some(Entity::new_with_attr_partial_value(uid, [], HashSet::new(), parents?, []))
    }

    /// May it be done with fields of this class?
    pub(crate) fn to_use(
        &self,
        caller: &Entity,
        action: Action,
        class: Classification,
        context: &Context,
    ) -> Option<Request> {
        let place = classes::ALL.iter().position(|known| *known == class)?;
        Some(request(caller, self.actions.get(&action)?, self.classes.get(place)?, context.clone()))
    }

    /// May it come in?
    pub(crate) fn to_enter(&self, caller: &Entity, door: Scope) -> Option<Request> {
        Some(request(caller, &self.enter, self.doors.get(&door)?, Context::empty()))
    }
}

fn request(caller: &Entity, action: &EntityUID, resource: &EntityUID, context: Context) -> Request {
    let known = |uid: &EntityUID| EntityUIDEntry::known(uid.clone(), None);
    Request::new_unchecked(known(caller.uid()), known(action), known(resource), Some(context))
}

fn context(purpose: &str, basis: LegalBasis) -> Option<Context> {
    let pairs = [("purpose", uid("Purpose", purpose)), ("basis", uid("Basis", basis.as_str()))];
    let pairs = pairs.map(|(name, uid)| (name.into(), RestrictedExpr::val(uid)));
    Context::from_pairs(pairs, Extensions::none()).ok()
}

fn uid(kind: &str, id: &str) -> EntityUID {
    EntityUID::from_components(type_of(kind), Eid::new(id), None)
}

#[allow(clippy::expect_used, reason = "the words of this file, all of them Cedar's identifiers")]
fn type_of(kind: &str) -> EntityType {
    EntityType::from_str(kind).expect("an identifier")
}
