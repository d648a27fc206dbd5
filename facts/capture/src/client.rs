//! A blocking client: connects, logs in, asks. One message at a time, nothing pipelined.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::backend::{ErrorFields, Message};
use postgres_protocol::message::frontend;
use rustls::{ClientConnection, StreamOwned};
use zeroize::Zeroizing;

use crate::{Address, Error, Tls, tls};

/// How long a connection and the log-in may take, each step of them.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest message a server may send; PostgreSQL's own limit is 1 GiB.
const MAX_MESSAGE: usize = (1 << 30) + (1 << 20);
/// What is read from the network at once.
const CHUNK: usize = 128 << 10;

/// What a session says about itself: dates, zones and numbers as [`crate::value`] reads them.
const SESSION: [(&str, &str); 5] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("TimeZone", "UTC"),
    ("IntervalStyle", "iso_8601"),
    ("extra_float_digits", "3"),
];

/// How to log in.
#[derive(Clone)]
pub struct Login {
    /// Where.
    pub address: Address,
    /// The password, where one is needed.
    pub password: Option<Zeroizing<String>>,
    /// How the way is protected.
    pub tls: Tls,
}

/// A connection to a database.
pub struct Client {
    stream: Stream,
    inbox: BytesMut,
    outbox: BytesMut,
    chunk: Box<[u8]>,
    address: String,
    wait: Option<Duration>,
}

