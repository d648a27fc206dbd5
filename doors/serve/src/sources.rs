//! Sources on the wire: how each is, webhooks that come in, the website's snippet; and the thread that watches folders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use house::{House, SourceView};
use policy::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::{self, MAX_BYTES};
use crate::door::{Door, Json, Named};
use crate::error::Error;
use crate::gate::RequestId;
use crate::metrics::Page;
use crate::problem::Problem;
use crate::routes::{Spec, Table};
use crate::track::{Tracked, take};

/// The website's snippet.
const SNIPPET: &str = include_str!("snippet.js");

/// The threads that watch folders.
pub(crate) struct Folders {
    threads: Vec<(SyncSender<()>, JoinHandle<()>)>,
}

impl Folders {
    /// Watches every folder of the settings that is the server's to watch. Each has a thread of its own, so that a large
    /// file in one holds up no other.
    pub(crate) fn start(house: &Arc<House>) -> Result<Self, Error> {
        let mut threads = Vec::new();
        for (name, every) in house.watched_folders() {
            let (stop, stopped) = sync_channel::<()>(1);
            let house = Arc::clone(house);
            let thread = std::thread::Builder::new().name(format!("folder-{name}"));
            let thread = thread.spawn(move || watch(&house, &name, every, &stopped));
            threads.push((stop, thread.map_err(|source| Error::Runtime { source })?));
        }
        Ok(Self { threads })
    }

    /// Ends them; a file that is under way goes on with the next start behind its last durable row.
    pub(crate) fn stop(self) {
        for (stop, _) in &self.threads {
            let _ = stop.try_send(());
        }
        for (stop, thread) in self.threads {
            drop(stop);
            let _ = thread.join();
        }
    }
}

fn watch(house: &House, name: &str, every: Duration, stopped: &std::sync::mpsc::Receiver<()>) {
    let mut said = String::new();
    let is_over = std::cell::Cell::new(false);
    let over = || {
        // The message that says so comes once.
        let now = is_over.get() || !matches!(stopped.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty));
        is_over.set(now);
        now
    };
    loop {
        let began = Instant::now();
        let looked = house.look(name, &over, &mut |one| match &one.done {
            Ok(done) if done.repeated => {
                tracing::info!(source = name, batch = %done.batch, "a file holds what an earlier one held");
            }
            Ok(done) => {
                let counts = &done.counts;
                let (rows, refused) = (counts.n_rows, counts.n_quarantined);
                tracing::info!(source = name, batch = %done.batch, rows, refused, "a file was imported");
            }
            // The file's name may hold a person's; it is in the list of sources, which needs a key.
            Err(error) => tracing::error!(source = name, code = error.code(), "a file cannot be imported"),
        });
        // Once, not with every look.
        let says = looked.as_ref().err().map(ToString::to_string).unwrap_or_default();
        if let Err(error) = looked
            && says != said
        {
            tracing::error!(source = name, code = error.code(), %error, "the folder cannot be watched");
        }
        said = says;
        if is_over.get()
            || !matches!(
                stopped.recv_timeout(every.saturating_sub(began.elapsed())),
                Err(RecvTimeoutError::Timeout)
            )
        {
            return;
        }
    }
}

/// The routes of sources.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    let list = "Every source: when it was last seen, how its records fared, what is wrong with it.";
    let hook = "What another system posts, signed as [sources] of the settings says; needs no key.";
    let snippet = "The website's snippet: nothing is stored or sent before somebody says yes.";
    table
        .add(
            Spec::get("/v1/sources", "operations", list).scope(Scope::Admin).gives::<AllSources>(),
            self::list,
        )
        .add(
            Spec::post("/v1/hooks/{source}", "tracking", hook)
                .takes::<crate::api::Document>()
                .gives::<Tracked>(),
            self::hook,
        )
        .add(Spec::get("/v1/snippet.js", "tracking", snippet).gives_media("text/javascript"), self::snippet)
}

/// Every source.
#[derive(Serialize, ToSchema)]
pub(crate) struct AllSources {
    /// By name.
    sources: Vec<OneSource>,
}

/// A source.
#[derive(Serialize, ToSchema)]
struct OneSource {
    /// Its name: of an API key, or of `[sources]` or `[captures]` in the settings.
    #[schema(example = "web")]
    name: String,
    /// `key`, `webhook`, `folder`, `capture`, `import` or `unnamed`.
    #[schema(example = "key")]
    kind: &'static str,
    /// True where nothing is wrong with it.
    healthy: bool,
    /// What is wrong with it.
    wrong: Vec<SourceTrouble>,
    /// When its first record came.
    #[schema(format = DateTime)]
    first_at: Option<String>,
    /// When its latest record came.
    #[schema(format = DateTime)]
    last_at: Option<String>,
    /// Records that came by it.
    records: u64,
    /// Of them, refused on arrival.
    refused: u64,
    /// Of those, mended since.
    mended: u64,
    /// Seconds that its clock is ahead of ours (behind where negative), as far as it says when it sends.
    clock_ahead_seconds: Option<f64>,
    /// The latest 31 days, by day.
    days: BTreeMap<String, Day>,
}

