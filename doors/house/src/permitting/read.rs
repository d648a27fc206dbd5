//! `policies/*.cedar` and `policies/tests/*.yaml` of a project.

use std::path::Path;

use policy::Purposes;
use roles::Roles;

use crate::finding::{Finding, finding};
use crate::project::Project;
use crate::settings::Settings;

/// The largest policy file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The project's roles and policies. What is wrong with them comes as findings.
pub(crate) fn read_policies(
    dir: &Path,
    settings: &Settings,
    purposes: &Purposes,
    findings: &mut Vec<Finding>,
) -> Roles {
    let texts = cedar_files(dir, findings);
    let (roles, found) = Roles::read(&texts, &settings.policies.roles, purposes);
    findings.extend(found);
    let login = &settings.login;
    let settings_text = std::fs::read_to_string(dir.join("maschinenraum.toml")).unwrap_or_default();
    let mut wrong = |code, needle: &str, message| {
        findings.push(finding(code, "maschinenraum.toml", line_of(&settings_text, needle), message));
    };
    for message in login.wrong() {
        wrong("MR3410", "[login", message);
    }
    for (group, role) in &login.roles {
        if let Err(error) = roles.check_role(role) {
            wrong("MR3405", role, format!("[login.roles] {group}: {error}"));
        }
    }
    roles
}

/// The line that holds a text, counted from 1; the first where none does.
pub(super) fn line_of(text: &str, needle: &str) -> usize {
    text.lines().position(|line| !line.trim_start().starts_with('#') && line.contains(needle)).unwrap_or(0)
        + 1
}

fn cedar_files(dir: &Path, findings: &mut Vec<Finding>) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(dir.join("policies")) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".cedar"))
        .collect();
    names.sort();
    let mut texts = Vec::new();
    for name in names {
        let relative = format!("policies/{name}");
        let path = dir.join(&relative);
        if std::fs::metadata(&path).is_ok_and(|meta| meta.len() > MAX_FILE_BYTES) {
            findings.push(finding("MR7006", &relative, 1, "the file is larger than 1 MiB".to_owned()));
            continue;
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => texts.push((relative, text)),
            Err(error) => findings.push(finding("MR7006", &relative, 1, error.to_string())),
        }
    }
    texts
}

impl Project {
    /// Runs the tests in `policies/tests`: how many files and questions, and what does not hold.
    pub fn test_policies(&self) -> (usize, usize, Vec<Finding>) {
        let mut findings = Vec::new();
        let tests = crate::project::files(&self.dir, "policies/tests", &mut findings);
        let mut n_asked = 0;
        for (file, text) in &tests {
            let tested = self.roles.test(text, file);
            n_asked += tested.n_asked;
            findings.extend(tested.findings);
        }
        (tests.len(), n_asked, findings)
    }
}
