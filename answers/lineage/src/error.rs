//! What can go wrong, in the words of whoever asked or sent.

/// The codes of findings; each has a page in docs/errors.
pub mod codes {
    /// Things are made from each other in a circle.
    pub const CYCLE: &str = "MR2301";
    /// A change would break something that is made from it.
    pub const BREAKS: &str = "MR2305";
}

/// What can go wrong.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// MR2302, explained in docs/errors/MR2302.md
    #[error("this is no OpenLineage event: {reason}")]
    NoEvent {
        /// What is missing or wrong.
        reason: String,
    },
    /// MR2303, explained in docs/errors/MR2303.md
    #[error("the event is too large: {reason}")]
    TooLarge {
        /// Which limit it breaks.
        reason: String,
    },
    /// MR2304, explained in docs/errors/MR2304.md
    #[error("lineage knows no `{name}`{}", hint(nearest))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What it may have been meant to be.
        nearest: Vec<String>,
    },
    /// MR2306, explained in docs/errors/MR2306.md
    #[error(
        "lineage holds {known} things from outside, and {most} are the most: this event would add {more}; let the \
         producer name fewer datasets (partitions and dates are no datasets)"
    )]
    Full {
        /// How many there are.
        known: u64,
        /// How many there may be.
        most: u64,
        /// How many the event brings.
        more: u64,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoEvent { .. } => "MR2302",
            Self::TooLarge { .. } => "MR2303",
            Self::Unknown { .. } => "MR2304",
            Self::Full { .. } => "MR2306",
        }
    }
}

fn hint(nearest: &[String]) -> String {
    if nearest.is_empty() {
        return "; `maschinenraum catalogue` lists what there is".to_owned();
    }
    format!("; did you mean {}?", nearest.join(", "))
}

/// At most 64 characters of what somebody sent.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
