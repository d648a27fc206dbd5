//! The door without a house behind it: what every request meets whatever its route.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{Method, StatusCode};

use crate::gate::{self, Gate};
use crate::keeper::Keeper;
use crate::problem::Problem;
use crate::rate::Rates;
use crate::routes::{Spec, Table};
use crate::server::Listening;
use crate::settings::{Settings, Tls};

async fn echo(request: Request) -> Result<Vec<u8>, Problem> {
    let (parts, body) = request.into_parts();
    Ok(crate::body::read(&parts.headers, body, 1_000).await?.to_vec())
}

async fn stuck() {
    std::future::pending().await
}

struct Door {
    listening: Listening,
    gate: Arc<Gate>,
}

fn door(change: impl FnOnce(&mut Settings)) -> Door {
    let mut settings = Settings::listening_at("127.0.0.1:0".parse().unwrap());
    settings.timeout = Duration::from_millis(300);
    change(&mut settings);
    let authenticate = |secret: &str| match secret {
        "mr_1_a" => Ok(policy::Principal::new("shop", [policy::Scope::Track])),
        _ => Err(Problem::new(
            "MR3020",
            "this is no API key of this house".to_owned(),
            StatusCode::UNAUTHORIZED,
            None,
        )),
    };
    let keeper = Arc::new(Keeper::new(Box::new(authenticate), Rates::new(1, 2)));
    let table = Table::<()>::new(keeper)
        .add(Spec::post("/v1/track", "t", "t").for_browsers(), echo)
        .add(Spec::post("/v1/decide", "t", "t").scope(policy::Scope::Decide), echo)
        .add(Spec::get("/v1/own", "t", "t").scope(policy::Scope::Track), || async { "yours" })
        .add(Spec::post("/deaf", "t", "t"), || async { "what?" })
        .add(Spec::get("/stuck", "t", "t"), stuck);
    let gate = Arc::new(Gate::new(&settings, table.names(), table.for_browsers(), None));
    let router = gate::stand_before(Arc::clone(&gate), table.into_router());
    Door { listening: Listening::start(router, Arc::clone(&gate), &settings).unwrap(), gate }
}

fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    // A reset after the answer is the peer's right; one before it would leave the answer empty.
    let _ = stream.read_to_string(&mut answer);
    answer
}

impl Door {
    fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> String {
        let n = body.len();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {n}\r\n{headers}\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        exchange(self.listening.address, &request)
    }

    fn close(self) {
        self.listening.shutdown.begin();
        self.listening.wait().unwrap();
    }
}

/// Status line, the headers named, and the body, as one text for a snapshot.
fn shown(answer: &str, headers: &[&str]) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().to_owned();
    let kept =
        lines.filter(|line| headers.iter().any(|h| line.split(':').next() == Some(h))).map(str::to_owned);
    [status].into_iter().chain(kept).chain([body.to_owned()]).collect::<Vec<_>>().join("\n")
}

fn check(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
    assert!(answer.contains("x-request-id: ") && answer.contains("application/json"), "{answer}");
}

#[test]
fn what_no_route_answers() {
    let door = door(|_| ());
    insta::assert_snapshot!("no_route", shown(&door.ask("GET", "/v1/nothing", "", b""), &["content-type"]));
    insta::assert_snapshot!(
        "wrong_method",
        shown(&door.ask("PUT", "/v1/track", "", b"{}"), &["content-type", "allow"])
    );
    assert!(door.ask("POST", "/v1/track", "", b"hello").ends_with("hello"));
    let text = {
        let mut page = crate::metrics::Page::default();
        door.gate.metrics.render(&mut page);
        page.finish()
    };
    assert!(text.contains("{method=\"POST\",route=\"/v1/track\",status=\"200\"} 1"), "{text}");
    assert!(text.contains("{method=\"other\",route=\"none\",status=\"404\"} 1"), "{text}");
    door.close();
}

