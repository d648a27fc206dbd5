//! Consents on the wire: said, asked for, confirmed, read from consent tools, restricted, objected to.

use std::sync::Arc;

use axum::extract::State;
use event::Span;
use house::{FourFacts, Word};
use policy::{LegalBasis, Order, Scope, Status};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::door::{self, Asked, Door, Json, Sent};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::people::Called;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::routes::{Spec, Table};

/// How long a token answers, where the request does not say.
const TOKEN_DAYS: u32 = 7;
const WHO: (&str, &str) = ("The identifier's type, like `user_id`.", "Its value.");

/// The routes of consents.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    let post = |path, what| Spec::post(path, "consents", what).scope(Scope::Consent);
    let get = |path, what| Spec::get(path, "consents", what).scope(Scope::Consent);
    table
        .add(
            post("/v1/consents", "Records what a person said about a purpose.")
                .takes::<ConsentSaid>()
                .gives::<ConsentRecorded>(),
            record_consent,
        )
        .add(
            get("/v1/consents", "What a person's profile said, by purpose and channel.")
                .query("kind", true, WHO.0)
                .query("value", true, WHO.1)
                .gives::<Consents>(),
            read_consents,
        )
        .add(
            post(
                "/v1/consents/signals",
                "Records what a consent tool says: a TC string, Consent Mode, or both.",
            )
            .takes::<SignalsSaid>()
            .gives::<SignalsRecorded>(),
            signals,
        )
        .add(
            post(
                "/v1/consents/requests",
                "Double opt-in: records the question and gives the token to send, once.",
            )
            .takes::<ConsentSaid>()
            .gives::<Requested>(),
            request,
        )
        .add(
            post("/v1/consents/confirm", "Double opt-in: the token came back.")
                .takes::<Confirmed>()
                .gives::<ConsentRecorded>(),
            confirm,
        )
        .add(
            post("/v1/consents/soft-opt-in", "Records the four facts of UWG § 7(3).")
                .takes::<FactsSaid>()
                .gives::<ConsentRecorded>(),
            soft_opt_in,
        )
        .add(
            post("/v1/consents/restriction", "Restricts processing (Art. 18), or ends that.")
                .takes::<Ordered>()
                .gives::<Recorded>(),
            restriction,
        )
        .add(
            post(
                "/v1/consents/objection",
                "Records an objection to direct marketing (Art. 21), or takes it back.",
            )
            .takes::<Ordered>()
            .gives::<Recorded>(),
            objection,
        )
        .add(
            get(
                "/v1/consents/history",
                "The proof of a consent (Art. 7(1)): every entry with what proves it.",
            )
            .query("kind", true, WHO.0)
            .query("value", true, WHO.1)
            .query("at", false, "As of this instant; now where it is left out.")
            .gives::<crate::consent_history::History>(),
            crate::consent_history::history,
        )
        .add(
            get("/v1/notices", "The register of notices: every version of every wording.")
                .gives::<crate::consent_history::Notices>(),
            crate::consent_history::notices,
        )
}

/// What a person said about a purpose.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsentSaid {
    /// Who.
    identifier: Called,
    /// The purpose, as the project names it.
    purpose: String,
    /// What was said; a question is always about a yes.
    #[serde(default = "yes")]
    status: Said,
    /// The version of the wording that was shown.
    notice_version: String,
    /// Hexadecimal SHA-256 of it; from the register of notices where it is left out.
    #[serde(default)]
    notice_hash: String,
    /// The language it was shown in.
    #[serde(default)]
    #[schema(example = "de")]
    locale: String,
    /// The channel it is about; the purpose as a whole where it is left out.
    #[serde(default)]
    #[schema(example = "email")]
    channel: String,
    /// Where it was said: a form, a tool, a phone call. The key's name where it is left out.
    source: Option<String>,
    /// The legal basis it is recorded under: `consent`, `contract`, …
    basis: Option<String>,
    /// What proves it; kept sealed.
    evidence: Option<String>,
    /// The TC string it was read from; kept sealed.
    tc_string: Option<String>,
    /// When it was said; now where it is left out.
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
    /// From when on a yes counts.
    #[schema(format = DateTime)]
    valid_from: Option<String>,
    /// From when on it counts no longer.
    #[schema(format = DateTime)]
    valid_until: Option<String>,
    /// When the person confirmed it elsewhere (double opt-in).
    #[schema(format = DateTime)]
    confirmed_at: Option<String>,
    /// Days until a token answers nothing; 7 where it is left out. For questions only.
    expires_days: Option<u32>,
}

