//! The built-in policies, a project's own, and what is wrong with some.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use contract::{Classification, LegalBasis};
use policy::{Action, Principal, Purposes, Scope};
use proptest::prelude::*;
use roles::{BUILT_IN_ROLES, Classes, Error, Roles};

const ACTIONS: [Action; 6] =
    [Action::ReadFeatures, Action::ReadProfile, Action::Decide, Action::Train, Action::Send, Action::Export];
const CLASSES: [Classification; 4] =
    [Classification::Public, Classification::Internal, Classification::Personal, Classification::Special];

fn purposes() -> Purposes {
    Purposes::new([
        ("analytics", LegalBasis::LegitimateInterest),
        ("email_marketing", LegalBasis::Consent),
        ("fulfilment", LegalBasis::Contract),
    ])
}

fn with(policy: &str) -> Roles {
    let files = [("policies/own.cedar".to_owned(), policy.to_owned())];
    let (roles, findings) = Roles::read(&files, &["content_lead".to_owned()], &purposes());
    assert!(findings.is_empty(), "{findings:?}");
    roles
}

fn person(role: &str) -> Principal {
    Principal::new("anna", Scope::ALL).with_roles([role])
}

fn may(roles: &Roles, role: &str, action: Action, purpose: &str, class: Classification) -> bool {
    let said = roles.may(&person(role), action, purpose, Classes::default().with(class)).allowed;
    let again = roles.may(&person(role), action, purpose, Classes::default().with(class)).allowed;
    assert_eq!(said, again);
    said
}

/// What each role may do with personal fields.
#[test]
fn each_built_in_role_may_do_its_work_and_no_other() {
    let roles = Roles::built_in(&purposes());
    let expected: [(&str, &[Action]); 6] = [
        ("admin", &ACTIONS),
        ("engineer", &[Action::ReadFeatures, Action::Decide, Action::Train]),
        ("analyst", &[Action::ReadFeatures, Action::Train, Action::Export]),
        (
            "marketer",
            &[Action::ReadFeatures, Action::ReadProfile, Action::Decide, Action::Send, Action::Export],
        ),
        ("data_protection_officer", &[Action::ReadFeatures, Action::ReadProfile, Action::Export]),
        ("source", &[]),
    ];
    assert_eq!(expected.map(|(role, _)| role), BUILT_IN_ROLES);
    for (role, allowed) in expected {
        for action in ACTIONS {
            let said = may(&roles, role, action, "analytics", Classification::Personal);
            assert_eq!(said, allowed.contains(&action), "{role} {}", action.as_str());
        }
    }
}

#[test]
fn art_9_special_categories_need_consent_whoever_asks() {
    let roles = Roles::built_in(&purposes());
    for role in ["admin", "operator", "house", "machine", "engineer", "analyst", "marketer"] {
        for action in ACTIONS {
            let said = may(&roles, role, action, "analytics", Classification::Special);
            assert!(!said, "{role} {}", action.as_str());
        }
    }
    assert!(may(&roles, "admin", Action::Export, "email_marketing", Classification::Special));
    assert!(!may(&roles, "marketer", Action::Export, "email_marketing", Classification::Special));
    // Somebody has to answer a request for access.
    assert!(may(&roles, "data_protection_officer", Action::Export, "fulfilment", Classification::Special));
    let both = Classes::PERSONAL.with(Classification::Special);
    let denied = roles.may(&person("admin"), Action::Decide, "analytics", both);
    assert_eq!((denied.allowed, denied.denied), (false, Some(Classification::Special)));
    assert!(roles.why(&denied).contains("built-in/special.cedar:3 (special-needs-consent)"), "{denied:?}");
}

#[test]
fn doors_open_by_role() {
    let roles = Roles::built_in(&purposes());
    let open = |role: &str| {
        let admitted = roles.person("anna", &[role.to_owned()]).unwrap();
        let mut open: Vec<&str> = admitted.scopes().iter().map(|scope| scope.as_str()).collect();
        open.sort_unstable();
        open.join(" ")
    };
    assert_eq!(open("source"), "consent track");
    assert_eq!(open("data_protection_officer"), "consent export protect read");
    assert_eq!(open("marketer"), "decide export read send");
    assert_eq!(open("admin").split(' ').count(), Scope::ALL.len());
    let error = roles.require_entry(&person("marketer"), Scope::Admin).unwrap_err();
    assert_eq!(error.code(), "MR3401");
    assert!(
        error.to_string().contains("`anna` (marketer)") && error.to_string().contains("`admin`"),
        "{error}"
    );
}

/// Whoever made keys before there were roles goes on working.
#[test]
fn a_key_without_a_role_may_what_its_scopes_say() {
    let roles = Roles::built_in(&purposes());
    for scope in Scope::ALL {
        let key = roles.admit(Principal::new("shop", [scope]));
        assert_eq!(key.scopes(), Principal::new("shop", [scope]).scopes());
        for action in ACTIONS.into_iter().filter(|action| key.has(action.scope())) {
            assert!(roles.may(&key, action, "analytics", Classes::PERSONAL).allowed, "{scope:?}");
        }
    }
    assert_eq!(&*roles.roles_of(&Principal::new("web", [Scope::Track]))[0], "source");
    assert_eq!(&*roles.roles_of(&Principal::new("web", [Scope::Track, Scope::Read]))[0], "machine");
    assert_eq!(&*roles.roles_of(&Principal::new("web", []))[0], "machine");
    // A role takes away, it never adds to the scopes.
    let narrow = roles.admit(Principal::new("web", [Scope::Track, Scope::Export]).with_roles(["source"]));
    assert_eq!(narrow.scopes(), [Scope::Track]);
}

