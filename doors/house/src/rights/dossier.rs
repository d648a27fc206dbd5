//! Everything that is known of one person (GDPR article 15): every record of the journal that is theirs or names them, opened;
//! what was derived from them; what was decided and why; who looked; and what article 15(1) wants told beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event::{BatchId, Instant, Record, RecordId, Subject};
use policy::{Action, Grant, Principal, Scope};
use register::Language;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::Error;
use crate::house::House;
use crate::segments::Person;

/// Rights that are told beside the data (article 15(1)(e), (f)).
const RIGHTS: &str = "You may ask for rectification (GDPR article 16), erasure (17), restriction (18), portability (20), object \
                      (21), withdraw consent at any time (7(3)), and complain to a supervisory authority (77).";

/// One record of the journal that is of a person or names them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Its stream; those that begin with `mr.` are the house's own.
    pub stream: String,
    /// Its id.
    pub record: RecordId,
    /// The pseudonym it lies under; none: it names the person.
    pub subject: Option<Subject>,
    /// When it happened.
    pub occurred_at: Instant,
    /// When it was known.
    pub known_at: Instant,
    /// By which source it came.
    pub source: Option<String>,
    /// The import that brought it.
    pub batch: Option<BatchId>,
    /// True where that import was taken back: it lies in the journal and is used for nothing.
    pub taken_back: bool,
    /// What it says, opened.
    pub document: Value,
    /// What it says now, where it was put right since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrected: Option<Value>,
}

/// Everything that is known of one person.
#[derive(Debug, Serialize)]
pub struct Dossier {
    /// `maschinenraum.dossier.1`
    pub format: &'static str,
    /// As of when.
    pub at: Instant,
    /// The profile's name.
    pub profile: Subject,
    /// Its pseudonyms.
    pub members: Vec<Subject>,
    /// Purposes, categories, recipients, storage, sources, rights (article 15(1)).
    pub about: Value,
    /// What is held to be true of the person, with where each word comes from.
    pub traits: Value,
    /// Values computed from the records, by view.
    pub features: BTreeMap<String, Value>,
    /// Whether the person is in each segment.
    pub segments: BTreeMap<String, bool>,
    /// What the person said about purposes, with what proves it.
    pub consents: Value,
    /// Each decision about the person: what was looked at, what was feasible, how one was drawn, why not the others, what
    /// came of it (article 15(1)(h)).
    pub decisions: Vec<Value>,
    /// Models that learned from the person.
    pub models: Vec<String>,
    /// Every record, in the order of the journal.
    pub records: Vec<Entry>,
}

impl House {
    /// Everything that is known of a person. Whoever asks must have checked that it is them.
    ///
    /// # Errors
    /// [`Error::BadIdentifier`]; whatever journal, state or vault say: nothing is handed over in part.
    pub(super) fn dossier(&self, subject: Subject, by: &str) -> Result<Dossier, Error> {
        self.engine().settle(crate::house::WAIT)?;
        let members = self.members(subject)?;
        let keeper = self.keeper(by);
        let now = self.clock().settled();
        let records = self.records_of(&members.subjects)?;
        let (mut features, mut segments, mut traits) = (BTreeMap::new(), BTreeMap::new(), Value::Null);
        let mut grants: BTreeMap<String, Grant> = BTreeMap::new();
        for purpose in self.purposes().names() {
            let (purposes, members) = (self.purposes(), &members.subjects);
            // LAW 3: to answer the person herself is allowed of restricted data too (article 18(2)).
            let grant = policy::authorize(&keeper, Action::Claims, purpose, members, self, purposes, now)?;
            grants.insert(purpose.to_owned(), grant);
        }
        if let Some(grant) = grants.values().next() {
            traits = self.traits_whole(grant, subject)?;
        }
        for view in self.project().views.iter() {
            let Some(grant) = view.purposes().iter().find_map(|purpose| grants.get(purpose)) else {
                continue;
            };
            let mut person = Person::new(self, grant, &members.subjects, now);
            let values = person.view(view, &feature::Context::default())?;
            features.insert(view.reference(), serde_json::to_value(&values).unwrap_or_default());
        }
        for segment in &self.project().segments {
            let Some(grant) = grants.get(&segment.purpose) else { continue };
            let mut person = Person::new(self, grant, &members.subjects, now);
            segments.insert(segment.name.clone(), person.holds(&segment.name)?);
        }
        let consents = self.consent_history_of(&keeper, subject, None)?;
        Ok(Dossier {
            format: "maschinenraum.dossier.1",
            at: now,
            profile: members.id,
            about: self.told_beside(&records)?,
            traits,
            features,
            segments,
            consents: serde_json::to_value(&consents).unwrap_or_default(),
            decisions: self.decisions_of(&records)?,
            models: self.taught(&members.subjects)?,
            records,
            members: members.subjects,
        })
    }

