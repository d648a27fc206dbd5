//! From messages to changes: keeps what tables look like and which transaction is under way. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use event::Instant;

use crate::Lsn;
use crate::change::{Change, Mark, Op, Table, document, old_row};
use crate::pgoutput::{Message, Tuple};

/// Turns a slot's messages, in order and from the beginning of a connection, into changes.
pub struct Assembler {
    wanted: BTreeSet<String>,
    tables: HashMap<u32, Arc<Table>>,
    transaction: Option<Transaction>,
}

struct Transaction {
    commit: Lsn,
    at: Instant,
    xid: u32,
    n_changes: u64,
}

/// What a message meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing to do.
    Nothing,
    /// A transaction begins, whose commit lies there.
    Began {
        /// Its commit.
        commit: Lsn,
    },
    /// What a wanted table looks like from here on. The server says so at its first change in a connection, and whenever
    /// it changes.
    Table(Arc<Table>),
    /// A change.
    Change(Box<Change>),
    /// Several changes at once: tables that were emptied together.
    Changes(Vec<Change>),
    /// A change in a table that nobody wants.
    Skipped {
        /// The table.
        table: String,
        /// Its number in the transaction.
        seq: u64,
    },
    /// A transaction is complete; confirming `end` says that all of it is durable.
    Committed {
        /// Its commit.
        commit: Lsn,
        /// Where that ends.
        end: Lsn,
    },
}

impl Assembler {
    /// Wants changes of these tables, named like `public.orders`.
    pub fn new(wanted: impl IntoIterator<Item = String>) -> Self {
        Self { wanted: wanted.into_iter().collect(), tables: HashMap::new(), transaction: None }
    }

    /// True between a transaction's begin and its end.
    pub fn is_inside(&self) -> bool {
        self.transaction.is_some()
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// What is odd about it: then the connection cannot be trusted any further.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Step, String> {
        match Message::read(bytes)? {
            Message::Begin { commit, at, xid } => {
                if self.transaction.is_some() {
                    return Err("a transaction begins inside another".to_owned());
                }
                self.transaction = Some(Transaction { commit, at, xid, n_changes: 0 });
                Ok(Step::Began { commit })
            }
            Message::Commit { commit, end } => match self.transaction.take() {
                Some(transaction) if transaction.commit == commit => Ok(Step::Committed { commit, end }),
                _ => Err("a transaction ends that did not begin".to_owned()),
            },
            Message::Relation(relation) => {
                let table = Arc::new(Table::of(&relation));
                self.tables.insert(relation.id, Arc::clone(&table));
                let is_wanted = self.wanted.contains(&table.name);
                Ok(if is_wanted { Step::Table(table) } else { Step::Nothing })
            }
            Message::Insert { relation, new } => self.change(relation, Op::Insert, &new, None),
            Message::Update { relation, key, old, new } => {
                let before = key.as_ref().map(|key| (key, true)).or(old.as_ref().map(|old| (old, false)));
                self.change(relation, Op::Update, &new, before)
            }
            Message::Delete { relation, old, key_only } => {
                let old = old_row(&*self.table(relation)?, &old, key_only);
                self.change(relation, Op::Delete, &old, None)
            }
            Message::Truncate { relations } => self.truncate(&relations),
            Message::Other => Ok(Step::Nothing),
        }
    }

