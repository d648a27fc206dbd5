//! Tables: named columns of numbers and categories. Column-major: each column is one contiguous vector.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::quote;

/// Numbers beyond ± this are refused: their squares would overflow, and no honest measurement has them.
pub const LARGEST: f64 = 1e100;

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A number; NaN counts as missing.
    Number(f64),
    /// A category.
    Text(&'a str),
    /// Not known.
    Missing,
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Value::Number(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Value::Number(f64::from(u8::from(flag)))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Missing, Into::into)
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Numbers.
    Number,
    /// Categories.
    Category,
}

/// A named column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    name: Arc<str>,
    data: Data,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    /// NaN is missing.
    Numbers(Vec<f64>),
    /// Levels in byte order, so that codes do not depend on the order of rows; `None` is missing.
    Categories { levels: Vec<Arc<str>>, codes: Vec<Option<u32>> },
}

impl Column {
    /// A column of numbers; NaN is missing.
    pub fn numbers(name: &str, values: Vec<f64>) -> Self {
        Self { name: name.into(), data: Data::Numbers(values) }
    }

    /// A column of categories; `None` is missing.
    pub fn categories<'a>(name: &str, values: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let values: Vec<Option<&str>> = values.into_iter().collect();
        let distinct: BTreeSet<&str> = values.iter().copied().flatten().collect();
        let codes: BTreeMap<&str, u32> = distinct.iter().enumerate().map(|(i, l)| (*l, i as u32)).collect();
        let data = Data::Categories {
            levels: distinct.iter().map(|l| Arc::from(*l)).collect(),
            codes: values.iter().map(|v| v.and_then(|v| codes.get(v).copied())).collect(),
        };
        Self { name: name.into(), data }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it holds.
    pub fn kind(&self) -> Kind {
        match self.data {
            Data::Numbers(_) => Kind::Number,
            Data::Categories { .. } => Kind::Category,
        }
    }

    /// The value of a row; missing where there is no such row.
    pub fn value(&self, row: usize) -> Value<'_> {
        match &self.data {
            Data::Numbers(values) => match values.get(row) {
                Some(v) if !v.is_nan() => Value::Number(*v),
                _ => Value::Missing,
            },
            Data::Categories { levels, codes } => codes
                .get(row)
                .copied()
                .flatten()
                .and_then(|code| levels.get(code as usize))
                .map_or(Value::Missing, |level| Value::Text(level)),
        }
    }

    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    fn len(&self) -> usize {
        match &self.data {
            Data::Numbers(values) => values.len(),
            Data::Categories { codes, .. } => codes.len(),
        }
    }

    fn take(&self, rows: &[usize]) -> Self {
        let data = match &self.data {
            Data::Numbers(values) => {
                Data::Numbers(rows.iter().map(|r| values.get(*r).copied().unwrap_or(f64::NAN)).collect())
            }
            Data::Categories { levels, codes } => Data::Categories {
                levels: levels.clone(),
                codes: rows.iter().map(|r| codes.get(*r).copied().flatten()).collect(),
            },
        };
        Self { name: self.name.clone(), data }
    }
}

/// A table of named columns, all of one length.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    n_rows: usize,
    columns: Vec<Column>,
}

impl Frame {
    /// Puts columns together.
    ///
    /// # Errors
    /// Columns of different lengths, two of one name, none at all, or numbers beyond ±[`LARGEST`].
    pub fn new(columns: Vec<Column>) -> Result<Self, Error> {
        let n_rows = columns.first().ok_or(Error::Empty)?.len();
        let mut names = BTreeSet::new();
        for column in &columns {
            if column.len() != n_rows {
                let what = quote(&column.name);
                return Err(Error::LengthsDiffer { what, n_given: column.len(), n_rows });
            }
            if !names.insert(column.name.clone()) {
                return Err(Error::DuplicateColumn { column: quote(&column.name) });
            }
            if let Data::Numbers(values) = &column.data
                && let Some(value) = values.iter().find(|v| v.abs() > LARGEST)
            {
                return Err(Error::NotFinite { column: quote(&column.name), value: *value });
            }
        }
        Ok(Self { n_rows, columns })
    }

