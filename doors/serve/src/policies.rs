//! Roles and policies on the wire: what is in force, and what it says to a question.

use std::sync::Arc;

use axum::extract::State;
use policy::{Principal, Scope};
use roles::Asked;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::door::{Door, Json, Sent};
use crate::gate::RequestId;
use crate::login;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::routes::{Spec, Table};

/// The routes of this room.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    table
        .add(
            Spec::get("/v1/login", "login", "Sends a browser to the identity provider.").query(
                "back",
                false,
                "A path of this server to go on to afterwards.",
            ),
            login::start,
        )
        .add(
            Spec::get("/v1/login/callback", "login", "Where the identity provider sends a browser back to.")
                .query("code", false, "What a token is asked for with.")
                .query("state", false, "Which login it is.")
                .query("iss", false, "Which provider it is.")
                .query("error", false, "Why nobody is let in."),
            login::callback,
        )
        .add(Spec::post("/v1/logout", "login", "Ends a session.").gives::<login::Left>(), login::leave)
        .add(Spec::get("/v1/me", "login", "Who asks, by key or session.").gives::<login::Me>(), login::me)
        .add(
            Spec::get("/v1/roles", "policies", "Roles, policies, and the words they are made of.")
                .scope(Scope::Read)
                .gives::<Policies>(),
            show,
        )
        .add(
            Spec::post("/v1/roles/ask", "policies", "What the policies say to a question; nothing is done.")
                .scope(Scope::Read)
                .takes::<Question>()
                .gives::<Said>(),
            ask,
        )
}

/// Policies in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct Policies {
    /// What differs in a letter is another version.
    version: String,
    /// Every role there is.
    roles: Vec<String>,
    /// The Cedar schema.
    schema: String,
    /// Built-in ones first.
    policies: Vec<Policy>,
}

/// One policy.
#[derive(Serialize, ToSchema)]
struct Policy {
    /// File and line.
    #[schema(example = "policies/own.cedar:3")]
    place: String,
    /// What its author calls it.
    name: Option<String>,
    /// `permit` or `forbid`.
    effect: &'static str,
    /// As it is written.
    text: String,
}

/// `GET /v1/roles`
pub(crate) async fn show(State(door): State<Arc<Door>>) -> Json<Policies> {
    let roles = door.house.roles();
    let policies = roles.rules().map(|rule| Policy {
        place: format!("{}:{}", rule.file, rule.line),
        name: rule.name.clone(),
        effect: if rule.permits { "permit" } else { "forbid" },
        text: rule.text.clone(),
    });
    Json(Policies {
        version: roles.version().to_owned(),
        roles: roles.roles().to_vec(),
        schema: roles.schema().to_owned(),
        policies: policies.collect(),
    })
}

/// May somebody in these roles do this? Either an action with purpose and classes, or a door.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// Who, for policies about one caller.
    #[serde(default)]
    principal: String,
    /// In which roles.
    roles: Vec<String>,
    /// `read_features`, `read_profile`, `decide`, `train`, `send`, `export`
    action: Option<String>,
    /// For which purpose.
    purpose: Option<String>,
    /// `public`, `internal`, `personal`, `special`
    #[serde(default)]
    classes: Vec<String>,
    /// A scope.
    door: Option<String>,
}

/// What the policies say.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyAnswer)]
pub(crate) struct Said {
    /// True where it is allowed.
    allowed: bool,
    /// Which policies say so.
    why: String,
    /// Their version.
    version: String,
}

/// `POST /v1/roles/ask`
pub(crate) async fn ask(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Sent(question): Sent<Question>,
) -> Result<Json<Said>, Problem> {
    let wrong = |reason: String| Problem::from(Refusal::WrongShape { reason });
    let asked = match (&question.action, &question.door) {
        (Some(action), None) => {
            let purpose =
                question.purpose.clone().ok_or_else(|| wrong("an action needs `purpose`".to_owned()))?;
            Asked::use_of(action, &purpose, &question.classes).map_err(wrong)?
        }
        (None, Some(door)) => {
            Asked::Enter(door.parse().map_err(|e: policy::UnknownScope| wrong(e.to_string()))?)
        }
        _ => return Err(wrong("either `action` or `door` is asked for".to_owned())),
    };
    let said = door.ask(&id, move |house| {
        for role in &question.roles {
            house.roles().check_role(role)?;
        }
        let who = Principal::new(question.principal, Scope::ALL).with_roles(question.roles);
        Ok(house.ask_policies(&who, &asked))
    });
    let said = said.await?;
    Ok(Json(Said { allowed: said.allowed, why: said.why, version: said.version }))
}
