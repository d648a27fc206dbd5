//! Files as others write them: the examples of the Open Data Contract Standard.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::path::PathBuf;

use contract::{Contract, Error, Severity};

/// The data folder; `None` where it is absent, which only a run outside of CI may be.
fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MASCHINENRAUM_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no data at {}", path.display());
    eprintln!("SKIPPED odcs: no data");
    None
}

#[test]
fn every_example_of_the_standard_parses() {
    let Some(folder) = data("mlops/odcs") else { return };
    let mut lines = Vec::new();
    let mut n_files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".yaml") {
            continue;
        }
        n_files += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let parsed = Contract::parse(&text, &name).unwrap_or_else(|e| panic!("{e}"));
        for finding in &parsed.findings {
            assert_eq!(finding.file.as_deref(), Some(name.as_str()));
            assert!(finding.line.is_some(), "{finding}");
            // Errors about the file itself would mean we misread the standard.
            if finding.severity == Severity::Error {
                lines.push(format!("{finding}"));
            }
        }
        let fields: usize = parsed.all().map(|c| c.fields.len()).sum();
        let findings = parsed.findings.len();
        lines.push(format!("{name}: {} streams, {fields} fields, {findings} findings", parsed.all().count()));
        for contract in parsed.all() {
            assert!(contract.validate().iter().any(contract::Finding::is_error), "{name} lacks our words");
        }
    }
    assert_eq!(n_files, 20);
    lines.sort();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_full_example_gives_what_it_says() {
    let Some(file) = data("mlops/odcs/full-example.odcs.yaml") else { return };
    let parsed = Contract::parse(&std::fs::read_to_string(file).unwrap(), "full.yaml").unwrap();
    let contract = &parsed.contract;
    assert_eq!(contract.stream.as_str(), "tbl");
    assert_eq!(contract.owner.as_deref(), Some("daustin"));
    assert_eq!(contract.retention.map(|r| r.days()), Some(1095.0));
    assert_eq!(contract.field("transaction_reference_date").unwrap().source.to_string(), "/txn_ref_dt");
    assert!(contract.field("rcvr_cntry_code").unwrap().required, "nullValues must be 0");
    assert_eq!(contract.unique_keys(), vec![vec!["rcvr_id".to_owned()]]);
    let shown: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

fn refused(yaml: &str) -> String {
    match Contract::parse(yaml, "c.yaml") {
        Err(error @ (Error::Yaml { .. } | Error::NotAContract { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_contract_is_refused_with_its_line() {
    let cases = [
        "",
        "just text",
        "[1, 2]",
        "kind: DataProduct\napiVersion: v3.1.0\nversion: 1.0.0",
        "kind: DataContract\napiVersion: v2.2.2\nversion: 1.0.0",
        "kind: DataContract\napiVersion: v3.1.0",
        "kind: DataContract\napiVersion: v3.1.0\nversion: newest",
        "kind: DataContract\n  apiVersion: v3",
        "a: *nowhere",
        "kind: DataContract\nkind: DataContract",
    ];
    let shown: Vec<String> = cases.iter().map(|c| format!("{c:?}\n    {}", refused(c))).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn mistakes_inside_become_findings_with_their_line() {
    let yaml = r#"
apiVersion: v3.1.0
kind: DataContract
id: x
version: 1.0.0
status: active
colour: blue
servers: []
schema:
  - name: events
    properties:
      - name: a
        logicalType: text
        classification: top-secret
      - name: a
      - name: b
        logicalType: string
        required: maybe
        classification: confidential
        logicalTypeOptions: { pattern: "(?<=x)y", minLength: 5, maxLength: 2, minimum: 3 }
      - name: c
        logicalType: integer
        classification: public
        logicalTypeOptions: { minimum: 10, maximum: 1, format: i7, multipleOf: 0 }
        customProperties:
          - { property: enum, value: [1, two] }
          - { property: decimal_comma, value: true }
      - name: d
        logicalType: date
        classification: internal
        logicalTypeOptions: { format: QQ, minimum: soon }
      - name: mail
        logicalType: string
        classification: internal
        customProperties: [{ property: identifier, value: email }]
customProperties:
  - { property: subject_key, value: a }
  - { property: dedupKey, value: [nope] }
  - { property: eventTime, value: b }
  - { property: retention, value: a while }
  - { property: purposes, value: [{ name: x, basis: because }, y] }
  - { property: owner }
"#;
    let parsed = Contract::parse(yaml, "events.yaml").unwrap();
    let mut shown: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
    shown.push("--- validate".into());
    shown.extend(parsed.contract.validate().iter().map(ToString::to_string));
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_complete_contract_has_no_findings() {
    let parsed = Contract::parse(include_str!("contracts/orders.yaml"), "orders.yaml").unwrap();
    assert_eq!(parsed.findings, []);
    assert_eq!(parsed.contract.validate(), []);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[ -~\n]{0,200}") {
        let _ = Contract::parse(&text, "f");
    }

    #[test]
    fn no_change_of_a_contract_makes_the_reader_panic(at in 0..2_600_usize, len in 0..30_usize, put in "[ -~\n]{0,6}") {
        let yaml = include_str!("contracts/orders.yaml");
        let end = (at + len).min(yaml.len());
        let changed = format!("{}{put}{}", &yaml[..at.min(end)], &yaml[end..]);
        if let Ok(parsed) = Contract::parse(&changed, "f") {
            let _ = parsed.contract.validate();
        }
    }
}
