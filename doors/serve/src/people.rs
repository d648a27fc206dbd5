//! Consents, profiles and features of one person, on the wire.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use house::Identifier;
use policy::Status;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::door::{self, Asked, Door, Json, Named, Sent};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;

/// What a person is called by.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Identifier)]
pub(crate) struct Called {
    /// `user_id`, `email`, `anonymous_id`, …
    #[schema(example = "user_id")]
    kind: String,
    /// Its value.
    #[schema(example = "4711")]
    value: String,
}

impl From<Called> for Identifier {
    fn from(called: Called) -> Self {
        Self { kind: called.kind, value: called.value }
    }
}

/// What a person said about a purpose.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsentSaid {
    /// Who.
    identifier: Called,
    /// The purpose, as the project names it.
    purpose: String,
    /// What was said.
    status: Said,
    /// The version of the wording that was shown.
    notice_version: String,
    /// Where it was said: a form, a tool, a phone call. The key's name where it is left out.
    source: Option<String>,
    /// When it was said; now where it is left out.
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
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

/// Where a consent was recorded.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConsentRecorded {
    /// The record that proves it.
    record: String,
}

/// What a profile said, by purpose.
#[derive(Serialize, ToSchema)]
pub(crate) struct Consents {
    /// One line per purpose that was spoken about.
    consents: Vec<ConsentLine>,
}

/// The standing word on one purpose.
#[derive(Serialize, ToSchema)]
struct ConsentLine {
    /// The purpose.
    purpose: String,
    /// The word that counts: any identifier's no, else the latest yes.
    status: Said,
    /// The version of the wording that was shown.
    notice_version: String,
    /// Where it was said.
    source: String,
    /// When it was said.
    #[schema(format = DateTime)]
    at: String,
    /// The record that proves it.
    record: String,
}

/// `POST /v1/consents`
pub(crate) async fn record_consent(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(said): Sent<ConsentSaid>,
) -> Result<Json<ConsentRecorded>, Problem> {
    let occurred_at = door::instant("occurred_at", said.occurred_at.as_deref())?;
    let recorded = door.ask(&id, move |house| {
        let source = said.source.unwrap_or_else(|| caller.principal.name().to_owned());
        let (who, status) = (said.identifier.into(), said.status.into());
        house.consent(&who, &said.purpose, status, &said.notice_version, &source, occurred_at)
    });
    Ok(Json(ConsentRecorded { record: recorded.await?.to_string() }))
}

/// `GET /v1/consents`
pub(crate) async fn read_consents(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Asked(who): Asked<Called>,
) -> Result<Json<Consents>, Problem> {
    let found = door.ask(&id, move |house| house.consents(&who.into())).await?;
    let line = |consent: policy::Consent| ConsentLine {
        purpose: consent.purpose,
        status: consent.status.into(),
        notice_version: consent.notice_version,
        source: consent.source,
        at: consent.at.to_string(),
        record: consent.record.to_string(),
    };
    Ok(Json(Consents { consents: found.into_iter().map(line).collect() }))
}

/// For which purpose somebody reads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct For {
    purpose: String,
}

/// What is known of a person.
#[derive(Serialize, ToSchema)]
pub(crate) struct Profile {
    /// Names the profile; a pseudonym.
    profile: String,
    /// For what it was read.
    purpose: String,
    /// The identifiers held to be one person.
    members: Vec<Member>,
    /// The last known value of each trait.
    traits: BTreeMap<String, Trait>,
}

/// One identifier of a profile.
#[derive(Serialize, ToSchema)]
struct Member {
    /// Its pseudonym.
    subject: String,
    /// Its type, where it is known.
    kind: Option<String>,
}

/// A value and where it comes from.
#[derive(Serialize, ToSchema)]
struct Trait {
    /// The value.
    value: Value,
    /// When it was said.
    #[schema(format = DateTime)]
    at: String,
    /// The stream it came by.
    stream: String,
    /// The record that says so.
    record: String,
}

/// `GET /v1/profiles/{kind}/{value}`
pub(crate) async fn profile(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named((kind, value)): Named<(String, String)>,
    Asked(For { purpose }): Asked<For>,
) -> Result<Json<Profile>, Problem> {
    let asked = purpose.clone();
    let read = move |house: &Arc<house::House>| {
        house.profile(&caller.principal, &Identifier { kind, value }, &asked)
    };
    let found = door.ask(&id, read).await?;
    let members = found.members.into_iter().map(|m| Member { subject: m.subject.to_string(), kind: m.kind });
    let traits = found.traits.into_iter().map(|(name, t)| {
        let (at, stream, record) = (t.at.to_string(), t.stream.to_string(), t.record.to_string());
        (name, Trait { value: t.value, at, stream, record })
    });
    let profile = found.id.to_string();
    Ok(Json(Profile { profile, purpose, members: members.collect(), traits: traits.collect() }))
}

/// Which features of whom, and for what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeaturesAsked {
    /// Whose.
    identifier: Called,
    /// For what they are read.
    purpose: String,
    /// Feature views by name, or by name and version as `orders@2`.
    views: Vec<String>,
    /// What the request says of its moment, by name, for features that are computed when they are asked for.
    #[serde(default)]
    #[schema(value_type = Object)]
    context: serde_json::Map<String, Value>,
}

/// Values of feature views.
#[derive(Serialize, ToSchema)]
pub(crate) struct Features {
    /// The instant they are of: everything known by then is in them, nothing after.
    #[schema(format = DateTime)]
    at: String,
    /// For what they were read.
    purpose: String,
    /// In the order asked for.
    views: Vec<ViewValues>,
}

/// One view's values; null where nothing is known.
#[derive(Serialize, ToSchema)]
struct ViewValues {
    /// Name and version.
    #[schema(example = "orders@1.0.0")]
    view: String,
    /// By feature.
    values: BTreeMap<String, Value>,
}

/// `POST /v1/features`
pub(crate) async fn features(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(asked): Sent<FeaturesAsked>,
) -> Result<Json<Features>, Problem> {
    let purpose = asked.purpose.clone();
    let read = move |house: &Arc<house::House>| {
        let context = feature::Context::of_json(&asked.context);
        let (who, views) = (&caller.principal, &asked.views);
        house.features_with(who, &asked.identifier.into(), &asked.purpose, views, &context)
    };
    let (at, found) = door.ask(&id, read).await?;
    let views = found.iter().map(|values| ViewValues {
        view: values.view().reference(),
        values: values.iter().map(|(feature, value)| (feature.name().to_owned(), plain(value))).collect(),
    });
    Ok(Json(Features { at: at.to_string(), purpose, views: views.collect() }))
}

/// A feature's value in JSON.
pub(crate) fn plain(value: &feature::Value) -> Value {
    match value {
        feature::Value::Missing => Value::Null,
        feature::Value::Integer(n) => (*n).into(),
        feature::Value::Number(number) => (*number).into(),
        feature::Value::Text(text) => (&**text).into(),
        feature::Value::Boolean(truth) => (*truth).into(),
    }
}
