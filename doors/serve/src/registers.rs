//! Registers, oversight and incidents on the wire.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use event::{Instant, RecordId};
use house::{House, IncidentAsked};
use policy::Scope;
use register::{Document as Page, Harm, IncidentKind, Language, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::Document;
use crate::door::{self, Asked, Door, Json, Named, Sent};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;
use crate::refusal::{Refusal, short};
use crate::routes::{Spec, Table};

const TAG: &str = "registers";

/// The routes of registers.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    let page = |path, said| {
        Spec::get(path, TAG, said)
            .scope(Scope::Protect)
            .query("format", false, "`json` unless said, `md`, `html` or `pdf`.")
            .query("lang", false, "`en` unless said, or `de`.")
    };
    table
        .add(
            page("/v1/registers/{register}", "A register: `ropa`, `risk`, `incidents`, `mlbom`.")
                .query("at", false, "risk: as of another day.")
                .gives::<Document>(),
            whole,
        )
        .add(
            page(
                "/v1/registers/{register}/{name}",
                "A paper: `dpia` or `annex-iv` of a use case, `mlbom` of a model, `incidents`: the draft of a notification.",
            )
            .gives::<Document>(),
            one,
        )
        .add(
            Spec::get("/v1/oversight", TAG, "Every use case: class, impact assessment, whether it may decide.")
                .scope(Scope::Protect)
                .gives::<Document>(),
            standings,
        )
        .add(
            Spec::post(
                "/v1/oversight/{use_case}/{act}",
                TAG,
                "`stop`, `resume`, or `sign` (its impact assessment), as the key's name.",
            )
            .scope(Scope::Protect)
            .takes::<Reason>()
            .gives::<Overseen>(),
            oversee,
        )
        .add(
            Spec::post(
                "/v1/decisions/{decision}/review/{verdict}",
                TAG,
                "`approve` or `overrule` a decision, as the key's name.",
            )
            .scope(Scope::Protect)
            .takes::<Reason>()
            .gives::<Overseen>(),
            review,
        )
        .add(
            Spec::post("/v1/incidents", TAG, "Opens an incident: counts whom it concerns, starts its clocks.")
                .scope(Scope::Protect)
                .takes::<IncidentTold>()
                .gives::<Document>(),
            open,
        )
        .add(
            Spec::post("/v1/incidents/{incident}/told", TAG, "Somebody was told: stops a clock.")
                .scope(Scope::Protect)
                .takes::<ClockTold>()
                .gives::<Document>(),
            told,
        )
        .add(
            Spec::post("/v1/incidents/{incident}/close", TAG, "Closes an incident whose clocks are stopped.")
                .scope(Scope::Protect)
                .takes::<Reason>()
                .gives::<Document>(),
            close,
        )
}

/// How a register is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct How {
    format: Option<String>,
    lang: Option<String>,
    at: Option<String>,
}

/// Why a person does something.
#[derive(Deserialize, ToSchema)]
#[schema(as = WhyActed)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    /// Why; it is kept.
    reason: String,
}

/// What became of what a person said.
#[derive(Serialize, ToSchema)]
pub(crate) struct Overseen {
    /// The use case.
    use_case: String,
    /// True where enough people have said so for it to have effect.
    in_effect: bool,
    /// How many must say so.
    needed: u8,
    /// How many have.
    said: u8,
}

/// An incident.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IncidentTold {
    /// `breach` or `ai_incident`.
    kind: String,
    /// `none`, `risk`, `high_risk`, `widespread`, `death`.
    harm: String,
    /// What happened; no names of those it concerns.
    what: String,
    /// What was and will be done.
    #[serde(default)]
    measures: String,
    /// The streams it concerns.
    #[serde(default)]
    streams: Vec<String>,
    /// The use case it concerns.
    use_case: Option<String>,
    /// Only records known from here on.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Only records known before.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Since when it is known, if not now.
    #[schema(format = DateTime)]
    aware_at: Option<String>,
    /// When it began.
    #[schema(format = DateTime)]
    began_at: Option<String>,
}

/// Somebody was told of an incident.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockTold {
    /// The clock this stops: `gdpr_33`, …
    clock: String,
    /// Under which reference.
    reference: String,
}

/// What must be shown to people with a decision (AI Act article 50).
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeToShow)]
pub(crate) struct Notice {
    /// Where the duty stands.
    article: &'static str,
    /// In English.
    en: &'static str,
    /// In German.
    de: &'static str,
}