/// What came.
pub(crate) enum Frame {
    /// A part of what is copied or streamed.
    Copy(Bytes),
    /// Streaming begins.
    CopyBoth,
    /// Anything else.
    Message(Message),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Client {
    /// Connects and logs in; `replication` for a session that may stream changes.
    ///
    /// # Errors
    /// [`Error::Lost`] where nobody answers, [`Error::Tls`], [`Error::Login`], [`Error::Refused`].
    pub fn connect(login: &Login, replication: bool) -> Result<Self, Error> {
        let address = &login.address;
        let lost = |source| Error::Lost { address: address.to_string(), source };
        let stream = if address.is_socket() {
            let path = format!("{}/.s.PGSQL.{}", address.host, address.port);
            Stream::Unix(UnixStream::connect(path).map_err(lost)?)
        } else {
            let tcp = dial(address).map_err(lost)?;
            match &login.tls {
                Tls::Off => Stream::Tcp(tcp),
                Tls::Verified { authorities } => {
                    let tcp = ask_for_tls(tcp, address)?;
                    Stream::Tls(Box::new(tls::protect(tcp, address, authorities.as_deref())?))
                }
            }
        };
        let mut client = Self {
            stream,
            inbox: BytesMut::new(),
            outbox: BytesMut::new(),
            chunk: vec![0; CHUNK].into_boxed_slice(),
            address: address.to_string(),
            wait: None,
        };
        client.wait(PATIENCE)?;
        client.log_in(login, replication)?;
        Ok(client)
    }

    /// The database's address, for messages.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks in SQL, or in the words of replication, and returns the rows. `doing` completes "refuses to …".
    ///
    /// # Errors
    /// [`Error::Refused`] with what the server said; [`Error::Lost`].
    pub fn query(&mut self, doing: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.send(|out| frontend::query(sql, out))?;
        self.patiently()?;
        let (mut rows, mut refused) = (Vec::new(), None);
        loop {
            match self.read()? {
                Frame::Message(Message::DataRow(body)) => {
                    let buffer = body.buffer();
                    let row = body.ranges().map(|range| {
                        let text = range.and_then(|range| buffer.get(range));
                        Ok(text.map(|text| String::from_utf8_lossy(text).into_owned()))
                    });
                    rows.push(row.collect().map_err(|e| self.odd(&e))?);
                }
                Frame::Message(Message::ErrorResponse(body)) => refused = Some(refusal(doing, body.fields())),
                Frame::Message(Message::ReadyForQuery(_)) => return refused.map_or(Ok(rows), Err),
                _ => {}
            }
            // A fatal error is the last that is heard.
            if let Some(Error::Refused { state, .. }) = &refused
                && state.starts_with("57P")
            {
                return refused.map_or(Ok(rows), Err);
            }
        }
    }

    /// Copies out with `COPY … TO STDOUT`, giving each line to `take`.
    ///
    /// # Errors
    /// As [`Client::query`], and whatever `take` returns: then the connection is of no more use.
    pub fn copy_out<E: From<Error>>(
        &mut self,
        doing: &str,
        sql: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.send(|out| frontend::query(sql, out))?;
        self.patiently()?;
        let mut refused = None;
        loop {
            match self.read()? {
                Frame::Copy(line) => take(line.strip_suffix(b"\n").unwrap_or(&line))?,
                Frame::Message(Message::ErrorResponse(body)) => refused = Some(refusal(doing, body.fields())),
                Frame::Message(Message::ReadyForQuery(_)) => {
                    return refused.map_or(Ok(()), |error| Err(E::from(error)));
                }
                _ => {}
            }
        }
    }

    /// Begins to stream; from then on only [`Client::next`] and [`Client::send_copy`] are of use.
    pub(crate) fn begin_stream(&mut self, command: &str) -> Result<(), Error> {
        self.send(|out| frontend::query(command, out))?;
        self.wait(PATIENCE)?;
        let doing = "stream changes";
        loop {
            match self.read()? {
                Frame::CopyBoth => return Ok(()),
                Frame::Message(Message::ErrorResponse(body)) => return Err(refusal(doing, body.fields())),
                Frame::Message(Message::ReadyForQuery(_)) => {
                    return Err(self.odd(&"it does not stream".to_owned()));
                }
                _ => {}
            }
        }
    }

    /// The next part of a stream; `None` where nothing came within `wait`.
    pub(crate) fn next(&mut self, wait: Duration) -> Result<Option<Bytes>, Error> {
        self.wait(wait)?;
        loop {
            match self.frame()? {
                None => return Ok(None),
                Some(Frame::Copy(bytes)) => return Ok(Some(bytes)),
                Some(Frame::Message(Message::ErrorResponse(body))) => {
                    return Err(refusal("go on streaming", body.fields()));
                }
                Some(Frame::Message(Message::CopyDone | Message::CommandComplete(_))) => {
                    let source = io::Error::new(io::ErrorKind::UnexpectedEof, "the server ends the stream");
                    return Err(Error::Lost { address: self.address.clone(), source });
                }
                Some(_) => {}
            }
        }
    }

    /// Sends a part of a stream.
    pub(crate) fn send_copy(&mut self, part: &[u8]) -> Result<(), Error> {
        self.send(|out| frontend::CopyData::new(part).map(|copy| copy.write(out)))
    }

    /// Says goodbye, so that the server does not wait for us. What it answers is nobody's business any more.
    pub fn close(mut self) {
        let _ = self.send(|out| {
            frontend::terminate(out);
            Ok(())
        });
    }

    pub(crate) fn odd(&self, what: &impl ToString) -> Error {
        Error::Protocol { address: self.address.clone(), reason: what.to_string() }
    }

    fn log_in(&mut self, login: &Login, replication: bool) -> Result<(), Error> {
        let Login { address, password, tls } = login;
        let mut parameters = vec![
            ("user", address.user.as_str()),
            ("database", address.database.as_str()),
            ("application_name", "maschinenraum"),
        ];
        parameters.extend(SESSION);
        if replication {
            parameters.push(("replication", "database"));
        }
        self.send(|out| frontend::startup_message(parameters, out))?;
        let refused = |reason: &str| Error::Login { address: address.to_string(), reason: reason.to_owned() };
        let password = || {
            let given = password.as_ref().map(|password| password.as_bytes());
            given.ok_or_else(|| refused("the server asks for a password, and the settings name none"))
        };
        let mut scram = None;
        loop {
            match self.read()? {
                Frame::Message(Message::AuthenticationOk) if scram.is_some() => {
                    // Whoever does not prove to know the password is not the server it says it is.
                    return Err(refused(
                        "the server ended the log-in without proving that it knows the password",
                    ));
                }
                Frame::Message(Message::AuthenticationOk) => {}
                Frame::Message(Message::AuthenticationCleartextPassword) => {
                    if *tls == Tls::Off && !address.is_local() {
                        return Err(refused(
                            "the server wants the password in clear text over an open network",
                        ));
                    }
                    let password = password()?;
                    self.send(|out| frontend::password_message(password, out))?;
                }
                Frame::Message(Message::AuthenticationMd5Password(body)) => {
                    let hash = md5_hash(address.user.as_bytes(), password()?, body.salt());
                    self.send(|out| frontend::password_message(hash.as_bytes(), out))?;
                }
                Frame::Message(Message::AuthenticationSasl(body)) => {
                    let mut mechanisms = body.mechanisms();
                    let has_scram = mechanisms
                        .any(|mechanism| Ok(mechanism == sasl::SCRAM_SHA_256))
                        .map_err(|e| self.odd(&e))?;
                    if !has_scram {
                        return Err(refused("the server knows no SCRAM-SHA-256"));
                    }
                    let begun = sasl::ScramSha256::new(password()?, sasl::ChannelBinding::unsupported());
                    self.send(|out| {
                        frontend::sasl_initial_response(sasl::SCRAM_SHA_256, begun.message(), out)
                    })?;
                    scram = Some(begun);
                }
                Frame::Message(Message::AuthenticationSaslContinue(body)) => {
                    let begun = scram.as_mut().ok_or_else(|| refused("the log-in is out of order"))?;
                    begun.update(body.data()).map_err(|e| refused(&e.to_string()))?;
                    self.send(|out| frontend::sasl_response(begun.message(), out))?;
                }
                Frame::Message(Message::AuthenticationSaslFinal(body)) => {
                    let mut begun = scram.take().ok_or_else(|| refused("the log-in is out of order"))?;
                    begun.finish(body.data()).map_err(|e| refused(&e.to_string()))?;
                }
                Frame::Message(Message::ErrorResponse(body)) => {
                    let error = refusal("let us in", body.fields());
                    // A server that starts or stops, or is full, is not one that does not know us.
                    return Err(match error {
                        Error::Refused { state, message, .. } if state.starts_with("28") => refused(&message),
                        error => error,
                    });
                }
                Frame::Message(Message::ReadyForQuery(_)) => return Ok(()),
                Frame::Message(
                    Message::BackendKeyData(_) | Message::ParameterStatus(_) | Message::NoticeResponse(_),
                ) => {}
                _ => return Err(refused("the server asks for a kind of log-in that is not known here")),
            }
        }
    }

    /// The next message; waits as long as it takes, or as [`Client::wait`] says.
    fn read(&mut self) -> Result<Frame, Error> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the server does not answer");
        let address = self.address.clone();
        self.frame()?.ok_or_else(|| Error::Lost { address, source: late() })
    }

