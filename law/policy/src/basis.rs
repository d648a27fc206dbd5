//! Legal bases.

use serde::{Deserialize, Serialize};

/// Why a processing is lawful (GDPR article 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegalBasis {
    /// Article 6(1)(a)
    Consent,
    /// Article 6(1)(b)
    Contract,
    /// Article 6(1)(c)
    LegalObligation,
    /// Article 6(1)(d)
    VitalInterests,
    /// Article 6(1)(e)
    PublicTask,
    /// Article 6(1)(f)
    LegitimateInterest,
    /// Nothing in the stream is personal.
    NotPersonal,
}
