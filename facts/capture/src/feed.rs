//! A slot's stream: what comes, and what is confirmed.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};

use crate::pgoutput::EPOCH_MICROS;
use crate::server::quoted;
use crate::{Client, Error, Lsn};

/// How often the server is told how far we are, and asked whether it is there.
const EVERY: Duration = Duration::from_secs(10);
/// After this long without a word the server is gone, whatever the network says.
const SILENCE: Duration = Duration::from_secs(60);

/// A slot's stream.
pub struct Feed {
    client: Client,
    received: Lsn,
    confirmed: Lsn,
    said_at: Instant,
    heard_at: Instant,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing within the time.
    Quiet,
    /// A message for the [`crate::Assembler`].
    Message(Bytes),
    /// Nothing of ours lies before `end` that was not sent.
    Alive {
        /// Up to where the server has read its log.
        end: Lsn,
        /// True where it waits for an answer.
        wants_answer: bool,
    },
}

impl Feed {
    /// Streams a slot's changes of a publication behind `from`.
    ///
    /// # Errors
    /// [`Error::Refused`], among others where somebody else reads the slot; [`Error::Lost`].
    pub fn start(mut client: Client, slot: &str, publication: &str, from: Lsn) -> Result<Self, Error> {
        let name = publication.replace('"', "\"\"").replace('\'', "''");
        let command = format!(
            "START_REPLICATION SLOT {} LOGICAL {from} (proto_version '1', publication_names '\"{name}\"')",
            quoted(slot)
        );
        client.begin_stream(&command)?;
        let now = Instant::now();
        Ok(Self { client, received: from, confirmed: from, said_at: now, heard_at: now })
    }

    /// The next thing that comes within `wait`.
    ///
    /// # Errors
    /// [`Error::Lost`] where the connection ends or the server is silent for a minute; [`Error::Refused`];
    /// [`Error::Protocol`].
    pub fn next(&mut self, wait: Duration) -> Result<Told, Error> {
        if self.said_at.elapsed() >= EVERY {
            self.say(true)?;
        }
        let Some(mut part) = self.client.next(wait)? else {
            if self.heard_at.elapsed() >= SILENCE {
                let source = std::io::Error::new(std::io::ErrorKind::TimedOut, "the server is silent");
                return Err(Error::Lost { address: self.client.address().to_owned(), source });
            }
            return Ok(Told::Quiet);
        };
        self.heard_at = Instant::now();
        let odd = |what: &str| self.client.odd(&what.to_owned());
        match part.try_get_u8() {
            Ok(b'w') if part.len() > 24 => {
                let (start, end) = (part.get_u64(), part.get_u64());
                self.received = self.received.max(Lsn(start)).max(Lsn(end));
                part.advance(8);
                Ok(Told::Message(part))
            }
            Ok(b'k') if part.len() >= 17 => {
                let end = Lsn(part.get_u64());
                part.advance(8);
                self.received = self.received.max(end);
                Ok(Told::Alive { end, wants_answer: part.get_u8() != 0 })
            }
            _ => Err(odd("a part of the stream is of no known kind")),
        }
    }

    /// Tells the server that everything before `durable` is durable here: it need not keep it any longer.
    ///
    /// # Errors
    /// [`Error::Lost`]
    pub fn confirm(&mut self, durable: Lsn) -> Result<(), Error> {
        self.confirmed = self.confirmed.max(durable);
        self.say(false)
    }

    /// Asks the server how far it is; the answer comes as [`Told::Alive`].
    ///
    /// # Errors
    /// [`Error::Lost`]
    pub fn ask(&mut self) -> Result<(), Error> {
        self.say(true)
    }

    /// What was confirmed last.
    pub fn confirmed(&self) -> Lsn {
        self.confirmed
    }

    /// Says goodbye.
    pub fn close(self) {
        self.client.close();
    }

    fn say(&mut self, ask: bool) -> Result<(), Error> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_micros()).unwrap_or(EPOCH_MICROS) - EPOCH_MICROS;
        let mut part = vec![b'r'];
        for place in [self.received.max(self.confirmed), self.confirmed, self.confirmed] {
            part.extend(place.0.to_be_bytes());
        }
        part.extend(now.to_be_bytes());
        part.push(u8::from(ask));
        self.said_at = Instant::now();
        self.client.send_copy(&part)
    }
}
