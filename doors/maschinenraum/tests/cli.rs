//! The binary as people and their builds use it: exit codes, messages, and what a second call does.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run of the binary left: its exit code, and both outputs.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs the binary in a directory.
fn run(dir: &Path, args: &[&str]) -> Ran {
    let binary = env!("CARGO_BIN_EXE_maschinenraum");
    let ran = Command::new(binary)
        .args(args)
        .current_dir(dir)
        .env_remove("MASCHINENRAUM_PROJECT")
        .env_remove("RUST_LOG")
        .env("USER", "mara")
        .output()
        .unwrap();
    Ran {
        code: ran.status.code().unwrap_or(-1),
        out: String::from_utf8(ran.stdout).unwrap(),
        err: String::from_utf8(ran.stderr).unwrap(),
    }
}

/// Runs the binary, and looks at its exit code and for texts in what it prints.
#[track_caller]
fn check(dir: &Path, args: &[&str], code: i32, texts: &[&str]) -> Ran {
    let ran = run(dir, args);
    let both = format!("{}{}", ran.out, ran.err);
    assert_eq!(ran.code, code, "exit code of {args:?}:\n{both}");
    for text in texts {
        assert!(both.contains(text), "`{text}` is not in what {args:?} prints:\n{both}");
    }
    assert!(!both.contains("panicked"), "{args:?}:\n{both}");
    ran
}

/// A shop of 300 customers in `shop/`, nothing imported yet.
fn shop() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), &["simulate", "shop", "--customers", "300", "--out", "shop"], 0, &["300 customers"]);
    dir
}

const ORDERS: &str = "order_no;email;date;total\n\
    A-1;anna@example.org;03.10.2026;49,90\n\
    A-2;bert@example.org;04.10.2026;120,00\n";

#[test]
fn a_proposed_contract_says_what_only_people_know() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("orders.csv"), ORDERS).unwrap();
    let init = ["init", "--from", "orders.csv", "mine"];
    check(dir.path(), &init, 0, &["wrote mine/contracts/orders.yaml"]);
    check(dir.path(), &init, 3, &["`mine` is a project already"]);
    let missing = ["contracts/orders.yaml:", "MR1106", "MR1107", "2 errors"];
    check(&dir.path().join("mine"), &["check"], 1, &missing);
    check(&dir.path().join("mine"), &["status"], 3, &["MR7008", "maschinenraum check"]);

    let file = dir.path().join("mine/contracts/orders.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    let yaml = yaml.replace("  # - { property: owner", "  - { property: owner");
    let yaml = yaml.replace("  # - { property: purposes", "  - { property: purposes");
    let yaml = yaml.replace("  # - { property: retention", "  - { property: retention");
    std::fs::write(&file, yaml).unwrap();
    let args = ["-C", "mine", "check", "--file", "orders=orders.csv"];
    check(dir.path(), &args, 0, &["2 rows, 0 would be refused", "0 errors"]);
}

#[test]
fn a_broken_file_is_found_by_line_before_anything_is_imported() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("orders.csv"), ORDERS).unwrap();
    check(dir.path(), &["init", "--from", "orders.csv", "mine"], 0, &[]);
    let broken = ORDERS.replace("04.10.2026", "tomorrow").replace("49,90", "a lot");
    std::fs::write(dir.path().join("broken.csv"), broken).unwrap();
    let args = ["-C", "mine", "check", "--file", "orders=broken.csv"];
    check(
        dir.path(),
        &args,
        1,
        &["broken.csv:2: error", "broken.csv:3: error", "`tomorrow`", "2 would be refused"],
    );
    let args = ["-C", "mine", "--json", "check", "--file", "orders=broken.csv"];
    let findings: serde_json::Value = serde_json::from_str(&check(dir.path(), &args, 1, &[]).out).unwrap();
    assert!(findings.as_array().is_some_and(|all| all.len() >= 2), "{findings}");
    check(dir.path(), &["-C", "mine", "check", "--file", "ordres=broken.csv"], 3, &["`ordres`"]);
    check(dir.path(), &["-C", "mine", "check", "--file", "orders=none.csv"], 3, &["MR2020", "none.csv"]);
}

