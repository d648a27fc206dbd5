//! A client that keeps its connection and spends little on itself: what it measures is the server's time.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One connection to a server of ours.
pub struct Client {
    stream: TcpStream,
    key: String,
    buffer: Vec<u8>,
}

/// Status and body.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Client {
    /// Connects; every request carries this key.
    pub fn connect(address: SocketAddr, key: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream, key: key.to_owned(), buffer: Vec::new() })
    }

    /// One request and its answer.
    pub fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            self.key,
            body.len()
        );
        // One write where it is small, so that it is one packet.
        if body.len() < 16 * 1024 {
            self.stream.write_all(&[head.as_bytes(), body].concat())?;
        } else {
            self.stream.write_all(head.as_bytes())?;
            self.stream.write_all(body)?;
        }
        let message = read_message(&mut self.stream, &mut self.buffer)?.context("the server hung up")?;
        let status = message.head.get(9..12).and_then(|code| code.parse().ok()).context("no status")?;
        Ok(Answer { status, body: message.body })
    }

    /// The body of a 200.
    pub fn fetch(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        let answer = self.ask(method, path, body)?;
        if answer.status != 200 {
            bail!("{method} {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(answer.body)
    }
}

/// A request or an answer with a `content-length`.
pub struct Message {
    /// Up to and with the empty line.
    pub head: String,
    pub body: Vec<u8>,
}

/// Reads one message; what follows it stays in `buffer`. `None` where the other side closed before it.
pub fn read_message(stream: &mut impl Read, buffer: &mut Vec<u8>) -> Result<Option<Message>> {
    let mut chunk = [0_u8; 16 * 1024];
    let mut need = None;
    loop {
        if need.is_none()
            && let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(buffer.get(..end + 4).unwrap_or_default()).into_owned();
            let length = length(&head)?;
            need = Some((head, end + 4, end + 4 + length));
        }
        if let Some((head, start, end)) = &need
            && buffer.len() >= *end
        {
            let rest = buffer.split_off(*end);
            let body = buffer.split_off(*start);
            *buffer = rest;
            return Ok(Some(Message { head: head.clone(), body }));
        }
        let n_read = stream.read(&mut chunk)?;
        if n_read == 0 {
            return Ok(None);
        }
        buffer.extend_from_slice(chunk.get(..n_read).unwrap_or_default());
    }
}

fn length(head: &str) -> Result<usize> {
    for line in head.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("a chunked message, which this client does not read");
        }
        if name.eq_ignore_ascii_case("content-length") {
            return value.trim().parse().context("a content-length that is no number");
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_follow_each_other_are_told_apart() {
        let mut wire = &b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\n\r\n"[..];
        let mut buffer = Vec::new();
        let first = read_message(&mut wire, &mut buffer).unwrap().unwrap();
        assert_eq!((first.body.as_slice(), first.head.len()), (&b"hi"[..], 38));
        assert!(read_message(&mut wire, &mut buffer).unwrap().unwrap().head.starts_with("GET"));
        assert!(read_message(&mut wire, &mut buffer).unwrap().is_none());
        assert!(read_message(&mut &b"A\r\nTransfer-Encoding: chunked\r\n\r\n"[..], &mut buffer).is_err());
    }
}
