//! Files: rows as documents, in constant memory.
//!
//! [`inspect`] goes through a file once: it finds out what it is, in which encoding and with which delimiter, and
//! takes the hash of its content. [`File::rows`] then gives its rows one by one, from any row on. A row that is
//! none (ragged, undecodable, no JSON) is given as such and goes to quarantine; it ends nothing.

mod blocks;
mod columns;
mod encoding;
mod lines;
mod parquet;
mod sample;
mod sniff;
mod table;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use contract::{Finding, Severity};
use event::StreamName;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::incoming::{Incoming, finding};

pub use blocks::{Block, Blocks};
pub use columns::{Columns, Visit};
pub use encoding::Encoding;
pub use sample::Sample;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text with a delimiter and a header.
    Csv {
        /// What parts the cells.
        delimiter: u8,
    },
    /// One JSON object per line.
    NdJson,
    /// Apache Parquet.
    Parquet,
}

/// A file that was looked through.
#[derive(Clone, Debug)]
pub struct File {
    path: PathBuf,
    format: Format,
    encoding: Encoding,
    columns: Vec<String>,
    n_bytes: u64,
    n_rows: Option<u64>,
    sha256: [u8; 32],
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number; the first row of data is 1.
    pub number: u64,
    /// The document.
    pub raw: Value,
    /// What is wrong with the row itself; then `raw` holds what could be saved of it.
    pub finding: Option<Finding>,
}

impl Row {
    /// The row as an arrival for `stream`.
    pub fn into_incoming(self, stream: StreamName) -> Incoming {
        let mut incoming = Incoming::for_stream(stream, self.raw);
        incoming.notes.extend(self.finding);
        incoming
    }
}

/// How far reading got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Rows given so far, the skipped ones included.
    pub n_rows: u64,
    /// Bytes read so far; for Parquet an estimate by rows.
    pub n_bytes: u64,
    /// Bytes of the file.
    pub of_bytes: u64,
}

/// Looks through the file at `path` once. `progress` is told the bytes read, every few megabytes.
///
/// # Errors
/// [`Error::Unreadable`] where the system refuses, [`Error::UnknownFormat`] where it is no table we read.
pub fn inspect(path: &Path, progress: impl FnMut(u64)) -> Result<File, Error> {
    let looked = encoding::look_through(path, progress)?;
    let mut file = File {
        path: path.to_owned(),
        format: sniff::format(path, &looked)?,
        encoding: looked.encoding,
        columns: Vec::new(),
        n_bytes: looked.n_bytes,
        n_rows: None,
        sha256: looked.sha256,
    };
    match &mut file.format {
        Format::Csv { delimiter } => {
            *delimiter = sniff::delimiter(&looked.head_text());
            file.columns = table::header(&file)?;
        }
        Format::Parquet => {
            let (columns, n_rows) = parquet::describe(path)?;
            file.columns = columns;
            file.n_rows = Some(n_rows);
        }
        Format::NdJson => file.encoding = file.encoding.of_json(),
    }
    Ok(file)
}

impl File {
    /// What it is.
    pub fn format(&self) -> Format {
        self.format
    }

    /// In which encoding its text is.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The names of its columns; empty for JSON lines, where each line has its own.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The SHA-256 of its bytes: the same content is the same import.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// How many rows it has, where the file says so.
    pub fn n_rows(&self) -> Option<u64> {
        self.n_rows
    }

    /// How many bytes it has.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Its rows, without the first `skip`.
    ///
    /// # Errors
    /// [`Error::Unreadable`] where the system refuses.
    pub fn rows(&self, skip: u64) -> Result<Rows, Error> {
        let read = Arc::new(AtomicU64::new(0));
        let inner: Inner = match self.format {
            Format::Csv { .. } => Box::new(table::Table::open(self, &read)?),
            Format::NdJson => Box::new(lines::Lines::open(self, &read)?),
            Format::Parquet => Box::new(parquet::Groups::open(self, skip, &read)?),
        };
        // Parquet skips whole groups by itself; its rows are numbered all the same.
        let mut rows = Rows { inner, read, of_bytes: self.n_bytes, n_rows: 0, skip, over: false };
        if self.format == Format::Parquet {
            rows.n_rows = skip;
            rows.skip = 0;
        }
        Ok(rows)
    }

    /// About `n_rows` rows spread over the file, for a first contract. Reads at most a few hundred megabytes.
    ///
    /// # Errors
    /// As for reading the rows.
    pub fn sample(&self, n_rows: usize) -> Result<Sample, Error> {
        sample::take(self, n_rows)
    }

    fn open(&self, read: &Arc<AtomicU64>) -> Result<Counted, Error> {
        Counted::open(&self.path, read)
    }
}

type Inner = Box<dyn Iterator<Item = Result<Row, Error>> + Send>;

/// The rows of a file. After an error there are no more.
pub struct Rows {
    inner: Inner,
    read: Arc<AtomicU64>,
    of_bytes: u64,
    n_rows: u64,
    skip: u64,
    over: bool,
}

impl Rows {
    /// How far reading got.
    pub fn progress(&self) -> Progress {
        let n_bytes = self.read.load(Ordering::Relaxed).min(self.of_bytes);
        Progress { n_rows: self.n_rows, n_bytes, of_bytes: self.of_bytes }
    }
}

impl Iterator for Rows {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            let item = self.inner.next();
            match &item {
                None | Some(Err(_)) => self.over = true,
                Some(Ok(_)) => self.n_rows += 1,
            }
            if self.over || self.n_rows > self.skip {
                return item;
            }
        }
        None
    }
}

/// A file that counts what is read of it.
struct Counted {
    file: fs::File,
    read: Arc<AtomicU64>,
}

impl Counted {
    fn open(path: &Path, read: &Arc<AtomicU64>) -> Result<Self, Error> {
        let file = fs::File::open(path).map_err(|source| unreadable(path, source))?;
        Ok(Self { file, read: Arc::clone(read) })
    }
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buf)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    Error::Unreadable { path: path.to_owned(), source }
}

fn bad_row(number: u64, raw: Value, code: &'static str, message: &str) -> Row {
    let message = format!("row {number}: {message}");
    Row { number, raw, finding: Some(finding(code, Severity::Error, "", message)) }
}

fn sha256() -> Sha256 {
    Sha256::new()
}
