//! What a version was made from: enough to make it again, byte for byte.

use event::{Instant, Partition, Position};
use serde::{Deserialize, Serialize};

use crate::ContentHash;

/// A stretch of one partition of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalRange {
    /// The partition.
    pub partition: Partition,
    /// The first position read.
    pub from: Position,
    /// The first position not read.
    pub until: Position,
}

/// A feature view and its version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FeatureVersion {
    /// The view's name.
    pub view: String,
    /// Its version.
    pub version: u32,
    /// Names everything that decides its values.
    pub fingerprint: String,
}

/// What a dataset was made from, and what came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetManifest {
    /// The stretch of the journal that was read, by partition.
    pub journal: Vec<JournalRange>,
    /// The feature views, sorted.
    pub features: Vec<FeatureVersion>,
    /// The purpose of the grant it was read under.
    pub purpose: String,
    /// The consent epoch of that grant.
    pub consent_epoch: u64,
    /// The seed of everything random in it.
    pub seed: u64,
    /// The columns, in order.
    pub columns: Vec<String>,
    /// Rows.
    pub n_rows: u64,
    /// Of these, with outcome yes.
    pub n_positives: u64,
    /// The earliest instant that a row is as of.
    pub earliest: Instant,
    /// The latest.
    pub latest: Instant,
    /// SHA-256 over all rows, in order.
    pub rows: ContentHash,
}

impl DatasetManifest {
    /// The hash that names the dataset: two datasets with one hash were made alike and hold the same rows.
    pub fn hash(&self) -> ContentHash {
        // Texts, whole numbers and lists: there is nothing in it that JSON cannot say.
        ContentHash::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// What a version was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The data.
    pub dataset: DatasetManifest,
    /// The version of the code that trained it.
    pub code: String,
    /// The parameters of training, as JSON.
    pub parameters: String,
    /// The hash of the model's bytes, under which they lie in [`Blobs`](crate::Blobs).
    pub artefact: ContentHash,
}
