//! The audit log of a house: a fold of its journal, verified at every start, proven to outsiders.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use audit::Act;
use event::Subject;
use house::{AuditSought, House, Project};
use policy::Scope;
use serde_json::json;

const SETTINGS: &str = r#"
[instance]
partitions = 3
[state]
commit_every_ms = 20
[audit]
origin = "audit.example.org/shop"
[purposes.service]
basis = "contract"
"#;

fn write_project(dir: &Path, settings: &str) {
    std::fs::create_dir_all(dir.join("contracts")).unwrap();
    std::fs::write(dir.join("maschinenraum.toml"), settings).unwrap();
}

fn try_open(dir: &Path) -> Result<House, house::Error> {
    House::open(Project::load(dir).unwrap())
}

fn open(dir: &Path) -> Arc<House> {
    Arc::new(try_open(dir).unwrap())
}

/// A project with `n` acts in its log after the one that says what is in force, closed.
fn with_acts(dir: &Path, n: usize) {
    write_project(dir, SETTINGS);
    let house = open(dir);
    for i in 0..n {
        house.audit(&Act { detail: json!({ "n": i }), ..Act::new("test.act", "ada") }).unwrap();
    }
    house.close();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to)
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn an_act_is_an_entry_that_an_outsider_can_verify() {
    let dir = tempfile::tempdir().unwrap();
    write_project(dir.path(), SETTINGS);
    let house = open(dir.path());
    let key = house.create_key("ada", "site", &[Scope::Track], None).unwrap();
    house.revoke_key("bob", &key.id).unwrap();
    let sought = AuditSought { what: Some("key.".to_owned()), ..AuditSought::default() };
    let found = house.audit_entries(&sought, 10).unwrap();
    let said: Vec<(String, String)> = found
        .iter()
        .map(|found| found.entry.as_ref().unwrap())
        .map(|entry| (entry.what.clone(), entry.by.clone()))
        .collect();
    assert_eq!(
        said,
        [("key.revoke", "bob"), ("key.issue", "ada")].map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
    assert_eq!(found[1].entry.as_ref().unwrap().detail["key"], json!(key.id));
    // The key itself is nowhere in it.
    let bytes = house.audit_entry(found[1].index).unwrap();
    let secret = key.text.rsplit('_').next().unwrap().as_bytes();
    assert!(!bytes.windows(secret.len()).any(|window| window == secret));

    let log = house.audit_key().unwrap();
    assert_eq!(log.name(), "audit.example.org/shop");
    let old = house.audit_checkpoint().unwrap();
    for found in &found {
        let proof: audit::Proof = house.audit_proof(found.index).unwrap().to_string().parse().unwrap();
        proof.verify(&house.audit_entry(found.index).unwrap(), &log).unwrap();
    }
    house.audit(&Act::new("test.act", "ada")).unwrap();
    let request = house.audit_request(old.checkpoint.size).unwrap();
    let new = audit::Signed::open(&request.checkpoint, &log).unwrap();
    let (old, new) = (old.checkpoint, new.checkpoint);
    assert!(audit::verify_consistency(old.size, new.size, old.root, new.root, &request.proof));
    let export = dir.path().join("export");
    let (head, ..) = house.export_audit(&export, "ada").unwrap();
    let checked = audit::check_dir(&export, &log, |_, _| Ok(())).unwrap();
    assert_eq!(checked.signed.checkpoint, head);
    assert_eq!(house.export_audit(&export, "ada").err().map(|e| e.code()), Some("MR4704"));
    assert_eq!(house.audit_proof(999).err().map(|e| e.code()), Some("MR3208"));
    assert_eq!(house.verify_audit().unwrap().n_entries, head.size);
    let note = house.sign("receipts", "erased: 1\n").unwrap();
    let key: audit::Verifier = house.verify_key("receipts").unwrap().parse().unwrap();
    key.verify(&note.parse().unwrap()).unwrap();
    assert!(log.verify(&note.parse().unwrap()).is_err(), "a receipt is no checkpoint");
}

#[test]
fn the_log_is_a_fold_with_any_number_of_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second, out) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("out"));
    with_acts(&first, 300);
    let house = open(&first);
    house.audit(&Act::new("test.act", "ada")).unwrap();
    assert!(house.verify(|_| {}).unwrap().holds());
    house.export_instance(&out).unwrap();
    let (size, head) = (house.audit_size().unwrap(), house.audit_checkpoint().unwrap());
    house.close();
    let loaded = house::load_instance(&out, &second, Some(&first.join("master.key")), Some(7)).unwrap();
    assert!(loaded.holds());
    let again = open(&second);
    let same = again.audit_request(size).unwrap();
    // The same vault, so the same key: the new instance's log begins with the old one's.
    let now = audit::Signed::open(&same.checkpoint, &again.audit_key().unwrap()).unwrap().checkpoint;
    let old = head.checkpoint;
    assert!(audit::verify_consistency(old.size, now.size, old.root, now.root, &same.proof));
    again.verify_audit().unwrap();
}

