//! Asking Cedar.

use cedar_policy_core::ast::{Entity, PolicySet, Request};
use cedar_policy_core::authorizer::{Authorizer, Decision};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;

/// What Cedar says; ids of the policies that decided.
pub(crate) enum Said {
    Allowed(Vec<String>),
    /// None of them: nothing permits it.
    Denied(Vec<String>),
    /// A policy could not be evaluated.
    Failed(String),
}

/// Asks a set of policies.
pub(crate) struct Asker<'p> {
    policies: &'p PolicySet,
    authorizer: Authorizer,
}

impl<'p> Asker<'p> {
    pub(crate) fn new(policies: &'p PolicySet) -> Self {
        Self { policies, authorizer: Authorizer::new() }
    }

    pub(crate) fn ask(&self, caller: &Entity, request: Request) -> Said {
        // A caller's roles lie in nothing else: there is no closure to compute.
        let (closed, none) = (TCComputation::AssumeAlreadyComputed, Extensions::none());
        let entities = Entities::from_entities([caller.clone()], None::<&NoEntitiesSchema>, closed, none);
        let Ok(entities) = entities else { return Said::Failed("the caller is no entity".to_owned()) };
        let response = self.authorizer.is_authorized(request, self.policies, &entities);
        // LAW 3: a policy that cannot be evaluated may have been one that forbids.
        if let Some(error) = response.diagnostics.errors.first() {
            return Said::Failed(error.to_string());
        }
        let mut by: Vec<String> = response.diagnostics.reason.iter().map(ToString::to_string).collect();
        by.sort();
        match response.decision {
            Decision::Allow => Said::Allowed(by),
            Decision::Deny => Said::Denied(by),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Words;
    use cedar_policy_core::parser::parse_policyset;
    use policy::{Purposes, Scope};

    /// LAW 3: a policy that fails may have been one that forbids.
    #[test]
    fn what_cannot_be_judged_is_not_allowed() {
        let words = Words::new(&["admin".to_owned()], &Purposes::default());
        let caller = words.caller("anna", &["admin".into()]).unwrap();
        let ask = |text: &str| {
            let set = parse_policyset(text).unwrap();
            Asker::new(&set).ask(&caller, words.to_enter(&caller, Scope::Read).unwrap())
        };
        let permit = "permit (principal, action, resource);";
        assert!(matches!(ask(permit), Said::Allowed(by) if by.len() == 1));
        assert!(matches!(ask(""), Said::Denied(by) if by.is_empty()));
        let failing = "forbid (principal, action, resource) when { 9223372036854775807 + 1 == 0 };";
        assert!(
            matches!(ask(&format!("{permit}{failing}")), Said::Failed(said) if said.contains("overflow"))
        );
    }
}
