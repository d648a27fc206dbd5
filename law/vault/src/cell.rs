//! The sealed cell, fixed for good.
//!
//! ```text
//! version u8 = 1 | key epoch u32 | nonce 24 | XChaCha20-Poly1305 ciphertext and tag 16
//! associated data: subject 16 | length of column u32 | column | schema major version u32
//! key: HKDF-SHA256(subject's key of that epoch, info = label ‖ column)
//! ```
//! Numbers are little-endian. The label is `maschinenraum/cell/v1` for cells in records and
//! `maschinenraum/state/v1` for values in state tables, so neither can stand in for the other.

use event::Subject;
use zeroize::Zeroizing;

use crate::Error;
use crate::key::{Key, NONCE_BYTES, Refused, TAG_BYTES, random_nonce};

/// The version that sealing writes; opening reads it and every earlier one.
pub const CELL_VERSION: u8 = 1;

const HEADER_BYTES: usize = 1 + 4 + NONCE_BYTES;

/// The epoch of the key under which a cell was sealed; `None` where the bytes are no cell.
pub fn cell_epoch(cell: &[u8]) -> Option<u32> {
    match cell {
        [CELL_VERSION, a, b, c, d, ..] => Some(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

/// What a cell belongs to; it opens as nothing else.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) label: Label,
    pub(crate) subject: Subject,
    pub(crate) column: &'a str,
    pub(crate) schema_major: u32,
}

#[derive(Clone, Copy)]
pub(crate) enum Label {
    /// A cell of a record.
    Record,
    /// A value of a state table.
    State,
}

impl Place<'_> {
    pub(crate) fn column_key(&self, subject_key: &Key) -> Key {
        let label: &[u8] = match self.label {
            Label::Record => b"maschinenraum/cell/v1",
            Label::State => b"maschinenraum/state/v1",
        };
        subject_key.derive(&[label, self.column.as_bytes()])
    }

    fn associated_data(&self) -> Vec<u8> {
        let column = self.column.as_bytes();
        let mut aad = Vec::with_capacity(16 + 4 + column.len() + 4);
        aad.extend_from_slice(self.subject.as_bytes());
        aad.extend_from_slice(&(column.len() as u32).to_le_bytes());
        aad.extend_from_slice(column);
        aad.extend_from_slice(&self.schema_major.to_le_bytes());
        aad
    }

    pub(crate) fn refused(&self, why: &'static str) -> Error {
        Error::Refused { subject: self.subject, column: self.column.chars().take(64).collect(), why }
    }

    pub(crate) fn seal(&self, subject_key: &Key, epoch: u32, plain: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal_with(subject_key, epoch, random_nonce()?, plain)
    }

    fn seal_with(
        &self,
        subject_key: &Key,
        epoch: u32,
        nonce: [u8; NONCE_BYTES],
        plain: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(HEADER_BYTES + plain.len() + TAG_BYTES);
        out.push(CELL_VERSION);
        out.extend_from_slice(&epoch.to_le_bytes());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let too_long = || self.refused("it is too long to be sealed");
        let body = out.get_mut(HEADER_BYTES..).ok_or_else(too_long)?;
        let key = self.column_key(subject_key);
        let tag = key.encrypt(&nonce, &self.associated_data(), body).map_err(|Refused| too_long())?;
        out.extend_from_slice(&tag);
        Ok(out)
    }

    pub(crate) fn open(&self, subject_key: &Key, cell: &Opened<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut plain = Zeroizing::new(cell.body.to_vec());
        let key = self.column_key(subject_key);
        key.decrypt(cell.nonce, &self.associated_data(), &mut plain, cell.tag).map_err(|Refused| {
            self.refused("it was changed, or belongs to another subject, column or version")
        })?;
        Ok(plain)
    }
}

/// A cell taken apart, not yet trusted.
pub(crate) struct Opened<'a> {
    pub(crate) epoch: u32,
    nonce: &'a [u8; NONCE_BYTES],
    body: &'a [u8],
    tag: &'a [u8; TAG_BYTES],
}