#[test]
fn a_head_or_a_url_too_large_is_refused_in_words() {
    let door = door(|_| ());
    let field = |n: usize| format!("x-long: {}\r\n", "a".repeat(n));
    insta::assert_snapshot!(
        "large_header",
        shown(&door.ask("POST", "/v1/track", &field(20_000), b"{}"), &[])
    );
    check(&door.ask("POST", "/v1/track", &"x-many: 1\r\n".repeat(70), b"{}"), 431, "MR7028");
    check(&door.ask("POST", &format!("/v1/track?{}", "a".repeat(5_000)), "", b"{}"), 414, "MR7029");
    // Beyond what hyper reads at all there is a status and no body.
    assert!(door.ask("POST", "/v1/track", &field(200_000), b"{}").starts_with("HTTP/1.1 431 "));
    assert!(
        exchange(door.listening.address, b"\x16\x03\x01\x00nonsense\r\n\r\n").starts_with("HTTP/1.1 400 ")
    );
    door.close();
}

/// A client may send its body a moment after its head, and asks again on the same connection: who answers without
/// having looked at the body must not cost it that connection.
#[test]
fn a_body_nobody_looks_at_costs_no_connection() {
    let door = door(|_| ());
    let mut stream = TcpStream::connect(door.listening.address).unwrap();
    for path in ["/deaf", "/v1/nothing", "/v1/own", "/deaf"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        stream.write_all(b"3\r\nabc\r\n0\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.windows(4).any(|w| w == b"\r\n\r\n") {
            let mut bytes = [0; 4_096];
            let n = stream.read(&mut bytes).unwrap();
            assert!(n > 0, "{path}: closed after {:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&bytes[..n]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 "), "{path}");
    }
    drop(stream);
    door.close();
}

#[test]
fn a_refused_body_is_read_so_that_the_answer_arrives() {
    let door = door(|_| ());
    check(&door.ask("POST", "/v1/track", "", &vec![b'x'; 2_000_000]), 413, "MR7012");
    check(&door.ask("POST", "/v1/nothing", "", &vec![b'x'; 2_000_000]), 404, "MR7010");
    check(&door.ask("POST", "/v1/track", &"x-many: 1\r\n".repeat(70), &vec![b'x'; 2_000_000]), 431, "MR7028");
    let mut cut = TcpStream::connect(door.listening.address).unwrap();
    cut.write_all(b"POST /v1/track HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nshort").unwrap();
    cut.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = cut.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.contains("MR7026"), "{answer}");
    door.close();
}

#[test]
fn browsers_send_from_allowed_pages_only() {
    let door = door(|s| s.browser_origins = vec!["https://shop.example".to_owned()]);
    let shop = "origin: https://shop.example\r\n";
    let ask = "access-control-request-method: POST\r\naccess-control-request-headers: authorization\r\n";
    let cors = [
        "access-control-allow-origin",
        "access-control-allow-methods",
        "access-control-allow-headers",
        "access-control-max-age",
        "vary",
    ];
    let preflight = door.ask("OPTIONS", "/v1/track", &format!("{shop}{ask}"), b"");
    insta::assert_snapshot!("preflight", shown(&preflight, &cors));
    let sent = door.ask("POST", "/v1/track", &format!("{shop}content-type: text/plain\r\n"), b"{}");
    insta::assert_snapshot!("from_browser", shown(&sent, &cors));
    check(
        &door.ask("OPTIONS", "/v1/track", &format!("origin: https://evil.example\r\n{ask}"), b""),
        403,
        "MR7030",
    );
    check(&door.ask("POST", "/v1/track", "origin: null\r\n", b"{}"), 403, "MR7030");
    // Routes that are not for browsers have no preflight to pass.
    check(&door.ask("OPTIONS", "/stuck", &format!("{shop}{ask}"), b""), 405, "MR7011");
    door.close();
}

