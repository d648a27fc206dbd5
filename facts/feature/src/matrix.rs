//! Values of many labels, in columns.

use std::sync::Arc;

use crate::View;
use crate::value::{Kind, Value};

/// Values of a view for many labels: one column per feature, one row per label.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    pub(crate) view: View,
    pub(crate) n_rows: usize,
    pub(crate) columns: Vec<Column>,
}

/// One feature's values; `None` is missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Whole numbers.
    Integer(Vec<Option<i64>>),
    /// Numbers.
    Number(Vec<Option<f64>>),
    /// Texts.
    Text(Vec<Option<Arc<str>>>),
    /// True or false.
    Boolean(Vec<Option<bool>>),
}

impl Matrix {
    /// The view.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// How many labels there are.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The columns, in the order of the view's features.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of a feature.
    pub fn column(&self, name: &str) -> Option<&Column> {
        let at = self.view.features().iter().position(|feature| feature.name() == name)?;
        self.columns.get(at)
    }
}

impl Column {
    pub(crate) fn new(kind: Kind, n_rows: usize) -> Self {
        match kind {
            Kind::Integer => Self::Integer(Vec::with_capacity(n_rows)),
            Kind::Number => Self::Number(Vec::with_capacity(n_rows)),
            Kind::Text => Self::Text(Vec::with_capacity(n_rows)),
            Kind::Boolean => Self::Boolean(Vec::with_capacity(n_rows)),
        }
    }

    /// How many values there are, missing ones included.
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(column) => column.len(),
            Self::Number(column) => column.len(),
            Self::Text(column) => column.len(),
            Self::Boolean(column) => column.len(),
        }
    }

    /// True where there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a label; missing where there is no such label.
    pub fn value(&self, row: usize) -> Value {
        let value = match self {
            Self::Integer(column) => column.get(row).copied().flatten().map(Value::Integer),
            Self::Number(column) => column.get(row).copied().flatten().map(Value::Number),
            Self::Text(column) => column.get(row).cloned().flatten().map(Value::Text),
            Self::Boolean(column) => column.get(row).copied().flatten().map(Value::Boolean),
        };
        value.unwrap_or_default()
    }

    /// The values as numbers, NaN where missing; `None` for texts.
    pub fn numbers(&self) -> Option<Vec<f64>> {
        let missing = f64::NAN;
        Some(match self {
            Self::Integer(column) => column.iter().map(|n| n.map_or(missing, |n| n as f64)).collect(),
            Self::Number(column) => column.iter().map(|n| n.unwrap_or(missing)).collect(),
            Self::Boolean(column) => {
                column.iter().map(|t| t.map_or(missing, |t| f64::from(u8::from(t)))).collect()
            }
            Self::Text(_) => return None,
        })
    }
}

/// Values as they are computed, one label after the other, whatever their order is. A label's values lie side by side,
/// and labels that will be near each other in the columns lie in one drawer: what is made of a drawer stays near.
pub(crate) struct Sheet {
    kinds: Vec<Kind>,
    drawers: Vec<Drawer>,
}

struct Drawer {
    /// Of each label, from the drawer's first on.
    places: Vec<u16>,
    /// Per label: the bits of each value, then a bit for each that is there.
    cells: Vec<u64>,
    /// Per column of texts.
    texts: Vec<Vec<Option<Arc<str>>>>,
}

/// Labels of a drawer.
const DRAWER: usize = 4_096;
/// Labels that are turned into columns at once.
const TURN: usize = 128;
/// Words for the bits of values that are there: a view has 500 features at most.
const WORDS: usize = 8;

impl Sheet {
    /// * `n_rows`: labels there are, also those of other sheets
    /// * `share`: how many sheets they are spread over
    pub(crate) fn new(kinds: impl Iterator<Item = Kind>, n_rows: usize, share: usize) -> Self {
        let kinds: Vec<Kind> = kinds.collect();
        let room = n_rows.min(DRAWER) / share.max(1) * 9 / 8;
        let drawer = || Drawer {
            places: Vec::with_capacity(room),
            cells: Vec::with_capacity(room * stride(kinds.len())),
            texts: kinds.iter().map(|_| Vec::new()).collect(),
        };
        let drawers = (0..n_rows.div_ceil(DRAWER)).map(|_| drawer()).collect();
        Self { kinds, drawers }
    }

