//! Who is who on the wire: the graph explained, merged and taken apart by hand; households and accounts.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use house::Identifier;
use policy::Scope;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::door::{self, Asked, Door, Json, Named, Sent};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::people::{Called, plain};
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::routes::{Spec, Table};

/// Feature views of one request.
const MAX_VIEWS: usize = 100;

/// The routes of the identity graph.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    let table = table
        .add(
            Spec::get("/v1/profiles/{kind}/{value}/graph", "people", "Why a profile is as it is.")
                .scope(Scope::Read)
                .query("purpose", true, "For what it is read.")
                .query("at", false, "As of this instant; now unless said.")
                .gives::<Graph>(),
            graph,
        )
        .add(
            Spec::post(
                "/v1/memberships",
                "people",
                "Somebody belongs to a household, an account; or no longer.",
            )
            .scope(Scope::Track)
            .takes::<MembershipSaid>()
            .gives::<MembershipRecorded>(),
            belongs,
        )
        .add(
            Spec::get("/v1/memberships", "people", "Who belongs to a household, an account.")
                .scope(Scope::Read)
                .query("kind", true, "The entity's type, like `household`.")
                .query("value", true, "Its value.")
                .query("purpose", true, "For what it is read: who said no is counted and not named.")
                .query("at", false, "As of this instant; now unless said.")
                .gives::<Memberships>(),
            members,
        )
        .add(
            Spec::post(
                "/v1/memberships/features",
                "people",
                "Features over everybody who belongs to a household, an account; one no is a no for all.",
            )
            .scope(Scope::Read)
            .takes::<EntityFeaturesAsked>()
            .gives::<EntityFeatures>(),
            features,
        );
    table
        .add(
            by_hand("/v1/people/merge", "Two identifiers are one person, whatever links and limits say."),
            merge,
        )
        .add(by_hand("/v1/people/unmerge", "Takes a merge back: both are as if it had never been."), unmerge)
        .add(one_by_hand("/v1/people/split", "Takes an identifier out of its profile."), split)
        .add(one_by_hand("/v1/people/rejoin", "Lets an identifier back in that was taken out."), rejoin)
}

fn by_hand(path: &'static str, summary: &'static str) -> Spec {
    Spec::post(path, "people", summary).scope(Scope::Admin).takes::<PairActed>().gives::<ActDone>()
}

fn one_by_hand(path: &'static str, summary: &'static str) -> Spec {
    Spec::post(path, "people", summary).scope(Scope::Admin).takes::<OneActed>().gives::<ActDone>()
}

/// Two identifiers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PairActed {
    /// One.
    a: Called,
    /// The other.
    b: Called,
    /// A ticket's number or the like; no names of people.
    #[serde(default)]
    reference: String,
}

/// One identifier.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneActed {
    /// Which.
    identifier: Called,
    /// A ticket's number or the like; no names of people.
    #[serde(default)]
    reference: String,
}

/// What became of an act by hand.
#[derive(Serialize, ToSchema)]
pub(crate) struct ActDone {
    /// The record of the act.
    record: String,
    /// The profile of the first identifier now; a pseudonym.
    profile: String,
    /// How many identifiers it has now.
    n_members: usize,
    /// Whether the two are one profile now.
    together: bool,
}

impl From<house::Acted> for ActDone {
    fn from(acted: house::Acted) -> Self {
        Self {
            record: acted.record.to_string(),
            profile: acted.profile.to_string(),
            n_members: acted.members.len(),
            together: acted.together,
        }
    }
}

type Done = Result<Json<ActDone>, Problem>;

async fn merge(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(pair): Sent<PairActed>,
) -> Done {
    let act = move |house: &Arc<house::House>| {
        house.merge(&pair.a.into(), &pair.b.into(), caller.principal.name(), &pair.reference)
    };
    Ok(Json(door.ask(&id, act).await?.into()))
}

async fn unmerge(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(pair): Sent<PairActed>,
) -> Done {
    let act = move |house: &Arc<house::House>| {
        house.unmerge(&pair.a.into(), &pair.b.into(), caller.principal.name(), &pair.reference)
    };
    Ok(Json(door.ask(&id, act).await?.into()))
}

async fn split(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(one): Sent<OneActed>,
) -> Done {
    let act = move |house: &Arc<house::House>| {
        house.split(&one.identifier.into(), caller.principal.name(), &one.reference)
    };
    Ok(Json(door.ask(&id, act).await?.into()))
}

