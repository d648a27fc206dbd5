//! Parquet: every type as JSON, in groups, from any row on, and damaged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code"
)]

use std::path::Path;
use std::sync::Arc;

use intake::file::{Format, inspect};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType,
    Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};

const SCHEMA: &str = "
message m {
  REQUIRED BOOLEAN truth;
  REQUIRED INT32 small (INTEGER(8,true));
  REQUIRED INT32 unsigned (INTEGER(32,false));
  REQUIRED INT64 long;
  REQUIRED INT64 big (INTEGER(64,false));
  REQUIRED FLOAT single;
  OPTIONAL DOUBLE double;
  REQUIRED BYTE_ARRAY text (STRING);
  REQUIRED BYTE_ARRAY bytes;
  REQUIRED INT32 day (DATE);
  REQUIRED INT32 clock (TIME(MILLIS,true));
  REQUIRED INT64 utc (TIMESTAMP(MICROS,true));
  REQUIRED INT64 wall (TIMESTAMP(MILLIS,false));
  REQUIRED INT64 nanos (TIMESTAMP(NANOS,true));
  REQUIRED INT96 old;
  REQUIRED INT32 money (DECIMAL(9,2));
  REQUIRED FIXED_LEN_BYTE_ARRAY(16) wide (DECIMAL(30,4));
  REQUIRED FIXED_LEN_BYTE_ARRAY(16) uuid (UUID);
  OPTIONAL group tags (LIST) { REPEATED group list { OPTIONAL BYTE_ARRAY element (STRING); } }
  REQUIRED group place { REQUIRED BYTE_ARRAY city (STRING); OPTIONAL INT64 since (TIMESTAMP(NANOS,false)); }
}";

/// Writes `n_groups` groups of two rows each.
fn write(path: &Path, n_groups: usize, compression: Compression) {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut file =
        SerializedFileWriter::new(std::fs::File::create(path).unwrap(), schema, properties).unwrap();
    for _ in 0..n_groups {
        let mut group = file.next_row_group().unwrap();
        let text = |t: &str| ByteArray::from(t.as_bytes().to_vec());
        let fixed = |n: i128| FixedLenByteArray::from(n.to_be_bytes().to_vec());
        macro_rules! column {
            ($kind:ty, $values:expr) => {
                column!($kind, $values, None, None)
            };
            ($kind:ty, $values:expr, $definition:expr, $repetition:expr) => {{
                let mut column = group.next_column().unwrap().unwrap();
                column.typed::<$kind>().write_batch(&$values, $definition, $repetition).unwrap();
                column.close().unwrap();
            }};
        }
        column!(BoolType, [true, false]);
        column!(Int32Type, [-5, 5]);
        column!(Int32Type, [-1, 1]);
        column!(Int64Type, [i64::MIN, i64::MAX]);
        column!(Int64Type, [-1, 1]);
        column!(FloatType, [0.1, f32::NAN]);
        column!(DoubleType, [f64::INFINITY], Some(&[1, 0]), None);
        column!(ByteArrayType, [text("größe"), text("")]);
        column!(ByteArrayType, [text("plain"), ByteArray::from(vec![0xff, 0x00])]);
        column!(Int32Type, [20_000, -1]);
        column!(Int32Type, [3_661_001, 0]);
        column!(Int64Type, [1_700_000_000_123_456, 0]);
        column!(Int64Type, [1_700_000_000_123, 0]);
        column!(Int64Type, [1_700_000_000_123_456_789, -1]);
        let mut at = Int96::new();
        at.set_data(0, 0, 2_440_588 + 1);
        column!(Int96Type, [at, at]);
        column!(Int32Type, [1_999, -1]);
        column!(FixedLenByteArrayType, [fixed(123_456_789_012_345_678_901_234), fixed(-15_000)]);
        column!(FixedLenByteArrayType, [fixed(1), fixed(-1)]);
        column!(ByteArrayType, [text("a"), text("b")], Some(&[3, 2, 3, 0]), Some(&[0, 1, 1, 0]));
        column!(ByteArrayType, [text("Köln"), text("Bern")]);
        column!(Int64Type, [1_000_000_000], Some(&[1, 0]), None);
        group.close().unwrap();
    }
    file.close().unwrap();
}

