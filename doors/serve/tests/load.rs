//! Many clients at once: nothing is lost, nothing doubled, and every acknowledged event is there. Prints how fast it
//! went; the bars are held by `cargo xtask bench`, on a release build. `MASCHINENRAUM_LOAD` multiplies the work.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise"
)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use common::{Served, serve};

/// A client that keeps its connection and spends little on itself.
struct Client {
    stream: TcpStream,
    head: String,
    answer: Vec<u8>,
}

impl Client {
    fn new(address: SocketAddr, path: &str, key: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: "
        );
        Self { stream, head, answer: vec![0; 65_536] }
    }

    /// Sends one request and gives status and body.
    fn ask(&mut self, body: &str) -> (u16, String) {
        let request = format!("{}{}\r\n\r\n{body}", self.head, body.len());
        self.stream.write_all(request.as_bytes()).unwrap();
        let mut n = 0;
        loop {
            let read = self.stream.read(&mut self.answer[n..]).unwrap();
            assert!(read > 0, "the server closed the connection");
            n += read;
            let text = String::from_utf8_lossy(&self.answer[..n]);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse::<usize>().unwrap() {
                return (head[9..12].parse().unwrap(), body.to_owned());
            }
        }
    }
}

fn scale() -> usize {
    std::env::var("MASCHINENRAUM_LOAD").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// Runs `n_clients` threads of `n` requests each and gives every request's time.
fn run(served: &Served, path: &str, n_clients: usize, bodies: &[Vec<String>]) -> Vec<Duration> {
    let address = served.running.as_ref().unwrap().address();
    let key = served.key.clone();
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..n_clients)
            .map(|client| {
                let (bodies, key) = (&bodies[client], &key);
                scope.spawn(move || {
                    let mut client = Client::new(address, path, key);
                    let ask = |body: &String| {
                        let began = Instant::now();
                        let (status, answer) = client.ask(body);
                        assert_eq!(status, 200, "{answer}");
                        began.elapsed()
                    };
                    bodies.iter().map(ask).collect::<Vec<_>>()
                })
            })
            .collect();
        times.extend(clients.into_iter().flat_map(|client| client.join().unwrap()));
    });
    times.sort_unstable();
    times
}

fn report(what: &str, n: usize, took: Duration, times: &[Duration]) {
    let ms = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let (per_second, p50, p99) = (n as f64 / took.as_secs_f64(), ms(0.5), ms(0.99));
    eprintln!("LOAD {what}: {per_second:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms");
}

/// An order of about 500 bytes.
fn call(client: usize, batch: usize, n: usize) -> String {
    let user = (client * 7_919 + batch * 31 + n) % 2_000;
    let filler = "x".repeat(180);
    let email =
        if n.is_multiple_of(5) { format!(r#","email":"u{user}@example.org""#) } else { String::new() };
    format!(
        r#"{{"type":"track","event":"Order Completed","userId":"u{user}","messageId":"{client}-{batch}-{n}","timestamp":"2026-03-01T12:00:00Z","context":{{"library":{{"name":"load","version":"1"}},"page":{{"path":"/checkout","title":"{filler}"}}}},"properties":{{"total_cents":100{email}}}}}"#
    )
}

#[test]
fn many_clients_send_batches_and_every_event_is_there_once() {
    let served = serve(|_| ());
    let (n_clients, n_batches, n_calls) = (4, 10 * scale(), 100);
    let bodies: Vec<Vec<String>> = (0..n_clients)
        .map(|client| {
            let batch = |b| (0..n_calls).map(|n| call(client, b, n)).collect::<Vec<_>>().join(",");
            (0..n_batches).map(|b| format!(r#"{{"batch":[{}]}}"#, batch(b))).collect()
        })
        .collect();
    let began = Instant::now();
    let times = run(&served, "/v1/batch", n_clients, &bodies);
    let n_events = n_clients * n_batches * n_calls;
    report("intake, batches of 100", n_events, began.elapsed(), &times);
    let began = Instant::now();
    served.settle();
    eprintln!("LOAD folded after another {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    let stored = || served.get("/v1/streams").json()["streams"]["orders"]["records"].as_u64().unwrap();
    assert_eq!(stored(), n_events as u64);
    // The same again, as a client does that never got its answer.
    let first: Vec<Vec<String>> = bodies.iter().map(|b| b[..1].to_vec()).collect();
    run(&served, "/v1/batch", n_clients, &first);
    served.settle();
    assert_eq!(stored(), n_events as u64);
    served.close();
}

#[test]
fn many_clients_ask_for_decisions_at_once() {
    let served = serve(|_| ());
    let (n_clients, n_asked) = (32, 20 * scale());
    (0..64).for_each(|user| served.consent(&format!("u{user}")));
    let bodies: Vec<Vec<String>> = (0..n_clients)
        .map(|client| {
            let user = |n| (client + n * n_clients) % 64;
            let body = |n| {
                format!(r#"{{"use_case":"thanks","identifier":{{"kind":"user_id","value":"u{}"}}}}"#, user(n))
            };
            (0..n_asked).map(body).collect()
        })
        .collect();
    let began = Instant::now();
    let times = run(&served, "/v1/decide", n_clients, &bodies);
    report("decide, 32 at once", n_clients * n_asked, began.elapsed(), &times);
    let counted = served.get("/metrics").body;
    let counted = counted.lines().filter(|line| line.starts_with("maschinenraum_decisions_total"));
    let counted: f64 = counted.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
    assert_eq!(counted as usize, n_clients * n_asked);
    served.close();
}
