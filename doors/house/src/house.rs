//! An open instance: journal, state, keys and the project that says what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use decide::{Till, UseCase};
use event::{Instant, Partition, Record, RecordId, Span, StreamName, Subject, Version};
use intake::Intake;
use journal::Journal;
use parking_lot::{Mutex, MutexGuard};
use policy::{Action, ConsentView, Denied, Principal, Purposes, Standing};
use process::{Engine, Options, Receipt};
use profile::{Members, OpaqueTraits, TraitView};
use registry::Blobs;
use sha2::{Digest as _, Sha256};
use store::{Database, Scope, Seal};
use vault::{Master, Vault};

use crate::backfilling::Change;
use crate::clock::{Clock, Flight};
use crate::layout::{Instance, Layout, write_durably};
use crate::project::Project;
use crate::rooms::{Composition, Rooms};
use crate::scoring::Models;
use crate::settings::Settings;
use crate::{Error, streams};

/// How many decisions of different profiles may run at once without waiting for one another.
const N_TURNS: usize = 1_024;
/// How long a partition's allowance may be spent before what is left of it goes back.
const ALLOWANCE_FOR: Span = Span::from_secs(3_600);
/// How long consents and other small things may wait to be folded.
pub(crate) const WAIT: Duration = Duration::from_secs(30);

/// What a person is called by: `user_id`, `email`, `anonymous_id`, … and its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Identifier {
    /// The type.
    pub kind: String,
    /// The value; it goes no further than the keyed hash.
    pub value: String,
}

/// An open instance. Share it in an `Arc`.
pub struct House {
    project: Project,
    layout: Layout,
    instance: Instance,
    vault: Arc<Vault>,
    composition: Arc<Composition>,
    pub(crate) intake: Intake,
    engine: Engine<Rooms>,
    clock: Clock,
    purposes: Purposes,
    turns: Vec<Mutex<()>>,
    tills: Vec<Mutex<Till>>,
    pub(crate) blobs: Blobs,
    pub(crate) models: Models,
    pub(crate) releasing: Mutex<()>,
    pub(crate) audit_desk: crate::auditing::Desk,
    pub(crate) desk: crate::jobs::Desk,
    pub(crate) skewed: Mutex<Option<Arc<crate::Skew>>>,
    pub(crate) capture_desk: crate::capturing::Desk,
    pub(crate) segment_desk: crate::segments::Desk,
    pub(crate) source_desk: crate::sources::Desk,
    pub(crate) role_desk: crate::permitting::Desk,
    pub(crate) register_desk: crate::registers::Desk,
    pub(crate) confirming: Mutex<()>,
    pub(crate) erase_desk: crate::erasing::Desk,
    pub(crate) rights_desk: crate::rights::Desk,
    started_at: Instant,
}

impl House {
    /// Opens the project's data directory, making it where there is none, and fills feature views that are new.
    ///
    /// # Errors
    /// [`Error`], naming what stands in the way.
    pub fn open(project: Project) -> Result<Self, Error> {
        let house = Self::open_unfilled(project)?;
        house.fill(&AtomicBool::new(false))?;
        Ok(house)
    }

    /// As [`House::open`], but feature views that are new are still to be filled, with [`House::fill`]: everything
    /// else can be served meanwhile.
    ///
    /// # Errors
    /// As [`House::open`].
    pub fn open_unfilled(project: Project) -> Result<Self, Error> {
        crate::applied::refuse_changed(&project)?;
        let settings = &project.settings;
        let layout = Layout::new(&project.data_dir());
        let instance = layout.open(settings.instance.partitions)?;
        let vault = Arc::new(open_vault(&project, &layout)?);
        let composition = Arc::new(compose(&project, &layout, vault.clone())?);
        let journal = open_journal(settings, &layout, instance.n_partitions)?;
        let change = settle_state(&project, &layout, &instance, &composition, &journal)?;
        let cache = settings.state.cache_mb << 20;
        let db = Database::open(&layout.state(), cache)?;
        let mut shards = shards(&db, &composition, instance.n_partitions);
        if let Some(change) = change {
            crate::backfilling::prepare(&change, &db, &mut shards, &project.views, &layout)?;
        }
        let engine = Engine::start(journal, db, shards, options(settings))?;
        let clock = match project.starts_at {
            Some(start) => Clock::starting_at(start),
            None => Clock::system(),
        };
        let tills = (0..instance.n_partitions)
            .map(|p| Mutex::new(Till::new(Partition(p), instance.n_partitions, ALLOWANCE_FOR)))
            .collect();
        let house = Self {
            purposes: project.purposes()?,
            intake: Intake::new(vault.clone(), project.rules.clone())
                .reading(crate::consenting::signals(&project.settings.consent)),
            blobs: Blobs::open(&layout.blobs())?,
            models: Models::default(),
            releasing: Mutex::default(),
            audit_desk: crate::auditing::Desk::default(),
            desk: crate::jobs::Desk::default(),
            skewed: Mutex::default(),
            capture_desk: crate::capturing::Desk::default(),
            segment_desk: crate::segments::Desk::default(),
            source_desk: crate::sources::Desk::default(),
            register_desk: crate::registers::Desk::default(),
            role_desk: crate::permitting::Desk::default(),
            confirming: Mutex::default(),
            erase_desk: crate::erasing::Desk::default(),
            rights_desk: crate::rights::Desk::default(),
            turns: (0..N_TURNS).map(|_| Mutex::default()).collect(),
            started_at: clock.now(),
            project,
            layout,
            instance,
            vault,
            composition,
            engine,
            clock,
            tills,
        };
        house.set_clock_floor()?;
        house.settle_applied().inspect_err(|_| house.close())?;
        house.open_audit().inspect_err(|_| house.close())?;
        house.settle_policies()?;
        house.assess_use_cases(false)?;
        house.set_budgets()?;
        house.complete_erasures()?;
        house.complete_corrections()?;
        house.do_chores()?;
        Ok(house)
    }