/// The notices of a use case; empty where none is due.
pub(crate) fn notices(house: &House, use_case: &str) -> Result<Vec<Notice>, house::Error> {
    let (en, de) = (house.ai_notices(use_case, Language::En)?, house.ai_notices(use_case, Language::De)?);
    let pair = |(en, de): (register::Notice, register::Notice)| Notice {
        article: en.article,
        en: en.text,
        de: de.text,
    };
    Ok(en.into_iter().zip(de).map(pair).collect())
}

enum Written {
    Data(Value),
    Page(Box<Page>),
}

/// `GET /v1/registers/{register}`
pub(crate) async fn whole(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Named(register): Named<String>,
    Asked(how): Asked<How>,
) -> Result<Response, Problem> {
    let language = how.language()?;
    let at = door::instant("at", how.at.as_deref())?;
    let is_json = how.is_json();
    let name = register.clone();
    let written = door.ask(&id, move |house| whole_of(house, &register, at, language, is_json)).await?;
    answer(written.ok_or_else(|| no_register(&name))?, &how, &name)
}

fn whole_of(
    house: &House,
    register: &str,
    at: Option<Instant>,
    language: Language,
    is_json: bool,
) -> Result<Option<Written>, house::Error> {
    let page = |page: Page| Some(Written::Page(Box::new(page)));
    let data = |value: Result<Value, serde_json::Error>| Some(Written::Data(value.unwrap_or_default()));
    Ok(match (register, is_json) {
        ("ropa", true) => data(serde_json::to_value(house.record_of_processing()?)),
        ("ropa", false) => page(house.ropa(language)?),
        ("risk", true) => data(serde_json::to_value(house.assessments(at)?)),
        ("risk", false) => page(house.risk_register(at, language)?),
        ("incidents", true) => data(serde_json::to_value(house.incidents(language)?)),
        ("incidents", false) => page(house.incident_register(language)?),
        ("mlbom", _) => Some(Written::Data(house.ml_bom(None)?)),
        _ => None,
    })
}

/// `GET /v1/registers/{register}/{name}`
pub(crate) async fn one(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Named((register, name)): Named<(String, String)>,
    Asked(how): Asked<How>,
) -> Result<Response, Problem> {
    let language = how.language()?;
    let asked = register.clone();
    let written = door.ask(&id, move |house| {
        let page = |page: Page| Some(Written::Page(Box::new(page)));
        Ok(match register.as_str() {
            "dpia" => page(house.impact_assessment(&name, language)?),
            "annex-iv" => page(house.annex_iv(&name, language)?),
            "incidents" => page(house.incident_notification(&name, language)?),
            "mlbom" => Some(Written::Data(house.ml_bom(Some(&name))?)),
            _ => None,
        })
    });
    answer(written.await?.ok_or_else(|| no_register(&asked))?, &how, &asked)
}

fn answer(written: Written, how: &How, name: &str) -> Result<Response, Problem> {
    let page = match written {
        Written::Data(value) => return Ok(Json(value).into_response()),
        Written::Page(page) => page,
    };
    let named = |ending: &str| format!("inline; filename=\"{name}.{ending}\"");
    let with = |kind: &'static str, ending: &str, body: Vec<u8>| {
        ([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, named(ending))], body).into_response()
    };
    Ok(match how.format.as_deref().unwrap_or("json") {
        "json" => Json(page.to_json()).into_response(),
        "md" => with("text/markdown; charset=utf-8", "md", page.to_markdown().into_bytes()),
        "html" => with("text/html; charset=utf-8", "html", page.to_html().into_bytes()),
        "pdf" => {
            let bytes = page.to_pdf().map_err(|error| Problem::from(&house::Error::from(error)))?;
            with("application/pdf", "pdf", bytes)
        }
        other => {
            let reason = format!("format=`{}` is none of json, md, html and pdf", short(other, 40));
            return Err(Refusal::Query { reason }.into());
        }
    })
}

impl How {
    fn language(&self) -> Result<Language, Problem> {
        let text = self.lang.as_deref().unwrap_or("en");
        text.parse().map_err(|reason| Refusal::Query { reason: format!("lang: {reason}") }.into())
    }

    fn is_json(&self) -> bool {
        self.format.as_deref().is_none_or(|format| format == "json")
    }
}

fn no_register(name: &str) -> Problem {
    let given = short(name, 40);
    let reason =
        "no register is called so: ropa, risk, incidents, mlbom; dpia/NAME, annex-iv/NAME".to_owned();
    Refusal::Path { given, reason }.into()
}

