//! What the law says of consent, as tests named after its articles: withdrawal, restriction, objection, notices, channels,
//! double opt-in.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod consenting;

use std::sync::Arc;

use consenting::{all, decided, moves_in, n_sent, open, project, reads, says, shop, track, user, write};
use decide::NO_ACTION;
use event::{Instant, Span};
use house::{FourFacts, House, Identifier, Project, Word};
use policy::Status::{Denied, Granted, Withdrawn};
use policy::{Order, Principal, Scope};
use serde_json::{Map, json};

const ORDER: Order<'static> = Order { by: "dpo", reason: "asked for it", reference: "R-1" };

/// What ends every read: done to somebody, then none of the ways gives anything and nothing queued leaves.
fn ends_every_read(by: &str, act: impl Fn(&House, &Identifier)) {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    moves_in(&house, "ann");
    for purpose in ["personalisation", "email_marketing"] {
        says(&house, "ann", purpose, "", Granted);
    }
    let earlier = decided(&house, "mail", "ann").unwrap();
    assert_eq!(earlier.chosen.action, "reach");
    for (path, gives) in reads(&house, dir.path(), "ann", earlier.decision) {
        assert!(gives, "{path} gives nothing before {by}");
    }
    // `reads` queued another action; the act comes between choosing and sending.
    act(&house, &user("ann"));
    for (path, gives) in reads(&house, dir.path(), "ann", earlier.decision) {
        assert!(!gives, "{path} still gives something after {by}");
    }
    assert_eq!(n_sent(&house), 0, "queued actions leave after {by}");
    assert!(house.verify(|_| {}).unwrap().holds(), "replay gives another state");
}

#[test]
fn art_7_3_withdrawal_denies_every_read() {
    ends_every_read("a withdrawal", |house, who| {
        house.consent(who, "personalisation", Withdrawn, "", "link", None).unwrap();
    });
}

#[test]
fn art_18_restriction_denies_every_read_but_storage_and_claims() {
    ends_every_read("a restriction", |house, who| {
        house.restrict(who, &ORDER).unwrap();
        // It is kept and can be proven, and a contract's purpose is restricted as well.
        house.consent_history(&all(), who, None).unwrap();
        assert_eq!(house.profile(&all(), who, "orders").unwrap_err().code(), "MR3501");
    });
}

#[test]
fn art_21_objection_ends_direct_marketing_and_profiling_for_it() {
    ends_every_read("an objection", |house, who| {
        house.object(who, &ORDER).unwrap();
        // What is no direct marketing goes on.
        house.profile(&all(), who, "orders").unwrap();
    });
}

#[test]
fn art_18_a_restriction_that_is_lifted_gives_everything_back() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    moves_in(&house, "ann");
    says(&house, "ann", "personalisation", "", Granted);
    house.restrict(&user("ann"), &ORDER).unwrap();
    assert_eq!(house.profile(&all(), &user("ann"), "personalisation").unwrap_err().code(), "MR3501");
    let (restricted, objected) = house.marks(&user("ann")).unwrap();
    assert_eq!((restricted.unwrap().ordered.reference.as_str(), objected), ("R-1", None));
    house.lift_restriction(&user("ann"), &ORDER).unwrap();
    house.profile(&all(), &user("ann"), "personalisation").unwrap();
}

#[test]
fn art_21_3_suppression_survives_erasure_and_re_import() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    moves_in(&house, "ann");
    says(&house, "ann", "customer_news", "email", Granted);
    assert_eq!(decided(&house, "news", "ann").unwrap().chosen.action, "reach");
    assert_eq!(n_sent(&house), 1);
    let records = house.object(&user("ann"), &ORDER).unwrap();
    assert!(records.len() >= 3, "one for each identifier and address: {records:?}");
    // The same address comes in again under another name, with a yes that an old file holds; nothing links the two.
    track(
        &house,
        &[json!({"type": "identify", "messageId": "again", "userId": "ann-2",
        "traits": {"email": "Ann@Example.org", "phone": "1"}})],
    );
    write(
        dir.path(),
        "old.csv",
        "user_id,purpose,status,channel,at\n\
        ann-2,customer_news,granted,email,2026-01-01T00:00:00Z\nann,customer_news,granted,email,2026-11-24T00:00:00Z\n",
    );
    let done = house.import_consents(&dir.path().join("old.csv")).unwrap();
    assert_eq!((done.n_accepted, done.refused.len()), (2, 0), "{done:?}");
    assert_eq!(decided(&house, "news", "ann").unwrap().chosen.action, NO_ACTION);
    assert_eq!(
        decided(&house, "news", "ann-2").unwrap().chosen.action,
        "reach",
        "nobody knows yet who that is"
    );
    assert_eq!(n_sent(&house), 0, "the address is suppressed, whoever it belongs to");
    // What stands does not depend on anything that an erasure destroys: it is there after a replay.
    assert!(house.verify(|_| {}).unwrap().holds());
    house.lift_objection(&user("ann"), &ORDER).unwrap();
    assert_eq!(decided(&house, "news", "ann").unwrap().chosen.action, "reach");
}

