//! Errors as they leave the house: one JSON shape for all of them.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::refusal::Refusal;

/// What went wrong. `code` and `message` are what the tracking clients read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Names the error, for ever.
    #[schema(example = "MR7018")]
    pub code: String,
    /// What is wrong, quoting what was sent.
    pub message: String,
    /// The page that explains it.
    #[schema(example = "docs/errors/MR7018.md")]
    pub help: String,
    /// True where sending the same again may work.
    pub retry: bool,
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    retry_after: Option<Duration>,
}

/// Rides with a response so that the log and the metrics see the code.
#[derive(Clone, Debug)]
pub(crate) struct Code(pub String);

impl Problem {
    /// An error with everything said.
    pub fn new(code: &str, message: String, status: StatusCode, retry_after: Option<Duration>) -> Self {
        // Some rooms write the code before or behind the message, for terminals; here it has its own field.
        let plain = message.strip_prefix(code).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&message);
        let plain = plain
            .strip_suffix(')')
            .and_then(|rest| rest.strip_suffix(code)?.strip_suffix(" ("))
            .unwrap_or(plain);
        let message = plain.to_owned();
        let help = format!("docs/errors/{code}.md");
        Self { code: code.to_owned(), message, help, retry: retry_after.is_some(), status, retry_after }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The same under another status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string(), refusal.status(), refusal.retry_after())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(wait) = self.retry_after {
            // Whole seconds, rounded up; the tracking clients wait at least one anyway.
            let seconds = HeaderValue::from(wait.as_millis().div_ceil(1_000).max(1) as u64);
            if self.status == StatusCode::TOO_MANY_REQUESTS {
                headers.insert("x-ratelimit-reset", seconds.clone());
            }
            if self.status == StatusCode::TOO_MANY_REQUESTS || self.status == StatusCode::SERVICE_UNAVAILABLE
            {
                headers.insert(header::RETRY_AFTER, seconds);
            }
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"maschinenraum\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response.extensions_mut().insert(Code(self.code));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(refusal: Refusal, status: u16, retry: bool, retry_after: Option<&str>) {
        let response = Problem::from(refusal).into_response();
        assert_eq!(response.status().as_u16(), status);
        let after = response.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(after.as_deref(), retry_after);
        assert_eq!(retry, after.is_some() || status == 400);
    }

    #[test]
    fn an_error_says_whether_and_when_to_try_again() {
        check(Refusal::TooMany { name: "shop".into(), per_second: 1, wait_s: 3 }, 429, true, Some("3"));
        check(Refusal::Busy { limit: 1 }, 503, true, Some("1"));
        check(Refusal::NoKey, 401, false, None);
    }

    #[test]
    fn the_code_stands_once() {
        let problem = Problem::new("MR3020", "MR3020: no such key".into(), StatusCode::UNAUTHORIZED, None);
        let text = serde_json::to_string(&problem).unwrap();
        let expected =
            r#"{"code":"MR3020","message":"no such key","help":"docs/errors/MR3020.md","retry":false}"#;
        assert_eq!(text, expected);
    }
}