    /// Whoever answers people for the house.
    pub(crate) fn keeper(&self, by: &str) -> Principal {
        Principal::new(by, [Scope::Consent]).with_roles(["data_protection_officer"])
    }

    fn traits_whole(&self, grant: &Grant, subject: Subject) -> Result<Value, Error> {
        let look = |rooms: &crate::rooms::Rooms| {
            let profiles = profile::Profiles::new(&rooms.identities, self);
            Ok(profiles.by(&self.project().rules.traits).read(grant, subject))
        };
        let profile = self.in_control(look)??;
        Ok(serde_json::to_value(&profile).unwrap_or_default())
    }

    /// Every record that is of one of these subjects or names one, each once, in the order of the journal, opened. What was
    /// hidden by an erasure is left out: it opens no more.
    pub(super) fn records_of(&self, members: &[Subject]) -> Result<Vec<Entry>, Error> {
        let names: Vec<String> = members.iter().map(Subject::to_string).collect();
        // Streams with a contract know people by what they are keyed with; ours name them in what lies open.
        let names_them = |record: &Record| {
            let open = std::str::from_utf8(&record.payload.open).unwrap_or_default();
            record.stream.as_str().starts_with("mr.") && names.iter().any(|name| open.contains(name.as_str()))
        };
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        let mut failed = None;
        self.engine().journal().scan(&[], |_, _, record: Arc<Record>| {
            let is_theirs = members.contains(&record.subject) || names_them(&record);
            if failed.is_some()
                || !is_theirs
                || self.hides(&record)
                || !seen.insert((record.id, record.subject))
            {
                return Ok(());
            }
            match self.entry_of(&record, &names) {
                Ok(entry) => found.push(entry),
                Err(error) => failed = Some(error),
            }
            Ok(())
        })?;
        failed.map_or(Ok(found), Err)
    }

    fn entry_of(&self, record: &Record, names: &[String]) -> Result<Entry, Error> {
        let is_ours =
            record.stream.as_str().starts_with("mr.") && record.stream.as_str() != crate::streams::QUARANTINE;
        let mut document =
            if is_ours { self.opened_whole(record)? } else { intake::raw(self.vault(), record)? };
        // An erasure names everybody of its pass; who the others were is nobody's business (article 15(4)).
        if let Some(Value::Array(named)) = document.pointer_mut("/ordered/subjects") {
            named.retain(|one| one.as_str().is_some_and(|one| names.iter().any(|name| name == one)));
        }
        let is_put_right = self.composition().corrections.has(record)?;
        let corrected = if is_put_right { self.composition().bind(record)? } else { None };
        Ok(Entry {
            stream: record.stream.to_string(),
            record: record.id,
            subject: Some(record.subject).filter(|subject| !subject.is_none()),
            occurred_at: record.occurred_at,
            known_at: record.known_at,
            source: record.source.as_ref().map(|source| source.to_string()),
            batch: record.batch,
            taken_back: record.batch.is_some_and(|batch| self.composition().undone.contains(&batch)),
            document,
            corrected,
        })
    }

