//! Keeping the keys: rotating root and master, copying what lies outside of backups, pseudonyms by purpose.

use std::path::Path;

use policy::Denied;
use vault::{LinkRight, Master, Pseudonym, Renewed};

use crate::backup::copy;
use crate::house::{House, Identifier};
use crate::{Error, Project};

/// What is made new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The root and its anchor.
    Root,
    /// The root, its anchor and every bucket key.
    Buckets,
    /// The master key: from now on the one that this reference names.
    Master(String),
}

impl House {
    /// Makes keys new while everything goes on. After [`Rotation::Root`] and [`Rotation::Buckets`] no earlier copy of the
    /// keys opens; after [`Rotation::Master`] the old master key opens nothing here, and the settings are to name the new one.
    ///
    /// # Errors
    /// [`Error::Vault`]
    pub fn rotate(&self, what: &Rotation, by: &str) -> Result<Renewed, Error> {
        let word = match what {
            Rotation::Root => "root",
            Rotation::Buckets => "buckets",
            Rotation::Master(_) => "master",
        };
        // Read before it is said to be done: a key that is not there changes nothing.
        let master = match what {
            Rotation::Master(reference) => {
                Some(Master::from_reference_of(reference, &self.project().dir, None)?)
            }
            Rotation::Root | Rotation::Buckets => None,
        };
        let detail = serde_json::json!({ "what": word });
        self.audit(&audit::Act { what: "vault.rotate", by, purpose: None, subject: None, detail })?;
        match master {
            Some(master) => {
                self.vault().rotate_master(&master)?;
                Ok(Renewed::default())
            }
            None => Ok(self.vault().rotate_root(matches!(what, Rotation::Buckets))?),
        }
    }

    /// Copies the wrapped keys and their anchor into the new directory `to`: with the master key all it takes to open what
    /// any backup holds. The next erasure makes the copy worthless; it is then to be replaced, not kept beside a new one.
    ///
    /// # Errors
    /// [`Error::Vault`], [`Error::Backup`] where `to` holds a copy already.
    pub fn copy_keys(&self, to: &Path, by: &str) -> Result<(), Error> {
        let wrong = |reason: String| Error::Backup { path: to.to_path_buf(), reason };
        if to.exists() && std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(wrong("the directory is not empty".to_owned()));
        }
        let detail = serde_json::json!({ "to": to.display().to_string() });
        self.audit(&audit::Act { what: "vault.copy", by, purpose: None, subject: None, detail })?;
        std::fs::create_dir_all(to).map_err(|e| wrong(e.to_string()))?;
        Ok(self.vault().copy_with_anchor(&to.join("vault"), &to.join("root.anchor"))?)
    }

    /// What a purpose calls somebody.
    ///
    /// # Errors
    /// [`Error::BadIdentifier`]; [`Error::Denied`] for a purpose that the project does not know.
    pub fn pseudonym(&self, identifier: &Identifier, purpose: &str) -> Result<Pseudonym, Error> {
        let purpose = self.known_purpose(purpose)?;
        Ok(self.vault().pseudonyms(purpose)?.of(self.subject(identifier)?))
    }

    /// What pseudonyms of one purpose are called by another. It is in the audit log before it is done.
    ///
    /// # Errors
    /// [`Error::Denied`] for a purpose that the project does not know; [`Error::Erasure`] without a reason.
    pub fn link_pseudonyms(
        &self,
        ids: &[Pseudonym],
        from: &str,
        to: &str,
        by: &str,
        reason: &str,
    ) -> Result<Vec<Option<Pseudonym>>, Error> {
        let (from, to) = (self.known_purpose(from)?, self.known_purpose(to)?);
        if reason.trim().is_empty() {
            return Err(Error::Unreasoned);
        }
        let right = LinkRight::logged(from, to, || {
            let detail = serde_json::json!({ "to": to, "n": ids.len(), "reason": reason });
            self.audit(&audit::Act { what: "pseudonym.link", by, purpose: Some(from), subject: None, detail })
        })?;
        Ok(self.vault().link(&right, ids)?)
    }

    fn known_purpose<'p>(&self, purpose: &'p str) -> Result<&'p str, Error> {
        if self.purposes().basis(purpose).is_some() {
            return Ok(purpose);
        }
        let known = self.purposes().names().collect::<Vec<_>>().join(", ");
        Err(Denied::UnknownPurpose { purpose: purpose.chars().take(64).collect(), known }.into())
    }
}

/// Puts a copy of the keys, as [`House::copy_keys`] made it, in the place of those in a project's data directory: beside
/// the journal of an older backup. Opening then completes every erasure that the journal does not know of.
///
/// # Errors
/// [`Error::Backup`] where it is no such copy.
pub fn restore_keys(keys: &Path, project: &Path) -> Result<(), Error> {
    let wrong = |reason: String| Error::Backup { path: keys.to_path_buf(), reason };
    if !keys.join("vault/root.key").exists() || !keys.join("root.anchor").exists() {
        return Err(wrong("this is no copy of keys: it has no vault/root.key and root.anchor".to_owned()));
    }
    let project = Project::load(project)?;
    let vault = crate::Layout::new(&project.data_dir()).vault();
    crate::house::remove_dir(&vault)?;
    copy(&keys.join("vault"), &vault).map_err(&wrong)?;
    copy(&keys.join("root.anchor"), &project.anchor()).map_err(&wrong)?;
    Ok(())
}
