//! What roles refuse.

/// Why something is not allowed, or cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// MR3401, explained in docs/errors/MR3401.md
    #[error("`{who}` ({roles}) may not {action} {class} fields for `{purpose}`: {why}")]
    Denied {
        /// Who asked.
        who: String,
        /// Its roles.
        roles: String,
        /// What was asked.
        action: &'static str,
        /// The class of fields that is not allowed.
        class: String,
        /// For which purpose.
        purpose: String,
        /// The policies that forbid it, or that none permits it.
        why: String,
    },
    /// MR3401, explained in docs/errors/MR3401.md
    #[error("`{who}` ({roles}) may not enter by the door `{door}`: {why}")]
    NoEntry {
        /// Who asked.
        who: String,
        /// Its roles.
        roles: String,
        /// The door: a scope's name.
        door: &'static str,
        /// The policies that forbid it, or that none permits it.
        why: String,
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
            Self::Denied { .. } | Self::NoEntry { .. } => "MR3401",
            Self::UnknownRole { .. } => "MR3405",
        }
    }
}
