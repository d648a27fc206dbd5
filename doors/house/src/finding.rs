//! Findings about files of the project directory.

pub use contract::{Finding, Severity};

/// An error in a file.
pub fn finding(code: &'static str, file: &str, line: usize, message: String) -> Finding {
    Finding {
        code,
        severity: Severity::Error,
        stream: String::new(),
        field: None,
        message,
        file: Some(file.to_owned()),
        line: u32::try_from(line).ok(),
    }
}

/// An error of the YAML reader, as a finding.
pub fn yaml_finding(code: &'static str, file: &str, error: &serde_saphyr::Error) -> Finding {
    let line = error.location().map_or(1, |location| location.line());
    let text = error.without_snippet().to_string();
    finding(code, file, usize::try_from(line).unwrap_or(1), text)
}
