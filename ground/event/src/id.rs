//! Identifiers. All are opaque: nobody outside this module looks at their bits.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

macro_rules! id128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Takes 16 bytes as they are.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bad = || ParseIdError { text: text.chars().take(64).collect() };
                if text.len() != 32 || !text.is_ascii() {
                    return Err(bad());
                }
                let mut bytes = [0_u8; 16];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    let pair = text.get(i * 2..i * 2 + 2).ok_or_else(bad)?;
                    *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
                }
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.collect_str(self) } else { self.0.serialize(s) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    let text = String::deserialize(d)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; 16]>::deserialize(d).map(Self)
                }
            }
        }
    };
}

/// A text that is not 32 hexadecimal digits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not an id: 32 hexadecimal digits are expected")]
pub struct ParseIdError {
    text: String,
}

id128!(
    /// Names one record for ever. Two deliveries of the same thing have the same id, which is how a
    /// duplicate is recognised.
    RecordId
);
id128!(
    /// The pseudonym of a person or another entity; the partition key.
    Subject
);
id128!(
    /// Names one import, so that it can be resumed, repeated without effect, and undone as a whole.
    BatchId
);

/// SHA-256 over length-prefixed parts, so that (`ab`, `c`) and (`a`, `bc`) differ.
fn digest(domain: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update((domain.len() as u64).to_le_bytes());
    hash.update(domain.as_bytes());
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let full = hash.finalize();
    let mut out = [0_u8; 16];
    for (to, from) in out.iter_mut().zip(full.iter()) {
        *to = *from;
    }
    out
}

impl RecordId {
    /// The id of something that came from outside under a key of the sender's (a message id, a
    /// contract's dedup key).
    pub fn external(stream: &str, key: &[u8]) -> Self {
        Self(digest("external", &[stream.as_bytes(), key]))
    }

    /// The id of the `n`th record that `fold` emits for the record `cause`. It depends on nothing but the
    /// cause, so a fold that runs twice, or under another number of partitions, emits the same id.
    pub fn emission(cause: RecordId, fold: &str, n: u32) -> Self {
        Self(digest("emission", &[&cause.0, fold.as_bytes(), &n.to_le_bytes()]))
    }
}

impl BatchId {
    /// The id of an import: the same content through the same contract version is the same batch.
    pub fn of(stream: &str, contract: Version, content_sha256: &[u8]) -> Self {
        Self(digest("batch", &[stream.as_bytes(), contract.to_string().as_bytes(), content_sha256]))
    }
}

impl Subject {
    /// No subject: control records, costs, and other things that belong to nobody.
    pub const NONE: Subject = Subject([0; 16]);

    /// True for [`Subject::NONE`].
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// The partition of this subject among `n_partitions`. Stable for ever: data lies where it says.
    pub fn partition(&self, n_partitions: u16) -> Partition {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        let word = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Partition((word % u64::from(n_partitions.max(1))) as u16)
    }
}

/// A partition of the journal: the unit of order and of parallelism.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Partition(pub u16);

impl Partition {
    /// The partition that orders what belongs to nobody: contracts, releases, identity links.
    pub const CONTROL: Partition = Partition(0);
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a record lies in its partition. Only order is promised; gaps may exist.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a stream; cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// Takes any text; what a stream may be called is the contract's business.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a record came by: an API key, a file drop, a webhook, a replication slot. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct SourceName(Arc<str>);

impl SourceName {
    /// Takes any text; what a source may be called is the project's business.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for StreamName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// A semantic version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Version {
    /// Readers or writers break.
    pub major: u32,
    /// Something was added.
    pub minor: u32,
    /// Nothing a machine sees changed.
    pub patch: u32,
}

impl Version {
    /// `major.minor.patch`
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A text that is not `major.minor.patch`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a version: `major.minor.patch` is expected, like `1.0.0`")]
pub struct ParseVersionError {
    text: String,
}

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        let bad = || ParseVersionError { text: text.chars().take(64).collect() };
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        let mut next = |required: bool| match parts.next() {
            Some(part) => part.parse::<u32>().map_err(|_| bad()),
            None if required => Err(bad()),
            None => Ok(0),
        };
        let version = Version { major: next(true)?, minor: next(false)?, patch: next(false)? };
        if parts.next().is_some() { Err(bad()) } else { Ok(version) }
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            s.collect_str(self)
        } else {
            (self.major, self.minor, self.patch).serialize(s)
        }
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
        } else {
            let (major, minor, patch) = Deserialize::deserialize(d)?;
            Ok(Version { major, minor, patch })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(RecordId::external("ab", b"c"), RecordId::external("a", b"bc"));
    }

    #[test]
    fn an_id_reads_back_what_it_prints() {
        let id = RecordId::external("orders", b"42");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("zz".repeat(16).parse::<RecordId>().is_err());
        assert!("é".repeat(16).parse::<RecordId>().is_err());
    }

    #[test]
    fn versions_order_and_read() {
        assert!("1.2.3".parse::<Version>().unwrap() < "1.10.0".parse::<Version>().unwrap());
        assert_eq!("v2".parse(), Ok(Version::new(2, 0, 0)));
        assert!("1.x".parse::<Version>().is_err());
        assert!("1.2.3.4".parse::<Version>().is_err());
    }

    #[test]
    fn every_partition_is_in_range() {
        for n in 1..20 {
            for i in 0..50_u8 {
                let subject = Subject::from_bytes(*RecordId::external("s", &[i]).as_bytes());
                assert!(subject.partition(n).0 < n);
            }
        }
    }
}
