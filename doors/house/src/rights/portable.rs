//! What a person gave, for another house (GDPR article 20): the records that rest on consent or a contract, as documents that
//! `maschinenraum import` takes, and nothing that was derived from them.

use std::collections::BTreeMap;

use contract::LegalBasis;
use event::{RecordId, Subject};
use serde::Serialize;
use serde_json::Value;

use super::sections::{For, csv};
use crate::Error;
use crate::house::House;

/// The records of one stream.
#[derive(Debug, Serialize)]
pub struct Portable {
    /// The stream.
    pub stream: String,
    /// The contract that reads them again.
    pub contract: String,
    /// Their ids, in the order of the documents.
    pub records: Vec<RecordId>,
    /// The documents.
    pub documents: Vec<Value>,
}

impl Portable {
    /// One document a line.
    pub(super) fn to_ndjson(&self) -> String {
        self.documents.iter().map(|document| format!("{document}\n")).collect()
    }

    /// The same as a table.
    pub(super) fn to_csv(&self) -> String {
        csv(&self.documents, For::Import)
    }
}

impl House {
    /// What a person gave, by stream.
    ///
    /// # Errors
    /// Whatever journal or vault say.
    pub(super) fn portable(&self, subject: Subject) -> Result<Vec<Portable>, Error> {
        self.engine().settle(crate::house::WAIT)?;
        let members = self.members(subject)?.subjects;
        let contracts = &self.composition().contracts;
        let rests_on_them = |one: &&std::sync::Arc<contract::Contract>| {
            one.purposes.iter().any(|purpose| {
                let basis = purpose.basis.or_else(|| self.purposes().basis(&purpose.name));
                matches!(basis, Some(LegalBasis::Consent | LegalBasis::Contract))
            })
        };
        let streams = contracts.iter().filter(rests_on_them).map(|one| one.stream.to_string()).collect();
        let mut by_stream: BTreeMap<String, Portable> = BTreeMap::new();
        self.each_record(&streams, |record| {
            if !members.contains(&record.subject) {
                return Ok(());
            }
            let Some(contract) = contracts.newest(&record.stream) else { return Ok(()) };
            let Some(bound) = self.composition().bind(record)? else { return Ok(()) };
            let new = || Portable {
                stream: record.stream.to_string(),
                contract: contract.version.to_string(),
                records: Vec::new(),
                documents: Vec::new(),
            };
            let portable = by_stream.entry(record.stream.to_string()).or_insert_with(new);
            portable.records.push(record.id);
            portable.documents.push(lake::unbind(contract, &bound));
            Ok(())
        })?;
        Ok(by_stream.into_values().collect())
    }
}
