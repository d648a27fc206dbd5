//! What is stored of keys: rows of wrapped keys, and what binds each to its place.

use event::Subject;

use crate::Error;
use crate::cache::Keys;
use crate::key::{Key, WRAPPED_BYTES};

/// The version of every row.
pub(crate) const FORMAT: u8 = 1;

pub(crate) type Wrapped = [u8; WRAPPED_BYTES];

/// An unwrapped inner key and its epoch.
pub(crate) struct Node {
    pub(crate) epoch: u32,
    pub(crate) key: Key,
}

/// What a wrapped key is: associated data, so that no wrapped key passes for another.
pub(crate) fn aad(kind: &str, id: &[u8], epoch: u32, parent_epoch: u32) -> Vec<u8> {
    let mut out = b"maschinenraum/key/v1".to_vec();
    for part in [kind.as_bytes(), id] {
        out.extend_from_slice(&(part.len() as u32).to_le_bytes());
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&epoch.to_le_bytes());
    out.extend_from_slice(&parent_epoch.to_le_bytes());
    out
}

pub(crate) fn node_key(kind: &str, id: &[u8]) -> Vec<u8> {
    [kind.as_bytes(), id].concat()
}

/// The row of an inner key: wrapped by the root of `root_epoch`.
pub(crate) fn node_row(epoch: u32, root_epoch: u32, wrapped: &Wrapped) -> Vec<u8> {
    [&[FORMAT], epoch.to_le_bytes().as_slice(), &root_epoch.to_le_bytes(), wrapped].concat()
}

/// Under which epoch of the root a row is wrapped.
pub(crate) fn root_epoch_of(row: &[u8]) -> Option<u32> {
    let mut row = Bytes(row);
    if row.u8()? != FORMAT {
        return None;
    }
    row.u32()?;
    row.u32()
}

pub(crate) fn read_node(root: &Node, kind: &str, id: &[u8], row: &[u8]) -> Option<Node> {
    let mut row = Bytes(row);
    if row.u8()? != FORMAT {
        return None;
    }
    let (epoch, root_epoch, wrapped) = (row.u32()?, row.u32()?, row.array()?);
    if root_epoch != root.epoch || !row.0.is_empty() {
        return None;
    }
    let key = root.key.unwrap(wrapped, &aad(kind, id, epoch, root_epoch)).ok()?;
    Some(Node { epoch, key })
}

/// The stored keys of one subject. No entries: all were destroyed.
pub(crate) struct Row {
    pub(crate) current: u32,
    pub(crate) entries: Vec<Entry>,
}

pub(crate) struct Entry {
    pub(crate) epoch: u32,
    pub(crate) bucket_epoch: u32,
    pub(crate) wrapped: Wrapped,
}

impl Row {
    /// Unwraps by whichever of `buckets` each key is wrapped by.
    pub(crate) fn unwrap(&self, subject: Subject, buckets: &[&Node]) -> Option<Keys> {
        let mut live = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let bucket = buckets.iter().find(|bucket| bucket.epoch == entry.bucket_epoch)?;
            let aad = aad("subject", subject.as_bytes(), entry.epoch, entry.bucket_epoch);
            live.push((entry.epoch, bucket.key.unwrap(&entry.wrapped, &aad).ok()?));
        }
        Some(Keys { current: self.current, live })
    }

    /// The same keys, wrapped by a new bucket key.
    pub(crate) fn rewrap(&self, subject: Subject, from: &Node, to: &Node) -> Result<Option<Self>, Error> {
        let Some(keys) = self.unwrap(subject, &[from]) else { return Ok(None) };
        let mut entries = Vec::with_capacity(keys.live.len());
        for (epoch, key) in &keys.live {
            let wrapped = to.key.wrap(key, &aad("subject", subject.as_bytes(), *epoch, to.epoch))?;
            entries.push(Entry { epoch: *epoch, bucket_epoch: to.epoch, wrapped });
        }
        Ok(Some(Self { current: self.current, entries }))
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let n =
            u8::try_from(self.entries.len()).map_err(|_| Error::damaged("a subject has over 255 keys"))?;
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.current.to_le_bytes());
        out.push(n);
        for entry in &self.entries {
            out.extend_from_slice(&entry.epoch.to_le_bytes());
            out.extend_from_slice(&entry.bucket_epoch.to_le_bytes());
            out.extend_from_slice(&entry.wrapped);
        }
        Ok(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        if bytes.u8()? != FORMAT {
            return None;
        }
        let current = bytes.u32()?;
        let n = bytes.u8()?;
        let mut entries = Vec::with_capacity(usize::from(n));
        for _ in 0..n {
            entries.push(Entry { epoch: bytes.u32()?, bucket_epoch: bytes.u32()?, wrapped: *bytes.array()? });
        }
        bytes.0.is_empty().then_some(Self { current, entries })
    }
}

/// Bytes that are read from their start.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| *byte)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(|bytes| i64::from_le_bytes(*bytes))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
