//! Backup and restore: the journal, the keys, the models and the project; the state is folded anew.
//!
//! A backup holds wrapped keys only: without the master key, which is kept elsewhere, it opens nothing.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::house::House;
use crate::layout::Layout;

/// Parts of a project directory that belong to a backup.
pub(crate) const PROJECT: [&str; 7] =
    ["jobs", "contracts", "features", "models", "usecases", "goldsets", "maschinenraum.toml"];
/// Parts of a data directory that are copied as they are.
const DATA: [&str; 4] = ["instance.json", "undone.json", "blobs", "trained"];

impl House {
    /// Copies a running instance into an empty directory: the journal as it stands, then the keys, so that every record
    /// in the copy can be opened. Returns the bytes copied.
    ///
    /// # Errors
    /// [`Error::Backup`]
    pub fn backup(&self, to: &Path) -> Result<u64, Error> {
        let wrong = |reason: String| Error::Backup { path: to.to_path_buf(), reason };
        if to.exists() && std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(wrong("the directory is not empty".to_owned()));
        }
        std::fs::create_dir_all(to).map_err(|e| wrong(e.to_string()))?;
        // Before the journal: what is signed must be there.
        let mut n_bytes = self.copy_audit(&to.join("data/audit"))?;
        n_bytes += self.copy_journal(&to.join("data/journal")).map_err(&wrong)?;
        for part in DATA {
            n_bytes += copy(&self.layout().root().join(part), &to.join("data").join(part)).map_err(&wrong)?;
        }
        // After the journal: a subject's key is durable before its first record is.
        self.vault().copy_to(&to.join("data/vault"))?;
        for part in PROJECT {
            n_bytes += copy(&self.project().dir.join(part), &to.join(part)).map_err(&wrong)?;
        }
        std::fs::write(to.join("backup.json"), format!("{{\"format\":1,\"taken_at\":\"{}\"}}", self.now()))
            .map_err(|e| wrong(e.to_string()))?;
        Ok(n_bytes)
    }

    /// Copies of each segment as many bytes as are whole.
    fn copy_journal(&self, to: &Path) -> Result<u64, String> {
        std::fs::create_dir_all(to).map_err(|e| format!("{}: {e}", to.display()))?;
        let mut n_bytes = 0;
        for (path, len) in self.engine().journal().files() {
            let told = |e: std::io::Error| format!("{}: {e}", path.display());
            let Some(name) = path.file_name() else { continue };
            let mut from = std::fs::File::open(&path).map_err(told)?.take(len);
            let mut copy = std::fs::File::create(to.join(name)).map_err(told)?;
            n_bytes += std::io::copy(&mut from, &mut copy).map_err(told)?;
            copy.sync_all().map_err(told)?;
        }
        Ok(n_bytes)
    }
}

/// Puts a backup into an empty project directory. The master key has to be put beside it by hand; opening folds the
/// state anew.
///
/// # Errors
/// [`Error::Backup`]
pub fn restore(backup: &Path, project: &Path) -> Result<(), Error> {
    let wrong = |reason: String| Error::Backup { path: backup.to_path_buf(), reason };
    if !backup.join("backup.json").exists() {
        return Err(wrong("this is no backup: it has no backup.json".to_owned()));
    }
    let settings = crate::settings::Settings::load(&backup.join("maschinenraum.toml"))?;
    let layout = Layout::new(&project.join(&settings.instance.data));
    if layout.exists() {
        return Err(wrong(format!("`{}` holds an instance already", layout.root().display())));
    }
    for part in PROJECT {
        copy(&backup.join(part), &project.join(part)).map_err(&wrong)?;
    }
    copy(&backup.join("data"), layout.root()).map_err(&wrong)?;
    Ok(())
}

/// Copies a file or directory, if it is there; returns the bytes.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<u64, String> {
    let told = |e: std::io::Error| format!("{}: {e}", from.display());
    if !from.exists() {
        return Ok(0);
    }
    if !from.is_dir() {
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(told)?;
        }
        return std::fs::copy(from, to).map_err(told);
    }
    std::fs::create_dir_all(to).map_err(told)?;
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(from).map_err(told)?.flatten().map(|entry| entry.path()).collect();
    names.sort();
    let mut n_bytes = 0;
    for path in names {
        if let Some(name) = path.file_name() {
            n_bytes += copy(&path, &to.join(name))?;
        }
    }
    Ok(n_bytes)
}
