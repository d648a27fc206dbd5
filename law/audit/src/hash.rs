//! Hashes of a tree's leaves and nodes, as RFC 6962 makes them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Error;

/// Bytes of a hash.
pub(crate) const HASH_BYTES: usize = 32;

/// A SHA-256 of the tree. Written in base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hash([u8; HASH_BYTES]);

impl Hash {
    /// Takes 32 bytes as they are.
    pub const fn from_bytes(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// The root of a tree without entries.
    pub fn empty() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// The hashes of a tile, one after another; `None` where bytes are left over.
    pub(crate) fn all_of(bytes: &[u8]) -> Option<Vec<Self>> {
        let (chunks, rest) = bytes.as_chunks::<HASH_BYTES>();
        rest.is_empty().then(|| chunks.iter().map(|chunk| Self(*chunk)).collect())
    }
}

/// The hash of an entry.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(entry);
    Hash(hash.finalize().into())
}

/// The hash of a node over two others.
pub fn node_hash(left: Hash, right: Hash) -> Hash {
    let mut bytes = [1_u8; 1 + 2 * HASH_BYTES];
    let parts = left.0.iter().chain(&right.0);
    for (to, from) in bytes.iter_mut().skip(1).zip(parts) {
        *to = *from;
    }
    Hash(Sha256::digest(bytes).into())
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = STANDARD.decode(text).map_err(|e| Error::text("hash", text, e.to_string()))?;
        let n = bytes.len();
        let bytes = bytes.try_into();
        bytes.map(Self).map_err(|_| Error::text("hash", text, format!("it has {n} bytes, not 32")))
    }
}