    fn frame(&mut self) -> Result<Option<Frame>, Error> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(Some(frame));
            }
            match self.stream.read(&mut self.chunk) {
                Ok(0) => {
                    let source = io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it");
                    return Err(Error::Lost { address: self.address.clone(), source });
                }
                Ok(n) => self.inbox.extend_from_slice(self.chunk.get(..n).unwrap_or_default()),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Lost { address: self.address.clone(), source }),
            }
        }
    }

    /// A whole message of what has arrived, if there is one.
    fn take_frame(&mut self) -> Result<Option<Frame>, Error> {
        let Some([kind, a, b, c, d]) = self.inbox.first_chunk().copied() else { return Ok(None) };
        let len = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(4..=MAX_MESSAGE).contains(&len) {
            return Err(self.odd(&format!("a message of {len} bytes")));
        }
        if self.inbox.len() <= len {
            self.inbox.reserve(len + 1 - self.inbox.len());
            return Ok(None);
        }
        if kind == b'd' || kind == b'W' {
            let mut whole = self.inbox.split_to(len + 1).freeze();
            whole.advance(5);
            return Ok(Some(if kind == b'd' { Frame::Copy(whole) } else { Frame::CopyBoth }));
        }
        let message = Message::parse(&mut self.inbox).map_err(|e| self.odd(&e))?;
        Ok(message.map(Frame::Message))
    }

    fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Result<(), Error> {
        let lost = |source| Error::Lost { address: self.address.clone(), source };
        self.outbox.clear();
        write(&mut self.outbox).map_err(lost)?;
        self.stream.write_all(&self.outbox).and_then(|()| self.stream.flush()).map_err(lost)
    }

    /// What is asked may take the server any time.
    fn patiently(&mut self) -> Result<(), Error> {
        self.wait(Duration::from_secs(3_600))
    }

    fn wait(&mut self, wait: Duration) -> Result<(), Error> {
        if self.wait == Some(wait) {
            return Ok(());
        }
        let set = match &self.stream {
            Stream::Tcp(tcp) => tcp.set_read_timeout(Some(wait)),
            Stream::Unix(unix) => unix.set_read_timeout(Some(wait)),
            Stream::Tls(tls) => tls.sock.set_read_timeout(Some(wait)),
        };
        set.map_err(|source| Error::Lost { address: self.address.clone(), source })?;
        self.wait = Some(wait);
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.read(buf),
            Self::Unix(unix) => unix.read(buf),
            Self::Tls(tls) => tls.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write(buf),
            Self::Unix(unix) => unix.write(buf),
            Self::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.flush(),
            Self::Unix(unix) => unix.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

fn dial(address: &Address) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for place in (address.host.as_str(), address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&place, PATIENCE) {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                tcp.set_read_timeout(Some(PATIENCE))?;
                tcp.set_write_timeout(Some(4 * PATIENCE))?;
                return Ok(tcp);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn ask_for_tls(mut tcp: TcpStream, address: &Address) -> Result<TcpStream, Error> {
    let lost = |source| Error::Lost { address: address.to_string(), source };
    let mut out = BytesMut::new();
    frontend::ssl_request(&mut out);
    tcp.write_all(&out).map_err(lost)?;
    let mut answer = [0];
    tcp.read_exact(&mut answer).map_err(lost)?;
    match answer {
        [b'S'] => Ok(tcp),
        _ => {
            let reason = "the server offers none; `tls = \"off\"` does without where the network is trusted";
            Err(Error::Tls { address: address.to_string(), reason: reason.to_owned() })
        }
    }
}

fn refusal(doing: &str, mut fields: ErrorFields<'_>) -> Error {
    let (mut message, mut state, mut hint) = (String::new(), String::new(), String::new());
    while let Ok(Some(field)) = fields.next() {
        let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'M' => message = text,
            b'C' => state = text,
            b'H' => hint = format!(" [{text}]"),
            _ => {}
        }
    }
    Error::Refused { doing: doing.to_owned(), message, state, hint }
}
