//! What goes wrong when features are read.

use event::Instant;

/// Why there are no values.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR4009, explained in docs/errors/MR4009.md
    #[error("MR4009: there are two different feature views `{view}`; give the newer one the next version")]
    Conflict {
        /// Name and version.
        view: String,
    },
    /// MR4010, explained in docs/errors/MR4010.md
    #[error("MR4010: feature view `{view}` may not be used for `{purpose}`; it is made for {}", list(.allowed))]
    Purpose {
        /// The view.
        view: String,
        /// What it was asked for.
        purpose: String,
        /// What it may be used for.
        allowed: Vec<String>,
    },
    /// MR4011, explained in docs/errors/MR4011.md
    #[error(
        "MR4011: the values of feature view `{view}` at {at} are no longer at hand, only from {since} on; compute them as of that time from the journal"
    )]
    TooFarBack {
        /// The view.
        view: String,
        /// The instant asked for.
        at: Instant,
        /// The earliest instant that can be answered.
        since: Instant,
    },
    /// MR4012, explained in docs/errors/MR4012.md
    #[error("MR4012: the values could not be computed: a worker thread has ended unexpectedly; try again")]
    Worker,
    /// MR4014, explained in docs/errors/MR4014.md
    #[error("MR4014: feature view `{view}` is still being filled from the journal; ask again in a while")]
    Filling {
        /// The view.
        view: String,
    },
    /// MR4015, explained in docs/errors/MR4015.md
    #[error("MR4015: feature view `{view}` wants {expected} as `{name}`, but the request says {value}")]
    Context {
        /// The view.
        view: String,
        /// The name in the context.
        name: String,
        /// What was said.
        value: String,
        /// What the view declares.
        expected: &'static str,
    },
    /// MR4020, explained in docs/errors/MR4020.md
    #[error(
        "MR4020: feature view `{view}` asks for segment `{segment}`, and nobody has computed who belongs to it"
    )]
    Segment {
        /// The view.
        view: String,
        /// The segment.
        segment: String,
    },
    /// The grant's own code, MR3010 to MR3016.
    #[error(transparent)]
    Denied(#[from] policy::Denied),
    /// The store's own code, MR6020 to MR6022.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// The code under which `docs/errors` explains it; the store names its own in its message.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "MR4009",
            Self::Purpose { .. } => "MR4010",
            Self::TooFarBack { .. } => "MR4011",
            Self::Worker => "MR4012",
            Self::Filling { .. } => "MR4014",
            Self::Context { .. } => "MR4015",
            Self::Segment { .. } => "MR4020",
            Self::Denied(denied) => denied.code(),
            Self::Store(store::Error::Engine { .. }) => "MR6020",
            Self::Store(store::Error::Corrupt { .. }) => "MR6021",
            Self::Store(store::Error::Seal { .. }) => "MR6022",
        }
    }
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
