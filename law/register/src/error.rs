//! What a register refuses, and why.

use event::Instant;

use crate::assessment::Refused;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR3702, explained in docs/errors/MR3702.md
    #[error("use case `{use_case}` is prohibited: {rules}")]
    Prohibited {
        /// The use case.
        use_case: String,
        /// By what.
        rules: String,
    },
    /// MR3710, explained in docs/errors/MR3710.md
    #[error(
        "use case `{use_case}` needs a data protection impact assessment ({triggers}) signed by {eyes}, {signed} signed: \
         `maschinenraum register dpia {use_case}` writes it, `maschinenraum dpia sign {use_case}` signs it"
    )]
    Unsigned {
        /// The use case.
        use_case: String,
        /// What triggered it.
        triggers: String,
        /// How many must sign.
        eyes: u8,
        /// How many have.
        signed: u8,
    },
    /// MR3712, explained in docs/errors/MR3712.md
    #[error("use case `{use_case}` is of class high and lacks {missing}")]
    Unready {
        /// The use case.
        use_case: String,
        /// What it lacks.
        missing: String,
    },
    /// MR3720, explained in docs/errors/MR3720.md
    #[error("use case `{use_case}` was stopped by {by} at {at}: {reason}")]
    Stopped {
        /// The use case.
        use_case: String,
        /// Who.
        by: String,
        /// When.
        at: Instant,
        /// Why.
        reason: String,
    },
    /// MR3711, explained in docs/errors/MR3711.md
    #[error("{reason}")]
    NotSigned {
        /// Why nothing was signed.
        reason: String,
    },
    /// MR3721, explained in docs/errors/MR3721.md
    #[error("{reason}")]
    Oversight {
        /// Why nothing was stopped, resumed or overruled.
        reason: String,
    },
    /// MR3730, explained in docs/errors/MR3730.md
    #[error("there is no incident `{id}`; `maschinenraum incident list` shows those there are")]
    UnknownIncident {
        /// What was asked for.
        id: String,
    },
    /// MR3731, explained in docs/errors/MR3731.md
    #[error("{reason}")]
    Incident {
        /// Why nothing was opened, told or closed.
        reason: String,
    },
    /// MR3750, explained in docs/errors/MR3750.md
    #[error("there is no request `{id}`; `maschinenraum request list` shows those there are")]
    UnknownRequest {
        /// What was asked for.
        id: String,
    },
    /// MR3751, explained in docs/errors/MR3751.md
    #[error("{reason}")]
    Request {
        /// Why nothing was written down, extended, done or told.
        reason: String,
    },
    /// MR3740, explained in docs/errors/MR3740.md
    #[error("{reason}")]
    Asked {
        /// What is wrong with what was asked for.
        reason: String,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Prohibited { .. } => "MR3702",
            Self::Unsigned { .. } => "MR3710",
            Self::NotSigned { .. } => "MR3711",
            Self::Unready { .. } => "MR3712",
            Self::Stopped { .. } => "MR3720",
            Self::Oversight { .. } => "MR3721",
            Self::UnknownIncident { .. } => "MR3730",
            Self::Incident { .. } => "MR3731",
            Self::Asked { .. } => "MR3740",
            Self::UnknownRequest { .. } => "MR3750",
            Self::Request { .. } => "MR3751",
        }
    }

    /// Why this use case may not decide.
    pub fn of(use_case: &str, refused: Refused) -> Self {
        let use_case = use_case.to_owned();
        match refused {
            Refused::Stopped { by, at, reason } => Self::Stopped { use_case, by, at, reason },
            Refused::Prohibited { rules } => Self::Prohibited { use_case, rules },
            Refused::Unready { missing } => {
                let missing: Vec<String> =
                    missing.iter().map(|one| format!("{} ({})", one.text.en, one.article)).collect();
                Self::Unready { use_case, missing: missing.join("; ") }
            }
            Refused::Unsigned { triggers, eyes, signed } => {
                Self::Unsigned { use_case, triggers, eyes, signed }
            }
        }
    }
}
