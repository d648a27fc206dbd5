//! What the project uses data for, and on which legal basis.

use std::collections::BTreeMap;

use contract::LegalBasis;
use serde::{Deserialize, Serialize};

/// The purposes of a project. What is not listed here is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Purposes(BTreeMap<String, LegalBasis>);

impl Purposes {
    /// Purposes by name.
    pub fn new<N: Into<String>>(purposes: impl IntoIterator<Item = (N, LegalBasis)>) -> Self {
        Self(purposes.into_iter().map(|(name, basis)| (name.into(), basis)).collect())
    }

    /// The legal basis of a purpose; `None` where the project does not know it.
    pub fn basis(&self, purpose: &str) -> Option<LegalBasis> {
        self.0.get(purpose).copied()
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
