//! The one place where a grant is made.

use std::collections::BTreeSet;

use event::{Instant, Subject};

use crate::weigh::Question;
use crate::{Action, ConsentView, Denied, Grant, Principal, PurposeRule, Purposes};

/// A grant over many profiles.
#[derive(Debug)]
pub struct Bulk {
    /// Over the members of all profiles that may be used.
    pub grant: Grant,
    /// Profiles left out because a member said no.
    pub n_refused: usize,
    /// Profiles left out because nobody in them said yes.
    pub n_without_consent: usize,
}

/// Grants `principal` to do `action` for `purpose` with the data of one profile's members, or says why not.
///
/// * `subjects`: all members of the profile; one that said no denies it for all of them
/// * `now`: the instant the grant is issued
///
/// # Errors
/// [`Denied`], which is the answer unless everything says yes.
pub fn authorize(
    principal: &Principal,
    action: Action,
    purpose: &str,
    subjects: &[Subject],
    consents: &dyn ConsentView,
    purposes: &Purposes,
    now: Instant,
) -> Result<Grant, Denied> {
    authorize_on(principal, action, purpose, None, subjects, consents, purposes, now)
}

/// As [`authorize`], for what reaches the person by a channel: then the consent must be for that channel, and what UWG
/// § 7 demands of it must be there.
///
/// * `channel`: `email`, `phone`, …; `None`: the purpose as a whole
///
/// # Errors
/// As [`authorize`].
#[allow(clippy::too_many_arguments, reason = "each is one of the things that a grant depends on")]
pub fn authorize_on(
    principal: &Principal,
    action: Action,
    purpose: &str,
    channel: Option<&str>,
    subjects: &[Subject],
    consents: &dyn ConsentView,
    purposes: &Purposes,
    now: Instant,
) -> Result<Grant, Denied> {
    let rule = check_request(principal, action, purpose, purposes)?;
    consents.may(principal, action, purpose)?;
    let members = sorted(subjects.to_vec());
    let question = Question { action, purpose, channel, rule, purposes, now };
    let consent_epoch = question.ask(&members, consents)?.epoch;
    Ok(Grant::new(principal.name(), action, purpose, members, consent_epoch, now))
}

/// Grants the use of those profiles that may be used, and counts the others.
///
/// * `profiles`: the members of each
///
/// # Errors
/// [`Denied`] where nobody could be granted: unknown purpose, missing scope, unreadable consents. That all
/// profiles are left out is no error.
pub fn authorize_many<M: AsRef<[Subject]>>(
    principal: &Principal,
    action: Action,
    purpose: &str,
    profiles: impl IntoIterator<Item = M>,
    consents: &dyn ConsentView,
    purposes: &Purposes,
    now: Instant,
) -> Result<Bulk, Denied> {
    let rule = check_request(principal, action, purpose, purposes)?;
    consents.may(principal, action, purpose)?;
    let question = Question { action, purpose, channel: None, rule, purposes, now };
    let (mut allowed, mut excluded) = (Vec::new(), BTreeSet::new());
    let (mut consent_epoch, mut n_refused, mut n_without_consent) = (0, 0, 0);
    for members in profiles {
        let members = sorted(members.as_ref().to_vec());
        match question.ask(&members, consents) {
            Ok(weighed) => {
                consent_epoch += weighed.epoch;
                allowed.extend(members);
            }
            Err(denied) if denied.is_about_a_person() => {
                n_refused += usize::from(denied.is_a_no());
                n_without_consent += usize::from(!denied.is_a_no());
                excluded.extend(members);
            }
            Err(denied) => return Err(denied),
        }
    }
    // A subject listed under two profiles is left out if either is.
    allowed.retain(|subject| !excluded.contains(subject));
    let grant = Grant::new(principal.name(), action, purpose, sorted(allowed), consent_epoch, now);
    Ok(Bulk { grant, n_refused, n_without_consent })
}

fn sorted(mut subjects: Vec<Subject>) -> Vec<Subject> {
    subjects.sort_unstable();
    subjects.dedup();
    subjects
}