    /// One of the house's own records, with what lies sealed in it.
    fn opened_whole(&self, record: &Record) -> Result<Value, Error> {
        let open = serde_json::from_slice(&record.payload.open)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&record.payload.open).into_owned()));
        if record.payload.cells.is_empty() {
            return Ok(open);
        }
        let owner = intake::owner(self.vault(), record);
        let mut cells = Map::new();
        for cell in &record.payload.cells {
            let opened = self.vault().unseal(owner, &cell.column, record.contract.major, &cell.sealed)?;
            let text = opened.map(|plain| {
                serde_json::from_slice(&plain)
                    .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&plain).into_owned()))
            });
            cells.insert(cell.column.to_string(), text.unwrap_or(Value::Null));
        }
        Ok(json!({ "open": open, "sealed": cells }))
    }

    fn decisions_of(&self, records: &[Entry]) -> Result<Vec<Value>, Error> {
        let mut all = Vec::new();
        for entry in records.iter().filter(|entry| entry.stream == decide::DECISIONS) {
            let (open, sealed) = match (entry.document.get("open"), entry.document.get("sealed")) {
                (Some(open), Some(sealed)) => (open, sealed.get(decide::EVIDENCE_COLUMN)),
                _ => (&entry.document, None),
            };
            let bytes = |value: &Value| value.to_string().into_bytes();
            let evidence = sealed.filter(|evidence| !evidence.is_null()).map(bytes);
            let Ok(record) = decide::DecisionRecord::from_parts(&bytes(open), evidence.as_deref()) else {
                continue;
            };
            let explained = self.explained(&record, entry.record)?;
            all.push(json!({
                "decision": entry.record,
                "explanation": explained,
                "reasons": self.reasons_of(&record)?,
                "in_words": { "en": explained.text(decide::Language::English), "de": explained.text(decide::Language::German) },
            }));
        }
        Ok(all)
    }

    /// Model versions whose list of teachers names one of these subjects, or who have no list.
    pub(super) fn taught(&self, members: &[Subject]) -> Result<Vec<String>, Error> {
        let mut all = Vec::new();
        for (name, state) in self.in_control(|rooms| Ok(rooms.releases.models()))?? {
            for version in &state.versions {
                let said = match self.taught_by(&version.manifest.artefact, members)? {
                    Some(true) => "",
                    Some(false) => continue,
                    None => " (it is not known whom it learned from)",
                };
                all.push(format!("{name} {}{said}", version.number));
            }
        }
        Ok(all)
    }

    /// What article 15(1)(a) to (g) wants told, from the record of processing.
    fn told_beside(&self, records: &[Entry]) -> Result<Value, Error> {
        let ropa = self.record_of_processing()?;
        let streams: BTreeSet<&str> = records.iter().map(|entry| entry.stream.as_str()).collect();
        let mut processing = Vec::new();
        for activity in &ropa.activities {
            let theirs: Vec<_> =
                activity.streams.iter().filter(|stream| streams.contains(stream.name.as_str())).collect();
            if theirs.is_empty() && activity.use_cases.is_empty() {
                continue;
            }
            processing.push(json!({
                "purpose": activity.purpose, "legal_basis": activity.basis, "description": activity.description,
                "categories": theirs.iter().map(|stream| json!({
                    "stream": stream.name, "fields": stream.fields, "kept_for": stream.retention, "sources": stream.sources,
                })).collect::<Vec<_>>(),
                "recipients": activity.recipients,
                "automated_decisions": activity.use_cases.iter().map(|one| &one.name).collect::<Vec<_>>(),
            }));
        }
        let notices = self.use_cases().iter().filter_map(|one| self.ai_notices(&one.name, Language::En).ok());
        Ok(json!({
            "controller": ropa.controller, "processing": processing, "rights": RIGHTS,
            "notices": notices.flatten().collect::<Vec<_>>(),
        }))
    }
}
