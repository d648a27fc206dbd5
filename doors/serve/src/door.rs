//! What handlers share: the house, how its errors look outside, and how requests are taken apart.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use house::{House, Kind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::{self, MAX_BYTES, Media};
use crate::gate::{Gate, RequestId};
use crate::keeper::{Caller, Keeper};
use crate::problem::Problem;
use crate::refusal::{Refusal, short};

/// What every handler gets.
pub(crate) struct Door {
    /// The house behind it.
    pub house: Arc<House>,
    /// Counters and limits.
    pub gate: Arc<Gate>,
    /// Who may come in.
    pub keeper: Arc<Keeper>,
    /// True where this server speaks TLS itself.
    pub tls: bool,
    /// True where `/metrics` needs no key.
    pub open_metrics: bool,
    /// The OpenAPI document as text.
    pub document: String,
}

impl Door {
    /// Calls the house where waiting for a disk holds nobody up.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        id: &RequestId,
        call: impl FnOnce(&Arc<House>) -> Result<T, house::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let house = Arc::clone(&self.house);
        match tokio::task::spawn_blocking(move || call(&house)).await {
            Ok(answer) => answer.map_err(|error| tell(&error, id)),
            Err(error) => {
                tracing::error!(request = &*id.0, %error, "a call of the house did not end");
                Err(Refusal::Inside { request_id: id.0.to_string() }.into())
            }
        }
    }
}

/// An error of the house, as it looks outside. What is not the caller's fault is logged here.
pub(crate) fn tell(error: &house::Error, id: &RequestId) -> Problem {
    if matches!(error.kind(), Kind::Unavailable | Kind::Internal) {
        tracing::error!(request = &*id.0, code = error.code(), %error, "the house could not answer");
    }
    error.into()
}

impl From<&house::Error> for Problem {
    fn from(error: &house::Error) -> Self {
        let status = match error.kind() {
            Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Invalid => StatusCode::BAD_REQUEST,
            Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let retry_after = match error {
            house::Error::Flooding { wait, .. } => Some(*wait),
            error => error.retry().then_some(std::time::Duration::from_secs(1)),
        };
        Self::new(error.code(), error.to_string(), status, retry_after)
    }
}

/// JSON for the way out.
pub(crate) struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([("content-type", "application/json")], body).into_response(),
            // Our own types are all JSON can say; a number that is none would end here.
            Err(error) => {
                tracing::error!(%error, "an answer has no JSON");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// JSON on the way in, of a known shape.
pub(crate) struct Sent<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let Raw(bytes) = read(request, Media::Json, MAX_BYTES).await?;
        Ok(Self(body::json(&bytes)?))
    }
}

/// A body as it came, unpacked.
pub(crate) struct Raw(pub Bytes);

/// Reads a body of `media`.
pub(crate) async fn read(request: Request, media: Media, limit_bytes: usize) -> Result<Raw, Problem> {
    let (parts, body) = request.into_parts();
    body::check_media(&parts.headers, media)?;
    Ok(Raw(body::read(&parts.headers, body, limit_bytes).await?))
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // The table's guard has put it there; a route without one lets nobody in.
        parts.extensions.get::<Caller>().cloned().ok_or_else(|| Refusal::NoKey.into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(parts.extensions.get::<RequestId>().cloned().unwrap_or_else(|| RequestId("".into())))
    }
}

/// The named parts of a path.
pub(crate) struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(named) = Path::<T>::from_request_parts(parts, state).await.map_err(|rejection| {
            let given = short(parts.uri.path(), 100);
            Refusal::Path { given, reason: short(&rejection.body_text(), 200) }
        })?;
        Ok(Self(named))
    }
}

/// The query, of a known shape.
pub(crate) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(query) = Query::<T>::try_from_uri(&parts.uri).map_err(|rejection| {
            let said = rejection.body_text();
            let said = said.strip_prefix("Failed to deserialize query string: ").unwrap_or(&said);
            Refusal::Query { reason: short(said, 200) }
        })?;
        Ok(Self(query))
    }
}

/// An id in a path or a query.
pub(crate) fn id<T: FromStr<Err: Display>>(text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|error: T::Err| Refusal::Path { given: short(text, 40), reason: error.to_string() }.into())
}

/// A time that a caller named in `field`.
pub(crate) fn instant(field: &str, text: Option<&str>) -> Result<Option<event::Instant>, Problem> {
    let parse = |text: &str| {
        text.parse().map_err(|error: event::ParseInstantError| {
            Problem::from(Refusal::WrongShape { reason: format!("{field}: {error}") })
        })
    };
    text.map(parse).transpose()
}
