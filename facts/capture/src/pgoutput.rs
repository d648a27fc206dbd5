//! The messages of the output plugin `pgoutput`, protocol version 1, read from bytes. Pure.
//!
//! <https://www.postgresql.org/docs/15/protocol-logicalrep-message-formats.html>

use std::borrow::Cow;

use event::Instant;

use crate::Lsn;

/// 2000-01-01, from which PostgreSQL counts microseconds.
pub(crate) const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A transaction begins.
    Begin {
        /// Where its commit lies.
        commit: Lsn,
        /// When it was committed.
        at: Instant,
        /// Its number.
        xid: u32,
    },
    /// A transaction is complete.
    Commit {
        /// Where its commit lies.
        commit: Lsn,
        /// Where its commit ends.
        end: Lsn,
    },
    /// What a table looks like from here on.
    Relation(Relation<'a>),
    /// A new row.
    Insert {
        /// The table's number.
        relation: u32,
        /// The row.
        new: Tuple<'a>,
    },
    /// A changed row.
    Update {
        /// The table's number.
        relation: u32,
        /// The old row's key, where the key changed.
        key: Option<Tuple<'a>>,
        /// The whole old row, where the table's replica identity is `FULL`.
        old: Option<Tuple<'a>>,
        /// The row.
        new: Tuple<'a>,
    },
    /// A row that is gone.
    Delete {
        /// The table's number.
        relation: u32,
        /// What it was.
        old: Tuple<'a>,
        /// True where that is its key only.
        key_only: bool,
    },
    /// Tables that were emptied.
    Truncate {
        /// Their numbers.
        relations: Vec<u32>,
    },
    /// Something that brings no change: a type's name, an origin, a message of an application.
    Other,
}

