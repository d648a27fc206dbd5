//! Words about purposes as they come in: checked, completed from the register of notices, appended.

use std::collections::BTreeMap;

use event::{Cell, Instant, Record, RecordId, Subject};
use policy::{
    CELL_SCHEMA, CONSENTS, Consent, ConsentGiven, ConsentRefused, ConsentView, EVIDENCE, LegalBasis,
    Signalled, Status, TC_STRING,
};
use serde_json::json;

use crate::Error;
use crate::clock::Flight;
use crate::house::{House, Identifier, WAIT, system_record};

/// The most letters of evidence.
const MAX_EVIDENCE: usize = 4_000;

/// What somebody said, as it is handed in.
#[derive(Clone, Debug)]
pub struct Word {
    /// The purpose.
    pub purpose: String,
    /// What was said.
    pub status: Status,
    /// The version of the wording that was shown.
    pub notice_version: String,
    /// Hexadecimal SHA-256 of it; taken from the register where it is left out.
    pub notice_hash: String,
    /// The language it was shown in.
    pub locale: String,
    /// The channel it is about; empty: the purpose as a whole.
    pub channel: String,
    /// Where it was said.
    pub source: String,
    /// The legal basis it is recorded under.
    pub basis: Option<LegalBasis>,
    /// What proves it; sealed.
    pub evidence: Option<String>,
    /// The TC string it was read from; sealed.
    pub tc_string: Option<String>,
    /// When it was said; `None`: now.
    pub at: Option<Instant>,
    /// From when on a yes counts.
    pub valid_from: Option<Instant>,
    /// From when on it counts no longer.
    pub valid_until: Option<Instant>,
    /// When the person confirmed it.
    pub confirmed_at: Option<Instant>,
}

impl Word {
    /// A word that says nothing but itself.
    pub fn new(purpose: impl Into<String>, status: Status) -> Self {
        Self {
            purpose: purpose.into(),
            status,
            notice_version: String::new(),
            notice_hash: String::new(),
            locale: String::new(),
            channel: String::new(),
            source: String::new(),
            basis: None,
            evidence: None,
            tc_string: None,
            at: None,
            valid_from: None,
            valid_until: None,
            confirmed_at: None,
        }
    }

    /// What a signal of a consent tool says.
    pub(crate) fn of_signal(said: Signalled, notice_version: &str, at: Option<Instant>) -> Self {
        Self {
            notice_version: notice_version.to_owned(),
            locale: said.locale,
            source: said.source,
            tc_string: said.tc_string.map(|text| text.to_string()),
            at,
            ..Self::new(said.purpose, if said.granted { Status::Granted } else { Status::Denied })
        }
    }
}

/// What a signal came to: its purpose, what was said, and the record that says it.
type Recorded = (String, Status, RecordId);

impl House {
    /// Records what a person said about a purpose; durable and folded when this returns.
    ///
    /// * `occurred_at`: when it was said; `None`: now
    ///
    /// # Errors
    /// As [`House::record_consent`].
    pub fn consent(
        &self,
        identifier: &Identifier,
        purpose: &str,
        status: Status,
        notice_version: &str,
        source: &str,
        occurred_at: Option<Instant>,
    ) -> Result<RecordId, Error> {
        let word = Word {
            notice_version: notice_version.to_owned(),
            source: source.to_owned(),
            at: occurred_at,
            ..Word::new(purpose, status)
        };
        self.record_consent(identifier, word, source)
    }

    /// Records a word with all that is known of it; durable and folded when this returns, and in the audit log.
    ///
    /// * `by`: who hands it in
    ///
    /// # Errors
    /// [`Error::BadIdentifier`]; [`Error::Denied`] for a purpose that the project does not know; [`Error::Consent`] for a
    /// field that is none.
    pub fn record_consent(&self, identifier: &Identifier, word: Word, by: &str) -> Result<RecordId, Error> {
        let subject = self.subject(identifier)?;
        self.record_word(subject, word, by, String::new())
    }

