//! What a file is, and what parts its cells.

use std::path::Path;

use super::Format;
use super::encoding::Looked;
use crate::error::Error;

/// The likelier first: where two fit equally well, it wins.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

pub(super) fn format(path: &Path, looked: &Looked) -> Result<Format, Error> {
    let unknown = |what: &str| Error::UnknownFormat { path: path.to_owned(), what: what.to_owned() };
    if looked.head.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    for (magic, what) in [
        (b"PK\x03\x04".as_slice(), "a zip archive or an Excel workbook: unpack it, or save the sheet as CSV"),
        (b"\x1f\x8b", "compressed with gzip: unpack it first"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it first"),
        (b"%PDF", "a PDF: tables in it are not read"),
        (b"SQLite format 3", "an SQLite database: export the table as CSV"),
    ] {
        if looked.head.starts_with(magic) {
            return Err(unknown(what));
        }
    }
    let text = looked.head_text();
    match text.trim_start().chars().next() {
        None => Err(unknown("it is empty")),
        Some('{') => Ok(Format::NdJson),
        Some('[') => {
            Err(unknown("one JSON list: one object per line is read (`jq -c '.[]'` makes that of it)"))
        }
        Some('<') => Err(unknown("XML or HTML: CSV, JSON lines and Parquet are read")),
        Some(_) if looked.encoding.is_utf8() && looked.head.contains(&0) => {
            Err(unknown("binary: CSV, JSON lines and Parquet are read"))
        }
        Some(_) => Ok(Format::Csv { delimiter: b',' }),
    }
}

/// The delimiter under which most rows have the same number of cells, and more than one.
pub(super) fn delimiter(head: &str) -> u8 {
    let mut best = (0_u64, b',');
    for delimiter in DELIMITERS {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(head.as_bytes());
        let widths: Vec<usize> = reader.records().map_while(Result::ok).take(200).map(|r| r.len()).collect();
        // The last row may be cut.
        let widths =
            if widths.len() > 2 { widths.get(..widths.len() - 1).unwrap_or_default() } else { &widths };
        let Some(width) = widths.first().copied().filter(|w| *w > 1) else { continue };
        let same = widths.iter().filter(|w| **w == width).count();
        // Regular rows count most; among equally regular ones, more cells.
        let score = (same * 1_000 / widths.len().max(1)) as u64 * 1_000 + (width as u64).min(999);
        if score > best.0 {
            best = (score, delimiter);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_told_apart() {
        assert_eq!(delimiter("a,b,c\n1,2,3\n4,5,6\n"), b',');
        assert_eq!(delimiter("a;b;c\n1,5;2,5;3,5\n4,5;5,5;6,5\n"), b';');
        assert_eq!(delimiter("a\tb\n\"x, y\"\t2\n"), b'\t');
        assert_eq!(delimiter("a|b|c\n1|2|3\n"), b'|');
        assert_eq!(delimiter("only\none\ncolumn\n"), b',');
        assert_eq!(delimiter("name,note\n\"a;b\",\"c;d;e\"\n\"f\",\"g\"\n"), b',');
        assert_eq!(delimiter(""), b',');
    }
}
