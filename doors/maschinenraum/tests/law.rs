//! What the law asks for, on the command line: registers, signatures, stops, incidents; erasure; keys.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

mod run;

use std::path::{Path, PathBuf};

use run::check;

/// A shop with its people and orders, and some settings more.
fn shop(dir: &Path, settings: &str) -> PathBuf {
    check(dir, &["simulate", "shop", "--customers", "60", "--out", "shop"], 0, &[]);
    let project = dir.join("shop");
    change(&project, "maschinenraum.toml", |text| text + settings);
    check(&project, &["import", "--stream", "customers", "data-in/customers.csv"], 0, &[]);
    check(&project, &["import", "--consents", "data-in/consents.csv"], 0, &[]);
    check(&project, &["import", "--stream", "orders", "data-in/orders.ndjson"], 0, &[]);
    project
}

fn change(project: &Path, file: &str, with: impl FnOnce(String) -> String) {
    let path = project.join(file);
    let text = with(std::fs::read_to_string(&path).unwrap());
    std::fs::write(path, text).unwrap();
}

/// Customers who said something, as TYPE=VALUE.
fn customers(project: &Path) -> Vec<String> {
    let rows = std::fs::read_to_string(project.join("data-in/consents.csv")).unwrap();
    let mut ids: Vec<String> =
        rows.lines().skip(1).filter_map(|row| Some(format!("user_id={}", row.split(',').next()?))).collect();
    ids.dedup();
    ids
}

#[test]
fn what_is_due_is_signed_stopped_told_and_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let signatories =
        "\n[registers]\ncontroller = \"Beispiel GmbH, Köln\"\nsignatories = [\"Dana\", \"Emil\"]\n";
    let project = shop(dir.path(), signatories);
    let run = |args: &[&str], code: i32, texts: &[&str]| check(&project, args, code, texts);

    run(&["dpia", "list"], 0, &["not due"]);
    let facts = "\ndpia: {facts: [systematic_monitoring, matched_data], file: registers/dpia.md}\n";
    std::fs::create_dir_all(project.join("registers")).unwrap();
    std::fs::write(project.join("registers/dpia.md"), "What is done, and why.\n").unwrap();
    change(&project, "usecases/next_order.yaml", |text| text + facts);
    run(&["dpia", "list"], 1, &["0 of 1 signed", "MR3710"]);
    run(&["register", "dpia", "next_order", "--lang", "de"], 0, &["next\\_order"]);
    run(&["dpia", "sign", "next_order", "--by", "Nobody"], 3, &["MR3711", "Nobody"]);
    run(&["dpia", "sign", "next_order", "--by", "Dana"], 0, &["signed, in effect"]);
    run(&["dpia", "list"], 0, &["1 of 1 signed", "may decide"]);

    run(
        &["oversight", "stop", "next_order", "--reason", "complaints", "--by", "Ann"],
        0,
        &["stopped, in effect"],
    );
    run(&["oversight", "list"], 1, &["MR3720", "complaints"]);
    run(&["oversight", "resume", "next_order", "--reason", "mended", "--by", "Ann"], 3, &["MR3721"]);
    run(&["oversight", "resume", "next_order", "--reason", "mended", "--by", "Dana"], 0, &["resumed"]);
    run(&["oversight", "overrule", "none", "--reason", "x"], 3, &["`none` is no decision's id"]);

    let what = ["--what", "sent to a wrong address", "--harm", "risk", "--stream", "orders", "--by", "Dana"];
    run(&[&["incident", "open"], &what[..]].concat(), 0, &["GDPR Art. 33(1)", "data protection authority"]);
    run(&["incident", "close", "2026-0001", "--reason", "deleted"], 3, &["MR3731", "gdpr_33"]);
    run(&["incident", "tell", "2026-0001", "moon", "--reference", "x"], 3, &["no clock `moon`"]);
    run(&["incident", "tell", "2026-0001", "gdpr_33", "--reference", "LDI 1"], 0, &["told"]);
    run(&["incident", "close", "2026-0001", "--reason", "deleted"], 0, &["closed"]);
    // Known for longer than its clock runs: the list says so by its exit code.
    let late = [&["incident", "open"], &what[..], &["--aware", "2026-10-01"]].concat();
    run(&late, 0, &[]);
    run(&["incident", "list"], 1, &["2026-0002", "2026-0001"]);

    run(&["lake", "stream", "orders", "--purpose", "analytics", "--to", "orders.parquet"], 0, &[]);
    let ropa = run(&["register", "ropa", "--lang", "de"], 0, &["Beispiel GmbH, Köln", "entnahm einen Strom"]);
    assert!(ropa.starts_with("# Verzeichnis von Verarbeitungstätigkeiten"), "{ropa}");
    run(&["register", "ropa", "--format", "pdf", "--out", "ropa.pdf"], 0, &["wrote ropa.pdf"]);
    assert!(std::fs::read(project.join("ropa.pdf")).unwrap().starts_with(b"%PDF"));
    let json = run(&["--json", "register", "risk", "--at", "2027-12-02"], 0, &[]);
    assert!(serde_json::from_str::<serde_json::Value>(&json).unwrap().is_array());
    run(&["register", "annex-iv"], 3, &["name the use case"]);
    run(&["register", "ropa", "--at", "2027-12-02"], 3, &["--at is for `register risk`"]);
    run(&["register", "mlbom", "--format", "pdf"], 3, &["a bill of materials is JSON"]);
    run(&["register", "dpia", "nothing"], 3, &["MR5040", "next_order"]);
}

