//! The log on disk, brought up to what is folded: tiles, checkpoints, proofs.

use std::path::Path;
use std::time::Instant;

use audit::witness::Request;
use audit::{Checkpoint, Log, Proof, Signed, Tile, Verifier};

use super::desk::{Held, SOON};
use crate::Error;
use crate::house::House;

/// Entries taken from the state at once.
const CHUNK: u64 = 4_096;

impl House {
    /// Commits to every entry there is; the checkpoint is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Audit`] where the log is not what was signed, or cannot be written.
    pub fn audit_checkpoint(&self) -> Result<Signed, Error> {
        self.with_log(|house, held| {
            house.catch_up(held)?;
            let signed = held.log.signed().cloned();
            signed.ok_or_else(|| Error::Internal { reason: "the audit log has no checkpoint".to_owned() })
        })
    }

    /// What verifies the log's checkpoints, as text: `name+id+key`.
    ///
    /// # Errors
    /// [`Error::Internal`] before the house is open.
    pub fn audit_key(&self) -> Result<Verifier, Error> {
        self.with_log(|_, held| Ok(held.log.verifier().clone()))
    }

    /// The proof that an entry is in the log, with the checkpoint of now.
    ///
    /// # Errors
    /// [`Error::Audit`] where there is no such entry.
    pub fn audit_proof(&self, index: u64) -> Result<Proof, Error> {
        self.with_log(|house, held| {
            house.catch_up(held)?;
            Ok(held.log.prove(index)?)
        })
    }

    /// What a witness is asked with: that the log of `old` entries is the beginning of that of now, and the checkpoint of
    /// now.
    ///
    /// # Errors
    /// [`Error::Audit`] where the log does not reach so far.
    pub fn audit_request(&self, old: u64) -> Result<Request, Error> {
        self.with_log(|house, held| {
            house.catch_up(held)?;
            let proof = held.log.prove_consistency(old, held.log.size())?;
            let checkpoint = held.log.signed().map(|signed| signed.note.clone()).unwrap_or_default();
            Ok(Request { old, proof, checkpoint })
        })
    }

    /// Keeps the signature lines of a witness with the latest checkpoint.
    ///
    /// # Errors
    /// [`Error::Audit`] where they are not this witness's over this checkpoint.
    pub fn audit_cosigned(&self, lines: &str, witness: &Verifier) -> Result<Signed, Error> {
        let at = self.now();
        self.with_log(|_, held| Ok(held.log.cosigned(lines, witness, at)?.clone()))
    }

    /// The bytes of a tile or bundle.
    ///
    /// # Errors
    /// [`Error::Audit`] where no checkpoint commits to it.
    pub fn audit_tile(&self, tile: Tile) -> Result<Vec<u8>, Error> {
        self.with_log(|_, held| Ok(held.log.tiles().bytes(tile)?))
    }

    /// Writes what an outsider needs to verify the log, with nothing but its key, into an empty directory. Gives the
    /// checkpoint, files and bytes. The export is an entry itself, and in it.
    ///
    /// # Errors
    /// [`Error::Occupied`] where the directory is not empty; [`Error::Audit`].
    pub fn export_audit(&self, to: &Path, by: &str) -> Result<(Checkpoint, u64, u64), Error> {
        if to.exists() && std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::Occupied { path: to.to_path_buf() });
        }
        self.audit(&audit::Act::new("audit.export", by))?;
        self.with_log(|house, held| {
            house.catch_up(held)?;
            let (n_files, n_bytes) = audit::export_dir(&held.log, to)?;
            let none = || Error::Internal { reason: "the audit log has no checkpoint".to_owned() };
            let signed = held.log.signed().ok_or_else(none)?;
            Ok((signed.checkpoint.clone(), n_files, n_bytes))
        })
    }

    /// Copies the log's directory as it stands: for a backup, taken before the journal, so that the journal holds all that
    /// was signed.
    pub(crate) fn copy_audit(&self, to: &Path) -> Result<u64, Error> {
        self.with_log(|_, held| {
            let told = |reason: String| Error::Directory { path: to.to_path_buf(), reason };
            let n_bytes = crate::backup::copy(held.log.dir(), to).map_err(told)?;
            // Up to where this instance found it sound says nothing of another: it looks for itself.
            match std::fs::remove_file(to.join(super::start::SOUND)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(told(e.to_string())),
                _ => Ok(n_bytes),
            }
        })
    }

    /// Commits to what was entered, where the last checkpoint is older than a moment and nobody else is at it.
    pub(crate) fn checkpoint_soon(&self) {
        if let Some(mut held) = self.audit_desk.log.try_lock()
            && let Some(held) = held.as_mut()
            && held.at.elapsed() >= SOON
        {
            self.try_catch_up(held);
        }
    }

    /// Commits to what was entered, before the house closes.
    pub(crate) fn checkpoint_last(&self) {
        if let Some(held) = self.audit_desk.log.lock().as_mut() {
            self.try_catch_up(held);
        }
    }

    /// The entries themselves are durable and folded; what is late here is made up for by the next one, or the next start.
    fn try_catch_up(&self, held: &mut Held) {
        match self.catch_up(held) {
            Ok(()) => held.failed = false,
            Err(error) => {
                if !held.failed {
                    tracing::error!(code = error.code(), %error, "the audit log cannot be brought up to date");
                }
                held.failed = true;
                held.at = Instant::now();
            }
        }
    }

    pub(super) fn with_log<R>(
        &self,
        work: impl FnOnce(&Self, &mut Held) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let mut held = self.audit_desk.log.lock();
        let none = || Error::Internal { reason: "the audit log is not open".to_owned() };
        work(self, held.as_mut().ok_or_else(none)?)
    }

    /// Adds what is folded and not in the log yet, and signs it.
    pub(super) fn catch_up(&self, held: &mut Held) -> Result<(), Error> {
        held.at = Instant::now();
        let done = self.add_folded(&mut held.log).and_then(|()| {
            held.log.sign(&held.signer, self.now())?;
            Ok(())
        });
        if done.is_err() {
            // What is in memory may be ahead of what is on disk: from the last checkpoint again.
            held.log = Log::open(&self.layout().audit(), held.log.verifier().clone())?;
        }
        done
    }

    fn add_folded(&self, log: &mut Log) -> Result<(), Error> {
        let size = self.in_control(|rooms| rooms.audit.size())?;
        while log.size() < size {
            let wanted = log.size()..size.min(log.size() + CHUNK);
            let entries = self.in_control(|rooms| {
                wanted.clone().map(|index| rooms.audit.entry(index)).collect::<Result<Vec<_>, _>>()
            })?;
            let mut found = Vec::with_capacity(entries.len());
            for (index, entry) in wanted.zip(entries) {
                let missing = || audit::Error::Missing { index, holder: "the folded state".to_owned(), size };
                found.push(entry.ok_or_else(missing)?);
            }
            let bytes: Vec<&[u8]> = found.iter().map(|entry| entry.as_slice()).collect();
            log.append(&bytes)?;
        }
        Ok(())
    }
}
