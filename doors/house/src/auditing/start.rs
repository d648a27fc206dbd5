//! The log held against the journal: when the house is opened, and whole, when somebody asks.
//!
//! At every start: the checkpoint must be signed by the house's key, the tree's edge must have its root, and the journal
//! must hold every entry that was signed. A small log is read whole; of a large one what came since the last start that
//! found it sound. [`House::verify_audit`] always reads everything.

use std::collections::BTreeSet;

use audit::{AUDIT, Checked, Hash, Log, Signer, Verifier, check_dir, leaf_hash};
use event::{Partition, Position, RecordId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::desk::Held;
use crate::Error;
use crate::house::House;
use crate::layout::write_durably;

/// Entries up to which a start reads the log whole.
const WHOLE_ENTRIES: u64 = 100_000;
/// Positions of the control partition up to which a start reads it whole.
const WHOLE_POSITIONS: u64 = 200_000;
/// Records read from the journal at once.
const CHUNK: usize = 4_096;

/// The file that says how far the log was found sound.
pub(super) const SOUND: &str = "sound";

/// How far the log was found sound: a shortcut for the next start, and no more.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Sound {
    /// So many entries.
    size: u64,
    /// All of them before this position of the control partition.
    position: u64,
}

/// What was verified.
#[derive(Clone, Debug, Serialize)]
pub struct AuditVerified {
    /// Whose log it is.
    pub origin: String,
    /// Entries, each the same in the journal, in the state and in the tiles.
    pub n_entries: u64,
    /// The root that the latest checkpoint signs.
    pub root: String,
    /// Checkpoints, each the head of the same tree.
    pub n_checkpoints: u64,
    /// Who else signed the latest one.
    pub other_signers: Vec<String>,
}

impl House {
    /// Opens the log and holds it against the journal; nothing is written to it before.
    pub(crate) fn open_audit(&self) -> Result<(), Error> {
        let seed = self.vault().secret("audit/checkpoint")?;
        let dir = self.layout().audit();
        let signer = Signer::new(&self.origin(&Signer::new("x", &seed)?.verifier())?, &seed)?;
        let log = Log::open(&dir, signer.verifier())?;
        let folded = self.folded_audit()?;
        if let Some(signed) = log.signed().map(|signed| &signed.checkpoint)
            && signed.size > folded.size
        {
            let holder = "the journal".to_owned();
            return Err(audit::Error::Missing { index: folded.size, holder, size: signed.size }.into());
        }
        let sound = self.sound(&log, folded);
        self.hold_journal(sound)?;
        self.hold_tiles(&log, sound.size)?;
        let mut held = Held { log, signer, at: std::time::Instant::now(), failed: false };
        self.catch_up(&mut held)?;
        *self.audit_desk.log.lock() = Some(held);
        self.note_sound(folded)?;
        self.settle_entries()
    }

    /// Reads everything there is of the log — journal, state, tiles, every checkpoint — and holds it against each other.
    ///
    /// # Errors
    /// [`Error::Audit`], naming the first entry or the file that is not what it should be.
    pub fn verify_audit(&self) -> Result<AuditVerified, Error> {
        self.with_log(|house, held| {
            house.catch_up(held)?;
            let folded = house.folded_audit()?;
            let leaves = house.hold_journal(Sound::default())?;
            let same = |index: u64, bytes: &[u8]| same_leaf(&leaves, index, bytes);
            let Checked { signed, n_checkpoints, other_signers } =
                check_dir(held.log.dir(), held.log.verifier(), same)?;
            house.note_sound(folded)?;
            Ok(AuditVerified {
                origin: signed.checkpoint.origin.clone(),
                n_entries: signed.checkpoint.size,
                root: signed.checkpoint.root.to_string(),
                n_checkpoints,
                other_signers,
            })
        })
    }

