//! Folding the journal anew: to verify the state, or because what it is folded with has changed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use event::{Partition, Position};
use journal::Journal;
use process::{Progress, Shard};
use store::{Database, Digest};

use crate::Error;
use crate::house::{House, options, remove_dir, shards};
use crate::layout::Layout;
use crate::rooms::Composition;
use crate::settings::Settings;

/// What a verification found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The digest of the state in use.
    pub live: Digest,
    /// The digest of the state folded anew beside it.
    pub replayed: Digest,
    /// Records folded.
    pub n_records: u64,
    /// How long it took.
    pub took: Duration,
}

impl Verdict {
    /// True where the two are the same.
    pub fn holds(&self) -> bool {
        self.live == self.replayed
    }
}

impl House {
    /// Folds the journal from its start beside the running state and compares the two (LAW 2).
    ///
    /// # Errors
    /// Whatever the journal or a state says.
    pub fn verify(&self, progress: impl FnMut(Progress)) -> Result<Verdict, Error> {
        let live = self.engine().digest(Duration::from_secs(600))?;
        let upto: Vec<Position> =
            (0..self.n_partitions()).map(|p| self.engine().committed(Partition(p))).collect();
        let beside = self.layout().root().join("state.verify");
        remove_dir(&beside)?;
        let started = std::time::Instant::now();
        let replayed = fold_into(
            &beside,
            self.settings(),
            self.composition(),
            self.engine().journal(),
            &upto,
            progress,
        )?;
        let took = started.elapsed();
        remove_dir(&beside)?;
        Ok(Verdict { live, replayed, n_records: upto.iter().map(|p| p.0).sum(), took })
    }
}

/// Throws the state of a project away; opening it folds the journal anew.
///
/// # Errors
/// [`Error::Project`], [`Error::Directory`]
pub fn rebuild_state(project: &Path) -> Result<(), Error> {
    let project = crate::Project::load(project)?;
    let layout = Layout::new(&project.data_dir());
    crate::layout::write_durably(&layout.composition(), b"")
}

/// Folds the journal into a fresh state and puts it in the place of the old one.
///
/// # Errors
/// Whatever the journal or the state says; the old state is then still in its place.
pub(crate) fn rebuild(
    settings: &Settings,
    layout: &Layout,
    composition: &Arc<Composition>,
    journal: &Journal,
    upto: &[Position],
    progress: impl FnMut(Progress),
) -> Result<Digest, Error> {
    let beside = layout.state_beside();
    remove_dir(&beside)?;
    let digest = fold_into(&beside, settings, composition, journal, upto, progress)?;
    remove_dir(&layout.state())?;
    std::fs::rename(&beside, layout.state())
        .map_err(|e| Error::Directory { path: layout.state(), reason: e.to_string() })?;
    Ok(digest)
}

fn fold_into(
    dir: &Path,
    settings: &Settings,
    composition: &Arc<Composition>,
    journal: &Journal,
    upto: &[Position],
    progress: impl FnMut(Progress),
) -> Result<Digest, Error> {
    let db = Database::open(dir, settings.state.cache_mb << 20)?;
    let n = u16::try_from(upto.len()).unwrap_or(u16::MAX);
    let fresh = shards(&db, composition, n);
    let done = process::replay(journal, upto, &db, fresh, &options(settings), progress)?;
    let mut digest = Digest::default();
    for mut rooms in done {
        for table in rooms.stored() {
            table.digest(&mut digest)?;
        }
    }
    db.write(Vec::new(), true)?;
    Ok(digest)
}
