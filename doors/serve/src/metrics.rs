//! What the server counts about itself, as Prometheus text. Names of routes, use cases and actions, never of people.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use parking_lot::Mutex;

/// Upper bounds of the latency buckets, in microseconds.
const BOUNDS_US: [u64; 14] = [
    500, 1_000, 2_000, 3_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000,
];

/// Counters of the whole door.
pub(crate) struct Metrics {
    index: HashMap<&'static str, Vec<(Method, usize)>>,
    routes: Vec<Route>,
    /// What became of tracked events.
    pub events: Events,
    decisions: Mutex<BTreeMap<(String, String), u64>>,
}

/// What became of tracked events.
#[derive(Default)]
pub(crate) struct Events {
    /// In the journal under their contract.
    pub accepted: AtomicU64,
    /// In quarantine with their findings.
    pub quarantined: AtomicU64,
    /// Known already.
    pub duplicates: AtomicU64,
    /// Not taken at all.
    pub refused: AtomicU64,
}

struct Route {
    method: String,
    path: &'static str,
    by_status: Mutex<BTreeMap<u16, u64>>,
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Route {
    fn new(method: &str, path: &'static str) -> Self {
        Self {
            method: method.to_owned(),
            path,
            by_status: Mutex::default(),
            buckets: Default::default(),
            sum_us: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// Counters for these routes, and one more for what matches none.
    pub(crate) fn new(routes: impl IntoIterator<Item = (Method, &'static str)>) -> Self {
        let mut index: HashMap<_, Vec<_>> = HashMap::new();
        let mut list = vec![Route::new("other", "none")];
        for (method, path) in routes {
            index.entry(path).or_default().push((method.clone(), list.len()));
            list.push(Route::new(method.as_str(), path));
        }
        Self { index, routes: list, events: Events::default(), decisions: Mutex::default() }
    }

    /// Counts one answer; `path` is the route's template.
    pub(crate) fn answered(&self, method: &Method, path: Option<&str>, status: StatusCode, took: Duration) {
        let found = path.and_then(|path| self.index.get(path)).and_then(|methods| {
            methods.iter().find(|(m, _)| m == method || (m == Method::GET && method == Method::HEAD))
        });
        let Some(route) = self.routes.get(found.map_or(0, |(_, index)| *index)) else { return };
        *route.by_status.lock().entry(status.as_u16()).or_default() += 1;
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.iter().position(|bound| took_us <= *bound).unwrap_or(BOUNDS_US.len());
        if let Some(bucket) = route.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        route.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    /// Counts one decision.
    pub(crate) fn decided(&self, use_case: &str, chosen: &str) {
        *self.decisions.lock().entry((use_case.to_owned(), chosen.to_owned())).or_default() += 1;
    }

    /// Everything counted here, as text.
    pub(crate) fn render(&self, page: &mut Page) {
        page.family("maschinenraum_http_requests_total", "counter", "Answered requests by route and status.");
        for route in &self.routes {
            for (status, n) in route.by_status.lock().iter() {
                let status = status.to_string();
                let labels = [("method", route.method.as_str()), ("route", route.path), ("status", &status)];
                page.sample("maschinenraum_http_requests_total", &labels, *n as f64);
            }
        }
        page.family("maschinenraum_http_request_seconds", "histogram", "Time to answer by route.");
        for route in &self.routes {
            route.render(page);
        }
        page.family("maschinenraum_events_total", "counter", "Tracked events by what became of them.");
        let events = &self.events;
        for (fate, n) in [
            ("accepted", &events.accepted),
            ("quarantined", &events.quarantined),
            ("duplicate", &events.duplicates),
            ("refused", &events.refused),
        ] {
            page.sample("maschinenraum_events_total", &[("fate", fate)], n.load(Ordering::Relaxed) as f64);
        }
        page.family(
            "maschinenraum_decisions_total",
            "counter",
            "Decisions answered here, by use case and action.",
        );
        for ((use_case, chosen), n) in self.decisions.lock().iter() {
            let labels = [("use_case", use_case.as_str()), ("action", chosen.as_str())];
            page.sample("maschinenraum_decisions_total", &labels, *n as f64);
        }
    }
}

impl Route {
    fn render(&self, page: &mut Page) {
        let name = "maschinenraum_http_request_seconds";
        let labels = [("method", self.method.as_str()), ("route", self.path)];
        let counts: Vec<u64> = self.buckets.iter().map(|b| b.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return;
        }
        let bounds = BOUNDS_US.iter().map(|us| (*us as f64 / 1e6).to_string()).chain(["+Inf".to_owned()]);
        let mut seen = 0;
        for (bound, n) in bounds.zip(counts) {
            seen += n;
            let [method, route] = labels;
            page.sample(&format!("{name}_bucket"), &[method, route, ("le", &bound)], seen as f64);
        }
        page.sample(&format!("{name}_sum"), &labels, self.sum_us.load(Ordering::Relaxed) as f64 / 1e6);
        page.sample(&format!("{name}_count"), &labels, total as f64);
    }
}

/// A page in the Prometheus text format.
#[derive(Default)]
pub(crate) struct Page(String);

impl Page {
    /// Says what the samples that follow are.
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One figure.
    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (i, (key, text)) in labels.iter().enumerate() {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{key}=\"{escaped}\"", if i == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// A family of one figure.
    pub(crate) fn single(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// Bytes of memory this process holds, where the system says.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_route_status_and_time() {
        let metrics = Metrics::new([(Method::GET, "/a"), (Method::POST, "/a")]);
        let ms = Duration::from_millis;
        metrics.answered(&Method::POST, Some("/a"), StatusCode::OK, ms(2));
        metrics.answered(&Method::POST, Some("/a"), StatusCode::OK, ms(60_000));
        metrics.answered(&Method::HEAD, Some("/a"), StatusCode::OK, ms(1));
        metrics.answered(&Method::PUT, Some("/a"), StatusCode::METHOD_NOT_ALLOWED, ms(1));
        metrics.answered(&Method::GET, None, StatusCode::NOT_FOUND, ms(1));
        metrics.decided("win \"back\"", "mail");
        let mut page = Page::default();
        metrics.render(&mut page);
        let text = page.finish();
        for line in [
            "maschinenraum_http_requests_total{method=\"POST\",route=\"/a\",status=\"200\"} 2",
            "maschinenraum_http_requests_total{method=\"GET\",route=\"/a\",status=\"200\"} 1",
            "maschinenraum_http_requests_total{method=\"other\",route=\"none\",status=\"404\"} 1",
            "maschinenraum_http_requests_total{method=\"other\",route=\"none\",status=\"405\"} 1",
            "maschinenraum_http_request_seconds_bucket{method=\"POST\",route=\"/a\",le=\"0.001\"} 0",
            "maschinenraum_http_request_seconds_bucket{method=\"POST\",route=\"/a\",le=\"0.002\"} 1",
            "maschinenraum_http_request_seconds_bucket{method=\"POST\",route=\"/a\",le=\"10\"} 1",
            "maschinenraum_http_request_seconds_bucket{method=\"POST\",route=\"/a\",le=\"+Inf\"} 2",
            "maschinenraum_http_request_seconds_count{method=\"POST\",route=\"/a\"} 2",
            "maschinenraum_http_request_seconds_sum{method=\"POST\",route=\"/a\"} 60.002",
            "maschinenraum_decisions_total{use_case=\"win \\\"back\\\"\",action=\"mail\"} 1",
            "maschinenraum_events_total{fate=\"accepted\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn memory_is_known_on_linux() {
        assert_eq!(resident_bytes().is_some(), cfg!(target_os = "linux"));
    }
}
