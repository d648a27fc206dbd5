//! A file of consents given elsewhere.

use std::path::Path;

use event::{Instant, Record, Subject};
use intake::file;
use policy::{CONSENTS, ConsentGiven, LegalBasis, Status};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::clock::Flight;
use crate::consenting::{Word, word_id};
use crate::house::{House, Identifier, WAIT, system_record};

/// Columns that are no identifier.
const FIXED: [&str; 15] = [
    "purpose",
    "status",
    "notice_version",
    "source",
    "at",
    "notice_hash",
    "locale",
    "channel",
    "basis",
    "evidence",
    "valid_from",
    "valid_until",
    "confirmed_at",
    "tc_string",
    "google",
];
/// Rows read at once.
const CHUNK: usize = 5_000;

/// What became of a file of consents.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ConsentsImported {
    /// Rows that became consents.
    pub n_accepted: u64,
    /// Rows that did not, with their numbers and what is wrong.
    pub refused: Vec<(u64, String)>,
}

/// A word of a row, checked: whose, what lies open, what is sealed, and when.
struct Row {
    subject: Subject,
    given: ConsentGiven,
    evidence: Option<String>,
    tc_string: Option<String>,
    at: Instant,
}

impl House {
    /// Reads consents from a table with the columns `purpose`, `status` (granted, denied, withdrawn), `at`, and one column
    /// named after an identifier type (`user_id`, `email`, …); if there, `notice_version`, `notice_hash`, `locale`,
    /// `channel`, `source`, `basis`, `evidence`, `valid_from`, `valid_until`, `confirmed_at`. Instead of `purpose` and
    /// `status` a row may have a `tc_string`, or `google`: Consent Mode as JSON. Reading it again changes nothing. A
    /// consent counts from when it was given; it is known from now on.
    ///
    /// # Errors
    /// [`Error::Intake`] where the file cannot be read; [`Error::Import`] where a column is missing.
    pub fn import_consents(&self, path: &Path) -> Result<ConsentsImported, Error> {
        let file = file::inspect(path, |_| {})?;
        let columns = file.columns().to_vec();
        let missing =
            |what: &str| Error::Import { reason: format!("`{}` has no column {what}", path.display()) };
        let has = |wanted: &str| columns.iter().any(|column| column == wanted);
        let by_signal = has("tc_string") || has("google");
        for wanted in ["purpose", "status", "at"] {
            if !(columns.is_empty() || has(wanted) || (by_signal && wanted != "at")) {
                return Err(missing(&format!("`{wanted}`")));
            }
        }
        let kind = columns
            .iter()
            .find(|column| !FIXED.contains(&column.as_str()))
            .cloned()
            .ok_or_else(|| missing("that names an identifier type, like `user_id`"))?;
        let mut done = ConsentsImported::default();
        let mut names = Sha256::new();
        let mut rows = file.rows(0)?;
        loop {
            let chunk: Vec<_> = rows.by_ref().take(CHUNK).collect::<Result<_, _>>()?;
            if chunk.is_empty() {
                break;
            }
            let flight = self.clock().arrive();
            let mut read = Vec::with_capacity(chunk.len());
            for row in chunk {
                let broken = row.finding.as_ref().map(|finding| finding.message.clone());
                match broken.map_or_else(|| self.consent_row(&kind, &row.raw), Err) {
                    Ok(words) => {
                        done.n_accepted += 1;
                        read.extend(words);
                    }
                    Err(reason) => done.refused.push((row.number, reason)),
                }
            }
            let subjects: Vec<_> = read.iter().map(|row| row.subject).collect();
            self.vault().ensure(&subjects)?;
            let mut records = Vec::with_capacity(read.len());
            for row in &read {
                records.extend(self.consent_records_of(row, &flight)?);
            }
            records.iter().for_each(|record| names.update(record.id.as_bytes()));
            if !records.is_empty() {
                self.engine().append_folded(records, WAIT)?;
            }
        }
        let sum: String = names.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let detail = json!({ "file": file, "rows": done.n_accepted, "refused": done.refused.len(), "sha256_of_ids": sum });
        self.audit(&audit::Act { detail, ..audit::Act::new("consent.import", "import") })?;
        Ok(done)
    }

    fn consent_records_of(&self, row: &Row, flight: &Flight) -> Result<Vec<Record>, Error> {
        let id = word_id(row.subject, &row.given, row.at);
        let payload = row.given.to_payload();
        let mut record = system_record(CONSENTS, row.subject, id, Some(row.at), flight, payload);
        self.seal_proofs(&mut record, row.subject, row.evidence.as_deref(), row.tc_string.as_deref())?;
        let mut records = vec![record];
        let evidence = row.evidence.as_deref();
        records.extend(self.proof_of_grant(row.subject, &row.given, evidence, id, row.at, flight)?);
        Ok(records)
    }

    fn consent_row(&self, kind: &str, row: &Value) -> Result<Vec<Row>, String> {
        let text = |name: &str| match row.get(name) {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let some = |name: &str| Some(text(name)).filter(|text| !text.is_empty());
        let instant = |name: &str| {
            some(name).map(|text| text.parse::<Instant>().map_err(|e| format!("{name}: {e}"))).transpose()
        };
        let identifier = Identifier { kind: kind.to_owned(), value: text(kind) };
        let subject = self.subject(&identifier).map_err(|e| e.to_string())?;
        let at = text("at").parse::<Instant>().map_err(|e| e.to_string())?;
        let signals = crate::consenting::signals(&self.settings().consent);
        let mut signalled = Vec::new();
        if let Some(tc_string) = some("tc_string") {
            signalled.extend(signals.tcf(&tc_string).map_err(|e| e.to_string())?);
        }
        if let Some(google) = some("google") {
            let google: Value = serde_json::from_str(&google).map_err(|e| format!("google: {e}"))?;
            signalled.extend(signals.google(&google).map_err(|e| format!("MR3514: {e}"))?.0);
        }
        let mut words: Vec<Word> = signalled
            .into_iter()
            .map(|said| Word::of_signal(said, &text("notice_version"), Some(at)))
            .collect();
        if some("purpose").is_some() || words.is_empty() {
            let status: Status =
                serde_json::from_value(text("status").to_lowercase().into()).map_err(|_| {
                    let status: String = text("status").chars().take(64).collect();
                    format!("`{status}` is none of granted, denied, withdrawn")
                })?;
            let basis = some("basis").map(|basis| {
                serde_json::from_value::<LegalBasis>(basis.to_lowercase().into()).map_err(|_| {
                    format!("`{}` is no legal basis", basis.chars().take(64).collect::<String>())
                })
            });
            words.push(Word {
                notice_version: text("notice_version"),
                notice_hash: text("notice_hash"),
                locale: text("locale"),
                channel: text("channel").to_lowercase(),
                source: text("source"),
                basis: basis.transpose()?,
                evidence: some("evidence"),
                tc_string: some("tc_string"),
                at: Some(at),
                valid_from: instant("valid_from")?,
                valid_until: instant("valid_until")?,
                confirmed_at: instant("confirmed_at")?,
                ..Word::new(text("purpose"), status)
            });
        }
        words
            .into_iter()
            .map(|word| {
                let (given, evidence, tc_string) = self.checked(word).map_err(|e| e.to_string())?;
                Ok(Row { subject, given, evidence, tc_string, at })
            })
            .collect()
    }
}