#[test]
fn broken_settings_and_files_are_named_with_their_lines() {
    let dir = shop();
    let project = dir.path().join("shop");
    check(&project, &["check"], 0, &["5 contracts", "1 use case:", "0 errors"]);

    let use_case = project.join("usecases/next_order.yaml");
    let yaml = std::fs::read_to_string(&use_case).unwrap();
    std::fs::write(&use_case, yaml.replace("responsible:", "responsable:")).unwrap();
    check(&project, &["check"], 1, &["usecases/next_order.yaml:", "did you mean `responsible`?"]);
    std::fs::write(&use_case, yaml).unwrap();

    let settings = project.join("maschinenraum.toml");
    let toml = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("[server]\nlissen = \"127.0.0.1:1\"\n{toml}")).unwrap();
    for command in ["check", "status", "apply"] {
        check(&project, &[command], 3, &["maschinenraum.toml:2:", "lissen", "MR7002"]);
    }
    check(dir.path(), &["status"], 3, &["MR7001", "maschinenraum init"]);
}

#[test]
fn wrong_use_is_told_apart_from_errors() {
    let dir = shop();
    let project = dir.path().join("shop");
    check(&project, &["improt"], 2, &["improt", "import"]);
    check(&project, &["import"], 2, &[]);
    check(&project, &["decide", "next_order"], 2, &["--id"]);
    check(&project, &["decide", "next_order", "--id", "c00001"], 3, &["TYPE=VALUE"]);
    check(&project, &["explain", "12"], 3, &["32 hexadecimal digits"]);
    check(&project, &["keys", "create", "x", "--scope", "fly"], 3, &["`fly` is no scope", "admin"]);
    check(&project, &["train", "respnse"], 3, &["MR4591", "known: response"]);
    check(&project, &["models", "respnse"], 3, &["MR4591", "known: response"]);
    check(&project, &["models", "response"], 0, &["gate"]);
    check(dir.path(), &["simulate", "shop", "--out", "shop"], 3, &["is a project already"]);
    check(dir.path(), &["--help"], 0, &["Exit codes", "simulate shop"]);
}

#[test]
fn the_same_file_twice_is_one_import_and_a_withdrawal_ends_decisions() {
    let dir = shop();
    let project = dir.path().join("shop");
    let customers = ["import", "--stream", "customers", "data-in/customers.csv"];
    check(&project, &customers, 0, &["300 rows = 300 accepted + 0 quarantined + 0 duplicates"]);
    check(&project, &customers, 0, &["imported before; nothing to do"]);
    check(&project, &["import", "--consents", "data-in/consents.csv"], 0, &["0 rows refused"]);
    let orders = ["import", "--stream", "orders", "data-in/orders.ndjson"];
    let first = check(&project, &orders, 0, &["quarantined", "MR1001"]);
    check(&project, &["quarantine"], 0, &["orders", "MR1001"]);
    check(&project, &["import", "--stream", "ordrs", "data-in/orders.ndjson"], 3, &["known: campaigns"]);
    check(&project, &["import", "--list"], 0, &["customers.csv", "orders.ndjson", "finished"]);

    let someone = std::fs::read_to_string(project.join("data-in/consents.csv")).unwrap();
    let someone = someone.lines().nth(1).and_then(|line| line.split(',').next()).unwrap().to_owned();
    let person = format!("user_id={someone}");
    let unknown = ["decide", "next_orders", "--id", person.as_str()];
    check(&project, &unknown, 3, &["there is no use case `next_orders`; known: next_order", "MR5040"]);
    check(&project, &["decide", "next_order", "--id", "user_id=c99999"], 3, &["MR3013", "none was given"]);
    check(&project, &["consent", "--id", &person, "personalisation", "withdrawn"], 0, &["withdrawn"]);
    check(&project, &["decide", "next_order", "--id", &person], 3, &["MR3012", "`personalisation`"]);
    let wrong = ["consent", "--id", person.as_str(), "personalization", "granted"];
    check(&project, &wrong, 3, &["MR3010", "personalisation"]);

    check(&project, &["replay", "--verify"], 0, &["the same:"]);
    let status = check(&project, &["--json", "status"], 0, &[]);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert!(status.get("streams").is_some(), "{status}");

    let batch = first.out.split("--undo ").nth(1).and_then(|rest| rest.split('`').next()).unwrap().to_owned();
    check(&project, &["import", "--undo", &batch], 0, &["taken back"]);
    check(&project, &["import", "--list"], 0, &["undone"]);
    check(&project, &orders, 3, &["was taken back"]);
    check(&project, &["replay", "--verify"], 0, &["the same:"]);
}