    /// Stops folding, commits, and closes the journal.
    pub fn close(&self) {
        if let Err(error) = self.tell_denials() {
            tracing::warn!(%error, "denials are not in the audit log");
        }
        self.checkpoint_last();
        self.engine.stop();
        self.engine.journal().close();
    }

    /// The project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.project.settings
    }

    /// Where things lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The loop.
    pub fn engine(&self) -> &Engine<Rooms> {
        &self.engine
    }

    /// The keys.
    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// What the folds are composed of.
    pub fn composition(&self) -> &Arc<Composition> {
        &self.composition
    }

    /// The project's purposes.
    pub fn purposes(&self) -> &Purposes {
        &self.purposes
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Since when this instance runs.
    pub fn started_at(&self) -> Instant {
        self.started_at
    }

    /// How many partitions there are.
    pub fn n_partitions(&self) -> u16 {
        self.instance.n_partitions
    }

    /// The use cases of the project.
    pub fn use_cases(&self) -> &[UseCase] {
        &self.project.use_cases
    }

    /// A use case by name.
    ///
    /// # Errors
    /// [`Error::UnknownUseCase`], listing the known ones.
    pub fn use_case(&self, name: &str) -> Result<&UseCase, Error> {
        self.use_cases().iter().find(|use_case| use_case.name == name).ok_or_else(|| Error::UnknownUseCase {
            name: name.chars().take(64).collect(),
            known: self.use_cases().iter().map(|use_case| use_case.name.clone()).collect(),
        })
    }

    /// The subject of an identifier.
    ///
    /// # Errors
    /// [`Error::BadIdentifier`] where it names nobody.
    pub fn subject(&self, identifier: &Identifier) -> Result<Subject, Error> {
        if identifier.kind.is_empty() || !self.project.rules.admits(&identifier.kind, &identifier.value) {
            return Err(Error::BadIdentifier { kind: identifier.kind.chars().take(64).collect() });
        }
        Ok(self.vault.pseudonym(&identifier.kind, &identifier.value))
    }

    /// The partition of a subject.
    pub fn partition_of(&self, subject: Subject) -> Partition {
        subject.partition(self.instance.n_partitions)
    }

    /// The members of a subject's profile.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn members(&self, subject: Subject) -> Result<Members, Error> {
        self.in_partition(Subject::NONE, |rooms| rooms.identities.members(subject))
    }

    /// Looks at the tables of a subject's partition.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub(crate) fn in_partition<R>(
        &self,
        subject: Subject,
        look: impl FnOnce(&Rooms) -> Result<R, store::Error>,
    ) -> Result<R, Error> {
        let partition = self.partition_of(subject);
        let missing = || Error::Internal { reason: format!("there is no partition {partition}") };
        Ok(self.engine.read(partition, look).ok_or_else(missing)??)
    }

    /// Looks at the tables of the control partition.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub(crate) fn in_control<R>(
        &self,
        look: impl FnOnce(&Rooms) -> Result<R, store::Error>,
    ) -> Result<R, Error> {
        self.in_partition(Subject::NONE, look)
    }

    /// Looks at every partition in turn.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub(crate) fn in_each_partition(
        &self,
        mut look: impl FnMut(&Rooms) -> Result<(), store::Error>,
    ) -> Result<(), Error> {
        for partition in 0..self.instance.n_partitions {
            if let Some(result) = self.engine.read(Partition(partition), &mut look) {
                result?;
            }
        }
        Ok(())
    }

    /// Waits for the turns of all members of a profile. Whoever decides for a profile that one of them belonged to a
    /// moment ago, or will belong to in a moment, waits too.
    pub(crate) fn turns(&self, members: &[Subject]) -> Vec<MutexGuard<'_, ()>> {
        let place = |member: &Subject| {
            let [.., a, b] = *member.as_bytes();
            usize::from(u16::from_be_bytes([a, b])) % N_TURNS
        };
        // In one order for all, so that no two wait for each other.
        let places: BTreeSet<usize> = members.iter().map(place).collect();
        places.into_iter().filter_map(|at| self.turns.get(at)).map(Mutex::lock).collect()
    }

    /// Works with a partition's till.
    ///
    /// # Errors
    /// [`Error::Internal`] where there is no such partition.
    pub(crate) fn with_till<R>(
        &self,
        partition: Partition,
        work: impl FnOnce(&mut Till) -> R,
    ) -> Result<R, Error> {
        let missing = || Error::Internal { reason: format!("there is no partition {partition}") };
        Ok(work(&mut self.tills.get(usize::from(partition.0)).ok_or_else(missing)?.lock()))
    }

    /// A fresh random number for a draw; it is recorded with what is drawn.
    ///
    /// # Errors
    /// [`Error::Internal`] where the system has no randomness.
    pub(crate) fn draw_seed(&self) -> Result<u64, Error> {
        let mut bytes = [0_u8; 8];
        getrandom::fill(&mut bytes)
            .map_err(|e| Error::Internal { reason: format!("the system gives no random numbers: {e}") })?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Appends one record of a system stream and waits until it is folded.
    ///
    /// # Errors
    /// Whatever the journal or the loop says.
    pub(crate) fn append_system(
        &self,
        stream: &str,
        subject: Subject,
        id: RecordId,
        occurred_at: Option<Instant>,
        payload: Vec<u8>,
    ) -> Result<Receipt, Error> {
        let flight = self.clock.arrive();
        let record = system_record(stream, subject, id, occurred_at, &flight, payload);
        let receipts = self.engine.append_folded(vec![record], WAIT)?;
        let first = receipts.first().copied();
        first.ok_or_else(|| Error::Internal { reason: "the journal gave no receipt".to_owned() })
    }

    /// Lets the flight land once every record of `receipts` is folded.
    pub(crate) fn land(&self, flight: Flight, receipts: &[Receipt]) {
        let mut last: BTreeMap<Partition, Receipt> = BTreeMap::new();
        for receipt in receipts {
            let known = last.entry(receipt.partition).or_insert(*receipt);
            if known.position < receipt.position {
                *known = *receipt;
            }
        }
        let flight = Arc::new(flight);
        for receipt in last.into_values() {
            let flight = flight.clone();
            self.engine.when_folded(receipt, move |_| drop(flight));
        }
    }

    /// The clock never shows an instant before what is already known.
    fn set_clock_floor(&self) -> Result<(), Error> {
        let mut counts = BTreeMap::new();
        self.engine.settle(WAIT)?;
        self.in_each_partition(|rooms| rooms.streams.add_counts(&mut counts))?;
        if let Some(latest) = counts.values().filter_map(|count: &streams::Count| count.last_known_at).max() {
            self.clock.not_before(latest);
        }
        let behind = self.clock.set_back();
        if behind > Span::from_secs(60) {
            tracing::warn!(
                %behind,
                "the machine's clock is behind what the journal knows; time stands still until it has caught up"
            );
        }
        Ok(())
    }

    /// Tells every budget's home what the use cases may spend.
    fn set_budgets(&self) -> Result<(), Error> {
        let mut records = Vec::new();
        let flight = self.clock.arrive();
        for use_case in self.use_cases() {
            records.push(decide::set_budget(use_case).record(flight.known_at()));
        }
        if !records.is_empty() {
            self.engine.append_folded(records, WAIT)?;
        }
        drop(flight);
        Ok(())
    }
}

