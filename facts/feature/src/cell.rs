//! One value of a row: read from a record, kept as bytes, compared in a total order.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exact::LARGEST;
use crate::varint;

/// Longer texts are cut: texts that differ only behind it count as one value.
pub(crate) const MAX_TEXT_BYTES: usize = 256;

/// Below this every whole number is one float and every float without decimals one whole number.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// How a column reads its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Number,
    /// A number with this many decimals, kept as a whole number of its last decimal.
    Scaled(u8),
    Text,
    Boolean,
}

/// A value. Numbers without decimals are `Integer` wherever that is exact, so that 5 and 5.0 are one value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    Integer(i64),
    Number(f64),
    Text(&'a str),
    Boolean(bool),
}

/// A value that owns its text. Stored: its order is part of the format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum OwnedCell {
    Integer(i64),
    Number(f64),
    Text(Box<str>),
    Boolean(bool),
}

impl OwnedCell {
    pub(crate) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Integer(n) => Cell::Integer(*n),
            Self::Number(float) => Cell::Number(*float),
            Self::Text(text) => Cell::Text(text),
            Self::Boolean(truth) => Cell::Boolean(*truth),
        }
    }
}

const MISSING: u8 = 0;
const INTEGER: u8 = 1;
const NUMBER: u8 = 2;
const TEXT: u8 = 3;
const FALSE: u8 = 4;
const TRUE: u8 = 5;

impl<'a> Cell<'a> {
    /// `None` where the value is not of the shape, or too large to be computed with.
    pub(crate) fn read(value: &'a Value, shape: Shape) -> Option<Self> {
        match (shape, value) {
            (Shape::Number, Value::Number(number)) => match number.as_i64() {
                Some(n) => Some(Self::Integer(n)),
                None => Self::of_float(number.as_f64()?),
            },
            (Shape::Scaled(scale), Value::Number(number)) => {
                let factor = 10_i64.checked_pow(scale.into())?;
                match number.as_i64() {
                    Some(n) => n.checked_mul(factor).map(Self::Integer),
                    None => {
                        let scaled = (number.as_f64()? * factor as f64).round();
                        (scaled.abs() < 9.2e18).then_some(Self::Integer(scaled as i64))
                    }
                }
            }
            (Shape::Text, Value::String(text)) => Some(Self::Text(cut(text))),
            (Shape::Boolean, Value::Bool(truth)) => Some(Self::Boolean(*truth)),
            _ => None,
        }
    }

    fn of_float(float: f64) -> Option<Self> {
        if float.fract() == 0.0 && float.abs() < MAX_EXACT {
            Some(Self::Integer(float as i64))
        } else {
            (float.abs() <= LARGEST).then_some(Self::Number(float))
        }
    }

    /// Appends the value's bytes, or those of a missing one.
    pub(crate) fn write(cell: Option<&Self>, out: &mut Vec<u8>) {
        match cell {
            None => out.push(MISSING),
            Some(Self::Integer(n)) => {
                out.push(INTEGER);
                varint::put_signed(out, *n);
            }
            Some(Self::Number(float)) => {
                out.push(NUMBER);
                out.extend_from_slice(&float.to_le_bytes());
            }
            Some(Self::Text(text)) => {
                out.push(TEXT);
                varint::put(out, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
            Some(Self::Boolean(truth)) => out.push(if *truth { TRUE } else { FALSE }),
        }
    }

    /// Takes what [`Cell::write`] wrote; missing too where the bytes are none of ours.
    #[inline]
    pub(crate) fn take(bytes: &mut &'a [u8]) -> Option<Self> {
        let (&tag, rest) = bytes.split_first()?;
        *bytes = rest;
        match tag {
            INTEGER => varint::take_signed(bytes).map(Self::Integer),
            NUMBER => {
                let (float, rest) = bytes.split_first_chunk::<8>()?;
                *bytes = rest;
                Some(Self::Number(f64::from_le_bytes(*float)))
            }
            TEXT => {
                let len = varint::take(bytes)? as usize;
                let (text, rest) = bytes.split_at_checked(len)?;
                *bytes = rest;
                std::str::from_utf8(text).ok().map(Self::Text)
            }
            FALSE => Some(Self::Boolean(false)),
            TRUE => Some(Self::Boolean(true)),
            _ => None,
        }
    }

    pub(crate) fn into_owned(self) -> OwnedCell {
        match self {
            Self::Integer(n) => OwnedCell::Integer(n),
            Self::Number(float) => OwnedCell::Number(float),
            Self::Text(text) => OwnedCell::Text(text.into()),
            Self::Boolean(truth) => OwnedCell::Boolean(truth),
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(n) => Some(*n as f64),
            Self::Number(float) => Some(*float),
            Self::Text(_) | Self::Boolean(_) => None,
        }
    }
}

fn cut(text: &str) -> &str {
    if text.len() <= MAX_TEXT_BYTES {
        return text;
    }
    text.get(..text.floor_char_boundary(MAX_TEXT_BYTES)).unwrap_or_default()
}

impl Ord for Cell<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Integer(a), Self::Number(b)) => whole_to_float(*a, *b),
            (Self::Number(a), Self::Integer(b)) => whole_to_float(*b, *a).reverse(),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl Cell<'_> {
    fn rank(&self) -> u8 {
        match self {
            Self::Boolean(_) => 0,
            Self::Integer(_) | Self::Number(_) => 1,
            Self::Text(_) => 2,
        }
    }
}

