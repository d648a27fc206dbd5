//! A network that fails at the worst moments: a proxy that refuses some requests and, worse, hands others to the
//! server and then never tells the client.

use anyhow::{Context, Result};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::http::{Message, read_message};

/// What it did.
#[derive(Default)]
pub struct Tally {
    n_requests: AtomicU64,
    /// Taken by the server, the answer lost.
    pub n_unanswered: AtomicU64,
    /// Answered 500 without asking the server.
    pub n_failed: AtomicU64,
    /// Answered 429 without asking the server.
    pub n_limited: AtomicU64,
    /// Passed on with the server's answer.
    pub n_passed: AtomicU64,
    /// Passed on, but the server's answer was not 200.
    pub n_not_200: AtomicU64,
}

/// Starts the proxy in front of `server`; it lives as long as the process.
pub fn start(server: SocketAddr) -> Result<(SocketAddr, Arc<Tally>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let tally = Arc::new(Tally::default());
    let counted = tally.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tally = counted.clone();
            // A connection that breaks is what this is for.
            std::thread::spawn(move || drop(converse(stream, server, &tally)));
        }
    });
    Ok((address, tally))
}

fn converse(mut client: TcpStream, server: SocketAddr, tally: &Tally) -> Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut buffer = Vec::new();
    while let Some(request) = read_message(&mut client, &mut buffer)? {
        match tally.n_requests.fetch_add(1, Relaxed) % 8 {
            1 | 4 => {
                forward(&request, server, tally)?;
                tally.n_unanswered.fetch_add(1, Relaxed);
                return Ok(());
            }
            2 => {
                tally.n_failed.fetch_add(1, Relaxed);
                client.write_all(&refusal("500 Internal Server Error", ""))?;
            }
            6 => {
                tally.n_limited.fetch_add(1, Relaxed);
                client.write_all(&refusal("429 Too Many Requests", "retry-after: 1\r\n"))?;
            }
            _ => {
                let answer = forward(&request, server, tally)?;
                tally.n_passed.fetch_add(1, Relaxed);
                client.write_all(answer.head.as_bytes())?;
                client.write_all(&answer.body)?;
            }
        }
    }
    Ok(())
}

fn forward(request: &Message, server: SocketAddr, tally: &Tally) -> Result<Message> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.write_all(request.head.as_bytes())?;
    stream.write_all(&request.body)?;
    let answer = read_message(&mut stream, &mut Vec::new())?.context("the server hung up")?;
    if !answer.head.starts_with("HTTP/1.1 200") {
        tally.n_not_200.fetch_add(1, Relaxed);
    }
    Ok(answer)
}

fn refusal(status: &str, header: &str) -> Vec<u8> {
    let body = r#"{"code":"unreliable","message":"the network of the test"}"#;
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{header}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