#[test]
fn a_project_permits_more_and_its_forbid_wins() {
    let lead = with(
        r#"@id("lead") permit (principal in Role::"content_lead", action == Action::"read_features", resource)
           when { context.purpose == Purpose::"analytics" };"#,
    );
    assert!(may(&lead, "content_lead", Action::ReadFeatures, "analytics", Classification::Internal));
    assert!(!may(&lead, "content_lead", Action::ReadFeatures, "fulfilment", Classification::Internal));
    assert!(!may(&lead, "content_lead", Action::Export, "analytics", Classification::Internal));

    let closed = with(
        r#"forbid (principal, action == Action::"export", resource) when { context.purpose == Purpose::"analytics" };"#,
    );
    assert!(!may(&closed, "admin", Action::Export, "analytics", Classification::Public));
    assert!(may(&closed, "admin", Action::Export, "fulfilment", Classification::Public));
    assert_ne!(lead.version(), closed.version());

    let one = with(
        r#"forbid (principal == Caller::"anna", action == Action::"enter", resource == Door::"export");"#,
    );
    let anna = one.person("anna", &["admin".to_owned()]).unwrap();
    assert!(anna.has(Scope::Admin) && !anna.has(Scope::Export));
    assert!(one.person("bert", &["admin".to_owned()]).unwrap().has(Scope::Export));
}

/// LAW 3: what cannot be judged is not allowed.
#[test]
fn default_deny() {
    let roles = Roles::built_in(&purposes());
    assert!(!may(&roles, "admin", Action::Decide, "whatever", Classification::Public));
    let nobody = Principal::new("x", Scope::ALL).with_roles(["no_such_role"]);
    assert!(!roles.may(&nobody, Action::Decide, "analytics", Classes::INTERNAL).allowed);
    assert!(!roles.enter(&nobody, Scope::Read).allowed);
    for role in ["root", "operator", "house", "machine", "Admin", ""] {
        assert!(matches!(roles.person("x", &[role.to_owned()]), Err(Error::UnknownRole { .. })), "{role}");
    }
}

/// Text of a policy file, the code, the line, and words of the message.
fn check(text: &str, code: &str, line: u32, words: &[&str]) {
    let files = [("policies/own.cedar".to_owned(), text.to_owned())];
    let (roles, findings) = Roles::read(&files, &[], &purposes());
    let errors: Vec<_> = findings.iter().filter(|finding| finding.is_error()).collect();
    let found = errors.first().unwrap_or_else(|| panic!("nothing is wrong with {text}"));
    assert_eq!((found.code, found.line), (code, Some(line)), "{found:?}");
    assert_eq!(found.file.as_deref(), Some("policies/own.cedar"));
    for word in words {
        assert!(found.message.contains(word), "no {word} in {}", found.message);
    }
    // What is broken is not half in force.
    assert!(roles.rules().all(|rule| rule.file.starts_with("built-in/")));
}

#[test]
fn what_is_wrong_with_a_policy_is_quoted_with_its_line() {
    check(
        "permit (principal, action, resource)\nwhen { context.purpose = 3 };",
        "MR3402",
        2,
        &["context.purpose"],
    );
    check("\n\npermit (principal, action, resource", "MR3402", 3, &[]);
    check("permits (principal, action, resource);", "MR3402", 1, &["permits"]);
    check(
        "permit (\n  principal,\n  action == Action::\"read_featurs\",\n  resource\n);",
        "MR3403",
        3,
        &["read_featurs", "read_features"],
    );
    check("permit (principal in Role::\"markter\", action, resource);", "MR3403", 1, &["markter"]);
    check(
        "permit (principal, action == Action::\"export\", resource)\nwhen { context.purpose == Purpose::\"analitics\" };",
        "MR3403",
        2,
        &["analitics"],
    );
    check("// x\nforbid (principal, action, resource == Class::\"secret\");", "MR3403", 2, &["secret"]);
    check("permit (principal, action, resource) when { context.colour == 3 };", "MR3403", 1, &["colour"]);
    check(
        "\nforbid (principal, action, resource)\nwhen { 9223372036854775807 + 1 == 0 };",
        "MR3403",
        2,
        &["cannot be evaluated", "overflow"],
    );
    check(
        "permit (principal == Role::\"admin\", action, resource);",
        "MR3403",
        1,
        &["`principal` is a Caller"],
    );
    check(
        "permit (principal, action, resource)\nwhen { context.basis == \"consent\" };",
        "MR3403",
        2,
        &["`context.basis` is a Basis and never \"consent\""],
    );
    check("permit (principal == ?principal, action, resource);", "MR3402", 1, &["template"]);
    let (_, findings) = Roles::read(&[], &["Chef".to_owned(), "admin".to_owned()], &purposes());
    assert_eq!(findings.iter().map(|f| f.code).collect::<Vec<_>>(), ["MR3405", "MR3405"]);
}

