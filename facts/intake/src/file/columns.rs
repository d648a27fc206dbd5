//! Parquet column by column, for those who judge a file and need no rows.

use std::path::{Path, PathBuf};

use contract::metric::{ColumnKind, Values};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::parquet::{broken, guarded, open};
use crate::error::Error;

/// Rows read at once.
const BATCH: usize = 16_384;

/// The columns of a Parquet file. Each thread opens its own.
pub struct Columns {
    reader: SerializedFileReader<std::fs::File>,
    path: PathBuf,
}

/// What one call of a visitor is given: the number of the first row, how many rows, which of them have a value (`None`:
/// all), and the values.
pub type Visit<'v> = dyn FnMut(u64, usize, Option<&[bool]>, Values<'_>) + 'v;

impl Columns {
    /// Opens a Parquet file; `None` where it is none.
    ///
    /// # Errors
    /// [`Error`] where it cannot be read.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        let mut magic = [0; 4];
        let mut file = std::fs::File::open(path).map_err(|source| super::unreadable(path, source))?;
        let is_parquet = std::io::Read::read_exact(&mut file, &mut magic).is_ok() && &magic == b"PAR1";
        if !is_parquet {
            return Ok(None);
        }
        Ok(Some(Self { reader: open(path)?, path: path.to_owned() }))
    }

    /// How many rows there are.
    pub fn n_rows(&self) -> u64 {
        u64::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// What a column of the top holds; `None` where there is none of this name, or it needs rows to be read.
    pub fn kind(&self, name: &str) -> Option<ColumnKind> {
        kind(self.descriptor(name)?.1)
    }

    fn descriptor(&self, name: &str) -> Option<(usize, &ColumnDescriptor)> {
        let columns = self.reader.metadata().file_metadata().schema_descr().columns();
        let found = columns
            .iter()
            .enumerate()
            .find(|(_, column)| matches!(column.path().parts(), [only] if only == name));
        found.map(|(at, column)| (at, column.as_ref()))
    }

    /// Visits a column's values from the first row to the last. False where a text of it is none: then rows are needed.
    ///
    /// # Errors
    /// [`Error`] where the file is damaged, or has no such column.
    pub fn visit(&self, name: &str, visit: &mut Visit<'_>) -> Result<bool, Error> {
        let missing = || broken(&self.path, 0, format!("the column `{name}` cannot be read by itself"));
        let (at, descriptor) = self.descriptor(name).ok_or_else(missing)?;
        let kind = kind(descriptor).ok_or_else(missing)?;
        let mut first_row = 0;
        for group in 0..self.reader.num_row_groups() {
            let told = guarded(|| {
                let group = self.reader.get_row_group(group)?;
                let fine = of_group(group.get_column_reader(at)?, descriptor, kind, first_row, visit)?;
                Ok((u64::try_from(group.metadata().num_rows()).unwrap_or(0), fine))
            });
            let (n, fine) = told.map_err(|what| broken(&self.path, first_row, what))?;
            if !fine {
                return Ok(false);
            }
            first_row += n;
        }
        Ok(true)
    }
}

fn of_group(
    reader: ColumnReader,
    descriptor: &ColumnDescriptor,
    kind: ColumnKind,
    first: u64,
    visit: &mut Visit<'_>,
) -> Result<bool, ParquetError> {
    let levels = descriptor.max_def_level();
    match reader {
        ColumnReader::Int32ColumnReader(reader) => each(reader, levels, first, |at, n, there, values| {
            let wide: Vec<i64> = values.iter().map(|n| i64::from(*n)).collect();
            visit(at, n, there, Values::Ints(&wide));
            true
        }),
        ColumnReader::Int64ColumnReader(reader) if kind == ColumnKind::Micros => {
            let unit = unit(descriptor);
            each(reader, levels, first, |at, n, there, values| {
                let micros: Option<Vec<i64>> = values.iter().map(|n| in_micros(*n, unit)).collect();
                let Some(micros) = micros else { return false };
                visit(at, n, there, Values::Micros(&micros));
                true
            })
        }
        ColumnReader::Int64ColumnReader(reader) => each(reader, levels, first, |at, n, there, values| {
            visit(at, n, there, Values::Ints(values));
            true
        }),
        ColumnReader::DoubleColumnReader(reader) => each(reader, levels, first, |at, n, there, values| {
            visit(at, n, there, Values::Doubles(values));
            true
        }),
        ColumnReader::BoolColumnReader(reader) => each(reader, levels, first, |at, n, there, values| {
            visit(at, n, there, Values::Bools(values));
            true
        }),
        ColumnReader::ByteArrayColumnReader(reader) => each(reader, levels, first, |at, n, there, values| {
            let texts: Result<Vec<&str>, _> =
                values.iter().map(|bytes| std::str::from_utf8(bytes.data())).collect();
            let Ok(texts) = texts else { return false };
            visit(at, n, there, Values::Texts(&texts));
            true
        }),
        _ => Ok(false),
    }
}

/// Reads a column's values, batch by batch, until `take` says no.
fn each<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    max_level: i16,
    mut first_row: u64,
    mut take: impl FnMut(u64, usize, Option<&[bool]>, &[T::T]) -> bool,
) -> Result<bool, ParquetError> {
    let (mut levels, mut there, mut values) = (Vec::new(), Vec::new(), Vec::with_capacity(BATCH));
    loop {
        levels.clear();
        values.clear();
        let defined = (max_level > 0).then_some(&mut levels);
        let (n, n_values, _) = reader.read_records(BATCH, defined, None, &mut values)?;
        if n == 0 {
            return Ok(true);
        }
        let some_lack = n_values < n;
        if some_lack {
            there.clear();
            there.extend(levels.iter().map(|level| *level == max_level));
        }
        if !take(first_row, n, some_lack.then_some(there.as_slice()), &values) {
            return Ok(false);
        }
        first_row += n as u64;
    }
}

/// What a column holds, where binding a row would leave its values as they are.
fn kind(column: &ColumnDescriptor) -> Option<ColumnKind> {
    if column.max_rep_level() > 0 || column.max_def_level() > 1 {
        return None;
    }
    let logical = column.logical_type_ref();
    let is_plain = logical.is_none() && column.converted_type() == ConvertedType::NONE;
    match (column.physical_type(), logical) {
        (Physical::BOOLEAN, None) => Some(ColumnKind::Bools),
        (Physical::INT32 | Physical::INT64, None) if is_plain => Some(ColumnKind::Ints),
        (Physical::INT32 | Physical::INT64, Some(LogicalType::Integer(integer))) if integer.is_signed => {
            Some(ColumnKind::Ints)
        }
        (Physical::INT64, Some(LogicalType::Timestamp(time))) if time.is_adjusted_to_u_t_c => {
            Some(ColumnKind::Micros)
        }
        (Physical::DOUBLE, None) => Some(ColumnKind::Doubles),
        (Physical::BYTE_ARRAY, Some(LogicalType::String)) => Some(ColumnKind::Texts),
        (Physical::BYTE_ARRAY, None) if is_plain || column.converted_type() == ConvertedType::UTF8 => {
            Some(ColumnKind::Texts)
        }
        _ => None,
    }
}

fn unit(column: &ColumnDescriptor) -> TimeUnit {
    match column.logical_type_ref() {
        Some(LogicalType::Timestamp(time)) => time.unit,
        _ => TimeUnit::MICROS,
    }
}

fn in_micros(n: i64, unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::MILLIS => n.checked_mul(1_000),
        TimeUnit::MICROS => Some(n),
        TimeUnit::NANOS => Some(n.div_euclid(1_000)),
    }
}
