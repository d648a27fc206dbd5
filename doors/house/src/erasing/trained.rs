//! Whom a model version learned from, so that an erasure can mark it and retraining leaves them out.
//!
//! ```text
//! data/trained/<artefact>: "MRTRAIN\0" | version u8 = 1 | n × 8 bytes, sorted
//! ```
//! The 8 bytes are the subject's pseudonym for the purpose `trained/<artefact>`, cut: they join with nothing else, and of
//! who is erased they are removed. A version without such a file counts as having learned from everybody.

use std::collections::BTreeSet;
use std::path::PathBuf;

use event::{RecordId, Subject};
use policy::Principal;
use registry::{ContentHash, Erased, ModelName, ReleaseEvent, VersionNumber};

use super::receipts::StoreReceipt;
use crate::forgetting::Ordered;
use crate::house::House;
use crate::layout::write_durably;
use crate::{Error, Training};

const MAGIC: &[u8; 8] = b"MRTRAIN\0";
const FORMAT: u8 = 1;

type Tag = [u8; 8];

impl House {
    fn trained_file(&self, artefact: &ContentHash) -> PathBuf {
        self.layout().root().join("trained").join(artefact.to_string().replace(':', "-"))
    }

    fn tags(
        &self,
        artefact: &ContentHash,
        subjects: impl Iterator<Item = Subject>,
    ) -> Result<BTreeSet<Tag>, Error> {
        let pseudonyms = self.vault().pseudonyms(&format!("trained/{artefact}"))?;
        let tag = |subject| {
            let text = pseudonyms.of(subject).to_string();
            let mut tag = [0; 8];
            tag.iter_mut().zip(hex(&text)).for_each(|(to, from)| *to = from);
            tag
        };
        Ok(subjects.map(tag).collect())
    }

