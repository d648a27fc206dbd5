//! The one place where a grant is made.

use std::collections::BTreeSet;

use contract::LegalBasis;
use event::{Instant, Subject};

use crate::{Action, Consent, ConsentView, Grant, Principal, Purposes, Scope, Status};

/// Why there is no grant.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// MR3010, explained in docs/errors/MR3010.md
    #[error("MR3010: `{purpose}` is no purpose of this project; it knows {known}")]
    UnknownPurpose {
        /// What was asked.
        purpose: String,
        /// The purposes there are.
        known: String,
    },
    /// MR3011, explained in docs/errors/MR3011.md
    #[error("MR3011: `{principal}` lacks the scope `{}`", scope.as_str())]
    MissingScope {
        /// Who asked.
        principal: String,
        /// What it would need.
        scope: Scope,
    },
    /// MR3012, explained in docs/errors/MR3012.md
    #[error("MR3012: subject {subject} said no to `{purpose}` on {at}")]
    Refused {
        /// The member that refused.
        subject: Subject,
        /// The purpose.
        purpose: String,
        /// Denied or withdrawn.
        status: Status,
        /// When.
        at: Instant,
    },
    /// MR3013, explained in docs/errors/MR3013.md
    #[error("MR3013: `{purpose}` rests on consent, and none was given")]
    NoConsent {
        /// The purpose.
        purpose: String,
    },
    /// MR3014, explained in docs/errors/MR3014.md
    #[error("MR3014: a grant was asked for no subject at all")]
    NoSubject,
    /// MR3015, explained in docs/errors/MR3015.md
    #[error("MR3015: consents cannot be read, so nothing is granted: {0}")]
    Unreadable(#[from] store::Error),
    /// MR3016, explained in docs/errors/MR3016.md
    #[error("MR3016: the grant to {} for `{purpose}` does not cover this use of subject {subject}", action.as_str())]
    NotGranted {
        /// What the grant is for.
        action: Action,
        /// Its purpose.
        purpose: String,
        /// Whose data was asked.
        subject: Subject,
    },
    /// The vault's own code, MR3001 to MR3009.
    #[error(transparent)]
    Sealed(#[from] vault::Error),
}

impl Denied {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownPurpose { .. } => "MR3010",
            Self::MissingScope { .. } => "MR3011",
            Self::Refused { .. } => "MR3012",
            Self::NoConsent { .. } => "MR3013",
            Self::NoSubject => "MR3014",
            Self::Unreadable(_) => "MR3015",
            Self::NotGranted { .. } => "MR3016",
            Self::Sealed(error) => error.code(),
        }
    }
}

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
    let basis = check_request(principal, action, purpose, purposes)?;
    let members = sorted(subjects.to_vec());
    let consent_epoch = check_profile(basis, purpose, &members, consents)?;
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
    let basis = check_request(principal, action, purpose, purposes)?;
    let (mut allowed, mut excluded) = (Vec::new(), BTreeSet::new());
    let (mut consent_epoch, mut n_refused, mut n_without_consent) = (0, 0, 0);
    for members in profiles {
        let members = sorted(members.as_ref().to_vec());
        match check_profile(basis, purpose, &members, consents) {
            Ok(epoch) => {
                consent_epoch += epoch;
                allowed.extend(members);
            }
            Err(denied @ (Denied::Refused { .. } | Denied::NoConsent { .. } | Denied::NoSubject)) => {
                let refused = matches!(denied, Denied::Refused { .. });
                n_refused += usize::from(refused);
                n_without_consent += usize::from(!refused);
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

fn check_request(
    principal: &Principal,
    action: Action,
    purpose: &str,
    purposes: &Purposes,
) -> Result<LegalBasis, Denied> {
    let scope = action.scope();
    if !principal.has(scope) {
        return Err(Denied::MissingScope { principal: principal.name().into(), scope });
    }
    purposes.basis(purpose).ok_or_else(|| Denied::UnknownPurpose {
        purpose: purpose.chars().take(64).collect(),
        known: match purposes.names().map(|name| format!("`{name}`")).collect::<Vec<_>>() {
            names if names.is_empty() => "none".into(),
            names => names.join(", "),
        },
    })
}

/// LAW 3: default deny. Gives the members' consent epoch.
fn check_profile(
    basis: LegalBasis,
    purpose: &str,
    members: &[Subject],
    consents: &dyn ConsentView,
) -> Result<u64, Denied> {
    if members.is_empty() {
        return Err(Denied::NoSubject);
    }
    let (mut granted, mut epoch) = (false, 0);
    for &subject in members {
        let Some(standing) = consents.standing(subject)? else { continue };
        epoch += standing.epoch();
        match standing.on(purpose) {
            None => {}
            Some(Consent { status: Status::Granted, .. }) => granted = true,
            // On another basis than consent this is an objection, which we heed as well.
            Some(Consent { status: status @ (Status::Denied | Status::Withdrawn), at, .. }) => {
                return Err(Denied::Refused { subject, purpose: purpose.into(), status: *status, at: *at });
            }
        }
    }
    match basis {
        LegalBasis::Consent if !granted => Err(Denied::NoConsent { purpose: purpose.into() }),
        LegalBasis::Consent
        | LegalBasis::Contract
        | LegalBasis::LegalObligation
        | LegalBasis::VitalInterests
        | LegalBasis::PublicTask
        | LegalBasis::LegitimateInterest
        | LegalBasis::NotPersonal => Ok(epoch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tables;
    use crate::consent::tests::{record, said, subject, tables_after};
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
