//! What can go wrong in a house, whose fault it is, and whether asking again helps.

use std::path::PathBuf;

use crate::finding::Finding;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings; see its message.
    #[error(transparent)]
    Settings(#[from] crate::settings::Error),
    /// MR7008, explained in docs/errors/MR7008.md
    #[error("the project has {} finding(s) that break it, the first: {}; `maschinenraum check` lists all", findings.len(), findings.first().map(ToString::to_string).unwrap_or_default())]
    Project {
        /// What breaks it.
        findings: Vec<Finding>,
    },
    /// MR7003, explained in docs/errors/MR7003.md
    #[error("`{}` cannot be used: {reason}", path.display())]
    Directory {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// MR7004, explained in docs/errors/MR7004.md
    #[error("`{}` was made in format {found}; this build knows formats up to {known}", path.display())]
    Format {
        /// The data directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// MR7007, explained in docs/errors/MR7007.md
    #[error("an identifier of type `{kind}` with this value names nobody")]
    BadIdentifier {
        /// The type; the value is not repeated.
        kind: String,
    },
    /// MR5040, explained in docs/errors/MR5040.md
    #[error("there is no use case `{name}`; known: {}", known.join(", "))]
    UnknownUseCase {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// MR4591, explained in docs/errors/MR4591.md
    #[error("there is no model `{name}`; known: {}", known.join(", "))]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// MR4592, explained in docs/errors/MR4592.md
    #[error("model `{model}` cannot be trained: {reason}")]
    Untrainable {
        /// The model.
        model: String,
        /// Why.
        reason: String,
    },
    /// MR4040, explained in docs/errors/MR4040.md
    #[error("there is no feature view `{name}`; known: {}", known.join(", "))]
    UnknownView {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// MR3123, explained in docs/errors/MR3123.md
    #[error("there is no segment `{name}`; known: {}", known.join(", "))]
    UnknownSegment {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// MR3124, explained in docs/errors/MR3124.md
    #[error("{at} is still to come (it is {now}): nobody can say yet who belongs to what then")]
    ToCome {
        /// The instant asked for.
        at: event::Instant,
        /// The house's time.
        now: event::Instant,
    },
    /// MR3125, explained in docs/errors/MR3125.md
    #[error("segment `{segment}` is read for `{purpose}` and for nothing else; it was asked for `{asked}`")]
    SegmentPurpose {
        /// The segment.
        segment: String,
        /// Its purpose.
        purpose: String,
        /// The purpose it was asked for.
        asked: String,
    },
    /// MR3107, explained in docs/errors/MR3107.md
    #[error("`{kind}` is no type of {what} here; known: {}", known.join(", "))]
    UnknownType {
        /// `person`, or `entity`: what was asked for.
        what: &'static str,
        /// The type asked for.
        kind: String,
        /// What there is.
        known: Vec<String>,
    },
    /// MR1040, explained in docs/errors/MR1040.md
    #[error("no contract describes the stream `{name}`; known: {}", known.join(", "))]
    UnknownStream {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// MR5041, explained in docs/errors/MR5041.md
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// MR4602, explained in docs/errors/MR4602.md
    #[error("there is no job `{name}`; known: {}", known.join(", "))]
    UnknownJob {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// MR4603, explained in docs/errors/MR4603.md
    #[error("step `{step}` of run `{run}` cannot begin: it needs {}, not done yet", needs.join(", "))]
    JobWaits {
        /// The step.
        step: String,
        /// The run.
        run: String,
        /// What it needs and is not done.
        needs: Vec<String>,
    },
    /// MR4607, explained in docs/errors/MR4607.md
    #[error("{reason}")]
    JobRefused {
        /// Why a run cannot do that.
        reason: String,
    },
    /// A job's words; see its message.
    #[error(transparent)]
    Job(#[from] jobs::Error),
    /// MR4702, explained in docs/errors/MR4702.md
    #[error("{what} may not be taken out for `{purpose}`: it is there for {}", allowed.join(", "))]
    NotForPurpose {
        /// The stream or view.
        what: String,
        /// The purpose asked for.
        purpose: String,
        /// Its own purposes.
        allowed: Vec<String>,
    },
    /// MR4704, explained in docs/errors/MR4704.md
    #[error("`{}` is not empty: an instance is written to, and loaded into, an empty place", path.display())]
    Occupied {
        /// The place.
        path: PathBuf,
    },
    /// The lake; see its message.
    #[error(transparent)]
    Lake(#[from] lake::Error),
    /// Lineage; see its message.
    #[error(transparent)]
    Lineage(#[from] lineage::Error),
    /// A capture's database; see its message.
    #[error(transparent)]
    Capture(#[from] capture::Error),
    /// MR2213, explained in docs/errors/MR2213.md
    #[error("there is no capture `{name}`; known: {}", known.join(", "))]
    UnknownCapture {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// MR2214, explained in docs/errors/MR2214.md
    #[error("{reason}")]
    CaptureRefused {
        /// What stands in the way of a capture.
        reason: String,
    },
    /// MR2050 or MR2051: a webhook's signature; see its message.
    #[error("{refusal}")]
    Unsigned {
        /// What is wrong with it.
        refusal: intake::Refusal,
    },
    /// MR2057, explained in docs/errors/MR2057.md
    #[error("no {kind} `{name}` is in [sources] of maschinenraum.toml; known: {}", known.join(", "))]
    UnknownSource {
        /// What kind of source was asked for.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// MR2058, explained in docs/errors/MR2058.md
    #[error("{reason}")]
    SourceRefused {
        /// What stands in the way of a source.
        reason: String,
    },
    /// MR2054, explained in docs/errors/MR2054.md
    #[error(
        "source `{name}` may bring {per_second} records per second; nothing of this delivery is kept, send it again"
    )]
    Flooding {
        /// The source.
        name: String,
        /// What it may bring on average.
        per_second: u32,
        /// When it may come again.
        wait: std::time::Duration,
    },
    /// MR2040, explained in docs/errors/MR2040.md
    #[error("{reason}")]
    Import {
        /// What stands in the way of an import or its undoing.
        reason: String,
    },
    /// MR3310, explained in docs/errors/MR3310.md
    #[error("nobody was erased: {reason}")]
    Erasure {
        /// What is wrong with the order.
        reason: String,
    },
    /// MR3312, explained in docs/errors/MR3312.md
    #[error("pseudonyms of two purposes are linked only for a reason, which goes into the audit log")]
    Unreasoned,
    /// MR7009, explained in docs/errors/MR7009.md
    #[error("backup `{}`: {reason}", path.display())]
    Backup {
        /// The backup.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// MR5042, explained in docs/errors/MR5042.md
    #[error("the action of decision `{decision}` was not delivered: {reason}")]
    Delivery {
        /// The decision.
        decision: String,
        /// Why.
        reason: String,
    },
    /// No grant; see its message.
    #[error(transparent)]
    Denied(#[from] policy::Denied),
    /// Roles; see its message.
    #[error(transparent)]
    Roles(#[from] roles::Error),
    /// No key; see its message.
    #[error(transparent)]
    Key(#[from] policy::KeyRefused),
    /// A token, or a field of a consent; see its message.
    #[error(transparent)]
    Consent(#[from] policy::ConsentRefused),
    /// A TC string; see its message.
    #[error(transparent)]
    Tcf(#[from] policy::tcf::Error),
    /// MR3514, explained in docs/errors/MR3514.md
    #[error("MR3514: this is no Consent Mode: {reason}")]
    Signal {
        /// What is wrong.
        reason: String,
    },
    /// Intake; see its message.
    #[error(transparent)]
    Intake(#[from] intake::Error),
    /// The audit log; see its message.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The vault; see its message.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// The journal; see its message.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The loop; see its message.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// The state; see its message.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Profiles; see its message.
    #[error(transparent)]
    Profile(#[from] profile::Error),
    /// Features; see its message.
    #[error(transparent)]
    Feature(#[from] feature::Error),
    /// Learning; see its message.
    #[error(transparent)]
    Learn(#[from] learn::Error),
    /// The registry; see its message.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// Training; see its message.
    #[error(transparent)]
    Train(#[from] train::Error),
    /// Decisions; see its message.
    #[error(transparent)]
    Decide(#[from] decide::Error),
    /// A register; see its message.
    #[error(transparent)]
    Register(#[from] register::Error),
    /// MR7090, explained in docs/errors/MR7090.md
    #[error("something went wrong inside: {reason}")]
    Internal {
        /// What.
        reason: String,
    },
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The one who asks.
    Caller,
    /// The one who runs the house.
    Operator,
    /// The house itself.
    House,
}

/// What kind of error it is, for a door that speaks HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No valid key.
    Unauthenticated,
    /// Known, but not allowed.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// It does not fit what is there.
    Conflict,
    /// The request is wrong.
    Invalid,
    /// It is more than its source may bring in this time.
    TooMany,
    /// The house cannot now.
    Unavailable,
    /// The house's own fault.
    Internal,
}

impl Error {
    /// What kind of error it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Key(_) => Kind::Unauthenticated,
            Self::Denied(policy::Denied::UnknownPurpose { .. }) => Kind::Invalid,
            Self::Consent(
                policy::ConsentRefused::ExpiredToken { .. } | policy::ConsentRefused::UsedToken { .. },
            ) => Kind::Conflict,
            Self::Consent(_) | Self::Tcf(_) | Self::Signal { .. } => Kind::Invalid,
            Self::Denied(_) => Kind::Forbidden,
            Self::Roles(roles::Error::UnknownRole { .. }) => Kind::Invalid,
            Self::Roles(_) => Kind::Forbidden,
            Self::UnknownUseCase { .. }
            | Self::UnknownModel { .. }
            | Self::UnknownView { .. }
            | Self::UnknownStream { .. }
            | Self::UnknownSegment { .. }
            | Self::UnknownType { .. }
            | Self::UnknownJob { .. }
            | Self::UnknownCapture { .. }
            | Self::UnknownSource { .. }
            | Self::Lineage(lineage::Error::Unknown { .. })
            | Self::NotFound { .. } => Kind::NotFound,
            Self::Audit(audit::Error::NoSuch { .. }) => Kind::NotFound,
            Self::Audit(audit::Error::Text { .. } | audit::Error::TooLarge { .. }) => Kind::Invalid,
            Self::Audit(audit::Error::Unproven { .. }) => Kind::Conflict,
            Self::Audit(_) => Kind::Unavailable,
            Self::NotForPurpose { .. } | Self::SegmentPurpose { .. } => Kind::Forbidden,
            Self::Occupied { .. } => Kind::Conflict,
            Self::Lake(lake::Error::NoExport { .. }) => Kind::Invalid,
            Self::Lake(lake::Error::Unwritable { .. }) => Kind::Unavailable,
            Self::Lineage(lineage::Error::Full { .. }) => Kind::Conflict,
            Self::Lineage(_) => Kind::Invalid,
            // The vault's fault, or the moment's: it may be sent again.
            Self::Intake(intake::Error::Vault(_)) => Kind::Unavailable,
            Self::Erasure { .. } | Self::Unreasoned => Kind::Invalid,
            Self::BadIdentifier { .. } | Self::ToCome { .. } | Self::Intake(_) | Self::Job(_) => {
                Kind::Invalid
            }
            Self::Registry(registry::Error::UnknownModel { .. } | registry::Error::UnknownVersion { .. }) => {
                Kind::NotFound
            }
            Self::Registry(registry::Error::BadName { .. } | registry::Error::BadVersion { .. }) => {
                Kind::Invalid
            }
            Self::JobWaits { .. } | Self::JobRefused { .. } => Kind::Conflict,
            Self::CaptureRefused { .. } => Kind::Conflict,
            Self::Unsigned { .. } => Kind::Unauthenticated,
            Self::SourceRefused { .. } => Kind::Unavailable,
            Self::Flooding { .. } => Kind::TooMany,
            Self::Capture(_) => Kind::Unavailable,
            Self::Import { .. } | Self::Registry(_) | Self::Untrainable { .. } => Kind::Conflict,
            Self::Register(error) => crate::registers::kind(error),
            Self::Feature(feature::Error::Purpose { .. } | feature::Error::Denied(_)) => Kind::Forbidden,
            Self::Feature(feature::Error::Filling { .. }) => Kind::Unavailable,
            Self::Profile(
                profile::Error::NothingByHand { .. }
                | profile::Error::Together { .. }
                | profile::Error::Out { .. }
                | profile::Error::TooMany { .. },
            ) => Kind::Conflict,
            Self::Feature(_) | Self::Profile(_) | Self::Learn(_) | Self::Train(_) | Self::Decide(_) => {
                Kind::Invalid
            }
            Self::Journal(_)
            | Self::Process(_)
            | Self::Store(_)
            | Self::Vault(_)
            | Self::Directory { .. }
            | Self::Format { .. }
            | Self::Backup { .. }
            | Self::Delivery { .. }
            | Self::Settings(_)
            | Self::Project { .. } => Kind::Unavailable,
            Self::Internal { .. } => Kind::Internal,
        }
    }

    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self.kind() {
            Kind::Unavailable => Blame::Operator,
            Kind::Internal => Blame::House,
            _ => Blame::Caller,
        }
    }

    /// True where the same request may succeed later.
    pub fn retry(&self) -> bool {
        match self {
            Self::Journal(error) | Self::Process(process::Error::Journal(error)) => error.retry_helps(),
            Self::Capture(error) => error.retry_helps(),
            Self::Flooding { .. } => true,
            Self::SourceRefused { .. } => false,
            // What was tampered with is no better the next time.
            Self::Audit(error) => matches!(error, audit::Error::Io { .. } | audit::Error::Witness { .. }),
            // What stopped a partition, or does not belong together, is mended by a person.
            Self::Process(error) => matches!(error, process::Error::Late { .. }),
            Self::Settings(_) | Self::Project { .. } | Self::Format { .. } => false,
            _ => self.kind() == Kind::Unavailable,
        }
    }

    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings(crate::settings::Error::Unreadable { .. }) => "MR7001",
            Self::Settings(crate::settings::Error::Invalid { .. }) => "MR7002",
            Self::Project { .. } => "MR7008",
            Self::Directory { .. } => "MR7003",
            Self::Format { .. } => "MR7004",
            Self::BadIdentifier { .. } => "MR7007",
            Self::UnknownUseCase { .. } => "MR5040",
            Self::UnknownModel { .. } => "MR4591",
            Self::Untrainable { .. } => "MR4592",
            Self::UnknownView { .. } => "MR4040",
            Self::UnknownStream { .. } => "MR1040",
            Self::UnknownSegment { .. } => "MR3123",
            Self::ToCome { .. } => "MR3124",
            Self::SegmentPurpose { .. } => "MR3125",
            Self::UnknownType { .. } => "MR3107",
            Self::NotFound { .. } => "MR5041",
            Self::UnknownJob { .. } => "MR4602",
            Self::JobWaits { .. } => "MR4603",
            Self::JobRefused { .. } => "MR4607",
            Self::Job(error) => error.code(),
            Self::NotForPurpose { .. } => "MR4702",
            Self::Occupied { .. } => "MR4704",
            Self::Lake(error) => error.code(),
            Self::Lineage(error) => error.code(),
            Self::Register(error) => error.code(),
            Self::Capture(error) => error.code(),
            Self::UnknownCapture { .. } => "MR2213",
            Self::CaptureRefused { .. } => "MR2214",
            Self::Unsigned { refusal } => refusal.code,
            Self::UnknownSource { .. } => "MR2057",
            Self::SourceRefused { .. } => "MR2058",
            Self::Flooding { .. } => "MR2054",
            Self::Import { .. } => "MR2040",
            Self::Erasure { .. } => "MR3310",
            Self::Unreasoned => "MR3312",
            Self::Backup { .. } => "MR7009",
            Self::Delivery { .. } => "MR5042",
            Self::Denied(error) => error.code(),
            Self::Roles(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Consent(error) => error.code(),
            Self::Tcf(error) => error.code(),
            Self::Signal { .. } => "MR3514",
            Self::Intake(error) => error.code(),
            Self::Audit(error) => error.code(),
            Self::Vault(error) => error.code(),
            Self::Journal(error) => error.code(),
            Self::Process(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Profile(error) => error.code(),
            Self::Feature(error) => error.code(),
            Self::Learn(error) => error.code(),
            Self::Registry(error) => error.code(),
            Self::Train(error) => error.code(),
            Self::Decide(error) => error.code(),
            Self::Internal { .. } => "MR7090",
        }
    }
}
