//! Rows as bytes: sorted by (occurred, id), each row told as the difference from the one before.
//!
//! ```text
//! row: occurred − previous occurred (varint) | known − occurred (signed varint) | id 8 | filters (varint)
//!    | length of cells (varint) | cells
//! ```

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::varint;

/// Where a row stands among a subject's rows.
pub(crate) type Key = (i64, u64);

/// A row as it lies in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowRef<'a> {
    pub(crate) occurred: i64,
    pub(crate) known: i64,
    /// The first eight bytes of the record's id.
    pub(crate) id: u64,
    /// Bit n: the row passes the view's filter n.
    pub(crate) mask: u64,
    pub(crate) cells: &'a [u8],
}

impl RowRef<'_> {
    pub(crate) fn key(&self) -> Key {
        (self.occurred, self.id)
    }
}

/// What an insertion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A row more.
    Added,
    /// The row was there, but is now known to have been known earlier.
    Replaced,
    /// The row was there.
    Nothing,
}

/// Sorted rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Block {
    bytes: Bytes,
    n: u32,
    /// The greatest key.
    last: Key,
}

impl Block {
    /// No rows.
    pub(crate) const EMPTY: Self = Self { bytes: Bytes(Vec::new()), n: 0, last: (0, 0) };

    pub(crate) fn n(&self) -> u32 {
        self.n
    }

    pub(crate) fn n_bytes(&self) -> usize {
        self.bytes.0.len()
    }

    /// The greatest key; meaningless where there is no row.
    pub(crate) fn last(&self) -> Key {
        self.last
    }

    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows { rest: &self.bytes.0, occurred: 0 }
    }

    /// Puts a row in its place.
    pub(crate) fn insert(&mut self, row: RowRef<'_>) -> Change {
        if self.n == 0 || row.key() > self.last {
            self.push(row);
            return Change::Added;
        }
        let mut rows = self.rows();
        loop {
            let (before, start) = (rows.occurred, self.n_bytes() - rows.rest.len());
            // There is a row with a key at least as great, or the first branch had taken it.
            let Some(next) = rows.next() else {
                self.push(row);
                return Change::Added;
            };
            if next.key() < row.key() {
                continue;
            }
            let end = self.n_bytes() - rows.rest.len();
            let mut middle = Vec::with_capacity(64 + row.cells.len() + next.cells.len());
            write(&mut middle, row, before);
            let change = if next.key() == row.key() {
                if row.known >= next.known {
                    return Change::Nothing;
                }
                Change::Replaced
            } else {
                write(&mut middle, next, row.occurred);
                self.n += 1;
                Change::Added
            };
            self.bytes.0.splice(start..end, middle);
            return change;
        }
    }

    fn push(&mut self, row: RowRef<'_>) {
        let bytes = &mut self.bytes.0;
        let room = row.cells.len() + 48;
        if bytes.capacity() - bytes.len() < room {
            // By a quarter, not by doubling: most subjects have few rows, and there are many subjects.
            bytes.reserve_exact(room.min(row.cells.len() + 24).max(bytes.len() / 4));
        }
        write(bytes, row, if self.n == 0 { 0 } else { self.last.0 });
        self.n += 1;
        self.last = row.key();
    }

    /// Takes away the second half.
    pub(crate) fn split(&mut self) -> Self {
        let half = self.n / 2;
        let (mut first, mut second) = (Self::default(), Self::default());
        for (i, row) in (0..).zip(self.rows()) {
            if i < half { first.push(row) } else { second.push(row) }
        }
        *self = first;
        second
    }

    /// The rows from the `n`th on.
    pub(crate) fn without_first(&self, n: usize) -> Self {
        let mut rest = Self::default();
        self.rows().skip(n).for_each(|row| rest.push(row));
        rest
    }

    /// Forgets all rows, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.0.clear();
        self.n = 0;
        self.last = Key::default();
    }

    pub(crate) fn shrink(&mut self) {
        self.bytes.0.shrink_to_fit();
    }
}

fn write(out: &mut Vec<u8>, row: RowRef<'_>, before: i64) {
    varint::put(out, (row.occurred as u64).wrapping_sub(before as u64));
    varint::put_signed(out, row.known.wrapping_sub(row.occurred));
    out.extend_from_slice(&row.id.to_le_bytes());
    varint::put(out, row.mask);
    varint::put(out, row.cells.len() as u64);
    out.extend_from_slice(row.cells);
}

/// Reads a block's rows in order.
pub(crate) struct Rows<'a> {
    rest: &'a [u8],
    occurred: i64,
}

impl<'a> Iterator for Rows<'a> {
    type Item = RowRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<RowRef<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let delta = varint::take(&mut self.rest)?;
        let occurred = (self.occurred as u64).wrapping_add(delta) as i64;
        let known = occurred.wrapping_add(varint::take_signed(&mut self.rest)?);
        let (id, rest) = self.rest.split_first_chunk::<8>()?;
        self.rest = rest;
        let mask = varint::take(&mut self.rest)?;
        let len = varint::take(&mut self.rest)? as usize;
        let (cells, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        self.occurred = occurred;
        Some(RowRef { occurred, known, id: u64::from_le_bytes(*id), mask, cells })
    }
}

/// Bytes that are stored as such and not as a list of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visit;
        impl Visitor<'_> for Visit {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        d.deserialize_byte_buf(Visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Plain = (i64, Vec<u8>);

    fn row<'a>(key: Key, (known, cells): &'a Plain) -> RowRef<'a> {
        RowRef { occurred: key.0, known: *known, id: key.1, mask: key.1 ^ 5, cells }
    }

    proptest! {
        #[test]
        fn a_block_is_a_sorted_map_that_prefers_the_earlier_known(
            rows in prop::collection::vec(((-20_i64..20, 0_u64..4), (0_i64..3, prop::collection::vec(any::<u8>(), 0..3))), 0..60),
        ) {
            let mut block = Block::default();
            let mut model: BTreeMap<Key, Plain> = BTreeMap::new();
            for (key, plain) in rows {
                let expected = match model.get(&key) {
                    None => Change::Added,
                    Some((known, _)) if plain.0 < *known => Change::Replaced,
                    Some(_) => Change::Nothing,
                };
                prop_assert_eq!(block.insert(row(key, &plain)), expected);
                if expected != Change::Nothing {
                    model.insert(key, plain);
                }
            }
            let expected: Vec<_> = model.iter().map(|(key, plain)| row(*key, plain)).collect();
            prop_assert_eq!(block.rows().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(block.n() as usize, expected.len());
            if let Some(last) = expected.last() {
                prop_assert_eq!(block.last(), last.key());
            }
            let (mut first, cut) = (block.clone(), block.without_first(1));
            prop_assert_eq!(cut.rows().collect::<Vec<_>>(), expected.iter().skip(1).copied().collect::<Vec<_>>());
            let second = first.split();
            prop_assert_eq!(first.rows().chain(second.rows()).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn extreme_instants_fit() {
        let mut block = Block::default();
        for (occurred, known) in [(i64::MAX, i64::MIN), (i64::MIN, i64::MAX), (0, 0)] {
            block.insert(RowRef { occurred, known, id: 1, mask: u64::MAX, cells: &[] });
        }
        let seen: Vec<_> = block.rows().map(|r| (r.occurred, r.known)).collect();
        assert_eq!(seen, [(i64::MIN, i64::MAX), (0, 0), (i64::MAX, i64::MIN)]);
    }
}