#[test]
fn a_person_is_erased_by_command_and_not_brought_back_by_an_old_backup() {
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), "");
    let run = |args: &[&str], code: i32, texts: &[&str]| check(&project, args, code, texts);
    let people = customers(&project);
    let [zoe, ann] = [&people[0], &people[1]];
    run(&["backup", "../backup"], 0, &[]);
    run(&["erase", "--id", zoe, "--reason", " "], 3, &["MR3310"]);
    run(&["erase", "--id", "zoe", "--reason", "ticket 1"], 3, &["zoe"]);
    run(&["erase", "--id", zoe], 2, &["--reason"]);
    let told = run(&["--json", "erase", "--id", zoe, "--reason", "ticket 1"], 0, &[]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(told["complete"] == true && told["by"] == "mara", "{told}");
    let act = told["act"].as_str().unwrap();
    run(&["erase", "--show", act], 0, &["ordered by mara", "vault", "done"]);
    run(&["erase", "--all"], 0, &[act, "ticket 1"]);
    // Nobody whom the house knows: said, for it is mostly a misspelt name.
    run(&["erase", "--id", "user_id=nobody", "--reason", "ticket 2"], 0, &["nothing was known of them"]);
    std::fs::write(project.join("list.txt"), format!("{zoe}\n\nuser_id=nobody\n")).unwrap();
    run(&["erase", "--list", "list.txt", "--reason", "ticket 3"], 0, &["of 2 subject(s)"]);
    run(&["vault", "copy", "../keys"], 0, &["the master key is not"]);
    run(&["vault", "copy", "../keys"], 3, &["MR7009"]);

    // The backup's own keys are worth nothing; with those of today the erasure is done again.
    let again = dir.path().join("again");
    check(dir.path(), &["-C", "again", "restore", "backup"], 0, &[]);
    for file in ["master.key", "root.anchor"] {
        std::fs::copy(project.join(file), again.join(file)).unwrap();
    }
    check(&again, &["status"], 3, &["MR3301"]);
    std::fs::remove_dir_all(&again).unwrap();
    check(dir.path(), &["-C", "again", "restore", "backup", "--keys", "keys"], 0, &[]);
    std::fs::copy(project.join("master.key"), again.join("master.key")).unwrap();
    check(&again, &["erase", "--all"], 0, &["which this journal did not know of"]);
    let explained = |id: &str| check(&again, &["people", "show", id, "--purpose", "fulfilment"], 0, &[]);
    let email = |text: &str| text.contains('@');
    assert!(email(&explained(ann)) && !email(&explained(zoe)), "{} {}", explained(ann), explained(zoe));
}

