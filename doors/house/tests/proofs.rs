//! Proofs of consents to calls (UWG § 7a): made at each use, kept for five years from the last one, then destroyed everywhere.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod consenting;

use std::path::Path;
use std::sync::Arc;

use consenting::{all, decided, moves_in, n_sent, open, project, says, shop, user};
use event::{Position, RecordId};
use house::{House, Word};
use policy::Status::{Granted, Withdrawn};

#[test]
fn uwg_7a_each_use_of_a_consent_to_calls_is_proof_kept_five_years() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    moves_in(&house, "ann");
    let word = Word {
        channel: "phone".into(),
        evidence: Some("recording 17".into()),
        ..Word::new("phone_marketing", Granted)
    };
    let consent = house.record_consent(&user("ann"), word, "hotline").unwrap();
    let decision = decided(&house, "call", "ann").unwrap();
    assert_eq!((decision.chosen.action.as_str(), n_sent(&house)), ("reach", 1));
    // A second round neither calls nor proves again.
    assert_eq!(n_sent(&house), 0);
    let proofs = house.consent_history(&all(), &user("ann"), None).unwrap().proofs;
    assert_eq!(proofs.len(), 2, "one of the grant, one of the use: {proofs:?}");
    for proof in &proofs {
        let proven = proof.proven.as_ref().unwrap();
        assert_eq!((proof.consent, proven.channel.as_str()), (consent, "phone"));
        let from = proven.used_at.unwrap_or(proven.given_at);
        assert!((proof.keep_until - from).days() >= 5.0 * 365.0, "{proof:?}");
    }
    assert!(proofs.iter().any(|proof| proof.used_by == Some(decision.decision.to_string())));
    assert_eq!(proofs.iter().filter(|p| p.proven.as_ref().unwrap().evidence == "recording 17").count(), 1);
    assert_eq!(house.proofs().unwrap().n_kept, 2);
    // A withdrawal ends the calls and not the proof.
    says(&house, "ann", "phone_marketing", "phone", Withdrawn);
    assert_eq!(house.consent_history(&all(), &user("ann"), None).unwrap().proofs.len(), 2);
    assert!(house.verify(|_| {}).unwrap().holds());
}

/// The house as it stands at an instant, with what its folder holds from before.
fn at(dir: &Path, clock: &str) -> Arc<House> {
    let settings = std::fs::read_to_string(dir.join("maschinenraum.toml")).unwrap();
    let rest: String =
        settings.lines().filter(|line| !line.starts_with("clock = ")).map(|l| format!("{l}\n")).collect();
    let set = rest.replacen("[instance]\n", &format!("[instance]\nclock = \"{clock}\"\n"), 1);
    std::fs::write(dir.join("maschinenraum.toml"), set).unwrap();
    open(dir)
}

/// Which of the proofs' sealed cells open, by what lies open of them: consent and use.
fn opening(house: &House) -> Vec<(RecordId, Option<String>, bool)> {
    let mut found = Vec::new();
    let from = vec![Position(0); usize::from(house.n_partitions())];
    let visited = house.engine().journal().scan(&from, |_, _, record| {
        if record.stream.as_str() == policy::PROOFS {
            let proof: policy::Proof = serde_json::from_slice(&record.payload.open).unwrap();
            let cell = &record.payload.cells[0];
            let opened =
                house.vault().unseal(record.subject, &cell.column, policy::CELL_SCHEMA, &cell.sealed);
            found.push((proof.consent, proof.used_by, opened.unwrap().is_some()));
        }
        Ok(())
    });
    visited.unwrap();
    found
}

