//! A whole instance in open formats: the journal as Parquet, sealed cells as they are; keys, wrapped as they are; models
//! and project files. Loaded into a fresh instance, with as many partitions as one likes, it folds to the same digest.
//!
//! ```text
//! export.json       what it is, how many records, the digest of the state
//! journal.parquet   every record, in the order of the log
//! data/vault, data/blobs, data/undone.json
//! contracts/ features/ …  the project
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::{Instant, Partition, Position, Record};
use intake::file;
use journal::Journal;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::backup::{PROJECT, copy};
use crate::house::{House, WAIT, compose, fingerprint, open_journal, open_vault};
use crate::layout::{Layout, write_durably};
use crate::project::Project;
use crate::settings::Settings;

/// Records appended at once.
const CHUNK: usize = 5_000;
const FORMAT: u32 = 1;

/// What `export.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceExported {
    /// The version of the layout.
    pub format: u32,
    /// When it was taken.
    pub taken_at: Instant,
    /// Partitions of the instance it was taken from.
    pub n_partitions: u16,
    /// Records of the journal.
    pub n_records: u64,
    /// Bytes of the journal's file.
    pub n_bytes: u64,
    /// The digest of the state; a fresh instance must fold to the same.
    pub digest: String,
}

impl House {
    /// Writes this instance to an empty folder. The master key is not in it: without it nothing sealed opens.
    ///
    /// # Errors
    /// [`Error::Occupied`] where the folder is not empty; [`Error::Lake`]
    pub fn export_instance(&self, to: &Path) -> Result<InstanceExported, Error> {
        if to.exists() && std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::Occupied { path: to.to_path_buf() });
        }
        let told = |reason: String| Error::Directory { path: to.to_path_buf(), reason };
        std::fs::create_dir_all(to).map_err(|e| told(e.to_string()))?;
        self.engine().settle(WAIT)?;
        let digest = self.engine().digest(std::time::Duration::from_secs(600))?.to_string();
        // Before the journal: what is signed must be there.
        self.copy_audit(&to.join("data/audit"))?;
        let path = to.join("journal.parquet");
        let mut out = lake::journal::Records::create(&path)?;
        let mut failed = None;
        self.engine().journal().scan(&[], |_, _, record: Arc<Record>| {
            if failed.is_none()
                && let Err(error) = out.write(&record)
            {
                failed = Some(error);
            }
            Ok(())
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        let written = out.finish()?;
        if written.n_unfit > 0 {
            let reason = format!("{} values of records cannot be written as they are", written.n_unfit);
            return Err(lake::Error::Unwritable { path, reason }.into());
        }
        for part in ["blobs", "undone.json"] {
            copy(&self.layout().root().join(part), &to.join("data").join(part)).map_err(&told)?;
        }
        // After the journal: a subject's key is durable before its first record is.
        self.vault().copy_to(&to.join("data/vault"))?;
        for part in PROJECT {
            copy(&self.project().dir.join(part), &to.join(part)).map_err(&told)?;
        }
        let exported = InstanceExported {
            format: FORMAT,
            taken_at: self.now(),
            n_partitions: self.n_partitions(),
            n_records: written.n_rows,
            n_bytes: written.n_bytes,
            digest,
        };
        let text = serde_json::to_vec_pretty(&exported).map_err(|e| told(e.to_string()))?;
        write_durably(&to.join("export.json"), &text)?;
        Ok(exported)
    }
}

/// An instance that was put in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceLoaded {
    /// What was exported.
    pub exported: InstanceExported,
    /// Partitions of the fresh instance.
    pub n_partitions: u16,
    /// The digest of the state folded from the records that came in.
    pub digest: String,
}

impl InstanceLoaded {
    /// True where the fresh instance has the state that was exported.
    pub fn holds(&self) -> bool {
        self.digest == self.exported.digest
    }
}