#[test]
fn art_7_4_a_material_notice_makes_old_consent_invalid() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    let notice = |version: &str, from: &str, material: bool| {
        format!(
            "notice: shop\nversion: \"{version}\"\nfrom: {from}\npurposes: [personalisation]\nmaterial: {material}\n\
             texts:\n  de: Wir nutzen Ihre Käufe ({version}).\n  en: We use your orders ({version}).\n"
        )
    };
    write(dir.path(), "notices/1.yaml", &notice("1", "2026-01-01T00:00:00Z", false));
    let house = open(dir.path());
    moves_in(&house, "ann");
    moves_in(&house, "bob");
    let yes = |who: &str, version: &str| {
        let word = Word {
            notice_version: version.into(),
            locale: "de".into(),
            ..Word::new("personalisation", Granted)
        };
        house.record_consent(&user(who), word, "form").unwrap()
    };
    yes("ann", "1");
    house.profile(&all(), &user("ann"), "personalisation").unwrap();
    house.close();
    drop(house);
    write(dir.path(), "notices/2.yaml", &notice("2", "2026-11-01T00:00:00Z", true));
    write(dir.path(), "notices/3.yaml", &notice("3", "2099-01-01T00:00:00Z", true));
    let house = open(dir.path());
    let denied = house.profile(&all(), &user("ann"), "personalisation").unwrap_err();
    assert_eq!(denied.code(), "MR3504", "{denied}");
    let yes = |who: &str, version: &str| {
        let word = Word {
            notice_version: version.into(),
            locale: "de".into(),
            ..Word::new("personalisation", Granted)
        };
        house.record_consent(&user(who), word, "form").unwrap()
    };
    yes("ann", "shop@2");
    house.profile(&all(), &user("ann"), "personalisation").unwrap();
    // A yes to another wording than the register has is none.
    let other = Word {
        notice_version: "2".into(),
        notice_hash: policy::text_hash("Something else."),
        locale: "de".into(),
        ..Word::new("personalisation", Granted)
    };
    house.record_consent(&user("bob"), other, "form").unwrap();
    assert_eq!(house.profile(&all(), &user("bob"), "personalisation").unwrap_err().code(), "MR3508");
    let views = house.notices();
    let in_force: Vec<&str> =
        views.iter().filter(|one| one.in_force).map(|one| one.version.as_str()).collect();
    assert_eq!((views.len(), in_force.as_slice()), (3, &["2"][..]));
}

#[test]
fn a_wording_that_changes_without_a_new_version_is_found() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    let hash = policy::text_hash("Old words");
    let text = format!(
        "notice: shop\nversion: \"1\"\nfrom: 2026-01-01\npurposes: [nothing]\ntexts: {{de: New words}}\nhash: {{de: {hash}}}\n"
    );
    write(dir.path(), "notices/1.yaml", &text);
    write(
        dir.path(),
        "notices/2.yaml",
        "notice: shop\nversion: \"1\"\nfrom: 2026-01-01\npurposes: [orders]\ntexts: {de: a}\n",
    );
    write(dir.path(), "notices/3.yaml", "notice: [\n");
    let (_, findings) = Project::read(dir.path()).unwrap();
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
    for code in ["MR3521", "MR3520", "MR7005"] {
        assert!(codes.contains(&code), "{findings:#?}");
    }
}

#[test]
fn uwg_7_2_consent_to_e_mail_is_none_to_calls() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    moves_in(&house, "ann");
    says(&house, "ann", "phone_marketing", "email", Granted);
    assert_eq!(decided(&house, "call", "ann").unwrap().chosen.action, NO_ACTION);
    // Nor is a yes that names no channel.
    says(&house, "ann", "phone_marketing", "", Granted);
    let decision = decided(&house, "call", "ann").unwrap();
    assert_eq!(decision.chosen.action, NO_ACTION);
    let text = house.explain(&all(), decision.decision).unwrap().text(decide::Language::English);
    assert!(text.contains("`phone_marketing` is not allowed by `phone`"), "{text}");
    house.reproduce(&all(), decision.decision).unwrap();
    says(&house, "ann", "phone_marketing", "phone", Granted);
    assert_eq!(decided(&house, "call", "ann").unwrap().chosen.action, "reach");
    // Withdrawn on the channel after it was chosen: nobody calls.
    says(&house, "ann", "phone_marketing", "phone", Withdrawn);
    assert_eq!(n_sent(&house), 0);
}