    /// Everybody whose data a dataset holds: the profiles of its examples.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub(crate) fn learned_from(&self, dataset: &train::Dataset) -> Result<BTreeSet<Subject>, Error> {
        let mut all = BTreeSet::new();
        for example in dataset.examples() {
            if !all.contains(&example.subject) {
                all.extend(self.members(example.subject)?.subjects);
            }
        }
        Ok(all)
    }

    /// Notes whom a version learned from, before it is registered.
    ///
    /// # Errors
    /// [`Error::Vault`], [`Error::Directory`]
    pub(crate) fn note_trained(
        &self,
        artefact: &ContentHash,
        subjects: &BTreeSet<Subject>,
    ) -> Result<(), Error> {
        self.write_tags(artefact, &self.tags(artefact, subjects.iter().copied())?)
    }

    fn write_tags(&self, artefact: &ContentHash, tags: &BTreeSet<Tag>) -> Result<(), Error> {
        let file = self.trained_file(artefact);
        if let Some(folder) = file.parent() {
            let told =
                |e: std::io::Error| Error::Directory { path: folder.to_path_buf(), reason: e.to_string() };
            std::fs::create_dir_all(folder).map_err(told)?;
        }
        let mut out = MAGIC.to_vec();
        out.push(FORMAT);
        tags.iter().for_each(|tag| out.extend_from_slice(tag));
        write_durably(&file, &out)
    }

    /// `None` where it is not known whom a version learned from.
    fn read_tags(&self, artefact: &ContentHash) -> Result<Option<BTreeSet<Tag>>, Error> {
        let file = self.trained_file(artefact);
        let told = |reason: String| Error::Directory { path: file.clone(), reason };
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(told(e.to_string())),
        };
        let body = bytes.strip_prefix(MAGIC.as_slice()).and_then(|rest| rest.strip_prefix(&[FORMAT]));
        let body = body.filter(|body| body.len().is_multiple_of(8));
        let body = body.ok_or_else(|| told("it is no list of whom a model learned from".to_owned()))?;
        Ok(Some(body.chunks_exact(8).filter_map(|tag| tag.try_into().ok()).collect()))
    }

    /// Whether a version learned from one of these subjects; `None` where it is not known whom it learned from.
    pub(crate) fn taught_by(
        &self,
        artefact: &ContentHash,
        subjects: &[Subject],
    ) -> Result<Option<bool>, Error> {
        let Some(tags) = self.read_tags(artefact)? else { return Ok(None) };
        let theirs = self.tags(artefact, subjects.iter().copied())?;
        Ok(Some(!tags.is_disjoint(&theirs)))
    }

    /// Marks every version that learned from the erased, and takes them off its list.
    pub(super) fn mark_models(&self, act: RecordId, ordered: &Ordered) -> Result<StoreReceipt, Error> {
        let models = self.in_control(|rooms| Ok(rooms.releases.models()))??;
        let (mut n_marked, mut n_unknown) = (0, 0);
        for (name, state) in models {
            let mut versions = Vec::new();
            let mut lists = Vec::new();
            for version in state.versions.iter().filter(|version| version.registered_at < ordered.at) {
                let artefact = &version.manifest.artefact;
                let n = match self.read_tags(artefact)? {
                    None => {
                        n_unknown += 1;
                        ordered.subjects.len() as u64
                    }
                    Some(mut tags) => {
                        let gone = self.tags(artefact, ordered.subjects.iter().copied())?;
                        let n = gone.iter().filter(|tag| tags.remove(*tag)).count() as u64;
                        lists.push((*artefact, tags));
                        n
                    }
                };
                if n > 0 {
                    versions.push(Erased { version: version.number, n });
                }
            }
            n_marked += versions.len() as u64;
            if !versions.is_empty() {
                let event = ReleaseEvent::TrainedOnErased { model: name.clone(), act, versions };
                // Named after the act: told again after a crash it is the same record.
                let id = RecordId::emission(act, name.as_str(), 0);
                let payload = event.to_payload()?;
                self.append_system(registry::RELEASES, Subject::NONE, id, None, payload)?;
            }
            for (artefact, tags) in lists {
                self.write_tags(&artefact, &tags)?;
            }
        }
        let what = match n_unknown {
            0 => "versions learned from them and are marked trained_on_erased".to_owned(),
            n => format!(
                "versions are marked trained_on_erased; of {n} it is not known whom they learned from, so they are among them"
            ),
        };
        Ok(StoreReceipt { store: "models".to_owned(), complete: true, n: n_marked, what })
    }

    /// The models whose serving version, or newest where none serves, learned from at least
    /// `[erasure] retrain_after` people who were erased since: the version, and from how many.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn models_to_retrain(&self) -> Result<Vec<(ModelName, VersionNumber, u64)>, Error> {
        let after = self.settings().erasure.retrain_after;
        let mut due = Vec::new();
        for (name, state) in self.in_control(|rooms| Ok(rooms.releases.models()))?? {
            // One that was trained anew since waits for its gate: training it again brings nothing.
            let newest = state.versions.last();
            let version = newest.filter(|newest| newest.trained_on_erased >= after);
            if let Some(version) = version.filter(|_| after > 0) {
                due.push((name, version.number, version.trained_on_erased));
            }
        }
        Ok(due)
    }

    /// Trains every model anew that is to be; whoever is erased is in none of the new datasets.
    ///
    /// # Errors
    /// As [`House::train`].
    pub fn retrain_erased(
        &self,
        principal: &Principal,
        progress: &mut dyn FnMut(train::Progress),
    ) -> Result<Vec<(ModelName, Training)>, Error> {
        let mut done = Vec::new();
        for (name, ..) in self.models_to_retrain()? {
            let training = self.train(principal, name.as_str(), progress)?;
            done.push((name, training));
        }
        Ok(done)
    }
}

fn hex(text: &str) -> impl Iterator<Item = u8> + '_ {
    text.as_bytes().chunks_exact(2).filter_map(|pair| {
        let digit = |at: usize| pair.get(at).and_then(|c| char::from(*c).to_digit(16));
        u8::try_from(digit(0)? * 16 + digit(1)?).ok()
    })
}