impl<'a> Opened<'a> {
    pub(crate) fn read(cell: &'a [u8]) -> Result<Self, &'static str> {
        const SHORT: &str = "it is shorter than any sealed value";
        let (version, rest) = cell.split_first().ok_or(SHORT)?;
        if *version != CELL_VERSION {
            return Err("it has a version that this build does not know");
        }
        let (epoch, rest) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SHORT)?;
        let (body, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(SHORT)?;
        Ok(Self { epoch: u32::from_le_bytes(*epoch), nonce, body, tag })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(subject: u8, column: &str, schema_major: u32) -> Place<'_> {
        Place { label: Label::Record, subject: Subject::from_bytes([subject; 16]), column, schema_major }
    }

    fn opens(place: Place<'_>, key: &Key, cell: &[u8]) -> Option<Vec<u8>> {
        let cell = Opened::read(cell).ok()?;
        place.open(key, &cell).ok().map(|plain| plain.to_vec())
    }

    /// The stored format stays readable for ever: this file was written by the first build.
    #[test]
    fn version_1_stays_readable() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/wire/v1/cell.bin");
        let (key, place) = (Key::from_bytes([9; 32]), place(7, "/traits/email", 1));
        let plain = br#""ann@example.com""#;
        let made = place.seal_with(&key, 3, [5; 24], plain).unwrap();
        if std::env::var_os("WRITE_WIRE_SAMPLE").is_some() {
            std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
            std::fs::write(path, &made).unwrap();
        }
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(opens(place, &key, &bytes).as_deref(), Some(plain.as_slice()));
        assert_eq!(cell_epoch(&bytes), Some(3));
        assert_eq!(made, bytes, "version 1 may not change: make a version 2");
    }

    #[test]
    fn no_byte_may_change_and_none_may_be_missing() {
        let (key, place) = (Key::from_bytes([9; 32]), place(7, "/email", 1));
        let cell = place.seal(&key, 1, b"ann@example.com").unwrap();
        for bit in 0..cell.len() * 8 {
            let mut changed = cell.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            // The epoch's bits choose the key; the vault refuses epochs that never were (see its tests).
            let epoch_bit = (8..40).contains(&bit);
            assert_eq!(opens(place, &key, &changed).is_some(), epoch_bit, "bit {bit}");
        }
        for cut in 0..cell.len() {
            assert_eq!(opens(place, &key, &cell[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_state_value_is_no_record_cell() {
        let (key, record) = (Key::from_bytes([9; 32]), place(7, "state/traits", 0));
        let state = Place { label: Label::State, ..record };
        let cell = state.seal(&key, 1, b"x").unwrap();
        assert!(opens(state, &key, &cell).is_some());
        assert_eq!(opens(record, &key, &cell), None);
    }

    proptest! {
        #[test]
        fn opens_as_what_it_is_and_as_nothing_else(
            plain in prop::collection::vec(any::<u8>(), 0..200),
            (a, b) in (any::<u8>(), any::<u8>()),
            (c, d) in ("[/a-c]{0,6}", "[/a-c]{0,6}"),
            (v, w) in (0_u32..4, 0_u32..4),
            other_key in any::<bool>(),
        ) {
            let key = Key::from_bytes([9; 32]);
            let cell = place(a, &c, v).seal(&key, 1, &plain).unwrap();
            prop_assert_eq!(opens(place(a, &c, v), &key, &cell), Some(plain.clone()));
            let same = (a, &c, v) == (b, &d, w) && !other_key;
            let second = Key::from_bytes([if other_key { 8 } else { 9 }; 32]);
            prop_assert_eq!(opens(place(b, &d, w), &second, &cell).is_some(), same);
        }

        #[test]
        fn noise_opens_nothing(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            prop_assert_eq!(opens(place(7, "", 1), &Key::from_bytes([9; 32]), &bytes), None);
        }
    }
}