#[test]
fn uwg_7_3_e_mail_without_opt_in_needs_all_four_facts() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    moves_in(&house, "ann");
    // Legitimate interest carries a letter, not an e-mail.
    assert_eq!(decided(&house, "letter", "ann").unwrap().chosen.action, "reach");
    assert_eq!(decided(&house, "news", "ann").unwrap().chosen.action, NO_ACTION);
    let all_four = FourFacts { from_sale: true, similar_goods: true, not_objected: true, informed: true };
    let record = |facts| {
        house.record_soft_opt_in(&user("ann"), "customer_news", "email", facts, "order 1", "shop").unwrap();
        decided(&house, "news", "ann").unwrap().chosen.action
    };
    for three in [
        FourFacts { from_sale: false, ..all_four },
        FourFacts { similar_goods: false, ..all_four },
        FourFacts { not_objected: false, ..all_four },
        FourFacts { informed: false, ..all_four },
    ] {
        assert_eq!(record(three), NO_ACTION, "{three:?}");
    }
    assert_eq!(record(all_four), "reach");
    // A no counts at the last moment.
    says(&house, "ann", "customer_news", "email", Denied);
    let mut n_mails = 0;
    house
        .deliver("tool", |delivery| {
            n_mails += u32::from(delivery.channel == "email");
            house::Handed::Sent
        })
        .unwrap();
    assert_eq!(n_mails, 0);
}

#[test]
fn art_7_1_a_consent_is_proven_with_wording_channel_time_and_place_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    write(
        dir.path(),
        "notices/1.yaml",
        "notice: shop\nversion: \"1\"\nfrom: 2026-01-01T00:00:00Z\npurposes: [email_marketing]\ntexts: {de: 'Ja, schreibt mir.'}\n",
    );
    let house = open(dir.path());
    moves_in(&house, "ann");
    let at: Instant = "2026-11-20T10:00:00Z".parse().unwrap();
    let word = Word {
        notice_version: "1".into(),
        locale: "de".into(),
        channel: "email".into(),
        source: "checkout".into(),
        evidence: Some("form 4711 of 2026-11-20".into()),
        at: Some(at),
        ..Word::new("email_marketing", Granted)
    };
    house.record_consent(&user("ann"), word, "shop").unwrap();
    says(&house, "ann", "email_marketing", "email", Withdrawn);
    let history = house.consent_history(&all(), &user("ann"), None).unwrap();
    let [first, second] = history.entries.as_slice() else { panic!("{:?}", history.entries) };
    assert_eq!((first.what.as_str(), first.at, first.channel.as_str()), ("granted", at, "email"));
    assert_eq!(first.notice_text.as_deref(), Some("Ja, schreibt mir."));
    assert_eq!(first.notice_hash, policy::text_hash("Ja, schreibt mir."));
    assert_eq!(first.evidence.as_deref(), Some("form 4711 of 2026-11-20"));
    assert_eq!(second.what, "withdrawn");
    assert!(history.allowed["email_marketing"].starts_with("denied: MR3012"), "{:?}", history.allowed);
    // The entry of the audit log is there, and an outsider can verify it with the log's key alone.
    let place = first.in_log.as_ref().unwrap();
    let proof: audit::Proof = place.proof.parse().unwrap();
    let entry = house.audit_entry(place.index).unwrap();
    proof.verify(&entry, &house.audit_key().unwrap()).unwrap();
    let said = String::from_utf8(entry).unwrap();
    assert!(said.contains(&first.record.unwrap().to_string()) && !said.contains("4711"), "{said}");
    // As of the moment before anybody knew, nothing was allowed; evidence lies nowhere in the open.
    let before =
        house.consent_history(&all(), &user("ann"), Some(first.known_at - Span::from_secs(1))).unwrap();
    assert_eq!(before.entries.len(), 0);
    let nosy = Principal::new("nosy", [Scope::Read]);
    assert_eq!(house.consent_history(&nosy, &user("ann"), None).unwrap_err().code(), "MR3011");
}