/// A record of a system stream.
pub(crate) fn system_record(
    stream: &str,
    subject: Subject,
    id: RecordId,
    occurred_at: Option<Instant>,
    flight: &Flight,
    payload: Vec<u8>,
) -> Record {
    Record {
        id,
        stream: StreamName::new(stream),
        contract: Version::new(1, 0, 0),
        subject,
        occurred_at: occurred_at.unwrap_or(flight.known_at()),
        known_at: flight.known_at(),
        batch: None,
        cause: None,
        source: None,
        key_epoch: 0,
        payload: event::Payload { open: payload.into(), cells: Vec::new() },
    }
}

impl ConsentView for House {
    fn standing(&self, subject: Subject) -> Result<Option<Arc<Standing>>, store::Error> {
        let look = |rooms: &Rooms| rooms.consents.standing(subject);
        self.engine.read_within(self.partition_of(subject), look).unwrap_or(Ok(None))
    }

    fn may(&self, who: &Principal, action: Action, purpose: &str) -> Result<(), Denied> {
        // Where nobody said which fields are read, they are about a person.
        self.allow(who, action, purpose, roles::Classes::PERSONAL)
    }
}

impl TraitView for House {
    fn traits(&self, subject: Subject) -> Result<Option<OpaqueTraits>, store::Error> {
        let look = |rooms: &Rooms| rooms.traits.traits(subject);
        self.engine.read_within(self.partition_of(subject), look).unwrap_or(Ok(None))
    }
}

