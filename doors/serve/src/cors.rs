//! Browsers: who may send events from which page. Only tracking routes are open to them.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::refusal::{Refusal, short};

/// The origins that may send.
pub(crate) struct Origins(Vec<String>);

impl Origins {
    /// `*` is every origin; an empty list is none.
    pub(crate) fn new(origins: &[String]) -> Self {
        Self(origins.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect())
    }

    /// The origin to allow, where a browser named one. A browser on a page that may not send is refused here and not
    /// only told so: `text/plain` goes out without a preflight.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
        let given = origin.to_str().unwrap_or("?").to_ascii_lowercase();
        if self.0.iter().any(|allowed| *allowed == given || allowed == "*") {
            return Ok(Some(origin.clone()));
        }
        Err(Refusal::Origin { origin: short(&given, 100) })
    }
}

/// Lets the page at `origin` read the answer.
pub(crate) fn allow(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    let exposed = HeaderValue::from_static("retry-after, x-ratelimit-reset, x-request-id");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}

/// The answer to a preflight from an allowed origin.
pub(crate) fn preflight(origin: HeaderValue) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    allow(&mut response, origin);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    let taken =
        HeaderValue::from_static("authorization, content-type, content-encoding, traceparent, x-retry-count");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, taken);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allowed: &[&str], origin: Option<&'static str>, expected: Result<bool, ()>) {
        let origins = Origins::new(&allowed.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        let headers = origin.map(|o| (header::ORIGIN, HeaderValue::from_static(o)));
        let got = origins.check(&headers.into_iter().collect()).map(|o| o.is_some());
        assert_eq!(got.map_err(|_| ()), expected);
    }

    #[test]
    fn only_named_origins_may_send_and_programs_need_none() {
        check(&[], None, Ok(false));
        check(&[], Some("https://shop.example"), Err(()));
        check(&["https://shop.example/"], Some("https://Shop.example"), Ok(true));
        check(&["https://shop.example"], Some("https://shop.example.evil.org"), Err(()));
        check(&["https://shop.example"], Some("http://shop.example"), Err(()));
        check(&["https://shop.example"], Some("null"), Err(()));
        check(&["*"], Some("https://anywhere.example"), Ok(true));
    }
}
