//! Recognises a record that was folded before.
//!
//! The horizon is counted in positions: a record is a duplicate if one with its id was folded less than
//! `horizon` positions earlier in its partition. That makes the verdict a function of the journal alone, so a
//! replay comes to the same. Ids are written in chunks, one per commit, and dropped a chunk at a time.

use std::collections::VecDeque;

use event::{Partition, Position, Record, RecordId};
use rustc_hash::FxHashMap;
use store::{Database, Write};

pub(crate) struct Dedup {
    partition: Partition,
    horizon: u64,
    seen: FxHashMap<RecordId, u64>,
    /// (first position, last position) of each written chunk, oldest first.
    chunks: VecDeque<(u64, u64)>,
    fresh: Vec<(u64, RecordId)>,
}

const TABLE: &[u8] = b"process.dedup\0";
const ENTRY_BYTES: usize = 24;

/// What makes a record the same as an earlier one: its id under its subject. The subject belongs to it, or the same id
/// under two subjects would be one record in one partition and two in seven.
pub(crate) fn identity(record: &Record) -> RecordId {
    let mut both = *record.id.as_bytes();
    for (byte, other) in both.iter_mut().zip(record.subject.as_bytes()) {
        *byte ^= other;
    }
    RecordId::from_bytes(both)
}

impl Dedup {
    pub(crate) fn load(db: &Database, partition: Partition, horizon: u64) -> Result<Self, store::Error> {
        let mut dedup = Self {
            partition,
            horizon,
            seen: FxHashMap::default(),
            chunks: VecDeque::new(),
            fresh: Vec::new(),
        };
        let mut chunks = Vec::new();
        let mut seen = FxHashMap::default();
        db.prefix(&dedup.prefix(), |_, value| {
            let mut span: Option<(u64, u64)> = None;
            for (position, id) in entries(value) {
                span = Some((span.map_or(position, |(first, _)| first), position));
                seen.insert(id, position);
            }
            chunks.extend(span);
            Ok(())
        })?;
        dedup.chunks = chunks.into();
        dedup.seen = seen;
        Ok(dedup)
    }

    /// True the first time an id is shown within the horizon.
    pub(crate) fn is_new(&mut self, id: RecordId, position: Position) -> bool {
        let at = position.0;
        match self.seen.insert(id, at) {
            Some(before) if at.saturating_sub(before) < self.horizon => {
                // The first sighting counts, or a stream of duplicates would stretch the horizon.
                self.seen.insert(id, before);
                false
            }
            _ => {
                self.fresh.push((at, id));
                true
            }
        }
    }

    /// Takes what must be written with the next commit.
    pub(crate) fn drain(
        &mut self,
        db: &Database,
        position: Position,
        out: &mut Vec<Write>,
    ) -> Result<(), store::Error> {
        let fresh = std::mem::take(&mut self.fresh);
        if let (Some((first, _)), Some((last, _))) = (fresh.first(), fresh.last()) {
            let mut bytes = Vec::with_capacity(fresh.len() * ENTRY_BYTES);
            for (at, id) in &fresh {
                bytes.extend_from_slice(&at.to_le_bytes());
                bytes.extend_from_slice(id.as_bytes());
            }
            self.chunks.push_back((*first, *last));
            out.push((self.key(*first), Some(bytes)));
        }
        while let Some((first, last)) = self.chunks.front().copied() {
            if position.0.saturating_sub(last) < self.horizon {
                break;
            }
            let key = self.key(first);
            for (at, id) in entries(&db.get(&key)?.unwrap_or_default()) {
                if self.seen.get(&id) == Some(&at) {
                    self.seen.remove(&id);
                }
            }
            self.chunks.pop_front();
            out.push((key, None));
        }
        Ok(())
    }

    fn prefix(&self) -> Vec<u8> {
        let mut key = TABLE.to_vec();
        key.extend_from_slice(&self.partition.0.to_be_bytes());
        key
    }

    fn key(&self, first: u64) -> Vec<u8> {
        let mut key = self.prefix();
        key.extend_from_slice(&first.to_be_bytes());
        key
    }
}

fn entries(chunk: &[u8]) -> impl Iterator<Item = (u64, RecordId)> + '_ {
    chunk.chunks_exact(ENTRY_BYTES).filter_map(|entry| {
        let (at, id) = entry.split_first_chunk::<8>()?;
        Some((u64::from_le_bytes(*at), RecordId::from_bytes(id.try_into().ok()?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u8) -> RecordId {
        RecordId::external("t", &[n])
    }

    fn save(dedup: &mut Dedup, db: &Database, at: u64) {
        let mut writes = Vec::new();
        dedup.drain(db, Position(at), &mut writes).unwrap();
        db.write(writes, false).unwrap();
    }

    proptest! {
        /// The verdict is a function of the sequence and the horizon alone, whatever is committed or
        /// reopened in between.
        #[test]
        fn commits_and_restarts_do_not_change_the_verdict(
            ids in prop::collection::vec(0..12_u8, 1..120),
            breaks in prop::collection::vec(any::<bool>(), 120),
            horizon in 1..40_u64,
        ) {
            let db = Database::memory();
            let mut dedup = Dedup::load(&db, Partition(1), horizon).unwrap();
            let mut first_seen: std::collections::HashMap<u8, u64> = Default::default();
            for (at, n) in ids.iter().enumerate() {
                let at = at as u64;
                let expected = first_seen.get(n).is_none_or(|before| at - before >= horizon);
                if expected {
                    first_seen.insert(*n, at);
                }
                prop_assert_eq!(dedup.is_new(id(*n), Position(at)), expected);
                if breaks[at as usize] {
                    save(&mut dedup, &db, at + 1);
                    if at.is_multiple_of(3) {
                        dedup = Dedup::load(&db, Partition(1), horizon).unwrap();
                    }
                }
            }
        }
    }

    #[test]
    fn old_ids_are_forgotten() {
        let db = Database::memory();
        let mut dedup = Dedup::load(&db, Partition(0), 10).unwrap();
        for at in 0..1_000_u64 {
            assert!(dedup.is_new(RecordId::external("t", &at.to_le_bytes()), Position(at)));
            save(&mut dedup, &db, at + 1);
        }
        assert!(dedup.seen.len() <= 12, "{}", dedup.seen.len());
    }
}