#[test]
fn what_takes_too_long_is_given_up_and_places_are_counted() {
    let door = door(|s| s.max_in_flight = 1);
    let address = door.listening.address;
    insta::assert_snapshot!("timed_out", shown(&door.ask("GET", "/stuck", "", b""), &["retry-after"]));
    assert_eq!(door.gate.in_flight(), 0);
    let waiting = std::thread::spawn(move || {
        exchange(address, b"GET /stuck HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    });
    while door.gate.in_flight() == 0 {
        std::thread::yield_now();
    }
    insta::assert_snapshot!("busy", shown(&door.ask("POST", "/v1/track", "", b"{}"), &["retry-after"]));
    check(&waiting.join().unwrap(), 503, "MR7027");
    door.close();
}

#[test]
fn a_shutdown_finishes_what_is_under_way() {
    let door = door(|s| s.timeout = Duration::from_millis(500));
    let address = door.listening.address;
    let waiting = std::thread::spawn(move || exchange(address, b"GET /stuck HTTP/1.1\r\nhost: x\r\n\r\n"));
    while door.gate.in_flight() == 0 {
        std::thread::yield_now();
    }
    door.listening.shutdown.begin();
    assert!(door.gate.closing.load(Ordering::Relaxed));
    door.listening.wait().unwrap();
    let answer = waiting.join().unwrap();
    check(&answer, 503, "MR7027");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn connections_beyond_the_limit_are_dropped() {
    let door = door(|s| s.max_connections = 1);
    let address = door.listening.address;
    let mut first = TcpStream::connect(address).unwrap();
    first.write_all(b"GET /stuck HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    while door.gate.in_flight() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(exchange(address, b"GET /stuck HTTP/1.1\r\nhost: x\r\n\r\n"), "");
    drop(first);
    door.close();
}

#[test]
fn a_key_opens_what_its_scope_allows_as_often_as_its_rate_allows() {
    let door = door(|_| ());
    let bearer = |key: &str| format!("authorization: Bearer {key}\r\n");
    let shown = |answer: String| shown(&answer, &["www-authenticate", "retry-after", "x-ratelimit-reset"]);
    insta::assert_snapshot!("no_key", shown(door.ask("GET", "/v1/own", "", b"")));
    insta::assert_snapshot!("forged_key", shown(door.ask("GET", "/v1/own", &bearer("mr_1_b"), b"")));
    insta::assert_snapshot!(
        "broken_key",
        shown(door.ask("GET", "/v1/own", "authorization: Basic §\r\n", b""))
    );
    insta::assert_snapshot!(
        "wrong_scope",
        shown(door.ask("POST", "/v1/decide", &bearer("mr_1_a"), &[b'x'; 300_000]))
    );
    assert!(door.ask("GET", "/v1/own", &bearer("mr_1_a"), b"").ends_with("yours"));
    assert!(door.ask("GET", "/v1/own", "authorization: Basic bXJfMV9hOg==\r\n", b"").ends_with("yours"));
    let until_refused =
        (0..100).map(|_| door.ask("GET", "/v1/own", &bearer("mr_1_a"), b"")).find(|a| a.contains("429"));
    insta::assert_snapshot!("too_many", shown(until_refused.unwrap()));
    door.close();
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let first = door(|_| ());
    let taken = first.listening.address;
    let settings = Settings::listening_at(taken);
    let gate = Arc::new(Gate::new(&settings, vec![(Method::GET, "/")], Vec::new(), None));
    let error = Listening::start(axum::Router::new(), gate, &settings).err().unwrap();
    assert!(error.code() == "MR7040" && error.to_string().contains(&taken.to_string()), "{error}");
    first.close();
}

fn testdata(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

#[test]
fn tls_serves_with_the_certificate_it_was_given() {
    let tls = Tls { certificate: testdata("localhost.cert.pem"), key: testdata("localhost.key.pem") };
    let door = door(|s| s.tls = Some(tls));
    let pem = std::fs::read(testdata("localhost.cert.pem")).unwrap();
    let root = ureq::tls::Certificate::from_pem(&pem).unwrap();
    let config =
        ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::new_with_certs(&[root])).build();
    let agent: ureq::Agent = ureq::Agent::config_builder().tls_config(config).build().into();
    let url = format!("https://localhost:{}/v1/track", door.listening.address.port());
    let answer = agent.post(&url).send("over TLS").unwrap().body_mut().read_to_string().unwrap();
    assert_eq!(answer, "over TLS");
    door.close();
}

#[test]
fn tls_files_that_cannot_be_used_are_named() {
    let refused = |certificate: &str, key: &str| {
        let tls = Tls { certificate: testdata(certificate), key: testdata(key) };
        let error = crate::tls::load(&tls).err().unwrap();
        assert_eq!(error.code(), "MR7041");
        error.to_string()
    };
    assert!(refused("missing.pem", "localhost.key.pem").contains("missing.pem"));
    assert!(refused("localhost.cert.pem", "localhost.cert.pem").contains("localhost.cert.pem"));
    assert!(refused("localhost.key.pem", "localhost.key.pem").contains("localhost.key.pem"));
}