#[test]
fn uwg_7a_a_proof_is_destroyed_when_its_five_years_are_over_and_each_use_begins_them_anew() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    let house = at(dir.path(), "2026-12-01T08:00:00Z");
    let mut given = Vec::new();
    for who in ["ann", "bob"] {
        moves_in(&house, who);
        let evidence = Some(format!("recording of {who}"));
        let word = Word { channel: "phone".into(), evidence, ..Word::new("phone_marketing", Granted) };
        given.push(house.record_consent(&user(who), word, "hotline").unwrap());
    }
    let first = decided(&house, "call", "ann").unwrap().decision.to_string();
    assert_eq!(n_sent(&house), 1);
    house.close();
    drop(house);
    // Four years later Ann is called again; Bob never was.
    let house = at(dir.path(), "2030-12-01T08:00:00Z");
    let second = decided(&house, "call", "ann").unwrap().decision.to_string();
    assert_eq!(n_sent(&house), 1);
    assert_eq!((house.proofs().unwrap().n_kept, house.proofs().unwrap().n_overdue), (4, 0));
    assert!(opening(&house).iter().all(|(.., opens)| *opens));
    assert!(house.erasures().unwrap().is_empty());
    let before = dir.path().join("before");
    house.backup(&before).unwrap();
    house.close();
    drop(house);

    // Five years after the first: the chores of that day destroy what is over, and only that.
    let house = at(dir.path(), "2031-12-05T08:00:00Z");
    assert_eq!((house.proofs().unwrap().n_kept, house.proofs().unwrap().n_overdue), (2, 0));
    let left = |consent: RecordId, by: Option<&String>| {
        let found = opening(&house);
        found.iter().find(|one| one.0 == consent && one.1.as_ref() == by).unwrap().2
    };
    assert!(!left(given[1], None), "Bob's, never used");
    assert!(!left(given[0], Some(&first)), "Ann's first use");
    assert!(left(given[0], None), "what Ann agreed to is proven for her second use");
    assert!(left(given[0], Some(&second)));
    let shown = house.consent_history(&all(), &user("ann"), None).unwrap().proofs;
    assert_eq!(shown.len(), 2);
    assert!(shown.iter().all(|proof| proof.keep_until > house.now()), "{shown:?}");
    assert!(shown.iter().any(|p| p.proven.as_ref().unwrap().evidence == "recording of ann"));
    // The people themselves stay, and what they said.
    assert!(house.profile(&all(), &user("bob"), "orders").is_ok());
    assert_eq!(house.consent_history(&all(), &user("bob"), None).unwrap().entries.len(), 1);
    let [(act, ordered)] = house.erasures().unwrap().try_into().unwrap();
    assert!(ordered.reason.contains("UWG 7a") && ordered.subjects.len() == 2, "{ordered:?}");
    assert!(house.erasure(act).unwrap().complete);
    assert!(house.verify(|_| {}).unwrap().holds(), "a replay forgets what the live house forgot");
    let said = house.ropa(register::Language::En).unwrap().to_markdown();
    assert!(said.contains("2 kept, 0 overdue"), "{said}");
    // Once more finds nothing.
    assert_eq!(house.destroy_lapsed_proofs().unwrap(), 0);
    house.copy_keys(&dir.path().join("keys"), "test").unwrap();
    house.close();
    drop(house);

    // A backup from before, with the keys of today: destroyed there too, and the chores find nothing left to do.
    let again = dir.path().join("again");
    house::restore(&before, &again).unwrap();
    for outside in ["master.key", "root.anchor"] {
        std::fs::copy(dir.path().join(outside), again.join(outside)).unwrap();
    }
    house::restore_keys(&dir.path().join("keys"), &again).unwrap();
    let house = at(&again, "2031-12-06T08:00:00Z");
    assert_eq!((house.proofs().unwrap().n_kept, house.proofs().unwrap().n_overdue), (2, 0));
    assert_eq!(opening(&house).iter().filter(|(.., opens)| *opens).count(), 2);
    assert!(house.verify(|_| {}).unwrap().holds());
    house.close();
    drop(house);

    let house = at(dir.path(), "2036-12-05T08:00:00Z");
    assert_eq!((house.proofs().unwrap().n_kept, house.proofs().unwrap().n_overdue), (0, 0));
    assert!(opening(&house).iter().all(|(.., opens)| !opens));
    assert!(house.verify(|_| {}).unwrap().holds());
    house.close();
}
