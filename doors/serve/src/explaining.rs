//! Explanations on the way out: as data, or as text in English or German.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use decide::Language;
use event::RecordId;
use serde::Deserialize;

use crate::door::{self, Asked, Door, Json, Named};
use crate::explanation::Explanation;
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;

/// In which language.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct In {
    lang: Option<Tongue>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tongue {
    En,
    De,
}

/// `GET /v1/decisions/{id}/explanation`
pub(crate) async fn explanation(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(decision): Named<String>,
    Asked(In { lang }): Asked<In>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let decision: RecordId = door::id(&decision)?;
    let told = door.ask(&id, move |house| house.explain(&caller.principal, decision)).await?;
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut response = if wants_text(accepted) {
        let language = match lang {
            Some(Tongue::De) => Language::German,
            Some(Tongue::En) | None => Language::English,
        };
        let plain = [("content-type", "text/plain; charset=utf-8")];
        (plain, told.text(language)).into_response()
    } else {
        Json(Explanation::from(told)).into_response()
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// Whichever of the two is named first.
fn wants_text(accepted: &str) -> bool {
    let mut named = accepted.split(',').filter_map(|range| range.split(';').next()).map(str::trim);
    named
        .find(|range| ["text/plain", "text/*", "application/json"].contains(range))
        .is_some_and(|r| r != "application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_given_to_who_asks_for_it() {
        assert!(wants_text("text/plain") && wants_text("text/plain;q=0.9, application/json;q=0.8"));
        assert!(!wants_text("") && !wants_text("*/*") && !wants_text("application/json, text/plain"));
        assert!(!wants_text("text/html,application/xhtml+xml,*/*;q=0.8"));
    }
}
