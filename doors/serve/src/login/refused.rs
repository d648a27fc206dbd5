//! Why somebody is not let in.

use axum::http::StatusCode;

use crate::problem::Problem;

/// Why a login, a token or a session does not count.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// MR3410, explained in docs/errors/MR3410.md
    #[error("people cannot log in here: {reason}")]
    Settings {
        /// What is missing.
        reason: String,
    },
    /// MR3411, explained in docs/errors/MR3411.md
    #[error("the identity provider {what}: {reason}")]
    Provider {
        /// What it did.
        what: &'static str,
        /// What was said.
        reason: String,
    },
    /// MR3412, explained in docs/errors/MR3412.md
    #[error("this login was not begun here, is over, or was used before; begin again at /v1/login")]
    State,
    /// MR3412, explained in docs/errors/MR3412.md
    #[error("this login was begun by another browser; begin again at /v1/login")]
    OtherBrowser,
    /// MR3413, explained in docs/errors/MR3413.md
    #[error("the ID token does not count: {reason}")]
    Token {
        /// Which check it fails.
        reason: String,
    },
    /// MR3413, explained in docs/errors/MR3413.md
    #[error("the ID token does not count: no key of the provider fits {kid}")]
    UnknownKey {
        /// Which one it names.
        kid: String,
    },
    /// MR3414, explained in docs/errors/MR3414.md
    #[error(
        "`{name}` has no role here: [login.roles] names none of the groups in the claim `{claim}` ({groups})"
    )]
    NoRole {
        /// Who.
        name: String,
        /// Where groups are looked for.
        claim: String,
        /// What is there.
        groups: String,
    },
    /// MR3415, explained in docs/errors/MR3415.md
    #[error("this session is over; log in again at /v1/login")]
    Session,
    /// MR3416, explained in docs/errors/MR3416.md
    #[error("another site asked for this in your name")]
    CrossSite,
    /// MR3417, explained in docs/errors/MR3417.md
    #[error("too many people log in at once; try again in a minute")]
    Full,
    /// MR7090, explained in docs/errors/MR7090.md
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// The house; see its message.
    #[error(transparent)]
    House(#[from] house::Error),
}

impl Refused {
    /// The code under which `docs/errors` explains it.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "MR3410",
            Self::Provider { .. } => "MR3411",
            Self::State | Self::OtherBrowser => "MR3412",
            Self::Token { .. } | Self::UnknownKey { .. } => "MR3413",
            Self::NoRole { .. } => "MR3414",
            Self::Session => "MR3415",
            Self::CrossSite => "MR3416",
            Self::Full => "MR3417",
            Self::NoRandomness => "MR7090",
            Self::House(error) => error.code(),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Settings { .. } => StatusCode::NOT_FOUND,
            Self::Provider { .. } => StatusCode::BAD_GATEWAY,
            Self::State | Self::OtherBrowser => StatusCode::BAD_REQUEST,
            Self::Token { .. } | Self::UnknownKey { .. } | Self::Session => StatusCode::UNAUTHORIZED,
            Self::NoRole { .. } | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoRandomness | Self::House(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        if let Refused::House(error) = &refused {
            return error.into();
        }
        let wait = matches!(refused, Refused::Full | Refused::Provider { .. })
            .then_some(std::time::Duration::from_secs(60));
        Self::new(refused.code(), refused.to_string(), refused.status(), wait)
    }
}
