//! Whether it lives, whether it can work, and what it counts.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use house::{BudgetState, Count, Status};
use policy::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::credentials;
use crate::door::{Door, Json};
use crate::gate::RequestId;
use crate::metrics::{Page, resident_bytes};
use crate::problem::Problem;
use crate::refusal::Refusal;

/// What this is and where to look.
#[derive(Serialize, ToSchema)]
pub(crate) struct Welcome {
    /// The product.
    name: &'static str,
    /// The build.
    version: &'static str,
    /// In a sentence.
    what: &'static str,
    /// The routes.
    openapi: &'static str,
    /// What went wrong, by code.
    errors: &'static str,
}

/// `GET /`
pub(crate) async fn welcome() -> Json<Welcome> {
    Json(Welcome {
        name: "Maschinenraum",
        version: env!("CARGO_PKG_VERSION"),
        what: "Consented records go in, governed answers come out, every answer is measured.",
        openapi: "/openapi.json",
        errors: "docs/errors/",
    })
}

/// `GET /openapi.json`
pub(crate) async fn openapi(State(door): State<Arc<Door>>) -> Response {
    ([("content-type", "application/json")], door.document.clone()).into_response()
}

/// That it lives.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    /// Always `alive`; who cannot say so is not.
    status: &'static str,
}

/// `GET /healthz`
pub(crate) async fn healthz() -> Json<Alive> {
    Json(Alive { status: "alive" })
}

/// Whether it can work.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// False where a partition has stopped folding; the status is then 503.
    ready: bool,
    /// Records durable but not folded.
    behind_records: u64,
    /// Why a partition no longer folds.
    stopped: Option<String>,
}

/// `GET /readyz`
pub(crate) async fn readyz(State(door): State<Arc<Door>>, id: RequestId) -> Result<Response, Problem> {
    let health = door.ask(&id, |house| Ok(house.engine().health())).await?;
    let ready = Ready {
        ready: health.stopped.is_none(),
        behind_records: health.lag_records,
        stopped: health.stopped,
    };
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(ready)).into_response())
}

/// `GET /metrics`
pub(crate) async fn metrics(
    State(door): State<Arc<Door>>,
    id: RequestId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !door.open_metrics {
        let secret = credentials::from_headers(&headers)?.ok_or(Refusal::NoKey)?;
        door.keeper.admit(secret, Scope::Admin).await?;
    }
    let look = door.ask(&id, |house| {
        Ok((house.status(), house.streams()?, house.budgets()?, house.captures()?, house.sources()?))
    });
    let (status, streams, budgets, captures, sources) = look.await?;
    let mut page = Page::default();
    door.gate.metrics.render(&mut page);
    let in_flight = door.gate.in_flight() as f64;
    page.single("maschinenraum_http_requests_in_flight", "gauge", "Requests under way.", in_flight);
    if let Some(exporter) = &door.gate.exporter {
        let dropped = exporter.dropped() as f64;
        page.single("maschinenraum_spans_dropped_total", "counter", "Spans that no collector got.", dropped);
    }
    if let Some(bytes) = resident_bytes() {
        page.single("process_resident_memory_bytes", "gauge", "Memory this process holds.", bytes as f64);
    }
    of_house(&mut page, &status);
    of_streams(&mut page, streams.iter());
    of_budgets(&mut page, &budgets);
    crate::captures::of_captures(&mut page, &captures);
    crate::sources::of_sources(&mut page, &sources);
    let text = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([("content-type", text)], page.finish()).into_response())
}

fn of_house(page: &mut Page, status: &Status) {
    let mut one = |name: &str, kind: &str, help: &str, value: f64| {
        page.single(&format!("maschinenraum_{name}"), kind, help, value);
    };
    let stopped = f64::from(u8::from(status.stopped.is_some()));
    one(
        "start_time_seconds",
        "gauge",
        "When this instance started.",
        status.started_at.micros() as f64 / 1e6,
    );
    one("fold_lag_records", "gauge", "Records durable but not folded.", status.lag_records as f64);
    let help = "How long the earliest arrival that is not folded has been waiting.";
    one("fold_lag_seconds", "gauge", help, status.lag_seconds);
    one("fold_stopped", "gauge", "1 where a partition has stopped folding.", stopped);
    one("records_folded_total", "counter", "Records folded since the start.", status.n_folded as f64);
    one("duplicates_dropped_total", "counter", "Duplicates dropped by the loop.", status.n_duplicates as f64);
    one("commits_total", "counter", "Commits of state since the start.", status.n_commits as f64);
    one("disk_bytes", "gauge", "Journal and state on disk.", status.disk_bytes as f64);
    one(
        "clock_behind_seconds",
        "gauge",
        "How far the clock is behind what is known.",
        status.clock_behind_seconds,
    );
}

fn of_streams<'a>(page: &mut Page, streams: impl Iterator<Item = (&'a String, &'a Count)> + Clone) {
    page.family("maschinenraum_stream_records_total", "counter", "Records folded, by stream.");
    for (stream, count) in streams.clone() {
        page.sample("maschinenraum_stream_records_total", &[("stream", stream)], count.n_records as f64);
    }
    page.family(
        "maschinenraum_stream_refused_total",
        "counter",
        "Records refused, by stream and first finding.",
    );
    for (stream, count) in streams {
        for (code, n) in &count.reasons {
            let labels = [("stream", stream.as_str()), ("code", code)];
            page.sample("maschinenraum_stream_refused_total", &labels, *n as f64);
        }
    }
}

fn of_budgets(page: &mut Page, budgets: &[BudgetState]) {
    page.family(
        "maschinenraum_budget_cents",
        "gauge",
        "Budgets of the current period: total, spent, granted, left.",
    );
    for budget in budgets {
        let left = budget.total.as_f64() - budget.spent.as_f64() - budget.granted.as_f64();
        for (part, cents) in [
            ("total", budget.total.as_f64()),
            ("spent", budget.spent.as_f64()),
            ("granted", budget.granted.as_f64()),
            ("left", left),
        ] {
            let labels = [
                ("use_case", budget.use_case.as_str()),
                ("currency", budget.currency.as_str()),
                ("part", part),
            ];
            page.sample("maschinenraum_budget_cents", &labels, cents);
        }
    }
}
