//! `[sources.NAME]` of the settings: webhooks that are taken, folders that are watched, and what is expected of both and
//! of whoever holds the API key NAME.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contract::{Contracts, Finding};
use event::StreamName;
use intake::webhook::{Hook, Scheme, Signed};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::Error;
use crate::finding::finding;

/// One source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// What it is.
    pub kind: SourceKind,
    /// The stream that everything of it goes into; webhooks may name several by [`SourceSettings::streams`].
    #[serde(default)]
    pub stream: String,
    /// Webhooks: where the kind of a document stands: a JSON pointer, or `header:NAME`.
    #[serde(default)]
    pub route: String,
    /// Webhooks: the stream of each kind.
    #[serde(default)]
    pub streams: BTreeMap<String, String>,
    /// Webhooks: a JSON pointer to the list of documents, where one request holds several.
    #[serde(default)]
    pub items: String,
    /// Webhooks: where the sender's id of a document stands: a JSON pointer, or `header:NAME`.
    #[serde(default)]
    pub key: String,
    /// Webhooks: `env:NAME` or `file:PATH` of the secret.
    #[serde(default)]
    pub secret: String,
    /// Webhooks: the header that holds the signature.
    #[serde(default)]
    pub header: String,
    /// Webhooks: how it is signed.
    #[serde(default)]
    pub signature: Scheme,
    /// Folders: the folder, relative to the settings' file.
    #[serde(default)]
    pub path: PathBuf,
    /// Folders: which files, by name; `*` stands for anything.
    #[serde(default = "all_files")]
    pub files: String,
    /// Folders: seconds between two looks.
    #[serde(default = "ten")]
    pub every_seconds: u64,
    /// Folders: seconds for which a file must not have changed before it is read.
    #[serde(default = "five")]
    pub settle_seconds: u64,
    /// Folders: false to leave it to `maschinenraum sources --look`; else the server watches.
    #[serde(default = "yes")]
    pub serve: bool,
    /// Records per second that it may bring on average, with ten seconds' worth at once; 0 for any number.
    #[serde(default)]
    pub records_per_second: u32,
    /// Seconds without a record after which it is said to be silent; 0 for never.
    #[serde(default)]
    pub silent_after_seconds: u64,
}

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Whoever holds the API key of this name: websites, apps, programs.
    Key,
    /// Another system that calls `POST /v1/hooks/NAME`.
    Webhook,
    /// A folder into which files are put.
    Folder,
}

impl SourceKind {
    /// The word of the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Webhook => "webhook",
            Self::Folder => "folder",
        }
    }
}

fn all_files() -> String {
    "*".to_owned()
}

fn ten() -> u64 {
    10
}

fn five() -> u64 {
    5
}

fn yes() -> bool {
    true
}

impl SourceSettings {
    /// How a webhook's documents are found.
    pub(crate) fn hook(&self) -> Hook {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Hook {
            stream: some(&self.stream).map(|name| StreamName::new(&name)),
            route: some(&self.route),
            streams: self.streams.clone(),
            items: some(&self.items),
            key: some(&self.key),
        }
    }

    /// How a webhook's signature is checked.
    ///
    /// # Errors
    /// [`Error::SourceRefused`] where the secret is not there.
    pub(crate) fn signed(&self, name: &str, dir: &Path) -> Result<Signed, Error> {
        let refused = |reason: String| Error::SourceRefused { reason };
        let secret = match self.secret.split_once(':') {
            Some(("env", variable)) => Zeroizing::new(
                std::env::var(variable)
                    .map_err(|_| {
                        refused(format!(
                            "the environment has no `{variable}`, which should hold the secret of `{name}`"
                        ))
                    })?
                    .into_bytes(),
            ),
            Some(("file", path)) => {
                let path = dir.join(path);
                let bytes = Zeroizing::new(
                    std::fs::read(&path).map_err(|e| Error::Directory { path, reason: e.to_string() })?,
                );
                Zeroizing::new(bytes.trim_ascii().to_vec())
            }
            _ => return Err(refused(format!("the webhook `{name}` has no secret"))),
        };
        if secret.is_empty() {
            return Err(refused(format!("the secret of the webhook `{name}` is empty")));
        }
        Ok(Signed { scheme: self.signature, header: self.header.clone(), secret })
    }

