//! What roles refuse.

/// Why something is not allowed, or cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// MR3401, explained in docs/errors/MR3401.md
    #[error("{reason}")]
    Denied {
        /// Who asked for what, in which roles, and which policies forbid it or that none permits it.
        reason: String,
    },
    /// MR3405, explained in docs/errors/MR3405.md
    #[error("`{role}` is no role of this project; known: {}", known.join(", "))]
    UnknownRole {
        /// What was said.
        role: String,
        /// What there is.
        known: Vec<String>,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "MR3401",
            Self::UnknownRole { .. } => "MR3405",
        }
    }
}
