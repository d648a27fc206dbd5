//! What ODCS v3.1 requires of a file so that other tools read it, beyond what this house needs of it.

use super::reading::{Reading, codes};
use crate::yaml::{self, Node};
use crate::{Error, Finding};

const REQUIRED: [&str; 5] = ["apiVersion", "kind", "version", "id", "status"];

/// The types of servers that the standard names.
const SERVERS: [&str; 34] = [
    "api",
    "athena",
    "azure",
    "bigquery",
    "clickhouse",
    "cloudsql",
    "custom",
    "databricks",
    "db2",
    "denodo",
    "dremio",
    "duckdb",
    "glue",
    "hive",
    "impala",
    "informix",
    "kafka",
    "kinesis",
    "local",
    "mysql",
    "oracle",
    "postgres",
    "postgresql",
    "presto",
    "pubsub",
    "redshift",
    "s3",
    "sftp",
    "snowflake",
    "sqlserver",
    "synapse",
    "trino",
    "vertica",
    "zen",
];

/// Where a file lacks what the standard requires (MR1122). `check` does not ask for it: nothing here depends on it.
///
/// # Errors
/// [`Error::Yaml`] where it is no YAML.
pub fn lacks_of_the_standard(yaml_text: &str, file: &str) -> Result<Vec<Finding>, Error> {
    let root = yaml::parse(yaml_text, file)?;
    let mut reading = Reading::new(file, "");
    let has = |node: &Node, key: &str| node.get(key).is_some_and(|value| !value.is_null());
    for key in REQUIRED.into_iter().filter(|key| !has(&root, key)) {
        reading.error(codes::STANDARD, root.line.max(1), format!("ODCS requires `{key}`"));
    }
    if let Some(words) = root.get("description").filter(|words| words.text().is_some()) {
        let message = "ODCS takes `description` as an object: `description: { purpose: … }`";
        reading.error(codes::STANDARD, words.line, message.to_owned());
    }
    let each = |list: &str, keys: &[&str], reading: &mut Reading<'_>| {
        for item in root.get(list).map(Node::items).unwrap_or_default() {
            for key in keys.iter().filter(|key| !has(item, key)) {
                let message = format!("ODCS requires `{key}` of each of `{list}`");
                reading.error(codes::STANDARD, item.line, message);
            }
        }
    };
    each("schema", &["name"], &mut reading);
    each("slaProperties", &["property", "value"], &mut reading);
    each("servers", &["server", "type"], &mut reading);
    for kind in
        root.get("servers").map(Node::items).unwrap_or_default().iter().filter_map(|one| one.get("type"))
    {
        if !kind.text().is_some_and(|word| SERVERS.contains(&word)) {
            let message =
                format!("ODCS knows no server of type {}; one of its own is `custom`", kind.shown());
            reading.error(codes::STANDARD, kind.line, message);
        }
    }
    Ok(reading.findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, expected: &[&str]) {
        let found = lacks_of_the_standard(yaml, "f.yaml").unwrap();
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.contains(expected) && told.contains("error MR1122"), "{told} / {expected}");
        }
    }

    #[test]
    fn what_the_standard_requires_is_named_with_its_line() {
        let whole = "apiVersion: v3.1.0\nkind: DataContract\nversion: 1.0.0\nid: x\nstatus: active\n";
        check(whole, &[]);
        check(&whole.replace("id: x\n", "").replace("active", ""), &["f.yaml:1: ", "`status`"]);
        check(&format!("{whole}description: Words.\n"), &["f.yaml:6: "]);
        check(&format!("{whole}description: {{ purpose: Words. }}\n"), &[]);
        check(
            &format!("{whole}schema:\n  - physicalName: t\n"),
            &["f.yaml:7: error MR1122: ODCS requires `name`"],
        );
        check(
            &format!("{whole}slaProperties:\n  - {{ property: latency }}\n"),
            &["`value` of each of `slaProperties`"],
        );
        check(
            &format!("{whole}servers:\n  - {{ server: a, type: floppy }}\n  - {{ type: s3 }}\n"),
            &["requires `server`", "no server of type `floppy`"],
        );
    }
}
