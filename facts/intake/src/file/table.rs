//! CSV: cells as text under the names of the header.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use contract::Pointer;
use csv::ByteRecord;
use serde_json::{Map, Value, json};

use super::{Counted, File, Format, Row, bad_row};
use crate::error::{Error, codes};

/// The most bytes of one row. What is longer has a quote that is never closed.
const MAX_ROW: u64 = 4 * 1024 * 1024;

/// Reads cells.
pub(super) type Reader = csv::Reader<Watched>;

pub(super) struct Table {
    reader: csv::Reader<Watched>,
    columns: Vec<String>,
    record: ByteRecord,
    number: u64,
    file: File,
    /// Bytes handed to the CSV reader since its last row.
    since_row: Arc<AtomicU64>,
    is_utf8: bool,
}

impl Table {
    pub(super) fn open(file: &File, read: &Arc<AtomicU64>) -> Result<Self, Error> {
        let (mut reader, since_row) = reader(file, read)?;
        let mut record = ByteRecord::new();
        // The header was read by `header` already; what is wrong with it was said there.
        reader.read_byte_record(&mut record).map_err(|e| broken(file, 0, &e))?;
        since_row.store(0, Ordering::Relaxed);
        Ok(Self {
            reader,
            columns: file.columns.clone(),
            record,
            number: 0,
            file: file.clone(),
            since_row,
            is_utf8: file.encoding.is_utf8(),
        })
    }

    fn row(&mut self) -> Row {
        let number = self.number;
        let mut members = Map::new();
        let mut undecodable = false;
        for (i, cell) in self.record.iter().enumerate() {
            let text = String::from_utf8_lossy(cell);
            // Decoders of other encodings have put the mark in already.
            undecodable |=
                matches!(text, std::borrow::Cow::Owned(_)) || (!self.is_utf8 && text.contains('\u{fffd}'));
            let value = if text.is_empty() { Value::Null } else { Value::String(text.into_owned()) };
            match self.columns.get(i) {
                Some(name) if name.starts_with('/') => place(&mut members, &Pointer::new(name), value),
                Some(name) => drop(members.insert(name.clone(), value)),
                // More cells than names: kept for whoever mends the file.
                None => drop(members.insert(format!("({})", i + 1), value)),
            }
        }
        let raw = Value::Object(members);
        let (n_cells, n_columns) = (self.record.len(), self.columns.len());
        if n_cells != n_columns {
            return bad_row(
                number,
                raw,
                codes::RAGGED,
                &format!("{n_cells} cells under {n_columns} columns"),
            );
        }
        if undecodable {
            let message = format!("holds bytes that are no {}", self.file.encoding.name());
            return bad_row(number, raw, codes::ENCODING, &message);
        }
        Row { number, raw, finding: None }
    }
}

impl Iterator for Table {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => {
                self.since_row.store(0, Ordering::Relaxed);
                self.number += 1;
                Some(Ok(self.row()))
            }
            Err(error) => Some(Err(broken(&self.file, self.number + 1, &error))),
        }
    }
}

/// Puts a cell where its column's name points (`/address/city`, RFC 6901); there a list stands as JSON. What lies at a
/// place that another column has taken is left out: a file that says two things of one place says none.
fn place(into: &mut Map<String, Value>, to: &Pointer, value: Value) {
    let value = match &value {
        Value::String(text) if text.starts_with('[') => serde_json::from_str(text).unwrap_or(value),
        _ => value,
    };
    let parts: Vec<&str> = to.parts().collect();
    let Some((last, path)) = parts.split_last() else { return };
    let mut at = into;
    for part in path {
        let inner = at.entry(*part).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(inner) = inner else { return };
        at = inner;
    }
    at.entry(*last).or_insert(value);
}

pub(super) fn broken(file: &File, row: u64, error: &csv::Error) -> Error {
    let what = match error.kind() {
        csv::ErrorKind::Io(io) => io.to_string(),
        _ => error.to_string(),
    };
    Error::Broken { path: file.path.clone(), row, what }
}

/// The names of the columns: trimmed, and each once.
pub(super) fn header(file: &File) -> Result<Vec<String>, Error> {
    let (mut reader, _) = reader(file, &Arc::new(AtomicU64::new(0)))?;
    let mut record = ByteRecord::new();
    reader.read_byte_record(&mut record).map_err(|e| broken(file, 0, &e))?;
    let mut names: Vec<String> = Vec::new();
    for cell in &record {
        let name = String::from_utf8_lossy(cell).trim().to_owned();
        let mut unique = name.clone();
        let mut n = 2;
        while names.contains(&unique) {
            unique = format!("{name}_{n}");
            n += 1;
        }
        names.push(unique);
    }
    Ok(names)
}

pub(super) fn reader(file: &File, read: &Arc<AtomicU64>) -> Result<(Reader, Arc<AtomicU64>), Error> {
    let delimiter = match file.format {
        Format::Csv { delimiter } => delimiter,
        Format::NdJson | Format::Parquet => b',',
    };
    let since_row = Arc::new(AtomicU64::new(0));
    let watched = Watched { inner: decoded(file, read)?, since_row: Arc::clone(&since_row) };
    let mut builder = csv::ReaderBuilder::new();
    builder.delimiter(delimiter).has_headers(false).flexible(true).buffer_capacity(64 * 1024);
    Ok((builder.from_reader(watched), since_row))
}

/// The file's text as UTF-8, without its mark. Bytes that are no UTF-8 pass through, so that their row is known.
pub(super) fn decoded(file: &File, read: &Arc<AtomicU64>) -> Result<Box<dyn Read + Send>, Error> {
    let mut counted: Counted = file.open(read)?;
    let mut mark = vec![0; file.encoding.bom];
    counted.read_exact(&mut mark).map_err(|source| super::unreadable(&file.path, source))?;
    if file.encoding.is_utf8() {
        return Ok(Box::new(counted));
    }
    let mut builder = encoding_rs_io::DecodeReaderBytesBuilder::new();
    builder.encoding(Some(file.encoding.with)).bom_sniffing(false);
    Ok(Box::new(builder.build(counted)))
}

/// Stops a row that never ends before it fills the memory.
pub(super) struct Watched {
    inner: Box<dyn Read + Send>,
    since_row: Arc<AtomicU64>,
}

impl Read for Watched {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        if self.since_row.fetch_add(n as u64, Ordering::Relaxed) > MAX_ROW {
            let what = "the row is longer than 4 MiB: a quote before it is never closed";
            return Err(std::io::Error::other(what));
        }
        Ok(n)
    }
}

/// What could be saved of a line that is no row.
pub(super) fn saved(line: &[u8]) -> Value {
    let text = String::from_utf8_lossy(line);
    let short: String = text.chars().take(8_000).collect();
    json!({ "line": short })
}
