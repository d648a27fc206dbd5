//! Keys of tables: ordered bytes that read back.

use std::hash::Hash;

use event::{BatchId, RecordId, Subject};

/// A key of a [`Table`](crate::Table).
pub trait Key: Clone + Eq + Hash + Ord + Send + Sync + 'static {
    /// Appends the key's bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads what [`Key::write`] wrote.
    fn read(bytes: &[u8]) -> Option<Self>;

    /// Whose value lies under this key; sealed tables need an owner.
    fn owner(&self) -> Option<Subject> {
        None
    }
}

impl Key for Subject {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Subject::from_bytes)
    }

    fn owner(&self) -> Option<Subject> {
        Some(*self)
    }
}

impl Key for RecordId {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(RecordId::from_bytes)
    }
}

impl Key for BatchId {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(BatchId::from_bytes)
    }
}

impl Key for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u64::from_be_bytes)
    }
}

impl Key for String {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok()
    }
}

/// The subject leads, so that all of a subject's entries lie together.
impl Key for (Subject, String) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (subject, name) = bytes.split_first_chunk::<16>()?;
        Some((Subject::from_bytes(*subject), String::read(name)?))
    }

    fn owner(&self) -> Option<Subject> {
        Some(self.0)
    }
}

/// The subject leads, so that all of a subject's entries lie together.
impl Key for (Subject, RecordId) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (subject, record) = bytes.split_first_chunk::<16>()?;
        Some((Subject::from_bytes(*subject), RecordId::read(record)?))
    }

    fn owner(&self) -> Option<Subject> {
        Some(self.0)
    }
}

/// The name leads, so that all subjects under one name lie together. The name's length is written in front
/// of it, so that no name is another's prefix.
impl Key for (String, Subject) {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.0.len() as u32).to_be_bytes());
        self.0.write(out);
        self.1.write(out);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (name, subject) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        Some((String::read(name)?, Subject::read(subject)?))
    }

    fn owner(&self) -> Option<Subject> {
        Some(self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<K: Key + std::fmt::Debug>(key: K) {
        let mut bytes = Vec::new();
        key.write(&mut bytes);
        assert_eq!(K::read(&bytes), Some(key));
    }

    proptest! {
        #[test]
        fn keys_read_back(id in any::<[u8; 16]>(), name in ".{0,40}", n in any::<u64>()) {
            check(Subject::from_bytes(id));
            check(RecordId::from_bytes(id));
            check(BatchId::from_bytes(id));
            check(name.clone());
            check(n);
            check((Subject::from_bytes(id), name.clone()));
            check((Subject::from_bytes(id), RecordId::from_bytes(id)));
            check((name, Subject::from_bytes(id)));
        }
    }
}