fn yes() -> Said {
    Said::Granted
}

/// Yes, no, or no longer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// Yes.
    Granted,
    /// No, or an objection.
    Denied,
    /// No longer.
    Withdrawn,
}

impl From<Said> for Status {
    fn from(said: Said) -> Self {
        match said {
            Said::Granted => Self::Granted,
            Said::Denied => Self::Denied,
            Said::Withdrawn => Self::Withdrawn,
        }
    }
}

impl From<Status> for Said {
    fn from(status: Status) -> Self {
        match status {
            Status::Granted => Self::Granted,
            Status::Denied => Self::Denied,
            Status::Withdrawn => Self::Withdrawn,
        }
    }
}

impl ConsentSaid {
    fn word(&self, key: &str) -> Result<Word, Problem> {
        let basis = self.basis.as_ref().map(|basis| {
            serde_json::from_value::<LegalBasis>(Value::from(basis.as_str())).map_err(|_| {
                let odd: String = basis.chars().take(64).collect();
                Problem::from(Refusal::WrongShape { reason: format!("basis: `{odd}` is no legal basis") })
            })
        });
        Ok(Word {
            notice_version: self.notice_version.clone(),
            notice_hash: self.notice_hash.clone(),
            locale: self.locale.clone(),
            channel: self.channel.clone(),
            source: self.source.clone().unwrap_or_else(|| key.to_owned()),
            basis: basis.transpose()?,
            evidence: self.evidence.clone(),
            tc_string: self.tc_string.clone(),
            at: door::instant("occurred_at", self.occurred_at.as_deref())?,
            valid_from: door::instant("valid_from", self.valid_from.as_deref())?,
            valid_until: door::instant("valid_until", self.valid_until.as_deref())?,
            confirmed_at: door::instant("confirmed_at", self.confirmed_at.as_deref())?,
            ..Word::new(self.purpose.clone(), self.status.into())
        })
    }
}

/// Where a consent was recorded.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConsentRecorded {
    /// The record that proves it.
    record: String,
}

/// What a profile said, by purpose and channel.
#[derive(Serialize, ToSchema)]
pub(crate) struct Consents {
    /// One line per purpose and channel that was spoken about.
    consents: Vec<ConsentLine>,
    /// Since when processing is restricted (Art. 18).
    #[schema(format = DateTime)]
    restricted_since: Option<String>,
    /// Since when the person objects to direct marketing (Art. 21).
    #[schema(format = DateTime)]
    objects_since: Option<String>,
}

/// The standing word on one purpose and channel.
#[derive(Serialize, ToSchema)]
struct ConsentLine {
    /// The purpose.
    purpose: String,
    /// The channel; empty: the purpose as a whole.
    channel: String,
    /// The word that counts: any identifier's no, else the latest yes.
    status: Said,
    /// The version of the wording that was shown.
    notice_version: String,
    /// Hexadecimal SHA-256 of it.
    notice_hash: String,
    /// The language it was shown in.
    locale: String,
    /// Where it was said.
    source: String,
    /// When it was said.
    #[schema(format = DateTime)]
    at: String,
    /// When it was confirmed.
    #[schema(format = DateTime)]
    confirmed_at: Option<String>,
    /// From when on it counts no longer.
    #[schema(format = DateTime)]
    valid_until: Option<String>,
    /// The record that proves it.
    record: String,
}

