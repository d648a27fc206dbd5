//! From nested documents to flat columns and back-references (Melnik et al. 2010, doi:10.14778/1920841.1920886): each
//! cell is told with how much of the way to it is there, and where in which list it stands.

use parquet::data_type::ByteArray;
use serde_json::Value;

use crate::shape::{Cell, Shape};

/// Values of one leaf, as they gather until a row group is written.
pub(crate) struct Leaf {
    pub(crate) values: Values,
    pub(crate) definitions: Vec<i16>,
    pub(crate) repetitions: Vec<i16>,
}

pub(crate) enum Values {
    Texts(Vec<ByteArray>),
    Longs(Vec<i64>),
    Ints(Vec<i32>),
    Doubles(Vec<f64>),
    Booleans(Vec<bool>),
}

impl Leaf {
    fn new(cell: Cell) -> Self {
        let values = match cell {
            Cell::Text => Values::Texts(Vec::new()),
            Cell::Integer | Cell::Timestamp => Values::Longs(Vec::new()),
            Cell::Date => Values::Ints(Vec::new()),
            Cell::Number => Values::Doubles(Vec::new()),
            Cell::Boolean => Values::Booleans(Vec::new()),
        };
        Self { values, definitions: Vec::new(), repetitions: Vec::new() }
    }

    fn level(&mut self, definition: i16, repetition: i16) {
        self.definitions.push(definition);
        self.repetitions.push(repetition);
    }
}

/// The leaves of documents of one shape, in the order of the file.
pub(crate) struct Shredder {
    pub(crate) leaves: Vec<Leaf>,
    cells: Vec<Cell>,
    n_unfit: u64,
}

/// Where in a document a value stands.
#[derive(Clone, Copy)]
struct At {
    definition: i16,
    repetition: i16,
    /// Lists around it.
    depth: i16,
}

impl Shredder {
    pub(crate) fn new(members: &[(String, Shape)]) -> Self {
        let mut cells = Vec::new();
        members.iter().for_each(|(_, shape)| cells_of(shape, &mut cells));
        Self { leaves: cells.iter().map(|cell| Leaf::new(*cell)).collect(), cells, n_unfit: 0 }
    }

    /// How many values were of another type than their column and were left out.
    pub(crate) fn n_unfit(&self) -> u64 {
        self.n_unfit
    }

    /// Takes one document in.
    pub(crate) fn add(&mut self, members: &[(String, Shape)], document: &Value) {
        let mut leaf = 0;
        let at = At { definition: 0, repetition: 0, depth: 0 };
        for (name, shape) in members {
            self.part(shape, document.get(name), at, &mut leaf);
        }
    }

    /// Forgets what was written.
    pub(crate) fn clear(&mut self) {
        self.leaves = self.cells.iter().map(|cell| Leaf::new(*cell)).collect();
    }

    fn part(&mut self, shape: &Shape, value: Option<&Value>, at: At, leaf: &mut usize) {
        let value = value.filter(|value| !value.is_null());
        match shape {
            Shape::Cell(cell) => {
                let taken = value.is_some_and(|value| self.put(*leaf, *cell, value));
                if value.is_some() && !taken {
                    self.n_unfit += 1;
                }
                let definition = at.definition + i16::from(taken);
                if let Some(leaf) = self.leaves.get_mut(*leaf) {
                    leaf.level(definition, at.repetition);
                }
                *leaf += 1;
            }
            Shape::Group(members) => match value {
                Some(Value::Object(object)) => {
                    let at = At { definition: at.definition + 1, ..at };
                    for (name, shape) in members {
                        self.part(shape, object.get(name), at, leaf);
                    }
                }
                other => {
                    self.n_unfit += u64::from(other.is_some());
                    members.iter().for_each(|(_, shape)| self.nothing(shape, at, leaf));
                }
            },
            Shape::List(item) => match value {
                Some(Value::Array(items)) if !items.is_empty() => {
                    let first = *leaf;
                    for (i, value) in items.iter().enumerate() {
                        *leaf = first;
                        let depth = at.depth + 1;
                        let repetition = if i == 0 { at.repetition } else { depth };
                        let inner = At { definition: at.definition + 2, repetition, depth };
                        self.part(item, Some(value), inner, leaf);
                    }
                }
                Some(Value::Array(_)) => {
                    self.nothing(item, At { definition: at.definition + 1, ..at }, leaf);
                }
                other => {
                    self.n_unfit += u64::from(other.is_some());
                    self.nothing(item, at, leaf);
                }
            },
        }
    }

    fn nothing(&mut self, shape: &Shape, at: At, leaf: &mut usize) {
        match shape {
            Shape::Cell(_) => {
                if let Some(leaf) = self.leaves.get_mut(*leaf) {
                    leaf.level(at.definition, at.repetition);
                }
                *leaf += 1;
            }
            Shape::Group(members) => members.iter().for_each(|(_, shape)| self.nothing(shape, at, leaf)),
            Shape::List(item) => self.nothing(item, at, leaf),
        }
    }

    /// False where the value does not fit the column.
    fn put(&mut self, leaf: usize, cell: Cell, value: &Value) -> bool {
        let Some(leaf) = self.leaves.get_mut(leaf) else { return false };
        match (&mut leaf.values, cell, value) {
            (Values::Texts(out), _, Value::String(text)) => out.push(text.as_str().into()),
            (Values::Texts(out), _, other) => out.push(other.to_string().as_str().into()),
            (Values::Longs(out), Cell::Integer, Value::Number(number)) => {
                let whole = number.as_i64().or_else(|| {
                    number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15).map(|n| n as i64)
                });
                let Some(whole) = whole else { return false };
                out.push(whole);
            }
            (Values::Longs(out), Cell::Timestamp, Value::String(text)) => {
                let Ok(at) = text.parse::<event::Instant>() else { return false };
                out.push(at.micros());
            }
            (Values::Ints(out), _, Value::String(text)) => {
                let day = text.get(..10).unwrap_or(text).parse::<event::Instant>();
                let days = day.ok().and_then(|at| i32::try_from(at.micros().div_euclid(86_400_000_000)).ok());
                let Some(days) = days else { return false };
                out.push(days);
            }
            (Values::Doubles(out), _, Value::Number(number)) => match number.as_f64() {
                Some(number) => out.push(number),
                None => return false,
            },
            (Values::Booleans(out), _, Value::Bool(truth)) => out.push(*truth),
            _ => return false,
        }
        true
    }
}

fn cells_of(shape: &Shape, out: &mut Vec<Cell>) {
    match shape {
        Shape::Cell(cell) => out.push(*cell),
        Shape::Group(members) => members.iter().for_each(|(_, shape)| cells_of(shape, out)),
        Shape::List(item) => cells_of(item, out),
    }
}
