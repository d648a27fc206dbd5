//! The proof of a consent, and the register of notices, on the wire.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use house::{ConsentHistory, HistoryEntry, Identifier, ProofShown};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::door::{self, Asked, Door, Json};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;

/// Whose history.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whose {
    kind: String,
    value: String,
    at: Option<String>,
}

/// Everything a person said.
#[derive(Serialize, ToSchema)]
#[schema(as = ConsentHistory)]
pub(crate) struct History {
    /// The profile; a pseudonym.
    profile: String,
    /// Its identifiers, as pseudonyms.
    members: Vec<String>,
    /// As of when.
    #[schema(format = DateTime)]
    at: String,
    /// Whether each purpose is allowed then, and why or why not.
    allowed: BTreeMap<String, String>,
    /// Since when processing is restricted.
    #[schema(format = DateTime)]
    restricted_since: Option<String>,
    /// Since when the person objects to direct marketing.
    #[schema(format = DateTime)]
    objects_since: Option<String>,
    /// What was said, the earliest first.
    entries: Vec<Entry>,
    /// Proofs under UWG § 7a.
    proofs: Vec<Proof>,
}

/// One entry of the ledger.
#[derive(Serialize, ToSchema)]
#[schema(as = ConsentEntry)]
struct Entry {
    /// `granted`, `denied`, `withdrawn`, `asked`, `soft_opt_in`, `restricted`, `objected`, …
    what: String,
    /// The purpose; empty for what is about the person as a whole.
    purpose: String,
    /// The channel; empty: the purpose as a whole.
    channel: String,
    /// When it was said.
    #[schema(format = DateTime)]
    at: String,
    /// When it became known.
    #[schema(format = DateTime)]
    known_at: String,
    /// Where it was said.
    source: String,
    /// The record.
    record: String,
    /// The identifier that said it, as a pseudonym.
    subject: String,
    /// The legal basis it was recorded under.
    basis: Option<&'static str>,
    /// The version of the wording.
    notice_version: String,
    /// Hexadecimal SHA-256 of it.
    notice_hash: String,
    /// The wording, where the register has one with this hash.
    notice_text: Option<String>,
    /// The language it was shown in.
    locale: String,
    /// From when on it counts.
    valid_from: Option<String>,
    /// From when on no longer.
    valid_until: Option<String>,
    /// When it was confirmed.
    confirmed_at: Option<String>,
    /// Who ordered it, why, and for which request.
    ordered: Option<[String; 3]>,
    /// Facts of UWG § 7(3) that are missing.
    missing_facts: Option<Vec<&'static str>>,
    /// What proves it; absent after an erasure.
    evidence: Option<String>,
    /// The TC string; absent after an erasure.
    tc_string: Option<String>,
    /// Purposes of the framework that the TC string consents to.
    tcf_purposes: Option<Vec<u8>>,
    /// The index of its entry in the audit log.
    log_index: Option<u64>,
    /// The proof that the entry is in the log, as C2SP's tlog-proof.
    log_proof: Option<String>,
}

/// A proof under UWG § 7a.
#[derive(Serialize, ToSchema)]
#[schema(as = ConsentProof)]
struct Proof {
    /// The consent's record.
    consent: String,
    /// The decision or call that used it; none: it was given.
    used_by: Option<String>,
    /// Until when it is kept.
    #[schema(format = DateTime)]
    keep_until: String,
    /// Whether what is proven can still be opened.
    readable: bool,
    /// When the consent was given.
    #[schema(format = DateTime)]
    given_at: Option<String>,
    /// When it was used.
    #[schema(format = DateTime)]
    used_at: Option<String>,
}

