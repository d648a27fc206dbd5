//! Documents into a Parquet file. The file is written beside its place and moved there once it is whole, so that nobody
//! reads half of it.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;

use crate::Error;
use crate::shape::{Cell, Shape};
use crate::shred::{Leaf, Shredder, Values};

/// Rows of one group.
const GROUP_ROWS: usize = 65_536;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// Rows.
    pub n_rows: u64,
    /// Bytes of the file.
    pub n_bytes: u64,
    /// Values that were of another type than their column says, and were left out.
    pub n_unfit: u64,
}

/// Writes one file.
pub struct Writer {
    members: Vec<(String, Shape)>,
    shredder: Shredder,
    n_waiting: usize,
    n_rows: u64,
    inner: SerializedFileWriter<BufWriter<File>>,
    beside: PathBuf,
    path: PathBuf,
}

impl Writer {
    /// Begins a file for documents with these members; `about` is kept in it, as (key, value).
    ///
    /// # Errors
    /// [`Error::Unwritable`]
    pub fn create(
        path: &Path,
        members: Vec<(String, Shape)>,
        about: &[(&str, String)],
    ) -> Result<Self, Error> {
        let told = |reason: String| Error::Unwritable { path: path.to_path_buf(), reason };
        let mut name = path.file_name().ok_or_else(|| told("it names no file".to_owned()))?.to_owned();
        name.push(".part");
        let beside = path.with_file_name(name);
        let fields = members.iter().map(|(name, shape)| column(name, shape)).collect::<Result<_, _>>();
        let schema = fields
            .and_then(|fields| Type::group_type_builder("records").with_fields(fields).build())
            .map_err(|e| told(e.to_string()))?;
        let about =
            about.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
        let level = ZstdLevel::try_new(3).map_err(|e| told(e.to_string()))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_created_by(format!("maschinenraum {}", env!("CARGO_PKG_VERSION")))
            .set_key_value_metadata(Some(about))
            .build();
        let file = File::create(&beside).map_err(|e| told(e.to_string()))?;
        let inner = SerializedFileWriter::new(BufWriter::new(file), Arc::new(schema), Arc::new(properties))
            .map_err(|e| told(e.to_string()))?;
        let shredder = Shredder::new(&members);
        Ok(Self { members, shredder, n_waiting: 0, n_rows: 0, inner, beside, path: path.to_path_buf() })
    }

    /// Takes one document in. What the shape does not name is left out.
    ///
    /// # Errors
    /// [`Error::Unwritable`]
    pub fn write(&mut self, document: &Value) -> Result<(), Error> {
        self.shredder.add(&self.members, document);
        self.n_waiting += 1;
        self.n_rows += 1;
        if self.n_waiting >= GROUP_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.n_waiting == 0 {
            return Ok(());
        }
        self.write_group()
            .map_err(|e| Error::Unwritable { path: self.path.clone(), reason: e.to_string() })?;
        self.shredder.clear();
        self.n_waiting = 0;
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.inner.next_row_group()?;
        for leaf in &self.shredder.leaves {
            let Some(mut column) = group.next_column()? else { break };
            write_leaf(&mut column, leaf)?;
            column.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Ends the file, syncs it, and moves it to its place.
    ///
    /// # Errors
    /// [`Error::Unwritable`]; nothing lies at its place then.
    pub fn finish(mut self) -> Result<Written, Error> {
        self.flush()?;
        let Self { inner, beside, path, n_rows, shredder, .. } = self;
        let told = |reason: String| Error::Unwritable { path: path.clone(), reason };
        // Writes the footer.
        let file = inner.into_inner().map_err(|e| told(e.to_string()))?;
        let file = file.into_inner().map_err(|e| told(e.to_string()))?;
        file.sync_all().map_err(|e| told(e.to_string()))?;
        let n_bytes = file.metadata().map_err(|e| told(e.to_string()))?.len();
        std::fs::rename(&beside, &path).map_err(|e| told(e.to_string()))?;
        Ok(Written { n_rows, n_bytes, n_unfit: shredder.n_unfit() })
    }
}

fn write_leaf(column: &mut SerializedColumnWriter<'_>, leaf: &Leaf) -> Result<(), ParquetError> {
    let levels = (Some(leaf.definitions.as_slice()), Some(leaf.repetitions.as_slice()));
    match &leaf.values {
        Values::Texts(values) => column.typed::<ByteArrayType>().write_batch(values, levels.0, levels.1)?,
        Values::Longs(values) => column.typed::<Int64Type>().write_batch(values, levels.0, levels.1)?,
        Values::Ints(values) => column.typed::<Int32Type>().write_batch(values, levels.0, levels.1)?,
        Values::Doubles(values) => column.typed::<DoubleType>().write_batch(values, levels.0, levels.1)?,
        Values::Booleans(values) => column.typed::<BoolType>().write_batch(values, levels.0, levels.1)?,
    };
    Ok(())
}

fn column(name: &str, shape: &Shape) -> Result<TypePtr, ParquetError> {
    let built = match shape {
        Shape::Cell(cell) => {
            let (physical, logical) = match cell {
                Cell::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
                Cell::Integer => (Physical::INT64, None),
                Cell::Number => (Physical::DOUBLE, None),
                Cell::Boolean => (Physical::BOOLEAN, None),
                Cell::Date => (Physical::INT32, Some(LogicalType::Date)),
                Cell::Timestamp => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
            };
            let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
            builder.with_logical_type(logical).build()?
        }
        Shape::Group(members) => {
            let fields = members.iter().map(|(name, shape)| column(name, shape)).collect::<Result<_, _>>()?;
            Type::group_type_builder(name)
                .with_repetition(Repetition::OPTIONAL)
                .with_fields(fields)
                .build()?
        }
        Shape::List(item) => {
            let entry = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![column("element", item)?])
                .build()?;
            Type::group_type_builder(name)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(LogicalType::List))
                .with_fields(vec![Arc::new(entry)])
                .build()?
        }
    };
    Ok(Arc::new(built))
}