    /// Puts a label's values in, one per column; each is of its column's kind, or missing.
    ///
    /// * `place`: of the label, in the order that was asked for
    pub(crate) fn push(&mut self, place: u32, values: impl Iterator<Item = Value>) {
        let place = place as usize;
        let Some(drawer) = self.drawers.get_mut(place / DRAWER) else { return };
        drawer.places.push((place % DRAWER) as u16);
        let mut there = [0_u64; WORDS];
        for (column, (value, kind)) in values.zip(&self.kinds).enumerate() {
            let bits = match (kind, value) {
                (Kind::Integer, Value::Integer(n)) => Some(n as u64),
                (Kind::Boolean, Value::Boolean(truth)) => Some(u64::from(truth)),
                (Kind::Number, value) => value.as_number().map(f64::to_bits),
                (Kind::Text, Value::Text(text)) => put_text(drawer, column, Some(text)),
                (Kind::Text, _) => put_text(drawer, column, None),
                (Kind::Integer | Kind::Boolean, _) => None,
            };
            drawer.cells.push(bits.unwrap_or_default());
            if let Some(word) = there.get_mut(column / 64) {
                *word |= u64::from(bits.is_some()) << (column % 64);
            }
        }
        let n = self.kinds.len();
        drawer.cells.extend_from_slice(there.get(..stride(n) - n).unwrap_or_default());
    }

    /// Some columns of all labels, which are spread over `sheets`, in the order that was asked for.
    pub(crate) fn columns(sheets: &[Self], columns: std::ops::Range<usize>, n_rows: usize) -> Vec<Column> {
        let Some(first) = sheets.first() else { return Vec::new() };
        let n = first.kinds.len();
        let kinds = columns.filter_map(|at| Some((at, *first.kinds.get(at)?)));
        let mut made: Vec<(usize, Column)> =
            kinds.map(|(at, kind)| (at, Column::new(kind, n_rows))).collect();
        let mut order: Vec<(&Drawer, usize)> = Vec::with_capacity(DRAWER);
        for number in 0..first.drawers.len() {
            let all = sheets.iter().filter_map(|sheet| sheet.drawers.get(number));
            order.clear();
            for drawer in all.clone() {
                let len = drawer.places.iter().map(|place| usize::from(*place) + 1).max().unwrap_or(0);
                order.resize(order.len().max(len), (drawer, usize::MAX));
            }
            for drawer in all {
                for (row, place) in drawer.places.iter().enumerate() {
                    order.get_mut(usize::from(*place)).into_iter().for_each(|own| *own = (drawer, row));
                }
            }
            for turn in order.chunks(TURN) {
                for (at, column) in &mut made {
                    let at = *at;
                    let cells = turn.iter().map(|(drawer, row)| {
                        let start = row.saturating_mul(stride(n));
                        let there = drawer.cells.get(start.saturating_add(n + at / 64));
                        let there = there.is_some_and(|word| word >> (at % 64) & 1 == 1);
                        drawer.cells.get(start.saturating_add(at)).copied().filter(|_| there)
                    });
                    match column {
                        Column::Integer(column) => {
                            column.extend(cells.map(|bits| bits.map(|bits| bits as i64)))
                        }
                        Column::Number(column) => column.extend(cells.map(|bits| bits.map(f64::from_bits))),
                        Column::Boolean(column) => {
                            column.extend(cells.map(|bits| bits.map(|bits| bits == 1)))
                        }
                        Column::Text(column) => {
                            let text = |(drawer, row): &(&Drawer, usize)| {
                                drawer.texts.get(at).and_then(|texts| texts.get(*row)).cloned().flatten()
                            };
                            column.extend(turn.iter().map(text));
                        }
                    }
                }
            }
        }
        made.into_iter().map(|(_, column)| column).collect()
    }
}

/// A text lies beside the cells.
fn put_text(drawer: &mut Drawer, column: usize, text: Option<Arc<str>>) -> Option<u64> {
    drawer.texts.get_mut(column).into_iter().for_each(|texts| texts.push(text.clone()));
    None
}

/// Words that one label takes.
fn stride(n_columns: usize) -> usize {
    n_columns + n_columns / 64 + 1
}