impl From<HistoryEntry> for Entry {
    fn from(entry: HistoryEntry) -> Self {
        let text = |at: Option<event::Instant>| at.map(|at| at.to_string());
        let (log_index, log_proof) = entry.in_log.map(|place| (place.index, place.proof)).unzip();
        Self {
            what: entry.what,
            purpose: entry.purpose,
            channel: entry.channel,
            at: entry.at.to_string(),
            known_at: entry.known_at.to_string(),
            source: entry.source,
            record: entry.record.map(|record| record.to_string()).unwrap_or_default(),
            subject: entry.subject.map(|subject| subject.to_string()).unwrap_or_default(),
            basis: entry.basis.map(policy::LegalBasis::as_str),
            notice_version: entry.notice_version,
            notice_hash: entry.notice_hash,
            notice_text: entry.notice_text,
            locale: entry.locale,
            valid_from: text(entry.valid_from),
            valid_until: text(entry.valid_until),
            confirmed_at: text(entry.confirmed_at),
            ordered: entry.ordered.map(|ordered| [ordered.by, ordered.reason, ordered.reference]),
            missing_facts: entry.missing_facts,
            evidence: entry.evidence,
            tc_string: entry.tc_string,
            tcf_purposes: entry.tcf.map(|tcf| tcf.purposes),
            log_index,
            log_proof,
        }
    }
}

impl From<ProofShown> for Proof {
    fn from(proof: ProofShown) -> Self {
        let proven = proof.proven.as_ref();
        Self {
            consent: proof.consent.to_string(),
            used_by: proof.used_by.clone(),
            keep_until: proof.keep_until.to_string(),
            readable: proven.is_some(),
            given_at: proven.map(|proven| proven.given_at.to_string()),
            used_at: proven.and_then(|proven| proven.used_at).map(|at| at.to_string()),
        }
    }
}

impl From<ConsentHistory> for History {
    fn from(history: ConsentHistory) -> Self {
        let since = |mark: Option<policy::Mark>| mark.map(|mark| mark.at.to_string());
        Self {
            profile: history.profile.to_string(),
            members: history.members.iter().map(ToString::to_string).collect(),
            at: history.at.to_string(),
            allowed: history.allowed,
            restricted_since: since(history.restricted),
            objects_since: since(history.objected),
            entries: history.entries.into_iter().map(Entry::from).collect(),
            proofs: history.proofs.into_iter().map(Proof::from).collect(),
        }
    }
}

/// `GET /v1/consents/history`
pub(crate) async fn history(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Asked(whose): Asked<Whose>,
) -> Result<Json<History>, Problem> {
    let at = door::instant("at", whose.at.as_deref())?;
    let read = move |house: &Arc<house::House>| {
        let who = Identifier { kind: whose.kind, value: whose.value };
        house.consent_history(&caller.principal, &who, at)
    };
    Ok(Json(door.ask(&id, read).await?.into()))
}

/// The register of notices.
#[derive(Serialize, ToSchema)]
pub(crate) struct Notices {
    /// Every version, by name and time.
    notices: Vec<NoticeLine>,
}

/// A version of a notice.
#[derive(Serialize, ToSchema)]
struct NoticeLine {
    /// Its name.
    notice: String,
    /// The version.
    version: String,
    /// Since when it is shown.
    #[schema(format = DateTime)]
    from: String,
    /// Whether it changes what people agree to.
    material: bool,
    /// Whether it is the newest in force of its name.
    in_force: bool,
    /// The purposes it asks about.
    purposes: Vec<String>,
    /// Hexadecimal SHA-256 of the wording by language.
    hash: BTreeMap<String, String>,
    /// The wording by language.
    texts: BTreeMap<String, String>,
}

/// `GET /v1/notices`
pub(crate) async fn notices(State(door): State<Arc<Door>>, id: RequestId) -> Result<Json<Notices>, Problem> {
    let found = door.ask(&id, |house: &Arc<house::House>| Ok(house.notices())).await?;
    let line = |notice: house::NoticeView| NoticeLine {
        notice: notice.notice,
        version: notice.version,
        from: notice.from.to_string(),
        material: notice.material,
        in_force: notice.in_force,
        purposes: notice.purposes,
        hash: notice.hash,
        texts: notice.texts,
    };
    Ok(Json(Notices { notices: found.into_iter().map(line).collect() }))
}
