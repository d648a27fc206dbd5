//! LAW 4: whoever is erased is gone from every store and every backup; everybody else is there.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod erased;

use erased::*;
use house::{House, Receipts};

fn store<'r>(receipts: &'r Receipts, name: &str) -> &'r house::StoreReceipt {
    receipts.stores.iter().find(|store| store.store == name).unwrap()
}

/// GDPR Art. 17: erasure reaches everything, the identifiers that belong to the person with it, and an older backup.
#[test]
fn art_17_erasure_reaches_every_store_and_every_backup() {
    for partitions in [1, 7] {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("shop");
        project(&at, partitions);
        let house = open(&at).unwrap();
        people(&house);
        let zoe = house.subject(&user("zoe")).unwrap();
        assert_eq!(house.members(zoe).unwrap().subjects.len(), 3);
        assert!(seen(&house, "zoe").contains(PLANTED[3]));
        let backup = dir.path().join("backup");
        house.backup(&backup).unwrap();

        let receipts = house.erase_people(&[id("email", PLANTED[0])], "Ada", "ticket 1").unwrap();
        assert!(receipts.complete, "{receipts:?}");
        assert_eq!(receipts.n_subjects, 3);
        assert!(store(&receipts, "state").n >= 6, "{receipts:?}");
        assert_eq!(store(&receipts, "vault").n, 1, "{receipts:?}");
        assert_eq!(house.erasure(receipts.act).unwrap(), receipts);
        zoe_is_nowhere(&house);
        neighbours_are_there(&house);
        let searched = search(&at.join("data"));
        assert!(searched.n_files > 10 && searched.n_blocks > 0, "{searched:?}");
        let keys = dir.path().join("keys");
        house.copy_keys(&keys, "Ada").unwrap();
        house.close();
        drop(house);
        let house = open(&at).unwrap();
        zoe_is_nowhere(&house);
        neighbours_are_there(&house);
        house.close();
        drop(house);

        // The backup from before: under the keys it came with nothing opens …
        let again = dir.path().join("again");
        house::restore(&backup, &again).unwrap();
        for outside in ["master.key", "root.anchor"] {
            std::fs::copy(at.join(outside), again.join(outside)).unwrap();
        }
        assert_eq!(open(&again).err().unwrap().code(), "MR3301");
        // … under the keys of today everybody's but hers, and the journal that does not know of it is told.
        house::restore_keys(&keys, &again).unwrap();
        let house = open(&again).unwrap();
        zoe_is_nowhere(&house);
        neighbours_are_there(&house);
        let (_, ordered) = &house.erasures().unwrap()[0];
        assert_eq!(ordered.subjects.len(), 3);
        assert!(ordered.receipts.is_some() && ordered.reason.contains(&receipts.act.to_string()));
        house.close();
        drop(house);
        search(&again.join("data"));
        search(&backup);
    }
}

/// Every step at which the process may die: the next opening completes it.
#[test]
fn cut_off_at_any_step_it_is_completed_by_the_next_opening() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("shop");
    project(&at, 2);
    let house = open(&at).unwrap();
    people(&house);
    house.close();
    drop(house);
    for step in 0..=8 {
        let trial = dir.path().join(format!("trial-{step}"));
        copy_dir(&at, &trial);
        let house = open(&trial).unwrap();
        house.vault().stop_before(step);
        if step == 0 {
            // Nothing stops it.
            house.erase_people(&[user("zoe")], "Ada", "ticket 1").unwrap();
        } else {
            let error = house.erase_people(&[user("zoe")], "Ada", "ticket 1").unwrap_err();
            assert_eq!(error.code(), "MR3305", "step {step}: {error}");
            assert!(house.erasures().unwrap()[0].1.receipts.is_none(), "step {step}");
        }
        neighbours_are_there(&house);
        house.close();
        drop(house);
        let house = open(&trial).unwrap();
        let (act, ordered) = house.erasures().unwrap().remove(0);
        assert!(ordered.receipts.is_some(), "step {step}");
        assert!(house.erasure(act).unwrap().complete, "step {step}");
        zoe_is_nowhere(&house);
        neighbours_are_there(&house);
        house.close();
        drop(house);
        search(&trial.join("data"));
    }
}

