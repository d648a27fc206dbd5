//! Parquet: rows as JSON, through the crate's record reader.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use event::Instant;
use parquet::basic::{LogicalType, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::schema::types::{SchemaDescPtr, Type};
use serde_json::{Map, Value};

use super::{File, Row, unreadable};
use crate::error::Error;

pub(super) struct Groups {
    reader: SerializedFileReader<fs::File>,
    schema: SchemaDescPtr,
    next_group: usize,
    rows: Option<ReaderIter>,
    /// Rows still to be left out in the group that comes next.
    skip: u64,
    number: u64,
    n_rows: u64,
    n_bytes: u64,
    read: Arc<AtomicU64>,
    path: PathBuf,
}

/// (names of the columns, number of rows)
pub(super) fn describe(path: &Path) -> Result<(Vec<String>, u64), Error> {
    let reader = open(path)?;
    let meta = reader.metadata().file_metadata();
    let columns = meta.schema().get_fields().iter().map(|f| f.name().to_owned()).collect();
    Ok((columns, u64::try_from(meta.num_rows()).unwrap_or(0)))
}

pub(super) fn open(path: &Path) -> Result<SerializedFileReader<fs::File>, Error> {
    let file = fs::File::open(path).map_err(|source| unreadable(path, source))?;
    guarded(|| SerializedFileReader::new(file)).map_err(|what| broken(path, 0, what))
}

pub(super) fn broken(path: &Path, row: u64, what: String) -> Error {
    Error::Broken { path: path.to_owned(), row, what }
}

/// LAW 11: the crate panics on some damaged or rare files (`unimplemented!` for odd type annotations); to the user
/// that is an error of the file.
pub(super) fn guarded<T>(f: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("the Parquet file cannot be read: {error}")),
        Err(_) => Err("the Parquet file is damaged or has a type that is not read".to_owned()),
    }
}

impl Groups {
    pub(super) fn open(file: &File, skip: u64, read: &Arc<AtomicU64>) -> Result<Self, Error> {
        let reader = open(&file.path)?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let mut groups = Self {
            reader,
            schema,
            next_group: 0,
            rows: None,
            skip,
            number: 0,
            n_rows: file.n_rows.unwrap_or(0).max(1),
            n_bytes: file.n_bytes,
            read: Arc::clone(read),
            path: file.path.clone(),
        };
        // Whole groups are left out without being read.
        while let Some(group) = groups.reader.metadata().row_groups().get(groups.next_group) {
            let n = u64::try_from(group.num_rows()).unwrap_or(0);
            if n > groups.skip {
                break;
            }
            groups.skip -= n;
            groups.number += n;
            groups.next_group += 1;
        }
        Ok(groups)
    }

    fn next_row(&mut self) -> Result<Option<Value>, String> {
        loop {
            if let Some(rows) = &mut self.rows
                && let Some(row) = guarded(|| rows.next().transpose())?
            {
                let schema = self.schema.root_schema();
                let members = row
                    .get_column_iter()
                    .map(|(name, field)| (name.clone(), json(field, child(schema, name))));
                return Ok(Some(Value::Object(members.collect())));
            }
            if self.next_group >= self.reader.num_row_groups() {
                return Ok(None);
            }
            let (reader, schema, i) = (&self.reader, Arc::clone(&self.schema), self.next_group);
            let rows = guarded(|| TreeBuilder::new().as_iter(schema, reader.get_row_group(i)?.as_ref()))?;
            self.rows = Some(rows);
            self.next_group += 1;
        }
    }
}

impl Iterator for Groups {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let row = self.next_row();
            self.number += 1;
            let done = u128::from(self.number) * u128::from(self.n_bytes) / u128::from(self.n_rows);
            self.read.store(u64::try_from(done).unwrap_or(u64::MAX), Ordering::Relaxed);
            match row {
                Ok(None) => return None,
                Ok(Some(_)) if self.skip > 0 => self.skip -= 1,
                Ok(Some(raw)) => return Some(Ok(Row { number: self.number, raw, finding: None })),
                Err(what) => return Some(Err(broken(&self.path, self.number, what))),
            }
        }
    }
}

fn child<'t>(group: &'t Type, name: &str) -> Option<&'t Type> {
    if group.is_primitive() {
        return None;
    }
    group.get_fields().iter().map(AsRef::as_ref).find(|t| t.name() == name)
}