#[test]
fn keys_are_renewed_copied_and_pseudonyms_linked_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), "");
    let run = |args: &[&str], code: i32, texts: &[&str]| check(&project, args, code, texts);
    let ann = customers(&project)[1].clone();
    run(&["vault", "rotate", "root"], 0, &["0 keys wrapped anew", "make a new one"]);
    let done = run(&["--json", "vault", "rotate", "buckets"], 0, &[]);
    let done: serde_json::Value = serde_json::from_str(&done).unwrap();
    assert_eq!(done["n_buckets"], 1_024);
    run(&["vault", "rotate", "master"], 2, &["--to"]);
    run(&["vault", "rotate", "locks"], 2, &["locks"]);
    run(&["vault", "rotate", "master", "--to", "file:none.key"], 3, &["MR3003", "none.key"]);
    run(&["vault", "new-master", "new.key"], 0, &["made new.key"]);
    run(&["vault", "new-master", "new.key"], 3, &["new.key"]);
    run(&["vault", "rotate", "master", "--to", "file:new.key"], 0, &["write that into [vault]"]);
    // The settings name the old one still.
    run(&["vault", "pseudonym", &ann, "--purpose", "personalisation"], 3, &["MR3001"]);
    change(&project, "maschinenraum.toml", |text| text + "\n[vault]\nmaster = \"file:new.key\"\n");
    let name =
        |purpose: &str| run(&["vault", "pseudonym", &ann, "--purpose", purpose], 0, &[]).trim().to_owned();
    let (one, other) = (name("personalisation"), name("email_marketing"));
    assert_ne!(one, other, "two purposes cannot be joined");
    let link = |reason: &str, code: i32, texts: &[&str]| {
        let args = [
            "vault",
            "link",
            "--from",
            "personalisation",
            "--to",
            "email_marketing",
            "--reason",
            reason,
            &one,
        ];
        run(&args, code, texts)
    };
    link(" ", 3, &["MR3312"]);
    assert_eq!(link("ticket 5", 0, &[]).trim(), other);
    run(&["vault", "pseudonym", &ann, "--purpose", "nothing"], 3, &["MR3010"]);
    run(&["audit", "list", "--what", "pseudonym.link"], 0, &["ticket 5", "mara"]);
    run(&["audit", "list", "--what", "vault.rotate"], 0, &["mara"]);
    run(&["vault", "compact"], 0, &[]);
}

#[test]
fn a_policy_with_an_error_is_quoted_with_its_line_and_nothing_starts() {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), &["simulate", "shop", "--customers", "20", "--out", "shop"], 0, &[]);
    let project = dir.path().join("shop");
    std::fs::create_dir_all(project.join("policies")).unwrap();
    let write = |text: &str| std::fs::write(project.join("policies/own.cedar"), text).unwrap();
    for (text, place, code) in [
        ("\npermit (principal action, resource);", "policies/own.cedar:2", "MR3402"),
        ("permit (principal, action == Action::\"eat\", resource);", "policies/own.cedar:1", "MR3403"),
    ] {
        write(text);
        check(&project, &["check"], 1, &[place, code]);
        check(&project, &["status"], 3, &["maschinenraum check"]);
    }
    write("@id(\"none\")\nforbid (principal, action == Action::\"export\", resource);\n");
    check(&project, &["check"], 0, &["0 errors"]);
    check(
        &project,
        &["roles", "ask", "--role", "admin", "export", "--purpose", "personalisation", "--class", "personal"],
        1,
        &["denied", "policies/own.cedar"],
    );
}
