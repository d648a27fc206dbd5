//! Bodies: read whole within a limit, unpacked within the same limit, UTF-8, then JSON.

use std::future::poll_fn;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use crate::refusal::{Refusal, short};

/// The largest body of a tracking request, packed or unpacked: what Segment takes.
pub(crate) const MAX_TRACKING_BYTES: usize = 500 * 1_024;
/// The largest body of every other request.
pub(crate) const MAX_BYTES: usize = 1_024 * 1_024;

/// How much of a refused body is still read.
const MAX_DRAINED_BYTES: usize = 8 * 1_024 * 1_024;
/// And for how long.
const MAX_DRAINING: Duration = Duration::from_secs(2);

/// Reads a body whole and unpacks it.
pub(crate) async fn read(headers: &HeaderMap, mut body: Body, limit_bytes: usize) -> Result<Bytes, Refusal> {
    let (bytes, packed) = read_packed(headers, &mut body, limit_bytes).await?;
    if packed { gunzip(&bytes, limit_bytes).map(Bytes::from) } else { Ok(bytes) }
}

/// Lends a request's body to whoever answers it, and gets back what they left unread.
pub(crate) fn lend(request: Request) -> (Request, Unread) {
    let unread = Unread(Arc::default());
    if request.body().is_end_stream() {
        return (request, unread);
    }
    let request = request.map(|body| Body::new(Lent { body, returned: Arc::clone(&unread.0) }));
    (request, unread)
}

/// What nobody read of a body.
pub(crate) struct Unread(Arc<Mutex<Option<Body>>>);

impl Unread {
    /// Reads on without keeping anything, for a while: a connection closed with unread bytes is reset, and the client
    /// would see that instead of the answer.
    pub(crate) async fn drain(self) {
        let Some(mut body) = self.0.lock().take() else { return };
        let reading = async {
            let mut n_bytes = 0;
            while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                n_bytes += frame.data_ref().map_or(0, Bytes::len);
                if n_bytes > MAX_DRAINED_BYTES {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(MAX_DRAINING, reading).await;
    }
}

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Body,
    returned: Arc<Mutex<Option<Body>>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            *self.returned.lock() = Some(std::mem::take(&mut self.body));
        }
    }
}

async fn read_packed(
    headers: &HeaderMap,
    body: &mut Body,
    limit_bytes: usize,
) -> Result<(Bytes, bool), Refusal> {
    let packed = is_gzip(headers)?;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|n| n > limit_bytes) {
        return Err(Refusal::TooLarge { limit_bytes });
    }
    Ok((collect(body, declared, limit_bytes).await?, packed))
}

async fn collect(body: &mut Body, declared: Option<usize>, limit_bytes: usize) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut whole = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        let frame = frame.map_err(|e| Refusal::BodyBroken { reason: short(&e.to_string(), 100) })?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + whole.len() + data.len() > limit_bytes {
            return Err(Refusal::TooLarge { limit_bytes });
        }
        // A body that comes in one piece is not copied.
        if first.is_empty() && whole.is_empty() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.reserve(declared.unwrap_or(first.len() * 2).min(limit_bytes));
            whole.extend_from_slice(&first);
            first = Bytes::new();
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { first } else { Bytes::from(whole) })
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let (Some(encoding), more) = (encodings.next(), encodings.next()) else { return Ok(false) };
    let given = encoding.to_str().unwrap_or("?").trim().to_ascii_lowercase();
    match given.as_str() {
        _ if more.is_some() => Err(Refusal::Encoding { given: "several encodings".to_owned() }),
        "" | "identity" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        _ => Err(Refusal::Encoding { given: short(&given, 40) }),
    }
}

/// Unpacks, and stops at the limit: a bomb costs no more than a body of the largest size.
fn gunzip(packed: &[u8], limit_bytes: usize) -> Result<Vec<u8>, Refusal> {
    let mut plain = Vec::with_capacity((packed.len() * 4).min(limit_bytes));
    let mut decoder = MultiGzDecoder::new(packed).take(limit_bytes as u64 + 1);
    decoder.read_to_end(&mut plain).map_err(|e| Refusal::Gzip { reason: short(&e.to_string(), 100) })?;
    if plain.len() > limit_bytes {
        return Err(Refusal::GzipBomb { packed_bytes: packed.len(), limit_bytes });
    }
    Ok(plain)
}

/// Which content types a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/json` only, so that no browser form can send it unasked.
    Json,
    /// Also `text/plain`, which browser clients send to save a preflight, and none at all.
    JsonOrText,
}

/// Checks the header `Content-Type`.
pub(crate) fn check_media(headers: &HeaderMap, media: Media) -> Result<(), Refusal> {
    let expected = "application/json";
    let Some(given) = headers.get(header::CONTENT_TYPE) else {
        return match media {
            Media::JsonOrText => Ok(()),
            Media::Json => Err(Refusal::MediaType { given: "none".to_owned(), expected }),
        };
    };
    let given = given.to_str().unwrap_or("?");
    let refused = || Refusal::MediaType { given: short(given, 80), expected };
    let mut parts = given.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let is_json = essence.eq_ignore_ascii_case(expected)
        || (essence.len() > 5 && essence.to_ascii_lowercase().ends_with("+json"));
    let is_text = media == Media::JsonOrText && essence.eq_ignore_ascii_case("text/plain");
    if !is_json && !is_text {
        return Err(refused());
    }
    for part in parts {
        let Some((name, value)) = part.split_once('=') else { continue };
        let charset = value.trim_matches('"');
        if name.eq_ignore_ascii_case("charset")
            && !["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
        {
            return Err(Refusal::MediaType {
                given: short(given, 80),
                expected: "application/json; charset=utf-8",
            });
        }
    }
    Ok(())
}

/// The body as text, without a byte order mark.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let reason = match bytes {
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "it is UTF-16".to_owned(),
            _ => {
                let at = error.valid_up_to();
                let byte = bytes.get(at).copied().unwrap_or_default();
                format!("byte {at} is 0x{byte:02X}; is it Windows-1252 or Latin-1?")
            }
        };
        Refusal::NotUtf8 { reason }
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Reads JSON of a known shape.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let text = text(bytes)?;
    serde_json::from_str(text).map_err(|error| explain(&error, text))
}