/// `POST /v1/consents`
async fn record_consent(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(said): Sent<ConsentSaid>,
) -> Result<Json<ConsentRecorded>, Problem> {
    let word = said.word(caller.principal.name())?;
    let record = move |house: &Arc<house::House>| {
        house.record_consent(&said.identifier.into(), word, caller.principal.name())
    };
    Ok(Json(ConsentRecorded { record: door.ask(&id, record).await?.to_string() }))
}

/// `GET /v1/consents`
async fn read_consents(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Asked(who): Asked<Called>,
) -> Result<Json<Consents>, Problem> {
    let read = move |house: &Arc<house::House>| {
        let who = who.into();
        Ok((house.consents(&who)?, house.marks(&who)?))
    };
    let (found, (restricted, objected)) = door.ask(&id, read).await?;
    let line = |consent: policy::Consent| ConsentLine {
        purpose: consent.purpose,
        channel: consent.channel,
        status: consent.status.into(),
        notice_version: consent.notice_version,
        notice_hash: consent.notice_hash,
        locale: consent.locale,
        source: consent.source,
        at: consent.at.to_string(),
        confirmed_at: consent.confirmed_at.map(|at| at.to_string()),
        valid_until: consent.valid_until.map(|at| at.to_string()),
        record: consent.record.to_string(),
    };
    let since = |mark: Option<policy::Mark>| mark.map(|mark| mark.at.to_string());
    Ok(Json(Consents {
        consents: found.into_iter().map(line).collect(),
        restricted_since: since(restricted),
        objects_since: since(objected),
    }))
}

/// What a consent tool says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignalsSaid {
    /// Who.
    identifier: Called,
    /// A TC string of TCF 2.
    tc_string: Option<String>,
    /// Google Consent Mode: signals as an object, or the list of `gtag` commands.
    #[schema(value_type = Option<Object>)]
    google: Option<Value>,
    /// The version of the wording that was shown.
    #[serde(default)]
    notice_version: String,
    /// When it was said; now where it is left out.
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
}

/// What was made of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignalsRecorded {
    /// One word per purpose that is mapped.
    recorded: Vec<SignalRecorded>,
    /// What was said in an order that tags do not understand.
    noticed: Vec<String>,
}

/// A word that a signal said.
#[derive(Serialize, ToSchema)]
struct SignalRecorded {
    /// The purpose.
    purpose: String,
    /// Yes or no.
    status: Said,
    /// The record that proves it.
    record: String,
}

/// `POST /v1/consents/signals`
async fn signals(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(said): Sent<SignalsSaid>,
) -> Result<Json<SignalsRecorded>, Problem> {
    if said.tc_string.is_none() && said.google.is_none() {
        let reason = "one of `tc_string` and `google` is needed".to_owned();
        return Err(Refusal::WrongShape { reason }.into());
    }
    let at = door::instant("occurred_at", said.occurred_at.as_deref())?;
    let record = move |house: &Arc<house::House>| {
        let (tcf, google) = (said.tc_string.as_deref(), said.google.as_ref());
        let by = caller.principal.name();
        house.record_signals(&said.identifier.into(), tcf, google, &said.notice_version, at, by)
    };
    let (recorded, noticed) = door.ask(&id, record).await?;
    let one = |(purpose, status, record): (String, Status, event::RecordId)| SignalRecorded {
        purpose,
        status: status.into(),
        record: record.to_string(),
    };
    Ok(Json(SignalsRecorded { recorded: recorded.into_iter().map(one).collect(), noticed }))
}

/// A question, and what answers it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Requested {
    /// The record that asks.
    record: String,
    /// The token to send to the address that is asked about; it is kept nowhere.
    token: String,
    /// From when on it answers nothing.
    #[schema(format = DateTime)]
    expires: String,
}

