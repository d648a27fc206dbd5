//! Why there is no grant.

use event::{Instant, Subject};

use crate::entry::Status;
use crate::{Action, Scope};

/// Why there is no grant.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// MR3010, explained in docs/errors/MR3010.md
    #[error("MR3010: `{purpose}` is no purpose of this project; it knows {known}")]
    UnknownPurpose {
        /// What was asked.
        purpose: String,
        /// The purposes there are.
        known: String,
    },
    /// MR3011, explained in docs/errors/MR3011.md
    #[error("MR3011: `{principal}` lacks the scope `{}`", scope.as_str())]
    MissingScope {
        /// Who asked.
        principal: String,
        /// What it would need.
        scope: Scope,
    },
    /// MR3012, explained in docs/errors/MR3012.md
    #[error("MR3012: subject {subject} said no to `{purpose}` on {at}")]
    Refused {
        /// The member that refused.
        subject: Subject,
        /// The purpose.
        purpose: String,
        /// Denied or withdrawn.
        status: Status,
        /// When.
        at: Instant,
    },
    /// MR3013, explained in docs/errors/MR3013.md
    #[error("MR3013: `{purpose}` rests on consent, and none was given")]
    NoConsent {
        /// The purpose.
        purpose: String,
    },
    /// MR3014, explained in docs/errors/MR3014.md
    #[error("MR3014: a grant was asked for no subject at all")]
    NoSubject,
    /// MR3015, explained in docs/errors/MR3015.md
    #[error("MR3015: consents cannot be read, so nothing is granted: {0}")]
    Unreadable(#[from] store::Error),
    /// MR3016, explained in docs/errors/MR3016.md
    #[error("MR3016: the grant to {} for `{purpose}` does not cover this use of subject {subject}", action.as_str())]
    NotGranted {
        /// What the grant is for.
        action: Action,
        /// Its purpose.
        purpose: String,
        /// Whose data was asked.
        subject: Subject,
    },
    /// MR3501, explained in docs/errors/MR3501.md
    #[error(
        "MR3501: processing of subject {subject} is restricted since {at} (Art. 18): its data is kept, nothing else"
    )]
    Restricted {
        /// The member that is restricted.
        subject: Subject,
        /// Since when.
        at: Instant,
    },
    /// MR3502, explained in docs/errors/MR3502.md
    #[error(
        "MR3502: subject {subject} objects to direct marketing since {at} (Art. 21), and `{purpose}` is that"
    )]
    Objected {
        /// The member that objects.
        subject: Subject,
        /// The purpose.
        purpose: String,
        /// Since when.
        at: Instant,
    },
    /// MR3503, explained in docs/errors/MR3503.md
    #[error("MR3503: the consent to `{purpose}` was asked for on {at} and not confirmed yet")]
    Unconfirmed {
        /// The purpose.
        purpose: String,
        /// When it was asked or given.
        at: Instant,
    },
    /// MR3504, explained in docs/errors/MR3504.md
    #[error(
        "MR3504: the consent to `{purpose}` was given to notice `{shown}`; since {since} `{now}` is in force, which \
         changes what people agree to"
    )]
    OldNotice {
        /// The purpose.
        purpose: String,
        /// What was shown.
        shown: String,
        /// What is shown now.
        now: String,
        /// Since when.
        since: Instant,
    },
    /// MR3505, explained in docs/errors/MR3505.md
    #[error("MR3505: the consent to `{purpose}` is for {given}, not for `{channel}`")]
    OtherChannel {
        /// The purpose.
        purpose: String,
        /// What was asked.
        channel: String,
        /// What was granted.
        given: String,
    },
    /// MR3506, explained in docs/errors/MR3506.md
    #[error(
        "MR3506: advertising by `{channel}` for `{purpose}` needs consent (UWG § 7(2)), or all four facts of § 7(3); {}",
        said(missing)
    )]
    NoOptIn {
        /// The purpose.
        purpose: String,
        /// The channel.
        channel: String,
        /// Which of the facts are not recorded.
        missing: Vec<&'static str>,
    },
    /// MR3507, explained in docs/errors/MR3507.md
    #[error("MR3507: the consent to `{purpose}` counts {word} {at} only")]
    NotInForce {
        /// The purpose.
        purpose: String,
        /// `from` or `until`.
        word: &'static str,
        /// The instant.
        at: Instant,
    },
    /// MR3508, explained in docs/errors/MR3508.md
    #[error("MR3508: the consent to `{purpose}` was given to another wording than notice `{shown}` has")]
    WrongText {
        /// The purpose.
        purpose: String,
        /// The notice that it names.
        shown: String,
    },
    /// MR3401, explained in docs/errors/MR3401.md
    #[error("MR3401: {reason}")]
    ByRole {
        /// Who asked for what, and which policies say no.
        reason: String,
    },
    /// The vault's own code, MR3001 to MR3009.
    #[error(transparent)]
    Sealed(#[from] vault::Error),
}

fn said(missing: &[&str]) -> String {
    if missing.is_empty() { "none is recorded".into() } else { format!("missing: {}", missing.join(", ")) }
}

impl Denied {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownPurpose { .. } => "MR3010",
            Self::MissingScope { .. } => "MR3011",
            Self::Refused { .. } => "MR3012",
            Self::NoConsent { .. } => "MR3013",
            Self::NoSubject => "MR3014",
            Self::Unreadable(_) => "MR3015",
            Self::NotGranted { .. } => "MR3016",
            Self::Restricted { .. } => "MR3501",
            Self::Objected { .. } => "MR3502",
            Self::Unconfirmed { .. } => "MR3503",
            Self::OldNotice { .. } => "MR3504",
            Self::OtherChannel { .. } => "MR3505",
            Self::NoOptIn { .. } => "MR3506",
            Self::NotInForce { .. } => "MR3507",
            Self::WrongText { .. } => "MR3508",
            Self::ByRole { .. } => "MR3401",
            Self::Sealed(error) => error.code(),
        }
    }

    /// A word for records: why a purpose is not allowed.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Refused { status: Status::Denied, .. } => "denied",
            Self::Refused { .. } => "withdrawn",
            Self::NoConsent { .. } => "never given",
            Self::Restricted { .. } => "restricted",
            Self::Objected { .. } => "objected",
            Self::Unconfirmed { .. } => "not confirmed",
            Self::OldNotice { .. } => "given to an earlier notice",
            Self::OtherChannel { .. } => "given for another channel",
            Self::NoOptIn { .. } => "no opt-in",
            Self::NotInForce { .. } => "not in force",
            Self::WrongText { .. } => "given to another wording",
            Self::UnknownPurpose { .. } => "the project does not know this purpose",
            Self::ByRole { .. } => "the role does not allow it",
            _ => "not granted",
        }
    }

    /// True where it is about the person that is asked about: others may still be granted.
    pub(crate) fn is_about_a_person(&self) -> bool {
        !matches!(
            self,
            Self::UnknownPurpose { .. }
                | Self::MissingScope { .. }
                | Self::Unreadable(_)
                | Self::NotGranted { .. }
                | Self::ByRole { .. }
                | Self::Sealed(_)
        )
    }

    /// True where somebody said no, as opposed to nobody having said yes.
    pub(crate) fn is_a_no(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Restricted { .. } | Self::Objected { .. })
    }
}
