//! One change of one row, as a document.

use std::sync::Arc;

use event::Instant;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::pgoutput::{Cell, Relation, Tuple};
use crate::{Lsn, value};

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// It was there when the capture began.
    Snapshot,
    /// It is new.
    Insert,
    /// It changed.
    Update,
    /// It is gone.
    Delete,
    /// All rows of its table are gone.
    Truncate,
}

impl Op {
    /// The word in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
        }
    }
}

/// What of an old row the database tells with an update or delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// The primary key.
    Default,
    /// Nothing: updates and deletes of a published table fail.
    Nothing,
    /// All of it.
    Full,
    /// The columns of an index.
    Index,
}

impl Identity {
    /// Reads PostgreSQL's letter.
    pub fn read(letter: u8) -> Self {
        match letter {
            b'n' => Self::Nothing,
            b'f' => Self::Full,
            b'i' => Self::Index,
            _ => Self::Default,
        }
    }
}

/// A column of a captured table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The number of its type.
    pub kind: u32,
    /// True where it belongs to what names the row.
    pub is_key: bool,
}

/// A captured table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its schema and name: `public.orders`.
    pub name: String,
    /// What is told of old rows.
    pub identity: Identity,
    /// Its published columns, in order.
    pub columns: Vec<Column>,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The table it was in.
    pub table: Arc<Table>,
    /// What happened.
    pub op: Op,
    /// The row with what is known of the change: an object.
    pub document: Value,
    /// Where the transaction's commit lies; of a snapshot, the slot's first place.
    pub commit: Lsn,
    /// Its number in the transaction, or in the snapshot.
    pub seq: u64,
    /// When the transaction was committed.
    pub at: Instant,
}

impl Change {
    /// Its name for ever, within one slot: the same whenever the server sends it again.
    pub fn key(&self) -> String {
        let Self { commit, seq, .. } = self;
        match self.op {
            Op::Snapshot => format!("{commit}/snapshot/{seq}"),
            _ => format!("{commit}/{seq}"),
        }
    }
}

impl Table {
    /// As the server describes it.
    pub fn of(relation: &Relation<'_>) -> Self {
        let column = |(name, kind, is_key): &(std::borrow::Cow<'_, str>, u32, bool)| Column {
            name: name.to_string(),
            kind: *kind,
            is_key: *is_key,
        };
        Self {
            name: format!("{}.{}", relation.schema, relation.name),
            identity: Identity::read(relation.identity),
            columns: relation.columns.iter().map(column).collect(),
        }
    }

    /// What is different in `now`, in words; `None` where the columns are the same.
    pub fn difference(&self, now: &Table) -> Option<String> {
        let find = |table: &'_ Table, name: &str| table.columns.iter().find(|c| c.name == name).cloned();
        let mut words = Vec::new();
        for column in &now.columns {
            let kind = value::name_of(column.kind);
            match find(self, &column.name) {
                None => words.push(format!("`{}` ({kind}) is new", column.name)),
                Some(before) if before.kind != column.kind => {
                    let was = value::name_of(before.kind);
                    words.push(format!("`{}` is {kind} now, it was {was}", column.name));
                }
                Some(_) => {}
            }
        }
        for column in self.columns.iter().filter(|column| find(now, &column.name).is_none()) {
            words.push(format!("`{}` is gone", column.name));
        }
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// The longest value that a document takes. PostgreSQL's go up to a gigabyte, which no record could hold.
const MAX_VALUE: usize = 16 << 20;

/// What is said of each change beside its row.
pub(crate) struct Mark {
    pub op: Op,
    pub commit: Lsn,
    pub seq: u64,
    pub at: Instant,
    pub xid: Option<u32>,
}

/// The document of a row. A value that the server left out is taken from the old row, where that is told; else it is
/// named under `__unchanged`. One that is too large is named under `__too_large`.
pub(crate) fn document(
    table: &Table,
    mark: &Mark,
    row: Option<&Tuple<'_>>,
    before: Option<(&Tuple<'_>, bool)>,
) -> Value {
    let mut out = Map::new();
    let (mut unchanged, mut too_large) = (Vec::new(), Vec::new());
    let old = |at: usize| before.filter(|(_, key_only)| !key_only).and_then(|(old, _)| old.0.get(at));
    for (at, (column, cell)) in table.columns.iter().zip(row.iter().flat_map(|row| &row.0)).enumerate() {
        let cell = if *cell == Cell::Unchanged { old(at).unwrap_or(cell) } else { cell };
        match cell {
            Cell::Unchanged => unchanged.push(Value::from(column.name.as_str())),
            Cell::Text(text) if text.len() > MAX_VALUE => too_large.push(Value::from(column.name.as_str())),
            cell => {
                out.insert(column.name.clone(), json_of(column, cell));
            }
        }
    }
    if let Some((before, key_only)) = before {
        let cells = table.columns.iter().zip(&before.0);
        let told = cells.filter(|(column, cell)| {
            let fits = !matches!(cell, Cell::Text(text) if text.len() > MAX_VALUE);
            fits && **cell != Cell::Unchanged && (!key_only || (column.is_key && **cell != Cell::Null))
        });
        let before = told.map(|(column, cell)| (column.name.clone(), json_of(column, cell))).collect();
        out.insert("__before".to_owned(), Value::Object(before));
    }
    if !unchanged.is_empty() {
        out.insert("__unchanged".to_owned(), Value::Array(unchanged));
    }
    if !too_large.is_empty() {
        out.insert("__too_large".to_owned(), Value::Array(too_large));
    }
    out.insert("__op".to_owned(), mark.op.as_str().into());
    out.insert("__table".to_owned(), table.name.as_str().into());
    out.insert("__lsn".to_owned(), mark.commit.0.into());
    out.insert("__seq".to_owned(), mark.seq.into());
    out.insert("__at".to_owned(), mark.at.to_string().into());
    if let Some(xid) = mark.xid {
        out.insert("__xid".to_owned(), xid.into());
    }
    Value::Object(out)
}

/// The old row of a delete: its key, or all of it.
pub(crate) fn old_row<'a>(table: &Table, old: &Tuple<'a>, key_only: bool) -> Tuple<'a> {
    let keep = |(column, cell): (&Column, &Cell<'a>)| {
        if key_only && !column.is_key { Cell::Null } else { cell.clone() }
    };
    Tuple(table.columns.iter().zip(&old.0).map(keep).collect())
}

fn json_of(column: &Column, cell: &Cell<'_>) -> Value {
    match cell {
        Cell::Null | Cell::Unchanged => Value::Null,
        Cell::Text(text) => value::read(column.kind, text),
    }
}