#[test]
fn double_opt_in_counts_once_the_token_is_back_and_once_only() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    moves_in(&house, "ann");
    let read =
        |house: &House| house.profile(&all(), &user("ann"), "newsletter").err().map(|error| error.code());
    let ask = |days: i64| {
        let word = Word { channel: "email".into(), locale: "de".into(), ..Word::new("newsletter", Granted) };
        house.request_consent(&user("ann"), word, Span::from_days(days), "form").unwrap()
    };
    let asked = ask(7);
    assert_eq!(read(&house), Some("MR3503"));
    let code = |token: &str| house.confirm_consent(token, None, "form").err().map(|error| error.code());
    assert_eq!(code("mrc_0000"), Some("MR3530"));
    assert_eq!(code(&format!("mrc_{}", "0".repeat(64))), Some("MR3530"));
    // Two clicks at once: one confirms.
    let codes: Vec<_> = std::thread::scope(|scope| {
        let clicks: Vec<_> = (0..2).map(|_| scope.spawn(|| code(&asked.token))).collect();
        clicks.into_iter().map(|click| click.join().unwrap()).collect()
    });
    assert!(codes.contains(&None) && codes.contains(&Some("MR3532")), "{codes:?}");
    assert_eq!(read(&house), None);
    // Somebody else enters the address again: what stands stands.
    let again = ask(7);
    assert_eq!(read(&house), None);
    says(&house, "ann", "newsletter", "", Withdrawn);
    assert_eq!(read(&house), Some("MR3012"));
    // A token that was used does not bring back what was withdrawn; another that was sent does.
    assert_eq!(code(&asked.token), Some("MR3532"));
    assert_eq!(read(&house), Some("MR3012"));
    assert_eq!(code(&again.token), None);
    assert_eq!(read(&house), None);
    assert_eq!(code(&ask(0).token), Some("MR3531"), "expired");
    // A yes that nobody confirmed counts for nothing, wherever it comes from.
    says(&house, "ann", "newsletter", "", Granted);
    house.consent(&user("bob"), "newsletter", Granted, "", "form", None).unwrap();
    assert_eq!(house.profile(&all(), &user("bob"), "newsletter").unwrap_err().code(), "MR3503");
    // The token itself lies nowhere.
    assert!(house.verify(|_| {}).unwrap().holds());
    house.close();
    let secret = asked.token.trim_start_matches("mrc_").as_bytes().to_vec();
    assert!(!contains(dir.path(), &secret), "a token lies on disk");
}

/// Whether any file below a folder holds these bytes.
fn contains(dir: &std::path::Path, wanted: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return contains(&path, wanted);
        }
        std::fs::read(&path).unwrap().windows(wanted.len()).any(|window| window == wanted)
    })
}

/// Purposes 1 and 2 consented to, made before disclosure was mandatory.
const TC_YES: &str = "CQNHu4AQNHu4AEsABBDEAREgAMAAAAAAAAYgAAAAAAAA";