#[test]
fn two_at_once_and_once_more_find_nothing_left() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 3);
    let house = open(dir.path()).unwrap();
    people(&house);
    let erase = |who: &str| house.erase_people(&[user(who)], "Ada", "ticket 1").unwrap();
    let both: Vec<Receipts> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| erase("zoe"))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(both.iter().all(|receipts| receipts.complete));
    let again = erase("zoe");
    assert!(again.complete);
    assert_eq!(store(&again, "state").n, 0, "{again:?}");
    assert_eq!(house.erasures().unwrap().len(), 3);
    // Whom nobody knows: nothing to do, and said so.
    let nobody = erase("nobody");
    assert!(nobody.complete && store(&nobody, "vault").n == 0, "{nobody:?}");
    zoe_is_nowhere(&house);
    neighbours_are_there(&house);
    for (by, reason, code) in [("", "x", "MR3310"), ("Ada", " ", "MR3310")] {
        assert_eq!(house.erase_people(&[user("n1")], by, reason).unwrap_err().code(), code);
    }
    assert_eq!(house.erase_people(&[], "Ada", "x").unwrap_err().code(), "MR3310");
    assert_eq!(house.erase_people(&[id("", "x")], "Ada", "x").unwrap_err().code(), "MR7007");
}

#[test]
fn who_comes_back_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 3);
    let house = open(dir.path()).unwrap();
    people(&house);
    house.erase_people(&[user("zoe")], "Ada", "ticket 1").unwrap();
    let mut again = identify("zoe", "zoe@new.test", "Z", "1");
    again["messageId"] = "another".into();
    track(&house, &[order(7, "zoe", "dz", 500, "back again"), again]).unwrap();
    house.engine().settle(std::time::Duration::from_secs(20)).unwrap();
    let seen_now = seen(&house, "zoe");
    assert!(seen_now.contains("back again") && seen_now.contains("zoe@new.test"), "{seen_now}");
    assert!(seen_now.contains("n_30d=Integer(1)") || seen_now.contains("Integer(1)"), "{seen_now}");
    assert!(PLANTED.iter().all(|planted| !seen_now.contains(planted)), "{seen_now}");
    let zoe = house.subject(&user("zoe")).unwrap();
    assert_eq!(house.members(zoe).unwrap().subjects.len(), 3, "linked anew");
    assert!(house.verify(|_| {}).unwrap().holds());
    house.close();
    drop(house);
    let house = open(dir.path()).unwrap();
    assert_eq!(seen(&house, "zoe"), seen_now);
    house.erase_people(&[user("zoe")], "Ada", "ticket 2").unwrap();
    assert!(!seen(&house, "zoe").contains("back again"));
    assert!(house.verify(|_| {}).unwrap().holds());
}

/// The rest of a file does not bring back who was erased while it was on its way in.
#[test]
fn a_file_on_its_way_in_does_not_bring_them_back() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 3);
    let house = open(dir.path()).unwrap();
    let mut csv = "visit_id,page,user_id\n".to_owned();
    for n in 0..16_000 {
        csv += &format!("v{n},/p{},{}\n", n % 7, if n % 2 == 0 { "zoe" } else { "bob" });
    }
    write(dir.path(), "in/visits.csv", &csv);
    let file = dir.path().join("in/visits.csv");
    let (send, receive) = std::sync::mpsc::channel();
    let done = std::thread::scope(|scope| {
        let house = &house;
        let eraser = scope.spawn(move || {
            receive.recv().unwrap();
            house.erase_people(&[user("zoe")], "Ada", "ticket 1").unwrap()
        });
        let mut n_chunks = 0;
        let done = house.import(&file, "visits", |_| {
            n_chunks += 1;
            if n_chunks == 1 {
                send.send(()).unwrap();
                // The erasure has begun to wait for the chunk before the next one begins.
                std::thread::sleep(std::time::Duration::from_millis(300));
            }
        });
        assert!(eraser.join().unwrap().complete);
        done.unwrap()
    });
    assert_eq!(done.counts.n_rows, 16_000);
    let (n_refused, _) = done.reasons.get("MR3311").cloned().unwrap_or_default();
    assert!(n_refused > 0, "{:?}", done.reasons);
    let (_, values) = house.features(&all(), &user("zoe"), "service", &["visits".into()]).unwrap();
    assert_ne!(values[0].get("n"), Some(&feature::Value::Integer(8_000)));
    let n = values[0].get("n").cloned();
    assert!(n.is_none() || n == Some(feature::Value::Integer(0)), "{n:?}");
    let (_, values) = house.features(&all(), &user("bob"), "service", &["visits".into()]).unwrap();
    assert_eq!(values[0].get("n"), Some(&feature::Value::Integer(8_000)));
    assert!(house.verify(|_| {}).unwrap().holds());
}

/// A view that is new is filled from the journal, without whoever is erased.
#[test]
fn what_is_filled_from_the_past_leaves_them_out() {
    for partitions in [1, 7] {
        let dir = tempfile::tempdir().unwrap();
        project(dir.path(), partitions);
        let house = open(dir.path()).unwrap();
        people(&house);
        house.erase_people(&[user("zoe")], "Ada", "ticket 1").unwrap();
        house.close();
        drop(house);
        let view = "view: later\nversion: 1\nstream: orders\npurposes: [service]\nfeatures:\n  - {name: n, agg: count}\n";
        write(dir.path(), "features/later.yaml", view);
        let house = open(dir.path()).unwrap();
        let n = |who: &str| {
            let (_, values) = house.features(&all(), &user(who), "service", &["later".into()]).unwrap();
            values[0].get("n").cloned()
        };
        assert!(n("zoe").is_none_or(|n| n == feature::Value::Integer(0)), "{:?}", n("zoe"));
        assert_eq!(n("n3"), Some(feature::Value::Integer(1)));
        assert!(house.verify(|_| {}).unwrap().holds());
    }
}

