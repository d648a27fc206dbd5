//! The proof of a consent (Art. 7(1)): everything a person said, in order, with the wording, its hash, language, channel,
//! time, TC string, and where it stands in the audit log.

use std::collections::{BTreeMap, BTreeSet};

use event::{Instant, Position, Record, RecordId, Subject};
use policy::{
    Act, Action, AsOf, CELL_SCHEMA, CONSENTS, ConsentView as _, EVIDENCE, Entry, Grant, Mark, Principal,
    Proof, Proven, TC_STRING,
};
use serde::Serialize;

use crate::Error;
use crate::auditing::AuditSought;
use crate::house::{House, Identifier};

/// Everything a person said.
#[derive(Debug, Serialize)]
pub struct ConsentHistory {
    /// The profile.
    pub profile: Subject,
    /// Its identifiers, as pseudonyms.
    pub members: Vec<Subject>,
    /// As of when.
    pub at: Instant,
    /// Whether each purpose is allowed then, and why or why not, by purpose.
    pub allowed: BTreeMap<String, String>,
    /// The restriction that stands then.
    pub restricted: Option<Mark>,
    /// The objection that stands then.
    pub objected: Option<Mark>,
    /// What was said, the earliest first.
    pub entries: Vec<HistoryEntry>,
    /// Proofs under UWG § 7a.
    pub proofs: Vec<ProofShown>,
}

/// One entry of the ledger, with all that proves it.
#[derive(Debug, Default, Serialize)]
pub struct HistoryEntry {
    /// `granted`, `denied`, `withdrawn`, `asked`, `restricted`, …
    pub what: String,
    /// The purpose; empty for what is about the person as a whole.
    pub purpose: String,
    /// The channel; empty: the purpose as a whole.
    pub channel: String,
    /// When it was said.
    pub at: Instant,
    /// When it became known.
    pub known_at: Instant,
    /// Who said it.
    pub subject: Option<Subject>,
    /// The record.
    pub record: Option<RecordId>,
    /// Where it was said.
    pub source: String,
    /// The legal basis it was recorded under.
    pub basis: Option<policy::LegalBasis>,
    /// The version of the wording.
    pub notice_version: String,
    /// Hexadecimal SHA-256 of the wording, as it was recorded.
    pub notice_hash: String,
    /// The wording, from the register, where it hashes so.
    pub notice_text: Option<String>,
    /// The language it was shown in.
    pub locale: String,
    /// From when on it counts.
    pub valid_from: Option<Instant>,
    /// From when on no longer.
    pub valid_until: Option<Instant>,
    /// When it was confirmed.
    pub confirmed_at: Option<Instant>,
    /// Until when a question may be answered.
    pub expires: Option<Instant>,
    /// Who ordered it, why, and for which request.
    pub ordered: Option<policy::Ordered>,
    /// The facts of UWG § 7(3) that are missing; `None` where it is no such entry.
    pub missing_facts: Option<Vec<&'static str>>,
    /// What proves it; absent after an erasure.
    pub evidence: Option<String>,
    /// The TC string; absent after an erasure.
    pub tc_string: Option<String>,
    /// What the TC string says.
    pub tcf: Option<TcfShown>,
    /// The import that brought it.
    pub batch: Option<event::BatchId>,
    /// What it came by.
    pub came_by: Option<event::SourceName>,
    /// Where it stands in the audit log.
    pub in_log: Option<InLog>,
}

/// What a TC string says.
#[derive(Debug, Serialize)]
pub struct TcfShown {
    /// When it was made.
    pub created: Instant,
    /// When it was changed.
    pub updated: Instant,
    /// The consent management platform.
    pub cmp_id: u16,
    /// The version of the vendor list.
    pub vendor_list_version: u16,
    /// The version of the policies.
    pub policy_version: u8,
    /// Purposes consented to.
    pub purposes: Vec<u8>,
    /// Purposes under legitimate interest.
    pub legitimate_interests: Vec<u8>,
    /// How many vendors were consented to.
    pub n_vendors: usize,
    /// How many were disclosed.
    pub n_disclosed: Option<usize>,
}

/// An entry's place in the audit log, provable to an outsider.
#[derive(Debug, Serialize)]
pub struct InLog {
    /// The index of the entry.
    pub index: u64,
    /// The proof as `maschinenraum audit verify` and the tlog tools read it.
    pub proof: String,
}

/// A proof under UWG § 7a.
#[derive(Debug, Serialize)]
pub struct ProofShown {
    /// The consent's record.
    pub consent: RecordId,
    /// The decision or call that used it; `None`: it was given.
    pub used_by: Option<String>,
    /// Until when it is kept.
    pub keep_until: Instant,
    /// What is proven; absent once it was destroyed.
    pub proven: Option<Proven>,
}

