//! Where things lie in a data directory, and what was decided when it was made.
//!
//! ```text
//! instance.json   partitions, format version: fixed at creation
//! journal/        the only truth
//! state/          a fold of it; may be thrown away and rebuilt
//! vault/          wrapped keys (the master key lies outside)
//! blobs/          models and other content by hash
//! audit/          the log of privileged acts: tiles, derived from the journal, and signed checkpoints, kept
//! undone.json     import batches that were taken back, so that a fold skips them
//! ```

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use event::{BatchId, Instant};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The version of the layout that this build writes.
const FORMAT: u32 = 1;

/// What was decided when the data directory was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Version of the layout.
    pub format: u32,
    /// Partitions of the journal.
    pub n_partitions: u16,
    /// When it was made.
    pub created_at: Instant,
}

/// A data directory.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The journal's directory.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The state's directory.
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// A second state, built beside the first.
    pub fn state_beside(&self) -> PathBuf {
        self.root.join("state.new")
    }

    /// The vault's directory.
    pub fn vault(&self) -> PathBuf {
        self.root.join("vault")
    }

    /// The blobs' directory.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// The audit log's directory: tiles and signed checkpoints.
    pub fn audit(&self) -> PathBuf {
        self.root.join("audit")
    }

    /// Which folds and contracts the state was built with.
    pub fn composition(&self) -> PathBuf {
        self.root.join("composition")
    }

    fn undone_file(&self) -> PathBuf {
        self.root.join("undone.json")
    }

    /// True where an instance has been made here.
    pub fn exists(&self) -> bool {
        self.root.join("instance.json").exists()
    }

    /// Reads what was decided, or makes a new instance with `n_partitions`.
    ///
    /// # Errors
    /// [`Error::Directory`] where the directory cannot be used; [`Error::Format`] where another version made it.
    pub fn open(&self, n_partitions: u16) -> Result<Instance, Error> {
        let file = self.root.join("instance.json");
        let broken = |reason: String| Error::Directory { path: file.clone(), reason };
        if !self.exists() {
            std::fs::create_dir_all(&self.root)
                .map_err(|e| Error::Directory { path: self.root.clone(), reason: e.to_string() })?;
            let instance = Instance { format: FORMAT, n_partitions, created_at: Instant::now() };
            let text = serde_json::to_vec_pretty(&instance).map_err(|e| broken(e.to_string()))?;
            write_durably(&file, &text)?;
        }
        let text = std::fs::read(&file).map_err(|e| broken(e.to_string()))?;
        let instance: Instance = serde_json::from_slice(&text).map_err(|e| broken(e.to_string()))?;
        if instance.format != FORMAT {
            return Err(Error::Format { path: self.root.clone(), found: instance.format, known: FORMAT });
        }
        Ok(instance)
    }

    /// The import batches that were taken back.
    ///
    /// # Errors
    /// [`Error::Directory`] where the list is there but cannot be read: guessing would bring data back.
    pub fn undone(&self) -> Result<BTreeSet<BatchId>, Error> {
        let file = self.undone_file();
        let broken = |reason: String| Error::Directory { path: file.clone(), reason };
        match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).map_err(|e| broken(e.to_string())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(e) => Err(broken(e.to_string())),
        }
    }

    /// Writes the list of import batches that were taken back.
    ///
    /// # Errors
    /// [`Error::Directory`]
    pub fn set_undone(&self, undone: &BTreeSet<BatchId>) -> Result<(), Error> {
        let file = self.undone_file();
        let text = serde_json::to_vec(undone)
            .map_err(|e| Error::Directory { path: file.clone(), reason: e.to_string() })?;
        write_durably(&file, &text)
    }
}

/// Writes a file so that after a crash it is either the old one or the new one.
///
/// # Errors
/// [`Error::Directory`], naming the file.
pub fn write_durably(path: &Path, content: &[u8]) -> Result<(), Error> {
    let broken = |e: std::io::Error| Error::Directory { path: path.to_path_buf(), reason: e.to_string() };
    let beside = path.with_extension("tmp");
    let mut file = std::fs::File::create(&beside).map_err(broken)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(broken)?;
    std::fs::rename(&beside, path).map_err(broken)?;
    if let Some(parent) = path.parent() {
        std::fs::File::open(parent).and_then(|dir| dir.sync_all()).map_err(broken)?;
    }
    Ok(())
}