/// `POST /v1/consents/requests`
async fn request(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(said): Sent<ConsentSaid>,
) -> Result<Json<Requested>, Problem> {
    let word = said.word(caller.principal.name())?;
    let days = said.expires_days.unwrap_or(TOKEN_DAYS);
    if !(1..=90).contains(&days) {
        let reason = format!("expires_days: {days} is not between 1 and 90");
        return Err(Refusal::WrongShape { reason }.into());
    }
    let valid_for = Span::from_days(i64::from(days));
    let ask = move |house: &Arc<house::House>| {
        house.request_consent(&said.identifier.into(), word, valid_for, caller.principal.name())
    };
    let asked = door.ask(&id, ask).await?;
    let (record, expires) = (asked.record.to_string(), asked.expires.to_string());
    Ok(Json(Requested { record, token: (*asked.token).clone(), expires }))
}

/// A token that came back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmed {
    /// The token.
    token: String,
    /// What proves it; kept sealed.
    evidence: Option<String>,
}

/// `POST /v1/consents/confirm`
async fn confirm(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(said): Sent<Confirmed>,
) -> Result<Json<ConsentRecorded>, Problem> {
    let confirm = move |house: &Arc<house::House>| {
        house.confirm_consent(&said.token, said.evidence.as_deref(), caller.principal.name())
    };
    Ok(Json(ConsentRecorded { record: door.ask(&id, confirm).await?.to_string() }))
}

/// The four facts of UWG § 7(3).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FactsSaid {
    /// Who.
    identifier: Called,
    /// The purpose.
    purpose: String,
    /// The channel: `email`, `sms`, …
    channel: String,
    /// No. 1: the address came from the customer with a sale.
    from_sale: bool,
    /// No. 2: it is used for one's own similar goods or services.
    similar_goods: bool,
    /// No. 3: the customer has not objected.
    not_objected: bool,
    /// No. 4: the right to object was pointed out when the address was taken, and is at each use.
    informed: bool,
    /// Where these facts are on record.
    source: Option<String>,
}

/// `POST /v1/consents/soft-opt-in`
async fn soft_opt_in(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(said): Sent<FactsSaid>,
) -> Result<Json<ConsentRecorded>, Problem> {
    let record = move |house: &Arc<house::House>| {
        let by = caller.principal.name();
        let source = said.source.as_deref().unwrap_or(by);
        let facts = FourFacts {
            from_sale: said.from_sale,
            similar_goods: said.similar_goods,
            not_objected: said.not_objected,
            informed: said.informed,
        };
        house.record_soft_opt_in(&said.identifier.into(), &said.purpose, &said.channel, facts, source, by)
    };
    Ok(Json(ConsentRecorded { record: door.ask(&id, record).await?.to_string() }))
}

/// What is ordered about a person as a whole.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ordered {
    /// Who.
    identifier: Called,
    /// End it instead.
    #[serde(default)]
    lift: bool,
    /// Why; no personal data, it lies open.
    reason: String,
    /// The request or file it belongs to.
    #[serde(default)]
    reference: String,
}

/// The records that say so.
#[derive(Serialize, ToSchema)]
pub(crate) struct Recorded {
    /// One for each identifier of the profile.
    records: Vec<String>,
}

/// `POST /v1/consents/restriction`
async fn restriction(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(said): Sent<Ordered>,
) -> Result<Json<Recorded>, Problem> {
    order(door, caller, id, said, house::House::restrict, house::House::lift_restriction).await
}

/// `POST /v1/consents/objection`
async fn objection(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(said): Sent<Ordered>,
) -> Result<Json<Recorded>, Problem> {
    order(door, caller, id, said, house::House::object, house::House::lift_objection).await
}

type Act = fn(&house::House, &house::Identifier, &Order<'_>) -> Result<Vec<event::RecordId>, house::Error>;

async fn order(
    door: Arc<Door>,
    caller: Caller,
    id: RequestId,
    said: Ordered,
    act: Act,
    lift: Act,
) -> Result<Json<Recorded>, Problem> {
    let ordered = move |house: &Arc<house::House>| {
        let order = Order { by: caller.principal.name(), reason: &said.reason, reference: &said.reference };
        let act = if said.lift { lift } else { act };
        act(house, &said.identifier.into(), &order)
    };
    let records = door.ask(&id, ordered).await?;
    Ok(Json(Recorded { records: records.iter().map(ToString::to_string).collect() }))
}