impl House {
    /// Everything a person said, with what proves it, as known at an instant; reading it is a privileged act.
    ///
    /// * `at`: as of when; `None`: now
    ///
    /// # Errors
    /// [`Error::BadIdentifier`]; [`Error::Denied`] without the scope.
    pub fn consent_history(
        &self,
        principal: &Principal,
        identifier: &Identifier,
        at: Option<Instant>,
    ) -> Result<ConsentHistory, Error> {
        self.consent_history_of(principal, self.subject(identifier)?, at)
    }

    /// As [`House::consent_history`], for a subject.
    pub(crate) fn consent_history_of(
        &self,
        principal: &Principal,
        subject: Subject,
        at: Option<Instant>,
    ) -> Result<ConsentHistory, Error> {
        let members = self.members(subject)?;
        let now = self.clock().settled();
        let purposes = self.purposes();
        let none = || policy::Denied::UnknownPurpose { purpose: String::new(), known: "none".into() };
        let purpose = purposes.names().next().ok_or_else(none)?;
        // LAW 3: what is sealed is opened under a grant, and to prove is what this one is for.
        let grant =
            policy::authorize(principal, Action::Claims, purpose, &members.subjects, self, purposes, now)?;
        self.audit(&audit::Act {
            subject: Some(subject),
            ..audit::Act::new("consent.show", principal.name())
        })?;
        let at = at.unwrap_or(now);
        let mut as_of = AsOf::new(at);
        let mut entries = Vec::new();
        for record in self.consent_records(&members.subjects)? {
            as_of.hear(&record);
            if record.known_at <= at
                && let Some(entry) = Entry::read(&record.payload.open)
            {
                entries.push(self.shown(&grant, &record, entry)?);
            }
        }
        entries.sort_by_key(|entry| (entry.at, entry.record));
        self.find_in_log(&members.subjects, &mut entries)?;
        let mut allowed = BTreeMap::new();
        for name in purposes.names() {
            let weighed =
                policy::weigh(Action::ReadProfile, name, None, &members.subjects, &as_of, purposes, at);
            let word = match weighed {
                Ok(weighed) if weighed.by.is_some() => "allowed: granted".to_owned(),
                Ok(_) => {
                    format!(
                        "allowed: {}",
                        purposes.basis(name).map(|basis| basis.as_str()).unwrap_or_default()
                    )
                }
                Err(denied) => format!("denied: {denied}"),
            };
            allowed.insert(name.to_owned(), word);
        }
        let (mut restricted, mut objected) = (None, None);
        for member in &members.subjects {
            let Some(standing) = as_of.standing(*member)? else { continue };
            restricted = restricted.or_else(|| standing.restricted().cloned());
            objected = objected.or_else(|| standing.objected().cloned());
        }
        let proofs = self.proofs_of(principal, &entries)?;
        let (profile, members) = (members.id, members.subjects);
        Ok(ConsentHistory { profile, members, at, allowed, restricted, objected, entries, proofs })
    }

    /// The records of the ledger about some subjects, each once, in the order of the log.
    fn consent_records(&self, members: &[Subject]) -> Result<Vec<Record>, Error> {
        let partitions: BTreeSet<_> = members.iter().map(|member| self.partition_of(*member)).collect();
        let journal = self.engine().journal();
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        for partition in partitions {
            let end = journal.end(partition);
            let mut tail = journal.tail(partition, Position(0));
            loop {
                let batch = tail.next(4_096, None)?;
                let Some((last, _)) = batch.last() else { break };
                let is_done = last.0 + 1 >= end.0;
                for (_, record) in batch {
                    let is_theirs = record.stream.as_str() == CONSENTS && members.contains(&record.subject);
                    let undone = record.batch.is_some_and(|batch| self.composition().undone.contains(&batch));
                    if is_theirs && !undone && seen.insert(record.id) {
                        found.push((*record).clone());
                    }
                }
                if is_done {
                    break;
                }
            }
        }
        Ok(found)
    }