    /// The log's name: of the settings; else that under which it was begun; else one made from its key.
    fn origin(&self, key: &Verifier) -> Result<String, Error> {
        let wanted = &self.settings().audit.origin;
        if !wanted.is_empty() {
            return Ok(wanted.clone());
        }
        let begun = std::fs::read_to_string(self.layout().audit().join("key"));
        if let Some(name) =
            begun.ok().and_then(|text| Some(text.trim().parse::<Verifier>().ok()?.name().to_owned()))
        {
            return Ok(name);
        }
        let digest = Sha256::digest(key.public());
        let short: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("maschinenraum.local/{short}/audit"))
    }

    /// How many entries are folded, and up to which position.
    fn folded_audit(&self) -> Result<Sound, Error> {
        let look = |rooms: &mut crate::Rooms, position: Position| -> Result<Sound, store::Error> {
            Ok(Sound { size: rooms.audit.size()?, position: position.0 })
        };
        let none = || Error::Internal { reason: "there is no control partition".to_owned() };
        Ok(self.engine().with_shard(Partition::CONTROL, look).ok_or_else(none)??)
    }

    /// From where a start looks.
    fn sound(&self, log: &Log, folded: Sound) -> Sound {
        let noted = std::fs::read(self.layout().audit().join(SOUND));
        let noted = noted.ok().and_then(|text| serde_json::from_slice::<Sound>(&text).ok());
        let signed = log.signed().map_or(0, |signed| signed.checkpoint.size);
        let fits = |noted: &Sound| {
            let is_known = noted.size <= signed && noted.position <= folded.position;
            is_known && (noted.size > WHOLE_ENTRIES || noted.position > WHOLE_POSITIONS)
        };
        noted.filter(fits).unwrap_or_default()
    }

    fn note_sound(&self, sound: Sound) -> Result<(), Error> {
        let text = serde_json::to_vec(&sound)
            .map_err(|e| Error::Internal { reason: format!("a position has no JSON: {e}") })?;
        write_durably(&self.layout().audit().join(SOUND), &text)
    }

    /// Reads the journal's entries from where `sound` ends and holds the folded ones against them. Gives their hashes.
    fn hold_journal(&self, sound: Sound) -> Result<Vec<Hash>, Error> {
        let end = self.engine().folded(Partition::CONTROL);
        let mut tail = self.engine().journal().tail(Partition::CONTROL, Position(sound.position));
        let mut seen: BTreeSet<RecordId> = BTreeSet::new();
        let (mut index, mut leaves) = (sound.size, Vec::new());
        while tail.position() < end {
            let records = tail.next(CHUNK, None)?;
            if records.is_empty() {
                break;
            }
            for (position, record) in records {
                let is_entry = position < end && record.stream.as_str() == AUDIT;
                let bytes = &record.payload.open;
                if !is_entry || bytes.len() > usize::from(u16::MAX) || !seen.insert(record.id) {
                    continue;
                }
                let folded = self.in_control(|rooms| rooms.audit.entry(index))?;
                if folded.is_none_or(|folded| folded.as_slice() != &**bytes) {
                    let why = "the state was folded from another entry than the journal holds".to_owned();
                    return Err(audit::Error::Changed { index, why }.into());
                }
                leaves.push(leaf_hash(bytes));
                index += 1;
            }
        }
        let folded = self.in_control(|rooms| rooms.audit.size())?;
        if index < folded {
            let holder = "the journal".to_owned();
            return Err(audit::Error::Missing { index, holder, size: folded }.into());
        }
        Ok(leaves)
    }

    /// Holds the bundles on disk against what is folded, from an entry on.
    fn hold_tiles(&self, log: &Log, from: u64) -> Result<(), Error> {
        for bundle in from / audit::WIDTH..log.size().div_ceil(audit::WIDTH) {
            let first = bundle * audit::WIDTH;
            let width = (log.size() - first).min(audit::WIDTH) as u16;
            let bytes = log.tiles().bytes(audit::Tile { level: None, index: bundle, width })?;
            let entries = audit::entries_of_bundle(&bytes).unwrap_or_default();
            for (index, entry) in (first..).zip(entries) {
                let folded = self.in_control(|rooms| rooms.audit.entry(index))?;
                if folded.is_none_or(|folded| folded.as_slice() != entry) {
                    let why = "the log's bundle holds another entry than the journal".to_owned();
                    return Err(audit::Error::Changed { index, why }.into());
                }
            }
        }
        // Hashes between the edge and the leaves, where the log is read whole.
        if from == 0 && log.size() > 0 {
            check_dir(log.dir(), log.verifier(), |_, _| Ok(()))?;
        }
        Ok(())
    }
}

fn same_leaf(leaves: &[Hash], index: u64, bytes: &[u8]) -> Result<(), audit::Error> {
    let held = usize::try_from(index).ok().and_then(|index| leaves.get(index));
    if held == Some(&leaf_hash(bytes)) {
        return Ok(());
    }
    Err(audit::Error::Changed {
        index,
        why: "the log's bundle holds another entry than the journal".to_owned(),
    })
}