    pub(crate) fn record_word(
        &self,
        subject: Subject,
        word: Word,
        by: &str,
        confirms: String,
    ) -> Result<RecordId, Error> {
        let at = word.at.unwrap_or_else(|| self.now());
        let (mut given, evidence, tc_string) = self.checked(word)?;
        given.confirms = confirms;
        // The subject has a key from its first record on: later records about it are sealed under it.
        self.vault().ensure(&[subject])?;
        let id = word_id(subject, &given, at);
        self.audit_consent(
            "consent.record",
            by,
            subject,
            id,
            json!({
                "purpose": given.purpose, "status": given.status, "channel": given.channel,
                "notice": given.notice_version, "notice_sha256": given.notice_hash,
            }),
        )?;
        let flight = self.clock().arrive();
        let mut record = system_record(CONSENTS, subject, id, Some(at), &flight, given.to_payload());
        self.seal_proofs(&mut record, subject, evidence.as_deref(), tc_string.as_deref())?;
        let mut records = vec![record];
        records.extend(self.proof_of_grant(subject, &given, evidence.as_deref(), id, at, &flight)?);
        self.engine().append_folded(records, WAIT)?;
        Ok(id)
    }

    /// Checks a word's fields, and completes it from the register.
    pub(crate) fn checked(
        &self,
        word: Word,
    ) -> Result<(ConsentGiven, Option<String>, Option<String>), Error> {
        if self.purposes().basis(&word.purpose).is_none() {
            let known = self.purposes().names().collect::<Vec<_>>().join(", ");
            let purpose = word.purpose.chars().take(64).collect();
            return Err(policy::Denied::UnknownPurpose { purpose, known }.into());
        }
        let short = |text: &str| text.chars().take(64).flat_map(char::escape_debug).collect::<String>();
        let refuse =
            |field, value: &str, reason| ConsentRefused::Field { field, value: short(value), reason };
        let is_name = |text: &str| {
            text.len() <= 32
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
        };
        if !is_name(&word.channel) {
            return Err(
                refuse("channel", &word.channel, "small letters, digits, `_` and `-`, 32 at most").into()
            );
        }
        let is_locale = |text: &str| {
            text.len() <= 35 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        };
        if !is_locale(&word.locale) {
            return Err(
                refuse("locale", &word.locale, "a language tag like `de` or `de-AT` is expected").into()
            );
        }
        let hash = word.notice_hash.strip_prefix("sha256:").unwrap_or(&word.notice_hash).to_lowercase();
        if !hash.is_empty() && (hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Err(refuse("notice_hash", &word.notice_hash, "64 hexadecimal digits are expected").into());
        }
        if word.notice_version.len() > 128 {
            return Err(refuse("notice_version", &word.notice_version, "128 letters are the most").into());
        }
        for (field, text) in [("evidence", &word.evidence), ("tc_string", &word.tc_string)] {
            // Not quoted: it may say who.
            let most = if field == "evidence" { MAX_EVIDENCE } else { policy::tcf::MAX_BYTES };
            if text.as_ref().is_some_and(|text| text.len() > most) {
                return Err(
                    ConsentRefused::Field { field, value: "…".into(), reason: "it is too long" }.into()
                );
            }
        }
        if word.valid_until.zip(word.valid_from).is_some_and(|(until, from)| until <= from) {
            let value = word.valid_until.map(|until| until.to_string()).unwrap_or_default();
            return Err(refuse("valid_until", &value, "it must be later than `valid_from`").into());
        }
        let notice = self.purposes().notices().find(&word.purpose, &word.notice_version);
        let notice_hash = match notice {
            Some(notice) if hash.is_empty() => {
                let only = || notice.texts.keys().next().filter(|_| notice.texts.len() == 1).cloned();
                let locale = if word.locale.is_empty() { only() } else { Some(word.locale.clone()) };
                locale.and_then(|locale| notice.hash(&locale)).unwrap_or_default()
            }
            _ => hash,
        };
        let given = ConsentGiven {
            notice_version: word.notice_version,
            source: word.source.chars().take(200).collect(),
            basis: word.basis,
            notice_hash,
            locale: word.locale,
            channel: word.channel,
            valid_from: word.valid_from,
            valid_until: word.valid_until,
            confirmed_at: word.confirmed_at,
            ..ConsentGiven::new(word.purpose, word.status)
        };
        Ok((given, word.evidence, word.tc_string))
    }