fn check_request<'p>(
    principal: &Principal,
    action: Action,
    purpose: &str,
    purposes: &'p Purposes,
) -> Result<&'p PurposeRule, Denied> {
    let scope = action.scope();
    if !principal.has(scope) {
        return Err(Denied::MissingScope { principal: principal.name().into(), scope });
    }
    purposes.rule(purpose).ok_or_else(|| Denied::UnknownPurpose {
        purpose: purpose.chars().take(64).collect(),
        known: purposes.known(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::tests::{record, said, subject, tables_after};
    use crate::{Scope, Status, Tables};
    use contract::LegalBasis;
    use proptest::prelude::*;
    use std::sync::Arc;

    const NOW: Instant = Instant::from_micros(100);

    fn purposes() -> Purposes {
        Purposes::new([
            ("ads", LegalBasis::Consent),
            ("email", LegalBasis::Consent),
            ("orders", LegalBasis::Contract),
            ("fraud", LegalBasis::LegitimateInterest),
        ])
    }

    /// Subject n said `words[n]`, in order.
    fn consents(words: &[(u8, &str, Status)]) -> Tables {
        let records: Vec<_> = words
            .iter()
            .zip(1..)
            .map(|((n, purpose, status), at)| record(at as u64, subject(*n), at, at, &said(purpose, *status)))
            .collect();
        tables_after(&records)
    }

    fn ask(words: &[(u8, &str, Status)], purpose: &str, members: &[u8]) -> Result<Grant, Denied> {
        let principal = Principal::new("shop", [Scope::Decide]);
        let members: Vec<_> = members.iter().map(|n| subject(*n)).collect();
        authorize(&principal, Action::Decide, purpose, &members, &consents(words), &purposes(), NOW)
    }

    fn check(words: &[(u8, &str, Status)], purpose: &str, members: &[u8], code: Option<&str>) {
        let got = ask(words, purpose, members);
        assert_eq!(got.err().map(|d| d.code()), code, "{words:?} {purpose} {members:?}");
    }

    use Status::{Denied as No, Granted as Yes, Withdrawn as Gone};

    #[test]
    fn silence_is_no_consent() {
        check(&[], "ads", &[1], Some("MR3013"));
        check(&[(1, "email", Yes)], "ads", &[1], Some("MR3013"));
        check(&[(2, "ads", Yes)], "ads", &[1], Some("MR3013"));
        check(&[(1, "ads", Yes)], "ads", &[1], None);
        check(&[(1, "ads", Yes)], "ads", &[], Some("MR3014"));
    }

    #[test]
    fn one_member_that_says_no_denies_all() {
        check(&[(1, "ads", Yes)], "ads", &[1, 2], None);
        check(&[(1, "ads", Yes), (2, "ads", No)], "ads", &[1, 2], Some("MR3012"));
        check(&[(2, "ads", Gone), (1, "ads", Yes)], "ads", &[1, 2], Some("MR3012"));
        check(&[(2, "ads", Gone), (1, "ads", Yes)], "ads", &[1], None);
        check(&[(1, "ads", Yes), (1, "ads", Gone)], "ads", &[1], Some("MR3012"));
        check(&[(1, "ads", Gone), (1, "ads", Yes)], "ads", &[1], None);
        check(&[(1, "ads", Yes), (2, "email", No)], "ads", &[1, 2], None);
    }

    #[test]
    fn another_basis_needs_no_consent_but_heeds_an_objection() {
        check(&[], "orders", &[1], None);
        check(&[], "fraud", &[1], None);
        check(&[(1, "fraud", No)], "fraud", &[1], Some("MR3012"));
        check(&[(2, "orders", Gone)], "orders", &[1, 2], Some("MR3012"));
    }

    #[test]
    fn an_unknown_purpose_is_denied_and_the_known_ones_are_named() {
        let denied = ask(&[(1, "spying", Yes)], "spying", &[1]).unwrap_err();
        assert_eq!(denied.code(), "MR3010");
        let text = denied.to_string();
        assert!(text.contains("`spying`") && text.contains("`ads`, `email`, `fraud`, `orders`"), "{text}");
    }

    #[test]
    fn every_action_needs_its_scope() {
        let actions = [
            Action::ReadFeatures,
            Action::ReadProfile,
            Action::Decide,
            Action::Train,
            Action::Send,
            Action::Export,
            Action::Claims,
        ];
        let consents = consents(&[]);
        for action in actions {
            for scope in Scope::ALL {
                let principal = Principal::new("p", [scope]);
                let (members, purposes) = ([subject(1)], purposes());
                let got = authorize(&principal, action, "orders", &members, &consents, &purposes, NOW);
                assert_eq!(
                    got.is_ok(),
                    scope == action.scope() || scope == Scope::Admin,
                    "{action:?} {scope:?}"
                );
            }
        }
    }

    #[test]
    fn a_grant_says_what_it_is_for_and_covers_nothing_else() {
        let grant = ask(&[(1, "ads", Yes), (1, "email", No)], "ads", &[2, 1, 2, 1]).unwrap();
        assert_eq!((grant.principal(), grant.purpose(), grant.action()), ("shop", "ads", Action::Decide));
        assert_eq!(grant.subjects(), [subject(1), subject(2)]);
        assert_eq!((grant.consent_epoch(), grant.issued_at()), (2, NOW));
        assert!(grant.permits(subject(2)) && !grant.permits(subject(3)));
        assert!(grant.require(&[Action::Decide, Action::Send], subject(1)).is_ok());
        for (actions, n) in [(&[Action::Send][..], 1), (&[Action::Decide], 3), (&[], 1)] {
            assert_eq!(grant.require(actions, subject(n)).err().map(|d| d.code()), Some("MR3016"));
        }
        assert!(!format!("{grant:?}").contains("0101"), "{grant:?}");
    }

    #[test]
    fn unreadable_consents_deny() {
        struct Broken;
        impl ConsentView for Broken {
            fn standing(&self, _: Subject) -> Result<Option<Arc<crate::Standing>>, store::Error> {
                Err(store::Error::Corrupt { table: "consents".into(), reason: "test".into() })
            }
        }
        let principal = Principal::new("shop", [Scope::Admin]);
        let (members, purposes) = ([subject(1)], purposes());
        let got = authorize(&principal, Action::Decide, "orders", &members, &Broken, &purposes, NOW);
        assert_eq!(got.err().map(|d| d.code()), Some("MR3015"));
        let got = authorize_many(&principal, Action::Train, "orders", [members], &Broken, &purposes, NOW);
        assert_eq!(got.err().map(|d| d.code()), Some("MR3015"));
    }

    #[test]
    fn in_bulk_the_unwilling_are_left_out_and_counted() {
        let consents = consents(&[(1, "ads", Yes), (3, "ads", Yes), (4, "ads", No), (6, "ads", Yes)]);
        let profiles = [vec![1, 2], vec![3, 4], vec![5], vec![], vec![6], vec![6, 4]];
        let profiles = profiles.map(|members| members.into_iter().map(subject).collect::<Vec<_>>());
        let principal = Principal::new("trainer", [Scope::Train]);
        let purposes = purposes();
        let bulk =
            authorize_many(&principal, Action::Train, "ads", &profiles, &consents, &purposes, NOW).unwrap();
        assert_eq!(bulk.grant.subjects(), [subject(1), subject(2)]);
        assert_eq!((bulk.n_refused, bulk.n_without_consent), (2, 2));
        let got = authorize_many(&principal, Action::Send, "ads", &profiles, &consents, &purposes, NOW);
        assert_eq!(got.err().map(|d| d.code()), Some("MR3011"));
    }

    proptest! {
        /// Consent is never widened: more words of no, or more members, never turn a no into a yes beyond
        /// what a member granted itself.
        #[test]
        fn a_grant_means_a_yes_and_no_no(
            words in prop::collection::vec((1_u8..5, 0_usize..3), 0..8),
            members in prop::collection::vec(1_u8..5, 0..4),
        ) {
            let words: Vec<_> = words.into_iter().map(|(n, s)| (n, "ads", [Yes, No, Gone][s])).collect();
            let last = |n: u8| words.iter().rev().find(|w| w.0 == n).map(|w| w.2);
            let expected = members.iter().any(|n| last(*n) == Some(Yes))
                && members.iter().all(|n| matches!(last(*n), None | Some(Yes)));
            prop_assert_eq!(ask(&words, "ads", &members).is_ok(), expected);
            // The bulk form says the same of the same profile.
            let principal = Principal::new("shop", [Scope::Decide]);
            let profile: Vec<_> = members.iter().map(|n| subject(*n)).collect();
            let (consents, purposes) = (consents(&words), purposes());
            let bulk =
                authorize_many(&principal, Action::Decide, "ads", [&profile], &consents, &purposes, NOW).unwrap();
            prop_assert_eq!(!bulk.grant.subjects().is_empty(), expected);
            prop_assert_eq!(bulk.n_refused + bulk.n_without_consent, usize::from(!expected));
        }
    }
}