/// `GET /v1/oversight`
pub(crate) async fn standings(State(door): State<Arc<Door>>, id: RequestId) -> Result<Json<Value>, Problem> {
    let all = door.ask(&id, |house| house.use_case_standings()).await?;
    Ok(Json(serde_json::to_value(all).unwrap_or_default()))
}

/// `POST /v1/oversight/{use_case}/{act}`
pub(crate) async fn oversee(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named((use_case, act)): Named<(String, String)>,
    Sent(Reason { reason }): Sent<Reason>,
) -> Result<Json<Overseen>, Problem> {
    let known = ["stop", "resume", "sign"];
    if !known.contains(&act.as_str()) {
        let reason = format!("none of {}", known.join(", "));
        return Err(Refusal::Path { given: short(&act, 40), reason }.into());
    }
    let done = door.ask(&id, move |house| {
        let by = caller.principal.name();
        match act.as_str() {
            "stop" => house.stop_use_case(&use_case, by, &reason),
            "resume" => house.resume_use_case(&use_case, by, &reason),
            _ => house.sign_dpia(&use_case, by, &reason),
        }
    });
    Ok(Json(done.await?.into()))
}

/// `POST /v1/decisions/{decision}/review/{verdict}`
pub(crate) async fn review(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named((decision, verdict)): Named<(String, String)>,
    Sent(Reason { reason }): Sent<Reason>,
) -> Result<Json<Overseen>, Problem> {
    let decision: RecordId = door::id(&decision)?;
    let verdict = match verdict.as_str() {
        "approve" => Verdict::Approve,
        "overrule" => Verdict::Overrule,
        other => {
            let reason = "none of approve, overrule".to_owned();
            return Err(Refusal::Path { given: short(other, 40), reason }.into());
        }
    };
    let done = door
        .ask(&id, move |house| house.review_decision(decision, verdict, caller.principal.name(), &reason));
    Ok(Json(done.await?.into()))
}

impl From<house::Overseen> for Overseen {
    fn from(done: house::Overseen) -> Self {
        Self { use_case: done.use_case, in_effect: done.in_effect, needed: done.needed, said: done.said }
    }
}

/// `POST /v1/incidents`
pub(crate) async fn open(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(told): Sent<IncidentTold>,
) -> Result<Json<Value>, Problem> {
    let asked = told.read()?;
    let incident = door.ask(&id, move |house| house.open_incident(caller.principal.name(), asked)).await?;
    Ok(Json(serde_json::to_value(incident).unwrap_or_default()))
}

/// `POST /v1/incidents/{incident}/told`
pub(crate) async fn told(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(incident): Named<String>,
    Sent(ClockTold { clock, reference }): Sent<ClockTold>,
) -> Result<Json<Value>, Problem> {
    let done = door
        .ask(&id, move |house| house.tell_incident(&incident, &clock, caller.principal.name(), &reference));
    Ok(Json(serde_json::to_value(done.await?).unwrap_or_default()))
}

/// `POST /v1/incidents/{incident}/close`
pub(crate) async fn close(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(incident): Named<String>,
    Sent(Reason { reason }): Sent<Reason>,
) -> Result<Json<Value>, Problem> {
    let done = door.ask(&id, move |house| house.close_incident(&incident, caller.principal.name(), &reason));
    Ok(Json(serde_json::to_value(done.await?).unwrap_or_default()))
}

impl IncidentTold {
    fn read(self) -> Result<IncidentAsked, Problem> {
        let wrong = |reason: String| Problem::from(Refusal::WrongShape { reason });
        let kind = match self.kind.as_str() {
            "breach" => IncidentKind::Breach,
            "ai_incident" => IncidentKind::AiIncident,
            other => {
                return Err(wrong(format!("kind: `{}` is none of breach, ai_incident", short(other, 40))));
            }
        };
        let harm = match self.harm.as_str() {
            "none" => Harm::None,
            "risk" => Harm::Risk,
            "high_risk" => Harm::HighRisk,
            "widespread" => Harm::Widespread,
            "death" => Harm::Death,
            other => {
                let known = "none, risk, high_risk, widespread, death";
                return Err(wrong(format!("harm: `{}` is none of {known}", short(other, 40))));
            }
        };
        Ok(IncidentAsked {
            kind,
            harm,
            what: self.what,
            measures: self.measures,
            streams: self.streams,
            use_case: self.use_case,
            from: door::instant("from", self.from.as_deref())?,
            until: door::instant("until", self.until.as_deref())?,
            aware_at: door::instant("aware_at", self.aware_at.as_deref())?,
            began_at: door::instant("began_at", self.began_at.as_deref())?,
        })
    }
}