    fn change(
        &mut self,
        relation: u32,
        op: Op,
        row: &Tuple<'_>,
        before: Option<(&Tuple<'_>, bool)>,
    ) -> Result<Step, String> {
        let table = self.table(relation)?;
        if row.0.len() != table.columns.len() {
            let (n, name) = (row.0.len(), &table.name);
            return Err(format!("a row of `{name}` has {n} values for {} columns", table.columns.len()));
        }
        let (mark, is_wanted) = (self.mark(op)?, self.wanted.contains(&table.name));
        if !is_wanted {
            return Ok(Step::Skipped { table: table.name.clone(), seq: mark.seq });
        }
        let document = document(&table, &mark, Some(row), before);
        Ok(Step::Change(Box::new(made(table, mark, document))))
    }

    fn truncate(&mut self, relations: &[u32]) -> Result<Step, String> {
        let mut changes = Vec::new();
        for relation in relations {
            let (table, mark) = (self.table(*relation)?, self.mark(Op::Truncate)?);
            if self.wanted.contains(&table.name) {
                let document = document(&table, &mark, None, None);
                changes.push(made(table, mark, document));
            }
        }
        Ok(Step::Changes(changes))
    }

    fn table(&self, relation: u32) -> Result<Arc<Table>, String> {
        self.tables.get(&relation).cloned().ok_or_else(|| format!("table {relation} was never described"))
    }

    fn mark(&mut self, op: Op) -> Result<Mark, String> {
        let transaction = self.transaction.as_mut().ok_or("a change lies in no transaction")?;
        let seq = transaction.n_changes;
        transaction.n_changes += 1;
        let Transaction { commit, at, xid, .. } = *transaction;
        Ok(Mark { op, commit, seq, at, xid: Some(xid) })
    }
}

fn made(table: Arc<Table>, mark: Mark, document: serde_json::Value) -> Change {
    Change { table, op: mark.op, document, commit: mark.commit, seq: mark.seq, at: mark.at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn begin(commit: u64) -> Vec<u8> {
        [b"B".as_slice(), &commit.to_be_bytes(), &0_i64.to_be_bytes(), &9_u32.to_be_bytes()].concat()
    }

    fn commit(commit: u64) -> Vec<u8> {
        [b"C\0".as_slice(), &commit.to_be_bytes(), &(commit + 8).to_be_bytes(), &0_i64.to_be_bytes()].concat()
    }

    fn relation(name: &str, identity: u8, columns: &[(&str, u32, bool)]) -> Vec<u8> {
        let mut out =
            [b"R".as_slice(), &5_u32.to_be_bytes(), b"public\0", name.as_bytes(), &[0, identity]].concat();
        out.extend((columns.len() as u16).to_be_bytes());
        for (name, kind, is_key) in columns {
            out.push(u8::from(*is_key));
            out.extend(name.as_bytes());
            out.push(0);
            out.extend(kind.to_be_bytes());
            out.extend(u32::MAX.to_be_bytes());
        }
        out
    }

    /// A row: `~` is untouched, `-` is null.
    fn row(cells: &[&str]) -> Vec<u8> {
        let mut out = (cells.len() as u16).to_be_bytes().to_vec();
        for cell in cells {
            match *cell {
                "-" => out.push(b'n'),
                "~" => out.push(b'u'),
                text => {
                    out.push(b't');
                    out.extend((text.len() as u32).to_be_bytes());
                    out.extend(text.as_bytes());
                }
            }
        }
        out
    }

    fn message(kind: u8, parts: &[(u8, &[&str])]) -> Vec<u8> {
        let mut out = [&[kind][..], &5_u32.to_be_bytes()].concat();
        for (mark, cells) in parts {
            out.push(*mark);
            out.extend(row(cells));
        }
        out
    }

    const COLUMNS: [(&str, u32, bool); 3] = [("id", 23, true), ("status", 25, false), ("note", 25, false)];

    fn inside(identity: u8) -> Assembler {
        let mut assembler = Assembler::new(["public.orders".to_owned()]);
        assert_eq!(assembler.take(&begin(100)), Ok(Step::Began { commit: Lsn(100) }));
        let table = assembler.take(&relation("orders", identity, &COLUMNS)).unwrap();
        assert!(matches!(table, Step::Table(table) if table.name == "public.orders"));
        assembler
    }

    fn check(identity: u8, message: &[u8], expected: Value) {
        let Step::Change(change) = inside(identity).take(message).unwrap() else { panic!("no change") };
        let mut document = change.document.clone();
        for (name, value) in [
            ("__table", json!("public.orders")),
            ("__lsn", json!(100)),
            ("__seq", json!(0)),
            ("__at", json!("2000-01-01T00:00:00Z")),
            ("__xid", json!(9)),
        ] {
            assert_eq!(document.as_object_mut().unwrap().remove(name), Some(value), "{name}");
        }
        assert_eq!(document, expected);
        assert_eq!(change.key(), "0/64/0");
    }

    #[test]
    fn rows_become_documents() {
        check(
            b'd',
            &message(b'I', &[(b'N', &["7", "paid", "-"])]),
            json!({
            "__op": "insert", "id": 7, "status": "paid", "note": null}),
        );
        check(
            b'd',
            &message(b'U', &[(b'N', &["7", "sent", "~"])]),
            json!({
            "__op": "update", "id": 7, "status": "sent", "__unchanged": ["note"]}),
        );
        check(
            b'd',
            &message(b'U', &[(b'K', &["6", "-", "-"]), (b'N', &["7", "sent", "a"])]),
            json!({
            "__op": "update", "id": 7, "status": "sent", "note": "a", "__before": {"id": 6}}),
        );
        check(
            b'f',
            &message(b'U', &[(b'O', &["7", "paid", "long"]), (b'N', &["7", "sent", "~"])]),
            json!({
            "__op": "update", "id": 7, "status": "sent", "note": "long",
            "__before": {"id": 7, "status": "paid", "note": "long"}}),
        );
        check(
            b'd',
            &message(b'D', &[(b'K', &["7", "-", "-"])]),
            json!({
            "__op": "delete", "id": 7, "status": null, "note": null}),
        );
        check(
            b'f',
            &message(b'D', &[(b'O', &["7", "sent", "-"])]),
            json!({
            "__op": "delete", "id": 7, "status": "sent", "note": null}),
        );
    }

    #[test]
    fn a_value_that_no_record_could_hold_is_left_out_and_named() {
        let huge = "x".repeat((16 << 20) + 1);
        check(
            b'd',
            &message(b'I', &[(b'N', &["7", "paid", &huge])]),
            json!({
            "__op": "insert", "id": 7, "status": "paid", "__too_large": ["note"]}),
        );
        check(
            b'f',
            &message(b'U', &[(b'O', &["7", "paid", &huge]), (b'N', &["7", "sent", "~"])]),
            json!({
            "__op": "update", "id": 7, "status": "sent", "__too_large": ["note"], "__before": {"id": 7, "status": "paid"}}),
        );
    }

    #[test]
    fn changes_are_numbered_whether_wanted_or_not() {
        let mut assembler = Assembler::new(["public.orders".to_owned()]);
        assembler.take(&begin(100)).unwrap();
        assembler.take(&relation("other", b'd', &COLUMNS)).unwrap();
        let insert = message(b'I', &[(b'N', &["7", "a", "b"])]);
        let skipped = Step::Skipped { table: "public.other".to_owned(), seq: 0 };
        assert_eq!(assembler.take(&insert), Ok(skipped));
        assembler.take(&relation("orders", b'd', &COLUMNS)).unwrap();
        let Step::Change(change) = assembler.take(&insert).unwrap() else { panic!("no change") };
        assert_eq!(change.key(), "0/64/1");
        let truncate = [b"T".as_slice(), &1_u32.to_be_bytes(), b"\0", &5_u32.to_be_bytes()].concat();
        let Step::Changes(changes) = assembler.take(&truncate).unwrap() else { panic!("no changes") };
        assert_eq!((changes.len(), changes[0].op, changes[0].seq), (1, Op::Truncate, 2));
        assert!(assembler.is_inside());
        let committed = Step::Committed { commit: Lsn(100), end: Lsn(108) };
        assert_eq!(assembler.take(&commit(100)), Ok(committed));
        assert!(!assembler.is_inside());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let insert = message(b'I', &[(b'N', &["7", "a", "b"])]);
        let mut assembler = Assembler::new([]);
        assert_eq!(assembler.take(&insert).unwrap_err(), "table 5 was never described");
        assert!(assembler.take(&commit(1)).is_err());
        assembler.take(&relation("orders", b'd', &COLUMNS)).unwrap();
        assert_eq!(assembler.take(&insert).unwrap_err(), "a change lies in no transaction");
        assembler.take(&begin(1)).unwrap();
        assert!(assembler.take(&begin(2)).is_err());
        let short = message(b'I', &[(b'N', &["7"])]);
        assert_eq!(
            assembler.take(&short).unwrap_err(),
            "a row of `public.orders` has 1 values for 3 columns"
        );
    }

    #[test]
    fn what_changed_in_a_table_is_said_in_words() {
        let table = |columns: &[(&str, u32, bool)]| {
            let mut assembler = Assembler::new(["public.orders".to_owned()]);
            match assembler.take(&relation("orders", b'd', columns)).unwrap() {
                Step::Table(table) => table,
                other => panic!("{other:?}"),
            }
        };
        let before = table(&COLUMNS);
        assert_eq!(before.difference(&before), None);
        let after = table(&[("id", 20, true), ("status", 25, false), ("total", 1700, false)]);
        let said = before.difference(&after).unwrap();
        assert_eq!(said, "`id` is bigint now, it was integer, `total` (numeric) is new, `note` is gone");
    }
}
