//! Profiles and features of one person, on the wire.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use house::Identifier;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::door::{Asked, Door, Json, Named, Sent};
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