#[test]
fn a_policy_that_never_applies_is_a_warning() {
    let text = "permit (principal, action == Action::\"enter\", resource == Class::\"public\");";
    let (_, findings) = Roles::read(&[("policies/own.cedar".to_owned(), text.to_owned())], &[], &purposes());
    assert!(!findings[0].is_error() && findings[0].message.contains("no question"), "{findings:?}");
}

#[test]
fn the_same_policy_twice_keeps_both_places() {
    let text = "permit (principal in Role::\"source\", action == Action::\"decide\", resource);\n".repeat(2);
    let roles = with(&text);
    let lines: Vec<u32> =
        roles.rules().filter(|rule| rule.file == "policies/own.cedar").map(|rule| rule.line).collect();
    assert_eq!(lines, [1, 2]);
}

#[test]
fn tests_of_policies_say_what_does_not_hold_and_where() {
    let roles = with("");
    let tested = roles.test(
        "tests:\n\
         - { role: marketer, action: export, purpose: email_marketing, class: personal, expect: allow }\n\
         - { role: source, door: track, expect: allow }\n\
         - test: nobody exports special\n  role: marketer\n  action: export\n  purpose: email_marketing\n  \
           class: special\n  expect: allow\n\
         - { role: markter, door: read, expect: deny }\n\
         - { role: analyst, action: reed, purpose: analytics, class: public, expect: deny }\n\
         - { role: analyst, action: train, purpose: analitics, class: public, expect: deny }\n\
         - { role: analyst, action: train, purpose: analytics, class: secret, expect: deny }\n\
         - { role: analyst, door: cellar, expect: deny }\n\
         - { role: analyst, expect: maybe }\n",
        "policies/tests/a.yaml",
    );
    assert_eq!(tested.n_asked, 3);
    let found: Vec<(&str, Option<u32>)> = tested.findings.iter().map(|f| (f.code, f.line)).collect();
    let lines = [
        (9, "MR3404"),
        (10, "MR3405"),
        (11, "MR3404"),
        (12, "MR3404"),
        (13, "MR3404"),
        (14, "MR3404"),
        (15, "MR3404"),
    ];
    assert_eq!(found, lines.map(|(line, code)| (code, Some(line))), "{:#?}", tested.findings);
    assert!(tested.findings[0].message.contains("nobody exports special"));
    assert!(tested.findings[0].message.contains("no policy permits it"));
    let broken = roles.test("tests:\n- {rolle: x, expect: deny}\n", "policies/tests/b.yaml");
    assert_eq!(broken.findings[0].line, Some(2), "{:?}", broken.findings);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is remembered is what would be decided, whatever was asked before.
    #[test]
    fn a_remembered_decision_is_the_decision(
        asked in prop::collection::vec((0_usize..9, 0_usize..6, 0_usize..4, 1_usize..16), 1..40),
    ) {
        let roles = with(r#"forbid (principal == Caller::"c3", action == Action::"train", resource == Class::"internal");"#);
        let names = ["admin", "engineer", "analyst", "marketer", "data_protection_officer", "source", "content_lead", "machine", "operator"];
        let purposes = ["analytics", "email_marketing", "fulfilment", "unknown"];
        for (role, action, purpose, bits) in asked {
            let who = Principal::new(format!("c{bits}"), Scope::ALL).with_roles([names[role]]);
            let classes: Classes = CLASSES.into_iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, c)| c).collect();
            let remembered = roles.may(&who, ACTIONS[action], purposes[purpose], classes);
            let anew = roles.may_anew(&who, ACTIONS[action], purposes[purpose], classes);
            prop_assert_eq!(&*remembered, &anew);
        }
    }

    /// More classes never allow what fewer deny.
    #[test]
    fn a_query_is_allowed_where_each_of_its_classes_is(
        role in 0_usize..6, action in 0_usize..6, purpose in 0_usize..3, bits in 1_usize..16,
    ) {
        let roles = Roles::built_in(&purposes());
        let purpose = ["analytics", "email_marketing", "fulfilment"][purpose];
        let chosen = || CLASSES.into_iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, c)| c);
        let all = roles.may(&person(BUILT_IN_ROLES[role]), ACTIONS[action], purpose, chosen().collect()).allowed;
        let each = chosen().all(|class| may(&roles, BUILT_IN_ROLES[role], ACTIONS[action], purpose, class));
        prop_assert_eq!(all, each);
    }

    #[test]
    fn noise_is_a_finding_and_never_a_panic(text in ".{0,200}|(permit|forbid) ?\\(.{0,80}\\);?") {
        let files = [("policies/noise.cedar".to_owned(), text)];
        let _ = Roles::read(&files, &[], &purposes());
        let _ = Roles::built_in(&purposes()).test(&files[0].1, "policies/tests/noise.yaml");
    }
}
