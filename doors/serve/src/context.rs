//! Where a request belongs: W3C trace context, continued or begun here, and the request's id.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderMap;

/// A trace and one span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    /// The trace, the caller's where it named one.
    pub trace: TraceId,
    /// This request.
    pub span: SpanId,
    /// The caller's span.
    pub parent: Option<SpanId>,
    /// False where the caller said not to record the trace.
    pub sampled: bool,
}

/// Names a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceId(u128);

/// Names a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanId(u64);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Context {
    /// Continues what the header `traceparent` names; begins a trace where it is missing or broken.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let span = SpanId::new();
        let parent = headers.get("traceparent").and_then(|value| parse(value.to_str().ok()?));
        match parent {
            Some((trace, parent, sampled)) => Self { trace, span, parent: Some(parent), sampled },
            None => Self { trace: TraceId::new(), span, parent: None, sampled: true },
        }
    }
}

/// `00-<trace>-<span>-<flags>`; later versions may append fields.
fn parse(value: &str) -> Option<(TraceId, SpanId, bool)> {
    let mut parts = value.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex =
        |text: &str, n| text.len() == n && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let well_formed = is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
    if !well_formed || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
    let span = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((TraceId(trace), SpanId(span), flags & 1 == 1))
}

/// Ids need to differ, not to be secret: a keyed hash of a counter, the key drawn once per process.
fn draw() -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    KEY.hash_one(COUNT.fetch_add(1, Ordering::Relaxed)).max(1)
}

impl TraceId {
    fn new() -> Self {
        Self(u128::from(draw()) << 64 | u128::from(draw()))
    }
}

impl SpanId {
    /// A span no other has the id of.
    pub(crate) fn new() -> Self {
        Self(draw())
    }
}

/// The caller's `x-request-id` where it is a plain word; else the trace's id.
pub(crate) fn request_id(headers: &HeaderMap, context: &Context) -> String {
    let plain = |id: &&str| {
        !id.is_empty()
            && id.len() <= 64
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let given = headers.get("x-request-id").and_then(|value| value.to_str().ok()).filter(plain);
    given.map_or_else(|| context.trace.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(traceparent: &'static str) -> Context {
        Context::of(&HeaderMap::from_iter([("traceparent".parse().unwrap(), traceparent.parse().unwrap())]))
    }

    fn check(traceparent: &'static str, continued: bool, sampled: bool) {
        let context = context(traceparent);
        assert_eq!(context.parent.is_some(), continued, "{traceparent}");
        assert_eq!(context.sampled, sampled, "{traceparent}");
    }

    #[test]
    fn a_callers_trace_is_continued_and_a_broken_one_is_not() {
        let known = context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        assert_eq!(known.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(known.parent.map(|p| p.to_string()).as_deref(), Some("b7ad6b7169203331"));
        check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true, false);
        check("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what", true, true);
        check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what", false, true);
        check("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false, true);
        check("00-00000000000000000000000000000000-b7ad6b7169203331-01", false, true);
        check("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false, true);
        check("00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false, true);
        check("nonsense", false, true);
    }

    #[test]
    fn ids_differ_and_requests_keep_a_plain_id() {
        let none = HeaderMap::new();
        let ids: std::collections::HashSet<_> =
            (0..1_000).map(|_| Context::of(&none).trace.to_string()).collect();
        assert_eq!(ids.len(), 1_000);
        let context = Context::of(&none);
        let id = |given: &'static str| {
            request_id(
                &HeaderMap::from_iter([("x-request-id".parse().unwrap(), given.parse().unwrap())]),
                &context,
            )
        };
        assert_eq!(id("order-17.a"), "order-17.a");
        assert_eq!(id("a b"), context.trace.to_string());
        assert_eq!(id(""), context.trace.to_string());
    }
}
