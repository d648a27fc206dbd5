//! Who may use whose data for what: purposes, consent, grants, API keys.
//!
//! LAW 3: nothing about a person is read without a [`Grant`]. There is no way to make one but
//! [`authorize`] and [`authorize_many`], and they say no unless everything says yes: the caller's scope, a
//! purpose that the project declares, and the standing of every member of the profile.
//!
//! A grant cannot be built, copied, defaulted or read from bytes outside this room (`tests/ui` holds the
//! attempts). This room knows nothing of features, models or HTTP, and it decides nothing about data quality.

mod action;
mod authorize;
mod consent;
mod grant;
mod keys;
mod purpose;
mod rows;

pub use action::{Action, Principal, Scope, UnknownScope};
pub use authorize::{Bulk, Denied, authorize, authorize_many};
pub use consent::{CONSENTS, Consent, ConsentFold, ConsentGiven, ConsentView, Standing, Status, Tables};
pub use contract::LegalBasis;
pub use grant::Grant;
pub use keys::{ApiKey, Issued, KEYS, KeyEvent, KeyFold, KeyRefused, KeyTables};
pub use purpose::Purposes;
pub use rows::{MOST_PURPOSES, RowBits};
