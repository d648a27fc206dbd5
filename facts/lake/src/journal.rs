//! Records as rows, sealed cells as they are: the journal of an instance in an open format.
//!
//! One row per record, in the order of the log. Everything but the cells can be read with any tool; the cells stay what
//! they are, sealed under keys that lie elsewhere.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use event::{Cell, Instant, Payload, Record, SourceName, StreamName};
use serde_json::{Map, Value, json};

use crate::shape::{Cell as Sort, Shape};
use crate::{Error, Writer, Written};

/// Writes records, one after the other.
pub struct Records {
    writer: Writer,
}

impl Records {
    /// Begins a file of records.
    ///
    /// # Errors
    /// [`Error::Unwritable`]
    pub fn create(path: &Path) -> Result<Self, Error> {
        let text = |name: &str| (name.to_owned(), Shape::Cell(Sort::Text));
        let time = |name: &str| (name.to_owned(), Shape::Cell(Sort::Timestamp));
        let cell = Shape::Group(vec![text("column"), text("sealed")]);
        let members = vec![
            text("id"),
            text("stream"),
            text("contract"),
            text("subject"),
            time("occurred_at"),
            time("known_at"),
            text("batch"),
            text("cause"),
            text("source"),
            ("key_epoch".to_owned(), Shape::Cell(Sort::Integer)),
            text("open"),
            ("cells".to_owned(), Shape::List(Box::new(cell))),
        ];
        let about = [("maschinenraum", "journal 1".to_owned())];
        Ok(Self { writer: Writer::create(path, members, &about)? })
    }

    /// Writes one record.
    ///
    /// # Errors
    /// [`Error::Unwritable`]
    pub fn write(&mut self, record: &Record) -> Result<(), Error> {
        let open = &record.payload.open;
        let mut row = json!({
            "id": record.id,
            "stream": record.stream,
            "contract": record.contract,
            "subject": record.subject,
            "occurred_at": record.occurred_at,
            "known_at": record.known_at,
            "batch": record.batch,
            "cause": record.cause,
            "source": record.source,
            "key_epoch": record.key_epoch,
        });
        if let Value::Object(row) = &mut row {
            match std::str::from_utf8(open) {
                Ok("") => {}
                Ok(text) => {
                    row.insert("open".into(), text.into());
                }
                // Never written by the house; kept all the same.
                Err(_) => {
                    row.insert("open".into(), format!("{BINARY}{}", STANDARD.encode(open)).into());
                }
            }
            let cell =
                |cell: &Cell| json!({"column": &*cell.column, "sealed": STANDARD.encode(&cell.sealed)});
            let cells: Vec<Value> = record.payload.cells.iter().map(cell).collect();
            if !cells.is_empty() {
                row.insert("cells".into(), cells.into());
            }
        }
        self.writer.write(&row)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`Error::Unwritable`]
    pub fn finish(self) -> Result<Written, Error> {
        self.writer.finish()
    }
}

/// Before bytes that are no text.
const BINARY: &str = "base64,";

/// A record from its row.
///
/// # Errors
/// [`Error::NoExport`], naming what is missing or wrong.
pub fn record(row: &Value, path: &Path) -> Result<Record, Error> {
    let row = row.as_object().ok_or_else(|| broken(path, "a row is no object"))?;
    Ok(Record {
        id: read(row, "id", path)?,
        stream: StreamName::new(text(row, "stream", path)?),
        contract: read(row, "contract", path)?,
        subject: read(row, "subject", path)?,
        occurred_at: read::<Instant>(row, "occurred_at", path)?,
        known_at: read::<Instant>(row, "known_at", path)?,
        batch: optional(row, "batch", path)?,
        cause: optional(row, "cause", path)?,
        source: row.get("source").and_then(Value::as_str).map(SourceName::new),
        key_epoch: row
            .get("key_epoch")
            .and_then(Value::as_u64)
            .and_then(|epoch| u32::try_from(epoch).ok())
            .ok_or_else(|| broken(path, "`key_epoch` is no number"))?,
        payload: payload(row, path)?,
    })
}

fn payload(row: &Map<String, Value>, path: &Path) -> Result<Payload, Error> {
    let decode = |text: &str| STANDARD.decode(text).map_err(|e| broken(path, &format!("base64: {e}")));
    let open: Box<[u8]> = match row.get("open").and_then(Value::as_str) {
        None => Box::default(),
        Some(text) => match text.strip_prefix(BINARY) {
            Some(coded) => decode(coded)?.into(),
            None => text.as_bytes().into(),
        },
    };
    let mut cells = Vec::new();
    for cell in row.get("cells").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| cell.get(name).and_then(Value::as_str);
        let sealed = part("sealed").ok_or_else(|| broken(path, "a cell has no `sealed`"))?;
        cells
            .push(Cell { column: part("column").unwrap_or_default().into(), sealed: decode(sealed)?.into() });
    }
    Ok(Payload { open, cells })
}

fn text<'r>(row: &'r Map<String, Value>, name: &str, path: &Path) -> Result<&'r str, Error> {
    row.get(name).and_then(Value::as_str).ok_or_else(|| broken(path, &format!("a row has no `{name}`")))
}

fn read<T: std::str::FromStr>(row: &Map<String, Value>, name: &str, path: &Path) -> Result<T, Error> {
    let text = text(row, name, path)?;
    text.parse().map_err(|_| {
        let text: String = text.chars().take(64).collect();
        broken(path, &format!("`{name}` is `{text}`"))
    })
}

fn optional<T: std::str::FromStr>(
    row: &Map<String, Value>,
    name: &str,
    path: &Path,
) -> Result<Option<T>, Error> {
    if row.get(name).is_none_or(Value::is_null) { Ok(None) } else { read(row, name, path).map(Some) }
}

fn broken(path: &Path, reason: &str) -> Error {
    Error::NoExport { path: path.to_path_buf(), reason: reason.to_owned() }
}
