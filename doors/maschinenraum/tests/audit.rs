//! Every privileged verb of the command line leaves an entry, and the log they make is verified by whoever gets it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

mod run;

use std::path::Path;

use run::check;

/// The acts of the log, the latest first.
fn acts(project: &Path) -> Vec<(String, String)> {
    let listed = check(project, &["--json", "audit", "list", "--most", "1000"], 0, &[]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let text = |entry: &serde_json::Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    listed.as_array().unwrap().iter().map(|entry| (text(entry, "what"), text(entry, "by"))).collect()
}

#[test]
fn every_privileged_verb_leaves_an_entry() {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), &["simulate", "shop", "--customers", "200", "--out", "shop"], 0, &[]);
    let project = dir.path().join("shop");
    check(&project, &["import", "--stream", "customers", "data-in/customers.csv"], 0, &[]);
    check(&project, &["import", "--consents", "data-in/consents.csv"], 0, &[]);
    let orders = check(&project, &["import", "--stream", "orders", "data-in/orders.ndjson"], 0, &[]);
    let batch = orders.split("--undo ").nth(1).and_then(|rest| rest.split('`').next()).unwrap().to_owned();
    let people = std::fs::read_to_string(project.join("data-in/consents.csv")).unwrap();
    let mut people = people.lines().skip(1).filter_map(|line| line.split(',').next());
    let someone = format!("user_id={}", people.next().unwrap());
    let another = people.map(|name| format!("user_id={name}")).find(|name| *name != someone).unwrap();

    let verbs: [(&[&str], &str); 13] = [
        (&["apply"], "project.apply"),
        (&["keys", "create", "site", "--scope", "track"], "key.issue"),
        (&["people", "explain", &someone, "--purpose", "personalisation"], "person.explain"),
        (&["people", "merge", &someone, &another, "--reference", "T-1"], "profile.merge"),
        (&["people", "unmerge", &someone, &another], "profile.unmerge"),
        (&["people", "split", &someone], "profile.split"),
        (&["people", "rejoin", &someone], "profile.rejoin"),
        (&["quarantine", "--replay-all"], "quarantine.replay"),
        (&["lake", "stream", "orders", "--purpose", "analytics", "--to", "orders.parquet"], "export.take"),
        (&["lake", "instance", "--to", "../instance"], "instance.export"),
        (&["export", "--claim", "monday"], "export.take"),
        (&["backup", "../backup"], "backup.take"),
        (&["import", "--undo", &batch], "import.undo"),
    ];
    for (verb, what) in verbs {
        let before = acts(&project).len();
        check(&project, verb, 0, &[]);
        let acts = acts(&project);
        let new: Vec<&str> = acts[..acts.len() - before].iter().map(|(what, _)| what.as_str()).collect();
        assert!(new.contains(&what), "{verb:?} left {new:?}");
        assert!(acts[..acts.len() - before].iter().all(|(_, by)| by == "mara"), "{acts:?}");
    }
    let keys = check(&project, &["--json", "keys", "list"], 0, &[]);
    let keys: serde_json::Value = serde_json::from_str(&keys).unwrap();
    check(&project, &["keys", "revoke", keys[0]["id"].as_str().unwrap()], 0, &[]);
    assert_eq!(acts(&project)[0].0, "key.revoke");

    // What is refused is no act.
    let n = acts(&project).len();
    check(&project, &["keys", "revoke", "nobody"], 3, &["MR5041"]);
    check(&project, &["backup", "../backup"], 3, &["MR7009"]);
    assert!(acts(&project).len() <= n + 1);

    check(dir.path(), &["-C", "again", "restore", "backup"], 0, &[]);
    let again = dir.path().join("again");
    for file in ["master.key", "root.anchor"] {
        if project.join(file).exists() {
            std::fs::copy(project.join(file), again.join(file)).unwrap();
        }
    }
    assert_eq!(acts(&again)[0], ("backup.restore".to_owned(), "mara".to_owned()));

    // And an outsider, with nothing but the key, finds it sound; and finds out where it is not.
    let key = check(&project, &["audit", "key"], 0, &[]).trim().to_owned();
    let old = check(&project, &["audit", "checkpoint"], 0, &[]);
    std::fs::write(dir.path().join("old.checkpoint"), &old).unwrap();
    check(&project, &["audit", "prove", "0", "3", "--to", "../proofs"], 0, &["2 proofs"]);
    check(&project, &["audit", "export", "../log"], 0, &["entries in"]);
    check(&project, &["audit", "verify"], 0, &["each the same in journal, state and tiles"]);
    let outside = |path: &str, more: &[&str], code: i32, texts: &[&str]| {
        check(dir.path(), &[&["audit", "verify", path, "--key", &key], more].concat(), code, texts)
    };
    outside("log", &["--since", "old.checkpoint"], 0, &["goes on from the checkpoint"]);
    outside("proofs/3.tlog-proof", &["--entry", "proofs/3.entry"], 0, &["entry 3 is in the log"]);
    outside("proofs/3.tlog-proof", &["--entry", "proofs/0.entry"], 1, &["MR3209"]);
    outside("proofs/3.entry", &["--entry", "proofs/3.entry"], 1, &["MR3210"]);
    let bundle: std::path::PathBuf = std::fs::read_dir(dir.path().join("log/tile/entries"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .next()
        .unwrap();
    let bundle = if bundle.is_dir() {
        std::fs::read_dir(&bundle).unwrap().next().unwrap().unwrap().path()
    } else {
        bundle
    };
    let mut bytes = std::fs::read(&bundle).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    outside("log", &[], 1, &["MR3202", "entry 0 "]);

    // A witness elsewhere: it signs what goes on from what it saw, and nothing else.
    let me = ["audit", "cosign", "--name", "witness.example/me", "--key-file", "me.seed"];
    let witness = check(dir.path(), &me, 0, &[]);
    assert!(witness.starts_with("witness.example/me+"), "{witness}");
    let request = check(&project, &["audit", "consistency", "0"], 0, &[]);
    std::fs::write(dir.path().join("request"), request).unwrap();
    let ask = [&me[..], &["--state", "seen", "--log", &key, "request"]].concat();
    check(dir.path(), &ask, 0, &["\u{2014} witness.example/me "]);
    check(dir.path(), &ask, 3, &["MR3212", "it has seen"]);
}