/// A field as JSON: times as ISO text, decimals as numbers where a double holds them, NaN (which is how data
/// frames say "nothing") as null.
fn json(field: &Field, schema: Option<&Type>) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(truth) => Value::Bool(*truth),
        Field::Byte(n) => (*n).into(),
        Field::Short(n) => (*n).into(),
        Field::Int(n) => (*n).into(),
        Field::Long(n) => long(*n, schema),
        Field::UByte(n) => (*n).into(),
        Field::UShort(n) => (*n).into(),
        Field::UInt(n) => (*n).into(),
        Field::ULong(n) => (*n).into(),
        Field::Float16(n) => double(f64::from(*n)),
        // The shortest decimal of the single, not the digits that the double adds.
        Field::Float(n) => double(n.to_string().parse().unwrap_or(f64::from(*n))),
        Field::Double(n) => double(*n),
        Field::Decimal(_) => decimal(&field.to_string()),
        Field::Str(text) => Value::String(text.clone()),
        Field::Bytes(bytes) => binary(bytes.data(), schema),
        Field::Date(days) => day(i64::from(*days)),
        Field::TimeMillis(ms) => clock(i64::from(*ms) * 1_000),
        Field::TimeMicros(us) => clock(*us),
        Field::TimestampMillis(ms) => timestamp(ms.checked_mul(1_000), schema),
        Field::TimestampMicros(us) => timestamp(Some(*us), schema),
        Field::Group(row) => {
            let members = row.get_column_iter();
            Value::Object(
                members.map(|(n, f)| (n.clone(), json(f, schema.and_then(|s| child(s, n))))).collect(),
            )
        }
        Field::ListInternal(list) => {
            let item = schema.and_then(item_type);
            list.elements().iter().map(|f| json(f, item)).collect()
        }
        Field::MapInternal(map) => {
            let entry = schema.filter(|s| !s.is_primitive()).and_then(|s| s.get_fields().first());
            let at = |i: usize| entry.filter(|e| !e.is_primitive()).and_then(|e| e.get_fields().get(i));
            let (key, value) = (at(0).map(AsRef::as_ref), at(1).map(AsRef::as_ref));
            let members: Map<String, Value> = map
                .entries()
                .iter()
                .map(|(k, v)| {
                    let name = match json(k, key) {
                        Value::String(text) => text,
                        other => other.to_string(),
                    };
                    (name, json(v, value))
                })
                .collect();
            Value::Object(members)
        }
    }
}

/// The type of a list's items, under three levels as the format has it, or fewer as old writers do.
fn item_type(list: &Type) -> Option<&Type> {
    if list.is_primitive() {
        return Some(list);
    }
    let repeated = list.get_fields().first()?;
    if repeated.is_primitive() || repeated.get_fields().len() != 1 {
        return Some(repeated);
    }
    repeated.get_fields().first().map(AsRef::as_ref)
}

fn logical(schema: Option<&Type>) -> Option<&LogicalType> {
    schema?.get_basic_info().logical_type_ref()
}

/// Nanoseconds have no type of their own in the record reader.
fn long(n: i64, schema: Option<&Type>) -> Value {
    match logical(schema) {
        Some(LogicalType::Timestamp(t)) if t.unit == TimeUnit::NANOS => {
            timestamp(Some(n.div_euclid(1_000)), schema)
        }
        Some(LogicalType::Time(t)) if t.unit == TimeUnit::NANOS => clock(n.div_euclid(1_000)),
        _ => n.into(),
    }
}

fn double(n: f64) -> Value {
    if n.is_infinite() {
        return Value::String(if n > 0.0 { "Infinity".into() } else { "-Infinity".into() });
    }
    serde_json::Number::from_f64(n).map_or(Value::Null, Value::Number)
}

/// A double tells decimals of up to 15 digits apart; what is longer stays text.
fn decimal(text: &str) -> Value {
    let n_digits = text.bytes().filter(u8::is_ascii_digit).count();
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    match text.parse::<f64>() {
        Ok(n) if n_digits <= 15 => double(n),
        _ => Value::String(text.to_owned()),
    }
}

fn binary(bytes: &[u8], schema: Option<&Type>) -> Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    if matches!(logical(schema), Some(LogicalType::Uuid)) && bytes.len() == 16 {
        let cut = |range: std::ops::Range<usize>| hex(bytes.get(range).unwrap_or_default());
        return Value::String([cut(0..4), cut(4..6), cut(6..8), cut(8..10), cut(10..16)].join("-"));
    }
    // Many writers leave out the mark that bytes are text.
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => Value::String(hex(bytes)),
    }
}

fn day(days: i64) -> Value {
    let at = days.checked_mul(86_400_000_000).map(Instant::from_micros);
    let text = at.map(|at| at.to_string()).unwrap_or_default();
    match text.split_once('T') {
        Some((day, _)) => Value::String(day.to_owned()),
        None => Value::String(format!("day {days} of the epoch")),
    }
}

/// A time of the world ends in `Z`; a time on the wall does not, and the contract says on whose wall.
fn timestamp(micros: Option<i64>, schema: Option<&Type>) -> Value {
    let Some(micros) = micros else { return Value::String("beyond all years".into()) };
    let text = Instant::from_micros(micros).to_string();
    let is_local = match logical(schema) {
        Some(LogicalType::Timestamp(t)) => !t.is_adjusted_to_u_t_c,
        // INT96 is what old engines wrote, without a word about zones.
        _ => schema.is_some_and(|s| s.is_primitive() && s.get_physical_type() == Physical::INT96),
    };
    match text.strip_suffix('Z') {
        Some(wall) if is_local => Value::String(wall.to_owned()),
        _ => Value::String(text),
    }
}

fn clock(micros: i64) -> Value {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let whole = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    Value::String(if fraction == 0 { whole } else { format!("{whole}.{fraction:06}") })
}
