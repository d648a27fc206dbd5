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
mod consent_mode;
mod denied;
mod entry;
mod grant;
mod keys;
mod notice;
mod proof;
mod purpose;
mod rows;
mod signals;
mod standing;
pub mod tcf;
mod token;
mod weigh;

pub use action::{Action, Principal, Scope, UnknownScope};
pub use authorize::{Bulk, authorize, authorize_many, authorize_on};
pub use consent::{AsOf, ConsentFold, ConsentView, Request, Tables};
pub use consent_mode::{ConsentMode, SIGNALS};
pub use contract::LegalBasis;
pub use denied::Denied;
pub use entry::{
    Act, Asked, CELL_SCHEMA, CONSENTS, ConsentGiven, EVIDENCE, Entry, Order, Ordered, SoftOptIn, Status,
    TC_STRING,
};
pub use grant::Grant;
pub use keys::{ApiKey, Issued, KEYS, KeyEvent, KeyFold, KeyRefused, KeyTables};
pub use notice::{Notice, Notices, text_hash};
pub use proof::{Keeping, PROOFS, Proof, ProofFold, ProofRow, ProofTables, Proven};
pub use purpose::{PurposeRule, Purposes, Reach};
pub use rows::{MOST_PURPOSES, RowBits};
pub use signals::{Signalled, Signals, TcfRules};
pub use standing::{Consent, Mark, Standing};
pub use token::{ConsentRefused, Token};
pub use weigh::{Weighed, weigh};