#[test]
fn acts_of_many_at_once_are_all_there_in_the_order_of_their_times() {
    let dir = tempfile::tempdir().unwrap();
    write_project(dir.path(), SETTINGS);
    let house = open(dir.path());
    std::thread::scope(|scope| {
        for t in 0..8 {
            let house = &house;
            scope.spawn(move || {
                for i in 0..40 {
                    house.audit(&Act { detail: json!([t, i]), ..Act::new("test.act", "ada") }).unwrap();
                }
            });
        }
    });
    let acts: Vec<Act<'_>> = (0..2_500).map(|_| Act::new("test.many", "ada")).collect();
    house.audit_all(&acts).unwrap();
    let all = house.audit_entries(&AuditSought::default(), usize::MAX).unwrap();
    assert_eq!(all.len(), 1 + 8 * 40 + 2_500);
    let times: Vec<_> = all.iter().rev().map(|found| found.entry.as_ref().unwrap().at).collect();
    assert!(times.is_sorted());
    // Whoever's turn it was, everything is committed to in the end.
    house.close();
    drop(house);
    let house = open(dir.path());
    assert_eq!(house.verify_audit().unwrap().n_entries, 1 + 8 * 40 + 2_500);
}

#[test]
fn a_clock_set_back_does_not_show_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let ahead = SETTINGS.replace("partitions = 3", "partitions = 3\nclock = \"2091-01-01T00:00:00Z\"");
    write_project(dir.path(), &ahead);
    let house = open(dir.path());
    house.audit(&Act::new("test.act", "ada")).unwrap();
    house.close();
    drop(house);
    write_project(dir.path(), SETTINGS);
    let house = open(dir.path());
    house.audit(&Act::new("test.act", "ada")).unwrap();
    let all = house.audit_entries(&AuditSought::default(), 10).unwrap();
    let times: Vec<_> = all.iter().rev().map(|found| found.entry.as_ref().unwrap().at).collect();
    assert!(times.len() == 4 && times.is_sorted(), "{times:?}");
    house.verify_audit().unwrap();
}

#[test]
fn what_is_sealed_in_an_entry_is_ciphertext_in_the_leaf() {
    let dir = tempfile::tempdir().unwrap();
    write_project(dir.path(), SETTINGS);
    let house = open(dir.path());
    let ann = Subject::from_bytes([9; 16]);
    let act = Act { subject: Some(ann), purpose: Some("service"), ..Act::new("subject.rectify", "ada") };
    assert_eq!(
        house.audit_sealed(&act, &json!({"x": 1})).err().map(|e| e.code()),
        Some("MR3007"),
        "no key, no entry"
    );
    let index = house.audit_size().unwrap();
    house.vault().ensure(&[ann]).unwrap();
    house.audit_sealed(&act, &json!({"email": "ann@example.com"})).unwrap();
    let bytes = house.audit_entry(index).unwrap();
    assert!(!String::from_utf8(bytes.clone()).unwrap().contains("ann@"));
    house.audit_proof(index).unwrap().verify(&bytes, &house.audit_key().unwrap()).unwrap();
    assert_eq!(house.open_audit_entry(index, "dpo").unwrap(), Some(json!({"email": "ann@example.com"})));
    // Looking is an entry too.
    let about = AuditSought { subject: Some(ann), ..AuditSought::default() };
    let found = house.audit_entries(&about, 10).unwrap();
    assert_eq!(found[0].entry.as_ref().unwrap().what, "audit.open");
    assert_eq!(found.len(), 2);
}

#[test]
fn what_the_house_runs_by_is_an_entry_and_so_is_what_was_done_while_it_was_closed() {
    let dir = tempfile::tempdir().unwrap();
    with_acts(dir.path(), 0);
    let changes = |house: &House| {
        let sought = AuditSought { what: Some("project.change".to_owned()), ..AuditSought::default() };
        house.audit_entries(&sought, 10).unwrap()
    };
    let house = open(dir.path());
    assert_eq!(changes(&house).len(), 1, "what is the same is no entry");
    house.close();
    drop(house);
    std::fs::write(dir.path().join("maschinenraum.toml"), format!("{SETTINGS}# later\n")).unwrap();
    house::owe_entry(dir.path(), &Act::new("backup.restore", "bob")).unwrap();
    let house = open(dir.path());
    let found = changes(&house);
    assert_eq!(found.len(), 2);
    let detail = &found[0].entry.as_ref().unwrap().detail;
    assert!(detail["changed"]["maschinenraum.toml"].as_str().unwrap().len() == 64, "{detail}");
    let restored = AuditSought { by: Some("bob".to_owned()), ..AuditSought::default() };
    assert_eq!(house.audit_entries(&restored, 10).unwrap().len(), 1);
    house.close();
    drop(house);
    assert_eq!(open(dir.path()).audit_entries(&restored, 10).unwrap().len(), 1, "once");
}

