//! Requests of people by the command line: from the first letter to the last receipt.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

mod run;

use run::check;

#[test]
fn a_person_gets_what_is_theirs_and_it_is_put_right() {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), &["simulate", "shop", "--customers", "60", "--out", "shop"], 0, &[]);
    let shop = dir.path().join("shop");
    check(&shop, &["import", "--stream", "customers", "data-in/customers.csv"], 0, &[]);
    check(&shop, &["request", "list"], 0, &["nobody has asked for anything yet"]);
    let customers = std::fs::read_to_string(shop.join("data-in/customers.csv")).unwrap();
    let who = customers.lines().nth(1).unwrap().split(',').next().unwrap();
    let who = format!("user_id={who}");

    let opened =
        check(&shop, &["--json", "request", "open", "access", "--id", &who, "--reference", "letter"], 0, &[]);
    let opened: serde_json::Value = serde_json::from_str(&opened).unwrap();
    let id = opened["id"].as_str().unwrap();
    assert_eq!((opened["state"].as_str(), opened["by"].as_str()), (Some("open"), Some("mara")));
    check(&shop, &["request", "list"], 0, &[id, "access", "open", "letter"]);
    check(
        &shop,
        &["request", "fetch", id, "--out", "theirs"],
        0,
        &["dossier.json", "records.customers.csv", "fulfilled"],
    );
    let dossier = std::fs::read_to_string(shop.join("theirs/dossier.json")).unwrap();
    let dossier: serde_json::Value = serde_json::from_str(&dossier).unwrap();
    assert_eq!(dossier["format"], "maschinenraum.dossier.1");
    assert!(!dossier["about"]["processing"].as_array().unwrap().is_empty());
    // What lies there is not written over.
    check(&shop, &["request", "fetch", id, "--out", "theirs"], 3, &["is not empty"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(shop.join("theirs")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    check(&shop, &["request", "open", "rectification", "--id", &who], 0, &["-0002"]);
    let second = id.replace("-0001", "-0002");
    check(&shop, &["request", "fulfil", &second], 3, &["say what is wrong"]);
    let set = ["request", "fulfil", &second, "--stream", "customers", "--set"];
    check(&shop, &[&set[..], &["town=Köln"]].concat(), 3, &["MR3751", "`town`"]);
    check(&shop, &[&set[..], &["birth_year=1700"]].concat(), 3, &["contract refuses"]);
    check(&shop, &[&set[..], &["nothing"]].concat(), 3, &["FIELD=VALUE"]);
    check(&shop, &[&set[..], &["city=Sankt Nirgendwo"]].concat(), 0, &["fulfilled", "computed anew"]);
    check(&shop, &["request", "fetch", id, "--out", "again"], 0, &[]);
    let dossier = std::fs::read_to_string(shop.join("again/dossier.json")).unwrap();
    assert!(dossier.contains("Sankt Nirgendwo"));
    check(&shop, &["replay", "--verify"], 0, &[]);

    check(&shop, &["request", "open", "deletion", "--id", &who], 2, &["`deletion`", "erasure"]);
    check(
        &shop,
        &["request", "open", "erasure", "--id", &who, "--received", "2020-01-01T00:00:00Z"],
        3,
        &["more than a year"],
    );
    check(&shop, &["request", "show", "1999-0001"], 3, &["MR3750"]);
    check(&shop, &["request", "extend", &second, "--reason", "x"], 3, &["is fulfilled"]);
}
