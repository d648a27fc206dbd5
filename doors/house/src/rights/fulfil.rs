//! Fulfilling a request: the act that its right asks for, and a receipt of every store, signed.

use std::collections::BTreeSet;

use event::Subject;
use register::{Event, Fulfilled, Right, StoreDone};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::correcting::{Correction, Restated};
use super::refuse;
use super::requests::{RequestStanding, said};
use super::sections::{For, csv};
use crate::Error;
use crate::house::House;

/// What is handed over to a person.
#[derive(Debug, Serialize)]
pub struct HandedOver {
    /// The request and where it stands now.
    pub request: RequestStanding,
    /// Hexadecimal SHA-256 over the files, in their order: name, newline, content.
    pub sha256: String,
    /// The files: name and content.
    pub files: Vec<(String, String)>,
}

impl House {
    /// Hands over what a request for access or portability asks for. The first time fulfils it; fetched again it is made
    /// anew, from what is there then, and the receipts stay those of the first time.
    ///
    /// # Errors
    /// [`Error::Register`] where there is no such request, it was refused, or its right hands nothing over.
    pub fn hand_over(&self, id: &str, by: &str) -> Result<HandedOver, Error> {
        let _turn = self.rights_desk.turn.lock();
        let known = self.request(id)?;
        let by = said(by, "", false)?.by;
        let (right, subject) = (known.request.right, known.request.subject);
        if known.request.refused.is_some() {
            return refuse(format!("request `{id}` is refused"));
        }
        if !matches!(right, Right::Access | Right::Portability) {
            return refuse(format!(
                "a request for {} hands nothing over: `maschinenraum request fulfil {id}`",
                right.as_str()
            ));
        }
        let act = audit::Act {
            subject: Some(subject),
            detail: json!({ "request": id, "right": right }),
            ..audit::Act::new("request.hand_over", &by)
        };
        self.audit(&act)?;
        let (files, stores) = match right {
            Right::Portability => self.portable_files(subject)?,
            _ => self.access_files(subject, &by)?,
        };
        let mut hash = Sha256::new();
        for (name, content) in &files {
            hash.update(name.as_bytes());
            hash.update(b"\n");
            hash.update(content.as_bytes());
        }
        let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = match known.request.fulfilled {
            Some(_) => known,
            None => self.note_fulfilled(id, &by, right, sha256.clone(), stores, Vec::new())?,
        };
        Ok(HandedOver { request, sha256, files })
    }

    /// Does what a request asks for. Asked again it does nothing and gives the same receipts; cut off, it is done by asking
    /// again.
    ///
    /// * `corrections`: what is wrong, of a request for rectification
    ///
    /// # Errors
    /// [`Error::Register`] where there is no such request, it was refused, or what is to be corrected is missing or wrong;
    /// whatever the act says: the request then stays open.
    pub fn fulfil_request(
        &self,
        id: &str,
        by: &str,
        corrections: &[Correction],
    ) -> Result<RequestStanding, Error> {
        let _turn = self.rights_desk.turn.lock();
        let known = self.request(id)?;
        let by = said(by, "", false)?.by;
        if known.request.refused.is_some() {
            return refuse(format!("request `{id}` is refused"));
        }
        if known.request.fulfilled.is_some() {
            return Ok(known);
        }
        let (right, subject) = (known.request.right, known.request.subject);
        if right != Right::Rectification && !corrections.is_empty() {
            return refuse(format!("request `{id}` is for {}: it corrects nothing", right.as_str()));
        }
        // Of whom nothing is left, nobody could be named any more.
        let recipients = if right.is_told_on() { self.recipients_of(subject)? } else { Vec::new() };
        let order = policy::Order { by: &by, reference: &format!("request {id}"), reason: "" };
        let store = |store: &str, n: usize, what: &str| StoreDone {
            store: store.to_owned(),
            n: n as u64,
            what: what.to_owned(),
        };
        let stores = match right {
            Right::Access | Right::Portability => {
                return refuse(format!(
                    "a request for {} is fulfilled by handing over: `maschinenraum request fetch {id}`",
                    right.as_str()
                ));
            }
            Right::Restriction => {
                let n = self.restrict_of(subject, &order)?.len();
                vec![
                    store(
                        "consents",
                        n,
                        "pseudonyms restricted: every read is denied but to keep, prove and answer",
                    ),
                    store("deliveries", 0, "what is queued is checked again when it is due, and denied"),
                ]
            }
            Right::Objection => {
                let n = self.object_of(subject, &order)?.len();
                vec![
                    store(
                        "consents",
                        n,
                        "pseudonyms and addresses suppressed for direct marketing, beyond an erasure",
                    ),
                    store("deliveries", 0, "what is queued is checked again when it is due, and denied"),
                ]
            }
            Right::Erasure => {
                let receipts = self.erase(&[subject], &by, &format!("request {id}"))?;
                if !receipts.complete {
                    let open = receipts.stores.iter().filter(|one| !one.complete);
                    let open: Vec<String> = open.map(|one| format!("{}: {}", one.store, one.what)).collect();
                    return refuse(format!("request `{id}` stays open: {}", open.join("; ")));
                }
                let done =
                    |one: crate::StoreReceipt| StoreDone { store: one.store, n: one.n, what: one.what };
                receipts.stores.into_iter().map(done).collect()
            }
            Right::Rectification => self.rectify(subject, corrections, &by, id)?,
        };
        self.note_fulfilled(id, &by, right, String::new(), stores, recipients)
    }

