//! Watched folders: what is put there is imported, once per content.
//!
//! A file counts as put when it has rested for a while: whoever copies is not overtaken. Its content names the import
//! ([`House::import`]), so a file that comes again under another name, or after a kill, brings nothing twice (LAW 1).
//! One file that cannot be read holds up none of the others.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use event::SourceName;

use super::desk::State;
use super::settings::{SourceKind, SourceSettings};
use crate::house::House;
use crate::{Error, Imported};

/// The most files of a folder that are looked at in one go; the others come with the next.
const MOST: usize = 10_000;

/// What became of one file.
#[derive(Debug)]
pub struct LookedAt {
    /// The file's name.
    pub file: String,
    /// What the import did, or why it could not be made.
    pub done: Result<Imported, Error>,
}

impl House {
    /// Looks into a watched folder once and imports what has rested there and was not imported by this process before, in
    /// the order of names.
    ///
    /// # Errors
    /// [`Error::UnknownSource`] where no folder has that name; [`Error::Directory`] where it cannot be read. What is wrong
    /// with one file is in its [`LookedAt`].
    pub fn look(
        &self,
        name: &str,
        stop: &dyn Fn() -> bool,
        told: &mut dyn FnMut(&LookedAt),
    ) -> Result<usize, Error> {
        let source = self.source_settings(name, SourceKind::Folder)?;
        let by = SourceName::new(name);
        let dir = self.project().dir.join(&source.path);
        let found = rested(&dir, source).inspect_err(|error| {
            self.source_desk.is(&by, Some((error.code(), error.to_string())));
        })?;
        self.source_desk.is(&by, None);
        self.source_desk.keep_files(&by, |file| found.iter().any(|(name, _)| name == file));
        let mut n_done = 0;
        for (file, state) in found {
            if stop() {
                break;
            }
            if self.source_desk.knows_file(&by, &file, state) {
                continue;
            }
            let done = self.import_from(&dir.join(&file), &source.stream, Some(&by), |_| {});
            let wrong = done.as_ref().err().map(|error| (error.code(), format!("{file}: {error}")));
            // A retry helps what is not the file's fault; the file itself is tried again once it has changed.
            if done.as_ref().is_err_and(Error::retry) {
                self.source_desk.is(&by, wrong);
            } else {
                self.source_desk.file_done(&by, &file, state, wrong);
            }
            n_done += 1;
            let looked = LookedAt { file, done };
            told(&looked);
        }
        Ok(n_done)
    }
}

fn rested(dir: &Path, source: &SourceSettings) -> Result<Vec<(String, State)>, Error> {
    let unreadable = |e: std::io::Error| Error::Directory { path: PathBuf::from(dir), reason: e.to_string() };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // Half of a copy often has such a name; no link leads out of the folder.
        let is_half =
            name.starts_with('.') || [".part", ".tmp", ".crdownload"].iter().any(|end| name.ends_with(end));
        if is_half || !fits(&source.files, &name) {
            continue;
        }
        let Ok(meta) = entry.metadata() else { continue };
        let Some(changed) = meta.modified().ok().filter(|_| meta.is_file()) else { continue };
        let rests = SystemTime::now().duration_since(changed).unwrap_or_default();
        if rests >= Duration::from_secs(source.settle_seconds) {
            found.push((name, (meta.len(), changed)));
        }
    }
    found.sort();
    found.truncate(MOST);
    Ok(found)
}

/// Whether a name fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn names_fit_patterns() {
        for (pattern, name) in [
            ("*", "a"),
            ("*.csv", "a.csv"),
            ("o*s-*.csv", "orders-1.csv"),
            ("a", "a"),
            ("a*a", "aa"),
            ("*", ""),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.csv", "a.tsv"), ("a", "ab"), ("a*a", "a"), ("o*s-*.csv", "orders.csv"), ("", "a")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