/// What a table looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    /// Its number.
    pub id: u32,
    /// Its schema.
    pub schema: Cow<'a, str>,
    /// Its name.
    pub name: Cow<'a, str>,
    /// `d`efault, `n`othing, `f`ull, `i`ndex.
    pub identity: u8,
    /// Its published columns: name, number of the type, whether it belongs to the key.
    pub columns: Vec<(Cow<'a, str>, u32, bool)>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tuple<'a>(pub Vec<Cell<'a>>);

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// `NULL`
    Null,
    /// A large value that the update did not touch; the server does not send it.
    Unchanged,
    /// The value as text.
    Text(Cow<'a, str>),
}

impl<'a> Message<'a> {
    /// Reads one message.
    ///
    /// # Errors
    /// What is odd about it.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut reader = Reader { rest: bytes };
        let kind = reader.byte()?;
        let message =
            reader.message(kind).map_err(|why| format!("a message `{}` {why}", char::from(kind)))?;
        Ok(message)
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn message(&mut self, kind: u8) -> Result<Message<'a>, String> {
        Ok(match kind {
            b'B' => Message::Begin { commit: Lsn(self.u64()?), at: self.instant()?, xid: self.u32()? },
            b'C' => {
                self.byte()?;
                Message::Commit { commit: Lsn(self.u64()?), end: Lsn(self.u64()?) }
            }
            b'R' => Message::Relation(self.relation()?),
            b'I' => {
                let relation = self.u32()?;
                self.marked(b'N')?;
                Message::Insert { relation, new: self.tuple()? }
            }
            b'U' => {
                let relation = self.u32()?;
                let (mut key, mut old) = (None, None);
                match self.byte()? {
                    b'N' => {}
                    b'K' => key = Some(self.tuple()?),
                    b'O' => old = Some(self.tuple()?),
                    other => return Err(format!("has a part `{}`", char::from(other))),
                }
                if key.is_some() || old.is_some() {
                    self.marked(b'N')?;
                }
                Message::Update { relation, key, old, new: self.tuple()? }
            }
            b'D' => {
                let relation = self.u32()?;
                let key_only = match self.byte()? {
                    b'K' => true,
                    b'O' => false,
                    other => return Err(format!("has a part `{}`", char::from(other))),
                };
                Message::Delete { relation, old: self.tuple()?, key_only }
            }
            b'T' => {
                let n = self.u32()?;
                self.byte()?;
                // As many as there are, whatever the count says.
                let relations = (0..n).map_while(|_| self.u32().ok()).collect::<Vec<_>>();
                if relations.len() != n as usize {
                    return Err("ends in the middle".to_owned());
                }
                Message::Truncate { relations }
            }
            b'Y' | b'O' | b'M' => Message::Other,
            _ => return Err("is unknown".to_owned()),
        })
    }

    fn relation(&mut self) -> Result<Relation<'a>, String> {
        let (id, schema, name) = (self.u32()?, self.text()?, self.text()?);
        let identity = self.byte()?;
        let n = self.u16()?;
        let mut columns = Vec::new();
        for _ in 0..n {
            let is_key = self.byte()? & 1 == 1;
            let (name, kind) = (self.text()?, self.u32()?);
            // The type's modifier, such as the 2 of numeric(9,2), changes nothing here.
            self.u32()?;
            columns.push((name, kind, is_key));
        }
        // PostgreSQL's own schema goes without a name.
        let schema = if schema.is_empty() { "pg_catalog".into() } else { schema };
        Ok(Relation { id, schema, name, identity, columns })
    }

    fn tuple(&mut self) -> Result<Tuple<'a>, String> {
        let n = self.u16()?;
        let mut cells = Vec::with_capacity(usize::from(n).min(1_664));
        for _ in 0..n {
            cells.push(match self.byte()? {
                b'n' => Cell::Null,
                b'u' => Cell::Unchanged,
                b't' => {
                    let len = self.u32()? as usize;
                    Cell::Text(String::from_utf8_lossy(self.take(len)?))
                }
                other => return Err(format!("has a value of kind `{}`", char::from(other))),
            });
        }
        Ok(Tuple(cells))
    }

    fn marked(&mut self, mark: u8) -> Result<(), String> {
        match self.byte()? {
            found if found == mark => Ok(()),
            other => Err(format!("has a part `{}`", char::from(other))),
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or("ends in the middle")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or("ends in the middle")?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_be_bytes)
    }

    fn instant(&mut self) -> Result<Instant, String> {
        let micros = self.array().map(i64::from_be_bytes)?;
        Ok(Instant::from_micros(micros.saturating_add(EPOCH_MICROS)))
    }

    fn text(&mut self) -> Result<Cow<'a, str>, String> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or("ends in the middle of a name")?;
        let text = String::from_utf8_lossy(self.take(end)?);
        self.byte()?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Cell<'_> {
        Cell::Text(text.into())
    }

    fn bytes(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn transactions_begin_and_end() {
        let begin = bytes(&[b"B", &7_u64.to_be_bytes(), &1_000_000_i64.to_be_bytes(), &9_u32.to_be_bytes()]);
        let at = "2000-01-01T00:00:01Z".parse().unwrap();
        assert_eq!(Message::read(&begin), Ok(Message::Begin { commit: Lsn(7), at, xid: 9 }));
        let commit = bytes(&[b"C\0", &7_u64.to_be_bytes(), &8_u64.to_be_bytes(), &0_i64.to_be_bytes()]);
        assert_eq!(Message::read(&commit), Ok(Message::Commit { commit: Lsn(7), end: Lsn(8) }));
    }

    #[test]
    fn rows_are_read_with_nulls_and_untouched_values() {
        let tuple = b"\0\x04t\0\0\0\x01a\
                      nut\0\0\0\0";
        let insert = bytes(&[b"I", &5_u32.to_be_bytes(), b"N", tuple]);
        let new = Tuple(vec![text("a"), Cell::Null, Cell::Unchanged, text("")]);
        assert_eq!(Message::read(&insert), Ok(Message::Insert { relation: 5, new: new.clone() }));
        let update = bytes(&[b"U", &5_u32.to_be_bytes(), b"O", tuple, b"N", tuple]);
        let expected = Message::Update { relation: 5, key: None, old: Some(new.clone()), new: new.clone() };
        assert_eq!(Message::read(&update), Ok(expected));
        let update = bytes(&[b"U", &5_u32.to_be_bytes(), b"N", tuple]);
        assert_eq!(
            Message::read(&update),
            Ok(Message::Update { relation: 5, key: None, old: None, new: new.clone() })
        );
        let delete = bytes(&[b"D", &5_u32.to_be_bytes(), b"K", tuple]);
        assert_eq!(Message::read(&delete), Ok(Message::Delete { relation: 5, old: new, key_only: true }));
    }

    #[test]
    fn a_table_says_what_it_looks_like() {
        let relation = bytes(&[
            b"R",
            &5_u32.to_be_bytes(),
            b"public\0orders\0f\0\x02",
            b"\x01id\0",
            &20_u32.to_be_bytes(),
            &u32::MAX.to_be_bytes(),
            b"\0note\0",
            &25_u32.to_be_bytes(),
            &u32::MAX.to_be_bytes(),
        ]);
        let columns = vec![("id".into(), 20, true), ("note".into(), 25, false)];
        let expected =
            Relation { id: 5, schema: "public".into(), name: "orders".into(), identity: b'f', columns };
        assert_eq!(Message::read(&relation), Ok(Message::Relation(expected)));
        let truncate =
            bytes(&[b"T", &2_u32.to_be_bytes(), b"\0", &5_u32.to_be_bytes(), &6_u32.to_be_bytes()]);
        assert_eq!(Message::read(&truncate), Ok(Message::Truncate { relations: vec![5, 6] }));
    }

    #[test]
    fn what_is_odd_is_said() {
        let error = Message::read(b"I\0\0\0\x05N\0\x01t\0\0\0\x09ab").unwrap_err();
        assert_eq!(error, "a message `I` ends in the middle");
        assert!(Message::read(b"").is_err() && Message::read(b"?").is_err());
        assert!(Message::read(b"T\xff\xff\xff\xff\0").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_usize..10) {
            let mut message = vec![b"BCRIUDTYOM"[kind]];
            message.extend(bytes);
            let _ = Message::read(&message);
        }
    }
}