pub(crate) fn open_vault(project: &Project, layout: &Layout) -> Result<Vault, Error> {
    let reference = &project.settings.vault.master;
    // One whose making was cut off is made anew, for nothing was sealed under it: the journal comes after the vault.
    let made = Vault::stands_in(&layout.vault()) || layout.journal().exists();
    let master = match reference.strip_prefix("file:").map(|path| project.dir.join(path)) {
        // A missing file is made only together with a new vault: a new key opens nothing of an old one.
        Some(path) if !path.exists() && !made => {
            tracing::info!(file = %path.display(), "made a new master key; keep a copy outside of this machine");
            Master::create_file(&path)?
        }
        _ => Master::from_reference_of(reference, &project.dir, Some(&layout.vault()))?,
    };
    let dir = layout.vault();
    let master = master.anchored_at(&project.anchor());
    Ok(if made { Vault::open(&dir, &master)? } else { Vault::create(&dir, &master)? })
}

pub(crate) fn compose(project: &Project, layout: &Layout, vault: Arc<Vault>) -> Result<Composition, Error> {
    let (contracts, views) = (project.contracts.clone(), project.views.clone());
    Ok(Composition::new(contracts, views, project.rules.clone(), vault, layout.undone()?))
}

pub(crate) fn open_journal(
    settings: &Settings,
    layout: &Layout,
    n_partitions: u16,
) -> Result<Journal, Error> {
    let options = journal::Options {
        n_partitions,
        segment_bytes: settings.journal.segment_mb << 20,
        ..journal::Options::default()
    };
    Ok(Journal::open(layout.journal(), options)?)
}

pub(crate) fn shards(db: &Database, composition: &Arc<Composition>, n_partitions: u16) -> Vec<Rooms> {
    let sealer: Arc<dyn Seal> = composition.vault.clone();
    (0..n_partitions)
        .map(|p| Rooms::open(&Scope::new(db.clone(), Partition(p), Some(sealer.clone())), composition))
        .collect()
}

pub(crate) fn options(settings: &Settings) -> Options {
    Options {
        commit_every: Duration::from_millis(settings.state.commit_every_ms),
        hot_entries: settings.state.hot_entries,
        dedup_horizon: settings.state.dedup_horizon,
        ..Options::default()
    }
}

/// Names what the state was folded with: on the first line contracts, identity rules, undone imports and this build's
/// folds; then a line for each feature view, which can be filled beside the others.
pub(crate) fn fingerprint(project: &Project, layout: &Layout) -> Result<String, Error> {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    };
    add("folds 13");
    for contract in project.contracts.iter() {
        add(contract.yaml());
    }
    add(&format!("{:?}", project.rules));
    for batch in layout.undone()? {
        add(&batch.to_string());
    }
    let mut text: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    for view in project.views.iter() {
        text.push('\n');
        text.push_str(view.fingerprint());
    }
    Ok(text)
}

/// Builds the state anew where contracts or undone imports have changed since it was folded. Where only feature views
/// have, says what is to be done about them.
fn settle_state(
    project: &Project,
    layout: &Layout,
    instance: &Instance,
    composition: &Arc<Composition>,
    journal: &Journal,
) -> Result<Option<Change>, Error> {
    let wanted = fingerprint(project, layout)?;
    let found = std::fs::read_to_string(layout.composition()).unwrap_or_default();
    if layout.state().exists() {
        if found == wanted {
            return Ok(None);
        }
        if let Some(change) = crate::backfilling::change(&found, &wanted, &project.views) {
            return Ok(Some(change));
        }
    }
    let n = instance.n_partitions;
    let is_empty = (0..n).all(|p| journal.end(Partition(p)).0 == 0);
    if !is_empty {
        tracing::info!("contracts or imports have changed: the state is folded anew from the journal");
        let upto: Vec<_> = (0..n).map(|p| journal.end(Partition(p))).collect();
        crate::replaying::rebuild(&project.settings, layout, composition, journal, &upto, |_| {})?;
    }
    write_durably(&layout.composition(), wanted.as_bytes())?;
    Ok(None)
}

/// Removes a directory if it is there.
pub(crate) fn remove_dir(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::Directory { path: path.to_path_buf(), reason: e.to_string() }),
    }
}
