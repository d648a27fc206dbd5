//! The policies in force, and what they decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy_core::ast::PolicySet;
use contract::{Classification, Finding, Severity};
use policy::{Action, Principal, Purposes, Scope};
use sha2::{Digest, Sha256};

use crate::cache::{Cache, Question};
use crate::classes::{self, Classes};
use crate::error::Error;
use crate::evaluate::{Asker, Said};
use crate::judge::judge;
use crate::names::{BUILT_IN_ROLES, GIVEN, HOUSE, MACHINE, OPERATOR, is_name};
use crate::read::{BUILT_IN, Collected, finding, short};
use crate::rule::Rule;
use crate::schema;
use crate::words::Words;

/// A project's roles and policies.
pub struct Roles {
    policies: PolicySet,
    rules: BTreeMap<String, Rule>,
    roles: Vec<String>,
    purposes: Purposes,
    schema: String,
    version: String,
    words: Words,
    cache: Cache,
}

/// What is asked of the policies, for a test or a person who wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To use data.
    Use {
        /// What with it.
        action: Action,
        /// For what.
        purpose: String,
        /// Of which class.
        classes: Classes,
    },
    /// To come in.
    Enter(Scope),
}

impl Asked {
    /// To use data, from words.
    ///
    /// # Errors
    /// What is no action, or no class.
    pub fn use_of(action: &str, purpose: &str, classes: &[String]) -> Result<Self, String> {
        let known = schema::ACTIONS.into_iter().find(|known| known.as_str() == action);
        let action = known.ok_or_else(|| {
            let known = schema::ACTIONS.map(Action::as_str).join(", ");
            format!("`{}` is no action: {known} is expected", short(action))
        })?;
        let mut all = Classes::default();
        for text in classes {
            let class = classes::class(text).ok_or_else(|| {
                format!("`{}` is no class: public, internal, personal or special is expected", short(text))
            })?;
            all = all.with(class);
        }
        if all.is_empty() {
            return Err("which class of fields? public, internal, personal or special".to_owned());
        }
        Ok(Self::Use { action, purpose: purpose.to_owned(), classes: all })
    }
}

/// What the policies say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// True where it is allowed.
    pub allowed: bool,
    /// The class of fields that is not allowed.
    pub denied: Option<Classification>,
    /// Ids of the policies that decided: those that forbid it, or permit it. None permits: empty.
    pub by: Vec<String>,
    /// A policy that could not be evaluated; then nothing is allowed.
    pub failed: Option<String>,
}

