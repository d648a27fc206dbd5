//! `/v1/login`, `/v1/login/callback`, `/v1/logout`, `/v1/me` on the wire.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{BROWSER, COOKIE, LOGIN_FOR, Login, Refused, cookie};
use crate::door::{Asked, Door, Json};
use crate::problem::Problem;
use crate::refusal::Refusal;

/// Where a browser wants to be afterwards.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Back {
    #[serde(default)]
    back: String,
}

/// What the provider sends a browser back with; providers add words of their own.
#[derive(Deserialize)]
pub(crate) struct Returned {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Who asks.
#[derive(Serialize, ToSchema)]
pub(crate) struct Me {
    /// An API key's name, or a person's at the provider.
    name: String,
    /// `person` or `key`.
    kind: &'static str,
    /// What policies know of it.
    roles: Vec<String>,
    /// What its key says and its roles open.
    scopes: Vec<&'static str>,
    /// Until when, for a person.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// That a session is over.
#[derive(Serialize, ToSchema)]
pub(crate) struct Left {
    /// True where there was one.
    ended: bool,
    /// Where the provider's own session is ended.
    provider: Option<String>,
}

fn login(door: &Door) -> Result<Arc<Login>, Problem> {
    let none =
        || Refused::Settings { reason: "[login] issuer in maschinenraum.toml names no provider".to_owned() };
    Ok(door.keeper.login().ok_or_else(none)?)
}

async fn wait<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| Problem::from(Refusal::Closing))??)
}

fn redirect(to: &str, cookies: &[String]) -> Result<Response, Problem> {
    let odd = |_| Problem::from(Refused::Provider { what: "names no place", reason: String::new() });
    let to = HeaderValue::from_str(to).map_err(odd)?;
    let mut response = (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
    for cookie in cookies {
        let value = HeaderValue::from_str(cookie).map_err(odd)?;
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// `GET /v1/login`
pub(crate) async fn start(
    State(door): State<Arc<Door>>,
    Asked(Back { back }): Asked<Back>,
) -> Result<Response, Problem> {
    let login = login(&door)?;
    let begun = Arc::clone(&login);
    let sent = wait(move || begun.begin(&back)).await?;
    let tie = login.set_cookie(BROWSER, "/v1/login", Some(&sent.browser), LOGIN_FOR.as_secs());
    redirect(&sent.url, &[tie])
}

/// `GET /v1/login/callback`
pub(crate) async fn callback(
    State(door): State<Arc<Door>>,
    headers: HeaderMap,
    Asked(returned): Asked<Returned>,
) -> Result<Response, Problem> {
    let login = login(&door)?;
    if let Some(error) = returned.error {
        let said = format!("{error} {}", returned.error_description.unwrap_or_default());
        let reason: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(Refused::Provider { what: "lets nobody in", reason: reason.trim().to_owned() }.into());
    }
    let (Some(code), Some(state)) = (returned.code, returned.state) else {
        return Err(Refused::State.into());
    };
    let browser = cookie(&headers, BROWSER).map(str::to_owned);
    let ending = Arc::clone(&login);
    let entered =
        wait(move || ending.finish(&state, &code, returned.iss.as_deref(), browser.as_deref())).await?;
    let lasts = u64::from(login.settings.session_minutes) * 60;
    let cookies = [
        login.set_cookie(COOKIE, "/", Some(&entered.cookie), lasts),
        login.set_cookie(BROWSER, "/v1/login", None, 0),
    ];
    redirect(&entered.back, &cookies)
}

/// `POST /v1/logout`
pub(crate) async fn leave(State(door): State<Arc<Door>>, headers: HeaderMap) -> Result<Response, Problem> {
    let login = login(&door)?;
    let ended = login.end(&headers)?;
    let asked = Arc::clone(&login);
    let provider = if ended { wait(move || Ok(asked.provider.end())).await? } else { None };
    let mut response = Json(Left { ended, provider }).into_response();
    if let Ok(gone) = HeaderValue::from_str(&login.set_cookie(COOKIE, "/", None, 0)) {
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    Ok(response)
}

/// `GET /v1/me`
pub(crate) async fn me(State(door): State<Arc<Door>>, headers: HeaderMap) -> Result<Json<Me>, Problem> {
    let caller = door.keeper.recognise(&Method::GET, &headers).await?.ok_or(Refusal::NoKey)?;
    let who = &caller.principal;
    let until = caller.ends.map(|ends| event::Instant::from_micros(ends * 1_000_000).to_string());
    Ok(Json(Me {
        name: who.name().to_owned(),
        kind: if until.is_some() { "person" } else { "key" },
        roles: door.house.roles().roles_of(who).iter().map(|role| role.to_string()).collect(),
        scopes: super::open_doors(who),
        until,
    }))
}
