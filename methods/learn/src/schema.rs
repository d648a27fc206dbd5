//! What a model was taught with: its columns, and how a row becomes numbers.
//!
//! A number stays itself, a category becomes the place of its level. Levels with few rows share one place,
//! *other*, which also takes levels never seen in training; where there is no such place, they count as missing.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::quote;
use crate::frame::{Data, LARGEST, wrong_kind};
use crate::{Error, Frame, Value};

/// Levels beyond this many (the most frequent stay) become *other*.
const MAX_LEVELS: usize = 1_000;

/// One column that a model needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// What it holds.
    pub kind: FieldKind,
}

/// What a column held in training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldKind {
    /// Numbers.
    Number,
    /// Categories.
    Category {
        /// Levels that stand for themselves, in byte order.
        levels: Vec<Arc<str>>,
        /// Whether rare levels were taught as *other*.
        other: bool,
    },
}

/// The columns a model needs, in its own order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    fields: Vec<Field>,
}

/// A frame as numbers: column-major, NaN is missing.
pub(crate) struct Encoded {
    pub(crate) data: Vec<f64>,
    pub(crate) n_rows: usize,
}

impl Schema {
    /// Learns the schema of a frame. Levels with fewer than `min_level_rows` rows become *other*.
    pub fn of(frame: &Frame, min_level_rows: usize) -> Self {
        let fields = frame.columns().iter().map(|column| {
            let kind = match column.data() {
                Data::Numbers(_) => FieldKind::Number,
                Data::Categories { levels, codes } => {
                    let mut n_rows_of = vec![0_usize; levels.len()];
                    for code in codes.iter().flatten() {
                        if let Some(n) = n_rows_of.get_mut(*code as usize) {
                            *n += 1;
                        }
                    }
                    let mut present: Vec<(usize, &Arc<str>)> =
                        n_rows_of.into_iter().zip(levels).filter(|(n, _)| *n > 0).collect();
                    let n_present = present.len();
                    present.retain(|(n, _)| *n >= min_level_rows);
                    present.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
                    present.truncate(MAX_LEVELS);
                    let mut kept: Vec<Arc<str>> =
                        present.into_iter().map(|(_, level)| level.clone()).collect();
                    kept.sort();
                    FieldKind::Category { other: kept.len() < n_present, levels: kept }
                }
            };
            Field { name: column.name().clone(), kind }
        });
        Self { fields: fields.collect() }
    }