/// What is wrong with a source.
#[derive(Serialize, ToSchema)]
struct SourceTrouble {
    /// Its code.
    #[schema(example = "MR2053")]
    code: &'static str,
    /// What it is.
    message: String,
}

/// A day of a source, by when its records came.
#[derive(Serialize, ToSchema)]
struct Day {
    /// Records that came.
    records: u64,
    /// Of them, refused on arrival.
    refused: u64,
    /// Of them, from the future.
    ahead: u64,
}

/// `GET /v1/sources`
async fn list(State(door): State<Arc<Door>>, id: RequestId) -> Result<Json<AllSources>, Problem> {
    let sources = door.ask(&id, |house| house.sources()).await?;
    Ok(Json(AllSources { sources: sources.into_iter().map(of_view).collect() }))
}

fn of_view(view: SourceView) -> OneSource {
    let state = view.state.unwrap_or_default();
    let wrong: Vec<SourceTrouble> =
        view.wrong.into_iter().map(|(code, message)| SourceTrouble { code, message }).collect();
    let day = |(day, of): (i32, house::SourceDay)| {
        let start = event::Instant::try_from_micros(i64::from(day) * 86_400_000_000).unwrap_or_default();
        let date = start.to_string().chars().take(10).collect();
        (date, Day { records: of.n_records, refused: of.n_refused, ahead: of.n_ahead })
    };
    OneSource {
        name: view.name,
        kind: view.kind,
        healthy: wrong.is_empty(),
        wrong,
        first_at: state.first_at.map(|at| at.to_string()),
        last_at: state.last_at.map(|at| at.to_string()),
        records: state.n_records,
        refused: state.n_refused,
        mended: state.n_mended,
        clock_ahead_seconds: view.live.clock_ahead.map(|ahead| ahead.micros() as f64 / 1e6),
        days: state.days.into_iter().map(day).collect(),
    }
}

/// `POST /v1/hooks/{source}`
async fn hook(
    State(door): State<Arc<Door>>,
    Named(source): Named<String>,
    id: RequestId,
    request: Request,
) -> Result<Json<Tracked>, Problem> {
    // The signature is over the body as it comes, so its media type is not asked for.
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let bytes = body::read(&headers, body, MAX_BYTES).await?;
    let report = take(&door, &id, move |house, done| {
        let find = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        house.hook(&source, &find, &bytes, done);
    });
    let report = report.await?;
    if let (1, Some((_, code, message))) = (report.counts.total(), report.refused.first()) {
        return Err(Problem::new(code, message.clone(), axum::http::StatusCode::BAD_REQUEST, None));
    }
    Ok(Json(report.into()))
}

/// `GET /v1/snippet.js`
async fn snippet() -> Response {
    let media = HeaderValue::from_static("text/javascript; charset=utf-8");
    let mut response = ([(header::CONTENT_TYPE, media)], SNIPPET).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    // Pages of other origins may embed it, also those that isolate themselves.
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    response
}

/// Which protocol a browser at this page has to use: where TLS ends before us, the page or the proxy says so.
pub(crate) fn protocol(tls: bool, headers: &HeaderMap) -> &'static str {
    let says = |name: &str, start: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.starts_with(start))
    };
    if tls || says("x-forwarded-proto", "https") || says("origin", "https:") { "https" } else { "http" }
}

/// What of sources is counted for Prometheus.
pub(crate) fn of_sources(page: &mut Page, sources: &[SourceView]) {
    if sources.is_empty() {
        return;
    }
    let (records, last, healthy) = (
        "maschinenraum_source_records_total",
        "maschinenraum_source_last_seen_timestamp_seconds",
        "maschinenraum_source_healthy",
    );
    page.family(records, "counter", "Records by source, and whether they were refused on arrival.");
    for (view, state) in sources.iter().filter_map(|view| Some((view, view.state.as_ref()?))) {
        let accepted = state.n_records.saturating_sub(state.n_refused);
        for (became, n) in [("accepted", accepted), ("refused", state.n_refused)] {
            page.sample(records, &[("source", &view.name), ("became", became)], n as f64);
        }
    }
    page.family(last, "gauge", "When a source's latest record came.");
    for view in sources {
        if let Some(at) = view.state.as_ref().and_then(|state| state.last_at) {
            page.sample(last, &[("source", &view.name)], at.micros() as f64 / 1e6);
        }
    }
    page.family(healthy, "gauge", "1 where nothing is wrong with a source.");
    for view in sources {
        page.sample(healthy, &[("source", &view.name)], f64::from(u8::from(view.wrong.is_empty())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_the_protocol_of_their_page() {
        let of = |tls, name: &'static str, value: &'static str| {
            protocol(tls, &HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))]))
        };
        assert_eq!(of(true, "x-none", ""), "https");
        assert_eq!(of(false, "x-forwarded-proto", "https"), "https");
        assert_eq!(of(false, "origin", "https://shop.example"), "https");
        assert_eq!(of(false, "origin", "http://127.0.0.1:8080"), "http");
    }

    #[test]
    fn the_snippet_is_small() {
        assert!(SNIPPET.len() < 6_000, "{}", SNIPPET.len());
    }
}