    /// Seals what proves a word beside it (LAW 4).
    pub(crate) fn seal_proofs(
        &self,
        record: &mut Record,
        subject: Subject,
        evidence: Option<&str>,
        tc_string: Option<&str>,
    ) -> Result<(), Error> {
        for (column, text) in [(EVIDENCE, evidence), (TC_STRING, tc_string)] {
            let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
            let plain = zeroize::Zeroizing::new(json!(text).to_string());
            let sealed = self.vault().seal(subject, column, CELL_SCHEMA, plain.as_bytes())?;
            record.payload.cells.push(Cell { column: column.into(), sealed: sealed.into() });
            record.key_epoch = self.vault().epoch(subject).unwrap_or(0);
        }
        Ok(())
    }

    /// Records what signals of consent tools say: a TC string, Consent Mode, or both.
    ///
    /// # Errors
    /// [`Error::Tcf`], [`Error::Signal`] for signals that cannot be read; as [`House::record_consent`].
    pub fn record_signals(
        &self,
        identifier: &Identifier,
        tc_string: Option<&str>,
        google: Option<&serde_json::Value>,
        notice_version: &str,
        at: Option<Instant>,
        by: &str,
    ) -> Result<(Vec<Recorded>, Vec<String>), Error> {
        let signals = crate::consenting::signals(&self.settings().consent);
        let mut said = match tc_string {
            Some(text) => signals.tcf(text)?,
            None => Vec::new(),
        };
        let mut noticed = Vec::new();
        if let Some(google) = google {
            let (words, odd) = signals.google(google).map_err(|reason| Error::Signal { reason })?;
            said.extend(words);
            noticed = odd;
        }
        // Said at one instant: of two that differ the no counts.
        let mut by_purpose: BTreeMap<String, Signalled> = BTreeMap::new();
        for word in said {
            match by_purpose.get(&word.purpose) {
                Some(known) if !known.granted || word.granted => {}
                _ => drop(by_purpose.insert(word.purpose.clone(), word)),
            }
        }
        let mut recorded = Vec::new();
        for word in by_purpose.into_values() {
            let word = Word::of_signal(word, notice_version, at);
            let (purpose, status) = (word.purpose.clone(), word.status);
            recorded.push((purpose, status, self.record_consent(identifier, word, by)?));
        }
        Ok((recorded, noticed))
    }

    /// What a person's profile said about each purpose and channel: the word of whichever member stands in the way, else
    /// the latest yes.
    ///
    /// # Errors
    /// [`Error::BadIdentifier`], [`Error::Store`]
    pub fn consents(&self, identifier: &Identifier) -> Result<Vec<Consent>, Error> {
        let subject = self.subject(identifier)?;
        let mut standing: BTreeMap<(String, String), Consent> = BTreeMap::new();
        for member in self.members(subject)?.subjects {
            let said = self.standing(member)?;
            for consent in said.iter().flat_map(|said| said.consents()) {
                let is_no = |consent: &Consent| consent.status != Status::Granted;
                let weight = |consent: &Consent| (is_no(consent), consent.at, consent.record);
                let key = (consent.purpose.clone(), consent.channel.clone());
                match standing.get(&key) {
                    Some(known) if weight(known) >= weight(consent) => {}
                    _ => drop(standing.insert(key, consent.clone())),
                }
            }
        }
        Ok(standing.into_values().collect())
    }

    /// The entry of an act about a person's consent; found again by the record's id.
    pub(crate) fn audit_consent(
        &self,
        what: &str,
        by: &str,
        subject: Subject,
        record: RecordId,
        mut detail: serde_json::Value,
    ) -> Result<(), Error> {
        if let Some(detail) = detail.as_object_mut() {
            detail.insert("record".to_owned(), json!(record));
        }
        self.audit(&audit::Act { subject: Some(subject), detail, ..audit::Act::new(what, by) })
    }

    pub(crate) fn consent_record(
        &self,
        subject: Subject,
        id: RecordId,
        at: Instant,
        payload: Vec<u8>,
        flight: &Flight,
    ) -> Record {
        system_record(CONSENTS, subject, id, Some(at), flight, payload)
    }
}

/// The id of a word's record: the same word of the same instant is the same record.
pub(crate) fn word_id(subject: Subject, given: &ConsentGiven, at: Instant) -> RecordId {
    entry_id(subject, &given.to_payload(), at)
}

pub(crate) fn entry_id(subject: Subject, payload: &[u8], at: Instant) -> RecordId {
    let key = [payload, subject.as_bytes(), &at.micros().to_be_bytes()].concat();
    RecordId::external(CONSENTS, &key)
}
