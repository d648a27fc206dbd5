//! What happens to versions: the payloads of `mr.releases`.

use learn::metric::Metrics;
use serde::{Deserialize, Serialize};

use crate::{Error, GateReport, Manifest, ModelName, Role, Share, VersionNumber};

/// The stream of releases, in the control partition.
pub const RELEASES: &str = "mr.releases";

/// The payload of a record in `mr.releases`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ReleaseEvent {
    /// A version was made; it is dark and gets the next number. The same artefact again is no new version.
    Registered(Box<Registration>),
    /// A version was measured by its gate.
    Judged {
        /// The model.
        model: ModelName,
        /// The version.
        version: VersionNumber,
        /// Figures and rules.
        report: Box<GateReport>,
        /// Who or what measured it.
        by: String,
    },
    /// A version changes its stage.
    Moved {
        /// The model.
        model: ModelName,
        /// The version.
        version: VersionNumber,
        /// Where to.
        to: Move,
        /// The person who approves.
        by: String,
        /// Why.
        reason: String,
    },
    /// People whom versions learned from were erased.
    TrainedOnErased {
        /// The model.
        model: ModelName,
        /// The erasure.
        act: event::RecordId,
        /// Which versions, and from how many.
        versions: Vec<Erased>,
    },
    /// The latest move to traffic is taken back: a canary ends, or else the version that was live before is live
    /// again.
    RolledBack {
        /// The model.
        model: ModelName,
        /// The person who orders it.
        by: String,
        /// Why.
        reason: String,
    },
}

/// From how many erased people a version learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erased {
    /// The version.
    pub version: VersionNumber,
    /// How many.
    pub n: u64,
}

/// Where a version moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// To a share of the profiles; for a canary, to another share.
    Canary(Share),
    /// To everybody; the version that was live retires.
    Live,
    /// Back to nobody.
    Dark,
    /// Out of use.
    Retired,
}

/// A new version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The model.
    pub model: ModelName,
    /// Baseline or challenger.
    pub role: Role,
    /// What it is and for what.
    pub about: About,
    /// What it was made from.
    pub manifest: Manifest,
    /// What it showed on the test set.
    pub metrics: Metrics,
    /// The same by segment.
    pub segments: Vec<Segment>,
    /// Who or what registers it.
    pub by: String,
}

/// What a version is, for people; the card's words.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// What it says, in a sentence.
    pub what: String,
    /// The person who answers for it.
    pub owner: String,
    /// What it is meant for.
    pub intended_use: String,
    /// What it must not be used for, and where it is weak.
    pub limits: String,
    /// `logistic regression`, `boosted trees`
    pub method: String,
}

/// What a version showed on a part of the test set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// `channel = email`
    pub name: String,
    /// What it showed there.
    pub metrics: Metrics,
}

impl ReleaseEvent {
    /// The model it is about.
    pub fn model(&self) -> &ModelName {
        match self {
            Self::Registered(registration) => &registration.model,
            Self::Judged { model, .. }
            | Self::Moved { model, .. }
            | Self::TrainedOnErased { model, .. }
            | Self::RolledBack { model, .. } => model,
        }
    }

    /// The payload's bytes.
    ///
    /// # Errors
    /// [`Error::BadRecord`] where a figure is no number, which JSON cannot say.
    pub fn to_payload(&self) -> Result<Vec<u8>, Error> {
        let bytes = serde_json::to_vec(self).map_err(|e| Error::BadRecord { reason: e.to_string() })?;
        Self::from_payload(&bytes)?;
        Ok(bytes)
    }

    /// Reads what [`ReleaseEvent::to_payload`] wrote.
    ///
    /// # Errors
    /// [`Error::BadRecord`]
    pub fn from_payload(bytes: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(bytes).map_err(|e| Error::BadRecord { reason: e.to_string() })
    }
}