/// Puts an exported instance into an empty project directory and folds its state.
///
/// * `master`: the file of the master key, copied to where the settings want it; `None` where it lies there already or
///   comes from the environment
/// * `n_partitions`: of the fresh instance; `None`: as many as it had
///
/// # Errors
/// [`Error::Occupied`] where an instance is there already; [`Error::Lake`] where it is no export, or not whole;
/// [`Error::Vault`] without the right master key: then the records are in, and `replay` goes on once the key is there.
pub fn load_instance(
    from: &Path,
    project: &Path,
    master: Option<&Path>,
    n_partitions: Option<u16>,
) -> Result<InstanceLoaded, Error> {
    let broken = |reason: String| lake::Error::NoExport { path: from.to_path_buf(), reason };
    let text = std::fs::read(from.join("export.json")).map_err(|e| broken(format!("export.json: {e}")))?;
    let exported: InstanceExported =
        serde_json::from_slice(&text).map_err(|e| broken(format!("export.json: {e}")))?;
    if exported.format != FORMAT {
        let reason = format!("it has format {}; this build reads {FORMAT}", exported.format);
        return Err(broken(reason).into());
    }
    let settings = Settings::load(&from.join("maschinenraum.toml"))?;
    let layout = Layout::new(&project.join(&settings.instance.data));
    if layout.exists() {
        return Err(Error::Occupied { path: layout.root().to_path_buf() });
    }
    let told = |reason: String| Error::Directory { path: project.to_path_buf(), reason };
    for part in PROJECT {
        copy(&from.join(part), &project.join(part)).map_err(&told)?;
    }
    copy(&from.join("data"), layout.root()).map_err(&told)?;
    let n_partitions = n_partitions.unwrap_or(exported.n_partitions).max(1);
    let instance = layout.open(n_partitions)?;
    let journal = open_journal(&settings, &layout, instance.n_partitions)?;
    let n_records = append_all(&journal, &from.join("journal.parquet"), n_partitions)?;
    if n_records != exported.n_records {
        journal.close();
        let reason = format!("it has {n_records} of {} records", exported.n_records);
        return Err(broken(reason).into());
    }
    if let Some((from, to)) = master.zip(key_file(&settings, project)) {
        std::fs::copy(from, &to).map_err(|e| Error::Directory { path: to, reason: e.to_string() })?;
    }
    // The anchor of its root lies beside the master key, and is no part of what was exported either.
    if let Some((from, name)) = master.zip(settings.vault.anchor.file_name()) {
        let (from, to) = (from.with_file_name(name), project.join(&settings.vault.anchor));
        if from.exists() && !to.exists() {
            copy(&from, &to).map_err(&told)?;
        }
    }
    let folded = fold(project, &layout, &journal, n_partitions);
    journal.close();
    Ok(InstanceLoaded { exported, n_partitions, digest: folded? })
}

fn key_file(settings: &Settings, project: &Path) -> Option<PathBuf> {
    settings.vault.master.strip_prefix("file:").map(|path| project.join(path))
}

/// Folds the state as opening would, before anything is added that is due today.
fn fold(project: &Path, layout: &Layout, journal: &Journal, n_partitions: u16) -> Result<String, Error> {
    let project = Project::load(project)?;
    let vault = Arc::new(open_vault(&project, layout)?);
    let composition = Arc::new(compose(&project, layout, vault)?);
    let upto: Vec<Position> = (0..n_partitions).map(|p| journal.end(Partition(p))).collect();
    let digest = crate::replaying::rebuild(&project.settings, layout, &composition, journal, &upto, |_| {})?;
    write_durably(&layout.composition(), fingerprint(&project, layout)?.as_bytes())?;
    Ok(digest.to_string())
}

fn append_all(journal: &Journal, path: &Path, n_partitions: u16) -> Result<u64, Error> {
    let file = file::inspect(path, |_| {})?;
    let mut chunk: Vec<(Partition, Arc<Record>)> = Vec::with_capacity(CHUNK);
    let mut n_records = 0;
    for row in file.rows(0)? {
        let record = lake::journal::record(&row?.raw, path)?;
        chunk.push((record.subject.partition(n_partitions), Arc::new(record)));
        n_records += 1;
        if chunk.len() >= CHUNK {
            journal.append(std::mem::take(&mut chunk))?;
        }
    }
    if !chunk.is_empty() {
        journal.append(chunk)?;
    }
    Ok(n_records)
}