    fn shown(&self, grant: &Grant, record: &Record, entry: Entry) -> Result<HistoryEntry, Error> {
        let mut shown = HistoryEntry {
            at: record.occurred_at.min(record.known_at),
            known_at: record.known_at,
            subject: Some(record.subject),
            record: Some(record.id),
            batch: record.batch,
            came_by: record.source.clone(),
            evidence: self.opened(grant, record, EVIDENCE)?,
            tc_string: self.opened(grant, record, TC_STRING)?,
            ..HistoryEntry::default()
        };
        shown.tcf = shown.tc_string.as_deref().and_then(tcf);
        match entry {
            Entry::Said(given) => {
                shown.what = given.status.as_str().to_owned();
                let notice = self.purposes().notices().find(&given.purpose, &given.notice_version);
                let text = notice.and_then(|notice| notice.text(&given.locale));
                shown.notice_text =
                    text.filter(|text| policy::text_hash(text) == given.notice_hash).map(str::to_owned);
                (shown.purpose, shown.channel) = (given.purpose, given.channel);
                (shown.notice_version, shown.notice_hash) = (given.notice_version, given.notice_hash);
                (shown.locale, shown.source, shown.basis) = (given.locale, given.source, given.basis);
                (shown.valid_from, shown.valid_until) = (given.valid_from, given.valid_until);
                shown.confirmed_at = given.confirmed_at;
            }
            Entry::Act(act) => {
                shown.what = act.word().to_owned();
                match act {
                    Act::Asked(asked) => {
                        (shown.purpose, shown.channel) = (asked.purpose, asked.channel);
                        (shown.notice_version, shown.notice_hash) = (asked.notice_version, asked.notice_hash);
                        (shown.locale, shown.source) = (asked.locale, asked.source);
                        shown.expires = Some(asked.expires);
                    }
                    Act::SoftOptIn(facts) => {
                        shown.missing_facts = Some(facts.missing());
                        (shown.purpose, shown.channel, shown.source) =
                            (facts.purpose, facts.channel, facts.source);
                    }
                    Act::Restricted(ordered)
                    | Act::RestrictionLifted(ordered)
                    | Act::Objected(ordered)
                    | Act::ObjectionLifted(ordered) => shown.ordered = Some(ordered),
                }
            }
        }
        Ok(shown)
    }

    /// A sealed text of a record; `None` where there is none, or its key is destroyed.
    fn opened(&self, grant: &Grant, record: &Record, column: &str) -> Result<Option<String>, Error> {
        let Some(cell) = record.payload.cells.iter().find(|cell| *cell.column == *column) else {
            return Ok(None);
        };
        let plain = grant.unseal(self.vault(), record.subject, column, CELL_SCHEMA, &cell.sealed)?;
        Ok(plain.and_then(|plain| serde_json::from_slice(&plain).ok()))
    }

    /// Finds the entries of the audit log that name these records, and proves that they are in it.
    fn find_in_log(&self, members: &[Subject], entries: &mut [HistoryEntry]) -> Result<(), Error> {
        let mut places: BTreeMap<RecordId, u64> = BTreeMap::new();
        for member in members {
            let sought = AuditSought {
                what: Some("consent.".to_owned()),
                subject: Some(*member),
                ..AuditSought::default()
            };
            for found in self.audit_entries(&sought, 10_000)? {
                let detail = found.entry.as_ref().map(|entry| &entry.detail);
                let one = detail.and_then(|detail| detail.get("record")).into_iter();
                let many = detail.and_then(|detail| detail.get("records")?.as_array()).into_iter().flatten();
                let ids = one.chain(many).filter_map(|id| serde_json::from_value(id.clone()).ok());
                places.extend(ids.map(|id: RecordId| (id, found.index)));
            }
        }
        for entry in entries {
            let Some(index) = entry.record.and_then(|record| places.get(&record)).copied() else { continue };
            entry.in_log = Some(InLog { index, proof: self.audit_proof(index)?.to_string() });
        }
        Ok(())
    }

    fn proofs_of(&self, principal: &Principal, entries: &[HistoryEntry]) -> Result<Vec<ProofShown>, Error> {
        let consents: BTreeSet<RecordId> = entries.iter().filter_map(|entry| entry.record).collect();
        let (mut rows, mut keeping) = (Vec::new(), policy::Keeping::default());
        self.in_each_partition(|rooms| {
            rooms.proofs.scan(|owner, row| {
                if consents.contains(&row.proof.consent) {
                    keeping.hear(&row.proof);
                    rows.push((owner, row.clone()));
                }
            })
        })?;
        let (now, purposes) = (self.clock().settled(), self.purposes());
        let mut shown = Vec::new();
        for (owner, row) in rows {
            let Some(purpose) = purposes.names().next() else { continue };
            let grant = policy::authorize(principal, Action::Claims, purpose, &[owner], self, purposes, now)?;
            let plain = grant.unseal(self.vault(), owner, Proof::CELL, CELL_SCHEMA, &row.sealed)?;
            let proven = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
            let keep_until = keeping.until(&row.proof);
            let Proof { consent, used_by, .. } = row.proof;
            shown.push(ProofShown { consent, used_by, keep_until, proven });
        }
        shown.sort_by_key(|proof| (proof.consent, proof.keep_until));
        Ok(shown)
    }
}

fn tcf(text: &str) -> Option<TcfShown> {
    let said = policy::tcf::TcString::read(text).ok()?;
    Some(TcfShown {
        created: said.created,
        updated: said.updated,
        cmp_id: said.cmp_id,
        vendor_list_version: said.vendor_list_version,
        policy_version: said.policy_version,
        n_vendors: said.vendors.len(),
        n_disclosed: said.disclosed.as_ref().map(policy::tcf::VendorSet::len),
        purposes: said.purposes,
        legitimate_interests: said.legitimate_interests,
    })
}