fn expected() -> [Value; 2] {
    [
        json!({
            "truth": true, "small": -5, "unsigned": 4294967295_u32, "long": i64::MIN, "big": u64::MAX, "single": 0.1,
            "double": "Infinity", "text": "größe", "bytes": "plain", "day": "2024-10-04", "clock": "01:01:01.001000",
            "utc": "2023-11-14T22:13:20.123456Z", "wall": "2023-11-14T22:13:20.123",
            "nanos": "2023-11-14T22:13:20.123456Z", "old": "1970-01-02T00:00:00", "money": 19.99,
            "wide": "12345678901234567890.1234", "uuid": "00000000-0000-0000-0000-000000000001",
            "tags": ["a", null, "b"], "place": {"city": "Köln", "since": "1970-01-01T00:00:01"}
        }),
        json!({
            "truth": false, "small": 5, "unsigned": 1, "long": i64::MAX, "big": 1, "single": null, "double": null,
            "text": "", "bytes": "ff00", "day": "1969-12-31", "clock": "00:00:00", "utc": "1970-01-01T00:00:00Z",
            "wall": "1970-01-01T00:00:00", "nanos": "1969-12-31T23:59:59.999999Z", "old": "1970-01-02T00:00:00",
            "money": -0.01, "wide": -1.5, "uuid": "ffffffff-ffff-ffff-ffff-ffffffffffff", "tags": null,
            "place": {"city": "Bern", "since": null}
        }),
    ]
}

#[test]
fn every_type_is_json_in_every_compression() {
    let dir = tempfile::tempdir().unwrap();
    for (i, compression) in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(Default::default()),
        Compression::LZ4_RAW,
    ]
    .into_iter()
    .enumerate()
    {
        let path = dir.path().join(i.to_string());
        write(&path, 1, compression);
        let file = inspect(&path, |_| {}).unwrap();
        assert_eq!((file.format(), file.n_rows(), file.columns().len()), (Format::Parquet, Some(2), 20));
        let rows: Vec<Value> = file.rows(0).unwrap().map(|r| r.unwrap().raw).collect();
        assert_eq!(rows, expected(), "{compression:?}");
    }
}

#[test]
fn reading_goes_on_from_any_row_of_any_group() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    write(&path, 5, Compression::SNAPPY);
    let file = inspect(&path, |_| {}).unwrap();
    for skip in 0..12 {
        let mut rows = file.rows(skip).unwrap();
        let numbers: Vec<u64> = rows.by_ref().map(|r| r.unwrap().number).collect();
        assert_eq!(numbers, (skip + 1..=10).collect::<Vec<_>>(), "{skip}");
        assert_eq!(rows.progress().n_bytes, file.n_bytes());
    }
}

#[test]
fn no_damage_makes_the_reader_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    write(&path, 2, Compression::SNAPPY);
    let bytes = std::fs::read(&path).unwrap();
    // The crate's own panics on damaged files are caught; their reports would fill the output.
    std::panic::set_hook(Box::new(|_| {}));
    let (mut n_refused, mut n_cut) = (0, 0);
    for i in (0..bytes.len()).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[i] ^= 0x55;
        std::fs::write(&path, damaged).unwrap();
        match inspect(&path, |_| {}) {
            Err(_) => n_refused += 1,
            Ok(file) => match file.rows(0) {
                Ok(rows) => n_cut += usize::from(rows.take(10).any(|row| row.is_err())),
                Err(_) => n_refused += 1,
            },
        }
    }
    drop(std::panic::take_hook());
    assert!(n_refused > 0 && n_cut > 0, "{n_refused} {n_cut}");
}
