//! Files: what they are, their rows, and rows that are none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code"
)]

use intake::Error;
use intake::file::{File, Format, Row, inspect};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A file of these bytes; the folder lives as long as the file.
fn file(bytes: &[u8]) -> (Result<File, Error>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    std::fs::write(&path, bytes).unwrap();
    (inspect(&path, |_| {}), dir)
}

fn rows(bytes: &[u8]) -> Vec<Row> {
    let (file, _dir) = file(bytes);
    file.unwrap().rows(0).unwrap().map(Result::unwrap).collect()
}

fn good(bytes: &[u8]) -> Vec<Value> {
    rows(bytes)
        .into_iter()
        .map(|row| {
            assert!(row.finding.is_none(), "{row:?}");
            row.raw
        })
        .collect()
}

fn findings(bytes: &[u8]) -> Vec<String> {
    rows(bytes)
        .into_iter()
        .filter_map(|r| r.finding.map(|f| format!("{} {} | {}", f.code, f.message, r.raw)))
        .collect()
}

#[test]
fn csv_with_any_delimiter_and_quotes() {
    let expected =
        vec![json!({"a": "1", "b": "x, \"y\"\nz", "c": null}), json!({"a": "", "b": "2", "c": "3"})];
    let expected: Vec<Value> = expected
        .into_iter()
        .map(|mut row| {
            if row["a"] == "" {
                row["a"] = Value::Null;
            }
            row
        })
        .collect();
    assert_eq!(good(b"a,b,c\n1,\"x, \"\"y\"\"\nz\",\n,2,3\n"), expected);
    for delimiter in [";", "\t", "|"] {
        let text = "a,b,c\n1,\"x# \"\"y\"\"\nz\",\n,2,3\n".replace(',', delimiter).replace('#', ",");
        assert_eq!(good(text.as_bytes()), expected, "{delimiter:?}");
    }
    assert_eq!(good(b"a,b\r\n1,2\r\n\r\n3,4"), [json!({"a": "1", "b": "2"}), json!({"a": "3", "b": "4"})]);
    assert_eq!(good(b"only\none\n"), [json!({"only": "one"})]);
    assert_eq!(good(b"a,b\n"), [] as [Value; 0]);
}

/// A column named by a place (RFC 6901) puts its cells there; hostile places hurt nobody.
#[test]
fn a_column_may_say_where_its_cells_belong() {
    assert_eq!(
        good(b"id,/a/b,/a/c~1d,/tags\n1,x,y,\"[\"\"p\"\",2]\"\n2,,,[no list\n"),
        [
            json!({"id": "1", "a": {"b": "x", "c/d": "y"}, "tags": ["p", 2]}),
            json!({"id": "2", "a": {"b": null, "c/d": null}, "tags": "[no list"}),
        ]
    );
    // Two columns of one place, a place inside of a text, no place at all.
    assert_eq!(good(b"/a,a,/a/b,/\n1,2,3,4\n"), [json!({"a": "2", "": "4"})]);
    let deep = format!("{}\n1\n", "/x".repeat(500));
    assert_eq!(rows(deep.as_bytes()).len(), 1);
}

#[test]
fn headers_are_trimmed_and_each_name_is_used_once() {
    let (file, _dir) = file(b" a , a,,a\n1,2,3,4\n");
    assert_eq!(file.unwrap().columns(), ["a", "a_2", "", "a_3"]);
}

#[test]
fn every_encoding_gives_the_same_rows() {
    let text = "Straße;Größe\nMüller;für Übergrößen\nKöln;groß\n";
    let expected =
        [json!({"Straße": "Müller", "Größe": "für Übergrößen"}), json!({"Straße": "Köln", "Größe": "groß"})];
    let utf16: Vec<u8> =
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let utf16be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [
        text.as_bytes().to_vec(),
        format!("\u{feff}{text}").into_bytes(),
        text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect(),
        utf16,
        utf16be,
    ] {
        assert_eq!(good(&bytes), expected, "{bytes:?}");
    }
}

#[test]
fn a_row_that_is_none_ends_nothing() {
    let ragged = findings(b"a,b,c\n1,2,3\n1,2\n1,2,3,4\nx\n4,5,6\n");
    insta::assert_snapshot!(ragged.join("\n"));
    assert_eq!(rows(b"a,b,c\n1,2,3\n1,2\n1,2,3,4\nx\n4,5,6\n").len(), 5);
    let mut broken = "\u{feff}a,b\n".as_bytes().to_vec();
    broken.extend(b"1,2\n\xff\xfe,2\n3,4\n");
    assert_eq!(findings(&broken).len(), 1);
    assert!(findings(&broken)[0].starts_with("MR2023 row 2: holds bytes that are no UTF-8"));
    let long = format!(
        "{{\"a\": 1}}\n{{\"a\": \"{}\"}}\n\n[1]\n5\n{{\"a\": 1\n{{\"a\": NaN}}\n{}\n{{\"a\": 2}}",
        "x".repeat(1 << 20),
        "[".repeat(10_000)
    );
    let found = findings(long.as_bytes());
    let shown: Vec<String> = found.iter().map(|f| f.chars().take(120).collect()).collect();
    insta::assert_snapshot!(shown.join("\n"));
    assert_eq!(rows(long.as_bytes()).last().unwrap().raw, json!({"a": 2}));
    assert_eq!(rows(long.as_bytes()).last().unwrap().number, 9, "numbers are those an editor shows");
}

