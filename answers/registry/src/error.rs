//! What can go wrong with versions and their bytes.

use std::path::PathBuf;

use crate::{ModelName, Stage, VersionNumber};

/// Why a version cannot be found, read or moved. Only [`Error::Blob`] may go away by trying again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR4530, explained in docs/errors/MR4530.md
    #[error(
        "MR4530: `{name}` is no name for a model: 1 to 64 of a–z, 0–9, `-` and `_`, beginning with a letter"
    )]
    BadName {
        /// What was given.
        name: String,
    },
    /// MR4531, explained in docs/errors/MR4531.md
    #[error("MR4531: `{text}` is no version: a number from 1 is expected, like `v3`")]
    BadVersion {
        /// What was given.
        text: String,
    },
    /// MR4532, explained in docs/errors/MR4532.md
    #[error("MR4532: there is no model `{name}`")]
    UnknownModel {
        /// What was asked for.
        name: String,
    },
    /// MR4533, explained in docs/errors/MR4533.md
    #[error("MR4533: model `{model}` has no version {version}; its versions are 1 to {n_versions}")]
    UnknownVersion {
        /// The model.
        model: ModelName,
        /// What was asked for.
        version: VersionNumber,
        /// How many there are.
        n_versions: usize,
    },
    /// MR4534, explained in docs/errors/MR4534.md
    #[error("MR4534: {model} {version} is {from} and cannot become {to}: {rule}")]
    NoSuchMove {
        /// The model.
        model: ModelName,
        /// The version.
        version: VersionNumber,
        /// Its stage.
        from: Stage,
        /// The stage asked for.
        to: Stage,
        /// What is allowed.
        rule: &'static str,
    },
    /// MR4535, explained in docs/errors/MR4535.md
    #[error("MR4535: {model} {version} serves nobody before its gate has passed: {reason}")]
    NotGated {
        /// The model.
        model: ModelName,
        /// The version.
        version: VersionNumber,
        /// What the gate said, or that it was never asked.
        reason: String,
    },
    /// MR4536, explained in docs/errors/MR4536.md
    #[error("MR4536: {model} has no earlier version to go back to")]
    NothingBefore {
        /// The model.
        model: ModelName,
    },
    /// MR4537, explained in docs/errors/MR4537.md
    #[error("MR4537: nobody is named who {act}")]
    Nobody {
        /// What needs a person.
        act: &'static str,
    },
    /// MR4538, explained in docs/errors/MR4538.md
    #[error("MR4538: a canary's share is {given}: from 0.1 to 100 percent is expected, in tenths")]
    BadShare {
        /// What was given.
        given: String,
    },
    /// MR4539, explained in docs/errors/MR4539.md
    #[error("MR4539: the gate's figures are of artefact {judged}, but {model} {version} is {registered}")]
    OtherArtefact {
        /// The model.
        model: ModelName,
        /// The version.
        version: VersionNumber,
        /// Hash the figures belong to.
        judged: String,
        /// Hash of the version.
        registered: String,
    },
    /// MR4540, explained in docs/errors/MR4540.md
    #[error("MR4540: blob {hash} is not at {path}", path = path.display())]
    MissingBlob {
        /// Its hash.
        hash: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// MR4541, explained in docs/errors/MR4541.md
    #[error("MR4541: blob {path} is damaged: its content has the hash {found}", path = path.display())]
    DamagedBlob {
        /// Where it is.
        path: PathBuf,
        /// The hash of what is there.
        found: String,
    },
    /// MR4542, explained in docs/errors/MR4542.md
    #[error("MR4542: blob {path} cannot be read or written: {source}", path = path.display())]
    Blob {
        /// Where it is.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// MR4543, explained in docs/errors/MR4543.md
    #[error("MR4543: `{text}` is no content hash: 64 hexadecimal digits are expected")]
    BadHash {
        /// What was given.
        text: String,
    },
    /// MR4544, explained in docs/errors/MR4544.md
    #[error("MR4544: the release record cannot be written or read: {reason}")]
    BadRecord {
        /// What is wrong with it.
        reason: String,
    },
    /// MR4545, explained in docs/errors/MR4545.md
    #[error("MR4545: a gate without rules lets everything through")]
    EmptyGate,
    /// The store's own error.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// The code under which `docs/errors` explains it; the store's errors have none here.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadName { .. } => "MR4530",
            Self::BadVersion { .. } => "MR4531",
            Self::UnknownModel { .. } => "MR4532",
            Self::UnknownVersion { .. } => "MR4533",
            Self::NoSuchMove { .. } => "MR4534",
            Self::NotGated { .. } => "MR4535",
            Self::NothingBefore { .. } => "MR4536",
            Self::Nobody { .. } => "MR4537",
            Self::BadShare { .. } => "MR4538",
            Self::OtherArtefact { .. } => "MR4539",
            Self::MissingBlob { .. } => "MR4540",
            Self::DamagedBlob { .. } => "MR4541",
            Self::Blob { .. } => "MR4542",
            Self::BadHash { .. } => "MR4543",
            Self::BadRecord { .. } => "MR4544",
            Self::EmptyGate => "MR4545",
            Self::Store(_) => "",
        }
    }
}
