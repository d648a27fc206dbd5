//! Traits: what records said last about a subject, kept sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contract::Bound;
use event::{Instant, RecordId, StreamName, Subject};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Emissions, Fold, Scope, Stored, Table};

/// What one stream said last of one trait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// JSON text.
    pub(crate) json: Box<str>,
    pub(crate) stream: StreamName,
    /// When it was said, at the latest when it became known.
    pub(crate) at: Instant,
    pub(crate) record: RecordId,
}

/// Traits by name, with the last word of each stream.
pub(crate) type Rows = BTreeMap<Box<str>, Vec<Row>>;

/// A subject's traits. Can be carried about, but looked into only by [`Profiles`](crate::Profiles), which asks
/// for a grant.
pub struct OpaqueTraits(pub(crate) Arc<Rows>);

impl OpaqueTraits {
    /// Only the words of which `keep` says so, by trait and stream: what a purpose may not see is not there.
    #[must_use]
    pub fn only(self, keep: impl Fn(&str, &str) -> bool) -> Self {
        let is_kept = |name: &str, word: &Row| keep(name, word.stream.as_str());
        if self.0.iter().all(|(name, words)| words.iter().all(|word| is_kept(name, word))) {
            return self;
        }
        let rows = self.0.iter().filter_map(|(name, words)| {
            let words: Vec<Row> = words.iter().filter(|word| is_kept(name, word)).cloned().collect();
            (!words.is_empty()).then(|| (name.clone(), words))
        });
        Self(Arc::new(rows.collect()))
    }
}

/// Where traits of subjects are looked up; the house has one that finds the right partition.
pub trait TraitView {
    /// The traits of `subject`; `None` where nothing is known.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    fn traits(&self, subject: Subject) -> Result<Option<OpaqueTraits>, store::Error>;
}

/// The traits of one partition's subjects. Personal fields are among them, so all are sealed under the
/// subject's key: derived values inherit their inputs' classification.
pub struct TraitTables {
    pub(crate) traits: Table<Subject, Rows>,
}

impl TraitTables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self { traits: Table::sealed(scope, "traits.2") }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.traits]
    }
}

impl TraitView for TraitTables {
    fn traits(&self, subject: Subject) -> Result<Option<OpaqueTraits>, store::Error> {
        Ok(self.traits.peek(&subject)?.map(OpaqueTraits))
    }
}

/// Folds the top fields of records of certain streams (identify calls, customer files) into traits.
pub struct TraitFold {
    streams: BTreeSet<StreamName>,
}

impl TraitFold {
    /// A fold over these streams; others leave it untouched.
    pub fn new(streams: impl IntoIterator<Item = StreamName>) -> Self {
        Self { streams: streams.into_iter().collect() }
    }
}

impl<'a> Fold<Bound<'a>> for TraitFold {
    type Tables = TraitTables;

    fn fold(
        &self,
        tables: &mut TraitTables,
        bound: &Bound<'a>,
        _: &mut Emissions,
    ) -> Result<(), store::Error> {
        let record = bound.record;
        if record.subject.is_none() || !self.streams.contains(&record.stream) {
            return Ok(());
        }
        let Value::Object(fields) = bound.fields else { return Ok(()) };
        if fields.is_empty() {
            return Ok(());
        }
        let at = record.occurred_at.min(record.known_at);
        tables.traits.update(&record.subject, |rows| {
            for (name, value) in fields {
                // The latest word of a stream stands, in whatever order records arrive; `null` is a word too.
                let row = || Row {
                    json: value.to_string().into(),
                    stream: record.stream.clone(),
                    at,
                    record: record.id,
                };
                let words = rows.entry(name.as_str().into()).or_default();
                match words.iter_mut().find(|word| word.stream == record.stream) {
                    Some(word) if (word.at, word.record) < (at, record.id) => *word = row(),
                    Some(_) => {}
                    None => {
                        let place = words.partition_point(|word| word.stream < record.stream);
                        words.insert(place, row());
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Partition, Payload, Record, Version};
    use store::{Database, Seal, SealError};

    /// Turns every bit around: enough to see whether bytes passed through it.
    struct Turned;

    impl Seal for Turned {
        fn seal(&self, _: Subject, _: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
            Ok(plain.iter().map(|byte| !byte).collect())
        }

        fn open(&self, _: Subject, _: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, SealError> {
            Ok(Some(sealed.iter().map(|byte| !byte).collect()))
        }
    }

    #[test]
    fn traits_touch_the_disk_sealed_only() {
        let db = Database::memory();
        let scope = Scope::new(db.clone(), Partition(0), Some(Arc::new(Turned)));
        let mut tables = TraitTables::open(&scope);
        let record = Record {
            id: RecordId::external("customers", b"1"),
            stream: StreamName::new("customers"),
            contract: Version::new(1, 0, 0),
            subject: Subject::from_bytes([1; 16]),
            occurred_at: Instant::from_micros(1),
            known_at: Instant::from_micros(1),
            batch: None,
            cause: None,
            source: None,
            key_epoch: 0,
            payload: Payload::default(),
        };
        let fields = serde_json::json!({"email": "ann@example.com"});
        let fold = TraitFold::new([StreamName::new("customers")]);
        fold.fold(&mut tables, &Bound { record: &record, fields: &fields }, &mut Emissions::default())
            .unwrap();
        let mut pending = Vec::new();
        tables.stored().into_iter().for_each(|table| table.drain(&mut pending));
        let writes: Vec<_> = pending.into_iter().map(|p| p.into_write().unwrap()).collect();
        let plain = |bytes: &[u8]| bytes.windows(3).any(|w| w == b"ann");
        assert!(writes.iter().all(|(key, value)| !plain(key) && !plain(value.as_deref().unwrap())));
        db.write(writes, false).unwrap();
        let read = TraitTables::open(&scope).traits(record.subject).unwrap().unwrap();
        assert_eq!(&*read.0["email"][0].json, r#""ann@example.com""#);
    }
}
