//! One policy, and where it stands.

/// One policy of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Names it for ever within these policies: file and place.
    pub id: String,
    /// What its author calls it (`@id("…")`), if at all.
    pub name: Option<String>,
    /// The file; built-in ones begin with `built-in/`.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    /// True where it permits, false where it forbids.
    pub permits: bool,
    /// As it is written.
    pub text: String,
}

impl Rule {
    /// `policies/extra.cedar:12 (no-exports)`
    pub fn place(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        format!("{}:{}{name}", self.file, self.line)
    }
}
