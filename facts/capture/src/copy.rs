//! The tables as they were at a slot's first place.

use std::borrow::Cow;
use std::sync::Arc;

use event::Instant;

use crate::change::{Change, Mark, Op, document};
use crate::pgoutput::{Cell, Tuple};
use crate::server::{literal, quoted};
use crate::{Client, Error, Lsn, NewSlot, Published, Table};

/// Copies tables as they were at the slot's first place, giving each row, as PostgreSQL's text format has it, to
/// `take` with the number of its table. The connection that made the slot must be idle meanwhile.
///
/// # Errors
/// [`Error::Refused`], [`Error::Lost`]; whatever `take` returns.
pub fn copy_tables<E: From<Error>>(
    client: &mut Client,
    slot: &NewSlot,
    tables: &[Published],
    mut take: impl FnMut(usize, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let doing = "show the tables as they were";
    client.query(doing, "SET statement_timeout = 0")?;
    client.query(doing, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    client.query(doing, &format!("SET TRANSACTION SNAPSHOT {}", literal(&slot.snapshot)))?;
    for (number, published) in tables.iter().enumerate() {
        let Published { table, quoted: name, filter, is_partitioned, .. } = published;
        let columns: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
        // A table's own rows: those of tables that inherit from it are published under their names.
        let only = if *is_partitioned { "" } else { "ONLY " };
        let filter = filter.as_ref().map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
        let sql = format!("COPY (SELECT {} FROM {only}{name}{filter}) TO STDOUT", columns.join(", "));
        let doing = format!("copy the table `{}`", table.name);
        client.copy_out(&doing, &sql, |line| take(number, line))?;
    }
    client.query(doing, "COMMIT")?;
    Ok(())
}

/// A copied row as a change: the `seq`-th of its snapshot.
pub fn copied(table: &Arc<Table>, line: &[u8], from: Lsn, seq: u64, at: Instant) -> Change {
    let mark = Mark { op: Op::Snapshot, commit: from, seq, at, xid: None };
    let row = if table.columns.is_empty() { Tuple::default() } else { row(line) };
    let document = document(table, &mark, Some(&row), None);
    Change { table: Arc::clone(table), op: Op::Snapshot, document, commit: from, seq, at }
}

/// A line of PostgreSQL's text format.
fn row(line: &[u8]) -> Tuple<'_> {
    Tuple(line.split(|byte| *byte == b'\t').map(cell).collect())
}

fn cell(bytes: &[u8]) -> Cell<'_> {
    if bytes == b"\\N" {
        return Cell::Null;
    }
    if !bytes.contains(&b'\\') {
        return Cell::Text(String::from_utf8_lossy(bytes));
    }
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        plain.push(match byte {
            // The server escapes these and nothing else; what it does not know stands for itself.
            b'\\' => match rest.next() {
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 11,
                Some(other) => *other,
                None => b'\\',
            },
            other => *other,
        });
    }
    Cell::Text(Cow::Owned(String::from_utf8_lossy(&plain).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Identity};
    use serde_json::json;

    #[test]
    fn lines_become_rows() {
        let column = |name: &str, kind| Column { name: name.to_owned(), kind, is_key: name == "id" };
        let columns = vec![column("id", 23), column("note", 25), column("paid", 16)];
        let table =
            Arc::new(Table { name: "public.orders".to_owned(), identity: Identity::Default, columns });
        let at = "2026-01-31T12:00:00Z".parse().unwrap();
        let change = copied(&table, b"7\ta\\tb\\\\N\\n\\N", Lsn(16), 3, at);
        assert_eq!(change.key(), "0/10/snapshot/3");
        assert_eq!(
            change.document,
            json!({"id": 7, "note": "a\tb\\N\nN", "__op": "snapshot", "__table": "public.orders", "__lsn": 16,
                "__seq": 3, "__at": "2026-01-31T12:00:00Z"})
        );
        let change = copied(&table, b"8\t\\N\tt", Lsn(16), 4, at);
        assert_eq!(change.document["note"], json!(null));
        assert_eq!(change.document["paid"], json!(true));
    }
}