    fn rectify(
        &self,
        subject: Subject,
        corrections: &[Correction],
        by: &str,
        id: &str,
    ) -> Result<Vec<StoreDone>, Error> {
        if corrections.is_empty() {
            return refuse("say what is wrong: a stream and the right values of its fields".to_owned());
        }
        let Restated { n_fields, n_records } =
            self.correct(subject, corrections, by, &format!("request {id}"))?;
        let members = self.members(subject)?.subjects;
        let taught = self.taught(&members)?;
        let mut models = format!("{} model versions learned from the person before", taught.len());
        if !taught.is_empty() {
            models.push_str(&format!(": {}; a training from now on learns what is right", taught.join(", ")));
        }
        Ok(vec![
            StoreDone {
                store: "journal".to_owned(),
                n: n_fields,
                what: "fields put right; what came stays beside it, sealed, and is read no more".to_owned(),
            },
            StoreDone {
                store: "state".to_owned(),
                n: n_records,
                what: "records whose traits and features were computed anew".to_owned(),
            },
            StoreDone { store: "models".to_owned(), n: taught.len() as u64, what: models },
        ])
    }

    /// Those who got data of a person: where the house hands actions over, and whom the settings name for a purpose.
    fn recipients_of(&self, subject: Subject) -> Result<Vec<String>, Error> {
        let members = self.members(subject)?.subjects;
        let mut streams: BTreeSet<String> = BTreeSet::new();
        self.engine().journal().scan(&[], |_, _, record| {
            if members.contains(&record.subject) && !self.hides(&record) {
                streams.insert(record.stream.to_string());
            }
            Ok(())
        })?;
        let mut names = BTreeSet::new();
        for activity in &self.record_of_processing()?.activities {
            let has_theirs = activity.streams.iter().any(|stream| streams.contains(&stream.name));
            for recipient in &activity.recipients {
                // What the house itself hands over are decisions.
                let got = if recipient.live { streams.contains(decide::DECISIONS) } else { has_theirs };
                if got {
                    names.insert(recipient.name.clone());
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    fn access_files(&self, subject: Subject, by: &str) -> Result<Handed, Error> {
        let dossier = self.dossier(subject, by)?;
        let broken = |e: serde_json::Error| Error::Internal { reason: format!("a dossier has no JSON: {e}") };
        let whole = serde_json::to_value(&dossier).map_err(broken)?;
        let mut files =
            vec![("dossier.json".to_owned(), serde_json::to_string_pretty(&whole).map_err(broken)?)];
        let streams: BTreeSet<&str> = dossier.records.iter().map(|entry| entry.stream.as_str()).collect();
        for stream in streams {
            let rows: Vec<serde_json::Value> = dossier
                .records
                .iter()
                .filter(|entry| entry.stream == stream)
                .map(|entry| serde_json::to_value(entry).unwrap_or_default())
                .collect();
            files.push((format!("records.{stream}.csv"), csv(&rows, For::People)));
        }
        for part in ["traits", "features", "segments"] {
            let rows: Vec<serde_json::Value> = whole.get(part).cloned().into_iter().collect();
            files.push((format!("{part}.csv"), csv(&rows, For::People)));
        }
        files.push(("decisions.csv".to_owned(), csv(&dossier.decisions, For::People)));
        let count = |store: &str, n: usize, what: &str| StoreDone {
            store: store.to_owned(),
            n: n as u64,
            what: what.to_owned(),
        };
        let n_values = dossier.features.len();
        let n_refused = dossier.records.iter().filter(|one| one.stream == crate::streams::QUARANTINE).count();
        let stores = vec![
            count("journal", dossier.records.len(), "records that are the person's or name them, opened"),
            count("quarantine", n_refused, "of them were refused when they came"),
            count("state", n_values, "feature views, with traits and segments"),
            count("decisions", dossier.decisions.len(), "decisions, each explained"),
            count("models", dossier.models.len(), "model versions that learned from the person"),
        ];
        Ok((files, stores))
    }

    fn portable_files(&self, subject: Subject) -> Result<Handed, Error> {
        let streams = self.portable(subject)?;
        let mut files = Vec::new();
        let mut n_records = 0;
        for one in &streams {
            n_records += one.records.len() as u64;
            files.push((format!("{}.ndjson", one.stream), one.to_ndjson()));
            files.push((format!("{}.csv", one.stream), one.to_csv()));
        }
        let what = format!("records of {} streams that rest on consent or a contract", streams.len());
        Ok((files, vec![StoreDone { store: "journal".to_owned(), n: n_records, what }]))
    }

    fn note_fulfilled(
        &self,
        id: &str,
        by: &str,
        right: Right,
        sha256: String,
        stores: Vec<StoreDone>,
        recipients: Vec<String>,
    ) -> Result<RequestStanding, Error> {
        let mut done = Fulfilled {
            request: id.to_owned(),
            right,
            at: self.now(),
            by: by.to_owned(),
            sha256,
            stores,
            recipients,
            signed: String::new(),
        };
        let text = serde_json::to_string(&done)
            .map_err(|e| Error::Internal { reason: format!("receipts have no JSON: {e}") })?;
        done.signed = self.sign("receipts", &format!("{text}\n"))?;
        let mut act = audit::Act::new("request.fulfil", by);
        act.detail = json!({
            "request": id, "right": right, "sha256": done.sha256,
            "stores": done.stores.iter().map(|one| json!({ "store": one.store, "n": one.n })).collect::<Vec<_>>(),
        });
        self.note_register(&Event::RequestFulfilled(Box::new(done)), Some(&act))?;
        self.request(id)
    }
}

/// Files, and what the stores say.
type Handed = (Vec<(String, String)>, Vec<StoreDone>);
