//! Traces for an OpenTelemetry collector: OTLP over HTTP as JSON, from one thread behind a bounded queue.
//!
//! A slow or dead collector costs spans, which are counted, and never a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Error;

/// Spans that may wait.
const QUEUE: usize = 4_096;
/// Spans in one request to the collector.
const BATCH: usize = 512;
/// How long a span waits for company.
const LINGER: Duration = Duration::from_millis(500);
/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One request, for the collector.
pub(crate) struct Span {
    /// Trace, span and parent.
    pub context: Context,
    /// `POST /v1/decide`: method and route, never the path.
    pub name: String,
    /// Nanoseconds since 1970.
    pub start_ns: u64,
    /// Nanoseconds since 1970.
    pub end_ns: u64,
    /// The HTTP status.
    pub status: u16,
    /// Text attributes.
    pub attributes: Vec<(&'static str, String)>,
}

/// Takes spans and sends them when it suits.
pub(crate) struct Exporter {
    queue: Mutex<Option<SyncSender<Span>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    dropped: Arc<AtomicU64>,
}

impl Exporter {
    /// Starts the thread that sends to the collector at `endpoint`.
    pub(crate) fn start(endpoint: &str) -> Result<Self, Error> {
        let well_formed = endpoint.starts_with("http://") || endpoint.starts_with("https://");
        if !well_formed || endpoint.parse::<axum::http::Uri>().is_err() {
            return Err(Error::Collector { given: endpoint.to_owned() });
        }
        let base = endpoint.trim_end_matches('/');
        let url = if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") };
        let (queue, spans) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        let thread = std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || send_all(&url, &spans, &lost))
            .map_err(|source| Error::Runtime { source })?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)), dropped })
    }

    /// Hands over a span; never waits.
    pub(crate) fn send(&self, span: Span) {
        let sent = self.queue.lock().as_ref().is_some_and(|queue| queue.try_send(span).is_ok());
        if !sent {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Spans that no collector got.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Sends what waits and ends the thread.
    pub(crate) fn close(&self) {
        drop(self.queue.lock().take());
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

fn send_all(url: &str, spans: &Receiver<Span>, lost: &AtomicU64) {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build().into();
    let mut complained: Option<Instant> = None;
    while let Some((batch, more)) = gather(spans) {
        let n_spans = batch.len() as u64;
        let body = encode(&batch).to_string();
        let sent = agent.post(url).header("content-type", "application/json").send(body);
        if let Err(error) = sent {
            lost.fetch_add(n_spans, Ordering::Relaxed);
            if complained.is_none_or(|at| at.elapsed() > Duration::from_secs(60)) {
                complained = Some(Instant::now());
                tracing::warn!(%error, n_spans, "the trace collector did not take spans; they are dropped and counted");
            }
        }
        if !more {
            return;
        }
    }
}

/// Up to [`BATCH`] spans, and whether more can come; `None` at the end.
fn gather(spans: &Receiver<Span>) -> Option<(Vec<Span>, bool)> {
    let first = spans.recv().ok()?;
    let until = Instant::now() + LINGER;
    let mut batch = vec![first];
    while batch.len() < BATCH {
        match spans.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(span) => batch.push(span),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return Some((batch, false)),
        }
    }
    Some((batch, true))
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn encode(batch: &[Span]) -> Value {
    let spans: Vec<Value> = batch.iter().map(encode_span).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            text("service.name", "maschinenraum"), text("service.version", env!("CARGO_PKG_VERSION")),
        ]},
        "scopeSpans": [{"scope": {"name": "serve"}, "spans": spans}],
    }]})
}

fn encode_span(span: &Span) -> Value {
    let mut attributes: Vec<Value> = span.attributes.iter().map(|(key, value)| text(key, value)).collect();
    attributes.push(json!({
        "key": "http.response.status_code", "value": {"intValue": span.status.to_string()},
    }));
    const SERVER: u8 = 2;
    const ERROR: u8 = 2;
    const UNSET: u8 = 0;
    json!({
        "traceId": span.context.trace.to_string(),
        "spanId": span.context.span.to_string(),
        "parentSpanId": span.context.parent.map(|id| id.to_string()).unwrap_or_default(),
        "name": span.name,
        "kind": SERVER,
        "startTimeUnixNano": span.start_ns.to_string(),
        "endTimeUnixNano": span.end_ns.to_string(),
        "attributes": attributes,
        "status": {"code": if span.status >= 500 { ERROR } else { UNSET }},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderMap;
    use std::io::{Read, Write};

    fn span(name: &str) -> Span {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let headers = HeaderMap::from_iter([("traceparent".parse().unwrap(), parent.parse().unwrap())]);
        Span {
            context: Context::of(&headers),
            name: name.to_owned(),
            start_ns: 1_000,
            end_ns: 2_000,
            status: 200,
            attributes: vec![("http.route", "/v1/decide".to_owned())],
        }
    }

    /// A collector that takes one request and hands over its head and body.
    fn collector() -> (String, std::thread::JoinHandle<(String, Value)>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut got = Vec::new();
            let mut chunk = [0; 4_096];
            loop {
                let n = stream.read(&mut chunk).unwrap();
                got.extend_from_slice(&chunk[..n]);
                let text = String::from_utf8(got.clone()).unwrap();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                if let Ok(body) = serde_json::from_str(body) {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
                    return (head.to_owned(), body);
                }
            }
        });
        (url, thread)
    }

    #[test]
    fn a_collector_gets_what_was_sent_before_closing() {
        let (url, collector) = collector();
        let exporter = Exporter::start(&url).unwrap();
        exporter.send(span("POST /v1/decide"));
        exporter.send(span("GET /healthz"));
        exporter.close();
        let (head, body) = collector.join().unwrap();
        assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
        let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(spans[0]["name"], "POST /v1/decide");
        assert_eq!(spans[1]["name"], "GET /healthz");
        assert_eq!(spans[0]["traceId"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(spans[0]["parentSpanId"], "b7ad6b7169203331");
        assert_eq!(exporter.dropped(), 0);
        exporter.send(span("too late"));
        assert_eq!(exporter.dropped(), 1);
    }

    #[test]
    fn a_dead_collector_costs_spans_and_they_are_counted() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let exporter = Exporter::start(&format!("http://{closed}/v1/traces")).unwrap();
        exporter.send(span("lost"));
        exporter.close();
        assert_eq!(exporter.dropped(), 1);
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for given in ["localhost:4318", "ftp://x", "http://"] {
            assert!(Exporter::start(given).is_err(), "{given}");
        }
    }
}
