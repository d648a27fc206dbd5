//! What the house runs by: the project's files, and what was put in while it was closed. Both are found at the next start,
//! and are entries from then on.

use std::collections::BTreeMap;
use std::path::Path;

use audit::Act;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::house::House;
use crate::layout::{Layout, write_durably};
use crate::settings::Settings;

/// The file that says which project files the last entry told of.
const IN_FORCE: &str = "in_force.json";
/// The file of an act that was done while the house was closed.
const OWED: &str = "owed.json";
/// Parts of a project directory that say what the house does.
const PARTS: [&str; 11] = [
    "maschinenraum.toml",
    "contracts",
    "features",
    "models",
    "usecases",
    "jobs",
    "segments",
    "policies",
    "rules",
    "notices",
    "goldsets",
];
/// Files that one entry names at most.
const MOST: usize = 300;

/// An act done while the house was closed.
#[derive(Serialize, Deserialize)]
struct Owed {
    what: String,
    by: String,
    detail: Value,
}

/// Notes an act that is done to a closed house, such as a restore; its entry is the first thing the house writes when it
/// is opened.
///
/// # Errors
/// [`Error::Settings`], [`Error::Directory`]
pub fn owe_entry(project: &Path, act: &Act<'_>) -> Result<(), Error> {
    let settings = Settings::load(&project.join("maschinenraum.toml"))?;
    let dir = Layout::new(&project.join(&settings.instance.data)).audit();
    let told = |reason: String| Error::Directory { path: dir.clone(), reason };
    std::fs::create_dir_all(&dir).map_err(|e| told(e.to_string()))?;
    let owed = Owed { what: act.what.to_owned(), by: act.by.to_owned(), detail: act.detail.clone() };
    let text = serde_json::to_vec(&owed).map_err(|e| told(e.to_string()))?;
    write_durably(&dir.join(OWED), &text)
}

impl House {
    /// Writes what was owed, and what changed of the project since the last start.
    pub(super) fn settle_entries(&self) -> Result<(), Error> {
        let dir = self.layout().audit();
        let told = |e: std::io::Error| Error::Directory { path: dir.join(OWED), reason: e.to_string() };
        match std::fs::read(dir.join(OWED)) {
            Ok(text) => {
                if let Ok(owed) = serde_json::from_slice::<Owed>(&text) {
                    self.audit(&Act { detail: owed.detail, ..Act::new(&owed.what, &owed.by) })?;
                }
                std::fs::remove_file(dir.join(OWED)).map_err(told)?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(told(e)),
        }
        let now = files(&self.project().dir)?;
        let before = std::fs::read(dir.join(IN_FORCE)).ok();
        let before: BTreeMap<String, String> =
            before.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        if now == before {
            return Ok(());
        }
        self.audit(&Act { detail: changes(&before, &now), ..Act::new("project.change", "house") })?;
        let text = serde_json::to_vec(&now)
            .map_err(|e| Error::Internal { reason: format!("a list of files has no JSON: {e}") })?;
        write_durably(&dir.join(IN_FORCE), &text)
    }
}

/// What is another file, and what is gone.
fn changes(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Value {
    let changed: BTreeMap<&String, &String> =
        now.iter().filter(|(name, hash)| before.get(*name) != Some(hash)).collect();
    let removed: Vec<&String> = before.keys().filter(|name| !now.contains_key(*name)).collect();
    let n_more = changed.len().saturating_sub(MOST) + removed.len().saturating_sub(MOST);
    let mut all = Sha256::new();
    for (name, hash) in now {
        all.update(format!("{name}\n{hash}\n"));
    }
    json!({
        "files_sha256": hex(&all.finalize()),
        "changed": changed.into_iter().take(MOST).collect::<BTreeMap<_, _>>(),
        "removed": removed.into_iter().take(MOST).collect::<Vec<_>>(),
        "n_more": n_more,
    })
}

/// The project's files with their hashes.
fn files(dir: &Path) -> Result<BTreeMap<String, String>, Error> {
    let mut found = BTreeMap::new();
    for part in PARTS {
        add(dir, part, &mut found)?;
    }
    Ok(found)
}

fn add(dir: &Path, name: &str, found: &mut BTreeMap<String, String>) -> Result<(), Error> {
    let path = dir.join(name);
    let told = |e: std::io::Error| Error::Directory { path: path.clone(), reason: e.to_string() };
    if path.is_dir() {
        for entry in std::fs::read_dir(&path).map_err(told)? {
            let entry = entry.map_err(told)?.file_name();
            if let Some(entry) = entry.to_str().filter(|entry| !entry.starts_with('.')) {
                add(dir, &format!("{name}/{entry}"), found)?;
            }
        }
    } else if path.is_file() {
        let content = std::fs::read(&path).map_err(told)?;
        found.insert(name.to_owned(), hex(&Sha256::digest(content)));
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
