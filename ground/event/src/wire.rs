//! The bytes of a record, version 2.
//!
//! ```text
//! version u8 = 2 | flags u8 (1 batch, 2 cause, 4 source) | id 16 | subject 16 | occurred_at i64 | known_at i64
//! | contract 3 × u32 | key_epoch u32 | [batch 16] | [cause 16]
//! | [source: len u16, bytes] | stream: len u16, bytes | open: len u32, bytes | n_cells u16 | each: column len u16, bytes, sealed len u32, bytes
//! ```
//! Version 1 is the same without a source. All numbers are little-endian. Checksums are the journal's business, not the record's.

use crate::{BatchId, Cell, Instant, Payload, Record, RecordId, SourceName, StreamName, Subject, Version};

/// The version that [`encode`] writes; [`decode`] reads it and every earlier one.
pub const WIRE_VERSION: u8 = 2;

const HAS_BATCH: u8 = 1;
const HAS_CAUSE: u8 = 2;
const HAS_SOURCE: u8 = 4;

/// Bytes that are no record.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Written by a newer house, or no record at all.
    #[error("record has wire version {0}; this build reads versions 1 to {WIRE_VERSION}")]
    UnknownVersion(u8),
    /// Ends before its fields do.
    #[error("record ends in the middle of `{0}`")]
    Truncated(&'static str),
    /// Has bytes after its end.
    #[error("record has {0} bytes after its end")]
    Trailing(usize),
    /// Not UTF-8 where text is due.
    #[error("record's `{0}` is not UTF-8")]
    NotText(&'static str),
    /// A part is longer than the format can say.
    #[error("record's `{0}` is too long to be stored")]
    TooLong(&'static str),
}

/// The record's bytes.
///
/// # Errors
/// [`Error::TooLong`] where a part exceeds its length field (stream and columns 64 KiB, others 4 GiB).
pub fn encode(record: &Record) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(record.weight());
    encode_into(record, &mut out)?;
    Ok(out)
}

/// Appends the record's bytes to `out`. On an error `out` may hold a part of it.
///
/// # Errors
/// As [`encode`].
pub fn encode_into(record: &Record, out: &mut Vec<u8>) -> Result<(), Error> {
    let mut flags = 0;
    if record.batch.is_some() {
        flags |= HAS_BATCH;
    }
    if record.cause.is_some() {
        flags |= HAS_CAUSE;
    }
    if record.source.is_some() {
        flags |= HAS_SOURCE;
    }
    out.extend_from_slice(&[WIRE_VERSION, flags]);
    out.extend_from_slice(record.id.as_bytes());
    out.extend_from_slice(record.subject.as_bytes());
    out.extend_from_slice(&record.occurred_at.micros().to_le_bytes());
    out.extend_from_slice(&record.known_at.micros().to_le_bytes());
    for part in [record.contract.major, record.contract.minor, record.contract.patch, record.key_epoch] {
        out.extend_from_slice(&part.to_le_bytes());
    }
    if let Some(batch) = record.batch {
        out.extend_from_slice(batch.as_bytes());
    }
    if let Some(cause) = record.cause {
        out.extend_from_slice(cause.as_bytes());
    }
    if let Some(source) = &record.source {
        put_short(out, source.as_str().as_bytes(), "source")?;
    }
    put_short(out, record.stream.as_str().as_bytes(), "stream")?;
    put_long(out, &record.payload.open, "payload")?;
    let n_cells = u16::try_from(record.payload.cells.len()).map_err(|_| Error::TooLong("cells"))?;
    out.extend_from_slice(&n_cells.to_le_bytes());
    for cell in &record.payload.cells {
        put_short(out, cell.column.as_bytes(), "column")?;
        put_long(out, &cell.sealed, "cell")?;
    }
    Ok(())
}

fn put_short(out: &mut Vec<u8>, bytes: &[u8], what: &'static str) -> Result<(), Error> {
    let len = u16::try_from(bytes.len()).map_err(|_| Error::TooLong(what))?;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn put_long(out: &mut Vec<u8>, bytes: &[u8], what: &'static str) -> Result<(), Error> {
    let len = u32::try_from(bytes.len()).map_err(|_| Error::TooLong(what))?;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Reads a record of any version written so far.
///
/// # Errors
/// [`Error`] where the bytes are no record; nothing is guessed.
pub fn decode(bytes: &[u8]) -> Result<Record, Error> {
    let mut from = Reader { rest: bytes };
    let version = from.u8("version")?;
    if !(1..=WIRE_VERSION).contains(&version) {
        return Err(Error::UnknownVersion(version));
    }
    let flags = from.u8("flags")?;
    let id = RecordId::from_bytes(from.array("id")?);
    let subject = Subject::from_bytes(from.array("subject")?);
    let occurred_at = Instant::from_micros(i64::from_le_bytes(from.array("occurred_at")?));
    let known_at = Instant::from_micros(i64::from_le_bytes(from.array("known_at")?));
    let contract = Version::new(from.u32("contract")?, from.u32("contract")?, from.u32("contract")?);
    let key_epoch = from.u32("key_epoch")?;
    let batch = if flags & HAS_BATCH != 0 { Some(BatchId::from_bytes(from.array("batch")?)) } else { None };
    let cause = if flags & HAS_CAUSE != 0 { Some(RecordId::from_bytes(from.array("cause")?)) } else { None };
    let has_source = version >= 2 && flags & HAS_SOURCE != 0;
    let source = if has_source { Some(SourceName::new(from.text("source")?)) } else { None };
    let stream = StreamName::new(from.text("stream")?);
    let open = from.long("payload")?.into();
    let n_cells = u16::from_le_bytes(from.array("cells")?);
    // Not with_capacity(n_cells): the count comes from the bytes and may lie.
    let mut cells = Vec::new();
    for _ in 0..n_cells {
        cells.push(Cell { column: from.text("column")?.into(), sealed: from.long("cell")?.into() });
    }
    if !from.rest.is_empty() {
        return Err(Error::Trailing(from.rest.len()));
    }
    let payload = Payload { open, cells };
    Ok(Record {
        id,
        stream,
        contract,
        subject,
        occurred_at,
        known_at,
        batch,
        cause,
        source,
        key_epoch,
        payload,
    })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], Error> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(Error::Truncated(what))?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Error::Truncated(what))?;
        self.rest = tail;
        Ok(*head)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, Error> {
        self.array::<1>(what).map(|[b]| b)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, Error> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn text(&mut self, what: &'static str) -> Result<&'a str, Error> {
        let len = u16::from_le_bytes(self.array(what)?);
        std::str::from_utf8(self.take(usize::from(len), what)?).map_err(|_| Error::NotText(what))
    }

    fn long(&mut self, what: &'static str) -> Result<&'a [u8], Error> {
        let len = self.u32(what)?;
        self.take(len as usize, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_record() -> impl Strategy<Value = Record> {
        let ids =
            (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<Option<[u8; 16]>>(), any::<Option<[u8; 16]>>());
        let times = (any::<i64>(), any::<i64>(), any::<u32>(), any::<(u32, u32, u32)>());
        let names = (".{0,30}", proptest::option::of(".{0,20}"));
        let cells = prop::collection::vec((".{0,20}", prop::collection::vec(any::<u8>(), 0..60)), 0..4);
        (ids, times, names, prop::collection::vec(any::<u8>(), 0..200), cells).prop_map(
            |(
                (id, subject, batch, cause),
                (occurred, known, key_epoch, v),
                (stream, source),
                open,
                cells,
            )| Record {
                id: RecordId::from_bytes(id),
                stream: StreamName::new(&stream),
                contract: Version::new(v.0, v.1, v.2),
                subject: Subject::from_bytes(subject),
                occurred_at: Instant::from_micros(occurred),
                known_at: Instant::from_micros(known),
                batch: batch.map(BatchId::from_bytes),
                cause: cause.map(RecordId::from_bytes),
                source: source.as_deref().map(SourceName::new),
                key_epoch,
                payload: Payload {
                    open: open.into(),
                    cells: cells
                        .into_iter()
                        .map(|(c, s)| Cell { column: c.into(), sealed: s.into() })
                        .collect(),
                },
            },
        )
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(record in any_record()) {
            prop_assert_eq!(decode(&encode(&record).unwrap()), Ok(record));
        }

        #[test]
        fn every_shortened_record_is_refused(record in any_record(), cut in any::<prop::sample::Index>()) {
            let bytes = encode(&record).unwrap();
            prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
        }
    }

    fn stored(version: u8) -> std::path::PathBuf {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/wire/v{version}/order.bin"))
    }

    /// Stored formats stay readable for ever: each file was written by the first build of its version.
    #[test]
    fn every_version_stays_readable() {
        let newest = stored(WIRE_VERSION);
        if std::env::var_os("WRITE_WIRE_SAMPLE").is_some() {
            std::fs::create_dir_all(newest.parent().unwrap()).unwrap();
            std::fs::write(&newest, encode(&sample()).unwrap()).unwrap();
        }
        let before_sources = Record { source: None, ..sample() };
        assert_eq!(decode(&std::fs::read(stored(1)).unwrap()), Ok(before_sources));
        let bytes = std::fs::read(newest).unwrap();
        assert_eq!(decode(&bytes), Ok(sample()));
        assert_eq!(encode(&sample()).unwrap(), bytes, "version 2 may not change: make a version 3");
    }

    fn sample() -> Record {
        Record {
            id: RecordId::external("orders", b"1"),
            stream: StreamName::new("orders"),
            contract: Version::new(1, 2, 3),
            subject: Subject::from_bytes([7; 16]),
            occurred_at: Instant::from_micros(1_700_000_000_000_000),
            known_at: Instant::from_micros(1_700_000_000_500_000),
            batch: Some(BatchId::of("orders", Version::new(1, 2, 3), b"content")),
            cause: None,
            source: Some(SourceName::new("web")),
            key_epoch: 1,
            payload: Payload {
                open: br#"{"order_id":"1","total":1999}"#.to_vec().into(),
                cells: vec![Cell { column: "/email".into(), sealed: vec![1, 2, 3].into() }],
            },
        }
    }
}
