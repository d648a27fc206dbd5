//! What can go wrong when profiles are read.

use event::Subject;

/// Why a profile could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR3101, explained in docs/errors/MR3101.md
    #[error(
        "MR3101: the grant does not cover subject {member}, which belongs to the profile; ask for a grant of all members"
    )]
    NotCovered {
        /// The member that the grant lacks.
        member: Subject,
    },
    /// MR3102, explained in docs/errors/MR3102.md
    #[error("MR3102: subjects {a} and {b} are not held to be one person")]
    NotTogether {
        /// One subject.
        a: Subject,
        /// The other.
        b: Subject,
    },
    /// MR3103, explained in docs/errors/MR3103.md
    #[error("MR3103: identity rule `{key}`: {why}")]
    BadRule {
        /// The setting.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// MR3104, explained in docs/errors/MR3104.md
    #[error(
        "MR3104: nothing that was done by hand stands between {a} and {b}; `people explain` says what does"
    )]
    NothingByHand {
        /// One subject.
        a: Subject,
        /// The other.
        b: Subject,
    },
    /// MR3105, explained in docs/errors/MR3105.md
    #[error("MR3105: subjects {a} and {b} are one profile already")]
    Together {
        /// One subject.
        a: Subject,
        /// The other.
        b: Subject,
    },
    /// MR3105, explained in docs/errors/MR3105.md
    #[error("MR3105: subject {subject} is out of its profile already")]
    Out {
        /// The subject.
        subject: Subject,
    },
    /// MR3106, explained in docs/errors/MR3106.md
    #[error("MR3106: the profile would have {n} identifiers; {most} is the most")]
    TooMany {
        /// How many.
        n: usize,
        /// The most.
        most: usize,
    },
    /// The grant's own code, MR3010 to MR3016.
    #[error(transparent)]
    Denied(#[from] policy::Denied),
    /// The store's own code, MR6020 to MR6022.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotCovered { .. } => "MR3101",
            Self::NotTogether { .. } => "MR3102",
            Self::BadRule { .. } => "MR3103",
            Self::NothingByHand { .. } => "MR3104",
            Self::Together { .. } | Self::Out { .. } => "MR3105",
            Self::TooMany { .. } => "MR3106",
            Self::Denied(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}