async fn rejoin(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(one): Sent<OneActed>,
) -> Done {
    let act = move |house: &Arc<house::House>| {
        house.rejoin(&one.identifier.into(), caller.principal.name(), &one.reference)
    };
    Ok(Json(door.ask(&id, act).await?.into()))
}

/// For what a graph is read, and as of when.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphAsked {
    purpose: String,
    at: Option<String>,
}

/// Why a profile is as it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Graph {
    /// Names the profile; a pseudonym.
    profile: String,
    /// For what it was read.
    purpose: String,
    /// What it is as of; null: now.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Each identifier, and what holds it.
    members: Vec<HeldMember>,
    /// The households and accounts it belongs to.
    belongs_to: Vec<Place>,
}

/// One identifier, and what holds it to the profile.
#[derive(Serialize, ToSchema)]
struct HeldMember {
    /// Its pseudonym.
    subject: String,
    /// Its type, where it is known.
    kind: Option<String>,
    /// The links that lead to it from the identifier asked for; none where it is that one, or on the other side of a merge
    /// by hand.
    links: Vec<GraphLink>,
    /// What was done to it by hand, standing or taken back.
    by_hand: Vec<HandAct>,
    /// In how many links it was left out because it is shared.
    n_left_out: u64,
}

/// A record that carried two identifiers.
#[derive(Serialize, ToSchema)]
struct GraphLink {
    /// The more trusted one.
    a: String,
    /// The other.
    b: String,
    /// Since when it counts.
    #[schema(format = DateTime)]
    known_at: String,
    /// When it happened.
    #[schema(format = DateTime)]
    occurred_at: String,
    /// The record.
    record: String,
}

/// An act by hand.
#[derive(Serialize, ToSchema)]
struct HandAct {
    /// `merge` or `split`.
    #[schema(example = "merge")]
    act: &'static str,
    /// The record of the act.
    record: String,
    /// Since when it counts.
    #[schema(format = DateTime)]
    since: String,
    /// Until when it counted; null: it stands.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// With whom, for a merge.
    other: Option<String>,
    /// Who did it.
    by: String,
    /// A ticket's number or the like.
    reference: String,
}

/// Somebody's place in a household, an account.
#[derive(Serialize, ToSchema)]
struct Place {
    /// The member, or what it belongs to; a pseudonym.
    subject: String,
    /// The entity's type.
    #[schema(example = "household")]
    kind: String,
    /// As what.
    role: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// The record that says so.
    record: String,
}

impl From<profile::Belonging> for Place {
    fn from(place: profile::Belonging) -> Self {
        Self {
            subject: place.subject.to_string(),
            kind: place.kind,
            role: place.role,
            since: place.since.to_string(),
            record: place.record.to_string(),
        }
    }
}

fn held(held: house::Held) -> HeldMember {
    let links = held.links.into_iter().map(|link| GraphLink {
        a: link.a.to_string(),
        b: link.b.to_string(),
        known_at: link.known_at.to_string(),
        occurred_at: link.occurred_at.to_string(),
        record: link.record.to_string(),
    });
    let by_hand = held.by_hand.into_iter().map(|done| HandAct {
        act: if done.other.is_some() { "merge" } else { "split" },
        record: done.record.to_string(),
        since: done.since.to_string(),
        until: done.until.map(|until| until.to_string()),
        other: done.other.map(|other| other.to_string()),
        by: done.by,
        reference: done.reference,
    });
    HeldMember {
        subject: held.member.subject.to_string(),
        kind: held.member.kind,
        links: links.collect(),
        by_hand: by_hand.collect(),
        n_left_out: held.shared.n_left_out,
    }
}

async fn graph(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named((kind, value)): Named<(String, String)>,
    Asked(asked): Asked<GraphAsked>,
) -> Result<Json<Graph>, Problem> {
    let at = door::instant("at", asked.at.as_deref())?;
    let purpose = asked.purpose.clone();
    let read = move |house: &Arc<house::House>| {
        house.explain_profile(&caller.principal, &Identifier { kind, value }, &asked.purpose, at)
    };
    let found = door.ask(&id, read).await?;
    Ok(Json(Graph {
        profile: found.profile.to_string(),
        purpose,
        at: found.at.map(|at| at.to_string()),
        members: found.members.into_iter().map(held).collect(),
        belongs_to: found.belongs_to.into_iter().map(Place::from).collect(),
    }))
}