/// An old master, or none of the files that lie outside: nothing opens, and it is said why.
#[test]
fn after_a_rotation_nobody_opens_it_with_what_was() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 1);
    let house = open(dir.path()).unwrap();
    people(&house);
    let before = seen(&house, "n1");
    vault::Master::create_file(&dir.path().join("new.key")).unwrap();
    house.rotate(&house::Rotation::Root, "Ada").unwrap();
    house.rotate(&house::Rotation::Master("file:new.key".into()), "Ada").unwrap();
    assert_eq!(
        house.rotate(&house::Rotation::Master("file:none.key".into()), "Ada").unwrap_err().code(),
        "MR3003"
    );
    assert_eq!(seen(&house, "n1"), before);
    house.close();
    drop(house);
    assert_eq!(open(dir.path()).err().unwrap().code(), "MR3001");
    let settings = std::fs::read_to_string(dir.path().join("maschinenraum.toml")).unwrap();
    write(dir.path(), "maschinenraum.toml", &format!("{settings}\n[vault]\nmaster = \"file:new.key\"\n"));
    let house = open(dir.path()).unwrap();
    assert_eq!(seen(&house, "n1"), before);
}

/// LAW 3: two purposes' pseudonyms are joined only by somebody who says why, and it is in the log.
#[test]
fn pseudonyms_of_two_purposes_are_linked_with_a_reason_only() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 1);
    let house = open(dir.path()).unwrap();
    people(&house);
    let of = |house: &House, purpose| house.pseudonym(&user("n1"), purpose).unwrap();
    let (service, marketing) = (of(&house, "service"), of(&house, "marketing"));
    assert_ne!(service, marketing);
    let linked = house.link_pseudonyms(&[service], "service", "marketing", "Ada", "ticket 5").unwrap();
    assert_eq!(linked, [Some(marketing)]);
    let error = house.link_pseudonyms(&[service], "service", "marketing", "Ada", "").unwrap_err();
    assert_eq!(error.code(), "MR3312");
    assert!(house.link_pseudonyms(&[service], "service", "unheard", "Ada", "x").is_err());
}

/// A model that learned from the erased is marked; trained anew by policy, it has never seen them.
#[test]
fn a_model_is_marked_and_trained_anew_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let learned = learning::learn(dir.path(), 3);
    assert!(learned.n_before > 0 && learned.n_after == 0, "{learned:?}");
    assert_eq!(learned.n_rows.0 - learned.n_before, learned.n_rows.1, "{learned:?}");
    assert_eq!(learned.marked, [1, 1], "{learned:?}");
    assert_eq!(learned.marked_after[2..], [0, 0], "{learned:?}");
    assert_eq!(learned.n_due, (1, 0), "{learned:?}");
    assert!(learned.verified, "{learned:?}");
}

/// The search of the tests above finds what only a decoder of the databases' blocks sees.
#[test]
fn what_lies_compressed_in_a_database_is_found() {
    let text = "the canary sang at the harbour at midnight";
    let (head, tail) = text.split_at(text.len() / 2);
    let long = |text: &str| format!("{head} {tail} {}{text}", "x".repeat(5_000)).into_bytes();
    let needles: Vec<Needle<'_>> = vec![(text, ("plain", text.as_bytes().to_vec()))];
    let found_in = |compact: bool| {
        let dir = tempfile::tempdir().unwrap();
        let db = store::Database::open(dir.path(), 1 << 20).unwrap();
        let row = |key: &str, text: &str| (key.as_bytes().to_vec(), Some(long(text)));
        db.write(vec![row("a", "nothing"), row("b", text)], true).unwrap();
        if compact {
            db.compact().unwrap();
        }
        drop(db);
        let plain = |path: &std::path::Path| {
            let bytes = std::fs::read(path).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        };
        let mut open = vec![dir.path().to_path_buf()];
        while let Some(at) = open.pop() {
            for path in std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    open.push(path);
                } else {
                    assert!(!plain(&path), "not compressed in {}", path.display());
                }
            }
        }
        find(dir.path(), &needles)
    };
    // In the database's journal first, then in the blocks of its table.
    for compact in [false, true] {
        let (searched, found) = found_in(compact);
        assert!(searched.n_blocks > 0 && found.is_some(), "{compact}: {searched:?} {found:?}");
    }
}
