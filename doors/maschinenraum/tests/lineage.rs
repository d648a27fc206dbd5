//! `lineage`, `catalogue`, `impact` and `lake` as people use them: on a simulated shop.
#![allow(clippy::unwrap_used, reason = "test code")]

mod run;

use run::check;

#[test]
fn what_is_made_from_what_is_known_before_and_after_anything_is_imported() {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), &["simulate", "shop", "--customers", "100", "--out", "shop"], 0, &[]);
    let shop = dir.path().join("shop");
    // Nothing is made by asking.
    check(&shop, &["lineage", "stream:orders", "--down"], 0, &["goes into", "use_case:next_order"]);
    check(&shop, &["catalogue", "--kind", "model"], 0, &["model:response"]);
    check(&shop, &["catalogue", "nothing", "of", "the", "sort"], 1, &["0 found"]);
    check(&shop, &["catalogue", "--kind", "table"], 3, &["`table` is no kind of thing"]);
    assert!(!shop.join("data").exists());
    check(&shop, &["lineage", "feature:orders.nothing"], 3, &["MR2304"]);
    check(&shop, &["impact"], 0, &["no contract differs"]);

    check(&shop, &["apply"], 0, &["in force"]);
    check(&shop, &["lineage"], 0, &["edges:", "untested"]);
    let told = check(&shop, &["lineage", "--emit", "-"], 0, &[]);
    assert!(told.lines().count() > 5 && told.contains("columnLineage"), "{told}");
    std::fs::write(
        shop.join("events.jsonl"),
        "{\"eventTime\":\"2026-11-24T09:00:00Z\",\"producer\":\"p\",\"job\":{\"namespace\":\"bi\",\"name\":\"weekly\"},\
         \"inputs\":[{\"namespace\":\"maschinenraum\",\"name\":\"streams/orders\"}]}\nnonsense\n",
    )
    .unwrap();
    check(
        &shop,
        &["lineage", "--accept", "events.jsonl"],
        1,
        &["events.jsonl:2: error MR2302", "1 event taken, 1 refused"],
    );
    check(&shop, &["lineage", "job:bi/weekly", "--up"], 0, &["stream:orders"]);
    check(&shop, &["lineage", "0123456789abcdef0123456789abcdef"], 3, &["MR5041"]);

    check(&shop, &["impact", "--remove", "stream:orders"], 1, &["job:bi/weekly"]);
    // A field goes: named by check and by impact, refused by apply where the version does not say so.
    let file = shop.join("contracts/orders.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        yaml.replacen("version: 1.0.0", "version: 1.1.0", 1).replacen(
            "- name: total_cents",
            "- name: sum_cents",
            1,
        ),
    )
    .unwrap();
    check(&shop, &["check"], 1, &["MR2305", "model response", "that needs version 2.0.0"]);
    check(&shop, &["impact"], 1, &["use_case:next_order", "model:response"]);
}

#[test]
fn a_whole_instance_goes_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), &["simulate", "shop", "--customers", "100", "--out", "shop"], 0, &[]);
    let at = |args: &[&'static str]| -> Vec<&'static str> { [&["-C", "shop"], args].concat() };
    check(
        dir.path(),
        &at(&["import", "--stream", "customers", "shop/data-in/customers.csv"]),
        0,
        &["100 rows"],
    );
    check(dir.path(), &at(&["lake", "instance", "--to", "out"]), 0, &["digest"]);
    check(dir.path(), &at(&["lake", "instance", "--to", "out"]), 3, &["MR4704"]);
    let load = ["-C", "fresh", "lake", "load", "out", "--master", "shop/master.key", "--partitions", "7"];
    check(dir.path(), &load, 0, &["in 7 partitions", "the same"]);
    check(dir.path(), &load, 3, &["MR4704"]);
    check(dir.path(), &["-C", "fresh", "status"], 0, &["customers"]);
    let without = ["-C", "other", "lake", "load", "out"];
    check(dir.path(), &without, 3, &["master.key"]);
    check(dir.path(), &["-C", "third", "lake", "load", "shop"], 3, &["MR4703"]);
    let nothing = at(&["lake", "stream", "customers", "--purpose", "nothing", "--to", "c.parquet"]);
    check(dir.path(), &nothing, 3, &["MR4702"]);
}