#[test]
fn signals_of_consent_tools_become_words_by_every_way_in() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    for who in ["ann", "bob", "cyd", "eve"] {
        moves_in(&house, who);
    }
    let reads = |who: &str, purpose: &str| house.profile(&all(), &user(who), purpose).is_ok();
    // By a tracking call.
    let page = |n: u32, who: &str, consent: serde_json::Value| {
        json!({"type": "identify", "messageId": format!("p{n}"), "userId": who, "traits": {"city": "Bonn"},
            "context": {"consent": consent}})
    };
    track(&house, &[page(1, "ann", json!({"tcf": TC_YES, "google": {"ad_user_data": "granted"}}))]);
    assert!(reads("ann", "personalisation"), "TC string");
    assert!(!reads("ann", "email_marketing"), "one of two signals is no yes");
    let commands = json!([["consent", "default", {"ad_user_data": "denied", "ad_personalization": "denied"}],
        ["config", "G-1"], ["consent", "update", {"ad_user_data": "granted", "ad_personalization": "granted"}]]);
    track(&house, &[page(2, "ann", json!({ "google": commands }))]);
    assert!(reads("ann", "email_marketing"), "Consent Mode");
    // What cannot be read says nothing, and the call is taken.
    let report = track(&house, &[page(3, "bob", json!({"tcf": "CQ…", "google": "yes"}))]);
    assert_eq!((report.counts.n_accepted, reads("bob", "personalisation")), (1, false));
    // By the endpoint.
    let (recorded, noticed) =
        house.record_signals(&user("bob"), Some(TC_YES), Some(&commands), "", None, "cmp").unwrap();
    assert_eq!((recorded.len(), noticed.len()), (2, 0));
    assert!(reads("bob", "personalisation") && reads("bob", "email_marketing"));
    let broken = house.record_signals(&user("bob"), Some("CP"), None, "", None, "cmp").unwrap_err();
    assert_eq!(broken.code(), "MR3510", "{broken}");
    let broken = house.record_signals(&user("bob"), None, Some(&json!(7)), "", None, "cmp").unwrap_err();
    assert_eq!(broken.code(), "MR3514", "{broken}");
    // By a file.
    let csv = format!(
        "user_id,at,tc_string,google\ncyd,2026-11-01T00:00:00Z,{TC_YES},\neve,2026-11-01T00:00:00Z,COx,\n\
         eve,2026-11-01T00:00:00Z,,\"{{\"\"ad_user_data\"\": \"\"granted\"\", \"\"ad_personalization\"\": \"\"denied\"\"}}\"\n"
    );
    write(dir.path(), "signals.csv", &csv);
    let done = house.import_consents(&dir.path().join("signals.csv")).unwrap();
    assert_eq!((done.n_accepted, done.refused.len()), (2, 1), "{done:?}");
    assert!(done.refused[0].1.contains("MR3510"), "{done:?}");
    assert!(reads("cyd", "personalisation"));
    assert_eq!(house.profile(&all(), &user("eve"), "email_marketing").unwrap_err().code(), "MR3012");
    // The string is proof, opened for who may prove.
    let history = house.consent_history(&all(), &user("ann"), None).unwrap();
    let entry = history.entries.iter().find(|entry| entry.tc_string.is_some()).unwrap();
    assert_eq!((entry.tc_string.as_deref(), entry.locale.as_str()), (Some(TC_YES), "de"));
    assert_eq!(entry.tcf.as_ref().unwrap().purposes, [1, 2]);
}

#[test]
fn art_6_a_purpose_without_a_basis_is_refused_and_one_not_declared_is_denied() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    let house = open(dir.path());
    moves_in(&house, "ann");
    // Art. 5(1)(b): collected for these purposes, read for another.
    assert_eq!(house.profile(&all(), &user("ann"), "resale").unwrap_err().code(), "MR3010");
    assert_eq!(
        house.features(&all(), &user("ann"), "email_marketing", &["orders".into()]).err().map(|e| e.code()),
        Some("MR3013")
    );
    says(&house, "ann", "email_marketing", "", Granted);
    let other = house.features(&all(), &user("ann"), "email_marketing", &["orders".into()]).err().unwrap();
    assert!(other.to_string().contains("email_marketing"), "the view is not made for it: {other}");
    house.close();
    drop(house);
    write(dir.path(), "maschinenraum.toml", "[purposes.odd]\nbasis = \"because\"\n");
    assert!(Project::load(dir.path()).is_err(), "a purpose without a basis is in force");
    let (_, findings) = Project::read(dir.path()).unwrap();
    assert!(findings.iter().any(|one| one.to_string().contains("legal basis")), "{findings:#?}");
}

#[test]
fn fields_that_are_none_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    let refused = |word: Word| house.record_consent(&user("ann"), word, "form").unwrap_err();
    let base = || Word::new("newsletter", Granted);
    let at = |text: &str| Some(text.parse::<Instant>().unwrap());
    for (word, needle) in [
        (Word { channel: "E Mail".into(), ..base() }, "channel `E Mail`"),
        (Word { locale: "d€".into(), ..base() }, "locale"),
        (Word { notice_hash: "abc".into(), ..base() }, "notice_hash `abc`"),
        (Word { evidence: Some("x".repeat(5_000)), ..base() }, "evidence `…`"),
        (Word { valid_from: at("2026-02-01"), valid_until: at("2026-01-01"), ..base() }, "valid_until"),
    ] {
        let error = refused(word);
        assert!(error.code() == "MR3540" && error.to_string().contains(needle), "{error}");
    }
    assert_eq!(refused(Word::new("nothing", Granted)).code(), "MR3010");
    // A yes that begins later counts later.
    let word = Word { valid_from: at("2099-01-01"), ..Word::new("personalisation", Granted) };
    house.record_consent(&user("ann"), word, "form").unwrap();
    assert_eq!(house.decide(&all(), "mail", &user("ann"), &Map::new()).unwrap_err().code(), "MR3507");
    let _: Arc<House> = house;
}