/// Compares exactly, also where a float cannot tell neighbouring whole numbers apart.
fn whole_to_float(whole: i64, float: f64) -> Ordering {
    if float.abs() < MAX_EXACT {
        // Has decimals, or it would be a whole number itself: rounding `whole` cannot reach it.
        (whole as f64).total_cmp(&float)
    } else {
        i128::from(whole).cmp(&(float as i128))
    }
}

impl PartialOrd for Cell<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cell<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cell<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(value: Value, shape: Shape, expected: Option<Cell<'_>>) {
        let cell = Cell::read(&value, shape);
        assert_eq!(cell, expected, "{value} as {shape:?}");
        let mut bytes = Vec::new();
        Cell::write(cell.as_ref(), &mut bytes);
        let mut rest = bytes.as_slice();
        assert_eq!(Cell::take(&mut rest), expected, "{value} as {shape:?}");
        assert!(rest.is_empty());
    }

    #[test]
    fn values_are_read_as_their_column_wants_them() {
        check(json!(5.0), Shape::Number, Some(Cell::Integer(5)));
        check(json!(-0.0), Shape::Number, Some(Cell::Integer(0)));
        check(json!(5.5), Shape::Number, Some(Cell::Number(5.5)));
        check(json!(u64::MAX), Shape::Number, Some(Cell::Number(u64::MAX as f64)));
        check(json!(1e201), Shape::Number, None);
        check(json!("5"), Shape::Number, None);
        check(json!(19.99), Shape::Scaled(2), Some(Cell::Integer(1999)));
        check(json!(-7), Shape::Scaled(2), Some(Cell::Integer(-700)));
        check(json!(1e300), Shape::Scaled(2), None);
        check(json!("ü"), Shape::Text, Some(Cell::Text("ü")));
        check(json!(true), Shape::Boolean, Some(Cell::Boolean(true)));
        check(json!(null), Shape::Boolean, None);
        let cut = "é".repeat(128);
        check(json!("é".repeat(200)), Shape::Text, Some(Cell::Text(&cut)));
    }

    #[test]
    fn comparing_is_exact() {
        let big = 9_007_199_254_740_993_i64;
        assert!(Cell::Integer(big) > Cell::Number(MAX_EXACT));
        assert!(Cell::Integer(i64::MAX) < Cell::Number(1e19));
        assert!(Cell::Integer(3) < Cell::Number(3.5));
        assert!(Cell::Number(-3.5) < Cell::Integer(-3));
    }

    proptest! {
        #[test]
        fn every_decimal_of_two_places_is_exact(cents in -1_000_000_000_000_i64..1_000_000_000_000) {
            let text = format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100);
            let value: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(Cell::read(&value, Shape::Scaled(2)), Some(Cell::Integer(cents)));
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let _ = Cell::take(&mut rest);
            }
        }
    }
}
