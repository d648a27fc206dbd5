//! Every request passes here once, whatever its route: limits, place, time, origin, id, log, metrics, trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use crate::body;
use crate::context::{self, Context};
use crate::cors::{self, Origins};
use crate::metrics::Metrics;
use crate::otlp::{Exporter, Span};
use crate::problem::{Code, Problem};
use crate::refusal::{Refusal, short};
use crate::settings::Settings;

/// Header fields of one request.
const MAX_HEADERS: usize = 64;
/// Bytes of their names and values.
const MAX_HEADER_BYTES: usize = 16 * 1_024;
/// Bytes of a URL.
const MAX_URL_BYTES: usize = 4 * 1_024;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the gate needs to know.
pub(crate) struct Gate {
    /// Counters.
    pub metrics: Metrics,
    /// Where traces go.
    pub exporter: Option<Exporter>,
    /// True once a shutdown began.
    pub closing: AtomicBool,
    /// The routes that browsers may use.
    browser_routes: Vec<&'static str>,
    origins: Origins,
    places: Semaphore,
    max_in_flight: usize,
    timeout: Duration,
}

/// Rides with a request: its id, for handlers that have something to say in the log.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub Arc<str>);

/// Rides with a response: who asked, for the log.
#[derive(Clone, Debug)]
pub(crate) struct Asked(pub Arc<str>);

impl Gate {
    /// A gate before `routes`, of which `browser_routes` are open to browsers.
    pub(crate) fn new(
        settings: &Settings,
        routes: Vec<(Method, &'static str)>,
        browser_routes: Vec<&'static str>,
        exporter: Option<Exporter>,
    ) -> Self {
        Self {
            metrics: Metrics::new(routes),
            exporter,
            closing: AtomicBool::new(false),
            browser_routes,
            origins: Origins::new(&settings.browser_origins),
            places: Semaphore::new(settings.max_in_flight.min(Semaphore::MAX_PERMITS)),
            max_in_flight: settings.max_in_flight,
            timeout: settings.timeout,
        }
    }

    /// Requests under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.max_in_flight.saturating_sub(self.places.available_permits())
    }
}

/// Puts the gate before all routes, and before what matches none.
pub(crate) fn stand_before(gate: Arc<Gate>, routes: Router) -> Router {
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn_with_state(gate, pass))
}

/// The layer around all routes.
async fn pass(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let (began, clock) = (Instant::now(), SystemTime::now());
    let context = Context::of(request.headers());
    let id: Arc<str> = context::request_id(request.headers(), &context).into();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map(MatchedPath::as_str);
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));

    let (request, unread) = body::lend(request);
    let mut response = match gate.admit(request, path, next).await {
        Ok(response) => response,
        Err(refusal) => Problem::from(refusal).into_response(),
    };
    unread.drain().await;
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(&REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if gate.closing.load(Ordering::Relaxed) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }

    let took = began.elapsed();
    gate.metrics.answered(&method, path, response.status(), took);
    log(&method, path, &response, took, &id);
    if let Some(exporter) = gate.exporter.as_ref().filter(|_| context.sampled) {
        exporter.send(span(context, &method, path, &response, clock, took, &id));
    }
    response
}

impl Gate {
    async fn admit(&self, request: Request, path: Option<&str>, next: Next) -> Result<Response, Refusal> {
        let for_browsers = path.is_some_and(|path| self.browser_routes.contains(&path));
        let checked = check_sizes(&request).and_then(|()| {
            if self.closing.load(Ordering::Relaxed) {
                return Err(Refusal::Closing);
            }
            let place = self.places.try_acquire().map_err(|_| Refusal::Busy { limit: self.max_in_flight })?;
            let origin = if for_browsers { self.origins.check(request.headers())? } else { None };
            Ok((place, origin))
        });
        let (place, origin) = checked?;
        let is_preflight = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if let Some(origin) = origin.clone().filter(|_| is_preflight) {
            return Ok(cors::preflight(origin));
        }
        let answered = tokio::time::timeout(self.timeout, next.run(request)).await;
        drop(place);
        let mut response = answered.unwrap_or_else(|_| {
            Problem::from(Refusal::TimedOut { limit_ms: self.timeout.as_millis() as u64 }).into_response()
        });
        if let Some(origin) = origin {
            cors::allow(&mut response, origin);
        }
        Ok(response)
    }
}

fn check_sizes(request: &Request) -> Result<(), Refusal> {
    let n_bytes = request.uri().path_and_query().map_or(0, |p| p.as_str().len());
    if n_bytes > MAX_URL_BYTES {
        return Err(Refusal::Url { n_bytes, max_bytes: MAX_URL_BYTES });
    }
    let headers: &HeaderMap = request.headers();
    let n_bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > MAX_HEADERS || n_bytes > MAX_HEADER_BYTES {
        return Err(Refusal::Headers {
            n_headers: headers.len(),
            n_bytes,
            max_headers: MAX_HEADERS,
            max_bytes: MAX_HEADER_BYTES,
        });
    }
    Ok(())
}

/// One line per request: the route's template and never the path, which may hold an identifier.
fn log(method: &Method, path: Option<&str>, response: &Response, took: Duration, id: &str) {
    let status = response.status().as_u16();
    let code = response.extensions().get::<Code>().map_or("", |code| code.0.as_str());
    let key = response.extensions().get::<Asked>().map_or("", |asked| &asked.0);
    let (route, took_us) = (path.unwrap_or("none"), took.as_micros() as u64);
    match status {
        500.. => tracing::warn!(%method, route, status, code, key, took_us, request = id, "answered"),
        400..500 => tracing::info!(%method, route, status, code, key, took_us, request = id, "answered"),
        _ => tracing::debug!(%method, route, status, key, took_us, request = id, "answered"),
    }
}

fn span(
    context: Context,
    method: &Method,
    path: Option<&str>,
    response: &Response,
    began: SystemTime,
    took: Duration,
    id: &str,
) -> Span {
    let route = path.unwrap_or("none");
    let start_ns = began.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let mut attributes = vec![
        ("http.request.method", method.to_string()),
        ("http.route", route.to_owned()),
        ("maschinenraum.request_id", id.to_owned()),
    ];
    if let Some(code) = response.extensions().get::<Code>() {
        attributes.push(("error.type", code.0.clone()));
    }
    Span {
        context,
        name: format!("{method} {route}"),
        start_ns,
        end_ns: start_ns + took.as_nanos() as u64,
        status: response.status().as_u16(),
        attributes,
    }
}

/// The answer where no route matches.
async fn no_route(request: Request) -> Problem {
    Refusal::NoRoute { path: short(request.uri().path(), 100) }.into()
}

/// The answer where the route does not take the method.
async fn wrong_method(request: Request) -> Problem {
    let (path, method) = (short(request.uri().path(), 100), short(request.method().as_str(), 20));
    Refusal::WrongMethod { path, method }.into()
}