    /// The columns.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Encodes one row given as name and value; the order does not matter, but the schema's own is fastest.
    /// Names the schema does not know are passed over.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] where a column is not given at all (an unknown value is [`Value::Missing`]),
    /// [`Error::WrongKind`], [`Error::NotFinite`].
    pub fn encode_row<N: AsRef<str>>(&self, row: &[(N, Value<'_>)], out: &mut Vec<f64>) -> Result<(), Error> {
        out.clear();
        for (i, field) in self.fields.iter().enumerate() {
            let value = match row.get(i) {
                Some((name, value)) if name.as_ref() == &*field.name => *value,
                _ => row
                    .iter()
                    .find(|(name, _)| name.as_ref() == &*field.name)
                    .map(|(_, value)| *value)
                    .ok_or_else(|| Error::MissingColumn { column: quote(&field.name) })?,
            };
            out.push(field.encode(value)?);
        }
        Ok(())
    }

    pub(crate) fn encode(&self, frame: &Frame) -> Result<Encoded, Error> {
        let mut data = Vec::with_capacity(frame.n_rows() * self.fields.len());
        for field in &self.fields {
            let column = frame
                .column(&field.name)
                .ok_or_else(|| Error::MissingColumn { column: quote(&field.name) })?;
            match (column.data(), &field.kind) {
                (Data::Numbers(values), FieldKind::Number) => data.extend_from_slice(values),
                (Data::Categories { levels, codes }, FieldKind::Category { .. }) => {
                    let places: Vec<f64> =
                        levels.iter().map(|l| field.encode(Value::Text(l))).collect::<Result<_, Error>>()?;
                    data.extend(
                        codes
                            .iter()
                            .map(|c| c.and_then(|c| places.get(c as usize)).copied().unwrap_or(f64::NAN)),
                    );
                }
                (Data::Numbers(_), FieldKind::Category { .. }) => {
                    return Err(wrong_kind(&field.name, "category", "a column of numbers"));
                }
                (Data::Categories { .. }, FieldKind::Number) => {
                    return Err(wrong_kind(&field.name, "number", "a column of categories"));
                }
            }
        }
        Ok(Encoded { data, n_rows: frame.n_rows() })
    }
}

impl Field {
    /// How many places a category has, *other* included; 0 for a number.
    pub(crate) fn n_places(&self) -> usize {
        match &self.kind {
            FieldKind::Number => 0,
            FieldKind::Category { levels, other } => levels.len() + usize::from(*other),
        }
    }

    fn encode(&self, value: Value<'_>) -> Result<f64, Error> {
        match (&self.kind, value) {
            (_, Value::Missing) => Ok(f64::NAN),
            (FieldKind::Number, Value::Number(n)) if n.is_nan() || n.abs() <= LARGEST => Ok(n),
            (FieldKind::Number, Value::Number(value)) => {
                Err(Error::NotFinite { column: quote(&self.name), value })
            }
            (FieldKind::Category { levels, other }, Value::Text(text)) => {
                Ok(match levels.binary_search_by(|level| (**level).cmp(text)) {
                    Ok(place) => place as f64,
                    Err(_) if *other => levels.len() as f64,
                    Err(_) => f64::NAN,
                })
            }
            (FieldKind::Category { .. }, Value::Number(n)) if n.is_nan() => Ok(n),
            (FieldKind::Category { .. }, Value::Number(n)) => {
                Err(wrong_kind(&self.name, "category", &n.to_string()))
            }
            (FieldKind::Number, Value::Text(text)) => Err(wrong_kind(&self.name, "number", text)),
        }
    }
}

impl Encoded {
    /// The rows, each in the order of the schema.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Vec<f64>> + '_ {
        (0..self.n_rows).map(|row| self.data.iter().skip(row).step_by(self.n_rows).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Column;

    fn schema() -> Schema {
        let job = ["a", "a", "b", "b", "rare"];
        let frame = Frame::new(vec![
            Column::numbers("age", vec![1.0, 2.0, 3.0, 4.0, 5.0]),
            Column::categories("job", job.map(Some)),
            Column::categories("sex", ["f", "f", "m", "m", "m"].map(Some)),
        ]);
        Schema::of(&frame.unwrap(), 2)
    }

    fn check(row: &[(&str, Value)], expected: Result<[f64; 3], &str>) {
        let mut out = Vec::new();
        match (schema().encode_row(row, &mut out), expected) {
            (Ok(()), Ok(expected)) => assert_eq!(format!("{out:?}"), format!("{expected:?}")),
            (Err(error), Err(code)) => assert!(error.to_string().starts_with(code), "{error}"),
            (got, expected) => panic!("{row:?}: {got:?}, {expected:?}"),
        }
    }

    #[test]
    fn a_row_becomes_numbers() {
        check(&[("age", 7.0.into()), ("job", "b".into()), ("sex", "f".into())], Ok([7.0, 1.0, 0.0]));
        // in another order, with a name that is not wanted
        check(
            &[("sex", "m".into()), ("x", 1.0.into()), ("age", 7.0.into()), ("job", "rare".into())],
            Ok([7.0, 2.0, 1.0]),
        );
        // `job` was taught with rare levels, so a new one is *other*; `sex` was not, so it is missing
        check(
            &[("age", Value::Missing), ("job", "new".into()), ("sex", "new".into())],
            Ok([f64::NAN, 2.0, f64::NAN]),
        );
        check(&[("age", 7.0.into()), ("job", "b".into())], Err("MR4506"));
        check(&[("age", "seven".into()), ("job", "b".into()), ("sex", "f".into())], Err("MR4507"));
        check(&[("age", 7.0.into()), ("job", 3.0.into()), ("sex", "f".into())], Err("MR4507"));
        check(&[("age", f64::INFINITY.into()), ("job", "b".into()), ("sex", "f".into())], Err("MR4504"));
    }

    #[test]
    fn frames_and_rows_encode_alike() {
        let schema = schema();
        let frame = Frame::new(vec![
            Column::categories("job", [Some("new"), None, Some("a")]),
            Column::categories("sex", [Some("m"), Some("q"), None]),
            Column::numbers("age", vec![f64::NAN, 2.0, 3.0]),
        ])
        .unwrap();
        let encoded = schema.encode(&frame).unwrap();
        for (i, row) in encoded.rows().enumerate() {
            let values: Vec<(&str, Value)> =
                ["age", "job", "sex"].map(|n| (n, frame.column(n).unwrap().value(i))).to_vec();
            let mut alone = Vec::new();
            schema.encode_row(&values, &mut alone).unwrap();
            assert_eq!(format!("{row:?}"), format!("{alone:?}"));
        }
        assert!(schema.encode(&frame.without("age")).is_err());
    }
}
