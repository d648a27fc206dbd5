//! JSON lines: one object per line.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::table::{decoded, saved};
use super::{File, Row, bad_row};
use crate::error::{Error, codes};
use crate::json;

/// The most bytes of one line.
const MAX_LINE: usize = 1024 * 1024;

pub(super) struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    line: Vec<u8>,
    number: u64,
    file: File,
}

impl Lines {
    pub(super) fn open(file: &File, read: &Arc<AtomicU64>) -> Result<Self, Error> {
        let reader = BufReader::with_capacity(64 * 1024, decoded(file, read)?);
        Ok(Self { reader, line: Vec::new(), number: 0, file: file.clone() })
    }

    /// Reads a line, keeping its first `MAX_LINE` bytes; gives its whole length, 0 at the end.
    fn read_line(&mut self) -> std::io::Result<usize> {
        self.line.clear();
        let mut n = 0;
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                return Ok(n);
            }
            let end = chunk.iter().position(|b| *b == b'\n');
            let used = end.map_or(chunk.len(), |at| at + 1);
            let kept = chunk.get(..used.min(MAX_LINE.saturating_sub(self.line.len()))).unwrap_or_default();
            self.line.extend_from_slice(kept);
            n += used;
            self.reader.consume(used);
            if end.is_some() {
                return Ok(n);
            }
        }
    }

    fn row(&self, length: usize) -> Row {
        let number = self.number;
        if length > MAX_LINE {
            let message = format!("the line has {length} bytes; {MAX_LINE} are the most");
            return bad_row(number, saved(&self.line), codes::LONG_ROW, &message);
        }
        if self.file.encoding().is_utf8() && std::str::from_utf8(&self.line).is_err() {
            return bad_row(number, saved(&self.line), codes::ENCODING, "holds bytes that are no UTF-8");
        }
        match json::parse(&self.line) {
            Ok(raw) if raw.is_object() => Row { number, raw, finding: None },
            Ok(_) => bad_row(
                number,
                saved(&self.line),
                codes::NOT_A_ROW,
                "is no object; one object per line is read",
            ),
            Err(refusal) => {
                // The line's own place is all that helps; within the line there is only a column.
                let message = refusal.message.replace("line 1, ", "");
                bad_row(number, saved(&self.line), codes::NOT_A_ROW, &message)
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let length = match self.read_line() {
                Ok(0) => return None,
                Ok(length) => length,
                Err(error) => {
                    let path = self.file.path.clone();
                    return Some(Err(Error::Broken { path, row: self.number + 1, what: error.to_string() }));
                }
            };
            self.number += 1;
            // An empty line is no row, but it counts: numbers are those an editor shows.
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                return Some(Ok(self.row(length)));
            }
        }
    }
}
