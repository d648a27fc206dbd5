//! Jobs as people and their schedulers use them: run whole, step by step, killed in every step.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

fn command(project: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maschinenraum"));
    command.args(args).current_dir(project).env("USER", "mara").env_remove("RUST_LOG");
    for name in ["MASCHINENRAUM_PROJECT", "MASCHINENRAUM_SERVER", "MASCHINENRAUM_KEY"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command that must end with this code, and gives stdout and both outputs.
#[track_caller]
fn check(project: &Path, args: &[&str], code: i32, texts: &[&str]) -> (String, String) {
    let ran = command(project, args).output().unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    let both = format!("{out}{}", String::from_utf8(ran.stderr).unwrap());
    assert_eq!(ran.status.code(), Some(code), "{args:?}:\n{both}");
    for text in texts {
        assert!(both.contains(text), "`{text}` is not in what {args:?} prints:\n{both}");
    }
    (out, both)
}

#[track_caller]
fn printed(project: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&check(project, args, 0, &[]).0).unwrap()
}

/// A shop whose job rests for no longer than a test waits.
fn shop(dir: &Path, customers: &str) -> PathBuf {
    let shop = dir.join("shop");
    check(dir, &["simulate", "shop", "--customers", customers, "--out", "shop"], 0, &[]);
    change(&shop, "first_after: 1m", "first_after: 1s");
    shop
}

fn change(project: &Path, from: &str, to: &str) {
    let file = project.join("jobs/nightly.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    assert!(yaml.contains(from), "{yaml}");
    std::fs::write(file, yaml.replace(from, to)).unwrap();
}

/// What is left of a run: imports, model versions with their gate's words, streams without the jobs' own notes.
fn left(project: &Path) -> Value {
    let imports = printed(project, &["--json", "import", "--list"]);
    let mut imports: Vec<Value> = imports
        .as_array()
        .unwrap()
        .iter()
        .map(|import| json!([import[0], import[1]["counts"], import[1]["stage"]]))
        .collect();
    imports.sort_by_key(Value::to_string);
    let models = check(project, &["models", "response"], 0, &[]).0;
    let mut streams = printed(project, &["--json", "status"])["streams"].clone();
    for (name, stream) in streams.as_object_mut().unwrap() {
        *stream = json!([stream["n_records"], stream["n_refused"]]);
        // How often it was cut off is on record, and an import is told to have started again.
        if name.starts_with("mr.") {
            *stream = Value::Null;
        }
    }
    json!({ "imports": imports, "models": models.replace(char::is_whitespace, " "), "streams": streams })
}

const STEPS: [&str; 10] = [
    "consents",
    "customers",
    "orders",
    "visits",
    "campaigns",
    "responses",
    "quality",
    "features",
    "train",
    "evaluate",
];

#[test]
fn a_kill_in_any_step_changes_nothing_in_the_result() {
    let dir = tempfile::tempdir().unwrap();
    let calm = shop(dir.path(), "400");
    let killed = dir.path().join("killed");
    copy(&calm, &killed);
    let code =
        command(&calm, &["jobs", "run", "nightly", "--run", "n"]).output().unwrap().status.code().unwrap();
    assert!(code == 0 || code == 1, "the gate may refuse so small a shop");

    // Each step is killed as soon as it says that it begins: what it does is then under way or done, but not on record.
    for step in STEPS {
        let mut child = command(&killed, &["jobs", "run", "nightly", "--run", "n"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let begins = format!("step=\"{step}\"");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let found = lines.any(|line| line.contains("step begins") && line.contains(&begins));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found, "{step} did not begin");
    }
    assert_eq!(
        command(&killed, &["jobs", "run", "nightly", "--run", "n"]).output().unwrap().status.code(),
        Some(code)
    );

    let run = printed(&killed, &["--json", "jobs", "show", "nightly", "n"]);
    for step in run["steps"].as_array().unwrap() {
        let attempts: Vec<&str> = step["attempts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|attempt| attempt["ended"].as_str().unwrap())
            .collect();
        let last = if code == 1 && step["step"] == "evaluate" { "failed" } else { "done" };
        // The next step's process may have found the last step's ending on record.
        assert!(attempts == ["cut_off", last] || attempts == [last], "{}: {attempts:?}", step["step"]);
    }
    let n_cut = run["steps"].as_array().unwrap().iter().filter(|step| step["n_attempts"] == 2).count();
    assert!(n_cut >= 8, "{n_cut} of {} steps were cut off", STEPS.len());
    let calm_run = printed(&calm, &["--json", "jobs", "show", "nightly", "n"]);
    let reports = |run: &Value| {
        let steps = run["steps"].as_array().unwrap();
        steps.iter().map(|step| step["report"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(reports(&run), reports(&calm_run));
    assert_eq!(left(&killed), left(&calm));
    check(&killed, &["replay", "--verify"], 0, &["the same"]);

    // A second run over the same files adds nothing.
    let before = left(&calm);
    command(&calm, &["jobs", "run", "nightly", "--run", "m"]).output().unwrap();
    assert_eq!(left(&calm), before);
}

#[test]
fn a_scheduler_outside_does_one_step_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let shop = shop(dir.path(), "60");
    let step = |step: &str, code, texts: &[&str]| {
        check(&shop, &["jobs", "step", "nightly", step, "--run", "r"], code, texts)
    };
    step("orders", 3, &["MR4603", "it needs customers"]);
    step("ordres", 3, &["there is no step `nightly/ordres`"]);
    check(&shop, &["jobs", "step", "nigthly", "orders", "--run", "r"], 3, &["MR4602", "known: nightly"]);
    check(&shop, &["jobs", "step", "nightly", "consents", "--run", "a/b"], 3, &["MR4604", "`a/b`"]);
    step("consents", 0, &["accepted"]);
    let (first, _) = step("customers", 0, &["n_accepted"]);
    assert_eq!(step("customers", 0, &[]).0, first, "asked again, it says what came out");
    std::fs::rename(shop.join("data-in/orders.ndjson"), shop.join("late")).unwrap();
    step("orders", 3, &["MR2020", "is resting"]);
    std::fs::rename(shop.join("late"), shop.join("data-in/orders.ndjson")).unwrap();
    step("orders", 0, &[]);
    check(&shop, &["jobs", "show", "nightly", "r"], 0, &["driven by the outside", "orders", "done"]);
    check(&shop, &["jobs", "run", "nightly", "--run", "r"], 3, &["MR4607", "driven from outside"]);
    check(&shop, &["jobs", "cancel", "nightly", "r"], 0, &["cancelled"]);
    check(&shop, &["jobs", "cancel", "nightly", "r"], 3, &["MR4607", "nothing to cancel"]);
    step("visits", 3, &["MR4607", "was cancelled"]);
    check(&shop, &["jobs", "show", "nightly", "x"], 3, &["there is no run `nightly/x`"]);
    check(&shop, &["jobs", "list"], 0, &["nightly", "Europe/Berlin", "r cancelled"]);
}

#[test]
fn what_does_not_hold_stops_the_run_and_can_be_given_another_chance() {
    let dir = tempfile::tempdir().unwrap();
    let shop = shop(dir.path(), "60");
    change(&shop, "least_rows: 100", "least_rows: 1000000");
    check(&shop, &["jobs", "run", "nightly", "--run", "q"], 1, &["MR4605", "1000000 are due", "skipped"]);
    change(&shop, "least_rows: 1000000", "least_rows: 1");
    let (_, said) = check(&shop, &["jobs", "run", "nightly", "--run", "q"], 1, &["quality: done"]);
    assert!(!said.contains("customers: running"), "what is done stays done:\n{said}");

    let run = printed(&shop, &["--json", "jobs", "show", "nightly", "q"]);
    let tried = |name: &str| {
        let steps = run["steps"].as_array().unwrap();
        steps.iter().find(|step| step["step"] == name).unwrap()["n_attempts"].as_u64().unwrap()
    };
    assert_eq!((tried("customers"), tried("quality")), (1, 2));
}

#[test]
fn broken_job_files_are_found_by_line() {
    let dir = tempfile::tempdir().unwrap();
    let shop = shop(dir.path(), "20");
    for (from, to, texts) in [
        (
            "30 3 * * *",
            "30 25 * * *",
            ["jobs/nightly.yaml:6: error MR4601", "`25` of the hour is not 0 to 23"],
        ),
        (
            "Europe/Berlin",
            "Europe/Bärlin",
            ["jobs/nightly.yaml:7: error MR4601", "`Europe/Bärlin` is no time zone"],
        ),
        ("time_zone: Europe/Berlin\n", "", ["error MR4600", "a schedule needs its `time_zone`"]),
        ("needs: [quality, consents]", "needs: [train]", ["MR4600", "in a circle: train → features → train"]),
        ("needs: [quality, consents]", "needs: [qualty]", ["MR4600", "it needs `qualty`, which is no step"]),
        (
            "train: { model: response }",
            "train: { model: respnse }",
            ["MR4600", "there is no model `respnse`"],
        ),
        ("stream: visits", "stream: visit", ["MR4600", "no contract describes the stream `visit`"]),
        ("step: orders,", "step: customers,", ["MR4600", "there are two steps of this name"]),
        (", features: {} }", " }", ["MR4600", "step `features` does nothing"]),
        ("attempts: 5", "attempts: 0", ["MR4600", "`attempts: 0` is not between 1 and 100"]),
        ("owner: Mara Beispiel", "ownr: Mara Beispiel", ["MR4600", "ownr"]),
        ("most_refused_percent: 5", "most_refused_percent: 500", ["MR4600", "is not between 0 and 100"]),
    ] {
        let file = shop.join("jobs/nightly.yaml");
        let good = std::fs::read_to_string(&file).unwrap();
        change(&shop, from, to);
        check(&shop, &["check"], 1, &texts);
        std::fs::write(&file, good).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