impl Roles {
    /// Reads the policies of a project beside the built-in ones.
    ///
    /// * `files`: name relative to the project and text of each `policies/*.cedar`
    /// * `own`: roles that the project adds
    ///
    /// What is wrong comes as findings; with an error among them the policies must not be used, and what is given
    /// then are the built-in ones alone.
    pub fn read(files: &[(String, String)], own: &[String], purposes: &Purposes) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let roles = named(own, &mut findings);
        let text = schema::text(&roles, purposes);
        let words = Words::new(&roles, purposes);
        let mut all = Collected::new();
        for (file, text) in BUILT_IN {
            all.add(file, text, &mut findings);
        }
        for (file, text) in files {
            for policy in all.add(file, text, &mut findings) {
                if let Some(rule) = all.rules.get(&policy.id().to_string()) {
                    judge(&policy, rule, text, &words, &roles, &mut findings);
                }
            }
        }
        let is_broken = findings.iter().any(Finding::is_error);
        if is_broken && !(files.is_empty() && own.is_empty()) {
            let (built_in, _) = Self::read(&[], &[], purposes);
            return (built_in, findings);
        }
        let version = version(&text, files);
        let cache = Cache::default();
        let (policies, rules, purposes) = (all.set, all.rules, purposes.clone());
        (Self { policies, rules, roles, purposes, schema: text, version, words, cache }, findings)
    }

    /// The built-in policies alone.
    pub fn built_in(purposes: &Purposes) -> Self {
        Self::read(&[], &[], purposes).0
    }

    /// May this caller do this for this purpose with fields of these classes? Every class must be allowed.
    ///
    /// A purpose that the project does not know is denied.
    pub fn may(&self, who: &Principal, action: Action, purpose: &str, classes: Classes) -> Arc<Decision> {
        // Whatever is known of a person is at least not for outsiders.
        let classes = if classes.is_empty() { Classes::INTERNAL } else { classes };
        let derived;
        let roles = if who.roles().is_empty() {
            derived = [Box::from(derived_role(who))];
            &derived[..]
        } else {
            who.roles()
        };
        let question = Question { name: who.name(), roles, action, purpose, classes };
        if let Some(known) = self.cache.get(&question) {
            return known;
        }
        let decision = Arc::new(self.decide(&question));
        // Unknown purposes are whatever somebody types: they are not remembered.
        if self.words.context(purpose).is_some() {
            self.cache.put(&question, &decision);
        }
        decision
    }

    /// As [`Roles::may`], without what was decided before: for measuring.
    pub fn may_anew(&self, who: &Principal, action: Action, purpose: &str, classes: Classes) -> Decision {
        let roles = self.roles_of(who);
        self.decide(&Question { name: who.name(), roles: &roles, action, purpose, classes })
    }

    /// As [`Roles::may`]; a denial as an error in the caller's words.
    ///
    /// # Errors
    /// [`Error::Denied`]
    pub fn require(
        &self,
        who: &Principal,
        action: Action,
        purpose: &str,
        classes: Classes,
    ) -> Result<(), Error> {
        let decision = self.may(who, action, purpose, classes);
        if decision.allowed {
            return Ok(());
        }
        let (roles, class) =
            (self.roles_of(who).join(", "), decision.denied.map_or("any", Classification::as_str));
        let reason = format!(
            "`{}` ({roles}) may not {} {class} fields for `{}`: {}",
            short(who.name()),
            action.as_str(),
            short(purpose),
            self.why(&decision)
        );
        Err(Error::Denied { reason })
    }

    /// May this caller come in by this door?
    pub fn enter(&self, who: &Principal, door: Scope) -> Decision {
        let caller = self.words.caller(who.name(), &self.roles_of(who));
        let asked = caller.and_then(|caller| Some((self.words.to_enter(&caller, door)?, caller)));
        match asked {
            Some((request, caller)) => Decision::of(Asker::new(&self.policies).ask(&caller, request)),
            None => Decision::no(),
        }
    }

    /// As [`Roles::enter`]; a denial as an error.
    ///
    /// # Errors
    /// [`Error::Denied`]
    pub fn require_entry(&self, who: &Principal, door: Scope) -> Result<(), Error> {
        let decision = self.enter(who, door);
        if decision.allowed {
            return Ok(());
        }
        let (name, roles) = (short(who.name()), self.roles_of(who).join(", "));
        let why = self.why(&decision);
        let reason = format!("`{name}` ({roles}) may not enter by the door `{}`: {why}", door.as_str());
        Err(Error::Denied { reason })
    }

    /// Asks what may be asked.
    pub fn answer(&self, who: &Principal, asked: &Asked) -> Decision {
        match asked {
            Asked::Enter(door) => self.enter(who, *door),
            Asked::Use { action, purpose, classes } => self.may_anew(who, *action, purpose, *classes),
        }
    }

    /// The caller with the doors that its roles open, and no others. One that came with scopes keeps at most those.
    #[must_use]
    pub fn admit(&self, who: Principal) -> Principal {
        let open = Scope::ALL.into_iter().filter(|door| who.has(*door) && self.enter(&who, *door).allowed);
        let open: Vec<Scope> = open.collect();
        Principal::exactly(who.name(), open).with_roles(who.roles().iter().map(|role| role.to_string()))
    }

    /// A person with these roles.
    ///
    /// # Errors
    /// [`Error::UnknownRole`]
    pub fn person(&self, name: &str, roles: &[String]) -> Result<Principal, Error> {
        for role in roles {
            self.check_role(role)?;
        }
        Ok(self.admit(Principal::new(name, Scope::ALL).with_roles(roles.iter().cloned())))
    }

    /// Whoever has the command line.
    pub fn operator(name: &str) -> Principal {
        Principal::new(name, Scope::ALL).with_roles([OPERATOR])
    }

    /// A part of the house.
    pub fn part(name: &str, scopes: &[Scope]) -> Principal {
        Principal::new(name, scopes.iter().copied()).with_roles([HOUSE])
    }

    /// That a person or a key may be given this role.
    ///
    /// # Errors
    /// [`Error::UnknownRole`]
    pub fn check_role(&self, role: &str) -> Result<(), Error> {
        let known = self.roles.iter().filter(|known| !GIVEN.contains(&known.as_str()));
        if known.clone().any(|known| known == role) {
            return Ok(());
        }
        Err(Error::UnknownRole { role: short(role), known: known.cloned().collect() })
    }

    /// The roles that count for a caller: its own, or what follows from its scopes.
    pub fn roles_of(&self, who: &Principal) -> Vec<Box<str>> {
        if who.roles().is_empty() { vec![derived_role(who).into()] } else { who.roles().to_vec() }
    }

    /// Every policy, built-in ones first.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        let is_ours = |rule: &&Rule| rule.file.starts_with("built-in/");
        let (ours, theirs): (Vec<&Rule>, Vec<&Rule>) = self.rules.values().partition(is_ours);
        ours.into_iter().chain(theirs)
    }

    /// The policy with this id.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    /// Every role there is; a person or key may be given those that [`Roles::check_role`] lets through.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// The purposes that policies know.
    pub fn purposes(&self) -> &Purposes {
        &self.purposes
    }

    /// The Cedar schema that policies are held against.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Names these policies: what differs in a letter is another version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A decision's reasons in words.
    pub fn why(&self, decision: &Decision) -> String {
        if let Some(failed) = &decision.failed {
            return format!("a policy could not be evaluated, so nothing is allowed: {failed}");
        }
        let places: Vec<String> =
            decision.by.iter().filter_map(|id| self.rules.get(id)).map(Rule::place).collect();
        match (decision.allowed, places.is_empty()) {
            (true, _) => format!("permitted by {}", places.join(", ")),
            (false, true) => "no policy permits it".to_owned(),
            (false, false) => format!("forbidden by {}", places.join(", ")),
        }
    }

    fn decide(&self, question: &Question<'_>) -> Decision {
        let words = &self.words;
        let (Some(context), Some(caller)) =
            (words.context(question.purpose), words.caller(question.name, question.roles))
        else {
            return Decision::no();
        };
        let asker = Asker::new(&self.policies);
        let (mut by, mut is_asked) = (Vec::new(), false);
        for class in question.classes.iter() {
            let Some(request) = words.to_use(&caller, question.action, class, context) else {
                return Decision::no();
            };
            let decision = Decision::of(asker.ask(&caller, request));
            if !decision.allowed {
                return Decision { denied: Some(class), ..decision };
            }
            by.extend(decision.by);
            is_asked = true;
        }
        by.sort();
        by.dedup();
        Decision { allowed: is_asked, denied: None, by, failed: None }
    }
}