#[test]
fn a_backup_comes_back_with_its_key_and_says_what_it_lacks_without() {
    let dir = shop();
    let project = dir.path().join("shop");
    check(&project, &["import", "--stream", "customers", "data-in/customers.csv"], 0, &[]);
    check(&project, &["import", "--consents", "data-in/consents.csv"], 0, &[]);
    check(&project, &["replay", "--verify"], 0, &["the same:"]);
    check(&project, &["backup", "../backup"], 0, &["the master key is not in it"]);
    check(&project, &["backup", "../backup"], 3, &["MR7009", "not empty"]);

    check(dir.path(), &["-C", "again", "restore", "backup"], 0, &["put master key and anchor"]);
    check(dir.path(), &["-C", "again", "restore", "backup"], 3, &["MR7009"]);
    check(dir.path(), &["-C", "again", "status"], 3, &["MR3003", "master.key"]);
    std::fs::copy(project.join("master.key"), dir.path().join("again/master.key")).unwrap();
    check(dir.path(), &["-C", "again", "status"], 3, &["MR3302", "root.anchor"]);
    std::fs::copy(project.join("root.anchor"), dir.path().join("again/root.anchor")).unwrap();
    check(dir.path(), &["-C", "again", "replay", "--verify"], 0, &["the same:"]);
    // Taking and restoring it are entries of the log; everything else is the same.
    let streams = |dir: &Path, args: &[&str]| {
        let status: serde_json::Value = serde_json::from_str(&check(dir, args, 0, &[]).out).unwrap();
        let mut streams = status.get("streams").cloned().unwrap_or_default();
        assert!(streams.as_object_mut().is_some_and(|all| all.remove("mr.audit").is_some()), "{streams}");
        streams
    };
    let again = streams(dir.path(), &["-C", "again", "--json", "status"]);
    assert_eq!(streams(&project, &["--json", "status"]), again, "the restored state is another");
    check(dir.path(), &["-C", "again", "restore", "shop"], 3, &["backup.json"]);
}

#[test]
fn a_project_that_a_server_has_open_is_not_called_broken() {
    let dir = shop();
    let project = dir.path().join("shop");
    let mut server = Command::new(env!("CARGO_BIN_EXE_maschinenraum"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .current_dir(&project)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stderr.take().unwrap()).lines();
    assert!(
        lines.map_while(Result::ok).any(|line| line.contains("serving on 127.0.0.1:")),
        "it never served"
    );
    check(&project, &["status"], 3, &["another process has `.` open", "ask the server"]);
    check(&project, &["check"], 0, &["0 errors"]);
    server.kill().unwrap();
    server.wait().unwrap();
    check(&project, &["status"], 0, &["partitions"]);
}

/// The first fenced block of this language on a page of the documentation.
fn example(page: &str, language: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let block = text.split(&format!("```{language}\n")).nth(1).and_then(|rest| rest.split("```").next());
    block.unwrap().to_owned()
}

#[test]
fn the_examples_of_the_reference_pages_pass_check() {
    let dir = shop();
    let own = dir.path().join("own");
    for folder in ["contracts", "features"] {
        std::fs::create_dir_all(own.join(folder)).unwrap();
    }
    std::fs::write(own.join("maschinenraum.toml"), example("settings.md", "toml")).unwrap();
    std::fs::write(own.join("contracts/orders.yaml"), example("contracts.md", "yaml")).unwrap();
    std::fs::write(own.join("features/orders.yaml"), example("features.md", "yaml")).unwrap();
    check(&own, &["check"], 0, &["1 contract, 1 view, ", ": 0 errors, 0 other findings"]);

    let shop = dir.path().join("shop");
    std::fs::write(shop.join("models/response.yaml"), example("models.md", "yaml")).unwrap();
    std::fs::write(shop.join("usecases/next_order.yaml"), example("usecases.md", "yaml")).unwrap();
    check(&shop, &["check"], 0, &["1 model, 1 use case: 0 errors, 0 other findings"]);
}
