//! `notices/*.yaml`: the wordings people are shown, version by version.

use std::collections::BTreeMap;

use event::Instant;
use policy::{Notice, Notices, text_hash};
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, finding, yaml_finding};
use crate::house::House;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    notice: String,
    version: String,
    from: Instant,
    purposes: Vec<String>,
    #[serde(default)]
    material: bool,
    texts: BTreeMap<String, String>,
    /// Pins: what each text must hash to.
    #[serde(default)]
    hash: BTreeMap<String, String>,
}

/// A version of a notice, for the register.
#[derive(Clone, Debug, Serialize)]
pub struct NoticeView {
    /// Its name.
    pub notice: String,
    /// The version.
    pub version: String,
    /// Since when it is shown.
    pub from: Instant,
    /// Whether it changes what people agree to.
    pub material: bool,
    /// The purposes it asks about.
    pub purposes: Vec<String>,
    /// Whether it is the newest in force of its name.
    pub in_force: bool,
    /// Hexadecimal SHA-256 of the wording by language.
    pub hash: BTreeMap<String, String>,
    /// The wording by language.
    pub texts: BTreeMap<String, String>,
}

/// Reads the notices.
pub(crate) fn read_notices(files: Vec<(String, String)>, findings: &mut Vec<Finding>) -> Notices {
    let mut notices: Vec<Notice> = Vec::new();
    for (file, text) in files {
        let read: File = match serde_saphyr::from_str(&text) {
            Ok(read) => read,
            Err(error) => {
                findings.push(yaml_finding("MR3520", &file, &error));
                continue;
            }
        };
        let line =
            |needle: &str| text.lines().position(|line| line.starts_with(needle)).map_or(1, |at| at + 1);
        let mut add =
            |code, needle: &str, what: String| findings.push(finding(code, &file, line(needle), what));
        let bad = |text: &str| text.is_empty() || text.len() > 64 || text.contains(['@', '\n']);
        if bad(&read.notice) || bad(&read.version) {
            add("MR3520", "version", "name and version have 1 to 64 letters and no `@`".to_owned());
        }
        if read.texts.is_empty() || read.texts.values().any(|text| text.trim().is_empty()) {
            add("MR3520", "texts", "a notice has a wording in at least one language".to_owned());
        }
        if read.purposes.is_empty() {
            add("MR3520", "purposes", "a notice asks about at least one purpose".to_owned());
        }
        for (locale, pinned) in &read.hash {
            match read.texts.get(locale).map(|text| text_hash(text)) {
                None => add("MR3521", "hash", format!("`{locale}` has a hash and no wording")),
                Some(hash) if hash != pinned.to_lowercase() => {
                    let what = format!(
                        "the wording in `{locale}` hashes to {hash}: a changed wording is a new version of the notice"
                    );
                    add("MR3521", "hash", what);
                }
                Some(_) => {}
            }
        }
        if notices.iter().any(|known| known.name == read.notice && known.version == read.version) {
            let what = format!("notice `{}` version `{}` is described twice", read.notice, read.version);
            add("MR3520", "version", what);
            continue;
        }
        notices.push(Notice {
            name: read.notice,
            version: read.version,
            purposes: read.purposes,
            material: read.material,
            from: read.from,
            texts: read.texts,
        });
    }
    Notices::new(notices)
}

impl House {
    /// The register of notices: every version, with its wording and hash.
    pub fn notices(&self) -> Vec<NoticeView> {
        let now = self.now();
        let notices = self.purposes().notices();
        let newest = |notice: &Notice| {
            let later = notices
                .iter()
                .any(|other| other.name == notice.name && other.from <= now && other.from > notice.from);
            notice.from <= now && !later
        };
        let view = |notice: &Notice| NoticeView {
            notice: notice.name.clone(),
            version: notice.version.clone(),
            from: notice.from,
            material: notice.material,
            purposes: notice.purposes.clone(),
            in_force: newest(notice),
            hash: notice.texts.iter().map(|(locale, text)| (locale.clone(), text_hash(text))).collect(),
            texts: notice.texts.clone(),
        };
        notices.iter().map(view).collect()
    }
}