/// A parser's error in the caller's words.
pub(crate) fn explain(error: &serde_json::Error, text: &str) -> Refusal {
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    match error.classify() {
        _ if said.starts_with("recursion limit exceeded") => Refusal::TooDeep { line, column },
        serde_json::error::Category::Data => Refusal::WrongShape { reason: short(&said, 300) },
        _ if text.trim().is_empty() => Refusal::NotJson { reason: "it is empty".to_owned() },
        _ => {
            let row = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
            let start = row.floor_char_boundary(column.saturating_sub(12));
            let near = row.get(start..).unwrap_or_default();
            Refusal::NotJson { reason: format!("{}, near `{}`", short(&said, 200), short(near, 24)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    async fn check(encoding: &'static str, body: impl Into<Body>, expected: Result<&str, &str>) {
        let got = read(&headers(&[("content-encoding", encoding)]), body.into(), 1_000).await;
        match (got, expected) {
            (Ok(bytes), Ok(text)) => assert_eq!(bytes, text.as_bytes()),
            (Err(refusal), Err(code)) => assert_eq!(refusal.code(), code, "{refusal}"),
            (got, expected) => panic!("{got:?} is not {expected:?}"),
        }
    }

    #[tokio::test]
    async fn bodies_are_read_within_the_limit_packed_and_unpacked() {
        check("identity", "plain", Ok("plain")).await;
        check("gzip", gzip(b"packed"), Ok("packed")).await;
        let mut two = gzip(b"two ");
        two.extend(gzip(b"members"));
        check("gzip", two, Ok("two members")).await;
        check("identity", "x".repeat(1_001), Err("MR7012")).await;
        check("gzip", gzip(&vec![b'x'; 1_000]), Ok(&"x".repeat(1_000))).await;
        check("gzip", gzip(&vec![b'x'; 100_000]), Err("MR7016")).await;
        check("gzip", "not packed", Err("MR7015")).await;
        check("gzip", gzip(b"cut short")[..12].to_vec(), Err("MR7015")).await;
        check("br", "plain", Err("MR7014")).await;
        check("gzip, gzip", "plain", Err("MR7014")).await;
    }

    struct Pieces(usize);

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = std::io::Error;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            let left = self.0;
            self.0 = left.saturating_sub(1);
            let piece = (left > 0).then(|| Ok(Frame::data(Bytes::from(format!("{left:04}")))));
            std::task::Poll::Ready(piece)
        }
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_put_together_and_counted() {
        let pieces = |n| Body::new(Pieces(n));
        let got = read(&HeaderMap::new(), pieces(3), 1_000).await.unwrap();
        assert_eq!(got, "000300020001");
        assert_eq!(read(&HeaderMap::new(), pieces(251), 1_000).await.unwrap_err().code(), "MR7012");
        let told = headers(&[("content-length", "1001")]);
        assert_eq!(read(&told, pieces(1), 1_000).await.unwrap_err().code(), "MR7012");
    }

    #[test]
    fn content_types() {
        let ok = |given, media| check_media(&headers(&[("content-type", given)]), media).is_ok();
        assert!(ok("application/json", Media::Json) && ok("application/json; charset=UTF-8", Media::Json));
        assert!(ok("application/vnd.x+json", Media::Json));
        assert!(ok("text/plain;charset=utf-8", Media::JsonOrText) && !ok("text/plain", Media::Json));
        assert!(!ok("application/x-www-form-urlencoded", Media::JsonOrText));
        assert!(!ok("application/json; charset=windows-1252", Media::Json));
        assert!(check_media(&HeaderMap::new(), Media::JsonOrText).is_ok());
        assert!(check_media(&HeaderMap::new(), Media::Json).is_err());
    }

    #[test]
    fn json_errors_quote_what_was_sent() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Shape {
            #[allow(dead_code)]
            cents: u64,
        }
        let refused = |bytes: &[u8]| json::<Shape>(bytes).unwrap_err();
        assert!(json::<Shape>("\u{feff}{\"cents\": 3}".as_bytes()).is_ok());
        assert!(refused(b"{\"cents\": NaN}").to_string().contains("near `{\"cents\": NaN}`"));
        assert!(refused(b"{\"cents\": \"3\"}").to_string().contains("invalid type: string \"3\""));
        assert!(refused(b"{\"cent\": 3}").to_string().contains("unknown field `cent`"));
        assert!(refused(b"  ").to_string().contains("it is empty"));
        assert!(refused(b"{\"cents\": \"M\xfcller\"}").to_string().contains("byte 12 is 0xFC"));
        assert!(refused(b"\xff\xfe{\x00").to_string().contains("UTF-16"));
        assert_eq!(json::<serde_json::Value>("[".repeat(10_000).as_bytes()).unwrap_err().code(), "MR7019");
        for end in 0..40 {
            let text = "{\"name\": \"ÄÖÜ🙂\", \"x\": nul";
            let cut = text.floor_char_boundary(end.min(text.len()));
            let _ = json::<serde_json::Value>(&text.as_bytes()[..cut]).unwrap_err();
        }
    }
}