#[test]
fn an_act_whose_entry_is_too_large_is_not_done() {
    let dir = tempfile::tempdir().unwrap();
    write_project(dir.path(), SETTINGS);
    let house = open(dir.path());
    let before = house.audit_size().unwrap();
    let error = house.create_key("ada", &"x".repeat(70_000), &[Scope::Track], None).err().unwrap();
    assert_eq!(error.code(), "MR3207");
    assert_eq!((house.keys().unwrap().len(), house.audit_size().unwrap()), (0, before));
}

/// What opening a copy of `from` says after `change`.
fn after(from: &Path, change: impl FnOnce(&Path)) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    copy(from, dir.path());
    change(dir.path());
    match try_open(dir.path()) {
        Ok(house) => {
            house.close();
            ("opens".to_owned(), String::new())
        }
        Err(error) => (error.code().to_owned(), error.to_string()),
    }
}

#[test]
fn what_is_tampered_with_is_found_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    with_acts(dir.path(), 300);
    assert_eq!(after(dir.path(), |_| {}).0, "opens");
    let touch = |name: &'static str, from: &'static str, to: &'static str| {
        move |dir: &Path| {
            let path = dir.join("data/audit").join(name);
            let bytes = std::fs::read(&path).unwrap();
            let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
            let mut changed = bytes.clone();
            changed[at..at + from.len()].copy_from_slice(to.as_bytes());
            std::fs::write(path, changed).unwrap();
        }
    };
    let (code, said) = after(dir.path(), touch("tile/entries/000", "{\"n\":123}", "{\"n\":124}"));
    assert_eq!(code, "MR3202");
    assert!(said.contains("entry 124 "), "{said}");
    let (code, said) = after(dir.path(), touch("tile/entries/001.p/45", "{\"n\":299}", "{\"n\":298}"));
    assert_eq!(code, "MR3202");
    assert!(said.contains("entry 300 "), "{said}");
    assert_eq!(after(dir.path(), touch("checkpoint", "\n301\n", "\n302\n")).0, "MR3201");
    assert_eq!(after(dir.path(), touch("key", "shop+", "shob+")).0, "MR3206");
    let (code, said) = after(dir.path(), |dir| {
        let path = dir.join("data/audit/tile/0/000");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..8_000]).unwrap();
    });
    assert_eq!(code, "MR3205");
    assert!(said.contains("tile/0/000"), "{said}");
    // Derived: removed as a whole it is made anew.
    assert_eq!(
        after(dir.path(), |dir| std::fs::remove_dir_all(dir.join("data/audit/tile")).unwrap()).0,
        "opens"
    );
}

#[test]
fn a_journal_that_was_rolled_back_or_rewritten_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (early, late) = (dir.path().join("early"), dir.path().join("late"));
    with_acts(&early, 10);
    copy(&early, &late);
    let house = open(&late);
    for _ in 0..5 {
        house.audit(&Act::new("test.more", "ada")).unwrap();
    }
    house.close();
    // The journal and state of the morning under the checkpoint of the evening.
    let (code, said) = after(&early, |dir| {
        std::fs::remove_dir_all(dir.join("data/audit")).unwrap();
        copy(&late.join("data/audit"), &dir.join("data/audit"));
    });
    assert_eq!(code, "MR3203");
    assert!(said.contains("entry 11 is missing"), "{said}");
    // Another journal, well formed, under the same checkpoint: an act was left out.
    let (code, said) = after(&early, |dir| {
        let forged = dir.join("forged");
        write_project(&forged, SETTINGS);
        std::fs::copy(dir.join("master.key"), forged.join("master.key")).unwrap();
        let anchor = dir.join("root.anchor");
        if anchor.exists() {
            std::fs::copy(anchor, forged.join("root.anchor")).unwrap();
        }
        copy(&dir.join("data/vault"), &forged.join("data/vault"));
        std::fs::copy(dir.join("data/instance.json"), forged.join("data/instance.json")).unwrap();
        let house = open(&forged);
        for i in 0..10 {
            house.audit(&Act { detail: json!({ "n": i + 1 }), ..Act::new("test.act", "ada") }).unwrap();
        }
        house.close();
        for part in ["journal", "state", "composition"] {
            let (from, to) = (forged.join("data").join(part), dir.join("data").join(part));
            if to.is_dir() {
                std::fs::remove_dir_all(&to).unwrap()
            }
            if from.is_dir() {
                copy(&from, &to)
            } else {
                std::fs::copy(from, to).unwrap();
            }
        }
    });
    assert_eq!(code, "MR3202", "{said}");
    assert!(said.contains("entry 0 "), "{said}");
    assert!(!files(&early).is_empty());
}