    /// Puts rows together; each row has its values in the order of `columns`.
    ///
    /// # Errors
    /// As [`Frame::new`], and [`Error::WrongKind`] where a value does not fit its column.
    pub fn from_rows<'a, R>(
        columns: &[(&str, Kind)],
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Self, Error>
    where
        R: AsRef<[Value<'a>]>,
    {
        let rows: Vec<R> = rows.into_iter().collect();
        let built = columns.iter().enumerate().map(|(i, (name, kind))| {
            let values = rows.iter().map(|row| row.as_ref().get(i).copied());
            match kind {
                Kind::Number => {
                    let numbers = values.map(|v| match v {
                        Some(Value::Number(n)) => Ok(n),
                        Some(Value::Missing) => Ok(f64::NAN),
                        Some(Value::Text(t)) => Err(wrong_kind(name, "number", t)),
                        None => Err(Error::MissingColumn { column: quote(name) }),
                    });
                    Ok(Column::numbers(name, numbers.collect::<Result<_, Error>>()?))
                }
                Kind::Category => {
                    let texts = values.map(|v| match v {
                        Some(Value::Text(t)) => Ok(Some(t)),
                        Some(Value::Missing) => Ok(None),
                        Some(Value::Number(n)) if n.is_nan() => Ok(None),
                        Some(Value::Number(n)) => Err(wrong_kind(name, "category", &n.to_string())),
                        None => Err(Error::MissingColumn { column: quote(name) }),
                    });
                    Ok(Column::categories(name, texts.collect::<Result<Vec<_>, Error>>()?))
                }
            }
        });
        Self::new(built.collect::<Result<_, Error>>()?)
    }

    /// How many rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| &*c.name == name)
    }

    /// The rows named, in that order; a row that is not there is missing in every column.
    pub fn take(&self, rows: &[usize]) -> Self {
        Self { n_rows: rows.len(), columns: self.columns.iter().map(|c| c.take(rows)).collect() }
    }

    /// Without a column.
    pub fn without(&self, name: &str) -> Self {
        let columns = self.columns.iter().filter(|c| &*c.name != name).cloned().collect();
        Self { n_rows: self.n_rows, columns }
    }
}

pub(crate) fn wrong_kind(column: &str, expected: &'static str, given: &str) -> Error {
    Error::WrongKind { column: quote(column), expected, given: quote(given) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_do_not_depend_on_row_order() {
        let a = Column::categories("c", [Some("b"), None, Some("a")]);
        let b = Column::categories("c", [Some("a"), None, Some("b")]);
        let levels = |c: &Column| match c.data() {
            Data::Categories { levels, .. } => levels.clone(),
            Data::Numbers(_) => vec![],
        };
        assert_eq!(levels(&a), levels(&b));
        assert_eq!(a.value(0), Value::Text("b"));
        assert_eq!(a.value(1), Value::Missing);
        assert_eq!(a.value(99), Value::Missing);
    }

    #[test]
    fn rows_and_columns_make_the_same_frame() {
        let rows = [vec![Value::from(1.0), "x".into()], vec![Value::Missing, Value::Missing]];
        let by_rows = Frame::from_rows(&[("n", Kind::Number), ("c", Kind::Category)], rows).unwrap();
        let by_columns = Frame::new(vec![
            Column::numbers("n", vec![1.0, f64::NAN]),
            Column::categories("c", [Some("x"), None]),
        ])
        .unwrap();
        for row in 0..2 {
            for name in ["n", "c"] {
                let get = |f: &Frame| format!("{:?}", f.column(name).unwrap().value(row));
                assert_eq!(get(&by_rows), get(&by_columns));
            }
        }
        assert_eq!(by_rows.take(&[1]).n_rows(), 1);
        assert!(by_rows.without("n").column("n").is_none());
    }

    fn check(columns: Vec<Column>, code: &str) {
        let error = Frame::new(columns).unwrap_err().to_string();
        assert!(error.starts_with(code), "{error}");
    }

    #[test]
    fn refuses_what_is_no_table() {
        check(vec![], "MR4501");
        check(vec![Column::numbers("a", vec![1.0]), Column::numbers("b", vec![])], "MR4502");
        check(vec![Column::numbers("a", vec![1.0]), Column::numbers("a", vec![1.0])], "MR4503");
        check(vec![Column::numbers("a", vec![f64::INFINITY])], "MR4504");
        let text_for_number = Frame::from_rows(&[("n", Kind::Number)], [[Value::Text("<script>")]]);
        assert!(text_for_number.unwrap_err().to_string().contains("<script>"));
        let short_row = Frame::from_rows(&[("n", Kind::Number), ("m", Kind::Number)], [[Value::Number(1.0)]]);
        assert!(short_row.unwrap_err().to_string().starts_with("MR4506"));
    }
}
