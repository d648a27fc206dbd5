//! A file of consents given elsewhere.

use std::path::Path;

use event::{Instant, RecordId};
use intake::file;
use policy::{CONSENTS, ConsentGiven, Status};
use serde_json::Value;

use crate::Error;
use crate::house::{House, Identifier, WAIT, system_record};

/// Columns that are no identifier.
const FIXED: [&str; 5] = ["purpose", "status", "notice_version", "source", "at"];

/// What became of a file of consents.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ConsentsImported {
    /// Rows that became consents.
    pub n_accepted: u64,
    /// Rows that did not, with their numbers and what is wrong.
    pub refused: Vec<(u64, String)>,
}

impl House {
    /// Reads consents from a table with the columns `purpose`, `status` (granted, denied, withdrawn), `at`, optionally
    /// `notice_version` and `source`, and one column named after an identifier type (`user_id`, `email`, …). Reading it
    /// again changes nothing. A consent counts from when it was given; it is known from now on.
    ///
    /// # Errors
    /// [`Error::Intake`] where the file cannot be read; [`Error::Import`] where a column is missing.
    pub fn import_consents(&self, path: &Path) -> Result<ConsentsImported, Error> {
        let file = file::inspect(path, |_| {})?;
        let columns = file.columns().to_vec();
        let missing =
            |what: &str| Error::Import { reason: format!("`{}` has no column {what}", path.display()) };
        for wanted in ["purpose", "status", "at"] {
            if !columns.is_empty() && !columns.iter().any(|column| column == wanted) {
                return Err(missing(&format!("`{wanted}`")));
            }
        }
        let kind = columns
            .iter()
            .find(|column| !FIXED.contains(&column.as_str()))
            .cloned()
            .ok_or_else(|| missing("that names an identifier type, like `user_id`"))?;
        let mut done = ConsentsImported::default();
        let mut rows = file.rows(0)?;
        loop {
            let chunk: Vec<_> = rows.by_ref().take(5_000).collect::<Result<_, _>>()?;
            if chunk.is_empty() {
                return Ok(done);
            }
            let flight = self.clock().arrive();
            let mut read = Vec::with_capacity(chunk.len());
            for row in chunk {
                let broken = row.finding.as_ref().map(|finding| finding.message.clone());
                match broken.map_or_else(|| self.consent_row(&kind, &row.raw), Err) {
                    Ok(one) => read.push(one),
                    Err(reason) => done.refused.push((row.number, reason)),
                }
            }
            let subjects: Vec<_> = read.iter().map(|(subject, ..)| *subject).collect();
            self.vault().ensure(&subjects)?;
            done.n_accepted += read.len() as u64;
            let records: Vec<_> = read
                .into_iter()
                .map(|(subject, given, at)| {
                    let payload = given.to_payload();
                    let key = [payload.as_slice(), subject.as_bytes(), &at.micros().to_be_bytes()].concat();
                    let id = RecordId::external(CONSENTS, &key);
                    system_record(CONSENTS, subject, id, Some(at), &flight, payload)
                })
                .collect();
            if !records.is_empty() {
                self.engine().append_folded(records, WAIT)?;
            }
        }
    }

    fn consent_row(
        &self,
        kind: &str,
        row: &Value,
    ) -> Result<(event::Subject, ConsentGiven, Instant), String> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let identifier = Identifier { kind: kind.to_owned(), value: text(kind) };
        let subject = self.subject(&identifier).map_err(|e| e.to_string())?;
        let purpose = text("purpose");
        if self.purposes().basis(&purpose).is_none() {
            return Err(format!(
                "the project has no purpose `{}`",
                purpose.chars().take(64).collect::<String>()
            ));
        }
        let status: Status = serde_json::from_value(text("status").to_lowercase().into()).map_err(|_| {
            let status: String = text("status").chars().take(64).collect();
            format!("`{status}` is none of granted, denied, withdrawn")
        })?;
        let at = text("at").parse::<Instant>().map_err(|e| e.to_string())?;
        let given =
            ConsentGiven { purpose, status, notice_version: text("notice_version"), source: text("source") };
        Ok((subject, given, at))
    }
}