    fn all_streams(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.stream).chain(self.streams.values()).filter(|stream| !stream.is_empty())
    }
}

/// What of the sources does not fit.
pub(crate) fn check(
    sources: &BTreeMap<String, SourceSettings>,
    contracts: &Contracts,
    findings: &mut Vec<Finding>,
) {
    for (name, source) in sources {
        let mut wrong = |message: String| {
            let message = format!("sources.{}: {message}", shortened(name));
            findings.push(finding(super::SETTINGS, "maschinenraum.toml", 1, message));
        };
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            wrong("a source's name has up to 64 of A-Z, a-z, 0-9, `_`, `-` and `.`".to_owned());
        }
        for stream in source.all_streams().filter(|stream| contracts.newest_named(stream).is_none()) {
            wrong(format!("no contract describes the stream `{}`", shortened(stream)));
        }
        match source.kind {
            SourceKind::Key => {
                if source.all_streams().next().is_some() || !source.secret.is_empty() {
                    wrong("a key names its streams itself and is issued by `maschinenraum keys`".to_owned());
                }
            }
            SourceKind::Webhook => check_webhook(source, &mut wrong),
            SourceKind::Folder => {
                if source.stream.is_empty() || source.path.as_os_str().is_empty() {
                    wrong("a folder needs `path` and `stream`".to_owned());
                }
                if source.every_seconds == 0 {
                    wrong("every_seconds = 0: a folder is looked at every second at most".to_owned());
                }
            }
        }
    }
}

fn check_webhook(source: &SourceSettings, wrong: &mut impl FnMut(String)) {
    if source.stream.is_empty() && source.streams.is_empty() {
        wrong("a webhook needs `stream`, or `route` and `streams`".to_owned());
    }
    if source.streams.is_empty() != source.route.is_empty() {
        wrong("`route` and `streams` belong together: set both or none".to_owned());
    }
    if !source.secret.starts_with("env:") && !source.secret.starts_with("file:") {
        // The value is not quoted: it may be the secret itself.
        wrong(
            "a webhook needs `secret`, as `file:PATH` or `env:NAME`: unsigned calls are not taken".to_owned(),
        );
    }
    if source.header.is_empty() != (source.signature == Scheme::Standard) {
        wrong(format!(
            "`header` names the header of the signature; `signature = \"{}\"` {}",
            source.signature.as_str(),
            if source.header.is_empty() { "needs one" } else { "has its own" }
        ));
    }
    for (what, text) in [("items", &source.items), ("route", &source.route), ("key", &source.key)] {
        let is_header = what != "items" && text.starts_with("header:");
        if !text.is_empty() && !text.starts_with('/') && !is_header {
            wrong(format!("{what} = `{}` is no JSON pointer, like /data/id", shortened(text)));
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let sources: BTreeMap<String, SourceSettings> = toml::from_str(text).unwrap();
        let mut findings = Vec::new();
        check(&sources, &Contracts::new(), &mut findings);
        findings.iter().map(|finding| format!("{}\n", finding.message)).collect()
    }

    #[test]
    fn what_does_not_fit_is_said_and_no_secret_repeated() {
        let said = said(
            "[\"a b\"]\nkind = \"key\"\nstream = \"x\"\n[hook]\nkind = \"webhook\"\nsecret = \"hunter2\"\nroute = \"type\"\n\
             [drop]\nkind = \"folder\"\nevery_seconds = 0\n",
        );
        let parts = [
            "a source's name",
            "no contract describes the stream `x`",
            "issued by",
            "needs `stream`",
            "belong together",
            "as `file:PATH`",
            "needs one",
            "route = `type` is no JSON pointer",
            "needs `path`",
            "every_seconds = 0",
        ];
        for part in parts {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("hunter2"));
    }

    #[test]
    fn an_unknown_key_or_kind_is_refused() {
        for text in ["[a]\nkind = \"key\"\nport = 3", "[a]\nkind = \"kafka\"", "[a]\nstream = \"x\""] {
            assert!(toml::from_str::<BTreeMap<String, SourceSettings>>(text).is_err(), "{text}");
        }
    }
}
