//! API keys on the wire. A key's text is in one answer, once.

use std::sync::Arc;

use axum::extract::State;
use policy::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::door::{self, Door, Json, Named, Sent};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;
use crate::refusal::Refusal;

/// Every key.
#[derive(Serialize, ToSchema)]
pub(crate) struct Keys {
    /// Without their secrets.
    keys: Vec<Key>,
}

/// A key without its secret.
#[derive(Serialize, ToSchema)]
struct Key {
    /// Its public part.
    id: String,
    /// Whose it is.
    name: String,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// Its role; null where it follows from the scopes.
    role: Option<String>,
    /// Since when it is valid.
    #[schema(format = DateTime)]
    created: String,
    /// From when on it is not.
    #[schema(format = DateTime)]
    expires: Option<String>,
    /// When it was revoked.
    #[schema(format = DateTime)]
    revoked: Option<String>,
}

/// `GET /v1/keys`
pub(crate) async fn list(State(door): State<Arc<Door>>, id: RequestId) -> Result<Json<Keys>, Problem> {
    let keys = door.ask(&id, |house| house.keys()).await?;
    let keys = keys.into_iter().map(|(key, revoked)| Key {
        id: key.id,
        name: key.name,
        scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
        role: key.role,
        created: key.created.to_string(),
        expires: key.expires.map(|at| at.to_string()),
        revoked: revoked.map(|at| at.to_string()),
    });
    Ok(Json(Keys { keys: keys.collect() }))
}

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyAsked {
    /// Whose it is, for people.
    name: String,
    /// What it may do: `track`, `consent`, `read`, `decide`, `train`, `send`, `export`, `jobs`, `protect`, `admin`; with a
    /// role, none means whatever the role opens.
    #[serde(default)]
    scopes: Vec<String>,
    /// Its role; without one it follows from the scopes.
    role: Option<String>,
    /// From when on it is not valid; never where it is left out.
    #[schema(format = DateTime)]
    expires: Option<String>,
}

/// A new key.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyMade {
    /// Its public part.
    id: String,
    /// The whole key. It is shown here, once, and kept nowhere.
    key: String,
}

/// `POST /v1/keys`
pub(crate) async fn create(
    State(door): State<Arc<Door>>,
    id: RequestId,
    caller: Caller,
    Sent(asked): Sent<KeyAsked>,
) -> Result<Json<KeyMade>, Problem> {
    let wrong = |reason: String| Problem::from(Refusal::WrongShape { reason });
    let scopes =
        asked.scopes.iter().map(|scope| scope.parse::<Scope>().map_err(|e| wrong(format!("scopes: {e}"))));
    let scopes = scopes.collect::<Result<Vec<_>, _>>()?;
    if (scopes.is_empty() && asked.role.is_none()) || asked.name.trim().is_empty() {
        return Err(wrong("a key needs a name, and at least one scope or a role".to_owned()));
    }
    let expires = door::instant("expires", asked.expires.as_deref())?;
    let made = door.ask(&id, move |house| {
        house.create_key(caller.principal.name(), asked.name.trim(), &scopes, expires)
    });
    let made = made.await?;
    Ok(Json(KeyMade { id: made.id, key: made.text.to_string() }))
}

/// That a key is no longer valid.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyRevoked {
    /// Its public part.
    id: String,
}

/// `DELETE /v1/keys/{id}`: no request that begins after this is answered gets in with the key.
pub(crate) async fn revoke(
    State(door): State<Arc<Door>>,
    id: RequestId,
    caller: Caller,
    Named(key): Named<String>,
) -> Result<Json<KeyRevoked>, Problem> {
    let revoked = key.clone();
    let done = door.ask(&id, move |house| house.revoke_key(caller.principal.name(), &revoked)).await;
    door.keeper.forget();
    done?;
    Ok(Json(KeyRevoked { id: key }))
}