#[test]
fn a_quote_that_is_never_closed_is_an_error_and_does_not_fill_the_memory() {
    let mut bytes = b"a,b\n1,2\n3,\"4\n".to_vec();
    bytes.extend(b"5,6\n".repeat(2 << 20));
    let (file, _dir) = file(&bytes);
    let mut rows = file.unwrap().rows(0).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().number, 1);
    let error = rows.next().unwrap().unwrap_err();
    assert_eq!(error.code(), "MR2024");
    assert!(
        error.to_string().contains("row 2: the row is longer than 4 MiB: a quote before it is never closed"),
        "{error}"
    );
    assert!(rows.next().is_none());
}

#[test]
fn reading_goes_on_from_any_row() {
    let text: String = std::iter::once("n\n".to_owned()).chain((1..=100).map(|i| format!("{i}\n"))).collect();
    let (file, _dir) = file(text.as_bytes());
    let file = file.unwrap();
    for skip in [0, 1, 50, 99, 100, 1_000] {
        let mut rows = file.rows(skip).unwrap();
        let numbers: Vec<u64> = rows.by_ref().map(|r| r.unwrap().number).collect();
        assert_eq!(numbers, (skip + 1..=100).collect::<Vec<_>>());
        let progress = rows.progress();
        assert_eq!(
            (progress.n_rows, progress.n_bytes, progress.of_bytes),
            (100, text.len() as u64, text.len() as u64)
        );
    }
}

#[test]
fn what_is_no_table_is_said_to_be_what_it_is() {
    let cases: [&[u8]; 9] = [
        b"",
        b" \n ",
        b"PK\x03\x04rest",
        b"\x1f\x8b\x08rest",
        b"[{\"a\": 1}]",
        b"<html>",
        b"%PDF-1.7",
        b"\x00\x01\x02\x03\x04",
        b"PAR1 and no more",
    ];
    let shown: Vec<String> = cases
        .iter()
        .map(|bytes| {
            let (file, dir) = file(bytes);
            file.unwrap_err().to_string().replace(&dir.path().display().to_string(), "")
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
    let error = inspect(std::path::Path::new("/no/such/file.csv"), |_| {}).unwrap_err();
    assert_eq!(error.code(), "MR2020");
    assert!(error.to_string().contains("/no/such/file.csv"));
    assert_eq!(inspect(&std::env::temp_dir(), |_| {}).unwrap_err().code(), "MR2020");
}

#[test]
fn a_sample_is_spread_over_the_file_and_always_the_same() {
    let text: String =
        std::iter::once("n\n".to_owned()).chain((0..5_000).map(|i| format!("{i}\n"))).collect();
    let (file, _dir) = file(text.as_bytes());
    let file = file.unwrap();
    let sample = file.sample(100).unwrap();
    assert_eq!((sample.rows.len(), sample.n_rows, sample.n_bad), (100, 5_000, 0));
    let numbers: Vec<u64> = sample.rows.iter().map(|r| r["n"].as_str().unwrap().parse().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers[0] < 500 && numbers[99] > 4_500, "{numbers:?}");
    assert_eq!(file.sample(100).unwrap().rows, sample.rows);
}

#[test]
fn the_same_bytes_have_the_same_hash() {
    let (one, _a) = file(b"a\n1\n");
    let (two, _b) = file(b"a\n1\n");
    let (other, _c) = file(b"a\n2\n");
    let (one, two, other) = (one.unwrap(), two.unwrap(), other.unwrap());
    assert!(one.sha256() == two.sha256() && one.sha256() != other.sha256());
    assert_eq!(
        (one.format(), one.encoding().name(), one.n_bytes()),
        (Format::Csv { delimiter: b',' }, "UTF-8", 4)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_bytes_make_the_reader_panic(start in prop::sample::select(vec![&b""[..], b"a,b\n", b"{\"a\":1}\n", b"PAR1", b"\xff\xfe", b"\xef\xbb\xbf"]), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (file, _dir) = file(&[start, &bytes].concat());
        if let Ok(file) = file {
            for row in file.rows(0).unwrap() {
                if row.is_err() {
                    break;
                }
            }
            let _ = file.sample(3);
        }
    }

    #[test]
    fn cells_come_back_as_they_were_written(cells in prop::collection::vec(prop::collection::vec("[ -~äß\n]{0,8}", 3), 1..8)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["a", "b", "c"]).unwrap();
        for row in &cells {
            writer.write_record(row).unwrap();
        }
        let read = good(&writer.into_inner().unwrap());
        prop_assert_eq!(read.len(), cells.len());
        for (row, read) in cells.iter().zip(read) {
            for (cell, name) in row.iter().zip(["a", "b", "c"]) {
                prop_assert_eq!(read[name].as_str().unwrap_or_default(), cell);
            }
        }
    }
}