impl Decision {
    fn of(said: Said) -> Self {
        match said {
            Said::Allowed(by) => Self { allowed: true, denied: None, by, failed: None },
            Said::Denied(by) => Self { allowed: false, denied: None, by, failed: None },
            Said::Failed(reason) => Self { failed: Some(reason), ..Self::no() },
        }
    }

    /// Nothing permits it.
    fn no() -> Self {
        Self { allowed: false, denied: None, by: Vec::new(), failed: None }
    }
}

/// What a caller without a role counts as: what it does is limited by its scopes anyway.
fn derived_role(who: &Principal) -> &'static str {
    if who.has(Scope::Admin) {
        return "admin";
    }
    let brings = Scope::ALL.into_iter().filter(|scope| who.has(*scope));
    let mut brings = brings.peekable();
    if brings.peek().is_some() && brings.all(|scope| matches!(scope, Scope::Track | Scope::Consent)) {
        return "source";
    }
    MACHINE
}

fn named(own: &[String], findings: &mut Vec<Finding>) -> Vec<String> {
    let mut roles: Vec<String> = BUILT_IN_ROLES.iter().chain(&GIVEN).map(|role| (*role).to_owned()).collect();
    for role in own {
        let wrong = if roles.contains(role) {
            Some("is there already")
        } else if is_name(role) {
            None
        } else {
            Some("is no name: lower-case letters, digits and `_`, a letter first, at most 64")
        };
        match wrong {
            Some(wrong) => {
                let message = format!("[policies] roles: `{}` {wrong}", short(role));
                findings.push(finding("MR3405", Severity::Error, "maschinenraum.toml", 1, message));
            }
            None => roles.push(role.clone()),
        }
    }
    roles
}

fn version(schema: &str, files: &[(String, String)]) -> String {
    let mut hash = Sha256::new();
    let built_in = BUILT_IN.iter().map(|(file, text)| (*file, *text));
    let theirs = files.iter().map(|(file, text)| (file.as_str(), text.as_str()));
    for (file, text) in built_in.chain(theirs).chain([("schema", schema)]) {
        for part in [file, text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
