//! The cells of a CSV file as they stand there, many rows at a time: for whoever looks at every cell and makes no
//! documents of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::ByteRecord;

use super::{File, Format, table};
use crate::error::Error;

/// Bytes of one block, about.
const BLOCK: usize = 512 * 1024;

/// Some rows of a file.
#[derive(Clone, Debug, Default)]
pub struct Block {
    first_row: u64,
    text: Vec<u8>,
    /// Where each cell ends in `text`.
    cells: Vec<usize>,
    /// Where each row ends in `cells`.
    rows: Vec<usize>,
}

impl Block {
    /// Visits its rows: the row's number, and its cells in UTF-8 (as far as the file is what it says).
    pub fn each_row<'b>(&'b self, mut visit: impl FnMut(u64, &mut dyn Iterator<Item = &'b [u8]>)) {
        let (mut row, mut at, mut from) = (self.first_row, 0, 0);
        for end in &self.rows {
            let mut cells = self.cells.get(at..*end).unwrap_or_default().iter().map(|to| {
                let cell = self.text.get(from..*to).unwrap_or_default();
                from = *to;
                cell
            });
            visit(row, &mut cells);
            // Whoever did not want them all: the next row begins where this one ends.
            cells.by_ref().for_each(drop);
            at = *end;
            row += 1;
        }
    }
}

/// Reads a file block by block.
pub struct Blocks {
    reader: table::Reader,
    since_row: Arc<AtomicU64>,
    read: Arc<AtomicU64>,
    record: ByteRecord,
    row: u64,
    file: File,
}

impl File {
    /// The cells of a CSV file, in blocks; `None` where it is none.
    ///
    /// # Errors
    /// [`Error::Unreadable`] where the system refuses.
    pub fn blocks(&self) -> Result<Option<Blocks>, Error> {
        if !matches!(self.format, Format::Csv { .. }) {
            return Ok(None);
        }
        let read = Arc::new(AtomicU64::new(0));
        let (mut reader, since_row) = table::reader(self, &read)?;
        let mut record = ByteRecord::new();
        reader.read_byte_record(&mut record).map_err(|e| table::broken(self, 0, &e))?;
        since_row.store(0, Ordering::Relaxed);
        Ok(Some(Blocks { reader, since_row, read, record, row: 0, file: self.clone() }))
    }
}

impl Blocks {
    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row never ends, [`Error::Unreadable`] where the system refuses.
    pub fn next_block(&mut self) -> Result<Option<Block>, Error> {
        let mut block = Block { first_row: self.row + 1, ..Block::default() };
        block.text.reserve(BLOCK + BLOCK / 8);
        while block.text.len() < BLOCK {
            let more = self.reader.read_byte_record(&mut self.record);
            if !more.map_err(|e| table::broken(&self.file, self.row + 1, &e))? {
                break;
            }
            self.since_row.store(0, Ordering::Relaxed);
            self.row += 1;
            for cell in &self.record {
                block.text.extend_from_slice(cell);
                block.cells.push(block.text.len());
            }
            block.rows.push(block.cells.len());
        }
        Ok((!block.rows.is_empty()).then_some(block))
    }

    /// Bytes read so far.
    pub fn n_bytes(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    #[test]
    fn blocks_hold_the_cells_of_every_row() {
        let mut file = tempfile::NamedTempFile::with_suffix(".csv").unwrap();
        writeln!(file, "a,b\n1,\"x, y\"\n2\n3,z,w").unwrap();
        let file = super::super::inspect(file.path(), |_| {}).unwrap();
        let mut blocks = file.blocks().unwrap().unwrap();
        let block = blocks.next_block().unwrap().unwrap();
        let mut rows = Vec::new();
        block.each_row(|row, cells| {
            // Only the first cell is wanted of the third row.
            let n = if row == 3 { 1 } else { 9 };
            let cells: Vec<String> =
                cells.take(n).map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
            rows.push((row, cells.join("|")));
        });
        let want = [(1, "1|x, y"), (2, "2"), (3, "3")].map(|(row, cells)| (row, cells.to_owned()));
        assert_eq!(rows, want);
        assert!(blocks.next_block().unwrap().is_none());
    }
}