/// Who belongs to what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MembershipSaid {
    /// The household, the account.
    entity: Called,
    /// Who.
    member: Called,
    /// False: no longer.
    #[serde(default = "yes")]
    belongs: bool,
    /// As what.
    role: Option<String>,
    /// Since when; now where it is left out.
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
}

fn yes() -> bool {
    true
}

/// Where a membership was recorded.
#[derive(Serialize, ToSchema)]
pub(crate) struct MembershipRecorded {
    /// The record that proves it.
    record: String,
}

async fn belongs(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Sent(said): Sent<MembershipSaid>,
) -> Result<Json<MembershipRecorded>, Problem> {
    let occurred_at = door::instant("occurred_at", said.occurred_at.as_deref())?;
    let record = move |house: &Arc<house::House>| {
        let (entity, member) = (said.entity.into(), said.member.into());
        house.belongs(&entity, &member, said.belongs, said.role.as_deref(), occurred_at)
    };
    Ok(Json(MembershipRecorded { record: door.ask(&id, record).await?.to_string() }))
}

/// Whose members, and for what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MembersAsked {
    kind: String,
    value: String,
    purpose: String,
    at: Option<String>,
}

/// Who belongs to a household, an account.
#[derive(Serialize, ToSchema)]
pub(crate) struct Memberships {
    /// The entity; a pseudonym.
    entity: String,
    /// For what it was read.
    purpose: String,
    /// As of when.
    #[schema(format = DateTime)]
    at: String,
    /// Those who may be read for it.
    members: Vec<Place>,
    /// How many may not.
    n_withheld: usize,
    /// How often somebody was left out because there is room for no more.
    n_left_out: u64,
}

async fn members(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Asked(asked): Asked<MembersAsked>,
) -> Result<Json<Memberships>, Problem> {
    let at = door::instant("at", asked.at.as_deref())?;
    let purpose = asked.purpose.clone();
    let read = move |house: &Arc<house::House>| {
        let entity = Identifier { kind: asked.kind, value: asked.value };
        house.members_of(&caller.principal, &entity, &asked.purpose, at)
    };
    let found = door.ask(&id, read).await?;
    Ok(Json(Memberships {
        entity: found.entity.to_string(),
        purpose,
        at: found.at.to_string(),
        members: found.members.into_iter().map(Place::from).collect(),
        n_withheld: found.n_withheld,
        n_left_out: found.n_left_out,
    }))
}

/// Which features of what, and for what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntityFeaturesAsked {
    /// The household, the account.
    entity: Called,
    /// For what they are read.
    purpose: String,
    /// Feature views by name, or by name and version as `orders@2`; up to 100.
    views: Vec<String>,
}

/// Features over everybody who belongs to it.
#[derive(Serialize, ToSchema)]
pub(crate) struct EntityFeatures {
    /// The instant they are of.
    #[schema(format = DateTime)]
    at: String,
    /// For what they were read.
    purpose: String,
    /// In the order asked for.
    views: Vec<EntityView>,
}

/// One view's values; null where nothing is known.
#[derive(Serialize, ToSchema)]
struct EntityView {
    /// Name and version.
    #[schema(example = "orders@1")]
    view: String,
    /// By feature.
    values: BTreeMap<String, Value>,
}

async fn features(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(asked): Sent<EntityFeaturesAsked>,
) -> Result<Json<EntityFeatures>, Problem> {
    if asked.views.len() > MAX_VIEWS {
        let reason = format!("views: there are {}; {MAX_VIEWS} are the most", asked.views.len());
        return Err(Refusal::WrongShape { reason }.into());
    }
    let purpose = asked.purpose.clone();
    let read = move |house: &Arc<house::House>| {
        house.entity_features(&caller.principal, &asked.entity.into(), &asked.purpose, &asked.views)
    };
    let (at, found) = door.ask(&id, read).await?;
    let views = found.iter().map(|values| EntityView {
        view: values.view().reference(),
        values: values.iter().map(|(feature, value)| (feature.name().to_owned(), plain(value))).collect(),
    });
    Ok(Json(EntityFeatures { at: at.to_string(), purpose, views: views.collect() }))
}
